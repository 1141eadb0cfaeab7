//! What was filled in, and what of it cannot be meant: raw words become values here, once.

use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan};
use unicode_normalization::UnicodeNormalization;

use crate::base::Bilingual;
use crate::base::Private;
use crate::base::clock::{civil, timestamp};
use crate::base::id::{CampaignId, ObservationId, ReportId};
use crate::call::{Completion, Respondent};
use crate::campaign::{Window, schedule};
use crate::ivr::questionnaire::{Kind, Need, Question};
use crate::ivr::{Answer, Questionnaire, Script, YesNo};
use crate::registry::arrangement::{Channel, TOLERANCE};
use crate::registry::{Arrangement, Contact, DoctorsOrder, Patient, Relation, Weekdays};
use crate::store::{Correction, StaffReport, Way};
use crate::web::console::patient::words::symptoms;

/// A form as it came: pairs of names and values.
pub(super) type Fields = Vec<(String, String)>;

/// A form that cannot be meant: it is shown again with what was typed, and the faults beside it.
#[derive(Default)]
pub(super) struct Draft {
    /// Which form, by the last word of its address.
    pub(super) form: &'static str,
    fields: Fields,
    faults: Vec<(String, Bilingual)>,
}

/// Contacts that a plan can hold.
pub(super) const CONTACTS: usize = 5;

/// Longer than any reason; notes may be longer.
const LONGEST_REASON: usize = 200;
const LONGEST_NAME: usize = 60;
const LONGEST_NOTE: usize = 4000;

/// Nobody knows more than two months ahead.
const LONGEST_SPAN: i64 = 62;

/// Older observations are no news for anybody, and no rule looks at them.
const OLDEST_REPORT: i64 = 14;

impl Draft {
    /// A form that was sent.
    pub(super) fn new(form: &'static str, fields: Fields) -> Self {
        Self { form, fields, faults: Vec::new() }
    }

    /// What was typed into a field, without blanks around it; `None` if nothing.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.fields.iter().find(|(known, _)| known == name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// What to show in a field: what was typed, or what holds.
    pub(super) fn shown(&self, form: &str, name: &str, holds: impl Into<String>) -> String {
        if self.form == form { self.text(name).unwrap_or_default() } else { holds.into() }
    }

    /// What is wrong with a field.
    pub(super) fn fault(&self, form: &str, name: &str) -> Option<&Bilingual> {
        let mut faults = self.faults.iter().filter(|_| self.form == form);
        faults.find(|(known, _)| known == name).map(|(_, text)| text)
    }

    fn refuse(&mut self, name: &str, ja: &'static str, en: &'static str) {
        self.faults.push((name.to_owned(), Bilingual::fixed(ja, en)));
    }

    /// The value, unless anything was found that cannot be meant.
    fn sound<T>(&self, value: Option<T>) -> Option<T> {
        value.filter(|_| self.faults.is_empty())
    }

    fn date(&mut self, name: &str) -> Option<Date> {
        let date = self.text(name).and_then(|text| text.parse().ok());
        if date.is_none() {
            self.refuse(name, "日付を入力してください。", "Please enter a date.");
        }
        date
    }

    /// A text that must be there, and not be too long.
    fn required(&mut self, name: &str, longest: usize) -> Option<String> {
        let text = self.text(name);
        match &text {
            None => self.refuse(name, "入力してください。", "Please fill this in."),
            Some(text) if text.chars().count() > longest => {
                self.refuse(name, "長すぎます。", "This is too long.");
            }
            Some(_) => {}
        }
        text
    }

    /// The first and last day of a pause, and why.
    pub(super) fn pause(&mut self, today: Date) -> Option<(Date, Date, String)> {
        let days = self.date("first_day").zip(self.date("last_day"));
        if let Some((first, last)) = days {
            if first < today {
                self.refuse("first_day", "今日以降の日にしてください。", "Not before today.");
            }
            if last < first {
                self.refuse(
                    "last_day",
                    "開始日以降の日にしてください。",
                    "Not before the first day.",
                );
            } else if last > first.saturating_add(LONGEST_SPAN.days()) {
                self.refuse("last_day", "休止は2か月までです。", "At most two months.");
            }
        }
        let reason = self.required("reason", LONGEST_REASON);
        self.sound(days.zip(reason).map(|((first, last), reason)| (first, last, reason)))
    }

    /// One to four times of day within the hours of the centre, ascending.
    pub(super) fn times(&mut self, window: &Window) -> Option<Vec<Time>> {
        let mut times = Vec::new();
        for name in ["time1", "time2", "time3", "time4"] {
            let Some(text) = self.text(name) else { continue };
            match text.parse::<Time>() {
                Err(_) => self.refuse(name, "時刻を入力してください。", "Please enter a time."),
                Ok(time) if time < window.opens_at() || time >= window.closes_at() => self.refuse(
                    name,
                    "架電できる時間帯の外です。",
                    "Outside the hours in which we may call.",
                ),
                Ok(time) if times.contains(&time) => {
                    self.refuse(name, "同じ時刻があります。", "The same time twice.");
                }
                Ok(time) => times.push(time),
            }
        }
        if times.is_empty() && self.faults.is_empty() {
            self.refuse("time1", "1つ以上入力してください。", "At least one, please.");
        }
        times.sort();
        debug_assert!(times.len() <= schedule::SLOTS_A_DAY, "the form has four fields");
        self.sound(Some(times))
    }

    /// How the patient is reached, and why it is changed. The campaign is one of those.
    pub(super) fn arrangement(
        &mut self,
        campaigns: &[CampaignId],
    ) -> Option<(Arrangement, String)> {
        let named = self.text("campaign").map(|id| id.parse());
        let campaign = match named {
            None => None,
            Some(Ok(id)) if campaigns.contains(&id) => Some(id),
            Some(_) => {
                self.refuse("campaign", "選んでください。", "Please choose.");
                None
            }
        };
        let ticked = (0..7).filter(|day| self.text(&format!("day{day}")).is_some());
        let weekdays = Weekdays::from_bits(ticked.fold(0, |bits, day| bits | 1 << day));
        if weekdays.is_none() {
            self.refuse(
                "days",
                "1日以上選んでください。架電を止めるには「架電を休止」を使います。",
                "At least one day. To stop the calls, use \u{201c}Pause the calls\u{201d}.",
            );
        }
        let tolerance = self.text("tolerance").map(|text| text.parse::<u64>());
        let tolerance = match tolerance {
            None => None,
            Some(Ok(minutes)) if TOLERANCE.contains(&minutes) => Some(Duration::from_mins(minutes)),
            Some(_) => {
                self.refuse("tolerance", "10〜480分にしてください。", "10 to 480 minutes, please.");
                None
            }
        };
        let channel = self.text("channel").and_then(|word| Channel::parse(&word));
        if channel.is_none() {
            self.refuse("channel", "選んでください。", "Please choose.");
        }
        let order = self.text("ordered").and_then(|_| {
            let by = self.required("doctor", LONGEST_NAME);
            let why = self.required("why", LONGEST_REASON);
            let (by, why) = by.zip(why)?;
            Some(DoctorsOrder { by: Private::new(by), why: Private::new(why) })
        });
        let reason = self.required("reason", LONGEST_REASON);
        let agreed = weekdays.zip(channel).map(|(weekdays, channel)| Arrangement {
            campaign,
            weekdays,
            tolerance,
            channel,
            no_automation: order,
        });
        self.sound(agreed.zip(reason))
    }

    /// The last day under observation.
    pub(super) fn last_day(&mut self, today: Date, first_day: Date) -> Option<Date> {
        let day = self.date("last_day");
        if let Some(day) = day {
            if day < today || day < first_day {
                self.refuse(
                    "last_day",
                    "今日以降の日にしてください。すぐ終える場合は「観察を終了」を使います。",
                    "Not before today. To end at once, use \u{201c}End the observation\u{201d}.",
                );
            } else if day > today.saturating_add(LONGEST_SPAN.days()) {
                self.refuse("last_day", "2か月先までです。", "At most two months from now.");
            }
        }
        self.sound(day)
    }

    /// Why the observation ends.
    pub(super) fn reason(&mut self) -> Option<String> {
        let reason = self.required("reason", LONGEST_REASON);
        self.sound(reason)
    }

    /// A note.
    pub(super) fn note(&mut self) -> Option<String> {
        let text = self.required("text", LONGEST_NOTE);
        self.sound(text)
    }

    /// What staff heard or saw.
    pub(super) fn report(
        &mut self,
        now: Timestamp,
        patient: &Patient,
        questionnaire: &Questionnaire,
    ) -> Option<StaffReport> {
        let id: Option<ReportId> = self.text("report").and_then(|id| id.parse().ok());
        let way = self.text("way").and_then(|way| Way::parse(&way));
        if way.is_none() {
            self.refuse("way", "電話か訪問かを選んでください。", "By telephone, or at a visit?");
        }
        let respondent = self.text("respondent").and_then(|who| Respondent::parse(&who));
        let respondent =
            respondent.filter(|who| matches!(who, Respondent::Patient | Respondent::Family));
        if respondent.is_none() {
            self.refuse("respondent", "本人か家族かを選んでください。", "Who said it?");
        }
        let effective_at = self.moment(now);
        let mut values = Vec::new();
        for code in ["temperature", "spo2"] {
            values.extend(self.measured(questionnaire, code).map(|value| (code.to_owned(), value)));
        }
        for (code, _) in symptoms() {
            let answer = self.text(code).and_then(|text| choice(&text));
            values.extend(answer.map(|answer| ((*code).to_owned(), answer)));
        }
        if values.is_empty() && self.faults.is_empty() {
            self.refuse(
                "temperature",
                "体温・SpO2・症状のどれか1つは入力してください。",
                "Please enter at least one value.",
            );
        }
        let completion = completion(patient, questionnaire, &values);
        let report = (|| {
            Some(StaffReport {
                id: id?,
                way: way?,
                respondent: respondent?,
                effective_at: effective_at?,
                values,
                completion,
            })
        })();
        self.sound(report)
    }

    fn moment(&mut self, now: Timestamp) -> Option<Timestamp> {
        let date = self.date("date");
        let time = self.text("time").and_then(|text| text.parse::<Time>().ok());
        if time.is_none() {
            self.refuse("time", "時刻を入力してください。", "Please enter a time.");
        }
        let at = timestamp(date?.to_datetime(time?));
        // Minutes are what a form knows.
        if at > now + 1.minute() {
            self.refuse("time", "未来の時刻です。", "This is yet to come.");
        } else if civil(at).date() < civil(now).date().saturating_sub(OLDEST_REPORT.days()) {
            self.refuse("date", "2週間より前の日です。", "More than two weeks ago.");
        }
        Some(at)
    }

    /// A number, or that it could not be measured.
    fn measured(&mut self, questionnaire: &Questionnaire, code: &str) -> Option<Answer> {
        let missing = format!("{code}_missing");
        let is_missing = self.text(&missing).is_some();
        let text = match (self.text(code), is_missing) {
            (None, false) => return None,
            (None, true) => return Some(Answer::NotMeasured),
            (Some(_), true) => {
                self.refuse(
                    code,
                    "値と「測れない」の両方は選べません。",
                    "Either a value, or not measured.",
                );
                return None;
            }
            (Some(text), false) => text,
        };
        let number =
            number(code, &text).filter(|number| is_plausible(questionnaire, code, *number));
        if number.is_none() {
            if code == "temperature" {
                self.refuse(code, "34.0〜42.0の体温を入力してください。", "34.0 to 42.0, please.");
            } else {
                self.refuse(code, "70〜100の値を入力してください。", "70 to 100, please.");
            }
        }
        number.map(Answer::Number)
    }

    /// What an observation should have been.
    pub(super) fn correction(
        &mut self,
        questionnaire: &Questionnaire,
        code: &str,
    ) -> Option<Correction> {
        let observation: Option<ObservationId> =
            self.text("observation").and_then(|id| id.parse().ok());
        let value = match self.text("value") {
            _ if self.text("never_said").is_some() => Some(Answer::Unanswered),
            None => None,
            Some(text) if is_number(code) => match &*text {
                "not_measured" => Some(Answer::NotMeasured),
                text => number(code, text)
                    .filter(|number| is_plausible(questionnaire, code, *number))
                    .map(Answer::Number),
            },
            Some(text) => choice(&text),
        };
        if value.is_none() {
            self.refuse("value", "正しい値を入力してください。", "Please enter what is right.");
        }
        let reason = self.required("reason", LONGEST_REASON);
        let correction =
            (|| Some(Correction { observation: observation?, value: value?, reason: reason? }))();
        self.sound(correction)
    }

    /// The contact plan; rows without a name are left out if they are empty.
    pub(super) fn contacts(&mut self) -> Option<Vec<Contact>> {
        let mut contacts = Vec::new();
        for n in 1..=CONTACTS {
            let name = self.text(&format!("name{n}"));
            let phone = self.text(&format!("phone{n}")).map(|text| telephone(&text));
            let note = self.text(&format!("note{n}")).unwrap_or_default();
            let relation = self.text(&format!("relation{n}")).and_then(|it| Relation::parse(&it));
            let Some(name) = name else {
                if phone.is_some() || !note.is_empty() {
                    self.refuse(&format!("name{n}"), "氏名を入力してください。", "Who is it?");
                }
                continue;
            };
            let phone = phone.unwrap_or_default();
            let is_phone = |c: char| c.is_ascii_digit() || " -+()".contains(c);
            if !phone.chars().all(is_phone) || phone.len() > 20 {
                let text = "数字とハイフンで入力してください。";
                self.refuse(&format!("phone{n}"), text, "Digits and hyphens, please.");
            }
            if name.chars().count() > LONGEST_NAME || note.chars().count() > LONGEST_REASON {
                self.refuse(&format!("name{n}"), "長すぎます。", "This is too long.");
            }
            contacts.push(Contact {
                relation: relation.unwrap_or(Relation::Other),
                name: Private::new(name),
                phone: Private::new(phone),
                is_keyholder: self.text(&format!("key{n}")).is_some(),
                note: Private::new(note),
            });
        }
        self.sound(Some(contacts))
    }
}

/// Digits in half width, and one hyphen for all that people type for it.
fn telephone(text: &str) -> String {
    let hyphen = |c: char| if "−ー‐‑–—―".contains(c) { '-' } else { c };
    text.nfkc().map(hyphen).collect()
}

/// Whether the answer to a question is a number.
pub(super) fn is_number(code: &str) -> bool {
    matches!(code, "temperature" | "spo2")
}

fn choice(text: &str) -> Option<Answer> {
    match text {
        "yes" => Some(Answer::Choice(YesNo::Yes)),
        "no" => Some(Answer::Choice(YesNo::No)),
        "unknown" => Some(Answer::Choice(YesNo::Unknown)),
        _ => None,
    }
}

/// `37.5`, `375`, `３７．５` are tenths; `98` is percent.
fn number(code: &str, text: &str) -> Option<i32> {
    let text: String = text.nfkc().filter(|c| !matches!(c, '℃' | '°' | 'C' | '%' | ' ')).collect();
    if code != "temperature" {
        return text.parse().ok();
    }
    match text.split_once('.') {
        Some((whole, tenth)) if tenth.len() == 1 => format!("{whole}{tenth}").parse().ok(),
        Some(_) => None,
        None if text.len() == 3 => text.parse().ok(),
        None => text.parse::<i32>().ok()?.checked_mul(10),
    }
}

fn is_plausible(questionnaire: &Questionnaire, code: &str, number: i32) -> bool {
    let (low, high) = match questionnaire.question(code).map(|question| &question.kind) {
        Some(Kind::Number(format)) => (format.min, format.max),
        _ if code == "temperature" => (340, 420),
        _ => (70, 100),
    };
    (low..=high).contains(&number)
}

/// Whether the telephone would have asked for no more, in its long or in its short form.
fn completion(
    patient: &Patient,
    questionnaire: &Questionnaire,
    values: &[(String, Answer)],
) -> Completion {
    let has = |question: &Question| match question.needs {
        Some(Need::Thermometer) => patient.has_thermometer,
        Some(Need::Oximeter) => patient.has_oximeter,
        None => true,
    };
    let is_complete = [Script::Full, Script::Short]
        .into_iter()
        .any(|script| questionnaire.is_complete(script, has, values));
    if is_complete { Completion::Complete } else { Completion::Partial }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn draft(fields: &[(&str, &str)]) -> Draft {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Draft::new("pause", fields.collect())
    }

    fn faults(draft: &Draft) -> Vec<&str> {
        draft.faults.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (code, text, expected) in [
            ("temperature", "37.5", Some(375)),
            ("temperature", "３７．５℃", Some(375)),
            ("temperature", "375", Some(375)),
            ("temperature", "37", Some(370)),
            ("temperature", "37.55", None),
            ("temperature", "高い", None),
            ("spo2", "98", Some(98)),
            ("spo2", "９８％", Some(98)),
            ("spo2", "98.5", None),
        ] {
            assert_eq!(number(code, text), expected, "{text}");
        }
    }

    #[test]
    fn a_pause_has_days_to_come_and_a_reason() {
        let today = date(2026, 11, 23);
        let pause = |first, last, reason| {
            let fields = [("first_day", first), ("last_day", last), ("reason", reason)];
            let mut draft = draft(&fields);
            let read = draft.pause(today).is_some();
            (read, faults(&draft).join(" "))
        };
        assert_eq!(pause("2026-11-23", "2026-11-25", "入院"), (true, String::new()));
        assert_eq!(pause("2026-11-22", "2026-11-25", "入院"), (false, "first_day".to_owned()));
        assert_eq!(pause("2026-11-24", "2026-11-23", "入院"), (false, "last_day".to_owned()));
        assert_eq!(pause("2026-11-24", "2027-11-23", "入院"), (false, "last_day".to_owned()));
        assert_eq!(pause("", "x", " "), (false, "first_day last_day reason".to_owned()));
    }

    #[test]
    fn times_lie_within_the_hours_and_are_sorted() {
        let window = Window::new(time(8, 30, 0, 0), time(18, 0, 0, 0)).unwrap();
        let times = |first, second| {
            let mut draft = draft(&[("time1", first), ("time3", second)]);
            let read = draft.times(&window);
            (read, faults(&draft).join(" "))
        };
        let sorted = Some(vec![time(9, 0, 0, 0), time(14, 30, 0, 0)]);
        assert_eq!(times("14:30", "09:00"), (sorted, String::new()));
        assert_eq!(times("09:00", "09:00"), (None, "time3".to_owned()));
        assert_eq!(times("18:00", "8:00"), (None, "time1 time3".to_owned()));
        assert_eq!(times("", ""), (None, "time1".to_owned()));
    }

    #[test]
    fn a_value_is_measured_or_missing_and_never_both() {
        let questionnaire = Questionnaire::recuperation();
        for (fields, expected, fault) in [
            (vec![("spo2", "98")], Some(Answer::Number(98)), ""),
            (vec![("spo2_missing", "1")], Some(Answer::NotMeasured), ""),
            (vec![], None, ""),
            (vec![("spo2", "98"), ("spo2_missing", "1")], None, "spo2"),
            (vec![("spo2", "9")], None, "spo2"),
        ] {
            let mut draft = draft(&fields);
            assert_eq!(draft.measured(&questionnaire, "spo2"), expected);
            assert_eq!(faults(&draft).join(" "), fault);
        }
    }

    #[test]
    fn contacts_without_a_name_are_left_out_if_they_are_empty() {
        let mut whole =
            draft(&[("name1", "民生 太郎"), ("phone1", "０３ー１２３４"), ("key1", "1")]);
        let contacts = whole.contacts().unwrap();
        assert_eq!((contacts.len(), contacts[0].phone.expose().as_str()), (1, "03-1234"));
        assert!(contacts[0].is_keyholder);
        let mut odd = draft(&[("name1", "民生 太郎"), ("phone1", "夕方")]);
        assert_eq!(odd.contacts(), None);
        assert_eq!(faults(&odd), ["phone1"]);
        let mut nameless = draft(&[("phone2", "03-1234")]);
        assert_eq!(nameless.contacts(), None);
        assert_eq!(faults(&nameless), ["name2"]);
    }
}
