//! Accounts on both databases: what proves their owner, who may change them, and what programs may
//! do in their name.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use jiff::{SignedDuration, Timestamp};
use mimamori::base::Private;
use mimamori::base::id::{HealthCenterId, StaffId};
use mimamori::registry::audit::BrokenChain;
use mimamori::registry::{Actor, ApiToken, AuditEntry, ConsoleLanguage, Reach, Right, Role, Staff};
use mimamori::store::{
    AuditFilter, Knock, LAST_ADMINISTRATOR, OWN_RIGHTS, SignedIn, Stage, Store, StoreError,
};

use crate::store::{Database, District, at, claims};

claims! {
    five_wrong_tries_lock_for_a_while_and_longer_each_time
    many_tries_at_once_are_no_more_than_one_after_the_other
    a_right_password_takes_its_own_try_back_and_no_other
    a_code_is_used_once_and_none_before_it
    a_second_factor_is_in_use_once_it_is_proven
    a_recovery_code_is_used_once
    a_renewed_session_leaves_nothing_of_the_old_one
    who_is_disabled_has_no_session
    a_change_of_rights_signs_out
    somebody_is_left_who_can_manage
    two_administrators_cannot_remove_each_other_at_once
    nobody_changes_their_own_rights
    an_administrator_of_a_centre_reaches_its_accounts_alone
    a_token_lasts_until_it_is_revoked_or_out_of_date
    a_token_ends_when_its_owner_moves
    somebody_at_a_provider_has_one_account
    the_audit_is_searched_and_ends_at_the_reach
    a_changed_event_is_found
}

fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        actor: Actor::Program,
        health_center: None,
        action,
        patient: None,
        object: String::new(),
        detail: String::new(),
    }
}

async fn hire(store: &Store, login: &str, roles: &[Role], center: Option<HealthCenterId>) -> Staff {
    let staff = Staff {
        id: store.mint(at(0, 0)),
        health_center: center,
        clinic: None,
        login: login.to_owned(),
        name: Private::new(format!("職員 {login}")),
        roles: roles.to_vec(),
        is_active: true,
        language: ConsoleLanguage::Ja,
        has_second_factor: false,
        must_change_password: false,
        locked_until: None,
    };
    let password = Private::new("$argon2id$".to_owned());
    let managing = store.managing(Reach::Everybody);
    managing.add(at(0, 0), &staff, Some(&password), &entry("staff.added")).await.unwrap();
    staff
}

async fn admin(store: &Store, login: &str) -> Staff {
    hire(store, login, &[Role::Administrator], None).await
}

fn session(staff: &Staff, token: &str, now: Timestamp) -> SignedIn {
    SignedIn {
        staff: staff.clone(),
        token: token.to_owned(),
        csrf: "word".to_owned().into(),
        stage: Stage::Full,
        created_at: now,
        seen_at: now,
        address: "192.0.2.1".to_owned(),
        agent: "browser".to_owned(),
    }
}

async fn begin(store: &Store, staff: &Staff, token: &str) {
    let signed_in = session(staff, token, at(9, 0));
    store.begin_session(at(9, 0), &signed_in, &entry("session.begun")).await.unwrap();
}

fn conflict(result: Result<(), StoreError>) -> String {
    match result {
        Err(StoreError::Conflict { constraint }) => constraint,
        other => panic!("not a conflict: {other:?}"),
    }
}

fn is_absent<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::NotFound { .. }))
}

async fn five_wrong_tries_lock_for_a_while_and_longer_each_time(database: Database) {
    let store = database.open().await;
    let hanako = admin(&store, "hanako").await;
    let mut now = at(9, 0);
    for _ in 0..5 {
        assert_eq!(store.knock(now, hanako.id).await.unwrap(), Knock::Open);
    }
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        let lock = SignedDuration::from_mins(minutes);
        let just_before = now + lock - SignedDuration::from_secs(1);
        assert_eq!(store.knock(just_before, hanako.id).await.unwrap(), Knock::Closed, "{minutes}");
        now += lock;
        assert_eq!(store.knock(now, hanako.id).await.unwrap(), Knock::Open, "{minutes}");
    }
    let locked = AuditFilter { action: Some("account.locked".to_owned()), ..Default::default() };
    assert_eq!(store.audit_events(&locked, 100).await.unwrap().len(), 9);
    begin(&store, &hanako, "t").await;
    let account = store.account_of(hanako.id).await.unwrap();
    assert_eq!((account.failures, account.staff.locked_until), (0, None), "forgiven");
}

async fn many_tries_at_once_are_no_more_than_one_after_the_other(database: Database) {
    let store = database.open().await;
    let hanako = admin(&store, "hanako").await;
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.knock(at(9, 0), hanako.id).await.unwrap() })
        })
        .collect();
    let mut open = 0;
    for one in tries {
        open += usize::from(one.await.unwrap() == Knock::Open);
    }
    assert_eq!(open, 5);
}

async fn a_right_password_takes_its_own_try_back_and_no_other(database: Database) {
    let store = database.open().await;
    let hanako = admin(&store, "hanako").await;
    for _ in 0..3 {
        store.knock(at(9, 0), hanako.id).await.unwrap();
    }
    store.pardon(hanako.id).await.unwrap();
    assert_eq!(store.account_of(hanako.id).await.unwrap().failures, 2);
    for _ in 0..5 {
        store.pardon(hanako.id).await.unwrap();
    }
    assert_eq!(store.account_of(hanako.id).await.unwrap().failures, 0);
    let waiting = SignedIn { stage: Stage::SecondFactor, ..session(&hanako, "t", at(9, 0)) };
    store.knock(at(9, 0), hanako.id).await.unwrap();
    store.begin_session(at(9, 0), &waiting, &entry("session.knocked")).await.unwrap();
    let left = store.account_of(hanako.id).await.unwrap().failures;
    assert_eq!(left, 1, "half of signing in forgives nothing");
}

async fn with_second_factor(store: &Store, staff: &Staff, codes: &[String]) {
    store.propose_totp(at(9, 0), staff.id, &"sealed".to_owned().into()).await.unwrap();
    let set = entry("second_factor.set");
    store.confirm_totp(at(9, 0), staff.id, 100, codes, &set).await.unwrap();
}

async fn a_code_is_used_once_and_none_before_it(database: Database) {
    let store = database.open().await;
    let hanako = admin(&store, "hanako").await;
    assert!(!store.use_totp_step(hanako.id, 100).await.unwrap(), "none is set up");
    with_second_factor(&store, &hanako, &[]).await;
    for (step, is_good) in [(100, false), (101, true), (101, false), (99, false), (103, true)] {
        assert_eq!(store.use_totp_step(hanako.id, step).await.unwrap(), is_good, "{step}");
    }
}

async fn a_second_factor_is_in_use_once_it_is_proven(database: Database) {
    let store = database.open().await;
    let hanako = admin(&store, "hanako").await;
    store.propose_totp(at(9, 0), hanako.id, &"sealed".to_owned().into()).await.unwrap();
    let account = store.account_of(hanako.id).await.unwrap();
    assert!(!account.staff.has_second_factor && account.totp_secret.is_none());
    let set = entry("second_factor.set");
    store.confirm_totp(at(9, 0), hanako.id, 1, &[], &set).await.unwrap();
    let account = store.account_of(hanako.id).await.unwrap();
    assert!(account.staff.has_second_factor && account.totp_pending.is_none());
    assert_eq!(account.totp_secret.unwrap().expose(), "sealed");
    let again = store.confirm_totp(at(9, 0), hanako.id, 2, &[], &set).await;
    assert!(matches!(again, Err(StoreError::Stale { .. })));
    let managing = store.managing(Reach::Everybody);
    let reset = entry("second_factor.reset");
    managing.reset_second_factor(at(9, 1), hanako.id, &reset).await.unwrap();
    let account = store.account_of(hanako.id).await.unwrap();
    assert!(!account.staff.has_second_factor && account.totp_secret.is_none());
}

async fn a_recovery_code_is_used_once(database: Database) {
    let store = database.open().await;
    let (hanako, taro) = (admin(&store, "hanako").await, admin(&store, "taro").await);
    let codes = ["a".to_owned(), "b".to_owned()];
    with_second_factor(&store, &hanako, &codes).await;
    let used = entry("second_factor.recovered");
    let try_code = async |id: StaffId, code: &str| {
        store.use_recovery_code(at(9, 0), id, code, &used).await.unwrap()
    };
    assert!(!try_code(taro.id, "a").await, "another's");
    assert!(try_code(hanako.id, "a").await);
    assert!(!try_code(hanako.id, "a").await);
    assert_eq!(store.recovery_codes_left(hanako.id).await.unwrap(), 1);
    let renewed = entry("second_factor.codes_renewed");
    let new = ["c".to_owned(), "d".to_owned(), "e".to_owned()];
    store.set_recovery_codes(at(9, 1), hanako.id, &new, &renewed).await.unwrap();
    assert_eq!(store.recovery_codes_left(hanako.id).await.unwrap(), 3);
    assert!(!try_code(hanako.id, "b").await, "replaced");
}

async fn a_renewed_session_leaves_nothing_of_the_old_one(database: Database) {
    let store = database.open().await;
    let (hanako, taro) = (admin(&store, "hanako").await, admin(&store, "taro").await);
    begin(&store, &hanako, "old").await;
    let new = session(&hanako, "new", at(9, 0));
    let renewed = entry("session.renewed");
    let of_another = session(&taro, "theirs", at(9, 0));
    let stolen = store.renew_session(at(9, 1), "old", &of_another, &renewed).await;
    assert!(matches!(stolen, Err(StoreError::Stale { .. })));
    store.renew_session(at(9, 1), "old", &new, &renewed).await.unwrap();
    assert!(store.session("old").await.unwrap().is_none());
    assert!(store.session("new").await.unwrap().is_some());
    let again = store.renew_session(at(9, 2), "old", &new, &renewed).await;
    assert!(matches!(again, Err(StoreError::Stale { .. })));
    begin(&store, &hanako, "third").await;
    let others = entry("session.others_ended");
    store.end_sessions_of(at(9, 3), hanako.id, "new", &others).await.unwrap();
    let left = store.sessions_of(hanako.id).await.unwrap();
    assert_eq!(left.iter().map(|one| one.token.as_str()).collect::<Vec<_>>(), ["new"]);
}

async fn who_is_disabled_has_no_session(database: Database) {
    let store = database.open().await;
    let (hanako, _) = (admin(&store, "hanako").await, admin(&store, "taro").await);
    begin(&store, &hanako, "t").await;
    let disabled = Staff { is_active: false, ..hanako.clone() };
    let managing = store.managing(Reach::Everybody);
    managing.change(at(9, 1), &disabled, &entry("staff.changed")).await.unwrap();
    assert!(store.session("t").await.unwrap().is_none());
    let again = session(&hanako, "u", at(9, 2));
    let refused = store.begin_session(at(9, 2), &again, &entry("session.begun")).await;
    assert!(matches!(refused, Err(StoreError::Stale { .. })));
    assert_eq!(store.knock(at(9, 2), hanako.id).await.unwrap(), Knock::Closed);
}

async fn a_change_of_rights_signs_out(database: Database) {
    let district = District::new(&database).await;
    let (store, center) = (&district.store, Some(district.center.id));
    admin(store, "admin").await;
    let nurse = hire(store, "nurse", &[Role::Nurse], center).await;
    let managing = store.managing(Reach::Everybody);
    begin(store, &nurse, "t").await;
    let renamed = Staff { name: "改名".to_owned().into(), ..nurse.clone() };
    managing.change(at(9, 1), &renamed, &entry("staff.changed")).await.unwrap();
    assert!(store.session("t").await.unwrap().is_some(), "a name gives no rights");
    let promoted = Staff { roles: vec![Role::Supervisor], ..renamed };
    managing.change(at(9, 2), &promoted, &entry("staff.changed")).await.unwrap();
    assert!(store.session("t").await.unwrap().is_none());
    begin(store, &nurse, "u").await;
    let hash = Private::new("new".to_owned());
    managing.reset_password(at(9, 3), nurse.id, &hash, &entry("password.reset")).await.unwrap();
    assert!(store.session("u").await.unwrap().is_none());
    assert!(store.staff(nurse.id).await.unwrap().must_change_password);
}

async fn somebody_is_left_who_can_manage(database: Database) {
    let store = database.open().await;
    let hanako = admin(&store, "hanako").await;
    let managing = store.managing(Reach::Everybody);
    let changed = entry("staff.changed");
    for fallen in [
        Staff { is_active: false, ..hanako.clone() },
        Staff { roles: vec![Role::Auditor], ..hanako.clone() },
    ] {
        let refused = managing.change(at(9, 0), &fallen, &changed).await;
        assert_eq!(conflict(refused), LAST_ADMINISTRATOR);
    }
    assert!(store.staff(hanako.id).await.unwrap().may(Right::ManageStaff), "nothing remains");
    admin(&store, "taro").await;
    let fallen = Staff { is_active: false, ..hanako };
    managing.change(at(9, 1), &fallen, &changed).await.unwrap();
}

async fn two_administrators_cannot_remove_each_other_at_once(database: Database) {
    let store = database.open().await;
    let (hanako, taro) = (admin(&store, "hanako").await, admin(&store, "taro").await);
    let removals = [hanako, taro].map(|one| {
        let store = store.clone();
        tokio::spawn(async move {
            let fallen = Staff { is_active: false, ..one };
            let managing = store.managing(Reach::Everybody);
            managing.change(at(9, 0), &fallen, &entry("staff.changed")).await
        })
    });
    let mut removed = 0;
    for one in removals {
        removed += usize::from(one.await.unwrap().is_ok());
    }
    assert_eq!(removed, 1);
}

async fn nobody_changes_their_own_rights(database: Database) {
    let store = database.open().await;
    let (hanako, _) = (admin(&store, "hanako").await, admin(&store, "taro").await);
    let managing = store.managing(Reach::Everybody).by(hanako.id);
    let more = vec![Role::Administrator, Role::Auditor];
    let raised = Staff { roles: more, ..hanako.clone() };
    let changed = entry("staff.changed");
    assert_eq!(conflict(managing.change(at(9, 0), &raised, &changed).await), OWN_RIGHTS);
    let hash = Private::new("new".to_owned());
    let reset = managing.reset_password(at(9, 0), hanako.id, &hash, &changed).await;
    assert_eq!(conflict(reset), OWN_RIGHTS);
    let reset = managing.reset_second_factor(at(9, 0), hanako.id, &changed).await;
    assert_eq!(conflict(reset), OWN_RIGHTS);
    let renamed = Staff { name: "改名".to_owned().into(), ..hanako };
    managing.change(at(9, 0), &renamed, &changed).await.unwrap();
}

async fn an_administrator_of_a_centre_reaches_its_accounts_alone(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let mut other = district.center.clone();
    (other.code, other.id) = ("kita".to_owned(), store.mint(at(0, 0)));
    let other = store.save_health_center(at(0, 0), &other).await.unwrap();
    let own = district.center.id;
    let near = hire(store, "near", &[Role::Nurse], Some(own)).await;
    let far = hire(store, "far", &[Role::Nurse], Some(other)).await;
    let above = admin(store, "above").await;
    let managing = store.managing(Reach::Center(own));
    let logins: Vec<String> =
        managing.staff().await.unwrap().into_iter().map(|one| one.login).collect();
    assert_eq!(logins, ["near"]);
    let changed = entry("staff.changed");
    let hash = Private::new("new".to_owned());
    for one in [&far, &above] {
        assert!(is_absent(&managing.one(one.id).await));
        assert!(is_absent(&managing.change(at(9, 0), one, &changed).await));
        assert!(is_absent(&managing.reset_password(at(9, 0), one.id, &hash, &changed).await));
        assert!(is_absent(&managing.reset_second_factor(at(9, 0), one.id, &changed).await));
        assert!(is_absent(&managing.end_sessions(at(9, 0), one.id, &changed).await));
        assert!(is_absent(&managing.sessions(one.id).await));
        assert!(is_absent(&managing.link_subject(at(9, 0), one.id, None, &changed).await));
    }
    for center in [Some(other), None] {
        let moved = Staff { health_center: center, ..near.clone() };
        assert!(is_absent(&managing.change(at(9, 0), &moved, &changed).await), "{center:?}");
        let new = Staff { id: store.mint(at(9, 0)), login: "new".to_owned(), ..moved };
        assert!(is_absent(&managing.add(at(9, 0), &new, None, &changed).await), "{center:?}");
    }
}

async fn token(store: &Store, owner: &Staff, hash: &str) -> ApiToken {
    let token = ApiToken {
        id: store.mint(at(9, 0)),
        owner: owner.id,
        name: "電子カルテ".to_owned(),
        rights: vec![Right::SeePlan, Right::SeeHealth],
        created_at: at(9, 0),
        expires_at: at(18, 0),
        last_used_at: None,
        revoked_at: None,
    };
    let managing = store.managing(Reach::Everybody);
    managing.add_token(at(9, 0), &token, hash, &entry("token.added")).await.unwrap();
    token
}

async fn a_token_lasts_until_it_is_revoked_or_out_of_date(database: Database) {
    let district = District::new(&database).await;
    let (store, center) = (&district.store, district.center.id);
    let nurse = hire(store, "nurse", &[Role::Nurse], Some(center)).await;
    let made = token(store, &nurse, "hash").await;
    let (found, owner) = store.bearer(at(10, 0), "hash").await.unwrap().unwrap();
    assert_eq!((found, owner.id), (made.clone(), nurse.id));
    assert!(store.bearer(at(10, 0), "another").await.unwrap().is_none());
    assert!(store.bearer(at(18, 0), "hash").await.unwrap().is_none(), "out of date");
    store.touch_token(at(10, 0), made.id).await.unwrap();
    let listed = store.managing(Reach::Center(center)).tokens().await.unwrap();
    assert_eq!(listed[0].last_used_at, Some(at(10, 0)));
    let elsewhere = store.managing(Reach::Center(store.mint(at(0, 0))));
    assert!(elsewhere.tokens().await.unwrap().is_empty());
    let revoked = entry("token.revoked");
    assert!(is_absent(&elsewhere.revoke_token(at(11, 0), made.id, &revoked).await));
    assert!(store.bearer(at(11, 0), "hash").await.unwrap().is_some());
    let managing = store.managing(Reach::Center(center));
    managing.revoke_token(at(11, 0), made.id, &revoked).await.unwrap();
    assert!(store.bearer(at(11, 0), "hash").await.unwrap().is_none());
    assert_eq!(managing.tokens().await.unwrap()[0].revoked_at, Some(at(11, 0)));
}

async fn a_token_ends_when_its_owner_moves(database: Database) {
    let district = District::new(&database).await;
    let (store, center) = (&district.store, district.center.id);
    admin(store, "admin").await;
    let nurse = hire(store, "nurse", &[Role::Nurse], Some(center)).await;
    let mut other = district.center.clone();
    (other.code, other.id) = ("kita".to_owned(), store.mint(at(0, 0)));
    let other = store.save_health_center(at(0, 0), &other).await.unwrap();
    token(store, &nurse, "hash").await;
    let managing = store.managing(Reach::Everybody);
    let changed = entry("staff.changed");
    for (moved, is_good) in [
        (Staff { health_center: Some(other), ..nurse.clone() }, false),
        (nurse.clone(), true),
        (Staff { is_active: false, ..nurse.clone() }, false),
    ] {
        managing.change(at(9, 1), &moved, &changed).await.unwrap();
        assert_eq!(store.bearer(at(9, 2), "hash").await.unwrap().is_some(), is_good);
    }
}

async fn somebody_at_a_provider_has_one_account(database: Database) {
    let store = database.open().await;
    let (hanako, taro) = (admin(&store, "hanako").await, admin(&store, "taro").await);
    let linked = entry("staff.linked");
    let subject = Some(("https://idp.example", "42"));
    store.link_subject(at(9, 0), hanako.id, subject, &linked).await.unwrap();
    let twice = store.link_subject(at(9, 0), taro.id, subject, &linked).await;
    assert_eq!(conflict(twice), "staff_subject");
    let found = store.account_of_subject("https://idp.example", "42").await.unwrap();
    assert_eq!(found.unwrap().staff.id, hanako.id);
    assert!(store.account_of_subject("https://other.example", "42").await.unwrap().is_none());
    store.link_subject(at(9, 1), hanako.id, None, &linked).await.unwrap();
    store.link_subject(at(9, 1), taro.id, subject, &linked).await.unwrap();
}

async fn the_audit_is_searched_and_ends_at_the_reach(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, _) = district.admit(1).await;
    let nurse: StaffId = store.mint(at(0, 0));
    let (own, other) = (district.center.id, store.mint(at(0, 0)));
    for (hour, center, action, who) in [
        (8, Some(own), "patient.viewed", Actor::Staff(nurse)),
        (9, Some(other), "patient.viewed", Actor::Program),
        (10, Some(own), "patient.changed", Actor::Program),
        (11, None, "session.refused", Actor::Nobody),
    ] {
        let is_own = center == Some(own);
        let event = AuditEntry {
            actor: who,
            health_center: center,
            patient: is_own.then_some(patient.id),
            ..entry(action)
        };
        store.audit(at(hour, 0), &event).await.unwrap();
    }
    let all = AuditFilter::default();
    let hours = async |reach: Reach, filter: &AuditFilter| -> Vec<i8> {
        let events = store.auditing(reach).events(filter, 100).await.unwrap();
        let hour = |at: Timestamp| mimamori::base::clock::civil(at).hour();
        events.iter().map(|event| hour(event.at)).collect()
    };
    let filter = |change: fn(&mut AuditFilter)| {
        let mut filter = AuditFilter::default();
        change(&mut filter);
        filter
    };
    assert_eq!(hours(Reach::Everybody, &all).await, [11, 10, 9, 8]);
    assert_eq!(hours(Reach::Center(own), &all).await, [10, 8]);
    let other_asked = AuditFilter { health_center: Some(other), ..all.clone() };
    assert_eq!(hours(Reach::Center(own), &other_asked).await, [10, 8], "the reach wins");
    assert_eq!(hours(Reach::Everybody, &other_asked).await, [9]);
    let of_patient = AuditFilter { patient: Some(patient.id), ..all.clone() };
    assert_eq!(hours(Reach::Everybody, &of_patient).await, [10, 8]);
    let by_nurse = AuditFilter { staff: Some(nurse), ..all.clone() };
    assert_eq!(hours(Reach::Everybody, &by_nurse).await, [8]);
    let viewed = filter(|it| it.action = Some("patient.".to_owned()));
    assert_eq!(hours(Reach::Everybody, &viewed).await, [10, 9, 8]);
    let between = AuditFilter { from: Some(at(9, 0)), to: Some(at(11, 0)), ..all.clone() };
    assert_eq!(hours(Reach::Everybody, &between).await, [10, 9]);
    let events = store.auditing(Reach::Everybody).events(&all, 2).await.unwrap();
    let next = AuditFilter { before: Some(events[1].seq), ..all.clone() };
    assert_eq!(hours(Reach::Everybody, &next).await, [9, 8]);
    let auditing = store.auditing(Reach::Center(own));
    let in_order = auditing.events_in_order(&all, 100).await.unwrap();
    assert!(in_order[0].seq < in_order[1].seq && in_order.len() == 2);
}

async fn a_changed_event_is_found(database: Database) {
    let store = database.open().await;
    for hour in 8..12 {
        store.audit(at(hour, 0), &entry("patient.viewed")).await.unwrap();
    }
    let whole = store.verify_audit(|_| {}).await.unwrap();
    assert_eq!((whole.events, whole.fault), (4, None));
    assert_eq!(whole.head.len(), 64);
    database.execute("update audit_event set object = 'x' where seq = 3").await;
    let found = store.verify_audit(|_| {}).await.unwrap();
    assert_eq!((found.events, found.fault), (3, Some(BrokenChain::Changed(3))));
    database.execute("update audit_event set object = '' where seq = 3").await;
    database.execute("delete from audit_event where seq = 4").await;
    let cut = store.verify_audit(|_| {}).await.unwrap();
    assert_eq!(cut.fault, Some(BrokenChain::Cut(4)));
}
