//! The link of the demonstration: a UDP relay that loses part of the handshake, and never data, and
//! that behaves like a NAT which gives the client another port in the middle.

use super::payload::XorShift;
use crate::problem::Problem;
use crate::report::Line;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

/// A relay between one client and one server, which runs until the process ends.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    link: Arc<Link>,
}

/// What the two directions share.
#[derive(Debug)]
struct Link {
    /// The socket that the client sends to.
    front: UdpSocket,
    /// The sockets that the server answers to: that of the client's first port, and of its second.
    /// The first one goes on, for what is still on its way there.
    backs: [UdpSocket; 2],
    client: OnceLock<SocketAddr>,
    /// After how many datagrams of the client that may be data it gets the second port.
    moves_after: u64,
    data: AtomicU64,
    handshake_datagrams: AtomicU64,
    dropped: AtomicU64,
}

/// What passed through the link.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkReport {
    /// Datagrams of the handshake that were sent into the link.
    pub(super) handshake_datagrams: u64,
    /// How many of them it lost.
    pub(super) dropped: u64,
}

/// Which way datagrams go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    ToServer,
    /// By the first port of the client, or by the second.
    ToClient(usize),
}

impl Relay {
    /// Starts a relay to `server` that loses `percent` of the handshake, and gives the client
    /// another port after so many datagrams of its own, if it is to move.
    pub(super) fn start(
        server: SocketAddr,
        percent: u8,
        moves_after: Option<u64>,
    ) -> Result<Self, Problem> {
        let failed = |error: io::Error| Problem::failure(format!("no relay: {error}"));
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let back = || {
            let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            back.connect(server)?;
            Ok(back)
        };
        let backs = [back().map_err(failed)?, back().map_err(failed)?];
        let address = front.local_addr().map_err(failed)?;
        let link = Arc::new(Link {
            front,
            backs,
            client: OnceLock::new(),
            moves_after: moves_after.unwrap_or(u64::MAX),
            data: AtomicU64::new(0),
            handshake_datagrams: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        for direction in [
            Direction::ToServer,
            Direction::ToClient(0),
            Direction::ToClient(1),
        ] {
            let link = link.clone();
            thread::Builder::new()
                .name(format!("relay {direction:?}"))
                .spawn(move || link.carry(direction, Loss::new(direction, percent)))
                .map_err(failed)?;
        }
        Ok(Self { address, link })
    }

    /// Where the client finds the relay.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has passed so far.
    pub(super) fn report(&self) -> LinkReport {
        LinkReport {
            handshake_datagrams: self.link.handshake_datagrams.load(Ordering::Relaxed),
            dropped: self.link.dropped.load(Ordering::Relaxed),
        }
    }
}

impl Link {
    /// Carries datagrams one way until a socket fails.
    fn carry(&self, direction: Direction, mut loss: Loss) {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            match self.carry_one(direction, &mut loss, &mut buffer) {
                // The other end is not there yet, or not there any more: the datagram is lost.
                Err(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
                    Line::new("error")
                        .field("reason", format!("the relay is broken: {error}"))
                        .print();
                    return;
                }
                _ => {}
            }
        }
    }

    fn carry_one(
        &self,
        direction: Direction,
        loss: &mut Loss,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let length = match direction {
            Direction::ToServer => {
                let (length, from) = self.front.recv_from(buffer)?;
                let _the_first_one_stays = self.client.set(from);
                length
            }
            Direction::ToClient(port) => self.backs[port].recv(buffer)?,
        };
        let datagram = &buffer[..length];
        let concerned = loss.concerns(datagram);
        if concerned {
            self.handshake_datagrams.fetch_add(1, Ordering::Relaxed);
            if loss.loses() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
        match (direction, self.client.get()) {
            (Direction::ToServer, _) => {
                let is_data = u64::from(!concerned);
                let before = self.data.fetch_add(is_data, Ordering::Relaxed);
                self.backs[usize::from(before >= self.moves_after)].send(datagram)?
            }
            (Direction::ToClient(_), Some(client)) => self.front.send_to(datagram, client)?,
            (Direction::ToClient(_), None) => 0,
        };
        Ok(())
    }
}

/// Decides which datagrams of a handshake are lost, the same ones in every run.
#[derive(Debug)]
struct Loss {
    percent: u64,
    numbers: XorShift,
    /// The position, from 0, of a datagram that is lost in any case, so that there is a loss to
    /// recover from.
    certain: Option<u64>,
    place: u64,
    in_a_row: u8,
    /// At version 1.3, data has begun: the low bits of later epochs may be the same as those of the
    /// handshake's.
    handshake_over: bool,
}

/// More losses in a row would be bad luck that shows nothing.
const MAX_IN_A_ROW: u8 = 2;

/// The server's second datagram to the client: the first with its certificate, after the
/// HelloVerifyRequest.
const CERTAIN_LOSS: u64 = 1;

impl Loss {
    fn new(direction: Direction, percent: u8) -> Self {
        let to_client = direction != Direction::ToServer;
        Self {
            percent: percent.into(),
            numbers: XorShift::new(u64::from(to_client)),
            certain: (to_client && percent > 0).then_some(CERTAIN_LOSS),
            place: 0,
            in_a_row: 0,
            handshake_over: false,
        }
    }

    /// Whether a datagram belongs to a handshake, and so may be lost.
    fn concerns(&mut self, datagram: &[u8]) -> bool {
        match datagram.first() {
            Some(first) if first & UNIFIED_MASK == UNIFIED => {
                self.handshake_over |= first & EPOCH_BITS != HANDSHAKE_EPOCH;
                !self.handshake_over
            }
            _ => is_handshake(datagram),
        }
    }

    /// Whether the next datagram is lost.
    fn loses(&mut self) -> bool {
        let unlucky = self.numbers.next() % 100 < self.percent;
        let lost = self.certain == Some(self.place) || unlucky && self.in_a_row < MAX_IN_A_ROW;
        self.place += 1;
        self.in_a_row = if lost { self.in_a_row + 1 } else { 0 };
        lost
    }
}

/// Whether a datagram belongs to a handshake: it has handshake or change_cipher_spec records and no
/// data.
///
/// The content type is in the clear at the front of every DTLS 1.2 record (RFC 6347 §4.1). At 1.3
/// protected records follow the ServerHello in the same datagram, and at 1.2 Finished has a
/// connection ID (RFC 9146 §4). Later flights look like data, and are not lost.
fn is_handshake(datagram: &[u8]) -> bool {
    let mut handshake = false;
    let mut rest = datagram;
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_LEN>() {
        match header[0] {
            CHANGE_CIPHER_SPEC | HANDSHAKE => handshake = true,
            first if handshake && first & UNIFIED_MASK == UNIFIED => return true,
            TLS12_CID if handshake => return true,
            _ => return false,
        }
        let length = u16::from_be_bytes([header[HEADER_LEN - 2], header[HEADER_LEN - 1]]);
        rest = after.get(usize::from(length)..).unwrap_or_default();
    }
    handshake
}

/// A DTLS 1.2 record header: type, version, epoch, sequence number, length (RFC 6347 §4.1).
const HEADER_LEN: usize = 13;

/// How a protected record of version 1.3 begins (RFC 9147 §4).
const UNIFIED: u8 = 0b0010_0000;
const UNIFIED_MASK: u8 = 0b1110_0000;

/// The low bits of its epoch, and their value in the handshake.
const EPOCH_BITS: u8 = 0b0000_0011;
const HANDSHAKE_EPOCH: u8 = 2;

/// RFC 5246 §6.2.1.
const CHANGE_CIPHER_SPEC: u8 = 20;

/// RFC 5246 §6.2.1.
const HANDSHAKE: u8 = 22;

/// RFC 9146 §4.
const TLS12_CID: u8 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8) -> Vec<u8> {
        let mut record = vec![0; HEADER_LEN + 2];
        record[0] = content_type;
        record[HEADER_LEN - 1] = 2;
        record
    }

    #[test]
    fn datagrams_with_data_or_alerts_are_never_lost() {
        assert!(is_handshake(&record(HANDSHAKE)));
        assert!(is_handshake(
            &[record(CHANGE_CIPHER_SPEC), record(HANDSHAKE)].concat()
        ));
        assert!(!is_handshake(&record(23)));
        assert!(!is_handshake(&record(21)));
        assert!(!is_handshake(&[record(HANDSHAKE), record(23)].concat()));
        assert!(is_handshake(
            &[record(CHANGE_CIPHER_SPEC), record(TLS12_CID)].concat()
        ));
        assert!(!is_handshake(&record(TLS12_CID)));
        assert!(!is_handshake(&[]));
    }

    #[test]
    fn at_1_3_only_the_epoch_of_the_handshake_is_lost() {
        let mut loss = Loss::new(Direction::ToClient(0), 10);
        assert!(loss.concerns(&record(HANDSHAKE)));
        assert!(loss.concerns(&[UNIFIED | HANDSHAKE_EPOCH, 0, 0]));
        assert!(!loss.concerns(&[UNIFIED | 3, 0, 0]));
        assert!(!loss.concerns(&[UNIFIED | HANDSHAKE_EPOCH, 0, 0]));
    }

    #[test]
    fn a_lossy_link_loses_something_and_a_perfect_one_nothing() {
        let mut perfect = Loss::new(Direction::ToClient(0), 0);
        assert!((0..100).all(|_| !perfect.loses()));
        let mut lossy = Loss::new(Direction::ToClient(0), 1);
        let lost: Vec<_> = (0..4).map(|_| lossy.loses()).collect();
        assert!(lost[usize::try_from(CERTAIN_LOSS).unwrap()]);
        let mut bad = Loss::new(Direction::ToServer, 50);
        let lost = (0..1000).filter(|_| bad.loses()).count();
        assert!((350..=550).contains(&lost), "{lost}");
    }
}
