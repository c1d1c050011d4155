//! What a run gave against what it must give.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::Value;

use super::case::{Batch, Context, Expect};
use super::pattern::{Block, Pattern, normalised};

/// What a run gave.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// Exit status; none when a signal ended the program or it was given up.
    pub(super) exit: Option<i32>,
    /// The build's log.
    pub(super) log: String,
    /// What the program said to people.
    pub(super) stderr: String,
    /// The record of the build or the batch.
    pub(super) record: Value,
    /// Artifacts: path to content.
    pub(super) artifacts: BTreeMap<String, String>,
    /// Every report's record.
    pub(super) reports: Vec<Value>,
}

/// Every way in which the run is not what was expected, one text each; empty when it is.
pub(super) fn differences(expect: &Expect, observed: &Observed, image: &str) -> Vec<String> {
    let mut check = Check { observed, image, lines: normalised(&observed.log), found: Vec::new() };
    check.exit(expect.exit);
    check.status(expect.status.as_deref());
    check.phases(&expect.phases, &expect.phases_absent);
    check.contexts(&expect.contexts);
    check.log(&expect.log, &expect.log_any_order, &expect.not_log);
    check.output(&expect.output);
    check.variables(&expect.variables);
    if let Some(exported) = &expect.exported {
        check.exported(exported);
    }
    check.artifacts(&expect.artifacts, expect.listing.as_deref());
    check.reports(&expect.reports);
    if let Some(build) = &expect.build {
        check.part("build", build, &observed.record);
    }
    if let Some(batch) = &expect.batch {
        check.batch(batch);
    }
    check.found
}

struct Check<'a> {
    observed: &'a Observed,
    image: &'a str,
    lines: Vec<String>,
    found: Vec<String>,
}

impl Check<'_> {
    /// Two lines, wanted and given, as in a diff.
    fn differs(&mut self, what: &str, wanted: &str, given: &str) {
        let mark = |sign: &str, text: &str| {
            text.split('\n').map(|line| format!("{sign} {line}")).collect::<Vec<_>>().join("\n")
        };
        self.found.push(format!("{what}:\n{}\n{}", mark("-", wanted), mark("+", given)));
    }

    fn exit(&mut self, wanted: i32) {
        if self.observed.exit != Some(wanted) {
            let given = self
                .observed
                .exit
                .map_or("ended by a signal or given up".to_owned(), |code| code.to_string());
            self.differs("exit status", &wanted.to_string(), &given);
        }
    }

    fn status(&mut self, wanted: Option<&str>) {
        let record = &self.observed.record;
        let given =
            record["buildStatus"].as_str().or_else(|| record["buildBatchStatus"].as_str()).unwrap_or("none");
        if let Some(wanted) = wanted.filter(|wanted| *wanted != given) {
            self.differs("status", wanted, given);
        }
    }

    fn phase(&self, name: &str) -> Option<&Value> {
        self.observed.record["phases"].as_array()?.iter().find(|phase| phase["phaseType"] == name)
    }

    fn phases(&mut self, wanted: &IndexMap<String, String>, absent: &[String]) {
        for (name, wanted) in wanted {
            let given = match self.phase(name) {
                Some(phase) => phase["phaseStatus"].as_str().unwrap_or("no status").to_owned(),
                None => "not entered".to_owned(),
            };
            if given != *wanted {
                self.differs(&format!("phase {name}"), wanted, &given);
            }
        }
        for name in absent {
            if self.phase(name).is_some() {
                self.differs(&format!("phase {name}"), "not entered", "entered");
            }
        }
    }

    fn contexts(&mut self, wanted: &IndexMap<String, Context>) {
        for (name, wanted) in wanted {
            let context = self.phase(name).map_or(&Value::Null, |phase| &phase["contexts"][0]);
            let code = context["statusCode"].as_str().unwrap_or_default();
            let message = context["message"].as_str().unwrap_or_default();
            if code != wanted.status_code || !wanted.message.matches(message, self.image) {
                let wanted = format!("{}: {}", wanted.status_code, wanted.message);
                self.differs(&format!("context of {name}"), &wanted, &format!("{code}: {message}"));
            }
        }
    }

    fn log(&mut self, ordered: &[Block], any_order: &[Block], absent: &[Block]) {
        let mut from = 0;
        for block in ordered {
            let rest = self.lines.get(from..).unwrap_or_default();
            match block.find(rest, self.image) {
                Some(end) => from += end,
                None if block.find(&self.lines, self.image).is_some() => {
                    self.found.push(format!("log: too early, it must come after line {from}:\n- {block}"));
                }
                None => self.found.push(format!("log: not found:\n- {block}")),
            }
        }
        for block in any_order {
            if block.find(&self.lines, self.image).is_none() {
                self.found.push(format!("log: not found:\n- {block}"));
            }
        }
        for block in absent {
            if let Some(end) = block.find(&self.lines, self.image) {
                self.found.push(format!("log: must not be there, but ends at line {end}:\n+ {block}"));
            }
        }
    }

    fn output(&mut self, wanted: &[Pattern]) {
        for pattern in wanted {
            let mut lines = self.lines.iter().map(String::as_str).chain(self.observed.stderr.lines());
            if !lines.any(|line| pattern.matches(line, self.image)) {
                let stderr = self.observed.stderr.trim_end();
                self.found.push(format!("neither in the log nor on stderr:\n- {pattern}\n{stderr}"));
            }
        }
    }

    fn variables(&mut self, wanted: &IndexMap<String, Pattern>) {
        for (name, wanted) in wanted {
            let values: Vec<_> = self
                .lines
                .iter()
                .filter_map(|line| line.strip_prefix(name.as_str())?.strip_prefix('='))
                .map(str::to_owned)
                .collect();
            if !values.iter().any(|value| wanted.matches(value, self.image)) {
                let given = if values.is_empty() { "not echoed".to_owned() } else { values.join("\n") };
                self.differs(&format!("variable {name}"), &wanted.to_string(), &given);
            }
        }
    }

    fn exported(&mut self, wanted: &IndexMap<String, Pattern>) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let given: BTreeMap<_, _> = self.observed.record["exportedEnvironmentVariables"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|variable| (text(&variable["name"]), text(&variable["value"])))
            .collect();
        let same = given.len() == wanted.len()
            && wanted
                .iter()
                .all(|(name, value)| given.get(name).is_some_and(|given| value.matches(given, self.image)));
        if !same {
            let wanted: Vec<_> = wanted.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let given: Vec<_> = given.iter().map(|(name, value)| format!("{name}={value}")).collect();
            self.differs("exported variables", &wanted.join("\n"), &given.join("\n"));
        }
    }

    fn artifacts(&mut self, wanted: &IndexMap<String, Pattern>, listing: Option<&[String]>) {
        for (path, wanted) in wanted {
            match self.observed.artifacts.get(path) {
                Some(content) if wanted.matches(content.trim_end_matches('\n'), self.image) => {}
                Some(content) => self.differs(&format!("artifact {path}"), &wanted.to_string(), content),
                None => self.differs(&format!("artifact {path}"), &wanted.to_string(), "no such file"),
            }
        }
        let given: Vec<_> = self.observed.artifacts.keys().cloned().collect();
        if let Some(listing) = listing {
            let mut wanted = listing.to_vec();
            wanted.sort();
            if wanted != given {
                self.differs("artifacts", &wanted.join("\n"), &given.join("\n"));
            }
        }
    }

    fn reports(&mut self, wanted: &IndexMap<String, Value>) {
        let observed = self.observed;
        for (group, wanted) in wanted {
            let found = observed.reports.iter().find(|report| group_of(report) == Some(group));
            match found {
                Some(report) => self.part(&format!("report of {group}"), wanted, report),
                None => {
                    let given: Vec<_> = observed.reports.iter().filter_map(group_of).collect();
                    self.differs("reports", group, &given.join("\n"));
                }
            }
        }
    }

    fn part(&mut self, what: &str, wanted: &Value, given: &Value) {
        match wanted {
            Value::Object(members) => {
                for (name, wanted) in members {
                    self.part(&format!("{what}.{name}"), wanted, &given[name]);
                }
            }
            Value::Array(items) if given.as_array().is_some_and(|given| given.len() == items.len()) => {
                for (index, wanted) in items.iter().enumerate() {
                    self.part(&format!("{what}[{index}]"), wanted, &given[index]);
                }
            }
            Value::String(text) => match (Pattern::new(text), given) {
                (Ok(pattern), Value::String(given)) if pattern.matches(given, self.image) => {}
                (Ok(pattern), Value::Number(given)) if pattern.matches(&given.to_string(), self.image) => {}
                _ => self.differs(what, text, &given.to_string()),
            },
            // 75 and 75.0 are the same number.
            Value::Number(number) if given.is_number() && number.as_f64() == given.as_f64() => {}
            Value::Null if given.as_array().is_some_and(Vec::is_empty) => {}
            other if other == given => {}
            other => self.differs(what, &other.to_string(), &given.to_string()),
        }
    }

    fn batch(&mut self, wanted: &Batch) {
        const NEVER: &str = "never started";
        let groups = self.observed.record["buildGroups"].as_array().cloned().unwrap_or_default();
        let status = |group: &Value| group["currentBuildSummary"]["buildStatus"].as_str().map(str::to_owned);
        for (identifier, wanted) in &wanted.groups {
            let group = groups.iter().find(|group| group["identifier"] == identifier.as_str());
            let given = group.map_or("no such member".to_owned(), |group| {
                status(group).unwrap_or_else(|| NEVER.to_owned())
            });
            let wanted = wanted.as_deref().unwrap_or(NEVER);
            if given != wanted {
                self.differs(&format!("member {identifier}"), wanted, &given);
            }
        }
        if !wanted.members.is_empty() {
            let mut given = BTreeMap::new();
            for group in &groups {
                *given.entry(status(group).unwrap_or_else(|| NEVER.to_owned())).or_insert(0) += 1;
            }
            let wanted: BTreeMap<_, _> = wanted.members.clone().into_iter().collect();
            if given != wanted {
                self.differs("members", &format!("{wanted:?}"), &format!("{given:?}"));
            }
        }
    }
}

/// The report group in a report's ARN, `…:report/<group>:<uuid>`.
pub(super) fn group_of(report: &Value) -> Option<&str> {
    report["arn"].as_str()?.split_once(":report/")?.1.split_once(':').map(|(group, _)| group)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn given(expect: &str, observed: &Observed) -> Vec<String> {
        let expect: Expect = serde_saphyr::from_str(expect).unwrap();
        differences(&expect, observed, "img")
    }

    #[test]
    fn the_log_is_matched_in_order() {
        let log = "[Container] 2026/01/31 23:59:59.123456 Entering phase BUILD\n\n\
                   [Container] 2026/01/31 23:59:59.123457 Running command x\nout\n";
        let observed = Observed { exit: Some(0), log: log.to_owned(), ..Observed::default() };
        let entering = "[Container] <ts> Entering phase BUILD";
        let good =
            format!("exit: 0\nlog: ['{entering}', \"\\n/Running command x$/\", out]\nnot-log: [Running]");
        assert_eq!(given(&good, &observed), Vec::<String>::new());
        let order = given(&format!("exit: 0\nlog: [out, '{entering}']"), &observed);
        assert_eq!(order.len(), 1);
        assert!(order[0].contains("too early"), "{order:?}");
        assert_eq!(given("exit: 0\nlog: [out, out]", &observed).len(), 1, "one line answers one item");
        assert_eq!(given(&format!("exit: 0\nlog-any-order: [out, '{entering}']"), &observed).len(), 0);
        assert_eq!(given("exit: 0\nnot-log: [/phase/]", &observed).len(), 1);
    }

    #[test]
    fn exit_status_and_record_are_compared() {
        let record = json!({"buildStatus": "FAILED", "buildNumber": 1, "reportArns": [], "phases": [
            {"phaseType": "BUILD", "phaseStatus": "FAILED",
             "contexts": [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "Error: 1"}]},
            {"phaseType": "COMPLETED"}]});
        let observed = Observed { exit: Some(1), record, ..Observed::default() };
        let good = "exit: 1\nstatus: FAILED\nphases: { BUILD: FAILED, COMPLETED: no status }\n\
                    phases-absent: [POST_BUILD]\nbuild: { buildNumber: 1.0, buildStatus: /^F/, reportArns: null }\n\
                    contexts: { BUILD: { statusCode: COMMAND_EXECUTION_ERROR, message: '/1$/' } }";
        assert_eq!(given(good, &observed), Vec::<String>::new());
        for bad in [
            "exit: 0",
            "exit: 1\nstatus: SUCCEEDED",
            "exit: 1\nphases: { BUILD: SUCCEEDED }",
            "exit: 1\nphases: { POST_BUILD: SUCCEEDED }",
            "exit: 1\nphases-absent: [BUILD]",
            "exit: 1\ncontexts: { BUILD: { statusCode: CLIENT_ERROR, message: '/1$/' } }",
            "exit: 1\ncontexts: { BUILD: { statusCode: COMMAND_EXECUTION_ERROR, message: Error } }",
            "exit: 1\nbuild: { buildNumber: 2 }",
            "exit: 1\nbuild: { phases: [] }",
            "exit: 1\nbuild: { id: x }",
        ] {
            assert_eq!(given(bad, &observed).len(), 1, "{bad}");
        }
        assert_eq!(given("exit: 1", &Observed::default()).len(), 1, "no exit status");
    }

    #[test]
    fn variables_and_exports_are_compared() {
        let record = json!({"exportedEnvironmentVariables": [{"name": "A", "value": "1"}]});
        let observed =
            Observed { exit: Some(0), log: "X=old\nX=img\nXY=2\n".to_owned(), record, ..Observed::default() };
        assert_eq!(
            given("exit: 0\nvariables: { X: '{image}', XY: /^2$/ }\nexported: { A: '1' }", &observed).len(),
            0
        );
        for bad in [
            "exit: 0\nvariables: { X: other }",
            "exit: 0\nvariables: { Z: '' }",
            "exit: 0\nexported: { A: '2' }",
            "exit: 0\nexported: {}",
            "exit: 0\nexported: { A: '1', B: '1' }",
        ] {
            assert_eq!(given(bad, &observed).len(), 1, "{bad}");
        }
    }

    #[test]
    fn artifacts_are_compared_by_content_and_listing() {
        let artifacts =
            BTreeMap::from([("p/a".to_owned(), "1\n".to_owned()), ("p/b".to_owned(), "-> a".to_owned())]);
        let observed = Observed { exit: Some(0), artifacts, ..Observed::default() };
        assert_eq!(
            given("exit: 0\nartifacts: { p/a: '1', p/b: -> a }\nlisting: [p/b, p/a]", &observed).len(),
            0
        );
        for bad in ["artifacts: { p/a: '2' }", "artifacts: { p/c: /./ }", "listing: [p/a]", "listing: []"] {
            assert_eq!(given(&format!("exit: 0\n{bad}"), &observed).len(), 1, "{bad}");
        }
    }

    #[test]
    fn reports_and_batch_members_are_compared() {
        let observed = Observed {
            exit: Some(0),
            record: json!({"buildBatchStatus": "FAILED", "buildGroups": [
                {"identifier": "a", "currentBuildSummary": {"buildStatus": "FAILED"}},
                {"identifier": "b"}]}),
            reports: vec![
                json!({"arn": "arn:aws:codebuild:r:1:report/p-unit:u", "testSummary": {"total": 2}}),
            ],
            ..Observed::default()
        };
        let good = "exit: 0\nstatus: FAILED\nreports: { p-unit: { testSummary: { total: 2 } } }\n\
                    batch: { groups: { a: FAILED, b: null }, members: { FAILED: 1, never started: 1 } }";
        assert_eq!(given(good, &observed), Vec::<String>::new());
        for bad in [
            "reports: { unit: {} }",
            "reports: { p-unit: { testSummary: { total: 3 } } }",
            "batch: { groups: { a: SUCCEEDED } }",
            "batch: { groups: { b: SUCCEEDED } }",
            "batch: { groups: { c: null } }",
            "batch: { members: { FAILED: 2 } }",
        ] {
            assert_eq!(given(&format!("exit: 0\n{bad}"), &observed).len(), 1, "{bad}");
        }
    }
}
