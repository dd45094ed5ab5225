//! The cookie of version 1.3: a HelloRetryRequest that nobody remembers (RFC 8446 §4.2.2, RFC 9147
//! §5.1).
//!
//! ```text
//!  cookie:  date (6) ‖ suite (2) ‖ group (2) ‖ hash of the first ClientHello ‖ MAC (16)
//!  MAC:     over all that, the client's address and port, and the random of its hello
//! ```

use super::cookie_keys::{DATE_LEN, MAC_LEN, Mint};
use crate::config::{Clock, Issued, Retried};
use crate::crypto::suite::Suite;
use crate::protocol::dialect::DTLS;
use crate::protocol::{CipherSuite, HandshakeType, MessageSeq, NamedGroup, Path};
use crate::secrets::transcript::Transcript;
use crate::wire::client_hello::{ClientHello, RANDOM_LEN};
use crate::wire::codec::{Reader, Writer as _};
use crate::wire::server_hello::ServerHello;
use std::time::Instant;
use subtle::ConstantTimeEq as _;

/// What keeps these MACs apart from those of version 1.2.
const PURPOSE: &[u8] = b"retry";

/// The body of the HelloRetryRequest that asks `hello` for a cookie and, if it has no share of it,
/// for `group`.
pub(super) fn request(
    mint: &mut Mint,
    issued: Issued,
    path: Path,
    hello: &ClientHello,
    body: &[u8],
    (suite, group): (&'static Suite, Option<NamedGroup>),
) -> Vec<u8> {
    let mut transcript = Transcript::new(&DTLS);
    transcript.add(HandshakeType::CLIENT_HELLO, MessageSeq::FIRST, body);
    transcript.start_hash_13(suite.hash);
    let mut cookie = issued.to_bytes().to_vec();
    cookie.put_u16(suite.id.0);
    cookie.put_u16(group.map_or(0, |group| group.0));
    cookie.put(transcript.hash().as_ref());
    let mac = mac(mint, issued, path, &hello.random, &cookie);
    cookie.put(&mac);
    let mut out = Vec::with_capacity(192);
    ServerHello::retry_request(&DTLS, Vec::new(), suite.id, group, Some(cookie)).encode(&mut out);
    out
}

/// What a cookie brings back, and when it was issued; `None` if that was too long ago, or if it was
/// not made for this client with one of these keys.
pub(super) fn open(
    mint: &mut Mint,
    now: Instant,
    clock: &dyn Clock,
    path: Path,
    random: &[u8; RANDOM_LEN],
    cookie: &[u8],
) -> Option<(Retried, Issued)> {
    let (contents, shown) = cookie.split_at_checked(cookie.len().checked_sub(MAC_LEN)?)?;
    let issued = mint.read_date(now, clock, *contents.first_chunk()?)?;
    let genuine = mac(mint, issued, path, random, contents).ct_eq(shown);
    let mut reader = Reader::new(contents.get(DATE_LEN..).filter(|_| bool::from(genuine))?);
    let suite = CipherSuite(reader.u16("suite").ok()?);
    let group = reader.u16("group").ok()?;
    let retried = Retried {
        suite,
        group: (group != 0).then_some(NamedGroup(group)),
        first_hash: reader.rest().to_vec(),
        cookie: cookie.to_vec(),
    };
    mint.proved(issued);
    Some((retried, issued))
}

fn mac(
    mint: &mut Mint,
    issued: Issued,
    path: Path,
    random: &[u8; RANDOM_LEN],
    contents: &[u8],
) -> [u8; MAC_LEN] {
    mint.tag(issued, &[PURPOSE, &path.remote_bytes(), random, contents])
}
