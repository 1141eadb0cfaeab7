//! The form of the terms: filled from terms, and read back into them, with words beside each field
//! that cannot be meant.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Time;

use crate::base::Bilingual;
use crate::campaign::schedule::SLOTS_A_DAY;
use crate::campaign::terms::Stock;
use crate::campaign::{Terms, Window};
use crate::web::console::campaigns::words::{
    Choice, HOLIDAYS, RECORDINGS, RETRIES, SHORT_SCRIPTS, word,
};

/// A slot has at most six attempts, so that five may follow one.
pub(super) const RETRY_COLUMNS: usize = 5;

/// What a form holds, as it was typed.
#[derive(Debug, Default)]
pub(super) struct Form {
    fields: BTreeMap<String, String>,
    faults: Vec<(String, Bilingual)>,
}

impl Form {
    /// A form that shows these terms.
    pub(super) fn of(name: &str, terms: &Terms) -> Self {
        let mut form = Self::default();
        form.put("name", name);
        for (day, hours) in terms.hours.iter().enumerate() {
            // Days without calls keep hours to begin with.
            let shown = hours.unwrap_or_else(Window::widest);
            if hours.is_some() {
                form.put(&format!("on{day}"), "1");
            }
            form.put(&format!("from{day}"), &time(shown.opens_at()));
            form.put(&format!("to{day}"), &time(shown.closes_at()));
        }
        for (n, usual) in terms.cadence.default_times.iter().enumerate() {
            form.put(&format!("time{n}"), &time(*usual));
        }
        form.put("holidays", word(&HOLIDAYS, terms.holidays));
        form.put("short_script", word(&SHORT_SCRIPTS, terms.short_script));
        form.put("recording", word(&RECORDINGS, terms.recording));
        form.put("trunk_group", terms.trunk_group.as_deref().unwrap_or_default());
        form.put("questionnaire", &terms.questionnaire);
        form.put("rules", terms.rules.as_deref().unwrap_or_default());
        for (name, time_of_day) in [
            ("last_daytime_start", terms.cadence.last_daytime_start),
            ("review_at", terms.cadence.review_at),
            ("decide_at", terms.silence.decide_at),
            ("escalate_at", terms.silence.escalate_at),
            ("night_at", terms.silence.night_at),
            ("night_escalate_at", terms.silence.night_escalate_at),
        ] {
            form.put(name, &time(time_of_day));
        }
        let mut retry = terms.retry.clone();
        for (name, minutes) in [
            ("tolerance", terms.cadence.tolerance),
            ("incomplete", retry.incomplete),
            ("trunk_fault", retry.trunk_fault),
            ("trunk_fault_longest", retry.trunk_fault_longest),
            ("after_emergency", retry.after_emergency),
        ] {
            form.put(name, &(minutes.as_secs() / 60).to_string());
        }
        for (name, number) in [
            ("attempts", retry.attempts),
            ("resumptions", retry.resumptions),
            ("next_phone_from", retry.next_phone_from),
            ("frail_after_attempts", terms.silence.frail_after_attempts),
            ("absence_hours", terms.silence.absence_hours),
        ] {
            form.put(name, &number.to_string());
        }
        for (name, _, list) in RETRIES {
            for (n, delay) in list(&mut retry).iter().take(RETRY_COLUMNS).enumerate() {
                form.put(&format!("{name}{n}"), &(delay.as_secs() / 60).to_string());
            }
        }
        form
    }

    /// A form as it came.
    pub(super) fn new(fields: Vec<(String, String)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name, value.trim().to_owned()));
        Self { fields: fields.collect(), faults: Vec::new() }
    }

    fn put(&mut self, name: &str, value: &str) {
        self.fields.insert(name.to_owned(), value.to_owned());
    }

    /// What stands in a field.
    pub(super) fn shown(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// What is wrong with a field.
    pub(super) fn fault(&self, name: &str) -> Option<&Bilingual> {
        self.faults.iter().find(|(known, _)| known == name).map(|(_, fault)| fault)
    }

    /// Whether anything is wrong.
    pub(super) fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Says what is wrong with a field.
    pub(super) fn refuse(&mut self, name: &str, ja: &'static str, en: &'static str) {
        self.faults.push((name.to_owned(), Bilingual::fixed(ja, en)));
    }

    /// The name and the terms that are meant; what the form does not show stays as in `base`.
    /// `None` if anything cannot be meant.
    pub(super) fn read(&mut self, base: &Terms, stock: &Stock) -> Option<(String, Terms)> {
        let mut terms = base.clone();
        let name = self.shown("name").to_owned();
        if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
            self.refuse("name", "1〜60文字で入力してください。", "1 to 60 characters, please.");
        }
        for day in 0..terms.hours.len() {
            terms.hours[day] = self.hours(day);
        }
        terms.cadence.default_times = (0..SLOTS_A_DAY)
            .map(|n| format!("time{n}"))
            .filter(|name| !self.shown(name).is_empty())
            .collect::<Vec<_>>()
            .iter()
            .map(|name| self.time(name))
            .collect();
        terms.holidays = self.choice("holidays", &HOLIDAYS, terms.holidays);
        terms.short_script = self.choice("short_script", &SHORT_SCRIPTS, terms.short_script);
        terms.recording = self.choice("recording", &RECORDINGS, terms.recording);
        let group = self.shown("trunk_group").to_owned();
        if group.chars().count() > 40 || group.chars().any(char::is_whitespace) {
            let (ja, en) = ("空白なしの40文字までです。", "At most 40 characters, no blanks.");
            self.refuse("trunk_group", ja, en);
        }
        terms.trunk_group = (!group.is_empty()).then_some(group);
        if let Some(key) = self.one_of("questionnaire", &stock.questionnaires) {
            terms.questionnaire = key;
        }
        terms.rules = match self.shown("rules") {
            "" => None,
            _ => self.one_of("rules", &stock.rules),
        };
        terms.cadence.tolerance = self.minutes("tolerance", 480);
        terms.cadence.last_daytime_start = self.time("last_daytime_start");
        terms.cadence.review_at = self.time("review_at");
        terms.silence.decide_at = self.time("decide_at");
        terms.silence.escalate_at = self.time("escalate_at");
        terms.silence.night_at = self.time("night_at");
        terms.silence.night_escalate_at = self.time("night_escalate_at");
        terms.silence.frail_after_attempts = self.number("frail_after_attempts", 6);
        terms.silence.absence_hours = self.number("absence_hours", 999);
        terms.retry.attempts = self.number("attempts", 99);
        terms.retry.resumptions = self.number("resumptions", 6);
        terms.retry.next_phone_from = self.number("next_phone_from", 6);
        terms.retry.incomplete = self.minutes("incomplete", 480);
        terms.retry.trunk_fault = self.minutes("trunk_fault", 60);
        terms.retry.trunk_fault_longest = self.minutes("trunk_fault_longest", 120);
        terms.retry.after_emergency = self.minutes("after_emergency", 1440);
        for (name, _, list) in RETRIES {
            *list(&mut terms.retry) = self.delays(name);
        }
        (!self.is_faulty()).then_some((name, terms))
    }

    fn hours(&mut self, day: usize) -> Option<Window> {
        if self.shown(&format!("on{day}")).is_empty() {
            return None;
        }
        let name = format!("from{day}");
        let [from, to] = [name.clone(), format!("to{day}")].map(|name| self.shown(&name).parse());
        let window = from.ok().zip(to.ok()).and_then(|(from, to)| Window::new(from, to).ok());
        if window.is_none() {
            let (ja, en) = (
                "8時から20時までの間で、開始を終了より前にしてください。",
                "Within 8:00 to 20:00, and the beginning before the end.",
            );
            self.refuse(&name, ja, en);
        }
        window
    }

    fn time(&mut self, name: &str) -> Time {
        if let Ok(time) = self.shown(name).parse() {
            return time;
        }
        self.refuse(name, "時刻を入力してください。", "Please enter a time.");
        Time::midnight()
    }

    fn number(&mut self, name: &str, most: u32) -> u32 {
        match self.shown(name).parse() {
            Ok(number) if number <= most => number,
            _ => {
                self.faults.push((
                    name.to_owned(),
                    Bilingual::composed(
                        format!("0〜{most} の数にしてください。"),
                        format!("A number from 0 to {most}, please."),
                    ),
                ));
                0
            }
        }
    }

    fn minutes(&mut self, name: &str, most: u32) -> Duration {
        Duration::from_mins(self.number(name, most).into())
    }

    /// A row of the table of retries: empty fields at its end are none.
    fn delays(&mut self, name: &str) -> Vec<Duration> {
        let mut delays = Vec::new();
        for n in 0..RETRY_COLUMNS {
            let field = format!("{name}{n}");
            if self.shown(&field).is_empty() {
                continue;
            }
            if delays.len() < n {
                self.refuse(
                    &field,
                    "左の空欄を先に埋めてください。",
                    "Please fill the field to the left first.",
                );
            }
            let delay = self.minutes(&field, 480);
            if delay < crate::campaign::retry::SPACING && self.fault(&field).is_none() {
                let (ja, en) = ("3分以上にしてください。", "At least three minutes.");
                self.refuse(&field, ja, en);
            }
            delays.push(delay);
        }
        delays
    }

    /// One of what there is.
    fn one_of(&mut self, name: &str, known: &[String]) -> Option<String> {
        let typed = self.shown(name).to_owned();
        if known.contains(&typed) {
            return Some(typed);
        }
        let fault = Bilingual::composed(
            format!("「{typed}」はありません。次から選んでください: {}", known.join("、")),
            format!("There is no {typed:?}. Please choose one of: {}", known.join(", ")),
        );
        self.faults.push((name.to_owned(), fault));
        None
    }

    fn choice<T: Copy>(&mut self, name: &str, choices: &[Choice<T>], otherwise: T) -> T {
        let typed = self.shown(name);
        if let Some((value, ..)) = choices.iter().find(|(_, word, _)| *word == typed) {
            return *value;
        }
        self.refuse(name, "選んでください。", "Please choose.");
        otherwise
    }
}

fn time(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock() -> Stock {
        Stock {
            questionnaires: vec!["recuperation@2".to_owned(), "school@1".to_owned()],
            rules: vec!["2026-11-01".to_owned()],
        }
    }

    fn with(name: &str, value: &str) -> Form {
        let mut form = Form::of("夏の健康観察", &Terms::shipped());
        form.put(name, value);
        form
    }

    #[test]
    fn terms_that_were_shown_are_read_back() {
        let mut terms = Terms {
            trunk_group: Some("main".to_owned()),
            questionnaire: "school@1".to_owned(),
            rules: Some("2026-11-01".to_owned()),
            ..Terms::shipped()
        };
        terms.hours[6] = None;
        terms.retry.busy.clear();
        let read = Form::of("夏の健康観察", &terms).read(&Terms::shipped(), &stock());
        assert_eq!(read, Some(("夏の健康観察".to_owned(), terms)));
    }

    #[test]
    fn what_cannot_be_meant_is_said_beside_its_field() {
        for (name, value, at) in [
            ("name", "", "name"),
            ("to0", "21:00", "from0"),
            ("from3", "soon", "from3"),
            ("holidays", "dance", "holidays"),
            ("tolerance", "-1", "tolerance"),
            ("review_at", "", "review_at"),
            ("busy0", "1", "busy0"),
            ("busy0", "", "busy1"),
            ("trunk_group", "a b", "trunk_group"),
            ("questionnaire", "school@2", "questionnaire"),
            ("questionnaire", "", "questionnaire"),
            ("rules", "2020-01-01", "rules"),
        ] {
            let mut form = with(name, value);
            assert_eq!(form.read(&Terms::shipped(), &stock()), None, "{name}={value}");
            assert!(form.fault(at).is_some(), "{name}={value} {:?}", form.faults);
        }
        let mut form = with("questionnaire", "school@2");
        form.read(&Terms::shipped(), &stock());
        let told = form.fault("questionnaire").unwrap();
        assert_eq!(
            told.ja,
            "「school@2」はありません。次から選んでください: recuperation@2、school@1"
        );
        // Terms that are merely unfinished can be kept as a draft.
        let read = with("attempts", "0").read(&Terms::shipped(), &stock());
        assert!(read.is_some_and(|(_, terms)| !terms.faults().is_empty()));
    }
}
