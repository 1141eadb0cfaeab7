//! Transcript to observations: pure and repeatable.
