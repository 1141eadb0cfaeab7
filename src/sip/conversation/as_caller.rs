//! Our side places the call.

use super::*;

fn branch(request: &Request) -> String {
    request.headers.via().unwrap().branch().unwrap().to_owned()
}

fn number(request: &Request) -> u32 {
    request.headers.cseq().unwrap().number
}

#[test]
fn a_call_rings_is_answered_and_ended() {
    let (mut bench, call, invite) = Bench::calling(invite_request());
    bench.reply(&invite, 100, "", &[], b"");
    bench.reply(&invite, 180, "fork", &[], b"");
    bench.reply(&invite, 200, "fork", &[], ANSWER);
    assert_eq!(bench.heard(), "trying, 180, answered 'v=0 answer'");
    let (destination, ack) = bench.request_to();
    assert_eq!((destination.as_str(), &ack.method), (THEIRS, &Method::Ack));
    assert_eq!(ack.uri.to_wire(), format!("sip:fork@{THEIRS}"));
    assert_eq!(number(&ack), number(&invite));
    assert_ne!(branch(&ack), branch(&invite), "the ACK of a 2xx is a transaction of its own");
    bench.act(|endpoint, now| endpoint.hang_up(now, call));
    assert_eq!(bench.heard(), "ended Local");
    let bye = bench.request();
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(number(&bye), number(&invite) + 1);
    bench.reply(&bye, 200, "", &[], b"");
    assert_eq!(bench.said(), "");
    bench.assert_forgotten();
}

#[test]
fn the_callee_may_hang_up_first() {
    let (mut bench, _, invite) = Bench::talking(config(OURS), &[]);
    let mut bye = callee_request(&invite, "fork", Method::Bye, 1);
    bye.headers.push("Reason", "Q.850;cause=16;text=\"normal\"");
    bench.receive(&bye);
    assert_eq!(bench.said(), "200-BYE");
    assert_eq!(bench.heard(), "ended by remote, cause 16");
    bench.receive(&bye);
    assert_eq!(bench.said(), "200-BYE", "a copy is answered again, and changes nothing");
    assert_eq!(bench.heard(), "");
    bench.assert_forgotten();
}

#[test]
fn refusals_are_told_with_their_reasons_and_acknowledged() {
    for (status, headers, expected) in [
        (486, vec![], "failed 486"),
        (404, vec![("Reason", "Q.850;cause=1")], "failed 404 cause 1"),
        (503, vec![("Retry-After", "120 (overload)")], "failed 503 after 120s"),
        (603, vec![], "failed 603"),
        // Redirections are never followed: a toll fraud's favourite.
        (302, vec![("Contact", "<sip:0990123456@evil.example>")], "failed 302"),
        (401, vec![("WWW-Authenticate", "Digest realm=\"a\", nonce=\"b\"")], "failed 401"),
    ] {
        let (mut bench, _, invite) = Bench::calling(invite_request());
        bench.reply(&invite, status, "fork", &headers, b"");
        assert_eq!(bench.heard(), expected);
        let (destination, ack) = bench.request_to();
        assert_eq!((destination.as_str(), &ack.method), (THEIRS, &Method::Ack));
        assert_eq!(branch(&ack), branch(&invite), "within the transaction of the INVITE");
        assert_eq!(ack.headers.to().unwrap().tag(), Some("fork"));
        assert_eq!(bench.said(), "");
        bench.assert_forgotten();
    }
}

#[test]
fn a_black_hole_gets_seven_invites_and_costs_32_seconds() {
    let (mut bench, _, _) = Bench::calling(invite_request());
    bench.pass(31.9);
    assert_eq!(bench.said(), ["INVITE"; 6].join(" "), "and one before");
    assert_eq!(bench.heard(), "");
    bench.pass(0.2);
    assert_eq!(bench.heard(), "failed TimedOut");
    bench.assert_forgotten();
}

#[test]
fn an_unreachable_trunk_is_told_at_once() {
    let (mut bench, _, _) = Bench::calling(invite_request());
    bench.act(|endpoint, now| {
        endpoint.handle_transport_error(now, "192.0.2.77:5060".parse().unwrap());
    });
    assert_eq!(bench.heard(), "", "another host is no matter of ours");
    bench.act(|endpoint, now| endpoint.handle_transport_error(now, THEIRS.parse().unwrap()));
    assert_eq!(bench.heard(), "failed TransportFailed");
    assert_eq!(bench.endpoint.load(), Load::default());
}

#[test]
fn cancel_has_the_branch_and_the_hop_of_the_invite() {
    // The next hop is not the host of the Request-URI.
    let route = vec!["<sip:proxy.example;lr>".parse().unwrap()];
    let (mut bench, call, invite) = Bench::calling(InviteRequest { route, ..invite_request() });
    bench.reply(&invite, 180, "fork", &[], b"");
    bench.act(|endpoint, now| endpoint.cancel(now, call));
    let (destination, cancel) = bench.request_to();
    assert_eq!((destination.as_str(), &cancel.method), (THEIRS, &Method::Cancel));
    assert_eq!(branch(&cancel), branch(&invite));
    assert_eq!(number(&cancel), number(&invite));
    assert_eq!(cancel.uri, invite.uri);
    assert_eq!(cancel.headers.get("Route"), invite.headers.get("Route"));
    assert_eq!(cancel.headers.to().unwrap().tag(), None);
    bench.reply(&cancel, 200, "", &[], b"");
    bench.reply(&invite, 487, "fork", &[], b"");
    assert_eq!(bench.said(), "ACK");
    assert_eq!(bench.heard(), "180, failed Cancelled");
    bench.assert_forgotten();
}

#[test]
fn cancel_waits_for_a_provisional() {
    let (mut bench, call, invite) = Bench::calling(invite_request());
    bench.act(|endpoint, now| endpoint.cancel(now, call));
    bench.pass(3.0);
    assert_eq!(bench.said(), "", "neither CANCEL nor another INVITE");
    bench.reply(&invite, 100, "", &[], b"");
    assert_eq!(bench.said(), "CANCEL");
    bench.reply(&invite, 180, "fork", &[], b"");
    assert_eq!(bench.said(), "", "one CANCEL is enough");
    bench.reply(&invite, 487, "fork", &[], b"");
    assert_eq!(bench.heard(), "failed Cancelled");
    bench.assert_forgotten();
}

#[test]
fn a_cancelled_call_ends_even_if_nobody_confirms_it() {
    for hears_ringing in [false, true] {
        let (mut bench, call, invite) = Bench::calling(invite_request());
        if hears_ringing {
            bench.reply(&invite, 180, "fork", &[], b"");
        }
        bench.act(|endpoint, now| endpoint.hang_up(now, call));
        bench.pass(33.0);
        let heard = bench.heard();
        assert!(heard.ends_with("failed Cancelled"), "{heard}");
        bench.assert_forgotten();
    }
}

#[test]
fn an_answer_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let (mut bench, call, invite) = Bench::calling(invite_request());
    bench.reply(&invite, 180, "fork", &[], b"");
    bench.act(|endpoint, now| endpoint.cancel(now, call));
    assert_eq!(bench.said(), "CANCEL");
    bench.reply(&invite, 200, "fork", &[], ANSWER);
    assert_eq!(bench.said(), "ACK BYE");
    assert_eq!(bench.heard(), "180, failed Cancelled", "never answered");
    bench.assert_forgotten();
}

#[test]
fn a_refusal_that_crosses_the_cancel_is_the_truth() {
    let (mut bench, call, invite) = Bench::calling(invite_request());
    bench.reply(&invite, 180, "fork", &[], b"");
    bench.act(|endpoint, now| endpoint.cancel(now, call));
    bench.reply(&invite, 486, "fork", &[], b"");
    assert_eq!(bench.heard(), "180, failed 486");
}

#[test]
fn a_telephone_does_not_ring_for_ever() {
    let (mut bench, _, invite) = Bench::calling(invite_request());
    bench.reply(&invite, 180, "fork", &[], b"");
    bench.pass(179.0);
    assert_eq!(bench.said(), "");
    bench.pass(2.0);
    assert_eq!(bench.said(), "CANCEL CANCEL", "and a copy of it");
    bench.reply(&invite, 487, "fork", &[], b"");
    assert_eq!(bench.heard(), "180, failed NotAnswered");
    bench.assert_forgotten();
}

#[test]
fn of_forked_answers_the_first_is_the_call() {
    let (mut bench, call, invite) = Bench::calling(invite_request());
    bench.reply(&invite, 180, "one", &[], b"");
    bench.reply(&invite, 183, "two", &[], b"v=0 early two");
    bench.reply(&invite, 180, "three", &[], b"");
    bench.reply(&invite, 200, "two", &[], ANSWER);
    assert_eq!(bench.said(), "ACK");
    assert_eq!(bench.heard(), "180, 183 'v=0 early two', 180, answered 'v=0 answer'");
    bench.reply(&invite, 200, "one", &[], b"v=0 other");
    let (ack, bye) = (bench.request(), bench.request());
    assert_eq!((ack.method, &bye.method), (Method::Ack, &Method::Bye));
    assert_eq!(bye.uri.to_wire(), format!("sip:one@{THEIRS}"));
    assert_eq!(bye.headers.to().unwrap().tag(), Some("one"));
    assert_eq!(bench.heard(), "", "the user has one call only");
    // The extra leg's copy of its 200 is acknowledged, but hung up only once.
    bench.reply(&invite, 200, "one", &[], b"v=0 other");
    assert_eq!(bench.said(), "ACK");
    bench.act(|endpoint, now| endpoint.hang_up(now, call));
    assert_eq!(bench.request().uri.to_wire(), format!("sip:two@{THEIRS}"));
    bench.assert_forgotten();
}

#[test]
fn the_second_fork_can_be_held_as_well_as_the_first() {
    let (mut bench, call, invite) = Bench::calling(invite_request());
    bench.reply(&invite, 180, "one", &[], b"");
    bench.reply(&invite, 200, "two", &[], ANSWER);
    bench.said();
    bench.receive(&with_sdp(callee_request(&invite, "two", Method::Invite, 1), b"v=0 hold"));
    bench.act(|endpoint, now| endpoint.answer_offer(now, call, b"v=0 held".to_vec()));
    assert_eq!(bench.said(), "200-INVITE");
}

#[test]
fn a_copy_of_the_answer_is_acknowledged_again() {
    let (mut bench, call, invite) = Bench::calling(invite_request());
    bench.reply(&invite, 200, "fork", &[], ANSWER);
    let first = bench.request();
    bench.reply(&invite, 200, "fork", &[], ANSWER);
    assert_eq!(bench.request(), first, "byte for byte");
    assert_eq!(bench.heard(), "answered 'v=0 answer'");
    // Even after we have hung up.
    bench.act(|endpoint, now| endpoint.hang_up(now, call));
    assert_eq!(bench.said(), "BYE");
    bench.reply(&invite, 200, "fork", &[], ANSWER);
    assert_eq!(bench.said(), "ACK");
    bench.assert_forgotten();
}

#[test]
fn an_answer_without_description_takes_that_of_its_own_fork() {
    let (mut bench, _, invite) = Bench::calling(invite_request());
    bench.reply(&invite, 183, "one", &[], b"v=0 early one");
    bench.reply(&invite, 183, "two", &[], b"v=0 early two");
    bench.reply(&invite, 200, "one", &[], b"");
    assert!(bench.heard().ends_with("answered 'v=0 early one'"));
}

#[test]
fn reliable_provisionals_are_acknowledged_along_their_own_route() {
    let (mut bench, _, invite) = Bench::calling(invite_request());
    let route = "<sip:192.0.2.20:5062;lr>, <sip:192.0.2.21;lr>";
    let reliable = |rseq| [("Require", "100rel"), ("RSeq", rseq), ("Record-Route", route)];
    bench.reply(&invite, 183, "fork", &reliable("17"), b"v=0 early");
    let (destination, prack) = bench.request_to();
    assert_eq!(prack.method, Method::Prack);
    assert_eq!(destination, "192.0.2.21:5060", "the last recorded router is the first one back");
    assert_eq!(prack.uri.to_wire(), format!("sip:fork@{THEIRS}"));
    let routes: Vec<String> =
        prack.headers.routes().unwrap().iter().map(|route| route.uri.to_wire()).collect();
    assert_eq!(routes, ["sip:192.0.2.21;lr", "sip:192.0.2.20:5062;lr"]);
    let rack = prack.headers.text("RAck").unwrap().into_owned();
    assert_eq!(rack, format!("17 {} INVITE", number(&invite)));
    assert_eq!(bench.heard(), "183 'v=0 early' reliably");
    bench.reply(&prack, 200, "", &[], b"");
    // A copy, and one that has overtaken another.
    bench.reply(&invite, 183, "fork", &reliable("17"), b"v=0 early");
    bench.reply(&invite, 180, "fork", &reliable("19"), b"");
    assert_eq!((bench.said(), bench.heard()), (String::new(), String::new()));
    bench.reply(&invite, 180, "fork", &reliable("18"), b"");
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("PRACK", "180 reliably"));
}

#[test]
fn a_challenge_is_met_with_the_same_call_id_and_the_next_number() {
    for (status, challenge, answer) in [
        (401, "WWW-Authenticate", "Authorization"),
        (407, "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        let (mut bench, call, invite) =
            Bench::calling(InviteRequest { credentials: Some(credentials()), ..invite_request() });
        let digest = "Digest realm=\"ims\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth,auth-int\"";
        bench.reply(&invite, 100, "", &[], b"");
        bench.reply(&invite, status, "proxy", &[(challenge, digest)], b"");
        assert_eq!(bench.request().method, Method::Ack);
        let again = bench.request();
        assert_eq!(again.method, Method::Invite);
        assert_eq!(again.headers.get("Call-ID"), invite.headers.get("Call-ID"));
        assert_eq!(again.headers.get("From"), invite.headers.get("From"));
        assert_eq!(again.headers.to().unwrap().tag(), None);
        assert_eq!(number(&again), number(&invite) + 1);
        assert_ne!(branch(&again), branch(&invite));
        assert_eq!(again.headers.all("Via").count(), 1);
        let proof = again.headers.text(answer).unwrap().into_owned();
        assert!(proof.contains("algorithm=SHA-256") && proof.contains("qop=auth,"), "{proof}");
        bench.reply(&again, 200, "fork", &[], ANSWER);
        let ack = bench.request();
        assert_eq!(ack.headers.get(answer), again.headers.get(answer));
        assert_eq!(bench.heard(), "trying, answered 'v=0 answer'");
        bench.act(|endpoint, now| endpoint.hang_up(now, call));
        assert!(bench.request().headers.contains(answer), "the nonce serves for the BYE too");
        bench.assert_forgotten();
    }
}

#[test]
fn a_stale_nonce_is_replaced_and_a_wrong_password_is_not_repeated() {
    let request = InviteRequest { credentials: Some(credentials()), ..invite_request() };
    let (mut bench, _, invite) = Bench::calling(request);
    let challenge = |nonce: &str, stale: &str| {
        format!("Digest realm=\"ims\", nonce=\"{nonce}\", qop=\"auth\"{stale}")
    };
    let name = "Proxy-Authenticate";
    bench.reply(&invite, 407, "p", &[(name, &challenge("n1", ""))], b"");
    let (_, second) = (bench.request(), bench.request());
    bench.reply(&second, 407, "p", &[(name, &challenge("n2", ", stale=true"))], b"");
    let (_, third) = (bench.request(), bench.request());
    assert!(third.headers.text("Proxy-Authorization").unwrap().contains("n2"));
    bench.reply(&third, 407, "p", &[(name, &challenge("n3", ""))], b"");
    assert_eq!(bench.said(), "ACK", "another try would lock the account");
    assert_eq!(bench.heard(), "failed 407");
    bench.assert_forgotten();
}

#[test]
fn a_challenged_bye_is_repeated() {
    let request = InviteRequest { credentials: Some(credentials()), ..invite_request() };
    let (mut bench, call, invite) = Bench::calling(request);
    bench.reply(&invite, 200, "fork", &[], ANSWER);
    bench.act(|endpoint, now| endpoint.hang_up(now, call));
    assert_eq!(bench.request().method, Method::Ack);
    let bye = bench.request();
    let digest = "Digest realm=\"ims\", nonce=\"n1\"";
    bench.reply(&bye, 407, "", &[("Proxy-Authenticate", digest)], b"");
    let again = bench.request();
    assert_eq!((&again.method, number(&again)), (&Method::Bye, number(&bye) + 1));
    assert!(again.headers.contains("Proxy-Authorization"));
    bench.reply(&again, 407, "", &[("Proxy-Authenticate", digest)], b"");
    assert_eq!(bench.said(), "");
    bench.assert_forgotten();
}

#[test]
fn a_challenge_to_a_call_taken_back_is_not_met() {
    let request = InviteRequest { credentials: Some(credentials()), ..invite_request() };
    let (mut bench, call, invite) = Bench::calling(request);
    bench.act(|endpoint, now| endpoint.cancel(now, call));
    let digest = "Digest realm=\"ims\", nonce=\"n1\"";
    bench.reply(&invite, 407, "p", &[("Proxy-Authenticate", digest)], b"");
    assert_eq!(bench.said(), "ACK");
    assert_eq!(bench.heard(), "failed Cancelled");
}

#[test]
fn a_session_interval_that_is_too_small_is_lengthened() {
    let config = Config { session_interval: Some(Duration::from_mins(3)), ..config(OURS) };
    let (mut bench, _, invite) = Bench::calling_with(config, invite_request());
    assert_eq!(invite.headers.get("Session-Expires"), Some(&b"180"[..]));
    bench.reply(&invite, 422, "fork", &[("Min-SE", "600")], b"");
    let (_, again) = (bench.request(), bench.request());
    assert_eq!(again.headers.get("Session-Expires"), Some(&b"600"[..]));
    assert_eq!(again.headers.get("Min-SE"), Some(&b"600"[..]));
    assert_eq!(number(&again), number(&invite) + 1);
    bench.reply(&again, 422, "fork", &[("Min-SE", "600")], b"");
    assert_eq!(bench.said(), "ACK", "it has got what it wanted");
    assert_eq!(bench.heard(), "failed 422");
}

#[test]
fn telephone_numbers_may_be_tel_addresses() {
    let (mut bench, _, invite) = Bench::calling(InviteRequest {
        request_uri: "tel:+81312345678".parse().unwrap(),
        from: "<tel:+81333330000>".parse().unwrap(),
        to: "<tel:+81312345678>".parse().unwrap(),
        ..invite_request()
    });
    assert_eq!(invite.uri.to_wire(), "tel:+81312345678");
    bench.reply(&invite, 200, "fork", &[], ANSWER);
    assert_eq!(bench.request().headers.to().unwrap().uri.to_wire(), "tel:+81312345678");
}

#[test]
fn responses_for_someone_else_change_nothing() {
    let (mut bench, _, invite) = Bench::calling(invite_request());
    let mut foreign = invite.clone();
    foreign
        .headers
        .set("Via", invite.headers.text("Via").unwrap().replace("192.0.2.1", "192.0.2.2"));
    bench.reply(&foreign, 200, "fork", &[], ANSWER);
    foreign.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKguess");
    bench.reply(&foreign, 200, "fork", &[], ANSWER);
    bench.receive_bytes(THEIRS, b"SIP/2.0 200 OK\r\n\r\n");
    assert_eq!((bench.heard(), bench.said()), (String::new(), String::new()));
}

#[test]
fn a_probe_tells_whether_somebody_is_there() {
    use crate::sip::endpoint::Probe;
    let probe = || Probe {
        request_uri: "sip:ims.example".parse().unwrap(),
        from: "<sip:0333330000@hc.example>".parse().unwrap(),
        destination: THEIRS.parse().unwrap(),
    };
    let mut bench = Bench::with_default();
    bench.act(|endpoint, now| endpoint.options(now, probe()));
    let options = bench.request();
    bench.reply(&options, 404, "any", &[], b"");
    assert_eq!(bench.heard(), "probed 404", "whoever refuses is there");
    bench.act(|endpoint, now| endpoint.options(now, probe()));
    bench.pass(33.0);
    assert_eq!(bench.heard(), "probe timed out");
    bench.act(|endpoint, now| endpoint.options(now, probe()));
    bench.act(|endpoint, now| endpoint.handle_transport_error(now, THEIRS.parse().unwrap()));
    assert_eq!(bench.heard(), "probe transport failed");
    bench.assert_forgotten();
}
