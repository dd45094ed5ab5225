//! Configurations: plain data, checked when it is built, shared by many associations.

mod algorithms;
pub(crate) mod answers;
pub(crate) mod client;
pub(crate) mod clock;
mod conformance;
mod parameters;
mod policy;
pub(crate) mod proven;
mod rekey;
pub(crate) mod server;
mod versions;

pub use crate::crypto::random::{SecureRandom, SystemRandom};
pub use crate::secrets::fleet::FleetSecret;
pub use crate::secrets::key_log::{KeyLog, KeyLogFile};
pub use algorithms::Algorithms;
pub(crate) use answers::{HelloAnswer, ReceivedHello, ReceivedRequest, RequestAnswer};
pub(crate) use client::ClientConfig;
pub use clock::{Clock, SystemClock};

#[cfg(all(test, not(feature = "conformance")))]
pub(crate) use conformance::Conformance;
pub(crate) use conformance::InForce;
#[cfg(not(feature = "conformance"))]
pub(crate) use conformance::RenegotiationRefusals;
#[doc(hidden)]
#[cfg(feature = "conformance")]
pub use conformance::{Conformance, RenegotiationRefusals};

pub(crate) use conformance::MAX_WARNINGS;
pub(crate) use parameters::Parameters;
pub(crate) use policy::MIN_HANDSHAKE_MTU;
pub use policy::{
    DatagramPolicy, ExtendedMasterSecret, Migration, PlaintextAlerts, PskKeyExchange,
    RenegotiatedConnectionId, SecureRenegotiation, StreamPolicy,
};
pub(crate) use proven::{FirstHello, Issued, ProvenHello, Retried};
pub use rekey::{ClientRenegotiation, DataDuringRenegotiation, IdentityChange, RekeyPolicy};
pub use versions::Versions;

#[cfg(test)]
pub(crate) use server::test_server;
pub(crate) use server::{ClientAuthentication, ServerConfig};
