//! Takes of a prompt: brought or recorded by one, approved by another, said from then on.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use maud::{Markup, html};
use sha2::{Digest, Sha256};

use crate::base::clock::civil;
use crate::base::id::PromptTakeId;
use crate::base::{Bilingual, Language};
use crate::prompt::Take;
use crate::prompt::recording::{EXTENSIONS, RecordingError};
use crate::registry::audit::hex;
use crate::registry::{AuditEntry, Right};
use crate::store::{NewTake, PromptTake, TakeSource, TakeState};
use crate::web::Desk;
use crate::web::auth::{Nothing, Posted, Viewer, done};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon};
use crate::web::upload::Upload;

/// A prompt of two minutes in good quality fits.
const LARGEST_TAKE: usize = 20 << 20;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route(
            "/prompts/{id}/takes",
            post(bring).layer(DefaultBodyLimit::max(LARGEST_TAKE + 64 * 1024)),
        )
        .route("/prompts/takes/{take}/sound.wav", get(sound))
        .route("/prompts/takes/{take}/approve", post(approve))
        .route("/prompts/takes/{take}/retire", post(retire))
}

/// The form by which a take is brought: a file, or the microphone where script may use it.
pub(super) fn form(viewer: &Viewer, id: &str) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        section.card {
            h2 { (say("録音に差し替える", "Replace it by a recording")) }
            form.stack method="post" action={ "/prompts/" (id) "/takes" } enctype="multipart/form-data" #take {
                (ui::csrf(viewer))
                label {
                    (say("音声ファイル", "File"))
                    input type="file" name="file" required accept="audio/*,.wav,.flac,.mp3,.ogg,.m4a" aria-describedby="take-hint";
                }
                p.hint #take-hint { (say(
                    "WAV・FLAC・MP3・Ogg Vorbis・M4A、20 MB・2分まで。音量と前後の無音は自動で整えます。",
                    "WAV, FLAC, MP3, Ogg Vorbis or M4A; up to 20 MB and two minutes. Level and silence are set by themselves.",
                )) }
                input type="hidden" name="source" value="upload";
                div.row hidden data-recorder
                    data-start=(say("録音する", "Record")) data-stop=(say("止める", "Stop"))
                    data-denied=(say("マイクを使えません。ブラウザの許可を確認してください。", "The microphone may not be used: please look at the settings of the browser.")) {
                    button type="button" { (ui::icon(Icon::Play)) span { (say("録音する", "Record")) } }
                    span role="status" aria-live="polite" {}
                    audio controls hidden {}
                }
                button.primary type="submit" { (say("下書きとして保存", "Save as a draft")) }
            }
        }
    }
}

/// All takes of a prompt, and what may be done with each.
pub(super) fn table(viewer: &Viewer, takes: &[PromptTake]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        section {
            h2 { (say("録音の履歴", "Takes")) }
            @if takes.is_empty() { (ui::empty(say("まだありません。", "None yet."))) }
            @else { div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { (say("保存", "Brought")) }
                    th scope="col" { (say("状態", "State")) }
                    th scope="col" { (say("聞く", "Hear")) }
                    th.number scope="col" { (say("長さ", "Length")) }
                    th.number scope="col" { (say("元の音量", "Level as brought")) }
                    th scope="col" { (say("操作", "Actions")) }
                } }
                tbody { @for take in takes { (row(viewer, take)) } }
            } } }
        }
    }
}

fn row(viewer: &Viewer, take: &PromptTake) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let (class, icon, ja, en) = match take.state {
        TakeState::Draft => ("badge check", Icon::Look, "承認待ち", "To be approved"),
        TakeState::Approved => ("badge good", Icon::Check, "使用中", "In use"),
        TakeState::Retired => ("badge muted", Icon::Pause, "使用終了", "Retired"),
    };
    let signed = |signed: &Option<(String, Timestamp)>, ja: &'static str, en: &'static str| {
        html! {
            @if let Some((name, at)) = signed {
                div.small { (viewer.say(ja, en)) " " (civil(*at).strftime("%m/%d %H:%M")) " " (name) }
            }
        }
    };
    let is_own = take.created_by == viewer.staff.id;
    html! {
        tr {
            th scope="row" {
                (civil(take.created_at).strftime("%Y-%m-%d %H:%M")) " " (take.created_name)
                div.small.muted { (match take.source {
                    TakeSource::Upload => say("ファイル", "file"),
                    TakeSource::Microphone => say("マイク", "microphone"),
                }) }
            }
            td {
                (ui::badge(class, icon, say(ja, en)))
                (signed(&take.approved, "承認", "approved"))
                (signed(&take.retired, "終了", "retired"))
            }
            td { audio controls preload="none" src={ "/prompts/takes/" (take.id) "/sound.wav" } {} }
            td.number { (format!("{:.1}", take.duration.as_secs_f64())) (say(" 秒", " s")) }
            td.number { (format!("{:.1}", take.level_dbov)) " dBov" }
            td {
                @if take.state == TakeState::Draft && viewer.may(Right::ApprovePrompts) {
                    @if is_own {
                        p.hint { (say("承認は、保存した人とは別の人が行います。", "Somebody else has to approve it.")) }
                    } @else {
                        form method="post" action={ "/prompts/takes/" (take.id) "/approve" } {
                            (ui::csrf(viewer))
                            button.primary type="submit" { (say("承認して使う", "Approve and use")) }
                        }
                    }
                }
                @if take.state != TakeState::Retired && (viewer.may(Right::ApprovePrompts) || is_own) {
                    form method="post" action={ "/prompts/takes/" (take.id) "/retire" } {
                        (ui::csrf(viewer))
                        button.quiet type="submit" { (match take.state {
                            TakeState::Approved => say("使用を終える(合成音声に戻す)", "Retire it (back to the voice)"),
                            _ => say("取り下げる", "Withdraw"),
                        }) }
                    }
                }
            }
        }
    }
}

async fn bring(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    upload: Upload,
) -> Result<Response, Fault> {
    let viewer = &upload.viewer;
    viewer.must(Right::EditPrompts)?;
    let prompt = desk.library.catalog().prompt(&id).ok_or(Fault::NotFound)?;
    if prompt.text.blanks().next().is_some() {
        return Err(Fault::Invalid(Bilingual::fixed(
            "値の入る文は録音に差し替えられません。",
            "A prompt with values cannot be recorded.",
        )));
    }
    let Some(file) = &upload.file else {
        return Err(Fault::Invalid(Bilingual::fixed(
            "音声ファイルを選んでください。",
            "Please choose a file.",
        )));
    };
    let extension = file.extension();
    if !EXTENSIONS.contains(&extension.as_str()) {
        return Err(Fault::Invalid(Bilingual::fixed(
            "この種類のファイルは使えません。WAV・FLAC・MP3・Ogg Vorbis・M4Aで保存してください。",
            "This kind of file cannot be used: save it as WAV, FLAC, MP3, Ogg Vorbis or M4A.",
        )));
    }
    let original = file.content.to_vec();
    let bytes = original.clone();
    let reading = tokio::task::spawn_blocking(move || Take::read(bytes, &extension));
    let take = reading.await.map_err(anyhow::Error::from)?.map_err(|fault| unusable(&fault))?;
    let source = match upload.text("source") {
        "microphone" => TakeSource::Microphone,
        _ => TakeSource::Upload,
    };
    let new = NewTake {
        language: Language::Ja,
        prompt: id.clone(),
        source,
        sha256: hex(&Sha256::digest(&original)),
        original,
        sound: take.sound,
        duration: take.duration,
        level_dbov: take.level_dbov,
    };
    let entry = AuditEntry { detail: id.clone(), ..viewer.audit("prompt.take_brought") };
    desk.store.add_take(viewer.now, viewer.staff.id, &new, &entry).await?;
    Ok(done(
        &format!("/prompts/{id}"),
        viewer.say(
            "保存しました。別の人が聞いて承認すると、次の電話から使われます。",
            "Saved. It is used in new calls as soon as somebody else has approved it.",
        ),
    ))
}

fn unusable(fault: &RecordingError) -> Fault {
    let ja = match fault {
        RecordingError::TooLarge => "ファイルが大きすぎます。",
        RecordingError::TooLong => "録音が長すぎます(2分まで)。",
        RecordingError::Unsupported(_) => {
            "音声として読めません。WAV・FLAC・MP3・Ogg Vorbis・M4Aで保存してください。"
        }
        RecordingError::NoSound => "ファイルに音声が入っていません。",
        RecordingError::Damaged(_) | RecordingError::CutOff { .. } => {
            "ファイルが壊れているか、途中で切れています。"
        }
        RecordingError::Master(_) => "音が聞こえません。マイクの音量を確認してください。",
        _ => "ファイルを読めません。",
    };
    Fault::Invalid(Bilingual::composed(ja.to_owned(), format!("It cannot be used: {fault}.")))
}

async fn sound(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(take): Path<PromptTakeId>,
) -> Result<Response, Fault> {
    super::must(&viewer)?;
    Ok(super::wav(&desk.store.take_sound(take).await?))
}

async fn approve(
    State(desk): State<Desk>,
    Path(id): Path<PromptTakeId>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    viewer.must(Right::ApprovePrompts)?;
    let take = desk.store.take(id).await?;
    if take.created_by == viewer.staff.id {
        return Err(Fault::Conflict(Bilingual::fixed(
            "自分が保存した録音は承認できません。別の人に聞いてもらってください。",
            "You cannot approve a take of your own: let somebody else hear it.",
        )));
    }
    let entry = AuditEntry { detail: take.prompt.clone(), ..viewer.audit("prompt.take_approved") };
    desk.store.approve_take(viewer.now, id, viewer.staff.id, &entry).await?;
    let text = viewer.say("承認しました。次の電話から使われます。", "Approved: new calls say it.");
    Ok(done(&format!("/prompts/{}", take.prompt), text))
}

async fn retire(
    State(desk): State<Desk>,
    Path(id): Path<PromptTakeId>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    super::must(&viewer)?;
    let take = desk.store.take(id).await?;
    if !viewer.may(Right::ApprovePrompts) && take.created_by != viewer.staff.id {
        return Err(Fault::Forbidden);
    }
    let entry = AuditEntry { detail: take.prompt.clone(), ..viewer.audit("prompt.take_retired") };
    desk.store.retire_take(viewer.now, id, viewer.staff.id, &entry).await?;
    let text = viewer.say("使用を終えました。", "It is retired.");
    Ok(done(&format!("/prompts/{}", take.prompt), text))
}
