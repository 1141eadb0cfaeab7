//! A district made of code: a health centre, its patients, and who is at their telephones.
//!
//! Everybody and every number is invented, the same again for the same seed.

use jiff::ToSpan;
use jiff::civil::{Date, Time, date, time};
use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::base::clock;
use crate::base::id::Minter;
use crate::base::{Language, PhoneNumber};
use crate::registry::{
    Arrangement, Episode, Gender, HealthCenter, Patient, PatientPhone, PhoneRole, RiskFlag,
};
use crate::sim::directory::{Directory, Resident};
use crate::sim::persona::{Persona, Temper};

const FAMILIES: [(&str, &str); 16] = [
    ("佐藤", "サトウ"),
    ("鈴木", "スズキ"),
    ("高橋", "タカハシ"),
    ("田中", "タナカ"),
    ("伊藤", "イトウ"),
    ("渡辺", "ワタナベ"),
    ("山本", "ヤマモト"),
    ("中村", "ナカムラ"),
    ("小林", "コバヤシ"),
    ("加藤", "カトウ"),
    ("吉田", "ヨシダ"),
    ("山田", "ヤマダ"),
    ("佐々木", "ササキ"),
    ("松本", "マツモト"),
    ("井上", "イノウエ"),
    ("木村", "キムラ"),
];

const GIVEN: [(&str, &str, Gender); 12] = [
    ("花子", "ハナコ", Gender::Female),
    ("太郎", "タロウ", Gender::Male),
    ("幸子", "サチコ", Gender::Female),
    ("清", "キヨシ", Gender::Male),
    ("和子", "カズコ", Gender::Female),
    ("実", "ミノル", Gender::Male),
    ("美咲", "ミサキ", Gender::Female),
    ("健", "ケン", Gender::Male),
    ("恵", "メグミ", Gender::Female),
    ("誠", "マコト", Gender::Male),
    ("翔", "ショウ", Gender::Male),
    ("文子", "フミコ", Gender::Female),
];

/// What a district is to be like.
#[derive(Clone, Debug)]
pub struct Config {
    /// Decides everything else.
    pub seed: u64,
    /// How many patients; up to 9000, for so many numbers are invented.
    pub n_patients: u32,
    /// The first day under observation.
    pub first_day: Date,
    /// The last, inclusive.
    pub last_day: Date,
    /// When they are called, 1 to 4 times of day.
    pub call_times: Vec<Time>,
}

/// A health centre, its patients, and who is at their telephones.
#[derive(Clone, Debug)]
pub struct District {
    /// The health centre.
    pub health_center: HealthCenter,
    /// Its patients.
    pub households: Vec<Household>,
}

/// A patient, and who is at the telephone.
#[derive(Clone, Debug)]
pub struct Household {
    /// The patient.
    pub patient: Patient,
    /// The days under observation.
    pub episode: Episode,
    /// Who answers, and how.
    pub persona: Persona,
}

impl District {
    /// Invents a district. Of the patients one has each [`Temper`], as far as they suffice; most of
    /// the others simply answer.
    pub fn new(config: &Config) -> Self {
        let mut dice = StdRng::seed_from_u64(config.seed);
        let mut minter = Minter::new(dice.random());
        let began = clock::timestamp(config.first_day.at(0, 0, 0, 0));
        let health_center = HealthCenter {
            id: minter.mint(began),
            code: "sim".to_owned(),
            name: "みまもり保健所".to_owned(),
            kana: "ミマモリホケ'ンジョ".to_owned(),
            // Of the block 0000, which is assigned to nobody.
            desk_phone: "03-0000-0000".to_owned(),
            opens_at: time(9, 0, 0, 0),
            closes_at: time(20, 0, 0, 0),
        };
        let households = (0..config.n_patients)
            .map(|index| household(config, index, &health_center, &mut minter, &mut dice))
            .collect();
        Self { health_center, households }
    }

    /// The telephones of the district.
    pub fn directory(&self) -> Directory {
        Directory::new(self.households.iter().flat_map(|household| {
            let birth = *household.patient.birth_date.expose();
            let resident = Resident {
                persona: household.persona,
                birth: (birth.month(), birth.day()).into(),
                first_day: household.episode.first_day,
            };
            let phones = household.patient.phones.iter();
            phones.map(move |phone| (phone.number.clone(), resident.clone()))
        }))
    }
}

fn household(
    config: &Config,
    index: u32,
    health_center: &HealthCenter,
    minter: &mut Minter,
    dice: &mut StdRng,
) -> Household {
    let began = clock::timestamp(config.first_day.at(0, 0, 0, 0));
    let temper = usize::try_from(index).ok().and_then(|index| Temper::ALL.get(index).copied());
    let temper = temper.unwrap_or_else(|| most_are_prompt(dice));
    let (family, family_kana) = FAMILIES.choose(dice).copied().unwrap_or_default();
    let given = GIVEN.choose(dice).copied();
    let (given, given_kana, gender) = given.unwrap_or(("", "", Gender::Unknown));
    let born = date(1935, 1, 1).saturating_add(dice.random_range(0..25_000).days());
    // Of the frail the same value is an emergency at once.
    let born = if temper == Temper::LowOxygen { date(1990, 1, 31) } else { born };
    let is_frail = dice.random_bool(0.3) && temper != Temper::LowOxygen;
    let patient = Patient {
        id: minter.mint(began),
        health_center: health_center.id,
        registration_number: format!("S{:05}", index + 1),
        birth_date: born.into(),
        name: format!("{family} {given}").into(),
        kana: format!("{family_kana} {given_kana}").into(),
        gender: Some(gender),
        language: Language::Ja,
        has_thermometer: true,
        has_oximeter: temper != Temper::Prompt || dice.random_bool(0.7),
        slow_speech: temper == Temper::Slow,
        lives_alone: dice.random_bool(0.25),
        risks: if is_frail {
            RiskFlag::ALL.choose(dice).copied().into_iter().collect()
        } else {
            Vec::new()
        },
        phones: vec![PatientPhone {
            number: number(index),
            role: if temper == Temper::Family { PhoneRole::Family } else { PhoneRole::Mobile },
            may_call: true,
        }],
    };
    let episode = Episode {
        id: minter.mint(began),
        patient: patient.id,
        first_day: config.first_day,
        last_day: config.last_day,
        call_times: config.call_times.clone(),
        arrangement: Arrangement::default(),
    };
    Household { patient, episode, persona: Persona { temper, seed: dice.random() } }
}

/// Four of five answer; the fifth is anybody.
fn most_are_prompt(dice: &mut StdRng) -> Temper {
    if dice.random_bool(0.8) {
        return Temper::Prompt;
    }
    Temper::ALL.choose(dice).copied().unwrap_or(Temper::Prompt)
}

/// An invented number. It is only ever dialled within the simulated carrier.
fn number(index: u32) -> PhoneNumber {
    let number = format!("0901000{:04}", index % 9000 + 1);
    number.parse().expect("a mobile number of eleven digits")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn district(seed: u64) -> District {
        District::new(&Config {
            seed,
            n_patients: 200,
            first_day: date(2026, 11, 22),
            last_day: date(2026, 11, 28),
            call_times: vec![time(10, 0, 0, 0)],
        })
    }

    #[test]
    fn a_seed_invents_the_same_district_again() {
        let people = |seed| -> Vec<(Patient, Persona)> {
            let households = district(seed).households;
            households.into_iter().map(|one| (one.patient, one.persona)).collect()
        };
        assert_eq!(people(1), people(1));
        assert_ne!(people(1), people(2));
    }

    #[test]
    fn everybody_has_a_number_of_their_own_and_every_temper_lives_there() {
        let district = district(1);
        let numbers: BTreeSet<&PhoneNumber> =
            district.households.iter().map(|one| &one.patient.phones[0].number).collect();
        assert_eq!(numbers.len(), 200);
        let directory = district.directory();
        assert!(numbers.iter().all(|number| directory.resident(number).is_some()));
        let has = |temper| district.households.iter().any(|one| one.persona.temper == temper);
        assert!(Temper::ALL.into_iter().all(has));
    }
}
