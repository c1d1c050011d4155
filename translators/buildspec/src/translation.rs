//! What every translator hands back: buildspecs, and an account of each construct of the source.

use indexmap::IndexMap;

use crate::{
    Batch, BatchBuild, BatchEnv, BatchPlan, Buildspec, Comments, Diagnostic, Matrix, Severity, Span, write,
};

/// A file of another system, translated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Translation {
    /// What its jobs became, in the order of the file; empty when the file has errors.
    pub jobs: Vec<Job>,
    /// Whether the first job that fails ends the others.
    pub fast_fail: bool,
    /// One note for every construct of the file, in the order of the file.
    pub notes: Vec<Note>,
    /// What is wrong with the file itself.
    pub diagnostics: Vec<Diagnostic>,
}

/// A job of the source, as a buildspec of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// Its name in a batch: letters, digits and underscores, unique in the file.
    pub identifier: String,
    /// Its name in the source, for people and `--job`.
    pub name: String,
    /// Identifiers of the jobs that come before it.
    pub depends_on: Vec<String>,
    /// What it does; its `batch` is empty.
    pub buildspec: Buildspec,
    /// What a reader of the buildspec should know.
    pub comments: Comments,
    /// Image, compute type and variables.
    pub env: BatchEnv,
    /// Whether everything else may succeed although this job failed.
    pub ignore_failure: bool,
    /// Whether somebody has to ask for it: it is not in the batch of all.
    pub on_demand: bool,
    /// How often it runs.
    pub runs: Runs,
}

/// How often a job runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Runs {
    /// Once.
    #[default]
    Once,
    /// Once for each combination of the values of its variables.
    Matrix(IndexMap<String, Vec<String>>),
    /// Once for each leg.
    Legs(Vec<Leg>),
}

/// One run of a job of several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leg {
    /// Follows the job's identifier: letters, digits and underscores, unique in the job.
    pub suffix: String,
    /// What differs from the job's own; variables are added to the job's.
    pub env: BatchEnv,
    /// Whether everything else may succeed although this leg failed.
    pub ignore_failure: bool,
}

/// What became of one construct of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands.
    pub span: Span,
    /// Its path or name in the source, as in `jobs.build.steps[2].uses`.
    pub construct: String,
    /// How faithful the result is.
    pub fidelity: Fidelity,
}

/// How faithfully a construct was translated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fidelity {
    /// It does the same.
    Exact {
        /// What it became, in a few words.
        became: String,
    },
    /// It does nearly the same.
    Approximate {
        /// What it became, in a few words.
        became: String,
        /// What differs, in words.
        difference: String,
    },
    /// A person has to do it.
    Manual {
        /// Why.
        reason: String,
        /// What to write instead, ready to paste; may have several lines.
        suggestion: Option<String>,
    },
}

impl Fidelity {
    /// `exact`, `approximate` or `manual`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Exact { .. } => "exact",
            Self::Approximate { .. } => "approximate",
            Self::Manual { .. } => "manual",
        }
    }
}

/// How much of a source was translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Constructs that do the same.
    pub exact: usize,
    /// Constructs that do nearly the same.
    pub approximate: usize,
    /// Constructs that a person has to do.
    pub manual: usize,
}

impl Coverage {
    /// The part that needs nobody, from 0 to 1; 1 when there is nothing.
    pub fn ratio(self) -> f64 {
        let done = self.exact + self.approximate;
        let all = done + self.manual;
        if all == 0 { 1.0 } else { done as f64 / all as f64 }
    }
}

impl std::ops::AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        self.exact += other.exact;
        self.approximate += other.approximate;
        self.manual += other.manual;
    }
}

impl Translation {
    /// Whether the file could not be translated at all.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity() == Severity::Error)
    }

    /// Counts the notes.
    pub fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        for note in &self.notes {
            match note.fidelity {
                Fidelity::Exact { .. } => coverage.exact += 1,
                Fidelity::Approximate { .. } => coverage.approximate += 1,
                Fidelity::Manual { .. } => coverage.manual += 1,
            }
        }
        coverage
    }

    /// The one buildspec for the whole file: the job's own when there is one, else a batch that holds the text of
    /// each job's. Nothing when there is no job.
    pub fn buildspec(&self) -> Option<(Buildspec, Comments)> {
        let jobs: Vec<&Job> = self.jobs.iter().filter(|job| !job.on_demand).collect();
        if let [job] = jobs.as_slice() {
            return Some(job.alone());
        }
        (!jobs.is_empty()).then(|| {
            let builds = jobs.iter().flat_map(|job| self.builds_of(job)).collect();
            let batch = Batch { fast_fail: self.fast_fail.then_some(true), plan: BatchPlan::Graph(builds) };
            (Buildspec { batch: Some(batch), ..Buildspec::default() }, Comments::default())
        })
    }

    /// The builds that a job runs as in a graph.
    fn builds_of(&self, job: &Job) -> Vec<BatchBuild> {
        let depend_on: Vec<String> = job
            .depends_on
            .iter()
            .filter_map(|identifier| self.jobs.iter().find(|other| other.identifier == *identifier))
            .flat_map(|other| other.legs().into_iter().map(|leg| other.leg_identifier(&leg)))
            .collect();
        let text = write(&job.buildspec, &job.comments);
        job.legs()
            .iter()
            .map(|leg| BatchBuild {
                identifier: job.leg_identifier(leg),
                buildspec: Some(text.clone()),
                depend_on: depend_on.clone(),
                env: leg.env.over(&job.env),
                ignore_failure: (job.ignore_failure || leg.ignore_failure).then_some(true),
                ..BatchBuild::default()
            })
            .collect()
    }
}

impl Job {
    /// Its buildspec when no other job is needed; with a batch when it runs more than once or names its environment.
    pub fn alone(&self) -> (Buildspec, Comments) {
        let plan = match &self.runs {
            Runs::Once if self.env == BatchEnv::default() && !self.ignore_failure => None,
            Runs::Matrix(variables) => Some(BatchPlan::Matrix(Box::new(Matrix {
                ignore_failure: self.ignore_failure.then_some(true),
                env: self.env.clone(),
                variables: variables.clone(),
                ..Matrix::default()
            }))),
            Runs::Once | Runs::Legs(_) => Some(BatchPlan::List(
                self.legs()
                    .iter()
                    .map(|leg| BatchBuild {
                        identifier: self.leg_identifier(leg),
                        env: leg.env.over(&self.env),
                        ignore_failure: (self.ignore_failure || leg.ignore_failure).then_some(true),
                        ..BatchBuild::default()
                    })
                    .collect(),
            )),
        };
        let batch = plan.map(|plan| Batch { fast_fail: None, plan });
        (Buildspec { batch, ..self.buildspec.clone() }, self.comments.clone())
    }

    /// Each run of the job; one without a suffix when it runs once.
    pub fn legs(&self) -> Vec<Leg> {
        match &self.runs {
            Runs::Once => vec![Leg::default()],
            Runs::Legs(legs) => legs.clone(),
            Runs::Matrix(variables) => {
                let mut legs = vec![IndexMap::new()];
                for (name, values) in variables {
                    legs = legs
                        .iter()
                        .flat_map(|leg| {
                            values.iter().map(|value| {
                                let mut leg: IndexMap<String, String> = leg.clone();
                                leg.insert(name.clone(), value.clone());
                                leg
                            })
                        })
                        .collect();
                }
                let numbered = legs.into_iter().enumerate();
                numbered
                    .map(|(index, variables)| Leg {
                        suffix: format!("_{}", index + 1),
                        env: BatchEnv { variables, ..BatchEnv::default() },
                        ignore_failure: false,
                    })
                    .collect()
            }
        }
    }

    fn leg_identifier(&self, leg: &Leg) -> String {
        format!("{}{}", self.identifier, leg.suffix)
    }
}

impl BatchEnv {
    /// This environment where it says something, else the other; variables of both.
    fn over(&self, other: &Self) -> Self {
        let mut variables = other.variables.clone();
        variables.extend(self.variables.clone());
        Self {
            compute_type: self.compute_type.clone().or_else(|| other.compute_type.clone()),
            fleet: self.fleet.clone().or_else(|| other.fleet.clone()),
            image: self.image.clone().or_else(|| other.image.clone()),
            privileged_mode: self.privileged_mode.or(other.privileged_mode),
            kind: self.kind.clone().or_else(|| other.kind.clone()),
            variables,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Phase, Phases, Work, parse};

    fn job(identifier: &str, depends_on: &[&str]) -> Job {
        let build = Phase { work: Work::Commands(vec![format!("make {identifier}")]), ..Phase::default() };
        Job {
            identifier: identifier.into(),
            depends_on: depends_on.iter().map(|&other| other.into()).collect(),
            buildspec: Buildspec {
                phases: Phases { build: Some(build), ..Phases::default() },
                ..Buildspec::default()
            },
            ..Job::default()
        }
    }

    fn variables(values: &[(&str, &[&str])]) -> IndexMap<String, Vec<String>> {
        values
            .iter()
            .map(|(name, values)| ((*name).into(), values.iter().map(|&v| v.into()).collect()))
            .collect()
    }

    #[test]
    fn one_plain_job_is_its_own_buildspec() {
        let only = job("a", &[]);
        let (buildspec, _) =
            Translation { jobs: vec![only.clone()], ..Translation::default() }.buildspec().unwrap();
        assert_eq!(buildspec, only.buildspec);
        assert!(Translation::default().buildspec().is_none());
    }

    #[test]
    fn a_job_of_several_runs_is_a_batch_of_itself() {
        let matrix = Job { runs: Runs::Matrix(variables(&[("V", &["1", "2"])])), ..job("a", &[]) };
        assert!(matches!(matrix.alone().0.batch.unwrap().plan, BatchPlan::Matrix(_)));
        let with_image =
            Job { env: BatchEnv { image: Some("x".into()), ..BatchEnv::default() }, ..job("a", &[]) };
        let BatchPlan::List(builds) = with_image.alone().0.batch.unwrap().plan else { panic!() };
        assert_eq!((builds[0].identifier.as_str(), &builds[0].buildspec), ("a", &None));
    }

    #[test]
    fn several_jobs_are_a_graph_of_all_their_runs() {
        let first = Job {
            runs: Runs::Matrix(variables(&[("OS", &["a", "b"]), ("V", &["1", "2"])])),
            env: BatchEnv { image: Some("x".into()), ..BatchEnv::default() },
            ..job("test", &[])
        };
        let translation = Translation { jobs: vec![first, job("ship", &["test"])], ..Translation::default() };
        let (buildspec, comments) = translation.buildspec().unwrap();
        // What is written can be read again, texts of the tasks included.
        let parsed = parse(&write(&buildspec, &comments));
        assert_eq!(parsed.diagnostics, []);
        let BatchPlan::Graph(builds) = parsed.buildspec.unwrap().batch.unwrap().plan else { panic!() };
        let seen: Vec<_> = builds.iter().map(|build| build.identifier.as_str()).collect();
        assert_eq!(seen, ["test_1", "test_2", "test_3", "test_4", "ship"]);
        assert_eq!(builds[4].depend_on, seen[..4]);
        let of_leg: Vec<_> =
            builds[1].env.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(of_leg, [("OS", "a"), ("V", "2")]);
        assert_eq!(builds[1].env.image.as_deref(), Some("x"));
        let inner = parse(builds[4].buildspec.as_deref().unwrap()).buildspec.unwrap();
        assert_eq!(inner, translation.jobs[1].buildspec);
    }

    #[test]
    fn coverage_counts_what_needs_nobody() {
        let mut coverage = Coverage { exact: 2, approximate: 1, manual: 0 };
        coverage += Coverage { exact: 0, approximate: 0, manual: 1 };
        assert_eq!((coverage.ratio(), Coverage::default().ratio()), (0.75, 1.0));
    }
}
