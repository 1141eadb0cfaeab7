//! The pages, one file each.

mod account;
pub mod audit;
mod calls;
mod campaigns;
mod cases;
mod health;
mod import;
mod patient;
mod plan;
mod prompts;
pub(super) mod release;
mod rules;
mod settings;
mod staff;
mod today;
mod tokens;
mod trunks;
mod value;
mod welfare;
pub(super) mod words;

use axum::Router;

use crate::web::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .merge(account::routes())
        .merge(audit::routes())
        .merge(health::routes())
        .merge(calls::routes())
        .merge(campaigns::routes())
        .merge(cases::routes())
        .merge(import::routes())
        .merge(patient::routes())
        .merge(plan::routes())
        .merge(prompts::routes())
        .merge(release::routes())
        .merge(rules::routes())
        .merge(staff::routes())
        .merge(today::routes())
        .merge(tokens::routes())
        .merge(settings::routes())
        .merge(trunks::routes())
        .merge(welfare::routes())
}
