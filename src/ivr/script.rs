//! Dialogues as text: what happens on the line, and what the interview does about it.
//!
//! One file is one call. It begins with what the interview knows; then come, at the left edge,
//! the things that happen, and below each of them, indented, what follows. The files under
//! `tests/data/dialogues` are tests and documentation at once, and `mimamori talk --repro` prints
//! a conversation as such a file.
//!
//! ```text
//! # A slip of the finger.
//! script: short
//! at hand: thermometer
//! birth: 0705
//!
//! answered
//!   says ヤマダ様、ご本人ですか。…
//! press 1
//!   says 確認のため、お誕生日の、…
//! ```
//!
//! `press 375` lets the words end and then presses the keys; `press early 1` presses right after
//! the words began. `silence` lets the words end and then waits until patience does. `hear speech`,
//! `hear quiet 2.5`, `hear beep` and `hang up` explain themselves. The birth date stands in such a
//! file, so it is for invented persons only.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::date;

use crate::base::{Digit, Now, Private};
use crate::call::Heard;
use crate::ivr::session::{Message, Remeasure};
use crate::ivr::{
    Answer, Catalog, Concern, Entry, Input, Output, Profile, Questionnaire, Script, Session,
};

/// How long every utterance takes in a played dialogue.
const UTTERANCE: Duration = Duration::from_secs(3);
/// Between two keys.
const BETWEEN_KEYS: Duration = Duration::from_millis(400);
/// After the first words of a prompt, well before it may be cut.
const EARLY: Duration = Duration::from_millis(200);

/// One call as a text.
#[derive(Clone, Debug)]
pub struct Dialogue {
    /// What it shows; the lines that begin with `#`.
    pub remarks: Vec<String>,
    /// What the interview knows.
    pub profile: Profile,
    /// Which answers weigh how much; all others weigh nothing.
    pub concerns: Vec<Weight>,
    /// The question whose answer cannot be committed.
    pub fails_at: Option<String>,
    /// What happens, and what follows.
    pub turns: Vec<Turn>,
    /// Who answered, and how far the dialogue came: `patient, complete`.
    pub result: String,
}

/// How much an answer weighs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Weight {
    /// The question.
    pub question: String,
    /// Its answer.
    pub answer: Answer,
    /// What the rules made of it.
    pub concern: Concern,
}

/// One thing that happens, and what follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Turn {
    /// What happens.
    pub event: Event,
    /// What the interview does then, a line each.
    pub follows: Vec<String>,
}

/// What happens on the line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The call is taken.
    Answered,
    /// Keys are pressed once the words are over.
    Press(Vec<Digit>),
    /// Keys are pressed right after the words began.
    PressEarly(Vec<Digit>),
    /// Nobody does anything until patience ends.
    Silence,
    /// What is being said is heard to its end.
    Listen,
    /// Something is heard.
    Hear(Heard),
    /// The far end hangs up.
    HangUp,
}

/// The text is no dialogue.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {text:?} is not understood")]
pub struct InvalidDialogue {
    /// The line, counted from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

impl Dialogue {
    /// A dialogue in which nothing has happened yet.
    pub fn new(profile: Profile) -> Self {
        Self {
            remarks: Vec::new(),
            profile,
            concerns: Vec::new(),
            fails_at: None,
            turns: Vec::new(),
            result: String::new(),
        }
    }

    /// Plays what happens to a new session from `start` on, and writes down what follows.
    #[must_use]
    pub fn play(&self, questionnaire: Arc<Questionnaire>, catalog: &Catalog, start: Now) -> Self {
        let session = Session::new(questionnaire, self.profile.clone());
        let mut player = Player {
            dialogue: self,
            catalog,
            session,
            now: start,
            says_until: None,
            has_spoken: false,
            wait: None,
            lines: Vec::new(),
        };
        let events: Vec<&Event> = self.turns.iter().map(|turn| &turn.event).collect();
        let mut turns = Vec::new();
        for (index, event) in events.iter().enumerate() {
            player.play(event, events.get(index + 1).copied());
            let follows = std::mem::take(&mut player.lines);
            turns.push(Turn { event: (*event).clone(), follows });
        }
        let session = player.session;
        let (respondent, completion) = (session.respondent(), session.completion());
        let result = format!("{}, {}", respondent.as_str(), completion.as_str());
        Self { turns, result, ..self.clone() }
    }
}

/// Lets time pass for a session, without any clock.
struct Player<'a> {
    dialogue: &'a Dialogue,
    catalog: &'a Catalog,
    session: Session,
    now: Now,
    says_until: Option<Instant>,
    has_spoken: bool,
    wait: Option<Instant>,
    lines: Vec<String>,
}

impl Player<'_> {
    fn play(&mut self, event: &Event, next: Option<&Event>) {
        match event {
            Event::Answered => self.feed(Input::Answered),
            Event::Press(digits) => self.press(digits),
            Event::PressEarly(digits) => {
                self.now = self.now.later(EARLY);
                self.press(digits);
            }
            Event::Silence => self.let_time_pass(),
            Event::Listen => {}
            Event::Hear(heard) => self.feed(Input::Heard(*heard)),
            Event::HangUp => self.feed(Input::HungUp),
        }
        // Whoever acts early does so while the words are being said.
        if matches!(next, Some(Event::PressEarly(_) | Event::Hear(_))) {
            return;
        }
        if follows_by_itself(event, self.has_spoken) {
            self.let_time_pass();
        }
        self.finish_words();
    }

    fn press(&mut self, digits: &[Digit]) {
        for digit in digits {
            self.now = self.now.later(BETWEEN_KEYS);
            self.feed(Input::Digit(*digit));
        }
    }

    /// Moves to the end of what is being said, and of what is said next without an answer.
    fn finish_words(&mut self) {
        while let Some(end) = self.says_until {
            if let Some(wait) = self.wait.filter(|wait| *wait < end) {
                self.pass_to(wait, Input::Timeout);
            } else {
                self.says_until = None;
                self.pass_to(end, Input::PlayEnded);
            }
        }
    }

    fn let_time_pass(&mut self) {
        if let Some(wait) = self.wait {
            self.pass_to(wait, Input::Timeout);
        }
    }

    fn pass_to(&mut self, at: Instant, input: Input) {
        self.now = self.now.later(at.saturating_duration_since(self.now.instant));
        self.feed(input);
    }

    fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.session.handle_input(self.now, input);
            loop {
                match self.session.poll_output() {
                    Output::Say(words) => {
                        let n_words = u32::try_from(words.len()).unwrap_or(u32::MAX);
                        self.says_until = Some(self.now.instant + UTTERANCE * n_words);
                        self.has_spoken = true;
                        let said = words.iter().map(|one| self.catalog.written(one));
                        self.lines.extend(said.map(|text| format!("says {text}")));
                    }
                    Output::StopSaying => {
                        self.says_until = None;
                        self.lines.push("falls silent".to_owned());
                    }
                    Output::Identified(respondent) => {
                        self.lines.push(format!("identified {}", respondent.as_str()));
                    }
                    Output::Record(entry) => {
                        self.lines.push(describe(&entry));
                        inputs.push_back(self.weigh(&entry));
                    }
                    Output::BeginMessage => self.lines.push("listens".to_owned()),
                    Output::EndMessage(Message::Spoken) => {
                        self.lines.push("has heard a message".to_owned());
                    }
                    Output::EndMessage(Message::Empty) => {
                        self.lines.push("has heard nothing".to_owned());
                    }
                    Output::HangUp => {
                        self.says_until = None;
                        self.lines.push("hangs up".to_owned());
                    }
                    Output::Wait(until) => {
                        self.wait = until;
                        break;
                    }
                }
            }
        }
    }

    fn weigh(&self, entry: &Entry) -> Input {
        if self.dialogue.fails_at.as_ref() == Some(&entry.question) {
            return Input::NotRecorded;
        }
        let found = self
            .dialogue
            .concerns
            .iter()
            .find(|weight| weight.question == entry.question && weight.answer == entry.answer);
        Input::Recorded(found.map_or(Concern::None, |weight| weight.concern))
    }
}

/// Whether the interview goes on after `event` without waiting for anybody: from the answer to the
/// greeting, and from the beep to the message.
fn follows_by_itself(event: &Event, has_spoken: bool) -> bool {
    match event {
        Event::Hear(Heard::Beep) => true,
        Event::Answered | Event::Hear(Heard::Quiet(_)) => !has_spoken,
        _ => false,
    }
}

fn describe(entry: &Entry) -> String {
    let keys = if entry.keys.is_empty() { "no keys" } else { &entry.keys };
    let answer = entry.answer.to_text();
    let asked = match entry.asked {
        1 => String::new(),
        n => format!(", asked {n} times"),
    };
    format!("records {} {answer} ({keys}{asked})", entry.question)
}

/// Collects what happens in a live conversation, to print it as a [`Dialogue`].
#[derive(Debug)]
pub struct Recorder {
    dialogue: Dialogue,
    is_saying: bool,
    has_spoken: bool,
    /// Nothing was said since the last event.
    is_same: bool,
}

impl Recorder {
    /// Nothing has happened yet.
    pub fn new(profile: Profile) -> Self {
        Self {
            dialogue: Dialogue::new(profile),
            is_saying: false,
            has_spoken: false,
            is_same: false,
        }
    }

    /// Takes note of what the session is fed. Call it before feeding.
    pub fn note_input(&mut self, input: Input) {
        let event = match input {
            Input::Answered => Event::Answered,
            Input::Digit(digit) => return self.note_digit(digit),
            Input::Heard(heard) => Event::Hear(heard),
            Input::HungUp => Event::HangUp,
            Input::PlayEnded => {
                self.is_saying = false;
                return;
            }
            // The end of the guarded first moments of a prompt.
            Input::Timeout if self.is_saying => return,
            Input::Timeout => {
                let last = self.dialogue.turns.last();
                if last.is_some_and(|turn| follows_by_itself(&turn.event, self.has_spoken)) {
                    return;
                }
                Event::Silence
            }
            Input::Recorded(_) | Input::NotRecorded => return,
        };
        self.push(event);
    }

    /// Takes note of what the session does.
    pub fn note_output(&mut self, output: &Output) {
        match output {
            Output::Say(_) => {
                self.is_saying = true;
                self.has_spoken = true;
                self.is_same = false;
            }
            Output::StopSaying | Output::HangUp => self.is_saying = false,
            Output::Identified(_)
            | Output::Record(_)
            | Output::BeginMessage
            | Output::EndMessage(_)
            | Output::Wait(_) => {}
        }
    }

    /// Takes note of what the rules made of an answer.
    pub fn note_concern(&mut self, entry: &Entry, concern: Concern) {
        if concern != Concern::None {
            let question = entry.question.clone();
            self.dialogue.concerns.push(Weight { question, answer: entry.answer, concern });
        }
    }

    /// The dialogue; [`Dialogue::play`] it to see what followed.
    pub fn into_dialogue(self) -> Dialogue {
        self.dialogue
    }

    fn note_digit(&mut self, digit: Digit) {
        let is_saying = self.is_saying;
        match self.dialogue.turns.last_mut().map(|turn| &mut turn.event) {
            Some(Event::Press(digits)) if self.is_same => digits.push(digit),
            Some(Event::PressEarly(digits)) if self.is_same => digits.push(digit),
            _ if is_saying => self.push(Event::PressEarly(vec![digit])),
            _ => self.push(Event::Press(vec![digit])),
        }
    }

    fn push(&mut self, event: Event) {
        self.is_same = true;
        self.dialogue.turns.push(Turn { event, follows: Vec::new() });
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |digits: &[Digit]| digits.iter().map(Digit::to_string).collect::<String>();
        match self {
            Self::Answered => f.write_str("answered"),
            Self::Press(digits) => write!(f, "press {}", keys(digits)),
            Self::PressEarly(digits) => write!(f, "press early {}", keys(digits)),
            Self::Listen => f.write_str("listen"),
            Self::Silence => f.write_str("silence"),
            Self::Hear(Heard::Speech) => f.write_str("hear speech"),
            Self::Hear(Heard::Quiet(time)) => write!(f, "hear quiet {}", time.as_secs_f64()),
            Self::Hear(Heard::Beep) => f.write_str("hear beep"),
            Self::HangUp => f.write_str("hang up"),
        }
    }
}

impl Event {
    fn parse(text: &str) -> Option<Self> {
        let keys = |keys: &str| keys.chars().map(Digit::from_char).collect::<Option<Vec<_>>>();
        let words: Vec<&str> = text.split_whitespace().collect();
        Some(match words.as_slice() {
            ["answered"] => Self::Answered,
            ["press", "early", digits] => Self::PressEarly(keys(digits)?),
            ["press", digits] => Self::Press(keys(digits)?),
            ["silence"] => Self::Silence,
            ["listen"] => Self::Listen,
            ["hear", "speech"] => Self::Hear(Heard::Speech),
            ["hear", "beep"] => Self::Hear(Heard::Beep),
            ["hear", "quiet", seconds] => {
                let time = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
                Self::Hear(Heard::Quiet(time))
            }
            ["hang", "up"] => Self::HangUp,
            _ => return None,
        })
    }
}

impl fmt::Display for Dialogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for remark in &self.remarks {
            writeln!(f, "{}", format!("# {remark}").trim_end())?;
        }
        let profile = &self.profile;
        let (month, day) = profile.birth.expose();
        let at_hand: Vec<&str> =
            [("thermometer", profile.has_thermometer), ("oximeter", profile.has_oximeter)]
                .into_iter()
                .filter_map(|(name, has)| has.then_some(name))
                .collect();
        writeln!(f, "script: {}", profile.script.as_str())?;
        writeln!(
            f,
            "at hand: {}",
            if at_hand.is_empty() { "nothing".into() } else { at_hand.join(", ") }
        )?;
        writeln!(f, "name: {}", profile.family_name.expose())?;
        writeln!(f, "birth: {month:02}{day:02}")?;
        writeln!(f, "center: {}", profile.health_center)?;
        writeln!(f, "desk: {}", profile.desk_phone)?;
        writeln!(f, "today: {}", profile.today)?;
        if let Some(next) = profile.next_call {
            writeln!(f, "next call: {next}")?;
        }
        if let Some(Remeasure { question, range, at }) = &profile.remeasure {
            writeln!(f, "remeasure: {question} {} {} {at}", range.start(), range.end())?;
        }
        for (is_set, line) in [
            (profile.has_open_case, "open case: yes"),
            (profile.slow_speech, "slow speech: yes"),
            (profile.family_may_answer, "family may answer: yes"),
            (profile.leave_message, "leave message: yes"),
            (profile.is_recorded, "recorded: yes"),
            (profile.takes_messages, "takes messages: yes"),
            (!profile.takes_help, "help key: no"),
        ] {
            if is_set {
                writeln!(f, "{line}")?;
            }
        }
        for (question, answer) in &profile.answered {
            writeln!(f, "answered before: {question} {}", answer.to_text())?;
        }
        for Weight { question, answer, concern } in &self.concerns {
            writeln!(f, "concern: {question} {} {}", answer.to_text(), concern.as_str())?;
        }
        if let Some(question) = &self.fails_at {
            writeln!(f, "store fails at: {question}")?;
        }
        writeln!(f)?;
        for Turn { event, follows } in &self.turns {
            writeln!(f, "{event}")?;
            for line in follows {
                writeln!(f, "  {line}")?;
            }
        }
        writeln!(f, "result: {}", self.result)
    }
}

impl FromStr for Dialogue {
    type Err = InvalidDialogue;

    fn from_str(text: &str) -> Result<Self, InvalidDialogue> {
        let mut dialogue = Self::new(Profile::invented());
        for (index, line) in text.lines().enumerate() {
            let is_understood = if let Some(remark) = line.strip_prefix('#') {
                dialogue.remarks.push(remark.trim().to_owned());
                true
            } else if let Some(follows) = line.strip_prefix("  ") {
                dialogue.turns.last_mut().map(|turn| turn.follows.push(follows.into())).is_some()
            } else if let Some((key, value)) = line.split_once(':') {
                dialogue.set(key.trim(), value.trim()).is_some()
            } else if line.is_empty() {
                true
            } else {
                let event = Event::parse(line);
                event.map(|event| dialogue.turns.push(Turn { event, follows: vec![] })).is_some()
            };
            if !is_understood {
                return Err(InvalidDialogue { line: index + 1, text: line.to_owned() });
            }
        }
        Ok(dialogue)
    }
}

impl Dialogue {
    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let words: Vec<&str> = value.split_whitespace().collect();
        let profile = &mut self.profile;
        match key {
            "script" => profile.script = Script::parse(value)?,
            "at hand" => {
                profile.has_thermometer = value.contains("thermometer");
                profile.has_oximeter = value.contains("oximeter");
            }
            "name" => profile.family_name = Private::new(value.to_owned()),
            "birth" => {
                let (month, day) = value.split_at_checked(2)?;
                profile.birth = Private::new((month.parse().ok()?, day.parse().ok()?));
            }
            "center" => value.clone_into(&mut profile.health_center),
            "desk" => value.clone_into(&mut profile.desk_phone),
            "today" => profile.today = value.parse().ok()?,
            "next call" => profile.next_call = Some(value.parse().ok()?),
            "remeasure" => {
                let [question, low, high, at] = words.as_slice() else { return None };
                profile.remeasure = Some(Remeasure {
                    question: (*question).to_owned(),
                    range: low.parse().ok()?..=high.parse().ok()?,
                    at: at.parse().ok()?,
                });
            }
            "open case" => profile.has_open_case = value == "yes",
            "slow speech" => profile.slow_speech = value == "yes",
            "family may answer" => profile.family_may_answer = value == "yes",
            "recorded" => profile.is_recorded = value == "yes",
            "takes messages" => profile.takes_messages = value == "yes",
            "help key" => profile.takes_help = value == "yes",
            "leave message" => profile.leave_message = value == "yes",
            "answered before" => {
                let [question, answer] = words.as_slice() else { return None };
                profile.answered.push(((*question).to_owned(), Answer::parse(answer)?));
            }
            "concern" => {
                let [question, answer, concern] = words.as_slice() else { return None };
                self.concerns.push(Weight {
                    question: (*question).to_owned(),
                    answer: Answer::parse(answer)?,
                    concern: Concern::parse(concern)?,
                });
            }
            "store fails at" => self.fails_at = Some(value.to_owned()),
            "result" => value.clone_into(&mut self.result),
            _ => return None,
        }
        Some(())
    }
}

impl Profile {
    /// An invented patient, for trying out a questionnaire: ヤマダ, born on 5 July, with a
    /// thermometer and an oximeter.
    pub fn invented() -> Self {
        Self {
            health_center: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            family_name: Private::new("ヤマダ".to_owned()),
            birth: Private::new((7, 5)),
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: false,
            script: Script::Full,
            family_may_answer: false,
            answered: Vec::new(),
            next_call: None,
            remeasure: None,
            has_open_case: false,
            today: date(2026, 11, 22),
            leave_message: false,
            is_recorded: false,
            takes_messages: false,
            takes_help: true,
        }
    }
}
