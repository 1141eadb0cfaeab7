//! Sealed files: encrypted while they are written, readable from any second on.
//!
//! ```text
//! header   magic 8 · recording 36 · center key 36 · data key sealed under it 60 · prefix 7 · 0 13
//! chunk 0  a second of both lanes, 16,000 bytes + tag 16
//! chunk 1  …
//! chunk n  the rest, 0 to 15,999 bytes + tag 16; flagged as the last
//! ```
//!
//! AES-256-GCM throughout. A chunk's nonce is the file's random prefix, the chunk's number, and
//! whether it is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár,
//! 2015): chunks cannot be reordered, dropped at the end, or moved to another file, whose header
//! is authenticated with each of them. Every file has a data key of its own; that is sealed under
//! the key of the centre, and this one under the master key, which is in no database.

use std::fmt;
use std::fs;
use std::io;
use std::io::Write;
use std::path::Path;

use aes_gcm::Aes256Gcm;
use aes_gcm::KeyInit;
use aes_gcm::aead::{Aead, AeadInOut, Payload};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::base::Bilingual;
use crate::base::id::{CenterKeyId, RecordingId};
use crate::recording::spool;
use crate::tape::SealedKey;

/// Sound in a chunk: one second of two lanes of 8,000 samples.
pub const CHUNK_BYTES: usize = 16_000;

/// What each chunk grows by.
pub const TAG_BYTES: usize = 16;

/// Room of a full chunk in the file.
pub const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;

/// What stands before the first chunk.
pub const HEADER_BYTES: usize = 160;

const MAGIC: &[u8; 8] = b"MIMAREC\x01";
const ID_BYTES: usize = 36;
const NONCE_BYTES: usize = 12;
const PREFIX_BYTES: usize = 7;
const SEALED_KEY_BYTES: usize = NONCE_BYTES + 32 + TAG_BYTES;

/// What is not sound, such as the waveform, is sealed under numbers that no chunk reaches: a
/// recording of 136 years.
const ASIDE: u32 = u32::MAX;

/// Why something sealed cannot be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The text is not the base64 form of 32 bytes.
    #[error("a key is 32 bytes in base64")]
    NotAKey,
    /// The bytes do not begin like a sealed file of this version.
    #[error("not a sealed recording")]
    NotSealed,
    /// The file belongs to another recording or another key of the centre.
    #[error("the file of another recording")]
    Foreign,
    /// The bytes were changed, cut, or sealed under another key.
    #[error("damaged, or sealed under another key")]
    Damaged,
}

impl SealError {
    /// For the person who has to mend it.
    pub fn explanation(self) -> Bilingual {
        let ja = match self {
            Self::NotAKey => "鍵は base64 で書いた 32 バイトです".to_owned(),
            Self::NotSealed => "封をした録音ではありません".to_owned(),
            Self::Foreign => "別の録音のファイルです".to_owned(),
            Self::Damaged => "壊れているか、別の鍵で封をされています".to_owned(),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// The key that all others hang on; from the configuration, never in a database.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads 32 bytes in base64, as [`Self::to_text`] writes them.
    ///
    /// # Errors
    /// [`SealError::NotAKey`].
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| SealError::NotAKey)?;
        bytes.try_into().map(Self).map_err(|_| SealError::NotAKey)
    }

    /// A new key, from the randomness of the operating system.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Reads the key from its file; makes both if there is no file. The flag tells whether it was
    /// made now.
    ///
    /// # Errors
    /// If the file cannot be read or written, or holds no key.
    pub fn load_or_make(path: &Path) -> io::Result<(Self, bool)> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map(|key| (key, false)).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = Self::random();
                let mut file = spool::create(path)?;
                file.write_all(key.to_text().as_bytes())?;
                file.sync_all()?;
                Ok((key, true))
            }
            Err(error) => Err(error),
        }
    }

    /// The key as text, for the one file that keeps it.
    pub fn to_text(&self) -> String {
        BASE64_STANDARD.encode(self.0)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// The key of a health centre.
#[derive(Clone)]
pub struct CenterKey {
    /// Its id.
    pub id: CenterKeyId,
    key: [u8; 32],
}

impl CenterKey {
    /// A new key, from the randomness of the operating system.
    pub fn random(id: CenterKeyId) -> Self {
        Self { id, key: rand::random() }
    }

    /// The key as the store keeps it.
    pub fn seal(&self, master: &MasterKey) -> SealedKey {
        SealedKey { id: self.id, sealed: wrap(&master.0, &self.key, &self.id.to_string()) }
    }

    /// Takes the key out of its seal.
    ///
    /// # Errors
    /// [`SealError::Damaged`] if it was sealed under another master key.
    pub fn open(master: &MasterKey, sealed: &SealedKey) -> Result<Self, SealError> {
        let key = unwrap(&master.0, &sealed.sealed, &sealed.id.to_string())?;
        Ok(Self { id: sealed.id, key })
    }
}

impl fmt::Debug for CenterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CenterKey({})", self.id)
    }
}

/// Seals the chunks of one file in their order, and opens them in any.
pub struct Seal {
    cipher: Aes256Gcm,
    header: [u8; HEADER_BYTES],
}

impl Seal {
    /// The seal of a new file.
    pub fn new(recording: RecordingId, center: &CenterKey) -> Self {
        let key: [u8; 32] = rand::random();
        let prefix: [u8; PREFIX_BYTES] = rand::random();
        let sealed_key = wrap(&center.key, &key, &recording.to_string());
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(recording.to_string().as_bytes());
        header.extend_from_slice(center.id.to_string().as_bytes());
        header.extend_from_slice(&sealed_key);
        header.extend_from_slice(&prefix);
        header.resize(HEADER_BYTES, 0);
        let header = header.try_into().expect("it was resized to this length");
        Self { cipher: Aes256Gcm::new(&key.into()), header }
    }

    /// The seal of a file that begins with these bytes.
    ///
    /// # Errors
    /// If it is not that recording's file, or sealed under another key.
    pub fn of(
        header: &[u8],
        recording: RecordingId,
        center: &CenterKey,
    ) -> Result<Self, SealError> {
        let header: [u8; HEADER_BYTES] = header
            .get(..HEADER_BYTES)
            .and_then(|header| header.try_into().ok())
            .ok_or(SealError::NotSealed)?;
        let rest = header.strip_prefix(MAGIC.as_slice()).ok_or(SealError::NotSealed)?;
        let (name, rest) = rest.split_at(ID_BYTES);
        let (key_id, rest) = rest.split_at(ID_BYTES);
        if name != recording.to_string().as_bytes() || key_id != center.id.to_string().as_bytes() {
            return Err(SealError::Foreign);
        }
        let key = unwrap(&center.key, &rest[..SEALED_KEY_BYTES], &recording.to_string())?;
        Ok(Self { cipher: Aes256Gcm::new(&key.into()), header })
    }

    /// What the file begins with.
    pub fn header(&self) -> &[u8; HEADER_BYTES] {
        &self.header
    }

    /// Seals a chunk in place; only the last may be shorter than [`CHUNK_BYTES`].
    pub fn seal(&self, number: u32, place: Place, chunk: &mut Vec<u8>) {
        let nonce = self.nonce(number, place);
        self.cipher
            .encrypt_in_place(&nonce.into(), &self.header, chunk)
            .expect("a chunk is shorter than 64 GB");
    }

    /// Opens a chunk.
    ///
    /// # Errors
    /// [`SealError::Damaged`].
    pub fn open(&self, number: u32, place: Place, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce = self.nonce(number, place);
        let payload = Payload { msg: sealed, aad: &self.header };
        self.cipher.decrypt(&nonce.into(), payload).map_err(|_| SealError::Damaged)
    }

    /// Seals something beside the sound: once per file.
    pub fn seal_aside(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        self.seal(ASIDE, Place::Last, &mut bytes);
        bytes
    }

    /// Opens what [`Self::seal_aside`] has sealed.
    ///
    /// # Errors
    /// [`SealError::Damaged`].
    pub fn open_aside(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.open(ASIDE, Place::Last, sealed)
    }

    fn nonce(&self, number: u32, place: Place) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        let prefix_at = MAGIC.len() + 2 * ID_BYTES + SEALED_KEY_BYTES;
        nonce[..PREFIX_BYTES].copy_from_slice(&self.header[prefix_at..prefix_at + PREFIX_BYTES]);
        nonce[PREFIX_BYTES..NONCE_BYTES - 1].copy_from_slice(&number.to_be_bytes());
        nonce[NONCE_BYTES - 1] = u8::from(place == Place::Last);
        nonce
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// Whether a chunk is followed by others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// Others follow; it is full.
    Within,
    /// It is the last.
    Last,
}

/// Seals a key: nonce, key, tag. `name` is whom it belongs to.
fn wrap(under: &[u8; 32], key: &[u8; 32], name: &str) -> Vec<u8> {
    let nonce: [u8; NONCE_BYTES] = rand::random();
    let payload = Payload { msg: key, aad: name.as_bytes() };
    let sealed = Aes256Gcm::new(under.into()).encrypt(&nonce.into(), payload);
    [nonce.as_slice(), &sealed.expect("a key is short")].concat()
}

fn unwrap(under: &[u8; 32], sealed: &[u8], name: &str) -> Result<[u8; 32], SealError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Damaged)?;
    let payload = Payload { msg: sealed, aad: name.as_bytes() };
    let key = Aes256Gcm::new(under.into()).decrypt(nonce.into(), payload);
    key.map_err(|_| SealError::Damaged)?.try_into().map_err(|_| SealError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Minter;

    fn ids() -> (RecordingId, RecordingId, CenterKeyId) {
        let mut minter = Minter::new([4; 32]);
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        (minter.mint(now), minter.mint(now), minter.mint(now))
    }

    #[test]
    fn only_the_right_keys_open_a_file_and_every_byte_counts() {
        let (recording, other, key_id) = ids();
        let master = MasterKey::random();
        let center = CenterKey::random(key_id);
        let sealed_center = center.seal(&master);
        let center = CenterKey::open(&master, &sealed_center).unwrap();
        assert!(CenterKey::open(&MasterKey::random(), &sealed_center).is_err());

        let seal = Seal::new(recording, &center);
        let mut chunk = vec![7; CHUNK_BYTES];
        seal.seal(3, Place::Within, &mut chunk);
        assert_eq!(chunk.len(), SEALED_CHUNK_BYTES);
        assert!(!chunk.windows(4).any(|four| four == [7; 4]));

        let reader = Seal::of(seal.header(), recording, &center).unwrap();
        assert_eq!(reader.open(3, Place::Within, &chunk), Ok(vec![7; CHUNK_BYTES]));
        assert_eq!(reader.open(2, Place::Within, &chunk), Err(SealError::Damaged));
        assert_eq!(reader.open(3, Place::Last, &chunk), Err(SealError::Damaged));
        chunk[9] ^= 1;
        assert_eq!(reader.open(3, Place::Within, &chunk), Err(SealError::Damaged));

        assert_eq!(Seal::of(seal.header(), other, &center).err(), Some(SealError::Foreign));
        let stranger = CenterKey::random(key_id);
        assert_eq!(Seal::of(seal.header(), recording, &stranger).err(), Some(SealError::Damaged));
        assert_eq!(Seal::of(b"RIFF", recording, &center).err(), Some(SealError::NotSealed));
        let mut header = *seal.header();
        header[HEADER_BYTES - 1] = 1;
        let changed = Seal::of(&header, recording, &center).unwrap();
        chunk[9] ^= 1;
        assert_eq!(changed.open(3, Place::Within, &chunk), Err(SealError::Damaged));
    }

    #[test]
    fn a_master_key_survives_text_and_shows_nothing() {
        let master = MasterKey::random();
        let again = MasterKey::parse(&format!(" {}\n", master.to_text())).unwrap();
        assert_eq!(master.0, again.0);
        assert_eq!(format!("{master:?}"), "MasterKey");
        for text in ["", "abc", "AAAA", &"A".repeat(44)] {
            assert_eq!(MasterKey::parse(text).err(), Some(SealError::NotAKey), "{text}");
        }
    }
}
