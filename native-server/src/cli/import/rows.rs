use crate::admin::Entry;
use crate::cli::export::EXPIRES_COLUMN;
use crate::command::from_hex;
use bytes::Bytes;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Longest line of a JSON-lines file: an exported value, each byte of which may be written like `\u0000`.
const LINE_BYTES_MAX: usize = 6 * (17 << 20);

/// One row of a file: its columns, and itself as a JSON object with the columns in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    columns: Map<String, Value>,
    text: String,
}

impl Row {
    /// Reads one line of JSON.
    pub fn from_json(line: &str) -> Result<Row, String> {
        match serde_json::from_str(line) {
            Ok(Value::Object(columns)) => Ok(Row { columns, text: line.trim().to_owned() }),
            Ok(_) => Err("it is no JSON object".into()),
            Err(error) => Err(format!("it is no JSON: {error}")),
        }
    }
    /// A row of a CSV file: all its columns are text.
    fn from_csv(names: &[String], record: &csv::StringRecord) -> Row {
        let mut columns = Map::new();
        let mut text = String::from("{");
        for (name, field) in names.iter().zip(record.iter()) {
            let (key, value) = (Value::String(name.clone()), Value::String(field.into()));
            let comma = if columns.is_empty() { "" } else { "," };
            text.push_str(&format!("{comma}{key}:{value}"));
            columns.insert(name.clone(), value);
        }
        text.push('}');
        Row { columns, text }
    }
    /// The row as JSON.
    pub fn json(&self) -> &str {
        &self.text
    }
    /// A column's text.
    pub fn column(&self, name: &str) -> Result<String, String> {
        match self.columns.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(Value::Bool(value)) => Ok(value.to_string()),
            Some(_) => Err(format!("its column '{name}' is neither text nor a number")),
            None => Err(format!("it has no column '{name}'")),
        }
    }
    /// What `kvorum export` wrote as this row.
    pub fn exported(&self) -> Result<Entry, String> {
        let bytes = |name: &str| match (self.columns.get(name), self.columns.get(&format!("{name}_hex"))) {
            (Some(Value::String(text)), None) => Ok(Bytes::from(text.clone())),
            (None, Some(Value::String(text))) => from_hex(text.as_bytes())
                .map(Bytes::from)
                .ok_or_else(|| format!("its column '{name}_hex' is not hexadecimal")),
            _ => Err(format!("no export wrote it: it needs '{name}' or '{name}_hex', as text")),
        };
        let expires_at_ms = match self.columns.get(EXPIRES_COLUMN) {
            None => Some(0),
            Some(Value::String(text)) if text.is_empty() => Some(0),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
        };
        let expires_at_ms =
            expires_at_ms.ok_or_else(|| format!("its column '{EXPIRES_COLUMN}' is no time"))?;
        Ok(Entry { key: bytes("key")?, value: bytes("value")?, expires_at_ms })
    }
}

/// The rows of a file with the number of the line on which each begins.
pub struct Rows {
    source: Source,
    total_bytes: u64,
    offset: u64,
}

enum Source {
    Csv { reader: Box<csv::Reader<BufReader<File>>>, columns: Vec<String>, record: csv::StringRecord },
    Lines { reader: BufReader<File>, line: u64, buffer: Vec<u8> },
}

impl Rows {
    /// Opens a file; its extension says what it is.
    pub fn open(path: &Path) -> Result<Rows, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let total_bytes = file.metadata().map_or(0, |metadata| metadata.len());
        let reader = BufReader::with_capacity(1 << 20, file);
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let source = match extension.to_ascii_lowercase().as_str() {
            "csv" => {
                let mut reader = csv::ReaderBuilder::new().from_reader(reader);
                let head = reader.headers().map_err(|error| format!("its line of column names: {error}"))?;
                let columns: Vec<String> = head.iter().map(String::from).collect();
                Source::Csv { reader: Box::new(reader), columns, record: csv::StringRecord::new() }
            }
            "jsonl" | "ndjson" | "json" => Source::Lines { reader, line: 0, buffer: Vec::new() },
            _ => return Err("its name must end in .csv, .jsonl or .ndjson".into()),
        };
        Ok(Rows { source, total_bytes, offset: 0 })
    }
    /// Size of the file.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }
    /// Bytes read.
    pub fn offset(&self) -> u64 {
        self.offset
    }
    /// The next row and its line; `None` at the end.
    pub fn pull(&mut self) -> Option<(u64, Result<Row, String>)> {
        match &mut self.source {
            Source::Csv { reader, columns, record } => {
                let line = reader.position().line();
                let read = reader.read_record(record);
                self.offset = reader.position().byte();
                match read {
                    Ok(false) => None,
                    Ok(true) => {
                        let line = record.position().map_or(line, csv::Position::line);
                        Some((line, Ok(Row::from_csv(columns, record))))
                    }
                    Err(error) => {
                        let line = error.position().map_or(line, csv::Position::line);
                        Some((line, Err(csv_problem(&error))))
                    }
                }
            }
            Source::Lines { reader, line, buffer } => loop {
                buffer.clear();
                let mut limited = std::io::Read::take(&mut *reader, LINE_BYTES_MAX as u64);
                let count = match limited.read_until(b'\n', buffer) {
                    Ok(0) => return None,
                    Ok(count) => count,
                    Err(error) => return Some((*line + 1, Err(error.to_string()))),
                };
                *line += 1;
                self.offset += count as u64;
                if count == LINE_BYTES_MAX {
                    return Some((*line, Err(format!("it is longer than {LINE_BYTES_MAX} bytes"))));
                }
                let text = match std::str::from_utf8(buffer) {
                    Ok(text) if text.trim().is_empty() => continue,
                    Ok(text) => text,
                    Err(_) => return Some((*line, Err("it is no UTF-8 text".into()))),
                };
                return Some((*line, Row::from_json(text)));
            },
        }
    }
}

/// Without the position, which is said before it.
fn csv_problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, the line of column names has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "it is no UTF-8 text".into(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(name: &str, text: &str) -> Vec<(u64, Result<String, String>)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mut rows = Rows::open(&path).unwrap();
        let mut all = Vec::new();
        while let Some((line, row)) = rows.pull() {
            all.push((line, row.map(|row| row.json().to_owned())));
        }
        all
    }

    #[test]
    fn what_an_export_wrote_is_read_as_it_was_and_nothing_else_is() {
        let read = |text: &str| Row::from_json(text).unwrap().exported();
        let entry = |key: &'static [u8], value: &'static [u8], expires_at_ms| Entry {
            key: Bytes::from_static(key),
            value: Bytes::from_static(value),
            expires_at_ms,
        };
        assert_eq!(read(r#"{"key":"k","value":"v"}"#), Ok(entry(b"k", b"v", 0)));
        assert_eq!(read(r#"{"key_hex":"00ff","value":"","expires_at_ms":5}"#), Ok(entry(&[0, 0xff], b"", 5)));
        assert_eq!(read(r#"{"key":"k","value":"v","expires_at_ms":""}"#), Ok(entry(b"k", b"v", 0)));
        for wrong in [
            r#"{"key":"k"}"#,
            r#"{"key":"k","value":1}"#,
            r#"{"key":"k","key_hex":"00","value":"v"}"#,
            r#"{"key_hex":"0","value":"v"}"#,
            r#"{"key":"k","value":"v","expires_at_ms":-1}"#,
            r#"{"key":"k","value":"v","expires_at_ms":"soon"}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_know_their_lines_and_broken_ones_are_named() {
        let found = rows("a.csv", "name,id\n\"two\nlines\",1\n2\nc,3\n");
        assert_eq!(found[0], (2, Ok(r#"{"name":"two\nlines","id":"1"}"#.into())));
        assert_eq!(found[1].0, 4);
        assert!(found[1].1.as_ref().unwrap_err().contains("1 fields"));
        assert_eq!(found[2], (5, Ok(r#"{"name":"c","id":"3"}"#.into())));

        let found = rows("a.jsonl", "{\"id\":1}\n\nnonsense\n[1]\n{\"id\":2}");
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3, 4, 5]);
        assert_eq!(found[3].1, Ok(r#"{"id":2}"#.into()));
        assert!(found[1].1.is_err() && found[2].1.is_err());
        assert!(Rows::open(Path::new("/nonexistent.csv")).is_err());
    }
}
