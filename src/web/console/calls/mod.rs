//! 通話: one call with its sound, what was asked and pressed, and what came of it.

mod evidence;
mod page;
mod sound;
mod technical;
mod waveform;

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::id::AttemptId;
use crate::registry::{AuditEntry, Right};
use crate::store::OpenCaseOf;
use crate::tape::Recording;
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::fault::Fault;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/calls/{call}", get(page::page))
        .route("/calls/{call}/audio", get(sound::audio))
        .route("/calls/{call}/heard", post(heard))
        .route("/calls/{call}/reason", post(reason))
        .route("/calls/{call}/note", post(note))
        .route("/calls/{call}/hold", post(hold))
        .route("/calls/{call}/release", post(release))
        .route("/calls/{call}/evidence", get(evidence::page))
        .route("/calls/{call}/technical", get(technical::page))
}

fn id(text: &str) -> Result<AttemptId, Fault> {
    text.parse().map_err(|_| Fault::NotFound)
}

/// The recording, for somebody who may hear it: who has the right, sees the patient, and works on
/// the patient's case or has given a reason. Asked anew for every request.
///
/// # Errors
/// [`Fault::Forbidden`] without the right or a reason; [`Fault::NotFound`] without a recording.
async fn heard_by(viewer: &Viewer, desk: &Desk, call: AttemptId) -> Result<Recording, Fault> {
    viewer.must(Right::Listen)?;
    let within = desk.store.within(viewer.scope()?);
    let (recording, case) = within.sound_of_call(call).await?;
    if !is_work_of(viewer, case) && !within.has_reason(viewer.now, viewer.staff.id, call).await? {
        return Err(Fault::Forbidden);
    }
    Ok(recording)
}

/// Whether listening belongs to the viewer's work on the patient's case.
fn is_work_of(viewer: &Viewer, case: Option<OpenCaseOf>) -> bool {
    case.is_some_and(|case| case.is_work_of(viewer.staff.id, viewer.now))
}

fn entry(viewer: &Viewer, action: &'static str, recording: &Recording) -> AuditEntry {
    AuditEntry {
        patient: Some(recording.patient),
        object: recording.attempt.to_string(),
        ..viewer.audit(action)
    }
}

/// A span of a recording as it is written down: `12.0–24.5 s`.
fn span(from: Duration, to: Duration) -> String {
    format!("{:.1}–{:.1} s", from.as_secs_f64(), to.as_secs_f64())
}

/// What was played, as the island of the player reports it.
#[derive(Debug, Deserialize)]
struct Played {
    /// Milliseconds from the beginning.
    from: u64,
    /// Its end.
    to: u64,
}

async fn heard(
    State(desk): State<Desk>,
    Path(call): Path<String>,
    Posted { viewer, form }: Posted<Played>,
) -> Result<StatusCode, Fault> {
    let recording = heard_by(&viewer, &desk, id(&call)?).await?;
    let length = recording.duration();
    let to = Duration::from_millis(form.to).min(length);
    let from = Duration::from_millis(form.from).min(to);
    let mut entry = entry(&viewer, "recording.heard", &recording);
    entry.detail = span(from, to);
    desk.store.audit(viewer.now, &entry).await?;
    if let Some(message) = &recording.message
        && message.heard.is_none()
        && from < message.to
        && message.from < to
    {
        let by = viewer.staff.name.expose();
        desk.store.message_heard(viewer.now, recording.id, by).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A word that a form asks for.
#[derive(Debug, Deserialize)]
struct Word {
    #[serde(default)]
    text: String,
}

impl Word {
    /// The word, which must be one.
    fn required(&self) -> Result<&str, Fault> {
        let text = self.text.trim();
        if text.is_empty() {
            return Err(Fault::Invalid(Bilingual::fixed(
                "内容を入力してください。",
                "Please write a word about it.",
            )));
        }
        Ok(text)
    }
}

async fn reason(
    State(desk): State<Desk>,
    Path(call): Path<String>,
    Posted { viewer, form }: Posted<Word>,
) -> Result<Response, Fault> {
    viewer.must(Right::Listen)?;
    let call = id(&call)?;
    let (recording, _) = desk.store.within(viewer.scope()?).sound_of_call(call).await?;
    let mut entry = entry(&viewer, "recording.reason", &recording);
    entry.detail = form.required()?.chars().take(200).collect();
    desk.store.audit(viewer.now, &entry).await?;
    let text = viewer.say("理由を記録しました。", "The reason is on record.");
    Ok(done(&format!("/calls/{call}"), text))
}

/// Something to be written at a moment of the recording.
#[derive(Debug, Deserialize)]
struct Note {
    /// Seconds from the beginning.
    at: f64,
    text: String,
}

async fn note(
    State(desk): State<Desk>,
    Path(call): Path<String>,
    Posted { viewer, form }: Posted<Note>,
) -> Result<Response, Fault> {
    let call = id(&call)?;
    let recording = heard_by(&viewer, &desk, call).await?;
    let text = Word { text: form.text };
    let text = text.required()?;
    let at = Duration::try_from_secs_f64(form.at).unwrap_or_default().min(recording.duration());
    let by = viewer.staff.name.expose();
    desk.store.add_note(viewer.now, recording.id, at, by, text).await?;
    let mut entry = entry(&viewer, "recording.noted", &recording);
    entry.detail = format!("{:.1} s", at.as_secs_f64());
    desk.store.audit(viewer.now, &entry).await?;
    let text = viewer.say("聞き取りメモを記録しました。", "The note is on record.");
    Ok(done(&format!("/calls/{call}#notes"), text))
}

async fn hold(
    State(desk): State<Desk>,
    Path(call): Path<String>,
    Posted { viewer, form }: Posted<Word>,
) -> Result<Response, Fault> {
    viewer.must(Right::Listen)?;
    let call = id(&call)?;
    let (recording, _) = desk.store.within(viewer.scope()?).sound_of_call(call).await?;
    let (by, reason) = (viewer.staff.name.expose(), form.required()?);
    desk.store.hold_recording(viewer.now, recording.id, by, reason).await?;
    let mut entry = entry(&viewer, "recording.held", &recording);
    entry.detail = reason.chars().take(200).collect();
    desk.store.audit(viewer.now, &entry).await?;
    let text = viewer.say("録音を保全しました。", "The recording is held.");
    Ok(done(&format!("/calls/{call}"), text))
}

async fn release(
    State(desk): State<Desk>,
    Path(call): Path<String>,
    Posted { viewer, form: Word { .. } }: Posted<Word>,
) -> Result<Response, Fault> {
    viewer.must(Right::Listen)?;
    let call = id(&call)?;
    let (recording, _) = desk.store.within(viewer.scope()?).sound_of_call(call).await?;
    desk.store.release_recording(recording.id).await?;
    desk.store.audit(viewer.now, &entry(&viewer, "recording.released", &recording)).await?;
    let text = viewer.say("保全を解除しました。", "The recording is no longer held.");
    Ok(done(&format!("/calls/{call}"), text))
}

/// A moment of the clock, with seconds.
fn clock(at: Timestamp) -> String {
    crate::base::clock::civil(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A moment of a recording: 1:07.
fn moment(at: Duration) -> String {
    format!("{}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}
