//! Japanese text read aloud: text in, accent-marked katakana out.
//!
//! The dictionary is built in as an archive of 17 MiB, and is unpacked into the cache folder when
//! something needs it for the first time (76 MiB). Prompts with kana never do.

use std::fs;
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use jpreprocess::{DefaultTokenizer, JPreprocess};
use jpreprocess_core::JPreprocessError;
use jpreprocess_core::pos::{Meishi, POS};
use jpreprocess_core::pronunciation::MoraEnum;
use jpreprocess_njd::{NJD, NJDNode};
use lindera_dictionary::dictionary::Dictionary as System;
use lindera_dictionary::error::LinderaError;
use sha2::{Digest, Sha256};

use super::kana::is_mark;
use super::normalize::normalize;
use crate::base::Bilingual;

const ARCHIVE: &[u8] = include_bytes!("../../prompts/voice/naist-jdic-jpreprocess-0.15.tar.xz");

/// The folder of the unpacked dictionary; it names the version of the format, so that a new
/// program does not read an old dictionary.
const FOLDER: &str = "naist-jdic-0.15";

/// The unpacked files with their sizes in bytes: a folder with other sizes is unpacked again.
const FILES: [(&str, u64); 8] = [
    ("char_def.bin", 2356),
    ("dict.da", 33_049_141),
    ("dict.vals", 7_889_130),
    ("dict.words", 32_164_605),
    ("dict.wordsidx", 3_155_656),
    ("matrix.mtx", 3_792_264),
    ("metadata.json", 782),
    ("unk.bin", 2492),
];

/// SHA-256 of the unpacked archive.
const UNPACKED_SHA256: [u8; 32] = [
    0xdf, 0x99, 0xa4, 0x54, 0x16, 0x71, 0x6e, 0x6d, 0x59, 0x17, 0xb1, 0x84, 0x1f, 0x24, 0xab, 0x55,
    0x29, 0x81, 0xa1, 0x1c, 0x9b, 0x3c, 0xed, 0x6f, 0x7d, 0x6c, 0x52, 0x7a, 0x98, 0x82, 0xde, 0xf1,
];

/// Why text cannot be read aloud.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DictionaryError {
    /// No folder was configured.
    #[error("text without kana needs a cache folder, to unpack the dictionary into")]
    NoCache,
    /// The disk is full.
    #[error("the dictionary needs 80 MiB, and the disk is full at {}", folder.display())]
    DiskFull {
        /// Where it was to be unpacked.
        folder: PathBuf,
    },
    /// The folder cannot be written.
    #[error("the dictionary cannot be unpacked into {}", folder.display())]
    Unpack {
        /// Where it was to be unpacked.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The program itself is damaged.
    #[error("the dictionary that is built in is damaged")]
    Damaged,
    /// The unpacked files cannot be used.
    #[error("the dictionary in {} cannot be loaded", folder.display())]
    Load {
        /// Where it is.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: LinderaError,
    },
    /// The text cannot be analysed.
    #[error("the text cannot be read")]
    Analyse(#[source] JPreprocessError),
}

impl DictionaryError {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::NoCache => {
                "kana のない文を読むには、辞書を展開する cache フォルダーが要ります".to_owned()
            }
            Self::DiskFull { folder } => format!(
                "辞書には 80 MiB が要りますが、{} のディスクがいっぱいです",
                folder.display()
            ),
            Self::Unpack { folder, .. } => format!("辞書を {} に展開できません", folder.display()),
            Self::Damaged => "組み込みの辞書が壊れています".to_owned(),
            Self::Load { folder, .. } => format!("{} の辞書を読み込めません", folder.display()),
            Self::Analyse(_) => "この文は読めません".to_owned(),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// The dictionary, ready to read; it may be shared by threads.
pub struct Dictionary {
    reader: JPreprocess<DefaultTokenizer>,
}

/// A piece of text as it is read aloud.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reading {
    /// Accent-marked katakana; empty if nothing can be said.
    pub kana: String,
    /// Whether it begins with a particle or an ending, which leans on the word before it.
    pub leans: bool,
}

impl Dictionary {
    /// Loads the dictionary from the cache folder, and unpacks it first if it is not there.
    pub fn load(cache: &Path) -> Result<Self, DictionaryError> {
        let folder = cache.join(FOLDER);
        if !is_complete(&folder) {
            unpack(cache, &folder).map_err(|error| error.at(&folder))?;
        }
        // Mapped into memory: 50 ms, and pages that are not used cost nothing.
        let system = System::load_from_path_with_options(&folder, true)
            .map_err(|source| DictionaryError::Load { folder, source })?;
        Ok(Self { reader: JPreprocess::with_dictionaries(system, None) })
    }
    /// Reads a text. It is cut at the ends of sentences, and each is analysed as a whole.
    pub fn read(&self, text: &str) -> Result<Reading, DictionaryError> {
        // Behind a name that is not part of the text, 様 would be read ヨー.
        if let Some(rest) = text.strip_prefix('様') {
            let rest = self.read(rest)?;
            let border = if rest.leans || rest.kana.starts_with(is_mark) { "" } else { "/" };
            return Ok(Reading { kana: format!("サマ{border}{}", rest.kana), leans: true });
        }
        let text = normalize(text);
        let mut reading = Reading::default();
        for piece in text.split_inclusive(['。', '!', '?', '\n']) {
            let sentence = piece.trim_end_matches(['。', '!', '?', '\n']);
            let nodes = self.analyse(sentence)?;
            if reading.kana.is_empty() {
                reading.leans = nodes.first().is_some_and(leans);
            }
            reading.kana += &marked(&nodes);
            reading.kana += match piece.chars().next_back() {
                Some('?') => "？",
                Some('。' | '!' | '\n') => "。",
                _ => "",
            };
        }
        Ok(reading)
    }

    fn analyse(&self, sentence: &str) -> Result<Vec<NJDNode>, DictionaryError> {
        let njd = self.reader.text_to_njd(sentence);
        let mut njd: NJD = njd.map_err(DictionaryError::Analyse)?;
        njd.preprocess();
        njd.remove_silent_node();
        Ok(njd.nodes)
    }
}

/// Whether a word has no accent phrase of its own: は, です, 様.
fn leans(node: &NJDNode) -> bool {
    matches!(node.get_pos(), POS::Joshi(_) | POS::Jodoushi | POS::Meishi(Meishi::Setsubi(_)))
}

/// Writes words as accent-marked katakana.
fn marked(nodes: &[NJDNode]) -> String {
    let mut kana = String::new();
    // Morae until the pitch falls; counted through the words of a phrase.
    let mut until_fall = 0;
    for node in nodes {
        let pronunciation = node.get_pron();
        if pronunciation.is_touten() || pronunciation.is_question() {
            kana.push('、');
            continue;
        }
        if node.get_chain_flag() != Some(true) {
            if !kana.is_empty() && !kana.ends_with('、') {
                kana.push('/');
            }
            until_fall = pronunciation.accent();
        }
        for mora in pronunciation.moras() {
            if matches!(mora.mora_enum, MoraEnum::Touten | MoraEnum::Question) {
                continue;
            }
            // The whisper of a vowel is decided when the voice speaks.
            kana += mora.to_string().trim_end_matches('’');
            if until_fall == 1 {
                kana.push('\'');
            }
            until_fall = until_fall.saturating_sub(1);
        }
    }
    kana
}

/// Whether every file is there with its size.
fn is_complete(folder: &Path) -> bool {
    FILES.iter().all(|(name, size)| {
        fs::metadata(folder.join(name)).is_ok_and(|file| file.is_file() && file.len() == *size)
    })
}

enum UnpackError {
    Damaged,
    Io(io::Error),
}

impl UnpackError {
    fn at(self, folder: &Path) -> DictionaryError {
        let folder = folder.to_owned();
        match self {
            Self::Damaged => DictionaryError::Damaged,
            Self::Io(error) if error.kind() == ErrorKind::StorageFull => {
                DictionaryError::DiskFull { folder }
            }
            Self::Io(source) => DictionaryError::Unpack { folder, source },
        }
    }
}

impl From<io::Error> for UnpackError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Unpacks beside the folder and renames: a folder of this name is whole, also when the process
/// ends halfway or another does the same.
fn unpack(cache: &Path, folder: &Path) -> Result<(), UnpackError> {
    let part = cache.join(format!("{FOLDER}.{}.part", std::process::id()));
    fs::create_dir_all(&part)?;
    let capacity = FILES.iter().map(|(_, size)| *size).sum::<u64>() + 16 * 1024;
    let mut tar = Vec::with_capacity(usize::try_from(capacity).unwrap_or(0));
    let whole = lzma_rs::xz_decompress(&mut Cursor::new(ARCHIVE), &mut tar).is_ok()
        && Sha256::digest(&tar).as_slice() == UNPACKED_SHA256;
    let unpacked = if whole { unpack_files(&tar, &part) } else { Err(UnpackError::Damaged) };
    let unpacked = unpacked.and_then(|()| put_in_place(&part, folder));
    if unpacked.is_err() {
        // What is left takes room, but is never read.
        let _ = fs::remove_dir_all(&part);
    }
    unpacked
}

fn unpack_files(tar: &[u8], part: &Path) -> Result<(), UnpackError> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        if let Some((name, _)) = FILES.iter().find(|(known, _)| name.as_deref() == Some(known)) {
            let mut file = fs::File::create(part.join(name))?;
            io::copy(&mut entry.by_ref(), &mut file)?;
            file.sync_all()?;
        }
    }
    if is_complete(part) { Ok(()) } else { Err(UnpackError::Damaged) }
}

fn put_in_place(part: &Path, folder: &Path) -> Result<(), UnpackError> {
    if folder.exists() && !is_complete(folder) {
        fs::remove_dir_all(folder)?;
    }
    match fs::rename(part, folder) {
        // Another process was faster.
        Err(_) if is_complete(folder) => Ok(fs::remove_dir_all(part)?),
        renamed => Ok(renamed?),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::prompt::Kana;

    /// Unpacked once for all tests, and kept for the next run.
    pub(in crate::prompt) fn cache() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/dictionary")
    }

    fn dictionary() -> &'static Dictionary {
        static DICTIONARY: OnceLock<Dictionary> = OnceLock::new();
        DICTIONARY.get_or_init(|| Dictionary::load(&cache()).unwrap())
    }

    #[test]
    fn text_is_read_as_people_say_it() {
        for (text, expected) in [
            ("三十六度五分", "サンジューロクドゴブ"),
            ("37度8分です。", "サンジューナナドハチブデス。"),
            ("38度0分", "サンジューハチドチョード"),
            ("36.5℃", "サンジューロクテンゴド"),
            ("午前0時", "ゴゼンレージ"),
            ("9:30", "クジサンジュップン"),
            ("午後4時、午後7時", "ゴゴヨジ、ゴゴシチジ"),
            ("11/22(土)", "ジューイチガツニジューニニチドヨービ"),
            ("4月20日", "シガツハツカ"),
            ("9時〜17時", "クジカラジューシチジ"),
            ("土・日・祝日", "ドヨー、ニチヨー、シュクジツ"),
            ("最後に#を押してください", "サイゴニシャープヲオシテクダサイ"),
            ("119番", "イチイチキューバン"),
            ("96%", "キュージューロクパーセント"),
            ("03-1234-5678", "ゼロサン、イチニーサンヨン、ゴーロクナナハチ"),
            ("酸素飽和度", "サンソホーワド"),
            ("血中酸素", "ケッチューサンソ"),
            ("みなと保健所", "ミナトホケンジョ"),
            ("髙橋", "タカハシ"),
            ("はいの方は1", "ハイノカタワイチ"),
            ("体温は何度ですか？", "タイオンワナンドデスカ？"),
            ("", ""),
        ] {
            let reading = dictionary().read(text).unwrap();
            assert_eq!(reading.kana.replace(['\'', '/'], ""), expected, "{text}");
            assert!(text.is_empty() || Kana::parse(&reading.kana).is_ok(), "{}", reading.kana);
        }
    }

    #[test]
    fn accents_and_phrases_are_marked() {
        for (text, expected, leans) in [
            ("きょうの体温", "キョ'ーノ/タ'イオン", false),
            ("です。", "デ'ス。", true),
            ("様の電話", "サマノ/デンワ", true),
            ("様。", "サマ。", true),
        ] {
            let reading = dictionary().read(text).unwrap();
            assert_eq!((reading.kana.as_str(), reading.leans), (expected, leans), "{text}");
        }
    }

    /// Files of the right sizes; they take no room.
    fn make_whole(folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        for (name, size) in FILES {
            fs::File::create(folder.join(name)).unwrap().set_len(size).unwrap();
        }
    }

    #[test]
    fn a_folder_that_is_not_whole_is_replaced() {
        let cache = tempfile::tempdir().unwrap();
        let (folder, part) = (cache.path().join(FOLDER), cache.path().join("part"));
        make_whole(&folder);
        fs::write(folder.join("dict.da"), b"cut off").unwrap();
        assert!(!is_complete(&folder));
        for _ in 0..2 {
            make_whole(&part);
            assert!(put_in_place(&part, &folder).is_ok());
            assert!(is_complete(&folder) && !part.exists());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("file");
        fs::write(&file, b"").unwrap();
        let error = Dictionary::load(&file).err().unwrap();
        assert!(matches!(error, DictionaryError::Unpack { .. }), "{error}");
        assert!(error.to_string().contains("file"), "{error}");
        let full = UnpackError::Io(ErrorKind::StorageFull.into()).at(&file);
        assert!(full.to_string().contains("the disk is full"), "{full}");
    }
}
