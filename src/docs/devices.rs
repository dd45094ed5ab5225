//! Pre-shared keys and raw public keys: devices without certificates.
//!
//! | what an end has | what the other end has | for |
//! | --- | --- | --- |
//! | a pre-shared key | the same key | devices that get a secret when they are made |
//! | a raw public key (RFC 7250) | its fingerprint | ends that know each other, without dates |
//! | a certificate | a root | everybody else: [`certificates`](super::certificates) |
//!
//! # Pre-shared keys
//!
//! A [`SharedKey`] is an identity, which travels in the clear, and at least 16 random bytes. The
//! server looks up the key by the identity, and the identity is what it knows the device by. This
//! is a handshake in memory, between two ends that have nothing but such a key:
//!
//! ```
//! use sealgram::config::profiles::iot;
//! use sealgram::identity::{SharedKey, SharedKeys};
//! use sealgram::{ClientConfig, DtlsConnection, Path, ServerConfig};
//! use std::error::Error;
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! # fn carry(now: Instant, from: &mut DtlsConnection, to: &mut DtlsConnection)
//! # -> Result<(), Box<dyn Error>> {
//! #     let mut datagram = Vec::new();
//! #     while from.poll_transmit(now, 1, &mut datagram).is_some() {
//! #         to.handle_datagram(now, Path::UNSPECIFIED, datagram[..].into())?;
//! #         datagram.clear();
//! #     }
//! #     Ok(())
//! # }
//! # fn main() -> Result<(), Box<dyn Error>> {
//! // 16 bytes for each device, from `openssl rand -hex 16`; never a password.
//! let secret = [0x5a; 16];
//!
//! let keys = SharedKeys::new([SharedKey::new(b"device 7", &secret)?]);
//! let server = ServerConfig::without_credential().shared_keys(Arc::new(keys));
//! let server = Arc::new(iot::server(server).build()?);
//!
//! let client = ClientConfig::with_shared_key(SharedKey::new(b"device 7", &secret)?);
//! let client = Arc::new(iot::client(client).build()?);
//!
//! let (now, path) = (Instant::now(), Path::UNSPECIFIED);
//! let mut server = DtlsConnection::listen(now, server, path)?;
//! let mut device = DtlsConnection::connect(now, client, "server.test".try_into()?, path)?;
//! // `carry` is in the chapter `sans_io`.
//! for _ in 0..4 {
//!     carry(now, &mut device, &mut server)?;
//!     carry(now, &mut server, &mut device)?;
//! }
//! device.send(now, b"21.5 C")?;
//! carry(now, &mut device, &mut server)?;
//! assert_eq!(server.recv().ok_or("nothing came")?.data, b"21.5 C"[..]);
//!
//! let name = server.peer_identity().and_then(|it| it.shared_key());
//! assert_eq!(name.ok_or("no key")?.identity(), b"device 7");
//! # Ok(())
//! # }
//! ```
//!
//! * A table in memory is [`SharedKeys`]; a database is a [`FindSharedKey`], which may answer later
//!   without holding anything up.
//! * The key is used with a key exchange, so that whoever learns it later cannot read what was
//!   recorded. At version 1.3 [`PskKeyExchange`] can leave the exchange out, for devices on which
//!   it takes too long; at 1.2 suites without one must be named in [`Algorithms::cipher_suites`],
//!   as [`profiles::iot`] does.
//! * A key shorter than 16 bytes takes [`SharedKey::new_short`]: whoever records one handshake can
//!   try all of them.
//! * A key and its clones play one role, a client's or a server's. An end that is both has two.
//! * With certificates beside it, one server serves both kinds of clients: `with_credential` and
//!   `shared_keys`.
//!
//! # Raw public keys
//!
//! Each end has a key pair, and knows the other's public key by its SHA-256 fingerprint, the one
//! that `openssl pkey -in device.key -pubout -outform DER | sha256sum` shows:
//!
//! ```
//! use sealgram::identity::{Credential, Fingerprint, PinnedKeys, RawKey};
//! use sealgram::server::ClientAuthentication;
//! use sealgram::{ClientConfig, DtlsConnection, Path, ServerConfig};
//! # use sealgram::pki_types::PrivateKeyDer;
//! use std::error::Error;
//! use std::sync::Arc;
//! # use std::time::Instant;
//!
//! # fn carry(now: Instant, from: &mut DtlsConnection, to: &mut DtlsConnection)
//! # -> Result<(), Box<dyn Error>> {
//! #     let mut datagram = Vec::new();
//! #     while from.poll_transmit(now, 1, &mut datagram).is_some() {
//! #         to.handle_datagram(now, Path::UNSPECIFIED, datagram[..].into())?;
//! #         datagram.clear();
//! #     }
//! #     Ok(())
//! # }
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let made = || -> Result<RawKey, Box<dyn Error>> {
//! #     let key = rcgen::KeyPair::generate()?.serialize_der();
//! #     Ok(RawKey::new(&PrivateKeyDer::try_from(key)?)?)
//! # };
//! // From a file it is RawKey::from_pem_file(path).
//! let (of_server, of_device): (RawKey, RawKey) = (made()?, made()?);
//! let known = |fingerprint: Fingerprint| Arc::new(PinnedKeys::new([fingerprint]));
//!
//! let server = ServerConfig::with_credential(Credential::RawKey(of_server.clone()))
//!     .client_authentication(ClientAuthentication::Required(known(of_device.fingerprint())))
//!     .build()?;
//! let device = ClientConfig::with_verifier(known(of_server.fingerprint()))
//!     .add_credential(Credential::RawKey(of_device.clone()))
//!     .build()?;
//! # let (now, path) = (Instant::now(), Path::UNSPECIFIED);
//! # let mut server = DtlsConnection::listen(now, server.into(), path)?;
//! # let name = "server.test".try_into()?;
//! # let mut device = DtlsConnection::connect(now, device.into(), name, path)?;
//! # for _ in 0..4 {
//! #     carry(now, &mut device, &mut server)?;
//! #     carry(now, &mut server, &mut device)?;
//! # }
//!
//! // After the handshake, which goes as above:
//! let shown = server.peer_identity().and_then(|it| it.fingerprint());
//! assert_eq!(shown, Some(of_device.fingerprint()));
//! # Ok(())
//! # }
//! ```
//!
//! The name that is given to `connect` is not compared with anything then: the key is the identity.
//! Certificates are not taken where keys are pinned; what takes both is a verifier of one's own.
//!
//! # The profile of small devices
//!
//! [`profiles::iot`] is RFC 7925: the suites that such devices have, timers for slow radio (first
//! after 9 s), records of 1,024 bytes, connection IDs so that a device that slept is recognised
//! behind its NAT ([`moving`](super::moving)), no renegotiation, and tickets
//! ([`resumption`](super::resumption)). Many devices have AES-CCM alone, for which this library
//! needs its feature `ccm`.
//!
//! # What goes wrong, and how it shows
//!
//! * *"no answer within …; the pre-shared key or its identity is most likely not the same at both
//!   ends; …":* at 1.2 a wrong key is silence, for both ends (RFC 6347 §4.1.2.7).
//! * *"no common parameters: the pre-shared key or its identity is not the same at both ends; …":*
//!   the same at a server of 1.3; its client has got the alert decrypt_error.
//! * *"no common parameters: no cipher suite; …":* one end has keys alone and the other
//!   certificates alone; or the device has CCM alone, and the feature `ccm` is off.
//! * *"no common parameters: no type of certificate; …":* one end has raw keys alone, and the other
//!   does not take them.
//! * *"its fingerprint is not the pinned one; …":* another raw key than was pinned.
//! * *"the length of a shared key must lie between 16 and 65535":* `new_short` takes shorter ones.
//!
//! An identity that does not exist fails like a wrong key, so that nobody learns which there are.
//! The server's log tells them apart, at the level `debug`.
//!
//! [`Algorithms::cipher_suites`]: crate::config::Algorithms::cipher_suites
//! [`FindSharedKey`]: crate::identity::FindSharedKey
//! [`PskKeyExchange`]: crate::config::PskKeyExchange
//! [`SharedKey`]: crate::identity::SharedKey
//! [`SharedKey::new_short`]: crate::identity::SharedKey::new_short
//! [`SharedKeys`]: crate::identity::SharedKeys
//! [`profiles::iot`]: crate::config::profiles::iot
