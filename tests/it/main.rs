//! All tests that look at the crate from outside, in one binary.

mod account;
mod accounts_by_hand;
mod carrier;
mod crossing;
mod dialogue;
mod district;
mod ears;
mod import;
mod kill;
mod personas;
mod postgres;
mod sipp;
mod store;
mod tidy;
mod torture;
mod web;
mod webhook;
