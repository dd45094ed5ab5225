//! tokio: the crate `sealgram-tokio`, and where its chapter is.
//!
//! A loop of one's own is not needed on tokio. The crate `sealgram-tokio`, in the folder `tokio/`
//! of the repository, has a task for each socket, and futures:
//!
//! | what | is |
//! | --- | --- |
//! | `DtlsListener` | any number of clients on one UDP socket: `accept`, `serve`, `shutdown` |
//! | `DtlsConnector` | any number of servers from one UDP socket: `connect`, `rebind` |
//! | `DtlsStream` | one peer, in whole datagrams: `send`, `recv`, `poll_…`, `into_split`, `close` |
//! | `TlsAcceptor`, `TlsConnector`, `TlsStream` | TLS over any `AsyncRead` and `AsyncWrite` |
//!
//! The configurations are those of this crate, and so is everything that these chapters say about
//! certificates, limits, rekeying and addresses. A service and its client, which run as a test of
//! that crate, are its chapter [`sealgram_tokio::docs`]:
//!
//! ```sh
//! cargo doc -p sealgram-tokio --no-deps --open
//! cargo run -p sealgram-tokio --example dtls_echo -- 127.0.0.1:4433 server.pem server.key
//! ```
//!
//! The files are made in [`certificates`](super::certificates).
//!
//! ```toml
//! [dependencies]
//! sealgram-tokio = { path = "../sealgram/tokio" } # a clone of the repository
//! ```
//!
//! [`sealgram_tokio::docs`]: ../../../sealgram_tokio/docs/index.html
//!
//! Without tokio and mio there is the core itself: [`sans_io`](super::sans_io).
