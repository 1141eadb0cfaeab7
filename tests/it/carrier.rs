//! The simulated carrier over real SIP and RTP on loopback, called by a bare endpoint.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::date;
use mimamori::base::{Backoff, Codec, Digit, PhoneNumber};
use mimamori::call::media::{Direction, Hints};
use mimamori::call::{Clip, FRAME_BYTES};
use mimamori::sdp::{Negotiated, Negotiation};
use mimamori::sim::carrier::Config;
use mimamori::sim::clock::starting_at;
use mimamori::sim::{Call, Directory, Persona, Resident, SharedRepertoire, SipCarrier, Temper};
use mimamori::sip::auth::Credentials;
use mimamori::sip::dialog::Peers;
use mimamori::sip::endpoint::{
    self, CallKey, Endpoint, Event, Output, Registrar, ReliableProvisionals,
};
use mimamori::sip::header::Headers;
use mimamori::sip::invite::{CallEvent, Failure, InviteRequest};
use mimamori::sip::registration::{RegistrationEvent, RegistrationRequest};
use mimamori::sip::timer::Timers;
use mimamori::sip::uri::{Host, NameAddr, Uri};
use mimamori::trunk::media::{self, Engine, MediaEvent, Port, Stream, StreamConfig};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time;

const LOOPBACK: &str = "127.0.0.1:0";

/// A prompt that sounds like nothing, but like no other.
fn clip(label: &str) -> Arc<Clip> {
    let seed = label.bytes().map(u64::from).sum();
    let mut dice = StdRng::seed_from_u64(seed);
    let pcmu: Arc<[u8]> = (0..50 * FRAME_BYTES).map(|_| dice.random()).collect();
    let pcma = pcmu.iter().map(|code| code ^ 0x55).collect();
    Arc::new(Clip { label: label.to_owned(), pcmu, pcma })
}

fn number(index: usize) -> PhoneNumber {
    format!("0901000{index:04}").parse().expect("a mobile number")
}

fn persona(temper: Temper, index: usize) -> Persona {
    Persona { temper, seed: u64::try_from(index).expect("small") }
}

async fn carrier(tempers: &[Temper], credentials: Option<Credentials>) -> SipCarrier {
    let residents = tempers.iter().enumerate().map(|(index, temper)| {
        let persona = persona(*temper, index);
        let first_day = date(2026, 11, 22);
        (number(index), Resident { persona, birth: (7, 5).into(), first_day })
    });
    let repertoire = SharedRepertoire::default();
    for label in ["ask_temperature", "ask_dyspnea"] {
        repertoire.learn(&clip(label));
    }
    let config = Config {
        address: LOOPBACK.parse().expect("an address"),
        media_ports: 22_000..=25_999,
        media_threads: 1,
        credentials,
    };
    let clock = starting_at("2026-11-22T01:00:00Z".parse().expect("a time"));
    SipCarrier::start(config, Arc::new(Directory::new(residents)), repertoire, clock)
        .await
        .expect("the carrier starts")
}

/// The calls as the carrier saw them, by number, once all have ended there too.
async fn seen(carrier: &SipCarrier, n_calls: usize) -> Vec<Call> {
    for _ in 0..500 {
        let mut calls = carrier.directory().calls();
        if calls.len() == n_calls {
            calls.sort_by_key(|call| call.callee.clone());
            return calls;
        }
        time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} of {n_calls} calls have ended", carrier.directory().calls().len());
}

/// One call as the caller sees it.
#[derive(Debug, Default)]
struct Outcome {
    rang: bool,
    answered: bool,
    keys: Vec<Digit>,
    refused: Option<(u16, Option<u8>)>,
    ended: bool,
}

/// A caller who asks every callee for the temperature and for breathlessness.
struct Caller {
    socket: UdpSocket,
    endpoint: Endpoint,
    engine: Engine,
    carrier: SocketAddr,
    credentials: Option<Credentials>,
    calls: HashMap<CallKey, Ongoing>,
    registered: Vec<RegistrationEvent>,
}

struct Ongoing {
    index: usize,
    negotiation: Negotiation,
    port: Option<Port>,
    stream: Option<Stream>,
    outcome: Outcome,
}

impl Caller {
    async fn new(carrier: SocketAddr, credentials: Option<Credentials>) -> Self {
        let socket = UdpSocket::bind(LOOPBACK).await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        let config = endpoint::Config {
            address,
            user: "caller".to_owned(),
            user_agent: String::new(),
            timers: Timers::RFC3261,
            peers: Peers::Any,
            longest_ringing: Duration::from_mins(1),
            session_interval: None,
            reliable_provisionals: ReliableProvisionals::WhereSupported,
            max_ringing: 1,
            max_transactions: 10_000,
            registration_backoff: Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(9),
            },
            registrar: Registrar::Nobody,
        };
        let engine = Engine::start(&media::Config { threads: 1, ports: 26_000..=29_999 });
        Self {
            socket,
            endpoint: Endpoint::new(config, rand::random()),
            engine: engine.expect("the engine starts"),
            carrier,
            credentials,
            calls: HashMap::new(),
            registered: Vec::new(),
        }
    }

    fn uri(&self, user: &str) -> Uri {
        Uri::sip(user, Host::Ip(self.carrier.ip()), Some(self.carrier.port()))
    }

    fn register(&mut self) {
        let registration = RegistrationRequest {
            registrar: Uri::sip("", Host::Ip(self.carrier.ip()), Some(self.carrier.port())),
            address_of_record: NameAddr::new(self.uri("caller")),
            destination: self.carrier,
            route: Vec::new(),
            credentials: self.credentials.clone(),
            lifetime: Duration::from_mins(5),
            headers: Headers::default(),
        };
        self.endpoint.register(now(), registration);
    }

    fn dial(&mut self, index: usize) {
        let port = self.engine.open(self.carrier.ip()).expect("a free port");
        let codecs = vec![Codec::Pcmu, Codec::Pcma];
        let mut negotiation = Negotiation::new(1, port.local_rtp, codecs);
        let offer = negotiation.offer();
        let callee = self.uri(number(index).e164());
        let invite = InviteRequest {
            request_uri: callee.clone(),
            from: NameAddr::new(self.uri("caller")),
            to: NameAddr::new(callee),
            destination: self.carrier,
            route: Vec::new(),
            credentials: self.credentials.clone(),
            offer,
            headers: Headers::default(),
        };
        let call = self.endpoint.invite(now(), invite);
        let (port, stream, outcome) = (Some(port), None, Outcome::default());
        self.calls.insert(call, Ongoing { index, negotiation, port, stream, outcome });
    }

    /// Lives until every call is over and `is_done`.
    async fn run(&mut self, longest: Duration, is_done: impl Fn(&Self) -> bool) -> Vec<Outcome> {
        let (reports, mut reported) = mpsc::unbounded_channel();
        let give_up = time::Instant::now() + longest;
        let mut buffer = vec![0; 65_535];
        loop {
            let deadline = loop {
                match self.endpoint.poll_output() {
                    Output::Transmit { destination, bytes } => {
                        self.socket.send_to(&bytes, destination).await.expect("loopback sends");
                    }
                    Output::Event(Event::Call { call, event }) => {
                        self.on_event(call, event, &reports);
                    }
                    Output::Event(Event::Registration { event, .. }) => {
                        self.registered.push(event);
                    }
                    Output::Event(_) => {}
                    Output::Wait(deadline) => break deadline,
                }
            };
            if self.calls.values().all(|call| call.outcome.ended) && is_done(self) {
                break;
            }
            assert!(time::Instant::now() < give_up, "still going on after {longest:?}");
            let deadline = deadline.map_or(give_up, time::Instant::from).min(give_up);
            tokio::select! {
                Ok((length, source)) = self.socket.recv_from(&mut buffer) => {
                    self.endpoint.handle_datagram(now(), source, &buffer[..length]);
                }
                Some((call, event)) = reported.recv() => self.on_media(call, event),
                () = time::sleep_until(deadline) => self.endpoint.handle_timeout(now()),
            }
        }
        let mut calls: Vec<_> = self.calls.drain().map(|(_, call)| call).collect();
        calls.sort_by_key(|call| call.index);
        calls.into_iter().map(|call| call.outcome).collect()
    }

    fn on_event(
        &mut self,
        call: CallKey,
        event: CallEvent,
        reports: &mpsc::UnboundedSender<(CallKey, MediaEvent)>,
    ) {
        let ongoing = self.calls.get_mut(&call).expect("our call");
        match event {
            CallEvent::Provisional { status, .. } => ongoing.outcome.rang |= status == 180,
            CallEvent::Answered { sdp } => {
                ongoing.outcome.answered = true;
                let agreed = ongoing.negotiation.handle_answer(&sdp).expect("an answer");
                let reports = reports.clone();
                let port = ongoing.port.take().expect("answered once");
                let stream = port.start(stream_config(&agreed), move |event| {
                    // The test may be over.
                    let _ = reports.send((call, event));
                });
                stream.play(vec![clip("ask_temperature")]);
                ongoing.stream = Some(stream);
            }
            CallEvent::Failed(failure) => {
                ongoing.outcome.ended = true;
                if let Failure::Refused { status, q850, .. } = failure {
                    ongoing.outcome.refused = Some((status, q850));
                }
            }
            CallEvent::Ended(_) => {
                ongoing.outcome.ended = true;
                ongoing.stream = None;
            }
            _ => {}
        }
    }

    fn on_media(&mut self, call: CallKey, event: MediaEvent) {
        let Some(ongoing) = self.calls.get_mut(&call) else { return };
        let MediaEvent::Digit(digit) = event else { return };
        ongoing.outcome.keys.push(digit);
        match (ongoing.outcome.keys.len(), &ongoing.stream) {
            (3, Some(stream)) => {
                stream.play(vec![clip("ask_dyspnea")]);
            }
            (4, _) => self.endpoint.hang_up(now(), call),
            _ => {}
        }
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
        direction: Direction::Both,
        lead_in: Duration::from_millis(700),
        starvation: Duration::from_secs(5),
        hints: Hints::Off,
        name: "test".to_owned(),
    }
}

fn now() -> std::time::Instant {
    time::Instant::now().into_std()
}

fn password() -> Credentials {
    let password = "himitsu".to_owned().into();
    Credentials { username: "caller".to_owned(), password }
}

#[tokio::test]
async fn callees_hear_prompts_and_press_keys_over_real_sound() {
    let credentials = Some(password());
    let tempers = [Temper::Prompt, Temper::Breathless, Temper::FeverOnThirdDay];
    let tempers: Vec<Temper> = tempers.into_iter().cycle().take(24).collect();
    let carrier = carrier(&tempers, credentials.clone()).await;
    let mut caller = Caller::new(carrier.address(), credentials).await;
    for index in 0..tempers.len() {
        caller.dial(index);
    }
    let outcomes = caller.run(Duration::from_mins(1), |_| true).await;
    let calls = seen(&carrier, tempers.len()).await;
    for (index, (outcome, call)) in outcomes.iter().zip(&calls).enumerate() {
        let persona = persona(tempers[index], index);
        let temperature = persona.meant(0, "temperature").to_text();
        let dyspnea = if persona.temper == Temper::Breathless { "1" } else { "2" };
        let expected = format!("{temperature}{dyspnea}");
        let arrived: String = outcome.keys.iter().map(ToString::to_string).collect();
        assert_eq!(arrived, expected, "{persona:?}");
        assert_eq!(call.seen.keys, outcome.keys);
        assert_eq!(call.seen.heard, ["ask_temperature", "ask_dyspnea"]);
        assert!(outcome.answered && call.seen.answered);
    }
    assert_eq!(carrier.directory().most_live(), tempers.len());
}

#[tokio::test]
async fn refusals_carry_the_status_and_the_cause() {
    let tempers = [
        Temper::Busy,
        Temper::InvalidNumber,
        Temper::Unreachable,
        Temper::CarrierFull,
        Temper::CarrierFails,
    ];
    let carrier = carrier(&tempers, None).await;
    let mut caller = Caller::new(carrier.address(), None).await;
    // The last number belongs to nobody.
    for index in 0..=tempers.len() {
        caller.dial(index);
    }
    let outcomes = caller.run(Duration::from_secs(30), |_| true).await;
    let refused: Vec<_> = outcomes.iter().map(|outcome| outcome.refused).collect();
    let expected = [
        (486, Some(17)),
        (404, Some(1)),
        (480, Some(20)),
        (503, Some(34)),
        (500, None),
        (404, Some(1)),
    ];
    assert_eq!(refused, expected.map(Some));
    let rang: Vec<_> = outcomes.iter().map(|outcome| outcome.rang).collect();
    assert_eq!(rang, [false, false, true, false, false, false]);
    assert_eq!(seen(&carrier, outcomes.len()).await.len(), outcomes.len());
}

#[tokio::test]
async fn a_call_that_is_taken_back_stops_ringing() {
    let carrier = carrier(&[Temper::Absent], None).await;
    let mut caller = Caller::new(carrier.address(), None).await;
    caller.dial(0);
    let call = *caller.calls.keys().next().expect("one call");
    let ringing = caller.run(Duration::from_secs(1), |_| true);
    let result = time::timeout(Duration::from_millis(500), ringing).await;
    assert!(result.is_err(), "it still rings");
    caller.endpoint.hang_up(now(), call);
    let outcomes = caller.run(Duration::from_secs(10), |_| true).await;
    assert!(outcomes[0].rang && outcomes[0].ended && !outcomes[0].answered);
    let calls = seen(&carrier, 1).await;
    assert!(!calls[0].seen.answered);
}

#[tokio::test]
async fn who_knows_the_password_may_register_and_call() {
    let carrier = carrier(&[Temper::Busy], Some(password())).await;
    let wrong = Credentials { password: "chigau".to_owned().into(), ..password() };
    for (credentials, is_admitted) in [(password(), true), (wrong, false)] {
        let mut caller = Caller::new(carrier.address(), Some(credentials)).await;
        caller.register();
        caller.dial(0);
        let has_heard = |caller: &Caller| !caller.registered.is_empty();
        let outcomes = caller.run(Duration::from_secs(20), has_heard).await;
        let is_registered = matches!(caller.registered[0], RegistrationEvent::Registered { .. });
        assert_eq!(is_registered, is_admitted);
        let status = outcomes[0].refused.map(|(status, _)| status);
        assert_eq!(status, Some(if is_admitted { 486 } else { 407 }));
    }
}
