//! Whether the carrier is there: registration, probes, outages, and the end of the trunk.

use std::net::SocketAddr;
use std::time::Duration;

use tracing::{info, warn};

use crate::base::Now;
use crate::sip::endpoint::{Probe, ProbeOutcome};
use crate::sip::registration::RegistrationEvent;
use crate::sip::uri::{Host, NameAddr, Uri};
use crate::trunk::driver::{Driver, FAREWELL, LineId, Stop};
use crate::trunk::{Outage, TrunkState};

impl Driver {
    /// Whether it makes sense to place a call. An outage that nobody would notice to be over, for
    /// lack of probes and registrations, is none.
    pub(super) fn may_try(&self) -> bool {
        let is_admitted = self.config.registration.is_none() || self.is_registered;
        let is_down = matches!(*self.state.borrow(), TrunkState::Down(_));
        is_admitted && !(is_down && self.config.keep_alive.is_some())
    }

    pub(super) fn on_registration(&mut self, event: RegistrationEvent) {
        match event {
            RegistrationEvent::Registered { .. } => {
                self.is_registered = true;
                self.note_sign_of_life();
            }
            RegistrationEvent::Failed { status, retry_in } => {
                self.is_registered = false;
                let outage = status.map_or(Outage::Silent, |status| Outage::Refused { status });
                warn!(
                    trunk = self.config.name,
                    status,
                    retry_in_s = retry_in.as_secs(),
                    "trunk {} is not registered",
                    self.config.name
                );
                self.set_state(TrunkState::Down(outage));
            }
            RegistrationEvent::Unregistered => {
                self.is_registered = false;
                self.registration = None;
            }
        }
    }

    pub(super) fn on_probed(&mut self, outcome: ProbeOutcome) {
        let now = self.clock.now();
        match outcome {
            ProbeOutcome::Answered { .. } => self.note_sign_of_life(),
            ProbeOutcome::TimedOut => self.note_outage(now, Outage::Silent),
            ProbeOutcome::TransportFailed => self.note_outage(now, Outage::Unreachable),
        }
    }

    pub(super) fn probe(&mut self, now: Now) {
        let Some(interval) = self.config.keep_alive.filter(|_| self.stop.is_none()) else {
            self.probe_at = None;
            return;
        };
        self.probe_at = Some(now.instant + interval);
        let from = NameAddr::new(self.domain_uri(Some(&self.config.user)));
        let probe = Probe { request_uri: self.domain_uri(None), from, destination: self.target() };
        self.endpoint.options(now.instant, probe);
    }

    pub(super) fn note_sign_of_life(&mut self) {
        let is_admitted = self.config.registration.is_none() || self.is_registered;
        if is_admitted && self.stop.is_none() {
            self.set_state(TrunkState::Up);
        }
    }

    pub(super) fn note_outage(&mut self, now: Now, outage: Outage) {
        if self.stop.is_some() {
            return;
        }
        // Who registers is known at the server that it registered with, and nowhere else.
        if self.config.registration.is_none() {
            self.targets.rotate_left(1);
        }
        if *self.state.borrow() == TrunkState::Up {
            // Ask at once: it may have been one lost datagram, and the next server may be well.
            self.probe_at = self.config.keep_alive.map(|_| now.instant);
            self.set_state(TrunkState::Down(outage));
        }
    }

    pub(super) fn target(&self) -> SocketAddr {
        *self.targets.front().expect("a trunk starts with at least one address")
    }

    pub(super) fn set_state(&mut self, state: TrunkState) {
        let has_changed = self.state.send_if_modified(|old| {
            let has_changed = *old != state;
            *old = state;
            has_changed
        });
        let name = &self.config.name;
        match state {
            _ if !has_changed => {}
            TrunkState::Up => info!(trunk = name, "trunk {name} is up"),
            TrunkState::Down(outage) => warn!(trunk = name, "trunk {name} is down: {outage:?}"),
            TrunkState::Starting | TrunkState::Stopping => {}
            TrunkState::Stopped => info!(trunk = name, "trunk {name} has stopped"),
        }
    }

    pub(super) fn begin_stop(&mut self, now: Now, grace: Duration) {
        let until = now.instant + grace;
        match self.stop {
            // Who asks again may be in more of a hurry.
            Some(Stop::Grace(old)) => self.stop = Some(Stop::Grace(old.min(until))),
            Some(Stop::Farewell(_)) => {}
            None => {
                self.stop = Some(Stop::Grace(until));
                self.probe_at = None;
                self.set_state(TrunkState::Stopping);
            }
        }
    }

    /// Once the grace is over, or nobody needs it, ends what is left.
    pub(super) fn go_on_stopping(&mut self, now: Now) {
        let Some(Stop::Grace(until)) = self.stop else { return };
        if now.instant < until && !self.calls.is_empty() {
            return;
        }
        self.stop = Some(Stop::Farewell(now.instant + FAREWELL));
        let lines: Vec<LineId> = self.keys.keys().copied().collect();
        for id in lines {
            self.with_leg(id, |leg| leg.hang_up(now));
        }
        if let Some(registration) = self.registration {
            self.endpoint.unregister(now.instant, registration);
        }
    }

    pub(super) fn is_finished(&self, now: Now) -> bool {
        let Some(Stop::Farewell(until)) = self.stop else { return false };
        let is_quiet =
            self.calls.is_empty() && self.registration.is_none() && self.endpoint.load().calls == 0;
        is_quiet || until <= now.instant
    }

    pub(super) fn domain_uri(&self, user: Option<&str>) -> Uri {
        let host = self.config.domain.parse().unwrap_or(Host::Ip(self.target().ip()));
        Uri::sip(user.unwrap_or_default(), host, None)
    }

    /// An outbound proxy is named in a Route, for it looks there (RFC 3261 §8.1.2).
    pub(super) fn route(&self) -> Vec<NameAddr> {
        let is_proxied = self.config.outbound_proxy.is_some();
        let proxy = is_proxied.then(|| {
            let mut uri = Uri::from(self.target());
            if let Uri::Sip(uri) = &mut uri {
                uri.params.set_flag("lr");
            }
            NameAddr::new(uri)
        });
        proxy.into_iter().collect()
    }
}
