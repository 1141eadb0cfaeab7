//! Tables for spreadsheets: every cell quoted, and none that a spreadsheet would run.

use std::fmt::Write;

/// What Excel wants before UTF-8.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The media type of such a table.
pub const KIND: &str = "text/csv; charset=utf-8";

/// One line, with its end (RFC 4180).
pub fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (index, cell) in cells.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let guard = if is_formula(cell) { "'" } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(line, "{comma}\"{guard}{}\"", cell.replace('"', "\"\""));
    }
    line + "\r\n"
}

/// Whether a spreadsheet would take the cell for a formula (OWASP CSV Injection); also in its
/// full-width form, which Japanese spreadsheets take for the same.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '=', '+', '-', '@', '−'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_run() {
        for (cell, expected) in [
            ("花子", "\"花子\"\r\n"),
            ("", "\"\"\r\n"),
            ("a\"b,c", "\"a\"\"b,c\"\r\n"),
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\"\r\n"),
            ("+81901234", "\"'+81901234\"\r\n"),
            ("-1", "\"'-1\"\r\n"),
            ("@SUM(A1)", "\"'@SUM(A1)\"\r\n"),
            ("\t=1", "\"'\t=1\"\r\n"),
            ("=1+1", "\"'=1+1\"\r\n"),
        ] {
            assert_eq!(line([cell]), expected);
        }
        assert_eq!(line(["a", "b"]), "\"a\",\"b\"\r\n");
    }
}
