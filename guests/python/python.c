// SPDX-License-Identifier: Apache-2.0
//
// The program: python3, and what it does for start images (../posix/start.c). Takes the
// place of CPython's Programs/python.c.
//
// While an image is made, the interpreter starts with the arguments of the route and imports the
// modules that PYTHON_PRELOAD names, separated by spaces or commas. An instance made from
// the image then runs the script, after the functions that these modules have registered by
// start_image.register().
#include "Python.h"
#include "pycore_initconfig.h"
#include "pycore_interp.h"
#include "pycore_moduleobject.h"
#include "pycore_pathconfig.h"
#include "pycore_pystate.h"

#include <sqlite3.h>
#include <wasi/libc-environ.h>

// Lists: of the functions to call in an instance, and of the modules that are in the image.
static PyObject *at_start, *of_image;

static PyObject *register_function(PyObject *module, PyObject *function) {
  if (!PyCallable_Check(function)) {
    return PyErr_Format(PyExc_TypeError, "the function to register must be callable, not %T", function);
  }
  if (PyList_Append(at_start, function) < 0) return NULL;
  return Py_NewRef(function);
}

static PyMethodDef kMethods[] = {
    {"register", register_function, METH_O,
     "register($module, function, /)\n--\n\n"
     "Have a function called at the beginning of each run in an instance made from the start image.\n\n"
     "Returns the function, so it can be a decorator. Without an image it is not called."},
    {NULL}};

static PyModuleDef kModule = {PyModuleDef_HEAD_INIT, .m_name = "start_image", .m_size = -1, .m_methods = kMethods,
                              .m_doc = "What is made anew in each instance of a start image."};

static PyObject *make_module(void) {
  if (!at_start) at_start = PyList_New(0);
  return at_start ? PyModule_Create(&kModule) : NULL;
}

// The directory of the script is where it will find its modules, so it is where they are now.
// Py_RunMain() adds it to sys.path, later.
static int preload(const char *names) {
  PyObject *path = PySys_GetObject("path"), *directory = NULL;
  const PyConfig *config = &_PyInterpreterState_GET()->config;
  if (!path || !PyList_Check(path)) return 0;
  if (!config->safe_path && _PyPathConfig_ComputeSysPath0(&config->argv, &directory) < 0) return -1;
  if (directory && PyList_Insert(path, 0, directory) < 0) return -1;
  static const char kSeparators[] = " ,\t\n";
  for (names += strspn(names, kSeparators); *names; names += strspn(names, kSeparators)) {
    PyObject *name = PyUnicode_FromStringAndSize(names, (Py_ssize_t)strcspn(names, kSeparators));
    PyObject *module = name ? PyImport_Import(name) : NULL;
    if (!module && name) PySys_FormatStderr("PYTHON_PRELOAD: cannot import %U\n", name);
    Py_XDECREF(name);
    if (!module) return -1;
    Py_DECREF(module);
    names += strcspn(names, kSeparators);
  }
  if (!directory) return 0;
  Py_ssize_t place = PySequence_Index(path, directory);
  Py_DECREF(directory);
  if (place < 0) {
    PyErr_Clear();  // a module has taken it away
    return 0;
  }
  return PySequence_DelItem(path, place);
}

// What modules of the standard library have drawn at random: before what others have registered, which may draw.
static int renew_at_start(void) {
  PyObject *modules = PyImport_GetModuleDict();
  PyObject *random = PyDict_GetItemString(modules, "random");
  PyObject *generator = random ? PyObject_GetAttrString(random, "_inst") : NULL;
  PyObject *seed = generator ? PyObject_GetAttrString(generator, "seed") : NULL;
  Py_XDECREF(generator);
  if (random && (!seed || PyList_Insert(at_start, 0, seed) < 0)) return -1;
  Py_XDECREF(seed);
  PyObject *tempfile = PyDict_GetItemString(modules, "tempfile");
  return tempfile ? PyObject_SetAttrString(tempfile, "_name_sequence", Py_None) : 0;
}

static int call(PyObject *module, const char *method) {
  PyObject *result = PyObject_CallMethod(module, method, NULL);
  Py_XDECREF(result);
  return result ? 0 : -1;
}

// Memory that a request can have without asking the host: an instance whose memory has not grown
// is used again. Pages that nobody writes cost nothing.
static void make_room(void) {
  enum { kRoom = 16 << 20 };
  void *volatile block = malloc(kRoom);  // the compiler would drop the pair
  free(block);
}

static int fill_image(void) {
  const char *names = getenv("PYTHON_PRELOAD");
  PyObject *registry = PyImport_ImportModule("start_image");  // makes the list
  Py_XDECREF(registry);
  if (!registry || (names && preload(names) < 0) || renew_at_start() < 0) return -1;
  if (sqlite3_initialize() != SQLITE_OK) return -1;
  PyObject *modules = PyImport_GetModuleDict();
  PyObject *script = PyDict_GetItemString(modules, "__main__");
  PyObject *names_of_main = script ? PyDict_Copy(PyModule_GetDict(script)) : NULL;
  if (!names_of_main || PyDict_DelItemString(modules, "__main__") < 0) return -1;
  of_image = PyDict_Copy(modules);
  PyObject *gc = of_image ? PyImport_ImportModule("gc") : NULL;
  // No collection in an instance looks at what is in the image, nor writes to it. The script
  // is not of the image: its module is made anew.
  int result = gc ? call(gc, "collect") : -1;
  if (result == 0) result = call(gc, "freeze");
  Py_XDECREF(gc);
  PyObject *module = result == 0 ? PyImport_AddModule("__main__") : NULL;
  if (!module || PyDict_Update(PyModule_GetDict(module), names_of_main) < 0) return -1;
  make_room();
  return 0;
}

// os.environ is a view of this dictionary.
static int renew_environment(void) {
  PyObject *posix = PyImport_ImportModule("posix");
  PyObject *environment = posix ? PyObject_GetAttrString(posix, "environ") : NULL;
  Py_XDECREF(posix);
  if (!environment) return -1;
  PyDict_Clear(environment);
  int result = 0;
  for (char **entry = __wasilibc_get_environ(); *entry && result == 0; ++entry) {
    const char *end = strchr(*entry, '=');
    if (!end) continue;
    PyObject *key = PyBytes_FromStringAndSize(*entry, end - *entry);
    PyObject *value = PyBytes_FromString(end + 1);
    // Of two with one name the first, as for any start.
    result = key && value && PyDict_SetDefault(environment, key, value) ? 0 : -1;
    Py_XDECREF(key);
    Py_XDECREF(value);
  }
  Py_DECREF(environment);
  return result;
}

static int begin(void) {
  sqlite3_randomness(0, NULL);
  if (renew_environment() < 0) return -1;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(at_start); ++i) {
    PyObject *result = PyObject_CallNoArgs(PyList_GET_ITEM(at_start, i));
    if (!result) return -1;
    Py_DECREF(result);
  }
  return 0;
}

// Drops the script and the modules that it has imported from sys.modules, and lists weak references to them.
static PyObject *drop_modules(void) {
  PyObject *modules = PyImport_GetModuleDict();
  PyObject *names = PyDict_Keys(modules), *dropped = PyList_New(0);
  for (Py_ssize_t i = 0; names && dropped && i < PyList_GET_SIZE(names); ++i) {
    PyObject *name = PyList_GET_ITEM(names, i);
    PyObject *module = PyDict_GetItemWithError(modules, name);
    if (!module || PyDict_GetItemWithError(of_image, name) == module) continue;
    PyObject *reference = PyModule_Check(module) ? PyWeakref_NewRef(module, NULL) : NULL;
    if (reference) PyList_Append(dropped, reference);
    Py_XDECREF(reference);
    PyDict_SetItem(modules, name, Py_None);
  }
  Py_XDECREF(names);
  return dropped;
}

// Called by _Py_Finalize() in an instance made from an image: takes down the script and the modules
// that it has imported, in the steps of finalize_modules(), so that destructors run and files are written. What
// is in the image stays.
void start_image_clear_modules(void) {
  PyObject *dropped = drop_modules();
  PyGC_Collect();
  for (Py_ssize_t i = dropped ? PyList_GET_SIZE(dropped) - 1 : -1; i >= 0; --i) {
    PyObject *module;  // what something still refers to
    if (PyWeakref_GetRef(PyList_GET_ITEM(dropped, i), &module) <= 0) continue;
    _PyModule_Clear(module);
    Py_DECREF(module);
  }
  Py_XDECREF(dropped);
  PyErr_Clear();
  PyGC_Collect();
}

// Is a quarter of the stack left, which serves what runs between two such questions and the handling of
// the error? CPython counts calls besides; how many fit the stack, the host's settings decide.
int PyOS_CheckStack(void) {
  enum { kMost = 256 << 10 };
  size_t size, left;
  return stack_space(&size, &left) && left < Py_MIN(size / 4, kMost);
}

static int fail(void) {
  PyErr_Print();
  return 1;
}

int main(int argc, char **argv) {
  if (start_image_in_use()) return begin() < 0 ? fail() : Py_RunMain();
  if (PyImport_AppendInittab(kModule.m_name, make_module) < 0) return 1;
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  PyStatus status = PyConfig_SetBytesArgv(&config, argc, argv);
  if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status)) Py_ExitStatusException(status);
  if (start_image_in_making()) return fill_image() < 0 ? fail() : 0;
  return Py_RunMain();
}
