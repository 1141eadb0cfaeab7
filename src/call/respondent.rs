//! Who answered the telephone: the second of the three results of an attempt.

/// Who answered, as far as keys have proved it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Respondent {
    /// The patient: a key was pressed and the birth date was right.
    Patient,
    /// A registered member of the family answers for the patient; the birth date was right.
    Family,
    /// A human, for a key was pressed, but not proved to be the patient or the family.
    Unidentified,
    /// A human said that the patient is not there.
    NotHere,
    /// Answered, but no key was pressed: it may have been anyone or anything.
    Nobody,
    /// An answering machine gave itself away by its beep or by its length.
    Machine,
}

impl Respondent {
    /// Every one, in the order of this file.
    pub const ALL: [Self; 6] = [
        Self::Patient,
        Self::Family,
        Self::Unidentified,
        Self::NotHere,
        Self::Nobody,
        Self::Machine,
    ];

    /// The word for it in the store and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Family => "family",
            Self::Unidentified => "unidentified",
            Self::NotHere => "not_here",
            Self::Nobody => "nobody",
            Self::Machine => "machine",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}
