//! Words that several pages use for the same thing, in both languages.

use crate::base::Bilingual;
use crate::call::{Completion, Disposition, Respondent};
use crate::ivr::YesNo;
use crate::observation::Channel;
use crate::registry::{ConsoleLanguage, RiskFlag, TestMethod, TestResult};
use crate::tape::Deleted;
use crate::web::ui::Icon;

/// A name for screens that others can see: its first character.
pub(in crate::web) fn masked(name: &str) -> String {
    name.chars().next().map(|first| format!("{first}●●")).unwrap_or_default()
}

/// What a question asks, in a word or two; codes of other questionnaires speak for themselves.
pub(in crate::web) fn question(code: &str, language: ConsoleLanguage) -> &str {
    let (ja, en) = match code {
        "temperature" => ("体温", "temperature"),
        "spo2" => ("SpO2", "SpO2"),
        "dyspnea" => ("息苦しさ", "short of breath"),
        "other_change" => ("ほかの変化", "other change"),
        "face" => ("顔色", "complexion"),
        "consciousness" => ("意識", "consciousness"),
        "urgent_breathing" => ("呼吸・胸の緊急症状", "urgent: breathing"),
        "urgent_appearance" => ("外見の緊急症状", "urgent: appearance"),
        "urgent_consciousness" => ("意識の緊急症状", "urgent: consciousness"),
        "cannot_eat" => ("食事がとれない", "cannot eat"),
        "no_urine" => ("尿が出ない", "no urine"),
        "fatigue" => ("だるさ", "fatigue"),
        "cough" => ("せき", "cough"),
        "nausea" => ("吐き気", "nausea"),
        "diarrhea" => ("下痢", "diarrhoea"),
        "worse_than_yesterday" => ("きのうより悪い", "worse than yesterday"),
        "medicine_shortage" => ("薬が足りない", "medicine running out"),
        "consultation" => ("相談・苦しい(キー0)", "asks for help (key 0)"),
        other => (other, other),
    };
    pick(language, ja, en)
}

/// The text in this language.
pub(in crate::web) fn pick<'a>(language: ConsoleLanguage, ja: &'a str, en: &'a str) -> &'a str {
    match language {
        ConsoleLanguage::Ja => ja,
        ConsoleLanguage::En => en,
    }
}

/// By which way a report came.
pub(in crate::web) fn channel(channel: Channel) -> (Icon, Bilingual) {
    match channel {
        Channel::OutboundCall => (Icon::Phone, Bilingual::fixed("電話自動", "call")),
        Channel::InboundCall => (Icon::PhoneIn, Bilingual::fixed("折返し電話", "called in")),
        Channel::Web => (Icon::Web, Bilingual::fixed("Web", "web")),
        Channel::Staff => (Icon::Person, Bilingual::fixed("職員", "staff")),
    }
}

/// Why the sound of a call was deleted.
pub(in crate::web) fn deleted(why: Deleted) -> Bilingual {
    match why {
        Deleted::NotKept => Bilingual::fixed("保存の対象外", "not to be kept"),
        Deleted::Expired => Bilingual::fixed("保存期間の終了", "its time was over"),
        Deleted::Refused => Bilingual::fixed("録音の拒否", "the patient refused"),
        Deleted::Empty => Bilingual::fixed("音声なし", "nothing was recorded"),
        Deleted::Lost => Bilingual::fixed("ファイルの消失", "the file was lost"),
    }
}

/// What raises the risk, in a word.
pub(in crate::web) fn risk(risk: RiskFlag) -> Bilingual {
    match risk {
        RiskFlag::Respiratory => Bilingual::fixed("呼吸器", "lungs"),
        RiskFlag::Kidney => Bilingual::fixed("腎", "kidney"),
        RiskFlag::Heart => Bilingual::fixed("心・血管", "heart"),
        RiskFlag::Diabetes => Bilingual::fixed("糖尿病", "diabetes"),
        RiskFlag::Hypertension => Bilingual::fixed("高血圧", "blood pressure"),
        RiskFlag::Obesity => Bilingual::fixed("肥満", "obesity"),
        RiskFlag::Immunosuppressed => Bilingual::fixed("免疫抑制", "immunity"),
        RiskFlag::Pregnant => Bilingual::fixed("妊娠", "pregnant"),
        RiskFlag::Moderate => Bilingual::fixed("中等症", "moderate"),
    }
}

/// はい, いいえ, 不明.
pub(in crate::web) fn yes_no(answer: YesNo) -> Bilingual {
    match answer {
        YesNo::Yes => Bilingual::fixed("はい", "yes"),
        YesNo::No => Bilingual::fixed("いいえ", "no"),
        YesNo::Unknown => Bilingual::fixed("不明", "unknown"),
    }
}

/// How a specimen was examined.
pub(in crate::web) fn test_method(method: TestMethod) -> Bilingual {
    match method {
        TestMethod::Naat => Bilingual::fixed("核酸検出検査(PCR等)", "nucleic acid (PCR …)"),
        TestMethod::Antigen => Bilingual::fixed("抗原定量検査", "antigen, measured"),
        TestMethod::Kit => Bilingual::fixed("抗原定性検査キット", "antigen kit"),
    }
}

/// What was found in a specimen.
pub(in crate::web) fn test_result(result: TestResult) -> Bilingual {
    match result {
        TestResult::Negative => Bilingual::fixed("陰性", "negative"),
        TestResult::Positive => Bilingual::fixed("陽性", "positive"),
        TestResult::Indeterminate => Bilingual::fixed("判定保留", "indeterminate"),
    }
}

/// What a call that is over came to, in a word.
pub(in crate::web) fn outcome(
    disposition: Disposition,
    respondent: Option<Respondent>,
    completion: Option<Completion>,
) -> Bilingual {
    match disposition {
        Disposition::Busy => Bilingual::fixed("話し中", "busy"),
        Disposition::NoAnswer => Bilingual::fixed("不在", "no answer"),
        Disposition::Unreachable => Bilingual::fixed("圏外", "out of reach"),
        Disposition::Declined => Bilingual::fixed("拒否", "declined"),
        Disposition::InvalidNumber => Bilingual::fixed("番号誤り", "wrong number"),
        Disposition::Congestion | Disposition::TrunkError => {
            Bilingual::fixed("回線の不具合", "line fault")
        }
        Disposition::Cancelled | Disposition::Interrupted => Bilingual::fixed("中断", "broken off"),
        Disposition::Answered => match (respondent, completion) {
            (_, Some(Completion::Complete)) => Bilingual::fixed("完了", "complete"),
            (Some(Respondent::Machine), _) => Bilingual::fixed("留守電", "answering machine"),
            (_, Some(Completion::NoInput)) => Bilingual::fixed("無応答", "no keys"),
            (_, Some(Completion::Refused)) => Bilingual::fixed("あとで", "not now"),
            (_, Some(Completion::NotIdentified)) => {
                Bilingual::fixed("本人確認できず", "not identified")
            }
            (_, Some(Completion::HungUp)) => Bilingual::fixed("切断", "hung up"),
            (_, Some(Completion::Partial)) => Bilingual::fixed("途中", "partial"),
            (_, Some(Completion::SystemError) | None) => Bilingual::fixed("中断", "broken off"),
        },
    }
}
