//! What keeps calls and alarms from going out, as numbers without persons: the lane システム.

use jiff::{SignedDuration, Timestamp};

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::registry::Reach;
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError, Within};

/// A slot that nobody has tried to meet by then, though its time has come: calls do not go out.
const TOO_LATE: SignedDuration = SignedDuration::from_mins(15);

/// A message that was refused so often has a receiver that is down.
const TRIES: i64 = 3;

/// So many calls of a trunk that nobody answers are no chance.
const IN_VAIN: i64 = 20;

/// Within this time.
const OF_LATE: SignedDuration = SignedDuration::from_hours(2);

/// No more slots than this are counted: it is a failure of everything.
pub const MANY: u32 = 1_000;

/// What does not go its way.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Disturbances {
    /// Slots whose time came a quarter of an hour ago or more, without any attempt; [`MANY`] for
    /// so many or more.
    pub slots_not_tried: u32,
    /// Since when the first of them has waited.
    pub waiting_since: Option<Timestamp>,
    /// Alarms that the health centre's system has not taken after several tries.
    pub messages_not_taken: u32,
    /// Campaigns that should have started by themselves and did not.
    pub campaigns_not_started: Vec<String>,
    /// Campaigns that call nobody because what they ask is not there, with what that is: found by
    /// [`Store::mute_campaigns`].
    pub campaigns_mute: Vec<(String, String)>,
    /// Trunks that place calls which nobody answers, with how many these were.
    pub trunks_in_vain: Vec<(String, u32)>,
}

impl Disturbances {
    /// One line each, for people.
    pub fn words(&self) -> Vec<Bilingual> {
        let mut troubles = Vec::new();
        let Self {
            slots_not_tried,
            waiting_since,
            messages_not_taken,
            campaigns_not_started,
            campaigns_mute,
            trunks_in_vain,
        } = self;
        if *slots_not_tried > 0 {
            let since = waiting_since.map(|at| civil(at).strftime("%H:%M").to_string());
            let since = since.unwrap_or_default();
            let (or_more_ja, or_more) =
                if *slots_not_tried < MANY { ("", "") } else { ("以上", " or more") };
            troubles.push(Bilingual::composed(
                format!(
                    "時刻を過ぎても架電していない方: {slots_not_tried}件{or_more_ja}({since} から)"
                ),
                format!("due, but not called: {slots_not_tried}{or_more} (since {since})"),
            ));
        }
        if *messages_not_taken > 0 {
            troubles.push(Bilingual::composed(
                format!("通知先が受け取らない通知: {messages_not_taken}件"),
                format!("alarms that their receiver does not take: {messages_not_taken}"),
            ));
        }
        for name in campaigns_not_started {
            troubles.push(Bilingual::composed(
                format!("開始日を過ぎても始まらないキャンペーン: {name}"),
                format!("campaign that should have started: {name}"),
            ));
        }
        for (name, questionnaire) in campaigns_mute {
            troubles.push(Bilingual::composed(
                format!("問診票「{questionnaire}」がないため発信していない計画: {name}"),
                format!("campaign that calls nobody, for want of its questionnaire: {name} ({questionnaire})"),
            ));
        }
        for (trunk, calls) in trunks_in_vain {
            troubles.push(Bilingual::composed(
                format!("回線 {trunk}: この2時間の {calls} 件に一度も応答がありません"),
                format!("trunk {trunk}: nobody answered any of {calls} calls within two hours"),
            ));
        }
        troubles
    }
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

    /// The campaigns of a reach that call nobody because none of these questionnaires is what they
    /// ask, with what that is; by name.
    pub async fn mute_campaigns(
        &self,
        now: Timestamp,
        reach: Reach,
        known: &[String],
    ) -> Result<Vec<(String, String)>, StoreError> {
        let book = self.campaigns(now).await?;
        let mut mute: Vec<(String, String)> = book
            .campaigns()
            .filter(|one| reach.center().is_none_or(|center| center == one.health_center))
            .filter(|one| !one.state.is_over())
            .filter_map(|one| {
                let asked = &one.version.as_ref()?.terms.questionnaire;
                (!known.contains(asked)).then(|| (one.name.clone(), asked.clone()))
            })
            .collect();
        mute.sort();
        Ok(mute)
    }

    /// An empty centre or clinic means every one.
    async fn disturbances_of(
        &self,
        now: Timestamp,
        center: &str,
        clinic: &str,
    ) -> Result<Disturbances, StoreError> {
        // The oldest come first, so that a failure of everything is not slow to tell: one slot after
        // the other is looked at until there are enough. A join, or the index by `due_to`, would lead
        // to all of them, and sort them.
        const SLOTS: &str = "select count(*) as n, min(u.due_from) as since from \
            (select s.due_from from slot s where s.state = 'due' and s.due_from <= $3 \
            and s.due_to + 0 > $4 and (select count(*) from attempt a \
            where a.slot_id = s.id and a.dialed_at is not null) = 0 \
            and (select count(*) from patient p where p.id = s.patient_id \
            and ($1 = '' or p.health_center_id = $1) and ($2 = '' or p.clinic_id = $2)) = 1 \
            order by s.due_from limit $5) u";
        const MESSAGES: &str = "select count(*) as n from message m \
            join escalation_case k on k.id = m.case_id join patient p on p.id = k.patient_id \
            where m.delivered_at is null and m.tries >= $3 \
            and ($1 = '' or p.health_center_id = $1) and ($2 = '' or p.clinic_id = $2)";
        const CAMPAIGNS: &str = "select c.name from campaign c \
            join health_center h on h.id = c.health_center_id where c.state = 'ready' \
            and (c.starts_on < $2 or (c.starts_on = $2 and h.opens_at <= $3)) \
            and ($1 = '' or c.health_center_id = $1) order by c.name";
        const TRUNKS: &str = "select a.trunk, count(*) as n from attempt a \
            where a.dialed_at >= $1 and a.state = 'done' and a.trunk is not null \
            group by a.trunk having count(*) >= $2 and count(a.answered_at) = 0 order by a.trunk";
        let mut session = self.read().await?;
        let connection = session.connection();
        let row = sqlx::query(SLOTS)
            .bind(center)
            .bind(clinic)
            .bind(millis(now - TOO_LATE))
            .bind(millis(now))
            .bind(i64::from(MANY))
            .fetch_one(&mut *connection)
            .await?;
        let slots = Fields::new("slot", &row);
        let row = sqlx::query(MESSAGES)
            .bind(center)
            .bind(clinic)
            .bind(TRIES)
            .fetch_one(&mut *connection)
            .await?;
        let (today, time) = (civil(now).date(), civil(now).time());
        let campaigns = sqlx::query(CAMPAIGNS)
            .bind(center)
            .bind(today.to_string())
            .bind(time.to_string())
            .fetch_all(&mut *connection)
            .await?;
        let name = |row| Fields::new("campaign", row).text("name").map(str::to_owned);
        let trunks = sqlx::query(TRUNKS)
            .bind(millis(now - OF_LATE))
            .bind(IN_VAIN)
            .fetch_all(connection)
            .await?;
        let trunk = |row| {
            let fields = Fields::new("attempt", row);
            Ok((fields.text("trunk")?.to_owned(), fields.integer("n")?))
        };
        Ok(Disturbances {
            slots_not_tried: slots.integer("n")?,
            waiting_since: slots.time_or_null("since")?,
            messages_not_taken: Fields::new("message", &row).integer("n")?,
            campaigns_not_started: campaigns.iter().map(name).collect::<Result<_, _>>()?,
            campaigns_mute: Vec::new(),
            trunks_in_vain: trunks.iter().map(trunk).collect::<Result<_, StoreError>>()?,
        })
    }
}
