//! The key schedule of version 1.2 (RFC 5246 §6.3, §8.1; RFC 7627; RFC 5705).
//!
//! ```text
//!   [other secret] ‖ shared key ─────────────────────────────────────────► shared secret
//!   shared secret ── PRF "extended master secret", session hash ──► master secret
//!   master secret ── PRF "key expansion", server ‖ client random ──► key block
//!   master secret ── PRF "client finished" | "server finished", transcript hash ──► verify_data
//!   master secret ── PRF label, client ‖ server random [‖ context] ──► exported keys
//! ```

use super::finished::{FinishedMismatch, FinishedVerified};
use super::key_log::KeyLog;
use super::traffic::{RecordProtection, TrafficKeys};
use super::transcript::Transcript;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::crypto::prf::Prf;
use crate::crypto::suite::Suite;
use crate::protocol::Side;
use crate::wire::client_hello::RANDOM_LEN;
use crate::wire::codec::Writer as _;
use crate::wire::message::VERIFY_DATA_LEN;
use zeroize::Zeroizing;

/// The contents of a Finished message.
pub(crate) type VerifyData = [u8; VERIFY_DATA_LEN];

/// Both randoms of a handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Randoms {
    /// ClientHello.random.
    pub(crate) client: [u8; RANDOM_LEN],
    /// ServerHello.random.
    pub(crate) server: [u8; RANDOM_LEN],
}

/// What the master secret is bound to.
pub(crate) enum SessionBinding {
    /// The hash of everything up to and including ClientKeyExchange (RFC 7627 §4).
    Extended(Digest),
    /// Both randoms only, for a peer without RFC 7627 (RFC 5246 §8.1).
    Legacy,
}

impl SessionBinding {
    /// The binding that was negotiated, for the messages of `transcript`.
    pub(crate) fn of(extended: bool, transcript: &Transcript) -> Self {
        if extended {
            Self::Extended(transcript.hash())
        } else {
            Self::Legacy
        }
    }
}

/// The length of a master secret, in bytes (RFC 5246 §8.1).
pub(crate) const MASTER_SECRET_LEN: usize = 48;

/// The contents of both Finished messages of a handshake: the next handshake is bound to them
/// (RFC 5746 §3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FinishedPair {
    /// What the client sent.
    pub(crate) client: VerifyData,
    /// What the server sent.
    pub(crate) server: VerifyData,
}

/// What two ends with a shared key have in common (RFC 4279 §2, RFC 5489 §2): the secret of their
/// exchange, or as many zeros as the key is long, and the key, each after its length.
pub(crate) fn with_shared_key(exchanged: Option<&[u8]>, key: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = exchanged.map_or(key.len(), <[u8]>::len) + key.len() + 4;
    // It need not grow: no copy of the key may remain.
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    out.put_vec(2, |out| match exchanged {
        Some(secret) => out.put(secret),
        None => out.resize(out.len() + key.len(), 0),
    });
    out.put_vec(2, |out| out.put(key));
    out
}

/// The secret from which everything else of a session is derived.
#[derive(Clone)]
pub(crate) struct MasterSecret {
    bytes: Zeroizing<[u8; MASTER_SECRET_LEN]>,
    hash: HashAlgorithm,
}

impl MasterSecret {
    /// Derives the master secret and reports it to the key log.
    pub(crate) fn agree(
        hash: HashAlgorithm,
        shared_secret: &[u8],
        randoms: &Randoms,
        binding: &SessionBinding,
        key_log: Option<&dyn KeyLog>,
    ) -> Self {
        let secret = match binding {
            SessionBinding::Extended(session_hash) => {
                Self::extended(hash, shared_secret, session_hash.as_ref())
            }
            SessionBinding::Legacy => Self::legacy(hash, shared_secret, randoms),
        };
        secret.log(randoms, key_log);
        secret
    }

    /// The secret of an earlier session, for use with new randoms.
    pub(crate) fn resumed(&self, randoms: &Randoms, key_log: Option<&dyn KeyLog>) -> Self {
        self.log(randoms, key_log);
        self.clone()
    }

    /// The secret with these bytes.
    pub(crate) fn from_bytes(hash: HashAlgorithm, bytes: [u8; MASTER_SECRET_LEN]) -> Self {
        let bytes = Zeroizing::new(bytes);
        Self { bytes, hash }
    }

    /// The bytes, to be stored.
    pub(crate) fn as_bytes(&self) -> &[u8; MASTER_SECRET_LEN] {
        &self.bytes
    }

    fn log(&self, randoms: &Randoms, key_log: Option<&dyn KeyLog>) {
        if let Some(log) = key_log {
            log.log("CLIENT_RANDOM", &randoms.client, &*self.bytes);
        }
    }

    /// The master secret bound to the handshake (RFC 7627 §4).
    pub(crate) fn extended(hash: HashAlgorithm, shared_secret: &[u8], session_hash: &[u8]) -> Self {
        Self::derive(
            hash,
            shared_secret,
            b"extended master secret",
            &[session_hash],
        )
    }

    /// The master secret of a peer without RFC 7627 (RFC 5246 §8.1).
    pub(crate) fn legacy(hash: HashAlgorithm, shared_secret: &[u8], randoms: &Randoms) -> Self {
        let seed = [&randoms.client[..], &randoms.server];
        Self::derive(hash, shared_secret, b"master secret", &seed)
    }

    fn derive(hash: HashAlgorithm, secret: &[u8], label: &[u8], seed: &[&[u8]]) -> Self {
        let mut bytes = Zeroizing::new([0; MASTER_SECRET_LEN]);
        Prf::new(hash, secret).fill(label, seed, &mut *bytes);
        Self { bytes, hash }
    }

    /// The secret, ready for several derivations in a row.
    pub(crate) fn expanded(&self) -> Expanded {
        Expanded(Prf::new(self.hash, &*self.bytes))
    }

    /// Exports keying material (RFC 5705 §4). An absent context and an empty one give different
    /// keys.
    pub(crate) fn export(
        &self,
        randoms: &Randoms,
        label: &[u8],
        context: Option<(&[u8; 2], &[u8])>,
        out: &mut [u8],
    ) {
        let (length, context): (&[u8], &[u8]) = match context {
            Some((length, context)) => (length, context),
            None => (&[], &[]),
        };
        let seed = [&randoms.client, &randoms.server, length, context];
        self.expanded().0.fill(label, &seed, out);
    }
}

/// A master secret from which several values are derived. It is for the step that derives them and
/// is not kept: what it holds is not erased.
pub(crate) struct Expanded(Prf);

impl Expanded {
    /// The keys of both directions: what the client writes with, then what the server writes with.
    ///
    /// The key block of an AEAD suite has no MAC keys (RFC 5246 §6.3): client key, server key,
    /// client IV, server IV.
    pub(crate) fn protections(&self, suite: &Suite, randoms: &Randoms) -> [RecordProtection; 2] {
        let key = suite.aead.key_len();
        let iv = suite.aead.fixed_iv_len_12();
        let mut block = Zeroizing::new([0; 2 * (32 + 12)]);
        let block = &mut block[..2 * (key + iv)];
        let seed = [&randoms.server[..], &randoms.client];
        self.0.fill(b"key expansion", &seed, block);
        let (keys, ivs) = block.split_at(2 * key);
        let (client_key, server_key) = keys.split_at(key);
        let (client_iv, server_iv) = ivs.split_at(iv);
        [(client_key, client_iv), (server_key, server_iv)]
            .map(|(key, iv)| RecordProtection::v12(TrafficKeys::new(suite.aead, key, iv)))
    }

    /// The verify_data of the Finished that `sender` sends after a transcript with this hash.
    pub(crate) fn verify_data(&self, sender: Side, transcript_hash: &[u8]) -> VerifyData {
        let label: &[u8] = match sender {
            Side::Client => b"client finished",
            Side::Server => b"server finished",
        };
        let mut out = [0; VERIFY_DATA_LEN];
        self.0.fill(label, &[transcript_hash], &mut out);
        out
    }

    /// The same of the Finished that is to come from the peer.
    pub(crate) fn expected(&self, sender: Side, transcript_hash: &[u8]) -> ExpectedFinished {
        ExpectedFinished(self.verify_data(sender, transcript_hash))
    }

    /// Compares the body of a Finished with its expected value, in constant time.
    ///
    /// # Errors
    ///
    /// [`FinishedMismatch`] if it is anything else.
    pub(crate) fn verify_finished(
        &self,
        sender: Side,
        transcript_hash: &[u8],
        body: &[u8],
    ) -> Result<FinishedVerified, FinishedMismatch> {
        self.expected(sender, transcript_hash).verify(body)
    }
}

/// What a Finished that has not come yet must hold.
pub(crate) struct ExpectedFinished(VerifyData);

impl ExpectedFinished {
    /// Compares the body of a Finished, in constant time.
    ///
    /// # Errors
    ///
    /// [`FinishedMismatch`] if it is anything else.
    pub(crate) fn verify(&self, body: &[u8]) -> Result<FinishedVerified, FinishedMismatch> {
        FinishedVerified::compare(&self.0, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4279 §2: N as 16 bits, N zeros, N again, and the key of N bytes.
    #[test]
    fn n54_02_without_an_exchange_zeros_stand_before_the_key() {
        for length in [1_u8, 16, 32, 64] {
            let key: Vec<u8> = (1..=length).collect();
            let expected = [
                &[0, length],
                &vec![0; length.into()][..],
                &[0, length],
                &key,
            ]
            .concat();
            assert_eq!(*with_shared_key(None, &key), expected);
        }
        assert_eq!(*with_shared_key(None, &[7]), [0, 1, 0, 0, 1, 7]);
        let longest = with_shared_key(None, &[7; 0xffff]);
        assert_eq!(longest.len(), 2 * (2 + 0xffff));
    }

    /// RFC 5489 §2: the secret of the exchange with its leading zeros, 32 bytes or 48, stands there
    /// instead.
    #[test]
    fn n55_02_with_an_exchange_its_secret_stands_before_the_key() {
        for length in [32_u8, 48] {
            let secret: Vec<u8> = (0..length).collect();
            let key = [9, 8, 7];
            let expected = [&[0, length], &secret[..], &[0, 3], &key].concat();
            assert_eq!(*with_shared_key(Some(&secret), &key), expected);
        }
    }
}
