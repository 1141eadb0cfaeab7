//! Session timers (RFC 4028): how long a session lives without a refresh, and who refreshes it.

use std::time::{Duration, Instant};

use crate::sip::endpoint::Config;
use crate::sip::header::{Headers, Refresher, SessionExpires};
use crate::sip::invite::MIN_SESSION_INTERVAL;
use crate::sip::message::{Request, Response};

/// RFC 4028.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SessionClock {
    Off,
    /// We refresh at that time.
    Refresh {
        interval: Duration,
        at: Instant,
    },
    /// The peer refreshes; at that time it is too late.
    Watch {
        interval: Duration,
        at: Instant,
    },
}

impl SessionClock {
    /// What a 2xx to our request says (RFC 4028 §7.2).
    pub(super) fn agreed(now: Instant, headers: &Headers) -> Self {
        match headers.session_expires() {
            Ok(Some(SessionExpires { interval, refresher: Some(Refresher::Uas) })) => {
                Self::watch(now, interval)
            }
            Ok(Some(SessionExpires { interval, .. })) => Self::refresh(now, interval),
            Ok(None) | Err(_) => Self::Off,
        }
    }

    pub(super) fn refresh(now: Instant, interval: Duration) -> Self {
        let interval = interval.max(MIN_SESSION_INTERVAL);
        Self::Refresh { interval, at: now + interval / 2 }
    }

    /// Gives up a little before the peer would (RFC 4028 §10).
    pub(super) fn watch(now: Instant, interval: Duration) -> Self {
        let interval = interval.max(MIN_SESSION_INTERVAL);
        let margin = Duration::from_secs(32).min(interval / 3);
        Self::Watch { interval, at: now + interval.saturating_sub(margin) }
    }

    /// What our next request says: the interval, and that roles stay as they are (§7.4).
    pub(super) fn to_ask_for(self) -> Option<SessionExpires> {
        match self {
            Self::Refresh { interval, .. } => {
                Some(SessionExpires { interval, refresher: Some(Refresher::Uac) })
            }
            Self::Watch { interval, .. } => {
                Some(SessionExpires { interval, refresher: Some(Refresher::Uas) })
            }
            Self::Off => None,
        }
    }

    /// Whether the interval was too short and is long enough now.
    pub(super) fn lengthen(&mut self, at_least: Duration) -> bool {
        match self {
            Self::Refresh { interval, .. } | Self::Watch { interval, .. } => {
                let is_short = *interval < at_least;
                *interval = at_least.max(*interval);
                is_short
            }
            Self::Off => false,
        }
    }

    pub(super) fn give_up_refreshing(&mut self, now: Instant) {
        if let Self::Refresh { interval, .. } = *self {
            // Half of the interval has passed when a refresh is tried.
            *self = Self::Watch { interval, at: now + interval / 3 };
        }
    }
}

/// The session timer of our 2xx (RFC 4028 §9).
pub(super) fn agree_session(
    now: Instant,
    config: &Config,
    request: &Request,
    response: &mut Response,
) -> SessionClock {
    let supported = request.headers.supported().unwrap_or_default();
    let peer_knows = supported.iter().any(|tag| tag == "timer");
    let asked = request.headers.session_expires().ok().flatten();
    let ours = config.session_interval.filter(|_| peer_knows);
    let Some(interval) = asked.map(|asked| asked.interval).or(ours) else {
        return SessionClock::Off;
    };
    let refresher = match asked.and_then(|asked| asked.refresher) {
        Some(refresher) if peer_knows => refresher,
        None if peer_knows => Refresher::Uac,
        Some(_) | None => Refresher::Uas,
    };
    let session = SessionExpires { interval, refresher: Some(refresher) };
    response.headers.push("Session-Expires", session.to_wire());
    if peer_knows {
        response.headers.push("Require", "timer");
    }
    match refresher {
        Refresher::Uac => SessionClock::watch(now, interval),
        Refresher::Uas => SessionClock::refresh(now, interval),
    }
}

/// 422 if the session interval that is asked for is too small (RFC 4028 §9).
pub(super) fn refuse_interval(request: &Request) -> Option<Response> {
    let asked = request.headers.session_expires().ok().flatten()?;
    if asked.interval >= MIN_SESSION_INTERVAL {
        return None;
    }
    let mut response = request.reply(422);
    response.headers.push("Min-SE", MIN_SESSION_INTERVAL.as_secs().to_string());
    Some(response)
}

/// Asks for the interval that a 422 wants; not if we had asked for as much before.
pub(super) fn lengthen_session(headers: &mut Headers, response: &Response) -> bool {
    let Ok(Some(at_least)) = response.headers.min_se() else { return false };
    let asked = headers.session_expires().ok().flatten();
    let is_longer = asked.is_none_or(|asked| asked.interval < at_least);
    let session = SessionExpires { interval: at_least, refresher: None };
    headers.set("Session-Expires", session.to_wire());
    headers.set("Min-SE", at_least.as_secs().to_string());
    is_longer
}
