//! Who answers at which number, and what each call looked like from the other side.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::{PhoneNumber, Private};
use crate::sim::patient::{Housemate, Role, Seen};
use crate::sim::persona::{Persona, Temper};

/// Somebody at a telephone.
#[derive(Clone, Debug)]
pub struct Resident {
    /// What kind of person.
    pub persona: Persona,
    /// Month and day of the patient's birth.
    pub birth: Private<(i8, i8)>,
    /// The first day under observation, from which the persona counts.
    pub first_day: Date,
}

/// One call as the called side saw it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// Which number was called.
    pub callee: PhoneNumber,
    /// When the call arrived.
    pub began_at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
    /// What was heard and pressed.
    pub seen: Seen,
}

/// The telephones of a simulated carrier, and the calls that reached it.
#[derive(Debug, Default)]
pub struct Directory {
    residents: HashMap<PhoneNumber, Resident>,
    /// Those who share a telephone with its resident.
    housemates: HashMap<PhoneNumber, Vec<Housemate>>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    n_calls: HashMap<(PhoneNumber, Date), u32>,
    n_live: HashMap<PhoneNumber, usize>,
    most_live: usize,
    most_live_at_one: usize,
    calls: Vec<Call>,
}

impl Directory {
    /// A directory of these telephones.
    pub fn new(residents: impl IntoIterator<Item = (PhoneNumber, Resident)>) -> Self {
        Self { residents: residents.into_iter().collect(), ..Self::default() }
    }

    /// Others share a telephone, and take it in this order when they are asked for: month and day of
    /// birth, and temper, of each. They are as ill as the resident is.
    #[must_use]
    pub fn shared(
        mut self,
        number: PhoneNumber,
        housemates: impl IntoIterator<Item = ((i8, i8), Temper)>,
    ) -> Self {
        let housemates = housemates.into_iter();
        let housemates =
            housemates.map(|(birth, temper)| Housemate { birth: Private::new(birth), temper });
        self.housemates.insert(number, housemates.collect());
        self
    }

    /// Notes that a call arrives; `None` if there is no such number.
    pub fn arrive(&self, callee: &PhoneNumber, today: Date) -> Option<Role> {
        let mut log = self.log();
        *log.n_live.entry(callee.clone()).or_default() += 1;
        log.most_live = log.most_live.max(log.n_live.values().sum());
        log.most_live_at_one =
            log.n_live.values().copied().max().unwrap_or(0).max(log.most_live_at_one);
        let nth_call = log.n_calls.entry((callee.clone(), today)).or_default();
        *nth_call += 1;
        let resident = self.residents.get(callee)?;
        Some(Role {
            persona: resident.persona,
            birth: resident.birth.clone(),
            housemates: self.housemates.get(callee).cloned().unwrap_or_default(),
            day: resident.first_day.until(today).map_or(0, |span| span.get_days()),
            nth_call: *nth_call,
        })
    }

    /// Notes that a call is over.
    pub fn leave(&self, call: Call) {
        let mut log = self.log();
        if let Some(n_live) = log.n_live.get_mut(&call.callee) {
            *n_live = n_live.saturating_sub(1);
        }
        log.calls.push(call);
    }

    /// Who lives at a number.
    pub fn resident(&self, number: &PhoneNumber) -> Option<&Resident> {
        self.residents.get(number)
    }

    /// Every call that is over, in the order of their ends.
    pub fn calls(&self) -> Vec<Call> {
        self.log().calls.clone()
    }

    /// How many calls were under way at once at most.
    pub fn most_live(&self) -> usize {
        self.log().most_live
    }

    /// How many calls were under way at once to one number at most. More than one is our fault.
    pub fn most_live_at_one(&self) -> usize {
        self.log().most_live_at_one
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // The log stays whole when a test panics while it holds the lock.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
