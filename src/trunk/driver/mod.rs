//! The task of a trunk: socket ⇄ endpoint ⇄ legs ⇄ lines, one deadline.
//!
//! It decides what needs sockets, caps or the state of the trunk to be decided; what a call does
//! is decided by the [`Leg`], what a message means by the [`Endpoint`].

mod call;
mod health;
mod sound;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::{Backoff, Clock, Now};
use crate::call::leg::{Leg, Output};
use crate::call::media::{MediaEvent, PlayId};
use crate::call::{Clip, DialRequest, LineEvent, Tap};
use crate::sip::dialog::Peers;
use crate::sip::endpoint::{CallKey, Endpoint, Event};
use crate::sip::endpoint::{Registrar, RegistrationKey, ReliableProvisionals};
use crate::sip::header::Headers;
use crate::sip::registration::RegistrationRequest;
use crate::sip::timer::Timers;
use crate::sip::uri::NameAddr;
use crate::sip::{endpoint, parse};
use crate::trunk::config::Config;
use crate::trunk::media::{Engine, Port, Stream};
use crate::trunk::pace::Pace;
use crate::trunk::socket::{Received, SipSocket};
use crate::trunk::{CallLadder, TrunkState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

/// How long the last transactions may take when the trunk stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// A far end that sends no sound for so long is mentioned in the log.
const STARVATION: Duration = Duration::from_secs(20);

/// Calls that wait for their ladder. More than this, and the oldest have none.
const MAX_LABELS: usize = 100_000;

/// Names a line of one trunk. Never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct LineId(pub(super) u64);

/// What lines and owners of a trunk want.
#[derive(Debug)]
pub(super) enum Command {
    Dial { id: LineId, request: DialRequest, events: mpsc::Sender<LineEvent> },
    Play { id: LineId, clips: Vec<Arc<Clip>> },
    StopPlaying { id: LineId },
    Tape { id: LineId, tap: Option<Tap> },
    HangUp { id: LineId },
    Stop { grace: Duration },
}

/// The task; see the [module docs](self).
pub(super) struct Driver {
    config: Config,
    engine: Engine,
    clock: Clock,
    socket: SipSocket,
    /// Where sound is received: the local address, and how the carrier sees it.
    local_ip: IpAddr,
    public_ip: IpAddr,
    /// Where requests may be sent to; the first one is tried.
    targets: VecDeque<SocketAddr>,
    endpoint: Endpoint,
    calls: HashMap<CallKey, CallEntry>,
    keys: HashMap<LineId, CallKey>,
    deadlines: BTreeSet<(Instant, CallKey)>,
    /// Calls whose legs may have something to say.
    stirred: VecDeque<CallKey>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// The engine's threads must not wait, so the channel is unbounded; what a far end can put
    /// into it is limited by its packets.
    heard: mpsc::UnboundedReceiver<(CallKey, MediaEvent)>,
    hear: mpsc::UnboundedSender<(CallKey, MediaEvent)>,
    /// Sound that is being ended.
    endings: JoinSet<()>,
    state: watch::Sender<TrunkState>,
    registration: Option<RegistrationKey>,
    is_registered: bool,
    pace: Pace,
    /// When to ask again whether the carrier is there.
    probe_at: Option<Instant>,
    stop: Option<Stop>,
    /// Everyone who could want something is gone.
    is_deserted: bool,
    /// Of calls whose ladder has not been written to the log yet, which comes long after their end.
    labels: BTreeMap<CallKey, String>,
    ladders: mpsc::Sender<CallLadder>,
}

struct CallEntry {
    line: LineId,
    leg: Leg,
    events: mpsc::Sender<LineEvent>,
    label: String,
    /// Who records the sound, until it begins.
    tap: Option<Tap>,
    port: Option<Port>,
    stream: Option<Stream>,
    /// What the leg and the stream call the clips that are being said.
    playing: Option<(PlayId, PlayId)>,
    deadline: Option<Instant>,
}

/// How far stopping has come.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// Calls may go on until then.
    Grace(Instant),
    /// The last messages are exchanged, until then at most.
    Farewell(Instant),
}

/// What woke the driver.
enum Turn {
    Received(Received),
    Command(Option<Command>),
    Heard(CallKey, MediaEvent),
    Timeout,
}

impl Driver {
    #[expect(
        clippy::too_many_arguments,
        reason = "called once, by `Trunk::start`, which made them"
    )]
    pub(super) fn new(
        config: Config,
        engine: Engine,
        clock: Clock,
        socket: SipSocket,
        local_addr: SocketAddr,
        targets: Vec<SocketAddr>,
        hosts: Vec<IpAddr>,
        commands: mpsc::UnboundedReceiver<Command>,
        state: watch::Sender<TrunkState>,
        ladders: mpsc::Sender<CallLadder>,
    ) -> Self {
        let public_ip = config.public_ip.unwrap_or(local_addr.ip());
        let address = SocketAddr::new(public_ip, local_addr.port());
        let settings = endpoint_config(&config, address, hosts);
        // The numbers that others must not guess follow from the system's.
        let endpoint = Endpoint::new(settings, rand::random());
        let (hear, heard) = mpsc::unbounded_channel();
        Self {
            pace: Pace::new(config.calls_per_second),
            config,
            engine,
            clock,
            socket,
            local_ip: local_addr.ip(),
            public_ip,
            targets: targets.into(),
            endpoint,
            calls: HashMap::new(),
            keys: HashMap::new(),
            deadlines: BTreeSet::new(),
            stirred: VecDeque::new(),
            commands,
            heard,
            hear,
            endings: JoinSet::new(),
            state,
            registration: None,
            is_registered: false,
            probe_at: None,
            stop: None,
            is_deserted: false,
            labels: BTreeMap::new(),
            ladders,
        }
    }

    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; parse::MAX_BYTES];
        self.begin();
        loop {
            let now = self.clock.now();
            self.go_on_stopping(now);
            let deadline = self.drain(now);
            if self.is_finished(now) {
                break;
            }
            let turn = tokio::select! {
                received = self.socket.receive(&mut buffer) => Turn::Received(received),
                command = self.commands.recv(), if !self.is_deserted => Turn::Command(command),
                Some((call, event)) = self.heard.recv() => Turn::Heard(call, event),
                () = sleep_until(deadline.unwrap_or(now.instant).into()), if deadline.is_some() => Turn::Timeout,
            };
            self.take(self.clock.now(), turn, &buffer);
            self.write_ladders();
            while self.endings.try_join_next().is_some() {}
        }
        self.set_state(TrunkState::Stopped);
        while self.endings.join_next().await.is_some() {}
    }

    fn take(&mut self, now: Now, turn: Turn, buffer: &[u8]) {
        match turn {
            Turn::Received(Received::Datagram { source, length }) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                self.endpoint.handle_datagram(now.instant, source, datagram);
            }
            Turn::Received(Received::Unreachable(destination)) => {
                self.endpoint.handle_transport_error(now.instant, destination);
            }
            Turn::Command(Some(command)) => self.obey(now, command),
            Turn::Command(None) => {
                self.is_deserted = true;
                self.begin_stop(now, Duration::ZERO);
            }
            Turn::Heard(key, event) => self.on_media(now, key, event),
            Turn::Timeout => self.on_timeout(now),
        }
    }

    fn begin(&mut self) {
        let now = self.clock.now();
        self.probe_at = self.config.keep_alive.map(|_| now.instant);
        let Some(lifetime) = self.config.registration else { return };
        let registrar = self.domain_uri(None);
        let registration = RegistrationRequest {
            address_of_record: NameAddr::new(self.domain_uri(Some(&self.config.user))),
            registrar,
            destination: self.target(),
            route: self.route(),
            credentials: self.config.credentials.clone(),
            lifetime,
            headers: Headers::default(),
        };
        self.registration = Some(self.endpoint.register(now.instant, registration));
    }

    /// Does all that there is to do, and returns until when to wait.
    fn drain(&mut self, now: Now) -> Option<Instant> {
        loop {
            let deadline = self.drain_endpoint(now);
            let Some(key) = self.stirred.pop_front() else {
                let stop = self.stop.map(|stop| match stop {
                    Stop::Grace(until) | Stop::Farewell(until) => until,
                });
                let leg = self.deadlines.first().map(|(at, _)| *at);
                return [deadline, stop, leg, self.probe_at].into_iter().flatten().min();
            };
            self.drain_leg(now, key);
        }
    }

    fn drain_endpoint(&mut self, now: Now) -> Option<Instant> {
        let mut unwanted = Vec::new();
        let deadline = loop {
            match self.endpoint.poll_output() {
                endpoint::Output::Transmit { destination, bytes } => {
                    self.socket.send(destination, &bytes);
                }
                endpoint::Output::Event(Event::Call { call, event }) => {
                    self.on_call(now, call, event);
                }
                endpoint::Output::Event(Event::Incoming { call, .. }) => unwanted.push(call),
                endpoint::Output::Event(Event::Registration { event, .. }) => {
                    self.on_registration(event);
                }
                endpoint::Output::Event(Event::Probed { outcome, .. }) => self.on_probed(outcome),
                // We are no registrar.
                endpoint::Output::Event(Event::Register { .. }) => {}
                endpoint::Output::Wait(deadline) => break deadline,
            }
        };
        if unwanted.is_empty() {
            return deadline;
        }
        // Nobody takes calls here.
        for call in unwanted {
            self.endpoint.reject(now.instant, call, 480, &Headers::default());
        }
        self.drain_endpoint(now)
    }

    /// Does what a leg asks for.
    fn drain_leg(&mut self, now: Now, key: CallKey) {
        let mut is_broken = false;
        loop {
            let Some(entry) = self.calls.get_mut(&key) else { return };
            match entry.leg.poll_output() {
                Output::Cancel => self.endpoint.cancel(now.instant, key),
                Output::HangUp => self.endpoint.hang_up(now.instant, key),
                Output::AnswerOffer(sdp) => self.endpoint.answer_offer(now.instant, key, sdp),
                Output::RejectOffer(status) => {
                    self.endpoint.reject_offer(now.instant, key, status);
                }
                Output::StartMedia(sound) => is_broken = !self.start_media(key, sound),
                Output::ChangeMedia(sound) => {
                    let config = self.stream_config(key, sound);
                    let stream = self.calls.get(&key).and_then(|entry| entry.stream.as_ref());
                    if let Some((stream, config)) = stream.zip(config) {
                        stream.update(config);
                    }
                }
                Output::Play(id, clips) => {
                    entry.playing = entry.stream.as_ref().map(|stream| (id, stream.play(clips)));
                }
                Output::StopPlaying => {
                    entry.playing = None;
                    if let Some(stream) = &entry.stream {
                        stream.stop();
                    }
                }
                Output::StopMedia => self.stop_media(key),
                Output::Event(event) => self.tell(now, key, event),
                Output::Wait(_) if is_broken => {
                    is_broken = false;
                    entry.leg.handle_media(now, MediaEvent::Failed);
                }
                Output::Wait(deadline) => {
                    self.set_deadline(key, deadline);
                    return self.forget_if_over(key);
                }
            }
        }
    }
}

fn endpoint_config(config: &Config, address: SocketAddr, hosts: Vec<IpAddr>) -> endpoint::Config {
    endpoint::Config {
        address,
        user: config.user.clone(),
        user_agent: concat!("mimamori/", env!("CARGO_PKG_VERSION")).to_owned(),
        timers: Timers::RFC3261,
        peers: Peers::Only(hosts),
        // The leg gives up before.
        longest_ringing: Duration::from_mins(3),
        session_interval: config.session_interval,
        reliable_provisionals: ReliableProvisionals::WhereRequired,
        max_ringing: config.max_calls.max(16),
        max_transactions: config.max_calls.saturating_mul(8).max(1024),
        // 端末設備等規則 第32条の4 wants a back-off; Retry-After counts if it is longer.
        registration_backoff: Backoff {
            first: Duration::from_secs(10),
            longest: Duration::from_mins(10),
        },
        registrar: Registrar::Nobody,
    }
}
