//! Who the patient is: two identifiers at every position of the page, telephones, contacts, flags.

use maud::{Markup, html};

use crate::registry::{Episode, Right, Weekdays, arrangement};
use crate::web::auth::Viewer;
use crate::web::console::patient::{Timeline, words};
use crate::web::ui::{Icon, badge, icon};

/// Stays at the top while the page scrolls: nobody may take one patient for another.
pub(super) fn bar(viewer: &Viewer, timeline: &Timeline) -> Markup {
    let patient = &timeline.plan.patient;
    html! {
        div.person-bar {
            strong.person-name { (patient.name.expose()) }
            span.muted { (patient.kana.expose()) }
            span { (viewer.say("管理番号", "No.")) " " strong { (patient.registration_number) } }
            span {
                (viewer.say("生年月日", "Born")) " "
                strong { (patient.birth_date.expose()) }
                " " (viewer.say(
                    &format!("({}歳)", patient.age(timeline.today)),
                    &format!("({})", patient.age(timeline.today)),
                ))
                @if let Some(gender) = patient.gender { " " (viewer.tell(&gender.name())) }
            }
            @if viewer.may(Right::SeeHealth) && patient.is_high_risk(timeline.today) {
                (badge("badge caution", Icon::Caution, viewer.say("高リスク", "High risk")))
            }
            @if let Some(pause) = timeline.plan.pauses.iter().find(|one| one.covers(timeline.today)) {
                span.badge.caution {
                    (icon(Icon::Pause))
                    (viewer.say(
                        &format!("休止中(〜{})", pause.last_day.strftime("%-m/%-d")),
                        &format!("Paused until {}", pause.last_day.strftime("%-m/%-d")),
                    ))
                }
            }
        }
    }
}

/// The left column.
pub(super) fn block(viewer: &Viewer, timeline: &Timeline) -> Markup {
    html! {
        (observation_days(viewer, timeline))
        (phones(viewer, timeline))
        (flags(viewer, timeline))
        (contacts(viewer, timeline))
    }
}

fn observation_days(viewer: &Viewer, timeline: &Timeline) -> Markup {
    html! {
        div.card {
            h2 { (viewer.say("観察", "Observation")) }
            @match &timeline.plan.episode {
                None => p.muted { (viewer.say("観察の予定はありません。", "No observation is planned.")) },
                Some((episode, is_active)) => {
                    @if *is_active && episode.covers(timeline.today) {
                        @let day = timeline.today.since(episode.first_day).map_or(0, |span| span.get_days()) + 1;
                        p.figure { (viewer.say(&format!("{day}日目"), &format!("Day {day}"))) }
                    } @else if *is_active && timeline.today < episode.first_day {
                        p { (viewer.say("まだ始まっていません。", "Not begun yet.")) }
                    } @else {
                        p { (badge("badge muted", Icon::Check, viewer.say("終了", "Ended"))) }
                    }
                    dl.pairs {
                        dt { (viewer.say("開始", "From")) } dd { (episode.first_day) }
                        dt { (viewer.say("終了予定", "Until")) } dd { (episode.last_day) }
                        dt { (viewer.say("架電時刻", "Calls at")) }
                        dd {
                            @if episode.call_times.is_empty() {
                                (viewer.say("標準", "Standard times"))
                            }
                            @for time in &episode.call_times {
                                span.chip { (time.strftime("%H:%M")) } " "
                            }
                        }
                        (arrangement(viewer, timeline, episode))
                        dt { (viewer.say("担当", "Cared for by")) }
                        dd { (carer(timeline)) }
                    }
                }
            }
        }
    }
}

/// How the patient is reached, as far as it is not as for everybody.
fn arrangement(viewer: &Viewer, timeline: &Timeline, episode: &Episode) -> Markup {
    let agreed = &episode.arrangement;
    let campaign = timeline.book.campaign_of(timeline.plan.health_center.id, agreed);
    let days = arrangement::WEEKDAYS.iter().enumerate();
    let days = days.filter(|(day, _)| agreed.weekdays.bits() & (1 << day) != 0);
    let days: Vec<&str> = days.map(|(_, name)| viewer.tell(name)).collect();
    html! {
        @if let Some(campaign) = campaign {
            dt { (viewer.say("架電の計画", "Campaign")) } dd { (campaign.name) }
        }
        @if agreed.weekdays != Weekdays::ALL {
            dt { (viewer.say("架電する曜日", "Days of calls")) } dd { (days.join(viewer.say("", " "))) }
        }
        @if let Some(tolerance) = agreed.tolerance {
            dt { (viewer.say("許容時間", "Tolerance")) }
            dd { (tolerance.as_secs() / 60) (viewer.say("分", " min")) }
        }
        dt { (viewer.say("報告の方法", "Way of reporting")) }
        dd { (viewer.tell(&agreed.channel.name())) }
        @if let Some(order) = &agreed.no_automation {
            dt { (viewer.say("医師の指示", "A doctor's order")) }
            dd {
                strong { (viewer.say("自動で発信しない", "No machine calls")) }
                br;
                (order.by.expose()) ": " (order.why.expose())
            }
        }
    }
}

fn carer(timeline: &Timeline) -> &str {
    let clinic = timeline.plan.clinic;
    let clinic = timeline.clinics.iter().find(|one| Some(one.id) == clinic);
    clinic.map_or(&timeline.plan.health_center.name, |clinic| &clinic.name)
}

fn phones(viewer: &Viewer, timeline: &Timeline) -> Markup {
    html! {
        div.card {
            h2 { (viewer.say("電話(かける順)", "Telephones, in order")) }
            ol.plain {
                @for phone in &timeline.plan.patient.phones {
                    li {
                        span.nowrap { (phone.number.national()) } " "
                        span.chip { (viewer.tell(&words::phone_role(phone.role))) }
                        @if !phone.may_call {
                            " " (badge("badge muted", Icon::Pause, viewer.say("同意なし・発信しない", "No consent: not called")))
                        }
                    }
                }
            }
        }
    }
}

fn flags(viewer: &Viewer, timeline: &Timeline) -> Markup {
    let patient = &timeline.plan.patient;
    let has =
        |has: bool| if has { viewer.say("あり", "Yes") } else { viewer.say("なし", "No") };
    html! {
        div.card {
            h2 { (viewer.say("状況", "Circumstances")) }
            p {
                @if patient.lives_alone {
                    (badge("badge caution", Icon::Person, viewer.say("独居", "Lives alone"))) " "
                }
                @if patient.slow_speech {
                    (badge("badge muted", Icon::Voice, viewer.say("ゆっくり", "Slow speech"))) " "
                }
            }
            dl.pairs {
                dt { (viewer.say("性別", "Gender")) }
                dd {
                    @match patient.gender {
                        Some(gender) => (viewer.tell(&gender.name())),
                        None => span.muted { (viewer.say("未記入", "Not told")) },
                    }
                }
                dt { (viewer.say("体温計", "Thermometer")) } dd { (has(patient.has_thermometer)) }
                dt { (viewer.say("オキシメーター", "Oximeter")) } dd { (has(patient.has_oximeter)) }
                dt { (viewer.say("録音", "Recording")) }
                dd { (viewer.tell(&words::consent(timeline.plan.consent))) }
                dt { (viewer.say("言語", "Language")) } dd { (patient.language.code()) }
                // What raises the risk is a matter of health.
                @if viewer.may(Right::SeeHealth) {
                    dt { (viewer.say("リスク", "Risks")) }
                    dd {
                        @if patient.risks.is_empty() { (viewer.say("なし", "None")) }
                        @for risk in &patient.risks {
                            span.chip { (viewer.tell(&words::risk(*risk))) } " "
                        }
                    }
                }
            }
        }
    }
}

fn contacts(viewer: &Viewer, timeline: &Timeline) -> Markup {
    html! {
        div.card {
            h2 { (viewer.say("連絡先(自動ではかけません)", "Contacts (never dialled by us)")) }
            @if timeline.plan.contacts.is_empty() {
                p.muted { (viewer.say("登録がありません。", "None.")) }
            }
            ol.plain {
                @for contact in &timeline.plan.contacts {
                    li {
                        span.chip { (viewer.tell(&contact.relation.name())) } " "
                        strong { (contact.name.expose()) } " "
                        span.nowrap { (contact.phone.expose()) } " "
                        @if contact.is_keyholder {
                            (badge("badge check", Icon::Check, viewer.say("合鍵あり", "Has a key")))
                        }
                        @if !contact.note.expose().is_empty() {
                            p.small.muted { (contact.note.expose()) }
                        }
                    }
                }
            }
        }
    }
}
