//! Tests of a specimen as staff know of them: when it was taken, how it was examined, what was found.

use jiff::Timestamp;

use crate::base::id::LabTestId;

/// A specimen and what was found in it (FHIR: an `Observation` of the category `laboratory`).
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct LabTest {
    /// Its id.
    pub id: LabTestId,
    /// 検体採取: when the specimen was taken (FHIR: `Specimen.collection.collected`).
    pub collected_at: Timestamp,
    /// How it was examined.
    pub method: TestMethod,
    /// What was found.
    pub result: TestResult,
}

/// How a specimen was examined.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TestMethod {
    /// 核酸検出検査: PCR, LAMP and the like.
    Naat,
    /// 抗原定量検査.
    Antigen,
    /// 抗原定性検査キット.
    Kit,
}

/// What was found.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TestResult {
    /// 陰性.
    Negative,
    /// 陽性.
    Positive,
    /// 判定保留: it proves nothing.
    Indeterminate,
}

impl TestMethod {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Naat, Self::Antigen, Self::Kit];

    /// The word for it in the store and in the rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Naat => "naat",
            Self::Antigen => "antigen",
            Self::Kit => "kit",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == text)
    }
}

impl TestResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Negative, Self::Positive, Self::Indeterminate];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Positive => "positive",
            Self::Indeterminate => "indeterminate",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == text)
    }
}

/// What was found in somebody is nobody else's business.
impl std::fmt::Debug for LabTest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LabTest({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for method in TestMethod::ALL {
            assert_eq!(TestMethod::parse(method.as_str()), Some(method));
        }
        for result in TestResult::ALL {
            assert_eq!(TestResult::parse(result.as_str()), Some(result));
        }
        assert_eq!((TestMethod::parse("pcr"), TestResult::parse("")), (None, None));
    }
}
