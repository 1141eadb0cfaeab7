//! When a call may be placed: hours and days in Japan.
