//! The pages, one file each.

mod account;
pub mod audit;
mod calls;
mod cases;
mod import;
mod patient;
mod plan;
mod prompts;
mod rules;
mod staff;
mod start;
mod tokens;
mod value;
mod words;

use axum::Router;

use crate::web::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .merge(account::routes())
        .merge(audit::routes())
        .merge(calls::routes())
        .merge(cases::routes())
        .merge(import::routes())
        .merge(patient::routes())
        .merge(plan::routes())
        .merge(prompts::routes())
        .merge(rules::routes())
        .merge(staff::routes())
        .merge(start::routes())
        .merge(tokens::routes())
}
