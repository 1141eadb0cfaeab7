//! The sound of one call: what is said, and what is heard, packet by packet.
//!
//! A [`Media`] is a sans-IO machine that lives in frames of 20 ms. Its driver calls
//! [`Media::tick`] once in each frame and sends what it writes, feeds it with
//! [`Media::handle_rtp`] and [`Media::handle_rtcp`], and calls [`Media::poll_event`] until it is
//! empty after each of them.
//!
//! A packet goes out in every frame from the first one on: sound while something is said, silence
//! before, between and after. So the far end's gateway knows us before the first word, which waits
//! for the far end's first packet, or for [`Config::lead_in`].
//!
//! ```text
//! clips ──► frame ──┐                              ┌──► keys ───────────────► Digit
//! keys ───► event ──┼─► packet ──► … ──► source? ──┤
//! silence ──────────┘                  sender?     └──► order ──► ear, hints ─► Heard
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::audio::g711;
use crate::audio::level::Activity;
use crate::audio::level::VoiceActivity;
use crate::audio::tone::BeepDetector;
use crate::base::Codec;
use crate::base::Digit;
use crate::call::carrier::Heard;
use crate::call::clip::Clip;
use crate::call::clip::FRAME_BYTES;
use crate::call::clip::FRAME_TIME;
use crate::rtp::Spacing;
use crate::rtp::latch::Latch;
use crate::rtp::latch::Network;
use crate::rtp::packet;
use crate::rtp::packet::HEADER_BYTES;
use crate::rtp::packet::Header;
use crate::rtp::packet::Packet;
use crate::rtp::reorder::Reorder;
use crate::rtp::rtcp;
use crate::rtp::session;
use crate::rtp::session::Verdict;
use crate::rtp::telephone_event;
use crate::rtp::telephone_event::Press;

/// Room for every packet that [`Media`] writes.
pub const PACKET_BYTES: usize = 256;

/// Comfort noise (RFC 3389): a sign of life without sound.
const COMFORT_NOISE: u8 = 13;

/// After so many frames without a packet there is silence, and nothing missing is waited for.
const SILENT_FRAMES: u32 = 5;

/// What the signalling has agreed on.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the far end wants RTP.
    pub remote: SocketAddr,
    /// Where it wants RTCP.
    pub remote_rtcp: SocketAddr,
    /// Who may speak besides the host of `remote`: the carrier's media networks.
    pub networks: Vec<Network>,
    /// How sound is encoded.
    pub codec: Codec,
    /// The codec's payload type in the answer.
    pub payload_type: u8,
    /// The payload type of telephone events in the answer, if they were agreed on.
    pub telephone_event: Option<u8>,
    /// The payload type under which *we* named telephone events; the far end may use either.
    pub our_telephone_event: Option<u8>,
    /// Which way sound flows.
    pub direction: Direction,
    /// How long the first word waits for the far end's first packet; 700 ms is usual.
    pub lead_in: Duration,
    /// When [`MediaEvent::Starved`] is told.
    pub starvation: Duration,
    /// Whether to listen for speech and beeps.
    pub hints: Hints,
    /// Our name in reports (RFC 3550 §6.5.1), such as the attempt's id; never a person's.
    pub name: String,
}

/// Which way sound flows (RFC 3264 §5.1), seen from us.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// Only towards us: nothing is sent, and what is being said waits.
    ReceiveOnly,
}

/// Whether to tell of sounds that are no keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Hints {
    /// Tell [`MediaEvent::Heard`].
    #[default]
    On,
    /// Spare the work.
    Off,
}

/// Names one call of [`Media::play`], so that its end is not taken for that of another.
pub type PlayId = u64;

/// What happens in the sound of a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaEvent {
    /// The far end's first packet came.
    Began,
    /// A key was pressed.
    Digit(Digit),
    /// Something was heard that is no key.
    Heard(Heard),
    /// What was said has been said to its end.
    PlayEnded(PlayId),
    /// Nothing has come for [`Config::starvation`]; told once, until something comes again.
    Starved,
    /// The far end said in RTCP that its stream is over.
    Goodbye,
    /// The media of this call failed and is over. Told by the driver, not by the machine.
    Failed,
}

/// One side of the conversation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lane {
    /// What we say.
    Ours,
    /// What the far end says, in order.
    Theirs,
}

/// Listens to the sound itself: the simulator, and recordings.
pub trait Ear: Send {
    /// Hears one packet of G.711. The timestamp counts samples; where it jumps, nothing was sent,
    /// or it was lost. A packet without sound, such as a key, is heard as an empty one; of ours
    /// there is one in every frame that is not left out.
    fn hear(&mut self, lane: Lane, codec: Codec, timestamp: u32, payload: &[u8]);
}

/// One call's sound; see the [module docs](self).
pub struct Media {
    config: Config,
    started_at: Instant,
    random: StdRng,
    latch: Latch,
    rtcp_latch: Latch,

    sender: session::Sender,
    clips: VecDeque<Arc<Clip>>,
    /// How much of the first clip has been said.
    offset: usize,
    playing: Option<PlayId>,
    keys: telephone_event::Sender,

    receiver: session::Receiver,
    events: telephone_event::Receiver,
    reorder: Reorder,
    listener: Listener,

    heard_at: Option<Instant>,
    starved: bool,
    happened: VecDeque<MediaEvent>,

    report_at: Instant,
    packets_reported: u32,
    sender_report: Option<(u32, Instant)>,
    statistics: Statistics,
    sent_at: Option<Instant>,
    /// The newest packet with sound: its extended sequence number and its arrival.
    newest: Option<(u32, Instant)>,
}

impl Media {
    /// Starts the sound. The seed yields the numbers that others must not guess.
    pub fn new(now: Instant, config: Config, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let sender = session::Sender::new(random.random(), random.random(), random.random());
        Self {
            latch: Latch::new(config.remote, config.networks.clone()),
            rtcp_latch: Latch::new(config.remote_rtcp, config.networks.clone()),
            started_at: now,
            sender,
            clips: VecDeque::new(),
            offset: 0,
            playing: None,
            keys: telephone_event::Sender::default(),
            receiver: session::Receiver::default(),
            events: telephone_event::Receiver::default(),
            reorder: Reorder::default(),
            listener: Listener::new(config.codec, config.hints),
            heard_at: None,
            starved: false,
            happened: VecDeque::new(),
            report_at: now + rtcp::next_interval(&mut random, true),
            packets_reported: 0,
            sender_report: None,
            statistics: Statistics::default(),
            sent_at: None,
            newest: None,
            random,
            config,
        }
    }

    /// Lets somebody listen to the sound itself, instead of whoever does, or nobody.
    pub fn set_ear(&mut self, ear: Option<Box<dyn Ear>>) {
        self.listener.ear = ear;
    }

    /// Says the clips one after the other, instead of whatever is being said.
    pub fn play(&mut self, id: PlayId, clips: impl IntoIterator<Item = Arc<Clip>>) {
        self.clips = clips.into_iter().collect();
        self.offset = 0;
        self.playing = Some(id);
    }

    /// Falls silent; no [`MediaEvent::PlayEnded`] follows.
    pub fn stop(&mut self) {
        self.clips.clear();
        self.playing = None;
    }

    /// Presses a key once those before it are pressed. Nothing is said meanwhile.
    pub fn press(&mut self, press: Press) {
        if self.config.telephone_event.is_some() {
            self.keys.press(press);
        }
    }

    /// Takes over what a new offer and answer have agreed on.
    pub fn update(&mut self, config: Config) {
        self.latch.signal(config.remote);
        self.rtcp_latch.signal(config.remote_rtcp);
        self.listener.hints = config.hints;
        self.config = config;
    }

    /// Lives through one frame: writes its packet and returns where to send it, if anywhere.
    pub fn tick(
        &mut self,
        now: Instant,
        buffer: &mut [u8; PACKET_BYTES],
    ) -> Option<(usize, SocketAddr)> {
        self.notice_silence(now);
        let Some(target) = self.target() else {
            self.listener.hear_ours(self.config.codec, self.sender.timestamp(), &[]);
            self.sender.skip(1);
            self.sent_at = None;
            return None;
        };
        if self.clips.is_empty()
            && let Some(id) = self.playing.take()
        {
            self.happened.push_back(MediaEvent::PlayEnded(id));
        }
        let timestamp = self.sender.timestamp();
        let event = self.keys.poll_frame(timestamp).zip(self.config.telephone_event);
        let (header, body) = buffer.split_at_mut(HEADER_BYTES);
        let (written, length) = if let Some((event, payload_type)) = event {
            let payload = event.payload.to_bytes();
            body[..payload.len()].copy_from_slice(&payload);
            self.listener.hear_ours(self.config.codec, timestamp, &[]);
            let header = self.sender.event(payload_type, event.marker, event.began, payload.len());
            (header, payload.len())
        } else {
            let body = &mut body[..FRAME_BYTES];
            self.say_frame(now, body);
            self.listener.hear_ours(self.config.codec, timestamp, body);
            (self.sender.sound(self.config.payload_type, FRAME_BYTES), FRAME_BYTES)
        };
        if let Some(header) = header.first_chunk_mut() {
            written.write(header);
        }
        self.sender.advance();
        if let Some(before) = self.sent_at.replace(now) {
            self.statistics.spacing_sent.add(now.saturating_duration_since(before));
        }
        Some((HEADER_BYTES + length, target))
    }

    /// Leaves out frames for which it is too late. What is being said waits.
    pub fn skip(&mut self, n_frames: u32) {
        self.sender.skip(n_frames);
    }

    /// Takes notice that a packet of [`Self::tick`] could not be sent.
    pub fn note_unsent(&mut self) {
        self.statistics.unsent = self.statistics.unsent.saturating_add(1);
    }

    /// Writes the report that is due, and returns where to send it. Cheap when none is.
    pub fn poll_report(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        if now < self.report_at {
            return None;
        }
        self.report_at = now + rtcp::next_interval(&mut self.random, false);
        self.write_report(now, buffer, Parting::Stays)
    }

    /// Writes the last report, which says goodbye.
    pub fn goodbye(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.write_report(now, buffer, Parting::Leaves)
    }

    /// Takes a datagram from the RTP port.
    pub fn handle_rtp(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if packet::is_rtcp(bytes) {
            return self.handle_rtcp(now, source, bytes);
        }
        if self.receive(now, source, bytes).is_none() {
            self.statistics.refused = self.statistics.refused.saturating_add(1);
        }
    }

    /// Takes a datagram from the RTCP port.
    pub fn handle_rtcp(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if !packet::is_rtcp(bytes) || !self.rtcp_latch.admit(now, source) {
            self.statistics.refused = self.statistics.refused.saturating_add(1);
            return;
        }
        let heard = rtcp::Heard::parse(bytes, self.sender.ssrc);
        if let Some((ssrc, ntp_middle)) = heard.sender_report
            && self.receiver.ssrc() == Some(ssrc)
        {
            self.sender_report = Some((ntp_middle, now));
        }
        if let Some(of_us) = heard.of_us {
            self.statistics.far_lost = Some(of_us.lost);
            let elapsed = rtcp::ntp(now.saturating_duration_since(self.started_at));
            if let Some(round_trip) = rtcp::round_trip(elapsed, of_us.echo) {
                self.statistics.round_trip = Some(round_trip);
            }
        }
        if heard.bye.is_some() && heard.bye == self.receiver.ssrc() {
            self.happened.push_back(MediaEvent::Goodbye);
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<MediaEvent> {
        self.happened.pop_front()
    }

    /// What was counted so far.
    pub fn statistics(&self) -> Statistics {
        let counts = self.receiver.counts();
        Statistics {
            sent: self.sender.packets,
            received: counts.received,
            lost: counts.lost(),
            // A unit of the clock is 125 µs.
            jitter: Duration::from_micros(u64::from(self.receiver.jitter()) * 125),
            ..self.statistics.clone()
        }
    }

    fn target(&self) -> Option<SocketAddr> {
        match self.config.direction {
            Direction::Both => self.latch.target(),
            Direction::ReceiveOnly => None,
        }
    }

    /// Fills a frame with what is being said, or with silence.
    fn say_frame(&mut self, now: Instant, frame: &mut [u8]) {
        let may_speak = self.heard_at.is_some() || now >= self.started_at + self.config.lead_in;
        let clip = if may_speak { self.clips.front() } else { None };
        let Some(clip) = clip else {
            return frame.fill(silence(self.config.codec));
        };
        let sound = match self.config.codec {
            Codec::Pcmu => &clip.pcmu,
            Codec::Pcma => &clip.pcma,
        };
        let rest = sound.get(self.offset..).unwrap_or_default();
        let n = rest.len().min(frame.len());
        frame[..n].copy_from_slice(&rest[..n]);
        frame[n..].fill(silence(self.config.codec));
        self.offset += n;
        if self.offset >= sound.len() {
            self.clips.pop_front();
            self.offset = 0;
        }
    }

    fn notice_silence(&mut self, now: Instant) {
        let silent_since = self.heard_at.unwrap_or(self.started_at);
        let silent_for = now.saturating_duration_since(silent_since);
        if silent_for >= self.config.starvation && !self.starved {
            self.starved = true;
            self.happened.push_back(MediaEvent::Starved);
        }
        let sound_at = self.newest.map(|(_, at)| at);
        let is_silent = sound_at
            .is_some_and(|at| now.saturating_duration_since(at) >= FRAME_TIME * SILENT_FRAMES);
        if is_silent {
            let Self { listener, happened, reorder, .. } = self;
            reorder.flush(|timestamp, payload| listener.hear(timestamp, payload, happened));
            self.listener.hear_nothing(&mut self.happened);
        }
    }

    fn receive(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) -> Option<()> {
        let Packet { header, payload } = Packet::parse(bytes).ok()?;
        let kind = self.kind(header.payload_type)?;
        if !self.latch.admit(now, source) {
            return None;
        }
        let (sequence, is_newer) = match self.receiver.receive(&header) {
            Verdict::Newer(sequence) => (sequence, true),
            Verdict::Older(sequence) => (sequence, false),
            Verdict::Doubtful => return None,
        };
        self.starved = false;
        if self.heard_at.replace(now).is_none() {
            self.happened.push_back(MediaEvent::Began);
        }
        match kind {
            Kind::Event => {
                let digit = self.events.receive(&header, payload);
                self.happened.extend(digit.map(MediaEvent::Digit));
                self.hear(sequence, header.timestamp, &[]);
            }
            Kind::Noise => self.hear(sequence, header.timestamp, &[]),
            Kind::Sound(codec) => {
                self.measure(now, &header, sequence, is_newer);
                self.listener.codec = codec;
                self.hear(sequence, header.timestamp, payload);
            }
        }
        Some(())
    }

    fn kind(&self, payload_type: u8) -> Option<Kind> {
        let is_event = |ours: Option<u8>| ours == Some(payload_type);
        if is_event(self.config.telephone_event) || is_event(self.config.our_telephone_event) {
            Some(Kind::Event)
        } else if payload_type == self.config.payload_type {
            Some(Kind::Sound(self.config.codec))
        } else if payload_type == COMFORT_NOISE {
            Some(Kind::Noise)
        } else {
            // We offer both forms of G.711, and the far end may change between them at any time.
            Codec::from_payload_type(payload_type).map(Kind::Sound)
        }
    }

    fn measure(&mut self, now: Instant, header: &Header, sequence: u32, is_newer: bool) {
        let elapsed = now.saturating_duration_since(self.started_at).as_micros();
        // A unit of the clock is 125 µs; it may wrap, as all RTP time does.
        let arrival = u32::try_from(elapsed / 125 % (1 << 32)).unwrap_or(0);
        self.receiver.measure(header, arrival);
        if !is_newer {
            return;
        }
        if let Some((before, at)) = self.newest.replace((sequence, now))
            && sequence == before.wrapping_add(1)
        {
            self.statistics.spacing_received.add(now.saturating_duration_since(at));
        }
    }

    fn hear(&mut self, sequence: u32, timestamp: u32, payload: &[u8]) {
        if self.listener.is_needed() {
            let Self { listener, happened, reorder, .. } = self;
            reorder.push(sequence, timestamp, payload, |timestamp, payload| {
                listener.hear(timestamp, payload, happened);
            });
        }
    }

    fn write_report(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        parting: Parting,
    ) -> Option<(usize, SocketAddr)> {
        let target = self.rtcp_latch.target()?;
        let echo = self.sender_report.map(|(ntp_middle, at)| rtcp::Echo {
            ntp_middle,
            delay: rtcp::middle(rtcp::ntp(now.saturating_duration_since(at))),
        });
        let has_sent = self.sender.packets != self.packets_reported;
        self.packets_reported = self.sender.packets;
        let report = rtcp::Report {
            ssrc: self.sender.ssrc,
            name: &self.config.name,
            sent: has_sent.then(|| rtcp::Sent {
                ntp: rtcp::ntp(now.saturating_duration_since(self.started_at)),
                timestamp: self.sender.timestamp(),
                packets: self.sender.packets,
                octets: self.sender.octets,
            }),
            heard: self.receiver.report().map(|reception| (reception, echo)),
            is_last: parting == Parting::Leaves,
        };
        match report.write(buffer) {
            0 => None,
            length => Some((length, target)),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Parting {
    Stays,
    Leaves,
}

#[derive(Clone, Copy)]
enum Kind {
    Sound(Codec),
    Event,
    Noise,
}

fn silence(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => g711::MULAW_SILENCE,
        Codec::Pcma => g711::ALAW_SILENCE,
    }
}

/// Listens to the far end's sound, in order.
struct Listener {
    codec: Codec,
    hints: Hints,
    ear: Option<Box<dyn Ear>>,
    voice: VoiceActivity,
    beep: BeepDetector,
    /// Far ends cut their packets as they like; hints want 20 ms.
    frame: [i16; FRAME_BYTES],
    n_filled: usize,
}

impl Listener {
    fn new(codec: Codec, hints: Hints) -> Self {
        Self {
            codec,
            hints,
            ear: None,
            voice: VoiceActivity::default(),
            beep: BeepDetector::default(),
            frame: [0; FRAME_BYTES],
            n_filled: 0,
        }
    }

    fn is_needed(&self) -> bool {
        self.ear.is_some() || self.hints == Hints::On
    }

    fn hear_ours(&mut self, codec: Codec, timestamp: u32, payload: &[u8]) {
        if let Some(ear) = &mut self.ear {
            ear.hear(Lane::Ours, codec, timestamp, payload);
        }
    }

    fn hear(&mut self, timestamp: u32, payload: &[u8], happened: &mut VecDeque<MediaEvent>) {
        if let Some(ear) = &mut self.ear {
            ear.hear(Lane::Theirs, self.codec, timestamp, payload);
        }
        if self.hints == Hints::Off {
            return;
        }
        for &code in payload {
            self.frame[self.n_filled] = match self.codec {
                Codec::Pcmu => g711::from_mulaw(code),
                Codec::Pcma => g711::from_alaw(code),
            };
            self.n_filled += 1;
            if self.n_filled == FRAME_BYTES {
                self.n_filled = 0;
                self.hear_frame(happened);
            }
        }
    }

    fn hear_frame(&mut self, happened: &mut VecDeque<MediaEvent>) {
        happened.extend(self.voice.hear(&self.frame).map(told));
        if self.beep.hear(&self.frame) {
            happened.push_back(MediaEvent::Heard(Heard::Beep));
        }
    }

    /// A frame in which nothing came: the far end suppresses silence.
    fn hear_nothing(&mut self, happened: &mut VecDeque<MediaEvent>) {
        if self.hints == Hints::On {
            let nothing = f64::NEG_INFINITY;
            happened.extend(self.voice.hear_level(nothing).map(told));
        }
    }
}

fn told(activity: Activity) -> MediaEvent {
    MediaEvent::Heard(match activity {
        Activity::Began => Heard::Speech,
        Activity::Quiet(since) => Heard::Quiet(since),
    })
}

/// What was counted in a call's sound.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// Packets that we sent.
    pub sent: u32,
    /// Packets that the operating system did not take.
    pub unsent: u32,
    /// Packets of the far end that came, repetitions included.
    pub received: u32,
    /// Packets of the far end that did not.
    pub lost: u32,
    /// Datagrams that were no packet of this call: of strangers, of other formats, damaged.
    pub refused: u32,
    /// The jitter of what came (RFC 3550 §6.4.1).
    pub jitter: Duration,
    /// How many of our packets the far end misses, if it reports.
    pub far_lost: Option<u32>,
    /// There and back, if the far end reports.
    pub round_trip: Option<Duration>,
    /// The time between two packets that we sent, as our clock planned and saw it.
    pub spacing_sent: Spacing,
    /// The time between the arrivals of two packets of sound that follow each other.
    pub spacing_received: Spacing,
}

impl Statistics {
    /// Counts another call's, too. Of jitter and round trip the worst is kept.
    pub fn add(&mut self, other: &Self) {
        let Self { sent, unsent, received, lost, refused, jitter, far_lost, round_trip, .. } =
            other;
        self.sent = self.sent.saturating_add(*sent);
        self.unsent = self.unsent.saturating_add(*unsent);
        self.received = self.received.saturating_add(*received);
        self.lost = self.lost.saturating_add(*lost);
        self.refused = self.refused.saturating_add(*refused);
        self.jitter = self.jitter.max(*jitter);
        self.far_lost = match (self.far_lost, *far_lost) {
            (Some(ours), Some(theirs)) => Some(ours.saturating_add(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.round_trip = self.round_trip.max(*round_trip);
        self.spacing_sent.merge(&other.spacing_sent);
        self.spacing_received.merge(&other.spacing_received);
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "one arbitrary origin; every later instant is derived"
)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::tone::Tone;

    const OURS: &str = "192.0.2.1:4000";
    const THEIRS: &str = "192.0.2.2:6000";
    const EVENT: u8 = 101;

    fn config(remote: &str) -> Config {
        let remote: SocketAddr = remote.parse().unwrap();
        Config {
            remote,
            remote_rtcp: SocketAddr::new(remote.ip(), remote.port() + 1),
            networks: Vec::new(),
            codec: Codec::Pcmu,
            payload_type: 0,
            telephone_event: Some(EVENT),
            our_telephone_event: None,
            direction: Direction::Both,
            lead_in: Duration::ZERO,
            starvation: Duration::from_secs(30),
            hints: Hints::Off,
            name: "call".to_owned(),
        }
    }

    /// A clip in which no two packets are alike.
    fn clip(n_frames: usize) -> Arc<Clip> {
        let byte = |n: usize| u8::try_from((n / FRAME_BYTES * 7 + n % FRAME_BYTES) % 251).unwrap();
        let pcmu: Vec<u8> = (0..n_frames * FRAME_BYTES).map(byte).collect();
        let pcma = pcmu.iter().map(|byte| byte ^ 0x55).collect();
        Arc::new(Clip { label: "test".to_owned(), pcmu: pcmu.into(), pcma })
    }

    fn sounding(samples: &[i16]) -> Arc<Clip> {
        Arc::new(Clip {
            label: "test".to_owned(),
            pcmu: g711::encode_mulaw(samples).into(),
            pcma: g711::encode_alaw(samples).into(),
        })
    }

    #[derive(Clone, Default)]
    struct Tape(Arc<Mutex<Vec<Recorded>>>);

    type Recorded = (Lane, u32, Vec<u8>);

    impl Ear for Tape {
        fn hear(&mut self, lane: Lane, _: Codec, timestamp: u32, payload: &[u8]) {
            self.0.lock().unwrap().push((lane, timestamp, payload.to_vec()));
        }
    }

    impl Tape {
        fn lane(&self, lane: Lane) -> Vec<(u32, Vec<u8>)> {
            let tape = self.0.lock().unwrap();
            let of_lane = tape.iter().filter(|entry| entry.0 == lane);
            of_lane.map(|(_, timestamp, payload)| (*timestamp, payload.clone())).collect()
        }
    }

    /// Two ends of one call, and a clock.
    struct Pair {
        now: Instant,
        near: Media,
        far: Media,
        told: Vec<MediaEvent>,
    }

    impl Pair {
        fn new(near: Config, far: Config) -> Self {
            let now = Instant::now();
            let (near, far) = (Media::new(now, near, 1), Media::new(now, far, 2));
            Self { now, near, far, told: Vec::new() }
        }

        /// One frame; `delivers` is asked for each packet of the far end, in copies.
        fn frame(&mut self, mut deliver: impl FnMut(&[u8]) -> usize) {
            self.now += FRAME_TIME;
            let mut buffer = [0; PACKET_BYTES];
            if let Some((n, target)) = self.near.tick(self.now, &mut buffer) {
                assert_eq!(target.to_string(), THEIRS);
                self.far.handle_rtp(self.now, OURS.parse().unwrap(), &buffer[..n]);
            }
            if let Some((n, _)) = self.far.tick(self.now, &mut buffer) {
                for _ in 0..deliver(&buffer[..n]) {
                    self.near.handle_rtp(self.now, THEIRS.parse().unwrap(), &buffer[..n]);
                }
            }
            if let Some((n, _)) = self.near.poll_report(self.now, &mut buffer) {
                self.far.handle_rtcp(self.now, "192.0.2.1:4001".parse().unwrap(), &buffer[..n]);
            }
            if let Some((n, _)) = self.far.poll_report(self.now, &mut buffer) {
                self.near.handle_rtcp(self.now, "192.0.2.2:6001".parse().unwrap(), &buffer[..n]);
            }
            self.told.extend(std::iter::from_fn(|| self.near.poll_event()));
            while self.far.poll_event().is_some() {}
        }

        fn frames(&mut self, n: usize) {
            for _ in 0..n {
                self.frame(|_| 1);
            }
        }

        fn digits(&self) -> Vec<Digit> {
            let digit = |event: &MediaEvent| match event {
                MediaEvent::Digit(digit) => Some(*digit),
                _ => None,
            };
            self.told.iter().filter_map(digit).collect()
        }
    }

    #[test]
    fn clips_arrive_whole_between_frames_of_silence() {
        for (codec, payload_type, silent) in [(Codec::Pcmu, 0, 0xFF), (Codec::Pcma, 8, 0xD5)] {
            let with_codec = |remote| Config { codec, payload_type, ..config(remote) };
            let mut pair = Pair::new(with_codec(THEIRS), with_codec(OURS));
            let tape = Tape::default();
            pair.far.set_ear(Some(Box::new(tape.clone())));
            pair.frames(3);
            let clips = [clip(5), clip(2)];
            pair.near.play(1, clips.clone());
            pair.frames(10);

            let heard = tape.lane(Lane::Theirs);
            assert_eq!(heard.len(), 13);
            assert!(heard.windows(2).all(|two| two[1].0 == two[0].0.wrapping_add(160)));
            let frames: Vec<&[u8]> = heard.iter().map(|(_, payload)| payload.as_slice()).collect();
            let said: Vec<u8> = clips
                .iter()
                .flat_map(|clip| {
                    if codec == Codec::Pcmu { &clip.pcmu } else { &clip.pcma }.to_vec()
                })
                .collect();
            assert_eq!(frames[3..10].concat(), said);
            for frame in frames[..3].iter().chain(&frames[10..]) {
                assert!(frame.iter().all(|&byte| byte == silent));
            }
            assert_eq!(pair.told, [MediaEvent::Began, MediaEvent::PlayEnded(1)]);
        }
    }

    #[test]
    fn the_end_is_told_after_the_last_packet_and_only_for_what_was_not_cut() {
        let mut pair = Pair::new(config(THEIRS), config(OURS));
        pair.near.play(1, [clip(2)]);
        pair.frames(2);
        assert_eq!(pair.told, [MediaEvent::Began]);
        pair.frames(1);
        assert_eq!(pair.told.last(), Some(&MediaEvent::PlayEnded(1)));

        pair.told.clear();
        pair.near.play(2, [clip(9)]);
        pair.frames(3);
        pair.near.play(3, [clip(3)]);
        pair.frames(3);
        assert_eq!(pair.told, []);
        pair.frames(1);
        assert_eq!(pair.told, [MediaEvent::PlayEnded(3)]);

        pair.told.clear();
        pair.near.play(4, [clip(9)]);
        pair.frames(3);
        pair.near.stop();
        pair.frames(20);
        assert_eq!(pair.told, []);
        pair.near.play(5, []);
        pair.frames(1);
        assert_eq!(pair.told, [MediaEvent::PlayEnded(5)]);
    }

    #[test]
    fn the_first_word_waits_for_the_far_end_or_the_lead_in() {
        let lead_in = Duration::from_millis(700);
        for (far_speaks_at, expected) in [(Some(10), 10), (None, 35)] {
            let mut media = Media::new(Instant::now(), Config { lead_in, ..config(THEIRS) }, 1);
            let origin = media.started_at;
            media.play(1, [clip(5)]);
            let mut far = Media::new(origin, config(OURS), 2);
            let mut buffer = [0; PACKET_BYTES];
            let first_word = (0..100_u32).find(|&n| {
                let now = origin + FRAME_TIME * n;
                if far_speaks_at == Some(n) {
                    let (length, _) = far.tick(now, &mut buffer).unwrap();
                    media.handle_rtp(now, THEIRS.parse().unwrap(), &buffer[..length]);
                }
                let (length, _) = media.tick(now, &mut buffer).unwrap();
                buffer[HEADER_BYTES..length].iter().any(|&byte| byte != g711::MULAW_SILENCE)
            });
            assert_eq!(first_word, Some(expected));
        }
    }

    #[test]
    fn a_third_party_adds_no_key_and_takes_no_stream_over() {
        let mut pair = Pair::new(config(THEIRS), config(OURS));
        pair.frames(10);
        let mut stranger = Media::new(pair.now, config(OURS), 99);
        stranger.press(Press::new(Digit::Number(9)));
        let mut buffer = [0; PACKET_BYTES];
        for source in ["203.0.113.5:6000", "192.0.2.2:7000", THEIRS] {
            let (n, _) = stranger.tick(pair.now, &mut buffer).unwrap();
            pair.near.handle_rtp(pair.now, source.parse().unwrap(), &buffer[..n]);
            // Each time the true far end goes on; the address check of `frame` still holds.
            pair.frames(3);
        }
        for noise in [b"".as_slice(), b"REGISTER sip:x SIP/2.0", &[0x80; 200], &[0xFF; 12]] {
            pair.near.handle_rtp(pair.now, THEIRS.parse().unwrap(), noise);
            pair.near.handle_rtcp(pair.now, THEIRS.parse().unwrap(), noise);
        }
        pair.frames(3);
        assert_eq!(pair.told, [MediaEvent::Began]);
        assert_eq!(pair.near.statistics().refused, 3 + 8);
    }

    #[test]
    fn only_the_negotiated_payload_types_are_keys() {
        for (sent_as, ours, expected) in [(101, None, 1), (96, None, 0), (96, Some(96), 1)] {
            let near = Config { our_telephone_event: ours, ..config(THEIRS) };
            let far = Config { telephone_event: Some(sent_as), ..config(OURS) };
            let mut pair = Pair::new(near, far);
            pair.far.press(Press::new(Digit::Star));
            pair.frames(20);
            assert_eq!(pair.digits().len(), expected, "{sent_as} {ours:?}");
        }
    }

    #[test]
    fn silence_of_the_far_end_is_told_once() {
        let starvation = Duration::from_secs(2);
        let near = Config { starvation, ..config(THEIRS) };
        let mut pair = Pair::new(near, config(OURS));
        pair.frames(5);
        for _ in 0..300 {
            pair.frame(|_| 0);
        }
        pair.frames(1);
        for _ in 0..300 {
            pair.frame(|_| 0);
        }
        assert_eq!(pair.told, [MediaEvent::Began, MediaEvent::Starved, MediaEvent::Starved]);
    }

    #[test]
    fn a_machines_beep_and_speech_are_heard() {
        let near = Config { hints: Hints::On, ..config(THEIRS) };
        let mut pair = Pair::new(near, config(OURS));
        let beep = Tone::BEEP.samples(Duration::from_millis(400));
        pair.far.play(1, [clip(50), sounding(&[0; 1600]), sounding(&beep)]);
        pair.frames(50 + 10 + 20 + 110);
        let heard: Vec<Heard> = pair
            .told
            .iter()
            .filter_map(|event| match event {
                MediaEvent::Heard(heard) => Some(*heard),
                _ => None,
            })
            .collect();
        assert_eq!(
            heard,
            [
                Heard::Speech,
                Heard::Beep,
                Heard::Quiet(Duration::from_millis(900)),
                Heard::Quiet(Duration::from_secs(2)),
            ]
        );
    }

    #[test]
    fn on_hold_nothing_is_sent_and_what_is_said_waits() {
        let mut pair = Pair::new(config(THEIRS), config(OURS));
        let tape = Tape::default();
        pair.far.set_ear(Some(Box::new(tape.clone())));
        let said = clip(10);
        pair.near.play(1, [Arc::clone(&said)]);
        pair.frames(4);
        pair.near.update(Config { direction: Direction::ReceiveOnly, ..config(THEIRS) });
        pair.frames(25);
        pair.near.update(config(THEIRS));
        pair.frames(8);
        let heard = tape.lane(Lane::Theirs);
        let sound: Vec<u8> = heard[..10].iter().flat_map(|(_, payload)| payload.clone()).collect();
        assert_eq!(sound, said.pcmu.to_vec());
        // The clock went on meanwhile.
        assert_eq!(heard[4].0.wrapping_sub(heard[3].0), 26 * 160);
    }

    #[test]
    fn reports_tell_both_ends_what_the_other_misses() {
        let mut pair = Pair::new(config(THEIRS), config(OURS));
        let mut n = 0;
        for _ in 0..1000 {
            pair.frame(|_| {
                n += 1;
                usize::from(n % 10 != 5)
            });
        }
        let (near, far) = (pair.near.statistics(), pair.far.statistics());
        assert_eq!((near.sent, near.received, near.lost), (1000, 900, 100));
        assert_eq!((far.received, far.lost), (1000, 0));
        assert!(far.far_lost.is_some_and(|lost| lost > 50), "{:?}", far.far_lost);
        assert!(near.round_trip.is_some_and(|time| time < Duration::from_millis(1)));
        assert_eq!(near.spacing_received.max, FRAME_TIME);

        let mut buffer = [0; PACKET_BYTES];
        let (length, target) = pair.far.goodbye(pair.now, &mut buffer).unwrap();
        assert_eq!(target.to_string(), "192.0.2.1:4001");
        pair.near.handle_rtcp(pair.now, "192.0.2.2:6001".parse().unwrap(), &buffer[..length]);
        assert_eq!(pair.near.poll_event(), Some(MediaEvent::Goodbye));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Every third packet at most is lost, so that some packet of each press arrives.
        #[test]
        fn keys_survive_a_lossy_line(
            codes in proptest::collection::vec(0_u8..12, 1..12),
            fates in proptest::collection::vec(0_usize..3, 50),
        ) {
            let mut pair = Pair::new(config(THEIRS), config(OURS));
            let keys: Vec<Digit> =
                codes.into_iter().map(|code| Digit::from_event(code).unwrap()).collect();
            for &key in &keys {
                pair.far.press(Press::new(key));
            }
            let mut n = 0;
            for _ in 0..keys.len() * 10 + 10 {
                pair.frame(|_| {
                    n += 1;
                    if n % 3 == 0 { 1 } else { fates[n % fates.len()] }
                });
            }
            prop_assert_eq!(pair.digits(), keys);
        }
    }
}
