//! Cases: read, taken, worked on and closed, by the same deeds as on the pages.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Bilingual;
use crate::base::id::CaseId;
use crate::escalation::{Deed, Holder, Outcome, Refusal, Standing};
use crate::registry::Right;
use crate::store::{CaseEvent, CaseFile, Handled, QueueCard};
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::patients::viewed;
use crate::web::api::problem::{Json, Path, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(claim))
        .routes(routes!(take_over))
        .routes(routes!(release))
        .routes(routes!(note))
        .routes(routes!(resolve))
}

/// Something that a human must act on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Case)]
struct CaseOut {
    /// The id.
    id: String,
    /// About whom.
    patient: String,
    /// How soon: `p1` at once, `p2` today, `p3` when there is time.
    priority: String,
    /// Where it stands: `untouched`, `in_hand`, `handed_over`, `resolved`.
    standing: String,
    /// Who holds it.
    holder: Option<String>,
    /// Until when it is left to them.
    #[schema(format = DateTime)]
    held_until: Option<String>,
    /// When it was opened.
    #[schema(format = DateTime)]
    opened_at: String,
    /// What was found, the oldest first.
    facts: Vec<FactOut>,
}

/// One finding.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fact)]
struct FactOut {
    /// The rule that found it.
    rule: String,
    /// How soon somebody must act on it.
    priority: String,
    /// In words, in Japanese.
    text: String,
    /// When it was so.
    #[schema(format = DateTime)]
    at: String,
}

/// A case with all that happened to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CaseFile)]
struct FileOut {
    /// The case.
    case: CaseOut,
    /// What happened, the oldest first.
    events: Vec<EventOut>,
}

/// One line of a case.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CaseEvent)]
struct EventOut {
    /// Its place, from 1.
    seq: u32,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Whose deed it is; null for the program.
    by: Option<String>,
    /// What happened: `opened`, `claimed`, `noted`, `resolved` ….
    kind: String,
    /// What was written.
    text: String,
}

/// A note.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewNote {
    /// What is to be written down.
    #[schema(min_length = 1, max_length = 2000)]
    text: String,
}

/// How a case is closed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Resolution {
    /// What came of it: `care_arranged`, `ambulance`, `watch`, `spoke_fine`, `visit_requested`,
    /// `family_confirmed`, `input_error`, `wrong_number`, `false_alarm`.
    #[schema(example = "spoke_fine", max_length = 32)]
    outcome: String,
    /// What was done, or why it was a false alarm.
    #[schema(min_length = 1, max_length = 2000)]
    note: String,
}

type Tagged<T> = ([(HeaderName, HeaderValue); 1], axum::Json<T>);

impl CaseOut {
    fn new(now: Timestamp, card: QueueCard) -> Self {
        let (standing, until) = match card.standing.seen_at(now) {
            Standing::Untouched => ("untouched", None),
            Standing::InHand(Holder::Staff(claim)) => ("in_hand", Some(claim.until)),
            Standing::InHand(Holder::CommandLine) => ("in_hand", None),
            Standing::HandedOver => ("handed_over", None),
            Standing::Resolved(_) => ("resolved", None),
        };
        let case = card.view.case;
        let facts = case.facts.into_iter().map(|fact| FactOut {
            rule: fact.rule,
            priority: fact.priority.as_str().to_owned(),
            text: fact.text,
            at: fact.at.to_string(),
        });
        Self {
            id: case.id.to_string(),
            patient: case.patient.to_string(),
            priority: case.priority.as_str().to_owned(),
            standing: standing.to_owned(),
            holder: card.holder.filter(|_| standing == "in_hand").map(|name| name.expose().clone()),
            held_until: until.map(|until| until.to_string()),
            opened_at: case.opened_at.to_string(),
            facts: facts.collect(),
        }
    }
}

impl EventOut {
    fn new(event: CaseEvent) -> Self {
        Self {
            seq: event.seq,
            at: event.at.to_string(),
            by: event.by.map(|(_, name)| name.expose().clone()),
            kind: event.kind.as_str().to_owned(),
            text: event.text,
        }
    }
}

/// The cases that are not closed: the gravest first, then the oldest.
#[utoipa::path(get, path = "/cases", tag = "cases", responses((status = OK, body = Vec<CaseOut>)))]
async fn list(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
) -> Result<axum::Json<Vec<CaseOut>>, Problem> {
    client.must(Right::SeeHealth)?;
    let queue = desk.store.within(client.scope()?).case_queue(client.now).await?;
    let mut entry = client.audit("cases.listed");
    entry.detail = format!("{} rows", queue.len());
    desk.store.audit(client.now, &entry).await?;
    Ok(axum::Json(queue.into_iter().map(|card| CaseOut::new(client.now, card)).collect()))
}

/// One case with all that happened to it.
#[utoipa::path(get, path = "/cases/{id}", tag = "cases",
    params(("id" = String, Path, format = Uuid, description = "The id of the case.")),
    responses((status = OK, body = FileOut, headers(("ETag" = String)))))]
async fn one(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<Tagged<FileOut>, Problem> {
    client.must(Right::SeeHealth)?;
    let id = given::id(&id)?;
    let CaseFile { card, events } =
        desk.store.within(client.scope()?).case_file(client.now, id).await?;
    viewed(&desk, &client, card.view.case.patient, "case").await?;
    Ok(given::tagged(FileOut {
        case: CaseOut::new(client.now, card),
        events: events.into_iter().map(EventOut::new).collect(),
    }))
}

/// 担当になる: takes a case that nobody works on.
#[utoipa::path(post, path = "/cases/{id}/claim", tag = "cases",
    params(("id" = String, Path, format = Uuid, description = "The id of the case.")),
    responses((status = OK, body = FileOut, headers(("ETag" = String)))))]
async fn claim(
    desk: State<Desk>,
    client: Extension<Client>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Tagged<FileOut>, Problem> {
    act(desk, client, &headers, &id, &Deed::Claim).await
}

/// 担当を引き取る: takes a case from whoever works on it. It is written down.
#[utoipa::path(post, path = "/cases/{id}/take-over", tag = "cases",
    params(("id" = String, Path, format = Uuid, description = "The id of the case.")),
    responses((status = OK, body = FileOut, headers(("ETag" = String)))))]
async fn take_over(
    desk: State<Desk>,
    client: Extension<Client>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Tagged<FileOut>, Problem> {
    act(desk, client, &headers, &id, &Deed::TakeOver).await
}

/// 担当をはずれる: lets a case go.
#[utoipa::path(post, path = "/cases/{id}/release", tag = "cases",
    params(("id" = String, Path, format = Uuid, description = "The id of the case.")),
    responses((status = OK, body = FileOut, headers(("ETag" = String)))))]
async fn release(
    desk: State<Desk>,
    client: Extension<Client>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Tagged<FileOut>, Problem> {
    act(desk, client, &headers, &id, &Deed::Release).await
}

/// Writes a note on a case.
#[utoipa::path(post, path = "/cases/{id}/notes", tag = "cases", request_body = NewNote,
    params(("id" = String, Path, format = Uuid, description = "The id of the case.")),
    responses((status = OK, body = FileOut, headers(("ETag" = String)))))]
async fn note(
    desk: State<Desk>,
    client: Extension<Client>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(note): Json<NewNote>,
) -> Result<Tagged<FileOut>, Problem> {
    let text = given::text("/text", &note.text, 2000)?;
    act(desk, client, &headers, &id, &Deed::Note(text)).await
}

/// Closes a case with what came of it.
#[utoipa::path(post, path = "/cases/{id}/resolve", tag = "cases", request_body = Resolution,
    params(("id" = String, Path, format = Uuid, description = "The id of the case.")),
    responses((status = OK, body = FileOut, headers(("ETag" = String)))))]
async fn resolve(
    desk: State<Desk>,
    client: Extension<Client>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Json(resolution): Json<Resolution>,
) -> Result<Tagged<FileOut>, Problem> {
    let outcome = given::word("/outcome", &resolution.outcome, Outcome::parse)?;
    let text = given::text("/note", &resolution.note, 2000)?;
    act(desk, client, &headers, &id, &Deed::Resolve(outcome, text)).await
}

/// Does a deed. With `If-Match`, only to the case as the program has seen it.
async fn act(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    headers: &HeaderMap,
    id: &str,
    deed: &Deed,
) -> Result<Tagged<FileOut>, Problem> {
    client.must(Right::HandleCases)?;
    let case: CaseId = given::id(id)?;
    let (_, axum::Json(seen)) =
        one(State(desk.clone()), Extension(client.clone()), Path(id.to_owned())).await?;
    given::must_mean(headers, &seen)?;
    let within = desk.store.within(client.scope()?);
    match within.handle_case(client.now, &client.staff, case, deed).await? {
        Handled::Done(_) => {}
        Handled::Refused(refusal, holder) => {
            let holder = holder.map(|name| name.expose().clone()).unwrap_or_default();
            return Err(Problem::new("conflict").because(&why(refusal, &holder)));
        }
    }
    if client.token.is_some() {
        // The deed is its owner's; which program did it is written down beside it.
        let mut entry = client.audit("case.handled");
        entry.object = case.to_string();
        desk.store.audit(client.now, &entry).await?;
    }
    one(State(desk), Extension(client), Path(id.to_owned())).await
}

fn why(refusal: Refusal, holder: &str) -> Bilingual {
    match refusal {
        Refusal::Held(_) => Bilingual::composed(
            format!("{holder} が担当中です"),
            format!("{holder} works on the case"),
        ),
        Refusal::NotHeld => Bilingual::fixed("担当していません", "the case is not held"),
        Refusal::Closed => Bilingual::fixed("終了した対応です", "the case is closed"),
        Refusal::NoText => Bilingual::fixed("内容がありません", "a word about it is missing"),
        Refusal::DueInPast => Bilingual::fixed("過去の時刻です", "the time is past"),
    }
}
