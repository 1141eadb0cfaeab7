//! What the terms of a campaign name holds: its own questionnaire is asked and no other, its own rules
//! judge, and of what is missing everybody hears.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, Time, date, time};
use mimamori::base::clock::timestamp;
use mimamori::base::id::{CampaignId, PatientId};
use mimamori::campaign::programme::Action;
use mimamori::campaign::{SlotState, Terms};
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Answer, Catalog, Questionnaires};
use mimamori::observation::Observation;
use mimamori::prompt::Library;
use mimamori::registry::{Actor, AuditEntry, Scope};
use mimamori::sim::VirtualCarrier;
use mimamori::sim::clock::starting_at;
use mimamori::sim::directory::Directory;
use mimamori::sim::district::{self, District};
use mimamori::sim::persona::{Persona, Temper};
use mimamori::store::{
    CampaignChange, CaseFilter, Effect, NodeStatus, Services, Store, TrunkWord, Waiting,
};
use mimamori::worker::{self, Progress, Road};
use tokio::sync::watch;

use crate::store::at;

pub(crate) const DAY: Date = date(2026, 11, 23);

/// A district whose patients are in these campaigns, one each.
pub(crate) struct Town {
    pub(crate) store: Store,
    pub(crate) district: District,
    directory: Arc<Directory>,
    _folder: tempfile::TempDir,
}

impl Town {
    async fn new(campaigns: &[Terms], temper: Temper) -> Self {
        Self::called_at(&[time(9, 30, 0, 0)], campaigns, temper).await
    }

    pub(crate) async fn called_at(times: &[Time], campaigns: &[Terms], temper: Temper) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("terms.sqlite");
        let store = Store::open_in_virtual_time(database.to_str().unwrap(), [1; 32]).await.unwrap();
        let mut district = District::new(&district::Config {
            seed: 4,
            n_patients: u32::try_from(campaigns.len()).unwrap(),
            first_day: DAY,
            last_day: date(2026, 12, 1),
            call_times: times.to_vec(),
        });
        let center = district.health_center.id;
        store.save_health_center(at(0, 0), &district.health_center).await.unwrap();
        store.ensure_campaigns(at(0, 0), &Terms::shipped()).await.unwrap();
        for (n, (household, terms)) in district.households.iter_mut().zip(campaigns).enumerate() {
            household.persona = Persona { temper, seed: 7 };
            household.patient.has_oximeter = true;
            household.patient.birth_date = date(1990, 1, 31).into();
            household.patient.risks.clear();
            // Whom silence endangers.
            household.patient.lives_alone = temper == Temper::Absent;
            household.patient.phones.truncate(1);
            let campaign = running(&store, center, &format!("計画{n}"), terms).await;
            household.episode.arrangement.campaign = Some(campaign);
            let (patient, episode) = (&household.patient, &household.episode);
            store.import_patient(at(0, 0), patient, Some(episode)).await.unwrap();
        }
        let directory = Arc::new(district.directory());
        Self { store, district, directory, _folder: folder }
    }

    fn patient(&self, n: usize) -> PatientId {
        self.district.households[n].patient.id
    }

    /// Walks the road from 9:20 until a time of the same day.
    pub(crate) async fn walk(&self, hour: i8, minute: i8) {
        let clock = starting_at(at(9, 20));
        let carrier = VirtualCarrier::new(Arc::clone(&self.directory), clock.clone());
        let road = Arc::new(Road {
            recordings: None,
            store: self.store.clone(),
            carrier: Arc::new(carrier),
            library: Arc::new(Library::silent(Catalog::embedded())),
            questionnaires: Questionnaires::shipped(),
            rules: RuleBook::shipped().unwrap(),
            clock: clock.clone(),
            webhook: None,
            config: worker::Config {
                poll: Duration::from_mins(1),
                lease: Duration::from_mins(5),
                ..worker::Config::shipped("one".to_owned())
            },
            progress: Progress::new(),
        });
        let (stop, stopped) = watch::channel(false);
        let walking = tokio::spawn(worker::run(road, stopped));
        let until = timestamp(DAY.at(hour, minute, 0, 0)).duration_since(clock.now().timestamp);
        tokio::time::sleep(until.unsigned_abs()).await;
        stop.send_replace(true);
        walking.await.unwrap().unwrap();
    }

    async fn observed(&self, n: usize) -> Vec<Observation> {
        self.store.history(self.patient(n), at(0, 0)).await.unwrap()
    }

    /// The sets of rules that made the facts of a patient's case.
    async fn judged_by(&self, n: usize) -> Vec<String> {
        let cases = self.store.cases(CaseFilter::Unresolved).await.unwrap();
        let of_patient = cases.iter().filter(|view| view.case.patient == self.patient(n));
        let mut sets: Vec<String> = of_patient
            .flat_map(|view| view.case.facts.iter().map(|fact| fact.rule_set.clone()))
            .collect();
        sets.sort();
        sets.dedup();
        sets
    }
}

async fn running(
    store: &Store,
    center: mimamori::base::id::HealthCenterId,
    name: &str,
    terms: &Terms,
) -> CampaignId {
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "campaign.changed",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    let change = CampaignChange { by: "見守 花", reason: "試験", entry: &entry };
    let within = store.within(Scope { center, clinic: None });
    let id = within.draft_campaign(at(0, 0), name, terms, &change).await.unwrap();
    within.publish_campaign(at(0, 0), id, Effect::Now, &change).await.unwrap();
    within.act_on_campaign(at(0, 0), id, Action::Start, &change).await.unwrap();
    id
}

fn asks(questionnaire: &str) -> Terms {
    Terms { questionnaire: questionnaire.to_owned(), ..Terms::shipped() }
}

#[tokio::test(start_paused = true)]
async fn each_campaign_asks_its_own_questionnaire_and_its_own_rules_judge() {
    let before = Terms { rules: Some("2026-11-01".to_owned()), ..asks("recuperation@1") };
    let campaigns = [asks("recuperation@2"), before];
    let versions = [(0, "recuperation@2", "2026-11-26"), (1, "recuperation@1", "2026-11-01")];
    let town = Town::new(&campaigns, Temper::Prompt).await;
    town.walk(10, 10).await;
    for (n, asked, _) in versions {
        let observed = town.observed(n).await;
        assert!(observed.iter().all(|one| one.questionnaire == asked), "{observed:?}");
        // Whether there is enough of it at home was not asked before.
        assert!(observed.iter().any(|one| one.code == "diarrhea"), "to the end: {observed:?}");
        let is_asked = observed.iter().any(|one| one.code == "medicine_shortage");
        assert_eq!(is_asked, n == 0, "{observed:?}");
        let number = &town.district.households[n].patient.phones[0].number;
        let calls = town.directory.calls();
        let heard = &calls.iter().find(|call| call.callee == *number).unwrap().seen.heard;
        let is_told = heard.iter().any(|prompt| prompt.contains("hint_consultation"));
        assert_eq!(is_told, n == 0, "the key for help is of the second version: {heard:?}");
    }
    let town = Town::new(&campaigns, Temper::Breathless).await;
    town.walk(10, 10).await;
    for (n, asked, judged) in versions {
        let observed = town.observed(n).await;
        assert!(observed.iter().all(|one| one.questionnaire == asked), "{observed:?}");
        assert_eq!(town.judged_by(n).await, [judged]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_questionnaire_cannot_measure_again_is_not_promised() {
    let towns = [asks("recuperation@2"), asks("recuperation@1")];
    let town = Town::new(&towns, Temper::LowOxygen).await;
    town.walk(10, 40).await;
    for (n, calls) in [(0, 2), (1, 1)] {
        let observed = town.observed(n).await;
        let measured = observed.iter().filter(|one| one.code == "spo2");
        let low = measured.filter(|one| matches!(one.value, Answer::Number(94 | 95)));
        assert!(low.count() > 0, "{observed:?}");
        let number = &town.district.households[n].patient.phones[0].number;
        let all = town.directory.calls();
        assert_eq!(all.iter().filter(|call| call.callee == *number).count(), calls, "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_campaign_without_its_questionnaire_calls_nobody_and_staff_hear_of_it() {
    let town = Town::new(&[asks("school@1"), asks("recuperation@2")], Temper::Prompt).await;
    town.walk(9, 50).await;
    let numbers: Vec<_> = town.directory.calls().into_iter().map(|call| call.callee).collect();
    let theirs = &town.district.households[1].patient.phones[0].number;
    assert_eq!(numbers, std::slice::from_ref(theirs), "nobody is asked something else instead");

    // It waits, and the plan says why: a file that is brought back in time is asked yet.
    let (store, now) = (&town.store, at(9, 50));
    let node = NodeStatus {
        node: "one".to_owned(),
        at: now,
        lines_in_use: 0,
        lines_limit: 2,
        calls_per_minute: 60,
        trunk: TrunkWord::Ready,
        prompts_complete: true,
        clock_ahead: None,
        last_error: String::new(),
    };
    let known = Questionnaires::shipped();
    let services = Services {
        nodes: &[&node],
        trunks: &["main"],
        trunk_groups: None,
        questionnaires: Some(known.keys()),
    };
    let waiting = store.waiting(now, &services, town.patient(0)).await.unwrap();
    assert_eq!(waiting.iter().map(|(_, why)| *why).collect::<Vec<_>>(), [Waiting::NoQuestionnaire]);
    let center = town.district.health_center.id;
    let mute = store.mute_campaigns(now, mimamori::registry::Reach::Center(center), known.keys());
    assert_eq!(mute.await.unwrap(), [("計画0".to_owned(), "school@1".to_owned())]);

    // What was owed is a matter for staff once its time is over.
    town.walk(11, 40).await;
    let slots = store.slots_of(town.patient(0), DAY).await.unwrap();
    assert_eq!(slots[0].state, SlotState::Expired);
    assert_eq!(town.judged_by(0).await, ["2026-11-26"]);
    assert!(town.observed(0).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_trunks_of_another_group_hold_back_nobody() {
    let bound = Terms { trunk_group: Some("city".to_owned()), ..Terms::shipped() };
    // More of them than attempts wait at once where two calls can be made.
    let mut campaigns = vec![bound; 6];
    campaigns.extend([Terms::shipped(), Terms::shipped()]);
    let town = Town::new(&campaigns, Temper::Prompt).await;
    town.walk(10, 0).await;
    let numbers: BTreeSet<String> =
        town.directory.calls().iter().map(|call| call.callee.e164().to_owned()).collect();
    let households = &town.district.households[6..];
    let free = households.iter().map(|one| one.patient.phones[0].number.e164().to_owned());
    assert_eq!(numbers, free.collect());
}

#[tokio::test(start_paused = true)]
async fn rules_that_are_gone_judge_nobody_and_those_in_force_judge_in_their_place() {
    let gone = Terms { rules: Some("2020-01-01".to_owned()), ..Terms::shipped() };
    let town = Town::new(&[gone], Temper::Breathless).await;
    town.walk(10, 10).await;
    assert_eq!(town.judged_by(0).await, ["2026-11-26"]);
}
