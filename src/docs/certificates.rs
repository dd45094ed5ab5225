//! Certificates for a service and its devices: an authority of one's own, both ends proved.
//!
//! A service on the Internet has a certificate that the system's roots know. A service and its
//! devices, or the two ends of a tunnel, are better served by an authority of their own: whoever it
//! has signed may talk, and nobody else. Eight commands make one, with a server and a device:
//!
//! ```sh
//! openssl ecparam -name prime256v1 -genkey -noout -out ca.key
//! openssl req -x509 -new -key ca.key -days 3650 -subj "/CN=My authority" -out ca.pem
//!
//! openssl ecparam -name prime256v1 -genkey -noout -out server.key
//! printf 'subjectAltName=DNS:server.test\nextendedKeyUsage=serverAuth\n' >server.ext
//! openssl req -new -key server.key -subj "/CN=server.test" |
//!     openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 \
//!         -extfile server.ext -out server.pem
//!
//! openssl ecparam -name prime256v1 -genkey -noout -out device.key
//! printf 'extendedKeyUsage=clientAuth\n' >device.ext
//! openssl req -new -key device.key -subj "/CN=device 7" |
//!     openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 \
//!         -extfile device.ext -out device.pem
//! ```
//!
//! A file of a chain holds the certificate itself first, then intermediates, if there are any; the
//! root stays out. A key is PKCS#8, SEC1 or PKCS#1, as PEM or DER, and not encrypted. The server
//! requires a certificate of each client, and both ends load three files:
//!
//! ```
//! use sealgram::identity::{CertifiedKey, Credential, Fingerprint, Roots, WebPkiClientVerifier};
//! use sealgram::server::ClientAuthentication;
//! use sealgram::{ClientConfig, ServerConfig};
//! use std::error::Error;
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! fn server(files: &Path) -> Result<ServerConfig, Box<dyn Error>> {
//!     let (chain, key) = (files.join("server.pem"), files.join("server.key"));
//!     let shown = Credential::Certificate(CertifiedKey::from_pem_files(&chain, &key)?);
//!     let devices = WebPkiClientVerifier::new(Roots::from_pem_file(&files.join("ca.pem"))?)?;
//!     Ok(ServerConfig::with_credential(shown)
//!         .client_authentication(ClientAuthentication::Required(Arc::new(devices)))
//!         .build()?)
//! }
//!
//! fn device(files: &Path) -> Result<ClientConfig, Box<dyn Error>> {
//!     let (chain, key) = (files.join("device.pem"), files.join("device.key"));
//!     let shown = Credential::Certificate(CertifiedKey::from_pem_files(&chain, &key)?);
//!     let roots = Roots::from_pem_file(&files.join("ca.pem"))?;
//!     Ok(ClientConfig::with_roots(roots)?
//!         .add_credential(shown)
//!         .build()?)
//! }
//! # use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa};
//! # use rcgen::{Issuer, KeyPair};
//! # use sealgram::DtlsConnection;
//! # use std::time::Instant;
//! # /// What the commands make, without openssl.
//! # fn make(files: &Path) -> Result<(), Box<dyn Error>> {
//! #     let key = KeyPair::generate()?;
//! #     let mut params = CertificateParams::new(Vec::new())?;
//! #     params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
//! #     std::fs::write(files.join("ca.pem"), params.self_signed(&key)?.pem())?;
//! #     let authority = Issuer::new(params, key);
//! #     for (name, usage) in [
//! #         ("server", ExtendedKeyUsagePurpose::ServerAuth),
//! #         ("device", ExtendedKeyUsagePurpose::ClientAuth),
//! #     ] {
//! #         let key = KeyPair::generate()?;
//! #         let mut params = CertificateParams::new(vec![format!("{name}.test")])?;
//! #         params.extended_key_usages = vec![usage];
//! #         let made = params.signed_by(&key, &authority)?;
//! #         std::fs::write(files.join(format!("{name}.pem")), made.pem())?;
//! #         std::fs::write(files.join(format!("{name}.key")), key.serialize_pem())?;
//! #     }
//! #     Ok(())
//! # }
//! # fn carry(now: Instant, from: &mut DtlsConnection, to: &mut DtlsConnection)
//! # -> Result<(), Box<dyn Error>> {
//! #     let (path, mut datagram) = (sealgram::Path::UNSPECIFIED, Vec::new());
//! #     while from.poll_transmit(now, 1, &mut datagram).is_some() {
//! #         to.handle_datagram(now, path, datagram[..].into())?;
//! #         datagram.clear();
//! #     }
//! #     Ok(())
//! # }
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let files = std::env::temp_dir().join(format!("sealgram-guide-{}", std::process::id()));
//! # std::fs::create_dir_all(&files)?;
//! # make(&files)?;
//! # let (now, path) = (Instant::now(), sealgram::Path::UNSPECIFIED);
//! # let name = "server.test".try_into()?;
//! # let mut connection = DtlsConnection::listen(now, server(&files)?.into(), path)?;
//! # let mut client = DtlsConnection::connect(now, device(&files)?.into(), name, path)?;
//! # for _ in 0..4 {
//! #     carry(now, &mut client, &mut connection)?;
//! #     carry(now, &mut connection, &mut client)?;
//! # }
//! // After a handshake the server knows who is there. The first certificate is the device's own.
//! let shown = connection.peer_identity().ok_or("nobody has proved anything")?;
//! let device = Fingerprint::of(&shown.certificates()[0]);
//! println!("this is the device with the fingerprint {device}");
//! # assert_eq!(Some(device), shown.fingerprint());
//! # assert_eq!(shown.certificates().len(), 1);
//! # std::fs::remove_dir_all(&files)?;
//! # Ok(())
//! # }
//! ```
//!
//! A fingerprint is the SHA-256 digest of the certificate, and a good key for a table of devices.
//! For the names in it take a crate that reads X.509. What a device is allowed to do is for the
//! application to decide, by this identity, when [`Event::HandshakeComplete`] comes. It does not
//! change while the association lives, renegotiations included, unless
//! [`identity_change`](crate::config::RekeyPolicy::identity_change) says so.
//!
//! # What matters next
//!
//! * *Renewal.* [`UdpEndpoint::serve`] takes a new configuration while the service runs;
//!   associations that exist keep theirs. Devices with a session make a full handshake then, unless
//!   both configurations have the same [`Tickets`] or [`fleet`].
//! * *A few peers need no authority.* [`PinnedFingerprint`] takes the fingerprints of certificates,
//!   at either end, whatever issuer, name and date they have.
//! * *Several certificates.* [`add_credential`]: the one that the peer's signature schemes, curves
//!   and issuers allow is shown. Which one by server name, and anything else, says [`AnswerHello`].
//! * *A key that is held elsewhere*, in an HSM or behind a service: [`CertifiedKey::with_signer`].
//!   The handshake waits for its answer, and nothing else does.
//! * *A client certificate only where it is needed*: [`ClientAuthentication::Optional`], or at
//!   version 1.2 later, with [`request_client_certificate`].
//! * *Revocation* is not checked. A verifier of one's own can: [`VerifyClient`], [`VerifyServer`].
//!   Short lives are simpler.
//!
//! # What goes wrong, and how it shows
//!
//! Files are read when the configuration is made, and a [`ConfigError`] names the file and what it
//! holds instead. `KeyMismatch` is a key of another certificate. What the *peer* shows is judged in
//! the handshake. After "the peer's certificate was refused: …" comes one of these, with the cure:
//!
//! * *its issuer is not trusted:* the root of the peer in this end's file of roots.
//! * *it is the certificate of an authority, as `openssl req -x509` makes it:*
//!   `-addext basicConstraints=critical,CA:FALSE`, or commands as above.
//! * *its extended key usage does not allow this role:* `serverAuth` for a server, `clientAuth` for
//!   a device.
//! * *it is not valid for server.test:* a subjectAltName; the CN does not count.
//! * *it has expired; it is not valid yet:* a new one, or the right time: devices often start in
//!   1970.
//! * *none was sent; its owner must configure one:* `add_credential` at the client.
//!
//! The end that is refused gets an alert and says so: "the peer sent the fatal unknown_ca(48)
//! alert; give the peer the root that signed this end's certificate". At version 1.3 a client has
//! completed its handshake when the server judges its certificate, so it learns of a refusal a
//! moment later, by [`Event::Failed`]. At 1.2 such an alert comes without protection, and the text
//! adds that anybody on the path may have forged it; where that is believed, it ends the attempt
//! ([`PlaintextAlerts`](crate::config::PlaintextAlerts)).
//!
//! [`AnswerHello`]: crate::server::AnswerHello
//! [`CertifiedKey::with_signer`]: crate::identity::CertifiedKey::with_signer
//! [`ClientAuthentication::Optional`]: crate::server::ClientAuthentication::Optional
//! [`ConfigError`]: crate::error::ConfigError
//! [`Event::Failed`]: crate::Event::Failed
//! [`Event::HandshakeComplete`]: crate::Event::HandshakeComplete
//! [`PinnedFingerprint`]: crate::identity::PinnedFingerprint
//! [`Tickets`]: crate::session::Tickets
//! [`UdpEndpoint::serve`]: crate::net::UdpEndpoint::serve
//! [`VerifyClient`]: crate::identity::VerifyClient
//! [`VerifyServer`]: crate::identity::VerifyServer
//! [`add_credential`]: crate::server::ServerConfigBuilder::add_credential
//! [`fleet`]: crate::server::ServerConfigBuilder::fleet
//! [`request_client_certificate`]: crate::Connection::request_client_certificate
