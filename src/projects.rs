//! Projects by name: those that were made through CodeBuild's API, and files that somebody put beside the state.

use std::fs;
use std::io::ErrorKind;

use runspan_engine::journal::{Journal, Resource};
use runspan_engine::project::{Project, is_project_name};

/// A project of this machine; `None` when there is none of the name.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn find(journal: &Journal, name: &str) -> Result<Option<Project>, String> {
    // A name is no path.
    if !is_project_name(name) {
        return Ok(None);
    }
    if let Some(record) = journal.resource(Resource::Project, name).map_err(|error| error.to_string())? {
        let project = Project::of_record(&record).map_err(|error| format!("the project {name}: {error}"))?;
        return Ok(Some(project));
    }
    let path = journal.home().root().join("projects").join(format!("{name}.json"));
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| format!("the project {}: {error}", path.display()))?,
    };
    let project =
        Project::parse(&text).map_err(|error| format!("the project {}: {error}", path.display()))?;
    Ok(Some(Project { name: Some(name.to_owned()), ..project }))
}

#[cfg(test)]
mod tests {
    use runspan_engine::Home;
    use serde_json::json;

    use super::*;

    #[test]
    fn projects_are_found_by_name_alone() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::open(root.path().join("home")).unwrap();
        let journal = Journal::open(&home).unwrap();
        let image = |name: &str| find(&journal, name).map(|found| found.and_then(|it| it.environment.image));
        assert_eq!(image("web"), Ok(None));
        let files = home.root().join("projects");
        fs::create_dir(&files).unwrap();
        fs::write(home.root().join("outside.json"), "{}").unwrap();
        assert_eq!(find(&journal, "../outside"), Ok(None));
        fs::write(files.join("web.json"), r#"{"environment": {"image": "debian:13"}}"#).unwrap();
        assert_eq!(image("web"), Ok(Some("debian:13".to_owned())));
        fs::write(files.join("web.json"), "[").unwrap();
        assert!(image("web").unwrap_err().contains("web.json"));
        let record = json!({ "name": "web", "environment": { "image": "a:1" } });
        journal.create_resource(Resource::Project, "web", &record).unwrap();
        assert_eq!(image("web"), Ok(Some("a:1".to_owned())), "what the API made comes first");
    }
}
