//! The machine of one leg towards the carrier.
