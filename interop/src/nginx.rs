//! nginx as a balancer of datagrams (`stream`), with a configuration for DTLS.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};
use crate::port::{self, Listening, next_free_port};
use crate::process::{Process, Transcript};

/// A running nginx. Dropping it stops it with its workers.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    address: SocketAddr,
}

impl Nginx {
    /// Starts nginx before `servers`; its files go to `directory`.
    ///
    /// # Errors
    ///
    /// When it is not installed, or does not start before `deadline`.
    pub fn start(directory: &Path, servers: &[SocketAddr], deadline: Deadline) -> Outcome<Self> {
        if !Path::new(MODULE).is_file() {
            return Err(Failure::new(format!(
                "{MODULE} is missing: install nginx and libnginx-mod-stream, as interop/run does"
            )));
        }
        let file = directory.join("nginx.conf");
        let command = |port| {
            fs::write(&file, configuration(directory, port, servers))?;
            let mut command = Command::new("nginx");
            command.args(["-e", "stderr", "-p"]).arg(directory);
            command.arg("-c").arg(&file);
            Ok(command)
        };
        let (process, port) = port::start("nginx", next_free_port, command, listening, deadline)?;
        let address = ([127, 0, 0, 1], port).into();
        Ok(Self { process, address })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its configuration and what it has logged, for a failure report.
    #[must_use]
    pub fn evidence(&self) -> String {
        self.process.evidence()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // If it were killed its workers would go on.
        if self.process.signal("TERM").is_ok() {
            let _ = self.process.wait_for_exit(Deadline::after(PATIENCE));
        }
    }
}

/// A session of nginx, which is a client's address with the server that was chosen for it, must
/// last as long as an association: a session of its own for each datagram (`proxy_requests 1`)
/// would give each hello another address, and no cookie would ever be good. Each worker has a
/// socket of its own (`reuseport`), since a worker knows its own sessions only. The workers tell
/// each other which server does not answer (`zone`).
fn configuration(directory: &Path, port: u16, servers: &[SocketAddr]) -> String {
    let mut upstream = String::new();
    for server in servers {
        let _ = write!(upstream, "server {server} fail_timeout=60s; ");
    }
    format!(
        "daemon off;
worker_processes 2;
pid {pid};
error_log stderr info;
load_module {MODULE};
events {{ worker_connections 256; }}
stream {{
    upstream fleet {{ zone fleet 64k; {upstream}}}
    server {{
        listen 127.0.0.1:{port} udp reuseport;
        proxy_pass fleet;
        proxy_timeout 20m;
    }}
}}
",
        pid = directory.join("nginx.pid").display(),
    )
}

fn listening(transcript: &Transcript, port: u16) -> Option<Listening> {
    let lines: Vec<_> = transcript.stderr_lines().collect();
    if lines.iter().any(|line| line.contains("bind() to")) {
        return Some(Listening::Taken);
    }
    let workers = lines
        .iter()
        .filter(|line| line.contains("start worker process "));
    (workers.count() == WORKERS).then_some(Listening::On(port))
}

/// Debian's package `libnginx-mod-stream`.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

const WORKERS: usize = 2;

/// How long it may take to stop.
const PATIENCE: Duration = Duration::from_secs(5);
