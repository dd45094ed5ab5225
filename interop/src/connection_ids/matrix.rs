//! The list of cases.

use super::{Case, Migrate, Path, Resume, Stack, Version};
use crate::loss::Loss;
use crate::peer::Role;
use crate::proxy::OldPort;

/// The lengths of connection IDs, in bytes, for each end. With 0 an end sends them, and wants none.
const LENGTHS: [usize; 4] = [0, 4, 8, 20];

/// What can happen to the port of a client: of any server's, and of ours alone. Our client is
/// needed for `Validated`, because no other of these stacks answers challenges (RFC 9853).
const PATHS: [Path; 2] = [Path::Stays, Path::Moves(OldPort::Drops, Migrate::Newest)];
const OUR_PATHS: [Path; 1] = [Path::Moves(OldPort::Forwards, Migrate::Never)];
const VALIDATED_PATHS: [Path; 2] = [
    Path::Moves(OldPort::Drops, Migrate::Validated),
    Path::Moves(OldPort::Forwards, Migrate::Validated),
];

/// Every case of these two without loss; the empty ones are printed with their reasons.
#[must_use]
pub fn all(client: Stack, server: Stack, version: Version) -> Vec<Case> {
    let mut cases = Vec::new();
    for client_id in LENGTHS {
        for server_id in LENGTHS {
            for path in paths(client, server) {
                for refresh in [Role::Client, Role::Server] {
                    let mut case = Case {
                        client,
                        server,
                        version,
                        client_id,
                        server_id,
                        path,
                        refresh: Some(refresh),
                        resume: None,
                        loss: Loss::NONE,
                    };
                    if let Some(reason) = empty(&case) {
                        println!("empty cell {case}: {reason}");
                        continue;
                    }
                    if let Some(reason) = stays_as_it_is(&case) {
                        println!("nothing is refreshed in {case}: {reason}");
                        case.refresh = None;
                        if refresh == Role::Server {
                            continue;
                        }
                    }
                    cases.push(case);
                }
            }
        }
    }
    cases
}

/// Every case of these two in which the client comes back with its session, at version 1.2.
#[must_use]
pub fn resumed(client: Stack, server: Stack) -> Vec<Case> {
    let mut cases = Vec::new();
    for client_id in LENGTHS {
        for server_id in LENGTHS {
            for resume in [Resume::Id, Resume::Ticket] {
                cases.push(Case {
                    client,
                    server,
                    version: Version::V12,
                    client_id,
                    server_id,
                    path: Path::Stays,
                    refresh: None,
                    resume: Some(resume),
                    loss: Loss::NONE,
                });
            }
        }
    }
    cases
}

/// The cases over a path that loses a tenth, with this choice of losses: those with the lengths 4
/// and 8, because losses do not depend on lengths. wolfSSL ends (-373) when a renegotiation loses
/// datagrams, also with itself and with Mbed TLS: with it nothing is renegotiated.
#[must_use]
pub fn lossy(client: Stack, server: Stack, version: Version, seed: u64) -> Vec<Case> {
    let spares = version == Version::V12 && [client, server].contains(&Stack::Wolf);
    all(client, server, version)
        .into_iter()
        .filter(|case| (case.client_id, case.server_id) == (4, 8))
        .filter(|case| !(spares && case.refresh == Some(Role::Server)))
        .map(|case| Case {
            loss: Loss::new(10, seed),
            refresh: case.refresh.filter(|_| !spares),
            ..case
        })
        .collect()
}

fn paths(client: Stack, server: Stack) -> Vec<Path> {
    let mut paths = PATHS.to_vec();
    if server == Stack::Sealgram {
        paths.extend(OUR_PATHS);
        if client == Stack::Sealgram {
            paths.extend(VALIDATED_PATHS);
        }
    }
    paths
}

/// The reason why a case does not exist, if it does not.
#[must_use]
pub fn empty(case: &Case) -> Option<&'static str> {
    let moves = case.path != Path::Stays;
    (moves && case.server == Stack::Sealgram && case.server_id == 0)
        .then_some("our server knows a client without a connection ID by its address")
}

/// The reason why nothing is renegotiated in a case, if nothing is.
fn stays_as_it_is(case: &Case) -> Option<&'static str> {
    let wolf_to_none = (case.client == Stack::Wolf && case.server_id == 0)
        || (case.server == Stack::Wolf && case.client_id == 0);
    (case.version == Version::V12 && wolf_to_none)
        .then_some("wolfSSL ends (-192) in a renegotiation if its peer wants no connection ID")
}
