//! The slots of an episode.
