//! Re-exports Wasmtime's C API, so that its symbols end up in this crate's
//! static library, and adds what that API lacks: a C function for
//! `wasmtime-wizer`, which turns an initialised instance into a module, others that make
//! a module interruptible and export what an instance of it keeps from run to run, and the
//! setting of a pool that finds the pages a run has written.

mod interruptible;
mod rewindable;
mod zero_fill;

pub use wasmtime_c_api::*;

use std::cmp::Reverse;
use std::ffi::c_void;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasm_encoder::Encode;
use wasmparser::{
    BinaryReader, BinaryReaderError, ConstExpr, DataKind, ExternalKind, Operator, Parser, Payload,
};
use wasmtime::{Enabled, PoolingAllocationConfig};
use wasmtime_wizer::{InstanceState, SnapshotVal, ValType, Wizer};

/// What `wizer_pre_initialize` calls back. All are called on its thread.
#[repr(C)]
pub struct wizer_callbacks_t {
    baton: *mut c_void,
    /// Instantiates the instrumented module and calls its init function.
    /// Returns false to give up.
    run: extern "C" fn(*mut c_void, *const u8, usize) -> bool,
    /// Writes the value of an exported global: 16 bytes, little endian.
    global: extern "C" fn(*mut c_void, *const u8, usize, *mut [u8; 16]),
    /// Gives the bytes of an exported memory, which stay as they are.
    memory: extern "C" fn(*mut c_void, *const u8, usize, *mut *const u8, *mut usize),
    /// Receives the new module.
    done: extern "C" fn(*mut c_void, *const u8, usize),
    /// Receives what was wrong: UTF-8, perhaps several lines.
    failed: extern "C" fn(*mut c_void, *const u8, usize),
}

struct Instance<'a>(&'a wizer_callbacks_t);

// The futures below never leave the calling thread: they are ready at once.
unsafe impl Send for Instance<'_> {}
unsafe impl Sync for wizer_callbacks_t {}

impl InstanceState for Instance<'_> {
    async fn global_get(&mut self, name: &str, ty: ValType) -> SnapshotVal {
        let mut bytes = [0; 16];
        (self.0.global)(self.0.baton, name.as_ptr(), name.len(), &mut bytes);
        let value = u128::from_le_bytes(bytes);
        match ty {
            ValType::I32 => SnapshotVal::I32(value as i32),
            ValType::I64 => SnapshotVal::I64(value as i64),
            ValType::F32 => SnapshotVal::F32(value as u32),
            ValType::F64 => SnapshotVal::F64(value as u64),
            ValType::V128 => SnapshotVal::V128(value),
            ValType::Ref(_) => unreachable!("wizer refuses mutable globals of reference type"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let mut bytes = std::ptr::NonNull::dangling().as_ptr() as *const u8;
        let mut len = 0;
        (self.0.memory)(self.0.baton, name.as_ptr(), name.len(), &mut bytes, &mut len);
        contents(unsafe { std::slice::from_raw_parts(bytes, len) });
    }
}

/// Runs a module's init function and makes what its memory and globals hold
/// then the data of a new module.
///
/// # Safety
///
/// `wasm` points to `wasm_len` bytes; `init` to `init_len` bytes of UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wizer_pre_initialize(
    wasm: *const u8,
    wasm_len: usize,
    init: *const u8,
    init_len: usize,
    callbacks: &wizer_callbacks_t,
) -> bool {
    let wasm = unsafe { std::slice::from_raw_parts(wasm, wasm_len) };
    let init = unsafe { std::slice::from_raw_parts(init, init_len) };
    let fail = |error: &dyn std::fmt::Display| {
        let text = format!("{error:#}");
        (callbacks.failed)(callbacks.baton, text.as_ptr(), text.len());
        false
    };
    let Ok(init) = std::str::from_utf8(init) else {
        return fail(&"the init function's name is not UTF-8");
    };
    let mut wizer = Wizer::new();
    wizer.init_func(init);
    let (context, instrumented) = match wizer.instrument(wasm) {
        Ok(both) => both,
        Err(error) => return fail(&error),
    };
    if !(callbacks.run)(callbacks.baton, instrumented.as_ptr(), instrumented.len()) {
        return false;
    }
    let mut instance = Instance(callbacks);
    let snapshot = pin!(wizer.snapshot(&context, &mut instance));
    match snapshot.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(module)) => {
            let module = made_dense(&module).unwrap_or(module);
            (callbacks.done)(callbacks.baton, module.as_ptr(), module.len());
            true
        }
        Poll::Ready(Err(error)) => fail(&error),
        Poll::Pending => unreachable!("nothing in it waits"),
    }
}

// Wasmtime maps the data of a module copy-on-write where its range in memory is
// below ALWAYS_MAPPED or less than twice as large as the data; else each
// instance copies all of it. Ranges up to MOST_MAPPED are worth the zeros.
const ALWAYS_MAPPED: u64 = 16 << 20;
const MOST_MAPPED: u64 = 512 << 20;

/// The ranges to fill with zeros so that data becomes dense enough to be
/// mapped: the largest gaps, and no more of them than needed.
fn zeros_for(mut data: Vec<Range<u64>>) -> Vec<Range<u64>> {
    data.sort_by_key(|range| range.start);
    let (Some(first), Some(last)) = (data.first(), data.last()) else {
        return Vec::new();
    };
    let whole = last.end - first.start;
    let bytes: u64 = data.iter().map(|range| range.end - range.start).sum();
    if whole < ALWAYS_MAPPED || whole > MOST_MAPPED || whole < 2 * bytes {
        return Vec::new();
    }
    let mut gaps: Vec<_> = data.windows(2).map(|pair| pair[0].end..pair[1].start).collect();
    gaps.sort_by_key(|gap| Reverse(gap.end.saturating_sub(gap.start)));
    let mut wanted = whole / 2 + 1 - bytes;
    gaps.retain_mut(|gap| {
        gap.end = gap.end.min(gap.start + wanted);
        wanted -= gap.end.saturating_sub(gap.start);
        !gap.is_empty()
    });
    gaps
}

/// Adds zeros to the data of a module that wizer wrote, where `zeros_for` says
/// so. They come after all segments, so that no segment changes its index.
/// `None`: the module is as it should be, or its data is not in one memory of
/// 32 bits.
fn made_dense(module: &[u8]) -> Option<Vec<u8>> {
    let address = |offset: &ConstExpr| match offset.get_operators_reader().read() {
        Ok(Operator::I32Const { value }) => Some(value),
        _ => None,
    };
    let mut data = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::DataSection(section) = payload.ok()? {
            for segment in section {
                let segment = segment.ok()?;
                if let DataKind::Active { memory_index, offset_expr } = segment.kind {
                    let begin = u64::from(address(&offset_expr)? as u32);
                    if memory_index != 0 {
                        return None;
                    }
                    data.push(begin..begin + segment.data.len() as u64);
                }
            }
        }
    }
    let zeros = zeros_for(data);
    if zeros.is_empty() {
        return None;
    }

    let mut dense = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.ok()? {
            Payload::DataCountSection { count, .. } => {
                let count = count + zeros.len() as u32;
                dense.section(&wasm_encoder::DataCountSection { count });
            }
            Payload::DataSection(section) => {
                let mut segments = wasm_encoder::DataSection::new();
                for segment in section {
                    let segment = segment.ok()?;
                    let bytes = segment.data.iter().copied();
                    match segment.kind {
                        DataKind::Passive => segments.passive(bytes),
                        DataKind::Active { offset_expr, .. } => segments.active(
                            0,
                            &wasm_encoder::ConstExpr::i32_const(address(&offset_expr)?),
                            bytes,
                        ),
                    };
                }
                for range in &zeros {
                    segments.active(
                        0,
                        &wasm_encoder::ConstExpr::i32_const(range.start as u32 as i32),
                        std::iter::repeat_n(0, (range.end - range.start) as usize),
                    );
                }
                dense.section(&segments);
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    dense.section(&wasm_encoder::RawSection { id, data: &module[range] });
                }
            }
        }
    }
    Some(dense.finish())
}

// `wasmtime_pooling_allocation_config_t` is a `PoolingAllocationConfig` and
// nothing else: with the same size, its only field can only lie at its start.
const _: () = assert!(
    size_of::<wasmtime_pooling_allocation_config_t>() == size_of::<PoolingAllocationConfig>()
);

/// Makes a pool ask the kernel which pages of a memory a run has written
/// (`PAGEMAP_SCAN`, Linux 6.7), and reset these alone, where the kernel can tell.
///
/// # Safety
///
/// `pool` comes from `wasmtime_pooling_allocation_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pool_reset_written_set(pool: *mut wasmtime_pooling_allocation_config_t) {
    let pool = unsafe { &mut *pool.cast::<PoolingAllocationConfig>() };
    pool.pagemap_scan(Enabled::Auto);
}

/// Whether pools can ask the kernel so. The first call opens what they ask
/// through, in this process and in its future children; one that has changed
/// its user may no longer be let.
#[unsafe(no_mangle)]
pub extern "C" fn pool_knows_written() -> bool {
    PoolingAllocationConfig::is_pagemap_scan_available()
}

/// Hands `done` a module with its memory exported, and functions that begin a run with its globals
/// as they were at first (rewindable.rs), if these are all that a run can leave behind in an
/// instance of it. Else `done` is not called.
///
/// # Safety
///
/// `wasm` points to `wasm_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn module_with_state_exported(
    wasm: *const u8,
    wasm_len: usize,
    done: extern "C" fn(*mut c_void, *const u8, usize),
    baton: *mut c_void,
) {
    let wasm = unsafe { std::slice::from_raw_parts(wasm, wasm_len) };
    if let Some(module) = rewindable::with_state_exported(wasm) {
        done(baton, module.as_ptr(), module.len());
    }
}

/// Hands `done` a module whose code can be interrupted (interruptible.rs) and leaves clear pages
/// alone (zero_fill.rs), or `failed` the reason why there is none: UTF-8.
///
/// # Safety
///
/// `wasm` points to `wasm_len` bytes, a valid module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn module_with_checks(
    wasm: *const u8,
    wasm_len: usize,
    done: extern "C" fn(*mut c_void, *const u8, usize),
    failed: extern "C" fn(*mut c_void, *const u8, usize),
    baton: *mut c_void,
) {
    let wasm = unsafe { std::slice::from_raw_parts(wasm, wasm_len) };
    let changed = interruptible::with_checks(wasm)
        .and_then(|module| Ok(zero_fill::with_clear_pages_kept(&module)?.unwrap_or(module)));
    match changed {
        Ok(module) => done(baton, module.as_ptr(), module.len()),
        Err(error) => {
            let text = error.to_string();
            failed(baton, text.as_ptr(), text.len());
        }
    }
}

fn kind(kind: ExternalKind) -> wasm_encoder::ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => wasm_encoder::ExportKind::Func,
        ExternalKind::Table => wasm_encoder::ExportKind::Table,
        ExternalKind::Memory => wasm_encoder::ExportKind::Memory,
        ExternalKind::Global => wasm_encoder::ExportKind::Global,
        ExternalKind::Tag => wasm_encoder::ExportKind::Tag,
    }
}

/// The bytes of `wasm` in `range`, with `inserted` at each of `places`, which ascend.
fn with_insertions(wasm: &[u8], range: Range<usize>, places: &[usize], inserted: &[u8]) -> Vec<u8> {
    let mut changed = Vec::with_capacity(range.len() + places.len() * inserted.len());
    let mut copied = range.start;
    for place in places {
        changed.extend(&wasm[copied..*place]);
        changed.extend(inserted);
        copied = *place;
    }
    changed.extend(&wasm[copied..range.end]);
    changed
}

/// A section's content, which is a vector, with `count` more elements.
fn with_more(section: &[u8], count: u32, elements: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut reader = BinaryReader::new(section, 0);
    let count = reader.read_var_u32()? + count;
    let mut longer = Vec::with_capacity(section.len() + elements.len() + 5);
    count.encode(&mut longer);
    longer.extend(&section[reader.original_position()..]);
    longer.extend(elements);
    Ok(longer)
}
