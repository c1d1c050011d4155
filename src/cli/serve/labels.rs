//! CodeBuild's labels in `runs-on`: which project a job belongs to, and what it wants otherwise. Pure.

/// What a job's labels say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    /// `codebuild-<project>-<run>-<attempt>`.
    pub(super) project: Option<String>,
    /// `image:`.
    pub(super) image: Option<String>,
    /// `instance-size:`, as a compute type.
    pub(super) compute_type: Option<String>,
    /// `buildspec-override:true`.
    pub(super) overrides_buildspec: bool,
}

const PREFIX: &str = "codebuild-";

impl Labels {
    /// Reads labels; those that are not CodeBuild's say nothing here.
    ///
    /// # Errors
    /// For one that looks like CodeBuild's and is none, or asks for what cannot be had.
    pub(super) fn read(labels: &[String]) -> Result<Self, String> {
        let mut read = Self::default();
        let Some(own) = labels.iter().find(|label| label.starts_with(PREFIX)) else { return Ok(read) };
        read.project(own)?;
        for label in labels {
            if let Some((name, value)) = label.split_once(':') {
                read.member(label, name, value)?;
            }
        }
        Ok(read)
    }

    /// `codebuild-<project>-<run>-<attempt>`, and what the older form has behind it.
    fn project(&mut self, label: &str) -> Result<(), String> {
        let wrong = || {
            format!(
                "the label `{label}` names no project: write \
                 `codebuild-PROJECT-${{{{ github.run_id }}}}-${{{{ github.run_attempt }}}}`"
            )
        };
        let parts: Vec<&str> = label.strip_prefix(PREFIX).unwrap_or(label).split('-').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        // A project's name may hold numbers itself; a version behind them has a dot.
        let pair = |index: &usize| is_number(&parts[*index]) && is_number(&parts[index + 1]);
        let at = (1..parts.len().saturating_sub(1)).rev().find(pair).ok_or_else(wrong)?;
        self.project = Some(parts[..at].join("-"));
        let mut rest = parts[at + 2..].to_vec();
        if rest.ends_with(&["with", "buildspec"]) {
            self.overrides_buildspec = true;
            rest.truncate(rest.len() - 2);
        }
        if let Some(at) = rest.iter().position(|part| *part == "fleet") {
            // There is one fleet: this machine.
            rest.truncate(at);
        }
        match rest.as_slice() {
            [] => Ok(()),
            ["image", version @ ..] if !version.is_empty() => {
                self.image = Some(curated("linux", &version.join("-")).ok_or_else(wrong)?);
                Ok(())
            }
            [kind @ .., version, size] if !kind.is_empty() => {
                self.image = Some(curated(&kind.join("-"), version).ok_or_else(wrong)?);
                self.compute_type = Some(compute_type(size).ok_or_else(wrong)?);
                Ok(())
            }
            _ => Err(wrong()),
        }
    }

    fn member(&mut self, label: &str, name: &str, value: &str) -> Result<(), String> {
        match name {
            "image" => {
                let image = match value.strip_prefix("custom-") {
                    Some(custom) => ["linux-", "arm-"]
                        .iter()
                        .find_map(|kind| custom.strip_prefix(kind))
                        .map(str::to_owned),
                    None => {
                        let (kind, version) = value.rsplit_once('-').unwrap_or((value, ""));
                        curated(kind, version)
                    }
                };
                let image = image.filter(|image| !image.is_empty());
                self.image = Some(image.ok_or_else(|| {
                    format!(
                        "the label `{label}` names no image that can run here: `image:linux-5.0`, `image:arm-3.0` and \
                         `image:ubuntu-7.0` are CodeBuild's, `image:custom-linux-NAME` is any other; Windows and Lambda \
                         are not to be had"
                    )
                })?);
            }
            "instance-size" => {
                self.compute_type = Some(compute_type(value).ok_or_else(|| {
                    format!(
                        "the label `{label}` names no size: `small`, `medium`, `large`, `xlarge` and `2xlarge` are to be \
                         had"
                    )
                })?);
            }
            "buildspec-override" => {
                self.overrides_buildspec = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err(format!("the label `{label}` must end with `true` or `false`")),
                };
            }
            // There is one fleet, this machine; where the runner is registered is settled.
            "fleet"
            | "organization-registration-name"
            | "enterprise-registration-name"
            | "registration-group-id" => {}
            _ => {
                return Err(format!(
                    "the label `{label}` is not known: `image:`, `instance-size:`, `fleet:` and `buildspec-override:true` \
                     are CodeBuild's"
                ));
            }
        }
        Ok(())
    }
}

/// CodeBuild's own images.
fn curated(kind: &str, version: &str) -> Option<String> {
    let known = |versions: &[&str], latest: &str| match version {
        "latest" => Some(latest.to_owned()),
        version => versions.contains(&version).then(|| version.to_owned()),
    };
    Some(match kind {
        "linux" | "linux-ec2" => {
            format!("aws/codebuild/amazonlinux-x86_64-standard:{}", known(&["4.0", "5.0"], "5.0")?)
        }
        "arm" | "arm-ec2" => {
            format!("aws/codebuild/amazonlinux-aarch64-standard:{}", known(&["2.0", "3.0"], "3.0")?)
        }
        "ubuntu" => format!("aws/codebuild/standard:{}", known(&["5.0", "6.0", "7.0"], "7.0")?),
        _ => return None,
    })
}

fn compute_type(size: &str) -> Option<String> {
    ["small", "medium", "large", "xlarge", "2xlarge"]
        .contains(&size)
        .then(|| format!("BUILD_GENERAL1_{}", size.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(labels: &[&str]) -> Result<Labels, String> {
        Labels::read(&labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn labels_are_codebuilds() {
        assert_eq!(read(&["self-hosted", "os:linux"]), Ok(Labels::default()));
        let labels = read(&[
            "codebuild-my-web-2-4711-1",
            "image:custom-linux-public.ecr.aws/amazonlinux/amazonlinux:2023",
            "instance-size:2xlarge",
            "fleet:mine",
            "buildspec-override:true",
            "linux",
        ])
        .unwrap();
        assert_eq!(labels.project.as_deref(), Some("my-web-2"));
        assert_eq!(labels.image.as_deref(), Some("public.ecr.aws/amazonlinux/amazonlinux:2023"));
        assert_eq!(labels.compute_type.as_deref(), Some("BUILD_GENERAL1_2XLARGE"));
        assert!(labels.overrides_buildspec);
        for (label, image) in [
            ("image:linux-5.0", "aws/codebuild/amazonlinux-x86_64-standard:5.0"),
            ("image:linux-latest", "aws/codebuild/amazonlinux-x86_64-standard:5.0"),
            ("image:arm-3.0", "aws/codebuild/amazonlinux-aarch64-standard:3.0"),
            ("image:ubuntu-7.0", "aws/codebuild/standard:7.0"),
        ] {
            assert_eq!(read(&["codebuild-p-1-1", label]).unwrap().image.as_deref(), Some(image), "{label}");
        }
    }

    #[test]
    fn the_older_form_is_one_label() {
        let labels = read(&["codebuild-web-17-2-ubuntu-7.0-large-with-buildspec"]).unwrap();
        let expected = Labels {
            project: Some("web".into()),
            image: Some("aws/codebuild/standard:7.0".into()),
            compute_type: Some("BUILD_GENERAL1_LARGE".into()),
            overrides_buildspec: true,
        };
        assert_eq!(labels, expected);
        assert_eq!(read(&["codebuild-web-17-2-fleet-big"]).unwrap().project.as_deref(), Some("web"));
        let labels = read(&["codebuild-web-17-2-image-5.0-fleet-big"]).unwrap();
        assert_eq!(labels.image.as_deref(), Some("aws/codebuild/amazonlinux-x86_64-standard:5.0"));
    }

    #[test]
    fn what_codebuild_ignores_is_said() {
        for (labels, named) in [
            (&["codebuild-p-1-1", "instance-sze:small"][..], "`instance-sze:small` is not known"),
            (&["codebuild-p-1-1", "instance-size:huge"], "names no size"),
            (&["codebuild-p-1-1", "instance-size:gpu_small"], "names no size"),
            (&["codebuild-p-1-1", "image:windows-1.0"], "no image that can run here"),
            (&["codebuild-p-1-1", "image:linux-9.9"], "no image that can run here"),
            (&["codebuild-p-1-1", "buildspec-override:yes"], "`true` or `false`"),
            (&["codebuild-p"], "names no project"),
            (&["codebuild-1-1"], "names no project"),
            (&["codebuild-p-1-1-what-ever"], "names no project"),
        ] {
            let error = read(labels).unwrap_err();
            assert!(error.contains(named), "{labels:?}: {error}");
        }
    }
}
