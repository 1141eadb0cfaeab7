//! Terms in plain words, and the words that their fields offer.

use std::time::Duration;

use jiff::civil::Time;

use crate::base::Bilingual;
use crate::campaign::terms::{HolidayPolicy, Recording, ShortScript};
use crate::campaign::{Policy, Terms, Window};
pub(super) use crate::registry::arrangement::WEEKDAYS;

/// A choice of a field: what it means, its word in the form, and for people.
pub(super) type Choice<T> = (T, &'static str, Bilingual);

pub(super) const HOLIDAYS: [Choice<HolidayPolicy>; 3] = [
    (HolidayPolicy::Call, "call", Bilingual::fixed("ほかの日と同じく発信する", "Call as usual")),
    (
        HolidayPolicy::Staff,
        "staff",
        Bilingual::fixed("発信せず、職員が連絡する", "No calls; staff get in touch"),
    ),
    (HolidayPolicy::Skip, "skip", Bilingual::fixed("発信しない", "No calls, and nothing is owed")),
];

pub(super) const SHORT_SCRIPTS: [Choice<ShortScript>; 3] = [
    (ShortScript::Never, "never", Bilingual::fixed("使わない", "Never")),
    (
        ShortScript::AfterFirst,
        "after_first",
        Bilingual::fixed("その日の2回目から", "From the second call of the day on"),
    ),
    (
        ShortScript::FromFourthDay,
        "from_fourth_day",
        Bilingual::fixed(
            "その日の2回目からと、観察4日目からのすべて",
            "From the second call of the day, and all from the fourth day on",
        ),
    ),
];

pub(super) const RECORDINGS: [Choice<Recording>; 4] = [
    (
        Recording::AsCenter,
        "as_center",
        Bilingual::fixed("保健所の設定に従う", "As the centre has set"),
    ),
    (
        Recording::Nothing,
        "nothing",
        Bilingual::fixed("残さない(「伝えたいこと」を除く)", "None, but what patients want to say"),
    ),
    (
        Recording::Escalated,
        "escalated",
        Bilingual::fixed("対応が必要になった通話だけ", "Calls from which a case came"),
    ),
    (Recording::All, "all", Bilingual::fixed("すべて", "All")),
];

/// The list of a policy that follows an outcome.
pub(super) type Row = (&'static str, Bilingual, fn(&mut Policy) -> &mut Vec<Duration>);

/// The rows of the table of retries.
pub(super) const RETRIES: [Row; 7] = [
    ("no_answer", Bilingual::fixed("応答なし", "No answer"), |it| &mut it.no_answer),
    ("busy", Bilingual::fixed("話し中", "Busy"), |it| &mut it.busy),
    ("no_key", Bilingual::fixed("出たがキー操作なし", "Answered, no key"), |it| {
        &mut it.no_key
    }),
    ("machine", Bilingual::fixed("留守番電話", "Answering machine"), |it| &mut it.machine),
    ("unreachable", Bilingual::fixed("圏外・電源オフ", "Out of reach"), |it| {
        &mut it.unreachable
    }),
    ("declined", Bilingual::fixed("着信を拒否", "Declined"), |it| &mut it.declined),
    ("not_now", Bilingual::fixed("いまは都合が悪い", "Not now"), |it| &mut it.not_now),
];

/// The word of a choice.
pub(super) fn word<T: Copy + PartialEq>(choices: &[Choice<T>], value: T) -> &'static str {
    choices.iter().find(|(known, ..)| *known == value).map_or("", |(_, word, _)| word)
}

fn told<T: Copy + PartialEq>(choices: &[Choice<T>], value: T) -> Bilingual {
    let found = choices.iter().find(|(known, ..)| *known == value);
    found.map_or(Bilingual::fixed("", ""), |(.., told)| told.clone())
}

/// A time of day as people write it.
pub(super) fn clock(time: Time) -> String {
    time.strftime("%-H:%M").to_string()
}

/// What the terms mean, a sentence for each part.
pub(super) fn summary(terms: &Terms) -> Vec<Bilingual> {
    let times = terms.cadence.default_times.iter().copied().map(clock).collect::<Vec<_>>();
    let tolerance = terms.cadence.tolerance.as_secs() / 60;
    let silence = &terms.silence;
    let [review, decide, escalate] =
        [terms.cadence.review_at, silence.decide_at, silence.escalate_at].map(clock);
    let [last, night, night_escalate] =
        [terms.cadence.last_daytime_start, silence.night_at, silence.night_escalate_at].map(clock);
    let holidays = told(&HOLIDAYS, terms.holidays);
    let short = told(&SHORT_SCRIPTS, terms.short_script);
    let kept = told(&RECORDINGS, terms.recording);
    let (frail, hours) = (silence.frail_after_attempts, silence.absence_hours);
    let mut sentences = vec![
        asked(terms),
        week(terms),
        Bilingual::composed(
            format!("祝日・休業日: {}。", holidays.ja),
            format!("Holidays and closures: {}.", holidays.en),
        ),
        Bilingual::composed(
            format!(
                "時刻の約束がない方には {} に電話し、約束の時刻から{tolerance}分の間に発信します。",
                times.join("・")
            ),
            format!(
                "Those without agreed times are called at {}; calls start within {tolerance} minutes \
                 of the time.",
                times.join(", ")
            ),
        ),
        retries(&terms.retry),
        Bilingual::composed(
            format!("短い問診: {}。録音: {}。", short.ja, kept.ja),
            format!("Short script: {}. Recordings: {}.", short.en, kept.en),
        ),
        Bilingual::composed(
            format!(
                "{review}に未応答一覧を作り、{decide}までに安否確認を決め、{escalate}に残りを上申します。"
            ),
            format!(
                "{review}: the list of those not reached; {decide}: staff decide; {escalate}: the \
                 rest goes to the supervisor."
            ),
        ),
        Bilingual::composed(
            format!(
                "{last}より後に始まる夜の枠は、{night}の夜の一覧で確かめ、{night_escalate}に残りを上申します。"
            ),
            format!(
                "Evening slots, after {last}: a list of their own at {night}; {night_escalate}: the \
                 rest goes to the supervisor."
            ),
        ),
        Bilingual::composed(
            format!(
                "リスクの高い方・独居の方は{frail}回つながらなければ職員に知らせます。\
                 {hours}時間なにも報告がなければ警告します。"
            ),
            format!(
                "Those at high risk or living alone: staff after {frail} attempts in vain. An alarm \
                 after {hours} hours without any report."
            ),
        ),
    ];
    if let Some(group) = &terms.trunk_group {
        sentences.push(Bilingual::composed(
            format!("回線グループ「{group}」だけを使います。"),
            format!("Only trunks of the group “{group}”."),
        ));
    }
    sentences
}

/// What is asked, and by what it is judged.
fn asked(terms: &Terms) -> Bilingual {
    let questionnaire = &terms.questionnaire;
    let (ja, en) = match &terms.rules {
        None => (
            "保健所でその日に有効なルール".to_owned(),
            "the rules that are in force for the centre on the day".to_owned(),
        ),
        Some(version) => (format!("ルール「{version}」"), format!("the rules {version}")),
    };
    Bilingual::composed(
        format!("問診票「{questionnaire}」で尋ね、{ja}で判定します。"),
        format!("The questionnaire {questionnaire} is asked; {en} judge the answers."),
    )
}

/// Days with the same hours are told together.
fn week(terms: &Terms) -> Bilingual {
    let mut groups: Vec<(Option<Window>, [String; 2])> = Vec::new();
    for (hours, name) in terms.hours.iter().zip(&WEEKDAYS) {
        match groups.iter_mut().find(|(known, _)| known == hours) {
            Some((_, [ja, en])) => {
                ja.push_str(&name.ja);
                en.push_str(", ");
                en.push_str(&name.en);
            }
            None => groups.push((*hours, [name.ja.to_string(), name.en.to_string()])),
        }
    }
    let say = |none: &str, every: &str, pick: fn(&[String; 2]) -> &String| {
        let parts = groups.iter().map(|(hours, names)| {
            let hours =
                hours.map(|it| format!("{}–{}", clock(it.opens_at()), clock(it.closes_at())));
            let names = if groups.len() == 1 { every } else { pick(names) };
            format!("{names} {}", hours.unwrap_or_else(|| none.to_owned()))
        });
        parts.collect::<Vec<_>>()
    };
    Bilingual::composed(
        format!(
            "発信する時間: {}(保健所の発信時間の中だけ)。",
            say("発信しない", "毎日", |it| &it[0]).join("、")
        ),
        format!(
            "Hours of calls: {} (within those of the centre).",
            say("none", "every day", |it| &it[1]).join("; ")
        ),
    )
}

fn retries(policy: &Policy) -> Bilingual {
    let minutes = |delays: &[Duration]| {
        let shown = delays.iter().take((policy.attempts as usize).saturating_sub(1));
        shown.map(|delay| (delay.as_secs() / 60).to_string()).collect::<Vec<_>>().join("・")
    };
    let [no_answer, busy] = [minutes(&policy.no_answer), minutes(&policy.busy)];
    let ja = |list: &str| {
        if list.is_empty() { "かけ直さない".to_owned() } else { format!("{list}分後") }
    };
    let en = |list: &str| {
        if list.is_empty() { "not again".to_owned() } else { format!("after {list} min") }
    };
    Bilingual::composed(
        format!(
            "1つの時刻につき最大{}回かけます(応答なし: {}、話し中: {})。",
            policy.attempts,
            ja(&no_answer),
            ja(&busy)
        ),
        format!(
            "At most {} calls for each time (no answer: {}, busy: {}).",
            policy.attempts,
            en(&no_answer),
            en(&busy)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_told_in_plain_words() {
        let mut terms = Terms::shipped();
        terms.hours[6] = None;
        terms.retry.busy.clear();
        terms.trunk_group = Some("main".to_owned());
        let told: Vec<String> = summary(&terms).iter().map(|one| one.ja.to_string()).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        問診票「recuperation@2」で尋ね、保健所でその日に有効なルールで判定します。
        発信する時間: 月火水木金土 8:00–20:00、日 発信しない(保健所の発信時間の中だけ)。
        祝日・休業日: ほかの日と同じく発信する。
        時刻の約束がない方には 9:30・14:30 に電話し、約束の時刻から120分の間に発信します。
        1つの時刻につき最大3回かけます(応答なし: 20・40分後、話し中: かけ直さない)。
        短い問診: その日の2回目から。録音: 保健所の設定に従う。
        16:00に未応答一覧を作り、17:00までに安否確認を決め、20:00に残りを上申します。
        15:00より後に始まる夜の枠は、20:30の夜の一覧で確かめ、21:30に残りを上申します。
        リスクの高い方・独居の方は2回つながらなければ職員に知らせます。36時間なにも報告がなければ警告します。
        回線グループ「main」だけを使います。
        ");
        terms.rules = Some("2026-11-01".to_owned());
        let judged = &summary(&terms)[0];
        assert_eq!(judged.ja, "問診票「recuperation@2」で尋ね、ルール「2026-11-01」で判定します。");
    }
}
