//! Accent-marked katakana: how a prompt is pronounced, written so that a person can check it.
//!
//! | mark | meaning |
//! |---|---|
//! | `'` | the pitch falls after this mora; a phrase without it is flat |
//! | `/` or a space | a new accent phrase begins, without a rest |
//! | `、` | a short rest |
//! | `・` | the longer rest between two 文節 that helps old ears |
//! | `…` | a second of silence, as before a key is named |
//! | `。` | the end of a sentence |
//! | `？` | the end of a question, with a rising voice |
//!
//! `サンジューロク'ド/ゴ'ブデスネ。` is 三十六度五分ですね。

use crate::base::Bilingual;
use jpreprocess_core::pronunciation::{Mora, MoraEnum, Pronunciation};

/// More morae than any sentence for the telephone has; the cost of a sentence grows faster than
/// its length.
const MAX_MORAE_IN_SENTENCE: usize = 300;

/// A pronunciation that the voice can say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kana {
    /// At least one; each has at least one mora.
    pub sentences: Vec<Sentence>,
}

/// A sentence: it is synthesised as a whole, with one melody.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sentence {
    /// What is said in one breath, in order.
    pub groups: Vec<BreathGroup>,
    /// Whether the voice rises at the end.
    pub is_question: bool,
    /// The silence that follows, unless it is the last sentence.
    pub rest: Rest,
}

/// Accent phrases said in one breath.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BreathGroup {
    /// Morae and accent of each phrase.
    pub phrases: Vec<Pronunciation>,
    /// The silence that follows, unless the sentence ends here.
    pub rest: Rest,
}

/// How long the voice rests; a [`Pace`](super::Pace) says how long that is.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rest {
    /// `、`
    #[default]
    Comma,
    /// `、` between two digits that are said one by one, as in a key-press example.
    Digits,
    /// `・`
    Phrase,
    /// `。` or `？`
    Sentence,
    /// `…`
    Long,
}

/// Why a pronunciation cannot be said.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KanaError {
    /// A character that is neither a mora nor a mark.
    #[error("`{0}` is not a katakana mora")]
    UnknownMora(String),
    /// `'` where no mora precedes.
    #[error("the accent mark ' must follow a mora")]
    StrayAccent,
    /// More than one `'` in a phrase.
    #[error("two accent marks in the phrase `{0}`: separate phrases with /")]
    TwoAccents(String),
    /// `ー` at the beginning.
    #[error("`ー` at the beginning of `{0}` has nothing to lengthen")]
    NothingToLengthen(String),
    /// There are marks only, or nothing.
    #[error("nothing to say")]
    Silent,
    /// A sentence longer than the telephone, and the voice, can bear.
    #[error("a sentence of {0} morae is too long; at most {MAX_MORAE_IN_SENTENCE}")]
    TooLong(usize),
}

impl KanaError {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::UnknownMora(text) => format!("{text} はカタカナの一拍ではありません"),
            Self::StrayAccent => "アクセントの印 ' は、拍のすぐ後に書いてください".to_owned(),
            Self::TwoAccents(phrase) => {
                format!("{phrase} にアクセントの印が二つあります。/ で区切ってください")
            }
            Self::NothingToLengthen(phrase) => {
                format!("{phrase} の頭の ー には、伸ばす音がありません")
            }
            Self::Silent => "読む文がありません".to_owned(),
            Self::TooLong(n) => {
                format!("一文が {n} 拍で長すぎます({MAX_MORAE_IN_SENTENCE} 拍まで)")
            }
        };
        Bilingual::composed(ja, self.to_string())
    }
}

impl Kana {
    /// Reads accent-marked katakana.
    pub fn parse(text: &str) -> Result<Self, KanaError> {
        let mut sentences = Vec::new();
        let mut sentence = Sentence::default();
        let mut group = BreathGroup::default();
        let mut rest = None;
        for token in tokens(text) {
            match token {
                Token::Phrase(phrase) => {
                    // A rest takes effect when speech goes on, so that marks may be combined.
                    if let Some(rest) = rest.take() {
                        end_group(&mut group, &mut sentence, rest);
                        if rest >= Rest::Sentence || sentence.is_question {
                            end_sentence(&mut sentence, &mut sentences, rest);
                        }
                    }
                    group.phrases.push(pronunciation(phrase, group.phrases.is_empty())?);
                }
                Token::Rest(mark) => rest = rest.max(Some(mark)),
                Token::Question => {
                    rest = rest.max(Some(Rest::Sentence));
                    sentence.is_question = !group.phrases.is_empty();
                }
            }
        }
        end_group(&mut group, &mut sentence, Rest::Comma);
        end_sentence(&mut sentence, &mut sentences, Rest::Sentence);
        if sentences.is_empty() {
            return Err(KanaError::Silent);
        }
        match sentences.iter().map(Sentence::n_morae).find(|n| *n > MAX_MORAE_IN_SENTENCE) {
            Some(n_morae) => Err(KanaError::TooLong(n_morae)),
            None => Ok(Self { sentences }),
        }
    }

    /// How many morae are said.
    pub fn n_morae(&self) -> usize {
        self.sentences.iter().map(Sentence::n_morae).sum()
    }
}

impl Sentence {
    /// How many morae are said.
    pub fn n_morae(&self) -> usize {
        let phrases = self.groups.iter().flat_map(|group| &group.phrases);
        phrases.map(Pronunciation::mora_size).sum()
    }

    /// The rest after each breath group but the last.
    pub fn rests(&self) -> impl Iterator<Item = Rest> {
        self.groups.windows(2).map(|pair| match pair {
            [before, after] if before.rest == Rest::Comma => {
                let counts = before.is_digit() && after.begins_with_digit();
                if counts { Rest::Digits } else { Rest::Comma }
            }
            [before, ..] => before.rest,
            [] => Rest::Comma,
        })
    }
}

impl BreathGroup {
    fn is_digit(&self) -> bool {
        matches!(self.phrases.as_slice(), [only] if is_digit(&only.to_pure_string()))
    }

    /// Whether it is, or opens with, a digit: `ゴ` and `ゴデス` both do.
    fn begins_with_digit(&self) -> bool {
        let first = self.phrases.first().map(Pronunciation::to_pure_string).unwrap_or_default();
        is_digit(&first) || is_digit(first.trim_end_matches("デス"))
    }
}

fn is_digit(reading: &str) -> bool {
    const DIGITS: [&str; 17] = [
        "ゼロ",
        "レイ",
        "レー",
        "イチ",
        "ニ",
        "ニー",
        "サン",
        "ヨン",
        "シ",
        "ゴ",
        "ゴー",
        "ロク",
        "ナナ",
        "シチ",
        "ハチ",
        "キュー",
        "ク",
    ];
    DIGITS.contains(&reading)
}

fn end_group(group: &mut BreathGroup, sentence: &mut Sentence, rest: Rest) {
    if !group.phrases.is_empty() {
        group.rest = rest;
        sentence.groups.push(std::mem::take(group));
    }
}

fn end_sentence(sentence: &mut Sentence, sentences: &mut Vec<Sentence>, rest: Rest) {
    if !sentence.groups.is_empty() {
        sentence.rest = rest;
        sentences.push(std::mem::take(sentence));
    }
}

enum Token<'a> {
    Phrase(&'a str),
    Rest(Rest),
    Question,
}

/// Cuts at the marks; the phrases between them may still be wrong.
fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    text.split_inclusive(is_mark).flat_map(|piece| {
        let phrase = piece.trim_end_matches(is_mark);
        let mark = piece.chars().next_back().and_then(|mark| match mark {
            '、' => Some(Token::Rest(Rest::Comma)),
            '・' => Some(Token::Rest(Rest::Phrase)),
            '…' => Some(Token::Rest(Rest::Long)),
            '。' => Some(Token::Rest(Rest::Sentence)),
            '？' => Some(Token::Question),
            _ => None,
        });
        let phrase = (!phrase.is_empty()).then_some(Token::Phrase(phrase));
        phrase.into_iter().chain(mark)
    })
}

/// Whether a character ends an accent phrase.
pub(super) fn is_mark(character: char) -> bool {
    matches!(character, '/' | ' ' | '　' | '\n' | '、' | '・' | '…' | '。' | '？')
}

fn pronunciation(phrase: &str, is_first: bool) -> Result<Pronunciation, KanaError> {
    let (before, after) = phrase.split_once('\'').unwrap_or(("", phrase));
    if after.contains('\'') {
        return Err(KanaError::TwoAccents(phrase.to_owned()));
    }
    if before.is_empty() && phrase.contains('\'') {
        return Err(KanaError::StrayAccent);
    }
    let accent = morae(before)?.len();
    let all = morae(before)?.into_iter().chain(morae(after)?).collect::<Vec<_>>();
    if is_first && all.first().is_some_and(|mora| mora.mora_enum == MoraEnum::Long) {
        return Err(KanaError::NothingToLengthen(phrase.to_owned()));
    }
    Ok(Pronunciation::new(all, accent))
}

/// Splits katakana into morae: two characters where they form one, such as `キョ`, else one.
fn morae(katakana: &str) -> Result<Vec<Mora>, KanaError> {
    let mut found = Vec::new();
    let mut rest = katakana;
    while let Some(first) = rest.chars().next() {
        let one = first.len_utf8();
        let two = rest.chars().nth(1).map(|second| one + second.len_utf8());
        let taken = [two, Some(one)].into_iter().flatten().find_map(|length| {
            let (mora, rest) = rest.split_at(length);
            Some((mora_of(mora)?, rest))
        });
        let Some((mora, after)) = taken else {
            return Err(KanaError::UnknownMora(first.to_string()));
        };
        found.push(mora);
        rest = after;
    }
    Ok(found)
}

fn mora_of(text: &str) -> Option<Mora> {
    let is_katakana = text.chars().all(|character| matches!(character, 'ァ'..='ヶ' | 'ー'));
    if !is_katakana || !Pronunciation::is_mora_convertable(text) {
        return None;
    }
    match Pronunciation::parse(text, 0).ok()?.moras() {
        [mora] => Some(mora.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// Writes what was understood: phrases with accents in brackets, rests in words.
    fn shown(text: &str) -> String {
        let kana = match Kana::parse(text) {
            Ok(kana) => kana,
            Err(error) => return error.to_string(),
        };
        let mut shown = String::new();
        for sentence in &kana.sentences {
            let mut rests = sentence.rests();
            for group in &sentence.groups {
                for phrase in &group.phrases {
                    write!(shown, "{}[{}] ", phrase.to_pure_string(), phrase.accent()).unwrap();
                }
                if let Some(rest) = rests.next() {
                    write!(shown, "{rest:?} ").unwrap();
                }
            }
            let mark = if sentence.is_question { "?" } else { "" };
            write!(shown, "{:?}{mark} ", sentence.rest).unwrap();
        }
        shown.trim_end().to_owned()
    }

    #[test]
    fn marks_are_understood() {
        for (text, expected) in [
            ("サンジューロク'ド/ゴ'ブデスネ。", "サンジューロクド[6] ゴブデスネ[1] Sentence"),
            ("ハ'イ、イーエ", "ハイ[1] Comma イーエ[0] Sentence"),
            ("ア。イ？ウ", "ア[0] Sentence イ[0] Sentence? ウ[0] Sentence"),
            ("タイオンオ・オシテ", "タイオンオ[0] Phrase オシテ[0] Sentence"),
            ("デ'スカ。…ハ'イワ", "デスカ[1] Long ハイワ[1] Sentence"),
            ("サン、ロク、ゴ'デス", "サン[0] Digits ロク[0] Digits ゴデス[1] Sentence"),
            ("キョ'ー ノ/", "キョー[1] ノ[0] Sentence"),
            ("、。ア", "ア[0] Sentence"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_named() {
        for (text, expected) in [
            ("タイ温", "`温` is not a katakana mora"),
            ("たいおん", "`た` is not a katakana mora"),
            ("ABC", "`A` is not a katakana mora"),
            ("'ア", "the accent mark ' must follow a mora"),
            ("ア'イ'ウ", "two accent marks in the phrase `ア'イ'ウ`: separate phrases with /"),
            ("ア、ーイ", "`ー` at the beginning of `ーイ` has nothing to lengthen"),
            ("、。", "nothing to say"),
            (&"ア".repeat(301), "a sentence of 301 morae is too long; at most 300"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ア-ヶー'/、。？・…a-z ]{0,40}|\\PC{0,20}") {
            if let Ok(kana) = Kana::parse(&text) {
                prop_assert!(kana.n_morae() > 0);
                for sentence in &kana.sentences {
                    prop_assert!(sentence.groups.iter().all(|group| !group.phrases.is_empty()));
                }
            }
        }
    }
}
