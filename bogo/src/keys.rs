//! Keys outside the library: slow ones, and one with a signature that `ring` does not have.

use crate::Failed;
use crate::answers::Answers;
use p384::ecdsa::signature::DigestSigner as _;
use p384::ecdsa::{DerSignature, SigningKey as P384Key};
use p384::pkcs8::DecodePrivateKey as _;
use sealgram::identity::{CertifiedKey, SignHandshake, SigningKey};
use sealgram::pki_types::pem::PemObject as _;
use sealgram::pki_types::{CertificateDer, PrivateKeyDer};
use sealgram::{Reply, SignatureScheme};
use sha2::{Digest as _, Sha256, Sha384};
use std::path::Path;
use std::sync::Arc;

/// A chain with its key, both in PEM. If `slow`, signatures wait until they are released.
pub(crate) fn certified(
    chain: &Path,
    key: &Path,
    slow: Option<&Arc<Answers>>,
) -> Result<CertifiedKey, Failed> {
    let der = PrivateKeyDer::from_pem_file(key).map_err(Failed::new)?;
    let signer: Arc<dyn SignHandshake> = match (slow, P384::read(&der)) {
        (Some(answers), _) => Arc::new(Slow {
            key: SigningKey::new(&der)?,
            answers: answers.clone(),
        }),
        (None, Some(key)) => Arc::new(key),
        (None, None) => return Ok(CertifiedKey::from_pem_files(chain, key)?),
    };
    let chain = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(Failed::new)?;
    Ok(CertifiedKey::with_signer(chain, signer)?)
}

/// A key whose signatures wait.
#[derive(Debug)]
struct Slow {
    key: SigningKey,
    answers: Arc<Answers>,
}

impl SignHandshake for Slow {
    fn schemes(&self) -> &[SignatureScheme] {
        self.key.schemes()
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>) {
        if let Ok(made) = self.key.sign(scheme, message) {
            self.answers.keep(made, signature);
        }
    }
}

/// A key on P-384 that signs with SHA-256 as well, as version 1.2 allows (RFC 5246 §7.4.1.4.1).
#[derive(Debug)]
struct P384(P384Key);

impl P384 {
    fn read(der: &PrivateKeyDer<'_>) -> Option<Self> {
        match der {
            PrivateKeyDer::Pkcs8(der) => P384Key::from_pkcs8_der(der.secret_pkcs8_der())
                .ok()
                .map(Self),
            _ => None,
        }
    }
}

impl SignHandshake for P384 {
    fn schemes(&self) -> &[SignatureScheme] {
        &[
            SignatureScheme::ECDSA_SECP384R1_SHA384,
            SignatureScheme::ECDSA_SECP256R1_SHA256,
        ]
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8], signature: Reply<Vec<u8>>) {
        let made: Result<DerSignature, _> = match scheme {
            SignatureScheme::ECDSA_SECP384R1_SHA384 => {
                self.0.try_sign_digest(|digest: &mut Sha384| {
                    digest.update(message);
                    Ok(())
                })
            }
            SignatureScheme::ECDSA_SECP256R1_SHA256 => {
                self.0.try_sign_digest(|digest: &mut Sha256| {
                    digest.update(message);
                    Ok(())
                })
            }
            _ => return,
        };
        if let Ok(made) = made {
            signature.send(made.as_bytes().to_vec());
        }
    }
}
