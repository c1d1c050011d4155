//! From `batch` in a buildspec to the builds it asks for; pure.

use runspan_buildspec::{Batch, BatchBuild, BatchEnv, BatchPlan, Matrix};

use crate::project::BatchRestrictions;

/// One build of a batch, before it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// `CODEBUILD_BATCH_BUILD_IDENTIFIER`.
    pub identifier: String,
    /// Identifiers of the tasks that must be complete first.
    pub depends_on: Vec<String>,
    /// Whether the batch may succeed although this failed.
    pub ignore_failure: bool,
    /// Another buildspec, path or text.
    pub buildspec: Option<String>,
    /// Overrides of the environment.
    pub env: BatchEnv,
    /// `debug-session`.
    pub debug_session: bool,
    /// Of a fanout: this shard and how many there are.
    pub shard: Option<(u32, u32)>,
}

/// The tasks of a batch, in the order of the file.
///
/// # Errors
/// What the project's restrictions do not allow, in words.
pub fn expand(batch: &Batch, restrictions: &BatchRestrictions) -> Result<Vec<Task>, String> {
    let tasks = match &batch.plan {
        BatchPlan::List(builds) | BatchPlan::Graph(builds) => builds.iter().map(task).collect(),
        BatchPlan::Matrix(matrix) => matrix_tasks(matrix),
        BatchPlan::Fanout { parallelism, ignore_failure } => (0..*parallelism)
            .map(|index| Task {
                identifier: format!("BuildFanoutShard{}", index + 1),
                ignore_failure: ignore_failure.unwrap_or_default(),
                shard: Some((index, *parallelism)),
                ..Task::default()
            })
            .collect::<Vec<_>>(),
    };
    if let Some(most) = restrictions.maximum_builds_allowed
        && tasks.len() > most as usize
    {
        return Err(format!("the batch asks for {} builds; the project allows {most}", tasks.len()));
    }
    for task in &tasks {
        if let Some(compute) = &task.env.compute_type
            && !restrictions.compute_types_allowed.is_empty()
            && !restrictions.compute_types_allowed.contains(compute)
        {
            return Err(format!(
                "build `{}` asks for {compute}; the project allows {}",
                task.identifier,
                restrictions.compute_types_allowed.join(", ")
            ));
        }
    }
    Ok(tasks)
}

fn task(build: &BatchBuild) -> Task {
    Task {
        identifier: build.identifier.clone(),
        depends_on: build.depend_on.clone(),
        ignore_failure: build.ignore_failure.unwrap_or_default(),
        buildspec: build.buildspec.clone(),
        env: build.env.clone(),
        debug_session: build.debug_session.unwrap_or_default(),
        shard: None,
    }
}

/// The cartesian product of every dynamic list, the last varying fastest.
fn matrix_tasks(matrix: &Matrix) -> Vec<Task> {
    let mut tasks = vec![Task {
        ignore_failure: matrix.ignore_failure.unwrap_or_default(),
        env: matrix.env.clone(),
        ..Task::default()
    }];
    spread(&mut tasks, &matrix.buildspec, |task, value| task.buildspec = Some(value.clone()));
    spread(&mut tasks, &matrix.kind, |task, value| task.env.kind = Some(value.clone()));
    spread(&mut tasks, &matrix.compute_type, |task, value| task.env.compute_type = Some(value.clone()));
    spread(&mut tasks, &matrix.fleet, |task, value| task.env.fleet = Some(value.clone()));
    spread(&mut tasks, &matrix.image, |task, value| task.env.image = Some(value.clone()));
    spread(&mut tasks, &matrix.privileged_mode, |task, value| task.env.privileged_mode = Some(*value));
    for (name, values) in &matrix.variables {
        spread(&mut tasks, values, |task, value| {
            task.env.variables.insert(name.clone(), value.clone());
        });
    }
    for (index, task) in tasks.iter_mut().enumerate() {
        task.identifier = format!("build{}", index + 1);
    }
    tasks
}

fn spread<T>(tasks: &mut Vec<Task>, values: &[T], set: impl Fn(&mut Task, &T)) {
    if values.is_empty() {
        return;
    }
    *tasks = tasks
        .iter()
        .flat_map(|task| {
            values.iter().map(|value| {
                let mut task = task.clone();
                set(&mut task, value);
                task
            })
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_the_product_of_its_lists() {
        let mut matrix = Matrix { image: vec!["a".into(), "b".into()], ..Matrix::default() };
        matrix.variables.insert("V".into(), vec!["1".into(), "2".into(), "3".into()]);
        let batch = Batch { fast_fail: None, plan: BatchPlan::Matrix(Box::new(matrix)) };
        let tasks = expand(&batch, &BatchRestrictions::default()).unwrap();
        let seen: Vec<_> = tasks
            .iter()
            .map(|t| format!("{} {} {}", t.identifier, t.env.image.as_deref().unwrap(), t.env.variables["V"]))
            .collect();
        assert_eq!(
            seen,
            ["build1 a 1", "build2 a 2", "build3 a 3", "build4 b 1", "build5 b 2", "build6 b 3"]
        );
        let few = BatchRestrictions { maximum_builds_allowed: Some(5), ..BatchRestrictions::default() };
        assert_eq!(expand(&batch, &few).unwrap_err(), "the batch asks for 6 builds; the project allows 5");
    }

    #[test]
    fn a_fanout_numbers_its_shards() {
        let batch =
            Batch { fast_fail: None, plan: BatchPlan::Fanout { parallelism: 2, ignore_failure: None } };
        let tasks = expand(&batch, &BatchRestrictions::default()).unwrap();
        assert_eq!(tasks[1].identifier, "BuildFanoutShard2");
        assert_eq!(tasks[1].shard, Some((1, 2)));
    }
}
