//! `runspan images`: the sandbox's own store.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use runspan_engine::Progress;
use runspan_sandbox::image::{Freed, ImageError, Store, Stored};
use serde_json::json;

use super::{Format, block_on};
use crate::config::Config;
use crate::console::{self, Live, size, table};
use crate::exit_code::Exit;
use crate::failure::Failure;

/// Look at the images that the sandbox keeps, fetch them, remove them.
#[derive(Debug, Subcommand)]
pub(crate) enum ImagesCommand {
    /// List images, the last used first.
    List(Printed),
    /// Fetch an image as its registry has it now, or from an archive with all its names.
    Pull(PullArgs),
    /// Remove names, and images with their last one.
    Rm(RemoveArgs),
    /// Remove what no build uses, the least recently used first.
    Prune(PruneArgs),
}

/// How a result is printed.
#[derive(Debug, Args)]
pub(crate) struct Printed {
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// Which image to fetch.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// A name as Docker takes it, or the path of an archive (`/…`, `./…`).
    image: String,
    #[command(flatten)]
    printed: Printed,
}

/// Which images to remove.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Names, or ids (`sha256:…`).
    #[arg(required = true)]
    images: Vec<String>,
    #[command(flatten)]
    printed: Printed,
}

/// How much to remove.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Keep up to so many GiB.
    #[arg(long, value_name = "GIB", default_value_t = 0)]
    keep: u64,
    #[command(flatten)]
    printed: Printed,
}

pub(super) fn images(command: ImagesCommand, config: &Config) -> Result<Exit, Failure> {
    let store = config.images()?;
    match command {
        ImagesCommand::List(printed) => list(&store, printed.format),
        ImagesCommand::Pull(args) => block_on(pull(store, args)),
        ImagesCommand::Rm(args) => {
            let mut all = Freed::default();
            for name in &args.images {
                let freed = store.remove(name)?;
                all.images.extend(freed.images);
                all.bytes += freed.bytes;
            }
            Ok(freed(&all, args.printed.format))
        }
        ImagesCommand::Prune(args) => {
            Ok(freed(&store.prune(args.keep.saturating_mul(1 << 30))?, args.printed.format))
        }
    }
}

fn list(store: &Store, format: Format) -> Result<Exit, Failure> {
    let all = store.list()?;
    match format {
        Format::Json => {
            let all: Vec<_> = all.iter().map(machine).collect();
            console::print(&format!("{:#}\n", json!(all)));
        }
        Format::Human => {
            let rows: Vec<_> = all.iter().map(row).collect();
            console::print(&table(["NAME", "ID", "LAYERS", "SIZE", "ITS OWN", "LAST USED", ""], &rows));
        }
    }
    Ok(Exit::Success)
}

fn row(image: &Stored) -> [String; 7] {
    let names = if image.names.is_empty() { "(none)".to_owned() } else { image.names.join(", ") };
    let id = image.id.trim_start_matches("sha256:").chars().take(12).collect();
    let used = time(image).map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M").to_string());
    let now = if image.in_use { "in use" } else { "" };
    [names, id, image.layers.to_string(), size(image.bytes), size(image.own_bytes), used, now.to_owned()]
}

fn machine(image: &Stored) -> serde_json::Value {
    json!({
        "id": image.id, "names": image.names, "layers": image.layers, "bytes": image.bytes,
        "ownBytes": image.own_bytes, "lastUsed": time(image), "inUse": image.in_use,
    })
}

fn time(image: &Stored) -> Option<Timestamp> {
    Timestamp::try_from(image.last_used).ok()
}

async fn pull(store: Store, args: PullArgs) -> Result<Exit, Failure> {
    let live = Live::on_terminal();
    let done = store.pull(&args.image, None, &|progress| live.placing(&progress)).await;
    live.placing(&Progress::Starting);
    live.finish();
    let image = done?;
    match args.printed.format {
        Format::Human => console::print(&format!("{}\n", image.id)),
        Format::Json => {
            let image = json!({ "id": image.id, "name": image.name, "layers": image.layers.len() });
            console::print(&format!("{image:#}\n"));
        }
    }
    Ok(Exit::Success)
}

fn freed(freed: &Freed, format: Format) -> Exit {
    match format {
        Format::Human => {
            let names: String = freed.images.iter().map(|name| format!("removed {name}\n")).collect();
            console::print(&format!("{names}{} freed\n", size(freed.bytes)));
        }
        Format::Json => {
            console::print(&format!("{:#}\n", json!({ "images": freed.images, "bytes": freed.bytes })));
        }
    }
    Exit::Success
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        let failure = Self::of(&error);
        match error {
            ImageError::Name(_) | ImageError::Unknown(_) | ImageError::InUse(_) => {
                failure.exit(Exit::BadInput)
            }
            ImageError::Registry { .. }
            | ImageError::Broken { .. }
            | ImageError::DiskFull { .. }
            | ImageError::Store { .. } => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn an_image_is_shown_with_its_size_and_last_use() {
        let image = Stored {
            id: format!("sha256:{}", "0a".repeat(32)),
            names: vec!["busybox:latest".into(), "app:1".into()],
            bytes: 3 << 20,
            own_bytes: 1 << 10,
            layers: 2,
            last_used: UNIX_EPOCH + Duration::from_secs(60),
            in_use: true,
        };
        let shown = [
            "busybox:latest, app:1",
            "0a0a0a0a0a0a",
            "2",
            "3.0 MiB",
            "1.0 KiB",
            "1970-01-01 00:01",
            "in use",
        ];
        assert_eq!(row(&image), shown);
        assert_eq!(machine(&image)["lastUsed"], "1970-01-01T00:01:00Z");
    }
}
