//! `mimamori import`: a patient list from a spreadsheet into the registry.

use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use crate::app::{Configured, clock, open_store};
use crate::base::id::HealthCenterId;
use crate::registry::HealthCenter;
use crate::registry::arrangement::Told;
use crate::registry::import::{Import, read};
use crate::store::{Change, Store};

/// What `mimamori import` reads, and for whom.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// 患者一覧 (Excelブック .xlsx、または CSV: UTF-8 か CP932) / The list
    file: PathBuf,
    #[command(flatten)]
    configured: Configured,
    /// 保健所のコード(一つだけなら省略可) / The code of the health centre, if there are several
    #[arg(long)]
    center: Option<String>,
    /// 書き込まずに、各行の読み取り結果を説明する / Explain every row and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// A list is a few megabytes even for a prefecture; more is not a list.
const LARGEST_FILE: u64 = 64 << 20;

/// Reads the list. Exit code 1 if any row could not be taken over; all others are.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let shown = options.file.display();
    let size = fs::metadata(&options.file)
        .with_context(|| format!("{shown} を読めません / cannot read {shown}"))?
        .len();
    if size > LARGEST_FILE {
        bail!("{shown} は大きすぎます ({size} バイト) / is too large ({size} bytes)");
    }
    let bytes = fs::read(&options.file)
        .with_context(|| format!("{shown} を読めません / cannot read {shown}"))?;
    let now = clock::host().now();
    let import = read(&bytes, now.date());
    let mut out = stdout();
    writeln!(out, "{shown}: {}", import.encoding)?;
    explain(&import, options.dry_run)?;

    let (n_good, n_rows) = (import.drafts().count(), import.rows.len());
    let n_bad = n_rows - n_good;
    let mut all_good = n_bad == 0 && import.faults.is_empty();
    if options.dry_run {
        writeln!(
            out,
            "試し読み: {n_rows} 行のうち {n_good} 行を取り込めます、{n_bad} 行は直してください / \
             dry run: {n_good} of {n_rows} rows can be taken over, {n_bad} need mending; nothing was written"
        )?;
    } else {
        let (store, center) = centre(&options).await?;
        let counts = write(&store, center, &import).await?;
        store.close().await;
        let n_written: usize = counts.iter().sum();
        let n_bad = n_rows - n_written;
        writeln!(
            out,
            "取り込み: 新規 {}、更新 {}、変更なし {}、誤り {n_bad} / \
             imported: {} new, {} updated, {} unchanged, {n_bad} rows with faults",
            counts[0], counts[1], counts[2], counts[0], counts[1], counts[2]
        )?;
        all_good &= n_bad == 0;
    }
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The store, and the centre that the patients belong to.
async fn centre(options: &Options) -> anyhow::Result<(Store, HealthCenterId)> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    options.configured.introduce_centers(&store).await?;
    let centers = store.health_centers().await?;
    let codes = || centers.iter().map(|center| center.code.as_str()).collect::<Vec<_>>().join(", ");
    let chosen: Option<&HealthCenter> = match &options.center {
        Some(code) => centers.iter().find(|center| center.code == *code),
        None if centers.len() == 1 => centers.first(),
        None => None,
    };
    match chosen {
        Some(center) => Ok((store, center.id)),
        None => bail!(
            "保健所を --center で選んでください / choose the health centre with --center: {}",
            codes()
        ),
    }
}

/// Each patient in a transaction of its own: what was taken over stays so, and a row that the
/// database refuses does not stop the rest.
async fn write(
    store: &Store,
    center: HealthCenterId,
    import: &Import,
) -> anyhow::Result<[usize; 3]> {
    let mut counts = [0; 3];
    for row in &import.rows {
        let Ok(draft) = &row.outcome else { continue };
        let now = clock::host().now().timestamp;
        let patient = draft.patient(store.mint(now), center);
        let episode = draft.episode(store.mint(now), patient.id);
        let imported = store.import_told(now, &patient, Some(&episode), draft.told).await;
        let refused =
            || format!("{} 行目を書き込めません / cannot write line {}", row.line, row.line);
        let imported = match imported {
            Ok(imported) => imported,
            // All rows would fail alike.
            Err(error) if error.may_retry() => return Err(error).with_context(refused),
            Err(error) => {
                writeln!(stdout(), "  ✗ {}: {error}", refused())?;
                continue;
            }
        };
        store.note_course(now, imported.patient, &draft.course()).await.with_context(refused)?;
        counts[match imported.change {
            Change::Created => 0,
            Change::Updated => 1,
            Change::Unchanged => 2,
        }] += 1;
    }
    Ok(counts)
}

/// What the list says of days and way; nothing if it is silent about them.
fn arrangement(told: Told) -> String {
    let days = told.weekdays.map(|days| format!(" 曜日 / days {}", days.written()));
    let way = told.channel.map(|way| format!(" 報告 / by {}", way.name().ja));
    [days, way].into_iter().flatten().collect()
}

/// Faults always; with `--dry-run` also what each good row was understood as.
fn explain(import: &Import, every_row: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    for note in &import.notes {
        writeln!(out, "  ・ {note}")?;
    }
    for fault in &import.faults {
        writeln!(out, "  ✗ {fault}")?;
    }
    for row in &import.rows {
        match &row.outcome {
            Ok(draft) if every_row => {
                let times: Vec<String> = draft
                    .call_times
                    .iter()
                    .map(|time| time.strftime("%H:%M").to_string())
                    .collect();
                writeln!(
                    out,
                    "  ✓ {} 行目 / line {}: {} {}〜{} {} 電話 / phones {}{}",
                    row.line,
                    row.line,
                    draft.registration_number,
                    draft.first_day,
                    draft.last_day,
                    times.join(" "),
                    draft.phones.len(),
                    arrangement(draft.told),
                )?;
            }
            Ok(_) => {}
            Err(faults) => {
                for fault in faults {
                    writeln!(out, "  ✗ {fault}")?;
                }
            }
        }
        for note in &row.notes {
            writeln!(out, "  ・ {note}")?;
        }
    }
    Ok(())
}
