//! All questionnaires of an installation, by id and version: what campaigns may ask.

use std::sync::Arc;

use crate::ivr::{Catalog, Questionnaire, parse};

/// Every version that was ever shipped, the latest last (`domain.md` §8 and §5.1).
const SHIPPED: [&str; 2] = [
    include_str!("../../prompts/questionnaires/recuperation-1.toml"),
    include_str!("../../prompts/questionnaires/recuperation.toml"),
];

/// The questionnaires that can be asked. One of them is asked where nobody has chosen another.
#[derive(Clone, Debug, PartialEq)]
pub struct Questionnaires {
    usual: Arc<Questionnaire>,
    all: Vec<Arc<Questionnaire>>,
    keys: Arc<[String]>,
}

/// Two questionnaires that bear the same id and version, and ask differently: an answer would not
/// tell to which question it was given.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("two different questionnaires are called {key}: give the changed one a higher `version`")]
pub struct SameName {
    /// The id and version.
    pub key: String,
}

impl Questionnaires {
    /// Those that are shipped; the latest is the usual one.
    pub fn shipped() -> Arc<Self> {
        Arc::new(Self::with_shipped(Vec::new()).expect("checked by its own test"))
    }

    /// These and the shipped ones. The first of these, if there is one, is the usual one.
    ///
    /// # Errors
    /// [`SameName`] if an id and version do not name one questionnaire.
    pub fn with_shipped(own: Vec<Questionnaire>) -> Result<Self, SameName> {
        let shipped = SHIPPED.iter().rev().map(|text| {
            parse::questionnaire(text, &Catalog::embedded()).expect("checked by its own test")
        });
        let mut all: Vec<Arc<Questionnaire>> = Vec::new();
        for one in own.into_iter().chain(shipped) {
            match all.iter().find(|known| known.key() == one.key()) {
                None => all.push(Arc::new(one)),
                Some(known) if **known == one => {}
                Some(_) => return Err(SameName { key: one.key() }),
            }
        }
        let usual = Arc::clone(all.first().expect("some are shipped"));
        let keys = all.iter().map(|one| one.key()).collect();
        Ok(Self { usual, all, keys })
    }

    /// The one that is asked where nobody has chosen another.
    pub fn usual(&self) -> &Arc<Questionnaire> {
        &self.usual
    }

    /// The one with this id and version, such as `recuperation@2`.
    pub fn named(&self, key: &str) -> Option<&Arc<Questionnaire>> {
        self.all.iter().find(|one| one.key() == key)
    }

    /// All of them, the usual one first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Questionnaire>> {
        self.all.iter()
    }

    /// Their ids and versions, in the same order.
    pub fn keys(&self) -> &Arc<[String]> {
        &self.keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_version_is_there_and_the_latest_is_the_usual_one() {
        let shipped = Questionnaires::shipped();
        assert_eq!(**shipped.keys(), ["recuperation@2", "recuperation@1"]);
        assert_eq!(shipped.usual(), &Questionnaire::recuperation());
        let before = shipped.named("recuperation@1").unwrap();
        assert_eq!((before.version, before.help.is_some()), (1, false));
        assert_eq!(shipped.named("recuperation@3"), None);
    }

    #[test]
    fn ones_own_come_first_and_a_name_means_one() {
        let usual = (*Questionnaire::recuperation()).clone();
        let own = Questionnaire { id: "school".to_owned(), version: 1, ..usual.clone() };
        let changed = Questionnaire { message: None, ..usual.clone() };
        let all = Questionnaires::with_shipped(vec![own.clone(), usual.clone()]).unwrap();
        assert_eq!(**all.keys(), ["school@1", "recuperation@2", "recuperation@1"]);
        assert_eq!(**all.usual(), own);
        let refused = Questionnaires::with_shipped(vec![changed]);
        assert_eq!(refused, Err(SameName { key: "recuperation@2".to_owned() }));
    }
}
