//! The birth date, which proves that it is the patient, or their family.

use std::time::Instant;

use crate::base::Now;
use crate::call::{Completion, Respondent};
use crate::ivr::Script;
use crate::ivr::gather::{Gathered, Wanted};
use crate::ivr::session::{MAX_WRONG, Next, Output, Session, Stage};

/// Tries at the birth date.
const MAX_BIRTHS: u32 = 2;

/// How far we came with the birth date.
#[derive(Default)]
pub(super) struct Identity {
    /// Wrong ones.
    n_wrong: u32,
    /// Those that were not given.
    n_misses: u32,
}

impl Session {
    pub(super) fn identify(&mut self, now: Instant, respondent: Respondent) {
        let prompt = if respondent == Respondent::Family { "identify_family" } else { "identify" };
        self.ask_birth(now, respondent, &[prompt]);
    }

    fn ask_birth(&mut self, now: Instant, respondent: Respondent, prompts: &[&str]) {
        let words = self.words(prompts);
        let wanted = Wanted::Digits { min: 4, max: 4, plausible: Vec::new() };
        self.put(now, Stage::Identifying(respondent), words, wanted);
    }

    pub(super) fn on_birth(&mut self, now: Now, respondent: Respondent, gathered: &Gathered) {
        let (month, day) = *self.profile.birth.expose();
        match gathered {
            Gathered::Digits(digits) if *digits == format!("{month:02}{day:02}") => {
                self.respondent = respondent;
                self.outputs.push_back(Output::Identified(respondent));
                if self.profile.script == Script::Farewell {
                    return self.close("farewell");
                }
                let intro = match respondent {
                    Respondent::Family => "intro_family",
                    _ if !self.answers.is_empty() => "intro_resume",
                    _ => "intro",
                };
                self.question_after(now, &[intro]);
            }
            Gathered::Digits(_) => {
                self.identity.n_wrong += 1;
                if self.identity.n_wrong < MAX_BIRTHS {
                    let words = ["identify_wrong", "identify_again"];
                    return self.ask_birth(now.instant, respondent, &words);
                }
                self.end = Some(Completion::NotIdentified);
                self.tell(&["identify_failed"], Next::HangUp);
            }
            Gathered::Repeat => self.identify(now.instant, respondent),
            _ => {
                self.identity.n_misses += 1;
                match (self.identity.n_misses, gathered) {
                    (MAX_WRONG.., _) => self.tell(&["nobody"], Next::HangUp),
                    (_, Gathered::TooFew) => {
                        self.ask_birth(now.instant, respondent, &["too_few", "identify_again"]);
                    }
                    (1, _) => self.ask_birth(now.instant, respondent, &["identify_again"]),
                    _ => self.ask_birth(now.instant, respondent, &["identify_short"]),
                }
            }
        }
    }
}
