// Package sock is what a connection needs of the system: a descriptor that never blocks,
// epoll, the shim that makes crypto/tls go on after a read that would block, and options of
// sockets. It knows nothing of what is sent. What needs Linux returns
// [errors.ErrUnsupported] elsewhere.
package sock
