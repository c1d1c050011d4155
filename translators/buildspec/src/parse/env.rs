//! `env` and its forms of version 0.1.

use indexmap::IndexMap;

use super::fields::{Decoder, Field, map};
use crate::{Code, Diagnostic, Env, Shell, diagnostic::quoted, yaml::Key};

const SHELLS: &[(&str, Shell)] = &[
    ("bash", Shell::Bash),
    ("/bin/sh", Shell::Sh),
    ("sh", Shell::Sh),
    ("/bin/bash", Shell::Bash),
    ("powershell.exe", Shell::PowerShell),
    ("cmd.exe", Shell::Cmd),
];

impl<'a> Decoder<'a> {
    pub(super) fn env(&mut self, field: &Field<'a>) -> Env {
        let Some(mut fields) = self.fields(field) else { return Env::default() };
        let shell = fields.take("shell").and_then(|field| self.one_of(&field, SHELLS));
        let variables = fields.take("variables").map(|field| self.variables(&field));
        let parameter_store = fields.take("parameter-store").map(|field| self.variables(&field));
        let secrets_manager = fields.take("secrets-manager").map(|field| self.secrets(&field));
        let exported = fields.take("exported-variables").map(|field| self.exported_variables(&field));
        let helper = fields.take("git-credential-helper").and_then(|field| self.flag(&field));
        self.unknown(fields);
        Env {
            shell,
            variables: variables.unwrap_or_default(),
            parameter_store: parameter_store.unwrap_or_default(),
            secrets_manager: secrets_manager.unwrap_or_default(),
            exported_variables: exported.unwrap_or_default(),
            git_credential_helper: helper,
        }
    }

    /// `environment_variables` of version 0.1.
    pub(super) fn environment_variables(&mut self, field: &Field<'a>) -> IndexMap<String, String> {
        let Some(mut fields) = self.fields(field) else { return IndexMap::new() };
        let plaintext = fields.take("plaintext").map(|field| self.variables(&field));
        self.unknown(fields);
        plaintext.unwrap_or_default()
    }

    /// Names of variables to texts.
    pub(super) fn variables(&mut self, field: &Field<'a>) -> IndexMap<String, String> {
        let named = self.named_texts(field);
        self.variable_names(&named);
        map(named)
    }

    fn variable_names(&mut self, named: &[(Field<'a>, String)]) {
        named.iter().filter_map(|(field, _)| field.key).for_each(|key| self.variable_name(key));
    }

    pub(super) fn variable_name(&mut self, key: &Key) {
        let name = quoted(&key.text);
        let diagnostic = if key.text.starts_with("CODEBUILD_") {
            Diagnostic::new(
                Code::ReservedVariable,
                format!("{name} begins with CODEBUILD_, which CodeBuild keeps for itself"),
            )
            .help("give it another name")
        } else if is_variable_name(&key.text) {
            return;
        } else {
            Diagnostic::new(Code::VariableName, format!("{name} cannot be used as a variable by a shell"))
                .help("use letters, digits and `_`, and begin with no digit")
        };
        self.report(diagnostic.at(key.span));
    }

    fn secrets(&mut self, field: &Field<'a>) -> IndexMap<String, String> {
        let named = self.named_texts(field);
        self.variable_names(&named);
        for (field, text) in &named {
            let Err(reason) = secret_reference(text) else { continue };
            self.report(
                Diagnostic::new(Code::SecretReference, format!("{}: {reason}", field.name()))
                    .at(field.place())
                    .help("write `secret-id:json-key:version-stage:version-id`; all but the first may be left out"),
            );
        }
        map(named)
    }

    fn exported_variables(&mut self, field: &Field<'a>) -> Vec<String> {
        let mut names = Vec::new();
        for item in self.items(field) {
            let Some(name) = self.text(&item) else { continue };
            if name.starts_with("AWS_") {
                self.report(
                    Diagnostic::new(
                        Code::ReservedVariable,
                        format!("{} cannot be exported: its name begins with AWS_", quoted(&name)),
                    )
                    .at(item.place()),
                );
            }
            names.push(name);
        }
        names
    }
}

fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
}

/// Checks the shape of a `secrets-manager` value.
fn secret_reference(text: &str) -> Result<(), &'static str> {
    let mut parts: Vec<&str> = text.split(':').collect();
    if parts[0] == "arn" {
        if parts.len() < 7 || parts[2] != "secretsmanager" || parts[5] != "secret" {
            return Err(
                "this is not the ARN of a secret (arn:aws:secretsmanager:region:account:secret:name)",
            );
        }
        parts.drain(..6);
    }
    match parts.as_slice() {
        ["", ..] => Err("the secret's name is empty"),
        [_, _, _, _, _, ..] => Err("it has more than four parts"),
        [_, _, stage, id] if !stage.is_empty() && !id.is_empty() => {
            Err("it gives a version stage and a version id, which exclude each other")
        }
        _ => Ok(()),
    }
}
