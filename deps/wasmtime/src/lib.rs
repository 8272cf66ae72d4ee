//! Re-exports Wasmtime's C API, so that its symbols end up in this crate's
//! static library, and adds what that API lacks: a C function for
//! `wasmtime-wizer`, which turns an initialised instance into a module, and one
//! for a pool that finds the pages a run has written.

pub use wasmtime_c_api::*;

use std::ffi::c_void;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::{Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};
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
            (callbacks.done)(callbacks.baton, module.as_ptr(), module.len());
            true
        }
        Poll::Ready(Err(error)) => fail(&error),
        Poll::Pending => unreachable!("nothing in it waits"),
    }
}

/// What `wasmtime_pooling_allocation_config_t` holds, as far as mod_wasm uses it.
#[repr(C)]
pub struct pool_settings_t {
    /// Instances at once.
    instances: u32,
    memories: u32,
    memories_per_module: u32,
    memory_bytes: usize,
    /// Of each memory, after a run: so much stays in place.
    memory_keep_resident: usize,
    tables: u32,
    tables_per_module: u32,
    table_elements: usize,
    table_keep_resident: usize,
    gc_heaps: u32,
    instance_bytes: usize,
}

// `wasm_config_t` is `repr(C)` around a `Config`, its only field.
const _: () = assert!(size_of::<wasm_config_t>() == size_of::<wasmtime::Config>());

/// Makes `config` allocate from a pool that asks the kernel (`PAGEMAP_SCAN`,
/// Linux 6.7) which pages a run has written, where the kernel can tell, and
/// resets these alone.
///
/// # Safety
///
/// `config` comes from `wasm_config_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pool_strategy_set(config: *mut wasm_config_t, s: &pool_settings_t) {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(s.instances)
        .max_core_instance_size(s.instance_bytes)
        .total_memories(s.memories)
        .max_memories_per_module(s.memories_per_module)
        .max_memory_size(s.memory_bytes)
        .linear_memory_keep_resident(s.memory_keep_resident)
        .total_tables(s.tables)
        .max_tables_per_module(s.tables_per_module)
        .table_elements(s.table_elements)
        .table_keep_resident(s.table_keep_resident)
        .total_gc_heaps(s.gc_heaps)
        .max_unused_warm_slots(s.instances)
        .pagemap_scan(Enabled::Auto);
    let config = unsafe { &mut *config.cast::<wasmtime::Config>() };
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
}

/// Whether pools can ask the kernel so. The first call opens what they ask
/// through, in this process and in its future children; one that has changed
/// its user may no longer be let.
#[unsafe(no_mangle)]
pub extern "C" fn pool_knows_written() -> bool {
    PoolingAllocationConfig::is_pagemap_scan_available()
}
