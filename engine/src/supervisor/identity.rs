//! Who the build is: what it may ask for while it runs, and what is asked for on its behalf.

use std::sync::Arc;

use runspan_agent_protocol::{Answer, Offers, Question, Secret};
use serde::Deserialize;
use tokio::runtime::Handle;

use super::EngineError;
use super::driver::Driver;
use crate::executor::{RegistryLogin, RootFs};
use crate::image::ImageName;
use crate::lifecycle::PhaseOutcome;
use crate::link::Answers;
use crate::plan::Plan;
use crate::ports::Identity;
use crate::project::{EnvironmentVariable, VariableType};

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
        Offers { credentials: has_role, git_logins: has_role && plan.git_credential_helper }
    }

    /// Answers to what the build asks while it runs.
    pub(super) fn answers(&self) -> Option<Answers> {
        let (role, runtime) = (self.role()?, Handle::current());
        Some(Box::new(move |question| {
            runtime.block_on(async {
                match question {
                    Question::Credentials => role.credentials().await.map(Answer::Credentials),
                    Question::GitLogin { host, path } => {
                        role.git_login(&host, &path).await.map(Answer::GitLogin)
                    }
                }
            })
        }))
    }
}
