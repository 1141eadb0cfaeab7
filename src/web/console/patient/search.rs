//! 患者を探す: by number, name, kana or telephone; who they are and when they are called, no more.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::store::Found;
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::fault::Fault;
use crate::web::ui::{self, Section};

/// More are not read by anybody: the words must be more exact.
const LIMIT: u32 = 50;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Search {
    #[serde(default)]
    q: String,
}

pub(super) async fn page(
    State(desk): State<Desk>,
    viewer: Viewer,
    Query(search): Query<Search>,
) -> Result<Response, Fault> {
    let within = desk.store.within(viewer.scope()?);
    let words = normal(&search.q);
    let found = within.find_patients(&words, LIMIT).await?;
    if !words.is_empty() {
        let mut entry = viewer.audit("patient.searched");
        // How many, not for whom: a name is not for the chain.
        entry.detail = found.len().to_string();
        desk.store.audit(viewer.now, &entry).await?;
    }
    // A number that names one patient leads there.
    if let [one] = &found[..]
        && one.patient.registration_number.eq_ignore_ascii_case(&words)
    {
        return Ok(Redirect::to(&format!("/patients/{}", one.patient.id)).into_response());
    }
    let title = Bilingual::fixed("患者", "Patients");
    let body = html! {
        form.row role="search" method="get" action="/patients" {
            label {
                (viewer.say("管理番号・氏名・カナ・電話番号", "Number, name, kana or telephone"))
                input type="search" name="q" value=(search.q) autofocus autocomplete="off"
                    aria-describedby="search-hint";
            }
            button.primary type="submit" { (ui::icon(ui::Icon::Look)) (viewer.say("探す", "Find")) }
        }
        p.hint #search-hint {
            (viewer.say(
                "管理番号は前方一致、電話番号は下4桁以上。",
                "The beginning of a number, or the last four digits or more of a telephone.",
            ))
        }
        @if !words.is_empty() { (results(&viewer, &found)) }
    };
    Ok(ui::page(&viewer, Section::Patients, &title, &body).into_response())
}

fn results(viewer: &Viewer, found: &[Found]) -> Markup {
    if found.is_empty() {
        return ui::empty(viewer.say("該当する患者はいません。", "Nobody was found."));
    }
    let today = civil(viewer.now).date();
    html! {
        div.scroll {
            table {
                caption role="status" {
                    (found.len()) (viewer.say("名", " found"))
                    @if found.len() >= LIMIT as usize {
                        " — " (viewer.say("ほかにもいます。条件を絞ってください。", "there are more; please be more exact."))
                    }
                }
                thead { tr {
                    th scope="col" { (viewer.say("管理番号", "Number")) }
                    th scope="col" { (viewer.say("氏名", "Name")) }
                    th scope="col" { (viewer.say("生年月日", "Born")) }
                    th scope="col" { (viewer.say("観察期間", "Observed")) }
                } }
                tbody {
                    @for one in found {
                        tr {
                            th scope="row" {
                                a href=(format!("/patients/{}", one.patient.id)) {
                                    (one.patient.registration_number)
                                }
                            }
                            td {
                                (one.patient.name.expose())
                                " " span.muted.small { (one.patient.kana.expose()) }
                            }
                            td.nowrap {
                                (one.patient.birth_date.expose()) " "
                                (one.patient.age(today)) (viewer.say("歳", " years"))
                            }
                            td.nowrap {
                                @match one.observed {
                                    Some((first, last)) => { (first) " – " (last) }
                                    None => (viewer.say("観察中ではありません", "Not under observation"))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Full-width letters become half-width, and hiragana katakana, as the list writes kana.
fn normal(text: &str) -> String {
    let katakana = |c: char| match c {
        'ぁ'..='ゖ' => char::from_u32(u32::from(c) + 0x60).unwrap_or(c),
        c => c,
    };
    let text: String = text.trim().nfkc().collect();
    // A name in hiragana cannot be told from kana; names with kanji keep theirs.
    if text.chars().all(|c| matches!(c, 'ぁ'..='ゖ' | 'ー') || c.is_whitespace()) {
        text.chars().map(katakana).collect()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_people_type_them() {
        for (typed, read) in [
            (" Ａ０００１ ", "A0001"),
            ("かんざき はな", "カンザキ ハナ"),
            ("神崎 はな", "神崎 はな"),
            ("０９０ー１２３４", "090ー1234"),
        ] {
            assert_eq!(normal(typed), read);
        }
    }
}
