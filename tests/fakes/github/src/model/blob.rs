//! Stored files, by the rules of the blob service.

use super::{GitHub, Refused};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobKind {
    /// At once, or in blocks that are put together at the end.
    Block,
    /// Piece by piece.
    Append,
}

/// A stored file.
#[derive(Clone, Debug)]
pub struct Blob {
    /// How it is written.
    pub kind: BlobKind,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Nothing may be added.
    pub sealed: bool,
    /// Its type.
    pub content_type: String,
    blocks: Vec<(String, Vec<u8>)>,
}

/// A way of writing.
#[derive(Clone, Debug)]
pub enum Put {
    /// The whole file.
    Whole {
        /// Kind of the file; of an append file this makes the empty file.
        kind: BlobKind,
        /// Not when it is there already.
        new_only: bool,
        /// Type.
        content_type: String,
    },
    /// A piece of an append file.
    AppendBlock {
        /// It is the last one.
        seal: bool,
    },
    /// The end of an append file.
    Seal,
    /// A block of a file that is put together later.
    Block(String),
    /// The blocks, in their order.
    BlockList(Vec<String>),
}

impl GitHub {
    /// Writes to a file.
    ///
    /// # Errors
    /// The file does not take this now.
    pub fn put_blob(&mut self, name: &str, put: Put, bytes: Vec<u8>) -> Result<(), Refused> {
        let conflict = |why: &str| Err(Refused::Conflict(why.to_owned()));
        let blob = self.blobs.get_mut(name);
        match put {
            Put::Whole { kind, new_only, content_type } => {
                if blob.is_some() && new_only {
                    return conflict("BlobAlreadyExists");
                }
                if kind == BlobKind::Append && !bytes.is_empty() {
                    return Err(Refused::BadRequest(
                        "InvalidHeaderValue: an append blob begins empty".to_owned(),
                    ));
                }
                let blob = Blob { kind, bytes, sealed: false, content_type, blocks: Vec::new() };
                self.blobs.insert(name.to_owned(), blob);
            }
            Put::AppendBlock { seal } => match blob {
                None => return Err(Refused::NotFound("BlobNotFound".to_owned())),
                Some(blob) if blob.kind != BlobKind::Append => return conflict("InvalidBlobType"),
                Some(blob) if blob.sealed => return conflict("BlobIsSealed"),
                Some(blob) => {
                    blob.bytes.extend(bytes);
                    blob.sealed = seal;
                }
            },
            Put::Seal => match blob {
                Some(blob) if blob.kind == BlobKind::Append => blob.sealed = true,
                Some(_) => return conflict("InvalidBlobType"),
                None => return Err(Refused::NotFound("BlobNotFound".to_owned())),
            },
            Put::Block(id) => {
                let blob = self.blobs.entry(name.to_owned()).or_insert_with(|| Blob {
                    kind: BlobKind::Block,
                    bytes: Vec::new(),
                    sealed: false,
                    content_type: "application/octet-stream".to_owned(),
                    blocks: Vec::new(),
                });
                blob.blocks.retain(|(own, _)| *own != id);
                blob.blocks.push((id, bytes));
            }
            Put::BlockList(ids) => {
                let Some(blob) = blob else { return Err(Refused::NotFound("BlobNotFound".to_owned())) };
                let mut whole = Vec::new();
                for id in &ids {
                    match blob.blocks.iter().find(|(own, _)| own == id) {
                        Some((_, block)) => whole.extend_from_slice(block),
                        None => return Err(Refused::BadRequest("InvalidBlockList".to_owned())),
                    }
                }
                blob.bytes = whole;
                blob.blocks.clear();
            }
        }
        Ok(())
    }

    /// The text of a file, without its byte order mark.
    pub fn blob_text(&self, name: &str) -> Option<String> {
        let bytes = &self.blobs.get(name)?.bytes;
        Some(String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).into_owned())
    }
}
