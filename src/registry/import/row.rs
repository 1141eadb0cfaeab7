//! One row of cells to a patient, or to all that is wrong with it.

use std::collections::HashSet;

use jiff::ToSpan;
use jiff::civil::{Date, Time, date, time};

use crate::base::phone::PhoneError;
use crate::base::{Bilingual, Language, PhoneNumber, Private};
use crate::registry::arrangement::Told;
use crate::registry::import::column::{Column, Header, Shown};
use crate::registry::import::value::{self, Wrong, wrong};
use crate::registry::import::{Fault, Note, PatientDraft, Place, Row};
use crate::registry::{PatientPhone, PhoneRole};

/// How long patients are observed whose list tells no end: 健康観察 of 14 days, first and last
/// day included.
const DAYS_OBSERVED: i32 = 14;

/// Observation beyond this is likely a mistyped year.
const DAYS_AT_MOST: i32 = 92;

pub(super) struct RowReader<'a> {
    header: &'a Header,
    line: usize,
    cells: &'a [String],
    today: Date,
    faults: Vec<Fault>,
    notes: Vec<Note>,
}

impl<'a> RowReader<'a> {
    pub(super) fn new(header: &'a Header, line: usize, cells: &'a [String], today: Date) -> Self {
        Self { header, line, cells, today, faults: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn read(mut self) -> Row {
        self.check_cells();
        let draft = self.draft();
        let Self { line, mut faults, mut notes, .. } = self;
        faults.sort_by_key(|fault| order(fault.place.as_ref()));
        notes.sort_by_key(|note| order(note.place.as_ref()));
        let outcome = match draft {
            Some(draft) if faults.is_empty() => Ok(draft),
            Some(_) | None => Err(faults),
        };
        Row { line, outcome, notes, cells: Private::default() }
    }

    /// Every cell is read even if one before it is bad, so that all faults are told at once.
    fn draft(&mut self) -> Option<PatientDraft> {
        use Column as C;
        let registration_number =
            self.required(C::RegistrationNumber, value::registration_number_of);
        let name = self.required(C::Name, |cell| Ok(value::name_of(cell)));
        let kana = self.required(C::Kana, value::kana_of);
        if kana.as_ref().is_some_and(|kana| !kana.contains(' ')) {
            let what = Bilingual::fixed(
                "姓と名の間に空白がありません。呼び名を確認してください",
                "no space between family and given name: check what is said",
            );
            self.note(Some(C::Kana), what);
        }
        let birth_date = self.required(C::BirthDate, value::date_of);
        let birth_date = birth_date.filter(|born| self.is_plausible_birth(*born));
        let sex = self.optional(C::Sex, value::gender_of);
        let phones = self.phones();
        let emergency_contact = self.phone(C::EmergencyContact).map(|(number, _)| number);
        let language = self.optional(C::Language, value::language_of).unwrap_or(Language::Ja);
        let has_thermometer = self.optional(C::Thermometer, value::yes_or_no).unwrap_or(true);
        let has_oximeter = self.optional(C::Oximeter, value::yes_or_no).unwrap_or(false);
        let slow_speech = self.optional(C::SlowSpeech, value::yes_or_no).unwrap_or(false);
        let lives_alone = self.lives_alone();
        let risks = self.optional(C::Risks, value::risks_of).unwrap_or_default();
        let onset = self.optional(C::Onset, value::date_of);
        let specimen_day = self.optional(C::SpecimenDay, value::date_of);
        let has_symptoms = self.optional(C::HasSymptoms, value::yes_or_no);
        let days = self.days();
        let call_times = self.call_times();
        let told = Told {
            weekdays: self.optional(C::Weekdays, value::weekdays_of),
            channel: self.optional(C::Channel, value::channel_of),
        };
        let remarks = self.text(C::Remarks).trim().to_owned();
        let (first_day, last_day) = days?;
        Some(PatientDraft {
            registration_number: registration_number?,
            name: Private::new(name?),
            kana: Private::new(kana?),
            birth_date: Private::new(birth_date?),
            sex: Private::new(sex),
            phones,
            emergency_contact,
            language,
            has_thermometer,
            has_oximeter,
            slow_speech,
            lives_alone,
            risks,
            onset: Private::new(onset),
            specimen_day: Private::new(specimen_day),
            has_symptoms: Private::new(has_symptoms),
            first_day,
            last_day,
            call_times,
            told,
            remarks: Private::new(remarks),
        })
    }

    /// What no cell may hold, whatever its column; and cells beyond the headings.
    fn check_cells(&mut self) {
        for (index, cell) in self.cells.iter().enumerate() {
            let column = self.header.columns.get(index).copied().flatten();
            if index >= self.header.columns.len() && !cell.trim().is_empty() {
                let wrong = wrong!(
                    "見出しより多くの列があります",
                    "there are more cells than headings";
                    "区切り文字（,）を含む欄がないか、列がずれていないか確認してください",
                    "look for a comma inside a cell, or for shifted columns"
                );
                self.fault_at(self.header.place_at(index), length_of(cell), wrong);
                return;
            }
            let Some(column) = column else { continue };
            // U+FFFD: bytes that the encoding does not know. Private use: 外字.
            let is_unmappable = |c: char| c == '\u{fffd}' || ('\u{e000}'..='\u{f8ff}').contains(&c);
            if cell.contains(is_unmappable) {
                let wrong = wrong!(
                    "文字コードで表せない文字（外字や文字化け）が含まれています",
                    "contains characters that the encoding cannot express";
                    "その文字を入力し直し、UTF-8で保存してください",
                    "type the characters again and save as UTF-8"
                );
                self.fault(column, wrong);
            } else if cell.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
                let wrong = wrong!(
                    "制御文字が含まれています",
                    "contains control characters";
                    "欄の内容を入力し直してください",
                    "type the cell again"
                );
                self.fault(column, wrong);
            } else if is_error_of_a_formula(cell) {
                let wrong = wrong!(
                    "数式のエラーが入っています",
                    "holds the error of a formula";
                    "表計算ソフトで値を入力し直してください",
                    "enter the value in the spreadsheet"
                );
                self.fault(column, wrong);
            } else if column == Column::Name && cell.contains(['?', '？', '〓']) {
                let what = Bilingual::fixed(
                    "氏名に「?」があります。保存時に失われた文字かもしれません",
                    "the name has a ?, perhaps a character lost while saving",
                );
                self.note(Some(column), what);
            }
        }
    }

    fn is_plausible_birth(&mut self, born: Date) -> bool {
        let is_plausible = born <= self.today && born >= date(1900, 1, 1);
        if !is_plausible {
            let wrong = wrong!(
                "生年月日が未来か、120年以上前です",
                "the birth date is in the future or more than 120 years ago";
                "年と元号を確認してください",
                "check the year and the era"
            );
            self.fault(Column::BirthDate, wrong);
        }
        is_plausible
    }

    fn phones(&mut self) -> Vec<PatientPhone> {
        let mut phones: Vec<PatientPhone> = Vec::new();
        let mut is_any_written = false;
        for number in 1..=3 {
            let column = Column::Phone(number);
            is_any_written |= !value::normal(self.text(column)).is_empty();
            let told = self.optional(Column::PhoneRole(number), value::role_of);
            let Some((phone, in_cell)) = self.phone(column) else { continue };
            if phones.iter().any(|earlier| earlier.number == phone) {
                let what = Bilingual::fixed(
                    "同じ番号が先の欄にもあります。1つにまとめました",
                    "the same number stands in an earlier column; kept once",
                );
                self.note(Some(column), what);
                continue;
            }
            let role = told.or(in_cell).or_else(|| self.header.role(number));
            let role = role.unwrap_or_else(|| value::likely_role(&phone));
            phones.push(PatientPhone { number: phone, role, may_call: true });
        }
        if !is_any_written {
            self.fault(Column::Phone(1), wrong_number(PhoneError::Empty));
        }
        phones
    }

    fn phone(&mut self, column: Column) -> Option<(PhoneNumber, Option<PhoneRole>)> {
        let (text, role) = value::split_role(self.text(column));
        if text.is_empty() {
            return None;
        }
        match PhoneNumber::parse_lenient(&text) {
            Ok((number, repairs)) => {
                for repair in repairs {
                    self.note(Some(column), repair.explanation());
                }
                Some((number, role))
            }
            Err(error) => {
                self.fault(column, wrong_number(error));
                None
            }
        }
    }

    fn lives_alone(&mut self) -> bool {
        let household = self.optional(Column::Household, value::lives_alone);
        let alone = self.optional(Column::LivesAlone, |cell| {
            value::yes_or_no(cell).or_else(|_| value::lives_alone(cell))
        });
        let others = self.optional(Column::LivesWithOthers, |cell| {
            let with_others = value::yes_or_no(cell).map(|yes| !yes);
            with_others.or_else(|_| value::lives_alone(cell))
        });
        household.or(alone).or(others).unwrap_or(false)
    }

    /// The first and the last day under observation.
    fn days(&mut self) -> Option<(Date, Date)> {
        let n_faults = self.faults.len();
        let period = self.optional(Column::Period, period_of);
        let first = self.optional(Column::FirstDay, value::date_of);
        let last = self.optional(Column::LastDay, value::date_of);
        if self.faults.len() > n_faults {
            return None;
        }
        let first_day = first.or(period.map(|(first, _)| first)).unwrap_or_else(|| {
            let what = Bilingual::composed(
                format!("観察開始日がないため、本日（{}）からとしました", self.today),
                format!("no first day of observation: taken to be today, {}", self.today),
            );
            self.note(None, what);
            self.today
        });
        let last_day = last.or(period.map(|(_, last)| last));
        let last_day = last_day.or_else(|| {
            let last_day = first_day.checked_add((DAYS_OBSERVED - 1).days()).ok()?;
            let what = Bilingual::composed(
                format!("観察終了日がないため、{DAYS_OBSERVED}日間（{last_day}まで）としました"),
                format!("no last day of observation: {DAYS_OBSERVED} days, until {last_day}"),
            );
            self.note(None, what);
            Some(last_day)
        })?;
        let column = if self.header.index(Column::LastDay).is_some() {
            Column::LastDay
        } else {
            Column::Period
        };
        if last_day < first_day {
            let wrong = wrong!(
                "観察終了日が開始日より前です",
                "the last day of observation is before the first";
                "開始日と終了日を確認してください",
                "check the first and the last day"
            );
            self.fault(column, wrong);
        } else if (last_day - first_day).get_days() >= DAYS_AT_MOST {
            let wrong = wrong!(
                "観察期間が3か月を超えています",
                "the observation lasts longer than three months";
                "開始日と終了日の年を確認してください",
                "check the years of the first and the last day"
            );
            self.fault(column, wrong);
        } else if last_day < self.today {
            let what = Bilingual::fixed(
                "観察期間は終わっています。電話はかかりません",
                "the observation is already over: no calls are made",
            );
            self.note(Some(column), what);
        }
        Some((first_day, last_day))
    }

    fn call_times(&mut self) -> Vec<Time> {
        let mut times: Vec<Time> = Vec::new();
        for number in 1..=4 {
            let column = Column::CallTime(number);
            for found in self.optional(column, value::times_of).unwrap_or_default() {
                if times.contains(&found) {
                    let what = Bilingual::fixed(
                        "同じ時刻が重なっています。1つにまとめました",
                        "the same time stands twice; kept once",
                    );
                    self.note(Some(column), what);
                    continue;
                }
                if found < time(8, 0, 0, 0) || found >= time(20, 0, 0, 0) {
                    let what = Bilingual::fixed(
                        "電話できる時間（8:00～20:00）の外です。時間内に移してかけます",
                        "outside the hours in which calls are allowed (8:00 to 20:00): will be moved into them",
                    );
                    self.note(Some(column), what);
                }
                times.push(found);
            }
        }
        if times.len() > 4 {
            let wrong = wrong!(
                "架電時刻が5つ以上あります",
                "there are more than four times of day";
                "1日4回までにしてください",
                "give four at most"
            );
            self.fault(Column::CallTime(1), wrong);
        }
        times.sort();
        times
    }

    /// The cell as it stands; empty if the list has no such column or the row is short.
    fn text(&self, column: Column) -> &'a str {
        let index = self.header.index(column);
        index.and_then(|index| self.cells.get(index)).map_or("", String::as_str)
    }

    fn required<T>(
        &mut self,
        column: Column,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        if value::normal(self.text(column)).is_empty() {
            let wrong = wrong!(
                "必須の欄が空です",
                "a required cell is empty";
                "値を入力してください",
                "enter a value"
            );
            self.fault(column, wrong);
            return None;
        }
        self.optional(column, parse)
    }

    fn optional<T>(
        &mut self,
        column: Column,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let text = self.text(column);
        if value::normal(text).is_empty() {
            return None;
        }
        parse(text).map_err(|wrong| self.fault(column, wrong)).ok()
    }

    fn note(&mut self, column: Option<Column>, what: Bilingual) {
        let place = column.and_then(|column| self.header.place(column));
        self.notes.push(Note { line: self.line, place, what });
    }

    fn fault(&mut self, column: Column, wrong: Wrong) {
        let cell = value::normal(self.text(column));
        let shown = match column.shown() {
            _ if cell.is_empty() => String::new(),
            Shown::AsIs => glimpse(&cell),
            Shown::Shape => glimpse(&shape_of(&cell)),
            Shown::Length => length_of(&cell),
        };
        let place = self.header.place(column);
        let place = place
            .unwrap_or_else(|| Place { letter: "-".to_owned(), heading: column.name().to_owned() });
        self.fault_at(place, shown, wrong);
    }

    fn fault_at(&mut self, place: Place, shown: String, Wrong { what, remedy }: Wrong) {
        // One fault for a cell is enough to find it.
        let known: HashSet<&str> =
            self.faults.iter().flat_map(|fault| &fault.place).map(|p| p.letter.as_str()).collect();
        if !known.contains(place.letter.as_str()) || place.letter == "-" {
            self.faults.push(Fault { line: self.line, place: Some(place), shown, what, remedy });
        }
    }
}

fn is_error_of_a_formula(cell: &str) -> bool {
    const ERRORS: [&str; 9] =
        ["#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"];
    ERRORS.contains(&cell.trim())
}

/// From left to right; what concerns the whole row comes last.
fn order(place: Option<&Place>) -> (bool, usize, String) {
    let letter = place.map_or("", |place| &place.letter);
    (place.is_none(), letter.len(), letter.to_owned())
}

fn wrong_number(error: PhoneError) -> Wrong {
    Wrong { what: error.explanation(), remedy: error.remedy() }
}

/// `2021/9/2～2021/9/11`.
fn period_of(cell: &str) -> Result<(Date, Date), Wrong> {
    let text = value::normal(cell);
    let parts = text.split_once(['~', '〜', '～', '→']).or_else(|| text.split_once("から"));
    let (first, last) = parts.ok_or_else(|| {
        wrong!(
            "期間として読めません",
            "cannot be read as a period";
            "2021/9/2～2021/9/11 の形で入力してください",
            "enter it as 2021/9/2～2021/9/11"
        )
    })?;
    Ok((value::date_of(first)?, value::date_of(last.trim_end_matches("まで"))?))
}

fn glimpse(text: &str) -> String {
    text.chars().take(20).map(|c| if c.is_control() || c == '\u{fffd}' { '□' } else { c }).collect()
}

/// Digits become `#`; letters beyond those of dates are hidden.
fn shape_of(text: &str) -> String {
    text.chars()
        .map(|char| match char {
            '0'..='9' => '#',
            '年' | '月' | '日' | '元' | '令' | '和' | '平' | '成' | '昭' | '大' | '正' => {
                char
            }
            'R' | 'H' | 'S' | 'T' => char,
            char if char.is_alphanumeric() => '○',
            char => char,
        })
        .collect()
}

fn length_of(text: &str) -> String {
    format!("{}文字", text.chars().count())
}
