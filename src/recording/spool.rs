//! The folder on this machine where recordings are written, and wait for the archive.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::base::id::RecordingId;
use crate::recording::seal::{
    CHUNK_BYTES, CenterKey, HEADER_BYTES, Place, SEALED_CHUNK_BYTES, Seal, SealError, TAG_BYTES,
};

/// The file of a call that goes on.
pub(super) fn part(folder: &Path, recording: RecordingId) -> PathBuf {
    folder.join(format!("{recording}.part"))
}

/// The file of a call that is over.
pub(super) fn whole(folder: &Path, recording: RecordingId) -> PathBuf {
    folder.join(format!("{recording}.rec"))
}

/// Makes the folder if it is missing; nobody else may look into it.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes a file that nobody else may read.
pub(super) fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes a rename or a new file last.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// All bytes in the folder.
pub(super) fn used(folder: &Path) -> io::Result<u64> {
    let mut used = 0;
    for entry in fs::read_dir(folder)? {
        // A file may go while we look.
        used += entry?.metadata().map_or(0, |file| file.len());
    }
    Ok(used)
}

/// Whose files are in the folder.
pub(super) fn ids(folder: &Path) -> io::Result<Vec<RecordingId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        ids.extend(name.parse::<RecordingId>());
    }
    Ok(ids)
}

/// Brings a file that a crash left behind to its end: what is torn is cut off, and the last chunk
/// is flagged. Returns how many samples it holds; `None` if nothing can be saved.
///
/// # Errors
/// If the disk fails; the next start may try again.
pub(super) fn mend(
    folder: &Path,
    recording: RecordingId,
    center: &CenterKey,
) -> io::Result<Option<u64>> {
    let done = whole(folder, recording);
    if done.exists() {
        return close(&done, recording, center);
    }
    let torn = part(folder, recording);
    if !torn.exists() {
        return Ok(None);
    }
    let Some(samples) = close(&torn, recording, center)? else {
        return Ok(None);
    };
    fs::rename(&torn, &done)?;
    sync_folder(folder)?;
    Ok(Some(samples))
}

/// Makes the file end with a last chunk, if it does not.
fn close(path: &Path, recording: RecordingId, center: &CenterKey) -> io::Result<Option<u64>> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut header = [0; HEADER_BYTES];
    if length < HEADER_BYTES {
        return Ok(None);
    }
    file.read_exact(&mut header)?;
    let Ok(seal) = Seal::of(&header, recording, center) else { return Ok(None) };
    let body = length - HEADER_BYTES;
    let (mut full, rest) = (body / SEALED_CHUNK_BYTES, body % SEALED_CHUNK_BYTES);
    if let Some(last) = open_chunk(&mut file, &seal, full, rest, Place::Last)? {
        return Ok(Some(samples(full, last.len())));
    }
    // After a loss of power a file may be as long as it should be, with nothing in it.
    while full > 0
        && open_chunk(&mut file, &seal, full - 1, SEALED_CHUNK_BYTES, Place::Within)?.is_none()
    {
        full -= 1;
    }
    let mut last = Vec::with_capacity(TAG_BYTES);
    seal.seal(u32::try_from(full).unwrap_or(u32::MAX), Place::Last, &mut last);
    file.set_len(offset(full))?;
    file.seek(SeekFrom::Start(offset(full)))?;
    file.write_all(&last)?;
    file.sync_all()?;
    Ok(Some(samples(full, 0)))
}

fn open_chunk(
    file: &mut File,
    seal: &Seal,
    number: usize,
    length: usize,
    place: Place,
) -> io::Result<Option<Vec<u8>>> {
    if length < TAG_BYTES {
        return Ok(None);
    }
    let mut sealed = vec![0; length];
    file.seek(SeekFrom::Start(offset(number)))?;
    file.read_exact(&mut sealed)?;
    match seal.open(u32::try_from(number).unwrap_or(u32::MAX), place, &sealed) {
        Ok(chunk) => Ok(Some(chunk)),
        Err(SealError::Damaged) => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn offset(number: usize) -> u64 {
    (HEADER_BYTES + number * SEALED_CHUNK_BYTES) as u64
}

fn samples(full: usize, rest: usize) -> u64 {
    // Two lanes of one byte.
    full as u64 * (CHUNK_BYTES as u64 / 2) + rest as u64 / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Minter;

    fn sound(n: usize) -> Vec<u8> {
        (0..n).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect()
    }

    /// A file of three seconds and a half.
    fn file(seal: &Seal) -> Vec<u8> {
        let mut bytes = seal.header().to_vec();
        for (number, chunk) in (0..).zip(sound(56_000).chunks(CHUNK_BYTES)) {
            let mut chunk = chunk.to_vec();
            let place = if chunk.len() < CHUNK_BYTES { Place::Last } else { Place::Within };
            seal.seal(number, place, &mut chunk);
            bytes.extend_from_slice(&chunk);
        }
        bytes
    }

    #[test]
    fn wherever_a_crash_cuts_it_the_whole_seconds_remain() {
        let mut minter = Minter::new([4; 32]);
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let (recording, key) = (minter.mint(now), CenterKey::random(minter.mint(now)));
        let seal = Seal::new(recording, &key);
        let bytes = file(&seal);
        let second = SEALED_CHUNK_BYTES;
        let folder = tempfile::tempdir().unwrap();
        for (length, expected) in [
            (0, None),
            (1, None),
            (HEADER_BYTES - 1, None),
            (HEADER_BYTES, Some(0)),
            (HEADER_BYTES + 1, Some(0)),
            (HEADER_BYTES + second - 1, Some(0)),
            (HEADER_BYTES + second, Some(8000)),
            (HEADER_BYTES + second + 15, Some(8000)),
            (HEADER_BYTES + second + 16, Some(8000)),
            (HEADER_BYTES + 2 * second + 9, Some(16_000)),
            (HEADER_BYTES + 3 * second, Some(24_000)),
            (bytes.len() - 1, Some(24_000)),
            (bytes.len(), Some(28_000)),
        ] {
            let path = part(folder.path(), recording);
            fs::write(&path, &bytes[..length]).unwrap();
            let mended = mend(folder.path(), recording, &key).unwrap();
            assert_eq!(mended, expected, "{length}");
            let again = mend(folder.path(), recording, &key).unwrap();
            assert_eq!(again, expected, "mending twice: {length}");
            if expected.is_some() {
                assert!(!path.exists());
                fs::remove_file(whole(folder.path(), recording)).unwrap();
            }
        }
    }

    #[test]
    fn seconds_that_never_reached_the_disk_are_cut_off() {
        let mut minter = Minter::new([5; 32]);
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let (recording, key) = (minter.mint(now), CenterKey::random(minter.mint(now)));
        let seal = Seal::new(recording, &key);
        let mut bytes = file(&seal);
        let lost = HEADER_BYTES + SEALED_CHUNK_BYTES..bytes.len();
        bytes[lost].fill(0);
        let folder = tempfile::tempdir().unwrap();
        fs::write(part(folder.path(), recording), &bytes).unwrap();
        assert_eq!(mend(folder.path(), recording, &key).unwrap(), Some(8000));
    }
}
