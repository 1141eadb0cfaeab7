//! RTCP (RFC 3550 §6): what we report of ourselves and of what we hear, and what the far end does.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rtcp_types::Bye;
use rtcp_types::Compound;
use rtcp_types::CompoundBuilder;
use rtcp_types::Packet;
use rtcp_types::ReceiverReport;
use rtcp_types::ReportBlock;
use rtcp_types::RtcpPacketWriterExt;
use rtcp_types::Sdes;
use rtcp_types::SdesChunk;
use rtcp_types::SdesItem;
use rtcp_types::SenderReport;

use crate::rtp::session::Reception;

/// Reports go out every five seconds on average (RFC 3550 §6.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// The time to the next report: between half and one and a half of the interval, so that no two
/// parties keep step; half of that before the first one (RFC 3550 §6.3.1).
pub fn next_interval(random: &mut StdRng, is_first: bool) -> Duration {
    let interval = if is_first { INTERVAL / 2 } else { INTERVAL };
    interval.mul_f64(random.random_range(0.5..1.5))
}

/// What we sent so far, for a sender report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sent {
    /// Our clock in NTP form; ours counts from the beginning of the stream (RFC 3550 §4).
    pub ntp: u64,
    /// The same moment in RTP time.
    pub timestamp: u32,
    /// Packets.
    pub packets: u32,
    /// Bytes of payload.
    pub octets: u32,
}

/// The sender report that we heard last: its time, and how long ago it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Echo {
    /// The middle 32 bits of its NTP time.
    pub ntp_middle: u32,
    /// In units of 1/65536 s.
    pub delay: u32,
}

/// One report: a compound packet of sender or receiver report and our name.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Who we are in this stream.
    pub ssrc: u32,
    /// Our name, the same in all streams of a call; it names no person.
    pub name: &'a str,
    /// What we sent, if anything since the last report.
    pub sent: Option<Sent>,
    /// What we heard, if anything.
    pub heard: Option<(Reception, Option<Echo>)>,
    /// The stream is over: a BYE is added.
    pub is_last: bool,
}

impl Report<'_> {
    /// Writes the report; returns its length, or 0 if `buffer` is too small.
    pub fn write(&self, buffer: &mut [u8]) -> usize {
        let block = self.heard.map(|(heard, echo)| {
            ReportBlock::builder(heard.ssrc)
                .fraction_lost(heard.fraction_lost)
                .cumulative_lost(heard.lost)
                .extended_sequence_number(heard.extended_sequence)
                .interarrival_jitter(heard.jitter)
                .last_sender_report_timestamp(echo.map_or(0, |echo| echo.ntp_middle))
                .delay_since_last_sender_report_timestamp(echo.map_or(0, |echo| echo.delay))
        });
        let compound: CompoundBuilder<'_> = if let Some(sent) = self.sent {
            let report = SenderReport::builder(self.ssrc)
                .ntp_timestamp(sent.ntp)
                .rtp_timestamp(sent.timestamp)
                .packet_count(sent.packets)
                .octet_count(sent.octets);
            Compound::builder().add_packet(match block {
                Some(block) => report.add_report_block(block),
                None => report,
            })
        } else {
            let report = ReceiverReport::builder(self.ssrc);
            Compound::builder().add_packet(match block {
                Some(block) => report.add_report_block(block),
                None => report,
            })
        };
        let name = SdesItem::builder(SdesItem::CNAME, self.name);
        let chunk = SdesChunk::builder(self.ssrc).add_item(name);
        let mut compound = compound.add_packet(Sdes::builder().add_chunk(chunk));
        if self.is_last {
            compound = compound.add_packet(Bye::builder().add_source(self.ssrc));
        }
        compound.write_into(buffer).unwrap_or(0)
    }
}

/// What the far end reported.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Heard {
    /// The sender of its sender report, and the middle 32 bits of its NTP time.
    pub sender_report: Option<(u32, u32)>,
    /// How it hears us.
    pub of_us: Option<OfUs>,
    /// The SSRC that said goodbye.
    pub bye: Option<u32>,
}

/// How the far end hears us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OfUs {
    /// Lost since its last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost from the beginning.
    pub lost: u32,
    /// In units of the RTP clock.
    pub jitter: u32,
    /// Our sender report that it heard last.
    pub echo: Echo,
}

impl Heard {
    /// Reads what is said to us, who are `ssrc`. What cannot be read is as if it was not said.
    pub fn parse(bytes: &[u8], ssrc: u32) -> Self {
        let mut heard = Self::default();
        let Ok(compound) = Compound::parse(bytes) else { return heard };
        for packet in compound {
            match packet {
                Ok(Packet::Sr(report)) => {
                    heard.sender_report = Some((report.ssrc(), middle(report.ntp_timestamp())));
                    heard.blocks(report.report_blocks(), ssrc);
                }
                Ok(Packet::Rr(report)) => heard.blocks(report.report_blocks(), ssrc),
                Ok(Packet::Bye(bye)) => heard.bye = bye.ssrcs().next(),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        heard
    }

    fn blocks<'a>(&mut self, blocks: impl Iterator<Item = ReportBlock<'a>>, ssrc: u32) {
        for block in blocks.filter(|block| block.ssrc() == ssrc) {
            self.of_us = Some(OfUs {
                fraction_lost: block.fraction_lost(),
                lost: block.cumulative_lost(),
                jitter: block.interarrival_jitter(),
                echo: Echo {
                    ntp_middle: block.last_sender_report_timestamp(),
                    delay: block.delay_since_last_sender_report_timestamp(),
                },
            });
        }
    }
}

/// The time there and back, once the far end has echoed a report of ours (RFC 3550 §6.4.1).
/// `now` is our clock in NTP form.
pub fn round_trip(now: u64, echo: Echo) -> Option<Duration> {
    if echo.ntp_middle == 0 {
        return None;
    }
    let units = middle(now).wrapping_sub(echo.ntp_middle).wrapping_sub(echo.delay);
    // Clocks that disagree yield a negative time.
    let seconds = f64::from(u32::try_from(units.cast_signed()).ok()?) / 65536.0;
    Some(Duration::from_secs_f64(seconds))
}

/// Time since the beginning of the stream in NTP form: seconds above, fractions below.
pub fn ntp(elapsed: Duration) -> u64 {
    (elapsed.as_secs() << 32) | ((u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000)
}

/// The middle 32 bits of an NTP time: units of 1/65536 s.
#[expect(clippy::cast_possible_truncation, reason = "the outer bits are cut off on purpose")]
pub fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    const RECEPTION: Reception = Reception {
        ssrc: 0xBEEF,
        fraction_lost: 12,
        lost: 345,
        extended_sequence: 70_000,
        jitter: 17,
    };

    const SENT: Sent =
        Sent { ntp: 0x0000_0005_8000_0000, timestamp: 44_000, packets: 250, octets: 40_000 };

    fn written(report: &Report<'_>) -> Vec<u8> {
        let mut buffer = [0; 256];
        let length = report.write(&mut buffer);
        buffer[..length].to_vec()
    }

    #[test]
    fn reports_are_read_by_the_far_end() {
        let echo = Echo { ntp_middle: 0x0001_0000, delay: 0x8000 };
        let heard = Some((RECEPTION, Some(echo)));
        for (sent, is_last) in [(Some(SENT), false), (Some(SENT), true), (None, false)] {
            let bytes = written(&Report { ssrc: 7, name: "call", sent, heard, is_last });
            let expected = Heard {
                sender_report: sent.map(|_| (7, 0x0005_8000)),
                of_us: Some(OfUs { fraction_lost: 12, lost: 345, jitter: 17, echo }),
                bye: is_last.then_some(7),
            };
            assert_eq!(Heard::parse(&bytes, 0xBEEF), expected);
            // To somebody else the block says nothing.
            assert_eq!(Heard::parse(&bytes, 0xDEAD).of_us, None);
        }
    }

    #[test]
    fn a_compound_begins_with_a_report_and_names_us() {
        let report = Report { ssrc: 7, name: "call", sent: None, heard: None, is_last: true };
        let bytes = written(&report);
        let types: Vec<u8> = Compound::parse(&bytes)
            .unwrap()
            .map(|p| p.unwrap())
            .map(|p| match p {
                Packet::Rr(_) => 201,
                Packet::Sdes(_) => 202,
                Packet::Bye(_) => 203,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(types, [201, 202, 203]);
        assert_eq!(report.write(&mut [0; 8]), 0);
    }

    #[test]
    fn the_round_trip_leaves_out_the_far_ends_delay() {
        let echo = Echo { ntp_middle: middle(ntp(Duration::from_secs(10))), delay: 65536 / 2 };
        let now = ntp(Duration::from_millis(10_625));
        assert_eq!(round_trip(now, echo), Some(Duration::from_millis(125)));
        assert_eq!(round_trip(ntp(Duration::from_secs(10)), echo), None);
        assert_eq!(round_trip(now, Echo { ntp_middle: 0, delay: 0 }), None);
    }

    #[test]
    fn intervals_vary_around_five_seconds() {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..100 {
            let interval = next_interval(&mut random, false).as_secs_f64();
            assert!((2.5..7.5).contains(&interval), "{interval}");
        }
        assert!(next_interval(&mut random, true) < Duration::from_millis(3750));
    }

    proptest! {
        #[test]
        fn bytes_from_outside_never_panic(
            noise in proptest::collection::vec((0_usize..80, any::<u8>()), 0..10),
            cut in 0_usize..100,
        ) {
            let heard = Some((RECEPTION, None));
            let report = Report { ssrc: 7, name: "call", sent: Some(SENT), heard, is_last: true };
            let mut bytes = written(&report);
            for (at, value) in noise {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.truncate(cut);
            let _ = Heard::parse(&bytes, 0xBEEF);
        }
    }
}
