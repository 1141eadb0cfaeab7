//! What is known of an illness, who may be released, and what staff decided.

use std::collections::{HashMap, HashSet};

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::clock::{civil, timestamp};
use crate::base::id::{
    CourseId, EpisodeId, ObservationId, PatientId, ReleaseDecisionId, SlotId, StaffId,
};
use crate::campaign::NewSlot;
use crate::ivr::Answer;
use crate::registry::{Course, Episode, LabTest, Patient, Signed};
use crate::release::judge::look_back;
use crate::release::{Decision, Findings, Proposal, ReleaseRules, Seen, judge};
use crate::store::care::end_episode;
use crate::store::health::{id_list, of_patients, pick};
use crate::store::lab_test::tests_of_all;
use crate::store::registry::{active_episode, episode, episode_columns, patient};
use crate::store::row::{Fields, SIGNED, millis};
use crate::store::schedule::open_slot;
use crate::store::{Store, StoreError, Topic, Within};

/// Somebody under observation, and what the rules propose.
#[derive(Clone, Debug)]
pub struct Convalescent {
    /// Who.
    pub patient: Patient,
    /// The days under observation.
    pub episode: Episode,
    /// What is known of the illness.
    pub course: Course,
    /// The tests of specimens that were not withdrawn, in the order in which they were taken.
    pub tests: Vec<LabTest>,
    /// What the rules propose.
    pub proposal: Proposal,
    /// What staff decided last.
    pub decided: Option<Decided>,
}

/// What a member of the staff decided.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What.
    pub decision: Decision,
    /// Why; may be empty.
    pub reason: Private<String>,
    /// Who, and when.
    pub signed: Signed,
}

/// A decision in the patient's own history.
#[derive(Clone, Debug)]
pub struct DecisionTaken {
    /// What was decided.
    pub decided: Decided,
    /// The version of the rules that was asked.
    pub rules: String,
    /// How much was in the way by these rules.
    pub n_blocks: u32,
}

/// What was written down of an illness, in the patient's own history.
#[derive(Clone, Debug)]
pub struct CourseWritten {
    /// What was known before of the same episode.
    pub before: Course,
    /// What is known since.
    pub after: Course,
    /// When it was written down.
    pub at: Timestamp,
    /// The member of the staff who did; `None` if a list said so.
    pub by: Option<Signed>,
}

/// What a member of the staff decides.
#[derive(Clone, Copy, Debug)]
pub struct Deciding<'a> {
    /// What.
    pub decision: Decision,
    /// Why; may be empty for a release that the rules propose.
    pub reason: &'a str,
    /// The call that tells the patient, if it is wanted.
    pub farewell: Option<&'a NewSlot>,
    /// Whether they saw a candidate when they decided; `None` if they do not say.
    pub saw_candidate: Option<bool>,
}

/// Why a decision is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotDecided {
    /// Something is in the way, or the observation goes on: that wants a reason.
    NoReason,
    /// The observation is over.
    Over,
    /// The rules say otherwise than when somebody looked: something was answered or tested since.
    Changed,
}

/// The course in force of an episode `e`.
macro_rules! course_columns {
    () => {
        "c.onset_day, c.specimen_day, c.has_symptoms"
    };
}

impl Store {
    /// Notes what a list said about the illness of somebody under observation. What staff wrote
    /// stays, and so does what is known if the list says nothing.
    pub async fn note_course(
        &self,
        now: Timestamp,
        patient: PatientId,
        course: &Course,
    ) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        note_course(self, session.connection(), now, patient, course).await?;
        session.commit(&[Topic::Registry]).await
    }
}

/// See [`Store::note_course`].
pub(super) async fn note_course(
    store: &Store,
    connection: &mut AnyConnection,
    now: Timestamp,
    patient: PatientId,
    course: &Course,
) -> Result<(), StoreError> {
    let episode = match active_episode(connection, patient).await {
        Err(StoreError::NotFound { .. }) => return Ok(()),
        other => other?,
    };
    let (known, by_staff) = current_course(connection, episode.id).await?;
    if !course.is_known() || by_staff || known == *course {
        return Ok(());
    }
    write_course(store, connection, now, (episode.id, course), None).await
}

/// The course in force, and whether staff wrote it.
async fn current_course(
    connection: &mut AnyConnection,
    episode: EpisodeId,
) -> Result<(Course, bool), StoreError> {
    const CURRENT: &str = concat!(
        "select ",
        course_columns!(),
        ", c.staff_id from episode_course c where c.episode_id = $1 and c.is_current = 1"
    );
    let row = sqlx::query(CURRENT).bind(episode.to_string()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok((Course::default(), false)) };
    let by = Fields::new("episode_course", &row).parsed_or_null::<StaffId>("staff_id")?;
    Ok((course(&row)?, by.is_some()))
}

fn course(row: &AnyRow) -> Result<Course, StoreError> {
    let fields = Fields::new("episode_course", row);
    let has_symptoms = match fields.text("has_symptoms")? {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    Ok(Course {
        onset: fields.parsed_or_null("onset_day")?,
        specimen: fields.parsed_or_null("specimen_day")?,
        has_symptoms,
    })
}

async fn write_course(
    store: &Store,
    connection: &mut AnyConnection,
    now: Timestamp,
    (episode, course): (EpisodeId, &Course),
    by: Option<StaffId>,
) -> Result<(), StoreError> {
    const PAST: &str =
        "update episode_course set is_current = 0 where episode_id = $1 and is_current = 1";
    const INSERT: &str = "insert into episode_course (id, episode_id, onset_day, specimen_day, \
        has_symptoms, day_zero, is_current, written_at, staff_id) \
        values ($1, $2, $3, $4, $5, $6, 1, $7, $8)";
    sqlx::query(PAST).bind(episode.to_string()).execute(&mut *connection).await?;
    let word = match course.has_symptoms {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    };
    let day = |day: Option<Date>| day.map(|day| day.to_string());
    sqlx::query(INSERT)
        .bind(store.mint::<CourseId>(now).to_string())
        .bind(episode.to_string())
        .bind(day(course.onset))
        .bind(day(course.specimen))
        .bind(word)
        .bind(day(course.day_zero()))
        .bind(millis(now))
        .bind(by.map(|by| by.to_string()))
        .execute(connection)
        .await?;
    Ok(())
}

/// Selects people under observation on the day `$1` with what is known of their illness, within a
/// scope.
macro_rules! select_convalescents {
    ($rest:expr) => {
        concat!(
            "select ",
            episode_columns!(),
            ", c.onset_day, c.specimen_day, coalesce(c.has_symptoms, 'unknown') as has_symptoms, \
             (select count(*) from escalation_case k where k.patient_id = e.patient_id \
             and k.state <> 'resolved') as open_cases from episode e \
             join patient p on p.id = e.patient_id \
             left join episode_course c on c.episode_id = e.id and c.is_current = 1 \
             where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1 \
             and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3) ",
            $rest
        )
    };
}

impl Within<'_> {
    /// Those under observation on whose illness enough days have passed for somebody to be
    /// released by these rules, and those whose days a negative test may shorten; the longest ill
    /// first, at most `limit`.
    pub async fn convalescents(
        &self,
        now: Timestamp,
        rules: &ReleaseRules,
        limit: u32,
    ) -> Result<Vec<Convalescent>, StoreError> {
        const OF_DAYS: &str = select_convalescents!(
            "and c.day_zero is not null and c.day_zero <= $4 order by c.day_zero, p.id limit $5"
        );
        // Whoever had a negative test since; each statement in the order of an index of its own.
        const TESTED: &str = select_convalescents!(
            "and c.day_zero > $4 and e.id in (select t.episode_id from lab_test t \
             where t.result = 'negative' and t.withdrawn_at is null and t.collected_at >= $6) \
             order by c.day_zero, p.id limit $5"
        );
        let today = civil(now).date();
        let days = i64::from(rules.fewest_days()) + i64::from(rules.offset);
        let latest = today.saturating_sub(days.days());
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let find = |statement, room: usize| {
            sqlx::query(statement)
                .bind(today.to_string())
                .bind(self.center_text())
                .bind(self.clinic_text())
                .bind(latest.to_string())
                .bind(i64::try_from(room).unwrap_or(i64::MAX))
        };
        let rows = find(OF_DAYS, limit as usize).fetch_all(&mut *connection).await?;
        let mut people = self.propose(connection, now, rules, &rows).await?;
        let room = (limit as usize).saturating_sub(people.len());
        let since = timestamp(latest.to_datetime(Time::midnight()));
        let tested = find(TESTED, room).bind(millis(since)).fetch_all(&mut *connection).await?;
        let mut tested = self.propose(connection, now, rules, &tested).await?;
        // Whom no test helps, the rules judge by the days, and these have not passed.
        tested.retain(|one| {
            rules.path_of(&one.proposal.path).is_some_and(|path| path.tests.is_some())
        });
        people.extend(tested);
        Ok(people)
    }

    /// What the rules propose about one patient; `None` if they are not under observation.
    pub async fn convalescent(
        &self,
        now: Timestamp,
        rules: &ReleaseRules,
        patient: PatientId,
    ) -> Result<Option<Convalescent>, StoreError> {
        let mut session = self.store.read().await?;
        self.one_convalescent(session.connection(), now, rules, patient).await
    }

    async fn one_convalescent(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        rules: &ReleaseRules,
        patient: PatientId,
    ) -> Result<Option<Convalescent>, StoreError> {
        const ONE: &str = select_convalescents!("and p.id = $4");
        let rows = sqlx::query(ONE)
            .bind(civil(now).date().to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(patient.to_string())
            .fetch_all(&mut *connection)
            .await?;
        Ok(self.propose(connection, now, rules, &rows).await?.pop())
    }

    /// How many are under observation of whose illness no day 0 is known, and the first of them by
    /// registration number.
    pub async fn without_day_zero(
        &self,
        today: Date,
        limit: u32,
    ) -> Result<(u32, Vec<Patient>), StoreError> {
        const COUNT: &str = "select count(*) as n from episode e \
            join patient p on p.id = e.patient_id \
            where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1 \
            and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3) \
            and not exists (select 1 from episode_course c where c.episode_id = e.id \
            and c.is_current = 1 and c.day_zero is not null)";
        const FIRST: &str = "select p.id from episode e join patient p on p.id = e.patient_id \
            where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1 \
            and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3) \
            and not exists (select 1 from episode_course c where c.episode_id = e.id \
            and c.is_current = 1 and c.day_zero is not null) \
            order by p.registration_number limit $4";
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let row = sqlx::query(COUNT)
            .bind(today.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_one(&mut *connection)
            .await?;
        let count = Fields::new("episode", &row).integer("n")?;
        let rows = sqlx::query(FIRST)
            .bind(today.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(i64::from(limit))
            .fetch_all(&mut *connection)
            .await?;
        let mut people = Vec::with_capacity(rows.len());
        for row in &rows {
            people.push(patient(connection, Fields::new("patient", row).parsed("id")?).await?);
        }
        Ok((count, people))
    }

    async fn propose(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        rules: &ReleaseRules,
        rows: &[AnyRow],
    ) -> Result<Vec<Convalescent>, StoreError> {
        let episodes: Vec<Episode> = rows.iter().map(episode).collect::<Result<_, _>>()?;
        let ids: Vec<PatientId> = episodes.iter().map(|episode| episode.patient).collect();
        let mut seen = self.seen(connection, now, rules, &ids).await?;
        let mut tests = tests_of_all(self.store.dialect, connection, &ids).await?;
        let mut convalescents = Vec::with_capacity(rows.len());
        for (row, episode) in rows.iter().zip(episodes) {
            let open: i64 = Fields::new("escalation_case", row).integer("open_cases")?;
            let course = course(row)?;
            let seen = seen.remove(&episode.patient).unwrap_or_default();
            let tests = tests.remove(&episode.id).unwrap_or_default();
            let findings =
                Findings { course: &course, seen: &seen, tests: &tests, has_open_case: open > 0 };
            convalescents.push(Convalescent {
                patient: patient(connection, episode.patient).await?,
                proposal: judge(rules, findings, now),
                decided: last_decision(connection, episode.id).await?,
                tests,
                course,
                episode,
            });
        }
        Ok(convalescents)
    }

    /// What these patients answered to the questions of the rules, each answer as it was corrected
    /// last; and what they were asked and did not answer.
    async fn seen(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        rules: &ReleaseRules,
        patients: &[PatientId],
    ) -> Result<HashMap<PatientId, Vec<Seen>>, StoreError> {
        const OBSERVED: [&str; 2] = of_patients!(
            "select o.id, o.supersedes, o.patient_id, o.code, o.value, o.effective_at as at \
             from observation o where o.patient_id",
            "and o.effective_at >= $2"
        );
        const UNANSWERED: [&str; 2] = of_patients!(
            "select a.patient_id, w.question as code, w.answer as value, w.given_at as at \
             from answer w join attempt a on a.id = w.attempt_id where w.answer = 'unanswered' \
             and w.given_at >= $2 and a.patient_id",
            ""
        );
        let dialect = self.store.dialect;
        let (ids, since) = (id_list(patients), millis(now - look_back(rules)));
        let is_asked = |code: &str| rules.codes().any(|one| one == code);
        let mut seen: HashMap<PatientId, Vec<Seen>> = HashMap::new();
        let mut take = |row: &AnyRow| -> Result<(), StoreError> {
            let fields = Fields::new("observation", row);
            let code = fields.text("code")?.to_owned();
            if is_asked(&code) {
                let (at, value) = (fields.time("at")?, fields.word("value", Answer::parse)?);
                seen.entry(fields.parsed("patient_id")?).or_default().push(Seen {
                    at,
                    code,
                    value,
                });
            }
            Ok(())
        };
        let rows = sqlx::query(pick(dialect, OBSERVED))
            .bind(ids.as_str())
            .bind(since)
            .fetch_all(&mut *connection)
            .await?;
        let mut corrected: HashSet<ObservationId> = HashSet::new();
        for row in &rows {
            corrected.extend(
                Fields::new("observation", row).parsed_or_null::<ObservationId>("supersedes")?,
            );
        }
        for row in &rows {
            if !corrected.contains(&Fields::new("observation", row).parsed("id")?) {
                take(row)?;
            }
        }
        let rows = sqlx::query(pick(dialect, UNANSWERED))
            .bind(ids.as_str())
            .bind(since)
            .fetch_all(connection)
            .await?;
        rows.iter().try_for_each(take)?;
        Ok(seen)
    }

    /// Writes down what staff know of an illness.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also if the patient is not under observation.
    pub async fn set_course(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        course: &Course,
    ) -> Result<(), StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let episode = active_episode(connection, patient).await?;
        let (known, by_staff) = current_course(connection, episode.id).await?;
        if by_staff && known == *course {
            return Ok(());
        }
        write_course(self.store, connection, now, (episode.id, course), Some(by)).await?;
        let event = ("patient.course_written", episode.id.to_string(), String::new());
        self.sign(connection, now, by, patient, event).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Writes down what a member of the staff decides; a release ends the observation, and opens the
    /// slot for a farewell, if one is wanted. The rules are asked again in the same transaction.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] as [`Self::patient`].
    pub async fn decide_release(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        rules: &ReleaseRules,
        deciding: Deciding<'_>,
    ) -> Result<Result<Proposal, NotDecided>, StoreError> {
        const INSERT: &str = "insert into release_decision (id, patient_id, episode_id, decision, \
            rules, path, blocks, reason, decided_at, staff_id) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let Some(one) = self.one_convalescent(connection, now, rules, patient).await? else {
            return Ok(Err(NotDecided::Over));
        };
        let Deciding { decision, reason, farewell, saw_candidate } = deciding;
        if saw_candidate.is_some_and(|saw| saw != one.proposal.is_candidate()) {
            return Ok(Err(NotDecided::Changed));
        }
        let needs_reason = decision == Decision::Kept || !one.proposal.is_candidate();
        if needs_reason && reason.is_empty() {
            return Ok(Err(NotDecided::NoReason));
        }
        let id = self.store.mint::<ReleaseDecisionId>(now);
        sqlx::query(INSERT)
            .bind(id.to_string())
            .bind(patient.to_string())
            .bind(one.episode.id.to_string())
            .bind(decision.as_str())
            .bind(one.proposal.rules.as_str())
            .bind(one.proposal.path.as_str())
            .bind(i64::try_from(one.proposal.blocks.len()).unwrap_or(i64::MAX))
            .bind(reason)
            .bind(millis(now))
            .bind(by.to_string())
            .execute(&mut *connection)
            .await?;
        let detail = format!("{} by {}", decision.as_str(), one.proposal.rules);
        let event = ("release.decided", id.to_string(), detail);
        self.sign(connection, now, by, patient, event).await?;
        if decision == Decision::Released {
            end_episode(connection, now, &one.episode).await?;
            if let Some(slot) = farewell {
                open_slot(connection, now, self.store.mint::<SlotId>(now), slot).await?;
            }
        }
        session.commit(&[Topic::Registry, Topic::Slot, Topic::Over]).await?;
        Ok(Ok(one.proposal))
    }
}

/// The columns of a decision `d` by a member of the staff `f` that [`decided`] reads.
macro_rules! decision_columns {
    () => {
        "d.decision, d.reason, d.staff_id, f.name as staff_name, d.decided_at as signed_at"
    };
}

async fn last_decision(
    connection: &mut AnyConnection,
    episode: EpisodeId,
) -> Result<Option<Decided>, StoreError> {
    const LAST: &str = concat!(
        "select ",
        decision_columns!(),
        " from release_decision d join staff f on f.id = d.staff_id \
         where d.episode_id = $1 order by d.decided_at desc limit 1"
    );
    let row = sqlx::query(LAST).bind(episode.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(decided).transpose()
}

fn decided(row: &AnyRow) -> Result<Decided, StoreError> {
    let fields = Fields::new("release_decision", row);
    Ok(Decided {
        decision: fields.word("decision", Decision::parse)?,
        reason: Private::new(fields.text("reason")?.to_owned()),
        signed: fields.signed(SIGNED)?,
    })
}

/// What was written down of a patient's illness with `from <= written_at < to`, oldest first.
pub(super) async fn courses_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<CourseWritten>, StoreError> {
    const OF_PATIENT: &str = concat!(
        "select ",
        course_columns!(),
        ", c.episode_id, c.staff_id, f.name as staff_name, c.written_at as signed_at \
         from episode_course c join episode e on e.id = c.episode_id \
         left join staff f on f.id = c.staff_id \
         where e.patient_id = $1 and c.written_at < $2 order by c.written_at, c.id"
    );
    let rows = sqlx::query(OF_PATIENT)
        .bind(patient.to_string())
        .bind(millis(to))
        .fetch_all(connection)
        .await?;
    let mut known: HashMap<EpisodeId, Course> = HashMap::new();
    let mut written = Vec::new();
    for row in &rows {
        let fields = Fields::new("episode_course", row);
        let after = course(row)?;
        let before = known.insert(fields.parsed("episode_id")?, after).unwrap_or_default();
        let (by, at) = (fields.parsed_or_null::<StaffId>("staff_id")?, fields.time("signed_at")?);
        if at >= from {
            let by = by.map(|_| fields.signed(SIGNED)).transpose()?;
            written.push(CourseWritten { before, after, at, by });
        }
    }
    Ok(written)
}

/// What was decided about a patient's release with `from <= decided_at < to`, oldest first.
pub(super) async fn decisions_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<DecisionTaken>, StoreError> {
    const OF_PATIENT: &str = concat!(
        "select ",
        decision_columns!(),
        ", d.rules, d.blocks from release_decision d join staff f on f.id = d.staff_id \
         where d.patient_id = $1 and d.decided_at >= $2 and d.decided_at < $3 \
         order by d.decided_at, d.id"
    );
    let rows = sqlx::query(OF_PATIENT)
        .bind(patient.to_string())
        .bind(millis(from))
        .bind(millis(to))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("release_decision", row);
            Ok(DecisionTaken {
                decided: decided(row)?,
                rules: fields.text("rules")?.to_owned(),
                n_blocks: fields.integer("blocks")?,
            })
        })
        .collect()
}
