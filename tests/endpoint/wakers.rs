//! What an endpoint wakes when an answer comes.

use crate::common::configs::{Pki, server_name, start};
use sealgram::identity::{CertifiedKey, Credential, SignHandshake, SigningKey};
use sealgram::sim::Pair;
use sealgram::{ClientConfig, Reply, ServerConfig, SignatureScheme};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

/// A key that makes no signature, but keeps what it was asked.
#[derive(Debug)]
struct Keeping {
    key: SigningKey,
    asked: Mutex<Vec<Reply<Vec<u8>>>>,
}

impl SignHandshake for Keeping {
    fn schemes(&self) -> &[SignatureScheme] {
        self.key.schemes()
    }

    fn sign(&self, _: SignatureScheme, _: &[u8], signature: Reply<Vec<u8>>) {
        self.asked.lock().unwrap().push(signature);
    }
}

/// A task that owns the question, and goes with its last waker.
struct Task {
    _question: Mutex<Reply<Vec<u8>>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {}
}

/// A pair whose server waits for a signature, and the question.
fn waiting() -> (Pair, Reply<Vec<u8>>) {
    let pki = Pki::new(&rcgen::PKCS_ED25519);
    let (leaf, key) = pki.leaf_and_key(&rcgen::PKCS_ED25519, |_| {});
    let signer = Arc::new(Keeping {
        key: SigningKey::new(&key).unwrap(),
        asked: Mutex::default(),
    });
    let certified = CertifiedKey::with_signer(vec![leaf], signer.clone()).unwrap();
    let server = ServerConfig::with_credential(Credential::Certificate(certified));
    let client = ClientConfig::with_roots(pki.roots()).unwrap();
    let mut pair = Pair::new(server.build().unwrap().into(), start(), 1).unwrap();
    pair.connect(client.build().unwrap().into(), server_name())
        .unwrap();
    pair.run_until(Duration::from_secs(1), |_| {
        !signer.asked.lock().unwrap().is_empty()
    });
    let question = signer.asked.lock().unwrap().pop().unwrap();
    (pair, question)
}

/// A waker that is replaced may be the last of a task which owns what was asked.
#[test]
fn a_waker_that_goes_may_give_the_answer() {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let (mut pair, question) = waiting();
        let task = Task {
            _question: Mutex::new(question),
        };
        pair.server.set_waker(Waker::from(Arc::new(task)));
        pair.server.set_waker(Waker::noop().clone());
        done.send(pair.server.handle_answers(pair.now)).unwrap();
    });
    let looked_at = wait.recv_timeout(Duration::from_secs(10));
    assert_eq!(looked_at.expect("a deadlock"), 1);
}
