//! Typed ids: an id of one kind cannot be taken for another.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// The text is not an id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an id of a {kind}")]
pub struct InvalidId {
    /// What the id should have named, such as `patient`.
    pub kind: &'static str,
}

/// A kind of id. Implemented by the types of this file only.
pub trait Id: Sized {
    /// The id with this value.
    fn from_uuid(uuid: Uuid) -> Self;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $kind:literal,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Uuid);

        impl Id for $name {
            fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($kind, ":{}"), self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(Error::custom)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self).map_err(|_| InvalidId { kind: $kind })
            }
        }
    )*};
}

ids! {
    /// A health centre.
    HealthCenterId "health center",
    /// A contracted clinic.
    ClinicId "clinic",
    /// A member of the staff.
    StaffId "staff",
    /// A patient.
    PatientId "patient",
    /// A span of days under observation.
    EpisodeId "episode",
    /// A programme of a centre: whom it calls, when and how.
    CampaignId "campaign",
    /// What is owed to one patient on one date.
    SlotId "slot",
    /// One try to reach a patient for a slot.
    AttemptId "attempt",
    /// A call to a staff telephone that tries out a trunk.
    TestCallId "test call",
    /// A coded fact about a patient at a time.
    ObservationId "observation",
    /// A matter that a human must act on.
    CaseId "case",
    /// A message that waits to be delivered.
    MessageId "message",
    /// The sound of one call, as it is kept.
    RecordingId "recording",
    /// A key of a health centre, under which recordings are sealed.
    CenterKeyId "center key",
    /// A note at a moment of a recording.
    NoteId "note",
    /// A token of the API.
    TokenId "token",
    /// A note that staff wrote about a patient.
    StaffNoteId "staff note",
    /// Days on which a patient is not called.
    PauseId "pause",
    /// What a member of the staff wrote down at once; minted when the form is shown.
    ReportId "report",
    /// A change of a patient's settings.
    ChangeId "change",
    /// A list that was brought in.
    ImportBatchId "import batch",
    /// A recording of a prompt.
    PromptTakeId "prompt take",
    /// Somebody who was silent on a day and must be looked for.
    WelfareCheckId "welfare check",
    /// A version of the rules that was made in the console.
    RuleSetId "rule set",
    /// What was written about the course of an illness.
    CourseId "course",
    /// A test of a specimen.
    LabTestId "lab test",
    /// A decision about a release.
    ReleaseDecisionId "release decision",
}

/// Makes ids of UUID version 7 (RFC 9562 §5.7): they sort by time and cannot be guessed.
///
/// Those of one millisecond follow one another at random distances (§6.2, method 2), so that what is
/// written together lies together in an index.
#[derive(Debug)]
pub struct Minter {
    rng: StdRng,
    /// The last id.
    last: Option<Uuid>,
}

/// The part of an id that grows within a millisecond: `rand_b`.
const TAIL: u128 = (1 << 62) - 1;

impl Minter {
    /// A minter whose ids follow from the seed: the same ids again in a simulation.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { rng: StdRng::from_seed(seed), last: None }
    }

    /// A new id for something that came to be at `now`.
    pub fn mint<T: Id>(&mut self, now: Timestamp) -> T {
        let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let id = self.after_last(milliseconds).unwrap_or_else(|| {
            let random: [u8; 10] = self.rng.random();
            uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
        });
        self.last = Some(id);
        T::from_uuid(id)
    }

    /// The next id of the millisecond of the last one; `None` in another, or if there is no room.
    fn after_last(&mut self, milliseconds: u64) -> Option<Uuid> {
        let last = self.last?.as_u128();
        if last >> 80 != u128::from(milliseconds) {
            return None;
        }
        let tail = (last & TAIL) + 1 + u128::from(self.rng.random::<u32>());
        (tail <= TAIL).then(|| Uuid::from_u128(last & !TAIL | tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_survive_text() {
        let mut minter = Minter::new([1; 32]);
        let early: PatientId = minter.mint("2026-11-22T00:00:00Z".parse().unwrap());
        let late: PatientId = minter.mint("2026-11-22T00:00:01Z".parse().unwrap());
        assert!(early < late);
        let moment = "2026-11-22T00:00:01Z".parse().unwrap();
        let mut of_one_moment = vec![late];
        for _ in 0..1_000 {
            of_one_moment.push(minter.mint(moment));
        }
        assert!(of_one_moment.is_sorted_by(|one, next| one < next));
        let uuid = of_one_moment[1_000].0;
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!("x".parse::<SlotId>(), Err(InvalidId { kind: "slot" }));
    }

    #[test]
    fn a_seed_gives_the_same_ids_again() {
        let at = "2026-11-22T00:00:00Z".parse().unwrap();
        let first: CaseId = Minter::new([9; 32]).mint(at);
        let again: CaseId = Minter::new([9; 32]).mint(at);
        assert_eq!(first, again);
    }
}
