use std::fmt::{self, Display, Formatter};
use std::ops::Range;
use std::sync::Mutex;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;

/// What another does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    /// Takes the file away before it is read.
    Removes,
    /// Puts this file, after it was read.
    Replaces(&'static str),
    /// Takes it away after it was read.
    RemovesLate,
}

/// A store in memory in which another acts once, when a data file is read.
#[derive(Debug)]
struct Shared {
    store: InMemory,
    other: Mutex<Option<Other>>,
}

impl Display for Shared {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "a shared store")
    }
}

#[async_trait]
impl ObjectStore for Shared {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.store.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_data = location.as_ref().contains("date=");
        let other = self.other.lock().unwrap().take_if(|_| is_data);
        if other == Some(Other::Removes) {
            self.store.delete(location).await?;
        }
        let found = self.store.get_opts(location, options).await;
        match other {
            Some(Other::Replaces(lines)) => {
                self.store.put(location, gzip(lines).into()).await?;
            }
            Some(Other::RemovesLate) => self.store.delete(location).await?,
            Some(Other::Removes) | None => {}
        }
        found
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

const A: &str = r#"{"tenant":"acme","subject":"entities/a","state":"alive","commit_time":1}"#;
const B: &str = r#"{"tenant":"acme","subject":"entities/b","state":"alive","commit_time":1}"#;
const FILE: &str = "date=2026-11-30/one.ndjson.gz";

fn gzip(lines: &str) -> Bytes {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(lines.as_bytes()).unwrap();
    encoder.finish().unwrap().into()
}

fn lines(file: &Bytes) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(file.as_ref());
    decoder.read_to_string(&mut text).unwrap();
    text
}

/// Looks through a file of `a` and `b`, of which `a` was erased, while another acts: how many files were
/// rewritten, what is there, and how many notes are left.
async fn looked_through(other: Other) -> (usize, Option<String>, usize) {
    let store = Arc::new(Shared {
        store: InMemory::new(),
        other: Mutex::new(Some(other)),
    });
    let first = Target::of(Arc::<Shared>::clone(&store));
    let file = gzip(&format!("{A}\n{B}\n"));
    first.put(FILE, file).await.unwrap();
    let erasure = Erasure {
        tenant: "acme".to_owned(),
        subject: "entities/a".to_owned(),
        commit_time: 5,
    };
    let (name, text) = note("date=2026-11-30/two.ndjson.gz", &[erasure]).unwrap();
    first.put(&name, text).await.unwrap();
    let targets = Targets {
        first,
        mirror: None,
    };
    let files = look_through(Format::Ndjson, &targets).await.unwrap();
    assert_eq!(*store.other.lock().unwrap(), None, "the other acted");
    let there = targets.first.find(FILE).await.unwrap();
    let notes = targets.first.list(NOTES).await.unwrap();
    (files, there.map(|found| lines(&found.file)), notes.len())
}

#[tokio::test]
async fn a_file_that_another_replaced_meanwhile_is_read_anew() {
    // The other took `b` out as well, of whose erasure this one does not know.
    let left = looked_through(Other::Replaces(A)).await;
    assert_eq!(left, (1, Some(String::new()), 0));
    let same = looked_through(Other::Replaces(B)).await;
    assert_eq!(same, (0, Some(B.to_owned()), 0));
}

#[tokio::test]
async fn a_file_that_is_gone_is_passed_over_and_not_made_again() {
    for other in [Other::Removes, Other::RemovesLate] {
        assert_eq!(looked_through(other).await, (0, None, 0), "{other:?}");
    }
}
