//! Fills an empty database with invented people and a week of their days, table by table: for
//! measuring how fast the console is with as many as a large city has.

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan};
use sqlx::AnyConnection;

use crate::base::clock::{civil, timestamp};
use crate::base::id::HealthCenterId;
use crate::store::row::millis;
use crate::store::{Dialect, Store, StoreError};

/// Days of history, today included.
const DAYS: i64 = 7;

/// An id made of a digit for the kind of row and a number: `substr` because the two databases fill
/// a text with zeros differently.
macro_rules! id {
    ($kind:literal, $number:literal) => {
        concat!(
            "'",
            $kind,
            "0000000-0000-7000-8000-' || substr('000000000000' || cast(",
            $number,
            " as text), length(cast(",
            $number,
            " as text)) + 1)"
        )
    };
}

/// The numbers of all invented patients, as `n (i)`.
macro_rules! everybody {
    ($rest:expr) => {
        concat!(
            "with recursive n (i) as (select cast(1 as bigint) union all \
             select i + 1 from n where i < $1) ",
            $rest
        )
    };
}

const PATIENTS: &str = concat!(
    "insert into patient (id, health_center_id, registration_number, birth_date, name, kana, \
     language, has_thermometer, has_oximeter, slow_speech, lives_alone, risks, gender, \
     created_at, updated_at) with recursive n (i) as (select cast(1 as bigint) union all \
     select i + 1 from n where i < $1), \
     family (k, name, kana) as (values (0, '佐藤', 'サトウ'), (1, '鈴木', 'スズキ'), \
     (2, '高橋', 'タカハシ'), (3, '田中', 'タナカ'), (4, '伊藤', 'イトウ'), \
     (5, '渡辺', 'ワタナベ'), (6, '山本', 'ヤマモト'), (7, '中村', 'ナカムラ'), \
     (8, '小林', 'コバヤシ'), (9, '加藤', 'カトウ'), (10, '吉田', 'ヨシダ')), \
     given (k, name, kana) as (values (0, '花子', 'ハナコ'), (1, '太郎', 'タロウ'), \
     (2, '幸子', 'サチコ'), (3, '清', 'キヨシ'), (4, '和子', 'カズコ'), (5, '実', 'ミノル'), \
     (6, '美咲', 'ミサキ')) select ",
    id!("1", "i"),
    ", $2, 'B' || cast(i as text), case when i % 3 = 0 then '1948-04-05' else '1983-10-11' end, \
     f.name || ' ' || g.name, f.kana || ' ' || g.kana, 'ja', 1, 1, 0, \
     case when i % 4 = 0 then 1 else 0 end, \
     case when i % 5 = 0 then 'heart diabetes' when i % 7 = 0 then 'respiratory' else '' end, \
     case when g.k in (1, 3, 5) then 'male' else 'female' end, \
     $3, $3 from n join family f on f.k = i % 11 join given g on g.k = i % 7"
);

const PHONES: &str = concat!(
    "insert into patient_phone (patient_id, position, number, role) ",
    everybody!(concat!(
        "select ",
        id!("1", "i"),
        ", 0, '+8190' || cast(10000000 + i as text), 'mobile' from n"
    ))
);

const EPISODES: &str = concat!(
    "insert into episode (id, patient_id, first_day, last_day, call_times, state, created_at, \
     updated_at) ",
    everybody!(concat!(
        "select ",
        id!("2", "i"),
        ", ",
        id!("1", "i"),
        ", $2, case when i % 10 = 0 then $3 else $4 end, '09:00:00', 'active', $5, $5 from n"
    ))
);

/// Four times a day, for years if need be.
const EPISODES_OF_FOUR: &str = concat!(
    "insert into episode (id, patient_id, first_day, last_day, call_times, state, created_at, \
     updated_at) ",
    everybody!(concat!(
        "select ",
        id!("2", "i"),
        ", ",
        id!("1", "i"),
        ", $2, $3, '09:00:00 12:00:00 15:00:00 18:30:00', 'active', $4, $4 from n"
    ))
);

/// The four slots of everybody on a day, all over.
const PAST_SLOTS: &str = concat!(
    "insert into slot (id, episode_id, patient_id, date, number, due_from, due_to, state, \
     created_at, settled_at, evaluated_at) ",
    everybody!(concat!(
        ", times (k) as (values (1), (2), (3), (4)) select ",
        // In the order of time, as those are that are minted.
        id!("3", "(($2 * 1000000 + i) * 10 + t.k)"),
        ", ",
        id!("2", "i"),
        ", ",
        id!("1", "i"),
        ", $3, t.k, $4 + t.k * 10800000, $4 + t.k * 10800000 + 7200000, 'reported', $4, \
         $4 + t.k * 10800000 + 180000, $4 from n cross join times t"
    ))
);

/// Of a past day one in fifty was not reached and one in forty only in part; of today a fifth waits.
const SLOTS: &str = concat!(
    "insert into slot (id, episode_id, patient_id, date, number, due_from, due_to, state, \
     created_at, settled_at, evaluated_at) ",
    everybody!(concat!(
        "select ",
        id!("3", "(i * 10 + $2)"),
        ", ",
        id!("2", "i"),
        ", ",
        id!("1", "i"),
        ", $3, 1, $4, $5, case when (i + $2) % 50 = 0 then 'unreached' \
         when $2 = 0 and i % 5 = 1 then 'due' when (i + $2) % 40 = 3 then 'partial' \
         else 'reported' end, $4, \
         case when (i + $2) % 50 <> 0 and $2 = 0 and i % 5 = 1 then null else $4 + 600000 end, \
         $4 from n"
    ))
);

const ATTEMPTS: &str = "insert into attempt (id, slot_id, patient_id, number, phone, due_at, state, node, dialed_at, \
     ringing_at, answered_at, ended_at, disposition, respondent, completion, created_at, \
     evaluated_at) select replace(s.id, '30000000-', '40000000-'), s.id, s.patient_id, 1, f.number, \
     s.due_from, 'done', 'bench', s.due_from, s.due_from, \
     case when s.state = 'unreached' then null else s.due_from end, s.due_from + 120000, \
     case when s.state = 'unreached' then 'no_answer' else 'answered' end, \
     case when s.state = 'unreached' then null else 'patient' end, \
     case s.state when 'unreached' then null when 'partial' then 'partial' else 'complete' end, \
     s.due_from, s.due_from from slot s join patient_phone f on f.patient_id = s.patient_id \
     where s.date = $1 and s.state <> 'due'";

/// One in thirty has had a fever for days, one in two hundred an SpO2 that alarms.
const OBSERVATIONS: &str = concat!(
    "insert into observation (id, patient_id, slot_id, code, value, effective_at, respondent, \
     channel, questionnaire, recorded_at, evaluated_at) ",
    everybody!(concat!(
        ", codes (k, code) as (values (0, 'temperature'), (1, 'spo2'), (2, 'dyspnea'), \
         (3, 'consciousness'), (4, 'fatigue')) select ",
        id!("5", "((i * 10 + $2) * 10 + c.k)"),
        ", s.patient_id, s.id, c.code, case c.k \
         when 0 then cast(case when i % 30 = 0 then 380 + (i + $2) % 9 \
         else 360 + (i * 7 + $2 * 3) % 13 end as text) \
         when 1 then cast(case when i % 200 = 0 then 91 else 96 + (i + $2) % 4 end as text) \
         else case when (i * 3 + $2 + c.k) % 25 = 0 then 'yes' else 'no' end end, \
         s.due_from + c.k * 10000, 'patient', 'outbound_call', 'recuperation@1', s.due_from, \
         s.due_from from n join slot s on s.id = ",
        id!("3", "(i * 10 + $2)"),
        " cross join codes c where s.state in ('reported', 'partial')"
    ))
);

const CASES: &str = concat!(
    "insert into escalation_case (id, patient_id, priority, state, opened_at, acknowledged_at, \
     acknowledged_by) ",
    everybody!(concat!(
        "select ",
        id!("6", "i"),
        ", ",
        id!("1", "i"),
        ", case i % 3 when 0 then 'p1' when 1 then 'p2' else 'p3' end, \
         case when i % 4 = 0 then 'acknowledged' else 'open' end, $2, \
         case when i % 4 = 0 then $2 end, case when i % 4 = 0 then 'nurse' end \
         from n where i % 100 in (0, 3, 41)"
    ))
);

/// Their rows of the list, which the day that follows fills.
const ROWS: &str = "insert into health_status (patient_id, day, is_observed, health_center_id, \
    clinic_id, registration_number, kana, search, last_day, need, report, \
    fever_days, owner, facet, shown, version) select p.id, '', 0, p.health_center_id, '', \
    p.registration_number, '', '', '', 0, 'none', 0, '', 0, '', 1 from patient p \
    where p.id not in (select h.patient_id from health_status h)";

impl Store {
    /// Invents so many patients of a centre, under observation for a week up to the day of `now`,
    /// with a call a day and its answers. `told` hears which table is being filled. The database
    /// must hold nobody.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody is there.
    pub async fn invent(
        &self,
        now: Timestamp,
        center: HealthCenterId,
        n_patients: u32,
        mut told: impl FnMut(&str),
    ) -> Result<(), StoreError> {
        let today = civil(now).date();
        let n = i64::from(n_patients);
        let began = millis(now - jiff::SignedDuration::from_hours(24 * DAYS));
        let mut session = self.write().await?;
        let connection = session.connection();
        self.make_room(connection).await?;
        told("patients");
        sqlx::query(PATIENTS)
            .bind(n)
            .bind(center.to_string())
            .bind(began)
            .execute(&mut *connection)
            .await?;
        sqlx::query(PHONES).bind(n).execute(&mut *connection).await?;
        let day = |ahead: i64| today.saturating_add(ahead.days()).to_string();
        sqlx::query(EPISODES)
            .bind(n)
            .bind(day(1 - DAYS))
            .bind(day(0))
            .bind(day(4))
            .bind(began)
            .execute(&mut *connection)
            .await?;
        for back in (0..DAYS).rev() {
            let date = today.saturating_sub(back.days());
            told(&date.to_string());
            invent_day(connection, n, back, date).await?;
        }
        told("cases");
        sqlx::query(CASES).bind(n).bind(millis(now)).execute(&mut *connection).await?;
        sqlx::query(ROWS).execute(&mut *connection).await?;
        sqlx::query("delete from health_touched").execute(&mut *connection).await?;
        session.commit(&[]).await?;
        told("statistics");
        let mut session = self.write().await?;
        sqlx::query("analyze").execute(session.connection()).await?;
        session.commit(&[]).await
    }

    /// Invents so many patients of a centre who are called four times a day, and as many days of
    /// slots and attempts that are over. `told` hears which day is being filled. The database must
    /// hold nobody.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if somebody is there.
    pub async fn invent_past(
        &self,
        now: Timestamp,
        center: HealthCenterId,
        (n_patients, n_days): (u32, u32),
        mut told: impl FnMut(&str),
    ) -> Result<(), StoreError> {
        let today = civil(now).date();
        let n = i64::from(n_patients);
        let began = millis(now - jiff::SignedDuration::from_hours(24 * i64::from(n_days)));
        let mut session = self.write().await?;
        let connection = session.connection();
        self.make_room(connection).await?;
        sqlx::query(PATIENTS)
            .bind(n)
            .bind(center.to_string())
            .bind(began)
            .execute(&mut *connection)
            .await?;
        sqlx::query(PHONES).bind(n).execute(&mut *connection).await?;
        sqlx::query(EPISODES_OF_FOUR)
            .bind(n)
            .bind(today.saturating_sub(i64::from(n_days).days()).to_string())
            .bind(today.saturating_add(30.days()).to_string())
            .bind(began)
            .execute(&mut *connection)
            .await?;
        sqlx::query(ROWS).execute(&mut *connection).await?;
        sqlx::query("delete from health_touched").execute(&mut *connection).await?;
        session.commit(&[]).await?;
        for (day, back) in (0..i64::from(n_days)).zip((0..i64::from(n_days)).rev()) {
            let date = today.saturating_sub(back.days());
            told(&date.to_string());
            let mut session = self.write().await?;
            let connection = session.connection();
            self.make_room(connection).await?;
            let midnight = timestamp(date.to_datetime(Time::midnight()));
            sqlx::query(PAST_SLOTS)
                .bind(n)
                .bind(day)
                .bind(date.to_string())
                .bind(millis(midnight))
                .execute(&mut *connection)
                .await?;
            sqlx::query(ATTEMPTS).bind(date.to_string()).execute(&mut *connection).await?;
            sqlx::query("delete from health_touched").execute(&mut *connection).await?;
            session.commit(&[]).await?;
        }
        told("statistics");
        let mut session = self.write().await?;
        self.make_room(session.connection()).await?;
        sqlx::query("analyze").execute(session.connection()).await?;
        session.commit(&[]).await
    }

    /// Minutes in one statement are right here.
    async fn make_room(&self, connection: &mut AnyConnection) -> Result<(), StoreError> {
        const SQLITE: &str = "pragma cache_size = -400000";
        const POSTGRES: &str = "set local statement_timeout = 0";
        let statement = match self.dialect {
            Dialect::Sqlite => SQLITE,
            Dialect::Postgres => POSTGRES,
        };
        sqlx::raw_sql(statement).execute(connection).await?;
        Ok(())
    }
}

async fn invent_day(
    connection: &mut AnyConnection,
    n: i64,
    back: i64,
    date: Date,
) -> Result<(), StoreError> {
    let from = timestamp(date.to_datetime(Time::constant(9, 0, 0, 0)));
    let to = timestamp(date.to_datetime(Time::constant(19, 0, 0, 0)));
    sqlx::query(SLOTS)
        .bind(n)
        .bind(back)
        .bind(date.to_string())
        .bind(millis(from))
        .bind(millis(to))
        .execute(&mut *connection)
        .await?;
    sqlx::query(ATTEMPTS).bind(date.to_string()).execute(&mut *connection).await?;
    sqlx::query(OBSERVATIONS).bind(n).bind(back).execute(connection).await?;
    Ok(())
}
