//! The staff console and its API: pages for people, JSON for programs, one set of rights for both.
//!
//! Pages are rendered here and work without script; islands of script make some of them livelier.
//! Nothing is fetched from elsewhere, so the console works in a closed network and under a strict
//! Content-Security-Policy. The web writes intentions into the store; the [`worker`](crate::worker)
//! carries them out.
//!
//! ```text
//! request ──► guard (size, time, origin, headers) ──► Viewer (who, with which rights)
//!                  page ◄── ui ◄── store.within(scope) ◄──┘      every view is audited
//! ```

pub mod assets;
pub mod auth;
pub mod console;
pub mod fault;
mod guard;
mod live;
pub mod ui;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::base::Clock;
use crate::escalation::rule::RuleBook;
use crate::ivr::Questionnaire;
use crate::prompt::Library;
use crate::store::Store;

/// How the console is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Where it listens.
    pub bind: SocketAddr,
    /// A session that nobody uses ends after this.
    pub idle_timeout: Duration,
    /// A session ends after this, however much it is used.
    pub session_timeout: Duration,
}

impl Config {
    /// The shipped values: this machine only.
    pub fn shipped() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            idle_timeout: Duration::from_mins(20),
            session_timeout: Duration::from_hours(12),
        }
    }
}

/// What every page may need. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// Where everything is written.
    pub store: Store,
    /// How time is handed down.
    pub clock: Clock,
    /// What can be said, to be heard before it is said to patients.
    pub library: Arc<Library>,
    /// What is asked.
    pub questionnaire: Arc<Questionnaire>,
    /// When a human must act.
    pub rules: Arc<RuleBook>,
    /// How the console is served.
    pub config: Arc<Config>,
}

/// All routes.
pub fn router(desk: Desk) -> Router {
    let live = live::Live::new(&desk);
    routes(desk, live)
}

fn routes(desk: Desk, live: Arc<live::Live>) -> Router {
    let pages = Router::new()
        .merge(assets::routes())
        .merge(auth::routes())
        .merge(console::routes())
        .merge(live::routes())
        .layer(Extension(live))
        .fallback(fault::no_such_page);
    guard::around(pages, &desk).with_state(desk)
}

/// Binds the address, so that the caller knows it before anybody is served.
///
/// # Errors
/// If the address is in use, or may not be used.
pub async fn listen(config: &Config) -> io::Result<TcpListener> {
    TcpListener::bind(config.bind).await
}

/// Serves until `stop` turns true, then lets answers under way come to their end.
///
/// # Errors
/// If the listener breaks off.
pub async fn serve(
    listener: TcpListener,
    desk: Desk,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let live = live::Live::new(&desk);
    let app = routes(desk, Arc::clone(&live)).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            // A sender that is gone stops, too.
            let _ = stop.wait_for(|stopped| *stopped).await;
            live.end();
        })
        .await
}
