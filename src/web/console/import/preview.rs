//! What a list would change, before it does: counts, problems, and every row.

use maud::{Markup, html};
use serde::Deserialize;

use crate::registry::import::compare::{Compared, Known, Verdict, compare};
use crate::registry::import::problem::Problem;
use crate::registry::import::{Import, PatientDraft};
use crate::store::ImportBatch;
use crate::web::auth::Viewer;
use crate::web::console::import::mend;
use crate::web::ui::{self, Icon};

/// Rows on one page.
const PAGE: usize = 200;

/// Which rows are shown.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Shown {
    #[serde(default)]
    only: Only,
    #[serde(default)]
    page: usize,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Only {
    #[default]
    All,
    Look,
    New,
    Updated,
    Unchanged,
}

impl Only {
    const ALL: [Self; 5] = [Self::All, Self::Look, Self::New, Self::Updated, Self::Unchanged];

    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Look => "look",
            Self::New => "new",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }

    fn takes(self, row: &Good<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Look => !row.compared.warnings.is_empty(),
            Self::New => row.compared.verdict == Verdict::New,
            Self::Updated => row.compared.verdict == Verdict::Updated,
            Self::Unchanged => row.compared.verdict == Verdict::Unchanged,
        }
    }
}

/// A row that can be taken over.
struct Good<'a> {
    line: usize,
    draft: &'a PatientDraft,
    known: &'a Known,
    compared: Compared,
}

pub(super) fn page(
    viewer: &Viewer,
    list: &ImportBatch,
    import: &Import,
    known: &[Known],
    same: Option<&ImportBatch>,
    shown: &Shown,
) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let rows: Vec<Good<'_>> = import
        .rows
        .iter()
        .filter_map(|row| Some((row.line, row.outcome.as_ref().ok()?)))
        .zip(known)
        .map(|((line, draft), known)| Good { line, draft, known, compared: compare(draft, known) })
        .collect();
    let problems_found = Problem::of(import);
    let n_notes = problems_found.iter().filter(|problem| !problem.refuses).count();
    let count = |only: Only| rows.iter().filter(|row| only.takes(row)).count();
    html! {
        (super::facts(viewer, list))
        @if let Some(same) = same {
            p.notice.caution role="status" {
                (ui::icon(Icon::Caution))
                (say("同じ内容の一覧がすでに取り込まれています: ", "The same list was taken over already: "))
                a href={ "/import/" (same.id) } {
                    (crate::base::clock::civil(same.created_at).strftime("%m/%d %H:%M")) " " (same.created_by)
                }
            }
        }
        section.grid aria-label=(say("件数", "Counts")) {
            (figure(say("新規", "New"), count(Only::New), ""))
            (figure(say("更新", "Updated"), count(Only::Updated), ""))
            (figure(say("変更なし", "Unchanged"), count(Only::Unchanged), ""))
            (figure(say("取り込めない行", "Cannot be taken over"), import.rows.len() - rows.len(), "red"))
            (figure(say("確認してほしい行", "To be looked at"), count(Only::Look), ""))
        }
        (mend::headings_form(viewer, list, &import.foreign))
        @if !problems_found.is_empty() {
            section {
                h2 { (say("直す行と、直して読んだ行", "What to mend, and what was mended")) }
                p.row {
                    a.button href={ "/import/" (list.id) "/problems.csv" } {
                        (ui::icon(Icon::Import)) (say("表をダウンロード(CSV)", "Download the table (CSV)"))
                    }
                    span.muted { (say(
                        "下の欄で直すか、元のファイルを直して、もう一度読み込んでください。取り込み済みの方は二重になりません。",
                        "Mend the rows below, or the file and bring it again: nobody is taken over twice.",
                    )) }
                }
                (problems(viewer, &problems_found.iter().filter(|one| one.refuses).cloned().collect::<Vec<_>>()))
                @if n_notes > 0 {
                    details {
                        summary { (say("自動で直した点・お知らせ", "Mended by itself, and notes")) " (" (n_notes) ")" }
                        (problems(viewer, &problems_found.iter().filter(|one| !one.refuses).cloned().collect::<Vec<_>>()))
                    }
                }
            }
        }
        (mend::rows_form(viewer, list, import))
        @if rows.is_empty() {
            (ui::empty(say("取り込める行がありません。", "No row can be taken over.")))
            (discard(viewer, list))
        } @else {
            form method="post" action={ "/import/" (list.id) "/take" } {
                (ui::csrf(viewer))
                (rows_of(viewer, list, &rows, shown))
                p.row {
                    button.primary type="submit" {
                        (ui::icon(Icon::Import)) (say("取り込む", "Take over"))
                        " (" (rows.len()) (say(" 行", " rows")) ")"
                    }
                    span.muted { (say(
                        "取り込んだ後でも「取り消す」で元に戻せます。",
                        "It can be taken back afterwards.",
                    )) }
                }
            }
            (discard(viewer, list))
        }
    }
}

fn figure(name: &str, number: usize, class: &str) -> Markup {
    html! {
        div.card {
            p.muted { (name) }
            p class={ "figure " @if number > 0 { (class) } } { (number) }
        }
    }
}

fn discard(viewer: &Viewer, list: &ImportBatch) -> Markup {
    html! {
        form method="post" action={ "/import/" (list.id) "/discard" } {
            (ui::csrf(viewer))
            button.quiet type="submit" { (viewer.say("取り込まずに破棄する", "Throw the list away")) }
        }
    }
}

fn rows_of(viewer: &Viewer, list: &ImportBatch, rows: &[Good<'_>], shown: &Shown) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let chosen: Vec<&Good<'_>> = rows.iter().filter(|row| shown.only.takes(row)).collect();
    let n_pages = chosen.len().div_ceil(PAGE).max(1);
    let page = shown.page.min(n_pages - 1);
    let address = |only: Only, page: usize| {
        format!("/import/{}?only={}&page={page}#rows", list.id, only.as_str())
    };
    html! {
        h2 #rows { (say("取り込める行", "Rows that can be taken over")) }
        nav.tabs aria-label=(say("絞り込み", "Filter")) {
            @for only in Only::ALL {
                a href=(address(only, 0)) aria-current=[(only == shown.only).then_some("true")] {
                    (match only {
                        Only::All => say("すべて", "All"),
                        Only::Look => say("要確認", "To be looked at"),
                        Only::New => say("新規", "New"),
                        Only::Updated => say("更新", "Updated"),
                        Only::Unchanged => say("変更なし", "Unchanged"),
                    })
                    " " (rows.iter().filter(|row| only.takes(row)).count())
                }
            }
        }
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th.number scope="col" { (say("行", "Line")) }
                    th scope="col" { (say("結果", "Result")) }
                    th scope="col" { (say("管理番号", "Number")) }
                    th scope="col" { (say("氏名", "Name")) }
                    th scope="col" { (say("生年月日", "Birth date")) }
                    th scope="col" { (say("電話", "Telephones")) }
                    th scope="col" { (say("観察期間・時刻", "Days and times")) }
                    th scope="col" { (say("変わる点・確認", "Changes, notes")) }
                } }
                tbody { @for row in chosen.iter().skip(page * PAGE).take(PAGE) { (row_of(viewer, row)) } }
            }
        }
        @if n_pages > 1 {
            nav.row aria-label=(say("ページ", "Pages")) {
                @if page > 0 { a href=(address(shown.only, page - 1)) { (say("前へ", "Previous")) } }
                span { (page + 1) " / " (n_pages) }
                @if page + 1 < n_pages { a href=(address(shown.only, page + 1)) { (say("次へ", "Next")) } }
            }
        }
        // Rows that the filter hides are left out all the same if they were ticked: they are not,
        // since each view is a form of its own.
        p.hint { (say(
            "「この行を外す」は、表示中の行だけに働きます。",
            "Leaving a row out works for the rows on this view.",
        )) }
    }
}

fn row_of(viewer: &Viewer, row: &Good<'_>) -> Markup {
    let (class, icon) = match row.compared.verdict {
        Verdict::New => ("badge good", Icon::Person),
        Verdict::Updated => ("badge check", Icon::Note),
        Verdict::Unchanged => ("badge muted", Icon::Check),
    };
    let draft = row.draft;
    html! {
        tr {
            td.number { (row.line) }
            td { (ui::badge(class, icon, viewer.tell(&row.compared.verdict.name()))) }
            th scope="row" { (draft.registration_number) }
            td { (draft.name.expose()) br; span.small.muted { (draft.kana.expose()) } }
            td.nowrap { (draft.birth_date.expose()) }
            td.nowrap { @for phone in &draft.phones { (phone.number.national()) br; } }
            td.nowrap {
                (draft.first_day) "〜" (draft.last_day) br;
                @for time in &draft.call_times { (time.strftime("%H:%M")) " " }
                @if let Some(days) = draft.told.weekdays { (viewer.tell(&days.written())) " " }
                @if let Some(way) = draft.told.channel { (viewer.tell(&way.name())) }
            }
            td {
                @for one in &row.compared.differences {
                    div { (viewer.tell(&one.field)) ": "
                        @if one.old.is_empty() { "—" } @else { del { (one.old) } }
                        " → " ins { (one.new) }
                    }
                }
                @if !row.known.household.is_empty() {
                    div.small { (ui::icon(Icon::Phone)) " "
                        (viewer.say("同じ電話番号の方(同じ世帯として順に電話): ", "Household (same telephone): "))
                        (row.known.household.join("・"))
                    }
                }
                @for warning in &row.compared.warnings {
                    p.caution { (ui::icon(Icon::Caution)) " " (viewer.tell(warning)) }
                }
                @if !row.compared.warnings.is_empty() {
                    label.inline {
                        input type="checkbox" name="leave" value=(row.line);
                        (viewer.say("この行を外す", "Leave this row out"))
                    }
                }
            }
        }
    }
}

/// A table of problems: where, what, and what to do.
pub(super) fn problems(viewer: &Viewer, problems: &[Problem]) -> Markup {
    /// More than anybody reads; the file has them all.
    const MOST: usize = 500;
    let say = |ja, en| viewer.say(ja, en);
    html! {
        @if !problems.is_empty() {
            div.scroll tabindex="0" {
                table {
                    thead { tr {
                        th.number scope="col" { (say("行", "Line")) }
                        th scope="col" { (say("列", "Column")) }
                        th scope="col" { (say("値", "Value")) }
                        th scope="col" { (say("内容", "What")) }
                        th scope="col" { (say("対処", "Remedy")) }
                    } }
                    tbody {
                        @for one in problems.iter().take(MOST) {
                            tr {
                                td.number { (one.line) }
                                td.nowrap { (one.column) @if !one.heading.is_empty() { " " (one.heading) } }
                                td { code { (one.shown) } }
                                td {
                                    @if one.refuses { (ui::badge("badge act", Icon::Alert, say("取り込めません", "Refused"))) " " }
                                    (say(&one.what_ja, &one.what_en))
                                }
                                td { (say(&one.remedy_ja, &one.remedy_en)) }
                            }
                        }
                    }
                }
            }
            @if problems.len() > MOST {
                p { (say("ほかの行はダウンロードした表で確認してください。", "The rest is in the table to download.")) }
            }
        }
    }
}
