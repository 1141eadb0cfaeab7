//! Dialogs (RFC 3261 §12): what two peers remember of each other between requests.

use std::net::{IpAddr, SocketAddr};

use crate::sip::header::{CSeq, HeaderError, Headers};
use crate::sip::message::{Method, Request, Response};
use crate::sip::uri::{NameAddr, Uri};

/// Whom we may send to and hear from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Peers {
    /// Anyone. For tests and closed networks.
    Any,
    /// These hosts only: what others send is dropped unread, and what a Contact or a Record-Route
    /// says about other hosts is not followed.
    Only(Vec<IpAddr>),
}

impl Peers {
    /// Whether this host is one of them.
    pub fn admit(&self, host: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Only(hosts) => hosts.contains(&host),
        }
    }
}

/// One dialog, early or confirmed.
#[derive(Clone, Debug)]
pub(in crate::sip) struct Dialog {
    pub(in crate::sip) call_id: String,
    /// From of our requests, with our tag.
    local: NameAddr,
    /// To of our requests, with the peer's tag.
    remote: NameAddr,
    /// The tag of the peer; empty if it knows RFC 2543 only.
    pub(in crate::sip) remote_tag: String,
    /// In the order in which our requests pass it.
    route_set: Vec<NameAddr>,
    remote_target: Uri,
    local_cseq: u32,
    remote_cseq: Option<u32>,
    /// Where the INVITE went to or came from. Requests go there when the next hop is not an
    /// address, or not one of our peers.
    hop: SocketAddr,
}

/// The number of a request is lower than one that was seen before (RFC 3261 §12.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("request out of order")]
pub(in crate::sip) struct OutOfOrder;

impl Dialog {
    /// The dialog that a response to our INVITE creates (§12.1.2).
    pub(in crate::sip) fn from_response(
        invite: &Request,
        response: &Response,
        hop: SocketAddr,
    ) -> Result<Self, HeaderError> {
        let remote = response.headers.to()?;
        let mut dialog = Self {
            call_id: invite.headers.call_id()?.into_owned(),
            local: invite.headers.from()?,
            remote_tag: remote.tag().unwrap_or_default().to_owned(),
            remote,
            route_set: Vec::new(),
            remote_target: invite.uri.clone(),
            local_cseq: invite.headers.cseq()?.number,
            remote_cseq: None,
            hop,
        };
        dialog.learn_route(response);
        Ok(dialog)
    }

    /// The dialog that an INVITE from the peer creates (§12.1.1). `first_cseq` is the number that
    /// our own requests count from.
    pub(in crate::sip) fn from_request(
        invite: &Request,
        local_tag: &str,
        first_cseq: u32,
        source: SocketAddr,
    ) -> Result<Self, HeaderError> {
        let remote = invite.headers.from()?;
        let mut local = invite.headers.to()?;
        local.params.set("tag", local_tag);
        let contact = invite.headers.contact()?.ok_or(HeaderError::Missing("Contact"))?;
        Ok(Self {
            call_id: invite.headers.call_id()?.into_owned(),
            local,
            remote_tag: remote.tag().unwrap_or_default().to_owned(),
            remote,
            route_set: invite.headers.record_routes()?,
            remote_target: contact.uri,
            local_cseq: first_cseq,
            remote_cseq: Some(invite.headers.cseq()?.number),
            hop: source,
        })
    }

    /// Takes route set and target from a response, as the 2xx does again for an early dialog
    /// (§13.2.2.4). What cannot be read stays as it was.
    pub(in crate::sip) fn learn_route(&mut self, response: &Response) {
        if let Ok(mut routes) = response.headers.record_routes() {
            routes.reverse();
            self.route_set = routes;
        }
        self.refresh_target(&response.headers);
    }

    /// Takes the Contact of a target refresh: INVITE, UPDATE, and their 2xx.
    pub(in crate::sip) fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(Some(contact)) = headers.contact() {
            self.remote_target = contact.uri;
        }
    }

    /// Checks the number of a request from the peer. Gaps are normal.
    pub(in crate::sip) fn check_cseq(&mut self, number: u32) -> Result<(), OutOfOrder> {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// The next request of this dialog, without Via.
    pub(in crate::sip) fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.numbered(method, self.local_cseq)
    }

    /// The ACK of the 2xx to our INVITE with that number, without Via.
    pub(in crate::sip) fn ack(&self, number: u32) -> Request {
        self.numbered(Method::Ack, number)
    }

    /// Where requests go: the topmost route, else the target (§12.2.1.1), as far as it is an
    /// address of one of our peers.
    pub(in crate::sip) fn next_hop(&self, peers: &Peers) -> SocketAddr {
        let uri = self.route_set.first().map_or(&self.remote_target, |route| &route.uri);
        let address = uri.as_sip().and_then(|uri| {
            let host = uri.host.ip().filter(|host| peers.admit(*host))?;
            // Port 5060 is the port of SIP over UDP (RFC 3263 §4.2).
            Some(SocketAddr::new(host, uri.port.unwrap_or(5060)))
        });
        address.unwrap_or(self.hop)
    }

    fn numbered(&self, method: Method, number: u32) -> Request {
        let target = NameAddr::new(self.remote_target.clone());
        let (uri, routes) = match self.route_set.split_first() {
            None => (self.remote_target.clone(), Vec::new()),
            Some((first, _)) if first.uri.is_loose_router() => {
                (self.remote_target.clone(), self.route_set.clone())
            }
            // A strict router wants to see itself in the Request-URI (§12.2.1.1).
            Some((first, rest)) => {
                (first.uri.clone(), rest.iter().cloned().chain([target]).collect())
            }
        };
        let mut request = Request::new(method.clone(), uri);
        request.headers.push("Max-Forwards", "70");
        for route in routes {
            request.headers.push("Route", route.to_wire());
        }
        request.headers.push("From", self.local.to_wire());
        request.headers.push("To", self.remote.to_wire());
        request.headers.push("Call-ID", self.call_id.as_str());
        request.headers.push("CSeq", CSeq { number, method }.to_wire());
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Request {
        let mut invite =
            Request::new(Method::Invite, "sip:0312345678@ims.example".parse().unwrap());
        invite.headers.push("From", "<sip:0333330000@hc.example>;tag=ours");
        invite.headers.push("To", "<sip:0312345678@ims.example>");
        invite.headers.push("Call-ID", "abc");
        invite.headers.push("CSeq", "7 INVITE");
        invite.headers.push("Contact", "<sip:hc@192.0.2.1:5062>");
        invite
    }

    fn answer(headers: &[(&str, &str)]) -> Response {
        let mut answer = invite().reply(200);
        answer.headers.tag_to("theirs");
        for (name, value) in headers {
            answer.headers.push(name, *value);
        }
        answer
    }

    fn hop() -> SocketAddr {
        "192.0.2.9:5070".parse().unwrap()
    }

    fn from_answer(headers: &[(&str, &str)]) -> Dialog {
        Dialog::from_response(&invite(), &answer(headers), hop()).unwrap()
    }

    /// Request-URI, Route header fields, and where it is sent to.
    fn way(dialog: &mut Dialog, peers: &Peers) -> String {
        let request = dialog.request(Method::Bye);
        let routes: Vec<String> =
            request.headers.all("Route").map(|route| route.text().into_owned()).collect();
        format!("{} [{}] {}", request.uri.to_wire(), routes.join(" "), dialog.next_hop(peers))
    }

    #[test]
    fn requests_take_the_recorded_way() {
        let contact = ("Contact", "<sip:gw@192.0.2.20:5080>");
        let loose = ("Record-Route", "<sip:192.0.2.12;lr>, <sip:192.0.2.11:5061;lr>");
        let strict = ("Record-Route", "<sip:192.0.2.12;lr>, <sip:192.0.2.11:5061>");
        for (headers, expected) in [
            (vec![], "sip:0312345678@ims.example [] 192.0.2.9:5070"),
            (vec![contact], "sip:gw@192.0.2.20:5080 [] 192.0.2.20:5080"),
            // The client's route set is the recorded one reversed.
            (
                vec![contact, loose],
                "sip:gw@192.0.2.20:5080 [<sip:192.0.2.11:5061;lr> <sip:192.0.2.12;lr>] \
                 192.0.2.11:5061",
            ),
            (
                vec![contact, strict],
                "sip:192.0.2.11:5061 [<sip:192.0.2.12;lr> <sip:gw@192.0.2.20:5080>] \
                 192.0.2.11:5061",
            ),
            // Names are not looked up: the hop of the INVITE knows the way.
            (vec![("Contact", "<sip:gw@pbx.example>")], "sip:gw@pbx.example [] 192.0.2.9:5070"),
        ] {
            assert_eq!(way(&mut from_answer(&headers), &Peers::Any), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_contact_outside_the_trunk_is_not_followed() {
        let peers = Peers::Only(vec!["192.0.2.9".parse().unwrap()]);
        let mut dialog = from_answer(&[("Contact", "<sip:gw@203.0.113.66>")]);
        assert_eq!(way(&mut dialog, &peers), "sip:gw@203.0.113.66 [] 192.0.2.9:5070");
    }

    #[test]
    fn the_server_keeps_the_recorded_order() {
        let mut invite = invite();
        invite.headers.push("Record-Route", "<sip:192.0.2.12;lr>");
        invite.headers.push("Record-Route", "<sip:192.0.2.11;lr>");
        let mut dialog = Dialog::from_request(&invite, "ours", 100, hop()).unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(
            way(&mut dialog, &Peers::Any),
            "sip:hc@192.0.2.1:5062 [<sip:192.0.2.12;lr> <sip:192.0.2.11;lr>] 192.0.2.12:5060"
        );
        assert_eq!(bye.headers.cseq().unwrap().number, 101);
        assert_eq!(bye.headers.from().unwrap().tag(), Some("ours"));
        assert_eq!(bye.headers.to().unwrap().tag(), Some("ours"), "as the test's INVITE says");
    }

    #[test]
    fn an_invite_without_contact_makes_no_dialog() {
        let mut invite = invite();
        invite.headers.remove("Contact");
        let error = Dialog::from_request(&invite, "ours", 1, hop()).unwrap_err();
        assert_eq!(error, HeaderError::Missing("Contact"));
    }

    #[test]
    fn numbers_may_leap_but_not_fall() {
        let mut dialog = Dialog::from_request(&invite(), "ours", 1, hop()).unwrap();
        for (number, expected) in [(8, true), (4000, true), (4000, false), (9, false), (4001, true)]
        {
            assert_eq!(dialog.check_cseq(number).is_ok(), expected, "{number}");
        }
    }

    #[test]
    fn the_ack_has_the_number_of_its_invite() {
        let mut dialog = from_answer(&[]);
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.headers.cseq().unwrap().to_wire(), "8 BYE");
        assert_eq!(dialog.ack(7).headers.cseq().unwrap().to_wire(), "7 ACK");
    }
}
