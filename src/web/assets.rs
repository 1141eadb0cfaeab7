//! What browsers fetch beside the pages: style and islands of script, all part of the program.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

use crate::registry::audit::hex;
use crate::web::Desk;

const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JS: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($name:literal $kind:ident,)*) => {
        /// Name, media type and content.
        const ASSETS: &[(&str, &str, &[u8])] =
            &[$(($name, $kind, include_bytes!(concat!("assets/", $name))),)*];
    };
}

assets! {
    "icon.svg" SVG,
    "console.css" CSS,
    "console.js" JS,
    "list.js" JS,
    "live.js" JS,
    "record.js" JS,
    "refresh.js" JS,
    "cases.js" JS,
    "player.js" JS,
}

/// Changes with the content of any asset, so that browsers may keep them for ever.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = Sha256::new();
    for (_, _, content) in ASSETS {
        hasher.update(content);
    }
    hex(&hasher.finalize()[..6])
});

/// The address of an asset, to be written into a page.
pub fn href(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/assets/{version}/{name}", get(asset))
        // Browsers ask for it by themselves.
        .route("/favicon.ico", get(|| asset(Path((String::new(), "icon.svg".to_owned())))))
}

async fn asset(Path((_, name)): Path<(String, String)>) -> Response {
    match ASSETS.iter().find(|(known, _, _)| *known == name) {
        Some(&(_, kind, content)) => (
            [(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")],
            content,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
