//! From what was said to what it means: one entry of a transcript becomes one observation, or none.

use crate::base::id::{AttemptId, ObservationId, PatientId, SlotId};
use crate::call::Respondent;
use crate::ivr::{Answer, Entry};
use crate::observation::{Channel, Observation};

/// What all entries of one transcript have in common.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Context {
    /// About whom.
    pub patient: PatientId,
    /// The slot that the answers help to fill.
    pub slot: Option<SlotId>,
    /// The attempt whose transcript it is.
    pub attempt: AttemptId,
    /// Who answered.
    pub respondent: Respondent,
    /// By which way.
    pub channel: Channel,
    /// The questionnaire that asked, as `id@version`.
    pub questionnaire: String,
}

/// What an entry means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Derived {
    /// A fact about the patient.
    Observed(Observation),
    /// The question was put and nothing came back. This says nothing about the patient, least of
    /// all "no"; staff see it as 未.
    Unanswered {
        /// The code of the question.
        code: String,
    },
}

/// Derives what an entry means. Pure: the same entry under the same id is the same observation,
/// and with [`Observation::source`] the store keeps it once.
pub fn derive(context: &Context, entry: &Entry, id: ObservationId) -> Derived {
    match entry.answer {
        Answer::Unanswered => Derived::Unanswered { code: entry.question.clone() },
        value @ (Answer::Number(_) | Answer::Choice(_) | Answer::NotMeasured) => {
            Derived::Observed(Observation {
                id,
                patient: context.patient,
                slot: context.slot,
                source: Some((context.attempt, entry.seq)),
                code: entry.question.clone(),
                value,
                effective_at: entry.at,
                respondent: context.respondent,
                channel: context.channel,
                questionnaire: context.questionnaire.clone(),
                supersedes: None,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::base::id::Minter;
    use crate::ivr::YesNo;

    fn context() -> Context {
        let mut minter = Minter::new([4; 32]);
        let at = Timestamp::UNIX_EPOCH;
        Context {
            patient: minter.mint(at),
            slot: Some(minter.mint(at)),
            attempt: minter.mint(at),
            respondent: Respondent::Family,
            channel: Channel::OutboundCall,
            questionnaire: "recuperation@1".to_owned(),
        }
    }

    fn entry(answer: Answer) -> Entry {
        Entry {
            seq: 3,
            question: "dyspnea".to_owned(),
            asked: 2,
            keys: "5 1".to_owned(),
            answer,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_answer_becomes_one_observation_that_names_its_entry() {
        let context = context();
        let id = Minter::new([5; 32]).mint(Timestamp::UNIX_EPOCH);
        for answer in [
            Answer::Number(375),
            Answer::Choice(YesNo::Yes),
            Answer::Choice(YesNo::No),
            Answer::Choice(YesNo::Unknown),
            Answer::NotMeasured,
        ] {
            let derived = derive(&context, &entry(answer), id);
            let Derived::Observed(observation) = &derived else {
                panic!("{answer:?}: {derived:?}")
            };
            assert_eq!(observation.value, answer);
            assert_eq!(observation.code, "dyspnea");
            assert_eq!(observation.source, Some((context.attempt, 3)));
            assert_eq!(observation.respondent, Respondent::Family);
            assert_eq!(observation.questionnaire, "recuperation@1");
            // Repeatable.
            assert_eq!(derive(&context, &entry(answer), id), derived);
        }
    }

    #[test]
    fn nobody_can_read_a_value_from_debug() {
        let id = Minter::new([5; 32]).mint(Timestamp::UNIX_EPOCH);
        for answer in [Answer::Number(375), Answer::Choice(YesNo::Yes), Answer::NotMeasured] {
            let shown = format!("{:?}", derive(&context(), &entry(answer), id));
            assert!(shown.contains("dyspnea at 1970-01-01T00:00:00Z, family, outbound"), "{shown}");
            assert!(!shown.contains(&format!("{answer:?}")), "{shown}");
        }
    }

    #[test]
    fn silence_is_no_observation() {
        let id = Minter::new([5; 32]).mint(Timestamp::UNIX_EPOCH);
        assert_eq!(
            derive(&context(), &entry(Answer::Unanswered), id),
            Derived::Unanswered { code: "dyspnea".to_owned() }
        );
    }
}
