//! `mimamori demo`: a simulated health centre calls its patients, live, in the terminal and in the
//! console.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stdout};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use tracing::error;

use crate::app::simulated::{self, Plan, Simulation};
use crate::app::{clock, state, table};
use crate::base::Private;
use crate::base::clock::civil;
use crate::base::id::AttemptId;
use crate::campaign::{AttemptState, SlotState};
use crate::ivr::Answer;
use crate::registry::{Actor, AuditEntry, ConsoleLanguage, HealthCenter, Reach, Role, Staff};
use crate::release::ReleaseBook;
use crate::sim::Temper;
use crate::store::{CaseFilter, Store};
use crate::web::auth::{SecondFactor, password};
use crate::web::{self, Desk};
use crate::worker::{self, News, Road, Step};

/// What the demonstration is to be like.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// 患者の数 / How many patients
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=500))]
    patients: u16,
    /// 回線の数 / How many lines
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    lines: u16,
    /// 人柄を決める数 / Decides what the people are like
    #[arg(long, default_value_t = 2026)]
    seed: u64,
    /// データベースを置くフォルダー(空か新規) / Where the database goes
    #[arg(long)]
    folder: Option<PathBuf>,
}

/// After this long the demonstration is over, whoever still talks.
const LONGEST: Duration = Duration::from_secs(250);

/// Calls that are under way when time is up may take so long to be cut off.
const CUTTING_OFF: Duration = Duration::from_secs(15);

/// Runs the demonstration.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut out = stdout();
    let folder = options.folder.unwrap_or_else(fresh_folder);
    std::fs::create_dir_all(&folder).with_context(|| {
        format!("フォルダー {0} を作れません / cannot make the folder {0}", folder.display())
    })?;
    writeln!(
        out,
        "見守りコール デモ: 模擬の保健所、電話会社、患者 {} 人、{} 回線 (実際の SIP と RTP、127.0.0.1)\n\
         mimamori demo: a simulated health centre, its carrier and {} patients on {} lines\n\n\
         音声を準備しています(初回は 1 分ほど) / making the prompts ready (the first time about a minute) …",
        options.patients, options.lines, options.patients, options.lines
    )?;
    let tempers: Vec<Temper> = cast().cycle().take(usize::from(options.patients)).collect();
    let began = Instant::now();
    let simulation = simulated::build(Plan {
        folder: &folder,
        tempers,
        seed: options.seed,
        lines: usize::from(options.lines),
        calls_per_second: 2,
    })
    .await?;
    writeln!(out, "準備できました / ready after {:.0} s\n", began.elapsed().as_secs_f64())?;

    let Simulation { road, carrier, trunk, link, clock, center } = simulation;
    let news = road.progress.watch();
    let (stop, stopped) = watch::channel(false);
    let (close, closed) = watch::channel(false);
    let console = open_console(&road, &center, closed).await?;
    let telling = tokio::spawn(state::keep_telling(Arc::clone(&road), link, trunk.watch()));
    let mut walking = tokio::spawn(worker::run(Arc::clone(&road), stopped));
    let mut board = Board::new(&road.store, usize::from(options.lines), &clock).await?;
    let is_interrupted = tokio::select! {
        shown = board.watch(news) => { shown?; false }
        ended = &mut walking => { ended.context("処理が途切れました / the road broke off")??; true }
        interrupt = tokio::signal::ctrl_c() => {
            interrupt.context("Ctrl-C を受けられません / cannot listen to Ctrl-C")?;
            true
        }
    };
    // Somebody who looks at the pages goes on looking; retries go on, too.
    let stays_open = stdout().is_terminal() && !is_interrupted;
    let mut end_calls = async || {
        stop.send_replace(true);
        if timeout(CUTTING_OFF, &mut walking).await.is_err() {
            walking.abort();
        }
        telling.abort();
        trunk.stop(Duration::ZERO).await;
    };
    if !stays_open {
        end_calls().await;
    }

    let date = clock.now().date();
    writeln!(out, "\n健康状態一覧 / State of health, {date}")?;
    writeln!(out, "{}", table::health_list(&road.store.health_list(date).await?, date))?;
    writeln!(out, "{}\n", table::LEGEND)?;
    writeln!(out, "対応が必要なケース / Open cases")?;
    writeln!(out, "{}", table::cases(&road.store.cases(CaseFilter::Unresolved).await?))?;
    let database = folder.join("mimamori.sqlite");
    writeln!(
        out,
        "\nデータベース / database: {}\n\
         続けて見る / look further:\n  \
         mimamori observations --database {} --patient 100001\n  \
         mimamori cases --database {}",
        database.display(),
        database.display(),
        database.display()
    )?;
    if stays_open {
        writeln!(
            out,
            "\n画面は開いたままです。終わるには Ctrl-C を押してください: {address}\n\
             The console stays open. Press Ctrl-C to end: {address}",
            address = console.address
        )?;
        tokio::signal::ctrl_c().await.context("cannot listen to Ctrl-C")?;
        end_calls().await;
    }
    drop(carrier);
    close.send_replace(true);
    console.serving.await.context("the console broke off")?;
    road.store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// The console of the demonstration.
struct Console {
    address: String,
    serving: JoinHandle<()>,
}

/// Opens the console on this machine alone and tells how to sign in.
async fn open_console<C>(
    road: &Road<C>,
    center: &HealthCenter,
    closed: watch::Receiver<bool>,
) -> anyhow::Result<Console> {
    let password = invite(&road.store, road.clock.now().timestamp, center).await?;
    let desk = desk(road)?;
    let listener = web::listen(&desk.config).await.context("the console cannot listen")?;
    let address = format!("http://{}", listener.local_addr()?);
    writeln!(
        stdout(),
        "画面 / console: {address}\n\
         ログイン名 / login: {LOGIN}\n\
         パスワード(この表示だけ) / password (shown only here): {}\n\
         通話の様子は「今日」、結果は「健康状態一覧」で見られます / \
         see the calls on 今日 (Today), and what came of them on 健康状態一覧\n",
        password.expose()
    )?;
    let serving = tokio::spawn(async move {
        if let Err(error) = web::serve(listener, desk, closed).await {
            error!("the console broke off: {error}");
        }
    });
    Ok(Console { address, serving })
}

/// The one who looks at the demonstration.
const LOGIN: &str = "demo";

/// Lets somebody in who may see every page; returns the password.
async fn invite(
    store: &Store,
    now: Timestamp,
    center: &HealthCenter,
) -> anyhow::Result<Private<String>> {
    let staff = Staff {
        id: store.mint(now),
        health_center: Some(center.id),
        clinic: None,
        login: LOGIN.to_owned(),
        name: "デモ 管理者".to_owned().into(),
        roles: vec![Role::Supervisor, Role::Engineer, Role::Auditor, Role::Administrator],
        is_active: true,
        language: ConsoleLanguage::Ja,
        has_second_factor: false,
        must_change_password: false,
        locked_until: None,
    };
    let password = password::one_time()?;
    let hash = password::hash(&password)?;
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: staff.health_center,
        action: "staff.added",
        patient: None,
        object: staff.id.to_string(),
        detail: "demo".to_owned(),
    };
    store.managing(Reach::Everybody).add(now, &staff, Some(&hash), &entry).await?;
    Ok(password)
}

/// What the console needs, on a free port of this machine.
fn desk<C>(road: &Road<C>) -> anyhow::Result<Desk> {
    let config = web::Config {
        bind: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        second_factor: SecondFactor::Optional,
        key: Some(Private::new(super::seed()?)),
        ..web::Config::shipped()
    };
    Ok(Desk {
        store: road.store.clone(),
        clock: road.clock.clone(),
        library: Arc::clone(&road.library),
        questionnaires: Arc::clone(&road.questionnaires),
        rules: Arc::new(road.rules.clone()),
        release_rules: Arc::new(ReleaseBook::shipped()?),
        terms: Arc::clone(&road.config.terms),
        archive: road.recordings.as_ref().map(|recordings| recordings.archive.clone()),
        config: Arc::new(config),
    })
}

fn fresh_folder() -> PathBuf {
    let now = civil(clock::host().now().timestamp);
    std::env::temp_dir().join(format!("mimamori-demo-{}", now.strftime("%Y%m%d-%H%M%S")))
}

/// Everyone once, and those whom a nurse must hear of first.
fn cast() -> impl Iterator<Item = Temper> + Clone {
    [Temper::Urgent, Temper::FeverOnThirdDay, Temper::Breathless].into_iter().chain(
        Temper::ALL.into_iter().filter(|temper| {
            !matches!(temper, Temper::Urgent | Temper::FeverOnThirdDay | Temper::Breathless)
        }),
    )
}

/// What is shown while calls are under way.
struct Board<'a> {
    store: &'a Store,
    clock: &'a crate::base::Clock,
    n_lines: usize,
    numbers: BTreeMap<crate::base::id::PatientId, String>,
    calls: BTreeMap<AttemptId, Shown>,
    n_ended: usize,
    is_terminal: bool,
    /// Lines that the last drawing took.
    drawn: usize,
}

/// One call on the board.
struct Shown {
    number: String,
    state: String,
}

impl<'a> Board<'a> {
    async fn new(
        store: &'a Store,
        n_lines: usize,
        clock: &'a crate::base::Clock,
    ) -> anyhow::Result<Self> {
        let mut numbers = BTreeMap::new();
        for center in store.health_centers().await? {
            for patient in store.patients(center.id).await? {
                let name = patient.name.expose();
                numbers.insert(patient.id, format!("{} {name}様", patient.registration_number));
            }
        }
        Ok(Self {
            store,
            clock,
            n_lines,
            numbers,
            calls: BTreeMap::new(),
            n_ended: 0,
            is_terminal: stdout().is_terminal(),
            drawn: 0,
        })
    }

    /// Shows what happens until every slot has been tried and nobody talks any more.
    async fn watch(&mut self, mut news: broadcast::Receiver<News>) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut tick = interval(Duration::from_millis(500));
        while began.elapsed() < LONGEST {
            tokio::select! {
                one = news.recv() => match one {
                    Ok(one) => self.note(one)?,
                    // What was missed is not shown; the next state is.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
                _ = tick.tick() => {
                    self.draw()?;
                    if self.calls.is_empty() && self.n_ended > 0 && self.is_everyone_tried().await? {
                        break;
                    }
                }
            }
        }
        self.draw()
    }

    async fn is_everyone_tried(&self) -> anyhow::Result<bool> {
        let now = self.clock.now();
        let funnel = self.store.funnel(now.date()).await?;
        let is_live = funnel
            .attempts
            .iter()
            .any(|(state, _)| matches!(state, AttemptState::Dialing | AttemptState::Talking));
        let next_due = self.store.next_due().await?;
        let is_due = next_due.is_some_and(|at| at <= now.timestamp);
        let n_tried: u32 = funnel
            .attempts
            .iter()
            .filter(|(state, _)| *state == AttemptState::Done)
            .map(|(_, count)| count)
            .sum();
        let n_open: u32 = funnel
            .slots
            .iter()
            .filter(|(state, _)| *state == SlotState::Due)
            .map(|(_, count)| count)
            .sum();
        let n_slots: u32 = funnel.slots.iter().map(|(_, count)| count).sum();
        Ok(!is_live && !is_due && (n_open == 0 || n_tried >= n_slots))
    }

    fn note(&mut self, News { attempt, patient, step }: News) -> anyhow::Result<()> {
        let number = self.numbers.get(&patient).cloned().unwrap_or_default();
        let state = match step {
            Step::Dialing => "発信 / dialling".to_owned(),
            Step::Ringing => "呼出中 / ringing".to_owned(),
            Step::Answered => "応答 / answered".to_owned(),
            Step::Saying(said) => match said.last() {
                Some(utterance) => format!("♪ {}", utterance.prompt),
                None => return Ok(()),
            },
            Step::Key => "キー / a key".to_owned(),
            Step::Identified(respondent) => format!("確認 / identified: {}", respondent.as_str()),
            Step::Stored(entry) => {
                let answer = match (entry.question.as_str(), entry.answer) {
                    ("temperature", Answer::Number(tenths)) => {
                        format!("{}.{}", tenths / 10, tenths % 10)
                    }
                    (_, answer) => answer.to_text(),
                };
                format!("✓ {} = {answer}", entry.question)
            }
            Step::Ended { disposition, respondent, completion } => {
                self.calls.remove(&attempt);
                self.n_ended += 1;
                let words = [
                    Some(disposition.as_str()),
                    respondent.map(crate::call::Respondent::as_str),
                    completion.map(crate::call::Completion::as_str),
                ];
                let words: Vec<&str> = words.into_iter().flatten().collect();
                return self.say(&format!("{number}  終了 / ended: {}", words.join(", ")));
            }
        };
        if !self.is_terminal && matches!(state.chars().next(), Some('✓' | '発')) {
            self.say(&format!("{number}  {state}"))?;
        }
        self.calls.insert(attempt, Shown { number, state });
        Ok(())
    }

    /// Prints a line that stays, above the board.
    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        self.erase()?;
        let at = civil(self.clock.now().timestamp).strftime("%H:%M:%S");
        writeln!(stdout(), "{at}  {line}")?;
        Ok(())
    }

    /// Draws the calls under way, where somebody looks.
    fn draw(&mut self) -> anyhow::Result<()> {
        if !self.is_terminal {
            return Ok(());
        }
        self.erase()?;
        let mut out = stdout().lock();
        writeln!(
            out,
            "── 通話中 / in progress {}/{}   終了 / ended {} ──",
            self.calls.len(),
            self.n_lines,
            self.n_ended
        )?;
        for Shown { number, state } in self.calls.values() {
            writeln!(out, "  ☎ {number}  {state}")?;
        }
        out.flush()?;
        self.drawn = self.calls.len() + 1;
        Ok(())
    }

    fn erase(&mut self) -> anyhow::Result<()> {
        if self.drawn > 0 {
            // Up to the board's first line, and clear to the end of the screen (ECMA-48).
            write!(stdout(), "\x1b[{}A\x1b[J", self.drawn)?;
            self.drawn = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::ConnectInfo;
    use axum::http::Request;
    use axum::http::header::{CONTENT_TYPE, HOST, LOCATION};
    use jiff::civil::time;
    use tower::ServiceExt;

    use super::*;
    use crate::escalation::rule::RuleBook;
    use crate::ivr::{Catalog, Questionnaires};
    use crate::prompt::Library;
    use crate::worker::Progress;

    #[tokio::test]
    async fn whoever_is_invited_signs_in_with_the_password_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("demo.db");
        let store = Store::open(file.to_str().unwrap(), [4; 32]).await.unwrap();
        let clock = clock::host();
        let now = clock.now().timestamp;
        let center = HealthCenter {
            id: store.mint(now),
            code: "minato".to_owned(),
            name: "みなと保健所".to_owned(),
            kana: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            opens_at: time(9, 0, 0, 0),
            closes_at: time(18, 0, 0, 0),
        };
        store.save_health_center(now, &center).await.unwrap();
        let road = Road {
            store,
            carrier: Arc::new(()),
            library: Arc::new(Library::silent(Catalog::embedded())),
            questionnaires: Questionnaires::shipped(),
            rules: RuleBook::shipped().unwrap(),
            clock,
            webhook: None,
            recordings: None,
            config: worker::Config::shipped("demo".to_owned()),
            progress: Progress::new(),
        };
        let password = invite(&road.store, now, &center).await.unwrap();
        let desk = desk(&road).unwrap();
        assert!(desk.config.bind.ip().is_loopback());
        let mut request = Request::post("/login")
            .header(HOST, "127.0.0.1")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(format!("login={LOGIN}&password={}", password.expose())))
            .unwrap();
        request.extensions_mut().insert(ConnectInfo(desk.config.bind));
        let answer = web::router(desk).oneshot(request).await.unwrap();
        let to = answer.headers().get(LOCATION).map(|to| to.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), to), (303, Some("/")));
    }
}
