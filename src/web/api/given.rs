//! What programs write, read into what is meant; what cannot be meant names its field.

use std::str::FromStr;

use axum::http::HeaderMap;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::base::Bilingual;
use crate::registry::audit::hex;
use crate::web::api::problem::Problem;

/// An id in an address. What is no id names nothing.
pub(super) fn id<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::new("not-found"))
}

/// A date as `2026-11-24`.
pub(super) fn date(field: &str, text: &str) -> Result<Date, Problem> {
    let is_date = |date: &Date| (2000..=2199).contains(&date.year());
    text.parse().ok().filter(is_date).ok_or_else(|| {
        let what =
            Bilingual::fixed("2026-11-24 の形の日付ではありません", "not a date like 2026-11-24");
        Problem::field(field, what)
    })
}

/// A moment as RFC 3339 writes it.
pub(super) fn moment(field: &str, text: &str) -> Result<Timestamp, Problem> {
    let is_of_our_time = |at: &Timestamp| (0..=7_258_118_400).contains(&at.as_second());
    text.parse().ok().filter(is_of_our_time).ok_or_else(|| {
        let what = Bilingual::fixed(
            "2026-11-24T09:00:00+09:00 の形の日時ではありません",
            "not a moment like 2026-11-24T09:00:00+09:00",
        );
        Problem::field(field, what)
    })
}

/// A text of people: not empty, not endless, without control characters but the end of a line.
pub(super) fn text(field: &str, text: &str, longest: usize) -> Result<String, Problem> {
    let text = text.trim();
    let is_plain = text.chars().all(|c| c == '\n' || !c.is_control());
    if text.is_empty() || text.chars().count() > longest || !is_plain {
        let what = Bilingual::composed(
            format!("1〜{longest} 文字で書いてください(制御文字は使えません)"),
            format!("1 to {longest} characters, none of them control characters"),
        );
        return Err(Problem::field(field, what));
    }
    Ok(text.to_owned())
}

/// A text of people of one line.
pub(super) fn line(field: &str, words: &str, longest: usize) -> Result<String, Problem> {
    Ok(text(field, words, longest)?.replace('\n', " "))
}

/// A word of a list.
pub(super) fn word<T>(field: &str, text: &str, parse: fn(&str) -> Option<T>) -> Result<T, Problem> {
    parse(text).ok_or_else(|| {
        Problem::field(field, Bilingual::fixed("この言葉は使えません", "not one of the words"))
    })
}

/// The entity tag of what is shown (RFC 9110 §8.8.3).
pub(super) fn tag<T: Serialize>(shown: &T) -> HeaderValue {
    let bytes = serde_json::to_vec(shown).unwrap_or_default();
    let tag = hex(&Sha256::digest(bytes).as_slice()[..12]);
    HeaderValue::from_str(&format!("\"{tag}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// What is shown, with its tag.
pub(super) fn tagged<T: Serialize>(shown: T) -> ([(HeaderName, HeaderValue); 1], axum::Json<T>) {
    ([(ETAG, tag(&shown))], axum::Json(shown))
}

/// Whether the program means what is shown now. `None`: it did not say what it has seen.
pub(super) fn means<T: Serialize>(headers: &HeaderMap, shown: &T) -> Option<bool> {
    let wanted = headers.get(IF_MATCH)?.to_str().ok()?;
    let now = tag(shown);
    Some(wanted.split(',').any(|one| one.trim() == "*" || one.trim().as_bytes() == now.as_bytes()))
}

/// Refuses a program that has seen another state than there is now.
pub(super) fn must_mean<T: Serialize>(headers: &HeaderMap, shown: &T) -> Result<(), Problem> {
    match means(headers, shown) {
        Some(false) => Err(Problem::new("changed")),
        Some(true) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_people_are_short_and_plain() {
        assert_eq!(text("x", "  咳が続く\n様子を見る ", 20).unwrap(), "咳が続く\n様子を見る");
        for bad in ["", "   ", "a\u{0}b", "長すぎる文字列です。"] {
            assert!(text("x", bad, 9).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_program_that_saw_something_else_is_stopped() {
        let mut headers = HeaderMap::new();
        assert!(must_mean(&headers, &1).is_ok());
        headers.insert(IF_MATCH, tag(&1));
        assert!(must_mean(&headers, &1).is_ok());
        assert!(must_mean(&headers, &2).is_err());
        headers.insert(IF_MATCH, HeaderValue::from_static("*"));
        assert!(must_mean(&headers, &2).is_ok());
    }
}
