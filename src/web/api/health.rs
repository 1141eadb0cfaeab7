//! 健康状態一覧: everybody under observation today, whoever needs somebody soonest first.

use axum::Extension;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::clock::civil;
use crate::registry::Right;
use crate::store::{Cursor, DayReport, HealthStatus, ListQuery, Listed, Need, View};
use crate::web::Desk;
use crate::web::api::page::{Page, Wanted, bad_cursor};
use crate::web::api::problem::{Asked, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(list))
}

/// How one patient is today.
#[derive(Debug, Serialize, ToSchema)]
struct HealthRow {
    /// The patient.
    patient: String,
    /// 管理番号.
    registration_number: String,
    /// The name as written.
    name: String,
    /// The date of birth.
    #[schema(format = Date)]
    birth_date: String,
    /// Administrative gender as in FHIR: `male`, `female`, `other`, `unknown`; null if nobody told.
    gender: Option<String>,
    /// What is known; null if the records cannot be read: look at the patient.
    status: Option<Status>,
}

/// What is known of one patient today.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// How soon somebody must look: `urgent`, `caution`, `check`, `unreported`, `partial`, `well`.
    need: String,
    /// `not_reported`, `partial`, `reported`. Never left open.
    report: String,
    /// When it was last heard.
    #[schema(format = DateTime)]
    reported_at: Option<String>,
    /// By which way.
    channel: Option<String>,
    /// The last temperature of the day, in tenths of a degree.
    temperature: Option<i32>,
    /// The last SpO2 of the day, in percent.
    spo2: Option<i32>,
    /// When the next call is due.
    #[schema(format = DateTime)]
    next_call: Option<String>,
    /// The last day under observation.
    #[schema(format = Date)]
    last_day: String,
}

impl Status {
    fn new(status: &HealthStatus) -> Self {
        let (report, heard) = match status.report {
            DayReport::NotReported => ("not_reported", None),
            DayReport::Partial { at, channel } => ("partial", Some((at, channel))),
            DayReport::Reported { at, channel } => ("reported", Some((at, channel))),
        };
        let need = match status.need {
            Need::Urgent => "urgent",
            Need::Caution => "caution",
            Need::Check => "check",
            Need::Unreported => "unreported",
            Need::Partial => "partial",
            Need::Well => "well",
        };
        Self {
            need: need.to_owned(),
            report: report.to_owned(),
            reported_at: heard.map(|(at, _)| at.to_string()),
            channel: heard.map(|(_, channel)| channel.as_str().to_owned()),
            temperature: status.temperature.today(),
            spo2: status.spo2.today(),
            next_call: status.next_call.map(|at| at.to_string()),
            last_day: status.last_day.to_string(),
        }
    }
}

impl HealthRow {
    fn new(row: &Listed) -> Self {
        Self {
            patient: row.patient.to_string(),
            registration_number: row.registration_number.clone(),
            name: row.name.expose().clone(),
            birth_date: row.birth_date.expose().to_string(),
            gender: row.gender.map(|gender| gender.as_str().to_owned()),
            status: row.status.as_ref().map(Status::new),
        }
    }
}

/// Which rows are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// The tab: everybody if it is left out.
    #[param(inline)]
    view: Option<Tab>,
}

/// A tab of the list.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Tab {
    /// 要対応
    Action,
    /// 未報告
    Unreported,
    /// 改善しない発熱3日
    Fever,
    /// 終了予定
    Ending,
}

/// Everybody under observation today: whoever needs somebody soonest comes first.
#[utoipa::path(get, path = "/health", tag = "patients", params(Wanted, Which),
    responses((status = OK, body = Page<HealthRow>)))]
async fn list(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    OriginalUri(uri): OriginalUri,
    Asked(wanted): Asked<Wanted>,
    Asked(which): Asked<Which>,
) -> Result<(HeaderMap, axum::Json<Page<HealthRow>>), Problem> {
    client.must(Right::SeeHealth)?;
    let scope = client.scope()?;
    let limit = wanted.limit()?;
    let after = wanted.after::<String>()?;
    let after = after.map(|text| Cursor::parse(&text).ok_or_else(bad_cursor)).transpose()?;
    let view = match which.view {
        None => View::All,
        Some(Tab::Action) => View::Action,
        Some(Tab::Unreported) => View::Unreported,
        Some(Tab::Fever) => View::Fever,
        Some(Tab::Ending) => View::Ending,
    };
    let query = ListQuery { view, search: String::new(), after };
    let today = civil(client.now).date();
    let page = desk.store.within(scope).health_page(today, &query, limit).await?;
    let mut entry = client.audit("patients.listed");
    entry.detail = format!("api health, {} rows", page.rows.len());
    desk.store.audit(client.now, &entry).await?;
    let next = page.next.map(Cursor::to_text);
    Ok(Page::of(&uri, page.rows.iter().map(HealthRow::new).collect(), next))
}
