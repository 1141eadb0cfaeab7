//! A health centre (保健所): in whose name patients are called.

use jiff::civil::Time;

use crate::base::id::HealthCenterId;

/// A health centre.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthCenter {
    /// Its id.
    pub id: HealthCenterId,
    /// A short code that lists and files use, such as `minato`. Unique.
    pub code: String,
    /// The name as written: みなと保健所.
    pub name: String,
    /// The name as said, in katakana with accent marks: `ミナトホケ'ンジョ`.
    pub kana: String,
    /// The consultation desk (相談窓口) that the patient is told to call, as it is read out:
    /// digits and hyphens. It is never dialled by us.
    pub desk_phone: String,
    /// No call before this time of day.
    pub opens_at: Time,
    /// No call at or after this time of day.
    pub closes_at: Time,
}
