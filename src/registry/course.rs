//! The course of an illness as far as staff know it: from which day its days are counted.

use jiff::civil::Date;

/// When an illness began, as staff wrote it down. What nobody knows is `None`.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub struct Course {
    /// 発症日: the day on which symptoms began.
    pub onset: Option<Date>,
    /// 検体採取日: the day on which the specimen that was positive was taken.
    pub specimen: Option<Date>,
    /// Whether there were symptoms at all.
    pub has_symptoms: Option<bool>,
}

impl Course {
    /// Whether it says anything.
    pub fn is_known(&self) -> bool {
        *self != Self::default()
    }

    /// Day 0: the onset, or the specimen where there were no symptoms or nobody knows when they
    /// began.
    pub fn day_zero(&self) -> Option<Date> {
        self.onset.filter(|_| self.has_symptoms != Some(false)).or(self.specimen)
    }

    /// Whether the rules for people with symptoms hold. Who is not known to be without them is
    /// taken to have them: those rules ask for more.
    pub fn is_symptomatic(&self) -> bool {
        self.has_symptoms != Some(false)
    }
}

/// The days of somebody's illness are nobody else's business.
impl std::fmt::Debug for Course {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_known() { "Course(known)" } else { "Course(unknown)" })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn days_are_counted_from_the_onset_or_else_from_the_specimen() {
        let (onset, specimen) = (Some(date(2026, 11, 20)), Some(date(2026, 11, 22)));
        for (course, expected) in [
            (Course { onset, specimen, has_symptoms: Some(true) }, onset),
            (Course { onset, specimen, has_symptoms: None }, onset),
            (Course { onset: None, specimen, has_symptoms: Some(true) }, specimen),
            (Course { onset, specimen, has_symptoms: Some(false) }, specimen),
            (Course { onset, specimen: None, has_symptoms: Some(false) }, None),
            (Course::default(), None),
        ] {
            assert_eq!(course.day_zero(), expected);
        }
        assert!(Course::default().is_symptomatic() && !Course::default().is_known());
        assert_eq!(format!("{:?}", Course { onset, ..Course::default() }), "Course(known)");
    }
}
