package sink

import (
	"time"

	"github.com/tickstorm/tickstorm"
)

// Row is one element of a message as it came, or a [Notice] that stands between messages. It is
// valid until [Engine].Write returns; its strings are safe to keep.
type Row struct {
	// ID is the same however often the row is written.
	ID ID
	// Market is that of the recording or client.
	Market tickstorm.Market
	// Channel is the ev of the element, such as "T"; "" of a notice, and of what is no event: broken
	// elements are rows too.
	Channel string
	// Symbol is spelled as the wire has it, without escapes; "" if there is none.
	Symbol string
	// SymbolID is the symbol's number in [Config].Symbols, dense from 1, for state that is kept in
	// arrays; 0 if there is no symbol or the table is full.
	SymbolID uint32
	// Received is when the message was read or the notice's matter happened, in nanoseconds since
	// 1970.
	Received int64
	// Raw is the element, or the notice as JSON. Valid until Write returns.
	Raw []byte
	// Notice is not nil if it is one: it belongs to a subject, topic or table of its own.
	Notice *Notice
}

// Batch is what an [Engine] is given at once. It is valid until Write returns.
type Batch struct {
	// Rows are in the order of the recording, whose elements of one symbol are in the order of the
	// wire. There is at least one.
	Rows []Row
	// Bytes is the length of all Raw together.
	Bytes int
}

// batch is a Batch with what it needs while it is filled.
type batch struct {
	rows  []Row
	raw   []byte
	bytes int
	first time.Time  // when its first row was added
	after []position // where the source stands behind it
}

func (b *batch) reset(maxBytes int) {
	clear(b.rows) // notices are not to be kept
	b.rows, b.bytes = b.rows[:0], 0
	if cap(b.raw) > 2*maxBytes { // an element that was longer than a batch
		b.raw = nil
	}
	b.raw = b.raw[:0]
}

// hold copies bytes into the batch.
func (b *batch) hold(raw []byte) []byte {
	start := len(b.raw)
	b.raw = append(b.raw, raw...)
	return b.raw[start:len(b.raw):len(b.raw)]
}

// add takes a row whose Raw is held.
func (b *batch) add(row Row) {
	b.rows = append(b.rows, row)
	b.bytes += len(row.Raw)
}
