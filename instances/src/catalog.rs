//! The catalogue that ships inside the binary: hardware profiles and model families.

use crate::family::Family;
use crate::format::catalog_v1::{FamilyDto, ProfileDto};
use crate::format::read_document;
use crate::issue::Issues;
use crate::profile::Profile;
use std::sync::{Arc, OnceLock};

macro_rules! embedded {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../data/", $folder, "/", $name, ".json")).as_slice())),*]
    };
}

const PROFILES: &[(&str, &[u8])] = embedded!("profiles":
    "jetson-agx-xavier", "jetson-xavier-nx", "jetson-agx-orin-64gb",
    "jetson-orin-nx-16gb", "jetson-orin-nano-8gb", "host-cpu",
);

const FAMILIES: &[(&str, &[u8])] = embedded!("families":
    "resnet", "mobilenet-v2", "mobilenet-v3", "efficientnet", "vgg",
    "densenet", "yolov8", "vit", "bert", "bert-nli", "ssd", "compact",
);

/// Profiles and families by name, in a fixed order.
#[derive(Debug, Clone)]
pub struct Catalog {
    profiles: Vec<Arc<Profile>>,
    families: Vec<Arc<Family>>,
}

impl Catalog {
    /// The embedded catalogue.
    ///
    /// # Errors
    /// Only if the embedded files are broken, which a test rules out.
    pub fn embedded() -> Result<&'static Self, &'static Issues> {
        static CATALOG: OnceLock<Result<Catalog, Issues>> = OnceLock::new();
        CATALOG.get_or_init(Self::load_embedded).as_ref()
    }

    fn load_embedded() -> Result<Self, Issues> {
        let mut profiles = Vec::new();
        for (_, bytes) in PROFILES {
            profiles.push(Arc::new(read_document::<ProfileDto>(bytes)?.lower()?));
        }
        let mut families = Vec::new();
        for (_, bytes) in FAMILIES {
            families.push(Arc::new(read_document::<FamilyDto>(bytes)?.lower()?));
        }
        Ok(Self { profiles, families })
    }

    /// A catalogue of the given entries, for tests and tools.
    #[must_use]
    pub fn new(profiles: Vec<Profile>, families: Vec<Family>) -> Self {
        Self {
            profiles: profiles.into_iter().map(Arc::new).collect(),
            families: families.into_iter().map(Arc::new).collect(),
        }
    }

    /// All hardware profiles.
    #[must_use]
    pub fn profiles(&self) -> &[Arc<Profile>] {
        &self.profiles
    }

    /// All model families.
    #[must_use]
    pub fn families(&self) -> &[Arc<Family>] {
        &self.families
    }

    /// The profile named `id`.
    #[must_use]
    pub fn profile(&self, id: &str) -> Option<&Arc<Profile>> {
        self.profiles.iter().find(|p| p.id.as_str() == id)
    }

    /// The family named `id`.
    #[must_use]
    pub fn family(&self, id: &str) -> Option<&Arc<Family>> {
        self.families.iter().find(|f| f.id.as_str() == id)
    }
}
