//! One table of names, shapes and offsets; weights, gradients and Adam moments are flat arrays laid out by it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::{Config, Error, Positions, Result};

/// What a tensor does, as far as initialisation and weight decay care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The weight of a linear layer or of the patch projection (an optimiser decays these).
    Matrix,
    /// A bias.
    Bias,
    /// The weight of a layer norm; starts at one.
    Norm,
    /// A layer scale.
    Scale,
    /// A class or register token.
    Token,
    /// Learned positions.
    Position,
}

/// One tensor of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name here, such as `block.3.attention.qkv.weight`.
    pub name: String,
    /// Its shape; matrices are \[out, in\].
    pub shape: Vec<usize>,
    /// First entry in the flat array; tensors follow each other without gaps.
    pub offset: usize,
    /// What it does.
    pub role: Role,
    /// The block of the encoder it belongs to; none before and after the blocks, and in a decoder.
    pub block: Option<usize>,
}

impl Tensor {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its place in the flat array.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }
}

/// Every tensor of an encoder in storage order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    tensors: Vec<Tensor>,
    by_name: HashMap<String, usize>,
    len: usize,
}

impl Table {
    /// The table of `config`.
    ///
    /// # Errors
    /// [`Error::Config`] when the configuration is not valid.
    pub fn new(config: &Config) -> Result<Self> {
        config.check()?;
        let mut table = Self::default();
        let (d, p) = (config.width, config.patch);
        table.push(None, Role::Matrix, "patch.weight", &[d, config.channels, p, p])?;
        table.push(None, Role::Bias, "patch.bias", &[d])?;
        table.push(None, Role::Token, "class_token", &[d])?;
        if config.registers > 0 {
            table.push(None, Role::Token, "register_tokens", &[config.registers, d])?;
        }
        if let Positions::Learned { .. } = config.positions {
            let rows = config.position_prefix() + config.grid.len();
            table.push(None, Role::Position, "positions", &[rows, d])?;
        }
        table.push_blocks("", config)?;
        table.push(None, Role::Norm, "norm.weight", &[d])?;
        table.push(None, Role::Bias, "norm.bias", &[d])?;
        Ok(table)
    }

    /// Adds the blocks of `config`, `prefix` before every name.
    ///
    /// # Errors
    /// [`Error::Config`] when the parameters cannot be counted.
    pub(crate) fn push_blocks(&mut self, prefix: &str, config: &Config) -> Result<()> {
        let d = config.width;
        for i in 0..config.depth {
            let mut push = |role, name: &str, shape: &[usize]| {
                self.push(prefix.is_empty().then_some(i), role, &format!("{prefix}block.{i}.{name}"), shape)
            };
            push(Role::Norm, "norm1.weight", &[d])?;
            push(Role::Bias, "norm1.bias", &[d])?;
            push(Role::Matrix, "attention.qkv.weight", &[3 * d, d])?;
            if config.qkv_bias {
                push(Role::Bias, "attention.qkv.bias", &[3 * d])?;
            }
            push(Role::Matrix, "attention.out.weight", &[d, d])?;
            push(Role::Bias, "attention.out.bias", &[d])?;
            if config.layer_scale {
                push(Role::Scale, "scale1", &[d])?;
            }
            push(Role::Norm, "norm2.weight", &[d])?;
            push(Role::Bias, "norm2.bias", &[d])?;
            push(Role::Matrix, "mlp.in.weight", &[config.hidden_rows(), d])?;
            push(Role::Bias, "mlp.in.bias", &[config.hidden_rows()])?;
            push(Role::Matrix, "mlp.out.weight", &[d, config.hidden])?;
            push(Role::Bias, "mlp.out.bias", &[d])?;
            if config.layer_scale {
                push(Role::Scale, "scale2", &[d])?;
            }
        }
        Ok(())
    }

    /// Adds one tensor behind the others.
    ///
    /// # Errors
    /// [`Error::Config`] when the parameters cannot be counted.
    pub(crate) fn push(
        &mut self,
        block: Option<usize>,
        role: Role,
        name: &str,
        shape: &[usize],
    ) -> Result<()> {
        let name = name.to_owned();
        let offset = self.len;
        self.len = shape
            .iter()
            .try_fold(1_usize, |n, &s| n.checked_mul(s))
            .and_then(|n| self.len.checked_add(n))
            .ok_or_else(|| {
                Error::config("size", "countable parameters", &format!("{name} of shape {shape:?}"))
            })?;
        self.by_name.insert(name.clone(), self.tensors.len());
        self.tensors.push(Tensor { name, shape: shape.to_vec(), offset, role, block });
        Ok(())
    }

    /// The tensors in storage order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.by_name.get(name).map(|&i| &self.tensors[i])
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Numbers laid out by a [`Table`]: weights, their gradient, or a moment of it.
#[derive(Clone, PartialEq)]
pub struct Params<T> {
    table: Arc<Table>,
    values: Vec<T>,
}

impl<T> std::fmt::Debug for Params<T> {
    /// Their number only: millions of weights help nobody.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Params").field("len", &self.values.len()).finish_non_exhaustive()
    }
}

impl<T: Copy + Default> Params<T> {
    /// All zeros (the `Default` of the number).
    pub fn zeros(table: Arc<Table>) -> Self {
        let values = vec![T::default(); table.len()];
        Self { table, values }
    }

    /// `values` laid out by `table`.
    ///
    /// # Errors
    /// [`Error::Shape`] when their number is not the table's.
    pub fn new(table: Arc<Table>, values: Vec<T>) -> Result<Self> {
        if values.len() == table.len() {
            return Ok(Self { table, values });
        }
        let expected = format!("[{}]", table.len());
        Err(Error::Shape { what: "parameters", expected, found: vec![values.len()] })
    }

    /// The table both sides share.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Refuses parameters that are laid out for another architecture.
    ///
    /// # Errors
    /// [`Error::Shape`] when the table is not that of `config`.
    pub fn check_table(&self, config: &Config) -> Result<()> {
        let table = Table::new(config)?;
        if table == *self.table {
            return Ok(());
        }
        let expected = format!("[{}] in the layout of the configuration", table.len());
        Err(Error::Shape { what: "parameters", expected, found: vec![self.values.len()] })
    }

    /// All numbers in storage order.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// All numbers, to be changed.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// The tensor called `name`, empty when the architecture has none of that name.
    pub fn get(&self, name: &str) -> &[T] {
        self.table.get(name).map_or(&[], |t| &self.values[t.range()])
    }

    /// The tensor called `name`, to be changed; empty when there is none.
    pub fn get_mut(&mut self, name: &str) -> &mut [T] {
        match self.table.get(name).map(Tensor::range) {
            Some(range) => &mut self.values[range],
            None => &mut [],
        }
    }
}

impl Params<f32> {
    /// The same numbers in f64, for the reference.
    pub fn to_f64(&self) -> Params<f64> {
        Params { table: self.table.clone(), values: self.values.iter().map(|&v| f64::from(v)).collect() }
    }

    /// Refuses numbers that are not finite.
    ///
    /// # Errors
    /// [`Error::NotFinite`] names the tensor and the entry inside it.
    pub fn check_finite(&self) -> Result<()> {
        for tensor in self.table.tensors() {
            check_finite(&tensor.name, &self.values[tensor.range()])?;
        }
        Ok(())
    }
}

/// Refuses numbers of `what` that are not finite. Stretches are looked at whole, since a loop that may end at every number takes one at a time.
///
/// # Errors
/// [`Error::NotFinite`] names the first.
pub(crate) fn check_finite(what: &str, values: &[f32]) -> Result<()> {
    const STRETCH: usize = 4096;
    let finite = |values: &[f32]| values.iter().fold(true, |all, value| all & value.is_finite());
    let Some(stretch) = values.chunks(STRETCH).position(|values| !finite(values)) else { return Ok(()) };
    let found = values.iter().enumerate().skip(stretch * STRETCH).find(|(_, value)| !value.is_finite());
    found.map_or(Ok(()), |(entry, &found)| {
        Err(Error::NotFinite { what: what.to_owned(), found: f64::from(found), entry })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_follow_each_other_without_gap_or_repeated_name() {
        let table = Table::new(&Config::preset("dinov2-giant").unwrap()).unwrap();
        let mut next = 0;
        for tensor in table.tensors() {
            assert_eq!(tensor.offset, next, "{}", tensor.name);
            assert_eq!(table.get(&tensor.name), Some(tensor));
            assert!(!tensor.is_empty());
            next += tensor.len();
        }
        assert_eq!(next, table.len());
        assert_eq!(table.by_name.len(), table.tensors.len());
    }

    #[test]
    fn the_largest_configuration_is_counted_without_overflow() {
        let huge = Config { width: 1 << 16, depth: 1024, heads: 1, hidden: 1 << 19, ..Config::paper() };
        assert!(Table::new(&huge).unwrap().len() > 1 << 40);
    }

    #[test]
    fn every_number_belongs_to_the_tensor_that_holds_it() {
        let table =
            Arc::new(Table::new(&Config { width: 8, heads: 2, hidden: 12, ..Config::paper() }).unwrap());
        let mut params = Params::<f32>::zeros(table.clone());
        for (i, tensor) in table.tensors().iter().enumerate() {
            params.get_mut(&tensor.name).fill(i as f32 + 1.0);
        }
        assert!(params.values().iter().all(|&v| v > 0.0), "no entry was forgotten");
        assert!(params.get("no such tensor").is_empty());
        params.get_mut("norm.bias")[3] = f32::NAN;
        assert!(params.check_finite().unwrap_err().to_string().contains("norm.bias"));
    }
}
