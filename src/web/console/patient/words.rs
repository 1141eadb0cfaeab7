//! Words of the patient page: what was asked, answered, tried and set.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::call::{Completion, Disposition, Respondent};
use crate::campaign::{Attempt, AttemptState, Slot, SlotState};
use crate::ivr::{Answer, YesNo};
use crate::observation::Channel;
use crate::registry::{Course, Gender, PhoneRole, RiskFlag, arrangement};
use crate::store::{Setting, Way};
use crate::tape::Consent;
use crate::web::auth::Viewer;

/// The wish for help.
const HELP: &str = "consultation";

/// The questions in the order in which staff ask them, with their words.
pub(super) static QUESTIONS: [(&str, Bilingual); 18] = [
    ("temperature", Bilingual::fixed("体温", "Temperature")),
    ("spo2", Bilingual::fixed("SpO2", "SpO2")),
    ("dyspnea", Bilingual::fixed("息苦しさ", "Breathlessness")),
    ("face", Bilingual::fixed("表情・顔色", "Face, complexion")),
    ("consciousness", Bilingual::fixed("意識", "Consciousness")),
    ("cannot_eat", Bilingual::fixed("食事困難", "Cannot eat")),
    ("no_urine", Bilingual::fixed("排尿がない", "No urine")),
    ("worse_than_yesterday", Bilingual::fixed("きのうより悪い", "Worse than yesterday")),
    ("fatigue", Bilingual::fixed("全身倦怠感", "Fatigue")),
    ("cough", Bilingual::fixed("咳・鼻水", "Cough, runny nose")),
    ("nausea", Bilingual::fixed("嘔気・嘔吐", "Nausea, vomiting")),
    ("diarrhea", Bilingual::fixed("下痢", "Diarrhoea")),
    ("medicine_shortage", Bilingual::fixed("薬が足りない", "Medicine running out")),
    ("urgent_breathing", Bilingual::fixed("緊急症状(息苦しさ等)", "Urgent signs (breathing)")),
    ("urgent_appearance", Bilingual::fixed("緊急症状(表情・外見)", "Urgent signs (appearance)")),
    (
        "urgent_consciousness",
        Bilingual::fixed("緊急症状(意識障害等)", "Urgent signs (consciousness)"),
    ),
    ("other_change", Bilingual::fixed("ほかの変化", "Other change")),
    (HELP, Bilingual::fixed("相談・苦しい(キー0)", "Asks for help (key 0)")),
];

/// The symptoms that staff can write down. Whoever asks staff for help has it.
pub(super) fn symptoms() -> impl Iterator<Item = &'static (&'static str, Bilingual)> {
    QUESTIONS.iter().skip(2).filter(|(code, _)| *code != HELP)
}

/// The words for a question.
pub(super) fn question<'a>(viewer: &Viewer, code: &'a str) -> &'a str {
    let known = QUESTIONS.iter().find(|(known, _)| *known == code);
    known.map_or(code, |(_, name)| viewer.tell(name))
}

/// An answer as it is read: `37.5 ℃`, `はい`.
pub(super) fn answer(viewer: &Viewer, code: &str, value: Answer) -> String {
    match value {
        Answer::Number(tenths) if code == "temperature" => {
            format!("{}.{} ℃", tenths / 10, (tenths % 10).abs())
        }
        Answer::Number(percent) if code == "spo2" => format!("{percent} %"),
        Answer::Number(number) => number.to_string(),
        Answer::Choice(YesNo::Yes) => viewer.say("はい", "Yes").to_owned(),
        Answer::Choice(YesNo::No) => viewer.say("いいえ", "No").to_owned(),
        Answer::Choice(YesNo::Unknown) => viewer.say("わからない", "Does not know").to_owned(),
        Answer::NotMeasured => viewer.say("測れない", "Not measured").to_owned(),
        Answer::Unanswered => viewer.say("未回答", "Not answered").to_owned(),
    }
}

/// What is known of an illness: `発症日 2026-11-20、症状 あり`.
pub(super) fn course(viewer: &Viewer, course: &Course) -> String {
    let mut known = Vec::new();
    if let Some(day) = course.onset {
        known.push(format!("{} {day}", viewer.say("発症日", "onset")));
    }
    if let Some(day) = course.specimen {
        known.push(format!("{} {day}", viewer.say("検体採取日", "specimen")));
    }
    match course.has_symptoms {
        Some(true) => known.push(viewer.say("症状 あり", "with symptoms").to_owned()),
        Some(false) => known.push(viewer.say("症状 なし", "without symptoms").to_owned()),
        None => {}
    }
    if known.is_empty() {
        return viewer.say("未登録", "not known").to_owned();
    }
    known.join(viewer.say("、", ", "))
}

/// By which way an observation came.
pub(super) fn channel(channel: Channel, way: Option<Way>) -> Bilingual {
    match (channel, way) {
        (Channel::OutboundCall, _) => Bilingual::fixed("自動架電", "Our call"),
        (Channel::InboundCall, _) => Bilingual::fixed("健康コール(着信)", "Patient's call"),
        (Channel::Web, _) => Bilingual::fixed("Web入力", "Web form"),
        (Channel::Staff, Some(Way::Telephone)) => {
            Bilingual::fixed("職員入力(電話)", "Staff, by telephone")
        }
        (Channel::Staff, Some(Way::Visit)) => {
            Bilingual::fixed("職員入力(訪問)", "Staff, at a visit")
        }
        (Channel::Staff, None) => Bilingual::fixed("職員入力", "Staff"),
    }
}

/// Who answered.
pub(super) const fn respondent(respondent: Respondent) -> Bilingual {
    match respondent {
        Respondent::Patient => Bilingual::fixed("本人", "Patient"),
        Respondent::Family => Bilingual::fixed("家族", "Family"),
        Respondent::Unidentified => Bilingual::fixed("本人確認なし", "Not identified"),
        Respondent::NotHere => Bilingual::fixed("不在", "Not there"),
        Respondent::Nobody => Bilingual::fixed("無操作", "No key"),
        Respondent::Machine => Bilingual::fixed("留守電の可能性", "Perhaps a machine"),
    }
}

/// What became of an attempt, in plain words; codes of the carrier are for engineers.
pub(super) fn outcome(attempt: &Attempt) -> Bilingual {
    match attempt.state {
        AttemptState::Due => return Bilingual::fixed("架電予定", "To be called"),
        AttemptState::Dialing => return Bilingual::fixed("呼び出し中", "Ringing"),
        AttemptState::Talking => return Bilingual::fixed("通話中", "On the line"),
        AttemptState::Dropped => return Bilingual::fixed("取りやめ", "Not made"),
        AttemptState::Done => {}
    }
    match attempt.disposition {
        Some(Disposition::Answered) => answered(attempt),
        Some(Disposition::Busy) => Bilingual::fixed("話し中", "Engaged"),
        Some(Disposition::NoAnswer) => Bilingual::fixed("応答なし", "No answer"),
        Some(Disposition::Unreachable) => {
            Bilingual::fixed("電源が入っていないか圏外です", "Switched off or out of reach")
        }
        Some(Disposition::Declined) => Bilingual::fixed("着信を拒否されました", "Declined"),
        Some(Disposition::InvalidNumber) => Bilingual::fixed("番号が違います", "Wrong number"),
        Some(Disposition::Congestion) => Bilingual::fixed("回線が混み合っています", "Lines busy"),
        Some(Disposition::TrunkError) => {
            Bilingual::fixed("回線の障害です(患者さんの不在ではありません)", "A fault of the line")
        }
        Some(Disposition::Cancelled) => Bilingual::fixed("途中で取りやめました", "Given up by us"),
        Some(Disposition::Interrupted) => {
            Bilingual::fixed("システムの停止で途切れました", "Cut off: the system stopped")
        }
        None => Bilingual::fixed("不明", "Unknown"),
    }
}

fn answered(attempt: &Attempt) -> Bilingual {
    if attempt.respondent == Some(Respondent::Machine) {
        return Bilingual::fixed("留守電の可能性", "Perhaps an answering machine");
    }
    match attempt.completion {
        Some(Completion::Complete) => Bilingual::fixed("回答完了", "Answered in full"),
        Some(Completion::Partial | Completion::HungUp) => {
            Bilingual::fixed("途中で切れました", "Cut off on the way")
        }
        Some(Completion::NoInput) => {
            Bilingual::fixed("応答があったが操作なし", "Taken, but no key was pressed")
        }
        Some(Completion::Refused) => Bilingual::fixed("今は答えられないとのこと", "Not now"),
        Some(Completion::NotIdentified) => {
            Bilingual::fixed("本人確認ができませんでした", "Could not be identified")
        }
        Some(Completion::SystemError) => Bilingual::fixed("システムの障害", "A fault of ours"),
        None => Bilingual::fixed("応答あり", "Taken"),
    }
}

/// Where a slot stands, with the reason if it is skipped.
pub(super) fn slot(viewer: &Viewer, slot: &Slot) -> String {
    let word = match slot.state {
        SlotState::Due => viewer.say("架電予定", "To be called"),
        SlotState::InProgress => viewer.say("架電中", "Under way"),
        SlotState::Reported => viewer.say("報告済", "Reported"),
        SlotState::Partial => viewer.say("一部のみ回答", "Answered in part"),
        SlotState::Unreached => viewer.say("つながらず", "Not reached"),
        SlotState::Skipped if slot.pause.is_some() => viewer.say("休止中", "Paused"),
        SlotState::Skipped => viewer.say("架電なし", "Not to be called"),
        SlotState::Expired => viewer.say("時間切れ", "Too late"),
    };
    match &slot.reason {
        Some(reason) if slot.pause.is_none() => format!("{word}({reason})"),
        _ => word.to_owned(),
    }
}

/// Whose telephone it is.
pub(super) const fn phone_role(role: PhoneRole) -> Bilingual {
    match role {
        PhoneRole::Home => Bilingual::fixed("自宅", "Home"),
        PhoneRole::Mobile => Bilingual::fixed("携帯", "Mobile"),
        PhoneRole::Family => Bilingual::fixed("家族", "Family"),
    }
}

/// What raises the risk.
pub(super) const fn risk(flag: RiskFlag) -> Bilingual {
    match flag {
        RiskFlag::Respiratory => Bilingual::fixed("呼吸器疾患", "Lung disease"),
        RiskFlag::Kidney => Bilingual::fixed("腎疾患", "Kidney disease"),
        RiskFlag::Heart => Bilingual::fixed("心疾患・血管疾患", "Heart disease"),
        RiskFlag::Diabetes => Bilingual::fixed("糖尿病", "Diabetes"),
        RiskFlag::Hypertension => Bilingual::fixed("高血圧", "Hypertension"),
        RiskFlag::Obesity => Bilingual::fixed("肥満", "Obesity"),
        RiskFlag::Immunosuppressed => Bilingual::fixed("免疫抑制", "Immunosuppressed"),
        RiskFlag::Pregnant => Bilingual::fixed("妊婦", "Pregnant"),
        RiskFlag::Moderate => Bilingual::fixed("中等症以上", "Moderate or worse"),
    }
}

/// What was set.
pub(super) const fn setting(setting: Setting) -> Bilingual {
    match setting {
        Setting::CallTimes => Bilingual::fixed("架電時刻", "Times of calls"),
        Setting::LastDay => Bilingual::fixed("観察の終了予定日", "Last day of observation"),
        Setting::ObservationEnd => Bilingual::fixed("観察の終了", "End of observation"),
        Setting::SlowSpeech => Bilingual::fixed("ゆっくり話す", "Slow speech"),
        Setting::Clinic => Bilingual::fixed("委託医療機関", "Clinic"),
        Setting::Contacts => Bilingual::fixed("連絡先", "Contacts"),
        Setting::RecordingConsent => Bilingual::fixed("録音の同意", "Consent to recording"),
        Setting::Gender => Bilingual::fixed("性別", "Gender"),
        Setting::Campaign => Bilingual::fixed("架電の計画", "Campaign"),
        Setting::Weekdays => Bilingual::fixed("架電する曜日", "Days of calls"),
        Setting::Tolerance => Bilingual::fixed("許容時間", "Tolerance"),
        Setting::Channel => Bilingual::fixed("報告の方法", "Way of reporting"),
        Setting::NoAutomation => {
            Bilingual::fixed("自動架電しない(医師の指示)", "Doctor's order: no machine")
        }
        Setting::PhoneConsent => Bilingual::fixed("電話への同意", "Consent to be called"),
    }
}

/// A value of a setting as it is read.
pub(super) fn setting_value(viewer: &Viewer, setting: Setting, value: &str) -> String {
    match setting {
        Setting::SlowSpeech if value == "1" => viewer.say("する", "Yes").to_owned(),
        Setting::SlowSpeech => viewer.say("しない", "No").to_owned(),
        Setting::Clinic if value.is_empty() => viewer.say("保健所", "The centre").to_owned(),
        Setting::CallTimes if value.is_empty() => viewer.say("標準", "Standard").to_owned(),
        // Stored with seconds, so that they sort.
        Setting::CallTimes => value.replace(":00 ", " ").trim_end_matches(":00").to_owned(),
        Setting::Contacts => format!("{value}{}", viewer.say("件", "")),
        Setting::RecordingConsent => match Consent::parse(value) {
            Some(said) => viewer.tell(&consent(said)).to_owned(),
            None => value.to_owned(),
        },
        Setting::Gender => match Gender::parse(value) {
            Some(gender) => viewer.tell(&gender.name()).to_owned(),
            None => viewer.say("未記入", "not told").to_owned(),
        },
        Setting::Campaign if value.is_empty() => viewer.say("標準", "Standard").to_owned(),
        Setting::Weekdays => {
            let days = arrangement::WEEKDAYS.iter().zip(value.chars()).filter(|(_, on)| *on == '1');
            days.map(|(day, _)| viewer.tell(day)).collect::<Vec<_>>().join(viewer.say("", " "))
        }
        Setting::Tolerance if value.is_empty() => viewer.say("標準", "Standard").to_owned(),
        Setting::Tolerance => format!("{value}{}", viewer.say("分", " min")),
        Setting::Channel => match arrangement::Channel::parse(value) {
            Some(channel) => viewer.tell(&channel.name()).to_owned(),
            None => value.to_owned(),
        },
        Setting::NoAutomation if value == "1" => viewer.say("あり", "Yes").to_owned(),
        Setting::NoAutomation => viewer.say("なし", "No").to_owned(),
        Setting::PhoneConsent => {
            let (given, refused) = (viewer.say("同意", "given"), viewer.say("拒否", "refused"));
            value.replace("given", given).replace("refused", refused)
        }
        Setting::LastDay | Setting::ObservationEnd | Setting::Clinic | Setting::Campaign => {
            value.to_owned()
        }
    }
}

/// What a patient said to being recorded.
pub(super) const fn consent(consent: Consent) -> Bilingual {
    match consent {
        Consent::Unknown => Bilingual::fixed("未確認(冒頭で案内)", "Not asked (announced)"),
        Consent::Given => Bilingual::fixed("同意", "Given"),
        Consent::Refused => Bilingual::fixed("拒否", "Refused"),
    }
}

/// `11月23日(月)`, `Mon 23 Nov`.
pub(super) fn day(viewer: &Viewer, date: Date) -> String {
    let (ja, en) = match date.weekday() {
        Weekday::Monday => ("月", "Mon"),
        Weekday::Tuesday => ("火", "Tue"),
        Weekday::Wednesday => ("水", "Wed"),
        Weekday::Thursday => ("木", "Thu"),
        Weekday::Friday => ("金", "Fri"),
        Weekday::Saturday => ("土", "Sat"),
        Weekday::Sunday => ("日", "Sun"),
    };
    let japanese = format!("{}月{}日({ja})", date.month(), date.day());
    let english = format!("{en} {}", date.strftime("%-d %b"));
    viewer.say(&japanese, &english).to_owned()
}

/// `09:05`.
pub(super) fn clock(at: Timestamp) -> String {
    civil(at).strftime("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{Id, Minter};

    fn done(disposition: Disposition, talk: Option<(Respondent, Completion)>) -> Attempt {
        fn id<T: Id>() -> T {
            Minter::new([1; 32]).mint(Timestamp::UNIX_EPOCH)
        }
        Attempt {
            id: id(),
            slot: id(),
            number: 1,
            phone: "090-1234-5678".parse().unwrap(),
            due_at: Timestamp::UNIX_EPOCH,
            state: AttemptState::Done,
            dialed_at: None,
            answered_at: None,
            ended_at: None,
            disposition: Some(disposition),
            respondent: talk.map(|(respondent, _)| respondent),
            completion: talk.map(|(_, completion)| completion),
        }
    }

    #[test]
    fn an_attempt_is_told_in_plain_words() {
        let talk = |who, how| Some((who, how));
        for (attempt, words) in [
            (done(Disposition::Busy, None), "話し中"),
            (done(Disposition::NoAnswer, None), "応答なし"),
            (done(Disposition::InvalidNumber, None), "番号が違います"),
            (
                done(Disposition::Answered, talk(Respondent::Machine, Completion::NoInput)),
                "留守電の可能性",
            ),
            (
                done(Disposition::Answered, talk(Respondent::Patient, Completion::Partial)),
                "途中で切れました",
            ),
            (
                done(Disposition::Answered, talk(Respondent::Patient, Completion::Complete)),
                "回答完了",
            ),
        ] {
            assert_eq!(outcome(&attempt).ja, words);
        }
    }
}
