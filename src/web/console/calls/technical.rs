//! What an engineer may know of a call: times, codes and lost sound; nobody's name, no answer.

use axum::extract::{Path, State};
use maud::{Markup, html};

use crate::base::Bilingual;
use crate::registry::Right;
use crate::tape::recording::SAMPLE_RATE;
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::calls::{clock, id};
use crate::web::fault::Fault;
use crate::web::ui::{self, Section};

pub(super) async fn page(
    viewer: Viewer,
    State(desk): State<Desk>,
    Path(call): Path<String>,
) -> Result<Markup, Fault> {
    viewer.must(Right::SeeTrunks)?;
    let call = desk.store.call_technical(id(&call)?).await?;
    let mut entry = viewer.audit("call.technical-viewed");
    entry.object = call.attempt.to_string();
    desk.store.audit(viewer.now, &entry).await?;
    let title = Bilingual::fixed("通話の技術情報", "A call, technically");
    let body = html! {
        dl.pairs.card {
            dt { (viewer.say("架電", "Attempt")) } dd { (call.attempt) " (" (call.number) ")" }
            dt { (viewer.say("ノード", "Node")) } dd { (call.node.as_deref().unwrap_or("—")) }
            @for (name, at) in [
                (viewer.say("予定", "Due"), Some(call.due_at)),
                (viewer.say("発信", "Dialled"), call.dialed_at),
                (viewer.say("呼出", "Ringing"), call.ringing_at),
                (viewer.say("応答", "Answered"), call.answered_at),
                (viewer.say("終了", "Ended"), call.ended_at),
            ] {
                dt { (name) }
                dd { @match at { Some(at) => (clock(at)), None => "—" } }
            }
            dt { (viewer.say("結果", "Disposition")) }
            dd { @match call.disposition { Some(it) => (it.as_str()), None => "—" } }
            dt { (viewer.say("SIP 応答コード", "SIP status")) }
            dd { @match call.code { Some(code) => (code), None => "—" } }
            dt { (viewer.say("SIP のやりとり", "SIP ladder")) }
            dd {
                a href={ "/trunks/calls/" (call.attempt) } { (viewer.say("回線の画面で見る", "See it with the trunks")) }
            }
            @if let Some((samples, missing)) = call.samples {
                dt { (viewer.say("録音", "Recording")) }
                dd {
                    "G.711 µ-law, 2 × " (SAMPLE_RATE) " Hz, "
                    (samples) " samples (" (samples / SAMPLE_RATE) " s), "
                    (viewer.say("欠落", "lost")) " " (missing)
                }
            }
        }
    };
    Ok(ui::page(&viewer, Section::Trunks, &title, &body))
}
