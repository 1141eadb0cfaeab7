//! What follows an attempt that did not settle its slot.
