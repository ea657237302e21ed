//! Events of records, as `lines/line_reader.py` makes them for the alerter's rules.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::identity::{self, Id};
use crate::json::number;
use crate::line::{BYTES, LENGTH, SECONDS, STATUS, TIME};
use crate::record::{Records, Room, Settings};

/// The Python types of an event, and the value for an absent number.
pub struct Kinds {
    pub line: Py<PyAny>,
    pub event: Py<PyAny>,
    pub absent: Py<PyAny>,
}

pub struct Events {
    reads: Records,
    room: Room,
    kinds: Kinds,
    /// Format and host of each stream, for the line's type.
    origins: Vec<Py<PyDict>>,
    inputs: Vec<u8>,
    ids: Vec<Id>,
}

impl Events {
    pub fn new(settings: Settings, kinds: Kinds) -> Self {
        let (reads, room) = (Records::new(settings), Room::default());
        Events { reads, room, kinds, origins: Vec::new(), inputs: Vec::new(), ids: Vec::new() }
    }

    /// Make the event of each record; None for those that are left to Python.
    pub fn read<'py>(&mut self, py: Python<'py>, values: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
        self.reads.forget();
        self.origins.truncate(self.reads.streams.len());
        self.inputs.clear();
        let (mut lines, mut ends) = (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
        for value in values.iter() {
            lines.push(self.line(py, value.cast::<PyBytes>()?.as_bytes())?);
            if matches!(lines.last(), Some(Some(_))) {
                ends.push(self.inputs.len());
            }
        }
        let begins = std::iter::once(0).chain(ends.iter().copied());
        identity::of_all(begins.zip(&ends).map(|(begin, &end)| &self.inputs[begin..end]), &mut self.ids);
        let mut ids = self.ids.iter();
        let events = PyList::empty(py);
        for line in lines {
            match line.and_then(|line| Some((line, ids.next()?))) {
                // Half of the identity, as in Python.
                Some(((seconds, line), &[a, b, c, d, e, f, g, h, ..])) => {
                    let identity = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                    events.append(self.kinds.event.bind(py).call1((identity, seconds, line))?)?;
                }
                None => events.append(py.None())?,
            }
        }
        Ok(events)
    }

    /// Make the line of a record, with its time (seconds since 1970), and store its identity's input.
    fn line<'py>(&mut self, py: Python<'py>, value: &[u8]) -> PyResult<Option<(f64, Bound<'py, PyAny>)>> {
        let Some(record) = self.reads.read(value, &mut self.room) else { return Ok(None) };
        let line = &record.line;
        // Values may contain JSON escapes, which rows keep.
        if line.cells.iter().any(|cell| cell.contains(&b'\\')) {
            return Ok(None);
        }
        let absent = self.kinds.absent.bind(py);
        let mut time = Vec::with_capacity(23);
        self.reads.clock.write(&mut time, line.ms);
        let mut cells = Vec::with_capacity(line.cells.len());
        for (column, &cell) in line.cells.iter().enumerate() {
            cells.push(match column {
                TIME => text(py, &time)?,
                LENGTH if cell.is_empty() => absent.clone(),
                STATUS | BYTES | LENGTH => number(cell).into_pyobject(py)?.into_any(),
                SECONDS => match line.took_ms {
                    Some(ms) => (ms as f64 / 1000.0).into_pyobject(py)?.into_any(),
                    None => absent.clone(),
                },
                _ => text(py, cell)?,
            });
        }
        for stream in &self.reads.streams[self.origins.len()..] {
            let origin = PyDict::new(py);
            origin.set_item("log_format", text(py, &stream.format)?)?;
            origin.set_item("host", text(py, &stream.host)?)?;
            self.origins.push(origin.unbind());
        }
        let origin = self.origins[record.stream].bind(py);
        let made = self.kinds.line.bind(py).call(PyTuple::new(py, cells)?, Some(origin))?;
        let seconds = (line.ms / 1000) as f64 + (line.ms % 1000) as f64 / 1000.0;
        self.reads.identify(&record, &mut self.inputs);
        Ok(Some((seconds, made)))
    }
}

fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyString::from_bytes(py, bytes)?.into_any())
}
