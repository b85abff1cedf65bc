//! The documentation page (Swagger UI, vendored: no network) and the page at `/`.

use std::sync::{Arc, OnceLock};
use utoipa_swagger_ui::Config;

/// A file of the documentation page.
#[derive(Debug)]
pub enum Page {
    /// The file.
    Found {
        /// Content.
        bytes: Vec<u8>,
        /// Its type.
        content_type: String,
    },
    /// There is no such file.
    Missing,
    /// The page is broken; a bug.
    Broken(String),
}

/// The file at `path` of the documentation page; empty for its index.
#[must_use]
pub fn file(path: &str) -> Page {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        // No validator: it would send the document to a public server.
        Arc::new(Config::from("/openapi.json").validator_url("none").try_it_out_enabled(true))
    });
    match utoipa_swagger_ui::serve(path, Arc::clone(config)) {
        Ok(Some(file)) => Page::Found { bytes: file.bytes.into_owned(), content_type: file.content_type },
        Ok(None) => Page::Missing,
        Err(error) => Page::Broken(error.to_string()),
    }
}

/// The page at `/`.
#[must_use]
pub fn index(scenario: &str) -> String {
    // Scenario names come from a file name; escape them.
    let name = scenario.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Ecomap</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #222; background: #fff; }}
pre {{ background: #f3f4f2; padding: .8rem 1rem; overflow-x: auto; }} a {{ color: #0a5c36; }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #161816; }} pre {{ background: #232623; }} a {{ color: #7fd1a6; }} }}
</style></head><body>
<h1>Ecomap</h1>
<p>Which model runs where, in which power mode, under the carbon budget: with a proof.
The scenario <a href="/v1/scenarios/{name}">{name}</a> is loaded.</p>
<pre>curl -s localhost:8080/v1/scenarios/{name} &gt; {name}.json
curl -s -d @{name}.json localhost:8080/v1/solve
curl -s -d @{name}.json 'localhost:8080/v1/solve?objective=carbon&amp;time_limit_s=10'
curl -s -d @{name}.json localhost:8080/v1/validate</pre>
<ul>
<li><a href="/docs/">Documentation of the API</a>, from <a href="/openapi.json">openapi.json</a></li>
<li><a href="/v1/solvers">Solvers</a>, <a href="/v1/scenarios">scenarios</a>, <a href="/v1/schemas">schemas</a></li>
<li><a href="/ready">Ready?</a> <a href="/metrics">Metrics</a></li>
</ul>
</body></html>
"#
    )
}
