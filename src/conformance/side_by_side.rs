//! Outcomes as a Markdown table with a column for each executor.

use super::Trial;
use super::runner::Outcome;

/// The first two lines.
pub(super) fn head(executors: &[String]) -> String {
    let columns = executors.join(" | ");
    format!("| Case | {columns} | What differs |\n|---|{}---|\n", "---|".repeat(executors.len()))
}

/// The line of a case.
pub(super) fn row(executors: &[String], outcomes: &[(&Trial, Outcome)]) -> String {
    let Some((first, _)) = outcomes.first() else { return String::new() };
    let cells: Vec<String> = executors
        .iter()
        .map(|executor| {
            let own = outcomes.iter().filter(|(trial, _)| trial.executor == executor);
            own.map(|(_, outcome)| said(outcome)).collect::<Vec<_>>().join(", ")
        })
        .collect();
    let differs = first.case.differs.as_deref().unwrap_or_default();
    format!("| {} | {} | {} |\n", first.case.id, cells.join(" | "), super::list::cell(differs))
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed { seconds } | Outcome::Failed { seconds, .. } => {
            format!("{}, {seconds:.2} s", outcome.word())
        }
        Outcome::Skipped(_) => outcome.word().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::case::Case;
    use super::*;

    #[test]
    fn executors_stand_side_by_side() {
        let case = Case { id: "state/cd".into(), differs: Some("a | b".into()), ..Case::default() };
        let executors = ["docker".to_owned(), "sandbox".to_owned()];
        let [docker, sandbox] =
            [0, 1].map(|index| Trial { case: &case, executor: &executors[index], image: None });
        let outcomes = [
            (&sandbox, Outcome::Passed { seconds: 0.1 }),
            (&docker, Outcome::Failed { seconds: 0.5, differences: Vec::new(), log: String::new() }),
        ];
        assert_eq!(
            format!("{}{}", head(&executors), row(&executors, &outcomes)),
            "| Case | docker | sandbox | What differs |\n|---|---|---|---|\n\
             | state/cd | failed, 0.50 s | passed, 0.10 s | a \\| b |\n"
        );
    }
}
