//! Clocks, cores, and what a measurement is: items that take turns round by round in one process,
//! medians over the rounds of a run, and five runs, of which the middle one is the figure.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// How many runs every row has.
pub const RUNS: usize = 5;

/// The core of whoever sends first, or of a measurement that needs only one.
pub const SENDER: usize = 0;

/// The core of whoever answers.
pub const RECEIVER: usize = 1;

/// How long the measurements are.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Rounds in a run, at least one.
    pub rounds: usize,
    /// Multiplies the work of a round: 1 in full, less with `--quick`.
    pub work: f64,
}

impl Effort {
    /// For what needs no sockets: shorter rounds, and more of them.
    pub fn in_memory(self) -> Self {
        Self {
            rounds: self.rounds * 5,
            work: self.work,
        }
    }

    /// For rounds that last long: one in a run.
    pub fn long(self) -> Self {
        Self {
            rounds: 1,
            work: self.work,
        }
    }

    /// What a round does, from `full` calls in full.
    pub fn calls(self, full: u32) -> u32 {
        ((f64::from(full) * self.work) as u32).max(1)
    }

    /// How long a round lasts, from `full` in full.
    pub fn time(self, full: Duration) -> Duration {
        full.mul_f64(self.work)
    }
}

/// Keeps the calling thread on one core, if the machine has it.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    let pinned = set
        .set(core)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    // A machine of one core, or a container that may not use this one: the figures then say less,
    // but the ratios still compare equals.
    if pinned.is_err() {
        eprintln!("a thread could not be kept on core {core}");
    }
}

/// The processor time that the calling thread has used, in user and in kernel mode.
pub fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    time.into()
}

/// The processor time of `operation` a call, in nanoseconds.
pub fn cpu_ns(calls: u32, mut operation: impl FnMut()) -> f64 {
    let start = thread_cpu();
    for _ in 0..calls {
        operation();
    }
    (thread_cpu() - start).as_secs_f64() * 1e9 / f64::from(calls)
}

/// The time now.
#[allow(clippy::disallowed_methods, reason = "a bench measures")]
pub fn now() -> Instant {
    Instant::now()
}

/// The middle value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One thing to be measured: each call is one round, and returns one value for each metric.
pub struct Item<'a> {
    name: String,
    round: Box<dyn FnMut() -> Vec<f64> + 'a>,
}

impl<'a> Item<'a> {
    /// An item whose rounds return the metrics that the board names.
    pub fn new(name: impl Into<String>, round: impl FnMut() -> Vec<f64> + 'a) -> Self {
        Self {
            name: name.into(),
            round: Box::new(round),
        }
    }
}

/// What was measured, by run, round, item and metric.
pub struct Board {
    /// What each item shows, with its unit.
    pub metrics: Vec<&'static str>,
    /// The names of the items.
    pub items: Vec<String>,
    samples: Vec<Vec<Vec<Vec<f64>>>>,
}

/// A value of each run, and the middle one.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The median of the runs.
    pub median: f64,
    /// Each of them, in the order in which they were run.
    pub runs: Vec<f64>,
}

/// One round of all items.
pub struct Round<'a> {
    board: &'a Board,
    samples: &'a [Vec<f64>],
}

impl Round<'_> {
    /// What `item` has shown of `metric`.
    pub fn get(&self, item: &str, metric: &str) -> f64 {
        let (item, metric) = (self.board.item(item), self.board.metric(metric));
        self.samples[item][metric]
    }
}

impl Board {
    /// Measures: five runs, in each of which the items take turns round by round. Each starts a
    /// round once in a while, so none always comes after the same other.
    pub fn measure(effort: Effort, metrics: &[&'static str], mut items: Vec<Item<'_>>) -> Self {
        let count = items.len();
        let mut turn = 0;
        let mut round = || {
            let mut samples = vec![Vec::new(); count];
            for offset in 0..count {
                let place = (turn + offset) % count;
                samples[place] = (items[place].round)();
            }
            turn += 1;
            samples
        };
        // The first time pays for fresh memory and cold caches.
        round();
        let samples = (0..RUNS)
            .map(|_| (0..effort.rounds).map(|_| round()).collect())
            .collect();
        Self {
            metrics: metrics.to_vec(),
            items: items.into_iter().map(|item| item.name).collect(),
            samples,
        }
    }

    /// What another process has measured: for each run one value of one metric for each item.
    pub fn of_runs(metric: &'static str, items: Vec<String>, runs: Vec<Vec<f64>>) -> Self {
        let samples = runs
            .into_iter()
            .map(|run| vec![run.into_iter().map(|value| vec![value]).collect()]);
        Self {
            metrics: vec![metric],
            items,
            samples: samples.collect(),
        }
    }

    fn item(&self, name: &str) -> usize {
        let place = self.items.iter().position(|item| item == name);
        place.unwrap_or_else(|| panic!("no item {name:?} among {:?}", self.items))
    }

    fn metric(&self, name: &str) -> usize {
        let place = self.metrics.iter().position(|metric| *metric == name);
        place.unwrap_or_else(|| panic!("no metric {name:?} among {:?}", self.metrics))
    }

    /// Whether there is such an item: foreign stacks can be left out.
    pub fn has(&self, name: &str) -> bool {
        self.items.iter().any(|item| item == name)
    }

    /// The median over the rounds of what `value` makes of one, for each run.
    pub fn figure(&self, value: impl Fn(&Round<'_>) -> f64) -> Figure {
        let of = |samples: &Vec<Vec<f64>>| {
            value(&Round {
                board: self,
                samples,
            })
        };
        let runs: Vec<f64> = self
            .samples
            .iter()
            .map(|rounds| median(rounds.iter().map(of).collect()))
            .collect();
        Figure {
            median: median(runs.clone()),
            runs,
        }
    }

    /// One metric of one item.
    pub fn value(&self, item: &str, metric: &str) -> Figure {
        self.figure(|round| round.get(item, metric))
    }

    /// One metric of an item in proportion to that of another, in the same rounds.
    pub fn ratio(&self, item: &str, other: &str, metric: &str) -> Figure {
        self.figure(|round| round.get(item, metric) / round.get(other, metric))
    }
}
