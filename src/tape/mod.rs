//! What is kept of a call's sound: which calls, how long, and what happened when in them.
//!
//! The sound itself is one clock with two lanes: what we said and what the patient said, as µ-law
//! samples at 8 kHz side by side, from the answer to the end. Whether it stays is decided when the
//! call is over and its answers were judged ([`policy`]).

pub mod mark;
pub mod policy;
pub mod recording;

pub use mark::{Mark, MarkKind};
pub use policy::{Consent, Keep, Kept, Policy, Scope};
pub use recording::{Deleted, Hold, Note, Recording, SealedKey, Spoken, State};
