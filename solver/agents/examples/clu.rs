//! try
use ecomap_agents::*;
fn main() {
    let limit: f64 = std::env::var("LIMIT").ok().map_or(5.0, |s| s.parse().unwrap());
    let g = generate::cluster(1000, 50, 1);
    let d = 125;
    let mut cap = vec![]; let mut shared = vec![];
    for i in 0..d { cap.push(g.capacity[i * 6 + 5]); shared.extend_from_slice(&g.capacity[i * 6..i * 6 + 5]); }
    shared.push(g.capacity[750]);
    let mut b = Builder::new(cap, shared);
    for t in &g.tenants { b.job(); for c in t {
        let dev = c.uses[0].0 / 6;
        let fits = c.uses.iter().all(|(r, a)| *a <= g.capacity[*r]);
        if !fits { continue }
        let mut u = vec![]; for (r, a) in &c.uses { if *r == 750 { u.push((625, *a)); } else if r % 6 < 5 { u.push((r / 6 * 5 + r % 6, *a)); } }
        b.option(-c.value, Some((dev, c.uses[2].1)), &u);
    } }
    let p = b.build().unwrap();
        let cpu = || { let s = std::fs::read_to_string("/proc/self/stat").unwrap(); let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) * 0.01 }; let c0 = cpu();
    let mut last = 0.0;
    let mut report = |a: &Answer| if cpu() - c0 > last + 0.2 { last = cpu() - c0; println!("{:.2} s: {} {} {:.3} %", last, a.value, a.bound, 100.0 * a.gap()) };
    let a = solve(&p, &mut Limits { gap: 1e-3, nodes: u64::MAX, seed: 0, start: None, stop: &|| (cpu() - c0) > limit, report: &mut report });
    println!("{} {} {:.3} % {:.2}", a.value, a.bound, 100.0 * a.gap(), cpu() - c0);
}
