//! Child processes whose output is captured while they run, and which are killed when their handle
//! is dropped.

use std::fmt::{self, Display, Formatter};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;
use crate::failure::{Failure, Outcome};

/// A running program. Dropping it kills the program.
#[derive(Debug)]
pub struct Process {
    name: String,
    command_line: String,
    child: Child,
    stdin: Option<ChildStdin>,
    capture: Arc<Capture>,
}

/// What a program has written so far.
#[derive(Debug, Default, Clone)]
pub struct Transcript {
    /// Bytes of the standard output, in order.
    pub stdout: Vec<u8>,
    /// Bytes of the standard error, in order.
    pub stderr: Vec<u8>,
    open_streams: usize,
}

#[derive(Debug)]
struct Capture {
    transcript: Mutex<Transcript>,
    grown: Condvar,
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

impl Process {
    /// Starts `command` with all three standard streams piped.
    ///
    /// # Errors
    ///
    /// When the program cannot be started; the error names it.
    pub fn spawn(name: &str, mut command: Command) -> Outcome<Self> {
        let command_line = render(&command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::from(error).during(format!("cannot start {command_line}")))?;
        let capture = Arc::new(Capture::new());
        let stdout = child.stdout.take().expect("stdout was piped");
        let stderr = child.stderr.take().expect("stderr was piped");
        capture.follow(Stream::Stdout, stdout);
        capture.follow(Stream::Stderr, stderr);
        Ok(Self {
            name: name.to_owned(),
            command_line,
            stdin: child.stdin.take(),
            child,
            capture,
        })
    }

    /// The name given at the start, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes `bytes` to the standard input at once.
    ///
    /// # Errors
    ///
    /// When the input has been closed, by either side.
    pub fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        let Some(stdin) = &mut self.stdin else {
            return Err(Failure::new(format!("stdin of {} is closed", self.name)));
        };
        stdin
            .write_all(bytes)
            .and_then(|()| stdin.flush())
            .map_err(|error| {
                Failure::from(error).during(format!("writing to stdin of {}", self.name))
            })
    }

    /// Closes the standard input, which ends the interactive programs of all peers.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// A copy of everything written so far.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.capture.lock().clone()
    }

    /// Waits until `probe` finds in the output what it looks for, trying again after each new
    /// piece.
    ///
    /// # Errors
    ///
    /// When `deadline` passes, or all output has ended, before `probe` returns a value; `wanted`
    /// says what was waited for.
    pub fn wait_for<T>(
        &self,
        wanted: &str,
        deadline: Deadline,
        mut probe: impl FnMut(&Transcript) -> Option<T>,
    ) -> Outcome<T> {
        let mut transcript = self.capture.lock();
        loop {
            if let Some(found) = probe(&transcript) {
                return Ok(found);
            }
            let ending = if transcript.open_streams == 0 {
                "ended"
            } else if deadline.has_passed() {
                "was too slow"
            } else {
                transcript = self.capture.wait(transcript, deadline.remaining());
                continue;
            };
            return Err(Failure::new(format!(
                "{} {ending} before: {wanted}",
                self.name
            )));
        }
    }

    /// Waits until the program ends on its own and all its output is in the transcript.
    ///
    /// # Errors
    ///
    /// When it still runs at `deadline`, or a child of its own still has its output open.
    pub fn wait_for_exit(&mut self, deadline: Deadline) -> Outcome<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.wait_for("the end of its output", deadline, |transcript| {
                    (transcript.open_streams == 0).then_some(())
                })?;
                return Ok(status);
            }
            if deadline.has_passed() {
                return Err(Failure::new(format!("{} does not end", self.name)));
            }
            thread::sleep(EXIT_POLL);
        }
    }

    /// Sends it a signal, by name.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn signal(&self, name: &str) -> Outcome<()> {
        let number = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &number]).status()?;
        match sent.success() {
            true => Ok(()),
            false => Err(Failure::new(format!("{} takes no {name}", self.name))),
        }
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The command line and the end of both outputs, for a failure report.
    #[must_use]
    pub fn evidence(&self) -> String {
        format!(
            "--- {}: {}\n{}",
            self.name,
            self.command_line,
            self.transcript()
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if the program has already ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Transcript {
    /// The complete lines of the standard error.
    pub fn stderr_lines(&self) -> impl Iterator<Item = String> {
        complete_lines(&self.stderr)
    }

    /// The complete lines of the standard output.
    pub fn stdout_lines(&self) -> impl Iterator<Item = String> {
        complete_lines(&self.stdout)
    }

    /// The index just after the first occurrence of `marker` in the standard output at or after
    /// `from`.
    #[must_use]
    pub fn stdout_after(&self, from: usize, marker: &str) -> Option<usize> {
        self.stdout
            .get(from..)?
            .windows(marker.len())
            .position(|window| window == marker.as_bytes())
            .map(|start| from + start + marker.len())
    }
}

impl Display for Transcript {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (stream, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(formatter, "    {stream}, {} bytes:", bytes.len())?;
            let start = bytes.len().saturating_sub(EVIDENCE_BYTES);
            for line in String::from_utf8_lossy(&bytes[start..]).lines() {
                writeln!(formatter, "    | {line}")?;
            }
        }
        Ok(())
    }
}

impl Capture {
    fn new() -> Self {
        Self {
            transcript: Mutex::new(Transcript {
                open_streams: 2,
                ..Transcript::default()
            }),
            grown: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Transcript> {
        self.transcript
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        transcript: MutexGuard<'a, Transcript>,
        limit: Duration,
    ) -> MutexGuard<'a, Transcript> {
        self.grown
            .wait_timeout(transcript, limit)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(guard, _)| guard)
    }

    /// Starts a thread that appends all of `source` to the transcript; it ends with the stream.
    fn follow(self: &Arc<Self>, stream: Stream, mut source: impl Read + Send + 'static) {
        let capture = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                let mut transcript = capture.lock();
                match stream {
                    Stream::Stdout => transcript.stdout.extend_from_slice(&buffer[..length]),
                    Stream::Stderr => transcript.stderr.extend_from_slice(&buffer[..length]),
                }
                drop(transcript);
                capture.grown.notify_all();
            }
            capture.lock().open_streams -= 1;
            capture.grown.notify_all();
        });
    }
}

fn complete_lines(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes
        .split_inclusive(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
        .map(|line| String::from_utf8_lossy(line).into_owned())
}

fn render(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

/// The interval at which a program is asked whether it has ended.
const EXIT_POLL: Duration = Duration::from_millis(10);

/// How much of each stream a failure report shows, counted from its end.
const EVIDENCE_BYTES: usize = 2500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_seen_while_the_program_runs() {
        let mut process = Process::spawn("cat", Command::new("cat")).expect("cat starts");
        process.write(b"one\ntwo").expect("cat reads");
        let deadline = Deadline::after(Duration::from_secs(5));
        let lines = process
            .wait_for("seven bytes", deadline, |transcript| {
                (transcript.stdout.len() == 7)
                    .then(|| transcript.stdout_lines().collect::<Vec<_>>())
            })
            .expect("cat repeats its input");
        assert_eq!(lines, ["one"]);
        process.close_stdin();
        assert!(process.wait_for_exit(deadline).expect("cat ends").success());
    }

    /// The threads that read the output may finish later than the program.
    #[test]
    fn all_output_is_there_when_the_program_has_ended() {
        let deadline = Deadline::after(Duration::from_secs(60));
        for _ in 0..200 {
            let mut command = Command::new("sh");
            command.args(["-c", "echo word >&2"]);
            let mut process = Process::spawn("sh", command).expect("sh starts");
            process.wait_for_exit(deadline).expect("sh ends");
            assert_eq!(process.transcript().stderr, b"word\n");
        }
    }

    #[test]
    fn waiting_stops_when_the_program_has_ended() {
        let process = Process::spawn("true", Command::new("true")).expect("true starts");
        let failure = process
            .wait_for("a word", Deadline::after(Duration::from_secs(60)), |_| {
                None::<()>
            })
            .expect_err("true says nothing");
        assert_eq!(failure.to_string(), "true ended before: a word");
    }
}
