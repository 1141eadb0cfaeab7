//! A recorded prompt, decoded: WAV, FLAC, MP3, Ogg Vorbis, M4A, AIFF and CAF.

use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read};
use std::path::Path;

use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::master::MasterError;
use crate::audio::Sound;
use crate::base::Bilingual;

/// What a recording's file name may end with.
pub const EXTENSIONS: [&str; 12] =
    ["wav", "flac", "mp3", "ogg", "oga", "m4a", "mp4", "aac", "aiff", "aif", "caf", "mka"];

/// Sound that many expect to work, and that cannot be read.
pub const UNREADABLE_EXTENSIONS: [&str; 9] =
    ["opus", "wma", "au", "amr", "webm", "3gp", "mp2", "ulaw", "alaw"];

/// A prompt of two minutes in studio quality fits.
const MAX_BYTES: u64 = 32 << 20;

/// No prompt is longer, in seconds.
const MAX_SECONDS: usize = 120;

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// More than 32 MiB.
    #[error("the file is larger than 32 MiB")]
    TooLarge,
    /// More than two minutes.
    #[error("the recording is longer than {MAX_SECONDS} seconds")]
    TooLong,
    /// No decoder knows it.
    #[error("this is not sound that can be read; use WAV, FLAC, MP3, Ogg Vorbis or M4A (AAC)")]
    Unsupported(#[source] Error),
    /// There is video or text only.
    #[error("there is no sound in the file")]
    NoSound,
    /// Something in the middle makes no sense.
    #[error("the file is damaged")]
    Damaged(#[source] Error),
    /// It ends before it should.
    #[error("the file is cut off: {decoded} of {declared} samples")]
    CutOff {
        /// Samples that were found.
        decoded: u64,
        /// Samples that the file says it has.
        declared: u64,
    },
    /// It cannot be made ready for the telephone.
    #[error(transparent)]
    Master(#[from] MasterError),
}

impl RecordingError {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Read(_) => "ファイルを読めません".to_owned(),
            Self::TooLarge => "ファイルが 32 MiB より大きいです".to_owned(),
            Self::TooLong => format!("録音が {MAX_SECONDS} 秒より長いです"),
            Self::Unsupported(_) => "読み取れる音声ではありません。WAV、FLAC、MP3、Ogg Vorbis、M4A (AAC) を使ってください".to_owned(),
            Self::NoSound => "ファイルに音がありません".to_owned(),
            Self::Damaged(_) => "ファイルが壊れています".to_owned(),
            Self::CutOff { decoded, declared } => format!("ファイルが途中で切れています({declared} のうち {decoded})"),
            Self::Master(error) => return error.explanation(),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// Reads a file, if it is not too large.
pub fn read(path: &Path) -> Result<Vec<u8>, RecordingError> {
    let file = File::open(path).map_err(RecordingError::Read)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(RecordingError::Read)?;
    if bytes.len() as u64 > MAX_BYTES { Err(RecordingError::TooLarge) } else { Ok(bytes) }
}

/// Decodes a whole file, all channels mixed to one. The extension is only a hint.
///
/// A file that is damaged or cut off is refused: half a sentence may say the opposite.
pub fn decode(bytes: Vec<u8>, extension: &str) -> Result<Sound, RecordingError> {
    let source = Box::new(Cursor::new(bytes));
    let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
    let mut hint = Hint::new();
    hint.with_extension(extension);
    let mut format = symphonia::default::get_probe()
        .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(RecordingError::Unsupported)?;
    let track = format.default_track(TrackType::Audio).ok_or(RecordingError::NoSound)?;
    let (id, declared) = (track.id, track.num_frames);
    let parameters = track.codec_params.as_ref().and_then(|codec| codec.audio());
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(
            parameters.ok_or(RecordingError::NoSound)?,
            &AudioDecoderOptions::default(),
        )
        .map_err(RecordingError::Unsupported)?;

    let mut sound = Sound { rate: 0, samples: Vec::new() };
    let mut interleaved = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            // The next link of a chained Ogg file is another recording.
            Ok(None) | Err(Error::ResetRequired) => break,
            Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(RecordingError::Damaged(error)),
        };
        if packet.track_id != id {
            continue;
        }
        let decoded = decoder.decode(&packet).map_err(RecordingError::Damaged)?;
        sound.rate = decoded.spec().rate();
        let n_channels = decoded.spec().channels().count().max(1);
        decoded.copy_to_vec_interleaved::<f32>(&mut interleaved);
        sound.samples.extend(interleaved.chunks_exact(n_channels).map(mix));
        if sound.samples.len() > MAX_SECONDS * sound.rate as usize {
            return Err(RecordingError::TooLong);
        }
    }
    let decoded = sound.samples.len() as u64;
    match declared {
        // Encoders pad the ends: half a per cent is no loss.
        Some(declared) if decoded + declared / 200 + 4096 < declared => {
            Err(RecordingError::CutOff { decoded, declared })
        }
        _ if sound.rate == 0 => Err(RecordingError::NoSound),
        _ => Ok(sound),
    }
}

fn mix(channels: &[f32]) -> f32 {
    let n = u16::try_from(channels.len()).unwrap_or(u16::MAX);
    channels.iter().sum::<f32>() / f32::from(n)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::wav::{Encoding, Wav};

    /// A tone of 440 Hz, one second.
    fn wav(channels: u16, rate: u32, encoding: Encoding) -> Vec<u8> {
        let n = rate * u32::from(channels);
        let samples = (0..n).map(|i| {
            let seconds = f64::from(i / u32::from(channels)) / f64::from(rate);
            let sine = (seconds * 440.0 * std::f64::consts::TAU).sin();
            // Three steps are a tone too: 0.4 dB are overtones.
            if sine > 0.5 {
                8000
            } else if sine < -0.5 {
                -8000
            } else {
                0
            }
        });
        Wav { channels, rate, samples: samples.collect() }.encode(encoding)
    }

    fn fixture(name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/audio");
        fs::read(folder.join(name)).unwrap()
    }

    /// How strong a frequency is, against all the power (0 dB: nothing else).
    fn purity(sound: &Sound, hertz: f64) -> f64 {
        let step = std::f64::consts::TAU * hertz / f64::from(sound.rate);
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (i, &sample) in (0_u32..).zip(&sound.samples) {
            let sample = f64::from(sample);
            re += sample * (step * f64::from(i)).cos();
            im += sample * (step * f64::from(i)).sin();
            all += sample * sample;
        }
        let n = f64::from(u32::try_from(sound.samples.len()).unwrap());
        10.0 * (2.0 * (re * re + im * im) / n / all).log10()
    }

    #[test]
    fn wav_files_of_many_kinds_are_decoded() {
        for (channels, rate, encoding) in [
            (1, 8000, Encoding::Linear16),
            (1, 8000, Encoding::Mulaw),
            (2, 44_100, Encoding::Linear16),
            (1, 48_000, Encoding::Linear16),
        ] {
            let sound = decode(wav(channels, rate, encoding), "wav").unwrap();
            assert_eq!((sound.rate, sound.samples.len()), (rate, rate as usize));
            assert!(purity(&sound, 440.0) > -0.5, "{channels} {rate} {encoding:?}");
        }
    }

    #[test]
    fn compressed_files_are_decoded() {
        for name in ["tone.flac", "tone.mp3", "tone.ogg", "tone.m4a"] {
            let extension = name.split_once('.').unwrap().1;
            let sound = decode(fixture(name), extension).unwrap();
            let seconds = sound.duration().as_secs_f64();
            assert!((0.99..1.15).contains(&seconds), "{name}: {seconds} s");
            assert!(purity(&sound, 440.0) > -1.0, "{name}: {} dB", purity(&sound, 440.0));
        }
    }

    #[test]
    fn the_extension_is_only_a_hint() {
        assert!(decode(fixture("tone.mp3"), "wav").is_ok());
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused() {
        for name in ["tone.flac", "tone.ogg", "tone.m4a"] {
            let mut bytes = fixture(name);
            bytes.truncate(bytes.len() / 2);
            assert!(decode(bytes, "").is_err(), "{name}");
        }
        let mut bytes = wav(1, 48_000, Encoding::Linear16);
        bytes.truncate(bytes.len() / 2);
        let error = decode(bytes, "wav").unwrap_err();
        assert!(matches!(error, RecordingError::CutOff { declared: 48_000, .. }), "{error}");
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        for bytes in [b"".to_vec(), b"hello, this is text".to_vec(), vec![0; 10_000]] {
            assert!(matches!(decode(bytes, "wav"), Err(RecordingError::Unsupported(_))));
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let samples = vec![1; 8000 * (MAX_SECONDS + 1)];
        let bytes = Wav { channels: 1, rate: 8000, samples }.encode(Encoding::Linear16);
        assert!(matches!(decode(bytes, "wav"), Err(RecordingError::TooLong)));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.wav");
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(read(&path), Err(RecordingError::TooLarge)));
        assert!(matches!(read(&folder.path().join("none.wav")), Err(RecordingError::Read(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_damaged_file_never_panics(
            which in 0_usize..5, at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            let mut bytes = match which {
                0 => wav(1, 8000, Encoding::Linear16),
                1 => fixture("tone.flac"),
                2 => fixture("tone.mp3"),
                3 => fixture("tone.ogg"),
                _ => fixture("tone.m4a"),
            };
            bytes.truncate(cut.index(bytes.len()) + 1);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = decode(bytes, "");
        }
    }
}
