//! The INVITE usage (RFC 3261 §13 to §15): one call, from its INVITE to its end, on either side.
//!
//! A `Call` is a sans-IO machine between the user above and the transactions below. It owns the
//! dialogs of its INVITE: several early ones when a proxy forks, of which at most one becomes the
//! call; the others are acknowledged and ended.
//!
//! ```text
//!  invite ──► Inviting ───── 2xx, sent ACK ─────► Up ── BYE, either way ──► Over
//!                │  └ refusal, timeout, CANCEL ───────────────────────────►┘ ▲
//!  INVITE ──► Ringing ────── accept, sent 2xx ──► Up ─────────────────────────┤
//!                └ reject, CANCEL, nobody answers ────────────────────────────┘
//! ```
//!
//! The user hears exactly one last event, [`CallEvent::Failed`] or [`CallEvent::Ended`]. The machine
//! may live on for a while, to acknowledge what still arrives.
//!
//! Extensions: reliable provisionals and PRACK (RFC 3262), UPDATE (RFC 3311), session timers
//! (RFC 4028), Reason (RFC 3326).

mod callee;
mod caller;
mod description;
mod event;
mod in_dialog;
mod leg;
mod session;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::sip::auth::Authenticator;
use crate::sip::dialog::Dialog;
use crate::sip::endpoint::{Config, DialogKey, random_token};
use crate::sip::header::{CSeq, Headers, SessionExpires};
use crate::sip::invite::caller::Invitation;
use crate::sip::invite::description::{describe, set_description};
use crate::sip::invite::leg::{Incoming, Leg, LegState, Progress, knows_update};
use crate::sip::invite::session::refuse_interval;
use crate::sip::message::{Method, Request, Response};
use crate::sip::transaction::{ClientFailure, ServerId};

pub(in crate::sip) use self::description::session_description;
pub use self::event::{CallEvent, End, Failure, InviteRequest};

/// More early dialogs than this are not followed: no sane proxy forks wider.
const MAX_LEGS: usize = 16;

/// How often one request may be repeated because the peer wanted something changed.
const MAX_RETRIES: u8 = 4;

/// The least session interval that may be asked of us (RFC 4028 §5).
const MIN_SESSION_INTERVAL: Duration = Duration::from_secs(90);

/// What we understand beyond RFC 3261.
pub(in crate::sip) const SUPPORTED: &str = "100rel, timer";

/// The methods that we answer.
pub(in crate::sip) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, OPTIONS";

/// Which request of a call a response belongs to. Legs are counted from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sip) enum Purpose {
    Invite,
    Cancel,
    Prack,
    Bye { leg: usize },
    Reoffer { leg: usize },
}

/// What a call asks of the endpoint.
#[derive(Debug)]
#[must_use]
pub(in crate::sip) enum CallOutput {
    /// Send a request in a new transaction; its topmost Via has that branch.
    Request { purpose: Purpose, branch: String, destination: SocketAddr, request: Request },
    /// Send a CANCEL for the INVITE of the last `Purpose::Invite`.
    CancelInvite,
    /// Do not repeat that INVITE any more.
    GiveUpInvite,
    /// Respond in a server transaction.
    Respond { server: ServerId, response: Response },
    /// Send a datagram beside all transactions: the ACK of a 2xx.
    Send { destination: SocketAddr, bytes: Arc<[u8]> },
    /// Tell the user.
    Event(CallEvent),
    /// Nothing more to do until this instant, or for ever if `None`.
    Wait(Option<Instant>),
}

/// The machine; the diagram is at the top of its file.
#[derive(Debug)]
pub(in crate::sip) struct Call {
    config: Arc<Config>,
    rng: StdRng,
    stage: Stage,
    side: Side,
    authenticator: Option<Authenticator>,
    local_tag: String,
    /// Never shortened, so that an index names a leg for ever.
    legs: Vec<Leg>,
    /// The leg that is the call.
    main: Option<usize>,
    /// When ringing has lasted too long.
    ring_limit: Option<Instant>,
    outputs: VecDeque<CallOutput>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Our INVITE is on its way.
    Inviting,
    /// The peer's INVITE waits for our user.
    Ringing,
    Up,
    /// The user has heard the last event.
    Over,
}

#[derive(Debug)]
enum Side {
    Client(Box<Invitation>),
    Server,
}

/// # Commands of the user
impl Call {
    /// Places a call.
    pub(in crate::sip) fn invite(
        now: Instant,
        config: Arc<Config>,
        seed: [u8; 32],
        invite: InviteRequest,
    ) -> (Self, DialogKey) {
        let mut rng = StdRng::from_seed(seed);
        let key = DialogKey { call_id: random_token(&mut rng), local_tag: random_token(&mut rng) };
        let mut from = invite.from;
        from.params.set("tag", &key.local_tag);
        let mut request = Request::new(Method::Invite, invite.request_uri);
        let headers = &mut request.headers;
        headers.push("Max-Forwards", "70");
        for route in &invite.route {
            headers.push("Route", route.to_wire());
        }
        headers.push("From", from.to_wire());
        headers.push("To", invite.to.to_wire());
        headers.push("Call-ID", key.call_id.as_str());
        // Counts from a small number, so that it can never overflow in a call.
        let number = rng.random_range(1..10_000);
        headers.push("CSeq", CSeq { number, method: Method::Invite }.to_wire());
        config.describe_us(headers);
        if let Some(interval) = config.session_interval {
            let session = SessionExpires { interval, refresher: None };
            headers.push("Session-Expires", session.to_wire());
            headers.push("Min-SE", MIN_SESSION_INTERVAL.as_secs().to_string());
        }
        for header in invite.headers.iter() {
            headers.push(&header.name, header.value.as_slice());
        }
        set_description(&mut request, invite.offer);
        let invitation = Invitation {
            request,
            destination: invite.destination,
            is_proceeding: false,
            is_final: false,
            withdrawn: None,
            retries: 0,
        };
        let mut call = Self {
            ring_limit: Some(now + config.longest_ringing),
            config,
            rng,
            stage: Stage::Inviting,
            side: Side::Client(Box::new(invitation)),
            authenticator: invite.credentials.map(Authenticator::new),
            local_tag: key.local_tag.clone(),
            legs: Vec::new(),
            main: None,
            outputs: VecDeque::new(),
        };
        call.send_invite();
        (call, key)
    }

    /// A call comes in. Only what a dialog needs is looked at; the endpoint has checked the rest.
    ///
    /// # Errors
    ///
    /// The response that refuses it, still without tag.
    pub(in crate::sip) fn incoming(
        now: Instant,
        config: Arc<Config>,
        seed: [u8; 32],
        request: &Request,
        source: SocketAddr,
    ) -> Result<(Self, DialogKey), Response> {
        if let Some(refusal) = refuse_interval(request) {
            return Err(refusal);
        }
        let mut rng = StdRng::from_seed(seed);
        let local_tag = random_token(&mut rng);
        let first_cseq = rng.random_range(1..10_000);
        let dialog = Dialog::from_request(request, &local_tag, first_cseq, source)
            .map_err(|_| request.reply(400))?;
        let key = DialogKey { call_id: dialog.call_id.clone(), local_tag: local_tag.clone() };
        let mut leg = Leg::new(dialog);
        leg.knows_update = knows_update(&request.headers);
        leg.remote_sdp = session_description(&request.headers, &request.body).unwrap_or_default();
        let call = Self {
            ring_limit: Some(now + config.longest_ringing),
            config,
            rng,
            stage: Stage::Ringing,
            side: Side::Server,
            authenticator: None,
            local_tag,
            legs: vec![leg],
            main: Some(0),
            outputs: VecDeque::new(),
        };
        Ok((call, key))
    }

    /// The transaction of the INVITE that made this call was opened: answers 100, so that it is not
    /// repeated while the user thinks.
    pub(in crate::sip) fn open(&mut self, server: ServerId, request: Request) {
        let response = request.reply(100);
        self.outputs.push_back(CallOutput::Respond { server, response });
        let first_rseq = self.rng.random_range(1..10_000);
        if let Some(leg) = self.legs.first_mut() {
            leg.incoming = Some(Incoming::new(server, request, first_rseq));
        }
    }

    /// Sends a provisional response to the caller: 101 to 199, with early media if described.
    pub(in crate::sip) fn ring(&mut self, now: Instant, status: u16, sdp: Option<Vec<u8>>) {
        let is_provisional = (101..=199).contains(&status);
        if self.stage != Stage::Ringing || !is_provisional {
            return;
        }
        let Some(leg) = self.legs.first_mut() else { return };
        let Some(incoming) = leg.incoming.as_mut() else { return };
        let mut response = incoming.request.reply(status);
        response.headers.tag_to(&self.local_tag);
        response.headers.copy("Record-Route", &incoming.request.headers);
        self.config.describe_us(&mut response.headers);
        // Without an offer of the caller, a description here would be an offer of ours.
        if let Some(sdp) = sdp.filter(|_| incoming.has_offer) {
            leg.local_sdp.clone_from(&sdp);
            describe(&mut response, sdp);
        }
        if !incoming.wants_reliability(self.config.reliable_provisionals) {
            self.outputs.push_back(CallOutput::Respond { server: incoming.server, response });
            return;
        }
        response.headers.push("Require", "100rel");
        incoming.postponed.push_back(response);
        self.send_postponed(now, 0);
    }

    /// Answers the caller with 200.
    pub(in crate::sip) fn accept(&mut self, now: Instant, sdp: Vec<u8>) {
        if self.stage != Stage::Ringing {
            return;
        }
        self.stage = Stage::Up;
        self.ring_limit = None;
        self.accept_incoming(now, 0, sdp);
    }

    /// Refuses the caller with a final response of 300 to 699 and further header fields, such as
    /// Reason, Retry-After or a challenge.
    pub(in crate::sip) fn reject(&mut self, status: u16, headers: &Headers) {
        if self.stage == Stage::Ringing && (300..=699).contains(&status) {
            self.refuse_incoming(0, status, headers);
            self.finish(CallEvent::Ended(End::Local));
        }
    }

    /// Takes our call back before it is answered.
    pub(in crate::sip) fn cancel(&mut self) {
        self.withdraw(Failure::Cancelled);
    }

    /// Ends the call in whatever way its stage asks for: CANCEL, a refusal, or BYE.
    pub(in crate::sip) fn hang_up(&mut self) {
        match (self.stage, self.main) {
            (Stage::Inviting, _) => self.cancel(),
            (Stage::Ringing, _) => self.reject(480, &Headers::default()),
            (Stage::Up, Some(main)) => {
                self.close(main);
                self.finish(CallEvent::Ended(End::Local));
            }
            (Stage::Up, None) | (Stage::Over, _) => {}
        }
    }

    /// Answers the peer's offer; or makes one, where the peer asked for it.
    pub(in crate::sip) fn answer_offer(&mut self, now: Instant, sdp: Vec<u8>) {
        if let (Stage::Up | Stage::Ringing | Stage::Inviting, Some(leg)) =
            (self.stage, self.leg_with_offer())
        {
            self.accept_incoming(now, leg, sdp);
        }
    }

    /// Refuses the peer's offer, as a rule with 488; the session goes on as it was.
    pub(in crate::sip) fn reject_offer(&mut self, status: u16) {
        if let Some(leg) = self.leg_with_offer().filter(|_| (300..=699).contains(&status)) {
            self.refuse_incoming(leg, status, &Headers::default());
        }
    }

    /// Offers another description in a re-INVITE.
    pub(in crate::sip) fn reinvite(&mut self, now: Instant, sdp: Vec<u8>) {
        self.reoffer(now, Method::Invite, sdp);
    }

    /// Offers another description in an UPDATE.
    pub(in crate::sip) fn update(&mut self, now: Instant, sdp: Vec<u8>) {
        self.reoffer(now, Method::Update, sdp);
    }

    /// The next thing to do.
    pub(in crate::sip) fn poll_output(&mut self) -> CallOutput {
        self.outputs.pop_front().unwrap_or_else(|| CallOutput::Wait(self.deadline()))
    }

    /// Whether nothing more is to be done but to absorb what still arrives.
    pub(in crate::sip) fn is_over(&self) -> bool {
        self.stage == Stage::Over && self.deadline().is_none() && self.outputs.is_empty()
    }

    /// Whether the user of this side has still to decide.
    pub(in crate::sip) fn is_ringing(&self) -> bool {
        self.stage == Stage::Ringing
    }

    fn deadline(&self) -> Option<Instant> {
        self.legs.iter().filter_map(Leg::deadline).chain(self.ring_limit).min()
    }
}

/// # What comes from the network
impl Call {
    /// Feeds a response to one of our requests.
    pub(in crate::sip) fn handle_response(
        &mut self,
        now: Instant,
        purpose: Purpose,
        response: &Response,
    ) {
        match purpose {
            Purpose::Invite => self.on_invite_response(now, response),
            Purpose::Reoffer { leg } => self.on_reoffer_response(now, leg, response),
            Purpose::Bye { leg } => self.on_bye_response(leg, response),
            // Nothing depends on them: the INVITE has its own final response.
            Purpose::Cancel | Purpose::Prack => {}
        }
    }

    /// One of our requests got no final response.
    pub(in crate::sip) fn handle_failure(
        &mut self,
        now: Instant,
        purpose: Purpose,
        failure: ClientFailure,
    ) {
        match (purpose, failure) {
            (Purpose::Invite, failure) => {
                let withdrawn = match &mut self.side {
                    Side::Client(invitation) => {
                        invitation.is_final = true;
                        invitation.withdrawn
                    }
                    Side::Server => None,
                };
                let failure = withdrawn.unwrap_or(match failure {
                    ClientFailure::TimedOut => Failure::TimedOut,
                    ClientFailure::TransportFailed => Failure::TransportFailed,
                });
                if self.stage == Stage::Inviting {
                    self.finish(CallEvent::Failed(failure));
                }
            }
            (Purpose::Reoffer { leg }, ClientFailure::TimedOut) => self.expire(leg),
            (Purpose::Reoffer { leg }, ClientFailure::TransportFailed) => {
                self.on_reoffer_undelivered(now, leg);
            }
            (Purpose::Bye { .. } | Purpose::Cancel | Purpose::Prack, _) => {}
        }
    }

    /// Feeds a request within a dialog of this call; its transaction is open.
    pub(in crate::sip) fn handle_request(
        &mut self,
        now: Instant,
        server: ServerId,
        request: Request,
    ) {
        let cseq = request.headers.cseq().map(|cseq| cseq.number);
        let found = self.leg_of(request.headers.from().ok().as_ref());
        let (Ok(cseq), Some(leg)) = (cseq, found) else {
            return self.respond(server, request.reply(481));
        };
        if self.legs[leg].state == LegState::Closed {
            // Both sides hang up at once; a BYE is welcome all the same (§15.1.2).
            let status = if request.method == Method::Bye { 200 } else { 481 };
            return self.respond(server, request.reply(status));
        }
        if self.legs[leg].dialog.check_cseq(cseq).is_err() {
            return self.respond(server, request.reply(500));
        }
        match &request.method {
            Method::Bye => self.on_bye(leg, server, &request),
            Method::Invite | Method::Update => self.on_offer(now, leg, server, request),
            Method::Prack => self.on_prack(now, leg, server, &request),
            Method::Info => self.on_info(server, &request),
            Method::Options => self.respond(server, self.config.capabilities(&request)),
            // The endpoint has refused what we do not allow, and deals with ACK and CANCEL itself.
            _ => self.respond(server, request.reply(405)),
        }
    }

    /// Feeds an ACK that belongs to a 2xx.
    pub(in crate::sip) fn handle_ack(&mut self, now: Instant, request: &Request) {
        let Some(leg) = self.leg_of(request.headers.from().ok().as_ref()) else { return };
        let Ok(cseq) = request.headers.cseq() else { return };
        let is_awaited = self.legs[leg].incoming.as_ref().is_some_and(|incoming| {
            let awaited = incoming.request.headers.cseq();
            matches!(incoming.progress, Progress::Accepted(_))
                && awaited.is_ok_and(|awaited| awaited.number == cseq.number)
        });
        if !is_awaited {
            return;
        }
        let incoming = self.legs[leg].incoming.take();
        if self.legs[leg].state == LegState::Closing {
            return self.bye(leg);
        }
        let answers_us = incoming.is_some_and(|incoming| !incoming.has_offer);
        let sdp = session_description(&request.headers, &request.body).filter(|_| answers_us);
        if let Some(sdp) = &sdp {
            self.legs[leg].remote_sdp.clone_from(sdp);
        }
        if self.stage == Stage::Up && self.main == Some(leg) {
            self.tell(CallEvent::Acked { sdp });
        }
        // What had to wait for the ACK.
        let is_waiting = self.legs[leg].reoffer.as_ref().is_some_and(|one| one.retry_at.is_some());
        if is_waiting {
            self.send_reoffer(now, leg);
        }
    }

    /// The peer takes back the INVITE of that transaction.
    pub(in crate::sip) fn handle_cancel(&mut self, server: ServerId, q850: Option<u8>) {
        let is_meant = |leg: &Leg| leg.pending().is_some_and(|incoming| incoming.server == server);
        let Some(leg) = self.legs.iter().position(is_meant) else { return };
        self.refuse_incoming(leg, 487, &Headers::default());
        match self.stage {
            Stage::Ringing => self.finish(CallEvent::Ended(End::Remote { q850 })),
            Stage::Up if self.legs[leg].state == LegState::Early => {
                // Our 2xx was still waiting for a PRACK.
                self.finish(CallEvent::Ended(End::Remote { q850 }));
            }
            Stage::Up | Stage::Inviting => self.tell(CallEvent::OfferWithdrawn),
            Stage::Over => {}
        }
    }

    /// The deadline has come.
    pub(in crate::sip) fn handle_timeout(&mut self, now: Instant) {
        if self.ring_limit.is_some_and(|at| at <= now) {
            self.ring_limit = None;
            match self.stage {
                Stage::Inviting => self.withdraw(Failure::NotAnswered),
                Stage::Ringing => {
                    self.refuse_incoming(0, 480, &Headers::default());
                    self.finish(CallEvent::Ended(End::NotAnswered));
                }
                Stage::Up | Stage::Over => {}
            }
        }
        for leg in 0..self.legs.len() {
            self.repeat_unacknowledged(now, leg);
            let retry = self.legs[leg].reoffer.as_ref().and_then(|reoffer| reoffer.retry_at);
            if retry.is_some_and(|at| at <= now) {
                self.send_reoffer(now, leg);
            }
            self.check_session(now, leg);
        }
    }
}
