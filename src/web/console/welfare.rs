//! 安否確認: who was silent all day, what is decided about each at 17:00, and what came of it; and at
//! night, who missed an evening call. Red until it is settled; made to be printed and laid on the table.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::WelfareCheckId;
use crate::campaign::{Attempt, Terms};
use crate::escalation::welfare::{Act, Choice, LONGEST_WORDS, List, Refusal, Step, rank};
use crate::registry::Right;
use crate::store::WelfareCheck;
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::console::words;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/welfare", get(page))
        .route("/welfare/{check}/decide", post(decide))
        .route("/welfare/{check}/settle", post(settle))
}

async fn page(viewer: Viewer, State(desk): State<Desk>) -> Result<Markup, Fault> {
    viewer.must(Right::HandleCases)?;
    let today = civil(viewer.now).date();
    let within = desk.store.within(viewer.scope()?);
    let terms = desk.usual_terms(viewer.now, viewer.scope()?.center).await?;
    let listed_at = within.welfare_listed_at(today, List::Day).await?;
    let night_at = within.welfare_listed_at(today, List::Night).await?;
    let mut listed = within.welfare_checks(today).await?;
    listed.sort_by_key(|one| {
        let is_settled = one.step() == Step::Settled;
        (is_settled, one.list, rank(one.is_frail, one.heard_at), one.id)
    });
    let mut silent = {
        let book = desk.store.campaigns(viewer.now).await?;
        within.welfare_preview(viewer.now, &book, &desk.terms).await?
    };
    silent.sort_by_key(|one| (one.list, rank(one.is_frail, one.heard_at), one.patient.id));
    let mut entry = viewer.audit("welfare.viewed");
    entry.detail = format!("{} listed, {} silent", listed.len(), silent.len());
    desk.store.audit(viewer.now, &entry).await?;

    let count = |step| listed.iter().filter(|one| one.step() == step).count();
    let body = html! {
        (hours(&viewer, &terms, listed_at, night_at))
        @if listed_at.is_some() || !listed.is_empty() {
            p.row role="status" {
                span { (viewer.say("未協議", "to be decided")) " " strong.red[count(Step::Listed) > 0] data-count="listed" { (count(Step::Listed)) } }
                span { (viewer.say("結果待ち", "result awaited")) " " strong.red[count(Step::Decided) > 0] data-count="decided" { (count(Step::Decided)) } }
                span { (viewer.say("完了", "settled")) " " strong data-count="settled" { (count(Step::Settled)) } }
            }
            @if listed.is_empty() {
                (ui::empty(viewer.say("一覧に載った方はいません。", "Nobody is on the list.")))
            }
            @for one in &listed { (card(&viewer, one, today)) }
        }
        @if listed_at.is_none() || !silent.is_empty() {
            h2 {
                @if listed_at.is_none() {
                    (viewer.say("いまのところ報告のない方(見込み)", "Silent so far (a preview)"))
                } @else {
                    (viewer.say("一覧のあとに報告のない方", "Silent since the list was made"))
                }
                " " span.chip { (silent.len()) }
            }
            @if silent.is_empty() { (ui::empty(viewer.say("ありません", "None"))) }
            @for one in &silent { (card(&viewer, one, today)) }
        }
    };
    let title = Bilingual::fixed("安否確認", "Welfare checks");
    Ok(ui::page(&viewer, Section::Welfare, &title, &body))
}

/// What happens when, and how far the day has come.
fn hours(
    viewer: &Viewer,
    terms: &Terms,
    listed_at: Option<Timestamp>,
    night_at: Option<Timestamp>,
) -> Markup {
    let clock = |time: Time| time.strftime("%H:%M").to_string();
    let (review, decide, escalate) = (
        clock(terms.cadence.review_at),
        clock(terms.silence.decide_at),
        clock(terms.silence.escalate_at),
    );
    let text = Bilingual::composed(
        format!(
            "{review} に一覧を作り、{decide} に対応を協議して決め、その日のうちに結果を入力します。\
             {escalate} までに結果のない方は、緊急として責任者に上がります。自動で消えることはありません。"
        ),
        format!(
            "The list is made at {review}, decided about at {decide}, and what came of it is written \
             down the same day. Whoever is not settled by {escalate} goes to the supervisor as urgent. \
             Nothing closes by itself."
        ),
    );
    let [last, night, night_escalate] =
        [terms.cadence.last_daytime_start, terms.silence.night_at, terms.silence.night_escalate_at]
            .map(clock);
    let evening = Bilingual::composed(
        format!(
            "{last} より後に始まる夜の枠(寝る前)は、{night} に別の「夜の一覧」で確かめます。{night_escalate} \
             までに結果のない方は責任者に上がります。"
        ),
        format!(
            "Evening slots, which begin after {last}, are judged by a list of their own at {night}. \
             Whoever of it is not settled by {night_escalate} goes to the supervisor."
        ),
    );
    html! {
        p.muted { (viewer.tell(&text)) " " (viewer.tell(&evening)) }
        @if let Some(at) = night_at {
            p {
                (ui::icon(Icon::Clock)) " " (viewer.say("夜の一覧", "List of the night")) " "
                strong { (civil(at).strftime("%H:%M")) }
            }
        }
        @if let Some(at) = listed_at {
            p {
                (ui::icon(Icon::Clock)) " " (viewer.say("本日の一覧", "Today's list")) " "
                strong { (civil(at).strftime("%H:%M")) }
            }
        }
    }
}

fn card(viewer: &Viewer, one: &WelfareCheck, today: Date) -> Markup {
    let patient = &one.patient;
    let step = one.step();
    let is_red = one.id.is_some() && step != Step::Settled;
    // Somebody may be on both lists of a day, and on that of a day before.
    let heading = format!("w-{}-{}-{}", patient.id, one.date, one.list.as_str());
    html! {
        article.card.case.urgent[is_red] aria-labelledby=(heading) data-step=(word(one)) {
            div.row.between {
                h3 id=(heading) {
                    a href={ "/patients/" (patient.id) } { (patient.name.expose()) } " "
                    span.muted.small {
                        (patient.registration_number) " · " (patient.birth_date.expose()) " · "
                        (patient.age(today)) (viewer.say("歳", ""))
                    }
                }
                div.row { (state(viewer, one)) }
            }
            @if one.date != today {
                p.red { strong { (one.date) " " (viewer.say("の一覧から未完了", "and still not settled")) } }
            }
            dl.pairs {
                dt { (viewer.say("一覧の理由", "Why")) }
                dd { (viewer.tell(&one.why.name())) }
                dt { (viewer.say("最後の報告", "Last report")) }
                dd {
                    @match one.heard_at {
                        Some(at) => (civil(at).strftime("%m/%d %H:%M")),
                        None => strong { (viewer.say("まだ一度もありません", "never yet")) },
                    }
                }
                dt { (viewer.say("その日の架電", "Calls of the day")) }
                dd { (calls(viewer, &one.attempts)) }
                dt { (viewer.say("電話", "Telephones")) }
                dd {
                    @for phone in &patient.phones {
                        a href={ "tel:" (phone.number.e164()) } { (phone.number.national()) } " "
                    }
                }
                dt { (viewer.say("家族・合鍵", "Family, keys")) }
                dd { (contacts(viewer, one)) }
            }
            (decided(viewer, one))
            @if let Some(id) = one.id { (forms(viewer, id, step)) }
        }
    }
}

/// The word of a step for tests.
fn word(one: &WelfareCheck) -> &'static str {
    match (one.id, one.step()) {
        (None, _) => "preview",
        (_, Step::Listed) => "listed",
        (_, Step::Decided) => "decided",
        (_, Step::Settled) => "settled",
    }
}

fn state(viewer: &Viewer, one: &WelfareCheck) -> Markup {
    html! {
        @if one.list == List::Night {
            (ui::badge("badge", Icon::Clock, viewer.say("夜の一覧", "night")))
        }
        @if one.is_frail {
            (ui::badge("badge caution", Icon::Caution, viewer.say("ハイリスク・独居", "high risk or alone")))
        }
        @if one.escalated_at.is_some() {
            (ui::badge("badge act", Icon::Alert, viewer.say("責任者へ", "to the supervisor")))
        }
        @if let Some(at) = one.reported_at {
            @let text = Bilingual::composed(
                format!("その後報告あり {}", civil(at).strftime("%m/%d %H:%M")),
                format!("reported since: {}", civil(at).strftime("%m/%d %H:%M")),
            );
            (ui::badge("badge check", Icon::Look, viewer.tell(&text)))
        }
        @match (one.id, one.step()) {
            (None, _) => (ui::badge("badge muted", Icon::Clock, viewer.say("見込み", "preview"))),
            (_, Step::Listed) => (ui::badge("badge act", Icon::Alert, viewer.say("未協議", "to be decided"))),
            (_, Step::Decided) => (ui::badge("badge act", Icon::Alert, viewer.say("結果未入力", "result awaited"))),
            (_, Step::Settled) => (ui::badge("badge good", Icon::Check, viewer.say("完了", "settled"))),
        }
    }
}

/// 10:02 不在、10:35 留守電.
fn calls(viewer: &Viewer, attempts: &[Attempt]) -> Markup {
    let told: Vec<String> = attempts
        .iter()
        .map(|one| {
            let at = one.dialed_at.map(|at| civil(at).strftime("%H:%M ").to_string());
            let outcome = match one.disposition {
                Some(how) => words::outcome(how, one.respondent, one.completion),
                None => Bilingual::fixed("通話中", "on the line"),
            };
            format!("{}{}", at.unwrap_or_default(), viewer.tell(&outcome))
        })
        .collect();
    html! {
        @if told.is_empty() {
            (viewer.say("ありません", "none"))
        } @else {
            (told.join(viewer.say("、", ", ")))
        }
    }
}

fn contacts(viewer: &Viewer, one: &WelfareCheck) -> Markup {
    html! {
        @if one.contacts.is_empty() {
            span.muted { (viewer.say("登録がありません", "none on record")) }
        } @else {
            ul.plain {
                @for contact in &one.contacts {
                    li {
                        (contact.name.expose()) " " span.muted.small { (viewer.tell(&contact.relation.name())) } " "
                        @let phone = contact.phone.expose();
                        @if !phone.is_empty() { a href={ "tel:" (phone) } { (phone) } " " }
                        @if contact.is_keyholder {
                            strong { (viewer.say("合鍵あり", "has a key")) }
                        }
                        " " (contact.note.expose())
                    }
                }
            }
        }
    }
}

fn decided(viewer: &Viewer, one: &WelfareCheck) -> Markup {
    let at = |at: Timestamp| civil(at).strftime("%m/%d %H:%M").to_string();
    html! {
        @if let Some(decision) = &one.decision {
            p {
                strong { (viewer.say("決定: ", "Decided: ")) (viewer.tell(&decision.choice.name())) }
                " — " (decision.reason.expose()) " "
                span.muted.small { (decision.by.name.expose()) " " (at(decision.by.at)) }
            }
        }
        @if let Some((result, by)) = &one.result {
            p {
                strong { (viewer.say("結果: ", "Result: ")) } (result.expose()) " "
                span.muted.small { (by.name.expose()) " " (at(by.at)) }
            }
        }
    }
}

/// What can be done now. On paper there is room to write by hand.
fn forms(viewer: &Viewer, id: WelfareCheckId, step: Step) -> Markup {
    let decide = html! {
        form.stack.no-print method="post" action={ "/welfare/" (id) "/decide" } {
            (ui::csrf(viewer))
            fieldset.inline {
                legend { (viewer.say("どうするか", "What is done")) }
                @for choice in Choice::ALL {
                    label.inline {
                        input type="radio" name="choice" value=(choice.as_str()) required;
                        (viewer.tell(&choice.name()))
                    }
                }
            }
            label {
                (viewer.say("理由", "Reason"))
                textarea name="text" rows="2" required maxlength=(LONGEST_WORDS) {}
            }
            div.row { button.primary type="submit" { (viewer.say("この対応に決める", "Decide")) } }
        }
    };
    html! {
        @match step {
            Step::Listed => (decide),
            Step::Decided => {
                form.stack.no-print method="post" action={ "/welfare/" (id) "/settle" } {
                    (ui::csrf(viewer))
                    label {
                        (viewer.say("結果(だれが、何を確かめたか)", "Result (who made sure of what)"))
                        textarea name="text" rows="2" required maxlength=(LONGEST_WORDS) {}
                    }
                    div.row { button.primary type="submit" { (viewer.say("結果を入力して完了", "Write it down and settle")) } }
                }
                details.form.no-print {
                    summary { (viewer.say("決めなおす", "Decide anew")) }
                    (decide)
                }
            }
            Step::Settled => {}
        }
    }
}

#[derive(Deserialize)]
struct Form {
    #[serde(default)]
    choice: String,
    #[serde(default)]
    text: String,
}

impl Form {
    fn words(&self) -> String {
        self.text.trim().chars().take(LONGEST_WORDS).collect()
    }
}

async fn decide(
    State(desk): State<Desk>,
    Path(check): Path<String>,
    Posted { viewer, form }: Posted<Form>,
) -> Result<Response, Fault> {
    let choice = Choice::parse(&form.choice).ok_or_else(|| {
        Fault::Invalid(Bilingual::fixed(
            "どうするかを選んでください。",
            "Please choose what is done.",
        ))
    })?;
    act(&desk, &viewer, &check, &Act::Decide(choice, form.words())).await?;
    Ok(done("/welfare", viewer.say("対応を決めました。", "It is decided.")))
}

async fn settle(
    State(desk): State<Desk>,
    Path(check): Path<String>,
    Posted { viewer, form }: Posted<Form>,
) -> Result<Response, Fault> {
    act(&desk, &viewer, &check, &Act::Settle(form.words())).await?;
    Ok(done("/welfare", viewer.say("結果を記録しました。", "The result is on record.")))
}

async fn act(desk: &Desk, viewer: &Viewer, check: &str, act: &Act) -> Result<(), Fault> {
    viewer.must(Right::HandleCases)?;
    let id = check.parse().map_err(|_| Fault::NotFound)?;
    let within = desk.store.within(viewer.scope()?);
    match within.act_on_welfare(viewer.now, &viewer.staff, id, act).await? {
        Ok(_) => Ok(()),
        Err(Refusal::NoWords) => Err(Fault::Invalid(Bilingual::fixed(
            "理由または結果を入力してください。",
            "Please write a reason, or what came of it.",
        ))),
        Err(Refusal::NotDecided) => Err(Fault::Conflict(Bilingual::fixed(
            "まだ対応が決まっていません。",
            "It is not decided yet what is done.",
        ))),
        Err(Refusal::Settled) => Err(Fault::Conflict(Bilingual::fixed(
            "ほかの職員が先に完了しました。",
            "Somebody else has settled it already.",
        ))),
    }
}
