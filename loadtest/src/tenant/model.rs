//! The tenant's own configuration, as `GET {tenant}/configuration` prints it.

use serde_json::{Value, json};

use super::entity::{EntityType, SALESFORCE_SOURCE};

/// The parts of the nested attribute `Address`.
const ADDRESS: [&str; 4] = ["AddressLine1", "City", "Zip", "Country"];

/// Sources, entity types with what they inherit, and relation types of every simulated tenant.
pub fn model() -> Value {
    let source = |name: &str| {
        json!({
            "uri": format!("configuration/sources/{name}"), "label": name, "abbreviation": name,
        })
    };
    let sources = ["Reltio", "SAP", "WEB", SALESFORCE_SOURCE].map(source);
    let types = [EntityType::Individual, EntityType::Organization];
    let relation = "configuration/relationTypes/Employment";
    json!({
        "uri": "configuration",
        "label": "Simulated tenant",
        "schemaVersion": "1",
        "sources": sources,
        "entityTypes": types.map(entity_type),
        "relationTypes": [{
            "uri": relation,
            "label": "Employment",
            "attributes": [attribute(relation, "Title", "String", &[])],
        }],
    })
}

fn entity_type(kind: EntityType) -> Value {
    let uri = format!("configuration/entityTypes/{}", kind.name());
    let attributes = kind.attributes().iter().map(|name| {
        let (of, parts): (_, &[&str]) = match *name {
            "Address" => ("Nested", &ADDRESS),
            "BirthDate" => ("Date", &[]),
            _ => ("String", &[]),
        };
        attribute(&uri, name, of, parts)
    });
    json!({
        "uri": uri,
        "label": kind.name(),
        "abstract": false,
        "attributes": attributes.collect::<Vec<_>>(),
    })
}

fn attribute(above: &str, name: &str, kind: &str, parts: &[&str]) -> Value {
    let uri = format!("{above}/attributes/{name}");
    let mut json = json!({ "uri": uri, "name": name, "label": name, "type": kind });
    if let (false, Some(members)) = (parts.is_empty(), json.as_object_mut()) {
        let parts = parts
            .iter()
            .map(|part| attribute(&uri, part, "String", &[]));
        members.insert("attributes".to_owned(), parts.collect());
    }
    json
}
