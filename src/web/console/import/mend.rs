//! What staff say about a list before it is taken over: what its headings stand for, and what a bad
//! row was meant to be. The list is read again at once; the file itself is never changed.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::id::ImportBatchId;
use crate::registry::AuditEntry;
use crate::registry::import::problem::Problem;
use crate::registry::import::{Heading, Import, Reading, Row, columns};
use crate::store::{BatchState, ImportBatch, Reread, Within};
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::console::import::{explain, within};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon};

/// Rows that can be put right on the page; a list with more of them is put right where it is kept.
const MOST_ROWS: usize = 50;

/// No cell of a patient list is longer.
const LONGEST_CELL: usize = 500;

/// The word of the form for a column that is not to be read.
const NOT_READ: &str = "-";

/// What headings stand for, side by side.
#[derive(Debug, Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    heading: Vec<String>,
    #[serde(default)]
    field: Vec<String>,
}

/// Says what headings stand for, for this list and for those to come.
pub(super) async fn headings(
    State(desk): State<Desk>,
    Path(id): Path<ImportBatchId>,
    Posted { viewer, form }: Posted<Said>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer)?;
    let (list, content, mut reading) = open(within, id).await?;
    let (content, _, import) = explain(content, list.read_on, reading.clone()).await?;
    let mut said: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (key, field) in form.heading.into_iter().zip(form.field) {
        // Only headings of this list, and only columns that there are.
        if !import.foreign.iter().any(|heading| heading.key == key) {
            return Err(Fault::NotFound);
        }
        let field = match field.as_str() {
            "" => None,
            NOT_READ => Some(String::new()),
            name if columns().any(|column| column == name) => Some(field),
            _ => return Err(Fault::NotFound),
        };
        match &field {
            Some(field) => reading.headings.insert(key.clone(), field.clone()),
            None => reading.headings.remove(&key),
        };
        said.insert(key, field);
    }
    let mut entry = entry(&viewer, id, "list.headings_said");
    entry.detail = format!("{} headings", said.len());
    reread(within, &viewer, &list, content, reading, &entry).await?;
    within.remember_headings(viewer.now, viewer.staff.id, &said).await?;
    Ok(done(
        &format!("/import/{id}"),
        viewer.say(
            "見出しの対応を記憶しました。次の一覧でも使われます。",
            "What the headings stand for is remembered for the lists to come.",
        ),
    ))
}

/// A row as it was meant.
#[derive(Debug, Deserialize)]
pub(super) struct Mended {
    line: usize,
    #[serde(default)]
    cell: Vec<String>,
}

/// Puts one bad row right.
pub(super) async fn row(
    State(desk): State<Desk>,
    Path(id): Path<ImportBatchId>,
    Posted { viewer, form }: Posted<Mended>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer)?;
    let (list, content, mut reading) = open(within, id).await?;
    let (content, _, import) = explain(content, list.read_on, reading.clone()).await?;
    let Mended { line, cell } = form;
    if !import.rows.iter().any(|row| row.line == line) || cell.len() > import.headings.len() {
        return Err(Fault::NotFound);
    }
    if cell.iter().any(|cell| cell.chars().count() > LONGEST_CELL) || is_full(&reading, line) {
        return Err(Fault::Invalid(Bilingual::fixed(
            "直す内容が多すぎます。元のファイルを直して、もう一度読み込んでください。",
            "That is too much to put right here: please mend the file and bring it again.",
        )));
    }
    reading.rows.insert(line, cell);
    let mut entry = entry(&viewer, id, "list.row_mended");
    entry.detail = format!("line {line}");
    let import = reread(within, &viewer, &list, content, reading, &entry).await?;
    let is_good = import.rows.iter().any(|row| row.line == line && row.outcome.is_ok());
    let text = if is_good {
        viewer
            .say("直しました。この行は取り込めます: ", "Mended; this row can be taken over: line ")
    } else {
        viewer.say("まだ読めない欄があります: ", "Some cells still cannot be read: line ")
    };
    let text = format!("{text}{line}{}", viewer.say("行目", ""));
    let to = if is_good { format!("/import/{id}") } else { format!("/import/{id}#line-{line}") };
    Ok(done(&to, &text))
}

fn is_full(reading: &Reading, line: usize) -> bool {
    !reading.rows.contains_key(&line) && reading.rows.len() >= MOST_ROWS * 10
}

fn entry(viewer: &Viewer, id: ImportBatchId, action: &'static str) -> AuditEntry {
    AuditEntry { object: id.to_string(), ..viewer.audit(action) }
}

/// A list that is not taken over yet.
async fn open(
    within: Within<'_>,
    id: ImportBatchId,
) -> Result<(ImportBatch, Vec<u8>, Reading), Fault> {
    let list = within.import(id).await?;
    if list.state != BatchState::Previewed {
        return Err(too_late());
    }
    let content = within.import_content(id).await?.ok_or(Fault::NotFound)?;
    Ok((list, content, within.import_reading(id).await?))
}

fn too_late() -> Fault {
    Fault::Conflict(Bilingual::fixed(
        "この一覧は、すでに取り込まれたか、破棄されました。",
        "This list was taken over or thrown away already.",
    ))
}

async fn reread(
    within: Within<'_>,
    viewer: &Viewer,
    list: &ImportBatch,
    content: Vec<u8>,
    reading: Reading,
    entry: &AuditEntry,
) -> Result<Import, Fault> {
    let (_, reading, import) = explain(content, list.read_on, reading).await?;
    let n_rows = u32::try_from(import.rows.len()).unwrap_or(u32::MAX);
    let n_good = u32::try_from(import.drafts().count()).unwrap_or(u32::MAX);
    let reread = Reread {
        reading,
        rows: n_rows,
        refused: n_rows.saturating_sub(n_good),
        problems: Problem::of(&import),
    };
    if !within.reread_import(viewer.now, list.id, &reread, entry).await? {
        return Err(too_late());
    }
    Ok(import)
}

/// Headings that the program does not know, each with what it may stand for.
pub(super) fn headings_form(viewer: &Viewer, list: &ImportBatch, foreign: &[Heading]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        @if !foreign.is_empty() {
            section.card aria-labelledby="headings" {
                h2 #headings { (say("知らない見出し", "Headings that are not known")) }
                p { (say(
                    "どの項目かを選ぶと、この一覧を読み直し、この保健所の次の一覧でも同じように読みます。",
                    "Say what they stand for: the list is read again, and later lists of this centre likewise.",
                )) }
                form.stack method="post" action={ "/import/" (list.id) "/headings" } {
                    (ui::csrf(viewer))
                    div.cells {
                        @for heading in foreign {
                            label {
                                (heading.place)
                                input type="hidden" name="heading" value=(heading.key);
                                select name="field" {
                                    option value="" selected[heading.column.is_none()] {
                                        (say("未選択(読み込まない)", "not said (not read)"))
                                    }
                                    option value=(NOT_READ) selected[heading.column == Some("")] {
                                        (say("読み込まない(記憶する)", "not to be read (remembered)"))
                                    }
                                    @for column in columns() {
                                        option value=(column) selected[heading.column == Some(column)] { (column) }
                                    }
                                }
                            }
                        }
                    }
                    button type="submit" { (ui::icon(Icon::Check)) (say("読み直して記憶する", "Read again and remember")) }
                }
            }
        }
    }
}

/// Bad rows, cell by cell, to be put right here.
pub(super) fn rows_form(viewer: &Viewer, list: &ImportBatch, import: &Import) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let bad: Vec<&Row> = import.rows.iter().filter(|row| row.outcome.is_err()).collect();
    html! {
        @if !bad.is_empty() {
            section aria-labelledby="mend" {
                h2 #mend { (say("この画面で直す", "Mend them here")) }
                @for (index, row) in bad.iter().take(MOST_ROWS).enumerate() {
                    (row_form(viewer, list, import, row, index == 0))
                }
                @if bad.len() > MOST_ROWS {
                    p.muted { (say(
                        "ほかの行は、元のファイルで直してください。",
                        "Mend the others in the file.",
                    )) }
                }
            }
        }
    }
}

fn row_form(
    viewer: &Viewer,
    list: &ImportBatch,
    import: &Import,
    row: &Row,
    is_first: bool,
) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let faults = row.outcome.as_ref().err().map_or(&[][..], Vec::as_slice);
    let cells = row.cells.expose();
    let letter = |index: usize| letters(index);
    html! {
        details.card id={ "line-" (row.line) } open[is_first] {
            summary {
                strong { (say("", "Line ")) (row.line) (say("行目", "")) } " "
                @for fault in faults { span.red { (viewer.tell(&fault.what)) } " " }
            }
            form.stack method="post" action={ "/import/" (list.id) "/mend" } autocomplete="off" {
                (ui::csrf(viewer))
                input type="hidden" name="line" value=(row.line);
                @for fault in faults.iter().filter(|fault| fault.place.is_none()) {
                    p.fault { (ui::icon(Icon::Alert)) (viewer.tell(&fault.what)) " " (viewer.tell(&fault.remedy)) }
                }
                div.cells {
                    @for (index, heading) in import.headings.iter().enumerate() {
                        @let fault = faults.iter().find(|fault| {
                            fault.place.as_ref().is_some_and(|place| place.letter == letter(index))
                        });
                        @let note = format!("line-{}-{index}", row.line);
                        label {
                            (letter(index)) " " (heading)
                            input name="cell" value=(cells.get(index).map_or("", String::as_str))
                                maxlength=(LONGEST_CELL)
                                aria-invalid=[fault.map(|_| "true")]
                                aria-describedby=[fault.map(|_| note.as_str())];
                            @if let Some(fault) = fault {
                                span.fault id=(note) { (ui::icon(Icon::Alert)) (viewer.tell(&fault.remedy)) }
                            }
                        }
                    }
                }
                button type="submit" { (ui::icon(Icon::Check)) (say("この行を直して確認", "Mend this row and check it")) }
            }
        }
    }
}

/// 0 → `A`, 25 → `Z`, 26 → `AA`, as a spreadsheet names its columns.
fn letters(index: usize) -> String {
    let own = char::from(b'A' + u8::try_from(index % 26).unwrap_or(0));
    if index < 26 { own.to_string() } else { format!("{}{own}", letters(index / 26 - 1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_as_in_a_spreadsheet() {
        for (index, expected) in [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (702, "AAA")] {
            assert_eq!(letters(index), expected);
        }
    }
}
