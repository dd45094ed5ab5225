//! What ties a handshake to the one before it: RFC 5746, and the continuity of identities.
//!
//! A [`Binding`] is taken from the association in force when a renegotiation begins. A handshake
//! without one is an initial one: its renegotiation_info is empty, and no identity is expected.

use crate::config::{IdentityChange, InForce, Parameters, RekeyPolicy, SecureRenegotiation};
use crate::error::{CertificateError, Error, PeerIncompatible, PeerMisbehaved};
use crate::handshake::Completed12;
use crate::identity::Identity;
use crate::protocol::CipherSuite;
use crate::secrets::schedule12::FinishedPair;
use crate::session::Session12;
use crate::wire::client_hello::ClientHello;
use crate::wire::extension::ServerExtensions;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// Whether a handshake can be continued by another.
#[derive(Clone, Copy)]
pub(crate) enum Continuity {
    /// The next one names what this one's Finished messages held (RFC 5746 §3.1).
    Bound(FinishedPair),
    /// The peer does not bind. The policy says whether there is a next one (§4.2, §4.4).
    Unbound(FinishedPair),
    /// A session without RFC 7627 was resumed: the Finished messages can be those of two
    /// handshakes, and there is no next one (RFC 7627 §5.4).
    Ended,
}

impl Continuity {
    /// What follows from a full handshake, with a peer that binds or does not.
    pub(crate) const fn of_full(secure: bool, verify_data: FinishedPair) -> Self {
        if secure {
            Self::Bound(verify_data)
        } else {
            Self::Unbound(verify_data)
        }
    }

    /// What follows from a resumption of `session`.
    pub(crate) fn of_resumption(
        secure: bool,
        verify_data: FinishedPair,
        session: &Session12,
    ) -> Self {
        if session.extended_master_secret {
            Self::of_full(secure, verify_data)
        } else {
            Self::Ended
        }
    }

    /// Whether there may be a next handshake.
    pub(crate) fn allows_another(&self, conformance: &InForce) -> bool {
        match self {
            Self::Bound(_) => true,
            Self::Unbound(_) => conformance.renegotiate_unbound,
            Self::Ended => false,
        }
    }
}

/// The association that a renegotiation continues.
pub(crate) struct Binding {
    verify_data: FinishedPair,
    /// Whether the peer binds as well.
    mutual: bool,
    session: Arc<Session12>,
}

impl Binding {
    /// The binding to the association in force, if there may be another handshake.
    pub(crate) fn to(established: &Completed12, conformance: &InForce) -> Option<Self> {
        let continuity = established.continuity;
        let (verify_data, mutual) = match continuity {
            _ if !continuity.allows_another(conformance) => return None,
            Continuity::Bound(verify_data) => (verify_data, true),
            Continuity::Unbound(verify_data) => (verify_data, false),
            Continuity::Ended => return None,
        };
        Some(Self {
            verify_data,
            mutual,
            session: established.session.clone(),
        })
    }

    /// The application protocol, if that of the first handshake is kept.
    pub(crate) fn kept_alpn(&self, conformance: &InForce) -> Option<&Option<Vec<u8>>> {
        conformance
            .keep_application_protocol
            .then_some(&self.session.agreed.alpn)
    }

    /// Whether a peer with this identity is the one that was there before. A client that had none
    /// may show one now.
    pub(crate) fn continues(&self, policy: &RekeyPolicy, identity: Option<&Identity>) -> bool {
        let before = self.session.agreed.peer_identity.as_ref();
        policy.identity_change == IdentityChange::Allow
            || before.is_none_or(|before| identity.is_some_and(|now| before.is_same_end(now)))
    }
}

/// What a client writes into renegotiation_info (RFC 5746 §3.4, §3.5): even if the server does not
/// bind, so that another server that does, and has taken its place, notices (§4.2).
pub(crate) fn client_info(binding: Option<&Binding>) -> Vec<u8> {
    binding.map_or_else(Vec::new, |binding| binding.verify_data.client.to_vec())
}

/// What a server writes into renegotiation_info (RFC 5746 §3.6, §3.7).
pub(crate) fn server_info(binding: Option<&Binding>) -> Vec<u8> {
    binding.map_or_else(Vec::new, |binding| {
        let FinishedPair { client, server } = binding.verify_data;
        [client, server].concat()
    })
}

/// Whether a client says by a cipher suite that its handshake is an initial one; servers that
/// cannot bear the extension ignore it (RFC 5746 §3.3).
fn has_signal(hello: &ClientHello) -> bool {
    let signal = CipherSuite::TLS_EMPTY_RENEGOTIATION_INFO_SCSV;
    hello.cipher_suites.contains(&signal)
}

/// Whether a client binds handshakes to each other.
pub(crate) fn is_secure(hello: &ClientHello) -> bool {
    has_signal(hello) || hello.extensions.renegotiation_info.is_some()
}

/// Checks what a client says of the association that it renegotiates (E1, E2).
pub(crate) fn check_client(
    binding: Option<&Binding>,
    parameters: &Parameters,
    hello: &ClientHello,
) -> Result<(), Error> {
    let signal = has_signal(hello);
    let info = hello.extensions.renegotiation_info.as_deref();
    let Some(binding) = binding else {
        return match info {
            // RFC 5746 §3.6: empty in an initial handshake, whether or not the SCSV is there as
            // well.
            Some([]) => Ok(()),
            Some(_) => Err(PeerMisbehaved::NonEmptyRenegotiationInfo.into()),
            None if signal => Ok(()),
            // RFC 9325 §3.5: clients must signal it one way or the other.
            None if parameters.secure_renegotiation == SecureRenegotiation::Require => {
                Err(PeerIncompatible::SecureRenegotiationRequired.into())
            }
            None => Ok(()),
        };
    };
    // RFC 5746 §3.7: the SCSV means an initial handshake; the extension must hold the client's last
    // Finished. §4.4: a client that has not bound before does not begin now.
    let fits = match binding.mutual {
        true => equal(info, &binding.verify_data.client),
        false => info.is_none(),
    };
    if signal || !fits {
        return Err(PeerMisbehaved::WrongRenegotiationInfo.into());
    }
    check_session(
        binding,
        hello.extensions.extended_master_secret,
        &parameters.rekey,
        hello.extensions.server_name.as_deref(),
    )
}

/// Checks what a server says of the association that is renegotiated.
pub(crate) fn check_server(
    binding: Option<&Binding>,
    secure: SecureRenegotiation,
    granted: &ServerExtensions,
) -> Result<(), Error> {
    let info = granted.renegotiation_info.as_deref();
    let Some(binding) = binding else {
        return match info {
            // RFC 5746 §3.4, RFC 9325 §3.5: a server without it is refused.
            None if secure == SecureRenegotiation::Require => {
                Err(PeerIncompatible::SecureRenegotiationRequired.into())
            }
            None | Some([]) => Ok(()),
            Some(_) => Err(PeerMisbehaved::NonEmptyRenegotiationInfo.into()),
        };
    };
    // RFC 5746 §3.5: both halves, in this order. §4.2: if a server that has not bound before does
    // so now, it is another server.
    let fits = match binding.mutual {
        true => equal(info, &server_info(Some(binding))),
        false => info.is_none(),
    };
    if !fits {
        return Err(PeerMisbehaved::WrongRenegotiationInfo.into());
    }
    check_binding_secret(binding, granted.extended_master_secret)
}

fn equal(info: Option<&[u8]>, expected: &[u8]) -> bool {
    info.is_some_and(|info| bool::from(info.ct_eq(expected)))
}

/// E3, E5: a peer that had RFC 7627 before does not lose it, and one that did not have it is
/// another peer if it has it now.
fn check_binding_secret(binding: &Binding, extended: bool) -> Result<(), Error> {
    match (binding.session.extended_master_secret, extended) {
        (true, false) => Err(PeerMisbehaved::ExtendedMasterSecretDropped.into()),
        (false, true) => Err(PeerMisbehaved::ExtendedMasterSecretAppeared.into()),
        _ => Ok(()),
    }
}

fn check_session(
    binding: &Binding,
    extended: bool,
    policy: &RekeyPolicy,
    server_name: Option<&str>,
) -> Result<(), Error> {
    check_binding_secret(binding, extended)?;
    // RFC 5746 §5: a different name is a different server.
    let same_name = binding.session.agreed.server_name.as_deref() == server_name;
    if policy.identity_change == IdentityChange::Refuse && !same_name {
        return Err(PeerMisbehaved::ServerNameChanged.into());
    }
    Ok(())
}

/// Checks that the peer is who it was (E23).
pub(crate) fn check_identity(
    binding: Option<&Binding>,
    policy: &RekeyPolicy,
    identity: Option<&Identity>,
) -> Result<(), Error> {
    match binding {
        Some(binding) if !binding.continues(policy, identity) => {
            Err(CertificateError::IdentityChanged.into())
        }
        _ => Ok(()),
    }
}
