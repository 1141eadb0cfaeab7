//! A call as its caller: provisionals, forks, answers, refusals, CANCEL (RFC 3261 §13.2, §9.1).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::sip::dialog::Dialog;
use crate::sip::endpoint::random_token;
use crate::sip::header::CSeq;
use crate::sip::invite::description::session_description;
use crate::sip::invite::leg::{Ack, Leg, LegState, knows_update};
use crate::sip::invite::session::{SessionClock, lengthen_session};
use crate::sip::invite::{
    Call, CallEvent, CallOutput, Failure, MAX_LEGS, MAX_RETRIES, Purpose, Side, Stage,
};
use crate::sip::message::{Method, Request, Response};

/// Our INVITE, kept for its repetitions.
#[derive(Debug)]
pub(super) struct Invitation {
    pub(super) request: Request,
    pub(super) destination: SocketAddr,
    /// A provisional came, so that a CANCEL may be sent.
    pub(super) is_proceeding: bool,
    /// A final response came.
    pub(super) is_final: bool,
    /// Why the user, or the ring limit, took the call back.
    pub(super) withdrawn: Option<Failure>,
    pub(super) retries: u8,
}

/// # As the caller
impl Call {
    pub(super) fn send_invite(&mut self) {
        let Side::Client(invitation) = &mut self.side else { return };
        if let Some(authenticator) = &mut self.authenticator {
            authenticator.authorize(&mut invitation.request, &random_token(&mut self.rng));
        }
        let mut request = invitation.request.clone();
        let branch = self.config.stamp(&mut request, &mut self.rng);
        let destination = invitation.destination;
        let purpose = Purpose::Invite;
        self.outputs.push_back(CallOutput::Request { purpose, branch, destination, request });
    }

    /// The INVITE once more, as a new request with the same Call-ID and the next number.
    pub(super) fn repeat_invite(&mut self) {
        let Side::Client(invitation) = &mut self.side else { return };
        invitation.retries += 1;
        invitation.is_proceeding = false;
        if let Ok(cseq) = invitation.request.headers.cseq() {
            let cseq = CSeq { number: cseq.number + 1, ..cseq };
            invitation.request.headers.set("CSeq", cseq.to_wire());
        }
        self.send_invite();
    }

    pub(super) fn on_invite_response(&mut self, now: Instant, response: &Response) {
        let Side::Client(invitation) = &mut self.side else { return };
        if response.is_provisional() && !invitation.is_proceeding {
            invitation.is_proceeding = true;
            if invitation.withdrawn.is_some() {
                self.outputs.push_back(CallOutput::CancelInvite);
            } else if response.status == 100 {
                self.outputs.push_back(CallOutput::Event(CallEvent::Trying));
            }
        }
        let is_wanted = self.stage == Stage::Inviting && invitation.withdrawn.is_none();
        match response.status {
            101..=199 if is_wanted => self.on_provisional(response),
            200..=299 => self.on_accepted(now, response),
            300.. => self.on_refused(response),
            ..=199 => {}
        }
    }

    pub(super) fn on_provisional(&mut self, response: &Response) {
        let sdp = session_description(&response.headers, &response.body);
        let leg = self.leg_for(response);
        let rseq = reliable_number(response);
        let is_reliable = rseq.is_some() && leg.is_some();
        if let (Some(leg), Some(rseq)) = (leg, rseq) {
            let expected = self.legs[leg].last_rseq.and_then(|last| last.checked_add(1));
            if self.legs[leg].last_rseq.is_some() && expected != Some(rseq) {
                // A copy, or one that overtook another: what is not acknowledged comes again.
                return;
            }
            self.legs[leg].last_rseq = Some(rseq);
            self.send_prack(leg, rseq, response);
        }
        if let (Some(leg), Some(sdp)) = (leg, &sdp) {
            self.legs[leg].remote_sdp.clone_from(sdp);
            self.legs[leg].negotiated |= is_reliable;
        }
        self.tell(CallEvent::Provisional { status: response.status, sdp, reliable: is_reliable });
    }

    pub(super) fn send_prack(&mut self, leg: usize, rseq: u32, response: &Response) {
        let Ok(cseq) = response.headers.cseq() else { return };
        let mut request = self.legs[leg].dialog.request(Method::Prack);
        request.headers.push("RAck", format!("{rseq} {}", cseq.to_wire()));
        self.send(leg, Purpose::Prack, request);
    }

    pub(super) fn on_accepted(&mut self, now: Instant, response: &Response) {
        let Ok(cseq) = response.headers.cseq() else { return };
        let Some(leg) = self.leg_for(response) else { return };
        if self.acknowledge_again(leg, cseq.number) {
            return;
        }
        let was_closed = self.legs[leg].state == LegState::Closed;
        self.legs[leg].dialog.learn_route(response);
        self.acknowledge(leg, cseq.number);
        let Side::Client(invitation) = &mut self.side else { return };
        invitation.is_final = true;
        let withdrawn = invitation.withdrawn;
        if was_closed {
            // The peer's BYE came before its 200.
            if self.stage == Stage::Inviting {
                self.finish(CallEvent::Failed(Failure::refused(487)));
            }
            return;
        }
        self.legs[leg].state = LegState::Confirmed;
        if self.stage != Stage::Inviting || withdrawn.is_some() {
            // Another fork was faster, or our CANCEL too slow.
            self.bye(leg);
            if let (Stage::Inviting, Some(failure)) = (self.stage, withdrawn) {
                self.finish(CallEvent::Failed(failure));
            }
            return;
        }
        self.stage = Stage::Up;
        self.ring_limit = None;
        self.main = Some(leg);
        let offer = invitation.request.body.clone();
        let chosen = &mut self.legs[leg];
        chosen.local_sdp = offer;
        chosen.negotiated = true;
        chosen.knows_update = knows_update(&response.headers);
        if let Some(sdp) = session_description(&response.headers, &response.body) {
            chosen.remote_sdp = sdp;
        }
        chosen.session = SessionClock::agreed(now, &response.headers);
        let sdp = chosen.remote_sdp.clone();
        self.tell(CallEvent::Answered { sdp });
    }

    pub(super) fn on_refused(&mut self, response: &Response) {
        let Side::Client(invitation) = &mut self.side else { return };
        if invitation.is_final || self.stage != Stage::Inviting {
            return;
        }
        for leg in &mut self.legs {
            leg.close();
        }
        let may_retry = invitation.withdrawn.is_none() && invitation.retries < MAX_RETRIES;
        let can_retry = match response.status {
            401 | 407 => {
                let authenticator = self.authenticator.as_mut().filter(|_| may_retry);
                authenticator.is_some_and(|authenticator| {
                    authenticator.handle_challenge(&invitation.request, response).is_ok()
                })
            }
            422 => may_retry && lengthen_session(&mut invitation.request.headers, response),
            _ => false,
        };
        if can_retry {
            return self.repeat_invite();
        }
        invitation.is_final = true;
        let failure = match (invitation.withdrawn, response.status) {
            (Some(withdrawn), 401 | 407 | 422 | 487) => withdrawn,
            (_, status) => Failure::Refused {
                status,
                q850: response.headers.q850_cause(),
                retry_after: response.headers.retry_after().ok().flatten(),
            },
        };
        self.finish(CallEvent::Failed(failure));
    }

    pub(super) fn withdraw(&mut self, failure: Failure) {
        let Side::Client(invitation) = &mut self.side else { return };
        if self.stage != Stage::Inviting || invitation.withdrawn.is_some() {
            return;
        }
        invitation.withdrawn = Some(failure);
        self.ring_limit = None;
        // A CANCEL before any provisional could overtake its INVITE (§9.1).
        self.outputs.push_back(if invitation.is_proceeding {
            CallOutput::CancelInvite
        } else {
            CallOutput::GiveUpInvite
        });
    }

    /// The leg of the fork that a response comes from, made if it is new.
    pub(super) fn leg_for(&mut self, response: &Response) -> Option<usize> {
        let to = response.headers.to().ok()?;
        if let Some(leg) = self.leg_of(Some(&to)) {
            return Some(leg);
        }
        let Side::Client(invitation) = &self.side else { return None };
        // A provisional without a tag makes no dialog.
        if self.legs.len() >= MAX_LEGS || (response.is_provisional() && to.tag().is_none()) {
            return None;
        }
        let hop = invitation.destination;
        let dialog = Dialog::from_response(&invitation.request, response, hop).ok()?;
        self.legs.push(Leg::new(dialog));
        Some(self.legs.len() - 1)
    }

    /// Sends the ACK of a 2xx and keeps it for copies of the 2xx.
    pub(super) fn acknowledge(&mut self, leg: usize, cseq: u32) {
        let mut request = self.legs[leg].dialog.ack(cseq);
        if let Side::Client(invitation) = &self.side {
            // The ACK carries the credentials of its INVITE (§22.1).
            for name in ["Authorization", "Proxy-Authorization"] {
                request.headers.copy(name, &invitation.request.headers);
            }
        }
        self.config.stamp(&mut request, &mut self.rng);
        let destination = self.legs[leg].dialog.next_hop(&self.config.peers);
        let bytes: Arc<[u8]> = request.to_bytes().into();
        self.legs[leg].ack = Some(Ack { cseq, destination, bytes: Arc::clone(&bytes) });
        self.outputs.push_back(CallOutput::Send { destination, bytes });
    }

    /// Sends the ACK again if that 2xx was acknowledged before.
    pub(super) fn acknowledge_again(&mut self, leg: usize, cseq: u32) -> bool {
        let Some(ack) = self.legs[leg].ack.as_ref().filter(|ack| ack.cseq == cseq) else {
            return false;
        };
        let (destination, bytes) = (ack.destination, Arc::clone(&ack.bytes));
        self.outputs.push_back(CallOutput::Send { destination, bytes });
        true
    }
}

/// `RSeq` of a reliable provisional (RFC 3262 §7.1).
fn reliable_number(response: &Response) -> Option<u32> {
    let required = response.headers.require().ok()?;
    let is_reliable = required.iter().any(|tag| tag.eq_ignore_ascii_case("100rel"));
    response.headers.text("RSeq").filter(|_| is_reliable)?.trim().parse().ok()
}
