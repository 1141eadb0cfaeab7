//! The melody of accent-marked katakana: which morae are high, and where the pitch falls.

use maud::{Markup, html};

/// A mora with its pitch.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Mora {
    text: String,
    is_high: bool,
    /// The pitch falls after it: the accent.
    falls: bool,
}

/// A piece of a reading.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    /// Said with one melody.
    Phrase(Vec<Mora>),
    /// A value that is filled in, such as `{temperature}`.
    Blank(String),
    /// A rest.
    Rest(char),
}

/// Draws a reading: a line over what is high, with a hook where the pitch falls.
pub(super) fn draw(kana: &str) -> Markup {
    html! {
        span.reading lang="ja" {
            @for piece in pieces(kana) {
                @match piece {
                    Piece::Phrase(morae) => {
                        span.phrase {
                            @for mora in morae {
                                span.high[mora.is_high].falls[mora.falls] { (mora.text) }
                            }
                        }
                    }
                    Piece::Blank(name) => { span.chip { (name) } }
                    Piece::Rest(mark) => { span.muted { (mark) } }
                }
            }
        }
    }
}

fn pieces(kana: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut phrase = String::new();
    let mut blank = None::<String>;
    for char in kana.chars() {
        match (char, &mut blank) {
            ('}', Some(name)) => {
                pieces.push(Piece::Blank(std::mem::take(name)));
                blank = None;
            }
            (_, Some(name)) => name.push(char),
            ('{' | '/' | '、' | '。' | '・' | '…' | '？' | '?' | ' ', None) => {
                if !phrase.is_empty() {
                    pieces.push(Piece::Phrase(morae(&std::mem::take(&mut phrase))));
                }
                match char {
                    '{' => blank = Some(String::new()),
                    '/' | ' ' => {}
                    mark => pieces.push(Piece::Rest(mark)),
                }
            }
            (_, None) => phrase.push(char),
        }
    }
    if !phrase.is_empty() {
        pieces.push(Piece::Phrase(morae(&phrase)));
    }
    pieces
}

/// The pitch of Tokyo: the first mora is low unless the accent is on it, then it is high up to the
/// accent, or to the end if there is none.
fn morae(phrase: &str) -> Vec<Mora> {
    let mut texts: Vec<String> = Vec::new();
    let mut accent = None;
    for char in phrase.chars() {
        match char {
            '\'' => accent = Some(texts.len()),
            'ァ' | 'ィ' | 'ゥ' | 'ェ' | 'ォ' | 'ャ' | 'ュ' | 'ョ' | 'ヮ' => {
                match texts.last_mut() {
                    Some(last) => last.push(char),
                    None => texts.push(char.to_string()),
                }
            }
            other => texts.push(other.to_string()),
        }
    }
    let last_high = accent.unwrap_or(texts.len());
    texts
        .into_iter()
        .zip(1..)
        .map(|(text, position)| Mora {
            text,
            is_high: position <= last_high && (position > 1 || last_high == 1),
            falls: accent == Some(position),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `L` and `H` per mora, `!` where the pitch falls.
    fn melody(kana: &str) -> String {
        let letter = |mora: &Mora| {
            let pitch = if mora.is_high { "H" } else { "L" };
            if mora.falls { format!("{pitch}!") } else { pitch.to_owned() }
        };
        let piece = |piece: &Piece| match piece {
            Piece::Phrase(morae) => morae.iter().map(letter).collect(),
            Piece::Blank(name) => format!("{{{name}}}"),
            Piece::Rest(mark) => mark.to_string(),
        };
        pieces(kana).iter().map(piece).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_pitch_rises_after_the_first_mora_and_falls_after_the_accent() {
        for (kana, expected) in [
            ("ハ'シ", "H!L"),
            ("ハシ'", "LH!"),
            ("ハシ", "LH"),
            ("キョ'ーワ", "H!LL"),
            ("ミナトホケ'ンジョ", "LHHHH!LL"),
            ("タイオンワ/{temperature}デ'スネ。", "LHHHH {temperature} H!LL 。"),
            ("", ""),
        ] {
            assert_eq!(melody(kana), expected, "{kana}");
        }
    }
}
