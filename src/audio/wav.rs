//! WAV files in memory: 16-bit linear (tag 1) and µ-law (tag 7), mono or stereo.
//!
//! µ-law keeps what was on the wire without a second loss. A file whose sizes are stale, because
//! its writer died, is read up to what is there.

use crate::audio::g711;
use crate::audio::pcm;

const LINEAR: u16 = 1;
const MULAW: u16 = 7;
const EXTENSIBLE: u16 = 0xFFFE;

/// How samples are stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// 16-bit linear.
    Linear16,
    /// G.711 µ-law, 8 bits.
    Mulaw,
}

impl Encoding {
    fn tag(self) -> u16 {
        match self {
            Self::Linear16 => LINEAR,
            Self::Mulaw => MULAW,
        }
    }

    fn bytes_per_sample(self) -> u16 {
        match self {
            Self::Linear16 => 2,
            Self::Mulaw => 1,
        }
    }
}

/// Sound as it stands in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wav {
    /// 1 (mono) or 2 (stereo: left is our side, right is the caller's).
    pub channels: u16,
    /// Samples in a second and channel.
    pub rate: u32,
    /// Samples of all channels in turn.
    pub samples: Vec<i16>,
}

/// Why bytes are no WAV file that we can read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file does not begin with `RIFF….WAVE`.
    #[error("not a WAV file")]
    NotWav,
    /// There is no `fmt ` chunk before the sound, or it is too short.
    #[error("the format of the sound is missing")]
    NoFormat,
    /// There is no `data` chunk.
    #[error("the sound is missing")]
    NoData,
    /// The sound is stored in a way that this module does not read.
    #[error("format tag {tag} with {bits} bits and {channels} channels is not supported")]
    Unsupported {
        /// The format tag, such as 1 (linear) or 7 (µ-law).
        tag: u16,
        /// Bits in a sample.
        bits: u16,
        /// Channels.
        channels: u16,
    },
}

impl Wav {
    /// Reads a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, WavError> {
        if bytes.len() < 12 || !bytes.starts_with(b"RIFF") || &bytes[8..12] != b"WAVE" {
            return Err(WavError::NotWav);
        }
        let mut format = None;
        let mut rest = &bytes[12..];
        while let Some((head, after)) = rest.split_first_chunk::<8>() {
            let size = usize::try_from(u32_at(head, 4)).unwrap_or(usize::MAX);
            let body = &after[..size.min(after.len())];
            match &head[..4] {
                b"fmt " => format = Some(Format::parse(body)?),
                b"data" => return Ok(format.ok_or(WavError::NoFormat)?.decode(body)),
                _ => {}
            }
            // Chunks begin at even addresses.
            rest = after.get(size.saturating_add(size % 2)..).unwrap_or_default();
        }
        Err(if format.is_none() { WavError::NoFormat } else { WavError::NoData })
    }

    /// The file's bytes.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let n_bytes = self.samples.len() * usize::from(encoding.bytes_per_sample());
        let size = u32::try_from(n_bytes).unwrap_or(u32::MAX);
        let mut bytes = header(encoding, self.channels, self.rate, size);
        match encoding {
            Encoding::Linear16 => bytes.extend(self.samples.iter().flat_map(|s| s.to_le_bytes())),
            Encoding::Mulaw => bytes.extend(self.samples.iter().map(|&sample| g711::mulaw(sample))),
        }
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        bytes
    }

    /// All channels mixed to one.
    pub fn to_mono(&self) -> pcm::Sound {
        let channels = usize::from(self.channels.max(1));
        let mix = |frame: &[i16]| {
            frame.iter().map(|&sample| pcm::widen(sample)).sum::<f32>() / f32::from(self.channels)
        };
        pcm::Sound {
            rate: self.rate,
            samples: self.samples.chunks_exact(channels).map(mix).collect(),
        }
    }
}

/// What stands before the sound: 44 bytes for linear, 58 for µ-law. `size` is that of the sound in
/// bytes; a recorder that does not know it yet writes the header again as it goes.
pub fn header(encoding: Encoding, channels: u16, rate: u32, size: u32) -> Vec<u8> {
    let block = channels * encoding.bytes_per_sample();
    let mut bytes = Vec::with_capacity(58);
    bytes.extend(b"RIFF\0\0\0\0WAVEfmt ");
    let format_size: u32 = if encoding == Encoding::Linear16 { 16 } else { 18 };
    bytes.extend(format_size.to_le_bytes());
    bytes.extend(encoding.tag().to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend((encoding.bytes_per_sample() * 8).to_le_bytes());
    if encoding == Encoding::Mulaw {
        // Compressed formats carry the size of their extension and the number of samples.
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend(b"fact");
        bytes.extend(4_u32.to_le_bytes());
        bytes.extend((size / u32::from(block.max(1))).to_le_bytes());
    }
    bytes.extend(b"data");
    bytes.extend(size.to_le_bytes());
    let header_size = u32::try_from(bytes.len()).expect("44 or 58");
    let after_riff = (header_size - 8).saturating_add(size).saturating_add(size % 2);
    bytes[4..8].copy_from_slice(&after_riff.to_le_bytes());
    bytes
}

struct Format {
    encoding: Encoding,
    channels: u16,
    rate: u32,
}

impl Format {
    fn parse(body: &[u8]) -> Result<Self, WavError> {
        if body.len() < 16 {
            return Err(WavError::NoFormat);
        }
        let (channels, bits) = (u16_at(body, 2), u16_at(body, 14));
        // An extensible format keeps the true tag at the front of its identifier.
        let tag = match u16_at(body, 0) {
            EXTENSIBLE if body.len() >= 26 => u16_at(body, 24),
            tag => tag,
        };
        let encoding = match (tag, bits, channels) {
            (LINEAR, 16, 1 | 2) => Encoding::Linear16,
            (MULAW, 8, 1 | 2) => Encoding::Mulaw,
            _ => return Err(WavError::Unsupported { tag, bits, channels }),
        };
        Ok(Self { encoding, channels, rate: u32_at(body, 4) })
    }

    fn decode(&self, body: &[u8]) -> Wav {
        let mut samples: Vec<i16> = match self.encoding {
            Encoding::Linear16 => {
                body.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect()
            }
            Encoding::Mulaw => g711::decode_mulaw(body),
        };
        // A writer that died may have left half a frame.
        samples.truncate(samples.len() - samples.len() % usize::from(self.channels));
        Wav { channels: self.channels, rate: self.rate, samples }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sound_begins_where_recorders_expect_it() {
        assert_eq!(header(Encoding::Linear16, 1, 8000, 0).len(), 44);
        let stereo = header(Encoding::Mulaw, 2, 8000, 32_000);
        assert_eq!(stereo.len(), 58);
        assert_eq!(u32_at(&stereo, 4), 50 + 32_000);
        assert_eq!(u32_at(&stereo, 46), 16_000);
        assert_eq!(u32_at(&stereo, 54), 32_000);
    }

    #[test]
    fn stale_sizes_cost_nothing_that_is_there() {
        let wav = Wav { channels: 2, rate: 8000, samples: vec![256; 400] };
        for size in [u32::MAX, 10_000] {
            let mut bytes = wav.encode(Encoding::Linear16);
            bytes[40..44].copy_from_slice(&size.to_le_bytes());
            bytes.pop();
            let read = Wav::parse(&bytes).unwrap();
            assert_eq!(read.samples.len(), 398, "{size}");
        }
    }

    #[test]
    fn refusals_name_their_reason() {
        let mut of_tag_17 = header(Encoding::Linear16, 1, 8000, 0);
        of_tag_17[20] = 17;
        let no_data = &header(Encoding::Linear16, 1, 8000, 0)[..36];
        for (bytes, expected) in [
            (b"ID3".as_slice(), WavError::NotWav),
            (b"RIFF\0\0\0\0WAVE", WavError::NoFormat),
            (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", WavError::NoFormat),
            (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0\x01\0\x01\0", WavError::NoFormat),
            (no_data, WavError::NoData),
            (&of_tag_17, WavError::Unsupported { tag: 17, bits: 16, channels: 1 }),
        ] {
            assert_eq!(Wav::parse(bytes), Err(expected));
        }
    }

    #[test]
    fn stereo_is_mixed_without_loss_of_a_side() {
        let wav = Wav { channels: 2, rate: 8000, samples: vec![16384, 0, 0, -16384] };
        assert_eq!(wav.to_mono().samples, [0.25, -0.25]);
    }

    proptest! {
        #[test]
        fn linear_sound_comes_back(
            channels in 1_u16..=2,
            rate in 8000_u32..=48_000,
            mut samples in proptest::collection::vec(any::<i16>(), 0..500),
        ) {
            samples.truncate(samples.len() - samples.len() % usize::from(channels));
            let wav = Wav { channels, rate, samples };
            prop_assert_eq!(Wav::parse(&wav.encode(Encoding::Linear16)), Ok(wav));
        }

        #[test]
        fn mulaw_sound_comes_back(codes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let wav = Wav { channels: 1, rate: 8000, samples: g711::decode_mulaw(&codes) };
            prop_assert_eq!(Wav::parse(&wav.encode(Encoding::Mulaw)), Ok(wav));
        }

        #[test]
        fn bytes_from_outside_never_panic(
            cut in 0_usize..80,
            noise in proptest::collection::vec((0_usize..80, any::<u8>()), 0..8),
        ) {
            let wav = Wav { channels: 1, rate: 8000, samples: vec![1; 10] };
            let mut bytes = wav.encode(Encoding::Mulaw);
            for (at, value) in noise {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.truncate(cut);
            let _ = Wav::parse(&bytes);
        }
    }
}
