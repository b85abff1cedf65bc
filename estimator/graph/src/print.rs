//! A family as JSON, laid out as the catalogue's files are: a line for each block and operator.

use ecomap_instances::format::catalog_v1::{FamilyDto, TierDto};
use serde_json::{Error, Value};

/// The text of a family file.
///
/// # Errors
/// Only if a value cannot be written as JSON.
pub fn family_json(family: &FamilyDto) -> Result<String, Error> {
    let mut out = String::from("{\n");
    for (key, value) in
        [("format", &family.format), ("id", &family.id), ("name", &family.name), ("task", &family.task)]
    {
        out.push_str(&format!(" \"{key}\": {},\n", spaced(&Value::from(value.as_str()))));
    }
    out.push_str(&format!(" \"metric\": {},\n", spaced(&serde_json::to_value(&family.metric)?)));
    let sources = family.sources.iter().map(|(k, v)| {
        format!("  {}: {}", spaced(&Value::from(k.as_str())), spaced(&Value::from(v.as_str())))
    });
    out.push_str(&format!(" \"sources\": {{\n{}\n }},\n", sources.collect::<Vec<_>>().join(",\n")));
    let tiers = family.tiers.iter().map(tier_json).collect::<Result<Vec<_>, _>>()?;
    out.push_str(&format!(" \"tiers\": [\n{}\n ]\n}}\n", tiers.join(",\n")));
    Ok(out)
}

fn tier_json(tier: &TierDto) -> Result<String, Error> {
    let mut rows = vec![format!(
        "  {{\"id\": {}, \"accuracy\": {}, \"params\": {}, \"macs\": {},",
        Value::from(tier.id.as_str()),
        Value::from(tier.accuracy),
        tier.params,
        tier.macs
    )];
    // The catalogue names the accuracy's source first, the blocks' last.
    let order = ["accuracy", "params", "macs", "blocks"];
    let mut source = serde_json::Map::new();
    let known = order.iter().filter_map(|k| tier.source.get_key_value(*k));
    for (k, v) in known.chain(tier.source.iter().filter(|(k, _)| !order.contains(&k.as_str()))) {
        source.insert(k.clone(), Value::from(v.as_str()));
    }
    rows.push(format!("   \"source\": {},", spaced(&Value::Object(source))));
    rows.push(format!("   \"input\": {},", spaced(&serde_json::to_value(&tier.input)?)));
    if let Some(note) = &tier.note {
        rows.push(format!("   \"note\": {},", spaced(&Value::from(note.as_str()))));
    }
    rows.push("   \"blocks\": [".to_owned());
    let mut blocks = Vec::with_capacity(tier.blocks.len());
    for b in &tier.blocks {
        let ops = b.ops.iter().map(|o| serde_json::to_string(o).map(|o| format!("    {o}")));
        blocks.push(format!(
            "   {{\"name\":{},\"flops\":{},\"weight_bytes\":{},\"input_bytes\":{},\"output_bytes\":{},\"ops\":[\n{}]}}",
            Value::from(b.name.as_str()),
            b.flops,
            b.weight_bytes,
            b.input_bytes,
            b.output_bytes,
            ops.collect::<Result<Vec<_>, _>>()?.join(",\n")
        ));
    }
    rows.push(format!("{}]}}", blocks.join(",\n")));
    Ok(rows.join("\n"))
}

/// One line with a blank behind each comma and colon.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let items = map.iter().map(|(k, v)| format!("{}: {}", Value::from(k.as_str()), spaced(v)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
