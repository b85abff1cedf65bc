//! Identifiers as users write them, and the typed indices that replace them inside a validated
//! [`Scenario`](crate::Scenario) or [`Instance`](crate::Instance).

use std::fmt;

/// Longest identifier accepted, in bytes.
pub const MAX_ID_LEN: usize = 64;

/// Whether `text` is a legal identifier: 1 to [`MAX_ID_LEN`] ASCII letters, digits, `.`, `_`,
/// `-`, `:` or `/`, starting with a letter or digit. Identifiers appear in row names of exported
/// models, in metrics labels and in file names, so blanks and control characters stay out.
#[must_use]
pub fn is_legal_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric());
    first && text.len() <= MAX_ID_LEN && bytes.all(|b| b.is_ascii_alphanumeric() || b"._-:/".contains(&b))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Wraps a name that validation has passed.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The index `position`; saturates at `u32::MAX`, far above every size limit.
            #[must_use]
            pub fn new(position: usize) -> Self {
                Self(u32::try_from(position).unwrap_or(u32::MAX))
            }

            /// Position in its vector.
            #[must_use]
            pub const fn at(self) -> usize {
                self.0 as usize
            }
        }
    };
}

id!(
    /// A tenant: one DNN service with a rate and an objective.
    TenantId
);
id!(
    /// A physical board.
    DeviceId
);
id!(
    /// A site: boards behind one power cap.
    SiteId
);
id!(
    /// A grid zone with one carbon intensity.
    ZoneId
);
id!(
    /// A family of models, a ladder of quality tiers.
    FamilyId
);
id!(
    /// One quality tier of a family.
    TierId
);
id!(
    /// A hardware profile.
    ProfileId
);
id!(
    /// A power mode of a profile.
    ModeId
);
id!(
    /// A compute unit of a profile (`gpu`, `dla0`, `cpu1`).
    UnitId
);
id!(
    /// A server of an accelerator cluster.
    ServerId
);
id!(
    /// A job of an accelerator cluster.
    JobId
);

index!(
    /// Index into [`crate::instance::InstanceParts::tenants`] and the scenario's tenants.
    TenantIx
);
index!(
    /// Index into a tenant's options.
    OptionIx
);
index!(
    /// Index into the devices.
    DeviceIx
);
index!(
    /// Index into the device classes of an instance.
    ClassIx
);
index!(
    /// Index into the sites.
    SiteIx
);
index!(
    /// Index into the zones.
    ZoneIx
);
index!(
    /// Index into the modes of a device class or profile.
    ModeIx
);
index!(
    /// Index into the compute units of a device class or profile.
    UnitIx
);
index!(
    /// Index into the weight sets of an instance.
    WeightIx
);
index!(
    /// Index into the global capacity rows of an instance.
    CapacityIx
);
index!(
    /// Index into the links of a scenario.
    LinkIx
);
index!(
    /// Index into the jobs of a [`Workload`](crate::accelerators::Workload).
    JobIx
);
index!(
    /// Index into the servers of a [`Workload`](crate::accelerators::Workload).
    ServerIx
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_ids() {
        for good in ["a", "cam-01", "n.x_1:2", "resnet/resnet-50"] {
            assert!(is_legal_id(good), "{good}");
        }
        let long = "x".repeat(MAX_ID_LEN + 1);
        for bad in ["", "-a", "a b", "ä", "a\n", "../x", long.as_str()] {
            assert!(!is_legal_id(bad), "{bad}");
        }
    }
}
