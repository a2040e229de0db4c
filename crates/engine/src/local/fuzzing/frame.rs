//! The formats on disk, each by itself.
//!
//! No fuzzer guesses a checksum. So what is decoded is decoded twice: as it came, and with its checksums made right.

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    frame::Frame,
    local::{
        footer::{self, FooterBuilder, Trailer, decode_block, encode_block},
        format::{self, FRAME_HEADER, FrameHeader, Kind, SegmentHeader, u32_at, u64_at},
        index::Entry,
        lanes,
    },
    log::LaneId,
};

/// ```text
/// which format (one byte of h f b t l, or another for entries to write)  the bytes
/// ```
pub fn frame(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    match which {
        b'h' => segment_header(bytes),
        b'f' => one_frame(bytes),
        b'b' => block(bytes),
        b't' => trailer(bytes),
        b'l' => lanes_file(bytes),
        _ => entries(bytes),
    }
}

pub(super) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn segment_header(bytes: &[u8]) {
    let _ = SegmentHeader::decode(bytes);
    let mut sound = bytes.to_vec();
    if sound.len() < 52 {
        return;
    }
    put(&mut sound, 0, b"HYDRSEG\0");
    let crc = crc32fast::hash(&sound[..48]);
    put(&mut sound, 48, &crc.to_le_bytes());
    if let Ok(header) = SegmentHeader::decode(&sound) {
        let encoded = header.encode();
        assert_eq!(encoded[..52], sound[..52]);
        assert_eq!(SegmentHeader::decode(&encoded), Ok(header));
    }
}

fn one_frame(bytes: &[u8]) {
    let Some(head) = bytes.get(..FRAME_HEADER as usize) else {
        return;
    };
    let nonce = u64_at(head, 0);
    assert_eq!(FrameHeader::decode(bytes, nonce.wrapping_add(1)), None);
    let _ = FrameHeader::decode(bytes, nonce);

    let body = Bytes::copy_from_slice(&bytes[FRAME_HEADER as usize..]);
    let mut head = head.to_vec();
    put(&mut head, 36, &crc32fast::hash(&body).to_le_bytes());
    let crc = crc32fast::hash(&head[..52]);
    put(&mut head, 52, &crc.to_le_bytes());
    let Some(header) = FrameHeader::decode(&head, nonce) else {
        return;
    };
    let mut encoded = Vec::new();
    header.encode_into(&mut encoded);
    assert_eq!(encoded, head);
    assert!(header.stored() >= u64::from(header.body_len));
    let Ok(frame) = format::decode_body(&header, &body) else {
        return;
    };
    assert_eq!(frame.records(), header.records as usize);
    let again = Frame::new(frame.arrival(), frame.iter());
    assert_eq!(again, frame);
    let mut written = format::encode_ends(&frame);
    written.extend_from_slice(frame.payload());
    assert_eq!(written, body);
    assert_eq!(
        format::body_len(&frame).map(|len| len as usize),
        Some(body.len())
    );
}

fn block(bytes: &[u8]) {
    if bytes.len() < footer::BLOCK_HEAD {
        return;
    }
    let _ = decode_block(bytes);
    let mut sound = bytes.to_vec();
    let crc = crc32fast::hash(&sound[4..]);
    put(&mut sound, 0, &crc.to_le_bytes());
    let Some(entries) = decode_block(&sound) else {
        return;
    };
    // An entry is five bytes at least: no count makes more of them than there is text.
    assert!(entries.len() * 5 <= bytes.len());
    if !entries.is_empty() {
        let mut again = Vec::new();
        encode_block(&entries, u64_at(&sound, 8), &mut again);
        assert_eq!(decode_block(&again), Some(entries));
    }
}

fn trailer(bytes: &[u8]) {
    const LEN: usize = footer::TRAILER as usize;
    let _ = Trailer::decode(bytes);
    let Some(end) = bytes.get(..LEN) else {
        return;
    };
    let rows = &bytes[LEN..];
    let mut end = end.to_vec();
    put(&mut end, 0, b"HYDREND\0");
    put(&mut end, 8, &format::VERSION.to_le_bytes());
    put(&mut end, 60, &crc32fast::hash(rows).to_le_bytes());
    let crc = crc32fast::hash(&end[..LEN - 4]);
    put(&mut end, LEN - 4, &crc.to_le_bytes());
    let Some(trailer) = Trailer::decode(&end) else {
        return;
    };
    let range = trailer.rows_range();
    assert!(range.start <= range.end);
    if let Some(decoded) = trailer.decode_rows(rows) {
        assert!(decoded.len() * 64 <= rows.len());
    }
}

fn lanes_file(bytes: &[u8]) {
    let _ = lanes::decode(bytes);
    let mut sound = bytes.to_vec();
    let (version, header, size) = match bytes.get(8) {
        Some(1) => (1u32, 16, 24),
        _ => (2, 32, 32),
    };
    if sound.len() < header {
        return;
    }
    put(&mut sound, 0, b"HYDRLANE");
    put(&mut sound, 8, &version.to_le_bytes());
    let crc = crc32fast::hash(&sound[..12]);
    put(&mut sound, 12, &crc.to_le_bytes());
    // Every second record stays as it came.
    for record in sound[header..].chunks_exact_mut(size).step_by(2) {
        put(record, 4, &[0; 4]);
        let crc = crc32fast::hash(record);
        put(record, 4, &crc.to_le_bytes());
    }
    let found = lanes::decode(&sound).expect("a header that is right");
    let records = sound[header..].len().div_ceil(size);
    assert!(found.used as usize <= header + records * size);
    let memory = found.memory;
    assert!(memory.removed.len() + memory.trimmed.len() + found.damaged.len() <= records);
    let trimmed = |lane| memory.trimmed.contains_key(lane);
    assert!(!memory.removed.iter().any(trimmed));
}

/// Lanes of entries, as the log may have them, are read as they were written.
fn entries(bytes: &[u8]) {
    let header = SegmentHeader {
        kind: Kind::Log,
        id: 1,
        nonce: 2,
        base: 3,
        end: 0,
    };
    let mut before = Entry {
        position: 3,
        arrival: Timestamp(1 << 40),
        offset: format::DATA_START,
        body_len: 0,
        records: 0,
        lost: true,
    };
    let mut all: Vec<(LaneId, Vec<Entry>)> = Vec::new();
    for piece in bytes.chunks_exact(8) {
        let after = u64::from(before.offset) + before.stored() + u64::from(piece[1]) * 8;
        let body_len = u32::from(piece[2]) << (piece[3] % 17);
        let arrival = i64::from(piece[5] as i8) << (piece[6] % 56);
        let entry = Entry {
            position: before.position + 1 + (u64::from(piece[0]) << (piece[7] % 40)),
            arrival: Timestamp(before.arrival.0.wrapping_add(arrival as u64)),
            offset: match u32::try_from(after) {
                Ok(offset) => offset,
                Err(_) => break,
            },
            body_len,
            records: body_len / 4 * u32::from(piece[4]) / 256,
            lost: piece[3] > 200,
        };
        before = entry;
        match all.last_mut() {
            Some((_, entries)) if piece[7] < 250 => entries.push(entry),
            last => {
                let lane = last.map_or(1, |(lane, _)| lane.0 + 1 + u64::from(piece[4]));
                all.push((LaneId(lane), vec![entry]));
            }
        }
    }
    let mut builder = FooterBuilder::new(header, format::DATA_START);
    for (lane, entries) in &all {
        builder.lane(*lane, entries);
    }
    let end = before.position + 1;
    let (written, rows) = builder.finish(end);
    let count = all.iter().map(|(_, entries)| entries.len() as u64).sum();
    assert!(written.len() as u64 <= footer::bound(count, all.len() as u64));
    assert!(footer::is_head(&written, header.nonce, format::DATA_START));
    let trailer_at = written.len() - footer::TRAILER as usize;
    let trailer = Trailer::decode(&written[trailer_at..]).expect("a trailer");
    assert_eq!(trailer.header, SegmentHeader { end, ..header });
    let range = trailer.rows_range();
    let place = |at: u64| (at - u64::from(format::DATA_START)) as usize;
    assert_eq!(place(range.end), trailer_at);
    let read = trailer.decode_rows(&written[place(range.start)..trailer_at]);
    let read = read.expect("rows");
    assert_eq!(format!("{read:?}"), format!("{rows:?}"));
    for ((lane, entries), row) in all.iter().zip(&read) {
        assert_eq!((row.lane, row.first), (*lane, entries[0].position));
        let start = place(u64::from(row.section));
        let mut section = &written[start..start + row.section_len as usize];
        let mut found = Vec::new();
        while !section.is_empty() {
            let len = footer::BLOCK_HEAD + u32_at(section, 4) as usize;
            found.extend(decode_block(&section[..len]).expect("a block"));
            section = &section[len..];
        }
        assert_eq!(&found, entries);
    }
}
