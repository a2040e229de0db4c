//! Policies: what is allowed is what the plainest reading of the document says.

use crate::credentials::{Effect, Policy, Statement};

/// The longest pattern and text that are compared the plain way, which takes the product of both.
const LONGEST: usize = 200;

/// ```text
/// action  LF  resource  LF  the policy, a JSON list of statements
/// ```
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut parts = text.splitn(3, '\n');
    let (Some(action), Some(resource), Some(document)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let (Ok(policy), Ok(statements)) = (
        serde_json::from_str::<Policy>(document),
        serde_json::from_str::<Vec<Statement>>(document),
    ) else {
        return;
    };
    let allowed = policy.allows(action, resource);
    if policy.is_unrestricted() {
        assert!(policy.allows("", "") && policy.allows("firehose:PutRecord", "arn:x"));
    }
    let patterns = statements
        .iter()
        .flat_map(|s| s.action.iter().chain(&s.resource));
    let longest = patterns.map(String::len).max().unwrap_or_default();
    if longest.max(action.len()).max(resource.len()) > LONGEST {
        return;
    }
    let any = |patterns: &[String], text: &str| {
        patterns
            .iter()
            .any(|pattern| matches(pattern.as_bytes(), text.as_bytes()))
    };
    let lower = |patterns: &[String]| patterns.iter().map(|p| p.to_ascii_lowercase()).collect();
    let effect = |effect: Effect| {
        statements
            .iter()
            .filter(|s| s.effect == effect)
            .any(|statement| {
                let actions: Vec<String> = lower(&statement.action);
                any(&actions, &action.to_ascii_lowercase()) && any(&statement.resource, resource)
            })
    };
    let expected = effect(Effect::Allow) && !effect(Effect::Deny);
    assert_eq!(allowed, expected, "{action} on {resource}");
}

/// `*` is any run of bytes, `?` any one byte. Row by row through the table of prefixes that match.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for &wanted in pattern {
        let before = row.clone();
        row[0] = before[0] && wanted == b'*';
        for at in 1..=text.len() {
            row[at] = match wanted {
                b'*' => before[at] || row[at - 1],
                b'?' => before[at - 1],
                byte => before[at - 1] && byte == text[at - 1],
            };
        }
    }
    row[text.len()]
}
