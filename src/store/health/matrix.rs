//! Days × people: what each day brought, for the people of one page of the list.

use std::collections::HashMap;

use jiff::ToSpan;
use jiff::civil::Date;
use sqlx::any::AnyRow;

use crate::base::clock::civil;
use crate::base::id::PatientId;
use crate::campaign::SlotState;
use crate::observation::Channel;
use crate::store::health::{id_list, midnight, of_patients, pick};
use crate::store::row::Fields;
use crate::store::{StoreError, Within};

/// The cells of some people, by patient; each has one per day, the earliest first.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    /// The days.
    pub days: Vec<Date>,
    /// The cells.
    pub cells: HashMap<PatientId, Vec<DayCell>>,
}

/// What one day brought of one patient.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DayCell {
    /// Whether there was a report.
    pub state: DayState,
    /// By which way it came last.
    pub channel: Option<Channel>,
    /// 要注意: a rule has found something that a human had to act on (P1 to P3).
    pub needs_care: bool,
}

/// Whether a day brought a report.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DayState {
    /// 対象外: nothing was owed and nothing came.
    #[default]
    NotOwed,
    /// 未: nothing was heard yet.
    Waiting,
    /// 架電中: the call is under way.
    Calling,
    /// 未応答: nobody was reached.
    Unreached,
    /// 途中: not all that is required was answered.
    Partial,
    /// 報告済
    Reported,
}

impl Within<'_> {
    /// What the days up to `last` brought of these patients. Who is out of scope has no cells.
    pub async fn health_matrix(
        &self,
        last: Date,
        n_days: u8,
        patients: &[PatientId],
    ) -> Result<Matrix, StoreError> {
        const SLOTS: [&str; 2] = of_patients!(
            "select s.patient_id, s.date, s.state from slot s \
             join patient p on p.id = s.patient_id where s.patient_id",
            "and s.date >= $2 and s.date <= $3 \
             and p.health_center_id = $4 and ($5 = '' or p.clinic_id = $5)"
        );
        // A day of Japan as a number: nine hours before that of UTC begins.
        const HEARD: [&str; 2] = of_patients!(
            "select o.patient_id, o.channel, max(o.effective_at) as at from observation o \
             join patient p on p.id = o.patient_id where o.patient_id",
            "and o.effective_at >= $2 and o.effective_at < $3 and o.value <> 'unanswered' \
             and p.health_center_id = $4 and ($5 = '' or p.clinic_id = $5) \
             group by o.patient_id, o.channel, (o.effective_at + 32400000) / 86400000"
        );
        const FACTS: [&str; 2] = of_patients!(
            "select k.patient_id, x.at from case_fact x \
             join escalation_case k on k.id = x.case_id \
             join patient p on p.id = k.patient_id where k.patient_id",
            "and x.at >= $2 and x.at < $3 and x.priority <> 'p0' \
             and p.health_center_id = $4 and ($5 = '' or p.clinic_id = $5)"
        );
        let first = last.saturating_sub((i64::from(n_days) - 1).days());
        let days: Vec<Date> = first.series(1.day()).take(usize::from(n_days)).collect();
        let ids = id_list(patients);
        let dialect = self.store.dialect;
        let mut session = self.store.read().await?;
        let slots = sqlx::query(pick(dialect, SLOTS))
            .bind(ids.as_str())
            .bind(first.to_string())
            .bind(last.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_all(session.connection())
            .await?;
        let mut moments = Vec::new();
        for twins in [HEARD, FACTS] {
            let rows = sqlx::query(pick(dialect, twins))
                .bind(ids.as_str())
                .bind(midnight(first))
                .bind(midnight(last.saturating_add(1.day())))
                .bind(self.center_text())
                .bind(self.clinic_text())
                .fetch_all(session.connection())
                .await?;
            moments.push(rows);
        }
        let mut matrix = Matrix { days, cells: HashMap::new() };
        for row in &slots {
            let fields = Fields::new("slot", row);
            let state = fields.word("state", SlotState::parse)?;
            if let Some(cell) = matrix.cell(fields.parsed("patient_id")?, fields.parsed("date")?) {
                cell.state = graver(cell.state, of_slot(state));
            }
        }
        let mut latest = HashMap::new();
        for row in &moments[0] {
            let fields = Fields::new("observation", row);
            let (patient, at) = (fields.parsed("patient_id")?, fields.time("at")?);
            let date = civil(at).date();
            let newest = latest.entry((patient, date)).or_insert(at);
            if let Some(cell) = matrix.cell(patient, date)
                && (cell.channel.is_none() || *newest <= at)
            {
                *newest = at;
                let channel = fields.word("channel", Channel::parse)?;
                cell.channel = Some(channel);
                cell.state = heard(cell.state, channel);
            }
        }
        for row in &moments[1] {
            let (patient, date) = of_moment(row)?;
            if let Some(cell) = matrix.cell(patient, date) {
                cell.needs_care = true;
            }
        }
        Ok(matrix)
    }
}

impl Matrix {
    fn cell(&mut self, patient: PatientId, date: Date) -> Option<&mut DayCell> {
        let place = self.days.iter().position(|day| *day == date)?;
        let n_days = self.days.len();
        self.cells.entry(patient).or_insert_with(|| vec![DayCell::default(); n_days]).get_mut(place)
    }
}

fn of_moment(row: &AnyRow) -> Result<(PatientId, Date), StoreError> {
    let fields = Fields::new("case_fact", row);
    Ok((fields.parsed("patient_id")?, civil(fields.time("at")?).date()))
}

fn of_slot(state: SlotState) -> DayState {
    match state {
        SlotState::Due => DayState::Waiting,
        SlotState::InProgress => DayState::Calling,
        SlotState::Reported => DayState::Reported,
        SlotState::Partial => DayState::Partial,
        SlotState::Unreached | SlotState::Expired => DayState::Unreached,
        SlotState::Skipped => DayState::NotOwed,
    }
}

/// Of two slots of a day: a call under way is shown, then a report, then what is still open.
fn graver(one: DayState, other: DayState) -> DayState {
    let rank = |state| match state {
        DayState::NotOwed => 0,
        DayState::Unreached => 1,
        DayState::Waiting => 2,
        DayState::Partial => 3,
        DayState::Reported => 4,
        DayState::Calling => 5,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// What is heard makes a day that owed nothing a day with a report, and an open one unfinished.
fn heard(state: DayState, channel: Channel) -> DayState {
    match state {
        DayState::NotOwed if channel != Channel::OutboundCall => DayState::Reported,
        DayState::NotOwed | DayState::Waiting | DayState::Unreached => DayState::Partial,
        DayState::Calling | DayState::Partial | DayState::Reported => state,
    }
}
