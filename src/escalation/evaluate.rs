//! History and new observations to findings.
