//! Campaigns: whose calls may be placed, under which terms, and before which others.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::sync::Arc;

use jiff::civil::{date, time};
use jiff::{SignedDuration, Timestamp};
use mimamori::base::id::{AttemptId, CampaignId, PatientId};
use mimamori::call::Disposition;
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::programme::{Action, Caps, State};
use mimamori::campaign::terms::HolidayPolicy;
use mimamori::campaign::{
    AttemptState, Calendar, NewSlot, PlannedAttempt, SlotKind, SlotState, Terms, VersionKey,
};
use mimamori::registry::{Actor, AuditEntry, Episode, HealthCenter, Scope};
use mimamori::store::{
    CampaignChange, Dialing, Effect, NodeStatus, Services, Store, StoreError, TrunkWord, Waiting,
    Within,
};

use crate::store::{DAY, Database, District, at, claimant, claims, number, outcome};

claims! {
    a_centre_gets_its_first_campaign_once
    terms_take_effect_now_or_tomorrow_and_are_never_changed
    a_campaign_goes_its_way_and_never_back
    a_pause_stops_the_next_call_and_what_was_claimed_is_put_back
    a_campaign_takes_no_more_lines_than_it_may
    caps_of_the_installation_and_of_a_trunk_hold_for_all
    what_is_urgent_goes_first_and_no_campaign_hides_another
    a_large_campaign_does_not_hide_a_small_one_from_the_planner
    a_holiday_is_left_to_staff
    closures_belong_to_one_centre
    a_campaign_of_another_centre_is_not_there
    a_ready_campaign_starts_on_its_day
    every_condition_of_the_claim_has_its_reason
}

fn entry() -> AuditEntry {
    AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "campaign.changed",
        patient: None,
        object: String::new(),
        detail: String::new(),
    }
}

fn change(entry: &AuditEntry) -> CampaignChange<'_> {
    CampaignChange { by: "見守 花", reason: "試験", entry }
}

impl District {
    fn within(&self) -> Within<'_> {
        self.store.within(Scope { center: self.center.id, clinic: None })
    }

    /// A campaign that runs under these terms.
    async fn running(&self, name: &str, terms: &Terms) -> CampaignId {
        let entry = entry();
        let within = self.within();
        let change = change(&entry);
        let id = within.draft_campaign(at(0, 0), name, terms, &change).await.unwrap();
        within.publish_campaign(at(0, 0), id, Effect::Now, &change).await.unwrap();
        let state = within.act_on_campaign(at(0, 0), id, Action::Start, &change).await.unwrap();
        assert_eq!(state, State::Running);
        id
    }

    async fn act(&self, id: CampaignId, action: Action) -> Result<State, StoreError> {
        self.within().act_on_campaign(at(8, 0), id, action, &change(&entry())).await
    }

    /// An attempt of a campaign that is due just before nine, the lower the number the earlier, for
    /// a patient of its own.
    async fn due_in(&self, campaign: CampaignId, n: u32, precedence: Precedence) -> AttemptId {
        let (_, episode) = self.admit(n).await;
        let key = Some(VersionKey { campaign, version: 1 });
        let slot = self.slot_of(&episode, key).await;
        let planned = PlannedAttempt {
            slot,
            number: 1,
            phone: number(n),
            // Ids of one moment are in no order.
            due_at: at(8, 59) + SignedDuration::from_secs(i64::from(n)),
            campaign: key,
            priority: precedence,
        };
        self.store.add_attempt(at(6, 0), &planned).await.unwrap().unwrap()
    }

    async fn slot_of(
        &self,
        episode: &Episode,
        campaign: Option<VersionKey>,
    ) -> mimamori::base::id::SlotId {
        let slot = NewSlot {
            episode: episode.id,
            patient: episode.patient,
            date: DAY,
            number: 1,
            due_from: at(9, 0),
            due_to: at(12, 0),
            kind: SlotKind::Planned,
            campaign,
            rest: None,
        };
        self.store.open_slots(at(0, 0), &[slot]).await.unwrap();
        let list = self.store.health_list(DAY).await.unwrap();
        list.iter().find(|row| row.patient.id == episode.patient).unwrap().slots[0].id
    }

    async fn claimed(&self, now: Timestamp, limit: u32) -> Vec<AttemptId> {
        let claims = self.store.claim_due(now, &claimant("one"), limit).await.unwrap();
        claims.into_iter().map(|claim| claim.attempt.id).collect()
    }
}

async fn a_centre_gets_its_first_campaign_once(database: Database) {
    let district = District::new(&database).await;
    let terms = Terms::shipped();
    assert_eq!(district.store.ensure_campaigns(at(0, 0), &terms).await.unwrap(), 1);
    assert_eq!(district.store.ensure_campaigns(at(0, 0), &terms).await.unwrap(), 0);
    let campaigns = district.within().campaigns(at(0, 0)).await.unwrap();
    let [first] = &campaigns[..] else { panic!("{} campaigns", campaigns.len()) };
    assert_eq!(
        (first.state, first.is_default, first.name.as_str()),
        (State::Running, true, "健康観察")
    );
    assert_eq!(*first.version.as_ref().unwrap().terms, terms);

    let (_, episode) = district.admit(1).await;
    let book = district.store.campaigns(at(0, 0)).await.unwrap();
    let standing = Arc::new(Terms { questionnaire: "other@9".to_owned(), ..terms });
    let slots = book.slots_on(DAY, &episode, &district.center, &standing);
    let key = Some(VersionKey { campaign: first.id, version: 1 });
    assert!(slots.len() == 2 && slots.iter().all(|slot| slot.campaign == key));
    // Whoever is in no other campaign must not fall out of all of them.
    let refused = district.act(first.id, Action::End).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Conflict { constraint } if constraint == "campaign_default")
    );
}

async fn terms_take_effect_now_or_tomorrow_and_are_never_changed(database: Database) {
    let district = District::new(&database).await;
    let first = Terms::shipped();
    let id = district.running("健康観察", &first).await;
    let (entry, within) = (entry(), district.within());
    let mut second = first.clone();
    second.retry.attempts = 2;
    within.save_draft(at(10, 0), id, "健康観察", &second, &change(&entry)).await.unwrap();
    let number = within.publish_campaign(at(10, 0), id, Effect::Tomorrow, &change(&entry)).await;
    assert_eq!(number.unwrap(), 2);

    let in_force = |now| {
        let store = district.store.clone();
        async move {
            let book = store.campaigns(now).await.unwrap();
            let version = book.campaign(id).unwrap().version.clone().unwrap();
            (version.number, version.terms.retry.attempts)
        }
    };
    assert_eq!(in_force(at(23, 59)).await, (1, 3));
    let tomorrow = at(0, 0) + SignedDuration::from_hours(24);
    assert_eq!(in_force(tomorrow).await, (2, 2));
    let versions = within.campaign_versions(at(10, 0), id).await.unwrap();
    let numbers: Vec<u32> = versions.iter().map(|version| version.number).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(*versions[1].terms, first, "what was published stays");
    // Nothing is left to publish, and terms with faults are not published.
    let stale = |refused| matches!(refused, Err(StoreError::Stale { .. }));
    assert!(stale(within.publish_campaign(at(11, 0), id, Effect::Now, &change(&entry)).await));
    let none = Terms { hours: [None; 7], ..first };
    within.save_draft(at(11, 0), id, "健康観察", &none, &change(&entry)).await.unwrap();
    assert!(stale(within.publish_campaign(at(11, 0), id, Effect::Now, &change(&entry)).await));
}

async fn a_campaign_goes_its_way_and_never_back(database: Database) {
    let district = District::new(&database).await;
    let id = district.running("夏", &Terms::shipped()).await;
    let attempt = district.due_in(id, 1, Precedence::First).await;
    let stale = |refused| matches!(refused, Err(StoreError::Stale { .. }));
    assert!(stale(district.act(id, Action::Resume).await));
    assert!(stale(district.act(id, Action::Archive).await));
    assert_eq!(district.act(id, Action::Pause).await.unwrap(), State::Paused);
    assert_eq!(district.act(id, Action::Resume).await.unwrap(), State::Running);
    assert_eq!(district.act(id, Action::End).await.unwrap(), State::Ended);
    assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
    assert!(district.claimed(at(9, 0), 10).await.is_empty());
    assert!(stale(district.act(id, Action::Start).await));
    assert_eq!(district.act(id, Action::Archive).await.unwrap(), State::Archived);
    let change_entry = entry();
    let twice = district.within();
    let twice =
        twice.draft_campaign(at(0, 0), "夏", &Terms::shipped(), &change(&change_entry)).await;
    assert!(
        matches!(twice, Err(StoreError::Conflict { constraint }) if constraint == "campaign_name")
    );
}

async fn a_pause_stops_the_next_call_and_what_was_claimed_is_put_back(database: Database) {
    let district = District::new(&database).await;
    let id = district.running("健康観察", &Terms::shipped()).await;
    let first = district.due_in(id, 1, Precedence::First).await;
    district.due_in(id, 2, Precedence::First).await;
    assert_eq!(district.claimed(at(9, 0), 1).await, [first]);
    assert!(district.store.may_place(at(9, 0), first).await.unwrap());

    district.act(id, Action::Pause).await.unwrap();
    assert!(district.claimed(at(9, 1), 10).await.is_empty());
    assert!(!district.store.may_place(at(9, 1), first).await.unwrap());
    let stranger = district.store.give_back(first, "two").await;
    assert!(matches!(stranger, Err(StoreError::Stale { .. })), "another node's call");
    district.store.give_back(first, "one").await.unwrap();
    assert_eq!(district.attempt_state(first).await, AttemptState::Due);
    assert!(matches!(district.store.give_back(first, "one").await, Err(StoreError::Stale { .. })));

    district.act(id, Action::Resume).await.unwrap();
    assert_eq!(district.claimed(at(9, 2), 10).await.len(), 2);
    // What was answered is not put back.
    district.store.attempt_answered(at(9, 3), first).await.unwrap();
    assert!(matches!(district.store.give_back(first, "one").await, Err(StoreError::Stale { .. })));
}

async fn a_campaign_takes_no_more_lines_than_it_may(database: Database) {
    let district = District::new(&database).await;
    let [small, large] = [
        district.running("小", &Terms::shipped()).await,
        district.running("大", &Terms::shipped()).await,
    ];
    for n in 1..=3 {
        district.due_in(small, n, Precedence::First).await;
        district.due_in(large, n + 10, Precedence::First).await;
    }
    let entry = entry();
    let caps = |lines, calls_per_minute| Caps { lines, calls_per_minute };
    let set = async |id, caps| {
        let within = district.within();
        within.set_campaign_caps(at(8, 0), id, caps, &change(&entry)).await.unwrap();
    };
    set(small, caps(Some(1), None)).await;
    set(large, caps(None, Some(2))).await;
    assert_eq!(district.claimed(at(9, 0), 10).await.len(), 3);
    assert!(district.claimed(at(9, 0), 10).await.is_empty(), "both have what they may");
    // A minute later the large one may go on; changed while it runs, so may the small one.
    let later = at(9, 1) + SignedDuration::from_secs(1);
    assert_eq!(district.claimed(later, 10).await.len(), 1);
    set(small, Caps::default()).await;
    assert_eq!(district.claimed(later, 10).await.len(), 2);
}

async fn caps_of_the_installation_and_of_a_trunk_hold_for_all(database: Database) {
    let district = District::new(&database).await;
    let id = district.running("健康観察", &Terms::shipped()).await;
    for n in 1..=4 {
        district.due_in(id, n, Precedence::First).await;
    }
    let entry = entry();
    let two = Caps { lines: Some(2), calls_per_minute: None };
    district.store.set_installation_caps(at(8, 0), two, &entry).await.unwrap();
    assert_eq!(district.store.installation_caps().await.unwrap(), two);
    assert_eq!(district.claimed(at(9, 0), 10).await.len(), 2);
    district.store.set_installation_caps(at(8, 0), Caps::default(), &entry).await.unwrap();
    let three = Caps { lines: Some(3), calls_per_minute: None };
    district.store.set_trunk_caps(at(8, 0), "main", three, &change(&entry)).await.unwrap();
    assert_eq!(district.claimed(at(9, 0), 10).await.len(), 1);
    let mut other = claimant("two");
    "second".clone_into(&mut other.trunk);
    let claims = district.store.claim_due(at(9, 0), &other, 10).await.unwrap();
    assert_eq!(claims.len(), 1, "another trunk has lines of its own");
}

async fn what_is_urgent_goes_first_and_no_campaign_hides_another(database: Database) {
    let district = District::new(&database).await;
    let [one, two] = [
        district.running("一", &Terms::shipped()).await,
        district.running("二", &Terms::shipped()).await,
    ];
    let mut firsts = Vec::new();
    for n in 1..=3 {
        firsts.push(district.due_in(one, n, Precedence::First).await);
    }
    let of_two = district.due_in(two, 11, Precedence::First).await;
    let retry = district.due_in(one, 12, Precedence::Retry).await;
    let urgent = district.due_in(two, 13, Precedence::Urgent).await;
    let order = district.claimed(at(9, 0), 10).await;
    assert_eq!(order[..2], [urgent, retry]);
    // Each has one call under way: the elder first, then the one with fewer.
    assert_eq!(order[2..4], [firsts[0], of_two]);
    assert_eq!(order.len(), 6);

    // A campaign that is bound to a group of trunks is called through those alone.
    let bound = Terms { trunk_group: Some("east".to_owned()), ..Terms::shipped() };
    let bound = district.running("東", &bound).await;
    let attempt = district.due_in(bound, 21, Precedence::First).await;
    assert!(district.claimed(at(9, 0), 10).await.is_empty());
    let mut east = claimant("three");
    east.trunk_group = Some("east".to_owned());
    let claims = district.store.claim_due(at(9, 0), &east, 10).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.attempt.id).collect::<Vec<_>>(), [attempt]);
}

async fn a_large_campaign_does_not_hide_a_small_one_from_the_planner(database: Database) {
    let district = District::new(&database).await;
    let [large, small] = [
        district.running("大", &Terms::shipped()).await,
        district.running("小", &Terms::shipped()).await,
    ];
    for n in 1..=9 {
        let (_, episode) = district.admit(n).await;
        let campaign = if n == 9 { small } else { large };
        district.slot_of(&episode, Some(VersionKey { campaign, version: 1 })).await;
    }
    let book = district.store.campaigns(at(9, 0)).await.unwrap();
    let slots = district.store.slots_to_plan(at(9, 0), &book, 6).await.unwrap();
    let of = |id| slots.iter().filter(|one| one.slot.campaign.unwrap().campaign == id).count();
    assert_eq!((of(large), of(small)), (6, 1));

    district.act(large, Action::Pause).await.unwrap();
    let book = district.store.campaigns(at(9, 0)).await.unwrap();
    let slots = district.store.slots_to_plan(at(9, 0), &book, 6).await.unwrap();
    assert_eq!(slots.len(), 1, "a paused campaign plans nothing");
    // What a paused campaign owed becomes a matter for staff.
    let expired = district.store.expire_slots(at(12, 0)).await.unwrap();
    assert_eq!(expired.len(), 9);
}

async fn a_holiday_is_left_to_staff(database: Database) {
    let district = District::new(&database).await;
    let staff = Terms { holidays: HolidayPolicy::Staff, ..Terms::shipped() };
    let id = district.running("健康観察", &staff).await;
    let (patient, mut episode) = district.admit(1).await;
    episode.arrangement.campaign = Some(id);
    let book = district.store.campaigns(at(0, 0)).await.unwrap();
    // The day of the tests is 勤労感謝の日.
    let slots = book.slots_on(DAY, &episode, &district.center, &Arc::new(Terms::shipped()));
    district.store.open_slots(at(0, 0), &slots).await.unwrap();
    let list = district.store.health_list(DAY).await.unwrap();
    let row = list.iter().find(|row| row.patient.id == patient.id).unwrap();
    assert_eq!(row.slots.len(), 2);
    for slot in &row.slots {
        assert_eq!(slot.state, SlotState::Expired);
        assert_eq!(slot.reason.as_deref(), Some("休日: 勤労感謝の日・職員が連絡"));
    }
    assert!(district.store.slots_to_plan(at(9, 0), &book, 10).await.unwrap().is_empty());
    let due = district.due_in(id, 2, Precedence::First).await;
    assert!(
        district.claimed(at(9, 0), 10).await.is_empty(),
        "nor is a slot that was opened before"
    );
    assert_eq!(district.attempt_state(due).await, AttemptState::Due);
}

async fn closures_belong_to_one_centre(database: Database) {
    let district = District::new(&database).await;
    let other = another_center(&district.store).await;
    let within = district.within();
    let day = date(2026, 12, 31);
    within.set_closure(at(9, 0), day, Some("年末年始"), &entry()).await.unwrap();
    let names = |calendar: Calendar| calendar.special(day).map(|it| it.name().to_owned());
    assert_eq!(names(within.closures(at(9, 0)).await.unwrap()).as_deref(), Some("年末年始"));
    let theirs = district.store.within(Scope { center: other.id, clinic: None });
    assert_eq!(names(theirs.closures(at(9, 0)).await.unwrap()), None);
    within.set_closure(at(9, 0), day, None, &entry()).await.unwrap();
    assert_eq!(names(within.closures(at(9, 0)).await.unwrap()), None);
}

async fn another_center(store: &Store) -> HealthCenter {
    let mut other = HealthCenter {
        id: store.mint(at(0, 0)),
        code: "kita".to_owned(),
        name: "きた保健所".to_owned(),
        kana: "キタホケ'ンジョ".to_owned(),
        desk_phone: "03-0000-0001".to_owned(),
        opens_at: time(9, 0, 0, 0),
        closes_at: time(17, 0, 0, 0),
    };
    other.id = store.save_health_center(at(0, 0), &other).await.unwrap();
    other
}

async fn a_campaign_of_another_centre_is_not_there(database: Database) {
    let district = District::new(&database).await;
    let id = district.running("健康観察", &Terms::shipped()).await;
    let other = another_center(&district.store).await;
    let theirs = district.store.within(Scope { center: other.id, clinic: None });
    let (entry, terms) = (entry(), Terms::shipped());
    let change = change(&entry);
    assert!(theirs.campaigns(at(9, 0)).await.unwrap().is_empty());
    let refusals = [
        theirs.campaign(at(9, 0), id).await.map(|_| ()),
        theirs.campaign_versions(at(9, 0), id).await.map(|_| ()),
        theirs.save_draft(at(9, 0), id, "x", &terms, &change).await,
        theirs.publish_campaign(at(9, 0), id, Effect::Now, &change).await.map(|_| ()),
        theirs.act_on_campaign(at(9, 0), id, Action::Pause, &change).await.map(|_| ()),
        theirs.set_campaign_start(at(9, 0), id, None, &change).await,
        theirs.set_campaign_caps(at(9, 0), id, Caps::default(), &change).await,
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(StoreError::NotFound { .. })), "{refusal:?}");
    }
}

async fn a_ready_campaign_starts_on_its_day(database: Database) {
    let district = District::new(&database).await;
    let (entry, within) = (entry(), district.within());
    let change = change(&entry);
    let id = within.draft_campaign(at(0, 0), "冬", &Terms::shipped(), &change).await.unwrap();
    within.set_campaign_start(at(0, 0), id, Some(DAY), &change).await.unwrap();
    assert_eq!(district.store.start_campaigns(at(9, 0)).await.unwrap(), 0, "a draft does not");
    within.publish_campaign(at(0, 0), id, Effect::Now, &change).await.unwrap();
    assert_eq!(within.campaign(at(9, 0), id).await.unwrap().state, State::Ready);
    let before = at(0, 0) - SignedDuration::from_secs(1);
    assert_eq!(district.store.start_campaigns(before).await.unwrap(), 0);
    assert_eq!(district.store.start_campaigns(at(0, 0)).await.unwrap(), 1);
    assert_eq!(district.store.start_campaigns(at(0, 0)).await.unwrap(), 0);
    assert_eq!(within.campaign(at(9, 0), id).await.unwrap().state, State::Running);
}

/// Expects that the attempt waits for this reason, and that the claim does not take it.
async fn waits(
    district: &District,
    now: Timestamp,
    (patient, attempt): (PatientId, AttemptId),
    expected: Waiting,
) {
    let seen = NodeStatus { at: now, ..here() };
    let nodes = [&seen];
    let services = Services {
        nodes: &nodes,
        trunks: &["main"],
        trunk_groups: Some(&[None]),
        questionnaires: None,
    };
    let waiting = district.store.waiting(now, &services, patient).await.unwrap();
    assert!(waiting.contains(&(attempt, expected)), "{expected:?}, but {waiting:?}");
    let claimed = district.claimed(now, 1).await;
    assert_eq!(claimed.contains(&attempt), expected == Waiting::InTurn, "{expected:?}");
}

fn here() -> NodeStatus {
    NodeStatus {
        node: "one".to_owned(),
        at: at(9, 0),
        lines_in_use: 0,
        lines_limit: 8,
        calls_per_minute: 60,
        trunk: TrunkWord::Ready,
        prompts_complete: true,
        clock_ahead: None,
        last_error: String::new(),
    }
}

async fn every_condition_of_the_claim_has_its_reason(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let campaign = district.running("健康観察", &Terms::shipped()).await;
    let attempt = district.due_in(campaign, 1, Precedence::First).await;
    let of_day = store.attempts_of_day(DAY).await.unwrap();
    let patient = of_day[0].patient.id;
    let one = (patient, attempt);

    // The law, the centre, the slot.
    waits(&district, at(20, 0), one, Waiting::OutsideHours).await;
    let late = HealthCenter { opens_at: time(10, 0, 0, 0), ..district.center.clone() };
    store.save_health_center(at(0, 0), &late).await.unwrap();
    waits(&district, at(9, 0), one, Waiting::OutsideHours).await;
    store.save_health_center(at(0, 0), &district.center).await.unwrap();
    waits(&district, at(12, 0), one, Waiting::SlotClosed).await;

    // The emergency stop.
    let entry = entry();
    let dialing = |is_running| Dialing {
        is_running,
        changed_at: at(8, 0),
        changed_by: "見守 花".to_owned(),
        reason: "試験".to_owned(),
    };
    store.set_dialing(&dialing(false), &entry).await.unwrap();
    waits(&district, at(9, 0), one, Waiting::Stopped).await;
    store.set_dialing(&dialing(true), &entry).await.unwrap();

    // The campaign: it rests, its calendar, its trunks, its caps.
    district.act(campaign, Action::Pause).await.unwrap();
    waits(&district, at(9, 0), one, Waiting::CampaignRests(State::Paused)).await;
    district.act(campaign, Action::Resume).await.unwrap();
    let skips = Terms { holidays: HolidayPolicy::Skip, ..Terms::shipped() };
    let bound = Terms { trunk_group: Some("b".to_owned()), ..Terms::shipped() };
    for (n, name, terms, expected) in [
        (20, "祝日は休み", skips, Waiting::OutsideHours),
        (21, "別の回線", bound, Waiting::OtherTrunks),
    ] {
        let other = district.running(name, &terms).await;
        let attempt = district.due_in(other, n, Precedence::Retry).await;
        let of_day = store.attempts_of_day(DAY).await.unwrap();
        let patient = of_day.iter().find(|it| it.attempt.id == attempt).unwrap().patient.id;
        district.act(campaign, Action::Pause).await.unwrap();
        waits(&district, at(9, 0), (patient, attempt), expected).await;
        district.act(campaign, Action::Resume).await.unwrap();
    }
    let none = Caps { lines: Some(0), calls_per_minute: None };
    let set = async |caps| {
        let within = district.within();
        within.set_campaign_caps(at(8, 0), campaign, caps, &change(&entry)).await.unwrap();
    };
    set(none).await;
    waits(&district, at(9, 0), one, Waiting::LinesFull).await;
    set(Caps::default()).await;
    store.set_trunk_caps(at(8, 0), "main", none, &change(&entry)).await.unwrap();
    waits(&district, at(9, 0), one, Waiting::LinesFull).await;
    store.set_trunk_caps(at(8, 0), "main", Caps::default(), &change(&entry)).await.unwrap();
    store.set_installation_caps(at(8, 0), none, &entry).await.unwrap();
    waits(&district, at(9, 0), one, Waiting::LinesFull).await;
    store.set_installation_caps(at(8, 0), Caps::default(), &entry).await.unwrap();

    // What there is to place calls.
    for (node, expected) in [
        (None, Waiting::NoService),
        (Some(NodeStatus { trunk: TrunkWord::Failed, ..here() }), Waiting::NoTrunk),
        (
            Some(NodeStatus { clock_ahead: Some(SignedDuration::from_secs(9)), ..here() }),
            Waiting::Clock,
        ),
    ] {
        let nodes: Vec<&NodeStatus> = node.iter().collect();
        let services =
            Services { nodes: &nodes, trunks: &["main"], trunk_groups: None, questionnaires: None };
        let waiting = store.waiting(at(9, 0), &services, patient).await.unwrap();
        assert_eq!(waiting, [(attempt, expected)]);
    }

    // The number and the patient: who shares it, and what else the patient has.
    let (_, wife) = district.admit(2).await;
    let planned = |slot, phone| PlannedAttempt {
        slot,
        number: 1,
        phone,
        due_at: at(8, 50),
        campaign: None,
        priority: Precedence::Urgent,
    };
    let slot = district.slot_of(&wife, None).await;
    let hers = store.add_attempt(at(6, 0), &planned(slot, number(1))).await.unwrap().unwrap();
    assert_eq!(district.claimed(at(9, 0), 1).await, [hers]);
    waits(&district, at(9, 0), one, Waiting::PhoneBusy).await;
    let over = outcome(Disposition::NoAnswer, SlotState::Unreached);
    store.finish_attempt(at(9, 5), hers, &over).await.unwrap();
    waits(&district, at(9, 6), one, Waiting::PhoneRests).await;
    let episode = store.episodes_on(DAY).await.unwrap();
    let episode = episode.into_iter().find(|it| it.patient.id == patient).unwrap().episode;
    let second = district.slot_between(&episode, 2, at(9, 0), at(12, 0)).await;
    let other = planned(second, number(500_001));
    let other = store.add_attempt(at(6, 0), &other).await.unwrap().unwrap();
    assert_eq!(district.claimed(at(9, 9), 1).await, [other]);
    waits(&district, at(9, 9), one, Waiting::PatientOnLine).await;
    store.finish_attempt(at(9, 10), other, &over).await.unwrap();

    // Nothing.
    let services = Services { nodes: &[], trunks: &[], trunk_groups: None, questionnaires: None };
    assert!(store.waiting(at(8, 0), &services, patient).await.unwrap().is_empty(), "not due yet");
    waits(&district, at(9, 10), one, Waiting::InTurn).await;
}
