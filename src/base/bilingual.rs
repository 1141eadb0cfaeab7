//! A sentence for staff, in Japanese and in English.

use std::borrow::Cow;
use std::fmt;

/// The same sentence in Japanese and in English.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bilingual {
    /// 日本語
    pub ja: Cow<'static, str>,
    /// English
    pub en: Cow<'static, str>,
}

impl Bilingual {
    /// A fixed sentence.
    pub const fn fixed(ja: &'static str, en: &'static str) -> Self {
        Self { ja: Cow::Borrowed(ja), en: Cow::Borrowed(en) }
    }

    /// A sentence with values in it.
    pub fn composed(ja: String, en: String) -> Self {
        Self { ja: Cow::Owned(ja), en: Cow::Owned(en) }
    }
}

/// Japanese first: `全角です / it is full-width`.
impl fmt::Display for Bilingual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {}", self.ja, self.en)
    }
}
