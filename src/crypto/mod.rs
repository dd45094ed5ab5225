//! The only place that uses `ring`.
//!
//! Above this floor keys, secrets and digests are types of this module, so that another provider can be put
//! here by a cargo feature. Nothing in this folder knows a protocol message.

pub(crate) mod aead;
pub(crate) mod der;
pub(crate) mod hash;
pub(crate) mod hkdf;
pub(crate) mod hmac;
pub(crate) mod kx;
pub(crate) mod mask;
pub(crate) mod names;
pub(crate) mod prf;
pub(crate) mod random;
pub(crate) mod sign;
pub(crate) mod suite;
pub(crate) mod verify;
