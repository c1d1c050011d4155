//! Alarms and a dashboard on the metrics of builds, as CloudWatch takes them.

use serde_json::{Value, json};

use crate::account::Account;
use crate::metrics::METRICS;
use crate::permissions::{PUT_DASHBOARD, PUT_METRIC_ALARM};

/// Seconds that one figure of an alarm stands for.
const PERIOD: u32 = 300;
const MINUTE: u32 = 60;

/// What is watched, and when it is too much.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The namespace that metrics are sent to.
    pub namespace: String,
    /// One project; all builds together when absent.
    pub project: Option<String>,
    /// A build that takes longer than so many minutes is too slow.
    pub longest_minutes: u32,
    /// One that waits longer is as well.
    pub queued_minutes: u32,
    /// Who is told: the ARN of an SNS topic.
    pub topic: Option<String>,
}

impl Watch {
    /// The alarms, each as `aws cloudwatch put-metric-alarm --cli-input-json` takes it.
    pub fn alarms(&self) -> Vec<Value> {
        let (long, queued) = (self.longest_minutes, self.queued_minutes);
        vec![
            self.alarm("failed", "A build has failed", "FailedBuilds", "Sum", 0),
            self.alarm(
                "slow",
                &format!("A build took longer than {long} minutes"),
                "Duration",
                "Maximum",
                long * MINUTE,
            ),
            self.alarm(
                "queued",
                &format!("A build waited longer than {queued} minutes"),
                "QueuedDuration",
                "Maximum",
                queued * MINUTE,
            ),
        ]
    }

    fn alarm(&self, name: &str, description: &str, metric: &str, statistic: &str, over: u32) -> Value {
        json!({
            "AlarmName": format!("{}-builds-{name}", self.who()),
            "AlarmDescription": description,
            "Namespace": self.namespace,
            "MetricName": metric,
            "Dimensions": self.dimensions(),
            "Statistic": statistic,
            "Period": PERIOD,
            "EvaluationPeriods": 1,
            "Threshold": over,
            "ComparisonOperator": "GreaterThanThreshold",
            // No builds are no reason to wake anybody.
            "TreatMissingData": "notBreaching",
            "AlarmActions": self.topic.iter().collect::<Vec<_>>(),
        })
    }

    /// The dashboard, as `aws cloudwatch put-dashboard --dashboard-body` takes it.
    pub fn dashboard(&self, region: &str) -> Value {
        let graphs = [
            ("Builds", "Sum", &["Builds", "SucceededBuilds", "FailedBuilds"][..]),
            ("Seconds a build takes", "Average", &["Duration", "QueuedDuration", "ProvisioningDuration"]),
            ("Processors, percent", "Average", &["CPUUtilizedPercent"]),
            ("Memory, percent", "Average", &["MemoryUtilizedPercent"]),
        ];
        let widgets: Vec<Value> = graphs
            .into_iter()
            // What a build uses is counted for its project only.
            .filter(|(_, _, metrics)| self.project.is_some() || !metrics[0].ends_with("Percent"))
            .enumerate()
            .map(|(index, (title, statistic, metrics))| {
                json!({
                    "type": "metric",
                    "x": index % 2 * 12, "y": index / 2 * 6, "width": 12, "height": 6,
                    "properties": {
                        "title": title,
                        "stat": statistic,
                        "period": PERIOD,
                        "region": region,
                        "metrics": metrics.iter().map(|name| self.series(name)).collect::<Vec<_>>(),
                    },
                })
            })
            .collect();
        json!({ "widgets": widgets })
    }

    /// Namespace, metric and dimensions in one list, as dashboards have them.
    fn series<'a>(&'a self, metric: &'a str) -> Vec<&'a str> {
        let mut series = vec![self.namespace.as_str(), metric];
        series.extend(self.project.iter().flat_map(|project| ["ProjectName", project.as_str()]));
        series
    }

    fn dimensions(&self) -> Value {
        self.project.iter().map(|project| json!({ "Name": "ProjectName", "Value": project })).collect()
    }

    fn who(&self) -> &str {
        self.project.as_deref().unwrap_or("all")
    }

    /// Puts alarms and dashboard into the account, in place of those of the same names. Returns their names.
    ///
    /// # Errors
    /// What CloudWatch says no to, and why.
    pub async fn apply(&self, account: &Account) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        for alarm in self.alarms() {
            account.json(METRICS, PUT_METRIC_ALARM, &alarm).await.map_err(|error| error.to_string())?;
            names.push(alarm["AlarmName"].as_str().unwrap_or_default().to_owned());
        }
        let name = format!("{}-builds", self.who());
        let body = self.dashboard(account.region().await).to_string();
        let dashboard = json!({ "DashboardName": name, "DashboardBody": body });
        account.json(METRICS, PUT_DASHBOARD, &dashboard).await.map_err(|error| error.to_string())?;
        names.push(name);
        Ok(names)
    }
}
