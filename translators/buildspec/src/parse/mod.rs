//! Text to [`Buildspec`], with everything that is wrong with it.

mod batch;
mod env;
mod fields;
mod outputs;
mod phases;

use fields::{Decoder, Field, Fields};

use crate::{Buildspec, Code, Diagnostic, Proxy, Version, diagnostic::quoted, yaml};

/// What came of reading a buildspec.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The buildspec, unless a diagnostic is an error.
    pub buildspec: Option<Buildspec>,
    /// Everything that is wrong, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a buildspec.
pub fn parse(source: &str) -> Parsed {
    let root = match yaml::read(source) {
        Ok(root) => root,
        Err(diagnostics) => return Parsed { buildspec: None, diagnostics: fields::in_order(diagnostics) },
    };
    let mut decoder = Decoder::new(source);
    decoder.tags(&root);
    let buildspec = decoder.buildspec(&root);
    let diagnostics = decoder.finish();
    let failed = diagnostics.iter().any(|diagnostic| diagnostic.status().is_some());
    Parsed { buildspec: if failed { None } else { buildspec }, diagnostics }
}

/// Reads a buildspec from a file's bytes.
pub fn parse_bytes(bytes: &[u8]) -> Parsed {
    match yaml::text(bytes) {
        Ok(source) => parse(source),
        Err(diagnostics) => Parsed { buildspec: None, diagnostics },
    }
}

/// What CodeBuild says when the file has no `version` or is not a map.
const WRONG_SHAPE: &str = "wrong number of container tags, expected 1";

impl<'a> Decoder<'a> {
    fn buildspec(&mut self, root: &'a yaml::Node) -> Option<Buildspec> {
        let field = Field { path: String::new(), key: None, node: root };
        if matches!(root.value, yaml::Value::Null) {
            self.report(
                Diagnostic::new(Code::EmptyFile, "the file holds nothing")
                    .codebuild(WRONG_SHAPE)
                    .help("a buildspec begins with `version: 0.2`, then `phases:`"),
            );
            return None;
        }
        let yaml::Value::Map(_) = root.value else {
            self.report(
                Diagnostic::new(Code::WrongType, format!("a buildspec is a map, this is {}", root.kind()))
                    .at(root.span)
                    .codebuild(WRONG_SHAPE)
                    .help("a buildspec begins with `version: 0.2`, then `phases:`"),
            );
            return None;
        };
        let mut fields = self.fields(&field)?;
        let version = self.version(&mut fields);
        let run_as = fields.take("run-as").and_then(|field| self.text(&field));
        let mut env = fields.take("env").map(|field| self.env(&field)).unwrap_or_default();
        if version == Version::V0_1
            && let Some(field) = fields.take("environment_variables")
        {
            env.variables.extend(self.environment_variables(&field));
        }
        let proxy = fields.take("proxy").map(|field| self.proxy(&field));
        let batch = fields.take("batch");
        let phases = fields.take("phases");
        if phases.is_none() && batch.as_ref().is_none_or(Field::is_null) {
            self.missing(&fields, "phases", "nothing would run");
        }
        let batch = batch.and_then(|field| self.batch(&field));
        let phases = phases.map(|field| self.phases(&field)).unwrap_or_default();
        let reports = fields.take("reports").map(|field| self.reports(&field)).unwrap_or_default();
        let artifacts = fields.take("artifacts").and_then(|field| self.artifacts(&field, version));
        let cache = fields.take("cache").and_then(|field| self.cache(&field));
        self.unknown(fields);
        Some(Buildspec { version, run_as, env, proxy, batch, phases, reports, artifacts, cache })
    }

    fn version(&mut self, fields: &mut Fields<'a>) -> Version {
        let Some(field) = fields.take("version") else {
            self.report(
                Diagnostic::new(Code::MissingKey, "`version` is missing")
                    .at(fields.place())
                    .codebuild(WRONG_SHAPE)
                    .help("begin the file with `version: 0.2`"),
            );
            return Version::default();
        };
        match field.node.text() {
            Some("0.2") => Version::V0_2,
            Some("0.1") => Version::V0_1,
            Some(other) => {
                self.report(
                    Diagnostic::new(
                        Code::InvalidValue,
                        format!("there is no buildspec version {}", quoted(other)),
                    )
                    .at(field.place())
                    .help("write `version: 0.2`, or 0.1 for a shell of its own for every command"),
                );
                Version::default()
            }
            None => {
                self.wrong_type(&field, "0.1 or 0.2");
                Version::default()
            }
        }
    }

    fn proxy(&mut self, field: &Field<'a>) -> Proxy {
        let Some(mut fields) = self.fields(field) else { return Proxy::default() };
        let proxy = Proxy {
            upload_artifacts: fields.take("upload-artifacts").and_then(|field| self.flag(&field)),
            logs: fields.take("logs").and_then(|field| self.flag(&field)),
        };
        self.unknown(fields);
        proxy
    }
}
