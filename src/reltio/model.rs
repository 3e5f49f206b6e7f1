//! The tenant's own configuration: which sources, entity types and attributes there are. Pure.
//!
//! Guarantee: what is called unknown is in no part of the configuration that an entity of the type
//! takes attributes from: its own, inherited ones (`extendsTypeURI`), and for a reference attribute
//! those of the entity or relation type that it refers to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::ReltioError;
use crate::config::nearest;
use crate::event::short_name;

/// How many types may stand above one. Reltio allows no circles; a configuration may be damaged.
const DEEPEST: usize = 32;

/// What `GET {tenant}/configuration` answers, as far as mappings are concerned.
#[derive(Debug, Clone, Default)]
pub struct TenantModel {
    sources: BTreeSet<String>,
    types: BTreeMap<String, String>,
    /// What stands below a type or an attribute, by its URI.
    nodes: BTreeMap<String, Node>,
}

/// An entity type, a relation type or an attribute.
#[derive(Debug, Clone, Default)]
struct Node {
    /// Attributes by name, and the URI of each.
    attributes: BTreeMap<String, String>,
    /// Types whose attributes it has too.
    bases: Vec<String>,
}

/// Something that the configuration of the tenant does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Reltio's configuration has no {what} `{name}`{}", hint(.nearest.as_ref()))]
pub struct Unknown {
    /// A source, an entity type, an attribute of something.
    pub what: String,
    /// As it is written.
    pub name: String,
    /// What is probably meant.
    pub nearest: Option<String>,
}

fn hint(nearest: Option<&String>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; is it `{nearest}`?"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    #[serde(default)]
    sources: Vec<Source>,
    /// Always there: an answer without them is not the configuration.
    entity_types: Vec<Type>,
    #[serde(default)]
    relation_types: Vec<Type>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(alias = "URI")]
    uri: String,
}

#[derive(Deserialize)]
struct Type {
    #[serde(alias = "URI")]
    uri: String,
    #[serde(default, rename = "extendsTypeURI")]
    extends: Option<String>,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(alias = "URI")]
    uri: String,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default, rename = "referencedAttributeURIs")]
    referenced: Vec<String>,
    #[serde(default, rename = "referencedEntityTypeURI")]
    entity_type: Option<String>,
    #[serde(default, rename = "relationshipTypeURI")]
    relation_type: Option<String>,
}

/// The name that an entity's JSON has for the attribute of this URI.
fn last(uri: &str) -> String {
    uri.rsplit('/').next().unwrap_or(uri).to_owned()
}

impl TenantModel {
    /// The configuration as Reltio's API prints it.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, ReltioError> {
        let body: Body = serde_json::from_slice(body).map_err(|_| ReltioError::Rejected {
            code: "configuration_unreadable".to_owned(),
        })?;
        let mut model = Self::default();
        let sources = body.sources.iter();
        model.sources = sources.map(|it| short_name(&it.uri).to_owned()).collect();
        for entity in &body.entity_types {
            let name = short_name(&entity.uri).to_owned();
            model.types.insert(name, entity.uri.clone());
        }
        for one in body.entity_types.iter().chain(&body.relation_types) {
            let bases = one.extends.iter().cloned().collect();
            model.add(&one.uri, &one.attributes, bases);
        }
        Ok(model)
    }

    fn add(&mut self, uri: &str, attributes: &[Attribute], bases: Vec<String>) {
        let own = attributes.iter().map(|it| (last(&it.uri), it.uri.clone()));
        let node = Node {
            attributes: own.collect(),
            bases,
        };
        self.nodes.insert(uri.to_owned(), node);
        for attribute in attributes {
            // What a reference shows is listed; where it is not, it may be anything of both types.
            let types = attribute.entity_type.iter();
            let types = types.chain(&attribute.relation_type).cloned();
            let bases = if attribute.referenced.is_empty() {
                types.collect()
            } else {
                Vec::new()
            };
            self.add(&attribute.uri, &attribute.attributes, bases);
            if let Some(node) = self.nodes.get_mut(&attribute.uri) {
                let shown = attribute.referenced.iter();
                node.attributes
                    .extend(shown.map(|uri| (last(uri), uri.clone())));
            }
        }
    }

    /// The names of the sources.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(String::as_str)
    }

    /// Whether there is a source `name`, a short one. Case counts.
    ///
    /// # Errors
    /// [`Unknown`] with the nearest one.
    pub fn source(&self, name: &str) -> Result<(), Unknown> {
        if self.sources.contains(name) {
            return Ok(());
        }
        Err(unknown("source", name, self.sources()))
    }

    /// Whether there is an entity type `name`, a short one.
    ///
    /// # Errors
    /// [`Unknown`] with the nearest one.
    pub fn entity_type(&self, name: &str) -> Result<(), Unknown> {
        if self.types.contains_key(name) {
            return Ok(());
        }
        let types = self.types.keys().map(String::as_str);
        Err(unknown("entity type", name, types))
    }

    /// Whether entities of `entity_type`, a short name, have an attribute at `path`, nested ones
    /// with dots.
    ///
    /// # Errors
    /// [`Unknown`] with the nearest type or attribute.
    pub fn attribute(&self, entity_type: &str, path: &str) -> Result<(), Unknown> {
        self.entity_type(entity_type)?;
        let Some(mut uri) = self.types.get(entity_type) else {
            return Ok(());
        };
        let mut of = entity_type.to_owned();
        for step in path.split('.') {
            // A referenced attribute whose own definition is not told may have any below it.
            if !self.nodes.contains_key(uri) {
                return Ok(());
            }
            let all = self.below(uri);
            let Some(next) = all.get(step) else {
                let names = all.keys().copied();
                return Err(unknown(&format!("attribute of {of}"), step, names));
            };
            uri = next;
            of = format!("{of}.{step}");
        }
        Ok(())
    }

    /// The attributes of a type or an attribute, inherited ones included.
    fn below(&self, uri: &str) -> BTreeMap<&str, &String> {
        let mut all = BTreeMap::new();
        let mut level = vec![uri];
        for _ in 0..DEEPEST {
            let nodes: Vec<&Node> = level
                .iter()
                .filter_map(|uri| self.nodes.get(*uri))
                .collect();
            for node in &nodes {
                for (name, uri) in &node.attributes {
                    all.entry(name.as_str()).or_insert(uri);
                }
            }
            level = nodes
                .iter()
                .flat_map(|node| node.bases.iter().map(String::as_str))
                .collect();
        }
        all
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Unknown {
    Unknown {
        what: what.to_owned(),
        name: name.to_owned(),
        nearest: nearest(name, known).map(ToOwned::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn model() -> TenantModel {
        let body = json!({
            "sources": [{ "uri": "configuration/sources/SFDC" }],
            "entityTypes": [
                { "URI": "configuration/entityTypes/Party", "attributes": [
                    { "uri": "configuration/entityTypes/Party/attributes/Email", "type": "Nested", "attributes": [
                        { "uri": "configuration/entityTypes/Party/attributes/Email/attributes/Email", "type": "String" },
                    ] },
                ] },
                { "uri": "configuration/entityTypes/Person", "extendsTypeURI": "configuration/entityTypes/Party",
                  "attributes": [] },
                { "uri": "configuration/entityTypes/Individual", "extendsTypeURI": "configuration/entityTypes/Person",
                  "attributes": [
                    { "URI": "configuration/entityTypes/Individual/attributes/FirstName", "name": "FirstName" },
                    { "uri": "configuration/entityTypes/Individual/attributes/Address", "type": "Reference",
                      "referencedEntityTypeURI": "configuration/entityTypes/Location",
                      "relationshipTypeURI": "configuration/relationTypes/HasAddress",
                      "referencedAttributeURIs": [
                        "configuration/entityTypes/Location/attributes/Zip",
                        "configuration/relationTypes/HasAddress/attributes/Primary",
                      ] },
                    { "uri": "configuration/entityTypes/Individual/attributes/Home", "type": "Reference",
                      "referencedEntityTypeURI": "configuration/entityTypes/Location" },
                  ] },
                { "uri": "configuration/entityTypes/Location", "extendsTypeURI": "configuration/entityTypes/Location",
                  "attributes": [
                    { "uri": "configuration/entityTypes/Location/attributes/Zip", "attributes": [
                        { "uri": "configuration/entityTypes/Location/attributes/Zip/attributes/Zip5" },
                    ] },
                    { "uri": "configuration/entityTypes/Location/attributes/City" },
                ] },
            ],
            "relationTypes": [{ "uri": "configuration/relationTypes/HasAddress", "attributes": [
                { "uri": "configuration/relationTypes/HasAddress/attributes/Primary" },
            ] }],
        });
        TenantModel::parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn own_inherited_nested_and_referenced_attributes_are_known() {
        for path in [
            "FirstName",
            "Email",
            "Email.Email",
            "Address",
            "Address.Zip",
            "Address.Zip.Zip5",
            "Address.Primary",
            "Home.City",
        ] {
            assert_eq!(model().attribute("Individual", path), Ok(()), "{path}");
        }
        assert_eq!(model().source("SFDC"), Ok(()));
    }

    #[test]
    fn what_is_not_there_is_named_with_the_nearest_that_is() {
        let said = |result: Result<(), Unknown>| result.unwrap_err().to_string();
        for (path, wanted) in [
            (
                "FristName",
                "no attribute of Individual `FristName`; is it `FirstName`?",
            ),
            (
                "firstname",
                "no attribute of Individual `firstname`; is it `FirstName`?",
            ),
            (
                "Email.Emial",
                "no attribute of Individual.Email `Emial`; is it `Email`?",
            ),
            ("Address.City", "no attribute of Individual.Address `City`"),
            (
                "FirstName.Deeper",
                "no attribute of Individual.FirstName `Deeper`",
            ),
            ("Shoesize", "no attribute of Individual `Shoesize`"),
        ] {
            let said = said(model().attribute("Individual", path));
            assert_eq!(said, format!("Reltio's configuration has {wanted}"));
        }
        let other = said(model().attribute("Indivdual", "FirstName"));
        assert!(other.ends_with("entity type `Indivdual`; is it `Individual`?"));
        assert!(said(model().source("sfdc")).ends_with("source `sfdc`; is it `SFDC`?"));
    }

    #[test]
    fn what_is_no_configuration_says_nothing_of_what_there_is() {
        for body in [&b"[]"[..], b"{}", b"null", br#"{"errorCode":1}"#] {
            assert!(TenantModel::parse(body).is_err());
        }
    }
}
