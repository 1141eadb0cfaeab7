//! 安否確認: who was silent all day, and what staff decide about each.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::escalation::welfare::{Act, Choice, LONGEST_WORDS, List, Refusal, Step};
use crate::registry::Right;
use crate::store::WelfareCheck;
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::problem::{Json, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(act))
}

/// Somebody of whom nothing was heard all day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WelfareCheck)]
struct CheckOut {
    /// The id; null before the list of the day is made.
    #[schema(format = Uuid)]
    id: Option<String>,
    /// The patient.
    #[schema(format = Uuid)]
    patient: String,
    /// The day.
    #[schema(format = Date)]
    date: String,
    /// On which list of that day: `day` of those who were silent by day, or `night` of those who missed
    /// an evening slot.
    list: String,
    /// `unreached`, `no_answers`, `not_called` or `waiting`.
    why: String,
    /// At high risk, or living alone.
    is_frail: bool,
    /// The last answer before the list.
    #[schema(format = DateTime)]
    heard_at: Option<String>,
    /// The first answer after it.
    #[schema(format = DateTime)]
    reported_at: Option<String>,
    /// When it went to the supervisor.
    #[schema(format = DateTime)]
    escalated_at: Option<String>,
    /// `preview`, `listed`, `decided` or `settled`.
    step: String,
    /// `visit`, `police`, `fire`, `family`, `wait` or `reached`.
    choice: Option<String>,
    /// Why that was decided.
    reason: Option<String>,
    /// What came of it.
    result: Option<String>,
}

/// Those of the list who are not settled, or of today, and those who would be on it now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WelfareChecks)]
struct All {
    /// When today's list was made.
    #[schema(format = DateTime)]
    listed_at: Option<String>,
    /// When tonight's list of those who missed an evening slot was made.
    #[schema(format = DateTime)]
    night_listed_at: Option<String>,
    items: Vec<CheckOut>,
}

/// What is decided, or what came of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WelfareAct)]
struct ActIn {
    /// `decide` or `settle`.
    action: String,
    /// What is done, for `decide`.
    #[serde(default)]
    choice: Option<String>,
    /// The reason, or the result.
    #[schema(max_length = 500)]
    words: String,
}

impl CheckOut {
    fn new(one: &WelfareCheck) -> Self {
        let at = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string());
        let step = match (one.id, one.step()) {
            (None, _) => "preview",
            (_, Step::Listed) => "listed",
            (_, Step::Decided) => "decided",
            (_, Step::Settled) => "settled",
        };
        Self {
            id: one.id.map(|id| id.to_string()),
            patient: one.patient.id.to_string(),
            date: one.date.to_string(),
            list: one.list.as_str().to_owned(),
            why: one.why.as_str().to_owned(),
            is_frail: one.is_frail,
            heard_at: at(one.heard_at),
            reported_at: at(one.reported_at),
            escalated_at: at(one.escalated_at),
            step: step.to_owned(),
            choice: one.decision.as_ref().map(|it| it.choice.as_str().to_owned()),
            reason: one.decision.as_ref().map(|it| it.reason.expose().clone()),
            result: one.result.as_ref().map(|(result, _)| result.expose().clone()),
        }
    }
}

/// Who is looked for today.
#[utoipa::path(get, path = "/welfare-checks", tag = "cases",
    responses((status = OK, body = All)))]
async fn list(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
) -> Result<axum::Json<All>, Problem> {
    client.must(Right::HandleCases)?;
    let today = civil(client.now).date();
    let within = desk.store.within(client.scope()?);
    let listed_at = within.welfare_listed_at(today, List::Day).await?;
    let night_listed_at = within.welfare_listed_at(today, List::Night).await?;
    let book = desk.store.campaigns(client.now).await?;
    let mut people = within.welfare_checks(today).await?;
    people.extend(within.welfare_preview(client.now, &book, &desk.terms).await?);
    let mut entry = client.audit("welfare.viewed");
    entry.detail = format!("api {}", people.len());
    desk.store.audit(client.now, &entry).await?;
    Ok(axum::Json(All {
        listed_at: listed_at.map(|at| at.to_string()),
        night_listed_at: night_listed_at.map(|at| at.to_string()),
        items: people.iter().map(CheckOut::new).collect(),
    }))
}

/// Decides about somebody, or says what came of it, in the name of the token's owner.
#[utoipa::path(post, path = "/welfare-checks/{id}/act", tag = "cases", request_body = ActIn,
    params(("id" = String, Path, format = Uuid)),
    responses((status = NO_CONTENT)))]
async fn act(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    Json(given): Json<ActIn>,
) -> Result<StatusCode, Problem> {
    client.must(Right::HandleCases)?;
    let words = given::text("/words", &given.words, LONGEST_WORDS)?;
    let choice = given.choice.unwrap_or_default();
    let act = match given.action.as_str() {
        "decide" => Act::Decide(given::word("/choice", &choice, Choice::parse)?, words),
        "settle" => Act::Settle(words),
        _ => {
            let what = Bilingual::fixed("decide か settle です", "decide or settle");
            return Err(Problem::field("/action", what));
        }
    };
    let within = desk.store.within(client.scope()?);
    match within.act_on_welfare(client.now, &client.staff, given::id(&id)?, &act).await? {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(Refusal::NoWords) => Err(Problem::field(
            "/words",
            Bilingual::fixed("理由か結果を書いてください", "a reason, or what came of it"),
        )),
        Err(Refusal::NotDecided | Refusal::Settled) => Err(Problem::new("changed")),
    }
}
