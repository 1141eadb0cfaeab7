//! 監査: who looked at what and who changed what; for auditors.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum_extra::extract::Query;
use futures_util::stream;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::{civil, timestamp};
use crate::base::id::StaffId;
use crate::registry::{AuditEntry, AuditEvent, Right, Staff};
use crate::store::AuditFilter;
use crate::web::auth::{Nothing, Posted, Viewer, done};
use crate::web::console::account::moment;
use crate::web::fault::Fault;
use crate::web::ui::{self, Section};
use crate::web::{Desk, csv};

const TITLE: Bilingual = Bilingual::fixed("監査", "Audit");

/// Events on one page.
const PAGE: u32 = 100;

/// Events read at once while they are taken out.
const STRIDE: u32 = 1000;

/// The words that actions begin with, and what they are about.
const SUBJECTS: [(&str, Bilingual); 17] = [
    ("session.", Bilingual::fixed("ログイン", "Signing in")),
    ("patient.", Bilingual::fixed("患者の閲覧・変更", "Patients")),
    ("health.", Bilingual::fixed("健康状態一覧", "State of health")),
    ("case.", Bilingual::fixed("対応", "Cases")),
    ("recording.", Bilingual::fixed("録音", "Recordings")),
    ("campaign.", Bilingual::fixed("架電の設計", "Campaigns")),
    ("plan.", Bilingual::fixed("架電計画", "Plan of calls")),
    ("list.", Bilingual::fixed("取り込み", "Imports")),
    ("prompt.", Bilingual::fixed("音声", "Prompts")),
    ("rules.", Bilingual::fixed("判定ルール", "Rules")),
    ("export.", Bilingual::fixed("書き出し", "Exports")),
    ("staff.", Bilingual::fixed("職員", "Accounts")),
    ("password.", Bilingual::fixed("パスワード", "Passwords")),
    ("second_factor.", Bilingual::fixed("二段階認証", "Second factors")),
    ("token.", Bilingual::fixed("API トークン", "Tokens")),
    ("account.", Bilingual::fixed("ロック", "Locks")),
    ("audit.", Bilingual::fixed("監査", "Audit")),
];

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/audit", get(list))
        .route("/audit/export", get(export))
        .route("/audit/verify", post(verify))
}

/// What the form above the list holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    staff: String,
    patient: String,
    action: String,
    from: String,
    to: String,
    before: String,
}

impl Wanted {
    fn filter(&self) -> Result<AuditFilter, Fault> {
        let day = |text: &str, later: i64| -> Result<Option<Timestamp>, Fault> {
            if text.is_empty() {
                return Ok(None);
            }
            let date: Date = text.parse().map_err(|_| unreadable())?;
            let date = date.checked_add(later.days()).map_err(|_| unreadable())?;
            Ok(Some(timestamp(date.at(0, 0, 0, 0))))
        };
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(AuditFilter {
            health_center: None,
            patient: text(&self.patient)
                .map(|id| id.parse())
                .transpose()
                .map_err(|_| unreadable())?,
            staff: text(&self.staff).map(|id| id.parse()).transpose().map_err(|_| unreadable())?,
            action: text(&self.action),
            from: day(self.from.trim(), 0)?,
            // The last day is meant, too.
            to: day(self.to.trim(), 1)?,
            before: text(&self.before).map(|n| n.parse()).transpose().map_err(|_| unreadable())?,
            after: None,
        })
    }

    /// The same, as the rest of an address.
    fn query(&self, before: Option<u64>) -> String {
        let mut query = Vec::new();
        let before = before.map(|seq| seq.to_string()).unwrap_or_default();
        for (name, value) in [
            ("staff", &self.staff),
            ("patient", &self.patient),
            ("action", &self.action),
            ("from", &self.from),
            ("to", &self.to),
            ("before", &before),
        ] {
            // What the filter took can hold nothing that has a meaning in an address.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if !value.is_empty() && value.chars().all(plain) {
                query.push(format!("{name}={value}"));
            }
        }
        format!("?{}", query.join("&"))
    }

    /// What was asked for, for the audit of the audit.
    fn told(&self) -> String {
        self.query(None)
    }
}

fn unreadable() -> Fault {
    Fault::Invalid(Bilingual::fixed(
        "検索の条件を読み取れません(日付は 2026-11-25 のように)。",
        "The search cannot be read (dates as in 2026-11-25).",
    ))
}

async fn list(
    State(desk): State<Desk>,
    Query(wanted): Query<Wanted>,
    viewer: Viewer,
) -> Result<Markup, Fault> {
    viewer.must(Right::SeeAudit)?;
    let filter = wanted.filter()?;
    let events = desk.store.auditing(viewer.reach()).events(&filter, PAGE).await?;
    let staff = desk.store.managing(viewer.reach()).staff().await?;
    let entry = AuditEntry { detail: wanted.told(), ..viewer.audit("audit.viewed") };
    desk.store.audit(viewer.now, &entry).await?;
    let more = events.last().filter(|_| events.len() == PAGE as usize).map(|event| event.seq);
    let body = html! {
        (search(&viewer, &wanted, &staff))
        div.row {
            a.button href={ "/audit/export" (wanted.query(None)) } { (viewer.say("CSV に書き出す", "Export as CSV")) }
            form method="post" action="/audit/verify" {
                (ui::csrf(&viewer))
                button type="submit" { (viewer.say("記録のつながりを検証する", "Verify the chain")) }
            }
        }
        @if events.is_empty() {
            (ui::empty(viewer.say("条件に合う記録はありません。", "No event matches.")))
        } @else {
            (table(&viewer, &events, &staff))
        }
        @if let Some(before) = more {
            p { a.button href={ "/audit" (wanted.query(Some(before))) } { (viewer.say("さらに前へ", "Earlier")) } }
        }
    };
    Ok(ui::page(&viewer, Section::Audit, &TITLE, &body))
}

fn search(viewer: &Viewer, wanted: &Wanted, staff: &[Staff]) -> Markup {
    html! {
        form.inline method="get" action="/audit" role="search" {
            label {
                (viewer.say("職員", "By"))
                select name="staff" {
                    option value="" { (viewer.say("すべて", "Everybody")) }
                    @for one in staff {
                        option value=(one.id) selected[one.id.to_string() == wanted.staff] {
                            (one.login) " " (one.name.expose())
                        }
                    }
                }
            }
            label {
                (viewer.say("種類", "About"))
                select name="action" {
                    option value="" { (viewer.say("すべて", "Everything")) }
                    @for (word, name) in &SUBJECTS {
                        option value=(word) selected[*word == wanted.action] { (viewer.tell(name)) }
                    }
                }
            }
            label {
                (viewer.say("患者 ID", "Patient id"))
                input name="patient" value=(wanted.patient) maxlength="36" spellcheck="false";
            }
            label { (viewer.say("から", "From")) input name="from" type="date" value=(wanted.from); }
            label { (viewer.say("まで", "To")) input name="to" type="date" value=(wanted.to); }
            button type="submit" { (viewer.say("検索", "Search")) }
        }
    }
}

fn table(viewer: &Viewer, events: &[AuditEvent], staff: &[Staff]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th.number scope="col" { (viewer.say("番号", "No.")) }
                    th scope="col" { (viewer.say("日時", "When")) }
                    th scope="col" { (viewer.say("誰が", "Who")) }
                    th scope="col" { (viewer.say("何を", "What")) }
                    th scope="col" { (viewer.say("患者 ID", "Patient id")) }
                    th scope="col" { (viewer.say("対象", "To what")) }
                    th scope="col" { (viewer.say("詳細", "Details")) }
                } }
                tbody {
                    @for event in events {
                        tr {
                            td.number { (event.seq) }
                            td.nowrap { (moment(event.at)) }
                            td { (who(&event.actor, staff)) }
                            td { code { (event.action) } }
                            td { @if let Some(patient) = event.patient { (patient) } }
                            td { (event.object) }
                            td { (event.detail) }
                        }
                    }
                }
            }
        }
    }
}

/// The login where it is known; otherwise the words of the chain.
fn who<'a>(actor: &'a str, staff: &'a [Staff]) -> &'a str {
    let id = actor.strip_prefix("staff ").and_then(|id| id.parse::<StaffId>().ok());
    let found = staff.iter().find(|one| Some(one.id) == id);
    found.map_or(actor, |one| one.login.as_str())
}

const COLUMNS: [&str; 9] =
    ["seq", "at", "actor", "health_center", "action", "patient", "object", "detail", "hash"];

async fn export(
    State(desk): State<Desk>,
    Query(wanted): Query<Wanted>,
    viewer: Viewer,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeAudit)?;
    let filter = AuditFilter { before: None, after: None, ..wanted.filter()? };
    let entry = AuditEntry { detail: wanted.told(), ..viewer.audit("export.audit") };
    desk.store.audit(viewer.now, &entry).await?;
    let reach = viewer.reach();
    let first = Bytes::from(head());
    let rest = stream::try_unfold(Some(filter), move |filter| {
        let store = desk.store.clone();
        async move {
            let Some(filter) = filter else { return Ok(None) };
            let events = store.auditing(reach).events_in_order(&filter, STRIDE).await?;
            let lines: String = events.iter().map(line).collect();
            let next = events.last().map(|event| AuditFilter { after: Some(event.seq), ..filter });
            Ok::<_, crate::store::StoreError>(Some((Bytes::from(lines), next)))
        }
    });
    let first = stream::once(async move { Ok(first) });
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let name = format!(
        "attachment; filename=\"mimamori-audit-{}.csv\"",
        civil(viewer.now).strftime("%Y%m%d-%H%M")
    );
    Ok(([(CONTENT_TYPE, csv::KIND.to_owned()), (CONTENT_DISPOSITION, name)], body).into_response())
}

/// One event as a line of the table.
pub fn line(event: &AuditEvent) -> String {
    csv::line([
        event.seq.to_string().as_str(),
        &event.at.to_string(),
        &event.actor,
        &event.health_center.map(|id| id.to_string()).unwrap_or_default(),
        &event.action,
        &event.patient.map(|id| id.to_string()).unwrap_or_default(),
        &event.object,
        &event.detail,
        &event.hash,
    ])
}

/// The first line of the table.
pub fn head() -> String {
    csv::BYTE_ORDER_MARK.to_owned() + &csv::line(COLUMNS)
}

async fn verify(
    State(desk): State<Desk>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeAudit)?;
    let verified = desk.store.verify_audit(|_| {}).await?;
    let entry = AuditEntry {
        detail: match verified.fault {
            Some(fault) => format!("{fault}"),
            None => format!("whole, {} events", verified.events),
        },
        ..viewer.audit("audit.verified")
    };
    desk.store.audit(viewer.now, &entry).await?;
    if let Some(fault) = verified.fault {
        return Err(Fault::Conflict(Bilingual::composed(
            format!("記録が改ざんされています: {fault}。ただちに責任者へ知らせてください。"),
            format!(
                "The records were tampered with: {fault}. Tell whoever is responsible at once."
            ),
        )));
    }
    let (n, head) = (verified.events, verified.head);
    let ja = format!("{n} 件の記録に改ざんはありません。末尾のハッシュ {head}");
    let en = format!("All {n} events are as they were written. The last hash is {head}");
    Ok(done("/audit", viewer.say(&ja, &en)))
}
