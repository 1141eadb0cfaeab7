//! Why a request was not carried out, for programs and for those who write them (RFC 9457).

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::base::Bilingual;
use crate::store::StoreError;
use crate::web::fault::Fault;

/// Why a request was not carried out. Nothing was changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Which kind of problem; an address relative to the server, where it is explained.
    #[serde(rename = "type")]
    #[schema(example = "/api#not-found")]
    kind: String,
    /// The kind in Japanese.
    title: String,
    /// The kind in English.
    title_en: String,
    /// The status of HTTP.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is the matter this time, in Japanese and English.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What is wrong with which part of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldFault>,
    /// After how many seconds it is worth trying again.
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// What is wrong with one part of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct FieldFault {
    /// A JSON Pointer into the body (RFC 6901), or the name of a parameter.
    #[schema(example = "/values/0/value")]
    field: String,
    /// What is wrong, in Japanese.
    ja: String,
    /// What is wrong, in English.
    en: String,
}

/// The kinds of problems: the word in the address, the status, and what it is called. The page
/// `/api` explains them from here.
pub(super) static KINDS: [(&str, StatusCode, Bilingual); 17] = [
    (
        "unreadable",
        StatusCode::BAD_REQUEST,
        Bilingual::fixed("要求を読み取れません", "the request cannot be read"),
    ),
    (
        "key-missing",
        StatusCode::BAD_REQUEST,
        Bilingual::fixed(
            "Idempotency-Key ヘッダーが必要です",
            "the header Idempotency-Key is missing",
        ),
    ),
    (
        "sign-in",
        StatusCode::UNAUTHORIZED,
        Bilingual::fixed("トークンかログインが必要です", "a token or a session is needed"),
    ),
    (
        "forbidden",
        StatusCode::FORBIDDEN,
        Bilingual::fixed("この操作の権限がありません", "the rights do not allow this"),
    ),
    (
        "not-found",
        StatusCode::NOT_FOUND,
        Bilingual::fixed("見つかりません", "there is no such thing within reach"),
    ),
    (
        "method",
        StatusCode::METHOD_NOT_ALLOWED,
        Bilingual::fixed("このメソッドは使えません", "the method cannot be used here"),
    ),
    (
        "key-in-use",
        StatusCode::CONFLICT,
        Bilingual::fixed(
            "同じキーの要求を処理中です",
            "a request with this key is being carried out",
        ),
    ),
    (
        "conflict",
        StatusCode::CONFLICT,
        Bilingual::fixed("現在の状態ではできません", "the state does not allow this"),
    ),
    (
        "changed",
        StatusCode::PRECONDITION_FAILED,
        Bilingual::fixed("ほかの人が先に変更しました", "somebody else has changed it meanwhile"),
    ),
    (
        "too-long",
        StatusCode::PAYLOAD_TOO_LARGE,
        Bilingual::fixed("要求が大きすぎます", "the request is too long"),
    ),
    (
        "media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Bilingual::fixed("application/json で送ってください", "send application/json"),
    ),
    (
        "invalid",
        StatusCode::UNPROCESSABLE_ENTITY,
        Bilingual::fixed("値が正しくありません", "a value cannot be meant"),
    ),
    (
        "key-reused",
        StatusCode::UNPROCESSABLE_ENTITY,
        Bilingual::fixed("このキーは別の要求で使われました", "another request had this key"),
    ),
    (
        "precondition",
        StatusCode::PRECONDITION_REQUIRED,
        Bilingual::fixed("If-Match ヘッダーが必要です", "the header If-Match is missing"),
    ),
    (
        "too-many",
        StatusCode::TOO_MANY_REQUESTS,
        Bilingual::fixed("要求が多すぎます", "too many requests"),
    ),
    (
        "internal",
        StatusCode::INTERNAL_SERVER_ERROR,
        Bilingual::fixed("内部エラー", "a fault on our side"),
    ),
    (
        "unavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        Bilingual::fixed("いまは応じられません", "not available now"),
    ),
];

impl Problem {
    /// A problem of one of the [`KINDS`].
    pub(super) fn new(kind: &'static str) -> Self {
        let known = KINDS.iter().find(|(word, _, _)| *word == kind);
        let (kind, status, title) = known.unwrap_or(&KINDS[15]);
        Self {
            kind: format!("/api#{kind}"),
            title: title.ja.to_string(),
            title_en: title.en.to_string(),
            status: status.as_u16(),
            detail: None,
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// With what is the matter this time.
    pub(super) fn because(mut self, detail: &Bilingual) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// With after how many seconds it is worth trying again.
    pub(super) fn later(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// A value that cannot be meant.
    pub(super) fn field(field: &str, what: Bilingual) -> Self {
        let mut problem = Self::new("invalid");
        problem.fields.push(FieldFault {
            field: field.to_owned(),
            ja: what.ja.into_owned(),
            en: what.en.into_owned(),
        });
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            // The account has to be put in order on a page first.
            Fault::SignIn | Fault::Elsewhere(_) => Self::new("sign-in"),
            Fault::Forbidden => Self::new("forbidden"),
            Fault::NotFound => Self::new("not-found"),
            Fault::Invalid(what) => Self::new("invalid").because(&what),
            Fault::Conflict(what) => Self::new("conflict").because(&what),
            Fault::Unavailable => Self::new("unavailable").later(5),
            Fault::TooMany => Self::new("too-many").later(60),
            Fault::Internal => Self::new("internal"),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(fault: StoreError) -> Self {
        Fault::from(fault).into()
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let kind = match rejection.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "media-type",
            StatusCode::PAYLOAD_TOO_LARGE => "too-long",
            StatusCode::UNPROCESSABLE_ENTITY => "invalid",
            _ => "unreadable",
        };
        // The text names places and types in the body; it quotes a value only where a word of a
        // list is expected.
        let text = rejection.body_text();
        Self::new(kind).because(&Bilingual::composed(text.clone(), text))
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        let text = rejection.body_text();
        Self::new("unreadable").because(&Bilingual::composed(text.clone(), text))
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::new("not-found")
    }
}

/// A body of JSON, refused with a [`Problem`].
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(super) struct Json<T>(pub(super) T);

/// The parameters of a query, refused with a [`Problem`].
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(super) struct Asked<T>(pub(super) T);

/// The parameters of a path, refused with a [`Problem`].
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(super) struct Path<T>(pub(super) T);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_page_has_its_kind_of_problem() {
        let text = Bilingual::fixed("あ", "a");
        for (fault, status) in [
            (Fault::SignIn, 401),
            (Fault::Forbidden, 403),
            (Fault::NotFound, 404),
            (Fault::Conflict(text.clone()), 409),
            (Fault::Invalid(text), 422),
            (Fault::TooMany, 429),
            (Fault::Internal, 500),
            (Fault::Unavailable, 503),
        ] {
            assert_eq!(Problem::from(fault).status, status);
        }
    }
}
