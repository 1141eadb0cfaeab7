//! 音声: every prompt as it is read, as it sounds on a telephone, and the takes that staff record
//! and approve.

mod accent;
mod takes;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::civil::Date;
use maud::{Markup, html};

use crate::audio::RATE;
use crate::audio::wav::{Encoding, header};
use crate::base::clock::civil;
use crate::base::{Bilingual, Language};
use crate::ivr::catalog::{BlankKind, Prompt};
use crate::ivr::questionnaire::Kind;
use crate::ivr::{Blank, Questionnaires, Utterance};
use crate::prompt::{Library, Pace, Source, take};
use crate::registry::Right;
use crate::store::{PromptTake, TakeState};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

const TITLE: Bilingual = Bilingual::fixed("音声", "Prompts");

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/prompts", get(list))
        .route("/prompts/{id}", get(one))
        .route("/prompts/{id}/sound.wav", get(sound))
        .merge(takes::routes())
}

/// Who works on prompts: those who bring them, and those who approve them.
fn must(viewer: &Viewer) -> Result<(), Fault> {
    if viewer.may(Right::EditPrompts) || viewer.may(Right::ApprovePrompts) {
        Ok(())
    } else {
        Err(Fault::Forbidden)
    }
}

async fn list(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    must(&viewer)?;
    let takes = desk.store.takes(Language::Ja).await?;
    let mut by_prompt: HashMap<&str, Vec<&PromptTake>> = HashMap::new();
    for take in &takes {
        by_prompt.entry(&take.prompt).or_default().push(take);
    }
    let say = |ja, en| viewer.say(ja, en);
    let catalog = desk.library.catalog();
    let measured = measure_ready(&desk).await?;
    Ok(ui::page(
        &viewer,
        Section::Prompts,
        &TITLE,
        &html! {
            p { (say(
                "電話で流れる文の一覧です。日本語(ja)。値の入らない文は、録音に差し替えられます。",
                "What is said on the telephone, in Japanese (ja). Prompts without values can be replaced by recordings.",
            )) }
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { "ID" }
                    th scope="col" { (say("文", "Text")) }
                    th scope="col" { (say("使う場所", "Where")) }
                    th scope="col" { (say("音源", "Source")) }
                    th.number scope="col" { (say("長さ(秒)", "Length (s)")) }
                    th.number scope="col" { (say("音量(dBov)", "Level (dBov)")) }
                    th scope="col" { (say("録音", "Takes")) }
                } }
                tbody { @for id in catalog.ids() {
                    @if let Some(prompt) = catalog.prompt(id) {
                        tr {
                            th scope="row" { a href={ "/prompts/" (id) } { (id) } }
                            td lang="ja" { (prompt.text.to_string()) }
                            td { (viewer.tell(&place(&desk.questionnaires, id))) }
                            td { (source(&viewer, &desk.library, id, &by_prompt)) }
                            @match measured.get(id) {
                                Some((length, level)) => {
                                    td.number { (format!("{length:.1}")) }
                                    td.number { (format!("{level:.1}")) }
                                }
                                None => { td.number { "—" } td.number { "—" } }
                            }
                            td { @for take in by_prompt.get(id).into_iter().flatten() {
                                @if take.state == TakeState::Draft {
                                    (ui::badge("badge check", Icon::Look, say("承認待ち", "To be approved"))) " "
                                }
                            } }
                        }
                    }
                } }
            } }
        },
    ))
}

fn source(
    viewer: &Viewer,
    library: &Library,
    id: &str,
    takes: &HashMap<&str, Vec<&PromptTake>>,
) -> Markup {
    let is_approved = takes
        .get(id)
        .is_some_and(|takes| takes.iter().any(|take| take.state == TakeState::Approved));
    let (class, ja, en) = match (is_approved, library.source(&Utterance::fixed(id))) {
        (true, _) | (_, Source::Take) => ("badge good", "録音(承認済み)", "recording, approved"),
        (_, Source::File) => ("badge", "録音ファイル", "recording in the folder"),
        (_, Source::Voice) => ("badge muted", "合成音声", "synthetic voice"),
    };
    ui::badge(class, Icon::Voice, viewer.say(ja, en))
}

/// Where a prompt is said, by whichever questionnaire has it.
fn place(questionnaires: &Questionnaires, id: &str) -> Bilingual {
    let mut questions = questionnaires.all().flat_map(|one| &one.questions);
    let question = questions.find(|question| {
        let mut prompts = question.ask.iter().chain(&question.again).chain(&question.short);
        let is_implausible =
            matches!(&question.kind, Kind::Number(format) if format.implausible == id);
        is_implausible || prompts.any(|prompt| prompt == id)
    });
    match question {
        Some(question) => Bilingual::composed(
            format!("質問 {}", question.code),
            format!("question {}", question.code),
        ),
        None => Bilingual::fixed("呼びかけ・確認・案内", "greeting, confirmation, guidance"),
    }
}

/// An utterance with invented values.
fn example(prompt: &Prompt, id: &str, today: Date) -> Utterance {
    let value = |kind: BlankKind| match kind {
        BlankKind::Temperature => Blank::Temperature(368),
        BlankKind::Spo2 => Blank::Spo2(97),
        BlankKind::PhoneNumber => Blank::PhoneNumber("03-0000-0000".to_owned()),
        BlankKind::HealthCenter => Blank::HealthCenter("ミナトホケ'ンジョ".to_owned()),
        BlankKind::FamilyName => Blank::FamilyName("ヤマダ".to_owned().into()),
        BlankKind::Moment => {
            Blank::Moment { at: today.tomorrow().unwrap_or(today).at(9, 30, 0, 0), today }
        }
    };
    let mut utterance = Utterance::fixed(id);
    utterance.blanks = prompt.text.blanks().map(value).collect();
    utterance
}

async fn one(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Markup, Fault> {
    must(&viewer)?;
    let prompt = desk.library.catalog().prompt(&id).ok_or(Fault::NotFound)?;
    let is_fixed = prompt.text.blanks().next().is_none();
    let takes: Vec<PromptTake> = desk
        .store
        .takes(Language::Ja)
        .await?
        .into_iter()
        .filter(|take| take.prompt == id)
        .collect();
    let today = civil(viewer.now).date();
    let (length, level) = measure(&desk, example(prompt, &id, today)).await?;
    let say = |ja, en| viewer.say(ja, en);
    Ok(ui::page_with(
        &viewer,
        Section::Prompts,
        &TITLE,
        &["record.js"],
        &html! {
            section.card {
                h2 { code { (id) } }
                p.large lang="ja" { (prompt.text.to_string()) }
                @if let Some(kana) = &prompt.kana {
                    p { (accent::draw(&kana.to_string())) }
                } @else {
                    p.hint { (say("読みは辞書から決まります。", "Read through the dictionary.")) }
                }
                dl.pairs {
                    dt { (say("使う場所", "Where")) } dd { (viewer.tell(&place(&desk.questionnaires, &id))) }
                    dt { (say("長さ", "Length")) } dd { (format!("{length:.1}")) (say(" 秒", " s")) }
                    dt { (say("音量", "Level")) } dd { (format!("{level:.1}")) " dBov" }
                }
                h3 { (say("電話の音で聞く", "As on a telephone")) }
                audio controls preload="none" src={ "/prompts/" (id) "/sound.wav" } {}
                @if !is_fixed { p.hint { (value_hint(&viewer, prompt)) } }
            }
            @if is_fixed && viewer.may(Right::EditPrompts) { (takes::form(&viewer, &id)) }
            @if is_fixed { (takes::table(&viewer, &takes)) }
            p { a href="/prompts" { (say("音声の一覧へ", "All prompts")) } }
        },
    ))
}

/// How a prompt with values is said. What names a person or a moment is never recorded.
fn value_hint(viewer: &Viewer, prompt: &Prompt) -> &'static str {
    let is_personal = |kind| matches!(kind, BlankKind::FamilyName | BlankKind::Moment);
    let (ja, en) = if prompt.text.blanks().any(is_personal) {
        (
            "値は例です。お名前や日時の入る文は、いつも合成音声で話します。",
            "With invented values. What names a person or a moment is always spoken by the voice.",
        )
    } else {
        (
            "値は例です。合成音声で話します。値ごとに文全体を録音したファイル(例 readback_temperature.368.wav)を\
             音声のフォルダに置くと、その値だけ録音になります。この画面では録音できません。",
            "With invented values, spoken by the voice. A recording of the whole sentence with one value \
             (such as readback_temperature.368.wav) in the folder of prompts is used for that value; it \
             cannot be made on this page.",
        )
    };
    viewer.say(ja, en)
}

/// How long the prompts without values are, in seconds, and how loud, in dBov: those that are ready.
async fn measure_ready(desk: &Desk) -> Result<HashMap<String, (f64, f64)>, Fault> {
    let library = Arc::clone(&desk.library);
    let measuring = tokio::task::spawn_blocking(move || {
        let mut measured = HashMap::new();
        for id in library.catalog().ids() {
            let prompt = library.catalog().prompt(id);
            if prompt.is_none_or(|prompt| prompt.text.blanks().next().is_some()) {
                continue;
            }
            if let Some(clip) = library.clip(&Utterance::fixed(id), Pace::Normal) {
                measured.insert(id.to_owned(), length_and_level(&clip.pcmu));
            }
        }
        measured
    });
    Ok(measuring.await.map_err(anyhow::Error::from)?)
}

fn length_and_level(sound: &[u8]) -> (f64, f64) {
    (take::length_of(sound.len()).as_secs_f64(), take::level_of(sound))
}

/// How long an utterance is, in seconds, and how loud, in dBov.
async fn measure(desk: &Desk, utterance: Utterance) -> Result<(f64, f64), Fault> {
    Ok(length_and_level(&heard(desk, utterance).await?))
}

/// An utterance as µ-law, made where it holds nobody up.
async fn heard(desk: &Desk, utterance: Utterance) -> Result<Vec<u8>, Fault> {
    let library = Arc::clone(&desk.library);
    let making = tokio::task::spawn_blocking(move || library.hear(&utterance, Pace::Normal));
    let clip = making.await.map_err(anyhow::Error::from)?.map_err(anyhow::Error::from)?;
    Ok(clip.pcmu.to_vec())
}

async fn sound(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    must(&viewer)?;
    let prompt = desk.library.catalog().prompt(&id).ok_or(Fault::NotFound)?;
    let utterance = example(prompt, &id, civil(viewer.now).date());
    Ok(wav(&heard(&desk, utterance).await?))
}

/// µ-law at 8 kHz as a file that browsers play.
fn wav(sound: &[u8]) -> Response {
    let size = u32::try_from(sound.len()).unwrap_or(u32::MAX);
    let mut bytes = header(Encoding::Mulaw, 1, RATE, size);
    bytes.extend_from_slice(sound);
    ([(CONTENT_TYPE, "audio/wav")], bytes).into_response()
}
