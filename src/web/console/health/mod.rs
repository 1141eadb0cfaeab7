//! 健康状態一覧: one row per person under observation today, whoever needs somebody soonest first.

mod export;
mod matrix;
mod row;
mod sparkline;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::clock::civil;
use crate::base::id::StaffId;
use crate::base::{Bilingual, address};
use crate::registry::Right;
use crate::store::{Counts, Cursor, ListPage, ListQuery, SavedView, View};
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/health", get(list))
        .route("/health/matrix", get(matrix::matrix))
        .route("/health/export", post(export::export))
        .route("/health/views", post(save_view))
        .route("/health/views/remove", post(remove_view))
}

/// Rows of one page.
const ROWS: u32 = 50;

/// What the address says: it holds the whole filter, so that it can be sent to a colleague.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Wanted {
    /// The word of a tab.
    #[serde(default)]
    view: String,
    /// What is searched.
    #[serde(default)]
    q: String,
    /// Where the page begins.
    #[serde(default)]
    after: String,
    /// Names are masked, for paper and for screens that others see.
    #[serde(default)]
    mask: String,
    /// Days of the matrix.
    #[serde(default)]
    days: u8,
}

impl Wanted {
    fn is_masked(&self) -> bool {
        !self.mask.is_empty()
    }

    fn query(&self, viewer: &Viewer) -> ListQuery {
        let view = match self.view.as_str() {
            "action" => View::Action,
            "unreported" => View::Unreported,
            "fever" => View::Fever,
            "ending" => View::Ending,
            "mine" => View::Owner(viewer.staff.id),
            _ => View::All,
        };
        ListQuery { view, search: self.q.clone(), after: Cursor::parse(&self.after) }
    }

    /// The address of a page with this filter.
    fn address(&self, page: &str, after: Option<Cursor>) -> String {
        let query = self.to_query(after);
        if query.is_empty() { page.to_owned() } else { format!("{page}?{query}") }
    }

    fn to_query(&self, after: Option<Cursor>) -> String {
        let chosen = [
            ("view", self.view.clone()),
            ("q", self.q.clone()),
            ("mask", self.mask.clone()),
            ("days", if self.days > 0 { self.days.to_string() } else { String::new() }),
            ("after", after.map(Cursor::to_text).unwrap_or_default()),
        ];
        address::query(chosen.into_iter().filter(|(_, value)| !value.is_empty()))
    }
}

/// What the rows of a page need beside the page itself.
struct Around {
    today: Date,
    /// Calls per slot at most.
    attempts: u32,
}

fn around(viewer: &Viewer, desk: &Desk) -> Around {
    Around { today: civil(viewer.now).date(), attempts: desk.terms.retry.attempts }
}

/// Reads one page and writes down that it was looked at.
async fn page_of(
    viewer: &Viewer,
    desk: &Desk,
    wanted: &Wanted,
    around: &Around,
    action: &'static str,
) -> Result<ListPage, Fault> {
    let within = desk.store.within(viewer.scope()?);
    let page = within.health_page(around.today, &wanted.query(viewer), ROWS).await?;
    let mut entry = viewer.audit(action);
    entry.object = if wanted.view.is_empty() { "all".to_owned() } else { wanted.view.clone() };
    entry.detail = format!("rows {}", page.rows.len());
    desk.store.audit(viewer.now, &entry).await?;
    Ok(page)
}

async fn list(
    viewer: Viewer,
    State(desk): State<Desk>,
    Query(wanted): Query<Wanted>,
) -> Result<Markup, Fault> {
    viewer.must(Right::SeeHealth)?;
    let around = around(&viewer, &desk);
    let within = desk.store.within(viewer.scope()?);
    let counts = within.health_counts(viewer.staff.id).await?;
    let page = page_of(&viewer, &desk, &wanted, &around, "health.listed").await?;
    let views = desk.store.saved_views(viewer.staff.id).await?;
    let day = desk.store.health_day().await?;
    let body = html! {
        @if day != Some(around.today) {
            p.notice.caution role="status" {
                (ui::icon(Icon::Clock))
                (viewer.say(
                    "日付が変わり、一覧を今日の分に切り替えています。",
                    "A new day has begun; the list is being moved to it.",
                ))
            }
        }
        (tabs(&viewer, &wanted, &counts, &views))
        (tools(&viewer, &wanted, "/health"))
        (news(&viewer, &counts))
        (table(&viewer, &wanted, &page, &around))
        (paging(&viewer, &wanted, &page, "/health"))
        (own_views(&viewer, &wanted, &views))
        p.muted.small.no-print {
            (viewer.say(
                "キー操作: j・k 次の行・前の行、o 開く、a 担当になる、/ 検索",
                "Keys: j and k next and previous row, o open, a take the case, / search",
            ))
        }
        form #claim method="post" { (ui::csrf(&viewer)) }
    };
    let title = Bilingual::fixed("健康状態一覧", "State of health");
    Ok(ui::page_with(&viewer, Section::Health, &title, &["list.js"], &body))
}

fn tabs(viewer: &Viewer, wanted: &Wanted, counts: &Counts, views: &[SavedView]) -> Markup {
    let tabs = [
        ("", viewer.say("全員", "Everybody"), counts.all),
        ("action", viewer.say("要対応", "To act on"), counts.action),
        ("unreported", viewer.say("未報告", "Not reported"), counts.unreported),
        ("fever", viewer.say("改善しない発熱3日", "Three days of fever"), counts.fever),
        ("ending", viewer.say("終了予定", "Ending"), counts.ending),
        ("mine", viewer.say("自分の担当", "Mine"), counts.owned),
    ];
    let saved = wanted.to_query(None);
    let is_saved = views.iter().any(|view| view.query == saved);
    html! {
        nav.tabs.no-print aria-label=(viewer.say("表示の切り替え", "Views")) {
            @for (word, name, n) in tabs {
                @let href = if word.is_empty() { "/health".to_owned() } else { format!("/health?view={word}") };
                a href=(href) aria-current=[(wanted.view == word && !is_saved).then_some("page")] {
                    (name) " " span.count.act[word == "action" && n > 0] { (n) }
                }
            }
            @for view in views {
                a href=(format!("/health?{}", view.query))
                    aria-current=[(view.query == saved).then_some("page")] { "★ " (view.name) }
            }
        }
    }
}

/// Search, masking, the other presentation, print and export.
fn tools(viewer: &Viewer, wanted: &Wanted, page: &str) -> Markup {
    html! {
        div.row.between.tools.no-print {
            form.row method="get" action=(page) role="search" {
                @if !wanted.view.is_empty() { input type="hidden" name="view" value=(wanted.view); }
                label.inline {
                    span.visually-hidden {
                        (viewer.say("氏名・カナ・管理番号・電話番号の下4桁", "Name, kana, number or last four digits"))
                    }
                    input #search type="search" name="q" value=(wanted.q) size="28"
                        placeholder=(viewer.say("氏名・カナ・番号・電話下4桁", "name, number, last four digits"));
                }
                label.inline {
                    input type="checkbox" name="mask" value="1" checked[wanted.is_masked()];
                    (viewer.say("氏名を伏せる", "mask names"))
                }
                button type="submit" { (ui::icon(Icon::Look)) (viewer.say("表示", "Show")) }
            }
            div.row {
                @if page == "/health" {
                    a.button href=(wanted.address("/health/matrix", None)) {
                        (viewer.say("日別の表", "By days"))
                    }
                } @else {
                    a.button href=(wanted.address("/health", None)) { (viewer.say("一覧", "List")) }
                }
                button type="button" data-print hidden { (viewer.say("印刷", "Print")) }
                @if viewer.may(Right::Export) {
                    form.row method="post" action="/health/export" {
                        (ui::csrf(viewer))
                        input type="hidden" name="view" value=(wanted.view);
                        input type="hidden" name="q" value=(wanted.q);
                        label.inline {
                            span.visually-hidden { (viewer.say("文字コード", "Encoding")) }
                            select name="encoding" {
                                option value="utf8" { "UTF-8" }
                                option value="cp932" { "Shift_JIS" }
                            }
                        }
                        button type="submit" { "CSV" }
                    }
                }
            }
        }
    }
}

/// Says that the page is out of date, once it is.
fn news(viewer: &Viewer, counts: &Counts) -> Markup {
    html! {
        div.news.no-print role="status" aria-live="polite" data-live="/live"
            data-version=(counts.version) {
            button type="button" data-refresh hidden
                data-word=(viewer.say("更新あり {n}件 — 並べ直す", "{n} changes — show them")) {}
        }
    }
}

fn table(viewer: &Viewer, wanted: &Wanted, page: &ListPage, around: &Around) -> Markup {
    let headings = [
        viewer.say("優先", "Need"),
        viewer.say("氏名", "Name"),
        viewer.say("療養", "Day"),
        viewer.say("リスク", "Risk"),
        viewer.say("体温", "Temp."),
        "SpO2",
        viewer.say("症状", "Symptoms"),
        viewer.say("報告", "Report"),
        viewer.say("架電", "Calls"),
        viewer.say("担当・対応", "Case"),
    ];
    html! {
        @if page.rows.is_empty() {
            (ui::empty(if wanted.q.is_empty() {
                viewer.say("該当する方はいません。", "Nobody is here.")
            } else {
                viewer.say("見つかりません。検索の語か表示を変えてください。", "Nothing found. Try another word or view.")
            }))
        } @else {
            div.scroll.list {
                table data-list {
                    caption.visually-hidden {
                        (around.today) " " (viewer.say("観察中の方、急ぐ順", "people under observation, the most urgent first"))
                    }
                    thead { tr { @for heading in headings { th scope="col" { (heading) } } } }
                    tbody {
                        @for one in &page.rows {
                            (row::row(viewer, one, around, wanted.is_masked()))
                        }
                    }
                }
            }
        }
    }
}

fn paging(viewer: &Viewer, wanted: &Wanted, page: &ListPage, path: &str) -> Markup {
    html! {
        nav.row.no-print aria-label=(viewer.say("ページ", "Pages")) {
            @if !wanted.after.is_empty() {
                a.button href=(wanted.address(path, None)) { (viewer.say("先頭へ", "To the first")) }
            }
            @if let Some(next) = page.next {
                a.button rel="next" href=(wanted.address(path, Some(next))) {
                    (viewer.say("次の50人", "Next 50"))
                }
            }
        }
    }
}

/// To keep the filter of this page as a tab, or to take such a tab away.
fn own_views(viewer: &Viewer, wanted: &Wanted, views: &[SavedView]) -> Markup {
    let query = wanted.to_query(None);
    let saved = views.iter().find(|view| view.query == query);
    html! {
        details.no-print {
            summary { (viewer.say("この表示を保存・削除", "Save or remove this view")) }
            @if let Some(view) = saved {
                form.row method="post" action="/health/views/remove" {
                    (ui::csrf(viewer))
                    input type="hidden" name="name" value=(view.name);
                    span { "★ " (view.name) }
                    button type="submit" { (viewer.say("削除", "Remove")) }
                }
            } @else {
                form.row method="post" action="/health/views" {
                    (ui::csrf(viewer))
                    input type="hidden" name="view" value=(wanted.view);
                    input type="hidden" name="q" value=(wanted.q);
                    input type="hidden" name="mask" value=(wanted.mask);
                    label.inline {
                        (viewer.say("名前", "Name"))
                        input name="name" required maxlength="20";
                    }
                    button type="submit" { (viewer.say("表示を保存", "Save this view")) }
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct NewView {
    name: String,
    #[serde(default)]
    view: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    mask: String,
}

async fn save_view(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<NewView>,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeHealth)?;
    let wanted = Wanted { view: form.view, q: form.q, mask: form.mask, ..Wanted::default() };
    let name: String = form.name.trim().chars().take(20).collect();
    if name.is_empty() {
        return Err(Fault::Invalid(Bilingual::fixed(
            "名前を入力してください。",
            "Please give a name.",
        )));
    }
    let staff: StaffId = viewer.staff.id;
    let view = SavedView { name, query: wanted.to_query(None) };
    if !desk.store.save_view(viewer.now, staff, &view).await? {
        return Err(Fault::Invalid(Bilingual::fixed(
            "保存できる表示は12までです。使わないものを削除してください。",
            "No more than twelve views can be saved. Please remove one.",
        )));
    }
    let to = wanted.address("/health", None);
    Ok(done(&to, viewer.say("表示を保存しました。", "The view is saved.")))
}

#[derive(Deserialize)]
struct OldView {
    name: String,
}

async fn remove_view(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<OldView>,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeHealth)?;
    desk.store.remove_view(viewer.staff.id, &form.name).await?;
    Ok(done("/health", viewer.say("表示を削除しました。", "The view is removed.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_the_whole_filter() {
        let wanted =
            Wanted { view: "fever".to_owned(), q: "神 &1".to_owned(), ..Wanted::default() };
        assert_eq!(wanted.address("/health", None), "/health?view=fever&q=%E7%A5%9E%20%261");
        assert_eq!(Wanted::default().address("/health", None), "/health");
    }
}
