//! A case that an urgent answer opened reaches a receiver that first fails, and is sent again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{date, time};
use mimamori::base::clock::timestamp;
use mimamori::base::{Clock, Private};
use mimamori::campaign::pacing::Limits;
use mimamori::escalation::Priority;
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Catalog, Questionnaires};
use mimamori::notify::{self, Webhook, signature};
use mimamori::prompt::Library;
use mimamori::sim::clock::starting_at;
use mimamori::sim::district::{self, District};
use mimamori::sim::{Directory, Persona, Resident, Temper, VirtualCarrier};
use mimamori::store::{CaseFilter, Store};
use mimamori::worker::{self, Progress, Road, Step};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

const SECRET: &str = "an invented secret, 32 bytes long";

/// One request as the receiver read it.
#[derive(Clone, Debug)]
struct Request {
    first_line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Answers the first request with 500 and all others with 200.
async fn receive(listener: TcpListener, requests: mpsc::UnboundedSender<Request>) {
    for n in 0_u32.. {
        let (mut stream, _) = listener.accept().await.expect("somebody calls");
        let mut bytes = Vec::new();
        let request = loop {
            let n = stream.read_buf(&mut bytes).await.expect("the request is sent");
            assert_ne!(n, 0, "the request is cut off");
            if let Some(request) = read(&String::from_utf8_lossy(&bytes)) {
                break request;
            }
        };
        let status = if n == 0 { "500 Internal Server Error" } else { "200 OK" };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("the answer is taken");
        if requests.send(request).is_err() {
            return;
        }
    }
}

/// A whole request; `None` while some of it is on its way.
fn read(text: &str) -> Option<Request> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n").map(str::to_owned);
    let first_line = lines.next()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    (body.len() == length).then(|| Request { first_line, headers, body: body.to_owned() })
}

fn road(
    store: &Store,
    carrier: &Arc<VirtualCarrier>,
    clock: &Clock,
    webhook: Option<Webhook>,
) -> Arc<Road<VirtualCarrier>> {
    Arc::new(Road {
        store: store.clone(),
        carrier: Arc::clone(carrier),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().expect("the rules are built in"),
        clock: clock.clone(),
        webhook,
        config: worker::Config {
            limits: Limits { calls_per_second: 1.0, burst: 1, calls_at_once: 1 },
            ..worker::Config::shipped("webhook".to_owned())
        },
        recordings: None,
        progress: Progress::new(),
    })
}

#[tokio::test(start_paused = true)]
async fn an_urgent_answer_reaches_a_receiver_that_fails_at_first() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let today = date(2026, 11, 24);
    let clock = starting_at(timestamp(today.to_datetime(time(9, 0, 0, 0))));
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("webhook.sqlite");
    let store = Store::open_in_virtual_time(database.to_str().unwrap(), [3; 32]).await.unwrap();
    let district = District::new(&district::Config {
        seed: 1,
        n_patients: 1,
        first_day: today,
        last_day: today,
        call_times: vec![time(9, 0, 0, 0)],
    });
    let household = &district.households[0];
    let now = clock.now().timestamp;
    store.save_health_center(now, &district.health_center).await.unwrap();
    store.import_patient(now, &household.patient, Some(&household.episode)).await.unwrap();
    let born = *household.patient.birth_date.expose();
    let resident = Resident {
        persona: Persona { temper: Temper::Urgent, seed: 1 },
        birth: (born.month(), born.day()).into(),
        first_day: today,
    };
    let number = household.patient.phones[0].number.clone();
    let carrier =
        VirtualCarrier::new(Arc::new(Directory::new([(number, resident)])), clock.clone());
    let carrier = Arc::new(carrier);

    // The call, in virtual time; nobody delivers, so that its messages wait in the outbox.
    let calling = road(&store, &carrier, &clock, None);
    let mut news = calling.progress.watch();
    let (stop, stopped) = watch::channel(false);
    let walking = tokio::spawn(worker::run(calling, stopped));
    while !matches!(news.recv().await.unwrap().step, Step::Ended { .. }) {}
    stop.send_replace(true);
    walking.await.unwrap().unwrap();
    let cases = store.cases(CaseFilter::Unresolved).await.unwrap();
    let [view] = cases.as_slice() else { panic!("one case, not {cases:?}") };
    assert_eq!(view.case.priority, Priority::P1);

    // The delivery, in real time, for the receiver is a real one; as after a restart.
    tokio::time::resume();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, mut requests) = mpsc::unbounded_channel();
    let receiver = tokio::spawn(receive(listener, sender));
    let secret = Private::new(SECRET.to_owned());
    let config = notify::Config {
        url: url.into(),
        secret: secret.clone(),
        timeout: Duration::from_secs(10),
    };
    let delivering = road(&store, &carrier, &clock, Some(Webhook::new(config).unwrap()));
    let (stop, stopped) = watch::channel(false);
    let walking = tokio::spawn(worker::run(delivering, stopped));
    let mut received: Vec<Request> = Vec::new();
    let is_repeated = |all: &[Request]| {
        let id = |request: &Request| request.headers["webhook-id"].clone();
        all.iter().skip(1).any(|request| id(request) == id(&all[0]))
    };
    while !is_repeated(&received) {
        let next = timeout(Duration::from_mins(1), requests.recv()).await;
        received.push(next.expect("the message is sent again").unwrap());
    }
    stop.send_replace(true);
    walking.await.unwrap().unwrap();
    receiver.abort();

    let first = &received[0];
    let mut n_sent: BTreeMap<&str, usize> = BTreeMap::new();
    for request in &received {
        assert_eq!(request.first_line, "POST /hook HTTP/1.1");
        assert_eq!(request.headers["content-type"], "application/json");
        let id = request.headers["webhook-id"].as_str();
        let sent_at: i64 = request.headers["webhook-timestamp"].parse().unwrap();
        let signed = signature(&secret, id, sent_at, &request.body);
        assert_eq!(request.headers["webhook-signature"], signed);
        let age = clock.now().timestamp.as_second() - sent_at;
        assert!((0..120).contains(&age), "sent {age} s ago");
        *n_sent.entry(id).or_default() += 1;
    }
    let first_id = first.headers["webhook-id"].as_str();
    assert!(n_sent.iter().all(|(id, n)| *n == if *id == first_id { 2 } else { 1 }), "{n_sent:?}");

    let bodies: Vec<Value> =
        received.iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect();
    let opened: Vec<&Value> = bodies.iter().filter(|body| body["type"] == "case.opened").collect();
    assert!(!opened.is_empty(), "{bodies:?}");
    for body in &bodies {
        let data = &body["data"];
        assert_eq!(data["case"], view.case.id.to_string());
        let registration_number = household.patient.registration_number.as_str();
        assert_eq!(data["patient"]["registration_number"], registration_number);
        assert!(!data["facts"].as_array().unwrap().is_empty());
        assert!(!body.to_string().contains(household.patient.name.expose()), "no names");
    }
    let last = bodies.last().unwrap();
    assert!(bodies.iter().any(|body| body["data"]["priority"] == "p1"), "{last}");

    // Taken is taken: nothing comes again, however long one waits.
    let much_later = clock.now().timestamp + Duration::from_hours(24);
    let left = store.claim_messages(much_later, Duration::from_secs(1), 16).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}
