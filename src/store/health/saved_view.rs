//! Views of the list that somebody has saved under a name.

use jiff::Timestamp;

use crate::base::id::StaffId;
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError};

/// The query of an address of the list, under a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedView {
    /// The name on the tab.
    pub name: String,
    /// The query, such as `view=fever&q=…`.
    pub query: String,
}

/// Nobody finds their way among more tabs.
const MOST_VIEWS: i64 = 12;

impl Store {
    /// The views of one member of the staff, the oldest first.
    pub async fn saved_views(&self, staff: StaffId) -> Result<Vec<SavedView>, StoreError> {
        const OF_STAFF: &str = "select v.name, v.query from saved_view v where v.staff_id = $1 \
            order by v.created_at, v.name";
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(OF_STAFF).bind(staff.to_string()).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("saved_view", row);
                Ok(SavedView {
                    name: fields.text("name")?.to_owned(),
                    query: fields.text("query")?.to_owned(),
                })
            })
            .collect()
    }

    /// Saves a view; one of the same name is replaced. `false` if there are too many.
    pub async fn save_view(
        &self,
        now: Timestamp,
        staff: StaffId,
        view: &SavedView,
    ) -> Result<bool, StoreError> {
        const SAVE: &str = "insert into saved_view (staff_id, name, query, created_at) \
            select $1, $2, $3, $4 where (select count(*) from saved_view v \
            where v.staff_id = $1 and v.name <> $2) < $5 \
            on conflict (staff_id, name) do update set query = excluded.query";
        let mut session = self.write().await?;
        let done = sqlx::query(SAVE)
            .bind(staff.to_string())
            .bind(view.name.as_str())
            .bind(view.query.as_str())
            .bind(millis(now))
            .bind(MOST_VIEWS)
            .execute(session.connection())
            .await?;
        session.commit(&[]).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Takes a view away, if it is there.
    pub async fn remove_view(&self, staff: StaffId, name: &str) -> Result<(), StoreError> {
        const REMOVE: &str = "delete from saved_view where staff_id = $1 and name = $2";
        let mut session = self.write().await?;
        sqlx::query(REMOVE)
            .bind(staff.to_string())
            .bind(name)
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }
}
