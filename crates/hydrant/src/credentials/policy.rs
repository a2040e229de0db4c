//! IAM-style policies: statements of Effect, Action and Resource, with wildcards.
//!
//! An explicit Deny wins over every Allow; what no statement allows is denied. Actions compare
//! without regard to case, resources with, as in IAM. `*` stands for any run of characters, `?`
//! for one.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

/// A caller may not do this; the text is AWS's (SPEC §1.7).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("User: {user} is not authorized to perform: {action} on resource: {resource}")]
pub struct AccessDenied {
    /// ARN of the caller.
    pub user: String,
    /// For instance `firehose:PutRecord`.
    pub action: String,
    /// ARN of the stream.
    pub resource: String,
}

/// What a statement does when it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Effect {
    /// Permits.
    #[serde(alias = "allow")]
    Allow,
    /// Forbids, whatever else permits.
    #[serde(alias = "deny")]
    Deny,
}

/// One statement of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What it does when it matches.
    #[serde(alias = "Effect")]
    pub effect: Effect,
    /// Action patterns, for instance `firehose:Put*`; one matching is enough.
    #[serde(alias = "Action", deserialize_with = "one_or_many")]
    pub action: Vec<String>,
    /// Resource patterns, for instance `arn:aws:firehose:*:*:deliverystream/logs-*`.
    #[serde(alias = "Resource", deserialize_with = "one_or_many")]
    pub resource: Vec<String>,
}

impl Statement {
    fn matches(&self, action: &str, resource: &str) -> bool {
        let any = |patterns: &[String], text: &str, same: fn(u8, u8) -> bool| {
            patterns.iter().any(|pattern| wildcard(pattern, text, same))
        };
        any(&self.action, action, |a, b| a.eq_ignore_ascii_case(&b))
            && any(&self.resource, resource, |a, b| a == b)
    }

    fn allows_everything(&self) -> bool {
        let everything = |patterns: &[String]| patterns.iter().any(|pattern| pattern == "*");
        self.effect == Effect::Allow && everything(&self.action) && everything(&self.resource)
    }
}

/// The statements that hold for one caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<Statement>")]
pub struct Policy {
    statements: Vec<Statement>,
    /// Known once instead of found out with each request: most keys may do everything.
    unrestricted: bool,
}

impl From<Vec<Statement>> for Policy {
    fn from(statements: Vec<Statement>) -> Self {
        let denies = statements.iter().any(|s| s.effect == Effect::Deny);
        let unrestricted = !denies && statements.iter().any(Statement::allows_everything);
        Policy {
            statements,
            unrestricted,
        }
    }
}

impl Policy {
    /// Permits everything. The same one each time.
    pub fn allow_all() -> Arc<Policy> {
        static ALL: LazyLock<Arc<Policy>> = LazyLock::new(|| {
            let everything = || vec!["*".to_owned()];
            let statement = Statement {
                effect: Effect::Allow,
                action: everything(),
                resource: everything(),
            };
            Arc::new(Policy::from(vec![statement]))
        });
        ALL.clone()
    }

    /// Whether it permits whatever is asked, so that there is no need to ask.
    pub fn is_unrestricted(&self) -> bool {
        self.unrestricted
    }

    /// Whether `action` on `resource` is permitted.
    pub fn allows(&self, action: &str, resource: &str) -> bool {
        if self.unrestricted {
            return true;
        }
        let mut allowed = false;
        for statement in &self.statements {
            if statement.matches(action, resource) {
                match statement.effect {
                    Effect::Deny => return false,
                    Effect::Allow => allowed = true,
                }
            }
        }
        allowed
    }
}

/// Whether `text` matches `pattern` as a whole. Byte by byte, as actions and ARNs are ASCII. Greedy with
/// one point to come back to, so its time is at most the product of both lengths.
fn wildcard(pattern: &str, text: &str, same: fn(u8, u8) -> bool) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || same(c, text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGS: &str = "arn:aws:firehose:us-east-1:123456789012:deliverystream/logs-web";

    #[test]
    fn wildcards() {
        for (pattern, text, matches) in [
            ("", "", true),
            ("*", "", true),
            ("", "a", false),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*b*b", "aabab", true),
            ("*b*b", "aaba", false),
            ("a**", "a", true),
            ("A?", "ab", false),
        ] {
            let exact = wildcard(pattern, text, |a, b| a == b);
            assert_eq!(exact, matches, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "*a".repeat(500);
        let text = "ab".repeat(2_000);
        assert!(!wildcard(&pattern, &text, |a, b| a == b));
    }

    #[test]
    fn deny_wins_and_nothing_is_denied() {
        let policy: Policy = serde_json::from_str(
            r#"[
              {"effect":"Allow","action":"firehose:put*","resource":"arn:aws:firehose:*:*:deliverystream/logs-*"},
              {"Effect":"Deny","Action":["firehose:PutRecordBatch"],"Resource":"*"}
            ]"#,
        )
        .unwrap();
        assert!(policy.allows("firehose:PutRecord", LOGS));
        assert!(!policy.allows("firehose:PutRecordBatch", LOGS));
        assert!(!policy.allows("firehose:DeleteDeliveryStream", LOGS));
        assert!(!policy.allows("firehose:PutRecord", &LOGS.replace("logs-web", "Logs-web")));
        assert!(!Policy::default().allows("firehose:PutRecord", LOGS));
        assert!(Policy::allow_all().allows("firehose:PutRecord", LOGS));
        assert!(!policy.is_unrestricted() && Policy::allow_all().is_unrestricted());
    }

    #[test]
    fn a_deny_beside_allow_all_holds() {
        let policy: Policy = serde_json::from_str(
            r#"[
              {"effect":"Allow","action":"*","resource":"*"},
              {"effect":"Deny","action":"firehose:DeleteDeliveryStream","resource":"*"}
            ]"#,
        )
        .unwrap();
        assert!(!policy.is_unrestricted());
        assert!(policy.allows("firehose:PutRecord", LOGS));
        assert!(!policy.allows("firehose:DELETEDELIVERYSTREAM", LOGS));
    }
}
