//! What the handles of one socket and its task share.

use crate::driver::{Driver, readiness};
use crate::waiting::Waiting;
use sealgram::endpoint::{AssociationId, EndpointPolicy};
use sealgram::net::UdpEndpoint;
use sealgram::{DtlsConnection, Event, Failure, ServerConfig};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use tokio::net::UdpSocket;

/// One socket with its associations.
pub(crate) struct Shared {
    state: Mutex<State>,
}

/// What is behind the lock. No call under it waits.
pub(crate) struct State {
    pub(crate) endpoint: UdpEndpoint,
    pub(crate) peers: HashMap<AssociationId, Peer>,
    /// Clients that nobody has accepted yet, the first one in front.
    pub(crate) newcomers: VecDeque<AssociationId>,
    pub(crate) accepting: Waiting,
    /// Whether there is somebody who accepts clients.
    pub(crate) is_serving: bool,
    /// Those who wait for room to send.
    pub(crate) sending: Waiting,
    /// Those who wait for the last association to end.
    pub(crate) ending: Waiting,
    /// The task of the socket.
    pub(crate) driver: Arc<Bell>,
    /// A new socket, where the endpoint was given one.
    pub(crate) readiness: Option<UdpSocket>,
    /// How many listeners, connectors and streams there are.
    pub(crate) handles: usize,
    /// Why there is no service any more.
    pub(crate) broken: Option<Broken>,
}

/// The socket cannot be used any more, or its task is gone.
#[derive(Clone)]
pub(crate) struct Broken(io::ErrorKind, String);

impl Broken {
    pub(crate) fn by(error: &io::Error) -> Self {
        Self(error.kind(), error.to_string())
    }

    pub(crate) fn error(&self) -> io::Error {
        io::Error::new(self.0, self.1.clone())
    }
}

/// One association, as its stream sees it.
#[derive(Default)]
pub(crate) struct Peer {
    /// The first handshake is done.
    pub(crate) is_established: bool,
    /// A handle belongs to it, or will when a handshake that is waited for is done.
    pub(crate) is_owned: bool,
    /// The peer has said that it sends no more.
    pub(crate) is_read_closed: bool,
    pub(crate) end: Option<End>,
    /// What has happened and was not told yet.
    pub(crate) events: VecDeque<Event>,
    pub(crate) receiving: Waiting,
    pub(crate) watching: Waiting,
}

/// How an association has ended.
#[derive(Clone)]
pub(crate) enum End {
    Closed,
    Failed(Box<Failure>),
}

/// The most events that wait for somebody who asks for them; of more the oldest ones are forgotten.
const MAX_EVENTS: usize = 32;

impl Peer {
    /// Keeps an event for whoever asks.
    fn tell(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

impl Shared {
    /// Binds a socket and spawns its task. The handle is there before the task, which ends when
    /// there is none.
    pub(crate) fn bind(
        local: SocketAddr,
        policy: EndpointPolicy,
        server: Option<Arc<ServerConfig>>,
    ) -> io::Result<Handle> {
        let mut endpoint = UdpEndpoint::bind(local, policy, server)?;
        let socket = readiness(&endpoint)?;
        let is_serving = endpoint.endpoint().is_accepting();
        let driver = Arc::new(Bell::default());
        endpoint.set_task_waker(driver.clone().into());
        let shared = Arc::new(Self {
            state: Mutex::new(State {
                endpoint,
                peers: HashMap::new(),
                newcomers: VecDeque::new(),
                accepting: Waiting::default(),
                is_serving,
                sending: Waiting::default(),
                ending: Waiting::default(),
                driver,
                readiness: None,
                handles: 0,
                broken: None,
            }),
        });
        let handle = Handle::new(shared.clone());
        tokio::spawn(Driver::new(shared, socket));
        Ok(handle)
    }

    /// A call that panicked while it held the lock has left nothing half done that others see.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the task of a socket. It has a lock of its own, because answers that a handshake waits for
/// come from any thread, and in the middle of calls under the lock of the state.
#[derive(Default)]
pub(crate) struct Bell(Mutex<Option<Waker>>);

impl Bell {
    /// From now on this task is woken.
    pub(crate) fn belongs_to(&self, waker: &Waker) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    pub(crate) fn ring(&self) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*known {
            waker.wake_by_ref();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }
}

impl State {
    /// Takes note of what has happened, and wakes those who wait for it.
    pub(crate) fn settle(&mut self) {
        while let Some((id, event)) = self.endpoint.poll_event() {
            self.take_note(id, event);
        }
        if !self.is_serving {
            self.turn_away();
        }
        if self.endpoint.endpoint().is_empty() {
            self.ending.wake();
        }
    }

    fn take_note(&mut self, id: AssociationId, event: Event) {
        let peer = self.peers.entry(id).or_default();
        match event {
            Event::Readable => {}
            Event::HandshakeComplete {
                renegotiation: false,
                ..
            } => {
                peer.is_established = true;
                if !peer.is_owned {
                    self.newcomers.push_back(id);
                    self.accepting.wake();
                }
            }
            Event::PeerClosed => peer.is_read_closed = true,
            Event::Closed => peer.end = Some(End::Closed),
            Event::Failed(failure) => peer.end = Some(End::Failed(failure)),
            other => peer.tell(other),
        }
        peer.receiving.wake();
        peer.watching.wake();
        // Nobody will ask what has become of a client that nobody has accepted, and what it has sent
        // is gone with it.
        if peer.end.is_some() && !peer.is_owned {
            self.peers.remove(&id);
            self.newcomers.retain(|newcomer| *newcomer != id);
        }
    }

    /// The next client that nobody has accepted yet.
    pub(crate) fn next_newcomer(&mut self) -> Option<AssociationId> {
        let id = self.newcomers.pop_front()?;
        self.peers.entry(id).or_default().is_owned = true;
        Some(id)
    }

    /// Closes the associations of clients that nobody will accept.
    fn turn_away(&mut self) {
        while let Some(id) = self.next_newcomer() {
            self.release(id);
        }
    }

    /// Nobody accepts clients any more.
    pub(crate) fn stop_serving(&mut self) {
        self.is_serving = false;
        self.endpoint.stop_accepting();
        self.turn_away();
    }

    /// Forgets an association whose handle is gone, and closes it.
    pub(crate) fn release(&mut self, id: AssociationId) {
        self.peers.remove(&id);
        if let Some(mut association) = self.endpoint.association(id) {
            association.close();
        }
    }

    /// Nothing goes on any more.
    pub(crate) fn fail(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
        self.accepting.wake();
        self.sending.wake();
        self.ending.wake();
        for peer in self.peers.values_mut() {
            peer.receiving.wake();
            peer.watching.wake();
        }
    }

    pub(crate) fn connection(&self, id: AssociationId) -> Option<&DtlsConnection> {
        self.endpoint.endpoint().connection(id)
    }
}

/// One listener, connector or stream: while there is any, the task of the socket goes on.
pub(crate) struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.lock().handles += 1;
        Self(shared)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.handles -= 1;
        state.driver.ring();
    }
}
