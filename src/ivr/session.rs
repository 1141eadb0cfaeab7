//! The dialogue of one call: asks, repeats, confirms, gives up.
