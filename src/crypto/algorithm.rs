//! The algorithms by name, with the sizes that shape records and secrets: what this folder and a
//! provider say to each other.

use pki_types::SignatureVerificationAlgorithm;
use zeroize::Zeroizing;

/// An AEAD algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AeadAlgorithm {
    /// AES-128-GCM (RFC 5288).
    Aes128Gcm,
    /// AES-256-GCM (RFC 5288).
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 7905).
    ChaCha20Poly1305,
}

/// The length of every nonce, in bytes.
pub(crate) const NONCE_LEN: usize = 12;

/// How many bytes of ciphertext the mask of a record number is made from (RFC 9147 §4.2.3).
pub(crate) const SAMPLE_LEN: usize = 16;

impl AeadAlgorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// The length of a key, in bytes.
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// The length of a tag, in bytes.
    pub(crate) const fn tag_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 16,
        }
    }

    /// How many bytes of the nonce come from the key block at 1.2 (RFC 5288 §3, RFC 7905 §2).
    pub(crate) const fn fixed_iv_len_12(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 4,
            Self::ChaCha20Poly1305 => NONCE_LEN,
        }
    }

    /// How many bytes of the nonce each 1.2 record carries.
    pub(crate) const fn explicit_nonce_len_12(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 8,
            Self::ChaCha20Poly1305 => 0,
        }
    }

    /// How many records one key may protect: 2^24.5 for GCM (RFC 9325 §4.4). ChaCha20 has no
    /// reachable limit.
    pub(crate) const fn confidentiality_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 23_726_566,
            Self::ChaCha20Poly1305 => u64::MAX,
        }
    }

    /// How many forgeries one key may see at 1.3: 2^36 (RFC 9147 §4.5.3).
    pub(crate) const INTEGRITY_LIMIT_13: u64 = 1 << 36;

    /// How many forgeries one key may see at 1.2: 2^28 for GCM (RFC 9325 §4.4), 2^36 for ChaCha20
    /// (RFC 9147 §4.5.3).
    pub(crate) const fn integrity_limit_12(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 1 << 28,
            Self::ChaCha20Poly1305 => 1 << 36,
        }
    }
}

/// The bytes did not authenticate. Nothing else is known, on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OpenFailed;

/// A hash function of a cipher suite or of a certificate fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

impl HashAlgorithm {
    /// The length of a digest, in bytes.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

/// A shared secret, of whatever length the group gives.
pub(crate) type SharedSecret = Zeroizing<Vec<u8>>;

/// What `rustls-webpki` verifies one kind of signature with.
pub(crate) type SignatureAlgorithm = &'static dyn SignatureVerificationAlgorithm;
