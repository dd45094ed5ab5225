//! Sessions as bytes: in tickets, in stores outside the process, in exported files.
//!
//! ```text
//!  form (4) ‖ version (2) ‖ suite (2) ‖ flags (1) ‖ scheme (2) ‖ created (8) ‖ lifetime (4)
//!           ‖ group (2) ‖ master secret (48) ‖ id<0..32>
//!           ‖ ticket<0..2^16-1> ‖ alpn<0..255> ‖ server name<0..2^16-1> ‖ identity
//!
//!  form (5) ‖ version (2) ‖ suite (2) ‖ flags (1) ‖ scheme (2) ‖ created (8) ‖ issued (8)
//!           ‖ lifetime (4) ‖ age_add (4) ‖ psk<32..48>
//!           ‖ ticket<0..2^16-1> ‖ alpn<0..255> ‖ server name<0..2^16-1> ‖ identity
//!
//!  identity: certificates<0..2^24-1>, or raw public key<1..2^24-1>,
//!            or identity of a shared key<0..2^16-1> ‖ its context<0..2^16-1>
//! ```

use super::{Agreed, MAX_LIFETIME, Session, Session12, Session13};
use crate::crypto::suite::{self, Suite};
use crate::error::InvalidMessage;
use crate::identity::{Identity, SharedKeyName};
use crate::protocol::{
    CipherSuite, MaxFragmentLength, NamedGroup, ProtocolVersion, SignatureScheme,
};
use crate::secrets::schedule12::MasterSecret;
use crate::secrets::schedule13::Secret;
use crate::wire::certificate;
use crate::wire::client_hello::MAX_SESSION_ID_LEN;
use crate::wire::codec::{Reader, Writer};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The form of a session of 1.2.
const FORM_12: u8 = 4;

/// The form of a session of 1.3.
const FORM_13: u8 = 5;

const EXTENDED_MASTER_SECRET: u8 = 1;
const HAS_SERVER_NAME: u8 = 2;
/// The peer's identity is the certificates at the end; one of another kind has a flag of its own.
const HAS_CERTIFICATES: u8 = 4;
const HAS_RAW_KEY: u8 = 8;
const HAS_SHARED_KEY: u8 = 16;
/// A shared key that is imported, and has a context.
const HAS_IMPORTED_KEY: u8 = HAS_RAW_KEY | HAS_SHARED_KEY;
/// The highest three bits of the flags are the number of a max_fragment_length, 0 for none.
const MAX_FRAGMENT_AT: u32 = 5;

/// The most that the fields of fixed length and the lengths of the others take, in bytes.
const FIXED_LEN: usize = 115;

/// What both forms say.
struct Common<'a> {
    agreed: &'a Agreed,
    ticket: &'a [u8],
}

impl Common<'_> {
    /// The beginning, with the flags of the form, in a buffer that need not grow: no copy of the
    /// secret may remain.
    fn begin(&self, form: u8, of_form: u8) -> Zeroizing<Vec<u8>> {
        let agreed = self.agreed;
        let (flag, identity) = identity_size(agreed.peer_identity.as_ref());
        let alpn = agreed.alpn.as_ref().map_or(0, Vec::len);
        let names = alpn + agreed.server_name.as_ref().map_or(0, |name| name.len());
        let capacity = FIXED_LEN + MAX_SESSION_ID_LEN + self.ticket.len() + names + identity;
        let mut out = Zeroizing::new(Vec::with_capacity(capacity));
        out.put_u8(form);
        out.put(&agreed.version.to_bytes());
        out.put_u16(agreed.suite.id.0);
        let name = u8::from(agreed.server_name.is_some()) * HAS_SERVER_NAME;
        out.put_u8(of_form | name | flag);
        // Nothing is signed with 0.
        out.put_u16(agreed.peer_scheme.map_or(0, |scheme| scheme.0));
        out.put_u64(agreed.created);
        out
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.put_vec(2, |out| out.put(self.ticket));
        out.put_vec(1, |out| {
            out.put(self.agreed.alpn.as_deref().unwrap_or_default())
        });
        let name = self.agreed.server_name.as_deref().unwrap_or_default();
        out.put_vec(2, |out| out.put(name.as_bytes()));
        encode_identity(self.agreed.peer_identity.as_ref(), out);
    }
}

/// The flags of an identity, and how many bytes it takes beside the lengths of its fields.
fn identity_size(identity: Option<&Identity>) -> (u8, usize) {
    match identity {
        None => (0, 0),
        Some(Identity::Certificate(chain)) => {
            let certificates = chain.iter().map(|one| one.len() + 3);
            (HAS_CERTIFICATES, certificates.sum())
        }
        Some(Identity::RawPublicKey(key)) => (HAS_RAW_KEY, key.len()),
        Some(Identity::SharedKey(name)) => match name.context() {
            None => (HAS_SHARED_KEY, name.identity().len()),
            Some(context) => {
                let length = name.identity().len() + context.len();
                (HAS_IMPORTED_KEY, length)
            }
        },
    }
}

fn encode_identity(identity: Option<&Identity>, out: &mut Vec<u8>) {
    match identity {
        None => certificate::encode(&[], out),
        Some(Identity::Certificate(chain)) => certificate::encode(chain, out),
        Some(Identity::RawPublicKey(key)) => out.put_vec(3, |out| out.put(key)),
        Some(Identity::SharedKey(name)) => {
            out.put_vec(2, |out| out.put(name.identity()));
            out.put_vec(2, |out| out.put(name.context().unwrap_or_default()));
        }
    }
}

fn decode_identity(bytes: &[u8], flags: u8) -> Result<Option<Identity>, InvalidMessage> {
    let mut reader = Reader::new(bytes);
    let identity = match flags & (HAS_CERTIFICATES | HAS_RAW_KEY | HAS_SHARED_KEY) {
        0 => {
            certificate::decode(reader.rest())?;
            None
        }
        HAS_CERTIFICATES => {
            let claim = Identity::of_chain(certificate::decode(reader.rest())?);
            Some(claim.ok_or(InvalidMessage::EmptyList("certificates"))?)
        }
        HAS_RAW_KEY => {
            let key = reader.vec24("raw public key")?.to_vec();
            Some(Identity::RawPublicKey(Arc::new(key.into())))
        }
        kind @ (HAS_SHARED_KEY | HAS_IMPORTED_KEY) => {
            let identity = reader.vec16("identity of a shared key")?;
            let context = reader.vec16("context of a shared key")?;
            let context = (kind == HAS_IMPORTED_KEY).then_some(context);
            let name = SharedKeyName::from_parts(identity, context);
            Some(Identity::SharedKey(Arc::new(name)))
        }
        _ => return Err(InvalidMessage::IllegalValue("session flags")),
    };
    reader.finish("session")?;
    Ok(identity)
}

/// Writes a session of 1.2.
pub(super) fn encode_12(session: &Session12) -> Zeroizing<Vec<u8>> {
    let common = Common {
        agreed: &session.agreed,
        ticket: &session.ticket,
    };
    let bound = u8::from(session.extended_master_secret) * EXTENDED_MASTER_SECRET;
    let length = session
        .agreed
        .max_fragment_length
        .map_or(0, |it| it.number());
    let mut out = common.begin(FORM_12, bound | length << MAX_FRAGMENT_AT);
    let capacity = out.capacity();
    out.put(&session.lifetime.to_be_bytes());
    // No group has the number 0.
    out.put_u16(session.exchanged.group().map_or(0, |group| group.0));
    out.put(session.master_secret.as_bytes());
    out.put_vec(1, |out| out.put(&session.id));
    common.end(&mut out);
    debug_assert_eq!(out.capacity(), capacity);
    out
}

/// Writes a session of 1.3.
pub(super) fn encode_13(session: &Session13) -> Zeroizing<Vec<u8>> {
    let common = Common {
        agreed: &session.agreed,
        ticket: &session.ticket,
    };
    let mut out = common.begin(FORM_13, 0);
    let capacity = out.capacity();
    out.put_u64(session.issued);
    out.put(&session.lifetime.to_be_bytes());
    out.put(&session.age_add.to_be_bytes());
    out.put_vec(1, |out| out.put(session.psk.as_bytes()));
    common.end(&mut out);
    debug_assert_eq!(out.capacity(), capacity);
    out
}

/// Reads a session.
pub(super) fn decode(bytes: &[u8]) -> Result<Session, InvalidMessage> {
    let mut reader = Reader::new(bytes);
    match reader.u8("session form")? {
        FORM_12 => decode_12(reader).map(|session| Session::from(Arc::new(session))),
        FORM_13 => decode_13(reader).map(|session| Session::from(Arc::new(session))),
        _ => Err(InvalidMessage::IllegalValue("session form")),
    }
}

/// Reads what both forms begin with: the flags, and the first part of what was agreed.
fn decode_beginning(
    reader: &mut Reader<'_>,
    versions: [ProtocolVersion; 2],
) -> Result<(u8, Agreed), InvalidMessage> {
    let version = ProtocolVersion(reader.u16("session version")?);
    let suite = suite::find(CipherSuite(reader.u16("session suite")?));
    // Suite and version belong together; otherwise records would take a form that the suite does
    // not have.
    let fits = |suite: &&Suite| suite.is_13() == versions.contains(&ProtocolVersion::TLS13);
    let suite = suite
        .filter(fits)
        .ok_or(InvalidMessage::IllegalValue("session suite"))?;
    if !versions.contains(&version) {
        return Err(InvalidMessage::IllegalValue("session version"));
    }
    let flags = reader.u8("session flags")?;
    let agreed = Agreed {
        version,
        max_fragment_length: MaxFragmentLength::numbered(flags >> MAX_FRAGMENT_AT),
        suite,
        alpn: None,
        server_name: None,
        peer_identity: None,
        peer_scheme: match reader.u16("session scheme")? {
            0 => None,
            scheme => Some(SignatureScheme(scheme)),
        },
        created: reader.u64("session birth")?,
    };
    Ok((flags, agreed))
}

/// Reads what both forms end with, adds it to what was agreed, and gives the ticket.
fn decode_end(
    reader: &mut Reader<'_>,
    flags: u8,
    agreed: &mut Agreed,
) -> Result<Vec<u8>, InvalidMessage> {
    let ticket = reader.vec16("ticket")?.to_vec();
    let alpn = reader.vec8("protocol name")?;
    let name = std::str::from_utf8(reader.vec16("server name")?)
        .map_err(|_| InvalidMessage::IllegalValue("server name"))?;
    agreed.peer_identity = decode_identity(reader.rest(), flags)?;
    agreed.alpn = (!alpn.is_empty()).then(|| alpn.to_vec());
    agreed.server_name = (flags & HAS_SERVER_NAME != 0).then(|| name.into());
    Ok(ticket)
}

fn decode_12(mut reader: Reader<'_>) -> Result<Session12, InvalidMessage> {
    let versions = [ProtocolVersion::TLS12, ProtocolVersion::DTLS12];
    let (flags, mut agreed) = decode_beginning(&mut reader, versions)?;
    let lifetime = u32::from_be_bytes(reader.array("session lifetime")?);
    let group = match reader.u16("session group")? {
        0 => None,
        number => Some(NamedGroup(number)),
    };
    let master_secret = MasterSecret::from_bytes(agreed.suite.hash, reader.array("master secret")?);
    let id = reader.vec8("session_id")?;
    if id.len() > MAX_SESSION_ID_LEN {
        return Err(InvalidMessage::IllegalValue("session_id"));
    }
    let ticket = decode_end(&mut reader, flags, &mut agreed)?;
    Ok(Session12 {
        agreed,
        exchanged: group.into(),
        master_secret,
        extended_master_secret: flags & EXTENDED_MASTER_SECRET != 0,
        lifetime: lifetime.min(MAX_LIFETIME),
        id: id.into(),
        ticket: ticket.into(),
    })
}

fn decode_13(mut reader: Reader<'_>) -> Result<Session13, InvalidMessage> {
    let versions = [ProtocolVersion::TLS13, ProtocolVersion::DTLS13];
    let (flags, mut agreed) = decode_beginning(&mut reader, versions)?;
    let issued = reader.u64("ticket birth")?;
    let lifetime = u32::from_be_bytes(reader.array("ticket lifetime")?);
    let age_add = u32::from_be_bytes(reader.array("ticket_age_add")?);
    let psk = reader.vec8("psk")?;
    let psk = Secret::from_bytes(psk)
        .filter(|_| psk.len() == agreed.suite.hash.len())
        .ok_or(InvalidMessage::IllegalValue("psk"))?;
    let ticket = decode_end(&mut reader, flags, &mut agreed)?;
    Ok(Session13 {
        agreed: Arc::new(agreed),
        psk,
        issued,
        lifetime: lifetime.min(MAX_LIFETIME),
        age_add,
        ticket,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Resumable;
    use crate::session::{Session, test_session, test_session_13};
    use pki_types::CertificateDer;

    fn sessions() -> [Session; 2] {
        [
            Session::from(Arc::new(test_session())),
            Session::from(Arc::new(test_session_13())),
        ]
    }

    #[test]
    fn sessions_round_trip() {
        for session in sessions() {
            let bytes = session.to_bytes();
            let read = Session::from_bytes(&bytes).unwrap();
            assert_eq!(*read.to_bytes(), *bytes);
            assert_eq!(read.peer_identity(), session.peer_identity());
            assert_eq!(format!("{read:?}"), format!("{session:?}"));
        }
        let (before, bytes) = (test_session(), encode_12(&test_session()));
        let Ok(Session(Resumable::V12(read))) = Session::from_bytes(&bytes) else {
            panic!("a session of 1.2");
        };
        assert_eq!(
            read.master_secret.as_bytes(),
            before.master_secret.as_bytes()
        );
        assert_eq!(
            read.agreed.max_fragment_length,
            before.agreed.max_fragment_length
        );
        let (before, bytes) = (test_session_13(), encode_13(&test_session_13()));
        let Ok(Session(Resumable::V13(read))) = Session::from_bytes(&bytes) else {
            panic!("a session of 1.3");
        };
        assert_eq!(read.psk.as_bytes(), before.psk.as_bytes());
    }

    /// The secret is never in a buffer that is reallocated, even with a name and a protocol of the
    /// greatest length and whatever the peer has shown. The assertion is in the encoders.
    #[test]
    fn the_longest_session_fits_into_the_first_allocation() {
        let chain = vec![CertificateDer::from(vec![1; 600]); 100];
        let name = |context| SharedKeyName::from_parts(&[2; 0xffff], context);
        let identities = [
            None,
            Identity::of_chain(chain),
            Some(Identity::RawPublicKey(Arc::new(vec![3; 1000].into()))),
            Some(Identity::SharedKey(Arc::new(name(None)))),
            Some(Identity::SharedKey(Arc::new(name(Some(&[4; 0xffff]))))),
        ];
        for peer_identity in identities {
            let longest = |agreed: Agreed| Agreed {
                alpn: Some(vec![b'p'; 255]),
                server_name: Some("n".repeat(255).into()),
                peer_identity: peer_identity.clone(),
                ..agreed
            };
            let mut session = test_session();
            session.agreed = longest(session.agreed);
            session.id = vec![5; MAX_SESSION_ID_LEN].into();
            assert!(encode_12(&session).len() > 600);
            let mut session = test_session_13();
            session.agreed = Arc::new(longest((*session.agreed).clone()));
            assert!(encode_13(&session).len() > 550);
        }
    }

    /// F17: what was cut, extended or is of another form is an error, never a session.
    #[test]
    fn other_bytes_are_no_session() {
        for session in sessions() {
            let bytes = session.to_bytes();
            for cut in 0..bytes.len() {
                assert!(Session::from_bytes(&bytes[..cut]).is_err(), "{cut}");
            }
            let mut longer = bytes.to_vec();
            longer.push(0);
            assert!(Session::from_bytes(&longer).is_err());
            for form in [0, 1, 255, FORM_12 + FORM_13 - bytes[0]] {
                let mut other_form = bytes.to_vec();
                other_form[0] = form;
                assert!(Session::from_bytes(&other_form).is_err());
            }
        }
    }
}
