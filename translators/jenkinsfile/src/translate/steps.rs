//! Steps as commands.

use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    block::Block,
    scope::{argument, first, named},
    value::{RESULT, is_true},
    word::{Word, is_name},
};
use crate::groovy::{Arg, Call, Closure, Expr, ExprKind, Stmt};

impl<'a> Translator<'a> {
    /// The commands of a step; nothing when it is not known.
    pub(super) fn step(
        &mut self,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let construct = format!("{path}.{name}");
        if let Some(closure) = call.block() {
            return self.around(name, call, closure, span, &construct);
        }
        if let Some(block) = self.publish(name, call, span, &construct) {
            return Some(block);
        }
        if let Some(block) = self.plain(name, call, span, &construct) {
            return Some(block);
        }
        self.reported(name, call, span, &construct)
    }

    fn plain(&mut self, name: &str, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let block = match name {
            "sh" => return self.sh(call, span, construct),
            "echo" | "println" | "print" => {
                let word = match first(call).or_else(|| named(call, "message")) {
                    Some(message) => self.value(message)?,
                    None => Word::default(),
                };
                self.notes.exact(span, construct, "`echo`");
                Block::of(format!("echo {}", word.argument()))
            }
            "error" => {
                let word = self.value(argument(call, "message")?)?;
                self.notes.exact(span, construct, "`exit 1` after the message");
                Block { ends: true, ..Block::of(format!("echo {} >&2; exit 1", word.argument())) }
            }
            "unstable" => {
                let word = self.value(argument(call, "message")?)?;
                self.results = true;
                self.notes.approximate(span, construct, format!("the variable {RESULT}"), UNSTABLE);
                Block::setting(format!("echo {}\n{RESULT}=UNSTABLE", word.argument()))
            }
            "sleep" => {
                let time = self.value(argument(call, "time")?)?;
                let unit = named(call, "unit")
                    .and_then(|unit| self.constant(unit))
                    .unwrap_or_else(|| "SECONDS".into());
                let seconds = match (time.constant().and_then(|time| time.parse::<u64>().ok()), unit.as_str())
                {
                    (Some(time), "SECONDS") => time.to_string(),
                    (Some(time), "MINUTES") => (time * 60).to_string(),
                    (Some(time), "HOURS") => (time * 3600).to_string(),
                    (None, "SECONDS") => time.argument(),
                    _ => return None,
                };
                self.notes.exact(span, construct, "`sleep`");
                Block::of(format!("sleep {seconds}"))
            }
            "writeFile" => {
                let file = self.value(named(call, "file")?)?;
                let text = self.value(named(call, "text")?)?;
                self.notes.exact(span, construct, "`printf` into the file");
                let parent = file
                    .constant()
                    .and_then(|file| file.rsplit_once('/').map(|(parent, _)| parent.to_owned()));
                let made =
                    parent.map(|parent| format!("mkdir -p {} && ", quoted(&parent))).unwrap_or_default();
                Block::of(format!("{made}printf %s {} > {}", text.argument(), file.argument()))
            }
            "touch" => {
                let file = self.value(argument(call, "file")?)?;
                self.notes.exact(span, construct, "`touch`");
                Block::of(format!("touch {}", file.argument()))
            }
            "deleteDir" if self.directories > 0 => {
                self.notes.exact(span, construct, "everything in the directory removed");
                Block::of("find . -mindepth 1 -delete")
            }
            "deleteDir" | "cleanWs" | "step_cleanWs" => {
                self.notes.approximate(
                    span,
                    construct,
                    "nothing",
                    "each build begins in a fresh container that is thrown away; files made earlier in this build stay",
                );
                Block::default()
            }
            "checkout" => return self.checkout(call, span, construct),
            "git" => {
                let url = self.value(argument(call, "url")?)?;
                let branch = match named(call, "branch") {
                    Some(branch) => self.value(branch)?,
                    None => Word::literal("master"),
                };
                self.clone(&url, &branch, named(call, "credentialsId").is_some(), span, construct)
            }
            "stash" => return self.stash(call, span, construct),
            "unstash" => return self.unstash(call, span, construct),
            "milestone" => {
                self.notes.approximate(
                    span,
                    construct,
                    "nothing",
                    "older builds are not ended: limit concurrent builds of the project",
                );
                Block::default()
            }
            "s3Upload" => self.s3(call, span, construct, true)?,
            "s3Download" => self.s3(call, span, construct, false)?,
            "properties" => {
                self.properties(call);
                self.notes.approximate(
                    span,
                    construct,
                    "variables for its parameters",
                    "other properties of a job are settings of the project",
                );
                Block::default()
            }
            "library" => {
                self.notes.manual(
                    span,
                    construct,
                    "shared libraries are not read: their steps are unknown",
                    Some("git clone LIBRARY /tmp/library".into()),
                );
                Block::default()
            }
            "disableConcurrentBuilds" | "timestamps" => Block::default(),
            _ => return None,
        };
        Some(block)
    }

    /// The parameters among the properties of a job.
    fn properties(&mut self, call: &'a Call) {
        let Some(ExprKind::List(properties)) = argument(call, "properties").map(|it| &it.bare().kind) else {
            return;
        };
        for property in properties {
            let ExprKind::Call(property) = &property.kind else { continue };
            if property.step() != Some("parameters") {
                continue;
            }
            let Some(ExprKind::List(parameters)) = first(property).map(|it| &it.bare().kind) else {
                continue;
            };
            let items: Vec<_> = parameters
                .iter()
                .filter_map(|parameter| match &parameter.kind {
                    ExprKind::Call(call) => Some(crate::declarative::Item {
                        span: parameter.span.clone(),
                        name: super::script::name_of(call),
                        call,
                    }),
                    _ => None,
                })
                .collect();
            let mut variables = std::mem::take(&mut self.variables);
            self.parameters(&items, "properties", &mut variables);
            self.variables = variables;
        }
    }

    fn sh(&mut self, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let script = self.value(argument(call, "script")?)?;
        let block = if named(call, "returnStatus").is_some_and(is_true) {
            // The status is thrown away.
            Block::of(format!("{} || true", self.own_shell(&script)))
        } else {
            Block::all(self.script(&script).commands(self.shell))
        };
        self.notes.exact(
            span,
            construct,
            if block.is_empty() { "nothing: it is empty" } else { "its commands" },
        );
        let label = named(call, "label").and_then(|label| self.constant(label));
        Some(match label {
            Some(label) => block.comment(&label),
            None => block,
        })
    }

    fn checkout(&mut self, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let scm = argument(call, "scm");
        if matches!(scm.map(|scm| &scm.kind), Some(ExprKind::Var(name)) if name == "scm") {
            self.notes.exact(span, construct, "the source of the build, which is there already");
            return Some(Block::default());
        }
        // checkout([$class: 'GitSCM', branches: [[name: 'x']], userRemoteConfigs: [[url: 'y']]]), checkout(scmGit(…)).
        let inner = match scm.map(|scm| &scm.kind) {
            Some(ExprKind::Call(inner)) => &inner.args,
            _ => &call.args,
        };
        let of = |list: &str, key: &str| match &super::scope::named_in(inner, list)?.bare().kind {
            ExprKind::List(items) => match &items.first()?.kind {
                ExprKind::Map(entries) => entries
                    .iter()
                    .find(|entry| entry.key.as_ref().and_then(Expr::as_text) == Some(key))
                    .map(|entry| &entry.value),
                _ => None,
            },
            _ => None,
        };
        let url = of("userRemoteConfigs", "url").and_then(|url| self.value(url));
        let branch = of("branches", "name")
            .and_then(|branch| self.value(branch))
            .unwrap_or_else(|| Word::literal("HEAD"));
        let credentials = of("userRemoteConfigs", "credentialsId").is_some();
        if let Some(url) = url {
            return Some(self.clone(&url, &branch, credentials, span, construct));
        }
        let scm_again = super::scope::named_in(inner, "userRemoteConfigs").is_some();
        if scm_again {
            self.notes.approximate(
                span,
                construct,
                "the source of the build, which is there already",
                "branch and extensions are settings of the project (git clone depth, submodules)",
            );
            return Some(Block::default());
        }
        None
    }

    fn clone(
        &mut self,
        url: &Word,
        branch: &Word,
        credentials: bool,
        span: &Range<usize>,
        construct: &str,
    ) -> Block {
        let branch = match branch.constant() {
            Some(text) => Word::literal(text.trim_start_matches("*/").trim_start_matches("refs/heads/")),
            None => branch.clone(),
        };
        let access =
            if credentials { "; access must be given to git, as with env.git-credential-helper" } else { "" };
        self.notes.approximate(
            span,
            construct,
            "git fetches it into the working directory",
            format!("when it is the repository of the build itself, the source is there already{access}"),
        );
        Block::of(format!(
            "git init -q . && git fetch -q --depth 1 {} {} && git checkout -qf FETCH_HEAD",
            url.argument(),
            branch.argument()
        ))
    }

    fn stash(&mut self, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let name = self.constant(argument(call, "name")?)?;
        let includes = named(call, "includes").map(|includes| self.constant(includes));
        let includes = match includes {
            Some(includes) => includes?,
            None => "**".into(),
        };
        let excludes =
            named(call, "excludes").and_then(|excludes| self.constant(excludes)).unwrap_or_default();
        let file = format!("/tmp/stash/{}.tar", safe(&name));
        let found = ant_files(&includes, &excludes);
        self.stashes.insert(name);
        self.notes.exact(span, construct, format!("`tar` into {file}"));
        let pack = match found {
            Some(paths) => format!("tar -cf {file} {paths}"),
            None => format!("{} | tar -cf {file} -T -", ant_find(&includes, &excludes)),
        };
        Some(Block::of(format!("mkdir -p /tmp/stash && {pack}")))
    }

    fn unstash(&mut self, call: &'a Call, span: &Range<usize>, construct: &str) -> Option<Block> {
        let name = self.constant(argument(call, "name")?)?;
        let file = format!("/tmp/stash/{}.tar", safe(&name));
        if self.stashes.contains(&name) {
            self.notes.exact(span, construct, format!("`tar` from {file}"));
            return Some(Block::of(format!("tar -xf {file}")));
        }
        let reason = "the files are stashed by another build of the batch";
        let safe = safe(&name);
        let suggestion = format!(
            "# where it is stashed\naws s3 cp /tmp/stash/{safe}.tar \"s3://BUCKET/$CODEBUILD_RESOLVED_SOURCE_VERSION/{safe}.tar\"\n# here\naws s3 cp \"s3://BUCKET/$CODEBUILD_RESOLVED_SOURCE_VERSION/{safe}.tar\" - | tar -xf -"
        );
        Some(self.by_hand(span, construct, reason, Some(suggestion), true))
    }

    fn s3(&mut self, call: &'a Call, span: &Range<usize>, construct: &str, up: bool) -> Option<Block> {
        let bucket = self.value(named(call, "bucket")?)?;
        let path = match named(call, "path") {
            Some(path) => self.value(path)?,
            None => Word::default(),
        };
        let remote = Word::literal("s3://").then(bucket).then(Word::literal("/")).then(path);
        let (text, became) = if up {
            match (named(call, "file"), named(call, "includePathPattern")) {
                (Some(file), _) => {
                    let file = self.value(file)?;
                    let recursive =
                        if file.constant().is_some_and(|file| file.ends_with('/') || !file.contains('.')) {
                            " --recursive"
                        } else {
                            ""
                        };
                    (format!("aws s3 cp {} {}{recursive}", file.argument(), remote.argument()), "`aws s3 cp`")
                }
                (None, Some(pattern)) => {
                    let pattern = self.constant(pattern)?.replace("**/", "");
                    let directory = match named(call, "workingDir") {
                        Some(directory) => self.value(directory)?,
                        None => Word::literal("."),
                    };
                    (
                        format!(
                            "aws s3 cp {} {} --recursive --exclude '*' --include {}",
                            directory.argument(),
                            remote.argument(),
                            quoted(&pattern)
                        ),
                        "`aws s3 cp --recursive`",
                    )
                }
                _ => return None,
            }
        } else {
            let file = self.value(named(call, "file")?)?;
            (format!("aws s3 cp {} {}", remote.argument(), file.argument()), "`aws s3 cp`")
        };
        self.notes.approximate(span, construct, became, "metadata and access rights of the step are not set");
        Some(Block::of(text))
    }

    /// Steps with a block.
    fn around(
        &mut self,
        name: &str,
        call: &'a Call,
        closure: &'a Closure,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        let body: &'a [Stmt] = &closure.body;
        match name {
            "script" | "steps" => {
                self.notes.exact(span, construct, "its commands");
                Some(self.statements(body, construct))
            }
            "stage" => {
                let title = first(call).or_else(|| named(call, "name")).and_then(|name| self.value(name));
                let title = title.map(|word| word.script()).unwrap_or_default();
                self.notes.exact(span, &format!("stage.{title}"), "its commands, under a comment");
                let block = self.statements(body, construct);
                Some(block.comment(&format!("Stage: {title}")))
            }
            "node" => {
                match first(call).map(|label| self.constant(label)) {
                    None => self.notes.exact(span, construct, "the build itself"),
                    Some(label) => {
                        let label = label.unwrap_or_else(|| "a computed label".into());
                        self.notes.approximate(
                            span,
                            construct,
                            "the build itself",
                            format!("agents with the label `{label}` are the image of the project"),
                        );
                    }
                }
                Some(self.statements(body, construct))
            }
            "dir" | "ws" => {
                let directory = self.value(argument(call, if name == "ws" { "dir" } else { "path" })?)?;
                self.directories += 1;
                let block = self.statements(body, construct);
                self.directories -= 1;
                self.notes.exact(span, construct, "`cd` in a shell of its own");
                let directory = directory.argument();
                let enter = format!("mkdir -p {directory}\ncd {directory}\n");
                Some(if block.sets {
                    let text = format!("{}cd \"$OLDPWD\"", block.guarded(&enter));
                    Block::setting(
                        text.replace(&format!("cd {directory}\n"), &format!("back=$PWD\ncd {directory}\n"))
                            .replace("cd \"$OLDPWD\"", "cd \"$back\""),
                    )
                } else {
                    Block::of(block.apart(&enter))
                })
            }
            "withEnv" => {
                let exports = self.exports_of(first(call).or_else(|| named(call, "overrides"))?)?;
                let block = self.statements(body, construct);
                if block.sets {
                    self.notes.approximate(
                        span,
                        construct,
                        "`export`",
                        "the variables stay set after the block",
                    );
                } else {
                    self.notes.exact(span, construct, "`export` in a shell of its own");
                }
                let sets = block.sets;
                Some(Block { sets, ..Block::of(block.guarded(&exports)) })
            }
            "withCredentials" => {
                let Some(bindings) = first(call).or_else(|| named(call, "bindings")) else {
                    return self.unfailing(body, span, construct, "the bindings are not known");
                };
                let ExprKind::List(bindings) = &bindings.bare().kind else { return None };
                for binding in bindings {
                    self.binding(binding);
                }
                self.notes.approximate(
                    span,
                    construct,
                    "its commands",
                    "the variables are there for the whole build, not for the block alone",
                );
                Some(self.statements(body, construct))
            }
            "timeout" => {
                let limit = self.limit(call)?;
                let block = self.statements(body, construct);
                if block.sets {
                    self.notes.approximate(
                        span,
                        construct,
                        "its commands",
                        format!("the limit of {limit} is not kept, because the block sets variables that are used after it"),
                    );
                    return Some(block);
                }
                self.notes.exact(span, construct, format!("`timeout {limit}`"));
                Some(Block::of(timed(&block, &limit)))
            }
            "retry" => {
                let count = self.value(first(call).or_else(|| named(call, "count"))?)?;
                let block = self.statements(body, construct);
                self.notes.exact(span, construct, "a loop of the shell");
                Some(self.retried(&block, &count.argument()))
            }
            "catchError" | "warnError" => Some(self.caught(name, call, body, span, construct)),
            "waitUntil" => {
                let test = self.expression(body)?;
                self.notes.exact(span, construct, "a loop of the shell");
                for stmt in body {
                    self.notes.exact(&stmt.span, construct, "its condition");
                }
                Some(Block::of(format!("until {test}; do sleep 1; done")))
            }
            "withAWS" => {
                let block = self.statements(body, construct);
                let mut exports = String::new();
                if let Some(region) = named(call, "region") {
                    let region = self.value(region)?.argument();
                    exports.push_str(&format!("export AWS_DEFAULT_REGION={region} AWS_REGION={region}\n"));
                }
                if let Some(profile) = named(call, "profile") {
                    exports.push_str(&format!("export AWS_PROFILE={}\n", self.value(profile)?.argument()));
                }
                if let Some(role) = named(call, "role") {
                    let mut role = self.value(role)?;
                    if let Some(account) = named(call, "roleAccount") {
                        let account = self.value(account)?;
                        role = Word::literal("arn:aws:iam::")
                            .then(account)
                            .then(Word::literal(":role/"))
                            .then(role);
                    }
                    exports.push_str(&assume(&role.argument()));
                }
                self.notes.approximate(
                    span,
                    construct,
                    "variables of the AWS command line",
                    "credentials come from the role of the project, not from Jenkins",
                );
                let sets = block.sets;
                Some(Block { sets, ..Block::of(block.guarded(&exports)) })
            }
            "parallel" => None,
            "container" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "they run in the image of the build, not in a container of the pod",
            ),
            "lock" | "throttle" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "other builds are not kept out: limit concurrent builds of the project",
            ),
            "timestamps" | "ansiColor" | "wrap" | "gitlabCommitStatus" | "gitlabBuilds" | "withChecks"
            | "withBuildUser" | "maskPasswords" | "logstash" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "what it does to the log or the status of the commit is left out",
            ),
            "withMaven" | "nodejs" | "withGradle" | "withAnt" | "withGroovy" | "withPythonEnv" | "withGo"
            | "withSonarQubeEnv" | "configFileProvider" | "withKubeConfig" | "withVault"
            | "withDockerRegistry" | "withDockerServer" | "rtMavenRun" | "realtimeJUnit" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "tools, settings and credentials that it provides must be in the image or given as variables",
            ),
            "sshagent" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "the key must be given to `ssh-add` by the build",
            ),
            "withDockerContainer" => {
                let image = self.value(first(call).or_else(|| named(call, "image"))?)?;
                let args = named(call, "args").and_then(|args| self.value(args));
                Some(self.inside(&image, args.as_ref(), body, span, construct))
            }
            "podTemplate" => self.kept(
                body,
                span,
                construct,
                "its commands",
                "they run in the image of the build, not in a pod",
            ),
            _ => None,
        }
    }

    fn kept(
        &mut self,
        body: &'a [Stmt],
        span: &Range<usize>,
        construct: &str,
        became: &str,
        difference: &str,
    ) -> Option<Block> {
        self.notes.approximate(span, construct, became, difference);
        Some(self.statements(body, construct))
    }

    fn unfailing(
        &mut self,
        body: &'a [Stmt],
        span: &Range<usize>,
        construct: &str,
        difference: &str,
    ) -> Option<Block> {
        self.kept(body, span, construct, "its commands", difference)
    }

    /// `["A=b", "C=${d}"]` as exports.
    pub(super) fn exports_of(&mut self, list: &Expr) -> Option<String> {
        // One `export`: no value sees the others, as Groovy has made them before.
        let (mut out, mut exports) = (String::new(), String::new());
        for item in self.list(list)? {
            let mut parts = item.0.into_iter();
            let super::word::Part::Literal(text) = parts.next()? else { return None };
            let (name, value) = text.split_once('=')?;
            // `PATH+EXTRA=/x` puts it in front.
            let (name, before) = match name.split_once('+') {
                Some((name, _)) => (name, true),
                None => (name, false),
            };
            if !is_name(name) {
                return None;
            }
            let mut word =
                Word(std::iter::once(super::word::Part::Literal(value.into())).chain(parts).collect());
            if before {
                word = word.then(Word::literal(":")).then(Word::variable(name));
            }
            let value = word.argument();
            if value.contains("$(") {
                out.push_str(&format!("{name}={value}\n"));
                exports.push_str(&format!(" {name}"));
            } else {
                exports.push_str(&format!(" {name}={value}"));
            }
        }
        if exports.is_empty() {
            return Some(out);
        }
        Some(format!("{out}export{exports}\n"))
    }

    /// How long `timeout` lets something run, as `timeout` of the shell takes it.
    pub(super) fn limit(&self, call: &Call) -> Option<String> {
        let time = self.value(first(call).or_else(|| named(call, "time"))?)?;
        let unit =
            named(call, "unit").and_then(|unit| self.constant(unit)).unwrap_or_else(|| "MINUTES".into());
        let unit = match unit.as_str() {
            "MILLISECONDS" => return Some("1s".into()),
            "SECONDS" => "s",
            "MINUTES" => "m",
            "HOURS" => "h",
            "DAYS" => "d",
            _ => return None,
        };
        Some(match time.constant() {
            Some(time) => format!("{time}{unit}"),
            None => format!("{}{unit}", time.argument()),
        })
    }

    pub(super) fn retried(&mut self, block: &Block, count: &str) -> Block {
        let status = self.fresh("step_status");
        let attempt = self.fresh("step_attempt");
        let text = format!(
            "set +e\n{attempt}=1\nwhile :; do\n{}\n{status}=$?\nif [ \"${status}\" = 0 ] || [ \"${attempt}\" -ge {count} ]; then break; fi\n{attempt}=$(({attempt} + 1))\ndone\n[ \"${status}\" = 0 ] || exit \"${status}\"\nset -e",
            block.apart("")
        );
        Block::of(text)
    }

    fn caught(
        &mut self,
        name: &str,
        call: &'a Call,
        body: &'a [Stmt],
        span: &Range<usize>,
        construct: &str,
    ) -> Block {
        let result = match (name, named(call, "buildResult").and_then(|result| self.constant(result))) {
            ("warnError", _) => "UNSTABLE".to_owned(),
            (_, Some(result)) => result,
            (_, None) => "FAILURE".into(),
        };
        let message = first(call).or_else(|| named(call, "message")).and_then(|message| self.value(message));
        let block = self.statements(body, construct);
        self.notes.approximate(
            span,
            construct,
            format!("a shell of its own; a failure sets {RESULT}"),
            if result == "FAILURE" { "the build fails at its end" } else { UNSTABLE },
        );
        let mut after = String::new();
        if let Some(message) = message {
            after.push_str(&format!("echo {}\n", message.argument()));
        }
        if result != "SUCCESS" && result != "null" {
            self.results = true;
            self.fails_late |= result != "UNSTABLE";
            after.push_str(&format!("{RESULT}={result}\n"));
        } else if after.is_empty() {
            after.push_str(":\n");
        }
        let status = self.fresh("step_status");
        Block::setting(format!(
            "set +e\n{}\n{status}=$?\nif [ \"${status}\" != 0 ]; then\n{after}fi\nset -e",
            block.apart("")
        ))
    }

    /// A binding of `withCredentials`.
    fn binding(&mut self, binding: &'a Expr) {
        let (kind, args): (String, &[Arg]) = match &binding.kind {
            ExprKind::Call(call) => (super::script::name_of(call), &call.args),
            _ => ("credentials".into(), &[]),
        };
        let text = |key: &str| -> Option<String> {
            let value = match &binding.kind {
                ExprKind::Map(entries) => entries
                    .iter()
                    .find(|entry| entry.key.as_ref().and_then(Expr::as_text) == Some(key))
                    .map(|entry| &entry.value),
                _ => super::scope::named_in(args, key),
            };
            self.constant(value?)
        };
        let id = text("credentialsId").unwrap_or_else(|| "?".into());
        let mut names = Vec::new();
        for (key, default) in [
            ("variable", ""),
            ("usernameVariable", ""),
            ("passwordVariable", ""),
            ("keyFileVariable", ""),
            ("passphraseVariable", ""),
            ("accessKeyVariable", "AWS_ACCESS_KEY_ID"),
            ("secretKeyVariable", "AWS_SECRET_ACCESS_KEY"),
            ("tokenVariable", ""),
        ] {
            let aws =
                kind == "aws" || text("$class").is_some_and(|class| class.contains("AmazonWebServices"));
            match text(key) {
                Some(name) if is_name(&name) => names.push(name),
                None if aws && !default.is_empty() => names.push(default.into()),
                _ => {}
            }
        }
        for name in &names {
            self.secret(name, &id);
        }
        let of_file = matches!(kind.as_str(), "file" | "sshUserPrivateKey" | "certificate" | "zip");
        let what = if of_file { "; it holds the path of a file, which must be written first" } else { "" };
        self.notes.approximate(
            &binding.span,
            &format!("credentials.{id}"),
            format!("the secret {}", names.join(", ")),
            format!("its value must be given to the build as a variable{what}"),
        );
    }

    /// A variable that must be given.
    pub(super) fn secret(&mut self, name: &str, id: &str) {
        self.scope.set(name, super::scope::Meaning::Variable);
        self.secrets.insert(name.to_owned(), id.to_owned());
    }

    /// Steps that are told to people.
    fn reported(
        &mut self,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        let notice = |text: &str| {
            format!(
                "aws sns publish --topic-arn TOPIC --subject {} --message {}",
                quoted(text),
                quoted("see $CODEBUILD_BUILD_URL")
            )
        };
        let (reason, suggestion, fails) = match name {
            "slackSend" | "emailext" | "mail" | "office365ConnectorSend" | "hipchatSend" | "discordSend" | "rocketSend" | "telegramSend"
            | "googlechatnotification" | "mattermostSend" | "emailextrecipients" | "slackUploadFile" => {
                ("messages are sent by a notification rule of the project, or by a command", notice("build finished"), false)
            }
            "build" => {
                let job = argument(call, "job").and_then(|job| self.value(job)).map_or_else(|| "PROJECT".into(), |job| job.argument());
                ("another job is another project", format!("aws codebuild start-build --project-name {job}"), true)
            }
            "input" => (
                "a build cannot wait for people",
                "# split the project in two and put an approval of CodePipeline between them".to_owned(),
                true,
            ),
            "bat" | "powershell" | "pwsh" => (
                "it is a script of Windows",
                "# run it in a project of the type WINDOWS_SERVER_2022_CONTAINER, with env.shell: powershell.exe".to_owned(),
                true,
            ),
            "load" | "evaluate" => ("the Groovy of another file is not read", "# put its commands here".to_owned(), true),
            "waitForQualityGate" => (
                "the quality gate is awaited by the scanner",
                "sonar-scanner -Dsonar.qualitygate.wait=true".to_owned(),
                false,
            ),
            "ecrLogin" => (
                "it logs in to a registry of AWS",
                "aws ecr get-login-password | docker login --username AWS --password-stdin ACCOUNT.dkr.ecr.REGION.amazonaws.com".to_owned(),
                true,
            ),
            "cfnUpdate" | "cfnValidate" | "cfnDelete" => (
                "it calls CloudFormation",
                "aws cloudformation deploy --stack-name STACK --template-file template.yml".to_owned(),
                true,
            ),
            "recordIssues" | "scanForIssues" | "publishIssues" | "jacoco" | "recordCoverage" | "publishCoverage" | "perfReport" | "plot"
            | "dependencyCheckPublisher" | "publishChecks" | "allure" | "robot" | "addBadge" | "addShortText" | "addWarningBadge" | "manager" | "rtp" | "createSummary"
            | "setGitHubPullRequestStatus" | "githubNotify" | "updateGitlabCommitStatus" | "setBuildStatus" | "bitbucketStatusNotify" | "addGitLabMRComment" | "pullRequest" | "jiraComment"
            | "fingerprint" | "discoverGitReferenceBuild" | "mineRepository" | "gitDiffStat" | "influxDbPublisher" | "buildDescription" | "buildName" => (
                "CodeBuild shows neither this report nor this status",
                "# add the files to artifacts, or send the status with curl".to_owned(),
                false,
            ),
            _ => return self.parallel_step(name, call, span, construct),
        };
        Some(self.by_hand(span, construct, reason, Some(suggestion), fails))
    }

    /// The step `parallel a: { … }, b: { … }`: all in the background, then each is awaited.
    fn parallel_step(
        &mut self,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        if name != "parallel" {
            return None;
        }
        let mut branches = Vec::new();
        for arg in &call.args {
            let entries: Vec<&crate::groovy::Entry> = match arg {
                Arg::Named(entry) => vec![entry],
                Arg::Value(Expr { kind: ExprKind::Map(entries), .. }) => entries.iter().collect(),
                Arg::Value(_) => return None,
            };
            for entry in entries {
                let title = entry.key.as_ref().and_then(|key| self.value(key))?.script();
                match &entry.value.kind {
                    ExprKind::Closure(closure) => branches.push((title, closure, entry.value.span.clone())),
                    ExprKind::Bool(_) if title == "failFast" => {}
                    _ => return None,
                }
            }
        }
        self.notes.approximate(
            span,
            construct,
            "all at once in the background; then each is awaited",
            "what they print is mixed, and `failFast` does not end the others",
        );
        let mut blocks = Vec::new();
        for (title, closure, span) in branches {
            self.notes.exact(&span, &format!("{construct}.{title}"), "a shell of its own");
            let block = self.statements(&closure.body, &format!("{construct}.{title}"));
            blocks.push((title, block));
        }
        Some(self.at_once(&blocks))
    }

    /// Blocks in the background, each awaited.
    pub(super) fn at_once(&mut self, blocks: &[(String, Block)]) -> Block {
        let mut text = String::from("set +e\n");
        let mut names = Vec::new();
        for (title, block) in blocks {
            let process = self.fresh("branch_process");
            let body = block.apart("");
            text.push_str(&format!("# {title}\n{body} &\n{process}=$!\n"));
            names.push(process);
        }
        let failed = self.fresh("branch_failed");
        text.push_str(&format!("{failed}=0\n"));
        for process in names {
            text.push_str(&format!("wait \"${process}\" || {failed}=1\n"));
        }
        text.push_str(&format!("[ \"${failed}\" = 0 ] || exit 1\nset -e"));
        Block::of(text)
    }
}

/// Whether a step is translated as long as its values are known.
pub(super) fn is_known(step: &str) -> bool {
    matches!(
        step,
        "sh" | "echo"
            | "println"
            | "print"
            | "error"
            | "unstable"
            | "sleep"
            | "writeFile"
            | "touch"
            | "checkout"
            | "git"
            | "stash"
            | "unstash"
            | "s3Upload"
            | "s3Download"
            | "archiveArtifacts"
            | "junit"
            | "publishHTML"
            | "parallel"
            | "dir"
            | "ws"
            | "withEnv"
            | "withCredentials"
            | "timeout"
            | "retry"
            | "waitUntil"
            | "withAWS"
            | "withDockerContainer"
    )
}

pub(super) const UNSTABLE: &str =
    "a build of CodeBuild is never unstable: it succeeds, and the variable tells";

/// A block that is ended after some time.
pub(super) fn timed(block: &Block, limit: &str) -> String {
    let mut commands = block.commands.iter().filter(|command| !command.text.is_empty());
    if let (Some(only), None) = (commands.next(), commands.next()) {
        let simple = !only.text.contains(['\n', ';', '&', '|', '(', '#', '=', '<', '>']);
        let builtin = ["cd ", "export ", "set ", ". ", "exit", "if ", "for ", "while ", ": ", "test ", "["];
        if simple && !builtin.iter().any(|word| only.text.starts_with(word)) {
            return format!("timeout {limit} {}", only.text);
        }
    }
    let commands: Vec<_> = block.commands.iter().filter(|command| !command.text.is_empty()).collect();
    let lines = match commands.as_slice() {
        [only] if only.comment.is_empty() => super::plan::bare(&only.text),
        _ => block.lines(),
    };
    // Quotes in quotes grow fast.
    if lines.len() > super::value::LONGEST {
        return block.apart("");
    }
    format!("timeout {limit} sh -ec {}", quoted(lines.trim_end()))
}

fn assume(role: &str) -> String {
    format!(
        "set -- $(aws sts assume-role --role-arn {role} --role-session-name build --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)\nexport AWS_ACCESS_KEY_ID=\"$1\" AWS_SECRET_ACCESS_KEY=\"$2\" AWS_SESSION_TOKEN=\"$3\"\n"
    )
}

/// A name that can be a file's.
fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// Ant patterns as words of `tar`, when they name plain files and directories.
fn ant_files(includes: &str, excludes: &str) -> Option<String> {
    if !excludes.is_empty() {
        return None;
    }
    if matches!(includes.trim(), "**" | "**/*" | "") {
        return Some(".".into());
    }
    let paths = includes.split([',', ' ']).filter(|path| !path.is_empty()).map(|path| {
        let path = path.strip_suffix("/**/*").or_else(|| path.strip_suffix("/**")).unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./*".contains(c);
        (!path.contains("**") && path.chars().all(plain)).then(|| path.to_owned())
    });
    Some(paths.collect::<Option<Vec<_>>>()?.join(" "))
}

/// Ant patterns as a search.
fn ant_find(includes: &str, excludes: &str) -> String {
    let tests = |patterns: &str| -> Vec<String> {
        patterns
            .split([',', ' '])
            .filter(|pattern| !pattern.is_empty())
            .map(|pattern| match pattern.strip_prefix("**/") {
                Some(name) if !name.contains('/') => format!("-name {}", quoted(name)),
                _ => format!(
                    "-path {}",
                    quoted(&format!("./{}", pattern.replace("**/", "*").replace("**", "*")))
                ),
            })
            .collect()
    };
    let wanted = tests(includes).join(" -o ");
    let wanted = if wanted.is_empty() { String::new() } else { format!(" \\( {wanted} \\)") };
    let unwanted: String = tests(excludes).iter().map(|test| format!(" ! {test}")).collect();
    format!("find . -type f{wanted}{unwanted}")
}
