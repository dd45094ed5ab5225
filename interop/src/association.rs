//! Two programs joined: handshake, conversation, close.

use std::net::SocketAddr;
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::Loss;
use crate::peer::{Endpoint, Handshake, Implementation, Service, Settings};
use crate::process::{Process, Transcript};
use crate::proxy::Proxy;

/// A client and a server that have completed their handshake.
pub struct Association {
    /// The end that connected.
    pub client: Endpoint,
    /// The end that listened.
    pub server: Endpoint,
    /// What lies between them, if something does.
    pub proxy: Option<Proxy>,
    /// What the client reported about the handshake.
    pub client_handshake: Handshake,
    /// What the server reported about it, if it ever reports that.
    pub server_handshake: Option<Handshake>,
    service: Service,
    to_server: Vec<Vec<u8>>,
    to_client: Vec<Vec<u8>>,
}

/// What lies between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Nothing: the client connects to the server.
    Direct,
    /// A [`Proxy`] with this loss.
    Proxied(Loss),
}

/// How a line reaches the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is sent once, and each line arrives exactly once and in order.
    Exact,
    /// It is sent again until it has arrived; lines may arrive more than once, but unaltered.
    Repeated,
}

/// Which programs a line passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// From the client's input to the server's output.
    ToServer,
    /// From the server's input to the client's output.
    ToClient,
    /// From the client's input by way of the echoing server to the client's output.
    Echo,
}

impl Association {
    /// Starts both programs and waits for the end of the handshake on both sides.
    ///
    /// # Errors
    ///
    /// When either side fails, or `deadline` passes; the error has the output of both.
    pub fn establish(
        client: Implementation,
        server: Implementation,
        settings: &Settings<'_>,
        route: Route,
        deadline: Deadline,
    ) -> Outcome<Self> {
        let (server, address) = server.start_server(settings, deadline)?;
        let (proxy, address) = lay(route, address)?;
        let client = client.start_client(settings, address)?;
        match handshakes(&client, &server, deadline) {
            Ok((client_handshake, server_handshake)) => Ok(Self {
                service: server.service(settings),
                client,
                server,
                proxy,
                client_handshake,
                server_handshake,
                to_server: Vec::new(),
                to_client: Vec::new(),
            }),
            Err(failure) => Err(failure.during("handshake").with_evidence(evidence(
                &client,
                &server,
                proxy.as_ref(),
            ))),
        }
    }

    /// Passes `count` lines each way, comparing every byte. With an echoing server the same lines
    /// go both ways.
    ///
    /// # Errors
    ///
    /// When a line does not arrive before `deadline`, or not as it was sent.
    pub fn converse(
        &mut self,
        count: usize,
        delivery: Delivery,
        deadline: Deadline,
    ) -> Outcome<()> {
        let lanes: &[Lane] = match self.service {
            Service::Echo => &[Lane::Echo],
            Service::Stdio => &[Lane::ToServer, Lane::ToClient],
        };
        for _ in 0..count {
            for &lane in lanes {
                self.pass_line(lane, delivery, deadline)
                    .map_err(|failure| {
                        failure
                            .during(format!("conversation, {lane:?}"))
                            .with_evidence(self.evidence())
                    })?;
            }
        }
        Ok(())
    }

    /// Closes the client's input: the client must close the connection and end with status 0, and a
    /// server that reports such things must report that its peer has closed.
    ///
    /// # Errors
    ///
    /// When one of these does not happen before `deadline`.
    pub fn close(&mut self, deadline: Deadline) -> Outcome<()> {
        self.end_client(deadline)
            .and_then(|()| self.server.wait_for_peer_close(deadline))
            .map_err(|failure| self.explain(failure))
    }

    /// As [`Self::close`], on a path that may lose the client's close_notify: the server is not
    /// asked.
    ///
    /// # Errors
    ///
    /// When the client does not end with status 0 before `deadline`.
    pub fn close_unheard(&mut self, deadline: Deadline) -> Outcome<()> {
        self.end_client(deadline)
            .map_err(|failure| self.explain(failure))
    }

    /// The proxy, for tests that asked for one.
    ///
    /// # Panics
    ///
    /// If the association was established over [`Route::Direct`].
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("established through a proxy")
    }

    /// The output of both programs, and the proxy's record.
    #[must_use]
    pub fn evidence(&self) -> String {
        evidence(&self.client, &self.server, self.proxy.as_ref())
    }

    fn explain(&self, failure: Failure) -> Failure {
        failure.during("close").with_evidence(self.evidence())
    }

    fn end_client(&mut self, deadline: Deadline) -> Outcome<()> {
        self.client.process.close_stdin();
        let status = self.client.process.wait_for_exit(deadline)?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new(format!("the client ended with {status}")))
        }
    }

    fn pass_line(&mut self, lane: Lane, delivery: Delivery, deadline: Deadline) -> Outcome<()> {
        let sent = match lane {
            Lane::ToServer => &mut self.to_server,
            Lane::ToClient | Lane::Echo => &mut self.to_client,
        };
        let line = test_line(lane, sent.len(), delivery);
        sent.push(line.clone());
        loop {
            self.sender(lane).write(&line)?;
            let patience = match delivery {
                Delivery::Exact => deadline,
                Delivery::Repeated => deadline.at_most(REPEAT_AFTER),
            };
            match self.wait_for_line(lane, delivery, patience) {
                Ok(arrival) => return arrival,
                Err(slow) if delivery == Delivery::Exact || deadline.has_passed() => {
                    return Err(slow);
                }
                Err(dead) if !self.receiver_runs(lane) => return Err(dead),
                Err(_) => {}
            }
        }
    }

    /// Waits until the last line of `lane` has arrived. The inner failure is altered data, for
    /// which waiting does not help.
    fn wait_for_line(
        &self,
        lane: Lane,
        delivery: Delivery,
        patience: Deadline,
    ) -> Outcome<Outcome<()>> {
        let (receiver, offset, sent) = match lane {
            Lane::ToServer => (
                &self.server,
                self.server_handshake.map_or(0, |told| told.data_offset),
                &self.to_server,
            ),
            Lane::ToClient | Lane::Echo => (
                &self.client,
                self.client_handshake.data_offset,
                &self.to_client,
            ),
        };
        let wanted = format!("line {} of {lane:?}", sent.len());
        receiver
            .process
            .wait_for(&wanted, patience, |transcript: &Transcript| {
                let received = receiver.application_data(&transcript.stdout, offset);
                match delivery {
                    Delivery::Exact => arrived_exactly(&received, sent),
                    Delivery::Repeated => arrived_somehow(&received, sent),
                }
            })
    }

    fn sender(&mut self, lane: Lane) -> &mut Process {
        match lane {
            Lane::ToServer | Lane::Echo => &mut self.client.process,
            Lane::ToClient => &mut self.server.process,
        }
    }

    fn receiver_runs(&mut self, lane: Lane) -> bool {
        match lane {
            Lane::ToServer => self.server.process.is_running(),
            Lane::ToClient | Lane::Echo => self.client.process.is_running(),
        }
    }
}

fn lay(route: Route, server: SocketAddr) -> Outcome<(Option<Proxy>, SocketAddr)> {
    match route {
        Route::Direct => Ok((None, server)),
        Route::Proxied(loss) => {
            let proxy = Proxy::start(server, loss)?;
            let address = proxy.address();
            Ok((Some(proxy), address))
        }
    }
}

fn handshakes(
    client: &Endpoint,
    server: &Endpoint,
    deadline: Deadline,
) -> Outcome<(Handshake, Option<Handshake>)> {
    let client_handshake = client.wait_for_handshake(deadline)?;
    let server_handshake = server
        .reports_handshake()
        .then(|| server.wait_for_handshake(deadline))
        .transpose()?;
    Ok((client_handshake, server_handshake))
}

fn evidence(client: &Endpoint, server: &Endpoint, proxy: Option<&Proxy>) -> String {
    format!(
        "{}{}{}",
        client.process.evidence(),
        server.process.evidence(),
        proxy.map(Proxy::evidence).unwrap_or_default()
    )
}

/// `Some` once as many bytes have arrived as were sent, or something else has.
fn arrived_exactly(received: &[u8], sent: &[Vec<u8>]) -> Option<Outcome<()>> {
    let expected = sent.concat();
    let common = received.len().min(expected.len());
    if received[..common] != expected[..common] || received.len() > expected.len() {
        return Some(Err(damaged(received)));
    }
    (received.len() == expected.len()).then_some(Ok(()))
}

/// `Some` once the last line sent is among the lines received, or one is there that never was sent.
fn arrived_somehow(received: &[u8], sent: &[Vec<u8>]) -> Option<Outcome<()>> {
    let lines: Vec<_> = received
        .split_inclusive(|&byte| byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
        .collect();
    if lines
        .iter()
        .any(|line| !sent.iter().any(|known| known == line))
    {
        return Some(Err(damaged(received)));
    }
    let last = sent.last()?;
    lines.iter().any(|line| line == last).then_some(Ok(()))
}

fn damaged(received: &[u8]) -> Failure {
    Failure::new(format!(
        "what arrived is not what was sent: {}",
        String::from_utf8_lossy(received)
    ))
}

/// A line that no program mistakes for a command, of another length than its neighbours.
fn test_line(lane: Lane, index: usize, delivery: Delivery) -> Vec<u8> {
    let mut line = format!("line {index} {lane:?} ").into_bytes();
    let lengths = match delivery {
        Delivery::Exact => LINE_LENGTHS,
        Delivery::Repeated => SHORT_LINE_LENGTHS,
    };
    let length = lengths[index % lengths.len()];
    for position in line.len()..length - 1 {
        let letter = u8::try_from((position * 7 + index) % 26).expect("below 26");
        line.push(b'a' + letter);
    }
    line.push(b'\n');
    line
}

/// Lengths of successive lines in bytes, the newline included. The longest fits into one datagram
/// under every peer's default MTU except OpenSSL's, which applies to handshakes only.
const LINE_LENGTHS: [usize; 5] = [24, 64, 300, 700, 1000];

/// The same for lines of which no part may be lost: `gnutls-serv` sends an echo in pieces of 254
/// bytes.
const SHORT_LINE_LENGTHS: [usize; 5] = [24, 48, 96, 160, 240];

/// How long to wait for a line before it is sent once more.
const REPEAT_AFTER: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Vec<Vec<u8>> {
        [0, 1]
            .map(|index| test_line(Lane::Echo, index, Delivery::Exact))
            .into()
    }

    #[test]
    fn lines_have_their_lengths_and_one_newline() {
        for (index, length) in LINE_LENGTHS.into_iter().enumerate() {
            let line = test_line(Lane::ToServer, index, Delivery::Exact);
            assert_eq!(line.len(), length);
            assert_eq!(
                line.iter().position(|&byte| byte == b'\n'),
                Some(length - 1)
            );
        }
    }

    #[test]
    fn exact_delivery_wants_every_line_once() {
        let all = sent().concat();
        assert_eq!(arrived_exactly(&all[..30], &sent()), None);
        assert_eq!(arrived_exactly(&all, &sent()), Some(Ok(())));
        let twice = [all.clone(), all].concat();
        assert!(matches!(arrived_exactly(&twice, &sent()), Some(Err(_))));
    }

    #[test]
    fn repeated_delivery_allows_copies_but_no_damage() {
        let [first, second]: [Vec<u8>; 2] = sent().try_into().expect("two lines");
        assert_eq!(arrived_somehow(&first, &sent()), None);
        let copies = [first.clone(), first.clone(), second].concat();
        assert_eq!(arrived_somehow(&copies, &sent()), Some(Ok(())));
        let mut harmed = first;
        harmed[10] ^= 1;
        assert!(matches!(arrived_somehow(&harmed, &sent()), Some(Err(_))));
    }
}
