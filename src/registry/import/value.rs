//! What is in a cell: dates, times of day, yes or no, names.

use jiff::civil::{Date, Time, date};
use unicode_normalization::UnicodeNormalization;

use crate::base::{Bilingual, Language, PhoneNumber};
use crate::registry::arrangement::{Channel, Weekdays};
use crate::registry::{Gender, PhoneRole, RiskFlag};

/// What is wrong with a cell, and what staff can do about it. Never holds the cell's text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wrong {
    pub(super) what: Bilingual,
    pub(super) remedy: Bilingual,
}

/// `Wrong` from two sentences in two languages.
macro_rules! wrong {
    ($ja:literal, $en:literal; $remedy_ja:literal, $remedy_en:literal) => {
        Wrong { what: Bilingual::fixed($ja, $en), remedy: Bilingual::fixed($remedy_ja, $remedy_en) }
    };
}
pub(super) use wrong;

/// Half-width letters and digits, full-width kana, without blanks at either end, invisible marks,
/// and what a spreadsheet puts around a text (`'…` and `="…"`).
pub(super) fn normal(cell: &str) -> String {
    // NFKC would take voiced marks that stand alone apart from their kana.
    let joined: String = cell
        .chars()
        .filter(|char| !is_invisible(*char))
        .map(|char| match char {
            '゛' => '\u{3099}',
            '゜' => '\u{309a}',
            other => other,
        })
        .nfkc()
        .collect();
    let text = joined.trim();
    let text = text.strip_prefix("=\"").and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    text.strip_prefix('\'').unwrap_or(text).trim().to_owned()
}

pub(super) fn is_invisible(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
}

/// A date: Japanese eras, western years, with any separators, or eight digits.
pub(super) fn date_of(cell: &str) -> Result<Date, Wrong> {
    let text = normal(cell);
    // The midnight that spreadsheets add, and a weekday.
    let text = match text.rsplit_once([' ', 'T']) {
        Some((day, "0:00" | "00:00" | "0:00:00" | "00:00:00")) => day,
        Some(_) | None => &text,
    };
    let text = text.split_once('(').map_or(text, |(day, _)| day);
    let text: String = text.chars().filter(|char| !char.is_whitespace()).collect();
    let (era, rest) = Era::split(&text);
    if rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return compact(era, rest);
    }
    let rest = rest.replace("元年", "1年");
    let mut parts = rest.split(['年', '月', '日', '.', '/', '-', '−', '‐', 'ー']);
    let mut number = || parts.next().filter(|part| part.len() <= 4)?.parse::<i16>().ok();
    let (Some(year), Some(month), Some(day)) = (number(), number(), number()) else {
        return Err(not_a_date());
    };
    if parts.any(|part| !part.is_empty()) {
        return Err(not_a_date());
    }
    calendar(era, year, month, day)
}

/// `20210902` or `R030902`.
fn compact(era: Option<&'static Era>, digits: &str) -> Result<Date, Wrong> {
    let part = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i16>().ok();
    let parts = match (era, digits.len()) {
        (None, 8) => (part(0..4), part(4..6), part(6..8)),
        (Some(_), 6) => (part(0..2), part(2..4), part(4..6)),
        (None, 5) => {
            return Err(wrong!(
                "表計算ソフトの内部の日付番号になっています",
                "this is a spreadsheet's own number for a date";
                "列の書式を「日付」または「文字列」に直して保存し直してください（例 2021/9/2）",
                "format the column as a date or as text and save again (such as 2021/9/2)"
            ));
        }
        _ => return Err(not_a_date()),
    };
    let (Some(year), Some(month), Some(day)) = parts else { return Err(not_a_date()) };
    calendar(era, year, month, day)
}

fn calendar(era: Option<&'static Era>, year: i16, month: i16, day: i16) -> Result<Date, Wrong> {
    let western = match era {
        Some(era) => era.first.year() + year - 1,
        None if year >= 1000 => year,
        None => {
            return Err(wrong!(
                "年が西暦4桁でも元号付きでもありません",
                "the year has neither four digits nor an era";
                "西暦4桁（2021/9/2）か元号付き（令和3年9月2日、R3.9.2）で入力してください",
                "enter the year with four digits (2021/9/2) or with its era (R3.9.2)"
            ));
        }
    };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else {
        return Err(no_such_day());
    };
    let found = Date::new(western, month, day).map_err(|_| no_such_day())?;
    if era.is_some_and(|era| year < 1 || found < era.first || found > era.last) {
        return Err(wrong!(
            "その元号にない日付です",
            "the era has no such date";
            "元号と年を確認するか、西暦で入力してください",
            "check the era and the year, or enter the western year"
        ));
    }
    Ok(found)
}

fn not_a_date() -> Wrong {
    wrong!(
        "日付として読めません",
        "cannot be read as a date";
        "2021/9/2、2021-09-02、20210902、令和3年9月2日、R3.9.2 のいずれかの形で入力してください",
        "enter it as 2021/9/2, 2021-09-02, 20210902, 令和3年9月2日 or R3.9.2"
    )
}

fn no_such_day() -> Wrong {
    wrong!(
        "暦にない日付です",
        "there is no such day";
        "月と日を確認してください",
        "check the month and the day"
    )
}

/// A Japanese era.
struct Era {
    names: [&'static str; 3],
    first: Date,
    last: Date,
}

const ERAS: [Era; 4] = [
    Era { names: ["令和", "R", "r"], first: date(2019, 5, 1), last: Date::MAX },
    Era { names: ["平成", "H", "h"], first: date(1989, 1, 8), last: date(2019, 4, 30) },
    Era { names: ["昭和", "S", "s"], first: date(1926, 12, 25), last: date(1989, 1, 7) },
    Era { names: ["大正", "T", "t"], first: date(1912, 7, 30), last: date(1926, 12, 25) },
];

impl Era {
    fn split(text: &str) -> (Option<&'static Self>, &str) {
        for era in &ERAS {
            for name in era.names {
                if let Some(rest) = text.strip_prefix(name) {
                    return (Some(era), rest.trim_start_matches('.'));
                }
            }
        }
        (None, text)
    }
}

/// One or several times of day.
pub(super) fn times_of(cell: &str) -> Result<Vec<Time>, Wrong> {
    let text = normal(cell);
    let pieces = text.split(['、', ',', ';', '/', '・', '\n']).map(str::trim);
    pieces.filter(|piece| !piece.is_empty()).map(time_of).collect()
}

fn time_of(text: &str) -> Result<Time, Wrong> {
    let text = text.replace([' ', '頃', 'ご', 'ろ'], "").to_lowercase();
    let (half, rest) = split_half(&text);
    let digits_only = rest.bytes().all(|byte| byte.is_ascii_digit());
    let (hour, minute) = if digits_only && (3..=4).contains(&rest.len()) {
        let (hour, minute) = rest.split_at(rest.len() - 2);
        (hour.parse().ok(), minute.parse().ok())
    } else if digits_only {
        return Err(not_a_time());
    } else {
        let rest = rest.replace("時半", "時30分").replace('時', ":").replace('分', "");
        let mut parts = rest.split(':');
        let mut number = |if_empty: Option<i8>| match parts.next() {
            None | Some("") => if_empty,
            Some(part) => part.parse::<i8>().ok(),
        };
        let found = (number(None), number(Some(0)));
        let seconds = number(Some(0));
        if seconds != Some(0) || parts.next().is_some() {
            return Err(not_a_time());
        }
        found
    };
    let (Some(hour), Some(minute)) = (hour, minute) else { return Err(not_a_time()) };
    let hour: i8 = match half {
        Some(Half::Morning) if hour == 12 => 0,
        Some(Half::Afternoon) if hour < 12 => hour + 12,
        Some(Half::Morning) if hour > 12 => return Err(not_a_time()),
        Some(_) | None => hour,
    };
    Time::new(hour, minute, 0, 0).map_err(|_| not_a_time())
}

enum Half {
    Morning,
    Afternoon,
}

fn split_half(text: &str) -> (Option<Half>, &str) {
    for word in ["午前", "am", "a.m."] {
        if let Some(rest) = text.strip_prefix(word).or_else(|| text.strip_suffix(word)) {
            return (Some(Half::Morning), rest);
        }
    }
    for word in ["午後", "pm", "p.m."] {
        if let Some(rest) = text.strip_prefix(word).or_else(|| text.strip_suffix(word)) {
            return (Some(Half::Afternoon), rest);
        }
    }
    (None, text)
}

fn not_a_time() -> Wrong {
    wrong!(
        "時刻として読めません",
        "cannot be read as a time of day";
        "9:00、9時、午前9時半、0900 のいずれかの形で入力してください",
        "enter it as 9:00, 9時, 午前9時半 or 0900"
    )
}

/// Days of the week: 月水金, 月〜金, 平日, 毎日, Mon Wed Fri.
pub(super) fn weekdays_of(cell: &str) -> Result<Weekdays, Wrong> {
    let text = normal(cell).to_lowercase();
    let parts = text.split(['、', ',', '・', '/', ';', ' ', '\n', '\u{3000}', '+', '&']);
    let mut bits = 0;
    for part in parts.filter(|part| !part.is_empty()) {
        bits |= days_in(part).ok_or_else(no_weekdays)?;
    }
    Weekdays::from_bits(bits).ok_or_else(no_weekdays)
}

fn no_weekdays() -> Wrong {
    wrong!(
        "曜日として読めません",
        "cannot be read as days of the week";
        "月水金、月〜金、平日、土日、毎日 のいずれかの形で入力してください。電話しない期間は「休止」で設定します",
        "enter them as 月水金, 月〜金, 平日 (weekdays), 土日 or 毎日 (every day); for no calls at all use a pause"
    )
}

/// The days that a word without blanks names, Monday as bit 0.
fn days_in(word: &str) -> Option<u8> {
    match word {
        "毎日" | "全日" | "全曜日" | "everyday" | "daily" | "all" => {
            return Some(0b111_1111);
        }
        "平日" | "weekdays" => return Some(0b001_1111),
        "土日" | "週末" | "weekend" | "weekends" => return Some(0b110_0000),
        _ => {}
    }
    for between in ["~", "〜", "～", "から", "-", "−"] {
        if let Some((first, last)) = word.split_once(between) {
            let (first, last) = (day_of(first)?, day_of(last.trim_end_matches("まで"))?);
            // From Saturday to Monday is three days.
            let last = if last < first { last + 7 } else { last };
            return Some((first..=last).fold(0, |bits, day| bits | 1 << (day % 7)));
        }
    }
    if let Some(day) = day_of(word) {
        return Some(1 << day);
    }
    let letters = word.trim_end_matches("曜日").trim_end_matches('曜');
    letters.chars().try_fold(0, |bits, letter| Some(bits | 1 << day_of(&letter.to_string())?))
}

fn day_of(word: &str) -> Option<u8> {
    const NAMES: [[&str; 3]; 7] = [
        ["月", "mon", "monday"],
        ["火", "tue", "tuesday"],
        ["水", "wed", "wednesday"],
        ["木", "thu", "thursday"],
        ["金", "fri", "friday"],
        ["土", "sat", "saturday"],
        ["日", "sun", "sunday"],
    ];
    let word = word.strip_suffix("曜日").or_else(|| word.strip_suffix('曜')).unwrap_or(word);
    (0..).zip(NAMES).find(|(_, names)| names.contains(&word)).map(|(day, _)| day)
}

/// By which way the patient reports.
pub(super) fn channel_of(cell: &str) -> Result<Channel, Wrong> {
    match normal(cell).to_lowercase().as_str() {
        "電話" | "自動の電話" | "自動電話" | "自動架電" | "架電" | "telephone" | "phone" => {
            Ok(Channel::Telephone)
        }
        "web"
        | "ウェブ"
        | "web入力"
        | "スマホ"
        | "スマートフォン"
        | "アプリ"
        | "インターネット" => Ok(Channel::Web),
        "職員" | "職員の電話" | "職員が連絡" | "職員架電" | "staff" => {
            Ok(Channel::Staff)
        }
        _ => Err(wrong!(
            "「電話」「Web」「職員」のどれか読み取れません",
            "tells neither 電話 (telephone), Web nor 職員 (staff)";
            "「電話」「Web」「職員」のいずれかを入力してください",
            "enter 電話, Web or 職員"
        )),
    }
}

/// Yes or no.
pub(super) fn yes_or_no(cell: &str) -> Result<bool, Wrong> {
    match normal(cell).to_lowercase().as_str() {
        "あり" | "有" | "有り" | "はい" | "○" | "◯" | "〇" | "レ" | "✓" | "✔" | "☑" | "1"
        | "yes" | "y" | "true" | "要" | "希望" | "する" | "所有" | "貸与" | "貸与済" | "配布済" => {
            Ok(true)
        }
        "なし" | "無" | "無し" | "いいえ" | "×" | "✕" | "✗" | "x" | "-" | "0" | "no" | "n"
        | "false" | "不要" | "しない" | "未" | "☐" => Ok(false),
        _ => Err(wrong!(
            "「あり」か「なし」か読み取れません",
            "can be read neither as yes nor as no";
            "「あり」または「なし」と入力してください",
            "enter あり or なし (yes or no)"
        )),
    }
}

/// Who lives with the patient, in words: whether nobody does.
pub(super) fn lives_alone(cell: &str) -> Result<bool, Wrong> {
    match normal(cell).to_lowercase().as_str() {
        "独居" | "一人暮らし" | "ひとり暮らし" | "1人暮らし" | "単身" | "独り暮らし" | "alone" => {
            Ok(true)
        }
        "同居" | "家族同居" | "家族と同居" | "同居あり" | "with family" => Ok(false),
        _ => Err(wrong!(
            "「同居」か「独居」か読み取れません",
            "tells neither 同居 nor 独居";
            "「同居」または「独居」と入力してください",
            "enter 同居 (with others) or 独居 (alone)"
        )),
    }
}

/// The list of what raises the risk.
pub(super) fn risks_of(cell: &str) -> Result<Vec<RiskFlag>, Wrong> {
    let mut risks = Vec::new();
    let text = normal(cell);
    for word in text.split(['、', ',', ';', '・', '/', '|', '\n', ' ', '+']) {
        match word.trim() {
            "" | "なし" | "無" | "無し" | "特になし" | "none" => {}
            word => risks.push(risk_of(word).ok_or_else(|| {
                wrong!(
                    "知られていないリスク因子が含まれています",
                    "contains a risk that is not known";
                    "呼吸器疾患・腎疾患・心疾患・糖尿病・高血圧・肥満・免疫抑制・妊婦・中等症以上 から選び、ほかのことは備考に書いてください",
                    "choose from 呼吸器疾患, 腎疾患, 心疾患, 糖尿病, 高血圧, 肥満, 免疫抑制, 妊婦, 中等症以上; write anything else into 備考"
                )
            })?),
        }
    }
    let mut seen = Vec::new();
    risks.retain(|risk| {
        !seen.contains(risk) && {
            seen.push(*risk);
            true
        }
    });
    Ok(risks)
}

fn risk_of(word: &str) -> Option<RiskFlag> {
    Some(match word {
        "呼吸器疾患" | "呼吸器" | "慢性呼吸器疾患" | "慢性閉塞性肺疾患" | "COPD" | "喘息" => {
            RiskFlag::Respiratory
        }
        "腎疾患" | "腎臓病" | "慢性腎臓病" | "腎不全" | "透析" => RiskFlag::Kidney,
        "心疾患" | "心血管疾患" | "血管疾患" | "心臓病" | "脳血管疾患" => {
            RiskFlag::Heart
        }
        "糖尿病" | "糖尿" => RiskFlag::Diabetes,
        "高血圧" | "高血圧症" => RiskFlag::Hypertension,
        "肥満" => RiskFlag::Obesity,
        "免疫抑制" | "免疫低下" | "免疫不全" | "免疫抑制剤" | "悪性腫瘍" | "がん" => {
            RiskFlag::Immunosuppressed
        }
        "妊婦" | "妊娠" | "妊娠中" => RiskFlag::Pregnant,
        "中等症" | "中等症以上" | "中等症I" | "中等症II" | "重症" => {
            RiskFlag::Moderate
        }
        word => return RiskFlag::parse(&word.to_lowercase()),
    })
}

/// Male, female and the others.
pub(super) fn gender_of(cell: &str) -> Result<Gender, Wrong> {
    match normal(cell).to_lowercase().as_str() {
        "男" | "男性" | "m" | "male" => Ok(Gender::Male),
        "女" | "女性" | "f" | "female" => Ok(Gender::Female),
        "その他" | "他" | "o" | "other" => Ok(Gender::Other),
        "不明" | "回答なし" | "無回答" | "u" | "unknown" => Ok(Gender::Unknown),
        _ => Err(wrong!(
            "性別として読めません",
            "cannot be read as a sex";
            "「男」「女」「その他」「不明」のいずれかを入力するか、空欄にしてください",
            "enter 男, 女, その他 or 不明, or leave it empty"
        )),
    }
}

/// A language that is spoken by the prompts.
pub(super) fn language_of(cell: &str) -> Result<Language, Wrong> {
    let text = normal(cell).to_lowercase();
    let text = if matches!(text.as_str(), "japanese" | "jpn" | "日") { "ja" } else { &text };
    text.parse().map_err(|_| {
        wrong!(
            "この言語の音声はありません",
            "no prompts are spoken in this language";
            "日本語での自動架電を受けられる方は「日本語」と入力し、受けられない方は職員が電話してください",
            "enter 日本語 if the patient can be called in Japanese; staff must call the others"
        )
    })
}

/// A telephone's role in words, such as 携帯.
pub(super) fn role_of(cell: &str) -> Result<PhoneRole, Wrong> {
    match normal(cell).to_lowercase().as_str() {
        "自宅" | "固定" | "固定電話" | "家" | "home" => Ok(PhoneRole::Home),
        "携帯" | "携帯電話" | "本人携帯" | "本人" | "スマホ" | "mobile" => {
            Ok(PhoneRole::Mobile)
        }
        "家族" | "配偶者" | "夫" | "妻" | "父" | "母" | "親" | "子" | "長男" | "長女"
        | "家族携帯" | "family" => Ok(PhoneRole::Family),
        _ => Err(wrong!(
            "電話の種別として読めません",
            "tells no role of a telephone";
            "「自宅」「携帯」「家族」のいずれかを入力してください",
            "enter 自宅 (home), 携帯 (mobile) or 家族 (family)"
        )),
    }
}

/// A number, with a role behind it in brackets if there is one: `090-1234-5678（妻）`.
pub(super) fn split_role(cell: &str) -> (String, Option<PhoneRole>) {
    let text = normal(cell);
    let bracket = text.rfind('(').map(|at| text.split_at(at));
    if let Some((number, rest)) = bracket {
        let word = rest.trim_matches(['(', ')']);
        if let Ok(role) = role_of(word) {
            return (number.trim().to_owned(), Some(role));
        }
    }
    (text, None)
}

/// The role that a number suggests by itself.
pub(super) fn likely_role(number: &PhoneNumber) -> PhoneRole {
    match number.kind() {
        crate::base::phone::PhoneKind::Mobile => PhoneRole::Mobile,
        crate::base::phone::PhoneKind::Geographic | crate::base::phone::PhoneKind::Ip => {
            PhoneRole::Home
        }
    }
}

/// A name as it is said: full-width katakana, one space between the parts.
pub(super) fn kana_of(cell: &str) -> Result<String, Wrong> {
    let mut kana = String::new();
    for char in normal(cell).chars() {
        match char {
            'ァ'..='ヶ' | 'ー' | '・' => kana.push(char),
            // Hiragana stands 0x60 below katakana.
            'ぁ'..='ゖ' => kana.extend(char::from_u32(u32::from(char) + 0x60)),
            '-' | '−' | '‐' | '―' if !kana.is_empty() && !kana.ends_with(' ') => {
                kana.push('ー');
            }
            char if char.is_whitespace() => {
                if !kana.ends_with(' ') {
                    kana.push(' ');
                }
            }
            _ => {
                return Err(wrong!(
                    "カタカナ以外の文字が含まれています",
                    "contains characters other than katakana";
                    "姓と名をカタカナで、間を空けて入力してください（例 ヤマダ ハナコ）",
                    "enter family and given name in katakana with a space between (such as ヤマダ ハナコ)"
                ));
            }
        }
    }
    Ok(kana)
}

/// A name as it is written: as it stands, but for blanks.
pub(super) fn name_of(cell: &str) -> String {
    let visible: String = cell.chars().filter(|char| !is_invisible(*char)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The number of a registration.
pub(super) fn registration_number_of(cell: &str) -> Result<String, Wrong> {
    let text = normal(cell);
    let is_rounded = text.contains("E+") && text.starts_with(|char: char| char.is_ascii_digit());
    let is_plain = text.chars().all(|char| char.is_alphanumeric() || "-_./".contains(char));
    if is_rounded || !is_plain || text.chars().count() > 40 {
        return Err(wrong!(
            "管理番号として読めません（表計算ソフトが丸めた数かもしれません）",
            "cannot be read as a registration number (a spreadsheet may have rounded it)";
            "列の書式を「文字列」にして、英数字とハイフンで40字以内で入力してください",
            "format the column as text and enter up to 40 letters, digits and hyphens"
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read_as_japan_writes_them() {
        for (text, expected) in [
            ("令和3年9月2日", date(2021, 9, 2)),
            ("令和３年９月２日", date(2021, 9, 2)),
            ("令和 3 年 9 月 2 日（木）", date(2021, 9, 2)),
            ("㋿3年9月2日", date(2021, 9, 2)),
            ("令和元年5月1日", date(2019, 5, 1)),
            ("R3.9.2", date(2021, 9, 2)),
            ("Ｒ３．９．２", date(2021, 9, 2)),
            ("R030902", date(2021, 9, 2)),
            ("r3/9/2", date(2021, 9, 2)),
            ("平成31年4月30日", date(2019, 4, 30)),
            ("H1-1-8", date(1989, 1, 8)),
            ("昭和64年1月7日", date(1989, 1, 7)),
            ("S15.1.1", date(1940, 1, 1)),
            ("S.15.1.1", date(1940, 1, 1)),
            ("大正15年12月25日", date(1926, 12, 25)),
            ("T9.2.29", date(1920, 2, 29)),
            ("2021/9/2", date(2021, 9, 2)),
            ("2021-09-02", date(2021, 9, 2)),
            ("2021.9.2", date(2021, 9, 2)),
            ("20210902", date(2021, 9, 2)),
            ("2021年9月2日", date(2021, 9, 2)),
            ("2021/9/2 0:00", date(2021, 9, 2)),
            ("2021/09/02 00:00:00", date(2021, 9, 2)),
            ("2021/9/10 0:00", date(2021, 9, 10)),
            ("2021/9/2 00:00", date(2021, 9, 2)),
            ("2021-09-02T00:00:00", date(2021, 9, 2)),
            ("'2021/9/2", date(2021, 9, 2)),
            ("=\"2021/9/2\"", date(2021, 9, 2)),
        ] {
            assert_eq!(date_of(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused_with_its_reason() {
        for (text, reason) in [
            ("44441", "表計算"),
            ("21/9/2", "西暦4桁"),
            ("9/2", "日付として"),
            ("9/2/2021", "西暦4桁"),
            ("2021/9/31", "暦にない"),
            ("2021/13/1", "暦にない"),
            ("2021/2/29", "暦にない"),
            ("昭和64年1月8日", "元号"),
            ("平成33年9月2日", "元号"),
            ("令和0年9月2日", "元号"),
            ("R1.4.30", "元号"),
            ("2021/9/2/1", "日付として"),
            ("210902", "日付として"),
            ("不明", "日付として"),
            ("", "日付として"),
            ("T", "日付として"),
            ("2021/9/2 14:30", "日付として"),
        ] {
            let wrong = date_of(text).expect_err(text);
            assert!(wrong.what.ja.contains(reason), "{text}: {}", wrong.what);
        }
    }

    #[test]
    fn times_of_day_are_read_as_people_write_them() {
        for (text, hour, minute) in [
            ("9:00", 9, 0),
            ("９：００", 9, 0),
            ("09:30:00", 9, 30),
            ("9時", 9, 0),
            ("9時15分", 9, 15),
            ("9時半", 9, 30),
            ("午前9時半", 9, 30),
            ("午後2時", 14, 0),
            ("午後12時", 12, 0),
            ("AM9:00", 9, 0),
            ("2:30 PM", 14, 30),
            ("0900", 9, 0),
            ("930", 9, 30),
            ("14時頃", 14, 0),
        ] {
            assert_eq!(times_of(text), Ok(vec![time(hour, minute, 0, 0)]), "{text}");
        }
        assert_eq!(times_of("9:00、午後2時").map(|times| times.len()), Ok(2));
        for text in ["9", "25:00", "9:60", "朝", "0.375", "9:00:30", "午前14時", "9:0:0:0", "24:00"]
        {
            assert!(times_of(text).is_err(), "{text}");
        }
    }

    #[test]
    fn days_of_the_week_are_read_as_people_write_them() {
        for (text, expected) in [
            ("月水金", "月水金"),
            ("月・水・金", "月水金"),
            ("月曜日、水曜", "月水"),
            ("月〜金", "月火水木金"),
            ("月から水まで", "月火水"),
            ("土～月", "月土日"),
            ("平日", "月火水木金"),
            ("土日", "土日"),
            ("日", "日"),
            ("毎日", "毎日"),
            ("Mon, Wed", "月水"),
            ("mon-fri", "月火水木金"),
        ] {
            assert_eq!(
                weekdays_of(text).map(|days| days.written().ja),
                Ok(expected.into()),
                "{text}"
            );
        }
        for text in ["なし", "祝日", "1", "月9", "週3回", "月〜"] {
            assert!(weekdays_of(text).is_err(), "{text}");
        }
        for (text, expected) in
            [("電話", Channel::Telephone), ("ＷＥＢ", Channel::Web), ("職員の電話", Channel::Staff)]
        {
            assert_eq!(channel_of(text), Ok(expected), "{text}");
        }
        assert!(channel_of("FAX").is_err());
    }

    #[test]
    fn kana_becomes_full_width_katakana() {
        for (text, expected) in [
            ("ﾔﾏﾀﾞ ﾊﾅｺ", "ヤマダ ハナコ"),
            ("やまだ　はなこ", "ヤマダ ハナコ"),
            ("ヤマタ゛  ハナコ", "ヤマダ ハナコ"),
            ("オオタ ケ-コ", "オオタ ケーコ"),
            ("ﾌﾟﾁ･ﾎﾟｰﾙ", "プチ・ポール"),
        ] {
            assert_eq!(kana_of(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(kana_of("山田 花子").is_err());
        assert!(kana_of("Yamada").is_err());
    }

    #[test]
    fn words_mean_what_they_say() {
        assert_eq!(yes_or_no("○"), Ok(true));
        assert_eq!(yes_or_no("ﾅｼ").ok(), None, "katakana is not asked for");
        assert_eq!(yes_or_no(" 無 "), Ok(false));
        assert_eq!(lives_alone("独居"), Ok(true));
        assert_eq!(lives_alone("家族と同居"), Ok(false));
        assert_eq!(
            risks_of("糖尿病、高血圧・糖尿病"),
            Ok(vec![RiskFlag::Diabetes, RiskFlag::Hypertension])
        );
        assert_eq!(risks_of("特になし"), Ok(vec![]));
        assert!(risks_of("水虫").is_err());
        assert_eq!(language_of("Japanese"), Ok(Language::Ja));
        assert!(language_of("ポルトガル語").is_err());
        let (number, role) = split_role("０９０−１２３４−５６７８（妻）");
        assert_eq!((number.as_str(), role), ("090−1234−5678", Some(PhoneRole::Family)));
        assert_eq!(split_role("03(1234)5678").1, None);
    }

    #[test]
    fn a_registration_number_that_a_spreadsheet_rounded_is_refused() {
        assert_eq!(registration_number_of("１２３４５６７８").as_deref(), Ok("12345678"));
        assert_eq!(registration_number_of("M-2021/0042").as_deref(), Ok("M-2021/0042"));
        assert!(registration_number_of("1.23457E+11").is_err());
        assert!(registration_number_of("a b").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,24}|[0-9RHST年月日時分半/:.() -]{0,16}") {
            let _ = (date_of(&text), times_of(&text), kana_of(&text), risks_of(&text));
            let _ = (weekdays_of(&text), channel_of(&text));
            let _ = (split_role(&text), registration_number_of(&text), name_of(&text));
        }

        #[test]
        fn every_date_survives_every_form(days in 0_i32..54_000) {
            let day = date(1912, 7, 30).checked_add(jiff::Span::new().days(days)).unwrap();
            let (year, month, dom) = (day.year(), day.month(), day.day());
            prop_assert_eq!(date_of(&format!("{year}/{month}/{dom}")), Ok(day));
            prop_assert_eq!(date_of(&format!("{year:04}{month:02}{dom:02}")), Ok(day));
            let era = ERAS.iter().find(|era| era.first <= day).unwrap();
            let year = year - era.first.year() + 1;
            prop_assert_eq!(date_of(&format!("{}{year}.{month}.{dom}", era.names[1])), Ok(day));
            prop_assert_eq!(
                date_of(&format!("{}{year}年{month}月{dom}日", era.names[0])), Ok(day)
            );
        }
    }
}
