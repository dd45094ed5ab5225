//! Sessions as bytes: in tickets, in stores outside the process, in exported files.
//!
//! ```text
//!  form (1) ‖ version (2) ‖ suite (2) ‖ flags (1) ‖ created (8) ‖ lifetime (4) ‖ master secret (48)
//!           ‖ id<0..32> ‖ ticket<0..2^16-1> ‖ alpn<0..255> ‖ server name<0..2^16-1> ‖ certificates<0..2^24-1>
//! ```

use super::{MAX_LIFETIME, Session12};
use crate::crypto::suite;
use crate::error::InvalidMessage;
use crate::identity::PeerIdentity;
use crate::protocol::{CipherSuite, ProtocolVersion};
use crate::secrets::schedule12::MasterSecret;
use crate::wire::certificate;
use crate::wire::client_hello::MAX_SESSION_ID_LEN;
use crate::wire::codec::{Reader, Writer};
use pki_types::CertificateDer;
use zeroize::Zeroizing;

/// The form above.
const FORM: u8 = 1;

const EXTENDED_MASTER_SECRET: u8 = 1;
const HAS_SERVER_NAME: u8 = 2;
const HAS_IDENTITY: u8 = 4;

/// Writes a session.
pub(super) fn encode(session: &Session12) -> Zeroizing<Vec<u8>> {
    let chain = match &session.peer_identity {
        Some(PeerIdentity::Certificate(chain)) => &**chain,
        None => &[],
    };
    // Enough for everything, so that no copy of the secret is left behind by a buffer that grew.
    let capacity = capacity(session, chain);
    let mut out = Zeroizing::new(Vec::with_capacity(capacity));
    let mut flags = 0;
    flags |= u8::from(session.extended_master_secret) * EXTENDED_MASTER_SECRET;
    flags |= u8::from(session.server_name.is_some()) * HAS_SERVER_NAME;
    flags |= u8::from(session.peer_identity.is_some()) * HAS_IDENTITY;
    out.put_u8(FORM);
    out.put(&session.version.to_bytes());
    out.put_u16(session.suite.id.0);
    out.put_u8(flags);
    out.put(&session.created.to_be_bytes());
    out.put(&session.lifetime.to_be_bytes());
    out.put(session.master_secret.as_bytes());
    out.put_vec(1, |out| out.put(&session.id));
    out.put_vec(2, |out| out.put(&session.ticket));
    out.put_vec(1, |out| {
        out.put(session.alpn.as_deref().unwrap_or_default())
    });
    out.put_vec(2, |out| {
        out.put(
            session
                .server_name
                .as_deref()
                .unwrap_or_default()
                .as_bytes(),
        );
    });
    certificate::encode(chain, &mut out);
    debug_assert!(out.len() <= capacity);
    out
}

/// What the fields of a fixed length and the lengths of the others take at most, in bytes.
const FIXED_LEN: usize = 96;

/// How long the form of a session is at most, in bytes.
fn capacity(session: &Session12, chain: &[CertificateDer<'_>]) -> usize {
    let certificates: usize = chain.iter().map(|certificate| certificate.len() + 3).sum();
    FIXED_LEN
        + session.id.len()
        + session.ticket.len()
        + session.alpn.as_ref().map_or(0, Vec::len)
        + session.server_name.as_ref().map_or(0, String::len)
        + certificates
}

/// Reads a session.
pub(super) fn decode(bytes: &[u8]) -> Result<Session12, InvalidMessage> {
    let mut reader = Reader::new(bytes);
    if reader.u8("session form")? != FORM {
        return Err(InvalidMessage::IllegalValue("session form"));
    }
    let version = ProtocolVersion(reader.u16("session version")?);
    if ![ProtocolVersion::TLS12, ProtocolVersion::DTLS12].contains(&version) {
        return Err(InvalidMessage::IllegalValue("session version"));
    }
    let suite = suite::find(CipherSuite(reader.u16("session suite")?))
        .ok_or(InvalidMessage::IllegalValue("session suite"))?;
    let flags = reader.u8("session flags")?;
    let created = u64::from_be_bytes(reader.array("session birth")?);
    let lifetime = u32::from_be_bytes(reader.array("session lifetime")?);
    let master_secret = MasterSecret::from_bytes(suite.hash, reader.array("master secret")?);
    let id = reader.vec8("session_id")?;
    if id.len() > MAX_SESSION_ID_LEN {
        return Err(InvalidMessage::IllegalValue("session_id"));
    }
    let ticket = reader.vec16("ticket")?.to_vec();
    let alpn = reader.vec8("protocol name")?;
    let name = std::str::from_utf8(reader.vec16("server name")?)
        .map_err(|_| InvalidMessage::IllegalValue("server name"))?;
    let chain = certificate::decode(reader.rest())?;
    Ok(Session12 {
        version,
        suite,
        master_secret,
        extended_master_secret: flags & EXTENDED_MASTER_SECRET != 0,
        alpn: (!alpn.is_empty()).then(|| alpn.to_vec()),
        server_name: (flags & HAS_SERVER_NAME != 0).then(|| name.to_owned()),
        peer_identity: (flags & HAS_IDENTITY != 0).then(|| PeerIdentity::Certificate(chain.into())),
        created,
        lifetime: lifetime.min(MAX_LIFETIME),
        id: id.to_vec(),
        ticket,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::test_session;

    #[test]
    fn a_session_round_trips() {
        let session = test_session();
        let bytes = encode(&session);
        let read = decode(&bytes).unwrap();
        assert_eq!(*encode(&read), *bytes);
        assert_eq!(
            read.master_secret.as_bytes(),
            session.master_secret.as_bytes()
        );
        assert_eq!(read.peer_identity, session.peer_identity);
        assert_eq!(format!("{read:?}"), format!("{session:?}"));
    }

    /// The secret is never in a buffer that is moved: a name and a protocol of the greatest length.
    #[test]
    fn the_longest_session_fits_into_the_first_allocation() {
        let mut session = test_session();
        session.alpn = Some(vec![b'p'; 255]);
        session.server_name = Some("n".repeat(255));
        let expected = capacity(&session, &[]);
        session.peer_identity = None;
        let bytes = encode(&session);
        assert!(bytes.len() <= expected, "{} of {expected}", bytes.len());
        assert_eq!(bytes.capacity(), expected);
    }

    /// F17: what was cut, extended or is of another form is an error, never a session.
    #[test]
    fn other_bytes_are_no_session() {
        let bytes = encode(&test_session());
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "{cut}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(decode(&longer).is_err());
        let mut other_form = bytes.to_vec();
        other_form[0] = 2;
        assert!(decode(&other_form).is_err());
    }
}
