//! Patients and a carrier made of code.
