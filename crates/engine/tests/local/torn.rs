//! A log cut off at any byte loses what was cut, and nothing else.

use std::fs;

use hydrant_engine::LaneId;

use super::{close, damage::segments, frame, open, read, scratch};

#[tokio::test]
async fn a_tail_cut_at_any_byte_costs_the_frames_it_cuts() {
    let dir = scratch();
    let (engine, _) = open(dir.path()).await;
    let mut frames = Vec::new();
    let mut ends = Vec::new();
    for number in 0..4 {
        let frame = frame(number + 1, 17);
        let position = engine.log.append(LaneId(1), frame.clone()).await.unwrap();
        frames.push((position, frame));
        // Header, one record end, 17 bytes, padded.
        ends.push(4096 + (number as usize + 1) * 80);
    }
    let file = segments(dir.path()).remove(0);
    let bytes = fs::read(&file).unwrap();
    // As if the file had been cut, and as if the rest had never been written.
    for zeroed in [false, true] {
        for cut in 4096..=ends[3] {
            let copy = scratch();
            crate::model::copy_dir(dir.path(), copy.path()).unwrap();
            let mut torn = bytes[..cut].to_vec();
            if zeroed {
                torn.resize(bytes.len(), 0);
            }
            fs::write(&segments(copy.path())[0], &torn).unwrap();
            let (engine, report) = open(copy.path()).await;
            // Of a frame whose last three bytes are padding, zeros are not missed.
            let padding = if zeroed { 3 } else { 0 };
            let whole = ends.iter().filter(|&&end| end - padding <= cut).count();
            let found = read(&*engine.log, LaneId(1)).await;
            assert!(found == frames[..whole], "cut at {cut}");
            assert_eq!(report.damage, [], "cut at {cut}");
            if let Some(torn) = &report.torn_tail {
                assert_eq!(
                    torn.offset as usize,
                    4096 + found.len() * 80,
                    "cut at {cut}"
                );
            }
            // What comes next is kept, and stands above all that was acknowledged.
            let next = engine.log.append(LaneId(1), frame(9, 9)).await.unwrap();
            assert!(
                frames[3].0 < next,
                "a position that was acknowledged is given to no other frame, also when its own is lost"
            );
            close(engine).await;
            let (engine, report) = open(copy.path()).await;
            assert_eq!((report.torn_tail, report.damage), (None, vec![]));
            let again = read(&*engine.log, LaneId(1)).await;
            assert_eq!(again.len(), found.len() + 1, "cut at {cut}");
            assert!(again.starts_with(&found), "cut at {cut}");
            close(engine).await;
        }
    }
    close(engine).await;
}
