//! `actions/checkout` where there is no node to run it: fetched on this machine, as a build's own source is.

use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use indexmap::IndexMap;
use runspan_agent_protocol::Secret;
use runspan_archive::Limits;
use runspan_archive::SendFile;

use super::load::ended_early;
use super::run::{Done, Running};
use super::{Frame, Steps, Stop};
use crate::source::{self, Context, Git, GitLogin, Source};
use crate::steps::Uses;

/// Git may take so long.
const TIME: Duration = Duration::from_secs(1800);
/// Inputs that change nothing here, or whose only value that is done here is the one beside them.
const INPUTS: [(&str, Option<&str>); 9] = [
    ("persist-credentials", None),
    ("clean", None),
    ("show-progress", None),
    ("set-safe-directory", None),
    ("fetch-tags", None),
    ("lfs", Some("false")),
    ("sparse-checkout-cone-mode", None),
    ("ssh-strict", None),
    ("ssh-user", None),
];

/// What is checked out, and where to.
struct Wanted {
    git: Git,
    directory: String,
}

/// Whether it is the action that this can stand in for.
pub(super) fn is_checkout(uses: &Uses) -> bool {
    let Uses::Repository(action) = uses else { return false };
    action.owner.eq_ignore_ascii_case("actions")
        && action.name.eq_ignore_ascii_case("checkout")
        && action.path.is_empty()
}

impl Steps<'_> {
    /// Checks out as the action would; `missing` is why that cannot be run itself.
    pub(super) async fn checkout(
        &mut self,
        frame: &Frame,
        running: &Running,
        inputs: &IndexMap<String, String>,
        missing: &str,
    ) -> Result<Done, Stop> {
        let mut github = [String::new(), String::new(), String::new(), String::new()];
        for (slot, name) in github.iter_mut().zip(["server_url", "repository", "sha", "ref"]) {
            *slot = self.text(frame, &running.env, &format!("${{{{ github.{name} }}}}")).await?;
        }
        let Wanted { git, directory } = wanted(inputs, &github, &self.driver.dirs.primary)
            .map_err(|reason| Stop::Fault(format!("{missing}; without it, {reason}")))?;
        let (work_dir, url) = (self.driver.request.cache_dir.join("sources"), git.url.clone());
        let fetch = tokio::task::spawn_blocking(move || {
            let context = Context {
                identifier: None,
                work_dir: &work_dir,
                source_cache: None,
                timeout: TIME,
                allow_file_protocol: false,
                user_logins: false,
                limits: Limits { entries: u64::MAX, bytes: u64::MAX },
            };
            source::fetch(&Source::Git(git), &context)
        });
        let fetched = ended_early(self.driver.interruptible(fetch).await)?
            .map_err(|error| Stop::Fault(format!("fetching {url} ended: {error}")))?
            .map_err(|error| Stop::Fault(error.to_string()))?;
        let commit = fetched.resolved_version.clone().unwrap_or_default();
        self.tell_pending().await?;
        let line = format!("{}: {url} at {commit}, fetched without node; git keeps no login", running.name);
        self.driver.say(self.session, [line]);
        let send = Box::new(move |to: &mut dyn SendFile| {
            source::send(&fetched, to).map(drop).map_err(io::Error::other)
        });
        self.driver.send_tar(self.session, &directory, false, send).await?;
        Ok(Done::of(vec![("commit".to_owned(), commit), ("ref".to_owned(), github[3].clone())], None))
    }
}

/// `github` is its server, repository, commit and ref.
fn wanted(
    inputs: &IndexMap<String, String>,
    github: &[String; 4],
    workspace: &str,
) -> Result<Wanted, String> {
    let [server, own, sha, _] = github;
    let given = |name: &str| inputs.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let known = ["repository", "ref", "token", "path", "fetch-depth", "submodules", "github-server-url"];
    for (name, value) in inputs.iter().filter(|(_, value)| !value.trim().is_empty()) {
        let only = INPUTS.iter().find(|(other, _)| other == name);
        let is_done = known.contains(&name.as_str())
            || only.is_some_and(|(_, only)| only.is_none_or(|only| value.trim() == only));
        if !is_done {
            return Err(format!("`{name}: {value}` of the checkout is not possible"));
        }
    }
    let repository = given("repository").unwrap_or(own);
    let path = given("path").unwrap_or(".").trim_end_matches('/');
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(format!("`path: {path}` leads out of the workspace"));
    }
    let is_name = repository.split('/').count() == 2
        && repository.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
    if !is_name {
        return Err(format!("`{repository}` is no repository"));
    }
    let server = given("github-server-url").unwrap_or(server).trim_end_matches('/');
    let version = match given("ref") {
        Some(version) => version,
        None if repository.eq_ignore_ascii_case(own) => sha,
        None => "",
    };
    let depth: u32 =
        given("fetch-depth").map_or(Ok(1), str::parse).map_err(|_| "`fetch-depth` is no number")?;
    let login = given("token")
        .map(|token| GitLogin { username: "x-access-token".into(), password: Secret::new(token) });
    Ok(Wanted {
        git: Git {
            url: format!("{server}/{repository}.git"),
            version: version.to_owned(),
            depth: NonZeroU32::new(depth),
            submodules: given("submodules").is_some_and(|value| matches!(value, "true" | "recursive")),
            login,
            insecure_ssl: false,
        },
        directory: if path == "." { workspace.to_owned() } else { format!("{workspace}/{path}") },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(inputs: &[(&str, &str)]) -> Result<(String, String, Option<u32>, String), String> {
        let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let github = ["https://h/", "o/r", "c0ffee", "refs/heads/main"].map(str::to_owned);
        wanted(&inputs, &github, "/w").map(|Wanted { git, directory }| {
            (git.url, git.version, git.depth.map(NonZeroU32::get), directory)
        })
    }

    #[test]
    fn inputs_are_those_of_the_action() {
        let plain = of(&[("lfs", "false"), ("clean", "true"), ("path", ""), ("token", "t")]);
        assert_eq!(plain, Ok(("https://h/o/r.git".into(), "c0ffee".into(), Some(1), "/w".into())));
        let other = of(&[("repository", "a/b"), ("path", "x/y/"), ("fetch-depth", "0")]);
        assert_eq!(other, Ok(("https://h/a/b.git".into(), String::new(), None, "/w/x/y".into())));
        assert_eq!(of(&[("ref", "v1")]).unwrap().1, "v1");
        for wrong in [
            ("path", "../x"),
            ("path", "/x"),
            ("lfs", "true"),
            ("ssh-key", "k"),
            ("repository", "a b/c"),
            ("fetch-depth", "x"),
        ] {
            assert!(of(&[wrong]).is_err(), "{wrong:?}");
        }
    }
}
