//! The door of other channels: what the patient's web form, a call that came in, or another system
//! of the centre has heard of a patient.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::Bilingual;
use crate::call::{Completion, Respondent};
use crate::ivr::questionnaire::{Kind, Need, Question, Questionnaire};
use crate::ivr::{Answer, Script, YesNo};
use crate::observation::Channel;
use crate::registry::{Patient, Right};
use crate::store::Report;
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::patients::Created;
use crate::web::api::problem::{Json, Path, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(report))
}

/// What was heard of a patient by another way than our call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReport {
    /// By which way.
    channel: ReportChannel,
    /// Who said it.
    respondent: ReportRespondent,
    /// When it was so: not in the future, and not more than two days ago. The same patient,
    /// channel, moment and code is the same observation.
    #[schema(format = DateTime, example = "2026-11-24T09:00:00+09:00")]
    effective_at: String,
    /// What was said; each code once.
    #[schema(min_items = 1, max_items = 40)]
    values: Vec<Value>,
}

/// By which way a report came.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReportChannel {
    /// The patient's web form.
    Web,
    /// The patient called.
    InboundCall,
}

/// Who made a report.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReportRespondent {
    /// The patient.
    Patient,
    /// The family.
    Family,
}

/// One thing that was said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Value {
    /// The code of a question of a questionnaire of the installation, or of its wish for help
    /// (`consultation`, which is only ever `yes`, and raises the alarm). What is required is what the
    /// patient's campaign asks.
    #[schema(example = "temperature", max_length = 64)]
    code: String,
    /// The value as it is stored: a number in the unit of the keys (375 for 37.5 ℃, 97 for 97 %),
    /// or `yes`, `no`, `unknown`, `not_measured`.
    #[schema(example = "375", max_length = 16)]
    value: String,
}

/// What became of a report.
#[derive(Debug, Serialize, ToSchema)]
struct Taken {
    /// The slot of the day that it settled; null if there was none.
    slot: Option<String>,
    /// Everything that is required of this patient was given.
    is_complete: bool,
}

/// Takes a report. It settles the patient's slot of the day, so that no call is made for it, and
/// the rules judge it as they judge a call.
#[utoipa::path(post, path = "/patients/{id}/reports", tag = "patients",
    params(("id" = String, Path, format = Uuid, description = "The id of the patient.")),
    request_body = NewReport,
    responses((status = CREATED, body = Taken)))]
async fn report(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Path(id): Path<String>,
    Json(new): Json<NewReport>,
) -> Result<Created<Taken>, Problem> {
    client.must(Right::Observe)?;
    let within = desk.store.within(client.scope()?);
    let patient = within.patient(given::id(&id)?).await?;
    let effective_at = given::moment("/effective_at", &new.effective_at)?;
    let age = client.now.duration_since(effective_at);
    if age.is_negative() || age.as_hours() >= 48 {
        return Err(Problem::field(
            "/effective_at",
            Bilingual::fixed(
                "未来、または2日より前の日時です",
                "in the future, or more than two days ago",
            ),
        ));
    }
    let asked = desk.asked(client.now, &within, patient.id).await?;
    // A page may ask more than the telephone does: nothing that was said is lost.
    let known: Vec<&Questionnaire> =
        [&asked].into_iter().chain(desk.questionnaires.all()).map(AsRef::as_ref).collect();
    let values = read_values(&known, &new.values)?;
    let completion = completion(&asked, &patient, &values);
    let report = Report {
        channel: match new.channel {
            ReportChannel::Web => Channel::Web,
            ReportChannel::InboundCall => Channel::InboundCall,
        },
        respondent: match new.respondent {
            ReportRespondent::Patient => Respondent::Patient,
            ReportRespondent::Family => Respondent::Family,
        },
        questionnaire: asked.key(),
        effective_at,
        values,
        completion,
    };
    let slot = desk.store.report(client.now, patient.id, &report).await?;
    let mut entry = client.audit("observation.added");
    entry.patient = Some(patient.id);
    entry.detail = format!("api {}", report.channel.as_str());
    desk.store.audit(client.now, &entry).await?;
    let taken = Taken {
        slot: slot.map(|slot| slot.to_string()),
        is_complete: completion == Completion::Complete,
    };
    Ok((StatusCode::CREATED, axum::Json(taken)))
}

/// Reads values by the first of the questionnaires that knows each code.
fn read_values(
    known: &[&Questionnaire],
    given: &[Value],
) -> Result<Vec<(String, Answer)>, Problem> {
    let fault = |field: String, ja, en| Problem::field(&field, Bilingual::fixed(ja, en));
    if !(1..=40).contains(&given.len()) {
        return Err(fault("/values".to_owned(), "1 から 40 件で送ってください", "1 to 40 values"));
    }
    let mut values: Vec<(String, Answer)> = Vec::with_capacity(given.len());
    for (index, Value { code, value }) in given.iter().enumerate() {
        let at = |part: &str| format!("/values/{index}/{part}");
        let question = known.iter().find_map(|one| one.question(code));
        if question.is_none() && !known.iter().any(|one| one.is_help(code)) {
            return Err(fault(at("code"), "この質問はありません", "there is no such question"));
        }
        if values.iter().any(|(earlier, _)| earlier == code) {
            return Err(fault(at("code"), "同じ質問が二度あります", "the question is there twice"));
        }
        let wish = Answer::Choice(YesNo::Yes);
        let answer = Answer::parse(value)
            .filter(|answer| question.map_or(*answer == wish, |question| fits(question, *answer)));
        let Some(answer) = answer else {
            return Err(fault(
                at("value"),
                "この質問の答えになりません",
                "not an answer to this question",
            ));
        };
        values.push((code.clone(), answer));
    }
    Ok(values)
}

fn fits(question: &Question, answer: Answer) -> bool {
    match (&question.kind, answer) {
        (Kind::Number(format), Answer::Number(number)) => {
            (format.min..=format.max).contains(&number)
        }
        (Kind::Number(format), Answer::NotMeasured) => format.not_measured.is_some(),
        (Kind::YesNo(keys) | Kind::Group { keys, .. }, Answer::Choice(choice)) => {
            choice != YesNo::Unknown || keys.unknown.is_some()
        }
        _ => false,
    }
}

/// Whether all that a call would have to hear was said.
fn completion(
    questionnaire: &Questionnaire,
    patient: &Patient,
    values: &[(String, Answer)],
) -> Completion {
    let has = |need: Option<Need>| match need {
        Some(Need::Thermometer) => patient.has_thermometer,
        Some(Need::Oximeter) => patient.has_oximeter,
        None => true,
    };
    let is_met = |question: &Question| {
        !question.required
            || !has(question.needs)
            || !question.is_due(Script::Full, values)
            || values.iter().any(|(code, _)| *code == question.code)
    };
    if questionnaire.questions.iter().all(is_met) {
        Completion::Complete
    } else {
        Completion::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(code: &str, value: &str) -> Value {
        Value { code: code.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn values_are_answers_to_the_questions() {
        let questionnaire = Questionnaire::recuperation();
        for (code, given, is_good) in [
            ("temperature", "375", true),
            ("temperature", "not_measured", true),
            ("temperature", "37.5", false),
            ("temperature", "700", false),
            ("temperature", "yes", false),
            ("spo2", "97", true),
            ("spo2", "970", false),
            ("dyspnea", "no", true),
            ("dyspnea", "unanswered", false),
            ("dyspnea", "1", false),
            ("consultation", "yes", true),
            ("consultation", "no", false),
            ("shoe_size", "42", false),
        ] {
            let read = read_values(&[&questionnaire], &[value(code, given)]);
            assert_eq!(read.is_ok(), is_good, "{code} {given}");
        }
        let twice = [value("spo2", "97"), value("spo2", "98")];
        assert!(read_values(&[&questionnaire], &twice).is_err());
        assert!(read_values(&[&questionnaire], &[]).is_err());
    }
}
