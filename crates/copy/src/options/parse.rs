//! From words to what they ask for, one option at a time. What they say together, `settle` judges.

use super::{
    Compression, CopyOptions, DateFormat, Encoding, JsonFormat, MaxErrors, TimeFormat,
    error::{OptionsError, excerpt},
    lex::{Token, TokenKind},
    pasted::{refuse_reserved, whole},
    value::{Text, fixed_width, json_format, null_string, one_character, region, time_format},
};

/// The most rows that `MAXERROR` can let go (SPEC §5.5).
const MAX_MAXERROR: u32 = 100_000;
/// The largest number that other options take.
const MAX_NUMBER: u64 = i32::MAX as u64;

/// What was written, each option for itself.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Names of the options that were given, with their positions, in the order of the text.
    pub(super) given: Vec<(&'static str, usize)>,
    /// `DELIMITER`.
    pub(super) delimiter: Option<u8>,
    /// `QUOTE`.
    pub(super) quote: Option<u8>,
    /// `FIXEDWIDTH`.
    pub(super) fixed_width: Option<Vec<(String, u32)>>,
    /// `JSON`.
    pub(super) json: Option<JsonFormat>,
    /// All that needs no second look; its `format` is not meant.
    pub(super) options: CopyOptions,
}

impl Draft {
    /// Where an option was given.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        let found = self.given.iter().find(|(given, _)| *given == name);
        found.map(|(_, position)| *position)
    }
}

pub(super) fn parse(text: &str) -> Result<Draft, OptionsError> {
    let tokens = whole(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        end: text.len(),
        draft: Draft::default(),
    };
    while !parser.tokens.is_empty() {
        parser.option()?;
    }
    Ok(parser.draft)
}

struct Parser<'t, 'a> {
    /// Those not yet read.
    tokens: &'t [Token<'a>],
    /// The text's length, where an error of its end stands.
    end: usize,
    draft: Draft,
}

impl<'t, 'a> Parser<'t, 'a> {
    fn option(&mut self) -> Result<(), OptionsError> {
        let (word, token) = self.word()?;
        let position = token.position;
        refuse_reserved(word, position)?;
        match word {
            "FORMAT" => {
                self.given("FORMAT", position)?;
                self.as_();
                let (format, token) = self.word()?;
                match format {
                    "CSV" | "JSON" | "DELIMITER" | "FIXEDWIDTH" => {
                        self.format(format, token.position)
                    }
                    other => Err(refused(other, token)),
                }
            }
            "CSV" | "JSON" | "DELIMITER" | "FIXEDWIDTH" | "QUOTE" => self.format(word, position),
            _ => {
                if self.flag(word, position)? || self.with_value(word, position)? {
                    return Ok(());
                }
                Err(refused(word, token))
            }
        }
    }

    /// What says how rows lie in a file.
    fn format(&mut self, word: &str, position: usize) -> Result<(), OptionsError> {
        match word {
            "CSV" => self.given("CSV", position)?,
            "JSON" => {
                self.given("JSON", position)?;
                self.draft.json = Some(self.json()?);
            }
            "DELIMITER" => {
                self.given("DELIMITER", position)?;
                self.draft.delimiter = Some(self.one_character("DELIMITER")?);
            }
            "QUOTE" => {
                self.given("QUOTE", position)?;
                self.draft.quote = Some(self.one_character("QUOTE")?);
            }
            _ => {
                self.given("FIXEDWIDTH", position)?;
                self.as_();
                self.draft.fixed_width = Some(fixed_width(&self.text()?)?);
            }
        }
        Ok(())
    }

    /// Options without a value. Answers whether it was one.
    fn flag(&mut self, word: &str, position: usize) -> Result<bool, OptionsError> {
        let options = &mut self.draft.options;
        let name = match word {
            "GZIP" => {
                options.compression = Compression::Gzip;
                "GZIP"
            }
            "BZIP2" => {
                options.compression = Compression::Bzip2;
                "BZIP2"
            }
            "ZSTD" => {
                options.compression = Compression::Zstd;
                "ZSTD"
            }
            "IGNOREALLERRORS" => {
                options.max_errors = MaxErrors::All;
                "IGNOREALLERRORS"
            }
            // These two belong to a format, which `settle` makes.
            "ESCAPE" => "ESCAPE",
            "REMOVEQUOTES" => "REMOVEQUOTES",
            _ => {
                let Some((name, flag)) = flag_of(options, word) else {
                    return Ok(false);
                };
                *flag = true;
                name
            }
        };
        self.given(name, position)?;
        Ok(true)
    }

    /// Options with a value. Answers whether it was one.
    fn with_value(&mut self, word: &str, position: usize) -> Result<bool, OptionsError> {
        match word {
            "NULL" => {
                self.given("NULL AS", position)?;
                self.as_();
                self.draft.options.null_as = null_string(&self.text()?)?;
            }
            "TIMEFORMAT" => {
                self.given("TIMEFORMAT", position)?;
                self.as_();
                self.draft.options.time_format = match time_format("TIMEFORMAT", &self.text()?)? {
                    "auto" => TimeFormat::Auto,
                    "epochsecs" => TimeFormat::EpochSeconds,
                    "epochmillisecs" => TimeFormat::EpochMilliseconds,
                    format => TimeFormat::Format(format.to_string()),
                };
            }
            "DATEFORMAT" => {
                self.given("DATEFORMAT", position)?;
                self.as_();
                self.draft.options.date_format = match time_format("DATEFORMAT", &self.text()?)? {
                    "auto" => DateFormat::Auto,
                    format => DateFormat::Format(format.to_string()),
                };
            }
            "IGNOREHEADER" => {
                self.given("IGNOREHEADER", position)?;
                self.draft.options.ignore_header = self.number("IGNOREHEADER", 0, MAX_NUMBER)?;
            }
            "MAXERROR" => {
                self.given("MAXERROR", position)?;
                let most = self.number("MAXERROR", 0, u64::from(MAX_MAXERROR))?;
                self.draft.options.max_errors =
                    MaxErrors::Count(u32::try_from(most).unwrap_or(MAX_MAXERROR));
            }
            "ACCEPTINVCHARS" => {
                self.given("ACCEPTINVCHARS", position)?;
                // The one option whose value may be left out: with AS there must be one.
                let given = self.as_() || matches!(self.peek(), Some(TokenKind::Text { .. }));
                self.draft.options.accept_inv_chars = Some(match given {
                    true => self.one_character("ACCEPTINVCHARS")?,
                    false => b'?',
                });
            }
            "ENCODING" => {
                self.given("ENCODING", position)?;
                self.as_();
                self.draft.options.encoding = self.encoding()?;
            }
            "REGION" => {
                self.given("REGION", position)?;
                self.as_();
                region(&self.text()?)?;
            }
            "COMPUPDATE" => {
                self.given("COMPUPDATE", position)?;
                self.skip_word(&["ON", "TRUE", "OFF", "FALSE", "PRESET"]);
            }
            "STATUPDATE" => {
                self.given("STATUPDATE", position)?;
                self.skip_word(&["ON", "TRUE", "OFF", "FALSE"]);
            }
            "COMPROWS" => {
                self.given("COMPROWS", position)?;
                self.number("COMPROWS", 1000, MAX_NUMBER)?;
            }
            "READRATIO" => {
                self.given("READRATIO", position)?;
                self.number("READRATIO", 1, 200)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Notes that an option was given, and that it may be so once only.
    fn given(&mut self, name: &'static str, position: usize) -> Result<(), OptionsError> {
        if self.draft.position(name).is_some() {
            let message = format!("COPY option {name} is given twice");
            return Err(OptionsError::incorrect(message, position));
        }
        self.draft.given.push((name, position));
        Ok(())
    }

    fn json(&mut self) -> Result<JsonFormat, OptionsError> {
        let given = self.as_() || matches!(self.peek(), Some(TokenKind::Text { .. }));
        if !given {
            return Ok(JsonFormat::Auto);
        }
        json_format(&self.text()?)
    }

    fn encoding(&mut self) -> Result<Encoding, OptionsError> {
        let (word, token) = self.word()?;
        Ok(match word {
            "UTF8" => Encoding::Utf8,
            "UTF16" => Encoding::Utf16,
            "UTF16LE" => Encoding::Utf16Le,
            "UTF16BE" => Encoding::Utf16Be,
            other => {
                return Err(OptionsError::incorrect(
                    format!(
                        "ENCODING takes UTF8, UTF16, UTF16LE or UTF16BE, not {}",
                        excerpt(other)
                    ),
                    token.position,
                ));
            }
        })
    }

    /// A string of one ASCII character other than NUL, after an optional `AS`.
    fn one_character(&mut self, name: &str) -> Result<u8, OptionsError> {
        self.as_();
        one_character(name, &self.text()?)
    }

    /// Digits, after an optional `AS`.
    fn number(&mut self, name: &str, least: u64, most: u64) -> Result<u64, OptionsError> {
        self.as_();
        let token = self.next(|kind| *kind == TokenKind::Number)?;
        if !token.raw.bytes().all(|b| b.is_ascii_digit()) {
            return Err(OptionsError::unexpected(token.raw, token.position));
        }
        // Digits that are too many for a number are too large as well.
        let number = token.raw.parse().unwrap_or(u64::MAX);
        if !(least..=most).contains(&number) {
            return Err(OptionsError::incorrect(
                format!(
                    "{name} must be from {least} to {most}, not {}",
                    excerpt(token.raw)
                ),
                token.position,
            ));
        }
        Ok(number)
    }

    fn text(&mut self) -> Result<Text<'t, 'a>, OptionsError> {
        let token = self.next(|kind| matches!(kind, TokenKind::Text { .. }))?;
        match &token.kind {
            TokenKind::Text { value, .. } => Ok(Text { token, value }),
            _ => Err(OptionsError::unexpected(token.raw, token.position)),
        }
    }

    /// A word, in capitals.
    fn word(&mut self) -> Result<(&'t str, &'t Token<'a>), OptionsError> {
        let token = self.next(|kind| matches!(kind, TokenKind::Word(_)))?;
        match &token.kind {
            TokenKind::Word(word) => Ok((word, token)),
            _ => Err(OptionsError::unexpected(token.raw, token.position)),
        }
    }

    /// Reads an `AS`, if one is there.
    fn as_(&mut self) -> bool {
        self.skip_word(&["AS"])
    }

    /// Reads one of these words, if one is there.
    fn skip_word(&mut self, words: &[&str]) -> bool {
        let found =
            matches!(self.peek(), Some(TokenKind::Word(word)) if words.contains(&word.as_str()));
        if found {
            self.tokens = self.tokens.get(1..).unwrap_or_default();
        }
        found
    }

    fn peek(&self) -> Option<&'t TokenKind> {
        self.tokens.first().map(|token| &token.kind)
    }

    fn next(&mut self, wanted: impl Fn(&TokenKind) -> bool) -> Result<&'t Token<'a>, OptionsError> {
        let tokens: &'t [Token<'a>] = self.tokens;
        match tokens.split_first() {
            Some((token, rest)) if wanted(&token.kind) => {
                self.tokens = rest;
                Ok(token)
            }
            Some((token, _)) => Err(OptionsError::unexpected(token.raw, token.position)),
            None => Err(OptionsError::unexpected("", self.end)),
        }
    }
}

/// The flag that an option sets, and its name.
fn flag_of<'o>(options: &'o mut CopyOptions, word: &str) -> Option<(&'static str, &'o mut bool)> {
    Some(match word {
        "ACCEPTANYDATE" => ("ACCEPTANYDATE", &mut options.accept_any_date),
        "BLANKSASNULL" => ("BLANKSASNULL", &mut options.blanks_as_null),
        "EMPTYASNULL" => ("EMPTYASNULL", &mut options.empty_as_null),
        "EXPLICIT_IDS" => ("EXPLICIT_IDS", &mut options.explicit_ids),
        "FILLRECORD" => ("FILLRECORD", &mut options.fill_record),
        "IGNOREBLANKLINES" => ("IGNOREBLANKLINES", &mut options.ignore_blank_lines),
        "NOLOAD" => ("NOLOAD", &mut options.no_load),
        "ROUNDEC" => ("ROUNDEC", &mut options.round_decimals),
        "TRIMBLANKS" => ("TRIMBLANKS", &mut options.trim_blanks),
        "TRUNCATECOLUMNS" => ("TRUNCATECOLUMNS", &mut options.truncate_columns),
        _ => return None,
    })
}

/// Why an option is not to be had: it is known and cannot be honoured, or it is none.
fn refused(word: &str, token: &Token<'_>) -> OptionsError {
    let message = match word {
        "LZOP" => {
            "LZOP is not supported; compress records with GZIP, BZIP2 or ZSTD, or let the service \
                   compress: CompressionFormat GZIP and COPY option GZIP"
                .to_string()
        }
        "AVRO" | "PARQUET" | "ORC" | "SHAPEFILE" => format!(
            "{word} is not supported: the service writes records one after the other, which makes no {word} \
             file; use delimited text, CSV, FIXEDWIDTH or JSON"
        ),
        _ => return OptionsError::unexpected(token.raw, token.position),
    };
    OptionsError::incorrect(message, token.position)
}
