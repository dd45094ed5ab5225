//! The course of a soak, its table and its verdict.

use crate::agenda::{Agenda, Task};
use crate::crowd::Crowd;
use crate::{memory, support};
use std::time::{Duration, Instant};

/// What to run.
pub struct Options {
    pub associations: u32,
    /// How long there is traffic.
    pub duration: Duration,
    /// The share of datagrams that the link loses, 0 to 1.
    pub loss: f64,
    pub seed: u64,
    /// The mean time between two questions of one association.
    pub pause: Duration,
    /// The mean time between two wishes of one association for new keys.
    pub rekey: Duration,
    /// Whether the time never runs ahead of the clock.
    pub real: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            associations: 10_000,
            duration: Duration::from_secs(600),
            loss: 0.05,
            seed: 1,
            pause: Duration::from_secs(2),
            rekey: Duration::from_secs(60),
            real: false,
        }
    }
}

/// Over how long the associations begin.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The least time between two wishes of an association for new keys. The link reorders by up to a
/// tenth of a second; who replaces keys twice within that time leaves data behind that is two
/// epochs old when it comes, for which nobody keeps keys.
const BREATH: Duration = Duration::from_secs(1);

/// Longer than anything takes that has an end: a renegotiation on a bad link, and the time for
/// which old keys are kept.
const PEACE: Duration = Duration::from_secs(600);

/// How much more may be held in the last third of the time with traffic than in the second.
const TOLERANCE: f64 = 1.02;

/// How many bytes more an association may hold at rest after the traffic than before it: what new
/// keys leave behind once. A leak of a byte for each message would be more.
const LEFT: f64 = 256.0;

/// The same for everything that all associations share.
const LEFT_SHARED: f64 = 65_536.0;

/// A run: the crowd, what it will do, and what was measured.
struct Soak<'a> {
    options: &'a Options,
    crowd: Crowd,
    agenda: Agenda,
    /// When it began, on the clock and in virtual time.
    began: (Instant, Instant),
    /// Bytes held at the end of each interval.
    held: Vec<f64>,
}

/// Runs it, and prints a table and a verdict.
///
/// # Errors
///
/// What went wrong, the first of it.
pub fn run(options: &Options) -> Result<(), Vec<String>> {
    let now = support::clock();
    let crowd = Crowd::new(now, options.associations, options.loss, options.seed);
    let mut soak = Soak {
        options,
        crowd,
        agenda: Agenda::default(),
        began: (now, now),
        held: Vec::new(),
    };
    println!(
        "{} associations, {} % loss, seed {}",
        options.associations,
        100.0 * options.loss,
        options.seed
    );
    soak.connect();
    let before = soak.rest();
    soak.talk();
    soak.agenda.clear();
    let after = soak.rest();
    soak.judge(before, after)
}

impl Soak<'_> {
    /// Lets time pass until `end`.
    fn run_until(&mut self, end: Instant, paced: bool) {
        loop {
            let next = [self.agenda.next(), self.crowd.next()]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.crowd.now = end;
                return;
            };
            self.crowd.now = self.crowd.now.max(next);
            if paced {
                self.wait();
            }
            self.crowd.step();
            while let Some((member, task)) = self.agenda.take(self.crowd.now) {
                self.crowd.perform(member, task);
                self.again(member, task);
            }
        }
    }

    /// Waits until the clock is where the virtual time is.
    fn wait(&self) {
        let (clock, time) = self.began;
        let ahead = (self.crowd.now - time).saturating_sub(support::clock() - clock);
        if ahead > Duration::from_millis(1) {
            std::thread::sleep(ahead);
        }
    }

    /// What is done again and again.
    fn again(&mut self, member: u32, task: Task) {
        let (least, mean) = match task {
            Task::Connect => return,
            Task::Ask => (Duration::ZERO, self.options.pause),
            Task::Rekey => (BREATH, self.options.rekey),
        };
        let at = self.crowd.now + least + self.crowd.dice.time(mean.saturating_sub(least));
        self.agenda.add(at, member, task);
    }

    fn connect(&mut self) {
        for member in 0..self.options.associations {
            let at = self.crowd.now + self.crowd.dice.time(ARRIVAL / 2);
            self.agenda.add(at, member, Task::Connect);
        }
        let start = support::clock();
        let end = self.crowd.now + PEACE;
        while !self.crowd.is_complete() && self.crowd.now < end {
            self.run_until(self.crowd.now + Duration::from_secs(1), false);
        }
        let taken = (support::clock() - start).as_secs_f64();
        println!(
            "{} connected in {taken:.1} s of work",
            self.crowd.tally.connected
        );
    }

    /// Lets everything come to rest, and says how much is held then, in bytes.
    fn rest(&mut self) -> f64 {
        self.run_until(self.crowd.now + PEACE, false);
        self.crowd.release();
        memory::held()
    }

    fn talk(&mut self) {
        for member in 0..self.options.associations {
            self.again(member, Task::Ask);
            self.again(member, Task::Rekey);
        }
        println!(
            "| minute | sent | delivered | lost by the link | on the way | held back | refused \
             | renegotiations | abbreviated | refused | key updates | KiB an association \
             | RSS, MiB | s of work |"
        );
        println!("|{}", "--:|".repeat(14));
        self.began = (support::clock(), self.crowd.now);
        let interval = Duration::from_secs(60).min(self.options.duration / 12);
        let end = self.crowd.now + self.options.duration;
        while self.crowd.now < end && self.crowd.faults.len() < 20 {
            self.run_until(end.min(self.crowd.now + interval), self.options.real);
            self.row();
        }
    }

    fn row(&mut self) {
        let (held_back, on_the_way) = self.crowd.unsettled();
        let minute = (self.crowd.now - self.began.1).as_secs_f64() / 60.0;
        let work = (support::clock() - self.began.0).as_secs_f64();
        let held = memory::held();
        self.held.push(held);
        let each = held / 1024.0 / f64::from(self.options.associations);
        let resident = memory::resident().unwrap_or_default() / f64::from(1 << 20);
        let tally = &self.crowd.tally;
        println!(
            "| {minute:.1} | {} | {} | {} | {on_the_way} | {held_back} | {} | {} | {} | {} | {} \
             | {each:.2} | {resident:.0} | {work:.0} |",
            tally.sent,
            tally.delivered,
            tally.lost,
            tally.refused,
            tally.renegotiations,
            tally.abbreviated,
            tally.renegotiations_refused,
            tally.key_updates,
        );
    }

    fn judge(mut self, before: f64, after: f64) -> Result<(), Vec<String>> {
        let (missing, discards) = self.crowd.settle();
        let mut faults = std::mem::take(&mut self.crowd.faults);
        let tally = &self.crowd.tally;
        if !self.crowd.is_complete() {
            faults.push(format!("only {} were ever connected", tally.connected));
        }
        if tally.sent != tally.delivered + tally.lost + missing {
            faults.push("the sum is wrong".to_owned());
        }
        if tally.renegotiations == 0 || tally.key_updates == 0 || tally.delivered == 0 {
            faults.push(format!("nothing was tried: {tally:?}"));
        }
        let left = LEFT * f64::from(self.options.associations) + LEFT_SHARED;
        if after > before + left {
            faults.push(format!(
                "{after} bytes are held after the traffic, {before} before it"
            ));
        }
        let third = self.held.len() / 3;
        let most = |range: &[f64]| range.iter().copied().fold(0.0, f64::max);
        let (earlier, late) = (
            most(&self.held[third..2 * third]),
            most(&self.held[2 * third..]),
        );
        if self.options.duration >= Duration::from_secs(600) && late > TOLERANCE * earlier {
            faults.push(format!(
                "{late} bytes are held at the end, {earlier} in the middle"
            ));
        }
        let each = |bytes: f64| bytes / 1024.0 / f64::from(self.options.associations);
        println!(
            "{} sent = {} delivered + {} lost by the link + {missing} that came without a key; \
             {} of {} datagrams were lost",
            tally.sent, tally.delivered, tally.lost, tally.datagrams_lost, tally.datagrams
        );
        println!(
            "held at rest, KiB an association: {:.3} before, {:.3} after; in traffic at most {:.2} \
             in the second third of the time, {:.2} in the last",
            each(before),
            each(after),
            each(earlier),
            each(late)
        );
        println!("discarded: {discards:?}");
        faults.truncate(20);
        println!(
            "verdict: {}",
            if faults.is_empty() { "good" } else { "BAD" }
        );
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }
}
