//! A ClientHello whose sender has proved that it receives at its address.

use crate::protocol::dialect::DTLS;
use crate::protocol::{
    CipherSuite, ContentType, Epoch, HandshakeType, MessageSeq, NamedGroup, Path, ProtocolVersion,
    RecordNumber,
};
use crate::wire::client_hello::{ClientHello, HelloPrefix, RANDOM_LEN};
use crate::wire::codec::Reader;
use crate::wire::handshake::{DATAGRAM_HEADER_LEN, FragmentHeader};
use crate::wire::record_dtls::{HEADER_LEN, RecordHeader};
use bytes::BytesMut;

/// The datagram that starts a server's association, after the cookie was checked.
///
/// It carries what the association needs to continue the numbering that the cookie exchange began
/// (RFC 6347 §4.2.1, §4.2.2). Made by [`Cookies::check`](crate::endpoint::Cookies::check), or by
/// [`ProvenHello::without_cookie`] for callers that have proof elsewhere.
#[derive(Debug)]
pub struct ProvenHello {
    pub(crate) path: Path,
    pub(crate) datagram: BytesMut,
    pub(crate) message_seq: MessageSeq,
    pub(crate) record_sequence: u64,
    pub(crate) random: [u8; RANDOM_LEN],
    /// What the cookie brought back, at 1.3.
    pub(crate) retried: Option<Box<Retried>>,
    /// When its cookie was issued; `None` if it was taken without one.
    pub(crate) issued: Option<Issued>,
    /// The address was not proved after all: only a resumption is worth an answer.
    pub(crate) only_resume: bool,
}

/// The moment at which a cookie was issued, by the clock of its issuer: later ones are greater, and
/// none is equal.
///
/// It tells a client that has started again from a replayed hello: the client has asked for a
/// cookie after the known attempt began, the replay shows an older one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Issued(pub(crate) u64);

/// What a HelloRetryRequest said. The server has not kept it: the client's cookie brings it back
/// (RFC 8446 §4.2.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Retried {
    /// The hash of the first ClientHello, by the hash function of the suite (RFC 8446 §4.4.1).
    pub(crate) first_hash: Vec<u8>,
    /// The suite that was chosen.
    pub(crate) suite: CipherSuite,
    /// The group that was asked for, if the first hello had no share of it.
    pub(crate) group: Option<NamedGroup>,
    /// The cookie.
    pub(crate) cookie: Vec<u8>,
}

impl ProvenHello {
    /// Takes a datagram that begins with a ClientHello as proven, whatever cookie it has.
    ///
    /// Only for callers that know by other means that the sender receives at its address: otherwise
    /// anybody can make the server send a whole flight to a victim, and hold state for it. `None`
    /// if the datagram begins otherwise.
    pub fn without_cookie(path: Path, datagram: BytesMut) -> Option<Self> {
        let FirstHello {
            record,
            fragment,
            prefix,
        } = FirstHello::decode(&datagram)?;
        let (message_seq, record_sequence) = (fragment.seq, record.number.sequence);
        let random = prefix.random;
        Some(Self {
            path,
            datagram,
            message_seq,
            record_sequence,
            random,
            retried: None,
            issued: None,
            only_resume: false,
        })
    }

    /// The same with the moment at which its cookie was issued.
    pub(crate) fn asked_at(mut self, issued: Issued) -> Self {
        self.issued = Some(issued);
        self
    }

    /// The same with what a HelloRetryRequest said.
    pub(crate) fn answering(mut self, retried: Retried) -> Self {
        self.retried = Some(Box::new(retried));
        self
    }

    /// The hello of a client whose address was not proved, to be served only if it resumes a
    /// session.
    pub(crate) fn for_resumption(path: Path, datagram: BytesMut) -> Option<Self> {
        let mut hello = Self::without_cookie(path, datagram)?;
        hello.only_resume = true;
        Some(hello)
    }

    /// Where the client is.
    pub fn path(&self) -> Path {
        self.path
    }
}

/// The beginning of a ClientHello, up to its cookie, as the first record of a datagram.
pub(crate) struct FirstHello<'a> {
    pub(crate) record: RecordHeader,
    pub(crate) fragment: FragmentHeader,
    pub(crate) prefix: HelloPrefix<'a>,
}

/// The highest message_seq of a hello that is served. Each HelloVerifyRequest adds one, and clients
/// give up soon.
const MAX_MESSAGE_SEQ: u16 = 64;

/// The highest record sequence of a hello that is served: the answers continue from it (RFC 6347
/// §4.2.1).
const MAX_RECORD_SEQUENCE: u64 = RecordNumber::LIMIT_48 / 2;

impl FirstHello<'_> {
    /// The ClientHello at the beginning of a datagram, if it is there as a whole.
    pub(crate) fn whole(datagram: &[u8]) -> Option<ClientHello> {
        ClientHello::decode(&DTLS, Self::whole_body(datagram)?).ok()
    }

    /// The body of the ClientHello at the beginning of a datagram, if it is there as a whole.
    pub(crate) fn whole_body(datagram: &[u8]) -> Option<&[u8]> {
        let first = FirstHello::decode(datagram).filter(FirstHello::is_whole)?;
        let length = usize::try_from(first.fragment.length).ok()?;
        let start = HEADER_LEN + DATAGRAM_HEADER_LEN;
        datagram.get(start..start + length)
    }

    /// Whether the whole hello is here.
    pub(crate) fn is_whole(&self) -> bool {
        self.fragment.fragment_length == self.fragment.length
    }

    /// Whether a server can go on from a hello with these numbers.
    pub(crate) fn is_in_range(seq: MessageSeq, record_sequence: u64) -> bool {
        seq.0 <= MAX_MESSAGE_SEQ && record_sequence <= MAX_RECORD_SEQUENCE
    }
}

impl<'a> FirstHello<'a> {
    /// Reads it; `None` if the datagram does not begin with a hello that a server could go on from.
    pub(crate) fn decode(datagram: &'a [u8]) -> Option<Self> {
        let record = RecordHeader::decode(datagram)?;
        let version_fits =
            [ProtocolVersion::DTLS10, ProtocolVersion::DTLS12].contains(&record.version);
        let plaintext = record.number.epoch == Epoch::PLAINTEXT;
        if record.content_type != ContentType::HANDSHAKE || !version_fits || !plaintext {
            return None;
        }
        let contents = datagram.get(HEADER_LEN..HEADER_LEN + usize::from(record.length))?;
        let mut reader = Reader::new(contents);
        let fragment = FragmentHeader::decode(&mut reader).ok()?;
        let starts = fragment.typ == HandshakeType::CLIENT_HELLO && fragment.offset == 0;
        let in_range = Self::is_in_range(fragment.seq, record.number.sequence);
        if !starts || !in_range {
            return None;
        }
        let length = usize::try_from(fragment.fragment_length).ok()?;
        let mut body = Reader::new(reader.bytes(length, "fragment").ok()?);
        let prefix = HelloPrefix::decode(&DTLS, &mut body).ok()?;
        Some(Self {
            record,
            fragment,
            prefix,
        })
    }
}
