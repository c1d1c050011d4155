//! `container` and `services`.

use runspan_buildspec::shell::quoted;

use super::{assemble::Draft, ledger::Ledger, lower::Lowerer, shell::Lowered};
use crate::model::Container;

/// The image of the job; nothing when GitHub would use none.
pub(crate) fn image(
    container: &Container<'_>,
    lowerer: &Lowerer<'_>,
    draft: &mut Draft,
    ledger: &mut Ledger,
) -> Option<String> {
    let image = container.image.as_ref().map(|image| lowerer.template(&image.template));
    for variable in &container.env {
        let lowered = lowerer.template(&variable.value.template);
        draft.variable(&variable.name, &lowered);
    }
    for (text, what) in [
        (&container.options, "options"),
        (&container.ports.first().cloned(), "ports"),
        (&container.volumes.first().cloned(), "volumes"),
    ] {
        if text.is_some() {
            lowerer.differs(format!("`{what}` have no counterpart"));
        }
    }
    if container.credentials.is_some() {
        lowerer.differs("the registry's credential is set in the project (`registryCredential`)");
    }
    let image = match image {
        Some(Lowered::Known(value)) => Some(value.to_text().to_string()).filter(|image| !image.is_empty()),
        Some(_) => {
            lowerer.unknown("the image is only known in the build: name it in the batch");
            None
        }
        None => None,
    };
    let image = image.map(|image| image.strip_prefix("docker://").unwrap_or(&image).to_owned());
    let became = image.as_ref().map_or_else(|| "no image".to_owned(), |image| format!("`image: {image}`"));
    ledger.by(&container.field, became, lowerer.findings());
    image
}

/// Starts a service before the steps.
pub(crate) fn service(
    (name, in_container): (&str, bool),
    container: &Container<'_>,
    lowerer: &Lowerer<'_>,
    draft: &mut Draft,
    ledger: &mut Ledger,
) {
    let mut command = format!("docker run --detach --name {}", quoted(name));
    for port in &container.ports {
        let port = lowerer.template(&port.template).word();
        // A port of the container alone gets one of the host's by chance on GitHub.
        let port = if port.contains(':') { port } else { format!("{port}:{port}") };
        command.push_str(&format!(" --publish {port}"));
    }
    for variable in &container.env {
        let inside = lowerer.template(&variable.value.template).inside();
        command.push_str(&format!(" --env \"{}={inside}\"", variable.name));
    }
    for volume in &container.volumes {
        command.push_str(&format!(" --volume {}", lowerer.template(&volume.template).word()));
    }
    let options = container.options.as_ref().map(|options| lowerer.template(&options.template).words());
    if let Some(options) = &options {
        command.push_str(&format!(" {options}"));
    }
    let image =
        container.image.as_ref().map(|image| lowerer.template(&image.template).word()).unwrap_or_default();
    command.push_str(&format!(" {image}"));
    if let Some(more) = &container.command {
        command.push_str(&format!(" {}", lowerer.template(&more.template).words()));
    }
    draft.install.push(command);
    if options.is_some_and(|options| options.contains("--health-cmd")) {
        draft.install.push(format!(
            "until [ \"$(docker inspect --format '{{{{.State.Health.Status}}}}' {name})\" = healthy ]; do sleep 2; done",
            name = quoted(name)
        ));
    }
    if in_container {
        // From a container GitHub's services are reached by their names.
        draft.install.push(format!("echo {} >> /etc/hosts", quoted(&format!("127.0.0.1 {name}"))));
    }
    draft.privileged = true;
    lowerer.differs(
        "started by docker in a privileged build, and reached at localhost under its published ports",
    );
    if container.credentials.is_some() {
        lowerer.differs("its registry's credential needs a `docker login` before");
    }
    ledger.by(&container.field, "`docker run` in `install`", lowerer.findings());
}
