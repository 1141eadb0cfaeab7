//! What an operator says about a trunk.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use crate::base::{Codec, PhoneNumber};
use crate::sip::uri::Uri;

pub use crate::rtp::Network;
pub use crate::sip::auth::Credentials;

/// A trunk towards a carrier.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name in logs.
    pub name: String,
    /// The carrier's SIP server: a name or an address, with `:port` unless that is 5060. Several,
    /// the dearest first and with commas between them, take turns: when one fails, the next is
    /// tried.
    pub host: String,
    /// Where requests are sent to instead, with a Route; written like [`Self::host`].
    pub outbound_proxy: Option<String>,
    /// The domain in URIs; as a rule the name of the host.
    pub domain: String,
    /// The local address of SIP; with port 0 any port, with an unspecified address the one that
    /// leads to the carrier. Its family is the only one that is spoken.
    pub bind: SocketAddr,
    /// Our address as the carrier sees it, behind a 1:1 address translation.
    pub public_ip: Option<IpAddr>,
    /// Hosts besides those of [`Self::host`] and [`Self::outbound_proxy`] that may send us SIP.
    pub further_hosts: Vec<IpAddr>,
    /// Networks besides the signalled host that sound may come from.
    pub media_networks: Vec<Network>,
    /// Our account: the user part of Contact, and of what is registered.
    pub user: String,
    /// What to answer a challenge with.
    pub credentials: Option<Credentials>,
    /// The lifetime to register for, in whole seconds, 90 s or more; `None` for a static trunk.
    pub registration: Option<Duration>,
    /// Our number: the same on every call, so that patients know it and can call back.
    pub caller: PhoneNumber,
    /// A display name beside it. Never more than a neutral word: it is shown before anyone proved
    /// to be the patient.
    pub caller_name: Option<String>,
    /// The Request-URI and To of a call.
    pub callee_uri: Template,
    /// From, for [`Self::caller`].
    pub caller_uri: Template,
    /// How the carrier wants to be told who calls, besides From.
    pub identity: Identity,
    /// The codecs to offer, the dearest first.
    pub codecs: Vec<Codec>,
    /// No more calls at once than this.
    pub max_calls: usize,
    /// No more calls than this are placed within any second.
    pub calls_per_second: u32,
    /// How long an INVITE may be left without any response; 4 s is usual. After that the trunk is
    /// down.
    pub response_timeout: Duration,
    /// How often to ask with OPTIONS whether the carrier is there; `None` to never ask.
    pub keep_alive: Option<Duration>,
    /// The session interval to ask for (RFC 4028), at least 90 s; `None` to ask for none.
    pub session_interval: Option<Duration>,
    /// How long the first word waits for the far end's first packet of sound; 700 ms is usual.
    pub lead_in: Duration,
}

/// How a carrier wants to be told who calls.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Identity {
    /// From is enough.
    #[default]
    None,
    /// P-Asserted-Identity (RFC 3325): between networks that trust each other.
    Asserted(Template),
    /// P-Preferred-Identity (RFC 3325): towards a network that asserts it for us.
    Preferred(Template),
}

/// The address of a telephone number, with places to fill in: `{e164}` (`+81312345678`), `{digits}`
/// (the same without `+`), `{national}` (`0312345678`) and `{domain}`.
///
/// ```
/// use mimamori::trunk::Template;
///
/// let template: Template = "sip:{national}@{domain};user=phone".parse().unwrap();
/// assert!("sip:{number}@{domain}".parse::<Template>().is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template(String);

/// The text is no template of an address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no template of an address: {0:?}")]
pub struct InvalidTemplate(pub String);

impl Template {
    /// The address of a number.
    pub(super) fn render(&self, number: &PhoneNumber, domain: &str) -> Option<Uri> {
        let e164 = number.e164();
        fill(&self.0, e164, &number.national(), domain).parse().ok()
    }

    /// Whether each number has its own address.
    pub fn names_number(&self) -> bool {
        ["{e164}", "{digits}", "{national}"].iter().any(|place| self.0.contains(place))
    }
}

fn fill(template: &str, e164: &str, national: &str, domain: &str) -> String {
    let digits = e164.trim_start_matches('+');
    let places =
        [("{e164}", e164), ("{digits}", digits), ("{national}", national), ("{domain}", domain)];
    places.iter().fold(template.to_owned(), |text, (place, value)| text.replace(place, value))
}

impl FromStr for Template {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let filled = fill(text, "+81312345678", "0312345678", "example.jp");
        match filled.parse() {
            Ok(uri) if dialled(&uri).is_some() && !filled.contains(['{', '}']) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(InvalidTemplate(text.to_owned())),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The characters of an address that the carrier dials.
pub(super) fn dialled(uri: &Uri) -> Option<String> {
    match uri {
        Uri::Sip(uri) => {
            let user = String::from_utf8(uri.unescaped_user()?).ok()?;
            Some(user.split(';').next().unwrap_or_default().to_owned())
        }
        Uri::Tel(uri) => Some(uri.dialled()),
        Uri::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_carrier_wants_it() {
        let number: PhoneNumber = "03-1234-5678".parse().unwrap();
        for (template, expected, digits) in [
            ("sip:{national}@{domain}", "sip:0312345678@a.jp", "0312345678"),
            ("sip:{e164}@{domain};user=phone", "sip:+81312345678@a.jp;user=phone", "+81312345678"),
            ("sip:186{national}@10.0.0.1:5070", "sip:1860312345678@10.0.0.1:5070", "1860312345678"),
            (
                "sip:{digits};phone-context=x@{domain}",
                "sip:81312345678;phone-context=x@a.jp",
                "81312345678",
            ),
            ("tel:{e164}", "tel:+81312345678", "+81312345678"),
            ("sip:%31{national}@{domain}", "sip:%310312345678@a.jp", "10312345678"),
            ("sip:trunk7@{domain}", "sip:trunk7@a.jp", "trunk7"),
        ] {
            let template: Template = template.parse().unwrap();
            let uri = template.render(&number, "a.jp").unwrap();
            assert_eq!(uri.to_wire(), expected);
            assert_eq!(dialled(&uri).unwrap(), digits);
        }
    }

    #[test]
    fn what_makes_no_address_is_refused() {
        for text in [
            "",
            "{e164}",
            "sip:{national}",
            "sip:{x}@{domain}",
            "mailto:{e164}",
            "sip:{e164}@{domain",
            "sip:{e164} @{domain}",
        ] {
            assert_eq!(text.parse::<Template>(), Err(InvalidTemplate(text.to_owned())));
        }
    }
}
