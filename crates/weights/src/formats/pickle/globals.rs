//! Which classes and functions of Python a pickle may name.
//!
//! Three verdicts: a few of PyTorch are understood; those by which a pickle attacks whoever opens it are refused by
//! name, so that the user learns of it; all others (callbacks of Lightning, scalars of NumPy) are inert. Of the inert ones
//! a pickle may call what real checkpoints call ([`is_usual_call`]); any other call is refused as suspicious, because
//! the file would run it in other programs. No safety depends on the lists being complete, since nothing is ever called.
//! They follow what the scanners look for: <https://github.com/mmaitre314/picklescan>, and the web UI's `safe.py`.

use safetensors::Dtype;

use super::Known;

/// What is done about a name.
pub(super) enum Verdict {
    /// The name is understood.
    Known(Known),
    /// The name is let be and does nothing.
    Inert,
    /// The name is only used by attacks.
    Malicious,
}

/// Modules that run programs or code, write files or use the network; refused if they are the first part of a name.
const MODULES: &str = " \
    os nt posix sys subprocess commands pty runpy importlib imp pkgutil zipimport ctypes _ctypes cffi code codeop \
    marshal pickle _pickle cPickle dill cloudpickle joblib shelve shutil tempfile glob fileinput linecache socket \
    _socket ssl socketserver select selectors asyncio multiprocessing concurrent threading _thread signal _signal \
    http httplib urllib urllib2 urllib3 requests aiohttp httpx ftplib smtplib telnetlib poplib imaplib xmlrpc \
    webbrowser antigravity pip ensurepip venv distutils setuptools pydoc doctest pdb bdb trace timeit profile \
    cProfile idlelib lib2to3 unittest test operator _operator inspect gc atexit site builtins __builtin__ \
    __builtins__ winreg _winreg _winapi msvcrt mmap resource platform sqlite3 _sqlite3 ";

/// Parts of a name that are refused wherever they stand: the way from any module to the rest.
const PARTS: &str = " \
    os nt posix sys subprocess builtins __builtin__ __builtins__ __import__ __globals__ __subclasses__ \
    __getattribute__ __reduce__ __code__ __class__ __base__ __mro__ __loader__ __spec__ eval exec execfile execv \
    execve compile system popen Popen spawn spawnv fork getattr setattr delattr open import_module runstring \
    run_code check_output check_call FunctionType CodeType FileIO ";

/// Functions of PyTorch and NumPy that load or run more.
const FUNCTIONS: &str = " \
    torch.load torch.jit.load torch.hub.load torch.hub.download_url_to_file torch.save torch.serialization.load \
    torch.storage._load_from_bytes torch.utils.model_zoo.load_url numpy.load numpy.save numpy.fromfile \
    torch.package.PackageImporter ";

/// What of Python's `builtins` does nothing.
const HARMLESS: &str = " \
    set frozenset dict list tuple int float bool str bytes bytearray complex slice range xrange object unicode long \
    NotImplemented Ellipsis ";

/// What training programs keep beside the weights and makes nothing but values. Nothing here calls what it is given
/// (as `copyreg.__newobj__` does): that would be a way around the list.
const USUAL_CALLS: &str = " \
    _codecs.encode argparse.Namespace collections.deque collections.Counter \
    datetime.date datetime.datetime datetime.time datetime.timedelta datetime.timezone decimal.Decimal \
    fractions.Fraction pathlib.Path pathlib.PosixPath pathlib.PurePath pathlib.PurePosixPath \
    pathlib.PureWindowsPath pathlib.WindowsPath types.SimpleNamespace uuid.UUID \
    numpy.core.multiarray.scalar numpy.core.multiarray._reconstruct numpy._core.multiarray.scalar \
    numpy._core.multiarray._reconstruct numpy.dtype numpy.ndarray numpy.float64 numpy.float32 numpy.int64 \
    torch.device torch._utils._rebuild_device_tensor_from_numpy torch._utils._rebuild_parameter_with_state \
    torch._utils._rebuild_qtensor torch._utils._rebuild_sparse_tensor torch._utils._rebuild_sparse_csr_tensor \
    torch.nn.parameter.Parameter torch.serialization._get_layout \
    omegaconf.base.ContainerMetadata omegaconf.base.Metadata omegaconf.dictconfig.DictConfig \
    omegaconf.listconfig.ListConfig omegaconf.nodes.AnyNode omegaconf.nodes.BooleanNode omegaconf.nodes.FloatNode \
    omegaconf.nodes.IntegerNode omegaconf.nodes.StringNode \
    pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint \
    pytorch_lightning.utilities.parsing.AttributeDict \
    lightning_fabric.utilities.data.AttributeDict lightning.fabric.utilities.data.AttributeDict ";

/// Whether real checkpoints call this class or function, which makes a value and nothing else.
pub(super) fn is_usual_call(module: &str, name: &str) -> bool {
    let builtin = matches!(module, "builtins" | "__builtin__");
    // Storages of types that are not read.
    let storage = matches!(module, "torch" | "torch.cuda" | "torch.storage") && name.ends_with("Storage");
    builtin || storage || USUAL_CALLS.contains(&format!(" {module}.{name} "))
}

/// Whether it is a class of networks, or of what ultralytics keeps beside one. Objects of them are containers of tensors
/// to us; their classes begin with a capital, and functions do not.
pub(super) fn is_network(module: &str, name: &str) -> bool {
    let is_of = ["torch.nn.modules.", "ultralytics."].iter().any(|start| module.starts_with(start));
    is_of && name.starts_with(|first: char| first.is_ascii_uppercase())
}

/// What is done about the class or function `name` of a Python module.
pub(super) fn verdict(module: &str, name: &str) -> Verdict {
    let has = |list: &str, word: &str| list.contains(&format!(" {word} "));
    if matches!(module, "builtins" | "__builtin__") && has(HARMLESS, name) {
        return if name == "dict" { Verdict::Known(Known::Dict) } else { Verdict::Inert };
    }
    let first = module.split('.').next().unwrap_or_default();
    let mut parts = module.split('.').chain(name.split('.'));
    if has(MODULES, first) || parts.any(|part| has(PARTS, part)) || has(FUNCTIONS, &format!("{module}.{name}")) {
        return Verdict::Malicious;
    }
    known(module, name).map_or(Verdict::Inert, Verdict::Known)
}

fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("collections", "OrderedDict" | "defaultdict") => Known::Dict,
        ("copyreg" | "copy_reg", "_reconstructor") => Known::Reconstructor,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Known::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Known::RebuildTensorV3,
        ("torch._utils", "_rebuild_parameter") => Known::RebuildParameter,
        ("torch.nn.modules.container", "ParameterDict") => Known::ParameterDict,
        ("torch", "Size") => Known::Size,
        // Numbers of any type, as bytes.
        ("torch.storage" | "torch", "UntypedStorage") => Known::Storage(Dtype::U8),
        ("torch", name) if !name.ends_with("Storage") => Known::Dtype(dtype(name)?),
        ("torch" | "torch.cuda", name) => Known::Storage(match name.strip_suffix("Storage")? {
            "Float" => Dtype::F32,
            "Half" => Dtype::F16,
            "BFloat16" => Dtype::BF16,
            "Double" => Dtype::F64,
            "Long" => Dtype::I64,
            "Int" => Dtype::I32,
            "Short" => Dtype::I16,
            "Char" => Dtype::I8,
            "Byte" => Dtype::U8,
            "Bool" => Dtype::BOOL,
            _ => return None,
        }),
        _ => return None,
    })
}

/// torch's names of types.
fn dtype(name: &str) -> Option<Dtype> {
    Some(match name {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::BF16,
        "float64" => Dtype::F64,
        "float8_e4m3fn" => Dtype::F8_E4M3,
        "float8_e5m2" => Dtype::F8_E5M2,
        "int64" => Dtype::I64,
        "int32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" => Dtype::I8,
        "uint64" => Dtype::U64,
        "uint32" => Dtype::U32,
        "uint16" => Dtype::U16,
        "uint8" => Dtype::U8,
        "bool" => Dtype::BOOL,
        _ => return None,
    })
}
