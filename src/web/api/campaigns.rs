//! The campaigns of the centre: by which terms patients are called, and where each campaign stands.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Bilingual;
use crate::base::id::CampaignId;
use crate::campaign::Campaign;
use crate::campaign::programme::Action;
use crate::registry::Right;
use crate::store::{CampaignChange, StoreError};
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::problem::{Json, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(act))
        .routes(routes!(discard))
}

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Campaign)]
struct CampaignOut {
    /// The id.
    #[schema(format = Uuid)]
    id: String,
    /// What people call it; unique within the centre.
    name: String,
    /// Where it stands: `draft`, `ready`, `running`, `paused`, `ended` or `archived`.
    state: String,
    /// Patients who were put into no campaign are in this one.
    is_default: bool,
    /// The day on which it starts by itself.
    #[schema(format = Date)]
    starts_on: Option<String>,
    /// Calls at once, at most; null for as many as the trunks bear.
    lines: Option<u32>,
    /// New calls per minute, at most.
    calls_per_minute: Option<u32>,
    /// Whether terms are being written.
    has_draft: bool,
    /// The version of its terms that is in force.
    version: Option<VersionOut>,
}

/// Terms that were published; they never change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignVersion)]
struct VersionOut {
    /// 1 for the first.
    number: u32,
    /// From when on they hold.
    #[schema(format = DateTime)]
    effective_at: String,
    /// When they were published.
    #[schema(format = DateTime)]
    published_at: String,
    /// By whom.
    published_by: String,
    /// What is asked, as observations name it.
    #[schema(example = "recuperation@2")]
    questionnaire: String,
    /// The version of the set of rules that judges; null for the one in force for the centre.
    rules: Option<String>,
}

/// All campaigns of the centre. There are few, so that there are no pages.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Campaigns)]
struct All {
    /// The first one first, archived ones last.
    items: Vec<CampaignOut>,
}

/// What is done to a campaign.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct What {
    /// `start`, `pause`, `resume`, `end` or `archive`.
    action: String,
    /// Why; needed where calls stop.
    #[serde(default)]
    #[schema(max_length = 200)]
    reason: String,
}

type Tagged = ([(HeaderName, HeaderValue); 1], axum::Json<CampaignOut>);

impl CampaignOut {
    fn new(campaign: &Campaign) -> Self {
        Self {
            id: campaign.id.to_string(),
            name: campaign.name.clone(),
            state: campaign.state.as_str().to_owned(),
            is_default: campaign.is_default,
            starts_on: campaign.starts_on.map(|day| day.to_string()),
            lines: campaign.caps.lines,
            calls_per_minute: campaign.caps.calls_per_minute,
            has_draft: campaign.draft.is_some(),
            version: campaign.version.as_ref().map(|version| VersionOut {
                number: version.number,
                effective_at: version.effective_at.to_string(),
                published_at: version.published_at.to_string(),
                published_by: version.published_by.clone(),
                questionnaire: version.terms.questionnaire.clone(),
                rules: version.terms.rules.clone(),
            }),
        }
    }
}

/// The campaigns of the centre.
#[utoipa::path(get, path = "/campaigns", tag = "campaigns",
    responses((status = OK, body = All)))]
async fn list(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
) -> Result<axum::Json<All>, Problem> {
    client.must(Right::SeePlan)?;
    let campaigns = desk.store.within(client.scope()?).campaigns(client.now).await?;
    Ok(axum::Json(All { items: campaigns.iter().map(CampaignOut::new).collect() }))
}

/// One campaign.
#[utoipa::path(get, path = "/campaigns/{id}", tag = "campaigns",
    params(("id" = String, Path, format = Uuid)),
    responses((status = OK, body = CampaignOut, headers(("ETag" = String)))))]
async fn one(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<Tagged, Problem> {
    client.must(Right::SeePlan)?;
    shown(&desk, &client, given::id(&id)?).await
}

async fn shown(desk: &Desk, client: &Client, id: CampaignId) -> Result<Tagged, Problem> {
    let campaign = desk.store.within(client.scope()?).campaign(client.now, id).await?;
    Ok(given::tagged(CampaignOut::new(&campaign)))
}

/// Starts, pauses, resumes, ends or archives a campaign. New calls stop at once; those under way go
/// on. With `If-Match`, only if the campaign is as it was seen.
#[utoipa::path(post, path = "/campaigns/{id}/act", tag = "campaigns", request_body = What,
    params(("id" = String, Path, format = Uuid),
        ("If-Match" = Option<String>, Header, description = "The ETag of the campaign that was seen.")),
    responses((status = OK, body = CampaignOut, headers(("ETag" = String)))))]
async fn act(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(what): Json<What>,
) -> Result<Tagged, Problem> {
    client.must(Right::ChangePlan)?;
    let id = given::id(&id)?;
    let action = given::word("/action", &what.action, acting)?;
    let reason = if matches!(action, Action::Pause | Action::End) || !what.reason.is_empty() {
        given::text("/reason", &what.reason, 200)?
    } else {
        String::new()
    };
    let within = desk.store.within(client.scope()?);
    let campaign = within.campaign(client.now, id).await?;
    given::must_mean(&headers, &CampaignOut::new(&campaign))?;
    if let (Action::Start | Action::Resume, Some(version)) = (action, &campaign.version)
        && let Some(fault) = version.terms.cannot_begin(desk.questionnaires.keys())
    {
        return Err(Problem::field("/action", fault));
    }
    let mut entry = client.audit(action.done());
    entry.detail = format!("api {reason}");
    let by = client.staff.name.expose().clone();
    let change = CampaignChange { by: &by, reason: &reason, entry: &entry };
    match within.act_on_campaign(client.now, id, action, &change).await {
        Err(StoreError::Conflict { constraint }) if constraint == "campaign_default" => {
            let what = Bilingual::fixed(
                "ほかの計画に入っていない方の計画なので、終了できません",
                "it is the campaign of all who are in no other one, and cannot end",
            );
            Err(Problem::field("/action", what))
        }
        done => {
            done?;
            shown(&desk, &client, id).await
        }
    }
}

/// Discards what was never published: a draft campaign as a whole, or else the terms that are being
/// written for its next version. The audit keeps that it was there.
#[utoipa::path(post, path = "/campaigns/{id}/discard", tag = "campaigns",
    params(("id" = String, Path, format = Uuid)),
    responses((status = NO_CONTENT)))]
async fn discard(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    client.must(Right::ChangePlan)?;
    let within = desk.store.within(client.scope()?);
    let campaign = within.campaign(client.now, given::id(&id)?).await?;
    let mut entry = client.audit("campaign.discarded");
    entry.detail = format!("api {}", campaign.name);
    let by = client.staff.name.expose().clone();
    let change = CampaignChange { by: &by, reason: "", entry: &entry };
    match within.discard_draft(client.now, campaign.id, &change).await {
        Err(StoreError::Conflict { constraint }) if constraint == "campaign_in_use" => {
            let what = Bilingual::fixed(
                "この下書きに入っている患者がいます。先に別の計画に移してください",
                "patients are in this draft: move them to another campaign first",
            );
            Err(Problem::field("/id", what))
        }
        done => {
            done?;
            Ok(StatusCode::NO_CONTENT)
        }
    }
}

/// What a program may do: terms are published by people.
fn acting(text: &str) -> Option<Action> {
    Action::parse(text).filter(|action| *action != Action::Publish)
}
