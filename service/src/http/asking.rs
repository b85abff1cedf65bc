//! Headers and parameters that say how a solve is to be answered: at once or as a job, under which
//! key, how urgently.

use crate::access::{Caller, Role};
use crate::http::fair::Priority;
use crate::http::problem::{Kind, Problem};
use ecomap_instances::Code;
use http::HeaderMap;
use http::header::HeaderName;

/// The header with the client's own key for a question.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Longest such key.
const MOST_KEY: usize = 255;

/// Whether a job is asked for: `Prefer: respond-async` (RFC 7240).
#[must_use]
pub fn prefers_async(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|p| p.split(';').next().is_some_and(|p| p.trim().eq_ignore_ascii_case("respond-async")))
}

/// The client's key for the question: visible ASCII, with or without the quotes of a structured
/// field.
///
/// # Errors
/// 400 for what is no key.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or("").trim();
    let key = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    let fine = (1..=MOST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if fine && values.next().is_none() {
        return Ok(Some(key.to_owned()));
    }
    let detail = format!("Idempotency-Key is not one key of 1 to {MOST_KEY} visible ASCII characters");
    Err(Problem::new(Kind::Header, detail))
}

/// Takes `priority` out of the parameters.
///
/// # Errors
/// 400 for what is no priority; 403 for one above the caller's role.
pub fn take_priority(query: &mut Vec<(String, String)>, caller: &Caller) -> Result<Priority, Problem> {
    let mut asked = query.iter().filter(|(name, _)| name == "priority").map(|(_, value)| value.as_str());
    let priority = match (asked.next(), asked.next()) {
        (None, _) => Priority::Normal,
        (Some(_), Some(_)) => return Err(Problem::query("priority", Code::DuplicateId, "given twice")),
        (Some(name), None) => Priority::parse(name).ok_or_else(|| {
            Problem::query("priority", Code::UnknownName, "not one of low, normal, high, urgent")
        })?,
    };
    query.retain(|(name, _)| name != "priority");
    let most = match caller.role {
        Some(Role::Admin) => Priority::Urgent,
        Some(Role::Operate) => Priority::High,
        Some(Role::Solve | Role::Read) | None => Priority::Normal,
    };
    if priority > most {
        let detail = format!("this key may ask for at most `{}`", most.as_str());
        return Err(Problem::new(Kind::Priority, detail));
    }
    Ok(priority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn preferences_are_found_among_others() {
        for value in ["respond-async", "wait=5, Respond-Async", "respond-async; x=1"] {
            assert!(prefers_async(&headers("prefer", &[value])), "{value}");
        }
        for value in ["wait=5", "respond-asynchronously", ""] {
            assert!(!prefers_async(&headers("prefer", &[value])), "{value}");
        }
    }

    #[test]
    fn keys_are_plain() {
        let key = |values: &[&'static str]| idempotency_key(&headers("idempotency-key", values));
        assert_eq!(key(&[]).expect("none"), None);
        assert_eq!(key(&["\"a-1\""]).expect("quoted").as_deref(), Some("a-1"));
        assert_eq!(key(&["a-1"]).expect("plain").as_deref(), Some("a-1"));
        for bad in [&[""][..], &["a b"], &["a", "b"], &["\"\""]] {
            assert_eq!(key(bad).expect_err("refused").kind, Kind::Header, "{bad:?}");
        }
    }

    #[test]
    fn priorities_are_bounded_by_roles() {
        let ask = |role: Role, value: &str| {
            let mut query =
                vec![("gap".to_owned(), "0".to_owned()), ("priority".to_owned(), value.to_owned())];
            let caller = Caller { role: Some(role), ..Caller::local() };
            let priority = take_priority(&mut query, &caller).map_err(|p| p.kind);
            (priority, query.len())
        };
        assert_eq!(ask(Role::Solve, "normal"), (Ok(Priority::Normal), 1));
        assert_eq!(ask(Role::Solve, "high").0, Err(Kind::Priority));
        assert_eq!(ask(Role::Operate, "high").0, Ok(Priority::High));
        assert_eq!(ask(Role::Operate, "urgent").0, Err(Kind::Priority));
        assert_eq!(ask(Role::Admin, "urgent").0, Ok(Priority::Urgent));
        assert_eq!(ask(Role::Admin, "9").0, Err(Kind::Query));
    }
}
