//! libcoap's `coap-client` and `coap-server`, over OpenSSL and over GnuTLS, with a small CoAP
//! service and a small CoAP client of our own.

mod client;
mod message;
mod service;

use std::fs;
use std::process::Command;

use sealgram_interop::algorithm::KeyType;
use sealgram_interop::failure::Outcome;

use crate::cell::{self, Cell, Surroundings, expect};
use crate::ours::{Proof, SharedKey};

#[test]
fn libcoap_and_we_exchange_messages() {
    let mut cells = Vec::new();
    for library in ["openssl", "gnutls"] {
        for proof in [Proof::Certificates, Proof::SharedKey, Proof::RawKeys] {
            cells.extend(with(library, proof));
        }
    }
    for library in ["openssl", "gnutls"] {
        let reason = "the library below it has no DTLS 1.3";
        cells.push(Cell::empty(
            format!("coap-client-{library}, DTLS 1.3"),
            reason,
            move |it| service::offers_no_version_13(it, library),
        ));
        cells.push(Cell::empty(
            format!("coap-server-{library}, DTLS 1.3"),
            reason,
            move |it| client::knows_no_version_13(it, library),
        ));
    }
    cell::run("libcoap", &cells);
}

/// Both roles, with this proof.
fn with(library: &'static str, proof: Proof) -> [Cell; 2] {
    let name = |role: &str| format!("coap-{role}-{library}, DTLS 1.2, {}", proof.name());
    let (client, server) = (name("client"), name("server"));
    if library == "openssl" && proof == Proof::RawKeys {
        let reason = "libcoap has no raw keys with OpenSSL";
        return [
            Cell::empty(client, reason, |it| no_raw_keys(it, "coap-client-openssl")),
            Cell::empty(server, reason, |it| no_raw_keys(it, "coap-server-openssl")),
        ];
    }
    [
        Cell::new(client, move |it| service::serves(it, library, proof)),
        Cell::new(server, move |it| client::asks(it, library, proof)),
    ]
}

/// It says what it can.
fn no_raw_keys(it: &Surroundings<'_>, program: &str) -> Outcome<()> {
    let mut usage = Command::new(program);
    usage.arg("-?");
    let mut program = it.start(usage)?;
    program.wait_for_exit(it.deadline)?;
    let transcript = program.transcript();
    let said = [transcript.stdout, transcript.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    expect(
        "`no RPK support`",
        said.contains("and no RPK support"),
        true,
    )
}

/// Who proves what to whom.
fn prove(
    command: &mut Command,
    it: &Surroundings<'_>,
    proof: Proof,
    is_client: bool,
) -> Outcome<()> {
    let (own, theirs) = match is_client {
        true => (it.pki.client(KeyType::EcdsaP256), it.pki.server_authority()),
        false => (it.pki.server(KeyType::EcdsaP256), it.pki.client_authority()),
    };
    match proof {
        Proof::Certificates => {
            command.arg("-c").arg(own.certificate);
            command.arg("-j").arg(own.key);
            command.arg("-C").arg(theirs);
        }
        Proof::SharedKey => {
            command.args(["-k", SharedKey::BYTES]);
            if is_client {
                command.args(["-u", SharedKey::IDENTITY]);
            }
        }
        Proof::RawKeys => {
            // It wants both halves, and believes every peer: it has no way to name one.
            let file = it.directory.path().join("raw.pem");
            let public = Command::new("openssl")
                .args(["pkey", "-pubout", "-in"])
                .arg(&own.key)
                .output()?;
            fs::write(&file, [public.stdout, fs::read(&own.key)?].concat())?;
            command.arg("-M").arg(file);
        }
    }
    Ok(())
}
