//! Bytes to rows of cells: encodings, separators, quotes and lines as spreadsheets write them.
//!
//! RFC 4180, read so that damage stays where it is: a quote that never ends spoils its own line
//! and no other.

use encoding_rs::{Encoding, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};

use crate::base::Bilingual;

/// A quoted cell of more lines than this is a quote that was never closed.
const LINES_IN_A_CELL: usize = 30;

/// A row longer than this, in characters, is no row of a patient list.
pub(super) const ROW_LENGTH: usize = 50_000;

/// The rows of a file.
#[derive(Debug)]
pub(super) struct Table {
    /// The name of the encoding, or of the format, that was recognised.
    pub(super) encoding: &'static str,
    /// All rows that are not blank, the header included.
    pub(super) records: Vec<Record>,
    /// What there is to say about the file.
    pub(super) notes: Vec<Bilingual>,
}

/// One row.
#[derive(Debug)]
pub(super) struct Record {
    /// The line of the file on which it begins, from 1.
    pub(super) line: usize,
    pub(super) cells: Result<Vec<String>, Damage>,
    /// Cells of a workbook that hold numbers, with these as days since 1900.
    pub(super) serials: Vec<(usize, f64)>,
}

/// Why a row could not be split into cells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Damage {
    /// A quote opens that does not close, or closes in the middle of a cell.
    Quote,
    /// Beyond [`ROW_LENGTH`].
    TooLong,
}

impl Table {
    /// `known` says how many headings it knows in a row; it decides on the separator.
    pub(super) fn read(bytes: &[u8], known: impl Fn(&[String]) -> usize) -> Self {
        let (text, encoding) = decode(bytes);
        let lines = lines_of(&text);
        let delimiter = delimiter_of(&lines, known);
        let mut records = Vec::new();
        let mut index = 0;
        // Excel's hint to itself, such as `sep=;`.
        if lines.first().is_some_and(|line| line.starts_with("sep=")) {
            index = 1;
        }
        while index < lines.len() {
            let (cells, n_lines) = record(&lines[index..], delimiter);
            let is_blank =
                cells.as_ref().is_ok_and(|cells| cells.iter().all(|cell| cell.trim().is_empty()));
            if !is_blank {
                records.push(Record { line: index + 1, cells, serials: Vec::new() });
            }
            index += n_lines;
        }
        Self { encoding: encoding.name(), records, notes: Vec::new() }
    }
}

/// UTF-8 or UTF-16 if marked or valid; else CP932, which is what Japanese spreadsheets mean.
fn decode(bytes: &[u8]) -> (String, &'static Encoding) {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        debug_assert!([UTF_8, UTF_16LE, UTF_16BE].contains(&encoding));
        let rest = bytes.get(mark..).unwrap_or_default();
        return (encoding.decode_without_bom_handling(rest).0.into_owned(), encoding);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), UTF_8);
    }
    // A few broken bytes do not make UTF-8 into something else.
    let [utf_8, cp932] = [UTF_8, SHIFT_JIS]
        .map(|encoding| encoding.decode_without_bom_handling(bytes).0.into_owned());
    let broken = |text: &str| text.chars().filter(|char| *char == '\u{fffd}').count();
    if broken(&utf_8) < broken(&cp932) { (utf_8, UTF_8) } else { (cp932, SHIFT_JIS) }
}

/// The lines without their ends: CR LF, LF or CR.
fn lines_of(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\r', '\n']) {
        let (line, after) = rest.split_at(end);
        lines.push(line);
        rest = after.strip_prefix("\r\n").or_else(|| after.get(1..)).unwrap_or_default();
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

/// The separator by which the best line of headings is found.
fn delimiter_of(lines: &[&str], known: impl Fn(&[String]) -> usize) -> char {
    let best = |delimiter: char| {
        let heads = (0..lines.len().min(10)).map(|index| record(&lines[index..], delimiter).0);
        heads.flatten().map(|cells| known(&cells)).max()
    };
    // The last of equals wins: comma.
    ['\t', ';', ','].into_iter().max_by_key(|delimiter| best(*delimiter)).unwrap_or(',')
}

/// Reads the record at the head of `lines`; says how many lines it took.
fn record(lines: &[&str], delimiter: char) -> (Result<Vec<String>, Damage>, usize) {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut n_lines = 0;
    let mut length = 0;
    let mut is_quoted = false;
    for line in lines {
        n_lines += 1;
        length += line.len();
        if length > ROW_LENGTH {
            return (Err(Damage::TooLong), 1);
        }
        let mut chars = line.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '"' if is_quoted && chars.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' if is_quoted => {
                    is_quoted = false;
                    if chars.peek().is_some_and(|next| *next != delimiter && *next != ' ') {
                        return (Err(Damage::Quote), 1);
                    }
                }
                '"' if cell.trim().is_empty() => {
                    cell.clear();
                    is_quoted = true;
                }
                _ if !is_quoted && char == delimiter => cells.push(std::mem::take(&mut cell)),
                _ => cell.push(char),
            }
        }
        if !is_quoted {
            cells.push(cell);
            return (Ok(cells), n_lines);
        }
        if n_lines == LINES_IN_A_CELL {
            break;
        }
        cell.push('\n');
    }
    (Err(Damage::Quote), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(cells: &[String]) -> usize {
        cells.iter().filter(|cell| ["a", "b", "氏名", "電話"].contains(&cell.trim())).count()
    }

    /// Cells by `|`, rows by ` / `, with line numbers; damage in angle brackets.
    fn read(bytes: &[u8]) -> String {
        let rows = Table::read(bytes, known).records.into_iter().map(|record| {
            let cells = record.cells.map_or_else(|damage| format!("<{damage:?}>"), |c| c.join("|"));
            format!("{}:{}", record.line, cells.replace('\n', "⏎"))
        });
        rows.collect::<Vec<_>>().join(" / ")
    }

    #[test]
    fn cells_are_split_as_spreadsheets_write_them() {
        for (text, expected) in [
            ("a,b\n1,2\n", "1:a|b / 2:1|2"),
            ("a,b\r\n1,2", "1:a|b / 2:1|2"),
            ("a,b\r1,2\r", "1:a|b / 2:1|2"),
            ("a\tb\n1\t2,5", "1:a|b / 2:1|2,5"),
            ("sep=;\na;b\n1;2", "2:a|b / 3:1|2"),
            ("\n,,\n a,b\n", "3: a|b"),
            ("a,\"b,\"\"c\"\"\"\n", "1:a|b,\"c\""),
            ("a,b\n\"1\n2\",3\n4,5", "1:a|b / 2:1⏎2|3 / 4:4|5"),
            ("a,b\n=\"03\",5 inch\" x", "1:a|b / 2:=\"03\"|5 inch\" x"),
            ("", ""),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_quote_that_does_not_close_spoils_its_own_line_only() {
        for (text, expected) in [
            ("a,b\n\"1,2\n3,4\n5,6", "1:a|b / 2:<Quote> / 3:3|4 / 4:5|6"),
            ("a,b\n\"1,2\n\"3\",4\n", "1:a|b / 2:<Quote> / 3:3|4"),
            ("a,b\n1,\"2\"x\n3,4", "1:a|b / 2:<Quote> / 3:3|4"),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{text}");
        }
        let long = format!("a,b\n\"1\n{}", "3,4\n".repeat(100));
        assert!(read(long.as_bytes()).contains("2:<Quote> / 3:3|4"));
    }

    #[test]
    fn a_row_of_ten_megabytes_is_one_bad_row() {
        let huge = format!("a,b\n{},2\n3,4\n", "x".repeat(10 << 20));
        assert_eq!(read(huge.as_bytes()), "1:a|b / 2:<TooLong> / 3:3|4");
    }

    #[test]
    fn encodings_are_recognised() {
        let text = "氏名,電話\n髙﨑,03";
        let cp932 = SHIFT_JIS.encode(text).0;
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let wide: Vec<u8> =
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let mut broken = text.as_bytes().to_vec();
        broken.insert(10, 0xff);
        for (bytes, encoding) in [
            (text.as_bytes(), "UTF-8"),
            (&marked, "UTF-8"),
            (&*cp932, "Shift_JIS"),
            (&wide, "UTF-16LE"),
            (&broken, "UTF-8"),
        ] {
            assert_eq!(Table::read(bytes, known).encoding, encoding);
            assert!(read(bytes).contains("髙﨑|03"), "{encoding}: {}", read(bytes));
        }
    }
}
