//! State that is carried from command to command: variables and working directory, in files that shells write.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, fchown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use runspan_agent_protocol::{Shell, StopReason};
use rustix::fs::{MemfdFlags, memfd_create};

use crate::environment::Environment;
use crate::error::AgentError;
use crate::layout::Layout;
use crate::processes::Waited;
use crate::script::{self, Carrying, StateFiles};
use crate::shared::Shared;
use crate::users::User;
use crate::{exit_status, launch};

/// The state files and scripts of a build, in [`Layout::tmp_dir`].
#[derive(Clone, Debug)]
pub(crate) struct CarriedState {
    dir: PathBuf,
    env_file: PathBuf,
    dir_file: PathBuf,
    source_dir: PathBuf,
    /// The shell whose syntax the variables are saved in.
    written_by: Shell,
}

impl CarriedState {
    /// Makes the files for a build that begins in `source_dir`, with no variables of its own.
    pub(crate) fn create(layout: &Layout, source_dir: &Path, shell: Shell) -> Result<Self, AgentError> {
        let dir = layout.tmp_dir();
        let state = Self {
            env_file: dir.join("env.sh"),
            dir_file: dir.join("dir.txt"),
            dir,
            source_dir: source_dir.to_owned(),
            written_by: shell,
        };
        state.prepare(None)?;
        Ok(state)
    }

    /// The state files.
    pub(crate) fn files(&self) -> StateFiles<'_> {
        StateFiles { env: &self.env_file, dir: &self.dir_file }
    }

    /// Sees that the state files are there, whatever a command did to them, and that `user` can write them.
    pub(crate) fn prepare(&self, user: Option<&User>) -> Result<(), AgentError> {
        make_dir(&self.dir)?;
        for path in [&self.env_file, &self.dir_file] {
            let open = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            let file = open.map_err(AgentError::file("open the state file", path))?;
            give(&file, user).map_err(AgentError::file("hand over the state file", path))?;
        }
        Ok(())
    }

    /// The directory that the last command ended in.
    pub(crate) fn directory(&self) -> OsString {
        let mut saved = std::fs::read(&self.dir_file).unwrap_or_default();
        if saved.last() == Some(&b'\n') {
            saved.pop();
        }
        if saved.is_empty() { self.source_dir.clone().into() } else { OsString::from_vec(saved) }
    }

    /// Adds variables to the saved ones; they win.
    pub(crate) fn append<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a OsStr, &'a OsStr)>,
    ) -> Result<(), AgentError> {
        let text: Vec<u8> =
            variables.into_iter().flat_map(|(name, value)| script::export(name, value)).collect();
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.env_file);
        file.and_then(|mut file| file.write_all(&text))
            .map_err(AgentError::file("add variables to", &self.env_file))
    }

    /// Makes the saved variables readable for another shell than the one that wrote them.
    pub(crate) fn translate(
        &mut self,
        shared: &Shared,
        environment: &Environment,
        shell: Shell,
    ) -> Result<(), AgentError> {
        if self.written_by != shell {
            let saved = self.variables(shared, environment)?;
            let text: Vec<u8> = saved.iter().flat_map(|(name, value)| script::export(name, value)).collect();
            std::fs::write(&self.env_file, text).map_err(AgentError::file("rewrite", &self.env_file))?;
            self.written_by = shell;
        }
        Ok(())
    }

    /// Writes a script, as a new file: an earlier shell in the background may still be reading its own.
    pub(crate) fn write_script(
        &self,
        name: &str,
        text: &[u8],
        user: Option<&User>,
    ) -> Result<PathBuf, AgentError> {
        let path = self.dir.join(name);
        let write = || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            if user.is_some() {
                give(&file, user)?;
            }
            file.write_all(text)
        };
        write().map_err(AgentError::file("write the script", &path))?;
        Ok(path)
    }

    /// The variables as the last command left them.
    pub(crate) fn variables(
        &self,
        shared: &Shared,
        environment: &Environment,
    ) -> Result<Environment, AgentError> {
        let text = script::dump(&self.files(), shared.layout.agent());
        let asked = Asked { shared, environment, shell: self.written_by, directory: &self.source_dir };
        let (status, printed) = asked.run(self, "variables.sh", &text, || None)?;
        if status != 0 {
            return Err(AgentError::State { path: self.env_file.clone(), status });
        }
        Ok(environment.replaced_by(&printed))
    }

    /// Expands a text as the shell would between double quotes, where the last command ended.
    pub(crate) fn expand(
        &self,
        shared: &Shared,
        environment: &Environment,
        succeeding: bool,
        text: &str,
        ended: impl Fn() -> Option<StopReason>,
    ) -> Result<String, AgentError> {
        let directory = self.directory();
        let with = Carrying { files: self.files(), directory: &directory, succeeding };
        let script = script::expand(text, &with, shared.layout.agent());
        let asked = Asked { shared, environment, shell: self.written_by, directory: &self.source_dir };
        let (status, mut printed) = asked.run(self, "evaluate.sh", &script, ended)?;
        if status != 0 {
            return Err(AgentError::Evaluate { text: text.to_owned(), status });
        }
        // The here-document's own line end.
        printed.pop();
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

/// A script that is run for its output.
struct Asked<'a> {
    shared: &'a Shared,
    environment: &'a Environment,
    shell: Shell,
    directory: &'a Path,
}

impl Asked<'_> {
    fn run(
        &self,
        state: &CarriedState,
        name: &str,
        text: &[u8],
        ended: impl Fn() -> Option<StopReason>,
    ) -> Result<(i32, Vec<u8>), AgentError> {
        let Self { shared, environment, .. } = *self;
        let path = state.write_script(name, text, None)?;
        let program = find_shell(environment, self.shell)?;
        // A file in memory, not a pipe: what the script leaves in the background cannot hold us up.
        let memory = memfd_create("runspan-answer", MemfdFlags::CLOEXEC)
            .map_err(AgentError::system("make a file in memory"))?;
        let mut memory = File::from(memory);
        let output = memory.try_clone().map_err(AgentError::system("make a file in memory"))?;
        let errors = shared.capture.stdio().map_err(AgentError::system("open the log for a script"))?;
        let mut command =
            launch::command(shared.layout.agent(), &program, &[&path], environment, self.directory, None);
        command.process_group(0).stdout(Stdio::from(output)).stderr(errors);
        let pid = shared
            .processes
            .spawn(&mut command)
            .map_err(|source| AgentError::Start { program: program.clone(), source })?;
        let deadline = shared.control.deadline();
        let status = match shared.processes.wait(pid, deadline, ended) {
            Waited::Exited(status) => exit_status(status),
            // Who asked ends all processes.
            Waited::Interrupted(reason) => {
                shared.processes.forget(pid);
                return Err(AgentError::Ended(reason));
            }
            Waited::TimeOver => {
                shared.processes.forget(pid);
                return Err(AgentError::Ended(StopReason::TimedOut));
            }
        };
        shared.capture.drain(&shared.log);
        let mut printed = Vec::new();
        memory
            .rewind()
            .and_then(|()| memory.read_to_end(&mut printed))
            .map_err(AgentError::system("read what a script printed"))?;
        Ok((status, printed))
    }
}

/// Finds a shell in the build's `PATH`.
pub(crate) fn find_shell(environment: &Environment, shell: Shell) -> Result<PathBuf, AgentError> {
    let (name, remedy) = match shell {
        Shell::Sh => ("sh", ""),
        Shell::Bash => ("bash", ", or say `shell: sh`"),
    };
    // Every image must have this one, whatever `PATH` says.
    let standard = || Some(PathBuf::from("/bin/sh")).filter(|path| shell == Shell::Sh && path.exists());
    environment.find(name).or_else(standard).ok_or_else(|| AgentError::NoShell {
        shell: name,
        path: environment.get("PATH").unwrap_or_default().to_string_lossy().into_owned(),
        remedy,
    })
}

/// Makes a directory and its parents, open to every user of the image.
pub(crate) fn make_dir(path: &Path) -> Result<(), AgentError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(AgentError::file("make directory", path))
}

fn give(file: &File, user: Option<&User>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let own = || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (uid, gid) = user.map_or_else(own, |user| (user.uid.as_raw(), user.gid.as_raw()));
    let meta = file.metadata()?;
    if (meta.uid(), meta.gid()) == (uid, gid) { Ok(()) } else { fchown(file, Some(uid), Some(gid)) }
}
