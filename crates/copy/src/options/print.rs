//! Options as COPY takes them.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    Compression, CopyOptions, DateFormat, Encoding, Format, JsonFormat, MaxErrors, TimeFormat,
};

impl Display for CopyOptions {
    /// What differs from the defaults, such that [`CopyOptions::parse`] reads the same again. Blanks are between the
    /// options and nowhere else; of no options it is empty.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut options = self.values();
        let flags = [
            (self.empty_as_null, "EMPTYASNULL"),
            (self.blanks_as_null, "BLANKSASNULL"),
            (self.truncate_columns, "TRUNCATECOLUMNS"),
            (self.fill_record, "FILLRECORD"),
            (self.ignore_blank_lines, "IGNOREBLANKLINES"),
            (self.trim_blanks, "TRIMBLANKS"),
            (self.accept_any_date, "ACCEPTANYDATE"),
            (self.round_decimals, "ROUNDEC"),
            (self.explicit_ids, "EXPLICIT_IDS"),
            (self.no_load, "NOLOAD"),
        ];
        let set = flags.iter().filter(|(set, _)| *set);
        options.extend(set.map(|(_, name)| (*name).to_string()));
        f.write_str(&options.join(" "))
    }
}

impl CopyOptions {
    /// All that are no flags of their own.
    fn values(&self) -> Vec<String> {
        let mut options = Vec::new();
        let mut add = |option: &str| options.push(option.to_string());
        match &self.format {
            Format::Delimited {
                delimiter,
                escape,
                remove_quotes,
            } => {
                if *delimiter != b'|' {
                    add(&format!("DELIMITER {}", Quoted(&[*delimiter])));
                }
                if *escape {
                    add("ESCAPE");
                }
                if *remove_quotes {
                    add("REMOVEQUOTES");
                }
            }
            Format::Csv { delimiter, quote } => {
                add("CSV");
                if *quote != b'"' {
                    add(&format!("QUOTE {}", Quoted(&[*quote])));
                }
                if *delimiter != b',' {
                    add(&format!("DELIMITER {}", Quoted(&[*delimiter])));
                }
            }
            Format::FixedWidth(columns) => {
                let columns: Vec<_> = columns.iter().map(|(l, w)| format!("{l}:{w}")).collect();
                add(&format!(
                    "FIXEDWIDTH {}",
                    Quoted(columns.join(",").as_bytes())
                ));
            }
            Format::Json(JsonFormat::Auto) => add("JSON 'auto'"),
            Format::Json(JsonFormat::AutoIgnoreCase) => add("JSON 'auto ignorecase'"),
            Format::Json(JsonFormat::NoShred) => add("JSON 'noshred'"),
            Format::Json(JsonFormat::Paths(url)) => {
                add(&format!("JSON {}", Quoted(url.as_bytes())));
            }
        }
        match self.compression {
            Compression::None => {}
            Compression::Gzip => add("GZIP"),
            Compression::Bzip2 => add("BZIP2"),
            Compression::Zstd => add("ZSTD"),
        }
        match self.encoding {
            Encoding::Utf8 => {}
            Encoding::Utf16 => add("ENCODING UTF16"),
            Encoding::Utf16Le => add("ENCODING UTF16LE"),
            Encoding::Utf16Be => add("ENCODING UTF16BE"),
        }
        if self.null_as != br"\N" {
            add(&format!("NULL AS {}", Quoted(&self.null_as)));
        }
        match &self.time_format {
            TimeFormat::Default => {}
            TimeFormat::Auto => add("TIMEFORMAT 'auto'"),
            TimeFormat::EpochSeconds => add("TIMEFORMAT 'epochsecs'"),
            TimeFormat::EpochMilliseconds => add("TIMEFORMAT 'epochmillisecs'"),
            TimeFormat::Format(format) => {
                add(&format!("TIMEFORMAT {}", Quoted(format.as_bytes())));
            }
        }
        match &self.date_format {
            DateFormat::Default => {}
            DateFormat::Auto => add("DATEFORMAT 'auto'"),
            DateFormat::Format(format) => {
                add(&format!("DATEFORMAT {}", Quoted(format.as_bytes())));
            }
        }
        if self.ignore_header > 0 {
            add(&format!("IGNOREHEADER {}", self.ignore_header));
        }
        match self.max_errors {
            MaxErrors::Count(0) => {}
            MaxErrors::Count(most) => add(&format!("MAXERROR {most}")),
            MaxErrors::All => add("IGNOREALLERRORS"),
        }
        if let Some(replacement) = self.accept_inv_chars {
            add(&format!("ACCEPTINVCHARS {}", Quoted(&[replacement])));
        }
        options
    }
}

/// Bytes as a string: printable ASCII as it is, the rest in octal.
struct Quoted<'a>(&'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('\'')?;
        for byte in self.0 {
            match byte {
                b'\'' => f.write_str("''")?,
                b'\\' => f.write_str(r"\\")?,
                b' '..=b'~' => f.write_char(char::from(*byte))?,
                _ => write!(f, r"\{byte:03o}")?,
            }
        }
        f.write_char('\'')
    }
}
