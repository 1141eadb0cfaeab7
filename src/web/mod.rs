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

mod api;
#[doc = include_str!("asvs.md")]
pub mod asvs {}
pub mod assets;
pub mod auth;
pub mod console;
pub mod csv;
pub mod fault;
mod guard;
mod live;
mod range;
mod refusal;
mod release;
mod server;
pub mod tls;
pub mod ui;
pub mod upload;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router, middleware};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::base::id::{HealthCenterId, PatientId};
use crate::base::{Clock, Private};
use crate::campaign::Terms;
use crate::campaign::terms::Stock;
use crate::escalation::rule::RuleBook;
use crate::ivr::{Catalog, Questionnaire, Questionnaires};
use crate::prompt::Library;
use crate::recording::Archive;
use crate::registry::{Arrangement, Reach};
use crate::release::ReleaseBook;
use crate::store::{Store, StoreError, Within};
use crate::web::auth::{Door, SecondFactor, oidc};
use crate::web::tls::TlsListener;

/// How the console is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Where it listens.
    pub bind: SocketAddr,
    /// A session that nobody uses ends after this.
    pub idle_timeout: Duration,
    /// A session ends after this, however much it is used.
    pub session_timeout: Duration,
    /// Requests a minute that one token, or one member of the staff, may make of the API.
    pub requests_per_minute: u32,
    /// Whether a second factor is asked for.
    pub second_factor: SecondFactor,
    /// What the secrets of second factors are sealed with. Without it none can be set up.
    pub key: Option<Private<[u8; 32]>>,
    /// A proxy on this network ends TLS, and says in `X-Forwarded-For` who asks.
    pub behind_proxy: bool,
    /// Certificate and key, if this program ends TLS itself.
    pub tls: Option<tls::Files>,
    /// The identity provider, if there is one.
    pub oidc: Option<oidc::Config>,
}

impl Config {
    /// The shipped values: this machine only.
    pub fn shipped() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            idle_timeout: Duration::from_mins(20),
            session_timeout: Duration::from_hours(12),
            requests_per_minute: 600,
            second_factor: SecondFactor::Required,
            key: None,
            behind_proxy: false,
            tls: None,
            oidc: None,
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
    /// What can be asked; the terms of each campaign say what is.
    pub questionnaires: Arc<Questionnaires>,
    /// When a human must act.
    pub rules: Arc<RuleBook>,
    /// When an observation may end.
    pub release_rules: Arc<ReleaseBook>,
    /// By which terms patients are called whose centre has no campaign, so that a plan can be shown
    /// before the worker makes it.
    pub terms: Arc<Terms>,
    /// Where recordings are, if any are kept.
    pub archive: Option<Archive>,
    /// How the console is served.
    pub config: Arc<Config>,
}

impl Desk {
    /// A desk with all that is shipped, whose prompts are silence: to measure pages, and to test them.
    ///
    /// # Errors
    /// None, as tests make sure.
    pub fn silent(store: Store, clock: Clock, config: Config) -> anyhow::Result<Self> {
        Ok(Self {
            store,
            clock,
            library: Arc::new(Library::silent(Catalog::embedded())),
            questionnaires: Questionnaires::shipped(),
            rules: Arc::new(RuleBook::shipped()?),
            release_rules: Arc::new(ReleaseBook::shipped()?),
            terms: Arc::new(Terms::shipped()),
            archive: None,
            config: Arc::new(config),
        })
    }

    /// What the terms of the centre's campaigns may name.
    async fn stock(&self, now: Timestamp, within: &Within<'_>) -> Result<Stock, StoreError> {
        within.stock(now, self.questionnaires.keys(), &self.rules).await
    }

    /// The terms of those who were put into no campaign of their own.
    async fn usual_terms(
        &self,
        now: Timestamp,
        center: HealthCenterId,
    ) -> Result<Arc<Terms>, StoreError> {
        let book = self.store.campaigns(now).await?;
        Ok(book.in_force(center, &Arrangement::default(), &self.terms).terms)
    }

    /// What a patient is asked: what the terms of the campaign say, or else the usual one. A report
    /// that somebody has taken must be readable whatever became of a file.
    async fn asked(
        &self,
        now: Timestamp,
        within: &Within<'_>,
        patient: PatientId,
    ) -> Result<Arc<Questionnaire>, StoreError> {
        let episode = within.episode_of(patient).await?;
        let arrangement = episode.map(|episode| episode.arrangement).unwrap_or_default();
        let book = self.store.campaigns(now).await?;
        let terms = book.in_force(within.center(), &arrangement, &self.terms).terms;
        let named = self.questionnaires.named(&terms.questionnaire);
        Ok(Arc::clone(named.unwrap_or_else(|| self.questionnaires.usual())))
    }

    /// The campaigns that call nobody because what they ask is not there, with what that is.
    async fn mute_campaigns(
        &self,
        now: Timestamp,
        reach: Reach,
    ) -> Result<Vec<(String, String)>, StoreError> {
        self.store.mute_campaigns(now, reach, self.questionnaires.keys()).await
    }
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
        .merge(api::routes(&desk))
        .merge(console::routes())
        .merge(live::routes())
        .layer(Extension(live))
        .layer(middleware::from_fn_with_state(desk.clone(), refusal::note))
        .fallback(fault::no_such_page);
    let door = Door::new(&desk);
    guard::around(pages, &desk, &door).layer(Extension(door)).with_state(desk)
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
/// If certificate and key cannot be used.
pub async fn serve(
    listener: TcpListener,
    desk: Desk,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let live = live::Live::new(&desk);
    let watched = Arc::clone(&live);
    let app = routes(desk.clone(), live);
    // Streams of events end when nobody is served any more.
    let farewell = move || watched.end();
    match &desk.config.tls {
        Some(files) => {
            let listener = TlsListener::new(listener, files).map_err(io::Error::other)?;
            server::run(listener, app, stop, farewell).await;
        }
        None => server::run(listener, app, stop, farewell).await,
    }
    Ok(())
}
