//! Telephone numbers that may be dialled.

use std::fmt;

/// A Japanese telephone number in E.164 form (`+81…`) that a patient may be called at.
///
/// `Display` and `Debug` hide all but the last two digits. The only way to make one is to parse
/// it, and parsing refuses every number that must never be dialled.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// The number in E.164 form, for the carrier and the store only.
    pub fn e164(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.len().saturating_sub(2);
        write!(f, "…{}", self.0.get(shown..).unwrap_or_default())
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
