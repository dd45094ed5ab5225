//! What the two ends of `sealgram bench` say to each other: version 1 of a small protocol, inside
//! the associations.
//!
//! ```text
//!   client                                    server
//!   Order, until it is answered     ───────►
//!                                   ◄───────  Accepted or Refused
//!   Data (upload, echo)             ◄──────►  Data (download, echo)
//!   Alive, now and then (download)  ───────►  sends while they come
//!   Ask, until it is answered       ───────►  sends no more data
//!                                   ◄───────  Report
//!   close_notify                    ───────►
//! ```
//!
//! A message is a datagram. On a stream it follows its length, two bytes. It begins with its kind,
//! one byte; numbers are in network byte order:
//!
//! ```text
//!   1 Order     "sealgram bench" version:u8 mode:u8 size:u16 burst:u16 ms:u32 per_second:u32
//!   2 Accepted  ms:u32 processor_ns:u64
//!   3 Refused   reason:u8
//!   4 Data      sequence:u64, any bytes up to the size that was ordered
//!   5 Alive
//!   6 Ask
//!   7 Report    sent:u64 received:u64 bytes:u64 reordered:u64 span_ns:u64 processor_ns:u64
//! ```
//!
//! A message may be lost, so what needs an answer is sent again, and whoever receives it twice does
//! the same thing once. An order holds for its association; another one needs another association.

use std::time::Duration;

/// The version of the protocol that this program speaks.
const VERSION: u8 = 1;

/// What an order begins with, so that nothing else is taken for one.
const MAGIC: &[u8; 14] = b"sealgram bench";

/// The length of a data message that has nothing but its number.
pub(super) const SHORTEST: usize = 1 + size_of::<u64>();

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Message {
    Order(Order),
    Accepted {
        /// How long the server serves the order.
        milliseconds: u32,
        /// The processor time of the server so far; zero if it does not know.
        processor_ns: u64,
    },
    Refused(Reason),
    Data {
        sequence: u64,
    },
    Alive,
    Ask,
    Report(Report),
}

/// What a client wants its association to be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Order {
    pub(super) mode: Mode,
    /// The length of a data message, in bytes.
    pub(super) size: u16,
    /// The most data messages that a server sends in one turn of its loop.
    pub(super) burst: u16,
    /// For how long, in milliseconds.
    pub(super) milliseconds: u32,
    /// How many data messages a server sends in a second; zero for as many as it can.
    pub(super) per_second: u32,
}

impl Order {
    /// For how long it is served.
    pub(super) const fn time(&self) -> Duration {
        Duration::from_millis(self.milliseconds as u64)
    }
}

/// What a server does with an association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// It counts the data, and drops it.
    Discard,
    /// It sends each data message back.
    Echo,
    /// It sends data.
    Source,
}

/// Why a server does not take an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// The other end speaks another version of this protocol.
    Version,
    /// No datagram that it may send is as long.
    Size,
}

/// What a server has counted on one association.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Report {
    /// Data messages that it has sent.
    pub(super) sent: u64,
    /// Data messages that have come.
    pub(super) received: u64,
    /// The sum of their lengths.
    pub(super) bytes: u64,
    /// How many came after one with a higher number.
    pub(super) reordered: u64,
    /// From the first to the last of them, in nanoseconds.
    pub(super) span_ns: u64,
    /// The processor time of the server so far; zero if it does not know.
    pub(super) processor_ns: u64,
}

/// An order in another version of this protocol, which has to be refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OtherVersion;

impl Message {
    /// The message as bytes. Data messages are made by [`Data`].
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = vec![self.kind()];
        match self {
            Self::Order(order) => {
                out.extend(MAGIC);
                out.extend([VERSION, order.mode.number()]);
                out.extend(order.size.to_be_bytes());
                out.extend(order.burst.to_be_bytes());
                out.extend(order.milliseconds.to_be_bytes());
                out.extend(order.per_second.to_be_bytes());
            }
            Self::Accepted {
                milliseconds,
                processor_ns,
            } => {
                out.extend(milliseconds.to_be_bytes());
                out.extend(processor_ns.to_be_bytes());
            }
            Self::Refused(reason) => out.push(reason.number()),
            Self::Data { sequence } => out.extend(sequence.to_be_bytes()),
            Self::Alive | Self::Ask => {}
            Self::Report(report) => {
                for number in report.numbers() {
                    out.extend(number.to_be_bytes());
                }
            }
        }
        out
    }

    /// The message that `bytes` are; `None` if they are none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Result<Self, OtherVersion>> {
        let (&kind, rest) = bytes.split_first()?;
        let mut fields = Fields(rest);
        let message = match kind {
            1 => {
                if fields.take::<14>()? != *MAGIC {
                    return None;
                }
                if fields.u8()? != VERSION {
                    return Some(Err(OtherVersion));
                }
                Self::Order(Order {
                    mode: Mode::from_number(fields.u8()?)?,
                    size: u16::from_be_bytes(fields.take()?),
                    burst: u16::from_be_bytes(fields.take()?),
                    milliseconds: u32::from_be_bytes(fields.take()?),
                    per_second: u32::from_be_bytes(fields.take()?),
                })
            }
            2 => Self::Accepted {
                milliseconds: u32::from_be_bytes(fields.take()?),
                processor_ns: fields.u64()?,
            },
            3 => Self::Refused(Reason::from_number(fields.u8()?)?),
            4 => {
                let sequence = fields.u64()?;
                return Some(Ok(Self::Data { sequence }));
            }
            5 => Self::Alive,
            6 => Self::Ask,
            7 => Self::Report(Report {
                sent: fields.u64()?,
                received: fields.u64()?,
                bytes: fields.u64()?,
                reordered: fields.u64()?,
                span_ns: fields.u64()?,
                processor_ns: fields.u64()?,
            }),
            _ => return None,
        };
        fields.0.is_empty().then_some(Ok(message))
    }

    const fn kind(self) -> u8 {
        match self {
            Self::Order(_) => 1,
            Self::Accepted { .. } => 2,
            Self::Refused(_) => 3,
            Self::Data { .. } => DATA,
            Self::Alive => 5,
            Self::Ask => 6,
            Self::Report(_) => 7,
        }
    }
}

/// The kind of data messages.
const DATA: u8 = 4;

/// What is left of a message.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

impl Mode {
    const ALL: [Self; 3] = [Self::Discard, Self::Echo, Self::Source];

    const fn number(self) -> u8 {
        match self {
            Self::Discard => 1,
            Self::Echo => 2,
            Self::Source => 3,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.number() == number)
    }

    /// Its name in event lines.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Discard => "discard",
            Self::Echo => "echo",
            Self::Source => "source",
        }
    }
}

impl Reason {
    const ALL: [Self; 2] = [Self::Version, Self::Size];

    const fn number(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::Size => 2,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|reason| reason.number() == number)
    }
}

impl Report {
    const fn numbers(self) -> [u64; 6] {
        let Self {
            sent,
            received,
            bytes,
            reordered,
            span_ns,
            processor_ns,
        } = self;
        [sent, received, bytes, reordered, span_ns, processor_ns]
    }
}

/// Data messages of one length, numbered from zero. The buffer of one is that of the next.
#[derive(Debug)]
pub(super) struct Data {
    /// The length of the message, if it is for a stream, and the message.
    bytes: Vec<u8>,
    /// Where the message begins.
    start: usize,
    next: u64,
}

impl Data {
    /// Messages of `size` bytes, which is at least [`SHORTEST`].
    pub(super) fn new(size: u16, stream: bool) -> Self {
        let mut message = vec![DATA];
        message.resize(usize::from(size).max(SHORTEST), 0);
        let start = match stream {
            true => LENGTH,
            false => 0,
        };
        Self {
            bytes: if stream { framed(&message) } else { message },
            start,
            next: 0,
        }
    }

    /// The next one.
    pub(super) fn message(&mut self) -> &[u8] {
        let number = self.start + 1..self.start + SHORTEST;
        self.bytes[number].copy_from_slice(&self.next.to_be_bytes());
        &self.bytes
    }

    /// The next one was sent.
    pub(super) const fn advance(&mut self) {
        self.next += 1;
    }

    /// How many were sent.
    pub(super) const fn sent(&self) -> u64 {
        self.next
    }
}

/// How many bytes the length of a message takes on a stream.
const LENGTH: usize = size_of::<u16>();

/// A message as it is sent on a stream.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(&message[..length.into()]);
    out
}

/// The part of a stream that is not a whole message yet. It is never longer than one message and
/// one read.
#[derive(Default, Debug)]
pub(super) struct Partial(Vec<u8>);

impl Partial {
    /// Gives every message to `take` that is complete with `bytes`.
    pub(super) fn add(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) {
        self.0.extend_from_slice(bytes);
        let mut taken = 0;
        while let Some((length, rest)) = self.0[taken..].split_first_chunk::<LENGTH>() {
            let Some(message) = rest.get(..u16::from_be_bytes(*length).into()) else {
                break;
            };
            take(message);
            taken += LENGTH + message.len();
        }
        self.0.drain(..taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_kind() -> Vec<Message> {
        let order = |mode| {
            Message::Order(Order {
                mode,
                size: 1200,
                burst: 64,
                milliseconds: 5000,
                per_second: 7,
            })
        };
        let report = Report {
            sent: 1,
            received: 2,
            bytes: 3,
            reordered: 4,
            span_ns: 5,
            processor_ns: 6,
        };
        let mut all: Vec<_> = Mode::ALL.map(order).into();
        all.extend(Reason::ALL.map(Message::Refused));
        all.extend([
            Message::Accepted {
                milliseconds: 1,
                processor_ns: 2,
            },
            Message::Data { sequence: 1 << 40 },
            Message::Alive,
            Message::Ask,
            Message::Report(report),
        ]);
        all
    }

    #[test]
    fn every_message_comes_back_and_no_part_of_one_is_one() {
        for message in every_kind() {
            let mut bytes = message.encode();
            assert_eq!(Message::decode(&bytes), Some(Ok(message)));
            for length in 0..bytes.len() {
                assert_eq!(Message::decode(&bytes[..length]), None, "{message:?}");
            }
            bytes.push(0);
            let is_data = matches!(message, Message::Data { .. });
            assert_eq!(Message::decode(&bytes).is_some(), is_data, "{message:?}");
        }
    }

    #[test]
    fn another_version_is_known_as_such() {
        let mut order = every_kind()[0].encode();
        order[1 + MAGIC.len()] = VERSION + 1;
        assert_eq!(Message::decode(&order), Some(Err(OtherVersion)));
        order[1] ^= 1;
        assert_eq!(Message::decode(&order), None);
    }

    #[test]
    fn data_messages_are_numbered_and_as_long_as_ordered() {
        for stream in [false, true] {
            let mut data = Data::new(100, stream);
            for sequence in 0..3 {
                let sent = data.message().to_vec();
                let mut taken = Vec::new();
                match stream {
                    true => Partial::default().add(&sent, |message| taken.push(message.to_vec())),
                    false => taken.push(sent),
                }
                assert_eq!(taken.len(), 1);
                assert_eq!(taken[0].len(), 100);
                let message = Message::decode(&taken[0]);
                assert_eq!(message, Some(Ok(Message::Data { sequence })));
                data.advance();
            }
            assert_eq!(data.sent(), 3);
        }
    }

    #[test]
    fn messages_are_found_wherever_a_stream_is_cut() {
        let stream = [framed(b"one"), framed(b""), framed(b"three")].concat();
        for cut in 0..=stream.len() {
            let mut partial = Partial::default();
            let mut taken = Vec::new();
            for piece in [&stream[..cut], &stream[cut..]] {
                partial.add(piece, |message| taken.push(message.to_vec()));
            }
            assert_eq!(taken, [&b"one"[..], b"", b"three"]);
            assert!(partial.0.is_empty());
        }
    }
}
