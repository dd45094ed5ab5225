//! DTLS and TLS for tokio, over [`sealgram`].
//!
//! A [`DtlsListener`] serves any number of clients on one UDP socket, a [`DtlsConnector`] reaches
//! any number of servers from one, and a [`DtlsStream`] is an association with one peer: whole
//! datagrams go in and come out. A [`TlsStream`] is TLS over whatever can be read and written.
//!
//! ```no_run
//! use sealgram::ServerConfig;
//! use sealgram::identity::{CertifiedKey, Credential};
//! use sealgram_tokio::DtlsListener;
//! use std::path::Path;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let key = CertifiedKey::from_pem_files(Path::new("chain.pem"), Path::new("key.pem"))?;
//!     let config = ServerConfig::with_credential(Credential::Certificate(key)).build()?;
//!     let mut listener = DtlsListener::bind("0.0.0.0:4433".parse()?, config.into())?;
//!     loop {
//!         let peer = listener.accept().await?;
//!         tokio::spawn(async move {
//!             while let Some(datagram) = peer.recv().await? {
//!                 peer.send(&datagram.data).await?;
//!             }
//!             peer.close().await
//!         });
//!     }
//! }
//! ```
//!
//! # How it works
//!
//! ```text
//!  DtlsStream ─┐  send, recv: straight into the endpoint, under a lock that is held for no longer
//!  DtlsStream ─┼─► sealgram::net::UdpEndpoint ◄── a task: readiness of the socket, timers, events
//!  DtlsListener┘                                  in batches, as many datagrams as the system takes
//! ```
//!
//! The task is spawned on the runtime that the socket is bound in, and ends when the last listener,
//! connector and stream of its socket is gone and what they have sent has left. So everything here
//! must be called within a runtime whose I/O and time are enabled.
//!
//! Every future may be dropped at any time: what was not yet received stays where it is, what was
//! not yet sent is not sent, and a client that is not yet accepted stays in line.
//!
//! The chapter [`docs`] has both ends, TLS, the settings that matter, and what goes wrong.

mod clock;
mod connector;
pub mod docs;
mod driver;
mod listener;
mod shared;
mod stream;
mod tls;
mod waiting;

pub use connector::DtlsConnector;
pub use listener::DtlsListener;
pub use sealgram;
pub use stream::{DtlsReceiver, DtlsSender, DtlsStream};
pub use tls::{TlsAcceptor, TlsConnector, TlsStream};
