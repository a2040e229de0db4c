//! Signatures: whatever claims to be one is refused without harm, what is signed here is verified, and what was changed since
//! is not.

use http::{HeaderMap, HeaderName, HeaderValue};
use hydrant_engine::Timestamp;

use crate::{
    credentials::{Key, Keyring},
    sigv4::{
        ALGORITHM, SERVICE, SigningKey, TERMINATOR,
        canonical::{Request, canonical_request, string_to_sign},
        key::sha256_hex,
        sign::{Credentials, Subject, sign},
        verify::{self, AuthError, Claim, KnownKey},
    },
};

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const REGION: &str = "eu-west-1";
/// When all of it happens: 2026-11-23T05:30:00Z.
const NOW: Timestamp = Timestamp(1_795_411_800_000);

/// ```text
/// what to change, where and which bit (three bytes, 0–9 and a–z)  LF
/// METHOD SP path[?query]  LF  { name: value  LF }  LF  the body
/// ```
pub fn sigv4(bytes: &[u8]) {
    let Some((change, sent)) = Sent::read(bytes) else {
        return;
    };
    let body_sha256 = sha256_hex(sent.body);

    // As it came: any answer will do that has a text, and an open node makes of it whatever it can.
    let verdict = sent.verify(&body_sha256);
    if let Err(error) = &verdict {
        assert!(!error.to_string().is_empty());
    }
    let _ = Claim::scope(&sent.request());

    for presigned in [false, true] {
        let Some(signed) = sent.signed(&body_sha256, presigned) else {
            continue;
        };
        let claim = signed.verify(&body_sha256);
        let claim = claim.unwrap_or_else(|error| panic!("{error}: {signed:?}"));
        assert_eq!(
            (&*claim.access_key, &*claim.date, &*claim.region),
            (ACCESS_KEY, "20261123", REGION)
        );
        let mut changed = signed.clone();
        let mut hash = body_sha256.clone().into_bytes();
        if changed.change(change, &mut hash).is_none() {
            continue;
        }
        let Ok(hash) = String::from_utf8(hash) else {
            continue;
        };
        if changed.verify(&hash).is_ok() {
            assert_eq!(hash, body_sha256, "{changed:?}");
            assert_eq!(
                changed.meaning(),
                signed.meaning(),
                "{signed:?} became {changed:?}"
            );
        }
    }
}

/// A request with its body.
#[derive(Clone, Debug)]
struct Sent<'b> {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: &'b [u8],
}

impl<'b> Sent<'b> {
    fn read(bytes: &'b [u8]) -> Option<([u8; 3], Self)> {
        let [what, place, bit, b'\n', rest @ ..] = bytes else {
            return None;
        };
        let mut body = rest;
        let mut line = || {
            let end = body.iter().position(|byte| *byte == b'\n')?;
            let line = &body[..end];
            body = &body[end + 1..];
            Some(line)
        };
        let first = std::str::from_utf8(line()?).ok()?;
        let (method, target) = first.split_once(' ')?;
        http::Method::from_bytes(method.as_bytes()).ok()?;
        let target: http::uri::PathAndQuery = target.parse().ok()?;
        let mut headers = HeaderMap::new();
        while let Some(header) = line().filter(|line| !line.is_empty()) {
            let colon = header.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&header[..colon]).ok()?;
            // hyper gives values without the white space around them.
            let value = HeaderValue::from_bytes(header[colon + 1..].trim_ascii()).ok()?;
            headers.append(name, value);
        }
        let sent = Sent {
            method: method.to_owned(),
            path: target.path().to_owned(),
            query: target.query().unwrap_or_default().to_owned(),
            headers,
            body,
        };
        Some(([*what, *place, *bit], sent))
    }

    fn request(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
        }
    }

    fn verify(&self, body_sha256: &str) -> Result<Claim, AuthError> {
        let keyring = Keyring::new([Key::new(ACCESS_KEY, SECRET, "123456789012")]);
        let keyring = keyring.expect("a key");
        verify::verify(&self.request(), body_sha256, NOW, |claim| {
            let key = keyring.get(&claim.access_key)?;
            Some(KnownKey {
                signing_key: SigningKey::derive(
                    key.secret_key.expose(),
                    &claim.date,
                    &claim.region,
                    SERVICE,
                ),
                session_token: None,
                expires: None,
            })
        })
    }

    /// The same request, signed; `None` where it cannot be: it has no host, or is half signed already.
    fn signed(&self, body_sha256: &str, presigned: bool) -> Option<Self> {
        let mut signed = self.clone();
        signed.headers.remove("authorization");
        let request = self.request();
        let claimed = request
            .parameters()
            .iter()
            .any(|(name, _)| name.starts_with("X-Amz-"));
        if claimed || !self.headers.contains_key("host") {
            return None;
        }
        if signed.headers.contains_key("x-amz-content-sha256") {
            let hash = HeaderValue::from_str(body_sha256).ok()?;
            signed.headers.insert("x-amz-content-sha256", hash);
        }
        if presigned {
            signed.presign(body_sha256);
            return Some(signed);
        }
        let subject = Subject {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            body_sha256,
        };
        let credentials = Credentials {
            access_key: ACCESS_KEY.to_owned(),
            secret_key: SECRET.to_owned(),
            session_token: None,
        };
        let done = sign(
            subject,
            &mut signed.headers,
            &credentials,
            REGION,
            SERVICE,
            NOW,
        );
        done.expect("header values");
        Some(signed)
    }

    /// Signs every header, in the query.
    fn presign(&mut self, body_sha256: &str) {
        let names = self.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let time = verify::basic(NOW);
        let scope = [&time[..8], REGION, SERVICE, TERMINATOR].join("/");
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query += &format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={ACCESS_KEY}%2F{}&X-Amz-Date={time}\
             &X-Amz-SignedHeaders={}",
            escaped(&scope),
            escaped(&names.join(";")),
        );
        let canonical = canonical_request(&self.request(), &names, body_sha256);
        let key = SigningKey::derive(SECRET, &time[..8], REGION, SERVICE);
        let signature = key.sign(&string_to_sign(&time, &scope, &canonical));
        self.query += &format!("&X-Amz-Signature={signature}");
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.headers.keys().map(|name| name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// Flips one bit of what a signature covers, or of the signature. `None` where that gives nothing that could have come
    /// over the wire, or the place is none.
    fn change(&mut self, [what, place, bit]: [u8; 3], hash: &mut [u8]) -> Option<()> {
        // A digit or letter is enough to reach every place of a short text.
        let digit = |byte: u8| char::from(byte).to_digit(36).unwrap_or(u32::from(byte)) as usize;
        let mask = 1 << (digit(bit) % 8);
        let flip = |bytes: &mut [u8]| {
            let length = bytes.len();
            let at = digit(place) + digit(bit) / 8 * 36;
            *bytes.get_mut(at % length.max(1))? ^= mask;
            Some(())
        };
        match digit(what) {
            0 => {
                let mut method = self.method.clone().into_bytes();
                flip(&mut method)?;
                self.method = http::Method::from_bytes(&method).ok()?.to_string();
            }
            1 => {
                let mut target = format!("{}?{}", self.path, self.query).into_bytes();
                flip(&mut target)?;
                let target = http::uri::PathAndQuery::try_from(target).ok()?;
                self.path = target.path().to_owned();
                self.query = target.query().unwrap_or_default().to_owned();
            }
            2 => {
                let mut query = self.query.clone().into_bytes();
                query.reverse();
                flip(&mut query)?;
                query.reverse();
                let query = String::from_utf8(query).ok()?;
                let target: http::uri::PathAndQuery =
                    format!("{}?{query}", self.path).parse().ok()?;
                self.query = target.query().unwrap_or_default().to_owned();
            }
            3 => flip(hash)?,
            4 => {
                let value = self.headers.get_mut("authorization")?;
                let mut bytes = value.as_bytes().to_vec();
                bytes.reverse();
                flip(&mut bytes)?;
                bytes.reverse();
                *value = HeaderValue::from_bytes(&bytes).ok()?;
            }
            which => {
                let names = self.names();
                let name = names.get((which - 5) % names.len().max(1))?;
                let value = self.headers.get_mut(name)?;
                let mut bytes = value.as_bytes().to_vec();
                flip(&mut bytes)?;
                *value = HeaderValue::from_bytes(bytes.trim_ascii()).ok()?;
            }
        }
        Some(())
    }

    /// What the signature stands for, worked out another way than in `canonical`: the parameters in bytes, and the values of
    /// the headers that are always signed, with runs of spaces as one.
    fn meaning(&self) -> impl PartialEq + std::fmt::Debug {
        let parameter = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let mut parameters: Vec<(Vec<u8>, Vec<u8>)> = pairs.map(parameter).collect();
        parameters.sort_unstable();
        let covered =
            |name: &str| matches!(name, "content-type" | "host") || name.starts_with("x-amz-");
        let headers: Vec<(String, Vec<String>)> = self
            .names()
            .into_iter()
            .filter(|name| covered(name))
            .map(|name| {
                let values = self.headers.get_all(&name).iter();
                let words = |value: &HeaderValue| {
                    let text: String = value.as_bytes().iter().map(|b| char::from(*b)).collect();
                    let words: Vec<_> = text.split(' ').filter(|word| !word.is_empty()).collect();
                    words.join(" ")
                };
                let values = values.map(words).collect();
                (name, values)
            })
            .collect();
        (self.method.clone(), self.path.clone(), parameters, headers)
    }
}

/// A text as a parameter's value.
fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The bytes of a text without its escapes.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%');
        let mut escaped = [0];
        match digits.map(|digits| hex::decode_to_slice(digits, &mut escaped)) {
            Some(Ok(())) => {
                out.push(escaped[0]);
                rest = &after[2..];
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}
