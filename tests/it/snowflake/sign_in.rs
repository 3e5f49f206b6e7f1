//! Key-pair authentication.

use goldwire::sink::Sink as _;
use loadtest::fake_salesforce::JWT_KEY;
use loadtest::fake_snowflake::PRIVATE_KEY;
use serde_json::json;

use super::bench::{Bench, halted, place, write};

#[tokio::test]
async fn a_key_that_is_not_the_users_halts_with_what_to_check_and_shows_nothing_of_it() {
    let bench = Bench::new().await;
    for wrong in [
        json!({ "private_key": JWT_KEY }),
        json!({ "user": "somebody" }),
    ] {
        let sink = bench.sink(&wrong);
        let pieces = sink.pieces(&place("log")).unwrap();
        let answer = pieces.gather(&[write(1, "{}")]).await.remove(0);
        let (code, remedy) = halted(answer);
        assert_eq!(code, "sign_in_390144");
        assert!(
            remedy.contains("RSA_PUBLIC_KEY") && remedy.contains("clock"),
            "{remedy}"
        );
        let shown = format!("{sink:?} {pieces:?} {:?}", sink.probe().await);
        assert!(!shown.contains("PRIVATE KEY"), "G10");
    }
}

#[tokio::test]
async fn lines_of_a_key_may_be_written_out() {
    let bench = Bench::new().await;
    let key = PRIVATE_KEY.replace('\n', "\\n");
    let sink = bench.sink(&json!({ "private_key": key }));
    assert_eq!(sink.probe().await, Vec::<String>::new());
}
