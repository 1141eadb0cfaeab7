//! 取り込み: lists of patients, explained row by row before anything changes, and taken back.

mod mend;
mod preview;
mod work;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::ImportBatchId;
use crate::registry::audit::hex;
use crate::registry::import::problem::{Problem, table};
use crate::registry::import::{Import, Reading, read_as};
use crate::registry::{AuditEntry, Right};
use crate::store::{BatchState, ImportBatch, NewBatch, Within};
use crate::web::Desk;
use crate::web::auth::{Nothing, Posted, Viewer, done};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};
use crate::web::upload::Upload;

/// A list of a prefecture has a few megabytes.
const LARGEST_LIST: usize = 16 << 20;

/// More rows than any centre has patients.
const MOST_ROWS: usize = 50_000;

/// Lists on the page.
const LISTED: u32 = 50;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route(
            "/import",
            get(lists).post(upload).layer(DefaultBodyLimit::max(LARGEST_LIST + 64 * 1024)),
        )
        .route("/import/{id}", get(one))
        .route("/import/{id}/progress", get(progress))
        .route("/import/{id}/problems.csv", get(problems))
        .route("/import/{id}/headings", post(mend::headings))
        .route("/import/{id}/mend", post(mend::row))
        .route("/import/{id}/take", post(take))
        .route("/import/{id}/discard", post(discard))
        .route("/import/{id}/undo", post(undo))
}

/// The store as far as the viewer may import: a whole centre, never a clinic's part of it.
fn within<'a>(desk: &'a Desk, viewer: &Viewer) -> Result<Within<'a>, Fault> {
    viewer.must(Right::Import)?;
    let scope = viewer.scope()?;
    if scope.clinic.is_some() {
        return Err(Fault::Forbidden);
    }
    Ok(desk.store.within(scope))
}

async fn lists(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    let lists = within(&desk, &viewer)?.imports(LISTED).await?;
    let title = Bilingual::fixed("患者一覧の取り込み", "Import of patients");
    let say = |ja, en| viewer.say(ja, en);
    Ok(ui::page(
        &viewer,
        Section::Import,
        &title,
        &html! {
            section.card {
                h2 { (say("一覧を読み込む", "Bring a list")) }
                p { (say(
                    "まず内容を確認する画面が開きます。確認して「取り込む」を押すまで、何も変わりません。",
                    "The list is explained first. Nothing changes until you choose to take it over.",
                )) }
                form.stack method="post" action="/import" enctype="multipart/form-data" {
                    (ui::csrf(&viewer))
                    label {
                        (say("ファイル(ExcelまたはCSV)", "File (Excel or CSV)"))
                        input type="file" name="file"
                            accept=".xlsx,.xlsm,.csv,.txt,.tsv,text/csv,text/plain"
                            aria-describedby="file-hint";
                    }
                    p.hint #file-hint { (say(
                        "Excelブック(.xlsx)の最初のシート、またはCSV。パスワードは外してください。16 MBまで。",
                        "The first sheet of an Excel workbook (.xlsx), or CSV; without a password, up to 16 MB.",
                    )) }
                    label {
                        (say("または、表計算ソフトから見出しごと貼り付け", "Or paste it from a spreadsheet, with its headings"))
                        textarea name="pasted" rows="6" spellcheck="false" {}
                    }
                    button.primary type="submit" { (ui::icon(Icon::Look)) (say("内容を確認する", "Explain the list")) }
                }
                details {
                    summary { (say("列の見出し", "The columns")) }
                    p { (say("必須: ", "Needed: ")) "管理番号、氏名、フリガナ、生年月日、電話番号1" }
                    p { (say("任意: ", "Optional: "))
                        "性別、電話番号2・3、電話種別、観察開始日、観察終了日、架電時刻1〜4、架電曜日(月水金、平日、毎日など)、報告方法(電話・Web・職員)、言語、体温計、パルスオキシメーター、独居、リスク因子、ゆっくり、備考" }
                    p { (say(
                        "ほかの見出しは、確認の画面でどの項目かを選べます。選んだ内容は次回も使われます。",
                        "What another heading stands for can be said when the list is explained; it is remembered.",
                    )) }
                }
            }
            section {
                h2 { (say("これまでの取り込み", "Lists so far")) }
                @if lists.is_empty() {
                    (ui::empty(say("まだありません。", "None yet.")))
                } @else {
                    (table_of_lists(&viewer, &lists))
                }
            }
        },
    ))
}

fn table_of_lists(viewer: &Viewer, lists: &[ImportBatch]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        div.scroll tabindex="0" {
            table {
                thead { tr {
                    th scope="col" { (say("日時", "When")) }
                    th scope="col" { (say("だれが", "Who")) }
                    th scope="col" { (say("ファイル", "File")) }
                    th scope="col" { (say("状態", "State")) }
                    th.number scope="col" { (say("行", "Rows")) }
                    th.number scope="col" { (say("新規", "New")) }
                    th.number scope="col" { (say("更新", "Updated")) }
                    th.number scope="col" { (say("変更なし", "Unchanged")) }
                    th.number scope="col" { (say("取り込めず", "Refused")) }
                } }
                tbody {
                    @for list in lists {
                        tr {
                            th.nowrap scope="row" {
                                a href={ "/import/" (list.id) } { (civil(list.created_at).strftime("%m/%d %H:%M")) }
                            }
                            td { (list.created_by) }
                            td { (name(viewer, list)) }
                            td { (state(viewer, list)) }
                            td.number { (list.rows) }
                            td.number { (list.counts.created) }
                            td.number { (list.counts.updated) }
                            td.number { (list.counts.unchanged) }
                            td.number { (list.refused + list.counts.refused) }
                        }
                    }
                }
            }
        }
    }
}

fn name<'a>(viewer: &Viewer, list: &'a ImportBatch) -> &'a str {
    match list.source.as_str() {
        "" => viewer.say("貼り付け", "pasted"),
        name => name,
    }
}

fn state(viewer: &Viewer, list: &ImportBatch) -> Markup {
    if list.is_stuck(viewer.now) {
        return ui::badge("badge caution", Icon::Caution, viewer.say("中断", "Broken off"));
    }
    let (class, icon, ja, en) = match list.state {
        BatchState::Previewed => ("badge check", Icon::Look, "確認待ち", "To be looked at"),
        BatchState::Importing => ("badge", Icon::Clock, "取り込み中", "Being taken over"),
        BatchState::Imported => ("badge good", Icon::Check, "取り込み済み", "Taken over"),
        BatchState::Undoing => ("badge", Icon::Clock, "取り消し中", "Being taken back"),
        BatchState::Undone => ("badge muted", Icon::Check, "取り消し済み", "Taken back"),
        BatchState::Discarded => ("badge muted", Icon::Pause, "破棄", "Thrown away"),
    };
    ui::badge(class, icon, viewer.say(ja, en))
}

async fn upload(State(desk): State<Desk>, upload: Upload) -> Result<Response, Fault> {
    let viewer = &upload.viewer;
    let within = within(&desk, viewer)?;
    let pasted = upload.text("pasted");
    let (source, content) = match &upload.file {
        Some(file) => (file.name.clone(), file.content.to_vec()),
        None => (String::new(), pasted.as_bytes().to_vec()),
    };
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::Invalid(Bilingual::fixed(
            "ファイルを選ぶか、一覧を貼り付けてください。",
            "Please choose a file, or paste a list.",
        )));
    }
    if content.len() > LARGEST_LIST {
        return Err(Fault::Invalid(Bilingual::fixed(
            "一覧は16 MBまでです。分けて取り込んでください。",
            "A list may have up to 16 MB: please split it.",
        )));
    }
    let read_on = civil(viewer.now).date();
    let reading = Reading { headings: within.import_headings().await?, ..Reading::default() };
    let (content, reading, import) = explain(content, read_on, reading).await?;
    if import.rows.len() > MOST_ROWS {
        return Err(Fault::Invalid(Bilingual::fixed(
            "一覧は5万行までです。分けて取り込んでください。",
            "A list may have up to 50,000 rows: please split it.",
        )));
    }
    let n_rows = u32::try_from(import.rows.len()).unwrap_or(u32::MAX);
    let n_good = u32::try_from(import.drafts().count()).unwrap_or(u32::MAX);
    let id = within
        .add_import(
            viewer.now,
            viewer.staff.id,
            &NewBatch {
                source,
                encoding: import.encoding.to_owned(),
                sha256: hex(&Sha256::digest(&content)),
                problems: Problem::of(&import),
                content,
                read_on,
                rows: n_rows,
                refused: n_rows - n_good,
                reading,
            },
        )
        .await?;
    Ok(Redirect::to(&format!("/import/{id}")).into_response())
}

/// Reads a list where it holds nobody up.
async fn explain(
    content: Vec<u8>,
    read_on: Date,
    reading: Reading,
) -> Result<(Vec<u8>, Reading, Import), Fault> {
    let explaining = tokio::task::spawn_blocking(move || {
        let import = read_as(&content, read_on, &reading);
        (content, reading, import)
    });
    Ok(explaining.await.map_err(anyhow::Error::from)?)
}

async fn one(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(id): Path<ImportBatchId>,
    Query(shown): Query<preview::Shown>,
) -> Result<Markup, Fault> {
    let within = within(&desk, &viewer)?;
    let list = within.import(id).await?;
    let title = Bilingual::fixed("取り込み", "Import");
    let body = if list.state == BatchState::Previewed {
        let content = within.import_content(id).await?.ok_or(Fault::NotFound)?;
        let reading = within.import_reading(id).await?;
        let (_, _, import) = explain(content, list.read_on, reading).await?;
        let drafts: Vec<_> = import.drafts().collect();
        let known = within.known(&drafts).await?;
        let before = within.imports(LISTED).await?;
        let same = before.iter().find(|one| {
            one.sha256 == list.sha256 && one.id != list.id && one.state == BatchState::Imported
        });
        preview::page(&viewer, &list, &import, &known, same, &shown)
    } else {
        let problems = within.import_problems(id).await?;
        result(&viewer, &list, &problems)
    };
    Ok(ui::page_with(&viewer, Section::Import, &title, &["refresh.js"], &body))
}

/// What became of a list, and the way back.
fn result(viewer: &Viewer, list: &ImportBatch, problems: &[Problem]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        (live(viewer, list))
        (facts(viewer, list))
        @if list.state == BatchState::Imported && !list.can_be_undone(viewer.now) {
            p.muted { (say(
                "取り込みから90日が過ぎたため、取り消しに必要な変更前の内容は消去されました。",
                "It was taken over more than 90 days ago: how the patients stood before is forgotten, and the list \
                 cannot be taken back.",
            )) }
        }
        @if list.can_be_undone(viewer.now) {
            section.card {
                h2 { (say("取り消す", "Take it back")) }
                p { (say(
                    "新しく登録した方を削除し、更新した方を元の内容に戻します。すでに電話した方、体調の記録がある方は\
                     削除せず、観察を終了します。取り込みの後に職員が変更した方は、そのままにします。",
                    "Patients who were new are deleted, and those who were changed become as they were. Whoever was \
                     called or observed meanwhile is not deleted: their observation ends. Whoever was changed by \
                     staff since stays as they are.",
                )) }
                form method="post" action={ "/import/" (list.id) "/undo" } {
                    (ui::csrf(viewer))
                    button.danger type="submit" data-confirm=(say(
                        "この取り込みを取り消しますか。", "Take this list back?",
                    )) { (say("取り消す", "Take it back")) }
                }
            }
        }
        @if !problems.is_empty() {
            section {
                h2 { (say("行ごとの問題", "Problems by row")) }
                p { a.button href={ "/import/" (list.id) "/problems.csv" } {
                    (ui::icon(Icon::Import)) (say("表をダウンロード(CSV)", "Download the table (CSV)"))
                } }
                (preview::problems(viewer, problems))
            }
        }
        p { a href="/import" { (say("取り込みの一覧へ", "All lists")) } }
    }
}

fn facts(viewer: &Viewer, list: &ImportBatch) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        section.card {
            dl.pairs {
                dt { (say("ファイル", "File")) }
                dd { (name(viewer, list)) " (" (list.encoding) ")" }
                dt { (say("読み込み", "Brought")) }
                dd { (civil(list.created_at).strftime("%Y-%m-%d %H:%M")) " " (list.created_by) }
                @if let Some(at) = list.imported_at {
                    dt { (say("取り込み", "Taken over")) }
                    dd { (civil(at).strftime("%Y-%m-%d %H:%M")) }
                }
                @if let (Some(at), Some(by)) = (list.undone_at, &list.undone_by) {
                    dt { (say("取り消し", "Taken back")) }
                    dd { (civil(at).strftime("%Y-%m-%d %H:%M")) " " (by) }
                }
                @if !list.left_out.is_empty() {
                    dt { (say("外した行", "Left out")) }
                    dd { (list.left_out.len()) }
                }
            }
        }
    }
}

/// The part of the page that changes while somebody works on the list.
async fn progress(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(id): Path<ImportBatchId>,
) -> Result<Markup, Fault> {
    let list = within(&desk, &viewer)?.import(id).await?;
    Ok(live(&viewer, &list))
}

fn live(viewer: &Viewer, list: &ImportBatch) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let counts = list.counts;
    let is_at_work = matches!(list.state, BatchState::Importing | BatchState::Undoing)
        && !list.is_stuck(viewer.now);
    let refresh = is_at_work.then(|| format!("/import/{}/progress", list.id));
    let left_out = u32::try_from(list.left_out.len()).unwrap_or(0);
    let to_do = list.rows.saturating_sub(list.refused).saturating_sub(left_out);
    html! {
        section.card #live data-refresh=[refresh] data-every="1" aria-live="polite" {
            p.row { (state(viewer, list)) }
            @match list.state {
                BatchState::Importing => {
                    label {
                        (say("取り込み中", "Being taken over")) " " (counts.done()) " / " (to_do)
                        progress max=(to_do.max(1)) value=(counts.done()) {}
                    }
                    @if list.is_stuck(viewer.now) {
                        p { (say(
                            "途中で止まっています。続きから取り込めます(済んだ行は二重になりません)。",
                            "It broke off. You can go on with it: rows that are done are not taken over twice.",
                        )) }
                        form method="post" action={ "/import/" (list.id) "/take" } {
                            (ui::csrf(viewer))
                            button.primary type="submit" { (say("続きから取り込む", "Go on")) }
                        }
                    } @else { (reload(viewer, list)) }
                }
                BatchState::Undoing => {
                    label {
                        (say("取り消し中", "Being taken back")) " " (counts.undone()) " / " (counts.done())
                        progress max=(counts.done().max(1)) value=(counts.undone()) {}
                    }
                    @if list.is_stuck(viewer.now) {
                        form method="post" action={ "/import/" (list.id) "/undo" } {
                            (ui::csrf(viewer))
                            button.primary type="submit" { (say("続きから取り消す", "Go on")) }
                        }
                    } @else { (reload(viewer, list)) }
                }
                BatchState::Imported | BatchState::Undone => {
                    dl.pairs {
                        dt { (say("新規", "New")) } dd { (counts.created) }
                        dt { (say("更新", "Updated")) } dd { (counts.updated) }
                        dt { (say("変更なし", "Unchanged")) } dd { (counts.unchanged) }
                        dt { (say("取り込めず", "Refused")) } dd { (list.refused + counts.refused) }
                    }
                    @if list.state == BatchState::Undone {
                        h3 { (say("取り消しの結果", "Taken back")) }
                        dl.pairs {
                            dt { (say("削除", "Deleted")) } dd { (counts.deleted) }
                            dt { (say("元に戻した", "As before")) } dd { (counts.restored) }
                            dt { (say("電話・記録があるため観察を終了", "Called or observed: observation ended")) } dd { (counts.ended) }
                            dt { (say("そのまま(変更なし・その後に職員が変更)", "Left as they are (unchanged, or changed by staff since)")) } dd { (counts.left) }
                        }
                    }
                }
                BatchState::Previewed | BatchState::Discarded => {}
            }
        }
    }
}

fn reload(viewer: &Viewer, list: &ImportBatch) -> Markup {
    html! {
        p.no-script-only { a href={ "/import/" (list.id) } { (viewer.say("表示を更新", "Look again")) } }
    }
}

async fn problems(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(id): Path<ImportBatchId>,
) -> Result<Response, Fault> {
    let problems = within(&desk, &viewer)?.import_problems(id).await?;
    let entry = AuditEntry { object: id.to_string(), ..viewer.audit("list.problems_exported") };
    desk.store.audit(viewer.now, &entry).await?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"import-problems.csv\""),
    ];
    Ok((headers, table(&problems)).into_response())
}

/// The lines that are not to be taken over.
#[derive(Debug, Deserialize)]
struct LeftOut {
    #[serde(default)]
    leave: Vec<usize>,
}

async fn take(
    State(desk): State<Desk>,
    Path(id): Path<ImportBatchId>,
    Posted { viewer, form }: Posted<LeftOut>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer)?;
    let entry = AuditEntry { object: id.to_string(), ..viewer.audit("list.import_begun") };
    let list = within.import(id).await?;
    if within.begin_import(viewer.now, id, &form.leave, &entry).await? {
        let entry = AuditEntry { action: "list.imported", ..entry };
        tokio::spawn(work::take_over(desk.clone(), viewer.scope()?, list.id, entry));
    }
    // Sent twice, it is begun once, and both see how it goes.
    Ok(Redirect::to(&format!("/import/{id}")).into_response())
}

async fn discard(
    State(desk): State<Desk>,
    Path(id): Path<ImportBatchId>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    within(&desk, &viewer)?.discard_import(viewer.now, id).await?;
    Ok(done("/import", viewer.say("一覧を破棄しました。", "The list was thrown away.")))
}

async fn undo(
    State(desk): State<Desk>,
    Path(id): Path<ImportBatchId>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer)?;
    let entry = AuditEntry { object: id.to_string(), ..viewer.audit("list.undo_begun") };
    within.import(id).await?;
    if within.begin_undo(viewer.now, id, viewer.staff.id, &entry).await? {
        let entry = AuditEntry { action: "list.undone", ..entry };
        tokio::spawn(work::take_back(desk.clone(), viewer.scope()?, id, entry));
    }
    Ok(Redirect::to(&format!("/import/{id}")).into_response())
}
