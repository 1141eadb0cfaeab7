//! A value that cannot be logged by accident.

use std::fmt;

use serde::Deserialize;

/// Holds a secret or a fact about a person; `Debug` and `Display` hide it.
///
/// Take it out with [`Private::expose`] only where it is sent to whom it belongs.
#[derive(Clone, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(transparent)]
pub struct Private<T>(T);

impl<T> Private<T> {
    /// Hides a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Never pass it to a log or an error text.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Private<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

impl<T> fmt::Display for Private<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_nothing() {
        let name = Private::new("神崎");
        assert_eq!(format!("{name} {name:?}"), "[private] [private]");
        assert_eq!(*name.expose(), "神崎");
    }
}
