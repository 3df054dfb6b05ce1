use super::{Loader, Table, data_handle, top_handles};
use crate::lsm::{Error, block::Block, entry::Kind};
use crate::storage::Storage;
use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;
use core::ops::Range;

/// Walks the records of one table, both ways.
#[derive(Debug, Clone)]
pub(in crate::lsm) struct TableCursor {
    table: Arc<Table>,
    top: Block,
    top_at: usize,
    index: Block,
    index_at: usize,
    data: Block,
    data_at: usize,
    /// Kind and value of the record whose key was read last.
    current: (Kind, Range<usize>),
}

impl TableCursor {
    /// Stands at the first record at or after `key`, or at none.
    pub(in crate::lsm) fn seek<S: Storage>(
        loader: &mut Loader<'_, S>,
        table: &Arc<Table>,
        key: &[u8],
    ) -> Result<Option<TableCursor>, Error> {
        if table.top.len == 0 {
            return Ok(None);
        }
        let top = loader.block(table, table.top)?;
        let top_at = top.lower_bound(key);
        if top_at == top.count() {
            return Ok(None);
        }
        let index = loader.block(table, top_handles(table, &top, top_at)?.0)?;
        let index_at = index.lower_bound(key);
        if index_at == index.count() {
            return Err(table.corruption(table.top.offset, "an index that ends before its top index says"));
        }
        let data = loader.block(table, data_handle(table, &index, index_at)?)?;
        let data_at = data.lower_bound(key);
        let table = table.clone();
        let mut cursor = TableCursor {
            table,
            top,
            top_at,
            index,
            index_at,
            data,
            data_at,
            current: (Kind::Deleted, 0..0),
        };
        if cursor.data_at == cursor.data.count() && !cursor.next_block(loader)? {
            return Ok(None);
        }
        Ok(Some(cursor))
    }
    /// Stands at the last record before `key`, or at none.
    pub(in crate::lsm) fn seek_before<S: Storage>(
        loader: &mut Loader<'_, S>,
        table: &Arc<Table>,
        key: &[u8],
    ) -> Result<Option<TableCursor>, Error> {
        if let Some(mut cursor) = TableCursor::seek(loader, table, key)? {
            return Ok(cursor.previous(loader)?.then_some(cursor));
        }
        if table.top.len == 0 {
            return Ok(None);
        }
        let top = loader.block(table, table.top)?;
        let Some(top_at) = top.count().checked_sub(1) else { return Ok(None) };
        let index = loader.block(table, top_handles(table, &top, top_at)?.0)?;
        let Some(index_at) = index.count().checked_sub(1) else { return Ok(None) };
        let data = loader.block(table, data_handle(table, &index, index_at)?)?;
        let data_at = data.count();
        let table = table.clone();
        let mut cursor = TableCursor {
            table,
            top,
            top_at,
            index,
            index_at,
            data,
            data_at,
            current: (Kind::Deleted, 0..0),
        };
        Ok(cursor.previous(loader)?.then_some(cursor))
    }
    /// Whether there was a next record.
    pub(in crate::lsm) fn next<S: Storage>(&mut self, loader: &mut Loader<'_, S>) -> Result<bool, Error> {
        self.data_at += 1;
        if self.data_at < self.data.count() { Ok(true) } else { self.next_block(loader) }
    }
    fn next_block<S: Storage>(&mut self, loader: &mut Loader<'_, S>) -> Result<bool, Error> {
        loop {
            self.index_at += 1;
            if self.index_at >= self.index.count() {
                self.top_at += 1;
                if self.top_at >= self.top.count() {
                    return Ok(false);
                }
                let handle = top_handles(&self.table, &self.top, self.top_at)?.0;
                self.index = loader.block(&self.table, handle)?;
                self.index_at = 0;
            }
            if self.index_at < self.index.count() {
                let handle = data_handle(&self.table, &self.index, self.index_at)?;
                self.data = loader.block(&self.table, handle)?;
                self.data_at = 0;
                if self.data.count() > 0 {
                    return Ok(true);
                }
            }
        }
    }
    /// Whether there was a previous record.
    pub(in crate::lsm) fn previous<S: Storage>(&mut self, loader: &mut Loader<'_, S>) -> Result<bool, Error> {
        loop {
            if self.data_at > 0 {
                self.data_at -= 1;
                return Ok(true);
            }
            while self.index_at == 0 {
                if self.top_at == 0 {
                    return Ok(false);
                }
                self.top_at -= 1;
                let handle = top_handles(&self.table, &self.top, self.top_at)?.0;
                self.index = loader.block(&self.table, handle)?;
                self.index_at = self.index.count();
            }
            self.index_at -= 1;
            let handle = data_handle(&self.table, &self.index, self.index_at)?;
            self.data = loader.block(&self.table, handle)?;
            self.data_at = self.data.count();
        }
    }
    /// Decodes the record that the cursor has come to: its key goes to `key`, the rest is kept.
    pub(in crate::lsm) fn read_key(&mut self, key: &mut Vec<u8>) {
        let entry = self.data.entry(self.data_at);
        key.clear();
        key.extend_from_slice(self.data.prefix());
        key.extend_from_slice(entry.suffix);
        self.current = (entry.kind, entry.value);
    }
    pub(in crate::lsm) fn kind(&self) -> Kind {
        self.current.0
    }
    pub(in crate::lsm) fn value(&self) -> Bytes {
        self.data.value(self.current.1.clone())
    }
    pub(in crate::lsm) fn value_slice(&self) -> &[u8] {
        self.data.slice(self.current.1.clone())
    }
}
