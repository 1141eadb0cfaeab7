//! What went wrong, told in Japanese and in English to the person who has to mend it.
//!
//! Logs are English alone: they print the errors themselves.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::base::Bilingual;
use crate::escalation::rule::RuleError;
use crate::ivr::parse::InvalidQuestionnaire;
use crate::notify::NotifyError;
use crate::prompt::{Missing, PromptError};
use crate::recording::{ArchiveError, SealError};
use crate::store::StoreError;
use crate::trunk::TrunkError;

/// The error and its causes, the nearest first.
pub fn told(error: &anyhow::Error) -> String {
    error.chain().map(one).collect::<Vec<_>>().join(": ")
}

fn one(error: &(dyn Error + 'static)) -> String {
    if let Some(list) = list(error) {
        return list;
    }
    explanation(error).map_or_else(|| error.to_string(), |text| text.to_string())
}

/// Errors that are one fact. What is bilingual by itself is not here.
fn explanation(error: &(dyn Error + 'static)) -> Option<Bilingual> {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return Some(error.explanation());
    }
    if let Some(error) = error.downcast_ref::<TrunkError>() {
        return Some(error.explanation());
    }
    if let Some(error) = error.downcast_ref::<NotifyError>() {
        return Some(error.explanation());
    }
    if let Some(error) = error.downcast_ref::<ArchiveError>() {
        return Some(error.explanation());
    }
    if let Some(error) = error.downcast_ref::<SealError>() {
        return Some(error.explanation());
    }
    if let Some(RuleError { file, line, problem }) = error.downcast_ref() {
        let ja = format!("{file} {line} 行目: {}", problem.explanation().ja);
        return Some(Bilingual::composed(ja, error.to_string()));
    }
    let ja = of_system(error.downcast_ref::<io::Error>()?.kind())?;
    Some(Bilingual::composed(ja.to_owned(), error.to_string()))
}

/// Errors that are many facts: one a line.
fn list(error: &(dyn Error + 'static)) -> Option<String> {
    let at = |line: usize, text: &Bilingual| format!("{line} 行目 / line {line}: {text}");
    let facts: Vec<String> = if let Some(InvalidQuestionnaire(faults)) = error.downcast_ref() {
        faults.iter().map(|fault| at(fault.line, &fault.problem)).collect()
    } else if let Some(Missing(lacks)) = error.downcast_ref() {
        lacks.iter().map(|lack| format!("{}: {}", lack.label, lack.reason.explanation())).collect()
    } else {
        match error.downcast_ref::<PromptError>()? {
            PromptError::Catalog { path, faults } => {
                let faults = faults.0.iter().map(|fault| at(fault.line, &fault.kind.explanation()));
                [format!("{}:", path.display())].into_iter().chain(faults).collect()
            }
            PromptError::Recordings(faults) => {
                faults.iter().map(|fault| fault.explanation().to_string()).collect()
            }
            PromptError::Read { path, .. } => {
                vec![format!("{0} を読めません / cannot read {0}", path.display())]
            }
            PromptError::Cache { path, .. } => {
                let path = path.display();
                vec![format!("フォルダー {path} を使えません / cannot use the cache folder {path}")]
            }
            PromptError::Voice(_) => {
                vec![format!("組み込みの音声を読み込めません / {error}")]
            }
        }
    };
    Some(match facts.as_slice() {
        [fact] => fact.clone(),
        _ => format!("\n    {}", facts.join("\n    ")),
    })
}

/// What an operating system says most often.
fn of_system(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::NotFound => "見つかりません",
        ErrorKind::PermissionDenied => "権限がありません",
        ErrorKind::AddrInUse => "ほかのプログラムが使っています",
        ErrorKind::AddrNotAvailable => "この機械のアドレスではありません",
        ErrorKind::ConnectionRefused => "接続を拒否されました",
        ErrorKind::TimedOut => "応答がありません",
        ErrorKind::StorageFull => "ディスクがいっぱいです",
        ErrorKind::ReadOnlyFilesystem => "書き込めない場所です",
        ErrorKind::IsADirectory => "ファイルではなくフォルダーです",
        ErrorKind::NotADirectory => "フォルダーではありません",
        ErrorKind::InvalidData => "中身を読み取れません",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;
    use crate::ivr::{Catalog, parse};

    #[test]
    fn every_cause_is_told_in_both_languages() {
        let gone = StoreError::Unavailable { reason: "sqlite 14, cannot open".to_owned() };
        let error = Err::<(), _>(gone)
            .context("データベースを開けません / cannot open the database")
            .unwrap_err();
        assert_eq!(
            told(&error),
            "データベースを開けません / cannot open the database: \
             データベースを使えません(sqlite 14, cannot open) / \
             the database is not available (sqlite 14, cannot open)"
        );
        let error = anyhow::Error::from(io::Error::from(ErrorKind::NotFound));
        assert_eq!(told(&error), "見つかりません / entity not found");
    }

    #[test]
    fn each_fault_of_a_file_has_a_line_of_its_own() {
        let faults = parse::questionnaire("id = 1\nversion = -1", &Catalog::embedded());
        let told = told(&faults.unwrap_err().into());
        assert_eq!(
            told.lines().map(str::trim).collect::<Vec<_>>(),
            [
                "",
                "1 行目 / line 1: id は引用符の中に書いてください / `id` must be a text in quotes",
                "1 行目 / line 1: [[question]] が一つ以上要ります / at least one [[question]] is needed",
                "2 行目 / line 2: version は負の数にできません / `version` must not be negative",
            ]
        );
    }
}
