//! Options by board class, mode and tenant.

use ecomap_instances::Instance;
use ecomap_instances::ids::{ClassIx, ModeIx, OptionIx, TenantIx};
use std::collections::BTreeMap;

/// The options of a tenant on a class in a mode, ascending by tenant.
type Offers = Vec<(TenantIx, Vec<OptionIx>)>;

/// What may run on a board of each class and mode.
pub(super) struct Menu(BTreeMap<(ClassIx, ModeIx), Offers>);

impl Menu {
    /// From the options that reduction kept.
    pub(super) fn new(instance: &Instance, kept: &[Vec<OptionIx>]) -> Self {
        let mut menu: BTreeMap<(ClassIx, ModeIx), Offers> = BTreeMap::new();
        for (t, options) in kept.iter().enumerate() {
            let tenant = TenantIx::new(t);
            for option in options {
                let Some(host) = &instance.option(tenant, *option).host else { continue };
                let offers = menu.entry((host.class, host.mode)).or_default();
                match offers.last_mut() {
                    Some((last, list)) if *last == tenant => list.push(*option),
                    _ => offers.push((tenant, vec![*option])),
                }
            }
        }
        Self(menu)
    }

    /// Who may run there, and how.
    pub(super) fn offers(&self, class: ClassIx, mode: ModeIx) -> &[(TenantIx, Vec<OptionIx>)] {
        self.0.get(&(class, mode)).map_or(&[], Vec::as_slice)
    }

    /// A tenant's options there.
    pub(super) fn of(&self, class: ClassIx, mode: ModeIx, tenant: TenantIx) -> &[OptionIx] {
        let offers = self.offers(class, mode);
        let at = offers.binary_search_by_key(&tenant, |(t, _)| *t);
        at.map_or(&[], |at| offers[at].1.as_slice())
    }

    /// Every class and mode with what may run there.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&(ClassIx, ModeIx), &Offers)> {
        self.0.iter()
    }
}
