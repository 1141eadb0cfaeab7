//! Recordings as rows and as files: each claim about the store runs on both databases.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use mimamori::audio::wav::Wav;
use mimamori::base::id::{AttemptId, Minter, RecordingId};
use mimamori::call::Disposition;
use mimamori::campaign::SlotState;
use mimamori::escalation::Priority;
use mimamori::ivr::Answer;
use mimamori::recording::seal::{CHUNK_BYTES, Place, Seal};
use mimamori::recording::{Archive, ArchiveError, CenterKey, Config, MasterKey, View};
use mimamori::store::{CaseChange, Evaluated, NewRecording, StoreError};
use mimamori::tape::{
    Consent, Deleted, Keep, Kept, Mark, MarkKind, Policy, Recording, Scope, SealedKey, State,
};

use crate::store::{Database, District, at, claims, entry, observation, outcome};

claims! {
    a_call_has_one_recording_with_marks_and_notes
    a_center_seals_with_one_key_at_a_time
    what_becomes_of_a_recording_is_known_when_its_call_was_judged
    what_is_held_or_part_of_an_open_case_is_not_deleted
    a_message_waits_until_somebody_has_heard_it
}

const NODE: &str = "one";
const POLICY: Policy = Policy { keep: Keep::Escalated, keep_days: 30 };

async fn key(district: &District) -> SealedKey {
    if let Some(key) = district.store.center_key(district.center.id).await.unwrap() {
        return key;
    }
    let key = SealedKey { id: district.store.mint(at(8, 0)), sealed: vec![1, 2, 3] };
    district.store.add_center_key(at(8, 0), district.center.id, &key, None).await.unwrap();
    key
}

async fn begin(district: &District, attempt: AttemptId) -> RecordingId {
    let id = district.store.mint(at(9, 1));
    let key = key(district).await.id;
    let (node, scope) = (NODE.to_owned(), Scope::Whole);
    let new = NewRecording { id, attempt, key, node, scope, policy: POLICY };
    district.store.begin_recording(at(9, 1), &new).await.unwrap();
    id
}

async fn a_call_has_one_recording_with_marks_and_notes(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, _, attempt) = district.talking(1).await;
    let terms = store.recording_terms(patient).await.unwrap();
    assert_eq!((terms.policy, terms.consent, terms.key), (None, Consent::Unknown, None));
    assert!(store.recording_of(attempt).await.unwrap().is_none());

    let id = begin(&district, attempt).await;
    let key = key(&district).await;
    let again = NewRecording {
        id: store.mint(at(9, 1)),
        attempt,
        key: key.id,
        node: NODE.to_owned(),
        scope: Scope::Whole,
        policy: POLICY,
    };
    let refused = store.begin_recording(at(9, 2), &again).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict { constraint }) if constraint == "recording_of_attempt"),
        "{refused:?}"
    );

    let mark = |seconds, kind, detail: &str| Mark {
        at: Duration::from_secs(seconds),
        kind,
        detail: detail.to_owned(),
    };
    let marks = [
        mark(1, MarkKind::Say, "greeting"),
        mark(5, MarkKind::Key, ""),
        mark(9, MarkKind::Answer, "0 temperature"),
    ];
    store.add_marks(id, 0, &marks[..2]).await.unwrap();
    store.add_marks(id, 1, &marks[1..]).await.unwrap();
    assert_eq!(store.marks(id).await.unwrap(), marks);

    let note = store.add_note(at(10, 0), id, Duration::from_millis(5250), "佐藤", "苦しそうな声");
    let note = note.await.unwrap();
    let notes = store.notes(id).await.unwrap();
    assert_eq!((notes.len(), notes[0].id, notes[0].at.as_millis()), (1, note, 5250));
    assert_eq!((notes[0].by.as_str(), notes[0].text.as_str()), ("佐藤", "苦しそうな声"));

    assert_eq!(store.recordings_left(NODE).await.unwrap()[0].id, id);
    assert!(store.recordings_left("two").await.unwrap().is_empty());
    store.finish_recording(at(9, 5), id, 8000 * 240, 160).await.unwrap();
    let found = store.recording_of(attempt).await.unwrap().unwrap();
    assert_eq!((found.id, found.patient, found.state), (id, patient, State::Spooled));
    assert_eq!(found.health_center, district.center.id);
    assert_eq!(found.duration(), Duration::from_mins(4));
    assert_eq!((found.missing_samples, found.policy, found.key), (160, POLICY, key));
    assert_eq!(found.started_at, at(9, 1));
    assert_eq!(store.recordings_of(patient).await.unwrap()[0].id, id);
    assert!(store.recordings_left(NODE).await.unwrap().is_empty());
}

async fn a_center_seals_with_one_key_at_a_time(database: Database) {
    let district = District::new(&database).await;
    let (store, center) = (&district.store, district.center.id);
    let first = key(&district).await;
    let second = SealedKey { id: store.mint(at(9, 0)), sealed: vec![9; 60] };
    let refused = store.add_center_key(at(9, 0), center, &second, None).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict { constraint }) if constraint == "center_key_in_use"),
        "{refused:?}"
    );
    let (_, _, attempt) = district.talking(1).await;
    let id = begin(&district, attempt).await;
    store.add_center_key(at(9, 0), center, &second, Some(first.id)).await.unwrap();
    assert_eq!(store.center_key(center).await.unwrap(), Some(second));
    // What the old key has sealed stays readable.
    assert_eq!(store.recording(id).await.unwrap().key, first);

    let policy = Policy { keep: Keep::Sampled(25), keep_days: 14 };
    store.set_recording_policy(at(9, 0), center, POLICY, "佐藤").await.unwrap();
    store.set_recording_policy(at(9, 0), center, policy, "佐藤").await.unwrap();
    assert_eq!(store.recording_policy(center).await.unwrap(), Some(policy));
    let patient = store.recording(id).await.unwrap().patient;
    store.set_recording_consent(at(9, 0), patient, Consent::Given, "佐藤").await.unwrap();
    let terms = store.recording_terms(patient).await.unwrap();
    assert_eq!((terms.policy, terms.consent), (Some(policy), Consent::Given));
    assert_eq!(terms.health_center, center);
}

async fn judged(district: &District, id: RecordingId) -> (bool, bool) {
    let all = district.store.recordings_to_judge(NODE).await.unwrap();
    let one = all.iter().find(|one| one.recording.id == id).unwrap();
    (one.escalated, one.judged)
}

async fn what_becomes_of_a_recording_is_known_when_its_call_was_judged(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, slot, attempt) = district.talking(1).await;
    let id = begin(&district, attempt).await;
    assert!(store.recordings_to_judge(NODE).await.unwrap().is_empty(), "the call goes on");
    district.answer(attempt, &entry(0, "temperature", Answer::Number(375))).await;
    store.finish_recording(at(9, 5), id, 8000, 0).await.unwrap();
    assert_eq!(judged(&district, id).await, (false, false), "the attempt is not over");
    let over = outcome(Disposition::Answered, SlotState::Partial);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    assert_eq!(judged(&district, id).await, (false, false), "nothing was judged");

    let add = |facts: Vec<_>, evaluated: Evaluated| async move {
        store.add_facts(at(9, 6), patient, &facts, &evaluated).await.unwrap()
    };
    add(vec![], Evaluated { attempts: vec![attempt], ..Evaluated::default() }).await;
    assert_eq!(judged(&district, id).await, (false, false), "an answer was not observed");
    let derived = observation(store, patient, (attempt, 0));
    store
        .save_observations(at(9, 3), &[(attempt, 0)], std::slice::from_ref(&derived))
        .await
        .unwrap();
    assert_eq!(judged(&district, id).await, (false, false), "an observation was not judged");
    add(vec![], Evaluated { observations: vec![derived.id], ..Evaluated::default() }).await;
    assert_eq!(judged(&district, id).await, (false, false), "the slot was not judged");
    add(vec![], Evaluated { slots: vec![slot], ..Evaluated::default() }).await;
    assert_eq!(judged(&district, id).await, (false, true));

    let recorded = District::fact("fine", Priority::P0, attempt, 0);
    add(vec![recorded], Evaluated::default()).await;
    assert_eq!(judged(&district, id).await, (false, true), "it is on record only");
    let fever = District::fact("fever", Priority::P3, attempt, 0);
    let change = add(vec![fever], Evaluated::default()).await;
    assert!(matches!(change, CaseChange::Opened(_)));
    assert_eq!(judged(&district, id).await, (true, true));

    store.keep_recording(id, Kept::Case, at(9, 5)).await.unwrap();
    assert!(store.recordings_to_judge(NODE).await.unwrap().is_empty());
    assert_eq!(store.recordings_to_store(NODE).await.unwrap()[0].id, id);
    assert!(store.recordings_to_store("two").await.unwrap().is_empty());
    store.recording_stored(at(9, 7), id, 160, "ab12").await.unwrap();
    let stored = store.recording(id).await.unwrap();
    assert_eq!((stored.state, stored.sha256.as_deref()), (State::Stored, Some("ab12")));
    assert!(store.recordings_to_store(NODE).await.unwrap().is_empty());
}

async fn what_is_held_or_part_of_an_open_case_is_not_deleted(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, _, attempt) = district.talking(1).await;
    let id = begin(&district, attempt).await;
    store.finish_recording(at(9, 5), id, 8000, 0).await.unwrap();
    store.keep_recording(id, Kept::All, at(11, 0)).await.unwrap();
    let due = async |now, node| {
        let due = store.recordings_to_delete(now, node).await.unwrap();
        due.into_iter().map(|(_, because)| because).collect::<Vec<_>>()
    };
    assert_eq!(store.next_expiry().await.unwrap(), Some(at(11, 0)));
    assert_eq!(due(at(10, 59), NODE).await, []);
    assert_eq!(due(at(11, 0), NODE).await, [Deleted::Expired]);
    assert_eq!(due(at(11, 0), "two").await, [], "it is not in that node's spool");

    store.hold_recording(at(10, 0), id, "佐藤", "苦情").await.unwrap();
    assert_eq!(store.recording(id).await.unwrap().hold.unwrap().reason, "苦情");
    assert_eq!(due(at(11, 0), NODE).await, []);
    assert_eq!(store.next_expiry().await.unwrap(), None);
    store.release_recording(id).await.unwrap();
    assert_eq!(due(at(11, 0), NODE).await, [Deleted::Expired]);

    let fever = District::fact("fever", Priority::P3, attempt, 0);
    let change = store.add_facts(at(9, 6), patient, &[fever], &Evaluated::default()).await;
    let case = change.unwrap().case().unwrap();
    assert_eq!(due(at(11, 0), NODE).await, []);
    store.set_recording_consent(at(10, 0), patient, Consent::Refused, "佐藤").await.unwrap();
    assert_eq!(due(at(10, 0), NODE).await, [], "the case needs it");
    store.resolve_case(at(10, 1), case, "佐藤", "受診調整").await.unwrap();
    assert_eq!(due(at(10, 0), NODE).await, [Deleted::Refused]);

    store.recording_deleted(at(11, 0), id, Deleted::Expired).await.unwrap();
    assert_eq!(due(at(12, 0), NODE).await, []);
    let gone = store.recording(id).await.unwrap();
    assert_eq!((gone.state, gone.deleted), (State::Deleted, Some((at(11, 0), Deleted::Expired))));
    let again = store.recording_deleted(at(11, 0), id, Deleted::Expired).await;
    assert!(matches!(again, Err(StoreError::NotFound { .. })));
}

async fn a_message_waits_until_somebody_has_heard_it(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, _, attempt) = district.talking(1).await;
    let id = begin(&district, attempt).await;
    let (from, to) = (Duration::from_secs(100), Duration::from_secs(112));
    store.message_left(id, from, to).await.unwrap();
    let center = district.center.id;
    assert!(store.unheard_messages(center).await.unwrap().is_empty(), "the call goes on");
    store.finish_recording(at(9, 5), id, 8000 * 120, 0).await.unwrap();
    let unheard = store.unheard_messages(center).await.unwrap();
    assert_eq!(unheard[0].message.as_ref().map(|it| (it.from, it.to)), Some((from, to)));
    store.message_heard(at(10, 0), id, "佐藤").await.unwrap();
    store.message_heard(at(10, 5), id, "鈴木").await.unwrap();
    assert!(store.unheard_messages(center).await.unwrap().is_empty());
    let heard = store.recording(id).await.unwrap().message.unwrap().heard;
    assert_eq!(heard, Some(("佐藤".to_owned(), at(10, 0))));
}

/// µ-law of both lanes in which every second is different.
fn sound(samples: usize) -> Vec<u8> {
    (0..samples * 2).map(|n| u8::try_from((n / 2 * 7 + n / 16_000) % 251).unwrap()).collect()
}

pub(crate) fn config(folder: &Path) -> Config {
    Config { folder: folder.to_owned(), s3: None, key: MasterKey::random(), spool_limit: 1 << 30 }
}

/// A recording that is whole in the spool.
pub(crate) fn spooled(archive: &Archive, sound: &[u8]) -> Recording {
    let mut minter = Minter::new([8; 32]);
    let now = at(9, 1);
    let center = CenterKey::random(minter.mint(now));
    let recording = Recording {
        id: minter.mint(now),
        attempt: minter.mint(now),
        patient: minter.mint(now),
        health_center: minter.mint(now),
        key: center.seal(archive.master_key()),
        node: NODE.to_owned(),
        state: State::Spooled,
        scope: Scope::Whole,
        policy: POLICY,
        started_at: now,
        samples: Some(sound.len() as u64 / 2),
        missing_samples: 0,
        kept: None,
        hold: None,
        message: None,
        sha256: None,
        deleted: None,
    };
    let seal = Seal::new(recording.id, &center);
    let mut file = seal.header().to_vec();
    let mut chunks: Vec<&[u8]> = sound.chunks(CHUNK_BYTES).collect();
    if sound.len().is_multiple_of(CHUNK_BYTES) {
        chunks.push(&[]);
    }
    let last = chunks.len() - 1;
    for (number, chunk) in chunks.into_iter().enumerate() {
        let mut chunk = chunk.to_vec();
        let place = if number == last { Place::Last } else { Place::Within };
        seal.seal(u32::try_from(number).unwrap(), place, &mut chunk);
        file.extend_from_slice(&chunk);
    }
    fs::write(archive.spool().join(format!("{}.rec", recording.id)), file).unwrap();
    recording
}

/// Takes a recording through the archive and compares every way of reading it.
pub(crate) async fn goes_through(archive: &Archive) {
    archive.check().await.unwrap();
    for samples in [0, 3, 8000, 20_001, 32_000] {
        let sound = sound(samples);
        let mut recording = spooled(archive, &sound);
        let n = samples as u64;
        let drawn = archive.waveform(&recording).await.unwrap();
        for state in [State::Spooled, State::Stored] {
            if state == State::Stored {
                let stored = archive.store(&recording).await.unwrap();
                assert_eq!(archive.store(&recording).await.unwrap(), stored, "twice");
                archive.forget_spooled(recording.id).unwrap();
                recording.state = state;
                recording.sha256 = Some(stored.sha256);
            }
            let whole = archive.read_range(&recording, 0..u64::MAX).await.unwrap();
            assert_eq!(whole.len() as u64, View::Mulaw.length(n));
            assert!(whole.ends_with(&sound));
            let wav = Wav::parse(&whole).unwrap();
            let linear = archive.read_view(&recording, View::Linear16, 0..u64::MAX).await.unwrap();
            assert_eq!(Wav::parse(&linear).unwrap(), wav, "the same sound in both views");
            for (from, to) in
                [(0, 100), (57, 60), (8000, 24_058), (16_058, 16_059), (30_000, 50_000)]
            {
                let part = archive.read_range(&recording, from..to).await.unwrap();
                let end = whole.len().min(usize::try_from(to).unwrap());
                let from = usize::try_from(from).unwrap().min(end);
                assert_eq!(part, whole[from..end], "{samples} {from}..{to}");
            }
            assert_eq!(archive.waveform(&recording).await.unwrap(), drawn);
        }
        archive.delete(&recording).await.unwrap();
        archive.delete(&recording).await.unwrap();
        if samples > 0 {
            let gone = archive.read_range(&recording, 0..100).await;
            assert!(matches!(gone, Err(ArchiveError::Missing)), "{gone:?}");
        }
    }
}

#[tokio::test]
async fn a_folder_keeps_what_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&config(folder.path())).unwrap();
    goes_through(&archive).await;
}

#[tokio::test]
async fn nothing_on_the_disk_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&config(folder.path())).unwrap();
    let recording = spooled(&archive, &sound(16_000));
    archive.store(&recording).await.unwrap();
    let needle = &sound(16_000)[4000..4016];
    let mut files = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.windows(16).any(|bytes| bytes == needle), "{}", path.display());
        }
    }
    assert_eq!(files, 3, "in the spool, in the archive, and its picture");
    // Another master key opens nothing.
    let stranger = Archive::open(&config(folder.path())).unwrap();
    let refused = stranger.read_range(&recording, 0..100).await;
    assert!(matches!(refused, Err(ArchiveError::Sealed { .. })), "{refused:?}");
}
