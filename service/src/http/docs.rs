//! The documentation page (Swagger UI, vendored: no network).

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
