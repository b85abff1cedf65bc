//! Operators that slide a window: convolutions and pools.

use super::{Call, Inferred, one};
use crate::fact::Fact;
use crate::fault::Fault;
use crate::shape::{DType, Shape};

/// The window of a convolution or pool, one number for each spatial axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) kernel: Vec<u64>,
    pub(crate) strides: Vec<u64>,
    pub(crate) dilations: Vec<u64>,
    /// Before and after.
    pub(crate) pads: Vec<(u64, u64)>,
}

pub(super) fn infer(call: &Call<'_>) -> Inferred {
    match call.op {
        "Conv" => conv(call, 0, 1, None),
        "ConvInteger" => conv(call, 0, 1, Some(DType::Int32)),
        "QLinearConv" => conv(call, 0, 3, None),
        "ConvTranspose" => transpose(call),
        "MaxPool" | "AveragePool" | "LpPool" => pool(call),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            let x = call.input(0)?;
            spatial_rank(&x.shape)?;
            let dims = x.shape.dims().iter().enumerate().map(|(i, d)| if i < 2 { *d } else { 1 });
            one(Fact::of(dims.collect(), x.dtype)?)
        }
        _ => Ok(None),
    }
}

fn spatial_rank(shape: &Shape) -> Result<usize, Fault> {
    shape
        .rank()
        .checked_sub(2)
        .filter(|n| *n > 0)
        .ok_or_else(|| Fault::operator(format!("an input of shape {shape} has no spatial axes")))
}

/// The kernel's extent with its holes.
fn extent(kernel: u64, dilation: u64) -> Result<u64, Fault> {
    kernel
        .checked_sub(1)
        .and_then(|k| k.checked_mul(dilation))
        .and_then(|k| k.checked_add(1))
        .ok_or_else(|| Fault::operator("an empty or huge kernel"))
}

impl Window {
    /// The window that the attributes describe over `shape`.
    pub(crate) fn of(call: &Call<'_>, shape: &Shape, kernel: Vec<u64>) -> Result<Self, Fault> {
        let n = spatial_rank(shape)?;
        if kernel.len() != n {
            return Err(Fault::operator(format!("a kernel of {} axes over {shape}", kernel.len())));
        }
        let strides = call.attrs.spatial("strides", n, 1)?;
        let dilations = call.attrs.spatial("dilations", n, 1)?;
        let mut pads = Vec::with_capacity(n);
        let given = call.attrs.ints("pads").filter(|p| !p.is_empty());
        if given.is_some_and(|p| p.len() != 2 * n) {
            return Err(Fault::operator("`pads` needs two numbers an axis"));
        }
        let auto = call.attrs.text("auto_pad");
        let zipped = kernel.iter().zip(&strides).zip(&dilations).enumerate();
        for (i, ((&k, &s), &d)) in zipped {
            let extent = extent(k, d)?;
            pads.push(match auto {
                "SAME_UPPER" | "SAME_LOWER" => {
                    let size = shape.dim(i + 2);
                    let wanted = size.div_ceil(s).saturating_sub(1).saturating_mul(s).saturating_add(extent);
                    let total = wanted.saturating_sub(size);
                    let less = total / 2;
                    if auto == "SAME_UPPER" { (less, total - less) } else { (total - less, less) }
                }
                "VALID" => (0, 0),
                _ => {
                    let at =
                        |j: usize| given.and_then(|p| p.get(j)).map_or(Some(0), |p| u64::try_from(*p).ok());
                    match (at(i), at(i + n)) {
                        (Some(a), Some(b)) => (a, b),
                        _ => return Err(Fault::operator("negative padding")),
                    }
                }
            });
        }
        Ok(Self { kernel, strides, dilations, pads })
    }

    /// Output sizes over `shape`; `up` rounds a last partial window in.
    fn slide(&self, shape: &Shape, up: bool) -> Result<Vec<u64>, Fault> {
        let axes = self.kernel.iter().zip(&self.strides).zip(&self.dilations).zip(&self.pads).enumerate();
        axes.map(|(i, (((&k, &s), &d), &(before, after)))| {
            let size = shape.dim(i + 2);
            let padded = size.checked_add(before).and_then(|n| n.checked_add(after));
            let free = padded.zip(extent(k, d).ok()).and_then(|(n, e)| n.checked_sub(e));
            let Some(free) = free else {
                return Err(Fault::operator(format!(
                    "a window of {k} does not fit into {size} with padding"
                )));
            };
            let mut n = (if up { free.div_ceil(s) } else { free / s }).saturating_add(1);
            // A window that would start in the padding behind the data is left out.
            if up && (n - 1).saturating_mul(s) >= size.saturating_add(before) {
                n -= 1;
            }
            Ok(n)
        })
        .collect()
    }
}

/// Shape of the weights: (outputs, inputs of a group, kernel).
fn weights<'a>(call: &'a Call<'_>, n: usize) -> Result<(&'a Shape, Vec<u64>), Fault> {
    let w = &call.input(n)?.shape;
    let kernel = w.dims().get(2..).unwrap_or_default().to_vec();
    Ok((w, kernel))
}

pub(crate) fn groups(call: &Call<'_>) -> Result<u64, Fault> {
    u64::try_from(call.attrs.int_or("group", 1))
        .ok()
        .filter(|g| *g > 0)
        .ok_or_else(|| Fault::operator("`group` must be positive"))
}

fn conv(call: &Call<'_>, x: usize, w: usize, dtype: Option<DType>) -> Inferred {
    let x = call.input(x)?;
    let (w, kernel) = weights(call, w)?;
    let group = groups(call)?;
    let channels = x.shape.dim(1);
    if w.dim(1).checked_mul(group) != Some(channels) || w.dim(0) % group != 0 {
        return Err(Fault::operator(format!(
            "weights {w} in {group} groups do not fit an input of shape {}",
            x.shape
        )));
    }
    let window = Window::of(call, &x.shape, kernel)?;
    let mut dims = vec![x.shape.dim(0), w.dim(0)];
    dims.extend(window.slide(&x.shape, false)?);
    one(Fact::of(dims, dtype.unwrap_or(x.dtype))?)
}

fn transpose(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let (w, kernel) = weights(call, 1)?;
    let group = groups(call)?;
    if w.dim(0) != x.shape.dim(1) || w.dim(0) % group != 0 {
        return Err(Fault::operator(format!("weights {w} do not fit an input of shape {}", x.shape)));
    }
    let window = Window::of(call, &x.shape, kernel)?;
    let n = window.kernel.len();
    let extra = call.attrs.ints("output_padding").unwrap_or_default();
    let given = call.attrs.ints("output_shape").filter(|s| s.len() == n);
    let same = call.attrs.text("auto_pad").starts_with("SAME");
    let outputs = w.dim(1).checked_mul(group).ok_or_else(|| Fault::overflow("channels"))?;
    let mut dims = vec![x.shape.dim(0), outputs];
    let axes = window.kernel.iter().zip(&window.strides).zip(&window.dilations).zip(&window.pads);
    for (i, (((&k, &s), &d), &(before, after))) in axes.enumerate() {
        let size = x.shape.dim(i + 2);
        let fixed = given.and_then(|g| g.get(i)).and_then(|g| u64::try_from(*g).ok());
        let more = extra.get(i).map_or(Some(0), |e| u64::try_from(*e).ok());
        let spread = size.checked_sub(1).and_then(|m| m.checked_mul(s));
        let full = if same {
            size.checked_mul(s)
        } else {
            spread
                .zip(extent(k, d).ok())
                .and_then(|(a, b)| a.checked_add(b))
                .zip(more)
                .and_then(|(a, b)| a.checked_add(b))
                .and_then(|a| a.checked_sub(before.checked_add(after)?))
        };
        dims.push(fixed.or(full).ok_or_else(|| Fault::operator("padding exceeds the result"))?);
    }
    one(Fact::of(dims, x.dtype)?)
}

fn pool(call: &Call<'_>) -> Inferred {
    let x = call.input(0)?;
    let n = spatial_rank(&x.shape)?;
    if call.attrs.get("kernel_shape").is_none() {
        return Err(Fault::operator("`kernel_shape` is missing"));
    }
    let kernel = call.attrs.spatial("kernel_shape", n, 1)?;
    let window = Window::of(call, &x.shape, kernel)?;
    let mut dims = vec![x.shape.dim(0), x.shape.dim(1)];
    dims.extend(window.slide(&x.shape, call.attrs.int_or("ceil_mode", 0) != 0)?);
    let y = Fact::of(dims, x.dtype)?;
    let places = Fact::new(y.shape.clone(), DType::Int64);
    Ok(Some([y, places].into_iter().take(call.outputs.max(1)).collect()))
}
