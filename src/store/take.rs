//! Takes of prompts: kept with what was brought, who approved them, and until when they were said.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::any::AnyRow;

use crate::base::Language;
use crate::base::id::{PromptTakeId, StaffId};
use crate::registry::AuditEntry;
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError, audit};

/// A take to be kept.
#[derive(Clone, Debug)]
pub struct NewTake {
    /// The language that is spoken.
    pub language: Language,
    /// The prompt.
    pub prompt: String,
    /// How it came here.
    pub source: TakeSource,
    /// SHA-256 of what was brought, in hexadecimal.
    pub sha256: String,
    /// What was brought.
    pub original: Vec<u8>,
    /// What is said: µ-law at 8 kHz.
    pub sound: Vec<u8>,
    /// How long it is.
    pub duration: Duration,
    /// How loud it was when it was brought, in dBov.
    pub level_dbov: f64,
}

/// A take.
#[derive(Clone, Debug)]
pub struct PromptTake {
    /// The id.
    pub id: PromptTakeId,
    /// The prompt.
    pub prompt: String,
    /// How it came here.
    pub source: TakeSource,
    /// SHA-256 of what was brought, in hexadecimal.
    pub sha256: String,
    /// How long it is.
    pub duration: Duration,
    /// How loud it was when it was brought, in dBov.
    pub level_dbov: f64,
    /// Where it stands.
    pub state: TakeState,
    /// Who brought it.
    pub created_by: StaffId,
    /// Their name.
    pub created_name: String,
    /// When.
    pub created_at: Timestamp,
    /// Who approved it, and when.
    pub approved: Option<(String, Timestamp)>,
    /// Who retired it, and when.
    pub retired: Option<(String, Timestamp)>,
}

/// How a take came here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TakeSource {
    /// A file.
    Upload,
    /// The microphone of a browser.
    Microphone,
}

impl TakeSource {
    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Microphone => "microphone",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Upload, Self::Microphone].into_iter().find(|source| source.as_str() == text)
    }
}

/// Where a take stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TakeState {
    /// Brought, and said to nobody.
    Draft,
    /// Said from then on.
    Approved,
    /// Not said any more.
    Retired,
}

impl TakeState {
    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Retired => "retired",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Draft, Self::Approved, Self::Retired].into_iter().find(|one| one.as_str() == text)
    }
}

macro_rules! select_takes {
    ($rest:literal) => {
        concat!(
            "select t.id, t.prompt, t.source, t.sha256, t.duration_ms, t.level, t.state, \
             t.created_by, t.created_at, t.approved_at, t.retired_at, m.name as created_name, \
             a.name as approved_name, r.name as retired_name from prompt_take t \
             join staff m on m.id = t.created_by left join staff a on a.id = t.approved_by \
             left join staff r on r.id = t.retired_by ",
            $rest
        )
    };
}

impl Store {
    /// Keeps a take as a draft.
    pub async fn add_take(
        &self,
        now: Timestamp,
        by: StaffId,
        take: &NewTake,
        entry: &AuditEntry,
    ) -> Result<PromptTakeId, StoreError> {
        const ADD: &str = "insert into prompt_take (id, language, prompt, source, sha256, \
            original, sound, duration_ms, level, state, created_by, created_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'draft', $10, $11)";
        let id: PromptTakeId = self.mint(now);
        #[expect(clippy::cast_possible_truncation, reason = "between -2000 and 0")]
        let tenths = (take.level_dbov.clamp(-200.0, 0.0) * 10.0).round() as i64;
        let mut session = self.write().await?;
        sqlx::query(ADD)
            .bind(id.to_string())
            .bind(take.language.code())
            .bind(take.prompt.as_str())
            .bind(take.source.as_str())
            .bind(take.sha256.as_str())
            .bind(take.original.as_slice())
            .bind(take.sound.as_slice())
            .bind(i64::try_from(take.duration.as_millis()).unwrap_or(i64::MAX))
            .bind(tenths)
            .bind(by.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        let entry = AuditEntry { object: id.to_string(), ..entry.clone() };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[]).await?;
        Ok(id)
    }

    /// All takes, the newest first.
    pub async fn takes(&self, language: Language) -> Result<Vec<PromptTake>, StoreError> {
        const ALL: &str =
            select_takes!("where t.language = $1 order by t.created_at desc, t.id desc");
        let mut session = self.glance().await?;
        let rows = sqlx::query(ALL).bind(language.code()).fetch_all(session.connection()).await?;
        rows.iter().map(take).collect()
    }

    /// One take.
    pub async fn take(&self, id: PromptTakeId) -> Result<PromptTake, StoreError> {
        const BY_ID: &str = select_takes!("where t.id = $1");
        let mut session = self.glance().await?;
        let row =
            sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(session.connection()).await?;
        take(&row.ok_or(StoreError::NotFound { what: "take" })?)
    }

    /// What a take says: µ-law at 8 kHz.
    pub async fn take_sound(&self, id: PromptTakeId) -> Result<Vec<u8>, StoreError> {
        const BY_ID: &str = "select sound from prompt_take where id = $1";
        let mut session = self.glance().await?;
        let row =
            sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(session.connection()).await?;
        let row = row.ok_or(StoreError::NotFound { what: "take" })?;
        Fields::new("prompt_take", &row).bytes("sound")
    }

    /// Approves a draft, so that it is said from now on; the one before is retired.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if it is no draft any more, or was brought by the same person: four
    /// ears hear more than two.
    pub async fn approve_take(
        &self,
        now: Timestamp,
        id: PromptTakeId,
        by: StaffId,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const RETIRE: &str = "update prompt_take set state = 'retired', retired_by = $2, \
            retired_at = $3 where state = 'approved' and id <> $1 \
            and (language, prompt) in (select n.language, n.prompt from prompt_take n \
            where n.id = $1 and n.state = 'draft' and n.created_by <> $2)";
        const APPROVE: &str = "update prompt_take set state = 'approved', approved_by = $2, \
            approved_at = $3 where id = $1 and state = 'draft' and created_by <> $2";
        let mut session = self.write().await?;
        let mut done = 0;
        for statement in [RETIRE, APPROVE] {
            let result = sqlx::query(statement)
                .bind(id.to_string())
                .bind(by.to_string())
                .bind(millis(now))
                .execute(session.connection())
                .await?;
            done = result.rows_affected();
        }
        if done == 0 {
            return Err(StoreError::Stale { what: "take" });
        }
        let entry = AuditEntry { object: id.to_string(), ..entry.clone() };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[]).await
    }

    /// Says a take no more: the prompt goes back to its recording or to the synthetic voice.
    pub async fn retire_take(
        &self,
        now: Timestamp,
        id: PromptTakeId,
        by: StaffId,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const RETIRE: &str = "update prompt_take set state = 'retired', retired_by = $2, \
            retired_at = $3 where id = $1 and state <> 'retired'";
        let mut session = self.write().await?;
        let done = sqlx::query(RETIRE)
            .bind(id.to_string())
            .bind(by.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "take" });
        }
        let entry = AuditEntry { object: id.to_string(), ..entry.clone() };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[]).await
    }

    /// What names the takes that are in use: another text after each change.
    pub async fn takes_stamp(&self, language: Language) -> Result<String, StoreError> {
        const STAMP: &str = "select count(*) as n, coalesce(max(t.approved_at), 0) as newest \
            from prompt_take t where t.state = 'approved' and t.language = $1";
        const RETIRED: &str = "select count(*) as n from prompt_take t \
            where t.state = 'retired' and t.language = $1";
        let mut session = self.glance().await?;
        let row = sqlx::query(STAMP).bind(language.code()).fetch_one(session.connection()).await?;
        let fields = Fields::new("prompt_take", &row);
        let (n, newest): (i64, i64) = (fields.integer("n")?, fields.integer("newest")?);
        let row =
            sqlx::query(RETIRED).bind(language.code()).fetch_one(session.connection()).await?;
        let retired: i64 = Fields::new("prompt_take", &row).integer("n")?;
        // Without any, a library that was never told of takes is right.
        Ok(if n + retired == 0 { String::new() } else { format!("{n} {newest} {retired}") })
    }

    /// The sound of the takes in use, by prompt.
    pub async fn takes_in_use(
        &self,
        language: Language,
    ) -> Result<HashMap<String, Arc<[u8]>>, StoreError> {
        const IN_USE: &str = "select t.prompt, t.sound from prompt_take t \
            where t.state = 'approved' and t.language = $1";
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(IN_USE).bind(language.code()).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("prompt_take", row);
                Ok((fields.text("prompt")?.to_owned(), fields.bytes("sound")?.into()))
            })
            .collect()
    }
}

fn take(row: &AnyRow) -> Result<PromptTake, StoreError> {
    let fields = Fields::new("prompt_take", row);
    let signed = |name, at| {
        let name: Option<String> = fields.text_or_null(name)?.map(str::to_owned);
        Ok::<_, StoreError>(name.zip(fields.time_or_null(at)?))
    };
    let tenths: i32 = fields.integer("level")?;
    Ok(PromptTake {
        id: fields.parsed("id")?,
        prompt: fields.text("prompt")?.to_owned(),
        source: fields.word("source", TakeSource::parse)?,
        sha256: fields.text("sha256")?.to_owned(),
        duration: Duration::from_millis(fields.integer("duration_ms")?),
        level_dbov: f64::from(tenths) / 10.0,
        state: fields.word("state", TakeState::parse)?,
        created_by: fields.parsed("created_by")?,
        created_name: fields.text("created_name")?.to_owned(),
        created_at: fields.time("created_at")?,
        approved: signed("approved_name", "approved_at")?,
        retired: signed("retired_name", "retired_at")?,
    })
}
