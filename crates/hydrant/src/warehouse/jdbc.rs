//! `ClusterJDBCURL`: which database, and how it is reached. Pure.
//!
//! ```text
//! jdbc:(redshift|postgresql)://HOST[:PORT]/DATABASE[?NAME=VALUE[&NAME=VALUE…]]
//! ```
//!
//! Parameters are those of the two JDBC drivers, in any case. Each is one of three kinds: it says how TLS is
//! used; it tunes a Java driver and means nothing here; or it is refused by name, because it would change
//! what is loaded, where or by whom, and to ignore that would be worse than to say no.

use std::{borrow::Cow, fmt, net::Ipv6Addr};

/// A `ClusterJDBCURL`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JdbcUrl {
    /// What the URL says is there. `postgresql` may be Redshift all the same: its drivers speak to both.
    pub engine: Engine,
    /// Name or address, an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// How the connection is encrypted and whom it trusts.
    pub tls: TlsMode,
}

/// What a URL says is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// `jdbc:redshift`.
    Redshift,
    /// `jdbc:postgresql`.
    Postgres,
}

/// `sslmode`, in libpq's words, the strictest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsMode {
    /// In clear.
    Disable,
    /// Encrypted where the server can, in clear where it says that it cannot. `allow` means this, too.
    Prefer,
    /// Encrypted, with whomever.
    Require,
    /// Encrypted, with a certificate of a trusted authority.
    VerifyCa,
    /// Encrypted, with a certificate of a trusted authority, for this host.
    VerifyFull,
}

/// Why a URL cannot be used, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ClusterJDBCURL: {0}")]
pub struct BadUrl(String);

/// The longest database name, in bytes: Redshift allows 64 characters, PostgreSQL 63 bytes.
const MAX_DATABASE_BYTES: usize = 256;
/// What tunes a driver, in lower case: harmless to ignore.
const IGNORED: [&str; 20] = [
    "app_name",
    "applicationname",
    "binarytransfer",
    "blockingrowsmode",
    "cancelsignaltimeout",
    "compression",
    "connecttimeout",
    "defaultrowfetchsize",
    "disableisvalidquery",
    "enablefetchringbuffer",
    "fetchringbuffersize",
    "loggerlevel",
    "logintimeout",
    "loglevel",
    "logpath",
    "preparethreshold",
    "rewritebatchedinserts",
    "rewritebatchedinsertssize",
    "sockettimeout",
    "tcpkeepalive",
];

impl JdbcUrl {
    /// Takes `url` apart.
    ///
    /// # Errors
    /// When it is no such URL, or has a parameter that cannot be honoured; never with a parameter's value, which
    /// may be a secret.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let (engine, rest) = if let Some(rest) = url.strip_prefix("jdbc:redshift://") {
            (Engine::Redshift, rest)
        } else if let Some(rest) = url.strip_prefix("jdbc:postgresql://") {
            (Engine::Postgres, rest)
        } else {
            return Err(bad(
                "must begin with jdbc:redshift:// or jdbc:postgresql://",
            ));
        };
        let (place, parameters) = match rest.split_once('?') {
            Some((place, parameters)) => (place, parameters),
            None => (rest, ""),
        };
        let (authority, database) = place
            .split_once('/')
            .ok_or_else(|| bad("must name a database, as in jdbc:redshift://HOST:5439/DATABASE"))?;
        let (host, port) = authority_of(authority, engine)?;
        let database = decoded(database)?.into_owned();
        let unusual = |c: char| c.is_control() || matches!(c, '/' | ';');
        if database.is_empty() || database.len() > MAX_DATABASE_BYTES || database.contains(unusual)
        {
            return Err(bad("the database's name is not usable"));
        }
        let tls = tls_of(parameters)?.unwrap_or(match engine {
            Engine::Redshift => TlsMode::VerifyFull,
            Engine::Postgres => TlsMode::Prefer,
        });
        Ok(JdbcUrl {
            engine,
            host,
            port,
            database,
            tls,
        })
    }
}

impl Engine {
    /// The port where nothing else is said.
    pub fn default_port(self) -> u16 {
        match self {
            Engine::Redshift => 5439,
            Engine::Postgres => 5432,
        }
    }
}

/// For people: where, without parameters.
impl fmt::Display for JdbcUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}/{}", self.host, self.port, self.database),
            false => write!(f, "{}:{}/{}", self.host, self.port, self.database),
        }
    }
}

fn bad(text: impl Into<String>) -> BadUrl {
    BadUrl(text.into())
}

fn authority_of(text: &str, engine: Engine) -> Result<(String, u16), BadUrl> {
    if text.contains('@') {
        return Err(bad(
            "must not hold a user or a password: they belong into Username and Password",
        ));
    }
    if text.contains(',') {
        return Err(bad("must name one host, not several"));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(|| bad("lacks a ]"))?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err(bad("what stands in [ ] must be an IPv6 address"));
            }
            match port {
                "" => (host, None),
                _ => (host, Some(port.strip_prefix(':').unwrap_or_default())),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || host.len() > 253 || !host.chars().all(usual) {
        return Err(bad("the host is neither a name nor an address"));
    }
    let port = match port {
        None => engine.default_port(),
        Some(port) => match port.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err(bad("the port must be a number from 1 to 65535")),
        },
    };
    Ok((host.to_owned(), port))
}

fn tls_of(parameters: &str) -> Result<Option<TlsMode>, BadUrl> {
    let (mut ssl, mut mode, mut checks) = (None, None, true);
    for parameter in parameters.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (decoded(name)?.to_ascii_lowercase(), decoded(value)?);
        let repeated = || bad(format!("parameter {name} is given twice"));
        let unknown = || {
            bad(format!(
                "parameter {name} has a value that is not known here"
            ))
        };
        match name.as_str() {
            "ssl" => {
                let on = match value.to_ascii_lowercase().as_str() {
                    // pgjdbc: the name alone means yes.
                    "true" | "1" | "" => true,
                    "false" | "0" => false,
                    _ => return Err(unknown()),
                };
                if ssl.replace(on).is_some() {
                    return Err(repeated());
                }
            }
            "sslmode" => {
                let named = mode_of(&value).ok_or_else(unknown)?;
                if mode.replace(named).is_some() {
                    return Err(repeated());
                }
            }
            // How the two drivers have always been told not to look at the certificate.
            "sslfactory" if value.ends_with(".NonValidatingFactory") => checks = false,
            "user" | "username" | "uid" | "password" | "pwd" => {
                return Err(bad(format!(
                    "parameter {name} is refused: it would be stored in clear; use Username and Password"
                )));
            }
            "currentschema" => {
                return Err(bad(
                    "parameter currentSchema is refused: write SCHEMA.TABLE in DataTableName",
                ));
            }
            "sslrootcert" | "sslcert" | "sslkey" => {
                return Err(bad(format!(
                    "parameter {name} is refused: which authorities are trusted, the setting database_ca says"
                )));
            }
            name if IGNORED.contains(&name) => {}
            _ => return Err(bad(format!("parameter {name} is not known here"))),
        }
    }
    match (ssl, mode, checks) {
        (Some(false), Some(mode), _) if mode > TlsMode::Prefer => {
            Err(bad("ssl=false contradicts sslmode"))
        }
        (Some(true), Some(TlsMode::Disable), _) => Err(bad("ssl=true contradicts sslmode=disable")),
        (Some(false), _, _) => Ok(Some(TlsMode::Disable)),
        (_, Some(mode), false) if mode > TlsMode::Require => {
            Err(bad("sslfactory contradicts sslmode"))
        }
        (_, Some(mode), _) => Ok(Some(mode)),
        (_, None, false) => Ok(Some(TlsMode::Require)),
        // As in pgjdbc.
        (Some(true), None, true) => Ok(Some(TlsMode::VerifyFull)),
        (None, None, true) => Ok(None),
    }
}

fn mode_of(value: &str) -> Option<TlsMode> {
    Some(match value.to_ascii_lowercase().as_str() {
        "disable" => TlsMode::Disable,
        "allow" | "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => return None,
    })
}

/// `text` without its percent signs.
fn decoded(text: &str) -> Result<Cow<'_, str>, BadUrl> {
    let mut bytes = text.bytes();
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(bad("a % must be followed by two hexadecimal digits"));
        };
        plain.push((high * 16 + low) as u8);
    }
    match String::from_utf8(plain) {
        Ok(plain) => Ok(Cow::Owned(plain)),
        Err(_) => Err(bad("what is written with % is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(url: &str) -> JdbcUrl {
        JdbcUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn places() {
        for (url, engine, host, port, database) in [
            (
                "jdbc:redshift://c.abc.us-east-1.redshift.amazonaws.com:5439/dev",
                Engine::Redshift,
                "c.abc.us-east-1.redshift.amazonaws.com",
                5439,
                "dev",
            ),
            ("jdbc:redshift://h/d", Engine::Redshift, "h", 5439, "d"),
            (
                "jdbc:postgresql://127.0.0.1/my%20db?ssl=true",
                Engine::Postgres,
                "127.0.0.1",
                5432,
                "my db",
            ),
            (
                "jdbc:postgresql://[::1]:54321/d",
                Engine::Postgres,
                "::1",
                54321,
                "d",
            ),
            (
                "jdbc:postgresql://[::1]/d",
                Engine::Postgres,
                "::1",
                5432,
                "d",
            ),
        ] {
            let parsed = parse(url);
            assert_eq!(
                (parsed.engine, &*parsed.host, parsed.port, &*parsed.database),
                (engine, host, port, database),
                "{url}"
            );
        }
        assert_eq!(
            parse("jdbc:postgresql://[::1]/d").to_string(),
            "[::1]:5432/d"
        );
    }

    #[test]
    fn how_tls_is_used() {
        let redshift = |tail: &str| parse(&format!("jdbc:redshift://h/d{tail}")).tls;
        let postgres = |tail: &str| parse(&format!("jdbc:postgresql://h/d{tail}")).tls;
        assert_eq!(redshift(""), TlsMode::VerifyFull);
        assert_eq!(postgres(""), TlsMode::Prefer);
        assert_eq!(postgres("?"), TlsMode::Prefer);
        assert_eq!(redshift("?tcpKeepAlive=true"), TlsMode::VerifyFull);
        for (tail, expected) in [
            ("?ssl=true", TlsMode::VerifyFull),
            ("?ssl", TlsMode::VerifyFull),
            ("?ssl=false", TlsMode::Disable),
            ("?sslmode=disable", TlsMode::Disable),
            ("?sslmode=allow", TlsMode::Prefer),
            ("?sslmode=prefer", TlsMode::Prefer),
            ("?ssl=true&sslmode=require", TlsMode::Require),
            ("?SSLMode=Verify%2DCA", TlsMode::VerifyCa),
            ("?sslmode=verify-full&loginTimeout=5", TlsMode::VerifyFull),
            (
                "?ssl=true&sslfactory=com.amazon.redshift.ssl.NonValidatingFactory",
                TlsMode::Require,
            ),
        ] {
            assert_eq!((redshift(tail), postgres(tail)), (expected, expected));
        }
    }

    #[test]
    fn what_is_refused_is_named_but_never_its_value() {
        for (url, named) in [
            ("jdbc:mysql://h/d", "jdbc:redshift"),
            ("redshift://h/d", "jdbc:redshift"),
            ("jdbc:redshift://h", "database"),
            ("jdbc:redshift://h/", "database"),
            ("jdbc:redshift://h/a/b", "database"),
            ("jdbc:redshift:///d", "host"),
            ("jdbc:redshift://a b/d", "host"),
            ("jdbc:redshift://h:0/d", "port"),
            ("jdbc:redshift://h:65536/d", "port"),
            ("jdbc:redshift://h:/d", "port"),
            ("jdbc:redshift://h1:1,h2:2/d", "one host"),
            ("jdbc:redshift://u:hush@h/d", "Username"),
            ("jdbc:redshift://[h]/d", "IPv6"),
            ("jdbc:redshift://[::1/d", "]"),
            ("jdbc:redshift://h/d?password=hush", "password"),
            ("jdbc:redshift://h/d?USER=hush", "user"),
            ("jdbc:redshift://h/d?currentSchema=hush", "DataTableName"),
            ("jdbc:redshift://h/d?sslrootcert=hush", "database_ca"),
            ("jdbc:redshift://h/d?sslmode=hush", "sslmode"),
            ("jdbc:redshift://h/d?sslfactory=hush", "sslfactory"),
            ("jdbc:redshift://h/d?ssl=hush", "ssl"),
            ("jdbc:redshift://h/d?iam=hush", "iam"),
            ("jdbc:redshift://h/d?ssl=true&ssl=false", "twice"),
            (
                "jdbc:redshift://h/d?ssl=false&sslmode=require",
                "contradicts",
            ),
            (
                "jdbc:redshift://h/d?ssl=true&sslmode=disable",
                "contradicts",
            ),
            ("jdbc:redshift://h/d%2", "%"),
            ("jdbc:redshift://h/d%ff", "UTF-8"),
            ("jdbc:redshift://h/d%2Fe", "database"),
        ] {
            let refusal = JdbcUrl::parse(url).unwrap_err().to_string();
            assert!(refusal.contains(named), "{url}: {refusal}");
            assert!(!refusal.contains("hush"), "{url}: {refusal}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(url in "(jdbc:(redshift|postgresql)://)?[\\PC]{0,40}") {
            let _ = JdbcUrl::parse(&url);
        }
    }
}
