package record

import "context"

// This file is where a Replay has its entries from: a reader, or a goroutine that reads ahead.

// entrySource is a reader, or stands for one.
type entrySource interface {
	// next returns the next entry, which is valid until the next call.
	next(ctx context.Context) (*Entry, error)
	// rewind begins again.
	rewind()
	// stop ends what runs. It may be called again.
	stop()
}

// direct reads when it is asked.
type direct struct{ r *Reader }

func (d direct) next(ctx context.Context) (*Entry, error) { return d.r.Next(ctx) }
func (d direct) rewind()                                  { d.r.rewind() }
func (d direct) stop()                                    {}

// ahead reads on another goroutine, which copies entries into batches.
type ahead struct {
	r      *Reader
	ready  chan *batch // nil while nothing runs
	spare  chan *batch
	cancel context.CancelFunc
	now    *batch
	at     int
	entry  Entry
}

// batch is some entries, and the error behind them.
type batch struct {
	entries []Entry // whose Raw and Elements are not set
	ends    [][2]int
	raw     []byte
	numbers []int
	err     error
}

const (
	batchBytes   = 512 << 10
	batchEntries = 4096
	batches      = 4
)

func newAhead(r *Reader) *ahead {
	a := &ahead{r: r, spare: make(chan *batch, batches)}
	for range batches {
		a.spare <- &batch{}
	}
	return a
}

func (a *ahead) next(ctx context.Context) (*Entry, error) {
	if a.ready == nil {
		reading, cancel := context.WithCancel(context.WithoutCancel(ctx))
		a.ready, a.cancel = make(chan *batch, batches), cancel
		go a.read(reading, a.ready)
	}
	for a.now == nil || a.at == len(a.now.entries) {
		if a.now != nil {
			if a.now.err != nil {
				return nil, a.now.err
			}
			a.spare <- a.now // has room for all that there are
			a.now = nil
		}
		select {
		case b := <-a.ready:
			a.now, a.at = b, 0
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a.entry = a.now.at(a.at)
	a.at++
	return &a.entry, nil
}

// read fills batches until there is an error, which the last one has.
func (a *ahead) read(ctx context.Context, ready chan<- *batch) {
	defer close(ready)
	for {
		var b *batch
		select {
		case b = <-a.spare:
		case <-ctx.Done():
			return
		}
		b.reset()
		for b.err == nil && len(b.raw) < batchBytes && len(b.entries) < batchEntries {
			e, err := a.r.Next(ctx)
			if err != nil {
				b.err = err
				break
			}
			b.add(e)
		}
		ready <- b // has room for all that there are
		if b.err != nil {
			return
		}
	}
}

func (a *ahead) rewind() {
	a.stop()
	a.r.rewind()
}

// stop ends the goroutine, and takes back the batches that it has made.
func (a *ahead) stop() {
	if a.ready == nil {
		return
	}
	a.cancel()
	for b := range a.ready {
		a.spare <- b
	}
	if a.now != nil {
		a.spare <- a.now
	}
	a.ready, a.now = nil, nil
}

func (b *batch) reset() {
	clear(b.entries)
	b.entries, b.ends, b.raw, b.numbers, b.err = b.entries[:0], b.ends[:0], b.raw[:0], b.numbers[:0], nil
	if cap(b.raw) > 4*batchBytes {
		b.raw = nil
	}
}

func (b *batch) add(e *Entry) {
	b.raw = append(b.raw, e.Raw...)
	b.numbers = append(b.numbers, e.Elements...)
	b.ends = append(b.ends, [2]int{len(b.raw), len(b.numbers)})
	b.entries = append(b.entries, *e)
}

func (b *batch) at(i int) Entry {
	e, from, to := b.entries[i], [2]int{}, b.ends[i]
	if i > 0 {
		from = b.ends[i-1]
	}
	if e.Raw != nil {
		e.Raw = b.raw[from[0]:to[0]:to[0]]
	}
	if e.Elements != nil {
		e.Elements = b.numbers[from[1]:to[1]:to[1]]
	}
	return e
}
