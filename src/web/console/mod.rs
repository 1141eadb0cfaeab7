//! The pages, one file each.

mod calls;
mod cases;
mod start;
mod value;
mod words;

use axum::Router;

use crate::web::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new().merge(start::routes()).merge(calls::routes()).merge(cases::routes())
}
