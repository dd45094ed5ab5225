//! The result of the demonstration, and whether it is right.

use super::client::{Agreed, ClientReport};
use super::echo::EchoReport;
use super::payload::NUMBER_LEN;
use super::relay::LinkReport;
use crate::problem::Problem;
use sealgram::ProtocolVersion;
use sealgram::identity::Fingerprint;
use std::fmt;

/// Everything that was observed, at both ends and on the link.
#[derive(Debug)]
pub(super) struct Summary {
    /// The version that the ends should agree on.
    pub(super) version: ProtocolVersion,
    /// How lossy the link was asked to be, in percent.
    pub(super) loss: u8,
    /// How many datagrams should go each way.
    pub(super) datagrams: u64,
    /// Whether the keys should be replaced in each of the three ways.
    pub(super) rekeying: bool,
    /// Whether the client should get another port.
    pub(super) moves: bool,
    /// The fingerprint of the certificate that was made for the server.
    pub(super) certificate: Fingerprint,
    pub(super) client: ClientReport,
    pub(super) server: EchoReport,
    pub(super) link: LinkReport,
}

impl Summary {
    fn is_13(&self) -> bool {
        self.version == ProtocolVersion::DTLS13
    }

    /// The epoch of the first keys for data (RFC 6347 §4.1, RFC 9147 §6.1).
    fn first_epoch(&self) -> u64 {
        if self.is_13() { 3 } else { 1 }
    }

    /// Success, if everything was right.
    ///
    /// # Errors
    ///
    /// The first check that failed.
    pub(super) fn verdict(&self) -> Result<(), Problem> {
        match self.claims().into_iter().find(|(_, holds)| !holds) {
            Some((claim, _)) => Err(Problem::failure(format!("it is not true that {claim}"))),
            None => Ok(()),
        }
    }

    /// What should be true, with whether it is.
    fn claims(&self) -> Vec<(&'static str, bool)> {
        let Self {
            client,
            server,
            link,
            ..
        } = self;
        let agreed = client.agreed;
        let is = |test: &dyn Fn(Agreed) -> bool| agreed.is_some_and(test);
        let retransmitted = client.flights_retransmitted + server.flights_retransmitted;
        vec![
            ("the handshake reported what it agreed on", agreed.is_some()),
            (
                "the requested version is spoken",
                is(&|agreed| agreed.version == self.version),
            ),
            (
                "data is protected by the first keys for data",
                is(&|agreed| agreed.epoch.number() == self.first_epoch()),
            ),
            (
                "the server showed the certificate that was made for it",
                is(&|agreed| agreed.certificate == self.certificate),
            ),
            (
                "the client proved its address with a cookie",
                server.cookies > 0,
            ),
            (
                "the link lost part of the handshake",
                self.loss == 0 || link.dropped > 0,
            ),
            (
                "what the link lost was sent again",
                link.dropped == 0 || retransmitted > 0,
            ),
            (
                "the keys were replaced by the client, by the server, and automatically",
                !self.rekeying || client.rekeyed.is_complete(self.first_epoch()),
            ),
            (
                "the server followed its client to another port, after it had asked there",
                server.followed == u64::from(self.moves),
            ),
            ("every datagram was sent", client.sent == self.datagrams),
            (
                "every datagram reached the server",
                server.received == self.datagrams,
            ),
            (
                "every datagram came back",
                client.received == self.datagrams,
            ),
            (
                "the server received what the client had sent",
                server.mismatches == 0,
            ),
            (
                "the client received what it had sent",
                client.mismatches == 0,
            ),
            (
                "both ends counted the same bytes",
                client.bytes == server.bytes,
            ),
        ]
    }
}

/// A table of two columns.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [self.handshake_rows(), self.data_rows()].concat();
        rows.iter()
            .try_for_each(|(name, value)| writeln!(f, "  {name:<24} {value}"))
    }
}

impl Summary {
    fn handshake_rows(&self) -> Vec<(&'static str, String)> {
        let Self {
            client,
            server,
            link,
            ..
        } = self;
        let mut rows = Vec::new();
        if let Some(agreed) = client.agreed {
            rows.push(("version", agreed.version.to_string()));
            rows.push(("cipher suite", agreed.suite.to_string()));
            rows.push(("key exchange", agreed.group.to_string()));
            rows.push(("epoch", agreed.epoch.to_string()));
            rows.push(("certificate, SHA-256", agreed.certificate.to_string()));
        }
        let request = match self.is_13() {
            true => "HelloRetryRequest",
            false => "HelloVerifyRequest",
        };
        let cookie = match server.cookies {
            0 => "not used".to_owned(),
            count => format!("used, {count} {request}"),
        };
        rows.push(("cookie", cookie));
        let rekeyed = client.rekeyed;
        let renegotiations = format!(
            "{} by the client, {} by the server, {} automatic, now in epoch {}",
            rekeyed.by_client, rekeyed.by_server, rekeyed.automatic, rekeyed.epoch
        );
        let name = match self.is_13() {
            true => "key updates",
            false => "renegotiations",
        };
        rows.push((name, renegotiations));
        let moved = match server.followed {
            0 => "no",
            _ => "to another port, found by connection ID, followed after a check",
        };
        rows.push(("client moved", moved.to_owned()));
        let (sent, lost) = (link.handshake_datagrams, link.dropped);
        let datagrams = format!("{sent}, {lost} of them lost by the link");
        rows.push(("handshake datagrams", datagrams));
        let (by_client, by_server) = (client.flights_retransmitted, server.flights_retransmitted);
        let flights = format!("{by_client} by the client, {by_server} by the server");
        rows.push(("flights sent again", flights));
        let seconds = client.handshake_time.as_secs_f64();
        rows.push(("handshake took", format!("{seconds:.3} s")));
        rows
    }

    fn data_rows(&self) -> Vec<(&'static str, String)> {
        let Self { client, server, .. } = self;
        let way = |count, mismatches| format!("{count} datagrams, {mismatches} mismatches");
        let seconds = client.data_time.as_secs_f64().max(f64::EPSILON);
        let rate = client.received as f64 / seconds;
        let megabytes = client.bytes as f64 / seconds / 1e6;
        vec![
            (
                "datagram sizes",
                format!("{NUMBER_LEN} to {} bytes", client.max_payload),
            ),
            ("client to server", way(server.received, server.mismatches)),
            ("server to client", way(client.received, client.mismatches)),
            ("data took", format!("{seconds:.3} s")),
            (
                "throughput",
                format!("{rate:.0} datagrams/s and {megabytes:.1} MB/s each way"),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealgram::pki_types::CertificateDer;

    /// What is observed if no handshake was completed.
    fn nothing() -> Summary {
        Summary {
            version: ProtocolVersion::DTLS13,
            loss: 10,
            datagrams: 1,
            rekeying: false,
            moves: false,
            certificate: Fingerprint::of(&CertificateDer::from(vec![1])),
            client: ClientReport::default(),
            server: EchoReport::default(),
            link: LinkReport {
                handshake_datagrams: 8,
                dropped: 1,
            },
        }
    }

    #[test]
    fn the_verdict_names_the_first_thing_that_is_not_true() {
        let reason = nothing().verdict().unwrap_err().to_string();
        assert_eq!(
            reason,
            "it is not true that the handshake reported what it agreed on"
        );
    }
}
