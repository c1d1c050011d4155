//! What stands beside the script: image, size, clone, runner, deployment.

use crate::draft::{Command, Draft};
use crate::field::Field;
use crate::file::Translator;

/// Bitbucket's sizes and what comes nearest in memory.
const SIZES: &[(&str, &str)] = &[
    ("1x", "BUILD_GENERAL1_SMALL"),
    ("2x", "BUILD_GENERAL1_MEDIUM"),
    ("4x", "BUILD_GENERAL1_LARGE"),
    ("8x", "BUILD_GENERAL1_XLARGE"),
    ("16x", "BUILD_GENERAL1_XLARGE"),
    ("32x", "BUILD_GENERAL1_2XLARGE"),
];

impl<'a> Translator<'a> {
    /// `image`.
    pub(crate) fn image(&mut self, field: &Field<'a>, draft: &mut Draft) {
        if !field.is_map() {
            self.image_name(field, draft);
            return;
        }
        self.account.exact(field, "the image of the build");
        for (key, part) in field.entries() {
            match key {
                "name" => self.image_name(&part, draft),
                "run-as-user" => {
                    let user = part.text().unwrap_or("0");
                    if user == "0" {
                        self.account.exact(&part, "nothing: commands run as root");
                    } else {
                        let reason = format!("`run-as` takes a name, not the number {user}");
                        draft.by_hand.push(reason.clone());
                        self.account.manual(&part, reason, Some("run-as: NAME".into()));
                    }
                }
                "username" | "password" | "email" | "aws" => {
                    let difference =
                        "the login is the project's `registryCredential`, or this machine's `docker login`";
                    self.account.approximate(&part, "nothing", difference);
                    for (key, inner) in part.entries() {
                        match key {
                            "access-key" | "secret-key" | "oidc-role" | "oidc" => {
                                self.account.approximate(
                                    &inner,
                                    "nothing",
                                    "the project's service role pulls",
                                );
                            }
                            _ => self.unknown(&inner, "an image's login"),
                        }
                    }
                }
                _ => self.unknown(&part, "an image"),
            }
        }
    }

    fn image_name(&mut self, field: &Field<'a>, draft: &mut Draft) {
        let name = field.text().unwrap_or_default();
        if name.contains('$') {
            let reason = format!("variables in the name of an image are not replaced: {name}");
            draft.by_hand.push(reason.clone());
            self.account.manual(field, reason, Some("--image REGISTRY/NAME:TAG".into()));
        } else if !name.is_empty() {
            draft.env.image = Some(name.to_owned());
            self.account.exact(field, "the image of the build");
        }
    }

    /// `size`.
    pub(crate) fn size(&mut self, field: &Field<'a>, draft: &mut Draft) {
        let size = field.text().unwrap_or_default();
        match SIZES.iter().find(|(name, _)| *name == size) {
            Some((_, compute)) => {
                draft.env.compute_type = Some((*compute).to_owned());
                self.account.approximate(
                    field,
                    format!("`compute-type: {compute}`"),
                    "memory and CPUs are near, not the same",
                );
            }
            None => self.account.manual(
                field,
                format!("no size is called `{size}`"),
                Some("compute-type: BUILD_GENERAL1_MEDIUM".into()),
            ),
        }
    }

    /// `max-time`.
    pub(crate) fn max_time(&mut self, field: &Field<'a>) {
        let minutes = field.text().unwrap_or_default();
        let became = format!("`--timeout {minutes}`, or the project's `timeoutInMinutes`");
        self.account.approximate(field, became, "a buildspec has no timeout");
    }

    /// `clone`.
    pub(crate) fn clone_settings(&mut self, field: &Field<'a>, draft: &mut Draft) {
        self.account.exact(field, "how the project fetches its source");
        for (key, part) in field.entries() {
            match key {
                "enabled" if part.is_true() => self.account.exact(&part, "nothing: the source is there"),
                "enabled" => {
                    draft.before.push(Command::because(
                        "mkdir -p /tmp/empty && cd /tmp/empty",
                        "The step wants no source.",
                    ));
                    self.account.approximate(
                        &part,
                        "an empty directory",
                        "the source is fetched nevertheless",
                    );
                }
                "depth" => {
                    let difference =
                        "the project says it, as `gitCloneDepth`; runspan fetches what is needed";
                    self.account.approximate(&part, "nothing", difference);
                }
                "lfs" if part.is_true() => {
                    draft.before.push(Command::plain("git lfs pull"));
                    self.account.approximate(&part, "`git lfs pull`", "the image must have Git LFS");
                }
                "lfs" => self.account.exact(&part, "nothing: files of Git LFS are not fetched"),
                "skip-ssl-verify" | "strategy" | "filter" | "tags" | "submodules" => {
                    self.account.approximate(
                        &part,
                        "nothing",
                        "the project says it, as `insecureSsl` and the like",
                    );
                }
                _ => self.unknown(&part, "clone"),
            }
        }
    }

    /// `runs-on`.
    pub(crate) fn runs_on(&mut self, field: &Field<'a>) {
        let labels = field.texts().join(", ");
        self.account.approximate(field, "any runner", format!("labels choose no machine: {labels}"));
    }

    /// `runtime`.
    pub(crate) fn runtime(&mut self, field: &Field<'a>, draft: &mut Draft) {
        self.account.exact(field, "the environment of the build");
        for (kind, settings) in field.entries() {
            match kind {
                "cloud" => self.account.exact(&settings, "the environment of the build"),
                "self-hosted" => {
                    self.account.approximate(&settings, "nothing", "this machine gives what it has");
                    continue;
                }
                _ => {
                    self.unknown(&settings, "a runtime");
                    continue;
                }
            }
            for (key, part) in settings.entries() {
                match (key, part.text().unwrap_or_default()) {
                    ("arch", "arm") => {
                        draft.env.kind = Some("ARM_CONTAINER".into());
                        self.account.exact(&part, "`type: ARM_CONTAINER`");
                    }
                    ("arch" | "version", _) => self.account.exact(&part, "nothing: it is so"),
                    ("platform", "windows") => {
                        let reason = "a buildspec for Windows has other commands";
                        self.account.manual(
                            &part,
                            reason,
                            Some("type: WINDOWS_SERVER_2022_CONTAINER".into()),
                        );
                    }
                    ("platform", _) => self.account.exact(&part, "nothing: it is so"),
                    ("atlassian-ip-ranges" | "instance-type", _) => {
                        self.account.approximate(&part, "nothing", "this machine gives what it has");
                    }
                    _ => self.unknown(&part, "a runtime"),
                }
            }
        }
    }

    /// `deployment` and `environment`.
    pub(crate) fn deployment(&mut self, field: &Field<'a>, draft: &mut Draft) {
        let name = field.text().or_else(|| field.get("name")?.text()).unwrap_or_default().to_owned();
        let became = format!("the variable BITBUCKET_DEPLOYMENT_ENVIRONMENT, `{name}`");
        draft.variables.insert("BITBUCKET_DEPLOYMENT_ENVIRONMENT".into(), name);
        let difference =
            "the environment's own variables are to be given, and nothing keeps two deployments apart";
        self.account.approximate(field, became, difference);
    }

    /// `condition`.
    pub(crate) fn condition(&mut self, field: &Field<'a>, draft: &mut Draft) {
        self.account.exact(field, "see what it holds");
        for (key, part) in field.entries() {
            match key {
                "changesets" => {
                    self.account.exact(&part, "see what it holds");
                    for (key, paths) in part.entries() {
                        let exclude = match key {
                            "includePaths" => false,
                            "excludePaths" => true,
                            _ => {
                                self.unknown(&paths, "changesets");
                                continue;
                            }
                        };
                        let patterns: Vec<String> =
                            paths.texts().iter().map(|path| crate::glob::filter("", path)).collect();
                        let filter = format!(
                            "{{\"type\": \"FILE_PATH\", \"pattern\": \"{}\", \"excludeMatchedPattern\": {exclude}}}",
                            patterns.join("|").replace('\\', "\\\\")
                        );
                        let reason =
                            "the step runs whatever changed: the project's webhook can look at paths";
                        draft.by_hand.push(format!("{reason}:\n{filter}"));
                        self.account.manual(&paths, reason, Some(filter));
                    }
                }
                "state" => {
                    let reason = "the step runs whatever the state of the pipeline is";
                    draft.by_hand.push(format!("{reason}: {}", part.text().unwrap_or_default()));
                    self.account.manual(&part, reason, Some("[ \"$NAME\" = value ] || exit 0".into()));
                }
                _ => self.unknown(&part, "a condition"),
            }
        }
    }

    /// A key that Bitbucket does not know.
    pub(crate) fn unknown(&mut self, field: &Field<'a>, of: &str) {
        self.account.manual(field, format!("no key of {of}; Bitbucket refuses or ignores it"), None);
    }
}
