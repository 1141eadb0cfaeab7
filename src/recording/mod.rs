//! Sound at rest: written while a call goes on, sealed, kept in an archive, read in parts.
//!
//! ```text
//! media thread ── blocks ──► recorder ──► spool/<id>.part ──► spool/<id>.rec ──► archive
//!                            (seals each second)   end of call          upload
//! ```
//!
//! What lies on a disk or in an object store is sealed at every moment, also after a crash
//! ([`seal`]). Nothing here knows whose voice it is: names of files are ids.

pub mod archive;
pub mod recorder;
pub mod seal;
mod spool;
pub mod view;
pub mod waveform;

pub use archive::{Archive, ArchiveError, Config, S3};
pub use recorder::{Recorder, Tape, Taped};
pub use seal::{CenterKey, MasterKey, SealError};
pub use view::View;
pub use waveform::Waveform;
