//! Our program on sockets of both address families, with peers of one: IPv4 in an IPv6 socket,
//! unspecified addresses as destinations, and names.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use sealgram_interop::association::{Association, Delivery, Route};
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::Outcome;
use sealgram_interop::peer::{Implementation, Transport};
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::rekeying::plain;
use sealgram_interop::sealgram::Sealgram;

/// Where the server listens, and where the client connects.
struct Case {
    client: Implementation,
    server: Implementation,
    transport: Transport,
    listen: &'static str,
    connect: &'static str,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?}/{} at {} to {} at {}",
            self.transport,
            self.client.name(),
            self.connect,
            self.server.name(),
            self.listen
        )
    }
}

#[test]
fn peers_of_either_family_meet_on_mixed_sockets() {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    run_all(&cases(), AT_ONCE, |case| run(case, &pki)).conclude("mixed sockets");
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for transport in [Transport::Dtls, Transport::Tls] {
        for foreign in [Implementation::OpenSsl, Implementation::GnuTls] {
            let us = Implementation::Sealgram;
            cases.extend(OUR_SERVER.map(|(listen, connect)| Case {
                client: foreign,
                server: us,
                transport,
                listen,
                connect,
            }));
            for (listen, connect) in OUR_CLIENT {
                // OpenSSL's server on an IPv6 address does not accept IPv4.
                let ipv6_only = foreign == Implementation::OpenSsl && listen == "[::]";
                if !ipv6_only || connect == "[::1]" || connect == "[::]" {
                    cases.push(Case {
                        client: us,
                        server: foreign,
                        transport,
                        listen,
                        connect,
                    });
                }
            }
        }
        cases.extend(OUR_CLIENT.map(|(listen, connect)| Case {
            client: Implementation::Sealgram,
            server: Implementation::Sealgram,
            transport,
            listen,
            connect,
        }));
    }
    cases
}

fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let mut settings = plain(pki, case.transport, true);
    settings.listen = case.listen;
    settings.connect = case.connect;
    let deadline = Deadline::after(LIMIT);
    let (client, server) = (case.client, case.server);
    let mut association =
        Association::establish(client, server, &settings, Route::Direct, deadline)?;
    association.converse(LINES, Delivery::Exact, deadline)?;
    association.close(deadline)?;
    Ok(String::new())
}

/// Where our server listens, and how a foreign client finds it.
const OUR_SERVER: [(&str, &str); 6] = [
    ("[::]", "127.0.0.1"),
    ("[::]", "[::1]"),
    ("[::]", "localhost"),
    ("0.0.0.0", "127.0.0.1"),
    ("127.0.0.1", "localhost"),
    ("[::ffff:127.0.0.1]", "127.0.0.1"),
];

/// Where a server listens, and how our client finds it.
const OUR_CLIENT: [(&str, &str); 9] = [
    ("[::]", "127.0.0.1"),
    ("[::]", "[::1]"),
    ("[::]", "localhost"),
    ("[::]", "[::ffff:127.0.0.1]"),
    ("[::]", "0.0.0.0"),
    ("[::]", "[::]"),
    ("127.0.0.1", "0.0.0.0"),
    ("127.0.0.1", "[::ffff:127.0.0.1]"),
    ("127.0.0.1", "localhost"),
];

const LINES: usize = 3;
const AT_ONCE: usize = 8;
const LIMIT: Duration = Duration::from_secs(15);
