//! Connections: how many, how long each may take to say what it wants, and how they end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::ServiceExt;
use tracing::debug;

/// Connections at once; beyond them, new ones wait in the kernel. A browser holds six at most.
const CONNECTIONS: usize = 2000;

/// How long the head of a request may take: whoever sends a letter a minute holds a connection no
/// longer (slowloris). Also how long an idle connection is kept.
const HEAD: Duration = Duration::from_secs(30);

/// How long answers under way, and streams that never end, may take at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves until `stop` turns true or its sender is gone; says farewell, so that what never ends by
/// itself may end.
pub(super) async fn run<L>(
    mut listener: L,
    app: Router,
    mut stop: watch::Receiver<bool>,
    farewell: impl FnOnce(),
) where
    L: Listener<Addr = SocketAddr>,
{
    let graceful = GracefulShutdown::new();
    let turns = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let turn = Arc::clone(&turns).acquire_owned().await;
            (turn, listener.accept().await)
        };
        let (turn, (stream, address)) = tokio::select! {
            next = next => next,
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        let app = app.clone();
        let service = service_fn(move |request: axum::http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(address));
            app.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .serve_connection(TokioIo::new(stream), service);
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = watched.await {
                debug!("a connection broke off: {error}");
            }
            drop(turn);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    farewell();
    let _ = timeout(FAREWELL, graceful.shutdown()).await;
}
