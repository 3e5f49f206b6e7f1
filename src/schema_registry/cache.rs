//! The registry's answers on disk.
//!
//! Guarantee: a file is whole or not there, whenever the process or the power ends; one that is
//! damaged is not believed, and its schema is asked for again. What stands under an id never
//! changes, so nothing is ever too old. Each registry, by its address, has a folder of its own: ids
//! are the registry's.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::decode::schema::SchemaText;
use crate::dir_lock::create_dirs;

/// How a file begins; behind it the digest of the rest, and a line break.
const HEAD: &str = "goldwire-schema 1 ";
/// Bytes of the address's digest that name the folder.
const NAME: usize = 8;

/// A folder of answers.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    dir: PathBuf,
}

/// What is in a file: also of which id it is, since a file can be renamed.
#[derive(Debug, Serialize, Deserialize)]
struct Kept<T> {
    id: u32,
    schema: T,
}

impl Cache {
    /// The answers of the registry at `url`, in `dir`. Nothing is made before there is one.
    pub(super) fn new(dir: &Path, url: &str) -> Self {
        let digest = Sha256::digest(url.trim_end_matches('/'));
        let name = hex::encode(digest.get(..NAME).unwrap_or_default());
        let dir = dir.join(name);
        Self { dir }
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn file(&self, id: u32) -> PathBuf {
        self.dir.join(format!("{id}.schema"))
    }

    /// What was kept under `id`.
    ///
    /// # Errors
    /// If there is a file that cannot be read, or is damaged.
    pub(super) fn read(&self, id: u32) -> io::Result<Option<SchemaText>> {
        let bytes = match fs::read(self.file(id)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it is damaged");
        let rest = bytes.strip_prefix(HEAD.as_bytes()).ok_or_else(damaged)?;
        let line = rest.iter().position(|byte| *byte == b'\n');
        let (digest, text) = line
            .and_then(|line| rest.split_at_checked(line))
            .and_then(|(digest, text)| Some((digest, text.get(1..)?)))
            .ok_or_else(damaged)?;
        if digest != hex::encode(Sha256::digest(text)).as_bytes() {
            return Err(damaged());
        }
        let kept: Kept<SchemaText> = serde_json::from_slice(text).map_err(|_| damaged())?;
        if kept.id != id {
            return Err(damaged());
        }
        Ok(Some(kept.schema))
    }

    /// Keeps `schema` under `id`.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub(super) fn write(&self, id: u32, schema: &SchemaText) -> io::Result<()> {
        create_dirs(&self.dir)?;
        let text = serde_json::to_string(&Kept { id, schema })?;
        // For this process's user alone, as everything in the data directory.
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        writeln!(file, "{HEAD}{}", hex::encode(Sha256::digest(&text)))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.file(id)).map_err(|error| error.error)?;
        File::open(&self.dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::schema::{Language, Reference};

    fn schema() -> SchemaText {
        SchemaText {
            language: Language::Protobuf,
            text: "message \"ü\"\n{}".to_owned(),
            references: vec![Reference {
                name: "a.proto".to_owned(),
                text: "…".to_owned(),
            }],
        }
    }

    #[test]
    fn what_is_kept_is_read_again_and_each_registry_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "https://one/");
        assert_eq!(cache.read(7).unwrap(), None);
        cache.write(7, &schema()).unwrap();
        cache.write(7, &schema()).unwrap();
        assert_eq!(cache.read(7).unwrap(), Some(schema()));
        let same = Cache::new(dir.path(), "https://one");
        assert_eq!(same.read(7).unwrap(), Some(schema()));
        let other = Cache::new(dir.path(), "https://two");
        assert_eq!(other.read(7).unwrap(), None);
        assert_eq!(fs::read_dir(cache.dir()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_with_any_byte_changed_or_cut_off_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "https://one");
        cache.write(7, &schema()).unwrap();
        let whole = fs::read(cache.file(7)).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(cache.file(7), &changed).unwrap();
            assert!(cache.read(7).is_err(), "byte {at}");
            fs::write(cache.file(7), &whole[..at]).unwrap();
            assert!(cache.read(7).is_err(), "cut at {at}");
        }
        fs::write(cache.file(8), &whole).unwrap();
        assert!(cache.read(8).is_err(), "it is another's");
    }
}
