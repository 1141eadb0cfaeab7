//! The recordings of a folder: which file says which prompt.
//!
//! `hold.wav` says the prompt `hold`; `readback_temperature.375.flac` says `readback_temperature`
//! with 37.5 degrees; `opening.ミナトホケンジョ.mp3` names a health centre. What says the name of a
//! person or a moment is never recorded.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::RecordingFault;
use super::recording::{EXTENSIONS, UNREADABLE_EXTENSIONS};
use crate::ivr::Catalog;
use crate::ivr::catalog::BlankKind;
use crate::ivr::{Blank, Utterance};

/// The recordings by the name of the file without its extension.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    files: BTreeMap<String, PathBuf>,
}

impl Recordings {
    /// Lists a folder. Files that are no sound are left alone; sound that could never be heard is
    /// a fault.
    pub(super) fn list(
        folder: &Path,
        catalog: &Catalog,
    ) -> io::Result<Result<Self, Vec<RecordingFault>>> {
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
        files.sort();
        let mut recordings = Self::default();
        let mut faults = Vec::new();
        for file in files {
            if let Err(fault) = recordings.add(file, catalog) {
                faults.push(fault);
            }
        }
        Ok(if faults.is_empty() { Ok(recordings) } else { Err(faults) })
    }

    /// The recording of an utterance, if there is one.
    pub(super) fn find(&self, utterance: &Utterance) -> Option<&Path> {
        let values = utterance.blanks.iter().map(value).collect::<Option<Vec<_>>>()?;
        let mut stem = utterance.prompt.clone();
        for value in values {
            stem = stem + "." + &value;
        }
        self.files.get(&stem).map(PathBuf::as_path)
    }

    fn add(&mut self, file: PathBuf, catalog: &Catalog) -> Result<(), RecordingFault> {
        let text =
            |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).map(str::to_owned);
        let extension = text(file.extension()).map(|extension| extension.to_ascii_lowercase());
        let (Some(extension), Some(stem)) = (extension, text(file.file_stem())) else {
            return Ok(());
        };
        if UNREADABLE_EXTENSIONS.contains(&extension.as_str()) {
            return Err(RecordingFault::Unreadable { file });
        }
        if !EXTENSIONS.contains(&extension.as_str()) {
            return Ok(());
        }
        let (id, values) = match stem.split_once('.') {
            Some((id, values)) => (id, values.split('.').count()),
            None => (stem.as_str(), 0),
        };
        let Some(prompt) = catalog.prompt(id) else {
            return Err(RecordingFault::UnknownPrompt { file, prompt: id.to_owned() });
        };
        let mut kinds: Vec<BlankKind> = prompt.text.blanks().collect();
        let shown = || match kinds.as_slice() {
            [] => "no value".to_owned(),
            kinds => kinds.iter().map(BlankKind::to_string).collect::<Vec<_>>().join(", "),
        };
        let blanks = shown();
        if kinds.iter().any(|kind| matches!(kind, BlankKind::FamilyName | BlankKind::Moment)) {
            return Err(RecordingFault::NeverRecorded { file, blanks });
        }
        let n_all = kinds.len();
        kinds.sort_unstable();
        kinds.dedup();
        if values != n_all && values != kinds.len() {
            let examples: String = prompt.text.blanks().map(example).collect();
            let wanted = format!("{id}{examples}.{extension}");
            return Err(RecordingFault::Misnamed { file, wanted, blanks });
        }
        if let Some(other) = self.files.get(&stem) {
            return Err(RecordingFault::Twice { file, other: other.clone() });
        }
        self.files.insert(stem, file);
        Ok(())
    }
}

/// A value as it stands in the name of a file; names and moments never do.
fn value(blank: &Blank) -> Option<String> {
    match blank {
        Blank::Temperature(_) | Blank::Spo2(_) => Some(blank.to_string()),
        Blank::PhoneNumber(number) => {
            Some(number.chars().filter(|c| c.is_ascii_digit() || *c == '-').collect())
        }
        Blank::HealthCenter(kana) => Some(kana.replace(['\'', '/', '.', ' '], "")),
        Blank::FamilyName(_) | Blank::Moment { .. } => None,
    }
}

fn example(kind: BlankKind) -> &'static str {
    match kind {
        BlankKind::Temperature => ".375",
        BlankKind::Spo2 => ".96",
        BlankKind::PhoneNumber => ".03-1234-5678",
        BlankKind::HealthCenter => ".ミナトホケンジョ",
        BlankKind::FamilyName | BlankKind::Moment => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Private;

    const CATALOG: &str = "
        [hold]\ntext = 'お待ちください。'
        [readback]\ntext = '{temperature}ですね。'
        [greeting]\ntext = '{name}様'
        [call]\ntext = '{phone}、{phone}'
        [opening]\ntext = '{center}です'";

    fn list(names: &[&str]) -> Result<Recordings, Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        let catalog = Catalog::parse(CATALOG).unwrap();
        let prefix = format!("{}/", folder.path().display());
        let shown = |fault: &RecordingFault| fault.to_string().replace(&prefix, "");
        let listed = Recordings::list(folder.path(), &catalog).unwrap();
        listed.map_err(|faults| faults.iter().map(shown).collect())
    }

    #[test]
    fn a_file_is_found_by_prompt_and_value() {
        let recordings = list(&[
            "hold.wav",
            "readback.375.flac",
            "call.03-1234-5678.MP3",
            "opening.ミナトホケンジョ.m4a",
            "catalog.toml",
            "README.md",
            ".gitkeep",
        ]);
        let recordings = recordings.unwrap();
        let phone = Blank::PhoneNumber("03-1234-5678".to_owned());
        let name = Blank::FamilyName(Private::new("カンザキ".to_owned()));
        for (utterance, expected) in [
            (Utterance::fixed("hold"), Some("hold.wav")),
            (Utterance::with("readback", Blank::Temperature(375)), Some("readback.375.flac")),
            (Utterance::with("readback", Blank::Temperature(376)), None),
            (Utterance::with("call", phone), Some("call.03-1234-5678.MP3")),
            (
                Utterance::with("opening", Blank::HealthCenter("ミナトホケ'ンジョ".to_owned())),
                Some("opening.ミナトホケンジョ.m4a"),
            ),
            (Utterance::with("greeting", name), None),
        ] {
            let found = recordings.find(&utterance).and_then(Path::file_name);
            assert_eq!(found.and_then(|name| name.to_str()), expected, "{utterance}");
        }
    }

    #[test]
    fn a_file_that_could_never_be_heard_is_a_fault() {
        for (names, fault) in [
            (&["hlod.wav"][..], "hlod.wav: the catalogue has no prompt `hlod`"),
            (
                &["readback.wav"],
                "readback.wav: name it `readback.375.wav`, because the prompt says {temperature}",
            ),
            (&["hold.1.wav"], "hold.1.wav: name it `hold.wav`, because the prompt says no value"),
            (
                &["greeting.wav"],
                "greeting.wav: the prompt says {name}, which only the synthetic voice can",
            ),
            (&["hold.wav", "hold.mp3"], "hold.wav and hold.mp3 are the same prompt: remove one"),
            (&["hold.opus"], "hold.opus: this format cannot be read; convert it to WAV or FLAC"),
        ] {
            assert_eq!(list(names).unwrap_err(), [fault], "{names:?}");
        }
    }
}
