//! The audit: who looked at what, and who changed what, as a chain of hashes.
//!
//! Each event's hash covers the hash of the one before, so that no event can be changed or taken
//! out without breaking all that follow. The end of the chain is to be kept elsewhere, too: whoever
//! can rewrite the whole table could rewrite the whole chain.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::base::id::{HealthCenterId, PatientId, StaffId};

/// What is to be written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEntry {
    /// Who did it.
    pub actor: Actor,
    /// The centre whom it concerns, if one.
    pub health_center: Option<HealthCenterId>,
    /// What was done: two words with a dot, such as `patient.viewed`, `recording.heard`.
    pub action: &'static str,
    /// The patient whom it concerns, if one.
    pub patient: Option<PatientId>,
    /// What it was done to: an id, or empty.
    pub object: String,
    /// What else is to be known: from where to where was listened, the reason that was given.
    /// Never an answer, a name, a telephone number or a secret.
    pub detail: String,
}

/// Who did something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Actor {
    /// A member of the staff.
    Staff(StaffId),
    /// A program with a token of the API, by the token's id.
    Token(String),
    /// Somebody at the command line of the host.
    CommandLine,
    /// The program itself: retention, locks.
    Program,
    /// Somebody who is not signed in.
    Nobody,
}

impl Actor {
    /// As it is stored: a word, and the id where there is one.
    pub fn as_text(&self) -> String {
        match self {
            Self::Staff(id) => format!("staff {id}"),
            Self::Token(id) => format!("token {id}"),
            Self::CommandLine => "command-line".to_owned(),
            Self::Program => "program".to_owned(),
            Self::Nobody => "nobody".to_owned(),
        }
    }
}

/// One link of the chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEvent {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who, as [`Actor::as_text`] writes it.
    pub actor: String,
    /// The centre whom it concerns.
    pub health_center: Option<HealthCenterId>,
    /// What was done.
    pub action: String,
    /// The patient whom it concerns.
    pub patient: Option<PatientId>,
    /// What it was done to.
    pub object: String,
    /// What else is known.
    pub detail: String,
    /// SHA-256 over the hash of the event before and all of the above, in hexadecimal.
    pub hash: String,
}

impl AuditEvent {
    /// The hash that this event must have after one with the hash `previous`.
    pub fn expected_hash(&self, previous: &str) -> String {
        let mut hasher = Sha256::new();
        let (seq, at) = (self.seq.to_string(), self.at.as_millisecond().to_string());
        let center = self.health_center.map(|id| id.to_string()).unwrap_or_default();
        let patient = self.patient.map(|id| id.to_string()).unwrap_or_default();
        for part in [
            previous,
            &seq,
            &at,
            &self.actor,
            &center,
            &self.action,
            &patient,
            &self.object,
            &self.detail,
        ] {
            // With its length before it, no part can be taken for the end of another.
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hex(&hasher.finalize())
    }
}

/// Bytes in hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |text, byte| {
        use std::fmt::Write;
        let mut text = text;
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BrokenChain {
    /// An event is missing.
    #[error("event {0} is missing")]
    Missing(u64),
    /// An event is not as it was written, or one before it was changed.
    #[error("event {0} was changed")]
    Changed(u64),
    /// The last events were taken away.
    #[error("the chain should end with event {0}")]
    Cut(u64),
}

/// Follows a chain from its beginning, event by event.
#[derive(Clone, Debug, Default)]
pub struct Verifier {
    seq: u64,
    hash: String,
}

impl Verifier {
    /// Takes the next event.
    ///
    /// # Errors
    /// If it is not the next, or not as it was written.
    pub fn check(&mut self, event: &AuditEvent) -> Result<(), BrokenChain> {
        self.seq += 1;
        if event.seq != self.seq {
            return Err(BrokenChain::Missing(self.seq));
        }
        if event.expected_hash(&self.hash) != event.hash {
            return Err(BrokenChain::Changed(event.seq));
        }
        self.hash.clone_from(&event.hash);
        Ok(())
    }

    /// Compares the end with what the head of the chain says.
    ///
    /// # Errors
    /// If the chain should end elsewhere.
    pub fn finish(self, seq: u64, hash: &str) -> Result<(), BrokenChain> {
        if self.seq != seq || self.hash != hash {
            return Err(BrokenChain::Cut(seq));
        }
        Ok(())
    }

    /// How many events were followed.
    pub fn count(&self) -> u64 {
        self.seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(n: u64) -> Vec<AuditEvent> {
        let mut previous = String::new();
        (1..=n)
            .map(|seq| {
                let mut event = AuditEvent {
                    seq,
                    at: Timestamp::from_second(i64::try_from(seq).unwrap()).unwrap(),
                    actor: "program".to_owned(),
                    health_center: None,
                    action: "patient.viewed".to_owned(),
                    patient: None,
                    object: seq.to_string(),
                    detail: String::new(),
                    hash: String::new(),
                };
                event.hash = event.expected_hash(&previous);
                previous.clone_from(&event.hash);
                event
            })
            .collect()
    }

    fn verify(events: &[AuditEvent], head: &AuditEvent) -> Result<(), BrokenChain> {
        let mut verifier = Verifier::default();
        for event in events {
            verifier.check(event)?;
        }
        verifier.finish(head.seq, &head.hash)
    }

    #[test]
    fn a_whole_chain_is_accepted_and_every_change_is_found() {
        let events = chain(4);
        let head = events[3].clone();
        assert_eq!(verify(&events, &head), Ok(()));

        let mut changed = events.clone();
        changed[1].object = "another".to_owned();
        assert_eq!(verify(&changed, &head), Err(BrokenChain::Changed(2)));

        let mut moved = events.clone();
        // A boundary between two parts is part of what is hashed.
        moved[2].object.clear();
        moved[2].detail = "3".to_owned();
        assert_eq!(verify(&moved, &head), Err(BrokenChain::Changed(3)));

        let mut missing = events.clone();
        missing.remove(1);
        assert_eq!(verify(&missing, &head), Err(BrokenChain::Missing(2)));
        assert_eq!(verify(&events[..3], &head), Err(BrokenChain::Cut(4)));
    }
}
