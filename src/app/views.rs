//! Commands that show what is stored: 健康状態一覧, observations, cases.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use jiff::civil::Date;

use crate::app::{Configured, campaign, clock, house, open_store, table};
use crate::base::clock::timestamp;
use crate::campaign::Terms;
use crate::registry::Scope;
use crate::store::CaseFilter;

/// What `mimamori observations` shows.
#[derive(Args, Debug)]
pub(super) struct ObservationsOptions {
    #[command(flatten)]
    configured: Configured,
    /// 日付(省略すると今日) / The day, today if left out: 2026-11-22
    #[arg(long)]
    date: Option<Date>,
    /// 管理番号: この患者の記録をすべて表示 / The registration number of one patient, to see
    /// every observation of the day
    #[arg(long)]
    patient: Option<String>,
}

/// What `mimamori cases` shows.
#[derive(Args, Debug)]
pub(super) struct CasesOptions {
    #[command(flatten)]
    configured: Configured,
    /// 終了したケースも表示 / Show resolved cases, too
    #[arg(long)]
    all: bool,
    /// ケースを引き受ける / Take this case
    #[arg(long, value_name = "CASE", requires = "by")]
    acknowledge: Option<String>,
    /// ケースを終了する / Close this case
    #[arg(long, value_name = "CASE", requires_all = ["by", "reason"])]
    resolve: Option<String>,
    /// 担当者 / Who does it
    #[arg(long)]
    by: Option<String>,
    /// 終了の理由 / Why it is closed
    #[arg(long)]
    reason: Option<String>,
}

/// Whose list `mimamori release` and `mimamori welfare` show.
#[derive(Args, Debug)]
pub(super) struct CenterOptions {
    #[command(flatten)]
    configured: Configured,
    /// 保健所のコード / The code of the health centre
    #[arg(long, value_name = "CODE")]
    center: String,
}

/// 解除候補: who may be released, and what is in the way of the others. Staff decide in the console.
pub(super) async fn releases(options: CenterOptions) -> anyhow::Result<ExitCode> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    let now = clock::host().now();
    let center = campaign::center(&store, &options.center).await?;
    let book = house::known_release_rules(&options.configured)?;
    let rules = book.effective_on(now.date()).context("no rules of release are in force")?;
    let within = store.within(Scope { center: center.id, clinic: None });
    let people = within.convalescents(now.timestamp, rules, 1_000).await?;
    let (undated, _) = within.without_day_zero(now.date(), 0).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "解除候補 / Releases, {} — {}", now.date(), rules.source)?;
    writeln!(out, "{}", table::releases(&people, rules))?;
    writeln!(out, "発症日が未登録 / without a day of onset: {undated}")?;
    Ok(ExitCode::SUCCESS)
}

/// 安否確認: who is on the list and not settled, and who would be on it now.
pub(super) async fn welfare(options: CenterOptions) -> anyhow::Result<ExitCode> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    let now = clock::host().now();
    let center = campaign::center(&store, &options.center).await?;
    let within = store.within(Scope { center: center.id, clinic: None });
    let mut people = within.welfare_checks(now.date()).await?;
    let book = store.campaigns(now.timestamp).await?;
    let standing = Arc::new(Terms::shipped());
    people.extend(within.welfare_preview(now.timestamp, &book, &standing).await?);
    let mut out = std::io::stdout().lock();
    writeln!(out, "安否確認 / Welfare checks, {}", now.date())?;
    writeln!(out, "{}", table::welfare(&people))?;
    Ok(ExitCode::SUCCESS)
}

/// 健康状態一覧, or all observations of one patient.
pub(super) async fn observations(options: ObservationsOptions) -> anyhow::Result<ExitCode> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    let date = options.date.unwrap_or_else(|| clock::host().now().date());
    let rows = store.health_list(date).await?;
    let mut out = std::io::stdout().lock();
    if let Some(number) = &options.patient {
        let row = rows
            .iter()
            .find(|row| row.patient.registration_number == *number)
            .with_context(|| {
                format!("{date} に観察中の患者 {number} はいません / no patient {number} is under observation on {date}")
            })?;
        let from = timestamp(date.to_datetime(jiff::civil::Time::midnight()));
        let to = from + jiff::SignedDuration::from_hours(24);
        let observations = store.observations(row.patient.id, from, to).await?;
        writeln!(out, "{}", table::observations(&observations))?;
    } else {
        writeln!(out, "健康状態一覧 / State of health, {date}")?;
        writeln!(out, "{}", table::health_list(&rows, date))?;
        writeln!(out, "{}", table::LEGEND)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Cases that need a human.
pub(super) async fn cases(options: CasesOptions) -> anyhow::Result<ExitCode> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    let now = clock::host().now().timestamp;
    let by = options.by.as_deref().unwrap_or_default();
    if let Some(case) = &options.acknowledge {
        store.acknowledge_case(now, case.parse()?, by).await?;
    }
    if let Some(case) = &options.resolve {
        let reason = options.reason.as_deref().unwrap_or_default();
        if reason.trim().is_empty() {
            bail!("終了の理由が要ります / a reason is needed to close a case: --reason");
        }
        store.resolve_case(now, case.parse()?, by, reason).await?;
    }
    let filter = if options.all { CaseFilter::All } else { CaseFilter::Unresolved };
    let cases = store.cases(filter).await?;
    let mut out = std::io::stdout().lock();
    if cases.is_empty() {
        writeln!(out, "対応が必要なケースはありません / no case needs a human")?;
    } else {
        writeln!(out, "{}", table::cases(&cases))?;
    }
    Ok(ExitCode::SUCCESS)
}
