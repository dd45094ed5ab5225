//! Floods a tunnel with plain datagrams and counts what arrives: `udp_flood up|down TO AT SECONDS
//! PID…`.
//!
//! `TO` is what the tunnel's client listens at, `AT` what its server forwards to; `up` sends from
//! there to here. For each process the processor time is told that it took for a datagram.
//! `PACE_US` is the pause between two batches, in microseconds. `unwrap` is allowed here.

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use std::io::{ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SIZE: usize = 1200;
const BATCH: usize = 50;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [way, to, at, seconds, pids @ ..] = &words[..] else {
        panic!("udp_flood up|down TO AT SECONDS PID…");
    };
    let duration = Duration::from_secs(seconds.parse().unwrap());
    let service = UdpSocket::bind(at).unwrap();
    let program = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to: SocketAddr = to.parse().unwrap();
    let seen_at = begin(&program, to, &service);
    let (sender, to, sink) = match way.as_str() {
        "up" => (program, to, service),
        _ => (service, seen_at, program),
    };
    socket2::SockRef::from(&sink)
        .set_recv_buffer_size(4 << 20)
        .unwrap();
    let received = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| count(&sink, &received));
        let before: Vec<_> = pids.iter().map(|pid| ticks(pid)).collect();
        let (began, first) = (Instant::now(), received.load(Ordering::Relaxed));
        let sent = flood(&sender, to, began + duration);
        let arrived = received.load(Ordering::Relaxed) - first;
        let seconds = began.elapsed().as_secs_f64();
        let size = SIZE as f64;
        println!(
            "sent {sent} arrived {arrived} in {seconds:.2} s: {:.0} Mbit/s",
            arrived as f64 * size * 8.0 / seconds / 1e6
        );
        thread::sleep(Duration::from_millis(200));
        for (pid, before) in pids.iter().zip(before) {
            let nanoseconds = (ticks(pid) - before) as f64 * 1e7;
            println!(
                "process {pid}: {:.0} ns a datagram that was sent, {:.0} a datagram that arrived",
                nanoseconds / sent as f64,
                nanoseconds / arrived as f64
            );
        }
        std::process::exit(0);
    });
}

/// Sends until something arrives, and returns where the service sees it come from.
fn begin(program: &UdpSocket, to: SocketAddr, service: &UdpSocket) -> SocketAddr {
    let pause = Duration::from_millis(100);
    service.set_read_timeout(Some(pause)).unwrap();
    loop {
        program.send_to(&[0; SIZE], to).unwrap();
        if let Ok((_, from)) = service.recv_from(&mut [0; SIZE]) {
            service.set_read_timeout(None).unwrap();
            return from;
        }
    }
}

/// Sends as much as the socket takes.
fn flood(sender: &UdpSocket, to: SocketAddr, until: Instant) -> u64 {
    let state = UdpSocketState::new(sender.into()).unwrap();
    let contents = vec![7; SIZE * BATCH];
    let transmit = Transmit {
        destination: to,
        ecn: None,
        contents: &contents,
        segment_size: Some(SIZE),
        src_ip: None,
    };
    let pace = std::env::var("PACE_US").ok().map(|it| it.parse().unwrap());
    let pace = pace.map(Duration::from_micros);
    let mut next = Instant::now();
    let mut sent = 0;
    while Instant::now() < until {
        if let Some(pace) = pace {
            next += pace;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        match state.try_send(sender.into(), &transmit) {
            Ok(()) => sent += BATCH as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

/// Counts what comes.
fn count(sink: &UdpSocket, received: &AtomicU64) {
    let state = UdpSocketState::new(sink.into()).unwrap();
    sink.set_nonblocking(false).unwrap();
    let mut buffers = vec![vec![0; 1 << 16]; BATCH_SIZE];
    loop {
        let mut meta = [RecvMeta::default(); BATCH_SIZE];
        let mut slices: Vec<_> = buffers.iter_mut().map(|it| IoSliceMut::new(it)).collect();
        let filled = state.recv(sink.into(), &mut slices, &mut meta).unwrap();
        let datagrams = meta[..filled]
            .iter()
            .map(|it| it.len.div_ceil(it.stride.max(1)));
        received.fetch_add(datagrams.sum::<usize>() as u64, Ordering::Relaxed);
    }
}

/// The processor time of a process, in hundredths of a second.
fn ticks(pid: &str) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
