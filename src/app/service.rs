//! `mimamori run`: the service.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::app::state::Link;
use crate::app::{Configured, clock, console, house, ladder, state, stop};
use crate::worker;

/// How the service is begun.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    /// 架電を止めた状態で始める(試験通話も。画面か resume で再開) / Begin with all calls stopped,
    /// test calls too, until the console or `mimamori resume` lets them begin
    #[arg(long)]
    stopped: bool,
}

/// How long the carrier may take to hear that calls are over and that we register no more.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or Ctrl-C, then lets the calls under way come to their end; a second signal
/// ends them.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let clock = clock::host();
    let house = house::build(options.configured.load()?, &clock).await?;
    if options.stopped {
        let reason = "止めた状態で起動 / begun with --stopped";
        stop::set(&house.store, clock.now().timestamp, false, reason).await?;
    }
    let trunk = house.trunk(&clock).await?;
    if let Some(ladders) = trunk.take_ladders() {
        tokio::spawn(ladder::keep(house.store.clone(), clock.clone(), ladders));
    }
    let desk = house.desk(&clock);
    let group = house.config.worker.trunk_group.clone();
    let link = house.config.trunk.as_ref();
    let link = link.map(|settings| Link::from(&settings.trunk).in_group(group));
    let road = Arc::new(house.road(trunk.clone(), clock)?);
    let (stop, stopped) = watch::channel(false);
    if road.webhook.is_none() {
        warn!("no webhook is configured: cases are listed by `mimamori cases` only");
    }
    // Until here nothing is under way, and a signal ends the process by itself.
    let mut signals = Signals::listen()?;
    if let Some(desk) = desk {
        console::start(desk, stopped.clone()).await?;
    }
    let walking = tokio::spawn(worker::run(Arc::clone(&road), stopped));
    // There is one: the trunk was started from it.
    let telling =
        link.map(|link| tokio::spawn(state::keep_telling(Arc::clone(&road), link, trunk.watch())));
    info!(node = road.config.node, "ready: calls are placed when they fall due");
    let result = until_stopped(walking, &stop, async || signals.next().await).await;
    if let Some(telling) = telling {
        telling.abort();
    }
    if timeout(FAREWELL, trunk.stop(Duration::ZERO)).await.is_err() {
        warn!("the carrier does not answer that calls are over");
    }
    road.store.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// Waits until the road is walked to its end: of itself, or because of a signal, or at once because
/// of a second one. Calls that are ended at once are closed as interrupted by the next start, which
/// lets staff know.
async fn until_stopped(
    mut walking: JoinHandle<anyhow::Result<()>>,
    stop: &watch::Sender<bool>,
    mut next_signal: impl AsyncFnMut(),
) -> anyhow::Result<()> {
    let ended = tokio::select! {
        // It ends by itself only if it cannot begin.
        ended = &mut walking => Some(ended),
        () = next_signal() => None,
    };
    if let Some(ended) = ended {
        return ended.context("処理が途切れました / the road broke off")?;
    }
    info!("stopping: no new calls; calls under way come to their end (a second signal ends them)");
    stop.send_replace(true);
    tokio::select! {
        ended = &mut walking => ended.context("処理が途切れました / the road broke off")?,
        () = next_signal() => {
            warn!("stopping at once: calls under way are ended");
            walking.abort();
            // Once it is gone, its calls are hung up.
            match walking.await {
                Ok(result) => result,
                Err(error) if error.is_cancelled() => Ok(()),
                Err(error) => Err(error).context("処理が途切れました / the road broke off"),
            }
        }
    }
}

/// What asks the service to stop: the operating system, or a person at the terminal.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on; a signal no longer ends the process by itself.
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())
                .context("SIGTERM を受けられません / cannot listen to SIGTERM")?,
            interrupt: signal(SignalKind::interrupt())
                .context("Ctrl-C を受けられません / cannot listen to Ctrl-C")?,
        })
    }

    /// Waits for the next signal. Cancel-safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// How long it takes to stop a road that needs two minutes for its calls, with signals at
    /// these seconds.
    async fn stops_after(signals: &[u64]) -> Duration {
        let began = Instant::now();
        let (stop, mut stopped) = watch::channel(false);
        let walking = tokio::spawn(async move {
            stopped.wait_for(|stopped| *stopped).await?;
            sleep(Duration::from_mins(2)).await;
            Ok(())
        });
        let (sender, mut received) = mpsc::unbounded_channel();
        let sending = async {
            for second in signals {
                tokio::time::sleep_until(began + Duration::from_secs(*second)).await;
                sender.send(()).unwrap();
            }
            std::future::pending::<()>().await;
        };
        let stopping = until_stopped(walking, &stop, async || received.recv().await.unwrap());
        tokio::select! {
            result = stopping => result.unwrap(),
            () = sending => {}
        }
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_waits_for_no_call() {
        assert_eq!(stops_after(&[10]).await.as_secs(), 130);
        assert_eq!(stops_after(&[10, 15]).await.as_secs(), 15);
    }
}
