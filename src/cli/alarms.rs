//! `runspan alarms`.

use clap::Args;
use runspan_aws::{Account, Watch};
use serde_json::json;

use crate::config::Config;
use crate::console;
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Print the CloudWatch alarms and the dashboard that builds deserve, or put them into the account.
#[derive(Debug, Args)]
pub(crate) struct AlarmsArgs {
    /// One project [default: all builds together].
    project: Option<String>,
    /// A build may take so long.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    duration: u32,
    /// A build may wait so long.
    #[arg(long, value_name = "MINUTES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    queue: u32,
    /// ARN of the SNS topic that is told [default: RUNSPAN_SNS_TOPIC].
    #[arg(long, value_name = "ARN")]
    topic: Option<String>,
    /// Put them there, in place of those of the same names.
    #[arg(long)]
    apply: bool,
}

pub(super) async fn alarms(args: AlarmsArgs, config: Config) -> Result<Exit, Failure> {
    let namespace = config.notices.metrics_namespace.ok_or_else(|| {
        Failure::input("no metrics are sent, so there is nothing to watch")
            .help("set RUNSPAN_METRICS_NAMESPACE to a namespace, as in CodeBuild, here and where builds run")
    })?;
    let watch = Watch {
        namespace,
        project: args.project,
        longest_minutes: args.duration,
        queued_minutes: args.queue,
        topic: args.topic.or(config.notices.sns_topic),
    };
    if args.apply {
        let names = watch.apply(&Account::new(config.region)).await.map_err(Failure::machine)?;
        names.iter().for_each(|name| console::print(&format!("{name}\n")));
    } else {
        let all = json!({ "alarms": watch.alarms(), "dashboard": watch.dashboard(&config.region) });
        console::print(&format!("{all:#}\n"));
    }
    Ok(Exit::Success)
}
