//! Rules as data with effective dates: which answers a human must hear of, and how soon.

/// How soon a human must act.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// Recorded only.
    P0,
    /// 本日中: on the day's list.
    P3,
    /// 当日優先: call back within two hours.
    P2,
    /// 至急: at once.
    P1,
}

impl Priority {
    /// Every priority, the gravest last.
    pub const ALL: [Self; 4] = [Self::P0, Self::P3, Self::P2, Self::P1];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P0 => "p0",
            Self::P3 => "p3",
            Self::P2 => "p2",
            Self::P1 => "p1",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == text)
    }
}

/// A set of rules that was found valid.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Its version, such as `2026-11-01`; every fact stores the version that made it.
    pub version: String,
}
