//! An Excel workbook (`.xlsx`) to rows of cells: what the cells hold, as people would have typed it.
//!
//! A cell holds a number where a spreadsheet shows a date, a time of day or a telephone. Dates and
//! times that are marked as such become text here; a number whose mark does not tell (Excel in Japan
//! has marks of its own for 年月日) becomes a date where its column holds dates, see [`dated`].
//!
//! The file is unpacked once within limits before anything else looks at it: a small file may unpack
//! to gigabytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::panic::catch_unwind;

use calamine::{DataRef, Reader, SheetType, SheetVisible, Xlsx, XlsxCellReader, XlsxError};
use jiff::ToSpan;
use jiff::civil::{Date, Time, date};
use zip::ZipArchive;

use crate::base::Bilingual;
use crate::registry::import::column::{Column, Header};
use crate::registry::import::table::{Damage, ROW_LENGTH, Record, Table};
use crate::registry::import::value::{Wrong, wrong};

/// The name of the format, where others have the name of an encoding.
pub(super) const FORMAT: &str = "Excel (.xlsx)";

/// What all parts of a file may unpack to. Fifty thousand patients take forty megabytes.
const LARGEST: u64 = 128 << 20;

/// What all cells may come to: a long text counts as often as cells refer to it.
const LARGEST_TEXT: usize = 64 << 20;

/// More rows than any list has.
const MOST_ROWS: usize = 200_000;

/// More cells than any list has, the empty ones between them included: each takes room.
const MOST_CELLS: usize = 5_000_000;

/// A cell beyond these columns makes its row no row of a patient list.
const MOST_COLUMNS: u32 = 500;

/// No workbook of a patient list has so many parts.
const MOST_PARTS: usize = 5_000;

/// How zip archives begin, and the compound files in which Excel keeps old and locked workbooks.
const ZIP: &[u8] = b"PK\x03\x04";
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// The first and the last day that a number of Excel's is taken for where nothing marks it as a
/// date: 1900-03-01, behind the leap day that Excel invented, and 2099-12-31.
const SERIAL_DAYS: std::ops::RangeInclusive<f64> = 61.0..=73_050.0;

/// Why a workbook is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// Locked by a password.
    Locked,
    /// A workbook of Excel 97–2003.
    Old,
    /// An archive of something else.
    Foreign,
    /// Beyond the limits.
    TooLarge,
    /// It cannot be read.
    Damaged,
}

/// Whether this is meant to be a workbook: text begins otherwise.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(ZIP) || bytes.starts_with(COMPOUND)
}

/// The rows of the first sheet that has any.
pub(super) fn read(bytes: &[u8]) -> Result<Table, Refusal> {
    if bytes.starts_with(COMPOUND) {
        // A locked workbook is a compound file with the true one, sealed, under this name.
        let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let is_locked = bytes.windows(name.len()).any(|window| window == name);
        return Err(if is_locked { Refusal::Locked } else { Refusal::Old });
    }
    look_through(bytes)?;
    // The parser is not ours, and no bytes from outside may take the program down.
    catch_unwind(|| sheet(bytes)).unwrap_or(Err(Refusal::Damaged))
}

/// Unpacks everything, within limits, and forgets it.
fn look_through(bytes: &[u8]) -> Result<(), Refusal> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Refusal::Damaged)?;
    if archive.len() > MOST_PARTS {
        return Err(Refusal::TooLarge);
    }
    let mut left = LARGEST;
    let mut is_workbook = false;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|_| Refusal::Damaged)?;
        let name = part.name().map_err(|_| Refusal::Damaged)?.to_lowercase();
        is_workbook |= name == "xl/workbook.xml";
        // What the archive says of its sizes need not be true.
        let mut part = part.take(left + 1);
        let size = if name.ends_with("sharedstrings.xml") {
            let mut text = Vec::new();
            part.read_to_end(&mut text).map_err(|_| Refusal::Damaged)?;
            if promises_too_much(&text) {
                return Err(Refusal::Damaged);
            }
            text.len() as u64
        } else {
            io::copy(&mut part, &mut io::sink()).map_err(|_| Refusal::Damaged)?
        };
        left = left.checked_sub(size).ok_or(Refusal::TooLarge)?;
    }
    is_workbook.then_some(()).ok_or(Refusal::Foreign)
}

/// Whether a table of texts says that it holds more of them than it has bytes. The parser makes room
/// for as many as `uniqueCount` promises; without the memory the process is aborted, which is no
/// panic. UTF-16 would hide the word, and no spreadsheet writes it.
fn promises_too_much(text: &[u8]) -> bool {
    const WORD: &[u8] = b"uniqueCount";
    let promised = |at: usize| {
        let rest = text[at + WORD.len()..].iter().skip_while(|byte| !byte.is_ascii_digit());
        let digits: String =
            rest.take_while(|byte| byte.is_ascii_digit()).map(|byte| char::from(*byte)).collect();
        digits.parse::<usize>().ok()
    };
    let mut words = text.windows(WORD.len()).enumerate().filter(|(_, window)| *window == WORD);
    text.contains(&0) || words.any(|(at, _)| promised(at).is_none_or(|n| n > text.len()))
}

fn sheet(bytes: &[u8]) -> Result<Table, Refusal> {
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| refusal(&error))?;
    let is_1904 = workbook.has_1904_epoch();
    let visible = workbook.sheets_metadata().iter().filter(|sheet| {
        sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible
    });
    let names: Vec<String> = visible.map(|sheet| sheet.name.clone()).collect();
    let mut table = Table { encoding: FORMAT, records: Vec::new(), notes: Vec::new() };
    for name in &names {
        table.records =
            rows(workbook.worksheet_cells_reader(name).map_err(|error| refusal(&error))?, is_1904)?;
        if !table.records.is_empty() {
            if names.len() > 1 {
                table.notes.push(Bilingual::composed(
                    format!("シート「{name}」だけを読み込みました。ほかのシートは読み込みません"),
                    format!("only the sheet {name} was read, and none of the others"),
                ));
            }
            break;
        }
    }
    Ok(table)
}

fn refusal(error: &XlsxError) -> Refusal {
    match error {
        XlsxError::Password => Refusal::Locked,
        _ => Refusal::Damaged,
    }
}

/// A row while its cells are gathered.
#[derive(Default)]
struct Gathered {
    cells: Vec<String>,
    serials: Vec<(usize, f64)>,
    length: usize,
    is_too_long: bool,
}

fn rows<R: Read + io::Seek>(
    mut reader: XlsxCellReader<'_, R>,
    is_1904: bool,
) -> Result<Vec<Record>, Refusal> {
    let mut rows: BTreeMap<u32, Gathered> = BTreeMap::new();
    let (mut total, mut n_cells) = (0, 0);
    while let Some(cell) = reader.next_cell().map_err(|error| refusal(&error))? {
        let (row, column) = cell.get_position();
        let (text, serial) = text(cell.get_value(), is_1904);
        if text.trim().is_empty() {
            continue;
        }
        total += text.len();
        if total > LARGEST_TEXT || n_cells > MOST_CELLS || rows.len() > MOST_ROWS {
            return Err(Refusal::TooLarge);
        }
        let row = rows.entry(row).or_default();
        row.length += text.len();
        if column >= MOST_COLUMNS || row.length > ROW_LENGTH {
            row.is_too_long = true;
            continue;
        }
        let index = column as usize;
        if row.cells.len() <= index {
            n_cells += index + 1 - row.cells.len();
            row.cells.resize(index + 1, String::new());
        }
        row.cells[index] = text;
        row.serials.extend(serial.map(|serial| (index, serial)));
    }
    let records = rows.into_iter().map(|(row, gathered)| Record {
        line: row as usize + 1,
        cells: if gathered.is_too_long { Err(Damage::TooLong) } else { Ok(gathered.cells) },
        serials: gathered.serials,
    });
    Ok(records.collect())
}

/// A cell as people would have typed it; and the number that it is, unless it is marked as a date.
fn text(value: &DataRef<'_>, is_1904: bool) -> (String, Option<f64>) {
    // 1904-01-01 is day 0 there and day 1462 elsewhere. A time of day has no day to be moved.
    let days = |number: f64| if is_1904 && number >= 1.0 { number + 1462.0 } else { number };
    match value {
        DataRef::Empty => (String::new(), None),
        DataRef::String(text) => (text.clone(), None),
        DataRef::SharedString(text) => ((*text).to_owned(), None),
        DataRef::Bool(is_true) => (if *is_true { "TRUE" } else { "FALSE" }.to_owned(), None),
        DataRef::Float(number) => (plain(*number), Some(days(*number))),
        #[expect(clippy::cast_precision_loss, reason = "the days of a calendar are few")]
        DataRef::Int(number) => (number.to_string(), Some(days(*number as f64))),
        DataRef::DateTime(at) => (moment(days(at.as_f64())), None),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => (text.clone(), None),
        DataRef::Error(error) => (error.to_string(), None),
    }
}

/// `9012345678`, `36.5`; beyond the 15 digits that a spreadsheet keeps, in the form that tells so.
fn plain(number: f64) -> String {
    if number.abs() >= 1e15 { format!("{number:E}").replace('E', "E+") } else { number.to_string() }
}

/// A date, a time of day, or both, from a number of days.
fn moment(serial: f64) -> String {
    let (mut days, mut seconds) = (serial.floor(), (serial.fract() * 86_400.0).round());
    if seconds >= 86_400.0 {
        (days, seconds) = (days + 1.0, 0.0);
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than the seconds of a day")]
    let clock = Time::midnight().wrapping_add((seconds as i64).seconds());
    let clock = if clock.second() == 0 {
        format!("{}:{:02}", clock.hour(), clock.minute())
    } else {
        format!("{}:{:02}:{:02}", clock.hour(), clock.minute(), clock.second())
    };
    match day(days) {
        _ if days == 0.0 => clock,
        Some(day) if clock == "0:00" => day.to_string(),
        Some(day) => format!("{day} {clock}"),
        None => plain(serial),
    }
}

/// The day of that number. Day 60 is a leap day that never was.
fn day(serial: f64) -> Option<Date> {
    // The last day that Excel knows is 9999-12-31.
    if !(1.0..2_958_466.0).contains(&serial) || (60.0..61.0).contains(&serial) {
        return None;
    }
    let origin = if serial < 60.0 { date(1899, 12, 31) } else { date(1899, 12, 30) };
    #[expect(clippy::cast_possible_truncation, reason = "looked at above")]
    let days = serial as i64;
    origin.checked_add(days.days()).ok()
}

/// The cells of a row, with numbers as dates and times of day where their columns hold such; and the
/// columns in which a number became a date, for somebody to look at.
pub(super) fn dated<'a>(record: &'a Record, header: &Header) -> (Cow<'a, [String]>, Vec<usize>) {
    let Ok(cells) = &record.cells else { return (Cow::Borrowed(&[]), Vec::new()) };
    let mut cells = Cow::Borrowed(&**cells);
    let mut taken = Vec::new();
    for (index, serial) in &record.serials {
        let text = match header.columns.get(*index).copied().flatten() {
            Some(column) if column.is_day() && SERIAL_DAYS.contains(serial) => {
                taken.push(*index);
                moment(*serial)
            }
            Some(Column::CallTime(_)) if (0.0..1.0).contains(serial) => moment(*serial),
            _ => continue,
        };
        cells.to_mut()[*index] = text;
    }
    (cells, taken)
}

impl Refusal {
    pub(super) fn explanation(self) -> Wrong {
        match self {
            Self::Locked => wrong!(
                "パスワードで保護されたExcelブックです",
                "this workbook is locked by a password";
                "Excelで開き、「ファイル」→「情報」→「ブックの保護」でパスワードを外して保存し直すか、CSVで保存してください",
                "open it in Excel, take the password off (File, Info, Protect Workbook) and save it again, or save it as CSV"
            ),
            Self::Old => wrong!(
                "古い形式（Excel 97-2003、.xls）のブックです",
                "this is a workbook of Excel 97-2003 (.xls)";
                "Excelで開き、「名前を付けて保存」で「Excelブック（.xlsx）」または「CSV UTF-8」を選んで保存し直してください",
                "open it in Excel and save it as an Excel workbook (.xlsx) or as CSV UTF-8"
            ),
            Self::Foreign => wrong!(
                "Excelブック（.xlsx）ではありません",
                "this is no Excel workbook (.xlsx)";
                "表計算ソフトで開き、「Excelブック（.xlsx）」または「CSV UTF-8」で保存し直してください",
                "open it in a spreadsheet and save it as an Excel workbook (.xlsx) or as CSV UTF-8"
            ),
            Self::TooLarge => wrong!(
                "ブックが大きすぎます",
                "this workbook is too large";
                "患者一覧のシートだけを新しいブックに写すか、一覧を分けて保存し直してください",
                "copy the sheet with the list into a new workbook, or split the list"
            ),
            Self::Damaged => wrong!(
                "Excelブックが壊れていて読めません",
                "this workbook is damaged and cannot be read";
                "Excelで開いて保存し直すか、「CSV UTF-8」で保存してください",
                "open it in Excel and save it again, or save it as CSV UTF-8"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_what_people_would_have_typed() {
        for (number, expected) in [
            (9_012_345_678.0, "9012345678"),
            (36.5, "36.5"),
            (20_210_902.0, "20210902"),
            (123_456_789_012_345_680.0, "1.2345678901234568E+17"),
        ] {
            assert_eq!(plain(number), expected);
        }
        for (serial, expected) in [
            (44_441.0, "2021-09-02"),
            (0.375, "9:00"),
            (0.0, "0:00"),
            (14.5 / 24.0, "14:30"),
            (0.999_999, "1900-01-01"),
            (44_441.375, "2021-09-02 9:00"),
            (44_441.000_02, "2021-09-02 0:00:02"),
            (1.0, "1900-01-01"),
            (59.0, "1900-02-28"),
            (60.0, "60"),
            (61.0, "1900-03-01"),
            (2_958_465.0, "9999-12-31"),
            (2_958_466.0, "2958466"),
            (-1.0, "-1"),
        ] {
            assert_eq!(moment(serial), expected, "{serial}");
        }
    }

    #[test]
    fn what_is_no_workbook_is_told_apart() {
        let sealed: Vec<u8> =
            "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let locked = [COMPOUND, &[0; 1024], &sealed].concat();
        let old = [COMPOUND, &[0; 2048]].concat();
        assert!(is_one(&locked) && is_one(&old) && !is_one("管理番号,氏名".as_bytes()));
        assert_eq!(read(&locked).unwrap_err(), Refusal::Locked);
        assert_eq!(read(&old).unwrap_err(), Refusal::Old);
        assert_eq!(read(ZIP).unwrap_err(), Refusal::Damaged);
    }
}
