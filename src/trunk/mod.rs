//! The carrier: sockets, and the drivers of `sip` and `rtp`.
//!
//! A [`Trunk`] is one link to a carrier over UDP. One task owns its SIP socket and its endpoint;
//! the sound of all calls runs on the threads of the media [`Engine`].
//!
//! ```text
//! dial ──► TrunkLine ══ commands ══► driver ⇄ sip::Endpoint ⇄ UDP socket
//!             ▲                       │  ▲
//!             ╚═══════ events ════════╣  ╚══ keys, ends of clips ══╗
//!                                     ╚═══ start, play, stop ══► media::Engine ⇄ UDP sockets
//! ```

mod config;
mod driver;
pub mod media;
mod pace;
pub mod ports;
mod socket;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{mpsc, watch};

use crate::base::Bilingual;
use crate::base::Clock;
use crate::call::{Carrier, Clip, DialRequest, Disposition, Ended, Line, LineEvent, Tap, Timeline};
use crate::trunk::driver::{Command, Driver, LineId};
use crate::trunk::media::Engine;
use crate::trunk::socket::SipSocket;

pub use crate::base::Codec;
pub use config::{Config, Credentials, Identity, InvalidTemplate, Network, Template};

/// The port of SIP where none is named.
const DEFAULT_PORT: u16 = 5060;

/// Events that a line may leave unread: more than a person presses keys in an interview. A line
/// whose owner reads no more is hung up.
const MAX_UNREAD: usize = 1024;

/// Ladders that may wait to be kept.
const MAX_LADDERS: usize = 256;

/// Why a trunk cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrunkError {
    /// The name of the carrier's server, or of the proxy, leads nowhere.
    #[error("cannot resolve {host}")]
    Resolve {
        /// As configured.
        host: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It has no address of the family that we speak.
    #[error("{host} has no address of the family of {bind}")]
    NoAddress {
        /// As configured.
        host: String,
        /// As configured.
        bind: SocketAddr,
    },
    /// The local address cannot be used.
    #[error("cannot listen on {bind}")]
    Bind {
        /// As configured.
        bind: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The template for callees gives all of them the same address.
    #[error("the template {0} does not name the number to call")]
    CalleeTemplate(Template),
}

impl TrunkError {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Resolve { host, .. } => format!("{host} のアドレスがわかりません"),
            Self::NoAddress { host, bind } => {
                format!("{host} に、{bind} と同じ種類のアドレスがありません")
            }
            Self::Bind { bind, .. } => format!("{bind} で待ち受けできません"),
            Self::CalleeTemplate(template) => {
                format!("{template} には、かける番号の場所がありません")
            }
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// Whether calls can be placed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrunkState {
    /// The first registration is not answered yet.
    Starting,
    /// Nothing speaks against it.
    Up,
    /// Something does; calls end at once with [`Disposition::TrunkError`].
    Down(Outage),
    /// The trunk is being stopped.
    Stopping,
    /// The trunk is stopped.
    Stopped,
}

/// Why a trunk is down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outage {
    /// The carrier refuses to register us.
    Refused {
        /// The SIP status: 401, 403 and 407 mean a wrong account or password.
        status: u16,
    },
    /// The carrier does not answer.
    Silent,
    /// The network says that the carrier cannot be reached.
    Unreachable,
}

/// A link to a carrier. Clones share it; once the last one and all its lines are dropped, it stops.
#[derive(Clone, Debug)]
pub struct Trunk {
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<TrunkState>,
    next_line: Arc<AtomicU64>,
    local_addr: SocketAddr,
    ladders: Arc<Mutex<Option<mpsc::Receiver<CallLadder>>>>,
}

/// What was sent and received for one call, without anything that names a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallLadder {
    /// What [`DialRequest::label`] said.
    pub label: String,
    /// One line for each message.
    pub steps: String,
}

impl Trunk {
    /// Binds the socket and begins to register. Sound is left to the engine, which several trunks
    /// may share.
    pub async fn start(config: Config, engine: Engine, clock: Clock) -> Result<Self, TrunkError> {
        if !config.callee_uri.names_number() {
            return Err(TrunkError::CalleeTemplate(config.callee_uri));
        }
        let bind = config.bind;
        let servers = resolve(&config.host, bind).await?;
        let mut hosts: Vec<IpAddr> = servers.iter().map(SocketAddr::ip).collect();
        let targets = match &config.outbound_proxy {
            None => servers,
            Some(proxy) => resolve(proxy, bind).await?,
        };
        hosts.extend(targets.iter().map(SocketAddr::ip));
        hosts.extend(&config.further_hosts);
        let failed = |source| TrunkError::Bind { bind, source };
        let local_ip = local_ip_towards(bind, targets[0]).map_err(failed)?;
        let socket = SipSocket::bind(bind).map_err(failed)?;
        let local_addr = SocketAddr::new(local_ip, socket.local_addr().map_err(failed)?.port());

        // Unbounded, and still small: a line hangs up once, and its owner speaks in answer to
        // events. A hang-up must never be lost, and `Line` cannot wait.
        let (commands, received) = mpsc::unbounded_channel();
        let (state, watched) = watch::channel(match config.registration {
            Some(_) => TrunkState::Starting,
            None => TrunkState::Up,
        });
        let (keep, ladders) = mpsc::channel(MAX_LADDERS);
        let driver = Driver::new(
            config, engine, clock, socket, local_addr, targets, hosts, received, state, keep,
        );
        tokio::spawn(driver.run());
        let ladders = Arc::new(Mutex::new(Some(ladders)));
        Ok(Self { commands, state: watched, next_line: Arc::default(), local_addr, ladders })
    }

    /// The ladders of calls as they are forgotten, some while after their end. Taken once.
    pub fn take_ladders(&self) -> Option<mpsc::Receiver<CallLadder>> {
        self.ladders.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether calls can be placed.
    pub fn state(&self) -> TrunkState {
        *self.state.borrow()
    }

    /// The state, and its changes as they come.
    pub fn watch(&self) -> watch::Receiver<TrunkState> {
        self.state.clone()
    }

    /// Where we are reached with SIP.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Places no more calls, lets those that are there go on for `grace`, then ends them, and takes
    /// the registration back. Returns when all is done.
    pub async fn stop(&self, grace: Duration) {
        // A driver that is gone has stopped.
        let _ = self.commands.send(Command::Stop { grace });
        let mut state = self.state.clone();
        let _ = state.wait_for(|state| *state == TrunkState::Stopped).await;
    }
}

impl Carrier for Trunk {
    type Line = TrunkLine;

    async fn dial(&self, request: DialRequest) -> TrunkLine {
        let (events, received) = mpsc::channel(MAX_UNREAD);
        let id = LineId(self.next_line.fetch_add(1, Ordering::Relaxed));
        // If the driver is gone, the line learns it from its channel.
        let _ = self.commands.send(Command::Dial { id, request, events });
        TrunkLine { id, commands: self.commands.clone(), events: received, is_over: false }
    }
}

/// One call over a trunk. Dropping it hangs up.
#[derive(Debug)]
pub struct TrunkLine {
    id: LineId,
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::Receiver<LineEvent>,
    is_over: bool,
}

impl TrunkLine {
    fn say(&self, command: Command) {
        // Nothing to be said to a driver that is gone.
        let _ = self.commands.send(command);
    }
}

impl Line for TrunkLine {
    async fn next_event(&mut self) -> LineEvent {
        if self.is_over {
            return std::future::pending().await;
        }
        let event = self.events.recv().await.unwrap_or_else(|| {
            // The driver is gone, or has given this line up: what became of the call is not known.
            let timeline = Timeline::default();
            let disposition = Disposition::TrunkError;
            LineEvent::Ended(Ended { disposition, code: None, timeline })
        });
        self.is_over = matches!(event, LineEvent::Ended(_));
        event
    }

    fn play(&mut self, clips: Vec<Arc<Clip>>) {
        self.say(Command::Play { id: self.id, clips });
    }

    fn stop_playing(&mut self) {
        self.say(Command::StopPlaying { id: self.id });
    }

    fn tape(&mut self, tap: Option<Tap>) {
        self.say(Command::Tape { id: self.id, tap });
    }

    fn hang_up(&mut self) {
        self.say(Command::HangUp { id: self.id });
    }
}

impl Drop for TrunkLine {
    fn drop(&mut self) {
        if !self.is_over {
            self.say(Command::HangUp { id: self.id });
        }
    }
}

/// The addresses of one or more hosts in the family of `bind`; at least one.
async fn resolve(hosts: &str, bind: SocketAddr) -> Result<Vec<SocketAddr>, TrunkError> {
    let mut found = Vec::new();
    for host in hosts.split(',').map(str::trim) {
        if let Ok(address) = host.parse() {
            found.push(address);
        } else if let Ok(ip) = host.trim_matches(['[', ']']).parse() {
            found.push(SocketAddr::new(ip, DEFAULT_PORT));
        } else {
            let has_port = host.contains(':');
            let name = if has_port { host.to_owned() } else { format!("{host}:{DEFAULT_PORT}") };
            let failed = |source| TrunkError::Resolve { host: host.to_owned(), source };
            found.extend(lookup_host(name).await.map_err(failed)?);
        }
    }
    found.retain(|address| address.is_ipv4() == bind.is_ipv4());
    if found.is_empty() {
        return Err(TrunkError::NoAddress { host: hosts.to_owned(), bind });
    }
    Ok(found)
}

/// The local address that leads to the carrier. Nothing is sent to find it.
fn local_ip_towards(bind: SocketAddr, target: SocketAddr) -> io::Result<IpAddr> {
    if !bind.ip().is_unspecified() {
        return Ok(bind.ip());
    }
    let probe = std::net::UdpSocket::bind(SocketAddr::new(bind.ip(), 0))?;
    probe.connect(target)?;
    Ok(probe.local_addr()?.ip())
}

#[cfg(test)]
mod tests;
