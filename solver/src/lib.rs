//! Ecomap.
