//! What a row of a list would change: beside what the registry knows of the person.

use jiff::civil::Time;

use crate::base::Bilingual;
use crate::registry::arrangement::{Channel, Weekdays};
use crate::registry::import::PatientDraft;
use crate::registry::{Episode, Gender, Patient, PatientPhone, PhoneRole, RiskFlag};

/// What the registry knows that concerns one row.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The patient with the same number, and the active episode.
    pub patient: Option<(Patient, Option<Episode>)>,
    /// The registration numbers of others who share a telephone.
    pub household: Vec<String>,
    /// The registration numbers of others with the same birth date and kana: perhaps the same
    /// person, registered twice.
    pub namesakes: Vec<String>,
}

/// What taking over a row would do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compared {
    /// New, changed or the same.
    pub verdict: Verdict,
    /// What would be different, old and new.
    pub differences: Vec<Difference>,
    /// What staff should look at before they take the row over.
    pub warnings: Vec<Bilingual>,
}

/// What taking over a row would do to the registry.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Verdict {
    /// 新規
    New,
    /// 更新
    Updated,
    /// 変更なし
    Unchanged,
}

impl Verdict {
    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::New => Bilingual::fixed("新規", "new"),
            Self::Updated => Bilingual::fixed("更新", "updated"),
            Self::Unchanged => Bilingual::fixed("変更なし", "unchanged"),
        }
    }
}

/// One thing that would be different.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// What it is.
    pub field: Bilingual,
    /// As it is now.
    pub old: String,
    /// As the list says.
    pub new: String,
}

/// Compares a row with what is known.
pub fn compare(draft: &PatientDraft, known: &Known) -> Compared {
    let mut warnings = Vec::new();
    if !known.namesakes.is_empty() {
        let numbers = known.namesakes.join("・");
        warnings.push(Bilingual::composed(
            format!(
                "同じ生年月日・フリガナの方が別の管理番号（{numbers}）で登録されています。\
                 同じ方なら、この行を外して管理番号を確認してください"
            ),
            format!(
                "somebody with the same birth date and kana is registered as {numbers}: if it is \
                 the same person, leave this row out and check the number"
            ),
        ));
    }
    let Some((patient, episode)) = &known.patient else {
        return Compared { verdict: Verdict::New, differences: Vec::new(), warnings };
    };
    if draft.birth_date != patient.birth_date && draft.kana != patient.kana {
        warnings.insert(
            0,
            Bilingual::fixed(
                "この管理番号は、氏名も生年月日も異なる方のものです。番号の付け間違いでないか確認してください",
                "this number belongs to somebody with another name and birth date: make sure that \
                 it is right",
            ),
        );
    }
    let differences = differences(draft, patient, episode.as_ref());
    let verdict = if differences.is_empty() { Verdict::Unchanged } else { Verdict::Updated };
    Compared { verdict, differences, warnings }
}

fn differences(
    draft: &PatientDraft,
    patient: &Patient,
    episode: Option<&Episode>,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut look = |ja: &'static str, en: &'static str, old: String, new: String| {
        if old != new {
            found.push(Difference { field: Bilingual::fixed(ja, en), old, new });
        }
    };
    look("氏名", "name", patient.name.expose().clone(), draft.name.expose().clone());
    look("フリガナ", "kana", patient.kana.expose().clone(), draft.kana.expose().clone());
    look(
        "生年月日",
        "birth date",
        patient.birth_date.expose().to_string(),
        draft.birth_date.expose().to_string(),
    );
    // A list that does not tell it takes nothing away.
    if let Some(gender) = *draft.sex.expose() {
        look("性別", "gender", gender_word(patient.gender), gender_word(Some(gender)));
    }
    look("電話番号", "telephones", phones(&patient.phones), phones(&draft.phones));
    look("言語", "language", patient.language.code().to_owned(), draft.language.code().to_owned());
    look("体温計", "thermometer", there(patient.has_thermometer), there(draft.has_thermometer));
    look(
        "パルスオキシメーター",
        "pulse oximeter",
        there(patient.has_oximeter),
        there(draft.has_oximeter),
    );
    look("ゆっくり話す", "slow speech", there(patient.slow_speech), there(draft.slow_speech));
    look("独居", "lives alone", there(patient.lives_alone), there(draft.lives_alone));
    look("リスク因子", "risks", risks(&patient.risks), risks(&draft.risks));
    let (days, times) = episode.map_or_else(Default::default, |episode| {
        (format!("{}〜{}", episode.first_day, episode.last_day), clock_times(&episode.call_times))
    });
    look("観察期間", "observation", days, format!("{}〜{}", draft.first_day, draft.last_day));
    look("架電時刻", "times of calls", times, clock_times(&draft.call_times));
    // A list that does not tell it changes nothing, and neither does what holds anyway.
    let before = episode.map(|episode| episode.arrangement.clone()).unwrap_or_default();
    let after = draft.told.apply(before.clone());
    let days = |days: Weekdays| days.written().ja.into_owned();
    look("架電曜日", "days of calls", days(before.weekdays), days(after.weekdays));
    let way = |channel: Channel| channel.name().ja.into_owned();
    look("報告方法", "reports by", way(before.channel), way(after.channel));
    found
}

fn gender_word(gender: Option<Gender>) -> String {
    gender.map(|gender| gender.name().ja.into_owned()).unwrap_or_default()
}

fn there(is_there: bool) -> String {
    if is_there { "有" } else { "無" }.to_owned()
}

fn phones(phones: &[PatientPhone]) -> String {
    let one = |phone: &PatientPhone| {
        let role = match phone.role {
            PhoneRole::Home => "自宅",
            PhoneRole::Mobile => "携帯",
            PhoneRole::Family => "家族",
        };
        format!("{}（{role}）", phone.number.national())
    };
    phones.iter().map(one).collect::<Vec<_>>().join("、")
}

fn risks(risks: &[RiskFlag]) -> String {
    risks.iter().map(|risk| risk.as_str()).collect::<Vec<_>>().join("、")
}

fn clock_times(times: &[Time]) -> String {
    times.iter().map(|time| time.strftime("%H:%M").to_string()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;

    use super::*;
    use crate::base::id::Minter;
    use crate::registry::arrangement::Told;
    use crate::registry::import::read;

    fn draft(kana: &str, birth: &str, times: &str) -> PatientDraft {
        let list = format!(
            "管理番号,氏名,フリガナ,生年月日,電話番号,観察開始日,観察終了日,架電時刻\n\
             A1,神崎花,{kana},{birth},090-1234-5678,2026-11-20,2026-11-30,{times}\n"
        );
        let import = read(list.as_bytes(), date(2026, 11, 25));
        import.drafts().next().unwrap().clone()
    }

    fn known(draft: &PatientDraft) -> Known {
        let mut minter = Minter::new([3; 32]);
        let at = Timestamp::UNIX_EPOCH;
        let patient = draft.patient(minter.mint(at), minter.mint(at));
        let episode = draft.episode(minter.mint(at), patient.id);
        Known { patient: Some((patient, Some(episode))), ..Known::default() }
    }

    #[test]
    fn a_row_is_new_changed_or_the_same() {
        let row = draft("カンザキ ハナ", "1950/1/2", "9:30");
        assert_eq!(compare(&row, &Known::default()).verdict, Verdict::New);
        let known = known(&row);
        assert_eq!(compare(&row, &known).verdict, Verdict::Unchanged);
        let later = compare(&draft("カンザキ ハナ", "1950/1/2", "10:00"), &known);
        assert_eq!(later.verdict, Verdict::Updated);
        let [only] = later.differences.as_slice() else { panic!("{later:?}") };
        assert_eq!((only.old.as_str(), only.new.as_str()), ("09:30", "10:00"));
        assert!(later.warnings.is_empty());
    }

    #[test]
    fn days_and_way_are_compared_only_where_the_list_tells_them() {
        let row = draft("カンザキ ハナ", "1950/1/2", "9:30");
        let mut known = known(&row);
        let (_, episode) = known.patient.as_mut().unwrap();
        episode.as_mut().unwrap().arrangement.channel = Channel::Staff;
        assert_eq!(compare(&row, &known).verdict, Verdict::Unchanged, "agreed by staff");
        let told = Told { weekdays: None, channel: Some(Channel::Web) };
        let changed = compare(&PatientDraft { told, ..row }, &known);
        let [only] = changed.differences.as_slice() else { panic!("{changed:?}") };
        assert_eq!((only.old.as_str(), only.new.as_str()), ("職員の電話", "Web"));
    }

    #[test]
    fn a_number_that_belongs_to_somebody_else_is_told() {
        let known = known(&draft("カンザキ ハナ", "1950/1/2", "9:30"));
        let other = compare(&draft("ヤマダ タロウ", "1961/3/4", "9:30"), &known);
        assert!(other.warnings[0].ja.contains("管理番号"));
        let married = compare(&draft("ヤマダ ハナ", "1950/1/2", "9:30"), &known);
        assert!(married.warnings.is_empty(), "a name may change");
    }

    #[test]
    fn a_namesake_is_told() {
        let namesake = Known { namesakes: vec!["B7".to_owned()], ..Known::default() };
        let row = compare(&draft("カンザキ ハナ", "1950/1/2", "9:30"), &namesake);
        assert_eq!(row.verdict, Verdict::New);
        assert!(row.warnings[0].en.contains("B7"));
    }
}
