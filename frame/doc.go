// Package frame is the WebSocket protocol (RFC 6455) after the opening handshake, as a
// state machine without any input or output: for clients and for servers, and without
// extensions.
//
// A [Framer] is one end of one connection. Received bytes go in by [Framer.Feed], or without
// a copy by [Framer.Buffer] and [Framer.Commit]. Whole messages come out at a [Handler].
// Bytes to send are queued by [Framer.Send], [Framer.Ping] and [Framer.Close], and by the
// protocol itself, which answers pings and closes; they wait in [Framer.Outgoing] until
// [Framer.Sent] tells that they are gone. A loop around it is that of any connection: read
// into Buffer, Commit, write Outgoing, until there is an error.
//
// # The way of a message
//
//   - window.go: the bytes lie in the read window, where the loop has read them to, or in
//     the memory given to Feed. They are parsed there.
//   - read.go: consume walks over whole frames. Unfragmented text from a server, which is
//     what feeds consist of, stays in its inner loop: a header, a check of the text, a call of
//     the handler. Any other frame, and the beginning of one, is frameSlow's: it checks the
//     header, unmasks, gathers fragments, answers control frames, and is the only one to
//     change the state of the protocol.
//   - utf8.go: text is checked as it comes, across frames and reads.
//   - write.go: what is to be sent is put in frames, masked, and queued.
//   - errors.go: how a connection ends.
//
// # Cuts
//
// However the received bytes are cut, the calls on the handler, the errors and the bytes
// queued are the same; and what can be known to be wrong is reported as soon as the bytes
// that show it are there. When the peer breaks the protocol a close frame with the code that
// the RFC names is queued, and Feed or Commit returns a [*CloseError].
//
// # Memory
//
// A Framer allocates nothing once its buffers have grown to what the traffic needs, and
// gives back what a burst made them grow. Nothing is allocated for a length that a peer only
// declares. Many connections can read into one window, by [Framer.Borrow].
//
// What a Handler is lent is valid until its method returns. A build with the race detector, or
// with the tag tickstorm_poison, overwrites it then, so that whoever keeps it fails in a test.
package frame
