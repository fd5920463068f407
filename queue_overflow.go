package tickstorm

import (
	"fmt"

	"github.com/tickstorm/tickstorm/internal/ring"
)

// Overflow is what a [Queue] does with an event that there is no room for.
type Overflow uint8

// The policies. Every event that is dropped is counted by channel in [QueueStats] and
// told to a [DropHandler]; so is one, under any of them, that is larger than the queue.
const (
	// OverflowBlock makes the reader wait for room: nothing is lost here, but the server
	// hangs up on connections that read too slowly for too long.
	OverflowBlock Overflow = iota
	// OverflowDropNewest drops the event that came.
	OverflowDropNewest
	// OverflowDropOldest drops as many of the oldest events as make room for it.
	OverflowDropOldest
	// OverflowConflate keeps of quotes, aggregates, values and books only the latest that
	// is waiting of each channel and symbol, at any depth: an older one that still waits
	// gives way to it, unless all that waited when the symbol came has been handled since. So
	// a symbol that changes all the time is handled too, and two of it may wait. Trades and all
	// other events are never conflated. When the queue is full even so, it drops the event that
	// came. An eighth of the memory remembers where the latest events are; one that finds no
	// place there does not give way.
	OverflowConflate
	// OverflowDisconnect drops the event and all that come after it, and calls
	// QueueConfig.OnOverflow, so that the connection can be ended. What is queued is
	// handled; [Queue.Err] is ErrOverflow from then on.
	OverflowDisconnect
	overflows
)

// ringPolicies are what a ring does for each.
var ringPolicies = [overflows]ring.Policy{
	OverflowBlock: ring.Block, OverflowDropNewest: ring.DropNewest, OverflowDropOldest: ring.DropOldest,
	OverflowConflate: ring.Conflate, OverflowDisconnect: ring.Refuse,
}

var overflowNames = [overflows]string{"block", "drop newest", "drop oldest", "conflate", "disconnect"}

// String returns the policy's name, such as "drop oldest".
func (o Overflow) String() string {
	if o < overflows {
		return overflowNames[o]
	}
	return "unknown"
}

// Err returns [ErrOverflow] once OverflowDisconnect has found no room.
func (q *Queue) Err() error {
	if q.overflowed.Load() {
		return ErrOverflow
	}
	return nil
}

// resume lets a queue that overflowed take events again, from another connection.
func (q *Queue) resume() { q.overflowed.Store(false) }

// DropHandler is an optional ability of a [Handler] behind a [Queue]: OnDrop is told of
// events that were dropped, before the first event that is handled after that was
// noticed, and without one when none follows. What is dropped after [Queue.Close] is only
// counted, where Run has nothing left to handle.
type DropHandler interface {
	OnDrop(*Drop)
}

// Drop is what was dropped since the last one. It is valid until the method returns.
type Drop struct {
	// Count is how many events.
	Count uint64
	// Channels is how many of each channel. Valid until the method returns.
	Channels []ChannelCount
	// First and Last are the earliest and the latest Received of them, in nanoseconds since 1970.
	First, Last int64
}

// ChannelCount is a number of events of one channel.
type ChannelCount struct {
	// Channel is its name on the wire, such as "T"; that of statuses is "status", on which the
	// session has acted all the same; "" stands for what is no event of a
	// known channel, or in a message that was not split.
	Channel string
	Count   uint64
}

// String is channel and count, such as "T 12"; channel "" is called other.
func (c ChannelCount) String() string {
	if c.Channel == "" {
		return fmt.Sprint("other ", c.Count)
	}
	return fmt.Sprint(c.Channel, " ", c.Count)
}

// countElements returns how many elements a message has, which is in one or two parts; at
// least one. Broken ones end where jsonscan.LooseEnd says.
func countElements(first, second []byte) uint64 {
	n, depth := uint64(1), 0
	inside, escaped := false, false
	for _, part := range [...][]byte{first, second} {
		for _, c := range part {
			switch {
			case escaped:
				escaped = false
			case depth == 0 && c == '[':
				depth = 1
			case depth == 0:
				if c > ' ' {
					return 1 // it is no array
				}
			case c > ']' && c < '{': // most letters
			case inside:
				inside, escaped = c != '"', c == '\\'
			case c == '"':
				inside = true
			case c == '[' || c == '{':
				depth++
			case c == ',' && depth == 1:
				n++
			case c == ']':
				if depth--; depth == 0 {
					return n
				}
			case c == '}':
				depth = max(depth-1, 1)
			}
		}
	}
	return n
}

// tell makes of what was dropped what is to be told, and reports whether there is any.
func tell(d *ring.Drops, drop *Drop, channels []string) bool {
	if d.Count == 0 {
		return false
	}
	*drop = Drop{Count: d.Count, First: d.First, Last: d.Last, Channels: appendCounts(drop.Channels[:0], channels, d.By)}
	return true
}

func appendCounts(dst []ChannelCount, channels []string, counts []uint64) []ChannelCount {
	for i, n := range counts {
		if n > 0 {
			dst = append(dst, ChannelCount{channels[i], n})
		}
	}
	return dst
}
