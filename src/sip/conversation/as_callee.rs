//! The peer places the call.

use super::*;

/// Raw requests that arrive outside of any call.
fn raw(method: &str, headers: &str) -> Vec<u8> {
    format!(
        "{method} sip:hc@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {THEIRS};branch=z9hG4bKraw\r\n\
         From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: raw\r\nCSeq: 1 {method}\r\n\
         Max-Forwards: 70\r\n{headers}\r\n"
    )
    .into_bytes()
}

#[test]
fn a_call_is_rung_accepted_and_ended() {
    let (mut bench, call, invite) = Bench::called(&[("Record-Route", "<sip:192.0.2.30;lr>")]);
    bench.act(|endpoint, now| endpoint.ring(now, call, 180, None));
    let ringing = bench.response();
    assert_eq!((ringing.status, ringing.body.len()), (180, 0));
    bench.act(|endpoint, now| endpoint.accept(now, call, ANSWER.to_vec()));
    let answer = bench.response();
    assert_eq!((answer.status, answer.body.as_slice()), (200, ANSWER));
    assert_eq!(answer.headers.to().unwrap(), ringing.headers.to().unwrap(), "one tag for both");
    assert_eq!(answer.headers.contact().unwrap().unwrap().uri.to_wire(), "sip:hc@192.0.2.1:5060");
    assert_eq!(answer.headers.get("Record-Route"), Some(&b"<sip:192.0.2.30;lr>"[..]));
    assert_eq!(bench.heard(), "", "nothing may be said before the ACK");
    bench.receive(&peer_ack(&invite, &answer));
    assert_eq!(bench.heard(), "acked");
    bench.receive(&peer_ack(&invite, &answer));
    assert_eq!(bench.heard(), "", "an ACK that is repeated says nothing new");
    bench.act(|endpoint, now| endpoint.hang_up(now, call));
    let (destination, bye) = bench.request_to();
    assert_eq!((destination.as_str(), &bye.method), ("192.0.2.30:5060", &Method::Bye));
    assert_eq!(bye.headers.from().unwrap().tag(), answer.headers.to().unwrap().tag());
    bench.reply(&bye, 200, "", &[], b"");
    assert_eq!(bench.heard(), "ended Local");
    bench.assert_forgotten();
}

#[test]
fn the_user_hears_what_came_in() {
    let mut bench = Bench::with_default();
    bench.receive(&peer_invite(&[]));
    let Some(Event::Incoming { request, offer, source, .. }) = bench.events.pop_front() else {
        panic!("no call came in");
    };
    assert_eq!(request.uri.to_wire(), "sip:hc@192.0.2.1");
    assert_eq!(offer.as_deref(), Some(OFFER));
    assert_eq!(source.to_string(), THEIRS);
    bench.receive(&peer_invite(&[]));
    assert_eq!(bench.said(), "100-INVITE 100-INVITE");
    assert_eq!(bench.heard(), "", "a copy is no second call");
}

#[test]
fn the_answer_is_repeated_until_it_is_acknowledged() {
    let (mut bench, call, invite) = Bench::called(&[]);
    bench.act(|endpoint, now| endpoint.accept(now, call, ANSWER.to_vec()));
    let answer = bench.response();
    bench.pass(8.0);
    assert_eq!(bench.said(), ["200-INVITE"; 4].join(" "), "after 0.5, 1.5, 3.5 and 7.5 s");
    bench.receive(&peer_ack(&invite, &answer));
    bench.pass(60.0);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("", "acked"));
}

#[test]
fn without_an_ack_the_call_is_hung_up() {
    let (mut bench, call, _) = Bench::called(&[]);
    bench.act(|endpoint, now| endpoint.accept(now, call, ANSWER.to_vec()));
    bench.pass(33.0);
    assert_eq!(bench.heard(), "ended NotAcknowledged");
    assert!(bench.said().contains("200-INVITE BYE"));
    bench.assert_forgotten();
}

#[test]
fn hanging_up_waits_for_the_ack() {
    for is_acknowledged in [true, false] {
        let (mut bench, call, invite) = Bench::called(&[]);
        bench.act(|endpoint, now| endpoint.accept(now, call, ANSWER.to_vec()));
        let answer = bench.response();
        bench.act(|endpoint, now| endpoint.hang_up(now, call));
        assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("", "ended Local"));
        if is_acknowledged {
            bench.receive(&peer_ack(&invite, &answer));
            assert_eq!(bench.said(), "BYE");
        } else {
            bench.pass(33.0);
            assert!(bench.said().contains("BYE"));
        }
        assert_eq!(bench.heard(), "");
        bench.assert_forgotten();
    }
}

#[test]
fn the_caller_may_take_its_call_back() {
    let (mut bench, call, invite) = Bench::called(&[]);
    bench.act(|endpoint, now| endpoint.ring(now, call, 180, None));
    let ringing = bench.response();
    let mut cancel = invite.clone();
    cancel.method = Method::Cancel;
    cancel.headers.set("CSeq", "100 CANCEL");
    cancel.headers.remove("Content-Type");
    cancel.headers.push("Reason", "SIP;cause=200;text=\"elsewhere\"");
    cancel.body.clear();
    bench.receive(&cancel);
    let (confirmed, refusal) = (bench.response(), bench.response());
    assert_eq!((confirmed.status, refusal.status), (200, 487));
    assert_eq!(confirmed.headers.to().unwrap().tag(), ringing.headers.to().unwrap().tag());
    assert_eq!(bench.heard(), "ended by remote");
    bench.act(|endpoint, now| endpoint.accept(now, call, ANSWER.to_vec()));
    assert_eq!(bench.said(), "", "too late");
    // Copies of both, and the ACK of the refusal.
    bench.receive(&cancel);
    assert_eq!(bench.said(), "200-CANCEL");
    bench.pass(1.0);
    assert_eq!(bench.said(), "487-INVITE");
    let mut ack = peer_ack(&invite, &refusal);
    ack.headers.set("Via", invite.headers.text("Via").unwrap().into_owned());
    bench.receive(&ack);
    bench.pass(60.0);
    assert_eq!((bench.said(), bench.heard()), (String::new(), String::new()));
    bench.assert_forgotten();
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let (mut bench, _, invite, _) = Bench::taken(config(OURS), &[]);
    let mut cancel = invite.clone();
    cancel.method = Method::Cancel;
    cancel.headers.set("CSeq", "100 CANCEL");
    bench.receive(&cancel);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("200-CANCEL", ""));
}

#[test]
fn clients_of_the_old_rfc_are_understood() {
    // Without the magic cookie, the copies and the ACK are found by what they have in common.
    let via = format!("SIP/2.0/UDP {THEIRS}");
    let (mut bench, call, invite) = Bench::called(&[("Via", &via)]);
    bench.receive(&invite);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("100-INVITE", ""));
    bench.act(|endpoint, now| endpoint.reject(now, call, 486, &Headers::default()));
    let refusal = bench.response();
    let mut ack = peer_ack(&invite, &refusal);
    ack.headers.set("Via", via.as_str());
    bench.receive(&ack);
    bench.pass(5.0);
    assert_eq!(bench.said(), "", "acknowledged, so not repeated");

    let (mut bench, call, invite) = Bench::called(&[("Via", &via)]);
    bench.act(|endpoint, now| endpoint.accept(now, call, ANSWER.to_vec()));
    let answer = bench.response();
    let mut ack = peer_ack(&invite, &answer);
    ack.headers.set("Via", via.as_str());
    bench.receive(&ack);
    assert_eq!(bench.heard(), "acked", "the ACK of a 2xx is the user's");
}

#[test]
fn a_refusal_may_say_why() {
    let (mut bench, call, _) = Bench::called(&[]);
    let mut headers = Headers::default();
    headers.push("Reason", "Q.850;cause=17");
    bench.act(|endpoint, now| endpoint.reject(now, call, 486, &headers));
    let refusal = bench.response();
    assert_eq!((refusal.status, refusal.headers.q850_cause()), (486, Some(17)));
    assert!(refusal.headers.to().unwrap().tag().is_some());
    assert_eq!(bench.heard(), "ended Local");
    bench.assert_forgotten();
}

#[test]
fn a_caller_that_gives_up_silently_is_not_waited_for() {
    let (mut bench, call, _) = Bench::called(&[]);
    bench.act(|endpoint, now| endpoint.ring(now, call, 180, None));
    bench.pass(181.0);
    assert!(bench.said().starts_with("180-INVITE 480-INVITE"));
    assert_eq!(bench.heard(), "ended NotAnswered");
    bench.assert_forgotten();
}

#[test]
fn reliable_provisionals_come_one_after_the_other_and_before_the_answer() {
    let (mut bench, call, invite) = Bench::called(&[("Require", "100rel")]);
    bench.act(|endpoint, now| {
        endpoint.ring(now, call, 183, Some(ANSWER.to_vec()));
        endpoint.ring(now, call, 180, None);
        endpoint.accept(now, call, ANSWER.to_vec());
    });
    let early = bench.response();
    assert_eq!((early.status, early.body.as_slice()), (183, ANSWER));
    assert_eq!(early.headers.require().unwrap(), ["100rel"]);
    bench.pass(2.0);
    assert_eq!(bench.said(), "183-INVITE 183-INVITE", "repeated, and nothing else yet");
    let prack = |number: u32, response: &Response| {
        let mut prack = peer_request(&invite, response, Method::Prack, number);
        let rseq = response.headers.text("RSeq").unwrap().into_owned();
        prack.headers.push("RAck", format!("{rseq} 100 INVITE"));
        prack
    };
    let mut wrong = prack(101, &early);
    wrong.headers.set("RAck", "1 1 INVITE");
    bench.receive(&wrong);
    assert_eq!(bench.said(), "481-PRACK");
    bench.receive(&prack(102, &early));
    assert_eq!(bench.response().status, 200);
    let ringing = bench.response();
    assert_eq!(ringing.status, 180);
    bench.receive(&prack(103, &ringing));
    assert_eq!(bench.said(), "200-PRACK 200-INVITE");
}

#[test]
fn a_reliable_provisional_without_prack_ends_the_call() {
    let config =
        Config { reliable_provisionals: ReliableProvisionals::WhereSupported, ..config(OURS) };
    let (mut bench, call, _) = Bench::called_with(config, &[("Supported", "100rel")]);
    bench.act(|endpoint, now| endpoint.ring(now, call, 183, Some(ANSWER.to_vec())));
    bench.pass(33.0);
    assert_eq!(bench.heard(), "ended NotAcknowledged");
    assert!(bench.said().contains("183-INVITE 504-INVITE"));
    bench.assert_forgotten();
}

#[test]
fn the_caller_may_leave_the_offer_to_us() {
    let mut bench = Bench::with_default();
    let mut invite = peer_invite(&[]);
    invite.headers.remove("Content-Type");
    invite.body.clear();
    bench.receive(&invite);
    let Some(Event::Incoming { call, offer: None, .. }) = bench.events.pop_front() else {
        panic!("no call without offer came in");
    };
    bench.act(|endpoint, now| endpoint.accept(now, call, OFFER.to_vec()));
    assert_eq!(bench.response().status, 100);
    let answer = bench.response();
    assert_eq!(answer.body, OFFER);
    bench.receive(&with_sdp(peer_ack(&invite, &answer), ANSWER));
    assert_eq!(bench.heard(), "acked 'v=0 answer'");
}

#[test]
fn requests_that_cannot_be_served_are_refused_without_being_remembered() {
    let sdp = "Content-Type: application/sdp\r\n";
    for (datagram, expected) in [
        (raw("OPTIONS", ""), "200-OPTIONS"),
        (raw("BYE", ""), "481-BYE"),
        (raw("UPDATE", ""), "481-UPDATE"),
        (raw("CANCEL", ""), "481-CANCEL"),
        (raw("ACK", ""), ""),
        (raw("REGISTER", ""), "405-REGISTER"),
        (raw("SUBSCRIBE", ""), "405-SUBSCRIBE"),
        (raw("REFER", ""), "405-REFER"),
        (raw("MAKECOFFEE", ""), "501-MAKECOFFEE"),
        // No Contact, unknown extension, unknown body.
        (raw("INVITE", ""), "400-INVITE"),
        (raw("INVITE", "Contact: <sip:a@b>\r\nRequire: teleport\r\n"), "420-INVITE"),
        (raw("INVITE", "Contact: <sip:a@b>\r\nSession-Expires: 30\r\n"), "422-INVITE"),
        (raw("OPTIONS", &format!("{sdp}Content-Length: 9\r\n")), "400-OPTIONS"),
        (b"\r\n\r\n".to_vec(), ""),
        (b"\x00\x01 garbage".to_vec(), ""),
    ] {
        let mut bench = Bench::with_default();
        bench.receive_bytes(THEIRS, &datagram);
        let first = bench.sent.front().cloned();
        assert_eq!(bench.said(), expected, "{}", String::from_utf8_lossy(&datagram));
        assert_eq!(bench.heard(), "");
        assert_eq!(bench.endpoint.load(), Load::default());
        bench.receive_bytes(THEIRS, &datagram);
        assert_eq!(
            bench.sent.front().cloned(),
            first,
            "copies get the same response, tag included"
        );
    }
}

#[test]
fn responses_go_back_to_where_the_request_came_from() {
    for (via, destination, expected) in [
        // RFC 3581: the port that the network shows.
        ("10.0.0.5:5060;rport", "198.51.100.7:40000", "received=198.51.100.7"),
        // RFC 3261: the port that the client names, but never another host.
        ("10.0.0.5:5064", "198.51.100.7:5064", "received=198.51.100.7"),
        ("10.0.0.5;maddr=203.0.113.1", "198.51.100.7:5060", "received=198.51.100.7"),
    ] {
        let mut bench = Bench::with_default();
        let text = String::from_utf8(raw("OPTIONS", "")).unwrap().replace(THEIRS, via);
        bench.receive_bytes("198.51.100.7:40000", text.as_bytes());
        let (to, message) = bench.sent.pop_front().unwrap();
        assert_eq!(to.to_string(), destination);
        let top = message.headers().via().unwrap().to_wire();
        assert!(top.contains(expected), "{top}");
        if via.contains("rport") {
            assert!(top.contains("rport=40000"), "{top}");
        }
    }
}

#[test]
fn strangers_are_not_even_read() {
    let peers = Peers::Only(vec!["192.0.2.9".parse().unwrap()]);
    let mut bench = Bench::new(Config { peers, ..config(OURS) });
    bench.receive_bytes("203.0.113.66:5060", &raw("OPTIONS", ""));
    assert_eq!(bench.said(), "");
    bench.receive_bytes(THEIRS, &raw("OPTIONS", ""));
    assert_eq!(bench.said(), "200-OPTIONS");
}

#[test]
fn an_invite_that_comes_on_two_ways_is_one_call() {
    let (mut bench, _, invite) = Bench::called(&[]);
    let mut twin = invite.clone();
    twin.headers.set("Via", format!("SIP/2.0/UDP {THEIRS};branch=z9hG4bKother"));
    bench.receive(&twin);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("482-INVITE", ""));
}

#[test]
fn beyond_the_caps_new_calls_are_refused_and_running_ones_go_on() {
    let (mut bench, call, invite, answer) = Bench::taken(config(OURS), &[]);
    let nth = |n: usize| {
        let via = format!("SIP/2.0/UDP {THEIRS};branch=z9hG4bKflood{n}");
        peer_invite(&[("Via", &via), ("Call-ID", &format!("flood-{n}"))])
    };
    for n in 0..4 {
        bench.receive(&nth(n));
        assert_eq!(bench.said(), "100-INVITE");
    }
    for n in 4..1000 {
        bench.receive(&nth(n));
        let refusal = bench.response();
        assert_eq!(refusal.status, 503);
        assert!(refusal.headers.retry_after().unwrap().is_some());
    }
    let load = bench.endpoint.load();
    assert_eq!((load.calls, load.ringing, load.transactions), (5, 4, 5));
    bench.receive(&peer_request(&invite, &answer, Method::Bye, 200));
    assert_eq!(bench.said(), "200-BYE");
    assert!(bench.heard().ends_with("ended by remote"), "{call:?}");
    bench.pass(200.0);
    bench.assert_forgotten();
}

#[test]
fn a_challenged_caller_comes_again_with_a_proof() {
    use crate::sip::auth::{Algorithm, AlgorithmType, Challenger, Verifier};
    let algorithm = Algorithm::new(AlgorithmType::SHA2_256, false);
    let mut verifier = Verifier::new(Challenger::Proxy, "ims", vec![algorithm], credentials(), 8);
    let (mut bench, call, invite) = Bench::called(&[]);
    let challenge = verifier.verify(&invite, "nonce-1").unwrap_err();
    bench.act(|endpoint, now| endpoint.challenge(now, call, &challenge));
    let refusal = bench.response();
    assert_eq!(refusal.status, 407);
    assert_eq!(refusal.headers.all("Proxy-Authenticate").count(), 1);
    assert_eq!(refusal.headers.all("Via").count(), 1);
    assert_eq!(bench.heard(), "ended Local");
}
