//! What is wrong with a list, as it is kept with the list and handed out as a table.

use serde::{Deserialize, Serialize};

use crate::base::Bilingual;
use crate::registry::import::{Fault, Import, Note, Place};

/// A fault or a note of a list, in a form that can be kept.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// The line of the file, from 1.
    pub line: usize,
    /// The letter of the column; empty if it concerns the whole row or file.
    pub column: String,
    /// The heading of the column.
    pub heading: String,
    /// The cell, hidden where it is about a person.
    pub shown: String,
    /// What is wrong, in Japanese.
    pub what_ja: String,
    /// What is wrong, in English.
    pub what_en: String,
    /// What staff can do about it, in Japanese; empty for a note.
    pub remedy_ja: String,
    /// What staff can do about it, in English; empty for a note.
    pub remedy_en: String,
    /// It keeps the row from being taken over.
    pub refuses: bool,
}

impl Problem {
    /// All that is to be said about a list, by line; about the whole of it first.
    pub fn of(import: &Import) -> Vec<Self> {
        let mut problems: Vec<Self> = import.faults.iter().map(Self::from).collect();
        problems.extend(import.notes.iter().map(Self::from));
        for row in &import.rows {
            problems.extend(row.outcome.as_ref().err().into_iter().flatten().map(Self::from));
            problems.extend(row.notes.iter().map(Self::from));
        }
        problems
    }

    fn new(line: usize, place: Option<&Place>, what: &Bilingual) -> Self {
        Self {
            line,
            column: place.map(|place| place.letter.clone()).unwrap_or_default(),
            heading: place.map(|place| place.heading.clone()).unwrap_or_default(),
            shown: String::new(),
            what_ja: what.ja.to_string(),
            what_en: what.en.to_string(),
            remedy_ja: String::new(),
            remedy_en: String::new(),
            refuses: false,
        }
    }
}

impl From<&Fault> for Problem {
    fn from(fault: &Fault) -> Self {
        Self {
            shown: fault.shown.clone(),
            remedy_ja: fault.remedy.ja.to_string(),
            remedy_en: fault.remedy.en.to_string(),
            refuses: true,
            ..Self::new(fault.line, fault.place.as_ref(), &fault.what)
        }
    }
}

impl From<&Note> for Problem {
    fn from(note: &Note) -> Self {
        Self::new(note.line, note.place.as_ref(), &note.what)
    }
}

/// The problems as a table for a spreadsheet: CSV in UTF-8 with its mark, lines ended by CR LF.
/// No cell can be taken for a formula.
pub fn table(problems: &[Problem]) -> Vec<u8> {
    const HEADINGS: [&str; 9] = [
        "行 / line",
        "列 / column",
        "見出し / heading",
        "値 / value",
        "取り込み / taken over",
        "問題",
        "対処",
        "problem",
        "remedy",
    ];
    let mut text = String::from("\u{feff}");
    line(&mut text, HEADINGS.iter().copied());
    for problem in problems {
        let number = problem.line.to_string();
        let taken = if problem.refuses { "× no" } else { "○ yes" };
        let cells = [
            number.as_str(),
            &problem.column,
            &problem.heading,
            &problem.shown,
            taken,
            &problem.what_ja,
            &problem.remedy_ja,
            &problem.what_en,
            &problem.remedy_en,
        ];
        line(&mut text, cells.into_iter());
    }
    text.into_bytes()
}

fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (n, cell) in cells.enumerate() {
        if n > 0 {
            text.push(',');
        }
        text.push('"');
        // A spreadsheet runs what begins like this (OWASP: CSV injection), quoted or not.
        if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) {
            text.push('\'');
        }
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_of_the_table_is_a_formula() {
        let what = Bilingual::fixed("「\"」です", "a quote");
        let mut problem = Problem::new(3, None, &what);
        problem.shown = "=HYPERLINK(\"http://x\")".to_owned();
        problem.heading = "-1+1".to_owned();
        let table = String::from_utf8(table(&[problem])).unwrap();
        let line = table.lines().nth(1).unwrap();
        assert!(table.starts_with('\u{feff}') && table.ends_with("\r\n"));
        assert_eq!(
            line,
            r#""3","","'-1+1","'=HYPERLINK(""http://x"")","○ yes","「""」です","","a quote","""#
        );
    }
}
