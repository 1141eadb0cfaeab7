//! The dialogue: what is asked, what the keys mean, and what is said in return.

pub mod gather;
pub mod parse;
pub mod phrase;
pub mod questionnaire;
pub mod session;
pub mod transcript;

pub use phrase::{Blank, Utterance};
pub use questionnaire::Questionnaire;
pub use transcript::{Answer, Entry, Script, YesNo};
