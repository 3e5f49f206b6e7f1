//! Opening what a crash or a bad disk left behind.

use std::io::Write as _;
use std::path::Path;

use goldwire::log::journal::Journal;
use goldwire::log::{Log as _, LogAppender as _, LogError, ReadLimit};
use proptest::prelude::*;

use super::{ALL, HEADER, fill, flip, kilobyte, length, open, read_on, record, segments, settings};

fn append_bytes(file: &Path, bytes: &[u8]) {
    std::fs::OpenOptions::new()
        .append(true)
        .open(file)
        .unwrap()
        .write_all(bytes)
        .unwrap();
}

fn damaged(dir: &Path, partitions: u16) -> (String, u64) {
    match Journal::open(settings(dir, partitions)) {
        Err(LogError::Damaged { file, at }) => (file, at),
        other => panic!("not seen as damaged: {other:?}"),
    }
}

#[tokio::test]
async fn segments_are_read_across_from_any_offset_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), 1), 20).await;
    assert!(segments(dir.path(), 0).len() > 4);
    let log = open(dir.path(), 1);
    for from in (0..20).rev().chain(0..20) {
        let read = read_on(&log, 0, from).await.unwrap();
        assert_eq!(read.len() as u64, 20 - from);
        assert!(
            read.iter()
                .all(|record| record.bytes == kilobyte(record.offset))
        );
    }
    assert_eq!(log.append(0, vec![kilobyte(20)]).await.unwrap(), 20);
}

#[tokio::test]
async fn a_large_segment_is_read_through_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let large = || {
        Journal::open(goldwire::log::journal::JournalSettings {
            segment: 16 << 20,
            gather: std::time::Duration::ZERO,
            ..settings(dir.path(), 1)
        })
    };
    let log = large().unwrap();
    for first in (0..1000).step_by(10) {
        log.append(0, (first..first + 10).map(kilobyte).collect())
            .await
            .unwrap();
    }
    drop(log);
    let log = large().unwrap();
    for from in [999, 0, 503, 64, 999, 500] {
        let read = log
            .read(0, from, ReadLimit { records: 3, ..ALL })
            .await
            .unwrap();
        assert_eq!(read[0].offset, from);
        assert!(
            read.iter()
                .all(|record| record.bytes == kilobyte(record.offset))
        );
    }
}

#[tokio::test]
async fn a_torn_append_is_cut_and_its_place_used_again() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), 1), 2).await;
    let file = segments(dir.path(), 0).pop().unwrap();
    let whole = length(&file);
    let next = {
        let log = open(dir.path(), 1);
        log.append(0, vec![record("never acknowledged"); 3])
            .await
            .unwrap();
        length(&file)
    };
    let bytes = std::fs::read(&file).unwrap();
    for cut in whole..next {
        std::fs::write(&file, &bytes[..usize::try_from(cut).unwrap()]).unwrap();
        let log = open(dir.path(), 1);
        assert_eq!(log.range(0).end, 2, "cut at {cut}");
        assert_eq!(length(&file), whole);
    }
    let log = open(dir.path(), 1);
    fill(&log, 1).await;
    assert_eq!(read_on(&log, 0, 0).await.unwrap().len(), 3);
}

#[tokio::test]
async fn garbage_and_zeroes_after_the_last_frame_are_cut() {
    for garbage in [vec![0; 5000], vec![0xA5; 37], b"1".to_vec()] {
        let dir = tempfile::tempdir().unwrap();
        fill(&open(dir.path(), 1), 2).await;
        append_bytes(&segments(dir.path(), 0).pop().unwrap(), &garbage);
        let log = open(dir.path(), 1);
        fill(&log, 2).await;
        drop(log);
        assert_eq!(read_on(&open(dir.path(), 1), 0, 0).await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn a_bad_frame_before_a_good_one_is_refused_and_nothing_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), 1), 3).await;
    let file = segments(dir.path(), 0).pop().unwrap();
    let whole = length(&file);
    flip(&file, HEADER + 200);
    assert_eq!(
        damaged(dir.path(), 1),
        ("0/00000000000000000000.log".to_owned(), HEADER)
    );
    assert_eq!(length(&file), whole);
    flip(&file, HEADER + 200);
    assert_eq!(read_on(&open(dir.path(), 1), 0, 0).await.unwrap().len(), 3);
}

#[tokio::test]
async fn damage_in_an_earlier_segment_is_refused_by_the_read_that_meets_it() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), 1), 12).await;
    let files = segments(dir.path(), 0);
    flip(&files[1], length(&files[1]) - 1);
    let log = open(dir.path(), 1);
    let met = read_on(&log, 0, 0).await.unwrap_err();
    assert!(matches!(met, LogError::Damaged { .. }), "{met}");
    assert_eq!(
        log.read(0, 11, ALL).await.unwrap().len(),
        1,
        "what is good is still read"
    );
}

#[tokio::test]
async fn g2_what_is_whole_before_damage_is_read_before_the_damage_is_met() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), 1), 5).await;
    let files = segments(dir.path(), 0);
    flip(&files[0], HEADER + 2 * (1024 + 40) + 99);
    let log = open(dir.path(), 1);
    let read = log.read(0, 0, ALL).await.unwrap();
    let offsets: Vec<_> = read.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1]);
    let met = log.read(0, 2, ALL).await.unwrap_err();
    assert!(matches!(met, LogError::Damaged { .. }), "{met}");
}

#[tokio::test]
async fn a_lost_or_shortened_or_lengthened_earlier_segment_is_refused_at_open() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), 2), 12).await;
    let files = segments(dir.path(), 0);
    let bytes = std::fs::read(&files[1]).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    damaged(dir.path(), 2);
    std::fs::write(&files[1], &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(damaged(dir.path(), 2).1, bytes.len() as u64 - 1);
    std::fs::write(&files[1], [bytes.as_slice(), b"more"].concat()).unwrap();
    damaged(dir.path(), 2);
    std::fs::write(&files[1], &bytes).unwrap();
    open(dir.path(), 2);
    std::fs::remove_file(&segments(dir.path(), 1)[0]).unwrap();
    damaged(dir.path(), 2);
}

#[tokio::test]
async fn a_segment_of_another_log_is_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&open(dir.path(), 1), 2).await;
    fill(&open(other.path(), 1), 2).await;
    std::fs::copy(&segments(other.path(), 0)[0], &segments(dir.path(), 0)[0]).unwrap();
    damaged(dir.path(), 1);
}

#[tokio::test]
async fn good_frames_in_another_order_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path(), 1), 5).await;
    let files = segments(dir.path(), 0);
    let swap = |file: &Path| {
        let mut bytes = std::fs::read(file).unwrap();
        let (head, frames) = bytes.split_at_mut(usize::try_from(HEADER).unwrap());
        let frame = (frames.len() / (1024 + 40), 1024 + 40);
        assert_eq!((head.len(), frames.len()), (52, frame.0 * frame.1));
        let (first, others) = frames.split_at_mut(frame.1);
        first.swap_with_slice(&mut others[..frame.1]);
        std::fs::write(file, bytes).unwrap();
    };
    swap(&files[0]);
    let met = read_on(&open(dir.path(), 1), 0, 0).await.unwrap_err();
    assert!(matches!(met, LogError::Damaged { .. }), "{met}");
    swap(&files[1]);
    assert_eq!(damaged(dir.path(), 1).1, HEADER);
}

/// What happens to a journal between two looks at it.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u16>),
    Reopen,
    /// A crash in the middle of an append: some bytes of its frame, then perhaps others.
    Torn {
        sizes: Vec<u16>,
        cut: prop::sample::Index,
        garbage: Vec<u8>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let sizes = || prop::collection::vec(0_u16..1500, 1..5);
    prop_oneof![
        4 => sizes().prop_map(Step::Append),
        1 => Just(Step::Reopen),
        2 => (sizes(), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(sizes, cut, garbage)| Step::Torn { sizes, cut, garbage }),
    ]
}

fn records(first: usize, sizes: &[u16]) -> Vec<bytes::Bytes> {
    let fill = |(at, size): (usize, &u16)| vec![(first + at) as u8; usize::from(*size)].into();
    sizes.iter().enumerate().map(fill).collect()
}

/// Appends, then takes the end of the frame away again, as a crash before the fsync would.
async fn tear(log: Journal, dir: &Path, step: (Vec<bytes::Bytes>, usize, &[u8])) {
    let before: Vec<_> = segments(dir, 0)
        .into_iter()
        .map(|file| (length(&file), file))
        .collect();
    let (records, cut, garbage) = step;
    log.append(0, records).await.unwrap();
    drop(log);
    let newest = segments(dir, 0).pop().unwrap();
    let start = before
        .iter()
        .find(|(_, file)| *file == newest)
        .map_or(HEADER, |known| known.0);
    let frame = usize::try_from(length(&newest) - start).unwrap();
    let keep = start + (cut % frame) as u64;
    std::fs::OpenOptions::new()
        .write(true)
        .open(&newest)
        .unwrap()
        .set_len(keep)
        .unwrap();
    append_bytes(&newest, garbage);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn g1_no_acknowledged_record_is_lost_and_no_damage_is_silent(
        steps in prop::collection::vec(step(), 1..14),
        flipped in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut log = open(dir.path(), 1);
            let mut model: Vec<bytes::Bytes> = Vec::new();
            for step in steps {
                match step {
                    Step::Append(sizes) => {
                        let records = records(model.len(), &sizes);
                        let first = log.append(0, records.clone()).await.unwrap();
                        assert_eq!(first, model.len() as u64);
                        model.extend(records);
                    }
                    Step::Reopen => {
                        drop(log);
                        log = open(dir.path(), 1);
                    }
                    Step::Torn { sizes, cut, garbage } => {
                        let torn = records(model.len(), &sizes);
                        let cut = cut.index(usize::MAX);
                        tear(log, dir.path(), (torn, cut, &garbage)).await;
                        log = open(dir.path(), 1);
                    }
                }
                let read = read_on(&log, 0, 0).await.unwrap();
                let read: Vec<_> = read.into_iter().map(|record| record.bytes).collect();
                assert_eq!(read, model);
            }
            let mut last = 0;
            if !model.is_empty() {
                last = length(segments(dir.path(), 0).last().unwrap());
                log.append(0, vec![record("the last frame")]).await.unwrap();
            }
            drop(log);
            flip_and_look(dir.path(), last, flipped, &model).await;
        });
    }
}

/// A flipped byte anywhere before the last frame is met at open or by a read.
async fn flip_and_look(
    dir: &Path,
    last: u64,
    flipped: prop::sample::Index,
    model: &[bytes::Bytes],
) {
    let files = segments(dir, 0);
    let (newest, older) = files.split_last().unwrap();
    let mut places: Vec<(&Path, u64)> = Vec::new();
    for file in older {
        places.extend((0..length(file)).map(|at| (file.as_path(), at)));
    }
    // The last append may have begun a segment of its own: then only its header is before it.
    let before = if last < length(newest) && last > 0 {
        last
    } else {
        HEADER
    };
    places.extend((0..before).map(|at| (newest.as_path(), at)));
    let (file, at) = places[flipped.index(places.len())];
    flip(file, at);
    match Journal::open(settings(dir, 1)) {
        Err(LogError::Damaged { .. }) => {}
        Ok(log) => {
            let read = read_on(&log, 0, 0).await;
            assert!(
                matches!(read, Err(LogError::Damaged { .. })),
                "byte {at} of {} of {} records went unseen",
                file.display(),
                model.len()
            );
        }
        Err(other) => panic!("{other}"),
    }
}
