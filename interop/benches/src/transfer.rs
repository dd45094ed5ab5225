//! One end sends as fast as it can on one core, the other receives on another.

use crate::measure::{RECEIVER, SENDER, now, pin, thread_cpu};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Whoever sends.
pub trait Tx: Send {
    /// Sends for as long as `pace` allows, and returns how many datagrams.
    fn send(&mut self, pace: &mut Pace<'_>) -> u64;
}

/// Whoever receives.
pub trait Rx {
    /// Waits for datagrams, but not much longer than [`PATIENCE`](crate::sockets::PATIENCE), opens
    /// what has come and returns how many that were.
    fn receive(&mut self) -> u64;
}

/// The metrics of [`transfer`], in this order.
pub const METRICS: [&str; 6] = [
    "Gbit/s",
    "lost %",
    "tx ns",
    "rx ns",
    "tx + rx ns",
    "Gbit/s by CPU",
];

/// How many datagrams may be sent while the receiver takes none. The receiver is not running then,
/// because somebody else has its core. At version 1.3 a record carries 16 bits of its number (RFC
/// 9147 §4, §4.2.2): who misses half as many in a row may open none of the later ones.
const LEAD: u64 = 1 << 14;

/// How long a sender sends.
pub struct Pace<'a> {
    deadline: Instant,
    received: &'a AtomicU64,
    /// What the receiver had taken when it was last seen to take something, and what was sent then.
    seen: (u64, u64),
    checked: u64,
}

impl Pace<'_> {
    /// Whether to go on after `sent` datagrams. The clock is asked once in 64 datagrams, because it
    /// has its price.
    pub fn goes_on(&mut self, sent: u64) -> bool {
        if sent - self.checked < 64 {
            return true;
        }
        self.checked = sent;
        let received = self.received.load(Ordering::Relaxed);
        if received != self.seen.0 {
            self.seen = (received, sent);
        } else if sent - self.seen.1 > LEAD {
            while self.received.load(Ordering::Relaxed) == received && now() < self.deadline {
                thread::sleep(Duration::from_micros(100));
            }
        }
        now() < self.deadline
    }
}

/// Sends for `time` and returns [`METRICS`]. Received is what came before the sender stopped; lost
/// is what never came; the processor time is for each datagram sent, or received. The last metric
/// is what the slower end would reach with a core for itself: it does not move when others use the
/// machine.
pub fn transfer(tx: &mut dyn Tx, rx: &mut dyn Rx, bytes: u64, time: Duration) -> Vec<f64> {
    let (done, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut in_time = 0;
    let barrier = Barrier::new(2);
    let (sent, tx_cpu, elapsed, received, rx_cpu) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            pin(SENDER);
            barrier.wait();
            let (start, cpu) = (now(), thread_cpu());
            let sent = tx.send(&mut Pace {
                deadline: start + time,
                received: &progress,
                seen: (0, 0),
                checked: 0,
            });
            let elapsed = start.elapsed();
            let cpu = thread_cpu() - cpu;
            done.store(true, Ordering::Release);
            (sent, cpu, elapsed)
        });
        pin(RECEIVER);
        barrier.wait();
        let (cpu, mut received) = (thread_cpu(), 0);
        loop {
            let over = done.load(Ordering::Acquire);
            let count = rx.receive();
            received += count;
            progress.store(received, Ordering::Relaxed);
            if !over {
                in_time = received;
            } else if count == 0 {
                // What was in the socket when the sender stopped has been taken.
                break;
            }
        }
        let rx_cpu = thread_cpu() - cpu;
        let (sent, tx_cpu, elapsed) = sender.join().expect("the sender does not panic");
        (sent, tx_cpu, elapsed, received, rx_cpu)
    });
    let tx = tx_cpu.as_secs_f64() * 1e9 / sent as f64;
    let rx = rx_cpu.as_secs_f64() * 1e9 / received as f64;
    vec![
        (in_time * bytes) as f64 * 8.0 / elapsed.as_secs_f64() / 1e9,
        100.0 * (1.0 - received as f64 / sent as f64),
        tx,
        rx,
        tx + rx,
        (bytes * 8) as f64 / tx.max(rx),
    ]
}
