//! Builds from a configuration what several commands need: store, questionnaires, rules, prompts.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::civil::Date;
use tracing::{error, info, warn};

use crate::app::{Configured, key};
use crate::base::Clock;
use crate::base::id::HealthCenterId;
use crate::call::Carrier;
use crate::config::{Config, HealthCenterSettings, KeySource, RecordingSettings, TrunkSettings};
use crate::escalation::RuleSet;
use crate::escalation::rule::RuleBook;
use crate::ivr::session::{Profile, utterances};
use crate::ivr::{Blank, Questionnaire, Questionnaires, Script, Utterance, parse};
use crate::notify::Webhook;
use crate::prompt::{Library, Pace};
use crate::recording;
use crate::recording::{Archive, MasterKey, Recorder};
use crate::registry::HealthCenter;
use crate::release::ReleaseBook;
use crate::store::Store;
use crate::trunk::Trunk;
use crate::trunk::media::Engine;
use crate::web::Desk;
use crate::worker::{Progress, Recordings, Road};

/// All that stands before the first call can be placed.
pub(super) struct House {
    pub(super) config: Config,
    pub(super) store: Store,
    pub(super) questionnaires: Arc<Questionnaires>,
    pub(super) rules: RuleBook,
    release_rules: ReleaseBook,
    pub(super) library: Arc<Library>,
    pub(super) recordings: Option<Recordings>,
}

/// Opens and reads everything, and makes every prompt ready that an interview can need.
///
/// # Errors
/// If anything is missing: it is better not to start than to fall silent before a patient.
pub(super) async fn build(mut config: Config, clock: &Clock) -> anyhow::Result<House> {
    key::complete(&mut config)?;
    let store = super::open_store(&config.database).await?;
    let now = clock.now();
    for settings in &config.health_centers {
        let center = health_center(settings, store.mint(now.timestamp));
        store.save_health_center(now.timestamp, &center).await?;
    }
    let library = Library::open(config.prompts.clone())
        .context("音声カタログを使えません / the prompts cannot be used")?;
    let questionnaires = questionnaires(&config, &library)?;
    let terms = Arc::make_mut(&mut config.worker.terms);
    terms.questionnaire = questionnaires.usual().key();
    store.ensure_campaigns(now.timestamp, &config.worker.terms).await?;
    for campaign in store.campaigns(now.timestamp).await?.campaigns().filter(|it| it.is_default) {
        let usual = &config.worker.terms.questionnaire;
        let asked = campaign.version.as_ref().map(|version| &version.terms.questionnaire);
        if let Some(asked) = asked.filter(|asked| *asked != usual) {
            warn!(
                campaign = %campaign.id,
                "the first campaign of a centre asks {asked}, not {usual}: change its terms if that is \
                 not meant"
            );
        }
    }
    let rules = rules(&config)?;
    let release_rules = release_rules(&config)?;
    let library = Arc::new(library);

    let mut needed = Vec::new();
    for center in store.health_centers().await? {
        for questionnaire in questionnaires.all() {
            needed.extend(for_any_patient(questionnaire, &center, now.date()));
        }
    }
    info!(prompts = needed.len(), "making the prompts ready");
    let speaking = Arc::clone(&library);
    let speak = move || Pace::ALL.into_iter().try_for_each(|pace| speaking.prepare(&needed, pace));
    tokio::task::spawn_blocking(speak)
        .await
        .context("音声の合成が途切れました / the speech broke off")?
        .context("足りない音声があるので、だれにも電話できません / prompts are missing, so nobody can be called")?;
    let recordings = recordings(&config)?;
    if let Some(recordings) = &recordings
        && let Err(error) = recordings.archive.check().await
    {
        // Calls matter more; the spool takes what the archive does not.
        error!("the archive of recordings does not work: {:#}", anyhow::Error::from(error));
    }
    Ok(House { config, store, questionnaires, rules, release_rules, library, recordings })
}

impl House {
    /// Starts the trunk.
    ///
    /// # Errors
    /// If none is configured, or its sockets cannot be opened.
    pub(super) async fn trunk(&self, clock: &Clock) -> anyhow::Result<Trunk> {
        let settings = self.config.trunk.as_ref().context(
            "設定に [trunk] がありません / the configuration has no [trunk]: nobody can be called",
        )?;
        start_trunk(settings, clock).await
    }

    /// What the console needs, if one is configured.
    pub(super) fn desk(&self, clock: &Clock) -> Option<Desk> {
        let config = self.config.web.clone()?;
        Some(Desk {
            store: self.store.clone(),
            clock: clock.clone(),
            library: Arc::clone(&self.library),
            questionnaires: Arc::clone(&self.questionnaires),
            rules: Arc::new(self.rules.clone()),
            release_rules: Arc::new(self.release_rules.clone()),
            terms: Arc::clone(&self.config.worker.terms),
            archive: self.recordings.as_ref().map(|recordings| recordings.archive.clone()),
            config: Arc::new(config),
        })
    }

    /// Joins everything to the road.
    ///
    /// # Errors
    /// If the webhook's address or secret cannot be used.
    pub(super) fn road<C: Carrier>(self, carrier: C, clock: Clock) -> anyhow::Result<Road<C>> {
        Ok(Road {
            store: self.store,
            carrier: Arc::new(carrier),
            library: self.library,
            questionnaires: self.questionnaires,
            rules: self.rules,
            clock,
            webhook: self.config.webhook.map(Webhook::new).transpose()?,
            recordings: self.recordings,
            config: self.config.worker,
            progress: Progress::new(),
        })
    }
}

/// Starts the media threads and the trunk.
pub(super) async fn start_trunk(settings: &TrunkSettings, clock: &Clock) -> anyhow::Result<Trunk> {
    let engine = Engine::start(&settings.media)
        .context("音声のスレッドを始められません / cannot start the media threads")?;
    Ok(Trunk::start(settings.trunk.clone(), engine, clock.clone()).await?)
}

/// The centre with the id that the store will keep unless it knows the centre already.
pub(super) fn health_center(settings: &HealthCenterSettings, id: HealthCenterId) -> HealthCenter {
    HealthCenter {
        id,
        code: settings.code.clone(),
        name: settings.name.clone(),
        kana: settings.kana.clone(),
        desk_phone: settings.desk_phone.clone(),
        opens_at: settings.opens_at,
        closes_at: settings.closes_at,
    }
}

/// The configured questionnaires and the shipped ones; they may name the prompts of the library only.
pub(super) fn questionnaires(
    config: &Config,
    library: &Library,
) -> anyhow::Result<Arc<Questionnaires>> {
    let mut own = Vec::new();
    for path in &config.questionnaires {
        let (shown, text) = read(path)?;
        own.push(parse::questionnaire(&text, library.catalog()).with_context(|| {
            format!("問診票 {shown} を使えません / the questionnaire cannot be used")
        })?);
    }
    let all = Questionnaires::with_shipped(own).context(
        "同じ名前と版で内容の違う問診票があります。変えたものは version を上げてください / \
         questionnaires differ though they bear the same name and version",
    )?;
    Ok(Arc::new(all))
}

/// The keys of the questionnaires that can be asked, for commands that only look; `None` if a database
/// alone was named, whose settings nobody knows.
pub(super) fn known_questionnaires(
    configured: &Configured,
) -> anyhow::Result<Option<Arc<Questionnaires>>> {
    let Some(config) = known_settings(configured)? else { return Ok(None) };
    let library = Library::open(config.prompts.clone())
        .context("音声カタログを使えません / the prompts cannot be used")?;
    questionnaires(&config, &library).map(Some)
}

/// The rules of release, for commands that only look: the shipped ones if a database alone was named.
pub(super) fn known_release_rules(configured: &Configured) -> anyhow::Result<ReleaseBook> {
    match known_settings(configured)? {
        Some(config) => release_rules(&config),
        None => Ok(ReleaseBook::shipped()?),
    }
}

/// The settings, unless a database alone was named.
fn known_settings(configured: &Configured) -> anyhow::Result<Option<Config>> {
    let is_named = configured.database.is_none() || configured.config.exists();
    Ok(is_named.then(|| Config::load(&configured.config)).transpose()?)
}

/// What calls are recorded with, if that is wanted.
pub(super) fn recordings(config: &Config) -> anyhow::Result<Option<Recordings>> {
    let Some(settings) = &config.recordings else { return Ok(None) };
    let archive = archive(settings)?;
    let recorder =
        Recorder::start(&archive).context("録音を始められません / the recorder cannot start")?;
    Ok(Some(Recordings { archive, recorder, policy: settings.policy }))
}

/// Where recordings are kept. Makes the file of the key if there is none.
pub(super) fn archive(settings: &RecordingSettings) -> anyhow::Result<Archive> {
    let key = match &settings.key {
        KeySource::Given(key) => key.clone(),
        KeySource::File(path) => {
            let shown = path.display();
            let (key, is_new) = MasterKey::load_or_make(path).with_context(|| {
                format!("録音の鍵 {shown} を使えません / cannot use the recordings' key {shown}")
            })?;
            if is_new {
                warn!(
                    "録音の鍵を {shown} に作りました。なくすと録音は二度と聞けません。\
                     データベースとは別の場所に控えを取ってください / the key of the recordings was \
                     made: keep a copy of {shown}, apart from the database's; without it no \
                     recording can ever be heard"
                );
            }
            key
        }
    };
    let config = recording::Config {
        folder: settings.folder.clone(),
        s3: settings.s3.clone(),
        key,
        spool_limit: settings.spool_limit,
    };
    Archive::open(&config).with_context(|| {
        let folder = settings.folder.display();
        format!("録音の置き場所 {folder} を使えません / cannot use the folder {folder}")
    })
}

/// The shipped rules and the configured ones.
pub(super) fn rules(config: &Config) -> anyhow::Result<RuleBook> {
    let mut sets = Vec::new();
    for path in &config.rules {
        let (shown, text) = read(path)?;
        sets.push(RuleSet::parse(&shown, &text)?);
    }
    Ok(RuleBook::with_shipped(sets)?)
}

/// The shipped rules of release and the configured ones.
pub(super) fn release_rules(config: &Config) -> anyhow::Result<ReleaseBook> {
    let Some(path) = &config.release_rules else { return Ok(ReleaseBook::shipped()?) };
    let (shown, text) = read(path)?;
    Ok(ReleaseBook::with_shipped(&shown, &text)?)
}

/// The name of a file, for people, and what is in it.
fn read(path: &Path) -> anyhow::Result<(String, String)> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path)
        .with_context(|| format!("{shown} を読めません / cannot read {shown}"))?;
    Ok((shown, text))
}

/// What interviews in the name of this centre can say to anybody. Names and times of day are made
/// ready before each call.
pub(super) fn for_any_patient(
    questionnaire: &Questionnaire,
    center: &HealthCenter,
    today: Date,
) -> Vec<Utterance> {
    let mut all = Vec::new();
    for script in Script::ALL {
        for family_may_answer in [true, false] {
            let profile = Profile {
                health_center: center.kana.clone(),
                desk_phone: center.desk_phone.clone(),
                family_name: String::new().into(),
                birth: (1, 1).into(),
                has_thermometer: true,
                has_oximeter: true,
                slow_speech: false,
                script,
                family_may_answer,
                answered: Vec::new(),
                next_call: None,
                remeasure: None,
                has_open_case: false,
                today,
                leave_message: false,
                is_recorded: true,
                takes_messages: true,
                takes_help: true,
            };
            all.extend(utterances(questionnaire, &profile));
        }
    }
    let is_personal = |blank: &Blank| matches!(blank, Blank::FamilyName(_) | Blank::Moment { .. });
    all.retain(|utterance| !utterance.blanks.iter().any(is_personal));
    all.sort_by_cached_key(ToString::to_string);
    all.dedup();
    all
}
