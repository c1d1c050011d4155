//! Images from files: what `docker save` writes, OCI layouts, and plain tars of a root file system.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use runspan_archive::ArchiveError;
use runspan_engine::image::ImageName;
use serde::Deserialize;

use super::digest::{Digest, Digesting};
use super::layer::{self, AGAIN, Claim, Expected, Kept};
use super::layout::{Layout, Work, failed};
use super::manifest::{Configuration, Descriptor, LONGEST, Manifest, for_this_machine};
use super::names::Reference;
use super::record::{ImageConfig, ImageRecord};
use super::{ImageError, Store};

/// An image that was read, its layers in their places.
pub(super) struct Imported {
    pub(super) record: ImageRecord,
    pub(super) kept: Vec<Kept>,
    /// The full names it had where it comes from.
    pub(super) tags: Vec<String>,
}

/// Reads the image at this path.
pub(super) fn import(store: &Store, image: &str, path: &Path) -> Result<Imported, ImageError> {
    let importer = Importer { layout: &store.layout, most: store.settings.limit, image };
    if path.is_dir() {
        return importer.oci(&Content::Directory(path.to_owned()));
    }
    let (file, _work) = importer.plain(path)?;
    let parts = importer.parts(&file)?;
    let content = Content::Tar { file, parts };
    if content.has("manifest.json") {
        importer.docker(&content)
    } else if content.has("index.json") && content.has("oci-layout") {
        importer.oci(&content)
    } else {
        importer.root_file_system(&content)
    }
}

/// Files by name.
enum Content {
    Directory(PathBuf),
    Tar { file: File, parts: BTreeMap<String, Part> },
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Where in the file, and how long.
    At(u64, u64),
    /// Another name of one.
    Link(String),
}

struct Importer<'i> {
    layout: &'i Layout,
    most: u64,
    image: &'i str,
}

impl Importer<'_> {
    fn broken(&self, reason: impl Into<String>) -> ImageError {
        ImageError::Broken { image: self.image.to_owned(), reason: reason.into() }
    }

    /// The archive without compression, so that its parts can be read in any order.
    fn plain(&self, path: &Path) -> Result<(File, Option<Work>), ImageError> {
        let fail = failed("read", path);
        let mut file = File::open(path).map_err(&fail)?;
        let mut start = [0; 4];
        let read = file.read(&mut start).map_err(&fail)?;
        file.rewind().map_err(&fail)?;
        let is_plain = read < 4
            || !matches!(start, [0x1f, 0x8b, ..] | [b'B', b'Z', b'h', _])
                && !matches!(start, [0x28, 0xb5, 0x2f, 0xfd] | [0xfd, b'7', b'z', b'X']);
        if is_plain {
            return Ok((file, None));
        }
        let work = self.layout.work()?;
        let name = work.path().join("archive");
        let mut copy = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&name)
            .map_err(failed("make", &name))?;
        let failure = |error: ArchiveError| self.broken(error.to_string());
        let tar = layer::decompressed(BufReader::new(file)).map_err(failure)?;
        io::copy(&mut Digesting::new(tar, self.most, layer::UNPACKED), &mut copy).map_err(
            |error| match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.full(),
                _ => self.broken(error.to_string()),
            },
        )?;
        Ok((copy, Some(work)))
    }

    fn full(&self) -> ImageError {
        ImageError::DiskFull { image: self.image.to_owned(), store: self.layout.root().to_owned() }
    }

    /// Where what may belong to an archive of images is.
    fn parts(&self, file: &File) -> Result<BTreeMap<String, Part>, ImageError> {
        let broken = |error: io::Error| self.broken(format!("broken archive: {error}"));
        let mut file = file;
        file.rewind().map_err(broken)?;
        let mut archive = tar::Archive::new(file);
        let mut parts = BTreeMap::new();
        for entry in archive.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = normal(&String::from_utf8_lossy(&entry.path_bytes()));
            let file = [".json", "/layer.tar"].iter().any(|end| name.ends_with(end));
            if !(file || name == "oci-layout" || name.starts_with("blobs/")) || name.split('/').count() > 3 {
                continue;
            }
            let part = match entry.header().entry_type() {
                kind if kind.is_file() => Part::At(entry.raw_file_position(), entry.size()),
                kind if kind.is_symlink() => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    let beside = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                    Part::Link(normal(&format!("{beside}/{target}")))
                }
                _ => continue,
            };
            parts.insert(name, part);
        }
        Ok(parts)
    }

    /// What `docker save` writes.
    fn docker(&self, content: &Content) -> Result<Imported, ImageError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Saved {
            config: String,
            #[serde(default)]
            repo_tags: Option<Vec<String>>,
            layers: Vec<String>,
        }
        let text = self.document(content, "manifest.json")?;
        let all: Vec<Saved> = serde_json::from_slice(&text)
            .map_err(|error| self.broken(format!("its manifest.json is none: {error}")))?;
        let saved = match all.as_slice() {
            [saved] => saved,
            all => return Err(self.broken(format!("it holds {} images; save one alone", all.len()))),
        };
        let config = self.document(content, &saved.config)?;
        let blobs = saved.layers.iter().map(|name| (name.clone(), None)).collect::<Vec<_>>();
        let tags = saved.repo_tags.iter().flatten();
        let tags = tags.filter_map(|tag| ImageName::parse(tag).ok());
        let tags = tags.map(|name| Reference::of(&name).full()).collect();
        self.layers(content, &config, &blobs, tags)
    }

    /// The layout of OCI.
    fn oci(&self, content: &Content) -> Result<Imported, ImageError> {
        let mut text = self.document(content, "index.json")?;
        let mut tags = Vec::new();
        // An index of an index of manifests is as deep as tools write it.
        for _ in 0..3 {
            let manifest = Manifest::parse(&text).map_err(|reason| self.broken(reason))?;
            match manifest {
                Manifest::Index(entries) => {
                    let chosen = for_this_machine(&entries).map_err(|reason| self.broken(reason))?;
                    tags.extend(entries.iter().filter_map(|entry| entry.name()));
                    text = self.blob(content, chosen)?;
                }
                Manifest::Image(image) => {
                    let config = self.blob(content, &image.config)?;
                    let blobs = image.layers.iter().map(|layer| (blob_name(&layer.digest), Some(layer)));
                    let tags = tags.iter().filter_map(|tag| ImageName::parse(tag).ok());
                    let tags = tags.map(|name| Reference::of(&name).full()).collect();
                    return self.layers(content, &config, &blobs.collect::<Vec<_>>(), tags);
                }
            }
        }
        Err(self.broken("its indexes name only each other"))
    }

    /// A tar of files.
    fn root_file_system(&self, content: &Content) -> Result<Imported, ImageError> {
        let Content::Tar { file, .. } = content else { return Err(self.broken("it is no archive")) };
        let mut file = file;
        file.rewind().map_err(|error| self.broken(error.to_string()))?;
        let expected = Expected { image: self.image, blob: None, diff_id: None, most: self.most };
        let unpacked = layer::unpack(self.layout, &expected, BufReader::with_capacity(128 << 10, file))?;
        let layers = vec![unpacked.diff_id.clone()];
        let kept = self.put(unpacked)?;
        // It has no configuration, so its id is made of what it has.
        let id = Digest::of(format!("root file system {}", kept.diff_id).as_bytes());
        let record = ImageRecord { id, layers, config: ImageConfig::default() };
        Ok(Imported { record, kept: vec![kept], tags: Vec::new() })
    }

    fn layers(
        &self,
        content: &Content,
        config: &[u8],
        blobs: &[(String, Option<&Descriptor>)],
        tags: Vec<String>,
    ) -> Result<Imported, ImageError> {
        let configuration = Configuration::parse(config).map_err(|reason| self.broken(reason))?;
        if configuration.diff_ids.len() != blobs.len() {
            return Err(self.broken("its manifest and its configuration have different layers"));
        }
        let stack = configuration.stack();
        let mut kept = Vec::new();
        for (diff_id, (name, blob)) in configuration.diff_ids.iter().zip(blobs) {
            if let Some(found) = layer::find(self.layout, diff_id)? {
                kept.push(found);
                continue;
            }
            let expected =
                Expected { image: self.image, blob: *blob, diff_id: Some(diff_id), most: self.most };
            let stream = BufReader::with_capacity(128 << 10, self.open(content, name)?);
            kept.push(self.put(layer::unpack(self.layout, &expected, stream)?)?);
        }
        let record = ImageRecord { id: Digest::of(config), layers: stack, config: configuration.config };
        Ok(Imported { record, kept, tags })
    }

    fn put(&self, unpacked: layer::Unpacked) -> Result<Kept, ImageError> {
        loop {
            match layer::claim(self.layout, &unpacked.diff_id)? {
                Claim::Here(kept) => return Ok(kept),
                Claim::ToMake(lock) => {
                    let kept = unpacked.put(self.layout, lock)?;
                    return kept.ok_or_else(|| self.broken("a layer was removed meanwhile; try again"));
                }
                Claim::Busy => std::thread::sleep(AGAIN),
            }
        }
    }

    fn blob(&self, content: &Content, blob: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let text = self.document(content, &blob_name(&blob.digest))?;
        match Digest::of(&text) {
            found if found == blob.digest => Ok(text),
            found => Err(self.broken(format!("its part {} has the digest {found}", blob.digest))),
        }
    }

    fn document(&self, content: &Content, name: &str) -> Result<Vec<u8>, ImageError> {
        let mut text = Vec::new();
        let mut reader =
            Digesting::new(self.open(content, name)?, LONGEST, "the longest such a document may be");
        reader.read_to_end(&mut text).map_err(|error| self.broken(format!("{name}: {error}")))?;
        Ok(text)
    }

    fn open<'c>(&self, content: &'c Content, name: &str) -> Result<Box<dyn Read + 'c>, ImageError> {
        match content {
            Content::Directory(root) => {
                let path = root.join(name);
                match path.metadata() {
                    Ok(found) if found.is_file() => {
                        Ok(Box::new(File::open(&path).map_err(failed("read", &path))?))
                    }
                    _ => Err(self.broken(format!("it has no file {name}"))),
                }
            }
            Content::Tar { file, parts } => {
                let mut name = normal(name);
                for _ in 0..8 {
                    match parts.get(&name) {
                        Some(Part::At(offset, size)) => {
                            let mut file = file;
                            file.seek(SeekFrom::Start(*offset))
                                .map_err(|error| self.broken(error.to_string()))?;
                            return Ok(Box::new(file.take(*size)));
                        }
                        Some(Part::Link(other)) => name.clone_from(other),
                        None => break,
                    }
                }
                Err(self.broken(format!("it has no file {name}")))
            }
        }
    }
}

impl Content {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(root) => root.join(name).is_file(),
            Self::Tar { parts, .. } => matches!(parts.get(name), Some(Part::At(..))),
        }
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A path without `.`, `..` and doubled slashes.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_made_plain() {
        assert_eq!(normal("./a//b/../c/layer.tar"), "a/c/layer.tar");
        assert_eq!(normal("../../x"), "x");
    }
}
