//! The guide: chapters that belong to no single type. Their code runs as tests.
//!
//! Begin with one of these:
//!
//! * [`first_service`]: a service on a UDP socket and its client, in one program.
//! * [`tokio`]: the same in futures, by the crate `sealgram-tokio`.
//! * Coming from another library, call by call: [`from_openssl`] (and LibreSSL), [`from_webrtc`]
//!   (webrtc-rs, dimpl), [`from_rustls`].
//!
//! Then, as it is needed:
//!
//! * [`certificates`]: an authority of one's own for a service and its devices.
//! * [`devices`]: pre-shared keys, raw public keys, the profile of small devices.
//! * [`many_peers`]: a mio loop that asks who may come in, and ends in peace.
//! * [`sans_io`]: without a socket, in virtual time if need be.
//! * [`handshakes`]: what is on the wire, with cookie and timers.
//! * [`rekeying`]: renegotiation and key update, with whom it works, and how it can end.
//! * [`resumption`]: the second handshake costs less.
//! * [`moving`]: peers whose address changes.
//! * [`fleets`]: servers on many cores and many machines.
//! * [`limits`]: what strangers can do, and the counter that shows it.
//! * [`operating`]: counters, log lines, key logs and Wireshark.
//! * [`features`]: all that there is, and what there is not.

pub mod certificates;
pub mod devices;
pub mod features;
pub mod first_service;
pub mod fleets;
pub mod from_openssl;
pub mod from_rustls;
pub mod from_webrtc;
pub mod handshakes;
pub mod limits;
pub mod many_peers;
pub mod moving;
pub mod operating;
pub mod rekeying;
pub mod resumption;
pub mod sans_io;
pub mod tokio;
