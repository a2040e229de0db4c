//! Where rows go on after an object that is not JSON.

/// Looks for the end of a broken object.
pub(super) struct Recovery {
    open: u8,
    close: u8,
    depth: u64,
    in_string: bool,
    escaped: bool,
    line_begins: bool,
    /// Bytes of the object seen so far.
    seen: usize,
    /// How many of its bytes are known to belong to it: what is wrong is behind them.
    good: usize,
}

impl Recovery {
    /// Of an object, or an `array`, the first byte of which comes next.
    pub(super) fn new(array: bool, good: usize) -> Self {
        let (open, close) = if array { (b'[', b']') } else { (b'{', b'}') };
        Recovery {
            open,
            close,
            depth: 0,
            in_string: false,
            escaped: false,
            line_begins: false,
            seen: 0,
            good,
        }
    }

    /// Behind the bracket that closes it, or before a brace that begins a line.
    pub(super) fn end(&mut self, input: &[u8]) -> Option<usize> {
        for (at, &byte) in input.iter().enumerate() {
            if self.line_begins && byte == b'{' && self.seen >= self.good {
                return Some(at);
            }
            self.seen += 1;
            self.line_begins = byte == b'\n';
            let escaped = std::mem::take(&mut self.escaped);
            if self.in_string {
                match byte {
                    b'\\' => self.escaped = !escaped,
                    b'"' if !escaped => self.in_string = false,
                    // No string goes over a line's end.
                    b'\n' => self.in_string = false,
                    _ => {}
                }
            } else if byte == b'"' {
                self.in_string = true;
            } else if byte == self.open {
                self.depth += 1;
            } else if byte == self.close {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    return Some(at + 1);
                }
            }
        }
        None
    }
}
