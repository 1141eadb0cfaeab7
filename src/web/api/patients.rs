//! Patients, their days under observation, what was observed, and how they were called.

use axum::Extension;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::id::{AttemptId, ObservationId, PatientId};
use crate::call::Respondent;
use crate::campaign::Attempt;
use crate::ivr::Entry;
use crate::observation::Observation;
use crate::registry::{Episode, Patient, Right};
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::page::{Page, Wanted, bad_cursor};
use crate::web::api::problem::{Asked, Path, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(episodes))
        .routes(routes!(observations))
        .routes(routes!(attempts))
        .routes(routes!(call))
}

/// A patient.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Patient)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a person")]
pub(super) struct PatientOut {
    /// The id.
    id: String,
    /// 管理番号, unique within the centre.
    registration_number: String,
    /// The name as written.
    name: String,
    /// The name as said, in katakana.
    kana: String,
    /// The date of birth.
    #[schema(format = Date)]
    birth_date: String,
    /// Administrative gender as in FHIR: `male`, `female`, `other`, `unknown`; null if nobody told.
    gender: Option<String>,
    /// The language that is spoken, by its ISO 639-1 code.
    language: String,
    /// A thermometer is at hand.
    has_thermometer: bool,
    /// A pulse oximeter is at hand.
    has_oximeter: bool,
    /// Is spoken to slowly.
    slow_speech: bool,
    /// Lives alone.
    lives_alone: bool,
    /// What raises the risk of a grave course; only for those who may see health.
    #[serde(skip_serializing_if = "Option::is_none")]
    risks: Option<Vec<String>>,
    /// Telephones in the order of dialling.
    phones: Vec<Phone>,
}

/// A telephone of a patient.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Phone {
    /// The number in E.164.
    #[schema(example = "+819012345678")]
    number: String,
    /// Whose it is.
    role: String,
}

/// Days under observation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Episode)]
pub(super) struct EpisodeOut {
    /// The id.
    id: String,
    /// The first day.
    #[schema(format = Date)]
    first_day: String,
    /// The last day, inclusive.
    #[schema(format = Date)]
    last_day: String,
    /// The agreed times of day in Japan, as `09:00:00`.
    call_times: Vec<String>,
    /// Has not been ended.
    is_active: bool,
}

/// Something that was observed of a patient.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Observation)]
pub(super) struct ObservationOut {
    /// The id.
    id: String,
    /// What was observed: the code of the question, such as `temperature`, `spo2`, `dyspnea`.
    code: String,
    /// The value as it is stored: a number in the unit of the keys (tenths of a degree, percent),
    /// or `yes`, `no`, `unknown`, `not_measured`, `unanswered`.
    #[schema(example = "375")]
    value: String,
    /// When it was so.
    #[schema(format = DateTime)]
    effective_at: String,
    /// Who said it.
    respondent: String,
    /// By which way it came: `outbound_call`, `inbound_call`, `web`, `staff`.
    channel: String,
    /// What asked, as `id@version`.
    questionnaire: String,
    /// The slot that it helped to fill.
    slot: Option<String>,
    /// The call in which it was said.
    attempt: Option<String>,
    /// The observation that this one corrects.
    supersedes: Option<String>,
}

/// One try to reach a patient.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(super) struct AttemptOut {
    /// The id.
    id: String,
    /// Whom it calls.
    patient: String,
    /// The slot.
    slot: String,
    /// Its number within the slot, from 1.
    number: u32,
    /// When it is due.
    #[schema(format = DateTime)]
    due_at: String,
    /// Where it stands: `due`, `dialing`, `talking`, `done`, `dropped` ….
    state: String,
    /// When it was dialled.
    #[schema(format = DateTime)]
    dialed_at: Option<String>,
    /// When it was answered.
    #[schema(format = DateTime)]
    answered_at: Option<String>,
    /// When it was over.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// How the telephone part ended.
    disposition: Option<String>,
    /// Who answered.
    respondent: Option<String>,
    /// How far the interview came.
    completion: Option<String>,
}

/// A call, question by question.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Call {
    /// The attempt.
    attempt: AttemptOut,
    /// What was asked and answered, in order.
    answers: Vec<AnswerOut>,
}

/// One answer of a call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Answer)]
pub(super) struct AnswerOut {
    /// Its place, from 0.
    seq: u32,
    /// The code of the question.
    question: String,
    /// How often the question was put.
    asked: u32,
    /// The keys as pressed.
    keys: String,
    /// What they mean, as values of observations.
    answer: String,
    /// When it was settled.
    #[schema(format = DateTime)]
    at: String,
}

impl PatientOut {
    pub(super) fn new(client: &Client, patient: &Patient) -> Self {
        let risks = || patient.risks.iter().map(|risk| risk.as_str().to_owned()).collect();
        Self {
            id: patient.id.to_string(),
            registration_number: patient.registration_number.clone(),
            name: patient.name.expose().clone(),
            kana: patient.kana.expose().clone(),
            birth_date: patient.birth_date.expose().to_string(),
            gender: patient.gender.map(|gender| gender.as_str().to_owned()),
            language: patient.language.code().to_owned(),
            has_thermometer: patient.has_thermometer,
            has_oximeter: patient.has_oximeter,
            slow_speech: patient.slow_speech,
            lives_alone: patient.lives_alone,
            risks: client.may(Right::SeeHealth).then(risks),
            phones: patient
                .phones
                .iter()
                .map(|phone| Phone {
                    number: phone.number.e164().to_owned(),
                    role: phone.role.as_str().to_owned(),
                })
                .collect(),
        }
    }
}

impl EpisodeOut {
    fn new((is_active, episode): (bool, Episode)) -> Self {
        Self {
            id: episode.id.to_string(),
            first_day: episode.first_day.to_string(),
            last_day: episode.last_day.to_string(),
            call_times: episode
                .call_times
                .iter()
                .map(|time| time.strftime("%T").to_string())
                .collect(),
            is_active,
        }
    }
}

impl ObservationOut {
    pub(super) fn new(observation: Observation) -> Self {
        Self {
            id: observation.id.to_string(),
            code: observation.code,
            value: observation.value.to_text(),
            effective_at: observation.effective_at.to_string(),
            respondent: observation.respondent.as_str().to_owned(),
            channel: observation.channel.as_str().to_owned(),
            questionnaire: observation.questionnaire,
            slot: observation.slot.map(|slot| slot.to_string()),
            attempt: observation.source.map(|(attempt, _)| attempt.to_string()),
            supersedes: observation.supersedes.map(|id| id.to_string()),
        }
    }
}

impl AttemptOut {
    pub(super) fn new(patient: PatientId, attempt: &Attempt) -> Self {
        let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            id: attempt.id.to_string(),
            patient: patient.to_string(),
            slot: attempt.slot.to_string(),
            number: attempt.number,
            due_at: attempt.due_at.to_string(),
            state: attempt.state.as_str().to_owned(),
            dialed_at: moment(attempt.dialed_at),
            answered_at: moment(attempt.answered_at),
            ended_at: moment(attempt.ended_at),
            disposition: attempt.disposition.map(|one| one.as_str().to_owned()),
            respondent: attempt.respondent.map(Respondent::as_str).map(str::to_owned),
            completion: attempt.completion.map(|one| one.as_str().to_owned()),
        }
    }
}

impl AnswerOut {
    fn new(entry: Entry) -> Self {
        Self {
            seq: entry.seq,
            question: entry.question,
            asked: entry.asked,
            keys: entry.keys,
            answer: entry.answer.to_text(),
            at: entry.at.to_string(),
        }
    }
}

/// Which patients are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only the one with this 管理番号.
    #[param(min_length = 1, max_length = 64)]
    registration_number: Option<String>,
}

/// Patients within reach, by 管理番号.
#[utoipa::path(get, path = "/patients", tag = "patients", params(Wanted, Which),
    responses((status = OK, body = Page<PatientOut>)))]
async fn list(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    OriginalUri(uri): OriginalUri,
    Asked(wanted): Asked<Wanted>,
    Asked(which): Asked<Which>,
) -> Result<(HeaderMap, axum::Json<Page<PatientOut>>), Problem> {
    let scope = client.scope()?;
    let (limit, after) = (wanted.limit()?, wanted.after::<(String, String)>()?);
    let number = which.registration_number.as_deref();
    let number = number.map(|number| given::text("registration_number", number, 64)).transpose()?;
    let after = after
        .map(|(number, id)| {
            let number = given::text("cursor", &number, 64)?;
            Ok::<_, Problem>((number, id.parse::<PatientId>().map_err(|_| bad_cursor())?))
        })
        .transpose()?;
    let after = after.as_ref().map(|(number, id)| (number.as_str(), *id));
    let within = desk.store.within(scope);
    let patients = within.patients_after(number.as_deref(), after, limit + 1).await?;
    let mut entry = client.audit("patients.listed");
    entry.detail = format!("{} rows", patients.len().min(usize::try_from(limit).unwrap_or(0)));
    desk.store.audit(client.now, &entry).await?;
    Ok(Page::new(
        &uri,
        limit,
        patients,
        |last| (last.registration_number.clone(), last.id.to_string()),
        |patient| PatientOut::new(&client, &patient),
    ))
}

/// One patient.
#[utoipa::path(get, path = "/patients/{id}", tag = "patients",
    params(("id" = String, Path, format = Uuid, description = "The id of the patient.")),
    responses((status = OK, body = PatientOut)))]
async fn one(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<axum::Json<PatientOut>, Problem> {
    let scope = client.scope()?;
    let patient = desk.store.within(scope).patient(given::id(&id)?).await?;
    viewed(&desk, &client, patient.id, "").await?;
    Ok(axum::Json(PatientOut::new(&client, &patient)))
}

/// The days under observation of a patient, the newest first.
#[utoipa::path(get, path = "/patients/{id}/episodes", tag = "patients",
    params(("id" = String, Path, format = Uuid, description = "The id of the patient.")),
    responses((status = OK, body = Vec<EpisodeOut>)))]
async fn episodes(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<axum::Json<Vec<EpisodeOut>>, Problem> {
    let within = desk.store.within(client.scope()?);
    let patient = within.patient(given::id(&id)?).await?.id;
    let episodes = within.episodes(patient).await?;
    viewed(&desk, &client, patient, "episodes").await?;
    Ok(axum::Json(episodes.into_iter().map(EpisodeOut::new).collect()))
}

/// Since when observations are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// Only what was so at this moment or later (RFC 3339).
    #[param(format = DateTime, example = "2026-11-24T00:00:00+09:00")]
    since: Option<String>,
}

/// What was observed of a patient, the newest first, corrected ones included.
#[utoipa::path(get, path = "/patients/{id}/observations", tag = "patients",
    params(("id" = String, Path, format = Uuid, description = "The id of the patient."), Wanted, Since),
    responses((status = OK, body = Page<ObservationOut>)))]
async fn observations(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    Asked(wanted): Asked<Wanted>,
    Asked(Since { since }): Asked<Since>,
) -> Result<(HeaderMap, axum::Json<Page<ObservationOut>>), Problem> {
    client.must(Right::SeeHealth)?;
    let within = desk.store.within(client.scope()?);
    let patient = within.patient(given::id(&id)?).await?.id;
    let since = since.map(|since| given::moment("since", &since)).transpose()?;
    let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
    let (limit, after) = (wanted.limit()?, point::<ObservationId>(&wanted)?);
    let observations = within.observations_after(patient, since, after, limit + 1).await?;
    viewed(&desk, &client, patient, "observations").await?;
    Ok(Page::new(
        &uri,
        limit,
        observations,
        |last| (last.effective_at.as_millisecond(), last.id.to_string()),
        ObservationOut::new,
    ))
}

/// How a patient was called, the latest first.
#[utoipa::path(get, path = "/patients/{id}/attempts", tag = "calls",
    params(("id" = String, Path, format = Uuid, description = "The id of the patient."), Wanted),
    responses((status = OK, body = Page<AttemptOut>)))]
async fn attempts(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    Asked(wanted): Asked<Wanted>,
) -> Result<(HeaderMap, axum::Json<Page<AttemptOut>>), Problem> {
    let within = desk.store.within(client.scope()?);
    let patient = within.patient(given::id(&id)?).await?.id;
    let (limit, after) = (wanted.limit()?, point::<AttemptId>(&wanted)?);
    let attempts = within.attempts_after(patient, after, limit + 1).await?;
    viewed(&desk, &client, patient, "attempts").await?;
    Ok(Page::new(
        &uri,
        limit,
        attempts,
        |last| (last.due_at.as_millisecond(), last.id.to_string()),
        |attempt| AttemptOut::new(patient, &attempt),
    ))
}

/// One call, question by question.
#[utoipa::path(get, path = "/attempts/{id}", tag = "calls",
    params(("id" = String, Path, format = Uuid, description = "The id of the attempt.")),
    responses((status = OK, body = Call)))]
async fn call(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<axum::Json<Call>, Problem> {
    client.must(Right::SeeHealth)?;
    let within = desk.store.within(client.scope()?);
    let (patient, attempt, entries) = within.call(given::id(&id)?).await?;
    viewed(&desk, &client, patient, "call").await?;
    Ok(axum::Json(Call {
        attempt: AttemptOut::new(patient, &attempt),
        answers: entries.into_iter().map(AnswerOut::new).collect(),
    }))
}

/// The place in a list that is ordered by time.
pub(super) fn point<T: std::str::FromStr>(
    wanted: &Wanted,
) -> Result<Option<(Timestamp, T)>, Problem> {
    let Some((at, id)) = wanted.after::<(i64, String)>()? else { return Ok(None) };
    let at = Timestamp::from_millisecond(at).map_err(|_| bad_cursor())?;
    Ok(Some((at, id.parse().map_err(|_| bad_cursor())?)))
}

/// Writes down that a patient was looked at.
pub(super) async fn viewed(
    desk: &Desk,
    client: &Client,
    patient: PatientId,
    what: &str,
) -> Result<(), Problem> {
    let mut entry = client.audit("patient.viewed");
    entry.patient = Some(patient);
    format!("api {what}").trim().clone_into(&mut entry.detail);
    Ok(desk.store.audit(client.now, &entry).await?)
}

/// What a new thing is answered with.
pub(super) type Created<T> = (StatusCode, axum::Json<T>);
