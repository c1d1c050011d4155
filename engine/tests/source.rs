//! Sources from real repositories, made here with git.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use runspan_archive::{Limits, Options, unpack_tar};
use runspan_engine::source::{Context, Fetched, Git, Source, SourceError, fetch, send};

fn sh(dir: &Path, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-ec", script])
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "A")])
        .envs([("GIT_COMMITTER_EMAIL", "a@b"), ("GIT_ALLOW_PROTOCOL", "file")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with three commits on main, a branch, an annotated tag, a pull request and an orphaned commit.
struct Repository {
    dir: tempfile::TempDir,
}

impl Repository {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        sh(
            dir.path(),
            "git init -q -b main repo; cd repo; git config uploadpack.allowAnySHA1InWant true
             echo 1 > file; git add .; git commit -qm one
             echo 2 > file; git commit -qam two; git tag -am v1 v1
             git checkout -qb feature/x; echo x > file; git commit -qam x; git checkout -q main
             git checkout -q --detach; echo pr > file; git commit -qam pr
             git update-ref refs/pull/7/head HEAD; git checkout -q main
             git checkout -q --detach; echo lost > file; git commit -qam lost; git rev-parse HEAD > ../lost
             git checkout -q main; echo 3 > file; git commit -qam three",
        );
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    fn commit(&self, name: &str) -> String {
        sh(&self.path(), &format!("git rev-parse {name}^{{commit}}"))
    }

    fn git(&self, version: &str) -> Git {
        Git {
            url: format!("file://{}", self.path().display()),
            version: version.to_owned(),
            depth: None,
            submodules: false,
            login: None,
            insecure_ssl: false,
        }
    }

    fn fetch(&self, git: Git, cached: bool) -> Result<Fetched, SourceError> {
        let (work, cache) = (self.dir.path().join("work"), self.dir.path().join("cache"));
        fetch(&Source::Git(git), &context(&work, cached.then_some(cache.as_path())))
    }
}

fn context<'a>(work_dir: &'a Path, source_cache: Option<&'a Path>) -> Context<'a> {
    Context {
        identifier: None,
        work_dir,
        source_cache,
        timeout: Duration::from_secs(120),
        allow_file_protocol: true,
        user_logins: false,
        limits: Limits::default(),
    }
}

#[test]
fn every_form_of_version_checks_out_its_commit() {
    let repo = Repository::new();
    let lost = fs::read_to_string(repo.dir.path().join("lost")).unwrap().trim().to_owned();
    let pinned = format!("refs/heads/main^{{{}}}", repo.commit("main~1"));
    let rows = [
        ("", "3", repo.commit("main")),
        ("main", "3", repo.commit("main")),
        ("feature/x", "x", repo.commit("feature/x")),
        ("v1", "2", repo.commit("v1")),
        ("refs/heads/feature/x", "x", repo.commit("feature/x")),
        ("refs/tags/v1", "2", repo.commit("v1")),
        ("pr/7", "pr", repo.commit("refs/pull/7/head")),
        ("refs/pull/7/head", "pr", repo.commit("refs/pull/7/head")),
        (pinned.as_str(), "2", repo.commit("main~1")),
        (&repo.commit("main~2"), "1", repo.commit("main~2")),
        (lost.as_str(), "lost", lost.clone()),
    ];
    for (version, content, commit) in rows {
        for (depth, cached) in
            [(None, false), (NonZeroU32::new(1), false), (None, true), (NonZeroU32::new(1), true)]
        {
            let fetched = repo.fetch(Git { depth, ..repo.git(version) }, cached).unwrap();
            let tree = fetched.path().unwrap();
            let what = format!("{version} depth {depth:?} cached {cached}");
            assert_eq!(fs::read_to_string(tree.join("file")).unwrap().trim(), content, "{what}");
            assert_eq!(fetched.resolved_version.as_deref(), Some(commit.as_str()), "{what}");
            assert_eq!(
                sh(tree, "git status --porcelain; git symbolic-ref -q HEAD || echo detached"),
                "detached"
            );
            assert_eq!(sh(tree, "git remote get-url origin"), repo.git("").url);
            if depth.is_none() && version.is_empty() {
                assert_eq!(sh(tree, "git describe --tags"), format!("v1-1-g{}", &commit[..7]), "{what}");
            }
            if depth.is_some() && version == "main" {
                assert_eq!(sh(tree, "git rev-list --count HEAD"), "1", "{what}");
            }
        }
    }
}

#[test]
fn failures_speak_codebuilds_words() {
    let repo = Repository::new();
    let gone = "0123456789012345678901234567890123456789";
    let pinned_gone = format!("refs/heads/main^{{{gone}}}");
    for cached in [false, true] {
        for version in
            ["nowhere", "refs/heads/nowhere", "pr/99", gone, &pinned_gone, "--upload-pack=touch x", "a..b"]
        {
            let error = repo.fetch(repo.git(version), cached).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("reference not found for primary source and source version {version}")
            );
        }
        let absent = Git { url: format!("file://{}/absent", repo.dir.path().display()), ..repo.git("main") };
        let error = repo.fetch(absent, cached).unwrap_err();
        assert_eq!(error.to_string(), "repository not found for primary source and source version main");
    }
}

#[test]
fn dangerous_locations_are_refused() {
    let repo = Repository::new();
    for url in
        ["--upload-pack=x", "ext::sh -c touch% x", "git://host/x", "relative/path", "https://-oProxy/x", ""]
    {
        let error = repo.fetch(Git { url: url.into(), ..repo.git("main") }, false).unwrap_err();
        assert!(matches!(error, SourceError::Location { .. }), "{url}: {error}");
    }
    let work = repo.dir.path().join("work");
    let no_file = Context { allow_file_protocol: false, ..context(&work, None) };
    let error = fetch(&Source::Git(repo.git("main")), &no_file).unwrap_err();
    assert!(matches!(error, SourceError::Location { .. }), "{error}");
    let url = Git { url: "https://me:secret@host.invalid/x\n".into(), ..repo.git("") };
    assert!(!repo.fetch(url, false).unwrap_err().to_string().contains("secret"));
}

#[test]
fn submodules_come_when_asked_for() {
    let repo = Repository::new();
    sh(
        repo.dir.path(),
        "git init -q -b main sub; cd sub; echo s > s; git add .; git commit -qm s; cd ../repo
         git submodule --quiet add file://$PWD/../sub sub; git commit -qm sub",
    );
    let without = repo.fetch(repo.git("main"), false).unwrap();
    assert!(!without.path().unwrap().join("sub/s").exists());
    let with = repo.fetch(Git { submodules: true, ..repo.git("main") }, false).unwrap();
    assert_eq!(fs::read_to_string(with.path().unwrap().join("sub/s")).unwrap(), "s\n");
}

#[test]
fn a_mirror_serves_many_builds_at_once_and_heals() {
    let repo = Repository::new();
    std::thread::scope(|scope| {
        for n in 0..6 {
            let repo = &repo;
            scope.spawn(move || {
                let version = ["main", "feature/x", "pr/7"][n % 3];
                repo.fetch(repo.git(version), true).unwrap();
            });
        }
    });
    sh(&repo.path(), "echo 4 > file; git commit -qam four");
    let fetched = repo.fetch(repo.git("main"), true).unwrap();
    assert_eq!(fetched.resolved_version, Some(repo.commit("main")), "the mirror is brought up to date");
    let mirror = sh(repo.dir.path(), "ls -d cache/*.git");
    sh(repo.dir.path(), &format!("rm -rf {mirror}/objects; mkdir {mirror}/objects"));
    let fetched = repo.fetch(repo.git("feature/x"), true).unwrap();
    assert_eq!(
        fetched.resolved_version,
        Some(repo.commit("feature/x")),
        "a broken mirror costs nothing but time"
    );
}

#[test]
fn checkouts_are_removed_and_failures_leave_nothing() {
    let repo = Repository::new();
    let work = repo.dir.path().join("work");
    let fetched = repo.fetch(repo.git("main"), false).unwrap();
    assert_eq!(fs::read_dir(&work).unwrap().count(), 1);
    drop(fetched);
    repo.fetch(repo.git("nowhere"), false).unwrap_err();
    assert_eq!(fs::read_dir(&work).unwrap().count(), 0);
}

fn streamed(source: &Source) -> (tempfile::TempDir, Vec<String>, Fetched) {
    let work = tempfile::tempdir().unwrap();
    let fetched = fetch(source, &context(work.path(), None)).unwrap();
    let mut tar = Vec::new();
    let sent = send(&fetched, &mut tar).unwrap();
    let out = tempfile::tempdir().unwrap();
    let unpacked = unpack_tar(tar.as_slice(), out.path(), Options::default()).unwrap();
    assert_eq!(unpacked.files, sent.files);
    (out, sent.warnings, fetched)
}

#[test]
fn a_directory_arrives_whole_and_stays_as_it_is() {
    let repo = Repository::new();
    let dir = repo.path();
    sh(&dir, "echo ignored > .gitignore; echo i > ignored; mkdir empty; chmod 755 file; mkfifo pipe");
    sh(&dir, "git remote add origin https://me:token@host.test/a/b.git");
    symlink("/etc/passwd", dir.join("link")).unwrap();
    let state = "find . -printf '%p %s %T@ %C@ %m\\n' | sort | sha256sum";
    let before = sh(&dir, state);
    let (out, warnings, fetched) = streamed(&Source::Directory(dir.clone()));
    assert_eq!(sh(&dir, state), before, "nothing in the user's directory changed");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("pipe"), "{warnings:?}");
    let list = "find . ! -name pipe -printf '%p %m %l\\n' | grep -v '^\\. ' | sort";
    assert_eq!(sh(out.path(), list), sh(&dir, list));
    assert_eq!(sh(out.path(), "git rev-parse HEAD"), repo.commit("main"));
    let origin = fetched.origin.unwrap();
    assert_eq!(origin.url.as_deref(), Some("https://host.test/a/b.git"), "without the token");
    assert_eq!(origin.head, Some(repo.commit("main")));
    assert_eq!(fetched.resolved_version, None);
}

#[test]
fn no_source_and_no_directory() {
    let (out, ..) = streamed(&Source::None);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    let work = tempfile::tempdir().unwrap();
    let absent = Source::Directory(work.path().join("absent"));
    let error = fetch(&absent, &context(work.path(), None)).unwrap_err();
    assert!(error.to_string().ends_with("absent does not exist"), "{error}");
    let plain = fetch(&Source::Directory(work.path().into()), &context(work.path(), None)).unwrap();
    assert_eq!(plain.origin, None);
}

#[test]
fn zip_sources_are_unpacked_within_limits() {
    let dir = tempfile::tempdir().unwrap();
    sh(dir.path(), "mkdir -p t/a; echo x > t/a/x; chmod 755 t/a/x; ln -s a/x t/l; cd t; zip -qry ../s.zip .");
    let (out, ..) = streamed(&Source::Zip(dir.path().join("s.zip")));
    assert_eq!(sh(out.path(), "stat -c %a a/x; readlink l"), "755\na/x");

    sh(dir.path(), "head -c 5000000 /dev/zero > t/zeros; cd t; zip -qr ../bomb.zip zeros");
    let limits = Limits { entries: 100, bytes: 1_000_000 };
    let limited = Context { limits, ..context(dir.path(), None) };
    let error = fetch(&Source::Zip(dir.path().join("bomb.zip")), &limited).unwrap_err();
    assert!(error.to_string().contains("too large: more than 1000000 bytes"), "{error}");
    assert!(!sh(dir.path(), "ls").contains("source-"), "nothing stays");
}
