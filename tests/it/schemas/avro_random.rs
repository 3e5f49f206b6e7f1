//! Avro: whatever the crate `apache-avro` writes of a random schema is read as what it stands for, and
//! random bytes are read or refused.

use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use goldwire::decode::schema::Language;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{LIMIT, body, schema};

/// A type.
#[derive(Debug, Clone)]
enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(usize),
    Decimal(u8),
    Millis,
    Date,
    Array(Box<Type>),
    Map(Box<Type>),
    Nullable(Box<Type>),
    Record(Vec<Type>),
}

fn types() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![
        Just(Type::Null),
        Just(Type::Boolean),
        Just(Type::Int),
        Just(Type::Long),
        Just(Type::Float),
        Just(Type::Double),
        Just(Type::Bytes),
        Just(Type::String),
        (0_usize..20).prop_map(Type::Fixed),
        (1_usize..5).prop_map(Type::Enum),
        (0_u8..5).prop_map(Type::Decimal),
        Just(Type::Millis),
        Just(Type::Date),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|of| Type::Array(Box::new(of))),
            inner.clone().prop_map(|of| Type::Map(Box::new(of))),
            inner.clone().prop_map(|of| {
                if matches!(of, Type::Null | Type::Nullable(_)) {
                    of
                } else {
                    Type::Nullable(Box::new(of))
                }
            }),
            prop::collection::vec(inner, 0..4).prop_map(Type::Record),
        ]
    });
    prop::collection::vec(tree, 0..4).prop_map(Type::Record)
}

impl Type {
    /// Its schema. Names are counted.
    fn schema(&self, named: &mut usize) -> Value {
        let mut name = |prefix: &str| {
            *named += 1;
            format!("{prefix}{named}")
        };
        match self {
            Self::Null => json!("null"),
            Self::Boolean => json!("boolean"),
            Self::Int => json!("int"),
            Self::Long => json!("long"),
            Self::Float => json!("float"),
            Self::Double => json!("double"),
            Self::Bytes => json!("bytes"),
            Self::String => json!("string"),
            Self::Fixed(size) => json!({"type": "fixed", "name": name("F"), "size": size}),
            Self::Enum(count) => {
                let symbols: Vec<_> = (0..*count).map(|at| format!("S{at}")).collect();
                json!({"type": "enum", "name": name("E"), "symbols": symbols})
            }
            Self::Decimal(scale) => json!({
                "type": "bytes", "logicalType": "decimal", "precision": 38, "scale": scale}),
            Self::Millis => json!({"type": "long", "logicalType": "timestamp-millis"}),
            Self::Date => json!({"type": "int", "logicalType": "date"}),
            Self::Array(of) => json!({"type": "array", "items": of.schema(named)}),
            Self::Map(of) => json!({"type": "map", "values": of.schema(named)}),
            Self::Nullable(of) => json!(["null", of.schema(named)]),
            Self::Record(fields) => {
                let name = name("n.R");
                let fields = fields
                    .iter()
                    .enumerate()
                    .map(|(at, of)| json!({"name": format!("f{at}"), "type": of.schema(named)}));
                json!({"type": "record", "name": name, "fields": fields.collect::<Vec<_>>()})
            }
        }
    }

    /// A value of it, and what it stands for.
    fn value(&self, draw: &mut Draw<'_>) -> (Avro, Value) {
        match self {
            Self::Null => (Avro::Null, Value::Null),
            Self::Boolean => {
                let truth = draw.number().is_multiple_of(2);
                (Avro::Boolean(truth), json!(truth))
            }
            Self::Int => {
                let number = draw.number() as i32;
                (Avro::Int(number), json!(number))
            }
            Self::Long => {
                let number = draw.number().cast_signed();
                (Avro::Long(number), json!(number))
            }
            Self::Float => {
                let number = f32::from_bits(draw.number() as u32);
                (Avro::Float(number), float(&number, number.into()))
            }
            Self::Double => {
                let number = f64::from_bits(draw.number());
                (Avro::Double(number), float(&number, number))
            }
            Self::Bytes => {
                let bytes = draw.bytes(9);
                (Avro::Bytes(bytes.clone()), json!(STANDARD.encode(bytes)))
            }
            Self::String => {
                let text = draw.text();
                (Avro::String(text.clone()), json!(text))
            }
            Self::Fixed(size) => {
                let bytes: Vec<u8> = (0..*size).map(|_| draw.number() as u8).collect();
                let expected = json!(STANDARD.encode(&bytes));
                (Avro::Fixed(*size, bytes), expected)
            }
            Self::Enum(count) => {
                let symbol = draw.number() as usize % count;
                let text = format!("S{symbol}");
                (Avro::Enum(symbol as u32, text.clone()), json!(text))
            }
            Self::Decimal(scale) => decimal(draw.number().cast_signed().into(), *scale),
            Self::Millis => {
                let number = draw.number().cast_signed();
                (Avro::TimestampMillis(number), json!(number))
            }
            Self::Date => {
                let days = (draw.number() % 40_000) as i32;
                let epoch = jiff::civil::date(1970, 1, 1);
                let day = epoch + jiff::Span::new().days(i64::from(days));
                (Avro::Date(days), json!(day.to_string()))
            }
            Self::Array(of) => {
                let items = (0..draw.number() % 4).map(|_| of.value(draw));
                let (items, expected): (Vec<_>, Vec<_>) = items.unzip();
                (Avro::Array(items), Value::Array(expected))
            }
            Self::Map(of) => {
                let entries = (0..draw.number() % 4).map(|_| (draw.text(), of.value(draw)));
                let entries: Vec<_> = entries.collect();
                let values = entries.iter().map(|(key, of)| (key.clone(), of.0.clone()));
                let stands = entries.iter().map(|(key, of)| (key.clone(), of.1.clone()));
                (Avro::Map(values.collect()), Value::Object(stands.collect()))
            }
            Self::Nullable(of) => {
                if draw.number().is_multiple_of(2) {
                    return (Avro::Union(0, Box::new(Avro::Null)), Value::Null);
                }
                let (value, expected) = of.value(draw);
                (Avro::Union(1, Box::new(value)), expected)
            }
            Self::Record(fields) => {
                let (mut values, mut expected) = (Vec::new(), serde_json::Map::new());
                for (at, of) in fields.iter().enumerate() {
                    let (value, stands) = of.value(draw);
                    values.push((format!("f{at}"), value));
                    expected.insert(format!("f{at}"), stands);
                }
                (Avro::Record(values), Value::Object(expected))
            }
        }
    }
}

fn decimal(unscaled: i128, scale: u8) -> (Avro, Value) {
    let power = 10_i128.pow(scale.into());
    let sign = if unscaled < 0 { "-" } else { "" };
    let (whole, part) = ((unscaled / power).abs(), (unscaled % power).abs());
    let digits = if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part:0>width$}", width = scale.into())
    };
    let bytes = unscaled.to_be_bytes().to_vec();
    (
        Avro::Decimal(bytes.into()),
        serde_json::from_str(&digits).unwrap(),
    )
}

/// As few digits as tell the number from its neighbours, or the name of what JSON has no number for.
fn float(number: &impl serde::Serialize, wide: f64) -> Value {
    match wide {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ if wide.is_nan() => json!("NaN"),
        _ => serde_json::from_str(&serde_json::to_string(number).unwrap()).unwrap(),
    }
}

/// Numbers, drawn in turn.
struct Draw<'a> {
    numbers: &'a [u64],
    next: usize,
}

impl Draw<'_> {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.numbers[self.next % self.numbers.len()].rotate_left(self.next as u32)
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.number() % most)
            .map(|_| self.number() as u8)
            .collect()
    }

    fn text(&mut self) -> String {
        let letters = ['a', '"', '\\', '\n', '\u{1}', 'é', '😀', '{'];
        let bytes = self.bytes(6);
        bytes
            .iter()
            .map(|byte| letters[usize::from(*byte) % 8])
            .collect()
    }
}

proptest! {
    #[test]
    fn what_another_encoder_writes_is_read_as_what_it_stands_for(
        of in types(),
        numbers in prop::collection::vec(any::<u64>(), 1..40),
    ) {
        let text = of.schema(&mut 0).to_string();
        let theirs = apache_avro::Schema::parse_str(&text).unwrap();
        let (value, expected) = of.value(&mut Draw { numbers: &numbers, next: 0 });
        let writer = GenericDatumWriter::builder(&theirs).build().unwrap();
        let datum = writer.write_value_to_vec(value).unwrap();
        let ours = schema(Language::Avro, &text, &[]).unwrap();
        prop_assert_eq!(body(&ours, &datum), Ok(expected));
        // One byte less, or one more, is refused.
        if let Some((_, cut)) = datum.split_last() {
            prop_assert!(body(&ours, cut).is_err());
        }
        prop_assert!(body(&ours, &[&datum[..], &[0]].concat()).is_err());
    }

    #[test]
    fn g8_bytes_of_anything_are_read_or_refused_within_the_limit(
        of in types(),
        datum in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let text = of.schema(&mut 0).to_string();
        let ours = schema(Language::Avro, &text, &[]).unwrap();
        if let Ok(body) = ours.body(&datum.into(), LIMIT) {
            prop_assert!(body.len() <= LIMIT);
            prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
        }
    }
}
