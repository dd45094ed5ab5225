//! Cookies: proof of an address before any state (RFC 6347 §4.2.1).

use crate::config::{FirstHello, ProvenHello};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::hmac::HmacKey;
use crate::crypto::random::SecureRandom;
use crate::error::Error;
use crate::protocol::{ContentType, HandshakeType, Path, ProtocolVersion};
use crate::wire::client_hello::HelloPrefix;
use crate::wire::codec::Writer as _;
use crate::wire::handshake::FragmentHeader;
use crate::wire::hello_verify_request::HelloVerifyRequest;
use crate::wire::record_dtls::RecordHeader;
use bytes::BytesMut;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;

/// Makes and checks cookies. Holds two keys and nothing about any client.
///
/// A cookie is a keyed MAC over the client's address and port and over version, random and session ID of its
/// hello, so it is provable from a first fragment that reaches the end of the cookie field: at most 323 bytes.
/// The key changes every five minutes; cookies of the previous key are still good.
pub struct Cookies {
    random: Arc<dyn SecureRandom>,
    current: Key,
    previous: Key,
    next_rotation: Instant,
}

struct Key {
    generation: u8,
    mac: HmacKey,
}

/// What a datagram that may be a ClientHello turns out to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum CookieCheck {
    /// The sender receives at its address: an association may be made.
    Proven(ProvenHello),
    /// The datagram to send back, smaller than the one that came. Nothing need be remembered.
    Reply(Vec<u8>),
    /// Not the beginning of a ClientHello of version 1.2. Nothing is to be done.
    NotAHello,
}

/// How long a key makes cookies. It checks them for as long again.
///
/// Long against the slowest retransmission, once a minute: a client on a bad link must not see its cookie expire
/// again and again before its hello has come through.
const ROTATION: Duration = Duration::from_secs(300);

/// The length of a cookie: one byte that names the key, and half a MAC. Short enough that the answer to the
/// shortest hello is no longer than that hello.
const COOKIE_LEN: usize = 1 + 16;

impl Key {
    fn draw(random: &dyn SecureRandom, generation: u8) -> Result<Self, Error> {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        random.fill(&mut *secret)?;
        Ok(Self {
            generation,
            mac: HmacKey::new(HashAlgorithm::Sha256, &*secret),
        })
    }

    fn cookie(&self, path: Path, hello: &HelloPrefix<'_>) -> [u8; COOKIE_LEN] {
        let remote = path.remote();
        let address = match remote.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let session_id_len = [u8::try_from(hello.session_id.len()).unwrap_or(u8::MAX)];
        let tag = self.mac.sign(&[
            &[self.generation],
            &address,
            &remote.port().to_be_bytes(),
            &hello.version.to_bytes(),
            &hello.random,
            &session_id_len,
            hello.session_id,
        ]);
        let mut cookie = [self.generation; COOKIE_LEN];
        cookie[1..].copy_from_slice(&tag.as_ref()[..COOKIE_LEN - 1]);
        cookie
    }
}

impl Cookies {
    /// Draws the first keys.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn new(random: Arc<dyn SecureRandom>, now: Instant) -> Result<Self, Error> {
        let (current, previous) = (Key::draw(&*random, 1)?, Key::draw(&*random, 0)?);
        Ok(Self {
            random,
            current,
            previous,
            next_rotation: now + ROTATION,
        })
    }

    /// Looks at a datagram from somebody who has no association.
    pub fn check(&mut self, path: Path, now: Instant, datagram: BytesMut) -> CookieCheck {
        self.rotate(now);
        let Some(FirstHello {
            record,
            fragment,
            prefix,
        }) = FirstHello::decode(&datagram)
        else {
            return CookieCheck::NotAHello;
        };
        if prefix.cookie.is_empty() || !self.is_valid(path, &prefix) {
            return CookieCheck::Reply(self.reply(path, &record, &fragment, &prefix));
        }
        match ProvenHello::without_cookie(path, datagram) {
            Some(hello) => CookieCheck::Proven(hello),
            None => CookieCheck::NotAHello,
        }
    }

    fn rotate(&mut self, now: Instant) {
        if now < self.next_rotation {
            return;
        }
        // After a long silence both keys are old.
        let steps = if now >= self.next_rotation + ROTATION {
            2
        } else {
            1
        };
        for _ in 0..steps {
            // Without randomness the old keys go on: cookies stay unforgeable, they only live longer.
            let Ok(key) = Key::draw(&*self.random, self.current.generation.wrapping_add(1)) else {
                return;
            };
            self.previous = std::mem::replace(&mut self.current, key);
        }
        self.next_rotation = now + ROTATION;
    }

    fn is_valid(&self, path: Path, hello: &HelloPrefix<'_>) -> bool {
        [&self.current, &self.previous]
            .into_iter()
            .filter(|key| hello.cookie.first() == Some(&key.generation))
            .any(|key| bool::from(key.cookie(path, hello).ct_eq(hello.cookie)))
    }

    /// A HelloVerifyRequest. Its record and message numbers are the hello's own (RFC 6347 §4.2.1, §4.2.2).
    fn reply(
        &self,
        path: Path,
        record: &RecordHeader,
        fragment: &FragmentHeader,
        hello: &HelloPrefix<'_>,
    ) -> Vec<u8> {
        let cookie = self.current.cookie(path, hello).to_vec();
        let mut body = Vec::with_capacity(3 + COOKIE_LEN);
        HelloVerifyRequest { cookie }.encode(&mut body);
        let mut message = Vec::with_capacity(12 + body.len());
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        FragmentHeader::whole(HandshakeType::HELLO_VERIFY_REQUEST, fragment.seq, length)
            .encode(&mut message);
        message.put(&body);
        let header = RecordHeader {
            content_type: ContentType::HANDSHAKE,
            version: ProtocolVersion::DTLS10,
            number: record.number,
            length: u16::try_from(message.len()).unwrap_or(u16::MAX),
        };
        [&header.encode()[..], &message].concat()
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies")
            .field("generation", &self.current.generation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::SystemRandom;
    use crate::protocol::{Epoch, MessageSeq, RecordNumber};
    use crate::wire::record_dtls::HEADER_LEN;

    fn hello(random: u8, cookie: &[u8]) -> BytesMut {
        let mut body = vec![0xfe, 0xfd];
        body.extend_from_slice(&[random; 32]);
        body.put_vec(1, |_| {});
        body.put_vec(1, |out| out.put(cookie));
        let mut message = Vec::new();
        // A fragment: the rest of the hello is announced but not here.
        FragmentHeader {
            typ: HandshakeType::CLIENT_HELLO,
            length: 200,
            seq: MessageSeq(u16::from(!cookie.is_empty())),
            offset: 0,
            fragment_length: body.len() as u32,
        }
        .encode(&mut message);
        message.put(&body);
        let header = RecordHeader {
            content_type: ContentType::HANDSHAKE,
            version: ProtocolVersion::DTLS10,
            number: RecordNumber {
                epoch: Epoch::PLAINTEXT,
                sequence: 7,
            },
            length: message.len() as u16,
        };
        BytesMut::from(&[&header.encode()[..], &message].concat()[..])
    }

    fn path(port: u16) -> Path {
        Path::new(([192, 0, 2, 1], port).into())
    }

    fn cookies(now: Instant) -> Cookies {
        Cookies::new(Arc::new(SystemRandom), now).unwrap()
    }

    fn ask(cookies: &mut Cookies, now: Instant, path: Path, random: u8) -> Vec<u8> {
        let asked = hello(random, &[]);
        let length = asked.len();
        let CookieCheck::Reply(reply) = cookies.check(path, now, asked) else {
            panic!("no reply")
        };
        // C1: never more out than came in.
        assert!(reply.len() <= length, "{} > {length}", reply.len());
        // RFC 6347 §4.2.1: the record sequence of the hello is repeated.
        assert_eq!(RecordHeader::decode(&reply).unwrap().number.sequence, 7);
        HelloVerifyRequest::decode(&reply[HEADER_LEN + 12..])
            .unwrap()
            .cookie
    }

    fn accepts(cookies: &mut Cookies, now: Instant, path: Path, random: u8, cookie: &[u8]) -> bool {
        matches!(
            cookies.check(path, now, hello(random, cookie)),
            CookieCheck::Proven(_)
        )
    }

    /// C2, C4.
    #[test]
    fn a_cookie_is_good_for_one_address_port_and_hello_only() {
        let now = crate::test_now();
        let mut cookies = cookies(now);
        let cookie = ask(&mut cookies, now, path(1), 5);
        assert!(accepts(&mut cookies, now, path(1), 5, &cookie));
        assert!(!accepts(&mut cookies, now, path(2), 5, &cookie));
        assert!(!accepts(
            &mut cookies,
            now,
            Path::new(([192, 0, 2, 2], 1).into()),
            5,
            &cookie
        ));
        assert!(!accepts(&mut cookies, now, path(1), 6, &cookie));
        let mut other = self::cookies(now);
        assert!(!accepts(&mut other, now, path(1), 5, &cookie));
    }

    /// C3.
    #[test]
    fn a_cookie_outlives_one_change_of_the_key_but_not_two() {
        let start = crate::test_now();
        let mut cookies = cookies(start);
        let cookie = ask(&mut cookies, start, path(1), 5);
        assert!(accepts(&mut cookies, start + ROTATION, path(1), 5, &cookie));
        assert!(!accepts(
            &mut cookies,
            start + 2 * ROTATION,
            path(1),
            5,
            &cookie
        ));

        let mut cookies = self::cookies(start);
        let cookie = ask(&mut cookies, start, path(1), 5);
        assert!(
            !accepts(&mut cookies, start + 3 * ROTATION, path(1), 5, &cookie),
            "after a silence"
        );
    }

    /// A12: a hello that is cut anywhere before the end of its cookie is not answered, and nothing panics.
    #[test]
    fn a_hello_that_ends_before_its_cookie_is_not_answered() {
        let now = crate::test_now();
        let mut cookies = cookies(now);
        let whole = hello(1, &[1; 20]);
        for cut in 0..whole.len() {
            let short = BytesMut::from(&whole[..cut]);
            assert!(matches!(
                cookies.check(path(1), now, short),
                CookieCheck::NotAHello
            ));
        }
    }
}
