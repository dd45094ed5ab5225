//! `ring` under dimpl, so that a handshake of it can be compared with one of sealgram's without
//! comparing X25519 of AWS-LC with X25519 of `ring`. It follows dimpl's own provider of AWS-LC line
//! by line. The mask of record numbers at 1.3 alone stays AWS-LC's, because `ring` shows five of
//! the sixteen bytes that dimpl tests; a handshake has a dozen of them.

use dimpl::crypto::{
    Aad, ActiveKeyExchange, Buf, Cipher, CryptoProvider, Dtls12CipherSuite, Dtls13CipherSuite,
    HashAlgorithm, HashContext, HashProvider, HmacProvider, KeyProvider, NamedGroup, Nonce,
    SecureRandom, SignatureAlgorithm, SignatureVerifier, SigningKey, SupportedDtls12CipherSuite,
    SupportedDtls13CipherSuite, SupportedKxGroup, TmpBuf, aws_lc_rs,
};
use dimpl::{CryptoError, CryptoOperation};
use ring::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use ring::{aead, digest, hmac, signature};
use std::fmt;

/// Everything from `ring`.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: &[&Group(NamedGroup::X25519), &Group(NamedGroup::Secp256r1)],
        signature_verification: &Ring,
        key_provider: &Ring,
        secure_random: &Ring,
        hash_provider: &Ring,
        hmac_provider: &Ring,
        cipher_suites: &[&Ring],
        dtls13_cipher_suites: &[&Ring],
    }
}

#[derive(Debug)]
struct Ring;

/// What dimpl wants to be shown, but which is secret or says nothing.
struct Hidden<T>(T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

const fn failed(operation: CryptoOperation) -> CryptoError {
    CryptoError::OperationFailed(operation)
}

#[derive(Debug)]
struct Aes(Hidden<LessSafeKey>);

impl Aes {
    fn boxed(key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        let key = UnboundKey::new(&AES_128_GCM, key)
            .map_err(|_| failed(CryptoOperation::CreateCipher))?;
        Ok(Box::new(Self(Hidden(LessSafeKey::new(key)))))
    }
}

fn nonce(nonce: &Nonce) -> Result<aead::Nonce, CryptoError> {
    aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| CryptoError::InvalidNonce)
}

impl Cipher for Aes {
    fn encrypt(&mut self, text: &mut Buf, aad: Aad, number: Nonce) -> Result<(), CryptoError> {
        let aad = aead::Aad::from(&aad[..]);
        let sealed = self
            .0
            .0
            .seal_in_place_append_tag(nonce(&number)?, aad, text);
        sealed.map_err(|_| failed(CryptoOperation::Encrypt))
    }

    fn decrypt(&mut self, text: &mut TmpBuf, aad: Aad, number: Nonce) -> Result<(), CryptoError> {
        let aad = aead::Aad::from(&aad[..]);
        let opened = self.0.0.open_in_place(nonce(&number)?, aad, text.as_mut());
        let length = opened.map_err(|_| failed(CryptoOperation::Decrypt))?.len();
        text.truncate(length);
        Ok(())
    }
}

impl SupportedDtls12CipherSuite for Ring {
    fn suite(&self) -> Dtls12CipherSuite {
        Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_lengths(&self) -> (usize, usize, usize) {
        (0, 16, 4)
    }

    fn explicit_nonce_len(&self) -> usize {
        8
    }

    fn tag_len(&self) -> usize {
        16
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        Aes::boxed(key)
    }
}

impl SupportedDtls13CipherSuite for Ring {
    fn suite(&self) -> Dtls13CipherSuite {
        Dtls13CipherSuite::AES_128_GCM_SHA256
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_len(&self) -> usize {
        16
    }

    fn iv_len(&self) -> usize {
        12
    }

    fn tag_len(&self) -> usize {
        16
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        Aes::boxed(key)
    }

    fn encrypt_sn(&self, key: &[u8], sample: &[u8; 16]) -> [u8; 16] {
        // Its first suite is this one.
        aws_lc_rs::default_provider().dtls13_cipher_suites[0].encrypt_sn(key, sample)
    }
}

#[derive(Debug)]
struct Group(NamedGroup);

impl Group {
    fn algorithm(&self) -> &'static ring::agreement::Algorithm {
        match self.0 {
            NamedGroup::X25519 => &X25519,
            _ => &ECDH_P256,
        }
    }
}

impl SupportedKxGroup for Group {
    fn name(&self) -> NamedGroup {
        self.0
    }

    fn start_exchange(&self, mut share: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let private = EphemeralPrivateKey::generate(self.algorithm(), &SystemRandom::new())
            .map_err(|_| failed(CryptoOperation::GenerateEphemeralKey))?;
        let public = private
            .compute_public_key()
            .map_err(|_| failed(CryptoOperation::ComputePublicKey))?;
        share.clear();
        share.extend_from_slice(public.as_ref());
        Ok(Box::new(Exchange {
            group: Self(self.0),
            private: Hidden(private),
            share,
        }))
    }
}

#[derive(Debug)]
struct Exchange {
    group: Group,
    private: Hidden<EphemeralPrivateKey>,
    share: Buf,
}

impl ActiveKeyExchange for Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn complete(self: Box<Self>, theirs: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let theirs = UnparsedPublicKey::new(self.group.algorithm(), theirs);
        let group = self.group.0;
        agree_ephemeral(self.private.0, &theirs, |secret| {
            out.clear();
            out.extend_from_slice(secret);
        })
        .map_err(|_| CryptoError::InvalidPublicKey(group))
    }

    fn group(&self) -> NamedGroup {
        self.group.0
    }
}

impl SecureRandom for Ring {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let filled = SystemRandom::new().fill(out);
        filled.map_err(|_| failed(CryptoOperation::FillRandom))
    }
}

#[derive(Debug)]
struct Hash(Hidden<digest::Context>);

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.0.update(data);
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        out.clear();
        out.extend_from_slice(self.0.0.clone().finish().as_ref());
    }
}

impl HashProvider for Ring {
    fn create_hash(&self, _: HashAlgorithm) -> Box<dyn HashContext> {
        // No suite here has another.
        Box::new(Hash(Hidden(digest::Context::new(&digest::SHA256))))
    }
}

impl HmacProvider for Ring {
    fn hmac(
        &self,
        _: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
        out[..tag.as_ref().len()].copy_from_slice(tag.as_ref());
        Ok(tag.as_ref().len())
    }
}

#[derive(Debug)]
struct Signer(Hidden<EcdsaKeyPair>);

impl SigningKey for Signer {
    fn sign(&mut self, data: &[u8], _: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        let signature = self.0.0.sign(&SystemRandom::new(), data);
        out.clear();
        out.extend_from_slice(
            signature
                .map_err(|_| failed(CryptoOperation::Sign))?
                .as_ref(),
        );
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

impl KeyProvider for Ring {
    fn load_private_key(&self, key: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key, &SystemRandom::new())
            .map_err(|_| CryptoError::InvalidPrivateKey)?;
        Ok(Box::new(Signer(Hidden(key))))
    }
}

impl SignatureVerifier for Ring {
    fn verify_signature(
        &self,
        certificate: &[u8],
        data: &[u8],
        signed: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let key = public_key(certificate).ok_or(CryptoError::CertificateParseFailed)?;
        let key = signature::UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
        key.verify(data, signed)
            .map_err(|_| CryptoError::SignatureVerificationFailed {
                signature: algorithm,
                hash,
                group: NamedGroup::Secp256r1,
            })
    }
}

/// The point of a P-256 key in a certificate: a BIT STRING of 66 bytes that begins with "no unused
/// bits, uncompressed". A real program would parse the certificate.
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    const HEAD: [u8; 4] = [0x03, 0x42, 0x00, 0x04];
    let place = certificate.windows(HEAD.len()).position(|at| at == HEAD)?;
    certificate.get(place + 3..place + 3 + 65)
}
