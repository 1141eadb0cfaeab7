//! The console as it is served, over a town in which somebody has lived, with one member of the
//! staff per role.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::fs;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mimamori::base::Private;
use mimamori::base::id::{ClinicId, HealthCenterId};
use mimamori::recording::seal::{CHUNK_BYTES, Place, Seal};
use mimamori::recording::{Archive, CenterKey};
use mimamori::registry::audit::hex;
use mimamori::registry::{Actor, ApiToken, AuditEntry, Clinic, Reach, Right, Role, Staff};
use mimamori::sim::Temper;
use mimamori::store::{NewRecording, SignedIn, Stage};
use mimamori::tape::{Keep, Kept, Mark, MarkKind, Policy, Scope};
use mimamori::web::auth::SecondFactor;
use mimamori::web::{self, Desk};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::recordings;
use crate::staff::member;
use crate::town::Town;

/// A console that is being served, until it is dropped.
pub(crate) struct Console {
    pub(crate) town: Town,
    pub(crate) desk: Desk,
    /// `http://127.0.0.1:…`
    pub(crate) base: String,
    staff: Vec<(Role, Staff)>,
    serving: JoinHandle<std::io::Result<()>>,
    _stop: watch::Sender<bool>,
}

impl Drop for Console {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Console {
    pub(crate) async fn open() -> Self {
        let town = Town::open().await;
        let config = web::Config {
            requests_per_minute: 100_000,
            second_factor: SecondFactor::Optional,
            key: Some(Private::new([7; 32])),
            // The clock of the town does not stand still, and a test may be slow.
            idle_timeout: Duration::from_hours(8),
            ..web::Config::shipped()
        };
        let archive = Archive::open(&recordings::config(town.folder.path())).unwrap();
        record(&town, &archive).await;
        let desk = Desk {
            archive: Some(archive),
            ..Desk::silent(town.store.clone(), town.clock.clone(), config).unwrap()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(web::serve(listener, desk.clone(), stopped));
        let mut console = Self { town, desk, base, staff: Vec::new(), serving, _stop: stop };
        let center = console.town.people.health_center.id;
        let clinic = console.add_clinic(center).await;
        for (role, name) in [
            (Role::Scheduler, "事務 一郎"),
            (Role::Nurse, "保健 花子"),
            (Role::Supervisor, "所長 正"),
            (Role::Clinic, "医院 良子"),
            (Role::Engineer, "技術 次郎"),
            (Role::Auditor, "監査 文"),
            (Role::Administrator, "管理 三郎"),
        ] {
            let center = role.sees_patients().then_some(center);
            let clinic = (role == Role::Clinic).then_some(clinic);
            let staff = console.hire(role, name, center, clinic).await;
            console.staff.push((role, staff));
        }
        console
    }

    async fn add_clinic(&self, center: HealthCenterId) -> ClinicId {
        let now = self.town.now();
        let clinic = Clinic {
            id: self.desk.store.mint(now),
            health_center: center,
            code: "sakura".to_owned(),
            name: "さくら医院".to_owned(),
        };
        let managing = self.desk.store.managing(Reach::Everybody);
        managing.add_clinic(now, &clinic, &entry("clinic.added")).await.unwrap();
        clinic.id
    }

    async fn hire(
        &self,
        role: Role,
        name: &str,
        center: Option<HealthCenterId>,
        clinic: Option<ClinicId>,
    ) -> Staff {
        let now = self.town.now();
        let staff = Staff {
            clinic,
            name: name.to_owned().into(),
            ..member(&self.desk.store, now, role.as_str(), role, center)
        };
        let managing = self.desk.store.managing(Reach::Everybody);
        managing.add(now, &staff, None, &entry("staff.added")).await.unwrap();
        staff
    }

    /// The member of the staff with that role.
    pub(crate) fn staff(&self, role: Role) -> &Staff {
        &self.staff.iter().find(|(one, _)| *one == role).unwrap().1
    }

    /// Signs somebody in, and returns the cookie of the session.
    pub(crate) async fn sign_in(&self, role: Role) -> String {
        let now = self.town.now();
        let cookie = format!("{}-{}", role.as_str(), now.as_nanosecond());
        let signed_in = SignedIn {
            staff: self.staff(role).clone(),
            token: hash(&cookie),
            csrf: format!("csrf-{cookie}").into(),
            stage: Stage::Full,
            created_at: now,
            seen_at: now,
            address: "127.0.0.1".to_owned(),
            agent: "test".to_owned(),
        };
        self.desk.store.begin_session(now, &signed_in, &entry("session.begun")).await.unwrap();
        cookie
    }

    /// A token with these rights in the name of that role.
    pub(crate) async fn token(&self, role: Role, rights: &[Right]) -> String {
        let now = self.town.now();
        let owner = self.staff(role);
        let text = format!("mmr_{}-{}", role.as_str(), now.as_nanosecond());
        let token = ApiToken {
            id: self.desk.store.mint(now),
            owner: owner.id,
            name: "試験".to_owned(),
            rights: rights.to_vec(),
            created_at: now,
            expires_at: now + SignedDuration::from_hours(24),
            last_used_at: None,
            revoked_at: None,
        };
        let managing = self.desk.store.managing(Reach::Everybody);
        managing.add_token(now, &token, &hash(&text), &entry("token.added")).await.unwrap();
        text
    }
}

/// Samples of each lane of the one recording: half a minute.
const SAMPLES: usize = 8000 * 30;

/// Puts a sound in the place of the last call of whoever is in danger, with marks for its answers.
async fn record(town: &Town, archive: &Archive) {
    let store = &town.store;
    let (now, center) = (town.now(), town.people.health_center.id);
    let patient = town.somebody(Temper::Urgent).patient.id;
    let attempts = store.attempts_of(patient, Timestamp::UNIX_EPOCH).await.unwrap();
    let call = attempts.iter().rfind(|one| one.answered_at.is_some()).unwrap();
    let answered_at = call.answered_at.unwrap();
    let key = CenterKey::random(store.mint(now));
    let sealed = key.seal(archive.master_key());
    store.add_center_key(now, center, &sealed, None).await.unwrap();
    let id = store.mint(now);
    let new = NewRecording {
        id,
        attempt: call.id,
        key: sealed.id,
        node: "one".to_owned(),
        scope: Scope::Whole,
        policy: Policy { keep: Keep::All, keep_days: 30 },
    };
    store.begin_recording(answered_at, &new).await.unwrap();
    let entries = store.transcript(call.id).await.unwrap();
    let marks = (2..).step_by(3).zip(&entries).flat_map(|(second, entry)| {
        let mark =
            |second, kind, detail: String| Mark { at: Duration::from_secs(second), kind, detail };
        [
            mark(second, MarkKind::Say, format!("ask_{}", entry.question)),
            mark(second + 2, MarkKind::Answer, format!("{} {}", entry.seq, entry.question)),
        ]
    });
    store.add_marks(id, 0, &marks.collect::<Vec<_>>()).await.unwrap();
    fs::write(archive.spool().join(format!("{id}.rec")), spool(&Seal::new(id, &key))).unwrap();
    store.finish_recording(now, id, SAMPLES as u64, 0).await.unwrap();
    let until = now + SignedDuration::from_hours(24 * 30);
    store.keep_recording(id, Kept::All, until).await.unwrap();
}

fn spool(seal: &Seal) -> Vec<u8> {
    let sound: Vec<u8> = (0..SAMPLES * 2).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
    let mut chunks: Vec<&[u8]> = sound.chunks(CHUNK_BYTES).collect();
    if sound.len().is_multiple_of(CHUNK_BYTES) {
        chunks.push(&[]);
    }
    let mut file = seal.header().to_vec();
    for (number, chunk) in chunks.iter().enumerate() {
        let place = if number + 1 == chunks.len() { Place::Last } else { Place::Within };
        let mut chunk = chunk.to_vec();
        seal.seal(u32::try_from(number).unwrap(), place, &mut chunk);
        file.extend_from_slice(&chunk);
    }
    file
}

/// A client that asks this machine only.
pub(crate) fn http() -> reqwest::Client {
    // Another test may have chosen it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        actor: Actor::Program,
        health_center: None,
        action,
        patient: None,
        object: String::new(),
        detail: String::new(),
    }
}
