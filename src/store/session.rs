//! A transaction, and what goes with it: the wake-up after a commit, the clock held while it runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task;

use crate::store::change::Bell;
use crate::store::{Dialect, StoreError, Topic, health};

/// One transaction. Dropped without a commit, it changes nothing.
pub(super) struct Session {
    transaction: Transaction<'static, Any>,
    bell: Arc<Bell>,
    dialect: Dialect,
    _held: Option<Held>,
}

impl Session {
    pub(super) async fn begin(
        dialect: Dialect,
        clock: &ClockHold,
        pool: &AnyPool,
        statement: &'static str,
        bell: &Arc<Bell>,
    ) -> Result<Self, StoreError> {
        let held = clock.hold().await;
        clock.answers()?;
        let transaction = pool.begin_with(statement).await?;
        Ok(Self { transaction, bell: Arc::clone(bell), dialect, _held: held })
    }

    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    /// Makes the changes last, with the list of everybody's health as they leave it, and wakes
    /// whoever waits for changes of these topics.
    pub(super) async fn commit(mut self, topics: &[Topic]) -> Result<(), StoreError> {
        health::settle(self.dialect, &mut self.transaction).await?;
        self.transaction.commit().await?;
        self.bell.ring(topics);
        Ok(())
    }
}

/// A connection for one statement.
pub(super) struct Glance {
    connection: PoolConnection<Any>,
    _held: Option<Held>,
}

impl Glance {
    pub(super) async fn new(clock: &ClockHold, pool: &AnyPool) -> Result<Self, StoreError> {
        let held = clock.hold().await;
        clock.answers()?;
        Ok(Self { connection: pool.acquire().await?, _held: held })
    }

    pub(super) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

/// Whether tokio's paused clock is held while the database works.
///
/// SQLite works in a thread of its own, which tokio does not know of: its paused clock would take
/// the wait for idleness and jump to the next deadline.
#[derive(Clone, Debug)]
pub(super) enum ClockHold {
    Free,
    /// One at a time: the order of tokio's tasks is the same in every run, that of threads is not.
    Held(Arc<Mutex<()>>, Arc<AtomicBool>),
}

/// Holds the clock until it is dropped: tokio does not advance a paused clock while a blocking
/// task runs.
pub(super) struct Held {
    _release: mpsc::Sender<()>,
    _turn: OwnedMutexGuard<()>,
}

impl ClockHold {
    pub(super) fn held() -> Self {
        Self::Held(Arc::default(), Arc::default())
    }

    /// Lets the database of a simulation be away, or come back.
    pub(super) fn set_away(&self, is_away: bool) {
        if let Self::Held(_, away) = self {
            away.store(is_away, Ordering::Relaxed);
        }
    }

    /// How many of so many connections are of use. sqlx hands one back in the background, where the
    /// clock is not held: with a second one, chance would decide which is taken next, or made.
    pub(super) fn at_once(&self, connections: u32) -> u32 {
        match self {
            Self::Free => connections,
            Self::Held(..) => 1,
        }
    }

    fn answers(&self) -> Result<(), StoreError> {
        match self {
            Self::Held(_, away) if away.load(Ordering::Relaxed) => {
                Err(StoreError::Unavailable { reason: "simulated".to_owned() })
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn hold(&self) -> Option<Held> {
        match self {
            Self::Free => None,
            Self::Held(turn, _) => {
                let turn = Arc::clone(turn).lock_owned().await;
                let (release, released) = mpsc::channel();
                // The error that ends the wait is the drop of the sender.
                drop(task::spawn_blocking(move || released.recv()));
                Some(Held { _release: release, _turn: turn })
            }
        }
    }
}
