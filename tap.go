package tickstorm

import "bytes"

// Tap gets a connection's messages as they came, for whoever records or forwards the stream.
// It costs the handler nothing: a [RawHandler] behind a queue keeps that from splitting, and
// so from conflating and from dealing out symbols, while a Tap sits in front of it.
//
// Its methods are called on the goroutine that reads, one at a time, before the handler, or
// the queue, has the message: they must not wait for anything. What they get is valid until
// they return. A [Session] calls OnMessage alone, a [Lasting] the others as well.
type Tap interface {
	// OnMessage gets each text message whole, statuses among them, with the time at which
	// it was read in nanoseconds since 1970. An API key in it, which a server may echo, is
	// overwritten by asterisks. Binary messages, which the vendor does not send, go to
	// OnError alone.
	OnMessage(msg []byte, received int64)
	// OnState and OnGap are those of [Config].OnState and OnGap, in their order among the
	// messages: a gap comes before the message that ended it.
	StateHandler
	GapHandler
}

// tap gives a message to the Tap.
func (s *Session) tap(msg []byte) {
	if key := []byte(s.cfg.Key); bytes.Contains(msg, key) {
		msg = bytes.ReplaceAll(msg, key, bytes.Repeat([]byte("*"), len(key)))
	}
	s.cfg.Tap.OnMessage(msg[:len(msg):len(msg)], s.received)
}
