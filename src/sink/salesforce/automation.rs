//! What the org's triggers and flows met, which Salesforce tells in the text of another code. Pure.
//!
//! Guarantee (G7): of the text only this is kept. A trigger or a flow runs for all rows of a request
//! at once, so its failure is told to rows that did nothing wrong.

/// Codes of failures in triggers and flows. What they met stands in their text: `…; first error:
/// UNABLE_TO_LOCK_ROW, …`, `System.LimitException: npsp:Apex CPU time limit exceeded`.
/// Seen so in reports on declarative-lookup-rollup-summaries (#355, #824, #847, #1241) and NPSP
/// (#1608).
const FAILED: [&str; 3] = [
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
    "CANNOT_EXECUTE_FLOW_TRIGGER",
    "APEX_ERROR",
];

/// Codes that a trigger's own code gives, often around another's text, and for one row.
const GIVEN: [&str; 2] = ["FIELD_CUSTOM_VALIDATION_EXCEPTION", "UNKNOWN_EXCEPTION"];

/// How Apex and flows name a limit. All of these grow with the rows of a request.
const LIMITS: [&str; 9] = [
    "LimitException",
    "LIMIT_EXCEEDED",
    "CPU time limit",
    "heap size too large",
    "Too many SOQL",
    "Too many query",
    "Too many DML",
    "Too many SOSL",
    "Too many future calls",
];

/// What automation met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// A row that another transaction holds.
    Lock,
    /// A limit of one transaction, which all rows of the request share.
    Limit,
    /// Something else, perhaps in one row only.
    Failure,
}

/// What automation met, if `code` and `message` are of a failure in it.
pub(super) fn met(code: &str, message: &str) -> Option<Met> {
    let failed = FAILED.contains(&code);
    if failed || GIVEN.contains(&code) {
        if message.contains("UNABLE_TO_LOCK_ROW") {
            return Some(Met::Lock);
        }
        if LIMITS.iter().any(|limit| holds(message, limit)) {
            return Some(Met::Limit);
        }
    }
    match code {
        "LIMIT_EXCEEDED" => Some(Met::Limit),
        _ => failed.then_some(Met::Failure),
    }
}

fn holds(message: &str, phrase: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains(&phrase.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_and_a_limit_are_found_in_the_text_of_every_code_that_wraps_them() {
        let lock = "dlrs_ContactTrigger: execution of AfterUpdate caused by: System.DmlException: \
                    Update failed. First exception on row 0; first error: UNABLE_TO_LOCK_ROW, \
                    unable to obtain exclusive access to this record or 1 records: []";
        let cpu = "npsp.TDTM_Contact: System.LimitException: Apex CPU time limit exceeded";
        for code in FAILED.into_iter().chain(GIVEN) {
            assert_eq!(met(code, lock), Some(Met::Lock), "{code}");
            assert_eq!(met(code, cpu), Some(Met::Limit), "{code}");
        }
        for text in [
            "dlrs:Too many query rows: 50001",
            "Apex heap size too large: 6291456",
            "Task_Trigger: Apex CPU Time Limit Exceeded",
        ] {
            assert_eq!(
                met("CANNOT_EXECUTE_FLOW_TRIGGER", text),
                Some(Met::Limit),
                "{text}"
            );
        }
    }

    #[test]
    fn a_value_that_looks_like_a_lock_is_not_one_in_a_code_that_is_about_values() {
        let text = "First Name: data value too large: UNABLE_TO_LOCK_ROW";
        assert_eq!(met("STRING_TOO_LONG", text), None);
        let given = "FIELD_CUSTOM_VALIDATION_EXCEPTION";
        assert_eq!(met(given, "Enter a postal code"), None);
        assert_eq!(met("APEX_ERROR", "no"), Some(Met::Failure));
    }
}
