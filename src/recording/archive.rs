//! Where recordings stay: a folder, or an object store that speaks S3.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use sha2::Digest;
use sha2::Sha256;

use crate::base::Bilingual;
use crate::base::Private;
use crate::base::id::RecordingId;
use crate::recording::seal::{
    CHUNK_BYTES, CenterKey, HEADER_BYTES, MasterKey, Place, SEALED_CHUNK_BYTES, Seal, SealError,
    TAG_BYTES,
};
use crate::recording::spool;
use crate::recording::view::View;
use crate::recording::waveform::{Meter, Waveform};
use crate::registry::audit::hex;
use crate::tape::{Recording, State};

/// Where recordings are kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder on this machine: `spool` in it always, `archive` in it unless there is [`S3`].
    pub folder: PathBuf,
    /// The object store.
    pub s3: Option<S3>,
    /// The key that all others hang on.
    pub key: MasterKey,
    /// What the spool may grow to, in bytes; from then on calls are not recorded.
    pub spool_limit: u64,
}

/// An object store that speaks S3.
#[derive(Clone, Debug)]
pub struct S3 {
    /// Its address, such as `https://s3.example.jp`; `None` for that of the region.
    pub endpoint: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The region.
    pub region: String,
    /// The name of the access key.
    pub access_key_id: Private<String>,
    /// Its secret.
    pub secret_access_key: Private<String>,
}

/// Why a recording cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The call goes on; its sound can be read when it is over.
    #[error("the call goes on")]
    Running,
    /// The sound was deleted.
    #[error("the sound was deleted")]
    Deleted,
    /// The sound is not where it should be.
    #[error("the sound is missing")]
    Missing,
    /// The sound is in the spool of another node, which has not stored it yet.
    #[error("the sound is still on the node {node}")]
    Elsewhere {
        /// The node.
        node: String,
    },
    /// The object store is away, or refuses. The next turn may try again.
    #[error("the archive of recordings does not answer")]
    Unavailable {
        /// Why.
        #[source]
        source: object_store::Error,
    },
    /// The local folder cannot be used.
    #[error("the folder of recordings cannot be used")]
    Disk {
        /// Why.
        #[from]
        source: std::io::Error,
    },
    /// It cannot be opened with our keys.
    #[error("the recording cannot be opened")]
    Sealed {
        /// Why.
        #[from]
        source: SealError,
    },
    /// The archive gave back something else than was stored.
    #[error("the archive does not give back what was stored")]
    Untrue,
}

impl ArchiveError {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Running => "通話中です".to_owned(),
            Self::Deleted => "録音は消去されました".to_owned(),
            Self::Missing => "録音が見つかりません".to_owned(),
            Self::Elsewhere { node } => format!("録音はまだ {node} にあります"),
            Self::Unavailable { .. } => "録音の保管先が応答しません".to_owned(),
            Self::Disk { .. } => "録音のフォルダーを使えません".to_owned(),
            Self::Sealed { .. } => "録音を開けません".to_owned(),
            Self::Untrue => "保管先が、預けたものと違うものを返しました".to_owned(),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

impl From<object_store::Error> for ArchiveError {
    fn from(source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::Missing,
            source => Self::Unavailable { source },
        }
    }
}

/// What was stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// The length of the sealed file.
    pub sealed_bytes: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// The archive and the spool in front of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Archive {
    objects: Arc<dyn ObjectStore>,
    spool: PathBuf,
    key: MasterKey,
    spool_limit: u64,
}

/// How long the archive may take for one request before it counts as away.
const PATIENCE: Duration = Duration::from_secs(20);

impl Archive {
    /// Opens the archive, and makes the local folders if they are missing. Nothing is sent yet:
    /// see [`Self::check`].
    ///
    /// # Errors
    /// If the folders cannot be made, or the settings of the object store cannot be meant.
    pub fn open(config: &Config) -> Result<Self, ArchiveError> {
        let spool = config.folder.join("spool");
        spool::make_folder(&spool)?;
        let objects: Arc<dyn ObjectStore> = match &config.s3 {
            None => {
                let folder = config.folder.join("archive");
                spool::make_folder(&folder)?;
                Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true))
            }
            Some(s3) => Arc::new(bucket(s3)?),
        };
        Ok(Self { objects, spool, key: config.key.clone(), spool_limit: config.spool_limit })
    }

    /// Writes, reads and deletes something, so that a wrong setting is found before a call is.
    ///
    /// # Errors
    /// If any of it fails.
    pub async fn check(&self) -> Result<(), ArchiveError> {
        let path = Key::from(format!("check/{:016x}", rand::random::<u64>()));
        let written = Bytes::from_static("見守り".as_bytes());
        self.objects.put(&path, written.clone().into()).await?;
        let read = self.objects.get_range(&path, 0..written.len() as u64).await?;
        self.objects.delete(&path).await?;
        let probe = self.spool.join("check");
        fs::write(&probe, &written)?;
        fs::remove_file(&probe)?;
        if read == written { Ok(()) } else { Err(ArchiveError::Untrue) }
    }

    /// The key that all others hang on.
    pub fn master_key(&self) -> &MasterKey {
        &self.key
    }

    /// The folder of recordings that wait to be stored.
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// Whether the spool has no room for another call: the archive was away for too long.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn spool_is_full(&self) -> Result<bool, ArchiveError> {
        Ok(spool::used(&self.spool)? >= self.spool_limit)
    }

    /// A range of the recording as a µ-law WAV file, left our side, right the patient's. Only the
    /// seconds in the range are read and opened. A range beyond the end is cut.
    ///
    /// # Errors
    /// If it is not there any more or not yet, or cannot be opened.
    pub async fn read_range(
        &self,
        recording: &Recording,
        range: Range<u64>,
    ) -> Result<Bytes, ArchiveError> {
        self.read_view(recording, View::Mulaw, range).await
    }

    /// The same in the form that a player needs.
    ///
    /// # Errors
    /// As [`Self::read_range`].
    pub async fn read_view(
        &self,
        recording: &Recording,
        view: View,
        range: Range<u64>,
    ) -> Result<Bytes, ArchiveError> {
        let samples = samples(recording)?;
        let end = range.end.min(view.length(samples));
        let range = range.start.min(end)..end;
        let sound = self.read_sound(recording, view.needed(samples, &range)).await?;
        Ok(view.render(samples, &range, &sound).into())
    }

    /// The picture of a recording.
    ///
    /// # Errors
    /// As [`Self::read_range`].
    pub async fn waveform(&self, recording: &Recording) -> Result<Waveform, ArchiveError> {
        let samples = samples(recording)?;
        if recording.state == State::Stored {
            let seal = self.seal_of(recording).await?;
            match self.objects.get(&picture_key(recording.id)).await {
                Ok(found) => {
                    let sealed = found.bytes().await?;
                    return Ok(Waveform::from_bytes(&seal.open_aside(&sealed)?));
                }
                // It can be drawn again.
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut meter = Meter::new(samples);
        meter.hear(&self.read_sound(recording, 0..samples * 2).await?);
        Ok(meter.finish())
    }

    /// Takes a recording from the spool into the archive, with its picture beside it; the file in
    /// the spool stays until [`Self::forget_spooled`]. Again after a failure, it does no harm.
    ///
    /// # Errors
    /// If the archive is away, or the file is gone or damaged.
    pub async fn store(&self, recording: &Recording) -> Result<Stored, ArchiveError> {
        let waveform = self.waveform(recording).await?;
        let sealed = fs::read(spool::whole(&self.spool, recording.id)).map_err(missing)?;
        let seal = self.seal_from(&sealed, recording)?;
        let picture = seal.seal_aside(waveform.to_bytes());
        let stored =
            Stored { sealed_bytes: sealed.len() as u64, sha256: hex(&Sha256::digest(&sealed)) };
        let path = key(recording.id);
        self.objects.put(&path, PutPayload::from(sealed)).await?;
        self.objects.put(&picture_key(recording.id), PutPayload::from(picture)).await?;
        let kept = self.objects.head(&path).await?;
        if kept.size == stored.sealed_bytes { Ok(stored) } else { Err(ArchiveError::Untrue) }
    }

    /// Deletes a recording from the spool of this node. One that is not there is deleted.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn forget_spooled(&self, recording: RecordingId) -> Result<(), ArchiveError> {
        for path in [spool::part(&self.spool, recording), spool::whole(&self.spool, recording)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Deletes a recording from archive and spool. One that is not there is deleted.
    ///
    /// # Errors
    /// If the archive is away or the disk fails: then it may still be there.
    pub async fn delete(&self, recording: &Recording) -> Result<(), ArchiveError> {
        self.forget_spooled(recording.id)?;
        for path in [key(recording.id), picture_key(recording.id)] {
            match self.objects.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whose files are in the spool of this node.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn spooled(&self) -> Result<Vec<RecordingId>, ArchiveError> {
        Ok(spool::ids(&self.spool)?)
    }

    /// Brings what a crash left of a recording to its end, see the format in [`crate::recording`];
    /// returns its samples, or `None` if there is nothing to save.
    ///
    /// # Errors
    /// If the disk fails, or the key is not the right one.
    pub fn mend(&self, recording: &Recording) -> Result<Option<u64>, ArchiveError> {
        let center = CenterKey::open(&self.key, &recording.key)?;
        Ok(spool::mend(&self.spool, recording.id, &center)?)
    }

    /// The µ-law sound between two positions.
    async fn read_sound(
        &self,
        recording: &Recording,
        range: Range<u64>,
    ) -> Result<Vec<u8>, ArchiveError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let sound_bytes = samples(recording)? * 2;
        let chunk_bytes = CHUNK_BYTES as u64;
        let first = range.start / chunk_bytes;
        let last_of_file = sound_bytes / chunk_bytes;
        let last = ((range.end - 1) / chunk_bytes).min(last_of_file);
        let offset = |chunk: u64| HEADER_BYTES as u64 + chunk * SEALED_CHUNK_BYTES as u64;
        let end_of_file = offset(last_of_file) + sound_bytes % chunk_bytes + TAG_BYTES as u64;
        let wanted = offset(first)..offset(last + 1).min(end_of_file);
        let (header, sealed) = self.read_file(recording, wanted).await?;
        let seal = self.seal_from(&header, recording)?;
        let mut sound = Vec::with_capacity(sealed.len());
        for (number, chunk) in (first..=last).zip(sealed.chunks(SEALED_CHUNK_BYTES)) {
            let place = if number == last_of_file { Place::Last } else { Place::Within };
            let number = u32::try_from(number).map_err(|_| SealError::Damaged)?;
            sound.extend_from_slice(&seal.open(number, place, chunk)?);
        }
        let skip = usize::try_from(range.start - first * chunk_bytes).unwrap_or(usize::MAX);
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let from = skip.min(sound.len());
        let to = from.saturating_add(length).min(sound.len());
        if to - from < length {
            return Err(SealError::Damaged.into());
        }
        sound.drain(..from);
        sound.truncate(length);
        Ok(sound)
    }

    async fn seal_of(&self, recording: &Recording) -> Result<Seal, ArchiveError> {
        let (header, _) = self.read_file(recording, 0..0).await?;
        self.seal_from(&header, recording)
    }

    fn seal_from(&self, header: &[u8], recording: &Recording) -> Result<Seal, ArchiveError> {
        let center = CenterKey::open(&self.key, &recording.key)?;
        Ok(Seal::of(header, recording.id, &center)?)
    }

    /// The header of the sealed file, and a range of it.
    async fn read_file(
        &self,
        recording: &Recording,
        range: Range<u64>,
    ) -> Result<(Bytes, Bytes), ArchiveError> {
        let header = 0..HEADER_BYTES as u64;
        match recording.state {
            State::Running => Err(ArchiveError::Running),
            State::Deleted => Err(ArchiveError::Deleted),
            State::Spooled => {
                let path = spool::whole(&self.spool, recording.id);
                if !path.exists() {
                    return Err(ArchiveError::Elsewhere { node: recording.node.clone() });
                }
                let bytes = Bytes::from(fs::read(path).map_err(missing)?);
                let part = |range: Range<u64>| -> Option<Bytes> {
                    let from = usize::try_from(range.start).ok()?;
                    let to = usize::try_from(range.end).ok()?;
                    (to <= bytes.len() && from <= to).then(|| bytes.slice(from..to))
                };
                let damaged = ArchiveError::from(SealError::Damaged);
                part(header).zip(part(range)).ok_or(damaged)
            }
            State::Stored => {
                let path = key(recording.id);
                if range.is_empty() {
                    return Ok((self.objects.get_range(&path, header).await?, Bytes::new()));
                }
                let parts = self.objects.get_ranges(&path, &[header, range]).await?;
                let [header, part] =
                    parts.try_into().map_err(|_| ArchiveError::from(SealError::Damaged))?;
                Ok((header, part))
            }
        }
    }
}

fn samples(recording: &Recording) -> Result<u64, ArchiveError> {
    match recording.state {
        State::Deleted => Err(ArchiveError::Deleted),
        _ => recording.samples.ok_or(ArchiveError::Running),
    }
}

fn missing(error: std::io::Error) -> ArchiveError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ArchiveError::Missing,
        _ => error.into(),
    }
}

/// Spreads files over folders by the last digits of the id, which are random.
fn key(recording: RecordingId) -> Key {
    let name = recording.to_string();
    let folder: String = name.chars().skip(name.len().saturating_sub(2)).collect();
    Key::from(format!("{folder}/{name}.rec"))
}

fn picture_key(recording: RecordingId) -> Key {
    Key::from(format!("{}.peaks", key(recording)))
}

fn bucket(s3: &S3) -> Result<object_store::aws::AmazonS3, object_store::Error> {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&s3.bucket)
        .with_region(&s3.region)
        .with_access_key_id(s3.access_key_id.expose())
        .with_secret_access_key(s3.secret_access_key.expose())
        // The server compares it with what arrived.
        .with_checksum_algorithm(Checksum::SHA256)
        // The next turn of the worker is the retry.
        .with_retry(RetryConfig {
            max_retries: 1,
            retry_timeout: PATIENCE,
            ..RetryConfig::default()
        })
        .with_client_options(
            ClientOptions::new().with_timeout(PATIENCE).with_connect_timeout(PATIENCE / 4),
        );
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    builder.build()
}
