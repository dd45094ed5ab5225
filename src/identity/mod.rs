//! Who the two ends are: what they claim, what proves it, and who decides whether to believe it.
//!
//! A configuration keeps [`Credential`]s, each a claim with the key that proves it. What the peer
//! claims is an [`Identity`]; a verifier ([`VerifyServer`], [`VerifyClient`]) says whether it is
//! believed. The proof of the key is checked apart from that, so no verifier can forget it.

// ```text
//  this end    Credential ─┬─ claim() ──► Identity ────────────► Certificate ───────► the peer
//                          └─ key() ────► HandshakeKey, signs ─► CertificateVerify ─► the peer
//
//  the peer ── Certificate ───────► Identity, claimed ─┬─ a verifier ──► ClaimVerified ─────┐
//                                                      └─ public_key() ┐                    │
//  the peer ── CertificateVerify ──────────────────────────────────────┴► SignatureVerified ┤
//                                                                                           ▼
//                                                                            Identity, proved
// ```
//
// A configuration keeps [`Credential`]s. The engine carries [`Identity`]: what is claimed, by this
// end or by the peer, and in the end what is proved. It never looks inside. Where kinds of
// identities differ, it asks the identity: for the key (`claim` alone finds it), whether it may
// sign, whether two are the same end, and the Certificate message that shows one.
//
// Chains of certificates and raw public keys (RFC 7250) are shown in the same message, and each end
// must know beforehand which of the two it holds: `CertificateKind`. The hellos agree on one for
// each direction, at 1.2 in ServerHello and at 1.3 in EncryptedExtensions
// (`handshake/certificate_types`). A raw key has a form of its own at 1.2 (RFC 7250 §3), and is one
// entry at 1.3 (RFC 8446 §4.4.2). What an end can judge its verifier says.
//
// A *pre-shared key* (RFC 4279, RFC 5489, RFC 8442) has neither Certificate nor CertificateVerify.
// At 1.2 the suite says so, the client names its key in ClientKeyExchange, and the server asks a
// store, which may answer later, as for a session. The client, and so the server, is then an
// `Identity` of the kind "holder of this shared key", without `ClaimVerified` or
// `SignatureVerified`: Finished proves it.
//
// At 1.3 (RFC 8446 §4.2.11, RFC 9258) a client names its keys beside its ticket, the server asks the
// same store for one after the other, and the binder of the one that is chosen proves it
// (`handshake/psk`). Such keys are no `Credential`s: they are known before the peer has said
// anything, as sessions are. So a server may have no credential at all
// (`ServerConfig::without_credential`).

mod chain;
mod claim;
mod credential;
mod files;
mod fingerprint;
mod handshake_signature;
mod key_usage;
mod kind;
mod pinned_keys;
pub(crate) mod proof;
mod public_key;
mod raw_key;
pub(crate) mod reply;
mod shared_key;
mod signing;
mod verifier;
mod webpki;

pub use crate::crypto::sign::SigningKey;
pub use claim::Identity;
pub(crate) use claim::{encode_certificate_12, encode_certificate_13};
pub use credential::{CertifiedKey, Credential};
pub use fingerprint::{Fingerprint, PinnedFingerprint};
pub(crate) use handshake_signature::{check_key_12, verify_12, verify_13};
pub use kind::CertificateKind;
pub use pinned_keys::PinnedKeys;
pub use raw_key::RawKey;
pub(crate) use reply::{Abandoned, Awaited, Reply};
pub use shared_key::{
    ChooseSharedKey, FindSharedKey, SharedKey, SharedKeyName, SharedKeyQuery, SharedKeys,
};
pub use signing::SignHandshake;
pub(crate) use signing::{HandshakeKey, Signing};
pub(crate) use verifier::AcceptAnyServer;
pub use verifier::{VerifyClient, VerifyServer};
pub use webpki::{Roots, WebPkiClientVerifier, WebPkiServerVerifier};
