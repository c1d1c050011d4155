//! `batch`.

use std::collections::HashMap;

use super::fields::{Decoder, Field, listed};
use crate::{
    Batch, BatchBuild, BatchEnv, BatchPlan, Code, Diagnostic, Matrix, Span, diagnostic::quoted,
    suggest::nearest,
};

const PLANS: [&str; 4] = ["build-list", "build-graph", "build-matrix", "build-fanout"];

/// Where a build and its dependencies stand in the file.
struct Places {
    identifier: Span,
    depend_on: Vec<Span>,
}

impl<'a> Decoder<'a> {
    pub(super) fn batch(&mut self, field: &Field<'a>) -> Option<Batch> {
        let mut fields = self.fields(field)?;
        let fast_fail = fields.take("fast-fail").and_then(|field| self.flag(&field));
        let [list, graph, matrix, fanout] = PLANS.map(|plan| fields.take(plan));
        let given: Vec<&Field<'a>> = [&list, &graph, &matrix, &fanout].into_iter().flatten().collect();
        if given.is_empty() {
            self.report(
                Diagnostic::new(Code::MissingKey, "`batch` says nothing about its builds")
                    .at(fields.place())
                    .help(format!("add one of {}", listed(&PLANS))),
            );
        }
        if let [one, other, ..] = given[..] {
            self.exclude(one, other);
        }
        self.unknown(fields);
        let plan = if let Some(field) = list {
            BatchPlan::List(self.builds(&field, false))
        } else if let Some(field) = graph {
            BatchPlan::Graph(self.builds(&field, true))
        } else if let Some(field) = matrix {
            BatchPlan::Matrix(Box::new(self.matrix(&field)?))
        } else {
            self.fanout(&fanout?)?
        };
        Some(Batch { fast_fail, plan })
    }

    fn builds(&mut self, field: &Field<'a>, graph: bool) -> Vec<BatchBuild> {
        let mut builds = Vec::new();
        let mut places = Vec::new();
        for item in self.items(field) {
            if let Some((build, place)) = self.build(&item, graph) {
                builds.push(build);
                places.push(place);
            }
        }
        let known = self.unique_identifiers(&builds, &places);
        self.known_dependencies(&builds, &places, &known);
        self.no_cycle(&builds, &places, &known);
        builds
    }

    fn build(&mut self, field: &Field<'a>, graph: bool) -> Option<(BatchBuild, Places)> {
        let mut fields = self.fields(field)?;
        let identifier = fields.take("identifier");
        if identifier.is_none() {
            self.missing(&fields, "identifier", "every build of a batch needs one");
        }
        let depend_on = fields.take("depend-on");
        if let (Some(field), false) = (&depend_on, graph) {
            self.ignored(field, "only builds of `build-graph` wait for others");
        }
        let depend_on = depend_on.map(|field| self.items(&field)).unwrap_or_default();
        let places = Places {
            identifier: identifier.as_ref().map_or_else(|| fields.place(), Field::place),
            depend_on: depend_on.iter().map(Field::place).collect(),
        };
        let build = BatchBuild {
            identifier: identifier.and_then(|field| self.text(&field)).unwrap_or_default(),
            buildspec: fields.take("buildspec").and_then(|field| self.text(&field)),
            debug_session: fields.take("debug-session").and_then(|field| self.flag(&field)),
            depend_on: depend_on.iter().filter_map(|item| self.text(item)).collect(),
            env: fields.take("env").map(|field| self.batch_env(&field)).unwrap_or_default(),
            ignore_failure: fields.take("ignore-failure").and_then(|field| self.flag(&field)),
        };
        self.unknown(fields);
        Some((build, places))
    }

    fn unique_identifiers<'b>(
        &mut self,
        builds: &'b [BatchBuild],
        places: &[Places],
    ) -> HashMap<&'b str, usize> {
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (index, build) in builds.iter().enumerate().filter(|(_, build)| !build.identifier.is_empty()) {
            let first = *known.entry(&build.identifier).or_insert(index);
            if first != index {
                self.report(
                    Diagnostic::new(
                        Code::DuplicateIdentifier,
                        format!("two builds have the identifier {}", quoted(&build.identifier)),
                    )
                    .at(places[index].identifier)
                    .label("again here")
                    .related(places[first].identifier, "first here")
                    .help("every identifier of a batch is unique"),
                );
            }
        }
        known
    }

    fn known_dependencies(&mut self, builds: &[BatchBuild], places: &[Places], known: &HashMap<&str, usize>) {
        for (build, place) in builds.iter().zip(places) {
            for (name, span) in build.depend_on.iter().zip(&place.depend_on) {
                if known.contains_key(name.as_str()) {
                    continue;
                }
                let mut diagnostic = Diagnostic::new(
                    Code::UnknownDependency,
                    format!(
                        "{} depends on {}, which is no build of this batch",
                        quoted(&build.identifier),
                        quoted(name)
                    ),
                )
                .at(*span);
                if let Some(near) = nearest(name, builds.iter().map(|build| build.identifier.as_str())) {
                    diagnostic = diagnostic.help(format!("did you mean {}?", quoted(near)));
                }
                self.report(diagnostic);
            }
        }
    }

    /// Takes away builds that wait for nothing until none is left, or only circles.
    fn no_cycle(&mut self, builds: &[BatchBuild], places: &[Places], known: &HashMap<&str, usize>) {
        let waits: Vec<Vec<usize>> = builds
            .iter()
            .map(|build| {
                build.depend_on.iter().filter_map(|name| known.get(name.as_str()).copied()).collect()
            })
            .collect();
        let mut dependants = vec![Vec::new(); builds.len()];
        let mut open: Vec<usize> = waits.iter().map(Vec::len).collect();
        for (build, waits) in waits.iter().enumerate() {
            waits.iter().for_each(|other| dependants[*other].push(build));
        }
        let mut ready: Vec<usize> = (0..builds.len()).filter(|build| open[*build] == 0).collect();
        while let Some(build) = ready.pop() {
            for &other in &dependants[build] {
                open[other] -= 1;
                if open[other] == 0 {
                    ready.push(other);
                }
            }
        }
        let Some(mut at) = (0..builds.len()).find(|build| open[*build] > 0) else { return };
        // Every build that is left waits for another that is left, so this comes round.
        let mut way = Vec::new();
        let mut seen = vec![false; builds.len()];
        while !seen[at] {
            seen[at] = true;
            way.push(at);
            let Some(&next) = waits[at].iter().find(|other| open[**other] > 0) else { return };
            at = next;
        }
        let begin = way.iter().position(|build| *build == at).unwrap_or_default();
        let circle: Vec<&str> =
            way[begin..].iter().chain([&at]).map(|build| builds[*build].identifier.as_str()).collect();
        self.report(
            Diagnostic::new(
                Code::DependencyCycle,
                format!("builds wait for each other: {}", quoted(&circle.join(" -> "))),
            )
            .at(places[at].identifier)
            .label("waits for itself in the end")
            .help("remove one `depend-on` of the circle"),
        );
    }

    fn batch_env(&mut self, field: &Field<'a>) -> BatchEnv {
        let Some(mut fields) = self.fields(field) else { return BatchEnv::default() };
        let compute_type = fields.take("compute-type");
        let fleet = fields.take("fleet");
        if let (Some(one), Some(other)) = (&compute_type, &fleet) {
            self.exclude(one, other);
        }
        let env = BatchEnv {
            compute_type: compute_type.and_then(|field| self.text(&field)),
            fleet: fleet.and_then(|field| self.text(&field)),
            image: fields.take("image").and_then(|field| self.text(&field)),
            privileged_mode: fields.take("privileged-mode").and_then(|field| self.flag(&field)),
            kind: fields.take("type").and_then(|field| self.text(&field)),
            variables: fields.take("variables").map(|field| self.variables(&field)).unwrap_or_default(),
        };
        self.unknown(fields);
        env
    }

    fn matrix(&mut self, field: &Field<'a>) -> Option<Matrix> {
        let mut fields = self.fields(field)?;
        let mut matrix = Matrix::default();
        if let Some(mut fields) = fields.take("static").and_then(|field| self.fields(&field)) {
            matrix.ignore_failure = fields.take("ignore-failure").and_then(|field| self.flag(&field));
            matrix.env = fields.take("env").map(|field| self.batch_env(&field)).unwrap_or_default();
            self.unknown(fields);
        }
        match fields.take("dynamic") {
            Some(field) => self.dynamic(&field, &mut matrix),
            None => self.missing(&fields, "dynamic", "it holds the lists that make up the matrix"),
        }
        self.unknown(fields);
        Some(matrix)
    }

    fn dynamic(&mut self, field: &Field<'a>, matrix: &mut Matrix) {
        let Some(mut fields) = self.fields(field) else { return };
        matrix.buildspec = fields.take("buildspec").map(|field| self.texts(&field)).unwrap_or_default();
        if let Some(mut env) = fields.take("env").and_then(|field| self.fields(&field)) {
            let mut texts = |decoder: &mut Self, key| {
                env.take(key).map(|field| decoder.texts(&field)).unwrap_or_default()
            };
            matrix.compute_type = texts(self, "compute-type");
            matrix.image = texts(self, "image");
            matrix.fleet = texts(self, "fleet");
            matrix.kind = texts(self, "type");
            let privileged = env.take("privileged-mode").map(|field| self.items(&field)).unwrap_or_default();
            matrix.privileged_mode = privileged.iter().filter_map(|item| self.flag(item)).collect();
            for field in env
                .take("variables")
                .and_then(|field| self.fields(&field))
                .into_iter()
                .flat_map(|map| map.rest())
            {
                let Some(key) = field.key else { continue };
                self.variable_name(key);
                let values = self.texts(&field);
                matrix.variables.insert(key.text.clone(), values);
            }
            self.unknown(env);
        }
        self.unknown(fields);
    }

    fn fanout(&mut self, field: &Field<'a>) -> Option<BatchPlan> {
        let mut fields = self.fields(field)?;
        let parallelism = match fields.take("parallelism") {
            Some(field) => self.parallelism(&field),
            None => {
                self.missing(&fields, "parallelism", "it says how many builds to make");
                None
            }
        };
        let ignore_failure = fields.take("ignore-failure").and_then(|field| self.flag(&field));
        self.unknown(fields);
        Some(BatchPlan::Fanout { parallelism: parallelism?, ignore_failure })
    }

    fn parallelism(&mut self, field: &Field<'a>) -> Option<u32> {
        let text = self.text(field)?;
        let number = text.parse().ok().filter(|number| *number > 0);
        if number.is_none() {
            self.report(
                Diagnostic::new(
                    Code::InvalidValue,
                    format!("{} must be a number from 1 up, this is {}", field.name(), quoted(&text)),
                )
                .at(field.place()),
            );
        }
        number
    }
}
