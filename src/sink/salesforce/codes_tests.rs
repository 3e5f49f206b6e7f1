//! Tests of what Salesforce's codes mean.

use super::*;
use serde_json::json;

fn table() -> Table {
    let name = |text: &str| text.to_owned();
    Table {
        sobject: name("Contact"),
        ext: name("Reltio_Id__c"),
        mark: name("Mark__c"),
        home: name("Home__c"),
        archived: name("Archived__c"),
        merged_into: name("Into__c"),
        guard: name("Guard__c"),
    }
}

fn failed(code: &str, message: &str, fields: &[&str]) -> Result<Written, SinkError> {
    let error = json!({ "statusCode": code, "message": message, "fields": fields });
    row(
        &json!({ "success": false, "errors": [error] }),
        &table(),
        "update",
    )
}

#[test]
fn g7_each_code_has_the_meaning_that_research_gives_it() {
    let retry = failed(
        "UNABLE_TO_LOCK_ROW",
        "unable to obtain exclusive access",
        &[],
    );
    assert!(matches!(
        retry,
        Err(SinkError::Retryable {
            ambiguous: false,
            outage: false,
            ..
        })
    ));
    let paused = failed("REQUEST_LIMIT_EXCEEDED", "", &[]);
    assert!(matches!(paused, Err(SinkError::Throttled { .. })));
    // One record's, until the object's description says otherwise.
    let refused = failed("INSUFFICIENT_ACCESS_OR_READONLY", "", &[]);
    assert!(matches!(refused, Err(SinkError::Rejected { .. })));
    assert!(is_access("INSUFFICIENT_ACCESS_OR_READONLY"));
    assert!(matches!(
        no_access("INSUFFICIENT_ACCESS_OR_READONLY"),
        SinkError::Systemic { .. }
    ));
    let full = failed("STORAGE_LIMIT_EXCEEDED", "", &[]);
    assert!(matches!(full, Err(SinkError::Systemic { .. })));
    for (code, message) in [
        (
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            "first error: UNABLE_TO_LOCK_ROW, unable to",
        ),
        ("UNKNOWN_EXCEPTION", ""),
    ] {
        let again = failed(code, message, &[]);
        assert!(
            matches!(again, Err(SinkError::Retryable { outage: false, .. })),
            "{code}"
        );
    }
    let trigger = failed(
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "first error: no",
        &[],
    );
    assert!(matches!(trigger, Err(SinkError::Rejected { .. })));
    let gone = failed("ENTITY_IS_DELETED", "", &[]);
    assert_eq!(
        gone.unwrap(),
        Written::Moved("ENTITY_IS_DELETED".to_owned())
    );
}

#[test]
fn a_refusal_that_names_the_guard_is_stale_and_any_other_validation_a_rejection() {
    let code = "FIELD_CUSTOM_VALIDATION_EXCEPTION";
    assert_eq!(failed(code, "x", &["Guard__c"]).unwrap(), Written::Stale);
    assert_eq!(failed(code, GUARD_MESSAGE, &[]).unwrap(), Written::Stale);
    assert!(matches!(
        failed(code, "x", &["Email"]),
        Err(SinkError::Rejected { .. })
    ));
}

#[test]
fn only_a_duplicate_of_the_external_id_is_read_again() {
    let ext = failed(
        "DUPLICATE_VALUE",
        "duplicate value found: Reltio_Id__c duplicates",
        &[],
    );
    assert!(matches!(ext, Ok(Written::Moved(_))));
    let other = failed("DUPLICATE_VALUE", "duplicate value found: Email__c", &[]);
    assert!(matches!(other, Err(SinkError::Rejected { .. })));
}

#[test]
fn g10_an_error_shows_codes_and_field_names_and_nothing_of_the_message() {
    let refused = failed(
        "STRING_TOO_LONG",
        "First Name: Ada (max 1)",
        &["FirstName", "Ada L"],
    );
    let shown = format!("{refused:?}");
    assert!(
        shown.contains("STRING_TOO_LONG") && shown.contains("FirstName"),
        "{shown}"
    );
    assert!(!shown.contains("Ada"), "{shown}");
    let odd = failed("secret value!", "", &[]);
    assert!(format!("{odd:?}").contains("unnamed"));
}

#[test]
fn a_503_is_no_ambiguity_and_a_gateway_timeout_of_a_write_is() {
    let of = |status, writes| match request(status, &Value::Null, writes) {
        Fault::All(SinkError::Retryable {
            ambiguous,
            outage: true,
            ..
        }) => Some(ambiguous),
        Fault::All(_) | Fault::OneRow(_) => None,
    };
    assert_eq!(
        (of(503, true), of(504, true), of(504, false)),
        (Some(false), Some(true), Some(false))
    );
}

#[test]
fn a_request_that_took_too_long_says_nothing_of_its_rows_and_a_lock_is_one_row_s() {
    let of = |code: &str, writes| match request(400, &json!([{ "errorCode": code }]), writes) {
        Fault::OneRow(SinkError::Retryable {
            ambiguous, outage, ..
        }) => Some((ambiguous, outage)),
        Fault::OneRow(_) | Fault::All(_) => None,
    };
    assert_eq!(of("QUERY_TIMEOUT", false), Some((false, true)));
    assert_eq!(of("REQUEST_RUNNING_TOO_LONG", true), Some((true, true)));
    assert_eq!(of("UNABLE_TO_LOCK_ROW", true), Some((false, false)));
}

#[test]
fn a_request_that_one_row_broke_speaks_for_that_row_only() {
    let body = json!([{ "errorCode": "JSON_PARSER_ERROR", "message": "Ada" }]);
    assert!(
        matches!(request(400, &body, true), Fault::OneRow(error) if error.code() == "JSON_PARSER_ERROR")
    );
    let body = json!([{ "errorCode": "INVALID_FIELD", "message": "No such column" }]);
    assert!(matches!(
        request(400, &body, true),
        Fault::All(SinkError::Systemic { .. })
    ));
}
