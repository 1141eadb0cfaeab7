//! Telephone numbers that may be dialled.
//!
//! The rule is an allow-list: what is not in `ALLOWED` is refused, whatever it is. The numbering
//! plan is the one of 電気通信番号計画 (Ministry of Internal Affairs and Communications). The same
//! check stands again before a call is placed: [`may_be_dialled`].

use std::fmt;
use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;

use crate::base::Bilingual;

/// A Japanese telephone number in E.164 form (`+81…`) that a patient may be called at.
///
/// `Display` and `Debug` hide all but the last two digits. The only way to make one is to parse
/// it, and parsing refuses every number that must never be dialled.
///
/// ```
/// use mimamori::base::PhoneNumber;
///
/// let number: PhoneNumber = "０９０（１２３４）５６７８".parse().unwrap();
/// assert_eq!(number.e164(), "+819012345678");
/// assert_eq!(number.to_string(), "…78");
/// assert!("119".parse::<PhoneNumber>().is_err());
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// The number in E.164 form, for the carrier and the store only.
    pub fn e164(&self) -> &str {
        &self.0
    }

    /// The number as it is dialled within Japan: `09012345678`.
    pub fn national(&self) -> String {
        format!("0{}", self.0.trim_start_matches("+81"))
    }

    /// What kind of telephone it belongs to.
    pub fn kind(&self) -> PhoneKind {
        let range = allowed_range(&self.national()).expect("parsing let nothing else through");
        range.kind
    }

    /// Reads a number as people and spreadsheets write it, and says what had to be mended.
    ///
    /// Beyond what [`FromStr`] takes, a leading zero or a `+` that a spreadsheet dropped is
    /// restored, where that leaves one reading only.
    pub fn parse_lenient(text: &str) -> Result<(Self, Vec<PhoneRepair>), PhoneError> {
        let written = Written::read(text)?;
        let mut repairs = Vec::new();
        let mut digits = written.digits.as_str();
        if !written.has_country_code
            && let Some((prefix, rest)) = split_caller_id_prefix(digits)
        {
            repairs.push(PhoneRepair::CallerIdPrefixStripped { prefix });
            digits = rest;
        }
        match classify(digits) {
            Ok(_) => Ok((Self::from_national(digits), repairs)),
            Err(PhoneError::MissingLeadingZero) => {
                repairs.push(PhoneRepair::LeadingZeroRestored);
                Ok((Self::from_national(&format!("0{digits}")), repairs))
            }
            Err(PhoneError::MissingPlus) => {
                repairs.push(PhoneRepair::PlusRestored);
                Ok((Self::from_national(&without_country_code(digits)), repairs))
            }
            Err(error) => Err(error),
        }
    }

    /// `national` has passed [`classify`].
    fn from_national(national: &str) -> Self {
        Self(format!("+81{}", national.get(1..).unwrap_or_default()))
    }
}

/// Takes national (`03-1234-5678`) and international (`+81 3 1234 5678`) forms, in half or full
/// width, with any hyphens, blanks and brackets. A caller-ID prefix (184, 186) is taken off.
impl FromStr for PhoneNumber {
    type Err = PhoneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, repairs) = Self::parse_lenient(text)?;
        match repairs.last() {
            Some(PhoneRepair::LeadingZeroRestored) => Err(PhoneError::MissingLeadingZero),
            Some(PhoneRepair::PlusRestored) => Err(PhoneError::MissingPlus),
            Some(PhoneRepair::CallerIdPrefixStripped { .. }) | None => Ok(number),
        }
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.len().saturating_sub(2);
        write!(f, "…{}", self.0.get(shown..).unwrap_or_default())
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether exactly these characters may be sent to the carrier as the called number.
///
/// To be asked last, after all rewriting for the trunk. Passes the national form (`0…`), E.164
/// with or without `+`, and the national form after 186 (which shows our number).
pub fn may_be_dialled(digits: &str) -> Result<(), PhoneError> {
    let international = digits.strip_prefix('+').unwrap_or(digits);
    if !international.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PhoneError::NotANumber);
    }
    if let Some(subscriber) = digits.strip_prefix("+81") {
        return classify(&format!("0{subscriber}")).map(|_| ());
    }
    if digits.starts_with('+') {
        return Err(PhoneError::OtherCountry);
    }
    let national = digits.strip_prefix("186").filter(|rest| rest.starts_with('0'));
    match classify(national.unwrap_or(digits)) {
        Ok(_) | Err(PhoneError::MissingPlus) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What kind of telephone a number belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PhoneKind {
    /// A landline: 0AB-J.
    Geographic,
    /// An IP telephone: 050.
    Ip,
    /// A mobile telephone: 060, 070, 080, 090.
    Mobile,
}

/// A range of numbers that may be dialled.
struct Range {
    /// The leading zero and the next digit, or digits.
    prefix: &'static str,
    /// The digits that may follow the prefix.
    next: std::ops::RangeInclusive<char>,
    /// The length of the national form, leading zero included.
    length: usize,
    kind: PhoneKind,
}

const fn geographic(prefix: &'static str, first: char) -> Range {
    Range { prefix, next: first..='9', length: 10, kind: PhoneKind::Geographic }
}

const fn eleven(prefix: &'static str, kind: PhoneKind) -> Range {
    // A zero in fourth place is no subscriber (and 0800 is free of charge).
    Range { prefix, next: '1'..='9', length: 11, kind }
}

/// All numbers that may be dialled, unless [`DENIED`] says otherwise.
const ALLOWED: &[Range] = &[
    geographic("01", '1'),
    geographic("02", '2'),
    geographic("03", '1'),
    geographic("04", '2'),
    geographic("05", '2'),
    geographic("06", '1'),
    geographic("07", '2'),
    geographic("08", '2'),
    geographic("09", '2'),
    eleven("050", PhoneKind::Ip),
    // Mobile since July 2026; personal numbers before.
    eleven("060", PhoneKind::Mobile),
    eleven("070", PhoneKind::Mobile),
    eleven("080", PhoneKind::Mobile),
    eleven("090", PhoneKind::Mobile),
];

/// Services inside and beside the allowed ranges: never dialled, and no setting changes that.
const DENIED: &[(&str, PhoneError)] = &[
    ("00", PhoneError::CarrierPrefix),
    ("010", PhoneError::International),
    ("020", PhoneError::Machine),
    ("0120", PhoneError::TollFree),
    ("0800", PhoneError::TollFree),
    ("0570", PhoneError::SharedCost),
    ("0990", PhoneError::Premium),
    ("0180", PhoneError::Premium),
    ("0170", PhoneError::Service),
    ("0910", PhoneError::Service),
];

fn allowed_range(national: &str) -> Option<&'static Range> {
    ALLOWED.iter().find(|range| {
        national
            .strip_prefix(range.prefix)
            .and_then(|rest| rest.chars().next())
            .is_some_and(|next| range.next.contains(&next))
    })
}

/// Says what ASCII digits in national form are.
fn classify(digits: &str) -> Result<PhoneKind, PhoneError> {
    if digits.is_empty() {
        return Err(PhoneError::Empty);
    }
    if !digits.starts_with('0') {
        return Err(classify_without_zero(digits));
    }
    if let Some((_, reason)) = DENIED.iter().find(|(prefix, _)| digits.starts_with(prefix)) {
        return Err(*reason);
    }
    match allowed_range(digits) {
        Some(range) if digits.len() == range.length => Ok(range.kind),
        Some(range) if digits.len() < range.length => Err(PhoneError::TooShort),
        Some(_) => Err(PhoneError::TooLong),
        None if digits.len() < 10 => Err(PhoneError::TooShort),
        None => Err(PhoneError::NotAssigned),
    }
}

/// Digits that do not begin with a zero are never dialled as they stand; says why.
fn classify_without_zero(digits: &str) -> PhoneError {
    let restored = classify(&format!("0{digits}"));
    let is_service = DENIED.iter().any(|(_, reason)| restored == Err(*reason));
    match restored {
        Ok(_) => PhoneError::MissingLeadingZero,
        // 120-123456 is a toll-free number that lost its zero.
        Err(reason) if is_service && digits.len() >= 9 => reason,
        Err(_) if digits.starts_with("81") && classify(&without_country_code(digits)).is_ok() => {
            PhoneError::MissingPlus
        }
        Err(_) if digits.starts_with('1') => PhoneError::ShortCode,
        Err(_) if digits.len() < 9 => PhoneError::TooShort,
        Err(PhoneError::TooLong) => PhoneError::TooLong,
        Err(_) => PhoneError::NotAssigned,
    }
}

/// `819012345678` → `09012345678`.
fn without_country_code(digits: &str) -> String {
    format!("0{}", digits.get(2..).unwrap_or_default())
}

/// 184 hides and 186 shows the caller's number; both stand before a whole number.
fn split_caller_id_prefix(digits: &str) -> Option<(&'static str, &str)> {
    ["184", "186"].into_iter().find_map(|prefix| {
        let rest = digits.strip_prefix(prefix)?;
        rest.starts_with('0').then_some((prefix, rest))
    })
}

/// A number as written, in half-width digits without anything between them.
struct Written {
    /// In national form if there was a country code.
    digits: String,
    has_country_code: bool,
}

impl Written {
    fn read(text: &str) -> Result<Self, PhoneError> {
        let mut digits = String::new();
        let mut has_plus = false;
        for char in text.nfkc() {
            match char {
                '0'..='9' => digits.push(char),
                '+' if digits.is_empty() && !has_plus => has_plus = true,
                '#' | '*' => return Err(PhoneError::FeatureCode),
                '/' | ',' | ';' | '、' | '・' | '\n' => return Err(PhoneError::SeveralNumbers),
                _ if is_filler(char) => {}
                _ => return Err(PhoneError::NotANumber),
            }
        }
        if !has_plus {
            return Ok(Self { digits, has_country_code: false });
        }
        let subscriber = digits.strip_prefix("81").ok_or(PhoneError::OtherCountry)?;
        // +81 (0)90-… is common, though the zero does not belong there.
        let zero = if subscriber.starts_with('0') { "" } else { "0" };
        Ok(Self { digits: format!("{zero}{subscriber}"), has_country_code: true })
    }
}

/// What may stand between digits, after NFKC: hyphens of all kinds, blanks, brackets, dots,
/// invisible marks, and the apostrophe by which a spreadsheet marks a text.
fn is_filler(char: char) -> bool {
    char.is_whitespace()
        || matches!(char, '-' | '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | 'ー' | '─' | '━' | '~')
        || matches!(char, '(' | ')' | '[' | ']' | '【' | '】' | '「' | '」' | '〔' | '〕')
        || matches!(char, '.' | '\'' | '’')
        || matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
}

/// What was mended in a number while reading it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PhoneRepair {
    /// `9012345678` became `09012345678`: spreadsheets drop leading zeros.
    LeadingZeroRestored,
    /// `819012345678` became `+819012345678`: spreadsheets drop the plus.
    PlusRestored,
    /// 184 or 186 was taken off: whether our number is shown is not the list's to say.
    CallerIdPrefixStripped {
        /// `184` or `186`.
        prefix: &'static str,
    },
}

impl PhoneRepair {
    /// What was done, for staff.
    pub fn explanation(self) -> Bilingual {
        match self {
            Self::LeadingZeroRestored => Bilingual::fixed(
                "先頭の0が失われていたため補いました。正しいかご確認ください",
                "the leading 0 was missing and has been restored; please check",
            ),
            Self::PlusRestored => Bilingual::fixed(
                "国番号81の前の「+」が失われていたものとして読みました。正しいかご確認ください",
                "read as +81 although the + was missing; please check",
            ),
            Self::CallerIdPrefixStripped { prefix } => Bilingual::composed(
                format!("番号通知の指定（{prefix}）を取り除きました。発信者番号は常に通知します"),
                format!("the caller-ID prefix {prefix} was removed; our number is always shown"),
            ),
        }
    }
}

/// Why a number is not dialled. Never holds the number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PhoneError {
    /// Nothing but blanks and hyphens.
    #[error("no telephone number")]
    Empty,
    /// Letters or signs that belong to no number.
    #[error("contains characters that belong to no telephone number")]
    NotANumber,
    /// More than one number in one place.
    #[error("contains more than one telephone number")]
    SeveralNumbers,
    /// A `1XX` service: emergency, directory, time, weather, messages.
    #[error("a three-digit service (such as 110, 119, 171) is never dialled")]
    ShortCode,
    /// 0120 and 0800.
    #[error("a toll-free number (0120, 0800) is never dialled")]
    TollFree,
    /// 0570.
    #[error("a shared-cost number (0570) is never dialled")]
    SharedCost,
    /// 0990 and 0180.
    #[error("a premium or mass-calling number (0990, 0180) is never dialled")]
    Premium,
    /// 0170 and 0910.
    #[error("a carrier's service number (0170, 0910) is never dialled")]
    Service,
    /// 00XY.
    #[error("a number with a carrier prefix (00XY) is never dialled")]
    CarrierPrefix,
    /// 010.
    #[error("an international call (010) is never placed")]
    International,
    /// 020.
    #[error("a pager or machine (020) is never dialled")]
    Machine,
    /// `+` and a country other than Japan.
    #[error("a number of another country is never dialled")]
    OtherCountry,
    /// `#` and `*`.
    #[error("a code with # or * is never dialled")]
    FeatureCode,
    /// A range that no subscriber has.
    #[error("no subscriber has such a number")]
    NotAssigned,
    /// Digits are missing.
    #[error("too few digits")]
    TooShort,
    /// Too many digits.
    #[error("too many digits")]
    TooLong,
    /// A spreadsheet dropped the leading zero.
    #[error("the leading 0 is missing")]
    MissingLeadingZero,
    /// A spreadsheet dropped the `+` before 81.
    #[error("the + before the country code 81 is missing")]
    MissingPlus,
}

impl PhoneError {
    /// What is wrong, for staff.
    pub fn explanation(self) -> Bilingual {
        let ja = match self {
            Self::Empty => "電話番号がありません",
            Self::NotANumber => "電話番号に使えない文字が含まれています",
            Self::SeveralNumbers => "複数の電話番号が入っています",
            Self::ShortCode => "3桁の特番（110・119・171など）には発信できません",
            Self::TollFree => "フリーダイヤル等（0120・0800）には発信できません",
            Self::SharedCost => "ナビダイヤル（0570）には発信できません",
            Self::Premium => "有料情報・大量呼受付番号（0990・0180）には発信できません",
            Self::Service => "事業者サービス番号（0170・0910）には発信できません",
            Self::CarrierPrefix => "事業者識別番号（00XY）付きの番号には発信できません",
            Self::International => "国際電話（010）には発信できません",
            Self::Machine => "020の番号（ポケットベル・機器用）には発信できません",
            Self::OtherCountry => "日本以外の国番号には発信できません",
            Self::FeatureCode => "「#」「*」を含む番号には発信できません",
            Self::NotAssigned => "使われていない番号帯です",
            Self::TooShort => "桁数が足りません",
            Self::TooLong => "桁数が多すぎます",
            Self::MissingLeadingZero => "先頭の0がありません",
            Self::MissingPlus => "国番号81の前の「+」がありません",
        };
        Bilingual::composed(ja.to_owned(), self.to_string())
    }

    /// What staff can do about it.
    pub fn remedy(self) -> Bilingual {
        match self {
            Self::Empty | Self::NotANumber | Self::NotAssigned | Self::TooShort | Self::TooLong => {
                Bilingual::fixed(
                    "市外局番から、固定電話は10桁、携帯・IP電話は11桁で入力してください（例 03-1234-5678、090-1234-5678）",
                    "enter 10 digits with the area code, or 11 digits for a mobile or IP telephone (such as 03-1234-5678, 090-1234-5678)",
                )
            }
            Self::SeveralNumbers => Bilingual::fixed(
                "1つの欄には1つの番号を入れ、残りは電話番号2・3の欄に分けてください",
                "one number per cell; move the others to the columns for telephone 2 and 3",
            ),
            Self::ShortCode
            | Self::TollFree
            | Self::SharedCost
            | Self::Premium
            | Self::Service
            | Self::Machine
            | Self::FeatureCode => Bilingual::fixed(
                "患者本人または家族の固定電話・携帯電話・IP電話の番号を確認して入力してください",
                "ask for, and enter, the landline, mobile or IP telephone number of the patient or the family",
            ),
            Self::CarrierPrefix => Bilingual::fixed(
                "先頭の事業者識別番号（00XY）を除き、0から始まる番号だけを入力してください",
                "remove the carrier prefix (00XY) and enter only the number that begins with 0",
            ),
            Self::International | Self::OtherCountry => Bilingual::fixed(
                "日本国内の番号を入力してください。国内の番号がない方は職員が連絡してください",
                "enter a number in Japan; staff must contact patients who have none",
            ),
            Self::MissingLeadingZero => Bilingual::fixed(
                "列の書式を「文字列」にして、0から始まる番号を入力してください",
                "format the column as text and enter the number with its leading 0",
            ),
            Self::MissingPlus => Bilingual::fixed(
                "列の書式を「文字列」にして、0または+81から始まる番号を入力してください",
                "format the column as text and enter the number from 0 or from +81",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<String, PhoneError> {
        text.parse::<PhoneNumber>().map(|number| number.national())
    }

    #[test]
    fn numbers_are_read_however_they_are_written() {
        for (text, national) in [
            ("03-1234-5678", "0312345678"),
            ("０３（１２３４）５６７８", "0312345678"),
            ("  (03) 1234 5678 ", "0312345678"),
            ("03ー1234ー5678", "0312345678"),
            ("03−1234‐5678", "0312345678"),
            ("0３—1234―5678", "0312345678"),
            ("ｰ03ｰ1234ｰ5678", "0312345678"),
            ("+81 3 1234 5678", "0312345678"),
            ("＋８１－３－１２３４－５６７８", "0312345678"),
            ("+81 (0)90-1234-5678", "09012345678"),
            ("\u{feff}090.1234.5678", "09012345678"),
            ("'09012345678", "09012345678"),
            ("\u{202a}090-1234-5678\u{202c}", "09012345678"),
            ("184-090-1234-5678", "09012345678"),
            ("186 03-1234-5678", "0312345678"),
            ("050-1234-5678", "05012345678"),
            ("060-1234-5678", "06012345678"),
            ("070-1234-5678", "07012345678"),
            ("080-1234-5678", "08012345678"),
            ("011-231-1234", "0112311234"),
            // Not the caller-ID prefix 184, but Yurihonjo.
            ("0184-23-1234", "0184231234"),
            ("+81 184-23-1234", "0184231234"),
            // Area codes that end in zero: Hakone, Koga, Nago.
            ("0460-85-1234", "0460851234"),
            ("0280-22-1234", "0280221234"),
            ("0980-52-1234", "0980521234"),
        ] {
            assert_eq!(parsed(text), Ok(national.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_must_never_be_dialled_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", PhoneError::Empty),
            (" - ", PhoneError::Empty),
            ("なし", PhoneError::NotANumber),
            ("03-1234-5678 内線12", PhoneError::NotANumber),
            ("03+12345678", PhoneError::NotANumber),
            ("03-1234-5678 / 090-1234-5678", PhoneError::SeveralNumbers),
            ("110", PhoneError::ShortCode),
            ("１１９", PhoneError::ShortCode),
            ("118", PhoneError::ShortCode),
            ("104", PhoneError::ShortCode),
            ("117", PhoneError::ShortCode),
            ("135", PhoneError::ShortCode),
            ("171", PhoneError::ShortCode),
            ("177", PhoneError::ShortCode),
            ("184", PhoneError::ShortCode),
            ("186", PhoneError::ShortCode),
            ("188", PhoneError::ShortCode),
            ("189", PhoneError::ShortCode),
            ("184 110", PhoneError::ShortCode),
            ("186184 03-1234-5678", PhoneError::ShortCode),
            ("0120-123-456", PhoneError::TollFree),
            ("120-123-456", PhoneError::TollFree),
            ("+81 120 123 456", PhoneError::TollFree),
            ("0800-123-4567", PhoneError::TollFree),
            ("800-123-4567", PhoneError::TollFree),
            ("184 0120-123-456", PhoneError::TollFree),
            ("0570-012-345", PhoneError::SharedCost),
            ("+81570012345", PhoneError::SharedCost),
            ("0990-512-345", PhoneError::Premium),
            ("0180-99-1234", PhoneError::Premium),
            ("0170-123-456", PhoneError::Service),
            ("0910-123-456", PhoneError::Service),
            ("0033-010-1-212-555-0100", PhoneError::CarrierPrefix),
            ("00", PhoneError::CarrierPrefix),
            ("0081 90 1234 5678", PhoneError::CarrierPrefix),
            ("+81 0 010 1 212", PhoneError::CarrierPrefix),
            ("010-1-212-555-0100", PhoneError::International),
            ("020-1234-56789", PhoneError::Machine),
            ("+1 212 555 0100", PhoneError::OtherCountry),
            ("+", PhoneError::OtherCountry),
            ("*21*0312345678#", PhoneError::FeatureCode),
            ("＃7119", PhoneError::FeatureCode),
            ("090-0234-5678", PhoneError::NotAssigned),
            ("030-1234-5678", PhoneError::NotAssigned),
            ("021-123-4567", PhoneError::NotAssigned),
            ("1234-5678", PhoneError::ShortCode),
            ("3456-7890", PhoneError::TooShort),
            ("0", PhoneError::TooShort),
            ("03-1234-567", PhoneError::TooShort),
            ("090-1234-567", PhoneError::TooShort),
            ("03-1234-56789", PhoneError::TooLong),
            ("090-1234-56789", PhoneError::TooLong),
            ("9012345678", PhoneError::MissingLeadingZero),
            ("312345678", PhoneError::MissingLeadingZero),
            ("819012345678", PhoneError::MissingPlus),
        ] {
            assert_eq!(parsed(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn what_a_spreadsheet_dropped_is_restored_and_reported() {
        let zero = PhoneRepair::LeadingZeroRestored;
        let stripped = |prefix| PhoneRepair::CallerIdPrefixStripped { prefix };
        for (text, national, repairs) in [
            ("9012345678", "09012345678", vec![zero]),
            ("312345678", "0312345678", vec![zero]),
            ("184231234", "0184231234", vec![zero]),
            ("819012345678", "09012345678", vec![PhoneRepair::PlusRestored]),
            ("81312345678", "0312345678", vec![PhoneRepair::PlusRestored]),
            ("184-03-1234-5678", "0312345678", vec![stripped("184")]),
            ("186 090 1234 5678", "09012345678", vec![stripped("186")]),
            ("090-1234-5678", "09012345678", vec![]),
        ] {
            let (number, found) = PhoneNumber::parse_lenient(text).expect(text);
            assert_eq!((number.national().as_str(), found), (national, repairs), "{text}");
        }
    }

    #[test]
    fn the_dial_function_can_ask_again() {
        for digits in ["0312345678", "+81312345678", "81312345678", "1860312345678", "09012345678"]
        {
            assert_eq!(may_be_dialled(digits), Ok(()), "{digits}");
        }
        for digits in [
            "",
            "+",
            "110",
            "119",
            "186119",
            "184",
            "1840312345678",
            "0120123456",
            "+81120123456",
            "81120123456",
            "+810312345678",
            "312345678",
            "010",
            "00330312345678",
            "0312345678;phone-context=x",
            "*2",
            "０３１２３４５６７８",
            "+12125550100",
        ] {
            assert!(may_be_dialled(digits).is_err(), "{digits}");
        }
    }

    #[test]
    fn a_number_shows_its_last_two_digits_only() {
        let number: PhoneNumber = "090-1234-5678".parse().unwrap();
        assert_eq!(format!("{number} {number:?}"), "…78 …78");
        assert_eq!(number.kind(), PhoneKind::Mobile);
    }

    /// A second opinion, written without the tables above: what must never be dialled.
    fn is_forbidden(national: &str) -> bool {
        let service = ["0120", "0800", "0570", "0990", "0180", "0170", "0910"];
        !national.starts_with('0')
            || ["00", "010", "020"].iter().any(|prefix| national.starts_with(prefix))
            || service.iter().any(|prefix| national.starts_with(prefix))
            || !(10..=11).contains(&national.len())
            || !national.bytes().all(|byte| byte.is_ascii_digit())
            || (national.len() == 11) != (national.as_bytes()[2] == b'0')
    }

    fn any_number_like_text() -> impl Strategy<Value = String> {
        let prefix = prop::sample::select(vec![
            "", "+81", "+810", "81", "0", "00", "010", "020", "0120", "120", "0800", "0570",
            "0990", "0180", "0170", "110", "118", "119", "171", "184", "186", "184110", "1860120",
            "03", "090", "050", "+1", "+81110", "+81119", "186186", "*", "#",
        ]);
        (prefix, "[0-9０-９ ー()+-]{0,14}").prop_map(|(prefix, rest)| format!("{prefix}{rest}"))
    }

    proptest! {
        #[test]
        fn no_way_of_parsing_yields_a_forbidden_number(text in any_number_like_text()) {
            if let Ok((number, _)) = PhoneNumber::parse_lenient(&text) {
                prop_assert!(!is_forbidden(&number.national()));
                prop_assert_eq!(may_be_dialled(&number.national()), Ok(()));
                prop_assert_eq!(may_be_dialled(number.e164()), Ok(()));
                prop_assert_eq!(number.e164().parse(), Ok(number.clone()));
                prop_assert_eq!(number.national().parse(), Ok(number));
            }
        }

        #[test]
        fn any_text_at_all_is_read_without_a_panic(text in ".{0,40}") {
            let _ = PhoneNumber::parse_lenient(&text).map_err(PhoneError::remedy);
        }

        #[test]
        fn what_may_be_dialled_is_never_forbidden(digits in "(186)?[+]?(81)?[0-9]{2,12}") {
            if may_be_dialled(&digits).is_ok() {
                let national = digits
                    .strip_prefix("+81")
                    .map(|subscriber| format!("0{subscriber}"))
                    .or_else(|| digits.strip_prefix("1860").map(|rest| format!("0{rest}")))
                    .or_else(|| {
                        let subscriber = digits.strip_prefix("81")?;
                        Some(format!("0{subscriber}"))
                    })
                    .unwrap_or(digits);
                prop_assert!(!is_forbidden(&national));
            }
        }
    }
}
