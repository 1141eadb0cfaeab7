//! Speech that was made once, kept on disk for the next start.
//!
//! A file is named by a hash of what it says and how, and holds sound only. It is written whole or
//! not at all; one that is damaged is made again. What names a person is never given to it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use super::master::Encoded;

/// Raised whenever the same words would sound different: the voice, its timing, the band, the
/// level or the format of these files.
const PIPELINE: &str = "1";

const MAGIC: &[u8; 8] = b"mimaclip";

/// Bytes of the SHA-256 that ends a file.
const CHECKSUM: usize = 32;

/// The name of a sound: SHA-256 of all that determines it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Hashes the parts, each with its length, so that no two lists give the same key by accident.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in [PIPELINE.as_bytes()].iter().chain(parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    fn file_name(self) -> String {
        self.0.iter().fold(String::new(), |mut name, byte| {
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
            name
        })
    }
}

/// A folder of sounds.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Uses, or makes, the folder `speech` in the folder of the cache.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let folder = root.join("speech");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// The sound, if it was stored whole.
    pub(super) fn load(&self, key: Key) -> Option<Encoded> {
        unpack(&fs::read(self.folder.join(key.file_name())).ok()?)
    }

    /// Stores a sound. Two processes may store the same one at once.
    pub(super) fn store(&self, key: Key, sound: &Encoded) -> io::Result<()> {
        static N: AtomicU64 = AtomicU64::new(0);
        let name = key.file_name();
        let n = N.fetch_add(1, Ordering::Relaxed);
        let part = self.folder.join(format!("{name}.{}-{n}.part", std::process::id()));
        let written =
            fs::write(&part, pack(sound)).and_then(|()| fs::rename(&part, self.folder.join(name)));
        if written.is_err() {
            // Nothing is lost if this fails too: the part is never read.
            let _ = fs::remove_file(&part);
        }
        written
    }
}

fn pack(sound: &Encoded) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + 2 * sound.pcmu.len() + CHECKSUM);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&sound.pcmu);
    bytes.extend_from_slice(&sound.pcma);
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

fn unpack(bytes: &[u8]) -> Option<Encoded> {
    let (signed, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    if Sha256::digest(signed).as_slice() != checksum {
        return None;
    }
    let sound = signed.strip_prefix(MAGIC)?;
    let (pcmu, pcma) = sound.split_at(sound.len() / 2);
    Some(Encoded { pcmu: pcmu.to_vec(), pcma: pcma.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Encoded {
        Encoded { pcmu: vec![1; 320], pcma: vec![2; 320] }
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path()).unwrap();
        let key = Key::of(&[b"a"]);
        assert_eq!(cache.load(key), None);
        cache.store(key, &sound()).unwrap();
        cache.store(key, &sound()).unwrap();
        assert_eq!(cache.load(key), Some(sound()));
        assert_eq!(cache.load(Key::of(&[b"b"])), None);
        assert_eq!(fs::read_dir(root.path().join("speech")).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_not_loaded() {
        let whole = pack(&sound());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!(unpack(&damaged), None, "byte {at}");
            assert_eq!(unpack(&whole[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn parts_are_not_confused() {
        assert_ne!(Key::of(&[b"ab", b"c"]), Key::of(&[b"a", b"bc"]));
        assert_ne!(Key::of(&[b"ab"]), Key::of(&[b"ab", b""]));
    }
}
