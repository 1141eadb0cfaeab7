//! `mimamori campaign`: the campaigns of a centre from the command line of the host.

use std::io::{Write, stdout};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::app::{Configured, clock, house, open_store};
use crate::base::clock::civil;
use crate::campaign::Campaign;
use crate::campaign::programme::Action;
use crate::registry::{Actor, AuditEntry, HealthCenter, Scope};
use crate::store::{CampaignChange, Discarded, Store, StoreError, Within};

/// What is done to which centre's campaigns.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    /// 保健所のコード / The code of the health centre
    #[arg(long, value_name = "CODE")]
    center: String,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// 架電計画の一覧 / List the campaigns
    List,
    /// 有効な版の内容 / Show the terms that are in force
    Show(Named),
    /// 開始する / Start it
    Start(Act),
    /// 一時停止する(理由が必要) / Pause it; a reason is needed
    Pause(Act),
    /// 再開する / Let it go on
    Resume(Act),
    /// 終了する(理由が必要) / End it; a reason is needed
    End(Act),
    /// 公開していない下書きを破棄する / Discard a draft that was not published
    Discard(Named),
}

#[derive(Args, Debug)]
struct Named {
    /// 名前 / The name
    name: String,
}

#[derive(Args, Debug)]
struct Act {
    /// 名前 / The name
    name: String,
    /// 理由 / The reason
    #[arg(long, default_value = "")]
    reason: String,
}

/// Who did it, where nobody is signed in.
const BY: &str = "コマンド / command line";

/// Does it.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let configured = &options.configured;
    let store = open_store(&configured.database_or_configured()?).await?;
    let now = clock::host().now().timestamp;
    let center = center(&store, &options.center).await?;
    let within = store.within(Scope { center: center.id, clinic: None });
    match options.what {
        What::List => {
            for campaign in within.campaigns(now).await? {
                writeln!(stdout(), "{}", line(&campaign))?;
            }
        }
        What::Show(named) => {
            let campaign = find(&within, now, &named.name).await?;
            writeln!(stdout(), "{}", line(&campaign))?;
            if let Some(version) = &campaign.version {
                writeln!(stdout(), "{}", serde_json::to_string_pretty(&*version.terms)?)?;
            }
        }
        What::Start(act) => self::act(configured, &within, now, Action::Start, &act).await?,
        What::Pause(act) => self::act(configured, &within, now, Action::Pause, &act).await?,
        What::Resume(act) => self::act(configured, &within, now, Action::Resume, &act).await?,
        What::End(act) => self::act(configured, &within, now, Action::End, &act).await?,
        What::Discard(named) => discard(&within, now, &named.name).await?,
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

/// The centre of that code.
pub(super) async fn center(store: &Store, code: &str) -> anyhow::Result<HealthCenter> {
    let found = store.health_center(code).await?;
    found.with_context(|| format!("保健所が見つかりません / no such health centre: {code}"))
}

async fn find(within: &Within<'_>, now: Timestamp, name: &str) -> anyhow::Result<Campaign> {
    let campaigns = within.campaigns(now).await?;
    let found = campaigns.into_iter().find(|campaign| campaign.name == name);
    found.with_context(|| format!("架電計画が見つかりません / no such campaign: {name}"))
}

/// A campaign on one line: name, state, version.
fn line(campaign: &Campaign) -> String {
    let label = campaign.state.label();
    let version = campaign.version.as_ref().map_or_else(
        || "版なし / no version".to_owned(),
        |version| {
            let from = civil(version.effective_at).strftime("%Y-%m-%d %H:%M");
            format!("第{}版 / version {} ({from}〜)", version.number, version.number)
        },
    );
    format!("{}\t{} / {}\t{version}", campaign.name, label.ja, label.en)
}

async fn discard(within: &Within<'_>, now: Timestamp, name: &str) -> anyhow::Result<()> {
    let campaign = find(within, now, name).await?;
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: Some(within.center()),
        action: "campaign.discarded",
        patient: None,
        object: String::new(),
        detail: campaign.name.clone(),
    };
    let change = CampaignChange { by: BY, reason: "", entry: &entry };
    let what = match within.discard_draft(now, campaign.id, &change).await {
        Err(StoreError::Stale { .. }) => {
            bail!(
                "公開していない下書きがありません / there is no draft that was not published: {name}"
            )
        }
        Err(StoreError::Conflict { .. }) => bail!(
            "この下書きに入っている患者がいます。先に別の計画に移してください / \
             patients are in this draft: move them to another campaign first"
        ),
        Ok(Discarded::Campaign) => "下書きを破棄しました / the draft is discarded",
        Ok(Discarded::Terms) => {
            "下書きを破棄しました。公開した版はそのままです / the draft is discarded; what was published \
             stays in force"
        }
        Err(other) => return Err(other.into()),
    };
    writeln!(stdout(), "{name}: {what}")?;
    Ok(())
}

/// What the campaign asks must be there, where the settings say what is.
fn can_begin(configured: &Configured, campaign: &Campaign) -> anyhow::Result<()> {
    let known = house::known_questionnaires(configured)?;
    let (Some(known), Some(version)) = (known, &campaign.version) else { return Ok(()) };
    match version.terms.cannot_begin(known.keys()) {
        Some(fault) => bail!("{} / {}", fault.ja, fault.en),
        None => Ok(()),
    }
}

async fn act(
    configured: &Configured,
    within: &Within<'_>,
    now: Timestamp,
    action: Action,
    act: &Act,
) -> anyhow::Result<()> {
    let reason = act.reason.trim();
    if matches!(action, Action::Pause | Action::End) && reason.is_empty() {
        bail!("理由を --reason で書いてください / please give a --reason");
    }
    let campaign = find(within, now, &act.name).await?;
    if matches!(action, Action::Start | Action::Resume) {
        can_begin(configured, &campaign)?;
    }
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: Some(within.center()),
        action: action.done(),
        patient: None,
        object: String::new(),
        detail: reason.to_owned(),
    };
    let change = CampaignChange { by: BY, reason, entry: &entry };
    let state = match within.act_on_campaign(now, campaign.id, action, &change).await {
        Err(StoreError::Stale { .. }) => {
            let (state, action) = (campaign.state.label(), action.label());
            bail!(
                "「{}」の計画は{}できません / a campaign that is {} cannot do this: {}",
                state.ja,
                action.ja,
                state.en,
                action.en
            );
        }
        Err(StoreError::Conflict { .. }) => bail!(
            "ほかの計画に入っていない方の計画なので、終了できません / \
             it is the campaign of all who are in no other one, and cannot end"
        ),
        done => done?.label(),
    };
    writeln!(stdout(), "{}: {} / {}", campaign.name, state.ja, state.en)?;
    Ok(())
}
