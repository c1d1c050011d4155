//! What a name may mean.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use runspan_engine::image::{Curated, ImageName, Version};

use super::ImageError;
use super::digest::Digest;
use super::layout::failed;

/// Where an image is asked from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The store itself.
    Id(Digest),
    /// A registry.
    Registry(Reference),
    /// A directory with files as they are.
    Directory(PathBuf),
    /// An archive, or a directory in the layout of OCI.
    Archive {
        /// Its path, absolute.
        path: PathBuf,
        /// What it looks like now.
        stamp: String,
    },
}

/// An image of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// As in `docker.io`.
    pub(super) registry: String,
    /// As in `library/busybox`.
    pub(super) repository: String,
    /// Which one.
    pub(super) version: Version,
}

/// Names and their sources.
impl Source {
    /// Reads a name as configured.
    pub(super) fn parse(name: &str) -> Result<Self, ImageError> {
        if let Ok(id) = Digest::try_from(name.to_owned()) {
            return Ok(Self::Id(id));
        }
        if name.starts_with('/')
            || name.starts_with("./")
            || name.starts_with("../")
            || matches!(name, "." | "..")
        {
            return Self::path(Path::new(name));
        }
        ImageName::parse(name).map(|name| Self::Registry(Reference::of(&name))).map_err(ImageError::Name)
    }

    fn path(path: &Path) -> Result<Self, ImageError> {
        let fail = failed("use the image at", path);
        let path = path.canonicalize().map_err(&fail)?;
        let found = fs::metadata(&path).map_err(&fail)?;
        let seen = if found.is_dir() {
            match fs::metadata(path.join("index.json")) {
                Ok(index) if path.join("oci-layout").is_file() => index,
                _ => return Ok(Self::Directory(path)),
            }
        } else {
            found
        };
        let stamp = format!("{} {} {}.{:09}", seen.ino(), seen.len(), seen.mtime(), seen.mtime_nsec());
        Ok(Self::Archive { path, stamp })
    }
}

impl Reference {
    /// Every part that a short name leaves out is filled in.
    pub(super) fn of(name: &ImageName) -> Self {
        let registry = match name.registry() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io",
            other => other,
        };
        let named = name.repository.strip_prefix(name.registry()).and_then(|rest| rest.strip_prefix('/'));
        let repository = named.unwrap_or(&name.repository);
        let official = registry == "docker.io" && !repository.contains('/');
        Self {
            registry: registry.to_owned(),
            repository: if official { format!("library/{repository}") } else { repository.to_owned() },
            version: name.version.clone().unwrap_or_else(|| Version::Tag("latest".into())),
        }
    }

    /// The name in full, by which the store knows it.
    pub(super) fn full(&self) -> String {
        let Self { registry, repository, version } = self;
        match version {
            Version::Tag(tag) => format!("{registry}/{repository}:{tag}"),
            Version::Digest(digest) => format!("{registry}/{repository}@{digest}"),
        }
    }

    /// What the registry calls this version.
    pub(super) fn version(&self) -> &str {
        match &self.version {
            Version::Tag(version) | Version::Digest(version) => version,
        }
    }

    /// Where it can be pulled from: CodeBuild's own images have another home.
    pub(super) fn published(&self, configured: &str) -> Result<Self, ImageError> {
        let Ok(name) = ImageName::parse(configured) else { return Ok(self.clone()) };
        match name.curated() {
            None => Ok(self.clone()),
            Some(Curated::Public(public)) => Ok(Self::of(&public)),
            Some(Curated::Private) => {
                Err(ImageError::Registry { image: configured.to_owned(), reason: name.not_published() })
            }
        }
    }
}

/// A full name as people write it.
pub(super) fn familiar(full: &str) -> &str {
    full.strip_prefix("docker.io/library/").or_else(|| full.strip_prefix("docker.io/")).unwrap_or(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_mean_what_they_mean_to_docker() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (name, full, shown) in [
            ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("org/app:1", "docker.io/org/app:1", "org/app:1"),
            ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
            ("index.docker.io/library/busybox:1", "docker.io/library/busybox:1", "busybox:1"),
            ("localhost:5000/busybox", "localhost:5000/busybox:latest", "localhost:5000/busybox:latest"),
            (
                "public.ecr.aws/docker/library/node:22",
                "public.ecr.aws/docker/library/node:22",
                "public.ecr.aws/docker/library/node:22",
            ),
        ] {
            let Source::Registry(reference) = Source::parse(name).unwrap() else { panic!("{name}") };
            assert_eq!(reference.full(), full);
            assert_eq!(familiar(full), shown);
        }
        let pinned = format!("busybox:1@{digest}");
        let Source::Registry(reference) = Source::parse(&pinned).unwrap() else { panic!() };
        assert_eq!(reference.full(), format!("docker.io/library/busybox@{digest}"));
        assert!(matches!(Source::parse(&digest), Ok(Source::Id(_))));
        assert!(matches!(Source::parse("Upper"), Err(ImageError::Name(_))));
    }

    #[test]
    fn paths_are_told_from_names() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().canonicalize().unwrap();
        let at = |name: &str| Source::parse(&format!("{}/{name}", path.display()));
        assert_eq!(at("").unwrap(), Source::Directory(path.clone()));
        fs::write(path.join("a.tar"), "").unwrap();
        assert!(matches!(at("a.tar").unwrap(), Source::Archive { .. }));
        fs::write(path.join("oci-layout"), "{}").unwrap();
        fs::write(path.join("index.json"), "{}").unwrap();
        assert!(matches!(at("").unwrap(), Source::Archive { .. }));
        let error = at("absent").unwrap_err().to_string();
        assert!(error.starts_with("cannot use the image at"), "{error}");
    }

    #[test]
    fn curated_images_are_pulled_from_where_they_are_published() {
        let published = |name: &str| {
            let Ok(Source::Registry(reference)) = Source::parse(name) else { panic!("{name}") };
            reference.published(name).map(|reference| reference.full())
        };
        assert_eq!(
            published("aws/codebuild/amazonlinux-x86_64-standard:5.0").unwrap(),
            "public.ecr.aws/codebuild/amazonlinux-x86_64-standard:5.0"
        );
        let error = published("aws/codebuild/standard:7.0").unwrap_err().to_string();
        assert!(error.contains("is in no public registry"), "{error}");
    }
}
