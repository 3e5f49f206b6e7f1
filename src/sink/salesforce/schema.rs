//! What an administrator adds to the org: the text of `goldwire schema salesforce`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::codes::GUARD_MESSAGE;
use super::config::SalesforceSink;
use super::org::Table;

/// The custom fields and the validation rule that `config` needs, as text.
pub fn schema_text(config: &SalesforceSink) -> String {
    let tables: BTreeSet<Table> = config.objects.values().map(Table::of).collect();
    tables.iter().map(table_text).collect::<Vec<_>>().join("\n")
}

fn table_text(table: &Table) -> String {
    let Table {
        sobject,
        ext,
        mark,
        home,
        archived,
        merged_into,
        guard,
    } = table;
    let rows = [
        (
            ext,
            "Text(80), External ID, Unique, case sensitive",
            "the entity that the record stands for",
        ),
        (
            mark,
            "Text(80), External ID (indexed), case sensitive",
            "the entity whose lane wrote last",
        ),
        (
            home,
            "Text(80), External ID (indexed), case sensitive",
            "the entity it was created for",
        ),
        (archived, "Checkbox, default unchecked", "out of use"),
        (merged_into, "Text(18)", "the record that took over"),
        (
            guard,
            "Number(18, 0)",
            "the time that the content stands for, ms since 1970",
        ),
    ];
    let widest = rows
        .iter()
        .map(|(name, ..)| name.len())
        .max()
        .unwrap_or_default();
    let mut text = format!("{sobject}: custom fields\n\n");
    for (name, kind, meaning) in rows {
        // Writing to a String cannot fail.
        let _ok = writeln!(text, "  {name:widest$}  {kind}: {meaning}").is_ok();
    }
    text.push_str(
        "\nThe run-as user needs create, edit and view-all on the object, and edit access to these \
         fields\nand every mapped one. No one else should edit them.\n\n",
    );
    let _ok = write!(
        text,
        "{sobject}: validation rule (for `guard: version`)\n\n  \
         Error condition formula\n    \
         AND(NOT(ISNEW()), NOT(ISCHANGED({mark})), {guard} < PRIORVALUE({guard}))\n  \
         Error message\n    {GUARD_MESSAGE}\n  \
         Error location\n    Field: {guard}\n"
    )
    .is_ok();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_holds_every_field_and_the_rule() {
        let config: SalesforceSink = serde_json::from_value(json!({
            "login_url": "https://x.my.salesforce.com", "client_id": "i", "client_secret": "s",
            "crosswalk_source": "SFDC",
            "objects": {
                "Individual": { "sobject": "Contact", "fields": { "LastName": { "attribute": "LastName" } } },
                "Organization": { "sobject": "Account", "fields": { "Name": { "attribute": "Name" } } },
            },
        }))
        .unwrap();
        let text = schema_text(&config);
        for wanted in [
            "Contact: custom fields",
            "Account: custom fields",
            "Reltio_Home__c",
            GUARD_MESSAGE,
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        assert!(text.contains(
            "AND(NOT(ISNEW()), NOT(ISCHANGED(Reltio_Writer__c)), Reltio_Guard__c < PRIORVALUE(Reltio_Guard__c))"
        ));
    }
}
