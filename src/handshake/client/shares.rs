//! Which shares a client's first hello of 1.3 holds.

use crate::config::Parameters;
use crate::crypto::kx::{self, Exchange};
use crate::error::{Error, PeerIncompatible};
use crate::protocol::Dialect;
use crate::wire::client_hello::ClientHello;
use crate::wire::extension::KeyShare;

/// That of the preferred group. Beside X25519MLKEM768 goes the X25519 that is in it, as browsers,
/// OpenSSL and rustls do: it costs 36 bytes and no computation, and saves a round trip with a
/// server that has no ML-KEM. Over datagrams, or if it shall be `small`, it is that of a curve.
pub(super) fn first(
    dialect: &Dialect,
    parameters: &Parameters,
    small: bool,
) -> Result<(Vec<KeyShare>, Exchange), Error> {
    let groups = &parameters.algorithms.groups;
    let small = small || dialect.hello_in_datagram && !parameters.datagram.hybrid_share;
    let curve = groups.iter().find(|&&group| !kx::is_13_only(group));
    let group = curve.filter(|_| small).or(groups.first());
    let group = *group.ok_or(PeerIncompatible::NoCommonGroup)?;
    let (exchange, share) = kx::start(group)?;
    let part = kx::part_of(group, &share).filter(|(part, _)| groups.contains(part));
    let part = part.map(|(group, share)| KeyShare {
        group,
        share: share.to_vec(),
    });
    let mut shares = vec![KeyShare { group, share }];
    shares.extend(part);
    Ok((shares, exchange))
}

/// Whether a hello holds a share of a hybrid group that nobody has asked for, and one of its curve,
/// which could go alone.
pub(super) fn are_two(hello: &ClientHello) -> bool {
    matches!(hello.extensions.key_shares.as_deref(), Some([_, _]))
}
