//! Claims due attempts: the decision to call is made again in the transaction that commits it.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::base::clock::civil;
use crate::base::id::{AttemptId, PatientId, SlotId};
use crate::campaign::plan::TURN;
use crate::campaign::programme::{Caps, State};
use crate::campaign::retry::SPACING;
use crate::campaign::window::{EARLIEST, LATEST};
use crate::campaign::{Attempt, AttemptState, Book, Slot, Terms};
use crate::ivr::Entry;
use crate::observation::Channel;
use crate::registry::{Episode, HealthCenter, Patient};
use crate::store::campaign::{
    Means, installation_caps, load as load_of, open_ones, trunk_caps, ways_of_campaigns,
};
use crate::store::installation;
use crate::store::pause::{hold_of_slot, pauses_of, skip_for};
use crate::store::registry::{center_of, episode_by_id, health_centers, patient, time_of_day};
use crate::store::row::{self, Fields, millis, select_answers, select_attempts, select_slots};
use crate::store::schedule::{drop_due_attempt, emergency_of};
use crate::store::{Dialect, Store, StoreError, Topic};

/// Who claims, and on which terms.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// The name of this node, the same again after a restart.
    pub node: String,
    /// How long a claim holds without [`Store::extend_lease`].
    pub lease: Duration,
    /// A report by another channel this long before now makes the call needless (3 h).
    pub grace: Duration,
    /// Claim attempts at this patient only: somebody asked for this call now.
    pub only: Option<PatientId>,
    /// The name of the trunk that will place the calls.
    pub trunk: String,
    /// The group that it is in, if any.
    pub trunk_group: Option<String>,
    /// What can be asked here: no campaign is called for that asks something else.
    pub questionnaires: Arc<[String]>,
}

/// An attempt that is the claimant's to dial, and everything that the call needs.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The attempt, in the state dialing.
    pub attempt: Attempt,
    /// Its slot, in progress.
    pub slot: Slot,
    /// Whom to call.
    pub patient: Patient,
    /// In whose name.
    pub health_center: HealthCenter,
    /// The days under observation.
    pub episode: Episode,
    /// The terms of the patient's campaign, if there is one.
    pub terms: Option<Arc<Terms>>,
    /// What was answered in earlier attempts at this slot, in order.
    pub answered: Vec<Entry>,
    /// A case of the patient is open: staff are at it.
    pub has_open_case: bool,
    /// The days from this one on for which a pause holds.
    pub pauses: Vec<RangeInclusive<Date>>,
    /// Other slots from this day on that are settled already, by date and number.
    pub settled: Vec<(Date, u8)>,
    /// The attempt whose call goes on with this one, on the same line.
    pub continues: Option<AttemptId>,
}

/// The call that is about to end, and on whose line another of the household may be asked.
struct Before {
    patient: PatientId,
    phone: String,
}

/// An answer of the highest priority so lately is a matter for staff, and for no call in passing.
const LATELY: Duration = Duration::from_hours(24);

impl Store {
    /// Claims up to `limit` due attempts, so that no other worker dials them.
    ///
    /// For each, one transaction decides again: dialling was not stopped, and neither the
    /// installation nor the trunk nor the campaign has all the calls that it may have; the campaign
    /// runs, asks what can be asked, and calls at this hour of this day; the slot is still due and inside its window and the
    /// centre's hours and the hard limit of 8:00–20:00 (Asia/Tokyo); neither the number nor the
    /// patient is on the line, and the number was left alone for [`SPACING`]; no pause holds on the
    /// day, the observation was not ended and no other channel has reported, or else the slot is
    /// skipped and the attempt dropped. What is urgent goes first, then retries, then first calls;
    /// among equals the campaign with the fewest calls under way.
    pub async fn claim_due(
        &self,
        now: Timestamp,
        claimant: &Claimant,
        limit: u32,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut claims = Vec::new();
        // Whatever a centre's hours say.
        if !(EARLIEST..LATEST).contains(&civil(now).time()) {
            return Ok(claims);
        }
        // Each turn of the loop settles one attempt for good, so it comes to an end.
        while claims.len() < limit as usize {
            match self.claim_one(now, claimant, None).await {
                Ok(Turn::Claimed(claim)) => claims.push(*claim),
                Ok(Turn::Skipped) => {}
                Ok(Turn::NothingDue) => break,
                // Another node has taken the same number, or the same patient, between our look
                // and our write. What is left is for the next turn.
                Err(StoreError::Conflict { .. }) => break,
                // What is claimed must be dialled, whatever became of the rest.
                Err(error) if claims.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(claims)
    }

    /// Whether somebody else is to be asked on the line of this attempt, once its call has come to
    /// its end: another patient with the same first number has a call due, or one that only waits
    /// for this one to be over. Nobody is while dialling is stopped: the call says its farewell.
    pub async fn household_waits(
        &self,
        now: Timestamp,
        claimant: &Claimant,
        attempt: AttemptId,
    ) -> Result<bool, StoreError> {
        let mut session = self.read().await?;
        let connection = session.connection();
        if !installation::may_dial(connection).await? {
            return Ok(false);
        }
        let before = before(connection, attempt).await?;
        let book = self.book(connection, now).await?;
        let open = open_now(connection, now, &book, claimant, true).await?;
        Ok(household(connection, SQLITE_HOUSEHOLD, now, &before, &open).await?.is_some())
    }

    /// Claims the attempt at the next one of the household, on the line of the attempt that was
    /// just finished: as in [`Self::claim_due`], but that the number was called a moment ago, and
    /// that the attempt is answered from the start.
    pub async fn claim_next_in_household(
        &self,
        now: Timestamp,
        claimant: &Claimant,
        after: AttemptId,
    ) -> Result<Option<Claim>, StoreError> {
        if !(EARLIEST..LATEST).contains(&civil(now).time()) {
            return Ok(None);
        }
        loop {
            match self.claim_one(now, claimant, Some(after)).await {
                Ok(Turn::Claimed(claim)) => return Ok(Some(*claim)),
                Ok(Turn::Skipped) => {}
                // Another node has called the same number, or the same patient, meanwhile.
                Ok(Turn::NothingDue) | Err(StoreError::Conflict { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts back a call that went on from another's, if nobody took part in it: it was no attempt.
    /// It waits again, and the number is left alone for a while.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the attempt is not under way, or something was answered.
    pub async fn put_back_unheard(
        &self,
        now: Timestamp,
        attempt: AttemptId,
        node: &str,
    ) -> Result<(), StoreError> {
        const BACK: &str = "update attempt set state = 'due', node = null, lease_until = null, \
            dialed_at = null, answered_at = null, trunk = null, continues = null, due_at = $3 \
            where id = $1 and node = $2 and state = 'talking' and continues is not null \
            and not exists (select 1 from answer w where w.attempt_id = attempt.id) \
            returning slot_id";
        const DUE: &str = "update slot set state = 'due' where id = $1 and state = 'in_progress'";
        let mut session = self.write().await?;
        let row = sqlx::query(BACK)
            .bind(attempt.to_string())
            .bind(node)
            .bind(millis(now + SPACING))
            .fetch_optional(session.connection())
            .await?;
        let Some(row) = row else { return Err(StoreError::Stale { what: "attempt" }) };
        let slot: SlotId = Fields::new("attempt", &row).parsed("slot_id")?;
        sqlx::query(DUE).bind(slot.to_string()).execute(session.connection()).await?;
        session.commit(&[Topic::Over]).await
    }

    /// Whether a claimed call may still be placed, asked just before it is: nobody has stopped
    /// dialling, or paused its campaign, since it was claimed.
    pub async fn may_place(&self, now: Timestamp, attempt: AttemptId) -> Result<bool, StoreError> {
        const STATE: &str = "select c.state from attempt a join campaign c on c.id = a.campaign_id \
            where a.id = $1";
        if !(EARLIEST..LATEST).contains(&civil(now).time()) {
            return Ok(false);
        }
        let mut session = self.read().await?;
        if !installation::may_dial(session.connection()).await? {
            return Ok(false);
        }
        let row = sqlx::query(STATE)
            .bind(attempt.to_string())
            .fetch_optional(session.connection())
            .await?;
        row.map_or(Ok(true), |row| {
            Ok(Fields::new("campaign", &row).word("state", State::parse)? == State::Running)
        })
    }

    /// Gives a claim back: nothing was sent. The attempt waits again as it did before.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the attempt is no longer dialling.
    pub async fn give_back(&self, attempt: AttemptId, node: &str) -> Result<(), StoreError> {
        const BACK: &str = "update attempt set state = 'due', node = null, lease_until = null, \
            dialed_at = null, trunk = null where id = $1 and node = $2 and state = 'dialing' \
            and ringing_at is null and answered_at is null returning slot_id";
        const DUE: &str = "update slot set state = 'due' where id = $1 and state = 'in_progress'";
        let mut session = self.write().await?;
        let row = sqlx::query(BACK)
            .bind(attempt.to_string())
            .bind(node)
            .fetch_optional(session.connection())
            .await?;
        let Some(row) = row else { return Err(StoreError::Stale { what: "attempt" }) };
        let slot: SlotId = Fields::new("attempt", &row).parsed("slot_id")?;
        sqlx::query(DUE).bind(slot.to_string()).execute(session.connection()).await?;
        session.commit(&[Topic::Over]).await
    }

    /// When the earliest due attempt falls due; to sleep until then.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        const NEXT: &str = "select min(a.due_at) as due_at from attempt a where a.state = 'due'";
        let mut session = self.glance().await?;
        let row = sqlx::query(NEXT).fetch_one(session.connection()).await?;
        Fields::new("attempt", &row).time_or_null("due_at")
    }
}

/// What became of one look for a due attempt.
enum Turn {
    Claimed(Box<Claim>),
    /// Not to be called any more.
    Skipped,
    NothingDue,
}

/// The attempt that is next, whose row this transaction holds.
struct Candidate {
    attempt: AttemptId,
    slot: SlotId,
    patient: PatientId,
}

/// What must hold of an attempt, as `a`, before it is dialled, each by the name of its
/// `Condition`. The claim asks for all of them, and [`Store::waiting`] for each alone: so every
/// attempt that waits has its reason. $1 now, $2 the time of day, $3 since when a telephone must have
/// been left alone, $4 the patient or empty for everybody, $5 the campaigns that may place a call.
///
/// A slot is looked up by its id, and what is under way is listed once, whatever was counted when
/// nothing was due: a plus hides the indexes of due slots, in which each attempt would look through
/// all of them.
macro_rules! conditions {
    ($then:ident) => {
        $then! {
            Due "a.state = 'due' and a.due_at <= $1"
            InSlot "s.state = 'due' and +s.due_from <= $1 and +s.due_to > $1"
            InHours "c.opens_at <= $2 and c.closes_at > $2"
            Wanted "($4 = '' or a.patient_id = $4)"
            PhoneFree "a.phone not in (select l.phone from attempt l \
where l.state in ('dialing', 'talking'))"
            PhoneRested "not exists (select 1 from attempt l \
where l.phone = a.phone and l.ended_at > $3)"
            PatientFree "a.patient_id not in (select l.patient_id from attempt l \
where l.state in ('dialing', 'talking'))"
            CampaignOpen "(a.campaign_id is null or $5 like ('% ' || a.campaign_id || ' %'))"
        }
    };
}
pub(super) use conditions;

/// The tables that the [`conditions`] speak of: from the attempts that are due, which are few, to
/// their slots, of which a hundred thousand may be due. A cross join of SQLite keeps its order.
macro_rules! attempts_to_dial {
    () => {
        $crate::store::dial::attempts_to_dial!("")
    };
    ($more:literal) => {
        concat!(
            " from attempt a cross join slot s cross join patient p cross join health_center c ",
            $more,
            " where s.id = a.slot_id and p.id = a.patient_id and c.id = p.health_center_id and "
        )
    };
}
pub(super) use attempts_to_dial;

macro_rules! all_of {
    ($first:ident $condition:literal $($name:ident $further:literal)*) => {
        concat!($condition, $(" and ", $further),*)
    };
}

/// The next attempt that may be dialled at this moment.
macro_rules! select_candidate {
    ($lock:literal) => {
        concat!(
            "select a.id, a.slot_id, a.patient_id",
            attempts_to_dial!(
                "left join (select l.campaign_id, count(*) as n from attempt l \
                 where l.state in ('dialing', 'talking') group by l.campaign_id) busy \
                 on busy.campaign_id = a.campaign_id"
            ),
            conditions!(all_of),
            " order by a.priority, coalesce(busy.n, 0), a.due_at, a.id limit 1",
            $lock
        )
    };
}

// `begin immediate` has locked the whole file before the look.
const SQLITE_CANDIDATE: &str = select_candidate!("");
// Claimers do not wait for one another. The patient's row is locked too, so that a report by
// another channel is either seen here or waits until the call is committed.
const POSTGRES_CANDIDATE: &str = select_candidate!(" for no key update of a, s, p skip locked");

/// What must hold of the attempt at the next one of a household: all but what concerns the line,
/// which is there. A condition that is new to the claim must find its place here, too.
macro_rules! but_for_the_line {
    (Due $due:literal InSlot $in_slot:literal InHours $in_hours:literal Wanted $wanted:literal
        PhoneFree $free:literal PhoneRested $rested:literal PatientFree $patient_free:literal
        CampaignOpen $open:literal) => {
        concat!($in_slot, " and ", $in_hours, " and ", $patient_free, " and ", $open)
    };
}

/// The attempt at the next one of a household. $3 the number, $4 who was just asked, $6 until when
/// a first attempt may be due: it was planned behind the call that goes on.
macro_rules! select_household {
    ($lock:literal) => {
        concat!(
            "select a.id, a.slot_id, a.patient_id",
            attempts_to_dial!(),
            conditions!(but_for_the_line),
            " and a.state = 'due' and a.phone = $3 and a.patient_id <> $4 \
             and (a.due_at <= $1 or (a.number = 1 and a.due_at <= $6)) \
             and a.phone = (select f.number from patient_phone f \
             where f.patient_id = a.patient_id and f.consent = 'given' \
             order by f.position limit 1) \
             order by a.priority, a.due_at, a.id limit 1",
            $lock
        )
    };
}

const SQLITE_HOUSEHOLD: &str = select_household!("");
const POSTGRES_HOUSEHOLD: &str = select_household!(" for no key update of a, s, p skip locked");

/// The attempt that a call goes on from.
async fn before(connection: &mut AnyConnection, attempt: AttemptId) -> Result<Before, StoreError> {
    const ONE: &str = "select a.phone, a.patient_id from attempt a where a.id = $1";
    let row = sqlx::query(ONE).bind(attempt.to_string()).fetch_one(connection).await?;
    let fields = Fields::new("attempt", &row);
    Ok(Before { patient: fields.parsed("patient_id")?, phone: fields.text("phone")?.to_owned() })
}

/// The campaigns that may place a call, as the statements take them.
async fn open_now(
    connection: &mut AnyConnection,
    now: Timestamp,
    book: &Book,
    claimant: &Claimant,
    goes_on: bool,
) -> Result<String, StoreError> {
    let centers = health_centers(connection).await?;
    let groups = [claimant.trunk_group.as_deref()];
    let means = Means {
        trunk_groups: Some(&groups),
        questionnaires: Some(&claimant.questionnaires),
        goes_on,
    };
    let ways = ways_of_campaigns(connection, now, book, &centers, means).await?;
    Ok(open_ones(&ways))
}

async fn household(
    connection: &mut AnyConnection,
    statement: &'static str,
    now: Timestamp,
    before: &Before,
    open: &str,
) -> Result<Option<Candidate>, StoreError> {
    let row = sqlx::query(statement)
        .bind(millis(now))
        .bind(time_of_day(civil(now).time()))
        .bind(before.phone.as_str())
        .bind(before.patient.to_string())
        .bind(open)
        .bind(millis(now + TURN))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(candidate) = row.as_ref().map(candidate).transpose()? else { return Ok(None) };
    let emergency = emergency_of(connection, candidate.patient, now - LATELY).await?;
    Ok(emergency.is_none().then_some(candidate))
}

fn candidate(row: &AnyRow) -> Result<Candidate, StoreError> {
    let fields = Fields::new("attempt", row);
    Ok(Candidate {
        attempt: fields.parsed("id")?,
        slot: fields.parsed("slot_id")?,
        patient: fields.parsed("patient_id")?,
    })
}

impl Store {
    /// One look for an attempt that is due; on the line of another, if a call goes on.
    async fn claim_one(
        &self,
        now: Timestamp,
        claimant: &Claimant,
        after: Option<AttemptId>,
    ) -> Result<Turn, StoreError> {
        let mut session = self.write().await?;
        let connection = session.connection();
        // Locked, so that no two nodes take the last call that a cap allows.
        if !self.may_dial_locked(connection).await?
            || !has_room(connection, now, &claimant.trunk, after.is_some()).await?
        {
            return Ok(Turn::NothingDue);
        }
        let book = self.book(connection, now).await?;
        let open = open_now(connection, now, &book, claimant, after.is_some()).await?;
        let found = match after {
            None => self.candidate(connection, now, claimant, &open).await?,
            Some(after) => {
                let statement = match self.dialect {
                    Dialect::Sqlite => SQLITE_HOUSEHOLD,
                    Dialect::Postgres => POSTGRES_HOUSEHOLD,
                };
                let before = before(connection, after).await?;
                household(connection, statement, now, &before, &open).await?
            }
        };
        let Some(candidate) = found else { return Ok(Turn::NothingDue) };
        if let Some(hold) = hold_of_slot(connection, candidate.slot).await? {
            skip_for(connection, now, candidate.slot, hold).await?;
            session.commit(&[Topic::Over]).await?;
            return Ok(Turn::Skipped);
        }
        if is_unagreed(connection, &candidate).await? {
            drop_due_attempt(connection, candidate.slot).await?;
            session.commit(&[Topic::Over]).await?;
            return Ok(Turn::Skipped);
        }
        let looked_after = looked_after(connection, &candidate).await?;
        let reported = reported_otherwise(connection, now, claimant, &candidate).await?;
        if let Some(reason) = looked_after.or(reported) {
            give_up(connection, now, &candidate, "skipped", &reason).await?;
            session.commit(&[Topic::Over]).await?;
            return Ok(Turn::Skipped);
        }
        take(connection, now, claimant, &candidate, after).await?;
        let claim = match load(connection, &candidate, &book).await {
            Ok(claim) => Claim { continues: after, ..claim },
            Err(StoreError::Corrupt { table, column }) => {
                // A row that nobody can read must not stand in the way of all others; staff call.
                drop(session);
                let reason = format!("{table}.{column} を読めません");
                let mut session = self.write().await?;
                give_up(session.connection(), now, &candidate, "unreached", &reason).await?;
                session.commit(&[Topic::Over]).await?;
                return Ok(Turn::Skipped);
            }
            Err(other) => return Err(other),
        };
        session.commit(&[Topic::Call]).await?;
        Ok(Turn::Claimed(Box::new(claim)))
    }

    async fn candidate(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        claimant: &Claimant,
        open: &str,
    ) -> Result<Option<Candidate>, StoreError> {
        let row = sqlx::query(self.select_candidate())
            .bind(millis(now))
            .bind(time_of_day(civil(now).time()))
            .bind(millis(now - SPACING))
            .bind(claimant.only.map(|patient| patient.to_string()).unwrap_or_default())
            .bind(open)
            .fetch_optional(connection)
            .await?;
        row.as_ref().map(candidate).transpose()
    }

    fn select_candidate(&self) -> &'static str {
        match self.dialect {
            Dialect::Sqlite => SQLITE_CANDIDATE,
            Dialect::Postgres => POSTGRES_CANDIDATE,
        }
    }

    /// How the database goes about [`Self::claim_due`]: its own plan, line by line. For tuning.
    pub async fn explain_claim(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let (explain, column) = match self.dialect {
            Dialect::Sqlite => ("explain query plan ", "detail"),
            Dialect::Postgres => ("explain ", "QUERY PLAN"),
        };
        let statement = format!("{explain}{}", self.select_candidate());
        let mut session = self.write().await?;
        // Two constants joined; nothing comes from outside.
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(millis(now))
            .bind(time_of_day(civil(now).time()))
            .bind(millis(now - SPACING))
            .bind("")
            .bind(" ")
            .fetch_all(session.connection())
            .await?;
        Ok(rows.iter().map(|row| row.get(column)).collect())
    }
}

/// Whether one more call fits under the caps of the installation and of the trunk; one that goes on from
/// another is no new call.
pub(super) async fn has_room(
    connection: &mut AnyConnection,
    now: Timestamp,
    trunk: &str,
    goes_on: bool,
) -> Result<bool, StoreError> {
    let of_all = installation_caps(connection).await?;
    let of_trunk = trunk_caps(connection, trunk).await?;
    for (caps, trunk) in [(of_all, ""), (of_trunk, trunk)] {
        if caps == Caps::default() {
            continue;
        }
        let (live, dialed) = load_of(connection, now, trunk).await?;
        let has_room = |cap: Option<u32>, taken| cap.is_none_or(|cap| taken < cap);
        if !has_room(caps.lines, live) || !(goes_on || has_room(caps.calls_per_minute, dialed)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// An attempt, as `a`, that waits although the patient has not agreed to it: a doctor ordered that
/// no machine calls, the patient reports otherwise, or refused to be called at this number. Staff who
/// ask for a call know what was agreed about the way.
macro_rules! unagreed {
    () => {
        "from attempt a join slot s on s.id = a.slot_id \
         join episode e on e.id = s.episode_id where a.state = 'due' \
         and (e.no_automation is not null \
         or (e.channel <> 'telephone' and s.kind <> 'by_hand') \
         or exists (select 1 from patient_phone f where f.patient_id = a.patient_id \
         and f.number = a.phone and f.consent = 'refused'))"
    };
}
pub(super) use unagreed;

/// Whether the arrangement was changed since the attempt was planned.
async fn is_unagreed(
    connection: &mut AnyConnection,
    candidate: &Candidate,
) -> Result<bool, StoreError> {
    const UNAGREED: &str = concat!("select 1 as one ", unagreed!(), " and a.id = $1");
    let row = sqlx::query(UNAGREED)
        .bind(candidate.attempt.to_string())
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Why nobody need ask how it is after an emergency: staff have looked after it.
async fn looked_after(
    connection: &mut AnyConnection,
    candidate: &Candidate,
) -> Result<Option<String>, StoreError> {
    const SETTLED: &str = "select s.id from slot s where s.id = $1 and s.kind = 'recall' \
        and not exists (select 1 from escalation_case k where k.patient_id = s.patient_id \
        and k.state in ('open', 'acknowledged'))";
    let row =
        sqlx::query(SETTLED).bind(candidate.slot.to_string()).fetch_optional(connection).await?;
    Ok(row.map(|_| "ケース対応済".to_owned()))
}

/// Why the call is needless: another channel has reported for the slot, or a short while ago. What
/// follows from an answer is met by what was reported after it, and a value by that value. A farewell
/// is met by no report.
async fn reported_otherwise(
    connection: &mut AnyConnection,
    now: Timestamp,
    claimant: &Claimant,
    candidate: &Candidate,
) -> Result<Option<String>, StoreError> {
    const REPORTED: &str = "select o.channel, o.effective_at from observation o \
        join slot s on s.id = $2 \
        where o.patient_id = $1 and o.channel <> 'outbound_call' and o.value <> 'unanswered' \
        and o.supersedes is null and s.kind <> 'farewell' and (s.kind <> 'remeasure' \
        or (o.code = 'spo2' and o.value <> 'not_measured')) \
        and (o.slot_id = $2 or (o.effective_at >= \
        case when s.kind in ('remeasure', 'recall') then s.created_at else $3 end \
        and o.effective_at <= $4)) \
        order by o.effective_at desc limit 1";
    let row = sqlx::query(REPORTED)
        .bind(candidate.patient.to_string())
        .bind(candidate.slot.to_string())
        .bind(millis(now - claimant.grace))
        .bind(millis(now))
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let fields = Fields::new("observation", &row);
    let way = match fields.word("channel", Channel::parse)? {
        Channel::Web => "Web入力済",
        Channel::InboundCall => "折返し電話で報告済",
        Channel::Staff => "職員入力済",
        Channel::OutboundCall => "電話で報告済",
    };
    let at = civil(fields.time("effective_at")?);
    Ok(Some(format!("{way} {:02}:{:02}", at.hour(), at.minute())))
}

/// Settles the slot without a call, and drops the attempt.
async fn give_up(
    connection: &mut AnyConnection,
    now: Timestamp,
    candidate: &Candidate,
    state: &'static str,
    reason: &str,
) -> Result<(), StoreError> {
    const SETTLE: &str = "update slot set state = $2, reason = $3, settled_at = $4 \
        where id = $1 and state = 'due'";
    const DROP: &str = "update attempt set state = 'dropped' where id = $1 and state = 'due'";
    sqlx::query(SETTLE)
        .bind(candidate.slot.to_string())
        .bind(state)
        .bind(reason)
        .bind(millis(now))
        .execute(&mut *connection)
        .await?;
    sqlx::query(DROP).bind(candidate.attempt.to_string()).execute(connection).await?;
    Ok(())
}

/// Writes down, before anything is sent, that this claimant dials; or that it talks already, on the
/// line of another attempt.
async fn take(
    connection: &mut AnyConnection,
    now: Timestamp,
    claimant: &Claimant,
    candidate: &Candidate,
    after: Option<AttemptId>,
) -> Result<(), StoreError> {
    const TAKE: &str = "update attempt set state = $6, node = $2, lease_until = $3, \
        dialed_at = $4, trunk = $5, answered_at = $7, continues = $8 \
        where id = $1 and state = 'due'";
    const BEGIN: &str = "update slot set state = 'in_progress' where id = $1 and state = 'due'";
    let state = if after.is_some() { AttemptState::Talking } else { AttemptState::Dialing };
    let taken = sqlx::query(TAKE)
        .bind(candidate.attempt.to_string())
        .bind(claimant.node.as_str())
        .bind(millis(now + claimant.lease))
        .bind(millis(now))
        .bind(claimant.trunk.as_str())
        .bind(state.as_str())
        .bind(after.is_some().then(|| millis(now)))
        .bind(after.map(|id| id.to_string()))
        .execute(&mut *connection)
        .await?;
    let begun = sqlx::query(BEGIN).bind(candidate.slot.to_string()).execute(connection).await?;
    if taken.rows_affected() == 1 && begun.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale { what: "attempt" })
    }
}

async fn load(
    connection: &mut AnyConnection,
    candidate: &Candidate,
    book: &Book,
) -> Result<Claim, StoreError> {
    const ATTEMPT: &str = select_attempts!("where a.id = $1");
    const SLOT: &str = select_slots!("where s.id = $1");
    const ANSWERED: &str = select_answers!(
        "join attempt a on a.id = w.attempt_id where w.slot_id = $1 order by a.number, w.seq"
    );
    const CASE: &str = "select k.id from escalation_case k \
        where k.patient_id = $1 and k.state in ('open', 'acknowledged')";
    // By the patient: a day that PostgreSQL has not counted yet would look empty to it, and be searched.
    const SETTLED: &str = "select s.date, s.number from slot s where s.patient_id = $1 \
        and s.date || '' >= $2 and s.state not in ('due', 'in_progress')";
    let attempt = sqlx::query(ATTEMPT)
        .bind(candidate.attempt.to_string())
        .fetch_one(&mut *connection)
        .await?;
    let slot =
        sqlx::query(SLOT).bind(candidate.slot.to_string()).fetch_one(&mut *connection).await?;
    let answered =
        sqlx::query(ANSWERED).bind(candidate.slot.to_string()).fetch_all(&mut *connection).await?;
    let slot = row::slot(&slot)?;
    let patient = patient(connection, candidate.patient).await?;
    let case = sqlx::query(CASE).bind(slot.patient.to_string()).fetch_optional(&mut *connection);
    let has_open_case = case.await?.is_some();
    let settled = sqlx::query(SETTLED)
        .bind(slot.patient.to_string())
        .bind(slot.date.to_string())
        .fetch_all(&mut *connection)
        .await?;
    let pauses = pauses_of(connection, slot.patient, slot.date).await?;
    Ok(Claim {
        attempt: row::attempt(&attempt)?,
        health_center: center_of(&health_centers(connection).await?, &patient)?,
        episode: episode_by_id(connection, slot.episode).await?,
        terms: slot
            .campaign
            .and_then(|key| book.campaign(key.campaign)?.version.as_ref())
            .map(|version| Arc::clone(&version.terms)),
        slot,
        patient,
        answered: answered.iter().map(row::entry).collect::<Result<_, _>>()?,
        has_open_case,
        pauses: pauses
            .into_iter()
            .filter(|pause| pause.ended.is_none())
            .map(|pause| pause.first_day..=pause.last_day)
            .collect(),
        settled: settled.iter().map(date_and_number).collect::<Result<_, _>>()?,
        continues: None,
    })
}

fn date_and_number(row: &AnyRow) -> Result<(Date, u8), StoreError> {
    let fields = Fields::new("slot", row);
    Ok((fields.parsed("date")?, fields.integer("number")?))
}
