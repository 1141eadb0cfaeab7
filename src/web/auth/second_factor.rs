//! The second factor: time-based one-time passwords (RFC 6238), and codes for when the telephone
//! that makes them is lost.

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use qrcode::QrCode;
use qrcode::render::svg;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use totp_rs::{Algorithm, Builder, Totp};
use unicode_normalization::UnicodeNormalization;

use crate::base::Private;
use crate::base::id::StaffId;
use crate::registry::audit::hex;
use crate::web::auth::password::random_text;

/// How many recovery codes somebody has.
const RECOVERY_CODES: usize = 10;

/// A code lives for 30 seconds, as every app expects.
const STEP: u64 = 30;

/// The secret that a telephone and this program share.
#[derive(Debug)]
pub struct Secret(Private<Vec<u8>>);

impl Secret {
    /// A new one, of the 160 bits that RFC 4226 §4 recommends.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn random() -> anyhow::Result<Self> {
        let mut bytes = vec![0; 20];
        SysRng.try_fill_bytes(&mut bytes)?;
        Ok(Self(bytes.into()))
    }

    /// One that was kept.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }

    /// To be kept, sealed.
    pub fn bytes(&self) -> &[u8] {
        self.0.expose()
    }

    /// The step whose code this is: the present one, or one beside it, for clocks that go wrong and
    /// people who type slowly. Spaces and full-width digits are taken for what they mean.
    ///
    /// # Errors
    /// If the secret is too short to be one.
    pub fn step_of(&self, code: &Private<String>, now: Timestamp) -> anyhow::Result<Option<i64>> {
        let code: String = code.expose().nfkc().filter(char::is_ascii_digit).collect();
        let seconds = u64::try_from(now.as_second())?;
        // The parts of the crate agree to the step itself, not to a moment within it.
        let step = self.totp("x")?.check(&code, seconds);
        step.map(|step| i64::try_from(step).context("a step beyond all time")).transpose()
    }

    /// The code of a moment.
    ///
    /// # Errors
    /// If the secret is too short to be one.
    pub fn code_at(&self, now: Timestamp) -> anyhow::Result<Private<String>> {
        let seconds = u64::try_from(now.as_second())?;
        Ok(self.totp("x")?.generate(seconds).to_string().into())
    }

    /// The secret as people type it into an app: base 32, in groups of four.
    ///
    /// # Errors
    /// If the secret is too short to be one.
    pub fn written(&self) -> anyhow::Result<String> {
        let text = self.totp("x")?.secret().to_base32();
        let letters: Vec<char> = text.chars().collect();
        let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
        Ok(groups.join(" "))
    }

    /// The picture that an app scans, as an element of SVG.
    ///
    /// # Errors
    /// If the login is too long for a picture.
    pub fn picture(&self, login: &str) -> anyhow::Result<String> {
        let url = self.totp(login)?.to_url().map_err(|fault| anyhow!("no URL: {fault}"))?;
        let drawn = QrCode::new(url.as_bytes())?
            .render::<svg::Color<'_>>()
            .min_dimensions(240, 240)
            .dark_color(svg::Color("#000"))
            .light_color(svg::Color("#fff"))
            .build();
        // Within a page there is no prologue of XML.
        let element = drawn.find("<svg").and_then(|at| drawn.get(at..));
        Ok(element.context("the picture is no SVG")?.to_owned())
    }

    fn totp(&self, login: &str) -> anyhow::Result<Totp> {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(1)
            .with_step_duration(STEP)
            .with_secret(self.bytes().to_vec())
            .with_account_name(login)
            .with_issuer(Some("Mimamori"))
            .build()
            .map_err(|fault| anyhow!("not a secret: {fault}"))
    }
}

/// New recovery codes, to be shown once.
///
/// # Errors
/// If the system gives no random numbers.
pub fn recovery_codes() -> anyhow::Result<Vec<Private<String>>> {
    (0..RECOVERY_CODES).map(|_| random_text(4)).collect()
}

/// What is kept of a recovery code; `None` if the text cannot be one.
pub fn recovery_hash(owner: StaffId, code: &Private<String>) -> Option<String> {
    // Crockford's base 32 reads O as 0, and I and L as 1.
    let letters = code.expose().nfkc().flat_map(char::to_lowercase).filter_map(|c| match c {
        '-' | ' ' => None,
        'o' => Some('0'),
        'i' | 'l' => Some('1'),
        other => Some(other),
    });
    let letters: String = letters.collect();
    (letters.len() == 16).then(|| hex(&Sha256::digest(format!("{owner} {letters}").as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Minter;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238 appendix B, the last six of the eight digits.
        let secret = Secret::from_bytes(b"12345678901234567890".to_vec());
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(secret.code_at(at(seconds)).unwrap().expose(), code);
            let step = secret.step_of(&code.to_owned().into(), at(seconds)).unwrap();
            assert_eq!(step, Some(seconds / 30), "{code}");
        }
    }

    #[test]
    fn a_code_is_good_one_step_early_and_late() {
        let secret = Secret::random().unwrap();
        let code = secret.code_at(at(3_000_000)).unwrap();
        for (seconds, is_good) in [
            (3_000_000, true),
            (3_000_030, true),
            (2_999_970, true),
            (3_000_060, false),
            (2_999_940, false),
        ] {
            let step = secret.step_of(&code, at(seconds)).unwrap();
            assert_eq!(step, is_good.then_some(100_000), "{seconds}");
        }
    }

    #[test]
    fn what_a_japanese_keyboard_types_is_understood() {
        let secret = Secret::from_bytes(b"12345678901234567890".to_vec());
        for code in ["287 082", "287082", " 287082"] {
            assert_eq!(secret.step_of(&code.to_owned().into(), at(59)).unwrap(), Some(1));
        }
        for code in ["", "28708", "2870820", "abcdef", "287083"] {
            assert_eq!(secret.step_of(&code.to_owned().into(), at(59)).unwrap(), None);
        }
    }

    #[test]
    fn the_picture_and_the_text_hold_the_secret() {
        let secret = Secret::from_bytes(b"12345678901234567890".to_vec());
        assert_eq!(secret.written().unwrap(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let picture = secret.picture("hanako").unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert!(!picture.contains("style="), "the Content-Security-Policy forbids it");
        let url = secret.totp("hanako").unwrap().to_url().unwrap();
        insta::assert_snapshot!(url, @"otpauth://totp/Mimamori:hanako?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Mimamori");
    }

    #[test]
    fn recovery_codes_are_ten_and_belong_to_one() {
        let codes = recovery_codes().unwrap();
        assert_eq!(codes.len(), 10);
        let mut minter = Minter::new([1; 32]);
        let (one, other): (StaffId, StaffId) = (minter.mint(at(0)), minter.mint(at(0)));
        let hash = recovery_hash(one, &codes[0]).unwrap();
        assert_ne!(Some(&hash), recovery_hash(other, &codes[0]).as_ref());
        let typed = codes[0].expose().to_uppercase().replace('-', " ").replace('0', "O");
        assert_eq!(Some(hash), recovery_hash(one, &typed.into()));
        assert_eq!(recovery_hash(one, &"123456".to_owned().into()), None);
    }
}
