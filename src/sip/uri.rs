//! Addresses: sip, sips and tel URIs, and opaque others (RFC 3261 §19.1, RFC 3966).
//!
//! Escapes are kept as they came, so that what is printed is what was read. There is no `Display`,
//! and `Debug` hides the user part: a telephone number must not reach a log by accident. What goes
//! on the wire is made by `to_wire`.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::sip::parse::Scanner;

/// An address as it stands in a Request-URI or between `<` and `>`.
#[derive(Clone, Eq, PartialEq)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:`, which IMS trunks put into the Request-URI and into From.
    Tel(TelUri),
    /// Any other scheme, untouched.
    Other(String),
}

/// A `sip:` or `sips:` URI.
#[derive(Clone, Eq, PartialEq)]
pub struct SipUri {
    /// `sips:`, which demands TLS on every hop.
    pub secure: bool,
    /// What stands before `@`, without the password; escapes are kept.
    pub user: Option<String>,
    /// The password that RFC 3261 discourages.
    pub password: Option<String>,
    /// The host.
    pub host: Host,
    /// The port, when it is named.
    pub port: Option<u16>,
    /// Such as `transport`, `lr`, `user`.
    pub params: Params,
    /// What stands behind `?`, untouched.
    pub headers: Option<String>,
}

/// A `tel:` URI (RFC 3966).
#[derive(Clone, Eq, PartialEq)]
pub struct TelUri {
    /// The number as it was written, visual separators included.
    pub number: String,
    /// Such as `phone-context`.
    pub params: Params,
}

/// The host of a URI or of a Via.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Host {
    /// A domain name.
    Name(String),
    /// An address; IPv6 is written in brackets.
    Ip(IpAddr),
}

/// Parameters after `;`, in their order. Names are compared without regard to case; values are
/// kept as written, quotes included.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Params(Vec<(String, Option<String>)>);

/// The text is no URI, no host, or no address with a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed address")]
pub struct MalformedUri;

/// An address with an optional display name and parameters, as in From, To, Contact and Route.
#[derive(Clone, Eq, PartialEq)]
pub struct NameAddr {
    /// The display name, without its quotes and escapes.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// The parameters of the header field, such as `tag` or `expires`; not those of the URI.
    pub params: Params,
}

impl Uri {
    /// `sip:user@host:port`.
    pub fn sip(user: &str, host: Host, port: Option<u16>) -> Self {
        Self::Sip(SipUri {
            secure: false,
            user: (!user.is_empty()).then(|| user.to_owned()),
            password: None,
            host,
            port,
            params: Params::default(),
            headers: None,
        })
    }

    /// The URI when it is a SIP URI.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Tel(_) | Self::Other(_) => None,
        }
    }

    /// The parameters of the URI; none for an opaque one.
    pub fn param(&self, name: &str) -> Option<&str> {
        match self {
            Self::Sip(uri) => uri.params.get(name),
            Self::Tel(uri) => uri.params.get(name),
            Self::Other(_) => None,
        }
    }

    /// Whether a router with this address routes loosely (`lr`, RFC 3261 §16.12).
    pub fn is_loose_router(&self) -> bool {
        self.as_sip().is_some_and(|uri| uri.params.contains("lr"))
    }

    /// The text for the wire.
    pub fn to_wire(&self) -> String {
        match self {
            Self::Sip(uri) => uri.to_wire(),
            Self::Tel(uri) => format!("tel:{}{}", uri.number, uri.params.to_wire()),
            Self::Other(text) => text.clone(),
        }
    }

    /// Whether both name the same resource (RFC 3261 §19.1.4, RFC 3966 §4).
    pub fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => a.is_equivalent(b),
            (Self::Tel(a), Self::Tel(b)) => a.is_equivalent(b),
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => false,
        }
    }
}

impl SipUri {
    /// The user part with its escapes undone. Bytes, for `%00` and Latin-1 are legal.
    pub fn unescaped_user(&self) -> Option<Vec<u8>> {
        self.user.as_deref().map(unescape)
    }

    fn to_wire(&self) -> String {
        let mut text = String::from(if self.secure { "sips:" } else { "sip:" });
        if let Some(user) = &self.user {
            text.push_str(user);
            if let Some(password) = &self.password {
                text.push(':');
                text.push_str(password);
            }
            text.push('@');
        }
        text.push_str(&self.host.to_string());
        if let Some(port) = self.port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        text.push_str(&self.params.to_wire());
        if let Some(headers) = &self.headers {
            text.push('?');
            text.push_str(headers);
        }
        text
    }

    fn is_equivalent(&self, other: &Self) -> bool {
        self.secure == other.secure
            && self.unescaped_user() == other.unescaped_user()
            && self.password.as_deref().map(unescape) == other.password.as_deref().map(unescape)
            && self.host.is_equivalent(&other.host)
            && self.port == other.port
            && self.params.agree_as_uri_params(&other.params)
            && self.headers == other.headers
    }
}

impl TelUri {
    /// The number without visual separators: `+` and digits.
    pub fn dialled(&self) -> String {
        self.number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect()
    }

    fn is_equivalent(&self, other: &Self) -> bool {
        let context = |uri: &Self| uri.params.get("phone-context").map(str::to_ascii_lowercase);
        self.dialled().eq_ignore_ascii_case(&other.dialled()) && context(self) == context(other)
    }
}

impl Host {
    /// Whether both are the same host; names without regard to case.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            _ => self == other,
        }
    }

    /// The address, when the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(*ip),
            Self::Name(_) => None,
        }
    }
}

impl Params {
    /// The value as written; `None` when the parameter is absent or has no value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).and_then(|(_, value)| value.as_deref())
    }

    /// Whether the parameter is there, with or without a value.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Sets the value, in place when the parameter exists.
    pub fn set(&mut self, name: &str, value: &str) {
        self.put(name, Some(value.to_owned()));
    }

    /// Sets the parameter without a value.
    pub fn set_flag(&mut self, name: &str) {
        self.put(name, None);
    }

    /// Takes the parameter away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
    }

    /// All parameters in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// The text for the wire: each parameter with its leading `;`.
    pub fn to_wire(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.iter() {
            text.push(';');
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                text.push_str(value);
            }
        }
        text
    }

    /// Appends what was read, duplicates included.
    pub(crate) fn push(&mut self, name: &str, value: Option<&str>) {
        self.0.push((name.to_owned(), value.map(str::to_owned)));
    }

    fn find(&self, name: &str) -> Option<&(String, Option<String>)> {
        self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    fn put(&mut self, name: &str, value: Option<String>) {
        match self.0.iter_mut().find(|(own, _)| own.eq_ignore_ascii_case(name)) {
            Some((_, own)) => *own = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// RFC 3261 §19.1.4: common parameters agree, and `user`, `ttl`, `method`, `maddr` and
    /// `transport` are never ignored.
    fn agree_as_uri_params(&self, other: &Self) -> bool {
        let never_ignored = ["user", "ttl", "method", "maddr", "transport"];
        let same = |name: &str| {
            let value = |params: &Self| {
                params.find(name).map(|(_, value)| value.as_deref().map(str::to_ascii_lowercase))
            };
            value(self) == value(other)
        };
        never_ignored.into_iter().all(same)
            && self.iter().all(|(name, _)| !other.contains(name) || same(name))
    }
}

impl NameAddr {
    /// An address without name or parameters.
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::default() }
    }

    /// The tag of From or To.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }

    /// The text for the wire, with `<` and `>` always.
    pub fn to_wire(&self) -> String {
        let display = self.display.as_ref().map_or_else(String::new, |name| {
            format!("\"{}\" ", name.replace('\\', "\\\\").replace('"', "\\\""))
        });
        format!("{display}<{}>{}", self.uri.to_wire(), self.params.to_wire())
    }
}

impl FromStr for Uri {
    type Err = MalformedUri;

    fn from_str(text: &str) -> Result<Self, MalformedUri> {
        let is_legal = |c: char| !c.is_ascii_whitespace() && !c.is_control() && !"<>\"".contains(c);
        let (scheme, rest) = text.split_once(':').ok_or(MalformedUri)?;
        if !is_scheme(scheme) || rest.is_empty() || !rest.chars().all(is_legal) {
            return Err(MalformedUri);
        }
        match scheme.to_ascii_lowercase().as_str() {
            "sip" => parse_sip(rest, false).map(Self::Sip),
            "sips" => parse_sip(rest, true).map(Self::Sip),
            "tel" => parse_tel(rest).map(Self::Tel),
            _ => Ok(Self::Other(text.to_owned())),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn parse_sip(text: &str, secure: bool) -> Result<SipUri, MalformedUri> {
    // `@` is legal only as the delimiter, while `;`, `?` and `/` may be part of the user.
    let (userinfo, rest) = match text.split_once('@') {
        Some((userinfo, rest)) => (Some(userinfo), rest),
        None => (None, text),
    };
    if userinfo == Some("") || rest.contains('@') {
        return Err(MalformedUri);
    }
    let (user, password) = match userinfo.map(|info| info.split_once(':').ok_or(info)) {
        None => (None, None),
        Some(Ok((user, password))) => (Some(user.to_owned()), Some(password.to_owned())),
        Some(Err(user)) => (Some(user.to_owned()), None),
    };
    let (rest, headers) = match rest.split_once('?') {
        Some((rest, headers)) => (rest, Some(headers.to_owned())),
        None => (rest, None),
    };
    let (host_port, params) = match rest.split_once(';') {
        Some((host_port, params)) => (host_port, parse_uri_params(params)?),
        None => (rest, Params::default()),
    };
    let (host, port) = parse_host_port(host_port)?;
    Ok(SipUri { secure, user, password, host, port, params, headers })
}

fn parse_tel(text: &str) -> Result<TelUri, MalformedUri> {
    let (number, params) = match text.split_once(';') {
        Some((number, params)) => (number, parse_uri_params(params)?),
        None => (text, Params::default()),
    };
    let digits = number.strip_prefix('+').unwrap_or(number);
    // A local number may also use the keys * and # and hexadecimal digits.
    let is_legal = |c: char| c.is_ascii_hexdigit() || "*#-.()".contains(c);
    if !digits.contains(|c: char| c.is_ascii_hexdigit()) || !digits.chars().all(is_legal) {
        return Err(MalformedUri);
    }
    Ok(TelUri { number: number.to_owned(), params })
}

fn parse_uri_params(text: &str) -> Result<Params, MalformedUri> {
    let mut params = Params::default();
    // A doubled or trailing `;` is common and harmless.
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        if name.is_empty() {
            return Err(MalformedUri);
        }
        params.push(name, value);
    }
    Ok(params)
}

/// Reads `host`, `host:port`, `[v6]` or `[v6]:port`.
pub(crate) fn parse_host_port(text: &str) -> Result<(Host, Option<u16>), MalformedUri> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or(MalformedUri)?;
            let address: Ipv6Addr = address.parse().map_err(|_| MalformedUri)?;
            let port = match rest {
                "" => None,
                _ => Some(rest.strip_prefix(':').ok_or(MalformedUri)?),
            };
            (Host::Ip(IpAddr::V6(address)), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.parse()?, Some(port)),
            None => (text.parse()?, None),
        },
    };
    let port = port.map(|digits| parse_port(digits).ok_or(MalformedUri)).transpose()?;
    Ok((host, port))
}

fn parse_port(digits: &str) -> Option<u16> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

impl FromStr for Host {
    type Err = MalformedUri;

    /// Reads a name, an IPv4 address, or an IPv6 address with or without brackets.
    fn from_str(text: &str) -> Result<Self, MalformedUri> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(ip) = bare.parse() {
            return Ok(Self::Ip(ip));
        }
        // The underscore is not legal in a host name, and common in private networks.
        let is_legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if text.is_empty() || !text.chars().all(is_legal) {
            return Err(MalformedUri);
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl From<SocketAddr> for Uri {
    /// `sip:address:port`.
    fn from(address: SocketAddr) -> Self {
        Self::sip("", Host::Ip(address.ip()), Some(address.port()))
    }
}

impl FromStr for NameAddr {
    type Err = MalformedUri;

    fn from_str(text: &str) -> Result<Self, MalformedUri> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let display = scanner.quoted().map(|quoted| unquote(quoted).into_owned());
        scanner.skip_space();
        let rest = scanner.rest();
        let (display, uri, rest) = match rest.split_once('<') {
            Some((words, rest)) if !is_bare_uri(words) => {
                let (uri, rest) = rest.split_once('>').ok_or(MalformedUri)?;
                (display.or(parse_words(words)?), uri.trim(), rest)
            }
            // Without brackets, everything after the first `;` belongs to the header field.
            _ if display.is_none() => {
                let (uri, rest) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
                (None, uri.trim(), rest)
            }
            _ => return Err(MalformedUri),
        };
        let mut scanner = Scanner::new(rest);
        let params = scanner.params().ok_or(MalformedUri)?;
        if !scanner.is_at_end() {
            return Err(MalformedUri);
        }
        Ok(Self { display, uri: uri.parse()?, params })
    }
}

/// Whether the text before `<` is itself a URI: then the `<` belongs to a parameter.
fn is_bare_uri(words: &str) -> bool {
    words.contains(':') && words.contains(';')
}

/// An unquoted display name: words of token characters. Others are tolerated as long as they
/// cannot be mistaken for structure.
fn parse_words(words: &str) -> Result<Option<String>, MalformedUri> {
    let words = words.trim();
    if words.contains(['"', ';', ',', '>', '\\']) {
        return Err(MalformedUri);
    }
    Ok((!words.is_empty()).then(|| words.to_owned()))
}

/// Undoes the quotes and backslashes of a quoted string; other text is returned as it is.
pub(crate) fn unquote(text: &str) -> Cow<'_, str> {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else { return Cow::Borrowed(text) };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(plain)
}

/// Undoes `%XX`; a `%` that begins no escape stays.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let escape = match tail {
            [high, low, tail @ ..] if *first == b'%' => {
                hex(*high).zip(hex(*low)).map(|(high, low)| (high * 16 + low, tail))
            }
            _ => None,
        };
        let (byte, tail) = escape.unwrap_or((*first, tail));
        plain.push(byte);
        rest = tail;
    }
    plain
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => fmt::Debug::fmt(uri, f),
            Self::Tel(uri) => fmt::Debug::fmt(uri, f),
            Self::Other(text) => write!(f, "{}:…", text.split(':').next().unwrap_or_default()),
        }
    }
}

impl fmt::Debug for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = if self.user.is_some() { "…@" } else { "" };
        write!(f, "sip:{user}{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for TelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tel:…")
    }
}

impl fmt::Debug for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{:?}>{}", self.uri, self.params.to_wire())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_read_and_printed_without_loss() {
        for text in [
            "sip:alice@example.com",
            "sips:alice:secret@example.com:5061;transport=tcp;lr?Subject=x&Route=%3Csip:y%3E",
            "sip:sips%3Auser%40example.com@example.net",
            "sip:user;par=u%40example.net@example.com",
            "sip:+81312345678;phone-context=x@example.com;user=phone",
            "sip:null-%00-null@example.com",
            "sip:[2001:db8::10]:5070;lr",
            "sip:192.0.2.1",
            "sip:a?b/c@example.com",
            "tel:+81-3-1234-5678;ext=9",
            "tel:7042;phone-context=example.com",
            "soap.beep://192.0.2.103:3002",
        ] {
            assert_eq!(text.parse::<Uri>().unwrap().to_wire(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "alice",
            "sip:",
            ":x",
            "1a:b",
            "sip:@example.com",
            "sip:a@",
            "sip:a@b@c",
            "sip:a b@c",
            "<sip:a@b>",
            "sip:2001:db8::1",
            "sip:a@[::1",
            "sip:a@[::1]5060",
            "sip:a@b:",
            "sip:a@b:65536",
            "sip:a@b:+5060",
            "sip:a@exämple.com",
            "tel:",
            "tel:+",
            "tel:abc!",
            "sip:a@b;=x",
        ] {
            assert_eq!(text.parse::<Uri>(), Err(MalformedUri), "{text}");
        }
    }

    #[test]
    fn parts_of_an_address_are_found() {
        let uri: Uri = "sip:%61b;x=y:pw@[::1]:5070;LR;transport=udp".parse().unwrap();
        let sip = uri.as_sip().unwrap();
        assert_eq!(sip.unescaped_user().unwrap(), b"ab;x=y");
        assert_eq!(sip.password.as_deref(), Some("pw"));
        assert_eq!(sip.host.ip(), Some("::1".parse().unwrap()));
        assert_eq!(sip.port, Some(5070));
        assert!(uri.is_loose_router());
        assert_eq!(uri.param("TRANSPORT"), Some("udp"));
        let tel: Uri = "tel:+81-(3).1234-5678".parse().unwrap();
        assert!(matches!(tel, Uri::Tel(tel) if tel.dialled() == "+81312345678"));
    }

    /// The examples of RFC 3261 §19.1.4 and RFC 3966 §4.
    #[test]
    fn equivalent_addresses_are_recognised() {
        for (a, b, expected) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false),
            ("SIP:alice@a.com", "sip:Alice@a.com", false),
            ("sip:bob@b.com", "sip:bob@b.com:5060", false),
            ("sip:bob@b.com", "sip:bob@b.com;transport=udp", false),
            ("sip:bob@b.com", "sips:bob@b.com", false),
            ("tel:+81-3-1234", "tel:+8131234", true),
            ("tel:1234;phone-context=A.com", "tel:12-34;phone-context=a.com", true),
            ("tel:1234", "tel:+1234", false),
        ] {
            let (a_uri, b_uri): (Uri, Uri) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(a_uri.is_equivalent(&b_uri), expected, "{a} {b}");
            assert_eq!(b_uri.is_equivalent(&a_uri), expected, "{b} {a}");
        }
    }

    #[test]
    fn names_and_parameters_are_told_from_the_address() {
        for (text, display, uri, tag) in [
            ("sip:a@b;tag=1", None, "sip:a@b", Some("1")),
            ("<sip:a@b;x=y>;tag=1", None, "sip:a@b;x=y", Some("1")),
            ("sip:a@b ;\t tag    = 1918181833n", None, "sip:a@b", Some("1918181833n")),
            (
                "\"J Rosenberg \\\\\\\"\"   <sip:j@b> ; tag = 9",
                Some("J Rosenberg \\\""),
                "sip:j@b",
                Some("9"),
            ),
            ("caller<sip:a@b>;tag=3", Some("caller"), "sip:a@b", Some("3")),
            ("Jörg A. <sip:a@b>", Some("Jörg A."), "sip:a@b", None),
            ("\"a\" < tel:+8131234 >", Some("a"), "tel:+8131234", None),
            ("sip:a@b;q=\"<\";tag=4", None, "sip:a@b", Some("4")),
            ("<sip:a@b>;;;tag=5;", None, "sip:a@b", Some("5")),
        ] {
            let address: NameAddr = text.parse().unwrap_or_else(|_| panic!("{text}"));
            assert_eq!(address.display.as_deref(), display, "{text}");
            assert_eq!(address.uri.to_wire(), uri, "{text}");
            assert_eq!(address.tag(), tag, "{text}");
        }
        for text in ["", "\"a <sip:a@b>", "<sip:a@b", "A, B <sip:a@b>", "<sip:a@b> x", "a"] {
            assert_eq!(text.parse::<NameAddr>(), Err(MalformedUri), "{text}");
        }
    }

    #[test]
    fn parameters_are_set_in_place() {
        let mut params = Params::default();
        params.set("a", "1");
        params.set_flag("b");
        params.set("A", "2");
        assert_eq!(params.to_wire(), ";a=2;b");
        params.remove("B");
        assert_eq!((params.contains("b"), params.get("a")), (false, Some("2")));
    }

    #[test]
    fn nobody_is_named_in_a_log() {
        let address: NameAddr =
            "\"Kanzaki\" <sip:+81312345678@example.com:5070>;tag=1".parse().unwrap();
        assert_eq!(format!("{address:?}"), "<sip:…@example.com:5070>;tag=1");
        let tel: Uri = "tel:+81312345678".parse().unwrap();
        assert_eq!(format!("{tel:?}"), "tel:…");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_text_makes_it_panic(text in "(sips?:|tel:|\"|<)?\\PC{0,40}") {
            let _ = text.parse::<Uri>();
            let _ = text.parse::<Host>();
            let _ = text.parse::<NameAddr>();
        }

        #[test]
        fn what_is_printed_is_read_again(
            display in proptest::option::of("[ -~あ-ん]{0,12}"),
            user in "[a-z0-9+;=?/%.-]{0,12}",
            port in proptest::option::of(any::<u16>()),
            flag in "[a-z]{1,4}",
            value in "[a-z0-9.]{1,8}",
        ) {
            let mut address = NameAddr::new(Uri::sip(&user, Host::Name("a.example".to_owned()), port));
            if let Uri::Sip(uri) = &mut address.uri {
                uri.params.set_flag(&flag);
            }
            address.display = display;
            address.params.set("tag", &value);
            prop_assert_eq!(address.to_wire().parse::<NameAddr>(), Ok(address));
        }
    }
}
