//! 健康状態一覧 and other tables for the terminal: Japanese first, red for what needs care.

use std::io::IsTerminal;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Attribute, Cell, Color, Table};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::clock::civil;
use crate::campaign::{Slot, SlotState};
use crate::escalation::welfare::Step;
use crate::escalation::{CaseState, Priority};
use crate::ivr::{Answer, Entry, YesNo};
use crate::observation::{Channel, Observation};
use crate::registry::{HealthCenter, Staff};
use crate::release::ReleaseRules;
use crate::store::{CaseView, Convalescent, DayReport, HealthRow, WelfareCheck};

/// The symptoms in the order of My HER-SYS, with the heading of their column.
const SYMPTOMS: [(&str, &str); 12] = [
    ("dyspnea", "息"),
    ("face", "顔"),
    ("consciousness", "意"),
    ("cannot_eat", "食"),
    ("no_urine", "尿"),
    ("fatigue", "怠"),
    ("cough", "咳"),
    ("nausea", "吐"),
    ("diarrhea", "下"),
    ("worse_than_yesterday", "昨"),
    ("medicine_shortage", "薬"),
    ("consultation", "相"),
];

fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    // Where nobody looks, such as in a pipe, a table is as wide as it must be and has no colours.
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    } else {
        table.force_no_tty();
    }
    table.set_header(headings.iter().map(Cell::new));
    table
}

/// Who may be released, and what is in the way.
pub(super) fn releases(people: &[Convalescent], rules: &ReleaseRules) -> Table {
    let mut table = table(&[
        "管理番号\nNumber",
        "氏名\nName",
        "発症日・検体採取日\nDay 0",
        "解除可能日(日数)\nFrom, by the days",
        "状態\nState",
        "理由\nIn the way",
    ]);
    for one in people {
        let proposal = &one.proposal;
        let day = |day: Option<Date>| day.map_or_else(|| "—".to_owned(), |day| day.to_string());
        let blocks: Vec<String> = proposal
            .blocks
            .iter()
            .map(|block| block.told(rules))
            .map(|told| format!("{} / {}", told.ja, told.en))
            .collect();
        let state = if proposal.is_candidate() { "候補 / candidate" } else { "まだ / not yet" };
        table.add_row([
            one.patient.registration_number.as_str(),
            one.patient.name.expose(),
            &day(proposal.day_zero),
            &day(proposal.from),
            state,
            &blocks.join("\n"),
        ]);
    }
    table
}

/// Who was silent all day, red until somebody has settled it.
pub(super) fn welfare(people: &[WelfareCheck]) -> Table {
    let mut table = table(&[
        "管理番号\nNumber",
        "氏名\nName",
        "一覧\nList",
        "理由\nWhy",
        "最後の報告\nLast heard",
        "状態\nState",
    ]);
    for one in people {
        let why = one.why.name();
        let heard = one.heard_at.map(|at| civil(at).strftime("%m/%d %H:%M").to_string());
        let state = match (one.id, one.step()) {
            (None, _) => Cell::new("見込み / preview"),
            (_, Step::Listed) => Cell::new("未協議 / to be decided").fg(Color::Red),
            (_, Step::Decided) => Cell::new("結果未入力 / result awaited").fg(Color::Red),
            (_, Step::Settled) => Cell::new("完了 / settled"),
        };
        table.add_row([
            Cell::new(&one.patient.registration_number),
            Cell::new(one.patient.name.expose()),
            Cell::new(format!("{} {}", one.date, one.list.name())),
            Cell::new(format!("{} / {}", why.ja, why.en)),
            Cell::new(heard.unwrap_or_else(|| "—".to_owned())),
            state,
        ]);
    }
    table
}

/// The accounts.
pub(super) fn staff(staff: &[Staff], centers: &[HealthCenter]) -> Table {
    let mut table = table(&[
        "ログイン名\nLogin",
        "氏名\nName",
        "役割\nRoles",
        "保健所\nCentre",
        "二段階認証\nSecond factor",
        "状態\nState",
    ]);
    for one in staff {
        let roles: Vec<&str> = one.roles.iter().map(|role| role.as_str()).collect();
        let center = centers.iter().find(|center| Some(center.id) == one.health_center);
        table.add_row([
            one.login.as_str(),
            one.name.expose(),
            &roles.join(", "),
            center.map_or("", |center| &center.code),
            if one.has_second_factor { "設定済み / set up" } else { "未設定 / not yet" },
            if one.is_active { "有効 / active" } else { "停止 / disabled" },
        ]);
    }
    table
}

/// 健康状態一覧 of one day: who needs care first.
pub(super) fn health_list(rows: &[HealthRow], date: Date) -> Table {
    let mut headings = vec![
        "優先\nPriority",
        "番号\nNo.",
        "氏名\nName",
        "年齢\nAge",
        "報告\nReport",
        "体温\nTemp °C",
        "SpO2\n%",
    ];
    headings.extend(SYMPTOMS.map(|(_, heading)| heading));
    headings.extend(["枠\nSlots", "次の架電\nNext call"]);
    let mut table = table(&headings);
    let mut rows: Vec<&HealthRow> = rows.iter().collect();
    rows.sort_by_key(|row| {
        let priority = row.case.map_or(Priority::P0, |(_, priority, _)| priority);
        (
            std::cmp::Reverse(priority),
            is_reported(row.report),
            row.patient.registration_number.clone(),
        )
    });
    for row in rows {
        let mut cells = vec![
            priority_cell(row.case.map(|(_, priority, state)| (priority, state))),
            Cell::new(&row.patient.registration_number),
            Cell::new(row.patient.name.expose()),
            Cell::new(row.patient.age(date)),
            report_cell(row.report),
            value_cell(row, "temperature", date),
            value_cell(row, "spo2", date),
        ];
        cells.extend(SYMPTOMS.map(|(code, _)| value_cell(row, code, date)));
        cells.push(Cell::new(row.slots.iter().map(slot_mark).collect::<Vec<_>>().join(" ")));
        cells.push(Cell::new(row.next_attempt.map(time).unwrap_or_default()));
        table.add_row(cells);
    }
    table
}

/// What the marks of [`health_list`] mean.
pub(super) const LEGEND: &str = "はい=症状あり いいえ=なし 不明=わからない 測れず=測っていない －=今日は未回答 / \
yes, no, unknown, not measured, －: not answered today\n\
息=息苦しさ breath 顔=顔色 face 意=意識 mind 食=食事困難 cannot eat 尿=排尿なし no urine \
怠=倦怠感 fatigue 咳=咳・鼻水 cough 吐=嘔気 nausea 下=下痢 diarrhoea\n\
昨=きのうより悪い worse than yesterday 薬=薬が足りない medicine running out \
相=相談・苦しい asks for help\n\
枠 slots: 済=reported 途=partial 未=due 話=in progress 不=unreached 除=skipped 過=expired";

fn is_reported(report: DayReport) -> bool {
    matches!(report, DayReport::Reported { .. })
}

fn priority_cell(case: Option<(Priority, CaseState)>) -> Cell {
    let Some((priority, state)) = case else { return Cell::new("") };
    let taken = if state == CaseState::Acknowledged { " 対応中" } else { "" };
    coloured(&format!("{}{taken}", priority_word(priority)), priority)
}

fn priority_word(priority: Priority) -> &'static str {
    match priority {
        Priority::P1 => "● 至急",
        Priority::P2 => "▲ 当日優先",
        Priority::P3 => "○ 本日中",
        Priority::P0 => "",
    }
}

fn coloured(text: &str, priority: Priority) -> Cell {
    match priority {
        Priority::P1 => Cell::new(text).fg(Color::Red).add_attribute(Attribute::Bold),
        Priority::P2 => Cell::new(text).fg(Color::DarkYellow),
        Priority::P3 => Cell::new(text).fg(Color::Yellow),
        Priority::P0 => Cell::new(text),
    }
}

fn report_cell(report: DayReport) -> Cell {
    match report {
        DayReport::NotReported => Cell::new("未報告").fg(Color::Red),
        DayReport::Partial { at, channel } => {
            Cell::new(format!("途中 {} {}", channel_word(channel), time(at))).fg(Color::DarkYellow)
        }
        DayReport::Reported { at, channel } => {
            Cell::new(format!("済 {} {}", channel_word(channel), time(at)))
        }
    }
}

fn channel_word(channel: Channel) -> &'static str {
    match channel {
        Channel::OutboundCall => "架電",
        Channel::InboundCall => "着信",
        Channel::Web => "Web",
        Channel::Staff => "職員",
    }
}

/// The value of the day; an older one is not shown as if it were today's.
fn value_cell(row: &HealthRow, code: &str, date: Date) -> Cell {
    let today = |one: &&Observation| one.code == code && civil(one.effective_at).date() == date;
    let Some(observation) = row.latest.iter().find(today) else { return Cell::new("－") };
    let text = value(code, observation.value);
    match (code, observation.value) {
        ("spo2", Answer::Number(percent)) if percent <= 93 => coloured(&text, Priority::P1),
        ("spo2", Answer::Number(percent)) if percent <= 95 => coloured(&text, Priority::P2),
        ("temperature", Answer::Number(tenths)) if tenths >= 375 => coloured(&text, Priority::P1),
        (_, Answer::Choice(YesNo::Yes)) => coloured(&text, Priority::P1),
        (_, Answer::Choice(YesNo::Unknown)) => coloured(&text, Priority::P3),
        _ => Cell::new(text),
    }
}

fn value(code: &str, answer: Answer) -> String {
    match answer {
        Answer::Number(tenths) if code == "temperature" => {
            format!("{}.{}", tenths / 10, tenths % 10)
        }
        Answer::Number(number) => number.to_string(),
        Answer::Choice(YesNo::Yes) => "はい".to_owned(),
        Answer::Choice(YesNo::No) => "いいえ".to_owned(),
        Answer::Choice(YesNo::Unknown) => "不明".to_owned(),
        Answer::NotMeasured => "測れず".to_owned(),
        Answer::Unanswered => "未".to_owned(),
    }
}

fn slot_mark(slot: &Slot) -> &'static str {
    match slot.state {
        SlotState::Due => "未",
        SlotState::InProgress => "話",
        SlotState::Reported => "済",
        SlotState::Partial => "途",
        SlotState::Unreached => "不",
        SlotState::Skipped => "除",
        SlotState::Expired => "過",
    }
}

/// Cases with all their facts.
pub(super) fn cases(cases: &[CaseView]) -> Table {
    let mut table = table(&[
        "優先\nPriority",
        "ケース\nCase",
        "番号\nNo.",
        "氏名\nName",
        "発生\nOpened",
        "状態\nState",
        "理由\nFacts",
    ]);
    for view in cases {
        let facts: Vec<String> = view
            .case
            .facts
            .iter()
            .map(|fact| format!("{} {} [{}]", time(fact.at), fact.text, fact.rule))
            .collect();
        let state = match (&view.acknowledged, &view.resolved) {
            (_, Some((by, _, reason))) => format!("終了 {by}: {reason}"),
            (Some((by, _)), None) => format!("対応中 {by}"),
            (None, None) => "未対応".to_owned(),
        };
        table.add_row(vec![
            coloured(priority_word(view.case.priority), view.case.priority),
            Cell::new(view.case.id),
            Cell::new(&view.patient.registration_number),
            Cell::new(view.patient.name.expose()),
            Cell::new(moment(view.case.opened_at)),
            Cell::new(state),
            Cell::new(facts.join("\n")),
        ]);
    }
    table
}

/// Observations of one patient, oldest first.
pub(super) fn observations(observations: &[Observation]) -> Table {
    let mut table = table(&[
        "時刻\nTime",
        "項目\nCode",
        "値\nValue",
        "回答者\nRespondent",
        "経路\nChannel",
        "問診票\nQuestionnaire",
    ]);
    for observation in observations {
        table.add_row(vec![
            moment(observation.effective_at),
            observation.code.clone(),
            value(&observation.code, observation.value),
            observation.respondent.as_str().to_owned(),
            channel_word(observation.channel).to_owned(),
            observation.questionnaire.clone(),
        ]);
    }
    table
}

/// The answers of one call.
pub(super) fn transcript(entries: &[Entry]) -> Table {
    let mut table =
        table(&["時刻\nTime", "項目\nQuestion", "値\nAnswer", "キー\nKeys", "回数\nAsked"]);
    for entry in entries {
        table.add_row(vec![
            time(entry.at),
            entry.question.clone(),
            value(&entry.question, entry.answer),
            entry.keys.clone(),
            entry.asked.to_string(),
        ]);
    }
    table
}

fn time(at: Timestamp) -> String {
    civil(at).strftime("%H:%M").to_string()
}

fn moment(at: Timestamp) -> String {
    civil(at).strftime("%m/%d %H:%M").to_string()
}
