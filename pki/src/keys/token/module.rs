//! PKCS#11 modules: loaded and initialised once per process, whoever uses them.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
};

use super::{TokenFault, fault::says};

/// C_Initialize is per process and per module (rust-cryptoki #260).
static MODULES: LazyLock<Mutex<HashMap<PathBuf, Arc<Module>>>> = LazyLock::new(Mutex::default);

/// A loaded module.
pub(super) struct Module {
    /// Held for reading during every call, for writing while it begins anew.
    context: RwLock<Pkcs11>,
    /// Tokens with open sessions: they would lose them in a new beginning.
    in_use: AtomicUsize,
}

impl Module {
    /// The module of this file.
    pub(super) fn of(path: &Path) -> Result<Arc<Self>, TokenFault> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(path) {
            return Ok(Arc::clone(module));
        }
        let failed = |error: Error| TokenFault::Module(format!("{}: {}", path.display(), says(&error)));
        let context = Pkcs11::new(path).map_err(failed)?;
        initialize(&context).map_err(failed)?;
        let module = Arc::new(Self { context: RwLock::new(context), in_use: AtomicUsize::new(0) });
        modules.insert(path.to_owned(), Arc::clone(&module));
        Ok(module)
    }

    /// The module, to be called as long as the guard lives.
    pub(super) fn enter(&self) -> RwLockReadGuard<'_, Pkcs11> {
        self.context.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew: many modules see a token that was plugged in only then. Not while any token of it is
    /// in use or any call is under way.
    pub(super) fn restart(&self) -> Result<(), TokenFault> {
        let Ok(context) = self.context.try_write() else { return Ok(()) };
        if self.in_use.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        let failed = |error: Error| TokenFault::Module(says(&error));
        match context.clone().finalize() {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiNotInitialized, _)) => {}
            Err(error) => return Err(failed(error)),
        }
        initialize(&context).map_err(failed)
    }

    pub(super) fn used(&self) {
        self.in_use.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn unused(&self) {
        self.in_use.fetch_sub(1, Ordering::SeqCst);
    }
}

fn initialize(context: &Pkcs11) -> Result<(), Error> {
    match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Somebody else in this process did it: fine as long as nobody ends it.
        Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        outcome => outcome,
    }
}
