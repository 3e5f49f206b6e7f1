//! SOQL for the reads of many lanes. Pure.
//!
//! Guarantee: whatever a value holds, it stays a value; and no query is longer than a URL may be.

use super::org::{Sought, Table};

/// Salesforce refuses a URL with its headers beyond 16,384 bytes; a token has up to 2,000.
const LONGEST: usize = 12_000;

/// A text literal.
pub(super) fn quote(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for letter in text.chars() {
        match letter {
            '\'' | '"' | '\\' => literal.extend(['\\', letter]),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            control if control.is_control() => {}
            plain => literal.push(plain),
        }
    }
    literal.push('\'');
    literal
}

/// Queries that together find everything sought. `columns` are the mapped fields.
pub fn plan<'a>(
    table: &Table,
    columns: impl Iterator<Item = &'a String>,
    sought: &[&Sought],
) -> Vec<String> {
    let mut select = format!("SELECT Id,{}", table.fields().join(","));
    for column in columns {
        select.push(',');
        select.push_str(column);
    }
    select.extend([" FROM ", &table.sobject, " WHERE "]);
    let fields = [
        "Id",
        table.ext.as_str(),
        table.mark.as_str(),
        table.home.as_str(),
    ];
    let frame = encoded(&select) + fields.iter().map(|field| field.len() + 20).sum::<usize>();
    let mut queries = Vec::new();
    let mut lists: [Vec<String>; 4] = Default::default();
    let mut length = frame;
    for (list, literal) in terms(sought) {
        let more = encoded(&literal) + 3;
        if length + more > LONGEST && length > frame {
            queries.push(query(&select, fields, &std::mem::take(&mut lists)));
            length = frame;
        }
        length += more;
        if let Some(list) = lists.get_mut(list) {
            list.push(literal);
        }
    }
    queries.push(query(&select, fields, &lists));
    queries
}

/// Literals, each with the index of the field it is compared with.
fn terms(sought: &[&Sought]) -> impl Iterator<Item = (usize, String)> {
    sought.iter().flat_map(|sought| {
        let entity = quote(&sought.entity);
        let home = sought.homes.then(|| (3, entity.clone()));
        let ids = sought.ids.iter().map(|id| (0, quote(id)));
        ids.chain([(1, entity.clone()), (2, entity)]).chain(home)
    })
}

fn query(select: &str, fields: [&str; 4], lists: &[Vec<String>; 4]) -> String {
    let conditions: Vec<String> = fields
        .iter()
        .zip(lists)
        .filter(|(_, list)| !list.is_empty())
        .map(|(field, list)| format!("{field} IN ({})", list.join(",")))
        .collect();
    format!("{select}{}", conditions.join(" OR "))
}

/// Bytes of a text in a URL's query.
fn encoded(text: &str) -> usize {
    let cost = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b" *-._".contains(&byte) {
            1
        } else {
            3
        }
    };
    text.bytes().map(cost).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn table() -> Table {
        let name = |text: &str| text.to_owned();
        Table {
            sobject: name("Contact"),
            ext: name("Ext__c"),
            mark: name("Mark__c"),
            home: name("Home__c"),
            archived: name("Archived__c"),
            merged_into: name("Into__c"),
            guard: name("Guard__c"),
        }
    }

    fn sought(entity: &str, homes: bool, ids: usize) -> Sought {
        let ids = (0..ids).map(|id| format!("003{id:015}")).collect();
        Sought {
            entity: entity.to_owned(),
            homes,
            ids,
        }
    }

    #[test]
    fn one_query_serves_many_lanes() {
        let lanes = [
            sought("entities/a", true, 1),
            sought("entities/b", false, 0),
        ];
        let lanes: Vec<&Sought> = lanes.iter().collect();
        let queries = plan(&table(), ["LastName".to_owned()].iter(), &lanes);
        assert_eq!(
            queries,
            [
                "SELECT Id,Ext__c,Mark__c,Home__c,Archived__c,Into__c,Guard__c,LastName FROM Contact \
              WHERE Id IN ('003000000000000000') OR Ext__c IN ('entities/a','entities/b') \
              OR Mark__c IN ('entities/a','entities/b') OR Home__c IN ('entities/a')"
            ]
        );
    }

    #[test]
    fn a_lane_with_many_records_takes_several_queries() {
        let queries = plan(&table(), [].iter(), &[&sought("entities/a", true, 2000)]);
        assert!(queries.len() > 1);
        assert!(queries.iter().all(|query| encoded(query) <= LONGEST));
        assert_eq!(
            queries
                .iter()
                .map(|query| query.matches("'003").count())
                .sum::<usize>(),
            2000
        );
    }

    proptest! {
        #[test]
        fn no_value_ends_its_literal(text in "(.|['\"\\\\\n\r\t]){0,30}") {
            let literal = quote(&text);
            let inner = literal.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')).unwrap();
            let mut letters = inner.chars();
            while let Some(letter) = letters.next() {
                prop_assert!(letter != '\'' && !letter.is_control());
                if letter == '\\' {
                    prop_assert!(letters.next().is_some(), "an escape escapes something");
                }
            }
        }
    }
}
