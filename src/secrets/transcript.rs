//! The running record of a handshake's messages (RFC 5246 §7.4.9, RFC 6347 §4.2.6).

use crate::crypto::hash::{Digest, HashAlgorithm, HashContext};
use crate::protocol::dialect::HeaderForm;
use crate::protocol::{Dialect, HandshakeType, MessageSeq};
use crate::wire::handshake::{FragmentHeader, StreamHeader};

/// Every handshake message so far, each with the header that its dialect hashes.
///
/// The bytes themselves are kept until [`Transcript::forget_messages`], because the hash is not known before
/// the ServerHello and a CertificateVerify signs the messages with a hash of its own choice.
pub(crate) struct Transcript {
    header: HeaderForm,
    messages: Option<Vec<u8>>,
    hash: Option<HashContext>,
}

impl Transcript {
    /// An empty transcript.
    pub(crate) const fn new(dialect: &Dialect) -> Self {
        Self {
            header: dialect.transcript_header_12,
            messages: Some(Vec::new()),
            hash: None,
        }
    }

    /// Adds one whole message, sent or received.
    pub(crate) fn add(&mut self, typ: HandshakeType, seq: MessageSeq, body: &[u8]) {
        let mut header = Vec::with_capacity(16);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        match self.header {
            HeaderForm::Stream => StreamHeader { typ, length }.encode(&mut header),
            HeaderForm::Datagram => {
                FragmentHeader::whole(typ, seq, length).encode(&mut header);
            }
        }
        for part in [&header[..], body] {
            if let Some(messages) = &mut self.messages {
                messages.extend_from_slice(part);
            }
            if let Some(hash) = &mut self.hash {
                hash.update(part);
            }
        }
    }

    /// Starts hashing, once the suite is known; earlier messages are hashed first.
    pub(crate) fn start_hash(&mut self, algorithm: HashAlgorithm) {
        let mut hash = algorithm.start();
        if let Some(messages) = &self.messages {
            hash.update(messages);
        }
        self.hash = Some(hash);
    }

    /// Drops the bytes of the messages, when no signature over them can follow.
    pub(crate) fn forget_messages(&mut self) {
        self.messages = None;
    }

    /// The bytes of the messages so far; empty once they were forgotten.
    pub(crate) fn messages(&self) -> &[u8] {
        self.messages.as_deref().unwrap_or_default()
    }

    /// The hash of everything so far, with the suite's hash function.
    ///
    /// # Panics
    ///
    /// If [`Transcript::start_hash`] was not called; every state behind the ServerHello comes after that call.
    pub(crate) fn hash(&self) -> Digest {
        self.hash
            .as_ref()
            .expect("hashing starts with the ServerHello")
            .snapshot()
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
        assert_eq!(transcript.messages(), [1, 0, 0, 2, b'a', b'b']);
    }

    #[test]
    fn messages_before_and_after_the_choice_of_hash_are_all_in_it() {
        let mut transcript = Transcript::new(&DTLS);
        transcript.add(HandshakeType::CLIENT_HELLO, MessageSeq(1), b"ab");
        transcript.start_hash(HashAlgorithm::Sha256);
        transcript.add(HandshakeType::SERVER_HELLO, MessageSeq(1), b"c");
        // RFC 6347 §4.2.6: the header is that of the unfragmented message, offset 0 and full length.
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
