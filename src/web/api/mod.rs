//! The API: what the pages can do, for programs. REST with JSON, described by OpenAPI 3.1 from the
//! types that the handlers take and give.
//!
//! The handlers call the same intentions of the store as the pages do, within the same scope and
//! under the same rights; nothing is decided here.

mod arrangement;
#[expect(unused_qualifications, reason = "the macro of utoipa names types in full")]
mod audit;
mod campaigns;
mod cases;
mod dialing;
mod gate;
mod given;
mod guide;
#[expect(unused_qualifications, reason = "the macro of utoipa names types in full")]
mod health;
mod me;
mod page;
#[expect(unused_qualifications, reason = "the macro of utoipa names types in full")]
mod patients;
#[expect(unused_qualifications, reason = "the macro of utoipa names types in full")]
mod plan;
mod problem;
mod releases;
mod reports;
mod welfare;

use std::sync::LazyLock;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Ref, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Content, RefOr, Required, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use crate::web::Desk;
use crate::web::api::gate::Gate;
use crate::web::api::problem::Problem;

/// Where all of it is.
const BASE: &str = "/api/v1";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "見守りコール mimamori",
        version = "1",
        description = "What the pages of the console can do, for programs. \
            ページでできることを、プログラムから。",
        license(name = "MIT", identifier = "MIT")
    ),
    tags(
        (name = "me", description = "Who the program is here / 自分"),
        (name = "patients", description = "Patients and what was observed of them / 患者と観察"),
        (name = "calls", description = "Calls, made and planned / 架電"),
        (name = "campaigns", description = "By which terms patients are called / 架電の設計"),
        (name = "cases", description = "What a human must act on / 対応"),
        (name = "dialing", description = "The emergency stop / 緊急停止"),
        (name = "audit", description = "What was done / 監査"),
    ),
    components(schemas(Problem))
)]
struct Document;

/// The API and its description.
pub(super) fn routes(desk: &Desk) -> Router<Desk> {
    let (api, _) = described();
    let api = api
        .fallback(|| async { Problem::new("not-found") })
        .method_not_allowed_fallback(|| async { Problem::new("method") })
        .layer(middleware::from_fn_with_state(Gate::new(desk), gate::pass));
    Router::new().nest(BASE, api).route("/api/openapi.json", get(openapi)).merge(guide::routes())
}

fn described() -> (Router<Desk>, utoipa::openapi::OpenApi) {
    let (router, document) = OpenApiRouter::new()
        .merge(me::routes())
        .merge(patients::routes())
        .merge(arrangement::routes())
        .merge(reports::routes())
        .merge(plan::routes())
        .merge(campaigns::routes())
        .merge(cases::routes())
        .merge(health::routes())
        .merge(releases::routes())
        .merge(welfare::routes())
        .merge(dialing::routes())
        .merge(audit::routes())
        .split_for_parts();
    let mut whole = Document::openapi().nest(BASE, document);
    finish(&mut whole);
    (router, whole)
}

/// The description as it is served.
pub(super) static DESCRIPTION: LazyLock<String> =
    LazyLock::new(|| described().1.to_pretty_json().unwrap_or_default());

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION.as_str())
}

/// How whatever changes something may be refused.
const CHANGES: [&str; 13] =
    ["400", "401", "403", "404", "409", "412", "413", "415", "422", "428", "429", "500", "503"];

/// Adds what holds for every operation: how one proves oneself, and how one is refused.
fn finish(document: &mut utoipa::openapi::OpenApi) {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token, made by an administrator."))
        .build();
    let session = ApiKeyValue::with_description(
        "__Host-mimamori",
        "The session of a browser; with `X-CSRF-Token` for whatever changes something.",
    );
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    document.security = Some(["token", "session"].map(requirement).to_vec());
    for item in document.paths.paths.values_mut() {
        if let Some(operation) = &mut item.get {
            refuse(operation, &["400", "401", "403", "404", "422", "429", "500", "503"]);
        }
        if let Some(operation) = &mut item.put {
            refuse(operation, &CHANGES);
        }
        if let Some(operation) = &mut item.post {
            refuse(operation, &CHANGES);
            operation.parameters.get_or_insert_default().push(RefOr::T(key()));
        }
    }
}

fn requirement(name: &str) -> SecurityRequirement {
    SecurityRequirement::new(name, [] as [&str; 0])
}

fn refuse(operation: &mut Operation, statuses: &[&str]) {
    for status in statuses {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description("Why nothing was done.")
            .content("application/problem+json", problem)
            .build();
        operation.responses.responses.insert((*status).to_owned(), RefOr::T(response));
    }
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let header = HeaderBuilder::new()
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .description(Some("What is left of the minute."))
                .build();
            response.headers.insert("RateLimit".to_owned(), RefOr::T(header));
        }
    }
}

/// What is not a reference to somewhere else; we make none.
fn itself<T>(one: &RefOr<T>) -> Option<&T> {
    match one {
        RefOr::T(one) => Some(one),
        RefOr::Ref(_) => None,
    }
}

/// The header that every POST brings.
fn key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::True)
        .description(Some(
            "Chosen by the program, new for each intention: 1 to 64 visible characters. The same \
             key with the same request is answered with the first answer for a day.",
        ))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(64))
                .pattern(Some("^[A-Za-z0-9_-]+$")),
        ))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_says_how_it_refuses_and_every_post_takes_a_key() {
        let (_, document) = described();
        assert!(document.paths.paths.len() >= 15);
        for (path, item) in &document.paths.paths {
            assert!(path.starts_with("/api/v1/"), "{path}");
            for operation in [&item.get, &item.post, &item.put].into_iter().flatten() {
                for status in ["401", "403", "422", "429"] {
                    assert!(operation.responses.responses.contains_key(status), "{path} {status}");
                }
            }
            if let Some(post) = &item.post {
                let parameters = post.parameters.as_deref().unwrap_or_default();
                assert!(
                    parameters.iter().filter_map(itself).any(|one| one.name == "Idempotency-Key"),
                    "{path}"
                );
            }
        }
    }
}
