//! The road: schedule, dial, talk, observe, escalate.
