//! The kana of a catalogue: whether it can be said, and how its pieces join.

use super::kana::{Kana, is_mark};
use crate::ivr::Catalog;
use crate::ivr::catalog::{InvalidCatalog, Part, Template};

/// Reads a catalogue and reports all its faults together, also kana that cannot be said.
pub(super) fn parse(toml: &str) -> Result<Catalog, InvalidCatalog> {
    Catalog::parse_with(toml, check_kana)
}

/// A blank could be any word, so a flat one stands in for it.
fn check_kana(template: &Template) -> Result<(), String> {
    let pieces = template.parts.iter().map(|part| match part {
        Part::Literal(text) => text.as_str(),
        Part::Blank(_) => "アア",
    });
    Kana::parse(&pieces.collect::<String>()).map(|_| ()).map_err(|error| error.to_string())
}

/// Joins pieces of kana. Where they meet in one accent phrase, the first accent holds: after the
/// pitch has fallen it stays low.
pub(super) fn join(pieces: impl IntoIterator<Item = String>) -> String {
    let mut joined = String::new();
    let mut has_fallen = false;
    for character in pieces.into_iter().collect::<String>().chars() {
        if is_mark(character) {
            has_fallen = false;
        } else if character == '\'' && std::mem::replace(&mut has_fallen, true) {
            continue;
        }
        joined.push(character);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_that_is_built_in_can_be_said() {
        let catalog = Catalog::embedded();
        for id in catalog.ids() {
            let kana = catalog.prompt(id).and_then(|prompt| prompt.kana.as_ref());
            assert_eq!(check_kana(kana.unwrap()), Ok(()), "{id}");
        }
    }

    #[test]
    fn kana_that_cannot_be_said_is_named_with_its_line() {
        let toml = "\
[hello]
text = \"こんにちは\"
kana = \"コンニチ葉\"

[readback]
text = \"{temperature}\"
kana = \"{temperature}デ'スネ'\"

[empty]
kana = \"ア\"
";
        insta::assert_snapshot!(parse(toml).unwrap_err(), @r"
        line 3: `葉` is not a katakana mora
        line 7: two accent marks in the phrase `アアデ'スネ'`: separate phrases with /
        line 9: `empty` has no text
        ");
    }

    #[test]
    fn within_a_phrase_the_first_accent_holds() {
        for (pieces, expected) in [
            (["ゴ'ブ", "デ'スネ"], "ゴ'ブデスネ"),
            (["サトー", "サ'マ"], "サトーサ'マ"),
            (["ゴ'ブ", "/デ'スネ"], "ゴ'ブ/デ'スネ"),
            (["ゴ'ブ", "、デ'ス"], "ゴ'ブ、デ'ス"),
        ] {
            assert_eq!(join(pieces.map(str::to_owned)), expected);
        }
    }
}
