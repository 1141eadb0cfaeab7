//! A campaign: a programme of a centre, its states, and the versions of its terms.
//!
//! ```text
//! Draft ──publish──► Ready ──start──► Running ⇄ Paused
//!   │                  │                 │         │
//!   └─discard─► gone   └────── end ──────┴─────────┴──► Ended ──► Archived
//! ```
//!
//! What was published is never deleted: facts name it. A draft has made none.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::Bilingual;
use crate::base::id::{CampaignId, HealthCenterId};
use crate::campaign::Terms;

/// A programme of a centre.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The id.
    pub id: CampaignId,
    /// Whose it is.
    pub health_center: HealthCenterId,
    /// What people call it. Unique within the centre.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// Patients who were put into no campaign are in this one.
    pub is_default: bool,
    /// When it is to start by itself, if it is ready.
    pub starts_on: Option<Date>,
    /// What it may take of the trunks, at this moment.
    pub caps: Caps,
    /// Terms that are being written.
    pub draft: Option<Terms>,
    /// The version in force, once one is published.
    pub version: Option<Version>,
}

/// How many calls. Changed while a campaign runs, for the calls from then on; no version of the
/// terms, for it harms nobody.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Caps {
    /// Calls at once; `None` for as many as the trunks bear.
    pub lines: Option<u32>,
    /// New calls per minute; `None` for as many as the trunks bear.
    pub calls_per_minute: Option<u32>,
}

/// Terms that were published.
#[derive(Clone, Debug)]
pub struct Version {
    /// 1 for the first.
    pub number: u32,
    /// From when on they hold.
    pub effective_at: Timestamp,
    /// When they were published.
    pub published_at: Timestamp,
    /// By whom: a name for people.
    pub published_by: String,
    /// The terms.
    pub terms: Arc<Terms>,
}

/// The version of a campaign by which something was made.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct VersionKey {
    /// The campaign.
    pub campaign: CampaignId,
    /// The number of the version.
    pub version: u32,
}

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// Being written; calls nobody.
    Draft,
    /// Published, and starts on its day or by hand.
    Ready,
    /// Calls its patients.
    Running,
    /// Calls nobody for now. What is owed meanwhile becomes a matter for staff.
    Paused,
    /// Calls nobody any more.
    Ended,
    /// Ended, and out of sight. What was published is never deleted.
    Archived,
}

/// What may be done to a campaign.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// Draft → ready: its first terms are published.
    Publish,
    /// Ready → running.
    Start,
    /// Running → paused.
    Pause,
    /// Paused → running.
    Resume,
    /// To the end: no call is made again.
    End,
    /// Ended → archived.
    Archive,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Draft, Self::Ready, Self::Running, Self::Paused, Self::Ended, Self::Archived];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Archived => "archived",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// For people.
    pub fn label(self) -> Bilingual {
        let (ja, en) = match self {
            Self::Draft => ("下書き", "draft"),
            Self::Ready => ("開始待ち", "ready"),
            Self::Running => ("実施中", "running"),
            Self::Paused => ("一時停止", "paused"),
            Self::Ended => ("終了", "ended"),
            Self::Archived => ("保管", "archived"),
        };
        Bilingual::fixed(ja, en)
    }

    /// Nobody is called by it ever again.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Ended | Self::Archived)
    }

    /// The state that an action leads to; `None` if it cannot be done now.
    pub fn after(self, action: Action) -> Option<Self> {
        match (self, action) {
            (Self::Draft, Action::Publish) => Some(Self::Ready),
            (Self::Ready, Action::Start) | (Self::Paused, Action::Resume) => Some(Self::Running),
            (Self::Running, Action::Pause) => Some(Self::Paused),
            (Self::Ready | Self::Running | Self::Paused, Action::End) => Some(Self::Ended),
            (Self::Ended, Action::Archive) => Some(Self::Archived),
            _ => None,
        }
    }
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 6] =
        [Self::Publish, Self::Start, Self::Pause, Self::Resume, Self::End, Self::Archive];

    /// The word for it in commands, in the API and in the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::End => "end",
            Self::Archive => "archive",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }

    /// The action as the audit tells it.
    pub fn done(self) -> &'static str {
        match self {
            Self::Publish => "campaign.published",
            Self::Start => "campaign.started",
            Self::Pause => "campaign.paused",
            Self::Resume => "campaign.resumed",
            Self::End => "campaign.ended",
            Self::Archive => "campaign.archived",
        }
    }

    /// For people.
    pub fn label(self) -> Bilingual {
        let (ja, en) = match self {
            Self::Publish => ("公開", "publish"),
            Self::Start => ("開始", "start"),
            Self::Pause => ("一時停止", "pause"),
            Self::Resume => ("再開", "resume"),
            Self::End => ("終了", "end"),
            Self::Archive => ("保管", "archive"),
        };
        Bilingual::fixed(ja, en)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn a_campaign_goes_its_way_and_never_back_from_its_end() {
        let mut table = String::new();
        for state in State::ALL {
            let ways = Action::ALL.into_iter().filter_map(|action| {
                Some(format!(" {}→{}", action.as_str(), state.after(action)?.as_str()))
            });
            writeln!(table, "{}:{}", state.as_str(), ways.collect::<String>()).unwrap();
        }
        assert_eq!(
            table,
            "draft: publish→ready\n\
             ready: start→running end→ended\n\
             running: pause→paused end→ended\n\
             paused: resume→running end→ended\n\
             ended: archive→archived\n\
             archived:\n"
        );
    }

    #[test]
    fn words_are_read_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(action));
        }
    }
}
