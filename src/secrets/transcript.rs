//! The running record of a handshake's messages (RFC 5246 §7.4.9, RFC 6347 §4.2.6,
//! RFC 8446 §4.4.1).

use crate::crypto::hash::{Digest, HashAlgorithm, RunningHash};
use crate::protocol::dialect::HeaderForm;
use crate::protocol::{Dialect, HandshakeType, MessageSeq};
use crate::wire::handshake::{DATAGRAM_HEADER_LEN, FragmentHeader, STREAM_HEADER_LEN};

/// Every handshake message so far, each with the header that the version hashes in this dialect.
///
/// Messages are kept as they are until the version is known, because it decides the form of their
/// headers: at 1.3 both transports hash the short one (RFC 9147 §5.2). At 1.2 the bytes are kept
/// until [`Transcript::forget_messages`] where a CertificateVerify may follow, which signs them
/// with a hash that its signer chooses.
pub(crate) struct Transcript {
    header_12: HeaderForm,
    state: State,
}

/// What is kept of the messages of a handshake of version 1.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keeps {
    /// Their bytes: a CertificateVerify may sign them, or the first of them may change.
    Messages,
    /// Nothing but their hash.
    HashAlone,
}

impl Keeps {
    /// Their bytes, if they are needed.
    pub(crate) const fn messages_if(needed: bool) -> Self {
        if needed {
            Self::Messages
        } else {
            Self::HashAlone
        }
    }
}

#[allow(
    clippy::large_enum_variant,
    reason = "a transcript is short-lived and spends most of its life hashing; how large the hash is depends on the provider"
)]
enum State {
    /// The version is not known.
    Undecided(Vec<(HandshakeType, MessageSeq, Vec<u8>)>),
    /// Messages are hashed as they come.
    Hashing {
        header: HeaderForm,
        messages: Option<Vec<u8>>,
        hash: RunningHash,
    },
}

impl Transcript {
    /// An empty transcript.
    pub(crate) const fn new(dialect: &Dialect) -> Self {
        Self {
            header_12: dialect.transcript_header_12,
            state: State::Undecided(Vec::new()),
        }
    }

    /// A transcript of version 1.3 after a first ClientHello with this hash; the HelloRetryRequest
    /// that answers it is added next (RFC 8446 §4.4.1).
    pub(crate) fn after_retry(dialect: &Dialect, algorithm: HashAlgorithm, first: &[u8]) -> Self {
        let mut transcript = Self::new(dialect);
        transcript.start_hash_13(algorithm);
        transcript.add(HandshakeType::MESSAGE_HASH, MessageSeq::FIRST, first);
        transcript
    }

    /// Adds one whole message, sent or received.
    pub(crate) fn add(&mut self, typ: HandshakeType, seq: MessageSeq, body: &[u8]) {
        let (header, messages, hash) = match &mut self.state {
            State::Undecided(waiting) => return waiting.push((typ, seq, body.to_vec())),
            State::Hashing {
                header,
                messages,
                hash,
            } => (*header, messages, hash),
        };
        let head = Head::of(header, typ, seq, body.len());
        for part in [head.as_ref(), body] {
            if let Some(messages) = messages {
                messages.extend_from_slice(part);
            }
            hash.update(part);
        }
    }

    /// Starts hashing in the form of version 1.2; earlier messages are hashed first. Their bytes
    /// and those of later ones are kept if `keeps` says so.
    pub(crate) fn start_hash(&mut self, algorithm: HashAlgorithm, keeps: Keeps) {
        let messages = match keeps {
            Keeps::Messages => Some(Vec::new()),
            Keeps::HashAlone => None,
        };
        self.start(algorithm, self.header_12, messages);
    }

    /// Starts hashing in the form of version 1.3; earlier messages are hashed first.
    pub(crate) fn start_hash_13(&mut self, algorithm: HashAlgorithm) {
        self.start(algorithm, HeaderForm::Stream, None);
    }

    fn start(&mut self, algorithm: HashAlgorithm, header: HeaderForm, messages: Option<Vec<u8>>) {
        let State::Undecided(waiting) = &mut self.state else {
            return;
        };
        let waiting = std::mem::take(waiting);
        self.state = State::Hashing {
            header,
            messages,
            hash: algorithm.start(),
        };
        for (typ, seq, body) in waiting {
            self.add(typ, seq, &body);
        }
    }

    /// The hash of everything so far and of the beginning of a message that will be `length` bytes
    /// long: what the binders of a ClientHello cover (RFC 8446 §4.2.11.2).
    pub(crate) fn hash_with_partial(
        &self,
        algorithm: HashAlgorithm,
        typ: HandshakeType,
        length: usize,
        beginning: &[u8],
    ) -> Digest {
        let mut hash = match &self.state {
            State::Hashing { hash, .. } => hash.clone(),
            State::Undecided(_) => algorithm.start(),
        };
        hash.update(Head::of(HeaderForm::Stream, typ, MessageSeq::FIRST, length).as_ref());
        hash.update(beginning);
        hash.snapshot()
    }

    /// Replaces the first message by another one; possible until the bytes of the messages are
    /// dropped. `algorithm` is that of the hash.
    pub(crate) fn replace_first(
        &mut self,
        algorithm: HashAlgorithm,
        typ: HandshakeType,
        seq: MessageSeq,
        body: &[u8],
    ) {
        let State::Hashing {
            header,
            messages: Some(messages),
            hash,
        } = &mut self.state
        else {
            return;
        };
        // In both forms of the header the type is followed by the length of the body, in three
        // bytes.
        let length = match messages[..] {
            [_, a, b, c, ..] => u32::from_be_bytes([0, a, b, c]),
            _ => return,
        };
        let head = Head::of(*header, typ, seq, body.len());
        let head = head.as_ref();
        let first = head.len() + usize::try_from(length).unwrap_or(usize::MAX);
        let rest = messages.get(first..).unwrap_or_default();
        *messages = [head, body, rest].concat();
        *hash = algorithm.start();
        hash.update(messages);
    }

    /// Drops the bytes of the messages, when no signature over them can follow.
    pub(crate) fn forget_messages(&mut self) {
        if let State::Hashing { messages, .. } = &mut self.state {
            *messages = None;
        }
    }

    /// The bytes of the messages so far; empty once they have been dropped.
    pub(crate) fn messages(&self) -> &[u8] {
        match &self.state {
            State::Hashing {
                messages: Some(messages),
                ..
            } => messages,
            _ => &[],
        }
    }

    /// The hash of everything so far, with the suite's hash function.
    ///
    /// # Panics
    ///
    /// If hashing was not started. It is started at the ServerHello, before any state asks for a
    /// hash.
    pub(crate) fn hash(&self) -> Digest {
        match &self.state {
            State::Hashing { hash, .. } => hash.snapshot(),
            State::Undecided(_) => unreachable!("hashing starts with the ServerHello"),
        }
    }
}

/// The header of a whole message.
struct Head {
    bytes: [u8; DATAGRAM_HEADER_LEN],
    form: HeaderForm,
}

impl Head {
    fn of(form: HeaderForm, typ: HandshakeType, seq: MessageSeq, length: usize) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let bytes = FragmentHeader::whole(typ, seq, length).to_bytes();
        Self { bytes, form }
    }
}

impl AsRef<[u8]> for Head {
    fn as_ref(&self) -> &[u8] {
        match self.form {
            // It is how the other one begins.
            HeaderForm::Stream => &self.bytes[..STREAM_HEADER_LEN],
            HeaderForm::Datagram => &self.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::dialect::{DTLS, TLS};

    /// RFC 5246 §7.4.9: over a stream the header is type and length.
    #[test]
    fn a_stream_hashes_the_short_header() {
        let mut transcript = Transcript::new(&TLS);
        transcript.add(HandshakeType::CLIENT_HELLO, MessageSeq(1), b"ab");
        transcript.start_hash(HashAlgorithm::Sha256, Keeps::Messages);
        assert_eq!(transcript.messages(), [1, 0, 0, 2, b'a', b'b']);
    }

    /// RFC 9147 §5.2: at 1.3 the numbers of message and fragment are left out over datagrams as
    /// well.
    #[test]
    fn r9147_23_both_transports_hash_the_short_header() {
        for dialect in [&TLS, &DTLS] {
            let mut transcript = Transcript::new(dialect);
            transcript.add(HandshakeType::CLIENT_HELLO, MessageSeq(7), b"ab");
            transcript.start_hash_13(HashAlgorithm::Sha256);
            transcript.add(HandshakeType::SERVER_HELLO, MessageSeq(9), b"c");
            let expected =
                HashAlgorithm::Sha256.digest(&[1, 0, 0, 2, b'a', b'b', 2, 0, 0, 1, b'c']);
            assert_eq!(transcript.hash().as_ref(), expected.as_ref());
        }
    }

    #[test]
    fn messages_before_and_after_the_choice_of_hash_are_all_in_it() {
        let mut transcript = Transcript::new(&DTLS);
        transcript.add(HandshakeType::CLIENT_HELLO, MessageSeq(1), b"ab");
        transcript.start_hash(HashAlgorithm::Sha256, Keeps::Messages);
        transcript.add(HandshakeType::SERVER_HELLO, MessageSeq(1), b"c");
        // RFC 6347 §4.2.6: the header is that of the unfragmented message, offset 0 and full
        // length.
        let expected = [
            &[1, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 2][..],
            b"ab",
            &[2, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1][..],
            b"c",
        ]
        .concat();
        assert_eq!(transcript.messages(), expected);
        assert_eq!(
            transcript.hash().as_ref(),
            HashAlgorithm::Sha256.digest(&expected).as_ref()
        );
    }
}
