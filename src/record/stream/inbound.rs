//! The way of a stream upwards: records, keys, messages.

use super::Stream;
use crate::protocol::{ContentType, Epoch, Path, ProtocolVersion, RecordNumber};
use crate::record::{Discard, Fault, Inbound, Received};
use crate::wire::alert;
use crate::wire::record_tls::{HEADER_LEN, MAX_FRAGMENT_LEN, MAX_PLAINTEXT_LEN, RecordHeader};
use bytes::{Buf as _, BytesMut};

/// How many empty data records in a row are tolerated: legal as padding against CBC attacks, which do not exist here.
const MAX_EMPTY_RECORDS: u8 = 32;

/// The next thing that came: a message that is complete, then whatever is in the next record.
#[inline]
pub(super) fn next(layer: &mut Stream) -> Result<Option<Inbound>, Fault> {
    loop {
        if !layer.deframer.is_empty()
            && let Some(message) = layer.deframer.pop(layer.read.epoch)?
        {
            return Ok(Some(Inbound::Handshake(message)));
        }
        let Some((header, record)) = layer.split_record()? else {
            return Ok(None);
        };
        if let Some(inbound) = layer.handle_record(&header, record)? {
            return Ok(Some(inbound));
        }
    }
}

impl Stream {
    /// Cuts the next record from the input, if it is complete.
    #[inline]
    fn split_record(&mut self) -> Result<Option<(RecordHeader, BytesMut)>, Fault> {
        let Some(header) = RecordHeader::decode(&self.input) else {
            return Ok(None);
        };
        self.check_header(&header)?;
        let length = HEADER_LEN + usize::from(header.length);
        if self.input.len() < length {
            return Ok(None);
        }
        Ok(Some((header, self.input.split_to(length))))
    }

    /// What can be told from a header alone, before its record is here.
    #[inline]
    fn check_header(&self, header: &RecordHeader) -> Result<(), Fault> {
        let known = matches!(
            header.content_type,
            ContentType::APPLICATION_DATA
                | ContentType::HANDSHAKE
                | ContentType::ALERT
                | ContentType::CHANGE_CIPHER_SPEC
        );
        if !known {
            return Err(Fault::UnknownContentType);
        }
        // RFC 5246 §E.1: any minor version before the ServerHello.
        let version_fits = match self.decided {
            Some(version) => header.version == version,
            None => header.version.0 >> 8 == ProtocolVersion::TLS12.0 >> 8,
        };
        if !version_fits {
            return Err(Fault::RecordVersion);
        }
        let max = if self.read.opener.is_some() {
            MAX_FRAGMENT_LEN
        } else {
            MAX_PLAINTEXT_LEN
        };
        if usize::from(header.length) > max {
            return Err(Fault::RecordOverflow);
        }
        Ok(())
    }

    /// Opens a record in place and hands up what is in it.
    #[inline]
    fn handle_record(
        &mut self,
        header: &RecordHeader,
        mut record: BytesMut,
    ) -> Result<Option<Inbound>, Fault> {
        let pinned = record.len();
        let sequence = self.read.sequence;
        let contents = match &self.read.opener {
            Some(opener) => {
                let range = opener
                    .open_stream_12(sequence, header, &mut record[HEADER_LEN..])
                    .map_err(|_| Fault::BadRecordMac)?;
                HEADER_LEN + range.start..HEADER_LEN + range.end
            }
            None => HEADER_LEN..record.len(),
        };
        if contents.len() > MAX_PLAINTEXT_LEN {
            return Err(Fault::RecordOverflow);
        }
        // RFC 5246 §6.1: sequence numbers never wrap; nobody lives that long.
        self.read.sequence = sequence.wrapping_add(1);
        self.stats.records_received += 1;
        record.truncate(contents.end);
        record.advance(contents.start);
        match header.content_type {
            ContentType::APPLICATION_DATA => self.data(sequence, record, pinned),
            ContentType::HANDSHAKE if record.is_empty() => Err(Fault::EmptyRecord),
            ContentType::HANDSHAKE => {
                self.deframer.push(&record);
                Ok(None)
            }
            ContentType::ALERT => {
                let alert = alert::decode(&record).ok_or(Fault::MalformedAlert)?;
                let epoch = self.read.epoch;
                let number = RecordNumber { epoch, sequence };
                Ok(Some(Inbound::Alert { alert, number }))
            }
            _ => self.change_cipher_spec(&record),
        }
    }

    #[inline]
    fn data(
        &mut self,
        sequence: u64,
        contents: BytesMut,
        pinned: usize,
    ) -> Result<Option<Inbound>, Fault> {
        let epoch = self.read.epoch;
        // RFC 5246 §6.2.1: data may come between messages of a handshake, never inside one.
        if epoch == Epoch::PLAINTEXT || !self.deframer.is_empty() {
            return Err(Fault::UnexpectedData);
        }
        if contents.is_empty() {
            self.stats.discard(Discard::EmptyData);
            self.empty_records += 1;
            return if self.empty_records > MAX_EMPTY_RECORDS {
                Err(Fault::EmptyRecord)
            } else {
                Ok(None)
            };
        }
        self.empty_records = 0;
        Ok(Some(Inbound::ApplicationData(Received {
            data: contents.freeze(),
            epoch,
            path: Path::UNSPECIFIED,
            sequence,
            pinned,
        })))
    }

    /// RFC 5246 §7.1: switches to the keys that were armed. D1: without them, or inside a message, it is a fault.
    fn change_cipher_spec(&mut self, contents: &[u8]) -> Result<Option<Inbound>, Fault> {
        if contents != [1] || !self.deframer.is_empty() {
            return Err(Fault::UnexpectedChangeCipherSpec);
        }
        let armed = self.armed.take().ok_or(Fault::UnexpectedChangeCipherSpec)?;
        self.read = *armed;
        Ok(None)
    }
}
