//! Days on which a centre is closed, and public holidays.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jpholiday::chrono::NaiveDate;
use jpholiday::jpholiday::JPHoliday;

/// A centre's calendar: the public holidays of Japan (国民の祝日に関する法律) and its own closures.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Calendar {
    closures: BTreeMap<Date, String>,
}

/// Why a day is not like others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SpecialDay {
    /// A public holiday, with its name.
    Holiday(String),
    /// The centre is closed, with its reason.
    Closure(String),
}

impl SpecialDay {
    /// The name of the holiday, or why it is closed.
    pub fn name(&self) -> &str {
        match self {
            Self::Holiday(name) | Self::Closure(name) => name,
        }
    }
}

impl Calendar {
    /// The public holidays, and these days besides.
    pub fn new(closures: BTreeMap<Date, String>) -> Self {
        Self { closures }
    }

    /// What is special about a day. A closure of the centre's own comes first.
    pub fn special(&self, date: Date) -> Option<SpecialDay> {
        if let Some(reason) = self.closures.get(&date) {
            return Some(SpecialDay::Closure(reason.clone()));
        }
        holiday(date).map(SpecialDay::Holiday)
    }

    /// The centre's own closures.
    pub fn closures(&self) -> &BTreeMap<Date, String> {
        &self.closures
    }
}

/// The name of the public holiday on this date, substitute holidays (振替休日) and those between
/// two others (国民の休日) included.
pub fn holiday(date: Date) -> Option<String> {
    let [month, day] = [date.month(), date.day()].map(|part| u32::try_from(part).unwrap_or(0));
    let date = NaiveDate::from_ymd_opt(date.year().into(), month, day)?;
    JPHoliday::new().is_holiday_name(&date)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_holidays_of_two_years_are_those_of_the_law() {
        let lawful = [
            "2026: 1/1 1/12 2/11 2/23 3/20 4/29 5/3 5/4 5/5 5/6 7/20 8/11 9/21 9/22 9/23 10/12 \
             11/3 11/23",
            "2027: 1/1 1/11 2/11 2/23 3/21 3/22 4/29 5/3 5/4 5/5 7/19 8/11 9/20 9/23 10/11 11/3 \
             11/23",
        ];
        for (year, expected) in [2026, 2027].into_iter().zip(lawful) {
            let days = date(year, 1, 1).series(1.day()).take_while(|day| day.year() == year);
            let holidays = days.filter(|day| holiday(*day).is_some());
            let holidays = holidays.map(|day| format!(" {}/{}", day.month(), day.day()));
            assert_eq!(format!("{year}:{}", holidays.collect::<String>()), expected);
        }
    }

    #[test]
    fn a_closure_of_the_centre_comes_first() {
        let [workers_day, new_years_eve] = [date(2026, 11, 23), date(2026, 12, 31)];
        let closures = [(workers_day, "庁舎停電"), (new_years_eve, "年末年始")];
        let closures = closures.map(|(day, why)| (day, why.to_owned()));
        let calendar = Calendar::new(closures.into_iter().collect());
        let closed = |why: &str| Some(SpecialDay::Closure(why.to_owned()));
        assert_eq!(calendar.special(workers_day), closed("庁舎停電"));
        assert_eq!(calendar.special(new_years_eve), closed("年末年始"));
        let name = Calendar::default().special(workers_day);
        assert_eq!(name.as_ref().map(SpecialDay::name), Some("勤労感謝の日"));
        assert_eq!(calendar.special(date(2026, 11, 24)), None);
    }
}
