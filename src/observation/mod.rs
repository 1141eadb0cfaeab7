//! What the answers mean: coded facts about a patient at a time, as FHIR's Observation.

pub mod derive;

use std::fmt;

use jiff::Timestamp;

use crate::base::id::{AttemptId, ObservationId, PatientId, SlotId};
use crate::call::Respondent;
use crate::ivr::Answer;

/// A coded fact about a patient at a time. Immutable: a correction is a new one that supersedes.
/// Its `Debug` hides the value.
#[derive(Clone, Eq, PartialEq)]
pub struct Observation {
    /// The id.
    pub id: ObservationId,
    /// About whom.
    pub patient: PatientId,
    /// The slot that it helps to fill, if any.
    pub slot: Option<SlotId>,
    /// The attempt and the entry of its transcript that it was derived from, if by telephone.
    /// Unique: deriving twice gives one observation.
    pub source: Option<(AttemptId, u32)>,
    /// What was observed: the question's code, such as `temperature`, `spo2`, `dyspnea`.
    pub code: String,
    /// The value.
    pub value: Answer,
    /// When it was so.
    pub effective_at: Timestamp,
    /// Who said it.
    pub respondent: Respondent,
    /// By which way it came.
    pub channel: Channel,
    /// The questionnaire that asked, as `id@version`.
    pub questionnaire: String,
    /// The observation that this one corrects.
    pub supersedes: Option<ObservationId>,
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, code, effective_at, respondent, channel, .. } = self;
        let (respondent, channel) = (respondent.as_str(), channel.as_str());
        write!(f, "Observation({id}, {code} at {effective_at}, {respondent}, {channel})")
    }
}

/// By which way an observation came.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Channel {
    /// We called (自動架電).
    OutboundCall,
    /// The patient called (健康コール).
    InboundCall,
    /// The patient's web form.
    Web,
    /// A member of the staff wrote it down.
    Staff,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 4] = [Self::OutboundCall, Self::InboundCall, Self::Web, Self::Staff];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OutboundCall => "outbound_call",
            Self::InboundCall => "inbound_call",
            Self::Web => "web",
            Self::Staff => "staff",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text)
    }
}
