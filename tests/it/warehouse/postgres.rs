//! The suite on PostgreSQL, and what only a server can do.

use goldwire::sink::{Effect, Sink as _, SinkError};

use super::place::{Place, deliver, deliver_all};
use super::{
    activity, columns, event, facts, failures, merges, orders, person, version_1, version_2,
};

macro_rules! on_postgres {
    ($($name:ident => $case:path;)*) => {
        $(#[tokio::test]
        #[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
        async fn $name() {
            $case(Place::postgres().await).await;
        })*
    };
}

on_postgres! {
    postgres_g4_older_content_never_replaces_newer => facts::older_is_refused;
    postgres_g5_what_was_read_gives_way_to_a_payload => facts::observed_gives_way;
    postgres_an_erasure_takes_the_content_everywhere => facts::an_erasure_takes_all_content;
    postgres_g5_an_erasure_keeps_its_row_beside_a_change_of_its_clocks =>
        facts::an_erasure_keeps_its_row_beside_a_change_of_its_clocks;
    postgres_a_life_after_an_erasure_has_content => facts::a_life_after_an_erasure_has_content;
    postgres_a_partial_snapshot_replaces_what_it_knows =>
        facts::a_partial_snapshot_replaces_what_it_knows;
    postgres_relations_have_a_table_of_their_own => facts::relations_have_a_table_of_their_own;
    postgres_every_digit_is_kept => facts::every_digit_is_kept;
    postgres_what_is_too_deep_is_refused_alone => facts::too_deep_is_refused_alone;
    postgres_a_nul_is_kept_and_harms_no_query => facts::a_nul_is_kept_and_harms_no_query;
    postgres_late_rows_tell_type_and_life =>
        facts::a_type_and_a_life_known_only_from_late_rows_are_kept;
    postgres_merged_and_unmerged => merges::merged_and_unmerged;
    postgres_a_loser_goes_from_winner_to_winner => merges::a_loser_goes_from_winner_to_winner;
    postgres_a_late_merge_is_kept_as_undone => merges::a_late_merge_is_kept_as_undone;
    postgres_what_is_gone_stays_merged => merges::what_is_gone_stays_merged;
    postgres_g7_one_bad_record_of_a_batch_is_rejected_alone => failures::one_bad_record;
    postgres_two_that_start_at_once_make_the_tables_once => failures::two_start_at_once;
    postgres_tables_of_a_newer_version_are_left_alone => failures::newer_tables;
    postgres_tables_made_by_hand_are_used => failures::tables_made_by_hand;
    postgres_tables_of_version_1_keep_every_row => version_1::keeps_every_row;
    postgres_tables_of_version_1_keep_their_readers => version_1::keeps_its_readers;
    postgres_views_that_depend_on_version_1_are_named => version_1::names_views_that_depend_on_it;
    postgres_what_has_ended_is_not_live => activity::what_has_ended_is_not_live;
    postgres_an_end_told_later_ends => activity::an_end_told_later_ends;
    postgres_a_loser_told_as_changed_stays_a_loser => activity::a_loser_told_as_changed_stays_a_loser;
    postgres_a_partial_snapshot_keeps_the_end_that_it_does_not_know =>
        activity::a_partial_snapshot_keeps_the_end_that_it_does_not_know;
    postgres_a_relation_is_live_between_what_is => activity::a_relation_is_live_between_what_is;
    postgres_an_erasure_takes_the_dates_with_it => activity::an_erasure_takes_the_dates_with_it;
    postgres_times_are_readable => activity::times_are_readable;
    postgres_views_use_indexes => activity::views_use_indexes;
    postgres_tables_of_version_2_know_since_when_afterwards => version_2::knows_since_when_afterwards;
    postgres_tables_of_version_2_keep_their_readers => version_2::keeps_its_readers;
    postgres_columns_are_written_with_their_types =>
        columns::are_written_with_their_types;
    postgres_columns_of_what_is_dead_or_erased_are_empty =>
        columns::of_what_is_dead_or_erased_are_empty;
    postgres_columns_of_a_partial_snapshot_are_those_of_what_it_is_laid_over =>
        columns::of_a_partial_snapshot_are_those_of_what_it_is_laid_over;
    postgres_columns_that_are_new_are_filled_from_what_is_stored =>
        columns::that_are_new_are_filled_from_what_is_stored;
    postgres_columns_follow_a_mapping_that_changes =>
        columns::follow_a_mapping_that_changes;
    postgres_columns_that_were_dropped_are_in_no_view =>
        columns::that_were_dropped_are_in_no_view;
    postgres_columns_are_filled_from_where_it_was_left =>
        columns::are_filled_from_where_it_was_left;
    postgres_columns_of_many_rows_are_filled_by_all_connections =>
        columns::of_many_rows_are_filled_by_all_connections;
    postgres_columns_made_by_hand_are_used =>
        columns::made_by_hand_are_used;
    postgres_merges_are_resolved_to_the_last_survivor =>
        columns::merges_are_resolved_to_the_last_survivor;
    postgres_a_missing_table_halts_with_a_remedy => failures::a_missing_table;
    postgres_a_subject_twice_in_a_batch_is_written_twice => failures::a_subject_twice;
    postgres_g4_two_writers_of_one_subject_leave_exact_tables => failures::two_writers;
    postgres_g6_a_locked_database_is_tried_again => failures::a_locked_database;
}

#[test]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
fn postgres_g5_any_order_of_arrival_with_duplicates_gives_the_tables_of_the_ordered_one() {
    orders::check(24, true);
}

#[tokio::test]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn postgres_connections_that_died_of_idleness_are_made_again() {
    let mut place = Place::postgres().await;
    let beside = place.url.clone();
    let name = uuid::Uuid::new_v4().to_string();
    place.url = format!("{beside}&application_name={name}");
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/a", 1, 1, person("x"))]).await;
    place.url = beside;
    let kill = format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
         WHERE application_name = '{name}'"
    );
    place.execute(&kill).await;
    deliver(&warehouse, &[event("entities/a", 2, 2, person("y"))]).await;
    assert_eq!(place.one("label", "golden_records").await, "y");
}

#[tokio::test]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn postgres_g7_a_record_that_ends_its_connection_takes_no_other_with_it() {
    let place = Place::postgres().await;
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/first", 1, 1, person("x"))]).await;
    let poison = "CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.subject LIKE 'entities/bad%' THEN
                PERFORM pg_terminate_backend(pg_backend_pid());
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER poison BEFORE INSERT ON golden_record_changes
        FOR EACH ROW EXECUTE FUNCTION poison()";
    place.execute(poison).await;
    let name = |at: i64| match at {
        7 | 31 => format!("entities/bad{at}"),
        _ => format!("entities/{at}"),
    };
    let batch: Vec<_> = (0..60)
        .map(|at| event(&name(at), 1, 1, person("x")))
        .collect();
    for (at, answer) in (0..).zip(deliver_all(&warehouse, &batch).await) {
        if !name(at).contains("bad") {
            assert_eq!(answer.unwrap(), Effect::Delivered, "{at}");
            continue;
        }
        // Counted against the record, and against the target only with those of other lanes.
        let SinkError::Retryable {
            ambiguous: true,
            outage: true,
            ..
        } = answer.unwrap_err()
        else {
            panic!("{at}");
        };
    }
    let rows = place.rows(&["subject"], "golden_records").await;
    assert_eq!(rows.len(), 59);
}

/// Characters were lost, or records refused one by one.
#[tokio::test]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn postgres_g3_a_database_that_does_not_hold_every_character_is_refused() {
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let options =
            format!("ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        let place = Place::postgres_database_with(&options).await;
        let warehouse = place.open();
        let sentences = warehouse.probe().await;
        assert!(sentences[0].contains("ENCODING 'UTF8'"), "{sentences:?}");
        let row = event("entities/a", 1, 1, person("x"));
        let SinkError::Systemic { code, remedy } = warehouse.write_one(&row).await.unwrap_err()
        else {
            panic!("{encoding} is no halt");
        };
        assert_eq!(code, "encoding");
        assert!(remedy.contains("ENCODING 'UTF8'"), "{remedy}");
        let tables = "pg_class WHERE relname LIKE 'golden%'";
        assert_eq!(place.one("count(*)", tables).await, "0");
    }
}

/// No record is to blame, and none is given up.
#[tokio::test]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn postgres_a_setting_that_the_server_refuses_halts_with_a_remedy() {
    for setting in ["nonsense", "work_mem"] {
        let mut place = Place::postgres().await;
        place.url = format!("{}&options[{setting}]=lots", place.url);
        let warehouse = place.open();
        let row = event("entities/a", 1, 1, person("x"));
        let error = warehouse.write_one(&row).await.unwrap_err();
        assert!(matches!(error, SinkError::Systemic { .. }), "{error:?}");
        assert!(error.to_string().contains("`options`"), "{error}");
        assert_eq!(warehouse.probe().await.len(), 1);
    }
}
