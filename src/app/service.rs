//! `mimamori run`: the service.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::app::{clock, house};
use crate::config::Config;
use crate::worker;

/// Runs until SIGTERM or Ctrl-C, then lets the calls under way come to their end.
pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let clock = clock::host();
    let house = house::build(config, &clock).await?;
    let trunk = house.trunk(&clock).await?;
    let road = Arc::new(house.road(trunk.clone(), clock)?);
    let (stop, stopped) = watch::channel(false);
    if road.webhook.is_none() {
        warn!("no webhook is configured: cases are listed by `mimamori cases` only");
    }
    let mut walking = tokio::spawn(worker::run(Arc::clone(&road), stopped));
    info!(node = road.config.node, "ready: calls are placed when they fall due");
    let result = tokio::select! {
        // It ends by itself only if it cannot begin.
        ended = &mut walking => ended,
        signal = wait_for_signal() => {
            signal?;
            info!("stopping: no new calls; calls under way come to their end");
            stop.send_replace(true);
            walking.await
        }
    };
    let result = result.context("the road broke off")?;
    trunk.stop(Duration::ZERO).await;
    road.store.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

/// Waits until the operating system or a person asks to stop.
pub(super) async fn wait_for_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupt = tokio::signal::ctrl_c() => interrupt.context("cannot listen to Ctrl-C")?,
    }
    Ok(())
}
