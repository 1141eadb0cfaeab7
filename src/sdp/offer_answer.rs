//! Offer and answer over the life of one call (RFC 3264).

use std::net::{IpAddr, SocketAddr};

use sdp_types::{Attribute, Connection, Media, Origin, Session};

use crate::base::Codec;
use crate::sdp::{Direction, Negotiated, SdpError};

/// The payload type that we offer telephone events with.
pub const DEFAULT_TELEPHONE_EVENT: u8 = 101;

/// Our side of the offers and answers of one call.
///
/// Either side may offer, again and again: [`Self::offer`] and [`Self::handle_answer`] when it is
/// us, [`Self::handle_offer`] when it is the far end. An answer that comes twice (183, then 200) or
/// from several forks is judged against the last offer each time.
#[derive(Clone, Debug)]
pub struct Negotiation {
    /// Where we receive RTP; RTCP is received on the next port.
    local: SocketAddr,
    /// What we speak, the dearest first.
    codecs: Vec<Codec>,
    id: u64,
    version: u64,
    /// The last description that we sent; its version goes up only when it changes.
    sent: Option<Session>,
    /// The payload type of telephone events; later offers keep the number that was once agreed.
    telephone_event: u8,
    /// The media lines of the session. Their number and order never change (RFC 3264 §8).
    streams: Vec<Stream>,
}

/// One media line.
#[derive(Clone, Debug)]
enum Stream {
    /// The sound of the call.
    Audio,
    /// What the far end offered beside it and we have refused.
    Refused { media: String, proto: String, formats: String },
}

impl Negotiation {
    /// Nothing has been said yet. `id` names the session towards the far end: any number that is
    /// not used twice.
    pub fn new(id: u64, local: SocketAddr, codecs: Vec<Codec>) -> Self {
        Self {
            local,
            codecs,
            id,
            version: id,
            sent: None,
            telephone_event: DEFAULT_TELEPHONE_EVENT,
            streams: vec![Stream::Audio],
        }
    }

    /// An offer of all that we speak.
    pub fn offer(&mut self) -> Vec<u8> {
        let medias = self.streams.iter().map(|stream| match stream {
            Stream::Audio => self.audio(&self.codecs, true, Direction::SendRecv),
            Stream::Refused { media, proto, formats } => refuse(media, proto, formats),
        });
        let medias = medias.collect();
        self.print(medias)
    }

    /// Reads the answer to the last offer.
    pub fn handle_answer(&self, body: &[u8]) -> Result<Negotiated, SdpError> {
        let session = parse(body)?;
        let place = self.streams.iter().position(|stream| matches!(stream, Stream::Audio));
        let media = place.and_then(|place| session.medias.get(place)).ok_or(SdpError::NoAudio)?;
        if media.port == 0 {
            return Err(SdpError::Refused);
        }
        self.accept(&session, media)
    }

    /// Reads an offer, and answers it: the first stream of sound that we can use is taken, all
    /// others are refused.
    pub fn handle_offer(&mut self, body: &[u8]) -> Result<(Negotiated, Vec<u8>), SdpError> {
        let session = parse(body)?;
        let mut taken = Err(SdpError::NoAudio);
        let mut place = 0;
        for (index, media) in session.medias.iter().enumerate() {
            match self.accept(&session, media) {
                Ok(negotiated) if media.port != 0 => {
                    (taken, place) = (Ok(negotiated), index);
                    break;
                }
                Err(SdpError::NoCodec) => taken = Err(SdpError::NoCodec),
                Ok(_) | Err(_) => {}
            }
        }
        let mut negotiated = taken?;
        self.telephone_event = negotiated.telephone_event.unwrap_or(self.telephone_event);
        negotiated.own_telephone_event = self.telephone_event;
        let streams = session.medias.into_iter().enumerate().map(|(index, media)| {
            if index == place {
                return Stream::Audio;
            }
            Stream::Refused { media: media.media, proto: media.proto, formats: media.fmt }
        });
        self.streams = streams.collect();
        let has_events = negotiated.telephone_event.is_some();
        let medias = self.streams.iter().map(|stream| match stream {
            Stream::Audio => {
                let mut media = self.audio(&[negotiated.codec], has_events, negotiated.direction);
                self.answer_with_number_of_offer(&mut media, &negotiated);
                media
            }
            Stream::Refused { media, proto, formats } => refuse(media, proto, formats),
        });
        let medias = medias.collect();
        Ok((negotiated, self.print(medias)))
    }

    /// A codec that was offered under a dynamic number is answered under it (RFC 3264 §6.1).
    fn answer_with_number_of_offer(&self, media: &mut Media, negotiated: &Negotiated) {
        let (own, offered) = (negotiated.codec.payload_type(), negotiated.payload_type);
        if own == offered {
            return;
        }
        let events = self.telephone_event.to_string();
        media.fmt = match negotiated.telephone_event {
            Some(_) => format!("{offered} {events}"),
            None => offered.to_string(),
        };
        let rtpmap = format!("{offered} {}/8000", negotiated.codec.name());
        if let Some(first) = media.attributes.first_mut() {
            first.value = Some(rtpmap);
        }
    }

    /// What a media line of the far end means for us.
    fn accept(&self, session: &Session, media: &Media) -> Result<Negotiated, SdpError> {
        let is_audio = media.media.eq_ignore_ascii_case("audio");
        // RTP/AVP alone: what demands encryption or feedback must not be answered without.
        if !is_audio || !media.proto.eq_ignore_ascii_case("RTP/AVP") {
            return Err(SdpError::NoAudio);
        }
        let connection = media.connections.first().or(session.connection.as_ref());
        let ip = connection.and_then(|connection| connection.try_address().ok());
        let ip = ip.map(|address| address.ip).filter(|ip| !ip.is_multicast());
        let ip = ip.filter(|ip| ip.is_ipv4() == self.local.is_ipv4()).ok_or(SdpError::NoAudio)?;
        let (codec, payload_type) = self.choose_codec(media).ok_or(SdpError::NoCodec)?;
        let remote = SocketAddr::new(ip, media.port);
        Ok(Negotiated {
            remote,
            remote_rtcp: rtcp_address(media, remote),
            codec,
            payload_type,
            telephone_event: formats(media).find_map(|number| {
                let (name, rate) = mapping(media, number)?;
                (name.eq_ignore_ascii_case("telephone-event") && rate == 8000).then_some(number)
            }),
            own_telephone_event: self.telephone_event,
            direction: direction(session, media, ip).reversed(),
        })
    }

    /// The first of the far end's formats that we speak.
    fn choose_codec(&self, media: &Media) -> Option<(Codec, u8)> {
        formats(media).find_map(|number| {
            let codec = self.codecs.iter().copied().find(|codec| {
                mapping(media, number).map_or(codec.payload_type() == number, |(name, rate)| {
                    name.eq_ignore_ascii_case(codec.name()) && rate == 8000
                })
            })?;
            Some((codec, number))
        })
    }

    /// Our media line.
    fn audio(&self, codecs: &[Codec], has_events: bool, direction: Direction) -> Media {
        let events = self.telephone_event;
        let numbers = codecs.iter().map(|codec| codec.payload_type());
        let numbers = numbers.chain(has_events.then_some(events)).map(|number| number.to_string());
        let formats = numbers.collect::<Vec<_>>().join(" ");
        let mut media = line("audio", self.local.port(), "RTP/AVP", &formats);
        for codec in codecs {
            let rtpmap = format!("{} {}/8000", codec.payload_type(), codec.name());
            media.add_attribute_with_value("rtpmap", rtpmap);
        }
        if has_events {
            media.add_attribute_with_value("rtpmap", format!("{events} telephone-event/8000"));
            media.add_attribute_with_value("fmtp", format!("{events} 0-15"));
        }
        media.add_attribute_with_value("ptime", "20");
        media.add_attribute_from_str(direction.as_str());
        media
    }

    fn print(&mut self, medias: Vec<Media>) -> Vec<u8> {
        let origin = Origin::with_ip_addr(self.id, self.version, self.local.ip());
        let mut session = Session::new(origin, "-");
        session.set_connection(Connection::from_ip_addr(self.local.ip()));
        session.medias = medias;
        if self.sent.as_ref().is_some_and(|sent| *sent != session) {
            self.version += 1;
            session.origin.sess_version = self.version;
        }
        let mut bytes = Vec::new();
        session.write(&mut bytes).expect("memory can be written to");
        self.sent = Some(session);
        bytes
    }
}

fn line(media: &str, port: u16, proto: &str, formats: &str) -> Media {
    Media {
        media: media.to_owned(),
        port,
        num_ports: None,
        proto: proto.to_owned(),
        fmt: formats.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::<Attribute>::new(),
    }
}

fn refuse(media: &str, proto: &str, formats: &str) -> Media {
    line(media, 0, proto, formats)
}

/// Reads a description. Lines that nothing here depends on are left out first, so that a mistake
/// in one of them costs no call.
fn parse(body: &[u8]) -> Result<Session, SdpError> {
    let text = String::from_utf8_lossy(body);
    let needed = text.lines().map(str::trim_end).filter(|line| {
        let key = line.trim_start().split('=').next().unwrap_or_default();
        matches!(key, "v" | "c" | "m" | "a")
    });
    let lines: String = needed.flat_map(|line| [line.trim_start(), "\r\n"]).collect();
    Session::parse(lines.as_bytes()).map_err(|_| SdpError::Malformed)
}

/// The payload types of a media line; what is no number is passed over.
fn formats(media: &Media) -> impl Iterator<Item = u8> {
    media.fmt.split_ascii_whitespace().filter_map(|number| number.parse().ok())
}

/// The name and rate that `a=rtpmap` gives a payload type. Read here and not by `sdp-types`, so
/// that a malformed line costs only itself.
fn mapping(media: &Media, number: u8) -> Option<(&str, u32)> {
    let maps = media.attributes.iter().filter(|one| one.attribute.eq_ignore_ascii_case("rtpmap"));
    maps.filter_map(|one| one.value.as_deref()?.trim().split_once(' ')).find_map(|(own, map)| {
        let mut parts = map.trim().split('/');
        let (name, rate) = (parts.next()?, parts.next()?);
        (own.parse() == Ok(number)).then_some((name, rate.trim().parse().ok()?))
    })
}

/// Which way sound flows, seen from the far end.
fn direction(session: &Session, media: &Media, ip: IpAddr) -> Direction {
    let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    let find = |attributes: &[Attribute]| {
        let mut names = attributes.iter().map(|one| one.attribute.trim().to_ascii_lowercase());
        names.find_map(|name| all.into_iter().find(|one| one.as_str() == name))
    };
    let said = find(&media.attributes).or_else(|| find(&session.attributes));
    let said = said.unwrap_or(Direction::SendRecv);
    // The hold of RFC 2543: there is no address that we could send to.
    match (ip.is_unspecified(), said) {
        (true, Direction::SendRecv | Direction::SendOnly) => Direction::SendOnly,
        (true, Direction::RecvOnly | Direction::Inactive) => Direction::Inactive,
        (false, said) => said,
    }
}

/// `a=rtcp:port [IN IP4 address]` (RFC 3605), or the port after that of RTP.
fn rtcp_address(media: &Media, remote: SocketAddr) -> SocketAddr {
    let default = SocketAddr::new(remote.ip(), remote.port().saturating_add(1));
    let said = media.attributes.iter().find(|one| one.attribute.eq_ignore_ascii_case("rtcp"));
    let Some(value) = said.and_then(|one| one.value.as_deref()) else { return default };
    let mut words = value.split_ascii_whitespace();
    let port = words.next().and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    let ip = words.nth(2).and_then(|ip| ip.parse().ok());
    let ip = ip.filter(|ip: &IpAddr| ip.is_ipv4() == remote.is_ipv4());
    SocketAddr::new(ip.unwrap_or(remote.ip()), port.unwrap_or(default.port()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn us() -> Negotiation {
        Negotiation::new(7, "192.0.2.1:40000".parse().unwrap(), vec![Codec::Pcmu, Codec::Pcma])
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap().replace('\r', "")
    }

    /// A description of one stream; `rest` are its further lines.
    fn audio(line: &str, rest: &str) -> Vec<u8> {
        let rest = rest.replace(' ', "\r\na=").replace('_', " ");
        format!("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm={line}{rest}\r\n")
            .into_bytes()
    }

    #[test]
    fn an_offer_names_all_that_we_speak() {
        insta::assert_snapshot!(text(&us().offer()), @"
        v=0
        o=- 7 7 IN IP4 192.0.2.1
        s=-
        c=IN IP4 192.0.2.1
        t=0 0
        m=audio 40000 RTP/AVP 0 8 101
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-15
        a=ptime:20
        a=sendrecv
        ");
    }

    #[test]
    fn an_answer_is_read() {
        for (line, rest, codec, payload_type, telephone_event) in [
            (
                "audio 5000 RTP/AVP 0 101",
                " rtpmap:101_telephone-event/8000",
                Codec::Pcmu,
                0,
                Some(101),
            ),
            ("audio 5000 RTP/AVP 8 0", "", Codec::Pcma, 8, None),
            (
                "audio 5000 RTP/AVP 8 96",
                " rtpmap:8_PCMA/8000 rtpmap:96_TELEPHONE-EVENT/8000/1",
                Codec::Pcma,
                8,
                Some(96),
            ),
            ("audio 5000 RTP/AVP 18 0", " rtpmap:18_G729/8000", Codec::Pcmu, 0, None),
            (
                "audio 5000 RTP/AVP 97 98",
                " rtpmap:97_pcma/8000 rtpmap:98_telephone-event/16000",
                Codec::Pcma,
                97,
                None,
            ),
            ("audio 5000 rtp/avp 0", " rtpmap:0 rtpmap:zero_x/y", Codec::Pcmu, 0, None),
            ("audio 5000/2 RTP/AVP 0 t38", "", Codec::Pcmu, 0, None),
        ] {
            let negotiated =
                us().handle_answer(&audio(line, rest)).unwrap_or_else(|e| panic!("{line}: {e}"));
            let expected = Negotiated {
                remote: "192.0.2.9:5000".parse().unwrap(),
                remote_rtcp: "192.0.2.9:5001".parse().unwrap(),
                codec,
                payload_type,
                telephone_event,
                own_telephone_event: 101,
                direction: Direction::SendRecv,
            };
            assert_eq!(negotiated, expected, "{line}");
        }
    }

    #[test]
    fn an_answer_without_usable_sound_is_refused() {
        for (line, rest, expected) in [
            ("audio 0 RTP/AVP 0", "", SdpError::Refused),
            ("audio 5000 RTP/AVP 18", "", SdpError::NoCodec),
            ("audio 5000 RTP/AVP 0", " rtpmap:0_PCMU/16000", SdpError::NoCodec),
            ("audio 5000 RTP/SAVP 0", "", SdpError::NoAudio),
            ("video 5000 RTP/AVP 0", "", SdpError::NoAudio),
            ("image 5000 udptl t38", "", SdpError::NoAudio),
            ("audio x RTP/AVP 0", "", SdpError::Malformed),
        ] {
            assert_eq!(us().handle_answer(&audio(line, rest)), Err(expected), "{line}");
        }
        assert_eq!(us().handle_answer(b""), Err(SdpError::Malformed));
        assert_eq!(us().handle_answer(b"v=0\r\n"), Err(SdpError::NoAudio));
        for address in ["IN IP6 2001:db8::1", "IN IP4 224.0.0.1/127", "IN IP4 example.com"] {
            let body = text(&audio("audio 5000 RTP/AVP 0", ""))
                .replace("IN IP4 192.0.2.9\nt", &format!("{address}\nt"));
            assert_eq!(us().handle_answer(body.as_bytes()), Err(SdpError::NoAudio), "{address}");
        }
    }

    #[test]
    fn a_hold_stops_our_voice() {
        for (rest, address, expected) in [
            (" sendonly", "192.0.2.9", Direction::RecvOnly),
            (" recvonly", "192.0.2.9", Direction::SendOnly),
            (" inactive", "192.0.2.9", Direction::Inactive),
            (" sendrecv", "0.0.0.0", Direction::RecvOnly),
            ("", "0.0.0.0", Direction::RecvOnly),
            (" inactive", "0.0.0.0", Direction::Inactive),
            ("", "192.0.2.9", Direction::SendRecv),
        ] {
            let body = text(&audio("audio 5000 RTP/AVP 0", rest))
                .replace("192.0.2.9\nt", &format!("{address}\nt"));
            let (negotiated, answer) = us().handle_offer(body.as_bytes()).unwrap();
            assert_eq!(negotiated.direction, expected, "{body}");
            assert!(text(&answer).contains(&format!("a={}\n", expected.as_str())));
        }
        let session_level =
            text(&audio("audio 5000 RTP/AVP 0", "")).replace("t=0 0", "t=0 0\na=sendonly");
        assert_eq!(
            us().handle_answer(session_level.as_bytes()).unwrap().direction,
            Direction::RecvOnly
        );
    }

    #[test]
    fn reports_go_where_the_far_end_wants_them() {
        for (rest, expected) in [
            ("", "192.0.2.9:5001"),
            (" rtcp:53020", "192.0.2.9:53020"),
            (" rtcp:53020_IN_IP4_192.0.2.77", "192.0.2.77:53020"),
            (" rtcp:53020_IN_IP6_2001:db8::1", "192.0.2.9:53020"),
            (" rtcp:x", "192.0.2.9:5001"),
        ] {
            let negotiated = us().handle_answer(&audio("audio 5000 RTP/AVP 0", rest)).unwrap();
            assert_eq!(negotiated.remote_rtcp, expected.parse::<SocketAddr>().unwrap(), "{rest}");
        }
    }

    #[test]
    fn an_offer_of_many_streams_is_answered_line_by_line() {
        let offer = "v=0\nc=IN IP4 192.0.2.9\nm=video 6000 RTP/AVP 31 32\n\
            m=audio 5000 RTP/SAVP 0\nm=audio 5002 RTP/AVP 18 98 97 96\nc=IN IP4 192.0.2.10\n\
            a=rtpmap:97 PCMA/8000\na=rtpmap:96 telephone-event/8000\nm=audio 5004 RTP/AVP 0\n";
        let mut us = us();
        let (negotiated, answer) = us.handle_offer(offer.as_bytes()).unwrap();
        assert_eq!(negotiated.remote, "192.0.2.10:5002".parse::<SocketAddr>().unwrap());
        assert_eq!((negotiated.payload_type, negotiated.own_telephone_event), (97, 96));
        insta::assert_snapshot!(text(&answer), @"
        v=0
        o=- 7 7 IN IP4 192.0.2.1
        s=-
        c=IN IP4 192.0.2.1
        t=0 0
        m=video 0 RTP/AVP 31 32
        m=audio 0 RTP/SAVP 0
        m=audio 40000 RTP/AVP 97 96
        a=rtpmap:97 PCMA/8000
        a=rtpmap:96 telephone-event/8000
        a=fmtp:96 0-15
        a=ptime:20
        a=sendrecv
        m=audio 0 RTP/AVP 0
        ");
        // Our own next offer keeps the lines and the number of the telephone events.
        insta::assert_snapshot!(text(&us.offer()), @"
        v=0
        o=- 7 8 IN IP4 192.0.2.1
        s=-
        c=IN IP4 192.0.2.1
        t=0 0
        m=video 0 RTP/AVP 31 32
        m=audio 0 RTP/SAVP 0
        m=audio 40000 RTP/AVP 0 8 96
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:96 telephone-event/8000
        a=fmtp:96 0-15
        a=ptime:20
        a=sendrecv
        m=audio 0 RTP/AVP 0
        ");
    }

    #[test]
    fn both_roles_agree() {
        for codecs in
            [vec![Codec::Pcmu, Codec::Pcma], vec![Codec::Pcma], vec![Codec::Pcma, Codec::Pcmu]]
        {
            let mut them = Negotiation::new(9, "192.0.2.9:5000".parse().unwrap(), codecs.clone());
            let mut us = us();
            let (theirs, answer) = them.handle_offer(&us.offer()).unwrap();
            let ours = us.handle_answer(&answer).unwrap();
            assert_eq!(ours.codec, theirs.codec);
            assert_eq!(ours.remote, "192.0.2.9:5000".parse::<SocketAddr>().unwrap());
            assert_eq!(theirs.remote, "192.0.2.1:40000".parse::<SocketAddr>().unwrap());
            assert_eq!((ours.telephone_event, theirs.telephone_event), (Some(101), Some(101)));
        }
    }

    #[test]
    fn the_version_goes_up_only_when_something_changes() {
        let mut us = us();
        let first = us.offer();
        assert_eq!(us.offer(), first);
        let hold = audio("audio 5000 RTP/AVP 0", " sendonly");
        let (_, answer) = us.handle_offer(&hold).unwrap();
        assert!(text(&answer).contains("o=- 7 8 IN"), "{}", text(&answer));
        let (_, again) = us.handle_offer(&hold).unwrap();
        assert_eq!(again, answer);
    }

    #[test]
    fn ipv6_is_spoken() {
        let mut us = Negotiation::new(7, "[2001:db8::1]:40000".parse().unwrap(), vec![Codec::Pcmu]);
        assert!(text(&us.offer()).contains("c=IN IP6 2001:db8::1\n"));
        // RFC 5118 §4.8: lines of both families.
        let offer = "v=0\nm=audio 5000 RTP/AVP 0\nc=IN IP4 192.0.2.9\nm=audio 5002 RTP/AVP 0\nc=IN IP6 2001:db8::9\n";
        let (negotiated, answer) = us.handle_offer(offer.as_bytes()).unwrap();
        assert_eq!(negotiated.remote, "[2001:db8::9]:5002".parse::<SocketAddr>().unwrap());
        assert!(text(&answer).contains("m=audio 0 RTP/AVP 0\nm=audio 40000 RTP/AVP 0\n"));
    }

    #[test]
    fn odd_lines_cost_no_call() {
        let odd = b"\r\nv=0\r\no=broken\r\ns=M\xfcller\r\ns=again\r\ni=\r\nb=X:many\r\nz=what\r\ny=0\r\nc=IN IP4 192.0.2.9\r\n\
            t=soon\r\nk=\r\nm=audio 5000 RTP/AVP 0  \r\na=\xfc\r\na=rtpmap\r\na=silenceSupp:off - - - -\r\n";
        assert_eq!(us().handle_answer(odd).unwrap().codec, Codec::Pcmu);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_body_makes_it_panic(
            lines in proptest::collection::vec("(v=0|[a-z]=|m=audio |c=IN IP4 |a=rtpmap:|a=rtcp:)[ -~]{0,20}", 0..8),
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut body = b"v=0\r\n".to_vec();
            body.extend(lines.join("\n").bytes());
            let _ = us().handle_offer(&body);
            body.extend(bytes);
            let _ = us().handle_answer(&body);
            let _ = us().handle_offer(&body);
        }
    }
}
