//! Configurations: plain data, checked when it is built, shared by many associations.

mod client;
pub(crate) mod clock;
mod parameters;
mod policy;
mod proven;
mod rekey;
mod server;

pub use client::{ClientConfig, ClientConfigBuilder, DangerousClientConfig};
pub use clock::{Clock, SystemClock};

pub use crate::session::{
    ClientSessionStore, MemoryClientSessions, MemoryServerSessions, ServerSessionStore, SessionKey,
    Tickets,
};
pub(crate) use parameters::Parameters;
pub(crate) use policy::MIN_HANDSHAKE_MTU;
pub use policy::{DatagramPolicy, ExtendedMasterSecret, PlaintextAlerts, StreamPolicy};
pub(crate) use proven::FirstHello;
pub use proven::ProvenHello;
pub use rekey::{ClientRenegotiation, DataDuringRenegotiation, IdentityChange, RekeyPolicy};
pub use server::{ClientAuthentication, ServerConfig, ServerConfigBuilder};
