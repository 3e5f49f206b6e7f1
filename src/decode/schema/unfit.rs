//! Why a value is not what its schema says.

use std::borrow::Cow;
use std::fmt;

/// Where a value does not fit its schema, and in which way. Names come from the schema; nothing of
/// the value is in it (G10), the keys of its maps neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    code: &'static str,
    /// The fields, the innermost first.
    within: Vec<Box<str>>,
    why: Cow<'static, str>,
}

impl Unfit {
    /// The bytes are something else.
    pub(super) fn because(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: "schema_mismatch",
            within: Vec::new(),
            why: why.into(),
        }
    }

    /// The bytes end too early.
    pub(super) fn cut() -> Self {
        Self::because("the value ends within it")
    }

    /// More comes out than the source takes.
    pub(super) fn too_large(limit: usize) -> Self {
        let why = format!("as JSON it is larger than {limit} bytes; raise `max_body` if it may be");
        Self {
            code: "too_large",
            ..Self::because(why)
        }
    }

    /// It nests deeper than decoding takes.
    pub(super) fn too_deep() -> Self {
        let why = format!("nested deeper than {} levels", super::super::MAX_DEPTH);
        Self {
            code: "too_deep",
            ..Self::because(why)
        }
    }

    /// The same, within `field`.
    #[must_use]
    pub(super) fn within(mut self, field: &str) -> Self {
        self.within.push(field.into());
        self
    }

    /// The stable code, for dead letters and metrics.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.within.is_empty() {
            let fields: Vec<&str> = self.within.iter().rev().map(AsRef::as_ref).collect();
            write!(f, "field `{}`: ", fields.join("."))?;
        }
        f.write_str(&self.why)
    }
}
