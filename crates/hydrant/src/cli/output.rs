//! What people read: numbers with separators, tables, progress bars.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::printable::printable;
use crate::config::Seconds;

/// Prints a line, or several, to stdout; a closed pipe is an error for [`main`](super::main) to see, no panic.
pub(crate) fn line(text: impl fmt::Display) -> io::Result<()> {
    let text = text.to_string();
    writeln!(io::stdout().lock(), "{}", printable(&text, &['\n', '\t']))
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `5 records`, `1 record`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// Something a second over `elapsed`.
pub(crate) fn rate(amount: u64, elapsed: Duration) -> u64 {
    (amount as f64 / elapsed.as_secs_f64().max(0.001)) as u64
}

/// A duration to read: `12 s`, `3 min`.
pub(crate) fn age(duration: Duration) -> String {
    Seconds(duration).to_string()
}

/// Columns padded to their widest cell, two spaces between; those in `right` are aligned right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>], right: &[usize]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .chain([header[column].chars().count()])
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let render = |cells: Vec<&str>| {
        let mut line = String::new();
        for (column, cell) in cells.into_iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            if column > 0 {
                line.push_str("  ");
            }
            if right.contains(&column) {
                line.push_str(&pad);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&pad);
            }
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![render(header.to_vec())];
    lines.extend(
        rows.iter()
            .map(|row| render(row.iter().map(String::as_str).collect())),
    );
    lines.join("\n")
}

/// A bar over `total` steps on stderr, or a spinner when the total is not known; hidden when
/// stderr is no terminal or `quiet`.
pub(crate) fn progress(total: Option<u64>, bytes: bool, quiet: bool) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    if quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = match (total, bytes) {
        (Some(_), true) => "  {bar:30} {bytes} of {total_bytes}, {bytes_per_sec} {msg}",
        (Some(_), false) => "  {bar:30} {human_pos} of {human_len}, {rate}/s {msg}",
        (None, true) => "  {spinner} {bytes}, {bytes_per_sec} {msg}",
        (None, false) => "  {spinner} {human_pos}, {rate}/s {msg}",
    };
    // The templates are constants; the default style is as good should one be wrong.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
        // Nothing to be done about a line that cannot be drawn.
        let _ = out.write_str(&count(state.per_sec() as u64));
    };
    bar.set_style(style.progress_chars("━╸─").with_key("rate", rate));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted(2000, "record"), "2,000 records");
    }

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["web".to_owned(), "7".to_owned()],
            vec!["a".to_owned(), "1,000".to_owned()],
        ];
        let wanted = "STREAM  RECORDS\nweb           7\na         1,000";
        assert_eq!(table(&["STREAM", "RECORDS"], &rows, &[1]), wanted);
    }
}
