//! Campaigns: their states, the versions of their terms, caps and calendars.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use sqlx::AnyConnection;

use crate::base::clock::{civil, timestamp};
use crate::base::id::{CampaignId, HealthCenterId, PatientId, SlotId};
use crate::campaign::capacity::Measured;
use crate::campaign::programme::{Action, Caps, State, Version};
use crate::campaign::{Book, Calendar, Campaign, Terms, VersionKey};
use crate::registry::{AuditEntry, HealthCenter};
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError, Topic, Within, audit};

/// From when on a version of the terms holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    /// At once, also for the calls that are still to be made today.
    Now,
    /// From the next day on.
    Tomorrow,
}

/// What campaigns a patient has to do with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Enrolment {
    /// The one that the patient was put into; `None` for the first one of the centre.
    pub campaign: Option<CampaignId>,
    /// By which version each slot was made.
    pub slots: HashMap<SlotId, VersionKey>,
}

/// With what calls would be placed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Means<'a> {
    /// The groups of the trunks; `None` if they are not known.
    pub(super) trunk_groups: Option<&'a [Option<&'a str>]>,
    /// What can be asked; `None` if it is not known.
    pub(super) questionnaires: Option<&'a [String]>,
    /// A call goes on to the next one of a household: the line is there, and no new call is placed.
    pub(super) goes_on: bool,
}

/// What was discarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Discarded {
    /// A campaign that was never published.
    Campaign,
    /// Terms that were being written for a campaign that was; what is in force stays.
    Terms,
}

/// Who changed a campaign, and why.
#[derive(Clone, Debug)]
pub struct CampaignChange<'a> {
    /// A name for people.
    pub by: &'a str,
    /// Why; may be empty where nothing stops.
    pub reason: &'a str,
    /// The link of the audit's chain; its object is set to the campaign.
    pub entry: &'a AuditEntry,
}

impl Store {
    /// All campaigns and calendars, as they are now.
    pub async fn campaigns(&self, now: Timestamp) -> Result<Book, StoreError> {
        let mut session = self.read().await?;
        self.book(session.connection(), now).await
    }

    /// The same within a transaction.
    pub(super) async fn book(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
    ) -> Result<Book, StoreError> {
        const CAMPAIGNS: &str = "select c.id, c.health_center_id, c.name, c.state, c.is_default, \
            c.starts_on, c.lines, c.calls_per_minute, c.draft, v.number, v.effective_at, \
            v.published_at, v.published_by, v.terms from campaign c \
            left join campaign_version v on v.campaign_id = c.id and v.number = \
            (select max(w.number) from campaign_version w where w.campaign_id = c.id \
            and w.effective_at <= $1)";
        const CLOSURES: &str =
            "select health_center_id, date, reason from center_closure where date >= $1";
        let rows = sqlx::query(CAMPAIGNS).bind(millis(now)).fetch_all(&mut *connection).await?;
        let mut campaigns = Vec::with_capacity(rows.len());
        for row in &rows {
            campaigns.push(self.campaign(Fields::new("campaign", row))?);
        }
        let today = civil(now).date();
        let since = today.yesterday().unwrap_or(today).to_string();
        let rows = sqlx::query(CLOSURES).bind(since).fetch_all(connection).await?;
        let mut closures: HashMap<HealthCenterId, BTreeMap<Date, String>> = HashMap::new();
        for row in &rows {
            let fields = Fields::new("center_closure", row);
            let days = closures.entry(fields.parsed("health_center_id")?).or_default();
            days.insert(fields.parsed("date")?, fields.text("reason")?.to_owned());
        }
        let calendars = closures.into_iter().map(|(id, days)| (id, Calendar::new(days)));
        Ok(Book::new(campaigns, calendars.collect()))
    }

    fn campaign(&self, fields: Fields<'_>) -> Result<Campaign, StoreError> {
        let id: CampaignId = fields.parsed("id")?;
        let draft = fields.text_or_null("draft")?.map(serde_json::from_str);
        let version = match fields.integer_or_null("number")? {
            None => None,
            Some(number) => Some(Version {
                number,
                effective_at: fields.time("effective_at")?,
                published_at: fields.time("published_at")?,
                published_by: fields.text("published_by")?.to_owned(),
                terms: self.terms(id, number, fields)?,
            }),
        };
        Ok(Campaign {
            id,
            health_center: fields.parsed("health_center_id")?,
            name: fields.text("name")?.to_owned(),
            state: fields.word("state", State::parse)?,
            is_default: fields.flag("is_default")?,
            starts_on: fields.parsed_or_null("starts_on")?,
            caps: Caps {
                lines: fields.integer_or_null("lines")?,
                calls_per_minute: fields.integer_or_null("calls_per_minute")?,
            },
            draft: draft.transpose().map_err(|_| fields.corrupt("draft"))?,
            version,
        })
    }

    /// Terms that were published. They never change, so each is read once.
    fn terms(
        &self,
        campaign: CampaignId,
        number: u32,
        fields: Fields<'_>,
    ) -> Result<Arc<Terms>, StoreError> {
        let mut known = self.terms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(terms) = known.get(&(campaign, number)) {
            return Ok(Arc::clone(terms));
        }
        let terms = serde_json::from_str(fields.text("terms")?);
        let terms: Arc<Terms> = Arc::new(terms.map_err(|_| fields.corrupt("terms"))?);
        known.insert((campaign, number), Arc::clone(&terms));
        Ok(terms)
    }

    /// The campaigns that a patient and the slots since a day belong to.
    pub async fn enrolment(
        &self,
        patient: PatientId,
        since: Date,
    ) -> Result<Enrolment, StoreError> {
        const OWN: &str = "select e.campaign_id from episode e where e.patient_id = $1 \
            order by case when e.state = 'active' then 0 else 1 end, e.first_day desc limit 1";
        const OF_SLOTS: &str = "select s.id, s.campaign_id, s.campaign_version from slot s \
            where s.patient_id = $1 and s.date >= $2 and s.campaign_id is not null";
        let mut session = self.read().await?;
        let own =
            sqlx::query(OWN).bind(patient.to_string()).fetch_optional(session.connection()).await?;
        let own = own.map(|row| Fields::new("episode", &row).parsed_or_null("campaign_id"));
        let rows = sqlx::query(OF_SLOTS)
            .bind(patient.to_string())
            .bind(since.to_string())
            .fetch_all(session.connection())
            .await?;
        let slots = rows.iter().map(|row| {
            let fields = Fields::new("slot", row);
            let key = VersionKey {
                campaign: fields.parsed("campaign_id")?,
                version: fields.integer("campaign_version")?,
            };
            Ok((fields.parsed("id")?, key))
        });
        Ok(Enrolment {
            campaign: own.transpose()?.flatten(),
            slots: slots.collect::<Result<_, StoreError>>()?,
        })
    }

    /// Gives each centre without a campaign its first one, which runs: the terms are those of the
    /// installation. Returns how many.
    pub async fn ensure_campaigns(
        &self,
        now: Timestamp,
        terms: &Terms,
    ) -> Result<usize, StoreError> {
        const WITHOUT: &str = "select h.id from health_center h where not exists \
            (select 1 from campaign c where c.health_center_id = h.id)";
        let mut session = self.write().await?;
        let rows = sqlx::query(WITHOUT).fetch_all(session.connection()).await?;
        for row in &rows {
            let center: HealthCenterId = Fields::new("health_center", row).parsed("id")?;
            let id = self.mint(now);
            let first = NewCampaign {
                id,
                center,
                name: "健康観察",
                state: State::Running,
                is_default: true,
                draft: None,
            };
            insert(session.connection(), now, &first, "mimamori").await?;
            publish(session.connection(), now, id, terms, now, "mimamori").await?;
        }
        if !rows.is_empty() {
            session.commit(&[Topic::Registry]).await?;
        }
        Ok(rows.len())
    }

    /// Starts the campaigns that are ready and whose day has come. Returns how many.
    pub async fn start_campaigns(&self, now: Timestamp) -> Result<u64, StoreError> {
        const START: &str = "update campaign set state = 'running', changed_at = $1, \
            changed_by = 'mimamori', reason = '' where state = 'ready' and starts_on <= $2 \
            and exists (select 1 from campaign_version v where v.campaign_id = campaign.id \
            and v.effective_at <= $1)";
        const WAITING: &str =
            "select count(*) as n from campaign where state = 'ready' and starts_on <= $1";
        let today = civil(now).date().to_string();
        let mut glance = self.glance().await?;
        let row = sqlx::query(WAITING).bind(&today).fetch_one(glance.connection()).await?;
        if Fields::new("campaign", &row).integer::<i64>("n")? == 0 {
            return Ok(0);
        }
        drop(glance);
        let mut session = self.write().await?;
        let done =
            sqlx::query(START).bind(millis(now)).bind(today).execute(session.connection()).await?;
        if done.rows_affected() > 0 {
            session.commit(&[Topic::Registry]).await?;
        }
        Ok(done.rows_affected())
    }

    /// What all campaigns together may take.
    pub async fn installation_caps(&self) -> Result<Caps, StoreError> {
        let mut session = self.glance().await?;
        installation_caps(session.connection()).await
    }

    /// Changes what all campaigns together may take, for the calls from now on.
    pub async fn set_installation_caps(
        &self,
        now: Timestamp,
        caps: Caps,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const SET: &str = "update installation set lines = $1, calls_per_minute = $2 where id = 1";
        let mut session = self.write().await?;
        sqlx::query(SET)
            .bind(caps.lines.map(i64::from))
            .bind(caps.calls_per_minute.map(i64::from))
            .execute(session.connection())
            .await?;
        audit::append(session.connection(), now, entry).await?;
        session.commit(&[Topic::Due, Topic::Installation]).await
    }

    /// What a trunk may take; nothing is set for those that bear what their node is set to.
    pub async fn trunk_caps(&self, trunk: &str) -> Result<Caps, StoreError> {
        let mut session = self.glance().await?;
        trunk_caps(session.connection(), trunk).await
    }

    /// Changes what a trunk may take, for the calls from now on.
    pub async fn set_trunk_caps(
        &self,
        now: Timestamp,
        trunk: &str,
        caps: Caps,
        change: &CampaignChange<'_>,
    ) -> Result<(), StoreError> {
        const SET: &str = "insert into trunk_cap \
            (trunk, lines, calls_per_minute, changed_at, changed_by) values ($1, $2, $3, $4, $5) \
            on conflict (trunk) do update set lines = excluded.lines, \
            calls_per_minute = excluded.calls_per_minute, changed_at = excluded.changed_at, \
            changed_by = excluded.changed_by";
        let mut session = self.write().await?;
        sqlx::query(SET)
            .bind(trunk)
            .bind(caps.lines.map(i64::from))
            .bind(caps.calls_per_minute.map(i64::from))
            .bind(millis(now))
            .bind(change.by)
            .execute(session.connection())
            .await?;
        let entry = AuditEntry { object: trunk.to_owned(), ..change.entry.clone() };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[Topic::Due, Topic::Installation]).await
    }
}

pub(super) async fn installation_caps(connection: &mut AnyConnection) -> Result<Caps, StoreError> {
    const SELECT: &str = "select lines, calls_per_minute from installation where id = 1";
    let row = sqlx::query(SELECT).fetch_one(connection).await?;
    caps(Fields::new("installation", &row))
}

pub(super) async fn trunk_caps(
    connection: &mut AnyConnection,
    trunk: &str,
) -> Result<Caps, StoreError> {
    const SELECT: &str = "select lines, calls_per_minute from trunk_cap where trunk = $1";
    let row = sqlx::query(SELECT).bind(trunk).fetch_optional(connection).await?;
    row.map_or(Ok(Caps::default()), |row| caps(Fields::new("trunk_cap", &row)))
}

fn caps(fields: Fields<'_>) -> Result<Caps, StoreError> {
    Ok(Caps {
        lines: fields.integer_or_null("lines")?,
        calls_per_minute: fields.integer_or_null("calls_per_minute")?,
    })
}

impl Within<'_> {
    /// The campaigns of the centre: the first one first, then by name. Archived ones come last.
    pub async fn campaigns(&self, now: Timestamp) -> Result<Vec<Campaign>, StoreError> {
        let book = self.store.campaigns(now).await?;
        let mut own: Vec<Campaign> = book
            .campaigns()
            .filter(|campaign| campaign.health_center == self.center())
            .cloned()
            .collect();
        own.sort_by_key(|one| (one.state == State::Archived, !one.is_default, one.name.clone()));
        Ok(own)
    }

    /// One campaign of the centre.
    pub async fn campaign(&self, now: Timestamp, id: CampaignId) -> Result<Campaign, StoreError> {
        let mut session = self.store.read().await?;
        self.own(session.connection(), now, id).await
    }

    pub(super) async fn own(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        id: CampaignId,
    ) -> Result<Campaign, StoreError> {
        let book = self.store.book(connection, now).await?;
        let own = book.campaign(id).filter(|one| one.health_center == self.center());
        own.cloned().ok_or(StoreError::NotFound { what: "campaign" })
    }

    /// Every version of a campaign's terms, the newest first, those that hold later among them.
    pub async fn campaign_versions(
        &self,
        now: Timestamp,
        id: CampaignId,
    ) -> Result<Vec<Version>, StoreError> {
        const ALL: &str = "select number, effective_at, published_at, published_by, terms \
            from campaign_version where campaign_id = $1 order by number desc";
        let mut session = self.store.read().await?;
        self.own(session.connection(), now, id).await?;
        let rows = sqlx::query(ALL).bind(id.to_string()).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("campaign_version", row);
                let number = fields.integer("number")?;
                Ok(Version {
                    number,
                    effective_at: fields.time("effective_at")?,
                    published_at: fields.time("published_at")?,
                    published_by: fields.text("published_by")?.to_owned(),
                    terms: self.store.terms(id, number, fields)?,
                })
            })
            .collect()
    }

    /// Begins a campaign, as a draft.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with `campaign_name` if the centre has one of this name.
    pub async fn draft_campaign(
        &self,
        now: Timestamp,
        name: &str,
        terms: &Terms,
        change: &CampaignChange<'_>,
    ) -> Result<CampaignId, StoreError> {
        let id: CampaignId = self.store.mint(now);
        let new = NewCampaign {
            id,
            center: self.center(),
            name,
            state: State::Draft,
            is_default: false,
            draft: Some(terms),
        };
        let mut session = self.store.write().await?;
        insert(session.connection(), now, &new, change.by).await?;
        sign(session.connection(), now, id, change).await?;
        session.commit(&[Topic::Registry]).await?;
        Ok(id)
    }

    /// Keeps terms that are being written; what is in force is not touched.
    pub async fn save_draft(
        &self,
        now: Timestamp,
        id: CampaignId,
        name: &str,
        terms: &Terms,
        change: &CampaignChange<'_>,
    ) -> Result<(), StoreError> {
        const SAVE: &str = "update campaign set name = $2, draft = $3 where id = $1 \
            and state not in ('ended', 'archived')";
        let mut session = self.store.write().await?;
        self.own(session.connection(), now, id).await?;
        let done = sqlx::query(SAVE)
            .bind(id.to_string())
            .bind(name)
            .bind(json(terms)?)
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "campaign" });
        }
        sign(session.connection(), now, id, change).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Publishes the draft as the next version. A draft becomes ready by its first one.
    /// Returns the number of the version.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if there is no draft, its terms have faults, or the campaign is over.
    pub async fn publish_campaign(
        &self,
        now: Timestamp,
        id: CampaignId,
        effect: Effect,
        change: &CampaignChange<'_>,
    ) -> Result<u32, StoreError> {
        const CLEAR: &str = "update campaign set draft = null, state = $2, changed_at = $3, \
            changed_by = $4 where id = $1";
        let mut session = self.store.write().await?;
        let campaign = self.own(session.connection(), now, id).await?;
        let stale = StoreError::Stale { what: "campaign" };
        let Some(terms) = campaign.draft.filter(|terms| terms.faults().is_empty()) else {
            return Err(stale);
        };
        let state = match campaign.state {
            State::Draft => State::Ready,
            State::Ended | State::Archived => return Err(stale),
            other => other,
        };
        let today = civil(now).date();
        let effective_at = match effect {
            Effect::Now => now,
            Effect::Tomorrow => {
                timestamp(today.tomorrow().unwrap_or(today).to_datetime(Time::midnight()))
            }
        };
        let number =
            publish(session.connection(), now, id, &terms, effective_at, change.by).await?;
        sqlx::query(CLEAR)
            .bind(id.to_string())
            .bind(state.as_str())
            .bind(millis(now))
            .bind(change.by)
            .execute(session.connection())
            .await?;
        sign(session.connection(), now, id, change).await?;
        session.commit(&[Topic::Registry, Topic::Due]).await?;
        Ok(number)
    }

    /// Starts, pauses, resumes, ends or archives a campaign. Returns its new state. New calls stop
    /// with the commit; those under way go on.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the campaign's state does not allow it.
    pub async fn act_on_campaign(
        &self,
        now: Timestamp,
        id: CampaignId,
        action: Action,
        change: &CampaignChange<'_>,
    ) -> Result<State, StoreError> {
        const SET: &str = "update campaign set state = $2, changed_at = $3, changed_by = $4, \
            reason = $5 where id = $1 and state = $6";
        // What the campaign owed today is settled with it: nobody calls for it any more.
        const SETTLE: &str = "update slot set state = 'skipped', reason = '架電計画の終了', \
            settled_at = $2 where campaign_id = $1 and state = 'due'";
        const DROP: &str = "update attempt set state = 'dropped' where state = 'due' \
            and campaign_id = $1";
        let mut session = self.store.write().await?;
        let campaign = self.own(session.connection(), now, id).await?;
        let stale = StoreError::Stale { what: "campaign" };
        let Some(state) = campaign.state.after(action).filter(|_| action != Action::Publish) else {
            return Err(stale);
        };
        if campaign.is_default && matches!(action, Action::End | Action::Archive) {
            // Whoever is in no other campaign must not fall out of all of them.
            return Err(StoreError::Conflict { constraint: "campaign_default".to_owned() });
        }
        let done = sqlx::query(SET)
            .bind(id.to_string())
            .bind(state.as_str())
            .bind(millis(now))
            .bind(change.by)
            .bind(change.reason)
            .bind(campaign.state.as_str())
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(stale);
        }
        if state == State::Ended {
            sqlx::query(DROP).bind(id.to_string()).execute(session.connection()).await?;
            sqlx::query(SETTLE)
                .bind(id.to_string())
                .bind(millis(now))
                .execute(session.connection())
                .await?;
        }
        sign(session.connection(), now, id, change).await?;
        session.commit(&[Topic::Registry, Topic::Due, Topic::Over, Topic::Slot]).await?;
        Ok(state)
    }

    /// Discards what was never published: a draft campaign as a whole, or else the terms that are being
    /// written for the next version. The audit keeps that it was there.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with `campaign_in_use` if patients are in the draft campaign;
    /// [`StoreError::Stale`] if there is nothing to discard.
    pub async fn discard_draft(
        &self,
        now: Timestamp,
        id: CampaignId,
        change: &CampaignChange<'_>,
    ) -> Result<Discarded, StoreError> {
        const IN_USE: &str = "select 1 as one from episode e where e.campaign_id = $1 limit 1";
        const DELETE: &str = "delete from campaign where id = $1 and state = 'draft'";
        const FORGET: &str = "update campaign set draft = null where id = $1 \
            and state in ('ready', 'running', 'paused') and draft is not null";
        let mut session = self.store.write().await?;
        let campaign = self.own(session.connection(), now, id).await?;
        let (what, statement) = match campaign.state {
            State::Draft => (Discarded::Campaign, DELETE),
            _ => (Discarded::Terms, FORGET),
        };
        if what == Discarded::Campaign {
            let used =
                sqlx::query(IN_USE).bind(id.to_string()).fetch_optional(session.connection());
            if used.await?.is_some() {
                return Err(StoreError::Conflict { constraint: "campaign_in_use".to_owned() });
            }
        }
        let done =
            sqlx::query(statement).bind(id.to_string()).execute(session.connection()).await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "campaign" });
        }
        sign(session.connection(), now, id, change).await?;
        session.commit(&[Topic::Registry]).await?;
        Ok(what)
    }

    /// Changes the day on which a ready campaign starts by itself; `None`: by hand only.
    pub async fn set_campaign_start(
        &self,
        now: Timestamp,
        id: CampaignId,
        starts_on: Option<Date>,
        change: &CampaignChange<'_>,
    ) -> Result<(), StoreError> {
        const SET: &str = "update campaign set starts_on = $2 where id = $1 \
            and state in ('draft', 'ready')";
        let mut session = self.store.write().await?;
        self.own(session.connection(), now, id).await?;
        let done = sqlx::query(SET)
            .bind(id.to_string())
            .bind(starts_on.map(|day| day.to_string()))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "campaign" });
        }
        sign(session.connection(), now, id, change).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Changes what a campaign may take of the trunks, for the calls from now on.
    pub async fn set_campaign_caps(
        &self,
        now: Timestamp,
        id: CampaignId,
        caps: Caps,
        change: &CampaignChange<'_>,
    ) -> Result<(), StoreError> {
        const SET: &str = "update campaign set lines = $2, calls_per_minute = $3 where id = $1";
        let mut session = self.store.write().await?;
        self.own(session.connection(), now, id).await?;
        sqlx::query(SET)
            .bind(id.to_string())
            .bind(caps.lines.map(i64::from))
            .bind(caps.calls_per_minute.map(i64::from))
            .execute(session.connection())
            .await?;
        sign(session.connection(), now, id, change).await?;
        session.commit(&[Topic::Registry, Topic::Due]).await
    }

    /// How many patients are under observation in each campaign of the centre on a day; those in
    /// no campaign of their own count for the first one.
    pub async fn patients_by_campaign(
        &self,
        date: Date,
    ) -> Result<HashMap<Option<CampaignId>, u32>, StoreError> {
        const COUNT: &str = "select e.campaign_id, count(*) as n from episode e \
            join patient p on p.id = e.patient_id where e.state = 'active' \
            and e.first_day <= $3 and e.last_day >= $3 and p.health_center_id = $1 \
            and ($2 = '' or p.clinic_id = $2) group by e.campaign_id";
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(COUNT)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(date.to_string())
            .fetch_all(session.connection())
            .await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("episode", row);
                Ok((fields.parsed_or_null("campaign_id")?, fields.integer("n")?))
            })
            .collect()
    }

    /// How many calls each campaign of the centre has under way.
    pub async fn lines_by_campaign(&self) -> Result<HashMap<CampaignId, u32>, StoreError> {
        const LIVE: &str = "select a.campaign_id, count(*) as n from attempt a \
            join campaign c on c.id = a.campaign_id where a.state in ('dialing', 'talking') \
            and c.health_center_id = $1 group by a.campaign_id";
        let mut session = self.store.glance().await?;
        let rows =
            sqlx::query(LIVE).bind(self.center_text()).fetch_all(session.connection()).await?;
        counts(&rows)
    }

    /// What the centre's calls since then were like; those that reached no telephone are left out.
    pub async fn measured_calls(&self, since: Timestamp) -> Result<Measured, StoreError> {
        const MEASURE: &str = "select count(*) as calls, count(a.answered_at) as answered, \
            cast(coalesce(sum(case when a.answered_at is null then 0 \
            else a.ended_at - a.dialed_at end), 0) as bigint) as talked, \
            cast(coalesce(sum(case when a.answered_at is null then a.ended_at - a.dialed_at \
            else 0 end), 0) as bigint) as rang \
            from attempt a join patient p on p.id = a.patient_id \
            where a.ended_at >= $2 and p.health_center_id = $1 and a.disposition not in \
            ('congestion', 'trunk_error', 'cancelled', 'interrupted')";
        let mut session = self.store.glance().await?;
        let row = sqlx::query(MEASURE)
            .bind(self.center_text())
            .bind(millis(since))
            .fetch_one(session.connection())
            .await?;
        let fields = Fields::new("attempt", &row);
        let together = |column| fields.integer(column).map(Duration::from_millis);
        Ok(Measured {
            calls: fields.integer("calls")?,
            answered: fields.integer("answered")?,
            talked: together("talked")?,
            rang: together("rang")?,
        })
    }

    /// The days on which the centre is closed, from yesterday on.
    pub async fn closures(&self, now: Timestamp) -> Result<Calendar, StoreError> {
        Ok(self.store.campaigns(now).await?.calendar(self.center()))
    }

    /// Closes the centre on a day, or opens it again.
    pub async fn set_closure(
        &self,
        now: Timestamp,
        date: Date,
        reason: Option<&str>,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const CLOSE: &str = "insert into center_closure (health_center_id, date, reason) \
            values ($1, $2, $3) on conflict (health_center_id, date) \
            do update set reason = excluded.reason";
        const OPEN: &str = "delete from center_closure where health_center_id = $1 and date = $2";
        let mut session = self.store.write().await?;
        let query = sqlx::query(if reason.is_some() { CLOSE } else { OPEN })
            .bind(self.center_text())
            .bind(date.to_string());
        let query = match reason {
            Some(reason) => query.bind(reason),
            None => query,
        };
        query.execute(session.connection()).await?;
        let entry = AuditEntry { object: date.to_string(), ..entry.clone() };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[Topic::Registry]).await
    }
}

/// A campaign to be written down.
struct NewCampaign<'a> {
    id: CampaignId,
    center: HealthCenterId,
    name: &'a str,
    state: State,
    is_default: bool,
    draft: Option<&'a Terms>,
}

async fn insert(
    connection: &mut AnyConnection,
    now: Timestamp,
    new: &NewCampaign<'_>,
    by: &str,
) -> Result<(), StoreError> {
    const INSERT: &str = "insert into campaign (id, health_center_id, name, state, is_default, \
        draft, created_at, changed_at, changed_by, reason) \
        values ($1, $2, $3, $4, $5, $6, $7, $7, $8, '')";
    sqlx::query(INSERT)
        .bind(new.id.to_string())
        .bind(new.center.to_string())
        .bind(new.name)
        .bind(new.state.as_str())
        .bind(i64::from(new.is_default))
        .bind(new.draft.map(json).transpose()?)
        .bind(millis(now))
        .bind(by)
        .execute(connection)
        .await?;
    Ok(())
}

async fn publish(
    connection: &mut AnyConnection,
    now: Timestamp,
    id: CampaignId,
    terms: &Terms,
    effective_at: Timestamp,
    by: &str,
) -> Result<u32, StoreError> {
    const NEXT: &str = "select coalesce(max(number), 0) + 1 as number from campaign_version \
        where campaign_id = $1";
    const INSERT: &str = "insert into campaign_version \
        (campaign_id, number, terms, effective_at, published_at, published_by) \
        values ($1, $2, $3, $4, $5, $6)";
    let row = sqlx::query(NEXT).bind(id.to_string()).fetch_one(&mut *connection).await?;
    let number: u32 = Fields::new("campaign_version", &row).integer("number")?;
    sqlx::query(INSERT)
        .bind(id.to_string())
        .bind(i64::from(number))
        .bind(json(terms)?)
        .bind(millis(effective_at))
        .bind(millis(now))
        .bind(by)
        .execute(connection)
        .await?;
    Ok(number)
}

async fn sign(
    connection: &mut AnyConnection,
    now: Timestamp,
    id: CampaignId,
    change: &CampaignChange<'_>,
) -> Result<(), StoreError> {
    let entry = AuditEntry { object: id.to_string(), ..change.entry.clone() };
    audit::append(connection, now, &entry).await
}

fn json(terms: &Terms) -> Result<String, StoreError> {
    serde_json::to_string(terms)
        .map_err(|_| StoreError::Corrupt { table: "campaign", column: "draft" })
}

/// Whether each campaign may place one more call now, with these means.
pub(super) async fn ways_of_campaigns(
    connection: &mut AnyConnection,
    now: Timestamp,
    book: &Book,
    centers: &HashMap<HealthCenterId, HealthCenter>,
    means: Means<'_>,
) -> Result<HashMap<CampaignId, Way>, StoreError> {
    const LIVE: &str = "select a.campaign_id, count(*) as n from attempt a \
        where a.state in ('dialing', 'talking') and a.campaign_id is not null \
        group by a.campaign_id";
    const DIALED: &str = "select a.campaign_id, count(*) as n from attempt a \
        where a.dialed_at > $1 and a.continues is null and a.campaign_id is not null \
        group by a.campaign_id";
    let mut live = HashMap::new();
    let mut dialed = HashMap::new();
    if book.campaigns().any(|one| one.caps.lines.is_some()) {
        let rows = sqlx::query(LIVE).fetch_all(&mut *connection).await?;
        live = counts(&rows)?;
    }
    if book.campaigns().any(|one| one.caps.calls_per_minute.is_some()) {
        let rows = sqlx::query(DIALED)
            .bind(millis(now - Duration::from_mins(1)))
            .fetch_all(connection)
            .await?;
        dialed = counts(&rows)?;
    }
    let mut ways = HashMap::new();
    for campaign in book.campaigns() {
        let Some(center) = centers.get(&campaign.health_center) else { continue };
        let takes = |cap: Option<u32>, taken: &HashMap<CampaignId, u32>| {
            cap.is_none_or(|cap| taken.get(&campaign.id).copied().unwrap_or(0) < cap)
        };
        let terms = campaign.version.as_ref().map(|version| &version.terms);
        let group = terms.and_then(|terms| terms.trunk_group.as_deref());
        let is_mute = terms
            .zip(means.questionnaires)
            .is_some_and(|(terms, known)| !known.iter().any(|key| *key == terms.questionnaire));
        let way = if campaign.state != State::Running {
            Way::Rests(campaign.state)
        } else if !book.is_open(campaign, center, now) {
            Way::OutsideHours
        } else if is_mute {
            Way::NoQuestionnaire
        } else if group.is_some() && means.trunk_groups.is_some_and(|known| !known.contains(&group))
        {
            Way::OtherTrunks
        } else if !takes(campaign.caps.lines, &live)
            || !(means.goes_on || takes(campaign.caps.calls_per_minute, &dialed))
        {
            Way::Full
        } else {
            Way::Open
        };
        ways.insert(campaign.id, way);
    }
    Ok(ways)
}

/// Whether a campaign may place one more call now, and if not, why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Way {
    Open,
    /// It does not run.
    Rests(State),
    /// Its hours or its calendar forbid it.
    OutsideHours,
    /// What it asks is not there, and nothing is asked in its place.
    NoQuestionnaire,
    /// It is bound to trunks that are not there.
    OtherTrunks,
    /// It has as many calls as it may have.
    Full,
}

/// The campaigns that may place one more call, as the statement that claims takes them: their ids,
/// each between spaces.
pub(super) fn open_ones(ways: &HashMap<CampaignId, Way>) -> String {
    let mut open = String::from(" ");
    for (campaign, _) in ways.iter().filter(|(_, way)| **way == Way::Open) {
        open.push_str(&campaign.to_string());
        open.push(' ');
    }
    open
}

fn counts(rows: &[sqlx::any::AnyRow]) -> Result<HashMap<CampaignId, u32>, StoreError> {
    rows.iter()
        .map(|row| {
            let fields = Fields::new("attempt", row);
            Ok((fields.parsed("campaign_id")?, fields.integer("n")?))
        })
        .collect()
}

/// How many calls are under way, and how many were placed within the last minute, through one
/// trunk or, for an empty name, through all. A call that went on to another of the household was placed
/// once.
pub(super) async fn load(
    connection: &mut AnyConnection,
    now: Timestamp,
    trunk: &str,
) -> Result<(u32, u32), StoreError> {
    const LIVE: &str = "select count(*) as n from attempt a \
        where a.state in ('dialing', 'talking') and ($1 = '' or a.trunk = $1)";
    const DIALED: &str = "select count(*) as n from attempt a \
        where a.dialed_at > $2 and a.continues is null and ($1 = '' or a.trunk = $1)";
    let row = sqlx::query(LIVE).bind(trunk).fetch_one(&mut *connection).await?;
    let live = Fields::new("attempt", &row).integer("n")?;
    let row = sqlx::query(DIALED)
        .bind(trunk)
        .bind(millis(now - Duration::from_mins(1)))
        .fetch_one(connection)
        .await?;
    Ok((live, Fields::new("attempt", &row).integer("n")?))
}
