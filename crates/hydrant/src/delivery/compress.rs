//! The bytes of each `CompressionFormat` (SPEC §4.2). Pure; the same input gives the same bytes.
//!
//! ```text
//! UNCOMPRESSED    the records
//! GZIP            one gzip member
//! ZIP             one deflated entry
//! Snappy          xerial: 82 "SNAPPY" 00, be32 1, be32 1, then for each 32 KiB: be32 compressed length, raw block
//! HADOOP_SNAPPY   for each 32 KiB: be32 length, be32 compressed length, raw block
//! ```
//!
//! gzip and zip have two makers: libdeflate for objects that fit in memory ([`whole`]), since it is three
//! times as fast at the same ratio, and a streaming one ([`Stream`]) for the others. Which one makes an
//! object depends on the span's size alone, so that it is the same at every attempt. With the feature `isal`, ISA-L
//! makes what is GZIP at level 1 and fits in memory.

use std::io::{self, Write};

use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder},
};
use libdeflater::{CompressionLvl, Compressor};

use crate::stream::CompressionFormat;

/// Input bytes in one snappy block.
const SNAPPY_BLOCK: usize = 32 << 10;
const XERIAL_HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

/// What cannot happen, but must not panic either.
#[derive(Debug, thiserror::Error)]
#[error("compression failed: {0}")]
pub(crate) struct CompressError(String);

impl From<io::Error> for CompressError {
    fn from(error: io::Error) -> Self {
        CompressError(error.to_string())
    }
}

/// Compresses a whole object. `entry` names the entry of a ZIP file; `level` is 1 (fast) to 9.
pub(crate) fn whole(
    format: CompressionFormat,
    level: u32,
    entry: &str,
    input: Vec<u8>,
) -> Result<Vec<u8>, CompressError> {
    match format {
        CompressionFormat::Uncompressed => Ok(input),
        CompressionFormat::Gzip => gzip(level, &input),
        CompressionFormat::Zip => {
            let mut compressor = libdeflate(level)?;
            let mut data = vec![0; compressor.deflate_compress_bound(input.len())];
            let len = compressor
                .deflate_compress(&input, &mut data)
                .map_err(|error| CompressError(error.to_string()))?;
            data.truncate(len);
            let mut zip = Zip::new(entry);
            zip.crc.update(&input);
            zip.size = input.len() as u64;
            zip.compressed = len as u64;
            let mut output = Vec::with_capacity(len + 256);
            zip.local_header(&mut output, true)?;
            output.extend_from_slice(&data);
            zip.central_directory(&mut output, true)?;
            Ok(output)
        }
        CompressionFormat::Snappy | CompressionFormat::HadoopSnappy => {
            let mut stream = Stream::new(format, level, entry)?;
            let mut output = Vec::with_capacity(input.len() / 2);
            stream.push(&input, &mut output)?;
            stream.finish(&mut output)?;
            Ok(output)
        }
    }
}

fn gzip(level: u32, input: &[u8]) -> Result<Vec<u8>, CompressError> {
    #[cfg(feature = "isal")]
    if level <= 1
        && let Some(output) = gzip_isal(input)
    {
        return Ok(output);
    }
    let mut compressor = libdeflate(level)?;
    let mut output = vec![0; compressor.gzip_compress_bound(input.len())];
    let len = compressor
        .gzip_compress(input, &mut output)
        .map_err(|error| CompressError(error.to_string()))?;
    output.truncate(len);
    Ok(output)
}

/// `None` for what does not become smaller: it may need more room than it takes.
#[cfg(feature = "isal")]
fn gzip_isal(input: &[u8]) -> Option<Vec<u8>> {
    let mut output = vec![0; input.len()];
    let level = isal::CompressionLevel::One;
    let len = isal::compress_into(input, &mut output, level, isal::Codec::Gzip).ok()?;
    output.truncate(len);
    Some(output)
}

fn libdeflate(level: u32) -> Result<Compressor, CompressError> {
    let level = i32::try_from(level.clamp(1, 9)).unwrap_or(1);
    let level = CompressionLvl::new(level).map_err(|error| CompressError(format!("{error:?}")))?;
    Ok(Compressor::new(level))
}

/// Compresses an object piece by piece, in constant memory.
pub(crate) struct Stream {
    maker: Maker,
}

enum Maker {
    Plain,
    Gzip(GzEncoder<Vec<u8>>),
    Zip {
        zip: Zip,
        data: DeflateEncoder<Vec<u8>>,
    },
    Snappy {
        framing: Framing,
        encoder: Box<snap::raw::Encoder>,
        block: Vec<u8>,
        started: bool,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Xerial,
    Hadoop,
}

impl Stream {
    /// As for [`whole`].
    pub(crate) fn new(
        format: CompressionFormat,
        level: u32,
        entry: &str,
    ) -> Result<Self, CompressError> {
        let compression = Compression::new(level.clamp(1, 9));
        let snappy = |framing| Maker::Snappy {
            framing,
            encoder: Box::new(snap::raw::Encoder::new()),
            block: Vec::with_capacity(SNAPPY_BLOCK),
            started: false,
        };
        let maker = match format {
            CompressionFormat::Uncompressed => Maker::Plain,
            CompressionFormat::Gzip => Maker::Gzip(GzEncoder::new(Vec::new(), compression)),
            CompressionFormat::Zip => {
                let zip = Zip::new(entry);
                let mut start = Vec::new();
                zip.local_header(&mut start, false)?;
                Maker::Zip {
                    zip,
                    data: DeflateEncoder::new(start, compression),
                }
            }
            CompressionFormat::Snappy => snappy(Framing::Xerial),
            CompressionFormat::HadoopSnappy => snappy(Framing::Hadoop),
        };
        Ok(Stream { maker })
    }

    /// Takes `input`, and appends to `output` what is ready.
    pub(crate) fn push(
        &mut self,
        mut input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressError> {
        match &mut self.maker {
            Maker::Plain => output.extend_from_slice(input),
            Maker::Gzip(gzip) => {
                gzip.write_all(input)?;
                output.append(gzip.get_mut());
            }
            Maker::Zip { zip, data } => {
                zip.crc.update(input);
                zip.size += input.len() as u64;
                data.write_all(input)?;
                output.append(data.get_mut());
            }
            Maker::Snappy {
                framing,
                encoder,
                block,
                started,
            } => {
                while !input.is_empty() {
                    let (now, later) = input.split_at(input.len().min(SNAPPY_BLOCK - block.len()));
                    block.extend_from_slice(now);
                    input = later;
                    if block.len() == SNAPPY_BLOCK {
                        snappy_block(*framing, encoder, block, started, output)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Appends the rest.
    pub(crate) fn finish(self, output: &mut Vec<u8>) -> Result<(), CompressError> {
        match self.maker {
            Maker::Plain => {}
            Maker::Gzip(gzip) => output.append(&mut gzip.finish()?),
            Maker::Zip { mut zip, mut data } => {
                data.try_finish()?;
                zip.compressed = data.total_out();
                output.append(data.get_mut());
                zip.data_descriptor(output)?;
                zip.central_directory(output, false)?;
            }
            Maker::Snappy {
                framing,
                mut encoder,
                mut block,
                mut started,
            } => snappy_block(framing, &mut encoder, &mut block, &mut started, output)?,
        }
        Ok(())
    }
}

/// Appends a block, the stream's header before the first one, and empties it.
fn snappy_block(
    framing: Framing,
    encoder: &mut snap::raw::Encoder,
    block: &mut Vec<u8>,
    started: &mut bool,
    output: &mut Vec<u8>,
) -> Result<(), CompressError> {
    if framing == Framing::Xerial && !*started {
        output.extend_from_slice(&XERIAL_HEADER);
    }
    *started = true;
    if block.is_empty() {
        return Ok(());
    }
    let compressed = encoder
        .compress_vec(block)
        .map_err(|error| CompressError(error.to_string()))?;
    if framing == Framing::Hadoop {
        output.extend_from_slice(&be32(block.len()));
    }
    output.extend_from_slice(&be32(compressed.len()));
    output.extend_from_slice(&compressed);
    block.clear();
    Ok(())
}

/// Lengths of snappy blocks stay below 40 KiB.
fn be32(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// The frame of a ZIP file with one deflated entry: PKWARE APPNOTE 4.3.7, 4.3.9, 4.3.12, 4.3.16. No ZIP64: a span is
/// far smaller than 4 GiB.
struct Zip {
    name: String,
    crc: crc32fast::Hasher,
    size: u64,
    compressed: u64,
}

/// ZIP 2.0: deflate.
const ZIP_VERSION: u16 = 20;
/// Sizes and CRC follow the data.
const ZIP_DESCRIPTOR_FLAG: u16 = 1 << 3;
const ZIP_DEFLATED: u16 = 8;
/// 1980-01-01 00:00, the earliest that ZIP knows: an object's bytes depend on its records alone.
const ZIP_DATE: u16 = (1 << 5) | 1;

impl Zip {
    fn new(name: &str) -> Self {
        Zip {
            name: name.to_owned(),
            crc: crc32fast::Hasher::new(),
            size: 0,
            compressed: 0,
        }
    }

    fn local_header(&self, output: &mut Vec<u8>, known: bool) -> Result<(), CompressError> {
        output.extend_from_slice(b"PK\x03\x04");
        self.common(output, known, known)?;
        output.extend_from_slice(&self.name_len().to_le_bytes());
        output.extend_from_slice(&[0; 2]);
        output.extend_from_slice(self.name.as_bytes());
        Ok(())
    }

    /// Version to flags, method, time, CRC and sizes, as in both headers.
    fn common(
        &self,
        output: &mut Vec<u8>,
        known: bool,
        with_sizes: bool,
    ) -> Result<(), CompressError> {
        let flags = if known { 0 } else { ZIP_DESCRIPTOR_FLAG };
        for field in [ZIP_VERSION, flags, ZIP_DEFLATED, 0, ZIP_DATE] {
            output.extend_from_slice(&field.to_le_bytes());
        }
        if with_sizes {
            self.sums(output)
        } else {
            output.extend_from_slice(&[0; 12]);
            Ok(())
        }
    }

    /// CRC, compressed size, size.
    fn sums(&self, output: &mut Vec<u8>) -> Result<(), CompressError> {
        output.extend_from_slice(&self.crc.clone().finalize().to_le_bytes());
        output.extend_from_slice(&zip32(self.compressed)?);
        output.extend_from_slice(&zip32(self.size)?);
        Ok(())
    }

    fn data_descriptor(&self, output: &mut Vec<u8>) -> Result<(), CompressError> {
        output.extend_from_slice(b"PK\x07\x08");
        self.sums(output)
    }

    fn central_directory(&self, output: &mut Vec<u8>, known: bool) -> Result<(), CompressError> {
        let local = 30 + u64::from(self.name_len());
        let descriptor = if known { 0 } else { 16 };
        let mut central = Vec::with_capacity(128);
        central.extend_from_slice(b"PK\x01\x02");
        central.extend_from_slice(&ZIP_VERSION.to_le_bytes());
        self.common(&mut central, known, true)?;
        central.extend_from_slice(&self.name_len().to_le_bytes());
        // No extra field, no comment, disk 0, no attributes, local header at 0.
        central.extend_from_slice(&[0; 16]);
        central.extend_from_slice(self.name.as_bytes());
        let central_len = central.len() as u64;

        central.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        central.extend_from_slice(&zip32(central_len)?);
        central.extend_from_slice(&zip32(local + self.compressed + descriptor)?);
        central.extend_from_slice(&[0; 2]);
        output.append(&mut central);
        Ok(())
    }

    /// The name is a UUID.
    fn name_len(&self) -> u16 {
        u16::try_from(self.name.len()).unwrap_or(u16::MAX)
    }
}

fn zip32(size: u64) -> Result<[u8; 4], CompressError> {
    u32::try_from(size)
        .map(u32::to_le_bytes)
        .map_err(|_| CompressError("a ZIP entry of more than 4 GiB".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    const ENTRY: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
    const FORMATS: [CompressionFormat; 5] = [
        CompressionFormat::Uncompressed,
        CompressionFormat::Gzip,
        CompressionFormat::Zip,
        CompressionFormat::Snappy,
        CompressionFormat::HadoopSnappy,
    ];

    fn streamed(format: CompressionFormat, pieces: &[&[u8]]) -> Vec<u8> {
        let mut stream = Stream::new(format, 1, ENTRY).unwrap();
        let mut output = Vec::new();
        for piece in pieces {
            stream.push(piece, &mut output).unwrap();
        }
        stream.finish(&mut output).unwrap();
        output
    }

    /// Decodes with other people's decoders; the snappy framings by their description in SPEC §4.2.
    fn decode(format: CompressionFormat, bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        match format {
            CompressionFormat::Uncompressed => output.extend_from_slice(bytes),
            CompressionFormat::Gzip => {
                // Not MultiGzDecoder: there must be one member, and nothing after it.
                let mut decoder = flate2::bufread::GzDecoder::new(bytes);
                decoder.read_to_end(&mut output).unwrap();
                assert_eq!(decoder.into_inner(), b"");
            }
            CompressionFormat::Zip => {
                let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
                assert_eq!(archive.len(), 1);
                let mut entry = archive.by_index(0).unwrap();
                assert_eq!(entry.name().unwrap(), ENTRY);
                assert_eq!(entry.compression(), zip::CompressionMethod::Deflated);
                entry.read_to_end(&mut output).unwrap();
            }
            CompressionFormat::Snappy | CompressionFormat::HadoopSnappy => {
                let xerial = format == CompressionFormat::Snappy;
                let mut rest = bytes;
                let mut take = |n: usize| {
                    let (taken, left) = rest.split_at(n);
                    rest = left;
                    (taken, left.is_empty())
                };
                if xerial {
                    assert_eq!(
                        take(16).0,
                        [
                            0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1
                        ]
                    );
                }
                let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap()) as usize;
                let mut done = bytes.len() == if xerial { 16 } else { 0 };
                while !done {
                    let length = (!xerial).then(|| number(take(4).0));
                    let compressed = number(take(4).0);
                    let (block, last) = take(compressed);
                    let block = snap::raw::Decoder::new().decompress_vec(block).unwrap();
                    assert!(block.len() <= 32768);
                    assert!(length.is_none_or(|length| length == block.len()));
                    output.extend_from_slice(&block);
                    done = last;
                }
            }
        }
        output
    }

    #[test]
    fn every_format_decodes_whole_and_streamed() {
        let text: Vec<u8> = (0..200_000u32)
            .flat_map(|n| format!("{{\"line\":{n}}}\n").into_bytes())
            .collect();
        let noise: Vec<u8> = (0..100_000u64)
            .flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes())
            .collect();
        for input in [&b"a"[..], &text, &noise, &text[..32768], &text[..65537]] {
            for format in FORMATS {
                let bytes = whole(format, 1, ENTRY, input.to_vec()).unwrap();
                assert_eq!(decode(format, &bytes), input, "{format:?} whole");
                let again = whole(format, 1, ENTRY, input.to_vec()).unwrap();
                assert!(bytes == again, "{format:?} is not deterministic");
                let pieces: Vec<_> = input.chunks(100_000).collect();
                let bytes = streamed(format, &pieces);
                assert_eq!(decode(format, &bytes), input, "{format:?} streamed");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_do_not_matter(sizes in prop::collection::vec(0usize..70_000, 0..8), level in 1u32..=9) {
            let input: Vec<u8> = (0..sizes.iter().sum::<usize>()).map(|n| (n / 7 % 251) as u8).collect();
            let mut rest = &input[..];
            let mut pieces = Vec::new();
            for size in sizes {
                let (piece, left) = rest.split_at(size);
                pieces.push(piece);
                rest = left;
            }
            for format in FORMATS {
                prop_assert_eq!(decode(format, &streamed(format, &pieces)), &input[..]);
                prop_assert_eq!(decode(format, &whole(format, level, ENTRY, input.clone()).unwrap()), &input[..]);
            }
        }
    }
}
