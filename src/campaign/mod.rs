//! When patients are called, and how often: slots, windows, attempts, retries and pace.

pub mod attempt;
pub mod outlook;
pub mod pacing;
pub mod plan;
pub mod retry;
pub mod schedule;
pub mod slot;
pub mod window;

pub use attempt::{Attempt, AttemptState};
pub use pacing::Pacer;
pub use plan::{PlannedAttempt, plan};
pub use retry::{Next, Policy, StopReason};
pub use schedule::{NewSlot, slots_on};
pub use slot::{Slot, SlotState};
pub use window::Window;
