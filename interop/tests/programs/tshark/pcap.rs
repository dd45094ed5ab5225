//! Captures in pcap's format, of datagrams and of a stream that a test has seen. The addresses in
//! them are made up: 10.0.0.1 is the client, 10.0.0.2 the server.

use sealgram_interop::loss::Direction;

/// A capture.
pub(super) struct Pcap {
    bytes: Vec<u8>,
    packets: u32,
    /// The next sequence number of the client and of the server.
    sequence: [u32; 2],
}

impl Pcap {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_le_bytes());
        // Version 2.4, no offset of time, no accuracy, packets of any length.
        bytes.extend(2_u16.to_le_bytes());
        bytes.extend(4_u16.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(65_535_u32.to_le_bytes());
        bytes.extend(RAW_IP.to_le_bytes());
        Self {
            bytes,
            packets: 0,
            sequence: [1_000, 2_000],
        }
    }

    /// Adds a datagram.
    pub(super) fn datagram(&mut self, direction: Direction, payload: &[u8]) {
        let length = u16::try_from(8 + payload.len()).expect("a datagram");
        let mut segment = ports(direction);
        segment.extend(length.to_be_bytes());
        // RFC 768: 0 is no checksum.
        segment.extend([0; 2]);
        segment.extend(payload);
        self.packet(direction, UDP, &segment);
    }

    /// Begins the one stream of the capture.
    pub(super) fn begin_stream(&mut self) {
        self.segment(Direction::ToServer, SYN, b"");
        self.segment(Direction::ToClient, SYN | ACK, b"");
        self.segment(Direction::ToServer, ACK, b"");
    }

    /// Adds a part of the stream.
    pub(super) fn part(&mut self, direction: Direction, bytes: &[u8]) {
        for bytes in bytes.chunks(LARGEST) {
            self.segment(direction, ACK | PUSH, bytes);
        }
    }

    /// The file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn segment(&mut self, direction: Direction, flags: u8, payload: &[u8]) {
        let (own, other) = match direction {
            Direction::ToServer => (0, 1),
            Direction::ToClient => (1, 0),
        };
        let acknowledged = match flags & ACK {
            0 => 0,
            _ => self.sequence[other],
        };
        let mut segment = ports(direction);
        segment.extend(self.sequence[own].to_be_bytes());
        segment.extend(acknowledged.to_be_bytes());
        // A header of five words, a window, no checksum, nothing urgent.
        segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(payload);
        let length = u32::try_from(payload.len()).expect("a segment");
        self.sequence[own] += length + u32::from(flags & SYN != 0);
        self.packet(direction, TCP, &segment);
    }

    fn packet(&mut self, direction: Direction, protocol: u8, segment: &[u8]) {
        let length = u16::try_from(20 + segment.len()).expect("a packet");
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        // No identification, no fragments, 64 hops, no checksum.
        packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        let (from, to) = match direction {
            Direction::ToServer => (CLIENT, SERVER),
            Direction::ToClient => (SERVER, CLIENT),
        };
        packet.extend(from);
        packet.extend(to);
        packet.extend(segment);
        // A millisecond after the one before.
        self.packets += 1;
        self.bytes.extend((self.packets / 1000).to_le_bytes());
        self.bytes
            .extend((self.packets % 1000 * 1000).to_le_bytes());
        for _ in ["captured", "sent"] {
            self.bytes.extend(u32::from(length).to_le_bytes());
        }
        self.bytes.extend(packet);
    }
}

fn ports(direction: Direction) -> Vec<u8> {
    let (from, to) = match direction {
        Direction::ToServer => (CLIENT_PORT, SERVER_PORT),
        Direction::ToClient => (SERVER_PORT, CLIENT_PORT),
    };
    [from.to_be_bytes(), to.to_be_bytes()].concat()
}

const MAGIC: u32 = 0xa1b2_c3d4;
/// LINKTYPE_RAW: each packet begins with its IP header.
const RAW_IP: u32 = 101;

const UDP: u8 = 17;
const TCP: u8 = 6;
const SYN: u8 = 2;
const PUSH: u8 = 8;
const ACK: u8 = 16;
/// Of a segment, in bytes.
const LARGEST: usize = 1400;

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];
const CLIENT_PORT: u16 = 50_000;
/// The port at which the capture's server listens.
pub(super) const SERVER_PORT: u16 = 4433;
