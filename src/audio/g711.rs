//! G.711: 16-bit samples to µ-law and A-law bytes and back, bit-exact with ITU-T G.191.
//!
//! Both laws look at the upper bits only (14 of µ-law, 12 of A-law), so that the tables that
//! encode have one entry for each of these values. Negative samples are taken as one's complement,
//! as the reference does: libraries that negate instead differ at the decision boundaries.

#![expect(
    clippy::cast_possible_truncation,
    reason = "`const fn` knows no `try_from`; every value is below the width that it is cut to"
)]

/// µ-law of silence (+0), which also pads a clip.
pub const MULAW_SILENCE: u8 = 0xFF;

/// A-law of the smallest positive sample: A-law has no zero.
pub const ALAW_SILENCE: u8 = 0xD5;

static MULAW_OF: [u8; 1 << 14] = mulaw_table();
static ALAW_OF: [u8; 1 << 12] = alaw_table();
static FROM_MULAW: [i16; 256] = from_mulaw_table();
static FROM_ALAW: [i16; 256] = from_alaw_table();

/// One sample in µ-law.
#[expect(clippy::cast_sign_loss, reason = "the bits are the index")]
pub fn mulaw(sample: i16) -> u8 {
    MULAW_OF[usize::from(sample as u16 >> 2)]
}

/// One sample in A-law.
#[expect(clippy::cast_sign_loss, reason = "the bits are the index")]
pub fn alaw(sample: i16) -> u8 {
    ALAW_OF[usize::from(sample as u16 >> 4)]
}

/// The sample of a µ-law byte.
pub fn from_mulaw(code: u8) -> i16 {
    FROM_MULAW[usize::from(code)]
}

/// The sample of an A-law byte.
pub fn from_alaw(code: u8) -> i16 {
    FROM_ALAW[usize::from(code)]
}

/// Samples in µ-law.
pub fn encode_mulaw(samples: &[i16]) -> Vec<u8> {
    samples.iter().map(|&sample| mulaw(sample)).collect()
}

/// Samples in A-law.
pub fn encode_alaw(samples: &[i16]) -> Vec<u8> {
    samples.iter().map(|&sample| alaw(sample)).collect()
}

/// Samples of µ-law bytes.
pub fn decode_mulaw(codes: &[u8]) -> Vec<i16> {
    codes.iter().map(|&code| from_mulaw(code)).collect()
}

/// Samples of A-law bytes.
pub fn decode_alaw(codes: &[u8]) -> Vec<i16> {
    codes.iter().map(|&code| from_alaw(code)).collect()
}

const fn mulaw_table() -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < table.len() {
        table[index] = mulaw_of_14_bits(index as u16);
        index += 1;
    }
    table
}

const fn alaw_table() -> [u8; 1 << 12] {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < table.len() {
        table[index] = alaw_of_12_bits(index as u16);
        index += 1;
    }
    table
}

const fn from_mulaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        table[code] = expand_mulaw(code as u8);
        code += 1;
    }
    table
}

const fn from_alaw_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < table.len() {
        table[code] = expand_alaw(code as u8);
        code += 1;
    }
    table
}

/// G.711 table 2: the upper 14 bits of a sample, two's complement.
const fn mulaw_of_14_bits(bits: u16) -> u8 {
    let positive = bits & 0x2000 == 0;
    let magnitude = if positive { bits } else { !bits & 0x1FFF };
    // The bias of 33 makes every segment begin at a power of two.
    let biased = if magnitude + 33 > 0x1FFF { 0x1FFF } else { magnitude + 33 };
    let segment = 1 + (u16::BITS - (biased >> 6).leading_zeros()) as u16;
    let code = ((8 - segment) << 4) | (15 - ((biased >> segment) & 15));
    (if positive { code | 0x80 } else { code }) as u8
}

/// G.711 table 1: the upper 12 bits of a sample, two's complement.
const fn alaw_of_12_bits(bits: u16) -> u8 {
    let positive = bits & 0x800 == 0;
    let magnitude = if positive { bits } else { !bits & 0x7FF };
    // Segments 0 and 1 share one step; above them the step doubles with each.
    let segment = u16::BITS - (magnitude >> 4).leading_zeros();
    let code = if segment == 0 {
        magnitude
    } else {
        ((segment as u16) << 4) | ((magnitude >> (segment - 1)) & 15)
    };
    // Every other bit is inverted on the line.
    ((if positive { code | 0x80 } else { code }) ^ 0x55) as u8
}

const fn expand_mulaw(code: u8) -> i16 {
    let positive = code & 0x80 != 0;
    let inverted = !code;
    let segment = (inverted >> 4) & 7;
    let step = 8 << segment;
    let magnitude = (0x80 << segment) + step * (inverted & 15) as i16 + step / 2 - 4 * 33;
    if positive { magnitude } else { -magnitude }
}

const fn expand_alaw(code: u8) -> i16 {
    let positive = code & 0x80 != 0;
    let plain = (code ^ 0x55) & 0x7F;
    let segment = plain >> 4;
    let mantissa = (plain & 15) as i16;
    let magnitude = match segment {
        0 => (mantissa << 4) + 8,
        _ => (((mantissa + 16) << 4) + 8) << (segment - 1),
    };
    if positive { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use sha2::Digest;
    use sha2::Sha256;

    use super::*;

    /// Hashes of the output of the ITU-T G.191 reference for all inputs in order.
    #[test]
    fn all_inputs_agree_with_the_reference() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let codes: Vec<u8> = (0..=255).collect();
        let bytes = |samples: Vec<i16>| -> Vec<u8> {
            samples.into_iter().flat_map(i16::to_le_bytes).collect()
        };
        for (name, output, expected) in [
            (
                "to µ-law",
                encode_mulaw(&samples),
                "90c29de505fb68e766118303bd552a16005dcf810873698bee1d8f3b247ce28c",
            ),
            (
                "from µ-law",
                bytes(decode_mulaw(&codes)),
                "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827",
            ),
            (
                "to A-law",
                encode_alaw(&samples),
                "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b",
            ),
            (
                "from A-law",
                bytes(decode_alaw(&codes)),
                "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174",
            ),
        ] {
            let hash = Sha256::digest(output);
            let hex: Vec<String> = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex.concat(), expected, "{name}");
        }
    }

    #[test]
    fn codes_survive_the_way_through_samples() {
        for code in 0..=255 {
            // µ-law has two zeros; the negative one comes back positive.
            let expected = if code == 0x7F { MULAW_SILENCE } else { code };
            assert_eq!(mulaw(from_mulaw(code)), expected);
            assert_eq!(alaw(from_alaw(code)), code);
        }
        assert_eq!((mulaw(0), alaw(0)), (MULAW_SILENCE, ALAW_SILENCE));
    }
}
