//! A case: a matter that a human must act on. One open case per patient; new facts are added.
//!
//! ```text
//! Open ──a member of staff takes it──► Acknowledged ──► Resolved
//!  └──────────────────────────────────────────────────────▲
//! ```
//! Nothing resolves by itself. Facts are never taken away; the answers that follow in the same call
//! may make one weigh less (see [`Lowering`](crate::escalation::rule::Lowering)).

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;

use crate::base::id::{
    AttemptId, CaseId, EpisodeId, ObservationId, PatientId, SlotId, WelfareCheckId,
};
use crate::escalation::Priority;

/// A matter that a human must act on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Case {
    /// The id.
    pub id: CaseId,
    /// About whom.
    pub patient: PatientId,
    /// The gravest of its facts.
    pub priority: Priority,
    /// Where it stands.
    pub state: CaseState,
    /// Since when.
    pub opened_at: Timestamp,
    /// What is known, in the order in which it came to be known.
    pub facts: Vec<Fact>,
}

/// One reason why a case exists. Its `Debug` hides the words, which name what was answered.
#[derive(Clone, Eq, PartialEq)]
pub struct Fact {
    /// The id of the rule that fired, such as `spo2-low`.
    pub rule: String,
    /// The version of the set that the rule belongs to.
    pub rule_set: String,
    /// How soon a human must act on it.
    pub priority: Priority,
    /// What the rule saw, in words for staff: `SpO2 92%`.
    pub text: String,
    /// When the rule fired.
    pub at: Timestamp,
    /// What it came from; with the rule it is unique, so that evaluating twice adds nothing.
    pub source: FactSource,
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, rule_set, priority, at, source, text: _ } = self;
        let priority = priority.as_str();
        write!(f, "Fact({priority} {rule} of {rule_set} at {at} from {source:?})")
    }
}

/// What a fact came from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FactSource {
    /// An entry of the transcript of an attempt.
    Answer(AttemptId, u32),
    /// The way an attempt ended.
    Attempt(AttemptId),
    /// The way a slot ended.
    Slot(SlotId),
    /// An observation that came by another way than our call.
    Observation(ObservationId),
    /// A welfare check that nobody settled.
    Welfare(WelfareCheckId),
    /// A silence within an episode, and the second (of Unix time) from which on it lasts.
    Silence(EpisodeId, u32),
}

impl FactSource {
    /// All that it tells is that nothing was heard.
    pub fn is_silence(self) -> bool {
        match self {
            Self::Attempt(_) | Self::Slot(_) | Self::Welfare(_) | Self::Silence(..) => true,
            Self::Answer(..) | Self::Observation(_) => false,
        }
    }
}

/// Where a case stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CaseState {
    /// Nobody has taken it.
    Open,
    /// Somebody works on it.
    Acknowledged,
    /// Closed by a person, with a reason.
    Resolved,
}

impl CaseState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl Case {
    /// Opens a case for these facts; `None` if there are none.
    pub fn open(id: CaseId, patient: PatientId, facts: Vec<Fact>) -> Option<Self> {
        let opened_at = facts.iter().map(|fact| fact.at).min()?;
        let mut case = Self {
            id,
            patient,
            priority: Priority::P0,
            state: CaseState::Open,
            opened_at,
            facts: Vec::new(),
        };
        case.merge(facts);
        Some(case)
    }

    /// Adds facts. A fact that is known already (same rule, same source) is not added again, but
    /// takes the priority and the words of its latest evaluation.
    ///
    /// # Errors
    /// The case is closed: new facts need a new case.
    pub fn add(&mut self, facts: Vec<Fact>) -> Result<Change, WrongState> {
        if self.state == CaseState::Resolved {
            return Err(WrongState { state: self.state });
        }
        let (before, known) = (self.priority, self.facts.clone());
        self.merge(facts);
        Ok(match self.priority.cmp(&before) {
            Ordering::Greater => Change::Raised,
            Ordering::Less => Change::Lowered,
            Ordering::Equal if self.facts != known => Change::Added,
            Ordering::Equal => Change::Nothing,
        })
    }

    /// A member of the staff takes the case.
    ///
    /// # Errors
    /// Somebody has taken it already, or it is closed.
    pub fn acknowledge(&mut self) -> Result<(), WrongState> {
        self.step(&[CaseState::Open], CaseState::Acknowledged)
    }

    /// A member of the staff closes the case.
    ///
    /// # Errors
    /// It is closed already.
    pub fn resolve(&mut self) -> Result<(), WrongState> {
        self.step(&[CaseState::Open, CaseState::Acknowledged], CaseState::Resolved)
    }

    fn step(&mut self, from: &[CaseState], to: CaseState) -> Result<(), WrongState> {
        if !from.contains(&self.state) {
            return Err(WrongState { state: self.state });
        }
        self.state = to;
        Ok(())
    }

    fn merge(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            let same = |known: &&mut Fact| known.rule == fact.rule && known.source == fact.source;
            match self.facts.iter_mut().find(same) {
                Some(known) => {
                    known.priority = fact.priority;
                    known.text = fact.text;
                }
                None => self.facts.push(fact),
            }
        }
        self.priority = self.facts.iter().map(|fact| fact.priority).max().unwrap_or(Priority::P0);
    }
}

/// What new facts did to a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Everything was known.
    Nothing,
    /// Something new, but no graver.
    Added,
    /// The case has become graver: staff must be told at once.
    Raised,
    /// The gravest fact weighs less after further answers.
    Lowered,
}

/// The case does not stand where this step begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the case is {}", .state.as_str())]
pub struct WrongState {
    /// Where it stands.
    pub state: CaseState,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Minter;

    fn fact(rule: &str, seq: u32, priority: Priority) -> Fact {
        let at = Timestamp::from_second(i64::from(seq)).unwrap();
        Fact {
            rule: rule.to_owned(),
            rule_set: "1".to_owned(),
            priority,
            text: priority.as_str().to_owned(),
            at,
            source: FactSource::Answer(Minter::new([1; 32]).mint(Timestamp::UNIX_EPOCH), seq),
        }
    }

    fn open(facts: Vec<Fact>) -> Option<Case> {
        let mut minter = Minter::new([2; 32]);
        let at = Timestamp::UNIX_EPOCH;
        Case::open(minter.mint(at), minter.mint(at), facts)
    }

    #[test]
    fn a_case_weighs_as_much_as_its_gravest_fact() {
        assert_eq!(open(Vec::new()), None);
        let case = open(vec![fact("b", 2, Priority::P2), fact("a", 1, Priority::P3)]).unwrap();
        assert_eq!(case.priority, Priority::P2);
        assert_eq!(case.opened_at, Timestamp::from_second(1).unwrap());
    }

    #[test]
    fn facts_are_added_once_and_tell_what_they_changed() {
        let mut case = open(vec![fact("a", 1, Priority::P3)]).unwrap();
        for (added, change, priority, facts) in [
            (fact("a", 1, Priority::P3), Change::Nothing, Priority::P3, 1),
            (fact("a", 2, Priority::P3), Change::Added, Priority::P3, 2),
            (fact("dyspnea", 3, Priority::P1), Change::Raised, Priority::P1, 3),
            (fact("dyspnea", 3, Priority::P2), Change::Lowered, Priority::P2, 3),
            (fact("b", 4, Priority::P2), Change::Added, Priority::P2, 4),
        ] {
            assert_eq!(case.add(vec![added]), Ok(change));
            assert_eq!((case.priority, case.facts.len()), (priority, facts));
        }
    }

    #[test]
    fn a_case_goes_forward_only_and_nothing_is_added_to_a_closed_one() {
        let mut case = open(vec![fact("a", 1, Priority::P3)]).unwrap();
        assert_eq!(case.acknowledge(), Ok(()));
        assert_eq!(case.acknowledge(), Err(WrongState { state: CaseState::Acknowledged }));
        assert_eq!(case.add(vec![fact("b", 2, Priority::P1)]), Ok(Change::Raised));
        assert_eq!(case.resolve(), Ok(()));
        let closed = Err(WrongState { state: CaseState::Resolved });
        assert_eq!(case.resolve(), closed);
        assert_eq!(case.acknowledge(), closed);
        assert!(case.add(vec![fact("c", 3, Priority::P1)]).is_err());
        // Not every case is taken before it is closed.
        assert_eq!(open(vec![fact("a", 1, Priority::P3)]).unwrap().resolve(), Ok(()));
    }
}
