//! RTP, RTCP and telephone events (RFC 3550, 3551, 4733) as machines without sockets.
//!
//! The clock of all of them is that of G.711: 8000 units in a second, 160 in a packet of 20 ms.

pub mod packet;

pub mod session;

pub mod latch;

pub mod reorder;

pub mod spacing;

pub mod telephone_event;

pub mod rtcp;

pub use latch::{Latch, Network};
pub use packet::{HEADER_BYTES, Header, Packet};
pub use spacing::Spacing;

/// Units of the RTP clock in a second.
pub const CLOCK_RATE: u32 = 8000;

/// Units of the RTP clock in one packet of 20 ms.
pub const FRAME_UNITS: u32 = 160;
