//! 設定: what a centre sets for itself: its hours, the desk that patients are told to call, the days on
//! which it is closed, and which recordings are kept.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use jiff::civil::{Date, Time};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::campaign::window::{EARLIEST, LATEST};
use crate::campaign::{Calendar, Window};
use crate::registry::{AuditEntry, Right};
use crate::store::{CenterSettings, Within};
use crate::tape::{Keep, Policy};
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::fault::Fault;
use crate::web::ui::{self, Section};

const TITLE: Bilingual = Bilingual::fixed("保健所の設定", "Settings of the centre");

/// A reason for a closure is a word or two.
const LONGEST_REASON: usize = 100;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/settings", get(settings).post(set))
        .route("/settings/recordings", post(set_recordings))
        .route("/settings/closures", post(set_closure))
}

fn within<'a>(desk: &'a Desk, viewer: &Viewer) -> Result<Within<'a>, Fault> {
    viewer.must(Right::ChangeRules)?;
    Ok(desk.store.within(viewer.scope()?))
}

async fn settings(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    let within = within(&desk, &viewer)?;
    let center = within.health_center().await?;
    let calendar = within.closures(viewer.now).await?;
    let policy = desk.store.recording_policy(center.id).await?;
    let say = |ja, en| viewer.say(ja, en);
    Ok(ui::page(
        &viewer,
        Section::Settings,
        &TITLE,
        &html! {
            section.card {
                h2 { (center.name) }
                form.stack method="post" action="/settings" {
                    (ui::csrf(&viewer))
                    div.row {
                        label { (say("架電の開始時刻", "No call before"))
                            input type="time" name="opens_at" required value=(hours(center.opens_at))
                                min=(hours(EARLIEST)) max=(hours(LATEST)) aria-describedby="hours-hint";
                        }
                        label { (say("架電の終了時刻", "No call at or after"))
                            input type="time" name="closes_at" required value=(hours(center.closes_at))
                                min=(hours(EARLIEST)) max=(hours(LATEST)) aria-describedby="hours-hint";
                        }
                    }
                    p.hint #hours-hint { (say(
                        "自動の電話は、8時から20時までの間に限ります。",
                        "No automatic call is made outside 8:00 to 20:00.",
                    )) }
                    label { (say("相談窓口の電話番号(患者さんに案内する番号)", "The desk that patients are told to call"))
                        input name="desk_phone" inputmode="tel" required value=(center.desk_phone) maxlength="20"
                            pattern="[0-9]+(-[0-9]+)*" aria-describedby="desk-hint";
                    }
                    p.hint #desk-hint { (say(
                        "数字とハイフンで入力します。読み上げるだけで、この番号へ発信することはありません。",
                        "Digits and hyphens. It is read out, and never dialled by us.",
                    )) }
                    button.primary type="submit" { (say("保存する", "Save")) }
                }
                p.hint { (say(
                    "ここで保存した内容は設定ファイルより優先され、次の電話から使われます。",
                    "What is saved here holds against the configuration, from the next call on.",
                )) }
            }
            (closures(&viewer, &calendar))
            (recordings(&viewer, policy))
        },
    ))
}

/// Days on which the centre is closed; what campaigns do then is part of their terms.
fn closures(viewer: &Viewer, calendar: &Calendar) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let today = civil(viewer.now).date();
    html! {
        section.card {
            h2 { (say("休業日", "Days on which the centre is closed")) }
            p.hint { (say(
                "祝日は入力不要です。祝日と休業日に電話するかどうかは「架電の設計」で決めます。",
                "Public holidays are known. Whether we call on these days is decided by each campaign.",
            )) }
            @if calendar.closures().is_empty() {
                (ui::empty(say("登録された休業日はありません。", "None.")))
            } @else {
                div.scroll tabindex="0" { table {
                    thead { tr {
                        th scope="col" { (say("日付", "Day")) }
                        th scope="col" { (say("理由", "Reason")) }
                        th scope="col" { (say("操作", "Actions")) }
                    } }
                    tbody { @for (day, reason) in calendar.closures() { tr {
                        th.nowrap scope="row" { (day) }
                        td { (reason) }
                        td { form method="post" action="/settings/closures" {
                            (ui::csrf(viewer))
                            input type="hidden" name="date" value=(day);
                            button type="submit" aria-label={ (day) " " (say("取り消す", "Remove")) } { (say("取り消す", "Remove")) }
                        } }
                    } } }
                } }
            }
            form.row method="post" action="/settings/closures" {
                (ui::csrf(viewer))
                label { (say("日付", "Day")) input type="date" name="date" required min=(today); }
                label { (say("理由", "Reason")) input name="reason" required maxlength=(LONGEST_REASON); }
                button.primary type="submit" { (say("休業日を追加", "Add the day")) }
            }
        }
    }
}

fn recordings(viewer: &Viewer, policy: Option<Policy>) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let kept = policy.map_or("", |policy| policy.keep.as_str());
    let choice = |word: &'static str, ja: &'static str, en: &'static str| {
        html! {
            label.inline {
                input type="radio" name="keep" value=(word) required checked[kept == word];
                (say(ja, en))
            }
        }
    };
    let percent = policy.map_or(0, |policy| policy.keep.sample_percent());
    html! {
        section.card {
            h2 { (say("録音の保存", "Recordings")) }
            @if policy.is_none() {
                p { (say("まだ決めていません。設定ファイルの決まりに従います。", "Not set yet: the configuration decides.")) }
            }
            form.stack method="post" action="/settings/recordings" {
                (ui::csrf(viewer))
                fieldset {
                    legend { (say("通話のあとに残す録音", "What is kept after a call")) }
                    (choice("none", "録音しない(「伝えたいこと」だけ残す)", "nothing but what patients want to say"))
                    (choice("escalated", "対応が必要になった通話だけ", "calls from which a case came"))
                    (choice("sampled", "対応が必要になった通話と、ほかの通話の一部", "those, and some of the others"))
                    (choice("all", "すべて", "all"))
                }
                label { (say("一部を残すときの割合(%)", "How many of a hundred others"))
                    input type="number" name="percent" min="0" max="100" value=(percent);
                }
                label { (say("保存する日数", "Days until they are deleted"))
                    input type="number" name="days" min="1" max="3650" required
                        value=(policy.map_or(30, |policy| policy.keep_days));
                }
                p.hint { (say(
                    "次の通話から有効です。期限が来た録音は自動で削除され、記録に残ります。",
                    "From the next call on. Recordings are deleted on time, and the deletion is written down.",
                )) }
                button.primary type="submit" { (say("保存する", "Save")) }
            }
        }
    }
}

fn hours(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

/// As it was filled in.
#[derive(Debug, Deserialize)]
struct Filled {
    opens_at: String,
    closes_at: String,
    desk_phone: String,
}

async fn set(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Filled>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer)?;
    let before = within.health_center().await?;
    let settings = checked(&form)?;
    let detail = format!(
        "{}–{} → {}–{}, {} → {}",
        hours(before.opens_at),
        hours(before.closes_at),
        hours(settings.opens_at),
        hours(settings.closes_at),
        before.desk_phone,
        settings.desk_phone
    );
    let entry = AuditEntry { detail, ..viewer.audit("center.set") };
    within.set_settings(viewer.now, &settings, &entry).await?;
    Ok(done("/settings", viewer.say("保存しました。", "Saved.")))
}

/// Which recordings are kept, as it was filled in.
#[derive(Debug, Deserialize)]
struct Recordings {
    keep: String,
    #[serde(default)]
    percent: String,
    days: u16,
}

async fn set_recordings(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Recordings>,
) -> Result<Response, Fault> {
    let center = within(&desk, &viewer)?.center();
    let percent = form.percent.trim().parse().unwrap_or(0);
    let keep = Keep::parse(&form.keep, percent).filter(|_| (1..=3650).contains(&form.days));
    let Some(keep) = keep else {
        return Err(Fault::Invalid(Bilingual::fixed(
            "残す録音、割合(0〜100)、日数(1〜3650)を確認してください。",
            "Please look at what is kept, the share (0 to 100) and the days (1 to 3650).",
        )));
    };
    let policy = Policy { keep, keep_days: form.days };
    let detail = format!("{} {}% {} days", keep.as_str(), keep.sample_percent(), form.days);
    let entry = AuditEntry { detail, ..viewer.audit("center.recordings_set") };
    let by = viewer.staff.id.to_string();
    desk.store.set_recording_policy(viewer.now, center, policy, &by).await?;
    desk.store.audit(viewer.now, &entry).await?;
    Ok(done("/settings", viewer.say("保存しました。", "Saved.")))
}

/// A day on which the centre is closed; without a reason, it is open again.
#[derive(Debug, Deserialize)]
struct Closed {
    date: Date,
    #[serde(default)]
    reason: Option<String>,
}

async fn set_closure(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Closed>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer)?;
    let reason = form.reason.as_deref().map(str::trim);
    let today = civil(viewer.now).date();
    let is_reason = |text: &str| (1..=LONGEST_REASON).contains(&text.chars().count());
    if reason.is_some_and(|reason| !is_reason(reason) || form.date < today) {
        return Err(Fault::Invalid(Bilingual::fixed(
            "今日以降の日付と、100文字以内の理由を入力してください。",
            "Please give a day that is not over, and a reason of at most 100 characters.",
        )));
    }
    let action = if reason.is_some() { "center.closed" } else { "center.opened" };
    let detail = reason.unwrap_or_default().to_owned();
    let entry = AuditEntry { detail, ..viewer.audit(action) };
    within.set_closure(viewer.now, form.date, reason, &entry).await?;
    Ok(done("/settings", viewer.say("休業日を変更しました。", "The closures are changed.")))
}

fn checked(form: &Filled) -> Result<CenterSettings, Fault> {
    let wrong_hours = || {
        Fault::Invalid(Bilingual::fixed(
            "時刻は8時から20時までの間で、開始を終了より前にしてください。",
            "The hours have to lie within 8:00 to 20:00, and begin before they end.",
        ))
    };
    let time = |text: &str| text.parse::<Time>().map_err(|_| wrong_hours());
    let (opens_at, closes_at) = (time(&form.opens_at)?, time(&form.closes_at)?);
    Window::new(opens_at, closes_at).map_err(|_| wrong_hours())?;
    let desk_phone = form.desk_phone.trim();
    let n_digits = desk_phone.chars().filter(char::is_ascii_digit).count();
    let is_phone = desk_phone.chars().all(|char| char.is_ascii_digit() || char == '-')
        && !desk_phone.starts_with('-')
        && !desk_phone.ends_with('-')
        && !desk_phone.contains("--");
    if !is_phone || !(3..=11).contains(&n_digits) {
        return Err(Fault::Invalid(Bilingual::fixed(
            "電話番号は、数字とハイフンで入力してください(例 03-1234-5678)。",
            "Please enter the number in digits and hyphens, such as 03-1234-5678.",
        )));
    }
    Ok(CenterSettings { desk_phone: desk_phone.to_owned(), opens_at, closes_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_numbers_that_cannot_be_meant_are_refused() {
        for (opens_at, closes_at, desk_phone, is_right) in [
            ("09:00", "18:00", "03-1234-5678", true),
            ("08:00", "20:00", "119", true),
            ("07:00", "18:00", "03-1234-5678", false),
            ("18:00", "09:00", "03-1234-5678", false),
            ("09:00", "", "03-1234-5678", false),
            ("09:00", "18:00", "03-1234-5678;drop", false),
            ("09:00", "18:00", "-", false),
            ("09:00", "18:00", "0312345678901234", false),
        ] {
            let [opens_at, closes_at, desk_phone] =
                [opens_at, closes_at, desk_phone].map(str::to_owned);
            let form = Filled { opens_at, closes_at, desk_phone };
            assert_eq!(checked(&form).is_ok(), is_right, "{form:?}");
        }
    }
}
