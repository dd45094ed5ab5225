//! Ten thousand associations for as long as you like: two endpoints, a link that loses datagrams
//! in each direction, questions and echoes at random, renegotiations of the associations of
//! version 1.2 and key updates of those of 1.3. It ends with a verdict, which is also its exit
//! code: nothing is lost but what the link lost, nothing comes twice or altered, nothing fails or
//! is discarded that has no reason to be, and what is held stays the same.
//!
//! ```text
//! cargo bench -p sealgram-benches --bench soak -- --associations 10000 --minutes 10 --loss 5
//! ```
//!
//! The time is virtual: it jumps to the next thing that happens, so ten minutes take as long as
//! the work of them. With `--real` it does not run ahead of the clock on the wall.

#![allow(unreachable_pub, reason = "a program has no users but its own modules")]

mod agenda;
mod crowd;
mod flow;
mod memory;
mod run;
#[path = "../support/mod.rs"]
mod support;

use run::Options;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "soak, with at least one of these:
  --associations N   10,000 by default
  --minutes M        how long there is traffic, 10 by default
  --loss PERCENT     of the datagrams, 5 by default
  --seed N           1 by default
  --pause SECONDS    between two questions of an association, on average; 2 by default
  --rekey SECONDS    between two wishes of an association for new keys; 60 by default
  --real             the time never runs ahead of the clock";

/// What the command line asks for.
fn options(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = arguments.iter();
    while let Some(name) = arguments.next() {
        if name == "--real" {
            options.real = true;
            continue;
        }
        let value = arguments.next().and_then(|value| value.parse::<f64>().ok());
        let Some(value) = value.filter(|&value| value >= 0.0) else {
            return Err(format!("{name} needs a number"));
        };
        match name.as_str() {
            "--associations" if (1.0..=16_000_000.0).contains(&value) => {
                options.associations = value as u32;
            }
            "--minutes" if value > 0.0 => options.duration = Duration::from_secs_f64(60.0 * value),
            "--loss" if value < 100.0 => options.loss = value / 100.0,
            "--seed" => options.seed = value as u64,
            "--pause" if value > 0.0 => options.pause = Duration::from_secs_f64(value),
            "--rekey" if value > 0.0 => options.rekey = Duration::from_secs_f64(value),
            _ => {
                return Err(format!(
                    "{name} {value}: no such option, or out of its range"
                ));
            }
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    // Cargo adds one. Who runs all benches, or those of a name, wants figures and not this.
    let arguments = std::env::args().skip(1).filter(|it| it != "--bench");
    let arguments: Vec<String> = arguments.collect();
    if !arguments.iter().any(|it| it.starts_with("--")) {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            for fault in faults {
                println!("FAULT {fault}");
            }
            ExitCode::FAILURE
        }
    }
}
