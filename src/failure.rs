//! What the program says when it cannot do what was asked: one message, its cause, and what to do.

use std::error::Error;
use std::fmt::Write as _;

use runspan_engine::EngineError;
use runspan_engine::build::BuildId;

use crate::exit_code::Exit;

/// The end of a command, in words for its user.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) exit: Exit,
    message: String,
    causes: Vec<String>,
    help: Option<String>,
}

impl Failure {
    /// Bad input or usage.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { exit: Exit::BadInput, message: message.into(), causes: Vec::new(), help: None }
    }

    /// The machine's fault.
    pub(crate) fn machine(message: impl Into<String>) -> Self {
        Self { exit: Exit::Infrastructure, ..Self::input(message) }
    }

    /// The user would not wait for the end of a build.
    pub(crate) fn stopped(build: &BuildId) -> Self {
        Self { exit: Exit::Stopped, ..Self::input(format!("build {build} is left before it has ended")) }
            .help("the next `runspan run` removes what it leaves behind")
    }

    /// What an error says, with its causes where the message does not repeat them.
    pub(crate) fn of(error: &dyn Error) -> Self {
        Self::machine(error.to_string()).because_of(error.source())
    }

    /// The error behind it.
    pub(crate) fn because(self, error: &dyn Error) -> Self {
        self.because_of(Some(error))
    }

    fn because_of(mut self, error: Option<&dyn Error>) -> Self {
        let mut next = error;
        while let Some(error) = next {
            let text = error.to_string();
            if !self.causes.iter().chain([&self.message]).any(|said| said.contains(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Ends the program so.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// What to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As it is printed.
    pub(crate) fn render(&self, color: bool) -> String {
        let (red, cyan, bold, off) =
            if color { ("\x1b[1;31m", "\x1b[1;36m", "\x1b[1m", "\x1b[0m") } else { ("", "", "", "") };
        let mut text = format!("{red}error{off}{bold}: {}{off}\n", self.message);
        for cause in &self.causes {
            let _ = writeln!(text, "  cause: {cause}");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(text, "{cyan}help{off}: {help}");
        }
        text
    }
}

macro_rules! failures {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(&error)
            }
        }
    )+};
}

failures!(runspan_engine::ExecutorError, runspan_engine::journal::JournalError);

impl From<runspan_github::GitHubError> for Failure {
    fn from(error: runspan_github::GitHubError) -> Self {
        let failure = Self::of(&error);
        if error.is_passing() { failure } else { failure.exit(Exit::BadInput) }
    }
}

impl From<runspan_codepipeline::PipelineError> for Failure {
    fn from(error: runspan_codepipeline::PipelineError) -> Self {
        let failure = Self::of(&error);
        if error.is_passing() { failure } else { failure.exit(Exit::BadInput) }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let failure = Self::of(&error);
        match error {
            EngineError::Unknown(_)
            | EngineError::Complete(_)
            | EngineError::Supervised(_)
            | EngineError::Request(_) => failure.exit(Exit::BadInput),
            EngineError::Journal(_) | EngineError::State { .. } | EngineError::Task(_) => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let io = std::io::Error::other("disk on fire");
        let said = Failure::machine("cannot write /x: disk on fire").because(&io).render(false);
        assert_eq!(said, "error: cannot write /x: disk on fire\n");
        let said = Failure::input("no image").because(&io).help("name one").render(false);
        assert_eq!(said, "error: no image\n  cause: disk on fire\nhelp: name one\n");
    }
}
