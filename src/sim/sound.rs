//! What a simulated person or machine sounds like: a voice without words, and a beep.

use std::sync::Arc;
use std::time::Duration;

use crate::audio::g711;
use crate::audio::tone::Tone;
use crate::call::{Clip, FRAME_BYTES};
use crate::sim::patient::Sound;

/// A sound of this length, ready to be sent.
pub(super) fn clip(sound: Sound, length: Duration) -> Arc<Clip> {
    let (label, mut samples) = match sound {
        Sound::Voice => ("voice", voice(length)),
        Sound::Beep => ("beep", Tone::BEEP.samples(length)),
    };
    samples.resize(samples.len().next_multiple_of(FRAME_BYTES), 0);
    Arc::new(Clip {
        label: label.to_owned(),
        pcmu: g711::encode_mulaw(&samples).into(),
        pcma: g711::encode_alaw(&samples).into(),
    })
}

/// A buzz of 140 Hz in syllables of 250 ms: loud as speech, and no pure tone.
fn voice(length: Duration) -> Vec<i16> {
    let n_samples = i32::try_from(length.as_millis() * 8).unwrap_or(i32::MAX);
    let sample = |n: i32| {
        let saw = (n * 140 % 8000) - 4000;
        let is_gap = n % 2000 >= 1500;
        if is_gap { 0 } else { i16::try_from(saw).unwrap_or(0) }
    };
    (0..n_samples).map(sample).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::level::{Activity, VoiceActivity};
    use crate::audio::tone::BeepDetector;

    fn hear(sound: Sound) -> (Vec<Activity>, usize) {
        let clip = clip(sound, Duration::from_secs(3));
        assert_eq!(clip.duration(), Duration::from_secs(3));
        let mut heard = g711::decode_mulaw(&clip.pcmu);
        heard.resize(heard.len() + 3 * 8000, 0);
        let (mut speech, mut beep) = (VoiceActivity::default(), BeepDetector::default());
        let frames = heard.chunks(FRAME_BYTES);
        let n_beeps = frames.clone().filter(|frame| beep.hear(frame)).count();
        (frames.filter_map(|frame| speech.hear(frame)).collect(), n_beeps)
    }

    #[test]
    fn a_voice_is_taken_for_speech_and_a_beep_for_a_beep() {
        let spoken = vec![
            Activity::Began,
            Activity::Quiet(Duration::from_millis(900)),
            Activity::Quiet(Duration::from_secs(2)),
        ];
        assert_eq!(hear(Sound::Voice), (spoken, 0));
        assert_eq!(hear(Sound::Beep).1, 1);
    }
}
