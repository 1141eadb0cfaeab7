//! Durations as whole minutes in what is stored: people write and read them so.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For `#[serde(with = "…")]` on one duration.
pub(super) mod one {
    use super::{Deserialize, Deserializer, Duration, Serializer, minutes};

    pub(in crate::campaign) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(minutes(*duration))
    }

    pub(in crate::campaign) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u32::deserialize(deserializer).map(|minutes| Duration::from_mins(minutes.into()))
    }
}

/// For `#[serde(with = "…")]` on a list of them.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, minutes};

    pub(in crate::campaign) fn serialize<S: Serializer>(
        list: &[Duration],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let list: Vec<u64> = list.iter().copied().map(minutes).collect();
        list.serialize(serializer)
    }

    pub(in crate::campaign) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Duration>, D::Error> {
        let list = Vec::<u32>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|minutes| Duration::from_mins(minutes.into())).collect())
    }
}

fn minutes(duration: Duration) -> u64 {
    duration.as_secs() / 60
}
