//! The pages, one file each.

mod health;
mod today;
pub(super) mod words;

use axum::Router;

use crate::web::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new().merge(today::routes()).merge(health::routes())
}
