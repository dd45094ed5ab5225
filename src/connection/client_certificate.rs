//! A server that asks for its client's certificate after the first handshake.

use super::{Connection, Role};
use crate::config::ClientAuthentication;
use crate::error::RenegotiateError;
use crate::handshake::Completed;
use crate::record::RecordLayer;
use std::sync::Arc;

impl<R: RecordLayer> Connection<R> {
    /// Servers of version 1.2: wants the client's certificate from now on, in this association, and
    /// schedules a renegotiation in which the client is asked for it; the next input or output
    /// sends the HelloRequest. That handshake resumes nothing, which would show no certificate;
    /// later ones may. This is `SSL_set_verify`, then `SSL_renegotiate`.
    ///
    /// [`Event::HandshakeComplete`](crate::Event::HandshakeComplete) says when that is done, and
    /// then [`Connection::peer_identity`] says who the client is: `None` if it has shown nothing
    /// and the policy is [`ClientAuthentication::Optional`]. A client that did not have to show a
    /// certificate before may be anybody; one that has shown a certificate must show the same
    /// again, unless [`RekeyPolicy::identity_change`](crate::config::RekeyPolicy::identity_change)
    /// says otherwise. A client may refuse the renegotiation or ignore it
    /// ([`Event::RenegotiationRefused`](crate::Event::RenegotiationRefused)), so until the
    /// handshake has completed nothing must be given to it that needs the certificate. The policy
    /// applies to every later handshake of the association, whichever end begins it, even if this
    /// one comes to nothing.
    ///
    /// The association ends, as in a first handshake, if [`ClientAuthentication::Required`] gets no
    /// certificate or the verifier refuses the one that is shown.
    ///
    /// # Errors
    ///
    /// None is fatal, and after any of them the policy has not changed: those of
    /// [`Connection::renegotiate`], with `NotSupportedByVersion` at 1.3, where certificates are
    /// asked for in the handshake alone; `NotAServer` at a client; `ProvedBySharedKey` if the client
    /// has proved itself with a pre-shared key, which is who it stays.
    pub fn request_client_certificate(
        &mut self,
        policy: ClientAuthentication,
    ) -> Result<(), RenegotiateError> {
        if let Role::Client { .. } = self.role {
            return Err(RenegotiateError::NotAServer);
        }
        let session = self.phase.established().and_then(Completed::v12);
        let known = session.and_then(|it| it.session.agreed.peer_identity.as_ref());
        if known.is_some_and(|identity| identity.shared_key().is_some()) {
            return Err(RenegotiateError::ProvedBySharedKey);
        }
        self.renegotiate()?;
        if let Role::Server(config) = &mut self.role {
            // The configuration of this association alone; what it refers to is still shared.
            Arc::make_mut(config).client_authentication = policy;
        }
        self.rekeying.wants_full = true;
        Ok(())
    }
}
