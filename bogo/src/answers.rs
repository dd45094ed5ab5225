//! What the application is asked in the middle of a handshake, and the answers that a test wants.

use crate::Failed;
use crate::options::Options;
use sealgram::client::{AnswerRequest, ReceivedRequest, RequestAnswer};
use sealgram::server::{AnswerHello, HelloAnswer, ReceivedHello};
use sealgram::{AlertDescription, Reply};
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

/// Answers hellos and requests, and remembers the last of each.
#[derive(Debug)]
pub(crate) struct Answers {
    refusal: Option<AlertDescription>,
    alpn: Option<Vec<u8>>,
    hello: Mutex<Option<ReceivedHello>>,
    request: Mutex<Option<ReceivedRequest>>,
    /// Signatures that have not been given yet.
    signatures: Mutex<Vec<Kept>>,
}

/// A slow signature.
#[derive(Debug)]
struct Kept {
    signature: Vec<u8>,
    reply: Reply<Vec<u8>>,
}

impl Answers {
    /// The answers that a test wants.
    pub(crate) fn new(options: &Options) -> Self {
        let refusal = if options.fail_early_callback {
            Some(AlertDescription::HANDSHAKE_FAILURE)
        } else if options.fail_cert_callback {
            Some(AlertDescription::INTERNAL_ERROR)
        } else {
            None
        };
        Self {
            refusal,
            alpn: options.select_alpn.clone(),
            hello: Mutex::default(),
            request: Mutex::default(),
            signatures: Mutex::default(),
        }
    }

    /// Keeps a slow signature back.
    pub(crate) fn keep(&self, signature: Vec<u8>, reply: Reply<Vec<u8>>) {
        lock(&self.signatures).push(Kept { signature, reply });
    }

    /// Gives the signatures that were kept back.
    pub(crate) fn release(&self) {
        for kept in lock(&self.signatures).drain(..) {
            kept.reply.send(kept.signature);
        }
    }

    /// Checks what was asked.
    pub(crate) fn check(&self, options: &Options) -> Result<(), Failed> {
        let hello = lock(&self.hello).clone();
        let request = lock(&self.request).clone();
        let schemes = match (&hello, &request) {
            (Some(hello), _) => Some(&hello.signature_schemes),
            (None, Some(request)) => Some(&request.signature_schemes),
            (None, None) => None,
        };
        let schemes = schemes.map(|list| list.iter().map(|scheme| scheme.0).collect());
        expect(
            "signature schemes",
            Some(&options.expect_peer_verify_prefs).filter(|list| !list.is_empty()),
            schemes.as_ref(),
        )?;
        let alpn = hello.map(|hello| {
            let length = |name: &Vec<u8>| u8::try_from(name.len()).unwrap_or(u8::MAX);
            let framed = |name: &Vec<u8>| [&[length(name)][..], name].concat();
            hello.alpn.iter().flat_map(framed).collect::<Vec<u8>>()
        });
        expect(
            "offered protocols",
            options.expect_advertised_alpn.as_ref(),
            alpn.as_ref(),
        )?;
        let request = request.as_ref();
        expect(
            "certificate types",
            options.expect_certificate_types.as_ref(),
            request.map(|request| &request.certificate_types),
        )?;
        expect(
            "authorities",
            options.expect_client_ca_list.as_ref(),
            request.map(|request| &request.authorities),
        )
    }
}

impl AnswerHello for Answers {
    fn answer(&self, hello: &ReceivedHello) -> Result<HelloAnswer, AlertDescription> {
        *lock(&self.hello) = Some(hello.clone());
        let answer = match &self.alpn {
            Some(protocol) => HelloAnswer::default().alpn(Some(protocol)),
            None => HelloAnswer::default(),
        };
        self.refusal.map_or(Ok(answer), Err)
    }
}

impl AnswerRequest for Answers {
    fn answer(&self, request: &ReceivedRequest) -> Result<RequestAnswer, AlertDescription> {
        *lock(&self.request) = Some(request.clone());
        self.refusal.map_or(Ok(RequestAnswer::AsConfigured), Err)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails if something was expected and something else was found.
pub(crate) fn expect<T: PartialEq + Debug>(
    what: &str,
    expected: Option<T>,
    found: Option<T>,
) -> Result<(), Failed> {
    if expected.is_none() || expected == found {
        return Ok(());
    }
    let text = format!("{what}: {found:?}, where {expected:?} was wanted");
    Err(Failed::new(text))
}
