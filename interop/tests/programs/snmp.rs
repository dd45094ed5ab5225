//! net-snmp over DTLS and TLS (RFC 6353): `snmpget` asks `snmpd` through our server and our client,
//! which pass on what is in the records. Who asks is known by the certificate of our client alone
//! (the Transport Security Model, RFC 5591).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::failure::Outcome;
use sealgram_interop::pki::Credential;
use sealgram_interop::port::{self, Listening, next_free_port};
use sealgram_interop::process::{Process, Transcript};

use crate::cell::{self, Cell, Surroundings, expect, protocol, with_evidence};
use crate::ours::{End, Settings, Transport, Version, relay};

#[test]
fn net_snmp_and_we_pass_questions_on() {
    let mut cells = vec![Cell::new(
        "snmpget as client and snmpd as server, DTLS 1.2, mutual, TSM",
        ask,
    )];
    let reason = "the OpenSSL below it has no DTLS 1.3";
    cells.push(Cell::empty("snmpget as client, DTLS 1.3", reason, |it| {
        offers_none(it, Transport::Dtls, Version::V1_3)
    }));
    cells.push(Cell::empty("snmpd as server, DTLS 1.3", reason, |it| {
        knows_none(it, Transport::Dtls, Version::V1_3)
    }));
    for version in [Version::V1_2, Version::V1_3] {
        let what = protocol(Transport::Tls, version);
        cells.push(Cell::empty(
            format!("snmpget as client, {what}"),
            "`tlstcp` of Debian's net-snmp offers TLS 1.0 and nothing else",
            move |it| offers_none(it, Transport::Tls, version),
        ));
        cells.push(Cell::empty(
            format!("snmpd as server, {what}"),
            "`tlstcp` of Debian's net-snmp knows TLS 1.0 and nothing else",
            move |it| knows_none(it, Transport::Tls, version),
        ));
    }
    cell::run("net-snmp", &cells);
}

/// It offers no such version.
fn offers_none(it: &Surroundings<'_>, transport: Transport, version: Version) -> Outcome<()> {
    let server = End::server(transport, &Settings::new(it.pki, version).mutual())?;
    let snmpget = manager(it, &server, transport)?;
    let refused = server.remark("no protocol version", it.deadline);
    with_evidence(refused, &[&server], &[&snmpget])
}

/// It knows no such version.
fn knows_none(it: &Surroundings<'_>, transport: Transport, version: Version) -> Outcome<()> {
    let agent = Agent::start(it, transport)?;
    let settings = Settings::new(it.pki, version).mutual();
    let address = ([127, 0, 0, 1], agent.port).into();
    let client = End::client(transport, &settings, address)?;
    // It would go down to a version for which our hello has no suite.
    let words = match (transport, version) {
        (Transport::Tls, Version::V1_3) => "unsupported protocol",
        _ => "no shared cipher",
    };
    let refused = agent.process.wait_for(words, it.deadline, |transcript| {
        let said = String::from_utf8_lossy(&transcript.stdout);
        said.contains(words).then_some(())
    });
    with_evidence(refused, &[&client], &[&agent.process])
}

fn ask(it: &Surroundings<'_>) -> Outcome<String> {
    let (transport, version) = (Transport::Dtls, Version::V1_2);
    let agent = Agent::start(it, transport)?;
    let settings = Settings::new(it.pki, version).mutual();
    let front = End::server(transport, &settings)?;
    let back = End::client(transport, &settings, ([127, 0, 0, 1], agent.port).into())?;
    let outcome = (|| {
        let behind = back.handshake(0, it.deadline)?;
        let mut snmpget = manager(it, &front, transport)?;
        let asked = (|| {
            let handshake = front.handshake(0, it.deadline)?;
            handshake.mutual()?;
            while snmpget.is_running() && !it.deadline.has_passed() {
                relay(&front, &back, MOMENT);
            }
            let status = snmpget.wait_for_exit(it.deadline)?;
            let said = String::from_utf8_lossy(&snmpget.transcript().stdout).into_owned();
            expect("the answer", said.trim(), format!("\"{PLACE}\""))?;
            expect("success", status.success(), true)?;
            Ok(format!("{}, {}", handshake.remark(), behind.remark()))
        })();
        with_evidence(asked, &[], &[&snmpget])
    })();
    with_evidence(outcome, &[&front, &back], &[&agent.process])
}

struct Agent {
    process: Process,
    port: u16,
}

impl Agent {
    fn start(it: &Surroundings<'_>, transport: Transport) -> Outcome<Self> {
        let directory = it.directory.path().join("agent");
        certificates(
            &directory,
            &it.pki.client_authority(),
            ("agent", &it.pki.server(KeyType::EcdsaP256)),
            ("manager", &it.pki.client(KeyType::EcdsaP256)),
        )?;
        let file = directory.join("snmpd.conf");
        let kind = kind(transport);
        let command = |port: u16| {
            let configuration = format!(
                "[snmp] localCert agent
[snmp] trustCert ca
agentaddress {kind}:127.0.0.1:{port}
certSecName 10 manager --sn alice
rouser -s tsm alice authPriv
sysLocation {PLACE}
"
            );
            fs::write(&file, configuration)?;
            let mut command = Command::new("snmpd");
            command
                .args(["-f", "-Lo", "-C", "-Dtls,tsm", "-c"])
                .arg(&file);
            environment(&mut command, &directory);
            Ok(command)
        };
        let (process, port) =
            port::start("snmpd", next_free_port, command, listening, it.deadline)?;
        Ok(Self { process, port })
    }
}

fn manager(it: &Surroundings<'_>, server: &End, transport: Transport) -> Outcome<Process> {
    let directory = it.directory.path().join("manager");
    certificates(
        &directory,
        &it.pki.server_authority(),
        ("manager", &it.pki.client(KeyType::EcdsaP256)),
        ("agent", &it.pki.server(KeyType::EcdsaP256)),
    )?;
    let mut command = Command::new("snmpget");
    environment(&mut command, &directory);
    command.args([
        "-v",
        "3",
        "--defSecurityModel=tsm",
        "-l",
        "authPriv",
        "-u",
        "alice",
    ]);
    command.args([
        "-T",
        "our_identity=manager",
        "-T",
        "their_identity=agent",
        "-T",
        "trust_cert=ca",
    ]);
    command.args(["-t", "10", "-r", "0", "-O", "vQ"]);
    command.arg(format!("{}:{}", kind(transport), server.address()));
    command.arg(SYS_LOCATION);
    it.start(command)
}

/// Where net-snmp looks for what it shows and for whom it trusts.
fn certificates(
    directory: &Path,
    authority: &Path,
    (own_name, own): (&str, &Credential),
    (their_name, theirs): (&str, &Credential),
) -> Outcome<()> {
    let tls = directory.join("tls");
    for folder in ["certs", "private", "ca-certs"] {
        fs::create_dir_all(tls.join(folder))?;
    }
    for (from, to) in [
        (authority, "ca-certs/ca.crt".to_owned()),
        (&own.certificate, format!("certs/{own_name}.crt")),
        (&own.key, format!("private/{own_name}.key")),
        (&theirs.certificate, format!("certs/{their_name}.crt")),
    ] {
        let to = tls.join(to);
        fs::copy(from, &to)?;
        // A key that others can read is not read.
        fs::set_permissions(to, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn environment(command: &mut Command, directory: &Path) {
    command.env("SNMPCONFPATH", directory);
    command.env("SNMP_PERSISTENT_DIR", directory.join("kept"));
    command.env("MIBS", "");
}

const fn kind(transport: Transport) -> &'static str {
    match transport {
        Transport::Dtls => "dtlsudp",
        Transport::Tls => "tlstcp",
    }
}

fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let said = String::from_utf8_lossy(&transcript.stdout).into_owned()
        + &String::from_utf8_lossy(&transcript.stderr);
    if said.contains("Error opening specified endpoint") {
        return Some(Listening::Taken);
    }
    said.contains("NET-SNMP version")
        .then_some(Listening::On(port))
}

const SYS_LOCATION: &str = ".1.3.6.1.2.1.1.6.0";
const PLACE: &str = "the middle of the net";

/// How long to wait for one end before looking at the other.
const MOMENT: Duration = Duration::from_millis(2);
