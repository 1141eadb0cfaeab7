//! The codecs of a telephone call.

/// The two forms of G.711. Both have 8000 samples a second and 8 bits a sample.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Codec {
    /// µ-law: Japan and North America.
    Pcmu,
    /// A-law: the rest of the world.
    Pcma,
}

impl Codec {
    /// Both, in the order in which we offer them.
    pub const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// The static payload type (RFC 3551 §6).
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The encoding name of `a=rtpmap` (RFC 3551 §6).
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The codec of a static payload type.
    pub fn from_payload_type(payload_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.payload_type() == payload_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_is_known_by_its_static_type() {
        for (payload_type, expected) in
            [(0, Some(Codec::Pcmu)), (8, Some(Codec::Pcma)), (9, None), (101, None)]
        {
            assert_eq!(Codec::from_payload_type(payload_type), expected);
        }
    }
}
