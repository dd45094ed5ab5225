//! Standard input, line by line, for an event loop.

use crate::problem::Problem;
use crate::report::Line;
use mio::Waker;
use sealgram::KeyUpdate;
use sealgram::error::{KeyUpdateError, RenegotiateError};
use std::fmt;
use std::io::{self, BufRead, Read as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

/// The lines of standard input. A thread reads them, because a terminal or a pipe cannot be polled
/// everywhere.
#[derive(Debug)]
pub(crate) struct Input {
    lines: Receiver<Vec<u8>>,
    /// Kept alive beyond the thread: dropping a waker discards a wake-up that has not been seen
    /// yet.
    _waker: Arc<Waker>,
}

/// What was read from standard input.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// A line, with its end if it has one.
    Line(Vec<u8>),
    /// Nothing yet; the waker wakes the loop when there is more.
    Nothing,
    /// The end of the input.
    End,
}

/// A line that is not data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// `R`.
    Renegotiate,
    /// `r`.
    RenegotiateAbbreviated,
    /// `k`, or `K` to ask the peer for the same.
    KeyUpdate(KeyUpdate),
}

/// Why a command is not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    Renegotiate(RenegotiateError),
    KeyUpdate(KeyUpdateError),
}

impl From<RenegotiateError> for Refused {
    fn from(error: RenegotiateError) -> Self {
        Self::Renegotiate(error)
    }
}

impl From<KeyUpdateError> for Refused {
    fn from(error: KeyUpdateError) -> Self {
        Self::KeyUpdate(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renegotiate(error) => error.fmt(f),
            Self::KeyUpdate(error) => error.fmt(f),
        }
    }
}

/// The most lines that wait. When they are not taken, the thread stops reading, and the writer of a
/// pipe has to wait.
const QUEUE: usize = 256;

/// The length, in bytes, at which a line that does not end is cut. No datagram could hold more.
const MAX_LINE: u64 = 1 << 16;

impl Input {
    /// Starts to read; `waker` is used whenever [`Input::next`] has something new.
    pub(crate) fn stdin(waker: Waker) -> Result<Self, Problem> {
        let (sender, lines) = sync_channel(QUEUE);
        let waker = Arc::new(waker);
        let shared = waker.clone();
        thread::Builder::new()
            .name("stdin".into())
            .spawn(move || read(sender, &shared))
            .map_err(|error| Problem::failure(format!("no thread for standard input: {error}")))?;
        Ok(Self {
            lines,
            _waker: waker,
        })
    }

    /// The command that a line stands for, if it is one.
    pub(crate) fn command(line: &[u8]) -> Option<Command> {
        match line.trim_ascii_end() {
            b"R" => Some(Command::Renegotiate),
            b"r" => Some(Command::RenegotiateAbbreviated),
            b"k" => Some(Command::KeyUpdate(KeyUpdate::NotRequested)),
            b"K" => Some(Command::KeyUpdate(KeyUpdate::Requested)),
            _ => None,
        }
    }

    /// The next line, if there is one.
    pub(crate) fn next(&mut self) -> Next {
        match self.lines.try_recv() {
            Ok(line) => Next::Line(line),
            Err(TryRecvError::Empty) => Next::Nothing,
            Err(TryRecvError::Disconnected) => Next::End,
        }
    }
}

fn read(sender: SyncSender<Vec<u8>>, waker: &Waker) {
    let mut stdin = io::stdin().lock();
    loop {
        match read_line(&mut stdin) {
            Ok(line) if line.is_empty() => break,
            Ok(line) => {
                if sender.send(line).is_err() || waker.wake().is_err() {
                    return;
                }
            }
            Err(error) => {
                let reason = format!("standard input cannot be read: {error}");
                Line::new("error").field("reason", reason).print();
                break;
            }
        }
    }
    // The end must be visible before the loop is woken.
    drop(sender);
    let _loop_is_over = waker.wake();
}

/// Reads a line with its end; an empty one is the end of the input.
fn read_line(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    input.take(MAX_LINE).read_until(b'\n', &mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_letter_alone_is_a_command() {
        assert_eq!(Input::command(b"R\n"), Some(Command::Renegotiate));
        assert_eq!(
            Input::command(b"r\r\n"),
            Some(Command::RenegotiateAbbreviated)
        );
        for line in [&b"Run\n"[..], b"\n", b" R\n", b"RR"] {
            assert_eq!(Input::command(line), None);
        }
    }

    #[test]
    fn a_line_keeps_its_end_and_an_endless_one_is_cut() {
        let long = vec![b'x'; usize::try_from(MAX_LINE).unwrap() + 1];
        let text = [b"one\ntwo\r\n".as_slice(), &long].concat();
        let mut input = text.as_slice();
        assert_eq!(read_line(&mut input).unwrap(), b"one\n");
        assert_eq!(read_line(&mut input).unwrap(), b"two\r\n");
        assert_eq!(read_line(&mut input).unwrap(), long[1..]);
        assert_eq!(read_line(&mut input).unwrap(), b"x");
        assert_eq!(read_line(&mut input).unwrap(), b"");
    }
}
