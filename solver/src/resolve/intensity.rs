//! Carbon intensities that move: the objective alters, the feasible plans do not.

use super::Resolver;
use crate::checker;
use crate::error::SolverError;
use crate::exact::plan_value;
use crate::pricing::Costs;
use ecomap_instances::ids::SiteIx;
use ecomap_instances::units::GramsPerKwh;

impl Resolver {
    /// Other intensities hold at these sites from now on; those not named stay. Stored plans are priced anew, which
    /// takes as long as reading them once. Proofs stay at the discount (26) where no weight is negative, else they are
    /// forgotten, as for the product of carbon and delay.
    ///
    /// # Errors
    /// [`SolverError::Plan`] for a site that does not exist or an intensity that is none; nothing changes then.
    pub fn set_intensities(&mut self, intensities: &[(SiteIx, GramsPerKwh)]) -> Result<(), SolverError> {
        let same = |(site, grams): &(SiteIx, GramsPerKwh)| {
            self.instance.sites.get(site.at()).is_some_and(|s| s.carbon == *grams)
        };
        if intensities.iter().all(same) {
            return Ok(());
        }
        self.instance.set_carbon(intensities).map_err(SolverError::Plan)?;
        // Knapsacks have no boards, and so no emissions.
        if !self.instance.classes.is_empty() {
            self.costs = Costs::new(&self.instance, &self.objective);
        }
        self.reweigh();
        Ok(())
    }

    /// Prices stored plans by the present costs.
    pub(super) fn reweigh(&mut self) {
        let carbon = self.instance.sites.iter().map(|s| s.carbon.get()).collect();
        let (instance, costs, objective, sign) = (&self.instance, &self.costs, &self.objective, self.sign);
        let linear = self.linear();
        let proofs = self.instance.classes.is_empty() || (linear && costs.rises_with_carbon());
        self.store.set_carbon(carbon, proofs, |plan| match linear {
            true => plan_value(instance, costs, plan),
            false => Some(checker::check(instance, plan, objective).evaluation.value * sign),
        });
    }
}
