//! All tests that look at the crate from outside, in one binary.

mod account;
mod carrier;
mod cases;
mod crossing;
mod dialogue;
mod district;
mod ears;
mod import;
mod kill;
mod nurse;
mod patient;
mod patient_page;
mod personas;
mod plan;
mod postgres;
mod recorded_calls;
mod recordings;
mod s3;
mod sipp;
mod store;
mod tidy;
mod torture;
mod web;
mod webhook;
