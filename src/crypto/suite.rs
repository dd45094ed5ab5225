//! The table of cipher suites: key exchange, authentication, AEAD and hash are independent columns.

use super::aead::AeadAlgorithm;
use super::hash::HashAlgorithm;
use super::sign::KeyKind;
use crate::protocol::CipherSuite;

/// One cipher suite.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Suite {
    /// Its code point.
    pub(crate) id: CipherSuite,
    /// How the secret is agreed.
    pub(crate) key_exchange: KeyExchange,
    /// What authenticates the exchange.
    pub(crate) authentication: Authentication,
    /// What protects the records.
    pub(crate) aead: AeadAlgorithm,
    /// The hash of the PRF and of Finished.
    pub(crate) hash: HashAlgorithm,
}

/// How a suite agrees its secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyExchange {
    /// Ephemeral elliptic-curve Diffie-Hellman (RFC 8422).
    Ecdhe,
    /// There is no exchange: the shared key is the secret (RFC 4279 §2). Whoever learns the key can
    /// read what was recorded before (RFC 9325 §4.1).
    SharedKeyAlone,
    /// By whatever the hellos agree on: a suite of version 1.3 (RFC 8446 §4.1.1).
    Negotiated,
}

/// What authenticates the key exchange of a suite.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Authentication {
    /// A signature by a key of this kind.
    Signature(KeyKind),
    /// A key that both ends share (RFC 4279, RFC 5489).
    SharedKey,
    /// Whatever the hellos agree on: a suite of version 1.3.
    Negotiated,
}

impl Authentication {
    /// The kind of key that signs; `None` if the suite does not say so.
    pub(crate) const fn key_kind(self) -> Option<KeyKind> {
        match self {
            Self::Signature(kind) => Some(kind),
            Self::SharedKey | Self::Negotiated => None,
        }
    }
}

impl Suite {
    /// Whether the suite belongs to version 1.3; to 1.2 otherwise.
    pub(crate) const fn is_13(&self) -> bool {
        matches!(self.key_exchange, KeyExchange::Negotiated)
    }

    /// Whether it is used only where a configuration names it: RFC 9325 §4.1 wants forward secrecy,
    /// §4.2 whole tags.
    fn is_weaker(&self) -> bool {
        self.key_exchange == KeyExchange::SharedKeyAlone || self.aead.has_short_tag()
    }

    /// Whether the provider has all of its parts.
    fn is_supported(&self) -> bool {
        self.aead.is_supported() && self.hash.is_supported()
    }
}

/// The suites that work here: those of the table whose parts the provider has. The preferred ones
/// come first.
pub(crate) fn supported() -> impl Iterator<Item = &'static Suite> {
    SUITES.iter().filter(|suite| suite.is_supported())
}

/// Those of them that need not be named to be used.
pub(crate) fn usual() -> impl Iterator<Item = &'static Suite> {
    supported().filter(|suite| !suite.is_weaker())
}

/// The suite with this code point, if it works here.
pub(crate) fn find(id: CipherSuite) -> Option<&'static Suite> {
    let mut suites = SUITES.iter();
    suites
        .find(|suite| suite.id == id)
        .filter(|suite| suite.is_supported())
}

/// Every suite that can be used, the preferred ones first (RFC 9325 §4.2). No CBC, no RC4, no
/// static RSA, ever.
static SUITES: [Suite; 23] = [
    suite_13(
        CipherSuite::TLS_AES_128_GCM_SHA256,
        AeadAlgorithm::Aes128Gcm,
        HashAlgorithm::Sha256,
    ),
    suite_13(
        CipherSuite::TLS_AES_256_GCM_SHA384,
        AeadAlgorithm::Aes256Gcm,
        HashAlgorithm::Sha384,
    ),
    suite_13(
        CipherSuite::TLS_CHACHA20_POLY1305_SHA256,
        AeadAlgorithm::ChaCha20Poly1305,
        HashAlgorithm::Sha256,
    ),
    suite(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        KeyKind::Ecdsa,
        AeadAlgorithm::Aes128Gcm,
        HashAlgorithm::Sha256,
    ),
    suite(
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        KeyKind::Rsa,
        AeadAlgorithm::Aes128Gcm,
        HashAlgorithm::Sha256,
    ),
    suite(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        KeyKind::Ecdsa,
        AeadAlgorithm::Aes256Gcm,
        HashAlgorithm::Sha384,
    ),
    suite(
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        KeyKind::Rsa,
        AeadAlgorithm::Aes256Gcm,
        HashAlgorithm::Sha384,
    ),
    suite(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        KeyKind::Ecdsa,
        AeadAlgorithm::ChaCha20Poly1305,
        HashAlgorithm::Sha256,
    ),
    suite(
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        KeyKind::Rsa,
        AeadAlgorithm::ChaCha20Poly1305,
        HashAlgorithm::Sha256,
    ),
    // RFC 7251 §2: for small devices, which have nothing else.
    suite_13(
        CipherSuite::TLS_AES_128_CCM_SHA256,
        AeadAlgorithm::Aes128Ccm,
        HashAlgorithm::Sha256,
    ),
    suite(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
        KeyKind::Ecdsa,
        AeadAlgorithm::Aes128Ccm,
        HashAlgorithm::Sha256,
    ),
    suite_13(
        CipherSuite::TLS_AES_128_CCM_8_SHA256,
        AeadAlgorithm::Aes128Ccm8,
        HashAlgorithm::Sha256,
    ),
    suite(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
        KeyKind::Ecdsa,
        AeadAlgorithm::Aes128Ccm8,
        HashAlgorithm::Sha256,
    ),
    suite_psk(
        CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256,
        KeyExchange::Ecdhe,
        AeadAlgorithm::Aes128Gcm,
        HashAlgorithm::Sha256,
    ),
    suite_psk(
        CipherSuite::TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384,
        KeyExchange::Ecdhe,
        AeadAlgorithm::Aes256Gcm,
        HashAlgorithm::Sha384,
    ),
    suite_psk(
        CipherSuite::TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256,
        KeyExchange::Ecdhe,
        AeadAlgorithm::ChaCha20Poly1305,
        HashAlgorithm::Sha256,
    ),
    suite_psk(
        CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256,
        KeyExchange::Ecdhe,
        AeadAlgorithm::Aes128Ccm,
        HashAlgorithm::Sha256,
    ),
    suite_psk(
        CipherSuite::TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256,
        KeyExchange::Ecdhe,
        AeadAlgorithm::Aes128Ccm8,
        HashAlgorithm::Sha256,
    ),
    suite_psk(
        CipherSuite::TLS_PSK_WITH_AES_128_GCM_SHA256,
        KeyExchange::SharedKeyAlone,
        AeadAlgorithm::Aes128Gcm,
        HashAlgorithm::Sha256,
    ),
    suite_psk(
        CipherSuite::TLS_PSK_WITH_AES_256_GCM_SHA384,
        KeyExchange::SharedKeyAlone,
        AeadAlgorithm::Aes256Gcm,
        HashAlgorithm::Sha384,
    ),
    suite_psk(
        CipherSuite::TLS_PSK_WITH_CHACHA20_POLY1305_SHA256,
        KeyExchange::SharedKeyAlone,
        AeadAlgorithm::ChaCha20Poly1305,
        HashAlgorithm::Sha256,
    ),
    suite_psk(
        CipherSuite::TLS_PSK_WITH_AES_128_CCM,
        KeyExchange::SharedKeyAlone,
        AeadAlgorithm::Aes128Ccm,
        HashAlgorithm::Sha256,
    ),
    suite_psk(
        CipherSuite::TLS_PSK_WITH_AES_128_CCM_8,
        KeyExchange::SharedKeyAlone,
        AeadAlgorithm::Aes128Ccm8,
        HashAlgorithm::Sha256,
    ),
];

const fn suite(
    id: CipherSuite,
    authentication: KeyKind,
    aead: AeadAlgorithm,
    hash: HashAlgorithm,
) -> Suite {
    Suite {
        id,
        key_exchange: KeyExchange::Ecdhe,
        authentication: Authentication::Signature(authentication),
        aead,
        hash,
    }
}

/// A suite of version 1.2 with a shared key.
const fn suite_psk(
    id: CipherSuite,
    key_exchange: KeyExchange,
    aead: AeadAlgorithm,
    hash: HashAlgorithm,
) -> Suite {
    Suite {
        id,
        key_exchange,
        authentication: Authentication::SharedKey,
        aead,
        hash,
    }
}

const fn suite_13(id: CipherSuite, aead: AeadAlgorithm, hash: HashAlgorithm) -> Suite {
    Suite {
        id,
        key_exchange: KeyExchange::Negotiated,
        authentication: Authentication::Negotiated,
        aead,
        hash,
    }
}

/// The suites of version 1.2 with certificates, the strongest first. For peers in tests, which
/// speak nothing else.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn suites_12() -> impl Iterator<Item = &'static Suite> {
    usual().filter(|suite| suite.authentication.key_kind().is_some())
}

/// The first of them.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn first_12() -> &'static Suite {
    let mut suites = suites_12();
    suites.next().expect("the table has suites of version 1.2")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of the provider that lacks a part of a suite takes the suite away without a word.
    #[test]
    fn every_suite_works() {
        let absent = |suite: &&Suite| !suite.is_supported();
        let absent: Vec<_> = SUITES.iter().filter(absent).collect();
        let has_ccm = cfg!(feature = "ccm");
        assert_eq!(absent.len(), if has_ccm { 0 } else { 8 }, "{absent:?}");
        let without = |suite: &&Suite| suite.id.to_string().contains("_CCM");
        assert!(absent.iter().all(without), "{absent:?}");
    }

    /// RFC 6655 §3, §4, RFC 7251 §2, RFC 8442 §3, RFC 8446 §B.4: every suite with CCM has SHA-256,
    /// and at 1.2 belongs to ECDSA keys or to shared ones.
    #[test]
    fn n57_04_n57_07_suites_with_ccm_are_of_ecdsa_and_sha_256() {
        let ccm = |suite: &&Suite| suite.id.to_string().contains("_CCM");
        let suites: Vec<_> = SUITES.iter().filter(ccm).collect();
        let ids: Vec<_> = suites.iter().map(|suite| suite.id.0).collect();
        let shared = [0xd005, 0xd003, 0xc0a4, 0xc0a8];
        assert_eq!(ids[..4], [0x1304, 0xc0ac, 0x1305, 0xc0ae]);
        assert_eq!(ids[4..], shared);
        for suite in suites {
            assert_eq!(suite.hash, HashAlgorithm::Sha256);
            let authentication = match suite.id.0 {
                id if shared.contains(&id) => Authentication::SharedKey,
                _ if suite.is_13() => Authentication::Negotiated,
                _ => Authentication::Signature(KeyKind::Ecdsa),
            };
            assert_eq!(suite.authentication, authentication);
            assert_eq!(
                suite.aead.has_short_tag(),
                suite.id.to_string().contains("_CCM_8")
            );
        }
    }

    /// H3, H5: nothing with CBC, RC4, static RSA or finite-field DH can be negotiated, because it
    /// is not there. What has no exchange must be asked for (RFC 9325 §4.1).
    #[test]
    fn every_suite_is_ephemeral_or_asked_for_by_name_with_an_aead() {
        for suite in supported() {
            let name = suite.id.to_string();
            let ephemeral = suite.is_13() || name.starts_with("TLS_ECDHE_");
            let short = name.contains("_CCM_8");
            assert_eq!(ephemeral && !short, !suite.is_weaker(), "{name}");
            let with_key = name.contains("_PSK_");
            let is_psk = suite.authentication == Authentication::SharedKey;
            assert_eq!(with_key, is_psk, "{name}");
            let aeads = ["_GCM_", "_POLY1305_", "_CCM"];
            assert!(aeads.iter().any(|aead| name.contains(aead)), "{name}");
            assert_eq!(find(suite.id), Some(suite));
        }
    }
}
