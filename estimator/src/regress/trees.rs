//! Regression trees as arrays, for serving and storage.
//!
//! Nodes lie in pre-order: the child for "at most the threshold" follows its parent, so a node
//! needs one index only, and a stored one none at all (five bytes a node).

use super::file::{Reader, Writer, bad};
use super::narrow;
use crate::EstimatorError;
use serde::Deserialize;

/// Marks a leaf where a node has its feature.
const LEAF: u8 = u8::MAX;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Node {
    /// Threshold, or the value of a leaf.
    value: f32,
    /// Node for larger features; 0 in a leaf.
    above: u32,
    /// Feature, or [`LEAF`].
    feature: u8,
}

/// One tree. Never empty.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// A node as smartcore serialises it; its fields are private there.
#[derive(Debug, Deserialize)]
pub(super) struct RawNode {
    output: f64,
    split_feature: usize,
    split_value: Option<f64>,
    true_child: Option<usize>,
    false_child: Option<usize>,
}

/// The largest `f32` that is at most `value`. For an `f32` feature x, `x <= value` holds exactly
/// when `x <= floor(value)`, so a tree fitted in double precision takes the same branches.
fn floor(value: f64) -> f32 {
    let near = narrow(value);
    if f64::from(near) > value { near.next_down() } else { near }
}

impl Tree {
    /// Lays out smartcore's nodes in pre-order.
    pub(super) fn lay_out(raw: &[RawNode]) -> Option<Self> {
        let mut nodes: Vec<Node> = Vec::with_capacity(raw.len());
        // Nodes still to be laid out, each with the laid-out node whose `above` it is.
        let mut open: Vec<(usize, Option<usize>)> = vec![(0, None)];
        while let Some((at, parent)) = open.pop() {
            let here = nodes.len();
            if here >= raw.len() {
                return None;
            }
            if let Some(parent) = parent {
                nodes.get_mut(parent)?.above = u32::try_from(here).ok()?;
            }
            let node = raw.get(at)?;
            match (node.true_child, node.false_child, node.split_value) {
                (Some(below), Some(above), Some(threshold)) => {
                    let feature = u8::try_from(node.split_feature).ok().filter(|&f| f != LEAF)?;
                    nodes.push(Node { value: floor(threshold), above: 0, feature });
                    open.push((above, Some(here)));
                    open.push((below, None));
                }
                _ => nodes.push(Node { value: narrow(node.output), above: 0, feature: LEAF }),
            }
        }
        let fine = nodes.iter().all(|n| n.value.is_finite());
        fine.then_some(Self { nodes })
    }

    /// Value of the leaf that `row` falls into. Indices only grow, so the walk ends.
    pub(super) fn at(&self, row: &[f32]) -> f32 {
        let mut at = 0;
        while let Some(node) = self.nodes.get(at) {
            if node.feature == LEAF {
                return node.value;
            }
            let feature = row.get(usize::from(node.feature)).copied().unwrap_or(0.0);
            at = if feature <= node.value { at + 1 } else { node.above as usize };
        }
        0.0
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn encode(&self, to: &mut Writer) {
        to.count32(self.nodes.len());
        for node in &self.nodes {
            to.u8(node.feature);
            to.f32(node.value);
        }
    }

    pub(super) fn decode(from: &mut Reader<'_>, features: usize) -> Result<Self, EstimatorError> {
        let count = from.count32()?;
        if count == 0 || count > from.left() / 5 {
            return Err(bad("a tree's count of nodes does not fit the file"));
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(count);
        // Splits whose second child is still to come.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..count {
            let feature = from.u8()?;
            let value = from.f32()?;
            if feature != LEAF && usize::from(feature) >= features {
                return Err(bad("a tree splits on a feature that there is not"));
            }
            if nodes.last().is_some_and(|n| n.feature == LEAF) {
                let parent = open.pop().and_then(|p| nodes.get_mut(p)).ok_or_else(|| bad(RAGGED))?;
                parent.above = u32::try_from(at).map_err(|_| bad(RAGGED))?;
            }
            if feature != LEAF {
                open.push(at);
            }
            nodes.push(Node { value, above: 0, feature });
        }
        if !open.is_empty() || nodes.last().is_none_or(|n| n.feature != LEAF) {
            return Err(bad(RAGGED));
        }
        Ok(Self { nodes })
    }
}

const RAGGED: &str = "the nodes of a tree do not form one tree";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_floored_threshold_takes_the_same_branch(x in any::<f32>(), t in -1e30f64..1e30) {
            prop_assume!(x.is_finite());
            prop_assert_eq!(f64::from(x) <= t, x <= floor(t));
        }
    }

    #[test]
    fn midpoints_of_neighbours_take_the_same_branch() {
        let a = 1.0f32;
        let b = a.next_up();
        let middle = f64::midpoint(f64::from(a), f64::from(b));
        assert!(a <= floor(middle) && b > floor(middle));
    }

    #[test]
    fn ragged_trees_are_refused() {
        let decode = |nodes: &[(u8, f32)]| {
            let mut file = Writer::new(9, "").unwrap();
            file.count32(nodes.len());
            for &(feature, value) in nodes {
                file.u8(feature);
                file.f32(value);
            }
            let bytes = file.seal();
            Tree::decode(&mut Reader::new(&bytes, 9, "").unwrap(), 2)
        };
        assert!(decode(&[(0, 1.0), (LEAF, 1.0), (LEAF, 2.0)]).is_ok());
        assert!(decode(&[(LEAF, 1.0)]).is_ok());
        for bad in [
            &[][..],
            &[(0, 1.0)],
            &[(0, 1.0), (LEAF, 1.0)],
            &[(LEAF, 1.0), (LEAF, 1.0)],
            &[(2, 1.0), (LEAF, 1.0), (LEAF, 2.0)],
            &[(0, 1.0), (1, 1.0), (LEAF, 1.0), (LEAF, 2.0)],
        ] {
            assert!(matches!(decode(bad), Err(EstimatorError::ModelFile(_))), "{bad:?}");
        }
    }
}
