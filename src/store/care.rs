//! What staff agree and note about a patient: times, days, contacts, settings, notes.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use sqlx::AnyConnection;

use crate::base::clock::civil;
use crate::base::id::{
    CampaignId, ChangeId, ClinicId, EpisodeId, PatientId, SlotId, StaffId, StaffNoteId,
};
use crate::base::{PhoneNumber, Private};
use crate::campaign::{NewSlot, Slot};
use crate::registry::{
    Arrangement, Clinic, Contact, DoctorsOrder, Episode, Gender, Relation, Signed, StaffNote,
};
use crate::store::dial::unagreed;
use crate::store::pause::{hold_of_slot, skip_for};
use crate::store::registry::{active_episode, skip_slots_after, time_of_day, whole_minutes};
use crate::store::retention::{consent_of, save_consent};
use crate::store::row::{Fields, SIGNED, millis, select_slots, slot};
use crate::store::schedule::{drop_due_attempt, open_slot};
use crate::store::{StoreError, Topic, Within};
use crate::tape::Consent;

/// What of a patient can be set, and was.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Setting {
    /// The times of day agreed for the calls, with a space between them.
    CallTimes,
    /// The last day under observation.
    LastDay,
    /// The end of the observation: its last day, and the day on which it was ended.
    ObservationEnd,
    /// Slow speech: 0 or 1.
    SlowSpeech,
    /// The contracted clinic, by its name; empty for the centre itself.
    Clinic,
    /// The contact plan: how many there are.
    Contacts,
    /// What the patient said to being recorded: the word of [`Consent`].
    RecordingConsent,
    /// 性別: the word of [`Gender`]; empty if nobody told.
    Gender,
    /// The campaign, by its name; empty for the centre's first one.
    Campaign,
    /// The days of the week, Monday first: `1111100`.
    Weekdays,
    /// The tolerance in minutes; empty for the campaign's.
    Tolerance,
    /// By which way the patient reports: the word of the channel.
    Channel,
    /// A doctor's order that no machine calls: 0 or 1; the order stands in the reason.
    NoAutomation,
    /// Whether a telephone may be called: its last digits, and `given` or `refused`.
    PhoneConsent,
}

impl Setting {
    const ALL: [Self; 14] = [
        Self::CallTimes,
        Self::LastDay,
        Self::ObservationEnd,
        Self::SlowSpeech,
        Self::Clinic,
        Self::Contacts,
        Self::RecordingConsent,
        Self::Gender,
        Self::Campaign,
        Self::Weekdays,
        Self::Tolerance,
        Self::Channel,
        Self::NoAutomation,
        Self::PhoneConsent,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::CallTimes => "call_times",
            Self::LastDay => "last_day",
            Self::ObservationEnd => "observation_end",
            Self::SlowSpeech => "slow_speech",
            Self::Clinic => "clinic",
            Self::Contacts => "contacts",
            Self::RecordingConsent => "recording_consent",
            Self::Gender => "gender",
            Self::Campaign => "campaign",
            Self::Weekdays => "weekdays",
            Self::Tolerance => "tolerance",
            Self::Channel => "channel",
            Self::NoAutomation => "no_automation",
            Self::PhoneConsent => "phone_consent",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.as_str() == text)
    }
}

/// A change of a patient's settings.
#[derive(Clone, Debug)]
pub struct PatientChange {
    /// What was set.
    pub setting: Setting,
    /// What it was before.
    pub before: String,
    /// What it is since.
    pub after: String,
    /// Why; may be empty.
    pub reason: Private<String>,
    /// Who did it, and when.
    pub signed: Signed,
}

/// What is agreed with a patient about how to be reached.
#[derive(Clone, Debug)]
pub struct Agreed<'a> {
    /// How.
    pub arrangement: Arrangement,
    /// Which of the telephones may be called; those that are not named stay as they are.
    pub callable: &'a [(PhoneNumber, bool)],
    /// Why it is changed.
    pub reason: &'a str,
}

/// What is written down of a change.
#[derive(Clone)]
struct Changed<'a> {
    setting: Setting,
    before: String,
    after: String,
    reason: &'a str,
}

impl Within<'_> {
    /// Agrees on other times of day. `slots` are those that the new times make of this day; those
    /// whose time is over are left out here. Slots of the day at which nobody was called yet move
    /// to them; those that were called stay, and what overlaps with them is not opened.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also if the patient is not under observation.
    pub async fn set_call_times(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        times: &[Time],
        slots: &[NewSlot],
    ) -> Result<(), StoreError> {
        const SET: &str = "update episode set call_times = $2, updated_at = $3 where id = $1";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let episode = active_episode(connection, patient).await?;
        if episode.call_times == times {
            return Ok(());
        }
        let words =
            |times: &[Time]| times.iter().copied().map(time_of_day).collect::<Vec<_>>().join(" ");
        sqlx::query(SET)
            .bind(episode.id.to_string())
            .bind(words(times))
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        self.move_slots(connection, now, &episode, slots, "時刻変更").await?;
        let changed = Changed {
            setting: Setting::CallTimes,
            before: words(&episode.call_times),
            after: words(times),
            reason: "",
        };
        self.record(connection, now, by, patient, &changed).await?;
        session.commit(&[Topic::Registry, Topic::Slot, Topic::Over]).await
    }

    /// Agrees on how a patient is reached. `slots` are those that the arrangement makes of this day;
    /// they move as in [`Self::set_call_times`]. Calls that wait and are no longer agreed to are
    /// dropped; a call under way goes on.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also if the patient is not under observation, or the campaign is
    /// that of another centre.
    pub async fn set_arrangement(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        agreed: &Agreed<'_>,
        slots: &[NewSlot],
    ) -> Result<(), StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let episode = active_episode(connection, patient).await?;
        let (before, after) = (&episode.arrangement, &agreed.arrangement);
        let mut changes = consents(connection, patient, agreed.callable).await?;
        if before != after {
            save_arrangement(connection, now, episode.id, after).await?;
            let names = [
                self.name_of(connection, now, before.campaign).await?,
                self.name_of(connection, now, after.campaign).await?,
            ];
            changes.extend(differences(before, after, names));
        }
        if changes.is_empty() {
            return Ok(());
        }
        let moves = |arrangement: &Arrangement| {
            (arrangement.campaign, arrangement.weekdays, arrangement.tolerance)
        };
        if moves(before) != moves(after) {
            self.move_slots(connection, now, &episode, slots, "約束の変更").await?;
        }
        drop_unagreed(connection, patient).await?;
        for changed in &changes {
            let reason = match (changed.setting, &after.no_automation) {
                (Setting::NoAutomation, Some(order)) => {
                    format!("{}: {} ({})", order.by.expose(), order.why.expose(), agreed.reason)
                }
                _ => agreed.reason.to_owned(),
            };
            let changed = Changed { reason: &reason, ..changed.clone() };
            self.record(connection, now, by, patient, &changed).await?;
        }
        session.commit(&[Topic::Registry, Topic::Slot, Topic::Over]).await
    }

    /// The name of a campaign of the centre; empty for the first one.
    async fn name_of(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        campaign: Option<CampaignId>,
    ) -> Result<String, StoreError> {
        match campaign {
            None => Ok(String::new()),
            Some(id) => Ok(self.own(connection, now, id).await?.name),
        }
    }

    /// Sets the last day under observation, today or later.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also if the patient is not under observation.
    pub async fn set_last_day(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        last_day: Date,
    ) -> Result<(), StoreError> {
        const SET: &str = "update episode set last_day = $2, updated_at = $3 where id = $1";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let episode = active_episode(connection, patient).await?;
        if episode.last_day == last_day {
            return Ok(());
        }
        sqlx::query(SET)
            .bind(episode.id.to_string())
            .bind(last_day.to_string())
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        skip_slots_after(connection, now, episode.id, last_day).await?;
        let changed = Changed {
            setting: Setting::LastDay,
            before: episode.last_day.to_string(),
            after: last_day.to_string(),
            reason: "",
        };
        self.record(connection, now, by, patient, &changed).await?;
        session.commit(&[Topic::Registry, Topic::Over]).await
    }

    /// Ends the observation: today is the last day, and nobody is called any more. Done twice, it
    /// is ended once.
    pub async fn end_observation(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        reason: &str,
    ) -> Result<(), StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let episode = match active_episode(connection, patient).await {
            Err(StoreError::NotFound { .. }) => return Ok(()),
            other => other?,
        };
        end_episode(connection, now, &episode).await?;
        let changed = Changed {
            setting: Setting::ObservationEnd,
            before: episode.last_day.to_string(),
            after: civil(now).date().to_string(),
            reason,
        };
        self.record(connection, now, by, patient, &changed).await?;
        session.commit(&[Topic::Registry, Topic::Over]).await
    }

    /// Has a patient spoken to slowly, or not.
    pub async fn set_slow_speech(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        slow_speech: bool,
    ) -> Result<(), StoreError> {
        const SET: &str = "update patient set slow_speech = $2, updated_at = $3 \
            where id = $1 and slow_speech <> $2";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let done = sqlx::query(SET)
            .bind(patient.to_string())
            .bind(i64::from(slow_speech))
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        let changed = Changed {
            setting: Setting::SlowSpeech,
            before: i64::from(!slow_speech).to_string(),
            after: i64::from(slow_speech).to_string(),
            reason: "",
        };
        self.record(connection, now, by, patient, &changed).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Writes down the 性別 of a patient, or that nobody told.
    pub async fn set_gender(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        gender: Option<Gender>,
    ) -> Result<(), StoreError> {
        const BEFORE: &str = "select p.gender from patient p where p.id = $1";
        const SET: &str = "update patient set gender = $2, updated_at = $3 where id = $1";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let row = sqlx::query(BEFORE).bind(patient.to_string()).fetch_one(&mut *connection).await?;
        let before = Fields::new("patient", &row).word_or_null("gender", Gender::parse)?;
        if before == gender {
            return Ok(());
        }
        sqlx::query(SET)
            .bind(patient.to_string())
            .bind(gender.map(Gender::as_str))
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        let word = |gender: Option<Gender>| gender.map_or("", Gender::as_str).to_owned();
        let changed = Changed {
            setting: Setting::Gender,
            before: word(before),
            after: word(gender),
            reason: "",
        };
        self.record(connection, now, by, patient, &changed).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Sets what a patient said to being recorded
    /// ([`Store::set_recording_consent`](crate::store::Store::set_recording_consent)).
    pub async fn set_consent(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        consent: Consent,
    ) -> Result<(), StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let before = consent_of(connection, patient).await?;
        if before == consent {
            return Ok(());
        }
        save_consent(connection, now, patient, consent, &by.to_string()).await?;
        let changed = Changed {
            setting: Setting::RecordingConsent,
            before: before.as_str().to_owned(),
            after: consent.as_str().to_owned(),
            reason: "",
        };
        self.record(connection, now, by, patient, &changed).await?;
        session.commit(&[Topic::Registry, Topic::Recording]).await
    }

    /// Gives a patient into the care of a contracted clinic, or takes them back.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also for a clinic of another centre.
    pub async fn assign_clinic(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        clinic: Option<ClinicId>,
    ) -> Result<(), StoreError> {
        const SET: &str = "update patient set clinic_id = $2, updated_at = $3 where id = $1";
        const BEFORE: &str = "select p.clinic_id from patient p where p.id = $1";
        // A clinic gives nobody away, and takes nobody.
        if self.scope.clinic.is_some() {
            return Err(StoreError::NotFound { what: "patient" });
        }
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let clinics = clinics_of(connection, &self.center_text()).await?;
        let name = |id: Option<ClinicId>| match id {
            None => Some(String::new()),
            Some(id) => clinics.iter().find(|one| one.id == id).map(|one| one.name.clone()),
        };
        let after = name(clinic).ok_or(StoreError::NotFound { what: "clinic" })?;
        let row = sqlx::query(BEFORE).bind(patient.to_string()).fetch_one(&mut *connection).await?;
        let before = Fields::new("patient", &row).parsed_or_null("clinic_id")?;
        if before == clinic {
            return Ok(());
        }
        sqlx::query(SET)
            .bind(patient.to_string())
            .bind(clinic.map(|id| id.to_string()))
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        let before = name(before).unwrap_or_default();
        let changed = Changed { setting: Setting::Clinic, before, after, reason: "" };
        self.record(connection, now, by, patient, &changed).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Replaces the contact plan.
    pub async fn set_contacts(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        contacts: &[Contact],
    ) -> Result<(), StoreError> {
        const CLEAR: &str = "delete from contact_plan where patient_id = $1";
        const INSERT: &str = "insert into contact_plan \
            (patient_id, position, relation, name, phone, is_keyholder, note) \
            values ($1, $2, $3, $4, $5, $6, $7)";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let before = contacts_of(connection, patient).await?;
        if before == contacts {
            return Ok(());
        }
        sqlx::query(CLEAR).bind(patient.to_string()).execute(&mut *connection).await?;
        for (position, contact) in (1_i64..).zip(contacts) {
            sqlx::query(INSERT)
                .bind(patient.to_string())
                .bind(position)
                .bind(contact.relation.as_str())
                .bind(contact.name.expose().as_str())
                .bind(contact.phone.expose().as_str())
                .bind(i64::from(contact.is_keyholder))
                .bind(contact.note.expose().as_str())
                .execute(&mut *connection)
                .await?;
        }
        let changed = Changed {
            setting: Setting::Contacts,
            before: before.len().to_string(),
            after: contacts.len().to_string(),
            reason: "",
        };
        self.record(connection, now, by, patient, &changed).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Adds a note. The same id again is the same note.
    pub async fn add_note(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        id: StaffNoteId,
        text: &str,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into patient_note (id, patient_id, staff_id, text, written_at) \
            values ($1, $2, $3, $4, $5) on conflict (id) do nothing";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let done = sqlx::query(INSERT)
            .bind(id.to_string())
            .bind(patient.to_string())
            .bind(by.to_string())
            .bind(text)
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        let event = ("patient.noted", id.to_string(), String::new());
        self.sign(connection, now, by, patient, event).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Writes a change down for colleagues, and into the chain.
    async fn record(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        changed: &Changed<'_>,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into patient_change \
            (id, patient_id, staff_id, kind, before, after, reason, changed_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let id = self.store.mint::<ChangeId>(now);
        sqlx::query(INSERT)
            .bind(id.to_string())
            .bind(patient.to_string())
            .bind(by.to_string())
            .bind(changed.setting.as_str())
            .bind(changed.before.as_str())
            .bind(changed.after.as_str())
            .bind(changed.reason)
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        let detail =
            format!("{}: {} → {}", changed.setting.as_str(), changed.before, changed.after);
        let event = ("patient.changed", id.to_string(), detail);
        self.sign(connection, now, by, patient, event).await
    }

    /// Gives the slots of a day, at which nobody was called yet, the times of the new ones.
    async fn move_slots(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        episode: &Episode,
        wanted: &[NewSlot],
        reason: &str,
    ) -> Result<(), StoreError> {
        const OF_DAY: &str = select_slots!(
            "where s.patient_id = $1 and s.date = $2 and s.episode_id = $3 order by s.number"
        );
        const CALLED: &str = "select distinct a.slot_id from slot s \
            join attempt a on a.slot_id = s.id where s.patient_id = $1 and s.date = $2 \
            and s.episode_id = $3 and a.dialed_at is not null";
        const MOVE: &str = "update slot set due_from = $2, due_to = $3, campaign_id = $4, \
            campaign_version = $5 where id = $1";
        const SURPLUS: &str = "update slot set state = 'skipped', reason = $3, \
            settled_at = $2, pause_id = null where id = $1";
        let date = civil(now).date();
        let bound = |statement| {
            let query = sqlx::query(statement).bind(episode.patient.to_string());
            query.bind(date.to_string()).bind(episode.id.to_string())
        };
        let rows = bound(OF_DAY).fetch_all(&mut *connection).await?;
        let slots = rows.iter().map(slot).collect::<Result<Vec<_>, _>>()?;
        let called = bound(CALLED).fetch_all(&mut *connection).await?;
        let called = called
            .iter()
            .map(|row| Fields::new("attempt", row).parsed::<SlotId>("slot_id"))
            .collect::<Result<Vec<_>, _>>()?;
        let (free, fixed): (Vec<_>, Vec<_>) = slots.iter().partition(|one| {
            (!one.state.is_final() || one.pause.is_some()) && !called.contains(&one.id)
        });
        let mut wanted = wanted.iter().filter(|new| {
            let overlaps = |old: &&Slot| {
                !old.state.is_final() && old.due_from < new.due_to && new.due_from < old.due_to
            };
            // On a day of rest nobody is called, whatever was agreed.
            new.date == date
                && new.due_to > now
                && new.rest.is_none()
                && !fixed.iter().any(overlaps)
        });
        for old in free {
            drop_due_attempt(connection, old.id).await?;
            match wanted.next() {
                Some(new) => {
                    sqlx::query(MOVE)
                        .bind(old.id.to_string())
                        .bind(millis(new.due_from))
                        .bind(millis(new.due_to))
                        .bind(new.campaign.map(|key| key.campaign.to_string()))
                        .bind(new.campaign.map(|key| i64::from(key.version)))
                        .execute(&mut *connection)
                        .await?;
                }
                None => {
                    sqlx::query(SURPLUS)
                        .bind(old.id.to_string())
                        .bind(millis(now))
                        .bind(reason)
                        .execute(&mut *connection)
                        .await?;
                }
            }
        }
        let last = slots.iter().map(|slot| slot.number).max().unwrap_or(0);
        // A day has at most four slots.
        for (number, new) in (last + 1..=4).zip(wanted) {
            let id = self.store.mint::<SlotId>(now);
            let new = NewSlot { number, ..new.clone() };
            open_slot(connection, now, id, &new).await?;
            if let Some(hold) = hold_of_slot(connection, id).await? {
                skip_for(connection, now, id, hold).await?;
            }
        }
        Ok(())
    }
}

async fn save_arrangement(
    connection: &mut AnyConnection,
    now: Timestamp,
    episode: EpisodeId,
    arrangement: &Arrangement,
) -> Result<(), StoreError> {
    const SET: &str = "update episode set campaign_id = $2, weekdays = $3, \
        tolerance_minutes = $4, channel = $5, no_automation = $6, updated_at = $7 where id = $1";
    sqlx::query(SET)
        .bind(episode.to_string())
        .bind(arrangement.campaign.map(|id| id.to_string()))
        .bind(i64::from(arrangement.weekdays.bits()))
        .bind(arrangement.tolerance.map(whole_minutes))
        .bind(arrangement.channel.as_str())
        .bind(arrangement.no_automation.as_ref().map(DoctorsOrder::to_text))
        .bind(millis(now))
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes down which telephones may be called; what of it is new.
async fn consents(
    connection: &mut AnyConnection,
    patient: PatientId,
    callable: &[(PhoneNumber, bool)],
) -> Result<Vec<Changed<'static>>, StoreError> {
    const SET: &str = "update patient_phone set consent = $3 \
        where patient_id = $1 and number = $2 and consent <> $3";
    let word = |may_call: bool| if may_call { "given" } else { "refused" };
    let mut changes = Vec::new();
    for (number, may_call) in callable {
        let done = sqlx::query(SET)
            .bind(patient.to_string())
            .bind(number.e164())
            .bind(word(*may_call))
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() > 0 {
            changes.push(Changed {
                setting: Setting::PhoneConsent,
                before: format!("{number} {}", word(!may_call)),
                after: format!("{number} {}", word(*may_call)),
                reason: "",
            });
        }
    }
    Ok(changes)
}

/// Drops the calls that wait although the patient has not agreed to them; the next turn plans
/// those that may be made.
pub(super) async fn drop_unagreed(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<(), StoreError> {
    const DROP: &str = concat!(
        "update attempt set state = 'dropped' where state = 'due' and patient_id = $1 \
         and id in (select a.id ",
        unagreed!(),
        " and a.patient_id = $1)"
    );
    sqlx::query(DROP).bind(patient.to_string()).execute(connection).await?;
    Ok(())
}

/// What of an arrangement is new, each as a change of its own. The names are those of the campaigns.
fn differences(
    before: &Arrangement,
    after: &Arrangement,
    [old_name, new_name]: [String; 2],
) -> Vec<Changed<'static>> {
    let days = |it: &Arrangement| -> String {
        let has = |day: u8| it.weekdays.bits() & (1 << day) != 0;
        (0..7).map(|day| if has(day) { '1' } else { '0' }).collect()
    };
    let minutes = |it: &Arrangement| {
        it.tolerance.map(|tolerance| whole_minutes(tolerance).to_string()).unwrap_or_default()
    };
    let ordered = |it: &Arrangement| i64::from(it.no_automation.is_some()).to_string();
    let channel = |it: &Arrangement| it.channel.as_str().to_owned();
    let pairs = [
        (Setting::Campaign, before.campaign == after.campaign, old_name, new_name),
        (Setting::Weekdays, before.weekdays == after.weekdays, days(before), days(after)),
        (Setting::Tolerance, before.tolerance == after.tolerance, minutes(before), minutes(after)),
        (Setting::Channel, before.channel == after.channel, channel(before), channel(after)),
        (
            Setting::NoAutomation,
            before.no_automation == after.no_automation,
            ordered(before),
            ordered(after),
        ),
    ];
    let new = pairs.into_iter().filter(|(_, is_same, ..)| !is_same);
    new.map(|(setting, _, before, after)| Changed { setting, before, after, reason: "" }).collect()
}

/// The contracted clinics of a centre, by code.
pub(super) async fn clinics_of(
    connection: &mut AnyConnection,
    center: &str,
) -> Result<Vec<Clinic>, StoreError> {
    const OF_CENTER: &str = "select n.id, n.health_center_id, n.code, n.name from clinic n \
        where n.health_center_id = $1 order by n.code";
    let rows = sqlx::query(OF_CENTER).bind(center).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("clinic", row);
            Ok(Clinic {
                id: fields.parsed("id")?,
                health_center: fields.parsed("health_center_id")?,
                code: fields.text("code")?.to_owned(),
                name: fields.text("name")?.to_owned(),
            })
        })
        .collect()
}

/// The contact plan of a patient, in its order.
pub(super) async fn contacts_of(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<Vec<Contact>, StoreError> {
    const OF_PATIENT: &str = "select t.relation, t.name, t.phone, t.is_keyholder, t.note \
        from contact_plan t where t.patient_id = $1 order by t.position";
    let rows = sqlx::query(OF_PATIENT).bind(patient.to_string()).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("contact_plan", row);
            Ok(Contact {
                relation: fields.word("relation", Relation::parse)?,
                name: Private::new(fields.text("name")?.to_owned()),
                phone: Private::new(fields.text("phone")?.to_owned()),
                is_keyholder: fields.flag("is_keyholder")?,
                note: Private::new(fields.text("note")?.to_owned()),
            })
        })
        .collect()
}

/// The changes of a patient's settings with `from <= changed_at < to`, oldest first.
pub(super) async fn changes_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<PatientChange>, StoreError> {
    const OF_PATIENT: &str = "select h.kind, h.before, h.after, h.reason, h.staff_id, \
        f.name as staff_name, h.changed_at as signed_at from patient_change h \
        join staff f on f.id = h.staff_id \
        where h.patient_id = $1 and h.changed_at >= $2 and h.changed_at < $3 \
        order by h.changed_at, h.id";
    let rows = sqlx::query(OF_PATIENT)
        .bind(patient.to_string())
        .bind(millis(from))
        .bind(millis(to))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("patient_change", row);
            Ok(PatientChange {
                setting: fields.word("kind", Setting::parse)?,
                before: fields.text("before")?.to_owned(),
                after: fields.text("after")?.to_owned(),
                reason: Private::new(fields.text("reason")?.to_owned()),
                signed: fields.signed(SIGNED)?,
            })
        })
        .collect()
}

/// The notes about a patient with `from <= written_at < to`, oldest first.
pub(super) async fn notes_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<StaffNote>, StoreError> {
    const OF_PATIENT: &str = "select h.id, h.text, h.staff_id, f.name as staff_name, \
        h.written_at as signed_at from patient_note h join staff f on f.id = h.staff_id \
        where h.patient_id = $1 and h.written_at >= $2 and h.written_at < $3 \
        order by h.written_at, h.id";
    let rows = sqlx::query(OF_PATIENT)
        .bind(patient.to_string())
        .bind(millis(from))
        .bind(millis(to))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("patient_note", row);
            Ok(StaffNote {
                id: fields.parsed("id")?,
                text: Private::new(fields.text("text")?.to_owned()),
                written: fields.signed(SIGNED)?,
            })
        })
        .collect()
}

/// Ends an episode: today is its last day, and what is due of it is skipped.
pub(super) async fn end_episode(
    connection: &mut AnyConnection,
    now: Timestamp,
    episode: &Episode,
) -> Result<(), StoreError> {
    const END: &str = "update episode set state = 'ended', last_day = $2, updated_at = $3 \
        where id = $1";
    let today = civil(now).date();
    // One that has not begun has no day before today.
    let last_day = episode.last_day.min(today.max(episode.first_day));
    sqlx::query(END)
        .bind(episode.id.to_string())
        .bind(last_day.to_string())
        .bind(millis(now))
        .execute(&mut *connection)
        .await?;
    let yesterday = today.saturating_sub(jiff::Span::new().days(1));
    skip_slots_after(connection, now, episode.id, yesterday).await
}
