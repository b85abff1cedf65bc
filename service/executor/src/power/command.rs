//! Runs a small program within bounds: no input, a limited answer, a limited time.

use crate::power::PowerError;
use crate::power::error::shown;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// Most bytes that are taken from each of the outputs.
const MAX_OUTPUT: u64 = 1 << 20;

/// A program and its first arguments, e.g. `nvpmodel`, or `sudo -n nvpmodel`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Vec<String>);

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether it ended with 0.
    pub success: bool,
    /// Its two outputs, one after the other.
    pub text: String,
}

impl Program {
    /// From words; the first is the program.
    #[must_use]
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(words: I) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }

    /// Name of the program, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The command with further arguments: no input, both outputs in pipes. It never goes through a shell.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.name());
        command.args(self.0.iter().skip(1)).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end. Its input is closed, so a question that it asks is answered by nobody.
    ///
    /// # Errors
    /// [`PowerError::Start`], or [`PowerError::Slow`] after `limit`, when it has been killed.
    pub fn run(&self, arguments: &[&str], limit: Duration) -> Result<Said, PowerError> {
        let name = || self.name().to_owned();
        let start = |source| PowerError::Start { program: name(), source };
        let mut child = self.command(arguments).spawn().map_err(start)?;
        let (send, receive) = sync_channel(2);
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|p| Box::new(p) as Box<dyn Read + Send>),
            child.stderr.take().map(|p| Box::new(p) as Box<dyn Read + Send>),
        ];
        for (n, pipe) in pipes.into_iter().enumerate() {
            let send = send.clone();
            // The readers end with the pipes, which the child's end closes.
            thread::Builder::new()
                .name("command-output".to_owned())
                .spawn(move || {
                    let mut bytes = Vec::new();
                    if let Some(pipe) = pipe {
                        let _ = pipe.take(MAX_OUTPUT).read_to_end(&mut bytes);
                    }
                    let _ = send.send((n, bytes));
                })
                .map_err(start)?;
        }
        drop(send);
        match outputs(&receive, limit) {
            Some(text) => {
                let status = child.wait().map_err(start)?;
                Ok(Said { success: status.success(), text })
            }
            None => {
                end(&mut child);
                Err(PowerError::Slow { program: name(), limit })
            }
        }
    }
}

/// Both outputs, in their order; `None` when they are not complete in time.
fn outputs(receive: &Receiver<(usize, Vec<u8>)>, limit: Duration) -> Option<String> {
    let mut both = [Vec::new(), Vec::new()];
    loop {
        // The second output comes with the first or soon after it: both end when the program does.
        match receive.recv_timeout(limit) {
            Ok((n, bytes)) => {
                if let Some(slot) = both.get_mut(n) {
                    *slot = bytes;
                }
            }
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Some(both.iter().map(|b| String::from_utf8_lossy(b).into_owned()).collect::<Vec<_>>().join("\n"))
}

/// Kills a child and takes its status, so that no process is left behind.
pub(super) fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl Said {
    /// The text, if the program succeeded.
    ///
    /// # Errors
    /// [`PowerError::Failed`].
    pub fn ok(self, program: &Program) -> Result<String, PowerError> {
        if self.success {
            return Ok(self.text);
        }
        Err(PowerError::Failed { program: program.name().to_owned(), said: shown(&self.text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_by_nobody() {
        let ask =
            Program::new(["sh", "-c", "echo sure?; if read answer; then echo yes; else echo closed; fi"]);
        let said = ask.run(&[], Duration::from_secs(20)).unwrap();
        assert!(said.success);
        assert_eq!(said.text.split_whitespace().collect::<Vec<_>>(), ["sure?", "closed"]);
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let program = Program::new(["sh", "-c", "exec sleep 600"]);
        let error = program.run(&[], Duration::from_millis(100)).unwrap_err();
        assert!(matches!(error, PowerError::Slow { .. }), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Program::new(["/nowhere/nvpmodel"]).run(&[], Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().starts_with("cannot run /nowhere/nvpmodel"), "{error}");
    }

    #[test]
    fn failure_carries_what_was_said() {
        let program = Program::new(["sh", "-c", "echo no >&2; exit 3"]);
        let error = program.run(&[], Duration::from_secs(20)).unwrap().ok(&program).unwrap_err();
        assert_eq!(error.to_string(), "sh failed: no");
    }
}
