//! `definitions` and `options`.

use indexmap::IndexMap;

use crate::draft::Draft;
use crate::field::Field;
use crate::file::Translator;

/// What steps refer to by name.
#[derive(Default)]
pub(crate) struct Definitions<'a> {
    pub(crate) caches: IndexMap<&'a str, Field<'a>>,
    pub(crate) services: IndexMap<&'a str, Field<'a>>,
    pub(crate) pipelines: IndexMap<&'a str, Field<'a>>,
    pub(crate) imports: IndexMap<&'a str, Field<'a>>,
}

impl<'a> Definitions<'a> {
    pub(crate) fn of(file: &Field<'a>) -> Self {
        let Some(definitions) = file.get("definitions") else { return Self::default() };
        let named = |key: &str| {
            definitions.get(key).map(|field| field.entries().into_iter().collect()).unwrap_or_default()
        };
        Self {
            caches: named("caches"),
            services: named("services"),
            pipelines: named("pipelines"),
            imports: named("imports"),
        }
    }
}

/// What holds for every step that does not say otherwise.
#[derive(Default)]
pub(crate) struct Defaults<'a> {
    pub(crate) image: Option<Field<'a>>,
    pub(crate) clone: Option<Field<'a>>,
    pub(crate) options: Option<Field<'a>>,
}

impl<'a> Defaults<'a> {
    pub(crate) fn of(file: &Field<'a>) -> Self {
        Self { image: file.get("image"), clone: file.get("clone"), options: file.get("options") }
    }

    /// A key of `options`.
    pub(crate) fn option(&self, key: &str) -> Option<Field<'a>> {
        self.options.as_ref()?.get(key)
    }
}

impl<'a> Translator<'a> {
    /// Notes of `definitions`; what they define is applied where it is used.
    pub(crate) fn note_definitions(&mut self, definitions: &Field<'a>) {
        self.account.exact(definitions, "what the steps refer to");
        for (key, field) in definitions.entries() {
            match key {
                "caches" => self.define_caches(&field),
                "services" => self.define_services(&field),
                "pipelines" => {
                    self.account.exact(&field, "pipelines that others import");
                    for (name, pipeline) in field.entries() {
                        drop(self.pipeline(&pipeline, &format!("definitions.pipelines.{name}")));
                        self.account.exact(&pipeline, "the jobs of the pipelines that import it");
                    }
                }
                "imports" => self.account.exact(&field, "where imported pipelines are read from"),
                "agents" => {
                    self.account.manual(&field, "agents work at Atlassian only", None);
                }
                // A home for anchors, under whatever name.
                _ => self.home_of_anchors(field),
            }
        }
    }

    /// Notes of `options`.
    pub(crate) fn note_options(&mut self, options: &Field<'a>) {
        let mut scratch = Draft::default();
        self.account.exact(options, "settings of every build");
        for (key, field) in options.entries() {
            match key {
                "docker" => self.account.exact(&field, "privileged mode"),
                "size" => self.size(&field, &mut scratch),
                "max-time" => self.max_time(&field),
                "runs-on" => self.runs_on(&field),
                "runtime" => self.runtime(&field, &mut scratch),
                _ => self.unknown(&field, "options"),
            }
        }
    }
}
