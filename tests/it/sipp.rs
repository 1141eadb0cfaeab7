//! A whole interview with SIPp as the patient's telephone, and what tcpdump heard of it there.
//!
//! Neither of them shares a line of code with us: SIPp answers with its own SIP and presses keys
//! with its own RFC 4733, and tcpdump dates our packets by the kernel's clock. Both need root.
//! Where something is missing the test says so and passes, unless `MIMAMORI_REQUIRE_SIPP=1`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, thread};

use jiff::civil::{DateTime, date, time};
use mimamori::audio::{g711, level, pcm};
use mimamori::base::clock::timestamp;
use mimamori::base::{Clock, Language, Private};
use mimamori::call::{Clip, Completion, Disposition, FRAME_BYTES, Respondent};
use mimamori::campaign::SlotState;
use mimamori::campaign::pacing::Limits;
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::session::utterances;
use mimamori::ivr::{Answer, Profile, Questionnaire, Questionnaires, Script, Utterance, YesNo};
use mimamori::observation::Channel;
use mimamori::prompt::{self, Library, Pace};
use mimamori::registry::{Episode, HealthCenter, Patient, PatientPhone, PhoneRole};
use mimamori::rtp::Packet;
use mimamori::sim::clock::starting_at;
use mimamori::store::Store;
use mimamori::trunk::media::{self, Engine};
use mimamori::trunk::{self, Codec, Identity, Trunk};
use mimamori::worker::{self, Progress, Road, Step};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

/// Monday morning in Japan. The first call of a day follows the full script.
const NOW: DateTime = date(2026, 11, 23).at(9, 0, 0, 0);

/// The payload type of events that SIPp's `play_dtmf` has built in, and that its answer names.
const SIPP_EVENT: u8 = 96;

/// What is said, and the keys that follow once all of it was heard.
const INTERVIEW: [(&str, &str); 17] = [
    ("opening:center greeting:name", "1"),
    ("identify", "0705"),
    ("intro ask_temperature", "375"),
    ("readback_temperature:375", "1"),
    ("ask_spo2", "98"),
    ("readback_spo2:98", "1"),
    ("hint_consultation ask_dyspnea keys_yes_no", "2"),
    ("ask_face keys_yes_no", "2"),
    ("ask_consciousness keys_yes_no", "2"),
    ("ask_cannot_eat keys_yes_no", "2"),
    ("ask_no_urine keys_yes_no", "2"),
    ("ask_worse_than_yesterday keys_yes_no", "2"),
    ("ask_fatigue keys_yes_no", "2"),
    ("ask_cough keys_yes_no", "3"),
    ("ask_nausea keys_yes_no", "2"),
    ("ask_diarrhea keys_yes_no", "2"),
    ("ask_medicine_shortage keys_yes_no", "2"),
];

/// What is said at last, before we hang up.
const CLOSING: &str = "thanks closing_next:2026-11-24T09:00:00 closing_phone:03-0000-0000:03-0000-0000 \
    closing_119 goodbye";

/// Nobody is told more than this before the birth date is known.
const BEFORE_IDENTITY: [&str; 3] = ["opening:center", "greeting:name", "identify"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "what was measured is for those who run the tests")]
async fn a_foreign_telephone_hears_every_prompt_and_its_keys_become_observations() {
    if is_left_out("the interview with SIPp") {
        return;
    }
    let center = Center::open().await;
    let words = center.words();
    let mut telephone = Telephone::start(&keys_and_pauses(&words));
    let ear = Ear::start(telephone.media);
    let said: Vec<&str> = INTERVIEW
        .iter()
        .map(|(words, _)| *words)
        .chain([CLOSING])
        .flat_map(str::split_whitespace)
        .collect();
    center.call(telephone.sip, &said).await;
    telephone.assert_content();
    let heard = Heard::read(&ear.stop(), telephone.media);

    let n_left_out = heard.assert_steady();
    println!(
        "{} packets, none lost; spacing {}; {n_left_out} frames left out for want of a processor",
        heard.packets.len(),
        heard.spacing()
    );
    let places = heard.assert_words(&said, &words);
    let keys: String = INTERVIEW.iter().map(|(_, keys)| *keys).collect();
    let pressed: String = heard.keys.iter().map(|(_, key)| *key).collect();
    assert_eq!(pressed, keys, "the keys as SIPp sent them");
    let identified_at = heard.keys[4].0;
    let told: Vec<&str> = places
        .iter()
        .filter(|place| heard.packets[place.frame].at < identified_at)
        .map(|place| place.label.as_str())
        .collect();
    assert_eq!(told, BEFORE_IDENTITY, "what was sent before the birth date was known");

    center.assert_stored().await;
}

// ---------------------------------------------------------------- our side

/// A health centre with one patient who is due.
struct Center {
    store: Store,
    clock: Clock,
    library: Arc<Library>,
    questionnaire: Arc<Questionnaire>,
    patient: Patient,
    _folder: TempDir,
}

impl Center {
    async fn open() -> Self {
        let clock = starting_at(timestamp(NOW));
        let now = clock.now().timestamp;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = folder.path().join("mimamori.sqlite");
        let store = Store::open(database.to_str().expect("UTF-8"), [7; 32]).await.expect("opens");
        let center = HealthCenter {
            id: store.mint(now),
            code: "minato".to_owned(),
            name: "みなと保健所".to_owned(),
            kana: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            opens_at: time(9, 0, 0, 0),
            closes_at: time(18, 0, 0, 0),
        };
        store.save_health_center(now, &center).await.expect("the centre is stored");
        let patient = Patient {
            id: store.mint(now),
            health_center: center.id,
            registration_number: "100001".to_owned(),
            birth_date: Private::new(date(1950, 7, 5)),
            name: Private::new("見本 花子".to_owned()),
            kana: Private::new("ミホン ハナコ".to_owned()),
            gender: None,
            language: Language::Ja,
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: false,
            lives_alone: false,
            risks: Vec::new(),
            phones: vec![PatientPhone {
                number: "090-1000-0001".parse().expect("a number"),
                role: PhoneRole::Mobile,
                may_call: true,
            }],
        };
        let episode = Episode {
            id: store.mint(now),
            patient: patient.id,
            first_day: NOW.date(),
            last_day: date(2026, 11, 27),
            call_times: vec![time(9, 0, 0, 0)],
            arrangement: mimamori::registry::Arrangement::default(),
        };
        store.import_patient(now, &patient, Some(&episode)).await.expect("the patient is stored");
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        let config = prompt::Config { folder: None, cache: Some(cache) };
        let library = Arc::new(Library::open(config).expect("the voice is built in"));
        let questionnaire = questionnaire();
        Self { store, clock, library, questionnaire, patient, _folder: folder }
    }

    /// Everything that may be said, by its label.
    #[expect(clippy::print_stdout, reason = "the first run takes long")]
    fn words(&self) -> Words {
        let profile = Profile {
            health_center: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            family_name: "ミホン".to_owned().into(),
            birth: (7, 5).into(),
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: false,
            script: Script::Full,
            family_may_answer: false,
            answered: Vec::new(),
            next_call: Some(date(2026, 11, 24).at(9, 0, 0, 0)),
            remeasure: None,
            has_open_case: false,
            today: NOW.date(),
            leave_message: false,
            is_recorded: false,
            takes_messages: false,
            takes_help: true,
        };
        let all = utterances(&self.questionnaire, &profile);
        let began = self.clock.now().instant;
        self.library.prepare(&all, Pace::Normal).expect("every prompt can be said");
        let took = self.clock.now().instant - began;
        println!("{} prompts made ready in {:.1} s", all.len(), took.as_secs_f64());
        let clip = |one: &Utterance| self.library.clip(one, Pace::Normal).expect("prepared");
        Words(all.iter().map(|one| (one.to_string(), clip(one))).collect())
    }

    /// Walks the road until the call is over. It must say what is expected.
    async fn call(&self, telephone: SocketAddr, expected: &[&str]) {
        let engine = Engine::start(&media::Config { threads: 1, ports: 20_000..=21_999 });
        let engine = engine.expect("the media thread starts");
        let trunk = Trunk::start(trunk_config(telephone), engine, self.clock.clone()).await;
        let trunk = trunk.expect("the trunk starts");
        let road = Arc::new(Road {
            store: self.store.clone(),
            carrier: Arc::new(trunk.clone()),
            library: Arc::clone(&self.library),
            questionnaires: Questionnaires::shipped(),
            rules: RuleBook::shipped().expect("the rules are built in"),
            clock: self.clock.clone(),
            webhook: None,
            config: worker::Config {
                limits: Limits { calls_per_second: 1.0, burst: 1, calls_at_once: 1 },
                drain: Duration::from_secs(5),
                ..worker::Config::shipped("sipp".to_owned())
            },
            recordings: None,
            progress: Progress::new(),
        });
        let mut news = road.progress.watch();
        let (stop, stopped) = watch::channel(false);
        let walking = tokio::spawn(worker::run(Arc::clone(&road), stopped));
        let mut said: Vec<String> = Vec::new();
        let listening = async {
            loop {
                match news.recv().await.expect("the news are few").step {
                    Step::Saying(words) => {
                        said.extend(words.iter().map(ToString::to_string));
                        assert_eq!(
                            said,
                            expected[..said.len().min(expected.len())],
                            "what is said"
                        );
                    }
                    Step::Ended { .. } => break,
                    _ => {}
                }
            }
        };
        // The longest call lasts eight minutes.
        timeout(Duration::from_mins(9), listening).await.expect("the call ends");
        stop.send_replace(true);
        walking.await.expect("the road does not break off").expect("it ends well");
        trunk.stop(Duration::from_secs(2)).await;
        assert_eq!(said.len(), expected.len(), "all was said");
    }

    async fn assert_stored(&self) {
        let (store, patient) = (&self.store, self.patient.id);
        let since = timestamp(NOW);
        let slots = store.slots_of(patient, NOW.date()).await.expect("the store is there");
        let states: Vec<SlotState> = slots.iter().map(|slot| slot.state).collect();
        assert_eq!(states, [SlotState::Reported]);
        let attempts = store.attempts_of(patient, since).await.expect("the store is there");
        let [attempt] = attempts.as_slice() else { panic!("{attempts:?}") };
        assert_eq!(attempt.disposition, Some(Disposition::Answered));
        assert_eq!(attempt.respondent, Some(Respondent::Patient));
        assert_eq!(attempt.completion, Some(Completion::Complete));

        let transcript = store.transcript(attempt.id).await.expect("the store is there");
        let no = Answer::Choice(YesNo::No);
        let expected = [
            ("temperature", "375 1", Answer::Number(375)),
            ("spo2", "98 1", Answer::Number(98)),
            ("dyspnea", "2", no),
            ("face", "2", no),
            ("consciousness", "2", no),
            ("cannot_eat", "2", no),
            ("no_urine", "2", no),
            ("worse_than_yesterday", "2", no),
            ("fatigue", "2", no),
            ("cough", "3", Answer::Choice(YesNo::Unknown)),
            ("nausea", "2", no),
            ("diarrhea", "2", no),
            ("medicine_shortage", "2", no),
        ];
        let given: Vec<(&str, &str, Answer)> = transcript
            .iter()
            .map(|entry| (entry.question.as_str(), entry.keys.as_str(), entry.answer))
            .collect();
        assert_eq!(given, expected);
        assert!(transcript.iter().all(|entry| entry.asked == 1), "{transcript:?}");

        let end = since + Duration::from_hours(1);
        let observations = store.observations(patient, since, end).await.expect("it is there");
        let observed: Vec<(&str, Answer)> =
            observations.iter().map(|one| (one.code.as_str(), one.value)).collect();
        assert_eq!(observed, expected.map(|(code, _, answer)| (code, answer)));
        for one in &observations {
            assert_eq!(one.respondent, Respondent::Patient, "{}", one.code);
            assert_eq!(one.channel, Channel::OutboundCall, "{}", one.code);
            assert_eq!(one.questionnaire, self.questionnaire.key(), "{}", one.code);
        }
    }
}

fn questionnaire() -> Arc<Questionnaire> {
    Questionnaire::recuperation()
}

fn trunk_config(telephone: SocketAddr) -> trunk::Config {
    trunk::Config {
        name: "sipp".to_owned(),
        host: telephone.to_string(),
        outbound_proxy: None,
        domain: telephone.ip().to_string(),
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        public_ip: None,
        further_hosts: Vec::new(),
        media_networks: Vec::new(),
        user: "minato".to_owned(),
        credentials: None,
        registration: None,
        caller: "03-1234-5678".parse().expect("a number"),
        caller_name: None,
        callee_uri: "sip:{national}@{domain}".parse().expect("a template"),
        caller_uri: "sip:{national}@{domain}".parse().expect("a template"),
        identity: Identity::None,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        max_calls: 1,
        calls_per_second: 2,
        response_timeout: Duration::from_secs(4),
        keep_alive: None,
        session_interval: None,
        lead_in: Duration::from_millis(700),
    }
}

/// Clips by their label.
struct Words(BTreeMap<String, Arc<Clip>>);

impl Words {
    fn clip(&self, label: &str) -> &Clip {
        self.0.get(label).unwrap_or_else(|| panic!("{label} was not made ready"))
    }

    /// How long it takes to say these.
    fn duration(&self, labels: &str) -> Duration {
        labels.split_whitespace().map(|label| self.clip(label).duration()).sum()
    }
}

// ---------------------------------------------------------------- the patient's side

/// The keys of the interview as steps of SIPp's scenario. Each is pressed a second after the words
/// before it are over, as somebody does who first listens.
fn keys_and_pauses(words: &Words) -> String {
    /// From the order to press keys until SIPp sends the first.
    const ORDER: Duration = Duration::from_millis(780);
    /// From one key to the next.
    const KEY: Duration = Duration::from_millis(400);
    const THINKS: Duration = Duration::from_millis(220);
    let mut steps = String::new();
    // We listen for a second before we greet.
    let mut silence = Duration::from_secs(1);
    for (labels, keys) in INTERVIEW {
        let pause = silence + words.duration(labels) + THINKS;
        let n_keys = u32::try_from(keys.len()).expect("few keys");
        writeln!(
            steps,
            "<pause milliseconds=\"{}\"/>\n<nop><action><exec play_dtmf=\"{keys}\"/></action></nop>",
            pause.as_millis()
        )
        .expect("strings take all");
        silence = ORDER + KEY * (n_keys - 1);
    }
    steps
}

/// A program that ends with the test, however the test ends.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// SIPp, waiting for our call.
struct Telephone {
    sip: SocketAddr,
    media: u16,
    program: Program,
    folder: TempDir,
}

impl Telephone {
    fn start(steps: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let scenario = folder.path().join("patient.xml");
        let text = include_str!("../peers/patient.xml");
        assert!(text.contains("KEYS"), "the scenario has no place for keys");
        fs::write(&scenario, text.replace("KEYS", steps)).expect("the folder is ours");
        let sip = SocketAddr::from((Ipv4Addr::LOCALHOST, free_ports(1)));
        let media = free_ports(4);
        let printed = fs::File::create(folder.path().join("printed")).expect("the folder is ours");
        let child = Command::new("sipp")
            .arg("-sf")
            .arg(&scenario)
            .args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-m", "1", "-nostdin"])
            .args(["-p", &sip.port().to_string(), "-mp", &media.to_string()])
            .args(["-timeout", "600", "-timeout_error", "-trace_err", "-error_file", "errors"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(printed.try_clone().expect("a file"))
            .stderr(printed)
            .spawn()
            .expect("SIPp starts");
        let telephone = Self { sip, media, program: Program(child), folder };
        for _ in 0..200 {
            if UdpSocket::bind(sip).is_err() {
                return telephone;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("SIPp does not listen: {}", telephone.complaints());
    }

    /// SIPp saw every step of its scenario.
    fn assert_content(&mut self) {
        for _ in 0..200 {
            if let Some(status) = self.program.0.try_wait().expect("SIPp is ours") {
                assert!(status.success(), "SIPp: {status}: {}", self.complaints());
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("SIPp does not end: {}", self.complaints());
    }

    fn complaints(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        format!("{}\n{}", read("errors"), read("printed"))
    }
}

/// The first of `n` neighbouring UDP ports that nobody uses; an even number.
fn free_ports(n: u16) -> u16 {
    let is_free = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    for _ in 0..100 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
        let port = socket.local_addr().expect("bound").port() & !1;
        drop(socket);
        if port < u16::MAX - n && (port..port + n).all(is_free) {
            return port;
        }
    }
    panic!("no free ports");
}

// ---------------------------------------------------------------- what is heard there

/// tcpdump at the patient's telephone.
struct Ear {
    program: Program,
    heard: thread::JoinHandle<Vec<u8>>,
    said: thread::JoinHandle<String>,
}

impl Ear {
    fn start(media: u16) -> Self {
        let mut child = Command::new("tcpdump")
            .args(["-i", "lo", "-n", "-U", "--immediate-mode", "-B", "8192", "-w", "-"])
            .arg(format!("udp port {media}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tcpdump starts");
        let mut packets = child.stdout.take().expect("piped");
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        let mut first = String::new();
        while !first.contains("listening on") {
            assert!(said.read_line(&mut first).is_ok_and(|n| n > 0), "tcpdump: {first}");
        }
        let heard = thread::spawn(move || {
            let mut bytes = Vec::new();
            packets.read_to_end(&mut bytes).expect("a pipe can be read");
            bytes
        });
        let said = thread::spawn(move || {
            let mut text = String::new();
            said.read_to_string(&mut text).expect("a pipe can be read");
            text
        });
        Self { program: Program(child), heard, said }
    }

    /// The capture.
    fn stop(mut self) -> Vec<u8> {
        // The kernel hands over what it holds within moments.
        thread::sleep(Duration::from_millis(500));
        let pid = self.program.0.id().to_string();
        let stopped = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(stopped.success(), "tcpdump had ended");
        self.program.0.wait().expect("tcpdump ends");
        let said = self.said.join().expect("tcpdump's text is read");
        assert!(said.contains("\n0 packets dropped by kernel"), "tcpdump missed some: {said}");
        self.heard.join().expect("the capture is read")
    }
}

/// The sound of one call as it reached the telephone, and the keys as they left it.
struct Heard {
    packets: Vec<Sound>,
    keys: Vec<(Duration, char)>,
}

/// One packet of ours.
struct Sound {
    at: Duration,
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    payload: Vec<u8>,
}

/// Where an utterance was found.
struct Place {
    label: String,
    frame: usize,
}

impl Heard {
    /// Reads a capture with Ethernet headers, as tcpdump writes it on the loopback device.
    fn read(capture: &[u8], media: u16) -> Self {
        let mut heard = Self { packets: Vec::new(), keys: Vec::new() };
        let mut last_event = None;
        for (at, source, target, datagram) in datagrams(capture) {
            let Ok(Packet { header, payload }) = Packet::parse(datagram) else {
                panic!("no RTP from {source} to {target}: {datagram:?}");
            };
            if target == media {
                heard.packets.push(Sound {
                    at,
                    marker: header.marker,
                    payload_type: header.payload_type,
                    sequence: header.sequence,
                    timestamp: header.timestamp,
                    ssrc: header.ssrc,
                    payload: payload.to_vec(),
                });
            } else if header.payload_type == SIPP_EVENT
                && last_event.replace((header.ssrc, header.timestamp))
                    != Some((header.ssrc, header.timestamp))
            {
                heard.keys.push((at, char::from(b"0123456789*#"[usize::from(payload[0])])));
            }
        }
        heard
    }

    /// Nothing is missing, doubled, reordered, or of another length, and time goes on by 20 ms.
    ///
    /// Where this machine did not let us run for 60 ms or more, the frames of that time are left
    /// out on purpose: their number is returned. The packet after them says so by its marker, and
    /// must not come before its time.
    fn assert_steady(&self) -> u32 {
        /// Less than any time that is left out.
        const EARLY: f64 = 0.025;
        let first = &self.packets[0];
        assert!(first.marker, "the first packet begins the talkspurt");
        let mut n_left_out = 0;
        let mut least_delay = f64::INFINITY;
        for (n, packet) in (0_u32..).zip(&self.packets) {
            assert_eq!((packet.payload_type, packet.ssrc), (0, first.ssrc), "packet {n}");
            assert_eq!(packet.payload.len(), FRAME_BYTES, "packet {n}");
            let passed = u32::from(packet.sequence.wrapping_sub(first.sequence));
            assert_eq!(passed, n & 0xFFFF, "sequence of packet {n}");
            let passed = packet.timestamp.wrapping_sub(first.timestamp);
            let delay = packet.at.as_secs_f64() - f64::from(passed) / 8000.0;
            if packet.marker && n > 0 {
                let before = (n + n_left_out) * 160;
                assert!(passed > before && passed.is_multiple_of(160), "timestamp of packet {n}");
                assert!(delay > least_delay - EARLY, "packet {n} leaves out time to come");
                n_left_out = passed / 160 - n;
            }
            assert_eq!(passed, (n + n_left_out) * 160, "timestamp of packet {n}");
            least_delay = least_delay.min(delay);
        }
        assert!(n_left_out < 50, "{n_left_out} frames left out: this machine is too busy to tell");
        n_left_out
    }

    /// The time between packets; says what was measured.
    fn spacing(&self) -> String {
        let mut gaps: Vec<f64> = self
            .packets
            .windows(2)
            .map(|pair| (pair[1].at.as_secs_f64() - pair[0].at.as_secs_f64()) * 1000.0)
            .collect();
        gaps.sort_by(f64::total_cmp);
        let percentile = |n: usize| gaps[(gaps.len() - 1) * n / 100];
        let [p50, p99, max] = [50, 99, 100].map(percentile);
        let shown = format!("p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms");
        assert!((p50 - 20.0).abs() < 1.0, "{shown}");
        shown
    }

    /// Finds every utterance in its turn, whole, at its level; the rest is silence.
    #[expect(clippy::print_stdout, reason = "what was measured is for those who run the tests")]
    fn assert_words(&self, said: &[&str], words: &Words) -> Vec<Place> {
        let bytes: Vec<u8> =
            self.packets.iter().flat_map(|packet| packet.payload.clone()).collect();
        let heard = samples(&bytes);
        let mut is_speech = vec![false; self.packets.len()];
        let mut places = Vec::new();
        let mut from = 0;
        let (mut worst, mut levels) = (1.0_f64, Vec::new());
        for label in said {
            let clip = samples(&words.clip(label).pcmu);
            let frame = find(&heard, &clip, from);
            let frame = frame.unwrap_or_else(|| panic!("{label} is not heard after frame {from}"));
            let n_frames = clip.len() / FRAME_BYTES;
            let end = (frame + n_frames).min(self.packets.len());
            let arrived = &heard[frame * FRAME_BYTES..end * FRAME_BYTES];
            assert_eq!(arrived.len(), clip.len(), "{label} is cut off");
            let likeness = correlation(arrived, &clip);
            assert!(likeness > 0.99, "{label}: correlation {likeness}");
            worst = worst.min(likeness);
            let level = level::active_level(arrived, 8000).expect("somebody speaks").dbov;
            assert!((-24.0..-22.0).contains(&level), "{label}: {level} dBov");
            levels.push(level);
            is_speech[frame..end].fill(true);
            places.push(Place { label: (*label).to_owned(), frame });
            from = end;
        }
        levels.sort_by(f64::total_cmp);
        println!(
            "{} utterances, correlation {worst:.6} or more, level {:.2} to {:.2} dBov",
            said.len(),
            levels[0],
            levels[levels.len() - 1]
        );
        for (n, (packet, is_speech)) in self.packets.iter().zip(is_speech).enumerate() {
            let is_silent = packet.payload.iter().all(|code| *code == g711::MULAW_SILENCE);
            assert!(is_speech || is_silent, "packet {n} holds sound that nobody asked for");
        }
        places
    }
}

/// The UDP datagrams of a capture: when, from which port, to which port, what.
fn datagrams(capture: &[u8]) -> Vec<(Duration, u16, u16, &[u8])> {
    /// The classic format in microseconds, written on a little-endian machine.
    const MAGIC: u32 = 0xA1B2_C3D4;
    const ETHERNET: u32 = 1;
    const ETHERNET_BYTES: usize = 14;
    let word = |at: usize| u32::from_ne_bytes(capture[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((word(0), word(20)), (MAGIC, ETHERNET), "the format of the capture");
    let mut found = Vec::new();
    let mut at = 24;
    while at + 16 <= capture.len() {
        let taken = Duration::new(word(at).into(), word(at + 4) * 1000);
        let length = word(at + 8) as usize;
        assert_eq!(length, word(at + 12) as usize, "the capture cuts packets");
        let packet = &capture[at + 16 + ETHERNET_BYTES..at + 16 + length];
        let udp = &packet[usize::from(packet[0] & 0x0F) * 4..];
        let port = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
        found.push((taken, port(0), port(2), &udp[8..usize::from(port(4))]));
        at += 16 + length;
    }
    found
}

fn samples(mulaw: &[u8]) -> Vec<f32> {
    g711::decode_mulaw(mulaw).into_iter().map(pcm::widen).collect()
}

/// The first frame from which on `clip` is heard.
fn find(heard: &[f32], clip: &[f32], from: usize) -> Option<usize> {
    let loud = clip.iter().position(|sample| sample.abs() > 0.01)?;
    let probe = &clip[loud..clip.len().min(loud + 4000)];
    (from..heard.len() / FRAME_BYTES).find(|frame| {
        let begin = frame * FRAME_BYTES + loud;
        heard.get(begin..begin + probe.len()).is_some_and(|part| correlation(part, probe) > 0.9)
    })
}

/// The normalised correlation, −1 to 1; 0 where one of them is silent.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let power = product(a, a) * product(b, b);
    if power > 0.0 { product(a, b) / power.sqrt() } else { 0.0 }
}

/// Whether the test cannot be run here; says so.
#[expect(clippy::print_stdout, reason = "who runs the tests must know what was left out")]
fn is_left_out(claim: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |name: &str| env::split_paths(&path).any(|folder| folder.join(name).exists());
    let is_root = fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0);
    let lacks: Vec<&str> = [("sipp", has("sipp")), ("tcpdump", has("tcpdump")), ("root", is_root)]
        .into_iter()
        .filter_map(|(name, is_there)| (!is_there).then_some(name))
        .collect();
    let must = env::var("MIMAMORI_REQUIRE_SIPP").is_ok_and(|value| value == "1");
    assert!(!must || lacks.is_empty(), "{claim} is required, but lacks {}", lacks.join(", "));
    if !lacks.is_empty() {
        println!("left out: {claim}, which lacks {}", lacks.join(", "));
    }
    !lacks.is_empty()
}
