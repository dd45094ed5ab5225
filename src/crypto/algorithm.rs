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
    /// AES-128-CCM (RFC 6655).
    Aes128Ccm,
    /// AES-128-CCM with a tag of eight bytes (RFC 6655).
    Aes128Ccm8,
}

/// The length of every nonce, in bytes.
pub(crate) const NONCE_LEN: usize = 12;

/// How many bytes of ciphertext the mask of a record number is made from (RFC 9147 §4.2.3).
pub(crate) const SAMPLE_LEN: usize = 16;

impl AeadAlgorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Aes128Gcm,
        Self::Aes256Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes128Ccm,
        Self::Aes128Ccm8,
    ];

    /// The length of a key, in bytes.
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Ccm | Self::Aes128Ccm8 => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// The length of a tag, in bytes.
    pub(crate) const fn tag_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 | Self::Aes128Ccm => 16,
            Self::Aes128Ccm8 => 8,
        }
    }

    /// How many bytes of the nonce come from the key block at 1.2 (RFC 5288 §3, RFC 6655 §3, RFC
    /// 7905 §2).
    pub(crate) const fn fixed_iv_len_12(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::Aes128Ccm | Self::Aes128Ccm8 => 4,
            Self::ChaCha20Poly1305 => NONCE_LEN,
        }
    }

    /// How many bytes of the nonce each 1.2 record carries.
    pub(crate) const fn explicit_nonce_len_12(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::Aes128Ccm | Self::Aes128Ccm8 => 8,
            Self::ChaCha20Poly1305 => 0,
        }
    }

    /// How many records one key may protect: 2^24.5 for GCM (RFC 9325 §4.4), 2^23 for CCM, whatever
    /// its tag (RFC 9147 §4.5.3). ChaCha20 has no reachable limit.
    pub(crate) const fn confidentiality_limit(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 23_726_566,
            Self::ChaCha20Poly1305 => u64::MAX,
            Self::Aes128Ccm | Self::Aes128Ccm8 => 1 << 23,
        }
    }

    /// How many forgeries one key may see at 1.3 (RFC 9147 §4.5.3): 2^36, and 2^23.5 for CCM.
    pub(crate) const fn integrity_limit_13(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => 1 << 36,
            Self::Aes128Ccm => 11_863_283,
            Self::Aes128Ccm8 => Self::SHORT_TAG_FORGERIES,
        }
    }

    /// How many forgeries one key may see at 1.2: 2^28 for GCM (RFC 9325 §4.4), as at 1.3 for the
    /// others (RFC 9147 §4.5.3).
    pub(crate) const fn integrity_limit_12(self) -> u64 {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => 1 << 28,
            Self::ChaCha20Poly1305 | Self::Aes128Ccm | Self::Aes128Ccm8 => {
                self.integrity_limit_13()
            }
        }
    }

    /// How many forgeries a key with a tag of eight bytes may see. RFC 9147 §4.5.3 wants such tags
    /// only with a limit of one's own: one forgery in 2^64 succeeds, so with this many a key is
    /// broken with a chance of 2^-57, which is what longer tags are held to.
    const SHORT_TAG_FORGERIES: u64 = 1 << 7;

    /// Whether its tags are so short that it is used only by those who name it (RFC 9147 §4.5.3,
    /// RFC 9325 §4.2).
    pub(crate) const fn has_short_tag(self) -> bool {
        self.tag_len() < SAMPLE_LEN
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
