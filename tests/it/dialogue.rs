//! Whole interviews: every file in `tests/data/dialogues` is played, and must read as it did.
//!
//! To accept what the interview says now, run with `MIMAMORI_UPDATE=1` and read the difference.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use jiff::civil::date;
use proptest::prelude::*;

use mimamori::base::clock::timestamp;
use mimamori::base::{Digit, Now};
use mimamori::call::{Heard, Respondent};
use mimamori::ivr::script::{Dialogue, Recorder};
use mimamori::ivr::session::{Remeasure, utterances};
use mimamori::ivr::{
    Answer, Catalog, Concern, Entry, Input, Output, Profile, Questionnaire, Script, Session,
    Utterance, YesNo,
};

#[test]
fn interviews_go_as_written() {
    let catalog = Catalog::embedded();
    let questionnaire = Questionnaire::recuperation();
    let start = start();
    let files = files();
    assert!(files.len() >= 20, "the dialogues are missing");
    let mut differing = Vec::new();
    for file in files {
        let written = fs::read_to_string(&file).unwrap();
        let dialogue: Dialogue =
            written.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let played = dialogue.play(questionnaire.clone(), &catalog, start).to_string();
        if played == written {
            continue;
        }
        if std::env::var_os("MIMAMORI_UPDATE").is_some() {
            fs::write(&file, &played).unwrap();
        }
        let line = written.lines().zip(played.lines()).position(|(a, b)| a != b);
        let line = line.unwrap_or(written.lines().count().min(played.lines().count()));
        let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
        differing.push(format!(
            "{}:{}\n  written: {}\n  played:  {}",
            file.display(),
            line + 1,
            at(&written),
            at(&played)
        ));
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_line_that_is_no_dialogue_is_named() {
    for (text, line) in [("answered\nshout\n", 2), ("  says x\n", 1), ("answered\npress 1x\n", 2)] {
        let error = text.parse::<Dialogue>().unwrap_err();
        assert_eq!(error.line, line, "{text}");
    }
}

/// Prompts that may be said to anybody: they tell nothing of health.
const NEUTRAL: [&str; 26] = [
    "recorded",
    "message_unheard",
    "message_signal",
    "message_thanks",
    "opening",
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
];

#[test]
fn words_to_strangers_tell_nothing_of_health() {
    let catalog = Catalog::embedded();
    let telling = ["体", "熱", "健康", "症", "病", "療", "苦", "酸素", "相談", "119", "ぐあい"];
    for id in NEUTRAL {
        let text = catalog.prompt(id).unwrap().text.to_string();
        assert!(telling.iter().all(|word| !text.contains(word)), "{id}: {text}");
    }
}

static QUESTIONNAIRE: LazyLock<Arc<Questionnaire>> = LazyLock::new(Questionnaire::recuperation);
static CATALOG: LazyLock<Catalog> = LazyLock::new(Catalog::embedded);

/// A call in virtual time, with a driver that watches what it is told to do.
struct Watched {
    session: Session,
    sayable: HashSet<Utterance>,
    answered_at: Instant,
    now: Now,
    wait: Option<Instant>,
    /// What is being said, and until when.
    saying: Option<(Vec<Utterance>, Instant)>,
    identified: Option<Respondent>,
    to_commit: Option<Entry>,
    committed: Vec<Entry>,
    is_listening: bool,
    is_over: bool,
    hung_up_on: bool,
    recorder: Recorder,
}

impl Watched {
    fn new(profile: Profile) -> Self {
        let sayable = utterances(&QUESTIONNAIRE, &profile).into_iter().collect();
        let now = start();
        let mut watched = Self {
            recorder: Recorder::new(profile.clone()),
            session: Session::new(QUESTIONNAIRE.clone(), profile),
            sayable,
            answered_at: now.instant,
            now,
            wait: None,
            saying: None,
            identified: None,
            to_commit: None,
            committed: Vec::new(),
            is_listening: false,
            is_over: false,
            hung_up_on: false,
        };
        watched.feed(Input::Answered);
        watched
    }

    fn feed(&mut self, input: Input) {
        self.recorder.note_input(input);
        self.session.handle_input(self.now, input);
        loop {
            let output = self.session.poll_output();
            self.recorder.note_output(&output);
            match output {
                Output::Say(words) => self.say(words),
                Output::StopSaying => {
                    assert!(!self.is_told_danger(), "a safety message was cut");
                    assert!(self.saying.take().is_some(), "nothing was being said");
                }
                Output::Identified(respondent) => {
                    assert_eq!(self.identified, None);
                    self.identified = Some(respondent);
                }
                Output::Record(entry) => {
                    assert!(self.identified.is_some(), "an answer of a stranger");
                    assert_eq!(self.to_commit, None, "the answer before is not committed yet");
                    self.to_commit = Some(entry);
                }
                Output::BeginMessage => {
                    assert!(self.saying.is_none() && !self.is_listening);
                    self.is_listening = true;
                }
                Output::EndMessage(_) => {
                    assert!(self.is_listening, "nothing was listened to");
                    self.is_listening = false;
                }
                Output::HangUp => {
                    assert!(!self.is_listening, "a message has no end");
                    assert!(!self.is_over && !self.hung_up_on, "hung up twice");
                    self.is_over = true;
                    self.saying = None;
                }
                Output::Wait(until) => {
                    assert!(until.is_none_or(|at| at >= self.now.instant), "a deadline went by");
                    self.wait = until;
                    break;
                }
            }
        }
        let length = self.now.instant.duration_since(self.answered_at);
        assert!(self.is_over || length < Duration::from_mins(8), "the call is too long");
    }

    fn say(&mut self, words: Vec<Utterance>) {
        assert!(!self.is_over && !self.hung_up_on, "said after the end: {words:?}");
        assert_eq!(self.to_commit, None, "said before the answer was committed: {words:?}");
        assert!(!self.is_told_danger(), "a safety message was cut");
        assert!(!words.is_empty(), "nothing to say");
        for one in &words {
            assert!(self.sayable.contains(one), "{one} was not made ready");
            let is_neutral = NEUTRAL.contains(&one.prompt.as_str());
            assert!(self.identified.is_some() || is_neutral, "{one} was said to a stranger");
        }
        let n_words = u32::try_from(words.len()).expect("few words");
        self.saying = Some((words, self.now.instant + Duration::from_millis(800) * n_words));
    }

    fn is_told_danger(&self) -> bool {
        let is_grave = |one: &Utterance| {
            ["emergency", "closing_emergency", "closing_phone"].contains(&one.prompt.as_str())
        };
        self.saying.as_ref().is_some_and(|(words, _)| words.iter().any(is_grave))
    }

    /// Moves on to whatever comes first: the end of the words, or the deadline.
    fn let_time_pass(&mut self) {
        let end = self.saying.as_ref().map(|(_, end)| *end);
        match (end, self.wait) {
            (Some(end), wait) if wait.is_none_or(|wait| end <= wait) => {
                self.move_to(end);
                self.saying = None;
                self.feed(Input::PlayEnded);
            }
            (_, Some(wait)) => {
                self.move_to(wait);
                self.feed(Input::Timeout);
            }
            (_, None) => {}
        }
    }

    fn move_to(&mut self, at: Instant) {
        self.now = self.now.later(at.saturating_duration_since(self.now.instant));
    }

    /// Passes a little time, but not beyond anything that is due.
    fn dawdle(&mut self, by: Duration) {
        let due = self.saying.as_ref().map(|(_, end)| *end).into_iter().chain(self.wait).min();
        let until = self.now.instant + by;
        self.move_to(due.map_or(until, |due| until.min(due)));
    }

    fn commit(&mut self, concern: Concern) {
        if let Some(entry) = self.to_commit.take() {
            self.recorder.note_concern(&entry, concern);
            self.committed.push(entry);
            self.feed(Input::Recorded(concern));
        }
    }

    fn finish(&mut self, concern: impl Fn(&Entry) -> Concern) {
        for _ in 0..2000 {
            if self.is_over || self.hung_up_on {
                return;
            }
            match self.to_commit.as_ref().map(&concern) {
                Some(concern) => self.commit(concern),
                None => self.let_time_pass(),
            }
        }
        panic!("the dialogue never ends");
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Press(char),
    Wait,
    Dawdle(u64),
    Hear(Heard),
    Commit(Concern),
    NotRecorded,
    HangUp,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let keys = prop_oneof![
        4 => prop::sample::select(vec!['1', '2', '3']),
        2 => prop::sample::select(vec!['0', '4', '5', '6', '7', '8', '9', '*', '#']),
    ];
    let one = prop_oneof![
        12 => keys.prop_map(Happening::Press),
        8 => Just(Happening::Wait),
        3 => (1..5000_u64).prop_map(Happening::Dawdle),
        1 => Just(Happening::Hear(Heard::Speech)),
        1 => (0..4000_u64).prop_map(|ms| Happening::Hear(Heard::Quiet(Duration::from_millis(ms)))),
        6 => prop::sample::select(Concern::ALL.to_vec()).prop_map(Happening::Commit),
    ];
    let rare = prop_oneof![
        Just(Happening::Hear(Heard::Beep)),
        Just(Happening::NotRecorded),
        Just(Happening::HangUp),
    ];
    prop::collection::vec(prop_oneof![200 => one, 1 => rare], 0..160)
}

fn profiles() -> impl Strategy<Value = Profile> {
    let flags = prop::array::uniform6(any::<bool>());
    (flags, any::<bool>(), any::<bool>()).prop_map(|(flags, has_next, is_known)| {
        let [has_thermometer, has_oximeter, slow_speech, family_may_answer, leave_message, short] =
            flags;
        let mut profile = Profile {
            has_thermometer,
            has_oximeter,
            slow_speech,
            family_may_answer,
            leave_message,
            is_recorded: is_known,
            takes_messages: has_next,
            takes_help: has_thermometer || is_known,
            script: if short { Script::Short } else { Script::Full },
            next_call: has_next.then(|| date(2026, 11, 23).at(9, 0, 0, 0)),
            has_open_case: is_known && !has_next,
            remeasure: has_oximeter.then(|| Remeasure {
                question: "spo2".to_owned(),
                range: 94..=95,
                at: date(2026, 11, 22).at(10, 35, 0, 0),
            }),
            ..Profile::invented()
        };
        if is_known {
            let before = [("spo2", Answer::Number(95)), ("dyspnea", Answer::Choice(YesNo::Yes))];
            profile.answered = before.map(|(code, answer)| (code.to_owned(), answer)).into();
        }
        profile
    })
}

/// The keys that most dialogues begin with, so that they come to the questions.
fn opening(profile: &Profile) -> &'static str {
    if profile.family_may_answer { "220705" } else { "10705" }
}

proptest! {
    #[test]
    fn whatever_happens_the_dialogue_is_safe_and_ends(
        profile in profiles(),
        is_identified in prop::bool::weighted(0.8),
        happenings in happenings(),
    ) {
        let mut call = Watched::new(profile.clone());
        if is_identified {
            for key in opening(&profile).chars() {
                call.feed(Input::Digit(Digit::from_char(key).unwrap()));
            }
        }
        for happening in happenings {
            match happening {
                _ if call.is_over || call.hung_up_on => break,
                Happening::Press(key) => call.feed(Input::Digit(Digit::from_char(key).unwrap())),
                Happening::Wait => call.let_time_pass(),
                Happening::Dawdle(ms) => call.dawdle(Duration::from_millis(ms)),
                Happening::Hear(heard) => call.feed(Input::Heard(heard)),
                Happening::Commit(concern) => call.commit(concern),
                Happening::NotRecorded if call.to_commit.take().is_some() => {
                    call.feed(Input::NotRecorded);
                    let said = call.saying.as_ref().map(|(words, _)| words.clone()).unwrap();
                    prop_assert_eq!(said[0].prompt.as_str(), "not_recorded");
                }
                Happening::NotRecorded => {}
                Happening::HangUp => {
                    call.hung_up_on = true;
                    call.feed(Input::HungUp);
                    call.commit(Concern::None);
                }
            }
        }
        call.finish(|_| Concern::Watch);
        call.committed.extend(call.to_commit.take());
        prop_assert_eq!(call.committed.as_slice(), call.session.transcript());
        for (index, entry) in call.committed.iter().enumerate() {
            prop_assert_eq!(entry.seq as usize, index);
            prop_assert!(!entry.keys.contains("0705"), "the birth date is in the transcript");
        }
    }

    #[test]
    fn a_recorded_conversation_plays_as_it_went(
        profile in profiles(),
        steps in prop::collection::vec((0..4_u8, "[1-3]|36[0-9]|9[0-9]|000|[0-9*#]"), 0..30),
        grave in 0..12_usize,
    ) {
        let concern = |entry: &Entry| {
            if entry.seq as usize == grave { Concern::Emergency } else { Concern::None }
        };
        let mut call = Watched::new(profile.clone());
        let keys = opening(&profile).to_owned();
        for (pause, keys) in [(3, keys)].into_iter().chain(steps) {
            // From keys right into the words to silence that ends patience.
            for _ in 0..pause {
                match call.to_commit.as_ref().map(concern) {
                    Some(concern) => call.commit(concern),
                    None => call.let_time_pass(),
                }
            }
            for key in keys.chars() {
                if call.is_over {
                    break;
                }
                call.dawdle(Duration::from_millis(200));
                call.feed(Input::Digit(Digit::from_char(key).unwrap()));
                if let Some(concern) = call.to_commit.as_ref().map(concern) {
                    call.commit(concern);
                }
            }
        }
        call.finish(concern);
        let recorder = std::mem::replace(&mut call.recorder, Recorder::new(profile));
        let dialogue = recorder.into_dialogue();
        let played = dialogue.play(QUESTIONNAIRE.clone(), &CATALOG, start());
        let text = played.to_string();
        let again: Dialogue = text.parse().unwrap();
        let again = again.play(QUESTIONNAIRE.clone(), &CATALOG, start());
        prop_assert_eq!(&again.to_string(), &text);
        // Words take longer in a script, so a long call may come to its eight minutes there.
        if call.now.instant.duration_since(call.answered_at) > Duration::from_mins(2) {
            return Ok(());
        }
        let recorded = text.lines().filter_map(|line| line.trim().strip_prefix("records "));
        let recorded: Vec<String> = recorded
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect();
        let given: Vec<String> = call
            .committed
            .iter()
            .map(|entry| format!("{} {}", entry.question, entry.answer.to_text()))
            .collect();
        prop_assert_eq!(recorded, given, "{}", text);
    }

    #[test]
    fn early_keys_mean_what_late_keys_mean(
        profile in profiles(),
        keys in "[0-9*#]{0,6}([1-3]|36[0-9]1|9[0-9]1|000|[0-9*#]){0,20}",
        grave in 0..12_usize,
    ) {
        let keys = format!("{}{keys}", opening(&profile));
        let concern = |entry: &Entry| {
            if entry.seq as usize == grave { Concern::Emergency } else { Concern::None }
        };
        let early = {
            let mut call = Watched::new(profile.clone());
            for key in keys.chars() {
                call.feed(Input::Digit(Digit::from_char(key).unwrap()));
            }
            call.finish(concern);
            call
        };
        let late = {
            let mut call = Watched::new(profile);
            call.let_time_pass();
            for key in keys.chars() {
                while (call.saying.is_some() || call.to_commit.is_some()) && !call.is_over {
                    match call.to_commit.as_ref().map(concern) {
                        Some(concern) => call.commit(concern),
                        None => call.let_time_pass(),
                    }
                }
                call.dawdle(Duration::from_millis(300));
                call.feed(Input::Digit(Digit::from_char(key).unwrap()));
            }
            call.finish(concern);
            call
        };
        let answers = |call: &Watched| -> Vec<(String, String, Answer)> {
            let entries = call.committed.iter();
            entries.map(|one| (one.question.clone(), one.keys.clone(), one.answer)).collect()
        };
        prop_assert_eq!(answers(&early), answers(&late), "keys {}", keys);
        prop_assert_eq!(early.session.completion(), late.session.completion());
        prop_assert_eq!(early.session.respondent(), late.session.respondent());
    }
}

#[expect(clippy::disallowed_methods, reason = "one arbitrary origin; later instants are derived")]
fn start() -> Now {
    Now { instant: Instant::now(), timestamp: timestamp(date(2026, 11, 22).at(9, 0, 0, 0)) }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/dialogues");
    let entries =
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ext| ext == "txt")).collect();
    files.sort();
    files
}
