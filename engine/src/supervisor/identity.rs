//! Who the build is: what it may ask for while it runs, and what is asked for on its behalf.

use std::sync::Arc;

use runspan_agent_protocol::{Answer, GitLogin, Offers, Question, Secret};
use serde::Deserialize;
use tokio::runtime::Handle;

use super::EngineError;
use super::driver::Driver;
use crate::cache::pull_request;
use crate::executor::{RegistryLogin, RootFs};
use crate::image::ImageName;
use crate::lifecycle::PhaseOutcome;
use crate::link::Answers;
use crate::plan::Plan;
use crate::ports::{Identity, SourceLogins};
use crate::project::{EnvironmentVariable, SourceType, VariableType};

impl Driver {
    /// The project's role; whoever runs the program is nobody that a build may be.
    pub(super) fn role(&self) -> Option<Arc<dyn Identity>> {
        let role = self.request.project.service_role.as_deref().filter(|role| !role.is_empty())?;
        // The name that CodeBuild gives its sessions.
        let session = format!("AWSCodeBuild-{}", self.build.id.uuid());
        self.supervisor.ports.identities.as_ref().map(|identities| identities.role(role, &session))
    }

    /// The login for an image's registry: the project's, or that of ECR. A pull without one says what is wrong itself.
    pub(super) async fn registry_login(
        &self,
        root: &RootFs,
    ) -> Result<Result<Option<RegistryLogin>, PhaseOutcome>, EngineError> {
        let RootFs::Image(image) = root else { return Ok(Ok(None)) };
        let environment = &self.request.project.environment;
        // The project's login is for the project's image.
        if let Some(credential) = &environment.registry_credential
            && environment.image.as_ref() == Some(image)
        {
            let login = self.login_in_secret(&credential.credential).await;
            return Ok(login.map(Some).map_err(|reason| {
                PhaseOutcome::failed(
                    "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE",
                    format!("registryCredential: {reason}"),
                )
            }));
        }
        let Some(identities) = &self.supervisor.ports.identities else { return Ok(Ok(None)) };
        let Ok(name) = ImageName::parse(image) else { return Ok(Ok(None)) };
        let as_role = environment.image_pull_credentials_type.as_deref() == Some("SERVICE_ROLE");
        let identity = self.role().filter(|_| as_role).unwrap_or_else(|| identities.own());
        match identity.registry_login(name.registry()).await {
            Ok(login) => Ok(Ok(login)),
            Err(reason) => {
                self.warn(format!("there is no login for the registry of {image}: {reason}"))?;
                Ok(Ok(None))
            }
        }
    }

    /// `registryCredential`: a secret with a JSON object.
    async fn login_in_secret(&self, secret: &str) -> Result<RegistryLogin, String> {
        #[derive(Deserialize)]
        struct Login {
            username: String,
            password: Secret,
        }
        let store = self.supervisor.ports.secrets.as_ref().ok_or("nothing here reads secrets")?;
        let name = "registryCredential".to_owned();
        let reference =
            EnvironmentVariable { name, value: secret.to_owned(), kind: VariableType::SecretsManager };
        let found = store.fetch(&[reference]).await.map_err(|error| error.message)?;
        let text = found.first().map(|variable| variable.value.reveal()).unwrap_or_default();
        // The parser's own words would quote the secret.
        let login: Login = serde_json::from_str(text)
            .map_err(|_| format!("the secret {secret} is not an object with `username` and `password`"))?;
        Ok(RegistryLogin { username: login.username, password: login.password })
    }

    /// What a build of this plan may ask for.
    pub(super) fn offers(&self, plan: &Plan) -> Offers {
        let has_role = self.role().is_some();
        Offers {
            credentials: has_role,
            git_logins: plan.git_credential_helper && (has_role || self.kept_logins(plan).is_some()),
        }
    }

    /// Answers to what the build asks while it runs.
    pub(super) fn answers(&self, plan: &Plan) -> Option<Answers> {
        let (role, kept, runtime) = (self.role(), self.kept_logins(plan), Handle::current());
        if role.is_none() && kept.is_none() {
            return None;
        }
        Some(Box::new(move |question| {
            runtime.block_on(async {
                match (question, &role) {
                    (Question::Credentials, Some(role)) => role.credentials().await.map(Answer::Credentials),
                    (Question::Credentials, None) => Err("the project has no serviceRole".into()),
                    (Question::GitLogin { protocol, host, path }, role) => {
                        let of_role = match role {
                            Some(role) => role.git_login(&host, &path).await?,
                            None => None,
                        };
                        let kept = || kept.as_ref()?.login(&format!("{protocol}://{host}"), &path);
                        Ok(Answer::GitLogin(of_role.or_else(kept)))
                    }
                }
            })
        }))
    }

    /// The logins that the project's sources were fetched with, for a build that asks for them. What others want to be
    /// merged does not get them.
    fn kept_logins(&self, plan: &Plan) -> Option<KeptLogins> {
        if !plan.git_credential_helper || pull_request(&self.request).is_some() {
            return None;
        }
        let logins = Arc::clone(self.supervisor.ports.logins.as_ref()?);
        let secondary = self.request.secondary_sources.iter().map(|(source, _)| source);
        let hosts: Vec<_> = [&self.request.source]
            .into_iter()
            .chain(secondary)
            .filter_map(|source| {
                let url = source.location.as_deref()?;
                logins.login(source.kind, url).and(origin(url)).map(|origin| (source.kind, origin))
            })
            .collect();
        (!hosts.is_empty()).then_some(KeptLogins { logins, hosts })
    }
}

/// Logins for the hosts of a project's sources, and for no other.
struct KeptLogins {
    logins: Arc<dyn SourceLogins>,
    hosts: Vec<(SourceType, String)>,
}

impl KeptLogins {
    fn login(&self, at: &str, path: &str) -> Option<GitLogin> {
        let (kind, _) = self.hosts.iter().find(|(_, origin)| origin == at)?;
        self.logins.login(*kind, &format!("{at}/{path}"))
    }
}

/// Scheme, host and port of a URL.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let host = authority.rsplit('@').next()?;
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_all_that_leads_to_it() {
        for (url, expected) in [
            ("https://github.com/o/r.git", Some("https://github.com")),
            ("http://user:secret@ghe.example:8080/o/r", Some("http://ghe.example:8080")),
            ("https://evil.example/https://github.com", Some("https://evil.example")),
            ("git@github.com:o/r", None),
        ] {
            assert_eq!(origin(url).as_deref(), expected, "{url}");
        }
    }
}
