//! What browsers can be made to do to a service without keys, and how it is refused.
//!
//! On the loopback address everybody on the machine is trusted, but not every page that their
//! browsers show. Two attacks reach a local port from a page: *DNS rebinding* (the page's own name
//! suddenly resolves to 127.0.0.1, so its scripts may read what we answer; the `Host` header still
//! carries that name), and *cross-site requests* (a form or `fetch` with a plain content type is
//! sent without asking; the `Origin` header carries the page's). So without keys the host must be
//! a local one and an origin must be the service's own. With keys neither matters: a browser never
//! sends a bearer key by itself.

use http::HeaderMap;
use http::header::{HOST, HeaderName, ORIGIN};
use http::uri::Authority;
use std::net::IpAddr;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Names and origins trusted beyond the local ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Host names, without port.
    pub hosts: Vec<String>,
    /// Origins (`https://ui.example`) whose pages may call and read.
    pub origins: Vec<String>,
}

impl Trusted {
    /// Refuses what a foreign page sends.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let host = headers.get(HOST).map(|h| h.to_str().unwrap_or(""));
        // HTTP/1.0 needs none, and no browser speaks it.
        if host.is_some_and(|host| !self.knows(host)) {
            return Err("the header Host names another host; reach the service by a local name, \
                 allow the name with --allow-host, or use keys");
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let origin = origin.to_str().unwrap_or("null");
            let own = host.is_some_and(|host| origin.strip_prefix("http://") == Some(host));
            if !own && !self.origin(origin) {
                return Err("the header Origin names another site; allow it with --cors-origin, or use keys");
            }
        } else if headers.get(FETCH_SITE).is_some_and(|v| v == "cross-site") {
            return Err("a page of another site sent this");
        }
        Ok(())
    }

    /// Whether an origin's pages may read answers.
    #[must_use]
    pub fn origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|o| o == origin)
    }

    fn knows(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        match address.parse::<IpAddr>() {
            // An address cannot be rebound: no name is looked up. Only the loopback is listened on.
            Ok(address) => address.is_loopback() || self.hosts.iter().any(|h| h == name),
            Err(_) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name == "localhost"
                    || name.ends_with(".localhost")
                    || self.hosts.iter().any(|h| h.eq_ignore_ascii_case(&name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn verdict(pairs: &[(&'static str, &'static str)]) -> bool {
        let trusted =
            Trusted { hosts: vec!["pi.local".to_owned()], origins: vec!["https://ui.example".to_owned()] };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        trusted.check(&headers).is_ok()
    }

    #[test]
    fn local_names_pass_and_others_do_not() {
        for host in
            ["localhost", "localhost:8080", "LOCALHOST.", "a.localhost:1", "127.0.0.1:8080", "127.8.8.8"]
        {
            assert!(verdict(&[("host", host)]), "{host}");
        }
        assert!(verdict(&[("host", "[::1]:8080")]) && verdict(&[("host", "pi.local:80")]) && verdict(&[]));
        for host in ["evil.example", "localhost.evil.example", "10.0.0.1", "[fe80::1]", "", "a b", "x"] {
            assert!(!verdict(&[("host", host)]), "{host}");
        }
    }

    #[test]
    fn only_ones_own_pages_may_send() {
        let with = |origin| verdict(&[("host", "localhost:8080"), ("origin", origin)]);
        assert!(with("http://localhost:8080") && with("https://ui.example"));
        for origin in [
            "http://localhost:3000",
            "https://localhost:8080",
            "http://evil.example",
            "null",
            "",
            "http://127.0.0.1:8080",
        ] {
            assert!(!with(origin), "{origin}");
        }
        assert!(!verdict(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]));
        assert!(verdict(&[("host", "localhost"), ("sec-fetch-site", "none")]));
    }
}
