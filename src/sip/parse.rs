//! From bytes to a message (RFC 3261 §7, §18.3), and what makes a request acceptable (§8.2).
//!
//! Nothing that arrives can panic here. The parser is generous with what it does not need: a line
//! that is no header field is left out, a header field that cannot be read is kept as it is. It is
//! strict with what frames the message: the start line, Content-Length, the empty line.

use crate::sip::header::{HeaderError, Headers, text};
use crate::sip::message::{Message, Method, Request, Response};
use crate::sip::uri::{Params, Uri};

/// The largest message that is read: what one datagram can carry.
pub const MAX_BYTES: usize = 65_535;

/// The largest number of header fields that is read; real messages have 10 to 40.
pub const MAX_HEADERS: usize = 256;

/// The datagram is no message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{fault}")]
pub struct ParseError {
    /// What is wrong.
    pub fault: Fault,
    /// For a broken request: the response that says so, still without a tag in To. `None` when it
    /// was a response, an ACK, or when Via, From, To, Call-ID or `CSeq` could not be found.
    pub response: Option<Box<Response>>,
}

/// What is wrong with a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Nothing but line ends: a keep-alive (RFC 5626 §3.5.1). Not an error of the sender.
    #[error("keep-alive")]
    KeepAlive,
    /// More than [`MAX_BYTES`] or [`MAX_HEADERS`].
    #[error("the message is too large")]
    TooLarge,
    /// The first line is neither that of a request nor that of a response.
    #[error("the start line is malformed")]
    StartLine,
    /// The Request-URI is none, or carries header fields.
    #[error("the Request-URI is malformed")]
    RequestUri,
    /// Another version than SIP/2.0.
    #[error("the version is not SIP/2.0")]
    Version,
    /// No empty line ends the header fields.
    #[error("the header fields do not end")]
    Unterminated,
    /// Content-Length is no number, or there are two that differ.
    #[error("Content-Length is malformed")]
    ContentLength,
    /// Content-Length promises more than there is.
    #[error("the body is shorter than Content-Length")]
    Truncated,
}

impl Fault {
    /// The status that answers a request with this fault.
    pub fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::TooLarge => 513,
            Self::KeepAlive
            | Self::StartLine
            | Self::RequestUri
            | Self::Unterminated
            | Self::ContentLength
            | Self::Truncated => 400,
        }
    }
}

impl Message {
    /// Reads one datagram.
    ///
    /// Without Content-Length the body reaches to the end of the datagram; octets after
    /// Content-Length are ignored (RFC 3261 §18.3). Lines may end in LF alone.
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        // Line ends before the start line are ignored (§7.5); some keep alive with a NUL.
        let first = datagram.iter().position(|byte| !matches!(byte, b'\r' | b'\n' | 0));
        let Some((_, message)) = first.and_then(|first| datagram.split_at_checked(first)) else {
            return Err(ParseError { fault: Fault::KeepAlive, response: None });
        };
        let (start, rest) = split_line(message).unwrap_or((message, &[]));
        let start = text(start);
        let mut headers = Headers::default();
        let body = read_headers(rest, &mut headers);
        let read = if message.len() > MAX_BYTES {
            Err(Fault::TooLarge)
        } else {
            read_start(start.trim_end()).and_then(|start| Ok((start, frame(&headers, body?)?)))
        };
        match read {
            Ok((start, body)) => {
                headers.remove("Content-Length");
                let body = body.to_vec();
                Ok(match start {
                    Start::Request { method, uri } => {
                        Self::Request(Request { method, uri, headers, body })
                    }
                    Start::Response { status, reason } => {
                        Self::Response(Response { status, reason, headers, body })
                    }
                })
            }
            Err(fault) => {
                let response = refusal(&start, headers, fault).map(Box::new);
                Err(ParseError { fault, response })
            }
        }
    }
}

enum Start {
    Request { method: Method, uri: Uri },
    Response { status: u16, reason: String },
}

/// Splits off one line, without its line end; `None` if no line ends.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at(end);
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default()))
}

/// Reads header fields up to the empty line, and returns what is behind it.
fn read_headers<'a>(bytes: &'a [u8], headers: &mut Headers) -> Result<&'a [u8], Fault> {
    let mut rest = bytes;
    let mut open: Option<(String, Vec<u8>)> = None;
    loop {
        let (line, tail) = split_line(rest).ok_or(Fault::Unterminated)?;
        rest = tail;
        // A line that begins with a blank continues the one before (§7.3.1).
        if let [b' ' | b'\t', ..] = line {
            if let Some((_, value)) = &mut open {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
            }
            continue;
        }
        if let Some((name, value)) = open.take() {
            if headers.len() >= MAX_HEADERS {
                return Err(Fault::TooLarge);
            }
            headers.push(&name, value);
        }
        if line.is_empty() {
            return Ok(rest);
        }
        open = split_header(line);
    }
}

/// Splits a line at its first colon; `None` if it is no header field.
fn split_header(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let name = std::str::from_utf8(name).ok()?.trim_ascii_end();
    let value = value.get(1..)?.trim_ascii();
    is_token(name).then(|| (name.to_owned(), value.to_vec()))
}

fn read_start(line: &str) -> Result<Start, Fault> {
    let is_response = line.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("SIP/"));
    if is_response { read_status_line(line) } else { read_request_line(line) }
}

fn read_status_line(line: &str) -> Result<Start, Fault> {
    let (version, rest) = line.split_once(' ').ok_or(Fault::StartLine)?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(Fault::Version);
    }
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let status = code.parse().ok().filter(|status| is_code && (100..700).contains(status));
    Ok(Start::Response { status: status.ok_or(Fault::StartLine)?, reason: reason.to_owned() })
}

fn read_request_line(line: &str) -> Result<Start, Fault> {
    let mut words = line.split(' ');
    let (Some(method), Some(uri), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Fault::StartLine);
    };
    if !is_token(method) {
        return Err(Fault::StartLine);
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let number = version.get(4..).filter(|_| version.to_ascii_uppercase().starts_with("SIP/"));
        let parts = number.and_then(|number| number.split_once('.'));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let is_version = parts.is_some_and(|(major, minor)| is_digits(major) && is_digits(minor));
        return Err(if is_version { Fault::Version } else { Fault::StartLine });
    }
    let uri: Uri = uri.parse().map_err(|_| Fault::RequestUri)?;
    // Header fields in a Request-URI could smuggle a Route in (RFC 3261 §19.1.1).
    if uri.as_sip().is_some_and(|uri| uri.headers.is_some()) {
        return Err(Fault::RequestUri);
    }
    Ok(Start::Request { method: Method::from(method), uri })
}

/// Cuts the body to Content-Length.
fn frame<'a>(headers: &Headers, rest: &'a [u8]) -> Result<&'a [u8], Fault> {
    let mut length = None;
    for header in headers.all("Content-Length") {
        let digits = header.text();
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let value: usize = digits.parse().ok().filter(|_| is_number).ok_or(Fault::ContentLength)?;
        if length.is_some_and(|length| length != value) {
            return Err(Fault::ContentLength);
        }
        length = Some(value);
    }
    rest.get(..length.unwrap_or(rest.len())).ok_or(Fault::Truncated)
}

/// The response to a request that could not be read.
fn refusal(start: &str, headers: Headers, fault: Fault) -> Option<Response> {
    let method = start.split([' ', '\t']).next().filter(|method| is_token(method))?;
    let names = ["From", "To", "Call-ID", "CSeq"];
    if method == "ACK" || headers.via().is_err() || !names.iter().all(|name| headers.contains(name))
    {
        return None;
    }
    // The address does not matter: a response does not repeat it.
    let request =
        Request { headers, ..Request::new(Method::from(method), Uri::Other(String::new())) };
    Some(request.reply(fault.status()))
}

/// What a server understands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Capabilities {
    /// The methods that are handled.
    pub methods: Vec<Method>,
    /// The extensions (option tags) that are handled, such as `timer`.
    pub extensions: Vec<String>,
    /// The types of body that are understood, in lower case: `application/sdp`.
    pub content_types: Vec<String>,
}

/// A request that is refused before anyone looks at what it asks for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("refused with {status}")]
pub struct Rejection {
    /// The status of the response.
    pub status: u16,
    /// The header fields that the response needs, such as Allow or Unsupported.
    pub headers: Headers,
}

impl Rejection {
    /// The response, still without a tag in To. An ACK is not answered: drop it instead.
    pub fn response(&self, request: &Request) -> Response {
        let mut response = request.reply(self.status);
        for header in self.headers.iter() {
            response.headers.push(&header.name, header.value.clone());
        }
        response
    }

    fn bare(status: u16) -> Self {
        Self { status, headers: Headers::default() }
    }

    fn with(status: u16, name: &str, value: &str) -> Self {
        let mut headers = Headers::default();
        headers.push(name, value);
        Self { status, headers }
    }
}

impl From<HeaderError> for Rejection {
    fn from(_: HeaderError) -> Self {
        Self::bare(400)
    }
}

impl Request {
    /// Checks what RFC 3261 §8.2 has a server check first: 501 for an unknown method, 400 for
    /// header fields that are needed and cannot be read, 405, 416, 420, 406, 415.
    pub fn validate(&self, own: &Capabilities) -> Result<(), Rejection> {
        if matches!(self.method, Method::Other(_)) {
            return Err(Rejection::with(501, "Allow", &allow(own)));
        }
        self.check_header_fields()?;
        if !own.methods.contains(&self.method) {
            return Err(Rejection::with(405, "Allow", &allow(own)));
        }
        if matches!(self.uri, Uri::Other(_)) {
            return Err(Rejection::bare(416));
        }
        // ACK and CANCEL must not be refused for an extension (§8.2.2.3).
        if !matches!(self.method, Method::Ack | Method::Cancel) {
            let mut unknown = self.headers.require()?;
            unknown.retain(|tag| !own.extensions.iter().any(|own| own.eq_ignore_ascii_case(tag)));
            if !unknown.is_empty() {
                return Err(Rejection::with(420, "Unsupported", &unknown.join(", ")));
            }
        }
        self.check_accept(own)?;
        self.check_body(own)
    }

    fn check_header_fields(&self) -> Result<(), Rejection> {
        let via = self.headers.via()?;
        let (_, to, _) = (self.headers.from()?, self.headers.to()?, self.headers.call_id()?);
        let is_own_number = self.headers.cseq()?.method == self.method;
        // The cookie alone names no transaction (RFC 4475 §3.2.1).
        let is_empty_branch = via.branch() == Some("z9hG4bK");
        let opens_dialog = self.method == Method::Invite && to.tag().is_none();
        let lacks_target = opens_dialog && self.headers.contact()?.is_none();
        if !is_own_number || is_empty_branch || lacks_target {
            return Err(Rejection::bare(400));
        }
        Ok(())
    }

    /// The peer must be able to read what we would answer with.
    fn check_accept(&self, own: &Capabilities) -> Result<(), Rejection> {
        let accept = self.headers.all("Accept").map(|header| header.text().to_ascii_lowercase());
        let accept = accept.collect::<Vec<_>>().join(",");
        let mut ranges = accept.split(',').map(|range| range.split(';').next().unwrap_or_default());
        let is_ours = |range: &str| {
            let range: String = range.split_ascii_whitespace().collect();
            let matches_type = |own: &String| {
                *own == range || range.strip_suffix('*').is_some_and(|group| own.starts_with(group))
            };
            range == "*/*" || own.content_types.iter().any(matches_type)
        };
        let answers_with_body = matches!(self.method, Method::Invite | Method::Options);
        if !answers_with_body || accept.trim().is_empty() || ranges.any(is_ours) {
            return Ok(());
        }
        Err(Rejection::bare(406))
    }

    fn check_body(&self, own: &Capabilities) -> Result<(), Rejection> {
        let disposition = self.headers.text("Content-Disposition").unwrap_or_default();
        let is_optional = disposition.to_ascii_lowercase().contains("handling=optional");
        // A call that the peer ends has ended, whatever it attaches to that.
        let is_ignored = matches!(self.method, Method::Ack | Method::Bye | Method::Cancel);
        if self.body.is_empty() || is_optional || is_ignored {
            return Ok(());
        }
        let encoding = self.headers.text("Content-Encoding").unwrap_or_default();
        if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
            return Err(Rejection::with(415, "Accept-Encoding", "identity"));
        }
        let content_type = self.headers.content_type()?;
        match content_type {
            Some(content_type) if own.content_types.contains(&content_type) => Ok(()),
            _ => Err(Rejection::with(415, "Accept", &own.content_types.join(", "))),
        }
    }
}

fn allow(own: &Capabilities) -> String {
    own.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

/// Reads text from left to right.
pub(crate) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.trim_ascii().is_empty()
    }

    pub(crate) fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Reads the character if it comes next.
    pub(crate) fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads a token (RFC 3261 §25.1).
    pub(crate) fn token(&mut self) -> Option<&'a str> {
        self.take_while(is_token_char)
    }

    /// Reads a quoted string, quotes included.
    pub(crate) fn quoted(&mut self) -> Option<&'a str> {
        let mut escaped = false;
        let inner = self.rest.strip_prefix('"')?;
        for (at, c) in inner.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == '"' {
                // Both quotes are one byte long.
                let (quoted, rest) = self.rest.split_at(at + 2);
                self.rest = rest;
                return Some(quoted);
            }
        }
        None
    }

    /// Reads `;name=value;name…` up to something else; `None` if that is malformed. Empty
    /// parameters (`;;`) are skipped.
    pub(crate) fn params(&mut self) -> Option<Params> {
        let mut params = Params::default();
        loop {
            self.skip_space();
            if !self.eat(';') {
                return Some(params);
            }
            self.skip_space();
            let Some(name) = self.token() else { continue };
            self.skip_space();
            if !self.eat('=') {
                params.push(name, None);
                continue;
            }
            self.skip_space();
            let value = if self.rest.starts_with('"') { self.quoted()? } else { self.bare_value() };
            params.push(name, Some(value));
        }
    }

    /// A value without quotes: tokens, hosts, and IPv6 addresses without brackets.
    pub(crate) fn bare_value(&mut self) -> &'a str {
        let is_part = |c: char| !c.is_ascii_whitespace() && !";,\"<>".contains(c);
        self.take_while(is_part).unwrap_or_default()
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> Option<&'a str> {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!taken.is_empty()).then_some(taken)
    }
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c)
}

/// Whether the text is a token (RFC 3261 §25.1).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

/// Splits a list at its commas, but not within quotes or `<…>`. `None` if a quote or bracket is
/// not closed or an element is empty.
pub(crate) fn split_list(text: &str) -> Option<Vec<&str>> {
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    let is_comma = |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => bracketed = true,
            '>' if !quoted => bracketed = false,
            ',' if !quoted && !bracketed => return true,
            _ => {}
        }
        false
    };
    let elements: Vec<&str> = text.split(is_comma).map(str::trim).collect();
    let is_whole = !quoted && !bracketed && elements.iter().all(|element| !element.is_empty());
    is_whole.then_some(elements)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const INVITE: &str = "INVITE sip:patient@example.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa\r\n\
        From: \"A\" <sip:a@example.com>;tag=1\r\n\
        To: <sip:patient@example.com>\r\n\
        Call-ID: c1\r\n\
        CSeq: 1 INVITE\r\n\
        Contact: <sip:a@192.0.2.1>\r\n\
        Content-Type: application/sdp\r\n\
        Content-Length: 4\r\n\r\nv=0\n";

    fn own() -> Capabilities {
        Capabilities {
            methods: vec![Method::Invite, Method::Ack, Method::Bye, Method::Options],
            extensions: vec!["timer".to_owned()],
            content_types: vec!["application/sdp".to_owned()],
        }
    }

    fn request(text: &str) -> Request {
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("no request: {other:?}"),
        }
    }

    /// The status with which the text is refused, or 0.
    fn verdict(text: &str) -> u16 {
        match Message::parse(text.as_bytes()) {
            Ok(Message::Request(request)) => {
                request.validate(&own()).map_or_else(|rejection| rejection.status, |()| 0)
            }
            Ok(Message::Response(_)) => 0,
            Err(error) => error.fault.status(),
        }
    }

    #[test]
    fn a_request_is_refused_for_what_is_wrong_with_it() {
        for (from, to, expected) in [
            ("", "", 0),
            ("INVITE sip", "INVITE  sip", 400),
            ("INVITE sip:patient@example.com", "INVITE sip:a@b?Route=%3Csip:x%3E", 400),
            (" SIP/2.0\r\nVia", " SIP/2.1\r\nVia", 505),
            (" SIP/2.0\r\nVia", " HTTP/1.1\r\nVia", 400),
            (" SIP/2.0\r\nVia", " SIP/2.0  \r\nVia", 0),
            ("INVITE sip:", "INVITE gopher:", 416),
            ("INVITE sip:patient@example.com", "INVITE tel:+815012345678", 0),
            ("CSeq: 1 INVITE", "CSeq: 1 BYE", 400),
            ("CSeq: 1 INVITE", "CSeq: 4294967296 INVITE", 400),
            ("CSeq: 1 INVITE", "CSeq: -1 INVITE", 400),
            ("Call-ID: c1\r\n", "", 400),
            ("Call-ID: c1\r\n", "Call-ID: c1\r\ni: c2\r\n", 400),
            ("Contact: <sip:a@192.0.2.1>\r\n", "", 400),
            ("branch=z9hG4bKa", "branch=z9hG4bK", 400),
            ("Content-Length: 4", "Content-Length: 5", 400),
            ("Content-Length: 4", "Content-Length: +4", 400),
            ("Content-Length: 4", "Content-Length: 4\r\nl: 3", 400),
            ("Content-Length: 4", "Content-Length: 4\r\nl: 4", 0),
            ("Content-Length: 4", "Content-Length: 4\r\nRequire: timer", 0),
            ("Content-Length: 4", "Content-Length: 4\r\nRequire: timer, precondition", 420),
            ("Content-Length: 4", "Content-Length: 4\r\nAccept: text/plain", 406),
            (
                "Content-Length: 4",
                "Content-Length: 4\r\nAccept: text/plain, application/*;q=0.1",
                0,
            ),
            ("Content-Length: 4", "Content-Length: 4\r\nContent-Encoding: gzip", 415),
            ("application/sdp", "Application / SDP ; charset=utf-8", 0),
            ("application/sdp", "text/plain", 415),
            ("application/sdp", "text/plain\r\nContent-Disposition: x;handling=optional", 0),
        ] {
            assert!(INVITE.contains(from), "{from}");
            assert_eq!(verdict(&INVITE.replacen(from, to, 1)), expected, "{from} → {to}");
        }
        let other = |method: &str| INVITE.replace("INVITE", method);
        assert_eq!(verdict(&other("REGISTER")), 405);
        assert_eq!(verdict(&other("invite")), 501);
        assert_eq!(verdict(&other("JUGGLE").replace("1 JUGGLE", "1 INVITE")), 501);
        assert_eq!(verdict(&other("BYE").replace("application/sdp", "text/plain")), 0);
    }

    #[test]
    fn a_refusal_says_what_would_be_accepted() {
        let refuse = |text: &str| {
            let request = request(text);
            let rejection = request.validate(&own()).unwrap_err();
            let mut response = rejection.response(&request);
            response.headers.tag_to("t");
            String::from_utf8(response.to_bytes()).unwrap()
        };
        insta::assert_snapshot!(refuse(&INVITE.replace("INVITE", "REFER")).replace('\r', ""), @r#"
        SIP/2.0 405 Method Not Allowed
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa
        From: "A" <sip:a@example.com>;tag=1
        To: <sip:patient@example.com>;tag=t
        Call-ID: c1
        CSeq: 1 REFER
        Allow: INVITE, ACK, BYE, OPTIONS
        Content-Length: 0
        "#);
        let required = INVITE.replace("Content-Length", "Require: 100rel, x\r\nContent-Length");
        assert!(refuse(&required).contains("\r\nUnsupported: 100rel, x\r\n"));
        assert!(refuse(&INVITE.replace("/sdp", "/x")).contains("\r\nAccept: application/sdp\r\n"));
    }

    #[test]
    fn a_broken_request_is_answered_where_that_is_possible() {
        let response = |text: &str| Message::parse(text.as_bytes()).unwrap_err().response;
        let short = INVITE.replace("Content-Length: 4", "Content-Length: 44");
        let reply = response(&short).unwrap();
        assert_eq!((reply.status, reply.headers.call_id().unwrap().as_ref()), (400, "c1"));
        assert!(!reply.headers.contains("Contact"));
        assert_eq!(response(&short.replace("INVITE", "ACK")), None);
        assert_eq!(response(&short.replace("Via", "Vai")), None);
        assert_eq!(
            response(&short.replace("INVITE sip:patient@example.com SIP/2.0", "SIP/2.0 200 OK")),
            None
        );
    }

    #[test]
    fn a_bad_header_field_costs_only_itself() {
        let text =
            INVITE.replace("Contact:", "no header field\r\n: nor this\r\nExpires: ∞\r\nContact:");
        let request = request(&text);
        assert!(request.headers.expires().is_err());
        assert_eq!(request.headers.get("Expires"), Some("∞".as_bytes()));
        assert_eq!(request.headers.contact().unwrap().unwrap().uri.to_wire(), "sip:a@192.0.2.1");
        assert_eq!(request.body, b"v=0\n");
        assert_eq!(request.validate(&own()), Ok(()));
    }

    #[test]
    fn a_datagram_frames_its_body() {
        let parse = |text: &str| request(text).body;
        assert_eq!(parse(&INVITE.replace("Content-Length: 4\r\n", "")), b"v=0\n");
        assert_eq!(parse(&format!("{INVITE}BYE sip:x SIP/2.0")), b"v=0\n");
        assert_eq!(parse(&INVITE.replace("Content-Length: 4", "l:\r\n 3")), b"v=0");
        assert_eq!(parse(&INVITE.replace("\r\n", "\n")), b"v=0\n");
        assert_eq!(parse(&format!("\r\n\r\n{INVITE}")), b"v=0\n");
    }

    #[test]
    fn keep_alives_are_no_errors_of_the_sender() {
        for datagram in [&b""[..], b"\r\n\r\n", b"\0", b"\0\0\0\0"] {
            assert_eq!(Message::parse(datagram).unwrap_err().fault, Fault::KeepAlive);
        }
    }

    #[test]
    fn limits_are_kept() {
        let many = INVITE.replace("Contact:", &format!("{}Contact:", "X: y\r\n".repeat(256)));
        assert_eq!(verdict(&many), 513);
        let large = format!("{}{}", INVITE, "x".repeat(MAX_BYTES));
        assert_eq!(verdict(&large), 513);
    }

    #[test]
    fn lists_are_split_outside_quotes_and_brackets() {
        for (text, expected) in [
            ("a, b", Some(vec!["a", "b"])),
            (r#""x, \", y" <sip:a,b@c>, d"#, Some(vec![r#""x, \", y" <sip:a,b@c>"#, "d"])),
            ("a,,b", None),
            ("\"a", None),
            ("<a", None),
        ] {
            assert_eq!(split_list(text), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..400)) {
            let _ = Message::parse(&bytes).map(|message| read_all(&message));
        }

        #[test]
        fn no_damage_makes_it_panic(
            damage in vec((0..INVITE.len(), prop_oneof![any::<u8>(), Just(b'"'), Just(b';'), Just(b'\n')]), 1..6),
            cut in 0..INVITE.len(),
        ) {
            let mut bytes = INVITE.as_bytes().to_vec();
            for (at, byte) in damage {
                bytes[at] = byte;
            }
            let whole = Message::parse(&bytes);
            let short = Message::parse(&bytes[..cut]);
            for message in [whole, short].into_iter().flatten() {
                read_all(&message);
                prop_assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
            }
        }

        #[test]
        fn what_is_printed_is_read_again(
            method in "[A-Z]{1,8}|[!%*_+`'~a-z.-]{1,8}",
            user in "[a-z0-9;=?/%&+$,.!~*'()_-]{1,12}",
            fields in vec(("[A-Za-z][A-Za-z0-9.!%*_+`'~-]{0,12}", vec(1..=255_u8, 0..40)), 0..12),
            body in vec(any::<u8>(), 0..60),
            reason in "[a-zäあ ]{0,12}",
            status in 100..700_u16,
        ) {
            let uri: Uri = format!("sip:{user}@example.com").parse().unwrap();
            let mut request = Request::new(Method::from(method.as_str()), uri);
            for (name, value) in fields {
                request.headers.push(&name, value);
            }
            request.headers.remove("Content-Length");
            request.body = body;
            let mut response = Response::new(status);
            response.headers = request.headers.clone();
            response.reason = reason.trim_end().to_owned();
            for message in [Message::from(request), Message::from(response)] {
                prop_assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
            }
        }
    }

    /// Reads every header field in every way there is.
    fn read_all(message: &Message) {
        let headers = message.headers();
        let _ = (headers.vias(), headers.from(), headers.to(), headers.call_id().is_ok());
        let _ = (headers.cseq(), headers.contacts(), headers.routes(), headers.record_routes());
        let _ = (headers.max_forwards(), headers.expires(), headers.min_se(), headers.allow());
        let _ = (headers.session_expires(), headers.retry_after(), headers.q850_cause());
        let _ = (headers.require(), headers.supported(), headers.content_type());
        if let Message::Request(request) = message {
            let _ = request.validate(&own());
        }
    }
}
