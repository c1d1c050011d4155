//! `runs-on`: machines as images and compute types.

use runspan_buildspec::BatchEnv;

/// What a job runs on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Machine {
    /// Image, type and size.
    pub(crate) env: BatchEnv,
    /// As `runner.os` has it.
    pub(crate) os: &'static str,
    /// As `runner.arch` has it.
    pub(crate) arch: &'static str,
    /// What differs.
    pub(crate) difference: Option<String>,
    /// Why no build can run there.
    pub(crate) impossible: Option<&'static str>,
}

const TOOLS: &str = "the image has other tools than GitHub's";
const WINDOWS: &str =
    "Windows builds need CodeBuild's own Windows fleet; the commands are those of a Linux shell";
const MAC: &str = "macOS builds need a CodeBuild fleet of Macs; the commands are those of a Linux shell";

/// The machine for a list of labels.
pub(crate) fn machine(labels: &[String]) -> Machine {
    if let Some(name) = labels.iter().find(|label| label.starts_with("codebuild-")) {
        return codebuild(name, labels);
    }
    let hosted = labels.iter().find_map(|label| hosted(&label.to_ascii_lowercase()));
    hosted.unwrap_or_else(|| {
        let arm = labels.iter().any(|label| label.eq_ignore_ascii_case("arm64"));
        let own = labels.join(", ");
        let mut machine = if arm { linux_arm() } else { linux("aws/codebuild/standard:7.0") };
        machine.difference =
            Some(format!("the machines labelled {own} are replaced by CodeBuild's image: give it another"));
        machine
    })
}

fn linux(image: &str) -> Machine {
    Machine {
        env: BatchEnv { image: Some(image.into()), ..BatchEnv::default() },
        os: "Linux",
        arch: "X64",
        difference: Some(TOOLS.into()),
        impossible: None,
    }
}

fn linux_arm() -> Machine {
    let mut machine = linux("aws/codebuild/amazonlinux-aarch64-standard:3.0");
    machine.env.kind = Some("ARM_CONTAINER".into());
    machine.arch = "ARM64";
    machine.difference = Some("Amazon Linux in place of Ubuntu".into());
    machine
}

fn hosted(label: &str) -> Option<Machine> {
    let mut machine = if label.starts_with("windows") {
        let mut machine = linux("aws/codebuild/windows-base:2022-1.0");
        machine.env.kind = Some("WINDOWS_SERVER_2022_CONTAINER".into());
        Machine { os: "Windows", impossible: Some(WINDOWS), ..machine }
    } else if label.starts_with("macos") {
        let mut machine = linux("aws/codebuild/macos-arm-base:14");
        machine.env.kind = Some("MAC_ARM".into());
        Machine { os: "macOS", arch: "ARM64", impossible: Some(MAC), ..machine }
    } else if label.starts_with("ubuntu") && label.contains("arm") {
        linux_arm()
    } else if label.starts_with("ubuntu-24.04") {
        linux("aws/codebuild/standard:8.0")
    } else if label.starts_with("ubuntu-20.04")
        || label.starts_with("ubuntu-18.04")
        || label.starts_with("ubuntu-16.04")
    {
        linux("aws/codebuild/standard:5.0")
    } else if label.starts_with("ubuntu") {
        linux("aws/codebuild/standard:7.0")
    } else {
        return None;
    };
    let cores = label.split('-').zip(label.split('-').skip(1)).find(|(_, unit)| unit.starts_with("core"));
    if let Some(cores) = cores.and_then(|(count, _)| count.parse::<u32>().ok()) {
        machine.env.compute_type = Some(compute(cores).into());
    }
    Some(machine)
}

const fn compute(cores: u32) -> &'static str {
    match cores {
        0..=2 => "BUILD_GENERAL1_SMALL",
        3..=4 => "BUILD_GENERAL1_MEDIUM",
        5..=8 => "BUILD_GENERAL1_LARGE",
        9..=36 => "BUILD_GENERAL1_XLARGE",
        _ => "BUILD_GENERAL1_2XLARGE",
    }
}

/// Labels of CodeBuild's own runners.
fn codebuild(name: &str, labels: &[String]) -> Machine {
    let mut machine = linux("aws/codebuild/amazonlinux-x86_64-standard:5.0");
    machine.difference = None;
    let of = |prefix: &str| labels.iter().find_map(|label| label.strip_prefix(prefix));
    // The old form has all in one label, behind the run's number and attempt.
    let old: Vec<&str> = name.split('-').collect();
    let old_image = old.iter().position(|part| matches!(*part, "linux" | "arm" | "ubuntu" | "windows"));
    let image = of("image:")
        .map(str::to_owned)
        .or_else(|| old_image.map(|at| old[at..].iter().take(2).copied().collect::<Vec<_>>().join("-")));
    let size = of("instance-size:").or_else(|| old_image.and_then(|at| old.get(at + 2).copied()));
    if let Some(image) = image {
        let (kind, identifier) = image.split_once('-').unwrap_or((&image, ""));
        let found = match kind {
            "linux" => Some((format!("aws/codebuild/amazonlinux-x86_64-standard:{identifier}"), None, "X64")),
            "arm" => Some((
                format!("aws/codebuild/amazonlinux-aarch64-standard:{identifier}"),
                Some("ARM_CONTAINER"),
                "ARM64",
            )),
            "ubuntu" => Some((format!("aws/codebuild/standard:{identifier}"), None, "X64")),
            "custom" => {
                let (kind, image) = identifier.split_once('-').unwrap_or(("linux", identifier));
                let arm = kind == "arm";
                Some((image.to_owned(), arm.then_some("ARM_CONTAINER"), if arm { "ARM64" } else { "X64" }))
            }
            _ => None,
        };
        match found {
            Some((image, kind, arch)) => {
                machine.env.image = Some(image);
                machine.env.kind = kind.map(str::to_owned);
                machine.arch = arch;
            }
            None => {
                machine.os = "Windows";
                machine.impossible = Some(WINDOWS);
            }
        }
    }
    machine.env.compute_type = size.and_then(|size| {
        Some(format!(
            "BUILD_GENERAL1_{}",
            match size {
                "small" => "SMALL",
                "medium" => "MEDIUM",
                "large" => "LARGE",
                "xlarge" => "XLARGE",
                "2xlarge" => "2XLARGE",
                _ => return None,
            }
        ))
    });
    if let Some(fleet) = of("fleet:") {
        machine.env.fleet = Some(fleet.to_owned());
        machine.env.compute_type = None;
    }
    machine
}

#[cfg(test)]
mod tests {
    use super::machine;

    fn labels(labels: &[&str]) -> super::Machine {
        machine(&labels.iter().map(|&label| label.into()).collect::<Vec<_>>())
    }

    #[test]
    fn labels_are_images_and_sizes() {
        assert_eq!(labels(&["ubuntu-latest"]).env.image.as_deref(), Some("aws/codebuild/standard:7.0"));
        let large = labels(&["ubuntu-latest-8-cores"]);
        assert_eq!(large.env.compute_type.as_deref(), Some("BUILD_GENERAL1_LARGE"));
        assert_eq!(labels(&["ubuntu-24.04-arm"]).env.kind.as_deref(), Some("ARM_CONTAINER"));
        assert!(labels(&["windows-2022"]).impossible.is_some());
        assert!(labels(&["self-hosted", "big"]).difference.unwrap().contains("self-hosted, big"));
        let own = labels(&["codebuild-p-1-1", "image:arm-3.0", "instance-size:small"]);
        assert_eq!(own.env.image.as_deref(), Some("aws/codebuild/amazonlinux-aarch64-standard:3.0"));
        assert_eq!((own.env.compute_type.as_deref(), own.difference), (Some("BUILD_GENERAL1_SMALL"), None));
        let old = labels(&["codebuild-p-1-1-ubuntu-7.0-large"]);
        assert_eq!(old.env.image.as_deref(), Some("aws/codebuild/standard:7.0"));
        assert_eq!(old.env.compute_type.as_deref(), Some("BUILD_GENERAL1_LARGE"));
        let custom = labels(&["codebuild-p-1-1", "image:custom-linux-public.ecr.aws/x/y:1", "fleet:f"]);
        assert_eq!(
            (custom.env.image.as_deref(), custom.env.fleet.as_deref()),
            (Some("public.ecr.aws/x/y:1"), Some("f"))
        );
    }
}
