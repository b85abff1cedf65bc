//! The outer line: the common border of half-planes that no plan lies outside of.

/// `x`·X + `y`·Y ≥ `at_least` for every plan in question; the weights are not negative, and for the
/// terms in their own units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HalfPlane {
    /// Weight of the first term.
    pub x: f64,
    /// Weight of the second term.
    pub y: f64,
    /// The proven bound.
    pub at_least: f64,
}

impl HalfPlane {
    /// Least Y at X = `x`; `None` for a vertical border.
    fn height(&self, x: f64) -> Option<f64> {
        (self.y > 0.0).then(|| (self.at_least - self.x * x) / self.y)
    }

    /// Where the border of `next` rises above this one, which is the higher up to `from`, if it does.
    /// Rounding may put that a little left of `from`. Both are not vertical.
    fn crossing(&self, next: &Self, from: f64) -> Option<f64> {
        let (steep, flat) = (self.x / self.y, next.x / next.y);
        let (high, low) = (self.at_least / self.y, next.at_least / next.y);
        if flat >= steep {
            return None;
        }
        let at = (high - low) / (steep - flat);
        at.is_finite().then_some(at.max(from))
    }
}

/// Corners of the border from its left end to X = `right`, x ascending. Empty without a border that
/// is not vertical, or when the left end lies beyond `right`.
pub(super) fn corners(planes: &[HalfPlane], right: f64) -> Vec<[f64; 2]> {
    let left = planes.iter().filter(|p| p.y <= 0.0 && p.x > 0.0).map(|p| p.at_least / p.x);
    let Some(mut x) = left.reduce(f64::max).filter(|left| left.is_finite()).map(|left| left.min(right))
    else {
        return Vec::new();
    };
    let lines: Vec<&HalfPlane> = planes.iter().filter(|p| p.y > 0.0).collect();
    let slope = |p: &HalfPlane| p.x / p.y;
    // The highest at the left end; among equals the flattest, which is the highest just right of it.
    let highest = |x: f64| {
        lines.iter().copied().max_by(|a, b| {
            let height = |p: &HalfPlane| p.height(x).unwrap_or(f64::NEG_INFINITY);
            height(a).total_cmp(&height(b)).then(slope(b).total_cmp(&slope(a)))
        })
    };
    let Some(mut line) = highest(x) else { return Vec::new() };
    let mut list = Vec::new();
    loop {
        list.extend(line.height(x).map(|y| [x, y]));
        let next = lines
            .iter()
            .copied()
            .filter_map(|p| Some((line.crossing(p, x)?, p)))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(slope(a.1).total_cmp(&slope(b.1))));
        match next {
            Some((at, p)) if at < right => (x, line) = (at, p),
            _ => break,
        }
    }
    if right > x {
        list.extend(line.height(right).map(|y| [right, y]));
    }
    // Borders that meet in one point cross there several times over, but for rounding.
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    list.dedup_by(|b, a| near(a[0], b[0]) && near(a[1], b[1]));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(x: f64, y: f64, at_least: f64) -> HalfPlane {
        HalfPlane { x, y, at_least }
    }

    #[test]
    fn corners_are_where_borders_cross() {
        let planes = [
            plane(1.0, 0.0, 1.0),
            plane(0.0, 1.0, 2.0),
            plane(1.0, 1.0, 6.0),
            plane(4.0, 1.0, 12.0),
            // Below all others everywhere.
            plane(1.0, 1.0, 3.0),
        ];
        assert_eq!(corners(&planes, 10.0), [[1.0, 8.0], [2.0, 4.0], [4.0, 2.0], [10.0, 2.0]]);
        assert_eq!(corners(&planes, 3.0), [[1.0, 8.0], [2.0, 4.0], [3.0, 3.0]]);
        // Three borders through the left end, the steep one higher there by rounding.
        let close = [plane(1.0, 0.0, 1.0), plane(9.0, 1.0, 17.0 + 1e-14), plane(1.0, 1.0, 9.0)];
        assert_eq!(corners(&close, 3.0).last(), Some(&[3.0, 6.0]));
        assert_eq!(corners(&planes[1..], 3.0), Vec::<[f64; 2]>::new(), "no left end");
        assert_eq!(corners(&planes[..1], 3.0), Vec::<[f64; 2]>::new(), "no lower end");
    }

    /// No corner lies below a border, and each lies on one.
    #[test]
    fn corners_are_on_the_border_of_any_planes() {
        let mut state = 7_u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 16) / 65_536.0
        };
        for _ in 0..200 {
            let mut planes = vec![plane(1.0, 0.0, draw()), plane(0.0, 1.0, draw())];
            for _ in 0..12 {
                planes.push(plane(0.1 + draw(), 0.1 + draw(), 2.0 * draw()));
            }
            let list = corners(&planes, 5.0);
            assert!(list.len() >= 2);
            assert!(list.windows(2).all(|w| w[0][0] < w[1][0] && w[0][1] >= w[1][1] - 1e-9), "{list:?}");
            for [x, y] in list {
                let slack = planes.iter().map(|p| p.x * x + p.y * y - p.at_least);
                let least = slack.fold(f64::INFINITY, f64::min);
                assert!(least.abs() < 1e-9, "{least} at {x} {y}");
            }
        }
    }
}
