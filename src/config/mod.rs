//! Configurations: plain data, checked when it is built, shared by many associations.

mod algorithms;
mod answers;
mod client;
pub(crate) mod clock;
mod conformance;
mod parameters;
mod policy;
mod proven;
mod rekey;
mod server;
mod versions;

pub use algorithms::Algorithms;
pub use answers::{
    AnswerHello, AnswerRequest, HelloAnswer, ReceivedHello, ReceivedRequest, RequestAnswer,
};
pub use client::{ClientConfig, ClientConfigBuilder, DangerousClientConfig};
pub use clock::{Clock, SystemClock};

#[cfg(all(test, not(feature = "conformance")))]
pub(crate) use conformance::Conformance;
pub(crate) use conformance::InForce;
#[cfg(not(feature = "conformance"))]
pub(crate) use conformance::RenegotiationRefusals;
#[doc(hidden)]
#[cfg(feature = "conformance")]
pub use conformance::{Conformance, RenegotiationRefusals};

pub use crate::session::{
    ClientSessionStore, MemoryClientSessions, MemoryServerSessions, ServerSessionStore, SessionKey,
    Tickets,
};
pub(crate) use conformance::MAX_WARNINGS;
pub(crate) use parameters::Parameters;
pub(crate) use policy::MIN_HANDSHAKE_MTU;
pub use policy::{
    DatagramPolicy, ExtendedMasterSecret, PlaintextAlerts, SecureRenegotiation, StreamPolicy,
};
pub use proven::ProvenHello;
pub(crate) use proven::{FirstHello, Issued, Retried};
pub use rekey::{ClientRenegotiation, DataDuringRenegotiation, IdentityChange, RekeyPolicy};
pub use versions::Versions;

#[cfg(test)]
pub(crate) use server::test_server;
pub use server::{ClientAuthentication, Preference, ServerConfig, ServerConfigBuilder};
