//! A routing strategy in Rust: targets in the request's own region come first, the others in the order they stand.
//!
//! Configuration: none, or {} - a strategy with settings would parse `cfg` in `open`.

mod swy;

use std::ffi::c_void;
use std::os::raw::c_char;
use std::panic::catch_unwind;
use std::ptr;
use swy::{Candidate, Err, Hello, Host, Kind, Lib, Request, Score, Static, Str, Strategy};

struct Instance;

/// Higher is better; the host breaks ties by the order of the configuration.
fn rank(request: &[u8], candidate: &[u8]) -> (i64, &'static str) {
    match (request.is_empty(), candidate == request) {
        (true, _) => (0, "the request names no region"),
        (false, true) => (1, "in the request's region"),
        (false, false) => (0, "in another region"),
    }
}

unsafe extern "C" fn open(
    cfg: Str,
    _host: *const Host,
    _tag: *mut c_void,
    inst: *mut *mut c_void,
    err: *mut Err,
) -> i32 {
    let text = String::from_utf8_lossy(cfg.bytes())
        .split_whitespace()
        .collect::<String>();
    if !matches!(text.as_str(), "" | "{}" | "null") {
        swy::put(&mut (*err).msg, "takes no configuration, expected {}");
        return swy::E_DATA;
    }
    *inst = Box::into_raw(Box::new(Instance)).cast();
    swy::OK
}

unsafe extern "C" fn close(inst: *mut c_void) {
    drop(Box::from_raw(inst.cast::<Instance>()));
}

unsafe extern "C" fn score(
    _inst: *mut c_void,
    request: *const Request,
    candidates: *const Candidate,
    n: u32,
    stride: u32,
    out: *mut Score,
    out_stride: u32,
    _err: *mut Err,
) -> i32 {
    // No panic may cross into the host.
    catch_unwind(|| {
        let wanted = (*request).region.bytes();
        for i in 0..n as usize {
            // The host's structs may be longer than the ones known here: the strides say where each begins.
            let candidate = &*candidates
                .cast::<u8>()
                .add(i * stride as usize)
                .cast::<Candidate>();
            let answer = &mut *out
                .cast::<u8>()
                .add(i * out_stride as usize)
                .cast::<Score>();
            let (score, reason) = rank(wanted, candidate.region.bytes());
            answer.score = score;
            swy::put(&mut answer.reason, reason);
        }
        swy::OK
    })
    .unwrap_or(swy::E_BUG)
}

const fn c_str(text: &'static str) -> *const c_char {
    text.as_ptr().cast()
}

static STRATEGY: Static<Strategy> = Static(Strategy {
    size: std::mem::size_of::<Strategy>() as u32,
    flags: 0,
    open,
    close,
    score,
    observe: None,
    save: None,
    load: None,
});

static KIND: Static<Kind> = Static(Kind {
    size: std::mem::size_of::<Kind>() as u32,
    flags: 0,
    iface: c_str("swy.strategy/0\0"),
    name: c_str("region\0"),
    schema: ptr::null(),
    caps: c_str("{}\0"),
    vt: ptr::addr_of!(STRATEGY.0).cast(),
});

static KINDS: Static<[*const Kind; 1]> = Static([ptr::addr_of!(KIND.0)]);

static LIB: Static<Lib> = Static(Lib {
    size: std::mem::size_of::<Lib>() as u32,
    minor: swy::MINOR,
    need_host_minor: 0,
    flags: 0,
    nkinds: 1,
    id: c_str("example.region\0"),
    version: c_str("1.0.0\0"),
    build: c_str("rustc\0"),
    kinds: ptr::addr_of!(KINDS.0).cast(),
    init: None,
    fini: None,
    self_test: None,
});

#[no_mangle]
pub extern "C" fn swy_plugin_v1(_hello: *const Hello) -> *const Lib {
    ptr::addr_of!(LIB.0)
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn the_own_region_comes_first() {
        assert!(rank(b"eu", b"eu").0 > rank(b"eu", b"us").0);
        assert_eq!(rank(b"", b"eu").0, rank(b"", b"us").0);
    }
}
