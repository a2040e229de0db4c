//! Which databases streams may name: `database_hosts`.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// One entry: `HOST` or `HOST:PORT`. `*.example.com` is every name that ends so. Names are compared as they are written in
/// `ClusterJDBCURL`, in any case: nothing is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// In lower case, an IPv6 address without brackets.
    name: String,
    /// `name` is the end of a host's name.
    ending: bool,
    /// `None` is every port.
    port: Option<u16>,
}

/// The text is no [`HostRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not HOST or HOST:PORT, as db.internal, db.internal:5432, *.example.com or [::1]:5432 are"
)]
pub struct HostRuleError(String);

impl HostRule {
    /// Whether it is meant: `host` is a name or an address, an IPv6 address without brackets.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let named = match self.ending {
            true => host.ends_with(&self.name) && host.len() > self.name.len(),
            false => host == self.name,
        };
        named && self.port.is_none_or(|only| only == port)
    }
}

impl FromStr for HostRule {
    type Err = HostRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || HostRuleError(text.to_owned());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(wrong)?),
                };
                (address, port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let (name, ending) = match host.strip_prefix('*') {
            Some(name) if name.starts_with('.') => (name, true),
            _ => (host, false),
        };
        let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = match text.starts_with('[') {
            true => name.parse::<Ipv6Addr>().is_ok(),
            false => !name.is_empty() && name.chars().all(usual),
        };
        if !fits {
            return Err(wrong());
        }
        Ok(HostRule {
            name: name.to_ascii_lowercase(),
            ending,
            port: port.map(str::parse).transpose().map_err(|_| wrong())?,
        })
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.ending { "*" } else { "" };
        match self.name.contains(':') {
            true => write!(f, "[{}]", self.name)?,
            false => write!(f, "{star}{}", self.name)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for HostRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_meant_and_nothing_else() {
        for (rule, host, port, expected) in [
            ("db.internal", "db.internal", 5432, true),
            ("db.internal", "DB.Internal", 22, true),
            ("db.internal", "db.internal.example.com", 5432, false),
            ("db.internal", "adb.internal", 5432, false),
            ("db.internal", "db.internal.", 5432, false),
            ("db.internal:5432", "db.internal", 5432, true),
            ("db.internal:5432", "db.internal", 22, false),
            ("*.example.com", "a.example.com", 5439, true),
            ("*.example.com", "a.b.EXAMPLE.com", 5439, true),
            ("*.example.com", "example.com", 5439, false),
            ("*.example.com", ".example.com", 5439, false),
            ("*.example.com", "badexample.com", 5439, false),
            ("10.0.0.7:5432", "10.0.0.7", 5432, true),
            ("10.0.0.7", "10.0.0.70", 5432, false),
            ("[::1]", "::1", 5432, true),
            ("[::1]:5432", "::1", 5433, false),
        ] {
            let parsed: HostRule = rule.parse().unwrap();
            assert_eq!(parsed.matches(host, port), expected, "{rule} {host}:{port}");
            assert_eq!(parsed.to_string(), rule);
        }
    }

    #[test]
    fn what_could_mean_too_much_is_refused() {
        for text in [
            "",
            "*",
            "*com",
            "a*b",
            "10.0.0.*",
            "a b",
            "a/b",
            "h:",
            "h:x",
            "h:70000",
            "[::1",
            "[h]",
            "::1",
            "[::1]5432",
        ] {
            let refused = text.parse::<HostRule>().unwrap_err().to_string();
            assert!(refused.contains("HOST:PORT"), "{refused}");
        }
    }
}
