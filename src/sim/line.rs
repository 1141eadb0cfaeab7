//! The simulated carrier in virtual time: no sockets, no sound, only what both sides would notice.
//!
//! A [`VirtualCarrier`] gives lines that behave as those of the real one do: prompts last as long
//! as their clips, telephones ring, keys come when they are pressed. Under a paused clock of tokio
//! whole days pass in moments; under a running one it is a carrier without SIP.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::time;

use crate::base::{Clock, clock};
use crate::call::{
    Carrier, Clip, DialRequest, Disposition, Ended, Heard, Line, LineEvent, Tap, Timeline,
};
use crate::sim::directory::{Call, Directory};
use crate::sim::patient::{Callee, Input, Output, Sound};
use crate::sim::persona::Refusal;

/// How long the carrier takes to find the telephone.
const SETUP: Duration = Duration::from_millis(300);

/// How long a sound travels from one side to the other.
const LATENCY: Duration = Duration::from_millis(40);

/// So long after a voice the line is noticed to be quiet, as
/// [`VoiceActivity`](crate::audio) tells it of real sound.
const QUIET: [Duration; 2] = [Duration::from_millis(900), Duration::from_secs(2)];

/// The carrier.
#[derive(Clone, Debug)]
pub struct VirtualCarrier {
    directory: Arc<Directory>,
    clock: Clock,
    is_down: Arc<AtomicBool>,
}

impl VirtualCarrier {
    /// A carrier for these telephones.
    pub fn new(directory: Arc<Directory>, clock: Clock) -> Self {
        Self { directory, clock, is_down: Arc::default() }
    }

    /// Takes no more calls, or takes them again. Those that are there go on.
    pub fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// The telephones and what was seen of the calls.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }
}

impl Carrier for VirtualCarrier {
    type Line = VirtualLine;

    async fn dial(&self, request: DialRequest) -> VirtualLine {
        let now = time::Instant::now().into_std();
        let began_at = self.clock.now().timestamp;
        if self.is_down.load(Ordering::Relaxed) {
            return self.refused(request, began_at);
        }
        let role = self.directory.arrive(&request.callee, clock::civil(began_at).date());
        let gives_up = now + request.ring_timeout;
        VirtualLine {
            directory: Arc::clone(&self.directory),
            clock: self.clock.clone(),
            began_at,
            request,
            callee: role.map(Callee::new),
            callee_due: None,
            agenda: VecDeque::from([(now + SETUP, Item::Arrive), (gives_up, Item::GiveUp)]),
            timeline: Timeline::default(),
            events: VecDeque::new(),
            is_over: false,
        }
    }
}

impl VirtualCarrier {
    /// A line that never reaches a telephone.
    fn refused(&self, request: DialRequest, began_at: Timestamp) -> VirtualLine {
        let timeline = Timeline { ended: Some(began_at), ..Timeline::default() };
        let ended = Ended { disposition: Disposition::TrunkError, code: Some(503), timeline };
        VirtualLine {
            directory: Arc::clone(&self.directory),
            clock: self.clock.clone(),
            began_at,
            request,
            callee: None,
            callee_due: None,
            agenda: VecDeque::new(),
            timeline,
            events: VecDeque::from([LineEvent::Ended(ended)]),
            is_over: true,
        }
    }
}

/// One call.
#[derive(Debug)]
pub struct VirtualLine {
    directory: Arc<Directory>,
    clock: Clock,
    began_at: Timestamp,
    request: DialRequest,
    /// Nobody if there is no such number.
    callee: Option<Callee>,
    callee_due: Option<Instant>,
    /// What will happen by itself, the earliest first.
    agenda: VecDeque<(Instant, Item)>,
    timeline: Timeline,
    events: VecDeque<LineEvent>,
    is_over: bool,
}

/// Something that will happen by itself.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Item {
    /// The call reaches the telephone.
    Arrive,
    /// It has rung long enough.
    GiveUp,
    /// The callee begins to hear a prompt.
    Prompt(String),
    /// The callee has heard all prompts.
    PromptsEnd,
    /// The last prompt has been sent to its end.
    PlayEnds,
    /// Something reaches our ear.
    Tell(LineEvent),
}

impl Line for VirtualLine {
    async fn next_event(&mut self) -> LineEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            match self.deadline() {
                Some(at) => time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
            self.advance(time::Instant::now().into_std());
        }
    }

    fn play(&mut self, clips: Vec<Arc<Clip>>) {
        self.stop_playing();
        let mut at = time::Instant::now().into_std();
        for clip in clips {
            self.put(at + LATENCY, Item::Prompt(clip.label.clone()));
            at += clip.duration();
        }
        self.put(at, Item::PlayEnds);
        self.put(at + LATENCY, Item::PromptsEnd);
    }

    fn stop_playing(&mut self) {
        self.advance(time::Instant::now().into_std());
        self.agenda.retain(|(_, item)| {
            !matches!(item, Item::Prompt(_) | Item::PromptsEnd | Item::PlayEnds)
        });
        self.events.retain(|event| *event != LineEvent::PlayEnded);
    }

    fn tape(&mut self, _: Option<Tap>) {}

    fn hang_up(&mut self) {
        self.advance(time::Instant::now().into_std());
        if self.timeline.answered.is_some() {
            self.end(Disposition::Answered, None);
        } else {
            self.end(Disposition::Cancelled, Some(487));
        }
    }
}

impl VirtualLine {
    fn deadline(&self) -> Option<Instant> {
        let next = self.agenda.front().map(|(at, _)| *at);
        next.into_iter().chain(self.callee_due).min()
    }

    /// Lets happen what is due, each at its own time.
    fn advance(&mut self, now: Instant) {
        while let Some(at) = self.deadline().filter(|at| *at <= now) {
            match self.agenda.pop_front_if(|(when, _)| *when == at) {
                Some((_, item)) => self.happen(at, item),
                None => self.feed(at, Input::Timeout),
            }
        }
    }

    fn happen(&mut self, at: Instant, item: Item) {
        match item {
            Item::Arrive if self.callee.is_none() => self.refuse(Refusal::InvalidNumber),
            Item::Arrive => {
                self.feed(at, Input::Ring);
                if !self.is_over && self.timeline.answered.is_none() {
                    self.timeline.ringing = Some(self.clock.now().timestamp);
                    self.events.push_front(LineEvent::Ringing);
                }
            }
            Item::GiveUp if self.timeline.answered.is_none() => {
                self.end(Disposition::NoAnswer, Some(487));
            }
            Item::GiveUp => {}
            Item::Prompt(label) => self.feed(at, Input::Heard(label)),
            Item::PromptsEnd => self.feed(at, Input::PromptEnded),
            Item::PlayEnds => self.events.push_back(LineEvent::PlayEnded),
            Item::Tell(event) => self.events.push_back(event),
        }
    }

    fn feed(&mut self, at: Instant, input: Input) {
        let Some(callee) = &mut self.callee else { return };
        callee.handle_input(at, input);
        loop {
            let Some(callee) = &mut self.callee else { return };
            match callee.poll_output() {
                Output::Wait(due) => {
                    self.callee_due = due;
                    return;
                }
                Output::Answer => {
                    self.timeline.answered = Some(self.clock.now().timestamp);
                    self.events.push_back(LineEvent::Answered);
                }
                Output::Press(digit) => {
                    self.put(at + LATENCY, Item::Tell(LineEvent::Digit(digit)));
                }
                Output::Sound(sound, length) => self.sound(at, sound, length),
                Output::Refuse(refusal) => return self.refuse(refusal),
                Output::HangUp => {
                    self.flush(at);
                    return self.end(Disposition::Answered, None);
                }
            }
        }
    }

    fn sound(&mut self, at: Instant, sound: Sound, length: Duration) {
        // Whoever makes a sound again was not quiet.
        let is_quiet = |item: &Item| matches!(item, Item::Tell(LineEvent::Heard(Heard::Quiet(_))));
        self.agenda.retain(|(_, item)| !is_quiet(item));
        let (heard, after) = match sound {
            Sound::Voice => (Heard::Speech, LATENCY),
            // It takes a while to be sure that it is no voice.
            Sound::Beep => (Heard::Beep, Duration::from_millis(160) + LATENCY),
        };
        self.put(at + after, Item::Tell(LineEvent::Heard(heard)));
        for quiet in QUIET {
            let told = LineEvent::Heard(Heard::Quiet(quiet));
            self.put(at + length + quiet + LATENCY, Item::Tell(told));
        }
    }

    /// What was sent before the far end hung up still arrives.
    fn flush(&mut self, at: Instant) {
        while let Some((_, item)) = self.agenda.pop_front_if(|(when, _)| *when <= at + LATENCY) {
            if let Item::Tell(event) = item {
                self.events.push_back(event);
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.end(refusal.disposition(), Some(refusal.status()));
    }

    fn end(&mut self, disposition: Disposition, code: Option<u16>) {
        if self.is_over {
            return;
        }
        self.timeline.ended = Some(self.clock.now().timestamp);
        let ended = Ended { disposition, code, timeline: self.timeline };
        self.events.push_back(LineEvent::Ended(ended));
        self.leave();
    }

    fn leave(&mut self) {
        self.is_over = true;
        self.agenda.clear();
        self.callee_due = None;
        self.directory.leave(Call {
            callee: self.request.callee.clone(),
            began_at: self.began_at,
            ended_at: self.clock.now().timestamp,
            seen: self.callee.as_ref().map(|callee| callee.seen().clone()).unwrap_or_default(),
        });
    }

    fn put(&mut self, at: Instant, item: Item) {
        if !self.is_over {
            let index = self.agenda.partition_point(|(earlier, _)| *earlier <= at);
            self.agenda.insert(index, (at, item));
        }
    }
}

impl Drop for VirtualLine {
    /// A line that nobody holds any more is cut.
    fn drop(&mut self) {
        if !self.is_over {
            self.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::call::FRAME_BYTES;
    use crate::sim::clock::starting_at;
    use crate::sim::{Persona, Resident, Temper};

    fn carrier(temper: Temper) -> VirtualCarrier {
        let persona = Persona { temper, seed: 1 };
        let first_day = date(2026, 11, 22);
        let resident = Resident { persona, birth: (7, 5).into(), first_day };
        let directory = Directory::new([("09010000001".parse().unwrap(), resident)]);
        let now = "2026-11-22T01:00:00Z".parse().unwrap();
        VirtualCarrier::new(Arc::new(directory), starting_at(now))
    }

    fn clip(label: &str, seconds: usize) -> Arc<Clip> {
        let sound: Arc<[u8]> = vec![0xff; 50 * seconds * FRAME_BYTES].into();
        Arc::new(Clip { label: label.to_owned(), pcma: Arc::clone(&sound), pcmu: sound })
    }

    async fn dial(carrier: &VirtualCarrier, number: &str) -> VirtualLine {
        let callee = number.parse().unwrap();
        let ring_timeout = Duration::from_secs(30);
        carrier
            .dial(DialRequest { callee, ring_timeout, label: "test".to_owned(), tap: None })
            .await
    }

    /// What happens in a call that asks for the temperature and then hangs up, with the tenths of
    /// seconds at which it happens.
    async fn play(carrier: &VirtualCarrier, number: &str) -> String {
        let began = time::Instant::now();
        let mut line = dial(carrier, number).await;
        let mut log = Vec::new();
        loop {
            let Ok(event) = time::timeout(Duration::from_secs(40), line.next_event()).await else {
                line.hang_up();
                continue;
            };
            let word = match event {
                LineEvent::Ringing => "ringing".to_owned(),
                LineEvent::Answered => {
                    line.play(vec![clip("ask_temperature", 4), clip("hint", 1)]);
                    "answered".to_owned()
                }
                LineEvent::Digit(digit) => digit.to_string(),
                LineEvent::PlayEnded => "played".to_owned(),
                LineEvent::Heard(Heard::Quiet(quiet)) => format!("quiet({quiet:?})"),
                LineEvent::Heard(heard) => format!("{heard:?}").to_lowercase(),
                LineEvent::Ended(ended) => {
                    log.push(format!("{} {:?}", ended.disposition, ended.code));
                    return log.join("\n");
                }
            };
            log.push(format!("{:.1} {word}", began.elapsed().as_secs_f64()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_patient_answers_hears_and_presses_keys() {
        let carrier = carrier(Temper::Prompt);
        insta::assert_snapshot!(play(&carrier, "09010000001").await, @r"
        0.3 ringing
        4.3 answered
        4.7 speech
        6.3 quiet(900ms)
        7.4 quiet(2s)
        9.3 played
        11.7 3
        12.2 5
        12.8 9
        answered None
        ");
        let calls = carrier.directory().calls();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].seen.heard, ["ask_temperature", "hint"]);
        assert_eq!(calls[0].seen.keys.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_machine_greets_and_beeps() {
        insta::assert_snapshot!(play(&carrier(Temper::Machine), "09010000001").await, @r"
        0.3 ringing
        12.3 answered
        12.8 speech
        17.3 played
        19.5 beep
        21.2 quiet(900ms)
        22.3 quiet(2s)
        answered None
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_says_how() {
        for (temper, expected) in [
            (Temper::Absent, "0.3 ringing\nno_answer Some(487)"),
            (Temper::Busy, "busy Some(486)"),
            (Temper::InvalidNumber, "invalid_number Some(404)"),
            (Temper::Declines, "0.3 ringing\ndeclined Some(603)"),
            (Temper::Unreachable, "0.3 ringing\nunreachable Some(480)"),
            (Temper::CarrierFull, "congestion Some(503)"),
            (Temper::CarrierFails, "trunk_error Some(500)"),
        ] {
            assert_eq!(play(&carrier(temper), "09010000001").await, expected, "{temper:?}");
        }
        let unknown = play(&carrier(Temper::Prompt), "09010000009").await;
        assert_eq!(unknown, "invalid_number Some(404)");
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_call_is_answered_where_the_first_was_not() {
        let carrier = carrier(Temper::SecondCall);
        let first = play(&carrier, "09010000001").await;
        assert!(first.ends_with("no_answer Some(487)"), "{first}");
        let second = play(&carrier, "09010000001").await;
        assert!(second.ends_with("answered None"), "{second}");
        assert_eq!(carrier.directory().most_live(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_up_while_it_rings_cancels_the_call() {
        let carrier = carrier(Temper::Absent);
        let mut line = dial(&carrier, "09010000001").await;
        assert_eq!(line.next_event().await, LineEvent::Ringing);
        line.hang_up();
        let LineEvent::Ended(ended) = line.next_event().await else { panic!("not ended") };
        assert_eq!(ended.disposition, Disposition::Cancelled);
        // Nothing follows.
        let more = time::timeout(Duration::from_hours(1), line.next_event()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_cut_is_not_said_to_its_end() {
        let carrier = carrier(Temper::Silent);
        let mut line = dial(&carrier, "09010000001").await;
        while line.next_event().await != LineEvent::Answered {}
        line.play(vec![clip("ask_temperature", 2)]);
        time::sleep(Duration::from_secs(1)).await;
        line.play(vec![clip("ask_spo2", 2)]);
        let began = time::Instant::now();
        assert_eq!(line.next_event().await, LineEvent::PlayEnded);
        assert_eq!(began.elapsed().as_secs(), 2);
        line.play(vec![clip("goodbye", 2)]);
        line.stop_playing();
        let more = time::timeout(Duration::from_secs(10), line.next_event()).await;
        assert!(more.is_err(), "{more:?}");
        drop(line);
        assert_eq!(carrier.directory().calls()[0].seen.heard, ["ask_temperature", "ask_spo2"]);
    }
}
