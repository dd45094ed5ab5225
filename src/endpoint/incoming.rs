//! Clients that have proved their addresses and await the application's decision.

use super::association::Origin;
use super::shares::beyond_its_share;
use crate::config::{FirstHello, ProvenHello, ReceivedHello};
use crate::protocol::Path;
use crate::wire::record_dtls::HEADER_LEN;
use bytes::BytesMut;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How many wait for a decision at most.
const MAX_WAITING: usize = 1024;

/// How long a decision may take. A client gives up later, and repeats its hello meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client that wants to be served and has proved its address. There is no association yet.
///
/// Decide with [`Endpoint::accept`](crate::endpoint::Endpoint::accept),
/// [`Endpoint::refuse`](crate::endpoint::Endpoint::refuse) or
/// [`Endpoint::ignore`](crate::endpoint::Endpoint::ignore), at once or before
/// [`Incoming::deadline`]. One that is only dropped is ignored at its deadline.
#[derive(PartialEq, Eq, Debug)]
pub struct Incoming {
    number: u64,
    path: Path,
    hello: ReceivedHello,
    deadline: Instant,
}

impl Incoming {
    /// Where the client is. It receives there: it has shown a cookie.
    pub const fn path(&self) -> Path {
        self.path
    }

    /// What the client has offered. Nothing of it is authenticated.
    pub const fn hello(&self) -> &ReceivedHello {
        &self.hello
    }

    /// When the client is ignored for want of a decision: five seconds after its hello. Where
    /// another hello from its address has come since, or the place was needed, it is earlier.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// Those that wait, one an address.
#[derive(Default)]
pub(super) struct Antechamber {
    /// The oldest first.
    waiting: BTreeMap<u64, Waiting>,
    by_address: HashMap<SocketAddr, u64>,
    /// The number of the next one to come.
    next: u64,
    /// The number of the next one that the application is told of.
    untold: u64,
    /// How many bytes their hellos take.
    bytes: usize,
}

/// One that waits.
pub(super) struct Waiting {
    pub(super) hello: ProvenHello,
    pub(super) origin: Origin,
    since: Instant,
}

impl Antechamber {
    /// How many bytes are held.
    pub(super) const fn buffered(&self) -> usize {
        self.bytes
    }

    /// Whether this hello waits already.
    pub(super) fn holds(&self, remote: SocketAddr, origin: Origin) -> bool {
        let number = self.by_address.get(&remote);
        let known = number.and_then(|number| self.waiting.get(number));
        known.is_some_and(|known| known.origin == origin)
    }

    /// Lets one wait, in the place of an earlier one from its address. Where all places are taken,
    /// the oldest of the neighbourhood goes that has more than half of them, and is given to
    /// `gone`; `false` if none has.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        mut hello: ProvenHello,
        origin: Origin,
        gone: impl FnOnce(Waiting),
    ) -> bool {
        let remote = hello.path.remote();
        if let Some(&earlier) = self.by_address.get(&remote) {
            self.remove(earlier);
        }
        if self.waiting.len() >= MAX_WAITING {
            let places = self.waiting.iter();
            let places = places.map(|(&number, it)| (number, it.hello.path.remote(), it.since));
            let Some(oldest) = beyond_its_share(places, self.waiting.len(), remote) else {
                return false;
            };
            self.remove(oldest).map(gone);
        }
        // The rest of a large buffer of the caller's is not kept alive meanwhile.
        hello.datagram = BytesMut::from(first_record(&hello.datagram));
        self.bytes += hello.datagram.len();
        self.by_address.insert(remote, self.next);
        let since = now;
        let waiting = Waiting {
            hello,
            origin,
            since,
        };
        self.waiting.insert(self.next, waiting);
        self.next += 1;
        true
    }

    /// Whether the application has one to be told of.
    pub(super) fn has_untold(&self) -> bool {
        self.waiting.range(self.untold..).next().is_some()
    }

    /// The next one that the application was not told of.
    pub(super) fn poll(&mut self) -> Option<Incoming> {
        let (&number, waiting) = self.waiting.range(self.untold..).next()?;
        self.untold = number + 1;
        let hello = FirstHello::whole(&waiting.hello.datagram)?;
        Some(Incoming {
            number,
            path: waiting.hello.path,
            hello: ReceivedHello::of(&hello),
            deadline: waiting.since + PATIENCE,
        })
    }

    /// Ends the wait of one about which a decision was taken; `None` if it has ended already.
    pub(super) fn take(&mut self, incoming: &Incoming) -> Option<Waiting> {
        let known = self.waiting.get(&incoming.number);
        // What another endpoint has announced under the same number is somebody else.
        known.filter(|it| it.hello.path == incoming.path)?;
        self.remove(incoming.number)
    }

    /// When the wait of the oldest ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (_, oldest) = self.waiting.first_key_value()?;
        Some(oldest.since + PATIENCE)
    }

    /// One that has waited for too long, and waits no longer.
    pub(super) fn pop_late(&mut self, now: Instant) -> Option<Waiting> {
        self.deadline().filter(|&deadline| deadline <= now)?;
        let (&number, _) = self.waiting.first_key_value()?;
        self.remove(number)
    }

    /// Ends the wait of all.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Waiting> + use<> {
        self.by_address.clear();
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into_values()
    }

    fn remove(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.waiting.remove(&number)?;
        self.by_address.remove(&waiting.hello.path.remote());
        self.bytes -= waiting.hello.datagram.len();
        Some(waiting)
    }
}

/// The record with the hello, without what may follow.
fn first_record(datagram: &[u8]) -> &[u8] {
    let length = FirstHello::decode(datagram).map(|it| usize::from(it.record.length));
    let record = length.and_then(|length| datagram.get(..HEADER_LEN + length));
    record.unwrap_or(datagram)
}
