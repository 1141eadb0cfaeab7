//! 健康状態一覧 page by page, its tabs with their counts, and the search.

use jiff::ToSpan;
use jiff::civil::Date;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use unicode_normalization::UnicodeNormalization;

use crate::base::Private;
use crate::base::id::{PatientId, StaffId};
use crate::registry::{Gender, RiskFlag};
use crate::store::health::status::{CallStage, FEVER_DAYS, Facet, HealthStatus, Need};
use crate::store::health::{pick, shown};
use crate::store::row::Fields;
use crate::store::{Dialect, StoreError, Within};

/// A tab of the list.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum View {
    /// Everybody under observation.
    #[default]
    All,
    /// 要対応: an unresolved case.
    Action,
    /// 未報告: nothing was heard today.
    Unreported,
    /// 改善しない発熱3日: fever on three days in a row.
    Fever,
    /// 終了予定: the last day is today or tomorrow.
    Ending,
    /// 自分の担当: cases in the hands of this account, whatever its name.
    Owner(StaffId),
}

/// What of the list is wanted.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// The tab.
    pub view: View,
    /// A part of a name, of its kana, of the registration number, or the last four digits of a
    /// telephone; empty for everybody.
    pub search: String,
    /// The last row of the page before.
    pub after: Option<Cursor>,
}

/// A row of the list, to go on behind it: names nobody, so it may stand in an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    need: i64,
    patient: PatientId,
}

impl Cursor {
    /// As it stands in an address.
    pub fn to_text(self) -> String {
        format!("{}.{}", self.need, self.patient)
    }

    /// Reads [`Self::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        let (need, patient) = text.split_once('.')?;
        Some(Self { need: need.parse().ok()?, patient: patient.parse().ok()? })
    }
}

/// One page.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// The rows in order.
    pub rows: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// One row, with the person.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The patient.
    pub patient: PatientId,
    /// The first identifier.
    pub registration_number: String,
    /// The second identifier.
    pub birth_date: Private<Date>,
    /// The name as written.
    pub name: Private<String>,
    /// The name as said.
    pub kana: Private<String>,
    /// 性別, if anybody told.
    pub gender: Option<Gender>,
    /// Lives alone.
    pub lives_alone: bool,
    /// What raises the risk of a grave course.
    pub risks: Vec<RiskFlag>,
    /// What is known; `None` if the records of this patient cannot be read.
    pub status: Option<HealthStatus>,
}

/// How many rows each tab has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Under observation.
    pub all: u32,
    /// 要対応
    pub action: u32,
    /// 未報告
    pub unreported: u32,
    /// 改善しない発熱3日
    pub fever: u32,
    /// 終了予定
    pub ending: u32,
    /// 自分の担当
    pub owned: u32,
    /// 途中
    pub partial: u32,
    /// 完了
    pub reported: u32,
    /// To whom a call is owed on this day.
    pub planned: u32,
    /// Who was called.
    pub called: u32,
    /// Where somebody answered.
    pub answered: u32,
    /// Where the patient, or the family, was identified.
    pub identified: u32,
    /// 未応答: the calls of the day are over and nothing was heard.
    pub unreached: u32,
    /// Grows with every row that changes.
    pub version: i64,
}

/// The parameters that the statement of the list takes beside the scope.
struct Filter {
    need_below: i64,
    report: &'static str,
    fever_days: i64,
    last_day: String,
    owner: Option<String>,
    search: String,
}

impl Filter {
    fn of(query: &ListQuery, today: Date) -> Self {
        const ANY_DAY: &str = "9999-12-31";
        let mut filter = Self {
            need_below: i64::MAX,
            report: "",
            fever_days: 0,
            last_day: ANY_DAY.to_owned(),
            owner: None,
            search: folded(&query.search),
        };
        match &query.view {
            View::All => {}
            View::Action => filter.need_below = Need::Unreported.rank(),
            View::Unreported => filter.report = "none",
            View::Fever => filter.fever_days = FEVER_DAYS,
            View::Ending => filter.last_day = tomorrow(today),
            View::Owner(owner) => filter.owner = Some(owner.to_string()),
        }
        filter
    }
}

fn tomorrow(today: Date) -> String {
    today.saturating_add(1.day()).to_string()
}

/// A name, a kana or a number as it is searched: without spaces, in katakana, of normal width.
pub(super) fn folded(text: &str) -> String {
    text.nfkc()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            // Hiragana and katakana lie 0x60 apart.
            'ぁ'..='ゖ' => char::from_u32(u32::from(c) + 0x60).unwrap_or(c),
            _ => c,
        })
        .collect()
}

/// The page is found along the index alone; only its rows are then read. `$7` is what is searched.
macro_rules! page {
    ($found:literal, $owner:literal) => {
        concat!(
            "with page as (select h.patient_id, h.need, h.kana, h.registration_number \
             from health_status h where h.is_observed = 1 and h.health_center_id = $1 \
             and ($2 = '' or h.clinic_id = $2) and h.need < $3 and ($4 = '' or h.report = $4) \
             and h.fever_days >= $5 and h.last_day <= $6 and ",
            $found,
            " and (h.need, h.kana, h.registration_number) > ($8, $9, $10) ",
            $owner,
            " order by h.need, h.kana, h.registration_number limit $11) \
             select p.id, p.registration_number, p.birth_date, p.name, p.kana, p.lives_alone, \
             p.risks, p.gender, h.day, h.need, h.report, h.shown from page g \
             join health_status h on h.patient_id = g.patient_id \
             join patient p on p.id = g.patient_id \
             order by g.need, g.kana, g.registration_number"
        )
    };
}

/// The statements of everybody, and of those in the hands of one account.
macro_rules! pages {
    ($found:literal) => {
        [page!($found, ""), page!($found, "and h.owner <> '' and h.owner = $12")]
    };
}

/// What is searched, as the statement of a page takes it.
enum Search {
    /// Nothing: everybody.
    No,
    /// The ids of the few whose words hold it.
    Few(String),
    /// What so many words hold, that a page of them is soon found in the order of the list.
    Many(String),
}

impl Search {
    /// From here on they are many: of a hundred thousand people it takes as long to look up so many
    /// as to come upon a page of them along the list.
    const MANY: i64 = 2_500;

    /// Neither way is right for everything, and PostgreSQL, which forgets the words when it plans a
    /// statement for good, would choose the wrong one.
    async fn of(
        connection: &mut AnyConnection,
        dialect: Dialect,
        center: &str,
        search: String,
    ) -> Result<Self, StoreError> {
        // A part is found faster than a pattern, and has no signs to be escaped.
        const SQLITE: &str = "select f.patient_id from health_search f \
            where f.health_center_id = $1 and instr(f.words, $2) > 0 limit $3";
        const POSTGRES: &str = "select f.patient_id from health_search f \
            where f.health_center_id = $1 and strpos(f.words, $2) > 0 limit $3";
        if search.is_empty() {
            return Ok(Self::No);
        }
        let rows = sqlx::query(pick(dialect, [SQLITE, POSTGRES]))
            .bind(center)
            .bind(&search)
            .bind(Self::MANY)
            .fetch_all(connection)
            .await?;
        if i64::try_from(rows.len()).is_ok_and(|n| n >= Self::MANY) {
            return Ok(Self::Many(search));
        }
        let id = |row| Fields::new("health_search", row).text("patient_id");
        let ids: Vec<&str> = rows.iter().map(id).collect::<Result<_, _>>()?;
        Ok(Self::Few(serde_json::json!(ids).to_string()))
    }

    /// The statements of a page, as [`pages!`] has them, and their `$7`.
    fn statements(self, dialect: Dialect) -> ([&'static str; 2], String) {
        const ALL: [&str; 2] = pages!("$7 = ''");
        const FEW: [[&str; 2]; 2] = [
            pages!("h.patient_id in (select value from json_each($7))"),
            pages!("h.patient_id = any (array(select json_array_elements_text($7::json)))"),
        ];
        const MANY: [[&str; 2]; 2] = [
            pages!(
                "exists (select 1 from health_search f where f.patient_id = h.patient_id \
                 and instr(f.words, $7) > 0)"
            ),
            pages!(
                "exists (select 1 from health_search f where f.patient_id = h.patient_id \
                 and strpos(f.words, $7) > 0)"
            ),
        ];
        match self {
            Self::No => (ALL, String::new()),
            Self::Few(ids) => (pick(dialect, FEW), ids),
            Self::Many(search) => (pick(dialect, MANY), search),
        }
    }
}

const COUNTS: &str = "select h.facet, count(*) as n, cast(sum(h.version) as bigint) as version \
    from health_status h where h.is_observed = 1 and h.health_center_id = $1 \
    and ($2 = '' or h.clinic_id = $2) group by h.clinic_id, h.facet";

const OWNED: &str = "select count(*) as n from health_status h \
    where h.is_observed = 1 and h.health_center_id = $1 and ($2 = '' or h.clinic_id = $2) \
    and h.owner <> '' and h.owner = $3";

impl Counts {
    /// Adds so many patients of the same kind.
    pub(super) fn add(&mut self, facet: i64, n: u32, version: i64) -> Option<()> {
        let Facet { need, is_reported, is_partial, has_fever, is_ending, is_unreached, stage } =
            Facet::unpacked(facet)?;
        for (count, is_counted) in [
            (&mut self.all, true),
            (&mut self.action, need < Need::Unreported),
            (&mut self.unreported, !is_reported && !is_partial),
            (&mut self.fever, has_fever),
            (&mut self.ending, is_ending),
            (&mut self.partial, is_partial),
            (&mut self.reported, is_reported),
            (&mut self.planned, stage >= CallStage::Planned),
            (&mut self.called, stage >= CallStage::Called),
            (&mut self.answered, stage >= CallStage::Answered),
            (&mut self.identified, stage >= CallStage::Identified),
            (&mut self.unreached, is_unreached),
        ] {
            *count += if is_counted { n } else { 0 };
        }
        self.version += version;
        Some(())
    }
}

impl Within<'_> {
    /// A page of 健康状態一覧: who needs somebody soonest comes first, then by kana.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the cursor's patient is not there any more.
    pub async fn health_page(
        &self,
        today: Date,
        query: &ListQuery,
        limit: u32,
    ) -> Result<ListPage, StoreError> {
        let filter = Filter::of(query, today);
        let mut session = self.store.glance().await?;
        let connection = session.connection();
        let (need, kana, number) = match query.after {
            None => (-1, String::new(), String::new()),
            Some(cursor) => {
                let (kana, number) = self.place(connection, cursor.patient).await?;
                (cursor.need, kana, number)
            }
        };
        let search =
            Search::of(&mut *connection, self.store.dialect, &self.center_text(), filter.search)
                .await?;
        let ([everybody, owned], search) = search.statements(self.store.dialect);
        let statement = if filter.owner.is_none() { everybody } else { owned };
        let mut rows = sqlx::query(statement)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(filter.need_below)
            .bind(filter.report)
            .bind(filter.fever_days)
            .bind(filter.last_day)
            .bind(search)
            .bind(need)
            .bind(kana)
            .bind(number)
            .bind(i64::from(limit) + 1);
        if let Some(owner) = filter.owner {
            rows = rows.bind(owner);
        }
        let rows = rows.fetch_all(connection).await?;
        let is_last = rows.len() <= limit as usize;
        let rows = &rows[..rows.len().min(limit as usize)];
        let next = match rows.last() {
            Some(row) if !is_last => {
                let fields = Fields::new("health_status", row);
                Some(Cursor { need: fields.integer("need")?, patient: fields.parsed("id")? })
            }
            _ => None,
        };
        Ok(ListPage { rows: rows.iter().map(listed).collect::<Result<_, _>>()?, next })
    }

    /// How many rows each tab has, and how far the calls of the day came.
    pub async fn health_counts(&self, owner: StaffId) -> Result<Counts, StoreError> {
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(COUNTS)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_all(session.connection())
            .await?;
        let mut counts = Counts::default();
        for row in &rows {
            let fields = Fields::new("health_status", row);
            counts
                .add(fields.integer("facet")?, fields.integer("n")?, fields.integer("version")?)
                .ok_or_else(|| fields.corrupt("facet"))?;
        }
        let row = sqlx::query(OWNED)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(owner.to_string())
            .fetch_one(session.connection())
            .await?;
        counts.owned = Fields::new("health_status", &row).integer("n")?;
        Ok(counts)
    }

    /// The row of one patient; `None` if nobody observes the patient on the day of the list.
    pub async fn health_status(
        &self,
        patient: PatientId,
    ) -> Result<Option<HealthStatus>, StoreError> {
        const ONE: &str = "select h.patient_id as id, h.day, h.need, h.report, h.shown \
            from health_status h where h.patient_id = $1 and h.is_observed = 1 \
            and h.health_center_id = $2 and ($3 = '' or h.clinic_id = $3)";
        let mut session = self.store.glance().await?;
        let row = sqlx::query(ONE)
            .bind(patient.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_optional(session.connection())
            .await?;
        match row {
            Some(row) => status(&row),
            None => Ok(None),
        }
    }

    /// How the database goes about a page of what is searched, and about the counts: its own plans.
    /// For tuning.
    pub async fn explain_health(
        &self,
        today: Date,
        search: &str,
    ) -> Result<[Vec<String>; 2], StoreError> {
        let (explain, column) = match self.store.dialect {
            Dialect::Sqlite => ("explain query plan ", "detail"),
            Dialect::Postgres => ("explain (costs off) ", "QUERY PLAN"),
        };
        let query = ListQuery { search: search.to_owned(), ..ListQuery::default() };
        let filter = Filter::of(&query, today);
        let mut session = self.store.write().await?;
        let search = Search::of(
            session.connection(),
            self.store.dialect,
            &self.center_text(),
            filter.search,
        )
        .await?;
        let ([everybody, _], search) = search.statements(self.store.dialect);
        // Two constants joined; nothing comes from outside.
        let page = sqlx::query(AssertSqlSafe(format!("{explain}{everybody}")))
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(filter.need_below)
            .bind(filter.report)
            .bind(filter.fever_days)
            .bind(filter.last_day)
            .bind(search)
            .bind(-1_i64)
            .bind("")
            .bind("")
            .bind(50_i64)
            .fetch_all(session.connection())
            .await?;
        let counts = sqlx::query(AssertSqlSafe(format!("{explain}{COUNTS}")))
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_all(session.connection())
            .await?;
        let text = |rows: &[AnyRow]| rows.iter().map(|row| row.get(column)).collect();
        Ok([text(&page), text(&counts)])
    }

    /// Where a patient stands among those of equal need.
    async fn place(
        &self,
        connection: &mut AnyConnection,
        patient: PatientId,
    ) -> Result<(String, String), StoreError> {
        const PLACE: &str = "select h.kana, h.registration_number from health_status h \
            where h.patient_id = $1 and h.health_center_id = $2 and ($3 = '' or h.clinic_id = $3)";
        let row = sqlx::query(PLACE)
            .bind(patient.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_optional(connection)
            .await?;
        let row = row.ok_or(StoreError::NotFound { what: "patient" })?;
        let fields = Fields::new("health_status", &row);
        Ok((fields.text("kana")?.to_owned(), fields.text("registration_number")?.to_owned()))
    }
}

fn listed(row: &AnyRow) -> Result<Listed, StoreError> {
    let fields = Fields::new("patient", row);
    let risks = fields.text("risks")?.split_whitespace().map(RiskFlag::parse);
    Ok(Listed {
        patient: fields.parsed("id")?,
        registration_number: fields.text("registration_number")?.to_owned(),
        birth_date: Private::new(fields.parsed("birth_date")?),
        name: Private::new(fields.text("name")?.to_owned()),
        kana: Private::new(fields.text("kana")?.to_owned()),
        gender: fields.word_or_null("gender", Gender::parse)?,
        lives_alone: fields.flag("lives_alone")?,
        // A word that a later version knows is left out; the row is worth more.
        risks: risks.flatten().collect(),
        status: status(row)?,
    })
}

fn status(row: &AnyRow) -> Result<Option<HealthStatus>, StoreError> {
    let fields = Fields::new("health_status", row);
    let json = fields.text("shown")?;
    if json.is_empty() {
        return Ok(None);
    }
    shown::from_json(
        fields.parsed("id")?,
        fields.parsed("day")?,
        fields.integer("need")?,
        fields.text("report")?,
        json,
    )
    .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_however_it_is_written() {
        for (typed, expected) in [
            ("かんざき はな", "カンザキハナ"),
            ("ｶﾝｻﾞｷ　ﾊﾅ", "カンザキハナ"),
            ("神崎　花", "神崎花"),
            ("Ａ００１", "a001"),
            ("", ""),
        ] {
            assert_eq!(folded(typed), expected, "{typed}");
        }
        assert_eq!(folded(" "), "");
    }
}
