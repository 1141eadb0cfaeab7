//! The called side of a call, as a machine: hears prompts, presses keys.
//!
//! A [`Callee`] knows what is asked only because it heard the prompt, as a person does. Feed it with
//! [`Callee::handle_input`], then call [`Callee::poll_output`] until it says [`Output::Wait`].
//!
//! ```text
//! Idle ──Ring──► Ringing ──Answer──► Talking ──HangUp, HungUp──► Gone
//!                   └──Refuse, HungUp──────────────────────────────▲
//! ```
//! While it talks, each prompt that asks something replaces what was asked before; the keys follow
//! once the prompt has ended (or earlier, from those who barge in). A voice that begins to speak
//! stops the fingers, except for a key that was as good as pressed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;

use crate::base::{Digit, Private};
use crate::ivr::{Answer, YesNo};
use crate::sim::persona::{Persona, Pickup, Refusal, Temper};

/// Too late to stop a finger.
const REACTION: Duration = Duration::from_millis(250);

/// How long somebody speaks who has something to say.
pub const MESSAGE: Duration = Duration::from_secs(5);

/// How long a key is held down.
pub const KEY_TIME: Duration = Duration::from_millis(120);

/// A person who hears nothing for so long hangs up; a machine stops recording.
const LOST_PATIENCE: Duration = Duration::from_secs(90);

/// What a callee must know of itself for one call.
#[derive(Clone, Debug)]
pub struct Role {
    /// The kind of person.
    pub persona: Persona,
    /// Month and day of the patient's birth.
    pub birth: Private<(i8, i8)>,
    /// Of those who share the telephone, in turn.
    pub housemates: Vec<Housemate>,
    /// The day of the episode, 0 for the first.
    pub day: i32,
    /// The number of the call on this day, 1 for the first.
    pub nth_call: u32,
}

/// Somebody else at the same telephone, who is as ill as its resident.
#[derive(Clone, Debug)]
pub struct Housemate {
    /// Month and day of birth.
    pub birth: Private<(i8, i8)>,
    /// How they behave at the telephone.
    pub temper: Temper,
}

/// What the line tells a [`Callee`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// The telephone begins to ring; the first input.
    Ring,
    /// A prompt with this [label](crate::call::Clip::label) begins to be heard.
    Heard(String),
    /// It has become quiet: the prompts have been heard to their end.
    PromptEnded,
    /// The instant of the last [`Output::Wait`] has come.
    Timeout,
    /// The caller is gone; the last input.
    HungUp,
}

/// What a [`Callee`] does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Output {
    /// Takes the call.
    Answer,
    /// Refuses it.
    Refuse(Refusal),
    /// Presses a key for [`KEY_TIME`].
    Press(Digit),
    /// Makes a sound.
    Sound(Sound, Duration),
    /// Hangs up.
    HangUp,
    /// Nothing more to do until this instant, or until something happens if `None`.
    Wait(Option<Instant>),
}

/// A sound that is no key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sound {
    /// A voice.
    Voice,
    /// The beep of an answering machine.
    Beep,
}

/// What one side saw of a call, to be compared with what the other side stored.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// The call was taken.
    pub answered: bool,
    /// The labels of the prompts that were heard, in order.
    pub heard: Vec<String>,
    /// The keys that were pressed, in order.
    pub keys: Vec<Digit>,
    /// The called side hung up.
    pub hung_up: bool,
}

/// What a prompt asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Ask {
    /// Who is there: 1 patient, 2 somebody else or (`family`) a relative, 3 not here.
    Who { family: bool },
    /// What a relative wants: 1 to fetch the patient, 2 to answer, 3 neither.
    Relative,
    /// To press 1 once the patient has come to the telephone.
    Hold,
    /// Month and day of birth.
    Birth,
    /// The answer to a question.
    Question(String),
    /// Whether a value, or "yes" if there is none, is right: 1 or 2.
    Confirm { question: String, value: Option<String> },
    /// Any key.
    AnyKey,
    /// Whether there is something to say to the staff: 1 or 2.
    Offer,
    /// To say it.
    Message,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Idle,
    Ringing,
    Talking,
    Gone,
}

/// The machine; see the [module docs](self).
#[derive(Debug)]
pub struct Callee {
    role: Role,
    state: State,
    dice: StdRng,
    /// What will be done and when, the earliest first.
    plan: VecDeque<(Instant, Output)>,
    /// What is to be done now.
    due: VecDeque<Output>,
    asked: Option<Ask>,
    /// Nobody listens before this: a machine announces something.
    listens_from: Option<Instant>,
    tries: BTreeMap<String, u32>,
    questions: BTreeSet<String>,
    last_sound: Option<Instant>,
    seen: Seen,
}

impl Callee {
    /// A callee whose telephone does not ring yet.
    pub fn new(role: Role) -> Self {
        let nth_call = i32::try_from(role.nth_call).unwrap_or(i32::MAX);
        let matter = format!("call {nth_call}");
        Self {
            dice: role.persona.dice(role.day, &matter),
            role,
            state: State::Idle,
            plan: VecDeque::new(),
            due: VecDeque::new(),
            asked: None,
            listens_from: None,
            tries: BTreeMap::new(),
            questions: BTreeSet::new(),
            last_sound: None,
            seen: Seen::default(),
        }
    }

    /// What was seen of the call so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Feeds one input. Follow it with [`Self::poll_output`] until [`Output::Wait`].
    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match (self.state, input) {
            (State::Idle, Input::Ring) => self.on_ring(now),
            (State::Talking, Input::Heard(label)) => self.on_heard(now, label),
            (State::Talking, Input::PromptEnded) => self.on_quiet(now),
            (State::Ringing | State::Talking, Input::Timeout) => self.on_timeout(now),
            (_, Input::HungUp) => self.leave(),
            // What is said before the answer or after the end is heard by nobody.
            (_, Input::Ring | Input::Heard(_) | Input::PromptEnded | Input::Timeout) => {}
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        let Some(output) = self.due.pop_front() else { return Output::Wait(self.deadline()) };
        match output {
            Output::Press(digit) => self.seen.keys.push(digit),
            Output::Answer => self.seen.answered = true,
            Output::HangUp => self.seen.hung_up = true,
            Output::Refuse(_) | Output::Sound(..) | Output::Wait(_) => {}
        }
        output
    }

    fn deadline(&self) -> Option<Instant> {
        let planned = self.plan.front().map(|(at, _)| *at);
        let lost = (self.state == State::Talking)
            .then_some(self.last_sound.map(|at| at + LOST_PATIENCE))
            .flatten();
        planned.into_iter().chain(lost).min()
    }

    fn temper(&self) -> Temper {
        self.role.persona.temper
    }

    fn on_ring(&mut self, now: Instant) {
        self.state = State::Ringing;
        match self.temper().pickup(self.role.nth_call) {
            Pickup::Ring => {}
            Pickup::Answer { after } => self.schedule(now + after, Output::Answer),
            Pickup::Refuse { after, refusal } => {
                self.schedule(now + after, Output::Refuse(refusal));
            }
        }
        self.on_timeout(now);
    }

    fn on_timeout(&mut self, now: Instant) {
        while let Some((_, output)) = self.plan.pop_front_if(|(at, _)| *at <= now) {
            self.due.push_back(output);
            match output {
                Output::Answer => self.on_answer(now),
                Output::Refuse(_) | Output::HangUp => return self.leave(),
                Output::Sound(..) => self.last_sound = Some(now),
                Output::Press(_) => {
                    self.last_sound = Some(now);
                    if !self.has_planned_keys() {
                        self.asked = None;
                    }
                }
                Output::Wait(_) => {}
            }
        }
        if self.deadline().is_some_and(|at| at <= now) {
            self.due.push_back(Output::HangUp);
            self.leave();
        }
    }

    fn on_answer(&mut self, now: Instant) {
        self.state = State::Talking;
        self.last_sound = Some(now);
        let second = Duration::from_secs(1);
        match self.temper() {
            Temper::Machine => {
                self.schedule(now + second / 2, Output::Sound(Sound::Voice, second * 6));
                self.schedule(now + second * 7, Output::Sound(Sound::Beep, second));
            }
            Temper::Screened => {
                self.schedule(now, Output::Sound(Sound::Voice, second * 6));
                self.schedule(now + second * 8, Output::Sound(Sound::Voice, second));
                self.listens_from = Some(now + second * 8);
            }
            Temper::Silent => {}
            // もしもし
            _ => self.schedule(now + second / 3, Output::Sound(Sound::Voice, second * 7 / 10)),
        }
    }

    fn on_heard(&mut self, now: Instant, label: String) {
        self.last_sound = Some(now);
        let is_about_keys = label.starts_with("keys_");
        if label.starts_with("next_person") {
            return self.hand_on(now, label);
        }
        let ask = ask_of(&label);
        self.seen.heard.push(label);
        if !self.listens(now) || is_about_keys {
            return;
        }
        self.plan
            .retain(|(at, output)| !matches!(output, Output::Press(_)) || *at <= now + REACTION);
        // Remarks ask nothing; what they interrupt is asked again.
        let Some(ask) = ask else { return };
        if let Ask::Question(code) = &ask {
            self.questions.insert(code.clone());
            let n_heard = u32::try_from(self.questions.len()).unwrap_or(u32::MAX);
            if self.role.persona.patience().is_some_and(|patience| n_heard >= patience) {
                self.schedule(now + Duration::from_secs(1), Output::HangUp);
                return;
            }
        }
        self.asked = Some(ask);
        if self.temper().touch().barges_in {
            self.plan_keys(now);
        }
    }

    /// Somebody else of the household is asked for: they take the telephone, or nobody does.
    fn hand_on(&mut self, now: Instant, label: String) {
        self.seen.heard.push(label);
        if self.role.housemates.is_empty() {
            return self.schedule(now + Duration::from_secs(1), Output::HangUp);
        }
        let Housemate { birth, temper } = self.role.housemates.remove(0);
        (self.role.birth, self.role.persona.temper) = (birth, temper);
        self.questions.clear();
        self.tries.clear();
    }

    fn on_quiet(&mut self, now: Instant) {
        self.last_sound = Some(now);
        if !self.listens(now) || self.has_planned_keys() || self.asked.is_none() {
            return;
        }
        if self.asked == Some(Ask::Message) {
            self.asked = None;
            self.schedule(now + Duration::from_millis(700), Output::Sound(Sound::Voice, MESSAGE));
            return;
        }
        if self.temper() == Temper::Talks {
            let spoken = Output::Sound(Sound::Voice, Duration::from_millis(1200));
            self.schedule(now + Duration::from_millis(800), spoken);
        }
        self.plan_keys(now);
    }

    fn listens(&self, now: Instant) -> bool {
        let understands = self.temper().presses_keys() || self.temper() == Temper::Talks;
        understands && self.listens_from.is_none_or(|from| from <= now)
    }

    fn has_planned_keys(&self) -> bool {
        self.plan.iter().any(|(_, output)| matches!(output, Output::Press(_)))
    }

    fn plan_keys(&mut self, now: Instant) {
        let Some(ask) = self.asked.clone() else { return };
        if !self.temper().presses_keys() {
            return;
        }
        let touch = self.temper().touch();
        let mut at = now + self.roll(&touch.first_key);
        if ask == Ask::Hold {
            // The patient has to come from the next room.
            at += Duration::from_secs(self.dice.random_range(5..12));
        }
        let keys = self.keys(&ask);
        for digit in &keys {
            self.schedule(at, Output::Press(*digit));
            at += self.roll(&touch.between_keys);
        }
        let tells_of_danger = ask == Ask::Question("dyspnea".to_owned());
        if tells_of_danger && self.temper() == Temper::UrgentThenGone {
            let released = self.plan.back().map_or(now, |(at, _)| *at) + KEY_TIME;
            self.schedule(released + Duration::from_millis(20), Output::HangUp);
        }
    }

    fn keys(&mut self, ask: &Ask) -> Vec<Digit> {
        let nth_try = self.tries.entry(format!("{ask:?}")).or_default();
        *nth_try += 1;
        let is_first = *nth_try == 1;
        let errs = is_first && self.temper() == Temper::Mistypes;
        let typed = match ask {
            Ask::Who { family } => match (self.temper(), family) {
                (Temper::NotHere, _) | (Temper::Family, false) => "3".to_owned(),
                (Temper::HandsOver, _) | (Temper::Family, true) => "2".to_owned(),
                _ if errs => "5".to_owned(),
                _ => "1".to_owned(),
            },
            Ask::Relative => match self.temper() {
                Temper::Family => "2".to_owned(),
                Temper::NotHere => "3".to_owned(),
                _ => "1".to_owned(),
            },
            Ask::Hold | Ask::AnyKey => "1".to_owned(),
            Ask::Offer if self.temper().has_a_message() => "1".to_owned(),
            Ask::Offer => "2".to_owned(),
            // It is said, not pressed.
            Ask::Message => String::new(),
            Ask::Birth => {
                let (month, day) = *self.role.birth.expose();
                let wrong = errs || self.temper() == Temper::Stranger;
                // Never a right date: no 31st comes out of it that was not there before.
                let month = if wrong { month % 12 + 1 } else { month };
                format!("{month:02}{day:02}")
            }
            // Before anything else.
            Ask::Question(code) if is_first && self.wants_help_at(code) => "0".to_owned(),
            Ask::Question(code) => match self.role.persona.meant(self.role.day, code) {
                Answer::Number(number) if errs => self.mistyped(number),
                Answer::Number(number) => number.to_string(),
                Answer::NotMeasured | Answer::Unanswered => "000".to_owned(),
                // The key beside the right one: it asks for help, which is not meant.
                Answer::Choice(_) if errs && code == "cannot_eat" => "0".to_owned(),
                Answer::Choice(_) if errs => "7".to_owned(),
                Answer::Choice(YesNo::Yes) => "1".to_owned(),
                Answer::Choice(YesNo::No) => "2".to_owned(),
                Answer::Choice(YesNo::Unknown) => "3".to_owned(),
            },
            Ask::Confirm { question, value } => {
                let meant = self.role.persona.meant(self.role.day, question);
                let is_right = match value {
                    Some(value) => *value == meant.to_text(),
                    None => meant == Answer::Choice(YesNo::Yes),
                };
                if is_right { "1".to_owned() } else { "2".to_owned() }
            }
        };
        let digits = typed.chars().filter_map(Digit::from_char);
        if self.temper() == Temper::HashEachDigit && is_first && typed.len() > 1 {
            return digits.flat_map(|digit| [digit, Digit::Pound]).collect();
        }
        digits.collect()
    }

    fn wants_help_at(&self, code: &str) -> bool {
        self.temper() == Temper::AsksForHelp && code == "dyspnea"
    }

    /// A number as it goes wrong: another plausible one, one that cannot be, or too short a one.
    fn mistyped(&mut self, number: i32) -> String {
        match self.dice.random_range(0..3) {
            0 => (number - 1).to_string(),
            1 => "99".repeat(2).chars().take(number.to_string().len().max(3)).collect(),
            _ => number.to_string().chars().take(1).collect(),
        }
    }

    fn roll(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        self.dice.random_range(range.clone())
    }

    fn schedule(&mut self, at: Instant, output: Output) {
        let index = self.plan.partition_point(|(earlier, _)| *earlier <= at);
        self.plan.insert(index, (at, output));
    }

    fn leave(&mut self) {
        self.state = State::Gone;
        self.plan.clear();
        self.asked = None;
    }
}

/// What the prompt with this label asks for; `None` for a remark.
fn ask_of(label: &str) -> Option<Ask> {
    let (prompt, value) = match label.split_once(':') {
        Some((prompt, value)) => (prompt, Some(value.to_owned())),
        None => (label, None),
    };
    let plain = prompt.trim_end_matches("_again").trim_end_matches("_short");
    match plain {
        "greeting" => return Some(Ask::Who { family: false }),
        "greeting_family" => return Some(Ask::Who { family: true }),
        "family_choice" => return Some(Ask::Relative),
        "hold" => return Some(Ask::Hold),
        "message_offer" => return Some(Ask::Offer),
        "message_begin" | "message_unheard" => return Some(Ask::Message),
        "identify" | "identify_family" => return Some(Ask::Birth),
        // Members of the staff are people, too.
        "any_key" | "test_call" => return Some(Ask::AnyKey),
        _ => {}
    }
    if let Some(question) = plain.strip_prefix("readback_") {
        return Some(Ask::Confirm { question: question.to_owned(), value });
    }
    if let Some(question) = plain.strip_prefix("confirm_") {
        return Some(Ask::Confirm { question: question.to_owned(), value: None });
    }
    let question = plain.strip_prefix("ask_").or_else(|| plain.strip_prefix("short_"))?;
    Some(Ask::Question(question.to_owned()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one arbitrary origin; the rest is derived")]
mod tests {
    use super::*;

    fn callee(temper: Temper) -> Callee {
        let persona = Persona { temper, seed: 4 };
        Callee::new(Role {
            persona,
            birth: (7, 5).into(),
            housemates: Vec::new(),
            day: 0,
            nth_call: 1,
        })
    }

    /// Plays a script such as `ring 5 say:ask_dyspnea 2 quiet 10`: words happen at once, numbers
    /// let so many seconds pass. Returns what the callee did.
    fn play(temper: Temper, script: &str) -> String {
        let mut callee = callee(temper);
        let mut now = Instant::now();
        let mut log = Vec::new();
        for word in script.split_whitespace() {
            let until = match word.parse() {
                Ok(seconds) => now + Duration::from_secs(seconds),
                Err(_) => now,
            };
            match word {
                "ring" => callee.handle_input(now, Input::Ring),
                "quiet" => callee.handle_input(now, Input::PromptEnded),
                "gone" => callee.handle_input(now, Input::HungUp),
                other => {
                    if let Some(label) = other.strip_prefix("say:") {
                        callee.handle_input(now, Input::Heard(label.to_owned()));
                    }
                }
            }
            loop {
                match callee.poll_output() {
                    Output::Wait(Some(at)) if at <= until => {
                        now = at;
                        callee.handle_input(now, Input::Timeout);
                    }
                    Output::Wait(_) => break,
                    Output::Answer => log.push("answer".to_owned()),
                    Output::Refuse(refusal) => log.push(refusal.status().to_string()),
                    Output::Press(digit) => log.push(digit.to_string()),
                    Output::Sound(sound, _) => log.push(format!("{sound:?}").to_lowercase()),
                    Output::HangUp => log.push("hang-up".to_owned()),
                }
            }
            now = until;
        }
        log.join(" ")
    }

    #[test]
    fn each_temper_takes_the_call_in_its_own_way() {
        for (temper, script, expected) in [
            (Temper::Prompt, "ring 3", ""),
            (Temper::Prompt, "ring 10", "answer voice"),
            (Temper::Late, "ring 24", ""),
            (Temper::Late, "ring 30", "answer voice"),
            (Temper::Absent, "ring 600", ""),
            (Temper::SecondCall, "ring 600", ""),
            (Temper::Busy, "ring", "486"),
            (Temper::Declines, "ring 5", ""),
            (Temper::Declines, "ring 10", "603"),
            (Temper::Machine, "ring 60", "answer voice beep"),
            (Temper::Machine, "ring 600", "answer voice beep hang-up"),
            (Temper::Silent, "ring 60", "answer"),
            (Temper::Prompt, "ring gone 60", ""),
        ] {
            assert_eq!(play(temper, script), expected, "{temper:?} {script}");
        }
    }

    #[test]
    fn keys_answer_what_was_heard_and_nothing_else() {
        let begin = "ring 10 ";
        for (temper, script, expected) in [
            (Temper::Prompt, "say:opening 3 say:greeting:name 5 quiet 5", "1"),
            (Temper::Prompt, "say:identify 5 quiet 9", "0 7 0 5"),
            (Temper::Prompt, "say:ask_dyspnea 3 say:keys_yes_no 4 quiet 5", "2"),
            // While it is still being said, nobody presses a key, but those who always do.
            (Temper::Prompt, "say:ask_dyspnea 9", ""),
            (Temper::Impatient, "say:ask_dyspnea 9", "2"),
            (Temper::Prompt, "say:thanks 3 quiet 9", ""),
            (Temper::Prompt, "say:readback_temperature:999 3 quiet 9", "2"),
            (Temper::Prompt, "say:confirm_dyspnea 3 quiet 9", "2"),
            (Temper::Urgent, "say:confirm_dyspnea 3 quiet 9", "1"),
            (Temper::Urgent, "say:short_urgent_breathing 3 quiet 9", "1"),
            // Once answered, quiet alone does not make them press again.
            (Temper::Prompt, "say:ask_dyspnea 3 quiet 5 quiet 9", "2"),
            // A question that follows takes the place of the one before.
            (Temper::Prompt, "say:ask_dyspnea 3 quiet say:identify 3 quiet 9", "0 7 0 5"),
            (
                Temper::Mistypes,
                "say:ask_face 3 quiet 9 say:wrong_key say:short_face 3 quiet 9",
                "7 2",
            ),
            (
                Temper::Stranger,
                "say:identify 5 quiet 9 say:identify_again 5 quiet 9",
                "0 8 0 5 0 8 0 5",
            ),
            (Temper::HashEachDigit, "say:identify 5 quiet 9", "0 # 7 # 0 # 5 #"),
            (Temper::Unmeasured, "say:ask_spo2 5 quiet 9", "0 0 0"),
            (
                Temper::AsksForHelp,
                "say:hint_consultation say:ask_dyspnea 5 quiet 9 say:confirm_consultation 3 \
                 quiet 9 say:emergency 3 say:short_dyspnea 5 quiet 9",
                "0 1 2",
            ),
            (
                Temper::Mistypes,
                "say:ask_cannot_eat 5 quiet 9 say:confirm_consultation 3 quiet 9 \
                 say:short_cannot_eat 5 quiet 9",
                "0 2 2",
            ),
            (Temper::NotHere, "say:greeting:name 5 quiet 9", "3"),
            (
                Temper::Family,
                "say:greeting_family:name 5 quiet 9 say:family_choice 3 quiet 9",
                "2 2",
            ),
            (Temper::HandsOver, "say:greeting:name 5 quiet 9 say:hold 3 quiet 4", "2"),
            (Temper::HandsOver, "say:greeting:name 5 quiet 9 say:hold 3 quiet 20", "2 1"),
            (Temper::Talks, "say:greeting:name 5 quiet 9", "voice"),
            (Temper::UrgentThenGone, "say:ask_dyspnea 5 quiet 9", "1 hang-up"),
            // Nobody on the line: in the end they hang up.
            (Temper::Prompt, "say:opening 80", ""),
            (Temper::Prompt, "say:opening 95", "hang-up"),
        ] {
            let log = play(temper, &format!("{begin}{script}"));
            let expected = format!("answer voice {expected}");
            assert_eq!(log, expected.trim_end(), "{temper:?} {script}");
        }
    }

    #[test]
    fn a_voice_that_begins_to_speak_stops_the_fingers() {
        // Slow fingers: the first key comes after eleven seconds, the next three seconds later.
        let script = "ring 20 say:identify 5 quiet 14 say:too_few say:identify_again 5 quiet 40";
        assert_eq!(play(Temper::Slow, script), "answer voice 0 0 7 0 5");
    }

    #[test]
    fn a_machine_announces_before_a_person_listens() {
        let script = "ring say:greeting:name 3 quiet 9 say:greeting_again:name 3 quiet 9";
        assert_eq!(play(Temper::Screened, script), "answer voice voice 1");
    }

    #[test]
    fn whoever_hangs_up_does_so_in_the_middle_of_a_question() {
        let asks = "say:ask_temperature 5 quiet 9 say:ask_spo2 5 quiet 9 say:ask_dyspnea 5 quiet 9 \
                    say:ask_face 5 quiet 9 say:ask_consciousness 5 quiet 9";
        let log = play(Temper::HangsUp, &format!("ring 10 {asks}"));
        assert!(log.ends_with("hang-up"), "{log}");
        assert!(log.split(' ').count() > 3, "{log}");
    }
}
