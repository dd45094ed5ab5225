//! The cases: client × server × cipher × server key × group × client certificate × MTU.
//!
//! The suite follows from cipher and key: an RSA key goes with `ECDHE_RSA`, every other one with
//! `ECDHE_ECDSA`, so that all six suites and all four key types are tried with every group.

use std::fmt::{self, Display, Formatter};

use crate::algorithm::{Aead, Group, KeyType, Suite};
use crate::peer::{Implementation, Service, Settings, Transport};
use crate::pki::{Chain, Pki};

/// One combination of programs and settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Case {
    /// The program that connects.
    pub client: Implementation,
    /// The program that listens.
    pub server: Implementation,
    /// The cipher of the suite.
    pub aead: Aead,
    /// The server's certificate, which decides the other half of the suite.
    pub server_key: KeyType,
    /// The group that must be negotiated.
    pub group: Group,
    /// The client's certificate; if there is one, the server requires it.
    pub client_key: Option<KeyType>,
    /// The MTU of both programs, if not their default.
    pub mtu: Option<u16>,
}

/// All cases of one pair of programs.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// The cases that are run.
    pub cases: Vec<Case>,
    /// The combinations that are not run, each with its reason.
    pub empty: Vec<(Case, &'static str)>,
}

/// A rule that leaves cells of the matrix empty.
struct EmptyCells {
    reason: &'static str,
    applies: fn(&Case) -> bool,
}

impl Matrix {
    /// Every combination for this client and this server.
    #[must_use]
    pub fn of(client: Implementation, server: Implementation) -> Self {
        let mut matrix = Self {
            cases: Vec::new(),
            empty: Vec::new(),
        };
        for case in combinations(client, server) {
            match EMPTY_CELLS.iter().find(|cells| (cells.applies)(&case)) {
                Some(cells) => matrix.empty.push((case, cells.reason)),
                None => matrix.cases.push(case),
            }
        }
        matrix
    }

    /// Both roles of our program against `foreign`.
    #[must_use]
    pub fn against(foreign: Implementation) -> Self {
        let mut matrix = Self::of(Implementation::Sealgram, foreign);
        let other = Self::of(foreign, Implementation::Sealgram);
        matrix.cases.extend(other.cases);
        matrix.empty.extend(other.empty);
        matrix
    }

    /// Prints each reason once, with the number of cells that it leaves empty.
    pub fn print_empty_cells(&self) {
        for cells in EMPTY_CELLS {
            let count = self
                .empty
                .iter()
                .filter(|(_, reason)| *reason == cells.reason)
                .count();
            if count > 0 {
                println!("empty: {count} cases, because {}", cells.reason);
            }
        }
    }
}

impl Case {
    /// The suite that must be negotiated.
    #[must_use]
    pub fn suite(&self) -> Suite {
        Suite {
            aead: self.aead,
            authentication: self.server_key.authentication(),
        }
    }

    /// The program that is not ours.
    fn foreign(&self) -> Implementation {
        match self.client {
            Implementation::Sealgram => self.server,
            client => client,
        }
    }

    /// The groups of both programs: the wanted one, and then the curves of the certificates,
    /// because OpenSSL refuses an ECDSA key whose curve is not among them.
    fn groups(&self) -> Vec<Group> {
        let mut groups = vec![self.group];
        let curves = [Some(self.server_key), self.client_key]
            .into_iter()
            .flatten()
            .filter_map(KeyType::curve);
        for curve in curves {
            if !groups.contains(&curve) {
                groups.push(curve);
            }
        }
        groups
    }

    /// The settings of both programs.
    #[must_use]
    pub fn settings<'a>(&self, pki: &'a Pki) -> Settings<'a> {
        Settings {
            shared_key: None,
            pki,
            suite: self.suite(),
            groups: self.groups(),
            server_key: self.server_key,
            client_key: self.client_key,
            chain: Chain::Leaf,
            listen: "127.0.0.1",
            connect: "127.0.0.1",
            mtu: self.mtu,
            pin_our_suite: self.mtu.is_some(),
            service: match self.mtu {
                None => Service::Echo,
                Some(_) => Service::Stdio,
            },
            transport: Transport::Dtls,
            tickets: true,
            renegotiation: false,
            client_arguments: Vec::new(),
            server_arguments: Vec::new(),
        }
    }

    /// The same combination without its values, as a row of indexes into the axes, for
    /// [`crate::pairwise`]: client, cipher, server key, group, client key, MTU.
    #[must_use]
    pub fn coordinates(&self) -> [usize; 6] {
        [
            usize::from(self.client == Implementation::Sealgram),
            position(&Aead::ALL, &self.aead),
            position(&KeyType::ALL, &self.server_key),
            position(&Group::ALL, &self.group),
            position(&CLIENT_KEYS, &self.client_key),
            position(&MTUS, &self.mtu),
        ]
    }
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}-to-{}/{}/{}/key-{}/client-{}/mtu-",
            self.client.name(),
            self.server.name(),
            self.suite().openssl_name(),
            self.group.name(),
            self.server_key.name(),
            self.client_key.map_or("none", KeyType::name)
        )?;
        match self.mtu {
            Some(bytes) => write!(formatter, "{bytes}"),
            None => formatter.write_str("default"),
        }
    }
}

fn combinations(client: Implementation, server: Implementation) -> Vec<Case> {
    let mut cases = Vec::new();
    for aead in Aead::ALL {
        for server_key in KeyType::ALL {
            for group in Group::ALL {
                for client_key in CLIENT_KEYS {
                    cases.extend(MTUS.map(|mtu| Case {
                        client,
                        server,
                        aead,
                        server_key,
                        group,
                        client_key,
                        mtu,
                    }));
                }
            }
        }
    }
    cases
}

fn position<T: PartialEq>(axis: &[T], value: &T) -> usize {
    axis.iter()
        .position(|other| other == value)
        .expect("a case is made of the axes' values")
}

/// No client certificate, or one of these required.
pub const CLIENT_KEYS: [Option<KeyType>; 3] =
    [None, Some(KeyType::EcdsaP256), Some(KeyType::Rsa2048)];

/// The program's default, or 1400 bytes. OpenSSL's default cuts flights to 228 bytes.
pub const MTUS: [Option<u16>; 2] = [None, Some(1400)];

/// Combinations that are not run. Those of an RSA key with an `ECDHE_ECDSA` suite, and of any other
/// key with an `ECDHE_RSA` suite, are not even combinations: the suite requires the key.
const EMPTY_CELLS: &[EmptyCells] = &[
    EmptyCells {
        reason: "OpenSSL's server (3.0 and 3.6) never chooses an Ed25519 certificate over DTLS 1.2 (\"no shared \
                 cipher\": it looks for the version number of TLS 1.2)",
        applies: |case| {
            let openssl = [Implementation::OpenSsl, Implementation::OpenSsl36];
            openssl.contains(&case.server) && case.server_key == KeyType::Ed25519
        },
    },
    EmptyCells {
        reason: "Erlang, Botan 2, Mbed TLS 2.28, webrtc-rs and wolfSSL as it is built here have no Ed25519 \
                 certificates over DTLS 1.2",
        applies: |case| {
            let foreign = case.foreign();
            foreign.is_behind_a_program_of_ours()
                && foreign != Implementation::OpenSsl36
                && case.server_key == KeyType::Ed25519
        },
    },
    EmptyCells {
        reason: "Erlang has no X25519 at version 1.2",
        applies: |case| case.foreign() == Implementation::Erlang && case.group == Group::X25519,
    },
    EmptyCells {
        reason: "the servers of Botan, Mbed TLS and wolfSSL take the first group of their own lists, and the curve of a \
                 certificate is offered as well",
        applies: |case| {
            let own: &[Group] = match case.server {
                Implementation::Botan | Implementation::WolfSsl => {
                    &[Group::X25519, Group::P256, Group::P384]
                }
                Implementation::MbedTls => &[Group::P384, Group::P256, Group::X25519],
                _ => return false,
            };
            let groups = case.groups();
            own.iter().find(|group| groups.contains(group)) != Some(&case.group)
        },
    },
    EmptyCells {
        reason: "webrtc-rs shares one suite with us, and has no P-384 certificates",
        applies: |case| {
            case.foreign() == Implementation::WebRtc
                && (case.aead != Aead::Aes128Gcm || case.server_key == KeyType::EcdsaP384)
        },
    },
    EmptyCells {
        reason: "webrtc-rs's server with an RSA certificate stays silent, and its client with one ends",
        applies: |case| {
            case.server == Implementation::WebRtc && case.server_key == KeyType::Rsa2048
                || case.client == Implementation::WebRtc
                    && case.client_key == Some(KeyType::Rsa2048)
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_programs_has_216_combinations_with_distinct_names() {
        let matrix = Matrix::of(Implementation::Sealgram, Implementation::OpenSsl);
        assert_eq!(matrix.cases.len() + matrix.empty.len(), 216);
        let mut names: Vec<_> = matrix.cases.iter().map(Case::to_string).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), matrix.cases.len());
    }

    #[test]
    fn every_suite_and_every_key_type_meets_every_group() {
        let matrix = Matrix::of(Implementation::Sealgram, Implementation::OpenSsl);
        for suite in Suite::all() {
            for group in Group::ALL {
                assert!(
                    matrix
                        .cases
                        .iter()
                        .any(|case| case.suite() == suite && case.group == group)
                );
            }
        }
    }
}
