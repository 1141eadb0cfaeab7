//! The evidence of one call on a sheet: what was said and pressed, which rule fired, what was done,
//! who listened, and the hashes by which it can be checked.

use axum::extract::{Path, State};
use maud::{Markup, html};
use sha2::{Digest, Sha256};

use crate::base::Bilingual;
use crate::registry::Right;
use crate::registry::audit::hex;
use crate::store::{CallFile, CaseFile, Heard};
use crate::tape::MarkKind;
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::calls::{clock, id, moment, page};
use crate::web::console::cases::text_of;
use crate::web::console::{value, words};
use crate::web::fault::Fault;
use crate::web::ui::{self, Section};

pub(super) async fn page(
    viewer: Viewer,
    State(desk): State<Desk>,
    Path(call): Path<String>,
) -> Result<Markup, Fault> {
    viewer.must(Right::SeeHealth)?;
    viewer.must(Right::Export)?;
    let call = id(&call)?;
    let within = desk.store.within(viewer.scope()?);
    let file = within.call_file(call).await?;
    let mut entry = viewer.audit("call.evidence-exported");
    entry.patient = Some(file.patient.id);
    entry.object = call.to_string();
    desk.store.audit(viewer.now, &entry).await?;
    let heard = within.heard(call).await?;
    let mut cases: Vec<CaseFile> = Vec::new();
    for (case, _) in &file.facts {
        if !cases.iter().any(|known| known.card.view.case.id == *case) {
            cases.push(within.case_file(viewer.now, *case).await?);
        }
    }
    let title = Bilingual::fixed("通話記録票", "Evidence of a call");
    let body = html! {
        p.muted {
            (viewer.say("作成", "Made")) " " (clock(viewer.now)) " " (viewer.staff.name.expose())
        }
        (page::head(&viewer, &file))
        (said(&viewer, &desk, &file))
        (pressed(&viewer, &file))
        (fired(&viewer, &file))
        (done(&viewer, &cases))
        (listened(&viewer, &heard))
        (hashes(&viewer, &file))
    };
    Ok(ui::page(&viewer, Section::Cases, &title, &body))
}

fn said(viewer: &Viewer, desk: &Desk, file: &CallFile) -> Markup {
    let said = || file.marks.iter().filter(|mark| mark.kind == MarkKind::Say);
    html! {
        h2 { (viewer.say("流れた音声", "Prompts heard")) }
        @if said().next().is_none() {
            (ui::empty(viewer.say("録音がないため、時刻の記録はありません", "Not recorded, so there are no times")))
        } @else {
            ol.lines {
                @for mark in said() { li { (moment(mark.at)) " " (page::said(desk, &mark.detail)) } }
            }
        }
    }
}

fn pressed(viewer: &Viewer, file: &CallFile) -> Markup {
    let language = viewer.staff.language;
    html! {
        h2 { (viewer.say("質問・入力キー・解釈", "Questions, keys, meaning")) }
        div.scroll { table {
            thead { tr {
                th scope="col" { (viewer.say("時刻", "Time")) }
                th scope="col" { (viewer.say("質問", "Question")) }
                th scope="col" { (viewer.say("入力キー", "Keys")) }
                th scope="col" { (viewer.say("解釈", "Meaning")) }
                th scope="col" { (viewer.say("質問回数", "Times asked")) }
            } }
            tbody {
                @for entry in &file.entries {
                    tr {
                        td.nowrap { (clock(entry.at)) }
                        th scope="row" {
                            (words::question(&entry.question, language))
                            " " span.muted.small { (entry.question) }
                        }
                        td { (entry.keys) }
                        td { (value::words(language, &entry.question, entry.answer)) }
                        td.number { (entry.asked) }
                    }
                }
            }
        } }
    }
}

fn fired(viewer: &Viewer, file: &CallFile) -> Markup {
    html! {
        h2 { (viewer.say("当てはまったルール", "Rules that fired")) }
        @if file.facts.is_empty() {
            (ui::empty(viewer.say("ありません", "None")))
        } @else {
            ul {
                @for (_, fact) in &file.facts {
                    li {
                        (clock(fact.at)) " " (ui::priority(viewer, fact.priority)) " " (fact.text)
                        " — " (fact.rule) " (" (fact.rule_set) ")"
                    }
                }
            }
        }
    }
}

fn done(viewer: &Viewer, cases: &[CaseFile]) -> Markup {
    html! {
        h2 { (viewer.say("行われた対応", "What was done")) }
        @if cases.is_empty() { (ui::empty(viewer.say("ありません", "Nothing"))) }
        @for case in cases {
            h3 { (viewer.say("ケース", "Case")) " " span.small { (case.card.view.case.id) } }
            ol.lines {
                @for event in &case.events {
                    li {
                        (clock(event.at)) " " (viewer.tell(&event.kind.name()))
                        @if let Some((_, name)) = &event.by { " · " (name.expose()) }
                        @let text = text_of(viewer, event);
                        @if !text.is_empty() { " — " (text) }
                    }
                }
            }
            @if let Some((by, at, reason)) = &case.card.view.resolved {
                p { (viewer.say("終了", "Closed")) " " (clock(*at)) " " (by) " — " (reason) }
            }
        }
    }
}

fn listened(viewer: &Viewer, heard: &[Heard]) -> Markup {
    html! {
        h2 { (viewer.say("録音を聞いた人", "Who listened")) }
        @if heard.is_empty() {
            (ui::empty(viewer.say("だれも聞いていません", "Nobody")))
        } @else {
            div.scroll { table {
                thead { tr {
                    th scope="col" { (viewer.say("時刻", "Time")) }
                    th scope="col" { (viewer.say("だれが", "Who")) }
                    th scope="col" { (viewer.say("操作", "What")) }
                    th scope="col" { (viewer.say("範囲・理由", "Span or reason")) }
                    th scope="col" { (viewer.say("監査のハッシュ", "Hash in the audit")) }
                } }
                tbody {
                    @for one in heard {
                        tr {
                            td.nowrap { (clock(one.at)) }
                            td { @match &one.by { Some(by) => (by.expose()), None => (viewer.say("システム", "the program")) } }
                            td { (one.action) }
                            td { (one.detail) }
                            td { code.small { (one.hash) } }
                        }
                    }
                }
            } }
        }
    }
}

fn hashes(viewer: &Viewer, file: &CallFile) -> Markup {
    html! {
        h2 { (viewer.say("ハッシュ (SHA-256)", "Hashes (SHA-256)")) }
        dl.pairs {
            dt { (viewer.say("質問と回答", "Transcript")) } dd { code.small { (transcript_hash(file)) } }
            dt { (viewer.say("録音(封印されたファイル)", "Recording (sealed file)")) }
            dd {
                @match file.recording.as_ref().and_then(|one| one.sha256.as_deref()) {
                    Some(hash) => code.small { (hash) },
                    None => "—",
                }
            }
        }
    }
}

/// The hash of the transcript: one line per entry, with tabs between number, question, times asked,
/// keys, answer and the moment in milliseconds.
fn transcript_hash(file: &CallFile) -> String {
    let lines = file.entries.iter().map(|entry| {
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\n",
            entry.seq,
            entry.question,
            entry.asked,
            entry.keys,
            entry.answer.to_text(),
            entry.at.as_millisecond()
        )
    });
    hex(&Sha256::digest(lines.collect::<String>().as_bytes()))
}
