//! Observations, and the ways in which calls and slots ended → cases, and messages about them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Context;
use jiff::Timestamp;
use jiff::civil::Date;
use tracing::{error, info};

use crate::base::Now;
use crate::base::clock::civil;
use crate::base::id::{HealthCenterId, PatientId, SlotId};
use crate::campaign::{Attempt, Book, Campaign, Slot};
use crate::escalation::evaluate::{PatientFacts, evaluate, evaluate_attempts, evaluate_slot};
use crate::escalation::{Fact, RuleSet, welfare};
use crate::observation::Observation;
use crate::registry::{Arrangement, Patient};
use crate::store::{CaseChange, Evaluated, StoreError};
use crate::worker::{LOOK_BACK, Road, Turn, rules};

/// Rows of each kind per turn.
const BATCH: u32 = 256;

/// The rules of each centre today, and the terms of all campaigns, looked up once per turn.
struct Books {
    day: Date,
    sets: HashMap<(HealthCenterId, Option<String>), RuleSet>,
    terms: Option<Book>,
}

impl Books {
    /// The rules that the terms of a campaign name, or else those of the centre.
    async fn of<C>(
        &mut self,
        road: &Road<C>,
        center: HealthCenterId,
        named: Option<&str>,
    ) -> anyhow::Result<&RuleSet> {
        let key = (center, named.map(str::to_owned));
        if !self.sets.contains_key(&key) {
            let set = rules::in_force(road, center, self.day, named).await?;
            self.sets.insert(key.clone(), set);
        }
        self.sets.get(&key).context("it was just looked up")
    }

    async fn terms<C>(&mut self, road: &Road<C>, now: Timestamp) -> anyhow::Result<&Book> {
        if self.terms.is_none() {
            self.terms = Some(road.store.campaigns(now).await?);
        }
        self.terms.as_ref().context("it was just looked up")
    }
}

/// The rules that campaigns name, for what was answered to the slots of one patient.
#[derive(Default)]
struct Named {
    /// What the campaign of the patient names.
    own: Option<String>,
    /// What the campaigns of the slots name.
    of_slots: HashMap<SlotId, Option<String>>,
}

impl Named {
    async fn new<C>(
        road: &Road<C>,
        books: &mut Books,
        patient: &Patient,
        now: Now,
    ) -> anyhow::Result<Self> {
        let book = books.terms(road, now.timestamp).await?;
        let names_rules =
            |one: &Campaign| one.version.as_ref().is_some_and(|it| it.terms.rules.is_some());
        // Most campaigns leave it to the centre.
        if !book.campaigns().any(names_rules) {
            return Ok(Self::default());
        }
        let since = civil(now.timestamp - LOOK_BACK).date();
        let enrolled = road.store.enrolment(patient.id, since).await?;
        let arrangement = Arrangement { campaign: enrolled.campaign, ..Arrangement::default() };
        let standing = &road.config.terms;
        let own = book.in_force(patient.health_center, &arrangement, standing).terms;
        let of_slot = |key| book.of_slot(Some(key), standing).terms.rules.clone();
        let of_slots = enrolled.slots.into_iter().map(|(slot, key)| (slot, of_slot(key)));
        Ok(Self { own: own.rules.clone(), of_slots: of_slots.collect() })
    }

    /// By which rules an answer to a slot is judged, or one to none.
    fn of(&self, slot: Option<SlotId>) -> Option<&str> {
        let of_slot = slot.and_then(|slot| self.of_slots.get(&slot));
        of_slot.unwrap_or(&self.own).as_deref()
    }
}

/// What no rule has seen yet of one patient.
#[derive(Default)]
struct Unseen {
    observations: Vec<Observation>,
    attempts: Vec<Attempt>,
    slots: Vec<Slot>,
}

/// Applies the rules to everything that no rule has seen.
pub(super) async fn turn<C>(road: &Road<C>, now: Now) -> anyhow::Result<Turn> {
    let observations = road.store.observations_to_evaluate(BATCH).await?;
    let attempts = road.store.attempts_to_evaluate(BATCH).await?;
    let slots = road.store.slots_to_evaluate(BATCH).await?;
    let more = [observations.len(), attempts.len(), slots.len()].contains(&(BATCH as usize));

    let mut unseen: BTreeMap<PatientId, Unseen> = BTreeMap::new();
    for observation in observations {
        unseen.entry(observation.patient).or_default().observations.push(observation);
    }
    for (patient, attempt) in attempts {
        unseen.entry(patient).or_default().attempts.push(attempt);
    }
    for slot in slots {
        unseen.entry(slot.patient).or_default().slots.push(slot);
    }
    let mut books = Books { day: now.date(), sets: HashMap::new(), terms: None };
    let done = unseen.len();
    for (patient, unseen) in unseen {
        // One patient whose rows cannot be read must not keep the others from being judged.
        if let Err(error) = judge_and_store(road, &mut books, patient, &unseen, now).await {
            let is_passing = error.downcast_ref::<StoreError>().is_some_and(StoreError::may_retry);
            if is_passing {
                return Err(error);
            }
            error!(%patient, "patient {patient} cannot be judged: {error:#}");
        }
    }
    let lapse = road.store.end_lapsed_claims(now.timestamp).await?;
    Ok(Turn { done, more, next: lapse })
}

/// What makes observations one report: the slot that they fill, or else the moment.
type ReportKey = (Option<SlotId>, Option<Timestamp>);

fn report_of(observation: &Observation) -> ReportKey {
    match observation.slot {
        Some(slot) => (Some(slot), None),
        None => (None, Some(observation.effective_at)),
    }
}

async fn judge_and_store<C>(
    road: &Road<C>,
    books: &mut Books,
    patient: PatientId,
    unseen: &Unseen,
    now: Now,
) -> anyhow::Result<()> {
    let facts = judge(road, books, patient, unseen, now).await?;
    let evaluated = Evaluated {
        observations: unseen.observations.iter().map(|observation| observation.id).collect(),
        attempts: unseen.attempts.iter().map(|attempt| attempt.id).collect(),
        slots: unseen.slots.iter().map(|slot| slot.id).collect(),
    };
    match road.store.add_facts(now.timestamp, patient, &facts, &evaluated).await? {
        CaseChange::Opened(case) => info!(%case, "case {case} opened"),
        CaseChange::Raised(case) => info!(%case, "case {case} became graver"),
        CaseChange::Lowered(case) => info!(%case, "case {case} became less grave"),
        CaseChange::Added(_) | CaseChange::Unchanged => {}
    }
    Ok(())
}

async fn judge<C>(
    road: &Road<C>,
    books: &mut Books,
    patient: PatientId,
    unseen: &Unseen,
    now: Now,
) -> anyhow::Result<Vec<Fact>> {
    let since = now.timestamp - LOOK_BACK;
    let known = road.store.patient(patient).await?;
    let traits = PatientFacts::of(&known, now.date());
    let in_vain = in_vain(road, books, patient, traits, unseen, now).await?;
    let named = Named::new(road, books, &known, now).await?;
    let center = known.health_center;
    let mut facts = Vec::new();

    let history = road.store.history(patient, since).await?;
    let reports: BTreeSet<ReportKey> = unseen.observations.iter().map(report_of).collect();
    for key in reports {
        // A report is judged as a whole: what its earlier answers said counts, too.
        let report: Vec<Observation> =
            history.iter().filter(|observation| report_of(observation) == key).cloned().collect();
        let rules = books.of(road, center, named.of(key.0)).await?;
        facts.extend(evaluate(rules, traits, &history, &report));
    }

    if !unseen.attempts.is_empty() {
        let attempts = road.store.attempts_of(patient, since).await?;
        for attempt in &unseen.attempts {
            let up_to = attempts.iter().position(|one| one.id == attempt.id);
            let until_then = up_to.and_then(|index| attempts.get(..=index)).unwrap_or_default();
            let rules = books.of(road, center, named.of(Some(attempt.slot))).await?;
            facts.extend(evaluate_attempts(rules, traits, until_then));
        }
    }
    // The rules of the centre may say the same, and weigh it otherwise.
    for fact in in_vain {
        if !facts.iter().any(|one| one.rule == fact.rule && one.source == fact.source) {
            facts.push(fact);
        }
    }
    for slot in &unseen.slots {
        let rules = books.of(road, center, named.of(Some(slot.id))).await?;
        facts.extend(evaluate_slot(rules, traits, slot, now.timestamp));
    }
    Ok(facts)
}

/// Whom silence endangers is a matter for staff after fewer calls in vain, as the terms by which
/// the slot was opened say.
async fn in_vain<C>(
    road: &Road<C>,
    books: &mut Books,
    patient: PatientId,
    traits: PatientFacts,
    unseen: &Unseen,
    now: Now,
) -> anyhow::Result<Vec<Fact>> {
    if unseen.attempts.is_empty() || !traits.is_frail() {
        return Ok(Vec::new());
    }
    let slots = road.store.slots_of(patient, now.date()).await?;
    let attempts = road.store.attempts_of(patient, now.timestamp - LOOK_BACK).await?;
    let book = books.terms(road, now.timestamp).await?;
    let mut facts = Vec::new();
    for unseen in &unseen.attempts {
        let slot = slots.iter().find(|slot| slot.id == unseen.slot);
        let terms = book.of_slot(slot.and_then(|slot| slot.campaign), &road.config.terms).terms;
        let up_to = attempts.iter().position(|one| one.id == unseen.id);
        let until_then = up_to.and_then(|index| attempts.get(..=index)).unwrap_or_default();
        facts.extend(welfare::in_vain(traits, until_then, &terms.silence));
    }
    Ok(facts)
}
