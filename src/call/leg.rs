//! One leg towards the carrier: turns the events of SIP and of its sound into those of a
//! [`Line`](crate::call::Line).
//!
//! A sans-IO machine: feed it with `handle_*` and with commands, then call [`Leg::poll_output`]
//! until it says [`Output::Wait`].
//!
//! ```text
//! Calling ── 18x ──► Ringing ── 2xx ──► Answered ── BYE, hang up ──► Over
//!    │                  └ rang too long ─┐                            ▲ ▲
//!    ├── rang too long, hang up ─────────┴► Withdrawn ── confirmed ───┘ │
//!    └── refused, or not a word from the carrier ───────────────────────┘
//! ```
//!
//! Early media is never an answer. [`LineEvent::Ended`] comes exactly once, and last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::{Digit, Now};
use crate::call::carrier::{Ended, LineEvent};
use crate::call::clip::Clip;
use crate::call::disposition::Disposition;
use crate::call::media::{MediaEvent, PlayId};
use crate::call::timeline::Timeline;
use crate::sdp::{Negotiated, Negotiation};
use crate::sip::invite::{CallEvent, Failure};

/// The call must be cleared within 2 minutes of its set-up when nobody answers
/// (端末設備等規則 第32条の3); 10 s are kept for the clearing itself.
pub const LONGEST_RINGING: Duration = Duration::from_secs(110);

/// How long a withdrawn call may take to be confirmed before its line ends all the same.
const WITHDRAWAL: Duration = Duration::from_secs(2);

/// The patience of a leg.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long the telephone may ring; cut to [`LONGEST_RINGING`].
    pub ringing: Duration,
    /// How long the carrier may leave an INVITE without any response: then it is down.
    pub response: Duration,
}

/// What a leg asks of its driver.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Output {
    /// Take the INVITE back.
    Cancel,
    /// End the call.
    HangUp,
    /// Answer the peer's offer, or make the offer that it asked for.
    AnswerOffer(Vec<u8>),
    /// Refuse the peer's offer with this status; the session goes on as it was.
    RejectOffer(u16),
    /// Let sound flow.
    StartMedia(Negotiated),
    /// Let it flow otherwise, as the peer has asked.
    ChangeMedia(Negotiated),
    /// Say these.
    Play(PlayId, Vec<Arc<Clip>>),
    /// Fall silent.
    StopPlaying,
    /// No more sound.
    StopMedia,
    /// Tell the line.
    Event(LineEvent),
    /// Nothing more to do until this instant, or for ever if `None`.
    Wait(Option<Instant>),
}

/// The machine; see the [module docs](self).
#[derive(Debug)]
pub struct Leg {
    state: State,
    patience: Patience,
    invited_at: Instant,
    /// The carrier has given some sign of life.
    is_heard: bool,
    negotiation: Negotiation,
    negotiated: Option<Negotiated>,
    timeline: Timeline,
    /// The clips that are being said; those before are of no interest any more.
    playing: PlayId,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Calling,
    Ringing {
        until: Instant,
    },
    Answered,
    /// Taken back by us, and not confirmed yet.
    Withdrawn {
        disposition: Disposition,
        until: Instant,
    },
    Over,
}

/// # Commands of the line
///
/// A command that makes no sense in the state of the leg changes nothing: such races are normal.
impl Leg {
    /// A leg whose INVITE leaves now, with the offer that `negotiation` has made.
    pub fn new(now: Now, patience: Patience, negotiation: Negotiation) -> Self {
        let ringing = patience.ringing.min(LONGEST_RINGING);
        Self {
            state: State::Calling,
            patience: Patience { ringing, ..patience },
            invited_at: now.instant,
            is_heard: false,
            negotiation,
            negotiated: None,
            timeline: Timeline::default(),
            playing: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Says the clips, instead of whatever is being said.
    pub fn play(&mut self, clips: Vec<Arc<Clip>>) {
        if self.state == State::Answered {
            self.playing += 1;
            self.outputs.push_back(Output::Play(self.playing, clips));
        }
    }

    /// Falls silent. No [`LineEvent::PlayEnded`] follows, also if it is on its way.
    pub fn stop_playing(&mut self) {
        if self.state == State::Answered {
            self.playing += 1;
            self.outputs.push_back(Output::StopPlaying);
        }
    }

    /// Ends the call, whatever its state.
    pub fn hang_up(&mut self, now: Now) {
        match self.state {
            State::Calling | State::Ringing { .. } => self.withdraw(now, Disposition::Cancelled),
            State::Answered => {
                self.outputs.push_back(Output::HangUp);
                self.end_answered(now);
            }
            State::Withdrawn { .. } | State::Over => {}
        }
    }
}

/// # What comes from the driver
impl Leg {
    /// Something happened to the call.
    pub fn handle_call(&mut self, now: Now, event: CallEvent) {
        self.is_heard = true;
        match event {
            CallEvent::Provisional { status, .. } => self.on_provisional(now, status),
            CallEvent::Answered { sdp } => self.on_answered(now, &sdp),
            CallEvent::Failed(failure) => self.on_failed(now, failure),
            CallEvent::Ended(_) => match self.state {
                State::Answered => self.end_answered(now),
                State::Withdrawn { disposition, .. } => self.end(now, disposition, None),
                State::Calling | State::Ringing { .. } => {
                    self.end(now, Disposition::TrunkError, None);
                }
                State::Over => {}
            },
            CallEvent::Offer { sdp } => self.on_offer(sdp.as_deref()),
            CallEvent::Reanswered { sdp } | CallEvent::Acked { sdp: Some(sdp) } => {
                self.on_reanswered(&sdp);
            }
            CallEvent::Info { content_type, body } => self.on_info(&content_type, &body),
            // What the peer gives up changes nothing, and we make no offers of our own.
            CallEvent::Trying
            | CallEvent::Acked { sdp: None }
            | CallEvent::OfferWithdrawn
            | CallEvent::ReofferRefused { .. } => {}
        }
    }

    /// Something happened in the sound.
    pub fn handle_media(&mut self, now: Now, event: MediaEvent) {
        if self.state != State::Answered {
            return;
        }
        match event {
            MediaEvent::Digit(digit) => self.tell(LineEvent::Digit(digit)),
            MediaEvent::Heard(heard) => self.tell(LineEvent::Heard(heard)),
            MediaEvent::PlayEnded(id) if id == self.playing => self.tell(LineEvent::PlayEnded),
            MediaEvent::Failed => self.hang_up(now),
            // Silence on the wire is normal for some gateways; the dialogue has its own patience.
            MediaEvent::PlayEnded(_)
            | MediaEvent::Began
            | MediaEvent::Starved
            | MediaEvent::Goodbye => {}
        }
    }

    /// The instant of the last [`Output::Wait`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.deadline().is_none_or(|deadline| now.instant < deadline) {
            return;
        }
        match self.state {
            State::Calling if !self.is_heard => {
                // Should the carrier wake up, the endpoint takes the call back by itself.
                self.outputs.push_back(Output::Cancel);
                self.end(now, Disposition::TrunkError, None);
            }
            State::Calling | State::Ringing { .. } => self.withdraw(now, Disposition::NoAnswer),
            State::Withdrawn { disposition, .. } => self.end(now, disposition, None),
            State::Answered | State::Over => {}
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.deadline()))
    }

    /// Whether the line has heard its last event.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Whether the carrier has answered the INVITE in some way, be it with 100 only.
    pub fn is_heard(&self) -> bool {
        self.is_heard
    }

    fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Calling if !self.is_heard => Some(self.invited_at + self.patience.response),
            State::Calling => Some(self.invited_at + self.patience.ringing),
            State::Ringing { until } | State::Withdrawn { until, .. } => Some(until),
            State::Answered | State::Over => None,
        }
    }

    fn on_provisional(&mut self, now: Now, status: u16) {
        // 199 tells the end of one fork.
        if self.state != State::Calling || status == 199 {
            return;
        }
        // The bell is counted from when it rings, but the law from the INVITE.
        let until = now.instant + self.patience.ringing;
        let until = until.min(self.invited_at + LONGEST_RINGING);
        self.state = State::Ringing { until };
        self.timeline.ringing = Some(now.timestamp);
        self.tell(LineEvent::Ringing);
    }

    fn on_answered(&mut self, now: Now, sdp: &[u8]) {
        match self.state {
            State::Calling | State::Ringing { .. } => {
                self.timeline.answered = Some(now.timestamp);
                let Ok(negotiated) = self.negotiation.handle_answer(sdp) else {
                    self.outputs.push_back(Output::HangUp);
                    return self.end(now, Disposition::TrunkError, Some(200));
                };
                self.state = State::Answered;
                self.negotiated = Some(negotiated);
                self.outputs.push_back(Output::StartMedia(negotiated));
                self.tell(LineEvent::Answered);
            }
            // Taken back by us, but the answer was faster.
            State::Withdrawn { .. } | State::Over => self.outputs.push_back(Output::HangUp),
            State::Answered => {}
        }
    }

    fn on_failed(&mut self, now: Now, failure: Failure) {
        let code = if let Failure::Refused { status, .. } = failure { Some(status) } else { None };
        let disposition = match self.state {
            State::Withdrawn { disposition, .. } => disposition,
            _ => disposition(failure),
        };
        self.end(now, disposition, code);
    }

    fn on_offer(&mut self, sdp: Option<&[u8]>) {
        let Some(sdp) = sdp else {
            let offer = self.negotiation.offer();
            return self.outputs.push_back(Output::AnswerOffer(offer));
        };
        match self.negotiation.handle_offer(sdp) {
            Ok((negotiated, answer)) => {
                self.outputs.push_back(Output::AnswerOffer(answer));
                self.change_media(negotiated);
            }
            Err(_) => self.outputs.push_back(Output::RejectOffer(488)),
        }
    }

    fn on_reanswered(&mut self, sdp: &[u8]) {
        // An answer that cannot be used leaves the session as it was.
        if let Ok(negotiated) = self.negotiation.handle_answer(sdp) {
            self.change_media(negotiated);
        }
    }

    fn change_media(&mut self, negotiated: Negotiated) {
        if self.state == State::Answered && self.negotiated.replace(negotiated) != Some(negotiated)
        {
            self.outputs.push_back(Output::ChangeMedia(negotiated));
        }
    }

    /// A key in an INFO. Where telephone events were agreed on, the key comes there too, and must
    /// not be counted twice.
    fn on_info(&mut self, content_type: &str, body: &[u8]) {
        let has_events = self.negotiated.is_some_and(|sound| sound.telephone_event.is_some());
        if self.state != State::Answered || has_events {
            return;
        }
        if let Some(digit) = digit_of_info(content_type, body) {
            self.tell(LineEvent::Digit(digit));
        }
    }

    fn withdraw(&mut self, now: Now, disposition: Disposition) {
        self.outputs.push_back(Output::Cancel);
        self.state = State::Withdrawn { disposition, until: now.instant + WITHDRAWAL };
    }

    fn end_answered(&mut self, now: Now) {
        self.outputs.push_back(Output::StopMedia);
        self.end(now, Disposition::Answered, Some(200));
    }

    fn end(&mut self, now: Now, disposition: Disposition, code: Option<u16>) {
        if self.state == State::Over {
            return;
        }
        self.state = State::Over;
        self.timeline.ended = Some(now.timestamp);
        let timeline = self.timeline;
        self.tell(LineEvent::Ended(Ended { disposition, code, timeline }));
    }

    fn tell(&mut self, event: LineEvent) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// What the road should make of a call that was not answered (`domain.md` §5.4, RFC 3398).
fn disposition(failure: Failure) -> Disposition {
    match failure {
        Failure::Refused { status, q850, .. } => {
            q850.and_then(disposition_of_cause).unwrap_or_else(|| disposition_of_status(status))
        }
        Failure::NotAnswered => Disposition::NoAnswer,
        Failure::Cancelled => Disposition::Cancelled,
        Failure::TimedOut | Failure::TransportFailed => Disposition::TrunkError,
    }
}

/// By the ISDN cause, where it says more than any status could; `None` where it does not.
fn disposition_of_cause(cause: u8) -> Option<Disposition> {
    match cause {
        // Unallocated, changed, invalid format.
        1 | 22 | 28 => Some(Disposition::InvalidNumber),
        17 => Some(Disposition::Busy),
        // No user responding, no answer.
        18 | 19 => Some(Disposition::NoAnswer),
        // Subscriber absent, destination out of order.
        20 | 27 => Some(Disposition::Unreachable),
        21 => Some(Disposition::Declined),
        // No circuit, congestion, resource unavailable.
        34 | 42 | 47 => Some(Disposition::Congestion),
        // Network out of order, temporary failure.
        38 | 41 => Some(Disposition::TrunkError),
        _ => None,
    }
}

fn disposition_of_status(status: u16) -> Disposition {
    match status {
        486 | 600 => Disposition::Busy,
        408 | 480 | 487 => Disposition::NoAnswer,
        433 | 603 | 607 | 608 => Disposition::Declined,
        404 | 410 | 484 | 604 => Disposition::InvalidNumber,
        503 => Disposition::Congestion,
        // 403 is the carrier's policy, 488 and 606 its media, 3xx is never followed.
        _ => Disposition::TrunkError,
    }
}

/// The key that an INFO reports: `Signal=5` in a relay body, or the bare key.
fn digit_of_info(content_type: &str, body: &[u8]) -> Option<Digit> {
    let text = std::str::from_utf8(body).ok()?;
    let signal = match content_type {
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case("signal").then_some(value)
        })?,
        "application/dtmf" => text,
        _ => return None,
    };
    match signal.trim() {
        // Some send the number of the event instead of the key.
        "10" => Some(Digit::Star),
        "11" => Some(Digit::Pound),
        signal => {
            let mut chars = signal.chars();
            chars.next().filter(|_| chars.next().is_none()).and_then(Digit::from_char)
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one arbitrary origin; every later time is derived")]
mod tests {
    use super::*;
    use crate::base::Codec;
    use crate::call::carrier::Heard;
    use crate::sdp::Direction;
    use crate::sip::invite::End;

    const SDP: &str = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 5000 RTP/AVP 0 101\r\n\
        a=rtpmap:101 telephone-event/8000\r\n";

    /// A leg in virtual time. Words go in and words come out.
    struct Play {
        now: Now,
        leg: Leg,
    }

    impl Play {
        fn new() -> Self {
            let now = Now { instant: Instant::now(), timestamp: jiff::Timestamp::UNIX_EPOCH };
            let patience =
                Patience { ringing: Duration::from_secs(40), response: Duration::from_secs(4) };
            let local = "192.0.2.1:40000".parse().unwrap();
            let mut negotiation = Negotiation::new(7, local, vec![Codec::Pcmu, Codec::Pcma]);
            negotiation.offer();
            Self { now, leg: Leg::new(now, patience, negotiation) }
        }

        fn say(&mut self, script: &str) -> String {
            script.split(' ').map(|word| self.word(word)).collect::<Vec<_>>().join(" | ")
        }

        fn word(&mut self, word: &str) -> String {
            let (name, value) = word.split_once(':').unwrap_or((word, ""));
            let now = self.now;
            let provisional =
                |status| CallEvent::Provisional { status, sdp: None, reliable: false };
            match name {
                "100" => self.leg.handle_call(now, CallEvent::Trying),
                "183-media" => {
                    let sdp = Some(SDP.as_bytes().to_vec());
                    let event = CallEvent::Provisional { status: 183, sdp, reliable: true };
                    self.leg.handle_call(now, event);
                }
                "180" | "181" | "183" | "199" => {
                    self.leg.handle_call(now, provisional(name.parse().unwrap()));
                }
                "200" => self.leg.handle_call(now, CallEvent::Answered { sdp: SDP.into() }),
                "200-mute" => self.leg.handle_call(now, CallEvent::Answered { sdp: Vec::new() }),
                "bye" => self.leg.handle_call(now, CallEvent::Ended(End::Remote { q850: None })),
                "refused" => {
                    let failure = Failure::Refused {
                        status: value.parse().unwrap(),
                        q850: None,
                        retry_after: None,
                    };
                    self.leg.handle_call(now, CallEvent::Failed(failure));
                }
                "487" => self.leg.handle_call(now, CallEvent::Failed(Failure::Cancelled)),
                "silent" => self.leg.handle_call(now, CallEvent::Failed(Failure::TimedOut)),
                "hold" => {
                    let sdp = Some(format!("{SDP}a=sendonly\r\n").into_bytes());
                    self.leg.handle_call(now, CallEvent::Offer { sdp });
                }
                "same-offer" => {
                    self.leg.handle_call(now, CallEvent::Offer { sdp: Some(SDP.into()) });
                }
                "empty-offer" => self.leg.handle_call(now, CallEvent::Offer { sdp: None }),
                "video-offer" => {
                    let sdp = Some(SDP.replace("audio", "video").into_bytes());
                    self.leg.handle_call(now, CallEvent::Offer { sdp });
                }
                "info" => {
                    let (content_type, body) = ("application/dtmf-relay".to_owned(), value.into());
                    self.leg.handle_call(now, CallEvent::Info { content_type, body });
                }
                "key" => {
                    let digit = Digit::from_char(value.chars().next().unwrap()).unwrap();
                    self.leg.handle_media(now, MediaEvent::Digit(digit));
                }
                "beep" => self.leg.handle_media(now, MediaEvent::Heard(Heard::Beep)),
                "said" => {
                    self.leg.handle_media(now, MediaEvent::PlayEnded(value.parse().unwrap()));
                }
                "broken" => self.leg.handle_media(now, MediaEvent::Failed),
                "play" => self.leg.play(Vec::new()),
                "stop" => self.leg.stop_playing(),
                "hang-up" => self.leg.hang_up(now),
                "wait" => {
                    self.now = self.now.later(Duration::from_secs(value.parse().unwrap()));
                    self.leg.handle_timeout(self.now);
                }
                other => panic!("unknown word {other}"),
            }
            self.drain()
        }

        fn drain(&mut self) -> String {
            let mut words = Vec::new();
            loop {
                words.push(match self.leg.poll_output() {
                    Output::Wait(_) => break,
                    Output::Cancel => "CANCEL".to_owned(),
                    Output::HangUp => "BYE".to_owned(),
                    Output::AnswerOffer(sdp) => {
                        let text = String::from_utf8(sdp).unwrap();
                        let direction = text.lines().last().unwrap().to_owned();
                        format!("answer({})", direction.trim_start_matches("a="))
                    }
                    Output::RejectOffer(status) => format!("reject({status})"),
                    Output::StartMedia(sound) => format!("start({:?})", sound.codec),
                    Output::ChangeMedia(sound) => format!("change({})", sound.direction.as_str()),
                    Output::Play(id, _) => format!("play({id})"),
                    Output::StopPlaying => "hush".to_owned(),
                    Output::StopMedia => "silence".to_owned(),
                    Output::Event(LineEvent::Ended(ended)) => match ended.code {
                        Some(code) => format!("ended({} {code})", ended.disposition),
                        None => format!("ended({})", ended.disposition),
                    },
                    Output::Event(LineEvent::Digit(digit)) => format!("digit({digit})"),
                    Output::Event(event) => format!("{event:?}").to_lowercase(),
                });
            }
            words.join(" ")
        }
    }

    #[test]
    fn a_call_goes_its_way() {
        for (script, expected) in [
            // Answered, talked, ended by either side.
            ("100 180 200 bye", " | ringing | start(Pcmu) answered | silence ended(answered 200)"),
            (
                "180 200 hang-up bye",
                "ringing | start(Pcmu) answered | BYE silence ended(answered 200) | ",
            ),
            ("200 key:5 key:# beep", "start(Pcmu) answered | digit(5) | digit(#) | heard(beep)"),
            // Early media is no answer, and rings once.
            ("183-media 180 183 refused:404", "ringing |  |  | ended(invalid_number 404)"),
            ("199 refused:486", " | ended(busy 486)"),
            // Rang too long.
            ("180 wait:39 wait:1 487", "ringing |  | CANCEL | ended(no_answer)"),
            ("100 wait:39 wait:1 487", " |  | CANCEL | ended(no_answer)"),
            ("180 wait:40 refused:480", "ringing | CANCEL | ended(no_answer 480)"),
            ("180 wait:40 wait:2 487", "ringing | CANCEL | ended(no_answer) | "),
            // The answer crosses the CANCEL.
            ("180 wait:40 200 bye", "ringing | CANCEL | BYE | ended(no_answer)"),
            // Taken back by us.
            ("180 hang-up 487", "ringing | CANCEL | ended(cancelled)"),
            ("hang-up wait:2", "CANCEL | ended(cancelled)"),
            // Not a word from the carrier.
            ("wait:3 wait:1 silent", " | CANCEL ended(trunk_error) | "),
            ("silent", "ended(trunk_error)"),
            // An answer that nothing can be heard by.
            ("200-mute bye", "BYE ended(trunk_error 200) | "),
            ("200 broken", "start(Pcmu) answered | BYE silence ended(answered 200)"),
        ] {
            assert_eq!(Play::new().say(script), expected, "{script}");
        }
    }

    #[test]
    fn only_the_last_words_said_are_reported() {
        let script = "play 200 play said:1 play said:1 play said:3 stop said:3 bye play said:4";
        let expected = " | start(Pcmu) answered | play(1) | playended | play(2) |  | play(3) | \
            playended | hush |  | silence ended(answered 200) |  | ";
        assert_eq!(Play::new().say(script), expected);
    }

    #[test]
    fn the_peer_may_change_the_session() {
        for (script, expected) in [
            (
                "hold same-offer",
                "answer(recvonly) change(recvonly) | answer(sendrecv) change(sendrecv)",
            ),
            ("same-offer", "answer(sendrecv)"),
            ("empty-offer", "answer(sendrecv)"),
            ("video-offer", "reject(488)"),
        ] {
            let mut play = Play::new();
            play.say("200");
            assert_eq!(play.say(script), expected, "{script}");
        }
        assert_eq!(Play::new().say("183-media same-offer"), "ringing | answer(sendrecv)");
    }

    #[test]
    fn a_key_that_comes_twice_is_counted_once() {
        let mut with_events = Play::new();
        assert_eq!(
            with_events.say("200 key:7 info:Signal=7"),
            "start(Pcmu) answered | digit(7) | "
        );
        let mut without = Play::new();
        let sdp = SDP.replace(" 101", "");
        without.leg.handle_call(without.now, CallEvent::Answered { sdp: sdp.into() });
        without.drain();
        assert_eq!(without.say("info:Signal=7"), "digit(7)");
    }

    #[test]
    fn keys_are_read_from_info() {
        for (content_type, body, expected) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some(Digit::Number(5))),
            ("application/dtmf-relay", "signal = *\n", Some(Digit::Star)),
            ("application/dtmf-relay", "Duration=160\r\nSignal=11", Some(Digit::Pound)),
            ("application/dtmf", " # ", Some(Digit::Pound)),
            ("application/dtmf-relay", "Signal=A", None),
            ("application/dtmf-relay", "Signal=55", None),
            ("application/dtmf-relay", "5", None),
            ("text/plain", "5", None),
            ("application/dtmf", "\u{fffd}", None),
        ] {
            assert_eq!(digit_of_info(content_type, body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn the_law_limits_the_bell() {
        let mut play = Play::new();
        play.leg.patience.ringing = LONGEST_RINGING;
        assert_eq!(play.say("100 wait:30 180 wait:79 wait:1"), " |  | ringing |  | CANCEL");
    }

    #[test]
    fn moments_are_written_down() {
        let mut play = Play::new();
        play.say("wait:1 180 wait:5 200 wait:9");
        play.leg.hang_up(play.now);
        let ended =
            std::iter::from_fn(|| Some(play.leg.poll_output())).find_map(|output| match output {
                Output::Event(LineEvent::Ended(ended)) => Some(ended),
                _ => None,
            });
        let second = |at| Some(jiff::Timestamp::from_second(at).unwrap());
        let timeline = Timeline { ringing: second(1), answered: second(6), ended: second(15) };
        assert_eq!(ended.unwrap().timeline, timeline);
    }

    #[test]
    fn responses_and_causes_tell_what_happened() {
        use Disposition::{
            Busy, Congestion, Declined, InvalidNumber, NoAnswer, TrunkError, Unreachable,
        };
        for (status, q850, expected) in [
            (486, None, Busy),
            (600, None, Busy),
            (408, None, NoAnswer),
            (480, None, NoAnswer),
            (480, Some(16), NoAnswer),
            (480, Some(20), Unreachable),
            (480, Some(18), NoAnswer),
            (487, None, NoAnswer),
            (603, None, Declined),
            (607, None, Declined),
            (608, None, Declined),
            (433, None, Declined),
            (404, None, InvalidNumber),
            (404, Some(3), InvalidNumber),
            (410, None, InvalidNumber),
            (484, None, InvalidNumber),
            (604, None, InvalidNumber),
            (500, Some(1), InvalidNumber),
            (480, Some(28), InvalidNumber),
            (410, Some(22), InvalidNumber),
            (503, Some(17), Busy),
            (403, Some(21), Declined),
            (503, None, Congestion),
            (500, Some(34), Congestion),
            (486, Some(42), Congestion),
            (480, Some(38), TrunkError),
            (503, Some(41), TrunkError),
            (502, Some(27), Unreachable),
            (403, None, TrunkError),
            (401, None, TrunkError),
            (407, None, TrunkError),
            (488, None, TrunkError),
            (606, None, TrunkError),
            (500, None, TrunkError),
            (502, None, TrunkError),
            (504, None, TrunkError),
            (302, None, TrunkError),
            (699, None, TrunkError),
        ] {
            let failure = Failure::Refused { status, q850, retry_after: None };
            assert_eq!(disposition(failure), expected, "{status} {q850:?}");
        }
        assert_eq!(disposition(Failure::TimedOut), TrunkError);
        assert_eq!(disposition(Failure::TransportFailed), TrunkError);
        assert_eq!(disposition(Failure::NotAnswered), NoAnswer);
    }

    #[test]
    fn a_hold_lets_us_listen_only() {
        let mut play = Play::new();
        play.say("200 hold");
        assert_eq!(play.leg.negotiated.map(|sound| sound.direction), Some(Direction::RecvOnly));
    }
}
