//! The tape of a call: both lanes on one clock, handed over in whole seconds.
//!
//! ```text
//! media thread: Head (an Ear) ── full blocks, bounded ──► whoever keeps them
//!                     ▲ ───────── empty blocks ◄───────────┘
//! dialogue:     Reel ── where the tape is now; mutes the patient's lane
//! ```
//!
//! The clock counts the frames that we send, from the answer on: it never stops, also when nothing
//! is heard. What the far end says is put where it arrived, and then follows its own timestamps as
//! long as these stay near the clock. On the media thread nothing is allocated and nothing waits:
//! where no empty block has come back in time, sound is lost and counted, and the call goes on.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::audio::g711;
use crate::base::Codec;
use crate::call::clip::FRAME_BYTES;
use crate::call::media::{Ear, Lane};

/// Samples of each lane in a block: one second.
pub const BLOCK_SAMPLES: usize = 8000;

/// Both lanes of a block, ours first, sample by sample.
pub const BLOCK_BYTES: usize = 2 * BLOCK_SAMPLES;

/// Blocks of a tape: two are written to, the others are on their way; so many seconds may the
/// disk stand still.
const N_BLOCKS: usize = 6;

/// Sound may come late by so much, 200 ms, before its second is handed over.
const GRACE: u64 = 1600;

/// The far end's timestamps and our clock may be apart by so much, 120 ms, before what is heard is
/// put where it arrived.
const SLACK: u64 = 960;

/// The lane stays muted for so long, 300 ms, after it was allowed again: a tone may last.
const AFTERMATH: u64 = 2400;

/// One second of both lanes in µ-law.
pub struct Block {
    /// Which second, from 0.
    pub number: u64,
    /// Sample by sample, ours first.
    pub sound: [u8; BLOCK_BYTES],
}

impl Block {
    fn silent() -> Box<Self> {
        Box::new(Self { number: 0, sound: [g711::MULAW_SILENCE; BLOCK_BYTES] })
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({})", self.number)
    }
}

/// What a tape hands over. `tape` is the number that [`tape`] was given.
#[derive(Debug)]
pub enum Fed {
    /// A second that is over.
    Block {
        /// Of which tape.
        tape: u64,
        /// The second.
        block: Box<Block>,
    },
    /// The tape has come to its end. It may be that this cannot be told; see [`Reel::ended`].
    Ended {
        /// Which tape.
        tape: u64,
        /// The second in which it ended, if it is not a whole one.
        rest: Option<Box<Block>>,
    },
}

/// A tape that nobody has laid onto a call yet.
#[derive(Clone)]
pub struct Tap(Arc<Mutex<Option<Head>>>);

impl Tap {
    /// The head that listens; `None` if it was taken already.
    pub fn take(&self) -> Option<Head> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// Shows where a tape is, for whoever holds the dialogue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Samples up to now.
    position: AtomicU64,
    /// Before this sample nothing of the lane is kept.
    muted_until: [AtomicU64; 2],
    /// Samples that were lost.
    missing: AtomicU64,
    ended: AtomicBool,
}

impl Reel {
    /// Where the tape is now.
    pub fn position(&self) -> Duration {
        // Eight samples are a millisecond.
        Duration::from_millis(self.0.position.load(Ordering::Relaxed) / 8)
    }

    /// Keeps silence instead of what is heard on a lane, from now on.
    pub fn mute(&self, lane: Lane) {
        self.0.muted_until[lane as usize].store(u64::MAX, Ordering::Relaxed);
    }

    /// Keeps what is heard on a lane again, a moment from now: a tone may last.
    pub fn unmute(&self, lane: Lane) {
        let from = self.0.position.load(Ordering::Relaxed) + AFTERMATH;
        self.0.muted_until[lane as usize].store(from, Ordering::Relaxed);
    }

    /// How many samples of each lane there are, once the tape has ended.
    pub fn ended(&self) -> Option<u64> {
        let has_ended = self.0.ended.load(Ordering::Acquire);
        has_ended.then(|| self.0.position.load(Ordering::Relaxed))
    }

    /// How many samples of a lane were lost because nobody took the blocks in time.
    pub fn missing(&self) -> u64 {
        self.0.missing.load(Ordering::Relaxed)
    }
}

/// A new tape. Blocks go to `full`, in order; give them back through the sender that is returned.
pub fn tape(number: u64, full: SyncSender<Fed>) -> (Tap, Reel, SyncSender<Box<Block>>) {
    let (empty, empties) = sync_channel(N_BLOCKS);
    for _ in 0..N_BLOCKS {
        // There is room for all of them.
        let _ = empty.try_send(Block::silent());
    }
    let shared = Arc::new(Shared::default());
    let head = Head {
        tape: number,
        full,
        empties,
        shared: Arc::clone(&shared),
        now: 0,
        last_timestamp: None,
        theirs: None,
        first: 0,
        blocks: [None, None],
    };
    (Tap(Arc::new(Mutex::new(Some(head)))), Reel(shared), empty)
}

/// Listens to a call, on its media thread.
pub struct Head {
    tape: u64,
    full: SyncSender<Fed>,
    empties: Receiver<Box<Block>>,
    shared: Arc<Shared>,
    /// The end of the newest frame of ours, in samples.
    now: u64,
    last_timestamp: Option<u32>,
    /// A timestamp of the far end, and where it belongs.
    theirs: Option<(u32, u64)>,
    /// The first second that was not handed over.
    first: u64,
    /// That second, and the next.
    blocks: [Option<Box<Block>>; 2],
}

impl Ear for Head {
    fn hear(&mut self, lane: Lane, codec: Codec, timestamp: u32, payload: &[u8]) {
        match lane {
            Lane::Ours => self.hear_ours(codec, timestamp, payload),
            Lane::Theirs if payload.is_empty() => {}
            Lane::Theirs => self.hear_theirs(codec, timestamp, payload),
        }
    }
}

impl Head {
    fn hear_ours(&mut self, codec: Codec, timestamp: u32, payload: &[u8]) {
        let frame = FRAME_BYTES as u64;
        let passed = self.last_timestamp.replace(timestamp).map_or(0, |last| {
            // Frames that were left out have passed all the same.
            u64::from(timestamp.wrapping_sub(last)).max(frame) - frame
        });
        let begins = self.now + passed;
        self.now = begins + frame;
        self.hand_over();
        self.write(Lane::Ours, codec, begins, payload);
        self.shared.position.store(self.now, Ordering::Relaxed);
    }

    fn hear_theirs(&mut self, codec: Codec, timestamp: u32, payload: &[u8]) {
        let length = payload.len() as u64;
        let arrived = self.now.saturating_sub(length);
        let by_timestamp = self.theirs.and_then(|(anchor, at)| {
            let ahead = i64::from(timestamp.wrapping_sub(anchor).cast_signed());
            at.checked_add_signed(ahead)
        });
        let at = match by_timestamp {
            Some(at) if at.abs_diff(arrived) <= SLACK => at,
            _ => {
                self.theirs = Some((timestamp, arrived));
                arrived
            }
        };
        self.write(Lane::Theirs, codec, at, payload);
    }

    /// Writes sound where it belongs.
    fn write(&mut self, lane: Lane, codec: Codec, at: u64, payload: &[u8]) {
        if at < self.shared.muted_until[lane as usize].load(Ordering::Relaxed) {
            return;
        }
        let mut lost = 0;
        for (sample, &code) in (at..).zip(payload) {
            let code = match codec {
                Codec::Pcmu => code,
                Codec::Pcma => g711::mulaw(g711::from_alaw(code)),
            };
            match self.block(sample / BLOCK_SAMPLES as u64) {
                Some(block) => {
                    let within = usize::try_from(sample % BLOCK_SAMPLES as u64).unwrap_or(0);
                    block.sound[2 * within + lane as usize] = code;
                }
                None => lost += 1,
            }
        }
        if lost > 0 {
            self.shared.missing.fetch_add(lost, Ordering::Relaxed);
        }
    }

    /// The block of a second, if it is still here and there is room for it.
    fn block(&mut self, number: u64) -> Option<&mut Block> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let slot = self.blocks.get_mut(index)?;
        if slot.is_none() {
            let mut block = self.empties.try_recv().ok()?;
            block.number = number;
            *slot = Some(block);
        }
        slot.as_deref_mut()
    }

    /// Hands over the seconds for which nothing can come any more.
    fn hand_over(&mut self) {
        while (self.first + 1) * BLOCK_SAMPLES as u64 + GRACE <= self.now {
            let [first, second] = &mut self.blocks;
            let block = first.take();
            *first = second.take();
            self.first += 1;
            if let Some(block) = block {
                self.send(Fed::Block { tape: self.tape, block });
            }
        }
    }

    fn send(&self, fed: Fed) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.full.try_send(fed)
        {
            self.shared.missing.fetch_add(BLOCK_SAMPLES as u64, Ordering::Relaxed);
        }
    }
}

/// The end of the call, or of a call that was never answered.
impl Drop for Head {
    fn drop(&mut self) {
        let mut rest = None;
        for block in std::mem::take(&mut self.blocks).into_iter().flatten() {
            if (block.number + 1) * BLOCK_SAMPLES as u64 <= self.now {
                self.send(Fed::Block { tape: self.tape, block });
            } else {
                rest = Some(block);
            }
        }
        self.shared.ended.store(true, Ordering::Release);
        // Who keeps the tape looks at the reel, too.
        let _ = self.full.try_send(Fed::Ended { tape: self.tape, rest });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    const FRAME: u32 = 160;

    struct Deck {
        head: Option<Head>,
        reel: Reel,
        fed: Receiver<Fed>,
        empty: SyncSender<Box<Block>>,
    }

    impl Deck {
        fn new() -> Self {
            let (full, fed) = sync_channel(64);
            let (tap, reel, empty) = tape(7, full);
            let head = tap.take();
            assert!(tap.take().is_none(), "one head for one tape");
            Self { head, reel, fed, empty }
        }

        fn hear(&mut self, lane: Lane, codec: Codec, timestamp: u32, payload: &[u8]) {
            self.head.as_mut().unwrap().hear(lane, codec, timestamp, payload);
        }

        /// Ends the call and returns both lanes.
        fn end(mut self) -> [Vec<u8>; 2] {
            drop(self.head.take());
            let samples = usize::try_from(self.reel.ended().unwrap()).unwrap();
            let mut lanes = [vec![0xFF; samples], vec![0xFF; samples]];
            let mut put = |block: Box<Block>| {
                let from = usize::try_from(block.number).unwrap() * BLOCK_SAMPLES;
                for (n, pair) in block.sound.chunks(2).enumerate() {
                    for (lane, &code) in lanes.iter_mut().zip(pair) {
                        if let Some(sample) = lane.get_mut(from + n) {
                            *sample = code;
                        }
                    }
                }
            };
            while let Ok(fed) = self.fed.try_recv() {
                match fed {
                    Fed::Block { block, .. } => put(block),
                    Fed::Ended { rest, .. } => rest.into_iter().for_each(&mut put),
                }
            }
            lanes
        }
    }

    #[test]
    fn both_lanes_lie_where_they_were_heard_whatever_their_timestamps() {
        let mut deck = Deck::new();
        // Their clock begins near the end of its range, their first packet comes after 100 ms and
        // one frame is lost; ours leaves out five frames.
        let theirs = u32::MAX - 1000;
        for n in 0..120_u32 {
            let ours = n + if n >= 60 { 5 } else { 0 };
            deck.hear(Lane::Ours, Codec::Pcmu, 5000 + ours * FRAME, &[0x10; 160]);
            if n >= 5 && n != 20 && n < 60 {
                let timestamp = theirs.wrapping_add(n * FRAME);
                deck.hear(Lane::Theirs, Codec::Pcmu, timestamp, &[0x20; 160]);
            }
        }
        assert_eq!(deck.reel.position(), Duration::from_millis(2500));
        assert_eq!(deck.reel.missing(), 0);
        let frames = |lane: &[u8], code| -> Vec<usize> {
            let is = |(n, frame): (usize, &[u8])| frame.iter().all(|&b| b == code).then_some(n);
            lane.chunks(160).enumerate().filter_map(is).collect()
        };
        let [ours, patient] = deck.end();
        let expected: Vec<usize> = (0..60).chain(65..125).collect();
        assert_eq!(frames(&ours, 0x10), expected);
        let expected: Vec<usize> = (5..60).filter(|&n| n != 20).collect();
        assert_eq!(frames(&patient, 0x20), expected);
    }

    #[test]
    fn who_restarts_a_clock_is_heard_at_once() {
        let mut deck = Deck::new();
        for n in 0..50_u32 {
            deck.hear(Lane::Ours, Codec::Pcmu, n * FRAME, &[]);
            let restarted = if n < 25 { n * FRAME } else { 3_000_000_000 + n * FRAME };
            deck.hear(Lane::Theirs, Codec::Pcma, restarted, &[g711::alaw(1000); 160]);
        }
        let [ours, patient] = deck.end();
        assert!(ours.iter().all(|&code| code == g711::MULAW_SILENCE), "nothing was said");
        let code = g711::mulaw(g711::from_alaw(g711::alaw(1000)));
        assert!(patient.iter().all(|&heard| heard == code), "transcoded, without a gap");
    }

    #[test]
    fn what_proves_an_identity_is_silence() {
        let mut deck = Deck::new();
        for n in 0..100_u32 {
            match n {
                20 => deck.reel.mute(Lane::Theirs),
                50 => deck.reel.unmute(Lane::Theirs),
                _ => {}
            }
            deck.hear(Lane::Ours, Codec::Pcmu, n * FRAME, &[0x10; 160]);
            deck.hear(Lane::Theirs, Codec::Pcmu, n * FRAME, &[0x20; 160]);
        }
        let [ours, patient] = deck.end();
        assert!(ours.iter().all(|&code| code == 0x10));
        // Fifty frames, and 300 ms after them.
        let muted = 20 * 160..(50 + 15) * 160;
        assert!(patient[muted.clone()].iter().all(|&code| code == 0xFF));
        assert!(patient[..muted.start].iter().all(|&code| code == 0x20));
        assert!(patient[muted.end..].iter().all(|&code| code == 0x20));
    }

    #[test]
    fn a_disk_that_stands_still_costs_sound_and_never_the_call() {
        let mut deck = Deck::new();
        let mut kept = Vec::new();
        for n in 0..50 * 20_u32 {
            deck.hear(Lane::Ours, Codec::Pcmu, n * FRAME, &[0x10; 160]);
            // Nobody gives a block back for the first ten seconds.
            if n >= 500 {
                while let Ok(Fed::Block { mut block, .. }) = deck.fed.try_recv() {
                    kept.push(block.number);
                    block.sound.fill(0xFF);
                    deck.empty.try_send(block).unwrap();
                }
            }
        }
        assert_eq!(deck.reel.position(), Duration::from_secs(20));
        assert_eq!(kept[..6], [0, 1, 2, 3, 4, 5]);
        assert!(kept.windows(2).all(|two| two[0] < two[1]) && kept.len() > 12, "{kept:?}");
        let lost = deck.reel.missing() / BLOCK_SAMPLES as u64;
        assert!((3..=5).contains(&lost), "{lost} s were lost");
    }

    #[test]
    fn a_call_that_was_never_answered_has_no_sound() {
        let deck = Deck::new();
        let [ours, _] = deck.end();
        assert!(ours.is_empty());
    }
}
