//! Requests of programs that take effect once, however often they are sent.

use jiff::{SignedDuration, Timestamp};

use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError};

/// How long an answer is kept for those who ask again.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// A request that was begun so long ago has been broken off: no request takes longer.
const BROKEN_OFF: SignedDuration = SignedDuration::from_mins(1);

/// Which request it is.
#[derive(Clone, Copy, Debug)]
pub struct RequestKey<'a> {
    /// Who asks: `token …` or `staff …`.
    pub principal: &'a str,
    /// The key that they chose.
    pub key: &'a str,
    /// SHA-256 over all that was asked, in hexadecimal.
    pub hash: &'a str,
}

/// What was answered to a request.
#[derive(Clone, Eq, PartialEq)]
pub struct KeptAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// Headers that belong to the answer, as `name: value`, one a line.
    pub headers: String,
    /// The body; empty if there is none.
    pub body: String,
}

/// What is to be done about a request.
pub enum Begun {
    /// It is new: carry it out, then [`Store::end_request`].
    Fresh,
    /// It was carried out: this was the answer.
    Answered(KeptAnswer),
    /// It is being carried out now.
    UnderWay,
    /// Another request had that key.
    OtherRequest,
}

impl Store {
    /// Begins a request. Answers that are older than a day are forgotten.
    pub async fn begin_request(
        &self,
        now: Timestamp,
        request: RequestKey<'_>,
    ) -> Result<Begun, StoreError> {
        const FORGET: &str = "delete from api_request where begun_at < $1 \
            or (status is null and begun_at < $2)";
        const BEGIN: &str = "insert into api_request \
            (principal, key, hash, begun_at, status, headers, body) \
            values ($1, $2, $3, $4, null, '', '') on conflict (principal, key) do nothing";
        const KNOWN: &str = "select r.hash, r.status, r.headers, r.body from api_request r \
            where r.principal = $1 and r.key = $2";
        let mut session = self.write().await?;
        let connection = session.connection();
        sqlx::query(FORGET)
            .bind(millis(now - KEPT))
            .bind(millis(now - BROKEN_OFF))
            .execute(&mut *connection)
            .await?;
        let begun = sqlx::query(BEGIN)
            .bind(request.principal)
            .bind(request.key)
            .bind(request.hash)
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        let row = sqlx::query(KNOWN)
            .bind(request.principal)
            .bind(request.key)
            .fetch_one(&mut *connection)
            .await?;
        let fields = Fields::new("api_request", &row);
        let known = if begun.rows_affected() == 1 {
            Begun::Fresh
        } else if fields.text("hash")? != request.hash {
            Begun::OtherRequest
        } else {
            match fields.integer_or_null("status")? {
                None => Begun::UnderWay,
                Some(status) => Begun::Answered(KeptAnswer {
                    status,
                    headers: fields.text("headers")?.to_owned(),
                    body: fields.text("body")?.to_owned(),
                }),
            }
        };
        session.commit(&[]).await?;
        Ok(known)
    }

    /// Keeps what was answered; with `None` the request may be tried again.
    pub async fn end_request(
        &self,
        request: RequestKey<'_>,
        answer: Option<&KeptAnswer>,
    ) -> Result<(), StoreError> {
        const KEEP: &str = "update api_request set status = $3, headers = $4, body = $5 \
            where principal = $1 and key = $2";
        const FORGET: &str = "delete from api_request where principal = $1 and key = $2";
        let mut session = self.write().await?;
        let query = match answer {
            Some(answer) => sqlx::query(KEEP)
                .bind(request.principal)
                .bind(request.key)
                .bind(i64::from(answer.status))
                .bind(answer.headers.as_str())
                .bind(answer.body.as_str()),
            None => sqlx::query(FORGET).bind(request.principal).bind(request.key),
        };
        query.execute(session.connection()).await?;
        session.commit(&[]).await
    }
}
