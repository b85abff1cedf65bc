//! Objectives by name (docs: formulation, equations 12–18).

use crate::issue::Code;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A measurable part of an objective; every part is "less is better".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Emission rate of all sites, gCO2e/h.
    Carbon,
    /// Power of all sites, W.
    Energy,
    /// Rate-weighted mean latency of the served tenants at p50, ms.
    Latency,
    /// Priority-weighted accuracy points lost against each tenant's best tier.
    Accuracy,
    /// The file's own value (MMKP profit, GAP cost); "less is better" after its sense is applied.
    Value,
}

impl Term {
    /// Every term.
    pub const ALL: [Self; 5] = [Self::Carbon, Self::Energy, Self::Latency, Self::Accuracy, Self::Value];

    /// Lower-case name, as on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Carbon => "carbon",
            Self::Energy => "energy",
            Self::Latency => "latency",
            Self::Accuracy => "accuracy",
            Self::Value => "value",
        }
    }

    /// Unit of the term.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Carbon => "gCO2e/h",
            Self::Energy => "W",
            Self::Latency => "ms",
            Self::Accuracy => "points",
            Self::Value => "1",
        }
    }

    /// The term named `name`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == name)
    }
}

/// Weights of the default objective (equation 12), in accuracy points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EcomapWeights {
    /// Points that using up the whole SLO costs a tenant of priority 1.
    pub latency: f64,
    /// Points per gCO2e/h.
    pub carbon: f64,
}

impl Default for EcomapWeights {
    /// One point for a latency equal to the SLO; one point for 10 gCO2e/h.
    fn default() -> Self {
        Self { latency: 1.0, carbon: 0.1 }
    }
}

/// What to minimise.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Objective {
    /// Σ priority·(points lost + w_l·latency/SLO) + w_c·gCO2e/h (equation 12).
    Ecomap(EcomapWeights),
    /// One term alone.
    Single(Term),
    /// A weighted sum of terms.
    Weighted(Vec<(Term, f64)>),
    /// Terms in order of importance; each level is solved to optimality within the levels above.
    Lexicographic(Vec<Term>),
    /// Carbon-delay product: gCO2e/h × rate-weighted ms (equation 17a).
    Cdp,
}

impl Default for Objective {
    fn default() -> Self {
        Self::Ecomap(EcomapWeights::default())
    }
}

impl Objective {
    /// The name as on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ecomap(_) => "ecomap",
            Self::Single(term) => term.as_str(),
            Self::Weighted(_) => "weighted",
            Self::Lexicographic(_) => "lexicographic",
            Self::Cdp => "cdp",
        }
    }

    /// Unit of the scalar that is minimised (of the first level, when lexicographic).
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Ecomap(_) => "points",
            Self::Single(term) => term.unit(),
            Self::Weighted(_) => "weighted",
            Self::Lexicographic(terms) => terms.first().map_or("1", |t| t.unit()),
            Self::Cdp => "gCO2e/h·ms",
        }
    }

    /// Reads the short form used on the command line: a name, `weighted:carbon=1,latency=0.5` or
    /// `lexicographic:accuracy,carbon`.
    ///
    /// # Errors
    /// [`Code::UnknownObjective`] or [`Code::OutOfRange`] with the reason.
    pub fn parse(text: &str) -> Result<Self, (Code, String)> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        match name {
            "ecomap" if rest.is_empty() => Ok(Self::default()),
            "ecomap" => {
                let mut weights = EcomapWeights::default();
                for (key, value) in pairs(rest)? {
                    match key {
                        "latency" => weights.latency = value,
                        "carbon" => weights.carbon = value,
                        _ => return Err((Code::UnknownObjective, format!("ecomap has no weight `{key}`"))),
                    }
                }
                Ok(Self::Ecomap(weights))
            }
            "weighted" => {
                let mut list = Vec::new();
                for (key, value) in pairs(rest)? {
                    let term = Term::parse(key).ok_or_else(|| unknown(key))?;
                    if list.iter().any(|(t, _)| *t == term) {
                        return Err((Code::DuplicateId, format!("`{key}` is named twice")));
                    }
                    list.push((term, value));
                }
                if list.is_empty() {
                    return Err((Code::Empty, "weighted needs at least one term".to_owned()));
                }
                Ok(Self::Weighted(list))
            }
            "lexicographic" => {
                let terms: Vec<Term> = rest
                    .split(',')
                    .filter(|t| !t.is_empty())
                    .map(|t| Term::parse(t).ok_or_else(|| unknown(t)))
                    .collect::<Result<_, _>>()?;
                if terms.is_empty() {
                    return Err((Code::Empty, "lexicographic needs at least one term".to_owned()));
                }
                if (1..terms.len()).any(|k| terms[..k].contains(&terms[k])) {
                    return Err((Code::DuplicateId, "a term is named twice".to_owned()));
                }
                Ok(Self::Lexicographic(terms))
            }
            "cdp" if rest.is_empty() => Ok(Self::Cdp),
            other if rest.is_empty() => Term::parse(other).map(Self::Single).ok_or_else(|| unknown(other)),
            other => Err(unknown(other)),
        }
    }
}

fn unknown(name: &str) -> (Code, String) {
    (Code::UnknownObjective, format!("`{name}` is not an objective of this version"))
}

fn pairs(text: &str) -> Result<Vec<(&str, f64)>, (Code, String)> {
    text.split(',')
        .filter(|p| !p.is_empty())
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| (Code::OutOfRange, format!("`{pair}` is not NAME=WEIGHT")))?;
            let value: f64 =
                value.parse().map_err(|_| (Code::OutOfRange, format!("`{value}` is not a number")))?;
            if value.is_finite() && (0.0..=1e9).contains(&value) {
                Ok((key, value))
            } else {
                Err((Code::OutOfRange, format!("weight {value} is not from 0 to 1e9")))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        assert_eq!(Objective::parse("carbon"), Ok(Objective::Single(Term::Carbon)));
        assert_eq!(
            Objective::parse("weighted:carbon=2,latency=0.5"),
            Ok(Objective::Weighted(vec![(Term::Carbon, 2.0), (Term::Latency, 0.5)]))
        );
        assert_eq!(
            Objective::parse("lexicographic:accuracy,carbon"),
            Ok(Objective::Lexicographic(vec![Term::Accuracy, Term::Carbon]))
        );
        assert_eq!(Objective::parse("cdp"), Ok(Objective::Cdp));
        for bad in
            ["cdp:carbon=1", "", "weighted", "weighted:carbon=-1", "weighted:carbon=nan", "lexicographic:x"]
        {
            assert!(Objective::parse(bad).is_err(), "{bad}");
        }
    }
}
