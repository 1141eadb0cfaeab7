//! Sets of rules that were made in the console, and the past to try them on.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use sqlx::any::AnyRow;

use crate::base::clock;
use crate::base::id::{HealthCenterId, PatientId, RuleSetId, StaffId};
use crate::campaign::terms::Stock;
use crate::campaign::{Attempt, Slot};
use crate::escalation::RuleSet;
use crate::escalation::rule::RuleBook;
use crate::escalation::trial::Past;
use crate::observation::Observation;
use crate::registry::AuditEntry;
use crate::store::registry::{fold_patients, patient_columns};
use crate::store::row::{self, Fields, attempt_columns, millis, observation_columns, slot_columns};
use crate::store::{Store, StoreError, Topic, Within, audit};

/// A set of rules that was made in the console.
#[derive(Clone, Debug)]
pub struct MadeRules {
    /// The id.
    pub id: RuleSetId,
    /// The set.
    pub set: RuleSet,
    /// Where it stands.
    pub state: RulesState,
    /// The doctor who answers for it; empty until somebody does.
    pub signed_by: String,
    /// When the doctor signed.
    pub signed_on: Option<Date>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Who released or withdrew it last.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Timestamp>,
}

/// Where a set of rules stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RulesState {
    /// Written, in force nowhere.
    Draft,
    /// In force from its first day on.
    Released,
    /// Not in force any more; the facts that it made still name it.
    Withdrawn,
}

impl RulesState {
    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Released => "released",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Draft, Self::Released, Self::Withdrawn]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

macro_rules! select_rules {
    ($rest:literal) => {
        concat!(
            "select r.id, r.version, r.body, r.state, r.signed_by, r.signed_on, r.created_at, \
             r.decided_at, m.name as created_by_name, d.name as decided_by_name from rule_set r \
             join staff m on m.id = r.created_by left join staff d on d.id = r.decided_by ",
            $rest
        )
    };
}

/// Patients of a centre whose history is asked for, some at a time: $1 centre, $2 clinic, $3 after
/// this id, $4 how many.
macro_rules! of_some {
    ($rest:expr) => {
        concat!(
            "with chosen as (select p.id from patient p where p.health_center_id = $1 \
             and ($2 = '' or p.clinic_id = $2) and p.id > $3 order by p.id limit $4) ",
            $rest
        )
    };
}

impl Store {
    /// The rules that a centre has made for itself and that are in force on a day.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if they cannot be read any more: those of the configuration hold.
    pub async fn rules_in_force(
        &self,
        center: HealthCenterId,
        day: Date,
    ) -> Result<Option<RuleSet>, StoreError> {
        const IN_FORCE: &str = "select r.version, r.body from rule_set r \
            where r.health_center_id = $1 and r.state = 'released' and r.effective_from <= $2 \
            order by r.effective_from desc limit 1";
        let mut session = self.glance().await?;
        let row = sqlx::query(IN_FORCE)
            .bind(center.to_string())
            .bind(day.to_string())
            .fetch_optional(session.connection())
            .await?;
        row.as_ref().map(set).transpose()
    }
}

impl Store {
    /// The rules of this version that a centre has made for itself and released, if their first day
    /// has come.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if they cannot be read any more.
    pub async fn rules_of_version(
        &self,
        center: HealthCenterId,
        version: &str,
        day: Date,
    ) -> Result<Option<RuleSet>, StoreError> {
        const OF_VERSION: &str = "select r.version, r.body from rule_set r \
            where r.health_center_id = $1 and r.version = $2 and r.state = 'released' \
            and r.effective_from <= $3";
        let mut session = self.glance().await?;
        let row = sqlx::query(OF_VERSION)
            .bind(center.to_string())
            .bind(version)
            .bind(day.to_string())
            .fetch_optional(session.connection())
            .await?;
        row.as_ref().map(set).transpose()
    }
}

fn set(row: &AnyRow) -> Result<RuleSet, StoreError> {
    let fields = Fields::new("rule_set", row);
    RuleSet::parse(fields.text("version")?, fields.text("body")?)
        .map_err(|_| fields.corrupt("body"))
}

impl Within<'_> {
    /// What the terms of the centre's campaigns may name: these questionnaires, and the sets of rules
    /// that it has released or that are shipped and configured, once their first day has come.
    pub async fn stock(
        &self,
        now: Timestamp,
        questionnaires: &[String],
        rules: &RuleBook,
    ) -> Result<Stock, StoreError> {
        let today = clock::civil(now).date();
        let made = self.rules_made().await?;
        let own = made.iter().filter(|one| one.state == RulesState::Released).map(|one| &one.set);
        let mut versions: Vec<String> = Vec::new();
        for set in own.chain(rules.sets()).filter(|set| set.effective_from <= today) {
            if !versions.contains(&set.version) {
                versions.push(set.version.clone());
            }
        }
        Ok(Stock { questionnaires: questionnaires.to_vec(), rules: versions })
    }

    /// Keeps a draft.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with `rule_set_version` if the centre has a set of this version.
    pub async fn add_rules(
        &self,
        now: Timestamp,
        by: StaffId,
        set: &RuleSet,
        entry: &AuditEntry,
    ) -> Result<RuleSetId, StoreError> {
        const ADD: &str = "insert into rule_set (id, health_center_id, version, body, \
            effective_from, state, signed_by, created_by, created_at) \
            values ($1, $2, $3, $4, $5, 'draft', '', $6, $7)";
        let id: RuleSetId = self.store.mint(now);
        let mut session = self.store.write().await?;
        sqlx::query(ADD)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(set.version.as_str())
            .bind(set.text.as_str())
            .bind(set.effective_from.to_string())
            .bind(by.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        let entry = AuditEntry { object: id.to_string(), ..entry.clone() };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[]).await?;
        Ok(id)
    }

    /// The sets that the centre has made, the latest first day first.
    pub async fn rules_made(&self) -> Result<Vec<MadeRules>, StoreError> {
        const ALL: &str = select_rules!(
            "where r.health_center_id = $1 order by r.effective_from desc, r.created_at desc"
        );
        let mut session = self.store.glance().await?;
        let rows =
            sqlx::query(ALL).bind(self.center_text()).fetch_all(session.connection()).await?;
        rows.iter().map(made).collect()
    }

    /// One of them.
    pub async fn rules(&self, id: RuleSetId) -> Result<MadeRules, StoreError> {
        const BY_ID: &str = select_rules!("where r.id = $1 and r.health_center_id = $2");
        let mut session = self.store.glance().await?;
        let row = sqlx::query(BY_ID)
            .bind(id.to_string())
            .bind(self.center_text())
            .fetch_optional(session.connection())
            .await?;
        made(&row.ok_or(StoreError::NotFound { what: "set of rules" })?)
    }

    /// Puts a draft in force from its first day on, signed by a doctor.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if it is no draft any more, or its first day is over;
    /// [`StoreError::Conflict`] with `rule_set_in_force` if another set begins on the same day.
    pub async fn release_rules(
        &self,
        now: Timestamp,
        id: RuleSetId,
        by: StaffId,
        (doctor, signed_on): (&str, Date),
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const RELEASE: &str = "update rule_set set state = 'released', signed_by = $3, \
            signed_on = $4, decided_by = $5, decided_at = $6 where id = $1 \
            and health_center_id = $2 and state = 'draft' and effective_from >= $7";
        let mut session = self.store.write().await?;
        let done = sqlx::query(RELEASE)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(doctor)
            .bind(signed_on.to_string())
            .bind(by.to_string())
            .bind(millis(now))
            .bind(clock::civil(now).date().to_string())
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "set of rules" });
        }
        let entry = AuditEntry { object: id.to_string(), ..entry.clone() };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Takes a set out of force: the one before holds again.
    pub async fn withdraw_rules(
        &self,
        now: Timestamp,
        id: RuleSetId,
        by: StaffId,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const WITHDRAW: &str = "update rule_set set state = 'withdrawn', decided_by = $3, \
            decided_at = $4 where id = $1 and health_center_id = $2 and state <> 'withdrawn'";
        let mut session = self.store.write().await?;
        let done = sqlx::query(WITHDRAW)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(by.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "set of rules" });
        }
        let entry = AuditEntry { object: id.to_string(), ..entry.clone() };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// What is known of up to `limit` patients, by id, from a day on: to try rules on.
    pub async fn past(
        &self,
        since: Date,
        until: Date,
        after: Option<PatientId>,
        limit: u32,
    ) -> Result<Vec<Past>, StoreError> {
        const PATIENTS: &str = of_some!(concat!(
            "select ",
            patient_columns!(),
            " from chosen c join patient p on p.id = c.id \
             left join patient_phone f on f.patient_id = p.id order by p.id, f.position"
        ));
        const OBSERVATIONS: &str = of_some!(concat!(
            "select ",
            observation_columns!(),
            " from chosen c join observation o on o.patient_id = c.id \
             where o.effective_at >= $5 and o.effective_at < $6 order by o.effective_at, o.id"
        ));
        const ATTEMPTS: &str = of_some!(concat!(
            "select ",
            attempt_columns!(),
            " from chosen c join attempt a on a.patient_id = c.id \
             where a.ended_at >= $5 and a.ended_at < $6 order by a.dialed_at, a.id"
        ));
        const SLOTS: &str = of_some!(concat!(
            "select ",
            slot_columns!(),
            " from chosen c join slot s on s.patient_id = c.id \
             where s.due_from >= $5 and s.due_from < $6 order by s.date, s.number"
        ));
        let moment = |day: Date| millis(clock::timestamp(day.to_datetime(Time::midnight())));
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let end = until.tomorrow().unwrap_or(until);
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let people = sqlx::query(PATIENTS)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(after.as_str())
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await?;
        let mut all = [Vec::new(), Vec::new(), Vec::new()];
        for (rows, statement) in all.iter_mut().zip([OBSERVATIONS, ATTEMPTS, SLOTS]) {
            *rows = sqlx::query(statement)
                .bind(self.center_text())
                .bind(self.clinic_text())
                .bind(after.as_str())
                .bind(i64::from(limit))
                .bind(moment(since))
                .bind(moment(end))
                .fetch_all(&mut *connection)
                .await?;
        }
        let [observations, attempts, slots] = all;
        let mut observed: HashMap<PatientId, Vec<Observation>> = HashMap::new();
        for row in &observations {
            let observation = row::observation(row)?;
            observed.entry(observation.patient).or_default().push(observation);
        }
        let mut called: HashMap<PatientId, Vec<Attempt>> = HashMap::new();
        for row in &attempts {
            let patient = Fields::new("attempt", row).parsed("patient_id")?;
            called.entry(patient).or_default().push(row::attempt(row)?);
        }
        let mut owed: HashMap<PatientId, Vec<Slot>> = HashMap::new();
        for row in &slots {
            let slot = row::slot(row)?;
            owed.entry(slot.patient).or_default().push(slot);
        }
        let past = fold_patients(&people)?.into_iter().map(|patient| Past {
            observations: observed.remove(&patient.id).unwrap_or_default(),
            attempts: called.remove(&patient.id).unwrap_or_default(),
            slots: owed.remove(&patient.id).unwrap_or_default(),
            patient,
        });
        Ok(past.collect())
    }
}

fn made(row: &AnyRow) -> Result<MadeRules, StoreError> {
    let fields = Fields::new("rule_set", row);
    Ok(MadeRules {
        id: fields.parsed("id")?,
        set: set(row)?,
        state: fields.word("state", RulesState::parse)?,
        signed_by: fields.text("signed_by")?.to_owned(),
        signed_on: fields.parsed_or_null("signed_on")?,
        created_by: fields.text("created_by_name")?.to_owned(),
        created_at: fields.time("created_at")?,
        decided_by: fields.text_or_null("decided_by_name")?.map(str::to_owned),
        decided_at: fields.time_or_null("decided_at")?,
    })
}
