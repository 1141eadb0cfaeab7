//! The media engine: a few threads outside the async runtime, each of which drives the sound of
//! many calls.
//!
//! A thread wakes once a millisecond, sends the packets that are due (see the wheel), asks the
//! kernel once which of all its sockets have something, and reads each of these in one system
//! call. Nothing is allocated, and no task or timer started, for a packet. Sound is shared between
//! calls ([`Clip`]); the header is written in place in front of it.
//!
//! ```text
//!                        ┌───────────── thread, 1 of K ─────────────┐
//! Stream ── commands ──► │ wheel ──► Media::tick ──► send           │
//!                        │ epoll ──► recvmmsg ──► Media::handle_rtp │ ── MediaEvent ──► call
//!                        └──────────────────────────────────────────┘
//! ```
//!
//! A panic within one call's media ends that call's media only ([`MediaEvent::Failed`]).

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use mio::Waker;
use nix::sys::resource::Resource;
use nix::sys::resource::getrlimit;
use nix::sys::resource::setrlimit;
use tokio::sync::oneshot;

use crate::base::Digit;
use crate::call::clip::Clip;
use crate::call::media::Ear;
use crate::call::media::PlayId;
use crate::rtp::telephone_event::Press;
use crate::trunk::ports::Lease;
use crate::trunk::ports::Ports;

pub use crate::call::media::Config as StreamConfig;
pub use crate::call::media::MediaEvent;
pub use crate::call::media::Statistics;

pub mod bench;
mod inbox;
mod thread;
mod wheel;

use thread::Command;
use thread::StreamId;

/// How to run the engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// Threads, at least one; [`default_threads`] is enough for most machines.
    pub threads: usize,
    /// Local UDP ports; each call takes an even one and the next.
    pub ports: RangeInclusive<u16>,
}

/// One thread for two cores: one core carries a thousand calls and more.
pub fn default_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).max(1)
}

/// Lets the process open this many files, as far as the system permits: a call needs two sockets.
/// Returns how many it may open now.
pub fn allow_open_files(n: u64) -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = n.clamp(soft, hard.max(soft));
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    Ok(wanted)
}

/// The engine. Clones share it; when the last is dropped, all its streams end.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    ports: Ports,
    threads: Vec<Thread>,
    next_thread: AtomicUsize,
    next_id: AtomicU64,
}

struct Thread {
    remote: Arc<Remote>,
    /// Processor time that the thread has used, in nanoseconds.
    cpu_ns: Arc<AtomicU64>,
    handle: Option<JoinHandle<()>>,
}

/// How a thread is spoken to.
struct Remote {
    commands: mpsc::Sender<Command>,
    waker: Waker,
}

impl Remote {
    /// Says something to the thread. When it is gone, so are its streams, and nobody minds.
    fn say(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            // A thread that cannot be woken reads its commands with its next turn.
            let _ = self.waker.wake();
        }
    }
}

impl Engine {
    /// Starts the threads.
    pub fn start(config: &Config) -> io::Result<Self> {
        let threads = (0..config.threads.max(1)).map(Thread::start).collect::<io::Result<_>>()?;
        Ok(Self {
            inner: Arc::new(Inner {
                ports: Ports::new(&config.ports),
                threads,
                next_thread: AtomicUsize::new(0),
                next_id: AtomicU64::new(0),
            }),
        })
    }

    /// Binds a pair of ports, so that an offer can name them.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when all pairs are in use; otherwise what is wrong with the address.
    pub fn open(&self, local: IpAddr) -> io::Result<Port> {
        let pair = self.inner.ports.open(local)?;
        for socket in [&pair.rtp, &pair.rtcp] {
            socket.set_nonblocking(true)?;
            inbox::stamp_arrivals(socket)?;
        }
        let (local_rtp, local_rtcp) = (pair.rtp.local_addr()?, pair.rtcp.local_addr()?);
        let turn = self.inner.next_thread.fetch_add(1, Ordering::Relaxed);
        let thread = &self.inner.threads[turn % self.inner.threads.len()];
        Ok(Port {
            local_rtp,
            local_rtcp,
            id: self.inner.next_id.fetch_add(1, Ordering::Relaxed),
            sockets: Sockets { rtp: pair.rtp, rtcp: pair.rtcp, lease: pair.lease },
            remote: Arc::clone(&thread.remote),
        })
    }

    /// Pairs of ports that are not in use.
    pub fn n_free_ports(&self) -> usize {
        self.inner.ports.n_free()
    }

    /// Processor time that all threads have used since they started, as of 0.1 s ago.
    pub fn cpu_time(&self) -> Duration {
        let used = self.inner.threads.iter().map(|thread| thread.cpu_ns.load(Ordering::Relaxed));
        Duration::from_nanos(used.sum())
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Self> {
        let (commands, received) = mpsc::channel();
        let (driver, waker) = thread::Driver::new(received)?;
        let cpu_ns = Arc::new(AtomicU64::new(0));
        let cpu_of_thread = Arc::clone(&cpu_ns);
        let handle = std::thread::Builder::new()
            .name(format!("media-{number}"))
            .spawn(move || driver.run(&cpu_of_thread))?;
        Ok(Self { remote: Arc::new(Remote { commands, waker }), cpu_ns, handle: Some(handle) })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.remote.say(Command::Shutdown);
        }
        for thread in &mut self.threads {
            if let Some(handle) = thread.handle.take() {
                // The thread catches the panics of calls; its own would have been printed already.
                let _ = handle.join();
            }
        }
    }
}

/// A bound pair of ports that waits for its call. Dropping it gives the ports back.
pub struct Port {
    /// Where we want RTP.
    pub local_rtp: SocketAddr,
    /// Where we want RTCP.
    pub local_rtcp: SocketAddr,
    id: StreamId,
    sockets: Sockets,
    remote: Arc<Remote>,
}

/// Sockets of one call; the lease comes last, so that it outlives them.
struct Sockets {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    lease: Lease,
}

impl Port {
    /// Starts the sound. `events` is called on the engine's thread and must not block: it should
    /// put the event into a channel, such as an unbounded one.
    pub fn start(
        self,
        config: StreamConfig,
        events: impl FnMut(MediaEvent) + Send + 'static,
    ) -> Stream {
        self.launch(config, None, Box::new(events))
    }

    /// The same, and lets somebody listen to the sound itself, on the engine's thread.
    pub fn start_with_ear(
        self,
        config: StreamConfig,
        ear: Box<dyn Ear>,
        events: impl FnMut(MediaEvent) + Send + 'static,
    ) -> Stream {
        self.launch(config, Some(ear), Box::new(events))
    }

    fn launch(
        self,
        config: StreamConfig,
        ear: Option<Box<dyn Ear>>,
        events: thread::Events,
    ) -> Stream {
        let Self { id, sockets, remote, .. } = self;
        // The seed of numbers that nobody may guess comes from the operating system.
        let seed = rand::random();
        remote.say(Command::Start(Box::new(thread::Start {
            id,
            sockets,
            config,
            seed,
            ear,
            events,
        })));
        Stream { id, remote, plays: AtomicU64::new(0) }
    }
}

/// The sound of one call, from afar. Dropping it ends the sound and gives the ports back.
pub struct Stream {
    id: StreamId,
    remote: Arc<Remote>,
    plays: AtomicU64,
}

impl Stream {
    /// Says the clips one after the other, instead of whatever is being said. The
    /// [`MediaEvent::PlayEnded`] with the returned id is this one's; that of an earlier one may
    /// still be on its way.
    pub fn play(&self, clips: Vec<Arc<Clip>>) -> PlayId {
        let play = self.plays.fetch_add(1, Ordering::Relaxed) + 1;
        self.remote.say(Command::Play(self.id, play, clips));
        play
    }

    /// Falls silent at once.
    pub fn stop(&self) {
        self.remote.say(Command::Stop(self.id));
    }

    /// Presses keys, one after the other, as a person does.
    pub fn press(&self, digits: &[Digit]) {
        self.press_like(digits.iter().map(|&digit| Press::new(digit)).collect());
    }

    /// Presses keys for given times.
    pub fn press_like(&self, presses: Vec<Press>) {
        self.remote.say(Command::Press(self.id, presses));
    }

    /// Lets somebody else listen to the sound itself, or nobody.
    pub fn listen(&self, ear: Option<Box<dyn Ear>>) {
        self.remote.say(Command::Listen(self.id, ear));
    }

    /// Takes over what a new offer and answer (re-INVITE) have agreed on.
    pub fn update(&self, config: StreamConfig) {
        self.remote.say(Command::Update(self.id, Box::new(config)));
    }

    /// Ends the sound; all zero when it had ended before, by a failure. Cancel-safe: the sound
    /// ends also when the future is dropped.
    pub async fn close(self) -> Statistics {
        let (reply, statistics) = oneshot::channel();
        self.remote.say(Command::Close(self.id, Some(reply)));
        statistics.await.unwrap_or_default()
    }

    /// [`Self::close`] for callers outside the async runtime.
    pub fn close_blocking(self) -> Statistics {
        let (reply, statistics) = oneshot::channel();
        self.remote.say(Command::Close(self.id, Some(reply)));
        statistics.blocking_recv().unwrap_or_default()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // After `close` there is nothing left of this id, and this changes nothing.
        self.remote.say(Command::Close(self.id, None));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Mutex;

    use tokio::sync::mpsc::UnboundedReceiver;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::base::Codec;
    use crate::call::clip::FRAME_BYTES;
    use crate::call::media::Direction;
    use crate::call::media::Hints;
    use crate::call::media::Lane;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Long enough for any machine; nothing waits for it when all is well.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn engine() -> Engine {
        Engine::start(&Config { threads: 2, ports: 21_000..=28_999 }).unwrap()
    }

    fn towards(port: &Port) -> StreamConfig {
        StreamConfig {
            remote: port.local_rtp,
            remote_rtcp: port.local_rtcp,
            networks: Vec::new(),
            codec: Codec::Pcmu,
            payload_type: 0,
            telephone_event: Some(101),
            our_telephone_event: None,
            direction: Direction::Both,
            lead_in: Duration::ZERO,
            starvation: Duration::from_mins(1),
            hints: Hints::Off,
            name: "test".to_owned(),
        }
    }

    fn clip(n_frames: usize) -> Arc<Clip> {
        let byte = |n: usize| u8::try_from((n / FRAME_BYTES * 7 + n % FRAME_BYTES) % 251).unwrap();
        let pcmu: Arc<[u8]> = (0..n_frames * FRAME_BYTES).map(byte).collect();
        Arc::new(Clip { label: "test".to_owned(), pcma: Arc::clone(&pcmu), pcmu })
    }

    #[derive(Clone, Default)]
    struct Tape(Arc<Mutex<Vec<Frame>>>);

    /// Timestamp and payload.
    type Frame = (u32, Vec<u8>);

    impl Ear for Tape {
        fn hear(&mut self, lane: Lane, _: Codec, timestamp: u32, payload: &[u8]) {
            if lane == Lane::Theirs {
                self.0.lock().unwrap().push((timestamp, payload.to_vec()));
            }
        }
    }

    struct Bomb;

    impl Ear for Bomb {
        fn hear(&mut self, _: Lane, _: Codec, _: u32, _: &[u8]) {
            panic!("this ear fails, as the test wants");
        }
    }

    fn channel() -> (impl FnMut(MediaEvent) + Send + 'static, UnboundedReceiver<MediaEvent>) {
        let (sender, receiver) = unbounded_channel();
        let events = move |event| {
            let _ = sender.send(event);
        };
        (events, receiver)
    }

    /// Waits for one event among others, and returns the others before it.
    async fn until(
        events: &mut UnboundedReceiver<MediaEvent>,
        wanted: MediaEvent,
    ) -> Vec<MediaEvent> {
        let mut others = Vec::new();
        loop {
            let event = tokio::time::timeout(PATIENCE, events.recv()).await;
            match event.unwrap_or_else(|_| panic!("no {wanted:?} after {others:?}")) {
                Some(event) if event == wanted => return others,
                Some(event) => others.push(event),
                None => panic!("the stream ended before {wanted:?}, after {others:?}"),
            }
        }
    }

    #[tokio::test]
    async fn sound_and_keys_cross_the_loopback_exactly() {
        let engine = engine();
        let (near, far) = (engine.open(LOCAL).unwrap(), engine.open(LOCAL).unwrap());
        let (to_far, to_near) = (towards(&far), towards(&near));
        let tape = Tape::default();
        let (near_events, mut near_told) = channel();
        let (far_events, mut far_told) = channel();
        let near = near.start(to_far, near_events);
        let far = far.start_with_ear(to_near, Box::new(tape.clone()), far_events);
        until(&mut near_told, MediaEvent::Began).await;
        until(&mut far_told, MediaEvent::Began).await;

        let clips = vec![clip(20), clip(3)];
        let first = near.play(clips.clone());
        let keys = [Digit::Number(3), Digit::Number(3), Digit::Pound];
        far.press(&keys);
        let mut told = Vec::new();
        for event in [MediaEvent::PlayEnded(first), MediaEvent::Digit(Digit::Pound)] {
            if !told.contains(&event) {
                told.extend(until(&mut near_told, event).await);
                told.push(event);
            }
        }
        let heard: Vec<MediaEvent> =
            told.iter().copied().filter(|event| matches!(event, MediaEvent::Digit(_))).collect();
        assert_eq!(heard, keys.map(MediaEvent::Digit));
        assert!(told.contains(&MediaEvent::PlayEnded(first)));

        let near = near.close().await;
        let far = far.close().await;
        assert_eq!((near.lost, near.refused, near.unsent), (0, 0, 0), "{near:?}");
        assert_eq!((far.lost, far.refused, far.unsent), (0, 0, 0), "{far:?}");
        assert!(far.received >= 23 && far.spacing_received.count() > 0);

        let heard = tape.0.lock().unwrap();
        // A stretch in which the machine was held up shows as a jump of whole frames.
        assert!(heard.windows(2).all(|two| (two[1].0.wrapping_sub(two[0].0)).is_multiple_of(160)));
        let is_sound = |frame: &&Frame| frame.1.iter().any(|&byte| byte != 0xFF);
        let sound: Vec<u8> = heard.iter().filter(is_sound).flat_map(|f| f.1.clone()).collect();
        let said: Vec<u8> = clips.iter().flat_map(|clip| clip.pcmu.to_vec()).collect();
        assert_eq!(sound, said);
    }

    #[tokio::test]
    async fn a_panic_ends_the_media_of_one_call_only() {
        let engine = Engine::start(&Config { threads: 1, ports: 21_000..=28_999 }).unwrap();
        let [a, b, c] = [(); 3].map(|()| engine.open(LOCAL).unwrap());
        let n_free = engine.n_free_ports();
        let (to_a, to_b, to_c) = (towards(&a), towards(&b), towards(&c));
        let (a_events, mut a_told) = channel();
        let (b_events, mut b_told) = channel();
        let a = a.start(to_b, a_events);
        let b = b.start(to_a, b_events);
        let (bomb_events, mut bomb_told) = channel();
        let bomb = c.start_with_ear(to_c, Box::new(Bomb), bomb_events);
        until(&mut bomb_told, MediaEvent::Failed).await;
        assert_eq!(bomb_told.recv().await, None);
        assert_eq!(bomb.close().await, Statistics::default());
        assert_eq!(engine.n_free_ports(), n_free + 1);

        until(&mut b_told, MediaEvent::Began).await;
        let id = a.play(vec![clip(2)]);
        until(&mut a_told, MediaEvent::PlayEnded(id)).await;
        drop(b);
    }

    #[tokio::test]
    async fn dropping_a_handle_says_goodbye_and_gives_the_ports_back() {
        let engine = engine();
        let all = engine.n_free_ports();
        let (near, far) = (engine.open(LOCAL).unwrap(), engine.open(LOCAL).unwrap());
        drop(engine.open(LOCAL).unwrap());
        assert_eq!(engine.n_free_ports(), all - 2);
        let (to_far, to_near) = (towards(&far), towards(&near));
        let (near_events, mut near_told) = channel();
        let (far_events, mut far_told) = channel();
        let near = near.start(to_far, near_events);
        let far = far.start(to_near, far_events);
        until(&mut near_told, MediaEvent::Began).await;
        drop(far);
        assert!(until(&mut near_told, MediaEvent::Goodbye).await.is_empty());
        // The receiver of the events is dropped with the stream.
        while tokio::time::timeout(PATIENCE, far_told.recv()).await.unwrap().is_some() {}
        near.close().await;
        assert_eq!(engine.n_free_ports(), all);
    }

    #[tokio::test]
    async fn the_end_of_the_engine_ends_its_streams() {
        let engine = engine();
        let port = engine.open(LOCAL).unwrap();
        let config = towards(&port);
        let (events, mut told) = channel();
        let stream = port.start(config, events);
        until(&mut told, MediaEvent::Began).await;
        drop(engine);
        while tokio::time::timeout(PATIENCE, told.recv()).await.unwrap().is_some() {}
        stream.play(vec![clip(1)]);
        assert_eq!(stream.close().await, Statistics::default());
    }

    #[tokio::test]
    async fn a_flood_from_a_stranger_disturbs_nobody() {
        let engine = Engine::start(&Config { threads: 1, ports: 21_000..=28_999 }).unwrap();
        let (near, far) = (engine.open(LOCAL).unwrap(), engine.open(LOCAL).unwrap());
        let target = near.local_rtp;
        let (to_far, to_near) = (towards(&far), towards(&near));
        let (near_events, mut near_told) = channel();
        let near = near.start(to_far, near_events);
        let far = far.start(to_near, |_| {});
        until(&mut near_told, MediaEvent::Began).await;
        let stranger = UdpSocket::bind((LOCAL, 0)).unwrap();
        let mut event = [0x80, 101, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 7, 0, 0, 160];
        far.press(&[Digit::Number(1)]);
        for n in 0..2000_u16 {
            event[2..4].copy_from_slice(&n.to_be_bytes());
            event[4..6].copy_from_slice(&n.to_be_bytes());
            // The flood may be more than the socket holds.
            let _ = stranger.send_to(&event, target);
        }
        until(&mut near_told, MediaEvent::Digit(Digit::Number(1))).await;
        let id = near.play(vec![clip(5)]);
        assert_eq!(until(&mut near_told, MediaEvent::PlayEnded(id)).await, []);
        let statistics = near.close().await;
        assert!(statistics.refused > 0, "{statistics:?}");
    }
}
