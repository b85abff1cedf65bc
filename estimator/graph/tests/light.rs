use ecomap_graph::{LayerGraph, Model, Options};
#[test]
fn quick() {
    let dir = std::env::var("ECOMAP_ONNX_LIGHT").unwrap();
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "onnx")).collect();
    files.sort();
    for f in files {
        let bytes = std::fs::read(&f).unwrap();
        let o = Options::default();
        let m = Model::read(bytes.clone(), &o.limits).unwrap();
        println!("{} len {} {}", f.display(), bytes.len(), m.encode().len());
        match LayerGraph::of(&m, &o) {
            Ok(g) => {
                println!("  layers {} macs {:.4e} params {} w {} cuts {} dom {:?}", g.len(), g.macs() as f64, g.params(), g.weight_bytes()/4, g.cuts().len(), g.dominating_tensors().len());
                println!("  {:?}", g.blocks(8).iter().map(|b| b.block.name.clone()).collect::<Vec<_>>());
                for n in g.notes() { println!("  {n}"); }
            }
            Err(e) => println!("  {e}"),
        }
    }
}
