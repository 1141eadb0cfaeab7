//! What goes on within the dialogs of a call: BYE, offers both ways, refreshes (RFC 3261 §14, §15).

use std::time::{Duration, Instant};

use rand::RngExt;

use crate::sip::endpoint::random_token;
use crate::sip::header::Headers;
use crate::sip::invite::description::{session_description, set_description};
use crate::sip::invite::leg::{Incoming, Leg, LegState, Progress, Reoffer};
use crate::sip::invite::session::{SessionClock, refuse_interval};
use crate::sip::invite::{Call, CallEvent, CallOutput, End, MAX_RETRIES, Purpose, Side, Stage};
use crate::sip::message::{Method, Request, Response};
use crate::sip::transaction::ServerId;
use crate::sip::uri::NameAddr;

/// # Within the dialog
impl Call {
    pub(super) fn on_bye(&mut self, leg: usize, server: ServerId, request: &Request) {
        self.respond(server, request.reply(200));
        if self.legs[leg].pending().is_some() {
            self.refuse_incoming(leg, 487, &Headers::default());
        }
        self.legs[leg].close();
        if self.main == Some(leg) && matches!(self.stage, Stage::Up | Stage::Ringing) {
            let q850 = request.headers.q850_cause();
            self.finish(CallEvent::Ended(End::Remote { q850 }));
        }
    }

    pub(super) fn on_bye_response(&mut self, leg: usize, response: &Response) {
        if matches!(response.status, 401 | 407) && self.can_meet_challenge(leg, response) {
            self.bye(leg);
        }
    }

    /// Learns from the challenge of the last request of a leg.
    pub(super) fn can_meet_challenge(&mut self, leg: usize, response: &Response) -> bool {
        let Some(authenticator) = &mut self.authenticator else { return false };
        let Some(sent) = &self.legs[leg].sent else { return false };
        authenticator.handle_challenge(sent, response).is_ok()
    }

    pub(super) fn on_info(&mut self, server: ServerId, request: &Request) {
        let content_type = request.headers.content_type().ok().flatten().unwrap_or_default();
        self.respond(server, request.reply(200));
        if self.stage != Stage::Over && !request.body.is_empty() {
            self.tell(CallEvent::Info { content_type, body: request.body.clone() });
        }
    }

    /// A re-INVITE or UPDATE from the peer.
    pub(super) fn on_offer(
        &mut self,
        now: Instant,
        leg: usize,
        server: ServerId,
        request: Request,
    ) {
        let offer = session_description(&request.headers, &request.body);
        let is_invite = request.method == Method::Invite;
        let negotiates = is_invite || offer.is_some();
        let chosen = &self.legs[leg];
        let is_ours_pending = chosen.reoffer.as_ref().is_some_and(|one| one.retry_at.is_none());
        let is_early = chosen.state == LegState::Early;
        if let Some(incoming) = chosen.incoming.as_ref().filter(|_| negotiates) {
            // Either their first offer waits for our user, or our answer waits for their ACK.
            let is_reliable_early = is_early && !is_invite && chosen.negotiated;
            match incoming.progress {
                Progress::Pending if is_reliable_early => {
                    // A new offer before the answer: nobody needs it, and it may be repeated later.
                    return self.respond(server, request.reply(488));
                }
                Progress::Pending => {
                    let mut response = request.reply(500);
                    let wait = self.rng.random_range(0..=10);
                    response.headers.push("Retry-After", wait.to_string());
                    return self.respond(server, response);
                }
                Progress::Accepted(_) => return self.respond(server, request.reply(491)),
            }
        }
        let is_early_offer = is_early && (is_invite || !chosen.negotiated);
        if negotiates && (is_ours_pending || is_early_offer) {
            return self.respond(server, request.reply(491));
        }
        if let Some(refusal) = refuse_interval(&request) {
            return self.respond(server, refusal);
        }
        self.legs[leg].dialog.refresh_target(&request.headers);
        let is_heard = self.main == Some(leg) || self.stage == Stage::Inviting;
        let rseq = self.rng.random_range(1..10_000);
        let incoming = Incoming::new(server, request, rseq);
        if !negotiates {
            // A session refresh, or a new Contact: no business of the user's.
            let initial = self.legs[leg].incoming.replace(incoming);
            self.accept_incoming(now, leg, Vec::new());
            self.legs[leg].incoming = initial;
            return;
        }
        self.legs[leg].incoming = Some(incoming);
        if !is_heard {
            return self.refuse_incoming(leg, 488, &Headers::default());
        }
        self.tell(CallEvent::Offer { sdp: offer });
    }

    /// The user wants another session.
    pub(super) fn reoffer(&mut self, now: Instant, method: Method, sdp: Vec<u8>) {
        let Some(leg) = self.main.filter(|_| self.stage == Stage::Up) else { return };
        if self.legs[leg].reoffer.is_some() {
            return self.tell(CallEvent::ReofferRefused { status: 491 });
        }
        let is_busy = self.legs[leg].incoming.is_some();
        let retry_at = is_busy.then(|| now + self.collision_delay());
        let reoffer = Reoffer { method, sdp: Some(sdp), by_user: true, retries: 0, retry_at };
        self.legs[leg].reoffer = Some(reoffer);
        if !is_busy {
            self.send_reoffer(now, leg);
        }
    }

    pub(super) fn send_reoffer(&mut self, now: Instant, leg: usize) {
        if self.legs[leg].incoming.is_some() {
            let retry_at = Some(now + self.collision_delay());
            if let Some(reoffer) = &mut self.legs[leg].reoffer {
                reoffer.retry_at = retry_at;
            }
            return;
        }
        let chosen = &mut self.legs[leg];
        let Some(reoffer) = chosen.reoffer.as_mut() else { return };
        reoffer.retry_at = None;
        let mut request = chosen.dialog.request(reoffer.method.clone());
        self.config.describe_us(&mut request.headers);
        if let Some(session) = chosen.session.to_ask_for() {
            request.headers.push("Session-Expires", session.to_wire());
        }
        if let Some(sdp) = reoffer.sdp.clone() {
            set_description(&mut request, sdp);
        }
        self.send(leg, Purpose::Reoffer { leg }, request);
    }

    pub(super) fn on_reoffer_response(&mut self, now: Instant, leg: usize, response: &Response) {
        let Ok(cseq) = response.headers.cseq() else { return };
        if response.is_provisional() {
            return;
        }
        if response.is_success() && cseq.method == Method::Invite {
            if self.acknowledge_again(leg, cseq.number) {
                return;
            }
            self.legs[leg].dialog.refresh_target(&response.headers);
            self.acknowledge(leg, cseq.number);
        }
        let Some(mut reoffer) = self.legs[leg].reoffer.take() else { return };
        reoffer.retries += 1;
        if response.is_success() {
            return self.on_reoffer_accepted(now, leg, reoffer, response);
        }
        let may_retry = reoffer.retries <= MAX_RETRIES;
        let retry_after = response.headers.retry_after().ok().flatten();
        let retry_at = match response.status {
            401 | 407 => self.can_meet_challenge(leg, response).then_some(now),
            422 => {
                let interval = response.headers.min_se().ok().flatten();
                let lengthened =
                    interval.is_some_and(|at_least| self.legs[leg].session.lengthen(at_least));
                lengthened.then_some(now)
            }
            491 => Some(now + self.collision_delay()),
            // The peer is still busy with another offer (§14.2).
            500 => retry_after.filter(|wait| wait.as_secs() <= 10).map(|wait| now + wait),
            // Not knowing UPDATE is no reason to lose the session.
            405 | 501 if reoffer.method == Method::Update => {
                self.legs[leg].knows_update = false;
                reoffer.method = Method::Invite;
                reoffer.sdp.get_or_insert(self.legs[leg].local_sdp.clone());
                Some(now)
            }
            _ => None,
        };
        match (retry_at.filter(|_| may_retry), response.status) {
            (Some(at), _) => {
                reoffer.retry_at = Some(at);
                self.legs[leg].reoffer = Some(reoffer);
                if at <= now {
                    self.send_reoffer(now, leg);
                }
            }
            // The peer has forgotten the dialog (§12.2.1.2).
            (None, 481 | 408) => self.expire(leg),
            (None, status) if reoffer.by_user => self.tell(CallEvent::ReofferRefused { status }),
            // A refresh that is refused: the session ends when its interval does.
            (None, _) => self.legs[leg].session.give_up_refreshing(now),
        }
    }

    pub(super) fn on_reoffer_accepted(
        &mut self,
        now: Instant,
        leg: usize,
        reoffer: Reoffer,
        response: &Response,
    ) {
        let chosen = &mut self.legs[leg];
        chosen.dialog.refresh_target(&response.headers);
        chosen.session = SessionClock::agreed(now, &response.headers);
        let Some(offered) = reoffer.sdp else { return };
        chosen.local_sdp = offered;
        let answer = session_description(&response.headers, &response.body).unwrap_or_default();
        let is_news = reoffer.by_user || answer != chosen.remote_sdp;
        chosen.remote_sdp.clone_from(&answer);
        if is_news {
            self.tell(CallEvent::Reanswered { sdp: answer });
        }
    }

    /// A transport that fails for a moment does not end a call that can still be heard.
    pub(super) fn on_reoffer_undelivered(&mut self, now: Instant, leg: usize) {
        let Some(reoffer) = self.legs[leg].reoffer.take() else { return };
        if reoffer.by_user {
            self.tell(CallEvent::ReofferRefused { status: 503 });
        } else if let SessionClock::Refresh { at, interval } = &mut self.legs[leg].session {
            *at = now + *interval / 8;
        }
    }

    /// §14.1: whoever chose the Call-ID waits longer.
    pub(super) fn collision_delay(&mut self) -> Duration {
        let tens_of_milliseconds = match self.side {
            Side::Client(_) => self.rng.random_range(210..=400),
            Side::Server => self.rng.random_range(0..=200),
        };
        Duration::from_millis(tens_of_milliseconds * 10)
    }

    pub(super) fn check_session(&mut self, now: Instant, leg: usize) {
        let chosen = &mut self.legs[leg];
        match chosen.session {
            SessionClock::Refresh { interval, at } if at <= now => {
                // Should that fail without a word, the transaction's own end closes the call.
                chosen.session = SessionClock::Refresh { interval, at: now + interval / 2 };
                if chosen.reoffer.is_some() || chosen.incoming.is_some() {
                    return;
                }
                let (method, sdp) = if chosen.knows_update {
                    (Method::Update, None)
                } else {
                    (Method::Invite, Some(chosen.local_sdp.clone()))
                };
                let reoffer = Reoffer { method, sdp, by_user: false, retries: 0, retry_at: None };
                chosen.reoffer = Some(reoffer);
                self.send_reoffer(now, leg);
            }
            SessionClock::Watch { at, .. } if at <= now => self.expire(leg),
            SessionClock::Refresh { .. } | SessionClock::Watch { .. } | SessionClock::Off => {}
        }
    }

    /// The session has died of itself.
    pub(super) fn expire(&mut self, leg: usize) {
        if self.legs[leg].state == LegState::Closed {
            return;
        }
        self.close(leg);
        if self.main == Some(leg) && self.stage == Stage::Up {
            self.finish(CallEvent::Ended(End::Expired));
        }
    }

    /// Hangs up one leg: at once, or after the ACK that is still to come.
    pub(super) fn close(&mut self, leg: usize) {
        let chosen = &mut self.legs[leg];
        match chosen.incoming.as_ref().map(|incoming| &incoming.progress) {
            Some(Progress::Accepted(_)) => {
                chosen.state = LegState::Closing;
                chosen.session = SessionClock::Off;
                chosen.reoffer = None;
            }
            Some(Progress::Pending) if chosen.state == LegState::Early => {
                // The 2xx was waiting for a PRACK; it is not needed any more.
                self.refuse_incoming(leg, 480, &Headers::default());
                self.legs[leg].close();
            }
            Some(Progress::Pending) => {
                self.refuse_incoming(leg, 487, &Headers::default());
                self.bye(leg);
            }
            None => self.bye(leg),
        }
    }

    pub(super) fn bye(&mut self, leg: usize) {
        self.legs[leg].close();
        let request = self.legs[leg].dialog.request(Method::Bye);
        self.send(leg, Purpose::Bye { leg }, request);
    }

    /// Sends a request within a dialog.
    pub(super) fn send(&mut self, leg: usize, purpose: Purpose, request: Request) {
        let mut request = request;
        if let Some(authenticator) = &mut self.authenticator {
            authenticator.authorize(&mut request, &random_token(&mut self.rng));
            self.legs[leg].sent = Some(Box::new(request.clone()));
        }
        let branch = self.config.stamp(&mut request, &mut self.rng);
        let destination = self.legs[leg].dialog.next_hop(&self.config.peers);
        self.outputs.push_back(CallOutput::Request { purpose, branch, destination, request });
    }

    pub(super) fn respond(&mut self, server: ServerId, response: Response) {
        self.outputs.push_back(CallOutput::Respond { server, response });
    }

    pub(super) fn tell(&mut self, event: CallEvent) {
        self.outputs.push_back(CallOutput::Event(event));
    }

    /// The last event.
    pub(super) fn finish(&mut self, event: CallEvent) {
        self.stage = Stage::Over;
        self.ring_limit = None;
        self.tell(event);
    }

    /// The leg with the peer that From of a request, or To of a response, names.
    pub(super) fn leg_of(&self, peer: Option<&NameAddr>) -> Option<usize> {
        let tag = peer?.tag().unwrap_or_default();
        self.legs.iter().position(|leg| leg.dialog.remote_tag == tag)
    }

    /// The leg whose peer waits for an answer to its later offer.
    pub(super) fn leg_with_offer(&self) -> Option<usize> {
        let waits = |leg: &Leg| {
            let is_first = leg.state == LegState::Early && matches!(self.side, Side::Server);
            leg.pending().is_some() && !is_first
        };
        self.legs.iter().position(waits)
    }
}
