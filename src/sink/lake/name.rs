//! Names of files. Pure.
//!
//! Guarantee (G5): no two files have one name, also where the log was made again under its name, or a
//! process died and its records are written again.

use jiff::Timestamp;
use uuid::Uuid;

use super::config::Format;
use crate::sink::pieces::Place;
use crate::time::Millis;

/// `date=2026-11-30/4kxJ-p3-000000012345-1f0c….parquet`: the day on which it was sealed (UTC), the log's
/// identity, the partition, and where the sink stands with it.
pub(super) fn name(
    (format, place): (Format, &Place),
    (now, position): (Millis, u64),
    id: Uuid,
) -> String {
    let day = Timestamp::from_millisecond(now).unwrap_or_default();
    let day = day.strftime("%Y-%m-%d");
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let log = place.log.chars();
    let log: String = log.map(|it| if plain(it) { it } else { '_' }).collect();
    let ending = match format {
        Format::Parquet => "parquet",
        Format::Ndjson => "ndjson.gz",
    };
    format!(
        "date={day}/{log}-p{}-{position:012}-{}.{ending}",
        place.partition,
        id.simple()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_day_the_log_and_the_place_in_it() {
        let place = Place {
            partition: 3,
            log: "a/b c".to_owned(),
            partitions: 8,
        };
        assert_eq!(
            name(
                (Format::Parquet, &place),
                (1_800_000_000_000, 12_345),
                Uuid::nil()
            ),
            "date=2027-01-15/a_b_c-p3-000000012345-00000000000000000000000000000000.parquet"
        );
    }
}
