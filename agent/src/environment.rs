//! The environment that processes of the build start with.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use runspan_agent_protocol::Variable;

use crate::error::AgentError;

/// What an image without `PATH` gets.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables by name; `PATH` always ends with the helper directory.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
    helper_dir: PathBuf,
}

impl Environment {
    /// The image's variables, completed.
    pub(crate) fn new(image: impl Iterator<Item = (OsString, OsString)>, helper_dir: PathBuf) -> Self {
        let mut environment = Self { variables: image.collect(), helper_dir };
        environment.variables.entry("HOME".into()).or_insert("/root".into());
        environment.complete_path();
        environment
    }

    /// Sets a variable.
    ///
    /// # Errors
    /// For a name or value that no process can be given.
    pub(crate) fn set(&mut self, variable: &Variable) -> Result<(), AgentError> {
        let (name, value) = (&variable.name, variable.value.reveal());
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(AgentError::VariableName { name: name.clone() });
        }
        if value.contains('\0') {
            return Err(AgentError::VariableValue { name: name.clone() });
        }
        self.put(name, value);
        Ok(())
    }

    /// Sets a variable of our own.
    pub(crate) fn put(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.variables.insert(name.into(), value.into());
        self.complete_path();
    }

    /// The image's variables where there are no helpers.
    pub(crate) fn of_image(image: impl Iterator<Item = (OsString, OsString)>) -> Self {
        Self::new(image, PathBuf::new())
    }

    fn complete_path(&mut self) {
        let path = self.variables.entry("PATH".into()).or_insert(DEFAULT_PATH.into());
        if !self.helper_dir.as_os_str().is_empty()
            && !std::env::split_paths(path).any(|dir| dir == self.helper_dir)
        {
            path.push(":");
            path.push(&self.helper_dir);
        }
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Replaces everything by what a process printed of its own environment, each `NAME=value` closed by NUL.
    pub(crate) fn replaced_by(&self, printed: &[u8]) -> Self {
        let variables = printed
            .split(|byte| *byte == 0)
            .filter_map(|entry| {
                let equals = entry.iter().position(|byte| *byte == b'=')?;
                Some((
                    OsStr::from_bytes(&entry[..equals]).into(),
                    OsStr::from_bytes(&entry[equals + 1..]).into(),
                ))
            })
            .collect();
        Self { variables, helper_dir: self.helper_dir.clone() }
    }

    /// Finds a program in `PATH`.
    pub(crate) fn find(&self, program: &str) -> Option<PathBuf> {
        let path = self.get("PATH").unwrap_or_default();
        std::env::split_paths(path).map(|dir| dir.join(program)).find(|file| is_executable(file))
    }
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(image: &[(&str, &str)]) -> Environment {
        Environment::new(image.iter().map(|(n, v)| (n.into(), v.into())), "/h/bin".into())
    }

    #[test]
    fn path_always_ends_with_the_helpers_once() {
        assert_eq!(environment(&[]).get("PATH").unwrap(), &*format!("{DEFAULT_PATH}:/h/bin"));
        let mut environment = environment(&[("PATH", "/a:/h/bin")]);
        assert_eq!(environment.get("PATH").unwrap(), "/a:/h/bin");
        environment.set(&Variable::new("PATH", "/b")).unwrap();
        assert_eq!(environment.get("PATH").unwrap(), "/b:/h/bin");
    }

    #[test]
    fn where_there_are_no_helpers_the_path_is_the_images() {
        let image = [("PATH".into(), "/a".into())];
        assert_eq!(Environment::of_image(image.into_iter()).get("PATH").unwrap(), "/a");
        assert_eq!(Environment::of_image(std::iter::empty()).get("PATH").unwrap(), DEFAULT_PATH);
    }

    #[test]
    fn impossible_variables_are_refused_by_name() {
        let mut environment = environment(&[]);
        for (name, value) in [("", "x"), ("A=B", "x"), ("A", "x\0y")] {
            let error = environment.set(&Variable::new(name, value)).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("x\0y"), "{error}");
        }
    }

    #[test]
    fn a_printed_environment_is_read_back_byte_for_byte() {
        let printed = b"A=1\0B=two\nlines=\0\xff=\xfe\0";
        let read = environment(&[("C", "3")]).replaced_by(printed);
        assert_eq!(read.get("A").unwrap(), "1");
        assert_eq!(read.get("B").unwrap(), "two\nlines=");
        assert_eq!(read.get("C"), None);
        assert_eq!(read.iter().count(), 3);
    }
}
