//! Chapters that belong to no single type.

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
