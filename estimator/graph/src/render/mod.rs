//! A model as text: tables, Graphviz, SVG.

pub(crate) mod dot;
pub(crate) mod svg;
pub(crate) mod table;

use crate::cost::Class;
use ecomap_instances::family::OpKind;

/// Names from files, with what a terminal or a markup would take for its own left out.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

/// The beginning of `text`, if it is longer than `most` characters.
pub(crate) fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A count with a decimal prefix, three digits.
#[allow(clippy::cast_precision_loss)] // three digits are shown
pub(crate) fn scaled(count: u64, unit: &str) -> String {
    let (mut value, mut prefix) = (count as f64, "");
    for next in ["k", "M", "G", "T", "P"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        prefix = next;
    }
    let digits = if prefix.is_empty() || value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {prefix}{unit}")
}

/// Fill colour of a class.
pub(crate) const fn colour(class: Class) -> &'static str {
    match class {
        Class::Op(OpKind::Conv) => "#cfe2f3",
        Class::Op(OpKind::DepthwiseConv) => "#d0e0e3",
        Class::Op(OpKind::Gemm | OpKind::Attention) => "#d9d2e9",
        Class::Op(OpKind::Pool | OpKind::Resize) => "#d9ead3",
        Class::Op(OpKind::Norm | OpKind::Lrn | OpKind::Softmax) => "#fff2cc",
        Class::Op(OpKind::Concat | OpKind::Embedding) => "#fce5cd",
        Class::Op(_) => "#eeeeee",
        Class::View => "#ffffff",
        Class::Unknown => "#f4cccc",
    }
}
