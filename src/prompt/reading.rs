//! How numbers, times, telephone numbers and names are read aloud, as accent-marked katakana.
//!
//! Values are never left to the dictionary: it reads 五分 as ゴフン and 0時 as ゼロジ.

use jiff::civil::{Date, DateTime, Time};

use crate::base::Bilingual;

/// Morphemes that begin with ウ: the ウ of イノウエ does not lengthen the ノ before it.
const BEGINS_WITH_U: [&str; 3] = ["ウエ", "ウチ", "ウラ"];

/// Why a value cannot be read. It does not show the value, which may belong to a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadingError {
    /// Above 99.9 degrees.
    #[error("the temperature is out of range")]
    Temperature,
    /// Above 100 percent.
    #[error("the oxygen saturation is out of range")]
    Spo2,
    /// Something other than digits, `+`, `#`, `*` and separators.
    #[error("the telephone number has a character that cannot be read")]
    PhoneNumber,
    /// Neither katakana nor hiragana.
    #[error("the name is not in kana")]
    FamilyName,
}

impl ReadingError {
    /// For the person who has to mend it.
    pub fn explanation(self) -> Bilingual {
        let ja = match self {
            Self::Temperature => "体温が範囲の外です".to_owned(),
            Self::Spo2 => "SpO2 が範囲の外です".to_owned(),
            Self::PhoneNumber => "電話番号に読めない文字があります".to_owned(),
            Self::FamilyName => "名前がカナではありません".to_owned(),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// Reads a temperature in tenths of a degree: 375 → `サ'ンジュー/ナナ'ド/ゴ'ブ`.
pub fn temperature(tenths: u16) -> Result<String, ReadingError> {
    const BU: [&str; 10] = [
        "チョード",
        "イチ'ブ",
        "ニ'ブ",
        "サ'ンブ",
        "ヨ'ンブ",
        "ゴ'ブ",
        "ロク'ブ",
        "ナナ'ブ",
        "ハチ'ブ",
        "キュ'ーブ",
    ];
    const DO: [&str; 10] = [
        "レ'ード",
        "イチ'ド",
        "ニ'ド",
        "サ'ンド",
        "ヨ'ンド",
        "ゴ'ド",
        "ロク'ド",
        "ナナ'ド",
        "ハチ'ド",
        "キュ'ード",
    ];
    let (degrees, tenth) = (usize::from(tenths / 10), usize::from(tenths % 10));
    let degrees = match (degrees / 10, degrees % 10) {
        (10.., _) => return Err(ReadingError::Temperature),
        (0, unit) => DO[unit].to_owned(),
        (ten, 0) => format!("{}'ード", TENS[ten].trim_end_matches('ー')),
        (ten, unit) => format!("{}{}", ACCENTED_TENS[ten], DO[unit]),
    };
    Ok(format!("{degrees}/{}", BU[tenth]))
}

/// Reads an oxygen saturation: 96 → `キュ'ージュー/ロクパーセ'ント`.
pub fn spo2(percent: u8) -> Result<String, ReadingError> {
    let number = match (usize::from(percent / 10), usize::from(percent % 10)) {
        (0, 0) => "レー".to_owned(),
        (10, 0) => "ヒャク".to_owned(),
        (10.., _) => return Err(ReadingError::Spo2),
        // ニジュッパーセント, but ニジューイチパーセント.
        (ten, 0) => format!("{}ッ", TENS[ten].trim_end_matches('ー')),
        (ten, unit) => format!("{}{}", ACCENTED_TENS[ten], UNITS[unit]),
    };
    Ok(format!("{number}パーセ'ント"))
}

/// Reads a telephone number digit by digit, with a rest at each hyphen.
pub fn phone_number(number: &str) -> Result<String, ReadingError> {
    let groups = phone_groups(number)?;
    let groups = groups.iter().map(|group| {
        let digits: Option<Vec<&str>> = group.chars().map(phone_digit).collect();
        digits.map(|digits| digits.join("/")).ok_or(ReadingError::PhoneNumber)
    });
    Ok(groups.collect::<Result<Vec<_>, _>>()?.join("、"))
}

/// The digits between the hyphens; where none are written, the usual ones.
fn phone_groups(number: &str) -> Result<Vec<String>, ReadingError> {
    let domestic = match number.strip_prefix("+81") {
        Some(rest) => format!("0{}", rest.trim_start_matches('-')),
        None => number.to_owned(),
    };
    let is_separator =
        |character: char| matches!(character, '-' | '(' | ')' | ' ' | '‐' | '−' | '－');
    let groups: Vec<String> =
        domestic.split(is_separator).filter(|group| !group.is_empty()).map(str::to_owned).collect();
    let digits = match groups.as_slice() {
        [] => return Err(ReadingError::PhoneNumber),
        [digits] => digits,
        _ => return Ok(groups),
    };
    // Key by key after #: a patient types it while listening.
    if digits.starts_with(['#', '*']) {
        return Ok(digits.chars().map(String::from).collect());
    }
    let widths: &[usize] = match digits.len() {
        11 => &[3, 4, 4],
        10 if digits.starts_with("0120") || digits.starts_with("0800") => &[4, 3, 3],
        10 if digits.starts_with("03") || digits.starts_with("06") => &[2, 4, 4],
        10 => &[3, 3, 4],
        _ => return Ok(groups),
    };
    let mut characters = digits.chars();
    Ok(widths.iter().map(|width| characters.by_ref().take(*width).collect()).collect())
}

fn phone_digit(digit: char) -> Option<&'static str> {
    Some(match digit {
        '0' => "ゼ'ロ",
        '1' => "イチ'",
        '2' => "ニ'ー",
        '3' => "サ'ン",
        '4' => "ヨ'ン",
        '5' => "ゴ'ー",
        '6' => "ロク'",
        '7' => "ナ'ナ",
        '8' => "ハチ'",
        '9' => "キュ'ー",
        '#' => "シャ'ープ",
        '*' => "コメジ'ルシ",
        _ => return None,
    })
}

/// Reads a time of day with its day: `キョ'ー/ゴ'ゴ/サ'ンジ`, or the date if it is not today or
/// tomorrow.
pub fn moment(at: DateTime, today: Date) -> String {
    format!("{}/{}", day(at.date(), today), time(at.time()))
}

fn day(day: Date, today: Date) -> String {
    if day == today {
        "キョ'ー".to_owned()
    } else if today.tomorrow().is_ok_and(|tomorrow| day == tomorrow) {
        "アス'".to_owned()
    } else {
        format!("{}/{}", MONTHS[index(day.month()) - 1], DAYS[index(day.day()) - 1])
    }
}

fn time(time: Time) -> String {
    const HOURS: [&str; 12] = [
        "レ'ージ",
        "イチ'ジ",
        "ニ'ジ",
        "サ'ンジ",
        "ヨ'ジ",
        "ゴ'ジ",
        "ロク'ジ",
        "シチ'ジ",
        "ハチ'ジ",
        "ク'ジ",
        "ジュ'ージ",
        "ジューイチ'ジ",
    ];
    let (hour, minute) = (index(time.hour()), index(time.minute()));
    if (hour, minute) == (12, 0) {
        return "ショ'ーゴ".to_owned();
    }
    let half_day = if hour < 12 { "ゴ'ゼン" } else { "ゴ'ゴ" };
    let hour = HOURS[hour % 12];
    match minute {
        0 => format!("{half_day}/{hour}"),
        30 => format!("{half_day}/{}ハ'ン", hour.replace('\'', "")),
        _ => format!("{half_day}/{hour}/{}", minutes(minute)),
    }
}

fn minutes(minute: usize) -> String {
    const FUN: [&str; 10] = [
        "",
        "イ'ップン",
        "ニ'フン",
        "サ'ンプン",
        "ヨ'ンプン",
        "ゴ'フン",
        "ロ'ップン",
        "ナナ'フン",
        "ハ'ップン",
        "キュ'ーフン",
    ];
    match (minute / 10, minute % 10) {
        (ten, 0) => format!("{}'ップン", TENS[ten].trim_end_matches('ー')),
        (ten, unit) => format!("{}{}", TENS[ten], FUN[unit]),
    }
}

/// Reads a family name given in kana. It is said flat, as most are.
pub fn family_name(kana: &str) -> Result<String, ReadingError> {
    let katakana = katakana(kana.trim());
    let names = katakana.split([' ', '　', '・', '＝']).filter(|name| !name.is_empty());
    let names: Vec<String> = names.map(lengthen).collect();
    let reading = names.join("/");
    let can_be_said = !reading.is_empty()
        && !reading.contains(['\'', '。', '、', '？', '…'])
        && super::Kana::parse(&reading).is_ok();
    if can_be_said { Ok(reading) } else { Err(ReadingError::FamilyName) }
}

/// Turns hiragana into katakana and leaves all else.
pub(super) fn katakana(text: &str) -> String {
    let shift = |character: char| match character {
        // The two blocks have the same order, 0x60 apart.
        'ぁ'..='ゖ' => char::from_u32(u32::from(character) + 0x60).unwrap_or(character),
        _ => character,
    };
    text.chars().map(shift).collect()
}

/// Writes a vowel that lengthens the one before as `ー`: タロウ → タロー, オオノ → オーノ.
fn lengthen(name: &str) -> String {
    const O_ROW: &str = "オコソトノホモヨロゴゾドボポョ";
    const U_ROW: &str = "ウクスツヌフムユルグズヅブプュ";
    let mut read = String::with_capacity(name.len());
    let mut previous = None;
    for (at, character) in name.char_indices() {
        let rest = name.get(at..).unwrap_or_default();
        let of_o = previous.is_some_and(|before| O_ROW.contains(before));
        let of_u = previous.is_some_and(|before| U_ROW.contains(before));
        let next_word = previous == Some('ノ') && BEGINS_WITH_U.contains(&rest);
        let lengthens = match character {
            'ウ' => (of_o && !next_word) || of_u,
            'オ' => of_o,
            _ => false,
        };
        read.push(if lengthens { 'ー' } else { character });
        previous = (!lengthens).then_some(character);
    }
    read
}

const TENS: [&str; 10] = [
    "",
    "ジュー",
    "ニジュー",
    "サンジュー",
    "ヨンジュー",
    "ゴジュー",
    "ロクジュー",
    "ナナジュー",
    "ハチジュー",
    "キュージュー",
];

/// Tens before a unit. Each is a phrase of its own, but ジュー.
const ACCENTED_TENS: [&str; 10] = [
    "",
    "ジュー",
    "ニ'ジュー/",
    "サ'ンジュー/",
    "ヨ'ンジュー/",
    "ゴジュ'ー/",
    "ロクジュ'ー/",
    "ナナ'ジュー/",
    "ハチジュ'ー/",
    "キュ'ージュー/",
];

const UNITS: [&str; 10] =
    ["", "イチ", "ニ", "サン", "ヨン", "ゴ", "ロク", "ナナ", "ハチ", "キュー"];

const MONTHS: [&str; 12] = [
    "イチガツ'",
    "ニガツ'",
    "サ'ンガツ",
    "シガツ'",
    "ゴ'ガツ",
    "ロクガツ'",
    "シチガツ'",
    "ハチガツ'",
    "ク'ガツ",
    "ジューガツ'",
    "ジューイチガツ'",
    "ジューニガツ'",
];

const DAYS: [&str; 31] = [
    "ツイタチ'",
    "フツカ",
    "ミッカ",
    "ヨッカ",
    "イツカ",
    "ムイカ",
    "ナノカ",
    "ヨーカ",
    "ココノカ'",
    "トーカ",
    "ジューイチニチ'",
    "ジューニニチ'",
    "ジューサ'ンニチ",
    "ジュ'ーヨッカ",
    "ジュ'ーゴニチ",
    "ジューロクニチ'",
    "ジューシチニチ'",
    "ジューハチニチ'",
    "ジュ'ークニチ",
    "ハツカ",
    "ニ'ジュー/イチニチ'",
    "ニ'ジュー/ニニチ'",
    "ニ'ジュー/サ'ンニチ",
    "ニ'ジュー/ヨッカ",
    "ニ'ジュー/ゴ'ニチ",
    "ニ'ジュー/ロクニチ'",
    "ニ'ジュー/シチニチ'",
    "ニ'ジュー/ハチニチ'",
    "ニ'ジュー/ク'ニチ",
    "サンジュ'ーニチ",
    "サ'ンジュー/イチニチ'",
];

/// A civil field as an index: months, days, hours and minutes are never negative.
fn index(field: i8) -> usize {
    usize::from(field.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time as clock};

    use super::*;
    use crate::prompt::Kana;

    #[test]
    fn temperatures_are_read_with_do_and_bu() {
        for (tenths, expected) in [
            (375, "サ'ンジュー/ナナ'ド/ゴ'ブ"),
            (380, "サ'ンジュー/ハチ'ド/チョード"),
            (361, "サ'ンジュー/ロク'ド/イチ'ブ"),
            (369, "サ'ンジュー/ロク'ド/キュ'ーブ"),
            (344, "サ'ンジュー/ヨ'ンド/ヨ'ンブ"),
            (400, "ヨンジュ'ード/チョード"),
            (402, "ヨンジュ'ード/ニ'ブ"),
            (418, "ヨ'ンジュー/イチ'ド/ハチ'ブ"),
            (5, "レ'ード/ゴ'ブ"),
        ] {
            assert_eq!(temperature(tenths), Ok(expected.to_owned()), "{tenths}");
        }
        assert_eq!(temperature(1000), Err(ReadingError::Temperature));
    }

    #[test]
    fn saturations_are_read_in_percent() {
        for (percent, expected) in [
            (96, "キュ'ージュー/ロクパーセ'ント"),
            (100, "ヒャクパーセ'ント"),
            (90, "キュージュッパーセ'ント"),
            (88, "ハチジュ'ー/ハチパーセ'ント"),
            (70, "ナナジュッパーセ'ント"),
            (9, "キューパーセ'ント"),
            (0, "レーパーセ'ント"),
        ] {
            assert_eq!(spo2(percent), Ok(expected.to_owned()), "{percent}");
        }
        assert_eq!(spo2(101), Err(ReadingError::Spo2));
    }

    #[test]
    fn telephone_numbers_are_read_digit_by_digit() {
        for (number, expected) in [
            ("03-1234-5678", "ゼ'ロ/サ'ン、イチ'/ニ'ー/サ'ン/ヨ'ン、ゴ'ー/ロク'/ナ'ナ/ハチ'"),
            ("+81312345678", "ゼ'ロ/サ'ン、イチ'/ニ'ー/サ'ン/ヨ'ン、ゴ'ー/ロク'/ナ'ナ/ハチ'"),
            ("(03)1234-5678", "ゼ'ロ/サ'ン、イチ'/ニ'ー/サ'ン/ヨ'ン、ゴ'ー/ロク'/ナ'ナ/ハチ'"),
            ("0120444113", "ゼ'ロ/イチ'/ニ'ー/ゼ'ロ、ヨ'ン/ヨ'ン/ヨ'ン、イチ'/イチ'/サ'ン"),
            (
                "09090000000",
                "ゼ'ロ/キュ'ー/ゼ'ロ、キュ'ー/ゼ'ロ/ゼ'ロ/ゼ'ロ、ゼ'ロ/ゼ'ロ/ゼ'ロ/ゼ'ロ",
            ),
            ("119", "イチ'/イチ'/キュ'ー"),
            ("#7119", "シャ'ープ、ナ'ナ、イチ'、イチ'、キュ'ー"),
        ] {
            assert_eq!(phone_number(number), Ok(expected.to_owned()), "{number}");
        }
        for number in ["", "-", "03-12a4", "代表"] {
            assert_eq!(phone_number(number), Err(ReadingError::PhoneNumber), "{number}");
        }
    }

    #[test]
    fn moments_are_read_relative_to_the_day() {
        let today = date(2026, 11, 22);
        for (day, hour, minute, spoken) in [
            (today, 15, 0, "キョ'ー/ゴ'ゴ/サ'ンジ"),
            (date(2026, 11, 23), 9, 0, "アス'/ゴ'ゼン/ク'ジ"),
            (date(2026, 11, 23), 0, 0, "アス'/ゴ'ゼン/レ'ージ"),
            (today, 12, 0, "キョ'ー/ショ'ーゴ"),
            (today, 12, 20, "キョ'ー/ゴ'ゴ/レ'ージ/ニジュ'ップン"),
            (today, 16, 30, "キョ'ー/ゴ'ゴ/ヨジハ'ン"),
            (today, 19, 45, "キョ'ー/ゴ'ゴ/シチ'ジ/ヨンジューゴ'フン"),
            (today, 10, 8, "キョ'ー/ゴ'ゼン/ジュ'ージ/ハ'ップン"),
            (date(2026, 12, 1), 9, 0, "ジューニガツ'/ツイタチ'/ゴ'ゼン/ク'ジ"),
            (date(2027, 4, 20), 9, 0, "シガツ'/ハツカ/ゴ'ゼン/ク'ジ"),
            (date(2027, 2, 14), 9, 0, "ニガツ'/ジュ'ーヨッカ/ゴ'ゼン/ク'ジ"),
            (date(2026, 11, 21), 9, 0, "ジューイチガツ'/ニ'ジュー/イチニチ'/ゴ'ゼン/ク'ジ"),
        ] {
            let at = day.to_datetime(clock(hour, minute, 0, 0));
            assert_eq!(moment(at, today), spoken);
        }
    }

    #[test]
    fn names_are_read_with_long_vowels() {
        for (kana, expected) in [
            ("カンザキ", "カンザキ"),
            ("さとう", "サトー"),
            ("コンドウ", "コンドー"),
            ("オオノ", "オーノ"),
            ("オオウチ", "オーウチ"),
            ("ユウキ", "ユーキ"),
            ("イノウエ", "イノウエ"),
            ("タケノウチ", "タケノウチ"),
            ("コウノ", "コーノ"),
            ("グエン・ティ", "グエン/ティ"),
        ] {
            assert_eq!(family_name(kana), Ok(expected.to_owned()), "{kana}");
        }
        for name in ["", "神崎", "Kanzaki", "カン'ザキ", "ー", "カンザキ。"] {
            assert_eq!(family_name(name), Err(ReadingError::FamilyName), "{name}");
        }
    }

    #[test]
    fn every_reading_can_be_said() {
        let today = date(2026, 1, 1);
        let temperatures = (0..=999).map(|tenths| temperature(tenths).unwrap());
        let saturations = (0..=100).map(|percent| spo2(percent).unwrap());
        let times = (0..24).flat_map(|hour| (0..60).map(move |minute| clock(hour, minute, 0, 0)));
        let times = times.map(|time| moment(today.to_datetime(time), today));
        let days = std::iter::successors(Some(today), |day| day.tomorrow().ok()).take(366);
        let days = days.map(|day| moment(day.to_datetime(clock(9, 0, 0, 0)), date(2025, 1, 1)));
        for reading in temperatures.chain(saturations).chain(times).chain(days) {
            assert!(Kana::parse(&reading).is_ok(), "{reading}");
        }
    }
}
