//! The key schedule of version 1.3 (RFC 8446 §7.1, RFC 9147 §5.9).
//!
//! ```text
//!   PSK or 0 ──► early secret ──┬── "res binder", "ext binder", "imp binder" ──► binders
//!                               ▼
//!   shared secret ──► handshake secret ──┬── "c hs traffic", "s hs traffic" ──► epoch 2, Finished
//!                                        ▼
//!   0 ─────────────► master secret ──────┬── "c ap traffic", "s ap traffic" ──► epoch 3
//!                                        │     └── "traffic upd" ──► epoch 4 …
//!                                        ├── "exp master" ──► exported keys
//!                                        └── "res master" ──► the PSK of each ticket
//! ```
//!
//! Each stage is a type that consumes the one before it, so that no secret of an earlier stage
//! outlives its use.

use super::finished::{FinishedMismatch, FinishedVerified};
use super::key_log::KeyLog;
use super::traffic::{RecordProtection, TrafficKeys};
use crate::crypto::aead::{AeadAlgorithm, NONCE_LEN};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::hkdf::{Prk, Salt, max_output};
use crate::crypto::hmac::{HmacKey, Tag};
use crate::protocol::dialect::DTLS;
use crate::protocol::{Dialect, Side};
use crate::wire::client_hello::RANDOM_LEN;
use std::sync::OnceLock;
use zeroize::Zeroizing;

/// The length of the longest digest that a suite uses, in bytes.
const MAX_SECRET_LEN: usize = 48;

/// How a connection derives: the prefix of its labels and the hash of its suite.
///
/// Secrets carry it for as long as their association lives, so it is bytes and no pointer.
#[derive(Clone, Copy)]
pub(crate) struct Derivation {
    prefix: [u8; 6],
    hash: HashAlgorithm,
}

/// A secret of one digest's length.
#[derive(Clone)]
pub(crate) struct Secret {
    bytes: Zeroizing<[u8; MAX_SECRET_LEN]>,
    length: u8,
}

impl Secret {
    /// The secret with these bytes; `None` if it is longer than any digest.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self {
            bytes: Zeroizing::new([0; MAX_SECRET_LEN]),
            length: u8::try_from(bytes.len()).ok()?,
        };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl Derivation {
    /// Derivation with the label prefix of a transport and the hash of a suite.
    pub(crate) const fn new(dialect: &Dialect, hash: HashAlgorithm) -> Self {
        Self {
            prefix: dialect.label_prefix,
            hash,
        }
    }

    /// `HKDF-Expand-Label` (RFC 8446 §7.1).
    pub(super) fn expand_label(self, secret: &Prk, label: &[u8], context: &[u8], out: &mut [u8]) {
        // Lengths are those of outputs, labels and digests, all of them short.
        let [high, low] = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
        let label_len = u8::try_from(self.prefix.len() + label.len()).unwrap_or(u8::MAX);
        let context_len = u8::try_from(context.len()).unwrap_or(u8::MAX);
        let info: [&[u8]; 5] = [
            &[high, low, label_len],
            &self.prefix,
            label,
            &[context_len],
            context,
        ];
        // Each piece that is added to a hash costs about as much as hashing all of them.
        let mut joined = [0; USUAL_INFO_LEN];
        match join(&info, &mut joined) {
            Some(joined) => secret.expand(&[joined], out),
            None => secret.expand(&info, out),
        }
    }

    /// `HKDF-Expand-Label` with the length of a digest.
    fn expand_secret(self, secret: &Prk, label: &[u8], context: &[u8]) -> Secret {
        let mut bytes = Zeroizing::new([0; MAX_SECRET_LEN]);
        let length = self.hash.len();
        self.expand_label(secret, label, context, &mut bytes[..length]);
        // A digest has 48 bytes at most.
        let length = u8::try_from(length).unwrap_or(u8::MAX);
        Secret { bytes, length }
    }

    fn prk(self, secret: &Secret) -> Prk {
        Prk::from_secret(self.hash, secret.as_bytes())
    }

    /// What the next stage is extracted with: `Derive-Secret(stage, "derived", "")`.
    fn next_salt(self, stage: &Prk) -> Salt {
        let salt = self.expand_secret(stage, b"derived", self.hash.digest_of_nothing());
        Salt::new(self.hash, salt.as_bytes())
    }

    /// The same for the stage after an early secret that was made of no PSK. It is no secret, and
    /// as this derivation it is one of four.
    fn salt_without_psk(self) -> &'static Salt {
        static SALTS: [[OnceLock<Salt>; 2]; 2] = [const { [const { OnceLock::new() }; 2] }; 2];
        let [of_streams, of_datagrams] = &SALTS;
        let [sha256, sha384] = match self.prefix == DTLS.label_prefix {
            true => of_datagrams,
            false => of_streams,
        };
        let salt = match self.hash {
            HashAlgorithm::Sha256 => sha256,
            HashAlgorithm::Sha384 => sha384,
        };
        salt.get_or_init(|| self.next_salt(&self.early(self.zeros())))
    }

    /// The early secret of a PSK.
    pub(super) fn early(self, psk: &[u8]) -> Prk {
        Salt::new(self.hash, self.zeros()).extract(psk)
    }

    fn zeros(self) -> &'static [u8] {
        &[0; MAX_SECRET_LEN][..self.hash.len()]
    }
}

/// Reports the secrets of a connection to the key log.
#[derive(Clone, Copy)]
pub(crate) struct SecretLog<'a> {
    /// Where they go; by default nowhere.
    pub(crate) log: Option<&'a dyn KeyLog>,
    /// The name of the connection in the log.
    pub(crate) client_random: &'a [u8; RANDOM_LEN],
}

impl SecretLog<'_> {
    fn tell(self, label: &str, secret: &Secret) {
        if let Some(log) = self.log {
            log.log(label, self.client_random, secret.as_bytes());
        }
    }
}

/// Where a pre-shared key comes from. A proof of one kind is never one of another (RFC 8446 §7.1,
/// RFC 9258 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PskOrigin {
    /// It belongs to a ticket.
    Resumption,
    /// Both ends were given it.
    External,
    /// It was derived from such a one by the importer.
    Imported,
}

impl PskOrigin {
    /// What the key of the binder is derived with.
    const fn binder_label(self) -> &'static [u8] {
        match self {
            Self::Resumption => b"res binder",
            Self::External => b"ext binder",
            Self::Imported => b"imp binder",
        }
    }
}

/// The first stage, from the key that both ends already have.
pub(crate) struct EarlySecret {
    derivation: Derivation,
    prk: Prk,
}

impl EarlySecret {
    /// From this PSK.
    pub(crate) fn new(derivation: Derivation, psk: &[u8]) -> Self {
        Self {
            derivation,
            prk: derivation.early(psk),
        }
    }

    /// The binder of the PSK, which is of this origin, over a transcript that ends before the
    /// binders (RFC 8446 §4.2.11.2).
    pub(crate) fn binder(&self, origin: PskOrigin, transcript_hash: &[u8]) -> Tag {
        let Derivation { hash, .. } = self.derivation;
        let nothing = hash.digest_of_nothing();
        let label = origin.binder_label();
        let key = self.derivation.expand_secret(&self.prk, label, nothing);
        FinishedKey::new(self.derivation, &self.derivation.prk(&key)).verify_data(transcript_hash)
    }

    /// Compares a binder, in constant time.
    ///
    /// # Errors
    ///
    /// [`FinishedMismatch`]: the sender does not have the key.
    pub(crate) fn verify_binder(
        &self,
        origin: PskOrigin,
        transcript_hash: &[u8],
        binder: &[u8],
    ) -> Result<FinishedVerified, FinishedMismatch> {
        FinishedVerified::compare(self.binder(origin, transcript_hash).as_ref(), binder)
    }

    /// The next stage, with the secret of the key exchange; without one, zeros take its place.
    pub(crate) fn agree(self, shared_secret: Option<&[u8]>) -> HandshakeSecret {
        let shared_secret = shared_secret.unwrap_or(self.derivation.zeros());
        HandshakeSecret {
            derivation: self.derivation,
            prk: self.derivation.next_salt(&self.prk).extract(shared_secret),
        }
    }
}

/// The second stage: it protects the handshake.
pub(crate) struct HandshakeSecret {
    derivation: Derivation,
    prk: Prk,
}

impl HandshakeSecret {
    /// From the secret of the key exchange, if there was one, and the PSK, if both ends have one.
    pub(crate) fn new(
        derivation: Derivation,
        psk: Option<&[u8]>,
        shared_secret: Option<&[u8]>,
    ) -> Self {
        match (psk, shared_secret) {
            (Some(psk), _) => EarlySecret::new(derivation, psk).agree(shared_secret),
            // RFC 8446 §4.2.9: without a PSK there is always an exchange.
            (None, None) => EarlySecret::new(derivation, derivation.zeros()).agree(None),
            (None, Some(shared_secret)) => Self {
                derivation,
                prk: derivation.salt_without_psk().extract(shared_secret),
            },
        }
    }

    /// The secret that protects the handshake messages of `side`; the transcript ends with the
    /// ServerHello.
    pub(crate) fn traffic(
        &self,
        side: Side,
        transcript_hash: &[u8],
        log: SecretLog<'_>,
    ) -> TrafficSecret {
        let (label, name): (&[u8], _) = match side {
            Side::Client => (b"c hs traffic", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"),
            Side::Server => (b"s hs traffic", "SERVER_HANDSHAKE_TRAFFIC_SECRET"),
        };
        TrafficSecret::derive(
            self.derivation,
            &self.prk,
            label,
            transcript_hash,
            log,
            name,
        )
    }

    /// The next stage.
    pub(crate) fn finish(self) -> MainSecret {
        let zeros = self.derivation.zeros();
        MainSecret {
            derivation: self.derivation,
            prk: self.derivation.next_salt(&self.prk).extract(zeros),
        }
    }
}

/// The last stage, which RFC 8446 calls the master secret.
pub(crate) struct MainSecret {
    derivation: Derivation,
    prk: Prk,
}

impl MainSecret {
    /// The secret that protects the first data of `side`; the transcript ends with the server's
    /// Finished.
    pub(crate) fn traffic(
        &self,
        side: Side,
        transcript_hash: &[u8],
        log: SecretLog<'_>,
    ) -> TrafficSecret {
        let (label, name): (&[u8], _) = match side {
            Side::Client => (b"c ap traffic", "CLIENT_TRAFFIC_SECRET_0"),
            Side::Server => (b"s ap traffic", "SERVER_TRAFFIC_SECRET_0"),
        };
        TrafficSecret::derive(
            self.derivation,
            &self.prk,
            label,
            transcript_hash,
            log,
            name,
        )
    }

    /// The secret from which keys are exported; the transcript ends with the server's Finished.
    pub(crate) fn exporter(&self, transcript_hash: &[u8], log: SecretLog<'_>) -> ExporterSecret {
        let secret = self
            .derivation
            .expand_secret(&self.prk, b"exp master", transcript_hash);
        log.tell("EXPORTER_SECRET", &secret);
        ExporterSecret {
            derivation: self.derivation,
            secret,
        }
    }

    /// The secret from which the keys of tickets are derived; the transcript ends with the client's
    /// Finished.
    pub(crate) fn resumption(&self, transcript_hash: &[u8]) -> ResumptionSecret {
        ResumptionSecret {
            derivation: self.derivation,
            secret: self
                .derivation
                .expand_secret(&self.prk, b"res master", transcript_hash),
        }
    }
}

/// The secret that protects one direction of one epoch.
pub(crate) struct TrafficSecret {
    derivation: Derivation,
    secret: Secret,
}

impl TrafficSecret {
    fn derive(
        derivation: Derivation,
        prk: &Prk,
        label: &[u8],
        transcript_hash: &[u8],
        log: SecretLog<'_>,
        name: &str,
    ) -> Self {
        let secret = derivation.expand_secret(prk, label, transcript_hash);
        log.tell(name, &secret);
        Self { derivation, secret }
    }

    /// The keys (RFC 8446 §7.3), and over datagrams the key for record numbers (RFC 9147 §4.2.3).
    pub(crate) fn protection(&self, dialect: &Dialect, aead: AeadAlgorithm) -> RecordProtection {
        self.protection_by(&self.derivation.prk(&self.secret), dialect, aead)
    }

    /// The same, and the key of the Finished in this direction, of a secret that protects a
    /// handshake.
    pub(crate) fn handshake_keys(
        self,
        dialect: &Dialect,
        aead: AeadAlgorithm,
    ) -> (RecordProtection, FinishedKey) {
        let prk = self.derivation.prk(&self.secret);
        let protection = self.protection_by(&prk, dialect, aead);
        (protection, FinishedKey::new(self.derivation, &prk))
    }

    fn protection_by(&self, prk: &Prk, dialect: &Dialect, aead: AeadAlgorithm) -> RecordProtection {
        let mut key = Zeroizing::new([0; 32]);
        let mut iv = Zeroizing::new([0; NONCE_LEN]);
        let length = aead.key_len();
        self.derivation
            .expand_label(prk, b"key", b"", &mut key[..length]);
        self.derivation.expand_label(prk, b"iv", b"", &mut *iv);
        let number_key = dialect.hides_record_numbers.then(|| {
            let mut number_key = Zeroizing::new([0; 32]);
            let out = &mut number_key[..length];
            self.derivation.expand_label(prk, b"sn", b"", out);
            number_key
        });
        let keys = TrafficKeys::new(aead, &key[..length], &*iv);
        RecordProtection::v13(keys, number_key)
    }

    /// The secret itself, for export.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// The secret of the next epoch (RFC 8446 §7.2).
    pub(crate) fn next(&self) -> Self {
        let prk = self.derivation.prk(&self.secret);
        Self {
            derivation: self.derivation,
            secret: self.derivation.expand_secret(&prk, b"traffic upd", b""),
        }
    }
}

/// The key of the Finished in one direction (RFC 8446 §4.4.4).
pub(crate) struct FinishedKey {
    hash: HashAlgorithm,
    key: Secret,
}

impl FinishedKey {
    fn new(derivation: Derivation, base: &Prk) -> Self {
        Self {
            hash: derivation.hash,
            key: derivation.expand_secret(base, b"finished", b""),
        }
    }

    /// The verify_data after a transcript with this hash.
    pub(crate) fn verify_data(&self, transcript_hash: &[u8]) -> Tag {
        HmacKey::new(self.hash, self.key.as_bytes()).sign([transcript_hash])
    }

    /// Compares the body of a Finished with its expected value, in constant time.
    ///
    /// # Errors
    ///
    /// [`FinishedMismatch`] if it is anything else.
    pub(crate) fn verify_finished(
        &self,
        transcript_hash: &[u8],
        body: &[u8],
    ) -> Result<FinishedVerified, FinishedMismatch> {
        FinishedVerified::compare(self.verify_data(transcript_hash).as_ref(), body)
    }
}

/// What keys are exported from.
pub(crate) struct ExporterSecret {
    derivation: Derivation,
    secret: Secret,
}

/// More keying material was requested than the exporter can give.
pub(crate) struct TooMuch;

impl ExporterSecret {
    /// Exports keying material (RFC 8446 §7.5). An absent context and an empty one give the same.
    ///
    /// # Errors
    ///
    /// [`TooMuch`] beyond 255 digests.
    pub(crate) fn export(
        &self,
        label: &[u8],
        context: &[u8],
        out: &mut [u8],
    ) -> Result<(), TooMuch> {
        let Derivation { hash, prefix } = self.derivation;
        if out.len() > max_output(hash) || prefix.len() + label.len() > usize::from(u8::MAX) {
            return Err(TooMuch);
        }
        let prk = self.derivation.prk(&self.secret);
        let nothing = hash.digest_of_nothing();
        let secret = self.derivation.expand_secret(&prk, label, nothing);
        let context = hash.digest(context);
        let prk = self.derivation.prk(&secret);
        self.derivation
            .expand_label(&prk, b"exporter", context.as_ref(), out);
        Ok(())
    }
}

/// What the keys of tickets come from.
pub(crate) struct ResumptionSecret {
    derivation: Derivation,
    secret: Secret,
}

impl ResumptionSecret {
    /// The key of the ticket with this nonce (RFC 8446 §4.6.1).
    pub(crate) fn psk(&self, nonce: &[u8]) -> Secret {
        let prk = self.derivation.prk(&self.secret);
        self.derivation.expand_secret(&prk, b"resumption", nonce)
    }
}

/// The concatenation of `parts`, if it fits into `buffer`.
fn join<'a>(parts: &[&[u8]], buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        buffer.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    Some(&buffer[..length])
}

/// The longest info with a label of the key schedule's own and a digest.
const USUAL_INFO_LEN: usize = 2 + 1 + 18 + 1 + 48;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::dialect::{DTLS, TLS};

    /// RFC 9147 §5.9: the prefix is "dtls13" without a space, whereas TLS has "tls13 " with one.
    /// The structure is written out here as RFC 8446 §7.1 defines it.
    #[test]
    fn r9147_33_labels_have_the_prefix_of_their_protocol() {
        for (dialect, label) in [(&TLS, &b"tls13 key"[..]), (&DTLS, b"dtls13key")] {
            let derivation = Derivation::new(dialect, HashAlgorithm::Sha256);
            let prk = Prk::from_secret(HashAlgorithm::Sha256, &[7; 32]);
            let mut ours = [0; 16];
            derivation.expand_label(&prk, b"key", b"", &mut ours);
            let info = [&[0, 16, 9][..], label, &[0]].concat();
            let mut expected = [0; 16];
            prk.expand(&[&info], &mut expected);
            assert_eq!(ours, expected);
        }
    }
}
