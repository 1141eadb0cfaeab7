//! Passwords: which are good enough, and how they are kept.
//!
//! Length counts, not the kinds of characters (NIST SP 800-63B-4 §3.1.1.2): at least twelve, and
//! enough must be left when common words, runs of keys and the owner's own names are taken out; and
//! `zxcvbn`, which brings lists of leaked passwords, must need many guesses.
//! Kept as argon2id with the first parameters of the OWASP Password Storage Cheat Sheet
//! (19 MiB, 2 passes, 1 lane), which are the defaults of the crate.

use anyhow::anyhow;
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use rand::TryRng;
use rand::rngs::SysRng;
use unicode_normalization::UnicodeNormalization;
use zxcvbn::{Score, zxcvbn};

use crate::base::{Bilingual, Private};

/// The fewest characters.
pub const SHORTEST: usize = 12;

/// The most characters: longer ones only cost time.
const LONGEST: usize = 128;

/// What must be left when common words are taken out.
const FEWEST_OF_ITS_OWN: usize = 6;

/// The fewest different characters.
const FEWEST_KINDS: usize = 5;

/// What passwords are commonly made of here, besides what `zxcvbn` knows: runs of keys, and words that
/// lie near in a health centre. Longer ones first.
const COMMON: [&str; 74] = [
    "abcdefghijkl",
    "qwertyuiop",
    "1qaz2wsx3edc",
    "1q2w3e4r5t6y",
    "1234567890",
    "0987654321",
    "hokensho",
    "hokenjo",
    "asdfghjkl",
    "passw0rd",
    "p@ssw0rd",
    "password",
    "password",
    "pasuwado",
    "mimamori",
    "kangoshi",
    "hokenshi",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "trustno1",
    "iloveyou",
    "michael",
    "computer",
    "internet",
    "administrator",
    "changeme",
    "letmein",
    "welcome",
    "1qaz2wsx",
    "zaq12wsx",
    "monkey",
    "dragon",
    "master",
    "shadow",
    "qazwsx",
    "qwerty",
    "asdfgh",
    "zxcvbn",
    "zxcvbnm",
    "123456789",
    "12345678",
    "1234567",
    "123456",
    "654321",
    "12345",
    "54321",
    "123123",
    "112233",
    "121212",
    "abc123",
    "abcdef",
    "secret",
    "default",
    "sakura",
    "tokyo",
    "osaka",
    "nippon",
    "japan",
    "hospital",
    "clinic",
    "nurse",
    "health",
    "center",
    "korona",
    "corona",
    "covid",
    "admin",
    "login",
    "test",
    "user",
    "pass",
];

/// What is wrong with a password for somebody with these names.
pub fn fault(password: &Private<String>, names: &[&str]) -> Option<Bilingual> {
    let text = normal(password);
    let n = text.chars().count();
    if n < SHORTEST {
        return Some(Bilingual::fixed(
            "パスワードは 12 文字以上にしてください。記号や大文字は必要ありません",
            "a password has at least 12 characters; kinds of characters do not matter",
        ));
    }
    if n > LONGEST {
        return Some(Bilingual::fixed(
            "パスワードは 128 文字までです",
            "a password has at most 128 characters",
        ));
    }
    let mut kinds: Vec<char> = text.chars().collect();
    kinds.sort_unstable();
    kinds.dedup();
    let folded = text.to_lowercase();
    let names = names.iter().map(|name| name.to_lowercase());
    let names: Vec<String> = names.filter(|name| name.chars().count() > 1).collect();
    let words = names.iter().map(String::as_str).chain(COMMON);
    let own = words.fold(folded, |rest, word| rest.replace(word, ""));
    let is_common = kinds.len() < FEWEST_KINDS || own.chars().count() < FEWEST_OF_ITS_OWN;
    // Ten billion guesses: safe also if the hashes are stolen.
    let is_soon_guessed = || {
        let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
        zxcvbn(&text, &inputs).score() < Score::Four
    };
    if is_common || is_run(&own) || is_soon_guessed() {
        return Some(Bilingual::fixed(
            "推測されやすいパスワードです(よくある語・連続した文字・ご自分の名前)。別のものにしてください",
            "this is easily guessed (common words, runs of keys, your own name); choose another",
        ));
    }
    None
}

/// Whether each character follows the one before, as in `cdefgh` or `987654`.
fn is_run(text: &str) -> bool {
    let codes: Vec<i64> = text.chars().map(|c| i64::from(u32::from(c))).collect();
    let steps: Vec<i64> = codes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    [-1, 0, 1].iter().any(|step| steps.iter().all(|one| one == step))
}

/// The hash to be kept, as a PHC string. Takes some tens of milliseconds and 19 MiB.
///
/// # Errors
/// If the system gives no random numbers.
pub fn hash(password: &Private<String>) -> anyhow::Result<Private<String>> {
    let mut salt = [0; 16];
    SysRng.try_fill_bytes(&mut salt)?;
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(normal(password).as_bytes(), &salt)
        .map_err(|fault| anyhow!("a password cannot be hashed: {fault}"))?;
    Ok(hash.to_string().into())
}

/// Whether the password is the one that was hashed. Takes as long where there is none.
pub fn is_right(hash: Option<&Private<String>>, password: &Private<String>) -> bool {
    let phc = hash.map_or(NOBODY, |hash| hash.expose().as_str());
    let is_right = Argon2::default().verify_password(normal(password).as_bytes(), phc).is_ok();
    is_right && hash.is_some()
}

/// The hash of a password that nobody has.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LW5vYm9keQ$\
    0XdLNiTKdoPUrJ2gZ4i1PTp4lBgqRkvQxHgYBGyFqLE";

/// A password to be used once: 80 bits, in letters that are not taken for one another.
///
/// # Errors
/// If the system gives no random numbers.
pub fn one_time() -> anyhow::Result<Private<String>> {
    random_text(4)
}

/// So many groups of four letters and digits (20 bits each), with a hyphen between them.
pub(super) fn random_text(groups: usize) -> anyhow::Result<Private<String>> {
    // The alphabet of Douglas Crockford's base 32: no i, l, o, u.
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = vec![0; groups * 4];
    SysRng.try_fill_bytes(&mut bytes)?;
    let letters: Vec<char> =
        bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    Ok(groups.join("-").into())
}

/// The same characters typed with another keyboard are the same password.
fn normal(password: &Private<String>) -> String {
    password.expose().nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_uncommon_is_good_enough() {
        for (password, is_good) in [
            ("correct horse battery", true),
            ("さくらのはながさくころに", true),
            ("xk4-trw-9qz-plm", true),
            ("short-1!A", false),
            ("passwordpassword", false),
            ("Password1234567890", false),
            ("qwertyuiop123456", false),
            ("mimamori2026", false),
            ("aaaaaaaaaaaaaaaa", false),
            ("abababababababab", false),
            ("bcdefghijklmn", false),
            ("hanako-hanako-1", false),
            ("p@ssw0rd-admin", false),
            // Long, and made of what every list of leaked passwords begins with.
            ("michaeljordan23", false),
            ("liverpoolfootball", false),
        ] {
            let fault = fault(&password.to_owned().into(), &["hanako", "花子"]);
            assert_eq!(fault.is_none(), is_good, "{password}");
        }
        let endless = "長いパスワード".repeat(30);
        assert!(fault(&endless.into(), &[]).is_some());
    }

    #[test]
    fn a_password_is_kept_as_argon2id_and_recognised() {
        let password = Private::new("ながいながいパスワード1".to_owned());
        let kept = hash(&password).unwrap();
        assert!(kept.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(is_right(Some(&kept), &password));
        // Full-width digits are the same password.
        assert!(is_right(Some(&kept), &"ながいながいパスワード1".to_owned().into()));
        assert!(!is_right(Some(&kept), &"ながいながいパスワード2".to_owned().into()));
        assert!(!is_right(None, &password));
        assert_ne!(kept.expose(), hash(&password).unwrap().expose(), "each has its own salt");
    }

    #[test]
    fn where_there_is_no_account_a_whole_hash_is_computed() {
        // A hash that cannot be read would be refused at once, and tell who has no account.
        assert!(PasswordHash::new(NOBODY).is_ok());
    }

    #[test]
    fn one_time_passwords_are_good_enough_and_differ() {
        let (one, other) = (one_time().unwrap(), one_time().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 19);
        assert_eq!(fault(&one, &["hanako"]), None);
    }
}
