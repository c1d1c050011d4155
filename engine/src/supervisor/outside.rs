//! What a build needs of the world outside before it begins, for a thread that may wait.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runspan_agent_protocol::Secret;
use serde::Deserialize;
use tempfile::{TempDir, TempPath};
use tokio::task::JoinSet;

use crate::ports::{Identities, ObjectStore, Place, Ports, SecretStore, SourceLogins};
use crate::project::{
    EnvironmentVariable, ProjectSource, SourceAuth, SourceAuthType, SourceType, VariableType,
};
use crate::request::BuildRequest;
use crate::source::GitLogin;

/// Objects of a folder on their way at the same time.
const AT_ONCE: usize = 16;
const NO_SUCH_KEY: &str = "NoSuchKey: The specified key does not exist. status code: 404";

/// A source that was in a bucket; removed when dropped.
pub(super) enum Downloaded {
    /// A zip file.
    Zip(TempPath),
    /// A directory.
    Folder(TempDir),
}

/// What is outside of this machine, for a thread that may wait.
pub(super) struct Outside {
    store: Option<Arc<dyn ObjectStore>>,
    identities: Option<Arc<dyn Identities>>,
    logins: Option<Arc<dyn SourceLogins>>,
    secrets: Option<Arc<dyn SecretStore>>,
    runtime: tokio::runtime::Handle,
}

impl Outside {
    pub(super) fn of(ports: &Ports) -> Self {
        Self {
            store: ports.objects.clone(),
            identities: ports.identities.clone(),
            logins: ports.logins.clone(),
            secrets: ports.secrets.clone(),
            runtime: tokio::runtime::Handle::current(),
        }
    }

    /// A login for a repository, where its URL has none: the source's own, one that was kept, or CodeCommit's.
    pub(super) fn login(
        &self,
        request: &BuildRequest,
        from: &ProjectSource,
        url: &str,
    ) -> Result<Option<GitLogin>, String> {
        let kind = from.kind;
        // That of a primary source which is none is for all the others.
        let of_project =
            || request.source.auth.as_ref().filter(|_| request.source.kind == SourceType::NoSource);
        match from.auth.as_ref().or_else(of_project) {
            Some(SourceAuth { kind: SourceAuthType::SecretsManager, resource: Some(secret) }) => {
                return self.login_in_secret(kind, url, secret).map(Some);
            }
            Some(SourceAuth { kind: SourceAuthType::Codeconnections, .. }) => {
                return Err(
                    "source.auth: connections of AWS lead to no login here; use SECRETS_MANAGER".into()
                );
            }
            _ => {}
        }
        if let Some(login) = self.logins.as_ref().and_then(|logins| logins.login(kind, url)) {
            return Ok(Some(login));
        }
        let Some(identities) = self.identities.as_ref().filter(|_| kind == SourceType::Codecommit) else {
            return Ok(None);
        };
        let Some((host, path)) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')) else {
            return Ok(None);
        };
        // One that is written in the URL is meant.
        if host.contains('@') {
            return Ok(None);
        }
        self.runtime.block_on(identities.own().git_login(host, path))
    }

    /// A login in a secret of CodeBuild's form.
    fn login_in_secret(&self, kind: SourceType, url: &str, secret: &str) -> Result<GitLogin, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Login {
            server_type: SourceType,
            token: Secret,
            username: Option<String>,
        }
        let store = self.secrets.as_ref().ok_or("nothing here reads secrets")?;
        let (name, value) = ("source.auth".to_owned(), secret.to_owned());
        let reference = EnvironmentVariable { name, value, kind: VariableType::SecretsManager };
        let found = self.runtime.block_on(store.fetch(&[reference])).map_err(|error| error.message)?;
        let text = found.first().map(|variable| variable.value.reveal()).unwrap_or_default();
        // The parser's own words would quote the secret.
        let login: Login = serde_json::from_str(text).map_err(|_| {
            format!(
                "source.auth: the secret {secret} is not an object with `ServerType`, `AuthType` and `Token`"
            )
        })?;
        if login.server_type != kind || !kind.takes_token(url) {
            return Err(format!(
                "source.auth: the secret {secret} is a login for {}, which this source is not",
                login.server_type.name()
            ));
        }
        let username = login.username.unwrap_or_else(|| kind.token_user().to_owned());
        Ok(GitLogin { username, password: login.token })
    }

    /// Fetches a zip file or, where the location ends in `/`, a folder; errors are in CodeBuild's words.
    pub(super) fn download(
        &self,
        request: &BuildRequest,
        from: &ProjectSource,
        version: Option<&str>,
    ) -> Result<Downloaded, String> {
        let mut place = Place::parse(from.location.as_deref().unwrap_or_default());
        place.version = version.filter(|version| !version.is_empty()).map(str::to_owned);
        let which = match &from.source_identifier {
            Some(identifier) => format!("secondary source {identifier}"),
            None => "primary source".into(),
        };
        let work_dir = request.cache_dir.join("sources");
        let downloaded = if !place.key.is_empty() && !place.key.ends_with('/') {
            self.get(&place, &work_dir).map(Downloaded::Zip)
        } else if place.version.is_some() {
            Err("only a zip file has versions".into())
        } else {
            self.folder(&place, &work_dir).map(Downloaded::Folder)
        };
        downloaded.map_err(|reason| format!("{reason} for {which} and source version {}", place.arn()))
    }

    /// Every object below a prefix, as the files of a directory.
    fn folder(&self, place: &Place, work_dir: &Path) -> Result<TempDir, String> {
        let Some(store) = &self.store else { return Err("no object store is configured".into()) };
        let disk = |error: io::Error| format!("cannot write into {}: {error}", work_dir.display());
        fs::create_dir_all(work_dir).map_err(disk)?;
        let folder = tempfile::Builder::new().prefix("source-").tempdir_in(work_dir).map_err(disk)?;
        let mut wanted = Vec::new();
        for key in
            self.runtime.block_on(store.list(&place.bucket, &place.key)).map_err(|error| error.to_string())?
        {
            // Consoles make an object for a folder itself.
            let name = key.get(place.key.len()..).filter(|name| !name.is_empty() && !name.ends_with('/'));
            let Some(path) = name.map(|name| beneath(folder.path(), name)) else { continue };
            let path = path.ok_or_else(|| format!("the key {key:?} is no path of a file"))?;
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(disk)?;
            wanted.push((Place::new(&place.bucket, key), path));
        }
        if wanted.is_empty() {
            return Err(NO_SUCH_KEY.into());
        }
        self.runtime.block_on(get_all(store, wanted))?;
        Ok(folder)
    }

    pub(super) fn get(&self, place: &Place, work_dir: &Path) -> Result<TempPath, String> {
        let Some(store) = &self.store else { return Err("no object store is configured".into()) };
        let disk = |error: io::Error| format!("cannot write into {}: {error}", work_dir.display());
        fs::create_dir_all(work_dir).map_err(disk)?;
        let file = tempfile::Builder::new().prefix("object-").tempfile_in(work_dir).map_err(disk)?;
        let file = file.into_temp_path();
        match self.runtime.block_on(store.get(place, &file)) {
            Ok(Some(_)) => Ok(file),
            Ok(None) => Err(NO_SUCH_KEY.into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Fetches objects, several at once.
async fn get_all(store: &Arc<dyn ObjectStore>, wanted: Vec<(Place, PathBuf)>) -> Result<(), String> {
    let (mut waiting, mut running) = (wanted.into_iter(), JoinSet::new());
    loop {
        while running.len() < AT_ONCE
            && let Some((place, path)) = waiting.next()
        {
            let store = Arc::clone(store);
            running.spawn(async move { store.get(&place, &path).await });
        }
        match running.join_next().await {
            // One that is gone meanwhile was not there.
            Some(Ok(Ok(_))) => {}
            Some(Ok(Err(error))) => return Err(error.to_string()),
            Some(Err(error)) => return Err(error.to_string()),
            None => return Ok(()),
        }
    }
}

/// The path of a name below a directory; none for one that leads elsewhere.
fn beneath(directory: &Path, name: &str) -> Option<PathBuf> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    name.split('/').all(is_plain).then(|| directory.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leads_out_of_a_folder() {
        let in_folder = |name| beneath(Path::new("/f"), name);
        assert_eq!(in_folder("a/b c"), Some(PathBuf::from("/f/a/b c")));
        for name in ["../a", "a/../../b", "/etc/passwd", "a//b", "./a", "..", "a\0b"] {
            assert_eq!(in_folder(name), None, "{name:?}");
        }
    }
}
