//! How the records of each source are read: what the configuration says of it, by its name.

use std::collections::HashMap;
use std::sync::Arc;

use super::StartError;
use crate::config::ByteSize;
use crate::decode::DecodeSettings;
use crate::event::{CompletenessConfig, Filter};
use crate::ingest::SourceRules;
use crate::schema_registry::SchemaRegistry;
use crate::source::kafka::config::KafkaSource;
use crate::topology::Config;

/// Where the answers of schema registries are.
const SCHEMAS: &str = "schemas";

/// Rules for the records of every source, by its name.
///
/// # Errors
/// If the client of a schema registry cannot be made.
pub fn source_rules(config: &Config) -> Result<HashMap<String, SourceRules>, StartError> {
    let decode = |completeness: &CompletenessConfig, largest| DecodeSettings {
        tenant: config.tenant.clone(),
        completeness: completeness.clone(),
        max_bytes: bytes(largest),
    };
    let mut rules = HashMap::new();
    for (name, source) in &config.sources {
        if let Some(kafka) = &source.kafka {
            let filter = match &kafka.subscription {
                Some(of) => Filter::new(
                    Some(&of.entity_types),
                    Some(&of.event_types),
                    of.include_relationships,
                ),
                None => Filter::new(
                    kafka.entity_types.as_deref(),
                    kafka.event_types.as_deref(),
                    kafka.include_relationships,
                ),
            };
            let of_kafka = SourceRules {
                decode: decode(&kafka.completeness, &kafka.max_body),
                filter,
                schemas: schemas(name, kafka, config)?,
            };
            rules.insert(name.clone(), of_kafka);
        }
        if let Some(hook) = &source.webhook {
            let of_hook = SourceRules {
                decode: decode(&hook.completeness, &hook.max_body),
                filter: Filter::new(
                    hook.entity_types.as_deref(),
                    hook.event_types.as_deref(),
                    hook.include_relationships,
                ),
                schemas: None,
            };
            rules.insert(name.clone(), of_hook);
        }
    }
    Ok(rules)
}

/// The schema registry of a Kafka source, if it has one.
fn schemas(
    name: &str,
    source: &KafkaSource,
    config: &Config,
) -> Result<Option<Arc<SchemaRegistry>>, StartError> {
    let Some(registry) = &source.schema_registry else {
        return Ok(None);
    };
    let made = SchemaRegistry::connect(name, registry, &config.data_dir.join(SCHEMAS));
    let at = format!("sources.{name}.kafka.schema_registry");
    let made = made.map_err(|why| StartError::Refused(format!("{at}: {why}")))?;
    Ok(Some(Arc::new(made)))
}

fn bytes(size: &ByteSize) -> usize {
    usize::try_from(size.get()).unwrap_or(usize::MAX)
}
