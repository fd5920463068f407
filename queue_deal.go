package tickstorm

// This file calls the handlers behind a queue for what has not come through it, while no
// consumer is at work: in a control.

// first returns the handler for what is no event.
func (q *Queue) first() Handler { return q.shards[0].handlers.Load().Handler }

// dealer returns a handler that gives each event to the handler that has its symbol.
func (q *Queue) dealer() Handler {
	first := q.first()
	if len(q.shards) == 1 || !q.sharded.Load() {
		return first
	}
	return &dealer{Handler: first, q: q}
}

// dealer has the first consumer's handler for what has no symbol.
type dealer struct {
	Handler
	q *Queue
}

func (d *dealer) of(h *Header) Handler {
	if h.Symbol == "" {
		return d.Handler
	}
	return d.q.shards[d.q.scanner.shardOf([]byte(h.Symbol))].handlers.Load().Handler
}

func (d *dealer) OnTrade(e *Trade)         { d.of(&e.Header).OnTrade(e) }
func (d *dealer) OnQuote(e *Quote)         { d.of(&e.Header).OnQuote(e) }
func (d *dealer) OnAggregate(e *Aggregate) { d.of(&e.Header).OnAggregate(e) }
func (d *dealer) OnBook(e *Book)           { d.of(&e.Header).OnBook(e) }
func (d *dealer) OnLULD(e *LULD)           { d.of(&e.Header).OnLULD(e) }
func (d *dealer) OnImbalance(e *Imbalance) { d.of(&e.Header).OnImbalance(e) }
func (d *dealer) OnValue(e *Value)         { d.of(&e.Header).OnValue(e) }

// lastEventTime is that of the consumers' parsers.
func (q *Queue) lastEventTime() int64 {
	newest := int64(0)
	for _, s := range q.shards {
		newest = max(newest, s.parser.lastEventTime())
	}
	return newest
}

// handlesHere reports whether the calling goroutine is a consumer's.
func (q *Queue) handlesHere() bool {
	id := goroutineID()
	for _, s := range q.shards {
		if id != 0 && s.owner.Load() == id {
			return true
		}
	}
	return false
}

// blocked reports whether the feeding side waits for room.
func (q *Queue) blocked() bool {
	for _, s := range q.shards {
		s.mu.Lock()
		waiting := s.waiting
		s.mu.Unlock()
		if waiting {
			return true
		}
	}
	return false
}
