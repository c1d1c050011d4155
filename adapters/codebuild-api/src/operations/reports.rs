//! Reports of builds, and the groups that they are in.

use std::fs;
use std::io::ErrorKind;

use runspan_engine::journal::Order;
use serde_json::{Value, json};

use super::Input;
use crate::answer::with_seconds;
use crate::api::Api;
use crate::error::ApiError;
use crate::pages;

/// Builds that are looked through for reports, the newest.
const MOST_BUILDS: usize = 5000;

impl Api {
    pub(crate) fn list_reports(&self, input: &Input) -> Result<Value, ApiError> {
        let group = input.text("reportGroupArn");
        let status = input.value("filter").and_then(|filter| filter["status"].as_str());
        let mut all = self.reports()?;
        if let Some(group) = group
            && all.iter().all(|report| report["reportGroupArn"] != group)
        {
            return Err(ApiError::not_found(format!("Report group cannot be found: {group}")));
        }
        all.retain(|report| {
            group.is_none_or(|group| report["reportGroupArn"] == group)
                && status.is_none_or(|status| report["status"] == status)
        });
        if pages::order(input, Order::Descending) == Order::Ascending {
            all.reverse();
        }
        let arns: Vec<Value> = all.iter().map(|report| report["arn"].clone()).collect();
        Ok(pages::part("reports", arns, pages::span(input)?))
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

    pub(crate) fn batch_get_reports(&self, input: &Input) -> Result<Value, ApiError> {
        let (found, missing) = by_arn(self.reports()?, input.texts("reportArns"));
        Ok(json!({ "reports": found, "reportsNotFound": missing }))
    }

    pub(crate) fn batch_get_report_groups(&self, input: &Input) -> Result<Value, ApiError> {
        let (found, missing) = by_arn(self.groups()?, input.texts("reportGroupArns"));
        Ok(json!({ "reportGroups": found, "reportGroupsNotFound": missing }))
    }

    pub(crate) fn describe_test_cases(&self, input: &Input) -> Result<Value, ApiError> {
        let mut cases = self.details(input.required("reportArn"), "testCases")?;
        let filter = |name: &str| input.value("filter").and_then(|filter| filter[name].as_str());
        if let Some(status) = filter("status") {
            cases.retain(|case| case["status"] == status);
        }
        if let Some(keyword) = filter("keyword") {
            let has =
                |case: &Value, name: &str| case[name].as_str().is_some_and(|text| text.contains(keyword));
            cases.retain(|case| has(case, "name") || has(case, "prefix"));
        }
        Ok(pages::part("testCases", cases, pages::span(input)?))
    }

    pub(crate) fn describe_code_coverages(&self, input: &Input) -> Result<Value, ApiError> {
        let mut files = self.details(input.required("reportArn"), "codeCoverages")?;
        let covered = |file: &Value| file["lineCoveragePercentage"].as_f64().unwrap_or_default();
        let bound = |name: &str| input.value(name).and_then(Value::as_f64);
        let (least, most) = (bound("minLineCoveragePercentage"), bound("maxLineCoveragePercentage"));
        files.retain(|file| {
            least.is_none_or(|least| covered(file) >= least) && most.is_none_or(|most| covered(file) <= most)
        });
        match input.text("sortBy") {
            Some("FILE_PATH") => files.sort_by(|a, b| a["filePath"].as_str().cmp(&b["filePath"].as_str())),
            _ => files.sort_by(|a, b| covered(a).total_cmp(&covered(b))),
        }
        if pages::order(input, Order::Ascending) == Order::Descending {
            files.reverse();
        }
        Ok(pages::part("codeCoverages", files, pages::span(input)?))
    }

    /// Every report, the newest first.
    fn reports(&self) -> Result<Vec<Value>, ApiError> {
        let builds = self.journal.list(None, MOST_BUILDS)?;
        let reports = builds.into_iter().flat_map(|stored| stored.build.reports.into_iter().rev());
        Ok(reports.map(with_seconds).collect())
    }

    /// A group is what reports say of it: it begins with its first one.
    fn groups(&self) -> Result<Vec<Value>, ApiError> {
        let mut groups: Vec<Value> = Vec::new();
        for report in self.reports()?.into_iter().rev() {
            let arn = &report["reportGroupArn"];
            match groups.iter_mut().find(|group| group["arn"] == *arn) {
                Some(group) => group["lastModified"] = report["created"].clone(),
                None => {
                    let name = arn.as_str().and_then(|arn| arn.split_once(":report-group/"));
                    groups.push(json!({
                        "arn": arn,
                        "name": name.map(|(_, name)| name),
                        "type": report["type"],
                        "exportConfig": report["exportConfig"],
                        "created": report["created"],
                        "lastModified": report["created"],
                        "status": "ACTIVE",
                    }));
                }
            }
        }
        Ok(groups)
    }

    /// What a report's own file says.
    fn details(&self, arn: &str, member: &str) -> Result<Vec<Value>, ApiError> {
        let missing = || ApiError::not_found(format!("Report cannot be found: {arn}"));
        let builds = self.journal.list(None, MOST_BUILDS)?;
        let made = builds.into_iter().find_map(|stored| {
            let report = stored.build.reports.iter().find(|report| report["arn"] == arn)?.clone();
            Some((stored.build.id, report))
        });
        let (build, report) = made.ok_or_else(missing)?;
        let group = report["reportGroupArn"].as_str().unwrap_or_default();
        let name = group.split_once(":report-group/").map_or(group, |(_, name)| name);
        let path = self
            .journal
            .home()
            .build(build.uuid())
            .reports()
            .join(format!("{}.json", name.replace('/', "-")));
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
            Err(error) => return Err(ApiError::failure(format!("{}: {error}", path.display()))),
        };
        let mut said: Value = serde_json::from_slice(&text)
            .map_err(|error| ApiError::failure(format!("{}: {error}", path.display())))?;
        match with_seconds(said[member].take()) {
            Value::Array(all) => Ok(all),
            _ => Ok(Vec::new()),
        }
    }
}

/// Those with these ARNs, and the ARNs that none has.
fn by_arn<'a>(all: Vec<Value>, arns: impl Iterator<Item = &'a str>) -> (Vec<Value>, Vec<&'a str>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for arn in arns {
        match all.iter().find(|one| one["arn"] == arn) {
            Some(one) => found.push(one.clone()),
            None => missing.push(arn),
        }
    }
    (found, missing)
}
