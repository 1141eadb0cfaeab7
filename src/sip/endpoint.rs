//! The façade: datagrams in, datagrams and events out.
//!
//! An [`Endpoint`] is a whole SIP user agent without socket, clock or random source. Its driver
//! feeds it with `handle_*` and with commands, and then calls [`Endpoint::poll_output`] until it says
//! [`Output::Wait`]; only then may the driver feed it again.
//!
//! What strangers can make it remember is bounded: requests outside of calls are answered without
//! state, and beyond the caps of [`Config`] everything new is refused with 503.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};

use crate::base::Backoff;
use crate::sip::dialog::Peers;
use crate::sip::header::{CSeq, Headers};
use crate::sip::invite::session_description;
use crate::sip::invite::{ALLOW, Call, CallEvent, CallOutput, InviteRequest, Purpose, SUPPORTED};
use crate::sip::ladder::{Direction, Ladder};
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::parse::Capabilities;
use crate::sip::registration::{Registration, RegistrationEvent};
use crate::sip::registration::{RegistrationOutput, RegistrationRequest};
use crate::sip::timer::{TimerTable, Timers};
use crate::sip::transaction::{ClientFailure, ClientId, ServerId, TableFull, Transactions};
use crate::sip::transaction::{MAGIC_COOKIE, TableOutput};
use crate::sip::uri::{Host, NameAddr, Uri};

/// What a refusal for lack of room asks of the peer, in seconds.
const RETRY_AFTER_OVERLOAD: &str = "5";

/// More ladders than this do not wait for whoever wants them; the oldest go first.
const MAX_LADDERS: usize = 64;

/// How an [`Endpoint`] behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where peers reach us: for Via and Contact.
    pub address: SocketAddr,
    /// The user part of Contact, such as the trunk's account.
    pub user: String,
    /// For User-Agent; empty to say nothing.
    pub user_agent: String,
    /// T1, T2 and T4.
    pub timers: Timers,
    /// Whom we may send to and hear from.
    pub peers: Peers,
    /// How long a call may ring, on either side, before it is given up. At most 3 minutes is usual,
    /// for proxies give up then (timer C, RFC 3261 §16.6).
    pub longest_ringing: Duration,
    /// The session interval to ask for (RFC 4028), at least 90 s; `None` to ask for none.
    pub session_interval: Option<Duration>,
    /// When our provisional responses are reliable.
    pub reliable_provisionals: ReliableProvisionals,
    /// More incoming calls than this may not ring at once.
    pub max_ringing: usize,
    /// When this many server transactions are remembered, new calls are refused. Running calls may
    /// have twice as many.
    pub max_transactions: usize,
    /// The waits between failed registrations.
    pub registration_backoff: Backoff,
    /// Who answers a REGISTER.
    pub registrar: Registrar,
}

/// When provisional responses are sent reliably (RFC 3262).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReliableProvisionals {
    /// When the caller requires it.
    WhereRequired,
    /// When the caller is able to.
    WhereSupported,
}

/// Who answers a REGISTER.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Registrar {
    /// Nobody: 405.
    Nobody,
    /// The user, after [`Event::Register`].
    User,
}

/// Names a call of one endpoint. Never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallKey(u64);

/// Names a registration of one endpoint. Never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RegistrationKey(u64);

/// Names an OPTIONS of one endpoint. Never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProbeKey(u64);

/// Names a REGISTER that waits for its answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RegisterKey(ServerId);

/// An OPTIONS that asks whether somebody is there.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whom to ask.
    pub request_uri: Uri,
    /// Who asks; without a tag.
    pub from: NameAddr,
    /// Where it is sent to.
    pub destination: SocketAddr,
}

/// What became of a [`Probe`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProbeOutcome {
    /// Somebody is there, whatever the final status says.
    Answered {
        /// 200 to 699.
        status: u16,
    },
    /// Nothing came back for 64 × T1.
    TimedOut,
    /// The transport says that the far end cannot be reached.
    TransportFailed,
}

/// What the user should know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A call comes in; 100 was sent. Go on with [`Endpoint::ring`], [`Endpoint::accept`] or
    /// [`Endpoint::reject`].
    Incoming {
        /// Its name from now on.
        call: CallKey,
        /// The INVITE, for whoever wants to know who calls whom.
        request: Box<Request>,
        /// The session description that is offered; `None` if the caller wants our offer.
        offer: Option<Vec<u8>>,
        /// Where the INVITE came from.
        source: SocketAddr,
    },
    /// Something happened to a call.
    Call {
        /// The call.
        call: CallKey,
        /// What happened.
        event: CallEvent,
    },
    /// Something happened to a registration.
    Registration {
        /// The registration.
        registration: RegistrationKey,
        /// What happened.
        event: RegistrationEvent,
    },
    /// Somebody wants to register; only with [`Registrar::User`]. Go on with
    /// [`Endpoint::answer_register`] within 64 × T1.
    Register {
        /// Its name from now on.
        register: RegisterKey,
        /// The REGISTER.
        request: Box<Request>,
        /// Where it came from.
        source: SocketAddr,
    },
    /// What became of an OPTIONS.
    Probed {
        /// The OPTIONS.
        probe: ProbeKey,
        /// What became of it.
        outcome: ProbeOutcome,
    },
}

/// What an [`Endpoint`] asks of its driver.
#[derive(Clone, Debug)]
#[must_use]
pub enum Output {
    /// Send a datagram.
    Transmit {
        /// To whom.
        destination: SocketAddr,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// Tell the user.
    Event(Event),
    /// Nothing more to do until this instant, or for ever if `None`.
    Wait(Option<Instant>),
}

/// How much an endpoint remembers; all zero when nothing is going on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Load {
    /// Calls, including those that only absorb what still arrives.
    pub calls: usize,
    /// Incoming calls that nobody has answered.
    pub ringing: usize,
    /// Transactions of both sides.
    pub transactions: usize,
    /// Registrations.
    pub registrations: usize,
}

/// What all requests of one call have in common, seen from our side.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(in crate::sip) struct DialogKey {
    pub(in crate::sip) call_id: String,
    pub(in crate::sip) local_tag: String,
}

/// One INVITE may reach us on two ways (RFC 3261 §8.2.2.2).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct MergeKey {
    call_id: String,
    from_tag: String,
    cseq: u32,
}

/// The user agent; see the [module docs](self).
#[derive(Debug)]
pub struct Endpoint {
    config: Arc<Config>,
    capabilities: Capabilities,
    rng: StdRng,
    /// Makes the tags of stateless responses: the same for every copy, and not to be guessed.
    tag_secret: [u8; 32],
    next_key: u64,
    transactions: Transactions<Owner>,
    calls: HashMap<CallKey, CallEntry>,
    calls_by_dialog: HashMap<DialogKey, CallKey>,
    calls_by_invite: HashMap<MergeKey, CallKey>,
    registrations: HashMap<RegistrationKey, Registration>,
    deadlines: TimerTable<Timed>,
    ladders: VecDeque<(CallKey, Ladder)>,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct CallEntry {
    ladder: Ladder,
    call: Call,
    dialog: DialogKey,
    merge: Option<MergeKey>,
    /// The transaction of our last INVITE that opened the call, which a CANCEL is for.
    invite: Option<ClientId>,
    /// Transactions in progress; the entry outlives them all.
    n_transactions: usize,
}

/// Whose transaction it is.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Call(CallKey, Purpose),
    /// The peer's request within a call.
    Peer(CallKey),
    Registration(RegistrationKey),
    Probe(ProbeKey),
    /// A REGISTER to us.
    Register,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Timed {
    Call(CallKey),
    Registration(RegistrationKey),
}

/// # Commands of the user
///
/// A command that makes no sense in the state of the call, or a key whose call has ended, changes
/// nothing: such races are normal.
impl Endpoint {
    /// An endpoint whose tags, branches and Call-IDs follow from the seed.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut rng = StdRng::from_seed(seed);
        Self {
            capabilities: config.own_capabilities(),
            tag_secret: rng.random(),
            rng,
            next_key: 0,
            transactions: Transactions::new(config.timers),
            config: Arc::new(config),
            calls: HashMap::new(),
            calls_by_dialog: HashMap::new(),
            calls_by_invite: HashMap::new(),
            registrations: HashMap::new(),
            deadlines: TimerTable::new(),
            ladders: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Places a call.
    pub fn invite(&mut self, now: Instant, invite: InviteRequest) -> CallKey {
        let (call, dialog) = Call::invite(now, Arc::clone(&self.config), self.rng.random(), invite);
        let key = CallKey(self.fresh_key());
        self.insert_call(now, key, call, dialog, None);
        self.drain_call(now, key);
        self.settle(now);
        key
    }

    /// Takes our call back before it is answered. [`CallEvent::Failed`] follows when the far end
    /// has confirmed it, or after 64 × T1.
    pub fn cancel(&mut self, now: Instant, call: CallKey) {
        self.command(now, call, Call::cancel);
    }

    /// Ends a call in whatever way its state asks for: CANCEL, a refusal (480), or BYE.
    pub fn hang_up(&mut self, now: Instant, call: CallKey) {
        self.command(now, call, Call::hang_up);
    }

    /// Sends a provisional response (101 to 199) to a caller, with early media if described.
    pub fn ring(&mut self, now: Instant, call: CallKey, status: u16, sdp: Option<Vec<u8>>) {
        self.command(now, call, |call| call.ring(now, status, sdp));
    }

    /// Answers a caller with 200. [`CallEvent::Acked`] follows: only then speak.
    pub fn accept(&mut self, now: Instant, call: CallKey, sdp: Vec<u8>) {
        self.command(now, call, |call| call.accept(now, sdp));
    }

    /// Refuses a caller with a final response (300 to 699) and further header fields, such as
    /// `Reason: Q.850;cause=17`, Retry-After, or the challenge of a 401 or 407.
    pub fn reject(&mut self, now: Instant, call: CallKey, status: u16, headers: &Headers) {
        self.command(now, call, |call| call.reject(status, headers));
    }

    /// Refuses a caller with the challenge that a
    /// [`Verifier`](crate::sip::auth::Verifier) made for its INVITE. The call is over; the caller's
    /// next INVITE is a new one.
    pub fn challenge(&mut self, now: Instant, call: CallKey, challenge: &Response) {
        let mut headers = Headers::default();
        for name in ["WWW-Authenticate", "Proxy-Authenticate"] {
            headers.copy(name, &challenge.headers);
        }
        self.reject(now, call, challenge.status, &headers);
    }

    /// Answers [`CallEvent::Offer`]; with an offer of ours where the peer asked for one.
    pub fn answer_offer(&mut self, now: Instant, call: CallKey, sdp: Vec<u8>) {
        self.command(now, call, |call| call.answer_offer(now, sdp));
    }

    /// Refuses [`CallEvent::Offer`] (300 to 699, as a rule 488); the session goes on as it was.
    pub fn reject_offer(&mut self, now: Instant, call: CallKey, status: u16) {
        self.command(now, call, |call| call.reject_offer(status));
    }

    /// Offers another session description in a re-INVITE. [`CallEvent::Reanswered`] or
    /// [`CallEvent::ReofferRefused`] follows.
    pub fn reinvite(&mut self, now: Instant, call: CallKey, sdp: Vec<u8>) {
        self.command(now, call, |call| call.reinvite(now, sdp));
    }

    /// Offers another session description in an UPDATE, with the same events.
    pub fn update(&mut self, now: Instant, call: CallKey, sdp: Vec<u8>) {
        self.command(now, call, |call| call.update(now, sdp));
    }

    /// Registers, and stays registered.
    pub fn register(&mut self, now: Instant, registration: RegistrationRequest) -> RegistrationKey {
        let key = RegistrationKey(self.fresh_key());
        let config = Arc::clone(&self.config);
        let machine = Registration::new(config, self.rng.random(), registration);
        self.registrations.insert(key, machine);
        self.drain_registration(now, key);
        self.settle(now);
        key
    }

    /// Takes a registration back. [`RegistrationEvent::Unregistered`] follows.
    pub fn unregister(&mut self, now: Instant, registration: RegistrationKey) {
        if let Some(machine) = self.registrations.get_mut(&registration) {
            machine.unregister();
        }
        self.drain_registration(now, registration);
        self.settle(now);
    }

    /// Answers [`Event::Register`] with a final response and further header fields, such as Contact
    /// with its lifetime, or a challenge.
    pub fn answer_register(
        &mut self,
        now: Instant,
        register: RegisterKey,
        request: &Request,
        status: u16,
        headers: &Headers,
    ) {
        let mut response = request.reply(status);
        response.headers.tag_to(&self.stateless_tag(request));
        for header in headers.iter() {
            response.headers.push(&header.name, header.value.as_slice());
        }
        self.transactions.respond(now, register.0, &response);
        self.settle(now);
    }

    /// Asks with OPTIONS whether somebody is there. [`Event::Probed`] follows.
    pub fn options(&mut self, now: Instant, probe: Probe) -> ProbeKey {
        let key = ProbeKey(self.fresh_key());
        let to = NameAddr::new(probe.request_uri.clone());
        let mut from = probe.from;
        from.params.set("tag", &random_token(&mut self.rng));
        let mut request = Request::new(Method::Options, probe.request_uri);
        request.headers.push("Max-Forwards", "70");
        request.headers.push("From", from.to_wire());
        request.headers.push("To", to.to_wire());
        request.headers.push("Call-ID", random_token(&mut self.rng));
        let cseq = CSeq { number: 1, method: Method::Options };
        request.headers.push("CSeq", cseq.to_wire());
        self.config.describe_us(&mut request.headers);
        request.headers.push("Accept", "application/sdp");
        let branch = self.config.stamp(&mut request, &mut self.rng);
        let owner = Owner::Probe(key);
        self.transactions.request(now, owner, &branch, probe.destination, request);
        self.settle(now);
        key
    }

    /// What was sent and received for a call that is forgotten now, some 32 s after its end. Only the
    /// last 64 wait here.
    pub fn poll_ladder(&mut self) -> Option<(CallKey, Ladder)> {
        self.ladders.pop_front()
    }

    /// How much is remembered.
    pub fn load(&self) -> Load {
        Load {
            calls: self.calls.len(),
            ringing: self.n_ringing(),
            transactions: self.transactions.len(),
            registrations: self.registrations.len(),
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        let deadline = self.transactions.next_deadline().into_iter().chain(self.deadlines.next());
        Output::Wait(deadline.min())
    }
}

/// # What comes from the driver
impl Endpoint {
    /// A datagram has come. One from a stranger is dropped unread; a request that makes no sense is
    /// answered without being remembered.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        // Blank lines keep holes in firewalls open (RFC 5626 §3.5.1).
        if !self.config.peers.admit(source.ip()) || datagram.trim_ascii().is_empty() {
            return;
        }
        match Message::parse(datagram) {
            Ok(Message::Request(request)) => self.handle_request(now, source, request),
            Ok(Message::Response(response)) => {
                let is_ours = response.headers.via().is_ok_and(|via| {
                    via.host.ip() == Some(self.config.address.ip())
                        && via.port.unwrap_or(5060) == self.config.address.port()
                });
                if is_ours {
                    self.transactions.handle_response(now, response);
                }
            }
            Err(error) => {
                if let Some(mut response) = error.response {
                    let destination = mark_source(&mut response.headers, source);
                    self.send_stateless(destination, *response);
                }
            }
        }
        self.settle(now);
    }

    /// The transport says that datagrams do not reach this address, such as by an ICMP error.
    pub fn handle_transport_error(&mut self, now: Instant, destination: SocketAddr) {
        self.transactions.handle_transport_error(now, destination);
        self.settle(now);
    }

    /// The instant of the last [`Output::Wait`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.transactions.handle_timeout(now);
        self.settle(now);
        let mut due = Vec::new();
        while let Some(timed) = self.deadlines.pop_due(now) {
            due.push(timed);
        }
        for timed in due {
            match timed {
                Timed::Call(key) => self.command(now, key, |call| call.handle_timeout(now)),
                Timed::Registration(key) => {
                    if let Some(machine) = self.registrations.get_mut(&key) {
                        machine.handle_timeout(now);
                    }
                    self.drain_registration(now, key);
                    self.settle(now);
                }
            }
        }
    }

    fn handle_request(&mut self, now: Instant, source: SocketAddr, request: Request) {
        let mut request = request;
        let destination = mark_source(&mut request.headers, source);
        let Some(request) = self.transactions.absorb(now, request) else { return };
        if request.method == Method::Ack {
            return self.handle_ack(now, &request);
        }
        if let Err(rejection) = request.validate(&self.capabilities) {
            return self.send_stateless(destination, rejection.response(&request));
        }
        if request.method == Method::Cancel {
            return self.handle_cancel(now, destination, &request);
        }
        let has_tag = request.headers.to().is_ok_and(|to| to.tag().is_some());
        match &request.method {
            _ if has_tag => self.handle_in_dialog(now, destination, request),
            Method::Invite => self.handle_invite(now, source, destination, request),
            Method::Options => {
                let response = self.config.capabilities(&request);
                self.send_stateless(destination, response);
            }
            Method::Register => {
                let Ok(server) = self.accept_new(now, Owner::Register, &request, destination)
                else {
                    return self.refuse_for_load(destination, &request);
                };
                let (register, request) = (RegisterKey(server), Box::new(request));
                self.tell(Event::Register { register, request, source });
            }
            // They make sense within a dialog only.
            _ => self.send_stateless(destination, request.reply(481)),
        }
    }

    fn handle_invite(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        request: Request,
    ) {
        let merge = MergeKey::of(&request);
        if merge.as_ref().is_some_and(|merge| self.calls_by_invite.contains_key(merge)) {
            return self.send_stateless(destination, request.reply(482));
        }
        if self.n_ringing() >= self.config.max_ringing {
            return self.refuse_for_load(destination, &request);
        }
        let config = Arc::clone(&self.config);
        let (call, dialog) = match Call::incoming(now, config, self.rng.random(), &request, source)
        {
            Ok(made) => made,
            Err(refusal) => return self.send_stateless(destination, refusal),
        };
        let key = CallKey(self.fresh_key());
        let Ok(server) = self.accept_new(now, Owner::Peer(key), &request, destination) else {
            return self.refuse_for_load(destination, &request);
        };
        self.insert_call(now, key, call, dialog, merge);
        self.open_peer_transaction(now, key, &request.method);
        let offer = session_description(&request.headers, &request.body);
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.call.open(server, request.clone());
        }
        self.drain_call(now, key);
        self.tell(Event::Incoming { call: key, request: Box::new(request), offer, source });
    }

    /// Opens a transaction for something new, if there is room.
    fn accept_new(
        &mut self,
        now: Instant,
        owner: Owner,
        request: &Request,
        destination: SocketAddr,
    ) -> Result<ServerId, TableFull> {
        self.transactions.accept(now, owner, request, destination, self.config.max_transactions)
    }

    fn handle_in_dialog(&mut self, now: Instant, destination: SocketAddr, request: Request) {
        let found = DialogKey::of(&request).and_then(|key| self.calls_by_dialog.get(&key));
        let Some(&key) = found else {
            return self.send_stateless(destination, request.reply(481));
        };
        let (owner, max) = (Owner::Peer(key), self.config.max_transactions * 2);
        let Ok(server) = self.transactions.accept(now, owner, &request, destination, max) else {
            return self.refuse_for_load(destination, &request);
        };
        self.open_peer_transaction(now, key, &request.method);
        self.command(now, key, |call| call.handle_request(now, server, request));
    }

    fn handle_ack(&mut self, now: Instant, request: &Request) {
        let found = DialogKey::of(request).and_then(|key| self.calls_by_dialog.get(&key));
        if let Some(&key) = found {
            if let Some(entry) = self.calls.get_mut(&key) {
                entry.ladder.note(now, Direction::Received, &Method::Ack, None);
            }
            self.command(now, key, |call| call.handle_ack(now, request));
        }
    }

    fn handle_cancel(&mut self, now: Instant, destination: SocketAddr, request: &Request) {
        let Some((server, Owner::Peer(key))) = self.transactions.cancelled_by(request) else {
            return self.send_stateless(destination, request.reply(481));
        };
        let mut response = request.reply(200);
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.ladder.note(now, Direction::Received, &Method::Cancel, None);
            entry.ladder.note(now, Direction::Sent, &Method::Cancel, Some(200));
            // The tag of To is that of the INVITE's response (§9.2).
            response.headers.tag_to(&entry.dialog.local_tag);
        }
        self.send_stateless(destination, response);
        let q850 = request.headers.q850_cause();
        self.command(now, key, |call| call.handle_cancel(server, q850));
    }
}

/// # Between the machines
impl Endpoint {
    /// Lets one call act, and does what it asks for.
    fn command(&mut self, now: Instant, key: CallKey, act: impl FnOnce(&mut Call)) {
        if let Some(entry) = self.calls.get_mut(&key) {
            act(&mut entry.call);
            self.drain_call(now, key);
            self.settle(now);
        }
    }

    /// Passes what transactions have to say until they have nothing more to say.
    fn settle(&mut self, now: Instant) {
        loop {
            match self.transactions.poll_output() {
                TableOutput::Transmit { destination, bytes } => {
                    self.outputs.push_back(Output::Transmit { destination, bytes });
                }
                TableOutput::Response { owner, response } => {
                    self.on_response(now, owner, &response);
                }
                TableOutput::Failed { owner, failure } => self.on_failure(now, owner, failure),
                TableOutput::Ended { owner } => self.on_transaction_ended(owner),
                TableOutput::Wait => return,
            }
        }
    }

    fn on_response(&mut self, now: Instant, owner: Owner, response: &Response) {
        match owner {
            Owner::Call(key, purpose) => {
                if let Some(entry) = self.calls.get_mut(&key) {
                    let method = response.headers.cseq().map(|cseq| cseq.method);
                    if let Ok(method) = method {
                        let status = Some(response.status);
                        entry.ladder.note(now, Direction::Received, &method, status);
                    }
                    entry.call.handle_response(now, purpose, response);
                }
                self.drain_call(now, key);
            }
            Owner::Registration(key) => {
                if let Some(machine) = self.registrations.get_mut(&key) {
                    machine.handle_response(now, response);
                }
                self.drain_registration(now, key);
            }
            Owner::Probe(probe) if response.is_final() => {
                let outcome = ProbeOutcome::Answered { status: response.status };
                self.tell(Event::Probed { probe, outcome });
            }
            Owner::Probe(_) | Owner::Peer(_) | Owner::Register => {}
        }
    }

    fn on_failure(&mut self, now: Instant, owner: Owner, failure: ClientFailure) {
        match owner {
            Owner::Call(key, purpose) => {
                if let Some(entry) = self.calls.get_mut(&key) {
                    entry.call.handle_failure(now, purpose, failure);
                }
                self.drain_call(now, key);
            }
            Owner::Registration(key) => {
                if let Some(machine) = self.registrations.get_mut(&key) {
                    machine.handle_failure(now, failure);
                }
                self.drain_registration(now, key);
            }
            Owner::Probe(probe) => {
                let outcome = match failure {
                    ClientFailure::TimedOut => ProbeOutcome::TimedOut,
                    ClientFailure::TransportFailed => ProbeOutcome::TransportFailed,
                };
                self.tell(Event::Probed { probe, outcome });
            }
            Owner::Peer(_) | Owner::Register => {}
        }
    }

    fn on_transaction_ended(&mut self, owner: Owner) {
        let (Owner::Call(key, _) | Owner::Peer(key)) = owner else { return };
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.n_transactions -= 1;
            self.forget_if_over(key);
        }
    }

    /// Does what a call asks for.
    fn drain_call(&mut self, now: Instant, key: CallKey) {
        loop {
            let Some(entry) = self.calls.get_mut(&key) else { return };
            match entry.call.poll_output() {
                CallOutput::Request { purpose, branch, destination, request } => {
                    entry.n_transactions += 1;
                    entry.ladder.note(now, Direction::Sent, &request.method, None);
                    let owner = Owner::Call(key, purpose);
                    let client =
                        self.transactions.request(now, owner, &branch, destination, request);
                    if purpose == Purpose::Invite {
                        entry.invite = Some(client);
                    }
                }
                CallOutput::CancelInvite => {
                    let owner = Owner::Call(key, Purpose::Cancel);
                    let invite = entry.invite;
                    if invite.is_some_and(|invite| self.transactions.cancel(now, invite, owner)) {
                        entry.n_transactions += 1;
                        entry.ladder.note(now, Direction::Sent, &Method::Cancel, None);
                    }
                }
                CallOutput::GiveUpInvite => {
                    if let Some(invite) = entry.invite {
                        self.transactions.give_up(now, invite);
                    }
                }
                CallOutput::Respond { server, response } => {
                    if let Ok(cseq) = response.headers.cseq() {
                        let status = Some(response.status);
                        entry.ladder.note(now, Direction::Sent, &cseq.method, status);
                    }
                    self.transactions.respond(now, server, &response);
                }
                CallOutput::Send { destination, bytes } => {
                    entry.ladder.note(now, Direction::Sent, &Method::Ack, None);
                    self.outputs.push_back(Output::Transmit { destination, bytes });
                }
                CallOutput::Event(event) => {
                    self.outputs.push_back(Output::Event(Event::Call { call: key, event }));
                }
                CallOutput::Wait(deadline) => {
                    self.deadlines.set(Timed::Call(key), deadline);
                    return self.forget_if_over(key);
                }
            }
        }
    }

    /// Does what a registration asks for.
    fn drain_registration(&mut self, now: Instant, key: RegistrationKey) {
        loop {
            let Some(machine) = self.registrations.get_mut(&key) else { return };
            match machine.poll_output() {
                RegistrationOutput::Request { branch, destination, request } => {
                    let owner = Owner::Registration(key);
                    self.transactions.request(now, owner, &branch, destination, *request);
                }
                RegistrationOutput::Event(event) => {
                    let event = Event::Registration { registration: key, event };
                    self.outputs.push_back(Output::Event(event));
                }
                RegistrationOutput::Wait(deadline) => {
                    self.deadlines.set(Timed::Registration(key), deadline);
                    if machine.is_over() {
                        self.registrations.remove(&key);
                    }
                    return;
                }
            }
        }
    }

    fn insert_call(
        &mut self,
        now: Instant,
        key: CallKey,
        call: Call,
        dialog: DialogKey,
        merge: Option<MergeKey>,
    ) {
        self.calls_by_dialog.insert(dialog.clone(), key);
        if let Some(merge) = &merge {
            self.calls_by_invite.insert(merge.clone(), key);
        }
        let ladder = Ladder::new(now);
        let entry = CallEntry { ladder, call, dialog, merge, invite: None, n_transactions: 0 };
        self.calls.insert(key, entry);
    }

    /// A request of the peer belongs to that call.
    fn open_peer_transaction(&mut self, now: Instant, key: CallKey, method: &Method) {
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.n_transactions += 1;
            entry.ladder.note(now, Direction::Received, method, None);
        }
    }

    /// Forgets a call that is over once nothing of it can arrive any more.
    fn forget_if_over(&mut self, key: CallKey) {
        let is_over = |entry: &CallEntry| entry.n_transactions == 0 && entry.call.is_over();
        if !self.calls.get(&key).is_some_and(is_over) {
            return;
        }
        if let Some(entry) = self.calls.remove(&key) {
            self.deadlines.set(Timed::Call(key), None);
            self.calls_by_dialog.remove(&entry.dialog);
            if let Some(merge) = &entry.merge {
                self.calls_by_invite.remove(merge);
            }
            if self.ladders.len() == MAX_LADDERS {
                self.ladders.pop_front();
            }
            self.ladders.push_back((key, entry.ladder));
        }
    }

    fn n_ringing(&self) -> usize {
        self.calls.values().filter(|entry| entry.call.is_ringing()).count()
    }

    fn refuse_for_load(&mut self, destination: SocketAddr, request: &Request) {
        let mut response = request.reply(503);
        response.headers.push("Retry-After", RETRY_AFTER_OVERLOAD);
        self.send_stateless(destination, response);
    }

    /// Sends a response that is not remembered (RFC 3261 §8.2.7).
    fn send_stateless(&mut self, destination: SocketAddr, response: Response) {
        let mut response = response;
        let tag = self.stateless_tag_of(&response.headers);
        response.headers.tag_to(&tag);
        let bytes = response.to_bytes().into();
        self.outputs.push_back(Output::Transmit { destination, bytes });
    }

    fn stateless_tag(&self, request: &Request) -> String {
        self.stateless_tag_of(&request.headers)
    }

    /// The same for every copy of a request.
    fn stateless_tag_of(&self, headers: &Headers) -> String {
        let mut hash = Sha256::new();
        hash.update(self.tag_secret);
        for name in ["Call-ID", "From", "CSeq"] {
            hash.update(headers.get(name).unwrap_or_default());
            hash.update([0]);
        }
        hex(&hash.finalize()[..16])
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn fresh_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

impl Config {
    /// Our Contact.
    pub(in crate::sip) fn contact(&self) -> NameAddr {
        let host = Host::from(self.address.ip());
        NameAddr::new(Uri::sip(&self.user, host, Some(self.address.port())))
    }

    /// Who we are and what we can do, for requests and their 2xx.
    pub(in crate::sip) fn describe_us(&self, headers: &mut Headers) {
        headers.push("Contact", self.contact().to_wire());
        headers.push("Allow", ALLOW);
        headers.push("Supported", SUPPORTED);
        if !self.user_agent.is_empty() {
            headers.push("User-Agent", self.user_agent.as_str());
        }
    }

    /// Puts our Via on top of a request; returns its branch.
    pub(in crate::sip) fn stamp(&self, request: &mut Request, rng: &mut StdRng) -> String {
        let branch = format!("{MAGIC_COOKIE}{}", random_token(rng));
        let via = format!("SIP/2.0/UDP {};rport;branch={branch}", self.address);
        request.headers.prepend("Via", via);
        branch
    }

    /// The answer to OPTIONS (RFC 3261 §11.2).
    pub(in crate::sip) fn capabilities(&self, request: &Request) -> Response {
        let mut response = request.reply(200);
        self.describe_us(&mut response.headers);
        response.headers.push("Accept", "application/sdp");
        response
    }

    fn own_capabilities(&self) -> Capabilities {
        let mut methods: Vec<Method> = ALLOW.split(", ").map(Method::from).collect();
        if self.registrar == Registrar::User {
            methods.push(Method::Register);
        }
        let types = ["application/sdp", "application/dtmf-relay", "application/dtmf"];
        Capabilities {
            methods,
            extensions: SUPPORTED.split(", ").map(str::to_owned).collect(),
            content_types: types.into_iter().map(str::to_owned).collect(),
        }
    }
}

impl DialogKey {
    /// Of a request that the peer sends within a dialog.
    fn of(request: &Request) -> Option<Self> {
        let call_id = request.headers.call_id().ok()?.into_owned();
        let local_tag = request.headers.to().ok()?.tag()?.to_owned();
        Some(Self { call_id, local_tag })
    }
}

impl MergeKey {
    fn of(request: &Request) -> Option<Self> {
        let call_id = request.headers.call_id().ok()?.into_owned();
        let from_tag = request.headers.from().ok()?.tag()?.to_owned();
        Some(Self { call_id, from_tag, cseq: request.headers.cseq().ok()?.number })
    }
}

/// Writes down in the topmost Via where a request came from, and says where its responses go
/// (RFC 3261 §18.2, RFC 3581): never anywhere but to the host that it came from.
fn mark_source(headers: &mut Headers, source: SocketAddr) -> SocketAddr {
    let Ok(mut vias) = headers.vias() else { return source };
    let Some(top) = vias.first_mut() else { return source };
    let wants_port = top.params.contains("rport");
    if wants_port {
        top.params.set("rport", &source.port().to_string());
    }
    if wants_port || top.host.ip() != Some(source.ip()) {
        top.params.set("received", &source.ip().to_string());
    }
    let port = if wants_port { source.port() } else { top.port.unwrap_or(5060) };
    headers.remove("Via");
    for via in vias.iter().rev() {
        headers.prepend("Via", via.to_wire());
    }
    SocketAddr::new(source.ip(), port)
}

/// 128 random bits for a tag, a Call-ID or a branch.
pub(in crate::sip) fn random_token(rng: &mut StdRng) -> String {
    hex(&rng.random::<[u8; 16]>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
