//! Cookies: proof of an address before any state (RFC 6347 §4.2.1, RFC 9147 §5.1).

use super::retry;
use super::unproven::{self, Collected, Unproven};
use crate::config::{FirstHello, Issued, ProvenHello, ServerConfig};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::hmac::HmacKey;
use crate::crypto::random::SecureRandom;
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::server;
use crate::protocol::{Alert, ContentType, ExtensionType, HandshakeType, Path, ProtocolVersion};
use crate::wire::alert;
use crate::wire::client_hello::{ClientHello, HelloPrefix};
use crate::wire::codec::Writer as _;
use crate::wire::handshake::FragmentHeader;
use crate::wire::hello_verify_request::HelloVerifyRequest;
use crate::wire::record_dtls::RecordHeader;
use bytes::BytesMut;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;

/// Makes and checks cookies. Holds two keys, and of clients nothing but the parts of fragmented hellos, within a fixed bound.
///
/// A client of version 1.3 is asked by a HelloRetryRequest whose cookie holds everything that must be known later; one of
/// 1.2 by a HelloVerifyRequest. There a cookie is a keyed MAC over the client's address and port and over version, random
/// and session ID of its hello, so it is provable from a first fragment that reaches the end of the cookie field: at most
/// 323 bytes. Where 1.3 is spoken, a fragmented hello is put together first. The key changes every five minutes; cookies of
/// the previous key are still good.
pub struct Cookies {
    config: Arc<ServerConfig>,
    unproven: Unproven,
    current: Key,
    previous: Key,
    next_rotation: Instant,
    /// The beginning of the time in which cookies are dated.
    epoch: Instant,
    /// The date of the newest cookie.
    newest: Issued,
}

pub(super) struct Key {
    pub(super) generation: u8,
    mac: HmacKey,
}

/// What a datagram that may be a ClientHello turns out to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum CookieCheck {
    /// The sender receives at its address: an association may be made.
    Proven(ProvenHello),
    /// The datagram to send back, at most three times as long as what came: the demand for a cookie, or an alert. Nothing
    /// need be remembered.
    Reply(Vec<u8>),
    /// A part of a ClientHello. Nothing is to be done before the rest is here.
    Incomplete,
    /// Not the beginning of a ClientHello. Nothing is to be done.
    NotAHello,
}

/// How long a key makes cookies. It checks them for as long again.
///
/// Long against the slowest retransmission, once a minute: a client on a bad link must not see its cookie expire
/// again and again before its hello has come through.
const ROTATION: Duration = Duration::from_secs(300);

/// How long a cookie is good. A client that gets no answer to its hello repeats it for as long as its handshake may take,
/// two minutes by default here and at most elsewhere; what is shown later was kept by somebody else.
pub(super) const LIFE: Duration = Duration::from_secs(150);

/// The length of a date: microseconds, for nine years.
pub(super) const DATE_LEN: usize = 6;

/// The length of a cookie: one byte that names the key, the date, and half a MAC. Short enough that the answer to the
/// shortest hello is no longer than that hello.
const COOKIE_LEN: usize = 1 + DATE_LEN + MAC_LEN;

/// The length of half a MAC, in bytes.
pub(super) const MAC_LEN: usize = 16;

/// How many times as long as a hello its answer may be (RFC 9147 §5.1).
const AMPLIFICATION: usize = 3;

impl Issued {
    pub(super) fn to_bytes(self) -> [u8; DATE_LEN] {
        let mut out = [0; DATE_LEN];
        out.copy_from_slice(&self.0.to_be_bytes()[size_of::<u64>() - DATE_LEN..]);
        out
    }

    /// The newest date with these low octets that is not far behind `newest`, the newest that was given: nine years apart
    /// they look the same.
    pub(super) fn from_bytes(bytes: [u8; DATE_LEN], newest: Self) -> Self {
        const PERIOD: u64 = 1 << (8 * DATE_LEN);
        let mut whole = [0; size_of::<u64>()];
        whole[size_of::<u64>() - DATE_LEN..].copy_from_slice(&bytes);
        let date = newest.0 - newest.0 % PERIOD + u64::from_be_bytes(whole);
        Self(if date > newest.0 {
            date.saturating_sub(PERIOD)
        } else {
            date
        })
    }
}

impl Key {
    fn draw(random: &dyn SecureRandom, generation: u8) -> Result<Self, Error> {
        let mut secret = zeroize::Zeroizing::new([0; 32]);
        random.fill(&mut *secret)?;
        Ok(Self {
            generation,
            mac: HmacKey::new(HashAlgorithm::Sha256, &*secret),
        })
    }

    fn cookie(&self, path: Path, hello: &HelloPrefix<'_>, issued: Issued) -> [u8; COOKIE_LEN] {
        let date = issued.to_bytes();
        let session_id_len = [u8::try_from(hello.session_id.len()).unwrap_or(u8::MAX)];
        let tag = self.tag(&[
            &[self.generation],
            &date,
            &path.remote_bytes(),
            &hello.version.to_bytes(),
            &hello.random,
            &session_id_len,
            hello.session_id,
        ]);
        let mut cookie = [self.generation; COOKIE_LEN];
        cookie[1..=DATE_LEN].copy_from_slice(&date);
        cookie[1 + DATE_LEN..].copy_from_slice(&tag);
        cookie
    }

    /// Half a MAC.
    pub(super) fn tag(&self, parts: &[&[u8]]) -> [u8; MAC_LEN] {
        let mut tag = [0; MAC_LEN];
        tag.copy_from_slice(&self.mac.sign(parts).as_ref()[..MAC_LEN]);
        tag
    }
}

impl Cookies {
    /// Draws the first keys for a server with this configuration.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn new(config: Arc<ServerConfig>, now: Instant) -> Result<Self, Error> {
        let random = &*config.parameters.random;
        let (current, previous) = (Key::draw(random, 1)?, Key::draw(random, 0)?);
        Ok(Self {
            config,
            unproven: Unproven::default(),
            current,
            previous,
            next_rotation: now + ROTATION,
            epoch: now,
            newest: Issued(0),
        })
    }

    /// The date of a cookie that is issued now: later than that of any before, also within one tick of the clock.
    fn date(&mut self, now: Instant) -> Issued {
        self.newest = Issued(self.elapsed(now).max(self.newest.0 + 1));
        self.newest
    }

    fn elapsed(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.epoch).as_micros();
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }

    /// Whether a cookie of this date may still be shown.
    fn is_fresh(&self, now: Instant, issued: Issued) -> bool {
        Duration::from_micros(self.elapsed(now).saturating_sub(issued.0)) <= LIFE
    }

    /// Checks and answers hellos under another configuration. The keys stay, and with them the
    /// cookies.
    pub(super) fn set_config(&mut self, config: Arc<ServerConfig>) {
        self.config = config;
    }

    /// Looks at a datagram from somebody who has no association.
    pub fn check(&mut self, path: Path, now: Instant, datagram: BytesMut) -> CookieCheck {
        self.rotate(now);
        if !self.config.parameters.speaks_13() {
            return self.check_12(path, now, datagram);
        }
        if FirstHello::decode(&datagram).is_some_and(|first| unproven::is_too_long(&first)) {
            return Self::refuse(&PeerMisbehaved::MessageTooLong.into(), &datagram);
        }
        match self.unproven.collect(now, path.remote(), datagram) {
            Collected::Whole(datagram) => self.check_whole(path, now, datagram),
            Collected::Part => CookieCheck::Incomplete,
            Collected::Nothing => CookieCheck::NotAHello,
        }
    }

    /// Whether a datagram from somebody who has no association is for [`Cookies::check`].
    pub(super) fn may_be_hello(&self, datagram: &[u8]) -> bool {
        if self.config.parameters.speaks_13() {
            unproven::is_client_hello(datagram)
        } else {
            FirstHello::decode(datagram).is_some()
        }
    }

    /// A whole hello, of whichever version.
    fn check_whole(&mut self, path: Path, now: Instant, datagram: BytesMut) -> CookieCheck {
        let offers_13 = |hello: &ClientHello| {
            let offered = hello.extensions.supported_versions.as_deref();
            offered.is_some_and(|offered| offered.contains(&ProtocolVersion::DTLS13))
        };
        let Some(hello) = FirstHello::whole(&datagram).filter(offers_13) else {
            return self.check_12(path, now, datagram);
        };
        match self.check_13(path, now, &hello, datagram) {
            Ok(outcome) => outcome,
            Err((error, datagram)) => Self::refuse(&error, &datagram),
        }
    }

    fn check_13(
        &mut self,
        path: Path,
        now: Instant,
        hello: &ClientHello,
        datagram: BytesMut,
    ) -> Result<CookieCheck, (Error, BytesMut)> {
        if let Some(cookie) = &hello.extensions.cookie {
            let keys = [&self.current, &self.previous];
            let opened = retry::open(keys, self.newest, path, &hello.random, cookie);
            let Some((retried, issued)) = opened.filter(|&(_, it)| self.is_fresh(now, it)) else {
                // RFC 9147 §5.1: the client may start again from scratch.
                let cookie = PeerMisbehaved::IllegalExtension(ExtensionType::COOKIE.0);
                return Err((cookie.into(), datagram));
            };
            return Ok(match ProvenHello::without_cookie(path, datagram) {
                Some(proven) => CookieCheck::Proven(proven.answering(retried).asked_at(issued)),
                None => CookieCheck::NotAHello,
            });
        }
        let chosen = match server::choose(&self.config, hello) {
            Ok(chosen) => chosen,
            Err(error) => return Err((error, datagram)),
        };
        let body = FirstHello::whole_body(&datagram).unwrap_or_default();
        let issued = self.date(now);
        let request = retry::request(&self.current, issued, path, hello, body, chosen);
        let reply = match FirstHello::decode(&datagram) {
            Some(first) => {
                let typ = HandshakeType::SERVER_HELLO;
                answer(ProtocolVersion::DTLS12, &first, typ, &request)
            }
            None => return Ok(CookieCheck::NotAHello),
        };
        Ok(if reply.len() <= AMPLIFICATION * datagram.len() {
            CookieCheck::Reply(reply)
        } else {
            CookieCheck::NotAHello
        })
    }

    /// Tells a stranger why it is not served, without remembering it.
    fn refuse(error: &Error, datagram: &[u8]) -> CookieCheck {
        let (Some(description), Some(first)) = (error.alert(), FirstHello::decode(datagram)) else {
            return CookieCheck::NotAHello;
        };
        tracing::debug!(%error, "a hello is refused");
        let payload = alert::encode(Alert::fatal(description));
        let header = RecordHeader {
            content_type: ContentType::ALERT,
            version: ProtocolVersion::DTLS12,
            number: first.record.number,
            length: 2,
        };
        CookieCheck::Reply([&header.encode()[..], &payload].concat())
    }

    /// A hello of version 1.2, or the beginning of one.
    fn check_12(&mut self, path: Path, now: Instant, datagram: BytesMut) -> CookieCheck {
        let Some(FirstHello {
            record,
            fragment,
            prefix,
        }) = FirstHello::decode(&datagram)
        else {
            return CookieCheck::NotAHello;
        };
        // RFC 6347 §4.2.1: a cookie that is not good counts as none.
        let Some(issued) = self.shown_at(path, now, &prefix) else {
            let first = FirstHello {
                record,
                fragment,
                prefix,
            };
            let issued = self.date(now);
            return CookieCheck::Reply(self.reply(path, issued, &first));
        };
        match ProvenHello::without_cookie(path, datagram) {
            Some(hello) => CookieCheck::Proven(hello.asked_at(issued)),
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
            let Ok(key) = Key::draw(
                &*self.config.parameters.random,
                self.current.generation.wrapping_add(1),
            ) else {
                return;
            };
            self.previous = std::mem::replace(&mut self.current, key);
        }
        self.next_rotation = now + ROTATION;
    }

    /// When the cookie that a hello shows was issued, if it is good.
    fn shown_at(&self, path: Path, now: Instant, hello: &HelloPrefix<'_>) -> Option<Issued> {
        let (generation, rest) = hello.cookie.split_first()?;
        let issued = Issued::from_bytes(*rest.first_chunk()?, self.newest);
        let key = [&self.current, &self.previous]
            .into_iter()
            .find(|key| key.generation == *generation)?;
        let genuine = key.cookie(path, hello, issued).ct_eq(hello.cookie);
        (bool::from(genuine) && self.is_fresh(now, issued)).then_some(issued)
    }

    /// A HelloVerifyRequest. Its record and message numbers are the hello's own (RFC 6347 §4.2.1, §4.2.2).
    fn reply(&self, path: Path, issued: Issued, first: &FirstHello<'_>) -> Vec<u8> {
        let cookie = self.current.cookie(path, &first.prefix, issued).to_vec();
        let mut body = Vec::with_capacity(3 + COOKIE_LEN);
        HelloVerifyRequest { cookie }.encode(&mut body);
        let typ = HandshakeType::HELLO_VERIFY_REQUEST;
        answer(ProtocolVersion::DTLS10, first, typ, &body)
    }
}

/// A message with the record and message numbers of the hello that it answers (RFC 6347 §4.2.1, §4.2.2).
fn answer(
    version: ProtocolVersion,
    first: &FirstHello<'_>,
    typ: HandshakeType,
    body: &[u8],
) -> Vec<u8> {
    let mut message = Vec::with_capacity(12 + body.len());
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    FragmentHeader::whole(typ, first.fragment.seq, length).encode(&mut message);
    message.put(body);
    let header = RecordHeader {
        content_type: ContentType::HANDSHAKE,
        version,
        number: first.record.number,
        length: u16::try_from(message.len()).unwrap_or(u16::MAX),
    };
    [&header.encode()[..], &message].concat()
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
    use crate::config::Versions;
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
        Cookies::new(Arc::new(crate::config::test_server(Versions::V1_2)), now).unwrap()
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
    fn a_cookie_outlives_a_change_of_the_key_but_not_its_time() {
        let start = crate::test_now();
        let second = Duration::from_secs(1);
        for at in [start, start + ROTATION - second, start + 10 * ROTATION] {
            let mut cookies = cookies(start);
            let cookie = ask(&mut cookies, at, path(1), 5);
            assert!(accepts(&mut cookies, at + LIFE, path(1), 5, &cookie));
            assert!(!accepts(
                &mut cookies,
                at + LIFE + second,
                path(1),
                5,
                &cookie
            ));
        }
        let mut cookies = cookies(start);
        let cookie = ask(&mut cookies, start, path(1), 5);
        cookies.rotate(start + ROTATION);
        cookies.rotate(start + 2 * ROTATION);
        assert!(
            !accepts(&mut cookies, start, path(1), 5, &cookie),
            "two changes"
        );
    }

    /// A date that was altered, or cut off, is no date.
    #[test]
    fn the_date_of_a_cookie_cannot_be_altered() {
        let now = crate::test_now();
        let mut cookies = cookies(now);
        let cookie = ask(&mut cookies, now, path(1), 5);
        for index in 0..cookie.len() {
            let mut altered = cookie.clone();
            altered[index] ^= 1;
            assert!(
                !accepts(&mut cookies, now, path(1), 5, &altered),
                "byte {index}"
            );
            assert!(!accepts(&mut cookies, now, path(1), 5, &cookie[..index]));
        }
        let dates: Vec<_> = (0..100).map(|_| cookies.date(now)).collect();
        assert!(dates.is_sorted_by(|one, next| one < next));
    }

    /// An endpoint that runs for longer than a date reaches goes on.
    #[test]
    fn a_date_comes_back_after_years_of_uptime() {
        for newest in [1 << 20, (1 << 48) - 1, 1 << 48, (1 << 48) + 5, 7 << 48] {
            for age in [0, 1, 150_000_000] {
                let issued = Issued(u64::saturating_sub(newest, age));
                let back = Issued::from_bytes(issued.to_bytes(), Issued(newest));
                assert_eq!(back, issued, "{newest} {age}");
            }
        }
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
