//! What a scheduler can do with lists of patients: bring, mend, take over, take back.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use encoding_rs::SHIFT_JIS;
use mimamori::campaign::SlotState;
use mimamori::registry::{Actor, AuditEntry, Gender, Role, Scope, arrangement};
use mimamori::store::BatchState;

use crate::plan::{DAY, HANA, Office, TARO, at, list};

claims! {
    a_cp932_list_with_errors_is_mended_taken_over_and_taken_back
    an_excel_workbook_is_taken_over_like_any_list
    a_list_that_is_sent_twice_is_taken_over_once
    a_bad_row_is_put_right_on_the_page
    a_heading_is_explained_once
    gender_comes_with_a_list_and_stays_when_another_does_not_tell_it
    days_and_way_come_with_a_list_and_stay_when_another_does_not_tell_them
    how_people_stood_before_a_list_is_forgotten_after_ninety_days
    whoever_was_called_is_not_deleted_but_no_longer_observed
    whoever_was_tested_is_not_deleted_but_no_longer_observed
    what_staff_changed_since_is_left_as_it_is
    changed_patients_become_what_they_were
    nobody_imports_without_the_right_or_for_another_centre
}

async fn a_cp932_list_with_errors_is_mended_taken_over_and_taken_back(office: Office) {
    let hana = office.scheduler().await;
    let broken = "A3,佐藤次郎,佐藤次郎,1950/2/30,080-1111-2222,2026/11/20,2026/12/1,9:30";
    let cp932 = |rows: &[&str]| SHIFT_JIS.encode(&list(rows)).0.into_owned();
    let (status, id) = hana.bring(&cp932(&[HANA, TARO, broken])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let id = id.unwrap();
    let (status, page) = hana.get(&format!("/import/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "Shift_JIS",
        "カタカナ以外",
        "暦にない",
        "取り込む",
        "神崎花",
        "1950-01-02",
        "取り込めません",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("style="), "the Content-Security-Policy forbids it");
    assert_eq!(office.patients().await, 0, "nothing changes by looking");
    let (_, headers, table) =
        hana.ask(Request::get(format!("/import/{id}/problems.csv")), Body::empty()).await;
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
    let table = String::from_utf8(table).unwrap();
    assert!(table.starts_with('\u{feff}') && table.contains("\"4\",\"C\",\"フリガナ\""), "{table}");
    assert_eq!(hana.post(&format!("/import/{id}/discard"), "").await.0, StatusCode::SEE_OTHER);
    assert!(office.within().import_content(id).await.unwrap().is_none(), "it is about people");

    let mended = broken.replace("佐藤次郎,1950", "サトウ ジロウ,1950").replace("2/30", "2/28");
    let (_, id) = hana.bring(&cp932(&[HANA, TARO, &mended])).await;
    let id = id.unwrap();
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    assert!(page.contains("3行目の方と同じ電話番号です"), "a household: {page}");
    assert_eq!(hana.post(&format!("/import/{id}/take"), "leave=3").await.0, StatusCode::SEE_OTHER);
    let taken = office.settled(id).await;
    assert_eq!((taken.state, taken.counts.created), (BatchState::Imported, 2), "one was left out");
    assert!(office.patient("A3").await.is_some() && office.patient("A2").await.is_none());
    assert!(office.within().import_content(id).await.unwrap().is_none(), "nobody needs it now");
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    assert!(page.contains("取り消す"), "{page}");

    let undone = hana.take_back(id).await;
    assert_eq!((undone.state, undone.counts.deleted), (BatchState::Undone, 2));
    assert_eq!(office.patients().await, 0);
    assert_eq!(undone.undone_by.as_deref(), Some("職員 hana"));
    for action in ["list.imported", "list.undone", "list.problems_exported"] {
        assert_eq!(office.audited(action).await, 1, "{action}");
    }
}

async fn an_excel_workbook_is_taken_over_like_any_list(office: Office) {
    let hana = office.scheduler().await;
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, line) in (0..).zip(list(&[HANA, TARO]).lines()) {
        for (column, cell) in (0..).zip(line.split(',')) {
            // Excel makes a number of what looks like one.
            match cell.parse::<f64>() {
                Ok(number) => sheet.write(row, column, number).unwrap(),
                Err(_) => sheet.write(row, column, cell).unwrap(),
            };
        }
    }
    let (status, id) = hana.bring(&workbook.save_to_buffer().unwrap()).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let id = id.unwrap();
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    assert!(page.contains("Excel (.xlsx)") && page.contains("先頭の0"), "{page}");
    assert_eq!(hana.post(&format!("/import/{id}/take"), "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.settled(id).await.counts.created, 2);
    assert!(office.patient("A1").await.is_some());

    let old = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &[0; 600]].concat();
    let (_, id) = hana.bring(&old).await;
    let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
    assert!(page.contains("古い形式") && page.contains("Excelブック（.xlsx）"), "{page}");
    assert!(page.contains("取り込める行がありません"), "{page}");
}

async fn a_list_that_is_sent_twice_is_taken_over_once(office: Office) {
    let hana = office.scheduler().await;
    let (_, id) = hana.bring(list(&[HANA]).as_bytes()).await;
    let take = format!("/import/{}/take", id.unwrap());
    let (one, other) = tokio::join!(hana.post(&take, ""), hana.post(&take, ""));
    assert_eq!((one.0, other.0), (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER));
    let taken = office.settled(id.unwrap()).await;
    assert_eq!(taken.counts.done(), 1);
    assert_eq!(office.audited("list.import_begun").await, 1);
    let again = hana.import(&[HANA]).await;
    assert_eq!((again.counts.unchanged, again.counts.created), (1, 0));
    let (_, id) = hana.bring(list(&[HANA]).as_bytes()).await;
    let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
    assert!(page.contains("同じ内容の一覧がすでに取り込まれています"), "{page}");
}

async fn a_bad_row_is_put_right_on_the_page(office: Office) {
    let hana = office.scheduler().await;
    let broken = "A3,佐藤次郎,佐藤次郎,1950/2/30,080-1111-2222,2026/11/20,2026/12/1,9:30";
    let unclosed = "\"A4,鈴木一";
    let (_, id) = hana.bring(list(&[HANA, broken, unclosed, TARO]).as_bytes()).await;
    let id = id.unwrap();
    let page = format!("/import/{id}");
    let (_, shown) = hana.get(&page).await;
    for part in ["この画面で直す", "value=\"1950/2/30\"", "id=\"line-3\"", "id=\"line-4\""] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let mend = format!("{page}/mend");
    let cells = |line: usize, cells: &[&str]| {
        let cells = cells.join("&cell=");
        format!("line={line}&cell={cells}")
    };
    let still = ["A3", "S", "サトウ ジロウ", "1950/2/30", "08011112222", "", "", "9:30"];
    assert_eq!(hana.post(&mend, &cells(3, &still)).await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.within().import(id).await.unwrap().refused, 2, "the date is still wrong");
    let mended = ["A3", "S", "サトウ ジロウ", "1950/2/28", "08011112222", "", "", "9:30"];
    assert_eq!(hana.post(&mend, &cells(3, &mended)).await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.within().import(id).await.unwrap().refused, 1);
    let whole = ["A4", "T", "スズキ イチ", "1951/2/3", "09099998888", "", "", "10:00"];
    assert_eq!(hana.post(&mend, &cells(4, &whole)).await.0, StatusCode::SEE_OTHER);
    // What is no row, and more cells than headings.
    for (line, row) in [(99, &whole[..]), (3, &["x"; 20][..])] {
        assert_eq!(hana.post(&mend, &cells(line, row)).await.0, StatusCode::NOT_FOUND);
    }
    let nurse = office.person("nao", Role::Nurse, office.home).await;
    assert_eq!(nurse.post(&mend, &cells(3, &mended)).await.0, StatusCode::FORBIDDEN);
    let stranger = office.person("yama", Role::Scheduler, office.other).await;
    assert_eq!(stranger.post(&mend, &cells(3, &mended)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(hana.post(&format!("{page}/take"), "").await.0, StatusCode::SEE_OTHER);
    let taken = office.settled(id).await;
    assert_eq!((taken.counts.created, taken.refused), (4, 0));
    assert!(office.patient("A3").await.is_some() && office.patient("A4").await.is_some());
    assert!(office.within().import_reading(id).await.unwrap().rows.is_empty(), "not needed now");
    assert_eq!(hana.post(&mend, &cells(3, &mended)).await.0, StatusCode::CONFLICT);
    assert_eq!(office.audited("list.row_mended").await, 3);
}

async fn a_heading_is_explained_once(office: Office) {
    let hana = office.scheduler().await;
    let foreign =
        list(&[HANA]).replace("電話番号1", "ご連絡先").replace("生年月日", "血液型,生年月日");
    let foreign = foreign.replace("S25.1.2", "A型,S25.1.2");
    let (_, id) = hana.bring(foreign.as_bytes()).await;
    let id = id.unwrap();
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    for part in ["知らない見出し", "「電話番号1」の列がありません", "value=\"ご連絡先\""]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    let say = |fields: &str| {
        let fields = fields.to_owned();
        let (hana, path) = (&hana, format!("/import/{id}/headings"));
        async move { hana.post(&path, &fields).await.0 }
    };
    assert_eq!(say("heading=ご連絡先&field=nonsense").await, StatusCode::NOT_FOUND);
    assert_eq!(say("heading=nonsense&field=備考").await, StatusCode::NOT_FOUND);
    let both = "heading=ご連絡先&field=電話番号1&heading=血液型&field=-";
    assert_eq!(say(both).await, StatusCode::SEE_OTHER);
    assert_eq!(office.within().import(id).await.unwrap().refused, 0);
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    assert!(page.contains("090-1234-5678") || page.contains("取り込める行"), "{page}");
    assert!(!page.contains("この列は読み込みません"), "{page}");
    // The next list is read so at once.
    let (_, again) = hana.bring(foreign.as_bytes()).await;
    let again = again.unwrap();
    assert_eq!(office.within().import(again).await.unwrap().rows, 1);
    assert_eq!(hana.post(&format!("/import/{again}/take"), "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.settled(again).await.counts.created, 1);
    // Another centre has headings of its own.
    let stranger = office.person("yama", Role::Scheduler, office.other).await;
    let (_, theirs) = stranger.bring(foreign.as_bytes()).await;
    let theirs = office
        .store()
        .within(Scope { center: office.other, clinic: None })
        .import(theirs.unwrap())
        .await
        .unwrap();
    assert_eq!(theirs.rows, 0);
    // Taken back, it is not known any more.
    assert_eq!(say("heading=ご連絡先&field=").await, StatusCode::SEE_OTHER);
    let (_, id) = hana.bring(foreign.as_bytes()).await;
    assert_eq!(office.within().import(id.unwrap()).await.unwrap().rows, 0);
}

/// A list with 性別, one that does not tell it, and taking each back.
async fn gender_comes_with_a_list_and_stays_when_another_does_not_tell_it(office: Office) {
    let hana = office.scheduler().await;
    let with = list(&[HANA]).replace(",電話番号", ",性別,電話番号");
    for (told, expected) in [
        ("男", Some(Gender::Male)),
        ("女性", Some(Gender::Female)),
        ("F", Some(Gender::Female)),
        ("その他", Some(Gender::Other)),
        ("不明", Some(Gender::Unknown)),
        ("", Some(Gender::Unknown)),
    ] {
        let list = with.replace("S25.1.2,", &format!("S25.1.2,{told},"));
        let (_, id) = hana.bring(list.as_bytes()).await;
        let id = id.unwrap();
        assert_eq!(hana.post(&format!("/import/{id}/take"), "").await.0, StatusCode::SEE_OTHER);
        office.settled(id).await;
        let patient = office.patient("A1").await.unwrap();
        assert_eq!(office.within().patient(patient).await.unwrap().gender, expected, "{told}");
    }
    let again = hana.import(&[HANA]).await;
    assert_eq!((again.counts.unchanged, again.counts.updated), (1, 0));
    let nameless = with.replace("S25.1.2,", "S25.1.2,猫,");
    let (_, id) = hana.bring(nameless.as_bytes()).await;
    let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
    assert!(page.contains("性別として読めません"), "{page}");
    let patient = office.patient("A1").await.unwrap();
    let page = format!("/patients/{patient}");
    assert!(hana.get(&page).await.1.contains("一覧の取り込みで登録"));
    assert_eq!(hana.post(&format!("{page}/gender"), "gender=cat").await.0, StatusCode::NOT_FOUND);
    let set = hana.post(&format!("{page}/gender"), "gender=female").await;
    assert_eq!(set.0, StatusCode::SEE_OTHER);
    let (_, shown) = hana.get(&page).await;
    assert!(shown.contains("<del>不明</del> → <ins>女</ins>"), "{shown}");
}

/// A list with 架電曜日 and 報告方法, one that does not tell them, and taking the first back.
async fn days_and_way_come_with_a_list_and_stay_when_another_does_not_tell_them(office: Office) {
    let hana = office.scheduler().await;
    let with = |days: &str, way: &str| {
        let head = list(&[HANA]).replace("架電時刻1", "架電時刻1,架電曜日,報告方法");
        head.replace(",9:30", &format!(",9:30,{days},{way}"))
    };
    let take = async |text: String| {
        let id = hana.bring(text.as_bytes()).await.1.unwrap();
        assert_eq!(hana.post(&format!("/import/{id}/take"), "").await.0, StatusCode::SEE_OTHER);
        office.settled(id).await
    };
    let agreed = async || {
        let patient = office.patient("A1").await.unwrap();
        let arrangement = office.within().episode_of(patient).await.unwrap().unwrap().arrangement;
        (arrangement.weekdays.written().ja, arrangement.channel)
    };
    for (days, way, fault) in
        [("祝日", "電話", "曜日として読めません"), ("月", "FAX", "「電話」「Web」「職員」のどれか")]
    {
        let (_, id) = hana.bring(with(days, way).as_bytes()).await;
        let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
        assert!(page.contains(fault), "{fault} in {page}");
    }
    assert_eq!(take(with("月水金", "")).await.counts.created, 1);
    assert_eq!(agreed().await, ("月水金".into(), arrangement::Channel::Telephone));
    // What a list does not tell is as it was agreed.
    assert_eq!(hana.import(&[HANA]).await.counts.unchanged, 1);
    assert_eq!(take(with("", "電話")).await.counts.unchanged, 1);
    let (_, id) = hana.bring(with("平日", "Web").as_bytes()).await;
    let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
    for part in ["架電曜日", "月水金", "月火水木金", "報告方法"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let changed = take(with("平日", "Web")).await;
    assert_eq!(changed.counts.updated, 1);
    assert_eq!(agreed().await, ("月火水木金".into(), arrangement::Channel::Web));
    assert_eq!(hana.take_back(changed.id).await.counts.restored, 1);
    assert_eq!(agreed().await, ("月水金".into(), arrangement::Channel::Telephone));
}

async fn how_people_stood_before_a_list_is_forgotten_after_ninety_days(office: Office) {
    let hana = office.scheduler().await;
    let first = hana.import(&[HANA]).await;
    let second = hana.import(&[&HANA.replace("9:30", "10:30")]).await;
    let days = |days: u64| at(10, 0) + Duration::from_hours(24 * days);
    office.store().roll_health(days(89)).await.unwrap();
    assert!(second.can_be_undone(days(89)) && !second.can_be_undone(days(91)));
    assert_eq!(hana.take_back(second.id).await.counts.restored, 1, "it is still known");
    office.store().roll_health(days(91)).await.unwrap();
    let entry = AuditEntry {
        actor: Actor::Program,
        health_center: None,
        action: "list.undo_begun",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    let by = office.store().mint(at(10, 0));
    let begun = office.within().begin_undo(days(91), first.id, by, &entry).await;
    assert!(!begun.unwrap(), "too late");
    // Even for a clock that is behind: it is gone.
    let undone = hana.take_back(first.id).await;
    assert_eq!((undone.counts.left, undone.counts.deleted), (1, 0));
    assert!(office.patient("A1").await.is_some());
}

async fn whoever_was_called_is_not_deleted_but_no_longer_observed(office: Office) {
    let hana = office.scheduler().await;
    let taken = hana.import(&[HANA, TARO]).await;
    office.called("A1").await;
    let undone = hana.take_back(taken.id).await;
    assert_eq!((undone.counts.ended, undone.counts.deleted), (1, 1));
    let called = office.patient("A1").await.unwrap();
    assert!(office.within().episode_of(called).await.unwrap().is_none(), "nobody calls again");
    let slots = office.store().slots_of(called, DAY).await.unwrap();
    assert_eq!(slots[0].state, SlotState::InProgress, "the call goes on");
    assert!(office.patient("A2").await.is_none());
    let (_, page) = hana.get(&format!("/import/{}", taken.id)).await;
    assert!(page.contains("電話・記録があるため観察を終了"), "{page}");
}

async fn whoever_was_tested_is_not_deleted_but_no_longer_observed(office: Office) {
    let hana = office.scheduler().await;
    let taken = hana.import(&[HANA, TARO]).await;
    let tested = office.patient("A1").await.unwrap();
    let nao = office.person("nao", Role::Nurse, office.home).await;
    let test = format!("collected={DAY}T09:00&method=naat&result=negative");
    let (status, _) = nao.post(&format!("/release/{tested}/tests"), &test).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let undone = hana.take_back(taken.id).await;
    assert_eq!((undone.counts.ended, undone.counts.deleted), (1, 1));
    assert!(office.within().episode_of(tested).await.unwrap().is_none(), "nobody calls");
    assert!(office.patient("A2").await.is_none());
}

async fn what_staff_changed_since_is_left_as_it_is(office: Office) {
    let hana = office.scheduler().await;
    let first = hana.import(&[HANA]).await;
    hana.import(&[&HANA.replace("9:30", "10:30")]).await;
    let undone = hana.take_back(first.id).await;
    assert_eq!((undone.counts.left, undone.counts.deleted), (1, 0));
    assert_eq!(office.patients().await, 1);
}

async fn changed_patients_become_what_they_were(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA]).await;
    let patient = office.patient("A1").await.unwrap();
    let before = office.within().patient(patient).await.unwrap();
    let days = office.within().episode_of(patient).await.unwrap();

    let changed = HANA
        .replace("カンザキ", "ヤマダ")
        .replace("9:30", "10:30")
        .replace("9012345678", "8012345678");
    let second = hana.import(&[&changed]).await;
    assert_eq!(second.counts.updated, 1);
    assert_ne!(office.within().patient(patient).await.unwrap(), before);
    let undone = hana.take_back(second.id).await;
    assert_eq!(undone.counts.restored, 1);
    assert_eq!(office.within().patient(patient).await.unwrap(), before);
    assert_eq!(office.within().episode_of(patient).await.unwrap(), days);

    // A later stay ends the one before; taken back, the one before goes on.
    let later = HANA.replace("2026/11/20,2026/12/1", "2026/12/10,2026/12/20");
    let third = hana.import(&[&later]).await;
    assert_ne!(office.within().episode_of(patient).await.unwrap(), days);
    assert_eq!(hana.take_back(third.id).await.counts.restored, 1);
    assert_eq!(office.within().episode_of(patient).await.unwrap(), days);
}

async fn nobody_imports_without_the_right_or_for_another_centre(office: Office) {
    let hana = office.scheduler().await;
    let taken = hana.import(&[HANA]).await;
    let nurse = office.person("nao", Role::Nurse, office.home).await;
    let auditor = office.person("aki", Role::Auditor, office.home).await;
    let stranger = office.person("yuki", Role::Scheduler, office.other).await;
    for (person, refused) in [
        (&nurse, StatusCode::FORBIDDEN),
        (&auditor, StatusCode::FORBIDDEN),
        (&stranger, StatusCode::NOT_FOUND),
    ] {
        let page = format!("/import/{}", taken.id);
        assert_eq!(person.get(&page).await.0, refused, "{}", person.login);
        assert_eq!(person.get(&format!("{page}/problems.csv")).await.0, refused);
        for verb in ["take", "undo"] {
            assert_eq!(person.post(&format!("{page}/{verb}"), "").await.0, refused);
        }
    }
    assert_eq!(nurse.bring(list(&[TARO]).as_bytes()).await.0, StatusCode::FORBIDDEN);
    let (_, page) = stranger.get("/import").await;
    assert!(!page.contains("list.csv"), "the lists of others are not shown");
    let request = Request::post(format!("/import/{}/undo", taken.id))
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(hana.ask(request, "csrf=wrong").await.0, StatusCode::FORBIDDEN);
    let endless = format!("leave={}", "1".repeat(300 * 1024));
    let (status, page) = hana.post(&format!("/import/{}/take", taken.id), &endless).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("大きすぎます"), "{page}");
    assert_eq!(office.patients().await, 1);
    // The same number at another centre is another person.
    let (_, id) = stranger.bring(list(&[HANA]).as_bytes()).await;
    let take = format!("/import/{}/take", id.unwrap());
    assert_eq!(stranger.post(&take, "").await.0, StatusCode::SEE_OTHER);
    while office.store().patients(office.other).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(office.patients().await, 1);
}
