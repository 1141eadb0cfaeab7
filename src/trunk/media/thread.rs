//! One thread of the engine: its calls, its wheel, its sockets.

use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use mio::Interest;
use mio::Poll;
use mio::Token;
use mio::Waker;
use mio::net::UdpSocket;
use nix::time::ClockId;
use tokio::sync::oneshot;
use tracing::error;
use tracing::warn;

use crate::call::clip::Clip;
use crate::call::media::Ear;
use crate::call::media::Media;
use crate::call::media::MediaEvent;
use crate::call::media::PACKET_BYTES;
use crate::call::media::PlayId;
use crate::call::media::Statistics;
use crate::rtp::telephone_event::Press;
use crate::trunk::media::Sockets;
use crate::trunk::media::StreamConfig;
use crate::trunk::media::inbox::Clocks;
use crate::trunk::media::inbox::Inbox;
use crate::trunk::media::inbox::Left;
use crate::trunk::media::wheel::Due;
use crate::trunk::media::wheel::Wheel;
use crate::trunk::ports::Lease;

/// Names one stream for as long as the engine lives.
pub(super) type StreamId = u64;

/// Where events go.
pub(super) type Events = Box<dyn FnMut(MediaEvent) + Send>;

/// What a thread is told.
pub(super) enum Command {
    Start(Box<Start>),
    Play(StreamId, PlayId, Vec<Arc<Clip>>),
    Stop(StreamId),
    Press(StreamId, Vec<Press>),
    Listen(StreamId, Option<Box<dyn Ear>>),
    Update(StreamId, Box<StreamConfig>),
    Close(StreamId, Option<oneshot::Sender<Statistics>>),
    Shutdown,
}

/// A stream to start.
pub(super) struct Start {
    pub(super) id: StreamId,
    pub(super) sockets: Sockets,
    pub(super) config: StreamConfig,
    pub(super) seed: u64,
    pub(super) ear: Option<Box<dyn Ear>>,
    pub(super) events: Events,
}

/// Readiness told by one call.
const N_READY: usize = 1024;

/// Batches read from one socket in one turn: whoever floods a port waits, and nobody else.
const MAX_BATCHES: usize = 2;

/// Not the token of a socket.
const WAKER: Token = Token(usize::MAX);

/// How often a thread notes what it costs.
const CPU_NOTED: Duration = Duration::from_millis(100);

/// Room for one report with its name.
const REPORT_BYTES: usize = 512;

/// Owns the calls of one thread.
pub(super) struct Driver {
    commands: mpsc::Receiver<Command>,
    poll: Poll,
    wheel: Wheel,
    /// Streams by the key that the wheel and the tokens know.
    streams: Vec<Option<Box<Running>>>,
    keys: HashMap<StreamId, usize>,
    /// Sockets that were not emptied in the last turn.
    unread: Vec<Token>,
    /// Those of the turn before, while they are read: kept for its memory.
    in_turn: Vec<Token>,
    is_over: bool,
}

struct Running {
    id: StreamId,
    media: Media,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    is_v6: bool,
    /// Dropped after the sockets.
    _lease: Lease,
    /// Dropped last: whoever sees that no more events come finds the ports free.
    events: Events,
}

impl Driver {
    pub(super) fn new(commands: mpsc::Receiver<Command>) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let driver = Self {
            commands,
            poll,
            wheel: Wheel::new(now()),
            streams: Vec::new(),
            keys: HashMap::new(),
            unread: Vec::new(),
            in_turn: Vec::new(),
            is_over: false,
        };
        Ok((driver, waker))
    }

    pub(super) fn run(mut self, cpu_ns: &AtomicU64) {
        let mut ready = mio::Events::with_capacity(N_READY);
        let mut inbox = Inbox::new();
        let mut cpu_noted_at = now();
        loop {
            let patience = self.sleep();
            match self.poll.poll(&mut ready, patience) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    error!(%error, "the media thread cannot wait for its sockets");
                    return;
                }
                _ => {}
            }
            // The one reading of this turn's clock.
            let now = now();
            self.obey(now);
            if self.is_over {
                return;
            }
            self.send_due(now);
            self.read_ready(now, &ready, &mut inbox);
            if now >= cpu_noted_at + CPU_NOTED {
                cpu_noted_at = now;
                note_cpu(cpu_ns);
            }
        }
    }

    /// Sleeps until the next slot. Returns how long the poll may wait after it: not at all, or,
    /// when there is no call, until somebody wakes the thread.
    fn sleep(&self) -> Option<Duration> {
        if self.keys.is_empty() {
            return None;
        }
        // Sleeping is exact to some 0.1 ms, waiting in `poll` to 1 ms. And whatever comes within
        // the millisecond is then told by one call.
        std::thread::sleep(self.wheel.deadline().saturating_duration_since(now()));
        Some(Duration::ZERO)
    }

    fn obey(&mut self, now: Instant) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Start(start) => self.start(now, *start),
                Command::Play(id, play, clips) => {
                    self.with(id, |stream| stream.media.play(play, clips));
                }
                Command::Stop(id) => self.with(id, |stream| stream.media.stop()),
                Command::Press(id, presses) => self.with(id, |stream| {
                    for press in presses {
                        stream.media.press(press);
                    }
                }),
                Command::Listen(id, ear) => self.with(id, |stream| stream.media.set_ear(ear)),
                Command::Update(id, config) => {
                    self.with(id, |stream| stream.media.update(*config));
                }
                Command::Close(id, reply) => {
                    if let Some(mut stream) = self.remove(id) {
                        stream.say_goodbye(now);
                        let statistics = stream.media.statistics();
                        // Whoever is told that the sound has ended finds the ports free.
                        drop(stream);
                        if let Some(reply) = reply {
                            // Who asked may have given up waiting.
                            let _ = reply.send(statistics);
                        }
                    }
                }
                Command::Shutdown => {
                    self.is_over = true;
                    for mut stream in self.streams.drain(..).flatten() {
                        stream.say_goodbye(now);
                    }
                }
            }
        }
    }

    fn start(&mut self, now: Instant, start: Start) {
        let Start { id, sockets, config, seed, ear, mut events } = start;
        let mut media = Media::new(now, config, seed);
        media.set_ear(ear);
        let is_v6 = sockets.rtp.local_addr().is_ok_and(|address| address.is_ipv6());
        let (mut rtp, mut rtcp) =
            (UdpSocket::from_std(sockets.rtp), UdpSocket::from_std(sockets.rtcp));
        let key = self.streams.iter().position(Option::is_none).unwrap_or(self.streams.len());
        let registry = self.poll.registry();
        let registered = registry
            .register(&mut rtp, rtp_token(key), Interest::READABLE)
            .and_then(|()| registry.register(&mut rtcp, rtcp_token(key), Interest::READABLE));
        if let Err(error) = registered {
            warn!(%error, "the sockets of a call cannot be watched");
            let _ = catch_unwind(AssertUnwindSafe(|| events(MediaEvent::Failed)));
            return;
        }
        if self.keys.is_empty() {
            self.wheel.restart(now);
        }
        if key == self.streams.len() {
            self.streams.push(None);
        }
        let lease = sockets.lease;
        self.streams[key] =
            Some(Box::new(Running { id, media, rtp, rtcp, is_v6, events, _lease: lease }));
        self.keys.insert(id, key);
        self.wheel.add(key);
    }

    /// Takes a stream out. Its sockets leave the poll when they are closed.
    fn remove(&mut self, id: StreamId) -> Option<Box<Running>> {
        let key = self.keys.remove(&id)?;
        self.wheel.remove(key);
        self.streams[key].take()
    }

    fn with(&mut self, id: StreamId, act: impl FnOnce(&mut Running)) {
        if let Some(&key) = self.keys.get(&id) {
            self.guarded(key, act);
        }
    }

    /// Does something with one stream and tells what happened. A panic ends this stream only.
    fn guarded(&mut self, key: usize, act: impl FnOnce(&mut Running)) {
        let Some(stream) = self.streams.get_mut(key).and_then(Option::as_deref_mut) else { return };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            act(stream);
            while let Some(event) = stream.media.poll_event() {
                (stream.events)(event);
            }
        }));
        if outcome.is_err() {
            let id = stream.id;
            error!("the media of a call failed and is ended");
            if let Some(mut stream) = self.remove(id) {
                // It may be the receiver of the events that fails.
                let _ = catch_unwind(AssertUnwindSafe(|| (stream.events)(MediaEvent::Failed)));
            }
        }
    }

    fn send_due(&mut self, now: Instant) {
        while let Some(due) = self.wheel.poll(now) {
            match due {
                Due::Slot(slot) => {
                    // From the last to the first: a stream that fails leaves the slot.
                    for index in (0..self.wheel.slot(slot).len()).rev() {
                        if let Some(&key) = self.wheel.slot(slot).get(index) {
                            self.guarded(key, |stream| stream.tick(now));
                        }
                    }
                }
                Due::Skipped(n_frames) => {
                    warn!(frames = n_frames, "the media thread was held up");
                    for stream in self.streams.iter_mut().flatten() {
                        stream.media.skip(n_frames);
                    }
                }
            }
        }
    }

    fn read_ready(&mut self, now: Instant, ready: &mio::Events, inbox: &mut Inbox) {
        if ready.is_empty() && self.unread.is_empty() {
            return;
        }
        let clocks = Clocks { now, wall: wall() };
        std::mem::swap(&mut self.unread, &mut self.in_turn);
        for index in 0..self.in_turn.len() {
            self.read(self.in_turn[index], clocks, inbox);
        }
        self.in_turn.clear();
        for event in ready.iter().filter(|event| event.token() != WAKER) {
            self.read(event.token(), clocks, inbox);
        }
    }

    /// Reads a socket until it is empty, or until it has had its share of this turn.
    fn read(&mut self, token: Token, clocks: Clocks, inbox: &mut Inbox) {
        let mut left = Left::Perhaps;
        for _ in 0..MAX_BATCHES {
            if left == Left::Nothing {
                break;
            }
            left = Left::Nothing;
            self.guarded(token.0 / 2, |stream| {
                let (media, is_v6) = (&mut stream.media, stream.is_v6);
                left = if token == rtp_token(token.0 / 2) {
                    inbox.read(&stream.rtp, is_v6, clocks, |at, source, bytes| {
                        media.handle_rtp(at, source, bytes);
                    })
                } else {
                    inbox.read(&stream.rtcp, is_v6, clocks, |at, source, bytes| {
                        media.handle_rtcp(at, source, bytes);
                    })
                };
            });
        }
        if left == Left::Perhaps && !self.unread.contains(&token) {
            self.unread.push(token);
        }
    }
}

impl Running {
    fn tick(&mut self, now: Instant) {
        let mut packet = [0; PACKET_BYTES];
        if let Some((length, target)) = self.media.tick(now, &mut packet)
            && self.rtp.send_to(&packet[..length], target).is_err()
        {
            self.media.note_unsent();
        }
        let mut report = [0; REPORT_BYTES];
        if let Some((length, target)) = self.media.poll_report(now, &mut report) {
            // A report that is lost is followed by the next.
            let _ = self.rtcp.send_to(&report[..length], target);
        }
    }

    fn say_goodbye(&mut self, now: Instant) {
        let mut report = [0; REPORT_BYTES];
        if let Some((length, target)) = self.media.goodbye(now, &mut report) {
            let _ = self.rtcp.send_to(&report[..length], target);
        }
    }
}

fn rtp_token(key: usize) -> Token {
    Token(key * 2)
}

fn rtcp_token(key: usize) -> Token {
    Token(key * 2 + 1)
}

fn note_cpu(cpu_ns: &AtomicU64) {
    if let Ok(used) = nix::time::clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID) {
        let used = Duration::from(used).as_nanos();
        cpu_ns.store(u64::try_from(used).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

#[expect(clippy::disallowed_methods, reason = "this thread is the edge of the media machines")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the kernel stamps arrivals with the wall clock")]
fn wall() -> SystemTime {
    SystemTime::now()
}
