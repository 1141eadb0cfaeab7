//! All tests that look at the crate from outside, in one binary.

mod carrier;
mod day;
mod dialogue;
mod district;
mod ears;
mod health;
mod import;
mod kill;
mod personas;
mod postgres;
mod sipp;
mod store;
mod tidy;
mod torture;
mod webhook;
