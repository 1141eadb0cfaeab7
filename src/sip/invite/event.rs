//! What a call is asked to do, and what happens to it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::sip::auth::Credentials;
use crate::sip::header::Headers;
use crate::sip::uri::{NameAddr, Uri};

/// A call to place.
#[derive(Clone, Debug)]
pub struct InviteRequest {
    /// Whom to call; `sip:` or `tel:`.
    pub request_uri: Uri,
    /// Who calls; without a tag.
    pub from: NameAddr,
    /// Whom to call, as shown to them; without a tag.
    pub to: NameAddr,
    /// Where the INVITE is sent to: the trunk, or the outbound proxy.
    pub destination: SocketAddr,
    /// The route to preload, outbound proxy first; often empty.
    pub route: Vec<NameAddr>,
    /// What to answer a challenge with.
    pub credentials: Option<Credentials>,
    /// The session description that is offered.
    pub offer: Vec<u8>,
    /// Further header fields, such as P-Preferred-Identity or Privacy.
    pub headers: Headers,
}

/// What happens to a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CallEvent {
    /// Somebody has heard our INVITE (100). Not told if something better came first; told again
    /// after a challenge.
    Trying,
    /// A response from 101 to 199. `sdp` announces early media.
    Provisional {
        /// 180 rings, 183 has something to say.
        status: u16,
        /// The session description, which may come from another fork than the last one.
        sdp: Option<Vec<u8>>,
        /// Whether it was acknowledged with a PRACK.
        reliable: bool,
    },
    /// Our call was answered. If the 2xx had no description, it is that of the last provisional
    /// of the same fork; empty if there was none at all, and then there is nothing to talk by.
    Answered {
        /// The answer to our offer.
        sdp: Vec<u8>,
    },
    /// Our 2xx arrived at the caller; only now may we speak.
    Acked {
        /// The answer, where the offer was in our 2xx.
        sdp: Option<Vec<u8>>,
    },
    /// The peer wants to change the session; answer it with `answer_offer` or `reject_offer`.
    Offer {
        /// The offer; `None` if the peer wants us to make one.
        sdp: Option<Vec<u8>>,
    },
    /// The peer has taken its offer back.
    OfferWithdrawn,
    /// The peer accepted our new offer, or sent another description with a refresh.
    Reanswered {
        /// The answer.
        sdp: Vec<u8>,
    },
    /// The peer refused our new offer; the session goes on as it was.
    ReofferRefused {
        /// The final status; 491 after several collisions.
        status: u16,
    },
    /// An INFO (RFC 6086), such as a key in `application/dtmf-relay`.
    Info {
        /// The type of the body in lower case, without parameters.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// Our call was never answered. Nothing follows.
    Failed(Failure),
    /// The call is over: one that was answered, or one that came in. Nothing follows.
    Ended(End),
}

/// Why our call was never answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// A final response other than 2xx. Redirections (3xx) are never followed.
    Refused {
        /// 300 to 699.
        status: u16,
        /// The ISDN cause that came in Reason, 0 to 127.
        q850: Option<u8>,
        /// How long to leave the far end alone.
        retry_after: Option<Duration>,
    },
    /// We took it back.
    Cancelled,
    /// It rang for [`Config::longest_ringing`](crate::sip::endpoint::Config::longest_ringing).
    NotAnswered,
    /// Nothing came back for 64 × T1.
    TimedOut,
    /// The transport says that the far end cannot be reached.
    TransportFailed,
}

/// Who ended the call, or what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The peer hung up, or took its call back.
    Remote {
        /// The ISDN cause that came in Reason, 0 to 127.
        q850: Option<u8>,
    },
    /// We hung up or rejected.
    Local,
    /// Nobody of ours answered for [`Config::longest_ringing`](crate::sip::endpoint::Config::longest_ringing).
    NotAnswered,
    /// Our 2xx or reliable provisional was not acknowledged for 64 × T1.
    NotAcknowledged,
    /// The session was not refreshed in time (RFC 4028), or the peer knows nothing of it (481).
    Expired,
}

impl Failure {
    pub(super) fn refused(status: u16) -> Self {
        Self::Refused { status, q850: None, retry_after: None }
    }
}
