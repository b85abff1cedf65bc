//! The fallback: random forests on pooled features, for machines without ONNX Runtime.

use super::Factors;
use super::artifact;
use crate::error::EstimatorError;
use crate::features::{Encoded, VERSION, pooled};
use crate::regress::{Forest, ForestParams, Matrix, MultiOutput, Regressor};
use ecomap_instances::Seed;

/// Regressors of one kind for slowdowns (three outputs) and power (one).
#[derive(Debug)]
pub struct Pooled<R> {
    tenants: MultiOutput<R>,
    device: MultiOutput<R>,
}

/// The forests that ship.
pub type Forests = Pooled<Forest>;

/// One plan with what it is to learn.
#[derive(Debug, Clone)]
pub struct Lesson<'a> {
    /// Features.
    pub plan: &'a Encoded,
    /// Per tenant: slowdown at p50, p95, p99, at least 1 and ordered; `None`: not measured.
    pub slowdown: Vec<Option<[f64; 3]>>,
    /// Mean draw, W.
    pub power_w: f64,
}

/// Targets of a tenant: the logarithm of the median's excess and of the steps above it.
fn targets(s: [f64; 3]) -> [f64; 3] {
    const FLOOR: f64 = 1e-3;
    [(s[0] - 1.0 + FLOOR).ln(), (s[1] - s[0] + FLOOR).ln(), (s[2] - s[1] + FLOOR).ln()]
}

fn factors(t: [f64; 3]) -> [f64; 3] {
    let step = |x: f64| x.clamp(-12.0, 8.0).exp();
    let p50 = 1.0 + step(t[0]);
    let p95 = p50 + step(t[1]);
    [p50, p95, p95 + step(t[2])]
}

fn tag(part: &str) -> String {
    format!("features/v{VERSION}/{part}")
}

impl<R: Regressor> Pooled<R> {
    /// Fits both parts. Rows beyond `rows` tenants or plans are left out.
    ///
    /// # Errors
    /// As the regressor.
    pub fn fit(
        lessons: &[Lesson<'_>],
        params: &R::Params,
        rows: usize,
        seed: Seed,
    ) -> Result<Self, EstimatorError> {
        let mut x = Vec::new();
        let mut y = vec![Vec::new(); 3];
        'all: for lesson in lessons {
            for (n, s) in lesson.slowdown.iter().enumerate() {
                let (Some(s), Some(row)) = (s, pooled::tenant(lesson.plan, n)) else { continue };
                if y[0].len() == rows {
                    break 'all;
                }
                x.extend(row);
                for (column, value) in y.iter_mut().zip(targets(*s)) {
                    column.push(value);
                }
            }
        }
        let x = Matrix::from_f64(y[0].len(), pooled::TENANT_ROW, &x)?;
        let tenants = MultiOutput::fit(&x, &y, params, seed)?;
        let some = &lessons[..lessons.len().min(rows)];
        let x: Vec<f64> = some.iter().flat_map(|l| pooled::device(l.plan)).collect();
        let x = Matrix::from_f64(some.len(), pooled::DEVICE_ROW, &x)?;
        let y = some.iter().map(|l| (l.power_w - l.plan.idle_w).max(1e-3).ln()).collect();
        let device = MultiOutput::fit(&x, &[y], params, seed)?;
        Ok(Self { tenants, device })
    }

    /// Factors of each plan, in order.
    ///
    /// # Errors
    /// [`EstimatorError::Features`] for features that are not finite.
    pub fn run(&self, plans: &[Encoded]) -> Result<Vec<Factors>, EstimatorError> {
        if plans.is_empty() {
            return Ok(Vec::new());
        }
        let x: Vec<f64> = plans.iter().flat_map(pooled::device).collect();
        let power = self.device.predict(&Matrix::from_f64(plans.len(), pooled::DEVICE_ROW, &x)?)?;
        let power = power.first().map(Vec::as_slice).unwrap_or_default();
        let mut x = Vec::new();
        let mut count = 0;
        for plan in plans {
            for n in 0..plan.tenants.len() {
                x.extend(pooled::tenant(plan, n).unwrap_or_default());
                count += 1;
            }
        }
        let columns = if count == 0 {
            vec![Vec::new(); 3]
        } else {
            self.tenants.predict(&Matrix::from_f64(count, pooled::TENANT_ROW, &x)?)?
        };
        let mut row = 0;
        let mut answers = Vec::with_capacity(plans.len());
        for (plan, dynamic) in plans.iter().zip(power) {
            let mut slowdown = Vec::with_capacity(plan.tenants.len());
            for _ in &plan.tenants {
                let at = |c: usize| columns.get(c).and_then(|v| v.get(row)).copied().unwrap_or(f64::NAN);
                slowdown.push(factors([at(0), at(1), at(2)]));
                row += 1;
            }
            let dynamic = if plan.tenants.is_empty() { 0.0 } else { dynamic.clamp(-12.0, 8.0).exp() };
            let answer = Factors { slowdown, power_w: plan.idle_w + dynamic };
            answer.check(plan.tenants.len(), plan.idle_w).map_err(EstimatorError::Prediction)?;
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Both parts as one file: the length of the first (8 bytes, little end first), then each.
    ///
    /// # Errors
    /// As [`MultiOutput::to_bytes`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, EstimatorError> {
        let tenants = self.tenants.to_bytes(&tag("tenants"))?;
        let device = self.device.to_bytes(&tag("device"))?;
        let mut all = (tenants.len() as u64).to_le_bytes().to_vec();
        all.extend(tenants);
        all.extend(device);
        Ok(all)
    }

    /// Reads what [`Pooled::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`EstimatorError::ModelFile`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EstimatorError> {
        let torn = || EstimatorError::ModelFile("shorter than its first length says".to_owned());
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(torn)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| torn())?;
        let (tenants, device) = rest.split_at_checked(length).ok_or_else(torn)?;
        Ok(Self {
            tenants: MultiOutput::from_bytes(tenants, &tag("tenants"))?,
            device: MultiOutput::from_bytes(device, &tag("device"))?,
        })
    }
}

impl Forests {
    /// The forests that ship with the crate.
    ///
    /// # Errors
    /// [`EstimatorError::ModelFile`] if the embedded file is broken, which a test rules out.
    pub fn embedded() -> Result<Self, EstimatorError> {
        Self::from_bytes(artifact::forest())
    }

    /// Parameters of the shipped forests: the file stays below 2 MB.
    #[must_use]
    pub fn shipped_params() -> ForestParams {
        ForestParams::default()
    }
}
