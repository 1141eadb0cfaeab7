//! 今日: how the day stands, as far as the viewer may see it.

use axum::Router;
use axum::routing::get;
use maud::{Markup, html};

use crate::base::Bilingual;
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::fault::Fault;
use crate::web::ui::{self, Section};

pub(super) fn routes() -> Router<Desk> {
    Router::new().route("/", get(start))
}

async fn start(viewer: Viewer) -> Result<Markup, Fault> {
    let title = Bilingual::fixed("今日", "Today");
    Ok(ui::page(
        &viewer,
        Section::Today,
        &title,
        &html! {
            p { (viewer.say("左のメニューから選んでください。", "Choose from the menu.")) }
        },
    ))
}
