//! One call's sound as it is kept: whose, where, and until when.

use std::time::Duration;

use jiff::Timestamp;

use crate::base::id::{AttemptId, CenterKeyId, HealthCenterId, NoteId, PatientId, RecordingId};
use crate::tape::{Kept, Policy, Scope};

/// Samples in a second of each lane.
pub const SAMPLE_RATE: u64 = 8000;

/// The sound of one call.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its id; also the name of its file.
    pub id: RecordingId,
    /// Of which attempt; one has at most one recording.
    pub attempt: AttemptId,
    /// Whose voice it is.
    pub patient: PatientId,
    /// Who looks after the patient.
    pub health_center: HealthCenterId,
    /// The centre's key that its own key is sealed under.
    pub key: SealedKey,
    /// Whose spool holds it until it is stored.
    pub node: String,
    /// Where the sound is.
    pub state: State,
    /// How much of the call was recorded.
    pub scope: Scope,
    /// The centre's rule when the call began.
    pub policy: Policy,
    /// The answer of the call: the first sample.
    pub started_at: Timestamp,
    /// Samples of each lane; `None` while the call goes on.
    pub samples: Option<u64>,
    /// How many of them were lost because the disk was too slow; they are silence.
    pub missing_samples: u64,
    /// Why it is kept and until when, once that is decided.
    pub kept: Option<(Kept, Timestamp)>,
    /// A person wants it kept for longer.
    pub hold: Option<Hold>,
    /// What the patient wanted to say to the staff.
    pub message: Option<Spoken>,
    /// The SHA-256 of the sealed file in hexadecimal, once it is stored.
    pub sha256: Option<String>,
    /// When and why the sound was deleted.
    pub deleted: Option<(Timestamp, Deleted)>,
}

impl Recording {
    /// How long the recorded call lasted; zero while it goes on.
    pub fn duration(&self) -> Duration {
        // Eight samples are a millisecond.
        Duration::from_millis(self.samples.unwrap_or(0) * 1000 / SAMPLE_RATE)
    }
}

/// A centre's key as the store keeps it: under the master key, which is not in the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedKey {
    /// Its id, which is part of what is sealed under it.
    pub id: CenterKeyId,
    /// The sealed key.
    pub sealed: Vec<u8>,
}

/// Where the sound of a recording is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// The call goes on.
    Running,
    /// In the spool of the node that made the call.
    Spooled,
    /// In the archive.
    Stored,
    /// Nowhere any more.
    Deleted,
}

impl State {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Spooled => "spooled",
            Self::Stored => "stored",
            Self::Deleted => "deleted",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::Spooled, Self::Stored, Self::Deleted]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// Why the sound of a call was deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deleted {
    /// The centre's rule keeps calls of this kind for the length of the call only.
    NotKept,
    /// Its time was over.
    Expired,
    /// The patient does not want to be recorded.
    Refused,
    /// Nothing was recorded.
    Empty,
    /// The file was gone when it was looked for; someone must find out why.
    Lost,
}

impl Deleted {
    const ALL: [Self; 5] = [Self::NotKept, Self::Expired, Self::Refused, Self::Empty, Self::Lost];

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotKept => "not_kept",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Empty => "empty",
            Self::Lost => "lost",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|deleted| deleted.as_str() == word)
    }
}

/// A person's wish that a recording stays.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// Since when.
    pub at: Timestamp,
    /// Who wants it.
    pub by: String,
    /// What for.
    pub reason: String,
}

/// What a patient wanted to say to the staff, within the recording.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spoken {
    /// Its beginning, from the first sample.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
    /// Who heard it, and when; `None` means that someone must.
    pub heard: Option<(String, Timestamp)>,
}

/// A member of the staff wrote something down at a moment of a recording.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// At which moment, from the first sample.
    pub at: Duration,
    /// Who wrote it.
    pub by: String,
    /// What.
    pub text: String,
    /// When.
    pub written_at: Timestamp,
}
