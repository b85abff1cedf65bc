//! Everything that `ecomap inspect` says about a model.

use crate::blocks::Piece;
use crate::cost::Class;
use crate::layer::{Layer, LayerGraph, Port};
use crate::onnx::Model;
use crate::options::Options;
use crate::render::{dot, svg, table};
use crate::support::UnitClass;
use ecomap_instances::Issues;
use ecomap_instances::format::catalog_v1::BlockDto;
use serde::Serialize;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Tables for people.
    Table,
    /// One JSON document.
    Json,
    /// Graphviz.
    Dot,
    /// A drawing.
    Svg,
}

/// A model, read and measured.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Name for titles.
    pub name: String,
    /// Version of the default operator set.
    pub opset: i64,
    /// The layers.
    pub graph: LayerGraph,
    /// The chain of blocks.
    pub pieces: Vec<Piece>,
    /// The kind of unit whose refusals are shown.
    pub unit: Option<UnitClass>,
}

#[derive(Serialize)]
struct Report<'g> {
    name: &'g str,
    opset: i64,
    inputs: Vec<PortView<'g>>,
    outputs: Vec<PortView<'g>>,
    macs: u64,
    flops: u64,
    params: u64,
    weight_bytes: u64,
    stored_bytes: u64,
    legal_cuts: usize,
    blocks: Vec<BlockView<'g>>,
    layers: Vec<LayerView<'g>>,
    notes: &'g [String],
}

#[derive(Serialize)]
struct PortView<'g> {
    name: &'g str,
    shape: &'g [u64],
    element_type: &'static str,
}

#[derive(Serialize)]
struct BlockView<'g> {
    #[serde(flatten)]
    block: &'g BlockDto,
    first_layer: usize,
    layers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_tensor: Option<&'g str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_extractable: Option<bool>,
}

#[derive(Serialize)]
struct LayerView<'g> {
    name: &'g str,
    op_type: &'g str,
    folded: &'g [String],
    class: &'static str,
    shapes: Vec<&'g [u64]>,
    flops: u64,
    params: u64,
    weight_bytes: u64,
    input_bytes: u64,
    output_bytes: u64,
    gpu: bool,
    cpu: bool,
    dla: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    dla_refusals: &'g [String],
}

impl<'g> PortView<'g> {
    fn of(port: &'g Port) -> Self {
        Self { name: &port.name, shape: port.shape.dims(), element_type: port.dtype.name() }
    }
}

impl<'g> LayerView<'g> {
    fn of(layer: &'g Layer) -> Self {
        Self {
            name: &layer.name,
            op_type: &layer.op_type,
            folded: &layer.folded,
            class: layer.class.name(),
            shapes: layer.shapes.iter().map(crate::shape::Shape::dims).collect(),
            flops: layer.flops,
            params: layer.params,
            weight_bytes: layer.weight_bytes,
            input_bytes: layer.input_bytes,
            output_bytes: layer.output_bytes,
            gpu: layer.support.general.is_empty(),
            cpu: layer.support.general.is_empty(),
            dla: layer.support.dla.is_empty(),
            dla_refusals: &layer.support.dla,
        }
    }
}

impl Inspection {
    /// Reads and measures a model; `blocks` is the most blocks wanted.
    ///
    /// # Errors
    /// What is wrong with the model.
    pub fn of(
        name: &str,
        bytes: Vec<u8>,
        options: &Options,
        blocks: usize,
        unit: Option<UnitClass>,
    ) -> Result<Self, Issues> {
        let model = Model::read(bytes, &options.limits)?;
        let graph = LayerGraph::of(&model, options)?;
        let pieces = graph.blocks(blocks);
        Ok(Self { name: name.to_owned(), opset: model.opset(), graph, pieces, unit })
    }

    /// The inspection as text.
    ///
    /// # Errors
    /// Only if JSON cannot be written.
    pub fn render(&self, format: Format) -> Result<String, serde_json::Error> {
        Ok(match format {
            Format::Table => table::render(self),
            Format::Dot => dot::render(self),
            Format::Svg => svg::render(self),
            Format::Json => {
                let mut text = serde_json::to_string_pretty(&self.report())?;
                text.push('\n');
                text
            }
        })
    }

    fn report(&self) -> Report<'_> {
        let graph = &self.graph;
        let block = |piece: &'_ Piece| -> (usize, usize) { (piece.layers.start, piece.layers.len()) };
        Report {
            name: &self.name,
            opset: self.opset,
            inputs: graph.inputs().iter().map(PortView::of).collect(),
            outputs: graph.outputs().iter().map(PortView::of).collect(),
            macs: graph.macs(),
            flops: graph.flops(),
            params: graph.params(),
            weight_bytes: graph.weight_bytes(),
            stored_bytes: graph.stored_bytes(),
            legal_cuts: graph.cuts().len(),
            blocks: self
                .pieces
                .iter()
                .map(|piece| BlockView {
                    block: &piece.block,
                    first_layer: block(piece).0,
                    layers: block(piece).1,
                    cut_tensor: piece.cut.as_ref().map(|c| c.tensor.as_str()),
                    cut_extractable: piece.cut.as_ref().map(|c| c.extractable),
                })
                .collect(),
            layers: graph.layers().map(LayerView::of).collect(),
            notes: graph.notes(),
        }
    }

    /// Layers that `unit` refuses, with the reasons; views need no unit.
    pub(crate) fn refused(&self, unit: UnitClass) -> impl Iterator<Item = (&Layer, &[String])> {
        let layers = self.graph.layers().filter(|l| l.class != Class::View);
        layers.map(move |l| (l, l.support.refusals(unit))).filter(|(_, reasons)| !reasons.is_empty())
    }
}
