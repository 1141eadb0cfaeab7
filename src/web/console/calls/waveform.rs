//! The picture of a call: two lanes, a block per question, a tick per key, a red one per rule.
//!
//! It is drawn for eyes only; the table under it says the same in words.

use std::fmt::Write;
use std::time::Duration;

use maud::{Markup, PreEscaped, html};

use crate::recording::Waveform;
use crate::registry::ConsoleLanguage;
use crate::tape::{Mark, MarkKind};
use crate::web::console::words;

/// The picture's own units: a column of the waveform each.
const WIDTH: u64 = 1200;
const LANE: u64 = 60;
const TOP: u64 = 22;
const HEIGHT: u64 = TOP + 2 * LANE + 20;

/// The colours that blocks take in turn; each block is named as well.
const COLOURS: u64 = 4;

/// When a question was on.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Block {
    from: Duration,
    to: Duration,
    question: String,
}

/// From where we begin to ask to where the answer was settled.
fn blocks(marks: &[Mark]) -> Vec<Block> {
    let mut begun: Option<Duration> = None;
    let mut blocks = Vec::new();
    for mark in marks {
        match mark.kind {
            MarkKind::Say => begun = begun.or(Some(mark.at)),
            // What was said until then was about who it is.
            MarkKind::Identified => begun = None,
            MarkKind::Answer => {
                let question = mark.detail.split_once(' ').map_or("", |(_, question)| question);
                let from = begun.take().unwrap_or(mark.at);
                blocks.push(Block { from, to: mark.at, question: question.to_owned() });
            }
            MarkKind::Key | MarkKind::Rule | MarkKind::Message | MarkKind::End => {}
        }
    }
    blocks
}

/// Draws a call.
pub(super) fn draw(
    language: ConsoleLanguage,
    waveform: Option<&Waveform>,
    length: Duration,
    marks: &[Mark],
) -> Markup {
    let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
    let x = |at: Duration| {
        u64::try_from(at.as_millis()).unwrap_or(u64::MAX).min(length) * WIDTH / length
    };
    let bottom = TOP + 2 * LANE;
    let mut svg = String::new();
    // Writing to a string cannot fail.
    for (n, block) in (0..).zip(blocks(marks)) {
        let (from, to) = (x(block.from), x(block.to));
        let name = words::question(&block.question, language);
        let _ = write!(
            svg,
            "<rect class=\"block b{}\" x=\"{from}\" y=\"0\" width=\"{}\" height=\"{bottom}\"/>\
             <text class=\"name\" x=\"{}\" y=\"15\">{}</text>",
            n % COLOURS,
            (to - from).max(2),
            from + 3,
            escaped(name),
        );
    }
    if let Some(waveform) = waveform {
        for (lane, class, peaks) in [(0, "theirs", &waveform.theirs), (1, "ours", &waveform.ours)] {
            let middle = TOP + lane * LANE + LANE / 2;
            let _ = write!(svg, "<path class=\"{class}\" d=\"{}\"/>", path(peaks, middle));
        }
    }
    for mark in marks {
        let at = x(mark.at);
        match mark.kind {
            MarkKind::Key => {
                let key = if mark.detail.is_empty() { "●" } else { &mark.detail };
                let _ = write!(
                    svg,
                    "<path class=\"key\" d=\"M{at} {TOP}V{bottom}\"/>\
                     <text class=\"key\" x=\"{at}\" y=\"{}\">{}</text>",
                    bottom + 15,
                    escaped(key),
                );
            }
            MarkKind::Rule => {
                let _ = write!(svg, "<path class=\"rule\" d=\"M{at} 0V{HEIGHT}\"/>");
            }
            _ => {}
        }
    }
    let _ = write!(svg, "<path id=\"playhead\" class=\"head\" d=\"M0 0V{HEIGHT}\"/>");
    html! {
        svg.waveform #waveform viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none"
            aria-hidden="true" focusable="false" { (PreEscaped(svg)) }
    }
}

/// One line up and down per column.
fn path(peaks: &[u8], middle: u64) -> String {
    let mut path = String::new();
    let n = (peaks.len() as u64).max(1);
    for (column, &peak) in (0..).zip(peaks) {
        let reach = u64::from(peak) * (LANE / 2 - 2) / 255;
        if reach > 0 {
            let at = column * WIDTH / n;
            let _ = write!(path, "M{at} {}v{}", middle - reach, 2 * reach);
        }
    }
    path
}

/// Text within a picture.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(at: u64, kind: MarkKind, detail: &str) -> Mark {
        Mark { at: Duration::from_secs(at), kind, detail: detail.to_owned() }
    }

    fn marks() -> Vec<Mark> {
        vec![
            mark(0, MarkKind::Say, "greeting"),
            mark(4, MarkKind::Key, ""),
            mark(5, MarkKind::Identified, "patient"),
            mark(6, MarkKind::Say, "ask_temperature"),
            mark(10, MarkKind::Key, "3"),
            mark(12, MarkKind::Say, "confirm_temperature"),
            mark(14, MarkKind::Answer, "0 temperature"),
            mark(15, MarkKind::Say, "ask_spo2"),
            mark(20, MarkKind::Answer, "1 spo2"),
            mark(20, MarkKind::Rule, "emergency 1 spo2"),
        ]
    }

    #[test]
    fn a_question_lasts_from_its_first_word_to_its_answer() {
        let told: Vec<_> = blocks(&marks())
            .into_iter()
            .map(|block| (block.from.as_secs(), block.to.as_secs(), block.question))
            .collect();
        assert_eq!(told, [(6, 14, "temperature".to_owned()), (15, 20, "spo2".to_owned())]);
    }

    #[test]
    fn the_picture_has_blocks_keys_and_the_rule_at_their_moments() {
        let waveform = Waveform { ours: vec![0, 255], theirs: vec![128, 0] };
        let length = Duration::from_secs(24);
        let svg = draw(ConsoleLanguage::Ja, Some(&waveform), length, &marks()).into_string();
        for part in [
            "<rect class=\"block b0\" x=\"300\" y=\"0\" width=\"400\"",
            "<text class=\"name\" x=\"303\" y=\"15\">体温</text>",
            // The lane of the patient comes first, and silence is not drawn.
            "<path class=\"theirs\" d=\"M0 38v28\"/>",
            "<path class=\"ours\" d=\"M600 84v56\"/>",
            // A key that may prove an identity is a dot.
            "<text class=\"key\" x=\"200\" y=\"157\">●</text>",
            "<text class=\"key\" x=\"500\" y=\"157\">3</text>",
            "<path class=\"rule\" d=\"M1000 0V162\"/>",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("style="), "the Content-Security-Policy forbids it");
    }
}
