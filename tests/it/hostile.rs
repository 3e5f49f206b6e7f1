//! The corpus of the fuzz targets, each file through its target; what a target asks is said there.

use std::path::Path;

/// Calls `target` with every file of a corpus, and names the file that it panics on.
fn all_of(corpus: &str, target: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let mut files = 0;
    for entry in std::fs::read_dir(root.join(corpus)).unwrap() {
        let file = entry.unwrap().path();
        let input = std::fs::read(&file).unwrap();
        let ended = std::panic::catch_unwind(|| target(&input));
        assert!(ended.is_ok(), "{} of {corpus}", file.display());
        files += 1;
    }
    assert!(files > 10, "the corpus of {corpus} is not there");
}

#[test]
fn no_body_and_no_header_is_decoded_to_what_it_does_not_say() {
    all_of("decode", crate::fuzz::decode);
}

#[test]
fn g5_no_envelope_changes_what_it_carries() {
    all_of("envelope", crate::fuzz::envelope);
}

#[test]
fn no_request_is_taken_for_signed_that_is_not() {
    all_of("signature", crate::fuzz::signature);
}

#[test]
fn g10_no_configuration_is_refused_without_a_path_or_with_a_secret_shown() {
    all_of("config", crate::fuzz::config);
}

#[test]
fn g1_no_damage_to_a_journal_loses_whole_records_in_silence() {
    all_of("journal", crate::fuzz::journal);
}
