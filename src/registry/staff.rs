//! The staff: who they are, what their roles let them do, and whose patients they may see.
//!
//! A right is asked for by what it is for, never by the name of a role, so that a role can be
//! changed in one place. Whoever sees patients belongs to one centre; those who serve the whole
//! installation (engineers, administrators) see none.

use jiff::Timestamp;

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
    /// The name to sign in with, unique: lower-case letters, digits, `.`, `-`, `_`.
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
    fn who_is_disabled_may_nothing() {
        let mut nurse = somebody(&[Role::Nurse]);
        nurse.is_active = false;
        assert!(!nurse.may(Right::SeeHealth));
        assert_eq!(nurse.scope(), None);
    }
}
