//! Named starting points: settings that belong together, each with the rule that it comes from.
//!
//! | profile | for |
//! |---|---|
//! | [`iot`] | constrained devices and the servers they talk to (RFC 7925 and its successor) |
//! | [`webrtc`] | media between browsers and the like (RFC 8827, RFC 5764) |
//! | [`radius`] | RADIUS over TLS and DTLS (RFC 6614, RFC 7360) |
//! | [`vpn`] | tunnels that live long, through NATs that forget |
//!
//! Each has a `client` and a `server`, which take a builder and give it back with their settings. A
//! setting that is made afterwards replaces that of the profile; a whole policy replaces a whole
//! policy, so whoever wants to change one value of one begins with the profile's: they are
//! functions as well.
//!
//! ```
//! use sealgram::ClientConfig;
//! use sealgram::config::profiles::iot;
//! use sealgram::identity::{Fingerprint, PinnedFingerprint};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fingerprint: Fingerprint = "ab".repeat(32).parse()?;
//! let pinned = std::sync::Arc::new(PinnedFingerprint::new([fingerprint]));
//! let config = iot::client(ClientConfig::with_verifier(pinned))
//!     .datagram(iot::datagram().mtu(600)?)
//!     .build()?;
//! # let _ = config;
//! # Ok(())
//! # }
//! ```

pub mod iot;
pub mod radius;
pub mod vpn;
pub mod webrtc;

#[cfg(test)]
mod tests;
