//! A call as its callee: provisionals, the answer and its ACK, refusals (RFC 3261 §13.3, RFC 3262).

use std::sync::Arc;
use std::time::Instant;

use crate::sip::header::Headers;
use crate::sip::invite::description::{describe, session_description};
use crate::sip::invite::leg::{LegState, Progress, Unacknowledged};
use crate::sip::invite::session::agree_session;
use crate::sip::invite::{Call, CallEvent, End, Stage};
use crate::sip::message::Response;
use crate::sip::message::{Method, Request};
use crate::sip::timer::{Delivery, Retransmission};
use crate::sip::transaction::ServerId;

/// # As the callee
impl Call {
    /// Sends what may be sent: reliable provisionals one after the other, then the final response.
    pub(super) fn send_postponed(&mut self, now: Instant, leg: usize) {
        let timers = self.config.timers;
        let leg = &mut self.legs[leg];
        let Some(incoming) = leg.incoming.as_mut().filter(|one| one.reliable.is_none()) else {
            return;
        };
        let Some(mut response) = incoming.postponed.pop_front() else { return };
        let server = incoming.server;
        let unacknowledged = |response: Response, rseq, longest| Unacknowledged {
            response,
            rseq,
            retransmission: Retransmission::start(now, timers.t1, longest, Delivery::Datagram),
            deadline: now + timers.lifetime(),
        };
        if response.is_provisional() {
            let rseq = incoming.next_rseq;
            incoming.next_rseq += 1;
            response.headers.push("RSeq", rseq.to_string());
            let reliable = unacknowledged(response.clone(), rseq, timers.lifetime());
            incoming.reliable = Some(reliable);
        } else {
            leg.state = LegState::Confirmed;
            leg.negotiated = true;
            incoming.progress = Progress::Accepted(unacknowledged(response.clone(), 0, timers.t2));
        }
        self.respond(server, response);
    }

    /// The 200 to an INVITE or UPDATE.
    pub(super) fn accept_incoming(&mut self, now: Instant, leg: usize, sdp: Vec<u8>) {
        let config = Arc::clone(&self.config);
        let local_tag = self.local_tag.clone();
        let chosen = &mut self.legs[leg];
        let Some(incoming) = chosen.incoming.as_mut() else { return };
        let Progress::Pending = incoming.progress else { return };
        let mut response = incoming.request.reply(200);
        response.headers.tag_to(&local_tag);
        response.headers.copy("Record-Route", &incoming.request.headers);
        config.describe_us(&mut response.headers);
        chosen.session = agree_session(now, &config, &incoming.request, &mut response);
        if incoming.request.method == Method::Invite || incoming.has_offer {
            chosen.local_sdp.clone_from(&sdp);
            describe(&mut response, sdp);
        }
        if incoming.has_offer {
            let offer = session_description(&incoming.request.headers, &incoming.request.body);
            chosen.remote_sdp = offer.unwrap_or_default();
        }
        if incoming.request.method == Method::Update {
            let server = incoming.server;
            chosen.incoming = None;
            return self.respond(server, response);
        }
        incoming.postponed.push_back(response);
        self.send_postponed(now, leg);
    }

    pub(super) fn refuse_incoming(&mut self, leg: usize, status: u16, headers: &Headers) {
        let Some(incoming) = self.legs[leg].incoming.take() else { return };
        let mut response = incoming.request.reply(status);
        response.headers.tag_to(&self.local_tag);
        for header in headers.iter() {
            response.headers.push(&header.name, header.value.as_slice());
        }
        self.respond(incoming.server, response);
    }

    /// Sends again what the peer has not acknowledged, or gives it up.
    pub(super) fn repeat_unacknowledged(&mut self, now: Instant, leg: usize) {
        let Some(incoming) = self.legs[leg].incoming.as_mut() else { return };
        let server = incoming.server;
        let waiting = match (&mut incoming.progress, &mut incoming.reliable) {
            (Progress::Accepted(waiting), _) | (Progress::Pending, Some(waiting)) => waiting,
            (Progress::Pending, None) => return,
        };
        if waiting.deadline > now {
            if waiting.retransmission.take_due(now) {
                let response = waiting.response.clone();
                self.respond(server, response);
            }
            return;
        }
        match incoming.progress {
            Progress::Accepted(_) => {
                self.legs[leg].incoming = None;
                self.bye(leg);
            }
            // A provisional without PRACK: 5xx (RFC 3262 §3).
            Progress::Pending => self.refuse_incoming(leg, 504, &Headers::default()),
        }
        if self.stage != Stage::Over {
            self.finish(CallEvent::Ended(End::NotAcknowledged));
        }
    }

    pub(super) fn on_prack(
        &mut self,
        now: Instant,
        leg: usize,
        server: ServerId,
        request: &Request,
    ) {
        let rack = request.headers.text("RAck").unwrap_or_default().into_owned();
        let incoming = self.legs[leg].incoming.as_mut();
        let acknowledged = incoming.and_then(|incoming| {
            let cseq = incoming.request.headers.cseq().ok()?;
            let expected = format!("{} {}", incoming.reliable.as_ref()?.rseq, cseq.to_wire());
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            (words(&expected) == words(&rack)).then(|| incoming.reliable.take())?
        });
        let Some(acknowledged) = acknowledged else {
            return self.respond(server, request.reply(481));
        };
        self.legs[leg].negotiated |= !acknowledged.response.body.is_empty();
        self.respond(server, request.reply(200));
        self.send_postponed(now, leg);
    }
}
