//! The provider AWS-LC, by `aws-lc-rs`, and the only place that names it. The folder above says
//! what it gives.

pub(crate) mod aead;
pub(crate) mod hash;
pub(crate) mod hkdf;
pub(crate) mod hmac;
pub(crate) mod kem;
pub(crate) mod kx;
pub(crate) mod mask;
pub(crate) mod random;
pub(crate) mod sign;
pub(crate) mod verify;
