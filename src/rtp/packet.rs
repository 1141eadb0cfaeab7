//! The RTP packet (RFC 3550 §5.1).
//!
//! We write the twelve bytes that everybody understands. What others add when they send (a list of
//! contributors, an extension, padding) is stepped over.

/// Bytes of the header that we write.
pub const HEADER_BYTES: usize = 12;

const VERSION: u8 = 2;

/// The fixed part of the header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Begins a talk spurt or a telephone event.
    pub marker: bool,
    /// What the payload is, 0 to 127.
    pub payload_type: u8,
    /// Counts packets, and wraps.
    pub sequence: u16,
    /// When the payload begins, in units of the clock, and wraps.
    pub timestamp: u32,
    /// Who sends.
    pub ssrc: u32,
}

impl Header {
    /// Writes the header into the front of a packet.
    pub fn write(&self, bytes: &mut [u8; HEADER_BYTES]) {
        bytes[0] = VERSION << 6;
        bytes[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7F);
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// A packet as it was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// Its header.
    pub header: Header,
    /// Its payload, without padding.
    pub payload: &'a [u8],
}

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// It ends before its header, extension or padding does.
    #[error("the packet is cut off")]
    Truncated,
    /// It is of another protocol.
    #[error("version {0} instead of 2")]
    Version(u8),
}

impl<'a> Packet<'a> {
    /// Reads a packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (fixed, rest) =
            bytes.split_first_chunk::<HEADER_BYTES>().ok_or(PacketError::Truncated)?;
        let version = fixed[0] >> 6;
        if version != VERSION {
            return Err(PacketError::Version(version));
        }
        let (padded, extended) = (fixed[0] & 0x20 != 0, fixed[0] & 0x10 != 0);
        let n_contributors = usize::from(fixed[0] & 0x0F);
        let mut payload = rest.get(n_contributors * 4..).ok_or(PacketError::Truncated)?;
        if extended {
            let (head, after) = payload.split_first_chunk::<4>().ok_or(PacketError::Truncated)?;
            let n_words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            payload = after.get(n_words * 4..).ok_or(PacketError::Truncated)?;
        }
        if padded {
            // The last byte counts the padding, itself included.
            let n_padding = usize::from(*payload.last().ok_or(PacketError::Truncated)?);
            let end = payload.len().checked_sub(n_padding).ok_or(PacketError::Truncated)?;
            payload = &payload[..end];
        }
        let header = Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        Ok(Self { header, payload })
    }
}

/// Whether a datagram is RTCP, where both share one port (RFC 5761 §4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes[0] >> 6 == VERSION && (192..=223).contains(&bytes[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet with this first byte, and this after the fixed header.
    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        [&[first, 0x80, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3], rest].concat()
    }

    #[test]
    fn what_others_add_is_stepped_over() {
        for (first, rest, expected) in [
            (0x80, b"sound".as_slice(), Ok(b"sound".as_slice())),
            (0x80, b"", Ok(b"")),
            (0x82, b"1234abcdsound", Ok(b"sound")),
            (0x82, b"1234abc", Err(PacketError::Truncated)),
            (0x90, b"\xBE\xDE\0\x01extnsound", Ok(b"sound")),
            (0x90, b"\xBE\xDE\0\x02extn", Err(PacketError::Truncated)),
            (0x90, b"\xBE\xDE", Err(PacketError::Truncated)),
            (0xA0, b"sound\0\0\x03", Ok(b"sound")),
            (0xA0, b"\x01", Ok(b"")),
            (0xA0, b"sound\x07", Err(PacketError::Truncated)),
            (0xA0, b"", Err(PacketError::Truncated)),
            (0xB1, b"1234\0\0\0\x01extnsound\x01", Ok(b"sound")),
            (0x40, b"sound", Err(PacketError::Version(1))),
            (0x00, b"", Err(PacketError::Version(0))),
        ] {
            let bytes = packet(first, rest);
            assert_eq!(Packet::parse(&bytes).map(|p| p.payload), expected, "{first:#x} {rest:?}");
        }
        assert_eq!(Packet::parse(&packet(0x80, b"")[..11]), Err(PacketError::Truncated));
    }

    #[test]
    fn reports_are_told_from_sound() {
        assert!(is_rtcp(&[0x80, 200, 0, 1, 0, 0, 0, 1]));
        assert!(!is_rtcp(&packet(0x80, b"sound")));
        assert!(!is_rtcp(&[0x80, 200]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            marker: bool,
            payload_type in 0_u8..128,
            sequence: u16,
            timestamp: u32,
            ssrc: u32,
            payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut bytes = [0; HEADER_BYTES];
            header.write(&mut bytes);
            let bytes = [bytes.as_slice(), &payload].concat();
            prop_assert_eq!(Packet::parse(&bytes), Ok(Packet { header, payload: &payload }));
        }

        #[test]
        fn bytes_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Packet::parse(&bytes);
        }
    }
}
