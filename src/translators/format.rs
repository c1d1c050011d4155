//! What a file is, by its name and what stands in it.

use std::path::Path;

/// A kind of file that becomes a buildspec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileFormat {
    /// A GitHub workflow.
    Workflow,
    /// A Jenkinsfile.
    Jenkinsfile,
    /// A bitbucket-pipelines.yml.
    Pipelines,
}

impl FileFormat {
    pub(crate) const ALL: [Self; 3] = [Self::Workflow, Self::Jenkinsfile, Self::Pipelines];

    /// `None` for a buildspec, and for everything else.
    pub(crate) fn of(path: &Path, text: &str) -> Option<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let has_key = |key: &str| {
            text.lines()
                .any(|line| line.trim_end().strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
        };
        let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
        let in_workflows =
            is_yaml && path.parent().is_some_and(|parent| parent.ends_with(".github/workflows"));
        let is_other =
            [".json", ".jsonl", ".md", ".txt", ".html", ".xml"].iter().any(|end| name.ends_with(end));
        if (name.starts_with("jenkinsfile") && !is_yaml && !is_other)
            || name.ends_with("jenkinsfile")
            || (!is_yaml && text.trim_start().starts_with("pipeline {"))
        {
            Some(Self::Jenkinsfile)
        } else if name.starts_with("bitbucket-pipelines")
            || (is_yaml && name.ends_with("bitbucket-pipelines.yml"))
            || (has_key("pipelines") && !has_key("phases"))
        {
            Some(Self::Pipelines)
        } else if in_workflows || (has_key("jobs") && (has_key("on") || has_key("\"on\"") || has_key("'on'")))
        {
            Some(Self::Workflow)
        } else {
            None
        }
    }

    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Workflow => "GitHub workflow",
            Self::Jenkinsfile => "Jenkinsfile",
            Self::Pipelines => "Bitbucket pipelines",
        }
    }

    /// For programs.
    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Jenkinsfile => "jenkinsfile",
            Self::Pipelines => "pipelines",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_name_and_content() {
        use FileFormat::{Jenkinsfile, Pipelines, Workflow};
        for (path, text, format) in [
            ("/x/Jenkinsfile", "", Some(Jenkinsfile)),
            ("/x/Jenkinsfile.release", "", Some(Jenkinsfile)),
            ("/x/ci", "pipeline {\n}", Some(Jenkinsfile)),
            ("/x/jenkinsfiles.jsonl", "{}", None),
            ("/x/bitbucket-pipelines.yml", "", Some(Pipelines)),
            ("/x/ci.yml", "image: a\npipelines:\n  default: []\n", Some(Pipelines)),
            ("/x/.github/workflows/ci.yml", "", Some(Workflow)),
            ("/x/.github/workflows/README.md", "", None),
            ("/x/ci.yml", "on: push\njobs:\n  a: 1\n", Some(Workflow)),
            ("/x/buildspec.yml", "version: 0.2\nphases:\n", None),
            ("/x/anything", "version: 0.2\nenv:\n  variables:\n    on: 1\n    jobs: 2\n", None),
        ] {
            assert_eq!(FileFormat::of(Path::new(path), text), format, "{path}");
        }
    }
}
