//! From the shared secret of a key exchange to the keys of records: transcript, key schedule,
//! traffic keys.
//!
//! Secrets are our own zeroized bytes, without `Debug`, compared in constant time.

pub(crate) mod finished;
pub(crate) mod fleet;
pub(crate) mod imported;
pub(crate) mod key_log;
pub(crate) mod schedule12;
pub(crate) mod schedule13;
pub(crate) mod traffic;
pub(crate) mod transcript;
