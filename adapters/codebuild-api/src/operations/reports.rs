//! Reports of builds and batches.

use runspan_engine::journal::{Order, Reports};
use serde_json::{Map, Value, json};

use super::Input;
use crate::answer::with_seconds;
use crate::api::Api;
use crate::error::ApiError;
use crate::pages;

/// Reports that a trend is made of, as many as CodeBuild takes.
const TREND: u64 = 100;

impl Api {
    pub(crate) fn list_reports(&self, input: &Input) -> Result<Value, ApiError> {
        let group = input.text("reportGroupArn");
        let status = input.value("filter").and_then(|filter| filter["status"].as_str());
        if let Some(group) = group {
            self.group(group)?;
        }
        let mut all = self.reports()?;
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

    pub(crate) fn batch_get_reports(&self, input: &Input) -> Result<Value, ApiError> {
        let (found, missing) = by_arn(&self.reports()?, input.texts("reportArns"));
        Ok(json!({ "reports": found, "reportsNotFound": missing }))
    }

    /// As CodeBuild does, it does not mind that there is no such report.
    pub(crate) fn delete_report(&self, input: &Input) -> Result<Value, ApiError> {
        let arn = input.required("arn");
        self.journal.delete_reports(Reports::Arn(arn))?;
        if self.reports()?.iter().any(|report| report["arn"] == arn) {
            return Err(ApiError::invalid(format!("Report belongs to a build in progress: {arn}")));
        }
        Ok(json!({}))
    }

    pub(crate) fn get_report_group_trend(&self, input: &Input) -> Result<Value, ApiError> {
        let group = self.group(input.required("reportGroupArn"))?;
        let field = input.required("trendField");
        let is_of_tests = matches!(field, "PASS_RATE" | "DURATION" | "TOTAL");
        if is_of_tests != (group["type"] == "TEST") {
            let kind = group["type"].as_str().unwrap_or_default();
            return Err(ApiError::invalid(format!(
                "Trend field {field} is not one of report groups of type {kind}"
            )));
        }
        let most = usize::try_from(input.number("numOfReports").unwrap_or(TREND)).unwrap_or(usize::MAX);
        let reports = self.reports()?.into_iter().filter(|report| report["reportGroupArn"] == group["arn"]);
        let found =
            reports.take(most).filter_map(|report| Some((report["arn"].clone(), trend(&report, field)?)));
        let found: Vec<(Value, f64)> = found.collect();
        let values = || found.iter().map(|(_, value)| *value);
        let mut stats = Map::new();
        if !found.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "at most a hundred")]
            let average = values().sum::<f64>() / found.len() as f64;
            stats.insert("average".into(), average.to_string().into());
            stats.insert("max".into(), values().fold(f64::MIN, f64::max).to_string().into());
            stats.insert("min".into(), values().fold(f64::MAX, f64::min).to_string().into());
        }
        let raw = found.iter().map(|(arn, value)| json!({ "reportArn": arn, "data": value.to_string() }));
        Ok(json!({ "stats": stats, "rawData": raw.collect::<Vec<_>>() }))
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
    pub(super) fn reports(&self) -> Result<Vec<Value>, ApiError> {
        let mut all: Vec<Value> = self.journal.reports()?.into_iter().map(with_seconds).collect();
        let created = |report: &Value| report["created"].as_f64().unwrap_or_default();
        all.sort_by(|a, b| created(b).total_cmp(&created(a)));
        Ok(all)
    }

    /// What a report says of each test case or file.
    fn details(&self, arn: &str, member: &str) -> Result<Vec<Value>, ApiError> {
        let mut said = self
            .journal
            .report_details(arn)?
            .ok_or_else(|| ApiError::not_found(format!("Report cannot be found: {arn}")))?;
        match with_seconds(said[member].take()) {
            Value::Array(all) => Ok(all),
            _ => Ok(Vec::new()),
        }
    }
}

/// What one report adds to a trend.
fn trend(report: &Value, field: &str) -> Option<f64> {
    let (tests, coverage) = (&report["testSummary"], &report["codeCoverageSummary"]);
    match field {
        "PASS_RATE" => {
            let total = tests["total"].as_f64().filter(|total| *total > 0.0)?;
            Some(tests["statusCounts"]["SUCCEEDED"].as_f64()? * 100.0 / total)
        }
        "DURATION" => tests["durationInNanoSeconds"].as_f64(),
        "TOTAL" => tests["total"].as_f64(),
        "LINE_COVERAGE" => coverage["lineCoveragePercentage"].as_f64(),
        "LINES_COVERED" => coverage["linesCovered"].as_f64(),
        "LINES_MISSED" => coverage["linesMissed"].as_f64(),
        "BRANCH_COVERAGE" => coverage["branchCoveragePercentage"].as_f64(),
        "BRANCHES_COVERED" => coverage["branchesCovered"].as_f64(),
        _ => coverage["branchesMissed"].as_f64(),
    }
}

/// Those with these ARNs, and the ARNs that none has.
pub(super) fn by_arn<'a>(all: &[Value], arns: impl Iterator<Item = &'a str>) -> (Vec<Value>, Vec<&'a str>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for arn in arns {
        match all.iter().find(|one| one["arn"] == arn) {
            Some(one) => found.push(one.clone()),
            None => missing.push(arn),
        }
    }
    (found, missing)
}
