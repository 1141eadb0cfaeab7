//! A rule in a plain sentence.

use crate::base::Bilingual;
use crate::campaign::SlotState;
use crate::escalation::rule::{Condition, Rule, Trait};
use crate::escalation::{Priority, RuleSet};
use crate::ivr::{Answer, YesNo};

/// When a rule fires.
pub(super) fn condition(set: &RuleSet, condition: &Condition) -> Bilingual {
    let label = |code: &str| set.label(code).to_owned();
    let labels =
        |codes: &[String]| codes.iter().map(|code| label(code)).collect::<Vec<_>>().join("・");
    let show = |code: &str, number: i32| set.show(code, number);
    match condition {
        Condition::Number { code, range } => {
            let (low, high) = (*range.start(), *range.end());
            let (ja, en) = match (low > i32::MIN, high < i32::MAX) {
                (true, true) if low == high => {
                    (format!("{}のとき", show(code, low)), format!("is {}", show(code, low)))
                }
                (true, true) => (
                    format!("{}以上{}以下", show(code, low), show(code, high)),
                    format!("is {} to {}", show(code, low), show(code, high)),
                ),
                (true, false) => {
                    (format!("{}以上", show(code, low)), format!("is {} or more", show(code, low)))
                }
                _ => (
                    format!("{}以下", show(code, high)),
                    format!("is {} or less", show(code, high)),
                ),
            };
            Bilingual::composed(format!("{}が{ja}", label(code)), format!("{} {en}", label(code)))
        }
        Condition::Answer { codes, is } => Bilingual::composed(
            format!("{}のいずれかに「{}」", labels(codes), answer(*is).ja),
            format!("{} to one of {}", answer(*is).en, labels(codes)),
        ),
        Condition::Drop { code, at_least, of_last } => Bilingual::composed(
            format!(
                "{}が、その方のこれまで{of_last}回の中央値より{}以上低い",
                label(code),
                show(code, *at_least)
            ),
            format!(
                "{} is lower by {} or more than the median of the last {of_last}",
                label(code),
                show(code, *at_least)
            ),
        ),
        Condition::Days { code, at_least, days } => Bilingual::composed(
            format!("{}が{}以上の日が{days}日続く", label(code), show(code, *at_least)),
            format!("{} is {} or more on {days} days in a row", label(code), show(code, *at_least)),
        ),
        Condition::Onset { code, at_least } => Bilingual::composed(
            format!(
                "前の日まで{1}未満だった{0}が{1}以上になった",
                label(code),
                show(code, *at_least)
            ),
            format!("{} reaches {} after a day below it", label(code), show(code, *at_least)),
        ),
        Condition::Turned { codes } => Bilingual::composed(
            format!("{}が「いいえ」から「はい」に変わった", labels(codes)),
            format!("one of {} has turned from no to yes", labels(codes)),
        ),
        Condition::Count { is, at_least } => Bilingual::composed(
            format!("1回の報告で「{}」が{at_least}個以上", answer(*is).ja),
            format!("{at_least} or more times {} in one report", answer(*is).en),
        ),
        Condition::Slot { state } => match state {
            SlotState::Unreached => Bilingual::fixed(
                "その回の架電がすべてつながらなかった",
                "no attempt of a slot reached anybody",
            ),
            SlotState::Expired => Bilingual::fixed(
                "その回の時間内に一度も電話できなかった",
                "a slot ended before anybody was called",
            ),
            SlotState::Partial => {
                Bilingual::fixed("その回の回答が途中までだった", "a slot was answered in part")
            }
            SlotState::Reported => Bilingual::fixed("その回の報告があった", "a slot was reported"),
            SlotState::Skipped => Bilingual::fixed("その回は発信しなかった", "a slot was skipped"),
            SlotState::Due | SlotState::InProgress => {
                Bilingual::fixed("その回が終わっていない", "a slot is not over")
            }
        },
        Condition::InVain { at_least } => Bilingual::composed(
            format!("同じ回で{at_least}回電話しても、だれも出ない"),
            format!("{at_least} attempts at one slot were in vain"),
        ),
        Condition::MissedDay => Bilingual::fixed(
            "1日のどの回にも報告がない(17時の時点)",
            "no slot of a day was reported by 17:00",
        ),
        Condition::InvalidNumber => {
            Bilingual::fixed("電話番号が使われていない", "the telephone number does not exist")
        }
        Condition::Interrupted => {
            Bilingual::fixed("回答の途中で通話が切れた", "a call ended in the middle")
        }
        Condition::NotIdentified => {
            Bilingual::fixed("生年月日で本人を確認できなかった", "the birth date did not match")
        }
        Condition::NoKey { calls } => Bilingual::composed(
            format!("電話に出たがキー入力のない通話が{calls}回続いた"),
            format!("{calls} answered calls in a row without a key"),
        ),
    }
}

/// What makes the rule weigh more or less, and whom it concerns.
pub(super) fn weight(set: &RuleSet, rule: &Rule) -> Vec<Bilingual> {
    let mut words = Vec::new();
    let traits = |traits: &[Trait]| {
        let one = |one: &Trait| match one {
            Trait::HighRisk => Bilingual::fixed(
                "重症化リスクの高い方・65歳以上",
                "those at high risk or 65 and older",
            ),
            Trait::LivesAlone => Bilingual::fixed("独居の方", "those who live alone"),
        };
        let all: Vec<Bilingual> = traits.iter().map(one).collect();
        let join = |part: fn(&Bilingual) -> &str, by: &str| {
            all.iter().map(part).collect::<Vec<_>>().join(by)
        };
        (join(|one| &one.ja, "、"), join(|one| &one.en, ", "))
    };
    if !rule.only_for.is_empty() {
        let (ja, en) = traits(&rule.only_for);
        words.push(Bilingual::composed(format!("{ja}だけ"), format!("only for {en}")));
    }
    if !rule.raised_by.is_empty() && rule.priority != Priority::P1 {
        let (ja, en) = traits(&rule.raised_by);
        words.push(Bilingual::composed(
            format!("{ja}は1段階上げる"),
            format!("one level graver for {en}"),
        ));
    }
    if let Some(lowering) = &rule.lowering {
        let (label, number) =
            (set.label(&lowering.code), set.show(&lowering.code, lowering.at_least));
        let (to_ja, to_en) = (priority(lowering.to).ja, priority(lowering.to).en);
        words.push(Bilingual::composed(
            format!("緊急の症状がすべて「いいえ」で{label}が{number}以上なら「{to_ja}」"),
            format!("{to_en} if all urgent signs are no and {label} is {number} or more"),
        ));
    }
    words
}

/// The word for a priority.
pub(super) fn priority(priority: Priority) -> Bilingual {
    match priority {
        Priority::P1 => Bilingual::fixed("緊急", "urgent"),
        Priority::P2 => Bilingual::fixed("注意", "caution"),
        Priority::P3 => Bilingual::fixed("要確認", "to check"),
        Priority::P0 => Bilingual::fixed("記録のみ", "recorded only"),
    }
}

fn answer(answer: Answer) -> Bilingual {
    match answer {
        Answer::Choice(YesNo::Yes) => Bilingual::fixed("はい", "yes"),
        Answer::Choice(YesNo::No) => Bilingual::fixed("いいえ", "no"),
        Answer::Choice(YesNo::Unknown) => Bilingual::fixed("わからない", "unknown"),
        Answer::Number(_) => Bilingual::fixed("数値", "a number"),
        Answer::NotMeasured => Bilingual::fixed("測れない", "not measured"),
        Answer::Unanswered => Bilingual::fixed("無回答", "no answer"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::escalation::RuleBook;

    #[test]
    fn every_shipped_rule_has_its_sentence() {
        let book = RuleBook::shipped().unwrap();
        let set = book.effective_on(date(2026, 11, 25)).unwrap();
        let sentence = |id: &str| {
            let rule = set.rules.iter().find(|rule| rule.id == id).unwrap();
            condition(set, &rule.condition).ja.into_owned()
        };
        assert_eq!(sentence("spo2-low"), "SpO2が93以下");
        assert_eq!(sentence("spo2-borderline"), "SpO2が94以上95以下");
        assert_eq!(sentence("fever-lasting"), "体温が38.0以上の日が3日続く");
        for rule in &set.rules {
            assert!(!condition(set, &rule.condition).en.is_empty(), "{}", rule.id);
        }
    }
}
