//! One telephone call, without the word SIP: the boundary between telephony and everything above.
//!
//! Above this floor a call is a [`Line`] that a [`Carrier`] gives: it rings, is answered, says
//! [`Clip`]s, hears [`Digit`](crate::base::Digit)s and ends with a [`Disposition`].
//!
//! ```text
//! dial ──► Ringing ──► Answered ──► Digit, PlayEnded, Heard … ──► Ended
//!   └──────────┴───────────────────────────────────────────────────▲
//! ```

pub mod carrier;
pub mod clip;
pub mod completion;
pub mod disposition;
pub mod leg;
pub mod media;
pub mod respondent;
pub mod tap;
pub mod timeline;

pub use carrier::{Carrier, DialRequest, Ended, Heard, Line, LineEvent};
pub use clip::{Clip, FRAME_BYTES, FRAME_TIME};
pub use completion::Completion;
pub use disposition::Disposition;
pub use respondent::Respondent;
pub use tap::{Reel, Tap};
pub use timeline::Timeline;
