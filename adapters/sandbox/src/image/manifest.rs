//! Manifests, indexes and configurations: OCI's and Docker's second schema, which differ in names only.

use std::collections::BTreeMap;

use runspan_agent_protocol::{HealthChange, HealthChoice, health_command};
use serde::Deserialize;

use super::digest::Digest;
use super::record::ImageConfig;

/// Media types of manifests, the wanted ones.
pub(super) const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Longer documents are no manifests and no configurations.
pub(super) const LONGEST: u64 = 4 << 20;

/// Most layers an image may have: as many as an overlay takes.
const MOST_LAYERS: usize = 500;

/// A manifest, or a list of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    Image(ImageManifest),
    Index(Vec<Entry>),
}

/// What an image is made of.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageManifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// A piece of content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Descriptor {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// One image of an index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub(super) descriptor: Descriptor,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Entry {
    /// The full name that tools note beside an image.
    pub(super) fn name(&self) -> Option<String> {
        self.annotations.get("io.containerd.image.name").cloned()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Platform {
    os: String,
    architecture: String,
    variant: String,
}

/// What an image says about itself.
#[derive(Debug)]
pub(super) struct Configuration {
    pub(super) config: ImageConfig,
    /// The digests of its layers' tars, the lowest first.
    pub(super) diff_ids: Vec<Digest>,
}

impl Manifest {
    /// Reads one.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            schema_version: Option<u64>,
            manifests: Option<Vec<Entry>>,
        }
        let raw: Raw =
            serde_json::from_slice(text).map_err(|error| format!("its manifest is none: {error}"))?;
        if raw.schema_version == Some(1) {
            return Err("it is of Docker's first schema, which nobody writes any more; push it again".into());
        }
        if let Some(manifests) = raw.manifests {
            return Ok(Self::Index(manifests));
        }
        let image: ImageManifest =
            serde_json::from_slice(text).map_err(|error| format!("its manifest is none: {error}"))?;
        if image.layers.len() > MOST_LAYERS {
            return Err(format!("it has {} layers; an overlay takes {MOST_LAYERS}", image.layers.len()));
        }
        Ok(Self::Image(image))
    }
}

/// The image of an index for this machine.
pub(super) fn for_this_machine(entries: &[Entry]) -> Result<&Descriptor, String> {
    choose(entries, architecture())
}

fn choose<'e>(entries: &'e [Entry], architecture: &str) -> Result<&'e Descriptor, String> {
    let fits = |platform: &Platform| platform.os == "linux" && platform.architecture == architecture;
    let fitting = entries.iter().filter(|entry| entry.platform.as_ref().is_some_and(fits));
    // Of several variants the plainest runs everywhere.
    let best = fitting.min_by_key(|entry| entry.platform.as_ref().map(|platform| platform.variant.as_str()));
    // An index without platforms has one image, as archives do.
    let only = || match entries {
        [only] if only.platform.is_none() => Some(only),
        _ => None,
    };
    best.or_else(only).map(|entry| &entry.descriptor).ok_or_else(|| {
        let there: Vec<String> = entries
            .iter()
            .filter_map(|entry| entry.platform.as_ref())
            .filter(|platform| platform.os != "unknown")
            .map(|platform| format!("{}/{}", platform.os, platform.architecture))
            .collect();
        format!("it is not published for linux/{architecture}, only for: {}", there.join(", "))
    })
}

/// This machine's architecture as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl Configuration {
    /// Reads one.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Raw {
            config: Option<Process>,
            rootfs: RootFs,
        }
        #[derive(Deserialize)]
        struct RootFs {
            diff_ids: Vec<Digest>,
        }
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Process {
            env: Option<Vec<String>>,
            user: Option<String>,
            working_dir: Option<String>,
            entrypoint: Option<Vec<String>>,
            cmd: Option<Vec<String>>,
            healthcheck: Option<HealthCheck>,
        }
        /// Times are in nanoseconds.
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct HealthCheck {
            test: Vec<String>,
            interval: u64,
            timeout: u64,
            start_period: u64,
            retries: u32,
        }
        let raw: Raw =
            serde_json::from_slice(text).map_err(|error| format!("its configuration is none: {error}"))?;
        let process = raw.config.unwrap_or_default();
        Ok(Self {
            config: ImageConfig {
                env: process.env.unwrap_or_default(),
                user: process.user.unwrap_or_default(),
                working_dir: process.working_dir.unwrap_or_default(),
                entrypoint: process.entrypoint.unwrap_or_default(),
                cmd: process.cmd.unwrap_or_default(),
                health: process.healthcheck.and_then(|check| {
                    let of = |nanoseconds: u64| Some(nanoseconds / 1_000_000);
                    let change = HealthChange {
                        command: Some(health_command(check.test)?),
                        interval_ms: of(check.interval),
                        timeout_ms: of(check.timeout),
                        start_period_ms: of(check.start_period),
                        retries: Some(check.retries),
                    };
                    HealthChoice::Changed(change).settled(None)
                }),
            },
            diff_ids: raw.rootfs.diff_ids,
        })
    }

    /// The layers as an overlay takes them: of one that comes twice, only the upper counts.
    pub(super) fn stack(&self) -> Vec<Digest> {
        let last = |index: usize, layer: &Digest| !self.diff_ids[index + 1..].contains(layer);
        let ids = self.diff_ids.iter().enumerate();
        ids.filter(|(index, layer)| last(*index, layer)).map(|(_, layer)| layer.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(os: &str, architecture: &str, variant: &str, digest: char) -> Entry {
        let digest = format!("sha256:{}", digest.to_string().repeat(64));
        let text = format!(
            r#"{{"digest":"{digest}","size":1,"mediaType":"x",
                "platform":{{"os":"{os}","architecture":"{architecture}","variant":"{variant}"}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_machine_s_own_image_is_chosen() {
        let all = [
            entry("windows", "amd64", "", '1'),
            entry("unknown", "unknown", "", '2'),
            entry("linux", "arm64", "v8", '3'),
            entry("linux", "amd64", "v3", '4'),
            entry("linux", "amd64", "", '5'),
        ];
        assert_eq!(choose(&all, "amd64"), Ok(&all[4].descriptor));
        assert_eq!(choose(&all, "arm64"), Ok(&all[2].descriptor));
        let error = choose(&all[..3], "riscv64").unwrap_err();
        assert_eq!(error, "it is not published for linux/riscv64, only for: windows/amd64, linux/arm64");
        let plain = [Entry { platform: None, ..all[0].clone() }];
        assert_eq!(choose(&plain, "amd64"), Ok(&plain[0].descriptor));
    }

    #[test]
    fn manifests_of_both_kinds_are_read() {
        let zeros = format!("sha256:{}", "0".repeat(64));
        let image = format!(
            r#"{{"schemaVersion":2,"mediaType":"any","config":{{"digest":"{zeros}","size":5}},
                "layers":[{{"digest":"{zeros}","size":7,"urls":["x"]}}]}}"#
        );
        let Ok(Manifest::Image(read)) = Manifest::parse(image.as_bytes()) else { panic!() };
        assert_eq!((read.config.size, read.layers[0].size), (5, 7));
        assert_eq!(
            Manifest::parse(br#"{"schemaVersion":2,"manifests":[]}"#),
            Ok(Manifest::Index(Vec::new()))
        );
        assert!(
            Manifest::parse(br#"{"schemaVersion":1,"fsLayers":[]}"#).unwrap_err().contains("first schema")
        );
        for broken in ["", "[]", "{}", r#"{"layers":[],"config":{"digest":"sha256:../..","size":1}}"#] {
            assert!(Manifest::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn configurations_may_leave_anything_out() {
        let read = Configuration::parse(br#"{"config":null,"rootfs":{"diff_ids":[]}}"#).unwrap();
        assert_eq!(read.config, ImageConfig::default());
        let read = Configuration::parse(
            br#"{"config":{"Env":["A=1"],"User":"u","WorkingDir":"/w","Entrypoint":null,"Cmd":["sh"]},
                "rootfs":{"type":"layers","diff_ids":[]}}"#,
        )
        .unwrap();
        assert_eq!((read.config.user.as_str(), read.config.cmd), ("u", vec!["sh".to_owned()]));
    }

    #[test]
    fn a_layer_that_comes_twice_is_stacked_once() {
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        let config =
            Configuration { config: ImageConfig::default(), diff_ids: vec![a.clone(), b.clone(), a.clone()] };
        assert_eq!(config.stack(), [b, a]);
    }
}
