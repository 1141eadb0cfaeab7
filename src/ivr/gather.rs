//! Gathers the digits of one answer.
