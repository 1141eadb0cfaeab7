//! Tokens of the API: a program acts with the rights of its owner, as far as its scopes reach.

use jiff::Timestamp;

use crate::base::id::{StaffId, TokenId};
use crate::registry::Right;

/// A token of the API. Its text is shown once, when it is made; the store keeps a hash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiToken {
    /// The id, which the audit names.
    pub id: TokenId,
    /// In whose name the program acts.
    pub owner: StaffId,
    /// What it is for.
    pub name: String,
    /// What it may do, if its owner may.
    pub rights: Vec<Right>,
    /// When it was made.
    pub created_at: Timestamp,
    /// It is refused from then on.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// It is refused since then.
    pub revoked_at: Option<Timestamp>,
}

/// The words of the scopes. Accounts are managed and prompts approved by people alone.
pub const SCOPES: [(&str, Right); 14] = [
    ("plan.read", Right::SeePlan),
    ("plan.write", Right::ChangePlan),
    ("import", Right::Import),
    ("health.read", Right::SeeHealth),
    ("cases.write", Right::HandleCases),
    ("observations.write", Right::Observe),
    ("recordings.read", Right::Listen),
    ("export", Right::Export),
    ("calls.stop", Right::StopCalls),
    ("calls.start", Right::StartCalls),
    ("prompts.write", Right::EditPrompts),
    ("rules.write", Right::ChangeRules),
    ("trunks.read", Right::SeeTrunks),
    ("audit.read", Right::SeeAudit),
];

/// The right that a scope gives.
pub fn right_of(scope: &str) -> Option<Right> {
    SCOPES.into_iter().find(|(word, _)| *word == scope).map(|(_, right)| right)
}

/// The scope that gives a right, if any does.
pub fn scope_of(right: Right) -> Option<&'static str> {
    SCOPES.into_iter().find(|(_, given)| *given == right).map(|(word, _)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_gives_one_right_and_none_makes_accounts() {
        for (word, right) in SCOPES {
            assert_eq!((right_of(word), scope_of(right)), (Some(right), Some(word)));
        }
        assert_eq!(scope_of(Right::ManageStaff), None);
        assert_eq!(scope_of(Right::ApprovePrompts), None);
        assert_eq!(right_of("everything"), None);
    }
}
