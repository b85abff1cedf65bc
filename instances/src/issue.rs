//! What can be wrong with an input, said so that a person can mend it.
//!
//! Validation never stops at the first mistake: it collects every [`Issue`], each with a stable
//! [`Code`], a JSON pointer (RFC 6901) to the place, what is wrong, and what to do. The codes are
//! listed in `docs/src/errors.md`; a test keeps that page and [`Code::ALL`] equal.

use serde::Serialize;
use std::fmt;

/// Most issues collected from one document; the rest is counted, not kept.
pub const MAX_ISSUES: usize = 100;

macro_rules! codes {
    ($($variant:ident = $code:literal, $title:literal, $remedy:literal;)*) => {
        /// Stable identifier of a kind of mistake. Codes are never reused for another meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as printed, `E` and four digits.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// A short title, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

codes! {
    NotJson = "E1001", "not JSON", "Send one UTF-8 JSON document; NaN and Infinity are not JSON.";
    Shape = "E1002", "wrong shape", "Compare with the JSON Schema of the format (`ecomap schema`; of fleets and requests: `/openapi.json`).";
    Format = "E1003", "unsupported format", "Set `format` to one this version reads, e.g. `ecomap.scenario/v1`.";
    TooLarge = "E1004", "document too large", "Send a smaller document, or raise the limit where the service is run.";
    TooDeep = "E1005", "nested too deeply", "No format of Ecomap nests more than a dozen levels.";
    IllegalId = "E1101", "illegal identifier", "Use 1 to 64 letters, digits, `.`, `_`, `-`, `:` or `/`, starting with a letter or digit.";
    DuplicateId = "E1102", "duplicate identifier", "Give every zone, site, device and tenant a name of its own.";
    UnknownZone = "E1103", "unknown zone", "Name a zone listed under `zones`.";
    UnknownSite = "E1104", "unknown site", "Name a site listed under `sites`.";
    UnknownProfile = "E1105", "unknown hardware profile", "Name a profile of the catalogue (`ecomap catalog`).";
    UnknownMode = "E1106", "unknown power mode", "Name a mode of the device's hardware profile.";
    UnknownFamily = "E1107", "unknown model family", "Name a family of the catalogue (`ecomap catalog`).";
    UnknownTier = "E1108", "unknown quality tier", "Name a tier of the tenant's family.";
    UnknownTenant = "E1109", "unknown tenant", "Name a tenant listed under `tenants`.";
    UnknownDevice = "E1110", "unknown device", "Name a device listed under `devices`; a device with `count` n is expanded to `id-1` … `id-n`.";
    UnknownUnit = "E1111", "unknown compute unit", "Name a compute unit of the hardware profile.";
    OutOfRange = "E1112", "number out of range", "Use a finite number inside the range that the message states.";
    TooMany = "E1113", "too many items", "Split the problem, or raise the limit where the service is run.";
    Empty = "E1114", "empty list", "List at least one item.";
    Contradiction = "E1115", "contradictory rules", "Drop one of the two rules that the message names.";
    UnreachableFloor = "E1116", "accuracy floor out of reach", "Lower the floor to the best allowed tier, or allow a better tier.";
    UnknownObjective = "E1117", "unknown objective", "Use one of: ecomap, carbon, energy, latency, accuracy, value, cdp, weighted, lexicographic.";
    UnknownName = "E1118", "unknown name", "Use one of the names that the message or the documentation lists.";
    BadReference = "E1201", "dangling index", "Point to an item that the instance lists.";
    NoOption = "E1202", "tenant without options", "Relax what excludes them all (latency objective, accuracy floor, pinning; `ecomap estimate` shows it), or allow the tenant to be shed.";
    UnitOff = "E1203", "load on a unit that is off", "Load only units that the option's mode switches on.";
    BadNumber = "E1301", "unreadable number", "Check the file against the format's description in docs/src/formats.md.";
    Truncated = "E1302", "file ends too early", "Check that the file is complete.";
    Inconsistent = "E1303", "inconsistent file", "Check the counts that the file announces.";
    PlanMismatch = "E1401", "plan does not fit the instance", "Check the plan against the instance it was made for.";
    NotARelaxation = "E1402", "co-runners predicted to help", "Price the instance with isolated latencies by the predictor that judges plans jointly; its slowdown must be at least 1.";
    ModelUnreadable = "E1501", "not an ONNX model", "Check that the file is complete and was written by an ONNX exporter.";
    ModelTooLarge = "E1502", "model too large", "Use a smaller model, or keep weights as external data.";
    ModelVersion = "E1503", "unsupported ONNX version", "Convert the model to an operator set from 7 to 26.";
    ModelDuplicate = "E1504", "tensor defined twice", "Give every tensor one producer.";
    ModelMissing = "E1505", "tensor without producer", "Define it as input, initializer or output of an earlier node.";
    ModelCycle = "E1506", "cyclic graph", "Break the cycle that the message names.";
    ModelDimension = "E1507", "illegal or unknown dimension", "Give it a value with `--dim name=value` (or `--dim input.axis=value`), or export with a fixed shape.";
    ModelDynamic = "E1508", "shape depends on data", "Export the model with fixed shapes; only shapes that constants determine can be costed.";
    ModelOverflow = "E1509", "count out of range", "No real model is that large; check the shapes.";
    ModelOperator = "E1510", "operator used wrongly", "Compare the node with the ONNX operator's definition; `onnx.checker` may say more.";
    ModelUnknownOperator = "E1511", "unknown operator", "Use operators of the default ONNX domain, or cost the rest with `--allow-unknown`.";
    ModelSubgraph = "E1512", "sub-graph of unknown cost", "Unroll loops when exporting, or cost the rest with `--allow-unknown`.";
    ModelExternal = "E1513", "illegal external data", "Keep external data beside the model, named by a relative path without `..`.";
    ModelTensor = "E1514", "inconsistent tensor", "Check the tensor's shape, type and data length.";
    ModelNoOutput = "E1515", "no usable output", "A model needs an input, an output, and a path between them.";
    FamilyText = "E1516", "unreadable family description", "Compare with the example in docs/src/graphs.md.";
    FamilyPath = "E1517", "illegal model path", "Name ONNX files by a path relative to the description, inside its folder.";
    FamilyCount = "E1518", "published figure differs from the graph", "Check the figure, its unit and the model; a figure more than 5 % off is taken for a mistake.";
    CoreUnavailable = "E1601", "core not available", "Name cores that this process may run on (`taskset -p $$` shows them).";
    TooFewRuns = "E1602", "too few measured runs", "Measure longer windows, or more co-runs and repetitions.";
    RunRepository = "E1701", "model repository not usable", "Check the manifest, sizes and permissions; every path must stay inside the repository and pass no symbolic link.";
    RunModelMissing = "E1702", "model not in the repository", "Put the tier's model into the repository, or solve without this tier on the board.";
    RunModelHash = "E1703", "model file differs from its manifest", "Restore the file, or describe the new one with `ecomap-executor repository add`.";
    RunBlocks = "E1704", "blocks of the plan are not those of the model", "Price the plan with the blocks that the repository's manifest lists.";
    RunCut = "E1705", "model cannot be cut there", "Cut where one tensor crosses (`ecomap inspect` lists the places).";
    RunMemory = "E1706", "not enough memory for the new sessions", "Give smaller tiers, or stop what else uses the board's memory.";
    RunOperator = "E1707", "operator that the unit cannot run", "Place the segment on another unit.";
    RunProvider = "E1708", "execution provider missing", "Install an ONNX Runtime with this provider and its libraries, or place nothing on the unit.";
    RunFellBack = "E1709", "nodes would run elsewhere than on the unit", "Place the segment on another unit, or let it pass with `fallback = \"report\"`.";
    RunUnit = "E1710", "unit not available on this board", "Describe the unit in the executor's configuration, with cores that the process may run on.";
    RunBoard = "E1711", "plan for another board", "Check the device's profile and name in scenario and configuration.";
    RunFailed = "E1712", "runtime refuses the model", "Run the model with ONNX Runtime alone; the message is its own.";
    RunConfig = "E1713", "executor's configuration not usable", "Compare with the example in docs/src/executor.md.";
    RunTrace = "E1714", "unreadable arrival trace", "Write one arrival a line: milliseconds since the start, not falling.";
    AgentStale = "E1750", "stale plan", "Number plans upwards; the answer's `highest` says from where on.";
    AgentSignature = "E1751", "signature missing or wrong", "Sign with the key whose public half the agent was given.";
    AgentBoard = "E1752", "orders for another board", "Check the agent's device and profile in its configuration.";
    AgentConflict = "E1753", "version used for two plans", "Give every plan a version of its own.";
    AgentNotPrepared = "E1754", "plan not prepared", "Send the plan again, with a new version, before committing it.";
    AgentRunning = "E1755", "plan already runs", "A plan that runs is replaced by another, not aborted.";
    AgentMode = "E1756", "power mode not available", "Use a mode that the board's `nvpmodel.conf` lists.";
    AgentReboot = "E1757", "power mode needs a reboot", "Reboot the board into the mode by hand, or solve without it.";
    AgentStore = "E1758", "plan cannot be kept", "Free space in the agent's state folder.";
    AgentBusy = "E1759", "agent busy", "Try again; the agent works on one plan at a time.";
    AgentOrders = "E1760", "orders that cannot be carried out", "Compare with the JSON Schema (`ecomap schema orders`) and with docs/src/board.md.";
    AgentRefused = "E1761", "plan refused by the runtime", "Solve without the options that `refusals` names.";
    AgentRenewal = "E1762", "stale renewal", "Number renewals upwards.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One mistake at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// Stable code.
    pub code: Code,
    /// JSON pointer (RFC 6901) to the offending value; empty for the whole document. For text
    /// formats `/line/N`.
    pub pointer: String,
    /// What is wrong here.
    pub message: String,
    /// What to do.
    pub remedy: &'static str,
}

impl Issue {
    /// An issue with the code's own remedy.
    #[must_use]
    pub fn new(code: Code, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, pointer: pointer.into(), message: message.into(), remedy: code.remedy() }
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "document" } else { &self.pointer };
        write!(f, "{} {}: {} ({})", self.code, Printable(place), Printable(&self.message), self.remedy)
    }
}

/// Text from a document, with control characters escaped: an issue may be printed on a terminal.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { fmt::Write::write_char(f, c)? }
        }
        Ok(())
    }
}

/// Everything wrong with one document. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issues {
    list: Vec<Issue>,
    omitted: usize,
}

impl Issues {
    /// A single issue.
    #[must_use]
    pub fn one(issue: Issue) -> Self {
        Self { list: vec![issue], omitted: 0 }
    }

    /// `Ok` when `list` is empty, else its issues, of which the first [`MAX_ISSUES`] are kept. For
    /// readers of formats outside this crate.
    ///
    /// # Errors
    /// The issues.
    pub fn check(mut list: Vec<Issue>) -> Result<(), Self> {
        let omitted = list.len().saturating_sub(MAX_ISSUES);
        list.truncate(MAX_ISSUES);
        if list.is_empty() { Ok(()) } else { Err(Self { list, omitted }) }
    }

    /// The issues kept, in document order.
    #[must_use]
    pub fn list(&self) -> &[Issue] {
        &self.list
    }

    /// How many more there were beyond [`MAX_ISSUES`].
    #[must_use]
    pub const fn omitted(&self) -> usize {
        self.omitted
    }
}

impl fmt::Display for Issues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, issue) in self.list.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{issue}")?;
        }
        if self.omitted > 0 {
            write!(f, "\n… and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Issues {}

/// Gathers issues while a document is being read.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    list: Vec<Issue>,
    omitted: usize,
}

impl Collector {
    pub(crate) fn push(&mut self, code: Code, pointer: impl Into<String>, message: impl Into<String>) {
        if self.list.len() < MAX_ISSUES {
            self.list.push(Issue::new(code, pointer, message));
        } else {
            self.omitted += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Checks that `value` is finite and inside `[low, high]`; reports otherwise.
    pub(crate) fn range(&mut self, pointer: &str, value: f64, low: f64, high: f64) -> bool {
        let fine = value.is_finite() && value >= low && value <= high;
        if !fine {
            self.push(
                Code::OutOfRange,
                pointer,
                format!("{} is not a number from {low} to {high}", short(value)),
            );
        }
        fine
    }

    pub(crate) fn finish(self) -> Result<(), Issues> {
        if self.list.is_empty() { Ok(()) } else { Err(Issues { list: self.list, omitted: self.omitted }) }
    }
}

/// Escapes one reference token of a JSON pointer.
#[must_use]
pub fn pointer_token(text: &str) -> String {
    text.replace('~', "~0").replace('/', "~1")
}

/// A number as people write it: large and tiny ones by their exponent.
fn short(value: f64) -> String {
    let plain = value == 0.0 || !value.is_finite() || (1e-6..1e15).contains(&value.abs());
    if plain { value.to_string() } else { format!("{value:e}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_are_unique() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let issue = Issue::new(Code::Shape, "/a\u{7}", "unknown field `\u{1b}[2J`");
        let text = issue.to_string();
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.contains(r"\u{1b}[2J"), "{text}");
    }

    #[test]
    fn issues_beyond_the_limit_are_counted() {
        let mut bad = Collector::default();
        for n in 0..MAX_ISSUES + 7 {
            bad.push(Code::Empty, format!("/{n}"), "x");
        }
        let issues = bad.finish().err();
        assert_eq!(issues.map(|i| (i.list().len(), i.omitted())), Some((MAX_ISSUES, 7)));
    }
}
