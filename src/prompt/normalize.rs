//! Text as people write it, turned into text that the dictionary reads aloud correctly.
//!
//! The dictionary reads 36度5分 as ゴフン, 0時 as ゼロジ, 119番 as ヒャクジューキュー and # not at all.

use std::iter::Peekable;

use unicode_normalization::UnicodeNormalization;

/// Kanji of names that the dictionary does not have, and the forms that it has.
const VARIANTS: [(char, char); 11] = [
    ('髙', '高'),
    ('﨑', '崎'),
    ('濵', '浜'),
    ('濱', '浜'),
    ('邊', '辺'),
    ('邉', '辺'),
    ('栁', '柳'),
    ('𠮷', '吉'),
    ('德', '徳'),
    ('瀨', '瀬'),
    ('齊', '斉'),
];

/// Words that are read wrongly, and spellings that are read right.
const WORDS: [(&str, &str); 9] = [
    ("の方は", "のカタは"),
    ("の方が", "のカタが"),
    ("土日", "土曜日曜"),
    ("COVID-19", "コビッドナインティーン"),
    ("HER-SYS", "ハーシス"),
    ("SpO2", "エスピーオーツー"),
    ("血中", "ケッチュー"),
    ("TEL", "電話"),
    ("FAX", "ファックス"),
];

const WEEKDAYS: &str = "月火水木金土日";

/// Rewrites a text for the dictionary.
pub(super) fn normalize(text: &str) -> String {
    // NFKC would turn ℃ into °C, which is read letter by letter.
    let text = text.replace('℃', "度").replace("°C", "度").replace('…', "、");
    let text: String = text.nfkc().map(usual_form).collect();
    let text = WORDS.iter().fold(text, |text, (from, to)| text.replace(from, to));
    let text = weekday_lists(&text);
    let pieces = pieces(&text);
    rewrite(&pieces)
}

fn usual_form(character: char) -> char {
    match character {
        '−' | '‐' | '‑' | '–' => '-',
        '〜' => '~',
        _ => VARIANTS.iter().find(|(from, _)| *from == character).map_or(character, |(_, to)| *to),
    }
}

/// A run of digits, or one other character.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Number(String),
    Other(char),
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for character in text.chars() {
        match pieces.last_mut() {
            Some(Piece::Number(digits)) if character.is_ascii_digit() => digits.push(character),
            _ if character.is_ascii_digit() => pieces.push(Piece::Number(character.to_string())),
            _ => pieces.push(Piece::Other(character)),
        }
    }
    pieces
}

/// Rewrites piece by piece; each pattern takes as many pieces as it understands.
fn rewrite(pieces: &[Piece]) -> String {
    use Piece::{Number, Other};
    let mut text = String::new();
    let mut rest = pieces;
    while let [first, others @ ..] = rest {
        let counted = text.chars().next_back().is_some_and(is_counter);
        let (written, taken) = match rest {
            // 36度5分
            [Other('度'), tenth, Other('分'), ..] => tenths(tenth),
            [Other('#'), Number(digits), ..] => (format!("シャープ、{}", key_by_key(digits)), 2),
            [Other('#'), ..] => ("シャープ".to_owned(), 1),
            [Other('*'), ..] => ("コメジルシ".to_owned(), 1),
            // 2026/11/22(土), 11/22
            [Number(year), Other('/'), Number(month), Other('/'), Number(day), ..]
                if is_date(month, day) =>
            {
                (format!("{year}年{}月{}日", plain(month), plain(day)), 5)
            }
            [Number(month), Other('/'), Number(day), ..] if is_date(month, day) => {
                (format!("{}月{}日", plain(month), plain(day)), 3)
            }
            [Other('('), Other(weekday), Other(')'), ..] if WEEKDAYS.contains(*weekday) => {
                (format!("{weekday}曜日"), 3)
            }
            // 10:30
            [Number(hour), Other(':'), Number(minute), ..] if is_clock(hour, minute) => {
                (clock(hour, minute), 3)
            }
            [Number(zero), Other('時'), ..] if zero.bytes().all(|digit| digit == b'0') => {
                ("零時".to_owned(), 2)
            }
            [Number(digits), Other('番'), ..]
                if matches!(digits.as_str(), "110" | "118" | "119") =>
            {
                (format!("{}番", emergency(digits)), 2)
            }
            // (03)1234-5678
            [Other('('), Number(area), Other(')'), Number(local), ..] if area.starts_with('0') => {
                (format!("{area}-{local}"), 4)
            }
            [Other('~'), Number(_), ..] if counted => ("から".to_owned(), 1),
            [Other('~'), ..] => ("ー".to_owned(), 1),
            [Number(digits), ..] => (digits.clone(), 1),
            _ => (character(first).to_string(), 1),
        };
        text.push_str(&written);
        rest = others.get(taken - 1..).unwrap_or_default();
    }
    text
}

fn character(piece: &Piece) -> char {
    match piece {
        Piece::Other(character) => *character,
        Piece::Number(_) => ' ',
    }
}

/// Whether `~` after it means から: 10〜15日, 9時〜17時.
fn is_counter(character: char) -> bool {
    character.is_ascii_digit() || "時分日月年度回人曜".contains(character)
}

/// `度` and tenths of a degree: ブ, not フン.
fn tenths(tenth: &Piece) -> (String, usize) {
    match tenth {
        Piece::Number(digits) if digits == "0" => ("度ちょうど".to_owned(), 3),
        Piece::Number(digits) if digits.len() == 1 => (format!("度{digits}ぶ"), 3),
        Piece::Other('〇' | '零') => ("度ちょうど".to_owned(), 3),
        Piece::Other(digit) if "一二三四五六七八九".contains(*digit) => {
            (format!("度{digit}ぶ"), 3)
        }
        _ => ("度".to_owned(), 1),
    }
}

fn is_date(month: &str, day: &str) -> bool {
    let within = |digits: &str, last: u8| digits.parse().is_ok_and(|n: u8| (1..=last).contains(&n));
    within(month, 12) && within(day, 31)
}

fn is_clock(hour: &str, minute: &str) -> bool {
    let below = |digits: &str, end: u8| digits.parse().is_ok_and(|n: u8| n < end);
    minute.len() == 2 && below(hour, 25) && below(minute, 60)
}

fn clock(hour: &str, minute: &str) -> String {
    let hour = if plain(hour) == "0" { "零" } else { plain(hour) };
    match plain(minute) {
        "0" => format!("{hour}時"),
        minute => format!("{hour}時{minute}分"),
    }
}

/// Without zeros in front.
fn plain(digits: &str) -> &str {
    let plain = digits.trim_start_matches('0');
    if plain.is_empty() { "0" } else { plain }
}

/// Each key alone, for those who press it while they listen.
fn key_by_key(digits: &str) -> String {
    digits.chars().map(digit_name).collect::<Vec<_>>().join("、")
}

fn emergency(digits: &str) -> String {
    digits.chars().map(digit_name).collect()
}

fn digit_name(digit: char) -> &'static str {
    match digit {
        '0' => "ゼロ",
        '1' => "イチ",
        '2' => "ニー",
        '3' => "サン",
        '4' => "ヨン",
        '5' => "ゴー",
        '6' => "ロク",
        '7' => "ナナ",
        '8' => "ハチ",
        _ => "キュー",
    }
}

/// 土・日・祝日 → 土曜、日曜、祝日.
fn weekday_lists(text: &str) -> String {
    let is_day = |character: char| WEEKDAYS.contains(character) || character == '祝';
    let mut rewritten = String::new();
    let mut characters = text.chars().peekable();
    let mut in_list = false;
    while let Some(character) = characters.next() {
        let next = peek(&mut characters);
        match character {
            '・' if in_list && next.is_some_and(is_day) => rewritten.push('、'),
            _ if is_day(character) && (next == Some('・') || in_list) => {
                in_list = next == Some('・');
                rewritten.push(character);
                match (character, next) {
                    ('祝', Some('日')) => {}
                    ('祝', _) => rewritten.push('日'),
                    (_, Some('曜')) => {}
                    _ => rewritten.push('曜'),
                }
            }
            _ => {
                in_list = false;
                rewritten.push(character);
            }
        }
    }
    rewritten
}

fn peek(characters: &mut Peekable<std::str::Chars<'_>>) -> Option<char> {
    characters.peek().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_is_rewritten_for_the_dictionary() {
        for (text, expected) in [
            ("36度5分です", "36度5ぶです"),
            ("三十七度八分", "三十七度八ぶ"),
            ("３６度５分", "36度5ぶ"),
            ("38度0分", "38度ちょうど"),
            ("約10分", "約10分"),
            ("15度30分", "15度30分"),
            ("36.5℃", "36.5度"),
            ("午前0時", "午前零時"),
            ("午前10時", "午前10時"),
            ("10:30、9:05、0:00", "10時30分、9時5分、零時"),
            ("11/22(土)", "11月22日土曜日"),
            ("2025/04/01", "2025年4月1日"),
            ("10～15日", "10から15日"),
            ("9時〜17時", "9時から17時"),
            ("は〜い", "はーい"),
            ("土・日・祝日", "土曜、日曜、祝日"),
            ("月・水・金曜日", "月曜、水曜、金曜日"),
            ("＃を押す、*を押す", "シャープを押す、コメジルシを押す"),
            ("#7119", "シャープ、ナナ、イチ、イチ、キュー"),
            ("119番へ", "イチイチキュー番へ"),
            ("120番", "120番"),
            ("(03)1234-5678", "03-1234-5678"),
            ("０３－１２３４－５６７８", "03-1234-5678"),
            ("①はい", "1はい"),
            ("髙橋、山﨑", "高橋、山崎"),
            ("はいの方は", "はいのカタは"),
            ("ﾎｹﾝｼﾞｮ", "ホケンジョ"),
            ("", ""),
        ] {
            assert_eq!(normalize(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_rewritten(text in "[0-9度分時:/()~#*土日・祝月 a-z]{0,20}|\\PC{0,20}") {
            let once = normalize(&text);
            prop_assert!(!once.contains(['#', '*', '~', '℃']));
        }
    }
}
