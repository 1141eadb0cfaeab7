//! `mimamori demo`: a simulated health centre calls its patients, live, in the terminal.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, interval, timeout};

use crate::app::simulated::{self, Plan, Simulation};
use crate::app::{clock, table};
use crate::base::clock::civil;
use crate::base::id::AttemptId;
use crate::campaign::{AttemptState, SlotState};
use crate::ivr::Answer;
use crate::sim::Temper;
use crate::store::{CaseFilter, Store};
use crate::worker::{self, News, Step};

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

    let Simulation { road, carrier, trunk, clock } = simulation;
    let news = road.progress.watch();
    let (stop, stopped) = watch::channel(false);
    let mut walking = tokio::spawn(worker::run(Arc::clone(&road), stopped));
    let mut board = Board::new(&road.store, usize::from(options.lines), &clock).await?;
    tokio::select! {
        shown = board.watch(news) => shown?,
        ended = &mut walking => ended.context("処理が途切れました / the road broke off")??,
        interrupt = tokio::signal::ctrl_c() => interrupt.context("Ctrl-C を受けられません / cannot listen to Ctrl-C")?,
    }
    stop.send_replace(true);
    if timeout(CUTTING_OFF, &mut walking).await.is_err() {
        walking.abort();
    }
    trunk.stop(Duration::ZERO).await;
    drop(carrier);

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
    road.store.close().await;
    Ok(ExitCode::SUCCESS)
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
