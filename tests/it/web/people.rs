//! The pages of accounts: who may open them, and what they cannot be made to do.

use std::time::Duration;

use axum::http::StatusCode;
use mimamori::registry::Role;

use crate::web::{Office, PASSWORD};

/// Each page and the roles that may open it.
const PAGES: [(&str, &[Role]); 11] = [
    ("/", &Role::ALL),
    ("/patients", &[Role::Scheduler, Role::Nurse, Role::Supervisor, Role::Clinic]),
    ("/plan", &[Role::Scheduler, Role::Nurse, Role::Supervisor]),
    ("/campaigns", &[Role::Scheduler, Role::Nurse, Role::Supervisor]),
    ("/import", &[Role::Scheduler, Role::Supervisor]),
    ("/prompts", &[Role::Scheduler, Role::Supervisor, Role::Engineer]),
    ("/account", &Role::ALL),
    ("/staff", &[Role::Administrator]),
    ("/staff/new", &[Role::Administrator]),
    ("/staff/tokens", &[Role::Administrator]),
    ("/audit", &[Role::Auditor]),
];

#[tokio::test]
async fn each_page_opens_to_its_roles_alone() {
    let office = Office::new().await;
    for role in Role::ALL {
        let mut browser = office.at_work(role.as_str(), role).await;
        for (path, roles) in PAGES {
            let expected =
                if roles.contains(&role) { StatusCode::OK } else { StatusCode::FORBIDDEN };
            let page = browser.get(path).await;
            assert_eq!(page.status, expected, "{role:?} {path}: {}", page.text);
        }
        browser.get("/account").await;
        for path in ["/staff", "/staff/clinics", "/staff/tokens", "/audit/verify"] {
            let whole =
                [("name", "x"), ("owner", "x"), ("days", "1"), ("center", "x"), ("code", "x")];
            let page = browser.post(path, &whole).await;
            let is_theirs = match role {
                Role::Administrator => path != "/audit/verify",
                Role::Auditor => path == "/audit/verify",
                _ => false,
            };
            let is_refused = page.status == StatusCode::FORBIDDEN;
            assert_eq!(is_refused, !is_theirs, "{role:?} {path}: {}", page.status);
        }
    }
    let mut nobody = office.browser();
    for (path, _) in PAGES {
        assert_eq!(nobody.get(path).await.to(), "/login", "{path}");
    }
}

#[tokio::test]
async fn whoever_is_added_signs_in_once_with_the_first_password_and_chooses_another() {
    let office = Office::new().await;
    let mut admin = office.at_work("admin", Role::Administrator).await;
    admin.get("/staff/new").await;
    let center = office.center.to_string();
    let fields = [
        ("login", "Hanako"),
        ("name", "花子"),
        ("role", "nurse"),
        ("center", center.as_str()),
        ("clinic", ""),
    ];
    let page = admin.post("/staff", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let first = page.between("<code id=\"password\">", "</code>").unwrap();
    let list = admin.get("/staff").await;
    assert!(list.text.contains("花子") && !list.text.contains(&first), "shown once");

    let mut hanako = office.browser();
    assert_eq!(hanako.give_password("hanako", &first).await.to(), "/login/setup");
    let secret = hanako.get("/login/setup").await.secret();
    let code = secret.code_at(office.now()).unwrap();
    hanako.post("/login/setup", &[("code", code.expose())]).await;
    for path in ["/", "/account", "/staff"] {
        assert_eq!(hanako.get(path).await.to(), "/account/password", "{path}");
    }
    hanako.get("/account/password").await;
    let choose = |proof: &str, password: &str, again: &str| {
        let fields = [("proof", proof), ("password", password), ("again", again)];
        fields.map(|(name, value)| (name, value.to_owned()))
    };
    let good = "つめたいみずとあおいそら";
    for (fields, expected) in [
        (choose(&first, "short", "short"), StatusCode::UNPROCESSABLE_ENTITY),
        (choose(&first, "hanako-password", "hanako-password"), StatusCode::UNPROCESSABLE_ENTITY),
        (choose(&first, good, "another"), StatusCode::UNPROCESSABLE_ENTITY),
        (choose(&first, &first, &first), StatusCode::UNPROCESSABLE_ENTITY),
        (choose("wrong", good, good), StatusCode::UNPROCESSABLE_ENTITY),
        (choose(&first, good, good), StatusCode::SEE_OTHER),
    ] {
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = hanako.post("/account/password", &fields).await;
        assert_eq!(page.status, expected, "{fields:?}");
    }
    assert_eq!(hanako.get("/account").await.status, StatusCode::OK);
    let mut again = office.browser();
    assert_eq!(again.give_password("hanako", &first).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(again.give_password("hanako", good).await.to(), "/login/code");
}

#[tokio::test]
async fn a_first_password_runs_out_and_is_renewed() {
    let office = Office::new().await;
    let mut admin = office.at_work("admin", Role::Administrator).await;
    admin.get("/staff/new").await;
    let center = office.center.to_string();
    let fields = [("login", "hanako"), ("name", "花子"), ("role", "nurse"), ("center", &*center)];
    let page = admin.post("/staff", &fields).await;
    let first = page.between("<code id=\"password\">", "</code>").unwrap();
    assert!(page.text.contains("72時間以内"), "{}", page.text);

    office.pass(Duration::from_hours(72) - Duration::from_secs(1));
    let page = office.browser().give_password("hanako", &first).await;
    assert_eq!(page.to(), "/login/setup", "it is still good");
    office.pass(Duration::from_secs(1));
    let page = office.browser().give_password("hanako", &first).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.text.contains("新しい仮パスワードの発行を依頼"), "{}", page.text);
    let page = office.browser().give_password("hanako", "a wrong guess").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(!page.text.contains("72時間"), "who guesses learns nothing: {}", page.text);

    let mut admin = office.at_work("boss", Role::Administrator).await;
    let id = office.store.account("hanako").await.unwrap().unwrap().staff.id;
    admin.get(&format!("/staff/{id}")).await;
    let page = admin.post(&format!("/staff/{id}/reset-password"), &[]).await;
    let second = page.between("<code id=\"password\">", "</code>").unwrap();
    office.pass(Duration::from_hours(71));
    assert_eq!(office.browser().give_password("hanako", &second).await.to(), "/login/setup");
    // A password of one's own does not run out.
    assert!(office.store.account("boss").await.unwrap().unwrap().password_ends_at.is_none());
}

#[tokio::test]
async fn accounts_that_make_no_sense_are_not_made() {
    let office = Office::new().await;
    let mut admin = office.at_work("admin", Role::Administrator).await;
    let center = office.center.to_string();
    for (login, name, role, center, expected) in [
        ("a b", "花子", "nurse", center.as_str(), StatusCode::UNPROCESSABLE_ENTITY),
        ("hanako", " ", "nurse", center.as_str(), StatusCode::UNPROCESSABLE_ENTITY),
        ("hanako", "花子", "nurse", "", StatusCode::UNPROCESSABLE_ENTITY),
        ("hanako", "花子", "clinic", center.as_str(), StatusCode::UNPROCESSABLE_ENTITY),
        ("hanako", "花子", "king", center.as_str(), StatusCode::NOT_FOUND),
        ("admin", "花子", "nurse", center.as_str(), StatusCode::CONFLICT),
    ] {
        admin.get("/staff/new").await;
        let fields = [("login", login), ("name", name), ("role", role), ("center", center)];
        assert_eq!(admin.post("/staff", &fields).await.status, expected, "{login} {role}");
    }
}

#[tokio::test]
async fn administrators_raise_neither_themselves_nor_the_last_of_them() {
    let office = Office::new().await;
    let hanako = office.hire("hanako", Role::Administrator).await;
    let taro = office.hire("taro", Role::Administrator).await;
    let (mut admin, _) = office.sign_in("hanako").await;
    let own = format!("/staff/{}", hanako.id);
    admin.get(&own).await;
    let more = [
        ("name", "花子"),
        ("role", "administrator"),
        ("role", "auditor"),
        ("center", ""),
        ("active", "yes"),
    ];
    assert_eq!(admin.post(&own, &more).await.status, StatusCode::CONFLICT);
    for action in ["reset-password", "reset-second-factor"] {
        let page = admin.post(&format!("{own}/{action}"), &[]).await;
        assert_eq!(page.status, StatusCode::CONFLICT, "{action}");
    }
    let other = format!("/staff/{}", taro.id);
    admin.get(&other).await;
    let fallen = [("name", "太郎"), ("role", "engineer"), ("center", ""), ("active", "yes")];
    assert_eq!(admin.post(&other, &fallen).await.status, StatusCode::SEE_OTHER);
    // Now hanako is the last, and stays so.
    assert!(office.store.staff(hanako.id).await.unwrap().roles == [Role::Administrator]);
}

#[tokio::test]
async fn whose_rights_change_is_signed_out() {
    let office = Office::new().await;
    let mut admin = office.at_work("admin", Role::Administrator).await;
    let hanako = office.hire("hanako", Role::Nurse).await;
    let (mut nurse, _) = office.sign_in("hanako").await;
    let page = format!("/staff/{}", hanako.id);
    admin.get(&page).await;
    let center = office.center.to_string();
    let raised =
        [("name", "花子"), ("role", "supervisor"), ("center", center.as_str()), ("active", "yes")];
    assert_eq!(nurse.get("/account").await.status, StatusCode::OK);
    assert_eq!(admin.post(&page, &raised).await.status, StatusCode::SEE_OTHER);
    assert_eq!(nurse.get("/account").await.to(), "/login");
    // An unticked box disables.
    admin.get(&page).await;
    admin.post(&page, &raised[..3]).await;
    let mut again = office.browser();
    let refused = again.give_password("hanako", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_administrator_of_a_centre_stays_within_it() {
    let office = Office::new().await;
    office.hire_for("own", Role::Administrator, Some(office.center)).await;
    let above = office.hire("above", Role::Administrator).await;
    let (mut admin, _) = office.sign_in("own").await;
    let list = admin.get("/staff").await;
    assert!(!list.text.contains("above"));
    for action in ["", "/reset-password", "/reset-second-factor", "/end-sessions"] {
        let path = format!("/staff/{}{action}", above.id);
        let fields = [("name", "x"), ("role", "nurse"), ("active", "yes")];
        assert_eq!(admin.post(&path, &fields).await.status, StatusCode::NOT_FOUND, "{action}");
    }
    let fields = [("login", "new"), ("name", "新"), ("role", "administrator"), ("center", "")];
    let page = admin.post("/staff", &fields).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND, "nobody of the whole installation");
}

#[tokio::test]
async fn own_sessions_are_listed_and_ended() {
    let office = Office::new().await;
    office.hire("hanako", Role::Nurse).await;
    let (mut here, secret) = office.sign_in("hanako").await;
    office.pass(Duration::from_mins(1));
    let mut there = office.browser();
    there.give_password("hanako", PASSWORD).await;
    there.get("/login/code").await;
    let code = secret.code_at(office.now()).unwrap();
    there.post("/login/code", &[("code", code.expose())]).await;
    let page = here.get("/account").await;
    let other = page.between("name=\"session\" value=\"", "\"").unwrap();
    let mut stranger = office.at_work("taro", Role::Nurse).await;
    stranger.get("/account").await;
    let stolen = stranger.post("/account/sessions/end", &[("session", &other)]).await;
    assert_eq!(stolen.status, StatusCode::NOT_FOUND);
    assert_eq!(there.get("/account").await.status, StatusCode::OK);
    here.post("/account/sessions/end", &[("session", &other)]).await;
    assert_eq!(there.get("/account").await.to(), "/login");
    assert_eq!(here.get("/account").await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_app_is_set_up_by_the_owner_alone() {
    let office = Office::new().await;
    office.hire("hanako", Role::Nurse).await;
    let (mut browser, old) = office.sign_in("hanako").await;
    browser.get("/account").await;
    let page = browser.post("/account/second-factor", &[("proof", "wrong")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = browser.post("/account/second-factor", &[("proof", PASSWORD)]).await;
    assert_eq!(page.to(), "/account/second-factor");
    let new = browser.get("/account/second-factor").await.secret();
    let page = browser.post("/account/second-factor/confirm", &[("code", "000000")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let code = new.code_at(office.now()).unwrap();
    let page = browser.post("/account/second-factor/confirm", &[("code", code.expose())]).await;
    assert_eq!(page.text.matches("<li><code>").count(), 10);
    assert_eq!(browser.get("/account").await.status, StatusCode::OK, "with a new token");

    office.pass(Duration::from_mins(2));
    for (secret, expected) in [(&old, StatusCode::UNAUTHORIZED), (&new, StatusCode::SEE_OTHER)] {
        let mut again = office.browser();
        again.give_password("hanako", PASSWORD).await;
        again.get("/login/code").await;
        let code = secret.code_at(office.now()).unwrap();
        let page = again.post("/login/code", &[("code", code.expose())]).await;
        assert_eq!(page.status, expected);
    }
}

#[tokio::test]
async fn a_token_is_shown_once_and_revoked_for_good() {
    let office = Office::new().await;
    let mut admin = office.at_work("admin", Role::Administrator).await;
    let owner = office.hire("robot", Role::Nurse).await;
    admin.get("/staff/tokens").await;
    let owner = owner.id.to_string();
    let fields = [
        ("owner", owner.as_str()),
        ("name", "電子カルテ"),
        ("scope", "health.read"),
        ("scope", "cases.write"),
        ("days", "30"),
    ];
    let page = admin.post("/staff/tokens", &fields).await;
    let token = page.between("<code id=\"token\">", "</code>").unwrap();
    assert!(token.starts_with("mmr_") && token.len() > 40, "{token}");
    let list = admin.get("/staff/tokens").await;
    assert!(list.text.contains("電子カルテ") && !list.text.contains(&token));
    let revoke = list.between("action=\"/staff/tokens/", "/revoke\"").unwrap();
    admin.post(&format!("/staff/tokens/{revoke}/revoke"), &[]).await;
    assert!(admin.get("/staff/tokens").await.text.contains("失効"));
    for (scope, days) in [("everything", "30"), ("health.read", "400")] {
        let fields = [("owner", owner.as_str()), ("name", "x"), ("scope", scope), ("days", days)];
        let page = admin.post("/staff/tokens", &fields).await;
        assert!(page.status.is_client_error(), "{scope} {days}");
    }
}
