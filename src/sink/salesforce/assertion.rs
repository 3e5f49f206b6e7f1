//! One state of one entity, and the writes that make single records follow from it. Pure.

use super::ids;
use super::org::{Record, RecordWrite, Sought, Values};
use super::stored::FieldTypes;
use crate::event::Subject;
use crate::time::Millis;

/// One state of one entity, to be made true in one table.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// The entity.
    pub subject: Subject,
    /// What it is; `None`: removed, absorbed or gone, which is an empty snapshot.
    pub alive: Option<Snapshot>,
    /// The time the state stands for.
    pub content_time: Millis,
    /// The newest time known of the entity.
    pub newest: Millis,
    /// Record ids that a reconcile names.
    pub targets: Vec<String>,
    /// How often that reconcile was passed on.
    pub hops: u32,
    /// Content of records that no one owns any more: set if the entity was erased, though it may
    /// live again.
    pub blank: Option<Values>,
}

/// A living entity, as the table sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Record ids that its crosswalks name, the earliest first.
    pub named: Vec<String>,
    /// One of them may be another in truth: a source folded its case. Where the org knows none of
    /// them, no record may be made.
    pub doubtful: bool,
    /// Its content.
    pub content: Values,
    /// What a new record gets besides.
    pub initial: Values,
}

impl Assertion {
    pub(super) fn sought(&self) -> Sought {
        let named = self
            .alive
            .iter()
            .flat_map(|snapshot| snapshot.named.clone());
        let targets = self
            .targets
            .iter()
            .filter_map(|target| ids::canonical(target));
        Sought {
            entity: self.subject.uri().to_owned(),
            homes: self.alive.is_some(),
            ids: named.chain(targets).collect(),
        }
    }

    /// Whether a crosswalk of the living entity names it.
    pub(super) fn names(&self, record: &Record) -> bool {
        let snapshot = self.alive.as_ref();
        snapshot.is_some_and(|snapshot| snapshot.named.contains(&record.id))
    }

    fn is_told(&self, record: &Record) -> bool {
        let mut told = self.targets.iter().filter_map(|it| ids::canonical(it));
        told.any(|id| id == record.id)
    }

    /// Whether it was created for the entity, which lives.
    pub(super) fn is_home(&self, record: &Record) -> bool {
        self.alive.is_some() && record.home.as_deref() == Some(self.subject.uri())
    }

    /// Whether a record at home bears the entity's other names too, and no one sent the lane to
    /// look at it: then no crosswalk of another can have taken it, and no look-up is needed.
    pub(super) fn is_undisputed(&self, record: &Record) -> bool {
        let entity = Some(self.subject.uri());
        record.mark.as_deref() == entity && record.ext.as_deref() == entity && !self.is_told(record)
    }

    /// Whether `owner`, another entity, wrote it last, and nothing is left to be told.
    pub(super) fn knows(&self, record: &Record, owner: &str) -> bool {
        record.mark.as_deref() == Some(owner)
            && record.ext.as_deref() != Some(self.subject.uri())
            && !self.is_told(record)
    }

    /// Whether a crosswalk takes it from the entity that it was created for and stands for.
    pub(super) fn takes(&self, record: &Record) -> bool {
        let entity = self.subject.uri();
        let others = record.home.as_deref().is_some_and(|home| home != entity);
        self.names(record) && others && record.ext == record.home
    }

    /// The chosen record: the one of the earliest crosswalk; else the one created for the entity;
    /// else one that bears its external id. Never a matter of what arrived first.
    pub(super) fn choose<'a>(&self, mine: &[&'a Record]) -> Option<&'a Record> {
        let snapshot = self.alive.as_ref()?;
        let entity = Some(self.subject.uri());
        let place = |record: &Record| {
            let named = snapshot.named.iter().position(|id| *id == record.id);
            let home = record.home.as_deref() == entity;
            (named.is_none(), named, !home, record.id.clone())
        };
        let candidates = mine.iter().filter(|record| {
            let bears = [&record.home, &record.ext]
                .into_iter()
                .any(|it| it.as_deref() == entity);
            bears || snapshot.named.contains(&record.id)
        });
        candidates.min_by_key(|record| place(record)).copied()
    }

    fn write(&self, id: Option<String>, action: &'static str) -> RecordWrite {
        RecordWrite {
            id,
            ext: None,
            mark: self.subject.uri().to_owned(),
            home: None,
            archived: None,
            guard: self.content_time,
            content: Values::new(),
            action,
        }
    }

    pub(super) fn free(&self, record: &Record) -> RecordWrite {
        RecordWrite {
            ext: Some(None),
            ..self.write(Some(record.id.clone()), "free")
        }
    }

    /// The write that makes the chosen record right; `None` if it is, or if no one lives.
    pub(super) fn chosen_write(
        &self,
        chosen: Option<&Record>,
        types: &FieldTypes,
        guarded: bool,
    ) -> Option<RecordWrite> {
        let snapshot = self.alive.as_ref()?;
        let entity = self.subject.uri();
        let action = if chosen.is_some() { "update" } else { "create" };
        let content = if let Some(record) = chosen {
            types.for_update(&snapshot.content, record)
        } else {
            let mut content = snapshot.initial.clone();
            content.extend(snapshot.content.clone());
            types.for_create(&content)
        };
        let write = RecordWrite {
            ext: Some(Some(entity.to_owned())),
            archived: Some((false, None)),
            content,
            home: chosen.is_none().then(|| entity.to_owned()),
            ..self.write(chosen.map(|record| record.id.clone()), action)
        };
        let Some(record) = chosen else {
            return Some(write);
        };
        let outdated = guarded && record.guard < self.content_time;
        (outdated || differs(record, &write, types)).then_some(write)
    }

    pub(super) fn archive(
        &self,
        record: &Record,
        into: Option<String>,
        blank: Option<&Values>,
        types: &FieldTypes,
    ) -> Option<RecordWrite> {
        let content = blank.map(|blank| types.for_update(blank, record));
        let write = RecordWrite {
            ext: Some(None),
            archived: Some((true, into)),
            content: content.unwrap_or_default(),
            ..self.write(Some(record.id.clone()), "archive")
        };
        differs(record, &write, types).then_some(write)
    }
}

/// Whether a write would change anything but the guard.
fn differs(record: &Record, write: &RecordWrite, types: &FieldTypes) -> bool {
    let Record {
        ext,
        mark,
        archived,
        merged_into,
        content,
        ..
    } = record;
    write.ext.as_ref().is_some_and(|wanted| wanted != ext)
        || mark.as_ref() != Some(&write.mark)
        || write
            .archived
            .as_ref()
            .is_some_and(|(out, into)| out != archived || into != merged_into)
        || write
            .content
            .iter()
            .any(|(field, value)| !types.same(field, value, content.get(field)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ID: [&str; 3] = [
        "003000000000001AAA",
        "003000000000002AAA",
        "003000000000003AAA",
    ];

    fn alive(named: &[&str]) -> Assertion {
        let named = named.iter().map(|id| (*id).to_owned()).collect();
        let content = [("LastName".to_owned(), json!("Lovelace"))].into();
        Assertion {
            subject: Subject::new("t", "entities/e"),
            alive: Some(Snapshot {
                named,
                doubtful: false,
                content,
                initial: Values::new(),
            }),
            content_time: 10,
            newest: 10,
            targets: Vec::new(),
            hops: 0,
            blank: None,
        }
    }

    fn record(id: &str, ext: Option<&str>, home: Option<&str>) -> Record {
        let (ext, home) = (ext.map(ToOwned::to_owned), home.map(ToOwned::to_owned));
        Record {
            id: id.to_owned(),
            ext,
            home,
            ..Record::default()
        }
    }

    proptest! {
        #[test]
        fn g9_the_chosen_record_does_not_depend_on_the_order_of_a_read(
            named in prop::sample::subsequence(ID.to_vec(), 0..3),
            bears in prop::collection::vec((any::<bool>(), any::<bool>()), 3),
        ) {
            let own = |yes: bool| yes.then_some("entities/e");
            let records: Vec<Record> =
                ID.iter().zip(&bears).map(|(id, (ext, home))| record(id, own(*ext), own(*home))).collect();
            let (forth, back) = (records.iter().collect::<Vec<_>>(), records.iter().rev().collect::<Vec<_>>());
            let assertion = alive(&named);
            let chosen = assertion.choose(&forth).map(|it| &it.id);
            prop_assert_eq!(chosen, assertion.choose(&back).map(|it| &it.id));
            if let Some(earliest) = named.first() {
                prop_assert_eq!(chosen.map(String::as_str), Some(*earliest));
            }
        }
    }

    #[test]
    fn a_write_that_changes_nothing_is_spared() {
        let assertion = alive(&[ID[0]]);
        let mut there = record(ID[0], Some("entities/e"), None);
        there.mark = Some("entities/e".to_owned());
        there.guard = 10;
        there.content = [("LastName".to_owned(), json!("Lovelace"))].into();
        assert_eq!(
            assertion.chosen_write(Some(&there), &FieldTypes::default(), true),
            None
        );
        there.guard = 9;
        assert!(
            assertion
                .chosen_write(Some(&there), &FieldTypes::default(), true)
                .is_some(),
            "the guard has to grow"
        );
        assert_eq!(
            assertion.chosen_write(Some(&there), &FieldTypes::default(), false),
            None
        );
        there.mark = Some("entities/f".to_owned());
        assert!(
            assertion
                .chosen_write(Some(&there), &FieldTypes::default(), false)
                .is_some(),
            "every lane leaves its mark"
        );
    }

    #[test]
    fn home_is_written_once_by_the_write_that_creates() {
        let assertion = alive(&[]);
        let created = assertion
            .chosen_write(None, &FieldTypes::default(), true)
            .unwrap();
        assert_eq!(
            (created.home.as_deref(), created.id),
            (Some("entities/e"), None)
        );
        let updated = assertion
            .chosen_write(
                Some(&record(ID[0], None, None)),
                &FieldTypes::default(),
                true,
            )
            .unwrap();
        assert_eq!(updated.home, None);
    }
}
