//! The comparer, shown changes of every kind.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorSet, descriptor_proto,
};

use super::compiled;
use super::schema::{Schema, additions, breaks};

fn message<'a>(files: &'a mut FileDescriptorSet, name: &str) -> &'a mut DescriptorProto {
    let mut all = files
        .file
        .iter_mut()
        .flat_map(|file| &mut file.message_type);
    all.find(|message| message.name() == name).unwrap()
}

fn field<'a>(
    files: &'a mut FileDescriptorSet,
    of: &str,
    name: &str,
) -> &'a mut FieldDescriptorProto {
    let mut all = message(files, of).field.iter_mut();
    all.find(|field| field.name() == name).unwrap()
}

fn states(files: &mut FileDescriptorSet) -> &mut EnumDescriptorProto {
    let mut all = files.file.iter_mut().flat_map(|file| &mut file.enum_type);
    all.find(|list| list.name() == "State").unwrap()
}

fn new_field(number: i32) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some("added".to_owned()),
        number: Some(number),
        r#type: Some(Type::Int64.into()),
        ..FieldDescriptorProto::default()
    }
}

/// What is said of a change of the files as they are.
fn said(change: impl Fn(&mut FileDescriptorSet)) -> Vec<String> {
    let (before, mut after) = (compiled(), compiled());
    change(&mut after);
    breaks(&Schema::of(&before), &Schema::of(&after))
}

fn refused(change: impl Fn(&mut FileDescriptorSet), sentence: &str) {
    let said = said(change);
    assert!(
        said.iter().any(|line| line.contains(sentence)),
        "{said:?} does not hold {sentence:?}"
    );
}

#[test]
fn a_schema_is_what_its_text_says() {
    let schema = Schema::of(&compiled());
    let text = schema.to_string();
    assert_eq!(Schema::parse(&text), schema);
    for line in [
        "\nmessage goldwire.v1.EventRecord\n  1 string id\n",
        "\n  7 optional int64 version\n",
        "\n  12 repeated string related\n",
        "\n  21 goldwire.v1.Origin origin\n",
        "\n  3 map<string,string> headers\n",
        "\nenum goldwire.v1.State\n  0 STATE_UNKNOWN\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
}

#[test]
fn what_was_removed_is_missed() {
    refused(
        |files| {
            message(files, "Register")
                .field
                .retain(|field| field.name() != "maybe_seen_until");
        },
        "`int64 maybe_seen_until` = 3 is gone",
    );
    refused(
        |files| states(files).value.truncate(5),
        "`STATE_GONE` = 5 is gone",
    );
    refused(
        |files| {
            files.file.iter_mut().for_each(|file| {
                file.message_type
                    .retain(|message| message.name() != "Cursor");
            });
        },
        "message goldwire.v1.Cursor is gone",
    );
    refused(
        |files| message(files, "Origin").name = Some("Source".to_owned()),
        "message goldwire.v1.Origin is gone",
    );
    refused(
        |files| {
            files
                .file
                .iter_mut()
                .for_each(|file| file.package = Some("goldwire.v2".to_owned()));
        },
        "is gone",
    );
}

#[test]
fn what_moved_to_another_number_is_refused() {
    refused(
        |files| field(files, "EventRecord", "round").number = Some(40),
        "`uint32 round` moved from 14 to 40",
    );
    refused(
        |files| states(files).value[3].number = Some(9),
        "`STATE_REMOVED` moved from 3 to 9",
    );
    let swap = |files: &mut FileDescriptorSet| {
        field(files, "Cursor", "position").number = Some(3);
        field(files, "Cursor", "reached").number = Some(1);
    };
    assert_eq!(said(swap).len(), 2);
}

#[test]
fn another_type_or_label_is_refused() {
    let retype = |of| {
        move |files: &mut FileDescriptorSet| {
            field(files, "Register", "maybe_seen_until").set_type(of);
        }
    };
    refused(
        retype(Type::Sint64),
        "`int64 maybe_seen_until` = 3 became `sint64 maybe_seen_until`",
    );
    refused(retype(Type::Fixed64), "became `fixed64 maybe_seen_until`");
    refused(
        |files| field(files, "Register", "letters").set_label(Label::Optional),
        "became `string letters`",
    );
    refused(
        |files| field(files, "Register", "maybe_seen_until").set_label(Label::Repeated),
        "became `repeated int64 maybe_seen_until`",
    );
    refused(
        |files| field(files, "Register", "version").proto3_optional = None,
        "became `oneof",
    );
    refused(
        |files| {
            field(files, "EventRecord", "origin").type_name =
                Some(".goldwire.v1.Cursor".to_owned());
        },
        "became `goldwire.v1.Cursor origin`",
    );
    let value = |files: &mut FileDescriptorSet| {
        message(files, "DeadLetter").nested_type[0].field[1].set_type(Type::Bytes);
    };
    refused(value, "became `map<string,bytes> headers`");
}

#[test]
fn a_number_is_not_used_again() {
    let rename = |files: &mut FileDescriptorSet| {
        field(files, "Cursor", "clean").name = Some("tidy".to_owned());
    };
    refused(
        rename,
        "number 2 was `bool clean` and is used again by `bool tidy`",
    );
    refused(
        |files| states(files).value[5].name = Some("STATE_LOST".to_owned()),
        "is used again by `STATE_LOST`",
    );
}

#[test]
fn a_reserved_number_stays_reserved() {
    let range = descriptor_proto::ReservedRange {
        start: Some(30),
        end: Some(32),
    };
    let mut before = compiled();
    message(&mut before, "Register").reserved_range.push(range);
    let before = Schema::parse(&Schema::of(&before).to_string());
    let mut now = compiled();
    message(&mut now, "Register").field.push(new_field(31));
    assert_eq!(
        breaks(&before, &Schema::of(&now)),
        [
            "message goldwire.v1.Register: 30 is not reserved any more; reserve it",
            "message goldwire.v1.Register: number 31 was `reserved` and is used again by `int64 added`; take a new number",
        ]
    );
}

#[test]
fn additions_pass_and_are_named() {
    let mut now = compiled();
    message(&mut now, "Register").field.push(new_field(50));
    states(&mut now).value.push(EnumValueDescriptorProto {
        name: Some("STATE_NEW".to_owned()),
        number: Some(6),
        options: None,
    });
    let new = DescriptorProto {
        name: Some("Fresh".to_owned()),
        ..DescriptorProto::default()
    };
    now.file[0].message_type.push(new);
    let (before, now) = (Schema::of(&compiled()), Schema::of(&now));
    assert_eq!(breaks(&before, &now), [""; 0]);
    assert_eq!(
        additions(&before, &now),
        [
            "enum goldwire.v1.State: `STATE_NEW` = 6",
            "message goldwire.v1.Fresh",
            "message goldwire.v1.Register: `int64 added` = 50",
        ]
    );
    // What was added counts as removed when it goes again, once it is in the baseline.
    assert_eq!(breaks(&now, &before).len(), 3);
}
