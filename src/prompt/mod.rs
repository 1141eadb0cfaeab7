//! `prompts/` made ready to be said.
//!
//! ```text
//! catalog ─► reading (values) ─► kana ─► voice ─┐
//!    └─ without kana ─► dictionary ─► kana      ├─► master ─► cache, shelf ─► Clip
//! recordings ─► recording ──────────────────────┘
//! ```

pub mod library;

mod catalog;
mod recordings;

pub mod kana;
pub mod reading;

pub mod dictionary;
mod normalize;

pub mod master;
pub mod recording;
pub mod take;
pub mod voice;

mod cache;
mod shelf;

pub mod error;

pub use error::{Missing, PromptError};
pub use kana::Kana;
pub use library::{Config, Library, Source};
pub use take::Take;
pub use voice::Pace;
