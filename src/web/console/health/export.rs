//! The list as CSV for the morning meeting: names masked, safe to open in a spreadsheet.

use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use encoding_rs::SHIFT_JIS;
use jiff::civil::Date;
use serde::Deserialize;

use crate::base::clock::civil;
use crate::ivr::YesNo;
use crate::registry::{ConsoleLanguage, Right};
use crate::store::{DayReport, HealthStatus, ListQuery, Listed, Need};
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer};
use crate::web::console::health::{Wanted, row};
use crate::web::console::words;
use crate::web::fault::Fault;

/// What is exported, and how it is written.
#[derive(Deserialize)]
pub(super) struct Export {
    #[serde(default)]
    view: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    encoding: String,
}

/// Rows that are read at once.
const STRIDE: u32 = 1000;

const HEADINGS: [&str; 14] = [
    "優先",
    "管理番号",
    "氏名",
    "年齢",
    "性別",
    "療養日",
    "終了予定",
    "体温",
    "SpO2",
    "症状",
    "報告",
    "報告時刻",
    "架電回数",
    "対応",
];

pub(super) async fn export(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Export>,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeHealth)?;
    viewer.must(Right::Export)?;
    let today = civil(viewer.now).date();
    let wanted = Wanted { view: form.view, q: form.q, ..Wanted::default() };
    let (text, n_rows) = written(&viewer, &desk, &wanted, today).await?;
    let mut entry = viewer.audit("health.exported");
    entry.object = if wanted.view.is_empty() { "all".to_owned() } else { wanted.view };
    entry.detail = format!("rows {n_rows}, names masked");
    // It is on record before it leaves.
    desk.store.audit(viewer.now, &entry).await?;
    let (charset, bytes) = encoded(&form.encoding, &text);
    let headers = [
        (CONTENT_TYPE, format!("text/csv; charset={charset}")),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"kenkou-{today}.csv\"")),
    ];
    Ok((headers, bytes).into_response())
}

async fn written(
    viewer: &Viewer,
    desk: &Desk,
    wanted: &Wanted,
    today: Date,
) -> Result<(String, usize), Fault> {
    let within = desk.store.within(viewer.scope()?);
    let mut csv =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    csv.write_record(HEADINGS).map_err(anyhow::Error::from)?;
    let mut query = ListQuery { after: None, ..wanted.query(viewer) };
    let mut n_rows = 0;
    loop {
        let page = within.health_page(today, &query, STRIDE).await?;
        for one in &page.rows {
            csv.write_record(record(one, today).map(safe)).map_err(anyhow::Error::from)?;
        }
        n_rows += page.rows.len();
        query.after = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let bytes = csv.into_inner().map_err(|fault| anyhow::anyhow!("{}", fault.error()))?;
    Ok((String::from_utf8(bytes).map_err(anyhow::Error::from)?, n_rows))
}

fn record(one: &Listed, today: Date) -> [String; 14] {
    let born = *one.birth_date.expose();
    let age = row::age(born, today);
    let name = words::masked(one.name.expose());
    let Some(status) = &one.status else {
        let mut record = [const { String::new() }; 14];
        "読み取れません".clone_into(&mut record[0]);
        record[1].clone_from(&one.registration_number);
        record[2] = name;
        return record;
    };
    let (report, at) = match status.report {
        DayReport::NotReported => ("未報告".to_owned(), String::new()),
        DayReport::Partial { at, channel } => (
            format!("途中({})", words::channel(channel).1.ja),
            civil(at).strftime("%H:%M").to_string(),
        ),
        DayReport::Reported { at, channel } => {
            (words::channel(channel).1.ja.into_owned(), civil(at).strftime("%H:%M").to_string())
        }
    };
    [
        need(status.need).to_owned(),
        one.registration_number.clone(),
        name,
        age.to_string(),
        one.gender.map(|gender| gender.name().ja.into_owned()).unwrap_or_default(),
        ((status.day - status.first_day).get_days() + 1).to_string(),
        status.last_day.to_string(),
        status.temperature.today().map(row::degrees).unwrap_or_default(),
        status.spo2.today().map(|percent| percent.to_string()).unwrap_or_default(),
        symptoms(status),
        report,
        at,
        status.calls.len().to_string(),
        match &status.case {
            None => String::new(),
            Some(case) if case.owner.is_some() => "対応中".to_owned(),
            Some(_) => "未着手".to_owned(),
        },
    ]
}

fn need(need: Need) -> &'static str {
    match need {
        Need::Urgent => "緊急",
        Need::Caution => "注意",
        Need::Check => "要確認",
        Need::Unreported => "未報告",
        Need::Partial => "途中",
        Need::Well => "良好",
    }
}

fn symptoms(status: &HealthStatus) -> String {
    let words = status.symptoms.iter().map(|one| {
        let word = words::question(&one.code, ConsoleLanguage::Ja);
        if one.answer == YesNo::Unknown { format!("{word}(不明)") } else { word.to_owned() }
    });
    words.collect::<Vec<_>>().join("・")
}

/// A spreadsheet would take such a text for a formula (CWE-1236).
fn safe(text: String) -> String {
    let first = text.chars().next();
    if matches!(first, Some('=' | '+' | '-' | '@' | '\t' | '\r')) {
        format!("'{text}")
    } else {
        text
    }
}

/// UTF-8 with the mark that Excel looks for, or the `Shift_JIS` of Windows (CP932).
fn encoded(encoding: &str, text: &str) -> (&'static str, Vec<u8>) {
    if encoding == "cp932" {
        let (bytes, _, _) = SHIFT_JIS.encode(text);
        ("Shift_JIS", bytes.into_owned())
    } else {
        ("utf-8", [b"\xef\xbb\xbf", text.as_bytes()].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in
            [("=1+1", "'=1+1"), ("@x", "'@x"), ("-5", "'-5"), ("36.5", "36.5"), ("", "")]
        {
            assert_eq!(safe(text.to_owned()), expected);
        }
    }

    #[test]
    fn excel_reads_both_encodings() {
        assert_eq!(encoded("utf8", "体温").1, "\u{feff}体温".as_bytes());
        assert_eq!(encoded("cp932", "体温").1, [0x91, 0xcc, 0x89, 0xb7]);
    }
}
