//! Whether the org is as the configuration says: one sentence per problem, with its remedy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::config::{FieldSource, SalesforceObject};
use super::content;
use super::describe::{Field, describe};
use super::org::Table;
use super::plan::Mapping;
use super::wire::Wire;
use crate::reltio::TenantModel;

/// How long Reltio may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Describes every table, and says what is wrong with it.
pub(super) async fn probe(
    wire: &Wire,
    objects: &BTreeMap<String, SalesforceObject>,
    tables: &BTreeMap<Table, BTreeSet<String>>,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (table, mapped) in tables {
        let sobject = &table.sobject;
        match describe(wire, sobject).await {
            Ok(description) => {
                let sources: Vec<&SalesforceObject> = objects
                    .values()
                    .filter(|object| Table::of(object) == *table)
                    .collect();
                problems.extend(check(table, mapped, &sources, &description.fields));
            }
            Err(error) => problems.push(format!("{sobject} cannot be described: {error}")),
        }
    }
    problems
}

/// Holds the mapping against Reltio's configuration of the tenant.
pub(super) async fn tenant(mapping: &Mapping) -> Vec<String> {
    let asked = mapping.tools.reltio.model();
    let unread = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(model)) => return against(mapping, &model),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    let fields = mapping.objects.values().flat_map(|it| it.fields.values());
    let mut open = fields.filter(|source| source.path().is_some() && !source.on_empty().1);
    if open.next().is_none() {
        return Vec::new();
    }
    vec![format!(
        "nothing tells whether the attributes of `objects` are there, since Reltio's configuration \
         cannot be read: {unread}. Give the client a role that may read it, or write each field as \
         `attribute_or` with `clear: true` or `on_empty: keep`; until then no field is emptied \
         before a golden record had a value there"
    )]
}

fn against(mapping: &Mapping, model: &TenantModel) -> Vec<String> {
    let mut problems = Vec::new();
    if let Err(unknown) = model.source(&mapping.tools.source) {
        problems.push(format!(
            "crosswalk_source: {unknown}; without it every golden record becomes a new record"
        ));
    }
    for (name, object) in &mapping.objects {
        if let Err(unknown) = model.entity_type(name) {
            problems.push(format!("objects.{name}: {unknown}; correct the type"));
            continue;
        }
        for (field, source) in &object.fields {
            let unknown = |path| model.attribute(name, path).err().map(|it| it.to_string());
            let odd = match source {
                FieldSource::Attribute(path) => unknown(path),
                FieldSource::AttributeOr(or) => unknown(&or.path),
                FieldSource::Member(member) => content::odd_member(member),
                FieldSource::Constant(_) => None,
            };
            let told = odd.map(|odd| format!("objects.{name}.fields.{field}: {odd}; correct it"));
            problems.extend(told);
        }
    }
    problems
}

fn check(
    table: &Table,
    mapped: &BTreeSet<String>,
    sources: &[&SalesforceObject],
    fields: &[Field],
) -> Vec<String> {
    let sobject = &table.sobject;
    let known: BTreeMap<&str, &Field> = fields
        .iter()
        .map(|field| (field.name.as_str(), field))
        .collect();
    let mut problems = Vec::new();
    for name in table
        .fields()
        .into_iter()
        .chain(mapped.iter().map(String::as_str))
    {
        match known.get(name) {
            None => problems.push(format!(
                "{sobject}.{name} does not exist or is hidden from the run-as user; add it as \
                 `goldwire schema salesforce` says, or grant access to it"
            )),
            Some(field) if !field.updateable || !field.createable => problems.push(format!(
                "{sobject}.{name} is not writable; grant the run-as user edit access to it"
            )),
            Some(_) => {}
        }
    }
    problems.extend(own_fields(table, &known));
    for field in fields.iter().filter(|field| field.required()) {
        let name = &field.name;
        match fills(sources, name) {
            Some(true) => {}
            Some(false) => problems.push(format!(
                "{sobject}.{name} is required, but a golden record may have no value for it; map it \
                 with `attribute_or` and a default"
            )),
            None => problems.push(format!(
                "{sobject}.{name} is required and not mapped; map it, or give it a default in the org"
            )),
        }
    }
    problems
}

/// Whether every object of the table fills `field`, whatever the golden record lacks; `None` if
/// one does not map it.
fn fills(sources: &[&SalesforceObject], field: &str) -> Option<bool> {
    let mut filled = true;
    for object in sources {
        filled &= match object.fields.get(field)? {
            FieldSource::Constant(value) => !value.is_null(),
            FieldSource::AttributeOr(or) => !or.default.is_null(),
            FieldSource::Attribute(_) => false,
            // Reltio always sends these two.
            FieldSource::Member(member) => matches!(member.as_str(), "uri" | "type"),
        };
    }
    Some(filled)
}

fn own_fields(table: &Table, known: &BTreeMap<&str, &Field>) -> Vec<String> {
    let sobject = &table.sobject;
    let mut problems = Vec::new();
    let mut wrong = |name: &str, is: bool, what: &str| {
        if is {
            problems.push(format!(
                "{sobject}.{name} is not {what}; change the field's definition"
            ));
        }
    };
    if let Some(ext) = known.get(table.ext.as_str()) {
        let good = ext.unique && ext.external_id;
        wrong(&table.ext, !good, "a unique external id");
        wrong(
            &table.ext,
            !ext.case_sensitive,
            "case-sensitive, and Reltio's URIs are",
        );
    }
    for name in [&table.ext, &table.mark, &table.home] {
        if let Some(field) = known.get(name.as_str()) {
            let good = field.kind == "string" && field.length >= 40;
            wrong(name, !good, "text of 40 characters or more");
        }
    }
    if let Some(archived) = known.get(table.archived.as_str()) {
        wrong(&table.archived, archived.kind != "boolean", "a checkbox");
    }
    if let Some(into) = known.get(table.merged_into.as_str()) {
        let good = into.kind == "reference" || into.kind == "string" && into.length >= 18;
        wrong(
            &table.merged_into,
            !good,
            "a lookup, or text of 18 characters or more",
        );
    }
    if let Some(guard) = known.get(table.guard.as_str()) {
        let good = guard.kind == "double" && guard.precision >= 13;
        wrong(&table.guard, !good, "a number of 13 digits or more");
    }
    problems
}
