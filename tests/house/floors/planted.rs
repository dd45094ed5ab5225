//! The lock itself is tried: faults are planted into a copy of the library in memory, and each must
//! be found.

use super::tree::{Files, Tree};
use super::{MAX_LINES, faults, library, reader, text_of};
use std::collections::BTreeSet;
use std::rc::Rc;

/// What is planted, the code that is added at the end of files, and what must be told about the
/// last of them.
const IMPORTS: &str = r##"
an import by its whole path
    wire/codec.rs: use crate::endpoint::Endpoint;
    → imports endpoint
below the first item for tests of a file
    record/datagram/mod.rs: use crate::connection::Event;
    → imports connection
below an item for tests that is no module
    wire/codec.rs: #[cfg(test)] fn helper() {} use crate::endpoint::Endpoint;
    → imports endpoint
in braces
    wire/codec.rs: use crate::{endpoint::Endpoint};
    → imports endpoint
in braces in braces, renamed
    wire/codec.rs: use crate::{error::Error, {endpoint::{self as door, Eviction}}};
    → imports endpoint
through the folders above
    wire/codec.rs: use super::super::endpoint::Endpoint;
    → imports endpoint
through this module and those above
    record/datagram/records/replay.rs: use self::super::super::super::super::net::UdpEndpoint;
    → imports net
through a name that the root gives on
    wire/codec.rs: use crate::DtlsConnection;
    → imports connection
through another name that the root gives on
    lib.rs: pub(crate) use crate::endpoint::Endpoint as Door;
    wire/codec.rs: use crate::Door;
    → imports endpoint
through a folder above that gives on what lies below
    config/mod.rs: pub(crate) use crate::wire::codec::Reader as Planted;
    wire/alert.rs: use crate::config::Planted;
    → imports config
through a folder below that gives on what lies above
    protocol/mod.rs: pub(crate) use crate::connection::Event as Planted;
    wire/alert.rs: use crate::protocol::Planted;
    → imports connection
through a glob of the root
    wire/codec.rs: use crate::*; struct Planted(DtlsConnection);
    → imports connection
through another name for the crate
    wire/codec.rs: use crate as house; use house::endpoint::Endpoint;
    → imports endpoint
through another name for a module
    wire/codec.rs: use crate::error as first; use first::super::endpoint::Endpoint;
    → imports endpoint
through a name that a module and what it holds have in common
    wire/mod.rs: mod door { pub(crate) use crate::endpoint::Endpoint as door; } use door::door;
    wire/alert.rs: use super::door;
    → imports endpoint
from a module inside a file
    wire/codec.rs: mod inner { use super::super::super::endpoint::Endpoint; }
    → imports endpoint
from a module inside a module
    wire/codec.rs: mod one { mod two { pub(super) type Planted = crate::endpoint::Endpoint; } }
    → imports endpoint
inside a function
    wire/codec.rs: fn planted() { use crate::endpoint as door; let _ = door::Endpoint::new; }
    → imports endpoint
in an expression
    wire/codec.rs: fn planted() { let _ = crate::endpoint::Endpoint::new; }
    → imports endpoint
in an expression, from a module in scope
    wire/codec.rs: use super::super::endpoint; fn planted() { endpoint::start(); }
    → imports endpoint
in a field
    wire/codec.rs: struct Planted { one: Option<crate::endpoint::AssociationId> }
    → imports endpoint
in a bound
    wire/codec.rs: fn planted(one: impl Into<crate::record::Received>) {}
    → imports record
in an implementation
    wire/codec.rs: impl From<u8> for crate::config::Versions {}
    → imports config
in a pattern
    wire/codec.rs: fn planted(one: u8) { if let crate::connection::Event::Closed = one {} }
    → imports connection
in a qualified path
    wire/codec.rs: fn planted() { <crate::endpoint::Endpoint as Drop>::drop(); }
    → imports endpoint
in what a macro is given
    wire/codec.rs: fn planted() { debug_assert!(one(2, crate::endpoint::LIMIT) > 3); }
    → imports endpoint
in what a macro writes
    wire/codec.rs: macro_rules! planted { () => { $crate::endpoint::Endpoint::new() }; }
    → imports endpoint
in braces in what a macro writes
    wire/codec.rs: macro_rules! planted { () => { use crate::{error, endpoint::one}; }; }
    → imports endpoint
in an attribute
    wire/codec.rs: #[planted(with = crate::endpoint::encode)] struct Planted;
    → imports endpoint
where tests are one of several conditions
    wire/codec.rs: #[cfg(any(test, feature = "sim"))] use crate::endpoint::Endpoint;
    → imports endpoint
where tests are what is excluded
    wire/codec.rs: #[cfg(not(test))] use crate::endpoint::Endpoint;
    → imports endpoint
of a neighbour: the engine knows no records
    handshake/outbox.rs: use crate::record::Received;
    → imports record
of a neighbour: records know no states
    record/mod.rs: fn planted() { crate::handshake::client::start(); }
    → imports handshake
of a neighbour: certificates know no schedule
    identity/chain.rs: use super::super::secrets::transcript::Transcript;
    → imports secrets
of the networks of tests by the library
    connection/mod.rs: use crate::sim::Pair;
    → imports sim
of the engine by a scripted peer
    sim/scripted/mod.rs: use crate::handshake::Outbox;
    → imports handshake
of configurations by a scripted peer
    sim/scripted13/mod.rs: use super::super::config::ServerConfig;
    → imports config
of other parts of the records by a scripted peer
    sim/scripted/mod.rs: use crate::record::{protection, datagram::Datagram};
    → imports record::datagram
of what no user can name by a host of two ends
    sim/pair.rs: use crate::connection::phase::Phase;
    → imports connection::phase
"##;

const WORDS: &str = r##"
ring
    secrets/traffic.rs: fn planted() { ring::digest::digest(); }
    → names ring
ring beside its folder
    crypto/prf.rs: use ring::hmac;
    → names ring
ring, given on by its folder
    crypto/ring/mod.rs: pub(crate) type Raw = ring::hmac::Key;
    crypto/prf.rs: use super::provider::Raw;
    → names ring
ring under another name
    wire/codec.rs: use ring as provider;
    → names ring
ring under another name, as it was done before 2018
    wire/codec.rs: extern crate ring as provider;
    → names ring
ring from outside, beside a module of that name
    crypto/mod.rs: use ::ring::digest;
    → names ring
ring beside a function of that name
    wire/codec.rs: fn ring() {} use ring::hkdf;
    → names ring
ring as certificates see it
    identity/chain.rs: use webpki::{KeyUsage, ring as algorithms};
    → names ring
ring in what a macro writes
    wire/codec.rs: macro_rules! planted { () => { ring::hmac::sign() }; }
    → names ring
mio, as net gives it on
    endpoint/mod.rs: use crate::net::mio::Token;
    → names mio
a socket
    endpoint/mod.rs: use std::net::UdpSocket;
    → names UdpSocket
a socket by way of its module
    endpoint/mod.rs: use std::{net as sockets}; fn planted() { sockets::TcpStream::connect(); }
    → names TcpStream
a socket by way of a glob
    endpoint/mod.rs: use std::net::*; fn planted() { TcpListener::bind(); }
    → names TcpListener
socket options
    endpoint/mod.rs: fn planted(socket: socket2::SockRef) {}
    → names socket2
batches
    endpoint/mod.rs: fn planted(state: &quinn_udp::UdpSocketState) {}
    → names quinn_udp
the clock
    connection/mod.rs: fn planted() { let now = std::time::Instant::now(); }
    → names Instant::now
the clock under another name
    connection/mod.rs: use std::time::Instant as Time; fn planted() { Time::now(); }
    → names Instant::now
the clock under the name of a type
    connection/mod.rs: type Time = std::time::Instant; fn planted() { Time::now(); }
    → names Instant::now
the clock in a qualified path
    connection/mod.rs: fn planted() { <std::time::Instant>::now(); }
    → names Instant::now
the clock as a function that is handed on
    connection/mod.rs: fn planted() { None.unwrap_or_else(Instant::now); }
    → names Instant::now
the clock, read by a method
    connection/mod.rs: fn planted(begun: Instant) { begun.elapsed(); }
    → holds .elapsed()
the clock, read by a method that is named in full
    connection/mod.rs: fn planted(begun: &Instant) { std::time::Instant::elapsed(begun); }
    → names Instant::elapsed
the date
    config/policy.rs: use std::time; fn planted() { time::SystemTime::now(); }
    → names SystemTime::now
the date of certificates
    identity/chain.rs: fn planted() { pki_types::UnixTime::now(); }
    → names UnixTime::now
a question for the transport
    handshake/mod.rs: impl Handshake { fn is_dtls(&self) -> bool { true } }
    → holds is_dtls
the same question, asked
    handshake/mod.rs: fn planted(one: Handshake) { assert!(one.is_dtls()); }
    → holds is_dtls
unsafe code
    net/mod.rs: fn planted() { unsafe { one() } }
    → holds unsafe
an unsafe implementation
    net/mod.rs: unsafe impl Send for Planted {}
    → holds unsafe
unsafe code in what a macro writes
    net/mod.rs: macro_rules! planted { () => { unsafe { one() } }; }
    → holds unsafe
another name for this crate, in every scope
    lib.rs: extern crate self as house;
    → holds extern
code from elsewhere
    wire/codec.rs: include!("../../elsewhere.rs");
    → holds include
"##;

const CIRCLES: &str = r##"
two folders side by side, by files that have nothing to do with each other
    handshake/server/crossing.rs: use crate::handshake::client::cookie::One;
    handshake/client/cookie.rs: use super::super::server::v12::Other;
    → handshake/client imports handshake/server
what every state is and one of them
    handshake/state.rs: use super::client::hello::Settings;
    → handshake/state.rs imports handshake/client/hello.rs
a folder and the one below it
    wire/codec.rs: use super::extension::KeyShare;
    → wire/codec.rs imports wire/extension
files of one folder
    wire/alert.rs: use super::ack::One;
    wire/ack.rs: use super::alert::Other;
    → wire/ack.rs imports wire/alert.rs
files of one folder, by a method that one adds to a type of the other
    wire/ack.rs: impl super::alert::Planted { pub(super) fn planted(&self) {} }
    wire/alert.rs: fn planted(one: &Planted) { one.planted(); }
    → wire/alert.rs imports wire/ack.rs
"##;

/// What only looks like a fault.
const INNOCENT: &str = r##"
what is for tests alone
    wire/codec.rs: #[cfg(test)] mod more { use crate::endpoint::Endpoint; }
what is for tests on one system
    wire/codec.rs: #[cfg(all(test, unix))] use crate::endpoint::Endpoint;
a method for tests
    wire/codec.rs: impl Planted { #[cfg(test)] fn one() { crate::endpoint::start(); } }
comments, documentation and strings
    wire/codec.rs: // use crate::endpoint;\n/// [`crate::Endpoint`], `Instant::now`\nconst A: &str = "ring::";
a lower floor, by every way
    wire/codec.rs: use crate::{protocol as a, Error}; fn b() -> a::C { super::super::crypto::d() }
a user's name for what a host of two ends works on
    sim/pair.rs: fn planted(one: crate::DtlsConnection, two: crate::endpoint::Cookies) {}
names that only look like others
    wire/codec.rs: fn planted(ring: u8) { monitoring::start(ring); string::now(); }
"##;

/// An entry of a table.
#[derive(Default)]
struct Planted {
    what: &'static str,
    code: Vec<(&'static str, String)>,
    fault: &'static str,
}

impl Planted {
    fn all(table: &'static str) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for line in table.lines().filter(|line| !line.is_empty()) {
            let Some(indented) = line.strip_prefix("    ") else {
                all.push(Self {
                    what: line,
                    ..Self::default()
                });
                continue;
            };
            let last = all.last_mut().unwrap();
            if let Some(fault) = indented.strip_prefix("→ ") {
                last.fault = fault;
            } else {
                let (file, code) = indented.split_once(": ").unwrap();
                last.code.push((file, code.replace("\\n", "\n")));
            }
        }
        all
    }
}

/// A copy of `library` with code at the end of some files; a file that is not there begins with it.
fn with(library: &Files, code: &[(&str, String)]) -> Files {
    let mut files = library.clone();
    for (name, code) in code {
        let before = library
            .get(*name)
            .map(|_| text_of(name))
            .unwrap_or_default();
        let parsed = reader::read(name, &format!("{before}{code}\n"));
        files.insert((*name).to_owned(), Rc::new(parsed));
    }
    files
}

/// The library, and the faults that it has by itself: none, or other tests fail.
struct Ground {
    library: Files,
    faults: BTreeSet<String>,
}

impl Ground {
    fn new() -> Self {
        let library = library();
        let faults = faults(&Tree::new(&library)).into_iter().collect();
        Self { library, faults }
    }

    /// The faults that `code` brings, if `reads` says which files to look at.
    fn brought(&self, code: &[(&str, String)], reads: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let files = with(&self.library, code);
        let after: BTreeSet<_> = faults(&Tree::reading(&files, reads)).into_iter().collect();
        &after - &self.faults
    }

    /// Those that it brings into the files where it is.
    fn brought_there(&self, code: &[(&str, String)]) -> BTreeSet<String> {
        self.brought(code, |file| {
            code.iter().any(|(planted, _)| *planted == file)
        })
    }
}

/// Tries every entry of a table. Circles go through all files, other faults stand in one.
fn assert_found(table: &'static str, everywhere: bool) {
    let ground = Ground::new();
    for Planted { what, code, fault } in Planted::all(table) {
        let missing = code
            .iter()
            .find(|(file, _)| !ground.library.contains_key(*file));
        assert!(missing.is_none(), "{what}: there is no {missing:?}");
        let (file, _) = code.last().unwrap();
        let brought = if everywhere {
            ground.brought(&code, |_| true)
        } else {
            ground.brought_there(&code)
        };
        let is_told = |told: &String| told.starts_with(file) && told.contains(fault);
        assert!(
            brought.iter().any(is_told),
            "{what} in {file} is not found; found is {brought:#?}"
        );
    }
}

#[test]
fn planted_imports_are_found() {
    assert_found(IMPORTS, false);
}

#[test]
fn planted_words_are_found() {
    assert_found(WORDS, false);
}

#[test]
fn planted_circles_are_found() {
    assert_found(CIRCLES, true);
}

#[test]
fn what_is_no_fault_is_not_found() {
    let ground = Ground::new();
    for Planted { what, code, .. } in Planted::all(INNOCENT) {
        let brought = ground.brought(&code, |_| true);
        assert!(brought.is_empty(), "{what}: {brought:#?}");
    }
}

#[test]
fn a_file_that_no_module_declares_is_found() {
    let code = "use crate::endpoint::Endpoint;".to_owned();
    let brought = Ground::new().brought_there(&[("wire/orphan.rs", code)]);
    assert!(
        brought.contains("wire/orphan.rs is declared by no module"),
        "{brought:#?}"
    );
}

/// Lines of code are counted wherever they stand, also below tests.
#[test]
fn a_line_too_many_is_found() {
    let ground = Ground::new();
    let name = "record/datagram/mod.rs";
    let room = MAX_LINES - ground.library[name].lines;
    let found = |lines: usize| {
        let code = vec!["fn planted() {}"; lines].join("\n");
        ground.brought_there(&[(name, code)])
    };
    assert!(found(room).is_empty());
    let found = found(room + 1);
    assert!(
        found.iter().any(|told| told.contains("lines of code")),
        "{found:#?}"
    );
}
