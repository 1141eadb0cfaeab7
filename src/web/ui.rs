//! What all pages are made of: the frame around them, and the parts they share.
//!
//! Colour never speaks alone: a priority is a word, an icon and a colour. Red means "act".

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::base::Bilingual;
use crate::escalation::Priority;
use crate::registry::{ConsoleLanguage, Right};
use crate::web::assets;
use crate::web::auth::Viewer;

/// Where a page belongs in the menu.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Section {
    /// 今日
    Today,
    /// 健康状態一覧
    Health,
    /// 対応
    Cases,
    /// 安否確認
    Welfare,
    /// 解除候補
    Release,
    /// 申し送り
    Handover,
    /// 患者
    Patients,
    /// 架電計画
    Plan,
    /// 架電の設計
    Campaigns,
    /// 取り込み
    Import,
    /// 音声
    Prompts,
    /// 判定ルール
    Rules,
    /// 設定
    Settings,
    /// 回線
    Trunks,
    /// 職員
    Staff,
    /// 監査
    Audit,
    /// 自分のアカウント; not in the menu.
    Account,
}

/// One line of the menu: where it leads, who sees it, its words and its icon.
struct Entry {
    section: Section,
    href: &'static str,
    rights: &'static [Right],
    name: Bilingual,
    icon: Icon,
}

const fn entry(
    section: Section,
    href: &'static str,
    rights: &'static [Right],
    name: Bilingual,
    icon: Icon,
) -> Entry {
    Entry { section, href, rights, name, icon }
}

const MENU: [Entry; 16] = [
    entry(Section::Today, "/", &[], Bilingual::fixed("今日", "Today"), Icon::Today),
    entry(
        Section::Health,
        "/health",
        &[Right::SeeHealth],
        Bilingual::fixed("健康状態一覧", "State of health"),
        Icon::Pulse,
    ),
    entry(
        Section::Cases,
        "/cases",
        // Those who keep the lines up see the lane of the system there, and no patient.
        &[Right::HandleCases, Right::SeeTrunks],
        Bilingual::fixed("対応", "Cases"),
        Icon::Alert,
    ),
    entry(
        Section::Welfare,
        "/welfare",
        &[Right::HandleCases],
        Bilingual::fixed("安否確認", "Welfare checks"),
        Icon::Look,
    ),
    entry(
        Section::Release,
        "/release",
        &[Right::SeeHealth],
        Bilingual::fixed("解除候補", "Releases"),
        Icon::Check,
    ),
    entry(
        Section::Handover,
        "/handover",
        &[Right::HandleCases],
        Bilingual::fixed("申し送り", "Hand-over"),
        Icon::Note,
    ),
    entry(
        Section::Patients,
        "/patients",
        &[Right::SeePlan, Right::SeeHealth],
        Bilingual::fixed("患者", "Patients"),
        Icon::Person,
    ),
    entry(
        Section::Plan,
        "/plan",
        &[Right::SeePlan],
        Bilingual::fixed("架電計画", "Plan of calls"),
        Icon::Phone,
    ),
    entry(
        Section::Campaigns,
        "/campaigns",
        &[Right::SeePlan],
        Bilingual::fixed("架電の設計", "Campaigns"),
        Icon::Clock,
    ),
    entry(
        Section::Import,
        "/import",
        &[Right::Import],
        Bilingual::fixed("取り込み", "Import"),
        Icon::Import,
    ),
    entry(
        Section::Prompts,
        "/prompts",
        &[Right::EditPrompts],
        Bilingual::fixed("音声", "Prompts"),
        Icon::Voice,
    ),
    entry(
        Section::Rules,
        "/rules",
        &[Right::SeeHealth],
        Bilingual::fixed("判定ルール", "Rules"),
        Icon::Check,
    ),
    entry(
        Section::Settings,
        "/settings",
        &[Right::ChangeRules],
        Bilingual::fixed("設定", "Settings"),
        Icon::Settings,
    ),
    entry(
        Section::Trunks,
        "/trunks",
        &[Right::SeeTrunks],
        Bilingual::fixed("回線", "Trunks"),
        Icon::Line,
    ),
    entry(
        Section::Staff,
        "/staff",
        &[Right::ManageStaff],
        Bilingual::fixed("職員", "Staff"),
        Icon::Person,
    ),
    entry(
        Section::Audit,
        "/audit",
        &[Right::SeeAudit],
        Bilingual::fixed("監査", "Audit"),
        Icon::Chain,
    ),
];

/// The frame around every page: menu, title, what the page before wants to be told, and the red
/// bar while no telephone is called.
pub fn page(viewer: &Viewer, section: Section, title: &Bilingual, body: &Markup) -> Markup {
    page_with(viewer, section, title, &[], body)
}

/// As [`page`], with islands of script by the names of their assets.
pub fn page_with(
    viewer: &Viewer,
    section: Section,
    title: &Bilingual,
    scripts: &[&str],
    body: &Markup,
) -> Markup {
    let language = viewer.staff.language;
    html! {
        (DOCTYPE)
        html lang=(language.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (viewer.tell(title)) " · 見守りコール" }
                link rel="stylesheet" href=(assets::href("console.css"));
                script src=(assets::href("console.js")) defer {}
                @for script in scripts {
                    script src=(assets::href(script)) defer {}
                }
            }
            body {
                a.skip href="#main" { (viewer.say("本文へ", "Skip to content")) }
                (top(viewer))
                (menu(viewer, section))
                main #main tabindex="-1" {
                    @if !viewer.dialing.is_running { (stopped(viewer)) }
                    h1 { (viewer.tell(title)) }
                    @if let Some(flash) = &viewer.flash {
                        p.notice.good role="status" { (icon(Icon::Check)) (flash) }
                    }
                    (body)
                }
            }
        }
    }
}

fn top(viewer: &Viewer) -> Markup {
    let other = match viewer.staff.language {
        ConsoleLanguage::Ja => ConsoleLanguage::En,
        ConsoleLanguage::En => ConsoleLanguage::Ja,
    };
    html! {
        header.top {
            a.brand href="/" { (icon(Icon::Pulse)) "見守りコール" }
            div.who {
                a href="/account" {
                    (icon(Icon::Person))
                    span { (viewer.staff.name.expose()) }
                }
                form method="post" action="/language" {
                    (csrf(viewer))
                    button.quiet name="language" value=(other.as_str()) lang=(other.as_str()) {
                        @match other { ConsoleLanguage::Ja => "日本語", ConsoleLanguage::En => "English" }
                    }
                }
                form method="post" action="/logout" {
                    (csrf(viewer))
                    button.quiet type="submit" { (viewer.say("ログアウト", "Sign out")) }
                }
            }
        }
    }
}

fn menu(viewer: &Viewer, section: Section) -> Markup {
    html! {
        nav.menu aria-label=(viewer.say("メニュー", "Menu")) {
            ul {
                @for entry in &MENU {
                    @if entry.rights.is_empty() || entry.rights.iter().any(|right| viewer.may(*right)) {
                        li {
                            a href=(entry.href) aria-current=[(entry.section == section).then_some("page")] {
                                (icon(entry.icon)) span { (viewer.tell(&entry.name)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// No telephone is called: everybody must know.
fn stopped(viewer: &Viewer) -> Markup {
    html! {
        div.banner.act role="alert" {
            (icon(Icon::Stop))
            strong { (viewer.say("架電を停止しています", "All calls are stopped")) }
            span {
                (crate::base::clock::civil(viewer.dialing.changed_at).strftime("%m/%d %H:%M"))
                " " (viewer.dialing.changed_by)
                @if !viewer.dialing.reason.is_empty() { " — " (viewer.dialing.reason) }
            }
        }
    }
}

/// The hidden field that every form has to bring back.
pub fn csrf(viewer: &Viewer) -> Markup {
    html! { input type="hidden" name="csrf" value=(viewer.csrf.expose()); }
}

/// How soon a human must act, as word, icon and colour.
pub fn priority(viewer: &Viewer, priority: Priority) -> Markup {
    let (class, shape, word) = match priority {
        Priority::P1 => ("badge act", Icon::Alert, viewer.say("緊急", "Urgent")),
        Priority::P2 => ("badge caution", Icon::Caution, viewer.say("注意", "Caution")),
        Priority::P3 => ("badge check", Icon::Look, viewer.say("要確認", "To check")),
        Priority::P0 => ("badge good", Icon::Check, viewer.say("良好", "Well")),
    };
    badge(class, shape, word)
}

/// A word with an icon on a quiet ground. Classes: `badge` and one of `act`, `caution`, `check`,
/// `good`, `muted`.
pub fn badge(class: &str, shape: Icon, word: &str) -> Markup {
    html! { span class=(class) { (icon(shape)) (word) } }
}

/// What is shown where there is nothing to show.
pub fn empty(text: &str) -> Markup {
    html! { p.empty { (text) } }
}

/// A message beside a field that cannot be meant; `id` is what the field's `aria-describedby` names.
pub fn field_fault(id: &str, text: &str) -> Markup {
    html! { p.fault id=(id) { (icon(Icon::Alert)) (text) } }
}

/// A picture of a word, drawn in the colour of the text and hidden from screen readers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Icon {
    /// A day of the calendar.
    Today,
    /// A curve of the pulse.
    Pulse,
    /// A triangle with an exclamation mark.
    Alert,
    /// A diamond with an exclamation mark.
    Caution,
    /// A magnifying glass.
    Look,
    /// A tick.
    Check,
    /// A sheet with lines.
    Note,
    /// Head and shoulders.
    Person,
    /// A receiver.
    Phone,
    /// A receiver with an arrow coming in.
    PhoneIn,
    /// A globe.
    Web,
    /// An arrow into a tray.
    Import,
    /// A loudspeaker.
    Voice,
    /// Sliders.
    Settings,
    /// Two points on a line.
    Line,
    /// Links.
    Chain,
    /// An octagon.
    Stop,
    /// A triangle to the right.
    Play,
    /// Two bars.
    Pause,
    /// A question mark in a circle.
    Unknown,
    /// A clock.
    Clock,
}

/// Draws an icon.
pub fn icon(icon: Icon) -> Markup {
    let path = match icon {
        Icon::Today => "M4 5h16v15H4zM4 9h16M8 3v4M16 3v4M8 13h3v3H8z",
        Icon::Pulse => "M3 12h4l2-6 4 12 3-9 2 3h3",
        Icon::Alert => "M12 3 2 20h20zM12 9v5M12 17v.5",
        Icon::Caution => "M12 2 22 12 12 22 2 12zM12 8v5M12 16v.5",
        Icon::Look => "M10 4a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15 15l6 6",
        Icon::Check => "M4 13l5 5L20 6",
        Icon::Note => "M5 3h14v18H5zM8 8h8M8 12h8M8 16h5",
        Icon::Person => "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21c0-5 4-7 8-7s8 2 8 7",
        Icon::Phone => "M6 3l4 5-2 3c1 2 3 4 5 5l3-2 5 4c-1 3-3 3-4 3C10 20 4 14 3 7c0-1 0-3 3-4z",
        Icon::PhoneIn => {
            "M6 3l4 5-2 3c1 2 3 4 5 5l3-2 5 4c-1 3-3 3-4 3C10 20 4 14 3 7c0-1 0-3 3-4zM21 3l-6 6M15 4v5h5"
        }
        Icon::Web => {
            "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM3 12h18M12 3c-5 5-5 13 0 18M12 3c5 5 5 13 0 18"
        }
        Icon::Import => "M12 3v11M7 10l5 5 5-5M4 17v4h16v-4",
        Icon::Voice => "M4 9h4l5-5v16l-5-5H4zM16 9c2 2 2 4 0 6M19 6c4 4 4 8 0 12",
        Icon::Settings => "M4 7h10M18 7h2M16 5v4M4 17h2M10 17h10M8 15v4M4 12h16",
        Icon::Line => "M5 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM19 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 12h8",
        Icon::Chain => "M9 8H6a4 4 0 0 0 0 8h3M15 8h3a4 4 0 0 1 0 8h-3M8 12h8",
        Icon::Stop => "M8 2h8l6 6v8l-6 6H8l-6-6V8zM8 12h8",
        Icon::Play => "M7 4l13 8-13 8z",
        Icon::Pause => "M8 4v16M16 4v16",
        Icon::Unknown => {
            "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM9 9c0-4 6-4 6 0 0 2-3 2-3 5M12 17v.5"
        }
        Icon::Clock => "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l4 2",
    };
    html! {
        svg.icon viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false" {
            (PreEscaped(format!("<path d=\"{path}\"/>")))
        }
    }
}
