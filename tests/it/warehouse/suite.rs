//! The suite on SQLite.

use goldwire::event::SubjectState;

use super::place::{Place, deliver};
use super::{activity, columns, event, facts, failures, merges, person, version_1, version_2};

macro_rules! on_sqlite {
    ($($name:ident => $case:path;)*) => {
        $(#[tokio::test]
        async fn $name() {
            $case(Place::sqlite()).await;
        })*
    };
}

on_sqlite! {
    g4_older_content_never_replaces_newer => facts::older_is_refused;
    g5_what_was_read_gives_way_to_a_payload => facts::observed_gives_way;
    an_erasure_takes_the_content_everywhere => facts::an_erasure_takes_all_content;
    g5_an_erasure_keeps_its_row_beside_a_change_of_its_clocks =>
        facts::an_erasure_keeps_its_row_beside_a_change_of_its_clocks;
    a_life_after_an_erasure_has_content => facts::a_life_after_an_erasure_has_content;
    a_partial_snapshot_replaces_what_it_knows => facts::a_partial_snapshot_replaces_what_it_knows;
    relations_have_a_table_of_their_own => facts::relations_have_a_table_of_their_own;
    every_digit_is_kept => facts::every_digit_is_kept;
    what_is_too_deep_is_refused_alone => facts::too_deep_is_refused_alone;
    a_nul_is_kept_and_harms_no_query => facts::a_nul_is_kept_and_harms_no_query;
    late_rows_tell_type_and_life =>
        facts::a_type_and_a_life_known_only_from_late_rows_are_kept;
    merged_and_unmerged => merges::merged_and_unmerged;
    a_loser_goes_from_winner_to_winner => merges::a_loser_goes_from_winner_to_winner;
    a_late_merge_is_kept_as_undone => merges::a_late_merge_is_kept_as_undone;
    what_is_gone_stays_merged => merges::what_is_gone_stays_merged;
    g7_one_bad_record_of_a_batch_is_rejected_alone => failures::one_bad_record;
    two_that_start_at_once_make_the_tables_once => failures::two_start_at_once;
    tables_of_a_newer_version_are_left_alone => failures::newer_tables;
    tables_made_by_hand_are_used => failures::tables_made_by_hand;
    tables_of_version_1_keep_every_row => version_1::keeps_every_row;
    what_has_ended_is_not_live => activity::what_has_ended_is_not_live;
    an_end_told_later_ends => activity::an_end_told_later_ends;
    a_loser_told_as_changed_stays_a_loser => activity::a_loser_told_as_changed_stays_a_loser;
    a_partial_snapshot_keeps_the_end_that_it_does_not_know =>
        activity::a_partial_snapshot_keeps_the_end_that_it_does_not_know;
    a_relation_is_live_between_what_is => activity::a_relation_is_live_between_what_is;
    an_erasure_takes_the_dates_with_it => activity::an_erasure_takes_the_dates_with_it;
    times_are_readable => activity::times_are_readable;
    views_use_indexes => activity::views_use_indexes;
    tables_of_version_2_know_since_when_afterwards => version_2::knows_since_when_afterwards;
    columns_are_written_with_their_types =>
        columns::are_written_with_their_types;
    columns_of_what_is_dead_or_erased_are_empty =>
        columns::of_what_is_dead_or_erased_are_empty;
    columns_of_a_partial_snapshot_are_those_of_what_it_is_laid_over =>
        columns::of_a_partial_snapshot_are_those_of_what_it_is_laid_over;
    columns_that_are_new_are_filled_from_what_is_stored =>
        columns::that_are_new_are_filled_from_what_is_stored;
    columns_follow_a_mapping_that_changes =>
        columns::follow_a_mapping_that_changes;
    columns_that_were_dropped_are_in_no_view =>
        columns::that_were_dropped_are_in_no_view;
    columns_are_filled_from_where_it_was_left =>
        columns::are_filled_from_where_it_was_left;
    columns_of_many_rows_are_filled_by_all_connections =>
        columns::of_many_rows_are_filled_by_all_connections;
    columns_made_by_hand_are_used =>
        columns::made_by_hand_are_used;
    merges_are_resolved_to_the_last_survivor =>
        columns::merges_are_resolved_to_the_last_survivor;
    a_missing_table_halts_with_a_remedy => failures::a_missing_table;
    a_subject_twice_in_a_batch_is_written_twice => failures::a_subject_twice;
    g4_two_writers_of_one_subject_leave_exact_tables => failures::two_writers;
    g6_a_locked_database_is_tried_again => failures::a_locked_database;
}

#[tokio::test]
async fn what_was_erased_is_not_in_the_file_any_more() {
    let place = Place::sqlite();
    let warehouse = place.open();
    let name = "Rumpelstiltskin";
    deliver(&warehouse, &[event("entities/a", 1, 100, person(name))]).await;
    let path = place.url.trim_start_matches("sqlite:").to_owned();
    let holds = async || {
        place.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(name.len()).any(|at| at == name.as_bytes())
    };
    assert!(holds().await);
    deliver(
        &warehouse,
        &[event("entities/a", 2, 200, SubjectState::Erased)],
    )
    .await;
    assert!(!holds().await);
}
