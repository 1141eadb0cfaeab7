//! Why a page cannot be shown, in words for the person before it.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{DOCTYPE, html};
use tracing::error;

use crate::base::Bilingual;
use crate::store::StoreError;
use crate::web::assets;

/// Why a page cannot be shown.
#[derive(Debug)]
pub enum Fault {
    /// Nobody is signed in: the sign-in page comes first.
    SignIn,
    /// Another page comes first.
    Elsewhere(&'static str),
    /// Too much is asked for from one address.
    TooMany,
    /// The roles do not allow it.
    Forbidden,
    /// There is no such thing, or it belongs to somebody else.
    NotFound,
    /// What was sent cannot be meant.
    Invalid(Bilingual),
    /// Somebody else has changed it meanwhile.
    Conflict(Bilingual),
    /// The database is away.
    Unavailable,
    /// A fault of ours; it was logged.
    Internal,
}

impl From<StoreError> for Fault {
    fn from(fault: StoreError) -> Self {
        match fault {
            StoreError::NotFound { .. } => Self::NotFound,
            StoreError::Unavailable { .. } => {
                error!("a page cannot be shown: {fault}");
                Self::Unavailable
            }
            StoreError::Stale { .. } | StoreError::Conflict { .. } => {
                Self::Conflict(Bilingual::fixed(
                    "ほかの職員が先に変更しました。画面を開き直してください。",
                    "Somebody else has changed it meanwhile. Please open the page again.",
                ))
            }
            other => {
                error!("a page cannot be shown: {other}");
                Self::Internal
            }
        }
    }
}

impl From<anyhow::Error> for Fault {
    fn from(fault: anyhow::Error) -> Self {
        error!("a page cannot be shown: {fault:#}");
        Self::Internal
    }
}

impl Fault {
    /// The status, and the words.
    fn told(&self) -> (StatusCode, Bilingual) {
        match self {
            Self::SignIn | Self::Elsewhere(_) => (
                StatusCode::UNAUTHORIZED,
                Bilingual::fixed("ログインしてください。", "Please sign in."),
            ),
            Self::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                Bilingual::fixed(
                    "この場所からの操作が多すぎます。1 分ほど待ってからお試しください。",
                    "Too much is asked for from here. Please wait a minute.",
                ),
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                Bilingual::fixed(
                    "この操作の権限がありません。必要な場合はシステム管理者にご相談ください。",
                    "Your roles do not allow this. Please ask your administrator if you need it.",
                ),
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                Bilingual::fixed("見つかりません。", "There is no such page."),
            ),
            Self::Invalid(text) => (StatusCode::UNPROCESSABLE_ENTITY, text.clone()),
            Self::Conflict(text) => (StatusCode::CONFLICT, text.clone()),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                Bilingual::fixed(
                    "データベースに接続できません。しばらくしてからもう一度お試しください。",
                    "The database is away. Please try again in a moment.",
                ),
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                Bilingual::fixed(
                    "内部エラーが起きました。記録しましたので、技術者にお知らせください。",
                    "Something went wrong on our side. It is in the log; please tell an engineer.",
                ),
            ),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn => return Redirect::to("/login").into_response(),
            Self::Elsewhere(page) => return Redirect::to(page).into_response(),
            _ => {}
        }
        let (status, text) = self.told();
        let page = html! {
            (DOCTYPE)
            html lang="ja" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (status.as_u16()) " · 見守りコール" }
                    link rel="stylesheet" href=(assets::href("console.css"));
                }
                body.alone {
                    main.card {
                        h1 { (status.as_u16()) }
                        p { (text.ja) }
                        p lang="en" { (text.en) }
                        p { a.button href="/" { "今日の画面へ" " / " span lang="en" { "To the start page" } } }
                    }
                }
            }
        };
        (status, page).into_response()
    }
}

pub(super) async fn no_such_page() -> Fault {
    Fault::NotFound
}
