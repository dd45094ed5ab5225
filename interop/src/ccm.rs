//! AES-CCM with tags of 16 and of 8 bytes at version 1.2, in both roles. Those of version 1.3 are
//! cells of [`crate::version13`].

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::algorithm::{Aead, Authentication, Suite};
use crate::association::{Association, Delivery, Route};
use crate::audit::audit;
use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::loss::{Direction, Loss, mix};
use crate::peer::{Implementation, Role, Transport};
use crate::pki::Pki;
use crate::rekeying::plain;

/// One combination of peer, role, transport, cipher and losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// The other program.
    pub foreign: Implementation,
    /// Our role.
    pub role: Role,
    /// What carries the records.
    pub transport: Transport,
    /// The cipher.
    pub aead: Aead,
    /// What the path loses.
    pub loss: Loss,
}

impl Case {
    /// Every case with this peer, those over DTLS also with each choice of losses.
    #[must_use]
    pub fn all(foreign: Implementation) -> Vec<Self> {
        let mut cases = Vec::new();
        for role in [Role::Client, Role::Server] {
            let transports: &[Transport] = match foreign {
                Implementation::WolfSsl => &[Transport::Dtls],
                _ => &[Transport::Dtls, Transport::Tls],
            };
            for &transport in transports {
                for aead in Aead::CCM {
                    let case = Self {
                        foreign,
                        role,
                        transport,
                        aead,
                        loss: Loss::NONE,
                    };
                    cases.extend(case.with_losses());
                }
            }
        }
        cases
    }

    fn with_losses(self) -> Vec<Self> {
        let lossy = SEEDS.map(|seed| Self {
            loss: Loss {
                percent: LOSS_PERCENT,
                seed: mix(seed),
                spared: None,
            },
            ..self
        });
        match self.transport {
            Transport::Dtls => [self].into_iter().chain(lossy).collect(),
            Transport::Tls => vec![self],
        }
    }

    /// The only suite of both ends.
    fn suite(&self) -> Suite {
        Suite {
            aead: self.aead,
            authentication: Authentication::Ecdsa,
        }
    }
}

impl Display for Case {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}/our-{:?}/{:?}/{}",
            self.foreign.name(),
            self.role,
            self.transport,
            self.aead.openssl_name()
        )?;
        if self.loss.percent > 0 {
            write!(
                formatter,
                "/loss-{}-seed-{}",
                self.loss.percent, self.loss.seed
            )?;
        }
        Ok(())
    }
}

/// Runs a case: handshake, lines each way, close; what our program sent with losses is audited.
///
/// # Errors
///
/// When any of it fails, or another suite was negotiated.
pub fn run(case: &Case, pki: &Pki) -> Outcome<String> {
    let deadline = Deadline::after(LIMIT);
    let mut settings = plain(pki, case.transport, true);
    settings.suite = case.suite();
    settings.renegotiation = false;
    let (client, server) = match case.role {
        Role::Client => (Implementation::Sealgram, case.foreign),
        Role::Server => (case.foreign, Implementation::Sealgram),
    };
    let is_lossy = case.loss.percent > 0;
    let route = if is_lossy {
        Route::Proxied(case.loss)
    } else {
        Route::Direct
    };
    let mut association = Association::establish(client, server, &settings, route, deadline)?;
    let ours = match case.role {
        Role::Client => Some(association.client_handshake),
        Role::Server => association.server_handshake,
    };
    let negotiated = ours.and_then(|told| told.suite);
    if negotiated != Some(case.suite()) {
        return Err(Failure::new(format!("negotiated {negotiated:?}")));
    }
    let delivery = if is_lossy {
        Delivery::Repeated
    } else {
        Delivery::Exact
    };
    association.converse(LINES, delivery, deadline)?;
    if !is_lossy {
        association.close(deadline)?;
        return Ok(String::new());
    }
    association.close_unheard(deadline)?;
    let direction = match case.role {
        Role::Client => Direction::ToServer,
        Role::Server => Direction::ToClient,
    };
    audit(&association.proxy().captured(), direction, case.aead)
        .map_err(|failure| failure.with_evidence(association.evidence()))?;
    Ok(association.proxy().decisions())
}

/// Lines each way.
const LINES: usize = 5;

/// A tenth.
const LOSS_PERCENT: u8 = 10;

const SEEDS: [u64; 3] = [1, 2, 3];

const LIMIT: Duration = Duration::from_secs(90);
