//! Groups of reports: those that were made here, and those that builds named.

use jiff::Timestamp;
use runspan_engine::journal::{Order, Reports, Resource};
use serde_json::{Map, Value, json};

use super::Input;
use super::policies::without_policy;
use super::reports::by_arn;
use crate::answer::seconds;
use crate::api::Api;
use crate::error::ApiError;
use crate::pages;

impl Api {
    pub(crate) fn create_report_group(&self, input: &Input) -> Result<Value, ApiError> {
        let name = input.required("name");
        let arn = self.arn(&format!("report-group/{name}"));
        let now = seconds(Timestamp::now());
        let mut record = Map::from_iter([
            ("arn".to_owned(), arn.as_str().into()),
            ("created".to_owned(), now.clone()),
            ("lastModified".to_owned(), now),
            ("status".to_owned(), "ACTIVE".into()),
        ]);
        check(input)?;
        record.extend(input.0.clone());
        let record = Value::Object(record);
        let is_known = self.groups()?.iter().any(|group| group["arn"] == arn.as_str());
        if is_known || !self.journal.create_resource(Resource::ReportGroup, name, &record)? {
            return Err(ApiError::exists(format!("Report group already exists: {arn}")));
        }
        Ok(json!({ "reportGroup": record }))
    }

    pub(crate) fn update_report_group(&self, input: &Input) -> Result<Value, ApiError> {
        let mut group = self.group(input.required("arn"))?;
        check(input)?;
        for member in ["exportConfig", "tags"] {
            if let Some(value) = input.value(member) {
                group[member] = value.clone();
            }
        }
        group["lastModified"] = seconds(Timestamp::now());
        self.save_group(&group)?;
        Ok(json!({ "reportGroup": without_policy(group) }))
    }

    /// As CodeBuild does, it does not mind that there is no such group.
    pub(crate) fn delete_report_group(&self, input: &Input) -> Result<Value, ApiError> {
        let arn = input.required("arn");
        if input.flag("deleteReports") {
            self.journal.delete_reports(Reports::Group(arn))?;
        }
        if self.reports()?.iter().any(|report| report["reportGroupArn"] == arn) {
            return Err(ApiError::invalid(format!(
                "Report group has reports; say deleteReports, or delete those of builds in progress later: {arn}"
            )));
        }
        self.journal.delete_resource(Resource::ReportGroup, name_of(arn))?;
        Ok(json!({}))
    }

    pub(crate) fn batch_get_report_groups(&self, input: &Input) -> Result<Value, ApiError> {
        let (found, missing) = by_arn(&self.groups()?, input.texts("reportGroupArns"));
        let found: Vec<Value> = found.into_iter().map(without_policy).collect();
        Ok(json!({ "reportGroups": found, "reportGroupsNotFound": missing }))
    }

    pub(crate) fn list_report_groups(&self, input: &Input) -> Result<Value, ApiError> {
        let mut all = self.groups()?;
        let time = |group: &Value, name: &str| group[name].as_f64().unwrap_or_default();
        match input.text("sortBy") {
            Some("CREATED_TIME") => all.sort_by(|a, b| time(a, "created").total_cmp(&time(b, "created"))),
            Some("LAST_MODIFIED_TIME") => {
                all.sort_by(|a, b| time(a, "lastModified").total_cmp(&time(b, "lastModified")));
            }
            _ => all.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str())),
        }
        if pages::order(input, Order::Ascending) == Order::Descending {
            all.reverse();
        }
        let arns: Vec<Value> = all.iter().map(|group| group["arn"].clone()).collect();
        Ok(pages::part("reportGroups", arns, pages::span(input)?))
    }

    /// The group with this ARN.
    pub(crate) fn group(&self, arn: &str) -> Result<Value, ApiError> {
        let found = self.groups()?.into_iter().find(|group| group["arn"] == arn);
        found.ok_or_else(|| ApiError::not_found(format!("Report group cannot be found: {arn}")))
    }

    /// Keeps what a group is now, also one that was only named until now.
    pub(crate) fn save_group(&self, group: &Value) -> Result<(), ApiError> {
        let name = group["name"].as_str().unwrap_or_default();
        if !self.journal.update_resource(Resource::ReportGroup, name, group)? {
            self.journal.create_resource(Resource::ReportGroup, name, group)?;
        }
        Ok(())
    }

    /// A group that nobody made is what reports say of it: it begins with its first one.
    fn groups(&self) -> Result<Vec<Value>, ApiError> {
        let mut groups = self.journal.resources(Resource::ReportGroup)?;
        let made = groups.len();
        for report in self.reports()?.into_iter().rev() {
            let arn = &report["reportGroupArn"];
            match groups.iter().position(|group| group["arn"] == *arn) {
                Some(at) if at < made => {}
                Some(at) => groups[at]["lastModified"] = report["created"].clone(),
                None => groups.push(json!({
                    "arn": arn,
                    "name": name_of(arn.as_str().unwrap_or_default()),
                    "type": report["type"],
                    "exportConfig": report["exportConfig"],
                    "created": report["created"],
                    "lastModified": report["created"],
                    "status": "ACTIVE",
                })),
            }
        }
        Ok(groups)
    }
}

/// The name that an ARN ends with.
fn name_of(arn: &str) -> &str {
    arn.split_once(":report-group/").map_or(arn, |(_, name)| name)
}

/// What CodeBuild checks of a group beyond its shape.
fn check(input: &Input) -> Result<(), ApiError> {
    let Some(export) = input.value("exportConfig") else { return Ok(()) };
    let destination = &export["s3Destination"];
    if export["exportConfigType"] == "S3" && destination["bucket"].is_null() {
        return Err(ApiError::invalid(
            "exportConfig.s3Destination.bucket is required when exportConfigType is S3",
        ));
    }
    if !destination["bucketOwner"].is_null() {
        return Err(ApiError::invalid(
            "exportConfig.s3Destination.bucketOwner: this service does not compare it; leave it out",
        ));
    }
    Ok(())
}
