//! What goes on while a call is up.

use super::*;

fn timed(interval: &str) -> [(&'static str, String); 2] {
    [("Session-Expires", interval.to_owned()), ("Allow", "UPDATE, BYE".to_owned())]
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn gaps_in_the_numbers_are_normal_and_steps_back_are_not() {
    let (mut bench, _, invite) = Bench::talking(config(OURS), &[]);
    for (number, expected) in [(7, "200-OPTIONS"), (4000, "200-OPTIONS"), (9, "500-OPTIONS")] {
        bench.receive(&callee_request(&invite, "fork", Method::Options, number));
        assert_eq!(bench.said(), expected, "{number}");
    }
    bench.receive(&callee_request(&invite, "fork", Method::Bye, 60_000));
    assert_eq!(bench.said(), "200-BYE");
}

#[test]
fn every_method_gets_an_answer() {
    let (mut bench, _, invite) = Bench::talking(config(OURS), &[]);
    for (number, method, expected) in [
        (1, "OPTIONS", "200-OPTIONS"),
        (2, "INFO", "200-INFO"),
        (3, "UPDATE", "200-UPDATE"),
        (4, "PRACK", "481-PRACK"),
        (5, "REFER", "405-REFER"),
        (6, "NOTIFY", "405-NOTIFY"),
        (7, "MESSAGE", "405-MESSAGE"),
        (8, "MAKECOFFEE", "501-MAKECOFFEE"),
        (9, "BYE", "200-BYE"),
        (10, "OPTIONS", "481-OPTIONS"),
    ] {
        bench.receive(&callee_request(&invite, "fork", Method::from(method), number));
        assert_eq!(bench.said(), expected, "{method}");
    }
    assert_eq!(bench.heard(), "ended by remote");
}

#[test]
fn requests_with_a_guessed_tag_do_not_touch_the_call() {
    let (mut bench, _, invite) = Bench::talking(config(OURS), &[]);
    bench.receive(&callee_request(&invite, "guess", Method::Bye, 1));
    let mut bye = callee_request(&invite, "fork", Method::Bye, 2);
    bye.headers.set("To", "<sip:0333330000@hc.example>;tag=guess");
    bench.receive(&bye);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("481-BYE 481-BYE", ""));
}

#[test]
fn keys_may_come_as_info() {
    let (mut bench, _, invite) = Bench::talking(config(OURS), &[]);
    let mut info = callee_request(&invite, "fork", Method::Info, 1);
    info.headers.push("Content-Type", "application/dtmf-relay");
    info.body = b"Signal=5".to_vec();
    bench.receive(&info);
    assert_eq!(bench.said(), "200-INFO");
    assert_eq!(bench.heard(), "info application/dtmf-relay 'Signal=5'");
    bench.receive(&info);
    assert_eq!(bench.said(), "200-INFO");
    assert_eq!(bench.heard(), "", "a copy is no second key");
    let mut odd = callee_request(&invite, "fork", Method::Info, 2);
    odd.headers.push("Content-Type", "application/broadsoft");
    odd.body = b"event flashhook".to_vec();
    bench.receive(&odd);
    assert_eq!(bench.said(), "415-INFO");
}

#[test]
fn the_peer_may_hold_and_resume() {
    let (mut bench, call, invite) = Bench::talking(config(OURS), &[]);
    let mut hold = with_sdp(callee_request(&invite, "fork", Method::Invite, 1), b"v=0 hold");
    hold.headers.set("Contact", "<sip:moved@192.0.2.40>");
    bench.receive(&hold);
    assert_eq!(bench.heard(), "offer 'v=0 hold'");
    bench.act(|endpoint, now| endpoint.answer_offer(now, call, b"v=0 held".to_vec()));
    let answer = bench.response();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"v=0 held"[..]));
    bench.pass(1.0);
    assert_eq!(bench.said(), "200-INVITE", "repeated until the ACK");
    let mut ack = callee_request(&invite, "fork", Method::Ack, 1);
    bench.receive(&ack);
    assert_eq!(bench.heard(), "acked");
    bench.pass(40.0);
    assert_eq!(bench.said(), "");
    let resume = with_sdp(callee_request(&invite, "fork", Method::Invite, 2), b"v=0 resume");
    bench.receive(&resume);
    bench.act(|endpoint, now| endpoint.reject_offer(now, call, 488));
    assert_eq!(
        (bench.said().as_str(), bench.heard().as_str()),
        ("488-INVITE", "offer 'v=0 resume'")
    );
    ack.headers.set("CSeq", "2 ACK");
    ack.headers.set("Via", resume.headers.text("Via").unwrap().into_owned());
    bench.receive(&ack);
    bench.act(|endpoint, now| endpoint.hang_up(now, call));
    let (_, bye) = bench.request_to();
    assert_eq!(bye.uri.to_wire(), format!("sip:fork@{THEIRS}"), "the last target refresh counts");
    bench.assert_forgotten();
}

#[test]
fn the_peer_may_ask_us_for_an_offer_and_may_take_its_own_back() {
    let (mut bench, call, invite) = Bench::talking(config(OURS), &[]);
    bench.receive(&callee_request(&invite, "fork", Method::Invite, 1));
    assert_eq!(bench.heard(), "offer");
    bench.act(|endpoint, now| endpoint.answer_offer(now, call, OFFER.to_vec()));
    assert_eq!(bench.response().body, OFFER);
    bench.receive(&with_sdp(callee_request(&invite, "fork", Method::Ack, 1), b"v=0 fine"));
    assert_eq!(bench.heard(), "acked 'v=0 fine'");
    let again = with_sdp(callee_request(&invite, "fork", Method::Invite, 2), b"v=0 again");
    bench.receive(&again);
    let mut cancel = callee_request(&invite, "fork", Method::Cancel, 2);
    cancel.headers.set("Via", again.headers.text("Via").unwrap().into_owned());
    bench.receive(&cancel);
    assert_eq!(bench.said(), "200-CANCEL 487-INVITE");
    assert_eq!(bench.heard(), "offer 'v=0 again', offer withdrawn");
}

#[test]
fn the_peer_may_update() {
    let (mut bench, call, invite) = Bench::talking(config(OURS), &[]);
    bench.receive(&with_sdp(callee_request(&invite, "fork", Method::Update, 1), b"v=0 new"));
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("", "offer 'v=0 new'"));
    bench.act(|endpoint, now| endpoint.answer_offer(now, call, b"v=0 fine".to_vec()));
    assert_eq!(bench.response().body, b"v=0 fine");
    let mut moved = callee_request(&invite, "fork", Method::Update, 2);
    moved.headers.set("Contact", "<sip:moved@192.0.2.40>");
    bench.receive(&moved);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("200-UPDATE", ""));
    bench.act(|endpoint, now| endpoint.hang_up(now, call));
    assert_eq!(bench.request_to().0, "192.0.2.40:5060");
}

#[test]
fn we_may_offer_another_session() {
    type Offer = fn(&mut Endpoint, Instant, CallKey, Vec<u8>);
    for (offer, method) in
        [(Endpoint::reinvite as Offer, Method::Invite), (Endpoint::update, Method::Update)]
    {
        let (mut bench, call, invite) = Bench::talking(config(OURS), &[]);
        bench.act(|endpoint, now| offer(endpoint, now, call, b"v=0 new".to_vec()));
        let reoffer = bench.request();
        assert_eq!((&reoffer.method, reoffer.body.as_slice()), (&method, &b"v=0 new"[..]));
        assert_eq!(reoffer.headers.to().unwrap().tag(), Some("fork"));
        bench.reply(&reoffer, 200, "", &[], b"v=0 fine");
        bench.reply(&reoffer, 200, "", &[], b"v=0 fine");
        let acks = if method == Method::Invite { "ACK ACK" } else { "" };
        assert_eq!(
            (bench.said().as_str(), bench.heard().as_str()),
            (acks, "reanswered 'v=0 fine'")
        );
        bench.act(|endpoint, now| offer(endpoint, now, call, b"v=0 newer".to_vec()));
        let reoffer = bench.request();
        bench.reply(&reoffer, 488, "", &[], b"");
        assert_eq!(bench.heard(), "reoffer refused 488");
        bench.receive(&callee_request(&invite, "fork", Method::Bye, 1));
        assert_eq!(bench.heard(), "ended by remote");
        bench.assert_forgotten();
    }
}

#[test]
fn offers_that_collide_are_put_off() {
    let (mut bench, call, invite) = Bench::talking(config(OURS), &[]);
    bench.act(|endpoint, now| endpoint.reinvite(now, call, b"v=0 new".to_vec()));
    let ours = bench.request();
    bench.receive(&with_sdp(callee_request(&invite, "fork", Method::Invite, 1), b"v=0 theirs"));
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("491-INVITE", ""));
    bench.reply(&ours, 491, "", &[], b"");
    assert_eq!(bench.said(), "ACK");
    bench.pass(2.0);
    assert!(!bench.said().contains(" INVITE "), "whoever chose the Call-ID waits 2.1 to 4 s");
    bench.pass(2.1);
    let again = bench.sent.iter().find_map(|(_, message)| match message {
        Message::Request(request) if request.method == Method::Invite => Some(request.clone()),
        _ => None,
    });
    bench.reply(&again.expect("tried again"), 200, "", &[], b"v=0 fine");
    assert_eq!(bench.heard(), "reanswered 'v=0 fine'");
}

#[test]
fn a_second_offer_of_the_peer_waits_for_the_first() {
    let (mut bench, call, invite) = Bench::talking(config(OURS), &[]);
    bench.receive(&with_sdp(callee_request(&invite, "fork", Method::Invite, 1), b"v=0 a"));
    bench.receive(&with_sdp(callee_request(&invite, "fork", Method::Invite, 2), b"v=0 b"));
    let refusal = bench.response();
    assert_eq!(refusal.status, 500);
    assert!(refusal.headers.retry_after().unwrap().unwrap() <= Duration::from_secs(10));
    // Ours waits as well, until the ACK has settled theirs.
    bench.act(|endpoint, now| {
        endpoint.reinvite(now, call, b"v=0 ours".to_vec());
        endpoint.answer_offer(now, call, b"v=0 fine".to_vec());
    });
    assert_eq!(bench.said(), "200-INVITE");
    bench.receive(&callee_request(&invite, "fork", Method::Ack, 1));
    assert_eq!(bench.said(), "INVITE");
}

#[test]
fn a_peer_that_has_forgotten_the_call_ends_it() {
    let (mut bench, call, _) = Bench::talking(config(OURS), &[]);
    bench.act(|endpoint, now| endpoint.reinvite(now, call, b"v=0 new".to_vec()));
    let reoffer = bench.request();
    bench.reply(&reoffer, 481, "", &[], b"");
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("ACK BYE", "ended Expired"));
    bench.assert_forgotten();
}

#[test]
fn we_refresh_the_session_when_it_is_our_turn() {
    for (refresher, knows_update, expected) in
        [(";refresher=uac", true, "UPDATE"), ("", true, "UPDATE"), ("", false, "INVITE")]
    {
        let config = Config { session_interval: Some(Duration::from_mins(3)), ..config(OURS) };
        let headers = timed(&format!("180{refresher}"));
        let n_headers = if knows_update { 2 } else { 1 };
        let (mut bench, _, _) = Bench::talking(config, &borrowed(&headers)[..n_headers]);
        bench.pass(89.0);
        assert_eq!(bench.said(), "");
        bench.pass(1.2);
        let refresh = bench.request();
        assert_eq!(refresh.method.as_str(), expected);
        assert_eq!(refresh.headers.get("Session-Expires"), Some(&b"180;refresher=uac"[..]));
        let is_invite = refresh.method == Method::Invite;
        assert_eq!(refresh.body, if is_invite { OFFER } else { b"" }, "nothing changes");
        let body = if is_invite { ANSWER } else { b"" };
        bench.reply(&refresh, 200, "", &[("Session-Expires", "180;refresher=uac")], body);
        assert_eq!(bench.heard(), "", "no business of the user's");
        bench.sent.clear();
        bench.pass(91.0);
        assert_eq!(bench.request().method.as_str(), expected, "and so on");
        bench.pass(33.0);
        assert_eq!(bench.heard(), "ended Expired", "nobody answers any more");
    }
}

#[test]
fn a_transport_that_fails_for_a_moment_does_not_end_the_call() {
    let (mut bench, call, _) = Bench::talking(config(OURS), &borrowed(&timed("180;refresher=uac")));
    bench.act(|endpoint, now| endpoint.reinvite(now, call, b"v=0 new".to_vec()));
    let unreachable = THEIRS.parse().unwrap();
    bench.act(|endpoint, now| endpoint.handle_transport_error(now, unreachable));
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("INVITE", "reoffer refused 503"));
    bench.pass(90.2);
    assert_eq!(bench.said(), "UPDATE");
    bench.act(|endpoint, now| endpoint.handle_transport_error(now, unreachable));
    bench.pass(22.6);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("UPDATE", ""), "tried again");
}

#[test]
fn a_refresh_falls_back_to_an_invite() {
    let (mut bench, _, _) = Bench::talking(config(OURS), &borrowed(&timed("180;refresher=uac")));
    bench.pass(90.2);
    let update = bench.request();
    bench.reply(&update, 405, "", &[], b"");
    let invite = bench.request();
    assert_eq!((invite.method, invite.body.as_slice()), (Method::Invite, OFFER));
}

#[test]
fn a_refresh_that_is_refused_lets_the_session_run_out() {
    let (mut bench, _, _) = Bench::talking(config(OURS), &borrowed(&timed("180;refresher=uac")));
    bench.pass(90.2);
    let update = bench.request();
    bench.reply(&update, 403, "", &[], b"");
    bench.pass(40.0);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("", ""));
    bench.pass(25.0);
    assert_eq!(bench.heard(), "ended Expired");
}

#[test]
fn a_session_that_the_peer_forgets_to_refresh_ends() {
    let (mut bench, _, invite) =
        Bench::talking(config(OURS), &borrowed(&timed("180;refresher=uas")));
    bench.pass(100.0);
    let mut refresh = callee_request(&invite, "fork", Method::Update, 1);
    refresh.headers.push("Supported", "timer");
    refresh.headers.push("Session-Expires", "180;refresher=uac");
    bench.receive(&refresh);
    let response = bench.response();
    assert_eq!(response.headers.get("Session-Expires"), Some(&b"180;refresher=uac"[..]));
    assert_eq!(response.headers.get("Require"), Some(&b"timer"[..]));
    bench.pass(147.0);
    assert_eq!(bench.heard(), "");
    bench.pass(1.2);
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("BYE", "ended Expired"));
    bench.assert_forgotten();
}

#[test]
fn the_session_timer_of_an_incoming_call_is_agreed_on() {
    let ours = Some(Duration::from_mins(5));
    for (asked, supported, session_interval, expected) in [
        ("", "", ours, None),
        ("", "timer", None, None),
        ("", "timer", ours, Some("300;refresher=uac")),
        ("180", "timer", None, Some("180;refresher=uac")),
        ("180;refresher=uas", "timer", ours, Some("180;refresher=uas")),
        ("180", "", ours, Some("180;refresher=uas")),
    ] {
        let headers: Vec<(&str, &str)> = [("Session-Expires", asked), ("Supported", supported)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let config = Config { session_interval, ..config(OURS) };
        let (_, _, _, answer) = Bench::taken(config, &headers);
        let session = answer.headers.text("Session-Expires").map(std::borrow::Cow::into_owned);
        assert_eq!(session.as_deref(), expected, "{asked} {supported}");
        let requires = answer.headers.contains("Require");
        assert_eq!(requires, expected.is_some() && !supported.is_empty(), "{asked} {supported}");
    }
}

#[test]
fn an_early_update_is_told_to_the_user() {
    let (mut bench, call, invite) = Bench::calling(invite_request());
    let reliable = [("Require", "100rel"), ("RSeq", "1")];
    bench.reply(&invite, 180, "fork", &[], b"");
    bench.receive(&with_sdp(callee_request(&invite, "fork", Method::Update, 1), b"v=0 early"));
    assert_eq!(bench.said(), "491-UPDATE", "our own offer is not answered yet");
    bench.reply(&invite, 183, "fork", &reliable, ANSWER);
    assert_eq!(bench.said(), "PRACK");
    bench.receive(&with_sdp(callee_request(&invite, "fork", Method::Update, 2), b"v=0 early"));
    assert!(bench.heard().ends_with("offer 'v=0 early'"));
    bench.act(|endpoint, now| endpoint.answer_offer(now, call, b"v=0 fine".to_vec()));
    assert_eq!(bench.response().body, b"v=0 fine");
    bench.reply(&invite, 200, "fork", &[], b"");
    assert_eq!(bench.heard(), "answered 'v=0 early'");
}

#[test]
fn both_may_hang_up_at_once() {
    let (mut bench, call, invite) = Bench::talking(config(OURS), &[]);
    bench.act(|endpoint, now| endpoint.hang_up(now, call));
    bench.receive(&callee_request(&invite, "fork", Method::Bye, 1));
    assert_eq!((bench.said().as_str(), bench.heard().as_str()), ("BYE 200-BYE", "ended Local"));
    bench.assert_forgotten();
}

#[test]
fn a_bye_answers_what_was_still_open() {
    let (mut bench, _, invite) = Bench::talking(config(OURS), &[]);
    bench.receive(&with_sdp(callee_request(&invite, "fork", Method::Invite, 1), b"v=0 a"));
    bench.receive(&callee_request(&invite, "fork", Method::Bye, 2));
    assert_eq!(bench.said(), "200-BYE 487-INVITE");
    assert_eq!(bench.heard(), "offer 'v=0 a', ended by remote");
    bench.assert_forgotten();
}
