//! Registration (RFC 3261 §10): tells a registrar where we are, and keeps telling it.
//!
//! ```text
//!            200                   half of the lifetime has passed
//! Asking ─────────► Registered ────────────────────────────────────► Asking
//!   │ ▲ 401, 407, 423: at once, changed
//!   │ └── Resting ◄── refused, unreachable: back-off, or Retry-After if that is longer
//!   └──────────────────────────────────────────────────────────────► Over, after `unregister`
//! ```

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::sip::auth::{Authenticator, Credentials};
use crate::sip::endpoint::{Config, random_token};
use crate::sip::header::{CSeq, Headers};
use crate::sip::message::{Method, Request, Response};
use crate::sip::transaction::ClientFailure;
use crate::sip::uri::{NameAddr, Uri};

/// How often a REGISTER may be repeated at once because the registrar wanted something changed.
const MAX_RETRIES: u8 = 4;

/// What to register, and where.
#[derive(Clone, Debug)]
pub struct RegistrationRequest {
    /// The domain of the registrar, without user part.
    pub registrar: Uri,
    /// Whose calls we take and place; without a tag.
    pub address_of_record: NameAddr,
    /// Where the REGISTER is sent to.
    pub destination: SocketAddr,
    /// The route to preload, outbound proxy first; often empty.
    pub route: Vec<NameAddr>,
    /// What to answer a challenge with.
    pub credentials: Option<Credentials>,
    /// The lifetime to ask for, in whole seconds. 90 s or more leaves time for a lost refresh.
    pub lifetime: Duration,
    /// Further header fields.
    pub headers: Headers,
}

/// What happens to a registration.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegistrationEvent {
    /// The registrar knows us for that long; it is refreshed in good time.
    Registered {
        /// The lifetime that was granted.
        lifetime: Duration,
    },
    /// The registrar does not know us, or soon will not.
    Failed {
        /// The status of the refusal; `None` if nothing came back.
        status: Option<u16>,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// We have taken the registration back, or could not, and try no more. Nothing follows.
    Unregistered,
}

/// What a registration asks of the endpoint.
#[derive(Debug)]
#[must_use]
pub(in crate::sip) enum RegistrationOutput {
    /// Send a request in a new transaction; its topmost Via has that branch.
    Request { branch: String, destination: SocketAddr, request: Box<Request> },
    /// Tell the user.
    Event(RegistrationEvent),
    /// Nothing more to do until this instant, or for ever if `None`.
    Wait(Option<Instant>),
}

/// The machine; the diagram is at the top of its file.
#[derive(Debug)]
pub(in crate::sip) struct Registration {
    config: Arc<Config>,
    rng: StdRng,
    authenticator: Option<Authenticator>,
    /// The last REGISTER, without Via.
    request: Request,
    destination: SocketAddr,
    lifetime: Duration,
    state: State,
    /// Refusals in a row.
    failures: u32,
    /// Repetitions of the REGISTER in progress.
    retries: u8,
    /// The user wants out.
    leaving: bool,
    outputs: VecDeque<RegistrationOutput>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Asking,
    /// To be asked again at that time, be it a refresh or after a failure.
    Resting(Instant),
    Over,
}

impl Registration {
    /// Registers.
    pub(in crate::sip) fn new(
        config: Arc<Config>,
        seed: [u8; 32],
        registration: RegistrationRequest,
    ) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let mut from = registration.address_of_record.clone();
        from.params.set("tag", &random_token(&mut rng));
        let mut request = Request::new(Method::Register, registration.registrar);
        let headers = &mut request.headers;
        headers.push("Max-Forwards", "70");
        for route in &registration.route {
            headers.push("Route", route.to_wire());
        }
        headers.push("From", from.to_wire());
        headers.push("To", registration.address_of_record.to_wire());
        // One Call-ID for all, so that the registrar sees their order (§10.2).
        headers.push("Call-ID", random_token(&mut rng));
        headers.push("CSeq", CSeq { number: 0, method: Method::Register }.to_wire());
        config.describe_us(headers);
        headers.push("Expires", registration.lifetime.as_secs().to_string());
        for header in registration.headers.iter() {
            headers.push(&header.name, header.value.as_slice());
        }
        let mut machine = Self {
            config,
            rng,
            authenticator: registration.credentials.map(Authenticator::new),
            request,
            destination: registration.destination,
            lifetime: registration.lifetime,
            state: State::Asking,
            failures: 0,
            retries: 0,
            leaving: false,
            outputs: VecDeque::new(),
        };
        machine.ask();
        machine
    }

    /// Takes the registration back.
    pub(in crate::sip) fn unregister(&mut self) {
        if self.leaving {
            return;
        }
        self.leaving = true;
        // A REGISTER in progress is waited for: two at once would race.
        if matches!(self.state, State::Resting(_)) {
            self.retries = 0;
            self.ask();
        }
    }

    /// Feeds a response to our REGISTER.
    pub(in crate::sip) fn handle_response(&mut self, now: Instant, response: &Response) {
        if response.is_provisional() || self.state != State::Asking {
            return;
        }
        if response.is_success() {
            return self.on_success(now, response);
        }
        let may_retry = self.retries < MAX_RETRIES;
        let can_retry = match response.status {
            401 | 407 => self.authenticator.as_mut().is_some_and(|authenticator| {
                authenticator.handle_challenge(&self.request, response).is_ok()
            }),
            423 => self.lengthen(response),
            _ => false,
        };
        if may_retry && can_retry {
            self.retries += 1;
            return self.ask();
        }
        let retry_after = response.headers.retry_after().ok().flatten();
        self.on_failure(now, Some(response.status), retry_after);
    }

    /// Our REGISTER got no final response.
    pub(in crate::sip) fn handle_failure(&mut self, now: Instant, _failure: ClientFailure) {
        if self.state == State::Asking {
            self.on_failure(now, None, None);
        }
    }

    /// The deadline has come.
    pub(in crate::sip) fn handle_timeout(&mut self, now: Instant) {
        if let State::Resting(until) = self.state
            && until <= now
        {
            self.retries = 0;
            self.ask();
        }
    }

    /// The next thing to do.
    pub(in crate::sip) fn poll_output(&mut self) -> RegistrationOutput {
        let deadline = match self.state {
            State::Resting(until) => Some(until),
            State::Asking | State::Over => None,
        };
        self.outputs.pop_front().unwrap_or(RegistrationOutput::Wait(deadline))
    }

    /// Whether it has been taken back.
    pub(in crate::sip) fn is_over(&self) -> bool {
        self.state == State::Over && self.outputs.is_empty()
    }

    fn ask(&mut self) {
        self.state = State::Asking;
        let lifetime = if self.leaving { Duration::ZERO } else { self.lifetime };
        self.request.headers.set("Expires", lifetime.as_secs().to_string());
        if let Ok(cseq) = self.request.headers.cseq() {
            let cseq = CSeq { number: cseq.number + 1, ..cseq };
            self.request.headers.set("CSeq", cseq.to_wire());
        }
        if let Some(authenticator) = &mut self.authenticator {
            authenticator.authorize(&mut self.request, &random_token(&mut self.rng));
        }
        let mut request = Box::new(self.request.clone());
        let branch = self.config.stamp(&mut request, &mut self.rng);
        let destination = self.destination;
        self.outputs.push_back(RegistrationOutput::Request { branch, destination, request });
    }

    fn on_success(&mut self, now: Instant, response: &Response) {
        self.failures = 0;
        let was_asked_to_leave = self.request.headers.get("Expires") == Some(b"0");
        if self.leaving && !was_asked_to_leave {
            self.retries = 0;
            return self.ask();
        }
        if self.leaving {
            return self.end();
        }
        let lifetime = self.granted(response);
        // Half: time for timer F (32 s) and another try, and REGISTERs are cheap. Not more often
        // than once in 5 s, whatever the registrar says.
        self.state = State::Resting(now + (lifetime / 2).max(Duration::from_secs(5)));
        self.tell(RegistrationEvent::Registered { lifetime });
    }

    fn on_failure(&mut self, now: Instant, status: Option<u16>, retry_after: Option<Duration>) {
        if self.leaving {
            return self.end();
        }
        self.failures += 1;
        let backoff = self.config.registration_backoff.delay(self.failures, &mut self.rng);
        let retry_in = backoff.max(retry_after.unwrap_or_default());
        self.state = State::Resting(now + retry_in);
        self.tell(RegistrationEvent::Failed { status, retry_in });
    }

    fn end(&mut self) {
        self.state = State::Over;
        self.tell(RegistrationEvent::Unregistered);
    }

    /// The lifetime of our binding among all that the registrar lists (§10.3).
    fn granted(&self, response: &Response) -> Duration {
        let ours = self.config.contact();
        let contacts = response.headers.contacts().unwrap_or_default();
        let binding = contacts.iter().find(|contact| contact.uri.is_equivalent(&ours.uri));
        let of_binding = binding.and_then(|contact| contact.params.get("expires")?.parse().ok());
        let of_all = response.headers.expires().ok().flatten();
        of_binding.map(Duration::from_secs).or(of_all).unwrap_or(self.lifetime)
    }

    /// Asks for as long a lifetime as a 423 wants; not if we had asked for as much before.
    fn lengthen(&mut self, response: &Response) -> bool {
        let Ok(Some(at_least)) = response.headers.min_expires() else { return false };
        let is_longer = self.lifetime < at_least;
        self.lifetime = self.lifetime.max(at_least);
        is_longer
    }

    fn tell(&mut self, event: RegistrationEvent) {
        self.outputs.push_back(RegistrationOutput::Event(event));
    }
}
