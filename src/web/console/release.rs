//! 解除候補: who may be released from recuperation by the rules of the day, why, and what is in the
//! way of the others. The page proposes; the one who presses the button decides, by name.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::{civil, timestamp};
use crate::base::id::{LabTestId, PatientId};
use crate::registry::{Course, LabTest, Patient, Right, TestMethod, TestResult};
use crate::release::{self, Decision, Negatives, Proposal, ReleaseRules};
use crate::store::{Convalescent, Deciding, NotDecided};
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::console::words;
use crate::web::fault::Fault;
use crate::web::release as common;
use crate::web::ui::{self, Icon, Section};

/// More do not fit on a page that somebody decides from.
const LIMIT: u32 = 200;

/// So many whose illness nobody has dated are listed.
const UNDATED: u32 = 50;

/// After so many characters a reason is a report.
const LONGEST_REASON: usize = 500;

const TITLE: Bilingual = Bilingual::fixed("解除候補", "Releases");

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/release", get(page))
        .route("/release/{patient}", get(one))
        .route("/release/{patient}/decide", post(decide))
        .route("/release/{patient}/course", post(course))
        .route("/release/{patient}/tests", post(test))
        .route("/release/{patient}/tests/{test}/withdraw", post(withdraw_test))
}

/// Who may decide: the health centre does, and not the clinic that looks after somebody.
fn may_decide(viewer: &Viewer) -> bool {
    viewer.may(Right::ChangePlan) && viewer.may(Right::SeeHealth)
}

async fn page(viewer: Viewer, State(desk): State<Desk>) -> Result<Markup, Fault> {
    viewer.must(Right::SeeHealth)?;
    let today = civil(viewer.now).date();
    let rules = common::rules(&desk, viewer.now)?;
    let within = desk.store.within(viewer.scope()?);
    let people = within.convalescents(viewer.now, rules, LIMIT).await?;
    let (n_undated, undated) = within.without_day_zero(today, UNDATED).await?;
    let (candidates, others): (Vec<_>, Vec<_>) =
        people.iter().partition(|one| one.proposal.is_candidate());
    let mut entry = viewer.audit("release.viewed");
    entry.detail = format!("{} candidates, {} others", candidates.len(), others.len());
    desk.store.audit(viewer.now, &entry).await?;

    let say = |ja, en| viewer.say(ja, en);
    let body = html! {
        (terms(&viewer, rules))
        p.row role="status" {
            span { (say("候補", "candidates")) " " strong data-count="candidates" { (candidates.len()) } }
            span { (say("まだの方", "not yet")) " " strong data-count="others" { (others.len()) } }
            span { (say("発症日が未登録", "without a day of onset")) " " strong data-count="undated" { (n_undated) } }
        }
        h2 { (say("候補(保健所の確認待ち)", "Candidates (to be confirmed)")) }
        @if candidates.is_empty() { (ui::empty(say("いま候補の方はいません。", "Nobody for now."))) }
        @for one in &candidates { (card(&viewer, rules, one)) }
        @if !others.is_empty() {
            h2 { (say("まだ条件を満たさない方", "Something is in the way")) }
            @for one in &others { (card(&viewer, rules, one)) }
        }
        @if people.len() >= LIMIT as usize {
            p.notice { (say(
                "発症日の古い順に200人までを表示しています。",
                "The 200 who have been ill longest are shown.",
            )) }
        }
        @if n_undated > 0 {
            h2 { (say("発症日・検体採取日が未登録の方", "Neither onset nor specimen is known")) }
            p.muted { (say(
                "登録すると、日数を数えられます。",
                "Once it is written down, the days can be counted.",
            )) }
            @for patient in &undated {
                article.card aria-labelledby={ "u-" (patient.id) } {
                    h3 id={ "u-" (patient.id) } { (who(&viewer, patient, today)) }
                    @if may_decide(&viewer) { (course_form(&viewer, patient.id, &Course::default())) }
                }
            }
        }
    };
    Ok(ui::page(&viewer, Section::Release, &TITLE, &body))
}

/// One patient, however few days have passed.
async fn one(
    viewer: Viewer,
    State(desk): State<Desk>,
    Path(patient): Path<String>,
) -> Result<Markup, Fault> {
    viewer.must(Right::SeeHealth)?;
    let patient = patient.parse().map_err(|_| Fault::NotFound)?;
    let rules = common::rules(&desk, viewer.now)?;
    let within = desk.store.within(viewer.scope()?);
    let one = within.convalescent(viewer.now, rules, patient).await?.ok_or(Fault::NotFound)?;
    let mut entry = viewer.audit("release.viewed");
    entry.patient = Some(patient);
    desk.store.audit(viewer.now, &entry).await?;
    let body = html! {
        (terms(&viewer, rules))
        (card(&viewer, rules, &one))
        p { a href="/release" { (viewer.say("解除候補の一覧へ", "All who may be released")) } }
    };
    Ok(ui::page(&viewer, Section::Release, &TITLE, &body))
}

/// By which rules.
fn terms(viewer: &Viewer, rules: &ReleaseRules) -> Markup {
    let path = |symptomatic: bool| {
        let path = rules.path(symptomatic);
        path.map(|path| (path.days, path.improved().as_hours())).unwrap_or_default()
    };
    let ((days, hours), (days_without, _)) = (path(true), path(false));
    let text = Bilingual::composed(
        format!(
            "症状のある方は発症日から{days}日間が過ぎ、症状が軽くなって{hours}時間以上。\
             症状のない方は検体採取日から{days_without}日間。熱と症状の質問に「わからない」や未回答が\
             あると候補になりません。"
        ),
        format!(
            "With symptoms: {days} days after the onset, and better for {hours} hours or more. Without: \
             {days_without} days after the specimen. Whoever did not answer on fever and symptoms \
             is no candidate."
        ),
    );
    html! {
        p { (viewer.tell(&text)) }
        @for path in &rules.paths {
            @if let Some(negatives) = &path.tests {
                p { (shortened(viewer, path, negatives)) }
            }
        }
        p.muted.small {
            (viewer.say("基準", "Rules")) " " (rules.version) " — " (rules.source)
        }
    }
}

/// How negative tests shorten the days.
fn shortened(viewer: &Viewer, path: &release::Path, negatives: &Negatives) -> String {
    let methods: Vec<_> =
        negatives.methods.iter().map(|method| words::test_method(*method)).collect();
    let methods: Vec<&str> = methods.iter().map(|method| viewer.tell(method)).collect();
    let (methods, count) = (methods.join(viewer.say("か", " or ")), negatives.count);
    let (days, better) = (negatives.after_days, path.improved().as_hours());
    let whom = if path.symptomatic {
        Bilingual::fixed("症状のある方", "with symptoms")
    } else {
        Bilingual::fixed("症状のない方", "without symptoms")
    };
    let conditions = [
        (days > 0).then(|| (format!("{days}日目以降、"), format!(", on day {days} or later"))),
        (better > 0).then(|| {
            let en = format!(", {better} hours after getting better");
            (format!("軽快して{better}時間以降、"), en)
        }),
    ];
    let (when_ja, when_en): (Vec<String>, Vec<String>) = conditions.into_iter().flatten().unzip();
    let apart = negatives.apart().as_hours();
    let (apart_ja, apart_en) = match count {
        1 => (String::new(), String::new()),
        _ => (format!("{apart}時間以上あけて続けて"), format!(", {apart} hours apart")),
    };
    let ja = format!(
        "検査による短縮: {}は、{}{methods}で{apart_ja}{count}回陰性のとき。",
        whom.ja,
        when_ja.concat()
    );
    let en = format!(
        "Sooner, {}: {count} negative by {methods}{}{apart_en}.",
        whom.en,
        when_en.concat()
    );
    viewer.say(&ja, &en).to_owned()
}

fn who(viewer: &Viewer, patient: &Patient, today: Date) -> Markup {
    html! {
        a href={ "/patients/" (patient.id) } { (patient.name.expose()) } " "
        span.muted.small {
            (patient.registration_number) " · " (patient.birth_date.expose()) " · "
            (patient.age(today)) (viewer.say("歳", ""))
        }
    }
}

fn card(viewer: &Viewer, rules: &ReleaseRules, one: &Convalescent) -> Markup {
    let today = civil(viewer.now).date();
    let Convalescent { patient, proposal, episode, .. } = one;
    let heading = format!("r-{}", patient.id);
    let day = |day: Option<Date>| day.map_or_else(|| "—".to_owned(), |day| day.to_string());
    html! {
        article.card aria-labelledby=(heading) data-release=(shown(proposal)) {
            div.row.between {
                h3 id=(heading) { (who(viewer, patient, today)) }
                @if proposal.is_candidate() {
                    (ui::badge("badge good", Icon::Check, viewer.say("候補", "candidate")))
                } @else {
                    (ui::badge("badge caution", Icon::Clock, viewer.say("まだ", "not yet")))
                }
            }
            dl.pairs {
                dt { (viewer.say("根拠", "On the ground of")) }
                dd {
                    @if rules.path_of(&proposal.path).is_some_and(|path| path.tests.is_some()) {
                        (viewer.say("検査の陰性", "negative tests"))
                    } @else {
                        (viewer.say("日数", "days"))
                    }
                }
                dt { (basis(viewer, &one.course)) } dd { (day(proposal.day_zero)) }
                dt { (viewer.say("日数の上では", "By the days")) }
                dd { (day(proposal.from)) (viewer.say(" から解除できます", ": the first day of a release")) }
                dt { (viewer.say("軽快", "Better")) }
                dd {
                    @match proposal.improved_at {
                        Some(at) => {
                            (civil(at).strftime("%m/%d %H:%M"))
                            (viewer.say(" から、熱と症状の回答はすべて良好", ": all answers on fever and symptoms were good since"))
                        }
                        None => (viewer.say("確かめられません", "cannot be told")),
                    }
                }
                dt { (viewer.say("観察の最終日", "Last day under observation")) } dd { (episode.last_day) }
                @if !patient.risks.is_empty() {
                    dt { (viewer.say("リスク", "Risks")) }
                    dd { @for risk in &patient.risks { span.chip { (viewer.tell(&words::risk(*risk))) } " " } }
                }
            }
            @if !proposal.blocks.is_empty() {
                ul { @for block in &proposal.blocks { li { (viewer.tell(&block.told(rules))) } } }
            }
            @if !one.tests.is_empty() { (tests(viewer, patient.id, &one.tests)) }
            @if let Some(decided) = &one.decided {
                p {
                    strong { (match decided.decision {
                        Decision::Released => viewer.say("解除: ", "Released: "),
                        Decision::Kept => viewer.say("見送り: ", "Kept: "),
                    }) }
                    (decided.reason.expose()) " "
                    span.muted.small {
                        (decided.signed.name.expose()) " " (civil(decided.signed.at).strftime("%m/%d %H:%M"))
                    }
                }
            }
            @if may_decide(viewer) {
                (decide_form(viewer, patient.id, proposal))
                (course_form(viewer, patient.id, &one.course))
                (test_form(viewer, patient.id))
            }
        }
    }
}

fn shown(proposal: &Proposal) -> &'static str {
    if proposal.is_candidate() { "candidate" } else { "blocked" }
}

fn basis(viewer: &Viewer, course: &Course) -> &'static str {
    if course.onset.is_some() && course.is_symptomatic() {
        viewer.say("発症日", "Onset")
    } else {
        viewer.say("検体採取日", "Specimen")
    }
}

/// A release against the rules, and keeping somebody, want a reason.
fn decide_form(viewer: &Viewer, id: PatientId, proposal: &Proposal) -> Markup {
    let is_candidate = proposal.is_candidate();
    let form = html! {
        form.stack method="post" action={ "/release/" (id) "/decide" } {
            (ui::csrf(viewer))
            input type="hidden" name="shown" value=(shown(proposal));
            label.inline {
                input type="checkbox" name="confirmed" value="1";
                (viewer.say(
                    "解熱剤を使わずに熱がないことを、本人または家族に確かめた",
                    "The patient or the family has said that there is no fever without medicine",
                ))
            }
            label.inline {
                input type="checkbox" name="farewell" value="1" checked;
                (viewer.say(
                    "終わったことを、自動音声の電話で本人に伝える",
                    "Tell the patient by an automatic call that it is over",
                ))
            }
            label {
                @if is_candidate {
                    (viewer.say("理由・メモ(見送るときは必須)", "Reason or note (needed to keep somebody)"))
                } @else {
                    (viewer.say("理由(必須)", "Reason (needed)"))
                }
                textarea name="reason" rows="2" maxlength=(LONGEST_REASON) {}
            }
            div.row {
                button.primary[is_candidate] type="submit" name="decision" value="released" {
                    (ui::icon(Icon::Check)) (viewer.say("解除を確認して架電を終える", "Release, and end the calls"))
                }
                button.quiet type="submit" name="decision" value="kept" {
                    (viewer.say("見送る", "Keep under observation"))
                }
            }
        }
    };
    html! {
        @if is_candidate { (form) } @else {
            details.form { summary { (viewer.say("それでも決める", "Decide all the same")) } (form) }
        }
    }
}

fn course_form(viewer: &Viewer, id: PatientId, course: &Course) -> Markup {
    let value = |day: Option<Date>| day.map(|day| day.to_string());
    let symptoms = [
        ("", None, viewer.say("不明", "not known")),
        ("yes", Some(true), viewer.say("あり", "yes")),
        ("no", Some(false), viewer.say("なし", "no")),
    ];
    html! {
        details.form open[!course.is_known()] {
            summary { (viewer.say("発症日・検体採取日", "Onset and specimen")) }
            form.row method="post" action={ "/release/" (id) "/course" } {
                (ui::csrf(viewer))
                label { (viewer.say("発症日", "Onset"))
                    input type="date" name="onset" value=[value(course.onset)]; }
                label { (viewer.say("検体採取日", "Specimen"))
                    input type="date" name="specimen" value=[value(course.specimen)]; }
                label { (viewer.say("症状", "Symptoms"))
                    select name="symptoms" {
                        @for (word, is, label) in symptoms {
                            option value=(word) selected[course.has_symptoms == is] { (label) }
                        }
                    }
                }
                button type="submit" { (viewer.say("登録する", "Write down")) }
            }
        }
    }
}

/// The tests of specimens; who may decide, may withdraw what was wrong.
fn tests(viewer: &Viewer, id: PatientId, tests: &[LabTest]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { (viewer.say("検体採取", "Specimen")) }
                th scope="col" { (viewer.say("検査", "Test")) }
                th scope="col" { (viewer.say("結果", "Result")) }
                @if may_decide(viewer) {
                    th scope="col" { (viewer.say("誤りの取り消し", "Written down wrongly")) }
                }
            } }
            tbody { @for test in tests { tr {
                th scope="row" { (civil(test.collected_at).strftime("%Y-%m-%d %H:%M")) }
                td { (viewer.tell(&words::test_method(test.method))) }
                td.nowrap { strong { (viewer.tell(&words::test_result(test.result))) } }
                @if may_decide(viewer) { td { (withdraw_form(viewer, id, test)) } }
            } } }
        } }
    }
}

fn withdraw_form(viewer: &Viewer, id: PatientId, test: &LabTest) -> Markup {
    html! {
        form.row method="post" action={ "/release/" (id) "/tests/" (test.id) "/withdraw" } {
            (ui::csrf(viewer))
            label { (viewer.say("取り消す理由", "Why it is withdrawn"))
                input name="reason" required maxlength=(LONGEST_REASON); }
            button.quiet type="submit" { (viewer.say("取り消す", "Withdraw")) }
        }
    }
}

fn test_form(viewer: &Viewer, id: PatientId) -> Markup {
    let now = civil(viewer.now).strftime("%Y-%m-%dT%H:%M");
    html! {
        details.form {
            summary { (viewer.say("検査結果を登録", "Write down a test")) }
            form.row method="post" action={ "/release/" (id) "/tests" } {
                (ui::csrf(viewer))
                label { (viewer.say("検体を採取した日時", "When the specimen was taken"))
                    input type="datetime-local" name="collected" required max=(now); }
                label { (viewer.say("検査", "Test"))
                    select name="method" required {
                        @for method in TestMethod::ALL {
                            option value=(method.as_str()) { (viewer.tell(&words::test_method(method))) }
                        }
                    }
                }
                label { (viewer.say("結果", "Result"))
                    select name="result" required {
                        option value="" { (viewer.say("選んでください", "Please choose")) }
                        @for result in TestResult::ALL {
                            option value=(result.as_str()) { (viewer.tell(&words::test_result(result))) }
                        }
                    }
                }
                button type="submit" { (viewer.say("この検査を登録", "Write this test down")) }
            }
        }
    }
}

#[derive(Deserialize)]
struct DecideForm {
    #[serde(default)]
    decision: String,
    /// What the page said.
    #[serde(default)]
    shown: String,
    #[serde(default)]
    confirmed: String,
    #[serde(default)]
    farewell: String,
    #[serde(default)]
    reason: String,
}

async fn decide(
    State(desk): State<Desk>,
    Path(patient): Path<String>,
    Posted { viewer, form }: Posted<DecideForm>,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeHealth)?;
    viewer.must(Right::ChangePlan)?;
    let patient = patient.parse().map_err(|_| Fault::NotFound)?;
    let decision = Decision::parse(&form.decision).ok_or_else(|| {
        invalid("解除か見送りを選んでください。", "Please choose: release or keep.")
    })?;
    if decision == Decision::Released && form.confirmed != "1" {
        return Err(invalid(
            "解熱剤を使わずに熱がないことを確かめ、印を付けてください。",
            "Please make sure that there is no fever without medicine, and tick the box.",
        ));
    }
    let reason = reason(&form.reason);
    let rules = common::rules(&desk, viewer.now)?;
    let within = desk.store.within(viewer.scope()?);
    let by = viewer.staff.id;
    let farewell = match form.farewell.as_str() {
        "1" => common::farewell(&desk, &within, viewer.now, patient).await?,
        _ => None,
    };
    let deciding = Deciding {
        decision,
        reason: &reason,
        farewell: farewell.as_ref(),
        saw_candidate: Some(form.shown == "candidate"),
    };
    let decided = within.decide_release(viewer.now, by, patient, rules, deciding).await?;
    match (decided, decision) {
        (Ok(_), Decision::Released) => Ok(done(
            "/release",
            viewer.say(
                "解除しました。今後、体調をたずねる架電はありません。",
                "Released. Nobody asks how they are any more.",
            ),
        )),
        (Ok(_), Decision::Kept) => {
            Ok(done("/release", viewer.say("見送りを記録しました。", "Kept under observation.")))
        }
        (Err(NotDecided::NoReason), _) => {
            Err(invalid("理由を入力してください。", "Please write a reason."))
        }
        (Err(NotDecided::Changed), _) => Err(Fault::Conflict(Bilingual::fixed(
            "表示してから回答や検査が登録され、判定が変わりました。もう一度確かめてください。",
            "Since you looked, something was answered or tested, and the rules say otherwise. Please look again.",
        ))),
        (Err(NotDecided::Over), _) => Err(Fault::Conflict(Bilingual::fixed(
            "この方の観察はすでに終わっています。",
            "The observation is over already.",
        ))),
    }
}

#[derive(Deserialize)]
struct CourseForm {
    #[serde(default)]
    onset: String,
    #[serde(default)]
    specimen: String,
    #[serde(default)]
    symptoms: String,
}

async fn course(
    State(desk): State<Desk>,
    Path(patient): Path<String>,
    Posted { viewer, form }: Posted<CourseForm>,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeHealth)?;
    viewer.must(Right::ChangePlan)?;
    let patient = patient.parse().map_err(|_| Fault::NotFound)?;
    let today = civil(viewer.now).date();
    let day = |text: &str| match text.trim() {
        "" => Ok(None),
        text => match text.parse::<Date>() {
            Ok(day) if day <= today => Ok(Some(day)),
            _ => Err(invalid(
                "日付を正しく入力してください(今日まで)。",
                "Please write a date that is not after today.",
            )),
        },
    };
    let course = Course {
        onset: day(&form.onset)?,
        specimen: day(&form.specimen)?,
        has_symptoms: match form.symptoms.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        },
    };
    let within = desk.store.within(viewer.scope()?);
    within.set_course(viewer.now, viewer.staff.id, patient, &course).await?;
    Ok(done("/release", viewer.say("登録しました。", "Written down.")))
}

#[derive(Deserialize)]
struct TestForm {
    #[serde(default)]
    collected: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    result: String,
}

async fn test(
    State(desk): State<Desk>,
    Path(patient): Path<String>,
    Posted { viewer, form }: Posted<TestForm>,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeHealth)?;
    viewer.must(Right::ChangePlan)?;
    let patient: PatientId = patient.parse().map_err(|_| Fault::NotFound)?;
    let collected_at = form.collected.parse::<DateTime>().ok().map(timestamp);
    let collected_at: Timestamp = collected_at.filter(|at| *at <= viewer.now).ok_or_else(|| {
        invalid(
            "検体を採取した日時を正しく入力してください(今まで)。",
            "Please write when the specimen was taken; not after now.",
        )
    })?;
    let method = TestMethod::parse(&form.method)
        .ok_or_else(|| invalid("検査を選んでください。", "Please choose the test."))?;
    let result = TestResult::parse(&form.result)
        .ok_or_else(|| invalid("結果を選んでください。", "Please choose the result."))?;
    let (within, by) = (desk.store.within(viewer.scope()?), viewer.staff.id);
    within.add_lab_test(viewer.now, by, patient, (collected_at, method, result)).await?;
    let words = viewer.say("検査結果を登録しました。", "The test is written down.");
    Ok(done(&format!("/release/{patient}"), words))
}

#[derive(Deserialize)]
struct WithdrawForm {
    #[serde(default)]
    reason: String,
}

async fn withdraw_test(
    State(desk): State<Desk>,
    Path((patient, test)): Path<(String, String)>,
    Posted { viewer, form }: Posted<WithdrawForm>,
) -> Result<Response, Fault> {
    viewer.must(Right::SeeHealth)?;
    viewer.must(Right::ChangePlan)?;
    let patient: PatientId = patient.parse().map_err(|_| Fault::NotFound)?;
    let test: LabTestId = test.parse().map_err(|_| Fault::NotFound)?;
    let reason = reason(&form.reason);
    if reason.is_empty() {
        return Err(invalid("理由を入力してください。", "Please write a reason."));
    }
    let (within, by) = (desk.store.within(viewer.scope()?), viewer.staff.id);
    within.withdraw_lab_test(viewer.now, by, patient, (test, reason.as_str())).await?;
    let words = viewer.say("検査結果を取り消しました。", "The test is withdrawn.");
    Ok(done(&format!("/release/{patient}"), words))
}

fn reason(text: &str) -> String {
    text.trim().chars().take(LONGEST_REASON).collect()
}

fn invalid(ja: &'static str, en: &'static str) -> Fault {
    Fault::Invalid(Bilingual::fixed(ja, en))
}
