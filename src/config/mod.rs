//! Configuration: from YAML as written to settings as meant, with every problem at once.
//!
//! Nothing is bound, opened or connected before the whole configuration is valid. A file is read
//! in this order: YAML, `${NAME}` and `{file: …}` replaced, the JSON Schema of [`Config`], then
//! what only several keys together can violate.

mod comments;
mod load;
mod nearest;
mod path;
mod problem;
mod rules;
mod schema;
mod settings;
mod sources;
mod validate;
mod values;
mod variables;

pub(crate) use load::read_file;
pub use load::{LoadError, environment, load, load_to_serve, parse};
pub use problem::{Problem, Problems};
pub(crate) use rules::{At, Rules, bytes};
pub use schema::schema;
pub use settings::{
    Admin, Config, Delivery, Engine, Inbox, LogSettings, OnFull, Quota, ReltioApi, Retry, Tls,
    WebhookListener,
};
pub use sources::{
    CompletenessConfig, KafkaSource, RateLimit, SignatureScheme, SourceConfig, Start,
    StreamsKafkaConfig, Subscription, WebhookSource,
};
pub use values::{ByteSize, Networks, Period, Secret};
