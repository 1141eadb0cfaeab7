//! `mimamori call`: one interview now, printed as it goes.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use jiff::ToSpan;
use jiff::civil::{Date, Time, date};
use tokio::sync::broadcast;

use crate::app::{Configured, clock, house, table};
use crate::base::clock::timestamp;
use crate::base::id::PatientId;
use crate::base::phone::PhoneError;
use crate::base::{Language, Now, PhoneNumber, Private};
use crate::config::HealthCenterSettings;
use crate::ivr::Catalog;
use crate::registry::{Arrangement, Episode, Patient, PatientPhone, PhoneRole};
use crate::store::Store;
use crate::worker::{self, News, NotCalled, Step};

/// Whom to call.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// 電話番号 / The number: 090-1234-5678
    number: String,
    #[command(flatten)]
    configured: Configured,
    /// 登録のない番号に試すとき: 姓のカナ / For a number that is not registered: the family name
    /// in katakana. Nothing is kept then
    #[arg(long, requires = "birth")]
    name: Option<String>,
    /// 登録のない番号に試すとき: 誕生日の月日4桁 / the birth date, month and day: 0705
    #[arg(long, requires = "name")]
    birth: Option<String>,
    /// ゆっくり話す / Speak slowly
    #[arg(long)]
    slow: bool,
}

/// Calls, and prints the interview. A registered patient's answers are stored as in any call;
/// those of an unregistered number are forgotten.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let number: PhoneNumber = options.number.parse().map_err(|error: PhoneError| {
        let why = error.explanation();
        anyhow::anyhow!("この番号には架けられません / this number cannot be called: {why}")
    })?;
    let clock = clock::host();
    let now = clock.now();
    let mut house = house::build(options.configured.load()?, &clock).await?;
    let installation = house.store.clone();
    let registered = find(&house.store, &number, now).await?;
    // An invented patient lives in a database of its own, so that a trial goes the same way as
    // any other call and leaves nothing.
    let folder = std::env::temp_dir().join(format!("mimamori-call-{}", std::process::id()));
    let patient = match (registered, &options.name, &options.birth) {
        (Some(_), Some(_), _) => bail!(
            "この番号は登録されています。--name と --birth を外してください / \
             this number is registered: leave --name and --birth out"
        ),
        (Some(patient), None, _) => patient,
        (None, Some(name), Some(birth)) => {
            std::fs::create_dir_all(&folder)?;
            let file = folder.join("trial.sqlite");
            house.store = super::open_store(
                &file
                    .to_str()
                    .context(
                        "フォルダーの名前が UTF-8 ではありません / the folder's name is not UTF-8",
                    )?
                    .to_owned()
                    .into(),
            )
            .await?;
            let center = house
                .config
                .health_centers
                .first()
                .context("保健所がありません / no health centre")?;
            invent(&house.store, center, &number, name, birth, options.slow, now).await?
        }
        (None, _, _) => bail!(
            "この番号の患者は観察中ではありません。試すには --name カナ --birth MMDD / no patient \
             under observation has this number; to try it out: --name KANA --birth MMDD"
        ),
    };
    let trunk = house.trunk(&clock).await?;
    let catalog = house.library.catalog().clone();
    let road = Arc::new(house.road(trunk.clone(), clock)?);
    let printing = tokio::spawn(print(road.progress.watch(), catalog));
    // The database of an invented patient knows nothing of the emergency stop.
    let called = if installation.dialing().await?.is_running {
        worker::call_now(&road, patient, &number).await?
    } else {
        Err(NotCalled::Stopped)
    };
    trunk.stop(Duration::ZERO).await;
    let mut out = stdout();
    let code = match called {
        Ok(attempt) => {
            printing.await.context("表示が途切れました / the printing broke off")??;
            let entries = road.store.transcript(attempt).await?;
            writeln!(out, "{}", table::transcript(&entries))?;
            ExitCode::SUCCESS
        }
        Err(reason) => {
            printing.abort();
            writeln!(out, "{}", explain(reason))?;
            ExitCode::FAILURE
        }
    };
    road.store.close().await;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(code)
}

fn explain(reason: NotCalled) -> &'static str {
    match reason {
        NotCalled::NotUnderObservation => {
            "この患者は今日は観察中ではありません / the patient is not under observation today"
        }
        NotCalled::NoFreeSlot => {
            "今日の枠(4 回)は使い切りました / all four slots of the day are taken"
        }
        NotCalled::Stopped => {
            "すべての架電を止めています。再開してから架けてください(画面の「架電を再開する」、または \
             mimamori resume) / all calls are stopped: let them begin again first (in the console, or \
             with `mimamori resume`)"
        }
        NotCalled::ClockDiffers => {
            "時計とデータベースの時刻が 2 秒より多くずれています。時計を直してください / the clock and the \
             database disagree by more than 2 s: set the clock right"
        }
        _ => {
            "いまは架けられません: 時間外(8〜20 時、保健所の時間)、通話中、直前の架電から 3 分以内、\
             または他の方法で報告済み / not now: outside the hours (8–20, and the centre's), on the \
             line, less than 3 minutes after a call, or reported by another channel"
        }
    }
}

/// The patient under observation whom this number belongs to.
async fn find(store: &Store, number: &PhoneNumber, now: Now) -> anyhow::Result<Option<PatientId>> {
    let observed = store.episodes_on(now.date()).await?;
    let has_number = |patient: &Patient| patient.phones.iter().any(|one| one.number == *number);
    Ok(observed.iter().find(|one| has_number(&one.patient)).map(|one| one.patient.id))
}

async fn invent(
    store: &Store,
    center: &HealthCenterSettings,
    number: &PhoneNumber,
    name: &str,
    birth: &str,
    slow: bool,
    now: Now,
) -> anyhow::Result<PatientId> {
    let born = month_day(birth).with_context(|| {
        format!("--birth {birth:?}: 月日を 4 桁で(例 0705) / month and day in four digits (0705)")
    })?;
    // The law's hours hold for trials, too; the centre's own do not.
    let mut center = house::health_center(center, store.mint(now.timestamp));
    center.opens_at = Time::constant(8, 0, 0, 0);
    center.closes_at = Time::constant(20, 0, 0, 0);
    store.save_health_center(now.timestamp, &center).await?;
    let patient = Patient {
        id: store.mint(now.timestamp),
        health_center: center.id,
        registration_number: "trial".to_owned(),
        birth_date: Private::new(born),
        name: Private::new(name.to_owned()),
        kana: Private::new(name.to_owned()),
        gender: None,
        language: Language::Ja,
        has_thermometer: true,
        has_oximeter: true,
        slow_speech: slow,
        lives_alone: false,
        risks: Vec::new(),
        phones: vec![PatientPhone {
            number: number.clone(),
            role: PhoneRole::Mobile,
            may_call: true,
        }],
    };
    let today = now.date();
    let episode = Episode {
        id: store.mint(now.timestamp),
        patient: patient.id,
        first_day: today,
        last_day: today.checked_add(1.day())?,
        call_times: vec![Time::constant(9, 0, 0, 0)],
        arrangement: Arrangement::default(),
    };
    let at = timestamp(today.to_datetime(Time::midnight()));
    store.import_patient(at, &patient, Some(&episode)).await?;
    Ok(patient.id)
}

/// A day with this month and day, in a leap year so that 0229 is one.
fn month_day(birth: &str) -> Option<Date> {
    let number: u16 = birth.parse().ok().filter(|_| birth.len() == 4)?;
    let (month, day) = (i8::try_from(number / 100).ok()?, i8::try_from(number % 100).ok()?);
    Date::new(1940, month, day).ok().or_else(|| (number == 229).then(|| date(1940, 2, 29)))
}

/// Prints what happens until the call has ended.
async fn print(mut news: broadcast::Receiver<News>, catalog: Catalog) -> anyhow::Result<()> {
    loop {
        let News { step, .. } =
            news.recv().await.context("知らせが途切れました / the news broke off")?;
        let mut out = stdout();
        match step {
            Step::Dialing => writeln!(out, "発信しています / dialling …")?,
            Step::Ringing => writeln!(out, "呼び出しています / ringing …")?,
            Step::Answered => writeln!(out, "応答 / answered")?,
            Step::Saying(said) => {
                for utterance in said {
                    writeln!(out, "☎ {}", catalog.written(&utterance))?;
                }
            }
            Step::Key => {}
            Step::Identified(respondent) => {
                writeln!(out, "  [確認 / identified: {}]", respondent.as_str())?;
            }
            Step::Stored(entry) => writeln!(
                out,
                "  [記録 / stored: {} = {} (keys {})]",
                entry.question,
                entry.answer.to_text(),
                entry.keys
            )?,
            Step::Ended { disposition, respondent, completion } => {
                let words = [
                    Some(disposition.as_str()),
                    respondent.map(crate::call::Respondent::as_str),
                    completion.map(crate::call::Completion::as_str),
                ];
                let words: Vec<&str> = words.into_iter().flatten().collect();
                writeln!(out, "終了 / ended: {}", words.join(", "))?;
                return Ok(());
            }
        }
    }
}
