//! Caps of sites from intensities of zones.

use crate::error::FleetError;
use ecomap_carbon::policy::{Clip, Linear, Point, PolicyError, Range, Steps};
use ecomap_carbon::{Damper, Outlook, Policy};
use ecomap_instances::Scenario;
use ecomap_instances::ids::SiteIx;
use ecomap_instances::scenario::Budget;
use ecomap_instances::units::{GramsPerKwh, Watts};
use jiff::{SignedDuration, Timestamp};

/// Sites of one zone that share a policy. Its cap is split in proportion to the shares.
#[derive(Debug)]
pub struct Group {
    /// Zone whose intensity counts, by its position in the scenario.
    pub zone: usize,
    /// Sites and their shares, which are positive.
    pub sites: Vec<(SiteIx, f64)>,
    /// `None`: no cap.
    pub policy: Option<Box<dyn Policy>>,
    /// Keeps caps from fluttering.
    pub damper: Damper,
    /// Quality against cap, for policies that plan ahead; traced by the controller.
    pub frontier: Vec<Point>,
    /// Least and most cap that the frontier is traced for; `None` where no policy needs one.
    pub traced: Option<Range>,
}

/// The policies of a whole fleet.
#[derive(Debug)]
pub struct Budgets {
    groups: Vec<Group>,
}

/// The caps of one turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Caps {
    /// Of every site.
    pub sites: Vec<Option<Watts>>,
    /// Why a policy's cap is not what its rule alone gives, by group.
    pub clips: Vec<Option<Clip>>,
}

impl Budgets {
    /// Policies for every site of a scenario of so many sites.
    ///
    /// # Errors
    /// [`FleetError::Site`] unless every site is in one group.
    pub fn new(scenario: &Scenario, groups: Vec<Group>) -> Result<Self, FleetError> {
        for (s, site) in scenario.sites.iter().enumerate() {
            let times = groups.iter().flat_map(|g| &g.sites).filter(|(at, _)| at.at() == s).count();
            if times != 1 {
                return Err(FleetError::Site(site.id.to_string()));
            }
        }
        Ok(Self { groups })
    }

    /// The scenario's own budgets, each site for itself; a fixed cap is a table of one step.
    ///
    /// # Errors
    /// [`PolicyError`] never for a validated scenario.
    pub fn of(scenario: &Scenario, threshold: Watts, dwell: SignedDuration) -> Result<Self, PolicyError> {
        let groups = scenario.sites.iter().enumerate().map(|(s, site)| {
            let policy: Option<Box<dyn Policy>> = match site.budget {
                Budget::Unlimited => None,
                Budget::Fixed(cap) => Some(Box::new(Steps::new(vec![(GramsPerKwh::ZERO, cap)])?)),
                Budget::Linear { clean, dirty, max, min } => {
                    Some(Box::new(Linear::new(Range::new(min, max)?, clean, dirty)?))
                }
            };
            Ok(Group {
                zone: site.zone.at(),
                sites: vec![(SiteIx::new(s), 1.0)],
                policy,
                damper: Damper::new(threshold, dwell),
                frontier: Vec::new(),
                traced: None,
            })
        });
        Ok(Self { groups: groups.collect::<Result<_, _>>()? })
    }

    /// The groups themselves, to be grouped anew.
    #[must_use]
    pub fn into_groups(self) -> Vec<Group> {
        self.groups
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The group at `at`.
    pub fn group_mut(&mut self, at: usize) -> Option<&mut Group> {
        self.groups.get_mut(at)
    }

    /// The caps of sites when a group's cap is `watts`.
    #[must_use]
    pub fn split(group: &Group, watts: Watts) -> Vec<(SiteIx, Option<Watts>)> {
        let all: f64 = group.sites.iter().map(|(_, share)| share).sum();
        group.sites.iter().map(|(site, share)| (*site, Some(watts * (share / all)))).collect()
    }

    /// The caps that hold at `now`. `ahead` are expected intensities by zone and hour, this hour first; `spent_g` what
    /// each group has emitted since its day began, `left` what is left of the day.
    pub fn caps(
        &mut self,
        now: Timestamp,
        ahead: &[Vec<GramsPerKwh>],
        (spent_g, left): (&[f64], SignedDuration),
        sites: usize,
    ) -> Caps {
        let mut caps = Caps { sites: vec![None; sites], clips: Vec::with_capacity(self.groups.len()) };
        for (g, group) in self.groups.iter_mut().enumerate() {
            let hours = ahead.get(group.zone).map_or(&[][..], Vec::as_slice);
            let Some(policy) = &group.policy else {
                caps.clips.push(None);
                continue;
            };
            let cap = policy.cap(&Outlook {
                intensity: hours.first().copied().unwrap_or(GramsPerKwh::ZERO),
                ahead: hours,
                left,
                spent_g: spent_g.get(g).copied().unwrap_or(0.0),
                frontier: &group.frontier,
            });
            caps.clips.push(cap.clip);
            let held = group.damper.damp(cap.watts, now);
            for (site, cap) in Self::split(group, held) {
                if let Some(slot) = caps.sites.get_mut(site.at()) {
                    *slot = cap;
                }
            }
        }
        caps
    }
}
