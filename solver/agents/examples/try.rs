//! try
use ecomap_agents::*;
#[allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, clippy::disallowed_types)]
fn main() {
    let limit: f64 = std::env::var("LIMIT").ok().map_or(10.0, |s| s.parse().unwrap());
    let verbose = std::env::var("VERBOSE").is_ok();
    let (mut proved, mut total, mut all) = (0, 0.0, 0);
    for f in std::env::args().skip(1) {
        let t: Vec<f64> = std::fs::read_to_string(&f).unwrap().split_whitespace().map(|x| x.parse().unwrap()).collect();
        let (m, n) = (t[0] as usize, t[1] as usize);
        let c = &t[2..]; let w = &t[2 + m * n..]; let cap = t[2 + 2 * m * n..].to_vec();
        let mut b = Builder::new(cap, vec![]);
        for j in 0..n { b.job(); for i in 0..m { b.option(c[i * n + j], Some((i, w[i * n + j])), &[]); } }
        let p = b.build().unwrap();
        let cpu = || { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 0.01 }; let c0 = cpu();
        let mut report = |a: &Answer| if verbose { eprintln!("{:.2} s: {} {} nodes {}", cpu() - c0, a.value, a.bound, a.nodes) };
        let a = solve(&p, &mut Limits { gap: 1e-9, nodes: u64::MAX, start: None, seed: 0, stop: &|| (cpu() - c0) > limit, report: &mut report });
        let s = (cpu() - c0);
        all += 1; total += s;
        if let Some(c) = &a.choice { assert_eq!(p.judge(c), Some(a.value)); }
        if a.bound == a.value { proved += 1; }
        println!("{f} {} {} nodes {} {:.3} s", a.value, a.bound, a.nodes, s);
    }
    println!("{proved} of {all}, {total:.2} s");
}
