//! Projects.

use jiff::Timestamp;
use runspan_engine::cache::{Directories, Store};
use runspan_engine::journal::{Order, Resource};
use runspan_engine::project::CacheType;
use serde_json::{Map, Value, json};

use super::Input;
use super::policies::without_policy;
use crate::answer::seconds;
use crate::api::Api;
use crate::error::ApiError;
use crate::pages;

impl Api {
    pub(crate) fn create_project(&self, input: &Input) -> Result<Value, ApiError> {
        let name = input.required("name");
        let mut record = Map::from_iter([
            ("arn".to_owned(), self.arn(&format!("project/{name}")).into()),
            ("cache".to_owned(), json!({ "type": "NO_CACHE" })),
            ("timeoutInMinutes".to_owned(), 60.into()),
            ("queuedTimeoutInMinutes".to_owned(), 480.into()),
            ("created".to_owned(), seconds(Timestamp::now())),
            ("projectVisibility".to_owned(), "PRIVATE".into()),
        ]);
        merge(&mut record, input)?;
        self.project_of(&record)?;
        let record = Value::Object(record);
        if !self.journal.create_resource(Resource::Project, name, &record)? {
            let arn = self.arn(&format!("project/{name}"));
            return Err(ApiError::exists(format!("Project already exists: {arn}")));
        }
        Ok(json!({ "project": shown(record) }))
    }

    pub(crate) fn update_project(&self, input: &Input) -> Result<Value, ApiError> {
        let name = input.required("name");
        let mut record = self.project_record(name)?;
        merge(&mut record, input)?;
        self.project_of(&record)?;
        self.save_project(name, &record)?;
        Ok(json!({ "project": shown(record.into()) }))
    }

    /// As CodeBuild does, it does not mind that there is no such project.
    pub(crate) fn delete_project(&self, input: &Input) -> Result<Value, ApiError> {
        self.journal.delete_resource(Resource::Project, name_of(input.required("name")))?;
        Ok(json!({}))
    }

    pub(crate) fn batch_get_projects(&self, input: &Input) -> Result<Value, ApiError> {
        let (mut projects, mut missing) = (Vec::new(), Vec::new());
        for name in input.texts("names") {
            match self.journal.resource(Resource::Project, name_of(name))? {
                Some(record) => projects.push(shown(record)),
                None => missing.push(name),
            }
        }
        Ok(json!({ "projects": projects, "projectsNotFound": missing }))
    }

    pub(crate) fn list_projects(&self, input: &Input) -> Result<Value, ApiError> {
        let span = pages::span(input)?;
        let mut all = self.journal.resources(Resource::Project)?;
        let time = |record: &Value, member: &str| record[member].as_f64().unwrap_or_default();
        match input.text("sortBy") {
            Some("CREATED_TIME") => all.sort_by(|a, b| time(a, "created").total_cmp(&time(b, "created"))),
            Some("LAST_MODIFIED_TIME") => {
                all.sort_by(|a, b| time(a, "lastModified").total_cmp(&time(b, "lastModified")));
            }
            _ => {}
        }
        if pages::order(input, Order::Ascending) == Order::Descending {
            all.reverse();
        }
        let names: Vec<Value> = all.iter().map(|record| record["name"].clone()).collect();
        Ok(pages::part("projects", names, span))
    }

    /// Nobody without a key sees anything here.
    pub(crate) fn update_project_visibility(&self, input: &Input) -> Result<Value, ApiError> {
        let arn = input.required("projectArn");
        self.project_record(arn)?;
        if input.required("projectVisibility") != "PRIVATE" {
            return Err(ApiError::invalid(
                "projectVisibility: this service shows builds only to those who have a key; leave it PRIVATE",
            ));
        }
        Ok(json!({ "projectArn": arn, "projectVisibility": "PRIVATE" }))
    }

    /// Forgets what a project has cached on this machine.
    pub(crate) fn invalidate_project_cache(&self, input: &Input) -> Result<Value, ApiError> {
        let name = input.required("projectName");
        let project = self.project_of(&self.project_record(name)?)?;
        let name = name_of(name);
        let namespace = project.cache.cache_namespace.as_deref().unwrap_or(name);
        if let (Some(CacheType::S3), Some(location)) = (project.cache.kind, &project.cache.location) {
            return Err(ApiError::invalid(format!(
                "this service deletes no objects; delete those of {namespace} below s3://{location}"
            )));
        }
        let root = &self.settings.cache_dir;
        let is_all = Store::open(&root.join("archives"), u64::MAX)
            .and_then(|store| store.invalidate(namespace))
            .and_then(|()| Directories::open(&root.join("directories"))?.invalidate(&format!("{name}\n")))
            .map_err(|error| ApiError::failure(error.to_string()))?;
        if is_all {
            Ok(json!({}))
        } else {
            Err(ApiError::invalid(
                "a build writes to a directory of the cache; invalidate it when the build is over",
            ))
        }
    }

    /// A project by name or ARN.
    pub(crate) fn project_record(&self, name: &str) -> Result<Map<String, Value>, ApiError> {
        match self.journal.resource(Resource::Project, name_of(name))? {
            Some(Value::Object(record)) => Ok(record),
            _ => {
                let arn = self.arn(&format!("project/{}", name_of(name)));
                Err(ApiError::not_found(format!("Project cannot be found: {arn}")))
            }
        }
    }

    pub(crate) fn save_project(&self, name: &str, record: &Map<String, Value>) -> Result<(), ApiError> {
        let record = Value::Object(record.clone());
        self.journal.update_resource(Resource::Project, name_of(name), &record)?;
        Ok(())
    }
}

/// The name that an ARN ends with.
pub(super) fn name_of(name_or_arn: &str) -> &str {
    name_or_arn.split_once(":project/").map_or(name_or_arn, |(_, name)| name)
}

/// Takes what a request gives into a project: whole members, as CodeBuild does.
fn merge(record: &mut Map<String, Value>, input: &Input) -> Result<(), ApiError> {
    for (name, value) in &input.0 {
        match name.as_str() {
            "name" if record.contains_key("name") => {}
            "badgeEnabled" if value == true => {
                return Err(ApiError::invalid("badgeEnabled: this service serves no badges"));
            }
            "badgeEnabled" => {}
            // How a limit is taken away.
            "concurrentBuildLimit" if value == -1 => drop(record.remove(name)),
            "concurrentBuildLimit" if value.as_i64().is_some_and(|limit| limit < 1) => {
                return Err(ApiError::invalid("Invalid concurrent build limit: must be at least 1"));
            }
            _ => drop(record.insert(name.clone(), value.clone())),
        }
    }
    record.insert("badge".into(), json!({ "badgeEnabled": false }));
    record.insert("lastModified".into(), seconds(Timestamp::now()));
    Ok(())
}

/// A record without what is kept for this service alone.
fn shown(mut record: Value) -> Value {
    if let Some(Value::Object(webhook)) = record.get_mut("webhook") {
        webhook.remove("secret");
    }
    without_policy(record)
}
