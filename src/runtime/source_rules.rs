//! How the records of each source are read: what the configuration says of it, by its name.

use std::collections::HashMap;
use std::sync::Arc;

use super::StartError;
use crate::config::ByteSize;
use crate::decode::DecodeSettings;
use crate::event::Filter;
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
    let tenant = &config.tenant;
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
            let decode = DecodeSettings {
                tenant: tenant.clone(),
                completeness: kafka.completeness.clone(),
                max_bytes: bytes(&kafka.max_body),
            };
            let of_kafka = SourceRules {
                decode,
                filter,
                schemas: schemas(name, kafka, config)?,
            };
            rules.insert(name.clone(), of_kafka);
        }
        if let Some(hook) = &source.webhook {
            let filter = Filter::new(
                hook.entity_types.as_deref(),
                hook.event_types.as_deref(),
                hook.include_relationships,
            );
            let decode = DecodeSettings {
                tenant: tenant.clone(),
                completeness: hook.completeness.clone(),
                max_bytes: bytes(&hook.max_body),
            };
            let of_hook = SourceRules {
                decode,
                filter,
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
