//! Avro: a schema's JSON as nodes, and a datum read by them.
//!
//! Read straight to JSON, by a reader of our own: the crate `apache-avro`, by whose encoder the tests
//! hold this one to the format, makes a tree of values first, drops what Connect says beside a
//! primitive type, and (up to 0.22) bounds no depth.

mod compile;
mod datum;

use bytes::Bytes;

use self::datum::Datum;
use super::Unfit;
use super::logical::Unit;
use super::output::{Json, Place};

/// A schema: nodes that name each other by their places.
#[derive(Debug)]
pub(super) struct Avro {
    nodes: Vec<Node>,
    root: usize,
}

/// One type.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// A name whose definition is still being read.
    Unfinished,
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<Box<str>>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<(Box<str>, usize)>),
    Meaning(Meaning),
}

/// What a type of bytes, numbers or text stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Text that holds JSON: Debezium's `io.debezium.data.Json`.
    Json,
    /// Digits behind the point, and the bytes if their number is fixed.
    Decimal(i32, Option<usize>),
    /// A record of the digits behind the point and the bytes: Debezium's `VariableScaleDecimal`.
    AnyDecimal,
    /// 16 bytes.
    Uuid,
    /// Months, days and ms in 12 bytes.
    Duration,
    Date,
    /// An int where it is in ms.
    Time(Unit),
    Timestamp(Unit),
    Local(Unit),
}

impl Avro {
    /// The body in `datum`.
    pub(super) fn body(&self, datum: &Bytes, limit: usize) -> Result<Bytes, Unfit> {
        let mut input = Datum::new(datum);
        if let Some(alone) = self.alone(&mut input)? {
            input.end()?;
            return Ok(datum.slice_ref(alone));
        }
        let mut json = Json::new(limit);
        self.value(self.root, &mut input, &mut json, Place::Anywhere)?;
        input.end()?;
        Ok(json.finish().into())
    }

    /// What a string or bytes are, if that is all there is; nothing at all for null.
    fn alone<'a>(&self, input: &mut Datum<'a>) -> Result<Option<&'a [u8]>, Unfit> {
        let (mut node, mut ahead) = (self.node(self.root)?, input.clone());
        if let Node::Union(branches) = node {
            node = self.node(branch(branches, &mut ahead)?)?;
        }
        let alone = if matches!(node, Node::String | Node::Meaning(Meaning::Json)) {
            ahead.text()?.as_bytes()
        } else if *node == Node::Bytes {
            ahead.bytes()?
        } else if *node == Node::Null {
            &[]
        } else {
            return Ok(None);
        };
        *input = ahead;
        Ok(Some(alone))
    }

    fn node(&self, place: usize) -> Result<&Node, Unfit> {
        let node = self.nodes.get(place);
        node.ok_or_else(|| Unfit::because("the schema has no such type"))
    }

    /// Writes the value at `place` of the schema.
    fn value(
        &self,
        place: usize,
        input: &mut Datum<'_>,
        json: &mut Json,
        stands: Place,
    ) -> Result<(), Unfit> {
        match self.node(place)? {
            Node::Unfinished => Err(Unfit::because("the schema has no such type")),
            Node::Null => json.raw("null"),
            Node::Boolean => json.raw(if input.boolean()? { "true" } else { "false" }),
            Node::Int => json.number(input.int()?),
            Node::Long => json.number(input.long()?),
            Node::Float => json.float(f32::from_le_bytes(input.array()?)),
            Node::Double => json.float(f64::from_le_bytes(input.array()?)),
            Node::Bytes => json.base64(input.bytes()?),
            Node::String => json.text_of(stands, input.text()?),
            Node::Fixed(length) => json.base64(input.take(*length)?),
            Node::Enum(symbols) => {
                let symbol = usize::try_from(input.int()?).ok();
                let symbol = symbol.and_then(|index| symbols.get(index));
                json.string(symbol.ok_or_else(|| Unfit::because("no symbol of the enum"))?)
            }
            Node::Union(branches) => {
                let place = branch(branches, input)?;
                self.value(place, input, json, stands)
            }
            Node::Array(items) => {
                json.open('[')?;
                input.blocks(|input| {
                    json.next()?;
                    self.value(*items, input, json, Place::Anywhere)
                })?;
                json.close(']')
            }
            Node::Map(values) => {
                json.open('{')?;
                input.blocks(|input| {
                    let stands = json.member(input.text()?)?;
                    self.value(*values, input, json, stands)
                        .map_err(|unfit| unfit.within("{}"))
                })?;
                json.close('}')
            }
            Node::Record(fields) => {
                json.open('{')?;
                for (name, place) in fields {
                    let stands = json.member(name)?;
                    self.value(*place, input, json, stands)
                        .map_err(|unfit| unfit.within(name))?;
                }
                json.close('}')
            }
            Node::Meaning(meaning) => meaning.write(input, json),
        }
    }
}

impl Meaning {
    /// Writes what is meant.
    fn write(self, input: &mut Datum<'_>, json: &mut Json) -> Result<(), Unfit> {
        use super::logical;
        match self {
            Self::Json => json.embedded(input.text()?),
            Self::Decimal(scale, length) => {
                let unscaled = match length {
                    Some(length) => input.take(length)?,
                    None => input.bytes()?,
                };
                logical::decimal(unscaled, scale, json)
            }
            Self::AnyDecimal => {
                let scale = input.int()?;
                logical::decimal(input.bytes()?, scale, json)
            }
            Self::Uuid => json.plain(uuid::Uuid::from_bytes(input.array()?)),
            Self::Duration => {
                let mut part = || input.array().map(u32::from_le_bytes);
                let (months, days, millis) = (part()?, part()?, part()?);
                let (seconds, millis) = (millis / 1000, millis % 1000);
                json.plain(format_args!("P{months}M{days}DT{seconds}.{millis:03}S"))
            }
            Self::Date => logical::day(input.int()?, json),
            Self::Time(Unit::Millis) => {
                logical::clock_time(input.int()?.into(), Unit::Millis, json)
            }
            Self::Time(unit) => logical::clock_time(input.long()?, unit, json),
            Self::Timestamp(Unit::Millis) => json.number(input.long()?),
            Self::Timestamp(unit) => logical::moment(input.long()?, unit, json),
            Self::Local(unit) => logical::local(input.long()?, unit, json),
        }
    }
}

/// The branch of a union that a datum says it has.
fn branch(branches: &[usize], input: &mut Datum<'_>) -> Result<usize, Unfit> {
    let branch = usize::try_from(input.long()?).ok();
    let branch = branch.and_then(|index| branches.get(index));
    let none = || Unfit::because("no branch of the union");
    branch.copied().ok_or_else(none)
}
