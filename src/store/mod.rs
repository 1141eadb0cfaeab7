//! The only SQL: one text for SQLite and PostgreSQL.
//!
//! The steps of the road meet here and nowhere else: each claims rows that the step before left,
//! and leaves rows for the next. Every method is one intention in the road's words, and takes
//! `now` from its caller.
//!
//! ```text
//! schedule ──► slot ──► attempt ──claim_due──► dial ──► talk ──► answer
//!                                                                  │ observe
//!              message ◄── case ◄── escalate ◄── observation ◄─────┘
//! ```
//!
//! SQLite has one connection that writes, so that writers queue instead of colliding, and others
//! that read beside it (WAL). A write returns when it is on the disk, on both databases.

mod account;
mod audit;
mod batch;
mod call_file;
mod campaign;
mod care;
mod change;
mod dial;
mod disturbance;
mod error;
mod escalate;
mod handling;
mod health;
mod installation;
mod invent;
mod lab_test;
mod line;
mod managing;
mod migration;
mod morning;
mod node;
mod observe;
mod outbox;
mod page;
mod pause;
mod plan;
mod queue;
mod recording;
mod registry;
mod release;
mod report;
mod request;
mod rescue;
mod retention;
mod row;
mod ruling;
mod schedule;
mod search;
mod session;
mod setting;
mod staff;
mod take;
mod talk;
mod test_call;
mod time;
mod timeline;
mod undo;
mod view;
mod waiting;
mod welfare;
mod within;

use std::collections::HashMap;
use std::path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, ConnectOptions};

pub use account::Knock;
pub use audit::{AuditFilter, Auditing, Verified};
pub use batch::{BatchCounts, BatchState, ImportBatch, NewBatch, Reread};
pub use call_file::{CallFile, CallTechnical, Heard, OpenCaseOf};
pub use campaign::{CampaignChange, Discarded, Effect, Enrolment};
pub use care::{Agreed, PatientChange, Setting};
pub use change::{Changes, Topic};
pub use dial::{Claim, Claimant};
pub use disturbance::{Disturbances, MANY};
pub use error::StoreError;
pub use escalate::{CaseChange, CaseFilter, CaseView, Evaluated};
pub use handling::{CaseEvent, Handled};
pub use health::{
    Board, BoardRow, CallMade, CallNow, CallStage, Counts, Cursor, DayCell, DayState, HealthStatus,
    ListPage, ListQuery, Listed, Matrix, Need, OpenCase, SavedView, SlotOfDay, Symptom, View,
    Vital, WEEK,
};
pub use installation::Dialing;
pub use lab_test::LabTestWritten;
pub use line::{LineCall, LineOutcome};
pub use managing::{LAST_ADMINISTRATOR, Managing, OWN_RIGHTS};
pub use morning::{Finish, Morning, NoGo};
pub use node::{NodeStatus, RegistrationWord, TrunkStatus, TrunkWord};
pub use observe::{GivenAnswer, Report};
pub use outbox::{Message, MessageKind};
pub use pause::Resumed;
pub use plan::{NotNow, PatientsDay, PlanFilter, PlanPage, Stopped};
pub use queue::{CaseFile, Clip, HandOver, Promise, QueueCard, Unheard};
pub use recording::NewRecording;
pub use registry::{Change, Imported};
pub use release::{Convalescent, CourseWritten, Decided, Deciding, DecisionTaken, NotDecided};
pub use report::{Correction, StaffReport, Way};
pub use request::{Begun, KeptAnswer, RequestKey};
pub use rescue::Interrupted;
pub use retention::{Judged, Terms};
pub use ruling::{MadeRules, RulesState};
pub use schedule::{SlotToPlan, UnderObservation};
pub use search::Found;
pub use setting::CenterSettings;
pub use staff::{Account, SignedIn, Stage};
pub use take::{NewTake, PromptTake, TakeSource, TakeState};
pub use talk::Outcome;
pub use test_call::{NoTest, TestCall, TestStage};
pub use time::DatabaseTime;
pub use timeline::{CarePlan, Health, ListedIn, Observed};
pub use undo::Undone;
pub use view::{AttemptOfDay, DayReport, Funnel, HealthRow, LiveCall};
pub use waiting::{Services, Waiting};
pub use welfare::{
    Absence, NewWelfareCheck, NewWelfareList, Silent, WelfareCheck, WelfareDecision,
};
pub use within::Within;

use crate::base::address;
use crate::base::id::{CampaignId, Id, Minter};
use crate::store::change::Bell;
use crate::store::session::{ClockHold, Glance, Session};

/// Terms by campaign and version.
type Published = HashMap<(CampaignId, u32), Arc<crate::campaign::Terms>>;

/// The database, shared by all workers of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    dialect: Dialect,
    writer: AnyPool,
    reader: AnyPool,
    minter: Arc<Mutex<Minter>>,
    bell: Arc<Bell>,
    clock: ClockHold,
    /// Terms of campaigns that were read: published, they never change.
    terms: Arc<Mutex<Published>>,
}

/// Which database it is; asked only where the two must be told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// How long a statement waits for a connection or a lock before the database counts as
/// unavailable. Shorter than the silence that a patient would bear.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections that read while one writes (SQLite).
const SQLITE_READERS: u32 = 4;

/// Connections to PostgreSQL; its default allows 100 in all, for all nodes.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Said to every connection of SQLite. WAL lets readers read beside the writer; with
/// `synchronous = full` a commit is on the disk when it returns. 32 MB of pages are kept in memory.
const SQLITE_MANNERS: &str = "pragma busy_timeout = 5000; pragma journal_mode = wal; \
    pragma synchronous = full; pragma foreign_keys = on; pragma cache_size = -32000;";

/// Said to every connection of PostgreSQL: a commit is on the disk when it returns, and neither a
/// lock nor a forgotten transaction holds anybody up for long. Compiling a query of ours takes longer
/// than running it.
const POSTGRES_MANNERS: &str = "set synchronous_commit = on; set statement_timeout = '20s'; \
    set lock_timeout = '5s'; set idle_in_transaction_session_timeout = '20s'; \
    set client_min_messages = warning; set jit = off;";

impl Store {
    /// Opens the database and brings its tables up to date.
    ///
    /// `database` is a path (or `sqlite:` and a path) for SQLite, whose file is made if it is
    /// missing, or `postgres://…`. The seed makes the ids: from the operating system in service,
    /// fixed in a simulation.
    ///
    /// # Errors
    /// [`StoreError::UnknownDatabase`], [`StoreError::Unavailable`], or
    /// [`StoreError::Migration`], for instance if the database is newer than the program.
    pub async fn open(database: &str, seed: [u8; 32]) -> Result<Self, StoreError> {
        Self::open_with(database, seed, ClockHold::Free).await
    }

    /// Opens the database for a simulation in virtual time: keeps tokio's paused clock from
    /// running ahead while the database works, and lets one transaction at a time in, in the order
    /// in which they ask, so that a simulation takes the same course again. Costs a thread per
    /// transaction.
    pub async fn open_in_virtual_time(database: &str, seed: [u8; 32]) -> Result<Self, StoreError> {
        Self::open_with(database, seed, ClockHold::held()).await
    }

    /// In virtual time: lets the database be away for this process, or come back.
    pub fn set_away(&self, is_away: bool) {
        self.clock.set_away(is_away);
    }

    async fn open_with(
        database: &str,
        seed: [u8; 32],
        clock: ClockHold,
    ) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let held = clock.hold().await;
        let (dialect, url) = address(database)?;
        let options = url
            .parse::<AnyConnectOptions>()
            .map_err(|_| StoreError::UnknownDatabase)?
            // Personal data are in parameters, which sqlx does not log; but nobody needs the rest.
            .disable_statement_logging();
        let (writer, reader) = match dialect {
            Dialect::Sqlite => {
                // The first connection turns the file to WAL before others open it.
                let writer = pool(SQLITE_MANNERS, 1, options.clone()).await?;
                (writer, pool(SQLITE_MANNERS, SQLITE_READERS, options).await?)
            }
            Dialect::Postgres => {
                let connections = clock.at_once(POSTGRES_CONNECTIONS);
                let pool = pool(POSTGRES_MANNERS, connections, options).await?;
                (pool.clone(), pool)
            }
        };
        let store = Self {
            dialect,
            writer,
            reader,
            minter: Arc::new(Mutex::new(Minter::new(seed))),
            bell: Arc::new(Bell::new()),
            clock,
            terms: Arc::default(),
        };
        migration::run(dialect, &store.writer).await?;
        drop(held);
        Ok(store)
    }

    /// Wakes whoever waits on it after each change of these topics made through this process's
    /// store. Changes by other processes do not wake: look by the clock, too.
    pub fn changes(&self, topics: &'static [Topic]) -> Changes {
        self.bell.listen(topics)
    }

    /// A new id.
    pub fn mint<T: Id>(&self, now: Timestamp) -> T {
        self.minter.lock().unwrap_or_else(PoisonError::into_inner).mint(now)
    }

    /// Whether the database answers and can be written to; for health checks.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        sqlx::query("update health_center set id = id where id = ''")
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// Closes all connections once their work is done.
    pub async fn close(&self) {
        let _held = self.clock.hold().await;
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Begins a transaction that changes something.
    async fn write(&self) -> Result<Session, StoreError> {
        // A transaction of SQLite that begins by reading may find, when it comes to write, that
        // another process has written; one that begins by locking waits for its turn.
        const SQLITE_BEGIN: &str = "begin immediate";
        const POSTGRES_BEGIN: &str = "begin";
        let begin = match self.dialect {
            Dialect::Sqlite => SQLITE_BEGIN,
            Dialect::Postgres => POSTGRES_BEGIN,
        };
        Session::begin(self.dialect, &self.clock, &self.writer, begin, &self.bell).await
    }

    /// A connection for one statement, which is a transaction by itself: three times as fast as one
    /// that is begun and ended.
    async fn glance(&self) -> Result<Glance, StoreError> {
        Glance::new(&self.clock, &self.reader).await
    }

    /// Begins a transaction that sees one state of the whole database.
    async fn read(&self) -> Result<Session, StoreError> {
        const SQLITE_BEGIN: &str = "begin deferred";
        const POSTGRES_BEGIN: &str = "begin isolation level repeatable read, read only";
        let begin = match self.dialect {
            Dialect::Sqlite => SQLITE_BEGIN,
            Dialect::Postgres => POSTGRES_BEGIN,
        };
        Session::begin(self.dialect, &self.clock, &self.reader, begin, &self.bell).await
    }
}

/// Opens all connections of a pool and keeps them.
async fn pool(
    manners: &'static str,
    connections: u32,
    options: AnyConnectOptions,
) -> Result<AnyPool, StoreError> {
    let is_sqlite = options.database_url.scheme() == "sqlite";
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .min_connections(if is_sqlite { connections } else { 1 })
        .acquire_timeout(PATIENCE)
        // A file does not go away as a server does.
        .test_before_acquire(!is_sqlite)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(manners).execute(connection).await?;
                Ok(())
            })
        })
        .connect_with(options)
        .await?;
    Ok(pool)
}

/// Which database is meant, and its address as sqlx wants it.
fn address(database: &str) -> Result<(Dialect, String), StoreError> {
    if database.starts_with("postgres://") || database.starts_with("postgresql://") {
        return Ok((Dialect::Postgres, database.to_owned()));
    }
    let file = database.strip_prefix("sqlite:").unwrap_or(database);
    let file = file.strip_prefix("//").unwrap_or(file);
    if file.is_empty() || file.starts_with(':') || file.contains("://") {
        return Err(StoreError::UnknownDatabase);
    }
    let file = path::absolute(file).map_err(|_| StoreError::UnknownDatabase)?;
    let file = file.to_str().ok_or(StoreError::UnknownDatabase)?;
    Ok((Dialect::Sqlite, format!("sqlite://{}?mode=rwc", address::path(file))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_or_a_url_names_the_database() {
        for (database, expected) in [
            ("/var/lib/m.db", Some("sqlite:///var/lib/m.db?mode=rwc")),
            ("sqlite:/var/lib/m.db", Some("sqlite:///var/lib/m.db?mode=rwc")),
            ("sqlite:///var/lib/m.db", Some("sqlite:///var/lib/m.db?mode=rwc")),
            ("/a b/保?.db", Some("sqlite:///a%20b/%E4%BF%9D%3F.db?mode=rwc")),
            ("postgres://m@db/m", Some("postgres://m@db/m")),
            ("mysql://m@db/m", None),
            (":memory:", None),
            ("", None),
        ] {
            let url = address(database).ok().map(|(_, url)| url);
            assert_eq!(url.as_deref(), expected, "{database}");
        }
        let (dialect, url) = address("m.db").unwrap();
        assert_eq!(dialect, Dialect::Sqlite);
        assert!(url.starts_with("sqlite:///") && url.ends_with("/m.db?mode=rwc"), "{url}");
    }
}
