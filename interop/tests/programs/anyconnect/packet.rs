//! What goes through the tunnel: packets of IPv4 behind a header of eight bytes (CSTP, as ocserv's
//! `draft-mavrogiannopoulos-openconnect` has it), and an echo request to put into them.

/// A packet of CSTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: u8,
    pub(super) payload: Vec<u8>,
}

impl Packet {
    /// One that carries a packet of IP.
    pub(super) fn data(payload: Vec<u8>) -> Self {
        Self {
            kind: DATA,
            payload,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.payload.len()).expect("a packet of IP");
        let [high, low] = length.to_be_bytes();
        let mut bytes = vec![b'S', b'T', b'F', 1, high, low, self.kind, 0];
        bytes.extend(&self.payload);
        bytes
    }

    /// Takes the first packet off the stream, if all of it is there.
    pub(super) fn take(stream: &mut Vec<u8>) -> Option<Self> {
        let &[b'S', b'T', b'F', 1, high, low, kind, _, ref rest @ ..] = stream.as_slice() else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let payload = rest.get(..length)?.to_vec();
        stream.drain(..8 + length);
        Some(Self { kind, payload })
    }
}

/// Cuts a stream into what must be in records of their own: openconnect and ocserv take a record
/// for a packet, and a reader of a stream may find several in one piece.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    rest: Vec<u8>,
}

impl Cutter {
    /// What is complete with these bytes. Before the first packet there is HTTP, which goes as it
    /// comes.
    pub(super) fn pieces(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.rest.extend(bytes);
        let mut pieces = Vec::new();
        let known = self.rest.len().min(START.len());
        if self.rest[..known] != START[..known] {
            let head = self
                .rest
                .windows(END.len() + START.len())
                .position(|it| it.starts_with(END) && it.ends_with(START));
            let head = head.map_or(self.rest.len(), |end| end + END.len());
            pieces.push(self.rest.drain(..head).collect());
        }
        while let Some(packet) = Packet::take(&mut self.rest) {
            pieces.push(packet.encode());
        }
        pieces
    }
}

/// An ICMP echo request.
pub(super) fn echo_request(from: [u8; 4], to: [u8; 4], sequence: u16) -> Vec<u8> {
    let mut icmp = vec![8, 0, 0, 0, 0x5e, 0xa1];
    icmp.extend(sequence.to_be_bytes());
    icmp.extend(b"through the tunnel");
    let sum = checksum(&icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());

    let length = u16::try_from(20 + icmp.len()).expect("short");
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, ICMP, 0, 0]);
    packet.extend(from);
    packet.extend(to);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(icmp);
    packet
}

/// Whether this is the answer to the echo request with that number.
pub(super) fn answers(packet: &[u8], sequence: u16) -> bool {
    let icmp = packet.get(20..).unwrap_or_default();
    packet.get(9) == Some(&ICMP)
        && icmp.first() == Some(&0)
        && icmp.get(6..8) == Some(&sequence.to_be_bytes())
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match *word {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        _ => u32::from(word[0]) << 8,
    });
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let [_, _, high, low] = (folded + (folded >> 16)).to_be_bytes();
    !u16::from_be_bytes([high, low])
}

/// How a packet begins, and how the head of a request or an answer ends.
const START: &[u8] = b"STF\x01";
const END: &[u8] = b"\r\n\r\n";

const DATA: u8 = 0;
/// Is the other end there?
pub(super) const PROBE: u8 = 3;
pub(super) const ANSWER: u8 = 4;

const ICMP: u8 = 1;
