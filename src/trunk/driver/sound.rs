//! The sound of calls: started, changed and ended on the media engine.

use std::net::IpAddr;

use tracing::{debug, warn};

use crate::call::Tap;
use crate::call::media::{Direction, Ear, Hints};
use crate::sdp::Negotiated;
use crate::sip::endpoint::CallKey;
use crate::trunk::driver::{Driver, LineId, STARVATION};
use crate::trunk::media::StreamConfig;

impl Driver {
    /// Lets sound flow; `false` if it cannot.
    pub(super) fn start_media(&mut self, key: CallKey, sound: Negotiated) -> bool {
        let Some(config) = self.stream_config(key, sound) else { return false };
        let Some(entry) = self.calls.get_mut(&key) else { return false };
        let Some(port) = entry.port.take() else { return false };
        let hear = self.hear.clone();
        let ear = entry.tap.take().as_ref().and_then(ear);
        let events = move |event| {
            // A driver that is gone needs no events.
            let _ = hear.send((key, event));
        };
        entry.stream = Some(match ear {
            Some(ear) => port.start_with_ear(config, ear, events),
            None => port.start(config, events),
        });
        true
    }

    /// Lays another tape onto a call, or none.
    pub(super) fn change_tape(&mut self, id: LineId, tap: Option<Tap>) {
        let Some(key) = self.keys.get(&id) else { return };
        let Some(entry) = self.calls.get_mut(key) else { return };
        match &entry.stream {
            Some(stream) => stream.listen(tap.as_ref().and_then(ear)),
            None => entry.tap = tap,
        }
    }

    /// `None` if nobody may want sound there.
    pub(super) fn stream_config(&self, key: CallKey, sound: Negotiated) -> Option<StreamConfig> {
        let entry = self.calls.get(&key)?;
        if !is_plausible(sound.remote.ip(), self.target().ip()) {
            warn!(call.label = entry.label, "the carrier wants sound at an impossible address");
            return None;
        }
        Some(StreamConfig {
            remote: sound.remote,
            remote_rtcp: sound.remote_rtcp,
            networks: self.config.media_networks.clone(),
            codec: sound.codec,
            payload_type: sound.payload_type,
            telephone_event: sound.telephone_event,
            our_telephone_event: Some(sound.own_telephone_event),
            direction: if sound.direction.sends() {
                Direction::Both
            } else {
                Direction::ReceiveOnly
            },
            lead_in: self.config.lead_in,
            starvation: STARVATION,
            hints: Hints::On,
            name: entry.label.clone(),
        })
    }

    pub(super) fn stop_media(&mut self, key: CallKey) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        entry.port = None;
        let Some(stream) = entry.stream.take() else { return };
        let label = entry.label.clone();
        self.endings.spawn(async move {
            let statistics = stream.close().await;
            debug!(
                call.label = label,
                sent = statistics.sent,
                received = statistics.received,
                lost = statistics.lost,
                refused = statistics.refused,
                jitter_us = u64::try_from(statistics.jitter.as_micros()).unwrap_or(u64::MAX),
                "the sound of a call has ended"
            );
        });
    }
}

/// What listens for a tape, unless something does already.
fn ear(tap: &Tap) -> Option<Box<dyn Ear>> {
    tap.take().map(|head| Box::new(head) as Box<dyn Ear>)
}

/// Whether sound may be sent there: never to many at once, nor to ourselves unless the carrier is
/// on this machine. The unspecified address is that of an old-fashioned hold.
fn is_plausible(media: IpAddr, carrier: IpAddr) -> bool {
    let is_link_local = match media {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    let is_foreign_loopback = media.is_loopback() && !carrier.is_loopback();
    !media.is_multicast() && !is_link_local && !is_foreign_loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_goes_to_possible_addresses_only() {
        for (media, carrier, expected) in [
            ("203.0.113.9", "192.0.2.1", true),
            ("10.0.0.9", "192.0.2.1", true),
            ("0.0.0.0", "192.0.2.1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "192.0.2.1", false),
            ("169.254.169.254", "192.0.2.1", false),
            ("224.0.0.1", "192.0.2.1", false),
            ("255.255.255.255", "192.0.2.1", false),
            ("2001:db8::9", "2001:db8::1", true),
            ("::1", "2001:db8::1", false),
            ("fe80::1", "2001:db8::1", false),
            ("ff02::1", "2001:db8::1", false),
        ] {
            let (media_ip, carrier_ip) = (media.parse().unwrap(), carrier.parse().unwrap());
            assert_eq!(is_plausible(media_ip, carrier_ip), expected, "{media} {carrier}");
        }
    }
}
