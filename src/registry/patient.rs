//! A patient, and the telephones by which to reach them.

use jiff::civil::Date;

use crate::base::id::{HealthCenterId, PatientId};
use crate::base::{Bilingual, Language, PhoneNumber, Private};

/// A patient.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts about a person")]
pub struct Patient {
    /// The id.
    pub id: PatientId,
    /// The centre that looks after the patient.
    pub health_center: HealthCenterId,
    /// The number of the registration (管理番号), unique within the centre: the first identifier.
    pub registration_number: String,
    /// The second identifier, and what the patient proves to be with on the telephone.
    pub birth_date: Private<Date>,
    /// The name as written.
    pub name: Private<String>,
    /// The name as said, in katakana: family name, a space, given name.
    pub kana: Private<String>,
    /// 性別, if anybody told.
    pub gender: Option<Gender>,
    /// The language to speak.
    pub language: Language,
    /// A thermometer is at hand; asked for a temperature only then.
    pub has_thermometer: bool,
    /// A pulse oximeter is at hand; asked for SpO2 only then.
    pub has_oximeter: bool,
    /// Speak slower and wait twice as long.
    pub slow_speech: bool,
    /// Lives alone: silence is graver.
    pub lives_alone: bool,
    /// What raises the risk of a grave course.
    pub risks: Vec<RiskFlag>,
    /// Telephones in the order of dialling; at least one.
    pub phones: Vec<PatientPhone>,
}

impl Patient {
    /// Whether a finding weighs one level more (`domain`: high-risk list).
    pub fn is_high_risk(&self, today: Date) -> bool {
        !self.risks.is_empty() || self.age(today) >= 65
    }

    /// Age in full years.
    pub fn age(&self, today: Date) -> i16 {
        let born = *self.birth_date.expose();
        let had_birthday = (today.month(), today.day()) >= (born.month(), born.day());
        today.year() - born.year() - i16::from(!had_birthday)
    }
}

impl Patient {
    /// The numbers that a machine may call, in the order of dialling.
    pub fn callable(&self) -> Vec<PhoneNumber> {
        let callable = self.phones.iter().filter(|phone| phone.may_call);
        callable.map(|phone| phone.number.clone()).collect()
    }
}

/// 性別, as the health centre's papers tell it (FHIR: administrative gender).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Gender {
    /// 男
    Male,
    /// 女
    Female,
    /// その他
    Other,
    /// 不明: it was asked for, and is not known.
    Unknown,
}

impl Gender {
    /// Every one, in the order of forms.
    pub const ALL: [Self; 4] = [Self::Male, Self::Female, Self::Other, Self::Unknown];

    /// The word for it in the store, and in FHIR.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Male => "male",
            Self::Female => "female",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|gender| gender.as_str() == text)
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Male => Bilingual::fixed("男", "male"),
            Self::Female => Bilingual::fixed("女", "female"),
            Self::Other => Bilingual::fixed("その他", "other"),
            Self::Unknown => Bilingual::fixed("不明", "unknown"),
        }
    }
}

/// A telephone of a patient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PatientPhone {
    /// The number.
    pub number: PhoneNumber,
    /// Whose telephone it is.
    pub role: PhoneRole,
    /// The patient, or whose telephone it is, agreed to be called by us.
    pub may_call: bool,
}

/// Whose telephone it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PhoneRole {
    /// The landline of the household.
    Home,
    /// The patient's own mobile telephone.
    Mobile,
    /// A member of the family who may answer for the patient.
    Family,
}

impl PhoneRole {
    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Mobile => "mobile",
            Self::Family => "family",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Home, Self::Mobile, Self::Family].into_iter().find(|role| role.as_str() == text)
    }
}

/// What raises the risk of a grave course (自宅療養の実施に関する留意事項: the list of high risks).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RiskFlag {
    /// 呼吸器疾患
    Respiratory,
    /// 腎疾患
    Kidney,
    /// 心疾患・血管疾患
    Heart,
    /// 糖尿病
    Diabetes,
    /// 高血圧
    Hypertension,
    /// 肥満
    Obesity,
    /// 免疫抑制
    Immunosuppressed,
    /// 妊婦
    Pregnant,
    /// 中等症以上
    Moderate,
}

impl RiskFlag {
    /// Every flag.
    pub const ALL: [Self; 9] = [
        Self::Respiratory,
        Self::Kidney,
        Self::Heart,
        Self::Diabetes,
        Self::Hypertension,
        Self::Obesity,
        Self::Immunosuppressed,
        Self::Pregnant,
        Self::Moderate,
    ];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Respiratory => "respiratory",
            Self::Kidney => "kidney",
            Self::Heart => "heart",
            Self::Diabetes => "diabetes",
            Self::Hypertension => "hypertension",
            Self::Obesity => "obesity",
            Self::Immunosuppressed => "immunosuppressed",
            Self::Pregnant => "pregnant",
            Self::Moderate => "moderate",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|flag| flag.as_str() == text)
    }
}
