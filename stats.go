package tickstorm

// Stats counts what a parser, or the connection around it, has seen.
type Stats struct {
	// Messages and Bytes are whole messages given to the parser and their length.
	Messages uint64
	Bytes    uint64
	// Events are the events decoded, by kind.
	Events [Kinds]uint64
	// Errors are the elements and messages that were no events: what OnError received,
	// or Parse returned.
	Errors uint64
	// UnknownKeys are the keys of known events that the table does not have.
	UnknownKeys uint64
	// Odd are the fields whose value did not fit: see [Header].
	Odd uint64
	// NoSymbol are the data events of a known kind that came without a symbol.
	NoSymbol uint64
	// Fast are the elements that the fast path decoded; the reference had the others.
	// Strange are the keys that it met in an order of keys it did not know, each of
	// which costs a look-up: few, once it knows the feed.
	Fast    uint64
	Strange uint64
	// Skipped are the events that were passed over because the Interest is not in them.
	Skipped uint64
	// Received are the bytes read from the connection, after TLS. A Parser has none.
	Received uint64
	// Refusals are the server's refusals of subscriptions. A Parser has none.
	Refusals uint64
	// Reconnects are the connections that a Client made after its first.
	Reconnects uint64
}

// add adds what another connection has counted.
func (s *Stats) add(t Stats) {
	s.Messages += t.Messages
	s.Bytes += t.Bytes
	for i := range s.Events {
		s.Events[i] += t.Events[i]
	}
	s.Errors += t.Errors
	s.UnknownKeys += t.UnknownKeys
	s.Odd += t.Odd
	s.NoSymbol += t.NoSymbol
	s.Fast += t.Fast
	s.Strange += t.Strange
	s.Skipped += t.Skipped
	s.Received += t.Received
	s.Refusals += t.Refusals
	s.Reconnects += t.Reconnects
}

// Total returns the number of events of all kinds.
func (s *Stats) Total() uint64 {
	var n uint64
	for _, events := range s.Events {
		n += events
	}
	return n
}
