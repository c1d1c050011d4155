//! Everything the program takes from its environment, in one place.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use runspan_action_source::{Actions, Settings};
use runspan_agent_protocol::Secret;
use runspan_engine::Home;
use runspan_engine::journal::Journal;
use runspan_engine::steps::ActionSource;
use runspan_network::{ParseRangeError, Range};
use runspan_sandbox::image::{Settings as ImageSettings, Store};

use crate::failure::Failure;

/// The variables the program reads, with what they mean; `--help` prints them.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    ("RUNSPAN_HOME", "State: builds, logs, caches [default: $XDG_STATE_HOME/runspan]"),
    ("RUNSPAN_IMAGE", "Image of builds that neither --image nor a project gives one"),
    (
        "RUNSPAN_NETWORK_RANGE",
        "Addresses of builds' private networks [default: 10.213.0.0/16, or others that are free]",
    ),
    ("AWS_REGION, AWS_DEFAULT_REGION", "Region that builds see [default: us-east-1]"),
    ("RUNSPAN_METRICS_NAMESPACE", "CloudWatch namespace for builds' metrics [default: none are sent]"),
    ("RUNSPAN_EVENT_BUS", "EventBridge bus for builds' events [default: none are sent]"),
    ("RUNSPAN_EVENT_SOURCE", "Source of those events [default: runspan.codebuild]"),
    ("RUNSPAN_SNS_TOPIC", "ARN of the SNS topic for notifications [default: none are sent]"),
    ("RUNSPAN_SNS_EVENTS", "Which, as in state-failed,phase-failure [default: every state]"),
    ("RUNSPAN_IMAGES_GIB", "Most GiB of images that the sandbox keeps [default: 20]"),
    ("RUNSPAN_ACTIONS_URL", "API that the actions of steps come from [default: https://api.github.com]"),
    ("RUNSPAN_ACTIONS_TOKEN", "Login for it"),
    ("RUNSPAN_ACTIONS_STORAGE_GIB", "Most GiB of jobs' caches and artifacts that are kept [default: 20]"),
    (
        "RUNSPAN_NODE_URL",
        "npm registry, or a directory of its archives, for the node that actions need [default: https://registry.npmjs.org]",
    ),
    ("DOCKER_CONFIG", "Directory of Docker's config.json, for its logins [default: ~/.docker]"),
    ("DOCKER_HOST", "Where the container engine listens"),
    ("NO_COLOR", "No colours, whatever its value"),
];

/// The program's settings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where state lives.
    pub(crate) home: PathBuf,
    /// `RUNSPAN_IMAGE`.
    pub(crate) image: Option<String>,
    /// `RUNSPAN_NETWORK_RANGE`.
    pub(crate) network_range: Option<Range>,
    /// `RUNSPAN_IMAGES_GIB`, in bytes.
    pub(crate) images_limit: Option<u64>,
    /// Where Docker's logins are.
    pub(crate) docker_config: Option<PathBuf>,
    /// `RUNSPAN_ACTIONS_URL`.
    pub(crate) actions_url: Option<String>,
    /// `RUNSPAN_ACTIONS_STORAGE_GIB`, in bytes.
    pub(crate) actions_storage_limit: Option<u64>,
    /// `RUNSPAN_ACTIONS_TOKEN`.
    pub(crate) actions_token: Option<Secret>,
    /// `RUNSPAN_NODE_URL`.
    pub(crate) node_url: Option<String>,
    /// The region that builds see.
    pub(crate) region: String,
    /// Who runs the program.
    pub(crate) user: String,
    /// Who wants to know of builds.
    pub(crate) notices: Notices,
}

/// Where builds' metrics and events go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Notices {
    /// `RUNSPAN_METRICS_NAMESPACE`.
    pub(crate) metrics_namespace: Option<String>,
    /// `RUNSPAN_EVENT_BUS`.
    pub(crate) event_bus: Option<String>,
    /// `RUNSPAN_EVENT_SOURCE`.
    pub(crate) event_source: String,
    /// `RUNSPAN_SNS_TOPIC`.
    pub(crate) sns_topic: Option<String>,
    /// `RUNSPAN_SNS_EVENTS`.
    pub(crate) sns_events: Vec<String>,
}

/// Every state that a build can come into.
const SNS_EVENTS: &str = "state-failed,state-succeeded,state-in-progress,state-stopped";

impl Config {
    /// Reads the process's environment.
    pub(crate) fn load() -> Result<Self, Failure> {
        Self::read(|name| env::var_os(name), rustix::process::geteuid().is_root())
    }

    fn read(variable: impl Fn(&str) -> Option<OsString>, root: bool) -> Result<Self, Failure> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let home = match (set("RUNSPAN_HOME"), set("XDG_STATE_HOME"), set("HOME")) {
            (Some(home), _, _) => PathBuf::from(home),
            (None, Some(state), _) => PathBuf::from(state).join("runspan"),
            (None, None, Some(home)) => PathBuf::from(home).join(".local/state/runspan"),
            (None, None, None) if root => PathBuf::from("/var/lib/runspan"),
            (None, None, None) => {
                return Err(Failure::input("there is no place for the program's state: HOME is not set")
                    .help("set RUNSPAN_HOME to a directory that you can write"));
            }
        };
        let gib = |name: &str| {
            let bytes = |text: String| {
                text.parse::<u64>().ok().and_then(|gib| gib.checked_mul(1 << 30)).ok_or_else(|| {
                    Failure::input(format!("{name} is {text:?}")).help("set it to a number, as in 20")
                })
            };
            text(name).map(bytes).transpose()
        };
        let docker = || set("HOME").map(|home| PathBuf::from(home).join(".docker"));
        Ok(Self {
            home,
            image: text("RUNSPAN_IMAGE"),
            network_range: text("RUNSPAN_NETWORK_RANGE").map(|range| range.parse()).transpose().map_err(
                |error: ParseRangeError| Failure::input(format!("RUNSPAN_NETWORK_RANGE: {error}")),
            )?,
            images_limit: gib("RUNSPAN_IMAGES_GIB")?,
            actions_storage_limit: gib("RUNSPAN_ACTIONS_STORAGE_GIB")?,
            docker_config: set("DOCKER_CONFIG").map(PathBuf::from).or_else(docker),
            actions_url: text("RUNSPAN_ACTIONS_URL"),
            actions_token: text("RUNSPAN_ACTIONS_TOKEN").map(Secret::new),
            node_url: text("RUNSPAN_NODE_URL"),
            region: text("AWS_REGION")
                .or_else(|| text("AWS_DEFAULT_REGION"))
                .unwrap_or_else(|| "us-east-1".into()),
            user: text("USER")
                .or_else(|| text("LOGNAME"))
                .unwrap_or_else(|| if root { "root".into() } else { "unknown".into() }),
            notices: Notices {
                metrics_namespace: text("RUNSPAN_METRICS_NAMESPACE"),
                event_bus: text("RUNSPAN_EVENT_BUS"),
                event_source: text("RUNSPAN_EVENT_SOURCE").unwrap_or_else(|| "runspan.codebuild".into()),
                sns_topic: text("RUNSPAN_SNS_TOPIC"),
                sns_events: sns_events(text("RUNSPAN_SNS_EVENTS").as_deref().unwrap_or(SNS_EVENTS))?,
            },
        })
    }

    /// How the sandbox keeps images.
    pub(crate) fn image_settings(&self) -> ImageSettings {
        let default = ImageSettings::default();
        ImageSettings {
            limit: self.images_limit.unwrap_or(default.limit),
            docker_config: self.docker_config.clone(),
            ..default
        }
    }

    /// Where the actions of steps come from.
    pub(crate) fn actions(&self) -> Arc<dyn ActionSource> {
        let default = Settings::new(self.home.join("actions"));
        let settings = Settings {
            api: self.actions_url.clone().unwrap_or(default.api),
            token: self.actions_token.clone(),
            node: self.node_url.clone().unwrap_or(default.node),
            cache: default.cache,
        };
        Arc::new(Actions::new(settings))
    }

    /// Opens the sandbox's store of images.
    pub(crate) fn images(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.home.join("images"), self.image_settings())?)
    }

    /// Opens the state directory and its journal.
    pub(crate) fn journal(&self) -> Result<Arc<Journal>, Failure> {
        let home = Home::open(&self.home).map_err(|error| {
            Failure::machine(format!("the state directory {} cannot be used", self.home.display()))
                .because(&error)
                .help("set RUNSPAN_HOME to a directory that you can write")
        })?;
        Ok(Arc::new(Journal::open(&home)?))
    }
}

/// Names of events. One that none has would be waited for in vain.
fn sns_events(list: &str) -> Result<Vec<String>, Failure> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| match runspan_aws::is_event(name) {
            true => Ok(name.to_owned()),
            false => Err(Failure::input(format!("RUNSPAN_SNS_EVENTS names {name:?}, which is no event"))
                .help(format!("choose of {SNS_EVENTS},phase-failure,phase-success"))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], root: bool) -> Result<Config, Failure> {
        Config::read(
            |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into()),
            root,
        )
    }

    #[test]
    fn state_lives_where_the_user_says_or_where_xdg_says() {
        let home = |variables| read(variables, true).unwrap().home;
        assert_eq!(home(&[("RUNSPAN_HOME", "/r"), ("HOME", "/h")]), PathBuf::from("/r"));
        assert_eq!(home(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")]), PathBuf::from("/s/runspan"));
        assert_eq!(home(&[("RUNSPAN_HOME", ""), ("HOME", "/h")]), PathBuf::from("/h/.local/state/runspan"));
        assert_eq!(home(&[]), PathBuf::from("/var/lib/runspan"));
        assert_eq!(read(&[], false).unwrap_err().exit, crate::exit_code::Exit::BadInput);
    }

    #[test]
    fn events_are_known() {
        let read = |events| read(&[("HOME", "/h"), ("RUNSPAN_SNS_EVENTS", events)], false);
        let events = |list| read(list).unwrap().notices.sns_events;
        assert_eq!(events(" failed, phase-failure,"), ["failed", "phase-failure"]);
        assert_eq!(events("").len(), 4);
        assert_eq!(read("state-fail").unwrap_err().exit, crate::exit_code::Exit::BadInput);
    }

    #[test]
    fn a_range_of_addresses_is_one() {
        let read = |range| read(&[("HOME", "/h"), ("RUNSPAN_NETWORK_RANGE", range)], false);
        assert_eq!(read("10.9.0.0/16").unwrap().network_range, "10.9.0.0/16".parse().ok());
        assert_eq!(read("").unwrap().network_range, None);
        assert_eq!(read("10.9.0.0").unwrap_err().exit, crate::exit_code::Exit::BadInput);
    }

    #[test]
    fn the_limit_of_images_is_a_number() {
        let limit =
            |gib| read(&[("HOME", "/h"), ("RUNSPAN_IMAGES_GIB", gib)], false).map(|read| read.images_limit);
        assert_eq!(limit("2").unwrap(), Some(2 << 30));
        assert_eq!(limit("").unwrap(), None);
        for wrong in ["x", "-1", "2G", "99999999999999"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_region_has_a_default() {
        assert_eq!(read(&[("HOME", "/h")], false).unwrap().region, "us-east-1");
        let both = [("HOME", "/h"), ("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-west-2")];
        assert_eq!(read(&both, false).unwrap().region, "eu-west-1");
    }
}
