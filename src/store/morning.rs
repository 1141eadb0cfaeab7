//! 進める・進めない: what must be well before anybody is called, as the page 今日 and the terminal
//! judge it.

use std::time::Duration;

use jiff::civil::Time;
use jiff::{SignedDuration, Timestamp};

use crate::base::Bilingual;
use crate::base::clock::{civil, timestamp};
use crate::campaign::window::LATEST;
use crate::store::{Counts, Dialing, NodeStatus, Store, StoreError, TestCall, TrunkWord};

/// An interview with its dialling, on average; it decides how many calls a line holds in an hour.
const CALL_MINUTES: i64 = 3;

/// What is known of the installation at a moment.
#[derive(Clone, Debug)]
pub struct Morning {
    /// The moment.
    pub now: Timestamp,
    /// Whether telephones are called.
    pub dialing: Dialing,
    /// What each node last said of itself.
    pub nodes: Vec<NodeStatus>,
    /// How long the database took to be written to; `None` if it cannot be.
    pub database: Option<Duration>,
    /// The last test call of the day.
    pub test_call: Option<TestCall>,
}

/// Why no calls can be placed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoGo {
    /// The emergency stop is pulled.
    Stopped,
    /// No service that places calls is running.
    NoService,
    /// No trunk is up.
    NoLine,
    /// A service cannot say all that it may have to say.
    NoPrompts,
    /// The clock of a service disagrees with the database.
    Clocks,
    /// The database cannot be written to.
    NoDatabase,
}

impl NoGo {
    /// For people.
    pub fn words(self) -> Bilingual {
        let (ja, en) = match self {
            Self::Stopped => ("停止中", "stopped"),
            Self::NoService => ("架電サービスが動いていません", "no service runs"),
            Self::NoLine => ("回線が不通です", "no line is up"),
            Self::NoPrompts => ("音声が足りません", "prompts are missing"),
            Self::Clocks => ("時計がずれています", "the clocks disagree"),
            Self::NoDatabase => ("データベースに書けません", "no database"),
        };
        Bilingual::fixed(ja, en)
    }

    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::NoService => "no_service",
            Self::NoLine => "no_line",
            Self::NoPrompts => "no_prompts",
            Self::Clocks => "clocks",
            Self::NoDatabase => "no_database",
        }
    }
}

/// When the calls of the day will be over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finish {
    /// Nothing is left.
    Done,
    /// No calls are placed.
    Unknown,
    /// At about this time.
    At {
        /// When.
        at: Timestamp,
        /// Patients who are still to be called.
        left: u32,
        /// Calls per minute, about.
        per_minute: i64,
    },
}

impl Finish {
    /// Whether it is later than anybody may be called.
    pub fn is_late(self) -> bool {
        let evening = |at: Timestamp| timestamp(civil(at).date().to_datetime(LATEST));
        matches!(self, Self::At { at, .. } if at > evening(at))
    }
}

impl Store {
    /// What is known of the installation now. `database` is how long a [`Store::ping`] took.
    pub async fn morning(
        &self,
        now: Timestamp,
        database: Option<Duration>,
    ) -> Result<Morning, StoreError> {
        let midnight = timestamp(civil(now).date().to_datetime(Time::midnight()));
        Ok(Morning {
            now,
            dialing: self.dialing().await?,
            nodes: self.node_statuses().await?,
            database,
            test_call: self.last_test_call(now, midnight).await?,
        })
    }
}

impl Morning {
    /// The nodes that said something of late.
    pub fn running(&self) -> Vec<&NodeStatus> {
        self.nodes.iter().filter(|node| node.is_here(self.now)).collect()
    }

    /// Whether every node that runs can say all that it may have to say.
    pub fn has_prompts(&self) -> bool {
        let running = self.running();
        !running.is_empty() && running.iter().all(|node| node.prompts_complete)
    }

    /// Why no calls can be placed; empty if they can.
    pub fn no_go(&self) -> Vec<NoGo> {
        let running = self.running();
        let is_here = !running.is_empty();
        let is_up = running.iter().any(|node| node.trunk == TrunkWord::Ready);
        [
            (!self.dialing.is_running, NoGo::Stopped),
            (!is_here, NoGo::NoService),
            (is_here && !is_up, NoGo::NoLine),
            (is_here && !self.has_prompts(), NoGo::NoPrompts),
            (running.iter().any(|node| node.clock_ahead.is_some()), NoGo::Clocks),
            (self.database.is_none(), NoGo::NoDatabase),
        ]
        .into_iter()
        .filter_map(|(is_so, why)| is_so.then_some(why))
        .collect()
    }

    /// When the calls of the day will be over, by the pace and the lines of the nodes that are
    /// there.
    pub fn finish(&self, counts: &Counts) -> Finish {
        let done = counts.reported + counts.partial + counts.unreached;
        let left = counts.planned.saturating_sub(done);
        let ready = self.running().into_iter().filter(|node| node.trunk == TrunkWord::Ready);
        let per_minute: i64 = ready
            .map(|node| {
                let by_lines = (i64::from(node.lines_limit) / CALL_MINUTES).max(1);
                by_lines.min(i64::from(node.calls_per_minute))
            })
            .sum();
        if left == 0 {
            Finish::Done
        } else if per_minute == 0 || !self.dialing.is_running {
            Finish::Unknown
        } else {
            let at = self.now + SignedDuration::from_mins(i64::from(left) / per_minute + 1);
            Finish::At { at, left, per_minute }
        }
    }
}
