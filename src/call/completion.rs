//! How far the dialogue came: the third of the three results of an attempt.

/// How far the dialogue came.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Completion {
    /// Everything that is required was answered. Only this counts as reported.
    Complete,
    /// Some questions were answered.
    Partial,
    /// No key was pressed at all.
    NoInput,
    /// Nobody who may answer wanted to, or could now.
    Refused,
    /// The birth date was wrong twice; nothing was asked.
    NotIdentified,
    /// A key was pressed, but the call ended before the first answer.
    HungUp,
    /// We could not go on, for instance because answers could not be stored.
    SystemError,
}

impl Completion {
    /// Every one, in the order of this file.
    pub const ALL: [Self; 7] = [
        Self::Complete,
        Self::Partial,
        Self::NoInput,
        Self::Refused,
        Self::NotIdentified,
        Self::HungUp,
        Self::SystemError,
    ];

    /// The word for it in the store and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::NoInput => "no_input",
            Self::Refused => "refused",
            Self::NotIdentified => "not_identified",
            Self::HungUp => "hung_up",
            Self::SystemError => "system_error",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}
