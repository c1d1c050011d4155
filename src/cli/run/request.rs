//! From arguments to a request; everything that can be wrong with them is said here.

use std::fs;
use std::path::{Path, PathBuf};

use runspan_engine::journal::Journal;
use runspan_engine::project::{
    EnvironmentVariable, Project, ProjectSource, SourceType, compute_size, is_project_name,
};
use runspan_engine::request::{BuildRequest, BuildspecChoice, Grants};

use super::args::RunArgs;
use super::source::{Target, local, source};
use super::{env_file, foreign};
use crate::cli::executor::Choice;
use crate::config::Config;
use crate::event::Event;
use crate::failure::Failure;

/// CodeBuild allows so many secondary sources.
const MAX_SECONDARY_SOURCES: usize = 12;

/// The build that these arguments ask for.
pub(super) fn request(args: &RunArgs, config: &Config, journal: &Journal) -> Result<BuildRequest, Failure> {
    let project = args.project.as_deref().map(|project| read_project(project, journal)).transpose()?;
    let project = project.unwrap_or_default();
    let target = args.what.as_deref().map(Target::of).transpose()?;
    let event = args.event.as_deref().map(read_event).transpose()?;
    let asked = match &target {
        Some(Target::Foreign(file)) => {
            Some(foreign::ask(file, args.job.as_deref(), event.as_ref(), args.image.as_deref())?)
        }
        _ if args.job.is_some() => {
            return Err(Failure::input(
                "--job is for a workflow, a Jenkinsfile or a bitbucket-pipelines.yml",
            )
            .help("name such a file; the builds of a buildspec's `batch` run together"));
        }
        _ => None,
    };
    let needs_image = asked.as_ref().is_none_or(|asked| asked.needs_image);
    let asked = asked.unwrap_or_default();
    let (source, buildspec) = primary(args, target, asked.buildspec, &project)?;
    let secrets = env_file::secrets(&args.secrets_file)?;
    let mut environment = asked.variables;
    let of_event = event.iter().flat_map(Event::variables);
    environment.extend(of_event.map(|(name, value)| EnvironmentVariable::plain(name, value)));
    environment.extend(env_file::variables(&args.env_file, &args.env)?);
    let image = args
        .image
        .clone()
        .or(asked.image)
        .or_else(|| config.image.clone().filter(|_| project.environment.image.is_none()));
    let image = image.map(|image| of_this_machine(&image)).transpose()?;
    let is_named =
        image.as_ref().or(project.environment.image.as_ref()).is_some_and(|image| !image.trim().is_empty());
    let image = if !is_named && args.executor != Choice::Docker { Some("host".to_owned()) } else { image };
    if needs_image && !is_named && args.executor == Choice::Docker {
        return Err(Failure::input("no image is named for the build's container").help(
            "name one with --image IMAGE, in the environment variable RUNSPAN_IMAGE, \
             or as environment.image of a --project FILE",
        ));
    }
    if let Some(name) = &args.compute_type
        && compute_size(name).is_none()
    {
        return Err(Failure::input(format!("--compute-type {name}: CodeBuild has no such type")).help(
            "use BUILD_GENERAL1_SMALL, _MEDIUM, _LARGE, _XLARGE or _2XLARGE, or BUILD_LAMBDA_1GB to _10GB",
        ));
    }
    Ok(BuildRequest {
        source_version: args
            .source_version
            .clone()
            .or_else(|| event.as_ref().and_then(Event::source_version))
            .or_else(|| project.source_version.clone()),
        secondary_sources: secondary(args, &project)?,
        source,
        buildspec,
        image,
        compute_type: args.compute_type.clone().or(asked.compute_type),
        environment,
        secret_names: secrets.iter().map(|secret| secret.name.clone()).collect(),
        secrets,
        privileged: args.privileged.then_some(true).or(asked.privileged),
        grants: Grants {
            privileged: args.privileged,
            engine_socket: args.grant_docker_socket,
            // Who types the command may read the repositories of this machine anyway.
            local_repositories: true,
            local_roots: true,
            host_network: true,
        },
        timeout_seconds: args.timeout.map(|timeout| timeout.as_secs()),
        debug_session: args.debug_session || project.debug_session_enabled,
        shell_on_failure: args.shell_on_failure,
        initiator: config.user.clone(),
        artifacts_dir: args.artifacts.as_deref().map(|path| directory("--artifacts", path)).transpose()?,
        reports_dir: args.reports.as_deref().map(|path| directory("--reports", path)).transpose()?,
        cache_dir: match &args.cache_dir {
            Some(path) => directory("--cache-dir", path)?,
            None => journal.home().cache(),
        },
        project,
        ..BuildRequest::default()
    })
}

/// An image's name; what is a path gets the one it has from everywhere.
fn of_this_machine(image: &str) -> Result<String, Failure> {
    if !image.starts_with(['/', '.']) {
        return Ok(image.to_owned());
    }
    let found = Path::new(image)
        .canonicalize()
        .map_err(|error| Failure::input(format!("the image {image} cannot be used")).because(&error))?;
    found.into_os_string().into_string().map_err(|path| {
        Failure::input(format!("the image {} cannot be used: its path is not UTF-8", path.display()))
    })
}

/// The primary source and, where one is named, the buildspec.
fn primary(
    args: &RunArgs,
    target: Option<Target>,
    translated: String,
    project: &Project,
) -> Result<(ProjectSource, Option<BuildspecChoice>), Failure> {
    let of_project = project.source.clone();
    let place = match (&args.source, &target, &of_project) {
        (Some(_), Some(Target::Directory(directory)), _) => {
            return Err(Failure::input(format!(
                "two sources are named: {} and --source {}",
                directory.display(),
                args.source.as_deref().unwrap_or_default()
            ))
            .help("leave one of them out"));
        }
        (Some(text), _, _) => source(text)?,
        (None, Some(Target::Directory(directory)), _) => local(directory)?,
        (None, Some(Target::Buildspec(file)), _) => local(file.parent().unwrap_or(Path::new("/")))?,
        (None, Some(Target::Foreign(file)), _) => local(&foreign::root(file))?,
        (None, None, Some(of_project))
            if of_project.location.is_some() || of_project.kind == SourceType::NoSource =>
        {
            of_project.clone()
        }
        (None, None, _) => local(Path::new("."))?,
    };
    // As with CodeBuild's overrides, what the project says of its source beyond the place stays.
    let source =
        ProjectSource { kind: place.kind, location: place.location, ..of_project.unwrap_or_default() };
    if source.kind == SourceType::Codepipeline {
        return Err(Failure::input("the project's source is of a type that this version cannot fetch")
            .help("name a directory, a zip file or a git URL instead"));
    }
    let root = match (source.kind, &source.location) {
        (SourceType::Directory, Some(location)) => Some(PathBuf::from(location)).filter(|root| root.is_dir()),
        _ => None,
    };
    let buildspec = match (&args.buildspec, target) {
        (Some(_), Some(Target::Buildspec(file))) => {
            return Err(Failure::input(format!(
                "two buildspecs are named: {} and --buildspec",
                file.display()
            ))
            .help("leave one of them out"));
        }
        (Some(_), Some(Target::Foreign(file))) => {
            return Err(Failure::input(format!(
                "two things to build are named: {} and --buildspec",
                file.name
            ))
            .help("leave one of them out"));
        }
        (None, Some(Target::Foreign(_))) => Some(BuildspecChoice::Inline(translated)),
        (Some(text), _) => Some(choice(text, root.as_deref())),
        (None, Some(Target::Buildspec(file))) => Some(in_source(file, root.as_deref())),
        (None, _) => None,
    };
    Ok((source, buildspec))
}

/// `--buildspec`: the text, a path in the source, or else a file of this machine.
fn choice(text: &str, root: Option<&Path>) -> BuildspecChoice {
    match BuildspecChoice::from_text(text) {
        BuildspecChoice::Path(path)
            if root.is_some_and(|root| !path.starts_with('/') && root.join(&path).is_file()) =>
        {
            BuildspecChoice::Path(path)
        }
        BuildspecChoice::Path(path) => match Path::new(&path).canonicalize() {
            Ok(file) if file.is_file() => in_source(file, root),
            _ => BuildspecChoice::Path(path),
        },
        inline => inline,
    }
}

/// A file of this machine, by its path in the source where it lies there.
fn in_source(file: PathBuf, root: Option<&Path>) -> BuildspecChoice {
    match root.and_then(|root| file.strip_prefix(root).ok()) {
        Some(path) => BuildspecChoice::Path(path.to_string_lossy().into_owned()),
        None => BuildspecChoice::File(file),
    }
}

/// Secondary sources of the project, with those of the arguments in their place or beside them.
fn secondary(args: &RunArgs, project: &Project) -> Result<Vec<(ProjectSource, Option<String>)>, Failure> {
    let version = |name: &Option<String>| {
        project
            .secondary_source_versions
            .iter()
            .find(|version| Some(&version.source_identifier) == name.as_ref())
            .map(|version| version.source_version.clone())
    };
    let mut all: Vec<_> = project
        .secondary_sources
        .iter()
        .map(|source| (source.clone(), version(&source.source_identifier)))
        .collect();
    for text in &args.secondary_source {
        let (name, place) = text.split_once('=').ok_or_else(|| {
            Failure::input(format!("--secondary-source {text}: expected NAME=DIR or NAME=URL"))
        })?;
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(Failure::input(format!("--secondary-source {text}: `{name}` is no identifier"))
                .help("use letters, digits and `_`"));
        }
        let found = ProjectSource { source_identifier: Some(name.to_owned()), ..source(place)? };
        all.retain(|(source, _)| source.source_identifier.as_deref() != Some(name));
        all.push((found, None));
    }
    if all.len() > MAX_SECONDARY_SOURCES {
        return Err(Failure::input(format!(
            "{} secondary sources are named; at most {MAX_SECONDARY_SOURCES} are allowed",
            all.len()
        )));
    }
    Ok(all)
}

/// A project of this machine, or a project file; directories in that are meant from where it lies.
fn read_project(path: &Path, journal: &Journal) -> Result<Project, Failure> {
    let shown = path.display();
    if !path.exists()
        && let Some(name) = path.to_str().filter(|name| is_project_name(name))
    {
        let record = journal.project(name)?.ok_or_else(|| {
            Failure::input(format!("there is neither a file nor a project {name}"))
                .help("name a file, or a project that was made with `create-project`")
        })?;
        return Project::of_record(&record)
            .map_err(|error| Failure::input(format!("the project {name} cannot be used")).because(&error));
    }
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("the project {shown} cannot be read")).because(&error))?;
    let mut project = Project::parse(&text)
        .map_err(|error| Failure::input(format!("the project {shown} cannot be used")).because(&error))?;
    let from =
        path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned)).unwrap_or_default();
    for source in project.source.iter_mut().chain(&mut project.secondary_sources) {
        if source.kind == SourceType::Directory
            && let Some(location) = &mut source.location
        {
            let found = local(&from.join(&*location))?;
            location.clone_from(&found.location.unwrap_or_default());
        }
    }
    Ok(project)
}

/// A webhook's payload.
fn read_event(path: &Path) -> Result<Event, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("the event {shown} cannot be read")).because(&error))?;
    let payload: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Failure::input(format!("the event {shown} is not JSON")).because(&error))?;
    Event::of(&payload).ok_or_else(|| {
        Failure::input(format!("the event {shown} starts no build")).help(
            "give the payload of a push, a pull request or a release, as GitHub or Bitbucket delivers it",
        )
    })
}

/// A place for results, which may be made later.
fn directory(flag: &str, path: &Path) -> Result<PathBuf, Failure> {
    if path.exists() && !path.is_dir() {
        return Err(Failure::input(format!("{flag} {}: this is a file, not a directory", path.display())));
    }
    std::path::absolute(path)
        .map_err(|error| Failure::input(format!("{flag} {} cannot be used", path.display())).because(&error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use runspan_engine::Home;

    use super::*;
    use crate::config::Notices;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    struct Bench {
        place: tempfile::TempDir,
        image: Option<&'static str>,
    }

    impl Bench {
        fn new() -> Self {
            let place = tempfile::tempdir().unwrap();
            fs::create_dir(place.path().join("app")).unwrap();
            fs::write(place.path().join("app/buildspec.yml"), "version: 0.2\n").unwrap();
            Self { place, image: Some("from-environment") }
        }

        fn path(&self, name: &str) -> String {
            self.place.path().canonicalize().unwrap().join(name).to_string_lossy().into_owned()
        }

        fn ask(&self, args: &[&str]) -> Result<BuildRequest, String> {
            let line = Line::parse_from([&["run"], args].concat());
            let home = Home::open(self.place.path().join("home")).unwrap();
            let journal = Journal::open(&home).unwrap();
            let config = Config {
                home: home.root().to_owned(),
                network_range: None,
                image: self.image.map(str::to_owned),
                images_limit: None,
                actions_storage_limit: None,
                actions_url: None,
                actions_token: None,
                node_url: None,
                docker_config: None,
                region: "us-east-1".into(),
                user: "me".into(),
                notices: Notices::default(),
            };
            request(&line.run, &config, &journal).map_err(|failure| failure.render(false))
        }
    }

    #[test]
    fn a_directory_and_a_buildspec_in_it_are_the_same_source() {
        let bench = Bench::new();
        let directory = bench.ask(&[&bench.path("app")]).unwrap();
        assert_eq!(directory.source.location, Some(bench.path("app")));
        assert_eq!((directory.buildspec, directory.initiator), (None, "me".to_owned()));
        let file = bench.ask(&[&bench.path("app/buildspec.yml")]).unwrap();
        assert_eq!(file.source.location, Some(bench.path("app")));
        assert_eq!(file.buildspec, Some(BuildspecChoice::Path("buildspec.yml".into())));
    }

    #[test]
    fn a_buildspec_is_text_a_path_in_the_source_or_a_file() {
        let bench = Bench::new();
        fs::write(bench.place.path().join("other.yml"), "version: 0.2\n").unwrap();
        let chosen =
            |text: &str| bench.ask(&[&bench.path("app"), "--buildspec", text]).unwrap().buildspec.unwrap();
        assert_eq!(
            chosen("version: 0.2\nphases: {}"),
            BuildspecChoice::Inline("version: 0.2\nphases: {}".into())
        );
        assert_eq!(chosen("buildspec.yml"), BuildspecChoice::Path("buildspec.yml".into()));
        assert_eq!(chosen(&bench.path("app/buildspec.yml")), BuildspecChoice::Path("buildspec.yml".into()));
        assert_eq!(chosen(&bench.path("other.yml")), BuildspecChoice::File(bench.path("other.yml").into()));
        assert_eq!(chosen("nowhere.yml"), BuildspecChoice::Path("nowhere.yml".into()));
    }

    #[test]
    fn the_image_comes_from_the_flag_the_project_or_the_environment() {
        let mut bench = Bench::new();
        let app = bench.path("app");
        let project = bench.path("p.yml");
        fs::write(&project, "environment: {image: from-project}\n").unwrap();
        let image = |bench: &Bench, args: &[&str]| {
            let asked = bench.ask(&[&[app.as_str()], args].concat())?;
            Ok(asked.image.or(asked.project.environment.image).unwrap_or_default())
        };
        assert_eq!(image(&bench, &["--image", "x", "--project", &project]), Ok("x".to_owned()));
        assert_eq!(image(&bench, &["--project", &project]), Ok("from-project".to_owned()));
        assert_eq!(image(&bench, &[]), Ok("from-environment".to_owned()));
        bench.image = None;
        assert_eq!(image(&bench, &[]), Ok("host".to_owned()));
        let said: Result<String, String> = image(&bench, &["--executor", "docker"]);
        let said = said.unwrap_err();
        assert!(["--image", "RUNSPAN_IMAGE", "--project"].iter().all(|way| said.contains(way)), "{said}");
    }

    #[test]
    fn a_projects_places_are_meant_from_its_file() {
        let bench = Bench::new();
        let project = bench.path("p.json");
        fs::write(
            &project,
            r#"{"source": {"type": "DIRECTORY", "location": "app", "buildspec": "ci.yml"}, "sourceVersion": "v1",
               "secondarySources": [{"type": "DIRECTORY", "location": "app", "sourceIdentifier": "lib"}],
               "secondarySourceVersions": [{"sourceIdentifier": "lib", "sourceVersion": "v2"}]}"#,
        )
        .unwrap();
        let asked = bench.ask(&["--project", &project]).unwrap();
        assert_eq!(asked.source.location, Some(bench.path("app")));
        assert_eq!(
            (asked.source.buildspec.as_deref(), asked.source_version.as_deref()),
            (Some("ci.yml"), Some("v1"))
        );
        assert_eq!(asked.secondary_sources[0].1.as_deref(), Some("v2"));
        let url = "https://github.com/a/b";
        let asked = bench
            .ask(&["--project", &project, "--source", url, "--secondary-source", &format!("lib={url}")])
            .unwrap();
        assert_eq!(asked.source.location.as_deref(), Some(url));
        assert_eq!(asked.source.buildspec.as_deref(), Some("ci.yml"));
        assert_eq!((asked.secondary_sources.len(), &asked.secondary_sources[0].1), (1, &None));
        assert_eq!(asked.secondary_sources[0].0.location.as_deref(), Some(url));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let bench = Bench::new();
        let app = bench.path("app");
        for (args, said) in [
            (vec![app.as_str(), "--source", "/x"], "two sources"),
            (vec!["/nowhere/at/all"], "/nowhere/at/all"),
            (vec![&app, "--env", "A"], "expected NAME=VALUE"),
            (vec![&app, "--secondary-source", "x"], "expected NAME=DIR"),
            (vec![&app, "--secondary-source", "a-b=/"], "`a-b`"),
            (vec![&app, "--secondary-source", "a=/nowhere"], "/nowhere"),
            (vec![&app, "--compute-type", "HUGE"], "HUGE"),
            (vec![&app, "--artifacts", "/etc/passwd"], "--artifacts /etc/passwd"),
            (vec![&app, "--job", "a"], "--job"),
            (vec![&app, "--project", "/nowhere"], "the project /nowhere"),
            (vec![&app, "--project", "nowhere"], "neither a file nor a project nowhere"),
            (vec![&app, "--image", "./nowhere"], "the image ./nowhere"),
        ] {
            let error = bench.ask(&args).unwrap_err();
            assert!(error.starts_with("error: ") && error.contains(said), "{args:?}: {error}");
        }
    }
}
