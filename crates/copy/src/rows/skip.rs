//! Skipping what is left of a row that is too long to be held.

/// Looks for the end of a line.
pub(super) struct Skip {
    /// Whether a backslash hides a line's end.
    escape: bool,
    /// Whether the last byte seen was such a backslash.
    escaped: bool,
    /// Whether NUL ends a row too.
    nul: bool,
}

/// Where a row ended.
pub(super) struct Skipped {
    /// Behind its line's end.
    pub(super) next: usize,
    /// Whether NUL was its end.
    pub(super) nul: bool,
}

impl Skip {
    pub(super) fn line() -> Self {
        Skip {
            escape: false,
            escaped: false,
            nul: false,
        }
    }

    pub(super) fn row(escape: bool, nul: bool) -> Self {
        Skip {
            escape,
            escaped: false,
            nul,
        }
    }

    /// The row's end, if `input` holds it, and the number of lines that end in what is skipped.
    pub(super) fn end(&mut self, input: &[u8], line: &mut u64) -> Option<Skipped> {
        for (at, byte) in input.iter().enumerate() {
            *line += u64::from(*byte == b'\n');
            if std::mem::take(&mut self.escaped) {
                continue;
            }
            match byte {
                b'\n' => {
                    return Some(Skipped {
                        next: at + 1,
                        nul: false,
                    });
                }
                0 if self.nul => {
                    return Some(Skipped {
                        next: at + 1,
                        nul: true,
                    });
                }
                b'\\' => self.escaped = self.escape,
                _ => {}
            }
        }
        None
    }
}
