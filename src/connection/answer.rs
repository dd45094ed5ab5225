//! Answers to the engine's questions, from the traits that the configuration holds.

use super::Role;
use crate::error::CertificateError;
use crate::handshake::{Answer, Question};
use crate::identity::proof::ChainVerified;

impl Role {
    /// Answers at once: verifiers and keys are synchronous.
    pub(super) fn answer(&self, question: Question) -> Answer {
        let now = || self.parameters().clock.unix_now();
        match (question, self) {
            (
                Question::Sign {
                    key,
                    scheme,
                    message,
                },
                _,
            ) => Answer::Signed(key.sign(scheme, &message)),
            (Question::VerifyServer { chain, name }, Self::Client(config)) => {
                Answer::PeerVerified(ChainVerified::by(|| {
                    config.verifier.verify(&chain, &name, now())
                }))
            }
            (Question::VerifyClient { chain }, Self::Server(config)) => {
                Answer::PeerVerified(match config.client_authentication.verifier() {
                    Some(verifier) => ChainVerified::by(|| verifier.verify(&chain, now())),
                    None => Err(CertificateError::Other(
                        "no client certificate was asked for".into(),
                    )),
                })
            }
            // A client verifies servers and a server verifies clients; anything else is refused.
            (Question::VerifyServer { .. }, Self::Server(_))
            | (Question::VerifyClient { .. }, Self::Client(_)) => {
                Answer::PeerVerified(Err(CertificateError::WrongUsage))
            }
        }
    }
}
