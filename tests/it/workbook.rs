//! Patient lists as Excel workbooks: true `.xlsx` files, from the cells to the patients.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::io::Write;

use jiff::civil::{Date, date, time};
use mimamori::registry::import::{self, Import};
use proptest::prelude::*;
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const TODAY: Date = date(2021, 9, 2);

const HEADINGS: [&str; 9] = [
    "管理番号",
    "氏名",
    "フリガナ",
    "生年月日",
    "電話番号1",
    "発症日",
    "観察開始日",
    "架電時刻1",
    "独居",
];

fn headings(sheet: &mut Worksheet, row: u32) {
    for (column, heading) in (0..).zip(HEADINGS) {
        sheet.write(row, column, heading).unwrap();
    }
}

/// Two people: one as Excel stores what is typed, one all in text.
fn list() -> Workbook {
    let day = Format::new().set_num_format("yyyy/m/d");
    let clock = Format::new().set_num_format("h:mm");
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, "みなと保健所 患者一覧").unwrap();
    headings(sheet, 2);
    sheet.write(3, 0, 20_210_001).unwrap();
    sheet.write(3, 1, "髙﨑 良子").unwrap();
    sheet.write_formula(3, 2, Formula::new("PHONETIC(B4)").set_result("タカサキ ヨシコ")).unwrap();
    sheet.write_with_format(3, 3, ExcelDateTime::from_ymd(1940, 1, 1).unwrap(), &day).unwrap();
    sheet.write(3, 4, 9_012_345_678_i64).unwrap();
    // As a cell without a format of dates: the day that is shown as 44438.
    sheet.write(3, 5, 44_438).unwrap();
    let first = Formula::new("TODAY()").set_result("44441");
    sheet.write_formula_with_format(3, 6, first, &day).unwrap();
    sheet.write_with_format(3, 7, ExcelDateTime::from_hms(9, 0, 0).unwrap(), &clock).unwrap();
    sheet.write(3, 8, true).unwrap();
    for (column, text) in (0..).zip([
        "0002",
        "神崎 一郎",
        "カンザキ イチロウ",
        "S60.7.15",
        "03-1234-5678",
        "R3.8.30",
        "2021/9/2",
        "14:30",
        "なし",
    ]) {
        sheet.write(5, column, text).unwrap();
    }
    workbook
}

fn read(workbook: &mut Workbook) -> Import {
    import::read(&workbook.save_to_buffer().unwrap(), TODAY)
}

/// What a person is told about the list as a whole.
fn told(import: &Import) -> Vec<String> {
    let faults = import.faults.iter().map(|fault| format!("! {fault}"));
    faults.chain(import.notes.iter().map(|note| format!("- {note}"))).collect()
}

#[test]
fn cells_are_read_as_people_see_them() {
    let import = read(&mut list());
    assert_eq!(import.encoding, "Excel (.xlsx)");
    let drafts: Vec<_> = import.drafts().collect();
    let [first, second] = &*drafts else { panic!("{:?}", import.rows) };
    assert_eq!(import.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [4, 6]);
    assert_eq!(first.registration_number, "20210001");
    assert_eq!(first.name.expose(), "髙﨑 良子");
    assert_eq!(first.kana.expose(), "タカサキ ヨシコ");
    assert_eq!(*first.birth_date.expose(), date(1940, 1, 1));
    assert_eq!(first.phones[0].number.e164(), "+819012345678");
    assert_eq!(*first.onset.expose(), Some(date(2021, 8, 30)));
    assert_eq!(first.first_day, date(2021, 9, 2));
    assert_eq!(first.call_times, [time(9, 0, 0, 0)]);
    assert!(first.lives_alone);

    assert_eq!(second.registration_number, "0002", "a text keeps its zeros");
    assert_eq!(*second.birth_date.expose(), date(1985, 7, 15));
    assert_eq!(second.call_times, [time(14, 30, 0, 0)]);
    assert!(!second.lives_alone);

    insta::assert_snapshot!(told(&import).join("\n"), @r"
    - 3行目 A（管理番号） 数値のセルです。表示形式で付けた先頭の0は読み込まれません。番号が0で始まる場合は、列を「文字列」にしてください / these cells are numbers: zeros that their format shows in front are not read; format the column as text if numbers begin with 0
    - 3行目 F（発症日） 日付の書式でない数を、Excelの日付として読みました。下の日付をご確認ください / numbers without a format of dates were taken for the dates of Excel; please look at them
    ");
    let mended = &import.rows[0].notes[0];
    assert!(mended.what.ja.contains("先頭の0"), "{mended}");
}

#[test]
fn days_that_count_from_1904_are_the_same_days() {
    let bytes = list().save_to_buffer().unwrap();
    let bytes = repacked(&bytes, |name, text| match name {
        "xl/workbook.xml" => text.replace("<workbookPr", "<workbookPr date1904=\"1\""),
        "xl/worksheets/sheet1.xml" => text
            .replace("<v>14611</v>", "<v>13149</v>")
            .replace("<v>44438</v>", "<v>42976</v>")
            .replace("<v>44441</v>", "<v>42979</v>"),
        _ => text,
    });
    let import = import::read(&bytes, TODAY);
    let first = import.drafts().next().unwrap();
    assert_eq!(*first.birth_date.expose(), date(1940, 1, 1));
    assert_eq!(*first.onset.expose(), Some(date(2021, 8, 30)));
    assert_eq!(first.first_day, date(2021, 9, 2));
    assert_eq!(first.call_times, [time(9, 0, 0, 0)]);
}

/// The same archive with other texts in it.
fn repacked(bytes: &[u8], change: impl Fn(&str, String) -> String) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut out = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let part = archive.by_index(index).unwrap();
        let name = part.name().unwrap().into_owned();
        let text = std::io::read_to_string(part).unwrap();
        out.start_file(&name, SimpleFileOptions::default()).unwrap();
        out.write_all(change(&name, text).as_bytes()).unwrap();
    }
    out.finish().unwrap().into_inner()
}

#[test]
fn the_first_sheet_with_rows_is_the_list() {
    let mut workbook = Workbook::new();
    workbook.add_worksheet().set_name("表紙").unwrap();
    let hidden = workbook.add_worksheet();
    hidden.set_hidden(true).set_name("原本").unwrap();
    hidden.write(0, 0, "見えない").unwrap();
    let sheet = workbook.add_worksheet();
    sheet.set_name("9月2日").unwrap();
    headings(sheet, 0);
    for (column, text) in (0..).zip(["A1", "神崎 花", "カンザキ ハナ", "S60.7.15", "0312345678"])
    {
        sheet.write(1, column, text).unwrap();
    }
    let import = read(&mut workbook);
    assert_eq!(import.drafts().count(), 1, "{:?}", told(&import));
    assert!(
        told(&import)[0].contains("シート「9月2日」だけを読み込みました"),
        "{:?}",
        told(&import)
    );
}

#[test]
fn the_error_of_a_formula_is_no_name() {
    let mut workbook = list();
    let sheet = workbook.worksheet_from_index(0).unwrap();
    sheet.write_formula(3, 1, Formula::new("VLOOKUP(A4,X:Y,2)").set_result("#N/A")).unwrap();
    let import = read(&mut workbook);
    let faults = import.rows[0].outcome.as_ref().unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].what.en.contains("error of a formula"), "{}", faults[0]);
    assert!(import.rows[1].outcome.is_ok(), "and no other row is hurt");
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
    let sealed: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut broken = list().save_to_buffer().unwrap();
    broken.truncate(broken.len() / 2);
    let mut empty = Workbook::new();
    empty.add_worksheet();
    for (bytes, what, remedy) in [
        ([COMPOUND, &[0; 1000], &sealed].concat(), "パスワードで保護", "パスワードを外して"),
        ([COMPOUND, &[0; 1000]].concat(), "古い形式", "Excelブック（.xlsx）"),
        (archive("content.xml", b"<office/>"), "ではありません", "CSV UTF-8"),
        (broken, "壊れていて", "保存し直す"),
        (empty.save_to_buffer().unwrap(), "見出しの行", "最初のシート"),
    ] {
        let import = import::read(&bytes, TODAY);
        let [fault] = &*import.faults else { panic!("one fault: {:?}", told(&import)) };
        assert!(fault.what.ja.contains(what) && fault.remedy.ja.contains(remedy), "{fault}");
        assert!(import.rows.is_empty());
    }
}

fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut out = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    out.start_file(name, options).unwrap();
    out.write_all(content).unwrap();
    out.finish().unwrap().into_inner()
}

/// A small file that unpacks to more than any list is refused before anything reads it.
#[test]
fn a_file_that_unpacks_to_gigabytes_is_refused() {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let mut out = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let nothing = vec![b' '; 1 << 20];
    for part in 0..3 {
        out.start_file(format!("xl/media/{part}"), options).unwrap();
        for _ in 0..50 {
            out.write_all(&nothing).unwrap();
        }
    }
    let bytes = out.finish().unwrap().into_inner();
    assert!(bytes.len() < 1 << 20, "{}", bytes.len());
    let import = import::read(&bytes, TODAY);
    assert!(import.faults[0].what.en.contains("too large"), "{:?}", told(&import));
}

/// What is not there must not take room: the parser would ask for it, and find the memory wanting.
#[test]
fn texts_that_are_only_promised_make_a_file_damaged() {
    let bytes = list().save_to_buffer().unwrap();
    let bytes =
        repacked(&bytes, |_, text| text.replace("uniqueCount=\"", "uniqueCount=\"99999999999"));
    let import = import::read(&bytes, TODAY);
    assert!(import.faults[0].what.ja.contains("壊れていて"), "{:?}", told(&import));
}

/// Empty cells take room, too, and so do rows that are too long to be any.
#[test]
fn many_wide_or_long_rows_are_refused() {
    for (n_rows, column) in [(11_000, 499), (200_010, 600)] {
        let mut workbook = list();
        let sheet = workbook.worksheet_from_index(0).unwrap();
        for row in 0..n_rows {
            sheet.write(10 + row, column, "x").unwrap();
        }
        let import = read(&mut workbook);
        assert!(import.faults[0].what.en.contains("too large"), "{:?}", told(&import));
    }
}

/// A cell in the last column of the last row must not make room for all before it.
#[test]
fn a_cell_far_away_spoils_its_own_row_only() {
    let mut workbook = list();
    let sheet = workbook.worksheet_from_index(0).unwrap();
    sheet.write(1_048_575, 16_383, "x").unwrap();
    let import = read(&mut workbook);
    assert_eq!(import.drafts().count(), 2);
    assert_eq!(import.rows.len(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_damaged_workbook_is_read_without_a_panic(
        damage in prop::collection::vec((0_usize..20_000, any::<u8>()), 1..20),
        in_sheet in prop::collection::vec((0_usize..20_000, "[<>/=\"a-z0-9]{0,4}"), 0..6),
    ) {
        let good = list().save_to_buffer().unwrap();
        let mut bytes = good.clone();
        for (at, byte) in damage {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        let _ = told(&import::read(&bytes, TODAY));
        // Damage that the checksums do not find.
        let bytes = repacked(&good, |name, mut text| {
            if name.ends_with("sheet1.xml") || name.ends_with("sharedStrings.xml") {
                for (at, garbage) in &in_sheet {
                    let mut at = at % text.len();
                    while !text.is_char_boundary(at) {
                        at -= 1;
                    }
                    text.insert_str(at, garbage);
                }
            }
            text
        });
        let _ = told(&import::read(&bytes, TODAY));
    }
}
