//! Every prompt, ready to be said before the first call is placed.
//!
//! A prompt is said by the take that staff have approved; or else by its recording, if the folder
//! has one; or else by the synthetic voice, from its kana or, without kana, from its text through
//! the dictionary.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::warn;

use super::cache::{Cache, Key};
use super::catalog;
use super::dictionary::{Dictionary, DictionaryError};
use super::error::{Lack, Missing, PromptError, Reason};
use super::kana::{Kana, Rest, is_mark};
use super::master::{self, Encoded};
use super::reading;
use super::recording;
use super::recordings::Recordings;
use super::shelf::Shelf;
use super::voice::{Pace, Voice};
use crate::audio::g711;
use crate::audio::pcm::{RATE, Sound};
use crate::audio::tone::Tone;
use crate::base::Language;
use crate::call::clip::Clip;
use crate::ivr::catalog::{Part, Prompt, Template};
use crate::ivr::{Blank, Catalog, Utterance};

/// Where the prompts come from and where speech is kept.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of prompts, or none for those that are built in. Its `ja/catalog.toml`, if there
    /// is one, replaces and adds prompts one by one; recordings lie in `ja/`.
    pub folder: Option<PathBuf>,
    /// A folder that may be deleted at any time: speech and the unpacked dictionary. Without it
    /// speech is made again at each start, and text without kana cannot be read.
    pub cache: Option<PathBuf>,
}

/// The prompts of a language as sound. It may be shared by threads.
pub struct Library {
    catalog: Catalog,
    recordings: Recordings,
    speaker: Speaker,
    shelf: Mutex<Shelf>,
    takes: Mutex<Takes>,
}

/// The takes that staff have approved, by prompt, and what names this state of them.
#[derive(Default)]
struct Takes {
    stamp: String,
    sounds: HashMap<String, Arc<[u8]>>,
}

/// What a prompt is said by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The synthetic voice.
    Voice,
    /// A recording in the folder of prompts.
    File,
    /// A take that staff have approved.
    Take,
}

/// What makes the sound.
enum Speaker {
    Voice(Box<Synthesis>),
    /// Silence as long as the words would last.
    Silence,
}

struct Synthesis {
    voice: Voice,
    cache: Option<Cache>,
    cache_folder: Option<PathBuf>,
    dictionary: Mutex<Option<Arc<Dictionary>>>,
}

/// The prompt that is a tone.
const SIGNAL: &str = "message_signal";

const SIGNAL_LENGTH: Duration = Duration::from_millis(600);

impl Library {
    /// Reads the catalogue and lists the recordings; no sound is made yet.
    pub fn open(config: Config) -> Result<Self, PromptError> {
        let mut catalog = Catalog::embedded();
        let mut recordings = Recordings::default();
        if let Some(folder) = &config.folder {
            let folder = folder.join(Language::Ja.code());
            if let Some(own) = own_catalog(&folder.join("catalog.toml"))? {
                catalog.overlay(own);
            }
            let listed = Recordings::list(&folder, &catalog)
                .map_err(|source| PromptError::Read { path: folder, source })?;
            recordings = listed.map_err(PromptError::Recordings)?;
        }
        let cache = config.cache.as_ref().map(|path| {
            let failed = |source| PromptError::Cache { path: path.clone(), source };
            Cache::open(path).map_err(failed)
        });
        let synthesis = Synthesis {
            voice: Voice::load().map_err(PromptError::Voice)?,
            cache: cache.transpose()?,
            cache_folder: config.cache,
            dictionary: Mutex::default(),
        };
        let speaker = Speaker::Voice(Box::new(synthesis));
        let (shelf, takes) = (Mutex::default(), Mutex::default());
        Ok(Self { catalog, recordings, speaker, shelf, takes })
    }

    /// A library that makes no sound: each clip is silence that lasts about as long as its words.
    /// It is for simulations, and needs neither voice nor disk.
    pub fn silent(catalog: Catalog) -> Self {
        Self {
            catalog,
            recordings: Recordings::default(),
            speaker: Speaker::Silence,
            shelf: Mutex::default(),
            takes: Mutex::default(),
        }
    }

    /// Makes all of them ready, on all cores, and reports together what cannot be said.
    ///
    /// It takes some 15 ms of one core for each second of speech, and a file read for what is in
    /// the cache: call it from a thread that may block.
    pub fn prepare(&self, utterances: &[Utterance], pace: Pace) -> Result<(), Missing> {
        let wanted: Vec<&Utterance> = {
            let mut shelf = self.shelf();
            let mut seen = HashSet::new();
            let wanted = utterances.iter().filter(|utterance| seen.insert(*utterance));
            wanted.filter(|utterance| shelf.take(utterance, pace).is_none()).collect()
        };
        let next = AtomicUsize::new(0);
        let lacks = Mutex::new(Vec::new());
        let work = || {
            while let Some((n, utterance)) = nth(&wanted, &next) {
                match self.make(utterance, pace) {
                    Ok(clip) => self.shelf().put(utterance, pace, clip),
                    Err(reason) => {
                        lock(&lacks).push((n, Lack { label: utterance.to_string(), reason }));
                    }
                }
            }
        };
        let n_threads = thread::available_parallelism().map_or(1, usize::from).min(wanted.len());
        thread::scope(|scope| {
            for _ in 1..n_threads {
                scope.spawn(work);
            }
            work();
        });
        let mut lacks = lacks.into_inner().unwrap_or_else(PoisonError::into_inner);
        lacks.sort_by_key(|(n, _)| *n);
        let lacks: Vec<Lack> = lacks.into_iter().map(|(_, lack)| lack).collect();
        if lacks.is_empty() { Ok(()) } else { Err(Missing(lacks)) }
    }

    /// A prompt that was prepared. It never waits: what was not prepared is not there.
    ///
    /// Prompts with values are forgotten when many others have been used since, those without
    /// never. A silent library has every prompt at once.
    pub fn clip(&self, utterance: &Utterance, pace: Pace) -> Option<Arc<Clip>> {
        let ready = self.shelf().take(utterance, pace);
        if ready.is_some() || !matches!(self.speaker, Speaker::Silence) {
            return ready;
        }
        let clip = self.make(utterance, pace).ok()?;
        self.shelf().put(utterance, pace, Arc::clone(&clip));
        Some(clip)
    }

    /// What names the takes that are in use: another text after each change.
    pub fn takes_stamp(&self) -> String {
        lock(&self.takes).stamp.clone()
    }

    /// Uses these takes from now on, by prompt, as µ-law at 8 kHz; other prompts are said as
    /// without takes. What was ready stays ready: a call under way finds every prompt that it may
    /// need. Call it from a thread that may block.
    pub fn use_takes(&self, stamp: String, sounds: HashMap<String, Arc<[u8]>>) {
        let changed: Vec<String> = {
            let mut takes = lock(&self.takes);
            let names: HashSet<&String> = takes.sounds.keys().chain(sounds.keys()).collect();
            let differs = |name: &&&String| takes.sounds.get(**name) != sounds.get(**name);
            let changed = names.iter().filter(differs).map(|name| (*name).clone()).collect();
            *takes = Takes { stamp, sounds };
            changed
        };
        for utterance in changed.into_iter().map(|prompt| Utterance::fixed(&prompt)) {
            for pace in [Pace::Normal, Pace::Slow] {
                if self.shelf().take(&utterance, pace).is_none() {
                    continue;
                }
                match self.make(&utterance, pace) {
                    Ok(clip) => self.shelf().put(&utterance, pace, clip),
                    Err(reason) => {
                        warn!(prompt = utterance.prompt, "the prompt keeps its sound: {reason}");
                    }
                }
            }
        }
    }

    /// What an utterance is said by.
    pub fn source(&self, utterance: &Utterance) -> Source {
        if self.take_of(utterance).is_some() {
            Source::Take
        } else if self.recordings.find(utterance).is_some() {
            Source::File
        } else {
            Source::Voice
        }
    }

    fn take_of(&self, utterance: &Utterance) -> Option<Arc<[u8]>> {
        if !utterance.blanks.is_empty() {
            return None;
        }
        lock(&self.takes).sounds.get(&utterance.prompt).map(Arc::clone)
    }

    /// An utterance as sound, made now if it is not ready. It may take seconds, and a disk.
    pub fn hear(&self, utterance: &Utterance, pace: Pace) -> Result<Arc<Clip>, Reason> {
        self.make(utterance, pace)
    }

    /// The id of every prompt, sorted.
    pub fn prompt_ids(&self) -> Vec<&str> {
        self.catalog.ids().collect()
    }

    /// The catalogue, as it was overlaid.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// How it is said, in accent-marked katakana. It may hold the name of a person.
    pub fn kana(&self, utterance: &Utterance) -> Result<String, Reason> {
        let prompt = self.catalog.prompt(&utterance.prompt).ok_or(Reason::Unknown)?;
        match &prompt.kana {
            Some(kana) => self.fill(prompt, kana, &utterance.blanks),
            None => self.read_aloud(prompt, &utterance.blanks),
        }
    }

    fn make(&self, utterance: &Utterance, pace: Pace) -> Result<Arc<Clip>, Reason> {
        let prompt = self.catalog.prompt(&utterance.prompt).ok_or(Reason::Unknown)?;
        // Checked here too, so that a recording does not hide a wrong value.
        prompt.values(&prompt.text, &utterance.blanks)?;
        let pause = match prompt.pause_ms {
            Some(pause_ms) => Duration::from_millis(pause_ms.into()),
            None => pace.rest(Rest::Sentence),
        };
        let encoded = match (self.take_of(utterance), &self.speaker) {
            (Some(sound), _) => master::encode(&g711::decode_mulaw(&sound), pause),
            (None, Speaker::Silence) if utterance.prompt == SIGNAL => {
                master::encode(&[], SIGNAL_LENGTH + pause)
            }
            (None, Speaker::Silence) => {
                let length = self.estimate(prompt, utterance, pace)?;
                master::encode(&[], length + pause)
            }
            (None, Speaker::Voice(synthesis)) => {
                if let Some(file) = self.recordings.find(utterance) {
                    let recorded = synthesis.play(file, pause);
                    recorded
                        .map_err(|source| Reason::Recording { file: file.to_owned(), source })?
                } else if utterance.prompt == SIGNAL {
                    // As loud as the words around it.
                    let tone = Sound::from_i16(RATE, &Tone::BEEP.samples(SIGNAL_LENGTH));
                    master::encode(&master::master(&tone)?, pause)
                } else {
                    let kana = self.kana(utterance)?;
                    synthesis.say(&kana, pace, pause, may_be_kept(utterance))?
                }
            }
        };
        Ok(Arc::new(Clip {
            label: utterance.to_string(),
            pcmu: encoded.pcmu.into(),
            pcma: encoded.pcma.into(),
        }))
    }

    /// Puts the readings of the values into the kana.
    fn fill(&self, prompt: &Prompt, kana: &Template, blanks: &[Blank]) -> Result<String, Reason> {
        let mut values = prompt.values(kana, blanks)?.into_iter();
        let pieces = kana.parts.iter().map(|part| match part {
            Part::Literal(text) => Ok(text.clone()),
            Part::Blank(_) => values.next().map_or(Ok(String::new()), |value| self.value(value)),
        });
        Ok(catalog::join(pieces.collect::<Result<Vec<_>, Reason>>()?))
    }

    /// Reads the text around the values through the dictionary. Particles and endings lean on the
    /// value before them.
    fn read_aloud(&self, prompt: &Prompt, blanks: &[Blank]) -> Result<String, Reason> {
        let mut values = prompt.values(&prompt.text, blanks)?.into_iter();
        let mut pieces: Vec<String> = Vec::new();
        for part in &prompt.text.parts {
            let (kana, leans) = match part {
                Part::Literal(text) => {
                    let reading = self.dictionary()?.read(text)?;
                    (reading.kana, reading.leans)
                }
                Part::Blank(_) => match values.next() {
                    Some(value) => (self.value(value)?, false),
                    None => continue,
                },
            };
            let follows = pieces.last().is_some_and(|before| !before.ends_with(is_mark));
            if follows && !leans && !kana.is_empty() && !kana.starts_with(is_mark) {
                pieces.push("/".to_owned());
            }
            pieces.push(kana);
        }
        Ok(catalog::join(pieces))
    }

    fn value(&self, blank: &Blank) -> Result<String, Reason> {
        let kana = match blank {
            Blank::Temperature(tenths) => reading::temperature(*tenths),
            Blank::Spo2(percent) => reading::spo2(*percent),
            Blank::PhoneNumber(number) => reading::phone_number(number),
            Blank::FamilyName(name) => reading::family_name(name.expose()),
            Blank::Moment { at, today } => Ok(reading::moment(*at, *today)),
            Blank::HealthCenter(name) if Kana::parse(name).is_ok() => Ok(name.clone()),
            Blank::HealthCenter(name) => return Ok(self.dictionary()?.read(name)?.kana),
        };
        Ok(kana?)
    }

    fn dictionary(&self) -> Result<Arc<Dictionary>, Reason> {
        match &self.speaker {
            Speaker::Voice(synthesis) => synthesis.dictionary(),
            Speaker::Silence => Err(DictionaryError::NoCache.into()),
        }
    }

    /// How long it would take to say, without the voice.
    fn estimate(
        &self,
        prompt: &Prompt,
        utterance: &Utterance,
        pace: Pace,
    ) -> Result<Duration, Reason> {
        let kana = match self.kana(utterance) {
            Ok(kana) => Kana::parse(&kana)?,
            // Without a dictionary a text is guessed: two morae to a character, which is
            // right for kanji and generous for kana.
            Err(Reason::Dictionary(_)) => {
                let n_characters = prompt.written(&utterance.blanks)?.chars().count();
                return Ok(pace.length_of(2 * n_characters));
            }
            Err(reason) => return Err(reason),
        };
        let mut length = Duration::ZERO;
        for (n, sentence) in kana.sentences.iter().enumerate() {
            length += pace.length_of(sentence.n_morae());
            length += sentence.rests().map(|rest| pace.rest(rest)).sum::<Duration>();
            if n + 1 < kana.sentences.len() {
                length += pace.rest(sentence.rest);
            }
        }
        Ok(length)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        lock(&self.shelf)
    }
}

impl Synthesis {
    fn say(
        &self,
        kana: &str,
        pace: Pace,
        pause: Duration,
        may_be_kept: bool,
    ) -> Result<Encoded, Reason> {
        let parsed = Kana::parse(kana)?;
        let cache = self.cache.as_ref().filter(|_| may_be_kept);
        let pause_ms = pause.as_millis().to_be_bytes();
        let key = Key::of(&[b"mei", kana.as_bytes(), pace.as_str().as_bytes(), &pause_ms]);
        if let Some(encoded) = cache.and_then(|cache| cache.load(key)) {
            return Ok(encoded);
        }
        let samples = master::master(&self.voice.say(&parsed, pace)?)?;
        let encoded = master::encode(&samples, pause);
        keep(cache, key, &encoded);
        Ok(encoded)
    }

    fn play(&self, file: &Path, pause: Duration) -> Result<Encoded, recording::RecordingError> {
        let bytes = recording::read(file)?;
        let key = Key::of(&[b"recording", &bytes, &pause.as_millis().to_be_bytes()]);
        if let Some(encoded) = self.cache.as_ref().and_then(|cache| cache.load(key)) {
            return Ok(encoded);
        }
        let extension = file.extension().and_then(|extension| extension.to_str());
        let sound = recording::decode(bytes, extension.unwrap_or_default())?;
        let encoded = master::encode(&master::master(&sound)?, pause);
        keep(self.cache.as_ref(), key, &encoded);
        Ok(encoded)
    }

    /// Loaded when it is first needed; a failure is tried again, for the disk may have room then.
    fn dictionary(&self) -> Result<Arc<Dictionary>, Reason> {
        let mut loaded = lock(&self.dictionary);
        if let Some(dictionary) = loaded.as_ref() {
            return Ok(Arc::clone(dictionary));
        }
        let folder = self.cache_folder.as_ref();
        let folder = folder.ok_or(DictionaryError::NoCache)?;
        let dictionary = Arc::new(Dictionary::load(folder)?);
        *loaded = Some(Arc::clone(&dictionary));
        Ok(dictionary)
    }
}

/// Whether its sound may lie on a disk. A person's name may not; a moment is said once only.
fn may_be_kept(utterance: &Utterance) -> bool {
    !utterance
        .blanks
        .iter()
        .any(|blank| matches!(blank, Blank::FamilyName(_) | Blank::Moment { .. }))
}

/// Without a cache everything still works, only slower.
fn keep(cache: Option<&Cache>, key: Key, encoded: &Encoded) {
    if let Some(Err(error)) = cache.map(|cache| cache.store(key, encoded)) {
        warn!(%error, "speech cannot be kept in the cache folder: {error}");
    }
}

/// The catalogue of the folder, if it has one.
fn own_catalog(path: &Path) -> Result<Option<Catalog>, PromptError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(PromptError::Read { path: path.to_owned(), source }),
    };
    let parsed = catalog::parse(&text);
    parsed.map(Some).map_err(|faults| PromptError::Catalog { path: path.to_owned(), faults })
}

fn nth<'a, T>(items: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let n = next.fetch_add(1, Ordering::Relaxed);
    items.get(n).map(|item| (n, item))
}

/// A panic elsewhere does not make the data wrong: every change is one insertion.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::audio::pcm;
    use crate::audio::wav::{Encoding, Wav};
    use crate::audio::{RATE, Sound, g711, level};
    use crate::base::Private;
    use crate::call::clip::FRAME_BYTES;
    use crate::ivr::catalog::BlankKind;
    use crate::prompt::dictionary;

    fn synthetic() -> Library {
        Library::open(Config { folder: None, cache: None }).unwrap()
    }

    /// A library with one folder for prompts and cache, and files in its `ja`.
    fn with_files(folder: &Path, files: &[(&str, &[u8])]) -> Result<Library, PromptError> {
        let prompts = folder.join("prompts");
        fs::create_dir_all(prompts.join("ja")).unwrap();
        for (name, bytes) in files {
            fs::write(prompts.join("ja").join(name), bytes).unwrap();
        }
        Library::open(Config { folder: Some(prompts), cache: Some(folder.join("cache")) })
    }

    fn name() -> Blank {
        Blank::FamilyName(Private::new("カンザキ".to_owned()))
    }

    fn any(kind: BlankKind) -> Blank {
        let today = date(2026, 11, 22);
        match kind {
            BlankKind::Temperature => Blank::Temperature(375),
            BlankKind::Spo2 => Blank::Spo2(96),
            BlankKind::PhoneNumber => Blank::PhoneNumber("03-1234-5678".to_owned()),
            BlankKind::HealthCenter => Blank::HealthCenter("ミナトホケ'ンジョ".to_owned()),
            BlankKind::FamilyName => name(),
            BlankKind::Moment => Blank::Moment { at: date(2026, 11, 23).at(9, 0, 0, 0), today },
        }
    }

    /// Every prompt of the catalogue, with some value in each blank.
    fn all(library: &Library) -> Vec<Utterance> {
        let with_values = |id: &str| {
            let blanks = library.catalog().prompt(id).unwrap().text.blanks().map(any).collect();
            Utterance { prompt: id.to_owned(), blanks }
        };
        library.prompt_ids().into_iter().map(with_values).collect()
    }

    fn level_of(clip: &Clip) -> f64 {
        let sound = Sound::from_i16(RATE, &g711::decode_mulaw(&clip.pcmu));
        level::active_level(&sound.samples, RATE).unwrap().dbov
    }

    fn tone(hertz: f32) -> Vec<u8> {
        let samples = (0..32_000_u16).map(|i| {
            let turns = f32::from(i) / 16_000.0 * hertz;
            pcm::quantize(0.1 * (turns * std::f32::consts::TAU).sin())
        });
        let wav = Wav { channels: 1, rate: 16_000, samples: samples.collect() };
        wav.encode(Encoding::Linear16)
    }

    /// The prompts that are said fastest, so that the tests are too.
    fn short(library: &Library, n: usize) -> Vec<Utterance> {
        let mut all = all(library);
        all.sort_by_key(|utterance| library.kana(utterance).unwrap().len());
        all.truncate(n);
        all
    }

    #[test]
    fn every_prompt_can_be_said() {
        let library = Library::silent(Catalog::embedded());
        let all = all(&library);
        library.prepare(&all, Pace::Normal).unwrap_or_else(|missing| panic!("{missing}"));
        for utterance in &all {
            let clip = library.clip(utterance, Pace::Normal).unwrap();
            assert!(!clip.label.contains("カンザキ"), "{}", clip.label);
        }
    }

    #[test]
    fn prompts_have_one_level() {
        let library = synthetic();
        let mut some = short(&library, 3);
        // A short tone is quieter to the meter of speech, which gives it time to rise.
        some.retain(|utterance| utterance.prompt != SIGNAL);
        some.push(Utterance::with("readback_temperature", Blank::Temperature(375)));
        library.prepare(&some, Pace::Normal).unwrap();
        for utterance in &some {
            let clip = library.clip(utterance, Pace::Normal).unwrap();
            let level = level_of(&clip);
            assert!((-24.0..-22.0).contains(&level), "{clip:?}: {level} dBov");
            assert_eq!(clip.pcmu.len() % FRAME_BYTES, 0);
        }
    }

    #[test]
    fn silence_lasts_about_as_long_as_speech() {
        let (library, silent) = (synthetic(), Library::silent(Catalog::embedded()));
        let mut some = short(&library, 3);
        some.push(Utterance::with("readback_temperature", Blank::Temperature(375)));
        for pace in [Pace::Normal, Pace::Slow] {
            library.prepare(&some, pace).unwrap();
            for utterance in &some {
                let said = library.clip(utterance, pace).unwrap().duration().as_secs_f64();
                let clip = silent.clip(utterance, pace).unwrap();
                let ratio = clip.duration().as_secs_f64() / said;
                assert!((0.85..1.15).contains(&ratio), "{utterance} {pace:?}: {ratio}");
                assert!(clip.pcmu.iter().all(|byte| *byte == g711::MULAW_SILENCE));
            }
        }
    }

    #[test]
    fn what_is_missing_is_listed_together() {
        let folder = tempfile::tempdir().unwrap();
        let library = with_files(folder.path(), &[("hold.wav", b"no sound")]).unwrap();
        let missing = library.prepare(
            &[
                Utterance::fixed("no_such_prompt"),
                Utterance::fixed("readback_temperature"),
                Utterance::with("readback_spo2", Blank::Spo2(101)),
                Utterance::with("greeting", Blank::FamilyName(Private::new("神崎".to_owned()))),
                Utterance::fixed("hold"),
                Utterance::fixed("too_few"),
            ],
            Pace::Normal,
        );
        let shown = missing.unwrap_err().to_string();
        let shown = shown.replace(&folder.path().display().to_string(), "");
        insta::assert_snapshot!(shown, @r"
        no_such_prompt: the catalogue has no such prompt
        readback_temperature: the prompt wants {temperature}
        readback_spo2:101: the oxygen saturation is out of range
        greeting:name: the name is not in kana
        hold: /prompts/ja/hold.wav: this is not sound that can be read; use WAV, FLAC, MP3, Ogg Vorbis or M4A (AAC): unsupported feature: core (probe): no suitable format reader found
        ");
        assert!(library.clip(&Utterance::fixed("too_few"), Pace::Normal).is_some());
        assert!(library.clip(&Utterance::fixed("hold"), Pace::Normal).is_none());
    }

    #[test]
    fn speech_is_made_once_and_the_same_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let utterances = [
            Utterance::fixed("too_few"),
            Utterance::with("readback_temperature", Blank::Temperature(375)),
        ];
        let made = with_files(folder.path(), &[]).unwrap();
        made.prepare(&utterances, Pace::Normal).unwrap();
        let loaded = with_files(folder.path(), &[]).unwrap();
        loaded.prepare(&utterances, Pace::Normal).unwrap();
        let fresh = synthetic();
        fresh.prepare(&utterances, Pace::Normal).unwrap();
        for utterance in &utterances {
            let clip = made.clip(utterance, Pace::Normal).unwrap();
            assert_eq!(loaded.clip(utterance, Pace::Normal).unwrap(), clip);
            assert_eq!(fresh.clip(utterance, Pace::Normal).unwrap(), clip, "deterministic");
        }
        let cached = fs::read_dir(folder.path().join("cache/speech")).unwrap();
        assert_eq!(cached.count(), utterances.len());
    }

    #[test]
    fn a_name_is_never_written_to_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let library = with_files(folder.path(), &[]).unwrap();
        let greeting = Utterance::with("greeting", name());
        library.prepare(std::slice::from_ref(&greeting), Pace::Normal).unwrap();
        assert!(library.clip(&greeting, Pace::Normal).is_some());
        assert_eq!(fs::read_dir(folder.path().join("cache/speech")).unwrap().count(), 0);
    }

    #[test]
    fn a_recording_replaces_the_voice() {
        let folder = tempfile::tempdir().unwrap();
        let files = [("hold.wav", tone(700.0)), ("readback_temperature.375.wav", tone(700.0))];
        let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (*n, b.as_slice())).collect();
        let recorded = with_files(folder.path(), &files).unwrap();
        let voice = synthetic();
        let readback = |tenths| Utterance::with("readback_temperature", Blank::Temperature(tenths));
        let all = [Utterance::fixed("hold"), readback(375), readback(376)];
        // The second time the recordings come from the cache.
        let again = with_files(folder.path(), &[]).unwrap();
        for library in [&recorded, &voice, &again] {
            library.prepare(&all, Pace::Normal).unwrap();
        }
        let clip = |library: &Library, n: usize| library.clip(&all[n], Pace::Normal).unwrap();
        for n in [0, 1] {
            assert_ne!(clip(&recorded, n), clip(&voice, n));
            assert_eq!(clip(&recorded, n), clip(&again, n));
            let level = level_of(&clip(&recorded, n));
            assert!((-24.0..-22.0).contains(&level), "{level} dBov");
        }
        assert_eq!(clip(&recorded, 2), clip(&voice, 2), "another value has no recording");
    }

    #[test]
    fn the_catalogue_of_the_folder_replaces_prompts_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let own = "[hold]\ntext = 'まってください。'\nkana = 'マ'ッテクダサ'イ。'";
        let error = with_files(folder.path(), &[("catalog.toml", own.as_bytes())]).err().unwrap();
        let shown = error.to_string();
        assert!(shown.contains("ja/catalog.toml is not valid:\nline 3:"), "{shown}");
        let own = "[hold]\ntext = 'まってください。'\nkana = \"マ'ッテ/クダサ'イ。\"";
        let library = with_files(folder.path(), &[("catalog.toml", own.as_bytes())]).unwrap();
        assert_eq!(library.catalog().written(&Utterance::fixed("hold")), "まってください。");
        assert!(library.prompt_ids().len() > 50);
    }

    #[test]
    fn text_without_kana_is_read_through_the_dictionary() {
        let folder = tempfile::tempdir().unwrap();
        let prompts = folder.path().join("prompts");
        fs::create_dir_all(prompts.join("ja")).unwrap();
        let own = "
            [note]\ntext = '体温は{temperature}ですね。窓口は{phone}です。'
            [hello]\ntext = '{name}様、{center}です。'";
        fs::write(prompts.join("ja/catalog.toml"), own).unwrap();
        let config = Config { folder: Some(prompts), cache: Some(dictionary::tests::cache()) };
        let library = Library::open(config).unwrap();
        let note = Utterance {
            prompt: "note".to_owned(),
            blanks: vec![Blank::Temperature(375), Blank::PhoneNumber("119".to_owned())],
        };
        let center = Blank::HealthCenter("港区保健所".to_owned());
        let hello = Utterance { prompt: "hello".to_owned(), blanks: vec![name(), center] };
        for (utterance, expected) in [
            (
                note,
                "タ'イオンワ/サ'ンジュー/ナナ'ド/ゴ'ブデスネ。マド'グチワ/イチ'/イチ'/キュ'ーデス。",
            ),
            (hello, "カンザキサマ、ミナト'ク/ホケンジョデ'ス。"),
        ] {
            assert_eq!(library.kana(&utterance).unwrap(), expected);
        }
        assert!(matches!(
            synthetic().kana(&Utterance::with("opening", Blank::HealthCenter("港区".to_owned()))),
            Err(Reason::Dictionary(DictionaryError::NoCache))
        ));
    }

    #[test]
    fn a_silent_library_needs_no_kana() {
        let catalog = Catalog::parse("[note]\ntext = '体温をはかってください。'").unwrap();
        let library = Library::silent(catalog);
        let note = Utterance::fixed("note");
        library.prepare(std::slice::from_ref(&note), Pace::Normal).unwrap();
        let length = library.clip(&note, Pace::Normal).unwrap().duration().as_secs_f64();
        assert!((2.0..6.0).contains(&length), "{length}");
    }
}
