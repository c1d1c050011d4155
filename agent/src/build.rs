//! The build as it was configured, and what has become of its environment.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use runspan_agent_protocol::{Configure, Shell, Variable};

use crate::carried::{self, CarriedState};
use crate::environment::Environment;
use crate::error::AgentError;
use crate::helpers;
use crate::layout::{Layout, ROOT_VARIABLE};
use crate::shared::{Session, Shared};

const SUCCEEDING: &str = "CODEBUILD_BUILD_SUCCEEDING";

/// A configured build.
#[derive(Debug)]
pub(crate) struct Build {
    /// Its rules.
    pub(crate) rules: Rules,
    /// What processes start with.
    pub(crate) environment: Environment,
    /// What commands carry.
    pub(crate) state: CarriedState,
    /// Whether no command has failed.
    pub(crate) succeeding: bool,
    /// The carried variables as steps start with them, as long as no command changes them.
    variables: Option<Environment>,
}

/// The part of [`Configure`] that commands are run by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// [`Configure::shell`].
    pub(crate) shell: Shell,
    /// [`Configure::carry_state`].
    pub(crate) carry_state: bool,
    /// [`Configure::source_dir`], as it is here.
    pub(crate) source_dir: PathBuf,
    /// [`Configure::breakpoints`].
    pub(crate) breakpoints: bool,
    /// [`Configure::pause_on_failure`].
    pub(crate) pause_on_failure: bool,
    /// [`Configure::memory_limit`].
    pub(crate) memory_limit: Option<u64>,
}

impl Build {
    /// Makes directories, state files and helper commands, and the environment.
    pub(crate) fn configure(order: &Configure, layout: &Layout) -> Result<Self, AgentError> {
        let source_dir = PathBuf::from(&order.source_dir);
        carried::make_dir(&source_dir)?;
        carried::make_dir(&layout.readonly_dir())?;
        helpers::install(layout)?;
        let mut environment = Environment::new(std::env::vars_os(), layout.helper_dir());
        if layout.root() != Path::new("/") {
            environment.put(ROOT_VARIABLE, layout.root());
        }
        order.environment.iter().try_for_each(|variable| environment.set(variable))?;
        let rules = Rules {
            shell: order.shell,
            carry_state: order.carry_state,
            source_dir,
            breakpoints: order.breakpoints,
            pause_on_failure: order.pause_on_failure,
            memory_limit: order.memory_limit,
        };
        let state = CarriedState::create(layout, &rules.source_dir, rules.shell)?;
        let mut build = Self { rules, environment, state, succeeding: true, variables: None };
        build.set_succeeding(true);
        Ok(build)
    }

    /// More environment; it wins over what commands have saved.
    pub(crate) fn set_environment(&mut self, variables: &[Variable]) -> Result<(), AgentError> {
        self.forget_variables();
        variables.iter().try_for_each(|variable| self.environment.set(variable))?;
        // `PATH` as completed, not as given.
        let value = |name: &str| self.environment.get(name).unwrap_or_default();
        let settled = variables.iter().map(|variable| (OsStr::new(&variable.name), value(&variable.name)));
        self.state.append(settled)
    }

    /// Sets what commands see in `CODEBUILD_BUILD_SUCCEEDING`.
    pub(crate) fn set_succeeding(&mut self, succeeding: bool) {
        self.succeeding = succeeding;
        self.environment.put(SUCCEEDING, if succeeding { "1" } else { "0" });
    }

    /// Commands may change the carried variables from now on.
    pub(crate) fn forget_variables(&mut self) {
        self.variables = None;
    }

    /// The variables that steps start with.
    pub(crate) fn step_variables(&mut self, shared: &Shared) -> Result<&mut Environment, AgentError> {
        if self.variables.is_none() {
            let mut variables = if self.rules.carry_state {
                self.state.variables(shared, &self.environment)?
            } else {
                self.environment.clone()
            };
            variables.put(SUCCEEDING, if self.succeeding { "1" } else { "0" });
            self.variables = Some(variables);
        }
        Ok(self.variables.get_or_insert_with(|| self.environment.clone()))
    }

    /// Carries variables that a step has set to whatever comes after it.
    pub(crate) fn carry(&mut self, shared: &Shared, set: &[(String, String)]) -> Result<(), AgentError> {
        if set.is_empty() {
            return Ok(());
        }
        let variables = self.step_variables(shared)?;
        set.iter().try_for_each(|(name, value)| variables.set(&Variable::new(name, value)))?;
        if self.rules.carry_state {
            self.state.append(set.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))))?;
        }
        Ok(())
    }

    /// What others may see of it.
    pub(crate) fn session(&self) -> Session {
        Session {
            environment: self.environment.clone(),
            state: self.state.clone(),
            source_dir: self.rules.source_dir.clone(),
            breakpoints: self.rules.breakpoints,
        }
    }
}
