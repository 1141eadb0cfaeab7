//! Silence → the 安否確認 lists of the day and of the night, and cases: of what was not settled in time,
//! of days without a report, of silences that last too long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp};
use tracing::info;

use crate::base::Now;
use crate::base::clock::{civil, timestamp};
use crate::base::id::{CampaignId, HealthCenterId, PatientId};
use crate::campaign::{Slot, SlotState, Terms};
use crate::escalation::welfare::{List, absent, unsettled, why};
use crate::escalation::{Fact, PatientFacts, evaluate_day};
use crate::store::{Evaluated, NewWelfareCheck, NewWelfareList, Silent, UnderObservation};
use crate::worker::{Road, Turn, rules};

/// By day, silences are looked at so often, and what others changed is seen.
const WATCH: SignedDuration = SignedDuration::from_mins(15);

/// Whom one list is for: the patients of a centre who are in one campaign, or in none.
type Group = (HealthCenterId, Option<CampaignId>);

/// What the step remembers between its turns. Forgetting it costs needless queries.
#[derive(Default)]
pub(super) struct Memory {
    day: Option<Date>,
    /// Whose lists are made.
    listed: BTreeSet<(List, Group)>,
    /// Whose silence of the day was judged.
    judged: BTreeSet<Group>,
    /// When there is something to do again.
    next: Option<Timestamp>,
}

/// The patients of a group who are under observation, and the terms that hold for them.
struct Members<'a> {
    terms: Arc<Terms>,
    people: Vec<&'a UnderObservation>,
}

/// Makes the lists whose hour has come, judges the day's silence, and tells the supervisor.
pub(super) async fn turn<C>(road: &Road<C>, now: Now, memory: &mut Memory) -> anyhow::Result<Turn> {
    let today = now.date();
    if memory.day == Some(today) && memory.next.is_some_and(|next| now.timestamp < next) {
        return Ok(Turn { done: 0, more: false, next: memory.next });
    }
    if memory.day != Some(today) {
        *memory = Memory { day: Some(today), ..Memory::default() };
    }
    let observed = road.store.episodes_on(today).await?;
    let book = road.store.campaigns(now.timestamp).await?;
    let mut groups: BTreeMap<Group, Members<'_>> = BTreeMap::new();
    for one in &observed {
        let center = one.health_center.id;
        let terms = book.in_force(center, &one.episode.arrangement, &road.config.terms);
        let group = (center, terms.key.map(|key| key.campaign));
        let members = groups
            .entry(group)
            .or_insert_with(|| Members { terms: terms.terms, people: Vec::new() });
        members.people.push(one);
    }

    let time = civil(now.timestamp).time();
    let mut done = 0;
    let is_judged = |memory: &Memory, group: &Group, members: &Members<'_>| {
        time < members.terms.silence.decide_at || memory.judged.contains(group)
    };
    let is_listed = |memory: &Memory, list: List, group: &Group, members: &Members<'_>| {
        time < members.made_at(list) || memory.listed.contains(&(list, *group))
    };
    for list in List::ALL {
        let has_work = groups.iter().any(|(group, members)| {
            !is_listed(memory, list, group, members)
                || (list == List::Day && !is_judged(memory, group, members))
        });
        if !has_work {
            continue;
        }
        let silent = road.store.silent_on(now.timestamp, list).await?;
        let silent: BTreeMap<PatientId, Silent> =
            silent.into_iter().map(|one| (one.patient, one)).collect();
        for (group, members) in &groups {
            if !is_listed(memory, list, group, members) {
                done += make(road, now, list, *group, members, &silent).await?;
                // Whoever was owed a call in the evening alone has a day that is over only now.
                if list == List::Night {
                    done += judge(road, now, list, group.0, members, &silent).await?;
                }
                memory.listed.insert((list, *group));
            }
            if list == List::Day && !is_judged(memory, group, members) {
                done += judge(road, now, list, group.0, members, &silent).await?;
                memory.judged.insert(*group);
            }
        }
    }
    for (check, patient, step) in road.store.welfare_to_escalate(now.timestamp).await? {
        let fact = unsettled(check, step, now.timestamp);
        add(road, now, patient, &[fact]).await?;
        road.store.welfare_escalated(now.timestamp, check).await?;
        info!(%check, "welfare check {check} is not settled: the supervisor is told");
        done += 1;
    }
    done += watch(road, now, &groups).await?;
    memory.next = next(road, now, &groups).await?;
    Ok(Turn { done, more: false, next: memory.next })
}

impl Members<'_> {
    /// When a list is made.
    fn made_at(&self, list: List) -> Time {
        match list {
            List::Day => self.terms.cadence.review_at,
            List::Night => self.terms.silence.night_at,
        }
    }

    /// When what is not settled of it goes to the supervisor.
    fn escalate_at(&self, list: List) -> Time {
        match list {
            List::Day => self.terms.silence.escalate_at,
            List::Night => self.terms.silence.night_escalate_at,
        }
    }
}

/// Makes a list of a group.
async fn make<C>(
    road: &Road<C>,
    now: Now,
    list: List,
    (health_center, campaign): Group,
    members: &Members<'_>,
    silent: &BTreeMap<PatientId, Silent>,
) -> anyhow::Result<usize> {
    let today = now.date();
    let new = |one: &&UnderObservation| {
        let silent = silent.get(&one.patient.id)?;
        Some(NewWelfareCheck {
            patient: one.patient.id,
            why: why(list, &silent.slots, silent.heard_at, now.timestamp, &members.terms.cadence)?,
            is_frail: PatientFacts::of(&one.patient, today).is_frail(),
            heard_at: silent.heard_at,
        })
    };
    let new = NewWelfareList {
        list,
        health_center,
        campaign,
        date: today,
        escalate_at: timestamp(today.to_datetime(members.escalate_at(list))),
        people: members.people.iter().filter_map(new).collect(),
    };
    let made = road.store.make_welfare_list(now.timestamp, &new).await?;
    if let Some(people) = made {
        info!(people, list = list.as_str(), "the list of those not reached is made: {people}");
    }
    Ok(made.unwrap_or_default())
}

/// Judges the day of those who are silent: a missed day is graver for some than a missed call. By day
/// the slots of the day are judged; at night the day of those who had none.
async fn judge<C>(
    road: &Road<C>,
    now: Now,
    list: List,
    center: HealthCenterId,
    members: &Members<'_>,
    silent: &BTreeMap<PatientId, Silent>,
) -> anyhow::Result<usize> {
    let named = members.terms.rules.as_deref();
    let rules = rules::in_force(road, center, now.date(), named).await?;
    let mut n_silent = 0;
    for one in &members.people {
        let Some(silent) = silent.get(&one.patient.id) else { continue };
        let cadence = &members.terms.cadence;
        let has_day = silent
            .slots
            .iter()
            .any(|slot| List::Day.judges(slot, cadence) && slot.state != SlotState::Skipped);
        let was_heard = silent.heard_at.is_some_and(|at| civil(at).date() == now.date());
        if list == List::Night && (has_day || was_heard) {
            continue;
        }
        let slots: Vec<Slot> =
            silent.slots.iter().filter(|slot| list.judges(slot, cadence)).cloned().collect();
        let traits = PatientFacts::of(&one.patient, now.date());
        let facts = evaluate_day(&rules, traits, &slots, now.timestamp);
        if !facts.is_empty() {
            n_silent += 1;
            add(road, now, one.patient.id, &facts).await?;
        }
    }
    Ok(n_silent)
}

/// Opens cases for silences that have lasted too long. Not by night: nobody could do anything, and
/// by morning the silence is longer still.
async fn watch<C>(
    road: &Road<C>,
    now: Now,
    groups: &BTreeMap<Group, Members<'_>>,
) -> anyhow::Result<usize> {
    let time = civil(now.timestamp).time();
    let is_awake = |members: &Members<'_>| {
        opens_at(members) <= Some(time) && time <= members.terms.silence.escalate_at
    };
    if !groups.values().any(is_awake) {
        return Ok(0);
    }
    let awake: BTreeMap<PatientId, (&UnderObservation, &Terms)> = groups
        .values()
        .filter(|members| is_awake(members))
        .flat_map(|members| {
            members.people.iter().map(|one| (one.patient.id, (*one, &*members.terms)))
        })
        .collect();
    let mut told = 0;
    for absence in road.store.absences(now.timestamp).await? {
        let Some((one, terms)) = awake.get(&absence.patient) else { continue };
        let traits = PatientFacts::of(&one.patient, now.date());
        let (episode, since) = (absence.episode, absence.since);
        if let Some(fact) = absent(traits, episode, since, &terms.silence, now.timestamp) {
            add(road, now, absence.patient, &[fact]).await?;
            told += 1;
        }
    }
    Ok(told)
}

async fn add<C>(
    road: &Road<C>,
    now: Now,
    patient: PatientId,
    facts: &[Fact],
) -> anyhow::Result<()> {
    road.store.add_facts(now.timestamp, patient, facts, &Evaluated::default()).await?;
    Ok(())
}

fn opens_at(members: &Members<'_>) -> Option<Time> {
    members.people.iter().map(|one| one.health_center.opens_at).min()
}

/// When there is something to do again: the next hour of some list, the next quarter of an hour by
/// day, or else the morning.
async fn next<C>(
    road: &Road<C>,
    now: Now,
    groups: &BTreeMap<Group, Members<'_>>,
) -> anyhow::Result<Option<Timestamp>> {
    let today = now.date();
    let at = |time| timestamp(today.to_datetime(time));
    let opens = groups.values().filter_map(opens_at).min().unwrap_or(Time::midnight());
    let closes = groups.values().map(|members| members.terms.silence.escalate_at).max();
    let closes = closes.unwrap_or(Time::MAX);
    let time = civil(now.timestamp).time();
    let quarter = (opens <= time && time <= closes).then(|| now.timestamp + WATCH);
    let hours = groups.values().flat_map(|members| {
        let Terms { cadence, silence, .. } = &*members.terms;
        let day = [opens, cadence.review_at, silence.decide_at, silence.escalate_at];
        day.into_iter().chain([silence.night_at, silence.night_escalate_at])
    });
    let hours = hours.map(at).filter(|at| *at > now.timestamp);
    let escalation = road.store.next_welfare_escalation().await?;
    let midnight = today.tomorrow().map(|date| timestamp(date.to_datetime(Time::midnight()))).ok();
    Ok(hours.chain(quarter).chain(escalation).chain(midnight).min())
}
