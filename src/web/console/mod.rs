//! The pages, one file each.

mod account;
pub mod audit;
mod staff;
mod start;
mod tokens;

use axum::Router;

use crate::web::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .merge(start::routes())
        .merge(account::routes())
        .merge(audit::routes())
        .merge(staff::routes())
        .merge(tokens::routes())
}
