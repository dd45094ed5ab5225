//! Cryptography, and the seam behind which a provider of it lies.
//!
//! Above this folder keys, secrets and digests are types of this folder, and the tables of suites,
//! groups and schemes say what can be used. Nothing in this folder knows a protocol message.
//!
//! A provider is a folder in here, chosen by a feature of the crate; the one `use` below is all
//! that names it. The features are additive: `ring` is on by default, and where `aws-lc-rs` is on
//! too, whoever turned it on, AWS-LC does the work. What a provider gives, module by module, in
//! types of its own:
//!
//! ```text
//!  aead    ALGORITHMS · Key { new, seal, open } · Tag
//!  hash    ALGORITHMS · digest · Running { new, update, snapshot } · Digest
//!  hkdf    Salt { new, extract } · Prk { from_secret, expand }
//!  hmac    Key { new, sign } · Tag
//!  kem     AVAILABLE · DecapsulationKey { generate, encapsulation_key, decapsulate } · encapsulate
//!  kx      CURVES · PrivateKey { generate, share, agree }
//!  mask    Key { new, mask }                     hides the record numbers of DTLS 1.3
//!  random  fill
//!  sign    Key { parse, complete, … } · takes_rsa · MIN_EXPONENT_BITS
//!  verify  CERTIFICATES · SCHEMES_12 · SCHEMES_13      what rustls-webpki verifies signatures with
//! ```
//!
//! What a provider does not have is absent from its tables, and so from those above them: it is
//! neither offered nor accepted, and a configuration that names it is refused. `ring` has no ML-KEM
//! (FIPS 203): the feature `ml-kem` fills the place of that module with a crate of its own.
//!
//! AES-CCM is no provider's: by a feature of its own, `ccm` stands beside whichever there is.

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
compile_error!(
    "sealgram has no cryptography of its own: turn on the feature `ring`, which is on by default, or `aws-lc-rs`"
);

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
mod ring;
#[cfg(feature = "aws-lc-rs")]
use self::aws_lc as provider;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use self::ring as provider;

#[cfg(all(feature = "ml-kem", not(feature = "aws-lc-rs")))]
mod ml_kem;
#[cfg(not(any(feature = "ml-kem", feature = "aws-lc-rs")))]
mod no_kem;
#[cfg(feature = "aws-lc-rs")]
use self::aws_lc::kem;
#[cfg(all(feature = "ml-kem", not(feature = "aws-lc-rs")))]
use self::ml_kem as kem;
#[cfg(not(any(feature = "ml-kem", feature = "aws-lc-rs")))]
use self::no_kem as kem;

pub(crate) mod aead;
pub(crate) mod algorithm;
#[cfg(feature = "ccm")]
mod ccm;
pub(crate) mod der;
pub(crate) mod hash;
pub(crate) mod hkdf;
pub(crate) mod hmac;
mod hybrid;
pub(crate) mod kx;
pub(crate) mod mask;
pub(crate) mod names;
pub(crate) mod permutation;
pub(crate) mod prf;
mod private_key;
pub(crate) mod public_key_info;
pub(crate) mod random;
pub(crate) mod sign;
pub(crate) mod suite;
pub(crate) mod verify;
