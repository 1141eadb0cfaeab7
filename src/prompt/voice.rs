//! The synthetic voice: accent-marked katakana in, speech out.
//!
//! The voice is HTS Voice "Mei" (CC BY 3.0, see `prompts/voice`). Its global speed is left alone,
//! because a lower one lengthens the rests far more than the speech: each phoneme's own natural
//! length is stretched instead, and each rest is given its length.

use std::collections::VecDeque;
use std::time::Duration;

use jbonsai::Engine;
use jbonsai::duration::DurationEstimator;
use jbonsai::engine::{Condition, EngineError};
use jbonsai::label::{LabelError, Labels, ToLabels};
use jbonsai::model::Models;
use jlabel::Label;
use jpreprocess_core::pos::{Kigou, Meishi, POS};
use jpreprocess_core::pronunciation::{Mora, MoraEnum, Pronunciation};
use jpreprocess_core::word_details::WordDetails;
use jpreprocess_core::word_entry::WordEntry;
use jpreprocess_njd::unvoiced_vowel::njd_set_unvoiced_vowel;
use jpreprocess_njd::{NJD, NJDNode};

use super::kana::{Kana, Rest, Sentence};
use crate::audio::Sound;

const MEI: &[u8] = include_bytes!("../../prompts/voice/mei_normal.htsvoice");

/// Mei speaks like a child at 345 Hz; five semitones lower, at about 260 Hz, she is a calm adult.
const HALF_TONES: f64 = -5.0;

/// Silence before the first and after the last phoneme of a sentence.
const LEAD: Duration = Duration::from_millis(40);
const TAIL: Duration = Duration::from_millis(60);

/// How fast a prompt is said.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Pace {
    /// About 6 morae a second: 5.5 to 8 are the easiest for old ears.
    #[default]
    Normal,
    /// About 5 morae a second with long rests, for those who ask for it.
    Slow,
}

impl Pace {
    /// Each of them: a patient of either kind may be the first who is called.
    pub const ALL: [Self; 2] = [Self::Normal, Self::Slow];

    /// By how much the natural length of a phoneme is multiplied.
    fn stretch(self) -> f64 {
        match self {
            Self::Normal => 1.18,
            Self::Slow => 1.41,
        }
    }

    /// About how long it takes to say so many morae, without rests.
    pub(super) fn length_of(self, n_morae: usize) -> Duration {
        let mora = match self {
            Self::Normal => Duration::from_micros(1_000_000 / 6),
            Self::Slow => Duration::from_millis(200),
        };
        mora * u32::try_from(n_morae).unwrap_or(u32::MAX)
    }

    /// How long a rest is.
    ///
    /// Rests of 0.6 s between 文節 help old people to understand; a key is named after a second.
    pub fn rest(self, rest: Rest) -> Duration {
        Duration::from_millis(match (self, rest) {
            (Self::Normal, Rest::Comma) => 350,
            (Self::Normal, Rest::Digits) => 450,
            (Self::Normal, Rest::Phrase) => 600,
            (Self::Normal, Rest::Sentence) => 650,
            (Self::Normal, Rest::Long) => 1000,
            (Self::Slow, Rest::Comma) => 600,
            (Self::Slow, Rest::Digits) => 700,
            (Self::Slow, Rest::Phrase) => 800,
            (Self::Slow, Rest::Sentence) => 900,
            (Self::Slow, Rest::Long) => 1300,
        })
    }

    /// The word for it in keys of the cache.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Slow => "slow",
        }
    }
}

/// The voice, ready to speak; it may be shared by threads.
pub struct Voice {
    engine: Engine,
}

impl Voice {
    /// Loads the voice that is built in.
    pub fn load() -> Result<Self, EngineError> {
        let mut engine = Engine::load_from_bytes([MEI])?;
        engine.condition.set_phoneme_alignment_flag(true);
        engine.condition.set_additional_half_tone(HALF_TONES);
        Ok(Self { engine })
    }

    /// Says it. The same words at the same pace give the same samples.
    pub fn say(&self, kana: &Kana, pace: Pace) -> Result<Sound, EngineError> {
        let rate = self.engine.condition.get_sampling_frequency();
        let mut samples: Vec<f32> = Vec::new();
        for (n, sentence) in kana.sentences.iter().enumerate() {
            samples.extend(self.say_sentence(sentence, pace)?);
            if n + 1 < kana.sentences.len() {
                let silent = pace.rest(sentence.rest).saturating_sub(LEAD + TAIL).as_micros();
                let silent = silent * u128::try_from(rate).unwrap_or(0) / 1_000_000;
                samples.resize(samples.len() + usize::try_from(silent).unwrap_or(0), 0.0);
            }
        }
        Ok(Sound { rate: u32::try_from(rate).unwrap_or(u32::MAX), samples })
    }

    #[expect(clippy::cast_possible_truncation, reason = "samples are stored narrower")]
    fn say_sentence(&self, sentence: &Sentence, pace: Pace) -> Result<Vec<f32>, EngineError> {
        let labels = labels(sentence);
        let lengths = self.lengths(&labels, sentence, pace);
        let ends = lengths.iter().scan(0.0, |end, length| {
            let start = *end;
            *end += length;
            Some((start, *end))
        });
        let timed = Timed(Labels::new(labels, Some(ends.collect()))?);
        // The vocoder works on the scale of 16-bit samples, and may exceed it.
        Ok(self.engine.synthesize(timed)?.into_iter().map(|v| (v / 32768.0) as f32).collect())
    }

    /// How long each phoneme lasts, in frames of the voice.
    #[expect(clippy::cast_precision_loss, reason = "frames of a sentence are few")]
    fn lengths(&self, labels: &[Label], sentence: &Sentence, pace: Pace) -> Vec<f64> {
        let condition = &self.engine.condition;
        let models = Models::new(labels, &self.engine.voices, condition.get_interporation_weight());
        let n_states = models.nstate();
        let natural = DurationEstimator::new(models.duration(), n_states).create(1.0);
        let frames_per_second =
            condition.get_sampling_frequency() as f64 / condition.get_fperiod() as f64;
        let frames = |length: Duration| length.as_secs_f64() * frames_per_second;
        let mut rests: VecDeque<Rest> = sentence.rests().collect();
        let lengths = labels.iter().zip(natural.chunks(n_states)).enumerate();
        let lengths = lengths.map(|(n, (label, states))| match label.phoneme.c.as_deref() {
            Some("sil") if n == 0 => frames(LEAD),
            Some("sil") => frames(TAIL),
            Some("pau") => frames(pace.rest(rests.pop_front().unwrap_or_default())),
            _ => states.iter().sum::<usize>() as f64 * pace.stretch(),
        });
        // Each state lasts one frame at least.
        lengths.map(|length| length.round().max(n_states as f64)).collect()
    }
}

/// Labels that know when each phoneme ends.
struct Timed(Labels);

impl ToLabels for Timed {
    fn to_labels(self, _: &Condition) -> Result<Labels, LabelError> {
        Ok(self.0)
    }
}

/// The phonemes with all their context, as the voice was trained on.
fn labels(sentence: &Sentence) -> Vec<Label> {
    let mut njd = NJD { nodes: Vec::new() };
    for (n, group) in sentence.groups.iter().enumerate() {
        if n > 0 {
            njd.nodes.extend(mark(MoraEnum::Touten));
        }
        njd.nodes.extend(group.phrases.iter().flat_map(phrase));
    }
    njd_set_unvoiced_vowel(&mut njd);
    devoice_polite_endings(&mut njd);
    if sentence.is_question {
        njd.nodes.extend(mark(MoraEnum::Question));
    }
    jpreprocess_jpcommon::njdnodes_to_features(&njd.nodes)
}

/// An accent phrase as one noun that begins a phrase.
fn phrase(pronunciation: &Pronunciation) -> Vec<NJDNode> {
    let details = WordDetails {
        pos: POS::Meishi(Meishi::General),
        pron: pronunciation.clone(),
        chain_flag: Some(false),
        ..WordDetails::default()
    };
    NJDNode::load(&pronunciation.to_pure_string(), &WordEntry::Single(details))
}

fn mark(mora_enum: MoraEnum) -> Vec<NJDNode> {
    let details = WordDetails {
        pos: POS::Kigou(Kigou::Touten),
        pron: Pronunciation::new(vec![Mora { mora_enum, is_voiced: true }], 0),
        ..WordDetails::default()
    };
    NJDNode::load("、", &WordEntry::Single(details))
}

/// The ス of です and ます is whispered where a breath ends. The library knows this of auxiliary
/// verbs only, and in kana all words are nouns.
fn devoice_polite_endings(njd: &mut NJD) {
    for n in 0..njd.nodes.len() {
        let ends_breath = njd.nodes.get(n + 1).is_none_or(|next| next.get_pron().is_touten());
        let pronunciation = njd.nodes[n].get_pron_mut();
        let falls_last = pronunciation.accent() == pronunciation.mora_size();
        if let [.., before, last] = pronunciation.moras_mut()
            && matches!(before.mora_enum, MoraEnum::De | MoraEnum::Ma)
            && last.mora_enum == MoraEnum::Su
            && ends_breath
            && !falls_last
        {
            last.is_voiced = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::RATE;
    use crate::ivr::Catalog;
    use crate::ivr::catalog::Part;

    const ASK: &str = "キョ'ーノ/タ'イオンオ、サ'ンケタデ、オシテ/クダサ'イ。サ'ンジュー/ロク'ド/ゴ'ブワ、\
                       サン、ロク'、ゴ'。";

    fn phonemes(kana: &str) -> String {
        let kana = Kana::parse(kana).unwrap();
        let labels = kana.sentences.iter().flat_map(labels);
        labels.filter_map(|label| label.phoneme.c).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn kana_becomes_phonemes() {
        for (kana, expected) in [
            ("ハ'イ、イーエ", "sil h a i pau i i e sil"),
            ("ア。キョ'ー", "sil a sil sil ky o o sil"),
            ("デ'ス。オシマ'ス", "sil d e s U sil sil o sh i m a s U sil"),
            ("デ'スカ？", "sil d e s U k a sil"),
            ("ロク'ト", "sil r o k u t o sil"),
            ("ケッカ", "sil k e cl k a sil"),
        ] {
            assert_eq!(phonemes(kana), expected, "{kana}");
        }
    }

    /// Morae in a second of speech, without the rests, over sentences of the catalogue.
    fn rate(voice: &Voice, pace: Pace) -> f64 {
        let catalog = Catalog::embedded();
        let kana = catalog.ids().filter_map(|id| {
            let template = catalog.prompt(id)?.kana.as_ref()?;
            match template.parts.as_slice() {
                [Part::Literal(kana)] => Some(Kana::parse(kana).unwrap()),
                _ => None,
            }
        });
        let (mut frames, mut n_morae) = (0.0, 0);
        for sentence in kana.flat_map(|kana| kana.sentences) {
            let labels = labels(&sentence);
            let lengths = voice.lengths(&labels, &sentence, pace);
            let speech = labels
                .iter()
                .zip(lengths)
                .filter(|(label, _)| !matches!(label.phoneme.c.as_deref(), Some("sil" | "pau")));
            frames += speech.map(|(_, length)| length).sum::<f64>();
            n_morae += sentence.n_morae();
        }
        // Frames of Mei last 5 ms.
        f64::from(u32::try_from(n_morae).unwrap()) / (frames * 0.005)
    }

    #[test]
    fn it_speaks_six_or_five_morae_a_second() {
        let voice = Voice::load().unwrap();
        for (pace, expected) in [(Pace::Normal, 6.0), (Pace::Slow, 5.0)] {
            let rate = rate(&voice, pace);
            assert!((rate - expected).abs() < 0.2, "{pace:?}: {rate}");
        }
    }

    #[test]
    fn rests_have_their_length() {
        let voice = Voice::load().unwrap();
        let length = |kana: &str, pace| {
            voice.say(&Kana::parse(kana).unwrap(), pace).unwrap().duration().as_secs_f64()
        };
        for pace in [Pace::Normal, Pace::Slow] {
            let rests = [("アア。アア", Rest::Sentence), ("アア。…アア", Rest::Long)];
            let two = 2.0 * length("アア", pace);
            for (kana, rest) in rests {
                let expected = two + pace.rest(rest).as_secs_f64() - (LEAD + TAIL).as_secs_f64();
                assert!((length(kana, pace) - expected).abs() < 0.001, "{kana} {pace:?}");
            }
            let more = length("アア・アア", pace) - length("アア、アア", pace);
            let expected =
                pace.rest(Rest::Phrase).as_secs_f64() - pace.rest(Rest::Comma).as_secs_f64();
            assert!((more - expected).abs() < 0.001, "{pace:?}: {more}");
        }
    }

    #[test]
    fn the_same_words_give_the_same_samples() {
        let kana = Kana::parse(ASK).unwrap();
        let first = Voice::load().unwrap().say(&kana, Pace::Normal).unwrap();
        let again = Voice::load().unwrap().say(&kana, Pace::Normal).unwrap();
        assert_eq!(first, again);
        assert!(first.rate > RATE);
    }
}
