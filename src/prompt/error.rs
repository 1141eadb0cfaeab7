//! What can be wrong with the prompts, for the person who has to mend it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use jbonsai::engine::EngineError;

use super::dictionary::DictionaryError;
use super::kana::KanaError;
use super::master::MasterError;
use super::reading::ReadingError;
use super::recording::RecordingError;
use crate::base::Bilingual;
use crate::ivr::catalog::{InvalidCatalog, WrongBlanks};

/// The prompts cannot be opened at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// The catalogue in the folder is wrong.
    #[error("{} is not valid:\n{faults}", path.display())]
    Catalog {
        /// The file.
        path: PathBuf,
        /// All that is wrong with it.
        faults: InvalidCatalog,
    },
    /// A folder or the catalogue in it cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Recordings are misnamed: they would never be heard.
    #[error("{}", lines(.0))]
    Recordings(Vec<RecordingFault>),
    /// The cache folder cannot be made.
    #[error("cannot use the cache folder {}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The program itself is damaged.
    #[error("the voice that is built in cannot be loaded")]
    Voice(#[source] EngineError),
}

/// A recording that can never be heard, because of its name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingFault {
    /// No such prompt.
    #[error("{}: the catalogue has no prompt `{prompt}`", file.display())]
    UnknownPrompt {
        /// The recording.
        file: PathBuf,
        /// What its name says.
        prompt: String,
    },
    /// The name lacks the value, or has one too many.
    #[error("{}: name it `{wanted}`, because the prompt says {blanks}", file.display())]
    Misnamed {
        /// The recording.
        file: PathBuf,
        /// A right name.
        wanted: String,
        /// The blanks of the prompt.
        blanks: String,
    },
    /// The prompt says a name or a moment, and no recording could.
    #[error("{}: the prompt says {blanks}, which only the synthetic voice can", file.display())]
    NeverRecorded {
        /// The recording.
        file: PathBuf,
        /// The blanks of the prompt.
        blanks: String,
    },
    /// Two recordings of one prompt.
    #[error("{} and {} are the same prompt: remove one", file.display(), other.display())]
    Twice {
        /// One recording.
        file: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// A format that cannot be read.
    #[error("{}: this format cannot be read; convert it to WAV or FLAC", file.display())]
    Unreadable {
        /// The recording.
        file: PathBuf,
    },
}

impl RecordingFault {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::UnknownPrompt { file, prompt } => {
                format!("{}: {prompt} という文はカタログにありません", file.display())
            }
            Self::Misnamed { file, wanted, blanks } => format!(
                "{}: この文は {blanks} を言うので、{wanted} という名前にしてください",
                file.display()
            ),
            Self::NeverRecorded { file, blanks } => format!(
                "{}: この文は {blanks} を言うので、合成音声でしか話せません",
                file.display()
            ),
            Self::Twice { file, other } => format!(
                "{} と {} は同じ文です。片方を消してください",
                file.display(),
                other.display()
            ),
            Self::Unreadable { file } => {
                format!("{}: この形式は読めません。WAV か FLAC にしてください", file.display())
            }
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// All prompts that cannot be said, each with its reason.
#[derive(Debug)]
pub struct Missing(pub Vec<Lack>);

/// One prompt that cannot be said.
#[derive(Debug)]
pub struct Lack {
    /// The prompt with its values, without names of persons.
    pub label: String,
    /// Why not.
    pub reason: Reason,
}

/// Why a prompt cannot be said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The catalogue does not have it.
    #[error("the catalogue has no such prompt")]
    Unknown,
    /// Other values were given than it has blanks.
    #[error(transparent)]
    Blanks(#[from] WrongBlanks),
    /// A value cannot be read aloud.
    #[error(transparent)]
    Value(#[from] ReadingError),
    /// The kana, with its values, cannot be said.
    #[error(transparent)]
    Kana(#[from] KanaError),
    /// The text has no kana, and the dictionary cannot read it.
    #[error(transparent)]
    Dictionary(#[from] DictionaryError),
    /// The recording cannot be used.
    #[error("{}", file.display())]
    Recording {
        /// The recording.
        file: PathBuf,
        /// Why not.
        #[source]
        source: RecordingError,
    },
    /// The voice failed.
    #[error("the voice cannot say it")]
    Voice(#[from] EngineError),
    /// The speech cannot be made ready for the telephone.
    #[error(transparent)]
    Master(#[from] MasterError),
}

impl Reason {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Unknown => "カタログにこの文がありません".to_owned(),
            Self::Blanks(WrongBlanks { wanted }) => format!("この文には {wanted} が要ります"),
            Self::Value(error) => return error.explanation(),
            Self::Kana(error) => return error.explanation(),
            Self::Dictionary(error) => return error.explanation(),
            Self::Master(error) => return error.explanation(),
            Self::Recording { file, source } => {
                let (file, why) = (file.display(), source.explanation());
                return Bilingual::composed(
                    format!("{file}: {}", why.ja),
                    format!("{file}: {}", why.en),
                );
            }
            Self::Voice(_) => "合成音声が話せません".to_owned(),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lines(&self.0))
    }
}

impl std::error::Error for Missing {}

/// Shows the whole chain of reasons, because a list has no single source.
impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.reason)?;
        let mut source = std::error::Error::source(&self.reason);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

fn lines(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
