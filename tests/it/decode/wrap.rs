//! The envelopes in which one event can travel, each around any text: an event or another envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::carrier::zip;

/// What is put around a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrap {
    /// `messageAttributes` and `body` as an object: Reltio's own sample.
    Reltio,
    /// The same with the body as text.
    ReltioText,
    /// What `ReceiveMessage` of SQS answers.
    Sqs,
    /// An SNS notification, as it is posted and as a queue holds it.
    Sns,
    /// Kafka Connect's `JsonConverter` with schemas.
    Connect,
    /// The same of a text.
    ConnectText,
    /// A structured `CloudEvent`.
    CloudEvent,
    /// The same with its data as text.
    CloudEventText,
    /// The same with its data as bytes.
    CloudEventBytes,
    /// An event of an Amazon `EventBridge` bus.
    EventBridge,
    /// What Google Pub/Sub posts to a push endpoint.
    PubSub,
    /// What Azure Event Grid posts.
    EventGrid,
    /// One message of a Service Bus batch.
    ServiceBus,
    /// The same in base64.
    ServiceBusBytes,
    /// A Service Bus message as Logic Apps has it.
    LogicApps,
    /// A Service Bus message as the SDKs print it.
    Received,
    /// JSON text in JSON text.
    Quoted,
    /// `JSON_ZIP_BASE64`.
    Zipped,
}

impl Wrap {
    pub(super) const ALL: [Self; 18] = [
        Self::Reltio,
        Self::ReltioText,
        Self::Sqs,
        Self::Sns,
        Self::Connect,
        Self::ConnectText,
        Self::CloudEvent,
        Self::CloudEventText,
        Self::CloudEventBytes,
        Self::EventBridge,
        Self::PubSub,
        Self::EventGrid,
        Self::ServiceBus,
        Self::ServiceBusBytes,
        Self::LogicApps,
        Self::Received,
        Self::Quoted,
        Self::Zipped,
    ];

    /// Whether it has a place for metadata.
    pub(super) fn says(self) -> bool {
        !matches!(
            self,
            Self::Connect | Self::ConnectText | Self::Quoted | Self::Zipped
        )
    }

    /// How many layers it puts around an object.
    pub(super) fn layers(self) -> usize {
        match self {
            Self::EventBridge | Self::PubSub => 2,
            Self::EventGrid => 3,
            Self::Reltio
            | Self::ReltioText
            | Self::Sqs
            | Self::Sns
            | Self::Connect
            | Self::ConnectText
            | Self::CloudEvent
            | Self::CloudEventText
            | Self::CloudEventBytes
            | Self::ServiceBus
            | Self::ServiceBusBytes
            | Self::LogicApps
            | Self::Received
            | Self::Quoted
            | Self::Zipped => 1,
        }
    }

    /// The envelope's text, with `inner` in it as it is.
    pub(super) fn around(self, metadata: &[(&str, &str)], inner: &str) -> String {
        let text = json!(inner);
        let bytes = json!(STANDARD.encode(inner));
        // By hand, so that an object keeps its spelling.
        let object = if inner.starts_with('{') {
            inner.to_owned()
        } else {
            text.to_string()
        };
        let plain = said(metadata, |value| json!(value));
        match self {
            Self::Reltio => format!(r#"{{"messageAttributes": {plain}, "body": {object} }}"#),
            Self::ReltioText => json!({ "messageAttributes": plain, "body": text }).to_string(),
            Self::Sqs => sqs(metadata, &text),
            Self::Sns => sns(metadata, &text),
            Self::Connect => {
                format!(r#"{{"schema":{{"type":"struct","fields":[]}},"payload":{object}}}"#)
            }
            Self::ConnectText => {
                json!({ "schema": { "type": "string", "optional": false }, "payload": text })
                    .to_string()
            }
            Self::CloudEvent => {
                let attributes = cloud_event(metadata).to_string();
                let attributes = attributes.trim_end_matches('}');
                format!(r#"{attributes},"data": {object}}}"#)
            }
            Self::CloudEventText => with(cloud_event(metadata), "data", text),
            Self::CloudEventBytes => with(cloud_event(metadata), "data_base64", bytes),
            Self::EventBridge => format!(
                r#"{{"version":"0","id":"6a7e8feb-b491-4cf7-a9f1-bf3703467718","detail-type":"Reltio change","source":"example.reltio","account":"111122223333","time":"2017-12-22T18:43:48Z","region":"us-west-1","resources":[],"detail":{{"messageAttributes":{plain},"body":{object}}}}}"#
            ),
            Self::PubSub => pub_sub(&plain, &bytes),
            Self::EventGrid => format!(
                r#"[{{"topic":"/subscriptions/s/topics/t","subject":"reltio","id":"831e1650-001e","eventType":"Reltio.Changed","eventTime":"2017-08-10T21:03:07+00:00","data":{{"messageAttributes":{plain},"body":{object}}},"dataVersion":"1","metadataVersion":"1"}}]"#
            ),
            Self::ServiceBus | Self::ServiceBusBytes => {
                let encoded = self == Self::ServiceBusBytes;
                json!({
                    "Body": if encoded { bytes } else { text },
                    "IsBodyBase64": encoded,
                    "BrokerProperties": { "MessageId": "m-3", "Label": "M1" },
                    "UserProperties": plain,
                })
                .to_string()
            }
            Self::LogicApps => json!({
                "ContentData": bytes,
                "ContentType": "application/json",
                "ContentTransferEncoding": "Base64",
                "Properties": plain,
                "MessageId": "m-4",
                "SequenceNumber": 7,
            })
            .to_string(),
            Self::Received => format!(
                r#"{{"body":{object},"messageId":"m-5","contentType":"application/json","applicationProperties":{plain}}}"#
            ),
            Self::Quoted => text.to_string(),
            Self::Zipped => zip(inner.as_bytes()),
        }
    }
}

fn sqs(metadata: &[(&str, &str)], body: &Value) -> String {
    let typed = |value: &str| json!({ "DataType": "String", "StringValue": value });
    json!({
        "MessageId": "m-1",
        "ReceiptHandle": "AQEB",
        "MD5OfBody": "x",
        "Body": body,
        "Attributes": { "SentTimestamp": "1800000000000" },
        "MessageAttributes": said(metadata, typed),
    })
    .to_string()
}

fn sns(metadata: &[(&str, &str)], message: &Value) -> String {
    let typed = |value: &str| json!({ "Type": "String", "Value": value });
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:reltio",
        "Subject": "changes",
        "Message": message,
        "MessageAttributes": said(metadata, typed),
    })
    .to_string()
}

fn pub_sub(attributes: &Value, data: &Value) -> String {
    json!({
        "message": {
            "attributes": attributes,
            "data": data,
            "messageId": "2070443601311540",
            "message_id": "2070443601311540",
            "orderingKey": "key",
            "publishTime": "2021-02-26T19:13:55.749Z",
            "publish_time": "2021-02-26T19:13:55.749Z",
        },
        "subscription": "projects/myproject/subscriptions/mysubscription",
    })
    .to_string()
}

fn said(metadata: &[(&str, &str)], value: impl Fn(&str) -> Value) -> Value {
    let pairs = metadata.iter();
    let pairs = pairs.map(|(name, text)| ((*name).to_owned(), value(text)));
    Value::from(pairs.collect::<Map<_, _>>())
}

/// A `CloudEvent` without its data: attributes have names in lower case.
fn cloud_event(metadata: &[(&str, &str)]) -> Value {
    let mut event = json!({
        "specversion": "1.0",
        "type": "com.example.reltio.change",
        "source": "/reltio/acme",
        "id": "A234-1234-1234",
        "subject": "changes",
        "time": "2018-04-05T17:31:00Z",
        "datacontenttype": "application/json",
    });
    for (name, text) in metadata {
        event[name.to_lowercase()] = json!(text);
    }
    event
}

fn with(mut event: Value, member: &str, value: Value) -> String {
    event[member] = value;
    event.to_string()
}
