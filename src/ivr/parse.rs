//! Reads a questionnaire from TOML; errors name the line.
