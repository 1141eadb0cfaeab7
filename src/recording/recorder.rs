//! Writes the tapes of all calls under way, each into its sealed file, on a thread of its own.
//!
//! A disk that stands still stops this thread only: the tapes run on and lose what nobody takes.

use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::error;

use crate::audio::g711;
use crate::base::id::RecordingId;
use crate::call::tap;
use crate::call::tap::{BLOCK_BYTES, Block, Fed};
use crate::call::{Reel, Tap};
use crate::recording::seal::{CHUNK_BYTES, CenterKey, Place, Seal, TAG_BYTES};
use crate::recording::{Archive, spool};

/// Blocks of all calls on their way to the disk; each call has fewer than this by far.
const BACKLOG: usize = 8192;

/// How often to look at the reels for an end that could not be told.
const LOOK: Duration = Duration::from_millis(250);

/// The recorder of a process. Cheap to clone; its thread ends with the last clone and tape.
#[derive(Clone, Debug)]
pub struct Recorder {
    orders: mpsc::Sender<Order>,
    full: SyncSender<Fed>,
    next: Arc<AtomicU64>,
}

/// One call's tape, for whoever holds the call.
#[derive(Debug)]
pub struct Tape {
    /// Where it is, and what it must not keep.
    pub reel: Reel,
    taped: oneshot::Receiver<Taped>,
}

/// What became of a tape.
#[derive(Debug)]
pub struct Taped {
    /// Samples of each lane.
    pub samples: u64,
    /// Those that were lost, and are silence.
    pub missing: u64,
    /// Whether it is whole on the disk.
    pub written: io::Result<()>,
}

#[derive(Debug)]
struct Order {
    tape: u64,
    reel: Reel,
    empty: SyncSender<Box<Block>>,
    recording: RecordingId,
    seal: Box<Seal>,
    taped: oneshot::Sender<Taped>,
}

impl Recorder {
    /// Starts the thread; files go to the archive's spool.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(archive: &Archive) -> io::Result<Self> {
        let (orders, ordered) = mpsc::channel();
        let (full, fed) = mpsc::sync_channel(BACKLOG);
        let folder = archive.spool().to_owned();
        let desk = Desk { folder, ordered, fed, tapes: HashMap::new() };
        std::thread::Builder::new().name("recorder".to_owned()).spawn(move || desk.run())?;
        Ok(Self { orders, full, next: Arc::default() })
    }

    /// A tape for one call. Nothing is on the disk before its first second is over.
    pub fn tape(&self, recording: RecordingId, center: &CenterKey) -> (Tap, Tape) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (tap, reel, empty) = tap::tape(number, self.full.clone());
        let (tell, taped) = oneshot::channel();
        let order = Order {
            tape: number,
            reel: reel.clone(),
            empty,
            recording,
            seal: Box::new(Seal::new(recording, center)),
            taped: tell,
        };
        // Without its thread nothing is written, and the end of the tape is told as a failure.
        let _ = self.orders.send(order);
        (tap, Tape { reel, taped })
    }
}

impl Tape {
    /// Waits until the call's sound is over and written.
    pub async fn taped(self) -> Taped {
        let reel = self.reel;
        self.taped.await.unwrap_or_else(|_| Taped {
            samples: 0,
            missing: reel.missing(),
            written: Err(io::Error::other("the recorder is gone")),
        })
    }
}

/// What the thread has before it.
struct Desk {
    folder: PathBuf,
    ordered: Receiver<Order>,
    fed: Receiver<Fed>,
    tapes: HashMap<u64, Running>,
}

struct Running {
    order: Order,
    file: Option<File>,
    /// Whole seconds in the file.
    n_chunks: u64,
    failure: Option<io::Error>,
    buffer: Vec<u8>,
}

impl Desk {
    fn run(mut self) {
        loop {
            let fed = self.fed.recv_timeout(LOOK);
            // A tape is ordered before it runs.
            while let Ok(order) = self.ordered.try_recv() {
                self.tapes.insert(order.tape, Running::new(order));
            }
            match fed {
                Ok(Fed::Block { tape, block }) => {
                    if let Some(running) = self.tapes.get_mut(&tape) {
                        running.take(&self.folder, block);
                    }
                }
                Ok(Fed::Ended { tape, rest }) => self.end(tape, rest.as_deref()),
                Err(RecvTimeoutError::Timeout) => {
                    let ended: Vec<u64> = self
                        .tapes
                        .iter()
                        .filter(|(_, running)| running.order.reel.ended().is_some())
                        .map(|(tape, _)| *tape)
                        .collect();
                    for tape in ended {
                        self.end(tape, None);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn end(&mut self, tape: u64, rest: Option<&Block>) {
        let Some(mut running) = self.tapes.remove(&tape) else { return };
        let samples = running.order.reel.ended().unwrap_or(0);
        let written = running.end(&self.folder, samples, rest);
        if let Err(error) = &written {
            error!(
                recording = %running.order.recording, %error,
                "a recording is not whole: is the disk full?"
            );
        }
        let missing = running.order.reel.missing();
        // Whoever wanted to know may be gone.
        let _ = running.order.taped.send(Taped { samples, missing, written });
    }
}

impl Running {
    fn new(order: Order) -> Self {
        let buffer = Vec::with_capacity(BLOCK_BYTES + TAG_BYTES);
        Self { order, file: None, n_chunks: 0, failure: None, buffer }
    }

    /// Writes a second, and gives its block back.
    fn take(&mut self, folder: &Path, mut block: Box<Block>) {
        if self.failure.is_none()
            && let Err(error) = self.write_block(folder, &block)
        {
            self.failure = Some(error);
        }
        block.sound.fill(g711::MULAW_SILENCE);
        // The call may be over.
        let _ = self.order.empty.try_send(block);
    }

    fn write_block(&mut self, folder: &Path, block: &Block) -> io::Result<()> {
        // Seconds that were lost are silence.
        while self.n_chunks < block.number {
            self.write_chunk(folder, &[g711::MULAW_SILENCE; CHUNK_BYTES], Place::Within)?;
        }
        self.write_chunk(folder, &block.sound, Place::Within)
    }

    fn end(&mut self, folder: &Path, samples: u64, rest: Option<&Block>) -> io::Result<()> {
        if samples == 0 {
            return Ok(());
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let bytes = samples * 2;
        let chunk_bytes = CHUNK_BYTES as u64;
        while self.n_chunks < bytes / chunk_bytes {
            self.write_chunk(folder, &[g711::MULAW_SILENCE; CHUNK_BYTES], Place::Within)?;
        }
        let length = usize::try_from(bytes % chunk_bytes).unwrap_or(0);
        let silence = [g711::MULAW_SILENCE; CHUNK_BYTES];
        let last = rest.map_or(&silence, |block| &block.sound);
        self.write_chunk(folder, &last[..length], Place::Last)?;
        if let Some(file) = self.file.take() {
            file.sync_all()?;
        }
        let recording = self.order.recording;
        fs::rename(spool::part(folder, recording), spool::whole(folder, recording))?;
        spool::sync_folder(folder)
    }

    fn write_chunk(&mut self, folder: &Path, sound: &[u8], place: Place) -> io::Result<()> {
        let number = u32::try_from(self.n_chunks).map_err(io::Error::other)?;
        self.buffer.clear();
        self.buffer.extend_from_slice(sound);
        self.order.seal.seal(number, place, &mut self.buffer);
        if self.file.is_none() {
            let path = spool::part(folder, self.order.recording);
            let mut file = spool::create(&path)?;
            file.write_all(self.order.seal.header())?;
            self.file = Some(file);
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.buffer)?;
        }
        self.n_chunks += 1;
        Ok(())
    }
}
