//! All campaigns of all centres, and their calendars, as they are at a moment.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::base::clock::{civil, timestamp};
use crate::base::id::{CampaignId, HealthCenterId};
use crate::campaign::programme::State;
use crate::campaign::{Calendar, Campaign, NewSlot, SlotKind, Terms, VersionKey, Window};
use crate::registry::{Arrangement, Episode, HealthCenter};

/// Nobody is told of a call that is further away: so many days, and that many holidays in a row, no
/// campaign rests.
const FORESEEN: usize = 31;

/// A farewell that is said days later is odd.
const DAYS_TO_SAY_FAREWELL: usize = 3;

/// Whoever has just spoken to staff is not called in the next minute.
const FAREWELL_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Less time than this is too little to be reached in.
const FAREWELL_WITHIN: SignedDuration = SignedDuration::from_mins(30);

/// Above every other number of a day; an episode has one farewell.
const FAREWELL_NUMBER: u8 = 99;

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

    /// A mark of the terms that are in force: while it stays the same, so do they.
    pub fn mark(&self) -> String {
        let mut marks: Vec<String> = self
            .campaigns
            .values()
            .map(|one| {
                let version = one.version.as_ref().map(|version| version.number);
                format!("{} {:?} {version:?}", one.id, one.state)
            })
            .collect();
        marks.extend(
            self.calendars.iter().map(|(id, calendar)| format!("{id} {:?}", calendar.closures())),
        );
        marks.sort();
        marks.join(" ")
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

    /// The first slot after a moment for which this patient is called, if there is one before the
    /// observation ends. `is_off` tells of slots that nobody is called for after all.
    pub fn next_planned(
        &self,
        episode: &Episode,
        center: &HealthCenter,
        standing: &Arc<Terms>,
        after: Timestamp,
        is_off: impl Fn(&NewSlot) -> bool,
    ) -> Option<NewSlot> {
        if episode.arrangement.held().is_some() {
            return None;
        }
        let today = civil(after).date().max(episode.first_day);
        today
            .series(1.day())
            .take_while(|day| *day <= episode.last_day)
            .take(FORESEEN)
            .flat_map(|day| self.slots_on(day, episode, center, standing))
            .find(|slot| slot.due_from > after && slot.rest.is_none() && !is_off(slot))
    }

    /// A slot for a word of farewell, as soon as the campaign calls: today, or on one of the days
    /// after it. `None` if no machine calls the patient, or nobody is called in those days.
    pub fn farewell(
        &self,
        now: Timestamp,
        episode: &Episode,
        center: &HealthCenter,
        standing: &Arc<Terms>,
    ) -> Option<NewSlot> {
        let in_force = self.in_force(center.id, &episode.arrangement, standing);
        if episode.arrangement.held().is_some() || in_force.state != State::Running {
            return None;
        }
        let calendar = self.calendar(center.id);
        civil(now).date().series(1.day()).take(DAYS_TO_SAY_FAREWELL).find_map(|date| {
            let day = in_force.terms.day(date, center, &calendar);
            let at = |time| timestamp(date.to_datetime(time));
            let (opens, closes) = (at(day.window.opens_at()), at(day.window.closes_at()));
            let due_from = opens.max(now + FAREWELL_AFTER);
            let is_long_enough = due_from + FAREWELL_WITHIN <= closes;
            (day.rest.is_none() && is_long_enough).then_some(NewSlot {
                episode: episode.id,
                patient: episode.patient,
                date,
                number: FAREWELL_NUMBER,
                due_from,
                due_to: closes,
                kind: SlotKind::Farewell,
                campaign: in_force.key,
                rest: None,
            })
        })
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

#[cfg(test)]
mod tests {
    use jiff::civil::{Time, date, time};

    use super::*;
    use crate::base::id::Minter;
    use crate::registry::arrangement::{Channel, Weekdays};

    const TWICE: [Time; 2] = [Time::constant(9, 0, 0, 0), Time::constant(15, 0, 0, 0)];

    fn center() -> HealthCenter {
        HealthCenter {
            id: Minter::new([6; 32]).mint(Timestamp::UNIX_EPOCH),
            code: "131".to_owned(),
            name: "見本保健所".to_owned(),
            kana: "ミホンホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            opens_at: time(8, 30, 0, 0),
            closes_at: time(18, 0, 0, 0),
        }
    }

    /// From Monday 23 to Friday 27 November 2026, called twice a day.
    fn episode(arrangement: Arrangement) -> Episode {
        let mut minter = Minter::new([5; 32]);
        Episode {
            id: minter.mint(Timestamp::UNIX_EPOCH),
            patient: minter.mint(Timestamp::UNIX_EPOCH),
            first_day: date(2026, 11, 23),
            last_day: date(2026, 11, 27),
            call_times: TWICE.to_vec(),
            arrangement,
        }
    }

    fn next(episode: &Episode, (day, hour): (i8, i8), off: &[i8]) -> Option<(i8, i8)> {
        let after = timestamp(date(2026, 11, day).at(hour, 5, 0, 0));
        let standing = Arc::new(Terms::shipped());
        let is_off = |slot: &NewSlot| off.contains(&slot.date.day());
        let found = Book::default().next_planned(episode, &center(), &standing, after, is_off);
        found.map(|slot| (slot.date.day(), civil(slot.due_from).hour()))
    }

    #[test]
    fn the_next_call_is_the_one_that_the_plan_will_bring() {
        let always = episode(Arrangement::default());
        for (after, expected) in [
            ((23, 9), Some((23, 15))),
            ((23, 15), Some((24, 9))),
            ((27, 9), Some((27, 15))),
            // The last call of the episode.
            ((27, 15), None),
        ] {
            assert_eq!(next(&always, after, &[]), expected, "after {after:?}");
        }
        assert_eq!(next(&always, (23, 15), &[24, 25]), Some((26, 9)), "paused for two days");
        assert_eq!(next(&always, (25, 15), &[26, 27]), None, "paused to the end");
        let mondays = Weekdays::of([jiff::civil::Weekday::Monday]);
        let weekly = Arrangement { weekdays: mondays, ..Arrangement::default() };
        assert_eq!(next(&episode(weekly), (23, 15), &[]), None, "no other Monday");
        let by_staff = Arrangement { channel: Channel::Staff, ..Arrangement::default() };
        assert_eq!(next(&episode(by_staff), (23, 9), &[]), None, "staff call");
        // Nobody agreed on times: the usual ones.
        let usual = Episode { call_times: Vec::new(), ..always };
        assert_eq!(next(&usual, (23, 9), &[]), Some((23, 9)), "half past nine");
    }

    #[test]
    fn a_farewell_waits_for_the_next_hour_in_which_anybody_is_called() {
        let (center, standing) = (center(), Arc::new(Terms::shipped()));
        let book = Book::new(Vec::new(), HashMap::new());
        let mut episode = episode(Arrangement::default());
        let on = |day: i8, hour, minute| timestamp(date(2026, 11, day).at(hour, minute, 0, 0));
        for (now, expected) in [
            (on(25, 7, 0), Some((on(25, 8, 30), on(25, 18, 0)))),
            (on(25, 10, 0), Some((on(25, 10, 10), on(25, 18, 0)))),
            // Too late for today.
            (on(25, 17, 30), Some((on(26, 8, 30), on(26, 18, 0)))),
        ] {
            let slot = book.farewell(now, &episode, &center, &standing);
            assert_eq!(slot.map(|slot| (slot.due_from, slot.due_to)), expected, "{now}");
        }
        episode.arrangement.channel = Channel::Staff;
        assert_eq!(book.farewell(on(25, 10, 0), &episode, &center, &standing), None);
    }
}
