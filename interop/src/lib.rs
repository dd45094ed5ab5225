//! Tests of the `sealgram` program against DTLS and TLS peers that were not written here.
//!
//! Nothing in this crate links the library, but the test `programs` does: it starts the *program*
//! and those of OpenSSL and GnuTLS, lets them complete handshakes over loopback sockets (directly,
//! or through a proxy that drops, records and injects datagrams and changes ports), passes lines
//! both ways and compares them byte for byte.
//!
//! Start reading with [`matrix`] (what is tried), [`case`](mod@case) (how one case runs) and
//! [`peer`] (what a peer must report); the rest serves those three.
//!
//! | module | what it holds |
//! |---|---|
//! | [`algorithm`] | suites, groups and key types under the names each peer gives them |
//! | [`ccm`] | AES-CCM, which small devices speak |
//! | [`matrix`] | the list of cases, the empty cells with their reasons |
//! | [`pairwise`] | the choice of few cases that cover every pair of values |
//! | [`association`] | two programs joined: handshake, conversation, close |
//! | [`case`](mod@case) | one case from start to verdict |
//! | [`pool`] | many cases at once, and the report about them |
//! | [`peer`], [`sealgram`], [`openssl`], [`gnutls`], [`foreign`] | the programs |
//! | [`nginx`] | a balancer of datagrams |
//! | [`process`] | child processes with captured output |
//! | [`pki`] | certificates and keys |
//! | [`port`] | ports for servers that cannot choose one |
//! | [`proxy`], [`loss`] | the datagram path between two peers |
//! | [`rekeying`] | renegotiations and resumptions: who begins, and what the result must be |
//! | [`raw_keys`] | raw public keys |
//! | [`record`], [`audit`] | reading captured records, and rules that they must obey |
//! | [`record_limits`] | how long records are |
//! | [`connection_ids`] | connection IDs, and a client whose port changes |
//! | [`shared_keys`] | pre-shared keys at version 1.2 |
//! | [`version13`] | DTLS 1.3 with the stacks of `interop/peers` |
//! | [`clock`] | deadlines |
//! | [`failure`] | the one error type |

pub mod algorithm;
pub mod association;
pub mod audit;
pub mod case;
pub mod ccm;
pub mod clock;
pub mod connection_ids;
pub mod failure;
pub mod foreign;
mod framed;
pub mod gnutls;
pub mod loss;
pub mod matrix;
pub mod nginx;
pub mod openssl;
pub mod pairwise;
pub mod peer;
pub mod pki;
pub mod pool;
pub mod port;
pub mod process;
pub mod proxy;
pub mod raw_keys;
pub mod record;
pub mod record_limits;
pub mod rekeying;
pub mod sealgram;
pub mod shared_keys;
pub mod version13;
