//! A string's characters.

/// Appends the characters of a string that was found to be JSON, without its quotes. Half of a surrogate pair
/// becomes the three bytes that would be its UTF-8 if it had any: whoever looks at the value finds it to be none.
pub(super) fn unescape(mut text: &[u8], into: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', text) {
        let (before, rest) = text.split_at(at);
        into.extend_from_slice(before);
        let Some((escape, rest)) = rest.get(1..).and_then(|rest| rest.split_first()) else {
            return;
        };
        text = rest;
        let plain = match escape {
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut point = hex(text);
                text = text.get(4..).unwrap_or_default();
                if (0xD800..0xDC00).contains(&point) && text.starts_with(b"\\u") {
                    let low = hex(text.get(2..).unwrap_or_default());
                    if (0xDC00..0xE000).contains(&low) {
                        point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
                        text = text.get(6..).unwrap_or_default();
                    }
                }
                push(point, into);
                continue;
            }
            other => *other,
        };
        into.push(plain);
    }
    into.extend_from_slice(text);
}

fn hex(digits: &[u8]) -> u32 {
    let digits = digits.iter().take(4);
    digits.fold(0, |value, digit| {
        value << 4 | char::from(*digit).to_digit(16).unwrap_or(0)
    })
}

/// Appends a code point, a surrogate's too.
pub(crate) fn push(point: u32, into: &mut Vec<u8>) {
    match char::from_u32(point) {
        Some(character) => {
            into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        None => into.extend_from_slice(&[
            0xE0 | (point >> 12 & 0x0F) as u8,
            0x80 | (point >> 6 & 0x3F) as u8,
            0x80 | (point & 0x3F) as u8,
        ]),
    }
}
