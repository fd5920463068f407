package tickstorm

// Handler receives events. Methods are called one at a time, in the order of the
// wire, on the goroutine that feeds the parser: the one in [Conn.Run], for example.
// While a method runs nothing is read, so a slow one delays the stream, and a
// stalled one gets the connection cut by the server.
//
// Everything lent to a method, the event and the slices in it, is valid until the
// method returns. See [Header] for what is safe to keep.
//
// These ten methods are all there will ever be. Other abilities are interfaces of
// one method that a handler may implement as well ([RawHandler], [MessageEndHandler];
// [StateHandler] and [GapHandler] for a [Client]; behind a [Queue] [DropHandler] and
// [ShardHandler]); they are looked up when the handler is set. The compiler does not miss
// one that is misspelt: say what you mean,
//
//	var _ tickstorm.GapHandler = (*handler)(nil)
type Handler interface {
	OnTrade(*Trade)
	OnQuote(*Quote)
	OnAggregate(*Aggregate)
	OnBook(*Book)
	OnLULD(*LULD)
	OnImbalance(*Imbalance)
	OnValue(*Value)
	// OnStatus receives what the server says of the connection. A Session has
	// acted on it already; there is no need to.
	OnStatus(*Status)
	// OnUnknown receives an event whose ev is not in the table of this market.
	OnUnknown(*Unknown)
	// OnError receives an element that is no event: no valid JSON, no object, or
	// without ev; the rest of the message is delivered. From a connection it receives
	// whole messages as well: those that are no array, go on after its end, or are binary; and a [*BackfillError].
	OnError(*EventError)
}

// RawHandler is an optional ability of a [Handler]: it receives each message before
// it is decoded. The bytes are valid until the method returns, received is in
// nanoseconds since 1970. If it returns false the message is not decoded, but for
// status events, which the session needs: the way to record or forward the stream
// without paying for its JSON. Binary messages, which the vendor does not send, go to
// OnError alone.
type RawHandler interface {
	OnRaw(msg []byte, received int64) (decode bool)
}

// MessageEndHandler is an optional ability of a [Handler]: OnMessageEnd is called
// after the last event or error of each message, which is the moment to flush a batch. It is
// not called for a message within which the handler was stopped: flush once more at the end.
type MessageEndHandler interface {
	OnMessageEnd()
}

// Tap gets a connection's messages as they came, for whoever records or forwards the stream.
// It costs the handler nothing: a [RawHandler] behind a queue keeps that from splitting, and
// so from conflating and from dealing out symbols, while a Tap sits in front of it.
//
// Its methods are called on the goroutine that reads, one at a time, before the handler, or
// the queue, has the message: they must not wait for anything. What they get is valid until
// they return. A [Session] calls OnMessage alone, a [Lasting] the others as well.
type Tap interface {
	// OnMessage gets each text message whole, statuses among them, with the time at which
	// it was read in nanoseconds since 1970. The API key and the other secrets of the Config, which a
	// server may echo, read "[redacted]"; one of less than eight bytes is not looked for, because it may
	// be part of any event. Binary messages, which the vendor does not send, go to OnError alone.
	OnMessage(msg []byte, received int64)
	// OnState and OnGap are those of [Config].OnState and OnGap, in their order among the
	// messages: a gap comes before the message that ended it.
	StateHandler
	GapHandler
}

// NopHandler does nothing. Embed it to write only the methods that matter. It has
// none of the optional abilities.
type NopHandler struct{}

var _ Handler = NopHandler{}

func (NopHandler) OnTrade(*Trade)         {}
func (NopHandler) OnQuote(*Quote)         {}
func (NopHandler) OnAggregate(*Aggregate) {}
func (NopHandler) OnBook(*Book)           {}
func (NopHandler) OnLULD(*LULD)           {}
func (NopHandler) OnImbalance(*Imbalance) {}
func (NopHandler) OnValue(*Value)         {}
func (NopHandler) OnStatus(*Status)       {}
func (NopHandler) OnUnknown(*Unknown)     {}
func (NopHandler) OnError(*EventError)    {}

// handlers is a handler with its optional abilities looked up.
type handlers struct {
	Handler
	raw RawHandler
	end MessageEndHandler
	// past is told, behind a queue that does not tell all statuses, what is of a relay's past.
	past interface{ tellPast(received int64, is bool) }
}

func resolve(h Handler) handlers {
	if h == nil {
		h = NopHandler{}
	}
	hs := handlers{Handler: h}
	hs.raw, _ = h.(RawHandler)
	if w, ok := h.(*Watch); ok && w.raw == nil {
		hs.raw = nil // nobody behind it asks for messages
	}
	hs.end, _ = h.(MessageEndHandler)
	hs.past, _ = h.(interface{ tellPast(received int64, is bool) })
	return hs
}
