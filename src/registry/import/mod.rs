//! Reads patient lists as spreadsheets write them.
//!
//! Pure: bytes in, rows and faults out. Nothing is guessed silently: what was mended is a
//! [`Note`], what cannot be read is a [`Fault`] with its place and its remedy. A row with a fault
//! yields no patient, and has no effect on any other row.
//!
//! ```text
//! text ──────table──┐
//! .xlsx ──workbook──┴► rows of cells ──column──► named cells ──value──► PatientDraft | faults
//!                                                                           │ compare
//!                                                  what is known of them ───┴──► Compared
//! ```

pub mod compare;
pub mod problem;

mod column;
mod row;
mod table;
mod value;
mod workbook;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::base::id::{EpisodeId, HealthCenterId, PatientId};
use crate::base::{Bilingual, Language, PhoneNumber, Private};
use crate::registry::arrangement::Told;
use crate::registry::import::column::{Column, Header};
use crate::registry::import::row::RowReader;
use crate::registry::import::table::{Damage, Record, Table};
use crate::registry::import::value::{Wrong, wrong};
use crate::registry::{Arrangement, Course, Episode, Gender, Patient, PatientPhone, RiskFlag};

/// Reads a patient list: an Excel workbook (`.xlsx`), CSV, or tab-separated as it is pasted, in
/// UTF-8, UTF-16 or CP932.
///
/// `today` is the first day of observation where the list tells none.
pub fn read(bytes: &[u8], today: Date) -> Import {
    read_as(bytes, today, &Reading::default())
}

/// As [`read`], with what staff said about the list.
pub fn read_as(bytes: &[u8], today: Date, reading: &Reading) -> Import {
    let said = &reading.headings;
    let table = if workbook::is_one(bytes) {
        workbook::read(bytes)
    } else {
        Ok(Table::read(bytes, |cells| Header::count_known(cells, said)))
    };
    let mut import = Import::default();
    let table = match table {
        Ok(table) => table,
        Err(refusal) => {
            import.encoding = workbook::FORMAT;
            import.faults.push(Fault::of_file(1, refusal.explanation()));
            return import;
        }
    };
    import.encoding = table.encoding;
    import.notes.extend(table.notes.into_iter().map(|what| Note { line: 1, place: None, what }));
    let Some((header, body)) = find_header(&table.records, said) else {
        import.faults.push(Fault::of_file(1, no_header(table.encoding)));
        return import;
    };
    import.headings = header.headings().to_vec();
    import.foreign.clone_from(&header.foreign);
    for place in &header.unknown {
        let what = Bilingual::fixed("この列は読み込みません", "this column is not read");
        import.notes.push(Note { line: header.line, place: Some(place.clone()), what });
    }
    let missing = header.missing();
    if !missing.is_empty() {
        import.faults.extend(missing.into_iter().map(|column| Fault::missing(&header, column)));
        return import;
    }
    import.notes.extend(notes_on_numbers(&header, body));
    import.rows = body
        .iter()
        .map(|record| match reading.cells_of(record, &header) {
            Ok(cells) => RowReader::new(&header, record.line, &cells, today).read(),
            Err(damage) => Row {
                line: record.line,
                outcome: Err(vec![Fault::of_file(record.line, damaged(damage))]),
                notes: Vec::new(),
                cells: Private::default(),
            },
        })
        .collect();
    refuse_doubles(&mut import.rows, &header);
    note_households(&mut import.rows);
    for (row, record) in import.rows.iter_mut().zip(body) {
        if row.outcome.is_err() {
            let cells = reading.cells_of(record, &header).unwrap_or_default();
            row.cells = cells.into_owned().into();
        }
    }
    import
}

/// What a workbook's numbers were taken for, once for a column: a list of a thousand rows would say
/// it a thousand times.
fn notes_on_numbers(header: &Header, body: &[Record]) -> Vec<Note> {
    let number = header.index(Column::RegistrationNumber);
    let is_number =
        |record: &Record| record.serials.iter().any(|(index, _)| Some(*index) == number);
    let days: BTreeSet<usize> =
        body.iter().flat_map(|record| workbook::dated(record, header).1).collect();
    let zeros = number.filter(|_| body.iter().any(is_number)).map(|index| {
        let what = Bilingual::fixed(
            "数値のセルです。表示形式で付けた先頭の0は読み込まれません。番号が0で始まる場合は、列を「文字列」にしてください",
            "these cells are numbers: zeros that their format shows in front are not read; format the \
             column as text if numbers begin with 0",
        );
        (index, what)
    });
    let days = days.into_iter().map(|index| {
        let what = Bilingual::fixed(
            "日付の書式でない数を、Excelの日付として読みました。下の日付をご確認ください",
            "numbers without a format of dates were taken for the dates of Excel; please look at them",
        );
        (index, what)
    });
    let notes = zeros.into_iter().chain(days);
    notes
        .map(|(index, what)| Note { line: header.line, place: Some(header.place_at(index)), what })
        .collect()
}

/// What staff said about a list beside the list: what its headings stand for, and rows that they put
/// right.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reading {
    /// By [`Heading::key`]: the name of the column, or nothing if it is not to be read.
    pub headings: BTreeMap<String, String>,
    /// The cells of rows that were put right, by line.
    pub rows: BTreeMap<usize, Vec<String>>,
}

impl Reading {
    fn cells_of<'a>(
        &'a self,
        record: &'a Record,
        header: &Header,
    ) -> Result<Cow<'a, [String]>, Damage> {
        match (self.rows.get(&record.line), &record.cells) {
            (Some(cells), _) => Ok(Cow::Borrowed(cells)),
            (None, Ok(_)) => Ok(workbook::dated(record, header).0),
            (None, Err(damage)) => Err(*damage),
        }
    }
}

impl fmt::Debug for Reading {
    /// Whose rows they are is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} headings, {} rows", self.headings.len(), self.rows.len())
    }
}

/// The names of all columns that a heading may stand for.
pub fn columns() -> impl Iterator<Item = &'static str> {
    Column::names()
}

/// A heading that the program does not know by itself, or that stands twice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heading {
    /// Where it stands.
    pub place: Place,
    /// The heading without what makes no difference, such as width and blanks.
    pub key: String,
    /// The name of the column that staff say it stands for, or nothing if it is not to be read;
    /// `None` if nobody said.
    pub column: Option<&'static str>,
}

/// What a list came to.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// The encoding, or the format, that was recognised; CP932 is called `Shift_JIS`.
    pub encoding: &'static str,
    /// All headings as they stand, in order.
    pub headings: Vec<String>,
    /// Those of them that the program does not know by itself.
    pub foreign: Vec<Heading>,
    /// What is wrong with the list as a whole. If there is anything, there are no rows.
    pub faults: Vec<Fault>,
    /// What there is to say about the list as a whole.
    pub notes: Vec<Note>,
    /// One for each row that is not blank, in the order of the list.
    pub rows: Vec<Row>,
}

impl Import {
    /// The patients that can be taken over.
    pub fn drafts(&self) -> impl Iterator<Item = &PatientDraft> {
        self.rows.iter().filter_map(|row| row.outcome.as_ref().ok())
    }
}

/// One row of the list.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line of the file on which the row begins, from 1.
    pub line: usize,
    /// The patient, or all that is wrong with the row.
    pub outcome: Result<PatientDraft, Vec<Fault>>,
    /// What was mended, and what should be looked at.
    pub notes: Vec<Note>,
    /// The cells as they stand, if the row cannot be taken over; none if it has no cells.
    pub cells: Private<Vec<String>>,
}

/// A column of the list, as staff see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The letter of the column in a spreadsheet: `A`, `B` … `AA`.
    pub letter: String,
    /// The heading of the column.
    pub heading: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.heading.as_str() {
            "" => f.write_str(&self.letter),
            heading => write!(f, "{}（{heading}）", self.letter),
        }
    }
}

/// Something that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The line of the file, from 1.
    pub line: usize,
    /// The column; `None` if it concerns the whole row or file.
    pub place: Option<Place>,
    /// The cell, hidden where it is about a person: digits become `#`, names are not shown.
    pub shown: String,
    /// What is wrong.
    pub what: Bilingual,
    /// What staff can do about it.
    pub remedy: Bilingual,
}

impl Fault {
    fn of_file(line: usize, Wrong { what, remedy }: Wrong) -> Self {
        Self { line, place: None, shown: String::new(), what, remedy }
    }

    fn missing(header: &Header, column: Column) -> Self {
        let name = column.name();
        let what = Bilingual::composed(
            format!("「{name}」の列がありません"),
            format!("there is no column {name}"),
        );
        let remedy = Bilingual::composed(
            format!("見出しの行に「{name}」を加えてください"),
            format!("add {name} to the line of headings"),
        );
        Self::of_file(header.line, Wrong { what, remedy })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.line, self.place.as_ref())?;
        if !self.shown.is_empty() {
            write!(f, "[{}] ", self.shown)?;
        }
        write!(f, "{}。{} / {}: {}", self.what.ja, self.remedy.ja, self.what.en, self.remedy.en)
    }
}

/// Something that was mended, or that should be looked at. It stops nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// The line of the file, from 1.
    pub line: usize,
    /// The column; `None` if it concerns the whole row.
    pub place: Option<Place>,
    /// What there is to say.
    pub what: Bilingual,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.line, self.place.as_ref())?;
        self.what.fmt(f)
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, line: usize, place: Option<&Place>) -> fmt::Result {
    write!(f, "{line}行目 ")?;
    place.map_or(Ok(()), |place| write!(f, "{place} "))
}

/// A patient as read from a list: no ids yet.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as in `Patient`")]
pub struct PatientDraft {
    /// 管理番号
    pub registration_number: String,
    /// 氏名
    pub name: Private<String>,
    /// フリガナ, in full-width katakana.
    pub kana: Private<String>,
    /// 生年月日
    pub birth_date: Private<Date>,
    /// 性別, if told.
    pub sex: Private<Option<Gender>>,
    /// 電話番号1–3 in the order of dialling; at least one, none twice.
    pub phones: Vec<PatientPhone>,
    /// 緊急連絡先: for staff; it is not among the telephones that are dialled.
    pub emergency_contact: Option<PhoneNumber>,
    /// 言語
    pub language: Language,
    /// 体温計; at hand unless the list denies it.
    pub has_thermometer: bool,
    /// パルスオキシメーター; not at hand unless the list says so.
    pub has_oximeter: bool,
    /// ゆっくり
    pub slow_speech: bool,
    /// 独居
    pub lives_alone: bool,
    /// リスク因子
    pub risks: Vec<RiskFlag>,
    /// 発症日, if told.
    pub onset: Private<Option<Date>>,
    /// 検体採取日, if told.
    pub specimen_day: Private<Option<Date>>,
    /// 症状有無, if told.
    pub has_symptoms: Private<Option<bool>>,
    /// 観察開始日
    pub first_day: Date,
    /// 観察終了日
    pub last_day: Date,
    /// 架電時刻1–4, ascending; empty if none was agreed.
    pub call_times: Vec<Time>,
    /// 架電曜日 and 報告方法, if told.
    pub told: Told,
    /// 備考
    pub remarks: Private<String>,
}

impl PatientDraft {
    /// The patient, with ids.
    pub fn patient(&self, id: PatientId, health_center: HealthCenterId) -> Patient {
        Patient {
            id,
            health_center,
            registration_number: self.registration_number.clone(),
            birth_date: self.birth_date.clone(),
            name: self.name.clone(),
            kana: self.kana.clone(),
            gender: *self.sex.expose(),
            language: self.language,
            has_thermometer: self.has_thermometer,
            has_oximeter: self.has_oximeter,
            slow_speech: self.slow_speech,
            lives_alone: self.lives_alone,
            risks: self.risks.clone(),
            phones: self.phones.clone(),
        }
    }

    /// What the list says about the beginning of the illness.
    pub fn course(&self) -> Course {
        Course {
            onset: *self.onset.expose(),
            specimen: *self.specimen_day.expose(),
            has_symptoms: *self.has_symptoms.expose(),
        }
    }

    /// The episode, with ids.
    pub fn episode(&self, id: EpisodeId, patient: PatientId) -> Episode {
        let Self { first_day, last_day, .. } = *self;
        let call_times = self.call_times.clone();
        let arrangement = self.told.apply(Arrangement::default());
        Episode { id, patient, first_day, last_day, call_times, arrangement }
    }
}

/// The headings may stand below a title.
fn find_header<'a>(
    records: &'a [Record],
    said: &BTreeMap<String, String>,
) -> Option<(Header, &'a [Record])> {
    records.iter().take(10).enumerate().find_map(|(index, record)| {
        let header = Header::read(record.line, record.cells.as_ref().ok()?, said)?;
        Some((header, records.get(index + 1..).unwrap_or_default()))
    })
}

fn no_header(encoding: &str) -> Wrong {
    if encoding == workbook::FORMAT {
        return wrong!(
            "見出しの行（管理番号、氏名 など）が見つかりません",
            "no line of headings (管理番号, 氏名 …) was found";
            "患者一覧を最初のシートに置き、1行目に見出しを置いて保存し直してください",
            "put the list on the first sheet with the headings in line 1, and save again"
        );
    }
    wrong!(
        "見出しの行（管理番号、氏名 など）が見つかりません",
        "no line of headings (管理番号, 氏名 …) was found";
        "1行目に見出しを置き、文字コードを「UTF-8」または「Shift_JIS」にしてCSVで保存し直してください",
        "put the headings in line 1 and save as CSV in UTF-8 or Shift_JIS"
    )
}

fn damaged(damage: Damage) -> Wrong {
    match damage {
        Damage::Quote => wrong!(
            "引用符（\"）が閉じていないか、途中で閉じています",
            "a quote (\") is not closed, or closes in the middle of a cell";
            "この行の引用符を取り除くか、対にしてください",
            "remove the quotes of this line, or pair them"
        ),
        Damage::TooLong => wrong!(
            "行が長すぎます",
            "the row is too long";
            "この行に余分なデータが入っていないか確認してください",
            "look for stray data in this row"
        ),
    }
}

/// One number cannot stand for two patients: the first row stays, later ones are refused.
fn refuse_doubles(rows: &mut [Row], header: &Header) {
    let mut first_lines: HashMap<String, usize> = HashMap::new();
    for row in rows {
        let Ok(draft) = &row.outcome else { continue };
        let first_line = *first_lines.entry(draft.registration_number.clone()).or_insert(row.line);
        if first_line == row.line {
            continue;
        }
        row.outcome = Err(vec![Fault {
            line: row.line,
            place: header.place(Column::RegistrationNumber),
            shown: draft.registration_number.clone(),
            what: Bilingual::composed(
                format!("{first_line}行目と同じ管理番号です"),
                format!("line {first_line} has the same registration number"),
            ),
            remedy: Bilingual::fixed(
                "同じ方ならどちらかの行を消し、別の方なら管理番号を直してください",
                "delete one line if it is the same person; else correct the number",
            ),
        }]);
    }
}

fn note_households(rows: &mut [Row]) {
    let mut lines: HashMap<PhoneNumber, Vec<usize>> = HashMap::new();
    for row in rows.iter() {
        for phone in row.outcome.iter().flat_map(|draft| &draft.phones) {
            lines.entry(phone.number.clone()).or_default().push(row.line);
        }
    }
    for row in rows {
        let Ok(draft) = &row.outcome else { continue };
        let mut others: Vec<usize> =
            draft.phones.iter().flat_map(|phone| lines[&phone.number].iter().copied()).collect();
        others.retain(|line| *line != row.line);
        others.sort_unstable();
        others.dedup();
        if !others.is_empty() {
            let others = others.iter().map(usize::to_string).collect::<Vec<_>>().join("・");
            let what = Bilingual::composed(
                format!("{others}行目の方と同じ電話番号です（同じ世帯として、順に電話します）"),
                format!("same telephone as line {others}: a household, called one by one"),
            );
            row.notes.push(Note { line: row.line, place: None, what });
        }
    }
}
