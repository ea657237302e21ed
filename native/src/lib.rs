//! The fast path for nearly all records, without Python objects: for obsctl-consumer from the records of a batch to
//! encoded rows, identities and roll-ups, and for obsctl-alerter from records to the events that rules evaluate. The
//! Python code is the reference: records for which this module cannot give the same result are left to it.
//! `obsctl.lines.native` is the only caller.

mod batch;
mod clock;
mod envelope;
mod events;
mod identity;
mod json;
mod line;
mod peer;
mod record;
mod route;

use std::collections::HashMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};

use line::{COLUMNS, MEMBERS, ORIGIN};
use record::Settings;

/// A roll-up: minute, source, host, kind of route, status class; requests, bytes, latency.
type Rollup = (String, u64, String, &'static str, u8, u64, u64, Vec<u64>);

/// The columns of a row; how many characters each text column takes; the members of a JSON line; the formats that may
/// be read here; the trusted proxies as packed address and prefix.
type Reading = (Vec<String>, HashMap<String, usize>, Vec<String>, Vec<String>, Vec<(Vec<u8>, u32)>);

/// Makes the rows of batches, one batch after the other.
#[pyclass]
struct Batch {
    inner: batch::Batch,
}

#[pymethods]
impl Batch {
    /// Args: how records are read; the bounds of the latency buckets.
    ///
    /// Raises ValueError if any of this is not what this module was written for.
    #[new]
    fn new(reading: Reading, bounds_ms: Vec<u64>) -> PyResult<Self> {
        if bounds_ms != batch::BOUNDS_MS {
            return Err(PyValueError::new_err("the latency buckets are others"));
        }
        let settings = settings(reading)?;
        Ok(Batch { inner: batch::Batch::new(settings) })
    }

    /// Begin a batch.
    fn clear(&mut self) {
        self.inner.clear();
    }

    /// Make rows of a run's records; return the indexes of those that are left to Python.
    fn take(&mut self, py: Python<'_>, values: &Bound<'_, PyList>, first: u64, source: u64) -> PyResult<Vec<usize>> {
        // Each holds a reference, so that no other thread can free the bytes.
        let mut held: Vec<Option<PyBackedBytes>> = Vec::with_capacity(values.len());
        for value in values.iter() {
            held.push(if value.is_none() { None } else { Some(value.cast_into::<PyBytes>()?.into()) });
        }
        let (inner, records) = (&mut self.inner, &held);
        Ok(py.detach(move || inner.take(records.iter().map(|value| value.as_deref()), first, source)))
    }

    /// Add a row that Python made of the batch's record with this number; its time is in its first column.
    fn give(&mut self, record: u32, row: &[u8], line_id: &[u8], source: u64) -> PyResult<()> {
        let ms = row.get(2..25).and_then(clock::stored);
        let id = line_id.try_into().ok();
        let (Some(ms), Some(id)) = (ms, id) else {
            return Err(PyValueError::new_err("a row without a time or an identity"));
        };
        self.inner.give(record, row, ms, id, source);
        Ok(())
    }

    /// End the batch. Return the rows for LOAD DATA, sorted by their keys, their concatenated identities, the newest
    /// time by source, the roll-ups of the rows made here, and the record numbers of the added rows that remain.
    #[allow(clippy::type_complexity)]
    fn finish<'py>(
        &mut self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>, HashMap<u64, String>, Vec<Rollup>, Vec<u32>)> {
        let inner = &mut self.inner;
        let counts = py.detach(|| {
            inner.sort();
            inner.count()
        });
        let inner = &self.inner;
        let rows = PyBytes::new_with(py, inner.size(), |out| {
            py.detach(|| inner.copy_rows(out));
            Ok(())
        })?;
        let newest = inner.newest().into_iter().map(|(source, ms)| (source, batch::moment(ms))).collect();
        let rollups = counts
            .into_iter()
            .map(|(key, totals)| {
                let host = String::from_utf8_lossy(inner.host(&key)).into_owned();
                let (begin, kind) = (batch::minute(key.minute), route::ROUTES[key.kind as usize]);
                let latency = totals.latency.to_vec();
                (begin, key.source, host, kind, key.status, totals.requests, totals.bytes, latency)
            })
            .collect();
        Ok((rows, PyBytes::new(py, &inner.ids()), newest, rollups, inner.given()))
    }
}

/// Makes events.
#[pyclass]
struct Reader {
    inner: events::Events,
}

#[pymethods]
impl Reader {
    /// Args: how records are read; the types of a line and of an event, and what an absent number is.
    ///
    /// Raises ValueError as a batch does.
    #[new]
    fn new(reading: Reading, line: Py<PyAny>, event: Py<PyAny>, absent: Py<PyAny>) -> PyResult<Self> {
        let settings = settings(reading)?;
        Ok(Reader { inner: events::Events::new(settings, events::Kinds { line, event, absent }) })
    }

    /// Return the event of each record; None for those that are left to Python.
    fn read<'py>(&mut self, py: Python<'py>, values: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
        self.inner.read(py, values)
    }
}

/// Make a reader of records; ValueError if the arguments are not what this module was written for.
fn settings((columns, widths, members, formats, proxies): Reading) -> PyResult<Settings> {
    same("columns", columns.iter(), COLUMNS.iter().chain(&ORIGIN))?;
    same("fields of a JSON line", members.iter(), MEMBERS.iter().map(|(name, _)| name))?;
    let networks: Option<_> = proxies.iter().map(|(packed, prefix)| peer::Network::new(packed, *prefix)).collect();
    let has = |name: &str| formats.iter().any(|format| format == name);
    Ok(Settings {
        widths: COLUMNS.map(|name| widths.get(name).copied().unwrap_or(0)),
        combined: has("combined"),
        json: has("json"),
        proxies: networks.ok_or_else(|| PyValueError::new_err("a trusted proxy is no network"))?,
    })
}

/// Fail if two lists of names differ.
fn same<'a>(
    what: &str,
    given: impl Iterator<Item = &'a String> + Clone,
    known: impl Iterator<Item = &'a &'a str> + Clone,
) -> PyResult<()> {
    if given.clone().eq(known.clone()) {
        return Ok(());
    }
    let known: Vec<_> = known.copied().collect();
    let unknown: Vec<_> = given.map(String::as_str).filter(|name| !known.contains(name)).collect();
    Err(PyValueError::new_err(format!("the {what} are not those of this module; it does not know {unknown:?}")))
}

#[pymodule]
fn obsctl_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Batch>()?;
    module.add_class::<Reader>()?;
    module.add("PanicException", module.py().get_type::<pyo3::panic::PanicException>())?;
    // Digest of the Python sources whose results this module reproduces; set by the build.
    module.add("REVISION", option_env!("OBSCTL_NATIVE_REVISION").unwrap_or(""))
}
