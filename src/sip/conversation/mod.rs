//! Conversations in virtual time, for tests: an endpoint against a scripted peer, and two endpoints
//! over a bad network.

mod as_callee;
mod as_caller;
mod in_dialog;
mod lossy;
mod register;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::base::{Backoff, Private};
use crate::sip::auth::Credentials;
use crate::sip::dialog::Peers;
use crate::sip::endpoint::{CallKey, Config, Endpoint, Event, Load, Output, ProbeOutcome};
use crate::sip::endpoint::{Registrar, ReliableProvisionals};
use crate::sip::header::Headers;
use crate::sip::invite::{CallEvent, End, Failure, InviteRequest};
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::registration::RegistrationEvent;
use crate::sip::timer::Timers;

/// Where the endpoint under test lives.
const OURS: &str = "192.0.2.1:5060";

/// Where the scripted peer lives.
const THEIRS: &str = "192.0.2.9:5070";

const OFFER: &[u8] = b"v=0 offer";
const ANSWER: &[u8] = b"v=0 answer";

fn config(address: &str) -> Config {
    Config {
        address: address.parse().unwrap(),
        user: "hc".to_owned(),
        user_agent: String::new(),
        timers: Timers::RFC3261,
        peers: Peers::Any,
        longest_ringing: Duration::from_mins(3),
        session_interval: None,
        reliable_provisionals: ReliableProvisionals::WhereRequired,
        max_ringing: 4,
        max_transactions: 64,
        registration_backoff: Backoff {
            first: Duration::from_secs(30),
            longest: Duration::from_mins(30),
        },
        registrar: Registrar::Nobody,
    }
}

fn credentials() -> Credentials {
    let password = Private::new("secret".to_owned());
    Credentials { username: "hc".to_owned(), password }
}

fn invite_request() -> InviteRequest {
    InviteRequest {
        request_uri: "sip:0312345678@ims.example".parse().unwrap(),
        from: "<sip:0333330000@hc.example>".parse().unwrap(),
        to: "<sip:0312345678@ims.example>".parse().unwrap(),
        destination: THEIRS.parse().unwrap(),
        route: Vec::new(),
        credentials: None,
        offer: OFFER.to_vec(),
        headers: Headers::default(),
    }
}

/// One endpoint, whose peer is the test.
struct Bench {
    now: Instant,
    endpoint: Endpoint,
    deadline: Option<Instant>,
    sent: VecDeque<(SocketAddr, Message)>,
    events: VecDeque<Event>,
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "one arbitrary origin; the rest is derived")]
    fn new(config: Config) -> Self {
        let now = Instant::now();
        let mut bench = Self {
            now,
            endpoint: Endpoint::new(config, [7; 32]),
            deadline: None,
            sent: VecDeque::new(),
            events: VecDeque::new(),
        };
        bench.drain();
        bench
    }

    fn with_default() -> Self {
        Self::new(config(OURS))
    }

    /// A bench whose call was placed, with its INVITE.
    fn calling(invite: InviteRequest) -> (Self, CallKey, Request) {
        Self::calling_with(config(OURS), invite)
    }

    fn calling_with(config: Config, invite: InviteRequest) -> (Self, CallKey, Request) {
        let mut bench = Self::new(config);
        let call = bench.act(|endpoint, now| endpoint.invite(now, invite));
        let request = bench.request();
        assert_eq!(request.method, Method::Invite);
        (bench, call, request)
    }

    /// A bench whose call was answered, with its INVITE. The session is named `fork`.
    fn talking(config: Config, headers: &[(&str, &str)]) -> (Self, CallKey, Request) {
        let (mut bench, call, invite) = Self::calling_with(config, invite_request());
        bench.reply(&invite, 200, "fork", headers, ANSWER);
        assert_eq!(bench.request().method, Method::Ack);
        assert_eq!(bench.heard(), "answered 'v=0 answer'");
        (bench, call, invite)
    }

    /// A bench that a call came in to.
    fn called(headers: &[(&str, &str)]) -> (Self, CallKey, Request) {
        Self::called_with(config(OURS), headers)
    }

    fn called_with(config: Config, headers: &[(&str, &str)]) -> (Self, CallKey, Request) {
        let mut bench = Self::new(config);
        let invite = peer_invite(headers);
        bench.receive(&invite);
        assert_eq!(bench.response().status, 100);
        let Some(Event::Incoming { call, .. }) = bench.events.pop_front() else {
            panic!("no call came in");
        };
        (bench, call, invite)
    }

    /// A bench that has taken a call.
    fn taken(config: Config, headers: &[(&str, &str)]) -> (Self, CallKey, Request, Response) {
        let (mut bench, call, invite) = Self::called_with(config, headers);
        bench.act(|endpoint, now| endpoint.accept(now, call, ANSWER.to_vec()));
        let response = bench.response();
        assert_eq!(response.status, 200);
        bench.receive(&peer_ack(&invite, &response));
        assert_eq!(bench.heard(), "acked");
        (bench, call, invite, response)
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let outcome = act(&mut self.endpoint, self.now);
        self.drain();
        outcome
    }

    fn drain(&mut self) {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit { destination, bytes } => {
                    let message = Message::parse(&bytes).expect("we send whole messages");
                    self.sent.push_back((destination, message));
                }
                Output::Event(event) => self.events.push_back(event),
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    break;
                }
            }
        }
    }

    /// Lets time pass, deadlines included.
    fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.deadline.filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.act(Endpoint::handle_timeout);
        }
        self.now = until;
    }

    fn receive(&mut self, request: &Request) {
        self.receive_bytes(THEIRS, &request.to_bytes());
    }

    fn receive_bytes(&mut self, source: &str, bytes: &[u8]) {
        let source = source.parse().unwrap();
        self.act(|endpoint, now| endpoint.handle_datagram(now, source, bytes));
    }

    /// Answers a request of ours as the peer. A tag makes it a fork of its own, with a Contact.
    fn reply(
        &mut self,
        request: &Request,
        status: u16,
        tag: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut response = request.reply(status);
        if !tag.is_empty() {
            response.headers.tag_to(tag);
            response.headers.push("Contact", format!("<sip:{tag}@{THEIRS}>"));
        }
        for (name, value) in headers {
            response.headers.push(name, *value);
        }
        if !body.is_empty() {
            response.headers.push("Content-Type", "application/sdp");
            response.body = body.to_vec();
        }
        self.receive_bytes(THEIRS, &response.to_bytes());
    }

    fn request(&mut self) -> Request {
        self.request_to().1
    }

    /// The next request that was sent, and whereto.
    fn request_to(&mut self) -> (String, Request) {
        match self.sent.pop_front() {
            Some((destination, Message::Request(request))) => (destination.to_string(), request),
            other => panic!("no request but {other:?}"),
        }
    }

    fn response(&mut self) -> Response {
        match self.sent.pop_front() {
            Some((_, Message::Response(response))) => response,
            other => panic!("no response but {other:?}"),
        }
    }

    /// What was sent since the last look, as words such as `INVITE` or `200-BYE`.
    fn said(&mut self) -> String {
        let words = self.sent.drain(..).map(|(_, message)| match message {
            Message::Request(request) => request.method.to_string(),
            Message::Response(response) => {
                format!("{}-{}", response.status, response.headers.cseq().unwrap().method)
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// What the user heard since the last look.
    fn heard(&mut self) -> String {
        self.events.drain(..).map(|event| describe(&event)).collect::<Vec<_>>().join(", ")
    }

    /// Lets everything time out that can, and looks for what was left behind.
    fn assert_forgotten(&mut self) {
        self.pass(120.0);
        assert_eq!(self.endpoint.load(), Load::default());
        assert_eq!(self.deadline, None, "nothing is left to wait for");
    }
}

/// An INVITE from the peer.
fn peer_invite(headers: &[(&str, &str)]) -> Request {
    let mut invite = Request::new(Method::Invite, "sip:hc@192.0.2.1".parse().unwrap());
    let via = format!("SIP/2.0/UDP {THEIRS};rport;branch=z9hG4bKpeer");
    let contact = format!("<sip:gw@{THEIRS}>");
    for (name, value) in [
        ("Via", via.as_str()),
        ("Max-Forwards", "70"),
        ("From", "<sip:0312345678@ims.example>;tag=peer"),
        ("To", "<sip:0333330000@hc.example>"),
        ("Call-ID", "their-call"),
        ("CSeq", "100 INVITE"),
        ("Contact", &contact),
        ("Content-Type", "application/sdp"),
    ] {
        invite.headers.push(name, value);
    }
    for (name, value) in headers {
        invite.headers.set(name, *value);
    }
    invite.body = OFFER.to_vec();
    invite
}

/// The next request of the peer in the dialog that its INVITE opened.
fn peer_request(invite: &Request, response: &Response, method: Method, number: u32) -> Request {
    let mut request = invite.clone();
    request
        .headers
        .set("Via", format!("SIP/2.0/UDP {THEIRS};rport;branch=z9hG4bK{method}{number}"));
    request.headers.remove("To");
    request.headers.copy("To", &response.headers);
    request.headers.set("CSeq", format!("{number} {method}"));
    for name in ["Content-Type", "Require", "Session-Expires", "Supported"] {
        request.headers.remove(name);
    }
    request.method = method;
    request.body.clear();
    request
}

fn peer_ack(invite: &Request, response: &Response) -> Request {
    let number = invite.headers.cseq().unwrap().number;
    peer_request(invite, response, Method::Ack, number)
}

/// A request of the peer in the dialog that our INVITE opened with this fork.
fn callee_request(invite: &Request, fork: &str, method: impl Into<Method>, number: u32) -> Request {
    let method = method.into();
    let mut request = Request::new(method.clone(), "sip:hc@192.0.2.1".parse().unwrap());
    let branch = format!("z9hG4bK{fork}{method}{number}");
    request.headers.push("Via", format!("SIP/2.0/UDP {THEIRS};rport;branch={branch}"));
    let mut response = invite.reply(200);
    response.headers.tag_to(fork);
    request.headers.push("From", response.headers.to().unwrap().to_wire());
    request.headers.push("To", response.headers.from().unwrap().to_wire());
    request.headers.copy("Call-ID", &invite.headers);
    request.headers.push("CSeq", format!("{number} {method}"));
    if matches!(method, Method::Invite | Method::Update) {
        request.headers.push("Contact", format!("<sip:{fork}@{THEIRS}>"));
    }
    request
}

fn with_sdp(request: Request, sdp: &[u8]) -> Request {
    let mut request = request;
    request.headers.push("Content-Type", "application/sdp");
    request.body = sdp.to_vec();
    request
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn describe(event: &Event) -> String {
    match event {
        Event::Incoming { .. } => "incoming".to_owned(),
        Event::Call { event, .. } => describe_call(event),
        Event::Registration { event, .. } => match event {
            RegistrationEvent::Registered { lifetime } => {
                format!("registered {}", lifetime.as_secs())
            }
            RegistrationEvent::Failed { status, .. } => format!("registration failed {status:?}"),
            RegistrationEvent::Unregistered => "unregistered".to_owned(),
        },
        Event::Register { .. } => "register".to_owned(),
        Event::Probed { outcome, .. } => match outcome {
            ProbeOutcome::Answered { status } => format!("probed {status}"),
            ProbeOutcome::TimedOut => "probe timed out".to_owned(),
            ProbeOutcome::TransportFailed => "probe transport failed".to_owned(),
        },
    }
}

fn describe_call(event: &CallEvent) -> String {
    let quoted = |sdp: &Option<Vec<u8>>| {
        sdp.as_deref().map_or(String::new(), |sdp| format!(" '{}'", text(sdp)))
    };
    match event {
        CallEvent::Trying => "trying".to_owned(),
        CallEvent::Provisional { status, sdp, reliable } => {
            let reliably = if *reliable { " reliably" } else { "" };
            format!("{status}{}{reliably}", quoted(sdp))
        }
        CallEvent::Answered { sdp } => format!("answered '{}'", text(sdp)),
        CallEvent::Acked { sdp } => format!("acked{}", quoted(sdp)),
        CallEvent::Offer { sdp } => format!("offer{}", quoted(sdp)),
        CallEvent::OfferWithdrawn => "offer withdrawn".to_owned(),
        CallEvent::Reanswered { sdp } => format!("reanswered '{}'", text(sdp)),
        CallEvent::ReofferRefused { status } => format!("reoffer refused {status}"),
        CallEvent::Info { content_type, body } => format!("info {content_type} '{}'", text(body)),
        CallEvent::Failed(failure) => format!("failed {}", describe_failure(*failure)),
        CallEvent::Ended(end) => match end {
            End::Remote { q850: Some(cause) } => format!("ended by remote, cause {cause}"),
            End::Remote { q850: None } => "ended by remote".to_owned(),
            other => format!("ended {other:?}"),
        },
    }
}

fn describe_failure(failure: Failure) -> String {
    match failure {
        Failure::Refused { status, q850, retry_after } => {
            let cause = q850.map_or(String::new(), |cause| format!(" cause {cause}"));
            let wait = retry_after.map_or(String::new(), |at| format!(" after {at:?}"));
            format!("{status}{cause}{wait}")
        }
        other => format!("{other:?}"),
    }
}
