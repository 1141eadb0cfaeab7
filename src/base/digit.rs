//! A key of the telephone.

use std::fmt;

/// A key of the telephone, as RFC 4733 events 0 to 11 name them.
///
/// The keys A to D (events 12 to 15) are not on a patient's telephone and are not represented.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Digit {
    /// `0` to `9`.
    Number(u8),
    /// `*`.
    Star,
    /// `#`, which ends an answer.
    Pound,
}

impl Digit {
    /// The key of an RFC 4733 event code; `None` for anything that is no such key.
    pub fn from_event(code: u8) -> Option<Self> {
        match code {
            0..=9 => Some(Self::Number(code)),
            10 => Some(Self::Star),
            11 => Some(Self::Pound),
            _ => None,
        }
    }

    /// The RFC 4733 event code.
    pub fn event(self) -> u8 {
        match self {
            Self::Number(n) => n,
            Self::Star => 10,
            Self::Pound => 11,
        }
    }

    /// The key with this label, full-width digits included.
    pub fn from_char(label: char) -> Option<Self> {
        match label {
            '0'..='9' => Some(Self::Number(label as u8 - b'0')),
            '*' | '＊' => Some(Self::Star),
            '#' | '＃' => Some(Self::Pound),
            '０'..='９' => {
                u8::try_from(u32::from(label) - u32::from('０')).ok().map(Self::Number)
            }
            _ => None,
        }
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Star => f.write_str("*"),
            Self::Pound => f.write_str("#"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_labels_name_the_same_keys() {
        for code in 0..=11 {
            let digit = Digit::from_event(code).unwrap();
            assert_eq!(digit.event(), code);
            let label = digit.to_string().chars().next().unwrap();
            assert_eq!(Digit::from_char(label), Some(digit));
        }
        assert_eq!(Digit::from_event(12), None);
        assert_eq!(Digit::from_char('７'), Some(Digit::Number(7)));
    }
}
