//! A service and a client on tokio: the chapter of the guide.
//!
//! ```toml
//! [dependencies]
//! sealgram-tokio = { path = "../sealgram/tokio" } # a clone of the repository
//! tokio = { version = "1", features = ["macros", "rt-multi-thread", "sync", "time"] }
//! rcgen = "0.14"                                  # makes a certificate for the trial
//! ```
//!
//! The library itself comes with it, as `sealgram_tokio::sealgram`. Both ends run in one program:
//!
//! ```
//! use sealgram_tokio::sealgram::identity::{CertifiedKey, Credential, Roots};
//! use sealgram_tokio::sealgram::pki_types::PrivateKeyDer;
//! use sealgram_tokio::sealgram::{ClientConfig, ServerConfig};
//! use sealgram_tokio::{DtlsConnector, DtlsListener, DtlsStream};
//! use std::error::Error;
//! use std::io;
//! use std::time::Duration;
//! use tokio::sync::oneshot;
//! use tokio::time::timeout;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     // A real server has CertifiedKey::from_pem_files(chain, key).
//!     let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//!     let certificate = made.cert.der().clone();
//!     let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//!     let certified = CertifiedKey::new(vec![certificate.clone()], &key)?;
//!     let config = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//!
//!     let listener = DtlsListener::bind("127.0.0.1:0".parse()?, config.into())?;
//!     let remote = listener.local_addr()?;
//!     let (stop, stopped) = oneshot::channel();
//!     let service = tokio::spawn(serve(listener, stopped));
//!
//!     let mut roots = Roots::new();
//!     roots.add(&certificate)?;
//!     let config = ClientConfig::with_roots(roots)?.build()?;
//!     let connector = DtlsConnector::bind("0.0.0.0:0".parse()?, config.into())?;
//!     let server = connector.connect("server.test".try_into()?, remote).await?;
//!     let answer = ask(&server, b"is anybody there?").await?;
//!     assert_eq!(answer, b"is anybody there?");
//!     server.close().await?;
//!
//!     let _ = stop.send(());
//!     service.await??;
//!     Ok(())
//! }
//!
//! /// Serves each client in a task of its own, until it is told to stop.
//! async fn serve(mut listener: DtlsListener, mut stop: oneshot::Receiver<()>) -> io::Result<()> {
//!     loop {
//!         tokio::select! {
//!             accepted = listener.accept() => {
//!                 let peer = accepted?;
//!                 tokio::spawn(async move {
//!                     // One client's failure is no reason to stop serving the others.
//!                     if let Err(error) = echo(&peer).await {
//!                         eprintln!("{peer:?}: {error}");
//!                     }
//!                 });
//!             }
//!             _ = &mut stop => return listener.shutdown().await,
//!         }
//!     }
//! }
//!
//! /// Sends every datagram back, until the client says goodbye.
//! async fn echo(peer: &DtlsStream) -> io::Result<()> {
//!     while let Some(received) = peer.recv().await? {
//!         peer.send(&received.data).await?;
//!     }
//!     Ok(())
//! }
//!
//! /// Asks until an answer comes: over UDP either may be lost.
//! async fn ask(server: &DtlsStream, question: &[u8]) -> io::Result<Vec<u8>> {
//!     for _ in 0..5 {
//!         server.send(question).await?;
//!         if let Ok(received) = timeout(Duration::from_secs(1), server.recv()).await {
//!             let closed = || io::Error::from(io::ErrorKind::ConnectionAborted);
//!             return Ok(received?.ok_or_else(closed)?.data.to_vec());
//!         }
//!     }
//!     Err(io::ErrorKind::TimedOut.into())
//! }
//! ```
//!
//! # What matters next
//!
//! * *Futures can be dropped at any time*, in `select!` or by a timeout: nothing that was received
//!   is lost.
//! * *One socket.* A listener serves all of its clients from one, and a connector reaches any
//!   number of servers from one. Clone the connector; a second association with the same server
//!   needs a second connector, or connection IDs.
//! * *Two directions in two tasks:* [`into_split`](crate::DtlsStream::into_split); the sender can
//!   be cloned. All calls take `&self`, so an `Arc` does as well.
//! * *Limits:* [`bind_with`](crate::DtlsListener::bind_with) takes an
//!   [`EndpointPolicy`](sealgram::endpoint::EndpointPolicy), and
//!   [`stats`](crate::DtlsListener::stats) has the counters; see the chapter
//!   [`limits`](sealgram::docs::limits). Clients that nobody accepts count as associations.
//! * *Who is there, and what was agreed on:* [`with`](crate::DtlsStream::with).
//!   *Commands*, such as a key update or a renegotiation: [`command`](crate::DtlsStream::command).
//!   *What has happened* beside data: [`event`](crate::DtlsStream::event).
//! * *A renewed certificate:* [`serve`](crate::DtlsListener::serve). *Another network:*
//!   [`rebind`](crate::DtlsConnector::rebind) and the chapter [`moving`](sealgram::docs::moving).
//! * *The end of the program:* [`shutdown`](crate::DtlsListener::shutdown) and
//!   [`close`](crate::DtlsStream::close) wait until the goodbyes have left. A runtime that is
//!   dropped takes them with it, and the peers wait for their idle timeouts.
//!
//! # TLS over anything that can be read and written
//!
//! ```
//! # use sealgram_tokio::sealgram::identity::{CertifiedKey, Credential};
//! # use sealgram_tokio::sealgram::identity::{Fingerprint, PinnedFingerprint};
//! # use sealgram_tokio::sealgram::pki_types::PrivateKeyDer;
//! # use sealgram_tokio::sealgram::{ClientConfig, ServerConfig};
//! use sealgram_tokio::{TlsAcceptor, TlsConnector};
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(["server.test".to_owned()])?;
//! # let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
//! # let certified = CertifiedKey::new(vec![made.cert.der().clone()], &key)?;
//! # let config = ServerConfig::with_credential(Credential::Certificate(certified)).build()?;
//! # let pinned = PinnedFingerprint::new([Fingerprint::of(made.cert.der())]);
//! # let client_config = ClientConfig::with_verifier(std::sync::Arc::new(pinned)).build()?;
//! // The configurations are made as above. A pipe here; `tokio::net::TcpStream` in a service.
//! let (near, far) = tokio::io::duplex(64 << 10);
//!
//! let acceptor = TlsAcceptor::new(config.into());
//! let service = tokio::spawn(async move {
//!     let mut peer = acceptor.accept(far).await?;
//!     let mut heard = String::new();
//!     peer.read_to_string(&mut heard).await?;
//!     Ok::<_, std::io::Error>(heard)
//! });
//!
//! let connector = TlsConnector::new(client_config.into());
//! let mut stream = connector.connect("server.test".try_into()?, near).await?;
//! stream.write_all(b"hello").await?;
//! // Says that no more follows; without it the reader gets `UnexpectedEof`.
//! stream.shutdown().await?;
//! assert_eq!(service.await??, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! Handshakes of several clients go on at once where each `accept` is in the task of its client; in
//! the loop that accepts TCP connections, a client that says nothing would hold up all others for
//! ten seconds.
//!
//! # What goes wrong, and how it shows
//!
//! Errors are [`std::io::Error`]. Those of kind `Other` have a [`Failure`](sealgram::Failure)
//! inside, whose text says what to change. A `main` that returns one shows its fields; print it
//! with `{}` to read the sentence.
//!
//! * *`connect` fails after 120 s: "no answer within 120 s …":* nobody is there, or a firewall is.
//! * *"the peer's certificate was refused: …", "the peer sent the fatal … alert; …":* the chapter
//!   [`certificates`](sealgram::docs::certificates). At version 1.3 a client that is refused has
//!   connected by then, and its `recv` fails.
//! * *`AddrInUse` from `connect`:* this connector has an association with that address.
//! * *`InvalidInput` from `send`:* the datagram does not fit;
//!   [`max_payload`](sealgram::DtlsConnection::max_payload) says what does.
//! * *`BrokenPipe` from `send`, `None` from `recv`:* one end has said goodbye.
//! * *"nothing came from the peer within the idle timeout":* 15 minutes of silence
//!   ([`idle_timeout`](sealgram::endpoint::EndpointPolicy::idle_timeout)).
//! * *a panic at `bind`: "there is no reactor running":* it is called outside a runtime.
//! * *"the runtime of the socket has ended":* the stream has outlived the runtime that it was bound
//!   in.
//!
//! `accept` fails only with the socket. A client whose handshake fails is counted
//! (`handshakes_failed`) and never seen.
