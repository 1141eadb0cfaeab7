//! An episode: the days that a patient is under observation, as FHIR's EpisodeOfCare.

use jiff::civil::{Date, Time};

use crate::base::id::{EpisodeId, PatientId};
use crate::registry::Arrangement;

/// The days that a patient is under observation, and the times of day agreed for the calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Episode {
    /// The id.
    pub id: EpisodeId,
    /// Who is observed.
    pub patient: PatientId,
    /// The first day.
    pub first_day: Date,
    /// The last day, inclusive.
    pub last_day: Date,
    /// One to four times of day (Asia/Tokyo), ascending.
    pub call_times: Vec<Time>,
    /// What else was agreed.
    pub arrangement: Arrangement,
}

impl Episode {
    /// Whether the patient is observed on this day.
    pub fn covers(&self, day: Date) -> bool {
        self.first_day <= day && day <= self.last_day
    }
}
