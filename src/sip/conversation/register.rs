//! Registration, on both sides.

use super::*;

use crate::sip::endpoint::RegistrationKey;
use crate::sip::registration::RegistrationRequest;

fn registration() -> RegistrationRequest {
    RegistrationRequest {
        registrar: "sip:ims.example".parse().unwrap(),
        address_of_record: "<sip:0333330000@ims.example>".parse().unwrap(),
        destination: THEIRS.parse().unwrap(),
        route: Vec::new(),
        credentials: Some(credentials()),
        lifetime: Duration::from_hours(1),
        headers: Headers::default(),
    }
}

fn registering() -> (Bench, RegistrationKey, Request) {
    let mut bench = Bench::with_default();
    let key = bench.act(|endpoint, now| endpoint.register(now, registration()));
    let request = bench.request();
    assert_eq!(request.method, Method::Register);
    (bench, key, request)
}

/// The registrar's 200, which lists another telephone of the same account first.
fn grant(bench: &mut Bench, register: &Request, lifetime: &str) {
    let other = "<sip:hc@192.0.2.200>;expires=7".to_owned();
    let ours = format!("<sip:hc@{OURS}>;expires={lifetime}");
    bench.reply(register, 200, "", &[("Contact", &other), ("Contact", &ours)], b"");
}

#[test]
fn it_registers_and_refreshes_with_one_call_id() {
    let (mut bench, key, first) = registering();
    assert_eq!(first.uri.to_wire(), "sip:ims.example");
    assert_eq!(first.headers.get("Expires"), Some(&b"3600"[..]));
    let digest = "Digest realm=\"ims\", nonce=\"n1\", qop=\"auth\"";
    bench.reply(&first, 401, "", &[("WWW-Authenticate", digest)], b"");
    let second = bench.request();
    assert!(second.headers.contains("Authorization"));
    grant(&mut bench, &second, "600");
    assert_eq!(bench.heard(), "registered 600");
    bench.pass(299.0);
    assert_eq!(bench.said(), "");
    bench.pass(1.2);
    let refresh = bench.request();
    assert_eq!(refresh.headers.get("Call-ID"), first.headers.get("Call-ID"));
    let number = |request: &Request| request.headers.cseq().unwrap().number;
    assert_eq!(
        [number(&first), number(&second), number(&refresh)],
        [1, 2, 3],
        "so the registrar knows the order"
    );
    assert!(refresh.headers.text("Authorization").unwrap().contains("nc=00000002"));
    grant(&mut bench, &refresh, "600");
    bench.act(|endpoint, now| endpoint.unregister(now, key));
    let last = bench.request();
    assert_eq!(last.headers.get("Expires"), Some(&b"0"[..]));
    bench.reply(&last, 200, "", &[], b"");
    assert_eq!(bench.heard(), "registered 600, unregistered");
    bench.assert_forgotten();
}

#[test]
fn failures_are_told_and_tried_again_later_and_later() {
    let (mut bench, _, mut register) = registering();
    let mut waits = Vec::new();
    for _ in 0..3 {
        bench.reply(&register, 403, "", &[], b"");
        assert_eq!(bench.heard(), "registration failed Some(403)");
        let failed_at = bench.now;
        while bench.sent.is_empty() {
            bench.pass(1.0);
        }
        waits.push((bench.now - failed_at).as_secs());
        register = bench.request();
    }
    // Doubled from 30 s, and spread over the upper half.
    for (wait, longest) in waits.iter().zip([30, 60, 120]) {
        assert!((longest / 2..=longest + 1).contains(wait), "{waits:?}");
    }
}

#[test]
fn retry_after_is_obeyed() {
    let (mut bench, _, register) = registering();
    bench.reply(&register, 503, "", &[("Retry-After", "300")], b"");
    bench.pass(299.0);
    assert_eq!(bench.said(), "");
    bench.pass(1.2);
    assert_eq!(bench.said(), "REGISTER");
}

#[test]
fn silence_and_unreachability_are_failures_too() {
    let (mut bench, _, _) = registering();
    bench.pass(32.1);
    assert_eq!(bench.heard(), "registration failed None");
    bench.pass(30.0);
    bench.act(|endpoint, now| endpoint.handle_transport_error(now, THEIRS.parse().unwrap()));
    assert_eq!(bench.heard(), "registration failed None");
}

#[test]
fn a_lifetime_that_is_too_brief_is_lengthened() {
    let (mut bench, _, register) = registering();
    bench.reply(&register, 423, "", &[("Min-Expires", "7200")], b"");
    let again = bench.request();
    assert_eq!(again.headers.get("Expires"), Some(&b"7200"[..]));
    bench.reply(&again, 423, "", &[("Min-Expires", "7200")], b"");
    assert_eq!(bench.heard(), "registration failed Some(423)", "it has got what it wanted");
}

#[test]
fn a_wrong_password_is_not_repeated_at_once() {
    let (mut bench, _, register) = registering();
    let digest = |nonce| format!("Digest realm=\"ims\", nonce=\"{nonce}\", qop=\"auth\"");
    bench.reply(&register, 401, "", &[("WWW-Authenticate", &digest("a"))], b"");
    let again = bench.request();
    bench.reply(&again, 401, "", &[("WWW-Authenticate", &digest("b"))], b"");
    assert_eq!(
        (bench.said().as_str(), bench.heard().as_str()),
        ("", "registration failed Some(401)")
    );
}

#[test]
fn leaving_waits_for_the_register_in_progress_and_ends_for_sure() {
    let (mut bench, key, register) = registering();
    bench.act(|endpoint, now| endpoint.unregister(now, key));
    assert_eq!(bench.said(), "");
    grant(&mut bench, &register, "600");
    let last = bench.request();
    assert_eq!(last.headers.get("Expires"), Some(&b"0"[..]));
    bench.pass(33.0);
    assert_eq!(bench.heard(), "unregistered");
    bench.assert_forgotten();
}

#[test]
fn the_user_may_be_a_registrar() {
    let mut bench = Bench::new(Config { registrar: Registrar::User, ..config(OURS) });
    let (mut other, _, register) = {
        let mut other = Bench::new(config(THEIRS));
        let key = other.act(|endpoint, now| endpoint.register(now, registration()));
        let register = other.request();
        (other, key, register)
    };
    bench.receive(&register);
    let Some(Event::Register { register: key, request, .. }) = bench.events.pop_front() else {
        panic!("no REGISTER came in");
    };
    let mut headers = Headers::default();
    headers.push("Contact", format!("<sip:hc@{THEIRS}>;expires=120"));
    bench.act(|endpoint, now| endpoint.answer_register(now, key, &request, 200, &headers));
    bench.receive(&register);
    let answer = bench.response();
    assert_eq!(bench.response(), answer, "a copy gets the same answer");
    other.receive_bytes(OURS, &answer.to_bytes());
    assert_eq!(other.heard(), "registered 120");
    bench.assert_forgotten();
}
