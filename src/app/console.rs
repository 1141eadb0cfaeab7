//! The console: beside the road in `mimamori run`, or alone in `mimamori console`.

use std::process::ExitCode;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

use crate::app::service::Signals;
use crate::app::{clock, house};
use crate::config::Config;
use crate::web::{self, Desk};

/// Serves the console alone, for instance on a node that has no lines.
pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let clock = clock::host();
    let house = house::build(config, &clock).await?;
    let desk = house.desk(&clock).context(
        "設定に [web] がありません / the configuration has no [web]: there is no console",
    )?;
    let store = desk.store.clone();
    let (stop, stopped) = watch::channel(false);
    let mut signals = Signals::listen()?;
    let mut serving = start(desk, stopped).await?;
    tokio::select! {
        _ = &mut serving => {}
        () = signals.next() => {
            stop.send_replace(true);
            // A second signal does not wait for answers under way.
            tokio::select! {
                _ = serving => {}
                () = signals.next() => {}
            }
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Begins to serve. Should it break off, calls go on: the error is logged.
///
/// # Errors
/// If the address cannot be bound.
pub(super) async fn start(
    desk: Desk,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<()>> {
    let listener = web::listen(&desk.config).await.with_context(|| {
        let address = desk.config.bind;
        format!("画面の待ち受けができません / the console cannot listen at {address}")
    })?;
    info!("the console is at http://{}", listener.local_addr()?);
    Ok(tokio::spawn(async move {
        if let Err(error) = web::serve(listener, desk, stop).await {
            error!("the console broke off: {error}");
        }
    }))
}
