//! Names of images: `[registry/]repository[:tag][@digest]`, and CodeBuild's curated ones.

use std::fmt;

/// Where CodeBuild publishes the curated images that can be had without an account.
const CURATED_REGISTRY: &str = "public.ecr.aws/codebuild";
const CURATED_PREFIX: &str = "aws/codebuild/";

/// A name that follows Docker's grammar, so that it is safe in a request's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    /// With the registry where one is named.
    pub repository: String,
    /// Tag or digest; absent means `latest`, or that the name is an image's id.
    pub version: Option<Version>,
}

/// Which of a repository's images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one that has this tag now.
    Tag(String),
    /// The one whose manifest has this digest.
    Digest(String),
}

impl ImageName {
    /// Reads a name as configured.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = |what: &str| Err(format!("invalid reference format: {what}: {text:?}"));
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (name, None),
        };
        if repository.len() > 255 {
            return fault("the name is longer than 255 characters");
        }
        let (registry, path) = split_registry(repository);
        if !registry.is_none_or(is_registry) || !path.split('/').all(is_component) {
            return match path.chars().any(|c| c.is_ascii_uppercase()) {
                true => fault("repository name must be lowercase"),
                false => fault("a name is [registry/]repository[:tag][@digest]"),
            };
        }
        if !tag.is_none_or(is_tag) {
            return fault("a tag is up to 128 letters, digits, '_', '.' and '-'");
        }
        let version = match digest {
            Some(digest) if !is_digest(digest) => return fault("a digest is sha256: and 64 hex digits"),
            Some(digest) => Some(Version::Digest(digest.to_owned())),
            None => tag.map(|tag| Version::Tag(tag.to_owned())),
        };
        Ok(Self { repository: repository.to_owned(), version })
    }

    /// The registry as Docker names it in its settings; Docker Hub where none is named.
    pub fn registry(&self) -> &str {
        split_registry(&self.repository).0.unwrap_or("docker.io")
    }

    /// Where one of CodeBuild's curated images can be pulled from; `None` for any other image.
    pub fn curated(&self) -> Option<Curated> {
        let name = self.repository.strip_prefix(CURATED_PREFIX)?;
        Some(match name.starts_with("amazonlinux") {
            true => Curated::Public(Self {
                repository: format!("{CURATED_REGISTRY}/{name}"),
                version: self.version.clone(),
            }),
            false => Curated::Private,
        })
    }

    /// What to say of an image that is [`Curated::Private`].
    pub fn not_published(&self) -> String {
        format!(
            "{self} is in no public registry; build it from the Dockerfiles of aws/aws-codebuild-docker-images and \
             tag it {self}, or use aws/codebuild/amazonlinux-x86_64-standard:5.0, which can be pulled"
        )
    }
}

/// A curated image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Curated {
    /// Published under this name.
    Public(ImageName),
    /// Only within AWS.
    Private,
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(Version::Tag(tag)) => write!(f, "{}:{tag}", self.repository),
            Some(Version::Digest(digest)) => write!(f, "{}@{digest}", self.repository),
            None => f.write_str(&self.repository),
        }
    }
}

/// The first component is a registry when it could not be part of a Docker Hub name.
fn split_registry(repository: &str) -> (Option<&str>, &str) {
    match repository.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, repository),
    }
}

fn is_registry(text: &str) -> bool {
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// `[a-z0-9]+` joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(word)
        && bytes.last().copied().is_some_and(word)
        && bytes.split(|&b| word(b)).all(|separator| match separator {
            b"" | b"." | b"_" | b"__" => true,
            dashes => dashes.iter().all(|&b| b == b'-'),
        })
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, registry, shown) in [
            ("busybox", "docker.io", "busybox"),
            ("org/app:1.2", "docker.io", "org/app:1.2"),
            ("localhost/app", "localhost", "localhost/app"),
            ("localhost:5000/a/b__c/d--e:x", "localhost:5000", "localhost:5000/a/b__c/d--e:x"),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1",
            ),
            (&format!("app:1@{digest}"), "docker.io", &format!("app@{digest}")),
            // An image by its id.
            (&digest, "docker.io", &digest),
            ("d760ed9a6b79", "docker.io", "d760ed9a6b79"),
        ] {
            let name = ImageName::parse(text).unwrap();
            assert_eq!((name.registry(), name.to_string().as_str()), (registry, shown), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            " ",
            "-v",
            "--privileged",
            "a b",
            "Upper/case",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:-x",
            "../../info",
            "a/../b",
            "a?x=1",
            "a#b",
            "a%2fb",
            "a\nb",
            "a@sha256:12",
            "a___b",
            ".a",
            "a.",
            "http://a/b",
            "a:b:c",
            "-x.io/a",
            "reg.io:/a",
            "ä",
        ] {
            assert!(ImageName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn curated_images_have_a_public_home_or_none() {
        let curated = |text: &str| ImageName::parse(text).unwrap().curated();
        let public = ImageName::parse("public.ecr.aws/codebuild/amazonlinux-x86_64-standard:5.0").unwrap();
        assert_eq!(curated("aws/codebuild/amazonlinux-x86_64-standard:5.0"), Some(Curated::Public(public)));
        assert_eq!(curated("aws/codebuild/standard:7.0"), Some(Curated::Private));
        assert_eq!(curated("busybox"), None);
    }
}
