//! Suites, groups and key types, under the names that each peer gives them.

/// An authenticated cipher of DTLS 1.2 that the matrix tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aead {
    /// AES-128-GCM with SHA-256.
    Aes128Gcm,
    /// AES-256-GCM with SHA-384.
    Aes256Gcm,
    /// ChaCha20-Poly1305 with SHA-256.
    ChaCha20Poly1305,
    /// AES-128-CCM with SHA-256.
    Aes128Ccm,
    /// The same with tags of eight bytes.
    Aes128Ccm8,
}

/// How a suite authenticates the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Authentication {
    /// ECDSA, which since RFC 8422 includes Ed25519.
    Ecdsa,
    /// RSA, PKCS#1 or PSS.
    Rsa,
}

/// A cipher suite: `TLS_ECDHE_{ECDSA,RSA}_WITH_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Suite {
    /// The second half of the name.
    pub aead: Aead,
    /// The first half of the name.
    pub authentication: Authentication,
}

/// A cipher suite with a pre-shared key: `TLS_{PSK,ECDHE_PSK}_WITH_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SharedSuite {
    /// The second half of the name.
    pub aead: Aead,
    /// Whether there is an ephemeral key exchange besides.
    pub exchanges: bool,
}

/// A group for the ephemeral key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// X25519.
    X25519,
    /// secp256r1.
    P256,
    /// secp384r1.
    P384,
}

/// The type of a certificate's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa2048,
}

impl Aead {
    /// Every value that the matrix has.
    pub const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// The others, which have suites for ECDSA keys alone: see [`crate::ccm`].
    pub const CCM: [Self; 2] = [Self::Aes128Ccm, Self::Aes128Ccm8];

    /// The part of an OpenSSL cipher name after the authentication.
    #[must_use]
    pub fn openssl_name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES128-GCM-SHA256",
            Self::Aes256Gcm => "AES256-GCM-SHA384",
            Self::ChaCha20Poly1305 => "CHACHA20-POLY1305",
            Self::Aes128Ccm => "AES128-CCM",
            Self::Aes128Ccm8 => "AES128-CCM8",
        }
    }

    /// The cipher's name in a GnuTLS priority string and in GnuTLS's session description.
    #[must_use]
    pub fn gnutls_name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES-128-GCM",
            Self::Aes256Gcm => "AES-256-GCM",
            Self::ChaCha20Poly1305 => "CHACHA20-POLY1305",
            Self::Aes128Ccm => "AES-128-CCM",
            Self::Aes128Ccm8 => "AES-128-CCM-8",
        }
    }

    fn iana_name(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "AES_128_GCM_SHA256",
            Self::Aes256Gcm => "AES_256_GCM_SHA384",
            Self::ChaCha20Poly1305 => "CHACHA20_POLY1305_SHA256",
            Self::Aes128Ccm => "AES_128_CCM",
            Self::Aes128Ccm8 => "AES_128_CCM_8",
        }
    }

    /// Whether records carry an explicit nonce of eight bytes (RFC 5288 §3, RFC 6655 §3), as the
    /// suites with GCM and with CCM do.
    #[must_use]
    pub fn has_explicit_nonce(self) -> bool {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::Aes128Ccm | Self::Aes128Ccm8 => true,
            Self::ChaCha20Poly1305 => false,
        }
    }
}

impl Authentication {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Ecdsa, Self::Rsa];

    /// The name inside a suite's name, equal for all peers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "ECDSA",
            Self::Rsa => "RSA",
        }
    }
}

impl Suite {
    /// Every suite of the matrix.
    pub fn all() -> impl Iterator<Item = Self> {
        Authentication::ALL.into_iter().flat_map(|authentication| {
            Aead::ALL.into_iter().map(move |aead| Self {
                aead,
                authentication,
            })
        })
    }

    /// Those and the suites of [`Aead::CCM`].
    pub fn known() -> impl Iterator<Item = Self> {
        let ccm = Aead::CCM.into_iter().map(|aead| Self {
            aead,
            authentication: Authentication::Ecdsa,
        });
        Self::all().chain(ccm)
    }

    /// The registered name, which `sealgram` uses.
    #[must_use]
    pub fn iana_name(self) -> String {
        format!(
            "TLS_ECDHE_{}_WITH_{}",
            self.authentication.name(),
            self.aead.iana_name()
        )
    }

    /// OpenSSL's name.
    #[must_use]
    pub fn openssl_name(self) -> String {
        format!(
            "ECDHE-{}-{}",
            self.authentication.name(),
            self.aead.openssl_name()
        )
    }

    /// The suite with this registered name, if it is known.
    #[must_use]
    pub fn from_iana_name(name: &str) -> Option<Self> {
        Self::known().find(|suite| suite.iana_name() == name)
    }

    /// The suite with this OpenSSL name, if it is known.
    #[must_use]
    pub fn from_openssl_name(name: &str) -> Option<Self> {
        Self::known().find(|suite| suite.openssl_name() == name)
    }
}

impl SharedSuite {
    /// Every suite.
    pub fn all() -> impl Iterator<Item = Self> {
        let both = |aead| [true, false].map(|exchanges| Self { aead, exchanges });
        Aead::ALL.into_iter().flat_map(both)
    }

    /// The registered name, which `sealgram` uses.
    #[must_use]
    pub fn iana_name(self) -> String {
        let exchange = if self.exchanges { "ECDHE_" } else { "" };
        format!("TLS_{exchange}PSK_WITH_{}", self.aead.iana_name())
    }

    /// OpenSSL's name.
    #[must_use]
    pub fn openssl_name(self) -> String {
        let exchange = if self.exchanges { "ECDHE-" } else { "" };
        format!("{exchange}PSK-{}", self.aead.openssl_name())
    }

    /// The key exchange in a GnuTLS priority string.
    #[must_use]
    pub const fn gnutls_name(self) -> &'static str {
        if self.exchanges { "ECDHE-PSK" } else { "PSK" }
    }
}

impl Group {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::X25519, Self::P256, Self::P384];

    /// The name that `sealgram` and OpenSSL take as an argument.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X25519 => "X25519",
            Self::P256 => "P-256",
            Self::P384 => "P-384",
        }
    }

    /// The name in a GnuTLS priority string (after `GROUP-`) and in its session description.
    #[must_use]
    pub fn gnutls_name(self) -> &'static str {
        match self {
            Self::X25519 => "X25519",
            Self::P256 => "SECP256R1",
            Self::P384 => "SECP384R1",
        }
    }

    /// Reads any of the names that programs print for a group.
    #[must_use]
    pub fn from_any_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "x25519" => Some(Self::X25519),
            "p-256" | "p256" | "secp256r1" | "prime256v1" => Some(Self::P256),
            "p-384" | "p384" | "secp384r1" => Some(Self::P384),
            _ => None,
        }
    }
}

impl KeyType {
    /// Every value.
    pub const ALL: [Self; 4] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::Ed25519,
        Self::Rsa2048,
    ];

    /// The authentication of the suites that this key fits.
    #[must_use]
    pub fn authentication(self) -> Authentication {
        match self {
            Self::EcdsaP256 | Self::EcdsaP384 | Self::Ed25519 => Authentication::Ecdsa,
            Self::Rsa2048 => Authentication::Rsa,
        }
    }

    /// The curve of the key, if it counts as a supported group: RFC 8422 §5.1 lets a peer refuse an
    /// ECDSA certificate whose curve was not offered, and OpenSSL does.
    #[must_use]
    pub fn curve(self) -> Option<Group> {
        match self {
            Self::EcdsaP256 => Some(Group::P256),
            Self::EcdsaP384 => Some(Group::P384),
            Self::Ed25519 | Self::Rsa2048 => None,
        }
    }

    /// A short name for files and case names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "p256",
            Self::EcdsaP384 => "p384",
            Self::Ed25519 => "ed25519",
            Self::Rsa2048 => "rsa2048",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_found_again_by_its_names() {
        assert_eq!(Suite::all().count(), 6);
        for suite in Suite::known() {
            assert_eq!(Suite::from_iana_name(&suite.iana_name()), Some(suite));
            assert_eq!(Suite::from_openssl_name(&suite.openssl_name()), Some(suite));
        }
    }

    #[test]
    fn every_group_is_found_again_by_its_names() {
        for group in Group::ALL {
            assert_eq!(Group::from_any_name(group.name()), Some(group));
            assert_eq!(Group::from_any_name(group.gnutls_name()), Some(group));
        }
    }
}
