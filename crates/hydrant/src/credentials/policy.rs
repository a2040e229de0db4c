//! IAM-style policies: statements of Effect, Action and Resource, with wildcards.
//!
//! An explicit Deny wins over every Allow; what no statement allows is denied. Actions compare
//! without regard to case, resources with, as in IAM. `*` stands for any run of characters, `?`
//! for one.

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
        let action = action.to_ascii_lowercase();
        self.action
            .iter()
            .any(|pattern| wildcard(&pattern.to_ascii_lowercase(), &action))
            && self
                .resource
                .iter()
                .any(|pattern| wildcard(pattern, resource))
    }
}

/// The statements that hold for one caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Policy(pub Vec<Statement>);

impl Policy {
    /// Permits everything.
    pub fn allow_all() -> Self {
        Policy(vec![Statement {
            effect: Effect::Allow,
            action: vec!["*".into()],
            resource: vec!["*".into()],
        }])
    }

    /// Whether `action` on `resource` is permitted.
    pub fn allows(&self, action: &str, resource: &str) -> bool {
        let mut allowed = false;
        for statement in &self.0 {
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

/// Whether `text` matches `pattern` as a whole. Greedy with one point to come back to, so its time
/// is at most the product of both lengths.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
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
    pattern[p..].iter().all(|c| *c == '*')
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
            ("?", "é", true),
        ] {
            assert_eq!(wildcard(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "*a".repeat(500);
        assert!(!wildcard(&pattern, &"ab".repeat(2_000)));
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
    }
}
