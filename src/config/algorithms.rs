//! Which cipher suites, groups and signature schemes an end allows.

use crate::crypto::kx::supported_groups;
use crate::crypto::suite::{self, Suite};
use crate::crypto::verify::supported_schemes;
use crate::error::ConfigError;
use crate::protocol::{CipherSuite, NamedGroup, SignatureScheme};

/// The cipher suites, groups and signature schemes that an end allows, the preferred ones first.
///
/// The default is all that exist here, but for suites that are weaker than others, and so are used
/// only where [`cipher_suites`](Self::cipher_suites) names them: those of AES-CCM with tags of
/// eight bytes (RFC 9147 §4.5.3, RFC 9325 §4.2), and those with a pre-shared key and no key
/// exchange, `TLS_PSK_…`, because whoever learns the key later can read what was recorded before
/// (RFC 9325 §4.1). One value can serve clients and servers alike: a suite for which an end has no
/// key, credential or verifier is left out there.
#[derive(Clone, Debug)]
pub struct Algorithms {
    /// Never empty.
    pub(crate) suites: Vec<&'static Suite>,
    /// Never empty.
    pub(crate) groups: Vec<NamedGroup>,
    /// Those that the peer may sign with; never empty.
    pub(crate) schemes: Vec<SignatureScheme>,
}

impl Default for Algorithms {
    fn default() -> Self {
        Self {
            suites: suite::usual().collect(),
            groups: supported_groups().collect(),
            schemes: supported_schemes().collect(),
        }
    }
}

impl Algorithms {
    /// The cipher suites to allow, the preferred ones first. A version without a suite in the list
    /// is not spoken.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EmptyList`] if there is none, [`ConfigError::UnsupportedCipherSuite`] for one
    /// that does not exist here.
    pub fn cipher_suites(mut self, suites: &[CipherSuite]) -> Result<Self, ConfigError> {
        if let Some(unknown) = suites.iter().find(|&&id| suite::find(id).is_none()) {
            return Err(ConfigError::UnsupportedCipherSuite(*unknown));
        }
        self.suites = suites.iter().filter_map(|&id| suite::find(id)).collect();
        not_empty("cipher suites", &self.suites)?;
        Ok(self)
    }

    /// The key exchange groups to allow, the preferred ones first.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EmptyList`] if there is none, [`ConfigError::UnsupportedGroup`] for one that
    /// does not exist here.
    pub fn groups(mut self, groups: &[NamedGroup]) -> Result<Self, ConfigError> {
        let exists = |group: &NamedGroup| supported_groups().any(|known| known == *group);
        if let Some(unknown) = groups.iter().find(|group| !exists(group)) {
            return Err(ConfigError::UnsupportedGroup(*unknown));
        }
        not_empty("groups", groups)?;
        self.groups = groups.to_vec();
        Ok(self)
    }

    /// The schemes that the peer may sign the handshake with, the preferred ones first (RFC 8446
    /// §4.2.3). What signs the certificates of its chain is for the verifier to judge. RSA with
    /// PKCS#1 padding signs at 1.2 alone: a list of nothing else belongs to
    /// [`Versions::V1_2`](super::Versions::V1_2), because handshakes of 1.3 would fail with it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EmptyList`] if there is none, [`ConfigError::UnsupportedSignatureScheme`] for
    /// one that does not exist here.
    pub fn signature_schemes(mut self, schemes: &[SignatureScheme]) -> Result<Self, ConfigError> {
        let exists = |scheme: &SignatureScheme| supported_schemes().any(|known| known == *scheme);
        if let Some(unknown) = schemes.iter().find(|scheme| !exists(scheme)) {
            return Err(ConfigError::UnsupportedSignatureScheme(*unknown));
        }
        not_empty("signature schemes", schemes)?;
        self.schemes = schemes.to_vec();
        Ok(self)
    }
}

fn not_empty<T>(of: &'static str, list: &[T]) -> Result<(), ConfigError> {
    match list {
        [] => Err(ConfigError::EmptyList { of }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_neither_empty_nor_of_what_does_not_exist_here() {
        let all = Algorithms::default();
        for list in [&[][..], &[CipherSuite(0x0005)]] {
            assert!(all.clone().cipher_suites(list).is_err());
        }
        for list in [&[][..], &[NamedGroup(0x0018), NamedGroup(0xffff)]] {
            assert!(all.clone().groups(list).is_err());
        }
        for list in [&[][..], &[SignatureScheme(0x0201)]] {
            assert!(all.clone().signature_schemes(list).is_err());
        }
        let aes = CipherSuite::TLS_AES_128_GCM_SHA256;
        let one = all.cipher_suites(&[aes]).unwrap();
        assert_eq!(one.suites.len(), 1);
    }
}
