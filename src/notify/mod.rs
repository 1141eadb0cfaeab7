//! Messages that leave the house: webhooks, signed so that the receiver can trust them.
//!
//! Delivery is at least once: the outbox in the store keeps a message until the receiver has said
//! that it took it, and the message's id lets the receiver drop repeats.

mod webhook;

pub use webhook::{Config, NotifyError, Webhook, signature};
