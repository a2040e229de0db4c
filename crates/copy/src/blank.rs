//! White space: what "blank" means for every type but the texts, and for `BLANKSASNULL` and `TRIMBLANKS`.

/// Whether a byte is white space: space, tab, line feed, vertical tab, form feed, carriage return.
pub(crate) fn is_space(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}

/// Whether there is nothing but white space.
pub(crate) fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|&byte| is_space(byte))
}

/// Without white space at the end.
pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let Some((&last, rest)) = text.split_last() {
        if !is_space(last) {
            break;
        }
        text = rest;
    }
    text
}

/// Without white space at either end.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let Some((&first, rest)) = text.split_first() {
        if !is_space(first) {
            break;
        }
        text = rest;
    }
    trim_end(text)
}
