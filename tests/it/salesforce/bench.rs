//! The sink against the fake org, with a Reltio whose answers the test writes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use goldwire::event::{Object, Subject, SubjectState};
use goldwire::pace::Portion;
use goldwire::reltio::{Answer, Found, RecordReader, ReltioError, TenantModel};
use goldwire::sink::salesforce::{Deps, Salesforce, SalesforceSink, Table};
use goldwire::sink::{Ack, Current, Sink as _, SinkError, Tell, Write};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SystemClock};
use loadtest::fake_salesforce::{FakeObject, FakeRecord, FakeSalesforce, Field, Kind, Settings};
use serde_json::{Value, json};

use super::super::crm_oracle::org::fake_table;

/// Reltio: who lives with which crosswalks, and who survived whom. And what was told.
#[derive(Debug, Default)]
pub(crate) struct Tenant {
    /// Why its configuration cannot be read.
    pub(crate) closed: Mutex<Option<ReltioError>>,
    pub(crate) models_read: AtomicUsize,
    pub(crate) living: Mutex<BTreeMap<String, Value>>,
    pub(crate) survivors: Mutex<BTreeMap<String, String>>,
    pub(crate) told: Mutex<Vec<(String, u32, Vec<String>)>>,
}

impl Tenant {
    fn answer(asked: Option<&str>, object: Option<Value>) -> Answer {
        let found = object.map_or(Found::Nothing, |json| {
            let object = Arc::new(Object::parse(json.to_string().as_bytes()).unwrap());
            if asked.is_none_or(|asked| object.uri() == Some(asked)) {
                Found::Alive(object)
            } else {
                Found::Survivor(object)
            }
        });
        Answer { date: 5_000, found }
    }
}

#[async_trait]
impl RecordReader for Tenant {
    async fn read(&self, uri: &str) -> Result<Answer, ReltioError> {
        let uri_now = self.survivors.lock().unwrap().get(uri).cloned();
        let object = self
            .living
            .lock()
            .unwrap()
            .get(uri_now.as_deref().unwrap_or(uri))
            .cloned();
        Ok(Self::answer(Some(uri), object))
    }

    async fn by_crosswalk(&self, source: &str, value: &str) -> Result<Answer, ReltioError> {
        let living = self.living.lock().unwrap();
        let names = |object: &&Value| {
            let crosswalks = object["crosswalks"].as_array().unwrap();
            crosswalks
                .iter()
                .any(|it| it["value"] == value && it["type"].as_str().unwrap().ends_with(source))
        };
        Ok(Self::answer(None, living.values().find(names).cloned()))
    }

    async fn model(&self) -> Result<Arc<TenantModel>, ReltioError> {
        self.models_read.fetch_add(1, Ordering::Relaxed);
        match self.closed.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => TenantModel::parse(model().to_string().as_bytes()).map(Arc::new),
        }
    }
}

/// A configuration with the source and the attributes that the tests' golden records have.
fn model() -> Value {
    let uri = "configuration/entityTypes/Individual";
    let attribute = |name: &str| json!({ "uri": format!("{uri}/attributes/{name}") });
    let attributes = ["FirstName", "LastName"].map(attribute);
    json!({
        "sources": [{ "uri": "configuration/sources/SFDC" }],
        "entityTypes": [{ "uri": uri, "attributes": attributes }],
    })
}

#[async_trait]
impl Tell for Tenant {
    async fn tell(
        &self,
        subject: &Subject,
        hops: u32,
        targets: &[String],
    ) -> Result<(), SinkError> {
        let told = (subject.uri().to_owned(), hops, targets.to_vec());
        self.told.lock().unwrap().push(told);
        Ok(())
    }
}

pub(crate) struct Bench {
    pub(crate) org: FakeSalesforce,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) sink: Salesforce,
}

pub(crate) fn config(url: &str) -> Value {
    json!({
        "login_url": url, "client_id": "fake", "client_secret": "fake-secret",
        "crosswalk_source": "SFDC", "guard": "version", "insecure_plain_http": true,
        "linger": "10ms", "request_timeout": "5s", "quota": { "per_second": 1000 },
        "objects": { "Individual": { "sobject": "Contact", "fields": {
            "FirstName": { "attribute": "FirstName" },
            "LastName": { "attribute_or": { "path": "LastName", "default": "Unknown" } },
        } } },
    })
}

pub(crate) fn contact() -> FakeObject {
    let config: SalesforceSink = serde_json::from_value(config("http://x")).unwrap();
    let last = Field {
        required: true,
        ..Field::of(Kind::Text(80))
    };
    let mapped = [("FirstName", Field::of(Kind::Text(40))), ("LastName", last)];
    let table = fake_table(&Table::of(&config.objects["Individual"]));
    FakeObject::new(table, "003", &mapped)
}

pub(crate) async fn bench() -> Bench {
    bench_with(Settings::of(vec![contact()]), |_| {}).await
}

pub(crate) async fn bench_with(settings: Settings, change: impl FnOnce(&mut Value)) -> Bench {
    let org = FakeSalesforce::start(settings).await.unwrap();
    let mut config = config(&org.url());
    change(&mut config);
    let config: SalesforceSink = serde_json::from_value(config).unwrap();
    let tenant = Arc::new(Tenant::default());
    let sink = Salesforce::new("crm", &config, around(&tenant)).unwrap();
    Bench { org, tenant, sink }
}

pub(crate) fn around(tenant: &Arc<Tenant>) -> Deps {
    Deps {
        reltio: Arc::<Tenant>::clone(tenant),
        tell: Arc::<Tenant>::clone(tenant),
        settle: Duration::ZERO,
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::noop()),
        portion: Portion::whole(),
    }
}

/// A golden record with a first and a last name, and crosswalks in the order of their dates.
pub(crate) fn golden(entity: &str, first: &str, contacts: &[&str]) -> Value {
    let crosswalk = |(day, id): (usize, &&str)| {
        json!({
            "type": "configuration/sources/SFDC", "value": id,
            "createDate": format!("2024-01-{:02}T00:00:00.000Z", day + 1),
        })
    };
    json!({
        "uri": entity, "type": "configuration/entityTypes/Individual",
        "attributes": {
            "FirstName": [{ "value": first, "ov": true }],
            "LastName": [{ "value": "Lovelace", "ov": true }],
        },
        "crosswalks": contacts.iter().enumerate().map(crosswalk).collect::<Vec<_>>(),
    })
}

pub(crate) fn delivery(entity: &str, state: SubjectState, content_time: Millis) -> Write {
    Write {
        subject: Subject::new("t", entity),
        object_type: "Individual".into(),
        current: Some(Current {
            state,
            content_time,
            version: Some(1),
            fields: None,
            erased: false,
        }),
        changes: Vec::new(),
        newest: content_time,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

pub(crate) fn alive(json: &Value) -> SubjectState {
    SubjectState::Alive(Arc::new(
        Object::parse(json.to_string().as_bytes()).unwrap(),
    ))
}

impl Bench {
    /// Reltio has this record, and its newest state is delivered.
    pub(crate) async fn lives(&self, json: &Value, at: Millis) -> Result<Ack, SinkError> {
        let entity = json["uri"].as_str().unwrap();
        self.tenant
            .living
            .lock()
            .unwrap()
            .insert(entity.to_owned(), json.clone());
        self.sink
            .write_one(&delivery(entity, alive(json), at))
            .await
    }

    /// Reltio has it no more, and that is delivered.
    pub(crate) async fn ends(
        &self,
        entity: &str,
        state: SubjectState,
        at: Millis,
    ) -> Result<Ack, SinkError> {
        self.tenant.living.lock().unwrap().remove(entity);
        if let SubjectState::Absorbed { by: Some(by) } = &state {
            self.tenant
                .survivors
                .lock()
                .unwrap()
                .insert(entity.to_owned(), by.clone());
        }
        self.sink.write_one(&delivery(entity, state, at)).await
    }

    /// Delivers what was told to other lanes, as their lanes would, until no one tells any more.
    pub(crate) async fn reconcile(&self, at: Millis) {
        loop {
            let told = std::mem::take(&mut *self.tenant.told.lock().unwrap());
            if told.is_empty() {
                return;
            }
            for (entity, hops, targets) in told {
                let json = self.tenant.living.lock().unwrap().get(&entity).cloned();
                let state = json.as_ref().map_or(SubjectState::Gone, alive);
                let told = Write {
                    targets,
                    hops,
                    ..delivery(&entity, state, at)
                };
                self.sink.write_one(&told).await.unwrap();
            }
        }
    }

    pub(crate) fn contacts(&self) -> Vec<FakeRecord> {
        self.org.records("Contact")
    }

    pub(crate) fn contact(&self, id: &str) -> FakeRecord {
        self.contacts()
            .into_iter()
            .find(|record| record.id == id)
            .unwrap()
    }

    pub(crate) fn add(&self, first: &str) -> String {
        let fields = [("FirstName", json!(first)), ("LastName", json!("User"))];
        self.org
            .change("Contact", |object| object.add(&fields))
            .unwrap()
    }
}

pub(crate) fn text<'a>(record: &'a FakeRecord, field: &str) -> Option<&'a str> {
    record.fields.get(field).and_then(Value::as_str)
}

pub(crate) fn archived(record: &FakeRecord) -> bool {
    record.fields.get("Reltio_Archived__c") == Some(&json!(true))
}
