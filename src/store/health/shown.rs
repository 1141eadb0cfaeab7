//! What a row only shows, as JSON: words and numbers, as the columns of the other tables have them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::call::{Completion, Respondent};
use crate::campaign::{AttemptState, SlotState};
use crate::escalation::{CaseState, Priority};
use crate::ivr::{Answer, YesNo};
use crate::observation::Channel;
use crate::registry::Held;
use crate::store::health::status::{
    CallMade, HealthStatus, Need, OpenCase, SlotOfDay, Symptom, Vital, WEEK,
};
use crate::store::row::millis;
use crate::store::{DayReport, StoreError};

use crate::base::id::PatientId;
use jiff::civil::Date;

/// The JSON of a row. Field names are short: there are 100,000 of it.
#[derive(Deserialize, Serialize)]
pub(super) struct Shown {
    first: Date,
    last: Date,
    /// The moment and the channel of the last report.
    #[serde(skip_serializing_if = "Option::is_none")]
    heard: Option<(i64, String)>,
    temperature: ShownVital,
    spo2: ShownVital,
    symptoms: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<String>,
    slots: Vec<(u8, String, i64, i64, Option<String>)>,
    calls: Vec<ShownCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<(String, String, String, i64, Option<String>)>,
    fever: u8,
}

#[derive(Deserialize, Serialize)]
struct ShownVital {
    week: [Option<i32>; WEEK],
    worst: Option<i32>,
    at: Option<i64>,
    suspect: bool,
    unmeasured: bool,
}

#[derive(Deserialize, Serialize)]
struct ShownCall {
    slot: u8,
    number: u32,
    state: String,
    at: i64,
    disposition: Option<String>,
    respondent: Option<String>,
    completion: Option<String>,
}

/// Writes what a row shows.
pub(super) fn to_json(status: &HealthStatus) -> String {
    let heard = match status.report {
        DayReport::NotReported => None,
        DayReport::Partial { at, channel } | DayReport::Reported { at, channel } => {
            Some((millis(at), channel.as_str().to_owned()))
        }
    };
    let symptoms = status.symptoms.iter();
    let slots = status.slots.iter();
    let shown = Shown {
        first: status.first_day,
        last: status.last_day,
        heard,
        temperature: shown_vital(&status.temperature),
        spo2: shown_vital(&status.spo2),
        symptoms: symptoms
            .map(|one| (one.code.clone(), Answer::Choice(one.answer).to_text()))
            .collect(),
        held: status.held.map(|held| held.as_str().to_owned()),
        slots: slots
            .map(|slot| {
                let state = slot.state.as_str().to_owned();
                let (from, to) = (millis(slot.due_from), millis(slot.due_to));
                (slot.number, state, from, to, slot.reason.clone())
            })
            .collect(),
        calls: status.calls.iter().map(shown_call).collect(),
        next: status.next_call.map(millis),
        case: status.case.as_ref().map(|case| {
            let words = (case.priority.as_str().to_owned(), case.state.as_str().to_owned());
            (case.id.to_string(), words.0, words.1, millis(case.opened_at), case.owner.clone())
        }),
        fever: status.fever_days,
    };
    serde_json::to_string(&shown).expect("texts and numbers can be written as JSON")
}

fn shown_vital(vital: &Vital) -> ShownVital {
    ShownVital {
        week: vital.week,
        worst: vital.worst,
        at: vital.at.map(millis),
        suspect: vital.is_suspect,
        unmeasured: vital.not_measured,
    }
}

fn shown_call(call: &CallMade) -> ShownCall {
    ShownCall {
        slot: call.slot,
        number: call.number,
        state: call.state.as_str().to_owned(),
        at: millis(call.at),
        disposition: call.disposition.map(|word| word.as_str().to_owned()),
        respondent: call.respondent.map(|word| word.as_str().to_owned()),
        completion: call.completion.map(|word| word.as_str().to_owned()),
    }
}

/// Reads [`to_json`], with what has columns of its own.
pub(super) fn from_json(
    patient: PatientId,
    day: Date,
    need: i64,
    report: &str,
    json: &str,
) -> Result<HealthStatus, StoreError> {
    let corrupt = StoreError::Corrupt { table: "health_status", column: "shown" };
    read(patient, day, need, report, json).ok_or(corrupt)
}

fn read(
    patient: PatientId,
    day: Date,
    need: i64,
    report: &str,
    json: &str,
) -> Option<HealthStatus> {
    let shown: Shown = serde_json::from_str(json).ok()?;
    let heard = match &shown.heard {
        Some((at, channel)) => Some((time(*at)?, Channel::parse(channel)?)),
        None => None,
    };
    let report = match (report, heard) {
        ("none", None) => DayReport::NotReported,
        ("partial", Some((at, channel))) => DayReport::Partial { at, channel },
        ("reported", Some((at, channel))) => DayReport::Reported { at, channel },
        _ => return None,
    };
    Some(HealthStatus {
        patient,
        day,
        first_day: shown.first,
        last_day: shown.last,
        need: *Need::ALL.iter().find(|one| one.rank() / 10 == need / 10)?,
        report,
        temperature: vital(&shown.temperature)?,
        spo2: vital(&shown.spo2)?,
        symptoms: shown
            .symptoms
            .into_iter()
            .map(|(code, answer)| match Answer::parse(&answer)? {
                Answer::Choice(answer @ (YesNo::Yes | YesNo::Unknown)) => {
                    Some(Symptom { code, answer })
                }
                _ => None,
            })
            .collect::<Option<_>>()?,
        held: match shown.held {
            Some(held) => Some(Held::parse(&held)?),
            None => None,
        },
        slots: shown
            .slots
            .into_iter()
            .map(|(number, state, from, to, reason)| {
                let state = SlotState::parse(&state)?;
                Some(SlotOfDay { number, state, due_from: time(from)?, due_to: time(to)?, reason })
            })
            .collect::<Option<_>>()?,
        calls: shown.calls.iter().map(call).collect::<Option<_>>()?,
        next_call: match shown.next {
            Some(at) => Some(time(at)?),
            None => None,
        },
        case: match shown.case {
            Some((id, priority, state, opened_at, owner)) => Some(OpenCase {
                id: id.parse().ok()?,
                priority: Priority::parse(&priority)?,
                state: CaseState::parse(&state)?,
                opened_at: time(opened_at)?,
                owner,
            }),
            None => None,
        },
        fever_days: shown.fever,
    })
}

fn time(at: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(at).ok()
}

fn vital(shown: &ShownVital) -> Option<Vital> {
    let at = match shown.at {
        Some(at) => Some(time(at)?),
        None => None,
    };
    Some(Vital {
        week: shown.week,
        worst: shown.worst,
        at,
        is_suspect: shown.suspect,
        not_measured: shown.unmeasured,
    })
}

fn call(shown: &ShownCall) -> Option<CallMade> {
    Some(CallMade {
        slot: shown.slot,
        number: shown.number,
        state: AttemptState::parse(&shown.state)?,
        at: time(shown.at)?,
        disposition: word(shown.disposition.as_deref(), |it| it.parse().ok()).ok()?,
        respondent: word(shown.respondent.as_deref(), Respondent::parse).ok()?,
        completion: word(shown.completion.as_deref(), Completion::parse).ok()?,
    })
}

/// A word that cannot be read.
struct Unreadable;

/// # Errors
/// If there is a word that cannot be read.
fn word<T>(word: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Unreadable> {
    word.map(|word| parse(word).ok_or(Unreadable)).transpose()
}
