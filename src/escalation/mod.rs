//! When a human must act: rules as versioned data, findings, and the cases they open.

pub mod case;
pub mod edit;
pub mod evaluate;
pub mod handling;
pub mod rule;
pub mod trial;
pub mod welfare;

pub use case::{Case, CaseState, Change, Fact, FactSource};
pub use evaluate::{
    PatientFacts, concern, evaluate, evaluate_attempts, evaluate_day, evaluate_slot,
};
pub use handling::{Claim, Deed, Done, EventKind, Holder, Lane, Line, Outcome, Refusal, Standing};
pub use rule::{Priority, RuleBook, RuleSet};
