//! A simulated health centre on this machine: real SIP, real RTP, a real database, invented people.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::ToSpan;
use jiff::civil::time;

use crate::app::house;
use crate::app::state::Link;
use crate::base::clock::timestamp;
use crate::base::{Clock, Language, Now, PhoneNumber, Private};
use crate::call::{Completion, Respondent};
use crate::campaign::pacing::Limits;
use crate::config::{HealthCenterSettings, RecordingSettings, default_cache};
use crate::escalation::rule::RuleBook;
use crate::ivr::{Answer, Questionnaire, Questionnaires, YesNo};
use crate::observation::Channel;
use crate::prompt::{self, Library, Pace};
use crate::recording::Recorder;
use crate::registry::{
    Arrangement, Episode, Gender, HealthCenter, Patient, PatientPhone, PhoneRole,
};
use crate::sim::{self, carrier};
use crate::sim::{Directory, Persona, Resident, SharedRepertoire, SipCarrier, Taught, Temper};
use crate::store::{Report, Store};
use crate::tape;
use crate::trunk::media::{self, Engine};
use crate::trunk::{self, Codec, Identity, Trunk};
use crate::worker::{self, Progress, Recordings, Road};

/// What the simulation is to be like.
pub(super) struct Plan<'a> {
    /// Where the database goes; a fresh folder.
    pub(super) folder: &'a Path,
    /// What kind of people, one patient each.
    pub(super) tempers: Vec<Temper>,
    /// Decides everything else.
    pub(super) seed: u64,
    /// Lines of the trunk.
    pub(super) lines: usize,
    /// New calls per second.
    pub(super) calls_per_second: u32,
}

/// A health centre, its carrier and its patients, ready to be run.
pub(super) struct Simulation {
    pub(super) road: Arc<Road<Taught<Trunk>>>,
    pub(super) carrier: SipCarrier,
    pub(super) trunk: Trunk,
    pub(super) link: Link,
    pub(super) clock: Clock,
    pub(super) center: HealthCenter,
}

/// A morning in which calls are allowed, whatever the hour is here.
fn morning() -> Clock {
    let today = super::clock::host().now().date();
    sim::clock::starting_at(timestamp(today.to_datetime(time(9, 0, 0, 0))))
}

const CENTER: &str = "minato";

/// Opens the store, invents the people, and starts carrier and trunk. Everything that can be said
/// is made ready.
pub(super) async fn build(plan: Plan<'_>) -> anyhow::Result<Simulation> {
    let clock = morning();
    let now = clock.now();
    let database = plan.folder.join("mimamori.sqlite");
    let database = database
        .to_str()
        .context("フォルダーの名前が UTF-8 ではありません / the folder's name is not UTF-8")?;
    let store = Store::open(database, super::seed()?).await?;
    let center = house::health_center(
        &HealthCenterSettings {
            code: CENTER.to_owned(),
            name: "みなと保健所".to_owned(),
            kana: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            opens_at: time(9, 0, 0, 0),
            closes_at: time(18, 0, 0, 0),
        },
        store.mint(now.timestamp),
    );
    store.save_health_center(now.timestamp, &center).await?;
    let residents = invent_people(&store, &center, now, &plan).await?;

    let questionnaires = Questionnaires::shipped();
    let library = Library::open(prompt::Config { folder: None, cache: default_cache() })?;
    let library = Arc::new(library);
    let needed = house::for_any_patient(questionnaires.usual(), &center, now.date());
    let speaking = Arc::clone(&library);
    let speak = move || Pace::ALL.into_iter().try_for_each(|pace| speaking.prepare(&needed, pace));
    tokio::task::spawn_blocking(speak)
        .await
        .context("音声の合成が途切れました / the speech broke off")??;

    // Two sockets for each side of a call, and the database's files.
    media::allow_open_files(u64::try_from(plan.lines * 4 + 256)?)
        .context("開けるファイルの数が足りません / the system does not permit enough open files")?;
    let directory = Arc::new(Directory::new(residents));
    let repertoire = SharedRepertoire::default();
    let carrier = SipCarrier::start(
        carrier::Config {
            address: LOOPBACK,
            media_ports: 40_000..=49_999,
            media_threads: 1,
            credentials: None,
        },
        directory,
        repertoire.clone(),
        clock.clone(),
    )
    .await
    .context("模擬の電話会社を始められません / the simulated carrier cannot start")?;
    let engine = Engine::start(&media::Config { threads: 1, ports: 30_000..=39_999 })?;
    let config = trunk_config(&carrier, &plan)?;
    let link = Link::from(&config);
    let trunk = Trunk::start(config, engine, clock.clone()).await?;
    // Beside the database, so that `listen --database` finds both.
    let policy = tape::Policy { keep: tape::Keep::All, keep_days: 30 };
    let recordings = RecordingSettings::beside(database, policy);
    let archive = house::archive(&recordings)?;
    let recorder =
        Recorder::start(&archive).context("録音を始められません / the recorder cannot start")?;
    let recordings = Recordings { archive, recorder, policy };
    let road = Road {
        store,
        carrier: Arc::new(Taught::new(trunk.clone(), repertoire)),
        library,
        questionnaires,
        rules: RuleBook::shipped()?,
        clock: clock.clone(),
        webhook: None,
        recordings: Some(recordings),
        config: worker::Config {
            ring_timeout: Duration::from_secs(30),
            limits: Limits {
                calls_per_second: f64::from(plan.calls_per_second),
                burst: 1,
                calls_at_once: plan.lines,
            },
            drain: Duration::from_secs(5),
            ..worker::Config::shipped("simulation".to_owned())
        },
        progress: Progress::new(),
    };
    Ok(Simulation { road: Arc::new(road), carrier, trunk, link, clock, center })
}

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn trunk_config(carrier: &SipCarrier, plan: &Plan<'_>) -> anyhow::Result<trunk::Config> {
    Ok(trunk::Config {
        name: "simulated".to_owned(),
        host: carrier.address().to_string(),
        outbound_proxy: None,
        domain: carrier.address().ip().to_string(),
        bind: LOOPBACK,
        public_ip: None,
        further_hosts: Vec::new(),
        media_networks: Vec::new(),
        user: "minato".to_owned(),
        credentials: None,
        registration: None,
        caller: "03-1234-5678".parse()?,
        caller_name: None,
        callee_uri: "sip:{national}@{domain}".parse()?,
        caller_uri: "sip:{national}@{domain}".parse()?,
        identity: Identity::None,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        max_calls: plan.lines,
        // Calls 1/n s apart begin at most n + 1 times within a second.
        calls_per_second: plan.calls_per_second + 1,
        response_timeout: Duration::from_secs(4),
        keep_alive: None,
        session_interval: None,
        lead_in: Duration::from_millis(700),
    })
}

/// Family names with their kana; all invented people share them.
const NAMES: [(&str, &str, Gender); 10] = [
    ("佐藤 ハナ", "サトウ ハナ", Gender::Female),
    ("鈴木 一郎", "スズキ イチロウ", Gender::Male),
    ("高橋 ウメ", "タカハシ ウメ", Gender::Female),
    ("田中 正", "タナカ タダシ", Gender::Male),
    ("伊藤 キヨ", "イトウ キヨ", Gender::Female),
    ("渡辺 茂", "ワタナベ シゲル", Gender::Male),
    ("山本 トメ", "ヤマモト トメ", Gender::Female),
    ("中村 清", "ナカムラ キヨシ", Gender::Male),
    ("小林 フミ", "コバヤシ フミ", Gender::Female),
    ("加藤 実", "カトウ ミノル", Gender::Male),
];

/// Enrols one patient per temper, all due now; they have been under observation since the day
/// before yesterday, and whoever falls ill on the third day falls ill today.
async fn invent_people(
    store: &Store,
    center: &HealthCenter,
    now: Now,
    plan: &Plan<'_>,
) -> anyhow::Result<Vec<(PhoneNumber, Resident)>> {
    let today = now.date();
    let first_day = today.checked_sub(2.days())?;
    let mut residents = Vec::new();
    for (index, temper) in plan.tempers.iter().copied().enumerate() {
        let number: PhoneNumber = format!("090{:08}", 10_000_001 + index).parse()?;
        let (name, kana, gender) = &NAMES[index % NAMES.len()];
        let month = i8::try_from(index % 12)? + 1;
        let day = i8::try_from(index % 28)? + 1;
        let born = jiff::civil::date(1936 + i16::try_from(index % 40)?, month, day);
        let role = match temper {
            Temper::Family => PhoneRole::Family,
            Temper::Machine => PhoneRole::Home,
            _ => PhoneRole::Mobile,
        };
        let patient = Patient {
            id: store.mint(now.timestamp),
            health_center: center.id,
            registration_number: format!("{:06}", 100_001 + index),
            birth_date: Private::new(born),
            name: Private::new((*name).to_owned()),
            kana: Private::new((*kana).to_owned()),
            gender: Some(*gender),
            language: Language::Ja,
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: temper == Temper::Slow,
            lives_alone: index % 5 == 0,
            risks: Vec::new(),
            phones: vec![PatientPhone { number: number.clone(), role, may_call: true }],
        };
        let episode = Episode {
            id: store.mint(now.timestamp),
            patient: patient.id,
            first_day,
            last_day: today.checked_add(4.days())?,
            call_times: vec![time(9, 0, 0, 0)],
            arrangement: Arrangement::default(),
        };
        store.import_patient(now.timestamp, &patient, Some(&episode)).await?;
        let persona = Persona { temper, seed: plan.seed.wrapping_add(u64::try_from(index)?) };
        for back in 1..=2_i32 {
            let at = timestamp(today.checked_sub(back.days())?.to_datetime(time(9, 5, 0, 0)));
            let values = ["temperature", "spo2"]
                .map(|code| (code.to_owned(), persona.meant(2 - back, code)))
                .into_iter()
                .chain([("dyspnea".to_owned(), Answer::Choice(YesNo::No))])
                .collect();
            let report = Report {
                channel: Channel::Staff,
                respondent: Respondent::Patient,
                questionnaire: questionnaire_key(),
                effective_at: at,
                values,
                completion: Completion::Complete,
            };
            store.report(at, patient.id, &report).await?;
        }
        let birth = Private::new((born.month(), born.day()));
        residents.push((number, Resident { persona, birth, first_day }));
    }
    Ok(residents)
}

fn questionnaire_key() -> String {
    Questionnaire::recuperation().key()
}
