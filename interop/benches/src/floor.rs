//! The bare `ring` operations that no record layer can do without, as `benches/records.rs` defines
//! them: header, nonce, additional data, one copy of the payload into the datagram, seal, tag; and
//! opening in place. At 1.3 the number is masked both ways as well (RFC 9147 §4.2.3).

use ring::aead::quic::HeaderProtectionKey;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};

/// What a version adds to a payload, in bytes.
pub const OVERHEAD_12: usize = HEADER_12 + EXPLICIT + TAG;

const HEADER_12: usize = 13;
const HEADER_13: usize = 5;
const EXPLICIT: usize = 8;
const TAG: usize = 16;

/// application_data.
const CONTENT: u8 = 23;

fn key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("a key of 16 bytes"))
}

/// Records of version 1.2.
pub struct Floor12 {
    key: LessSafeKey,
    sequence: u64,
}

impl Floor12 {
    /// One direction of an association.
    pub fn new() -> Self {
        Self {
            key: key(),
            sequence: 1 << 48,
        }
    }

    fn nonce(explicit: &[u8]) -> Nonce {
        let mut nonce = [5; 12];
        nonce[4..].copy_from_slice(explicit);
        Nonce::assume_unique_for_key(nonce)
    }

    fn aad(number: [u8; 8], length: usize) -> Aad<[u8; 13]> {
        let mut aad = [0; 13];
        aad[..8].copy_from_slice(&number);
        aad[8..11].copy_from_slice(&[CONTENT, 0xfe, 0xfd]);
        aad[11..].copy_from_slice(&(length as u16).to_be_bytes());
        Aad::from(aad)
    }

    /// Appends one datagram to `out`.
    pub fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let number = self.sequence.to_be_bytes();
        self.sequence += 1;
        let start = out.len();
        out.extend_from_slice(&[CONTENT, 0xfe, 0xfd]);
        out.extend_from_slice(&number);
        out.extend_from_slice(&((payload.len() + EXPLICIT + TAG) as u16).to_be_bytes());
        out.extend_from_slice(&number);
        out.extend_from_slice(payload);
        let aad = Self::aad(number, payload.len());
        let data = &mut out[start + HEADER_12 + EXPLICIT..];
        let tag = self
            .key
            .seal_in_place_separate_tag(Self::nonce(&number), aad, data)
            .expect("the payload is short");
        out.extend_from_slice(tag.as_ref());
    }

    /// Opens a datagram in place and returns the length of its payload.
    pub fn open(&self, datagram: &mut [u8]) -> usize {
        let number = datagram[3..11].try_into().expect("eight bytes");
        let aad = Self::aad(number, datagram.len() - OVERHEAD_12);
        let (header, data) = datagram.split_at_mut(HEADER_12 + EXPLICIT);
        let nonce = Self::nonce(&header[HEADER_12..]);
        let opened = self.key.open_in_place(nonce, aad, data);
        opened.expect("sealed with the same key").len()
    }
}

/// Records of version 1.3, with a header of five bytes: no connection ID, 16 bits of number, a
/// length.
pub struct Floor13 {
    key: LessSafeKey,
    mask: HeaderProtectionKey,
    sequence: u64,
}

impl Floor13 {
    /// One direction of an association.
    pub fn new() -> Self {
        let mask = HeaderProtectionKey::new(&quic::AES_128, &[9; 16]);
        Self {
            key: key(),
            mask: mask.expect("a key of 16 bytes"),
            sequence: 1 << 8,
        }
    }

    fn nonce(sequence: u64) -> Nonce {
        let mut nonce = [5; 12];
        for (byte, number) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        Nonce::assume_unique_for_key(nonce)
    }

    fn apply_mask(&self, record: &mut [u8]) {
        let sample = &record[HEADER_13..HEADER_13 + quic::AES_128.sample_len()];
        let mask = self.mask.new_mask(sample).expect("a sample of its length");
        record[1] ^= mask[0];
        record[2] ^= mask[1];
    }

    /// Appends one datagram to `out`.
    pub fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let sequence = self.sequence;
        self.sequence += 1;
        let start = out.len();
        out.push(0b0010_1111);
        out.extend_from_slice(&(sequence as u16).to_be_bytes());
        out.extend_from_slice(&((payload.len() + 1 + TAG) as u16).to_be_bytes());
        out.extend_from_slice(payload);
        out.push(CONTENT);
        let (header, data) = out[start..].split_at_mut(HEADER_13);
        let tag = self
            .key
            .seal_in_place_separate_tag(Self::nonce(sequence), Aad::from(&header[..]), data)
            .expect("the payload is short");
        out.extend_from_slice(tag.as_ref());
        self.apply_mask(&mut out[start..]);
    }

    /// Opens the datagram that was sealed last, in place, and returns the length of its payload.
    pub fn open(&self, datagram: &mut [u8]) -> usize {
        self.apply_mask(datagram);
        let number = u16::from_be_bytes([datagram[1], datagram[2]]);
        let sequence = ((self.sequence - 1) & !0xffff) | u64::from(number);
        let (header, data) = datagram.split_at_mut(HEADER_13);
        let opened = self
            .key
            .open_in_place(Self::nonce(sequence), Aad::from(&header[..]), data);
        // The content type is inside.
        opened.expect("sealed with the same key").len() - 1
    }
}
