//! How a recorded prompt comes into use.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use mimamori::audio::wav::{Encoding, header};
use mimamori::base::Language;
use mimamori::ivr::Utterance;
use mimamori::prompt::{Pace, Source};
use mimamori::registry::Role;
use mimamori::store::TakeState;

use crate::plan::Office;

claims! {
    a_take_is_approved_by_somebody_else_and_then_said
}

async fn a_take_is_approved_by_somebody_else_and_then_said(office: Office) {
    let hana = office.scheduler().await;
    let chief = office.person("chief", Role::Supervisor, office.home).await;
    let nurse = office.person("nao", Role::Nurse, office.home).await;
    let tone = tone();
    let bring = "/prompts/hold/takes";
    assert_eq!(nurse.send_file(bring, "hold.wav", &tone).await.0, StatusCode::FORBIDDEN);
    let (status, page) = hana.send_file(bring, "hold.wav", b"no sound at all").await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("音声として読めません"),
        "{page}"
    );
    assert_eq!(hana.send_file(bring, "hold.exe", &tone).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        hana.send_file("/prompts/opening/takes", "a.wav", &tone).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(hana.send_file(bring, "hold.wav", &tone).await.0, StatusCode::SEE_OTHER);
    let take = office.store().takes(Language::Ja).await.unwrap().remove(0);
    assert_eq!((take.prompt.as_str(), take.state), ("hold", TakeState::Draft));
    assert!(office.store().takes_in_use(Language::Ja).await.unwrap().is_empty());
    let (_, headers, sound) = hana
        .ask(Request::get(format!("/prompts/takes/{}/sound.wav", take.id)), Body::empty())
        .await;
    assert_eq!(headers["content-type"], "audio/wav");
    assert!(sound.starts_with(b"RIFF") && sound.len() > 8000, "a second at 8 kHz");

    let approve = format!("/prompts/takes/{}/approve", take.id);
    assert_eq!(hana.post(&approve, "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(chief.send_file(bring, "hold.wav", &tone).await.0, StatusCode::SEE_OTHER);
    let own = office
        .store()
        .takes(Language::Ja)
        .await
        .unwrap()
        .into_iter()
        .find(|one| one.id != take.id)
        .unwrap();
    let (status, page) = chief.post(&format!("/prompts/takes/{}/approve", own.id), "").await;
    assert!(status == StatusCode::CONFLICT && page.contains("別の人"), "{page}");
    assert_eq!(chief.post(&approve, "").await.0, StatusCode::SEE_OTHER);
    let in_use = office.store().takes_in_use(Language::Ja).await.unwrap();
    let stamp = office.store().takes_stamp(Language::Ja).await.unwrap();
    let library = Arc::clone(&office.desk.library);
    let hold = Utterance::fixed("hold");
    let before = library.clip(&hold, Pace::Normal).unwrap();
    library.use_takes(stamp.clone(), in_use.clone());
    assert_eq!((library.takes_stamp(), library.source(&hold)), (stamp, Source::Take));
    let after = library.clip(&hold, Pace::Normal).unwrap();
    assert!(after.pcmu.starts_with(&in_use["hold"]) && before.pcmu != after.pcmu);
    let (_, page) = hana.get("/prompts").await;
    assert!(page.contains("録音(承認済み)") && page.contains("承認待ち"), "{page}");
    let (status, page) = hana.get("/prompts/hold").await;
    assert!(
        status == StatusCode::OK && page.contains("使用中") && page.contains("class=\"high\""),
        "{page}"
    );
    assert_eq!(nurse.get("/prompts").await.0, StatusCode::FORBIDDEN);

    assert_eq!(
        chief.post(&format!("/prompts/takes/{}/retire", take.id), "").await.0,
        StatusCode::SEE_OTHER
    );
    library.use_takes(
        office.store().takes_stamp(Language::Ja).await.unwrap(),
        office.store().takes_in_use(Language::Ja).await.unwrap(),
    );
    assert_eq!(library.source(&hold), Source::Voice);
    assert_eq!(library.clip(&hold, Pace::Normal).unwrap().pcmu, before.pcmu);
    assert_eq!(
        office.store().take_sound(take.id).await.unwrap()[..],
        in_use["hold"][..],
        "kept for the record"
    );
}

/// A second and a half of a tone, as 16-bit WAV at 8 kHz.
fn tone() -> Vec<u8> {
    let samples: Vec<u8> = (0..12_000_u32)
        .flat_map(|n| {
            let wave = (f64::from(n) * 440.0 * std::f64::consts::TAU / 8000.0).sin();
            #[expect(clippy::cast_possible_truncation, reason = "within the range of samples")]
            let sample = (wave * 8000.0) as i16;
            sample.to_le_bytes()
        })
        .collect();
    let mut bytes = header(Encoding::Linear16, 1, 8000, u32::try_from(samples.len()).unwrap());
    bytes.extend(samples);
    bytes
}
