//! Text as it may stand in an address (RFC 3986 §2), or in what a form sends.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is written with `%` in a query: all but what no reader can take for anything else.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// A query of an address: `name=value&…`.
pub fn query<'a, V: AsRef<str>>(pairs: impl IntoIterator<Item = (&'a str, V)>) -> String {
    let pair = |(name, value): (&str, V)| {
        let (name, value) =
            (utf8_percent_encode(name, QUERY), utf8_percent_encode(value.as_ref(), QUERY));
        format!("{name}={value}")
    };
    pairs.into_iter().map(pair).collect::<Vec<_>>().join("&")
}

/// A path, its slashes kept.
pub fn path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_taken_for_something_else_is_encoded() {
        for (value, expected) in [
            ("", "q="),
            ("2026-11-23_a.b", "q=2026-11-23_a.b"),
            ("a b&c=d+e/f#g%", "q=a%20b%26c%3Dd%2Be%2Ff%23g%25"),
            ("神崎", "q=%E7%A5%9E%E5%B4%8E"),
        ] {
            assert_eq!(query([("q", value)]), expected);
        }
        assert_eq!(query([("a", "1"), ("b", "2")]), "a=1&b=2");
        assert_eq!(path("/a b/保?.db"), "/a%20b/%E4%BF%9D%3F.db");
    }
}
