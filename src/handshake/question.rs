//! What the engine asks at this end: keys, verifiers, stores and the application.
//!
//! A state that cannot go on alone pushes a question of its side, with the configuration that says
//! who answers, and the next state waits for the answer of the same name. `connection/` asks, and
//! gives the answer to the handshake, at once or later. An answer of another side, or of another
//! name than the state waits for, ends the handshake as a fault of this library.

use crate::config::{
    ClientConfig, HelloAnswer, ReceivedHello, ReceivedRequest, RequestAnswer, ServerConfig,
};
use crate::error::{CertificateError, Error};
use crate::identity::proof::ClaimVerified;
use crate::identity::{HandshakeKey, Identity, SharedKey, SharedKeyQuery};
use crate::protocol::{AlertDescription, SignatureScheme};
use crate::session::{Session, Session13};
use pki_types::ServerName;
use std::sync::Arc;

/// A question of either side, with the configuration that says who answers.
pub(crate) enum Question {
    Client(Arc<ClientConfig>, ClientQuestion),
    Server(Arc<ServerConfig>, ServerQuestion),
}

/// What a client asks.
pub(crate) enum ClientQuestion {
    /// May this server be trusted under this name?
    VerifyServer {
        claim: Identity,
        name: ServerName<'static>,
    },
    /// What is shown to this server?
    Request(Box<ReceivedRequest>),
    /// The shared key for the server of this name, which has given this hint.
    ChooseSharedKey { server: String, hint: Vec<u8> },
    /// A signature.
    Sign(Unsigned),
}

/// What a server asks.
pub(crate) enum ServerQuestion {
    /// How is this hello to be answered?
    Hello(Box<ReceivedHello>),
    /// The session that a ClientHello asks for.
    FindSession { id: Vec<u8>, ticket: Vec<u8> },
    /// The first of these tickets that can be opened.
    FindTicket { tickets: Vec<Vec<u8>> },
    /// The shared key of this name.
    FindSharedKey(SharedKeyQuery),
    /// May this client be served?
    VerifyClient { claim: Identity },
    /// A signature.
    Sign(Unsigned),
}

/// What is to be signed.
pub(crate) struct Unsigned {
    pub(crate) key: Arc<HandshakeKey>,
    pub(crate) scheme: SignatureScheme,
    pub(crate) message: Vec<u8>,
}

/// An answer to a question of either side.
pub(crate) enum Answer {
    Client(ClientAnswer),
    Server(ServerAnswer),
}

/// What a client was answered.
pub(crate) enum ClientAnswer {
    ServerVerified(Result<ClaimVerified, CertificateError>),
    Request(Result<RequestAnswer, AlertDescription>),
    /// The key, if there is one.
    SharedKey(Option<SharedKey>),
    Signed(Result<Vec<u8>, Error>),
}

/// What a server was answered.
pub(crate) enum ServerAnswer {
    Hello(Result<HelloAnswer, AlertDescription>),
    Session(Option<Session>),
    /// The place of the ticket and what was in it.
    Ticket(Option<(usize, Arc<Session13>)>),
    /// The key, if there is one: of the name that was asked for.
    SharedKey(Option<SharedKey>),
    ClientVerified(Result<ClaimVerified, CertificateError>),
    Signed(Result<Vec<u8>, Error>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Versions, test_server};
    use crate::handshake::{Handshake, Input, client, server};
    use crate::identity::AcceptAnyServer;
    use crate::protocol::dialect::DTLS;
    use crate::protocol::{Epoch, MessageSeq};
    use pki_types::UnixTime;
    use std::time::Duration;

    fn client() -> Handshake {
        let verifier = Arc::new(AcceptAnyServer);
        let config = ClientConfig::with_verifier(verifier).build().unwrap();
        let settings = client::Settings {
            config: Arc::new(config),
            server_name: "server.test".try_into().unwrap(),
            current: Epoch::PLAINTEXT,
            started: UnixTime::since_unix_epoch(Duration::ZERO),
            session: None,
            connection_id: None,
            renegotiating: None,
            small: false,
        };
        Handshake::client(&DTLS, settings).unwrap()
    }

    fn server() -> Handshake {
        let settings = server::Settings {
            config: Arc::new(test_server(Versions::V1_2)),
            current: Epoch::PLAINTEXT,
            started: UnixTime::since_unix_epoch(Duration::ZERO),
            binding: None,
            retried: None,
            only_resume: false,
            resumes: true,
            requested: false,
            connection_id: None,
        };
        Handshake::server(&DTLS, settings, MessageSeq::FIRST).unwrap()
    }

    /// An answer of the other side, or one that the state has not asked for, is not ignored: the
    /// handshake would wait for ever.
    #[test]
    fn an_answer_that_was_not_asked_for_is_an_error() {
        let to_client = || Answer::Client(ClientAnswer::Signed(Ok(Vec::new())));
        let to_server = || Answer::Server(ServerAnswer::Session(None));
        for answer in [to_client(), to_server()] {
            let outcome = client().handle(Input::Answer(answer));
            assert_eq!(outcome, Err(Error::UnexpectedAnswer("ExpectServerHello")));
        }
        for answer in [to_client(), to_server()] {
            let outcome = server().handle(Input::Answer(answer));
            assert_eq!(outcome, Err(Error::UnexpectedAnswer("ExpectClientHello")));
        }
        let alert = Error::UnexpectedAnswer("ExpectClientHello").alert();
        assert_eq!(alert, Some(AlertDescription::INTERNAL_ERROR));
    }
}
