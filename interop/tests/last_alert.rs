//! The reason why a server turns a client away, as OpenSSL's client sees it while it is still
//! sending.

use std::process::Command;
use std::time::Duration;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::clock::Deadline;
use sealgram_interop::pki::Pki;
use sealgram_interop::port::{self, Listening};
use sealgram_interop::process::Process;
use sealgram_interop::sealgram::{Sealgram, events};

/// The number of attempts: whether a reset overtakes the alert is a matter of chance.
const ROUNDS: usize = 60;

/// More than the server reads before it finds that there is no certificate.
const POSTED: usize = 90_000;

const PATIENCE: Duration = Duration::from_secs(20);

/// RFC 8446 §4.4.2.4, §6.2; RFC 1122 §4.2.2.13: at 1.3 a client learns of the refusal when its
/// handshake is already complete, and it may be in the middle of sending.
#[test]
fn openssl_without_a_certificate_reads_the_alert_while_it_posts() {
    let program = Sealgram::program().expect("the program under test");
    let pki = Pki::generate().expect("certificates");
    let credential = pki.server(KeyType::EcdsaP256);
    let command = |_| {
        let mut command = Command::new(&program);
        command.args(["server", "--tls", "--listen", "127.0.0.1:0", "--cert"]);
        command.arg(&credential.certificate);
        command.arg("--key").arg(&credential.key);
        command.arg("--client-ca").arg(pki.client_authority());
        Ok(command)
    };
    let end = Deadline::after(PATIENCE);
    let (_server, port) = port::start(
        "sealgram",
        || Ok(0),
        command,
        |transcript, _| {
            let listening = events(transcript).find(|event| event.name() == "listening")?;
            let (_, port) = listening.value("addr")?.rsplit_once(':')?;
            Some(Listening::On(port.parse().ok()?))
        },
        end,
    )
    .expect("the server starts");
    let missed: Vec<String> = (0..ROUNDS)
        .filter_map(|round| {
            let said = post(port);
            let told = said.contains("alert certificate required");
            (!told).then(|| format!("round {round}: {said}"))
        })
        .collect();
    let count = missed.len();
    assert!(
        missed.is_empty(),
        "{count} of {ROUNDS} saw no alert; {}",
        missed[0]
    );
    println!("{ROUNDS} of {ROUNDS} clients of OpenSSL saw the alert");
}

/// What OpenSSL's client says when it posts without a certificate.
fn post(port: u16) -> String {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-tls1_3", "-quiet", "-connect"]);
    command.arg(format!("127.0.0.1:{port}"));
    let mut client = Process::spawn("openssl", command).expect("openssl is installed");
    // It may be refused before the server has read all of it.
    let _refused = client.write(&vec![b'x'; POSTED]);
    let ended = client.wait_for_exit(Deadline::after(PATIENCE));
    assert!(ended.is_ok(), "{}", client.evidence());
    let transcript = client.transcript();
    transcript.stderr_lines().collect::<Vec<_>>().join("\n")
}
