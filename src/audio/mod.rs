//! Sound at 8 kHz: G.711, levels, tones, WAV.
//!
//! Everything here is a function or a machine over samples in memory. Between modules sound is
//! mono [`pcm::Sound`] in `f32` (full scale ±1.0) while it is made, `i16` while it is listened to,
//! and G.711 bytes on the wire.

pub mod pcm;

pub mod band;
pub mod g711;
pub mod level;
pub mod tone;
pub mod wav;

pub use pcm::{RATE, Sound};
