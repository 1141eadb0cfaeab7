//! Session descriptions as bodies of messages.

use crate::sip::header::Headers;
use crate::sip::message::{Request, Response};

/// Media type of session descriptions.
const SDP: &str = "application/sdp";

/// The session description that a message carries.
pub(in crate::sip) fn session_description(headers: &Headers, body: &[u8]) -> Option<Vec<u8>> {
    let content_type = headers.content_type().ok().flatten();
    // Some trunks forget the type.
    let is_sdp = content_type.map_or(body.starts_with(b"v=0"), |content_type| content_type == SDP);
    (is_sdp && !body.is_empty()).then(|| body.to_vec())
}

pub(super) fn set_description(request: &mut Request, sdp: Vec<u8>) {
    if !sdp.is_empty() {
        request.headers.push("Content-Type", SDP);
        request.body = sdp;
    }
}

pub(super) fn describe(response: &mut Response, sdp: Vec<u8>) {
    if !sdp.is_empty() {
        response.headers.push("Content-Type", SDP);
        response.body = sdp;
    }
}
