//! What a scripted peer receives, put together from records and fragments.

use super::keys::Wire;
use super::{ClientOffer, ScriptedPeer, ServerChoice};
use crate::protocol::{ContentType, HandshakeType, Side};
use crate::wire::codec::Reader;
use crate::wire::handshake::{FragmentHeader, STREAM_HEADER_LEN, StreamHeader};
use crate::wire::record_dtls::RecordHeader;
use crate::wire::record_tls;
use std::collections::BTreeMap;

/// One thing that was received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A whole message, the next one in order.
    Message {
        /// Its epoch.
        epoch: u16,
        /// Its number; 0 over a stream.
        seq: u16,
        /// Its type.
        typ: u8,
        /// Everything after its header.
        body: Vec<u8>,
    },
    /// A fragment of a message that was already complete.
    Repeated {
        /// Its epoch.
        epoch: u16,
        /// Its number.
        seq: u16,
        /// Its type.
        typ: u8,
    },
    /// A ChangeCipherSpec.
    ChangeCipherSpec {
        /// Its epoch.
        epoch: u16,
    },
    /// An alert.
    Alert {
        /// Its epoch.
        epoch: u16,
        /// 1 for a warning, 2 if it is fatal.
        level: u8,
        /// What it is about.
        description: u8,
    },
    /// Data.
    Data {
        /// Its epoch.
        epoch: u16,
        /// The data.
        data: Vec<u8>,
    },
    /// A message of a return routability check (RFC 9853 §4).
    PathMessage {
        /// Its epoch.
        epoch: u16,
        /// The message.
        contents: Vec<u8>,
    },
    /// A record that cannot be opened.
    Sealed {
        /// Its epoch.
        epoch: u16,
        /// Its type.
        content_type: u8,
    },
}

/// Messages that are not complete yet.
#[derive(Default)]
pub(super) struct Inbound {
    expected: u16,
    partial: BTreeMap<u16, Partial>,
    stream: StreamInbound,
}

/// What was received of a stream so far.
#[derive(Default)]
struct StreamInbound {
    /// The beginning of a record.
    input: Vec<u8>,
    /// The beginning of a message.
    messages: Vec<u8>,
    /// The epoch that the other side's last ChangeCipherSpec led to.
    epoch: u16,
    /// The number of the next record in it.
    sequence: u64,
}

struct Partial {
    epoch: u16,
    typ: u8,
    bytes: Vec<Option<u8>>,
}

impl Inbound {
    pub(super) fn begin_again(&mut self) {
        self.expected = 0;
        self.partial.clear();
    }

    /// Adds a fragment. An honest sender never contradicts itself, so the first length and type
    /// stand.
    fn add(&mut self, epoch: u16, header: &FragmentHeader, data: &[u8]) {
        let length = usize::try_from(header.length).unwrap_or_default();
        let partial = self.partial.entry(header.seq.0).or_insert_with(|| Partial {
            epoch,
            typ: header.typ.0,
            bytes: vec![None; length],
        });
        let start = usize::try_from(header.offset).unwrap_or_default();
        for (slot, &byte) in partial.bytes.iter_mut().skip(start).zip(data) {
            *slot = Some(byte);
        }
    }

    /// Takes the next message if it is whole.
    fn pop(&mut self) -> Option<Heard> {
        let next = self.partial.get(&self.expected)?;
        let body = next.bytes.iter().copied().collect::<Option<Vec<u8>>>()?;
        let heard = Heard::Message {
            epoch: next.epoch,
            seq: self.expected,
            typ: next.typ,
            body,
        };
        self.partial.remove(&self.expected);
        self.expected = self.expected.wrapping_add(1);
        Some(heard)
    }
}

impl ScriptedPeer {
    /// Receives a datagram, or a piece of a stream: hellos, shares and cookies are remembered, and
    /// keys are derived as soon as possible. Returns what was new; [`ScriptedPeer::heard`] keeps
    /// everything.
    pub fn hear(&mut self, datagram: &[u8]) -> Vec<Heard> {
        let before = self.heard.len();
        if self.wire == Wire::Stream {
            self.hear_stream(datagram);
            return self.heard[before..].to_vec();
        }
        let mut rest = datagram;
        while let Some((header, header_len)) = self.keys.header(rest) {
            let length = header_len + usize::from(header.length);
            let Some((record, after)) = rest.split_at_checked(length) else {
                break;
            };
            rest = after;
            self.hear_record(&header, header_len, record);
        }
        self.heard[before..].to_vec()
    }

    fn hear_record(&mut self, header: &RecordHeader, header_len: usize, record: &[u8]) {
        let epoch = u16::try_from(header.number.epoch.number()).unwrap_or(u16::MAX);
        let Some((typ, contents)) = self.keys.open(header, header_len, record) else {
            let content_type = header.content_type.0;
            self.heard.push(Heard::Sealed {
                epoch,
                content_type,
            });
            return;
        };
        self.hear_contents(typ, epoch, contents);
    }

    fn hear_contents(&mut self, content_type: ContentType, epoch: u16, contents: Vec<u8>) {
        match content_type {
            ContentType::HANDSHAKE if self.wire == Wire::Stream => {
                self.hear_messages(epoch, &contents);
            }
            ContentType::HANDSHAKE => self.hear_fragments(epoch, &contents),
            ContentType::CHANGE_CIPHER_SPEC => self.heard.push(Heard::ChangeCipherSpec { epoch }),
            ContentType::ALERT => self.heard.push(Heard::Alert {
                epoch,
                level: contents.first().copied().unwrap_or_default(),
                description: contents.get(1).copied().unwrap_or_default(),
            }),
            ContentType::RETURN_ROUTABILITY_CHECK => {
                self.heard.push(Heard::PathMessage { epoch, contents });
            }
            _ => self.heard.push(Heard::Data {
                epoch,
                data: contents,
            }),
        }
    }

    fn hear_stream(&mut self, bytes: &[u8]) {
        self.inbound.stream.input.extend_from_slice(bytes);
        while let Some(header) = record_tls::RecordHeader::decode(&self.inbound.stream.input) {
            let length = record_tls::HEADER_LEN + usize::from(header.length);
            if self.inbound.stream.input.len() < length {
                return;
            }
            let record: Vec<u8> = self.inbound.stream.input.drain(..length).collect();
            let StreamInbound {
                epoch, sequence, ..
            } = self.inbound.stream;
            let opened = self.keys.open_in_stream(&header, epoch, sequence, &record);
            let Some(contents) = opened else {
                self.heard.push(Heard::Sealed {
                    epoch,
                    content_type: header.content_type.0,
                });
                continue;
            };
            self.inbound.stream.sequence += 1;
            self.hear_contents(header.content_type, epoch, contents);
            if header.content_type == ContentType::CHANGE_CIPHER_SPEC {
                self.inbound.stream.epoch += 1;
                self.inbound.stream.sequence = 0;
            }
        }
    }

    fn hear_messages(&mut self, epoch: u16, contents: &[u8]) {
        self.inbound.stream.messages.extend_from_slice(contents);
        while let Some(header) = StreamHeader::decode(&self.inbound.stream.messages) {
            let length = usize::try_from(header.length).unwrap_or(usize::MAX);
            let Some(end) = STREAM_HEADER_LEN
                .checked_add(length)
                .filter(|&end| end <= self.inbound.stream.messages.len())
            else {
                return;
            };
            let message: Vec<u8> = self.inbound.stream.messages.drain(..end).collect();
            let body = message[STREAM_HEADER_LEN..].to_vec();
            self.learn(header.typ, 0, &body);
            self.heard.push(Heard::Message {
                epoch,
                seq: 0,
                typ: header.typ.0,
                body,
            });
        }
    }

    fn hear_fragments(&mut self, epoch: u16, contents: &[u8]) {
        let mut reader = Reader::new(contents);
        while let Ok(header) = FragmentHeader::decode(&mut reader) {
            let length = usize::try_from(header.fragment_length).unwrap_or(usize::MAX);
            let Ok(data) = reader.bytes(length, "fragment") else {
                return;
            };
            if header.seq.0 < self.inbound.expected {
                self.heard.push(Heard::Repeated {
                    epoch,
                    seq: header.seq.0,
                    typ: header.typ.0,
                });
                continue;
            }
            self.inbound.add(epoch, &header, data);
            while let Some(heard) = self.inbound.pop() {
                if let Heard::Message { seq, typ, body, .. } = &heard {
                    self.learn(HandshakeType(*typ), *seq, body);
                }
                self.heard.push(heard);
            }
        }
    }

    /// Remembers what matters for the rest of the handshake.
    fn learn(&mut self, typ: HandshakeType, seq: u16, body: &[u8]) {
        match (self.side, typ) {
            (Side::Server, HandshakeType::CLIENT_HELLO) => {
                if let Ok(offer) = ClientOffer::decode(self.wire, body) {
                    let info = self.server_info();
                    self.choice.answer(&offer, &info, self.promises_ticket);
                    self.offer = offer;
                    self.answer_offer_of_ids();
                    self.echo_session();
                }
            }
            (Side::Client, HandshakeType::HELLO_VERIFY_REQUEST) => {
                self.offer.cookie = body.get(3..).unwrap_or_default().to_vec();
            }
            (Side::Client, HandshakeType::SERVER_HELLO) => {
                if let Ok(choice) = ServerChoice::decode(body) {
                    self.choice = choice;
                }
            }
            (Side::Client, HandshakeType::SERVER_KEY_EXCHANGE)
            | (Side::Server, HandshakeType::CLIENT_KEY_EXCHANGE) => self.learn_share(body),
            (Side::Client, HandshakeType::NEW_SESSION_TICKET) => {
                if let Some((lifetime, ticket)) = body.split_first_chunk() {
                    self.ticket_lifetime = u32::from_be_bytes(*lifetime);
                    self.ticket = ticket.get(2..).unwrap_or_default().to_vec();
                }
            }
            (side, HandshakeType::FINISHED) => {
                self.finished[usize::from(side == Side::Client)] = body.to_vec();
                self.verified = Some(self.verify_data(side.peer()) == body);
            }
            _ => {}
        }
        self.enter(typ.0, seq, body);
    }
}
