//! The keys and record numbers of a scripted peer.

use crate::protocol::{ContentType, Epoch, ProtocolVersion, RecordNumber};
use crate::record::protection::{Opener, Sealer};
use crate::secrets::traffic::RecordProtection;
use crate::wire::record_dtls::{CONNECTION_ID_AT, HEADER_LEN, RecordHeader};
use crate::wire::record_tls;
use std::collections::BTreeMap;

/// The form of records and messages.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Wire {
    /// With epochs, numbers and fragments.
    #[default]
    Datagram,
    /// In order, with short headers.
    Stream,
}

/// Every key since the beginning, by epoch: this peer drops none.
#[derive(Default)]
pub(super) struct Keys {
    /// The form of the records.
    pub(super) wire: Wire,
    sealers: BTreeMap<u16, Sealer>,
    openers: BTreeMap<u16, Opener>,
    /// The connection IDs of the epochs that have some.
    ids: BTreeMap<u16, Ids>,
    sequences: BTreeMap<u16, u64>,
}

/// What records carry; empty for nothing (RFC 9146 §3).
#[derive(Clone, Default)]
pub(super) struct Ids {
    pub(super) write: Vec<u8>,
    pub(super) read: Vec<u8>,
}

impl Keys {
    /// The records of `epoch` carry these.
    pub(super) fn identify(&mut self, epoch: u16, ids: Ids) {
        self.ids.insert(epoch, ids);
    }

    /// What records of `epoch` carry.
    pub(super) fn ids(&self, epoch: u16) -> Ids {
        self.ids.get(&epoch).cloned().unwrap_or_default()
    }

    /// A record with this connection ID, whatever its epoch carries.
    pub(super) fn identified(
        &self,
        content_type: u8,
        epoch: u16,
        sequence: u64,
        id: &[u8],
        payload: &[u8],
    ) -> Vec<u8> {
        let number = RecordNumber {
            epoch: Epoch::new(epoch.into()),
            sequence,
        };
        let (content_type, version) = (ContentType(content_type), ProtocolVersion::DTLS12);
        let mut out = Vec::new();
        if let Some(sealer) = self.sealers.get(&epoch) {
            sealer.seal_identified(number, content_type, version, id, payload, &mut out);
        }
        out
    }

    pub(super) fn install(
        &mut self,
        epoch: u16,
        write: &RecordProtection,
        read: &RecordProtection,
    ) {
        self.sealers.insert(epoch, Sealer::new(write));
        self.openers.insert(epoch, Opener::new(read));
    }

    /// The newest epoch with keys, or that of plaintext.
    pub(super) fn newest(&self) -> u16 {
        self.sealers.keys().next_back().copied().unwrap_or_default()
    }

    pub(super) fn next_sequence(&mut self, epoch: u16) -> u64 {
        let next = self.sequences.entry(epoch).or_default();
        *next += 1;
        *next - 1
    }

    pub(super) fn set_next_sequence(&mut self, epoch: u16, sequence: u64) {
        self.sequences.insert(epoch, sequence);
    }

    pub(super) fn record(
        &self,
        content_type: u8,
        version: u16,
        epoch: u16,
        sequence: u64,
        payload: &[u8],
    ) -> Vec<u8> {
        let number = RecordNumber {
            epoch: Epoch::new(epoch.into()),
            sequence,
        };
        let (content_type, version) = (ContentType(content_type), ProtocolVersion(version));
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        let id = self.ids(epoch).write;
        let mut out = Vec::new();
        match (self.sealers.get(&epoch), self.wire) {
            (Some(sealer), Wire::Datagram) if !id.is_empty() => {
                sealer.seal_identified(number, content_type, version, &id, payload, &mut out);
            }
            (Some(sealer), Wire::Datagram) => {
                sealer.seal_datagram(number, content_type, version, payload, &mut out);
            }
            (Some(sealer), Wire::Stream) => {
                sealer.seal_stream(sequence, content_type, version, payload, &mut out);
            }
            (None, Wire::Datagram) => {
                let header = RecordHeader {
                    content_type,
                    version,
                    number,
                    length,
                };
                out.extend_from_slice(&header.encode());
                out.extend_from_slice(payload);
            }
            (None, Wire::Stream) => {
                let header = record_tls::RecordHeader {
                    content_type,
                    version,
                    length,
                };
                out.extend_from_slice(&header.encode());
                out.extend_from_slice(payload);
            }
        }
        out
    }

    /// The header at the start of a datagram, and how long it is. The connection ID is taken to be
    /// as long as the one that this peer wants in that epoch.
    pub(super) fn header(&self, datagram: &[u8]) -> Option<(RecordHeader, usize)> {
        let header = RecordHeader::decode(datagram)?;
        if header.content_type != ContentType::TLS12_CID {
            return Some((header, HEADER_LEN));
        }
        let id = self.ids(epoch_of(&header)).read;
        let header = RecordHeader::decode_identified(datagram, id.len())?;
        Some((header, HEADER_LEN + id.len()))
    }

    /// Opens a record, header and fragment; `None` if it does not authenticate, if its epoch has no
    /// keys, or if it does not carry what it has to. Its type and its contents.
    pub(super) fn open(
        &self,
        header: &RecordHeader,
        header_len: usize,
        record: &[u8],
    ) -> Option<(ContentType, Vec<u8>)> {
        if header.number.epoch == Epoch::PLAINTEXT {
            return Some((header.content_type, record.get(HEADER_LEN..)?.to_vec()));
        }
        let mut record = record.to_vec();
        let epoch = epoch_of(header);
        let id = self.ids(epoch).read;
        let opener = self.openers.get(&epoch)?;
        if id.is_empty() {
            let fragment = record.get_mut(HEADER_LEN..)?;
            let range = opener.open_12(header, fragment).ok()?;
            return Some((header.content_type, fragment.get(range)?.to_vec()));
        }
        if record.get(CONNECTION_ID_AT..header_len - 2)? != id {
            return None;
        }
        let opened = opener.open_identified_12(header, header_len, &mut record);
        let (range, content_type) = opened.ok()?;
        Some((content_type, record.get(range)?.to_vec()))
    }

    /// Opens the stream record with this sequence number in `epoch`, as [`Keys::open`].
    pub(super) fn open_in_stream(
        &self,
        header: &record_tls::RecordHeader,
        epoch: u16,
        sequence: u64,
        record: &[u8],
    ) -> Option<Vec<u8>> {
        let mut fragment = record.get(record_tls::HEADER_LEN..)?.to_vec();
        if epoch == 0 {
            return Some(fragment);
        }
        let opener = self.openers.get(&epoch)?;
        let (range, _) = opener.open_stream(sequence, header, &mut fragment).ok()?;
        fragment.get(range).map(<[u8]>::to_vec)
    }
}

fn epoch_of(header: &RecordHeader) -> u16 {
    u16::try_from(header.number.epoch.number()).unwrap_or(u16::MAX)
}
