//! What was typed becomes what is meant.
