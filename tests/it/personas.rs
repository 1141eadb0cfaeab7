//! Every persona, interviewed by the real dialogue over a line in virtual time.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, date};
use mimamori::base::clock;
use mimamori::base::id::{AttemptId, Minter, PatientId};
use mimamori::base::{Now, PhoneNumber};
use mimamori::call::{
    Carrier, Clip, Completion, DialRequest, Disposition, FRAME_BYTES, Line, LineEvent, Respondent,
};
use mimamori::escalation::{Fact, PatientFacts, Priority, RuleBook, concern, evaluate};
use mimamori::ivr::{
    Answer, Entry, Input, Output, Profile, Questionnaire, Script, Session, Utterance, YesNo,
};
use mimamori::observation::derive::{Context, Derived, derive};
use mimamori::observation::{Channel, Observation};
use mimamori::sim::clock::starting_at;
use mimamori::sim::{Directory, Persona, Resident, Temper, VirtualCarrier};
use tokio::time;

const FIRST_DAY: Date = date(2026, 11, 20);

static QUESTIONNAIRE: LazyLock<Arc<Questionnaire>> = LazyLock::new(Questionnaire::recuperation);
static RULES: LazyLock<RuleBook> =
    LazyLock::new(|| RuleBook::shipped().expect("the shipped rules are valid"));

/// One call as we see it.
struct Interview {
    disposition: Disposition,
    respondent: Respondent,
    completion: Completion,
    transcript: Vec<Entry>,
    facts: Vec<Fact>,
}

impl Interview {
    fn rules(&self) -> Vec<&str> {
        self.facts.iter().map(|fact| fact.rule.as_str()).collect()
    }
}

struct World {
    carrier: VirtualCarrier,
    number: PhoneNumber,
    persona: Persona,
    today: Date,
    minter: Minter,
    patient: PatientId,
    attempt: AttemptId,
    history: Vec<Observation>,
}

impl World {
    fn new(temper: Temper, seed: u64, day: i32) -> Self {
        let persona = Persona { temper, seed };
        let number: PhoneNumber = "09010000001".parse().expect("a mobile number");
        let resident = Resident { persona, birth: (7, 5).into(), first_day: FIRST_DAY };
        let today = FIRST_DAY.saturating_add(jiff::Span::new().days(day));
        let directory = Arc::new(Directory::new([(number.clone(), resident)]));
        let ten = clock::timestamp(today.at(10, 0, 0, 0));
        // Ids of one day are not those of another.
        let mut minter = Minter::new([u8::try_from(day).expect("a small number"); 32]);
        Self {
            carrier: VirtualCarrier::new(directory, starting_at(ten)),
            number,
            persona,
            today,
            patient: minter.mint(Timestamp::UNIX_EPOCH),
            attempt: minter.mint(Timestamp::UNIX_EPOCH),
            minter,
            history: Vec::new(),
        }
    }

    fn profile(&self) -> Profile {
        Profile {
            health_center: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-1234-5678".to_owned(),
            family_name: "ヤマダ".to_owned().into(),
            birth: (7, 5).into(),
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: self.persona.temper == Temper::Slow,
            script: Script::Full,
            family_may_answer: self.persona.temper == Temper::Family,
            answered: Vec::new(),
            next_call: None,
            remeasure: None,
            has_open_case: false,
            today: self.today,
            leave_message: false,
            is_recorded: false,
            takes_messages: false,
            takes_help: true,
        }
    }

    fn now(&self, began: time::Instant) -> Now {
        let instant = time::Instant::now();
        let ten = clock::timestamp(self.today.at(10, 0, 0, 0));
        Now { instant: instant.into_std(), timestamp: ten + instant.duration_since(began) }
    }

    fn observe(&mut self, call: &mut Vec<Observation>, entry: &Entry, respondent: Respondent) {
        let context = Context {
            patient: self.patient,
            slot: None,
            attempt: self.attempt,
            respondent,
            channel: Channel::OutboundCall,
            questionnaire: QUESTIONNAIRE.key(),
        };
        if let Derived::Observed(observed) = derive(&context, entry, self.minter.mint(entry.at)) {
            call.push(observed);
        }
    }

    fn evaluate(&self, call: &[Observation]) -> Vec<Fact> {
        let rules = RULES.effective_on(self.today).expect("shipped rules are in force");
        evaluate(rules, PatientFacts::default(), &self.history, call)
    }

    async fn interview(&mut self) -> Interview {
        let began = time::Instant::now();
        self.attempt = self.minter.mint(Timestamp::UNIX_EPOCH);
        let request = DialRequest {
            callee: self.number.clone(),
            ring_timeout: Duration::from_mins(1),
            label: self.attempt.to_string(),
            tap: None,
        };
        let mut session = Session::new(Arc::clone(&QUESTIONNAIRE), self.profile());
        let mut line = self.carrier.dial(request).await;
        let mut facts = Vec::new();
        let mut call: Vec<Observation> = Vec::new();
        loop {
            let deadline = loop {
                match session.poll_output() {
                    Output::Say(words) => line.play(words.iter().map(clip).collect()),
                    Output::StopSaying => line.stop_playing(),
                    Output::Identified(_) | Output::BeginMessage | Output::EndMessage(_) => {}
                    Output::HangUp => line.hang_up(),
                    Output::Record(entry) => {
                        self.observe(&mut call, &entry, session.respondent());
                        facts = self.evaluate(&call);
                        let weight = concern(&facts);
                        session.handle_input(self.now(began), Input::Recorded(weight));
                    }
                    Output::Wait(deadline) => break deadline,
                }
            };
            let event = tokio::select! {
                biased;
                event = line.next_event() => Some(event),
                () = sleep_until(deadline) => None,
            };
            let input = match event {
                None => Input::Timeout,
                Some(LineEvent::Ringing) => continue,
                Some(LineEvent::Answered) => Input::Answered,
                Some(LineEvent::Digit(digit)) => Input::Digit(digit),
                Some(LineEvent::PlayEnded) => Input::PlayEnded,
                Some(LineEvent::Heard(heard)) => Input::Heard(heard),
                Some(LineEvent::Ended(ended)) => {
                    session.handle_input(self.now(began), Input::HungUp);
                    while let Output::Record(entry) = session.poll_output() {
                        self.observe(&mut call, &entry, session.respondent());
                        facts = self.evaluate(&call);
                    }
                    self.history.extend(call);
                    return Interview {
                        disposition: ended.disposition,
                        respondent: session.respondent(),
                        completion: session.completion(),
                        transcript: session.transcript().to_vec(),
                        facts,
                    };
                }
            };
            session.handle_input(self.now(began), input);
        }
    }
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(at) => time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Silence with the label of the prompt, about as long as the prompt would be.
fn clip(words: &Utterance) -> Arc<Clip> {
    let n_frames = 60 + 5 * words.prompt.len();
    let sound: Arc<[u8]> = vec![0xff; n_frames * FRAME_BYTES].into();
    Arc::new(Clip { label: words.to_string(), pcma: Arc::clone(&sound), pcmu: sound })
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_is_what_the_persona_meant() {
    for temper in Temper::ALL {
        for seed in 0..5 {
            for day in [0, 2] {
                let mut world = World::new(temper, seed, day);
                let interview = world.interview().await;
                for entry in &interview.transcript {
                    let meant = world.persona.meant(day, &entry.question);
                    let name = format!("{temper:?} {seed} {day} {}", entry.question);
                    assert_eq!(entry.answer, meant, "{name}: {}", entry.keys);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_ends_as_its_persona_makes_it_end() {
    use Completion::{Complete, NoInput, NotIdentified, Partial, Refused};
    use Respondent::{Family, Machine, Nobody, NotHere, Patient, Unidentified};

    let unanswered = |disposition| (disposition, Nobody, NoInput);
    let answered = |respondent, completion| (Disposition::Answered, respondent, completion);
    for temper in Temper::ALL {
        let expected = match temper {
            Temper::Absent | Temper::SecondCall => unanswered(Disposition::NoAnswer),
            Temper::Busy => unanswered(Disposition::Busy),
            Temper::InvalidNumber => unanswered(Disposition::InvalidNumber),
            Temper::Declines => unanswered(Disposition::Declined),
            Temper::Unreachable => unanswered(Disposition::Unreachable),
            Temper::CarrierFull => unanswered(Disposition::Congestion),
            Temper::CarrierFails => unanswered(Disposition::TrunkError),
            Temper::Machine => answered(Machine, NoInput),
            Temper::Silent | Temper::Talks => answered(Nobody, NoInput),
            Temper::Stranger => answered(Unidentified, NotIdentified),
            Temper::NotHere => answered(NotHere, Refused),
            Temper::Family => answered(Family, Complete),
            Temper::HangsUp | Temper::UrgentThenGone => answered(Patient, Partial),
            // After the alarm only what is urgent is asked.
            Temper::Urgent | Temper::AsksForHelp | Temper::Breathless => answered(Patient, Partial),
            _ => answered(Patient, Complete),
        };
        for seed in 0..3 {
            let mut world = World::new(temper, seed, 0);
            let got = world.interview().await;
            let ends = (got.disposition, got.respondent, got.completion);
            assert_eq!(ends, expected, "{temper:?} {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_of_health_is_said_before_the_birth_date_was_right() {
    for temper in Temper::ALL {
        let mut world = World::new(temper, 1, 0);
        let interview = world.interview().await;
        if matches!(interview.respondent, Respondent::Patient | Respondent::Family) {
            continue;
        }
        for call in world.carrier.directory().calls() {
            for label in &call.seen.heard {
                let is_neutral = ["greeting", "opening", "identify", "hold", "not_here", "nobody"]
                    .iter()
                    .chain(&["any_key", "tone_hint", "wrong_key", "too_few"])
                    .any(|neutral| label.starts_with(neutral));
                assert!(is_neutral, "{temper:?} heard {label}");
            }
        }
        assert_eq!(interview.transcript, [], "{temper:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn danger_raises_the_alarm_in_the_same_call() {
    for seed in 0..5 {
        let mut world = World::new(Temper::Urgent, seed, 0);
        let interview = world.interview().await;
        assert!(interview.rules().contains(&"spo2-low"), "{:?}", interview.rules());
        let calls = world.carrier.directory().calls();
        let heard = calls.iter().flat_map(|call| &call.seen.heard);
        let told = heard.filter(|label| label.starts_with("emergency")).count();
        assert_eq!(told, 1, "told once, in the call");

        // Gone before the answer was confirmed: the alarm is raised all the same.
        let mut world = World::new(Temper::UrgentThenGone, seed, 0);
        let interview = world.interview().await;
        let last = interview.transcript.last().unwrap();
        assert_eq!((last.question.as_str(), last.answer), ("dyspnea", Answer::Choice(YesNo::Yes)));
        assert!(interview.rules().contains(&"dyspnea"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_for_help_raises_the_alarm_but_a_slip_of_the_finger_does_not() {
    for seed in 0..5 {
        let mut world = World::new(Temper::AsksForHelp, seed, 0);
        let interview = world.interview().await;
        let first = &interview.facts[0];
        assert_eq!((first.rule.as_str(), first.priority), ("asks-for-help", Priority::P1));
        let wish = interview.transcript.iter().find(|entry| entry.question == "consultation");
        assert_eq!(wish.unwrap().keys, "0 1");
        let heard = |world: &World, label: &str| {
            let calls = world.carrier.directory().calls();
            let labels = calls.iter().flat_map(|call| &call.seen.heard);
            labels.filter(|heard| heard.starts_with(label)).count()
        };
        let told = ["hint_consultation", "confirm_consultation", "emergency"];
        assert_eq!(told.map(|label| heard(&world, label)), [1, 1, 1]);
        // What is urgent is still asked.
        assert!(interview.transcript.iter().any(|entry| entry.question == "dyspnea"));

        let mut world = World::new(Temper::Mistypes, seed, 0);
        let interview = world.interview().await;
        assert_eq!(heard(&world, "confirm_consultation"), 1, "a slip is asked about");
        assert_eq!(heard(&world, "emergency"), 0);
        assert!(interview.transcript.iter().all(|entry| entry.question != "consultation"));
        let slip = interview.transcript.iter().find(|entry| entry.question == "cannot_eat");
        assert_eq!(slip.unwrap().keys, "0 2 2");
        assert_eq!(interview.rules(), Vec::<&str>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn breathlessness_without_an_urgent_sign_weighs_less() {
    let mut world = World::new(Temper::Breathless, 5, 0);
    let interview = world.interview().await;
    let found: Vec<_> =
        interview.facts.iter().map(|fact| (fact.rule.as_str(), fact.priority.as_str())).collect();
    assert_eq!(found, [("dyspnea", "p2")]);
}

#[tokio::test(start_paused = true)]
async fn the_fever_of_the_third_day_is_noticed_on_that_day() {
    let mut history = Vec::new();
    for day in 0..5 {
        let mut world = World::new(Temper::FeverOnThirdDay, 3, day);
        world.history = std::mem::take(&mut history);
        let interview = world.interview().await;
        let expected: &[&str] = match day {
            0 | 1 => &[],
            2 => &["fever-onset", "symptom-new"],
            3 => &[],
            _ => &["fever-lasting"],
        };
        let rules: Vec<_> =
            interview.rules().into_iter().filter(|rule| *rule != "other-change").collect();
        assert_eq!(rules, expected, "day {day}");
        history = world.history;
    }
}

#[tokio::test(start_paused = true)]
async fn every_key_that_was_pressed_is_in_the_transcript_or_proves_who_answers() {
    for seed in 0..5 {
        let mut world = World::new(Temper::Prompt, seed, 0);
        let interview = world.interview().await;
        let pressed: String = world.carrier.directory().calls()[0]
            .seen
            .keys
            .iter()
            .map(ToString::to_string)
            .collect();
        let recorded: String =
            interview.transcript.iter().map(|entry| entry.keys.replace(' ', "")).collect();
        // 1 for the patient, 0705 for the birthday.
        assert_eq!(pressed, format!("10705{recorded}"), "{seed}");
    }
}
