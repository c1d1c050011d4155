//! Values of variables, from Parameter Store and Secrets Manager.

mod manager;
mod parameters;
mod reference;

use std::sync::Arc;

use async_trait::async_trait;
use runspan_agent_protocol::{Secret, Variable};
use runspan_engine::ports::{SecretError, SecretStore};
use runspan_engine::project::{EnvironmentVariable, VariableType};

use crate::account::Account;

/// Both stores, asked at the same time; what they say is kept by nobody.
#[derive(Debug)]
pub struct Secrets(Arc<Account>);

impl Secrets {
    /// Of this account.
    pub const fn new(account: Arc<Account>) -> Self {
        Self(account)
    }
}

#[async_trait]
impl SecretStore for Secrets {
    async fn fetch(&self, references: &[EnvironmentVariable]) -> Result<Vec<Variable>, SecretError> {
        let of = |kind: VariableType| {
            let all = references.iter().filter(move |reference| reference.kind == kind);
            all.map(|reference| reference.value.as_str()).collect::<Vec<_>>()
        };
        let (names, texts) = (of(VariableType::ParameterStore), of(VariableType::SecretsManager));
        let (parameters, secrets) =
            tokio::try_join!(parameters::fetch(&self.0, &names), manager::fetch(&self.0, &texts))?;
        let (mut parameters, mut secrets) = (parameters.into_iter(), secrets.into_iter());
        let mut next = |kind: VariableType| match kind {
            VariableType::ParameterStore => parameters.next(),
            VariableType::SecretsManager => secrets.next(),
            VariableType::Plaintext => None,
        };
        Ok(references
            .iter()
            .filter_map(|reference| {
                let value: Secret = next(reference.kind)?;
                Some(Variable { name: reference.name.clone(), value })
            })
            .collect())
    }
}
