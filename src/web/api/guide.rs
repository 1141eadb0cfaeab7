//! The page `/api`: the description for people, rendered here, without a script from elsewhere.

use axum::Router;
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};

use crate::registry::token::SCOPES;
use crate::web::Desk;
use crate::web::api::problem::KINDS;
use crate::web::api::{described, itself};
use crate::web::assets;

pub(super) fn routes() -> Router<Desk> {
    Router::new().route("/api", get(guide))
}

async fn guide() -> Markup {
    let (_, document) = described();
    let operations = document.paths.paths.iter().flat_map(|(path, item)| {
        [("GET", &item.get), ("POST", &item.post)]
            .into_iter()
            .filter_map(move |(method, operation)| Some((method, path, operation.as_ref()?)))
    });
    html! {
        (DOCTYPE)
        html lang="ja" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "API · 見守りコール" }
                link rel="stylesheet" href=(assets::href("console.css"));
            }
            body.alone.wide {
                main.card {
                    h1 { "API" }
                    p {
                        "画面でできることを、プログラムから。"
                        span lang="en" { " What the pages can do, for programs." }
                    }
                    ul {
                        li { a href="/api/openapi.json" { "OpenAPI 3.1 (JSON)" } }
                        li {
                            "トークンはシステム管理者が「職員」の「API トークン」で作り、"
                            code { "Authorization: Bearer …" } " で送ります。 "
                            span lang="en" { "Administrators make tokens on the page of the staff." }
                        }
                        li {
                            "POST には " code { "Idempotency-Key" } " が必要です。同じキーの同じ要求は一度だけ実行されます。 "
                            span lang="en" { "Every POST takes a key; asked twice, it takes effect once." }
                        }
                        li {
                            "一覧は " code { "next" } " と " code { "Link" } " で続きを読みます。 "
                            span lang="en" { "Lists go on at next, also in the header Link." }
                        }
                        li {
                            "競合は " code { "ETag" } " と " code { "If-Match" } " で防ぎます。 "
                            span lang="en" { "Send If-Match, and nobody is overruled unseen." }
                        }
                    }
                    h2 { "操作 / " span lang="en" { "Operations" } }
                    @for (method, path, operation) in operations { (one(method, path, operation)) }
                    h2 { "権限の範囲 / " span lang="en" { "Scopes of tokens" } }
                    ul { @for (word, _) in SCOPES { li { code { (word) } } } }
                    h2 { "エラー / " span lang="en" { "Problems" } " (RFC 9457)" }
                    table {
                        thead { tr {
                            th scope="col" { "type" } th scope="col" { "HTTP" }
                            th scope="col" { "意味" } th scope="col" lang="en" { "Meaning" }
                        } }
                        tbody {
                            @for (kind, status, title) in &KINDS {
                                tr id=(kind) {
                                    th scope="row" { code { "/api#" (kind) } }
                                    td { (status.as_u16()) }
                                    td { (title.ja) }
                                    td lang="en" { (title.en) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn one(method: &str, path: &str, operation: &Operation) -> Markup {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let parameters: Vec<&Parameter> = parameters.iter().filter_map(itself).collect();
    let place = |place: &ParameterIn| match place {
        ParameterIn::Query => "query",
        ParameterIn::Header => "header",
        ParameterIn::Path => "path",
        _ => "cookie",
    };
    html! {
        section.operation {
            h3 { code { (method) " " (path) } }
            p lang="en" {
                (operation.summary.as_deref().unwrap_or_default()) " "
                (operation.description.as_deref().unwrap_or_default())
            }
            @if !parameters.is_empty() {
                ul {
                    @for parameter in parameters {
                        li {
                            code { (parameter.name) } " (" (place(&parameter.parameter_in)) ") "
                            span lang="en" { (parameter.description.as_deref().unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    }
}
