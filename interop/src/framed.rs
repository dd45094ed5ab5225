//! The command line of `peers/frame`, at version 1.2.
//!
//! Told `--plain`, programs that have it behave as all of [`crate::foreign`] do: received data goes
//! to standard output as it is, facts go to standard error.

use std::process::Command;

use crate::algorithm::Aead;
use crate::peer::{Settings, Transport};
use crate::pki::{IDENTITY, KEY};

/// What differs between these programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// What makes one speak DTLS.
    pub(crate) datagrams: &'static [&'static str],
    /// Whether it is told the suite, by OpenSSL's name; else it has all, and our end has one.
    pub(crate) named_suites: bool,
}

impl Frame {
    /// Adds the options of both sides.
    pub(crate) fn add_to(&self, command: &mut Command, settings: &Settings<'_>) {
        command.args(["--versions", "1.2", "--plain"]);
        if settings.transport == Transport::Dtls {
            command.args(self.datagrams);
        }
        let groups = settings.groups.iter();
        let groups: Vec<_> = groups.map(|it| it.name().replace('-', "")).collect();
        command.args(["--groups", &groups.join(",").to_lowercase()]);
        let (aead, suite) = match settings.shared_key {
            Some(suite) => {
                command.args(["--psk", &format!("{IDENTITY}:{KEY}")]);
                (suite.aead, suite.openssl_name())
            }
            None => (settings.suite.aead, settings.suite.openssl_name()),
        };
        match aead {
            _ if !self.named_suites => {}
            // A tag of 64 bits is less than its default asks for.
            Aead::Aes128Ccm8 => {
                command.args(["--ciphers", &format!("{suite}:@SECLEVEL=0")]);
            }
            _ => drop(command.args(["--ciphers", &suite])),
        }
    }
}
