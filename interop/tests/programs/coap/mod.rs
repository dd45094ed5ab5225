//! libcoap's `coap-client` and `coap-server`, over OpenSSL and over GnuTLS, with a small CoAP
//! service and a small CoAP client of our own.

mod client;
mod message;
mod service;

use std::process::Command;

use sealgram_interop::algorithm::KeyType;

use crate::cell::{self, Cell, Surroundings};

#[test]
fn libcoap_and_we_exchange_messages() {
    let mut cells = Vec::new();
    for library in ["openssl", "gnutls"] {
        cells.push(Cell::new(
            format!("coap-client-{library}, DTLS 1.2, certificates"),
            move |it| service::serves(it, library),
        ));
        cells.push(Cell::new(
            format!("coap-server-{library}, DTLS 1.2, certificates"),
            move |it| client::asks(it, library),
        ));
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

/// Who shows what to whom.
fn with_certificates(command: &mut Command, it: &Surroundings<'_>, is_client: bool) {
    let (own, theirs) = match is_client {
        true => (it.pki.client(KeyType::EcdsaP256), it.pki.server_authority()),
        false => (it.pki.server(KeyType::EcdsaP256), it.pki.client_authority()),
    };
    command.arg("-c").arg(own.certificate);
    command.arg("-j").arg(own.key);
    command.arg("-C").arg(theirs);
}
