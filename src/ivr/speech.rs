//! Which words an interview uses: fills the blanks of its prompts, and lists all it may ever say.

use std::collections::HashSet;

use crate::ivr::questionnaire::{Kind, Need, Question, Unit};
use crate::ivr::{Blank, Profile, Questionnaire, Utterance};

/// The prompts that every interview may need, whatever the questionnaire.
pub const FIXED: [&str; 45] = [
    "opening",
    "recorded",
    "greeting",
    "greeting_again",
    "greeting_short",
    "greeting_family",
    "greeting_family_again",
    "greeting_family_short",
    "family_choice",
    "hold",
    "not_here",
    "nobody",
    "voicemail",
    "any_key",
    "tone_hint",
    "wrong_key",
    "too_few",
    "identify",
    "identify_family",
    "identify_again",
    "identify_short",
    "identify_wrong",
    "identify_failed",
    "intro",
    "intro_family",
    "intro_resume",
    "next_question",
    "emergency",
    "urgent_more",
    "thanks",
    "closing_next",
    "farewell",
    "closing_remeasure",
    "closing_last",
    "closing_staff",
    "closing_watch",
    "closing_desk",
    "closing_phone",
    "closing_119",
    "closing_emergency",
    "closing_silence",
    "closing_time",
    "goodbye",
    "not_recorded",
    "next_person",
];

/// What a call to a staff telephone says: a question for a key, and thanks for it.
pub const TEST_CALL: [&str; 2] = ["test_call", "test_call_thanks"];

impl Profile {
    /// A prompt with its blanks filled from what is known of the patient and the day; `None` if
    /// that is not known, as when no next call is planned.
    pub(crate) fn words(&self, prompt: &str) -> Option<Utterance> {
        let phone = || Blank::PhoneNumber(self.desk_phone.clone());
        let blanks = match prompt {
            "opening" => vec![Blank::HealthCenter(self.health_center.clone())],
            "greeting"
            | "greeting_again"
            | "greeting_family"
            | "greeting_family_again"
            | "next_person" => {
                vec![Blank::FamilyName(self.family_name.clone())]
            }
            // The number is said twice: nobody has a pen ready the first time.
            "emergency" | "closing_phone" => vec![phone(), phone()],
            "closing_emergency" => vec![phone()],
            "closing_remeasure" => {
                vec![Blank::Moment { at: self.remeasure.as_ref()?.at, today: self.today }]
            }
            "closing_next" => vec![Blank::Moment { at: self.next_call?, today: self.today }],
            _ => Vec::new(),
        };
        Some(Utterance { prompt: prompt.to_owned(), blanks })
    }

    /// Whether the patient has what the question needs.
    pub(crate) fn has(&self, question: &Question) -> bool {
        match question.needs {
            None => true,
            Some(Need::Thermometer) => self.has_thermometer,
            Some(Need::Oximeter) => self.has_oximeter,
        }
    }
}

impl Question {
    /// The words that read a value back. `None` if the question has none, or cannot say it.
    pub(crate) fn readback(&self, value: Option<i32>) -> Option<Utterance> {
        let prompt = self.confirm.as_deref()?;
        let Kind::Number(format) = &self.kind else { return Some(Utterance::fixed(prompt)) };
        let blank = match format.unit {
            Unit::Temperature => Blank::Temperature(u16::try_from(value?).ok()?),
            Unit::Spo2 => Blank::Spo2(u8::try_from(value?).ok()?),
        };
        Some(Utterance::with(prompt, blank))
    }
}

/// Everything that an interview of `questionnaire` with this profile may say, each once, so that
/// it can be made ready before the first call.
pub fn utterances(questionnaire: &Questionnaire, profile: &Profile) -> Vec<Utterance> {
    let mut all: Vec<Utterance> = FIXED.iter().filter_map(|id| profile.words(id)).collect();
    let is_asked =
        |question: &&Question| question.scripts.contains(&profile.script) && profile.has(question);
    for question in questionnaire.questions.iter().filter(is_asked) {
        let prompts = question.ask.iter().chain(&question.again).chain(&question.short);
        all.extend(prompts.map(|id| Utterance::fixed(id)));
        match &question.kind {
            Kind::Number(format) => {
                all.push(Utterance::fixed(&format.implausible));
                let values = format.min..=format.max;
                all.extend(values.filter_map(|value| question.readback(Some(value))));
            }
            Kind::YesNo(_) | Kind::Group { .. } => all.extend(question.readback(None)),
        }
    }
    let has_choice = questionnaire.questions.iter().filter(is_asked).any(Question::is_choice);
    if let Some(help) = questionnaire.help.as_ref().filter(|_| profile.takes_help && has_choice) {
        all.extend([&help.hint, &help.confirm].map(|id| Utterance::fixed(id)));
    }
    if let Some(step) = questionnaire.message.as_ref().filter(|_| profile.takes_messages) {
        let prompts = [&step.offer, &step.begin, &step.unheard, &step.signal, &step.thanks];
        all.extend(prompts.map(|id| Utterance::fixed(id)));
    }
    let mut seen = HashSet::new();
    all.retain(|utterance| seen.insert(utterance.clone()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ivr::catalog::BlankKind;
    use crate::ivr::session::Remeasure;
    use crate::ivr::{Catalog, Script};

    fn rich() -> Profile {
        let next_call = Some("2026-11-23T09:00".parse().unwrap());
        let remeasure = Some(Remeasure {
            question: "spo2".to_owned(),
            range: 94..=95,
            at: "2026-11-22T10:35".parse().unwrap(),
        });
        Profile { next_call, remeasure, takes_messages: true, ..Profile::invented() }
    }

    #[test]
    fn every_blank_of_the_catalogue_is_filled_with_its_own_kind() {
        let catalog = Catalog::embedded();
        let questionnaire = Questionnaire::recuperation();
        for script in Script::ALL {
            for utterance in utterances(&questionnaire, &Profile { script, ..rich() }) {
                let prompt = catalog.prompt(&utterance.prompt);
                let wanted: Vec<BlankKind> = prompt.unwrap().text.blanks().collect();
                let given: Vec<BlankKind> = utterance.blanks.iter().map(BlankKind::of).collect();
                assert_eq!(given, wanted, "{utterance}");
            }
        }
    }

    #[test]
    fn every_prompt_of_the_catalogue_is_used() {
        let questionnaire = Questionnaire::recuperation();
        let both = [Script::Full, Script::Short];
        let used: HashSet<String> = both
            .into_iter()
            .flat_map(|script| utterances(&questionnaire, &Profile { script, ..rich() }))
            .map(|utterance| utterance.prompt)
            .collect();
        for id in Catalog::embedded().ids() {
            assert!(used.contains(id) || TEST_CALL.contains(&id), "nobody says {id}");
        }
    }

    #[test]
    fn every_plausible_value_can_be_read_back() {
        let said = utterances(&Questionnaire::recuperation(), &rich());
        for tenths in 340..=420 {
            let words = Utterance::with("readback_temperature", Blank::Temperature(tenths));
            assert!(said.contains(&words), "{words}");
        }
        for percent in 70..=100 {
            assert!(said.contains(&Utterance::with("readback_spo2", Blank::Spo2(percent))));
        }
    }

    #[test]
    fn what_a_patient_cannot_be_asked_is_not_made_ready() {
        let profile = Profile { has_oximeter: false, next_call: None, ..rich() };
        let said = utterances(&Questionnaire::recuperation(), &profile);
        let has = |id: &str| said.iter().any(|utterance| utterance.prompt == id);
        assert!(!has("ask_spo2") && !has("readback_spo2") && !has("closing_next"));
        assert!(has("ask_temperature"));
    }
}
