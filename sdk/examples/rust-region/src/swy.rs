//! The part of plugin.h and strategy.h that this plugin uses, written out by hand. Fields stand in the order of the
//! headers; a struct that carries `size` is never copied whole, for its producer may know more or fewer fields.
//! Drafts may change with a minor release of Switchyard: the test below compares the mirrors with the headers' layout.
#![allow(dead_code)]

use std::ffi::c_void;
use std::os::raw::c_char;

pub const OK: i32 = 0;
pub const E_ARG: i32 = -2;
pub const E_DATA: i32 = -3;
pub const E_BUG: i32 = -6;
pub const MINOR: u16 = 0;
pub const STATE_CLOSED: u32 = 0;
pub const STATE_HALF_OPEN: u32 = 1;
pub const STATE_OPEN: u32 = 2;
/// A candidate with this score is not tried.
pub const SCORE_EXCLUDE: i64 = i64::MIN;
/// What the host hands over; an answer that leaves it so is a fault.
pub const SCORE_UNSET: i64 = i64::MAX;

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
pub struct Kv {
    pub k: Str,
    pub v: Str,
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
    pub log: unsafe extern "C" fn(*const Host, *mut c_void, i32, Str),
    pub now_ns: unsafe extern "C" fn(*const Host, i32) -> u64,
    pub ext: unsafe extern "C" fn(*const Host, *const c_char) -> *const c_void,
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
    pub inflight: u32,
    pub inflight_max: u32,
    pub err_ppm: u32,
    pub rpm_left: u32,
    pub tpm_left: u64,
    pub ctx_tokens: u64,
    pub samples: u64,
    pub ttft_us: u32,
    pub ttft_p95_us: u32,
    pub latency_us: u32,
    pub latency_p95_us: u32,
    pub tok_per_s: u32,
    pub flags: u32,
    pub tag: *const Kv,
    pub ntag: u64,
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
    pub language: Str,
    pub currency: Str,
    pub tok_in_est: u64,
    pub tok_out_est: u64,
    pub tok_out_max: u64,
    pub deadline_ns: u64,
    pub now_ns: u64,
    pub seed: u64,
    pub affinity: u64,
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

#[repr(C)]
pub struct Outcome {
    pub size: u32,
    pub cls: i32,
    pub http: u32,
    pub flags: u32,
    pub cand: u64,
    pub ttft_us: u32,
    pub latency_us: u32,
    pub tok_in: u64,
    pub tok_out: u64,
    pub cost_nano: i64,
}

/// Writes a piece of the state that `save` hands over.
pub type Write = unsafe extern "C" fn(*mut c_void, Str) -> i32;

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
    pub observe: Option<unsafe extern "C" fn(*mut c_void, *const Outcome)>,
    pub save: Option<unsafe extern "C" fn(*mut c_void, Write, *mut c_void) -> i32>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{size_of, MaybeUninit};
    use std::ptr::addr_of;

    /// "struct member offset size" of each member, and "struct - 0 size".
    macro_rules! layout {
        ($lines:ident, $mirror:ident = $name:literal, $($member:ident)+) => {
            let it = MaybeUninit::<$mirror>::uninit();
            let base = it.as_ptr();
            $lines.push(format!("{} - 0 {}", $name, size_of::<$mirror>()));
            $({
                // Addresses alone are taken: nothing is read.
                let member = unsafe { addr_of!((*base).$member) };
                fn size_at<T>(_: *const T) -> usize {
                    size_of::<T>()
                }
                let offset = member as usize - base as usize;
                $lines.push(format!("{} {} {} {}", $name, stringify!($member), offset, size_at(member)));
            })+
        };
    }

    fn mirrors() -> Vec<String> {
        let mut lines = Vec::new();
        layout!(lines, Str = "swy_str", p n);
        layout!(lines, Kv = "swy_kv", k v);
        layout!(lines, Err = "swy_err", size cls http retry_after_ms msg);
        layout!(lines, Host = "swy_host", size minor ctx log now_ns ext);
        layout!(lines, Hello = "swy_hello", size host_minor oldest_plugin_minor flags host_version);
        layout!(lines, Kind = "swy_kind", size flags iface name schema caps vt);
        layout!(lines, Lib = "swy_lib", size minor need_host_minor flags nkinds id version build kinds
            init fini self_test);
        layout!(lines, Candidate = "swy_cand", size state id provider model region est_cost_nano
            weight priority inflight inflight_max err_ppm rpm_left tpm_left ctx_tokens samples
            ttft_us ttft_p95_us latency_us latency_p95_us tok_per_s flags tag ntag);
        layout!(lines, Request = "swy_rreq", size flags task model feature account key_id region
            language currency tok_in_est tok_out_est tok_out_max deadline_ns now_ns seed affinity);
        layout!(lines, Score = "swy_score", size flags score timeout_ms hedge_after_ms retries
            retry_cls_mask reason);
        layout!(lines, Outcome = "swy_outcome", size cls http flags cand ttft_us latency_us tok_in
            tok_out cost_nano);
        layout!(lines, Strategy = "swy_strategy", size flags open close score observe save load);
        lines
    }

    /// SWITCHYARD_LAYOUT names Switchyard's tests/abi/freeze/layout.txt; without it nothing is compared.
    #[test]
    fn the_mirrors_are_what_the_headers_say() {
        let file = match std::env::var_os("SWITCHYARD_LAYOUT") {
            Some(file) => file,
            None => return,
        };
        let known = std::fs::read_to_string(file).unwrap();
        // "strategy.h swy_cand size 0 4 uint32_t" without its first and last column.
        let known: Vec<String> = known
            .lines()
            .map(|line| {
                line.split(' ')
                    .skip(1)
                    .take(4)
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let ours = mirrors();
        for line in &ours {
            assert!(known.contains(line), "the headers do not say: {line}");
        }
        for line in known {
            let name = line.split(' ').next().unwrap();
            let mirrored = ours.iter().any(|own| own.split(' ').next() == Some(name));
            assert!(!mirrored || ours.contains(&line), "not mirrored: {line}");
        }
    }
}
