//! The clips that are ready, in memory.
//!
//! Prompts without values are few and stay. Those with values would grow without end (names,
//! moments), so the ones that were not used for the longest time make room.

use std::collections::HashMap;
use std::sync::Arc;

use super::voice::Pace;
use crate::call::clip::Clip;
use crate::ivr::Utterance;

/// Room for clips with values, in bytes of sound: some 3000 of them. 1000 calls at once use 500.
const ROOM: usize = 256 << 20;

/// The clips that are ready.
#[derive(Default)]
pub(super) struct Shelf {
    /// By pace, so that a look-up need not copy the utterance.
    clips: [HashMap<Utterance, Kept>; 2],
    /// Bytes of the clips with values.
    size: usize,
    /// Counts look-ups: the age of a clip.
    now: u64,
}

struct Kept {
    clip: Arc<Clip>,
    used_at: u64,
}

impl Shelf {
    /// A clip, if it is ready.
    pub(super) fn take(&mut self, utterance: &Utterance, pace: Pace) -> Option<Arc<Clip>> {
        self.now += 1;
        let kept = self.clips[row(pace)].get_mut(utterance)?;
        kept.used_at = self.now;
        Some(Arc::clone(&kept.clip))
    }

    /// Makes a clip ready.
    pub(super) fn put(&mut self, utterance: &Utterance, pace: Pace, clip: Arc<Clip>) {
        self.put_within(ROOM, utterance, pace, clip);
    }

    fn put_within(&mut self, room: usize, utterance: &Utterance, pace: Pace, clip: Arc<Clip>) {
        self.now += 1;
        let added = weight(utterance, &clip);
        let kept = Kept { clip, used_at: self.now };
        let replaced = self.clips[row(pace)].insert(utterance.clone(), kept);
        self.size += added;
        self.size -= replaced.map_or(0, |old| weight(utterance, &old.clip));
        if self.size > room {
            self.make_room(room - room / 8);
        }
    }

    /// Forgets the clips that were not used for the longest time.
    fn make_room(&mut self, room: usize) {
        let with_values = self.clips.iter().flatten().filter(|(key, _)| !key.blanks.is_empty());
        let mut ages: Vec<(u64, usize)> =
            with_values.map(|(key, kept)| (kept.used_at, weight(key, &kept.clip))).collect();
        ages.sort_unstable();
        let mut too_old = 0;
        for (used_at, weight) in ages {
            if self.size <= room {
                break;
            }
            self.size -= weight;
            too_old = used_at;
        }
        for row in &mut self.clips {
            row.retain(|key, kept| key.blanks.is_empty() || kept.used_at > too_old);
        }
    }
}

fn row(pace: Pace) -> usize {
    match pace {
        Pace::Normal => 0,
        Pace::Slow => 1,
    }
}

/// What counts against the room.
fn weight(utterance: &Utterance, clip: &Clip) -> usize {
    if utterance.blanks.is_empty() { 0 } else { clip.pcmu.len() + clip.pcma.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ivr::Blank;

    fn clip() -> Arc<Clip> {
        Arc::new(Clip { label: String::new(), pcmu: [0; 160].into(), pcma: [0; 160].into() })
    }

    #[test]
    fn what_was_not_used_for_long_makes_room() {
        let mut shelf = Shelf::default();
        let with = |tenths| Utterance::with("readback", Blank::Temperature(tenths));
        let room = 320 * 8;
        shelf.put_within(room, &Utterance::fixed("hold"), Pace::Normal, clip());
        for tenths in 0..8 {
            shelf.put_within(room, &with(tenths), Pace::Normal, clip());
        }
        assert!(shelf.take(&with(0), Pace::Normal).is_some(), "and is the youngest now");
        shelf.put_within(room, &with(8), Pace::Normal, clip());
        let left: Vec<u16> =
            (0..9).filter(|&tenths| shelf.take(&with(tenths), Pace::Normal).is_some()).collect();
        assert_eq!(left, [0, 3, 4, 5, 6, 7, 8]);
        assert!(shelf.take(&Utterance::fixed("hold"), Pace::Normal).is_some(), "fixed ones stay");
        assert_eq!(shelf.size, 320 * 7);
    }

    #[test]
    fn each_pace_has_its_own_clip() {
        let mut shelf = Shelf::default();
        let hold = Utterance::fixed("hold");
        shelf.put(&hold, Pace::Slow, clip());
        assert!(shelf.take(&hold, Pace::Normal).is_none());
        assert!(shelf.take(&hold, Pace::Slow).is_some());
    }
}
