//! BOOLEAN: `t`, `true`, `y`, `yes`, `1` and `f`, `false`, `n`, `no`, `0`, in any case (SPEC §5.5).

use super::{Judged, Outcome, Refusal};
use crate::error::ErrorCode;

const TRUE: [&[u8]; 5] = [b"t", b"true", b"y", b"yes", b"1"];
const FALSE: [&[u8]; 5] = [b"f", b"false", b"n", b"no", b"0"];

/// `text` has no blanks around it and is not empty.
pub(super) fn convert(text: &[u8], out: &mut Vec<u8>) -> Judged {
    let is_one_of = |words: &[&[u8]]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&TRUE) {
        out.push(b't');
    } else if is_one_of(&FALSE) {
        out.push(b'f');
    } else {
        return Err(Refusal::new(ErrorCode::BOOLEAN, "Unknown boolean format"));
    }
    Ok(Outcome::Written)
}
