//! Gathers the keys of one answer.
//!
//! A [`Gather`] knows keys and no time: [`Gather::press`] says when an answer is complete, and
//! [`Gather::give_up`] what to make of the keys when patience has run out.
//!
//! Numbers may be of different lengths, and no key must ever be needed to end them. So the first
//! digit tells how many there are: as many as in the longest plausible answer that begins with it.
//! `98` is complete at once, while `09` and `10` wait for the third digit of `098` and `100`. The
//! same keys thus mean the same, however fast they are pressed.
//!
//! ```text
//!          first key *                            complete, or #
//! Empty ──────────────► Repeat     Collecting ───────────────────► Digits | TooFew
//!   │ digit                            ▲  │ patience at an end
//!   └──────────────────────────────────┘  └──────────────────────► Digits | TooFew
//! ```

use crate::base::Digit;

/// The key that repeats a question, beside `*`, where it is no answer.
pub const REPEAT: u8 = 9;

/// What an answer looks like.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// One of these keys.
    Choice(Vec<u8>),
    /// Digits.
    Digits {
        /// Fewest digits.
        min: usize,
        /// Most digits.
        max: usize,
        /// Every plausible answer as it may be typed; tells when no more digits can follow.
        plausible: Vec<String>,
    },
    /// Any key at all: a sign of life.
    Any,
}

/// How the gathering ended.
#[derive(Clone, Eq, PartialEq)]
pub enum Gathered {
    /// A key that was wanted.
    Key(u8),
    /// As many digits as are wanted.
    Digits(String),
    /// Fewer digits than are wanted.
    TooFew,
    /// The question is wanted again.
    Repeat,
    /// A key that means nothing here.
    Wrong,
    /// A sign of life.
    Alive,
    /// No key.
    Silence,
}

/// The machine; see the [module docs](self).
pub struct Gather {
    wanted: Wanted,
    digits: String,
    pressed: String,
}

impl Gather {
    /// Nothing is pressed yet.
    pub fn new(wanted: Wanted) -> Self {
        Self { wanted, digits: String::new(), pressed: String::new() }
    }

    /// The keys that were taken, for the transcript.
    pub fn pressed(&self) -> &str {
        &self.pressed
    }

    /// Takes one key; says how the gathering ended, if it did.
    pub fn press(&mut self, key: Digit) -> Option<Gathered> {
        // A # that ends nothing is the late end of the answer before, and no mistake.
        if key == Digit::Pound && self.digits.is_empty() && !matches!(self.wanted, Wanted::Any) {
            return None;
        }
        self.pressed += &key.to_string();
        match (&self.wanted, key) {
            (Wanted::Any, _) => Some(Gathered::Alive),
            (Wanted::Choice(keys), Digit::Number(key)) if keys.contains(&key) => {
                Some(Gathered::Key(key))
            }
            (Wanted::Choice(_), Digit::Star | Digit::Number(REPEAT)) => Some(Gathered::Repeat),
            (Wanted::Choice(_), _) => Some(Gathered::Wrong),
            (Wanted::Digits { .. }, Digit::Star) if self.digits.is_empty() => {
                Some(Gathered::Repeat)
            }
            // After a digit it stands for the point, which nobody needs.
            (Wanted::Digits { .. }, Digit::Star) => None,
            (Wanted::Digits { .. }, Digit::Pound) => Some(self.give_up()),
            (Wanted::Digits { .. }, Digit::Number(key)) => {
                self.digits.push(char::from(b'0' + key));
                self.is_complete().then(|| self.give_up())
            }
        }
    }

    /// What the keys so far mean when no more are waited for.
    pub fn give_up(&mut self) -> Gathered {
        match &self.wanted {
            Wanted::Digits { .. } if self.digits.is_empty() => Gathered::Silence,
            Wanted::Digits { min, .. } if self.digits.len() < *min => Gathered::TooFew,
            Wanted::Digits { .. } => Gathered::Digits(self.digits.clone()),
            Wanted::Choice(_) | Wanted::Any => Gathered::Silence,
        }
    }

    fn is_complete(&self) -> bool {
        let Wanted::Digits { min, max, plausible } = &self.wanted else { return false };
        let first = self.digits.chars().next();
        let alike = plausible.iter().filter(|one| one.chars().next() == first);
        let longest = alike.map(String::len).max().unwrap_or(*min);
        let width = if plausible.is_empty() { *max } else { longest };
        self.digits.len() >= width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(wanted: &Wanted, keys: &str) -> String {
        let mut gather = Gather::new(wanted.clone());
        for (index, key) in keys.chars().enumerate() {
            if let Some(gathered) = gather.press(Digit::from_char(key).unwrap()) {
                let rest: String = keys.chars().skip(index + 1).collect();
                return format!("{} then {rest:?}", show(&gathered));
            }
        }
        format!("waits, {}", show(&gather.give_up()))
    }

    fn show(gathered: &Gathered) -> String {
        match gathered {
            Gathered::Key(key) => format!("key {key}"),
            Gathered::Digits(digits) => digits.clone(),
            Gathered::TooFew => "too few".to_owned(),
            Gathered::Repeat => "repeat".to_owned(),
            Gathered::Wrong => "wrong".to_owned(),
            Gathered::Alive => "alive".to_owned(),
            Gathered::Silence => "silence".to_owned(),
        }
    }

    #[test]
    fn the_first_digit_tells_how_many_there_are() {
        let plausible =
            (70..=100).flat_map(|n| [format!("{n}"), format!("{n:03}")]).chain(["000".to_owned()]);
        let spo2 = Wanted::Digits { min: 2, max: 3, plausible: plausible.collect() };
        for (keys, expected) in [
            ("98", "98 then \"\""),
            ("981", "98 then \"1\""),
            ("098", "098 then \"\""),
            ("100", "100 then \"\""),
            ("000", "000 then \"\""),
            ("25", "25 then \"\""),
            ("069", "069 then \"\""),
            ("12", "waits, 12"),
            ("10#", "10 then \"\""),
            ("9#", "too few then \"\""),
            ("9", "waits, too few"),
            ("10", "waits, 10"),
            ("#98", "98 then \"\""),
            ("*98", "repeat then \"98\""),
            ("9*8", "98 then \"\""),
            ("", "waits, silence"),
            ("#", "waits, silence"),
        ] {
            assert_eq!(press(&spo2, keys), expected, "{keys}");
        }
    }

    #[test]
    fn a_choice_is_one_key() {
        let choice = Wanted::Choice(vec![1, 2, 3]);
        for (keys, expected) in [
            ("1", "key 1 then \"\""),
            ("#2", "key 2 then \"\""),
            ("9", "repeat then \"\""),
            ("*", "repeat then \"\""),
            ("7", "wrong then \"\""),
            ("0", "wrong then \"\""),
            ("", "waits, silence"),
        ] {
            assert_eq!(press(&choice, keys), expected, "{keys}");
        }
        assert_eq!(press(&Wanted::Choice(vec![9]), "9"), "key 9 then \"\"");
        assert_eq!(press(&Wanted::Any, "#"), "alive then \"\"");
    }

    #[test]
    fn the_keys_are_kept_as_pressed() {
        let mut gather = Gather::new(Wanted::Digits { min: 3, max: 3, plausible: Vec::new() });
        for key in "#37*5".chars() {
            let _ = gather.press(Digit::from_char(key).unwrap());
        }
        assert_eq!(gather.pressed(), "37*5");
    }
}
