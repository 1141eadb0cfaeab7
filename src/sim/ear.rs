//! Recognises which prompt is heard by the packets in which it arrives.
//!
//! Every prompt is encoded once and sent in packets that are the same for every call
//! ([`Clip`]). So a packet with a sound that only one prompt holds tells the prompt
//! and the place within it, whatever was lost before.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::call::{Clip, FRAME_BYTES};

/// The prompts that an [`Recognizer`] can tell apart.
#[derive(Debug, Default)]
pub struct Repertoire {
    known: HashSet<u64>,
    labels: Vec<String>,
    frames: HashMap<u64, Place>,
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// To this prompt, so many packets before its last audible one.
    In { label: usize, left: usize },
    /// To more than one.
    Shared,
}

impl Repertoire {
    /// Whether this very sound is known.
    pub fn knows(&self, clip: &Clip) -> bool {
        self.known.contains(&hash(&clip.pcmu))
    }

    /// Learns a prompt, in both forms of G.711. A prompt that is known already changes nothing.
    pub fn learn(&mut self, clip: &Clip) {
        if !self.known.insert(hash(&clip.pcmu)) {
            return;
        }
        let label = self.labels.iter().position(|known| *known == clip.label);
        let label = label.unwrap_or_else(|| {
            self.labels.push(clip.label.clone());
            self.labels.len() - 1
        });
        for sound in [&clip.pcmu, &clip.pcma] {
            let (frames, _) = sound.as_chunks::<FRAME_BYTES>();
            let last = frames.iter().rposition(|frame| is_audible(frame)).unwrap_or(0);
            for (index, frame) in frames.iter().enumerate().filter(|(_, one)| is_audible(*one)) {
                let place = Place::In { label, left: last - index };
                self.frames
                    .entry(hash(frame))
                    .and_modify(|known| {
                        if !matches!(known, Place::In { label: other, .. } if *other == label) {
                            *known = Place::Shared;
                        }
                    })
                    .or_insert(place);
            }
        }
    }
}

/// What an [`Recognizer`] makes of a packet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recognized {
    /// A prompt with this label has begun, or its beginning was lost.
    Began(String),
    /// The prompt has been heard to its end.
    Ended,
}

/// A packet that comes again, or late, lies no further back than this; a prompt that is said again
/// does.
const REPEATED: usize = 25;

/// Listens to one call.
#[derive(Debug, Default)]
pub struct Recognizer {
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    label: usize,
    /// Packets until the last audible one.
    left: usize,
}

impl Recognizer {
    /// Notes that so many packets did not come.
    pub fn miss(&mut self, n_packets: usize) {
        if let Some(current) = &mut self.current {
            current.left = current.left.saturating_sub(n_packets);
        }
    }

    /// Hears the sound of one packet, in the order of their timestamps.
    pub fn hear(&mut self, repertoire: &Repertoire, frame: &[u8]) -> Option<Recognized> {
        let place = if is_audible(frame) { repertoire.frames.get(&hash(frame)) } else { None };
        match place {
            Some(Place::In { label, left }) => {
                let goes_on = self
                    .current
                    .as_ref()
                    .is_some_and(|now| now.label == *label && *left <= now.left + REPEATED);
                self.current = Some(Current { label: *label, left: *left });
                if !goes_on {
                    return repertoire.labels.get(*label).cloned().map(Recognized::Began);
                }
            }
            Some(Place::Shared) | None => {
                let current = self.current.as_mut()?;
                current.left = current.left.saturating_sub(1);
            }
        }
        self.current.take_if(|current| current.left == 0).map(|_| Recognized::Ended)
    }
}

/// Whether there is a sound that could tell one prompt from another: silence and its dither have
/// few codes.
fn is_audible(frame: &[u8]) -> bool {
    let mut occurs = [false; 256];
    for code in frame {
        occurs[usize::from(*code)] = true;
    }
    occurs.into_iter().filter(|occurs| *occurs).count() > 8
}

fn hash(sound: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    sound.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const SILENCE: [u8; FRAME_BYTES] = [0xff; FRAME_BYTES];

    /// A clip of noise with a pause in its middle and at its end.
    fn clip(label: &str, seed: u64) -> Clip {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut sound: Vec<u8> = (0..100 * FRAME_BYTES).map(|_| dice.random()).collect();
        sound[40 * FRAME_BYTES..60 * FRAME_BYTES].fill(0xff);
        sound[90 * FRAME_BYTES..].fill(0xff);
        let pcma = sound.iter().map(|code| code ^ 0x55).collect();
        Clip { label: label.to_owned(), pcmu: sound.into(), pcma }
    }

    fn frames(clip: &Clip) -> Vec<&[u8]> {
        clip.pcmu.chunks(FRAME_BYTES).collect()
    }

    /// What is recognised, with the number of the packet.
    fn listen<'a>(
        repertoire: &Repertoire,
        packets: impl IntoIterator<Item = &'a [u8]>,
    ) -> Vec<String> {
        let mut ear = Recognizer::default();
        let heard = packets.into_iter().enumerate().filter_map(|(index, packet)| {
            Some(match ear.hear(repertoire, packet)? {
                Recognized::Began(label) => format!("{index}:{label}"),
                Recognized::Ended => format!("{index}:end"),
            })
        });
        heard.collect()
    }

    fn repertoire(clips: &[&Clip]) -> Repertoire {
        let mut repertoire = Repertoire::default();
        for clip in clips {
            repertoire.learn(clip);
        }
        repertoire
    }

    #[test]
    fn a_prompt_begins_and_ends_whichever_form_of_sound_is_sent() {
        let (ask, keys) = (clip("ask", 1), clip("keys", 2));
        let known = repertoire(&[&ask, &keys]);
        let both = [frames(&ask), vec![&SILENCE[..]; 5], frames(&keys)].concat();
        assert_eq!(listen(&known, both), ["0:ask", "89:end", "105:keys", "194:end"]);
        let a_law = keys.pcma.chunks(FRAME_BYTES);
        assert_eq!(listen(&known, a_law), ["0:keys", "89:end"]);
    }

    #[test]
    fn a_lost_beginning_and_lost_packets_do_not_matter() {
        let ask = clip("ask", 1);
        let known = repertoire(&[&ask]);
        assert_eq!(listen(&known, frames(&ask).split_off(30)), ["0:ask", "59:end"]);
        // Every third is lost, the last audible one too: the silence that follows ends it.
        let some = frames(&ask).into_iter().enumerate().filter(|(index, _)| index % 3 != 2);
        let heard = listen(&known, some.map(|(_, frame)| frame));
        assert_eq!(heard, ["0:ask", "60:end"]);
    }

    #[test]
    fn a_prompt_said_again_begins_again_but_a_doubled_packet_does_not() {
        let ask = clip("ask", 1);
        let known = repertoire(&[&ask]);
        let mut packets = frames(&ask)[..35].to_vec();
        packets.extend([packets[34], packets[33]]);
        packets.extend(frames(&ask));
        assert_eq!(listen(&known, packets), ["0:ask", "37:ask", "126:end"]);
    }

    #[test]
    fn what_two_prompts_share_tells_neither() {
        let first = clip("first", 1);
        let mut second = clip("second", 2);
        let mut sound = second.pcmu.to_vec();
        sound[..20 * FRAME_BYTES].copy_from_slice(&first.pcmu[..20 * FRAME_BYTES]);
        second.pcmu = sound.into();
        let known = repertoire(&[&first, &second, &second.clone()]);
        assert_eq!(listen(&known, frames(&second)), ["20:second", "89:end"]);
        assert_eq!(listen(&known, frames(&first)), ["20:first", "89:end"]);
        // The same name said in two greetings is one prompt.
        let again = Clip { label: "first".to_owned(), ..second.clone() };
        let known = repertoire(&[&first, &again]);
        assert_eq!(listen(&known, frames(&second)), ["0:first", "89:end"]);
        assert_eq!(listen(&known, frames(&clip("stranger", 9))), Vec::<String>::new());
    }
}
