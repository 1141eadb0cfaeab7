//! Centres, patients and episodes.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use jiff::ToSpan;
use jiff::civil::{date, time};
use mimamori::base::Private;
use mimamori::base::clock::timestamp;
use mimamori::campaign::{AttemptState, Book};
use mimamori::registry::{Episode, HealthCenter, Patient};
use mimamori::store::{Change, StoreError};

use crate::store::{DAY, Database, District, at, claims, number};

claims! {
    a_center_keeps_its_id_when_it_is_saved_again
    importing_a_list_twice_changes_nothing
    a_later_episode_ends_the_one_before
    nobody_is_called_after_the_last_day
    a_patient_is_found_by_both_identifiers_only
}

async fn a_center_keeps_its_id_when_it_is_saved_again(database: Database) {
    let District { store, center } = District::new(&database).await;
    let again = HealthCenter {
        id: store.mint(at(1, 0)),
        name: "港保健所".to_owned(),
        closes_at: time(17, 0, 0, 0),
        ..center.clone()
    };
    assert_eq!(store.save_health_center(at(1, 0), &again).await.unwrap(), center.id);
    let stored = store.health_center("minato").await.unwrap().unwrap();
    assert_eq!(stored, HealthCenter { id: center.id, ..again });
    assert_eq!(store.health_centers().await.unwrap(), [stored]);
    assert_eq!(store.health_center("nowhere").await.unwrap(), None);
}

async fn importing_a_list_twice_changes_nothing(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, episode) = district.admit(1).await;
    assert_eq!(store.patient(patient.id).await.unwrap(), patient);

    // A second reading of the list knows nothing of the first one's ids.
    let (again, episode_again) = district.someone(1);
    assert_ne!(again.id, patient.id);
    let import = store.import_patient(at(1, 0), &again, Some(&episode_again)).await.unwrap();
    assert_eq!((import.patient, import.change), (patient.id, Change::Unchanged));

    let mut moved = again.clone();
    moved.phones.reverse();
    moved.name = Private::new("神崎 花子".to_owned());
    let import = store.import_patient(at(2, 0), &moved, None).await.unwrap();
    assert_eq!((import.patient, import.change), (patient.id, Change::Updated));
    let stored = store.patient(patient.id).await.unwrap();
    assert_eq!(stored, Patient { id: patient.id, ..moved });

    let longer = Episode { last_day: episode.last_day.saturating_add(2.days()), ..episode_again };
    let import = store.import_patient(at(3, 0), &stored, Some(&longer)).await.unwrap();
    assert_eq!(import.change, Change::Updated);
    let observed = store.episodes_on(longer.last_day).await.unwrap();
    assert_eq!(observed[0].episode, Episode { id: episode.id, patient: patient.id, ..longer });
    assert_eq!(store.patients(district.center.id).await.unwrap(), [stored]);
}

async fn a_later_episode_ends_the_one_before(database: Database) {
    let district = District::new(&database).await;
    let (patient, first) = district.admit(1).await;
    let second = Episode {
        id: district.store.mint(at(1, 0)),
        first_day: date(2027, 1, 10),
        last_day: date(2027, 1, 20),
        ..first.clone()
    };
    let now = timestamp(date(2027, 1, 9).at(9, 0, 0, 0));
    let import = district.store.import_patient(now, &patient, Some(&second)).await.unwrap();
    assert_eq!(import.change, Change::Updated);
    assert!(district.store.episodes_on(DAY).await.unwrap().is_empty());
    let observed = district.store.episodes_on(date(2027, 1, 20)).await.unwrap();
    assert_eq!(observed.len(), 1);
    assert_eq!(observed[0].episode, second);
    assert_eq!(observed[0].patient, patient);
    assert_eq!(observed[0].health_center, district.center);
    assert!(district.store.episodes_on(date(2027, 1, 21)).await.unwrap().is_empty());
}

async fn nobody_is_called_after_the_last_day(database: Database) {
    let district = District::new(&database).await;
    let (patient, episode) = district.admit(1).await;
    let slot = district.slot(&episode).await;
    let attempt = district.attempt(slot, 1, number(1)).await;
    let shorter = Episode { last_day: DAY.yesterday().unwrap(), ..episode };
    district.store.import_patient(at(7, 0), &patient, Some(&shorter)).await.unwrap();
    assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
    assert!(district.claim(at(9, 0)).await.is_empty());
    assert!(district.store.slots_to_plan(at(9, 0), &Book::default(), 10).await.unwrap().is_empty());
}

async fn a_patient_is_found_by_both_identifiers_only(database: Database) {
    let district = District::new(&database).await;
    let (patient, _) = district.admit(1).await;
    district.admit(2).await;
    let born = *patient.birth_date.expose();
    for (number, birth_date, found) in
        [("A0001", born, 1), ("A0001", born.tomorrow().unwrap(), 0), ("A0009", born, 0)]
    {
        let patients = district.store.find_patient(number, birth_date).await.unwrap();
        assert_eq!(patients.len(), found, "{number} {birth_date}");
    }
    let nobody = district.store.patient(district.store.mint(at(0, 0))).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { what: "patient" })));
}
