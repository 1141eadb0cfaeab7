//! The language of a patient and of a prompt.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language that prompts can be spoken in.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Language {
    /// 日本語
    #[default]
    Ja,
}

impl Language {
    /// The ISO 639-1 code, which is also the folder under `prompts/`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Ja => "ja",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The language has no prompts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no prompts are spoken in {0:?}; known: ja")]
pub struct UnknownLanguage(pub String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ja" | "日本語" => Ok(Self::Ja),
            _ => Err(UnknownLanguage(text.to_owned())),
        }
    }
}
