//! Errors and rank correlation.

/// Errors of a set of predictions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// Pairs.
    pub n: usize,
    /// Median absolute percentage error.
    pub median_ape: f64,
    /// 90th percentile of it.
    pub p90_ape: f64,
    /// Median of predicted over measured: above 1 means too slow a prediction.
    pub median_ratio: f64,
    /// Spearman's rank correlation; `None` for fewer than four pairs.
    pub spearman: Option<f64>,
}

/// Errors over (predicted, measured) pairs; `None` without any.
#[must_use]
pub fn errors(pairs: &[(f64, f64)]) -> Option<Errors> {
    let ape: Vec<f64> = pairs.iter().map(|(p, m)| 100.0 * (p - m).abs() / m).collect();
    let ratio: Vec<f64> = pairs.iter().map(|(p, m)| p / m).collect();
    Some(Errors {
        n: pairs.len(),
        median_ape: quantile(&ape, 0.5)?,
        p90_ape: quantile(&ape, 0.9)?,
        median_ratio: quantile(&ratio, 0.5)?,
        spearman: spearman(pairs),
    })
}

/// Quantile with linear interpolation; `None` for an empty list.
pub(crate) fn quantile(list: &[f64], q: f64) -> Option<f64> {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[allow(clippy::cast_precision_loss)]
    let at = q.clamp(0.0, 1.0) * last as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let below = at.floor() as usize;
    let low = *sorted.get(below)?;
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    Some(low + (high - low) * (at - at.floor()))
}

/// Spearman's rank correlation, ties by their mean rank; `None` for fewer than four pairs or
/// constant values.
#[must_use]
pub fn spearman(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < 4 {
        return None;
    }
    let x = ranks(&pairs.iter().map(|p| p.0).collect::<Vec<_>>());
    let y = ranks(&pairs.iter().map(|p| p.1).collect::<Vec<_>>());
    #[allow(clippy::cast_precision_loss)]
    let mean = (pairs.len() as f64 + 1.0) / 2.0;
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(&y) {
        xy += (a - mean) * (b - mean);
        xx += (a - mean) * (a - mean);
        yy += (b - mean) * (b - mean);
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

fn ranks(list: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..list.len()).collect();
    order.sort_by(|a, b| list[*a].total_cmp(&list[*b]));
    let mut ranks = vec![0.0; list.len()];
    let mut k = 0;
    while k < order.len() {
        let mut end = k;
        while end + 1 < order.len() && list[order[end + 1]].total_cmp(&list[order[k]]).is_eq() {
            end += 1;
        }
        #[allow(clippy::cast_precision_loss)]
        let rank = (k + end) as f64 / 2.0 + 1.0;
        for place in &order[k..=end] {
            ranks[*place] = rank;
        }
        k = end + 1;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spearman_by_hand() {
        // Ranks 1 2 3 4 against 1 2 4 3: 1 − 6·2 / (4·15) = 0.8.
        let rho = spearman(&[(1.0, 10.0), (2.0, 20.0), (3.0, 40.0), (4.0, 30.0)]).unwrap();
        assert!((rho - 0.8).abs() < 1e-12);
        assert_eq!(spearman(&[(1.0, 1.0); 3]), None);
    }

    #[test]
    fn errors_by_hand() {
        let e = errors(&[(110.0, 100.0), (80.0, 100.0), (100.0, 100.0)]).unwrap();
        assert!((e.median_ape - 10.0).abs() < 1e-9 && (e.p90_ape - 18.0).abs() < 1e-9);
        assert!((e.median_ratio - 1.0).abs() < 1e-9);
    }
}
