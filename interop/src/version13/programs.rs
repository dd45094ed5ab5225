//! The programs of a case: their command lines, and what they report.

use std::path::PathBuf;
use std::process::Command;

use super::{Case, Kind, Role, Stack};
use crate::algorithm::KeyType;
use crate::failure::Outcome;
use crate::pki::{Chain, Credential, IDENTITY, KEY, Pki};
use crate::port::Listening;
use crate::process::Transcript;
use crate::{foreign as peers, gnutls};

/// The program of a stack.
///
/// # Errors
///
/// When it is not there.
pub fn program(stack: Stack) -> Outcome<PathBuf> {
    peers::program(stack.program())
}

/// What the server of a case shows; dimpl supports a leaf only.
pub(super) fn server_credential(case: &Case, pki: &Pki) -> Credential {
    let chain = chain_of(case, Role::Client);
    pki.server_with(KeyType::EcdsaP256, chain)
}

/// The same of the client.
pub(super) fn client_credential(case: &Case, pki: &Pki) -> Credential {
    let chain = chain_of(case, Role::Server);
    pki.client_with(KeyType::EcdsaP256, chain)
}

/// The length of the chain that the foreign stack shows if we have the role `ours`.
fn chain_of(case: &Case, ours: Role) -> Chain {
    if case.stack == Stack::Dimpl && case.role == ours {
        return Chain::Leaf;
    }
    case.kind.chain()
}

/// What BoringSSL's program imports the key for.
pub(super) const CONTEXT: &str = "interop";

/// The key that our end shares with theirs.
pub(super) fn add_shared_key(command: &mut Command, case: &Case, pki: &Pki) {
    command.arg("--psk-file").arg(pki.shared_key());
    if case.kind == Kind::SharedKeyAlone {
        command.args(["--psk-exchange", "avoided"]);
    }
    if case.stack == Stack::Boring {
        command.args(["--psk-context", CONTEXT]);
    }
}

pub(super) fn add_credential(command: &mut Command, credential: &Credential) {
    command.arg("--cert").arg(&credential.certificate);
    command.arg("--key").arg(&credential.key);
}

pub(super) fn foreign(case: &Case, role: &str, port: u16, pki: &Pki) -> Outcome<Command> {
    match case.stack {
        Stack::OpenSsl => return Ok(openssl(case, role, port, pki)),
        Stack::GnuTls => return Ok(gnutls(case, role, port, pki)),
        Stack::Mbed => return mbedtls(case, role, port, pki),
        _ => {}
    }
    let mut command = Command::new(program(case.stack)?);
    command.args([role, "--port", &port.to_string(), "--versions", "1.3"]);
    if case.kind.shares_key() {
        command.args(["--psk", &format!("{IDENTITY}:{KEY}")]);
    }
    if case.kind == Kind::SharedKeyAlone {
        command.arg("--psk-alone");
    }
    if let (Stack::OpenSsl36, Some(suite)) = (case.stack, case.kind.suite()) {
        // A tag of 64 bits is less than its default asks for.
        command.args(["--ciphers", &format!("{suite}:DEFAULT:@SECLEVEL=0")]);
    }
    if role == "server" {
        if !case.kind.shares_key() {
            add_credential(&mut command, &server_credential(case, pki));
        }
        command.arg("--echo");
        match case.kind {
            Kind::OtherGroup | Kind::SharedKey { other_group: true } => {
                command.args(["--groups", "p384"]);
            }
            Kind::Hybrid | Kind::HybridRequested => {
                command.args(["--groups", "x25519mlkem768"]);
            }
            _ => {}
        }
        if case.kind.demands_certificate() {
            command.arg("--client-auth");
            command.arg("--ca").arg(pki.client_authority());
        }
    } else {
        command.args(["--name", Pki::NAME]);
        if !case.kind.shares_key() {
            command.arg("--ca").arg(pki.server_authority());
        }
        // dimpl requires a certificate in both roles.
        if case.kind.demands_certificate() || case.stack == Stack::Dimpl {
            add_credential(&mut command, &client_credential(case, pki));
        }
        match case.kind {
            Kind::Resumed => drop(command.args(["--resume", "1"])),
            Kind::DefaultHello => drop(command.arg("--default-hello")),
            // wolfSSL's own choice is P-256 alone.
            Kind::OtherGroup | Kind::SharedKey { other_group: true } => {
                command.args(["--groups", "x25519,p384"]);
            }
            Kind::Hybrid => drop(command.args(["--groups", "x25519mlkem768,x25519"])),
            Kind::HybridRequested => {
                command.args(["--groups", "x25519,x25519mlkem768"]);
            }
            _ => {}
        }
    }
    Ok(command)
}

pub(super) fn openssl(case: &Case, role: &str, port: u16, pki: &Pki) -> Command {
    let mut command = Command::new("openssl");
    let credential = |command: &mut Command, credential: &Credential| {
        command.arg("-cert").arg(&credential.certificate);
        command.arg("-key").arg(&credential.key);
        if let Some(issuers) = &credential.issuers {
            command.arg("-cert_chain").arg(issuers);
        }
    };
    let suites = |command: &mut Command| {
        if let Some(suite) = case.kind.suite() {
            // A tag of 64 bits is less than its default asks for.
            command.args(["-ciphersuites", suite, "-cipher", "DEFAULT:@SECLEVEL=0"]);
        }
        if case.kind == Kind::SharedKeyAlone {
            command.arg("-allow_no_dhe_kex");
        }
    };
    if role == "server" {
        command.args(["s_server", "-tls1_3", "-accept", "127.0.0.1:0"]);
        suites(&mut command);
        if case.kind.shares_key() {
            command.args(["-nocert", "-psk", KEY, "-psk_identity", IDENTITY]);
        } else {
            credential(&mut command, &server_credential(case, pki));
        }
        if case.kind.retries() {
            command.args(["-groups", "P-384"]);
        }
        if case.kind.demands_certificate() {
            command.args(["-Verify", "1", "-verify_return_error", "-CAfile"]);
            command.arg(pki.client_authority());
        }
        return command;
    }
    command.args([
        "s_client",
        "-tls1_3",
        "-connect",
        &format!("127.0.0.1:{port}"),
    ]);
    suites(&mut command);
    command.args(["-servername", Pki::NAME]);
    if case.kind.shares_key() {
        command.args(["-psk", KEY, "-psk_identity", IDENTITY]);
    } else {
        command
            .args(["-verify_hostname", Pki::NAME, "-verify_return_error"])
            .arg("-CAfile")
            .arg(pki.server_authority());
    }
    match case.kind {
        Kind::OtherGroup | Kind::SharedKey { other_group: true } => {
            command.args(["-groups", "X25519:P-384"]);
        }
        Kind::ClientCertificate | Kind::Chain(_) => {
            credential(&mut command, &client_credential(case, pki));
        }
        Kind::Resumed => drop(command.arg("-sess_out").arg(session_file(case, pki))),
        _ => {}
    }
    command
}

fn mbedtls(case: &Case, role: &str, port: u16, pki: &Pki) -> Outcome<Command> {
    let mut command = Command::new(program(case.stack)?);
    command.args([role, "--port", &port.to_string(), "--tls", "--tls13"]);
    if case.kind.shares_key() {
        command.args(["--psk", KEY, "--psk-identity", IDENTITY]);
    }
    if case.kind == Kind::SharedKeyAlone {
        command.arg("--psk-alone");
    }
    match (role == "server", case.kind.shares_key()) {
        (true, false) => add_credential(&mut command, &server_credential(case, pki)),
        (false, false) => drop(command.arg("--ca").arg(pki.server_authority())),
        (_, true) => {}
    }
    if role != "server" {
        command.args(["--name", Pki::NAME]);
    }
    if case.kind.demands_certificate() {
        match role {
            "server" => drop(command.arg("--client-ca").arg(pki.client_authority())),
            _ => add_credential(&mut command, &client_credential(case, pki)),
        }
    }
    Ok(command)
}

/// Where OpenSSL's client keeps its session.
pub(super) fn session_file(case: &Case, pki: &Pki) -> PathBuf {
    pki.path_of(case, "session.pem")
}

fn gnutls(case: &Case, role: &str, port: u16, pki: &Pki) -> Command {
    let groups = match (case.kind.retries(), role) {
        (true, "server") => ":-GROUP-ALL:+GROUP-SECP384R1",
        (true, _) => ":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP384R1",
        _ => "",
    };
    let shares = case.kind.shares_key();
    let exchange = match case.kind {
        Kind::SharedKey { .. } => ":-KX-ALL:+DHE-PSK:+ECDHE-PSK",
        Kind::SharedKeyAlone => ":-KX-ALL:+PSK",
        _ => "",
    };
    let cipher = match case.kind {
        Kind::Ccm { short: false } => ":-CIPHER-ALL:+AES-128-CCM",
        Kind::Ccm { short: true } => ":-CIPHER-ALL:+AES-128-CCM-8",
        _ => "",
    };
    let priority = format!("NORMAL:-VERS-ALL:+VERS-TLS1.3{exchange}{groups}{cipher}");
    let credential = |command: &mut Command, credential: &Credential| {
        command.arg("--x509certfile").arg(&credential.certificate);
        command.arg("--x509keyfile").arg(&credential.key);
    };
    if role == "server" {
        let mut command = Command::new("gnutls-serv");
        command.args(["--echo", "--nocookie", "--port", &port.to_string()]);
        command.args(["--priority", &priority]);
        if shares {
            command.arg("--pskpasswd").arg(pki.shared_key());
        } else {
            credential(&mut command, &server_credential(case, pki));
        }
        if case.kind.demands_certificate() {
            command.args([
                "--require-client-cert",
                "--verify-client-cert",
                "--x509cafile",
            ]);
            command.arg(pki.client_authority());
        }
        return command;
    }
    let mut command = Command::new("gnutls-cli");
    command.args([
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--inline-commands",
    ]);
    command.args(["--sni-hostname", Pki::NAME]);
    command.args(["--priority", &priority, "--single-key-share"]);
    if shares {
        command.args(["--pskusername", IDENTITY, "--pskkey", KEY]);
    } else {
        command.args(["--verify-hostname", Pki::NAME, "--x509cafile"]);
        command.arg(pki.server_authority());
    }
    if case.kind.demands_certificate() {
        credential(&mut command, &client_credential(case, pki));
    }
    command
}

/// The address at which a foreign server listens, or that its port is taken.
pub(super) fn listening(stack: Stack, given: u16, transcript: &Transcript) -> Option<Listening> {
    let name = match stack {
        Stack::GnuTls => return gnutls::listening(transcript, given),
        Stack::OpenSsl => "ACCEPT 127.0.0.1:",
        _ => "ready ",
    };
    let told = match stack {
        Stack::Mbed => peers::fact(transcript, name),
        _ => fact(transcript, name),
    };
    let port = told?.parse().ok()?;
    Some(Listening::On(port))
}

/// The line that makes a foreign program update its keys.
pub(super) const fn their_update(stack: Stack, request: bool) -> &'static [u8] {
    match (stack, request) {
        (Stack::GnuTls, false) => b"^rekey1^\n",
        (Stack::GnuTls, true) => b"^rekey^\n",
        _ => update(request),
    }
}

/// The line that makes our program update its keys.
pub(super) const fn update(request: bool) -> &'static [u8] {
    if request { b"K\n" } else { b"k\n" }
}

/// What follows `name` in the first line of a foreign program that begins with it.
fn fact(transcript: &Transcript, name: &str) -> Option<String> {
    transcript
        .stdout_lines()
        .find_map(|line| line.strip_prefix(name).map(|rest| rest.trim().to_owned()))
}
