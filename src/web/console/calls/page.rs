//! The page of a call: who, which telephone, what came of it; the sound with its picture, and the
//! table that says the same in words.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::clock::civil;
use crate::base::{Bilingual, PhoneNumber};
use crate::call::Respondent;
use crate::escalation::FactSource;
use crate::ivr::Entry;
use crate::ivr::catalog::Part;
use crate::recording::{ArchiveError, Waveform};
use crate::registry::Right;
use crate::store::CallFile;
use crate::tape::{Mark, MarkKind, Recording, State as Kept};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::calls::{clock, id, is_work_of, moment, waveform};
use crate::web::console::value;
use crate::web::console::words;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

/// Where the player begins.
#[derive(Deserialize)]
pub(super) struct From {
    /// Milliseconds from the beginning.
    #[serde(default)]
    from: u64,
}

pub(super) async fn page(
    viewer: Viewer,
    State(desk): State<Desk>,
    Path(call): Path<String>,
    Query(From { from }): Query<From>,
) -> Result<Markup, Fault> {
    viewer.must(Right::SeeHealth)?;
    let call = id(&call)?;
    let within = desk.store.within(viewer.scope()?);
    let file = within.call_file(call).await?;
    let may_hear = is_work_of(&viewer, file.open_case)
        || within.has_reason(viewer.now, viewer.staff.id, call).await?;
    let mut entry = viewer.audit("call.viewed");
    entry.patient = Some(file.patient.id);
    entry.object = call.to_string();
    desk.store.audit(viewer.now, &entry).await?;
    let picture = picture(&desk, file.recording.as_ref()).await;
    let title = Bilingual::composed(
        format!("通話: {}", file.patient.name.expose()),
        format!("Call: {}", file.patient.name.expose()),
    );
    let body = html! {
        (head(&viewer, &file))
        @if let Some(recording) = &file.recording {
            (fate(&viewer, recording))
            @if recording.state != Kept::Deleted && viewer.may(Right::Listen) {
                (sound(&viewer, &file, recording, &picture, may_hear, from))
            }
        } @else {
            p.notice { (viewer.say("この通話の録音はありません。", "This call was not recorded.")) }
        }
        (answers(&viewer, &file))
        @if let Some(recording) = &file.recording { (notes(&viewer, &file, recording, may_hear)) }
        (outcome(&viewer, &file))
    };
    Ok(ui::page_with(&viewer, Section::Cases, &title, &["player.js"], &body))
}

/// The picture of the sound, or why there is none.
async fn picture(
    desk: &Desk,
    recording: Option<&Recording>,
) -> Result<Option<Waveform>, ArchiveError> {
    match (recording, &desk.archive) {
        (Some(recording), Some(archive)) if recording.state != Kept::Deleted => {
            archive.waveform(recording).await.map(Some)
        }
        _ => Ok(None),
    }
}

/// The number, with all but its last four digits hidden from those who do not plan calls.
fn number(viewer: &Viewer, phone: &PhoneNumber) -> String {
    let national = phone.national();
    if viewer.may(Right::SeePlan) {
        return national;
    }
    let hidden = national.chars().count().saturating_sub(4);
    national.chars().enumerate().map(|(n, digit)| if n < hidden { '●' } else { digit }).collect()
}

pub(super) fn respondent(who: Option<Respondent>) -> Bilingual {
    match who {
        Some(Respondent::Patient) => Bilingual::fixed("本人(キーで確認)", "the patient (by keys)"),
        Some(Respondent::Family) => Bilingual::fixed("家族", "family"),
        Some(Respondent::Unidentified) => Bilingual::fixed("不明(確認できず)", "unknown"),
        Some(Respondent::NotHere) => Bilingual::fixed("本人は不在", "the patient was not there"),
        Some(Respondent::Nobody) => Bilingual::fixed("応答なし", "nobody"),
        Some(Respondent::Machine) => Bilingual::fixed("留守電の可能性", "perhaps a machine"),
        None => Bilingual::fixed("—", "—"),
    }
}

/// Two identifiers, always; then the facts of the call.
pub(super) fn head(viewer: &Viewer, file: &CallFile) -> Markup {
    let (patient, attempt) = (&file.patient, &file.attempt);
    let result = match attempt.disposition {
        Some(disposition) => words::outcome(disposition, attempt.respondent, attempt.completion),
        None => Bilingual::fixed("通話中または未発信", "under way, or not placed yet"),
    };
    html! {
        div.card {
            p {
                strong { a href={ "/patients/" (patient.id) } { (patient.name.expose()) } }
                " " (patient.kana.expose())
                " · " (viewer.say("生年月日", "born")) " " (patient.birth_date.expose())
                " · " (viewer.say("管理番号", "No.")) " " (patient.registration_number)
            }
            dl.pairs.twice {
                dt { (viewer.say("結果", "Outcome")) } dd { (viewer.tell(&result)) }
                dt { (viewer.say("応答した人", "Who answered")) }
                dd { (viewer.tell(&respondent(attempt.respondent))) }
                dt { (viewer.say("電話番号", "Number")) } dd { (number(viewer, &attempt.phone)) }
                dt { (viewer.say("質問票", "Questionnaire")) }
                dd { (file.questionnaire.as_deref().unwrap_or("—")) }
                dt { (viewer.say("予定", "Slot")) }
                dd {
                    (file.slot.date) " " (viewer.say("第", "no. ")) (file.slot.number)
                    (viewer.say("枠・", ", try ")) (attempt.number) (viewer.say("回目", ""))
                }
                @for (name, at) in [
                    (viewer.say("発信", "Dialled"), attempt.dialed_at),
                    (viewer.say("呼出", "Ringing"), file.ringing_at),
                    (viewer.say("応答", "Answered"), attempt.answered_at),
                    (viewer.say("終了", "Ended"), attempt.ended_at),
                ] {
                    dt { (name) }
                    dd { @match at { Some(at) => (clock(at)), None => "—" } }
                }
            }
            p.row.no-print {
                @if let Some(case) = file.open_case {
                    a.button href={ "/cases/" (case.case) } { (viewer.say("対応中のケース", "The open case")) }
                }
                @if viewer.may(Right::SeeTrunks) {
                    a.button href={ "/calls/" (attempt.id) "/technical" } { (viewer.say("技術", "Technical")) }
                }
                @if viewer.may(Right::Export) {
                    a.button href={ "/calls/" (attempt.id) "/evidence" } { (viewer.say("記録票を印刷", "Evidence sheet")) }
                }
            }
        }
    }
}

/// Until when the recording stays, or why it went.
fn fate(viewer: &Viewer, recording: &Recording) -> Markup {
    let action = |deed: &str| format!("/calls/{}/{deed}", recording.attempt);
    if let Some((at, why)) = &recording.deleted {
        let why = words::deleted(*why);
        return html! {
            p.notice { (ui::icon(Icon::Voice)) (viewer.say("録音は削除されました: ", "The recording was deleted: ")) (clock(*at)) " (" (viewer.tell(&why)) ")" }
        };
    }
    html! {
        div.notice {
            (ui::icon(Icon::Clock))
            @match (&recording.hold, recording.kept) {
                (Some(hold), _) => {
                    span {
                        (viewer.say("保全中: ", "Held: ")) (hold.by) " " (clock(hold.at)) " — " (hold.reason)
                    }
                    @if viewer.may(Right::Listen) {
                        form.no-print method="post" action=(action("release")) {
                            (ui::csrf(viewer))
                            button type="submit" { (viewer.say("保全を解除", "Release")) }
                        }
                    }
                }
                (None, kept) => {
                    span {
                        @match kept {
                            Some((_, until)) => {
                                (viewer.say("録音は ", "The recording is deleted on "))
                                (civil(until).date()) (viewer.say(" に自動削除", ""))
                            }
                            None => (viewer.say(
                                "保存するかどうかは、判定のあとに決まります。",
                                "Whether it is kept is decided once the call was judged.",
                            )),
                        }
                    }
                    @if viewer.may(Right::Listen) {
                        form.row.no-print method="post" action=(action("hold")) {
                            (ui::csrf(viewer))
                            label.inline {
                                (viewer.say("保全の理由", "Why to hold it"))
                                input name="text" required;
                            }
                            button type="submit" { (viewer.say("保全する", "Hold")) }
                        }
                    }
                }
            }
        }
    }
}

/// When an entry of the transcript was settled, on the clock of the recording.
pub(super) fn at_of(file: &CallFile, entry: &Entry) -> Option<Duration> {
    let wanted = format!("{} ", entry.seq);
    let mark = |mark: &&Mark| mark.kind == MarkKind::Answer && mark.detail.starts_with(&wanted);
    if let Some(mark) = file.marks.iter().find(mark) {
        return Some(mark.at);
    }
    let begun = file.attempt.answered_at?;
    Duration::try_from(begun.duration_until(entry.at)).ok()
}

/// Where one has to begin to hear the question of an entry.
fn begins_at(file: &CallFile, entry: &Entry) -> Option<Duration> {
    let at = at_of(file, entry)?;
    let before = file.entries.iter().take_while(|one| one.seq < entry.seq).last();
    let after = before.and_then(|one| at_of(file, one)).unwrap_or_default();
    let said = file.marks.iter().filter(|mark| mark.kind == MarkKind::Say);
    let first = said.map(|mark| mark.at).find(|said| *said >= after && *said < at);
    Some(first.unwrap_or_else(|| at.saturating_sub(Duration::from_secs(8))))
}

fn sound(
    viewer: &Viewer,
    file: &CallFile,
    recording: &Recording,
    picture: &Result<Option<Waveform>, ArchiveError>,
    may_hear: bool,
    from: u64,
) -> Markup {
    let call = recording.attempt;
    let drawn = waveform::draw(
        viewer.staff.language,
        picture.as_ref().ok().and_then(Option::as_ref),
        recording.duration(),
        &file.marks,
    );
    if recording.state == Kept::Running {
        return html! {
            p.notice { (viewer.say("通話中です。終わってから聞くことができます。", "The call goes on. It can be heard when it is over.")) }
        };
    }
    html! {
        section.card aria-labelledby="sound" {
            h2 #sound { (viewer.say("録音", "Recording")) }
            @if picture.is_err() {
                p.notice.caution { (ui::icon(Icon::Caution)) (viewer.say("録音の保管庫に届きません。", "The archive of recordings does not answer.")) }
            }
            p.small.muted aria-hidden="true" {
                (viewer.say("上: 患者 下: システム 赤線: 判定 丸: 本人確認のキー", "above: patient, below: system; red: a rule fired; dot: a key that proves identity"))
            }
            (drawn)
            @if may_hear {
                div #player data-heard={ "/calls/" (call) "/heard" } data-csrf=(viewer.csrf.expose())
                    data-length=(recording.duration().as_millis()) data-from=(from) {
                    audio #audio controls preload="none" src={ "/calls/" (call) "/audio?fmt=pcm16" }
                        aria-label=(viewer.say("通話の録音", "Recording of the call")) {}
                    div.row hidden #player-buttons {
                        button.primary type="button" data-do="mark" {
                            (ui::icon(Icon::Play)) (viewer.say("該当箇所から再生", "Play from the mark"))
                        }
                        button type="button" data-do="back" { (viewer.say("−5秒", "−5 s")) }
                        button type="button" data-do="forward" { (viewer.say("+5秒", "+5 s")) }
                        label.inline {
                            (viewer.say("速さ", "Speed"))
                            select #player-speed {
                                @for (speed, is_normal) in [("0.75", false), ("1", true), ("1.25", false), ("1.5", false)] {
                                    option value=(speed) selected[is_normal] { "×" (speed) }
                                }
                            }
                        }
                        label.inline {
                            (viewer.say("音量の増幅", "Boost"))
                            select #player-boost {
                                @for (gain, word) in [("1", "×1"), ("2", "×2 (+6 dB)"), ("4", "×4 (+12 dB)")] {
                                    option value=(gain) { (word) }
                                }
                            }
                        }
                        span.muted.small { (viewer.say("キー: J −5秒 / K 再生・停止 / L +5秒", "Keys: J −5 s, K play or pause, L +5 s")) }
                    }
                }
            } @else {
                form.stack method="post" action={ "/calls/" (call) "/reason" } {
                    (ui::csrf(viewer))
                    p { (viewer.say(
                        "この患者の担当ではありません。聞く理由を入力してください(記録に残ります)。",
                        "You do not work on this patient's case. Please say why you listen; it stays on record.",
                    )) }
                    label {
                        (viewer.say("聞く理由", "Why"))
                        input name="text" required maxlength="200";
                    }
                    button.primary type="submit" { (viewer.say("理由を記録して聞く", "Write down and listen")) }
                }
            }
        }
    }
}

fn answers(viewer: &Viewer, file: &CallFile) -> Markup {
    let language = viewer.staff.language;
    let fired = |seq| {
        file.facts
            .iter()
            .filter(move |(_, fact)| matches!(fact.source, FactSource::Answer(_, at) if at == seq))
    };
    let rule_at = file.facts.iter().max_by_key(|(_, fact)| fact.priority);
    html! {
        h2 { (viewer.say("質問と回答", "Questions and answers")) }
        @if file.entries.is_empty() {
            (ui::empty(viewer.say("回答はありません", "No answers")))
        } @else {
            div.scroll { table #answers {
                thead { tr {
                    th scope="col" { (viewer.say("時刻", "Time")) }
                    th scope="col" { (viewer.say("質問", "Question")) }
                    th scope="col" { (viewer.say("入力キー", "Keys")) }
                    th scope="col" { (viewer.say("解釈", "Meaning")) }
                    th scope="col" { (viewer.say("再質問", "Asked again")) }
                    th scope="col" { (viewer.say("判定", "Rule")) }
                    th scope="col" { (viewer.say("操作", "Actions")) }
                } }
                tbody {
                    @for entry in &file.entries {
                        @let begin = begins_at(file, entry).map(|at| at.as_millis());
                        @let is_mark = rule_at.is_some_and(|(_, fact)| matches!(fact.source, FactSource::Answer(_, at) if at == entry.seq));
                        tr id={ "answer-" (entry.seq) } data-from=[begin]
                            data-to=[at_of(file, entry).map(|at| at.as_millis())] data-mark[is_mark] {
                            td.nowrap { @if let Some(at) = at_of(file, entry) { (moment(at)) } }
                            th scope="row" { (words::question(&entry.question, language)) }
                            td { @if entry.keys.is_empty() { span.muted { (viewer.say("なし", "none")) } } @else { kbd { (entry.keys) } } }
                            td { (value::words(language, &entry.question, entry.answer)) }
                            td.number { (entry.asked.saturating_sub(1)) }
                            td {
                                @for (_, fact) in fired(entry.seq) {
                                    (ui::priority(viewer, fact.priority)) " " (fact.text) " "
                                }
                            }
                            td.no-print { div.row {
                                @if file.recording.as_ref().is_some_and(|one| one.state != Kept::Deleted) {
                                    button type="button" data-seek=[begin] hidden {
                                        (ui::icon(Icon::Play))
                                        (viewer.say("ここから", "From here"))
                                    }
                                }
                                (correction(viewer, file, entry.seq))
                            } }
                        }
                    }
                }
            } }
        }
    }
}

fn correction(viewer: &Viewer, file: &CallFile, seq: u32) -> Markup {
    let observation =
        file.observations.iter().find(|one| one.source.is_some_and(|(_, at)| at == seq));
    html! {
        @if let Some(observation) = observation {
            @if file.corrected.contains(&observation.id) {
                (ui::badge("badge muted", Icon::Check, viewer.say("訂正済", "corrected")))
            } @else if viewer.may(Right::Observe) {
                a href={ "/patients/" (file.patient.id) "?correct=" (observation.id) "#correct" } {
                    (viewer.say("この値を訂正", "Correct this value"))
                }
            }
        }
    }
}

fn notes(viewer: &Viewer, file: &CallFile, recording: &Recording, may_hear: bool) -> Markup {
    html! {
        section #notes {
            h2 { (viewer.say("聞き取った内容", "What was heard")) }
            @if file.notes.is_empty() {
                (ui::empty(viewer.say("メモはありません", "No notes")))
            } @else {
                ol.lines {
                    @for note in &file.notes {
                        li {
                            strong { (moment(note.at)) }
                            " " button.no-print type="button" data-seek=(note.at.as_millis()) hidden {
                                (ui::icon(Icon::Play)) (viewer.say("ここから", "From here"))
                            }
                            " " (note.text) " "
                            span.muted.small { (note.by) " " (clock(note.written_at)) }
                        }
                    }
                }
            }
            @if may_hear && viewer.may(Right::Listen) && recording.state != Kept::Deleted {
                form.stack.no-print method="post" action={ "/calls/" (file.attempt.id) "/note" } {
                    (ui::csrf(viewer))
                    label {
                        (viewer.say("時刻(秒)", "At (seconds)"))
                        input #note-at name="at" type="number" min="0" step="0.1" value="0" required;
                    }
                    label {
                        (viewer.say("聞き取った内容", "What was heard"))
                        textarea name="text" rows="2" required {}
                    }
                    button type="submit" { (viewer.say("メモを記録", "Write down")) }
                }
            }
        }
    }
}

fn outcome(viewer: &Viewer, file: &CallFile) -> Markup {
    html! {
        @if !file.facts.is_empty() {
            h2 { (viewer.say("この通話からの所見", "Findings from this call")) }
            ul {
                @for (case, fact) in &file.facts {
                    li {
                        (ui::priority(viewer, fact.priority)) " "
                        a href={ "/cases/" (case) } { (fact.text) } " "
                        span.muted.small { (fact.rule) " " (fact.rule_set) }
                    }
                }
            }
        }
    }
}

/// Texts of prompts by their labels, for those who read what was said.
pub(super) fn said(desk: &Desk, labels: &str) -> String {
    let text = |label: &str| {
        let prompt = desk.library.catalog().prompt(label)?;
        let parts = prompt.text.parts.iter().map(|part| match part {
            Part::Literal(text) => text.as_str(),
            // What was put in is in the answers; a name is nowhere.
            Part::Blank(_) => "◯◯",
        });
        Some(parts.collect::<String>())
    };
    let texts = labels.split(' ').map(|label| text(label).unwrap_or_else(|| label.to_owned()));
    texts.collect::<Vec<_>>().join(" ")
}
