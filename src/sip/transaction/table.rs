//! The transactions in progress, and which of them a message belongs to.
//!
//! Client transactions are found by the branch that we made and the method of `CSeq` (RFC 3261
//! §17.1.3); server transactions by branch, sent-by and method, or, for clients of RFC 2543, by what
//! their requests have in common (§17.2.3). A transaction that has ended is forgotten at once.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::sip::header::CSeq;
use crate::sip::message::{Method, Request, Response};
use crate::sip::timer::{Delivery, TimerTable, Timers};
use crate::sip::transaction::{Client, ClientInvite, ClientOutput};
use crate::sip::transaction::{Server, ServerInvite, ServerOutput};

/// Opens every branch since RFC 3261 §8.1.1.7.
pub(in crate::sip) const MAGIC_COOKIE: &str = "z9hG4bK";

/// Names a client transaction.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(in crate::sip) struct ClientId(u64);

/// Names a server transaction.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(in crate::sip) struct ServerId(u64);

/// Why a request has got no final response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sip) enum ClientFailure {
    /// None came in time.
    TimedOut,
    /// The request could not be delivered.
    TransportFailed,
}

/// There is no room for another transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many transactions at once")]
pub(in crate::sip) struct TableFull;

/// What the table asks of its owner.
#[derive(Debug)]
#[must_use]
pub(in crate::sip) enum TableOutput<O> {
    /// Send a datagram.
    Transmit { destination: SocketAddr, bytes: Arc<[u8]> },
    /// A response for the user of a client transaction.
    Response { owner: O, response: Response },
    /// A client transaction ended without a final response.
    Failed { owner: O, failure: ClientFailure },
    /// A client or server transaction is over; the last word about it.
    Ended { owner: O },
    /// Nothing more to do until [`Transactions::next_deadline`].
    Wait,
}

/// The table. `O` names whose transaction it is.
#[derive(Debug)]
pub(in crate::sip) struct Transactions<O> {
    timers: Timers,
    next_id: u64,
    clients: HashMap<ClientId, ClientEntry<O>>,
    clients_by_key: HashMap<ClientKey, ClientId>,
    servers: HashMap<ServerId, ServerEntry<O>>,
    servers_by_key: HashMap<ServerKey, ServerId>,
    deadlines: TimerTable<Timed>,
    outputs: VecDeque<TableOutput<O>>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Timed {
    Client(ClientId),
    Server(ServerId),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct ClientKey {
    branch: String,
    method: Method,
}

/// `branch` is a fingerprint of the request where the client knows RFC 2543 only.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct ServerKey {
    branch: String,
    sent_by: String,
    method: Method,
}

#[derive(Debug)]
struct ClientEntry<O> {
    owner: O,
    key: ClientKey,
    destination: SocketAddr,
    machine: ClientMachine,
    bytes: Arc<[u8]>,
}

#[derive(Debug)]
enum ClientMachine {
    Invite {
        machine: ClientInvite,
        /// Kept because CANCEL and ACK are made from it.
        request: Box<Request>,
        ack: Option<Arc<[u8]>>,
    },
    Other(Client),
}

#[derive(Debug)]
struct ServerEntry<O> {
    owner: O,
    key: ServerKey,
    destination: SocketAddr,
    machine: ServerMachine,
    last_response: Option<Arc<[u8]>>,
}

#[derive(Debug)]
enum ServerMachine {
    Invite(ServerInvite),
    Other(Server),
}

impl<O: Copy> Transactions<O> {
    pub(in crate::sip) fn new(timers: Timers) -> Self {
        Self {
            timers,
            next_id: 0,
            clients: HashMap::new(),
            clients_by_key: HashMap::new(),
            servers: HashMap::new(),
            servers_by_key: HashMap::new(),
            deadlines: TimerTable::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Sends a request, whose topmost Via is ours and names `branch`.
    pub(in crate::sip) fn request(
        &mut self,
        now: Instant,
        owner: O,
        branch: &str,
        destination: SocketAddr,
        request: Request,
    ) -> ClientId {
        let id = ClientId(self.fresh_id());
        let key = ClientKey { branch: branch.to_owned(), method: request.method.clone() };
        let bytes = request.to_bytes().into();
        let machine = if request.method == Method::Invite {
            let machine = ClientInvite::new(now, self.timers, Delivery::Datagram);
            ClientMachine::Invite { machine, request: Box::new(request), ack: None }
        } else {
            ClientMachine::Other(Client::new(now, self.timers, Delivery::Datagram))
        };
        self.clients_by_key.insert(key.clone(), id);
        self.clients.insert(id, ClientEntry { owner, key, destination, machine, bytes });
        self.drain_client(now, id, None);
        id
    }

    /// Sends a CANCEL for an INVITE: same branch, same hop (RFC 3261 §9.1). Nothing happens unless
    /// a provisional response came and no final one did.
    ///
    /// Says whether a transaction was opened for it.
    pub(in crate::sip) fn cancel(&mut self, now: Instant, id: ClientId, owner: O) -> bool {
        let Some(entry) = self.clients.get_mut(&id) else { return false };
        let ClientMachine::Invite { machine, request, .. } = &mut entry.machine else {
            return false;
        };
        if !machine.is_proceeding() {
            return false;
        }
        machine.handle_cancel(now);
        let cancel = derived(request, Method::Cancel);
        let (branch, destination) = (entry.key.branch.clone(), entry.destination);
        self.drain_client(now, id, None);
        self.request(now, owner, &branch, destination, cancel);
        true
    }

    /// The user has given up an INVITE that nothing answers: it is not repeated any more.
    pub(in crate::sip) fn give_up(&mut self, now: Instant, id: ClientId) {
        let Some(entry) = self.clients.get_mut(&id) else { return };
        let ClientMachine::Invite { machine, .. } = &mut entry.machine else { return };
        machine.handle_cancel(now);
        self.drain_client(now, id, None);
    }

    /// Feeds a response. One that matches nothing is dropped (RFC 6026 §8.8).
    pub(in crate::sip) fn handle_response(&mut self, now: Instant, response: Response) {
        let (Ok(via), Ok(cseq)) = (response.headers.via(), response.headers.cseq()) else { return };
        let Some(branch) = via.branch() else { return };
        let key = ClientKey { branch: branch.to_owned(), method: cseq.method };
        let Some(&id) = self.clients_by_key.get(&key) else { return };
        let Some(entry) = self.clients.get_mut(&id) else { return };
        match &mut entry.machine {
            ClientMachine::Invite { machine, request, ack } => {
                if response.status >= 300 && ack.is_none() {
                    let mut made = derived(request, Method::Ack);
                    made.headers.remove("To");
                    made.headers.copy("To", &response.headers);
                    *ack = Some(made.to_bytes().into());
                }
                machine.handle_response(now, response.status);
            }
            ClientMachine::Other(machine) => machine.handle_response(now, response.status),
        }
        self.drain_client(now, id, Some(response));
    }

    /// Feeds a request. What belongs to a transaction is dealt with; the rest is given back.
    pub(in crate::sip) fn absorb(&mut self, now: Instant, request: Request) -> Option<Request> {
        let found = ServerKey::of(&request).and_then(|key| self.servers_by_key.get(&key)).copied();
        let Some(id) = found else { return Some(request) };
        let entry = self.servers.get_mut(&id)?;
        match (&mut entry.machine, &request.method) {
            (ServerMachine::Invite(machine), Method::Ack) => {
                // Old clients acknowledge a 2xx with the same branch: that ACK is the user's.
                if !machine.was_refused() {
                    return Some(request);
                }
                machine.handle_ack(now);
            }
            (ServerMachine::Invite(machine), _) => machine.handle_copy(),
            (ServerMachine::Other(machine), _) => machine.handle_copy(),
        }
        self.drain_server(now, id);
        None
    }

    /// Opens a server transaction for a request that [`Self::absorb`] gave back, if there are fewer
    /// than `max`: what others can make us remember is bounded. Responses go to `destination`.
    pub(in crate::sip) fn accept(
        &mut self,
        now: Instant,
        owner: O,
        request: &Request,
        destination: SocketAddr,
        max: usize,
    ) -> Result<ServerId, TableFull> {
        let key = ServerKey::of(request).filter(|_| self.servers.len() < max);
        let key = key.ok_or(TableFull)?;
        let id = ServerId(self.fresh_id());
        let machine = if request.method == Method::Invite {
            ServerMachine::Invite(ServerInvite::new(self.timers, Delivery::Datagram))
        } else {
            ServerMachine::Other(Server::new(now, self.timers, Delivery::Datagram))
        };
        self.servers_by_key.insert(key.clone(), id);
        let entry = ServerEntry { owner, key, destination, machine, last_response: None };
        self.servers.insert(id, entry);
        self.drain_server(now, id);
        Ok(id)
    }

    /// The user responds. After a final response nothing happens, but for copies of a 2xx.
    pub(in crate::sip) fn respond(&mut self, now: Instant, id: ServerId, response: &Response) {
        let Some(entry) = self.servers.get_mut(&id) else { return };
        let is_copy = match &mut entry.machine {
            ServerMachine::Invite(machine) => {
                let is_late = !machine.is_pending();
                machine.handle_response(now, response.status);
                is_late
            }
            ServerMachine::Other(machine) => {
                machine.handle_response(now, response.status);
                false
            }
        };
        if !is_copy {
            entry.last_response = Some(response.to_bytes().into());
        }
        self.drain_server(now, id);
    }

    /// The INVITE that a CANCEL means, and whether it still can be cancelled.
    pub(in crate::sip) fn cancelled_by(&self, cancel: &Request) -> Option<(ServerId, O)> {
        let key = ServerKey { method: Method::Invite, ..ServerKey::of(cancel)? };
        let id = *self.servers_by_key.get(&key)?;
        Some((id, self.servers.get(&id)?.owner))
    }

    /// The transport says that datagrams do not reach this address.
    pub(in crate::sip) fn handle_transport_error(&mut self, now: Instant, destination: SocketAddr) {
        let concerned = self.clients.iter().filter(|(_, entry)| entry.destination == destination);
        let mut concerned: Vec<ClientId> = concerned.map(|(id, _)| *id).collect();
        concerned.sort_unstable();
        for id in concerned {
            match self.clients.get_mut(&id).map(|entry| &mut entry.machine) {
                Some(ClientMachine::Invite { machine, .. }) => machine.handle_transport_error(),
                Some(ClientMachine::Other(machine)) => machine.handle_transport_error(),
                None => {}
            }
            self.drain_client(now, id, None);
        }
    }

    /// Wakes all whose deadline has come.
    pub(in crate::sip) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timed) = self.deadlines.pop_due(now) {
            match timed {
                Timed::Client(id) => {
                    match self.clients.get_mut(&id).map(|entry| &mut entry.machine) {
                        Some(ClientMachine::Invite { machine, .. }) => machine.handle_timeout(now),
                        Some(ClientMachine::Other(machine)) => machine.handle_timeout(now),
                        None => {}
                    }
                    self.drain_client(now, id, None);
                }
                Timed::Server(id) => {
                    match self.servers.get_mut(&id).map(|entry| &mut entry.machine) {
                        Some(ServerMachine::Invite(machine)) => machine.handle_timeout(now),
                        Some(ServerMachine::Other(machine)) => machine.handle_timeout(now),
                        None => {}
                    }
                    self.drain_server(now, id);
                }
            }
        }
    }

    /// The next thing to do.
    pub(in crate::sip) fn poll_output(&mut self) -> TableOutput<O> {
        self.outputs.pop_front().unwrap_or(TableOutput::Wait)
    }

    /// The earliest deadline of all.
    pub(in crate::sip) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// How many transactions are remembered.
    pub(in crate::sip) fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Does what a client's machine asks for; `fed` is the response that it was just fed.
    fn drain_client(&mut self, now: Instant, id: ClientId, fed: Option<Response>) {
        let Some(entry) = self.clients.get_mut(&id) else { return };
        let (owner, destination) = (entry.owner, entry.destination);
        let mut fed = fed;
        let deadline = loop {
            let output = match &mut entry.machine {
                ClientMachine::Invite { machine, .. } => machine.poll_output(),
                ClientMachine::Other(machine) => machine.poll_output(),
            };
            match output {
                ClientOutput::Send => {
                    let bytes = Arc::clone(&entry.bytes);
                    self.outputs.push_back(TableOutput::Transmit { destination, bytes });
                }
                ClientOutput::Ack => {
                    if let ClientMachine::Invite { ack: Some(bytes), .. } = &entry.machine {
                        let bytes = Arc::clone(bytes);
                        self.outputs.push_back(TableOutput::Transmit { destination, bytes });
                    }
                }
                ClientOutput::Pass => {
                    let response = fed.take();
                    let output = response.map(|response| TableOutput::Response { owner, response });
                    self.outputs.extend(output);
                }
                ClientOutput::TimedOut => {
                    let failure = ClientFailure::TimedOut;
                    self.outputs.push_back(TableOutput::Failed { owner, failure });
                }
                ClientOutput::TransportFailed => {
                    let failure = ClientFailure::TransportFailed;
                    self.outputs.push_back(TableOutput::Failed { owner, failure });
                }
                ClientOutput::Wait(deadline) => break deadline,
            }
        };
        let is_over = match &entry.machine {
            ClientMachine::Invite { machine, .. } => machine.is_terminated(),
            ClientMachine::Other(machine) => machine.is_terminated(),
        };
        // A deadline in the past would be a busy loop; there is none, but cheap to rule out.
        self.deadlines.set(Timed::Client(id), deadline.map(|at| at.max(now)));
        if is_over && let Some(entry) = self.clients.remove(&id) {
            self.clients_by_key.remove(&entry.key);
            self.outputs.push_back(TableOutput::Ended { owner });
        }
    }

    /// Does what a server's machine asks for.
    fn drain_server(&mut self, now: Instant, id: ServerId) {
        let Some(entry) = self.servers.get_mut(&id) else { return };
        let (owner, destination) = (entry.owner, entry.destination);
        let deadline = loop {
            let output = match &mut entry.machine {
                ServerMachine::Invite(machine) => machine.poll_output(),
                ServerMachine::Other(machine) => machine.poll_output(),
            };
            match output {
                ServerOutput::Send => {
                    let bytes = entry.last_response.clone();
                    let output = bytes.map(|bytes| TableOutput::Transmit { destination, bytes });
                    self.outputs.extend(output);
                }
                // The call is over in any case: it was refused.
                ServerOutput::TimedOut => {}
                ServerOutput::Wait(deadline) => break deadline,
            }
        };
        let is_over = match &entry.machine {
            ServerMachine::Invite(machine) => machine.is_terminated(),
            ServerMachine::Other(machine) => machine.is_terminated(),
        };
        self.deadlines.set(Timed::Server(id), deadline.map(|at| at.max(now)));
        if is_over && let Some(entry) = self.servers.remove(&id) {
            self.servers_by_key.remove(&entry.key);
            self.outputs.push_back(TableOutput::Ended { owner });
        }
    }
}

impl ServerKey {
    fn of(request: &Request) -> Option<Self> {
        let via = request.headers.via().ok()?;
        let cseq = request.headers.cseq().ok()?;
        let port = via.port.unwrap_or(5060);
        let sent_by = format!("{}:{port}", via.host).to_ascii_lowercase();
        let method = match &request.method {
            Method::Ack => Method::Invite,
            other => other.clone(),
        };
        let branch = match via.branch() {
            Some(branch) if branch.starts_with(MAGIC_COOKIE) => branch.to_owned(),
            branch => {
                let from = request.headers.from().ok()?;
                let call_id = request.headers.call_id().ok()?;
                let uri = request.uri.to_wire();
                let (tag, branch) = (from.tag().unwrap_or_default(), branch.unwrap_or_default());
                format!("{uri}|{tag}|{call_id}|{}|{branch}", cseq.number)
            }
        };
        Some(Self { branch, sent_by, method })
    }
}

/// The ACK of a refusal (RFC 3261 §17.1.1.3) or the CANCEL (§9.1) of an INVITE.
fn derived(invite: &Request, method: Method) -> Request {
    let mut request = Request::new(method.clone(), invite.uri.clone());
    if let Ok(via) = invite.headers.via() {
        request.headers.push("Via", via.to_wire());
    }
    request.headers.push("Max-Forwards", "70");
    for name in ["Route", "From", "To", "Call-ID"] {
        request.headers.copy(name, &invite.headers);
    }
    if let Ok(CSeq { number, .. }) = invite.headers.cseq() {
        request.headers.push("CSeq", CSeq { number, method }.to_wire());
    }
    for name in ["Authorization", "Proxy-Authorization"] {
        request.headers.copy(name, &invite.headers);
    }
    request
}
