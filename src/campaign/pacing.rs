//! Calls per second and calls at once.
