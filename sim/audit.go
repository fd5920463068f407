package sim

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"github.com/tickstorm/tickstorm"
)

// Audit is a handler that holds the stream of a server with [Config].Numbered against
// its numbers, one by one: each is delivered once and in order, or it is missing where
// that has been accounted for. A hole in the numbers is explained by
//
//   - a gap: OnGap came between the events around it;
//   - errors: OnError came between them, with the elements that are missing;
//   - drops: OnDrop has told of that many trades and quotes, received in the time between
//     the events around the hole;
//   - conflation, of which only the sum is known: see Conflated.
//
// What is left of it is missing without a word. Numbers that come twice or too late, and
// drops that were told of what is not missing, are wrong as well. Backfilled events are
// counted apart and not checked. Where the stream starts, and where it ends, a test has to
// compare itself: Report has the first and the last number, and [Stats] the server's.
//
// The numbers are those of trades and quotes: subscribe to nothing else that has a q. An
// Audit stands behind one connection or Client, and one consumer of a queue: the order
// across several is not that of the numbers. Report may be called from any goroutine; to
// follow a handler of your own, embed an Audit in it, and call its methods in yours. The
// zero Audit is ready for use.
type Audit struct {
	tickstorm.NopHandler

	// Conflated, if not nil, returns how many events gave way to later ones, such as
	// [tickstorm.QueueStats].Conflated. It is asked when a hole is found that nothing else
	// explains. Set it before the first event.
	Conflated func() uint64

	mu     sync.Mutex // protects what follows
	report Report
	gap    bool     // told since the last event
	broken uint64   // events reported broken since then
	told   []window // in the order of the stream, but for those that are spent or past
}

// window is a number of drops that were told and have not been found missing yet.
type window struct {
	count       uint64
	first, last int64
}

// maxWindows bounds the drops that are remembered one by one; of more, the newest are taken
// together. maxFindings bounds what is put into words.
const (
	maxWindows  = 1 << 12
	maxFindings = 16
)

// Report is what an [Audit] has found.
type Report struct {
	// First and Last are the lowest and the highest number; 0 if there is none.
	First, Last int64
	// Events are the live events with a number.
	Events uint64
	// Backfilled are the events that were fetched later.
	Backfilled uint64
	// Gaps are the gaps that were told, Drops the trades and quotes that were told as
	// dropped, Errors the elements that were reported broken.
	Gaps, Drops, Errors uint64

	// What the missing numbers are put down to.
	InGaps, Dropped, Conflated, Broken uint64

	// Missing are the numbers that nothing explains, Repeats and Regressions the events
	// whose number was that of the event before, or lower. Surplus are the drops that were
	// told without a number that is missing.
	Missing, Repeats, Regressions, Surplus uint64
	// Findings says where, of the first few.
	Findings []string
}

// Err returns an error that lists what is wrong, nil if nothing is.
func (r Report) Err() error {
	if r.Missing+r.Repeats+r.Regressions+r.Surplus == 0 {
		return nil
	}
	return fmt.Errorf("sim: audit: %d missing, %d repeated, %d out of order, %d told as dropped that are not: %s",
		r.Missing, r.Repeats, r.Regressions, r.Surplus, strings.Join(r.Findings, "; "))
}

// String gives the report in a line.
func (r Report) String() string {
	return fmt.Sprintf("%d events, %d to %d; missing in %d gaps %d, dropped %d, conflated %d, broken %d, unexplained %d; %d repeated, %d out of order; %d backfilled",
		r.Events, r.First, r.Last, r.Gaps, r.InGaps, r.Dropped, r.Conflated, r.Broken, r.Missing, r.Repeats, r.Regressions, r.Backfilled)
}

// Report returns what was found so far.
func (a *Audit) Report() Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.report
	r.Findings = append([]string(nil), r.Findings...)
	return r
}

// OnTrade checks a trade.
func (a *Audit) OnTrade(e *tickstorm.Trade) { a.check(&e.Header, e.Sequence) }

// OnQuote checks a quote.
func (a *Audit) OnQuote(e *tickstorm.Quote) { a.check(&e.Header, e.Sequence) }

// OnGap explains the hole before the next event, of whatever size.
func (a *Audit) OnGap(*tickstorm.Gap) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.report.Gaps++
	a.gap = true
}

// OnDrop explains holes in the time of the drop.
func (a *Audit) OnDrop(d *tickstorm.Drop) {
	w := window{first: d.First, last: d.Last}
	for _, c := range d.Channels {
		if c.Channel == "T" || c.Channel == "Q" {
			w.count += c.Count
		}
	}
	if w.count == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.report.Drops += w.count
	if n := len(a.told); n == maxWindows {
		newest := &a.told[n-1]
		newest.count += w.count
		newest.first, newest.last = min(newest.first, w.first), max(newest.last, w.last)
		return
	}
	a.told = append(a.told, w)
}

// OnError explains as many numbers before the next event as the broken bytes have events.
func (a *Audit) OnError(e *tickstorm.EventError) {
	if e.Raw == nil { // a backfill that failed
		return
	}
	events := uint64(max(1, bytes.Count(e.Raw, []byte(`"ev"`))))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.report.Errors += events
	a.broken += events
}

func (a *Audit) check(h *tickstorm.Header, number int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.report
	if h.Backfilled {
		r.Backfilled++
		return
	}
	last := r.Last
	r.Events++
	switch {
	case r.First == 0:
		r.First, r.Last = number, number
		a.expire(h.Received, false) // of what came before the first there is no hole
	case number > last:
		r.Last = number
		if number > last+1 {
			a.explain(uint64(number-last-1), number, h.Received)
		}
		a.expire(h.Received, true)
	case number == last:
		r.Repeats++
		a.find("%d came twice", number)
	default:
		r.Regressions++
		a.find("%d came after %d", number, last)
	}
	a.gap, a.broken = false, 0
}

// explain puts the missing numbers before number down to what was told of them.
func (a *Audit) explain(missing uint64, number, received int64) {
	r := &a.report
	spend := func(most uint64, sum *uint64) uint64 {
		n := min(missing, most)
		missing -= n
		*sum += n
		return n
	}
	for i := range a.told { // in the order of the stream
		w := &a.told[i]
		if missing == 0 || w.first > received {
			break
		}
		w.count -= spend(w.count, &r.Dropped)
	}
	spend(a.broken, &r.Broken)
	if a.gap {
		spend(missing, &r.InGaps)
	}
	if missing > 0 && a.Conflated != nil {
		if all := a.Conflated(); all > r.Conflated {
			spend(all-r.Conflated, &r.Conflated)
		}
	}
	if missing > 0 {
		r.Missing += missing
		a.find("%d missing before %d", missing, number)
	}
}

// expire forgets the drops of a time for which all holes have been seen.
func (a *Audit) expire(received int64, due bool) {
	for len(a.told) > 0 && (a.told[0].last < received || a.told[0].count == 0) {
		if n := a.told[0].count; n > 0 && due {
			a.report.Surplus += n
			a.find("%d told as dropped before %d are not missing", n, a.report.Last)
		}
		a.told = a.told[1:]
	}
}

func (a *Audit) find(format string, args ...any) {
	if len(a.report.Findings) < maxFindings {
		a.report.Findings = append(a.report.Findings, fmt.Sprintf(format, args...))
	}
}

var (
	_ tickstorm.GapHandler  = (*Audit)(nil)
	_ tickstorm.DropHandler = (*Audit)(nil)
)
