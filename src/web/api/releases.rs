//! Who may be released from recuperation by the rules of the day, and what staff decide about it.

use axum::Extension;
use axum::extract::{Path, State};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::{LabTestId, PatientId};
use crate::registry::{Course, LabTest, Right, TestMethod, TestResult};
use crate::release::{Decision, ReleaseRules};
use crate::store::{Convalescent, Deciding, NotDecided};
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::patients::viewed;
use crate::web::api::problem::{Json, Problem};
use crate::web::auth::Client;
use crate::web::release;

/// More are not decided about in one go.
const LIMIT: u32 = 200;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(decide))
        .routes(routes!(course))
        .routes(routes!(test))
        .routes(routes!(withdraw_test))
}

/// What the rules propose about a patient under observation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReleaseProposal)]
struct ProposalOut {
    /// The patient.
    #[schema(format = Uuid)]
    patient: String,
    /// Nothing is in the way but a person.
    is_candidate: bool,
    /// The version of the rules, and the path within it that has the least in the way: by days,
    /// `symptomatic` or `asymptomatic`, or one by negative tests.
    rules: String,
    path: String,
    /// The onset; without symptoms, the day of the specimen.
    #[schema(format = Date)]
    day_zero: Option<String>,
    /// The first day on which the release is possible without a test, by the days alone.
    #[schema(format = Date)]
    from: Option<String>,
    /// Since when every answer on fever and symptoms was good.
    #[schema(format = DateTime)]
    improved_at: Option<String>,
    /// The tests of specimens that were not withdrawn, in the order in which they were taken.
    tests: Vec<TestOut>,
    /// What is in the way, in Japanese and English.
    blocks: Vec<BlockOut>,
    /// What staff decided last: `released` or `kept`.
    decision: Option<String>,
}

/// Something that is in the way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReleaseBlock)]
struct BlockOut {
    ja: String,
    en: String,
}

/// A specimen, and what was found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LabTest)]
struct TestOut {
    #[schema(format = Uuid)]
    id: String,
    /// When the specimen was taken.
    #[schema(format = DateTime)]
    collected_at: String,
    /// `naat`, `antigen` or `kit`.
    method: String,
    /// `negative`, `positive` or `indeterminate`.
    result: String,
}

/// A test of a specimen to write down.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLabTest)]
struct TestIn {
    /// When the specimen was taken; not after now.
    #[schema(format = DateTime)]
    collected_at: String,
    /// `naat` (PCR and the like), `antigen` (measured) or `kit`.
    method: String,
    /// `negative`, `positive` or `indeterminate`.
    result: String,
}

/// Why a test was written down wrongly.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LabTestWithdrawal)]
struct WithdrawalIn {
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
}

/// The longest ill first, at most 200.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReleaseProposals)]
struct All {
    items: Vec<ProposalOut>,
}

/// What is decided. A release against the rules, and keeping somebody, want a reason.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReleaseDecision)]
struct DecisionIn {
    /// `released`: the observation ends, and nobody is called any more. `kept`: it goes on.
    decision: String,
    /// The patient or the family has said that there is no fever without medicine; needed for a
    /// release.
    #[serde(default)]
    confirmed: bool,
    /// Tell the patient by an automatic call that it is over.
    #[serde(default)]
    farewell: bool,
    /// Why.
    #[serde(default)]
    #[schema(max_length = 500)]
    reason: String,
    /// What you were shown: refused as `changed` if the rules say otherwise by now.
    #[serde(default)]
    is_candidate: Option<bool>,
}

/// The beginning of an illness.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IllnessCourse)]
struct CourseIn {
    /// The day on which symptoms began.
    #[schema(format = Date)]
    onset: Option<String>,
    /// The day on which the positive specimen was taken.
    #[schema(format = Date)]
    specimen: Option<String>,
    /// Whether there were symptoms; null if nobody knows.
    has_symptoms: Option<bool>,
}

impl TestOut {
    fn new(test: &LabTest) -> Self {
        Self {
            id: test.id.to_string(),
            collected_at: test.collected_at.to_string(),
            method: test.method.as_str().to_owned(),
            result: test.result.as_str().to_owned(),
        }
    }
}

impl ProposalOut {
    fn new(rules: &ReleaseRules, one: &Convalescent) -> Self {
        let proposal = &one.proposal;
        let day = |day: Option<Date>| day.map(|day| day.to_string());
        let block =
            |Bilingual { ja, en }: Bilingual| BlockOut { ja: ja.into_owned(), en: en.into_owned() };
        Self {
            patient: one.patient.id.to_string(),
            is_candidate: proposal.is_candidate(),
            rules: proposal.rules.clone(),
            path: proposal.path.clone(),
            day_zero: day(proposal.day_zero),
            from: day(proposal.from),
            improved_at: proposal.improved_at.map(|at| at.to_string()),
            tests: one.tests.iter().map(TestOut::new).collect(),
            blocks: proposal.blocks.iter().map(|it| block(it.told(rules))).collect(),
            decision: one.decided.as_ref().map(|it| it.decision.as_str().to_owned()),
        }
    }
}

/// The patients on whose illness enough days have passed for anybody to be released, or whose days a
/// negative test may shorten.
#[utoipa::path(get, path = "/releases", tag = "patients",
    responses((status = OK, body = All)))]
async fn list(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
) -> Result<axum::Json<All>, Problem> {
    client.must(Right::SeeHealth)?;
    let within = desk.store.within(client.scope()?);
    let rules = release::rules(&desk, client.now)?;
    let people = within.convalescents(client.now, rules, LIMIT).await?;
    let mut entry = client.audit("release.viewed");
    entry.detail = format!("api {}", people.len());
    desk.store.audit(client.now, &entry).await?;
    Ok(axum::Json(All { items: people.iter().map(|one| ProposalOut::new(rules, one)).collect() }))
}

/// What the rules propose about one patient.
#[utoipa::path(get, path = "/patients/{id}/release", tag = "patients",
    params(("id" = String, Path, format = Uuid)),
    responses((status = OK, body = ProposalOut)))]
async fn one(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<axum::Json<ProposalOut>, Problem> {
    client.must(Right::SeeHealth)?;
    let patient = given::id(&id)?;
    let shown = shown(&desk, &client, patient).await?;
    viewed(&desk, &client, patient, "release").await?;
    Ok(axum::Json(shown))
}

async fn shown(desk: &Desk, client: &Client, patient: PatientId) -> Result<ProposalOut, Problem> {
    let within = desk.store.within(client.scope()?);
    let rules = release::rules(desk, client.now)?;
    let found = within.convalescent(client.now, rules, patient).await?;
    Ok(ProposalOut::new(rules, &found.ok_or_else(|| Problem::new("not-found"))?))
}

/// Decides, in the name of the token's owner. The rules are asked again.
#[utoipa::path(post, path = "/patients/{id}/release", tag = "patients", request_body = DecisionIn,
    params(("id" = String, Path, format = Uuid)),
    responses((status = NO_CONTENT)))]
async fn decide(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    Json(given): Json<DecisionIn>,
) -> Result<axum::http::StatusCode, Problem> {
    client.must(Right::SeeHealth)?;
    client.must(Right::ChangePlan)?;
    let patient = given::id(&id)?;
    let decision = given::word("/decision", &given.decision, Decision::parse)?;
    if decision == Decision::Released && !given.confirmed {
        let what = Bilingual::fixed(
            "解熱剤を使わずに熱がないことを確かめてください",
            "make sure that there is no fever without medicine",
        );
        return Err(Problem::field("/confirmed", what));
    }
    let reason = match given.reason.trim() {
        "" => String::new(),
        reason => given::text("/reason", reason, 500)?,
    };
    let (within, by) = (desk.store.within(client.scope()?), client.staff.id);
    let rules = release::rules(&desk, client.now)?;
    let farewell = if given.farewell {
        release::farewell(&desk, &within, client.now, patient).await?
    } else {
        None
    };
    let deciding = Deciding {
        decision,
        reason: &reason,
        farewell: farewell.as_ref(),
        saw_candidate: given.is_candidate,
    };
    match within.decide_release(client.now, by, patient, rules, deciding).await? {
        Ok(_) => Ok(axum::http::StatusCode::NO_CONTENT),
        Err(NotDecided::NoReason) => Err(Problem::field(
            "/reason",
            Bilingual::fixed("理由を書いてください", "please give a reason"),
        )),
        Err(NotDecided::Changed) => Err(Problem::new("changed")),
        Err(NotDecided::Over) => Err(Problem::new("not-found")),
    }
}

/// Writes down when an illness began.
#[utoipa::path(post, path = "/patients/{id}/course", tag = "patients", request_body = CourseIn,
    params(("id" = String, Path, format = Uuid)),
    responses((status = OK, body = ProposalOut)))]
async fn course(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    Json(given): Json<CourseIn>,
) -> Result<axum::Json<ProposalOut>, Problem> {
    client.must(Right::SeeHealth)?;
    client.must(Right::ChangePlan)?;
    let patient = given::id(&id)?;
    let today = civil(client.now).date();
    let day = |field: &str, text: Option<&String>| {
        let day = text.map(|text| given::date(field, text)).transpose()?;
        let what = Bilingual::fixed("今日までの日付です", "a day up to today");
        if day.is_some_and(|day| day > today) { Err(Problem::field(field, what)) } else { Ok(day) }
    };
    let course = Course {
        onset: day("/onset", given.onset.as_ref())?,
        specimen: day("/specimen", given.specimen.as_ref())?,
        has_symptoms: given.has_symptoms,
    };
    let within = desk.store.within(client.scope()?);
    within.set_course(client.now, client.staff.id, patient, &course).await?;
    Ok(axum::Json(shown(&desk, &client, patient).await?))
}

/// Writes down a test of a specimen. It is never overwritten.
#[utoipa::path(post, path = "/patients/{id}/tests", tag = "patients", request_body = TestIn,
    params(("id" = String, Path, format = Uuid)),
    responses((status = OK, body = ProposalOut)))]
async fn test(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    Json(given): Json<TestIn>,
) -> Result<axum::Json<ProposalOut>, Problem> {
    client.must(Right::SeeHealth)?;
    client.must(Right::ChangePlan)?;
    let patient = given::id(&id)?;
    let collected_at = given::moment("/collected_at", &given.collected_at)?;
    if collected_at > client.now {
        let what = Bilingual::fixed("今より後の日時です", "a moment after now");
        return Err(Problem::field("/collected_at", what));
    }
    let method = given::word("/method", &given.method, TestMethod::parse)?;
    let result = given::word("/result", &given.result, TestResult::parse)?;
    let (within, by) = (desk.store.within(client.scope()?), client.staff.id);
    within.add_lab_test(client.now, by, patient, (collected_at, method, result)).await?;
    Ok(axum::Json(shown(&desk, &client, patient).await?))
}

/// Withdraws a test that was written down wrongly; it stays in the patient's history.
#[utoipa::path(post, path = "/patients/{id}/tests/{test}/withdraw", tag = "patients",
    request_body = WithdrawalIn,
    params(("id" = String, Path, format = Uuid), ("test" = String, Path, format = Uuid)),
    responses((status = NO_CONTENT)))]
async fn withdraw_test(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path((id, test)): Path<(String, String)>,
    Json(given): Json<WithdrawalIn>,
) -> Result<axum::http::StatusCode, Problem> {
    client.must(Right::SeeHealth)?;
    client.must(Right::ChangePlan)?;
    let (patient, test): (PatientId, LabTestId) = (given::id(&id)?, given::id(&test)?);
    let reason = given::text("/reason", &given.reason, 500)?;
    let (within, by) = (desk.store.within(client.scope()?), client.staff.id);
    within.withdraw_lab_test(client.now, by, patient, (test, reason.as_str())).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
}
