//! A week of values as a small picture that a screen reader can say.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use crate::store::WEEK;

const WIDTH: usize = 72;
const HEIGHT: i32 = 22;

/// Draws the last values of a week, today last. A day without a value is a gap, never a line.
/// `band` is the usual range, which the picture always shows.
pub(super) fn sparkline(
    week: &[Option<i32>; WEEK],
    band: (i32, i32),
    say: impl Fn(i32) -> String,
) -> Markup {
    let values = || week.iter().flatten().copied();
    if values().count() < 2 {
        return html! {};
    }
    let low = values().chain([band.0]).min().unwrap_or(band.0);
    let high = values().chain([band.1]).max().unwrap_or(band.1);
    let x = |place: usize| 3 + place * (WIDTH - 6) / (WEEK - 1);
    let y = |value: i32| HEIGHT - 3 - (value - low) * (HEIGHT - 6) / (high - low).max(1);
    let mut path = String::new();
    let mut is_joined = false;
    for (place, value) in week.iter().enumerate() {
        if let Some(value) = value {
            let pen = if is_joined { 'L' } else { 'M' };
            // Writing to a string cannot fail. A lone point is a line of no length, with round ends.
            let _ = write!(path, "{pen}{} {}", x(place), y(*value));
            if !is_joined {
                path.push_str("h0");
            }
        }
        is_joined = value.is_some();
    }
    let words: Vec<String> = week.iter().map(|value| value.map_or("—".to_owned(), &say)).collect();
    html! {
        svg.spark viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(words.join(", ")) {
            (PreEscaped(format!("<path d=\"{path}\"/>")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_day_is_a_gap_and_is_said() {
        let week = [Some(365), None, Some(370), Some(380), None, None, Some(372)];
        let drawn = sparkline(&week, (360, 375), |tenths| tenths.to_string()).into_string();
        assert_eq!(drawn.matches('M').count(), 3, "{drawn}");
        assert_eq!(drawn.matches('L').count(), 1, "{drawn}");
        assert!(drawn.contains("365, —, 370, 380, —, —, 372"));
        assert!(sparkline(&[None; WEEK], (0, 1), |it| it.to_string()).into_string().is_empty());
    }
}
