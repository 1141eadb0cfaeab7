//! The columns of a patient list and the headings they are known by.

use std::collections::BTreeMap;

use crate::registry::PhoneRole;
use crate::registry::import::value::{normal, role_of};
use crate::registry::import::{Heading, Place};

/// What a column holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Column {
    RegistrationNumber,
    Name,
    Kana,
    BirthDate,
    Sex,
    /// A telephone number, 1 to 3.
    Phone(u8),
    /// Whose telephone it is, 1 to 3.
    PhoneRole(u8),
    EmergencyContact,
    Onset,
    SpecimenDay,
    HasSymptoms,
    FirstDay,
    LastDay,
    /// First and last day in one cell.
    Period,
    /// A time of day, 1 to 4. The first may hold several.
    CallTime(u8),
    Weekdays,
    Channel,
    Language,
    Thermometer,
    Oximeter,
    /// 同居 or 独居 in words.
    Household,
    /// A yes means that the patient lives alone.
    LivesAlone,
    /// A yes means that the patient does not live alone.
    LivesWithOthers,
    Risks,
    SlowSpeech,
    Remarks,
}

/// What is shown of a cell in a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    /// The cell.
    AsIs,
    /// The cell with `#` for digits.
    Shape,
    /// How long it is.
    Length,
}

/// Without these there is no patient.
const REQUIRED: [Column; 5] =
    [Column::RegistrationNumber, Column::Name, Column::Kana, Column::BirthDate, Column::Phone(1)];

/// Headings, as [`key`] writes them; the first of a column is its name.
const HEADINGS: &[(Column, &[&str])] = &[
    (
        Column::RegistrationNumber,
        &[
            "管理番号",
            "her-sysid",
            "hersysid",
            "登録番号",
            "患者番号",
            "患者id",
            "id",
            "registrationnumber",
        ],
    ),
    (Column::Name, &["氏名", "患者氏名", "名前", "お名前", "漢字氏名", "name"]),
    (
        Column::Kana,
        &[
            "フリガナ",
            "ふりがな",
            "カナ",
            "氏名カナ",
            "カナ氏名",
            "氏名フリガナ",
            "氏名(カナ)",
            "kana",
        ],
    ),
    (Column::BirthDate, &["生年月日", "誕生日", "birthdate", "dateofbirth", "birthday"]),
    (Column::Sex, &["性別", "sex", "gender"]),
    (
        Column::Phone(1),
        &[
            "電話番号1",
            "電話番号",
            "電話1",
            "電話",
            "tel1",
            "tel",
            "phone1",
            "phone",
            "連絡先",
            "連絡先1",
        ],
    ),
    (Column::Phone(2), &["電話番号2", "電話2", "tel2", "phone2", "連絡先2"]),
    (Column::Phone(3), &["電話番号3", "電話3", "tel3", "phone3", "連絡先3"]),
    (
        Column::PhoneRole(1),
        &["電話種別1", "電話番号1種別", "電話1種別", "電話種別", "phone1role", "role1"],
    ),
    (Column::PhoneRole(2), &["電話種別2", "電話番号2種別", "電話2種別", "phone2role", "role2"]),
    (Column::PhoneRole(3), &["電話種別3", "電話番号3種別", "電話3種別", "phone3role", "role3"]),
    (Column::EmergencyContact, &["緊急連絡先", "緊急連絡先電話番号", "emergencycontact"]),
    (Column::Onset, &["発症日", "発病日", "発病年月日", "onset", "onsetdate"]),
    (Column::SpecimenDay, &["検体採取日", "採取日", "specimenday", "specimendate"]),
    (Column::HasSymptoms, &["症状有無", "症状の有無", "症状", "symptoms"]),
    (
        Column::FirstDay,
        &["観察開始日", "健康観察開始日", "療養開始日", "開始日", "firstday", "startdate", "from"],
    ),
    (
        Column::LastDay,
        &["観察終了日", "健康観察終了日", "療養終了日", "終了日", "lastday", "enddate", "to"],
    ),
    (Column::Period, &["架電期間", "観察期間", "療養期間", "period"]),
    (
        Column::CallTime(1),
        &[
            "架電時刻1",
            "架電時刻",
            "架電時間",
            "架電時間1",
            "時刻1",
            "calltime1",
            "calltime",
            "calltimes",
        ],
    ),
    (Column::CallTime(2), &["架電時刻2", "架電時間2", "時刻2", "calltime2"]),
    (Column::CallTime(3), &["架電時刻3", "架電時間3", "時刻3", "calltime3"]),
    (Column::CallTime(4), &["架電時刻4", "架電時間4", "時刻4", "calltime4"]),
    (Column::Weekdays, &["架電曜日", "架電する曜日", "calldays"]),
    (Column::Channel, &["報告方法", "報告の方法", "reportby"]),
    (Column::Language, &["言語", "使用言語", "language"]),
    (Column::Thermometer, &["体温計", "体温計有無", "thermometer"]),
    (
        Column::Oximeter,
        &[
            "パルスオキシメーター",
            "パルスオキシメータ",
            "パルスオキシメーター有無",
            "spo2計",
            "oximeter",
            "pulseoximeter",
        ],
    ),
    (
        Column::Household,
        &["同居/独居", "独居/同居", "同居・独居", "世帯", "世帯状況", "居住状況", "household"],
    ),
    (Column::LivesAlone, &["独居", "一人暮らし", "livesalone"]),
    (Column::LivesWithOthers, &["同居", "同居家族", "同居者", "同居人", "同居家族有無"]),
    (Column::Risks, &["リスク因子", "重症化リスク", "基礎疾患", "リスク", "risks", "riskfactors"]),
    (Column::SlowSpeech, &["ゆっくり", "ゆっくり話す", "slow", "slowspeech"]),
    (Column::Remarks, &["備考", "メモ", "特記事項", "remarks", "notes"]),
];

impl Column {
    /// The name of the column in the lists that we describe.
    pub(super) fn name(self) -> &'static str {
        let found = HEADINGS.iter().find(|(column, _)| *column == self);
        found.and_then(|(_, names)| names.first()).expect("every column has a heading")
    }

    /// The names of all columns, in the order of the lists that we describe.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        HEADINGS.iter().filter_map(|(_, names)| names.first().copied())
    }

    /// Reads [`Self::name`].
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = HEADINGS.iter().find(|(_, names)| names.first() == Some(&name));
        found.map(|(column, _)| *column)
    }

    fn find(key: &str) -> Option<Self> {
        HEADINGS.iter().find(|(_, names)| names.contains(&key)).map(|(column, _)| *column)
    }

    /// Whether its cells hold one day.
    pub(super) fn is_day(self) -> bool {
        matches!(
            self,
            Self::BirthDate | Self::Onset | Self::SpecimenDay | Self::FirstDay | Self::LastDay
        )
    }

    /// How much of a cell may be shown.
    pub(super) fn shown(self) -> Shown {
        match self {
            Self::CallTime(_)
            | Self::Weekdays
            | Self::Channel
            | Self::Language
            | Self::Thermometer
            | Self::Oximeter
            | Self::FirstDay
            | Self::LastDay
            | Self::Period
            | Self::PhoneRole(_)
            | Self::RegistrationNumber
            | Self::SlowSpeech => Shown::AsIs,
            Self::BirthDate
            | Self::Phone(_)
            | Self::EmergencyContact
            | Self::Onset
            | Self::SpecimenDay => Shown::Shape,
            Self::Name
            | Self::Kana
            | Self::Sex
            | Self::HasSymptoms
            | Self::Household
            | Self::LivesAlone
            | Self::LivesWithOthers
            | Self::Risks
            | Self::Remarks => Shown::Length,
        }
    }
}

/// A heading without what makes no difference: width, case, blanks, marks for required columns.
fn key(heading: &str) -> String {
    normal(heading)
        .to_lowercase()
        .chars()
        .filter(|char| !char.is_whitespace() && !matches!(char, '_' | '*' | '※' | '.'))
        .collect()
}

/// The line of headings.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) line: usize,
    /// By position; `None` for a column that is not read.
    pub(super) columns: Vec<Option<Column>>,
    /// The headings as they stand.
    headings: Vec<String>,
    /// The roles that headings tell: 電話番号2(家族).
    roles: Vec<(u8, PhoneRole)>,
    /// Columns with a heading that is not known, or known but taken, of which staff said nothing.
    pub(super) unknown: Vec<Place>,
    /// Headings that the program does not know by itself.
    pub(super) foreign: Vec<Heading>,
}

impl Header {
    /// Takes the row for headings if three of them are known. `said` is what staff say that headings
    /// stand for, by [`key`].
    pub(super) fn read(
        line: usize,
        cells: &[String],
        said: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let headings: Vec<String> =
            cells.iter().map(|cell| normal(cell).replace('\n', " ")).collect();
        let mut header = Self {
            line,
            columns: Vec::new(),
            headings,
            roles: Vec::new(),
            unknown: Vec::new(),
            foreign: Vec::new(),
        };
        for (index, cell) in cells.iter().enumerate() {
            let key = key(cell);
            let (plain, bracket) = match key.split_once('(') {
                Some((plain, rest)) => (plain, rest.trim_end_matches(')')),
                None => (key.as_str(), ""),
            };
            let own = Column::find(&key).or_else(|| Column::find(plain));
            let said = said.get(&key).map(String::as_str);
            let found = said.map_or(own, Column::named);
            let column = found.filter(|column| !header.columns.contains(&Some(*column)));
            if let (Some(Column::Phone(number)), Ok(role)) = (column, role_of(bracket)) {
                header.roles.push((number, role));
            }
            if column.is_none() && !key.is_empty() && said != Some("") {
                header.unknown.push(header.place_at(index));
            }
            if !key.is_empty() && (said.is_some() || column.is_none()) {
                let place = header.place_at(index);
                let column = if said == Some("") { Some("") } else { column.map(Column::name) };
                header.foreign.push(Heading { place, key, column });
            }
            header.columns.push(column);
        }
        let n_known = header.columns.iter().flatten().count();
        (n_known >= 3).then_some(header)
    }

    /// How many headings in the row are known.
    pub(super) fn count_known(cells: &[String], said: &BTreeMap<String, String>) -> usize {
        Self::read(0, cells, said).map_or(0, |header| header.columns.iter().flatten().count())
    }

    /// The headings as they stand.
    pub(super) fn headings(&self) -> &[String] {
        &self.headings
    }

    /// Required columns that are not there.
    pub(super) fn missing(&self) -> Vec<Column> {
        let mut missing = REQUIRED.to_vec();
        missing.retain(|column| !self.columns.contains(&Some(*column)));
        missing
    }

    pub(super) fn index(&self, column: Column) -> Option<usize> {
        self.columns.iter().position(|one| *one == Some(column))
    }

    pub(super) fn place(&self, column: Column) -> Option<Place> {
        self.index(column).map(|index| self.place_at(index))
    }

    pub(super) fn place_at(&self, index: usize) -> Place {
        let heading = self.headings.get(index).cloned().unwrap_or_default();
        // A heading of a shifted file may be anything: no more than a glimpse of it.
        Place { letter: letter(index), heading: heading.chars().take(20).collect() }
    }

    /// The role that the heading of a telephone tells.
    pub(super) fn role(&self, number: u8) -> Option<PhoneRole> {
        self.roles.iter().find(|(of, _)| *of == number).map(|(_, role)| *role)
    }
}

/// 0 → `A`, 25 → `Z`, 26 → `AA`.
fn letter(index: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = index + 1;
    while rest > 0 {
        letters.push(char::from(b'A' + u8::try_from((rest - 1) % 26).unwrap_or(0)));
        rest = (rest - 1) / 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_letters_of_a_spreadsheet() {
        for (index, expected) in
            [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (702, "AAA")]
        {
            assert_eq!(letter(index), expected);
        }
    }

    #[test]
    fn headings_are_known_in_any_order_width_and_language() {
        let cells = [
            "Birth Date",
            "電話番号１（家族）",
            "ﾌﾘｶﾞﾅ",
            "氏 名*",
            "HER-SYS ID",
            "血液型",
            "電話番号",
        ];
        let header = Header::read(1, &cells.map(str::to_owned), &BTreeMap::new()).unwrap();
        assert_eq!(
            header.columns,
            [
                Some(Column::BirthDate),
                Some(Column::Phone(1)),
                Some(Column::Kana),
                Some(Column::Name),
                Some(Column::RegistrationNumber),
                None,
                None,
            ]
        );
        assert_eq!(header.missing(), []);
        assert_eq!(header.role(1), Some(PhoneRole::Family));
        let unknown: Vec<&str> = header.unknown.iter().map(|place| place.letter.as_str()).collect();
        assert_eq!(unknown, ["F", "G"]);
    }

    #[test]
    fn no_heading_stands_for_two_columns() {
        let mut all: Vec<&str> = HEADINGS.iter().flat_map(|(_, names)| *names).copied().collect();
        let n_headings = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n_headings);
        assert!(all.iter().all(|name| key(name) == *name), "written as `key` writes them");
    }
}
