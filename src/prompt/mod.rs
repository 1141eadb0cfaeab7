//! `prompts/` made ready to be said.
