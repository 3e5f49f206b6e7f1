//! Whatever the order, the newest stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use goldwire::event::SubjectState;
use goldwire::sink::Effect;
use goldwire::sink::cache::{Entry, Row};
use goldwire::store::{MemoryStore, Store as _};
use goldwire::time::Millis;
use proptest::prelude::*;
use serde_json::json;

use super::{NOW, absorbed, alive, row, shown, snapshot, table};

const URIS: [&str; 3] = ["entities/a", "entities/b", "entities/c"];
const VALUES: [&str; 3] = ["x", "y", "z"];

/// One moment of a tenant: who died of what, or who has which crosswalks.
#[derive(Debug, Clone)]
enum Step {
    /// An entity takes a crosswalk over from whoever has it.
    Takes(usize, usize),
    /// An entity gives all of its crosswalks up.
    Gives(usize),
    /// An entity is absorbed by another, which takes its crosswalks.
    Merges(usize, usize),
    Removed(usize),
    Erased(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, value) = (0..URIS.len(), 0..VALUES.len());
    prop_oneof![
        4 => (who.clone(), value).prop_map(|(who, value)| Step::Takes(who, value)),
        1 => who.clone().prop_map(Step::Gives),
        2 => (who.clone(), 1..URIS.len()).prop_map(|(who, more)| {
            Step::Merges(who, (who + more) % URIS.len())
        }),
        1 => who.clone().prop_map(Step::Removed),
        1 => who.prop_map(Step::Erased),
    ]
}

/// A tenant: what each entity is, and whose each crosswalk is.
#[derive(Default)]
struct Tenant {
    states: BTreeMap<usize, SubjectState>,
    owners: BTreeMap<usize, usize>,
    rows: Vec<Row>,
}

impl Tenant {
    /// What each write of a history says, in the order in which Reltio committed them.
    fn play(steps: &[Step]) -> Self {
        let mut tenant = Self::default();
        for step in steps {
            match *step {
                Step::Takes(who, value) => {
                    let before = tenant.owners.insert(value, who);
                    tenant.is_alive(before.filter(|before| *before != who));
                    tenant.is_alive(Some(who));
                }
                Step::Gives(who) => {
                    tenant.owners.retain(|_, owner| *owner != who);
                    tenant.is_alive(Some(who));
                }
                Step::Merges(loser, winner) => {
                    for owner in tenant.owners.values_mut() {
                        *owner = if *owner == loser { winner } else { *owner };
                    }
                    tenant.is(loser, absorbed(URIS[winner]));
                    tenant.is_alive(Some(winner));
                }
                Step::Removed(who) => tenant.dies(who, SubjectState::Removed),
                Step::Erased(who) => tenant.dies(who, SubjectState::Erased),
            }
        }
        tenant
    }

    fn dies(&mut self, who: usize, state: SubjectState) {
        self.owners.retain(|_, owner| *owner != who);
        self.is(who, state);
    }

    fn is_alive(&mut self, who: Option<usize>) {
        let Some(who) = who else { return };
        let values = self.owners.iter().filter(|(_, owner)| **owner == who);
        let values: Vec<_> = values.map(|(value, _)| VALUES[*value]).collect();
        let label = format!("{} of {}", self.rows.len(), URIS[who]);
        self.is(who, alive(&snapshot(URIS[who], &label, &values)));
    }

    fn is(&mut self, who: usize, state: SubjectState) {
        // No two of them at the same time.
        let time = Millis::try_from(self.rows.len()).unwrap();
        self.states.insert(who, state.clone());
        self.rows.push(row(URIS[who], time, state));
    }

    /// What is to be answered for an entity, if it ever was.
    fn answer(&self, who: usize) -> Option<String> {
        let (mut at, mut hops) = (who, 0);
        loop {
            match self.states.get(&at)? {
                SubjectState::Alive(object) => {
                    let label = object.member("label").unwrap_or_default();
                    return Some(format!("{} {label:?}", URIS[at]));
                }
                SubjectState::Absorbed { by } => {
                    let by = by.as_deref().unwrap();
                    at = URIS.iter().position(|uri| *uri == by).unwrap();
                    hops += 1;
                    if hops > URIS.len() {
                        return Some("merged".to_owned());
                    }
                }
                SubjectState::Removed | SubjectState::Erased | SubjectState::Gone => {
                    return Some("dead".to_owned());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// G4: late and repeated writes change nothing, whichever entities and batches they come in.
    #[test]
    fn g4_any_order_of_a_history_with_copies_ends_with_the_newest_of_each(
        steps in prop::collection::vec(step(), 1..14),
        order in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..4), 0..60),
    ) {
        let tenant = Tenant::play(&steps);
        let table = table();
        let mut newest = BTreeMap::new();
        // Copies of some of it first, in any order; then all that each entity ended with.
        for (place, _) in &order {
            let copy = place.get(&tenant.rows).clone();
            table.write(&[copy], NOW).unwrap();
        }
        for row in &tenant.rows {
            newest.insert(row.subject.uri().to_owned(), row.clone());
        }
        let mut last: Vec<Row> = newest.into_values().collect();
        if order.len() % 2 == 0 {
            last.reverse();
        }
        for one in last {
            prop_assert_eq!(table.write(&[one], NOW).unwrap()[0].clone().unwrap(), Effect::Delivered);
        }
        for (place, _) in &order {
            let copy = place.get(&tenant.rows).clone();
            table.write(&[copy], NOW).unwrap();
        }
        for (who, uri) in URIS.iter().enumerate() {
            let found = shown(&table.find(uri).unwrap());
            prop_assert_eq!(found, tenant.answer(who).unwrap_or("unknown".to_owned()));
        }
        for (number, value) in VALUES.iter().enumerate() {
            let found = table.find_by_crosswalk("SFDC", value).unwrap();
            let wanted = tenant.owners.get(&number).map(|owner| tenant.answer(*owner).unwrap());
            prop_assert_eq!(shown(&found), wanted.unwrap_or("unknown".to_owned()));
        }
    }
}

#[test]
fn g4_a_crosswalk_that_moved_stays_with_its_new_entity_whoever_is_written_last() {
    let before = row(
        "entities/a",
        1,
        alive(&snapshot("entities/a", "A", &["x", "y"])),
    );
    let left = row("entities/a", 3, alive(&snapshot("entities/a", "A", &["y"])));
    let taker = row("entities/b", 3, alive(&snapshot("entities/b", "B", &["x"])));
    for order in [
        [&before, &left, &taker],
        [&before, &taker, &left],
        [&taker, &before, &left],
    ] {
        let table = table();
        for row in order {
            table.write(std::slice::from_ref(row), NOW).unwrap();
        }
        // A late write of the entity that it left takes nothing back.
        let late = table.write(std::slice::from_ref(&before), NOW).unwrap();
        assert_eq!(late[0].clone().unwrap(), Effect::Stale);
        let of = |value| shown(&table.find_by_crosswalk("SFDC", value).unwrap());
        assert_eq!(
            (of("x"), of("y")),
            ("entities/b \"B\"".into(), "entities/a \"A\"".into())
        );
    }
}

#[test]
fn a_crosswalk_is_found_by_the_short_or_the_long_name_of_its_source_and_not_once_it_is_deleted() {
    let table = table();
    let mut json = snapshot("entities/a", "A", &["x", "gone"]);
    json["crosswalks"][1]["deleteDate"] = json!(NOW);
    table
        .write(&[row("entities/a", 5, alive(&json))], NOW)
        .unwrap();
    let found = |source, value| shown(&table.find_by_crosswalk(source, value).unwrap());
    assert_eq!(found("SFDC", "x"), "entities/a \"A\"");
    assert_eq!(found("configuration/sources/SFDC", "x"), "entities/a \"A\"");
    for (source, value) in [
        ("SFDC", "gone"),
        ("SFD", "Cx"),
        ("SFDCx", ""),
        ("sfdc", "x"),
    ] {
        assert_eq!(found(source, value), "unknown");
    }
}

#[test]
fn losers_are_followed_to_the_last_survivor_and_a_circle_has_none() {
    let table = table();
    let uri = |number: usize| format!("entities/{number}");
    for number in 0..20 {
        let lost = row(&uri(number), 1, absorbed(&uri(number + 1)));
        table.write(&[lost], NOW).unwrap();
    }
    assert_eq!(shown(&table.find("entities/0").unwrap()), "merged");
    let last = alive(&snapshot("entities/20", "W", &[]));
    table.write(&[row("entities/20", 1, last)], NOW).unwrap();
    assert_eq!(
        shown(&table.find("entities/0").unwrap()),
        "entities/20 \"W\""
    );
    table
        .write(&[row("entities/20", 2, absorbed("entities/3"))], NOW)
        .unwrap();
    assert_eq!(shown(&table.find("entities/0").unwrap()), "merged");
    let unknown = SubjectState::Absorbed { by: None };
    table.write(&[row("entities/20", 3, unknown)], NOW).unwrap();
    assert_eq!(shown(&table.find("entities/0").unwrap()), "merged");
}

#[test]
fn a_loser_is_found_by_its_crosswalks_before_the_survivor_has_them() {
    let table = table();
    let loser = alive(&snapshot("entities/l", "L", &["x"]));
    let survivor = alive(&snapshot("entities/w", "W", &["y"]));
    let rows = [row("entities/l", 1, loser), row("entities/w", 1, survivor)];
    table.write(&rows, NOW).unwrap();
    table
        .write(&[row("entities/l", 2, absorbed("entities/w"))], NOW)
        .unwrap();
    let found = table.find_by_crosswalk("SFDC", "x").unwrap();
    assert_eq!(shown(&found), "entities/w \"W\"");
}

#[test]
fn a_snapshot_of_some_members_is_laid_over_what_is_kept() {
    let table = table();
    let whole = snapshot("entities/a", "old", &["x"]);
    table
        .write(&[row("entities/a", 1, alive(&whole))], NOW)
        .unwrap();
    let known = json!({ "uri": "entities/a", "label": "new" });
    let mut some = row("entities/a", 2, alive(&known));
    some.current.fields = Some(vec!["label".to_owned()]);
    table.write(&[some.clone()], NOW).unwrap();
    let found = table.find_by_crosswalk("SFDC", "x").unwrap();
    assert_eq!(shown(&found), "entities/a \"new\"");
    // Where nothing lives that it could be laid over, it is what there is.
    table
        .write(&[row("entities/a", 3, SubjectState::Removed)], NOW)
        .unwrap();
    some.current.content_time = NOW + 4;
    table.write(&[some], NOW).unwrap();
    let found = table.find_by_crosswalk("SFDC", "x").unwrap();
    assert_eq!(shown(&found), "unknown");
    assert_eq!(
        shown(&table.find("entities/a").unwrap()),
        "entities/a \"new\""
    );
}

#[test]
fn what_was_erased_leaves_neither_content_nor_crosswalks_in_the_table() {
    let store = Arc::new(MemoryStore::new());
    let table = goldwire::sink::cache::Table::over(Arc::<MemoryStore>::clone(&store) as _);
    let person = alive(&snapshot("entities/a", "canary-name", &["canary-id"]));
    table
        .write(&[row("entities/a", 1, person.clone())], NOW)
        .unwrap();
    table
        .write(&[row("entities/a", 2, SubjectState::Erased)], NOW)
        .unwrap();
    let late = table.write(&[row("entities/a", 1, person)], NOW).unwrap();
    assert_eq!(late[0].clone().unwrap(), Effect::Stale);
    assert_eq!(shown(&table.find("entities/a").unwrap()), "dead");
    let left = store.scan(b"", None, 100).unwrap();
    let keys: Vec<_> = left
        .iter()
        .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
        .collect();
    assert_eq!(keys, ["e/entities/a", "m/erased", "m/format"]);
    let entry: Entry = prost::Message::decode(left[0].1.as_slice()).unwrap();
    assert!(entry.object.is_empty() && entry.claims.is_empty());
    assert_eq!(table.erased_since().unwrap(), Some(NOW));
}

#[test]
fn g7_each_row_of_a_batch_has_its_own_answer() {
    let table = table();
    let of = |uri, time| row(uri, time, alive(&snapshot(uri, "A", &[])));
    table.write(&[of("entities/a", 5)], NOW).unwrap();
    let batch = [
        of("entities/b", 1),
        of("entities/a", 4),
        of("entities/c", 1),
    ];
    let answers = table.write(&batch, NOW).unwrap().into_iter();
    let answers: Result<Vec<_>, _> = answers.collect();
    let wanted = [Effect::Delivered, Effect::Stale, Effect::Delivered];
    assert_eq!(answers.unwrap(), wanted);
}
