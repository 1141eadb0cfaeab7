//! Patients made of code, and the carriers that connect them: for tests and for `demo`.
//!
//! ```text
//! Persona ──► Callee ──┬── VirtualCarrier   calls without sockets, in virtual time
//!                      └── SipCarrier       the same calls over real SIP and RTP
//! ```

pub mod carrier;
pub mod clock;
pub mod directory;
pub mod district;
pub mod ear;
pub mod line;
pub mod network;
pub mod patient;
pub mod persona;
mod sound;
pub mod taught;

pub use carrier::{SharedRepertoire, SipCarrier};
pub use directory::{Call, Directory, Resident};
pub use district::District;
pub use line::{VirtualCarrier, VirtualLine};
pub use patient::{Callee, Role, Seen};
pub use persona::{Persona, Refusal, Temper};
pub use taught::Taught;
