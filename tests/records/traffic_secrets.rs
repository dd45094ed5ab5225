//! What a kernel needs to take over the records of a connection.

use crate::common::configs::{Ends, server_name, start};
use sealgram::config::{KeyLog, Versions};
use sealgram::error::ApiMisuse;
use sealgram::sim::StreamPair;
use sealgram::{KeyUpdate, TlsConnection};
use std::sync::{Arc, Mutex};

/// What a key log is told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<(String, Vec<u8>)>>);

impl KeyLog for Told {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let line = (label.to_owned(), secret.to_vec());
        self.0.lock().unwrap().push(line);
    }
}

impl Told {
    fn secret(&self, label: &str) -> Vec<u8> {
        let told = self.0.lock().unwrap();
        let line = told.iter().find(|(it, _)| it == label);
        line.unwrap().1.clone()
    }
}

/// What one end reads with, what it writes with, and the numbers of the next records.
fn secrets(connection: &TlsConnection) -> (Vec<u8>, u64, Vec<u8>, u64) {
    let secrets = connection.traffic_secrets().unwrap();
    let (read, write) = (secrets.read, secrets.write);
    let (reads, writes) = (read.secret.to_vec(), write.secret.to_vec());
    (reads, read.next_sequence, writes, write.next_sequence)
}

/// RFC 8446 §7.1, §7.2: both ends hold the same, it is what the key log calls application traffic
/// secrets, and a key update makes other ones and counts from 0 again.
#[test]
fn both_ends_export_the_same_traffic_secrets() {
    let told = Arc::new(Told::default());
    let mut ends = Ends::new().versions(Versions::V1_3);
    ends.client = ends.client.key_log(told.clone());
    let configs = ends.build();
    let mut pair = StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
    let early = pair.client.connection.traffic_secrets();
    assert_eq!(early.unwrap_err(), ApiMisuse::HandshakeNotComplete);
    pair.run();
    for round in 0..3 {
        pair.client.connection.send(pair.now, b"to server").unwrap();
        pair.run();
        let (reads, read, writes, written) = secrets(&pair.client.connection);
        let server = secrets(&pair.server.connection);
        assert_eq!((writes.clone(), written, reads.clone(), read), server);
        assert_eq!(written, 1 + round);
        assert_eq!(writes, told.secret("CLIENT_TRAFFIC_SECRET_0"));
        assert_eq!(reads, told.secret("SERVER_TRAFFIC_SECRET_0"));
    }
    let (_, read, before, _) = secrets(&pair.client.connection);
    let update = KeyUpdate::NotRequested;
    pair.client.connection.key_update(update).unwrap();
    pair.run();
    let (_, read_after, after, written) = secrets(&pair.client.connection);
    assert_ne!(before, after);
    assert_eq!((written, read_after), (0, read));
    let (reads, read, _, _) = secrets(&pair.server.connection);
    assert_eq!((reads, read), (after, 0));
    let text = format!("{:?}", pair.client.connection.traffic_secrets());
    assert_eq!(text.matches("next_sequence").count(), 2, "{text}");
    assert!(!text.contains("secret:"), "{text}");
}

#[test]
fn version_1_2_has_no_traffic_secrets() {
    let configs = Ends::new().build();
    let mut pair = StreamPair::new(start(), configs.client, configs.server, server_name()).unwrap();
    pair.run();
    let outcome = pair.server.connection.traffic_secrets();
    assert_eq!(outcome.unwrap_err(), ApiMisuse::NotSupportedByVersion);
}
