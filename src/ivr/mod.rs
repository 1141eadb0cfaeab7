//! The dialogue: what is asked, what the keys mean, and what is said in return.
//!
//! A [`Questionnaire`] and the prompts of the [`Catalog`] are data, checked before the first call; an
//! installation has several [`Questionnaires`], and the terms of a campaign say which one is asked.
//! A [`Session`] is one interview; its driver feeds what happens on the line, and does what it is
//! told until it is told to wait:
//!
//! ```text
//!              Answered, Digit, PlayEnded, Heard, Timeout, Recorded …
//!   driver ──────────────────────────────────────────────────────────► Session
//!     ▲                                                                   │
//!     └────── Say, StopSaying, Identified, Record, HangUp … Wait ◄────────┘
//! ```
//!
//! `Record` is the seam to the store and the rules: nothing more is said until the driver has
//! committed the answer and tells how much it weighs.

pub mod catalog;
pub mod gather;
pub mod parse;
pub mod phrase;
pub mod questionnaire;
pub mod questionnaires;
pub mod script;
pub mod session;
pub mod speech;
pub mod transcript;

pub use catalog::Catalog;
pub use phrase::{Blank, Utterance};
pub use questionnaire::Questionnaire;
pub use questionnaires::Questionnaires;
pub use session::{Concern, Input, Output, Profile, Session};
pub use transcript::{Answer, Entry, Script, YesNo};
