//! `reports`, `artifacts` and `cache`.

use indexmap::IndexMap;

use super::fields::{Decoder, Field, Fields};
use crate::{Artifact, Artifacts, Cache, CacheAction, Code, Diagnostic, Report, ReportFormat, Version};

/// Report groups of one buildspec.
const MAX_REPORTS: usize = 5;
/// Fallback keys of a cache.
const MAX_FALLBACK_KEYS: usize = 5;

impl<'a> Decoder<'a> {
    pub(super) fn reports(&mut self, field: &Field<'a>) -> IndexMap<String, Report> {
        let Some(fields) = self.fields(field) else { return IndexMap::new() };
        let groups = fields.rest();
        if let Some(beyond) = groups.get(MAX_REPORTS) {
            self.report(
                Diagnostic::new(
                    Code::TooMany,
                    format!("{} report groups: a buildspec has at most {MAX_REPORTS}", groups.len()),
                )
                .at(beyond.key.map_or_else(|| beyond.place(), |key| key.span))
                .label(format!("number {}", MAX_REPORTS + 1)),
            );
        }
        groups.iter().filter_map(|field| Some((field.key?.text.clone(), self.report_group(field)?))).collect()
    }

    fn report_group(&mut self, field: &Field<'a>) -> Option<Report> {
        if field.is_null() {
            self.wrong_type(field, "a map with `files`");
            return None;
        }
        let mut fields = self.fields(field)?;
        let files = self.files(&mut fields);
        let file_format = fields.take("file-format").and_then(|field| self.file_format(&field));
        let base_directory = fields.take("base-directory").and_then(|field| self.text(&field));
        let discard_paths = fields.take("discard-paths").and_then(|field| self.flag(&field));
        self.unknown(fields);
        Some(Report { files, file_format, base_directory, discard_paths })
    }

    fn file_format(&mut self, field: &Field<'a>) -> Option<ReportFormat> {
        let text = self.text(field)?;
        let found = ReportFormat::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(&text));
        if found.is_none() {
            self.invalid(field, &text, &ReportFormat::ALL.map(ReportFormat::name));
        }
        found
    }

    /// The required `files`.
    fn files(&mut self, fields: &mut Fields<'a>) -> Vec<String> {
        match fields.take("files") {
            Some(field) => self.texts(&field),
            None => {
                self.missing(fields, "files", "it says what to take");
                Vec::new()
            }
        }
    }

    pub(super) fn artifacts(&mut self, field: &Field<'a>, version: Version) -> Option<Artifacts> {
        let mut fields = self.fields(field)?;
        let secondary = fields.take("secondary-artifacts");
        let primary = if secondary.is_some() && !fields.has("files") {
            self.report(
                Diagnostic::new(
                    Code::EmptyValue,
                    "`artifacts.files` is missing: there is no primary artifact",
                )
                .at(fields.place())
                .help("CodeBuild asks for `files` even when only secondary artifacts are made"),
            );
            fields.take("files");
            self.artifact(fields, Vec::new(), version)
        } else {
            let files = self.files(&mut fields);
            self.artifact(fields, files, version)
        };
        let mut artifacts = Artifacts { primary, secondary: IndexMap::new() };
        for field in secondary.and_then(|field| self.fields(&field)).into_iter().flat_map(Fields::rest) {
            let Some(key) = field.key else { continue };
            if field.is_null() {
                self.wrong_type(&field, "a map with `files`");
                continue;
            }
            let Some(mut fields) = self.fields(&field) else { continue };
            let files = self.files(&mut fields);
            artifacts.secondary.insert(key.text.clone(), self.artifact(fields, files, version));
        }
        Some(artifacts)
    }

    fn artifact(&mut self, mut fields: Fields<'a>, files: Vec<String>, version: Version) -> Artifact {
        let kind = fields.take("type");
        if let (Version::V0_2, Some(field)) = (version, &kind) {
            self.ignored(field, "it was a key of version 0.1; the project says where artifacts go");
        }
        let artifact = Artifact {
            files,
            name: fields.take("name").and_then(|field| self.text(&field)),
            discard_paths: fields.take("discard-paths").and_then(|field| self.flag(&field)),
            base_directory: fields.take("base-directory").and_then(|field| self.text(&field)),
            exclude_paths: fields.take("exclude-paths").map(|field| self.texts(&field)).unwrap_or_default(),
            enable_symlinks: fields.take("enable-symlinks").and_then(|field| self.flag(&field)),
            s3_prefix: fields.take("s3-prefix").and_then(|field| self.text(&field)),
            kind: kind.and_then(|field| self.text(&field)),
        };
        self.unknown(fields);
        artifact
    }

    pub(super) fn cache(&mut self, field: &Field<'a>) -> Option<Cache> {
        let mut fields = self.fields(field)?;
        let paths = fields.take("paths").map(|field| self.texts(&field)).unwrap_or_default();
        let key = fields.take("key").and_then(|field| self.text(&field));
        let fallback = fields.take("fallback-keys");
        if let (Some(field), None) = (&fallback, &key) {
            self.ignored(field, "there is no `key`");
        }
        let fallback_keys = fallback.map(|field| self.fallback_keys(&field)).unwrap_or_default();
        let action = fields.take("action").and_then(|field| {
            self.one_of(&field, &[("restore", CacheAction::Restore), ("save", CacheAction::Save)])
        });
        self.unknown(fields);
        Some(Cache { paths, key, fallback_keys, action })
    }

    fn fallback_keys(&mut self, field: &Field<'a>) -> Vec<String> {
        let items = self.items(field);
        if let Some(beyond) = items.get(MAX_FALLBACK_KEYS) {
            self.report(
                Diagnostic::new(
                    Code::TooMany,
                    format!("{} fallback keys: a cache has at most {MAX_FALLBACK_KEYS}", items.len()),
                )
                .at(beyond.place())
                .label(format!("number {}", MAX_FALLBACK_KEYS + 1)),
            );
        }
        items.iter().filter_map(|item| self.text(item)).collect()
    }
}
