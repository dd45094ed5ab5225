//! Messages of CoAP (RFC 7252), as much of them as a small service needs.
//!
//! ```text
//!  ver|type|length of the token, code, message ID (2), token, options, 0xff, payload
//! ```

use sealgram_interop::failure::{Failure, Outcome};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Kind,
    pub(super) code: u8,
    pub(super) id: u16,
    pub(super) token: Vec<u8>,
    /// Numbers and values, in order.
    pub(super) options: Vec<(u16, Vec<u8>)>,
    pub(super) payload: Vec<u8>,
}

/// What becomes of a message if no answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Confirmable,
    NonConfirmable,
    Acknowledgement,
    Reset,
}

impl Message {
    /// The answer to this message, carried by its acknowledgement (RFC 7252 §5.2.1).
    pub(super) fn answer(&self, code: u8, payload: &[u8]) -> Self {
        Self {
            kind: match self.kind {
                Kind::Confirmable => Kind::Acknowledgement,
                _ => Kind::NonConfirmable,
            },
            code,
            id: self.id,
            token: self.token.clone(),
            options: Vec::new(),
            payload: payload.to_owned(),
        }
    }

    /// An acknowledgement that carries nothing.
    pub(super) fn acknowledgement(&self) -> Self {
        Self {
            token: Vec::new(),
            kind: Kind::Acknowledgement,
            ..self.answer(EMPTY, b"")
        }
    }

    /// The path that a request names.
    pub(super) fn path(&self) -> String {
        let of_path = self
            .options
            .iter()
            .filter(|(number, _)| *number == URI_PATH);
        let segments: Vec<_> = of_path
            .map(|(_, value)| String::from_utf8_lossy(value))
            .collect();
        segments.join("/")
    }

    /// The value of an option that is a number (RFC 7252 §3.2).
    pub(super) fn number(&self, option: u16) -> Option<u32> {
        let (_, value) = self.options.iter().find(|(number, _)| *number == option)?;
        Some(
            value
                .iter()
                .fold(0, |all, &byte| all << 8 | u32::from(byte)),
        )
    }

    pub(super) fn decode(bytes: &[u8]) -> Outcome<Self> {
        read(bytes).ok_or_else(|| Failure::new(format!("no CoAP message: {bytes:02x?}")))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let kind = self.kind as u8;
        let length = u8::try_from(self.token.len()).expect("at most 8");
        let mut out = vec![VERSION << 6 | kind << 4 | length, self.code];
        out.extend(self.id.to_be_bytes());
        out.extend(&self.token);
        let mut before = 0;
        for (number, value) in &self.options {
            let (delta, delta_more) = nibble(usize::from(number - before));
            let (length, length_more) = nibble(value.len());
            out.push(delta << 4 | length);
            out.extend(delta_more.into_iter().chain(length_more));
            out.extend(value);
            before = *number;
        }
        if !self.payload.is_empty() {
            out.push(MARKER);
            out.extend(&self.payload);
        }
        out
    }
}

fn read(bytes: &[u8]) -> Option<Message> {
    let (&[first, code, id @ ..], rest) = bytes.split_first_chunk::<4>()?;
    let kind = match first >> 4 & 3 {
        0 => Kind::Confirmable,
        1 => Kind::NonConfirmable,
        2 => Kind::Acknowledgement,
        _ => Kind::Reset,
    };
    let (token, mut rest) = rest.split_at_checked(usize::from(first & 15))?;
    let (mut options, mut number) = (Vec::new(), 0);
    let payload = loop {
        match rest.split_first() {
            None => break Vec::new(),
            Some((&MARKER, payload)) => break payload.to_owned(),
            Some((&head, more)) => {
                let (delta, more) = extended(head >> 4, more)?;
                let (length, more) = extended(head & 15, more)?;
                let (value, more) = more.split_at_checked(usize::from(length))?;
                number += delta;
                options.push((number, value.to_owned()));
                rest = more;
            }
        }
    };
    (first >> 6 == VERSION).then(|| Message {
        kind,
        code,
        id: u16::from_be_bytes(id),
        token: token.to_owned(),
        options,
        payload,
    })
}

/// A delta or a length: 13 says that a byte follows, to which 13 is added (RFC 7252 §3.1). Longer
/// ones do not come here.
fn extended(nibble: u8, bytes: &[u8]) -> Option<(u16, &[u8])> {
    match nibble {
        13 => bytes
            .split_first()
            .map(|(&byte, rest)| (u16::from(byte) + 13, rest)),
        0..13 => Some((nibble.into(), bytes)),
        _ => None,
    }
}

fn nibble(value: usize) -> (u8, Option<u8>) {
    let value = u8::try_from(value).expect("neither deltas nor values are longer here");
    match value {
        0..13 => (value, None),
        _ => (13, Some(value - 13)),
    }
}

const VERSION: u8 = 1;
const MARKER: u8 = 0xff;

pub(super) const EMPTY: u8 = 0;
pub(super) const GET: u8 = 1;
pub(super) const PUT: u8 = 3;
/// 2.01, 2.04, 2.05, 4.04.
pub(super) const CREATED: u8 = 2 << 5 | 1;
pub(super) const CHANGED: u8 = 2 << 5 | 4;
pub(super) const CONTENT: u8 = 2 << 5 | 5;
pub(super) const NOT_FOUND: u8 = 4 << 5 | 4;

pub(super) const OBSERVE: u16 = 6;
pub(super) const URI_PATH: u16 = 11;
/// The block of an answer: its number, whether more follow, the logarithm of its size less 4
/// (RFC 7959 §2.2).
pub(super) const BLOCK2: u16 = 23;
