//! What the interview must know of the patient and of the day.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::civil::{Date, DateTime};

use crate::base::Private;
use crate::ivr::{Answer, Script};

/// What the interview must know of the patient and of the day. Its `Debug` tells no person's data.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts and choices")]
pub struct Profile {
    /// The name of the health centre in accent-marked katakana.
    pub health_center: String,
    /// The consultation desk, digits and hyphens; read out, never dialled.
    pub desk_phone: String,
    /// The family name in katakana.
    pub family_name: Private<String>,
    /// Month and day of the patient's birth, which prove who is there.
    pub birth: Private<(i8, i8)>,
    /// A thermometer is at hand.
    pub has_thermometer: bool,
    /// A pulse oximeter is at hand.
    pub has_oximeter: bool,
    /// Every patience is doubled.
    pub slow_speech: bool,
    /// Which questions are put.
    pub script: Script,
    /// A member of the family may answer for the patient.
    pub family_may_answer: bool,
    /// What earlier attempts at the same slot settled; it is not asked again.
    pub answered: Vec<(String, Answer)>,
    /// When the next call comes, if one is planned.
    pub next_call: Option<DateTime>,
    /// Which value of this call would be measured again, and when.
    pub remeasure: Option<Remeasure>,
    /// Staff will call: a case is open.
    pub has_open_case: bool,
    /// The day of this call.
    pub today: Date,
    /// Say a neutral sentence to an answering machine after its beep; leave nothing otherwise.
    pub leave_message: bool,
    /// The call is recorded, and the greeting says so.
    pub is_recorded: bool,
    /// The key that asks for help is offered: the rules raise the alarm for it.
    pub takes_help: bool,
    /// What the patient wants to say to the staff can be kept.
    pub takes_messages: bool,
}

/// A value that is measured again if it lies in a range.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remeasure {
    /// The question.
    pub question: String,
    /// From here to there, both included, in the unit of the keys.
    pub range: RangeInclusive<i32>,
    /// When the patient is called for it.
    pub at: DateTime,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({:?})", self.script)
    }
}
