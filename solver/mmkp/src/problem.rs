//! The options of all classes as structure of arrays.

use thiserror::Error;

/// Classes that stand side by side.
pub(crate) const LANES: usize = 16;
/// Most rows.
pub(crate) const MAX_ROWS: usize = 64;
/// Most options in all.
pub(crate) const MAX_OPTIONS: usize = 1 << 28;
/// Score of a lane's missing options: below any real one.
pub(crate) const NEVER: f32 = -1e30;
/// Largest magnitude of an input number.
const LARGEST: f64 = 1e15;

/// Why a problem cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// More than 64 rows, 2^28 classes or options, or none.
    #[error("{what}: {got}, allowed are 1 to {most}")]
    Size {
        /// What is too many.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// A number is not finite or beyond 1e15.
    #[error("class {class}, option {option}: a number is not finite or beyond 1e15")]
    Number {
        /// Class.
        class: usize,
        /// Option in the class.
        option: usize,
    },
    /// A row does not exist.
    #[error("class {class}, option {option}: there is no row {row}")]
    Row {
        /// Class.
        class: usize,
        /// Option in the class.
        option: usize,
        /// Row named.
        row: usize,
    },
}

/// Collects classes and options.
#[derive(Debug, Clone)]
pub struct Builder {
    capacity: Vec<f64>,
    /// Options before each class, and in all.
    first: Vec<usize>,
    value: Vec<f64>,
    weight: Vec<f64>,
    wrong: Option<ProblemError>,
}

impl Builder {
    /// A problem with these row capacities.
    #[must_use]
    pub fn new(capacity: Vec<f64>) -> Self {
        Self { capacity, first: vec![0], value: Vec::new(), weight: Vec::new(), wrong: None }
    }

    /// Begins the next class; options that follow are its.
    pub fn class(&mut self) {
        self.first.push(self.value.len());
    }

    /// One option of the present class: its value, and what it uses of rows.
    pub fn option(&mut self, value: f64, uses: &[(usize, f64)]) {
        let at = self.weight.len();
        self.value.push(value);
        self.weight.resize(at + self.capacity.len(), 0.0);
        let mut fine = value.abs() <= LARGEST;
        for (row, amount) in uses {
            fine &= amount.abs() <= LARGEST;
            match self.weight[at..].get_mut(*row) {
                Some(w) => *w += amount,
                None => {
                    let (class, option) = self.position();
                    self.wrong.get_or_insert(ProblemError::Row { class, option, row: *row });
                }
            }
        }
        if !fine {
            let (class, option) = self.position();
            self.wrong.get_or_insert(ProblemError::Number { class, option });
        }
        if let Some(last) = self.first.last_mut() {
            *last = self.value.len();
        }
    }

    fn position(&self) -> (usize, usize) {
        let class = self.first.len().saturating_sub(2);
        (class, self.value.len() - 1 - self.first[class])
    }

    /// Lays the options out.
    ///
    /// # Errors
    /// [`ProblemError`] for numbers out of range and sizes out of bounds; a class without options
    /// counts as a size.
    pub fn build(self) -> Result<Problem, ProblemError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        let rows = self.capacity.len();
        let classes = self.first.len() - 1;
        let size =
            |what, got, most| (got == 0 || got > most).then_some(ProblemError::Size { what, got, most });
        let sizes: Vec<u32> =
            self.first.windows(2).map(|w| u32::try_from(w[1] - w[0]).unwrap_or(u32::MAX)).collect();
        let least = sizes.iter().min().copied().unwrap_or(0);
        if let Some(wrong) = size("rows", rows, MAX_ROWS)
            .or_else(|| size("classes", classes, MAX_OPTIONS))
            .or_else(|| size("options", self.value.len(), MAX_OPTIONS))
            .or_else(|| {
                (least == 0).then_some(ProblemError::Size {
                    what: "options of a class",
                    got: 0,
                    most: MAX_OPTIONS,
                })
            })
        {
            return Err(wrong);
        }
        if self.capacity.iter().any(|c| c.is_nan() || c.abs() > LARGEST) {
            return Err(ProblemError::Number { class: 0, option: 0 });
        }
        Ok(Problem::lay_out(&self, &sizes))
    }
}

/// A multiple-choice multidimensional knapsack.
///
/// Values and weights are stored in single precision where that is exact for all of them, else
/// also in double precision: bounds and plans are always judged on the numbers that were given.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(crate) capacity: Vec<f64>,
    /// Options of each class.
    pub(crate) sizes: Vec<u32>,
    /// Place of each class: block × [`LANES`] + lane.
    pub(crate) slot: Vec<u32>,
    /// Class at each place; `u32::MAX` where there is none.
    pub(crate) class: Vec<u32>,
    /// First layer (one option of each lane) of every block, and the end.
    pub(crate) layer: Vec<usize>,
    /// Value, by layer and lane.
    pub(crate) value: Vec<[f32; LANES]>,
    /// Weight, by layer, row and lane.
    pub(crate) weight: Vec<[f32; LANES]>,
    /// The same in double precision, where single precision is not exact.
    pub(crate) fine: Option<Fine>,
    /// Rows in which all weights are whole and small enough for single precision to add them exactly.
    pub(crate) whole: Vec<bool>,
    /// Mean over classes of the distance between best and worst value: the scale of regrets.
    pub(crate) spread: f64,
    /// Mean of the weights of each row that are not 0; 1 where all are.
    pub(crate) scale: Vec<f64>,
}

/// Double-precision twins of the layers.
#[derive(Debug, Clone)]
pub(crate) struct Fine {
    pub(crate) value: Vec<[f64; LANES]>,
    pub(crate) weight: Vec<[f64; LANES]>,
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is the purpose")]
fn single(x: f64) -> f32 {
    x as f32
}

fn exact(x: f64) -> bool {
    f64::from(single(x)) == x
}

impl Problem {
    fn lay_out(from: &Builder, sizes: &[u32]) -> Self {
        let rows = from.capacity.len();
        let classes = sizes.len();
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by_key(|i| sizes[*i]); // stable: equal sizes stay in order
        let mut slot = vec![0; classes];
        let mut class = vec![u32::MAX; classes.next_multiple_of(LANES)];
        let mut layer = vec![0];
        for (at, i) in order.iter().enumerate() {
            slot[*i] = u32::try_from(at).unwrap_or(u32::MAX);
            class[at] = u32::try_from(*i).unwrap_or(u32::MAX);
        }
        for block in order.chunks(LANES) {
            let most = block.iter().map(|i| sizes[*i]).max().unwrap_or(0) as usize;
            layer.push(layer[layer.len() - 1] + most);
        }
        let layers = layer[layer.len() - 1];
        let fine = !from.value.iter().chain(&from.weight).all(|x| exact(*x));
        let mut this = Self {
            whole: whole(from),
            spread: spread(from),
            scale: scale(from),
            capacity: from.capacity.clone(),
            sizes: sizes.to_vec(),
            slot,
            class,
            value: vec![[NEVER; LANES]; layers],
            weight: vec![[0.0; LANES]; layers * rows],
            fine: fine.then(|| Fine {
                value: vec![[f64::from(NEVER); LANES]; layers],
                weight: vec![[0.0; LANES]; layers * rows],
            }),
            layer,
        };
        for (at, i) in order.iter().enumerate() {
            let (block, lane) = (at / LANES, at % LANES);
            for (j, option) in (from.first[*i]..from.first[i + 1]).enumerate() {
                let to = this.layer[block] + j;
                let weights = &from.weight[option * rows..(option + 1) * rows];
                this.value[to][lane] = single(from.value[option]);
                for (k, w) in weights.iter().enumerate() {
                    this.weight[to * rows + k][lane] = single(*w);
                }
                if let Some(fine) = &mut this.fine {
                    fine.value[to][lane] = from.value[option];
                    for (k, w) in weights.iter().enumerate() {
                        fine.weight[to * rows + k][lane] = *w;
                    }
                }
            }
        }
        this
    }

    /// Classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.sizes.len()
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.capacity.len()
    }

    /// Options of `class`.
    #[must_use]
    pub fn options(&self, class: usize) -> usize {
        self.sizes.get(class).map_or(0, |n| *n as usize)
    }

    /// Capacity of every row.
    #[must_use]
    pub fn capacity(&self) -> &[f64] {
        &self.capacity
    }

    /// Replaces the capacities; everything else stays.
    ///
    /// # Errors
    /// [`ProblemError::Size`] for another number of rows, [`ProblemError::Number`] for a capacity
    /// that is not finite.
    pub fn set_capacity(&mut self, capacity: &[f64]) -> Result<(), ProblemError> {
        if capacity.len() != self.rows() {
            return Err(ProblemError::Size { what: "rows", got: capacity.len(), most: self.rows() });
        }
        if capacity.iter().any(|c| c.is_nan() || c.abs() > LARGEST) {
            return Err(ProblemError::Number { class: 0, option: 0 });
        }
        self.capacity.copy_from_slice(capacity);
        Ok(())
    }

    /// Layer and lane of an option.
    fn place(&self, class: usize, option: usize) -> (usize, usize) {
        let slot = self.slot[class] as usize;
        (self.layer[slot / LANES] + option, slot % LANES)
    }

    /// Value of an option.
    #[must_use]
    pub fn value(&self, class: usize, option: usize) -> f64 {
        let (layer, lane) = self.place(class, option);
        self.fine.as_ref().map_or_else(|| f64::from(self.value[layer][lane]), |fine| fine.value[layer][lane])
    }

    /// What an option uses of `row`.
    #[must_use]
    pub fn weight(&self, class: usize, option: usize, row: usize) -> f64 {
        let (layer, lane) = self.place(class, option);
        let at = layer * self.rows() + row;
        self.fine.as_ref().map_or_else(|| f64::from(self.weight[at][lane]), |fine| fine.weight[at][lane])
    }

    /// What a plan (one option of each class) is worth, and what it uses of every row.
    #[must_use]
    pub fn judge(&self, choice: &[u32]) -> (f64, Vec<f64>) {
        let mut used = vec![0.0; self.rows()];
        let mut value = 0.0;
        for (class, option) in choice.iter().enumerate() {
            value += self.value(class, *option as usize);
            for (k, sum) in used.iter_mut().enumerate() {
                *sum += self.weight(class, *option as usize, k);
            }
        }
        (value, used)
    }

    /// Room that is left, as whole rows see it: a fraction of a unit is none.
    pub(crate) fn room(&self, row: usize, used: f64) -> f64 {
        let capacity = self.capacity[row];
        if self.whole[row] { (capacity + tolerance(capacity)).floor() - used } else { capacity - used }
    }

    /// Whether `used` fits the capacities, within 1e-9 of each.
    #[must_use]
    pub fn fits(&self, used: &[f64]) -> bool {
        used.iter().zip(&self.capacity).all(|(u, c)| *u <= c + tolerance(*c))
    }
}

/// How far a row may be exceeded by rounding: the checker's tolerance is wider.
pub(crate) fn tolerance(capacity: f64) -> f64 {
    1e-9 * capacity.abs().max(1.0)
}

fn whole(from: &Builder) -> Vec<bool> {
    let rows = from.capacity.len();
    let small = |x: f64| x.fract() == 0.0 && x.abs() < f64::from(1 << 22);
    (0..rows).map(|k| from.weight.iter().skip(k).step_by(rows).all(|w| small(*w))).collect()
}

fn spread(from: &Builder) -> f64 {
    let classes = from.first.len() - 1;
    let sum: f64 = from
        .first
        .windows(2)
        .map(|w| {
            let values = &from.value[w[0]..w[1]];
            let most = values.iter().fold(f64::NEG_INFINITY, |a, b| a.max(*b));
            most - values.iter().fold(f64::INFINITY, |a, b| a.min(*b))
        })
        .sum();
    #[allow(clippy::cast_precision_loss)] // at most 2^28 classes
    let mean = sum / classes as f64;
    if mean > 0.0 { mean } else { 1.0 }
}

fn scale(from: &Builder) -> Vec<f64> {
    let rows = from.capacity.len();
    (0..rows)
        .map(|k| {
            let used = from.weight.iter().skip(k).step_by(rows).filter(|w| **w != 0.0);
            let (count, sum) = used.fold((0.0, 0.0), |(n, sum), w| (n + 1.0, sum + w.abs()));
            if count > 0.0 { sum / count } else { 1.0 }
        })
        .collect()
}
