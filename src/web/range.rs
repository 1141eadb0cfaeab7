//! Which part of a file a request wants (RFC 9110 §14).

use std::ops::Range;

/// What is wanted of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// All of it: no range was asked for, or none that can be meant.
    Whole,
    /// This part; never empty, never beyond the end.
    Part(Range<u64>),
    /// A range that lies beyond the end: 416.
    Beyond,
}

/// Reads the field `Range` for a file of this length. Several ranges at once are answered with the
/// whole, as RFC 9110 §14.2 allows.
pub(super) fn wanted(field: &str, length: u64) -> Wanted {
    let Some((unit, set)) = field.split_once('=') else { return Wanted::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Wanted::Whole;
    }
    let number = |text: &str| {
        let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large for us lies beyond the end.
        is_digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (number(first.trim()), number(last.trim())) {
        (Some(first), None) if last.trim().is_empty() => part(first, length, length),
        (Some(first), Some(last)) if last < first => Wanted::Whole,
        (Some(first), Some(last)) => part(first, last.saturating_add(1), length),
        (None, Some(0)) if first.trim().is_empty() => Wanted::Beyond,
        (None, Some(suffix)) if first.trim().is_empty() => {
            part(length.saturating_sub(suffix), length, length)
        }
        _ => Wanted::Whole,
    }
}

fn part(from: u64, to: u64, length: u64) -> Wanted {
    if from >= length { Wanted::Beyond } else { Wanted::Part(from..to.min(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_end_and_refused_beyond_it() {
        for (field, expected) in [
            ("bytes=0-", Wanted::Part(0..100)),
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=10-19", Wanted::Part(10..20)),
            ("bytes=90-999", Wanted::Part(90..100)),
            ("Bytes = 99-", Wanted::Part(99..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-999", Wanted::Part(0..100)),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=100-", Wanted::Beyond),
            ("bytes=100-200", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..100)),
            ("bytes=20-10", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(wanted(field, 100), expected, "{field}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Beyond);
        assert_eq!(wanted("bytes=-5", 0), Wanted::Beyond);
    }
}
