//! The pages, one file each.

mod import;
mod plan;
mod prompts;
mod rules;
mod start;
mod words;

use axum::Router;

use crate::web::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .merge(start::routes())
        .merge(import::routes())
        .merge(plan::routes())
        .merge(prompts::routes())
        .merge(rules::routes())
}
