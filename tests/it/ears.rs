//! Simulated callees tell the real prompts apart by their packets.

use std::sync::Arc;

use mimamori::call::{Clip, FRAME_BYTES};
use mimamori::ivr::{Blank, Utterance};
use mimamori::prompt::{self, Library};
use mimamori::sim::ear::{Recognized, Recognizer, Repertoire};

/// Prompts that begin alike, end alike, or hold different values.
fn prompts() -> Vec<Utterance> {
    let fixed = ["keys_yes_no", "keys_yes_no_again", "ask_dyspnea", "short_dyspnea", "thanks"]
        .iter()
        .chain(&["confirm_dyspnea", "ask_temperature", "ask_temperature_again", "identify"])
        .chain(&["identify_again", "ask_spo2", "ask_spo2_short", "short_face", "confirm_face"])
        .chain(&["hint_consultation", "confirm_consultation", "ask_worse_than_yesterday"])
        .chain(&["short_worse_than_yesterday", "ask_medicine_shortage", "short_medicine_shortage"]);
    let names = ["ヤマダ", "ヤマモト"].map(|name| Blank::FamilyName(name.to_owned().into()));
    let values = (364..=367).map(Blank::Temperature);
    fixed
        .map(|id| Utterance::fixed(id))
        .chain(names.map(|name| Utterance::with("greeting", name)))
        .chain(values.map(|value| Utterance::with("readback_temperature", value)))
        .collect()
}

#[test]
fn every_prompt_is_recognised_soon_and_heard_to_its_end() {
    let config = prompt::Config { folder: None, cache: None };
    let library = Library::open(config).expect("the voice is built in");
    let prompts = prompts();
    library.prepare(&prompts, prompt::Pace::Normal).expect("every prompt can be said");
    let clips: Vec<Arc<Clip>> = prompts
        .iter()
        .map(|one| library.clip(one, prompt::Pace::Normal).expect("prepared"))
        .collect();
    let mut repertoire = Repertoire::default();
    for clip in &clips {
        repertoire.learn(clip);
    }
    for clip in &clips {
        for sound in [&clip.pcmu, &clip.pcma] {
            let mut ear = Recognizer::default();
            let n_frames = sound.len() / FRAME_BYTES;
            let heard: Vec<(usize, Recognized)> = sound
                .chunks(FRAME_BYTES)
                .enumerate()
                .filter_map(|(index, frame)| Some((index, ear.hear(&repertoire, frame)?)))
                .collect();
            let [(began, first), (ended, last)] = heard.as_slice() else {
                panic!("{clip:?}: {heard:?}");
            };
            assert_eq!((first, last), (&Recognized::Began(clip.label.clone()), &Recognized::Ended));
            assert!(*began < 25, "{clip:?} is recognised after {began} packets");
            assert!(*ended > n_frames / 2, "{clip:?} ends at {ended} of {n_frames}");
        }
    }
}
