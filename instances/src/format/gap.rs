//! Published generalized assignment files (GAP) of the OR-Library, one problem a file.
//!
//! `agents jobs`, then the costs by agent, the weights by agent, and the agents' capacities,
//! blank-separated; the two layouts in circulation (a line for each agent, or wrapped lines) differ
//! only in their line breaks. Minimised. A job becomes a tenant `job-1` …, an agent an option of
//! every job and a capacity row `agent-1` ….

use super::text::{self, Tokens};
use crate::instance::{Choice, Instance, Limits, MAX_MAGNITUDE, Sense};
use crate::issue::{Code, Issues};

/// Reads a GAP file.
///
/// # Errors
/// The first mistake, at `/line/N`.
pub fn read(bytes: &[u8], name: &str) -> Result<Instance, Issues> {
    let limits = Limits::default();
    let mut tokens = Tokens::new(bytes);
    let agents = tokens.read_count("the number of agents", limits.rows)?;
    let jobs = tokens.read_count("the number of jobs", limits.tenants)?;
    let pairs = agents.checked_mul(jobs).filter(|n| *n <= limits.options);
    let Some(pairs) = pairs else {
        let message = format!("{agents} agents times {jobs} jobs, at most {} options", limits.options);
        return Err(tokens.issue_here(Code::TooMany, message));
    };
    tokens.expect_room(numbers(agents, jobs), "the costs, weights and capacities announced")?;
    let mut costs = Vec::with_capacity(pairs);
    for _ in 0..pairs {
        costs.push(tokens.read_number("a cost", -MAX_MAGNITUDE, MAX_MAGNITUDE)?);
    }
    let mut options: Vec<Vec<Choice>> = (0..jobs).map(|_| Vec::with_capacity(agents)).collect();
    for (agent, row) in costs.chunks(jobs).enumerate() {
        for (cost, job) in row.iter().zip(&mut options) {
            let uses = text::use_of(&mut tokens, agent)?.into_iter().collect();
            job.push(Choice { value: *cost, host: None, uses });
        }
    }
    let capacities = text::capacities(&mut tokens, agents, "agent")?;
    tokens.expect_end()?;
    let tenants = options
        .into_iter()
        .enumerate()
        .map(|(job, list)| text::class(format!("job-{}", job + 1), list))
        .collect();
    text::instance(name, Sense::Minimize, capacities, tenants)
}

/// Numbers after the head: two matrices and the capacities.
pub(super) fn numbers(agents: usize, jobs: usize) -> Option<usize> {
    agents.checked_mul(jobs)?.checked_mul(2)?.checked_add(agents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CapacityIx;

    #[test]
    fn agents_become_options_and_rows() {
        // Two agents, three jobs, lines wrapped anywhere.
        let text = b" 2 3\n 1 2 3 4\n 5 6\n 7 8 9\n 10 11 0\n 20\n 30\n";
        let instance = read(text, "x").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(instance.sense, Sense::Minimize);
        assert_eq!(instance.capacities.iter().map(|c| c.capacity).collect::<Vec<_>>(), [20.0, 30.0]);
        assert_eq!(instance.tenants.len(), 3);
        let second = &instance.tenants[1];
        assert_eq!(second.id.as_str(), "job-2");
        assert_eq!(second.options.iter().map(|o| o.value).collect::<Vec<_>>(), [2.0, 5.0]);
        assert_eq!(second.options[1].uses, [(CapacityIx::new(1), 11.0)]);
        assert!(instance.tenants[2].options[1].uses.is_empty());
    }

    #[test]
    fn mistakes_are_coded_with_their_line() {
        let cases = [
            ("10000 100000", Code::TooMany, "/line/1"),
            ("1000000000 1000000000", Code::TooMany, "/line/1"),
            ("1000 1000 1", Code::Truncated, "/line/1"),
            ("1 1\n100\n1", Code::Truncated, "/line/3"),
            ("1 1\n1\n1\n1\n1", Code::Inconsistent, "/line/5"),
            ("1 1\n1\n-1\n1", Code::OutOfRange, "/line/3"),
            ("1 1\ninf\n1\n1", Code::BadNumber, "/line/2"),
            ("1.0 1\n1\n1\n1", Code::BadNumber, "/line/1"),
        ];
        for (text, code, pointer) in cases {
            let issues = read(text.as_bytes(), "x").err().unwrap_or_else(|| panic!("`{text}` was read"));
            let found: Vec<_> = issues.list().iter().map(|i| (i.code, i.pointer.as_str())).collect();
            assert_eq!(found, [(code, pointer)], "{text}");
        }
    }
}
