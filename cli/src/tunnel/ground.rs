//! What all flows of a tunnel client stand on: whom they connect to, the socket of the local
//! programs, and what is counted and limited for all of them together.

use super::noise::Noise;
use super::plain::{Outlet, Plain};
use super::queue::Budget;
use super::status::Counters;
use crate::address;
use crate::arguments::TunnelClientArguments;
use crate::client;
use crate::problem::Problem;
use crate::settings;
use mio::Registry;
use sealgram::ClientConfig;
use sealgram::endpoint::EndpointPolicy;
use sealgram::pki_types::ServerName;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// What flows share.
pub(super) struct Ground {
    pub(super) target: Target,
    pub(super) plain: Rc<Plain>,
    pub(super) outlet: Outlet,
    pub(super) registry: Registry,
    /// The token of the flow with number 0.
    pub(super) first_token: usize,
    /// After how long without a datagram of its local program a flow ends.
    pub(super) idle: Duration,
    pub(super) budget: Budget,
    /// The flows that wait for a handshake, in order.
    pub(super) line: VecDeque<usize>,
    /// How many handshakes are under way.
    pub(super) handshaking: usize,
    pub(super) counters: Counters,
    pub(super) noise: Noise,
}

/// The tunnel server, and how it is spoken to.
pub(super) struct Target {
    addresses: Vec<SocketAddr>,
    pub(super) name: ServerName<'static>,
    pub(super) config: Arc<ClientConfig>,
    pub(super) policy: EndpointPolicy,
    pub(super) shows_certificate: bool,
    /// How long the server may leave data and questions unanswered.
    pub(super) patience: Duration,
}

/// How long a handshake may take, unless the user says otherwise: another attempt begins with a
/// short pause between its datagrams again.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The longest pause between two datagrams of an attempt, so that a server that comes back in the
/// middle of it is noticed.
const MAX_RETRANSMISSION: Duration = Duration::from_secs(4);

impl Target {
    /// Resolves names and reads files.
    pub(super) fn new(arguments: &TunnelClientArguments) -> Result<Self, Problem> {
        let as_client = arguments.client();
        let common = &arguments.common;
        let mut policy = settings::datagram_policy(common)?
            .retransmission_timeouts(Duration::from_secs(1), MAX_RETRANSMISSION)?;
        if common.timeout.is_none() {
            policy = policy.handshake_deadline(Some(HANDSHAKE));
        }
        let config = settings::client_builder(&as_client)?
            .datagram(policy)
            .build()?;
        Ok(Self {
            addresses: address::resolve(&arguments.connect)?,
            name: client::server_name(&as_client)?,
            config: Arc::new(config),
            // Flows look after their own idle time.
            policy: EndpointPolicy::default().idle_timeout(None),
            shows_certificate: arguments.credential.cert.is_some(),
            patience: Duration::from_secs(arguments.unanswered),
        })
    }

    /// Where to try for the time that is counted.
    pub(super) fn address(&self, attempt: usize) -> SocketAddr {
        let index = attempt
            .checked_rem(self.addresses.len())
            .unwrap_or_default();
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        self.addresses.get(index).copied().unwrap_or(any)
    }
}
