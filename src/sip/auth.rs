//! Digest access authentication (RFC 3261 §22, RFC 7616, RFC 8760), for both sides.
//!
//! `digest_auth` does the arithmetic. Its parser is not used: it panics on text that is not ASCII,
//! refuses a challenge for one unknown qop, and does not know blanks around `=`.

use std::collections::HashMap;

use digest_auth::{AuthContext, AuthorizationHeader, HttpMethod};

pub use digest_auth::{Algorithm, AlgorithmType, Qop};

use crate::base::Private;
use crate::sip::header::Headers;
use crate::sip::message::{Request, Response};
use crate::sip::parse::Scanner;
use crate::sip::uri::unquote;

/// Nonces that were never answered are forgotten beyond this number.
const MAX_NONCES: usize = 10_000;

/// How often in a row a fresh nonce may be called stale before we stop believing it.
const MAX_STALE: u8 = 3;

/// A name and its password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name that the carrier gave us.
    pub username: String,
    /// The password.
    pub password: Private<String>,
}

/// Who asks for a proof.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Challenger {
    /// The server itself, with 401.
    Server,
    /// A proxy on the way, with 407.
    Proxy,
}

impl Challenger {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Server, Self::Proxy];

    /// 401 or 407.
    pub fn status(self) -> u16 {
        match self {
            Self::Server => 401,
            Self::Proxy => 407,
        }
    }

    fn challenge_header(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    fn answer_header(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// A digest challenge that we understand.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// Whose password is meant.
    pub realm: String,
    /// The server's random word.
    pub nonce: String,
    /// To be sent back as it is.
    pub opaque: Option<String>,
    /// The password was right, and only the nonce too old.
    pub stale: bool,
    /// MD5, SHA-256 or SHA-512-256, plain or `-sess`.
    pub algorithm: Algorithm,
    /// The kinds of protection on offer; empty for the old form of RFC 2069.
    pub qop: Vec<Qop>,
    /// The name may be sent as a hash.
    pub userhash: bool,
}

/// Why a challenge cannot be met.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthError {
    /// No challenge that we understand.
    #[error("no digest challenge that is understood")]
    NotUnderstood,
    /// The proof that we gave was not accepted.
    #[error("the user name or the password is wrong")]
    Rejected,
}

impl Challenge {
    /// All challenges of a response that we understand, in its order. Others are passed over: an
    /// unknown scheme or algorithm must not cost the ones beside it.
    pub fn all(headers: &Headers, challenger: Challenger) -> Vec<Self> {
        let fields = headers.all(challenger.challenge_header());
        fields.flat_map(|header| split_challenges(&header.text())).filter_map(Self::new).collect()
    }

    fn new(params: HashMap<String, String>) -> Option<Self> {
        let mut params = params;
        let algorithm = params.remove("algorithm").unwrap_or_else(|| "MD5".to_owned());
        let offered = params.remove("qop");
        let words = offered.iter().flat_map(|list| list.split(','));
        let qop: Vec<Qop> = words.filter_map(|word| parse_qop(word.trim())).collect();
        let algorithm = parse_algorithm(&algorithm)?;
        // A list of unknown kinds is a challenge that we cannot meet; so is `-sess` without qop,
        // because the server could not learn our cnonce.
        if qop.is_empty() && (offered.is_some() || algorithm.sess) {
            return None;
        }
        let is_true = |value: Option<String>| value.is_some_and(|v| v.eq_ignore_ascii_case("true"));
        Some(Self {
            realm: params.remove("realm")?,
            nonce: params.remove("nonce")?,
            opaque: params.remove("opaque"),
            stale: is_true(params.remove("stale")),
            algorithm,
            qop,
            userhash: is_true(params.remove("userhash")),
        })
    }

    /// The text for the wire.
    pub fn to_wire(&self) -> String {
        let mut text = format!(
            "Digest realm={}, nonce={}, algorithm={}",
            quote(&self.realm),
            quote(&self.nonce),
            self.algorithm
        );
        if !self.qop.is_empty() {
            let words: Vec<String> = self.qop.iter().map(ToString::to_string).collect();
            text.push_str(", qop=\"");
            text.push_str(&words.join(","));
            text.push('"');
        }
        if let Some(opaque) = &self.opaque {
            text.push_str(", opaque=");
            text.push_str(&quote(opaque));
        }
        if self.stale {
            text.push_str(", stale=true");
        }
        text
    }

    /// Whole hash functions first; the more bits, the stronger.
    fn strength(&self) -> u8 {
        match self.algorithm.algo {
            AlgorithmType::MD5 => 0,
            AlgorithmType::SHA2_256 => 1,
            AlgorithmType::SHA2_512_256 => 2,
        }
    }
}

/// The client: remembers nonces and answers with them, so that only the first request of many is
/// sent twice.
#[derive(Clone, Debug)]
pub struct Authenticator {
    credentials: Credentials,
    known: Vec<Known>,
}

/// A challenge that is being answered.
#[derive(Clone, Debug)]
struct Known {
    challenger: Challenger,
    challenge: Challenge,
    /// How many requests were signed with this nonce.
    count: u32,
    /// How often in a row the first answer to a fresh nonce was called stale.
    n_stale: u8,
}

impl Authenticator {
    /// Knows no nonce yet.
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, known: Vec::new() }
    }

    /// Takes the challenges of a 401 or 407 to `request`. After `Ok`, send the request again, with
    /// a new branch and the next `CSeq`, once [`Self::authorize`] has signed it.
    ///
    /// # Errors
    ///
    /// [`AuthError::Rejected`] if `request` had already answered a fresh nonce of the same realm:
    /// trying again would lock the account.
    pub fn handle_challenge(
        &mut self,
        request: &Request,
        response: &Response,
    ) -> Result<(), AuthError> {
        let mut is_met = false;
        for challenger in Challenger::ALL {
            let mut best: Vec<Challenge> = Vec::new();
            for challenge in Challenge::all(&response.headers, challenger) {
                match best.iter_mut().find(|other| other.realm == challenge.realm) {
                    Some(other) if challenge.strength() > other.strength() => *other = challenge,
                    Some(_) => {}
                    None => best.push(challenge),
                }
            }
            for challenge in best {
                is_met = true;
                self.learn(request, challenger, challenge)?;
            }
        }
        if is_met { Ok(()) } else { Err(AuthError::NotUnderstood) }
    }

    fn learn(
        &mut self,
        request: &Request,
        challenger: Challenger,
        challenge: Challenge,
    ) -> Result<(), AuthError> {
        let answers = Answer::all(&request.headers, challenger);
        let answer = answers.iter().find(|answer| answer.0.realm == challenge.realm);
        let old = self.known.iter().position(|known| {
            known.challenger == challenger && known.challenge.realm == challenge.realm
        });
        let old = old.map(|at| self.known.swap_remove(at));
        // An answer with a nonce that was used before may be refused for its age, said or not.
        let was_fresh = answer.is_some_and(|answer| match answer.0.qop {
            Some(_) => answer.0.nc <= 1,
            None => old
                .as_ref()
                .is_some_and(|old| old.count <= 1 && old.challenge.nonce == answer.0.nonce),
        });
        if was_fresh && !challenge.stale {
            return Err(AuthError::Rejected);
        }
        let n_stale = old.filter(|_| was_fresh).map_or(0, |old| old.n_stale + 1);
        if n_stale >= MAX_STALE {
            return Err(AuthError::Rejected);
        }
        self.known.push(Known { challenger, challenge, count: 0, n_stale });
        Ok(())
    }

    /// Signs the request for every realm that has challenged us so far; does nothing before the
    /// first challenge. Old signatures are replaced.
    ///
    /// `cnonce` is our random word: fresh for every request, at least 64 bits, letters and digits.
    pub fn authorize(&mut self, request: &mut Request, cnonce: &str) {
        for challenger in Challenger::ALL {
            request.headers.remove(challenger.answer_header());
        }
        for known in &mut self.known {
            known.count += 1;
            let answer = answer(&known.challenge, known.count, request, &self.credentials, cnonce);
            request.headers.push(known.challenger.answer_header(), answer.to_wire());
        }
    }
}

fn answer(
    challenge: &Challenge,
    count: u32,
    request: &Request,
    credentials: &Credentials,
    cnonce: &str,
) -> Answer {
    // `auth` before `auth-int`: what is between us may rewrite a body.
    let qop = challenge.qop.iter().copied().find(|qop| *qop == Qop::AUTH);
    let mut header = AuthorizationHeader {
        realm: challenge.realm.clone(),
        nonce: challenge.nonce.clone(),
        opaque: challenge.opaque.clone(),
        userhash: challenge.userhash,
        algorithm: challenge.algorithm,
        response: String::new(),
        username: String::new(),
        uri: request.uri.to_wire(),
        qop: qop.or_else(|| challenge.qop.first().copied()),
        cnonce: Some(cnonce.to_owned()),
        nc: count,
    };
    header.digest(&context(&header.uri.clone(), request, credentials));
    Answer(header)
}

fn context<'a>(
    uri: &'a str,
    request: &'a Request,
    credentials: &'a Credentials,
) -> AuthContext<'a> {
    AuthContext::new_with_method(
        credentials.username.as_str(),
        credentials.password.expose().as_str(),
        uri,
        Some(request.body.as_slice()),
        HttpMethod::from(request.method.as_str()),
    )
}

/// Credentials as they stand in Authorization or Proxy-Authorization.
struct Answer(AuthorizationHeader);

impl Answer {
    fn all(headers: &Headers, challenger: Challenger) -> Vec<Self> {
        let fields = headers.all(challenger.answer_header());
        fields.flat_map(|header| split_challenges(&header.text())).filter_map(Self::new).collect()
    }

    fn new(params: HashMap<String, String>) -> Option<Self> {
        let mut params = params;
        let nc = params.remove("nc");
        let nc = nc.map(|nc| u32::from_str_radix(&nc, 16)).transpose().ok()?;
        Some(Self(AuthorizationHeader {
            realm: params.remove("realm")?,
            nonce: params.remove("nonce")?,
            opaque: params.remove("opaque"),
            userhash: params.remove("userhash").is_some_and(|value| value == "true"),
            algorithm: parse_algorithm(params.get("algorithm").map_or("MD5", String::as_str))?,
            response: params.remove("response")?,
            username: params.remove("username")?,
            uri: params.remove("uri")?,
            qop: match params.remove("qop") {
                Some(word) => Some(parse_qop(&word)?),
                None => None,
            },
            cnonce: params.remove("cnonce"),
            nc: nc.unwrap_or(0),
        }))
    }

    fn to_wire(&self) -> String {
        let header = &self.0;
        let mut text = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\", algorithm={}",
            quote(&header.username),
            quote(&header.realm),
            quote(&header.nonce),
            quote(&header.uri),
            header.response,
            header.algorithm,
        );
        if let (Some(qop), Some(cnonce)) = (&header.qop, &header.cnonce) {
            text.extend([", qop=", &qop.to_string(), ", nc=", &format!("{:08x}", header.nc)]);
            text.extend([", cnonce=", &quote(cnonce)]);
        }
        if let Some(opaque) = &header.opaque {
            text.push_str(", opaque=");
            text.push_str(&quote(opaque));
        }
        if header.userhash {
            text.push_str(", userhash=true");
        }
        text
    }
}

/// The server: challenges and checks. The simulator's carrier and registrar use it.
#[derive(Clone, Debug)]
pub struct Verifier {
    challenger: Challenger,
    realm: String,
    algorithms: Vec<Algorithm>,
    credentials: Credentials,
    /// How often one nonce may be used.
    max_uses: u32,
    /// The nonces that were handed out, with the highest count that was seen.
    nonces: HashMap<String, u32>,
}

impl Verifier {
    /// Accepts one name and password. `algorithms` are offered in their order, each as a challenge
    /// of its own with `qop="auth,auth-int"`; a nonce may be used `max_uses` times.
    pub fn new(
        challenger: Challenger,
        realm: &str,
        algorithms: Vec<Algorithm>,
        credentials: Credentials,
        max_uses: u32,
    ) -> Self {
        let realm = realm.to_owned();
        Self { challenger, realm, algorithms, credentials, max_uses, nonces: HashMap::new() }
    }

    /// Lets the request pass, or returns the 401 or 407 that asks for a proof, with `nonce`: a
    /// random word that was never used before.
    pub fn verify(&mut self, request: &Request, nonce: &str) -> Result<(), Box<Response>> {
        let answers = Answer::all(&request.headers, self.challenger);
        let answer = answers.into_iter().find(|answer| answer.0.realm == self.realm);
        let is_right = answer.as_ref().is_some_and(|answer| self.is_right(request, answer));
        // Only a right answer counts: nobody else may wear a nonce out.
        let is_fresh = is_right && answer.is_some_and(|answer| self.use_nonce(&answer.0));
        if is_fresh {
            return Ok(());
        }
        if self.nonces.len() >= MAX_NONCES {
            self.nonces.clear();
        }
        self.nonces.insert(nonce.to_owned(), 0);
        let mut response = request.reply(self.challenger.status());
        for algorithm in &self.algorithms {
            let challenge = Challenge {
                realm: self.realm.clone(),
                nonce: nonce.to_owned(),
                opaque: None,
                stale: is_right,
                algorithm: *algorithm,
                qop: vec![Qop::AUTH, Qop::AUTH_INT],
                userhash: false,
            };
            response.headers.push(self.challenger.challenge_header(), challenge.to_wire());
        }
        Err(Box::new(response))
    }

    fn is_right(&self, request: &Request, answer: &Answer) -> bool {
        let given = &answer.0;
        let mut expected = given.clone();
        expected.digest(&context(&given.uri, request, &self.credentials));
        self.algorithms.contains(&given.algorithm)
            && given.qop.is_some() == given.cnonce.is_some()
            && expected.username == given.username
            && expected.response.eq_ignore_ascii_case(&given.response)
    }

    /// Counts a use; `false` if the nonce is unknown, worn out or replayed.
    fn use_nonce(&mut self, answer: &AuthorizationHeader) -> bool {
        let Some(seen) = self.nonces.get_mut(&answer.nonce) else { return false };
        // Without qop there is no count, and each use is a new one.
        let count = if answer.qop.is_some() { answer.nc } else { *seen + 1 };
        let is_fresh = count > *seen && count <= self.max_uses;
        *seen = count.max(*seen);
        is_fresh
    }
}

fn parse_algorithm(name: &str) -> Option<Algorithm> {
    let upper = name.to_ascii_uppercase();
    let (hash, sess) = match upper.strip_suffix("-SESS") {
        Some(hash) => (hash, true),
        None => (upper.as_str(), false),
    };
    let hash = match hash {
        "MD5" => AlgorithmType::MD5,
        "SHA-256" => AlgorithmType::SHA2_256,
        "SHA-512-256" => AlgorithmType::SHA2_512_256,
        _ => return None,
    };
    Some(Algorithm::new(hash, sess))
}

fn parse_qop(word: &str) -> Option<Qop> {
    match word.to_ascii_lowercase().as_str() {
        "auth" => Some(Qop::AUTH),
        "auth-int" => Some(Qop::AUTH_INT),
        _ => None,
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Reads `Digest a=b, c="d"`, also several in one header field; other schemes are skipped, and a
/// malformed rest is left out. Names are in lower case.
fn split_challenges(value: &str) -> Vec<HashMap<String, String>> {
    let mut challenges: Vec<Option<HashMap<String, String>>> = Vec::new();
    let mut scanner = Scanner::new(value);
    loop {
        scanner.skip_space();
        if scanner.eat(',') {
            continue;
        }
        let Some(word) = scanner.token() else { break };
        scanner.skip_space();
        if !scanner.eat('=') {
            // A word without value begins a new challenge: it is the name of its scheme.
            challenges.push(word.eq_ignore_ascii_case("Digest").then(HashMap::new));
            continue;
        }
        scanner.skip_space();
        let is_quoted = scanner.rest().starts_with('"');
        let value = if is_quoted { scanner.quoted() } else { Some(scanner.bare_value()) };
        let (Some(value), Some(challenge)) = (value, challenges.last_mut()) else { break };
        if let Some(params) = challenge {
            params.insert(word.to_ascii_lowercase(), unquote(value).into_owned());
        }
    }
    challenges.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::message::Method;
    use crate::sip::uri::Uri;

    fn credentials(username: &str, password: &str) -> Credentials {
        Credentials { username: username.to_owned(), password: Private::new(password.to_owned()) }
    }

    fn trunk() -> Authenticator {
        Authenticator::new(credentials("trunk7", "s3cret"))
    }

    fn register() -> Request {
        let uri: Uri = "sip:ims.example.jp".parse().unwrap();
        let mut request = Request::new(Method::Register, uri);
        request.headers.push("Via", "SIP/2.0/UDP a;branch=z9hG4bKx");
        request.body = b"hello".to_vec();
        request
    }

    fn challenged(challenger: Challenger, challenges: &[&str]) -> Response {
        let mut response = Response::new(challenger.status());
        for challenge in challenges {
            response.headers.push(challenger.challenge_header(), *challenge);
        }
        response
    }

    /// The parameters of the only answer in the request.
    fn params(request: &Request, name: &str) -> HashMap<String, String> {
        let values: Vec<_> = request.headers.all(name).collect();
        assert_eq!(values.len(), 1, "one {name}");
        split_challenges(&values[0].text()).remove(0)
    }

    /// RFC 7616 §3.9.1.
    #[test]
    fn the_examples_of_the_rfc_are_met() {
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let challenge = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let mut request =
                Request::new(Method::from("GET"), Uri::Other("/dir/index.html".to_owned()));
            let mut client = Authenticator::new(credentials("Mufasa", "Circle of Life"));
            let response = challenged(Challenger::Server, &[&challenge]);
            client.handle_challenge(&request, &response).unwrap();
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            client.authorize(&mut request, cnonce);
            let answer = params(&request, "Authorization");
            assert_eq!(answer["response"], expected);
            assert_eq!(answer["opaque"], "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
            assert_eq!((answer["qop"].as_str(), answer["nc"].as_str()), ("auth", "00000001"));
        }
    }

    /// Computed apart from this program, with Python's hashlib.
    #[test]
    fn every_algorithm_and_protection_is_right() {
        for (algorithm, qop, expected) in [
            ("MD5", "", "d424c3ad9e7f8d99d1cea29336729ca0"),
            ("md5", "auth", "24d8cb4bda09414e8b7d73b7f2cd4d3f"),
            ("MD5", "auth-int", "c1c43dc9a8a9a767f5bd3fc7d42f637e"),
            ("MD5-sess", "auth", "9fa1abcaf207340d01ce06940c25ac3d"),
            ("MD5-sess", "auth-int", "8fd8ee85ef4cbd2531ae42e27002b7b0"),
            ("SHA-256", "", "0598a23020ed3e54c227dd58a9a1dff9d3edea5203cac894834f3e3ee90fe157"),
            ("SHA-256", "auth", "7133e30b0bb96fba5a6e099fe8a9509f81750a3bf6515b5f48216c54aa46bb00"),
            (
                "SHA-256",
                "auth-int",
                "7738dfadf5419d3bccfe7ca474f48b22327d61f8a907368446cd08dc8db8e516",
            ),
            (
                "SHA-256-sess",
                "auth",
                "58c245cb634616bb6b423ef2d7c031ba0fc425d6aecd3b8f6a2ecd3d5ba17af7",
            ),
            (
                "SHA-512-256",
                "auth",
                "2fb019f7b94c00ce8b23091e6d3ba86bb326cc0fc2457975fcae55764c0b1c54",
            ),
            (
                "SHA-512-256-sess",
                "auth",
                "1aca0f518d3e55abc84f227661b3964cd1a433698309912b0c9fde2375ea8e69",
            ),
        ] {
            let protection =
                if qop.is_empty() { String::new() } else { format!(", qop = \"{qop}\"") };
            let challenge = format!(
                "Digest realm = \"ims.example.jp\",nonce=\"abc/==\" , algorithm={algorithm}{protection}"
            );
            let (mut client, mut request) = (trunk(), register());
            let response = challenged(Challenger::Proxy, &[&challenge]);
            client.handle_challenge(&request, &response).unwrap();
            client.authorize(&mut request, "0123456789abcdef");
            let answer = params(&request, "Proxy-Authorization");
            assert_eq!(answer["response"], expected, "{algorithm} {qop}");
            assert_eq!(answer.contains_key("cnonce"), !qop.is_empty());
        }
    }

    #[test]
    fn the_strongest_challenge_that_is_understood_is_answered() {
        let md5 = r#"Digest realm="r", nonce="m", algorithm=MD5, qop="auth""#;
        let sha = r#"Digest realm="r", nonce="s", algorithm="SHA-256", qop="auth,auth-int""#;
        let unknown = r#"Digest realm="r", nonce="u", algorithm=SHA3-512, qop="auth""#;
        let strange = r#"Digest realm="r", nonce="q", algorithm=SHA-256, qop="auth-x""#;
        let ntlm = "NTLM targetname=\"x\"";
        let joined = format!("{md5}, {sha}");
        for (challenges, expected) in [
            (vec![md5, sha], "s"),
            (vec![sha, md5], "s"),
            (vec![unknown, md5], "m"),
            (vec![strange, md5, ntlm], "m"),
            (vec![ntlm, joined.as_str()], "s"),
            (vec!["Digest realm=\"r", md5], "m"),
        ] {
            let (mut client, mut request) = (trunk(), register());
            client
                .handle_challenge(&request, &challenged(Challenger::Server, &challenges))
                .unwrap();
            client.authorize(&mut request, "c");
            assert_eq!(params(&request, "Authorization")["nonce"], expected, "{challenges:?}");
        }
        for challenges in [vec![], vec![unknown, strange, ntlm], vec!["Digest nonce=\"x\""]] {
            let response = challenged(Challenger::Server, &challenges);
            let refused = trunk().handle_challenge(&register(), &response);
            assert_eq!(refused, Err(AuthError::NotUnderstood));
        }
    }

    #[test]
    fn server_and_proxy_are_answered_side_by_side() {
        let challenge = r#"Digest realm="r", nonce="n", qop="auth""#;
        let (mut client, mut request) = (trunk(), register());
        client.handle_challenge(&request, &challenged(Challenger::Proxy, &[challenge])).unwrap();
        client.authorize(&mut request, "c");
        client.handle_challenge(&request, &challenged(Challenger::Server, &[challenge])).unwrap();
        client.authorize(&mut request, "c");
        assert_eq!(params(&request, "Authorization")["nc"], "00000001");
        assert_eq!(params(&request, "Proxy-Authorization")["nc"], "00000002");
    }

    #[test]
    fn a_nonce_is_used_again_and_replaced_when_it_is_stale() {
        let mut server = Verifier::new(
            Challenger::Proxy,
            "ims.example.jp",
            vec![parse_algorithm("SHA-256").unwrap(), parse_algorithm("MD5").unwrap()],
            credentials("trunk7", "s3cret"),
            2,
        );
        let mut client = trunk();
        let mut rounds = Vec::new();
        for call in 0..4 {
            let mut request = register();
            client.authorize(&mut request, &format!("c{call}"));
            for round in 1.. {
                let Err(response) = server.verify(&request, &format!("n{call}{round}")) else {
                    rounds.push(round);
                    break;
                };
                client.handle_challenge(&request, &response).unwrap();
                client.authorize(&mut request, &format!("c{call}{round}"));
            }
        }
        // The first call is challenged; the second uses the nonce again; the third wears it out.
        assert_eq!(rounds, [2, 1, 2, 1]);
    }

    #[test]
    fn a_wrong_password_is_tried_once() {
        for algorithm in ["MD5", "SHA-256-sess"] {
            let mut server = Verifier::new(
                Challenger::Server,
                "r",
                vec![parse_algorithm(algorithm).unwrap()],
                credentials("trunk7", "other"),
                100,
            );
            let (mut client, mut request) = (trunk(), register());
            let response = server.verify(&request, "n1").unwrap_err();
            client.handle_challenge(&request, &response).unwrap();
            client.authorize(&mut request, "c");
            let response = server.verify(&request, "n2").unwrap_err();
            let refused = client.handle_challenge(&request, &response);
            assert_eq!(refused, Err(AuthError::Rejected));
        }
        let old_form = challenged(Challenger::Server, &[r#"Digest realm="r", nonce="n""#]);
        let (mut client, mut request) = (trunk(), register());
        client.handle_challenge(&request, &old_form).unwrap();
        client.authorize(&mut request, "c");
        assert_eq!(client.handle_challenge(&request, &old_form), Err(AuthError::Rejected));
    }

    #[test]
    fn a_server_that_finds_everything_stale_is_not_believed() {
        let stale = challenged(
            Challenger::Server,
            &[r#"Digest realm="r", nonce="n", stale=TRUE, qop="auth""#],
        );
        let (mut client, mut request) = (trunk(), register());
        let mut tries = 0;
        while client.handle_challenge(&request, &stale).is_ok() {
            client.authorize(&mut request, "c");
            tries += 1;
        }
        assert_eq!(tries, 3);
    }

    #[test]
    fn the_server_refuses_what_was_tampered_with() {
        let mut server = Verifier::new(
            Challenger::Server,
            "r",
            vec![parse_algorithm("MD5").unwrap()],
            credentials("trunk7", "s3cret"),
            100,
        );
        let (mut client, mut request) = (trunk(), register());
        let response = server.verify(&request, "n").unwrap_err();
        client.handle_challenge(&request, &response).unwrap();
        client.authorize(&mut request, "c");
        let mut other_method = request.clone();
        other_method.method = Method::Invite;
        assert!(server.verify(&other_method, "x").is_err());
        let mut forged = request.clone();
        let value = forged.headers.text("Authorization").unwrap().replace("trunk7", "trunk8");
        forged.headers.set("Authorization", value);
        assert!(server.verify(&forged, "y").is_err());
    }

    #[test]
    fn a_replayed_request_is_refused() {
        let mut server = Verifier::new(
            Challenger::Server,
            "r",
            vec![parse_algorithm("MD5").unwrap()],
            credentials("trunk7", "s3cret"),
            100,
        );
        let (mut client, mut request) = (trunk(), register());
        let response = server.verify(&request, "n").unwrap_err();
        client.handle_challenge(&request, &response).unwrap();
        client.authorize(&mut request, "c");
        assert!(server.verify(&request, "x").is_ok());
        let response = server.verify(&request, "y").unwrap_err();
        assert!(response.headers.text("WWW-Authenticate").unwrap().contains("stale=true"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_challenge_makes_it_panic(text in "(Digest )?([a-z]{1,5} ?= ?\"?\\PC{0,5}\"?,? ?){0,6}") {
            let response = challenged(Challenger::Server, &[&text]);
            let (mut client, mut request) = (trunk(), register());
            if client.handle_challenge(&request, &response).is_ok() {
                client.authorize(&mut request, "c");
            }
            request.headers.set("Authorization", text);
            let _ = Answer::all(&request.headers, Challenger::Server);
        }

        #[test]
        fn a_challenge_that_is_printed_is_read_again(
            realm in "[ -~]{0,10}",
            nonce in "[ -~]{1,10}",
            opaque in proptest::option::of("[ -~]{0,10}"),
            stale: bool,
            sess: bool,
        ) {
            let challenge = Challenge {
                realm, nonce, opaque, stale, userhash: false,
                algorithm: Algorithm::new(AlgorithmType::SHA2_256, sess),
                qop: vec![Qop::AUTH],
            };
            let mut headers = Headers::default();
            headers.push("WWW-Authenticate", challenge.to_wire());
            prop_assert_eq!(Challenge::all(&headers, Challenger::Server), vec![challenge]);
        }
    }
}
