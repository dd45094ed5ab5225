//! First handshakes of every version: what is agreed, what is refused, what losses do.

#[path = "../common/mod.rs"]
mod common;

mod agreement;
mod answers;
mod certificates;
mod conformance;
mod conformance_datagrams;
mod conformance_streams;
mod cryptography;
mod deferred_answers;
mod dtls13;
mod ends_of_attempts;
mod external_keys;
mod external_keys_faults;
mod hellos12;
mod hellos13;
#[cfg(any(feature = "aws-lc-rs", feature = "ml-kem"))]
mod hybrid;
mod identities;
mod kinds_together;
mod long_chains;
mod loss12;
mod loss13;
mod lossy_simulations;
mod misbehaviour12;
mod misbehaviour13;
mod noise;
mod preferences;
mod profiles;
mod raw_key_faults;
mod raw_keys;
mod record_limits;
mod shared_key_faults;
mod shared_key_lookups;
mod shared_keys;
mod srtp;
mod timeouts;
mod tls12;
mod tls13;
