//! Requests and responses (RFC 3261 §7).
//!
//! `Debug` shows no values of header fields and no bodies: raw messages name persons and are never
//! logged. [`Message::parse`] and what makes a request acceptable are in `sip/parse.rs`.

use std::fmt;

use crate::sip::header::Headers;
use crate::sip::uri::Uri;

/// What a request asks for. Case matters.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Method {
    /// RFC 3261.
    Invite,
    /// RFC 3261.
    Ack,
    /// RFC 3261.
    Bye,
    /// RFC 3261.
    Cancel,
    /// RFC 3261.
    Register,
    /// RFC 3261.
    Options,
    /// RFC 6086.
    Info,
    /// RFC 3262.
    Prack,
    /// RFC 3311.
    Update,
    /// RFC 3515.
    Refer,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3428.
    Message,
    /// RFC 3903.
    Publish,
    /// Any other token.
    Other(String),
}

impl Method {
    /// The methods of the RFCs.
    pub const KNOWN: [Self; 14] = [
        Self::Invite,
        Self::Ack,
        Self::Bye,
        Self::Cancel,
        Self::Register,
        Self::Options,
        Self::Info,
        Self::Prack,
        Self::Update,
        Self::Refer,
        Self::Subscribe,
        Self::Notify,
        Self::Message,
        Self::Publish,
    ];

    /// The token of the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Info => "INFO",
            Self::Prack => "PRACK",
            Self::Update => "UPDATE",
            Self::Refer => "REFER",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Message => "MESSAGE",
            Self::Publish => "PUBLISH",
            Self::Other(token) => token,
        }
    }
}

impl From<&str> for Method {
    fn from(token: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|method| method.as_str() == token);
        known.unwrap_or_else(|| Self::Other(token.to_owned()))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message. Content-Length is not among the header fields: it is read when a message is parsed
/// and written, from the length of the body, when it is printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request.
#[derive(Clone, Eq, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Whom it is asked of.
    pub uri: Uri,
    /// The header fields, without Content-Length.
    pub headers: Headers,
    /// The body, often empty.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Clone, Eq, PartialEq)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// The text beside the status; it means nothing.
    pub reason: String,
    /// The header fields, without Content-Length.
    pub headers: Headers,
    /// The body, often empty.
    pub body: Vec<u8>,
}

impl Message {
    /// The header fields.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The bytes for the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

impl Request {
    /// A request without header fields or body.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, headers: Headers::default(), body: Vec::new() }
    }

    /// The bytes for the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let start = format!("{} {} SIP/2.0", self.method, self.uri.to_wire());
        print(&start, &self.headers, &self.body)
    }

    /// A response to this request with what RFC 3261 §8.2.6.2 copies from it: every Via, From, To,
    /// Call-ID and `CSeq`; for 100 also Timestamp. The tag of To is the caller's to add
    /// ([`Headers::tag_to`]).
    pub fn reply(&self, status: u16) -> Response {
        let mut response = Response::new(status);
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            response.headers.copy(name, &self.headers);
        }
        if status == 100 {
            response.headers.copy("Timestamp", &self.headers);
        }
        response
    }
}

impl Response {
    /// A response without header fields or body, with the usual reason phrase.
    pub fn new(status: u16) -> Self {
        let reason = reason_phrase(status).to_owned();
        Self { status, reason, headers: Headers::default(), body: Vec::new() }
    }

    /// 100 to 199: more will follow.
    pub fn is_provisional(&self) -> bool {
        self.status < 200
    }

    /// 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// 200 to 699: nothing will follow.
    pub fn is_final(&self) -> bool {
        self.status >= 200
    }

    /// The bytes for the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let reason = self.reason.replace(['\r', '\n'], " ");
        print(&format!("SIP/2.0 {} {reason}", self.status), &self.headers, &self.body)
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

fn print(start: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512 + body.len());
    bytes.extend_from_slice(start.as_bytes());
    bytes.extend_from_slice(b"\r\n");
    for header in headers.iter().filter(|header| !header.is("Content-Length")) {
        bytes.extend_from_slice(header.name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(&header.value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The usual text beside a status; empty for one that has none.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => "",
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?} +{} bytes", self.method, self.uri, self.headers, self.body.len())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} +{} bytes", self.status, self.headers, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Request {
        let mut request = Request::new(Method::Invite, "sip:b@example.com".parse().unwrap());
        request.headers.push("Via", "SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2");
        request.headers.push("f", "<sip:a@example.com>;tag=1");
        request.headers.push("To", "<sip:b@example.com>");
        request.headers.push("Call-ID", "c");
        request.headers.push("CSeq", "1 INVITE");
        request.headers.push("Timestamp", "54");
        request.headers.push("Content-Length", "99");
        request.body = b"v=0\r\n".to_vec();
        request
    }

    #[test]
    fn a_request_is_printed_with_the_length_of_its_body() {
        insta::assert_snapshot!(String::from_utf8(invite().to_bytes()).unwrap().replace('\r', ""), @"
        INVITE sip:b@example.com SIP/2.0
        Via: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2
        f: <sip:a@example.com>;tag=1
        To: <sip:b@example.com>
        Call-ID: c
        CSeq: 1 INVITE
        Timestamp: 54
        Content-Length: 5

        v=0
        ");
    }

    #[test]
    fn a_reply_copies_what_belongs_to_the_transaction() {
        let reply = String::from_utf8(invite().reply(100).to_bytes()).unwrap();
        insta::assert_snapshot!(reply.replace('\r', ""), @"
        SIP/2.0 100 Trying
        Via: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2
        f: <sip:a@example.com>;tag=1
        To: <sip:b@example.com>
        Call-ID: c
        CSeq: 1 INVITE
        Timestamp: 54
        Content-Length: 0
        ");
        assert!(!invite().reply(200).headers.contains("Timestamp"));
    }

    #[test]
    fn methods_are_told_by_case() {
        assert_eq!(Method::from("INVITE"), Method::Invite);
        assert_eq!(Method::from("invite"), Method::Other("invite".to_owned()));
        for method in Method::KNOWN {
            assert_eq!(Method::from(method.as_str()), method);
        }
    }

    #[test]
    fn a_log_shows_no_values() {
        assert_eq!(
            format!("{:?}", invite()),
            r#"INVITE sip:…@example.com ["Via", "f", "To", "Call-ID", "CSeq", "Timestamp", "Content-Length"] +5 bytes"#
        );
    }
}
