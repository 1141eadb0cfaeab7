//! When a call was placed, rang, was answered and ended.

use jiff::Timestamp;

/// The moments of one call. A moment that did not come is `None`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Timeline {
    /// The carrier said that it rings.
    pub ringing: Option<Timestamp>,
    /// The call was taken.
    pub answered: Option<Timestamp>,
    /// The call was over.
    pub ended: Option<Timestamp>,
}
