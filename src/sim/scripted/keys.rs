//! The keys and record numbers of a scripted peer.

use crate::protocol::{ContentType, Epoch, ProtocolVersion, RecordNumber};
use crate::record::protection::{Opener, Sealer};
use crate::secrets::traffic::RecordProtection;
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
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
    sequences: BTreeMap<u16, u64>,
}

impl Keys {
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
        let mut out = Vec::new();
        match (self.sealers.get(&epoch), self.wire) {
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

    /// Opens a record, header and fragment; `None` if it does not authenticate or its epoch has no
    /// keys.
    pub(super) fn open(&self, header: &RecordHeader, record: &[u8]) -> Option<Vec<u8>> {
        let mut fragment = record.get(HEADER_LEN..)?.to_vec();
        if header.number.epoch == Epoch::PLAINTEXT {
            return Some(fragment);
        }
        let epoch = u16::try_from(header.number.epoch.number()).ok()?;
        let range = self
            .openers
            .get(&epoch)?
            .open_12(header, &mut fragment)
            .ok()?;
        fragment.get(range).map(<[u8]>::to_vec)
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
