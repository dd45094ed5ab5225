//! The cookie of version 1.3: a HelloRetryRequest that nobody remembers (RFC 8446 §4.2.2, RFC 9147 §5.1).
//!
//! ```text
//!  cookie:  key (1) ‖ date (6) ‖ suite (2) ‖ group (2) ‖ hash of the first ClientHello ‖ MAC (16)
//!  MAC:     over all that, the client's address and port, and the random of its hello
//! ```

use super::cookie::{DATE_LEN, Key, MAC_LEN};
use crate::config::{Issued, Retried};
use crate::crypto::suite::Suite;
use crate::protocol::dialect::DTLS;
use crate::protocol::{CipherSuite, HandshakeType, MessageSeq, NamedGroup, Path};
use crate::secrets::transcript::Transcript;
use crate::wire::client_hello::{ClientHello, RANDOM_LEN};
use crate::wire::codec::{Reader, Writer as _};
use crate::wire::server_hello::ServerHello;
use subtle::ConstantTimeEq as _;

/// What keeps these MACs apart from those of version 1.2.
const PURPOSE: &[u8] = b"retry";

/// The body of the HelloRetryRequest that asks `hello` for a cookie and, if it has no share of it, for `group`.
pub(super) fn request(
    key: &Key,
    issued: Issued,
    path: Path,
    hello: &ClientHello,
    body: &[u8],
    (suite, group): (&'static Suite, Option<NamedGroup>),
) -> Vec<u8> {
    let mut transcript = Transcript::new(&DTLS);
    transcript.add(HandshakeType::CLIENT_HELLO, MessageSeq::FIRST, body);
    transcript.start_hash_13(suite.hash);
    let mut cookie = vec![key.generation];
    cookie.put(&issued.to_bytes());
    cookie.put_u16(suite.id.0);
    cookie.put_u16(group.map_or(0, |group| group.0));
    cookie.put(transcript.hash().as_ref());
    let mac = mac(key, path, &hello.random, &cookie);
    cookie.put(&mac);
    let mut out = Vec::with_capacity(192);
    ServerHello::retry_request(&DTLS, Vec::new(), suite.id, group, Some(cookie)).encode(&mut out);
    out
}

/// What a cookie brings back, and when it was issued; `None` if it was not made for this client with one of these keys.
pub(super) fn open(
    keys: [&Key; 2],
    newest: Issued,
    path: Path,
    random: &[u8; RANDOM_LEN],
    cookie: &[u8],
) -> Option<(Retried, Issued)> {
    let (contents, shown) = cookie.split_at_checked(cookie.len().checked_sub(MAC_LEN)?)?;
    let key = keys
        .into_iter()
        .find(|key| contents.first() == Some(&key.generation))?;
    let genuine = mac(key, path, random, contents).ct_eq(shown);
    let mut reader = Reader::new(contents.get(1..).filter(|_| bool::from(genuine))?);
    let date = reader.bytes(DATE_LEN, "date").ok()?;
    let issued = Issued::from_bytes(date.try_into().ok()?, newest);
    let suite = CipherSuite(reader.u16("suite").ok()?);
    let group = reader.u16("group").ok()?;
    let retried = Retried {
        suite,
        group: (group != 0).then_some(NamedGroup(group)),
        first_hash: reader.rest().to_vec(),
        cookie: cookie.to_vec(),
    };
    Some((retried, issued))
}

fn mac(key: &Key, path: Path, random: &[u8; RANDOM_LEN], contents: &[u8]) -> [u8; MAC_LEN] {
    key.tag(&[PURPOSE, &path.remote_bytes(), random, contents])
}
