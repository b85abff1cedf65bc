//! JSON of the Open Inference Protocol v2. Unknown fields are let pass, as the protocol asks.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};
use std::fmt;

/// A request.
#[derive(Debug, Deserialize)]
pub struct RequestDto {
    /// Given back in the answer.
    #[serde(default)]
    pub id: Option<String>,
    /// `timeout` (microseconds, as Triton has it) and `binary_data_output`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Inputs.
    pub inputs: Vec<InputDto>,
    /// Wanted outputs; absent for all.
    #[serde(default)]
    pub outputs: Vec<OutputDto>,
}

/// An input tensor.
#[derive(Debug, Deserialize)]
pub struct InputDto {
    /// Name.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<u64>,
    /// Element type.
    pub datatype: String,
    /// `binary_data_size` where the data follows the JSON.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Elements in row-major order, flat or nested.
    #[serde(default)]
    pub data: Option<Flat>,
}

/// A wanted output.
#[derive(Debug, Deserialize)]
pub struct OutputDto {
    /// Name.
    pub name: String,
    /// `binary_data`.
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

/// An answer.
#[derive(Debug, Serialize)]
pub struct ResponseDto {
    /// Tenant.
    pub model_name: String,
    /// Plan.
    pub model_version: String,
    /// The request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who answered.
    pub parameters: Map<String, Value>,
    /// Outputs.
    pub outputs: Vec<ResultDto>,
}

/// An output tensor.
#[derive(Debug, Serialize)]
pub struct ResultDto {
    /// Name.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<u64>,
    /// Element type.
    pub datatype: &'static str,
    /// `binary_data_size` where the data follows the JSON.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// Elements, else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Elements of a tensor, flat.
#[derive(Debug, Default)]
pub struct Flat(pub Vec<Scalar>);

/// One element, before its type is known.
#[derive(Debug, Clone)]
pub enum Scalar {
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
}

/// Deepest nesting of a tensor's data.
const MAX_DEPTH: usize = 16;

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut flat = Self::default();
        deserializer.deserialize_seq(Level { into: &mut flat.0, depth: 0 })?;
        Ok(flat)
    }
}

/// One level of nested lists.
struct Level<'v> {
    into: &'v mut Vec<Scalar>,
    depth: usize,
}

/// An element of a list: a scalar, or a list again.
struct Element<'v> {
    into: &'v mut Vec<Scalar>,
    depth: usize,
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers or truth values, flat or nested")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.depth > MAX_DEPTH {
            return Err(A::Error::custom("data is nested too deeply"));
        }
        while seq.next_element_seed(Element { into: self.into, depth: self.depth })?.is_some() {}
        Ok(())
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a truth value, or a list of them")
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<(), E> {
        self.into.push(Scalar::Bool(v));
        Ok(())
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<(), E> {
        self.into.push(Scalar::Number(v.into()));
        Ok(())
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<(), E> {
        self.into.push(Scalar::Number(v.into()));
        Ok(())
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<(), E> {
        let number = Number::from_f64(v).ok_or_else(|| E::custom("not a finite number"))?;
        self.into.push(Scalar::Number(number));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Level { into: self.into, depth: self.depth + 1 }.visit_seq(seq)
    }
}
