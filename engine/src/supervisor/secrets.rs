//! Variables whose values are elsewhere: fetched in one batch, while the container is placed.

use std::sync::Arc;

use runspan_agent_protocol::{StopReason, Variable};
use tokio::task::JoinHandle;

use super::driver::Driver;
use super::session::Interrupt;
use crate::lifecycle::PhaseOutcome;
use crate::plan::Plan;
use crate::ports::{PARAMETER_STORE_ERROR, SECRETS_MANAGER_ERROR, SecretError};
use crate::project::{EnvironmentVariable, VariableType};

pub(super) type FetchedSecrets = JoinHandle<Result<Vec<Variable>, SecretError>>;

impl Driver {
    /// Begins to fetch what the plan refers to.
    pub(super) fn fetch_secrets(&mut self, plan: &Plan) {
        // A value that came with the request is not asked for.
        let is_given = |name: &str| self.request.secrets.iter().any(|secret| secret.name == name);
        let references: Vec<_> =
            references(plan).into_iter().filter(|variable| !is_given(&variable.name)).collect();
        if references.is_empty() || self.secrets.is_some() {
            return;
        }
        let store = self.supervisor.ports.secrets.as_ref().map(Arc::clone);
        self.secrets = Some(tokio::spawn(async move {
            match store {
                Some(store) => store.fetch(&references).await,
                None => Err(nowhere(&references)),
            }
        }));
    }

    /// Waits for them. They stay with the agent, and nowhere else.
    pub(super) async fn secrets(
        &mut self,
        plan: &Plan,
    ) -> Result<Result<Vec<Variable>, SecretError>, Interrupt> {
        // After a supervisor's death there is nothing to wait for.
        self.fetch_secrets(plan);
        let Some(fetched) = self.secrets.take() else { return Ok(Ok(Vec::new())) };
        match self.interruptible(fetched).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(Interrupt::Failed(format!("fetching the secrets ended: {error}"))),
            Err(PhaseOutcome::TimedOut) => Err(Interrupt::Ended(StopReason::TimedOut)),
            Err(_) => Err(Interrupt::Ended(StopReason::Stopped)),
        }
    }
}

/// Variables whose values are elsewhere.
pub(super) fn references(plan: &Plan) -> Vec<EnvironmentVariable> {
    plan.variables.iter().filter(|variable| variable.kind != VariableType::Plaintext).cloned().collect()
}

fn nowhere(references: &[EnvironmentVariable]) -> SecretError {
    let first = references.first();
    let name = first.map_or("", |variable| variable.name.as_str());
    let value = first.map_or("", |variable| variable.value.as_str());
    SecretError {
        status_code: match first.map(|variable| variable.kind) {
            Some(VariableType::SecretsManager) => SECRETS_MANAGER_ERROR,
            _ => PARAMETER_STORE_ERROR,
        },
        message: format!(
            "the value of {name} is in AWS ({value}), which nothing here reads; give one with `--env {name}=VALUE`"
        ),
    }
}
