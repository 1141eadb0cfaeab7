//! What the database knows of the time.

use jiff::Timestamp;

use crate::store::row::{Fields, latest_call};
use crate::store::{Dialect, Store, StoreError};

/// What the database knows of the time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DatabaseTime {
    /// The clock of its own host.
    Clock(Timestamp),
    /// It shares our clock, and remembers when a call was last placed or ended: the time cannot be
    /// earlier. `None` if there was no call since somebody let dialling begin, who thereby
    /// vouches for the clock.
    Written(Option<Timestamp>),
}

impl Store {
    /// What the database knows of the time, at this moment.
    pub async fn time(&self) -> Result<DatabaseTime, StoreError> {
        const POSTGRES: &str =
            "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as at";
        let mut session = self.glance().await?;
        let connection = session.connection();
        match self.dialect {
            Dialect::Postgres => {
                let row = sqlx::query(POSTGRES).fetch_one(connection).await?;
                Ok(DatabaseTime::Clock(Fields::new("clock", &row).time("at")?))
            }
            Dialect::Sqlite => {
                let row = sqlx::query(WRITTEN).fetch_optional(connection).await?;
                let at = row.map(|row| Fields::new("attempt", &row).time("at")).transpose()?;
                Ok(DatabaseTime::Written(at))
            }
        }
    }
}

/// The newest moment of a call that nobody has vouched for. Both maxima are the ends of an index.
const WRITTEN: &str = concat!(
    "select m.at from (",
    latest_call!(),
    ") m join installation i on i.id = 1 where m.at > coalesce(i.clock_base, 0)"
);
