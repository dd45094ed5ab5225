//! Cookies: proof of an address before any state (RFC 6347 §4.2.1, RFC 9147 §5.1).

use super::cookie_keys::{DATE_LEN, MAC_LEN, Mint};
use super::retry;
use super::unproven::{self, Collected, Unproven};
use crate::config::{FirstHello, FleetSecret, Issued, ProvenHello, ServerConfig};
use crate::error::{Error, PeerMisbehaved};
use crate::handshake::server;
use crate::protocol::{
    Alert, AlertDescription, ContentType, ExtensionType, HandshakeType, Path, ProtocolVersion,
};
use crate::wire::alert;
use crate::wire::client_hello::{ClientHello, HelloPrefix};
use crate::wire::codec::Writer as _;
use crate::wire::handshake::FragmentHeader;
use crate::wire::hello_verify_request::HelloVerifyRequest;
use crate::wire::record_dtls::RecordHeader;
use bytes::BytesMut;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use subtle::ConstantTimeEq as _;

/// Makes and checks cookies. Of clients it holds nothing but the parts of fragmented hellos, within
/// a fixed bound.
///
/// A client of version 1.3 is asked by a HelloRetryRequest whose cookie holds everything that must
/// be known later; one of 1.2 by a HelloVerifyRequest. There a cookie is a date and a keyed MAC
/// over it, over the client's address and port, and over version, random and session ID of its
/// hello, so it is provable from a first fragment that reaches the end of the cookie field: at most
/// 323 bytes. Where 1.3 is spoken, a fragmented hello is put together first. A key makes cookies
/// for five minutes, and a cookie is good for 150 seconds.
pub struct Cookies {
    config: Arc<ServerConfig>,
    unproven: Unproven,
    /// Hellos in pieces are put together at version 1.2 as well.
    whole: bool,
    /// No answer is made at the moment.
    is_mute: bool,
    mint: Mint,
}

/// What a datagram that may be a ClientHello turns out to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum CookieCheck {
    /// The sender receives at its address: an association may be made.
    Proven(ProvenHello),
    /// The datagram to send back, at most three times as long as what came: the demand for a
    /// cookie, or an alert. Nothing need be remembered.
    Send(Vec<u8>),
    /// A part of a ClientHello. Nothing is to be done before the rest is here.
    Incomplete,
    /// Not the beginning of a ClientHello. Nothing is to be done.
    NotAHello,
}

/// The length of a cookie: the date, and half a MAC. Short enough that the answer to the shortest
/// hello is no longer than that hello.
const COOKIE_LEN: usize = DATE_LEN + MAC_LEN;

/// How many times as long as a hello its answer may be (RFC 9147 §5.1).
const AMPLIFICATION: usize = 3;

impl Cookies {
    /// For a server with this configuration, under the secret of its
    /// [fleet](crate::server::ServerConfigBuilder::fleet), or one of its own.
    ///
    /// # Errors
    ///
    /// [`Error::RandomFailed`].
    pub fn new(now: Instant, config: Arc<ServerConfig>) -> Result<Self, Error> {
        let secret = match &config.fleet {
            Some(fleet) => fleet.clone(),
            None => FleetSecret::draw(&*config.parameters.random)?,
        };
        Ok(Self::with_secret(now, config, secret))
    }

    /// The same with a secret that others have too.
    pub(super) fn with_secret(
        now: Instant,
        config: Arc<ServerConfig>,
        secret: FleetSecret,
    ) -> Self {
        let mint = Mint::new(now, secret, &*config.parameters.clock);
        Self {
            config,
            unproven: Unproven::default(),
            whole: false,
            is_mute: false,
            mint,
        }
    }

    /// Takes hellos as proven only when they are there as a whole.
    pub(super) fn demand_whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Whether hellos in pieces are put together.
    fn collects(&self) -> bool {
        self.whole || self.config.parameters.speaks_13()
    }

    /// Checks and answers hellos under another configuration. The keys stay, and with them the
    /// cookies, unless it belongs to another fleet.
    pub(super) fn set_config(&mut self, config: Arc<ServerConfig>) {
        if let Some(fleet) = &config.fleet {
            self.mint.set_secret(fleet.clone());
        }
        self.config = config;
    }

    /// Looks at a datagram from an address without an association.
    pub fn check(&mut self, now: Instant, path: Path, datagram: BytesMut) -> CookieCheck {
        self.is_mute = false;
        self.look(now, path, datagram)
    }

    /// The same for an end that sends no answer at the moment, so that none is made: what is to be
    /// sent is empty.
    pub(super) fn check_mute(
        &mut self,
        now: Instant,
        path: Path,
        datagram: BytesMut,
    ) -> CookieCheck {
        self.is_mute = true;
        self.look(now, path, datagram)
    }

    fn look(&mut self, now: Instant, path: Path, datagram: BytesMut) -> CookieCheck {
        if !self.collects() {
            return self.check_12(now, path, datagram);
        }
        if FirstHello::decode(&datagram).is_some_and(|first| unproven::is_too_long(&first)) {
            return refuse(&PeerMisbehaved::MessageTooLong.into(), &datagram);
        }
        match self.unproven.collect(now, path.remote(), datagram) {
            Collected::Whole(datagram) => self.check_whole(now, path, datagram),
            Collected::Part => CookieCheck::Incomplete,
            Collected::Nothing => CookieCheck::NotAHello,
        }
    }

    /// Whether a datagram from an address without an association is for [`Cookies::check`].
    pub(super) fn may_be_hello(&self, datagram: &[u8]) -> bool {
        if self.collects() {
            unproven::is_client_hello(datagram)
        } else {
            FirstHello::decode(datagram).is_some()
        }
    }

    /// A whole hello, of whichever version.
    fn check_whole(&mut self, now: Instant, path: Path, datagram: BytesMut) -> CookieCheck {
        let offers_13 = |hello: &ClientHello| {
            let offered = hello.extensions.supported_versions.as_deref();
            offered.is_some_and(|offered| offered.contains(&ProtocolVersion::DTLS13))
        };
        let speaks_13 = self.config.parameters.speaks_13();
        let hello = FirstHello::whole(&datagram).filter(|it| speaks_13 && offers_13(it));
        let Some(hello) = hello else {
            return self.check_12(now, path, datagram);
        };
        match self.check_13(now, path, &hello, datagram) {
            Ok(outcome) => outcome,
            Err((error, datagram)) => refuse(&error, &datagram),
        }
    }

    fn check_13(
        &mut self,
        now: Instant,
        path: Path,
        hello: &ClientHello,
        datagram: BytesMut,
    ) -> Result<CookieCheck, (Error, BytesMut)> {
        let clock = &*self.config.parameters.clock;
        if let Some(cookie) = &hello.extensions.cookie {
            let opened = retry::open(&mut self.mint, now, clock, path, &hello.random, cookie);
            let Some((retried, issued)) = opened else {
                // RFC 9147 §5.1: the client may start again from scratch.
                let cookie = PeerMisbehaved::IllegalExtension(ExtensionType::COOKIE.0);
                return Err((cookie.into(), datagram));
            };
            return Ok(match ProvenHello::without_cookie(path, datagram) {
                Some(proven) => CookieCheck::Proven(proven.answering(retried).asked_at(issued)),
                None => CookieCheck::NotAHello,
            });
        }
        if self.is_mute {
            return Ok(CookieCheck::Send(Vec::new()));
        }
        let chosen = match server::choose(&self.config, hello) {
            Ok(chosen) => chosen,
            Err(error) => return Err((error, datagram)),
        };
        let body = FirstHello::whole_body(&datagram).unwrap_or_default();
        let issued = self.mint.issue(now, clock);
        let request = retry::request(&mut self.mint, issued, path, hello, body, chosen);
        let reply = match FirstHello::decode(&datagram) {
            Some(first) => {
                let typ = HandshakeType::SERVER_HELLO;
                answer(ProtocolVersion::DTLS12, &first, typ, &request)
            }
            None => return Ok(CookieCheck::NotAHello),
        };
        Ok(if reply.len() <= AMPLIFICATION * datagram.len() {
            CookieCheck::Send(reply)
        } else {
            CookieCheck::NotAHello
        })
    }

    /// A hello of version 1.2, or the beginning of one.
    fn check_12(&mut self, now: Instant, path: Path, datagram: BytesMut) -> CookieCheck {
        let Some(FirstHello {
            record,
            fragment,
            prefix,
        }) = FirstHello::decode(&datagram)
        else {
            return CookieCheck::NotAHello;
        };
        // RFC 6347 §4.2.1: a cookie that is not good counts as none.
        let Some(issued) = self.shown_at(now, path, &prefix) else {
            if self.is_mute {
                return CookieCheck::Send(Vec::new());
            }
            let first = FirstHello {
                record,
                fragment,
                prefix,
            };
            return CookieCheck::Send(self.reply(now, path, &first));
        };
        match ProvenHello::without_cookie(path, datagram) {
            Some(hello) => CookieCheck::Proven(hello.asked_at(issued)),
            None => CookieCheck::NotAHello,
        }
    }

    /// When the cookie that a hello shows was issued, if it is good.
    fn shown_at(&mut self, now: Instant, path: Path, hello: &HelloPrefix<'_>) -> Option<Issued> {
        let clock = &*self.config.parameters.clock;
        let date = *hello.cookie.first_chunk()?;
        let issued = self.mint.read_date(now, clock, date)?;
        let genuine = cookie(&mut self.mint, path, hello, issued).ct_eq(hello.cookie);
        if !bool::from(genuine) {
            return None;
        }
        self.mint.proved(issued);
        Some(issued)
    }

    /// A HelloVerifyRequest. Its record and message numbers are the hello's own (RFC 6347 §4.2.1,
    /// §4.2.2).
    fn reply(&mut self, now: Instant, path: Path, first: &FirstHello<'_>) -> Vec<u8> {
        let issued = self.mint.issue(now, &*self.config.parameters.clock);
        let cookie = cookie(&mut self.mint, path, &first.prefix, issued).to_vec();
        let mut body = Vec::with_capacity(3 + COOKIE_LEN);
        HelloVerifyRequest { cookie }.encode(&mut body);
        let typ = HandshakeType::HELLO_VERIFY_REQUEST;
        answer(ProtocolVersion::DTLS10, first, typ, &body)
    }
}

/// Tells a stranger why it is not served, without remembering it.
fn refuse(error: &Error, datagram: &[u8]) -> CookieCheck {
    tracing::debug!(%error, "a hello is refused");
    let refusal = error.alert().and_then(|it| refusal(datagram, it));
    refusal.map_or(CookieCheck::NotAHello, CookieCheck::Send)
}

/// The fatal alert that answers a hello.
pub(super) fn refusal(datagram: &[u8], description: AlertDescription) -> Option<Vec<u8>> {
    let first = FirstHello::decode(datagram)?;
    let payload = alert::encode(Alert::fatal(description));
    let header = RecordHeader {
        content_type: ContentType::ALERT,
        version: ProtocolVersion::DTLS12,
        number: first.record.number,
        length: u16::try_from(payload.len()).ok()?,
    };
    Some([&header.encode()[..], &payload].concat())
}

/// The cookie of version 1.2.
fn cookie(
    mint: &mut Mint,
    path: Path,
    hello: &HelloPrefix<'_>,
    issued: Issued,
) -> [u8; COOKIE_LEN] {
    let date = issued.to_bytes();
    let session_id_len = [u8::try_from(hello.session_id.len()).unwrap_or(u8::MAX)];
    let tag = mint.tag(
        issued,
        &[
            &date,
            &path.remote_bytes(),
            &hello.version.to_bytes(),
            &hello.random,
            &session_id_len,
            hello.session_id,
        ],
    );
    let mut cookie = [0; COOKIE_LEN];
    cookie[..DATE_LEN].copy_from_slice(&date);
    cookie[DATE_LEN..].copy_from_slice(&tag);
    cookie
}

/// A message with the record and message numbers of the hello that it answers (RFC 6347 §4.2.1,
/// §4.2.2).
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
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Versions;
    use crate::protocol::{Epoch, MessageSeq, RecordNumber};
    use crate::wire::record_dtls::HEADER_LEN;
    use std::time::Duration;

    const LIFE: Duration = crate::endpoint::cookie_keys::LIFE;
    /// How long one key makes cookies.
    const GENERATION: Duration = Duration::from_secs(300);

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
        Cookies::new(now, Arc::new(crate::config::test_server(Versions::V1_2))).unwrap()
    }

    fn ask(cookies: &mut Cookies, now: Instant, path: Path, random: u8) -> Vec<u8> {
        let asked = hello(random, &[]);
        let length = asked.len();
        let CookieCheck::Send(reply) = cookies.check(now, path, asked) else {
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
            cookies.check(now, path, hello(random, cookie)),
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
        for at in [start, start + GENERATION - second, start + 10 * GENERATION] {
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
    }

    /// Members of a fleet take each other's cookies, also when the key has changed in between.
    #[test]
    fn whoever_has_the_secret_proves_the_cookies_of_the_others() {
        let start = crate::test_now();
        let secret = FleetSecret::generate().unwrap();
        let member = |secret: &FleetSecret| {
            let config = Arc::new(crate::config::test_server(Versions::V1_2));
            Cookies::with_secret(start, config, secret.clone())
        };
        let exported = FleetSecret::from_bytes(*secret.as_bytes());
        let (mut asked, mut shown) = (member(&secret), member(&exported));
        let mut stranger = member(&FleetSecret::generate().unwrap());
        // Twice as long as a key lasts, so some of the cookies live through a change.
        for step in 0..12 {
            let at = start + step * GENERATION / 6;
            let cookie = ask(&mut asked, at, path(1), 5);
            for later in [at, at + LIFE - Duration::from_secs(6)] {
                assert!(accepts(&mut shown, later, path(1), 5, &cookie), "{step}");
                assert!(!accepts(&mut stranger, later, path(1), 5, &cookie));
            }
        }
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
    }

    /// A12: a hello that is cut anywhere before the end of its cookie is not answered, and nothing
    /// panics.
    #[test]
    fn a_hello_that_ends_before_its_cookie_is_not_answered() {
        let now = crate::test_now();
        let mut cookies = cookies(now);
        let whole = hello(1, &[1; 20]);
        for cut in 0..whole.len() {
            let short = BytesMut::from(&whole[..cut]);
            assert!(matches!(
                cookies.check(now, path(1), short),
                CookieCheck::NotAHello
            ));
        }
    }
}
