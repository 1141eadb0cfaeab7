//! Reads patient lists as spreadsheets write them.
