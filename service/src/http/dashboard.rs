//! The page at `/`: one document with its scripts, all inside the binary; nothing is fetched from elsewhere.

/// What the page may do: run its own scripts, talk to the service that it came from, be framed by nobody.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its name under `/dashboard/`.
    pub name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! files {
    ($($name:literal: $kind:literal),+ $(,)?) => {
        &[$(File { name: $name, content_type: $kind, text: include_str!(concat!("../../assets/dashboard/", $name)) }),+]
    };
}

/// Every file; the first is the page itself.
pub const FILES: &[File] = files! {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
    "views.js": "text/javascript; charset=utf-8",
};

/// The file called `name`.
#[must_use]
pub fn file(name: &str) -> Option<File> {
    FILES.iter().find(|f| f.name == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_from_elsewhere_and_every_import_is_there() {
        for file in FILES {
            assert!(!file.text.contains("https://"), "{}", file.name);
            let plain = file.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!plain.contains("http://"), "{}", file.name);
            for line in file.text.lines().filter(|l| l.starts_with("import ")) {
                let from = line.rsplit('"').nth(1).unwrap().trim_start_matches("./");
                assert!(super::file(from).is_some(), "{} imports {from}", file.name);
            }
        }
        let page = FILES[0].text;
        for part in page.split("/dashboard/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(super::file(name).is_some(), "the page names {name}");
        }
        assert!(!page.contains("onclick") && !page.contains("<script>"), "the policy forbids inline scripts");
    }
}
