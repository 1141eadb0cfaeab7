//! `mimamori check`: every problem at once, before the morning.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::app::{Configured, clock, house, open_store, told};
use crate::base::id::Minter;
use crate::config::{Config, Fault};
use crate::escalation::rule::RuleBook;
use crate::ivr::Questionnaires;
use crate::notify::Webhook;
use crate::prompt::{Library, Pace};
use crate::registry::Scope;
use crate::store::Store;
use crate::trunk::{Outage, Trunk, TrunkState};

/// How long the carrier may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// After this long without an answer to a question the trunk counts as down.
const SILENCE: Duration = Duration::from_secs(6);

const NONE_TODAY: &str = "なし / none in force today";

const CONFIGURATION: &str = "設定 / configuration";

/// What was found, printed as it is found.
struct Report {
    out: std::io::Stdout,
    problems: usize,
}

impl Report {
    fn good(&mut self, what: &str, detail: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "  ✓ {what}: {detail}")?)
    }

    fn bad(&mut self, what: &str, error: &anyhow::Error) -> anyhow::Result<()> {
        self.problems += 1;
        Ok(writeln!(self.out, "  ✗ {what}: {}", told(error))?)
    }

    fn note<T>(
        &mut self,
        what: &str,
        result: anyhow::Result<T>,
        detail: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<Option<T>> {
        match result {
            Ok(value) => {
                self.good(what, &detail(&value))?;
                Ok(Some(value))
            }
            Err(error) => {
                self.bad(what, &error)?;
                Ok(None)
            }
        }
    }
}

/// Checks configuration, database, prompts, questionnaires, campaigns, rules, webhook and trunk.
pub(super) async fn run(configured: &Configured) -> anyhow::Result<ExitCode> {
    let mut report = Report { out: std::io::stdout(), problems: 0 };
    match configured.survey() {
        Err(error) => report.bad(CONFIGURATION, &error)?,
        Ok((config, faults)) => {
            if faults.is_empty() {
                report.good(CONFIGURATION, "OK")?;
            }
            for fault in &faults {
                report.bad(CONFIGURATION, &anyhow::anyhow!("{fault}"))?;
            }
            check(&config, &faults, &mut report).await?;
        }
    }
    if report.problems == 0 {
        writeln!(report.out, "問題はありません / no problems")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(report.out, "問題 {} 件 / {} problems", report.problems, report.problems)?;
    Ok(ExitCode::FAILURE)
}

/// What does not hang on settings that have `faults`.
async fn check(config: &Config, faults: &[Fault], report: &mut Report) -> anyhow::Result<()> {
    let clock = clock::host();
    let is_faulty = |section: &str| faults.iter().any(|fault| fault.setting.starts_with(section));
    let store = open_store(&config.database).await;
    let store = report.note("データベース / database", store, |_| "OK".to_owned())?;
    if let Some(store) = &store {
        let patients = store.episodes_on(clock.now().date()).await.map_err(Into::into);
        report.note("患者 / patients", patients, |patients| {
            format!("{} 人が観察中 / under observation today", patients.len())
        })?;
    }
    let rules = report.note("ルール / rules", house::rules(config), |rules| {
        let effective = rules.effective_on(clock.now().date());
        effective.map_or_else(|| NONE_TODAY.to_owned(), |set| set.version.clone())
    })?;
    report.note(
        "療養解除の基準 / rules of release",
        house::release_rules(config),
        |rules| {
            let effective = rules.effective_on(clock.now().date());
            effective.map_or_else(|| NONE_TODAY.to_owned(), |rules| rules.version.clone())
        },
    )?;
    let library = Library::open(config.prompts.clone()).map_err(Into::into);
    let library = report.note("音声カタログ / prompts", library, |library| {
        format!("{} prompts", library.prompt_ids().len())
    })?;
    if let Some(library) = library {
        let questionnaires = house::questionnaires(config, &library);
        let questionnaires = report
            .note("問診票 / questionnaires", questionnaires, |all| all.keys().join(", "))?;
        if let (Some(store), Some(asked), Some(rules)) = (&store, &questionnaires, &rules) {
            campaigns(store, clock.now().timestamp, asked, rules, report).await?;
        }
        for settings in questionnaires.iter().flat_map(|_| &config.health_centers) {
            let Some(questionnaires) = &questionnaires else { break };
            let center = house::health_center(
                settings,
                Minter::new(super::seed()?).mint(clock.now().timestamp),
            );
            let today = clock.now().date();
            let asked = questionnaires.all();
            let mut needed: Vec<_> =
                asked.flat_map(|one| house::for_any_patient(one, &center, today)).collect();
            needed.sort_by_cached_key(ToString::to_string);
            needed.dedup();
            let ready = Pace::ALL.into_iter().try_for_each(|pace| library.prepare(&needed, pace));
            let ready = ready.map_err(Into::into);
            let what = format!("音声 / speech ({})", settings.code);
            report.note(&what, ready, |()| format!("{} prompts", needed.len()))?;
        }
    }
    if let Some(store) = store {
        store.close().await;
    }
    match &config.recordings {
        None if is_faulty("recordings") => {}
        None => report.good("録音 / recordings", "設定なし / none configured")?,
        Some(settings) => {
            let checked = match house::archive(settings) {
                Ok(archive) => archive.check().await.map_err(Into::into),
                Err(error) => Err(error),
            };
            report.note("録音 / recordings", checked, |()| {
                let place = match &settings.s3 {
                    Some(s3) => format!("s3://{}", s3.bucket),
                    None => settings.folder.display().to_string(),
                };
                format!("{} ({place})", settings.policy.keep.as_str())
            })?;
        }
    }
    match &config.webhook {
        None if is_faulty("webhook") => {}
        None => report.good("通知 / webhook", "設定なし / none configured")?,
        Some(webhook) => {
            let made = Webhook::new(webhook.clone()).map_err(Into::into);
            report.note("通知 / webhook", made, |_| "OK".to_owned())?;
        }
    }
    match &config.trunk {
        None if is_faulty("trunk") => {}
        None => report.bad("回線 / trunk", &anyhow::anyhow!("設定なし / none configured"))?,
        Some(settings) => {
            let trunk = house::start_trunk(settings, &clock).await;
            let sockets = |_: &Trunk| "ソケット OK / sockets open".to_owned();
            if let Some(trunk) = report.note("回線 / trunk", trunk, sockets)? {
                let state = answer_of(&trunk).await;
                report.note("電話会社 / the carrier", state, ToString::to_string)?;
                trunk.stop(Duration::ZERO).await;
            }
        }
    }
    Ok(())
}

/// Whether what the terms in force name is there.
async fn campaigns(
    store: &Store,
    now: Timestamp,
    questionnaires: &Questionnaires,
    rules: &RuleBook,
    report: &mut Report,
) -> anyhow::Result<()> {
    for center in store.health_centers().await? {
        let within = store.within(Scope { center: center.id, clinic: None });
        let stock = within.stock(now, questionnaires.keys(), rules).await?;
        for campaign in within.campaigns(now).await? {
            let Some(version) = campaign.version.filter(|_| !campaign.state.is_over()) else {
                continue;
            };
            let what = format!("計画 / campaign ({}: {})", center.code, campaign.name);
            let missing = version.terms.missing(&stock);
            if missing.is_empty() {
                report.good(&what, &version.terms.questionnaire)?;
            }
            for fault in missing {
                report.bad(&what, &anyhow::anyhow!("{fault}"))?;
            }
        }
    }
    Ok(())
}

/// Waits for what the carrier says to our registration, or to a question whether it is there.
async fn answer_of(trunk: &Trunk) -> anyhow::Result<&'static str> {
    let mut state = trunk.watch();
    let settled = state.wait_for(|state| *state != TrunkState::Starting);
    let settled = timeout(ANSWER, settled).await;
    settled
        .context("応答がありません / no answer")?
        .context("回線が止まりました / the trunk is gone")?;
    // A trunk without registration is taken to be up until the carrier leaves a question open.
    let down = state.wait_for(|state| matches!(state, TrunkState::Down(_)));
    let _ = timeout(SILENCE, down).await;
    let state = *state.borrow();
    match state {
        TrunkState::Up => Ok("OK"),
        TrunkState::Down(Outage::Refused { status }) => bail!(
            "登録を拒否されました(SIP {status}): アカウントとパスワードを確かめてください / \
             the registration was refused: check account and password"
        ),
        TrunkState::Down(Outage::Silent) => {
            bail!("応答がありません: server を確かめてください / no answer: check server")
        }
        TrunkState::Down(Outage::Unreachable) => {
            bail!("ネットワークが届きません: server を確かめてください / unreachable: check server")
        }
        TrunkState::Starting | TrunkState::Stopping | TrunkState::Stopped => {
            bail!("止まっています / stopped")
        }
    }
}
