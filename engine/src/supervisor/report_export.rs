//! Raw files of reports on their way into a bucket, where a report group wants them there.

use std::path::PathBuf;

use uuid::Uuid;

use super::driver::Driver;
use super::session::Interrupt;
use crate::artifacts::{self, Packaging, Part, Stored};
use crate::journal::Resource;
use crate::plan::Bucket;
use crate::ports::{Encryption, Place};
use crate::project::{
    ArtifactPackaging, BucketOwnerAccess, ReportExportConfig, ReportExportType, ReportGroupSettings,
    S3ReportDestination,
};
use crate::reports::ReportGroup;

/// One report's export.
pub(super) struct ReportExport {
    pub(super) config: ReportExportConfig,
    destination: S3ReportDestination,
    /// The group's name and the report's id.
    name: String,
    id: Uuid,
    root: PathBuf,
    /// Where the files are kept meanwhile.
    pub(super) raw: PathBuf,
}

impl Driver {
    /// What is known of a group, which the buildspec calls `named`: one that CodeBuild's API made, or what the project
    /// says.
    pub(super) fn export_of(&self, group: &ReportGroup, named: &str, id: Uuid) -> Option<ReportExport> {
        self.supervisor.ports.objects.as_ref()?;
        // Where its record cannot be read, the rest of the build cannot be written either.
        let made = self.supervisor.journal.resource(Resource::ReportGroup, group.name()).ok().flatten();
        let made = made.and_then(|record| serde_json::from_value::<ReportGroupSettings>(record).ok());
        let groups = &self.request.project.report_groups;
        let of_project =
            || groups.iter().find(|known| known.name == group.name() || known.name == named).cloned();
        let config = made.or_else(of_project)?.export_config;
        if config.export_config_type != ReportExportType::S3 {
            return None;
        }
        let destination = config.s3_destination.clone()?;
        let root = self.dir.outgoing().join(format!("report-{id}"));
        Some(ReportExport {
            destination,
            config,
            name: group.name().to_owned(),
            id,
            raw: root.join("raw"),
            root,
        })
    }

    /// Takes the files into their bucket; what becomes of them changes nothing of the build.
    pub(super) async fn export_report(&mut self, export: ReportExport) -> Result<(), Interrupt> {
        let ReportExport { destination, name, id, root, raw, .. } = export;
        let path = destination.path.as_deref().unwrap_or_default();
        let mut key = artifacts::object_key(path, artifacts::NamespaceType::None, &format!("{name}/{id}"));
        let stored = match destination.packaging {
            ArtifactPackaging::None => Ok(Stored { path: raw, bytes: 0, sha256: None, md5: None }),
            ArtifactPackaging::Zip => {
                key.push_str(".zip");
                let part = Part { identifier: name.clone(), location: raw };
                let directory = root.clone();
                let packed = tokio::task::spawn_blocking(move || {
                    artifacts::combine(&[part], Packaging::Zip, &directory, "raw.zip")
                });
                match packed.await {
                    Ok(packed) => packed.map(|(stored, _)| stored).map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                }
            }
        };
        let bucket = Bucket {
            name: Place::parse(&destination.bucket).bucket,
            encryption: Encryption::of(
                destination.encryption_disabled,
                destination.encryption_key.as_deref(),
            ),
            owner_access: BucketOwnerAccess::None,
        };
        let reason = match stored {
            Ok(stored) => match self.upload_to_bucket(&bucket, &key, &root, &stored).await? {
                Ok(()) => return Ok(()),
                Err(refused) => refused.context().message,
            },
            Err(reason) => reason,
        };
        let _left = std::fs::remove_dir_all(&root);
        Ok(self.warn(format!("the raw files of report {name} are not exported: {reason}"))?)
    }
}
