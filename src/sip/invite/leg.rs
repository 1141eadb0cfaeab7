//! One dialog of a call, and what is still open in it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::sip::dialog::Dialog;
use crate::sip::endpoint::ReliableProvisionals;
use crate::sip::header::Headers;
use crate::sip::invite::description::session_description;
use crate::sip::invite::session::SessionClock;
use crate::sip::message::{Method, Request, Response};
use crate::sip::timer::Retransmission;
use crate::sip::transaction::ServerId;

/// One dialog of the call and what goes on in it.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) dialog: Dialog,
    pub(super) state: LegState,
    /// `RSeq` of the last reliable provisional from the peer (RFC 3262 §4).
    pub(super) last_rseq: Option<u32>,
    /// The first offer has been answered, so that either side may make another.
    pub(super) negotiated: bool,
    pub(super) local_sdp: Vec<u8>,
    pub(super) remote_sdp: Vec<u8>,
    /// The ACK of the last 2xx, which is sent again for every copy of it.
    pub(super) ack: Option<Ack>,
    /// The last request but ACK, kept for the challenge that may come.
    pub(super) sent: Option<Box<Request>>,
    /// The peer's INVITE, first or later, up to its ACK.
    pub(super) incoming: Option<Incoming>,
    /// Our UPDATE or re-INVITE.
    pub(super) reoffer: Option<Reoffer>,
    pub(super) session: SessionClock,
    /// The peer answers UPDATE.
    pub(super) knows_update: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LegState {
    Early,
    Confirmed,
    /// We hang up as soon as the ACK arrives: a UAS may not do so before (§15).
    Closing,
    Closed,
}

#[derive(Debug)]
pub(super) struct Ack {
    pub(super) cseq: u32,
    pub(super) destination: SocketAddr,
    pub(super) bytes: Arc<[u8]>,
}

/// A request of the peer that waits for our user, or our answer that waits for the peer.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) server: ServerId,
    pub(super) request: Request,
    /// The offer came with it.
    pub(super) has_offer: bool,
    pub(super) progress: Progress,
    /// An unacknowledged reliable provisional (RFC 3262 §3).
    pub(super) reliable: Option<Unacknowledged>,
    pub(super) next_rseq: u32,
    /// What has to wait for the PRACK.
    pub(super) postponed: VecDeque<Response>,
}

#[derive(Debug)]
pub(super) enum Progress {
    /// The user has not decided.
    Pending,
    /// The 2xx is repeated until the ACK (§13.3.1.4).
    Accepted(Unacknowledged),
}

#[derive(Debug)]
pub(super) struct Unacknowledged {
    pub(super) response: Response,
    pub(super) rseq: u32,
    pub(super) retransmission: Retransmission,
    pub(super) deadline: Instant,
}

#[derive(Debug)]
pub(super) struct Reoffer {
    pub(super) method: Method,
    pub(super) sdp: Option<Vec<u8>>,
    /// The user asked for it; else it is a refresh.
    pub(super) by_user: bool,
    pub(super) retries: u8,
    /// After a collision (491): when to try again.
    pub(super) retry_at: Option<Instant>,
}

impl Leg {
    pub(super) fn new(dialog: Dialog) -> Self {
        Self {
            dialog,
            state: LegState::Early,
            last_rseq: None,
            negotiated: false,
            local_sdp: Vec::new(),
            remote_sdp: Vec::new(),
            ack: None,
            sent: None,
            incoming: None,
            reoffer: None,
            session: SessionClock::Off,
            knows_update: false,
        }
    }

    pub(super) fn close(&mut self) {
        self.state = LegState::Closed;
        self.incoming = None;
        self.reoffer = None;
        self.session = SessionClock::Off;
    }

    /// The peer's request that our user has not decided on.
    pub(super) fn pending(&self) -> Option<&Incoming> {
        self.incoming.as_ref().filter(|one| matches!(one.progress, Progress::Pending))
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.incoming.as_ref().and_then(|incoming| match &incoming.progress {
            Progress::Accepted(waiting) => Some(waiting),
            Progress::Pending => incoming.reliable.as_ref(),
        });
        let copy = waiting.map(|waiting| {
            waiting.retransmission.at.unwrap_or(waiting.deadline).min(waiting.deadline)
        });
        let retry = self.reoffer.as_ref().and_then(|reoffer| reoffer.retry_at);
        let session = match self.session {
            SessionClock::Refresh { at, .. } | SessionClock::Watch { at, .. } => Some(at),
            SessionClock::Off => None,
        };
        copy.into_iter().chain(retry).chain(session).min()
    }
}

impl Incoming {
    pub(super) fn new(server: ServerId, request: Request, first_rseq: u32) -> Self {
        Self {
            server,
            has_offer: session_description(&request.headers, &request.body).is_some(),
            request,
            progress: Progress::Pending,
            reliable: None,
            next_rseq: first_rseq,
            postponed: VecDeque::new(),
        }
    }

    pub(super) fn wants_reliability(&self, policy: ReliableProvisionals) -> bool {
        let names = |tags: Result<Vec<String>, _>| {
            tags.is_ok_and(|tags: Vec<String>| tags.iter().any(|tag| tag == "100rel"))
        };
        names(self.request.headers.require())
            || policy == ReliableProvisionals::WhereSupported
                && names(self.request.headers.supported())
    }
}

pub(super) fn knows_update(headers: &Headers) -> bool {
    headers.allow().ok().flatten().is_some_and(|methods| methods.contains(&Method::Update))
}
