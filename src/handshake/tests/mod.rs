//! Two engines face to face, without records: what they agree on, in every kind of handshake.

mod connection_ids;

use super::renegotiation::Binding;
use super::*;
use crate::config::{ClientConfig, ServerConfig, Versions, test_server};
use crate::identity::Signing;
use crate::identity::proof::ClaimVerified;
use crate::protocol::dialect::DTLS;
use crate::protocol::{ConnectionId, ConnectionIds, Epoch, HandshakeType, Side};
use crate::session::{Resumable, Session};
use crate::wire::client_hello::ClientHello;
use crate::wire::server_hello::ServerHello;
use pki_types::UnixTime;
use std::sync::Arc;
use std::time::Duration;

/// What an end has done that matters here, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Did {
    Decided,
    Agreed(ConnectionIds),
    Installed(Epoch),
}

struct End {
    handshake: Handshake,
    did: Vec<Did>,
    sent: Vec<InboundMessage>,
    /// What of it is on its way.
    waiting: Vec<InboundMessage>,
    completed: Option<Box<Completed>>,
    session: Option<Session>,
}

impl End {
    fn new(handshake: Handshake) -> Self {
        Self {
            handshake,
            did: Vec::new(),
            sent: Vec::new(),
            waiting: Vec::new(),
            completed: None,
            session: None,
        }
    }

    /// Does what the engine wants done.
    fn perform(&mut self) -> Result<(), Error> {
        while let Some(action) = self.handshake.poll_action() {
            match action {
                Action::SendMessage {
                    epoch,
                    seq,
                    typ,
                    body,
                } => {
                    let message = InboundMessage {
                        epoch,
                        seq,
                        typ,
                        body,
                    };
                    self.sent.push(message.clone());
                    self.waiting.push(message);
                }
                Action::VersionDecided(_) => self.did.push(Did::Decided),
                Action::ConnectionIdsAgreed(ids) => self.did.push(Did::Agreed(ids)),
                Action::InstallWrite { epoch, .. } | Action::InstallRead { epoch, .. } => {
                    self.did.push(Did::Installed(epoch));
                }
                Action::Ask(question) => {
                    self.handshake.handle(Input::Answer(answer(question)))?;
                }
                Action::SaveSession(session) => self.session = Some(session),
                Action::Completed(completed) => self.completed = Some(completed),
                _ => {}
            }
        }
        Ok(())
    }

    /// What was agreed on for the epochs that follow: once, after the version and before any keys.
    fn agreed(&self) -> ConnectionIds {
        let found = |did: &Did| matches!(did, Did::Agreed(_));
        assert_eq!(self.did.iter().filter(|did| found(did)).count(), 1);
        let place = self.did.iter().position(found).unwrap();
        let (before, after) = self.did.split_at(place);
        assert_eq!(before.last(), Some(&Did::Decided));
        assert!(!before.iter().any(|did| matches!(did, Did::Installed(_))));
        assert!(!after.contains(&Did::Decided));
        let Did::Agreed(ids) = &after[0] else {
            unreachable!()
        };
        ids.clone()
    }

    /// The hellos that this end has sent, decoded.
    fn client_hellos(&self) -> Vec<ClientHello> {
        let hellos = self.sent.iter();
        let hellos = hellos.filter(|message| message.typ == HandshakeType::CLIENT_HELLO);
        hellos
            .map(|message| ClientHello::decode(&DTLS, &message.body).unwrap())
            .collect()
    }

    fn server_hellos(&self) -> Vec<ServerHello> {
        let hellos = self.sent.iter();
        let hellos = hellos.filter(|message| message.typ == HandshakeType::SERVER_HELLO);
        hellos
            .map(|message| ServerHello::decode(&message.body).unwrap())
            .collect()
    }
}

fn signed(unsigned: &Unsigned) -> Result<Vec<u8>, Error> {
    match unsigned.key.sign(unsigned.scheme, &unsigned.message) {
        Signing::Done(outcome) => outcome,
        Signing::Awaited(_) => unreachable!(),
    }
}

fn answer(question: Question) -> Answer {
    let verified = || Ok(ClaimVerified::by(|| Ok::<_, ()>(())).unwrap());
    match question {
        Question::Client(_, ClientQuestion::VerifyServer { .. }) => {
            Answer::Client(ClientAnswer::ServerVerified(verified()))
        }
        Question::Client(_, ClientQuestion::Sign(unsigned)) => {
            Answer::Client(ClientAnswer::Signed(signed(&unsigned)))
        }
        Question::Server(_, ServerQuestion::Sign(unsigned)) => {
            Answer::Server(ServerAnswer::Signed(signed(&unsigned)))
        }
        Question::Server(config, ServerQuestion::FindSession { id, ticket }) => {
            let found = config.sessions.find(&id, &ticket, now());
            Answer::Server(ServerAnswer::Session(found))
        }
        Question::Server(config, ServerQuestion::FindTicket { tickets }) => {
            let found = config.sessions.find_13(&tickets, now());
            Answer::Server(ServerAnswer::Ticket(found))
        }
        _ => unreachable!("nothing else is asked here"),
    }
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_000_000))
}

/// A connection ID of so many bytes, which says whose it is; `None` for no connection IDs.
fn id(length: Option<usize>, whose: u8) -> Option<ConnectionId> {
    length.map(|length| ConnectionId::new(&vec![whose; length]))
}

/// The configurations of both ends.
struct Setup {
    dialect: &'static Dialect,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

type Lengths = (Option<usize>, Option<usize>);

impl Setup {
    fn new(versions: Versions) -> Self {
        Self::with(&DTLS, versions, true)
    }

    fn with(dialect: &'static Dialect, versions: Versions, tickets: bool) -> Self {
        let client = ClientConfig::dangerous()
            .accept_any_certificate()
            .versions(versions)
            .tickets(tickets)
            .build()
            .unwrap();
        Self {
            dialect,
            client: Arc::new(client),
            server: Arc::new(test_server(versions)),
        }
    }

    /// Both ends of a handshake that may begin with a session, or follow another handshake.
    fn ends(&self, (client, server): Lengths, before: Option<&(End, End)>, renews: bool) -> Pair {
        let session = before.and_then(|(client, _)| client.session.clone());
        let established = |end: &End| match end.completed.as_deref().and_then(Completed::v12) {
            Some(current) if renews => {
                let conformance = &self.client.parameters.conformance;
                Some((current.epoch, Binding::to(current, conformance).unwrap()))
            }
            _ => None,
        };
        let of_client = before.and_then(|(client, _)| established(client));
        let of_server = before.and_then(|(_, server)| established(server));
        let current = of_client.as_ref().map_or(Epoch::PLAINTEXT, |it| it.0);
        let settings = client::Settings {
            config: self.client.clone(),
            server_name: "server.test".try_into().unwrap(),
            current,
            started: now(),
            session: session.filter(|_| !renews),
            connection_id: id(client, 0xc1),
            renegotiating: of_client.map(|(_, binding)| client::Renegotiating {
                binding,
                cookie: Vec::new(),
                unanswered: None,
            }),
            small: false,
        };
        let client = End::new(Handshake::client(self.dialect, settings).unwrap());
        let settings = server::Settings {
            config: self.server.clone(),
            current,
            started: now(),
            binding: of_server.map(|(_, binding)| binding),
            retried: None,
            only_resume: false,
            resumes: true,
            requested: false,
            connection_id: id(server, 0x5e),
        };
        let server = Handshake::server(self.dialect, settings, MessageSeq::FIRST).unwrap();
        (client, End::new(server))
    }

    /// A whole handshake. `alter` changes what each end sends.
    fn run(
        &self,
        mut ends: Pair,
        mut alter: impl FnMut(Side, &mut InboundMessage),
    ) -> Result<Pair, (Side, Error)> {
        for _ in 0..8 {
            for side in [Side::Client, Side::Server] {
                let (from, to) = match side {
                    Side::Client => (&mut ends.0, &mut ends.1),
                    Side::Server => (&mut ends.1, &mut ends.0),
                };
                from.perform().map_err(|error| (side, error))?;
                for mut message in std::mem::take(&mut from.waiting) {
                    alter(side, &mut message);
                    let taken = take(to, message).and_then(|()| to.perform());
                    taken.map_err(|error| (side.peer(), error))?;
                }
            }
        }
        let (client, server) = &mut ends;
        if let Some(session @ Session(Resumable::V12(known))) = &server.session {
            let cache = self.server.sessions.cache.as_ref().unwrap();
            cache.put(&known.id, session.clone(), now());
        }
        let tickets = server.completed.as_mut().unwrap().post();
        if let (Some(server), Some(post)) = (tickets, client.completed.as_mut().unwrap().post()) {
            while let Some(action) = server.poll_action() {
                if let Action::SendMessage {
                    epoch,
                    seq,
                    typ,
                    body,
                } = action
                {
                    let ticket = InboundMessage {
                        epoch,
                        seq,
                        typ,
                        body,
                    };
                    post.handle(&ticket, now()).unwrap();
                }
            }
            while let Some(action) = post.poll_action() {
                if let Action::SaveSession(session) = action {
                    client.session = Some(session);
                }
            }
        }
        Ok(ends)
    }

    fn complete(&self, lengths: Lengths) -> Pair {
        self.run(self.ends(lengths, None, false), |_, _| ())
            .unwrap()
    }
}

type Pair = (End, End);

/// Gives an end a message; what it cannot take is an error here.
fn take(end: &mut End, message: InboundMessage) -> Result<(), Error> {
    match end.handshake.handle(Input::Handshake(message))? {
        Handled::Taken => Ok(()),
        Handled::NotTaken(NotTaken::Undecodable(fact)) => Err(fact.into()),
        Handled::NotTaken(NotTaken::Doubtful(error)) => Err(error),
        Handled::NotTaken(NotTaken::Unexpected) => unreachable!(),
    }
}
