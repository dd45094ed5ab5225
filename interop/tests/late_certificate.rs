//! Our server asks for its client's certificate on a live association: `C` does so by a
//! renegotiation. Over TLS the clients of OpenSSL and GnuTLS offer to resume, which would show no
//! certificate, so that handshake must be a full one.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::association::{Association, Delivery, Route};
use sealgram_interop::clock::Deadline;
use sealgram_interop::failure::{Failure, Outcome};
use sealgram_interop::peer::{Implementation, Transport};
use sealgram_interop::pki::Pki;
use sealgram_interop::pool::run_all;
use sealgram_interop::rekeying::{plain, wait_for_event};
use sealgram_interop::sealgram::{Sealgram, events};

/// A foreign client, and whether it has what it will be asked for.
struct Case {
    foreign: Implementation,
    transport: Transport,
    tickets: bool,
    has_certificate: bool,
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let tickets = if self.tickets { "tickets" } else { "ids" };
        let certificate = if self.has_certificate {
            "certificate"
        } else {
            "nothing"
        };
        write!(
            formatter,
            "{:?}/{}/{tickets}/{certificate}",
            self.transport,
            self.foreign.name()
        )
    }
}

#[test]
fn a_client_shows_its_certificate_when_it_is_asked_later() {
    Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let mut cases = Vec::new();
    for transport in [Transport::Dtls, Transport::Tls] {
        for foreign in PEERS {
            for tickets in [true, false] {
                cases.extend([true, false].map(|has_certificate| Case {
                    foreign,
                    transport,
                    tickets,
                    has_certificate,
                }));
            }
        }
    }
    run_all(&cases, AT_ONCE, |case| run(case, &pki)).conclude("certificates asked for later");
}

fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let mut settings = plain(pki, case.transport, case.tickets);
    let authority = pki.client_authority().display().to_string();
    settings.server_arguments = vec!["--client-ca".into(), authority];
    settings
        .server_arguments
        .extend(["--client-auth", "none"].map(String::from));
    if case.has_certificate {
        settings.client_arguments = certificate(case.foreign, pki);
    }
    let (us, them) = (Implementation::Sealgram, case.foreign);
    let deadline = Deadline::after(LIMIT);
    let mut association = Association::establish(them, us, &settings, Route::Direct, deadline)?;
    let outcome = ask(case, &mut association, deadline);
    outcome.map_err(|failure| failure.with_evidence(association.evidence()))?;
    Ok(String::new())
}

fn ask(case: &Case, association: &mut Association, deadline: Deadline) -> Outcome<()> {
    association.converse(2, Delivery::Exact, deadline)?;
    let shown = association
        .server_handshake
        .and_then(|told| told.client_certificate);
    if shown != Some(false) {
        return Err(Failure::new(
            "the first handshake has asked for a certificate",
        ));
    }
    let ours = &mut association.server.process;
    ours.write(b"C\n")?;
    if !case.has_certificate {
        wait_for_event(
            ours,
            "the end of a client that shows nothing",
            deadline,
            |event| event.name() == "error",
        )?;
        let renegotiated =
            events(&ours.transcript()).any(|event| event.value("renegotiation") == Some("true"));
        return if renegotiated {
            Err(Failure::new("a client without a certificate was accepted"))
        } else {
            Ok(())
        };
    }
    wait_for_event(
        ours,
        "a full handshake with a certificate",
        deadline,
        |event| {
            event.value("renegotiation") == Some("true")
                && event.value("kind") == Some("full")
                && event.value("client_cert") == Some("present")
        },
    )?;
    association.converse(3, Delivery::Exact, deadline)?;
    association.close(deadline)
}

/// The client's certificate, which has not been asked for yet, as arguments of its program.
fn certificate(foreign: Implementation, pki: &Pki) -> Vec<String> {
    let credential = pki.client(KeyType::EcdsaP256);
    let (certificate, key) = match foreign {
        Implementation::OpenSsl => ("-cert", "-key"),
        Implementation::GnuTls => ("--x509certfile", "--x509keyfile"),
        _ => ("--cert", "--key"),
    };
    let path = |path: &std::path::Path| path.display().to_string();
    vec![
        certificate.into(),
        path(&credential.certificate),
        key.into(),
        path(&credential.key),
    ]
}

const PEERS: [Implementation; 5] = [
    Implementation::OpenSsl,
    Implementation::GnuTls,
    Implementation::Erlang,
    Implementation::Botan,
    Implementation::MbedTls,
];

const AT_ONCE: usize = 6;
const LIMIT: Duration = Duration::from_secs(20);
