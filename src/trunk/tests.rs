//! A trunk against a scripted carrier on loopback: real sockets, real sound, no sleeping.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::*;
use crate::base::{Codec, Digit, Now, PhoneNumber, Private};
use crate::call::media::{Direction, Hints, MediaEvent};
use crate::sdp::{Negotiated, Negotiation};
use crate::sip::auth::{Algorithm, AlgorithmType, Challenger, Verifier};
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::uri::NameAddr;
use crate::trunk::media::{Stream, StreamConfig};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Long enough for any machine; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// A carrier that says what the test wants.
struct Peer {
    socket: UdpSocket,
    trunk: Option<SocketAddr>,
    engine: Engine,
    /// A request that came before it was expected.
    early: Vec<Request>,
}

impl Peer {
    async fn new() -> Self {
        let socket = UdpSocket::bind((LOCAL, 0)).await.unwrap();
        Self { socket, trunk: None, engine: engine(), early: Vec::new() }
    }

    fn config(&self) -> Config {
        let template = |text: &str| text.parse::<Template>().unwrap();
        Config {
            name: "test".to_owned(),
            host: self.socket.local_addr().unwrap().to_string(),
            outbound_proxy: None,
            domain: "trunk.example.jp".to_owned(),
            bind: SocketAddr::new(LOCAL, 0),
            public_ip: None,
            further_hosts: Vec::new(),
            media_networks: Vec::new(),
            user: "trunk7".to_owned(),
            credentials: Some(credentials()),
            registration: None,
            caller: number("03-1111-2222"),
            caller_name: None,
            callee_uri: template("sip:{national}@{domain};user=phone"),
            caller_uri: template("sip:{national}@{domain}"),
            identity: Identity::Asserted(template("tel:{e164}")),
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            max_calls: 10,
            calls_per_second: 100,
            response_timeout: PATIENCE,
            keep_alive: None,
            session_interval: None,
            lead_in: Duration::ZERO,
        }
    }

    async fn receive(&mut self) -> Message {
        let mut buffer = vec![0; 65_535];
        let received = timeout(PATIENCE, self.socket.recv_from(&mut buffer)).await;
        let (length, source) = received.expect("the trunk says something").unwrap();
        self.trunk = Some(source);
        Message::parse(&buffer[..length]).unwrap()
    }

    /// The next request of that method. Repetitions of others are passed over.
    async fn request(&mut self, method: &Method) -> Request {
        if let Some(at) = self.early.iter().position(|request| request.method == *method) {
            return self.early.remove(at);
        }
        loop {
            match self.receive().await {
                Message::Request(request) if request.method == *method => return request,
                Message::Request(request) => self.early.push(request),
                Message::Response(_) => {}
            }
        }
    }

    /// The final response to a request of ours.
    async fn response(&mut self, method: &Method) -> Response {
        loop {
            match self.receive().await {
                Message::Response(response)
                    if response.is_final()
                        && response.headers.cseq().unwrap().method == *method =>
                {
                    return response;
                }
                Message::Request(request) => self.early.push(request),
                Message::Response(_) => {}
            }
        }
    }

    async fn send(&self, message: impl Into<Message>) {
        let trunk = self.trunk.expect("the trunk has spoken");
        self.socket.send_to(&message.into().to_bytes(), trunk).await.unwrap();
    }

    async fn respond(&self, request: &Request, status: u16) {
        self.send(self.reply(request, status)).await;
    }

    fn reply(&self, request: &Request, status: u16) -> Response {
        let mut response = request.reply(status);
        if status > 100 {
            response.headers.tag_to("carrier");
            let contact = NameAddr::new(self.socket.local_addr().unwrap().into());
            response.headers.push("Contact", contact.to_wire());
        }
        response
    }

    /// Answers the INVITE, and lets sound flow.
    async fn answer(&mut self, invite: &Request) -> Patient {
        let port = self.engine.open(LOCAL).unwrap();
        let mut negotiation = Negotiation::new(9, port.local_rtp, vec![Codec::Pcma, Codec::Pcmu]);
        let (sound, answer) = negotiation.handle_offer(&invite.body).unwrap();
        let mut response = self.reply(invite, 200);
        response.headers.push("Content-Type", "application/sdp");
        response.body = answer;
        self.send(response.clone()).await;
        let (hear, heard) = mpsc::unbounded_channel();
        let stream = port.start(sound_config(sound), move |event| {
            let _ = hear.send(event);
        });
        Patient { invite: invite.clone(), response, negotiation, stream, heard, cseq: 50 }
    }

    /// A call that was answered and acknowledged.
    async fn established(&mut self) -> Patient {
        let invite = self.request(&Method::Invite).await;
        let patient = self.answer(&invite).await;
        self.request(&Method::Ack).await;
        patient
    }
}

/// The far end of an answered call.
struct Patient {
    invite: Request,
    response: Response,
    negotiation: Negotiation,
    stream: Stream,
    heard: mpsc::UnboundedReceiver<MediaEvent>,
    cseq: u32,
}

impl Patient {
    /// A request within the call.
    fn request(&mut self, method: &Method) -> Request {
        let target = self.invite.headers.contact().unwrap().unwrap().uri;
        self.cseq += 1;
        let mut request = Request::new(method.clone(), target);
        let branch = format!("SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKc{}", self.cseq);
        request.headers.push("Via", branch);
        request.headers.push("From", self.response.headers.get("To").unwrap());
        request.headers.push("To", self.invite.headers.get("From").unwrap());
        request.headers.push("Call-ID", self.invite.headers.get("Call-ID").unwrap());
        request.headers.push("CSeq", format!("{} {method}", self.cseq));
        request.headers.push("Contact", self.response.headers.get("Contact").unwrap());
        request
    }
}

fn engine() -> Engine {
    Engine::start(&media::Config { threads: 1, ports: 29_000..=32_767 }).unwrap()
}

fn sound_config(sound: Negotiated) -> StreamConfig {
    StreamConfig {
        remote: sound.remote,
        remote_rtcp: sound.remote_rtcp,
        networks: Vec::new(),
        codec: Codec::Pcmu,
        payload_type: sound.payload_type,
        telephone_event: sound.telephone_event,
        our_telephone_event: Some(sound.own_telephone_event),
        direction: Direction::Both,
        lead_in: Duration::ZERO,
        starvation: PATIENCE,
        hints: Hints::Off,
        name: "peer".to_owned(),
    }
}

fn credentials() -> Credentials {
    Credentials { username: "trunk7".to_owned(), password: Private::new("s3cret".to_owned()) }
}

fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the sockets of these tests live in real time")]
fn clock() -> Clock {
    Clock::new(|| Now { instant: Instant::now(), timestamp: jiff::Timestamp::now() })
}

async fn start(config: Config) -> Trunk {
    Trunk::start(config, engine(), clock()).await.unwrap()
}

async fn dial(trunk: &Trunk) -> TrunkLine {
    dial_for(trunk, Duration::from_mins(1)).await
}

async fn dial_for(trunk: &Trunk, ring_timeout: Duration) -> TrunkLine {
    let label = "attempt-1".to_owned();
    trunk
        .dial(DialRequest { callee: number("090-1234-5678"), ring_timeout, label, tap: None })
        .await
}

async fn next(line: &mut TrunkLine) -> LineEvent {
    loop {
        let event = timeout(PATIENCE, line.next_event()).await.expect("the line says something");
        // What is heard between the keys is not what these tests are about.
        if !matches!(event, LineEvent::Heard(_)) {
            return event;
        }
    }
}

async fn ended(line: &mut TrunkLine) -> (Disposition, Option<u16>) {
    match next(line).await {
        LineEvent::Ended(ended) => (ended.disposition, ended.code),
        other => panic!("{other:?} instead of the end"),
    }
}

/// A second of sound.
fn clip() -> Arc<Clip> {
    let sound: Arc<[u8]> = vec![0x55; 8000].into();
    Arc::new(Clip { label: "test".to_owned(), pcmu: Arc::clone(&sound), pcma: sound })
}

async fn wait_for(trunk: &Trunk, wanted: TrunkState) {
    let mut state = trunk.watch();
    let reached = timeout(PATIENCE, state.wait_for(|state| *state == wanted)).await;
    reached.unwrap_or_else(|_| panic!("{:?} instead of {wanted:?}", trunk.state())).unwrap();
}

#[tokio::test]
async fn an_invite_says_who_calls_whom_as_the_carrier_wants_it() {
    let mut peer = Peer::new().await;
    let mut config = peer.config();
    config.caller_name = Some("保健所".to_owned());
    config.outbound_proxy = Some(config.host.clone());
    config.session_interval = Some(Duration::from_mins(30));
    let trunk = start(config).await;
    let _line = dial(&trunk).await;
    let invite = peer.request(&Method::Invite).await;
    let address = trunk.local_addr();
    let secrets = [
        invite.headers.via().unwrap().branch().unwrap().to_owned(),
        invite.headers.from().unwrap().tag().unwrap().to_owned(),
        invite.headers.call_id().unwrap().into_owned(),
        format!("CSeq: {}", invite.headers.cseq().unwrap().number),
    ];
    assert!(secrets[..3].iter().all(|secret| secret.len() >= 32), "128 bits");
    let text = String::from_utf8(invite.to_bytes()).unwrap();
    let head = text.split("\r\n\r\n").next().unwrap().replace('\r', "");
    let head = secrets.iter().fold(head, |head, secret| head.replace(secret.as_str(), "[…]"));
    let head = head.replace(&address.to_string(), "[us]");
    let head = head.replace(&peer.socket.local_addr().unwrap().to_string(), "[proxy]");
    let length = format!("Content-Length: {}", invite.body.len());
    let head = head.replace(&length, "Content-Length: [n]");
    insta::assert_snapshot!(head, @r#"
    INVITE sip:09012345678@trunk.example.jp;user=phone SIP/2.0
    Via: SIP/2.0/UDP [us];rport;branch=[…]
    Max-Forwards: 70
    Route: <sip:[proxy];lr>
    From: "保健所" <sip:0311112222@trunk.example.jp>;tag=[…]
    To: <sip:09012345678@trunk.example.jp;user=phone>
    Call-ID: […]
    […] INVITE
    Contact: <sip:trunk7@[us]>
    Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS
    Supported: 100rel, timer
    User-Agent: mimamori/0.1.0
    Session-Expires: 1800
    Min-SE: 90
    P-Asserted-Identity: <tel:+81311112222>
    Content-Type: application/sdp
    Content-Length: [n]
    "#);
}

#[tokio::test]
async fn an_answered_call_speaks_hears_keys_and_is_ended_by_us() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut line = dial(&trunk).await;
    let invite = peer.request(&Method::Invite).await;
    peer.respond(&invite, 100).await;
    peer.respond(&invite, 183).await;
    peer.respond(&invite, 180).await;
    assert_eq!(next(&mut line).await, LineEvent::Ringing);
    let mut patient = peer.answer(&invite).await;
    peer.request(&Method::Ack).await;
    assert_eq!(next(&mut line).await, LineEvent::Answered);

    line.play(vec![clip()]);
    line.play(vec![clip(), clip()]);
    patient.stream.press(&[Digit::Number(3), Digit::Number(3), Digit::Pound]);
    let mut digits = String::new();
    let mut n_played = 0;
    while digits.len() < 3 || n_played < 1 {
        match next(&mut line).await {
            LineEvent::Digit(digit) => digits += &digit.to_string(),
            LineEvent::PlayEnded => n_played += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((digits.as_str(), n_played), ("33#", 1));

    line.hang_up();
    let bye = peer.request(&Method::Bye).await;
    peer.respond(&bye, 200).await;
    let LineEvent::Ended(end) = next(&mut line).await else { panic!("not ended") };
    assert_eq!((end.disposition, end.code), (Disposition::Answered, Some(200)));
    let timeline = end.timeline;
    assert!(timeline.ringing <= timeline.answered && timeline.answered <= timeline.ended);
    assert!(timeline.ringing.is_some());
    // The sound ended too: RTCP says goodbye.
    loop {
        let event = timeout(PATIENCE, patient.heard.recv()).await.expect("a goodbye");
        if event == Some(MediaEvent::Goodbye) {
            break;
        }
    }
}

#[tokio::test]
async fn a_refusal_tells_what_happened() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    for (status, reason, expected) in [
        (486, None, Disposition::Busy),
        (404, None, Disposition::InvalidNumber),
        (503, None, Disposition::Congestion),
        (480, Some("Q.850;cause=20"), Disposition::Unreachable),
        (603, None, Disposition::Declined),
        (302, None, Disposition::TrunkError),
    ] {
        let mut line = dial(&trunk).await;
        let invite = peer.request(&Method::Invite).await;
        let mut response = peer.reply(&invite, status);
        response.headers.push("Subject", b"M\xfcller".to_vec());
        if let Some(reason) = reason {
            response.headers.push("Reason", reason);
        }
        peer.send(response).await;
        peer.request(&Method::Ack).await;
        assert_eq!(ended(&mut line).await, (expected, Some(status)));
    }
    assert_eq!(trunk.state(), TrunkState::Up);
}

#[tokio::test]
async fn a_telephone_that_rings_too_long_is_let_go() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut line = dial_for(&trunk, Duration::from_millis(100)).await;
    let invite = peer.request(&Method::Invite).await;
    peer.respond(&invite, 180).await;
    assert_eq!(next(&mut line).await, LineEvent::Ringing);
    let cancel = peer.request(&Method::Cancel).await;
    assert_eq!(cancel.uri, invite.uri);
    assert_eq!(cancel.headers.via().unwrap().branch(), invite.headers.via().unwrap().branch());
    peer.respond(&cancel, 200).await;
    peer.respond(&invite, 487).await;
    peer.request(&Method::Ack).await;
    assert_eq!(ended(&mut line).await, (Disposition::NoAnswer, None));
}

#[tokio::test]
async fn an_answer_that_crosses_the_cancel_is_ended_at_once() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut line = dial_for(&trunk, Duration::from_millis(100)).await;
    let invite = peer.request(&Method::Invite).await;
    peer.respond(&invite, 180).await;
    assert_eq!(next(&mut line).await, LineEvent::Ringing);
    let cancel = peer.request(&Method::Cancel).await;
    let _patient = peer.answer(&invite).await;
    peer.respond(&cancel, 200).await;
    peer.request(&Method::Ack).await;
    let bye = peer.request(&Method::Bye).await;
    peer.respond(&bye, 200).await;
    assert_eq!(ended(&mut line).await.0, Disposition::NoAnswer);
}

#[tokio::test]
async fn a_challenge_is_met() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let algorithms = [AlgorithmType::SHA2_256, AlgorithmType::MD5];
    let algorithms = algorithms.map(|algorithm| Algorithm::new(algorithm, false)).to_vec();
    let mut verifier = Verifier::new(Challenger::Proxy, "example.jp", algorithms, credentials(), 9);
    let mut line = dial(&trunk).await;
    let first = peer.request(&Method::Invite).await;
    peer.send(*verifier.verify(&first, "n1").unwrap_err()).await;
    let second = peer.request(&Method::Invite).await;
    assert_eq!(verifier.verify(&second, "n2"), Ok(()));
    assert_eq!(second.headers.cseq().unwrap().number, first.headers.cseq().unwrap().number + 1);
    let _patient = peer.answer(&second).await;
    assert_eq!(next(&mut line).await, LineEvent::Answered);
}

#[tokio::test]
async fn the_far_end_hangs_up() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut line = dial(&trunk).await;
    let mut patient = peer.established().await;
    assert_eq!(next(&mut line).await, LineEvent::Answered);
    peer.send(patient.request(&Method::Bye)).await;
    assert_eq!(peer.response(&Method::Bye).await.status, 200);
    assert_eq!(ended(&mut line).await, (Disposition::Answered, Some(200)));
    // Nothing follows.
    let more = timeout(Duration::from_millis(20), line.next_event()).await;
    assert!(more.is_err());
}

#[tokio::test]
async fn requests_within_a_call_are_answered() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut line = dial(&trunk).await;
    let mut patient = peer.established().await;
    assert_eq!(next(&mut line).await, LineEvent::Answered);
    for method in [Method::Options, Method::Info] {
        peer.send(patient.request(&method)).await;
        assert_eq!(peer.response(&method).await.status, 200, "{method}");
    }
    let offer = String::from_utf8(patient.negotiation.offer()).unwrap();
    for (method, direction) in [(Method::Invite, "sendonly"), (Method::Update, "sendrecv")] {
        let mut request = patient.request(&method);
        request.headers.push("Content-Type", "application/sdp");
        request.body = offer.replace("sendrecv", direction).into_bytes();
        peer.send(request.clone()).await;
        let response = peer.response(&method).await;
        assert_eq!(response.status, 200, "{method}");
        let expected = direction.replace("sendonly", "recvonly");
        assert!(String::from_utf8(response.body).unwrap().contains(&expected), "{method}");
        if method == Method::Invite {
            let mut ack = patient.request(&Method::Ack);
            let number = request.headers.cseq().unwrap().number;
            ack.headers.set("CSeq", format!("{number} ACK"));
            peer.send(ack).await;
        }
    }
    // The hold is over: what is said is heard to its end.
    line.play(vec![clip()]);
    assert_eq!(next(&mut line).await, LineEvent::PlayEnded);
}

#[tokio::test]
async fn dropping_a_line_hangs_up() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut answered = dial(&trunk).await;
    let _patient = peer.established().await;
    assert_eq!(next(&mut answered).await, LineEvent::Answered);
    drop(answered);
    let bye = peer.request(&Method::Bye).await;
    peer.respond(&bye, 200).await;

    let mut ringing = dial(&trunk).await;
    let invite = peer.request(&Method::Invite).await;
    peer.respond(&invite, 180).await;
    assert_eq!(next(&mut ringing).await, LineEvent::Ringing);
    drop(ringing);
    peer.request(&Method::Cancel).await;
}

#[tokio::test]
async fn a_silent_carrier_is_noticed_soon_and_found_again() {
    let mut peer = Peer::new().await;
    let mut config = peer.config();
    config.response_timeout = Duration::from_millis(100);
    config.keep_alive = Some(Duration::from_millis(50));
    let trunk = start(config).await;
    let mut line = dial(&trunk).await;
    assert_eq!(ended(&mut line).await, (Disposition::TrunkError, None));
    assert_eq!(trunk.state(), TrunkState::Down(Outage::Silent));
    // While it is down, nothing is dialled.
    let mut line = dial(&trunk).await;
    assert_eq!(ended(&mut line).await, (Disposition::TrunkError, None));
    let probe = peer.request(&Method::Options).await;
    peer.respond(&probe, 404).await;
    wait_for(&trunk, TrunkState::Up).await;
    let n_invites = peer.early.iter().filter(|request| request.method == Method::Invite).count();
    assert_eq!(n_invites, 1);
}

#[tokio::test]
async fn a_carrier_that_takes_its_time_to_ring_is_waited_for() {
    let mut peer = Peer::new().await;
    let mut config = peer.config();
    config.response_timeout = Duration::from_millis(200);
    let trunk = start(config).await;
    let mut line = dial(&trunk).await;
    let first = peer.request(&Method::Invite).await;
    let algorithms = vec![Algorithm::new(AlgorithmType::MD5, false)];
    let mut verifier = Verifier::new(Challenger::Proxy, "a.jp", algorithms, credentials(), 9);
    peer.send(*verifier.verify(&first, "n1").unwrap_err()).await;
    let invite = peer.request(&Method::Invite).await;
    peer.respond(&invite, 100).await;
    let quiet = timeout(Duration::from_millis(500), line.next_event()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    peer.respond(&invite, 180).await;
    assert_eq!(next(&mut line).await, LineEvent::Ringing);
}

#[tokio::test]
async fn a_closed_port_is_told_at_once() {
    let peer = Peer::new().await;
    let config = peer.config();
    drop(peer);
    let trunk = start(config).await;
    let mut line = dial(&trunk).await;
    assert_eq!(ended(&mut line).await, (Disposition::TrunkError, None));
    assert_eq!(trunk.state(), TrunkState::Down(Outage::Unreachable));
}

#[tokio::test]
async fn caps_are_kept() {
    let mut peer = Peer::new().await;
    let mut config = peer.config();
    config.max_calls = 1;
    let trunk = start(config).await;
    let mut first = dial(&trunk).await;
    let mut second = dial(&trunk).await;
    assert_eq!(ended(&mut second).await, (Disposition::Congestion, None));
    let invite = peer.request(&Method::Invite).await;
    peer.respond(&invite, 486).await;
    assert_eq!(ended(&mut first).await.0, Disposition::Busy);
    let _third = dial(&trunk).await;
    peer.request(&Method::Ack).await;
    let invite = peer.request(&Method::Invite).await;
    peer.respond(&invite, 180).await;
}

#[tokio::test]
async fn no_rewriting_leads_to_a_forbidden_number() {
    let mut peer = Peer::new().await;
    for template in
        ["sip:0570{national}@{domain}", "sip:010{digits}@{domain}", "sip:119;{e164}@{domain}"]
    {
        let mut config = peer.config();
        config.callee_uri = template.parse().unwrap();
        let trunk = start(config).await;
        let mut line = dial(&trunk).await;
        assert_eq!(ended(&mut line).await, (Disposition::InvalidNumber, None), "{template}");
        trunk.stop(Duration::ZERO).await;
    }
    // Nothing has left: the first INVITE is that of a good template.
    let trunk = start(peer.config()).await;
    let _line = dial(&trunk).await;
    let invite = peer.request(&Method::Invite).await;
    assert_eq!(invite.uri.to_wire(), "sip:09012345678@trunk.example.jp;user=phone");
    assert!(peer.early.is_empty());
}

#[tokio::test]
async fn a_template_without_a_number_is_refused() {
    let mut config = Peer::new().await.config();
    config.callee_uri = "sip:trunk7@{domain}".parse().unwrap();
    let refused = Trunk::start(config, engine(), clock()).await;
    assert!(matches!(refused, Err(TrunkError::CalleeTemplate(_))));
}

#[tokio::test]
async fn strangers_are_not_answered() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut line = dial(&trunk).await;
    let mut patient = peer.established().await;
    assert_eq!(next(&mut line).await, LineEvent::Answered);
    // A perfect BYE, but from another host.
    let stranger = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let bye = Message::from(patient.request(&Method::Bye)).to_bytes();
    stranger.send_to(&bye, trunk.local_addr()).await.unwrap();
    // An answer to what was sent later shows that the BYE was read and ignored.
    peer.send(patient.request(&Method::Options)).await;
    assert_eq!(peer.response(&Method::Options).await.status, 200);
    line.play(vec![clip()]);
    assert_eq!(next(&mut line).await, LineEvent::PlayEnded);
    let nothing = stranger.try_recv(&mut [0; 100]);
    assert!(nothing.is_err());
}

#[tokio::test]
async fn a_call_from_outside_is_refused() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    peer.trunk = Some(trunk.local_addr());
    let mut invite = Request::new(Method::Invite, trunk.local_addr().into());
    let source = peer.socket.local_addr().unwrap();
    invite.headers.push("Via", format!("SIP/2.0/UDP {source};branch=z9hG4bKin"));
    invite.headers.push("From", "<sip:0398765432@trunk.example.jp>;tag=1");
    invite.headers.push("To", "<sip:0311112222@trunk.example.jp>");
    invite.headers.push("Call-ID", "in");
    invite.headers.push("CSeq", "1 INVITE");
    invite.headers.push("Contact", format!("<sip:{source}>"));
    peer.send(invite).await;
    assert_eq!(peer.response(&Method::Invite).await.status, 480);
}

#[tokio::test]
async fn a_trunk_that_must_register_is_up_once_it_has() {
    let mut peer = Peer::new().await;
    let mut config = peer.config();
    config.registration = Some(Duration::from_hours(1));
    let trunk = start(config).await;
    assert_eq!(trunk.state(), TrunkState::Starting);
    let mut line = dial(&trunk).await;
    assert_eq!(ended(&mut line).await, (Disposition::TrunkError, None));

    let algorithms = vec![Algorithm::new(AlgorithmType::MD5, true)];
    let mut verifier =
        Verifier::new(Challenger::Server, "example.jp", algorithms, credentials(), 9);
    let first = peer.request(&Method::Register).await;
    assert_eq!(first.uri.to_wire(), "sip:trunk.example.jp");
    peer.send(*verifier.verify(&first, "n1").unwrap_err()).await;
    let second = peer.request(&Method::Register).await;
    assert_eq!(verifier.verify(&second, "n2"), Ok(()));
    assert_eq!(second.headers.expires(), Ok(Some(Duration::from_hours(1))));
    let mut response = second.reply(200);
    response.headers.copy("Contact", &second.headers);
    response.headers.push("Expires", "3600");
    peer.send(response).await;
    wait_for(&trunk, TrunkState::Up).await;

    let stopping = tokio::spawn({
        let trunk = trunk.clone();
        async move { trunk.stop(Duration::ZERO).await }
    });
    let last = peer.request(&Method::Register).await;
    assert_eq!(last.headers.expires(), Ok(Some(Duration::ZERO)));
    peer.respond(&last, 200).await;
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_refused_registration_is_told_with_its_status() {
    let mut peer = Peer::new().await;
    let mut config = peer.config();
    config.registration = Some(Duration::from_hours(1));
    let trunk = start(config).await;
    let register = peer.request(&Method::Register).await;
    peer.respond(&register, 403).await;
    wait_for(&trunk, TrunkState::Down(Outage::Refused { status: 403 })).await;
}

#[tokio::test]
async fn stopping_places_no_more_calls_and_ends_those_that_are_left() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut line = dial(&trunk).await;
    let _patient = peer.established().await;
    assert_eq!(next(&mut line).await, LineEvent::Answered);
    let stopping = tokio::spawn({
        let trunk = trunk.clone();
        async move { trunk.stop(Duration::from_millis(200)).await }
    });
    wait_for(&trunk, TrunkState::Stopping).await;
    let mut late = dial(&trunk).await;
    assert_eq!(ended(&mut late).await, (Disposition::Cancelled, None));
    // The call goes on during the grace.
    line.play(vec![clip()]);
    let bye = peer.request(&Method::Bye).await;
    peer.respond(&bye, 200).await;
    assert_eq!(ended(&mut line).await.0, Disposition::Answered);
    stopping.await.unwrap();
    assert!(peer.early.is_empty());
    let mut too_late = dial(&trunk).await;
    assert_eq!(ended(&mut too_late).await, (Disposition::TrunkError, None));
}

#[tokio::test]
async fn a_line_that_nobody_listens_to_is_given_up() {
    let mut peer = Peer::new().await;
    let trunk = start(peer.config()).await;
    let mut line = dial(&trunk).await;
    let invite = peer.request(&Method::Invite).await;
    let mut response = peer.reply(&invite, 200);
    response.headers.push("Content-Type", "application/sdp");
    // Without telephone events, keys come in INFO.
    let sdp = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n";
    response.body = sdp.into();
    peer.send(response.clone()).await;
    peer.request(&Method::Ack).await;
    let port = peer.engine.open(LOCAL).unwrap();
    let sound =
        Negotiation::new(1, port.local_rtp, vec![Codec::Pcmu]).handle_answer(sdp.as_bytes());
    let stream = port.start(sound_config(sound.unwrap()), |_| {});
    let negotiation = Negotiation::new(1, peer.socket.local_addr().unwrap(), vec![]);
    let (_, heard) = mpsc::unbounded_channel();
    let mut patient = Patient { invite, response, negotiation, stream, heard, cseq: 0 };
    for _ in 0..MAX_UNREAD {
        let mut info = patient.request(&Method::Info);
        info.headers.push("Content-Type", "application/dtmf");
        info.body = b"1".to_vec();
        peer.send(info).await;
        peer.response(&Method::Info).await;
    }
    let bye = peer.request(&Method::Bye).await;
    peer.respond(&bye, 200).await;
    assert_eq!(next(&mut line).await, LineEvent::Answered);
    let mut n_digits = 0;
    while next(&mut line).await == LineEvent::Digit(Digit::Number(1)) {
        n_digits += 1;
    }
    assert_eq!(n_digits, MAX_UNREAD - 1);
}

#[tokio::test]
async fn the_next_server_takes_over() {
    let gone = Peer::new().await;
    let mut peer = Peer::new().await;
    let mut config = peer.config();
    config.host = format!("{}, {}", gone.config().host, config.host);
    config.keep_alive = Some(Duration::from_mins(1));
    drop(gone);
    let trunk = start(config).await;
    // The first probe, or the first call, finds the first server gone.
    wait_for(&trunk, TrunkState::Down(Outage::Unreachable)).await;
    let probe = peer.request(&Method::Options).await;
    peer.respond(&probe, 200).await;
    wait_for(&trunk, TrunkState::Up).await;
    let mut line = dial(&trunk).await;
    let invite = peer.request(&Method::Invite).await;
    peer.respond(&invite, 486).await;
    assert_eq!(ended(&mut line).await.0, Disposition::Busy);
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_told() {
    for host in ["nowhere.invalid", "[::1]:5060"] {
        let mut config = Peer::new().await.config();
        config.host = host.to_owned();
        let refused = Trunk::start(config, engine(), clock()).await.unwrap_err();
        assert!(refused.to_string().contains(host), "{refused}");
    }
}

/// What is written to the log, for all to read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_names_anybody() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // With one subscriber alone, `tracing` lets threads of other tests, which have none, decide
    // whether a line is of interest.
    let _second = tracing::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
    let mut peer = Peer::new().await;
    let mut config = peer.config();
    config.caller_name = Some("Kanzaki".to_owned());
    let trunk = start(config).await;
    let mut line = dial(&trunk).await;
    let invite = peer.request(&Method::Invite).await;
    let algorithms = vec![Algorithm::new(AlgorithmType::MD5, false)];
    let mut verifier = Verifier::new(Challenger::Proxy, "a.jp", algorithms, credentials(), 9);
    peer.send(*verifier.verify(&invite, "n1").unwrap_err()).await;
    let mut patient = peer.established().await;
    assert_eq!(next(&mut line).await, LineEvent::Answered);
    patient.stream.press(&[Digit::Number(7)]);
    assert_eq!(next(&mut line).await, LineEvent::Digit(Digit::Number(7)));
    peer.send(patient.request(&Method::Bye)).await;
    assert_eq!(ended(&mut line).await.0, Disposition::Answered);
    trunk.stop(Duration::ZERO).await;
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("attempt-1") && log.contains("has stopped"), "{log}");
    for secret in ["12345678", "1111", "Kanzaki", "s3cret", "Digit", "INVITE sip"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}
