//! The program as a child process that ends in any case, and whose output can be waited for.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// How long any step may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. Dropping it ends it.
pub(crate) struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// The lines of standard error that were read.
    said: Vec<String>,
}

impl Program {
    /// Starts `sealgram` with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(&[], arguments)
    }

    /// The same with these variables in its environment.
    pub(crate) fn start_in(environment: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealgram"));
        command.args(arguments).env_remove("SSLKEYLOGFILE");
        command.envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// The same with a limit on its descriptors.
    pub(crate) fn start_limited(descriptors: u32, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_sealgram")]);
        command.args(arguments).env_remove("SSLKEYLOGFILE");
        Self::spawn(command)
    }

    /// The same with a socket that is passed as systemd does (`LISTEN_FDS`).
    #[cfg(unix)]
    pub(crate) fn start_passing(socket: std::net::UdpSocket, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\" 3<&0 </dev/null";
        command.args(["-c", script, env!("CARGO_BIN_EXE_sealgram")]);
        command.args(arguments).env_remove("SSLKEYLOGFILE");
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
        Self::spawn_with_stdin(command)
    }

    fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        Self::spawn_with_stdin(command)
    }

    fn spawn_with_stdin(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            said: Vec::new(),
            child,
        }
    }

    /// Writes to its standard input.
    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Ends its standard input.
    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line of its standard output.
    pub(crate) fn line(&mut self) -> String {
        self.stdout
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("no line; it said {:#?}", self.rest()))
    }

    /// The next event with this name, as its whole line.
    pub(crate) fn event(&mut self, name: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            match self.stderr.recv_timeout(patience) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.split(' ').next() == Some(&format!("event={name}")) {
                        return line;
                    }
                }
                Err(_) => panic!("no event {name}; it said {:#?}", self.said),
            }
        }
    }

    /// The next line of its standard error that is wanted, if it comes in time.
    pub(crate) fn event_within(
        &mut self,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let deadline = Instant::now() + patience;
        loop {
            let patience = deadline.saturating_duration_since(Instant::now());
            let line = self.stderr.recv_timeout(patience).ok()?;
            self.said.push(line.clone());
            if wanted(&line) {
                return Some(line);
            }
        }
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end. Returns the exit code, and everything on standard error.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "no end; it said {:#?}",
                self.rest()
            );
            thread::sleep(Duration::from_millis(10));
        };
        let code = status.code();
        (code, self.rest().join("\n"))
    }

    fn rest(&mut self) -> Vec<String> {
        // A program that is over has closed its output; otherwise the output of the next moment is
        // enough.
        while let Ok(line) = self.stderr.recv_timeout(Duration::from_millis(500)) {
            self.said.push(line);
        }
        std::mem::take(&mut self.said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _over_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Passes on the lines of a pipe, so that they can be waited for with a limit.
fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The value of `key` in an event line.
pub(crate) fn value<'a>(event: &'a str, key: &str) -> &'a str {
    event
        .split(' ')
        .find_map(|field| field.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {key} in {event}"))
}

/// A directory of its own for each test, removed at its end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(test: &str) -> Self {
        let path = env::temp_dir().join(format!("sealgram-cli-{}-{test}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }

    /// Writes a file in it, and returns its path.
    pub(crate) fn write(&self, name: &str, contents: &str) -> String {
        let path = self.file(name);
        fs::write(Path::new(&path), contents).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _left_to_the_system = fs::remove_dir_all(&self.0);
    }
}
