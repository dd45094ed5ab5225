//! Which cipher suites, groups and signature schemes an end allows.

use crate::crypto::kx::supported_groups;
use crate::crypto::suite::{self, Suite};
use crate::crypto::verify::supported_schemes;
use crate::error::ConfigError;
use crate::protocol::{CipherSuite, NamedGroup, SignatureScheme};
use std::fmt;

/// The cipher suites, groups and signature schemes that an end allows, the preferred ones first.
///
/// The default is all that exist here. One value can serve clients and servers alike.
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
            suites: suite::supported().collect(),
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
    /// `ConfigError::UnsupportedParameter` if the list is empty or holds one that does not exist
    /// here.
    pub fn cipher_suites(mut self, suites: &[CipherSuite]) -> Result<Self, ConfigError> {
        if let Some(unknown) = suites.iter().find(|&&id| suite::find(id).is_none()) {
            return Err(ConfigError::UnsupportedParameter(unknown.to_string()));
        }
        self.suites = suites.iter().filter_map(|&id| suite::find(id)).collect();
        not_empty("cipher suites", &self.suites)?;
        Ok(self)
    }

    /// The key exchange groups to allow, the preferred ones first.
    ///
    /// # Errors
    ///
    /// `ConfigError::UnsupportedParameter` if the list is empty or holds one that does not exist
    /// here.
    pub fn groups(mut self, groups: &[NamedGroup]) -> Result<Self, ConfigError> {
        let supported: Vec<_> = supported_groups().collect();
        self.groups = supported_list("groups", groups, &supported)?;
        Ok(self)
    }

    /// The schemes that the peer may sign the handshake with, the preferred ones first (RFC 8446
    /// §4.2.3). What signs the certificates of its chain is for the verifier to judge. RSA with
    /// PKCS#1 padding signs at 1.2 alone: a list of nothing else belongs to
    /// [`Versions::V1_2`](super::Versions::V1_2), because handshakes of 1.3 would fail with it.
    ///
    /// # Errors
    ///
    /// `ConfigError::UnsupportedParameter` if the list is empty or holds one that does not exist
    /// here.
    pub fn signature_schemes(mut self, schemes: &[SignatureScheme]) -> Result<Self, ConfigError> {
        let supported: Vec<_> = supported_schemes().collect();
        self.schemes = supported_list("signature schemes", schemes, &supported)?;
        Ok(self)
    }
}

/// A list with at least one member, each of which is supported here.
fn supported_list<T: Copy + PartialEq + fmt::Display>(
    what: &str,
    given: &[T],
    supported: &[T],
) -> Result<Vec<T>, ConfigError> {
    if let Some(unknown) = given.iter().find(|it| !supported.contains(it)) {
        return Err(ConfigError::UnsupportedParameter(unknown.to_string()));
    }
    not_empty(what, given)?;
    Ok(given.to_vec())
}

fn not_empty<T>(what: &str, list: &[T]) -> Result<(), ConfigError> {
    if list.is_empty() {
        let text = format!("an empty list of {what}");
        return Err(ConfigError::UnsupportedParameter(text));
    }
    Ok(())
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
