//! What was agreed with a patient about how to be reached: campaign, days, tolerance, way, a doctor's
//! order, and which telephones may be called.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::clock::civil;
use crate::base::id::PatientId;
use crate::base::{Bilingual, PhoneNumber, Private};
use crate::registry::arrangement::{Channel, TOLERANCE};
use crate::registry::{Arrangement, DoctorsOrder, Episode, Held, Patient, Right, Weekdays};
use crate::store::{Agreed, CarePlan};
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::patients::viewed;
use crate::web::api::problem::{Json, Path, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(set))
}

/// How a patient under observation is reached.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Arrangement)]
struct ArrangementOut {
    /// The campaign; null for the centre's first one.
    #[schema(format = Uuid)]
    campaign: Option<String>,
    /// The days of calls: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    weekdays: Vec<String>,
    /// How long after an agreed time calls may still start; null for the campaign's.
    tolerance_minutes: Option<u64>,
    /// `telephone` (we call), `web` or `staff`. A report by any way counts.
    channel: String,
    /// A doctor's order that no machine calls.
    no_automation: Option<Order>,
    /// Why no machine calls, if none does: `web`, `staff` or `doctors_order`.
    held: Option<String>,
    /// The telephones in the order of dialling.
    phones: Vec<PhoneConsent>,
}

/// A doctor's order that no machine calls.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = DoctorsOrder)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Who ordered it.
    #[schema(min_length = 1, max_length = 60)]
    by: String,
    /// Why.
    #[schema(min_length = 1, max_length = 200)]
    why: String,
}

/// Whether a telephone may be called.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PhoneConsent {
    /// The number in E.164.
    #[schema(example = "+819012345678")]
    number: String,
    /// Its owner agreed to be called.
    may_call: bool,
}

/// What is agreed from now on, as a whole.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewArrangement)]
#[serde(deny_unknown_fields)]
struct ArrangementIn {
    /// The campaign; null for the centre's first one.
    #[schema(format = Uuid)]
    campaign: Option<String>,
    /// The days of calls, at least one: `mon` to `sun`.
    #[schema(min_items = 1)]
    weekdays: Vec<String>,
    /// Null for the campaign's.
    #[schema(minimum = 10, maximum = 480)]
    tolerance_minutes: Option<u64>,
    /// `telephone`, `web` or `staff`.
    channel: String,
    /// A doctor's order that no machine calls; null for none.
    no_automation: Option<Order>,
    /// Those whose consent changes; the others stay as they are.
    #[serde(default)]
    phones: Vec<PhoneConsent>,
    /// Why it is changed; colleagues see it.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

type Tagged = ([(HeaderName, HeaderValue); 1], axum::Json<ArrangementOut>);

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl ArrangementOut {
    fn new(arrangement: &Arrangement, patient: &Patient) -> Self {
        let days = DAYS.iter().filter(|(_, day)| arrangement.weekdays.contains(*day));
        let order = arrangement.no_automation.as_ref();
        Self {
            campaign: arrangement.campaign.map(|id| id.to_string()),
            weekdays: days.map(|(word, _)| (*word).to_owned()).collect(),
            tolerance_minutes: arrangement.tolerance.map(|it| it.as_secs() / 60),
            channel: arrangement.channel.as_str().to_owned(),
            no_automation: order.map(|order| Order {
                by: order.by.expose().clone(),
                why: order.why.expose().clone(),
            }),
            held: arrangement.held().map(Held::as_str).map(str::to_owned),
            phones: patient
                .phones
                .iter()
                .map(|phone| PhoneConsent {
                    number: phone.number.e164().to_owned(),
                    may_call: phone.may_call,
                })
                .collect(),
        }
    }
}

/// How a patient is reached; for those under observation.
#[utoipa::path(get, path = "/patients/{id}/arrangement", tag = "patients",
    params(("id" = String, Path, format = Uuid, description = "The id of the patient.")),
    responses((status = OK, body = ArrangementOut, headers(("ETag" = String)))))]
async fn show(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
) -> Result<Tagged, Problem> {
    client.must(Right::SeePlan)?;
    let (plan, episode) = observed(&desk, &client, given::id(&id)?).await?;
    viewed(&desk, &client, plan.patient.id, "arrangement").await?;
    Ok(given::tagged(ArrangementOut::new(&episode.arrangement, &plan.patient)))
}

/// Agrees on how a patient is reached. Calls of today move or are dropped at once; a call under way
/// goes on. With `If-Match`, only if the arrangement is as it was seen.
#[utoipa::path(put, path = "/patients/{id}/arrangement", tag = "patients",
    request_body = ArrangementIn,
    params(("id" = String, Path, format = Uuid, description = "The id of the patient."),
        ("If-Match" = Option<String>, Header, description = "The ETag of what was seen.")),
    responses((status = OK, body = ArrangementOut, headers(("ETag" = String)))))]
async fn set(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(wanted): Json<ArrangementIn>,
) -> Result<Tagged, Problem> {
    client.must(Right::ChangePlan)?;
    let (plan, episode) = observed(&desk, &client, given::id(&id)?).await?;
    let patient = &plan.patient;
    let seen = ArrangementOut::new(&episode.arrangement, patient);
    given::must_mean(&headers, &seen)?;
    let book = desk.store.campaigns(client.now).await?;
    let center = &plan.health_center;
    let arrangement = wanted.arrangement()?;
    let joinable = book.joinable(center.id, &episode.arrangement);
    if arrangement.campaign.is_some_and(|id| joinable.iter().all(|one| one.id != id)) {
        let what = Bilingual::fixed(
            "この保健所の実施できる計画ではありません",
            "no campaign of this centre that goes on",
        );
        return Err(Problem::field("/campaign", what));
    }
    let callable = wanted.callable(patient)?;
    let reason = given::text("/reason", &wanted.reason, 200)?;
    let today = civil(client.now).date();
    let new = Episode { arrangement: arrangement.clone(), ..episode };
    let slots = book.slots_on(today, &new, center, &desk.terms);
    let agreed = Agreed { arrangement, callable: &callable, reason: &reason };
    let within = desk.store.within(client.scope()?);
    within.set_arrangement(client.now, client.staff.id, patient.id, &agreed, &slots).await?;
    let (plan, episode) = observed(&desk, &client, patient.id).await?;
    Ok(given::tagged(ArrangementOut::new(&episode.arrangement, &plan.patient)))
}

/// A patient who is under observation.
async fn observed(
    desk: &Desk,
    client: &Client,
    patient: PatientId,
) -> Result<(CarePlan, Episode), Problem> {
    let today = civil(client.now).date();
    let within = desk.store.within(client.scope()?);
    let mut plan = within.care_plan(patient, (today, today)).await?;
    let active = plan.episode.take().filter(|(_, is_active)| *is_active);
    let (episode, _) = active.ok_or(Problem::new("not-found"))?;
    Ok((plan, episode))
}

impl ArrangementIn {
    fn arrangement(&self) -> Result<Arrangement, Problem> {
        let campaign = match &self.campaign {
            None => None,
            Some(id) => Some(given::word("/campaign", id, |id| id.parse().ok())?),
        };
        let mut days = Vec::new();
        for word in &self.weekdays {
            let day = |word: &str| DAYS.iter().find(|(known, _)| *known == word).map(|(_, it)| *it);
            days.push(given::word("/weekdays", word, day)?);
        }
        if days.is_empty() {
            let what = Bilingual::fixed("1日以上必要です", "at least one day");
            return Err(Problem::field("/weekdays", what));
        }
        let tolerance = match self.tolerance_minutes {
            Some(minutes) if !TOLERANCE.contains(&minutes) => {
                let what = Bilingual::fixed("10〜480 分にしてください", "10 to 480 minutes");
                return Err(Problem::field("/tolerance_minutes", what));
            }
            minutes => minutes.map(Duration::from_mins),
        };
        let no_automation = match &self.no_automation {
            None => None,
            Some(order) => Some(DoctorsOrder {
                by: Private::new(given::line("/no_automation/by", &order.by, 60)?),
                why: Private::new(given::line("/no_automation/why", &order.why, 200)?),
            }),
        };
        Ok(Arrangement {
            campaign,
            weekdays: Weekdays::of(days),
            tolerance,
            channel: given::word("/channel", &self.channel, Channel::parse)?,
            no_automation,
        })
    }

    /// The consents that are told, each for a telephone that the patient has.
    fn callable(&self, patient: &Patient) -> Result<Vec<(PhoneNumber, bool)>, Problem> {
        let find = |told: &PhoneConsent| {
            let known = patient.phones.iter().find(|phone| phone.number.e164() == told.number);
            known.map(|phone| (phone.number.clone(), told.may_call)).ok_or_else(|| {
                let what =
                    Bilingual::fixed("この方の番号ではありません", "no telephone of this patient");
                Problem::field("/phones", what)
            })
        };
        self.phones.iter().map(find).collect()
    }
}
