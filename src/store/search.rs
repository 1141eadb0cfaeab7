//! Finds patients by what staff have at hand: a number, a name, a telephone.

use std::collections::HashMap;

use jiff::civil::Date;

use crate::base::id::PatientId;
use crate::registry::Patient;
use crate::store::registry::{fold_patients, select_patients};
use crate::store::row::Fields;
use crate::store::{StoreError, Within};

/// A patient who was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The patient.
    pub patient: Patient,
    /// The first and last day under observation, if they are or will be.
    pub observed: Option<(Date, Date)>,
}

impl Within<'_> {
    /// Up to `limit` patients by registration number: those whose number begins with the words,
    /// whose name or kana (in katakana) contains them, or whose telephone ends with their digits,
    /// of which there must be at least four. Blanks in names do not count. Empty words find
    /// nobody.
    pub async fn find_patients(&self, words: &str, limit: u32) -> Result<Vec<Found>, StoreError> {
        const FIND: &str = select_patients!(
            "where p.id in (select q.id from patient q where q.health_center_id = $1 \
             and ($2 = '' or q.clinic_id = $2) and (lower(q.registration_number) like $3 escape '!' \
             or replace(replace(q.name, ' ', ''), '　', '') like $4 escape '!' \
             or replace(replace(q.kana, ' ', ''), '　', '') like $4 escape '!' \
             or ($5 <> '' and exists (select 1 from patient_phone t \
             where t.patient_id = q.id and t.number like $5))) \
             order by q.registration_number, q.id limit $6)"
        );
        let words: String = words.chars().filter(|c| !c.is_whitespace()).collect();
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let literal = literal(&words);
        let mut session = self.store.read().await?;
        let rows = sqlx::query(FIND)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(format!("{}%", literal.to_lowercase()))
            .bind(format!("%{literal}%"))
            .bind(phone_ending(&words))
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await?;
        let patients = fold_patients(&rows)?;
        let mut observed = HashMap::new();
        for patient in &patients {
            if let Some(days) = observed_days(session.connection(), patient.id).await? {
                observed.insert(patient.id, days);
            }
        }
        let found = patients
            .into_iter()
            .map(|patient| Found { observed: observed.get(&patient.id).copied(), patient });
        Ok(found.collect())
    }
}

async fn observed_days(
    connection: &mut sqlx::AnyConnection,
    patient: PatientId,
) -> Result<Option<(Date, Date)>, StoreError> {
    const ACTIVE: &str = "select e.first_day, e.last_day from episode e \
        where e.patient_id = $1 and e.state = 'active'";
    let row = sqlx::query(ACTIVE).bind(patient.to_string()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let fields = Fields::new("episode", &row);
    Ok(Some((fields.parsed("first_day")?, fields.parsed("last_day")?)))
}

/// What `like` takes for the words themselves.
fn literal(words: &str) -> String {
    words.chars().fold(String::new(), |mut text, c| {
        if matches!(c, '%' | '_' | '!') {
            text.push('!');
        }
        text.push(c);
        text
    })
}

/// What a telephone must end with; empty if the words are no telephone.
fn phone_ending(words: &str) -> String {
    let is_phone = words.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '(' | ')'));
    let digits: String = words.chars().filter(char::is_ascii_digit).collect();
    if !is_phone || digits.len() < 4 {
        return String::new();
    }
    // A whole national number stands in the store without its first zero.
    let is_whole = digits.len() >= 10 && !words.starts_with('+');
    let ending = if is_whole { digits.strip_prefix('0').unwrap_or(&digits) } else { &digits };
    format!("%{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_search_are_no_pattern() {
        assert_eq!(literal("a_b%!"), "a!_b!%!!");
        for (words, ending) in [
            ("090-1234-5678", "%9012345678"),
            ("5678", "%5678"),
            ("+819012345678", "%819012345678"),
            ("0001", "%0001"),
            ("567", ""),
            ("A0001", ""),
        ] {
            assert_eq!(phone_ending(words), ending, "{words}");
        }
    }
}
