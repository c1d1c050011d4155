//! Keys by which GitHub, not the build, does something.

use super::ledger::Ledger;
use crate::model::{Defaults, Field};

pub(crate) fn note(field: &Field<'_>, ledger: &mut Ledger) {
    match field.path.rsplit('.').next().unwrap_or_default() {
        "permissions" => ledger.approximate(
            field,
            "the rights of the source's credential",
            "rights belong to the credential and the service role, not to one job",
        ),
        "concurrency" => ledger.approximate(
            field,
            "the project's limit of concurrent builds",
            "a limit of 1 lets builds wait; none is stopped for a newer one",
        ),
        "environment" => ledger.approximate(
            field,
            "nothing",
            "no deployment is recorded and nobody is asked: put an approval before the build in the pipeline",
        ),
        "timeout-minutes" => {
            let minutes = field.node.text().unwrap_or_default().to_owned();
            ledger.approximate(
                field,
                format!("the project's `timeoutInMinutes`: {minutes}"),
                "it is set in the project",
            );
        }
        _ => ledger.manual(field, "CodeBuild has nothing of the kind", None),
    }
}

pub(crate) fn defaults(defaults: &Defaults<'_>, ledger: &mut Ledger) {
    for text in [&defaults.shell, &defaults.working_directory].into_iter().flatten() {
        ledger.exact(&text.field, "each script that says nothing else");
    }
}
