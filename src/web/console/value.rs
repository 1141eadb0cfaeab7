//! Answers in words, as people read them beside their question.

use crate::ivr::Answer;
use crate::registry::ConsoleLanguage;
use crate::web::console::words::{self, pick};

/// What an answer to this question means: 36.5℃, 92%, はい.
pub(in crate::web) fn words(language: ConsoleLanguage, code: &str, answer: Answer) -> String {
    match answer {
        Answer::Number(tenths) if code == "temperature" => {
            format!("{}.{}℃", tenths / 10, tenths % 10)
        }
        Answer::Number(percent) if code == "spo2" => format!("{percent}%"),
        Answer::Number(number) => number.to_string(),
        Answer::Choice(choice) => {
            let word = words::yes_no(choice);
            pick(language, &word.ja, &word.en).to_owned()
        }
        Answer::NotMeasured => pick(language, "測定できない", "not measured").to_owned(),
        Answer::Unanswered => pick(language, "回答なし", "no answer").to_owned(),
    }
}
