//! The pages, one file each.

mod start;

use axum::Router;

use crate::web::Desk;

pub(super) fn routes() -> Router<Desk> {
    Router::new().merge(start::routes())
}
