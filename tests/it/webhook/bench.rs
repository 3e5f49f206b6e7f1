//! A listener on a free port, with an inbox that can be stalled or filled up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use goldwire::config::Secret;
use goldwire::event::CompletenessConfig;
use goldwire::event::SourceRecord;
use goldwire::log::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, MemoryLog, OffsetRange, ReadLimit,
    Retention, Share,
};
use goldwire::telemetry::Metrics;
use goldwire::time::{Clock, Millis};
use goldwire::webhook::signature::{Key, sign};
use goldwire::webhook::{Handle, ServeError, serve};
use goldwire::webhook::{RateLimit, SignatureScheme, WebhookListener, WebhookSource};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

pub(super) const RELTIO_SECRET: &str = "It's a Secret to Everybody";
pub(super) const STANDARD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// The time at which every bench starts.
pub(super) const NOW: Millis = 1_649_367_553_000;

/// A clock that stands where it is set.
#[derive(Debug)]
pub(super) struct SetClock(pub(super) AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

/// A log whose disk hangs, or is full, when told so.
#[derive(Debug)]
pub(super) struct TroubledLog {
    inner: MemoryLog,
    pub(super) stalled: watch::Sender<bool>,
    pub(super) full: AtomicBool,
    pub(super) begun: AtomicUsize,
}

#[async_trait]
impl LogAppender for TroubledLog {
    fn identity(&self) -> &LogIdentity {
        self.inner.identity()
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.stalled
            .subscribe()
            .wait_for(|stalled| !stalled)
            .await
            .unwrap();
        self.admits(share)?;
        self.inner.append_within(share, partition, records).await
    }

    fn largest_record(&self) -> usize {
        self.inner.largest_record()
    }

    fn admits(&self, share: Share) -> Result<(), LogError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(LogError::Full { used: 1, quota: 1 });
        }
        self.inner.admits(share)
    }
}

#[async_trait]
impl Retention for TroubledLog {
    async fn trim(&self, floors: &[u64]) -> Result<(), LogError> {
        self.inner.trim(floors).await
    }

    async fn evict(&self, floors: &[u64]) -> Result<(), LogError> {
        self.inner.evict(floors).await
    }

    fn usage(&self) -> (u64, u64) {
        self.inner.usage()
    }
}

#[async_trait]
impl Log for TroubledLog {
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        self.inner.read(partition, from, limit).await
    }

    async fn wait(&self, partition: u16, from: u64) {
        self.inner.wait(partition, from).await;
    }

    fn range(&self, partition: u16) -> OffsetRange {
        self.inner.range(partition)
    }
}

impl TroubledLog {
    /// How many records are durable.
    pub(super) fn range_end(&self) -> u64 {
        self.range(0).end
    }
}

/// A listener and all around it.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) handle: Handle,
    pub(super) inbox: Arc<TroubledLog>,
    pub(super) clock: Arc<SetClock>,
    pub(super) client: reqwest::Client,
    registry: prometheus::Registry,
    /// Dropped, it counts no more.
    _meters: SdkMeterProvider,
}

pub(super) fn listener() -> WebhookListener {
    WebhookListener {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        trusted_proxy: None,
        insecure_plain_http: true,
        connections: 2048,
        deadline: "4s".into(),
    }
}

pub(super) fn source(scheme: SignatureScheme) -> WebhookSource {
    let (path, secret) = match scheme {
        SignatureScheme::Reltio => ("/reltio-webhook", RELTIO_SECRET),
        SignatureScheme::Standard => ("/standard", STANDARD_SECRET),
    };
    WebhookSource {
        path: path.to_owned(),
        scheme,
        secrets: vec![Secret::new(secret)],
        bearer: None,
        max_body: "1MiB".into(),
        rate_limit: RateLimit::default(),
        completeness: CompletenessConfig::default(),
        entity_types: None,
        event_types: None,
        include_relationships: true,
    }
}

pub(super) fn reltio() -> WebhookSource {
    source(SignatureScheme::Reltio)
}

pub(super) fn client() -> reqwest::ClientBuilder {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    reqwest::Client::builder().no_proxy()
}

impl Bench {
    /// A bench with one source, `crm`.
    pub(super) async fn with(source: WebhookSource) -> Self {
        Self::start(&listener(), vec![("crm".to_owned(), source)])
            .await
            .unwrap()
    }

    pub(super) async fn start(
        listener: &WebhookListener,
        sources: Vec<(String, WebhookSource)>,
    ) -> Result<Self, ServeError> {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .build()
            .unwrap();
        let meters = SdkMeterProvider::builder().with_reader(exporter).build();
        let inbox = Arc::new(TroubledLog {
            inner: MemoryLog::new(1),
            stalled: watch::Sender::new(false),
            full: AtomicBool::new(false),
            begun: AtomicUsize::new(0),
        });
        let clock = Arc::new(SetClock(AtomicI64::new(NOW)));
        let log: Arc<dyn Log> = Arc::<TroubledLog>::clone(&inbox);
        let time: Arc<dyn Clock> = Arc::<SetClock>::clone(&clock);
        let metrics = Arc::new(Metrics::new(&meters.meter("test")));
        let handle = serve(listener, sources, log, time, metrics).await?;
        let client = client().build().unwrap();
        Ok(Self {
            handle,
            inbox,
            clock,
            client,
            registry,
            _meters: meters,
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.handle.address())
    }

    /// A signed request to the bench's `reltio` endpoint.
    pub(super) fn lawful(&self, body: impl Into<Vec<u8>>) -> reqwest::RequestBuilder {
        let body = body.into();
        let headers = signed(SignatureScheme::Reltio, RELTIO_SECRET, NOW, &body);
        let request = self.client.post(self.url("/reltio-webhook")).body(body);
        headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, value)
        })
    }

    /// What the inbox holds.
    pub(super) async fn records(&self) -> Vec<SourceRecord> {
        let limit = ReadLimit {
            records: usize::MAX,
            bytes: usize::MAX,
        };
        let records = self.inbox.read(0, 0, limit).await.unwrap();
        records
            .into_iter()
            .map(|record| SourceRecord::decode(record.bytes).unwrap())
            .collect()
    }

    /// How many answers were counted, by endpoint, authenticated, code.
    pub(super) fn counted(&self) -> BTreeMap<(String, String, String), String> {
        let families = self.registry.gather();
        let requests = families
            .iter()
            .filter(|family| family.name().starts_with("goldwire_webhook_requests"));
        let counted = requests
            .flat_map(prometheus::proto::MetricFamily::get_metric)
            .map(|metric| {
                let label = |name: &str| {
                    let mut labels = metric.get_label().iter();
                    labels
                        .find(|label| label.name() == name)
                        .unwrap()
                        .value()
                        .to_owned()
                };
                let labels = (label("endpoint"), label("authenticated"), label("code"));
                (labels, metric.get_counter().get_value().to_string())
            });
        counted.collect()
    }

    /// Sends bytes as they are, and reads until the listener closes.
    pub(super) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.handle.address()).await.unwrap()
    }
}

pub(super) fn signed(
    scheme: SignatureScheme,
    secret: &str,
    now: Millis,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    let key = Key::new(scheme, &Secret::new(secret)).unwrap();
    sign(scheme, &key, "msg_1", now, body)
}

pub(super) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("an end")
        .ok();
    String::from_utf8(answer).unwrap()
}

/// Waits until `condition` holds.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect(what);
}
