//! A day of each role, as it is worked.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use fantoccini::key::Key;
use mimamori::base::Language;
use mimamori::base::id::PatientId;
use mimamori::registry::Role;
use mimamori::sim::Temper;
use mimamori::store::{AuditFilter, TakeSource};

use crate::browser::driver::{Browser, LAPTOP, TABLET, TABLET_UPRIGHT};
use crate::console::Console;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nurse_finds_the_urgent_patient_claims_notes_and_resolves() {
    let console = Console::open().await;
    let claim = "the day of a nurse";
    let Some(browser) = Browser::of(&console, Role::Nurse, claim).await else { return };
    let urgent = console.town.somebody(Temper::Urgent);
    let name = urgent.patient.name.expose();
    browser.press("健康状態一覧").await;
    browser.reads(name).await;
    let first = browser.find("main tbody tr").await.text().await.unwrap();
    assert!(first.contains("緊急"), "whom to look at first: {first}");
    // Most rows have three small lines at the most, so that a laptop shows a handful at once.
    let high = browser.execute(
        "const rows = [...document.querySelectorAll('main tbody tr')].slice(0, 20); \
         return rows.map(row => row.offsetHeight).sort((a, b) => a - b)[10]",
        vec![],
    );
    let high = high.await.as_u64().unwrap();
    assert!(high <= 80, "a row of {high} pixels");
    let claims = "return [...document.querySelectorAll('[data-claim]')][0] \
        .getBoundingClientRect().right <= document.querySelector('.list').getBoundingClientRect().right";
    let is_seen = browser.execute(claims, vec![]).await;
    assert_eq!(is_seen, true, "the last column is seen without scrolling");

    browser.press("対応").await;
    browser.reads(name).await;
    let card = browser.execute(
        "const cards = [...document.querySelectorAll('main article, main .case')]; \
         const card = cards.find(card => card.innerText.includes(arguments[0])); \
         return card.querySelector('a[href^=\"/cases/\"]').getAttribute('href')",
        vec![name.as_str().into()],
    );
    let case = card.await.as_str().unwrap().split('#').next().unwrap().to_owned();
    browser.goto(&case).await;
    // Two identifiers, always.
    browser.reads(&urgent.patient.registration_number).await;
    browser.reads(&urgent.patient.birth_date.expose().to_string()).await;
    browser.press("担当になる").await;
    browser.reads("自分").await;
    // The second that matters, heard and written down.
    browser.press("12秒を聞く").await;
    heard(&console, urgent.patient.id).await;
    browser.fill("メモ", "本人と話した。息苦しさは続くが会話はできる。").await;
    browser.press("メモを記録").await;
    browser.reads("会話はできる").await;
    browser.press("受診調整").await;
    browser.fill("対応の内容(必須)", "かかりつけ医に受診を依頼した。").await;
    browser.press("対応済にする").await;
    browser.goto(&case).await;
    browser.reads("受診調整").await;
    browser.reads("終了").await;
    browser.is_clean().await;
    browser.goto("/handover").await;
    browser.reads(name).await;
    // Sixteen open cases, with what is known of each.
    let sheets = browser.print("nurse-handover").await;
    assert!((1..=8).contains(&sheets), "{sheets} sheets of paper");
    browser.close().await;
}

/// Waits until it is in the chain that somebody listened to this patient.
async fn heard(console: &Console, patient: PatientId) {
    let filter = AuditFilter {
        action: Some("recording.heard".to_owned()),
        patient: Some(patient),
        ..AuditFilter::default()
    };
    // What was heard is told when the twelve seconds are over.
    for _ in 0..300 {
        if !console.desk.store.audit_events(&filter, 1).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody heard the call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_mends_a_list_sees_the_day_pauses_and_stops_everything() {
    let console = Console::open().await;
    let claim = "the day of a scheduler";
    let Some(browser) = Browser::of(&console, Role::Scheduler, claim).await else { return };
    let faulty = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import/faults_cp932.csv");
    browser.press("取り込み").await;
    browser.fill("ファイル(ExcelまたはCSV)", faulty.to_str().unwrap()).await;
    browser.press("内容を確認する").await;
    browser.reads("取り込めない行").await;
    browser.reads("直す行").await;
    browser.is_clean().await;
    browser.shoot("scheduler-import-faults", &[LAPTOP, TABLET_UPRIGHT]).await;
    let to_the_cells = "document.querySelector('#mend').scrollIntoView()";
    browser.execute(to_the_cells, vec![]).await;
    browser.shoot("scheduler-import-mend", &[LAPTOP, TABLET_UPRIGHT]).await;

    // Pasted from a spreadsheet, with a heading and a number that nobody can read.
    let pasted = "管理番号\t氏名\tフリガナ\t生年月日\tご連絡先\t観察開始日\t観察終了日\n\
        30000002\t川田 花\tカワダ ハナ\tS15.1.1\t0-0\t2026/11/24\t2026/12/1\n";
    browser.press("取り込み").await;
    let paste = "document.querySelector('[name=pasted]').value = arguments[0]";
    browser.execute(paste, vec![pasted.into()]).await;
    browser.press("内容を確認する").await;
    browser.reads("知らない見出し").await;
    browser.is_clean().await;
    browser.shoot("scheduler-import-headings", &[LAPTOP, TABLET_UPRIGHT]).await;
    browser.find("select[name=field]").await.select_by_value("電話番号1").await.unwrap();
    browser.press("読み直して記憶する").await;
    browser.reads("この画面で直す").await;
    let mend = "document.querySelectorAll('[name=cell]')[4].value = '090-1000-9991'";
    browser.execute(mend, vec![]).await;
    browser.press("この行を直して確認").await;
    browser.reads("直しました").await;
    browser.reads("川田 花").await;
    browser.is_clean().await;
    browser.shoot("scheduler-import-mended", &[LAPTOP]).await;

    // Excel's own encoding again, with the row put right.
    let text = "管理番号,氏名,フリガナ,生年月日,電話番号1,観察開始日,観察終了日,架電時刻1\r\n\
        30000001,山田 太郎,ヤマダ タロウ,S15.1.1,090-1000-9990,2026/11/24,2026/12/1,14:00\r\n";
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(text);
    let mended = console.town.folder.path().join("mended.csv");
    fs::write(&mended, &bytes).unwrap();
    browser.press("取り込み").await;
    browser.fill("ファイル(ExcelまたはCSV)", mended.to_str().unwrap()).await;
    browser.press("内容を確認する").await;
    browser.reads("山田 太郎").await;
    browser.press("取り込む (1").await;
    browser.reads("取り消す").await;

    browser.press("架電計画").await;
    browser.fill("氏名・カナ・管理番号・電話番号", "30000001").await;
    browser.press("検索").await;
    browser.reads("山田 太郎").await;
    browser.press("今日は止める").await;
    browser.field("理由").await.select_by_index(1).await.unwrap();
    browser.press("今日の架電を止める").await;
    browser.reads("今日の架電を止めました").await;

    browser.press("今日").await;
    browser.press("すべての架電を止める").await;
    browser.fill("理由(全職員に表示されます)", "音声の誤りを確認中").await;
    browser.press("すべての架電を止める").await;
    browser.reads("架電を停止しています").await;
    browser.goto("/plan").await;
    browser.reads("架電を停止しています").await;
    assert!(!console.desk.store.dialing().await.unwrap().is_running);
    browser.is_clean().await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduler_agrees_with_a_patient_on_how_to_be_reached() {
    let console = Console::open().await;
    let claim = "an arrangement with a patient";
    let Some(browser) = Browser::of(&console, Role::Scheduler, claim).await else { return };
    let patient = &console.town.somebody(Temper::Absent).patient;
    browser.goto(&format!("/patients/{}", patient.id)).await;
    browser.press("電話の約束を変更").await;
    browser.press("土").await;
    browser.press("日").await;
    browser.fill("許容時間", "5").await;
    browser.press("医師の指示で").await;
    browser.fill("指示した医師", "山田医師").await;
    let send = "document.querySelector('#arrangement form').requestSubmit()";
    browser.execute(send, vec![]).await;
    browser.reads("10〜480分にしてください。").await;
    let faults = browser.faults().await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|one| one.contains("422")), "{complaints:?}");
    let to_the_form = "document.querySelector('#arrangement').scrollIntoView()";
    browser.execute(to_the_form, vec![]).await;
    browser.shoot("scheduler-arrangement", &[LAPTOP, TABLET_UPRIGHT]).await;
    browser.fill("許容時間", "60").await;
    browser.fill("指示の理由", "安静のため").await;
    browser.fill("変更の理由", "往診で相談した").await;
    browser.execute(send, vec![]).await;
    browser.reads("自動の電話はかかりません").await;
    browser.reads("山田医師: 安静のため").await;
    browser.is_clean().await;
    browser.shoot("scheduler-arranged", &[LAPTOP, TABLET_UPRIGHT]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nurse_confirms_a_release_that_is_proposed() {
    let console = Console::open().await;
    let claim = "the release of a patient";
    let Some(browser) = Browser::of(&console, Role::Nurse, claim).await else { return };
    browser.press("解除候補").await;
    browser.reads("候補(保健所の確認待ち)").await;
    let card = browser.find("[data-release=candidate]").await.text().await.unwrap();
    assert!(card.contains("から、熱と症状の回答はすべて良好"), "why: {card}");
    let candidate = browser.find("[data-release=candidate] h3 a").await;
    let (name, path) = (candidate.text().await.unwrap(), candidate.attr("href").await.unwrap());
    // What is in the way of another is said in words.
    let urgent = console.town.somebody(Temper::Urgent).patient.name.expose();
    let blocked = browser.find("[data-release=blocked]").await.text().await.unwrap();
    assert!(blocked.contains(urgent), "{blocked}");
    assert!(!browser.find("[data-release=blocked] ul li").await.text().await.unwrap().is_empty());
    browser.is_clean().await;
    browser.shoot("nurse-release-candidates", &[LAPTOP, TABLET]).await;
    let to_the_blocked = "document.querySelector('[data-release=blocked]').scrollIntoView()";
    browser.execute(to_the_blocked, vec![]).await;
    browser.shoot("nurse-release-blocked", &[LAPTOP, TABLET]).await;

    browser.press("解熱剤を使わずに熱がないことを").await;
    browser.press("解除を確認して架電を終える").await;
    browser.reads("解除しました").await;
    // Another may bear the same name.
    let path = path.unwrap();
    let is_there = "return document.querySelector(`main a[href='${arguments[0]}']`) !== null";
    let is_there = browser.execute(is_there, vec![path.as_str().into()]).await;
    assert_eq!(is_there, false, "{name} is gone");
    browser.goto(&path).await;
    browser.reads(&name).await;
    browser.reads("療養解除").await;
    browser.reads("基準を満たす").await;
    browser.is_clean().await;
    browser.shoot("nurse-released", &[LAPTOP, TABLET]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nurse_writes_down_a_test_and_withdraws_it() {
    let console = Console::open().await;
    let claim = "a test of a specimen";
    let Some(browser) = Browser::of(&console, Role::Nurse, claim).await else { return };
    let patient = console.town.somebody(Temper::Urgent).patient.id;
    browser.goto(&format!("/patients/{patient}")).await;
    browser.press("解除の条件と検査結果").await;
    browser.reads("検査による短縮").await;
    browser.press("検査結果を登録").await;
    let just_now = "const field = document.querySelector('input[name=collected]'); \
        field.value = field.max";
    browser.execute(just_now, vec![]).await;
    browser.fill("検査", "抗原定性検査キット").await;
    browser.fill("結果", "陰性").await;
    browser.is_clean().await;
    browser.press("この検査を登録").await;
    browser.reads("検査結果を登録しました").await;
    browser.is_clean().await;
    browser.shoot("nurse-release-test", &[LAPTOP, TABLET, TABLET_UPRIGHT]).await;
    browser.fill("取り消す理由", "別の方の結果でした").await;
    browser.press("取り消す").await;
    browser.reads("検査結果を取り消しました").await;
    browser.goto(&format!("/patients/{patient}")).await;
    browser.reads("別の方の結果でした").await;
    browser.shoot("nurse-test-withdrawn", &[LAPTOP]).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_verifies_the_chain_and_sees_no_patient() {
    let console = Console::open().await;
    let claim = "the day of an auditor";
    let Some(browser) = Browser::of(&console, Role::Auditor, claim).await else { return };
    browser.press("監査").await;
    browser.press("記録のつながりを検証する").await;
    browser.reads("改ざんはありません").await;
    browser.is_clean().await;
    browser.goto("/health").await;
    browser.reads("権限がありません").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_adds_somebody_who_signs_in() {
    let console = Console::open().await;
    let claim = "the day of an administrator";
    let Some(browser) = Browser::of(&console, Role::Administrator, claim).await else { return };
    browser.press("職員").await;
    browser.press("職員を追加").await;
    browser.fill("ログイン名", "midori").await;
    browser.fill("氏名", "緑川 みどり").await;
    browser.press("保健師・看護師").await;
    let center = &console.town.people.health_center.name;
    browser.fill("保健所", center).await;
    browser.press("追加して仮パスワードを発行").await;
    let password = browser.find("#password").await.text().await.unwrap();
    browser.is_clean().await;
    browser.press("ログアウト").await;
    browser.fill("ログイン名", "midori").await;
    browser.fill("パスワード", &password).await;
    browser.press("ログイン").await;
    // A password that somebody else knows is replaced before anything is seen.
    browser.reads("緑川 みどり").await;
    browser.goto("/health").await;
    assert!(browser.path().await.starts_with("/account/password"), "{}", browser.path().await);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_is_recorded_with_the_microphone_and_approved_by_another() {
    let console = Console::open().await;
    let claim = "the recording of a prompt";
    let Some(browser) = Browser::of(&console, Role::Scheduler, claim).await else { return };
    browser.goto("/prompts/ask_dyspnea").await;
    browser.press("録音する").await;
    browser.reads("●").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    browser.press("止める").await;
    // How long it is can be said once it lies in the form as a file.
    let is_kept = "return document.querySelector('#take').elements.file.files.length === 1 \
        && !document.querySelector('[data-recorder] audio').hidden";
    for _ in 0..100 {
        if browser.execute(is_kept, vec![]).await == true {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    browser.is_clean().await;
    browser.shoot("prompt-recorded", &[LAPTOP]).await;
    browser.press("下書きとして保存").await;
    browser.reads("承認待ち").await;
    browser.reads("マイク").await;
    let takes = console.desk.store.takes(Language::Ja).await.unwrap();
    let [take] = takes.as_slice() else { panic!("one take, and not {}", takes.len()) };
    assert_eq!((take.prompt.as_str(), take.source), ("ask_dyspnea", TakeSource::Microphone));
    assert!(take.duration > Duration::from_millis(300), "{:?}", take.duration);
    assert!(take.level_dbov > -50.0, "the microphone was heard: {} dBov", take.level_dbov);

    browser.enter(&console, Role::Supervisor).await;
    browser.goto("/prompts/ask_dyspnea").await;
    browser.press("承認して使う").await;
    browser.reads("使用中").await;
    browser.goto("/prompts").await;
    browser.reads("録音(承認済み)").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engineer_sees_the_lines_but_no_patient() {
    let console = Console::open().await;
    let claim = "the day of an engineer";
    let Some(browser) = Browser::of(&console, Role::Engineer, claim).await else { return };
    browser.press("回線").await;
    browser.reads("最近の通話").await;
    let text = browser.text().await;
    for household in &console.town.people.households {
        assert!(!text.contains(household.patient.name.expose().as_str()));
        assert!(!text.contains(household.patient.phones[0].number.e164()));
    }
    for path in ["/health", "/patients", "/plan", "/welfare"] {
        browser.goto(path).await;
        browser.reads("権限がありません").await;
    }
    // Of the queue the lane of the system, and no other.
    browser.goto("/cases").await;
    browser.reads("システム").await;
    let text = browser.text().await;
    for household in &console.town.people.households {
        assert!(!text.contains(household.patient.name.expose().as_str()));
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_taken_by_keyboard_alone() {
    let console = Console::open().await;
    let claim = "a walk by keyboard";
    let Some(browser) = Browser::of(&console, Role::Nurse, claim).await else { return };
    browser.tab_to("本文へ").await;
    browser.tab_to("対応").await;
    browser.key(Key::Enter).await;
    browser.reads("未着手").await;
    browser.tab_to("担当になる").await;
    browser.key(Key::Enter).await;
    browser.reads("担当中").await;
    browser.close().await;
}
