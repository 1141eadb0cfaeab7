//! Session descriptions (RFC 8866) and offer/answer (RFC 3264) for one stream of telephone sound.
//!
//! `sdp-types` reads and prints the lines; what they mean for a call is here. Only PCMU, PCMA and
//! telephone events are spoken, in packets of 20 ms.

mod offer_answer;

use std::net::SocketAddr;

use crate::base::Codec;

pub use offer_answer::{DEFAULT_TELEPHONE_EVENT, Negotiation};

/// Which way sound flows, seen from us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// We may only speak.
    SendOnly,
    /// We may only listen: the far end has put us on hold.
    RecvOnly,
    /// Nobody may speak.
    Inactive,
}

impl Direction {
    /// The word of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Whether we may speak.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The same, seen from the far end.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            Self::SendRecv | Self::Inactive => self,
        }
    }
}

/// What both sides have agreed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Negotiated {
    /// Where our RTP goes to. During an old-fashioned hold (`c=0.0.0.0`) the address is
    /// unspecified, and [`Self::direction`] does not send.
    pub remote: SocketAddr,
    /// Where our RTCP goes to: `a=rtcp`, or the next port (RFC 3605, RFC 3550).
    pub remote_rtcp: SocketAddr,
    /// How sound is encoded, both ways.
    pub codec: Codec,
    /// The payload type to send sound with.
    pub payload_type: u8,
    /// The payload type that the far end gives to telephone events; `None` if it does not name
    /// them. To be sent with, and also accepted: many send keys with their own number.
    pub telephone_event: Option<u8>,
    /// The payload type that we gave to telephone events, which a correct far end sends keys with
    /// (RFC 3264 §5.1).
    pub own_telephone_event: u8,
    /// Which way sound flows.
    pub direction: Direction,
}

/// Why there can be no sound.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// The description cannot be read.
    #[error("the session description is malformed")]
    Malformed,
    /// There is no stream of plain RTP sound, or none at an address of our family.
    #[error("no audio stream that can be used")]
    NoAudio,
    /// The answer refuses our stream with port 0.
    #[error("the audio stream was refused")]
    Refused,
    /// Neither PCMU nor PCMA.
    #[error("no common codec")]
    NoCodec,
}
