//! Entities and relations in the JSON of Reltio's API and of its snapshots.

use serde_json::{Map, Value, json};

use super::entity::{Content, Contribution, Entity, Link};
use super::relation::Relation;
use crate::time::Millis;

/// Who wrote last.
pub(super) const ACTOR: &str = "data.steward@example.com";

/// ISO-8601, as crosswalks write their dates.
pub(super) fn iso(time: Millis) -> String {
    jiff::Timestamp::from_millisecond(time)
        .map(|time| format!("{time:.3}"))
        .unwrap_or_default()
}

/// The entity's snapshot.
pub(super) fn entity(entity: &Entity) -> Value {
    let label = label(entity);
    json!({
        "uri": entity.uri,
        "type": entity_type(entity),
        "createdBy": ACTOR,
        "createdTime": entity.created,
        "updatedBy": ACTOR,
        "updatedTime": entity.updated,
        "attributes": attributes(entity),
        "crosswalks": entity.links.iter().map(|link| crosswalk(entity, link)).collect::<Vec<_>>(),
        "roles": [entity_type(entity).replace("entityTypes", "roles")],
        "tags": [],
        "label": label,
        "secondaryLabel": entity.kind.name(),
        "isFavorite": false,
        "analyticsAttributes": {},
    })
}

/// Full name of the entity's type.
pub(super) fn entity_type(entity: &Entity) -> String {
    format!("configuration/entityTypes/{}", entity.kind.name())
}

/// What people call the entity.
pub(super) fn label(entity: &Entity) -> String {
    let text = |attribute: &str| {
        let values = entity
            .values
            .iter()
            .filter(|value| value.attribute == attribute);
        let newest = values.max_by_key(|value| (value.turn, &value.id));
        match newest.map(|value| &value.content) {
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Lookup { .. } | Content::Nested(_)) | None => String::new(),
        }
    };
    let parts = [text("FirstName"), text("LastName"), text("Name")];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

fn attributes(entity: &Entity) -> Value {
    let mut map = Map::new();
    for value in &entity.values {
        let list = map
            .entry(value.attribute)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(attribute(entity, value));
        }
    }
    Value::Object(map)
}

fn value_uri(entity: &Entity, value: &Contribution) -> String {
    format!("{}/attributes/{}/{}", entity.uri, value.attribute, value.id)
}

fn attribute(entity: &Entity, value: &Contribution) -> Value {
    let uri = value_uri(entity, value);
    let path = format!("{}/attributes/{}", entity_type(entity), value.attribute);
    let ov = entity.survives(value);
    match &value.content {
        Content::Text(text) => json!({ "type": path, "ov": ov, "value": text, "uri": uri }),
        Content::Lookup { code, raw, name } => json!({
            "type": path,
            "ov": ov,
            "value": name,
            "lookupCode": code,
            "lookupRawValue": raw,
            "uri": uri,
        }),
        Content::Nested(parts) => {
            let mut inner = Map::new();
            for (name, id, text) in parts {
                let part = json!([{
                    "type": format!("{path}/attributes/{name}"),
                    "ov": true,
                    "value": text,
                    "uri": format!("{uri}/{name}/{id}"),
                }]);
                inner.insert((*name).to_owned(), part);
            }
            let label: Vec<_> = parts.iter().map(|(_, _, text)| text.as_str()).collect();
            json!({
                "type": path,
                "label": label.join(", "),
                "ov": ov,
                "value": inner,
                "uri": uri,
            })
        }
    }
}

fn crosswalk(entity: &Entity, link: &Link) -> Value {
    let own = entity.values.iter().filter(|value| value.link == link.id);
    let attributes: Vec<_> = own.map(|value| value_uri(entity, value)).collect();
    let mut json = json!({
        "uri": format!("{}/crosswalks/{}", entity.uri, link.id),
        "type": format!("configuration/sources/{}", link.source),
        "value": link.value,
        "dataProvider": true,
        "createDate": iso(link.created),
        "updateDate": iso(link.updated),
        "reltioLoadDate": iso(link.created),
        "attributes": attributes,
        "singleAttributeUpdateDates": {},
    });
    if let (Some(table), Some(map)) = (link.table, json.as_object_mut()) {
        map.insert("sourceTable".to_owned(), table.into());
    }
    json
}

/// The relation's snapshot.
pub(super) fn relation(relation: &Relation, start: &Entity, end: &Entity) -> Value {
    let path = "configuration/relationTypes/Employment";
    let side = |entity: &Entity, direction: &str| {
        let links = entity.links.iter().map(|link| {
            json!({
                "uri": format!("{}/crosswalks/{}", entity.uri, link.id),
                "type": format!("configuration/sources/{}", link.source),
                "value": link.value,
            })
        });
        json!({
            "type": entity_type(entity),
            "objectURI": entity.uri,
            "label": label(entity),
            "directionalLabel": direction,
            "crosswalks": links.collect::<Vec<_>>(),
        })
    };
    json!({
        "uri": relation.uri,
        "type": path,
        "createdBy": ACTOR,
        "createdTime": relation.created,
        "updatedBy": ACTOR,
        "updatedTime": relation.updated,
        "startRefPinned": false,
        "startRefIgnored": false,
        "endRefPinned": false,
        "endRefIgnored": false,
        "attributes": {
            "Title": [{
                "type": format!("{path}/attributes/Title"),
                "ov": true,
                "value": relation.title,
                "uri": format!("{}/attributes/Title/t", relation.uri),
            }],
        },
        "crosswalks": [{
            "uri": format!("{}/crosswalks/c", relation.uri),
            "type": "configuration/sources/Reltio",
            "value": relation.uri.rsplit('/').next().unwrap_or_default(),
            "createDate": iso(relation.created),
            "updateDate": iso(relation.updated),
        }],
        "startObject": side(start, "works for"),
        "endObject": side(end, "employs"),
    })
}
