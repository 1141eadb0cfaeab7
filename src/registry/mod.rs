//! Who is called, and who looks after them: health centres, patients, the days they are under
//! observation, and the staff with what they did.

pub mod arrangement;
pub mod audit;
pub mod care;
pub mod course;
pub mod episode;
pub mod health_center;
pub mod import;
pub mod lab_test;
pub mod patient;
pub mod staff;
pub mod token;

pub use arrangement::{Arrangement, DoctorsOrder, Held, Weekdays};
pub use audit::{Actor, AuditEntry, AuditEvent};
pub use care::{Contact, Pause, Relation, Signed, StaffNote};
pub use course::Course;
pub use episode::Episode;
pub use health_center::HealthCenter;
pub use lab_test::{LabTest, TestMethod, TestResult};
pub use patient::{Gender, Patient, PatientPhone, PhoneRole, RiskFlag};
pub use staff::{Clinic, ConsoleLanguage, Reach, Right, Role, Scope, Staff};
pub use token::ApiToken;
