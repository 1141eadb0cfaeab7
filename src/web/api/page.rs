//! Lists a page at a time: each page ends with a cursor that says where the next one begins.

use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderValue, Uri};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::base::Bilingual;
use crate::web::api::problem::Problem;

/// How many rows a page has unless something else is asked for.
const USUAL: u32 = 50;

/// How many it has at most.
const MOST: u32 = 200;

/// Which page is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// How many rows at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// Where the page begins: `next` of the page before. It means nothing else.
    #[param(max_length = 512)]
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The rows.
    items: Vec<T>,
    /// The cursor of the next page; null after the last. Also in the header `Link`.
    next: Option<String>,
}

impl Wanted {
    /// How many rows.
    pub(super) fn limit(&self) -> Result<u32, Problem> {
        match self.limit.unwrap_or(USUAL) {
            limit @ 1..=MOST => Ok(limit),
            _ => Err(Problem::field(
                "limit",
                Bilingual::fixed("1 から 200 で指定してください", "1 to 200 is possible"),
            )),
        }
    }

    /// After which row; `T` is what the cursor was made of.
    pub(super) fn after<T: DeserializeOwned>(&self) -> Result<Option<T>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let read = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
        match read.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            Some(after) => Ok(Some(after)),
            None => Err(bad_cursor()),
        }
    }
}

/// A cursor that was not ours.
pub(super) fn bad_cursor() -> Problem {
    Problem::field(
        "cursor",
        Bilingual::fixed("前のページの next をそのまま使ってください", "not the `next` of a page"),
    )
}

impl<T> Page<T> {
    /// The page of rows of which one more than `limit` was read, to know whether there are more.
    /// `cursor` says of the last row where the next page begins.
    pub(super) fn new<R, C: Serialize>(
        uri: &Uri,
        limit: u32,
        mut rows: Vec<R>,
        cursor: impl FnOnce(&R) -> C,
        show: impl FnMut(R) -> T,
    ) -> (HeaderMap, axum::Json<Self>) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more);
        let cursor = last.map(cursor);
        Self::of(uri, rows.into_iter().map(show).collect(), cursor)
    }

    /// The page of these rows; the cursor says where the next one begins, if there is one.
    pub(super) fn of<C: Serialize>(
        uri: &Uri,
        items: Vec<T>,
        cursor: Option<C>,
    ) -> (HeaderMap, axum::Json<Self>) {
        let next = cursor.and_then(|cursor| serde_json::to_vec(&cursor).ok());
        let next = next.map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
        let mut headers = HeaderMap::new();
        if let Some(next) = &next
            && let Ok(link) = HeaderValue::from_str(&format!("<{}>; rel=\"next\"", at(uri, next)))
        {
            headers.insert(LINK, link);
        }
        (headers, axum::Json(Self { items, next }))
    }
}

/// The same address with another cursor.
fn at(uri: &Uri, cursor: &str) -> String {
    let query = uri.query().unwrap_or_default();
    let rest = query.split('&').filter(|one| !one.is_empty() && !one.starts_with("cursor="));
    let mut query: Vec<String> = rest.map(str::to_owned).collect();
    query.push(format!("cursor={cursor}"));
    format!("{}?{}", uri.path(), query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_begins_and_the_last_that_there_is_none() {
        let uri: Uri = "/api/v1/audit?limit=2&cursor=old".parse().unwrap();
        let (headers, page) = Page::new(&uri, 2, vec![9, 8, 7], |last| (*last, "x"), |row| row);
        assert_eq!(page.items, [9, 8]);
        let next = page.next.clone().unwrap();
        let link = headers[LINK].to_str().unwrap();
        assert_eq!(link, format!("</api/v1/audit?limit=2&cursor={next}>; rel=\"next\""));
        let wanted = Wanted { limit: None, cursor: Some(next) };
        assert_eq!(wanted.after::<(i32, String)>().unwrap(), Some((8, "x".to_owned())));
        assert!(wanted.after::<String>().is_err());
        let (headers, page) = Page::new(&uri, 2, vec![7], |last| *last, |row| row);
        assert_eq!((headers.len(), page.next.clone()), (0, None));
    }
}
