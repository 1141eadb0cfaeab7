//! The simulated carrier: patients made of code behind real UDP SIP and RTP.
//!
//! A [`SipCarrier`] is a registrar, a gateway and all its subscribers in one task. What a caller
//! says is recognised by its packets (see [`ear`](crate::sim::ear)), so that the persona hears the
//! prompts and nothing else; keys are sent as RFC 4733.
//!
//! ```text
//! datagram ──► Endpoint ──► Incoming ──► Callee ──Answer──► 200 ──ACK──► Stream
//!                                          ▲  └──Press, Sound, HangUp──────┘
//!                                          └──────── Recognizer ◄── packets
//! ```

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time;
use tracing::{debug, info, warn};

use crate::base::{Backoff, Clock, Codec, PhoneNumber, clock};
use crate::call::Clip;
use crate::call::media::{Direction, Ear, Hints, Lane, Statistics};
use crate::rtp::telephone_event::Press;
use crate::sdp::{Negotiated, Negotiation};
use crate::sim::directory::{Call, Directory};
use crate::sim::ear::{Recognized, Recognizer, Repertoire};
use crate::sim::patient::{Callee, Input, KEY_TIME, Output, Seen};
use crate::sim::persona::Refusal;
use crate::sim::sound;
use crate::sip::auth::{Algorithm, AlgorithmType, Challenger, Credentials, Verifier};
use crate::sip::dialog::Peers;
use crate::sip::endpoint::{
    self, CallKey, Endpoint, Event, RegisterKey, Registrar, ReliableProvisionals,
};
use crate::sip::header::Headers;
use crate::sip::invite::CallEvent;
use crate::sip::message::Request;
use crate::sip::timer::Timers;
use crate::sip::uri::Uri;
use crate::trunk::media::{self, Engine, MediaEvent, Port, Stream, StreamConfig};

/// Longer datagrams are no SIP of ours.
const MAX_DATAGRAM: usize = 65_535;

/// Datagrams that are read before anything else is done.
const BATCH: usize = 64;

/// How to run a [`SipCarrier`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen for SIP; port 0 for any free one. Media uses the same address.
    pub address: SocketAddr,
    /// UDP ports for media.
    pub media_ports: RangeInclusive<u16>,
    /// Threads for media.
    pub media_threads: usize,
    /// What callers must prove to register and to call; `None` for a trunk that trusts the address.
    pub credentials: Option<Credentials>,
}

/// The prompts that all callees of a carrier know. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SharedRepertoire(Arc<RwLock<Repertoire>>);

impl SharedRepertoire {
    /// Learns a prompt. Cheap if it is known.
    pub fn learn(&self, clip: &Clip) {
        if !self.0.read().unwrap_or_else(PoisonError::into_inner).knows(clip) {
            self.0.write().unwrap_or_else(PoisonError::into_inner).learn(clip);
        }
    }

    fn hear(&self, recognizer: &mut Recognizer, packet: &[u8]) -> Option<Recognized> {
        recognizer.hear(&self.0.read().unwrap_or_else(PoisonError::into_inner), packet)
    }
}

/// The carrier, as it runs. Dropping it stops it, and cuts all calls.
#[derive(Debug)]
pub struct SipCarrier {
    address: SocketAddr,
    directory: Arc<Directory>,
    repertoire: SharedRepertoire,
    heard: Arc<Mutex<Statistics>>,
    task: JoinHandle<()>,
}

impl SipCarrier {
    /// Binds the socket and starts to serve the telephones of the directory.
    ///
    /// # Errors
    /// The socket cannot be bound, or the media threads cannot be started.
    pub async fn start(
        config: Config,
        directory: Arc<Directory>,
        repertoire: SharedRepertoire,
        clock: Clock,
    ) -> io::Result<Self> {
        let socket = bind(config.address).await?;
        let address = socket.local_addr()?;
        let engine = Engine::start(&media::Config {
            threads: config.media_threads,
            ports: config.media_ports.clone(),
        })?;
        let heard = Arc::new(Mutex::new(Statistics::default()));
        let (reports, reported) = mpsc::unbounded_channel();
        let verifier = |challenger| {
            config.credentials.clone().map(|credentials| {
                let algorithms = vec![
                    Algorithm::new(AlgorithmType::SHA2_256, false),
                    Algorithm::new(AlgorithmType::MD5, false),
                ];
                Verifier::new(challenger, "sim", algorithms, credentials, 1000)
            })
        };
        let switch = Switch {
            endpoint: Endpoint::new(endpoint_config(address), rand::random()),
            registrations: verifier(Challenger::Server),
            calls: verifier(Challenger::Proxy),
            engine,
            address: address.ip(),
            directory: Arc::clone(&directory),
            repertoire: repertoire.clone(),
            heard: Arc::clone(&heard),
            clock,
            extensions: HashMap::new(),
            due: BTreeSet::new(),
            reports,
        };
        info!(%address, "the simulated carrier listens at {address}");
        let task = tokio::spawn(serve(socket, switch, reported));
        Ok(Self { address, directory, repertoire, heard, task })
    }

    /// Where the carrier takes SIP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The telephones, and what was seen of the calls.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// What was counted in the sound of all calls that are over: packets, losses, and the spacing
    /// of the caller's packets as they arrived.
    pub fn heard(&self) -> Statistics {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The prompts that the callees know.
    pub fn repertoire(&self) -> &SharedRepertoire {
        &self.repertoire
    }
}

impl Drop for SipCarrier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).await?;
    // Hundreds of calls may begin in the same moment. Where the kernel grants less, SIP repeats.
    let reference = socket2::SockRef::from(&socket);
    if let Err(error) = reference.set_recv_buffer_size(4 << 20) {
        debug!(%error, "no larger receive buffer: {error}");
    }
    Ok(socket)
}

fn endpoint_config(address: SocketAddr) -> endpoint::Config {
    endpoint::Config {
        address,
        user: "carrier".to_owned(),
        user_agent: "mimamori-sim".to_owned(),
        timers: Timers::RFC3261,
        peers: Peers::Any,
        longest_ringing: Duration::from_mins(3),
        session_interval: None,
        reliable_provisionals: ReliableProvisionals::WhereRequired,
        max_ringing: 10_000,
        max_transactions: 100_000,
        registration_backoff: Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(1),
        },
        registrar: Registrar::User,
    }
}

/// The loop: everything that comes in changes the switch, and then what it wants sent is sent.
async fn serve(
    socket: UdpSocket,
    mut switch: Switch,
    mut reported: mpsc::UnboundedReceiver<(CallKey, Report)>,
) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let deadline = switch.drain(&socket).await;
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let mut received = received;
                for _ in 0..BATCH {
                    match received {
                        Ok((length, source)) => switch.hear(source, &buffer[..length]),
                        // An ICMP error of an earlier datagram: the transactions notice by timer.
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => debug!(%error, "a datagram was not delivered: {error}"),
                    }
                    received = socket.try_recv_from(&mut buffer);
                }
            }
            Some((call, report)) = reported.recv() => switch.note(call, report),
            () = sleep_until(deadline) => switch.wake(),
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// What the media of a call tells.
enum Report {
    Recognized(Recognized),
    Lost,
}

/// The whole exchange.
struct Switch {
    endpoint: Endpoint,
    registrations: Option<Verifier>,
    calls: Option<Verifier>,
    engine: Engine,
    address: IpAddr,
    directory: Arc<Directory>,
    repertoire: SharedRepertoire,
    heard: Arc<Mutex<Statistics>>,
    clock: Clock,
    extensions: HashMap<CallKey, Extension>,
    /// When callees want to act.
    due: BTreeSet<(Instant, CallKey)>,
    reports: mpsc::UnboundedSender<(CallKey, Report)>,
}

/// One call at one telephone.
struct Extension {
    number: PhoneNumber,
    began_at: Timestamp,
    callee: Option<Callee>,
    due: Option<Instant>,
    negotiation: Negotiation,
    agreed: Option<Negotiated>,
    /// What our 200 says: an answer, or an offer where the caller made none.
    description: Vec<u8>,
    sound: Media,
    /// What the callee does before the sound flows.
    waiting: VecDeque<Output>,
}

enum Media {
    Bound(Port),
    Flowing(Stream),
    Over,
}

impl Switch {
    /// Sends what is to be sent, and returns when to wake up.
    async fn drain(&mut self, socket: &UdpSocket) -> Option<Instant> {
        loop {
            match self.endpoint.poll_output() {
                endpoint::Output::Transmit { destination, bytes } => {
                    if let Err(error) = socket.send_to(&bytes, destination).await {
                        debug!(%error, "a datagram was not sent: {error}");
                    }
                }
                endpoint::Output::Event(event) => self.on_event(event),
                endpoint::Output::Wait(deadline) => {
                    let callee = self.due.first().map(|(at, _)| *at);
                    return deadline.into_iter().chain(callee).min();
                }
            }
        }
    }

    fn hear(&mut self, source: SocketAddr, datagram: &[u8]) {
        self.endpoint.handle_datagram(now(), source, datagram);
    }

    fn wake(&mut self) {
        let now = now();
        self.endpoint.handle_timeout(now);
        while let Some((at, call)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, call));
            self.feed(call, Input::Timeout);
        }
    }

    fn note(&mut self, call: CallKey, report: Report) {
        match report {
            Report::Recognized(Recognized::Began(label)) => self.feed(call, Input::Heard(label)),
            Report::Recognized(Recognized::Ended) => self.feed(call, Input::PromptEnded),
            Report::Lost => {
                warn!("the media of a simulated call failed");
                self.endpoint.hang_up(now(), call);
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Incoming { call, request, offer, .. } => self.on_call(call, &request, offer),
            Event::Call { call, event } => self.on_call_event(call, event),
            Event::Register { register, request, .. } => self.on_register(register, &request),
            // We place no calls, register nowhere and ask nobody.
            Event::Registration { .. } | Event::Probed { .. } => {}
        }
    }

    fn on_register(&mut self, register: RegisterKey, request: &Request) {
        if let Some(verifier) = &mut self.registrations
            && let Err(challenge) = verifier.verify(request, &nonce())
        {
            let (status, headers) = (challenge.status, &challenge.headers);
            let mut asked = Headers::default();
            asked.copy("WWW-Authenticate", headers);
            return self.endpoint.answer_register(now(), register, request, status, &asked);
        }
        let lifetime = request.headers.expires().ok().flatten().unwrap_or(Duration::from_hours(1));
        let mut headers = Headers::default();
        headers.copy("Contact", &request.headers);
        headers.push("Expires", lifetime.as_secs().to_string());
        self.endpoint.answer_register(now(), register, request, 200, &headers);
    }

    fn on_call(&mut self, call: CallKey, request: &Request, offer: Option<Vec<u8>>) {
        if let Some(verifier) = &mut self.calls
            && let Err(challenge) = verifier.verify(request, &nonce())
        {
            return self.endpoint.challenge(now(), call, &challenge);
        }
        let Some(number) = called(&request.uri) else {
            return self.refuse(call, Refusal::InvalidNumber);
        };
        let port = match self.engine.open(self.address) {
            Ok(port) => port,
            Err(error) => {
                warn!(%error, "no port for the media of a simulated call: {error}");
                return self.refuse(call, Refusal::CarrierFull);
            }
        };
        let codecs = vec![Codec::Pcmu, Codec::Pcma];
        let mut negotiation =
            Negotiation::new(rand::random::<u32>().into(), port.local_rtp, codecs);
        let (agreed, description) = match offer.map(|offer| negotiation.handle_offer(&offer)) {
            None => (None, negotiation.offer()),
            Some(Ok((agreed, answer))) => (Some(agreed), answer),
            Some(Err(_)) => {
                return self.endpoint.reject(now(), call, 488, &Headers::default());
            }
        };
        let began_at = self.clock.now().timestamp;
        let role = self.directory.arrive(&number, clock::civil(began_at).date());
        let extension = Extension {
            number,
            began_at,
            callee: role.map(Callee::new),
            due: None,
            negotiation,
            agreed,
            description,
            sound: Media::Bound(port),
            waiting: VecDeque::new(),
        };
        let is_somebody = extension.callee.is_some();
        self.extensions.insert(call, extension);
        if is_somebody {
            self.feed(call, Input::Ring);
            // It rings unless it was answered or refused at once.
            if let Some(extension) = self.extensions.get(&call)
                && extension.callee.as_ref().is_some_and(|callee| !callee.seen().answered)
            {
                self.endpoint.ring(now(), call, 180, None);
            }
        } else {
            self.refuse(call, Refusal::InvalidNumber);
        }
    }

    fn on_call_event(&mut self, call: CallKey, event: CallEvent) {
        match event {
            CallEvent::Acked { sdp } => self.on_acked(call, sdp.as_deref()),
            CallEvent::Offer { sdp } => self.on_offer(call, sdp.as_deref()),
            CallEvent::Ended(_) | CallEvent::Failed(_) => self.leave(call),
            CallEvent::Trying
            | CallEvent::Provisional { .. }
            | CallEvent::Answered { .. }
            | CallEvent::OfferWithdrawn
            | CallEvent::Reanswered { .. }
            | CallEvent::ReofferRefused { .. }
            | CallEvent::Info { .. } => {}
        }
    }

    /// The caller knows that we answered: the sound may flow.
    fn on_acked(&mut self, call: CallKey, answer: Option<&[u8]>) {
        let Some(extension) = self.extensions.get_mut(&call) else { return };
        if let Some(answer) = answer {
            extension.agreed = extension.negotiation.handle_answer(answer).ok();
        }
        let Some(agreed) = extension.agreed else {
            return self.endpoint.hang_up(now(), call);
        };
        let Media::Bound(port) = std::mem::replace(&mut extension.sound, Media::Over) else {
            return;
        };
        let ear = Listener {
            call,
            reports: self.reports.clone(),
            repertoire: self.repertoire.clone(),
            recognizer: Recognizer::default(),
            next: None,
        };
        let reports = self.reports.clone();
        let lost = move |event| {
            if event == MediaEvent::Failed {
                // Once the carrier is gone, nobody wants to know.
                let _ = reports.send((call, Report::Lost));
            }
        };
        let stream = port.start_with_ear(stream_config(&agreed), Box::new(ear), lost);
        for output in extension.waiting.drain(..) {
            perform(&stream, output);
        }
        extension.sound = Media::Flowing(stream);
    }

    fn on_offer(&mut self, call: CallKey, offer: Option<&[u8]>) {
        let Some(extension) = self.extensions.get_mut(&call) else { return };
        let description = match offer {
            None => extension.negotiation.offer(),
            Some(offer) => match extension.negotiation.handle_offer(offer) {
                Ok((agreed, answer)) => {
                    extension.agreed = Some(agreed);
                    if let Media::Flowing(stream) = &extension.sound {
                        stream.update(stream_config(&agreed));
                    }
                    answer
                }
                Err(_) => return self.endpoint.reject_offer(now(), call, 488),
            },
        };
        self.endpoint.answer_offer(now(), call, description);
    }

    fn feed(&mut self, call: CallKey, input: Input) {
        let now = now();
        let Some(extension) = self.extensions.get_mut(&call) else { return };
        let Some(callee) = &mut extension.callee else { return };
        callee.handle_input(now, input);
        loop {
            let Some(extension) = self.extensions.get_mut(&call) else { return };
            let Some(callee) = &mut extension.callee else { return };
            match callee.poll_output() {
                Output::Wait(due) => {
                    let before = std::mem::replace(&mut extension.due, due);
                    before.map(|at| self.due.remove(&(at, call)));
                    due.map(|at| self.due.insert((at, call)));
                    return;
                }
                Output::Answer => {
                    let description = extension.description.clone();
                    self.endpoint.accept(now, call, description);
                }
                Output::Refuse(refusal) => self.refuse(call, refusal),
                Output::HangUp => self.endpoint.hang_up(now, call),
                output @ (Output::Press(_) | Output::Sound(..)) => match &extension.sound {
                    Media::Flowing(stream) => perform(stream, output),
                    Media::Bound(_) => extension.waiting.push_back(output),
                    Media::Over => {}
                },
            }
        }
    }

    fn refuse(&mut self, call: CallKey, refusal: Refusal) {
        let mut headers = Headers::default();
        if let Some(cause) = q850(refusal) {
            headers.push("Reason", format!("Q.850;cause={cause}"));
        }
        self.endpoint.reject(now(), call, refusal.status(), &headers);
    }

    fn leave(&mut self, call: CallKey) {
        let Some(mut extension) = self.extensions.remove(&call) else { return };
        if let Media::Flowing(stream) = std::mem::replace(&mut extension.sound, Media::Over) {
            let heard = Arc::clone(&self.heard);
            tokio::spawn(async move {
                let statistics = stream.close().await;
                heard.lock().unwrap_or_else(PoisonError::into_inner).add(&statistics);
            });
        }
        if let Some(at) = extension.due {
            self.due.remove(&(at, call));
        }
        let mut seen = Seen::default();
        if let Some(callee) = &mut extension.callee {
            callee.handle_input(now(), Input::HungUp);
            seen = callee.seen().clone();
        }
        self.directory.leave(Call {
            callee: extension.number,
            began_at: extension.began_at,
            ended_at: self.clock.now().timestamp,
            seen,
        });
    }
}

impl Drop for Switch {
    /// Calls that nobody connects any more are cut; what was seen of them stays known.
    fn drop(&mut self) {
        let ended_at = self.clock.now().timestamp;
        for (_, extension) in self.extensions.drain() {
            self.directory.leave(Call {
                callee: extension.number,
                began_at: extension.began_at,
                ended_at,
                seen: extension.callee.map(|callee| callee.seen().clone()).unwrap_or_default(),
            });
        }
    }
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Switch({} calls)", self.extensions.len())
    }
}

fn perform(stream: &Stream, output: Output) {
    match output {
        Output::Press(digit) => {
            let pause = Duration::from_millis(80);
            stream.press_like(vec![Press { digit, hold: KEY_TIME, pause }]);
        }
        Output::Sound(kind, length) => {
            stream.play(vec![sound::clip(kind, length)]);
        }
        Output::Answer | Output::Refuse(_) | Output::HangUp | Output::Wait(_) => {}
    }
}

/// The number that a Request-URI calls, in whatever form.
fn called(uri: &Uri) -> Option<PhoneNumber> {
    let dialled = match uri {
        Uri::Sip(sip) => sip.user.clone()?,
        Uri::Tel(tel) => tel.dialled(),
        Uri::Other { .. } => return None,
    };
    // A user part may have parameters of its own: 0312345678;phone-context=…
    dialled.split(';').next()?.parse().ok()
}

/// The cause by which the telephone network says it (ITU-T Q.850).
fn q850(refusal: Refusal) -> Option<u8> {
    match refusal {
        Refusal::Busy => Some(17),
        Refusal::InvalidNumber => Some(1),
        Refusal::Declined => Some(21),
        Refusal::Unreachable => Some(20),
        Refusal::CarrierFull => Some(34),
        Refusal::CarrierFails => None,
    }
}

fn stream_config(agreed: &Negotiated) -> StreamConfig {
    StreamConfig {
        remote: agreed.remote,
        remote_rtcp: agreed.remote_rtcp,
        networks: Vec::new(),
        codec: agreed.codec,
        payload_type: agreed.payload_type,
        telephone_event: agreed.telephone_event,
        our_telephone_event: Some(agreed.own_telephone_event),
        direction: if agreed.direction.sends() { Direction::Both } else { Direction::ReceiveOnly },
        lead_in: Duration::from_millis(100),
        starvation: Duration::from_mins(1),
        hints: Hints::Off,
        name: "sim".to_owned(),
    }
}

fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn now() -> Instant {
    time::Instant::now().into_std()
}

/// The ear of one callee, on a thread of the media engine.
struct Listener {
    call: CallKey,
    reports: mpsc::UnboundedSender<(CallKey, Report)>,
    repertoire: SharedRepertoire,
    recognizer: Recognizer,
    /// The timestamp that the next packet should have.
    next: Option<u32>,
}

impl Ear for Listener {
    fn hear(&mut self, lane: Lane, _: Codec, timestamp: u32, payload: &[u8]) {
        if lane == Lane::Ours {
            return;
        }
        let n_samples = u32::try_from(payload.len()).unwrap_or(0);
        if let Some(next) = self.next.replace(timestamp.wrapping_add(n_samples)) {
            let missed = timestamp.wrapping_sub(next) / n_samples.max(1);
            // Further ahead it is another stream, and further back it is late.
            if missed < 500 {
                self.recognizer.miss(usize::try_from(missed).unwrap_or(0));
            }
        }
        if let Some(recognized) = self.repertoire.hear(&mut self.recognizer, payload) {
            // Once the carrier is gone, nobody wants to know.
            let _ = self.reports.send((self.call, Report::Recognized(recognized)));
        }
    }
}
