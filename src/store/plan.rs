//! The plan of a day as the scheduler sees it, and what a scheduler may do to it by hand.
//!
//! By hand means: write down that a call is wanted now, or none today. The worker carries it out
//! under the rules that hold for all calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection};

use crate::base::Private;
use crate::base::clock::{civil, timestamp};
use crate::base::id::{AttemptId, EpisodeId, PatientId, SlotId};
use crate::campaign::follow_up::LAST_BY_HAND;
use crate::campaign::plan::Precedence;
use crate::campaign::programme::State;
use crate::campaign::{
    Attempt, AttemptState, Book, InForce, NewSlot, Next, Slot, SlotKind, SlotState, Terms, Window,
};
use crate::registry::{AuditEntry, Episode, HealthCenter, Held, Patient};
use crate::store::pause::pauses_of;
use crate::store::registry::{
    episode, episode_columns, find_active_episode, fold_patients, health_centers, patient_columns,
    select_episodes,
};
use crate::store::row::{self, Fields, attempt_columns, millis, slot_columns};
use crate::store::schedule::{attempts_at, drop_due_attempt, emergency_of, open_slot};
use crate::store::{StoreError, Topic, Within, audit, installation};

/// Which patients of a day are wanted.
#[derive(Clone, Debug, Default)]
pub struct PlanFilter {
    /// A part of the name, of the kana or of the number, or the end of a telephone number; empty
    /// for everybody.
    pub search: String,
    /// Those with a slot in one of these states; empty for everybody.
    pub states: Vec<SlotState>,
}

/// One patient's day.
#[derive(Clone, Debug)]
pub struct PatientsDay {
    /// The patient.
    pub patient: Patient,
    /// The days under observation.
    pub episode: Episode,
    /// The slots of the day by number, each with its attempts by number. None before the day.
    pub slots: Vec<(Slot, Vec<Attempt>)>,
    /// When the patient last gave an answer that was an emergency, within the last day.
    pub emergency_at: Option<Timestamp>,
    /// Why the patient is not called on this day, if a pause holds.
    pub paused: Option<Private<String>>,
}

/// Some of the patients of a day.
#[derive(Clone, Debug)]
pub struct PlanPage {
    /// By kana.
    pub patients: Vec<PatientsDay>,
    /// How many there are in all.
    pub total: u32,
    /// The centre, with its hours.
    pub center: HealthCenter,
    /// The campaigns and the calendar.
    pub book: Book,
}

/// Why no call can be asked for now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NotNow {
    /// The emergency stop is pulled.
    Stopped,
    /// No episode covers today.
    NotObserved,
    /// A pause holds today.
    Paused,
    /// Outside the hours of the campaign, of the centre or of the law.
    OutsideHours,
    /// The patient's campaign does not run.
    CampaignRests(State),
    /// No machine may call this patient.
    Held(Held),
    /// The patient is being called.
    OnTheLine,
    /// After an emergency no machine calls until then: the line must be free for staff.
    KeptFree(Timestamp),
    /// All numbers of the day are taken.
    NoFreeSlot,
    /// No telephone is registered.
    NoPhone,
}

/// What became of "none today".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stopped {
    /// Slots that are not called any more.
    pub skipped: u32,
    /// A call is under way, and goes on.
    pub on_the_line: bool,
}

/// How long a call that was asked for by hand may wait for a line and for the telephone's rest.
const PATIENCE: Duration = Duration::from_mins(30);

/// How long back an emergency is looked for.
const LATELY: Duration = Duration::from_hours(24);

/// The patients of a page, for all statements about them. $1 centre, $2 clinic, $3 day, $4 and $5
/// patterns of the search, $6 the states, $7 how many, $8 after how many.
macro_rules! of_page {
    ($rest:expr) => {
        concat!(
            "with chosen as (select p.id, e.id as episode_id from patient p \
             join episode e on e.patient_id = p.id and e.state = 'active' \
             and e.first_day <= $3 and e.last_day >= $3 \
             where p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) \
             and ($4 = '' or p.kana like $5 escape '!' or p.name like $4 escape '!' \
             or p.registration_number like $4 escape '!' or exists (select 1 from patient_phone g \
             where g.patient_id = p.id and g.number like $4 escape '!')) \
             and ($6 = '' or exists (select 1 from slot z where z.patient_id = p.id \
             and z.date = $3 and $6 like ('% ' || z.state || ' %'))) \
             order by p.kana, p.id limit $7 offset $8) ",
            $rest
        )
    };
}

impl Within<'_> {
    /// The centre.
    pub async fn health_center(&self) -> Result<HealthCenter, StoreError> {
        let mut session = self.store.read().await?;
        let mut centers = health_centers(session.connection()).await?;
        centers.remove(&self.center()).ok_or(StoreError::NotFound { what: "health center" })
    }

    /// Patients under observation on a day, with what is planned and what came of it.
    pub async fn plan_of_day(
        &self,
        now: Timestamp,
        date: Date,
        filter: &PlanFilter,
        limit: u32,
        offset: u32,
    ) -> Result<PlanPage, StoreError> {
        const PATIENTS: &str = of_page!(concat!(
            "select ",
            patient_columns!(),
            " from chosen c join patient p on p.id = c.id \
             left join patient_phone f on f.patient_id = p.id \
             order by p.kana, p.id, f.position"
        ));
        const EPISODES: &str = of_page!(concat!(
            "select ",
            episode_columns!(),
            " from chosen c join episode e on e.id = c.episode_id"
        ));
        const SLOTS: &str = of_page!(concat!(
            "select ",
            slot_columns!(),
            " from chosen c join slot s on s.patient_id = c.id where s.date = $3 order by s.number"
        ));
        const ATTEMPTS: &str = of_page!(concat!(
            "select ",
            attempt_columns!(),
            " from chosen c join slot s on s.patient_id = c.id \
             join attempt a on a.slot_id = s.id where s.date = $3 order by a.number"
        ));
        const PAUSES: &str = of_page!(
            "select z.patient_id, z.reason from chosen c \
             join patient_pause z on z.patient_id = c.id where z.ended_at is null \
             and z.first_day <= $3 and z.last_day >= $3"
        );
        const TOTAL: &str = of_page!("select count(*) as n from chosen c");
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let page = Page { date, filter, limit, offset };
        let patients = fold_patients(&self.rows(connection, PATIENTS, page).await?)?;
        let mut episodes: HashMap<PatientId, Episode> = HashMap::new();
        for row in &self.rows(connection, EPISODES, page).await? {
            let episode = episode(row)?;
            episodes.insert(episode.patient, episode);
        }
        let mut attempts: HashMap<SlotId, Vec<Attempt>> = HashMap::new();
        for row in &self.rows(connection, ATTEMPTS, page).await? {
            let attempt = row::attempt(row)?;
            attempts.entry(attempt.slot).or_default().push(attempt);
        }
        let mut slots: HashMap<PatientId, Vec<(Slot, Vec<Attempt>)>> = HashMap::new();
        for row in &self.rows(connection, SLOTS, page).await? {
            let slot = row::slot(row)?;
            let made = attempts.remove(&slot.id).unwrap_or_default();
            slots.entry(slot.patient).or_default().push((slot, made));
        }
        let mut pauses: HashMap<PatientId, Private<String>> = HashMap::new();
        for row in &self.rows(connection, PAUSES, page).await? {
            let fields = Fields::new("patient_pause", row);
            pauses.insert(fields.parsed("patient_id")?, fields.text("reason")?.to_owned().into());
        }
        let whole = Page { limit: u32::MAX, offset: 0, ..page };
        let total = self.rows(connection, TOTAL, whole).await?;
        let total = total.first().map_or(Ok(0), |row| Fields::new("patient", row).integer("n"))?;
        let mut days = Vec::with_capacity(patients.len());
        for patient in patients {
            let Some(episode) = episodes.remove(&patient.id) else { continue };
            days.push(PatientsDay {
                slots: slots.remove(&patient.id).unwrap_or_default(),
                paused: pauses.remove(&patient.id),
                emergency_at: emergency_of(connection, patient.id, now - LATELY).await?,
                episode,
                patient,
            });
        }
        let center = health_centers(connection).await?.remove(&self.center());
        let center = center.ok_or(StoreError::NotFound { what: "health center" })?;
        let book = self.store.book(connection, now).await?;
        Ok(PlanPage { patients: days, total, center, book })
    }

    async fn rows(
        &self,
        connection: &mut AnyConnection,
        statement: &'static str,
        page: Page<'_>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let states: Vec<_> = page.filter.states.iter().map(|state| state.as_str()).collect();
        let states =
            if states.is_empty() { String::new() } else { format!(" {} ", states.join(" ")) };
        let query = sqlx::query::<Any>(statement)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(page.date.to_string())
            .bind(pattern(&page.filter.search))
            .bind(pattern(&katakana(&page.filter.search)))
            .bind(states)
            .bind(i64::from(page.limit))
            .bind(i64::from(page.offset));
        Ok(query.fetch_all(connection).await?)
    }

    /// How many slots of the day are in which state.
    pub async fn slots_by_state(&self, date: Date) -> Result<Vec<(SlotState, u32)>, StoreError> {
        const COUNT: &str = "select s.state, count(*) as n from slot s \
            join patient p on p.id = s.patient_id where p.health_center_id = $1 \
            and ($2 = '' or p.clinic_id = $2) and s.date = $3 group by s.state";
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(COUNT)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(date.to_string())
            .fetch_all(session.connection())
            .await?;
        let mut counts = Vec::new();
        for row in &rows {
            let fields = Fields::new("slot", row);
            counts.push((fields.word("state", SlotState::parse)?, fields.integer("n")?));
        }
        counts.sort_by_key(|(state, _)| SlotState::ALL.iter().position(|one| one == state));
        Ok(counts)
    }

    /// The episodes that cover a day, without their patients: to foresee how many calls it brings.
    pub async fn days_of(&self, date: Date) -> Result<Vec<Episode>, StoreError> {
        const ON: &str = select_episodes!(
            "join patient p on p.id = e.patient_id where e.state = 'active' \
             and e.first_day <= $3 and e.last_day >= $3 and p.health_center_id = $1 \
             and ($2 = '' or p.clinic_id = $2)"
        );
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(ON)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(date.to_string())
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(episode).collect()
    }

    /// The active episode of a patient of the scope.
    pub async fn episode_of(&self, patient: PatientId) -> Result<Option<Episode>, StoreError> {
        self.patient(patient).await?;
        let mut session = self.store.glance().await?;
        find_active_episode(session.connection(), patient).await
    }

    /// Asks for a call to one patient now. The next open slot of the day is brought forward; if
    /// there is none, one is opened. The worker places the call under the rules for all calls, so
    /// it may come a few minutes later. Asked for twice, it is one call.
    pub async fn call_now(
        &self,
        now: Timestamp,
        patient: PatientId,
        standing: &Arc<Terms>,
        entry: &AuditEntry,
    ) -> Result<Result<AttemptId, NotNow>, StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        let patient = self.locked(connection, patient).await?;
        let center = health_centers(connection).await?.remove(&self.center());
        let center = center.ok_or(StoreError::NotFound { what: "health center" })?;
        let book = self.store.book(connection, now).await?;
        let (wanted, called) =
            match self.may_call(connection, now, &patient, &center, (&book, standing)).await? {
                Ok(wanted) => wanted,
                Err(reason) => return Ok(Err(reason)),
            };
        let slot = match wanted {
            Wanted::Slot(slot) => slot,
            Wanted::New(number, episode) => {
                let closes_at = DateTime::from_parts(civil(now).date(), called.window.closes_at());
                let slot = NewSlot {
                    episode,
                    patient: patient.id,
                    date: civil(now).date(),
                    number,
                    due_from: now,
                    due_to: (now + PATIENCE).min(timestamp(closes_at)),
                    kind: SlotKind::ByHand,
                    campaign: called.terms.key,
                    rest: None,
                };
                self.open(connection, now, &slot).await?
            }
        };
        let attempt = self.bring_forward(connection, now, &slot, &patient, &called).await?;
        let entry =
            AuditEntry { patient: Some(patient.id), object: attempt.to_string(), ..entry.clone() };
        audit::append(connection, now, &entry).await?;
        session.commit(&[Topic::Slot, Topic::Due]).await?;
        Ok(Ok(attempt))
    }

    async fn may_call(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        patient: &Patient,
        center: &HealthCenter,
        (book, standing): (&Book, &Arc<Terms>),
    ) -> Result<Result<(Wanted, Called), NotNow>, StoreError> {
        let today = civil(now).date();
        if !installation::may_dial(connection).await? {
            return Ok(Err(NotNow::Stopped));
        }
        if patient.callable().is_empty() {
            return Ok(Err(NotNow::NoPhone));
        }
        let episode = find_active_episode(connection, patient.id).await?;
        let Some(episode) = episode.filter(|episode| episode.covers(today)) else {
            return Ok(Err(NotNow::NotObserved));
        };
        let pauses = pauses_of(connection, patient.id, today).await?;
        if pauses.iter().any(|pause| pause.ended.is_none() && pause.first_day <= today) {
            return Ok(Err(NotNow::Paused));
        }
        if let Some(why) = episode.arrangement.held().filter(|why| *why == Held::DoctorsOrder) {
            return Ok(Err(NotNow::Held(why)));
        }
        let terms = book.in_force(center.id, &episode.arrangement, standing);
        if terms.state != State::Running {
            return Ok(Err(NotNow::CampaignRests(terms.state)));
        }
        let day = terms.terms.day(today, center, &book.calendar(center.id));
        if day.rest.is_some() || !day.window.is_open(now) {
            return Ok(Err(NotNow::OutsideHours));
        }
        let emergency = emergency_of(connection, patient.id, now - LATELY).await?;
        let quiet = terms.terms.retry.after_emergency;
        if let Some(until) = emergency.map(|at| at + quiet).filter(|at| *at > now) {
            return Ok(Err(NotNow::KeptFree(until)));
        }
        let slots = slots_on_day(connection, patient.id, today).await?;
        if slots.iter().any(|slot| slot.state == SlotState::InProgress) {
            return Ok(Err(NotNow::OnTheLine));
        }
        // What follows from answers asks little; staff want to hear everything.
        let asks_all = |kind| !matches!(kind, SlotKind::Remeasure | SlotKind::Recall);
        let open = slots
            .iter()
            .find(|slot| slot.state == SlotState::Due && slot.due_to > now && asks_all(slot.kind));
        let called = Called { terms, window: day.window };
        if let Some(open) = open {
            return Ok(Ok((Wanted::Slot(open.clone()), called)));
        }
        // Planned slots keep their numbers, which are 1 to 4.
        let free =
            (5..=LAST_BY_HAND).find(|number| slots.iter().all(|slot| slot.number != *number));
        let wanted = free.map(|number| (Wanted::New(number, episode.id), called));
        Ok(wanted.ok_or(NotNow::NoFreeSlot))
    }

    async fn open(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        slot: &NewSlot,
    ) -> Result<Slot, StoreError> {
        open_slot(connection, now, self.store.mint::<SlotId>(now), slot).await?;
        let slots = slots_on_day(connection, slot.patient, slot.date).await?;
        let opened = slots.into_iter().find(|one| one.number == slot.number);
        opened.ok_or(StoreError::Stale { what: "slot" })
    }

    /// The slot's waiting attempt falls due now, or it gets one.
    async fn bring_forward(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        slot: &Slot,
        patient: &Patient,
        called: &Called,
    ) -> Result<AttemptId, StoreError> {
        const BEGIN: &str = "update slot set due_from = $2 \
            where id = $1 and state = 'due' and due_from > $2";
        const FORWARD: &str = "update attempt set due_at = $2, priority = $3 \
            where id = $1 and state = 'due'";
        const ADD: &str = "insert into attempt (id, slot_id, patient_id, number, phone, due_at, \
            state, created_at, campaign_id, campaign_version, priority) \
            values ($1, $2, $3, $4, $5, $6, 'due', $6, $7, $8, $9)";
        sqlx::query(BEGIN)
            .bind(slot.id.to_string())
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        let attempts = attempts_at(connection, slot.id).await?;
        if let Some(due) = attempts.iter().find(|attempt| attempt.state == AttemptState::Due) {
            sqlx::query(FORWARD)
                .bind(due.id.to_string())
                .bind(millis(due.due_at.min(now)))
                .bind(Precedence::Urgent.rank())
                .execute(connection)
                .await?;
            return Ok(due.id);
        }
        let phones = patient.callable();
        let policy = &called.terms.terms.retry;
        let phone = match policy.next(slot, &attempts, &phones, &called.window) {
            Next::At { phone, .. } => phone,
            // The rules would not call again; somebody wants it all the same.
            Next::Stop(..) | Next::Underway => 0,
        };
        let phone = phones.get(phone).ok_or(StoreError::NotFound { what: "telephone" })?;
        let number = attempts.iter().map(|attempt| attempt.number).max().unwrap_or(0) + 1;
        let id: AttemptId = self.store.mint(now);
        sqlx::query(ADD)
            .bind(id.to_string())
            .bind(slot.id.to_string())
            .bind(patient.id.to_string())
            .bind(i64::from(number))
            .bind(phone.e164())
            .bind(millis(now))
            .bind(called.terms.key.map(|key| key.campaign.to_string()))
            .bind(called.terms.key.map(|key| i64::from(key.version)))
            .bind(Precedence::Urgent.rank())
            .execute(connection)
            .await?;
        Ok(id)
    }

    /// Calls a patient no more today: the slots that are still open are skipped, those of `planned`
    /// that are not opened yet among them. A call under way goes on.
    pub async fn stop_today(
        &self,
        now: Timestamp,
        patient: PatientId,
        planned: &[NewSlot],
        reason: &str,
        entry: &AuditEntry,
    ) -> Result<Stopped, StoreError> {
        const SKIP: &str = "update slot set state = 'skipped', reason = $3, settled_at = $4 \
            where patient_id = $1 and date = $2 and state = 'due' returning id";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        let patient = self.locked(connection, patient).await?;
        let today = civil(now).date();
        for slot in planned.iter().filter(|slot| slot.patient == patient.id && slot.date == today) {
            self.open(connection, now, slot).await?;
        }
        let rows = sqlx::query(SKIP)
            .bind(patient.id.to_string())
            .bind(today.to_string())
            .bind(reason)
            .bind(millis(now))
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            drop_due_attempt(connection, Fields::new("slot", row).parsed("id")?).await?;
        }
        let slots = slots_on_day(connection, patient.id, today).await?;
        let entry = AuditEntry { patient: Some(patient.id), ..entry.clone() };
        audit::append(connection, now, &entry).await?;
        session.commit(&[Topic::Over]).await?;
        Ok(Stopped {
            skipped: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            on_the_line: slots.iter().any(|slot| slot.state == SlotState::InProgress),
        })
    }

    /// A patient of the scope, whom nobody else changes until the end of the transaction.
    async fn locked(
        &self,
        connection: &mut AnyConnection,
        patient: PatientId,
    ) -> Result<Patient, StoreError> {
        const LOCK: &str = "update patient set updated_at = updated_at \
            where id = $1 and health_center_id = $2 and ($3 = '' or clinic_id = $3)";
        let locked = sqlx::query(LOCK)
            .bind(patient.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .execute(&mut *connection)
            .await?;
        if locked.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "patient" });
        }
        crate::store::registry::patient(connection, patient).await
    }
}

/// A page of a day.
#[derive(Clone, Copy)]
struct Page<'a> {
    date: Date,
    filter: &'a PlanFilter,
    limit: u32,
    offset: u32,
}

/// By which terms a call by hand is made.
struct Called {
    terms: InForce,
    window: Window,
}

/// Which slot a call by hand is for.
enum Wanted {
    Slot(Slot),
    New(u8, EpisodeId),
}

async fn slots_on_day(
    connection: &mut AnyConnection,
    patient: PatientId,
    date: Date,
) -> Result<Vec<Slot>, StoreError> {
    const OF_PATIENT: &str =
        row::select_slots!("where s.patient_id = $1 and s.date = $2 order by s.number");
    let rows = sqlx::query(OF_PATIENT)
        .bind(patient.to_string())
        .bind(date.to_string())
        .fetch_all(connection)
        .await?;
    rows.iter().map(row::slot).collect()
}

/// `like` for a text that stands anywhere; empty for an empty text. Digits of a telephone are
/// stored without its leading zero.
fn pattern(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let is_number = text.chars().all(|char| char.is_ascii_digit() || char == '-');
    let text = if is_number { text.replace('-', "") } else { text.to_owned() };
    let text = match text.strip_prefix('0') {
        Some(rest) if is_number && rest.len() >= 9 => rest.to_owned(),
        _ => text,
    };
    let escaped = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}

/// Hiragana as katakana.
fn katakana(text: &str) -> String {
    let kana = |char: char| match char {
        // Hiragana stands 0x60 below katakana.
        'ぁ'..='ゖ' => char::from_u32(u32::from(char) + 0x60).unwrap_or(char),
        '\u{3000}' => ' ',
        other => other,
    };
    text.chars().map(kana).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_what_was_typed_and_no_pattern() {
        for (text, expected) in [
            ("", ""),
            ("  ", ""),
            ("100%", "%100!%%"),
            ("A_1!", "%A!_1!!%"),
            ("090-1234-5678", "%9012345678%"),
            ("5678", "%5678%"),
            ("0042", "%0042%"),
            ("カンザキ", "%カンザキ%"),
        ] {
            assert_eq!(pattern(text), expected, "{text}");
        }
        assert_eq!(katakana("かんざき　はな"), "カンザキ ハナ");
    }
}
