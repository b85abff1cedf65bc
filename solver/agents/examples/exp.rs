//! export
fn main() { std::fs::write("/tmp/clu.txt", ecomap_agents::generate::cluster(1000, 50, 1).text()).unwrap(); }
