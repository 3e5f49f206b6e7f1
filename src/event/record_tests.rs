use proptest::prelude::*;

use super::super::proto::Origin;
use super::*;

fn any_message() -> impl Strategy<Value = EventRecord> {
    let text = || "[a-z0-9/é]{0,12}";
    let head = (
        text(),
        text(),
        text(),
        text(),
        0_i32..9,
        0_i32..6,
        text(),
        proptest::option::of(text()),
    );
    let clock = || proptest::option::of(any::<i64>());
    let rest = (
        clock(),
        clock(),
        any::<i64>(),
        clock(),
        any::<u32>(),
        any::<u32>(),
        prop::collection::vec(text(), 0..3),
        any::<bool>(),
        (0_i32..3, prop::collection::vec(text(), 0..3)),
        prop::collection::vec(any::<u8>(), 0..40),
    );
    (head, rest).prop_map(|(head, rest)| {
        let (id, tenant, subject, object_type, kind, state, sink, absorbed_by) = head;
        let (
            version,
            commit_time,
            received_time,
            read_time,
            round,
            hops,
            targets,
            ask,
            of,
            payload,
        ) = rest;
        EventRecord {
            id,
            tenant,
            subject,
            object_type,
            kind,
            state,
            version,
            commit_time,
            received_time,
            read_time,
            absorbed_by,
            related: vec!["entities/other".to_owned()],
            sink,
            round,
            hops,
            targets,
            ask,
            late: ask && round % 2 == 1,
            completeness: of.0,
            fields: of.1,
            traceparent: String::new(),
            origin: Some(Origin::default()),
            content: 1,
            payload: payload.into(),
            ..EventRecord::default()
        }
    })
}

proptest! {
    #[test]
    fn the_head_says_what_the_message_says(message in any_message()) {
        let record = Record::decode(message.encode_to_vec().into()).unwrap();
        prop_assert_eq!(record.id(), &message.id);
        prop_assert_eq!(record.tenant(), &message.tenant);
        prop_assert_eq!(record.subject(), &message.subject);
        prop_assert_eq!(record.object_type(), &message.object_type);
        prop_assert_eq!(record.sink(), &message.sink);
        prop_assert_eq!(record.absorbed_by(), message.absorbed_by.as_deref());
        prop_assert_eq!(record.kind(), message.kind());
        prop_assert_eq!(record.state(), message.state());
        prop_assert_eq!(record.holds(), message.holds());
        prop_assert_eq!(record.clocks(), message.clocks());
        prop_assert_eq!(record.received_time(), message.received_time);
        prop_assert_eq!(record.read_time(), message.read_time);
        prop_assert_eq!(record.known_time(), message.known_time());
        prop_assert_eq!((record.round(), record.hops()), (message.round, message.hops));
        prop_assert_eq!((record.asks(), record.is_late()), (message.ask, message.late));
        prop_assert_eq!(record.targets(), message.targets.clone());
        prop_assert_eq!(record.payload(), message.payload.clone());
        prop_assert_eq!(record.to_message(), message);
    }

    #[test]
    fn a_text_that_is_shared_is_the_same_text_whoever_it_belongs_to(
        message in any_message(),
        other in "[a-zé]{0,8}",
    ) {
        let record = Record::decode(message.encode_to_vec().into()).unwrap();
        for text in [record.id(), record.object_type(), record.tenant(), &other] {
            prop_assert_eq!(&*record.shared(text), text);
        }
        let id = record.id();
        if !id.is_empty() {
            prop_assert_eq!(record.shared(id).as_ptr(), id.as_ptr());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(record) = Record::decode(bytes.into()) {
            record.subject_state();
            record.targets();
        }
    }

    #[test]
    fn a_message_that_is_cut_short_is_refused_or_says_less(
        message in any_message(),
        cut in 1_usize..40,
    ) {
        let mut bytes = message.encode_to_vec();
        bytes.truncate(bytes.len().saturating_sub(cut));
        let whole = EventRecord::decode(bytes.as_slice()).is_ok();
        prop_assert_eq!(Record::decode(bytes.into()).is_ok(), whole);
    }
}
