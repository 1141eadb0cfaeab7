//! Both sides of one RTP stream (RFC 3550 §6.4.1, appendices A.1, A.3 and A.8): what we number when
//! we send, and what we count when we receive.

use crate::rtp::FRAME_UNITS;
use crate::rtp::packet::Header;

/// Numbers the packets that we send.
///
/// Time moves on by one frame with each [`Self::advance`], whether or not something was sent, so
/// that timestamps always tell the truth about the clock.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Who we are in this stream.
    pub ssrc: u32,
    /// Packets sent.
    pub packets: u32,
    /// Bytes of payload sent.
    pub octets: u32,
    sequence: u16,
    timestamp: u32,
    /// The next sound begins a talk spurt.
    spurt: bool,
}

impl Sender {
    /// Starts a stream; the numbers should be random (RFC 3550 §5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { ssrc, packets: 0, octets: 0, sequence, timestamp, spurt: true }
    }

    /// The header of the current frame's sound.
    pub fn sound(&mut self, payload_type: u8, n_bytes: usize) -> Header {
        let marker = std::mem::take(&mut self.spurt);
        self.number(marker, payload_type, self.timestamp, n_bytes)
    }

    /// The header of a telephone event that began at this timestamp.
    pub fn event(&mut self, payload_type: u8, marker: bool, began: u32, n_bytes: usize) -> Header {
        self.number(marker, payload_type, began, n_bytes)
    }

    fn number(&mut self, marker: bool, payload_type: u8, timestamp: u32, n_bytes: usize) -> Header {
        let header =
            Header { marker, payload_type, sequence: self.sequence, timestamp, ssrc: self.ssrc };
        self.sequence = self.sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(u32::try_from(n_bytes).unwrap_or(u32::MAX));
        header
    }

    /// The timestamp of the current frame.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Goes on to the next frame.
    pub fn advance(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(FRAME_UNITS);
    }

    /// Leaves out frames in which nothing was sent: what follows is a new talk spurt.
    pub fn skip(&mut self, n_frames: u32) {
        self.timestamp = self.timestamp.wrapping_add(FRAME_UNITS.wrapping_mul(n_frames));
        self.spurt = true;
    }
}

/// A jump forward by this much is a restart (RFC 3550 A.1: one minute at 50 packets a second).
const MAX_DROPOUT: u16 = 3000;

/// A packet that is late by this much is a restart (RFC 3550 A.1).
const MAX_MISORDER: u16 = 100;

/// What the receiver makes of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The next, or after a gap a newer one. The sequence number is extended by its wraps.
    Newer(u32),
    /// One that others have overtaken, or a repetition.
    Older(u32),
    /// Another sender, or a jump, that has to prove itself with a second packet first.
    Doubtful,
}

/// Counts what is received, and keeps to one sender.
///
/// The first packet pins the sender's SSRC. Another SSRC, or a wild jump of the sequence, is
/// accepted from its second packet in a row on; a single stray packet changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    source: Option<Source>,
    /// SSRC and sequence number that the second packet of a new sender must have.
    candidate: Option<(u32, u16)>,
    /// Counts of senders before the present one.
    past: Counts,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    first: u32,
    newest: u32,
    received: u32,
    /// At the last report: packets expected and received.
    reported: (u32, u32),
    /// Transit time of the last packet in units of the clock.
    transit: Option<u32>,
    /// 16 times the jitter, as appendix A.8 keeps it.
    jitter_16: u32,
}

/// Packets counted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Packets that should have come.
    pub expected: u32,
    /// Packets that came, repetitions included.
    pub received: u32,
}

impl Counts {
    /// Packets that did not come; repetitions make up for losses (RFC 3550 §6.4.1).
    pub fn lost(self) -> u32 {
        self.expected.saturating_sub(self.received)
    }
}

/// What a report says of a sender (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reception {
    /// The sender.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost from the beginning, at most 2^23 − 1.
    pub lost: u32,
    /// The highest sequence number, with its wraps above.
    pub extended_sequence: u32,
    /// Jitter in units of the clock.
    pub jitter: u32,
}

impl Receiver {
    /// Judges and counts one packet.
    pub fn receive(&mut self, header: &Header) -> Verdict {
        let Some(source) = &mut self.source else {
            return self.begin(header);
        };
        if source.ssrc != header.ssrc {
            return self.doubt(header);
        }
        let ahead = header.sequence.wrapping_sub(low_16(source.newest));
        if ahead < MAX_DROPOUT && ahead != 0 {
            source.newest = source.newest.wrapping_add(u32::from(ahead));
            source.received = source.received.wrapping_add(1);
            self.candidate = None;
            Verdict::Newer(source.newest)
        } else if ahead == 0 || ahead > u16::MAX - MAX_MISORDER {
            source.received = source.received.wrapping_add(1);
            Verdict::Older(source.newest.wrapping_sub(u32::from(ahead.wrapping_neg())))
        } else {
            self.doubt(header)
        }
    }

    /// Measures the jitter of a packet that arrived at this time of the receiver's clock, in units
    /// of the RTP clock. Telephone events are left out: all packets of one bear one timestamp.
    pub fn measure(&mut self, header: &Header, arrival: u32) {
        let Some(source) = self.source.as_mut().filter(|source| source.ssrc == header.ssrc) else {
            return;
        };
        let transit = arrival.wrapping_sub(header.timestamp);
        if let Some(before) = source.transit.replace(transit) {
            let change = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // A step of a second and more is a restart of somebody's clock, not jitter.
            if change < 8000 {
                source.jitter_16 = source.jitter_16 + change - ((source.jitter_16 + 8) >> 4);
            }
        }
    }

    /// The sender that is listened to.
    pub fn ssrc(&self) -> Option<u32> {
        self.source.map(|source| source.ssrc)
    }

    /// All that was counted, over all senders.
    pub fn counts(&self) -> Counts {
        let now = self.source.map(Source::counts).unwrap_or_default();
        Counts {
            expected: self.past.expected.wrapping_add(now.expected),
            received: self.past.received.wrapping_add(now.received),
        }
    }

    /// The jitter in units of the clock.
    pub fn jitter(&self) -> u32 {
        self.source.map_or(0, |source| source.jitter_16 >> 4)
    }

    /// What to report of the sender, and begins the next interval.
    pub fn report(&mut self) -> Option<Reception> {
        let source = self.source.as_mut()?;
        let Counts { expected, received } = source.counts();
        let (expected_before, received_before) = source.reported;
        source.reported = (expected, received);
        let expected_now = expected.wrapping_sub(expected_before);
        let lost_now = expected_now.saturating_sub(received.wrapping_sub(received_before));
        let fraction = (u64::from(lost_now) * 256).checked_div(u64::from(expected_now));
        Some(Reception {
            ssrc: source.ssrc,
            fraction_lost: u8::try_from(fraction.unwrap_or(0)).unwrap_or(u8::MAX),
            lost: expected.saturating_sub(received).min(0x7F_FFFF),
            extended_sequence: source.newest,
            jitter: source.jitter_16 >> 4,
        })
    }

    fn begin(&mut self, header: &Header) -> Verdict {
        let sequence = u32::from(header.sequence);
        self.source = Some(Source {
            ssrc: header.ssrc,
            first: sequence,
            newest: sequence,
            received: 1,
            reported: (0, 0),
            transit: None,
            jitter_16: 0,
        });
        self.candidate = None;
        Verdict::Newer(sequence)
    }

    fn doubt(&mut self, header: &Header) -> Verdict {
        if self.candidate == Some((header.ssrc, header.sequence)) {
            self.past = self.counts();
            return self.begin(header);
        }
        self.candidate = Some((header.ssrc, header.sequence.wrapping_add(1)));
        Verdict::Doubtful
    }
}

impl Source {
    fn counts(self) -> Counts {
        Counts {
            expected: self.newest.wrapping_sub(self.first).wrapping_add(1),
            received: self.received,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the wraps are cut off on purpose")]
fn low_16(extended: u32) -> u16 {
    extended as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, sequence: u16) -> Header {
        let timestamp = u32::from(sequence) * FRAME_UNITS;
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }
    }

    #[test]
    fn time_moves_on_by_160_whatever_is_sent() {
        let mut sender = Sender::new(1, u16::MAX, u32::MAX - 159);
        let first = sender.sound(0, 160);
        sender.advance();
        let second = sender.sound(0, 160);
        sender.advance();
        let began = sender.timestamp();
        let event = sender.event(101, true, began, 4);
        sender.advance();
        let repeated = sender.event(101, false, began, 4);
        sender.advance();
        let third = sender.sound(0, 160);
        sender.advance();
        sender.skip(5);
        let late = sender.sound(0, 160);
        let seen = [first, second, event, repeated, third, late]
            .map(|header| (header.sequence, header.timestamp, header.marker));
        assert_eq!(
            seen,
            [
                (u16::MAX, u32::MAX - 159, true),
                (0, 0, false),
                (1, 160, true),
                (2, 160, false),
                (3, 480, false),
                // One advance and five frames left out.
                (4, 480 + 6 * 160, true),
            ]
        );
        assert_eq!((sender.packets, sender.octets), (6, 4 * 160 + 8));
    }

    #[test]
    fn losses_and_repetitions_are_counted() {
        for (sequence, expected, received) in [
            (vec![1_u16, 2, 3, 4], 4, 4),
            (vec![1, 2, 5, 6], 6, 4),
            (vec![1, 3, 2, 4], 4, 4),
            (vec![1, 2, 2, 4], 4, 4),
            (vec![65534, 65535, 0, 1], 4, 4),
            (vec![65535, 1], 3, 2),
        ] {
            let mut receiver = Receiver::default();
            for &number in &sequence {
                receiver.receive(&header(7, number));
            }
            assert_eq!(receiver.counts(), Counts { expected, received }, "{sequence:?}");
        }
    }

    #[test]
    fn sequence_numbers_are_extended_in_both_directions() {
        let mut receiver = Receiver::default();
        let verdicts: Vec<Verdict> =
            [65534, 65535, 1, 0, 65535, 2].map(|n| receiver.receive(&header(7, n))).into();
        assert_eq!(
            verdicts,
            [
                Verdict::Newer(65534),
                Verdict::Newer(65535),
                Verdict::Newer(65537),
                Verdict::Older(65536),
                Verdict::Older(65535),
                Verdict::Newer(65538),
            ]
        );
    }

    #[test]
    fn a_stranger_must_prove_itself_with_two_packets() {
        let mut receiver = Receiver::default();
        receiver.receive(&header(7, 10));
        assert_eq!(receiver.receive(&header(9, 500)), Verdict::Doubtful);
        assert_eq!(receiver.receive(&header(7, 11)), Verdict::Newer(11));
        assert_eq!(receiver.receive(&header(9, 900)), Verdict::Doubtful);
        assert_eq!(receiver.ssrc(), Some(7));
        assert_eq!(receiver.receive(&header(9, 901)), Verdict::Newer(901));
        assert_eq!(receiver.ssrc(), Some(9));
        // The counts of the first sender are kept.
        assert_eq!(receiver.counts(), Counts { expected: 3, received: 3 });
    }

    #[test]
    fn a_restart_of_the_sequence_is_believed_the_second_time() {
        let mut receiver = Receiver::default();
        receiver.receive(&header(7, 10));
        assert_eq!(receiver.receive(&header(7, 30_000)), Verdict::Doubtful);
        assert_eq!(receiver.receive(&header(7, 30_001)), Verdict::Newer(30_001));
        assert_eq!(receiver.receive(&header(7, 30_002)), Verdict::Newer(30_002));
    }

    #[test]
    fn reports_cover_the_time_since_the_last_one() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.report(), None);
        for number in [0, 1, 3] {
            receiver.receive(&header(7, number));
        }
        let first = receiver.report().unwrap();
        assert_eq!((first.fraction_lost, first.lost, first.extended_sequence), (64, 1, 3));
        for number in 4..8 {
            receiver.receive(&header(7, number));
        }
        let second = receiver.report().unwrap();
        assert_eq!((second.fraction_lost, second.lost, second.extended_sequence), (0, 1, 7));
    }

    #[test]
    fn jitter_converges_to_the_mean_deviation() {
        let mut receiver = Receiver::default();
        for number in 0..1000_u16 {
            let header = header(7, number);
            receiver.receive(&header);
            // Every other packet is late by 80 units, so that each transit differs by 80.
            let late = u32::from(number % 2) * 80;
            receiver.measure(&header, header.timestamp.wrapping_add(123 + late));
        }
        assert!((79..=80).contains(&receiver.jitter()), "{}", receiver.jitter());
    }
}
