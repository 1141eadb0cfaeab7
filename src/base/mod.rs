//! Words that every floor speaks: ids, telephone numbers, keys, languages, addresses and time as it is handed down.

pub mod address;
pub mod backoff;
pub mod bilingual;
pub mod clock;
pub mod codec;
pub mod digit;
pub mod id;
pub mod language;
pub mod phone;
pub mod private;

pub use backoff::Backoff;
pub use bilingual::Bilingual;
pub use clock::{Clock, Now};
pub use codec::Codec;
pub use digit::Digit;
pub use language::Language;
pub use phone::PhoneNumber;
pub use private::Private;
