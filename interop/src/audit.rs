//! Rules that every record of our program must obey, checked on captures.

use std::collections::HashMap;

use crate::algorithm::Aead;
use crate::failure::{Failure, Outcome};
use crate::loss::Direction;
use crate::proxy::{Captured, Origin};
use crate::record::{Record, VERSION_1_2, records};

/// What an audit has seen, so that a test can tell an empty capture from a clean one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audited {
    /// Records in the clear.
    pub plaintext: usize,
    /// Records of later epochs.
    pub protected: usize,
}

/// Checks every record that a peer sent in `direction`:
///
/// - it is a whole record of DTLS 1.2 (the first ClientHello may say DTLS 1.0);
/// - its epoch and sequence number were not used for different bytes (RFC 6347 §4.1);
/// - under a GCM suite its explicit nonce is epoch and sequence number (RFC 5288 §3 leaves the
///   choice to the sender; this one makes a repeated nonce impossible).
///
/// # Errors
///
/// When a record breaks a rule; the error names its number.
pub fn audit(captured: &[Captured], direction: Direction, aead: Aead) -> Outcome<Audited> {
    let mut seen: HashMap<u64, &[u8]> = HashMap::new();
    let mut audited = Audited {
        plaintext: 0,
        protected: 0,
    };
    let sent = captured
        .iter()
        .filter(|captured| captured.direction == direction && captured.origin == Origin::Peer);
    for datagram in sent {
        for record in records(&datagram.bytes)? {
            let earlier = seen.insert(record.number(), record.fragment);
            if earlier.is_some_and(|earlier| earlier != record.fragment) {
                return Err(broken(&record, "repeats a number with different bytes"));
            }
            check_version(&record)?;
            if record.epoch == 0 {
                audited.plaintext += 1;
            } else {
                audited.protected += 1;
                check_nonce(&record, aead)?;
            }
        }
    }
    Ok(audited)
}

fn check_version(record: &Record<'_>) -> Outcome<()> {
    let allowed =
        record.version == VERSION_1_2 || record.epoch == 0 && record.version == VERSION_1_0;
    allowed
        .then_some(())
        .ok_or_else(|| broken(record, "has another version than DTLS 1.2"))
}

fn check_nonce(record: &Record<'_>, aead: Aead) -> Outcome<()> {
    if !aead.has_explicit_nonce() {
        return Ok(());
    }
    match record.fragment.first_chunk() {
        Some(nonce) if u64::from_be_bytes(*nonce) == record.number() => Ok(()),
        _ => Err(broken(
            record,
            "has an explicit nonce that is not its epoch and sequence number",
        )),
    }
}

fn broken(record: &Record<'_>, how: &str) -> Failure {
    Failure::new(format!(
        "the record of type {}, epoch {}, sequence {} {how}",
        record.content_type, record.epoch, record.sequence
    ))
}

/// The version of DTLS 1.0 on the wire, which RFC 6347 §4.2.1 allows in a first ClientHello and a
/// HelloVerifyRequest.
const VERSION_1_0: u16 = 0xfeff;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::loss::Verdict;
    use crate::record::{APPLICATION_DATA, forge};

    fn captured(records: &[Vec<u8>]) -> Vec<Captured> {
        records
            .iter()
            .map(|record| Captured {
                direction: Direction::ToServer,
                origin: Origin::Peer,
                verdict: Verdict::Pass,
                port: 0,
                at: Duration::ZERO,
                bytes: record.clone(),
            })
            .collect()
    }

    fn protected(sequence: u64, nonce: u64, last: u8) -> Vec<u8> {
        let mut fragment = nonce.to_be_bytes().to_vec();
        fragment.extend([last; 24]);
        forge(APPLICATION_DATA, 1, sequence, &fragment)
    }

    #[test]
    fn a_repeated_number_is_found() {
        let number = 1 << 48;
        let repeated = captured(&[protected(0, number, 1), protected(0, number, 2)]);
        assert!(audit(&repeated, Direction::ToServer, Aead::Aes128Gcm).is_err());
        let copied = captured(&[protected(0, number, 1), protected(0, number, 1)]);
        assert!(audit(&copied, Direction::ToServer, Aead::Aes128Gcm).is_ok());
    }

    #[test]
    fn a_random_nonce_is_found_where_there_is_one() {
        let random = captured(&[protected(0, 99, 1)]);
        assert!(audit(&random, Direction::ToServer, Aead::Aes256Gcm).is_err());
        assert!(audit(&random, Direction::ToServer, Aead::ChaCha20Poly1305).is_ok());
    }
}
