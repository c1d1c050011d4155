//! Services: containers beside the build.

use crate::draft::{Command, Draft};
use crate::field::Field;
use crate::file::Translator;
use crate::shell_text::word;

/// The service that every file has.
const DOCKER: &str = "docker";

impl<'a> Translator<'a> {
    /// `services` of a step.
    pub(crate) fn services(&mut self, field: &Field<'a>, draft: &mut Draft) {
        let names = field.texts();
        for name in &names {
            if name == DOCKER {
                continue;
            }
            match self.definitions.services.get(name.as_str()).cloned() {
                Some(service) => {
                    let text = command(name, &service, draft);
                    draft.before.push(Command::because(text, format!("Service {name}, at localhost.")));
                }
                None => {
                    let reason = format!("the service `{name}` is not among `definitions.services`");
                    draft.by_hand.push(reason.clone());
                    let suggestion = format!("docker run --detach --network=host {}", word(name));
                    self.account.manual(field, reason, Some(suggestion));
                }
            }
        }
        draft.env.privileged_mode = Some(true);
        if names.iter().all(|name| name == DOCKER) {
            let difference = "the image must have Docker, as CodeBuild's own images do";
            self.account.approximate(field, "privileged mode", difference);
        } else {
            self.account.approximate(
                field,
                "`docker run --network=host` before the script, and privileged mode",
                "the image must have Docker, as CodeBuild's own images do; ports are those of the whole host",
            );
        }
    }

    /// `definitions.services`.
    pub(crate) fn define_services(&mut self, services: &Field<'a>) {
        self.account.exact(services, "services of the steps that name them");
        for (name, service) in services.entries() {
            let became = if name == DOCKER { "privileged mode" } else { "`docker run` where it is used" };
            self.account.exact(&service, became);
            for (key, field) in service.entries() {
                match key {
                    "image" => self.image_of_service(&field),
                    "variables" | "environment" => self.account.exact(&field, "`--env` of `docker run`"),
                    "memory" => {
                        let difference =
                            "the limit is left out, and the build's own memory is not less for it";
                        self.account.approximate(&field, "nothing", difference);
                    }
                    "type" => self.account.exact(&field, "nothing: every service is a container"),
                    "ports" => self.account.exact(&field, "nothing: all ports are at localhost"),
                    _ => self.unknown(&field, "a service"),
                }
            }
        }
    }

    fn image_of_service(&mut self, field: &Field<'a>) {
        if !field.is_map() {
            self.account.exact(field, "the image of `docker run`");
            return;
        }
        self.account.exact(field, "the image of `docker run`");
        for (key, part) in field.entries() {
            match key {
                "name" => self.account.exact(&part, "the image of `docker run`"),
                "run-as-user" => self.account.exact(&part, "`--user` of `docker run`"),
                "username" | "password" | "email" | "aws" => {
                    self.account.manual(
                        &part,
                        "the registry's login is not in a buildspec",
                        Some("docker login --username \"$USERNAME\" --password-stdin REGISTRY".into()),
                    );
                }
                _ => self.unknown(&part, "an image"),
            }
        }
    }
}

fn command(name: &str, service: &Field<'_>, draft: &mut Draft) -> String {
    let mut text = format!("docker run --detach --network=host --name={}", word(name));
    for (key, field) in service.entries() {
        match key {
            "variables" | "environment" => {
                for (variable, value) in field.entries() {
                    let value = value.text().unwrap_or_default();
                    draft.used.push_str(&format!("{value}\n"));
                    text.push_str(&format!(" --env={variable}={}", word(value)));
                }
            }
            "image" => {
                if let Some(user) = field.get("run-as-user").and_then(|user| user.text()) {
                    text.push_str(&format!(" --user={}", word(user)));
                }
            }
            _ => {}
        }
    }
    let image = service.get("image");
    let image = image.and_then(|image| image.text().or_else(|| image.get("name")?.text()));
    text.push_str(&format!(" {}", word(image.unwrap_or(name))));
    text
}
