//! How much of its subject a record tells, compared with another's.
//!
//! A digest of the field names stands for the list: the store keeps one for every subject. Two
//! lists that are not the same are taken to hold something of their own, which costs a read.

use sha2::{Digest as _, Sha256};

use super::proto::{Completeness, EventRecord, Register, State};

/// What of its subject's content a record tells, or a sink was last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// All of it.
    Everything,
    /// Every field, of its values only the operational ones.
    Values,
    /// All values of some fields; the digest of their names. What else there is, is not told.
    Fields(u64),
}

impl Holds {
    /// The members of the object that `fields` names. The order does not count.
    pub fn fields(fields: &[String]) -> Self {
        let mut names: Vec<&str> = fields.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let digest = Sha256::digest(names.join("\0"));
        let head = digest.iter().take(8);
        Self::Fields(head.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Whether it tells something of a change that a copy of the same change, `other`, does not.
    pub fn exceeds(self, other: Self) -> bool {
        match (self, other) {
            (_, Self::Everything) | (Self::Values, Self::Values) => false,
            (Self::Fields(own), Self::Fields(other)) => own != other,
            (Self::Everything | Self::Values, Self::Fields(_))
            | (Self::Everything | Self::Fields(_), Self::Values) => true,
        }
    }

    /// Whether nothing is left of what an `older` record of the subject told, once this is applied.
    pub fn replaces(self, older: Self) -> bool {
        match (self, older) {
            // Operational values are put in the place of all values.
            (Self::Everything | Self::Values, _) => true,
            (Self::Fields(own), Self::Fields(older)) => own == older,
            (Self::Fields(_), Self::Everything | Self::Values) => false,
        }
    }
}

impl EventRecord {
    /// How much of its subject the record tells. That it is dead is everything there is to tell.
    pub fn holds(&self) -> Holds {
        if self.state() != State::Alive {
            return Holds::Everything;
        }
        match self.completeness() {
            Completeness::Whole => Holds::Everything,
            Completeness::OvOnly => Holds::Values,
            Completeness::Fields => Holds::fields(&self.fields),
        }
    }
}

impl Register {
    /// How much of the subject the content applied last told.
    pub fn holds(&self) -> Holds {
        match self.lacks {
            0 => Holds::Everything,
            1 => Holds::Values,
            _ => Holds::Fields(self.fields),
        }
    }

    /// Sets what [`Self::holds`] tells.
    pub fn set_holds(&mut self, holds: Holds) {
        (self.lacks, self.fields) = match holds {
            Holds::Everything => (0, 0),
            Holds::Values => (1, 0),
            Holds::Fields(digest) => (2, digest),
        };
    }
}
