//! Merges and unmerges: active while the loser is absorbed, whatever comes first.

use goldwire::event::SubjectState;

use super::place::{Place, deliver};
use super::{absorbed, event, late, person, read};

async fn merges(place: &Place) -> Vec<Vec<String>> {
    place
        .rows(
            &["loser", "winner", "active", "merged_at", "unmerged_at"],
            "merges",
        )
        .await
}

pub(super) async fn merged_and_unmerged(place: Place) {
    let warehouse = place.open();
    let l = "entities/l";
    deliver(&warehouse, &[event(l, 1, 100, person("l"))]).await;
    assert!(merges(&place).await.is_empty());
    deliver(&warehouse, &[event(l, 2, 200, absorbed("entities/w"))]).await;
    assert_eq!(
        merges(&place).await,
        [["entities/l", "entities/w", "yes", "200", "~"]]
    );
    deliver(&warehouse, &[event(l, 3, 300, person("l"))]).await;
    assert_eq!(
        merges(&place).await,
        [["entities/l", "entities/w", "no", "200", "300"]]
    );
}

pub(super) async fn a_loser_goes_from_winner_to_winner(place: Place) {
    let warehouse = place.open();
    let l = "entities/l";
    deliver(
        &warehouse,
        &[
            event(l, 2, 200, absorbed("entities/w")),
            event(l, 3, 300, person("l")),
        ],
    )
    .await;
    deliver(&warehouse, &[read(l, 400, absorbed("entities/v"))]).await;
    assert_eq!(
        merges(&place).await,
        [
            ["entities/l", "entities/v", "yes", "400", "~"],
            ["entities/l", "entities/w", "no", "200", "300"],
        ]
    );
    deliver(&warehouse, &[event(l, 5, 500, absorbed("entities/w"))]).await;
    assert_eq!(
        merges(&place).await,
        [
            ["entities/l", "entities/v", "no", "400", "~"],
            ["entities/l", "entities/w", "yes", "200", "~"],
        ]
    );
}

pub(super) async fn a_late_merge_is_kept_as_undone(place: Place) {
    let warehouse = place.open();
    let l = "entities/l";
    deliver(
        &warehouse,
        &[
            read(l, 900, person("l")),
            late(l, 2, 200, absorbed("entities/w")),
        ],
    )
    .await;
    assert_eq!(
        merges(&place).await,
        [["entities/l", "entities/w", "no", "200", "900"]]
    );
    // The moment of the return is known better afterwards.
    deliver(&warehouse, &[late(l, 3, 300, person("l"))]).await;
    assert_eq!(
        merges(&place).await,
        [["entities/l", "entities/w", "no", "200", "300"]]
    );
}

pub(super) async fn what_is_gone_stays_merged(place: Place) {
    let warehouse = place.open();
    let l = "entities/l";
    let unknown = SubjectState::Absorbed { by: None };
    deliver(
        &warehouse,
        &[
            event(l, 1, 100, person("l")),
            event(l, 2, 200, absorbed("entities/w")),
            read(l, 300, SubjectState::Gone),
            event(l, 4, 400, unknown),
        ],
    )
    .await;
    assert_eq!(
        merges(&place).await,
        [["entities/l", "entities/w", "yes", "200", "~"]]
    );
    assert_eq!(place.one("state", "golden_records").await, "absorbed");
}
