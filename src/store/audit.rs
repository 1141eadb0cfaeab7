//! The chain of events: appended to, read and verified; never changed.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::base::id::{HealthCenterId, PatientId, StaffId};
use crate::registry::audit::{BrokenChain, Verifier};
use crate::registry::{Actor, AuditEntry, AuditEvent, Reach};
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError};

/// Which events are wanted; `None` does not restrict.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Those that concern this centre.
    pub health_center: Option<HealthCenterId>,
    /// Those that concern this patient.
    pub patient: Option<PatientId>,
    /// Those by this member of the staff.
    pub staff: Option<StaffId>,
    /// Those whose action begins so.
    pub action: Option<String>,
    /// Those at this time or later.
    pub from: Option<Timestamp>,
    /// Those before this time.
    pub to: Option<Timestamp>,
    /// Those before this one, for the next page.
    pub before: Option<u64>,
    /// Those after this one.
    pub after: Option<u64>,
}

macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "select v.seq, v.at, v.actor, v.health_center_id, v.action, v.patient_id, v.object, \
             v.detail, v.hash from audit_event v where v.seq < $1 and v.seq > $2 \
             and ($3 = '' or v.health_center_id = $3) and ($4 = '' or v.patient_id = $4) \
             and ($5 = '' or v.staff_id = $5) \
             and ($6 = '' or substr(v.action, 1, length($6)) = $6) and v.at >= $7 and v.at < $8",
            $rest
        )
    };
}

const IN_ORDER: &str = select_events!(" order by v.seq limit $9");

/// The events as far as an auditor reaches.
#[derive(Clone, Copy, Debug)]
pub struct Auditing<'a> {
    store: &'a Store,
    reach: Reach,
}

impl Auditing<'_> {
    /// Up to `limit` events, the newest first.
    pub async fn events(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        self.store.audit_events(&self.bound(filter), limit).await
    }

    /// Up to `limit` events, the oldest first: for whoever takes all of them out.
    pub async fn events_in_order(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        self.store.find_events(IN_ORDER, &self.bound(filter), limit).await
    }

    /// The filter with the reach as its limit, whatever it asks for.
    fn bound(&self, filter: &AuditFilter) -> AuditFilter {
        let health_center = self.reach.center().or(filter.health_center);
        AuditFilter { health_center, ..filter.clone() }
    }
}

/// What was found when the chain was followed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// How many events were followed, up to the fault if there is one.
    pub events: u64,
    /// The hash at the end: to be kept elsewhere, too.
    pub head: String,
    /// What is wrong.
    pub fault: Option<BrokenChain>,
}

/// Events followed in one reading.
const STRIDE: u32 = 10_000;

impl Store {
    /// Writes down what was done, as the next link of the chain.
    pub async fn audit(&self, now: Timestamp, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        append(session.connection(), now, entry).await?;
        session.commit(&[]).await
    }

    /// The events as far as this reach goes.
    pub fn auditing(&self, reach: Reach) -> Auditing<'_> {
        Auditing { store: self, reach }
    }

    /// Up to `limit` events, the newest first.
    pub async fn audit_events(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        const FIND: &str = select_events!(" order by v.seq desc limit $9");
        self.find_events(FIND, filter, limit).await
    }

    async fn find_events(
        &self,
        statement: &'static str,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let seq = |seq: Option<u64>| seq.and_then(|seq| i64::try_from(seq).ok());
        let mut session = self.glance().await?;
        let rows = sqlx::query(statement)
            .bind(seq(filter.before).unwrap_or(i64::MAX))
            .bind(seq(filter.after).unwrap_or(0))
            .bind(filter.health_center.map(|id| id.to_string()).unwrap_or_default())
            .bind(filter.patient.map(|id| id.to_string()).unwrap_or_default())
            .bind(filter.staff.map(|id| id.to_string()).unwrap_or_default())
            .bind(filter.action.clone().unwrap_or_default())
            .bind(filter.from.map_or(i64::MIN, millis))
            .bind(filter.to.map_or(i64::MAX, millis))
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(event).collect()
    }

    /// Follows the whole chain. `told` hears how many events were followed so far.
    pub async fn verify_audit(&self, mut told: impl FnMut(u64)) -> Result<Verified, StoreError> {
        let (last, head) = {
            let mut session = self.glance().await?;
            audit_head(session.connection(), "select seq, hash from audit_head where id = 1")
                .await?
        };
        let mut verifier = Verifier::default();
        // What is added while the chain is followed is left to the next time.
        let before = u64::try_from(last).ok().map(|last| last + 1);
        let mut seen = 0;
        loop {
            let filter = AuditFilter { after: Some(seen), before, ..AuditFilter::default() };
            let events = self.find_events(IN_ORDER, &filter, STRIDE).await?;
            if events.is_empty() {
                break;
            }
            for event in &events {
                seen = event.seq;
                if let Err(fault) = verifier.check(event) {
                    return Ok(Verified { events: verifier.count(), head, fault: Some(fault) });
                }
            }
            told(verifier.count());
        }
        let events = verifier.count();
        let fault = verifier.finish(u64::try_from(last).unwrap_or(0), &head).err();
        Ok(Verified { events, head, fault })
    }
}

/// Adds a link within a transaction.
pub(super) async fn append(
    connection: &mut AnyConnection,
    now: Timestamp,
    entry: &AuditEntry,
) -> Result<(), StoreError> {
    // An update locks the head on PostgreSQL; on SQLite the transaction holds the whole file.
    const LOCK: &str = "update audit_head set seq = seq + 1 where id = 1 \
        returning seq - 1 as seq, hash";
    const INSERT: &str = "insert into audit_event \
        (seq, at, actor, staff_id, health_center_id, action, patient_id, object, detail, hash) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    const MOVE: &str = "update audit_head set hash = $1 where id = 1";
    let (seq, previous) = audit_head(connection, LOCK).await?;
    let mut event = AuditEvent {
        seq: u64::try_from(seq + 1)
            .map_err(|_| StoreError::Corrupt { table: "audit_head", column: "seq" })?,
        // What is hashed is what is stored.
        at: Timestamp::from_millisecond(millis(now)).unwrap_or(now),
        actor: entry.actor.as_text(),
        health_center: entry.health_center,
        action: entry.action.to_owned(),
        patient: entry.patient,
        object: entry.object.clone(),
        detail: entry.detail.clone(),
        hash: String::new(),
    };
    event.hash = event.expected_hash(&previous);
    let staff = match &entry.actor {
        Actor::Staff(id) => Some(id.to_string()),
        _ => None,
    };
    sqlx::query(INSERT)
        .bind(seq + 1)
        .bind(millis(now))
        .bind(event.actor)
        .bind(staff)
        .bind(event.health_center.map(|id| id.to_string()))
        .bind(event.action)
        .bind(event.patient.map(|id| id.to_string()))
        .bind(event.object)
        .bind(event.detail)
        .bind(event.hash.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query(MOVE).bind(event.hash.as_str()).execute(connection).await?;
    Ok(())
}

async fn audit_head(
    connection: &mut AnyConnection,
    statement: &'static str,
) -> Result<(i64, String), StoreError> {
    let row = sqlx::query(statement).fetch_one(connection).await?;
    let seq = row.try_get("seq").map_err(StoreError::from)?;
    Ok((seq, Fields::new("audit_head", &row).text("hash")?.to_owned()))
}

fn event(row: &AnyRow) -> Result<AuditEvent, StoreError> {
    let fields = Fields::new("audit_event", row);
    Ok(AuditEvent {
        seq: fields.integer("seq")?,
        at: fields.time("at")?,
        actor: fields.text("actor")?.to_owned(),
        health_center: fields.parsed_or_null("health_center_id")?,
        action: fields.text("action")?.to_owned(),
        patient: fields.parsed_or_null("patient_id")?,
        object: fields.text("object")?.to_owned(),
        detail: fields.text("detail")?.to_owned(),
        hash: fields.text("hash")?.to_owned(),
    })
}
