//! All campaigns of all centres, and their calendars, as they are at a moment.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::clock::civil;
use crate::base::id::{CampaignId, HealthCenterId};
use crate::campaign::programme::State;
use crate::campaign::{Calendar, Campaign, NewSlot, Terms, VersionKey, Window};
use crate::registry::{Arrangement, Episode, HealthCenter};

/// All campaigns and calendars. There are few, so they are read together.
#[derive(Clone, Debug, Default)]
pub struct Book {
    campaigns: HashMap<CampaignId, Campaign>,
    defaults: HashMap<HealthCenterId, CampaignId>,
    calendars: HashMap<HealthCenterId, Calendar>,
}

/// The terms that hold for a patient at a moment.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The terms.
    pub terms: Arc<Terms>,
    /// Of which version they are; `None` for those of the installation.
    pub key: Option<VersionKey>,
    /// Where the campaign stands.
    pub state: State,
}

impl InForce {
    /// Slots are owed: the campaign runs, or would if nobody had paused it.
    pub fn owes(&self) -> bool {
        matches!(self.state, State::Running | State::Paused)
    }
}

impl Book {
    /// A book of these campaigns and calendars.
    pub fn new(campaigns: Vec<Campaign>, calendars: HashMap<HealthCenterId, Calendar>) -> Self {
        let defaults = campaigns.iter().filter(|campaign| campaign.is_default);
        Self {
            defaults: defaults.map(|one| (one.health_center, one.id)).collect(),
            campaigns: campaigns.into_iter().map(|one| (one.id, one)).collect(),
            calendars,
        }
    }

    /// A campaign.
    pub fn campaign(&self, id: CampaignId) -> Option<&Campaign> {
        self.campaigns.get(&id)
    }

    /// Every campaign, in no order.
    pub fn campaigns(&self) -> impl Iterator<Item = &Campaign> {
        self.campaigns.values()
    }

    /// The calendar of a centre.
    pub fn calendar(&self, center: HealthCenterId) -> Calendar {
        self.calendars.get(&center).cloned().unwrap_or_default()
    }

    /// The campaign that a patient of a centre is in, if the centre has any.
    pub fn campaign_of(
        &self,
        center: HealthCenterId,
        arrangement: &Arrangement,
    ) -> Option<&Campaign> {
        let own = arrangement.campaign.or_else(|| self.defaults.get(&center).copied());
        own.and_then(|id| self.campaigns.get(&id))
    }

    /// The campaigns that a patient of a centre may be put into, by name: those that are not over,
    /// and the one that the patient is in already.
    pub fn joinable(&self, center: HealthCenterId, arrangement: &Arrangement) -> Vec<&Campaign> {
        let mut joinable: Vec<&Campaign> = self
            .campaigns
            .values()
            .filter(|one| one.health_center == center)
            .filter(|one| !one.state.is_over() || arrangement.campaign == Some(one.id))
            .collect();
        joinable.sort_by(|one, other| one.name.cmp(&other.name));
        joinable
    }

    /// The terms that hold for a patient; `standing` where the centre has no campaign.
    pub fn in_force(
        &self,
        center: HealthCenterId,
        arrangement: &Arrangement,
        standing: &Arc<Terms>,
    ) -> InForce {
        let installation =
            || InForce { terms: Arc::clone(standing), key: None, state: State::Running };
        let Some(campaign) = self.campaign_of(center, arrangement) else { return installation() };
        match &campaign.version {
            Some(version) => InForce {
                terms: Arc::clone(&version.terms),
                key: Some(VersionKey { campaign: campaign.id, version: version.number }),
                state: campaign.state,
            },
            None => InForce { state: campaign.state, ..installation() },
        }
    }

    /// The terms by which an open slot goes on: those that are in force now.
    pub fn of_slot(&self, made_by: Option<VersionKey>, standing: &Arc<Terms>) -> InForce {
        let version = made_by.and_then(|key| {
            let campaign = self.campaigns.get(&key.campaign)?;
            Some((campaign, campaign.version.as_ref()?))
        });
        match version {
            Some((campaign, version)) => InForce {
                terms: Arc::clone(&version.terms),
                key: Some(VersionKey { campaign: campaign.id, version: version.number }),
                state: campaign.state,
            },
            None => InForce { terms: Arc::clone(standing), key: None, state: State::Running },
        }
    }

    /// The slots that a day brings to a patient of a centre: none while the campaign is not on its
    /// way, and settled ones on a day of rest.
    pub fn slots_on(
        &self,
        date: Date,
        episode: &Episode,
        center: &HealthCenter,
        standing: &Arc<Terms>,
    ) -> Vec<NewSlot> {
        let in_force = self.in_force(center.id, &episode.arrangement, standing);
        if !in_force.owes() {
            return Vec::new();
        }
        let slots = in_force.terms.slots_on(date, episode, center, &self.calendar(center.id));
        slots.into_iter().map(|slot| NewSlot { campaign: in_force.key, ..slot }).collect()
    }

    /// Whether a campaign calls at this moment: it runs, and its hours and its calendar allow it.
    pub fn is_open(&self, campaign: &Campaign, center: &HealthCenter, at: Timestamp) -> bool {
        let Some(version) = &campaign.version else { return false };
        let date = civil(at).date();
        let day = version.terms.day(date, center, &self.calendar(center.id));
        campaign.state == State::Running && day.rest.is_none() && day.window.is_open(at)
    }

    /// The hours of a date in which slots of a campaign may be called.
    pub fn window(&self, in_force: &InForce, center: &HealthCenter, at: Timestamp) -> Window {
        let date = civil(at).date();
        in_force.terms.day(date, center, &self.calendar(center.id)).window
    }
}
