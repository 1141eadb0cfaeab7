//! All tests that look at the crate from outside, in one binary.

mod carrier;
mod cases;
mod dialogue;
mod district;
mod ears;
mod import;
mod kill;
mod nurse;
mod personas;
mod postgres;
mod recorded_calls;
mod recordings;
mod s3;
mod sipp;
mod store;
mod tidy;
mod torture;
mod webhook;
