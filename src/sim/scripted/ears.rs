//! What a scripted peer hears, put together from records and fragments.

use super::{ClientOffer, ScriptedPeer, ServerChoice};
use crate::protocol::{ContentType, HandshakeType, Side};
use crate::wire::codec::Reader;
use crate::wire::handshake::FragmentHeader;
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
use std::collections::BTreeMap;

/// One thing that was heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A whole message, the next one in order.
    Message {
        /// Its epoch.
        epoch: u16,
        /// Its number.
        seq: u16,
        /// Its type.
        typ: u8,
        /// Everything behind its header.
        body: Vec<u8>,
    },
    /// A fragment of a message that was heard already.
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
    /// A record that cannot be opened.
    Sealed {
        /// Its epoch.
        epoch: u16,
        /// Its type.
        content_type: u8,
    },
}

/// Messages under construction.
#[derive(Default)]
pub(super) struct Ears {
    expected: u16,
    partial: BTreeMap<u16, Partial>,
}

struct Partial {
    epoch: u16,
    typ: u8,
    bytes: Vec<Option<u8>>,
}

impl Ears {
    pub(super) fn begin_again(&mut self) {
        *self = Self::default();
    }

    /// Adds a fragment. A honest sender never contradicts itself, so the first announcement stands.
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
    /// Listens to a datagram: hellos, shares and cookies are remembered, keys derived when they can be. Returns what
    /// was new in it; [`ScriptedPeer::heard`] keeps everything.
    pub fn hear(&mut self, datagram: &[u8]) -> Vec<Heard> {
        let before = self.heard.len();
        let mut rest = datagram;
        while let Some(header) = RecordHeader::decode(rest) {
            let length = HEADER_LEN + usize::from(header.length);
            let Some((record, behind)) = rest.split_at_checked(length) else {
                break;
            };
            rest = behind;
            self.hear_record(&header, record);
        }
        self.heard[before..].to_vec()
    }

    fn hear_record(&mut self, header: &RecordHeader, record: &[u8]) {
        let epoch = u16::try_from(header.number.epoch.number()).unwrap_or(u16::MAX);
        let Some(contents) = self.keys.open(header, record) else {
            let content_type = header.content_type.0;
            self.heard.push(Heard::Sealed {
                epoch,
                content_type,
            });
            return;
        };
        match header.content_type {
            ContentType::HANDSHAKE => self.hear_fragments(epoch, &contents),
            ContentType::CHANGE_CIPHER_SPEC => self.heard.push(Heard::ChangeCipherSpec { epoch }),
            ContentType::ALERT => self.heard.push(Heard::Alert {
                epoch,
                level: contents.first().copied().unwrap_or_default(),
                description: contents.get(1).copied().unwrap_or_default(),
            }),
            _ => self.heard.push(Heard::Data {
                epoch,
                data: contents,
            }),
        }
    }

    fn hear_fragments(&mut self, epoch: u16, contents: &[u8]) {
        let mut reader = Reader::new(contents);
        while let Ok(header) = FragmentHeader::decode(&mut reader) {
            let length = usize::try_from(header.fragment_length).unwrap_or(usize::MAX);
            let Ok(data) = reader.bytes(length, "fragment") else {
                return;
            };
            if header.seq.0 < self.ears.expected {
                self.heard.push(Heard::Repeated {
                    epoch,
                    seq: header.seq.0,
                    typ: header.typ.0,
                });
                continue;
            }
            self.ears.add(epoch, &header, data);
            while let Some(heard) = self.ears.pop() {
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
                if let Ok(offer) = ClientOffer::decode(body) {
                    self.choice.answer(&offer);
                    self.offer = offer;
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
            (side, HandshakeType::FINISHED) => {
                self.verified = Some(self.verify_data(side.peer()) == body);
            }
            _ => {}
        }
        self.enter(typ.0, seq, body);
    }
}
