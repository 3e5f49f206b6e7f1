//! An object's name, and the fields that goldwire asks an administrator to add to it.

/// The text of the validation rule that is the guard, as the schema tells administrators to set it.
pub(super) const GUARD_MESSAGE: &str = "goldwire: older than what is here";

/// An object and the fields in which goldwire keeps its own accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The object: `Contact`.
    pub sobject: String,
    /// External id: the entity that the record stands for.
    pub ext: String,
    /// The entity whose change wrote last.
    pub mark: String,
    /// The entity that the record was created for.
    pub home: String,
    /// Out of use.
    pub archived: String,
    /// The record that took over.
    pub merged_into: String,
    /// The time that the content stands for.
    pub guard: String,
}

impl Default for Table {
    /// Contacts, with the names that goldwire's configuration has by default.
    fn default() -> Self {
        let name = ToOwned::to_owned;
        Self {
            sobject: name("Contact"),
            ext: name("Reltio_Id__c"),
            mark: name("Reltio_Writer__c"),
            home: name("Reltio_Home__c"),
            archived: name("Reltio_Archived__c"),
            merged_into: name("Reltio_Merged_Into__c"),
            guard: name("Reltio_Guard__c"),
        }
    }
}
