//! Calls: from the wish of a line to the end of its leg.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::sync::mpsc;
use tracing::{debug, error, warn};

use crate::base::Now;
use crate::base::phone::may_be_dialled;
use crate::call::leg::{Leg, Patience};
use crate::call::media::MediaEvent;
use crate::call::{DialRequest, Disposition, Ended, LineEvent, Timeline};
use crate::sdp::Negotiation;
use crate::sip::endpoint::CallKey;
use crate::sip::header::Headers;
use crate::sip::invite::{CallEvent, Failure, InviteRequest};
use crate::sip::uri::{NameAddr, Uri};
use crate::trunk::config::{Identity, Template, dialled};
use crate::trunk::driver::{CallEntry, Command, Driver, LineId, MAX_LABELS, STARVATION};
use crate::trunk::{CallLadder, Outage};

impl Driver {
    pub(super) fn obey(&mut self, now: Now, command: Command) {
        match command {
            Command::Dial { id, request, events } => {
                if let Err(disposition) = self.dial(now, id, &request, &events) {
                    debug!(
                        call.label = request.label,
                        %disposition,
                        "a call was not placed: {disposition}"
                    );
                    let timeline = Timeline { ended: Some(now.timestamp), ..Timeline::default() };
                    let ended = Ended { disposition, code: None, timeline };
                    // The channel is new and empty, or its line is gone.
                    let _ = events.try_send(LineEvent::Ended(ended));
                }
            }
            Command::Play { id, clips } => self.with_leg(id, |leg| leg.play(clips)),
            Command::StopPlaying { id } => self.with_leg(id, Leg::stop_playing),
            Command::Tape { id, tap } => self.change_tape(id, tap),
            Command::HangUp { id } => self.with_leg(id, |leg| leg.hang_up(now)),
            Command::Stop { grace } => self.begin_stop(now, grace),
        }
    }

    pub(super) fn with_leg(&mut self, id: LineId, act: impl FnOnce(&mut Leg)) {
        let Some(&key) = self.keys.get(&id) else { return };
        if let Some(entry) = self.calls.get_mut(&key) {
            act(&mut entry.leg);
            self.stirred.push_back(key);
        }
    }

    /// Places a call, or says why not.
    fn dial(
        &mut self,
        now: Now,
        id: LineId,
        request: &DialRequest,
        events: &mpsc::Sender<LineEvent>,
    ) -> Result<(), Disposition> {
        if self.stop.is_some() {
            return Err(Disposition::Cancelled);
        }
        if !self.may_try() {
            return Err(Disposition::TrunkError);
        }
        if self.calls.len() >= self.config.max_calls || !self.pace.has_room(now.instant) {
            return Err(Disposition::Congestion);
        }
        let callee = self.config.callee_uri.render(&request.callee, &self.config.domain);
        // Checked last, on what really leaves: no rewriting may lead to a number that must never
        // be dialled.
        let is_allowed = |uri: &Uri| dialled(uri).is_some_and(|it| may_be_dialled(&it).is_ok());
        let Some(callee) = callee.filter(is_allowed) else {
            error!(
                call.label = request.label,
                "a number was refused after it was rewritten: correct the template of trunk {}",
                self.config.name
            );
            return Err(Disposition::InvalidNumber);
        };
        let port = self.engine.open(self.local_ip).map_err(|error| {
            warn!(%error, "no ports for the sound of a call");
            Disposition::Congestion
        })?;
        let local = SocketAddr::new(self.public_ip, port.local_rtp.port());
        let codecs = self.config.codecs.clone();
        let mut negotiation = Negotiation::new(rand::random_range(1..1 << 62), local, codecs);
        let offer = negotiation.offer();
        let invite = self.invite(callee, offer).ok_or(Disposition::TrunkError)?;
        self.pace.note(now.instant);
        let key = self.endpoint.invite(now.instant, invite);
        let patience =
            Patience { ringing: request.ring_timeout, response: self.config.response_timeout };
        let entry = CallEntry {
            line: id,
            leg: Leg::new(now, patience, negotiation),
            events: events.clone(),
            label: request.label.clone(),
            tap: request.tap.clone(),
            port: Some(port),
            stream: None,
            playing: None,
            deadline: None,
        };
        self.calls.insert(key, entry);
        self.keys.insert(id, key);
        self.stirred.push_back(key);
        Ok(())
    }

    fn invite(&self, callee: Uri, offer: Vec<u8>) -> Option<InviteRequest> {
        let config = &self.config;
        let mut headers = Headers::default();
        let mut identify = |name: &str, template: &Template| {
            let uri = template.render(&config.caller, &config.domain)?;
            headers.push(name, NameAddr::new(uri).to_wire());
            Some(())
        };
        match &config.identity {
            Identity::None => {}
            Identity::Asserted(template) => identify("P-Asserted-Identity", template)?,
            Identity::Preferred(template) => identify("P-Preferred-Identity", template)?,
        }
        Some(InviteRequest {
            to: NameAddr::new(callee.clone()),
            request_uri: callee,
            from: self.caller()?,
            destination: self.target(),
            route: self.route(),
            credentials: config.credentials.clone(),
            offer,
            headers,
        })
    }

    fn caller(&self) -> Option<NameAddr> {
        let uri = self.config.caller_uri.render(&self.config.caller, &self.config.domain)?;
        Some(NameAddr { display: self.config.caller_name.clone(), ..NameAddr::new(uri) })
    }

    pub(super) fn on_call(&mut self, now: Now, key: CallKey, event: CallEvent) {
        match &event {
            CallEvent::Failed(Failure::TimedOut) => self.note_outage(now, Outage::Silent),
            CallEvent::Failed(Failure::TransportFailed) => {
                self.note_outage(now, Outage::Unreachable);
            }
            _ => self.note_sign_of_life(),
        }
        if let Some(entry) = self.calls.get_mut(&key) {
            entry.leg.handle_call(now, event);
            self.stirred.push_back(key);
        }
    }

    pub(super) fn on_media(&mut self, now: Now, key: CallKey, event: MediaEvent) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let event = match event {
            MediaEvent::PlayEnded(stream_id) => match entry.playing {
                Some((leg_id, playing)) if playing == stream_id => MediaEvent::PlayEnded(leg_id),
                _ => return,
            },
            MediaEvent::Starved => {
                debug!(call.label = entry.label, "no sound has come for {STARVATION:?}");
                event
            }
            event => event,
        };
        entry.leg.handle_media(now, event);
        self.stirred.push_back(key);
    }

    pub(super) fn on_timeout(&mut self, now: Now) {
        self.endpoint.handle_timeout(now.instant);
        while let Some(&(at, key)) = self.deadlines.first() {
            if at > now.instant {
                break;
            }
            self.set_deadline(key, None);
            let Some(entry) = self.calls.get_mut(&key) else { continue };
            entry.leg.handle_timeout(now);
            self.stirred.push_back(key);
        }
        if self.probe_at.is_some_and(|at| at <= now.instant) {
            self.probe(now);
        }
    }

    /// Tells a line. One whose owner reads no more is given up: it must not hold a channel.
    pub(super) fn tell(&mut self, now: Now, key: CallKey, event: LineEvent) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let is_failure = matches!(
            event,
            LineEvent::Ended(Ended { disposition: Disposition::TrunkError, code: None, .. })
        );
        let was_ignored = is_failure && !entry.leg.is_heard();
        if let Err(mpsc::error::TrySendError::Full(_)) = entry.events.try_send(event) {
            error!(call.label = entry.label, "nobody reads the events of a line: hanging up");
            // The line learns from the closed channel that its call is over.
            entry.events = mpsc::channel(1).0;
            entry.leg.hang_up(now);
        }
        if was_ignored {
            self.note_outage(now, Outage::Silent);
        }
    }

    pub(super) fn set_deadline(&mut self, key: CallKey, deadline: Option<Instant>) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        if let Some(old) = entry.deadline.take() {
            self.deadlines.remove(&(old, key));
        }
        entry.deadline = deadline;
        self.deadlines.extend(deadline.map(|at| (at, key)));
    }

    pub(super) fn forget_if_over(&mut self, key: CallKey) {
        if !self.calls.get(&key).is_some_and(|entry| entry.leg.is_over()) {
            return;
        }
        self.stop_media(key);
        self.set_deadline(key, None);
        if let Some(entry) = self.calls.remove(&key) {
            self.keys.remove(&entry.line);
            self.labels.insert(key, entry.label);
            if self.labels.len() > MAX_LABELS {
                self.labels.pop_first();
            }
        }
    }

    /// Writes down what was sent and received for calls that are forgotten now. Raw messages are
    /// never logged, for they name persons.
    pub(super) fn write_ladders(&mut self) {
        while let Some((key, ladder)) = self.endpoint.poll_ladder() {
            let label = self.labels.remove(&key);
            debug!(call.label = label, "what was sent and received for a call:\n{ladder}");
            if let Some(label) = label {
                // Nobody waits for it: where none is kept, or too many come at once, it is lost.
                let _ = self.ladders.try_send(CallLadder { label, steps: ladder.to_string() });
            }
        }
    }
}
