//! What keeps calls and alarms from going out, as numbers without persons: the lane システム.

use jiff::{SignedDuration, Timestamp};

use crate::registry::Reach;
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError, Within};

/// A slot that nobody has tried to meet by then, though its time has come: calls do not go out.
const TOO_LATE: SignedDuration = SignedDuration::from_mins(15);

/// A message that was refused so often has a receiver that is down.
const TRIES: i64 = 3;

/// What does not go its way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Disturbances {
    /// Slots whose time came a quarter of an hour ago or more, without any attempt.
    pub slots_not_tried: u32,
    /// Since when the first of them has waited.
    pub waiting_since: Option<Timestamp>,
    /// Alarms that the health centre's system has not taken after several tries.
    pub messages_not_taken: u32,
}

impl Within<'_> {
    /// What does not go its way for the patients of this scope.
    pub async fn disturbances(&self, now: Timestamp) -> Result<Disturbances, StoreError> {
        self.store.disturbances_of(now, &self.center_text(), &self.clinic_text()).await
    }
}

impl Store {
    /// What does not go its way for the patients of one centre, or of all: numbers without persons,
    /// for those who see none.
    pub async fn disturbances(
        &self,
        now: Timestamp,
        reach: Reach,
    ) -> Result<Disturbances, StoreError> {
        let center = reach.center().map(|center| center.to_string()).unwrap_or_default();
        self.disturbances_of(now, &center, "").await
    }

    /// An empty centre or clinic means every one.
    async fn disturbances_of(
        &self,
        now: Timestamp,
        center: &str,
        clinic: &str,
    ) -> Result<Disturbances, StoreError> {
        const SLOTS: &str = "select count(*) as n, min(s.due_from) as since from slot s \
            join patient p on p.id = s.patient_id where s.state = 'due' and s.due_from <= $3 \
            and s.due_to > $4 and ($1 = '' or p.health_center_id = $1) \
            and ($2 = '' or p.clinic_id = $2) and not exists (select 1 from attempt a \
            where a.slot_id = s.id and a.dialed_at is not null)";
        const MESSAGES: &str = "select count(*) as n from message m \
            join escalation_case k on k.id = m.case_id join patient p on p.id = k.patient_id \
            where m.delivered_at is null and m.tries >= $3 \
            and ($1 = '' or p.health_center_id = $1) and ($2 = '' or p.clinic_id = $2)";
        let mut session = self.read().await?;
        let connection = session.connection();
        let row = sqlx::query(SLOTS)
            .bind(center)
            .bind(clinic)
            .bind(millis(now - TOO_LATE))
            .bind(millis(now))
            .fetch_one(&mut *connection)
            .await?;
        let slots = Fields::new("slot", &row);
        let row = sqlx::query(MESSAGES)
            .bind(center)
            .bind(clinic)
            .bind(TRIES)
            .fetch_one(connection)
            .await?;
        Ok(Disturbances {
            slots_not_tried: slots.integer("n")?,
            waiting_since: slots.time_or_null("since")?,
            messages_not_taken: Fields::new("message", &row).integer("n")?,
        })
    }
}
