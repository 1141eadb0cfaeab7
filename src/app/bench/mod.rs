//! `mimamori bench`: simultaneous interviews on this machine, measured.
//!
//! Both sides run in this process: the service with its trunk, and the simulated carrier with its
//! patients. So the CPU time holds both, and a real service costs less.

mod console;
mod plan;

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use jiff::civil::time;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout};

use crate::app::simulated::{self, Plan, Simulation};
use crate::base::Private;
use crate::base::id::HealthCenterId;
use crate::call::{Completion, Respondent};
use crate::registry::HealthCenter;
use crate::sim::Temper;
use crate::trunk::media;
use crate::worker::{self, News, Step};

/// What is measured.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// 同時通話の数 / How many interviews at once
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2000))]
    calls: u16,
    /// 音声だけを測る秒数(省略すると問診全体) / Only the media engine, for so many seconds
    #[arg(long)]
    media_seconds: Option<u32>,
    /// 画面の速さを測る / How fast the pages are
    #[arg(long, conflicts_with = "media_seconds")]
    console: bool,
    /// 一日の計画と、次の架電を選ぶ速さを測る / How fast a day is planned, and the next calls are
    /// claimed
    #[arg(long, conflicts_with_all = ["console", "media_seconds"])]
    plan: bool,
    /// 計画の測定で、過ぎた日の数(1日4回分) / Past days, with four slots for everybody, for the
    /// plan
    #[arg(long, default_value_t = 25, requires = "plan",
        value_parser = clap::value_parser!(u32).range(0..=900))]
    past_days: u32,
    /// 画面と計画の測定に使う患者数 / Patients that are invented for pages or plan
    #[arg(long, default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(1..=500_000))]
    patients: u32,
    /// 画面と計画の測定に使うデータベース(省略すると一時ファイル) / The empty database to fill, a
    /// temporary file if left out; one filled before is measured again
    #[arg(long, hide_env_values = true)]
    database: Option<Private<String>>,
}

/// A database for one run: the one that was named, or a file that goes with this value.
struct Place {
    database: Private<String>,
    folder: Option<PathBuf>,
}

impl Place {
    fn new(database: Option<&Private<String>>) -> anyhow::Result<Self> {
        if let Some(database) = database {
            return Ok(Self { database: database.clone(), folder: None });
        }
        let folder = std::env::temp_dir().join(format!("mimamori-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("bench.db").display().to_string();
        Ok(Self { database: Private::new(file), folder: Some(folder) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Invented people only, and the next run makes them again.
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The centre of everybody who is invented.
fn center(id: HealthCenterId) -> HealthCenter {
    HealthCenter {
        id,
        code: "bench".to_owned(),
        name: "みまもり保健所".to_owned(),
        kana: "ミマモリホケ'ンジョ".to_owned(),
        desk_phone: "03-0000-0000".to_owned(),
        opens_at: time(8, 0, 0, 0),
        closes_at: time(20, 0, 0, 0),
    }
}

/// One line: the median and the 95th percentile, in milliseconds, and the weight in kB.
fn print(
    out: &mut impl Write,
    name: &str,
    mut times: Vec<Duration>,
    largest: Option<usize>,
) -> anyhow::Result<()> {
    times.sort_unstable();
    let quantile = |percent: usize| {
        times.get(times.len() * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    let weight = largest.map(|bytes| format!("{}", bytes / 1000)).unwrap_or_default();
    writeln!(out, "{name:<44} {:>8.1} {:>8.1} {weight:>9}", quantile(50), quantile(95))?;
    Ok(())
}

/// Longer than any interview may last, dialling included.
const LONGEST: Duration = Duration::from_mins(12);

/// Runs the benchmark and prints what was measured.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    if options.console {
        console::run(options.database.as_ref(), options.patients).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.plan {
        plan::run(options.database.as_ref(), options.patients, options.past_days).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = stdout();
    let calls = usize::from(options.calls);
    if let Some(seconds) = options.media_seconds {
        let report = tokio::task::spawn_blocking(move || media::bench::run(calls, seconds))
            .await
            .context("測定が途切れました / the benchmark broke off")??;
        writeln!(out, "{report}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = std::env::temp_dir().join(format!("mimamori-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let simulation = simulated::build(Plan {
        folder: &folder,
        tempers: vec![Temper::Prompt; calls],
        seed: 1,
        lines: calls,
        // All are talking before the first has ended.
        calls_per_second: u32::from(options.calls / 10).max(1),
    })
    .await?;
    let result = measure(simulation, calls).await;
    // Invented people only, and the next run makes them again.
    std::fs::remove_dir_all(&folder)?;
    result
}

async fn measure(simulation: Simulation, calls: usize) -> anyhow::Result<ExitCode> {
    let Simulation { road, carrier, trunk, clock, .. } = simulation;
    let news = road.progress.watch();
    let (stop, stopped) = watch::channel(false);
    let cpu_before = cpu_time()?;
    let began = Instant::now();
    let walking = tokio::spawn(worker::run(Arc::clone(&road), stopped));
    let ended = timeout(LONGEST, until_ended(news, calls)).await;
    let wall = began.elapsed();
    let cpu = cpu_time()?.saturating_sub(cpu_before);
    stop.send_replace(true);
    walking.await.context("処理が途切れました / the road broke off")??;
    trunk.stop(Duration::ZERO).await;

    let counts =
        ended.context("問診が終わりませんでした / the interviews did not come to an end")??;
    let date = clock.now().date();
    let stored: BTreeMap<String, u32> = road
        .store
        .attempts_of_day(date)
        .await?
        .into_iter()
        .map(|one| (one.attempt.phone.e164().to_owned(), one.answers))
        .collect();
    let seen = carrier.directory().calls();
    let n_pressed: usize = seen.iter().map(|call| call.seen.keys.len()).sum();
    let talked: Duration =
        seen.iter().map(|call| call.began_at.duration_until(call.ended_at).unsigned_abs()).sum();
    let minutes = talked.as_secs_f64() / 60.0;
    let mut out = stdout();
    let (most, complete, seconds) =
        (carrier.directory().most_live(), counts.complete, wall.as_secs_f64());
    writeln!(
        out,
        "問診 {calls} 件、同時に最大 {most} 件、完了 {complete} 件、{seconds:.0} 秒\n\
         interviews {calls}, at once at most {most}, complete {complete}, wall {seconds:.0} s"
    )?;
    for (ending, count) in &counts.endings {
        writeln!(out, "  {count:5} {ending}")?;
    }
    let (n_heard, n_answers, n_patients) =
        (counts.keys, stored.values().sum::<u32>(), stored.len());
    writeln!(
        out,
        "キー: 押した {n_pressed}、届いた {n_heard}。保存した回答 {n_answers}(患者 {n_patients} 人)\n\
         keys: pressed {n_pressed}, heard {n_heard}; answers stored {n_answers} from {n_patients} \
         patients"
    )?;
    let (cpu, a_minute) = (cpu.as_secs_f64(), cpu.as_secs_f64() / minutes);
    writeln!(
        out,
        "CPU(サービスと模擬装置の合計) {cpu:.2} 秒、通話 {minutes:.1} 分、通話 1 分あたり {a_minute:.3} 秒\n\
         CPU of service and simulator together: {cpu:.2} s for {minutes:.1} call-minutes = \
         {a_minute:.3} s a call-minute"
    )?;
    let heard = carrier.heard();
    let spacing = &heard.spacing_received;
    let [p50, p99, max] =
        [spacing.quantile(0.5), spacing.quantile(0.99), spacing.max].map(milliseconds);
    let (received, lost) = (heard.received, heard.lost);
    writeln!(
        out,
        "患者側の音のパケット: 届いた {received}、失われた {lost}。間隔 p50 {p50:.2} ms、p99 {p99:.2} ms、\
         最大 {max:.1} ms\n\
         packets of sound at the patients' side: {received} received, {lost} lost; spacing p50 \
         {p50:.2} ms, p99 {p99:.2} ms, max {max:.1} ms"
    )?;
    let all_well = counts.complete == calls && counts.keys == n_pressed;
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the service noticed.
#[derive(Default)]
struct Counts {
    complete: usize,
    keys: usize,
    /// How calls ended, and how often so.
    endings: BTreeMap<String, usize>,
}

/// Watches until so many calls have ended.
async fn until_ended(mut news: broadcast::Receiver<News>, calls: usize) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut ended = 0;
    while ended < calls {
        match news.recv().await.context("知らせを取りこぼしました: この機械では数えきれません / news was missed: the machine is too slow to count")?.step {
            Step::Key => counts.keys += 1,
            Step::Ended { disposition, respondent, completion } => {
                ended += 1;
                let words = [
                    Some(disposition.as_str()),
                    respondent.map(Respondent::as_str),
                    completion.map(Completion::as_str),
                ];
                let words: Vec<&str> = words.into_iter().flatten().collect();
                *counts.endings.entry(words.join(", ")).or_default() += 1;
                counts.complete += usize::from(completion == Some(Completion::Complete));
            }
            _ => {}
        }
    }
    Ok(counts)
}

fn cpu_time() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let total = usage.user_time() + usage.system_time();
    Ok(Duration::from_micros(u64::try_from(total.num_microseconds())?))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
