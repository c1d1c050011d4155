//! Repositories: bare ones on disk, written and read with git.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::GitHub;
use crate::{
    Object, Value,
    workflow::{Event, Workflow},
};

/// Files by path, each with whether it can be executed.
pub type Files = BTreeMap<String, (Vec<u8>, bool)>;

/// Why git did not do what it should.
#[derive(Debug, thiserror::Error)]
#[error("git {what}: {why}")]
pub struct RepositoryError {
    what: String,
    why: String,
}

/// A repository.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Number.
    pub id: u64,
    /// `owner/name`
    pub name: String,
    /// Only with a token.
    pub private: bool,
    /// The branch that counts.
    pub default_branch: String,
    /// Secrets of its jobs.
    pub secrets: BTreeMap<String, String>,
    /// Variables of its jobs.
    pub variables: BTreeMap<String, String>,
    /// Where it is.
    pub directory: PathBuf,
}

/// New contents of a branch or tag.
#[derive(Clone, Debug)]
pub struct Push {
    /// `owner/name`; it is made when it is not there.
    pub repository: String,
    /// `refs/heads/main`, `refs/tags/v1`
    pub reference: String,
    /// The whole tree.
    pub files: Files,
    /// The commit's message.
    pub message: String,
    /// Who pushes.
    pub actor: String,
}

impl Push {
    /// A push of text files to `main`.
    pub fn new<'a>(repository: &str, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            repository: repository.to_owned(),
            reference: "refs/heads/main".to_owned(),
            files: files
                .into_iter()
                .map(|(path, text)| (path.to_owned(), (text.as_bytes().to_vec(), text.starts_with("#!"))))
                .collect(),
            message: "Change everything".to_owned(),
            actor: "octocat".to_owned(),
        }
    }

    /// The same to another branch or tag.
    #[must_use]
    pub fn to(mut self, reference: &str) -> Self {
        reference.clone_into(&mut self.reference);
        self
    }
}

fn git(directory: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>, RepositoryError> {
    let fault = |why: String| RepositoryError { what: arguments.join(" "), why };
    let mut child = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| fault(error.to_string()))?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input));
    let output = child.wait_with_output().map_err(|error| fault(error.to_string()))?;
    if !output.status.success() {
        return Err(fault(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    written.map_err(|error| fault(error.to_string()))?;
    Ok(output.stdout)
}

impl Repository {
    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, RepositoryError> {
        git(&self.directory, arguments, b"")
    }

    /// The commit that a branch, tag, full reference or commit names.
    pub fn resolve(&self, name: &str) -> Option<String> {
        let named = [name.to_owned(), format!("refs/tags/{name}"), format!("refs/heads/{name}")];
        named.iter().filter(|name| !name.starts_with('-')).find_map(|name| {
            let sha = self.git(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]).ok()?;
            Some(String::from_utf8_lossy(&sha).trim().to_owned())
        })
    }

    /// A file of a commit.
    pub fn file(&self, commit: &str, path: &str) -> Option<Vec<u8>> {
        self.git(&["cat-file", "blob", &format!("{commit}:{path}")]).ok()
    }

    /// Paths of the files of a commit below a folder.
    pub fn paths(&self, commit: &str, folder: &str) -> Vec<String> {
        let listing = self.git(&["ls-tree", "-r", "-z", "--name-only", commit, "--", folder]);
        listing
            .unwrap_or_default()
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect()
    }

    /// The workflow files of a commit.
    pub fn workflows(&self, commit: &str) -> Vec<(String, String)> {
        self.paths(commit, ".github/workflows/")
            .into_iter()
            .filter(|path| path.ends_with(".yml") || path.ends_with(".yaml"))
            .filter_map(|path| {
                let text = String::from_utf8_lossy(&self.file(commit, &path)?).into_owned();
                Some((path, text))
            })
            .collect()
    }

    /// The tree of a commit in an archive with one folder at the top: `tar.gz` or `zip`.
    ///
    /// # Errors
    /// There is no such commit.
    pub fn archive(&self, commit: &str, format: &str) -> Result<Vec<u8>, RepositoryError> {
        let name = self.name.replace('/', "-");
        let short: String = commit.chars().take(7).collect();
        self.git(&["archive", &format!("--format={format}"), &format!("--prefix={name}-{short}/"), commit])
    }

    /// Writes a commit and says its name and the paths that it changed.
    fn commit(&self, push: &Push) -> Result<(String, Vec<String>), RepositoryError> {
        let before = self.resolve(&push.reference);
        let mut script = Vec::new();
        let message = &push.message;
        script.extend(
            format!(
                "commit {}\ncommitter {} <{}@example.com> now\ndata {}\n{message}\n",
                push.reference,
                push.actor,
                push.actor,
                message.len()
            )
            .into_bytes(),
        );
        if before.is_some() {
            script.extend(format!("from {}^0\n", push.reference).into_bytes());
        }
        script.extend(b"deleteall\n");
        for (path, (bytes, executable)) in &push.files {
            let mode = if *executable { "100755" } else { "100644" };
            script.extend(format!("M {mode} inline {path}\ndata {}\n", bytes.len()).into_bytes());
            script.extend_from_slice(bytes);
            script.push(b'\n');
        }
        git(&self.directory, &["fast-import", "--quiet", "--force", "--date-format=now"], &script)?;
        let missing = || RepositoryError { what: "fast-import".to_owned(), why: "made no commit".to_owned() };
        let sha = self.resolve(&push.reference).ok_or_else(missing)?;
        let changed = match &before {
            Some(before) => self.git(&["diff-tree", "-r", "-z", "--name-only", before, &sha])?,
            None => self.git(&["ls-tree", "-r", "-z", "--name-only", &sha])?,
        };
        let changed = changed
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect();
        Ok((sha, changed))
    }
}

impl GitHub {
    /// The repository with the name; made when it is not there.
    ///
    /// # Errors
    /// git does not make it.
    pub fn repository(&mut self, name: &str) -> Result<&mut Repository, RepositoryError> {
        let key = name.to_lowercase();
        if !self.repositories.contains_key(&key) {
            let id = self.next_id();
            let directory = self.storage.join(format!("{id}.git"));
            git(
                &self.storage,
                &["init", "--quiet", "--bare", "--initial-branch=main", &directory.to_string_lossy()],
                b"",
            )?;
            for (setting, value) in [("uploadpack.allowAnySHA1InWant", "true"), ("http.receivepack", "false")]
            {
                git(&directory, &["config", setting, value], b"")?;
            }
            self.repositories.insert(
                key.clone(),
                Repository {
                    id,
                    name: name.to_owned(),
                    private: false,
                    default_branch: "main".to_owned(),
                    secrets: BTreeMap::new(),
                    variables: BTreeMap::new(),
                    directory,
                },
            );
        }
        self.repositories
            .get_mut(&key)
            .ok_or_else(|| RepositoryError { what: "init".to_owned(), why: format!("{name} is not there") })
    }

    /// Pushes, and starts the runs of the `push` event.
    ///
    /// # Errors
    /// git refuses.
    pub fn push(&mut self, push: &Push) -> Result<(String, Vec<u64>), RepositoryError> {
        let repository = self.repository(&push.repository)?.clone();
        let (sha, changed) = repository.commit(push)?;
        let owner = repository.name.split_once('/').map_or("", |(owner, _)| owner);
        let payload = Value::from([
            ("ref", push.reference.clone().into()),
            ("after", sha.clone().into()),
            (
                "repository",
                Value::from([
                    ("full_name", repository.name.clone().into()),
                    ("default_branch", repository.default_branch.clone().into()),
                    ("private", repository.private.into()),
                    ("owner", Value::from([("login", owner.into())])),
                ]),
            ),
            (
                "head_commit",
                Value::from([("id", sha.clone().into()), ("message", push.message.clone().into())]),
            ),
            ("sender", Value::from([("login", push.actor.clone().into())])),
        ]);
        let event = Event {
            name: "push".to_owned(),
            reference: push.reference.clone(),
            payload: payload.into_object(),
            inputs: Object::new(),
            changed,
        };
        let workflows = repository.workflows(&sha);
        let runs = self.start_runs(&repository.name, &event, &sha, &push.actor, &workflows);
        Ok((sha, runs))
    }

    /// Starts the runs of any other event on a branch or tag.
    pub fn trigger(&mut self, repository: &str, event: &Event, actor: &str) -> Option<Vec<u64>> {
        let repository = self.repositories.get(&repository.to_lowercase())?.clone();
        let sha = repository.resolve(&event.reference)?;
        let workflows = repository.workflows(&sha);
        Some(self.start_runs(&repository.name, event, &sha, actor, &workflows))
    }

    /// Starts one workflow by hand. Inputs that are not given take their defaults.
    ///
    /// # Errors
    /// What GitHub says: nothing when there is no such workflow.
    pub fn dispatch(
        &mut self,
        repository: &str,
        file: &str,
        reference: &str,
        given: &Object,
        actor: &str,
    ) -> Result<u64, super::Refused> {
        let missing = || super::Refused::NotFound("Not Found".to_owned());
        let repository = self.repositories.get(&repository.to_lowercase()).ok_or_else(missing)?.clone();
        let path = if file.contains('/') { file.to_owned() } else { format!(".github/workflows/{file}") };
        let sha = repository
            .resolve(reference)
            .ok_or_else(|| super::Refused::Unprocessable(format!("No ref found for: {reference}")))?;
        let text = repository.file(&sha, &path).ok_or_else(missing)?;
        let workflow = Workflow::read(&path, &String::from_utf8_lossy(&text))
            .map_err(|error| super::Refused::Unprocessable(error.to_string()))?;
        let (inputs, event_inputs) =
            crate::workflow::dispatch_inputs(&workflow, given).map_err(super::Refused::Unprocessable)?;
        let full = if reference.starts_with("refs/") {
            reference.to_owned()
        } else if repository.resolve(&format!("refs/tags/{reference}")).is_some() {
            format!("refs/tags/{reference}")
        } else {
            format!("refs/heads/{reference}")
        };
        let event = Event {
            name: "workflow_dispatch".to_owned(),
            reference: full.clone(),
            payload: Object::from_iter([
                ("ref".to_owned(), full.into()),
                ("inputs".to_owned(), event_inputs.into()),
                ("workflow".to_owned(), path.into()),
            ]),
            inputs,
            changed: Vec::new(),
        };
        Ok(self.start_run(&repository.name, &event, &sha, actor, workflow))
    }
}
