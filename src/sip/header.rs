//! Header fields: an ordered list that keeps every byte, and typed readings of it (RFC 3261 §20).
//!
//! Reading is lazy: a header field is parsed when it is asked for, so a bad one costs only itself.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::sip::message::Method;
use crate::sip::parse::{Scanner, split_list};
use crate::sip::uri::{Host, MalformedUri, NameAddr, Params, parse_host_port, unquote};

/// The header fields of a message, in their order.
///
/// Names are compared without regard to case, and the compact forms (`v` for `Via`) are the same
/// names. `Debug` shows the names only, for the values name persons.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers(Vec<Header>);

/// One header field.
#[derive(Clone, Eq, PartialEq)]
pub struct Header {
    /// The name as it was written.
    pub name: String,
    /// The value without surrounding blanks; a folded value has one space for each fold.
    pub value: Vec<u8>,
}

/// A header field that was needed could not be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// The header field is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// It is there, and cannot be read.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// It may be there only once.
    #[error("{0} is there more than once")]
    Repeated(&'static str),
}

impl HeaderError {
    /// The name of the header field.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing(name) | Self::Malformed(name) | Self::Repeated(name) => name,
        }
    }
}

/// One hop of the way back (RFC 3261 §20.42).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, or what else was written.
    pub transport: String,
    /// The host that the sender wants the response at.
    pub host: Host,
    /// Its port, when it is named.
    pub port: Option<u16>,
    /// Such as `branch`, `received`, `rport`.
    pub params: Params,
}

/// The number and method of a request (RFC 3261 §20.16).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CSeq {
    /// The number, which grows by any step within a dialog.
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

/// Why a request or response was sent (RFC 3326).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason {
    /// `SIP` or `Q.850`.
    pub protocol: String,
    /// A SIP status or a Q.850 cause.
    pub cause: Option<u16>,
    /// A text for humans.
    pub text: Option<String>,
}

/// How long the session lives without a refresh (RFC 4028).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionExpires {
    /// The interval, in whole seconds.
    pub interval: Duration,
    /// Who refreshes; `None` where it is left open.
    pub refresher: Option<Refresher>,
}

/// Who refreshes a session: the side that was client or server of the last refresh.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refresher {
    /// The client.
    Uac,
    /// The server.
    Uas,
}

/// The compact forms that the IANA lists (RFC 3261 §7.3.3 and others).
const COMPACT: [(&str, &str); 20] = [
    ("a", "Accept-Contact"),
    ("b", "Referred-By"),
    ("c", "Content-Type"),
    ("d", "Request-Disposition"),
    ("e", "Content-Encoding"),
    ("f", "From"),
    ("i", "Call-ID"),
    ("j", "Reject-Contact"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("m", "Contact"),
    ("n", "Identity-Info"),
    ("o", "Event"),
    ("r", "Refer-To"),
    ("s", "Subject"),
    ("t", "To"),
    ("u", "Allow-Events"),
    ("v", "Via"),
    ("x", "Session-Expires"),
    ("y", "Identity"),
];

/// The long form of a name.
fn long(name: &str) -> &str {
    COMPACT
        .iter()
        .find(|(compact, _)| compact.eq_ignore_ascii_case(name))
        .map_or(name, |(_, long)| long)
}

impl Header {
    /// Whether this is the header field of that name.
    pub fn is(&self, name: &str) -> bool {
        long(&self.name).eq_ignore_ascii_case(long(name))
    }

    /// The value as text: UTF-8, or Latin-1 where it is not.
    pub fn text(&self) -> Cow<'_, str> {
        text(&self.value)
    }
}

/// Bytes as text: UTF-8, or Latin-1 where they are not.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    }
}

/// A value that cannot break out of its line: CR and LF become spaces, surrounding blanks go.
fn one_line(value: Vec<u8>) -> Vec<u8> {
    let mut value = value;
    for byte in value.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')) {
        *byte = b' ';
    }
    value.trim_ascii().to_vec()
}

/// # The list
impl Headers {
    /// Appends a header field at the end. CR and LF in the value become spaces.
    pub fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push(Header { name: name.to_owned(), value: one_line(value.into()) });
    }

    /// Puts a header field before all others, as one adds a Via.
    pub fn prepend(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.insert(0, Header { name: name.to_owned(), value: one_line(value.into()) });
    }

    /// Replaces all header fields of that name by one, at the place of the first.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        let place = self.0.iter().position(|header| header.is(name)).unwrap_or(self.0.len());
        self.remove(name);
        self.0.insert(place, Header { name: name.to_owned(), value: one_line(value.into()) });
    }

    /// Takes all header fields of that name away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|header| !header.is(name));
    }

    /// Appends all header fields of that name that the other list has, byte for byte.
    pub fn copy(&mut self, name: &str, other: &Self) {
        self.0.extend(other.0.iter().filter(|header| header.is(name)).cloned());
    }

    /// All header fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter()
    }

    /// All header fields of that name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Header> {
        self.0.iter().filter(move |header| header.is(name))
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next().map(|header| header.value.as_slice())
    }

    /// The first value of that name as text.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(text)
    }

    /// Whether a header field of that name is there.
    pub fn contains(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// How many header fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the tag to To, byte for byte, unless it has one.
    pub fn tag_to(&mut self, tag: &str) {
        let has_tag = self.to().is_ok_and(|to| to.tag().is_some());
        if let Some(header) = self.0.iter_mut().find(|header| header.is("To")).filter(|_| !has_tag)
        {
            header.value.extend_from_slice(format!(";tag={tag}").as_bytes());
        }
    }
}

/// # What the header fields say
impl Headers {
    /// The topmost Via.
    pub fn via(&self) -> Result<Via, HeaderError> {
        let first = self.all("Via").next().ok_or(HeaderError::Missing("Via"))?;
        let value = first.text();
        let elements = split_list(&value).ok_or(HeaderError::Malformed("Via"))?;
        let top = elements.first().ok_or(HeaderError::Malformed("Via"))?;
        top.parse().map_err(|MalformedUri| HeaderError::Malformed("Via"))
    }

    /// All Via, topmost first; at least one.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        let vias = self.list("Via")?;
        if vias.is_empty() { Err(HeaderError::Missing("Via")) } else { Ok(vias) }
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.needed("From")
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.needed("To")
    }

    /// Call-ID, compared byte by byte.
    pub fn call_id(&self) -> Result<Cow<'_, str>, HeaderError> {
        let value = self.only("Call-ID")?.ok_or(HeaderError::Missing("Call-ID"))?;
        let is_word = !value.is_empty() && !value.contains(|c: char| c.is_ascii_whitespace());
        if is_word { Ok(value) } else { Err(HeaderError::Malformed("Call-ID")) }
    }

    /// `CSeq`.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.needed("CSeq")
    }

    /// The first Contact; `None` when there is none, or only `*`.
    pub fn contact(&self) -> Result<Option<NameAddr>, HeaderError> {
        Ok(self.contacts()?.into_iter().next())
    }

    /// All Contacts that are addresses.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, HeaderError> {
        if self.contact_is_star() { Ok(Vec::new()) } else { self.list("Contact") }
    }

    /// Whether Contact is `*`: all bindings (RFC 3261 §10.2.2).
    pub fn contact_is_star(&self) -> bool {
        self.get("Contact") == Some(b"*")
    }

    /// The route that the message still has to take.
    pub fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.list("Route")
    }

    /// The route that was recorded, in the order of the message.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.list("Record-Route")
    }

    /// Max-Forwards, 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.number("Max-Forwards")
    }

    /// Expires.
    pub fn expires(&self) -> Result<Option<Duration>, HeaderError> {
        self.seconds("Expires")
    }

    /// Min-Expires, with 423.
    pub fn min_expires(&self) -> Result<Option<Duration>, HeaderError> {
        self.seconds("Min-Expires")
    }

    /// Min-SE (RFC 4028), with 422.
    pub fn min_se(&self) -> Result<Option<Duration>, HeaderError> {
        let Some(value) = self.only("Min-SE")? else { return Ok(None) };
        leading_seconds(&value).map(Some).ok_or(HeaderError::Malformed("Min-SE"))
    }

    /// Session-Expires (RFC 4028).
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, HeaderError> {
        self.optional("Session-Expires")
    }

    /// Retry-After: how long the sender wants to be left alone. Comment and parameters are skipped.
    pub fn retry_after(&self) -> Result<Option<Duration>, HeaderError> {
        let Some(value) = self.only("Retry-After")? else { return Ok(None) };
        leading_seconds(&value).map(Some).ok_or(HeaderError::Malformed("Retry-After"))
    }

    /// All Reasons (RFC 3326).
    pub fn reasons(&self) -> Result<Vec<Reason>, HeaderError> {
        self.list("Reason")
    }

    /// The Q.850 cause (0 to 127) that a Reason gives, if any can be read.
    pub fn q850_cause(&self) -> Option<u8> {
        let reasons = self.reasons().ok()?;
        let reason = reasons.into_iter().find(|one| one.protocol.eq_ignore_ascii_case("Q.850"))?;
        u8::try_from(reason.cause?).ok().filter(|cause| *cause < 128)
    }

    /// The extensions that the peer must understand.
    pub fn require(&self) -> Result<Vec<String>, HeaderError> {
        self.tokens("Require")
    }

    /// The extensions that the sender understands.
    pub fn supported(&self) -> Result<Vec<String>, HeaderError> {
        self.tokens("Supported")
    }

    /// The extensions that the sender does not understand, with 420.
    pub fn unsupported(&self) -> Result<Vec<String>, HeaderError> {
        self.tokens("Unsupported")
    }

    /// The methods that the sender understands; `None` when it does not say.
    pub fn allow(&self) -> Result<Option<Vec<Method>>, HeaderError> {
        if !self.contains("Allow") {
            return Ok(None);
        }
        let names = self.tokens("Allow")?;
        Ok(Some(names.iter().map(|name| Method::from(name.as_str())).collect()))
    }

    /// The type of the body in lower case, without parameters: `application/sdp`.
    pub fn content_type(&self) -> Result<Option<String>, HeaderError> {
        let Some(value) = self.only("Content-Type")? else { return Ok(None) };
        let media = value.split(';').next().unwrap_or_default();
        let (kind, subtype) =
            media.split_once('/').ok_or(HeaderError::Malformed("Content-Type"))?;
        Ok(Some(format!("{}/{}", kind.trim(), subtype.trim()).to_ascii_lowercase()))
    }

    /// The only value of that name as text.
    fn only(&self, name: &'static str) -> Result<Option<Cow<'_, str>>, HeaderError> {
        let mut all = self.all(name);
        let first = all.next().map(Header::text);
        if all.next().is_some() { Err(HeaderError::Repeated(name)) } else { Ok(first) }
    }

    fn optional<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, HeaderError> {
        let Some(value) = self.only(name)? else { return Ok(None) };
        value.trim().parse().map(Some).map_err(|_| HeaderError::Malformed(name))
    }

    fn needed<T: FromStr>(&self, name: &'static str) -> Result<T, HeaderError> {
        self.optional(name)?.ok_or(HeaderError::Missing(name))
    }

    fn number<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, HeaderError> {
        let Some(value) = self.only(name)? else { return Ok(None) };
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| value.parse().ok()).flatten();
        number.map(Some).ok_or(HeaderError::Malformed(name))
    }

    fn seconds(&self, name: &'static str) -> Result<Option<Duration>, HeaderError> {
        let seconds: Option<u32> = self.number(name)?;
        Ok(seconds.map(|seconds| Duration::from_secs(seconds.into())))
    }

    /// All elements of all header fields of that name.
    fn list<T: FromStr>(&self, name: &'static str) -> Result<Vec<T>, HeaderError> {
        let mut elements = Vec::new();
        for header in self.all(name) {
            let value = header.text();
            for element in split_list(&value).ok_or(HeaderError::Malformed(name))? {
                elements.push(element.parse().map_err(|_| HeaderError::Malformed(name))?);
            }
        }
        Ok(elements)
    }

    fn tokens(&self, name: &'static str) -> Result<Vec<String>, HeaderError> {
        let mut tokens = Vec::new();
        for header in self.all(name) {
            let value = header.text();
            // Empty elements are common here (`Supported:`) and mean nothing.
            let elements = value.split(',').map(str::trim).filter(|element| !element.is_empty());
            for element in elements {
                let mut scanner = Scanner::new(element);
                let token = scanner.token().filter(|_| scanner.is_at_end());
                tokens.push(token.ok_or(HeaderError::Malformed(name))?.to_owned());
            }
        }
        Ok(tokens)
    }
}

/// The number of seconds that opens a value such as `120 (in a meeting);duration=60`.
fn leading_seconds(value: &str) -> Option<Duration> {
    let digits = value.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let ends_well = rest.is_empty() || rest.starts_with([' ', '\t', ';', '(']);
    let seconds: u32 = digits.parse().ok().filter(|_| ends_well)?;
    Some(Duration::from_secs(seconds.into()))
}

impl Via {
    /// The branch, which names the transaction.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// The text for the wire.
    pub fn to_wire(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        format!("SIP/2.0/{} {}{port}{}", self.transport, self.host, self.params.to_wire())
    }
}

impl FromStr for Via {
    type Err = MalformedUri;

    fn from_str(text: &str) -> Result<Self, MalformedUri> {
        let mut scanner = Scanner::new(text);
        let mut word = || {
            scanner.skip_space();
            let token = scanner.token().ok_or(MalformedUri)?;
            scanner.skip_space();
            scanner.eat('/').then_some(token).ok_or(MalformedUri)
        };
        let (protocol, version) = (word()?, word()?);
        if !protocol.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return Err(MalformedUri);
        }
        scanner.skip_space();
        let transport = scanner.token().ok_or(MalformedUri)?.to_owned();
        scanner.skip_space();
        let rest = scanner.rest();
        let (sent_by, rest) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
        // Blanks around the colon of the port are legal.
        let sent_by: String =
            sent_by.trim().split(':').map(str::trim).collect::<Vec<_>>().join(":");
        let (host, port) = parse_host_port(&sent_by)?;
        let mut scanner = Scanner::new(rest);
        let params = scanner.params().filter(|_| scanner.is_at_end()).ok_or(MalformedUri)?;
        Ok(Self { transport, host, port, params })
    }
}

impl CSeq {
    /// The text for the wire.
    pub fn to_wire(&self) -> String {
        format!("{} {}", self.number, self.method)
    }
}

impl FromStr for CSeq {
    type Err = MalformedUri;

    fn from_str(text: &str) -> Result<Self, MalformedUri> {
        let mut words = text.split_ascii_whitespace();
        let (Some(number), Some(method), None) = (words.next(), words.next(), words.next()) else {
            return Err(MalformedUri);
        };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_number.then(|| number.parse().ok()).flatten().ok_or(MalformedUri)?;
        Ok(Self { number, method: Method::from(method) })
    }
}

impl FromStr for Reason {
    type Err = MalformedUri;

    fn from_str(text: &str) -> Result<Self, MalformedUri> {
        let mut scanner = Scanner::new(text);
        scanner.skip_space();
        let protocol = scanner.token().ok_or(MalformedUri)?.to_owned();
        let params = scanner.params().filter(|_| scanner.is_at_end()).ok_or(MalformedUri)?;
        let cause = params.get("cause").and_then(|cause| cause.parse().ok());
        let text = params.get("text").map(|text| unquote(text).into_owned());
        Ok(Self { protocol, cause, text })
    }
}

impl SessionExpires {
    /// The text for the wire.
    pub fn to_wire(self) -> String {
        let refresher = match self.refresher {
            Some(Refresher::Uac) => ";refresher=uac",
            Some(Refresher::Uas) => ";refresher=uas",
            None => "",
        };
        format!("{}{refresher}", self.interval.as_secs())
    }
}

impl FromStr for SessionExpires {
    type Err = MalformedUri;

    fn from_str(text: &str) -> Result<Self, MalformedUri> {
        let interval = leading_seconds(text).ok_or(MalformedUri)?;
        let (_, rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let mut scanner = Scanner::new(rest);
        let params = scanner.params().filter(|_| scanner.is_at_end()).ok_or(MalformedUri)?;
        let refresher = match params.get("refresher").map(str::to_ascii_lowercase).as_deref() {
            Some("uac") => Some(Refresher::Uac),
            Some("uas") => Some(Refresher::Uas),
            Some(_) => return Err(MalformedUri),
            None => None,
        };
        Ok(Self { interval, refresher })
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: …", self.name)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|header| &header.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in lines {
            headers.push(name, *value);
        }
        headers
    }

    #[test]
    fn names_are_found_in_any_case_and_compact() {
        let headers = headers(&[("v", "a"), ("VIA", "b"), ("Vias", "c")]);
        let all: Vec<_> = headers.all("Via").map(Header::text).collect();
        assert_eq!(all, ["a", "b"]);
        assert_eq!(headers.all("V").count(), 2);
    }

    #[test]
    fn the_order_is_kept() {
        let mut headers = headers(&[("X", "1"), ("Route", "r"), ("x", "2"), ("Y", "3")]);
        headers.prepend("Via", "v");
        headers.set("X", "4");
        headers.remove("Route");
        let lines: Vec<_> = headers.iter().map(|h| format!("{}={}", h.name, h.text())).collect();
        assert_eq!(lines, ["Via=v", "X=4", "Y=3"]);
    }

    #[test]
    fn a_value_cannot_break_out_of_its_line() {
        let headers = headers(&[("Subject", "a\r\nRoute: <sip:evil>")]);
        assert_eq!(headers.get("Subject"), Some(&b"a  Route: <sip:evil>"[..]));
    }

    #[test]
    fn latin_1_is_kept_and_can_be_read() {
        let mut headers = Headers::default();
        headers.push("From", b"\"J\xf6rg\" <sip:j@b>;tag=1".to_vec());
        assert_eq!(headers.from().unwrap().display.as_deref(), Some("Jörg"));
        assert!(headers.get("From").unwrap().contains(&0xf6));
    }

    #[test]
    fn a_tag_is_added_byte_for_byte_and_once() {
        for (to, expected) in [
            ("sip:a@b", "sip:a@b;tag=t"),
            ("\"x\" <sip:a@b>", "\"x\" <sip:a@b>;tag=t"),
            ("<sip:a@b>;tag=own", "<sip:a@b>;tag=own"),
        ] {
            let mut headers = headers(&[("To", to)]);
            headers.tag_to("t");
            headers.tag_to("u");
            assert_eq!(headers.text("To").unwrap(), expected);
        }
    }

    #[test]
    fn vias_are_read_in_all_their_forms() {
        for (text, expected) in [
            ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"),
            (
                "SIP  /   2.0 /UDP 192.0.2.2 : 5061;branch=390skdjuw",
                "SIP/2.0/UDP 192.0.2.2:5061;branch=390skdjuw",
            ),
            (
                "SIP / 2.0 / TCP  a.example   ; branch =  z9 ;rport",
                "SIP/2.0/TCP a.example;branch=z9;rport",
            ),
            (
                "SIP/2.0/UDP [::1]:5060;received=2001:db8::9:255",
                "SIP/2.0/UDP [::1]:5060;received=2001:db8::9:255",
            ),
            ("SIP/2.0/UDP h;received=[2001:db8::9]", "SIP/2.0/UDP h;received=[2001:db8::9]"),
            ("SIP/2.0/UNKNOWN h;x=\"a;b\"", "SIP/2.0/UNKNOWN h;x=\"a;b\""),
        ] {
            assert_eq!(text.parse::<Via>().unwrap().to_wire(), expected);
        }
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/3.0/UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP h x",
        ] {
            assert_eq!(text.parse::<Via>(), Err(MalformedUri), "{text}");
        }
    }

    #[test]
    fn all_vias_are_one_list() {
        let headers = headers(&[
            ("Via", "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2"),
            ("v", "SIP/2.0/UDP c;branch=3"),
        ]);
        let vias = headers.vias().unwrap();
        let branches: Vec<_> = vias.iter().map(|via| via.branch().unwrap()).collect();
        assert_eq!(branches, ["1", "2", "3"]);
        assert_eq!(headers.via().unwrap().branch(), Some("1"));
        assert_eq!(Headers::default().vias(), Err(HeaderError::Missing("Via")));
    }

    #[test]
    fn a_single_header_field_may_not_repeat() {
        let headers = headers(&[("From", "<sip:a@b>"), ("f", "<sip:a@b>")]);
        assert_eq!(headers.from(), Err(HeaderError::Repeated("From")));
        assert_eq!(headers.to(), Err(HeaderError::Missing("To")));
    }

    #[test]
    fn times_are_read() {
        let headers = headers(&[
            ("Retry-After", "125 (I'm in a meeting);duration=60"),
            ("Expires", "3599"),
            ("x", "1800;refresher=UAC"),
            ("Min-SE", "90;x=y"),
        ]);
        assert_eq!(headers.retry_after(), Ok(Some(Duration::from_secs(125))));
        assert_eq!(headers.expires(), Ok(Some(Duration::from_secs(3599))));
        assert_eq!(headers.min_se(), Ok(Some(Duration::from_secs(90))));
        let timer = headers.session_expires().unwrap().unwrap();
        assert_eq!(timer.refresher, Some(Refresher::Uac));
        assert_eq!(timer.to_wire(), "1800;refresher=uac");
        for value in ["", "-1", "4294967296", "soon", "5s"] {
            assert!(self::headers(&[("Expires", value)]).expires().is_err(), "{value}");
            assert!(self::headers(&[("Retry-After", value)]).retry_after().is_err(), "{value}");
        }
    }

    #[test]
    fn the_cause_of_a_release_is_found_among_reasons() {
        for (value, expected) in [
            ("Q.850;cause=16;text=\"Normal, call clearing\"", Some(16)),
            ("SIP;cause=200, q.850 ; cause = 17", Some(17)),
            ("SIP;cause=600", None),
            ("Q.850;cause=128", None),
            ("Q.850;text=\"x\"", None),
            ("Q.850;cause=\"", None),
        ] {
            assert_eq!(headers(&[("Reason", value)]).q850_cause(), expected, "{value}");
        }
    }

    #[test]
    fn lists_of_words_are_read() {
        let headers = headers(&[("Supported", ""), ("k", "timer ,100rel,"), ("Allow", "INVITE,X")]);
        assert_eq!(headers.supported().unwrap(), ["timer", "100rel"]);
        let allow = [Method::Invite, Method::Other("X".to_owned())];
        assert_eq!(headers.allow().unwrap().unwrap(), allow);
        assert_eq!(headers.require().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_star_is_no_address() {
        let headers = headers(&[("m", "*")]);
        assert!(headers.contact_is_star());
        assert_eq!(headers.contact(), Ok(None));
    }
}
