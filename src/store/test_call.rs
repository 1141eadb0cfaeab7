//! Calls to a staff telephone that try out the lines before the day begins.

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::clock::civil;
use crate::base::id::TestCallId;
use crate::base::{Bilingual, PhoneNumber};
use crate::call::Disposition;
use crate::registry::AuditEntry;
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError, Topic, audit};

/// A call that no service has taken by then is not placed.
const TAKEN_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// It takes no longer, with ringing and all.
const OVER_WITHIN: SignedDuration = SignedDuration::from_mins(3);

/// A call to a staff telephone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TestCall {
    /// The id.
    pub id: TestCallId,
    /// When somebody asked for it.
    pub asked_at: Timestamp,
    /// Who: a name for people.
    pub asked_by: String,
    /// The last two digits of the number.
    pub phone_end: String,
    /// Through which trunk, once it is placed.
    pub trunk: Option<String>,
    /// How far it came.
    pub stage: TestStage,
}

/// How far a test call came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TestStage {
    /// It waits for a service.
    Asked,
    /// It rings, or somebody listens.
    Placing,
    /// No service took it, or the one that did has stopped.
    Lost,
    /// It was not placed: all dialling was stopped meanwhile.
    Stopped,
    /// It is over; `heard` if the key that was asked for came.
    Over {
        /// How the telephone part ended.
        disposition: Disposition,
        /// Sound went both ways.
        heard: bool,
    },
}

/// Why no test call is placed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoTest {
    /// The number is that of a patient.
    Patient,
    /// Another one is under way.
    Underway,
    /// All dialling is stopped, and test calls with it.
    Stopped,
}

impl NoTest {
    /// For people.
    pub fn words(self) -> Bilingual {
        match self {
            Self::Patient => Bilingual::fixed(
                "この番号は患者のものです。職員の番号を指定してください。",
                "This is the number of a patient: give that of a member of the staff.",
            ),
            Self::Underway => Bilingual::fixed(
                "別の試験通話の途中です。終わってから試してください。",
                "Another test call is under way: try again when it is over.",
            ),
            Self::Stopped => Bilingual::fixed(
                "すべての架電を止めています。試験通話もかけません。架電を再開してから試してください\
                 (画面の「架電を再開する」、または mimamori resume)。",
                "All calls are stopped, and test calls with them: let calls begin again first (in the \
                 console, or with `mimamori resume`).",
            ),
        }
    }
}

impl TestCall {
    /// The call was answered, and the key that was asked for came.
    pub fn is_good(&self) -> bool {
        matches!(self.stage, TestStage::Over { disposition: Disposition::Answered, heard: true })
    }

    /// Nothing more will come of it.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, TestStage::Lost | TestStage::Stopped | TestStage::Over { .. })
    }

    /// `08:05 良好`.
    pub fn words(&self) -> Bilingual {
        let at = civil(self.asked_at).strftime("%H:%M").to_string();
        let how = self.stage.words();
        Bilingual::composed(format!("{at} {}", how.ja), format!("{at} {}", how.en))
    }
}

impl TestStage {
    fn words(self) -> Bilingual {
        let failed = |ja: &'static str, en: &'static str| Bilingual::fixed(ja, en);
        match self {
            Self::Asked => Bilingual::fixed("発信待ち", "waits for a line"),
            Self::Placing => Bilingual::fixed("通話中", "under way"),
            Self::Lost => Bilingual::fixed("発信できませんでした", "was not placed"),
            Self::Stopped => {
                Bilingual::fixed("中止(架電の停止)", "not placed: all calls were stopped")
            }
            Self::Over { disposition: Disposition::Answered, heard: true } => {
                Bilingual::fixed("良好", "good")
            }
            Self::Over { disposition, .. } => match disposition {
                Disposition::Answered => {
                    failed("応答あり・ボタンの音が届きません", "answered, but no key was heard")
                }
                Disposition::NoAnswer => failed("応答なし", "no answer"),
                Disposition::Busy => failed("話し中", "busy"),
                Disposition::Declined => failed("拒否", "declined"),
                Disposition::Unreachable => failed("圏外", "out of reach"),
                Disposition::InvalidNumber => failed("番号誤り", "no such number"),
                Disposition::Congestion | Disposition::TrunkError => {
                    failed("回線の不具合", "line fault")
                }
                Disposition::Cancelled | Disposition::Interrupted => failed("中断", "broken off"),
            },
        }
    }
}

impl Store {
    /// Asks for a call to a staff telephone. One at a time: a service takes it within a second.
    /// None while dialling is stopped.
    pub async fn ask_test_call(
        &self,
        now: Timestamp,
        number: &PhoneNumber,
        by: &str,
        entry: &AuditEntry,
    ) -> Result<Result<TestCallId, NoTest>, StoreError> {
        const OF_PATIENT: &str = "select 1 as one from patient_phone f where f.number = $1 limit 1";
        const ASK: &str = "insert into test_call (id, asked_at, asked_by, phone, state) \
            values ($1, $2, $3, $4, 'asked')";
        let mut session = self.write().await?;
        let connection = session.connection();
        // Locked: whoever stops all calls meanwhile finds this one, and ends it.
        if !self.may_dial_locked(connection).await? {
            return Ok(Err(NoTest::Stopped));
        }
        let patient =
            sqlx::query(OF_PATIENT).bind(number.e164()).fetch_optional(&mut *connection).await?;
        if patient.is_some() {
            return Ok(Err(NoTest::Patient));
        }
        let last = sqlx::query(LAST).bind(0_i64).fetch_optional(&mut *connection).await?;
        if let Some(row) = last
            && !test_call(&row, now)?.is_over()
        {
            return Ok(Err(NoTest::Underway));
        }
        let id: TestCallId = self.mint(now);
        sqlx::query(ASK)
            .bind(id.to_string())
            .bind(millis(now))
            .bind(by)
            .bind(number.e164())
            .execute(&mut *connection)
            .await?;
        let entry =
            AuditEntry { object: id.to_string(), detail: number.to_string(), ..entry.clone() };
        audit::append(connection, now, &entry).await?;
        session.commit(&[Topic::Installation]).await?;
        Ok(Ok(id))
    }

    /// Takes the test call that waits, if there is one and dialling is not stopped. From here on its
    /// number is known to the taker alone.
    pub async fn take_test_call(
        &self,
        now: Timestamp,
        node: &str,
        trunk: &str,
    ) -> Result<Option<(TestCallId, PhoneNumber)>, StoreError> {
        const WAITS: &str = "select t.id, t.phone from test_call t \
            where t.state = 'asked' and t.asked_at > $1 order by t.asked_at desc limit 1";
        const TAKE: &str = "update test_call set state = 'placing', node = $2, trunk = $3, \
            phone = $4 where id = $1 and state = 'asked' \
            and exists (select 1 from installation i where i.id = 1 and i.dialing = 'running')";
        let since = millis(now - TAKEN_WITHIN);
        let mut glance = self.glance().await?;
        let row = sqlx::query(WAITS).bind(since).fetch_optional(glance.connection()).await?;
        drop(glance);
        let Some(row) = row else { return Ok(None) };
        let fields = Fields::new("test_call", &row);
        let (id, number): (TestCallId, PhoneNumber) =
            (fields.parsed("id")?, fields.parsed("phone")?);
        let mut session = self.write().await?;
        let taken = sqlx::query(TAKE)
            .bind(id.to_string())
            .bind(node)
            .bind(trunk)
            .bind(end_of(number.e164()))
            .execute(session.connection())
            .await?;
        if taken.rows_affected() == 0 {
            return Ok(None);
        }
        session.commit(&[]).await?;
        Ok(Some((id, number)))
    }

    /// Whether a test call that was taken may still be placed, asked just before it is: if dialling
    /// was stopped since, the call is ended here.
    pub async fn may_place_test_call(
        &self,
        now: Timestamp,
        id: TestCallId,
    ) -> Result<bool, StoreError> {
        const END: &str = "update test_call set state = 'done', ended_at = $2 \
            where id = $1 and state = 'placing'";
        let mut session = self.write().await?;
        if self.may_dial_locked(session.connection()).await? {
            return Ok(true);
        }
        sqlx::query(END)
            .bind(id.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[Topic::Installation]).await?;
        Ok(false)
    }

    /// Writes down what came of a test call.
    pub async fn finish_test_call(
        &self,
        now: Timestamp,
        id: TestCallId,
        disposition: Disposition,
        heard: bool,
    ) -> Result<(), StoreError> {
        const FINISH: &str = "update test_call set state = 'done', ended_at = $2, \
            disposition = $3, key_heard = $4 where id = $1 and state = 'placing'";
        let mut session = self.write().await?;
        sqlx::query(FINISH)
            .bind(id.to_string())
            .bind(millis(now))
            .bind(disposition.as_str())
            .bind(i64::from(heard))
            .execute(session.connection())
            .await?;
        session.commit(&[Topic::Installation]).await
    }

    /// The last test call since then.
    pub async fn last_test_call(
        &self,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<Option<TestCall>, StoreError> {
        let mut session = self.glance().await?;
        let row =
            sqlx::query(LAST).bind(millis(since)).fetch_optional(session.connection()).await?;
        row.map(|row| test_call(&row, now)).transpose()
    }
}

/// Ends the test calls that wait: all dialling is stopped. Their numbers are forgotten.
pub(super) async fn stop(connection: &mut AnyConnection, now: Timestamp) -> Result<(), StoreError> {
    const STOP: &str = "update test_call set state = 'done', ended_at = $1, \
        phone = substr(phone, length(phone) - 1) where state = 'asked'";
    sqlx::query(STOP).bind(millis(now)).execute(connection).await?;
    Ok(())
}

const LAST: &str = "select t.id, t.asked_at, t.asked_by, t.phone, t.state, t.trunk, \
    t.disposition, t.key_heard from test_call t where t.asked_at >= $1 \
    order by t.asked_at desc, t.id desc limit 1";

fn test_call(row: &AnyRow, now: Timestamp) -> Result<TestCall, StoreError> {
    let fields = Fields::new("test_call", row);
    let asked_at = fields.time("asked_at")?;
    let age = asked_at.duration_until(now);
    let disposition = fields.parsed_or_null::<Disposition>("disposition")?;
    let stage = match (fields.text("state")?, disposition) {
        ("done", Some(disposition)) => {
            TestStage::Over { disposition, heard: fields.flag("key_heard")? }
        }
        // Only a call that was placed has an outcome.
        ("done", None) => TestStage::Stopped,
        ("asked", _) if age < TAKEN_WITHIN => TestStage::Asked,
        ("placing", _) if age < OVER_WITHIN => TestStage::Placing,
        _ => TestStage::Lost,
    };
    Ok(TestCall {
        id: fields.parsed("id")?,
        asked_at,
        asked_by: fields.text("asked_by")?.to_owned(),
        phone_end: end_of(fields.text("phone")?).to_owned(),
        trunk: fields.text_or_null("trunk")?.map(str::to_owned),
        stage,
    })
}

/// The last two digits.
fn end_of(number: &str) -> &str {
    number.get(number.len().saturating_sub(2)..).unwrap_or_default()
}
