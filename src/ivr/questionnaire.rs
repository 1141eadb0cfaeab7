//! What is asked, in which order, and when: a questionnaire as data.

/// A questionnaire that was found valid.
#[derive(Clone, Debug)]
pub struct Questionnaire {
    /// Its id, such as `recuperation`.
    pub id: String,
    /// Its version; every answer stores the version that asked for it.
    pub version: u32,
}
