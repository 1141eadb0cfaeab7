//! Keys as telephone events (RFC 4733): the packets of a call become exactly the keys pressed.
//!
//! An event is known by the timestamp of its beginning, not by its marker, its end or its place in
//! the sequence: each of these may be lost, repeated or out of order. The first packet of an event
//! that arrives, whichever it is, is the key; all others of the same event only tell how long.
//!
//! Two packets with the same key belong to one event when their times overlap, since nobody
//! presses a key before releasing it (unless the first has ended, and the second begins one by its
//! marker), and when one continues the other: an event longer than the field of the duration (8 s)
//! is sent in segments, each beginning where the last one ended (RFC 4733 §2.5.1.3). Times of
//! different sources are never compared: each source has a clock of its own.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::Digit;
use crate::rtp::CLOCK_RATE;
use crate::rtp::FRAME_UNITS;
use crate::rtp::Header;

/// Bytes of the payload.
pub const PAYLOAD_BYTES: usize = 4;

/// The longest duration that one segment can tell, 8.2 s.
const SEGMENT_UNITS: u32 = 0xFFFF;

/// One event's payload (RFC 4733 §2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payload {
    /// The event's code; 0 to 11 are keys.
    pub code: u8,
    /// The key was released.
    pub end: bool,
    /// The level in −dBm0, 0 to 63.
    pub volume: u8,
    /// How long it has been pressed, in units of the clock.
    pub duration: u16,
}

impl Payload {
    /// Reads the first event of a payload; `None` if it is too short.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [code, flags, high, low] = *bytes.first_chunk::<PAYLOAD_BYTES>()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self { code, end: flags & 0x80 != 0, volume: flags & 0x3F, duration })
    }

    /// The payload's bytes.
    pub fn to_bytes(self) -> [u8; PAYLOAD_BYTES] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, (u8::from(self.end) << 7) | (self.volume & 0x3F), high, low]
    }
}

/// Events that are remembered, so that their stragglers are known.
const N_REMEMBERED: usize = 16;

/// An event may go on for so many segments: 131 s.
const MAX_SEGMENTS: u32 = 16;

/// Turns event packets into keys.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    remembered: VecDeque<Event>,
}

#[derive(Clone, Copy, Debug)]
struct Event {
    /// Who told of it.
    ssrc: u32,
    code: u8,
    /// The smallest timestamp seen.
    began: u32,
    /// From `began` to the end that is known so far.
    span: u32,
    ended: bool,
}

impl Receiver {
    /// Takes a packet of the negotiated payload type. Returns the key when this is the first
    /// packet of its event. Codes that are no key of a patient's telephone are passed over.
    pub fn receive(&mut self, header: &Header, payload: &[u8]) -> Option<Digit> {
        let payload = Payload::parse(payload)?;
        let digit = Digit::from_event(payload.code)?;
        let known = self.remembered.iter_mut().find(|event| event.owns(header, payload));
        if let Some(event) = known {
            event.add(header.timestamp, payload);
            return None;
        }
        if self.remembered.len() == N_REMEMBERED {
            self.remembered.pop_back();
        }
        self.remembered.push_front(Event {
            ssrc: header.ssrc,
            code: payload.code,
            began: header.timestamp,
            span: u32::from(payload.duration),
            ended: payload.end,
        });
        Some(digit)
    }
}

impl Event {
    /// Whether a packet tells of this event.
    fn owns(&self, header: &Header, payload: Payload) -> bool {
        let &Header { ssrc, timestamp, marker, .. } = header;
        if (self.ssrc, self.code) != (ssrc, payload.code) {
            return false;
        }
        let after = timestamp.wrapping_sub(self.began);
        let before = self.began.wrapping_sub(timestamp);
        let is_later = after.cast_signed() > 0;
        // Some senders' clocks run too slowly while a key is held, so that keys seem to overlap.
        if is_later && self.ended && marker {
            return false;
        }
        let overlaps = if is_later { after < self.span } else { before < payload.duration.into() };
        // Some senders cut their segments shorter than the standard; but these touch, too.
        let continues = is_later && !self.ended && !marker && after == self.span;
        after == 0
            || overlaps
            || continues
            || (is_later && !self.ended && is_segment(after))
            || (!is_later && is_segment(before))
    }

    fn add(&mut self, timestamp: u32, payload: Payload) {
        let after = timestamp.wrapping_sub(self.began);
        if after.cast_signed() >= 0 {
            self.span = self.span.max(after + u32::from(payload.duration));
        }
        self.ended |= payload.end;
    }
}

/// Whether segments of one event can be this far apart.
fn is_segment(distance: u32) -> bool {
    distance.is_multiple_of(SEGMENT_UNITS) && distance / SEGMENT_UNITS <= MAX_SEGMENTS
}

/// The end of an event is sent so many times (RFC 4733 §2.5.1.4).
const N_ENDS: u8 = 3;

/// The level of the keys that we press, in −dBm0.
const VOLUME: u8 = 10;

/// How a key is pressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Press {
    /// Which key.
    pub digit: Digit,
    /// How long it is held, at least one packet.
    pub hold: Duration,
    /// How long none is held after it, which includes the repetitions of the end.
    pub pause: Duration,
}

impl Press {
    /// How a person presses a key: 100 ms, and 100 ms of pause.
    pub fn new(digit: Digit) -> Self {
        let usual = Duration::from_millis(100);
        Self { digit, hold: usual, pause: usual }
    }
}

/// One packet to send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// It is the first of its event.
    pub marker: bool,
    /// When the event, or this segment of it, began.
    pub began: u32,
    /// What to send.
    pub payload: Payload,
}

/// Presses keys: one packet in each frame of 20 ms while a key is held, instead of sound.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    waiting: VecDeque<Press>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Idle,
    Held {
        press: Press,
        began: u32,
        /// Since the beginning of the segment.
        elapsed: u32,
        /// Until it is released.
        left: u32,
        marker: bool,
    },
    Ending {
        press: Press,
        began: u32,
        duration: u16,
        n_sent: u8,
    },
    Pausing {
        n_frames: u32,
    },
}

impl Sender {
    /// Presses a key once those before it have been pressed.
    pub fn press(&mut self, press: Press) {
        self.waiting.push_back(press);
    }

    /// Whether every key has been pressed, sent and released.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && matches!(self.state, State::Idle)
    }

    /// What to send in the frame that begins at this timestamp; `None` when it is time for sound.
    pub fn poll_frame(&mut self, timestamp: u32) -> Option<Outgoing> {
        if matches!(self.state, State::Idle) {
            let press = self.waiting.pop_front()?;
            let left = units(press.hold).max(FRAME_UNITS);
            self.state = State::Held { press, began: timestamp, elapsed: 0, left, marker: true };
        }
        let payload = |press: Press, end, duration| Payload {
            code: press.digit.event(),
            end,
            volume: VOLUME,
            duration,
        };
        match self.state {
            State::Idle => None,
            State::Held { press, began, elapsed, left, marker } if left > FRAME_UNITS => {
                let elapsed = elapsed + FRAME_UNITS;
                let (duration, next) = match elapsed.checked_sub(SEGMENT_UNITS) {
                    None => (elapsed, (began, elapsed)),
                    Some(rest) => (SEGMENT_UNITS, (began.wrapping_add(SEGMENT_UNITS), rest)),
                };
                self.state = State::Held {
                    press,
                    began: next.0,
                    elapsed: next.1,
                    left: left - FRAME_UNITS,
                    marker: false,
                };
                let payload = payload(press, false, narrow(duration));
                Some(Outgoing { marker, began, payload })
            }
            State::Held { press, began, elapsed, left, marker } => {
                let duration = narrow(elapsed + left);
                self.state = State::Ending { press, began, duration, n_sent: 1 };
                Some(Outgoing { marker, began, payload: payload(press, true, duration) })
            }
            State::Ending { press, began, duration, n_sent } => {
                let n_sent = n_sent + 1;
                self.state = if n_sent < N_ENDS {
                    State::Ending { press, began, duration, n_sent }
                } else {
                    // The repetitions were already part of the pause.
                    let n_frames = units(press.pause) / FRAME_UNITS;
                    pause(n_frames.saturating_sub(u32::from(N_ENDS) - 1))
                };
                Some(Outgoing { marker: false, began, payload: payload(press, true, duration) })
            }
            State::Pausing { n_frames } => {
                self.state = pause(n_frames - 1);
                None
            }
        }
    }
}

fn pause(n_frames: u32) -> State {
    if n_frames == 0 { State::Idle } else { State::Pausing { n_frames } }
}

fn units(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).saturating_mul(CLOCK_RATE / 1000)
}

fn narrow(duration: u32) -> u16 {
    u16::try_from(duration).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::RngExt;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn keys(text: &str) -> Vec<Digit> {
        text.chars().map(|label| Digit::from_char(label).unwrap()).collect()
    }

    fn labels(digits: impl IntoIterator<Item = Digit>) -> String {
        digits.into_iter().map(|digit| digit.to_string()).collect()
    }

    fn header(timestamp: u32, marker: bool) -> Header {
        Header { marker, payload_type: 101, sequence: 0, timestamp, ssrc: 7 }
    }

    /// Packets are written `5@0+160`: key, beginning, duration; `e` is an end, `m` a marker.
    fn receive(script: &str) -> String {
        let mut receiver = Receiver::default();
        let mut heard = Vec::new();
        for word in script.split_whitespace() {
            let (code, rest) = word.split_once('@').unwrap();
            let (began, duration) = rest.split_once('+').unwrap();
            let number = duration.trim_end_matches(['e', 'm']);
            let code = match code {
                "A" => 12,
                "flash" => 16,
                label => keys(label)[0].event(),
            };
            let payload = Payload {
                code,
                end: duration.contains('e'),
                volume: 10,
                duration: number.parse().unwrap(),
            };
            let timestamp = began.parse::<i64>().unwrap().rem_euclid(1 << 32);
            let timestamp = u32::try_from(timestamp).unwrap();
            let header = header(timestamp, duration.contains('m'));
            heard.extend(receiver.receive(&header, &payload.to_bytes()));
        }
        labels(heard)
    }

    #[test]
    fn one_press_is_one_key() {
        for (case, script, expected) in [
            ("whole", "5@0+160m 5@0+320 5@0+480e 5@0+480e 5@0+480e", "5"),
            ("first lost", "5@0+320 5@0+480e 5@0+480e", "5"),
            ("middle lost", "5@0+160m 5@0+480e 5@0+480e 5@0+480e", "5"),
            ("ends lost", "5@0+160m 5@0+320 6@1600+160m", "56"),
            ("only the last end", "5@0+480e", "5"),
            ("no marker", "5@0+160 5@0+320 5@0+480e", "5"),
            ("marker on every packet", "5@0+160m 5@0+320m 5@0+480em 5@0+480em", "5"),
            ("reordered", "5@0+480e 5@0+160m 5@0+320 5@0+480e", "5"),
            ("duration of zero", "5@0+0m 5@0+160 5@0+320e", "5"),
            ("twice the same", "3@0+160m 3@0+800e 3@1600+160m 3@1600+800e", "33"),
            ("twice, ends lost", "3@0+160m 3@0+320 3@1600+160m 3@1600+320", "33"),
            ("twice, without markers", "3@0+160 3@0+320 3@1600+160 3@1600+320", "33"),
            ("twice, one packet each", "3@0+800e 3@1600+800e", "33"),
            ("three times", "6@0+800e 6@0+800e 6@1280+480 6@3200+160m 6@3200+320e", "666"),
            ("straggler of the one before", "1@0+160m 2@1600+160m 1@0+800e 2@1600+800e", "12"),
            ("the one before comes late", "2@1600+160m 1@0+800e 2@1600+800e 1@0+800e", "21"),
            ("the clock wraps", "7@-320+160m 7@-320+320 7@-320+800e 7@1280+160m 7@1280+800e", "77"),
            ("star and pound", "*@0+160m *@0+800e #@1600+160m #@1600+800e", "*#"),
            ("no keys", "A@0+160m A@0+800e flash@1600+160m flash@1600+800e", ""),
            ("two keys with one timestamp", "1@0+160m 2@0+160m 1@0+320e 2@0+320e", "12"),
            ("continued", "9@0+160m 9@0+65535 9@65535+160 9@65535+800e 9@65535+800e", "9"),
            ("continued, last packets lost", "9@0+160m 9@0+60000 9@65535+160 9@65535+800e", "9"),
            ("a segment lost", "9@0+65535 9@131070+160 9@131070+800e", "9"),
            ("segments reordered", "9@0+160m 9@65535+160 9@0+65535 9@65535+800e", "9"),
            ("first segment after the second", "9@65535+160 9@0+65535 9@65535+800e", "9"),
            ("short segments", "9@0+160m 9@0+4000 9@4000+160 9@4000+800e", "9"),
            ("slow clock", "0@0+160m 0@0+1600e 7@400+0m 7@400+1600e 0@800+0m 0@800+1600e", "070"),
            ("slow clock, the same", "0@0+0m 0@0+1600e 0@400+0m 0@400+1600e 0@400+1600e", "00"),
            ("slow clock, reordered", "0@0+0m 0@0+1600e 0@400+160 0@400+0m 0@0+1600e", "00"),
            ("timestamp that moves on", "4@0+160m 4@160+320 4@320+480 4@480+640e", "4"),
        ] {
            assert_eq!(receive(script), expected, "{case}");
        }
    }

    #[test]
    fn a_new_source_presses_new_keys_whatever_its_clock_shows() {
        let mut receiver = Receiver::default();
        let end = Payload { code: 7, end: true, volume: 10, duration: 800 }.to_bytes();
        let mut press = |ssrc| receiver.receive(&Header { ssrc, ..header(0, true) }, &end);
        assert_eq!(labels([1, 1, 2, 1, 2].into_iter().filter_map(&mut press)), "77");
    }

    #[test]
    fn short_payloads_are_no_keys() {
        assert_eq!(Receiver::default().receive(&header(0, true), &[5, 0, 0]), None);
        assert_eq!(Receiver::default().receive(&header(0, true), &[]), None);
    }

    /// What a sender makes of these keys: an entry for each frame.
    fn frames(presses: &[Press], start: u32) -> Vec<Option<Outgoing>> {
        let mut sender = Sender::default();
        for &press in presses {
            sender.press(press);
        }
        let mut frames = Vec::new();
        let mut timestamp = start;
        while !sender.is_idle() {
            frames.push(sender.poll_frame(timestamp));
            timestamp = timestamp.wrapping_add(FRAME_UNITS);
        }
        frames
    }

    #[test]
    fn a_press_is_sent_as_the_standard_says() {
        let presses = keys("50").into_iter().map(Press::new).collect::<Vec<_>>();
        let sent: Vec<String> = frames(&presses, 0)
            .into_iter()
            .map(|frame| match frame {
                None => "-".to_owned(),
                Some(Outgoing { marker, began, payload }) => format!(
                    "{}@{began}+{}{}{}",
                    payload.code,
                    payload.duration,
                    if payload.end { "e" } else { "" },
                    if marker { "m" } else { "" },
                ),
            })
            .collect();
        assert_eq!(
            sent.join(" "),
            "5@0+160m 5@0+320 5@0+480 5@0+640 5@0+800e 5@0+800e 5@0+800e - - - \
             0@1600+160m 0@1600+320 0@1600+480 0@1600+640 0@1600+800e 0@1600+800e 0@1600+800e - - -"
        );
    }

    #[test]
    fn a_long_press_is_cut_into_segments() {
        let hold = Duration::from_secs(20);
        let press = Press { hold, ..Press::new(Digit::Star) };
        let sent: Vec<Outgoing> = frames(&[press], 0).into_iter().flatten().collect();
        let mut began: Vec<u32> = sent.iter().map(|frame| frame.began).collect();
        began.dedup();
        assert_eq!(began, [0, 65535, 131_070]);
        let last = sent.last().unwrap();
        assert_eq!(last.began + u32::from(last.payload.duration), units(hold));
        assert_eq!(sent.iter().filter(|frame| frame.payload.end).count(), 3);
        assert_eq!(sent.iter().filter(|frame| frame.marker).count(), 1);
    }

    fn any_press() -> impl Strategy<Value = Press> {
        // Nobody's finger is faster than 40 ms of pause (ITU-T Q.24 tests with 40/40 ms).
        let times = prop_oneof![20 => 20_u64..400, 1 => 8000_u64..30_000];
        (0_u8..12, times, 80_u64..300).prop_map(|(code, hold, pause)| Press {
            digit: Digit::from_event(code).unwrap(),
            hold: Duration::from_millis(hold),
            pause: Duration::from_millis(pause),
        })
    }

    proptest! {
        #[test]
        fn a_payload_survives(code: u8, end: bool, volume in 0_u8..64, duration: u16) {
            let payload = Payload { code, end, volume, duration };
            prop_assert_eq!(Payload::parse(&payload.to_bytes()), Some(payload));
        }

        /// Loss, repetition and reordering over up to three packets, which is shorter than any
        /// pause; but one packet at least of each press arrives.
        #[test]
        fn a_bad_network_neither_loses_nor_doubles_a_key(
            presses in proptest::collection::vec(any_press(), 1..24),
            start: u32,
            loss in 0.0..0.95,
            repetition in 0.0..0.3,
            seed: u64,
        ) {
            let mut random = StdRng::seed_from_u64(seed);
            let mut events: Vec<Vec<(usize, Outgoing)>> = Vec::new();
            let mut code_now = None;
            for (position, frame) in frames(&presses, start).into_iter().enumerate() {
                let Some(packet) = frame else {
                    code_now = None;
                    continue;
                };
                if code_now != Some(()) || packet.marker {
                    events.push(Vec::new());
                    code_now = Some(());
                }
                events.last_mut().unwrap().push((position, packet));
            }
            prop_assert_eq!(events.len(), presses.len());

            let mut arriving = Vec::new();
            for packets in events {
                let survivor = random.random_range(0..packets.len());
                for (number, packet) in packets.into_iter().enumerate() {
                    if number != survivor && random.random_bool(loss) {
                        continue;
                    }
                    let copies = 1 + usize::from(random.random_bool(repetition));
                    for _ in 0..copies {
                        arriving.push((packet.0 + random.random_range(0..=2), packet.1));
                    }
                }
            }
            arriving.sort_by_key(|&(position, _)| position);

            let mut receiver = Receiver::default();
            let heard = arriving.into_iter().filter_map(|(_, packet)| {
                receiver.receive(&header(packet.began, packet.marker), &packet.payload.to_bytes())
            });
            prop_assert_eq!(labels(heard), labels(presses.iter().map(|press| press.digit)));
        }

        #[test]
        fn bytes_from_outside_never_panic(
            packets in proptest::collection::vec((any::<u32>(), any::<bool>(), any::<[u8; 5]>()), 0..50),
        ) {
            let mut receiver = Receiver::default();
            for (timestamp, marker, mut payload) in packets {
                payload[0] %= 13;
                let _ = receiver.receive(&header(timestamp, marker), &payload);
            }
        }
    }
}
