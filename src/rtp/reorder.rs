//! Puts packets back in order for those who listen: recognition, hints and recordings.
//!
//! Packets in order pass through at once. A gap is waited for until four newer packets are there;
//! then what is missing is given up. Keys do not wait here: they are known by their timestamps.

/// Packets that are waited for: 80 ms.
const DEPTH: u32 = 4;

/// A distance beyond this is a new stream.
const RESTART: i32 = 1000;

/// The order of one stream; see the [module docs](self).
#[derive(Clone, Debug, Default)]
pub struct Reorder {
    /// The extended sequence number that comes next.
    next: Option<u32>,
    /// Packets ahead of a gap, by their number modulo [`DEPTH`].
    waiting: [Waiting; DEPTH as usize],
}

#[derive(Clone, Debug, Default)]
struct Waiting {
    sequence: Option<u32>,
    timestamp: u32,
    /// Kept when it is emptied, so that nothing is allocated in the long run.
    payload: Vec<u8>,
}

impl Reorder {
    /// Takes a packet by its extended sequence number, and delivers timestamps and payloads that
    /// are due. Packets without sound (events) have an empty payload: they only fill their place.
    pub fn push(
        &mut self,
        sequence: u32,
        timestamp: u32,
        payload: &[u8],
        mut deliver: impl FnMut(u32, &[u8]),
    ) {
        let distance = |next: u32| sequence.wrapping_sub(next).cast_signed();
        if self.next.is_none_or(|next| distance(next).abs() > RESTART) {
            self.waiting.iter_mut().for_each(|waiting| waiting.sequence = None);
            self.next = Some(sequence);
        }
        let next = self.next.unwrap_or(sequence);
        match distance(next) {
            0 => {
                give(timestamp, payload, &mut deliver);
                self.next = Some(next.wrapping_add(1));
                self.deliver_waiting(&mut deliver);
            }
            1.. => {
                while distance(self.next.unwrap_or(sequence)) >= DEPTH.cast_signed() {
                    self.give_up_one(&mut deliver);
                }
                self.deliver_waiting(&mut deliver);
                if self.next == Some(sequence) {
                    return self.push(sequence, timestamp, payload, deliver);
                }
                let waiting = &mut self.waiting[(sequence % DEPTH) as usize];
                waiting.sequence = Some(sequence);
                waiting.timestamp = timestamp;
                waiting.payload.clear();
                waiting.payload.extend_from_slice(payload);
            }
            // Repeated, or too late.
            _ => {}
        }
    }

    /// Gives up what is missing, for nothing more has come for a while.
    pub fn flush(&mut self, mut deliver: impl FnMut(u32, &[u8])) {
        while self.waiting.iter().any(|waiting| waiting.sequence.is_some()) {
            self.give_up_one(&mut deliver);
        }
    }

    fn deliver_waiting(&mut self, deliver: &mut impl FnMut(u32, &[u8])) {
        while self.next.is_some_and(|next| self.slot(next).sequence == Some(next)) {
            self.give_up_one(deliver);
        }
    }

    /// Goes on by one number, delivering it if it is there.
    fn give_up_one(&mut self, deliver: &mut impl FnMut(u32, &[u8])) {
        let Some(next) = self.next else { return };
        let waiting = self.slot(next);
        if waiting.sequence == Some(next) {
            waiting.sequence = None;
            give(waiting.timestamp, &waiting.payload, deliver);
        }
        self.next = Some(next.wrapping_add(1));
    }

    fn slot(&mut self, sequence: u32) -> &mut Waiting {
        &mut self.waiting[(sequence % DEPTH) as usize]
    }
}

fn give(timestamp: u32, payload: &[u8], deliver: &mut impl FnMut(u32, &[u8])) {
    if !payload.is_empty() {
        deliver(timestamp, payload);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Plays sequence numbers (`e` marks an event, `flush` a silence) and lists what is delivered.
    fn play(script: &str) -> String {
        let mut reorder = Reorder::default();
        let mut delivered = Vec::new();
        for word in script.split_whitespace() {
            let mut deliver = |timestamp: u32, payload: &[u8]| {
                assert_eq!(payload, timestamp.to_be_bytes());
                delivered.push(timestamp.to_string());
            };
            if word == "flush" {
                reorder.flush(&mut deliver);
            } else if let Some(event) = word.strip_suffix('e') {
                reorder.push(event.parse().unwrap(), 0, &[], &mut deliver);
            } else {
                let sequence: u32 = word.parse().unwrap();
                reorder.push(sequence, sequence, &sequence.to_be_bytes(), &mut deliver);
            }
        }
        delivered.join(" ")
    }

    #[test]
    fn sound_comes_in_order_and_once() {
        for (script, expected) in [
            ("1 2 3", "1 2 3"),
            ("1 3 2 4", "1 2 3 4"),
            ("1 4 3 2 5", "1 2 3 4 5"),
            ("1 2 2 3 1 4", "1 2 3 4"),
            ("1 3 4 5", "1"),
            ("1 3 4 5 6", "1 3 4 5 6"),
            ("1 3 4 5 6 2 7", "1 3 4 5 6 7"),
            ("1 3 flush 4", "1 3 4"),
            ("1 2e 3e 4", "1 4"),
            ("1 4 3e 2e 5", "1 4 5"),
            ("1 20 21", "1"),
            ("1 20 21 22 23", "1 20 21 22 23"),
            ("9 5000 5001", "9 5000 5001"),
            ("4294967295 1 0 2", "4294967295 0 1 2"),
        ] {
            assert_eq!(play(script), expected, "{script}");
        }
    }

    proptest! {
        #[test]
        fn bounded_disorder_is_undone(shifts in proptest::collection::vec(0_usize..4, 1..60)) {
            let mut order: Vec<usize> = (0..shifts.len()).collect();
            order.sort_by_key(|&n| n + shifts[n]);
            let mut reorder = Reorder::default();
            let mut delivered = Vec::new();
            // The first packet is where the stream begins.
            let arriving = std::iter::once(0).chain(order.into_iter().map(|n| n + 1));
            for number in arriving {
                let sequence = u32::try_from(number).unwrap();
                reorder.push(sequence, sequence, &[1], |timestamp, _| delivered.push(timestamp));
            }
            let expected: Vec<u32> = (0..=u32::try_from(shifts.len()).unwrap()).collect();
            prop_assert_eq!(delivered, expected);
        }
    }
}
