//! Expressions: what they ask the container for is asked before they have a value.

use std::cell::RefCell;
use std::collections::BTreeMap;

use runspan_agent_protocol::{Reply, Verb};
use runspan_expressions::{Template, Value};

use super::{Frame, Steps, Stop};
use crate::steps::{Scene, Variables, env_names, template};

impl Steps<'_> {
    /// The value of a text, as text.
    pub(super) async fn text(&mut self, frame: &Frame, env: &Variables, text: &str) -> Result<String, Stop> {
        if !text.contains("${{") {
            return Ok(text.to_owned());
        }
        let template = template(text).map_err(Stop::Fault)?;
        Ok(self.evaluate(frame, env, &template).await?.to_text().to_string())
    }

    /// The value of a text that is a number or a truth value.
    pub(super) async fn value(&mut self, frame: &Frame, env: &Variables, text: &str) -> Result<Value, Stop> {
        let template = template(text).map_err(Stop::Fault)?;
        self.evaluate(frame, env, &template).await
    }

    /// The value of a template.
    pub(super) async fn evaluate(
        &mut self,
        frame: &Frame,
        env: &Variables,
        template: &Template,
    ) -> Result<Value, Stop> {
        self.ask_for_carried(env, template).await?;
        let asks = |context: &str| template.contexts().iter().any(|name| name == context);
        let lost = self.contexts.lost_secret().or_else(|| self.driver.request.lost_secret());
        if let Some(name) = lost
            && (asks("secrets")
                || (asks("github") && self.from_host && name.eq_ignore_ascii_case("github_token")))
        {
            return Err(Stop::Fault(format!(
                "the value of the secret {name} is not kept: run the build again"
            )));
        }
        let mut hashes = BTreeMap::new();
        loop {
            let (result, wanted) = {
                let env = self.visible(env);
                let scene = Scene {
                    fixed: &self.fixed,
                    env: &env,
                    steps: &frame.records,
                    inputs: frame.inputs.as_ref(),
                    github: &frame.action,
                    job: self.job.status,
                    status: if frame.nested { frame.status } else { self.job.status },
                    hashes: &hashes,
                    wanted: RefCell::default(),
                };
                let result = template.evaluate(&scene);
                (result, scene.wanted.into_inner())
            };
            if wanted.is_empty() {
                return result.map_err(|error| Stop::Fault(error.to_string()));
            }
            for patterns in wanted {
                let digest = match self.session.call(self.driver, Verb::HashFiles(patterns.clone())).await? {
                    Reply::Texts(mut texts) => texts.pop().unwrap_or_default(),
                    other => return Err(self.session.unexpected(&other).into()),
                };
                hashes.insert(patterns, digest);
            }
        }
    }

    /// `env` with what earlier commands have set.
    fn visible(&self, env: &Variables) -> Variables {
        let mut all = env.clone();
        for (name, value) in &self.carried {
            if let (Some(value), false) = (value, all.contains_key(name)) {
                all.insert(name.clone(), value.clone());
            }
        }
        all
    }

    /// In a buildspec, `env` is the environment that the phases carry.
    async fn ask_for_carried(&mut self, env: &Variables, template: &Template) -> Result<(), Stop> {
        if self.from_host {
            return Ok(());
        }
        let mut names = env_names(template);
        names.retain(|name| !env.contains_key(name) && !self.carried.contains_key(name));
        for secret in &self.driver.request.secrets {
            // Their values are known, and must not be written down with an answer.
            if names.remove(&secret.name) {
                self.carried.insert(secret.name.clone(), Some(secret.value.reveal().to_owned()));
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        let asked = names.iter().cloned().collect();
        let mut found: BTreeMap<String, String> =
            match self.session.call(self.driver, Verb::Export(asked)).await? {
                Reply::Variables(variables) => variables.into_iter().collect(),
                other => return Err(self.session.unexpected(&other).into()),
            };
        self.carried.extend(names.into_iter().map(|name| {
            let value = found.remove(&name);
            (name, value)
        }));
        Ok(())
    }
}
