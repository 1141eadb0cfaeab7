//! Mimamori telephones people who recuperate at home, asks how they are, and raises the alarm.

pub mod base;

pub mod audio;
pub mod rtp;
pub mod sdp;
pub mod sip;

pub mod call;

pub mod registry;

pub mod campaign;
pub mod ivr;

pub mod observation;

pub mod escalation;

pub mod notify;
pub mod prompt;
pub mod store;
pub mod trunk;

pub mod sim;
pub mod worker;

pub mod config;
pub mod telemetry;

pub mod app;
