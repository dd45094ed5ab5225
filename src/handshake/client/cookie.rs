//! Which cookie a client shows in a renegotiation, where RFC 6347 says nothing and servers do not
//! agree.
//!
//! A server of OpenSSL that asks for cookies drops a hello without one, but goes on with the
//! handshake, which then fails. A server of Mbed TLS cannot decode a hello with a cookie and ends
//! the association. Their cookies tell them apart: those of Mbed TLS are made of its clock, or of a
//! counter where it has none, followed by a part of a MAC (`mbedtls_ssl_cookie_write`).

use crate::config::RekeyPolicy;
use pki_types::UnixTime;

/// The lengths of Mbed TLS's cookies: four bytes of time and 28 of a MAC, or 20 where there is only
/// SHA-1.
const LENGTHS: [usize; 2] = [4 + 28, 4 + 20];

/// How far the server's clock may be from this one, in seconds.
const TOLERANCE: u64 = 24 * 60 * 60;

/// How many cookies a server without a clock may have made since it started. The first four bytes
/// of a random cookie are below this once in 65,536 times.
const MAX_COUNTER: u32 = 1 << 16;

/// What of the cookie of a handshake that began at `started` is shown in the next one.
pub(super) fn to_repeat(policy: &RekeyPolicy, cookie: Vec<u8>, started: UnixTime) -> Vec<u8> {
    let repeats = policy
        .repeat_cookie
        .unwrap_or_else(|| !is_of_mbed_tls(&cookie, started));
    if repeats { cookie } else { Vec::new() }
}

fn is_of_mbed_tls(cookie: &[u8], now: UnixTime) -> bool {
    let Some(&first) = cookie.first_chunk() else {
        return false;
    };
    let first = u32::from_be_bytes(first);
    LENGTHS.contains(&cookie.len())
        && (first < MAX_COUNTER || u64::from(first).abs_diff(now.as_secs()) <= TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: u32 = 1_790_000_000;

    fn repeats(policy: &RekeyPolicy, length: usize, first: u32) -> bool {
        let mut cookie = vec![0x5a; length];
        cookie[..4].copy_from_slice(&first.to_be_bytes());
        let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW.into()));
        !to_repeat(policy, cookie, now).is_empty()
    }

    #[test]
    fn the_cookies_of_mbed_tls_alone_are_not_repeated() {
        let policy = RekeyPolicy::default();
        for length in LENGTHS {
            for first in [0, 1, 65_535, NOW - 86_400, NOW, NOW + 86_400] {
                assert!(!repeats(&policy, length, first), "{length} {first}");
            }
            for first in [65_536, NOW - 86_401, NOW + 86_401, 0x5a5a_5a5a, u32::MAX] {
                assert!(repeats(&policy, length, first), "{length} {first}");
            }
        }
        // OpenSSL's, GnuTLS's, Erlang's and our own are of another length.
        for length in [4, 16, 17, 20, 25, 31, 33, 255] {
            assert!(repeats(&policy, length, NOW), "{length}");
        }
        let [always, never] = [true, false].map(|it| policy.clone().repeat_cookie(it));
        assert!(repeats(&always, 32, NOW) && !repeats(&never, 20, NOW));
    }
}
