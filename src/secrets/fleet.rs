//! What the servers of a fleet share, and the keys that each of them derives from it.
//!
//! ```text
//!  secret ─┬─HMAC(cookie, number of the five minutes)──► key of cookies
//!          ├─HMAC(ticket, name of the key)─────────────► key of tickets
//!          └─HMAC(connection id)───────────────────────► key of connection IDs, for ever
//! ```
//!
//! Which keys are in use follows from the clock alone, so members that never talk to each other
//! change them together.

use crate::crypto::hash::HashAlgorithm;
use crate::crypto::hmac::HmacKey;
use crate::crypto::random::{SecureRandom, SystemRandom};
use crate::error::Error;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The secret of a fleet: servers that are given the same one prove each other's cookies and resume
/// each other's tickets
/// ([`ServerConfigBuilder::fleet`](crate::server::ServerConfigBuilder::fleet)).
///
/// Keys are derived from it by the wall clock, so nothing else has to be exchanged: a process that
/// was started again, or on another machine, goes on where the others are. Clocks must agree within
/// five seconds.
///
/// It is drawn once ([`FleetSecret::generate`], or 32 bytes of `openssl rand`) and handed to the
/// members by whatever carries their private keys, which deserve the same care: whoever has it
/// proves any address, and reads every session whose ticket was recorded, back to the first one
/// that was sealed under this secret. So it should be replaced now and then; each client then makes
/// one full handshake. It is zeroized when it is dropped.
#[derive(Clone)]
pub struct FleetSecret {
    secret: Arc<Zeroizing<[u8; Self::LEN]>>,
}

/// What a derived key is for. No name is the beginning of another, so that no two uses of the
/// secret meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Proof of an address.
    Cookies,
    /// Sessions that clients keep.
    Tickets,
    /// What names associations in records.
    ConnectionIds,
}

impl Purpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Cookies => b"sealgram cookie key",
            Self::Tickets => b"sealgram ticket key",
            Self::ConnectionIds => b"sealgram connection id key",
        }
    }
}

impl FleetSecret {
    /// The length of a secret, in bytes.
    pub const LEN: usize = 32;

    /// Draws a secret from the system.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn generate() -> Result<Self, Error> {
        Self::draw(&SystemRandom)
    }

    pub(crate) fn draw(random: &dyn SecureRandom) -> Result<Self, Error> {
        let mut secret = Zeroizing::new([0; Self::LEN]);
        random.fill(&mut *secret)?;
        Ok(Self {
            secret: Arc::new(secret),
        })
    }

    /// Takes a secret that was drawn elsewhere. It must have come from a good source of randomness;
    /// a pass phrase is none.
    pub fn from_bytes(secret: [u8; Self::LEN]) -> Self {
        Self {
            secret: Arc::new(Zeroizing::new(secret)),
        }
    }

    /// The secret, for another process of the fleet.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.secret
    }

    /// The key for one use of the secret, and for what `context` names.
    pub(crate) fn derive(&self, purpose: Purpose, context: &[u8]) -> Zeroizing<[u8; Self::LEN]> {
        let secret = HmacKey::new(HashAlgorithm::Sha256, &self.secret[..]);
        let mut key = Zeroizing::new([0; Self::LEN]);
        key.copy_from_slice(secret.sign([purpose.name(), context]).as_ref());
        key
    }
}

impl PartialEq for FleetSecret {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.secret.ct_eq(&other.secret[..]).into()
    }
}

impl Eq for FleetSecret {}

/// Shows nothing of it.
impl fmt::Debug for FleetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetSecret").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exported_secret_is_the_same_secret() {
        let secret = FleetSecret::generate().unwrap();
        assert_eq!(secret, FleetSecret::from_bytes(*secret.as_bytes()));
        assert_ne!(secret, FleetSecret::generate().unwrap());
        assert_eq!(format!("{secret:?}"), "FleetSecret { .. }");
    }

    #[test]
    fn each_purpose_and_context_has_a_key_of_its_own() {
        let secret = FleetSecret::from_bytes([7; FleetSecret::LEN]);
        let mut keys = Vec::new();
        for purpose in [Purpose::Cookies, Purpose::Tickets, Purpose::ConnectionIds] {
            for context in [&b""[..], b"1", b"2"] {
                let key = secret.derive(purpose, context);
                assert_eq!(key, secret.derive(purpose, context));
                assert!(!keys.contains(&key), "{purpose:?} {context:?}");
                keys.push(key);
            }
        }
    }
}
