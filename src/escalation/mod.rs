//! When a human must act: rules as versioned data, findings, and the cases they open.

pub mod case;
pub mod evaluate;
pub mod rule;

pub use case::{Case, CaseState, Fact};
pub use rule::{Priority, RuleSet};
