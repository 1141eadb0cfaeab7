//! The staff: who they are, what their roles let them do, and whose patients they may see.
//!
//! A right is asked for by what it is for, never by the name of a role, so that a role can be
//! changed in one place. Whoever sees patients belongs to one centre; those who serve the whole
//! installation (engineers, administrators) see none.

use jiff::{SignedDuration, Timestamp};

use crate::base::Private;
use crate::base::bilingual::Bilingual;
use crate::base::id::{ClinicId, HealthCenterId, StaffId};

/// A member of the staff.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Staff {
    /// The id.
    pub id: StaffId,
    /// The centre they work for; `None` for the whole installation.
    pub health_center: Option<HealthCenterId>,
    /// The contracted clinic they work for, if any: they see its patients alone.
    pub clinic: Option<ClinicId>,
    /// The name to sign in with, unique: lower-case letters, digits, `.`, `-`, `_`, `@`.
    pub login: String,
    /// The name that colleagues read beside what was done.
    pub name: Private<String>,
    /// What they do, each once.
    pub roles: Vec<Role>,
    /// May sign in.
    pub is_active: bool,
    /// The language of the console.
    pub language: ConsoleLanguage,
    /// A second factor is set up and proven.
    pub has_second_factor: bool,
    /// The password was given by somebody else and has to be replaced.
    pub must_change_password: bool,
    /// Signing in is refused until then.
    pub locked_until: Option<Timestamp>,
}

impl Staff {
    /// Whether any of the roles brings the right.
    pub fn may(&self, right: Right) -> bool {
        self.is_active && self.roles.iter().any(|role| role.rights().contains(&right))
    }

    /// Whether two accounts may do the same to the same people.
    pub fn has_rights_of(&self, other: &Self) -> bool {
        let mut roles = [self.roles.clone(), other.roles.clone()];
        for roles in &mut roles {
            roles.sort_by_key(|role| role.as_str());
        }
        (self.health_center, self.clinic, self.is_active)
            == (other.health_center, other.clinic, other.is_active)
            && roles[0] == roles[1]
    }

    /// What is wrong with the roles, the centre and the clinic taken together.
    pub fn fault(&self) -> Option<Bilingual> {
        let sees = self.roles.iter().any(|role| role.sees_patients());
        let is_of_clinic = self.roles.contains(&Role::Clinic);
        if !is_login(&self.login) {
            Some(Bilingual::fixed(
                "ログイン名は半角の英小文字・数字・ . - _ @ で 2〜64 文字にしてください",
                "a login has 2 to 64 of the characters a–z, 0–9, . - _ @",
            ))
        } else if self.name.expose().trim().is_empty() {
            Some(Bilingual::fixed("氏名がありません", "the name is missing"))
        } else if self.roles.is_empty() {
            Some(Bilingual::fixed("役割を一つ以上選んでください", "choose at least one role"))
        } else if sees && self.health_center.is_none() {
            Some(Bilingual::fixed(
                "患者を見る役割には保健所が要ります",
                "a role that sees patients needs a health centre",
            ))
        } else if is_of_clinic != self.clinic.is_some() {
            Some(Bilingual::fixed(
                "医療機関は、役割「委託医療機関」のときだけ、必ず選んでください",
                "a clinic goes with the role Clinic, and only with it",
            ))
        } else if is_of_clinic && self.roles.len() > 1 {
            Some(Bilingual::fixed(
                "「委託医療機関」は他の役割と兼ねられません",
                "the role Clinic cannot be combined with others",
            ))
        } else {
            None
        }
    }

    /// Whose patients may be seen; `None`: nobody's.
    pub fn scope(&self) -> Option<Scope> {
        if !(self.may(Right::SeeHealth) || self.may(Right::SeePlan)) {
            return None;
        }
        let is_of_clinic = self.roles.contains(&Role::Clinic);
        // A clinic's member without a clinic is a mistake in the records, and sees nothing.
        if is_of_clinic && self.clinic.is_none() {
            return None;
        }
        self.health_center.map(|center| Scope { center, clinic: self.clinic })
    }
}

/// Whose accounts and whose events somebody may see who manages or audits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reach {
    /// Those of the whole installation.
    Everybody,
    /// Those of one centre.
    Center(HealthCenterId),
}

impl Reach {
    /// The reach of an account that belongs to this centre, or to none.
    pub fn of(center: Option<HealthCenterId>) -> Self {
        center.map_or(Self::Everybody, Self::Center)
    }

    /// The centre that it ends at.
    pub fn center(self) -> Option<HealthCenterId> {
        match self {
            Self::Everybody => None,
            Self::Center(center) => Some(center),
        }
    }
}

/// Whether this can be the name to sign in with: 2 to 64 of `a`–`z`, `0`–`9`, `.`, `-`, `_`,
/// `@`.
pub fn is_login(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_@".contains(&b);
    (2..=64).contains(&text.len()) && text.bytes().all(fits)
}

/// So long a password that somebody else has made may be used to sign in.
pub const FIRST_PASSWORD: SignedDuration = SignedDuration::from_hours(72);

/// Wrong passwords or codes in a row that cost nothing.
const FREE_FAILURES: u32 = 5;

/// How long an account takes no further password or code after so many wrong ones in a row.
///
/// A minute after the fifth, twice as long after each further one, an hour at most. Never for ever:
/// whoever knows a login could lock its owner out.
pub fn lock_after(failures: u32) -> Option<SignedDuration> {
    let further = failures.checked_sub(FREE_FAILURES)?;
    Some(SignedDuration::from_mins(1_i64 << further.min(6)).min(SignedDuration::from_hours(1)))
}

/// The patients that somebody may see: those of a centre, or of one clinic of it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Scope {
    /// The centre.
    pub center: HealthCenterId,
    /// Only patients whom this clinic looks after.
    pub clinic: Option<ClinicId>,
}

/// A clinic that a centre has contracted to look after some of its patients.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Clinic {
    /// The id.
    pub id: ClinicId,
    /// The centre that contracted it.
    pub health_center: HealthCenterId,
    /// A short code that lists use, unique within the centre.
    pub code: String,
    /// The name as written.
    pub name: String,
}

/// The language of the console.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ConsoleLanguage {
    /// 日本語
    #[default]
    Ja,
    /// English
    En,
}

impl ConsoleLanguage {
    /// The ISO 639-1 code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ja, Self::En].into_iter().find(|language| language.as_str() == text)
    }
}

/// What somebody does here.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// 事務: imports lists, plans calls.
    Scheduler,
    /// 保健師・看護師: reads the state of health, works on cases, listens.
    Nurse,
    /// 管理職: all that concerns the centre's patients, its rules and settings.
    Supervisor,
    /// 委託先の医療機関: its own patients only.
    Clinic,
    /// 技術者: lines, prompts as files, logs; no patient.
    Engineer,
    /// 監査: the chain of events; no state of health.
    Auditor,
    /// システム管理: who may sign in; no patient.
    Administrator,
}

/// What may be done. Routes ask for one of these.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Right {
    /// Names, telephones, times of calls and whether they came about; no answers.
    SeePlan,
    /// Pause patients, change their times, add and end episodes.
    ChangePlan,
    /// Take over lists of patients, and take them back.
    Import,
    /// Answers, observations, cases.
    SeeHealth,
    /// Claim, note, hand over and resolve cases.
    HandleCases,
    /// Add and correct observations.
    Observe,
    /// Hear recordings.
    Listen,
    /// Take lists and recordings out of the system.
    Export,
    /// Stop all calls at once.
    StopCalls,
    /// Let calls begin again.
    StartCalls,
    /// Hear, upload and record prompts.
    EditPrompts,
    /// Approve prompts.
    ApprovePrompts,
    /// Change rules, and settings of the centre.
    ChangeRules,
    /// State, ladder and settings of lines.
    SeeTrunks,
    /// Make, change and disable accounts; end sessions; make tokens of the API.
    ManageStaff,
    /// Read and verify the chain of events.
    SeeAudit,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] = [
        Self::Scheduler,
        Self::Nurse,
        Self::Supervisor,
        Self::Clinic,
        Self::Engineer,
        Self::Auditor,
        Self::Administrator,
    ];

    /// What it lets people do. Everything else is denied.
    pub fn rights(self) -> &'static [Right] {
        use Right as R;
        match self {
            Self::Scheduler => {
                &[R::SeePlan, R::ChangePlan, R::Import, R::StopCalls, R::StartCalls, R::EditPrompts]
            }
            Self::Nurse => &[
                R::SeePlan,
                R::ChangePlan,
                R::SeeHealth,
                R::HandleCases,
                R::Observe,
                R::Listen,
                R::StopCalls,
            ],
            Self::Supervisor => &[
                R::SeePlan,
                R::ChangePlan,
                R::Import,
                R::SeeHealth,
                R::HandleCases,
                R::Observe,
                R::Listen,
                R::Export,
                R::StopCalls,
                R::StartCalls,
                R::EditPrompts,
                R::ApprovePrompts,
                R::ChangeRules,
            ],
            Self::Clinic => &[R::SeeHealth, R::HandleCases, R::Observe, R::Listen],
            Self::Engineer => &[R::SeeTrunks, R::EditPrompts, R::StopCalls],
            Self::Auditor => &[R::SeeAudit],
            Self::Administrator => &[R::ManageStaff, R::SeeTrunks, R::StopCalls, R::StartCalls],
        }
    }

    /// The word for it in the store and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Nurse => "nurse",
            Self::Supervisor => "supervisor",
            Self::Clinic => "clinic",
            Self::Engineer => "engineer",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Scheduler => Bilingual::fixed("事務(架電計画)", "Scheduler"),
            Self::Nurse => Bilingual::fixed("保健師・看護師", "Nurse"),
            Self::Supervisor => Bilingual::fixed("管理職", "Supervisor"),
            Self::Clinic => Bilingual::fixed("委託医療機関", "Clinic"),
            Self::Engineer => Bilingual::fixed("技術者", "Engineer"),
            Self::Auditor => Bilingual::fixed("監査", "Auditor"),
            Self::Administrator => Bilingual::fixed("システム管理者", "Administrator"),
        }
    }

    /// It sees patients, so whoever has it belongs to a centre.
    pub fn sees_patients(self) -> bool {
        self.rights().iter().any(|right| matches!(right, Right::SeeHealth | Right::SeePlan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Minter;

    fn somebody(roles: &[Role]) -> Staff {
        let mut minter = Minter::new([1; 32]);
        let at = Timestamp::UNIX_EPOCH;
        Staff {
            id: minter.mint(at),
            health_center: Some(minter.mint(at)),
            clinic: None,
            login: "hanako".to_owned(),
            name: "花子".to_owned().into(),
            roles: roles.to_vec(),
            is_active: true,
            language: ConsoleLanguage::Ja,
            has_second_factor: true,
            must_change_password: false,
            locked_until: None,
        }
    }

    #[test]
    fn nobody_sees_health_whose_work_does_not_need_it() {
        for role in Role::ALL {
            let sees = somebody(&[role]).may(Right::SeeHealth);
            let needs = matches!(role, Role::Nurse | Role::Supervisor | Role::Clinic);
            assert_eq!(sees, needs, "{role:?}");
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
    }

    #[test]
    fn a_scope_needs_a_centre_and_a_clinics_member_a_clinic() {
        let mut nurse = somebody(&[Role::Nurse]);
        assert!(nurse.scope().is_some());
        nurse.health_center = None;
        assert_eq!(nurse.scope(), None);
        let mut clinic = somebody(&[Role::Clinic]);
        assert_eq!(clinic.scope(), None);
        clinic.clinic = Some(Minter::new([2; 32]).mint(Timestamp::UNIX_EPOCH));
        assert_eq!(clinic.scope().unwrap().clinic, clinic.clinic);
        assert_eq!(somebody(&[Role::Engineer, Role::Auditor]).scope(), None);
    }

    #[test]
    fn locks_grow_and_never_last_for_ever() {
        for (failures, minutes) in
            [(0, None), (4, None), (5, Some(1)), (6, Some(2)), (9, Some(16)), (10, Some(32))]
        {
            assert_eq!(lock_after(failures), minutes.map(SignedDuration::from_mins), "{failures}");
        }
        for failures in [11, 12, 100, u32::MAX] {
            assert_eq!(lock_after(failures), Some(SignedDuration::from_hours(1)));
        }
    }

    #[test]
    fn accounts_that_make_no_sense_are_refused() {
        let mut minter = Minter::new([3; 32]);
        let mut mint = || minter.mint(Timestamp::UNIX_EPOCH);
        let good = somebody(&[Role::Nurse]);
        assert_eq!(good.fault(), None);
        for (text, is_good) in
            [("hanako", true), ("a", false), ("Hanako", false), ("花子", false), ("h.k_1-x", true)]
        {
            assert_eq!(Staff { login: text.to_owned(), ..good.clone() }.fault().is_none(), is_good);
        }
        assert!(Staff { roles: Vec::new(), ..good.clone() }.fault().is_some());
        assert!(Staff { health_center: None, ..good.clone() }.fault().is_some());
        let clinic = somebody(&[Role::Clinic]);
        assert!(clinic.fault().is_some(), "without a clinic");
        let clinic = Staff { clinic: Some(mint()), ..clinic };
        assert_eq!(clinic.fault(), None);
        assert!(Staff { clinic: clinic.clinic, ..good.clone() }.fault().is_some());
        let both = vec![Role::Clinic, Role::Nurse];
        assert!(Staff { roles: both, ..clinic }.fault().is_some(), "would see the whole centre");
    }

    #[test]
    fn rights_are_compared_whatever_their_order() {
        let one = somebody(&[Role::Nurse, Role::Auditor]);
        let other = Staff { roles: vec![Role::Auditor, Role::Nurse], ..one.clone() };
        assert!(one.has_rights_of(&other));
        assert!(!one.has_rights_of(&Staff { is_active: false, ..other.clone() }));
        assert!(!one.has_rights_of(&Staff { roles: vec![Role::Nurse], ..other }));
    }

    #[test]
    fn who_is_disabled_may_nothing() {
        let mut nurse = somebody(&[Role::Nurse]);
        nurse.is_active = false;
        assert!(!nurse.may(Right::SeeHealth));
        assert_eq!(nurse.scope(), None);
    }
}
