//! Who is called: health centres, patients and the days they are under observation.

pub mod episode;
pub mod health_center;
pub mod import;
pub mod patient;

pub use episode::Episode;
pub use health_center::HealthCenter;
pub use patient::{Patient, PatientPhone, PhoneRole, RiskFlag};
