//! Rows become domain types at once; a value that cannot be read names its table and column only.

use std::str::FromStr;

use jiff::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::id::{AttemptId, SlotId};
use crate::call::{Completion, Respondent};
use crate::campaign::{Attempt, AttemptState, Slot, SlotKind, SlotState, VersionKey};
use crate::ivr::{Answer, Entry};
use crate::observation::{Channel, Observation};
use crate::registry::Signed;
use crate::store::StoreError;

/// The latest moment at which a call was placed or ended, as `at`.
macro_rules! latest_call {
    () => {
        "select max(u.at) as at from (select max(a.dialed_at) as at from attempt a \
         where a.dialed_at is not null union all select max(b.ended_at) as at from attempt b \
         where b.ended_at is not null) u"
    };
}
pub(super) use latest_call;

/// The columns of one row, and the table to name if one of them cannot be read.
#[derive(Clone, Copy)]
pub(super) struct Fields<'r> {
    table: &'static str,
    row: &'r AnyRow,
}

impl<'r> Fields<'r> {
    pub(super) fn new(table: &'static str, row: &'r AnyRow) -> Self {
        Self { table, row }
    }

    pub(super) fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column }
    }

    pub(super) fn text(&self, column: &'static str) -> Result<&'r str, StoreError> {
        self.row.try_get::<&str, _>(column).map_err(|_| self.corrupt(column))
    }

    pub(super) fn text_or_null(&self, column: &'static str) -> Result<Option<&'r str>, StoreError> {
        self.row.try_get::<Option<&str>, _>(column).map_err(|_| self.corrupt(column))
    }

    pub(super) fn integer<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let value = self.row.try_get::<i64, _>(column).map_err(|_| self.corrupt(column))?;
        T::try_from(value).map_err(|_| self.corrupt(column))
    }

    pub(super) fn integer_or_null<T: TryFrom<i64>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let value = self.row.try_get::<Option<i64>, _>(column).map_err(|_| self.corrupt(column))?;
        value.map(|value| T::try_from(value).map_err(|_| self.corrupt(column))).transpose()
    }

    pub(super) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        self.row.try_get::<Vec<u8>, _>(column).map_err(|_| self.corrupt(column))
    }

    pub(super) fn bytes_or_null(
        &self,
        column: &'static str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.row.try_get::<Option<Vec<u8>>, _>(column).map_err(|_| self.corrupt(column))
    }

    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        Ok(self.integer::<i64>(column)? != 0)
    }

    pub(super) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        Timestamp::from_millisecond(self.integer(column)?).map_err(|_| self.corrupt(column))
    }

    pub(super) fn time_or_null(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let value = self.integer_or_null(column)?;
        value
            .map(|value| Timestamp::from_millisecond(value).map_err(|_| self.corrupt(column)))
            .transpose()
    }

    /// A text that its own type reads: an id, a date, a number of a telephone.
    pub(super) fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| self.corrupt(column))
    }

    pub(super) fn parsed_or_null<T: FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text_or_null(column)?;
        text.map(|text| text.parse().map_err(|_| self.corrupt(column))).transpose()
    }

    /// Who signed, by which name, and when.
    pub(super) fn signed(&self, [by, name, at]: [&'static str; 3]) -> Result<Signed, StoreError> {
        Ok(Signed {
            by: self.parsed(by)?,
            name: Private::new(self.text(name)?.to_owned()),
            at: self.time(at)?,
        })
    }

    /// A word that the function reads.
    pub(super) fn word<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        parse(self.text(column)?).ok_or_else(|| self.corrupt(column))
    }

    pub(super) fn word_or_null<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text_or_null(column)?;
        text.map(|text| parse(text).ok_or_else(|| self.corrupt(column))).transpose()
    }
}

/// The columns of who wrote something, as most statements name them.
pub(super) const SIGNED: [&str; 3] = ["staff_id", "staff_name", "signed_at"];

/// A moment as it is stored: milliseconds UTC.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// The columns of slots, as `s`, that [`slot`] reads.
macro_rules! slot_columns {
    () => {
        "s.id, s.episode_id, s.patient_id, s.date, s.number, s.due_from, s.due_to, s.state, \
         s.reason, s.pause_id, s.kind, s.campaign_id, s.campaign_version"
    };
}
pub(super) use slot_columns;

/// That `$1` is the episode of a slot: the index of slots begins with its patient.
macro_rules! of_episode {
    () => {
        "patient_id = (select e.patient_id from episode e where e.id = $1) and episode_id = $1"
    };
}
pub(super) use of_episode;

/// The ids of the slots whose episode is `$1`.
macro_rules! slots_of_episode {
    () => {
        concat!("select id from slot where ", $crate::store::row::of_episode!())
    };
}
pub(super) use slots_of_episode;

/// Selects slots, as `s`, under the names that [`slot`] reads.
macro_rules! select_slots {
    ($rest:literal) => {
        concat!("select ", $crate::store::row::slot_columns!(), " from slot s ", $rest)
    };
}
pub(super) use select_slots;

pub(super) fn slot(row: &AnyRow) -> Result<Slot, StoreError> {
    let fields = Fields::new("slot", row);
    Ok(Slot {
        id: fields.parsed("id")?,
        episode: fields.parsed("episode_id")?,
        patient: fields.parsed("patient_id")?,
        date: fields.parsed("date")?,
        number: fields.integer("number")?,
        due_from: fields.time("due_from")?,
        due_to: fields.time("due_to")?,
        state: fields.word("state", SlotState::parse)?,
        reason: fields.text_or_null("reason")?.map(str::to_owned),
        pause: fields.parsed_or_null("pause_id")?,
        kind: fields.word("kind", SlotKind::parse)?,
        campaign: version_key(fields)?,
    })
}

fn version_key(fields: Fields<'_>) -> Result<Option<VersionKey>, StoreError> {
    let campaign = fields.parsed_or_null("campaign_id")?;
    let version = fields.integer_or_null("campaign_version")?;
    Ok(campaign.zip(version).map(|(campaign, version)| VersionKey { campaign, version }))
}

/// The columns of attempts, as `a`, that [`attempt`] reads.
macro_rules! attempt_columns {
    () => {
        "a.id, a.slot_id, a.patient_id, a.number, a.phone, a.due_at, a.state, a.dialed_at, \
         a.answered_at, a.ended_at, a.disposition, a.respondent, a.completion"
    };
}
pub(super) use attempt_columns;

/// Selects attempts, as `a`, under the names that [`attempt`] reads.
macro_rules! select_attempts {
    ($rest:literal) => {
        concat!("select ", $crate::store::row::attempt_columns!(), " from attempt a ", $rest)
    };
}
pub(super) use select_attempts;

pub(super) fn attempt(row: &AnyRow) -> Result<Attempt, StoreError> {
    let fields = Fields::new("attempt", row);
    Ok(Attempt {
        id: fields.parsed("id")?,
        slot: fields.parsed("slot_id")?,
        number: fields.integer("number")?,
        phone: fields.parsed("phone")?,
        due_at: fields.time("due_at")?,
        state: fields.word("state", AttemptState::parse)?,
        dialed_at: fields.time_or_null("dialed_at")?,
        answered_at: fields.time_or_null("answered_at")?,
        ended_at: fields.time_or_null("ended_at")?,
        disposition: fields.parsed_or_null("disposition")?,
        respondent: fields.word_or_null("respondent", Respondent::parse)?,
        completion: fields.word_or_null("completion", Completion::parse)?,
    })
}

/// Selects answers, as `w`, under the names that [`entry`] reads.
macro_rules! select_answers {
    ($rest:literal) => {
        concat!(
            "select w.attempt_id, w.slot_id, w.patient_id, w.seq, w.question, w.asked, w.keys, \
             w.answer, w.respondent, w.questionnaire, w.given_at from answer w ",
            $rest
        )
    };
}
pub(super) use select_answers;

pub(super) fn entry(row: &AnyRow) -> Result<Entry, StoreError> {
    let fields = Fields::new("answer", row);
    Ok(Entry {
        seq: fields.integer("seq")?,
        question: fields.text("question")?.to_owned(),
        asked: fields.integer("asked")?,
        keys: fields.text("keys")?.to_owned(),
        answer: fields.word("answer", Answer::parse)?,
        at: fields.time("given_at")?,
    })
}

/// The columns of observations, as `o`, that [`observation`] reads.
macro_rules! observation_columns {
    () => {
        "o.id, o.patient_id, o.slot_id, o.attempt_id, o.seq, o.code, o.value, o.effective_at, \
         o.respondent, o.channel, o.questionnaire, o.supersedes"
    };
}
pub(super) use observation_columns;

/// Selects observations, as `o`, under the names that [`observation`] reads.
macro_rules! select_observations {
    ($($rest:literal),+) => {
        concat!(
            "select ",
            $crate::store::row::observation_columns!(),
            " from observation o ",
            $($rest),+
        )
    };
}
pub(super) use select_observations;

pub(super) fn observation(row: &AnyRow) -> Result<Observation, StoreError> {
    let fields = Fields::new("observation", row);
    let attempt = fields.parsed_or_null::<AttemptId>("attempt_id")?;
    Ok(Observation {
        id: fields.parsed("id")?,
        patient: fields.parsed("patient_id")?,
        slot: fields.parsed_or_null::<SlotId>("slot_id")?,
        source: attempt.zip(fields.integer_or_null("seq")?),
        code: fields.text("code")?.to_owned(),
        value: fields.word("value", Answer::parse)?,
        effective_at: fields.time("effective_at")?,
        respondent: fields.word("respondent", Respondent::parse)?,
        channel: fields.word("channel", Channel::parse)?,
        questionnaire: fields.text("questionnaire")?.to_owned(),
        supersedes: fields.parsed_or_null("supersedes")?,
    })
}
