/* The two innermost loops, compiled: a frame in, a batch out. In Python, for where this could not be
   built, they are `ShortFrames._short` in fast.py and `ChatProtocol.send` in websocket.py. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <structmember.h>
#include <sys/socket.h>

/* text(data, at): the payload of the ordinary text frame that begins at *at*, and where the next one
   does; None if there is none. */
static PyObject *text(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2 || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "text(data: bytes, at: int)");
        return NULL;
    }
    Py_ssize_t at = PyLong_AsSsize_t(args[1]);
    if (at == -1 && PyErr_Occurred())
        return NULL;
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(args[0]);
    Py_ssize_t left = PyBytes_GET_SIZE(args[0]) - at;
    if (at < 0 || left < 6 || data[at] != 0x81 || data[at + 1] < 0x80 || data[at + 1] > 0xFE)
        Py_RETURN_NONE;
    Py_ssize_t size = data[at + 1] & 0x7F, head = 6;
    if (size == 126) {
        size = (data[at + 2] << 8) | data[at + 3];
        head = 8;
        if (size < 126)
            Py_RETURN_NONE;
    }
    if (left < head + size)
        Py_RETURN_NONE;
    PyObject *payload = PyBytes_FromStringAndSize(NULL, size);
    if (payload == NULL)
        return NULL;
    const unsigned char *mask = data + at + head - 4, *from = data + at + head;
    unsigned char *to = (unsigned char *)PyBytes_AS_STRING(payload), high = 0;
    for (Py_ssize_t i = 0; i < size; i++)
        high |= to[i] = from[i] ^ mask[i & 3];
    if (high & 0x80) {
        PyObject *decoded = PyUnicode_DecodeUTF8((const char *)to, size, NULL);
        if (decoded == NULL) {
            Py_DECREF(payload);
            if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
                return NULL;
            PyErr_Clear();
            Py_RETURN_NONE;
        }
        Py_DECREF(decoded);
    }
    return Py_BuildValue("(Nn)", payload, at + head + size);
}

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *send;
    PyObject *encode;
    int fd;
} Outlet;

/* What was encoded last: nearly always the next connection is to be sent just that. */
static PyObject *encoded, *last_batch, *last_encode, *last_data;

static PyObject *data_of(PyObject *batch, PyObject *encode)
{
    if (batch != last_batch || encode != last_encode) {
        PyObject *both[2] = {batch, encode};
        PyObject *data = PyObject_VectorcallMethod(encoded, both, 2, NULL);
        if (data == NULL)
            return NULL;
        Py_XSETREF(last_batch, Py_NewRef(batch));
        Py_XSETREF(last_encode, Py_NewRef(encode));
        Py_XSETREF(last_data, data);
    }
    return last_data;
}

/* Outlet(send, encode)(batch): what *encode* makes of *batch* goes to the socket. What does not go is
   left to send(batch, sent), where *sent* is how many bytes went, or -1: the peer has reset the
   connection, which the system tells only once. */
static PyObject *outlet_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Outlet *outlet = (Outlet *)self;
    if (PyVectorcall_NARGS(nargsf) != 1 || names != NULL) {
        PyErr_SetString(PyExc_TypeError, "an outlet takes one batch");
        return NULL;
    }
    Py_ssize_t sent = 0;
    if (outlet->fd >= 0) {
        PyObject *data = data_of(args[0], outlet->encode);
        if (data == NULL)
            return NULL;
        if (!PyBytes_Check(data)) {
            PyErr_SetString(PyExc_TypeError, "an outlet sends bytes");
            return NULL;
        }
        Py_ssize_t size = PyBytes_GET_SIZE(data);
        sent = send(outlet->fd, PyBytes_AS_STRING(data), size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent == size)
            Py_RETURN_NONE;
        if (sent < 0)
            sent = errno == ECONNRESET ? -1 : 0;
    }
    PyObject *rest = PyLong_FromSsize_t(sent);
    if (rest == NULL)
        return NULL;
    PyObject *both[2] = {args[0], rest};
    PyObject *result = PyObject_Vectorcall(outlet->send, both, 2, NULL);
    Py_DECREF(rest);
    return result;
}

static PyObject *outlet_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    PyObject *send, *encode;
    if (!PyArg_ParseTuple(args, "OO", &send, &encode))
        return NULL;
    Outlet *outlet = (Outlet *)type->tp_alloc(type, 0);
    if (outlet == NULL)
        return NULL;
    outlet->call = outlet_call;
    outlet->send = Py_NewRef(send);
    outlet->encode = Py_NewRef(encode);
    outlet->fd = -1;
    return (PyObject *)outlet;
}

static void outlet_dealloc(PyObject *self)
{
    Py_DECREF(((Outlet *)self)->send);
    Py_DECREF(((Outlet *)self)->encode);
    Py_TYPE(self)->tp_free(self);
}

static PyMemberDef outlet_members[] = {
    {"fd", T_INT, offsetof(Outlet, fd), 0, "The socket to send to directly, or -1."},
    {NULL},
};

static PyTypeObject outlet_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "chatroom._fast.Outlet",
    .tp_basicsize = sizeof(Outlet),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = outlet_new,
    .tp_dealloc = outlet_dealloc,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Outlet, call),
    .tp_members = outlet_members,
};

static PyMethodDef methods[] = {
    {"text", (PyCFunction)(void (*)(void))text, METH_FASTCALL, NULL},
    {NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "chatroom._fast", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit__fast(void)
{
    PyObject *made = NULL;
    encoded = PyUnicode_InternFromString("encoded");
    if (encoded != NULL && PyType_Ready(&outlet_type) == 0)
        made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddObjectRef(made, "Outlet", (PyObject *)&outlet_type) < 0)
        Py_CLEAR(made);
    return made;
}
