//! An object's bytes, decompressed as `GZIP`, `BZIP2` and `ZSTD` say. Blocking, in constant memory.

use std::io::{self, BufRead, BufReader, Read};

use hydrant_copy::Compression;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

/// What is decompressed at a time.
const BUFFER_BYTES: usize = 128 << 10;
/// The largest window of ZSTD: what RFC 8878 asks of every decoder, and what levels up to 19 use.
const ZSTD_WINDOW_BYTES: u64 = 8 << 20;

/// `source` without its compression. An object without any bytes holds nothing, however it is compressed.
///
/// # Errors
/// When the bytes are not of that compression, in words that say what to change; and those of `source`.
pub(super) fn decompress<'s>(
    compression: Compression,
    mut source: impl BufRead + 's,
) -> io::Result<Box<dyn BufRead + 's>> {
    let first = source.fill_buf()?;
    if first.is_empty() {
        return Ok(Box::new(io::empty()));
    }
    let found = recognise(first);
    if found != Some(compression) && (found.is_some() || compression != Compression::None) {
        return Err(invalid(mismatch(compression, found)));
    }
    Ok(match compression {
        Compression::None => Box::new(source),
        Compression::Gzip => buffered(flate2::bufread::MultiGzDecoder::new(source)),
        Compression::Bzip2 => buffered(bzip2::bufread::MultiBzDecoder::new(source)),
        Compression::Zstd => buffered(Zstd::new(source)),
    })
}

fn buffered<'s>(decoder: impl Read + 's) -> Box<dyn BufRead + 's> {
    Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
}

/// The compression that bytes begin like; none that text could begin like.
fn recognise(bytes: &[u8]) -> Option<Compression> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some(Compression::Gzip),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => Some(Compression::Bzip2),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Some(Compression::Zstd)
        }
        _ => None,
    }
}

fn mismatch(asked: Compression, found: Option<Compression>) -> String {
    match (word(asked), found.and_then(word)) {
        (Some(asked), Some(found)) => {
            format!(
                "the file is compressed with {found}: CopyOptions must say {found}, not {asked}"
            )
        }
        (Some(asked), None) => {
            format!("the file is not compressed with {asked}: remove {asked} from CopyOptions")
        }
        (None, found) => {
            let found = found.unwrap_or_default();
            format!("the file is compressed with {found}: add {found} to CopyOptions")
        }
    }
}

fn word(compression: Compression) -> Option<&'static str> {
    match compression {
        Compression::None => None,
        Compression::Gzip => Some("GZIP"),
        Compression::Bzip2 => Some("BZIP2"),
        Compression::Zstd => Some("ZSTD"),
    }
}

fn invalid(detail: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

/// Any number of frames, one after another, with the skippable ones between them.
struct Zstd<S> {
    source: S,
    decoder: FrameDecoder,
    within: bool,
}

impl<S: BufRead> Zstd<S> {
    fn new(source: S) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_BYTES);
        Zstd {
            source,
            decoder,
            within: false,
        }
    }

    /// Begins the next frame, if there is one.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped = (&mut self.source).take(length);
                    if io::copy(&mut { skipped }, &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(invalid(error)),
            }
        }
        Ok(false)
    }

    fn checked(&self) -> io::Result<()> {
        let (stored, found) = (
            self.decoder.get_checksum_from_data(),
            self.decoder.get_calculated_checksum(),
        );
        match stored {
            Some(stored) if found.is_some_and(|found| found != stored) => {
                Err(invalid("a checksum of ZSTD does not match"))
            }
            _ => Ok(()),
        }
    }
}

impl<S: BufRead> Read for Zstd<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && !self.begin()? {
                return Ok(0);
            }
            self.within = true;
            if self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let strategy = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder
                    .decode_blocks(&mut self.source, strategy)
                    .map_err(invalid)?;
            }
            let read = self.decoder.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            if self.decoder.is_finished() {
                self.checked()?;
                self.within = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::destination::conformance::noise;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn read(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
        // Through a small buffer, so that every border is met.
        let source = BufReader::with_capacity(77, bytes);
        let mut read = Vec::new();
        decompress(compression, source)?.read_to_end(&mut read)?;
        Ok(read)
    }

    type Compress = fn(&[u8]) -> Vec<u8>;

    const ALL: [(Compression, Compress); 3] = [
        (Compression::Gzip, gzip),
        (Compression::Bzip2, bzip2),
        (Compression::Zstd, zstd),
    ];

    #[test]
    fn members_follow_each_other() {
        let (one, two) = (b"one,".repeat(50_000), noise(150_000));
        for (compression, compress) in ALL {
            let mut bytes = compress(&one);
            bytes.extend(compress(b""));
            bytes.extend(compress(&two));
            let both = [&one[..], &two].concat();
            assert!(
                read(compression, &bytes).unwrap() == both,
                "{compression:?}"
            );
            assert_eq!(read(compression, b"").unwrap(), b"");
            assert_eq!(read(compression, &compress(b"")).unwrap(), b"");
        }
        assert_eq!(read(Compression::None, b"text").unwrap(), b"text");
    }

    #[test]
    fn skippable_frames_are_skipped() {
        let mut bytes = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        bytes.extend(zstd(b"text"));
        bytes.extend([0x5f, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
        assert_eq!(read(Compression::Zstd, &bytes).unwrap(), b"text");
        bytes.extend([0x5f, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 1]);
        read(Compression::Zstd, &bytes).unwrap_err();
    }

    #[test]
    fn what_is_cut_or_damaged_is_no_end() {
        let text = noise(100_000);
        for (compression, compress) in ALL {
            let bytes = compress(&text);
            for cut in [11, bytes.len() / 2, bytes.len() - 1] {
                read(compression, &bytes[..cut]).unwrap_err();
            }
            let mut damaged = bytes.clone();
            damaged[bytes.len() / 2] ^= 1;
            assert!(
                read(compression, &damaged).map_or(true, |read| read != text),
                "{compression:?}"
            );
            let mut longer = bytes;
            longer.extend(b"garbage, and more of it");
            read(compression, &longer).unwrap_err();
        }
    }

    #[test]
    fn a_bomb_opens_no_faster_than_it_is_read() {
        /// Counts what is taken of the bytes.
        struct Counted<'b>(&'b [u8], std::rc::Rc<std::cell::Cell<usize>>);
        impl Read for Counted<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let read = self.0.read(into)?;
                self.1.set(self.1.get() + read);
                Ok(read)
            }
        }
        let zeros = vec![0; 64 << 20];
        for (compression, compress) in ALL {
            let bomb = compress(&zeros);
            assert!(bomb.len() < zeros.len() / 100, "{compression:?}");
            let taken = std::rc::Rc::default();
            let source = BufReader::with_capacity(64, Counted(&bomb, std::rc::Rc::clone(&taken)));
            let mut opened = decompress(compression, source).unwrap();
            let mut read = 0;
            while read < 2 << 20 {
                let piece = opened.fill_buf().unwrap().len();
                assert!(
                    (1..=BUFFER_BYTES).contains(&piece),
                    "{compression:?}: {piece}"
                );
                opened.consume(piece);
                read += piece;
            }
            // A block of BZIP2 holds 100,000 bytes and up, of any size when opened.
            assert!(
                taken.get() <= bomb.len() / 2 + 256,
                "{compression:?}: {}",
                taken.get()
            );
        }
    }

    #[test]
    fn a_frame_that_asks_for_much_memory_is_refused() {
        // No sizes, only a window of 2^(10 + exponent) bytes; then one empty last block.
        let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3, 1, 0, 0];
        assert_eq!(read(Compression::Zstd, &frame(13)).unwrap(), b"");
        for exponent in [14, 20, 31] {
            read(Compression::Zstd, &frame(exponent)).unwrap_err();
        }
    }

    #[test]
    fn a_compression_that_was_not_named_and_one_that_is_not_there_are_told() {
        for (compression, bytes, words) in [
            (Compression::None, gzip(b"a"), "add GZIP to CopyOptions"),
            (Compression::None, bzip2(b"a"), "add BZIP2 to CopyOptions"),
            (Compression::None, zstd(b"a"), "add ZSTD to CopyOptions"),
            (
                Compression::Gzip,
                b"a|b\n".to_vec(),
                "remove GZIP from CopyOptions",
            ),
            (
                Compression::Zstd,
                gzip(b"a"),
                "CopyOptions must say GZIP, not ZSTD",
            ),
        ] {
            let error = read(compression, &bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(
            read(Compression::None, b"BZh is text").unwrap(),
            b"BZh is text"
        );
    }
}
