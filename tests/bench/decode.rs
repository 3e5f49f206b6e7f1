//! Decoding beside a parse of the whole tree, which it must not need: same bytes, same run.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use goldwire::decode::{DecodeSettings, decode};
use goldwire::event::CompletenessConfig;
use goldwire::event::{Received, SourceRecord};
use serde_json::Value;

/// An event of about `size` bytes, attributes as Reltio writes them.
fn event(size: usize) -> String {
    let mut attributes = String::new();
    let mut number = 0;
    while attributes.len() + 600 < size {
        if number > 0 {
            attributes.push(',');
        }
        let written = write!(
            attributes,
            r#""Name{number}":[{{"type":"configuration/entityTypes/Individual/attributes/Name{number}","ov":true,"value":"Value {number}","uri":"entities/0abc123/attributes/Name{number}/2Xy{number}"}}]"#
        );
        assert!(written.is_ok(), "a string takes everything");
        number += 1;
    }
    format!(
        r#"{{"type":"ENTITY_CHANGED","object":{{"uri":"entities/0abc123","type":"configuration/entityTypes/Individual","createdBy":"loader","createdTime":1720773510454,"updatedBy":"loader","updatedTime":1720773510454,"attributes":{{{attributes}}},"crosswalks":[{{"uri":"entities/0abc123/crosswalks/2","type":"configuration/sources/SFDC_CONTACT","value":"0035g00000XyZab","createDate":"2024-07-12T08:38:30.454Z","updateDate":"2024-07-12T08:38:30.454Z"}}],"label":"Some Body","secondaryLabel":"Individual"}},"ovChanged":true}}"#
    )
}

fn benches(criterion: &mut Criterion) {
    let settings = DecodeSettings {
        tenant: "acme".to_owned(),
        completeness: CompletenessConfig::Whole,
        max_bytes: 1 << 20,
    };
    let headers = [
        ("tenantid", "acme"),
        ("eventtype", "ENTITY_CHANGED"),
        ("sourceobjecturi", "entities/0abc123"),
        ("objectversion", "42"),
        ("committime", "1800000000000"),
    ];
    let mut group = criterion.benchmark_group("decode");
    for (name, size) in [("1.6 kB", 1600), ("64 kB", 64_000)] {
        let body = event(size);
        group.throughput(Throughput::Bytes(body.len().try_into().unwrap_or(u64::MAX)));
        let record = Received::from(SourceRecord {
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: body.into(),
            ..SourceRecord::default()
        });
        group.bench_function(format!("event of {name}"), |bencher| {
            bencher.iter(|| black_box(decode(black_box(&record), &settings)));
        });
        group.bench_function(format!("whole tree of {name}"), |bencher| {
            bencher.iter(|| black_box(serde_json::from_slice::<Value>(black_box(&record.body))));
        });
    }
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
