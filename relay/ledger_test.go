package relay

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/internal/dialogue"
)

// vendor is an upstream as a Client is one: requests are answered one after the other, when the
// test says so.
type vendor struct {
	mu              sync.Mutex // protects what follows; not held while answers are told
	wanted, held    map[tickstorm.Topic]bool
	refused, silent map[tickstorm.Topic]bool
	queue           []question
	log             []string // what it was asked for
}

type question struct {
	subscribe bool
	topics    []tickstorm.Topic
	done      func(error)
}

func newVendor() *vendor {
	set := func() map[tickstorm.Topic]bool { return map[tickstorm.Topic]bool{} }
	return &vendor{wanted: set(), held: set(), refused: set(), silent: set()}
}

func (v *vendor) Request(done func(error), topics ...tickstorm.Topic) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range topics {
		v.wanted[t] = true
	}
	v.queue = append(v.queue, question{true, topics, done})
	v.log = append(v.log, "+"+listed(topics))
	return nil
}

func (v *vendor) Withdraw(done func(error), topics ...tickstorm.Topic) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range topics {
		delete(v.wanted, t)
	}
	v.queue = append(v.queue, question{false, topics, done})
	v.log = append(v.log, "-"+listed(topics))
	return nil
}

func (v *vendor) Granted() []tickstorm.Topic {
	v.mu.Lock()
	defer v.mu.Unlock()
	return sorted(v.held)
}

func (v *vendor) Topics() []tickstorm.Topic {
	v.mu.Lock()
	defer v.mu.Unlock()
	return sorted(v.wanted)
}

// answer answers all questions, and those that follow from the answers.
func (v *vendor) answer() {
	for v.answerOne() {
	}
}

func (v *vendor) answerOne() bool {
	v.mu.Lock()
	if len(v.queue) == 0 {
		v.mu.Unlock()
		return false
	}
	q := v.queue[0]
	v.queue = v.queue[1:]
	result := &tickstorm.SubscribeError{}
	for _, t := range q.topics {
		switch {
		case !q.subscribe:
			delete(v.held, t)
		case v.refused[t]:
			delete(v.wanted, t)
			result.Refused = append(result.Refused, t)
			result.Refusals = append(result.Refusals, &tickstorm.StatusError{Code: tickstorm.StatusNotAuthorized, Status: "error", Message: "not authorized"})
		case v.silent[t]:
			result.Pending = append(result.Pending, t)
		default:
			v.held[t] = true
		}
	}
	v.mu.Unlock()
	switch {
	case q.done == nil:
	case len(result.Refused)+len(result.Pending) > 0:
		q.done(result)
	default:
		q.done(nil)
	}
	return true
}

// reconnect breaks the connection and makes the next one, which is answered.
func (v *vendor) reconnect(l *ledger) {
	l.down()
	v.mu.Lock()
	clear(v.held)
	open := v.queue
	v.queue = nil
	change := &tickstorm.StateChange{State: tickstorm.StateStreaming}
	for _, t := range sorted(v.wanted) {
		switch {
		case v.refused[t]:
			delete(v.wanted, t)
			change.Refused = append(change.Refused, t)
		case v.silent[t]:
			change.Pending = append(change.Pending, t)
		default:
			v.held[t] = true
		}
	}
	v.mu.Unlock()
	for _, q := range open { // its answer is shared out
		if q.subscribe {
			v.mu.Lock()
			later := v.queue
			v.queue = []question{q}
			v.mu.Unlock()
			v.answerOne()
			v.mu.Lock()
			v.queue = append(later, v.queue...)
			v.mu.Unlock()
		} else if q.done != nil {
			q.done(nil)
		}
	}
	l.streaming(change)
}

// idle reports whether all is answered.
func (v *vendor) idle() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.queue) == 0
}

// moody has topics granted, refused or not answered from now on.
func (v *vendor) moody(topics []dialogue.Asked, mood int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range topics {
		v.refused[t.ID], v.silent[t.ID] = mood == 1, mood == 2
	}
}

// sends reports whether events of a topic come.
func (v *vendor) sends(t tickstorm.Topic) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.held[t] || v.held[tickstorm.Topic{Channel: t.Channel, Symbol: tickstorm.All}]
}

func (v *vendor) asked() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	log := strings.Join(v.log, " ")
	v.log = nil
	return log
}

// program is a client of the ledger.
type program struct {
	mu    sync.Mutex // protects what follows
	heard []string
	wants map[tickstorm.Topic]bool
}

func (p *program) answer(statuses ...dialogue.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range statuses {
		p.heard = append(p.heard, s.Message)
	}
}

func (p *program) grant(statuses []dialogue.Status, topics []tickstorm.Topic) {
	p.answer(statuses...)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range topics {
		p.wants[t] = true
	}
}

func (p *program) unwant(topics ...tickstorm.Topic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range topics {
		delete(p.wants, t)
	}
}

// said takes what the program was told.
func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := slices.Sorted(slices.Values(p.heard))
	p.heard = nil
	return strings.Join(heard, "; ")
}

func (p *program) wanted() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return listed(sorted(p.wants))
}

func sorted(set map[tickstorm.Topic]bool) []tickstorm.Topic {
	var topics []tickstorm.Topic
	for t := range set {
		topics = append(topics, t)
	}
	slices.SortFunc(topics, func(a, b tickstorm.Topic) int { return cmp.Compare(a.String(), b.String()) })
	return topics
}

func listed(topics []tickstorm.Topic) string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.String()
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// desk is a ledger with its upstream.
type desk struct {
	*ledger
	v *vendor
}

func newDesk(m tickstorm.Market) desk {
	v := newVendor()
	l := newLedger(m, v)
	l.optionLimit, l.topicLimit, l.linger, l.patience = 3, 100, 30*time.Second, 10*time.Second
	return desk{l, v}
}

func (d desk) program() *program {
	p := &program{wants: map[tickstorm.Topic]bool{}}
	d.join(p)
	return p
}

func (d desk) sub(p *program, params string) { d.subscribe(p, dialogue.Topics(d.market, params)) }
func (d desk) end(p *program, params string) { d.unsubscribe(p, dialogue.Topics(d.market, params)) }

// promised returns what a program gets, and of each whether that is certain: what the upstream does
// not give any more may be on its way by another topic.
func (d desk) promised(p *program, moody bool) map[tickstorm.Topic]bool {
	d.mu.Lock() // under which programs are told
	defer d.mu.Unlock()
	topics := map[tickstorm.Topic]bool{}
	for w := range p.wants {
		e := d.find(w)
		topics[w] = len(e.holds[p].waiting) == 0 && (!moody || e.carrier().up == granted || d.v.idle())
	}
	return topics
}

// on runs a test in a bubble.
func on(t *testing.T, m tickstorm.Market, test func(t *testing.T, d desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(m)
		t.Cleanup(d.close)
		test(t, d)
		d.mu.Lock()
		defer d.mu.Unlock()
		for e := range d.entries() {
			require.True(t, len(e.holds) > 0 || e.up != absent, "%s is kept for nobody", e.id)
		}
	})
}

func TestLedgerAcknowledges(t *testing.T) {
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "T.AAPL, q.x,Q.msft,ZZ.A")
		require.Empty(t, a.said(), "nothing before the upstream has answered")
		require.Equal(t, "+Q.MSFT,T.AAPL", d.v.asked())
		d.sub(b, "T.AAPL")
		require.Empty(t, b.said())
		require.Empty(t, d.v.asked(), "it is on its way")
		d.v.answer()
		require.Equal(t, "subscribed to: Q.msft; subscribed to: T.AAPL", a.said(), "in its own spelling")
		require.Equal(t, "subscribed to: T.AAPL", b.said())
		require.Equal(t, "Q.MSFT,T.AAPL", a.wanted())
		d.sub(b, "Q.MSFT,T.AAPL")
		require.Equal(t, "subscribed to: Q.MSFT; subscribed to: T.AAPL", b.said(), "at once, and again")
		require.Empty(t, d.v.asked())
		d.end(a, "T.AAPL,T.NONE")
		require.Equal(t, "unsubscribed to: T.AAPL; unsubscribed to: T.NONE", a.said())
		require.Equal(t, "Q.MSFT", a.wanted())
		d.leave(a)
		d.sub(a, "T.AAPL")
		require.Empty(t, a.said(), "it is nobody any more")
		require.Empty(t, d.v.asked(), "all is wanted by the other")
	})
}

func TestLedgerAcknowledgesEachSpelling(t *testing.T) {
	on(t, tickstorm.Forex, func(t *testing.T, d desk) {
		a := d.program()
		d.sub(a, "C.EUR-USD,C.EUR/USD,C.C:EUR-USD,C.EUR-USD")
		require.Equal(t, "+C.EUR/USD", d.v.asked())
		d.v.answer()
		require.Equal(t, "subscribed to: C.C:EUR-USD; subscribed to: C.EUR-USD; subscribed to: C.EUR/USD", a.said())
		for i := range 3 * maxSpellings {
			d.sub(a, "CA."+strings.Repeat("C:", i)+"EUR-USD")
		}
		d.mu.Lock()
		waiting := d.find(tickstorm.Topic{Channel: "CA", Symbol: "EUR/USD"}).holds[a].waiting
		d.mu.Unlock()
		require.Len(t, waiting, maxSpellings)
	})
}

func TestLedgerRefusesWhoAsked(t *testing.T) {
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.v.refused[tickstorm.Topic{Channel: "Q", Symbol: "A"}] = true
		d.sub(a, "T.A")
		d.sub(b, "T.A,Q.A,T.SPY*")
		require.Equal(t, "not authorized", b.said(), "which cannot be sent at all")
		d.v.answer()
		require.Equal(t, "subscribed to: T.A", a.said())
		require.Equal(t, "not authorized; subscribed to: T.A", b.said())
		require.Equal(t, "T.A", b.wanted())
		d.v.asked()
		d.sub(a, "Q.A")
		require.Equal(t, "+Q.A", d.v.asked(), "a plan may have changed")
		d.v.answer()
		require.Equal(t, "not authorized", a.said())
		require.Empty(t, b.said())
	})
}

func TestLedgerSaysWhatIsPending(t *testing.T) {
	silent := tickstorm.Topic{Channel: "T", Symbol: "A"}
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a := d.program()
		d.sub(a, "T.A")
		time.Sleep(d.patience)
		synctest.Wait()
		require.Equal(t, "pending: T.A", a.said())
		require.Equal(t, "T.A", a.wanted(), "events may come")
		time.Sleep(2 * d.patience)
		require.Empty(t, a.said(), "once")
		d.v.answer()
		require.Equal(t, "subscribed to: T.A", a.said())
	})
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b, c := d.program(), d.program(), d.program()
		d.v.silent[silent] = true
		d.sub(a, "T.A,T.B")
		d.v.answer()
		require.Equal(t, "pending: T.A; subscribed to: T.B", a.said())
		d.v.asked()
		d.sub(b, "T.A")
		require.Equal(t, "+T.A", d.v.asked(), "it is asked for again")
		d.v.answer()
		require.Equal(t, "pending: T.A", b.said())
		d.leave(c)
		a.said()
		d.acked(silent)
		require.Equal(t, "subscribed to: T.A", a.said())
		require.Equal(t, "subscribed to: T.A", b.said())
		d.acked(silent)
		require.Empty(t, a.said())
	})
}

func TestLedgerLingers(t *testing.T) {
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "T.A,T.B,T.C")
		d.v.answer()
		d.v.asked()
		d.leave(a)
		time.Sleep(d.linger - time.Nanosecond)
		d.sub(b, "T.B")
		require.Equal(t, "subscribed to: T.B", b.said(), "it has stayed")
		require.Empty(t, d.v.asked())
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, "-T.A,T.C", d.v.asked(), "together")
		d.sub(b, "T.A")
		require.Equal(t, "+T.A", d.v.asked())
		require.Empty(t, b.said(), "its end is on its way")
		d.v.answer()
		require.Equal(t, "subscribed to: T.A", b.said())
		for range 1000 { // who comes and goes does not pile up
			d.end(b, "T.A")
			d.sub(b, "T.A")
		}
		d.mu.Lock()
		require.Less(t, len(d.lingering), 200)
		d.mu.Unlock()
		time.Sleep(2 * d.linger)
		synctest.Wait()
		require.Empty(t, d.v.asked())
		require.Empty(t, d.lingering)
		require.Zero(t, d.idle)
		d.leave(b)
		time.Sleep(d.linger)
		synctest.Wait()
		require.Equal(t, "-T.A,T.B", d.v.asked())
	})
}

func TestLedgerForgetsWhoIsGone(t *testing.T) {
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a := d.program()
		d.sub(a, "T.A,T.B")
		d.end(a, "T.B")
		require.Equal(t, "unsubscribed to: T.B", a.said())
		d.leave(a)
		d.v.refused[tickstorm.Topic{Channel: "T", Symbol: "B"}] = true
		d.v.answer()
		require.Empty(t, a.said())
		require.Empty(t, a.wanted())
		d.v.asked()
		time.Sleep(d.linger)
		synctest.Wait()
		require.Equal(t, "-T.A", strings.Replace(d.v.asked(), ",T.B", "", 1))
		require.Nil(t, d.find(tickstorm.Topic{Channel: "T", Symbol: "A"}))
	})
}

func TestLedgerGivesUpLongBeforeTheAnswer(t *testing.T) {
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "T.A")
		d.leave(a)
		time.Sleep(d.linger)
		synctest.Wait()
		d.sub(b, "T.A")
		require.Equal(t, "+T.A -T.A +T.A", d.v.asked())
		d.v.answerOne()
		require.Empty(t, b.said(), "that was the answer of the other")
		d.v.answer()
		require.Equal(t, "subscribed to: T.A", b.said())
		require.True(t, d.v.sends(tickstorm.Topic{Channel: "T", Symbol: "A"}))
	})
}

func TestLedgerAllBesideSymbols(t *testing.T) {
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b, c := d.program(), d.program(), d.program()
		d.sub(a, "T.A,Q.A")
		d.v.answer()
		d.v.asked()
		d.sub(b, "T.*")
		d.sub(c, "T.B,Q.B")
		require.Equal(t, "+T.* +Q.B", d.v.asked(), "a symbol waits for All")
		d.v.answerOne()
		require.Equal(t, "subscribed to: T.B", c.said())
		d.v.answer()
		d.sub(c, "T.C,T.D")
		require.Equal(t, "subscribed to: Q.B; subscribed to: T.C; subscribed to: T.D", c.said())
		d.end(a, "T.A")
		d.end(c, "T.D")
		time.Sleep(2 * d.linger)
		synctest.Wait()
		require.Empty(t, d.v.asked(), "no symbol is given up under All")

		d.end(b, "T.*")
		time.Sleep(d.linger)
		synctest.Wait()
		require.Equal(t, "+T.B,T.C", d.v.asked(), "first what is wanted is asked for")
		d.sub(c, "T.E")
		require.Contains(t, c.said(), "subscribed to: T.E")
		d.v.answerOne()
		require.Equal(t, "+T.E", d.v.asked(), "and what has come meanwhile")
		d.v.answerOne()
		require.Equal(t, "-T.*,T.A", d.v.asked(), "then All is given up, and what nobody wants")
		d.sub(b, "T.*")
		require.Empty(t, b.said()[len("subscribed to: T.*; unsubscribed to: T.*"):], "it has to be asked for anew")
		d.v.answer()
		require.Equal(t, "subscribed to: T.*", b.said())
		require.Equal(t, "Q.A,Q.B,T.*,T.B,T.C,T.E", listed(d.v.Granted()))
	})
}

func TestLedgerStopsNarrowing(t *testing.T) {
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "T.*")
		d.v.answer()
		d.sub(b, "T.B")
		d.end(a, "T.*")
		time.Sleep(d.linger)
		synctest.Wait()
		a.said()
		d.sub(a, "T.*")
		require.Equal(t, "subscribed to: T.*", a.said())
		d.v.answer()
		require.Equal(t, "+T.* +T.B", d.v.asked())
		time.Sleep(2 * d.linger)
		synctest.Wait()
		require.Empty(t, d.v.asked())
	})
}

// TestLedgerNarrowsToWhatIsRefused: what All has carried, and the upstream does not give by itself,
// ends with All.
func TestLedgerNarrowsToWhatIsRefused(t *testing.T) {
	topic := func(s string) tickstorm.Topic { return tickstorm.Topic{Channel: "T", Symbol: s} }
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "T.*")
		d.v.answer()
		d.sub(b, "T.A,T.B,T.C")
		require.Equal(t, "subscribed to: T.A; subscribed to: T.B; subscribed to: T.C", b.said())
		d.v.refused[topic("A")], d.v.silent[topic("B")] = true, true
		d.end(a, "T.*")
		d.v.asked()
		time.Sleep(d.linger)
		synctest.Wait()
		for range 9 {
			d.v.answerOne()
		}
		require.Equal(t, "+T.A,T.B,T.C -T.*", d.v.asked())
		require.Equal(t, "not authorized; pending: T.B", b.said())
		require.Equal(t, "T.B,T.C", b.wanted())
	})
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "T.*")
		d.v.answer()
		d.sub(b, "T.A")
		d.v.refused[topic("A")] = true
		d.end(a, "T.*")
		time.Sleep(d.linger)
		synctest.Wait()
		b.said()
		d.sub(a, "T.*")
		d.v.answer()
		require.Empty(t, b.said(), "All is wanted again, and carries it")
		require.Equal(t, "T.A", b.wanted())
	})
}

func TestLedgerAllIsRefused(t *testing.T) {
	all := tickstorm.Topic{Channel: "T", Symbol: tickstorm.All}
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.v.refused[all] = true
		d.sub(a, "T.*")
		d.sub(b, "T.B")
		d.v.answer()
		require.Equal(t, "+T.* +T.B", d.v.asked())
		require.Equal(t, "not authorized", a.said())
		require.Equal(t, "subscribed to: T.B", b.said())
	})
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.v.silent[all] = true
		d.sub(a, "T.*")
		d.sub(b, "T.B")
		d.v.answer()
		require.Equal(t, "+T.* +T.B", d.v.asked())
		require.Equal(t, "pending: T.*", a.said())
		require.Equal(t, "subscribed to: T.B", b.said())
	})
}

func TestLedgerReconnects(t *testing.T) {
	topic := func(s string) tickstorm.Topic { return tickstorm.Topic{Channel: "T", Symbol: s} }
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "T.A,T.B,T.C")
		d.v.answer()
		d.sub(a, "T.D")
		a.said()
		d.down()
		d.sub(b, "T.A,T.B")
		require.Empty(t, b.said(), "nothing is certain while the connection is down")
		d.v.refused[topic("B")], d.v.silent[topic("C")] = true, true
		d.v.reconnect(d.ledger)
		require.Equal(t, "not authorized; pending: T.C; subscribed to: T.D", a.said())
		require.Equal(t, "not authorized; subscribed to: T.A", b.said())
		require.Equal(t, "T.A,T.C,T.D", a.wanted())
		d.acked(topic("C"))
		require.Equal(t, "subscribed to: T.C", a.said())
	})
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "T.*")
		d.v.answer()
		d.sub(b, "T.B")
		b.said()
		d.v.asked()
		d.v.refused[topic("*")] = true
		d.v.reconnect(d.ledger)
		require.Equal(t, "not authorized; subscribed to: T.*", a.said())
		require.Equal(t, "+T.B", d.v.asked(), "what All has carried")
		d.v.answer()
		require.Empty(t, b.said(), "it was told already")
		require.True(t, d.v.sends(topic("B")))
	})
}

// TestLedgerAllIsWithdrawn: what All has carried goes on by itself, or is said to be pending.
func TestLedgerAllIsWithdrawn(t *testing.T) {
	topic := func(s string) tickstorm.Topic { return tickstorm.Topic{Channel: "T", Symbol: s} }
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.v.silent[topic("B")] = true
		d.sub(b, "T.B")
		d.v.answer()
		d.sub(a, "T.*")
		d.sub(b, "T.C")
		d.v.answer()
		require.Equal(t, "subscribed to: T.*", a.said())
		require.Equal(t, "pending: T.B; subscribed to: T.B; subscribed to: T.C", b.said())
		d.v.asked()
		d.withdrawn(topic("*"))
		require.Equal(t, "-T.* +T.C", d.v.asked())
		require.Equal(t, "withdrawn: T.*", a.said())
		require.Equal(t, "pending: T.B", b.said())
		require.Equal(t, "T.B,T.C", b.wanted())
	})
}

func TestLedgerGivesBackWhatNobodyAskedFor(t *testing.T) {
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		stray := tickstorm.Topic{Channel: "T", Symbol: "A"}
		d.acked(stray)
		require.Empty(t, d.v.asked())
		d.v.wanted[stray] = true // it was refused, and then granted all the same
		d.acked(stray)
		require.Equal(t, "-T.A", d.v.asked())
	})
}

func TestLedgerLimits(t *testing.T) {
	const limit = "Subscription limit reached for feed. Please remove some subscriptions and try again."
	on(t, tickstorm.Options, func(t *testing.T, d desk) {
		a, b := d.program(), d.program()
		d.sub(a, "Q.O:A,Q.O:B")
		d.sub(b, "Q.O:C,Q.O:D")
		d.v.answer()
		require.Equal(t, limit+"; "+limit, b.said(), "of both together, and refused whole")
		require.Equal(t, "subscribed to: Q.O:A; subscribed to: Q.O:B", a.said())
		d.sub(b, "Q.O:A,Q.O:C,T.O:D")
		d.v.answer()
		require.Equal(t, "subscribed to: Q.O:A; subscribed to: Q.O:C; subscribed to: T.O:D", b.said())
		d.sub(b, "Q.*")
		require.Equal(t, limit, b.said())
		d.v.asked()
		d.end(a, "Q.O:B")
		d.sub(b, "Q.O:E")
		require.Equal(t, "-Q.O:B +Q.O:E", d.v.asked(), "what lingers goes first")
		d.v.answer()
		require.Equal(t, "subscribed to: Q.O:E", b.said())
	})
	on(t, tickstorm.Stocks, func(t *testing.T, d desk) {
		a := d.program()
		d.topicLimit = 2
		d.sub(a, "T.A,T.B,T.A")
		d.v.answer()
		require.Equal(t, "subscribed to: T.A; subscribed to: T.B", a.said())
		d.sub(a, "T.A,T.C")
		require.Equal(t, limit+"; "+limit, a.said())
		d.sub(a, "T.A,T.B")
		require.Equal(t, "subscribed to: T.A; subscribed to: T.B", a.said())
	})
}

// TestLedgerModel: whatever happens in whatever order, what a program was told it has comes
// without a hole, and in the end everybody has what it wants, and the upstream no more than that.
func TestLedgerModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) // in a bubble that is always the same
	for name, moody := range map[string]bool{"grants all": false, "grants some": true} {
		t.Run(name, func(t *testing.T) { ledgerModel(t, seed, moody) })
	}
}

func ledgerModel(t *testing.T, seed uint64, moody bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 2))
		d := newDesk(tickstorm.Stocks)
		defer d.close()
		symbols := []string{"T.*", "T.A", "T.B", "T.C", "Q.*", "Q.A", "Q.B"}
		pick := func() string {
			var some []string
			for range 1 + random.IntN(3) {
				some = append(some, symbols[random.IntN(len(symbols))])
			}
			return strings.Join(some, ",")
		}
		programs := make([]*program, 4)
		for i := range programs {
			programs[i] = d.program()
		}
		model := map[*program]map[tickstorm.Topic]bool{}
		change := func(p *program, params string, on bool) {
			if model[p] == nil {
				model[p] = map[tickstorm.Topic]bool{}
			}
			for _, a := range dialogue.Topics(tickstorm.Stocks, params) {
				if model[p][a.ID] = on; !on {
					delete(model[p], a.ID)
				}
			}
		}
		for step := range 20_000 {
			i := random.IntN(len(programs))
			p := programs[i]
			switch random.IntN(13) {
			case 0, 1, 2:
				params := pick()
				d.sub(p, params)
				change(p, params, true)
			case 3, 4, 5:
				params := pick()
				d.end(p, params)
				change(p, params, false)
			case 6:
				d.leave(p)
				delete(model, p)
				programs[i] = d.program()
			case 7, 8, 9:
				d.v.answerOne()
			case 10:
				time.Sleep(time.Duration(random.Int64N(int64(d.linger))))
				synctest.Wait()
			case 11:
				if random.IntN(10) == 0 {
					d.v.reconnect(d.ledger)
				}
			case 12:
				if !moody {
					break
				}
				d.v.moody(dialogue.Topics(tickstorm.Stocks, pick()), random.IntN(3))
			}
			for _, p := range programs {
				for w, certain := range d.promised(p, moody) {
					require.True(t, model[p][w], "step %d, seed %d: %s is not wanted any more", step, seed, w)
					if certain {
						require.True(t, d.v.sends(w), "step %d, seed %d: a hole in %s", step, seed, w)
					}
				}
				p.said()
			}
		}
		settle := func() {
			for range 3 {
				d.v.answer()
				time.Sleep(2 * d.linger)
				synctest.Wait()
			}
		}
		d.v.moody(dialogue.Topics(tickstorm.Stocks, strings.Join(symbols, ",")), 0)
		settle()
		for p, topics := range model {
			d.sub(p, listed(sorted(topics))) // of which some have been refused, or not answered
		}
		settle()
		union := map[tickstorm.Topic]bool{}
		for _, p := range programs {
			require.Equal(t, listed(sorted(model[p])), p.wanted())
			for w := range p.wants {
				require.True(t, d.v.sends(w))
				union[w] = true
			}
		}
		for _, h := range d.v.Topics() {
			all := tickstorm.Topic{Channel: h.Channel, Symbol: tickstorm.All}
			require.True(t, union[h] || union[all], "seed %d: %s is held for nobody", seed, h)
		}
		if !moody { // what has had no answer stays wanted
			require.Equal(t, d.v.Granted(), d.v.Topics())
		}
	})
}
