//! Several writers whose batches hold the same subjects, on a real PostgreSQL.

use goldwire::sink::{Current, Effect, Write};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::orders::exact_intervals;
use super::place::{Place, deliver, deliver_all};
use super::{absorbed, event, late, person, read};

async fn number(link: &mut PgConnection, sql: &str) -> i64 {
    let sql = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
    sql.fetch_one(link).await.unwrap()
}

/// Writes `batch` while another program holds the row of `held`, waits until the sink waits for it,
/// and tells whether `entities/a` is locked by then.
async fn locks_the_first_before_it_waits_for(held: &str, batch: Vec<Write>) -> bool {
    let mut place = Place::postgres().await;
    deliver(&place.open(), &[event(held, 1, 1, person("x"))]).await;
    let beside = place.url.clone();
    let name = uuid::Uuid::new_v4().to_string();
    place.url = format!("{beside}&application_name={name}");
    let warehouse = place.open();

    let is_relation = held.starts_with("relations/");
    let table = if is_relation {
        "relations"
    } else {
        "golden_records"
    };
    let mut holder = PgConnection::connect(&beside).await.unwrap();
    let lock = format!("BEGIN; SELECT 1 FROM {table} WHERE subject = '{held}' FOR UPDATE");
    let lock = sqlx::raw_sql(AssertSqlSafe(lock));
    lock.execute(&mut holder).await.unwrap();
    let written = tokio::spawn(async move { deliver_all(&warehouse, &batch).await });
    let mut looker = PgConnection::connect(&beside).await.unwrap();
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE application_name = '{name}' AND wait_event_type = 'Lock'"
    );
    while number(&mut looker, &waits).await == 0 {
        tokio::task::yield_now().await;
    }
    // Not committed, so not to be seen; but whoever wants to make it now has to wait for it.
    let taken = "SET lock_timeout = '1ms'; INSERT INTO golden_records
        (tenant, subject, object_type, state, stands_for, alive_at, erased_at, updated_at)
        VALUES ('acme', 'entities/a', '', 'unknown', 0, 0, 0, 0) ON CONFLICT DO NOTHING";
    let tried = sqlx::raw_sql(taken).execute(&mut looker).await;
    let refused = tried.err().and_then(sqlx::Error::into_database_error);
    holder.close().await.unwrap();
    for answer in written.await.unwrap() {
        assert_eq!(answer.unwrap(), Effect::Delivered);
    }
    refused.is_some_and(|error| error.code().as_deref() == Some("55P03"))
}

/// Also what only tells of the past.
#[tokio::test]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn postgres_a_transaction_locks_all_of_its_rows_in_one_sorted_pass() {
    let batch = vec![
        event("entities/z", 2, 2, person("y")),
        late("entities/a", 1, 1, person("x")),
    ];
    assert!(locks_the_first_before_it_waits_for("entities/z", batch).await);
}

/// A partial snapshot of a relation is read before it is written: entities are locked first.
#[tokio::test]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn postgres_a_transaction_that_reads_first_locks_in_the_same_order() {
    let mut partial = read("relations/z", 2, person("y"));
    partial.current = partial.current.map(|row| Current {
        fields: Some(vec!["label".to_owned()]),
        ..row
    });
    let batch = vec![partial, late("entities/a", 1, 1, person("x"))];
    assert!(locks_the_first_before_it_waits_for("relations/z", batch).await);
}

/// G6, G7: the old writer passed over `golden_records` twice, and two such batches met in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn postgres_writers_of_the_same_subjects_never_wait_in_a_circle() {
    const WRITERS: i64 = 4;
    const ROUNDS: i64 = 25;
    const SUBJECTS: i64 = 120;
    let place = Place::postgres_database().await;
    let writers: Vec<_> = (0..WRITERS).map(|_| place.open()).collect();
    let run = writers.into_iter().zip(0..).map(|(warehouse, writer)| {
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let version = round * WRITERS + writer + 1;
                // Each from another end, with its own half as what is late.
                let batch: Vec<_> = (0..SUBJECTS)
                    .map(|at| {
                        let at = if writer % 2 == 0 {
                            at
                        } else {
                            SUBJECTS - 1 - at
                        };
                        let name = match at % 10 {
                            0 => format!("relations/{at:03}"),
                            _ => format!("entities/{at:03}"),
                        };
                        match (at + writer) % 4 {
                            0 => event(&name, version, version, absorbed("entities/w")),
                            1 => event(&name, version, version, person("x")),
                            _ => late(&name, version, version, person("x")),
                        }
                    })
                    .collect();
                for answer in deliver_all(&warehouse, &batch).await {
                    assert_eq!(answer.unwrap(), Effect::Delivered);
                }
            }
        })
    });
    for done in futures::future::join_all(run).await {
        done.unwrap();
    }
    let mut link = PgConnection::connect(&place.url).await.unwrap();
    // A server process counts its deadlocks when it ends at the latest; a pooler keeps it.
    let others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND backend_type = 'client backend'";
    while number(&mut link, others).await > 0 {
        tokio::task::yield_now().await;
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(&mut link, deadlocks).await, 0);
    link.close().await.unwrap();
    exact_intervals(&place).await;
    let rows = place.one("count(*)", "golden_record_history").await;
    assert_eq!(rows, (WRITERS * ROUNDS * SUBJECTS).to_string());
}

/// Whoever gives way is not at fault: the batch is written again, and no record hears of it.
#[tokio::test]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn postgres_a_transaction_that_gave_way_is_written_again() {
    for code in ["40P01", "40001"] {
        let place = Place::postgres().await;
        let warehouse = place.open();
        deliver(&warehouse, &[event("entities/first", 1, 1, person("x"))]).await;
        // A sequence keeps its value through a roll-back: the first two transactions fail.
        let gives_way = format!(
            "CREATE SEQUENCE tries;
             CREATE FUNCTION give_way() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF nextval('tries') <= 2 THEN RAISE EXCEPTION USING ERRCODE = '{code}'; END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER give_way AFTER INSERT ON golden_record_changes
             FOR EACH STATEMENT EXECUTE FUNCTION give_way()"
        );
        place.execute(&gives_way).await;
        let batch: Vec<_> = (0..10)
            .map(|at| event(&format!("entities/{at}"), 1, 1, person("x")))
            .collect();
        for answer in deliver_all(&warehouse, &batch).await {
            assert_eq!(answer.unwrap(), Effect::Delivered, "{code}");
        }
        assert!(
            place
                .one("last_value", "tries")
                .await
                .parse::<i64>()
                .unwrap()
                > 2
        );
    }
}
