//! When patients are called, and how often: campaigns with their terms; slots, windows, attempts,
//! retries and pace.

pub mod attempt;
pub mod book;
pub mod calendar;
pub mod capacity;
pub mod example;
pub mod follow_up;
mod minutes;
pub mod outlook;
pub mod pacing;
pub mod plan;
pub mod programme;
pub mod retry;
pub mod schedule;
pub mod slot;
pub mod terms;
pub mod window;

pub use attempt::{Attempt, AttemptState};
pub use book::{Book, InForce};
pub use calendar::Calendar;
pub use follow_up::FollowUps;
pub use pacing::Pacer;
pub use plan::{PlannedAttempt, plan};
pub use programme::{Campaign, VersionKey};
pub use retry::{Next, Policy, StopReason};
pub use schedule::{NewSlot, slots_on};
pub use slot::{Slot, SlotKind, SlotState};
pub use terms::Terms;
pub use window::Window;
