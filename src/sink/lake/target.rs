//! The places that files go to, and what is asked of them.
//!
//! Guarantee (G3, G5): a file appears whole or not at all, and once under its name. On a disk it was
//! fsynced before it counts. The mirror gets a file after the first place has it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, ObjectStore, ObjectStoreExt as _, ObjectStoreScheme, PutMode, PutOptions,
    RetryConfig, UpdateVersion,
};
use reqwest::Url;

use super::config::Bucket;
use super::trouble::trouble;
use crate::dir_lock::{DirLock, Untaken, create_dirs};
use crate::sink::SinkError;
use crate::tls::use_ring;

/// Longest one request may take.
const REQUEST: Duration = Duration::from_mins(1);
/// Longest a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// What the library tries again by itself; the rest is the engine's.
const RETRIES: usize = 1;
/// The folder of a directory that is locked while files are replaced. What begins with `_` is no one's
/// data.
const LOCKED: &str = "_goldwire/erasing";
/// What of the environment names credentials and regions.
const ENVIRONMENT: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// What became of a file that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// It is there.
    Yes,
    /// One of its name was there already, and stays.
    WasThere,
}

/// A file as it was read: what it held, and which version of it that was.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) file: Bytes,
    version: UpdateVersion,
}

/// What became of a file that was to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaced {
    /// It is there.
    Yes,
    /// The one that was there is another than was read, or gone; that stays so.
    Changed,
}

/// One place for files.
#[derive(Debug, Clone)]
pub(super) struct Target {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The directory, where it is one.
    pub(super) directory: Option<PathBuf>,
    shown: String,
}

impl Target {
    /// The place that the configuration names. Connects to nothing.
    ///
    /// # Errors
    /// What is wrong with the URL or the options, as one sentence.
    pub(super) fn open(bucket: &Bucket) -> Result<Self, String> {
        let shown = bucket.url.clone();
        if let Some(directory) = directory(&bucket.url)? {
            let prefix = Path::from_absolute_path(&directory);
            return Ok(Self {
                store: Arc::new(LocalFileSystem::new().with_fsync(true)),
                prefix: prefix.map_err(|why| format!("url {shown}: {why}; write a directory"))?,
                directory: Some(directory),
                shown,
            });
        }
        let refused = |why: String| format!("url {shown}: {why}; correct url or options");
        let url = Url::parse(&bucket.url).map_err(|why| refused(why.to_string()))?;
        let (store, prefix) = reach(&url, bucket).map_err(|why| refused(why.to_string()))?;
        Ok(Self {
            store,
            prefix,
            directory: None,
            shown,
        })
    }

    /// Where it is, for a person.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    fn path(&self, name: &str) -> Result<Path, Error> {
        Path::parse(format!("{}/{name}", self.prefix)).map_err(Error::from)
    }

    /// Makes a file, unless one of its name is there.
    ///
    /// # Errors
    /// If it is not known to be there.
    pub(super) async fn make(&self, name: &str, file: Bytes) -> Result<Made, SinkError> {
        self.prepare().await?;
        let options = PutOptions::from(PutMode::Create);
        let put = async {
            let path = self.path(name)?;
            self.store.put_opts(&path, file.into(), options).await
        };
        match put.await {
            Ok(_) => Ok(Made::Yes),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Made::WasThere),
            Err(error) => Err(trouble(&error)),
        }
    }

    /// Puts a file in place of the one that was `found`, only if that is still there. A directory
    /// cannot compare: whoever replaces files there holds [`Self::lock`].
    ///
    /// # Errors
    /// As [`Self::make`].
    pub(super) async fn replace(
        &self,
        name: &str,
        file: Bytes,
        found: Found,
    ) -> Result<Replaced, SinkError> {
        let mode = match &self.directory {
            Some(_) => PutMode::Overwrite,
            None => PutMode::Update(found.version),
        };
        let put = async {
            let path = self.path(name)?;
            self.store
                .put_opts(&path, file.into(), PutOptions::from(mode))
                .await
        };
        match put.await {
            Ok(_) => Ok(Replaced::Yes),
            // A store without the object answers that it is not there, or that its version differs;
            // one that has two such requests at once answers one of them with a conflict.
            Err(
                Error::Precondition { .. } | Error::NotFound { .. } | Error::AlreadyExists { .. },
            ) => Ok(Replaced::Changed),
            Err(error) => Err(trouble(&error)),
        }
    }

    /// Keeps others from replacing files of a directory, as long as it lives. Nothing for an object
    /// store, which compares versions.
    ///
    /// # Errors
    /// If another has it.
    pub(super) async fn lock(&self) -> Result<Option<DirLock>, SinkError> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let dir = directory.join(LOCKED);
        let taken = tokio::task::spawn_blocking(move || DirLock::take(&dir)).await;
        match taken.map_err(std::io::Error::other) {
            Ok(Ok(lock)) => Ok(Some(lock)),
            Ok(Err(Untaken::InUse)) => Err(SinkError::Retryable {
                code: "another process is replacing files there".to_owned(),
                ambiguous: false,
                outage: false,
            }),
            Ok(Err(Untaken::Failed(error))) | Err(error) => Err(self.unwritable(&error)),
        }
    }

    /// Puts a file, whatever is there.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub(super) async fn put(&self, name: &str, file: Bytes) -> Result<(), SinkError> {
        self.prepare().await?;
        let put = async { self.store.put(&self.path(name)?, file.into()).await };
        put.await.map(|_| ()).map_err(|error| trouble(&error))
    }

    /// The names of the files below `folder`, which may be empty for all.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, SinkError> {
        let list = async {
            let below = self.path(folder)?;
            let found: Vec<_> = self.store.list(Some(&below)).try_collect().await?;
            let parts = self.prefix.parts_count();
            let name = |path: &Path| {
                let own = path.parts().skip(parts);
                let own: Vec<String> = own.map(|part| part.as_ref().to_owned()).collect();
                own.join("/")
            };
            Ok(found.iter().map(|meta| name(&meta.location)).collect())
        };
        list.await.map_err(|error: Error| trouble(&error))
    }

    /// Removes a file; one that is not there is removed.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub(super) async fn remove(&self, name: &str) -> Result<(), SinkError> {
        let remove = async { self.store.delete(&self.path(name)?).await };
        match remove.await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(trouble(&error)),
        }
    }

    /// What a file holds.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) async fn read(&self, name: &str) -> Result<Bytes, SinkError> {
        let get = async { self.store.get(&self.path(name)?).await?.bytes().await };
        get.await.map_err(|error| trouble(&error))
    }

    /// A file to be replaced; nothing if there is none any more.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Found>, SinkError> {
        let get = async {
            let answer = self.store.get(&self.path(name)?).await?;
            let version = UpdateVersion {
                e_tag: answer.meta.e_tag.clone(),
                version: answer.meta.version.clone(),
            };
            let file = answer.bytes().await?;
            Ok(Found { file, version })
        };
        match get.await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(trouble(&error)),
        }
    }

    /// How many bytes a file has.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) async fn size(&self, name: &str) -> Result<u64, SinkError> {
        let head = async { self.store.head(&self.path(name)?).await };
        let head = head.await.map_err(|error| trouble(&error))?;
        Ok(head.size)
    }

    /// Whether the store answers, and lets its files be read; without a trace.
    ///
    /// # Errors
    /// If not.
    pub(super) async fn ask(&self) -> Result<(), Error> {
        match self.store.head(&self.path("goldwire-probe")?).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Makes the directory, for this user alone.
    async fn prepare(&self) -> Result<(), SinkError> {
        let Some(directory) = self.directory.clone() else {
            return Ok(());
        };
        let made = tokio::task::spawn_blocking(move || create_dirs(&directory)).await;
        let made = made.map_err(std::io::Error::other).flatten();
        made.map_err(|error| self.unwritable(&error))
    }

    fn unwritable(&self, error: &std::io::Error) -> SinkError {
        SinkError::Systemic {
            code: error.kind().to_string(),
            remedy: format!(
                "make {} a directory that this process may write to",
                self.shown
            ),
        }
    }

    /// A place in a store of a test.
    #[cfg(test)]
    pub(super) fn of(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            prefix: Path::from("lake"),
            directory: None,
            shown: "a store".to_owned(),
        }
    }
}

/// The directory that a URL names; nothing if it names an object store.
fn directory(url: &str) -> Result<Option<PathBuf>, String> {
    let path = match url.split_once("://") {
        Some(("file", path)) => path,
        Some(_) => return Ok(None),
        None => url,
    };
    let absolute = std::path::absolute(path);
    absolute
        .map(Some)
        .map_err(|why| format!("url {url}: {why}; write a directory, or s3://bucket/prefix"))
}

/// The client of an object store.
fn reach(url: &Url, bucket: &Bucket) -> Result<(Arc<dyn ObjectStore>, Path), Error> {
    use object_store::{aws, azure, gcp};

    use_ring();
    let (scheme, prefix) = ObjectStoreScheme::parse(url)?;
    let environment = std::env::vars().filter(|(name, _)| {
        let name = name.to_ascii_uppercase();
        ENVIRONMENT.iter().any(|known| name.starts_with(known))
    });
    let written = bucket.options.iter();
    let written = written.map(|(name, value)| (name.clone(), value.reveal().to_owned()));
    let options: Vec<(String, String)> = environment.chain(written).collect();
    let client = ClientOptions::new()
        .with_timeout(REQUEST)
        .with_connect_timeout(CONNECT)
        .with_allow_http(bucket.insecure_plain_http);
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: REQUEST,
        ..RetryConfig::default()
    };
    macro_rules! built {
        ($builder:expr) => {{
            let mut builder = $builder.with_url(url.as_str());
            for (name, value) in &options {
                let name = name.to_ascii_lowercase();
                match name.parse() {
                    Ok(key) => builder = builder.with_config(key, value),
                    // The environment has more than settings; what is written is meant.
                    Err(error) if bucket.options.contains_key(&name) => return Err(error),
                    Err(_) => {}
                }
            }
            let builder = builder.with_client_options(client).with_retry(retry);
            Arc::new(builder.build()?)
        }};
    }
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => built!(aws::AmazonS3Builder::new()),
        ObjectStoreScheme::GoogleCloudStorage => built!(gcp::GoogleCloudStorageBuilder::new()),
        ObjectStoreScheme::MicrosoftAzure => built!(azure::MicrosoftAzureBuilder::new()),
        ObjectStoreScheme::Local | ObjectStoreScheme::Memory | ObjectStoreScheme::Http | _ => {
            let source = "no object store is known by this scheme; write s3://, gs:// or abfss://";
            return Err(Error::Generic {
                store: "lake",
                source: source.into(),
            });
        }
    };
    Ok((store, prefix))
}
