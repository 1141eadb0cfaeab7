//! The text of a set of rules, changed in single numbers: all else, comments included, stays.

use std::ops::Range;

use jiff::civil::Date;
use toml::de::{DeTable, DeValue};

/// A number in the text of a set of rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Threshold {
    /// The id of the rule.
    pub rule: String,
    /// What the number is for, such as `at_least`.
    pub key: String,
    /// The number as it is written.
    pub value: String,
    /// It says when the rule weighs less, not when it fires.
    pub is_lowering: bool,
    span: Range<usize>,
}

/// The numbers of all rules, in the order of the text. None if it is no TOML.
pub fn thresholds(text: &str) -> Vec<Threshold> {
    let mut found = Vec::new();
    let Ok(document) = DeTable::parse(text) else { return found };
    let Some(rules) = document.get_ref().get("rule").and_then(|rules| rules.get_ref().as_array())
    else {
        return found;
    };
    for rule in rules {
        let Some(table) = rule.get_ref().as_table() else { continue };
        let Some(id) = table.get("id").and_then(|id| id.get_ref().as_str()) else { continue };
        for (part, is_lowering) in [("when", false), ("lowered", true)] {
            let Some(part) = table.get(part).and_then(|part| part.get_ref().as_table()) else {
                continue;
            };
            for (key, value) in part {
                if !matches!(value.get_ref(), DeValue::Integer(_) | DeValue::Float(_)) {
                    continue;
                }
                found.push(Threshold {
                    rule: id.to_owned(),
                    key: key.get_ref().to_string(),
                    value: text.get(value.span()).unwrap_or_default().to_owned(),
                    is_lowering,
                    span: value.span(),
                });
            }
        }
    }
    found.sort_by_key(|one| one.span.start);
    found
}

/// The text with other numbers, one for each of [`thresholds`] in their order, and with another
/// version and first day. What is no number is left as it was.
pub fn edited(text: &str, version: &str, effective_from: Date, numbers: &[String]) -> String {
    let mut changes: Vec<(Range<usize>, String)> = Vec::new();
    for (threshold, number) in thresholds(text).into_iter().zip(numbers) {
        let number = number.trim();
        if number != threshold.value && number.parse::<f64>().is_ok_and(f64::is_finite) {
            changes.push((threshold.span, number.to_owned()));
        }
    }
    if let Ok(document) = DeTable::parse(text) {
        let head =
            [("version", version.to_owned()), ("effective_from", effective_from.to_string())];
        for (key, value) in head {
            if let Some(old) = document.get_ref().get(key) {
                changes.push((old.span(), format!("{value:?}")));
            }
        }
    }
    changes.sort_by_key(|(span, _)| span.start);
    let mut edited = String::with_capacity(text.len());
    let mut from = 0;
    for (span, new) in changes {
        edited.push_str(text.get(from..span.start).unwrap_or_default());
        edited.push_str(&new);
        from = span.end;
    }
    edited.push_str(text.get(from..).unwrap_or_default());
    edited
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::escalation::RuleSet;

    const SHIPPED: &str = include_str!("../../prompts/rules/recuperation.toml");

    #[test]
    fn a_number_is_changed_and_nothing_else() {
        let found = thresholds(SHIPPED);
        assert_eq!(
            (found[0].rule.as_str(), found[0].key.as_str(), found[0].value.as_str()),
            ("spo2-low", "at_most", "93")
        );
        let mut numbers: Vec<String> = found.iter().map(|one| one.value.clone()).collect();
        numbers[0] = "92".to_owned();
        let text = edited(SHIPPED, "2026-12", date(2026, 12, 1), &numbers);
        let set = RuleSet::parse("edited", &text).unwrap();
        assert_eq!((set.version.as_str(), set.effective_from), ("2026-12", date(2026, 12, 1)));
        let differing: Vec<&str> = text
            .lines()
            .zip(SHIPPED.lines())
            .filter(|(new, old)| new != old)
            .map(|(new, _)| new)
            .collect();
        assert_eq!(
            differing,
            [
                "version = \"2026-12\"",
                "effective_from = \"2026-12-01\"",
                "when = { kind = \"number\", code = \"spo2\", at_most = 92 }",
            ]
        );
    }

    #[test]
    fn what_is_no_number_changes_nothing() {
        let found = thresholds(SHIPPED);
        let numbers: Vec<String> = found.iter().map(|_| "9 }\nevil = 1 #".to_owned()).collect();
        let text = edited(SHIPPED, "2026-11-26", date(2026, 11, 1), &numbers);
        assert_eq!(text, SHIPPED);
        assert_eq!(thresholds("no toml ="), []);
    }
}
