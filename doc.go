// Package tickstorm streams market data from Polygon.io (Massive.com) over WebSocket
// and delivers it as typed events, without allocating, copying or blocking between
// the socket and the handler.
//
// # Layers
//
// Each layer works without the one above it:
//
//   - [Parser] turns one message into calls of a [Handler]. It knows JSON and the
//     vendor's events, and no connection.
//   - [Session] is one connection as a pure state machine, for event loops of your
//     own: bytes and the time go in; events and bytes to send come out. Its WebSocket
//     half is package frame, which knows nothing of the vendor.
//   - [Conn] is a Session on a socket: [Dial], [Conn.Subscribe], [Conn.Run].
//   - [Client] is a Conn that lasts: it reconnects, subscribes again, and tells its states
//     ([StateHandler]) and what was missed ([GapHandler], [Backfill]).
//   - [Queue] decouples a slow handler from the socket, in bounded memory; a Client has one.
//   - [Poller] is an event loop on epoll for many connections on one thread, with
//     TLS, reconnecting ones ([PollerClient]) among them; [Conn.Detach] gives a connection,
//     as a [Detached], to an event loop of the program's own. Both are for Linux.
//
// # Events
//
// There are eight kinds of events, the same on every market: [Trade], [Quote],
// [Aggregate], [Book], [LULD], [Imbalance], [Value] and [Status]. What the library
// does not know arrives as [Unknown], what is no event as [EventError]; nothing is
// dropped in silence.
//
// # Ownership
//
// An event and every slice in it are lent: valid until the handler method returns.
// Strings are not lent and safe to keep. Clone makes a copy to keep, [Pool] one to
// give back. A build with the race detector, or with the tag tickstorm_poison,
// overwrites what was lent as soon as it is taken back, so that a program that keeps
// a pointer fails in its tests.
//
// # Keys
//
// The API key is in Config.Key and nowhere else: it is not printed with a Config, and
// is taken out of the server's statuses before they reach an error, a log or a handler.
// Other events are delivered as they came.
package tickstorm
