//! Two endpoints over a network that loses, doubles and reorders, with users who act at random.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use insta::assert_snapshot;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// A network between two endpoints, in virtual time.
struct Network {
    now: Instant,
    /// Datagrams on their way: when they arrive, and a number that keeps them apart.
    flying: BTreeMap<(Instant, u64), Datagram>,
    n_sent: u64,
    /// Things that happened at the same instant.
    n_idle: u32,
    rng: StdRng,
    loss: f64,
    doubling: f64,
    longest_delay: Duration,
    sides: [Side; 2],
    /// What was sent, for humans.
    ladder: Vec<String>,
}

struct Datagram {
    to: usize,
    bytes: Arc<[u8]>,
}

struct Side {
    address: SocketAddr,
    endpoint: Endpoint,
    deadline: Option<Instant>,
    events: VecDeque<Event>,
}

impl Network {
    #[expect(clippy::disallowed_methods, reason = "one arbitrary origin; the rest is derived")]
    fn new(seed: u64, loss: f64, doubling: f64, longest_delay: Duration) -> Self {
        let side = |address: &str, seed| Side {
            address: address.parse().unwrap(),
            endpoint: Endpoint::new(
                Config {
                    reliable_provisionals: ReliableProvisionals::WhereSupported,
                    session_interval: Some(Duration::from_mins(2)),
                    max_ringing: 50,
                    max_transactions: 1000,
                    ..config(address)
                },
                [seed; 32],
            ),
            deadline: None,
            events: VecDeque::new(),
        };
        Self {
            now: Instant::now(),
            flying: BTreeMap::new(),
            n_sent: 0,
            n_idle: 0,
            rng: StdRng::seed_from_u64(seed),
            loss,
            doubling,
            longest_delay,
            sides: [side(OURS, 1), side(THEIRS, 2)],
            ladder: Vec::new(),
        }
    }

    fn act<T>(&mut self, side: usize, act: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let outcome = act(&mut self.sides[side].endpoint, self.now);
        loop {
            match self.sides[side].endpoint.poll_output() {
                Output::Transmit { destination, bytes } => self.transmit(destination, &bytes),
                Output::Event(event) => self.sides[side].events.push_back(event),
                Output::Wait(deadline) => {
                    self.sides[side].deadline = deadline;
                    return outcome;
                }
            }
        }
    }

    fn transmit(&mut self, destination: SocketAddr, bytes: &Arc<[u8]>) {
        let to = self.sides.iter().position(|side| side.address == destination);
        let to = to.expect("nothing is sent to strangers");
        self.ladder.push(text(bytes));
        let n_copies = 1 + usize::from(self.rng.random_bool(self.doubling));
        for _ in 0..n_copies {
            if self.rng.random_bool(self.loss) {
                continue;
            }
            let delay = self.longest_delay.mul_f64(self.rng.random_range(0.0..=1.0));
            self.n_sent += 1;
            let datagram = Datagram { to, bytes: Arc::clone(bytes) };
            self.flying.insert((self.now + delay, self.n_sent), datagram);
        }
    }

    /// Goes to the next thing that happens, but not beyond `until`; says whether there was one.
    fn step(&mut self, until: Instant) -> bool {
        let arrival = self.flying.keys().next().copied();
        let (first, deadline) = (0..2)
            .filter_map(|side| Some((side, self.sides[side].deadline?)))
            .min_by_key(|(_, at)| *at)
            .map_or((0, None), |(side, at)| (side, Some(at)));
        let is_arrival = arrival.is_some_and(|(at, _)| deadline.is_none_or(|other| at <= other));
        let next = if is_arrival { arrival.map(|(at, _)| at) } else { deadline };
        let Some(next) = next.filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.n_idle = if next <= self.now { self.n_idle + 1 } else { 0 };
        assert!(self.n_idle < 1000, "a busy loop");
        self.now = self.now.max(next);
        if is_arrival {
            let (_, datagram) = self.flying.pop_first().unwrap();
            let source = self.sides[1 - datagram.to].address;
            self.act(datagram.to, |endpoint, now| {
                endpoint.handle_datagram(now, source, &datagram.bytes);
            });
        } else {
            self.act(first, Endpoint::handle_timeout);
        }
        true
    }

    fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while self.step(until) {}
    }
}

/// What one side knows of its calls: how they ended, and what was heard before.
#[derive(Default)]
struct Book {
    calls: HashMap<CallKey, Vec<String>>,
}

impl Book {
    fn has_ended(words: &[String]) -> bool {
        words.last().is_some_and(|word| word.starts_with("failed") || word.starts_with("ended"))
    }

    /// Writes an event down, and complains about one that may not come.
    fn note(&mut self, call: CallKey, word: String) {
        let words = self.calls.entry(call).or_default();
        assert!(!Self::has_ended(words), "after its end: {words:?} {word}");
        words.push(word);
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mood {
    /// Offers new sessions, too.
    Busy,
    Calm,
}

/// Users who do at random what users do.
fn live(network: &mut Network, books: &mut [Book; 2], mood: Mood) {
    for (side, book) in books.iter_mut().enumerate() {
        while let Some(event) = network.sides[side].events.pop_front() {
            let call = match &event {
                Event::Incoming { call, .. } => *call,
                Event::Call { call, event } => {
                    book.note(*call, describe_call(event));
                    if let CallEvent::Offer { .. } = event {
                        let call = *call;
                        network.act(side, |endpoint, now| {
                            endpoint.answer_offer(now, call, ANSWER.to_vec());
                        });
                    }
                    continue;
                }
                _ => continue,
            };
            book.note(call, "incoming".to_owned());
            let choice = network.rng.random_range(0..6);
            network.act(side, |endpoint, now| match choice {
                0 => endpoint.reject(now, call, 486, &Headers::default()),
                1 => endpoint.ring(now, call, 180, None),
                2 => {
                    endpoint.ring(now, call, 183, Some(ANSWER.to_vec()));
                    endpoint.ring(now, call, 180, None);
                }
                3 => {
                    endpoint.ring(now, call, 180, None);
                    endpoint.accept(now, call, ANSWER.to_vec());
                }
                _ => endpoint.accept(now, call, ANSWER.to_vec()),
            });
        }
        let open: Vec<CallKey> = book
            .calls
            .iter()
            .filter(|(_, words)| !Book::has_ended(words))
            .map(|(call, _)| *call)
            .collect();
        let mut open = open;
        open.sort_unstable();
        for call in open {
            let choice = network.rng.random_range(0..40);
            network.act(side, |endpoint, now| match choice {
                0 => endpoint.hang_up(now, call),
                1 => endpoint.cancel(now, call),
                2 => endpoint.accept(now, call, ANSWER.to_vec()),
                3 if mood == Mood::Busy => endpoint.reinvite(now, call, OFFER.to_vec()),
                4 if mood == Mood::Busy => endpoint.update(now, call, OFFER.to_vec()),
                _ => {}
            });
        }
    }
}

fn converse(seed: u64, loss: f64, doubling: f64, delay_ms: u64, n_calls: usize) -> [Book; 2] {
    let mut network = Network::new(seed, loss, doubling, Duration::from_millis(delay_ms));
    let mut books = [Book::default(), Book::default()];
    for n in 0..n_calls {
        let side = n % 2;
        let destination = network.sides[1 - side].address;
        let invite = InviteRequest { destination, ..invite_request() };
        let call = network.act(side, |endpoint, now| endpoint.invite(now, invite));
        books[side].calls.insert(call, vec!["invited".to_owned()]);
        network.pass(0.5);
        live(&mut network, &mut books, Mood::Busy);
    }
    for _ in 0..150 {
        network.pass(2.0);
        live(&mut network, &mut books, Mood::Busy);
    }
    // Then everyone hangs up what is still open, and the dust settles.
    for (side, book) in books.iter().enumerate() {
        let mut open: Vec<CallKey> = book.calls.keys().copied().collect();
        open.sort_unstable();
        for call in open {
            network.act(side, |endpoint, now| endpoint.hang_up(now, call));
        }
    }
    for _ in 0..60 {
        network.pass(5.0);
        live(&mut network, &mut books, Mood::Calm);
    }
    for side in 0..2 {
        let side = &network.sides[side];
        assert_eq!(side.endpoint.load(), Load::default(), "something was left behind");
        assert_eq!(side.deadline, None);
    }
    for words in books.iter().flat_map(|book| book.calls.values()) {
        assert!(Book::has_ended(words), "left hanging: {words:?}");
    }
    books
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_call_ends_on_both_sides_and_leaves_nothing_behind(
        seed: u64,
        loss in 0.0..0.5,
        doubling in 0.0..0.5,
        delay_ms in 0u64..2000,
    ) {
        converse(seed, loss, doubling, delay_ms, 6);
    }
}

#[test]
fn without_faults_every_call_is_answered_or_refused_as_the_users_wish() {
    let books = converse(42, 0.0, 0.0, 20, 40);
    let all: Vec<&Vec<String>> = books.iter().flat_map(|book| book.calls.values()).collect();
    let count = |word: &str| {
        all.iter().filter(|words| words.iter().any(|other| other.starts_with(word))).count()
    };
    assert_eq!(all.len(), 80, "each call is known on both sides");
    assert!(count("answered") > 15 && count("failed 486") > 0, "all kinds of calls were tried");
    let is_taken = |words: &&&Vec<String>| {
        words[0] == "incoming" && words.iter().any(|word| word.starts_with("acked"))
    };
    let n_taken = all.iter().filter(is_taken).count();
    // A callee that hangs up before the ACK has arrived hears of none.
    assert!(n_taken <= count("answered") && n_taken > 15, "{n_taken} of {}", count("answered"));
    for fault in ["failed TimedOut", "ended NotAcknowledged", "ended Expired"] {
        assert_eq!(count(fault), 0, "{fault}");
    }
}

#[test]
fn a_ladder_tells_the_call_and_names_nobody() {
    let mut network = Network::new(1, 0.0, 0.0, Duration::ZERO);
    let call = network.act(0, |endpoint, now| endpoint.invite(now, invite_request()));
    network.pass(1.25);
    network.act(0, |endpoint, now| endpoint.cancel(now, call));
    network.pass(200.0);
    let ladders = [0, 1].map(|side: usize| network.sides[side].endpoint.poll_ladder().unwrap().1);
    let ladders = ladders.map(|ladder| ladder.to_string()).join("\n");
    assert_snapshot!(ladders, @r#"
    0.000 ──► INVITE
    0.000 ◄── 100 INVITE
    1.250 ──► CANCEL
    1.250 ◄── 200 CANCEL
    1.250 ◄── 487 INVITE

    0.000 ◄── INVITE
    0.000 ──► 100 INVITE
    1.250 ◄── CANCEL
    1.250 ──► 200 CANCEL
    1.250 ──► 487 INVITE
    "#);
}

/// Runs one call and writes down what was sent.
fn one_call(act: impl FnOnce(&mut Network, CallKey)) -> String {
    let mut network = Network::new(1, 0.0, 0.0, Duration::ZERO);
    let call = network.act(0, |endpoint, now| endpoint.invite(now, invite_request()));
    act(&mut network, call);
    network
        .ladder
        .iter()
        .map(|one| one.trim_end().replace('\r', ""))
        .collect::<Vec<_>>()
        .join("\n---\n")
}

#[test]
fn the_messages_of_one_call() {
    let ladder = one_call(|network, call| {
        network.pass(0.1);
        let Some(Event::Incoming { call: incoming, .. }) = network.sides[1].events.pop_front()
        else {
            panic!("no call came in");
        };
        network.act(1, |endpoint, now| endpoint.ring(now, incoming, 180, None));
        network.pass(0.1);
        network.act(1, |endpoint, now| endpoint.accept(now, incoming, ANSWER.to_vec()));
        network.pass(0.1);
        network.act(0, |endpoint, now| endpoint.hang_up(now, call));
        network.pass(0.1);
    });
    assert_snapshot!(ladder, @r#"
    INVITE sip:0312345678@ims.example SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKe239efaeb8027fa1da050b535eb6d78f
    Max-Forwards: 70
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1905 INVITE
    Contact: <sip:hc@192.0.2.1:5060>
    Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS
    Supported: 100rel, timer
    Session-Expires: 120
    Min-SE: 90
    Content-Type: application/sdp
    Content-Length: 9

    v=0 offer
    ---
    SIP/2.0 100 Trying
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch=z9hG4bKe239efaeb8027fa1da050b535eb6d78f;received=192.0.2.1
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1905 INVITE
    Content-Length: 0
    ---
    SIP/2.0 180 Ringing
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch=z9hG4bKe239efaeb8027fa1da050b535eb6d78f;received=192.0.2.1
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>;tag=39676620aac6e82c8cb118968df260f3
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1905 INVITE
    Contact: <sip:hc@192.0.2.9:5070>
    Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS
    Supported: 100rel, timer
    Require: 100rel
    RSeq: 4285
    Content-Length: 0
    ---
    PRACK sip:hc@192.0.2.9:5070 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK8ce37f84ab318e9e38f0668b83ad0ff1
    Max-Forwards: 70
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>;tag=39676620aac6e82c8cb118968df260f3
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1906 PRACK
    RAck: 4285 1905 INVITE
    Content-Length: 0
    ---
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch=z9hG4bK8ce37f84ab318e9e38f0668b83ad0ff1;received=192.0.2.1
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>;tag=39676620aac6e82c8cb118968df260f3
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1906 PRACK
    Content-Length: 0
    ---
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch=z9hG4bKe239efaeb8027fa1da050b535eb6d78f;received=192.0.2.1
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>;tag=39676620aac6e82c8cb118968df260f3
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1905 INVITE
    Contact: <sip:hc@192.0.2.9:5070>
    Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS
    Supported: 100rel, timer
    Session-Expires: 120;refresher=uac
    Require: timer
    Content-Type: application/sdp
    Content-Length: 10

    v=0 answer
    ---
    ACK sip:hc@192.0.2.9:5070 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK28ac0e2b539bf9b9ad7145e61600858b
    Max-Forwards: 70
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>;tag=39676620aac6e82c8cb118968df260f3
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1905 ACK
    Content-Length: 0
    ---
    BYE sip:hc@192.0.2.9:5070 SIP/2.0
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK50ddbdc657e40da6df4dd41e0631ad2f
    Max-Forwards: 70
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>;tag=39676620aac6e82c8cb118968df260f3
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1907 BYE
    Content-Length: 0
    ---
    SIP/2.0 200 OK
    Via: SIP/2.0/UDP 192.0.2.1:5060;rport=5060;branch=z9hG4bK50ddbdc657e40da6df4dd41e0631ad2f;received=192.0.2.1
    From: <sip:0333330000@hc.example>;tag=caba5a175ef03b4d87f724e3a32d251f
    To: <sip:0312345678@ims.example>;tag=39676620aac6e82c8cb118968df260f3
    Call-ID: 918cf6c3e094af10d5520f37ec44942f
    CSeq: 1907 BYE
    Content-Length: 0
    "#);
}
