//! The part of plugin.h and strategy.h that this plugin uses, written out by hand. Fields stand in the order of the
//! headers; a struct that carries `size` is never copied whole, for its producer may know more or fewer fields.
#![allow(dead_code)]

use std::ffi::c_void;
use std::os::raw::c_char;

pub const OK: i32 = 0;
pub const E_ARG: i32 = -2;
pub const E_DATA: i32 = -3;
pub const E_BUG: i32 = -6;
pub const MINOR: u16 = 0;
pub const STATE_OPEN: u32 = 2;

/// Bytes that the other side owns; good for the call they came with.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub p: *const u8,
    pub n: u64,
}

impl Str {
    /// # Safety
    /// `p` points to `n` bytes, or `n` is 0.
    pub unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.n == 0 {
            return &[];
        }
        std::slice::from_raw_parts(self.p, self.n as usize)
    }
}

#[repr(C)]
pub struct Err {
    pub size: u32,
    pub cls: i32,
    pub http: u32,
    pub retry_after_ms: u32,
    pub msg: [u8; 256],
}

#[repr(C)]
pub struct Host {
    pub size: u32,
    pub minor: u32,
    pub ctx: *mut c_void,
}

#[repr(C)]
pub struct Hello {
    pub size: u32,
    pub host_minor: u32,
    pub oldest_plugin_minor: u32,
    pub flags: u32,
    pub host_version: *const c_char,
}

#[repr(C)]
pub struct Kind {
    pub size: u32,
    pub flags: u32,
    pub iface: *const c_char,
    pub name: *const c_char,
    pub schema: *const c_char,
    pub caps: *const c_char,
    pub vt: *const c_void,
}

#[repr(C)]
pub struct Lib {
    pub size: u32,
    pub minor: u16,
    pub need_host_minor: u16,
    pub flags: u32,
    pub nkinds: u32,
    pub id: *const c_char,
    pub version: *const c_char,
    pub build: *const c_char,
    pub kinds: *const *const Kind,
    pub init: Option<unsafe extern "C" fn(*const Host, *mut Err) -> i32>,
    pub fini: Option<unsafe extern "C" fn()>,
    pub self_test: Option<unsafe extern "C" fn(*const Host, *mut Err) -> i32>,
}

#[repr(C)]
pub struct Candidate {
    pub size: u32,
    pub state: u32,
    pub id: u64,
    pub provider: Str,
    pub model: Str,
    pub region: Str,
    pub est_cost_nano: i64,
    pub weight: u32,
    pub priority: u32,
}

#[repr(C)]
pub struct Request {
    pub size: u32,
    pub flags: u32,
    pub task: Str,
    pub model: Str,
    pub feature: Str,
    pub account: Str,
    pub key_id: Str,
    pub region: Str,
}

#[repr(C)]
pub struct Score {
    pub size: u32,
    pub flags: u32,
    pub score: i64,
    pub timeout_ms: u32,
    pub hedge_after_ms: u32,
    pub retries: u32,
    pub retry_cls_mask: u32,
    pub reason: [u8; 64],
}

pub type ScoreFn = unsafe extern "C" fn(
    *mut c_void,
    *const Request,
    *const Candidate,
    u32,
    u32,
    *mut Score,
    u32,
    *mut Err,
) -> i32;

#[repr(C)]
pub struct Strategy {
    pub size: u32,
    pub flags: u32,
    pub open:
        unsafe extern "C" fn(Str, *const Host, *mut c_void, *mut *mut c_void, *mut Err) -> i32,
    pub close: unsafe extern "C" fn(*mut c_void),
    pub score: ScoreFn,
    pub observe: Option<unsafe extern "C" fn(*mut c_void, *const c_void)>,
    pub save: Option<unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void) -> i32>,
    pub load: Option<unsafe extern "C" fn(*mut c_void, Str) -> i32>,
}

/// A table that is constant and holds pointers to constants alone.
pub struct Static<T>(pub T);
unsafe impl<T> Sync for Static<T> {}

/// Copies text into a fixed buffer and ends it with NUL.
pub fn put(into: &mut [u8], text: &str) {
    let n = text.len().min(into.len() - 1);
    into[..n].copy_from_slice(&text.as_bytes()[..n]);
    into[n] = 0;
}
