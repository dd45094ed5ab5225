//! The configuration file of a tunnel: the long flags of the command line, in TOML.
//!
//! ```toml
//! listen = "0.0.0.0:4433"
//! forward = "127.0.0.1:53"
//! psk-file = "/etc/sealgram/keys.psk"
//! versions = ["1.3"]
//! ```
//!
//! The file is turned into flags that stand before those of the command line, and the command line
//! is then read as if they had been there. So file and flags cannot differ in names, ranges or
//! conflicts, and what a value is missing is said once, by the same words.

use crate::arguments::Arguments;
use crate::problem::Problem;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The command line, with what the file of `--config` adds to it.
///
/// # Errors
///
/// If the file cannot be read, or says what no flag can. What is wrong with the command line itself
/// ends the program, with the help that belongs to it.
pub(crate) fn command_line(given: impl Iterator<Item = OsString>) -> Result<Arguments, Problem> {
    let given: Vec<OsString> = given.collect();
    let Some((at, end, path)) = file_of(&given) else {
        return Ok(<Arguments as clap::Parser>::parse_from(given));
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Problem::usage(format!("--config {}: {error}", path.display())))?;
    let file = File {
        path: &path,
        text: &text,
    };
    let (added, lines) = file.flags(&end, &given)?;
    let mut all = given;
    all.splice(at..at, added);
    let parsed = Arguments::command().try_get_matches_from(all);
    let parsed = parsed.and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.map_err(|error| file.blame(&error, &lines))
}

/// Where the flags of a tunnel's end begin in the command line, that end, and the file that it
/// names.
fn file_of(given: &[OsString]) -> Option<(usize, Command, PathBuf)> {
    let at = given.iter().position(|word| word == "tunnel")?;
    let mut command = Arguments::command();
    // The flags that all subcommands have are handed down.
    command.build();
    let tunnel = command.find_subcommand("tunnel")?;
    let end = tunnel.find_subcommand(given.get(at + 1)?)?.clone();
    let rest = given.get(at + 2..)?;
    let path = rest.iter().enumerate().find_map(|(index, word)| {
        let word = word.to_str()?;
        match word.strip_prefix("--config")? {
            "" => rest.get(index + 1).map(PathBuf::from),
            value => value.strip_prefix('=').map(PathBuf::from),
        }
    })?;
    Some((at + 2, end, path))
}

/// A configuration file.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

/// In which line of the file a flag stands.
type Lines = BTreeMap<String, usize>;

impl File<'_> {
    /// What the file says, as flags, but for those that stand in the command line too.
    fn flags(&self, end: &Command, given: &[OsString]) -> Result<(Vec<OsString>, Lines), Problem> {
        let table = DeTable::parse(self.text).map_err(|error| {
            self.problem(error.span().map(|span| self.line(&span)), error.message())
        })?;
        let mut flags = Vec::new();
        let mut lines = Lines::new();
        for (key, value) in table.get_ref() {
            let (name, line) = (key.get_ref().as_ref(), self.line(&key.span()));
            let argument = end.get_arguments().find(|argument| {
                let mut longs = argument.get_long_and_visible_aliases().unwrap_or_default();
                longs.drain(..).any(|long| long == name)
            });
            let Some(argument) =
                argument.filter(|it| !NOT_IN_FILES.contains(&it.get_id().as_str()))
            else {
                let reason = format!("there is no option {name} here; --help lists them");
                return Err(self.problem(Some(line), reason));
            };
            let mut names = argument.get_long_and_visible_aliases().unwrap_or_default();
            if names.drain(..).any(|name| is_given(name, given)) {
                continue;
            }
            flags.extend(self.words(name, value, argument)?);
            let long = argument.get_long().unwrap_or(name);
            lines.insert(long.to_owned(), line);
        }
        Ok((flags, lines))
    }

    /// One key as a flag: a switch that is true, or a value. Several values are separated by commas
    /// or stand in a flag each, as the option has it.
    fn words(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        argument: &Arg,
    ) -> Result<Vec<OsString>, Problem> {
        let wrong = |what: &str| {
            let line = self.line(&value.span());
            self.problem(Some(line), format!("{name} takes {what}"))
        };
        let flag = |text: &str| OsString::from(format!("--{name}={text}"));
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            return match value.get_ref() {
                DeValue::Boolean(true) => Ok(vec![format!("--{name}").into()]),
                DeValue::Boolean(false) => Ok(Vec::new()),
                _ => Err(wrong("true or false")),
            };
        }
        let DeValue::Array(values) = value.get_ref() else {
            let text = scalar(value.get_ref());
            return Ok(vec![flag(
                &text.ok_or_else(|| wrong("a text or a number"))?,
            )]);
        };
        let texts: Option<Vec<_>> = values.iter().map(|it| scalar(it.get_ref())).collect();
        let texts = texts.ok_or_else(|| wrong("texts or numbers"))?;
        match (argument.get_action(), argument.get_value_delimiter()) {
            (_, Some(',')) => Ok(vec![flag(&texts.join(","))]),
            (ArgAction::Append, _) => Ok(texts.iter().map(|text| flag(text)).collect()),
            _ => Err(wrong("one value")),
        }
    }

    /// What the command line is missing or has too much of, with the line of the file that is at
    /// fault, if it is.
    fn blame(&self, error: &clap::Error, lines: &Lines) -> Problem {
        if !error.use_stderr() {
            // Help, or the version: that is no error.
            error.exit();
        }
        let of = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.as_str()),
            _ => None,
        };
        let named = of(ContextKind::InvalidArg).or(of(ContextKind::PriorArg));
        let long = named.and_then(|named| {
            let long = named.strip_prefix("--")?;
            long.split([' ', '=', '[']).next()
        });
        let line = long.and_then(|long| lines.get(long)).copied();
        let shown = error.to_string();
        // The first paragraph; usage and tips follow.
        let reason = shown.split("\n\n").next().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        let words: Vec<_> = reason.split_whitespace().collect();
        match line {
            Some(_) => self.problem(line, words.join(" ")),
            None => Problem::usage(words.join(" ")),
        }
    }

    fn problem(&self, line: Option<usize>, reason: impl std::fmt::Display) -> Problem {
        let path = self.path.display();
        Problem::usage(match line {
            Some(line) => format!("{path}, line {line}: {reason}"),
            None => format!("{path}: {reason}"),
        })
    }

    /// The line, counted from 1, in which something begins.
    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or_default();
        before.matches('\n').count() + 1
    }
}

/// Options that make no sense in a file.
const NOT_IN_FILES: &[&str] = &["config", "help", "version", "verbose"];

/// Whether the command line has this flag.
fn is_given(long: &str, given: &[OsString]) -> bool {
    let is_it = |word: &OsString| {
        let flag = word.to_str().and_then(|word| word.strip_prefix("--"));
        let flag = flag.and_then(|flag| flag.split('=').next());
        flag == Some(long)
    };
    given
        .iter()
        .take_while(|&word| word != OsStr::new("--"))
        .any(is_it)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // Underscores are for the reader.
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().replace('_', "")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::TunnelEnd;

    /// What a file with this text comes to, with these flags beside it.
    fn with(text: &str, flags: &[&str]) -> Result<TunnelEnd, String> {
        let name = format!(
            "sealgram-config-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        );
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let file = path.to_str().unwrap().to_owned();
        let words = ["sealgram", "tunnel", "server", "--config", &file];
        let all = words.iter().chain(flags).map(OsString::from);
        let outcome = command_line(all.collect::<Vec<_>>().into_iter());
        std::fs::remove_file(path).unwrap();
        match outcome {
            Ok(arguments) => match arguments.command {
                crate::arguments::Command::Tunnel(tunnel) => Ok(tunnel.end),
                other => panic!("{other:?}"),
            },
            Err(problem) => Err(problem.to_string().replace(&file, "FILE")),
        }
    }

    const LEAST: &str = "listen = \"127.0.0.1:1\"\nforward = \"127.0.0.1:2\"\n";

    #[test]
    fn flags_of_the_command_line_override_the_file() {
        let text =
            format!("{LEAST}self-signed = true\nkey-log = false\nmtu = 1_000\nmax-flows = 7\n");
        let Ok(TunnelEnd::Server(said)) = with(&text, &[]) else {
            panic!("no server");
        };
        assert_eq!((said.flows.max_flows, said.common.mtu), (7, Some(1000)));
        assert!(said.listener.self_signed && !said.common.key_log);
        let Ok(TunnelEnd::Server(said)) = with(&text, &["--max-flows=8", "--mtu", "900"]) else {
            panic!("no server");
        };
        assert_eq!((said.flows.max_flows, said.common.mtu), (8, Some(900)));
    }

    #[test]
    fn several_values_are_an_array() {
        let text = format!("{LEAST}groups = [\"x25519\", \"secp256r1\"]\nversions = [\"1.3\"]\n");
        let Ok(TunnelEnd::Server(said)) = with(&text, &[]) else {
            panic!("no server");
        };
        assert_eq!(
            (said.common.groups.len(), said.common.versions.len()),
            (2, 1)
        );
        let digits = ["0f".repeat(32), "1e".repeat(32)];
        let text = format!("{LEAST}peer-key = [\"{}\", \"{}\"]\n", digits[0], digits[1]);
        let Ok(TunnelEnd::Server(said)) = with(&text, &[]) else {
            panic!("no server");
        };
        assert_eq!(said.common.raw_keys.peer_key.len(), 2);
    }

    #[test]
    fn what_is_wrong_in_a_file_is_told_with_its_line() {
        for (text, told) in [
            (
                "lisen = \"127.0.0.1:3\"\n",
                "FILE, line 3: there is no option lisen",
            ),
            (
                "\nconfig = \"x\"\n",
                "FILE, line 4: there is no option config",
            ),
            ("mtu = 3\n", "FILE, line 3: invalid value '3' for '--mtu"),
            (
                "\n\nmtu = 1.5\n",
                "FILE, line 5: mtu takes a text or a number",
            ),
            (
                "self-signed = 1\n",
                "FILE, line 3: self-signed takes true or false",
            ),
            ("mtu = [900, 901]\n", "FILE, line 3: mtu takes one value"),
            ("key-log = \n", "FILE, line 3: "),
            (
                "[server]\nmtu = 5\n",
                "FILE, line 3: there is no option server",
            ),
            ("mtu = 900\nmtu = 901\n", "FILE, line 4: duplicate key"),
        ] {
            let error = with(&format!("{LEAST}{text}"), &[]).unwrap_err();
            assert!(error.starts_with(told), "{text:?}: {error}");
        }
        let error = with("listen = \"127.0.0.1:1\"\n", &[]).unwrap_err();
        assert!(error.contains("--forward"), "{error}");
    }
}
