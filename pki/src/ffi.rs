//! The few functions of C that no crate binds safely: certificate policies into and out of OpenSSL's path
//! verifier, how the C library gives memory back, who is to run last, and wiping. The only unsafe code of the project.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    io, mem,
};

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::{
    asn1::{Asn1Object, Asn1ObjectRef},
    x509::{X509StoreContextRef, verify::X509VerifyParamRef},
};
use openssl_sys::{ASN1_OBJECT, OPENSSL_STACK, OPENSSL_sk_num, OPENSSL_sk_value, X509_STORE_CTX, X509_VERIFY_PARAM};

use crate::{der, der_reader};

/// X509_POLICY_TREE, opaque.
enum PolicyTree {}
/// X509_POLICY_NODE, opaque.
enum PolicyNode {}

unsafe extern "C" {
    fn X509_VERIFY_PARAM_add0_policy(param: *mut X509_VERIFY_PARAM, policy: *mut ASN1_OBJECT) -> c_int;
    fn X509_STORE_CTX_get0_policy_tree(context: *const X509_STORE_CTX) -> *mut PolicyTree;
    fn X509_policy_tree_get0_user_policies(tree: *const PolicyTree) -> *mut OPENSSL_STACK;
    fn X509_policy_node_get0_policy(node: *const PolicyNode) -> *const ASN1_OBJECT;
    #[cfg(not(any(target_env = "gnu", target_env = "musl")))]
    fn OPENSSL_cleanse(octets: *mut c_void, length: usize);
    #[cfg(any(target_env = "gnu", target_env = "musl"))]
    fn explicit_bzero(octets: *mut c_void, length: usize);
}

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn mallopt(parameter: c_int, value: c_int) -> c_int;
    fn malloc_trim(pad: usize) -> c_int;
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe extern "C" {
    fn sched_setscheduler(process: c_int, policy: c_int, parameters: *const c_int) -> c_int;
}

/// Lets the calling thread, and those that it starts, run when nobody else wants to (sched(7), SCHED_IDLE).
pub(crate) fn run_when_idle() -> io::Result<()> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const SCHED_IDLE: c_int = 5;
        let priority: c_int = 0;
        // SAFETY: sched_param is one int there, which is read during the call only; 0 is the calling thread.
        match unsafe { sched_setscheduler(0, SCHED_IDLE, &raw const priority) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }
}

/// Sets two thresholds of glibc's allocator, in octets; false if it does not take them. Other C libraries
/// have no such thresholds.
pub(crate) fn allocator_thresholds(own_mapping: i32, trim: i32) -> bool {
    #[cfg(target_env = "gnu")]
    {
        const M_TRIM_THRESHOLD: c_int = -1;
        const M_MMAP_THRESHOLD: c_int = -3;
        // SAFETY: mallopt takes two numbers by value and the allocator's own lock.
        unsafe { mallopt(M_MMAP_THRESHOLD, own_mapping) == 1 && mallopt(M_TRIM_THRESHOLD, trim) == 1 }
    }
    #[cfg(not(target_env = "gnu"))]
    {
        let _ = (own_mapping, trim);
        false
    }
}

/// Gives back what glibc's allocator holds free; false if there was nothing. Other C libraries are not asked.
pub(crate) fn allocator_trim() -> bool {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: it takes a number by value and the allocator's own locks.
        unsafe { malloc_trim(0) == 1 }
    }
    #[cfg(not(target_env = "gnu"))]
    {
        false
    }
}

/// Empties a buffer and wipes all of its memory, what was cut off before included. No compiler leaves it out.
pub(crate) fn wipe(octets: &mut Vec<u8>) {
    // The C library's takes as much at once as the processor stores; OpenSSL's one word.
    #[cfg(not(any(target_env = "gnu", target_env = "musl")))]
    use OPENSSL_cleanse as wiped;
    #[cfg(any(target_env = "gnu", target_env = "musl"))]
    use explicit_bzero as wiped;
    octets.clear();
    // SAFETY: the buffer owns `capacity` octets from there on, which anybody may write; it says that none is in use.
    unsafe { wiped(octets.as_mut_ptr().cast(), octets.capacity()) }
}

/// Adds an acceptable policy; `None` if `dotted` is no identifier or memory ran out.
pub(crate) fn accept_policy(param: &mut X509VerifyParamRef, dotted: &str) -> Option<()> {
    // Checked first: OpenSSL would also take names, and the crate does not bear a NUL in the text.
    der::oid(dotted)?;
    let object = Asn1Object::from_str(dotted).ok()?;
    // SAFETY: both pointers are valid for the call. add0 takes ownership of the object exactly when
    // it succeeds; then our owner is forgotten, else it frees the object as usual.
    let added = unsafe { X509_VERIFY_PARAM_add0_policy(param.as_ptr(), object.as_ptr()) };
    if added != 1 {
        return None;
    }
    mem::forget(object);
    Some(())
}

/// The policies that the verified path follows, restricted to the accepted ones; to be called while
/// the context is initialised.
pub(crate) fn resulting_policies(context: &X509StoreContextRef) -> Vec<String> {
    let mut out = Vec::new();
    // SAFETY: the context is valid; the tree belongs to it and is null when no policy was processed.
    let tree = unsafe { X509_STORE_CTX_get0_policy_tree(context.as_ptr()) };
    if tree.is_null() {
        return out;
    }
    // SAFETY: the tree is valid; the stack belongs to it and may be null.
    let nodes = unsafe { X509_policy_tree_get0_user_policies(tree) };
    if nodes.is_null() {
        return out;
    }
    // SAFETY: the stack is valid.
    let count = unsafe { OPENSSL_sk_num(nodes) };
    for index in 0..count {
        // SAFETY: the index is below the number of elements, which are policy nodes.
        let node: *mut c_void = unsafe { OPENSSL_sk_value(nodes, index) };
        if node.is_null() {
            continue;
        }
        // SAFETY: the element is a policy node of the tree.
        let object = unsafe { X509_policy_node_get0_policy(node.cast()) };
        if object.is_null() {
            continue;
        }
        // SAFETY: the object belongs to the tree, which outlives this borrow.
        let object = unsafe { Asn1ObjectRef::from_ptr(object.cast_mut()) };
        out.extend(der_reader::oid(object.to_owned().as_slice()));
    }
    out.sort();
    out.dedup();
    out
}

#[cfg(test)]
pub(crate) mod tests {
    /// The first `length` octets of a buffer's memory, all of which were written before, whatever it holds now.
    pub(crate) fn whole(octets: &mut Vec<u8>, length: usize) -> &[u8] {
        assert!(length <= octets.capacity());
        // SAFETY: so many octets are there, and the caller wrote each of them.
        unsafe { octets.set_len(length) };
        octets
    }
}
