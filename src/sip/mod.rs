//! SIP (RFC 3261 and friends) as machines without sockets or clocks.

pub mod auth;
pub mod dialog;
pub mod endpoint;
pub mod header;
pub mod invite;
pub mod ladder;
pub mod message;
pub mod parse;
pub mod registration;
pub mod timer;
pub mod transaction;
pub mod uri;

#[cfg(test)]
mod conversation;
