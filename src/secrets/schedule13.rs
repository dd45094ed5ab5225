//! The key schedule of version 1.3 (RFC 8446 §7.1, RFC 9147 §5.9).
//!
//! ```text
//!   PSK or 0 ──► early secret ──┬── "res binder" ──► binders
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
use crate::crypto::hkdf::{Prk, max_output};
use crate::crypto::hmac::{HmacKey, Tag};
use crate::protocol::{Dialect, Side};
use crate::wire::client_hello::RANDOM_LEN;
use zeroize::Zeroizing;

/// The length of the longest digest that a suite uses, in bytes.
const MAX_SECRET_LEN: usize = 48;

/// How a connection derives: the prefix of its labels and the hash of its suite.
#[derive(Clone, Copy)]
pub(crate) struct Derivation {
    prefix: &'static [u8],
    hash: HashAlgorithm,
}

/// A secret of one digest's length.
#[derive(Clone)]
pub(crate) struct Secret {
    bytes: Zeroizing<[u8; MAX_SECRET_LEN]>,
    length: usize,
}

impl Secret {
    /// The secret with these bytes; `None` if it is longer than any digest.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self {
            bytes: Zeroizing::new([0; MAX_SECRET_LEN]),
            length: bytes.len(),
        };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
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
    fn expand_label(self, secret: &Prk, label: &[u8], context: &[u8], out: &mut [u8]) {
        // Lengths are those of outputs, labels and digests, all of them short.
        let length = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
        let label_len = u8::try_from(self.prefix.len() + label.len()).unwrap_or(u8::MAX);
        let context_len = u8::try_from(context.len()).unwrap_or(u8::MAX);
        let info: [&[u8]; 6] = [
            &length,
            &[label_len],
            self.prefix,
            label,
            &[context_len],
            context,
        ];
        secret.expand(&info, out);
    }

    /// `HKDF-Expand-Label` with the length of a digest.
    fn expand_secret(self, secret: &Prk, label: &[u8], context: &[u8]) -> Secret {
        let mut derived = Secret {
            bytes: Zeroizing::new([0; MAX_SECRET_LEN]),
            length: self.hash.len(),
        };
        self.expand_label(secret, label, context, &mut derived.bytes[..derived.length]);
        derived
    }

    fn prk(self, secret: &Secret) -> Prk {
        Prk::from_secret(self.hash, secret.as_bytes())
    }

    /// The next stage: `HKDF-Extract(Derive-Secret(stage, "derived", ""), input)`.
    fn next_stage(self, stage: &Prk, input: &[u8]) -> Prk {
        let empty = self.hash.digest(b"");
        let salt = self.expand_secret(stage, b"derived", empty.as_ref());
        Prk::extract(self.hash, salt.as_bytes(), input)
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

/// The first stage.
pub(crate) struct EarlySecret {
    derivation: Derivation,
    prk: Prk,
}

impl EarlySecret {
    /// From the key that both ends already have, if there is one.
    pub(crate) fn new(derivation: Derivation, psk: Option<&Secret>) -> Self {
        let zeros = derivation.zeros();
        let input = psk.map_or(zeros, Secret::as_bytes);
        Self {
            derivation,
            prk: Prk::extract(derivation.hash, zeros, input),
        }
    }

    /// The binder of a PSK that came from a ticket, over a transcript that ends before the binders
    /// (RFC 8446 §4.2.11.2).
    pub(crate) fn binder(&self, transcript_hash: &[u8]) -> Tag {
        let empty = self.derivation.hash.digest(b"");
        let key = self
            .derivation
            .expand_secret(&self.prk, b"res binder", empty.as_ref());
        finished_tag(self.derivation, &key, transcript_hash)
    }

    /// Compares a binder, in constant time.
    ///
    /// # Errors
    ///
    /// [`FinishedMismatch`]: the sender does not have the key.
    pub(crate) fn verify_binder(
        &self,
        transcript_hash: &[u8],
        binder: &[u8],
    ) -> Result<FinishedVerified, FinishedMismatch> {
        FinishedVerified::compare(self.binder(transcript_hash).as_ref(), binder)
    }

    /// The next stage, with the secret of the key exchange.
    pub(crate) fn agree(self, shared_secret: &[u8]) -> HandshakeSecret {
        HandshakeSecret {
            derivation: self.derivation,
            prk: self.derivation.next_stage(&self.prk, shared_secret),
        }
    }
}

/// The second stage: it protects the handshake.
pub(crate) struct HandshakeSecret {
    derivation: Derivation,
    prk: Prk,
}

impl HandshakeSecret {
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
            prk: self.derivation.next_stage(&self.prk, zeros),
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
        let prk = self.derivation.prk(&self.secret);
        let mut key = Zeroizing::new([0; 32]);
        let mut iv = Zeroizing::new([0; NONCE_LEN]);
        let length = aead.key_len();
        self.derivation
            .expand_label(&prk, b"key", b"", &mut key[..length]);
        self.derivation.expand_label(&prk, b"iv", b"", &mut *iv);
        let number_key = dialect.hides_record_numbers.then(|| {
            let mut number_key = Zeroizing::new([0; 32]);
            let out = &mut number_key[..length];
            self.derivation.expand_label(&prk, b"sn", b"", out);
            number_key
        });
        let keys = TrafficKeys::new(aead, &key[..length], &*iv);
        RecordProtection::v13(keys, number_key)
    }

    /// The verify_data of the Finished in this direction (RFC 8446 §4.4.4).
    pub(crate) fn verify_data(&self, transcript_hash: &[u8]) -> Tag {
        finished_tag(self.derivation, &self.secret, transcript_hash)
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
        let empty = hash.digest(b"");
        let secret = self.derivation.expand_secret(&prk, label, empty.as_ref());
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

fn finished_tag(derivation: Derivation, base: &Secret, transcript_hash: &[u8]) -> Tag {
    let prk = derivation.prk(base);
    let key = derivation.expand_secret(&prk, b"finished", b"");
    HmacKey::new(derivation.hash, key.as_bytes()).sign(&[transcript_hash])
}

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
