//! The pages, one file each.

mod account;
pub mod audit;
mod patient;
mod staff;
mod start;
mod tokens;

use axum::Router;

use crate::web::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .merge(account::routes())
        .merge(audit::routes())
        .merge(patient::routes())
        .merge(staff::routes())
        .merge(start::routes())
        .merge(tokens::routes())
}
